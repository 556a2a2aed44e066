"""Chapter 2's tours: each is run as a reader runs it, and what it leaves behind is held against the page's claims."""

import contextlib
import inspect
import io
import itertools
import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ch02_simple_nn.fizbuz_net import FizBuzNet

CHAPTER = Path(__file__).parents[1] / "ch02_simple_nn"
TOURS = ["problem_tour", "naive", "autograd_tour", "module_tour", "functional_tour", "optimizers_tour"]


def run_tour(script, out):
    """The variables that a tour leaves behind, and what it `printed`."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", [script.name, "--device", "cpu", "--out", str(out)])
        variables = runpy.run_path(str(script), run_name="__main__")
    return variables | {"printed": printed.getvalue()}


def tour(name):
    """A fixture that runs the tour once for all the tests of this file."""

    @pytest.fixture(scope="module", name=name)
    def run(tmp_path_factory):
        return run_tour(CHAPTER / f"{name}.py", tmp_path_factory.mktemp(name))

    return run


problem_tour, naive, autograd_tour, module_tour, functional_tour, optimizers_tour = map(tour, TOURS)


def names(functions):
    return [type(function).__name__ for function in functions]


def pictures(seen):
    """The names of the pictures that the tour left, none of them empty."""
    found = {path.name: path.stat().st_size for path in seen["args"].out.glob("*.png")}
    assert min(found.values()) > 5000
    return sorted(found)


# 2.1 to 2.4


def test_the_data_of_2_1(problem_tour):
    seen = problem_tour
    assert seen["code"] == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1] and seen["decoded"] == 3
    assert "1024 does not fit" in seen["too_large"]
    assert seen["class_counts"] == {"fizzbuzz": 67, "buzz": 133, "fizz": 267, "other": 533}
    assert seen["trX"].shape == (900, 10) and seen["teY"].shape == (100, 4)
    # 8 is the page's example: the code says "other", that is 8, the text says fizz.
    assert [seen["answers"][target][8] for target in ("number", "next")] == ["8", "fizz"]
    assert [seen["answers"][target][9] for target in ("number", "next")] == ["fizz", "buzz"]


def test_the_hyperparameters_of_2_2_are_used(problem_tour, tmp_path):
    """A reader changes them in the file: the numbers below follow."""
    seen = problem_tour
    assert "500 epochs of 14 batches of 64 numbers are 7000 steps" in seen["printed"]
    assert "100 hidden units, 4 outputs: 1504 weights and biases" in seen["printed"]
    assert len(seen["epoch_losses"]) == seen["epochs"] and "not iterable" in seen["not_iterable"]
    script = (CHAPTER / "problem_tour.py").read_text()
    for old, new in (
        ("epochs = 500", "epochs = 2"),
        ("lr = 0.01", "lr = 0.5"),
        ("hidden_size = 100", "hidden_size = 7"),
    ):
        assert script.count(f"\n{old}") == 1
        script = script.replace(f"\n{old}", f"\n{new}")
    (tmp_path / "changed.py").write_text(script)
    changed = run_tour(tmp_path / "changed.py", tmp_path)
    assert (
        "2 epochs of 14 batches" in changed["printed"]
        and "7 hidden units, 4 outputs: 109 weights" in changed["printed"]
    )
    assert len(changed["epoch_losses"]) == 2 and changed["epoch_losses"][1] != seen["epoch_losses"][1]
    assert 0.5 in changed["paths"]


def test_an_epoch_of_2_3_is_the_update_of_2_4_for_each_batch(problem_tour):
    """One epoch from the same weights, with torch's own SGD."""
    seen = problem_tour
    torch.manual_seed(0)
    net = FizBuzNet(10, 100, 4)
    optimizer = torch.optim.SGD(net.parameters(), lr=seen["lr"])
    losses = []
    for x_, y_ in zip(seen["x"].split(64)[:14], seen["y"].split(64)):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x_), y_)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert seen["epoch_losses"][0] == pytest.approx(sum(losses) / 14)


def test_the_update_follows_the_gradient(problem_tour):
    share, paths = problem_tour["share_of_other"], problem_tour["paths"]
    for rate, path in paths.items():
        # The loss is (weight - share)^2 + constant, so every step shrinks the distance by 1 - 2 * rate.
        expected = [share - share * (1 - 2 * rate) ** step for step in range(11)]
        assert [weight for weight, _ in path] == pytest.approx(expected, abs=1e-4)
    assert paths[0.3][-1][1] < paths[0.03][-1][1] < paths[0.0][-1][1] < paths[1.02][-1][1]
    # At exactly 1 nothing diverges: the weight jumps between two values for ever.
    assert [weight for weight, _ in paths[1.0]] == pytest.approx([0, 2 * share] * 5 + [0], abs=1e-5)


def test_the_pictures_of_the_problem(problem_tour):
    assert pictures(problem_tour) == ["figure_2_1_mapping.png", "figure_2_2_learning_rate.png"]


# 2.5, 2.8 to 2.12


def test_tensors_of_2_5_and_2_8(naive):
    assert [tuple(naive[name].shape) for name in ("x", "y", "w1", "w2", "b1", "b2")] == [
        (900, 10),
        (900, 4),
        (10, 100),
        (100, 4),
        (1, 100),
        (1, 4),
    ]
    assert not naive["x"].requires_grad and not naive["y"].requires_grad
    assert all(naive[name].requires_grad and naive[name].is_leaf for name in ("w1", "w2", "b1", "b2"))
    assert naive["before"] == [(None, None), (None, None)]


def test_the_graph_and_backward_of_2_10_and_2_11(naive):
    assert type(naive["a2"].grad_fn).__name__ == "AddBackward0" and naive["a2"].shape == (64, 100)
    assert naive["hyp"].shape == (64, 4) and ((naive["hyp"] > 0) & (naive["hyp"] < 1)).all()
    # The warning is shown, once, where the page reads the .grad of a tensor that is no leaf.
    assert "UserWarning: The .grad attribute of a Tensor that is not a leaf" in naive["printed"]
    with pytest.warns(UserWarning, match="not a leaf"):
        assert naive["a2"].grad is None
    assert naive["x"].grad is None and naive["w1"].grad_fn is None and naive["unchanged"]


def test_gradients_by_hand_are_autograd_s(naive):
    """The derivative of 2.9's loss, written out; h2 keeps its own, since it was asked to."""
    error, hyp, h2, x_, w2 = (naive[name].detach() for name in ("error", "hyp", "h2", "x_", "w2"))
    through_output = error * hyp * (1 - hyp)
    through_hidden = through_output @ w2.T * h2 * (1 - h2)
    torch.testing.assert_close(naive["h2"].grad, through_output @ w2.T)
    torch.testing.assert_close(naive["w1"].grad, x_.T @ through_hidden)
    torch.testing.assert_close(naive["w2"].grad, h2.T @ through_output)
    torch.testing.assert_close(naive["b1"].grad, through_hidden.sum(dim=0, keepdim=True))
    torch.testing.assert_close(naive["b2"].grad, through_output.sum(dim=0, keepdim=True))


@pytest.mark.parametrize("zero_gradients", [True, False])
def test_the_loop_of_2_9_makes_gradient_steps(naive, zero_gradients, capsys):
    """Two epochs against torch's own layers, loss and optimizer; as printed, the gradients pile up in both."""
    weights = naive["new_weights"]()
    layers = nn.Sequential(nn.Linear(10, 100), nn.Sigmoid(), nn.Linear(100, 4), nn.Sigmoid())
    with torch.no_grad():
        for parameter, weight in zip(layers.parameters(), (weights[0].T, weights[2][0], weights[1].T, weights[3][0])):
            parameter.copy_(weight)
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.01)
    for _ in range(2):
        for x_, y_ in zip(naive["x"].split(64)[:14], naive["y"].split(64)):
            (nn.functional.mse_loss(layers(x_), y_, reduction="sum") / 2).backward()
            optimizer.step()
            if zero_gradients:
                optimizer.zero_grad()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(naive["train"].__globals__, "epochs", 2)
        naive["train"](*weights, naive["x"], 0.01, zero_gradients)
    for parameter, weight in zip(layers.parameters(), (weights[0].T, weights[2][0], weights[1].T, weights[3][0])):
        torch.testing.assert_close(parameter, weight, atol=1e-5, rtol=1e-4)


def test_the_loop_of_2_9_stands_whole(naive):
    """Line by line as on the page, with what the page forgets."""
    source = inspect.getsource(naive["train"])
    for line in (
        "for epoch in range(epochs):",
        "for batch in range(no_of_batches):",
        "a2 = x_.matmul(w1)",
        "a2 = a2.add(b1)",
        "h2 = a2.sigmoid()",
        "a3 = h2.matmul(w2)",
        "a3 = a3.add(b2)",
        "hyp = a3.sigmoid()",
        "output = error.pow(2).sum() / 2.0",
        *(f"{name} -= lr * {name}.grad" for name in ("w1", "w2", "b1", "b2")),
        *(f"{name}.grad.zero_()" for name in ("w1", "w2", "b1", "b2")),
    ):
        assert source.count(line) == 1, line


def test_the_network_of_figure_2_6_shows_its_sizes(naive):
    labels = [label.replace("\n", " ") for _, label in naive["architecture"].nodes("label")]
    # Ten inputs, a hundred hidden units, four outputs: product, bias and sigmoid in each layer.
    assert labels == [
        "x_ (64, 10)",
        "w1 (10, 100)",
        "w2 (100, 4)",
        "b1 (1, 100)",
        "b2 (1, 4)",
        "mm (64, 100)",
        "add (64, 100)",
        "sigmoid (64, 100)",
        "mm (64, 4)",
        "add (64, 4)",
        "sigmoid (64, 4)",
    ]


def test_walking_the_graph_of_2_12_and_figure_2_8(naive):
    assert names(naive["chain"]) == ["DivBackward0", "SumBackward0", "PowBackward0"]
    labels = {label.split("\n")[0] for _, label in naive["graph"].nodes("label")}
    assert {"DivBackward0", "SumBackward0", "PowBackward0", "w1", "b1", "w2", "b2"} <= labels


def test_what_the_naive_model_learns(naive):
    assert naive["page_accuracy"] == naive["majority"]
    # The zeroed loss falls slowly, the unzeroed one ends where all is "other".
    assert naive["zeroed_losses"][-1] < naive["zeroed_losses"][0]
    assert naive["page_losses"][-1] > naive["zeroed_losses"][-1] > naive["learnt_losses"][-1]
    assert naive["learnt_accuracy"] >= 0.85


def test_the_descent_of_figure_2_7_goes_down(naive):
    heights = [height for _, _, height in naive["walk"]]
    assert all(lower < higher for higher, lower in itertools.pairwise(heights))
    assert heights[-1] < 0.6 * heights[0]
    assert pictures(naive) == ["figure_2_6_network.png", "figure_2_7_descent.png", "figure_2_8_chain.png"]


# 2.6, 2.7 and the rest of autograd


def test_the_graph_of_2_6_and_figures_2_3_and_2_4(autograd_tour):
    seen = autograd_tour
    assert [seen[name].item() for name in ("X", "W", "B", "product", "output")] == [3, 4, 5, 12, 17]
    forward, backward = seen["graph"], seen["backward"]
    assert [label for _, label in forward.nodes("label")] == ["X\n3", "W\n4", "X * W\n12", "B\n5", "output\n17"]
    assert seen["slopes"] == {("W", "X * W"): 3, ("X * W", "output"): 1, ("B", "output"): 1}
    assert {edge: forward.edges[edge]["label"] for edge in seen["slopes"]} == {
        ("W", "X * W"): "3",
        ("X * W", "output"): "1",
        ("B", "output"): "1",
    }
    # Figure 2.4: the same graph, its arrows turned round; what they multiply to is the leaves' .grad.
    assert seen["chained"]["W"] == seen["W"].grad.item() == 3 and seen["chained"]["B"] == seen["B"].grad.item() == 1
    assert backward.nodes["W"]["label"] == "W\n4, grad 3" and backward.edges["W", "X * W"]["label"] == "1 · 3 = 3"
    assert {edge for edge in backward.edges if backward.edges[edge]["backward"]} == set(seen["slopes"])
    assert backward.edges["X", "X * W"]["backward"] is None and seen["X"].grad is None


def test_the_small_graph_of_2_7(autograd_tour):
    seen = autograd_tour
    assert seen["weights"].grad.tolist() == [2.0] and seen["bias"].grad.tolist() == [1.0]
    assert seen["t"].shape == () and seen["out"].shape == (1,)
    assert "weights.grad = tensor([2.]), bias.grad = tensor([1.])\n" in seen["printed"]
    assert type(seen["c"].grad_fn).__name__ == "AddBackward0" and (seen["b"] + seen["b"]).grad_fn is None
    assert pictures(seen) == ["figure_2_3_autograd.png", "figure_2_4_chain_rule.png"]


def test_attributes_of_figure_2_5(autograd_tour):
    attributes = autograd_tour["attributes"]
    assert attributes["inputs"][1:] == (None, None) and attributes["weights"][2] is None
    assert attributes["weights"][1].tolist() == [2.0] and names([attributes["out"][2]]) == ["AddBackward0"]


def test_accumulation(autograd_tour):
    seen = autograd_tour
    # Backward frees what the graph saved, not the graph: a sum saves nothing.
    assert "second time" in seen["second_backward"] and seen["grad_of_two"].tolist() == [2.0, 2.0]
    assert seen["first_grad"].tolist() == [2.0, 2.0] and seen["added_grad"].tolist() == [4.0, 4.0]
    assert seen["a"].grad.tolist() == [0.0, 0.0]
    torch.testing.assert_close(seen["parts_grad"], seen["whole_grad"])
    assert seen["whole_grad"].abs().sum() > 0


def test_no_grad_detach_hooks_frozen(autograd_tour):
    seen = autograd_tour
    assert "in-place" in seen["in_place"] and not seen["unrecorded"].requires_grad
    assert not seen["cut"].requires_grad
    assert len(seen["seen"]) == 1 and seen["seen"][0].shape == (64, 4)
    torch.testing.assert_close(seen["clipped"], seen["expected_clipped"])
    assert seen["frozen"].grad is None and seen["w"].grad.abs().sum() > 0


def test_both_modes_and_a_backward_of_one_s_own(autograd_tour):
    seen = autograd_tour
    torch.testing.assert_close(seen["forward_mode"], seen["reverse_mode"])
    torch.testing.assert_close(seen["own_grad"], seen["torch_grad"])
    assert seen["checked"] and not hasattr(nn.Module, "backward")


# 2.13 to 2.21


def test_the_model_of_2_13_to_2_15(module_tour):
    assert module_tour["shapes"] == {
        "hidden.weight": (100, 10),
        "hidden.bias": (100,),
        "out.weight": (4, 100),
        "out.bias": (4,),
    }
    assert module_tour["hyp"].shape == (900, 4) and 0 < module_tour["hyp"].min() < module_tour["hyp"].max() < 1
    linear = module_tour["linear"]
    torch.testing.assert_close(linear(torch.eye(10)), linear.weight.T + linear.bias)


def test_the_network_is_shown_in_the_page_s_order(module_tour):
    """2.13 to 2.17 and 2.21 in one tour, the classes printed where the page has them."""
    printed = module_tour["printed"]
    marks = ["hyp.shape", "class FizBuzNet(nn.Module):", "coin ", "linear = Linear(", "class Linear(nn.Module):"]
    marks += ["same_layer", "nn.Sequential("]
    places = [printed.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_own_linear_of_2_16(module_tour):
    assert module_tour["own_equal"] and module_tour["own_grads_equal"] and module_tour["same_start"]
    assert [name for name, _ in module_tour["own"].named_parameters()] == ["weight", "bias"]
    without_bias = module_tour["without_bias"]
    assert without_bias.bias is None and [name for name, _ in without_bias.named_parameters()] == ["weight"]
    batch = torch.rand(5, 3)
    torch.testing.assert_close(without_bias(batch), nn.functional.linear(batch, without_bias.weight))


def test_apply_after_2_17(module_tour):
    assert module_tour["same_layer"]
    assert module_tour["visited"] == ["Linear", "Sigmoid", "Linear", "Sigmoid", "Sequential"]


def test_devices_and_types_of_2_18_and_2_19(module_tour):
    assert module_tour["returned"] is not None and module_tour["devices"] == {torch.device("cpu")}
    if not torch.cuda.is_available():
        assert module_tour["no_cuda"]
    assert module_tour["x"].dtype == module_tour["y"].dtype == torch.float32 == module_tour["old_way"].dtype
    assert "Expected floating point type for target with class probabilities" in module_tour["long_one_hot"]
    assert "device" in module_tour["two_devices"].lower()


def test_modes_updates_and_zeroing_of_2_20(module_tour):
    assert module_tour["differs"] and module_tour["repeats"]
    assert len(module_tour["before"]) == 4 and module_tour["updated"]
    assert all(gradient.abs().sum() > 0 for gradient in module_tour["gradients"])
    assert module_tour["zeros"] and module_tour["nones"]


def test_the_twin_of_2_21_state_and_buffers(module_tour):
    seen = module_tour
    assert seen["twins_equal"] and torch.equal(seen["loaded"](seen["x"]), seen["net"](seen["x"]))
    assert "mean" in seen["scaled"].state_dict() and "mean" not in seen["parameter_names"]
    torch.testing.assert_close(seen["scaled"].mean, torch.from_numpy(seen["trX"]).float().mean(dim=0))


def test_the_coins_of_figure_2_9_are_ranked(module_tour):
    seen = module_tour
    # What the main network expects of each coin: 3 times its worth, in a market at rest.
    torch.testing.assert_close(seen["expected"], 3 * seen["worth"], atol=0.15, rtol=0)
    ranks = seen["ranks"][seen["worth"].argsort()]
    assert ranks.tolist() in (sorted(ranks.tolist()), sorted(ranks.tolist(), reverse=True))
    parameters = [name for name, _ in seen["trader"].named_parameters()]
    assert parameters[:2] == ["ranker.rank.weight", "ranker.rank.bias"]


# 2.22 to 2.25


def test_operators_and_functions_of_2_22_and_2_23(functional_tour):
    seen = functional_tour
    assert names([seen["c"].grad_fn]) == ["MmBackward0"] and seen["c"].shape == (1, 1)
    assert "<MmBackward0 object at 0x" in seen["printed"]
    assert seen["same"].tolist() == [[True]] and "same = tensor([[True]]" in seen["printed"]
    assert all(seen["layer_and_function"].values()) and seen["hundred_are_one"]


def test_the_activations_of_figure_2_10(functional_tour):
    seen = functional_tour
    assert seen["steepest"] == pytest.approx(0.25) and seen["mean_output"] == pytest.approx(0.5, abs=0.01)
    grid, slopes = seen["grid"].detach().double(), seen["slopes"]
    normal = torch.distributions.Normal(0, 1)
    expected = {
        "sigmoid": grid.sigmoid() * (1 - grid.sigmoid()),
        "ReLU": (grid > 0).double(),
        "leaky ReLU (0.1)": torch.where(grid > 0, 1.0, 0.1),
        "ELU": torch.where(grid > 0, 1.0, grid.exp()),
        "GELU": normal.cdf(grid) + grid * normal.log_prob(grid).exp(),
    }
    smooth = grid.abs() > 1e-3
    for name, slope in expected.items():
        torch.testing.assert_close(slopes[name][smooth], slope[smooth].float(), atol=1e-5, rtol=1e-4)
    assert seen["ten_layers"]["sigmoid"] < 1e-5 and seen["ten_layers"]["ReLU"] == 1
    assert pictures(seen) == ["figure_2_10_activations.png"]


def test_the_losses_of_2_24_and_2_25(functional_tour):
    seen = functional_tour
    hyp, y_ = seen["hyp"].detach(), seen["y_"]
    torch.testing.assert_close(seen["mean_by_hand"].detach(), nn.MSELoss()(hyp, y_))
    torch.testing.assert_close(seen["output"].detach(), seen["half_sum"].detach())
    assert seen["factor"] == pytest.approx(128) and seen["gradient_factor"] == pytest.approx(128, rel=1e-4)
    torch.testing.assert_close(seen["hyp"].grad, hyp - y_)
    assert not seen["output"].is_leaf and seen["hyp"].is_leaf
    torch.testing.assert_close(seen["from_indices"], seen["from_one_hot"])
    torch.testing.assert_close(seen["from_indices"], seen["cross_entropy_by_hand"])


# 2.26 to 2.29


def test_the_update_and_zeroing_of_2_26_and_2_27(optimizers_tour):
    """All four parameters, as the page names them."""
    seen = optimizers_tour
    assert "in-place" in seen["in_place"] and seen["updated"] == seen["all_zero"] == [True] * 4
    moved = zip((seen["w1"], seen["b1"], seen["w2"], seen["b2"]), seen["before"])
    assert all(not torch.equal(parameter, old) for parameter, old in moved)
    script = (CHAPTER / "optimizers_tour.py").read_text()
    for name in ("w1", "w2", "b1", "b2"):
        assert f"\n    {name} -= lr * {name}.grad\n" in script and f"\n{name}.grad.zero_()\n" in script


def test_the_optimizers_by_hand_are_torch_s(optimizers_tour):
    """Within float64's rounding of weights of at most 1 over 20 steps."""
    assert max(optimizers_tour["differences"].values()) < 1e-14
    # The comparison can fail: one optimizer's steps are not another's.
    wrong = optimizers_tour["difference"](optimizers_tour["sgd_step"], optimizers_tour["optim"].Adam)
    assert wrong > 1e-3


LOOP_2_29 = """\
for epoch in range(epochs):
    for batch in range(no_of_batches):
        start = batch * batches
        end = start + batches
        x_ = x[start:end]
        y_ = y[start:end]
        hyp = net(x_)
        loss = loss_fn(hyp, y_)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


def test_the_final_loop_of_2_29(optimizers_tour):
    seen = optimizers_tour
    assert LOOP_2_29 in (CHAPTER / "optimizers_tour.py").read_text()
    assert seen["zero_before_or_after"] and seen["no_of_batches"] == 14
    assert seen["page_accuracy"] == seen["majority"] and seen["page_answers"] == [3]
    assert seen["page_loss"] == pytest.approx(seen["best_constant"], abs=0.001)


def test_what_leaves_the_majority_class(optimizers_tour):
    """Not the optimizer alone: plain SGD does too, with long steps from a wide start."""
    assert optimizers_tour["far_accuracy"] >= 0.85 and optimizers_tour["adam_accuracy"] >= 0.75


def test_batches_of_900_64_and_1_learn_and_say_at_what_cost(optimizers_tour):
    curves, constant = optimizers_tour["curves"], optimizers_tour["best_constant"]
    y = optimizers_tour["y"]
    assert constant == pytest.approx(nn.functional.mse_loss(y.mean(dim=0).expand_as(y), y).item())
    assert all(losses[0] > constant and losses[-1] < 0.1 < losses[-2] for losses in curves.values())
    epochs = {size: len(losses) - 1 for size, losses in curves.items()}
    steps = {size: epochs[size] * (900 // size) for size in epochs}
    assert epochs[1] < epochs[64] < epochs[900] and steps[1] > steps[64] > steps[900]
    assert pictures(optimizers_tour) == ["batch_sizes.png"]


def test_printed_lines_fit(problem_tour, naive, autograd_tour, module_tour, functional_tour, optimizers_tour):
    for seen in (problem_tour, naive, autograd_tour, module_tour, functional_tour, optimizers_tour):
        assert max(map(len, seen["printed"].splitlines())) <= 100


def test_the_page_s_network_has_the_last_sigmoid_that_its_text_promises():
    net = FizBuzNet(10, 100, 4)
    with torch.no_grad():
        net.out.bias.fill_(50.0)
    assert net(torch.zeros(1, 10)).max() <= 1
