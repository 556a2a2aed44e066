"""Chapter 2's tours: each is run as a reader runs it, and what it leaves behind is held against the page's claims."""

import contextlib
import io
import itertools
import runpy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ch02_simple_nn.fizzbuzz import FizBuzNet

CHAPTER = Path(__file__).parents[1] / "ch02_simple_nn"
TOURS = ["problem_tour", "naive", "autograd_tour", "module_tour", "functional_tour", "optimizers_tour"]


def tour(name):
    """A fixture that runs the tour once for all the tests of this file: its variables, and what it `printed`."""

    @pytest.fixture(scope="module", name=name)
    def run(tmp_path_factory):
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            out = tmp_path_factory.mktemp(name)
            patch.setattr(sys, "argv", [f"{name}.py", "--device", "cpu", "--out", str(out)])
            variables = runpy.run_path(str(CHAPTER / f"{name}.py"), run_name="__main__")
        return variables | {"printed": printed.getvalue()}

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


def test_an_epoch_sees_every_row(problem_tour):
    assert "not iterable" in problem_tour["not_iterable"]
    assert problem_tour["rows_seen"] == 2 * 900


def test_the_update_follows_the_gradient(problem_tour):
    share, paths = problem_tour["share_of_other"], problem_tour["paths"]
    for lr, path in paths.items():
        # The loss is (weight - share)^2 + constant, so every step shrinks the distance by 1 - 2 lr.
        expected = [share - share * (1 - 2 * lr) ** step for step in range(11)]
        assert [weight for weight, _ in path] == pytest.approx(expected, abs=1e-4)
    assert paths[0.3][-1][1] < paths[0.03][-1][1] < paths[0.0][-1][1] < paths[1.02][-1][1]


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


def test_the_graph_and_backward_of_2_9_to_2_11(naive):
    assert type(naive["a2"].grad_fn).__name__ == "AddBackward0" and naive["a2"].shape == (64, 100)
    assert naive["hyp"].shape == (64, 4) and ((naive["hyp"] > 0) & (naive["hyp"] < 1)).all()
    with pytest.warns(UserWarning, match="not a leaf"):
        assert naive["a2"].grad is None
    assert naive["x"].grad is None and naive["w1"].grad_fn is None
    assert naive["w1"].grad.shape == (10, 100) and (naive["w1"].grad == 0).all()
    assert naive["unchanged"] and not torch.equal(naive["w1"], naive["w1_before"])


def test_the_update_of_2_9_is_a_gradient_step(naive):
    """One step from w1 as it was, with the derivative written out by hand."""
    error, hyp, h2, x_ = (naive[name].detach() for name in ("error", "hyp", "h2", "x_"))
    through_output = error * hyp * (1 - hyp)
    # w2 before its step: the step itself is known, so it can be taken back.
    w2_before = naive["w2"].detach() + 0.01 * h2.T @ through_output
    through_hidden = through_output @ w2_before.T * h2 * (1 - h2)
    torch.testing.assert_close(naive["w1"].detach(), naive["w1_before"] - 0.01 * x_.T @ through_hidden)


def test_walking_the_graph_of_2_12(naive):
    assert names(naive["chain"]) == ["DivBackward0", "SumBackward0", "PowBackward0"]
    labels = {label.split("\n")[0] for _, label in naive["graph"].nodes("label")}
    assert {"DivBackward0", "SumBackward0", "PowBackward0", "w1", "b1", "w2", "b2"} <= labels


def test_what_the_naive_model_learns(naive):
    assert naive["page_accuracy"] == naive["majority"]
    # Measured for the page: the zeroed loss falls slowly, the unzeroed one ends where all is "other".
    assert naive["zeroed_losses"][-1] < naive["zeroed_losses"][0]
    assert naive["page_losses"][-1] > naive["zeroed_losses"][-1] > naive["learnt_losses"][-1]
    assert naive["learnt_accuracy"] >= 0.85


def test_the_descent_of_figure_2_7_goes_down(naive):
    heights = [height for _, _, height in naive["walk"]]
    assert all(lower <= higher + 1e-5 for higher, lower in itertools.pairwise(heights))
    assert heights[-1] < 0.6 * heights[0]
    assert pictures(naive) == ["figure_2_7_descent.png", "figure_2_8_chain.png"]


# 2.6, 2.7 and the rest of autograd


def test_the_small_graphs_of_2_6_and_2_7(autograd_tour):
    seen = autograd_tour
    assert (seen["output"].item(), seen["W"].grad.item(), seen["B"].grad.item()) == (17.0, 3.0, 1.0)
    assert seen["weights"].grad.tolist() == [2.0] and seen["bias"].grad.tolist() == [1.0]
    assert seen["t"].shape == () and seen["out"].shape == (1,)
    assert "tensor([2.])\ntensor([1.])\n" in seen["printed"]
    assert type(seen["c"].grad_fn).__name__ == "AddBackward0" and (seen["b"] + seen["b"]).grad_fn is None
    assert pictures(seen) == ["figure_2_3_autograd.png", "figure_2_4_chain_rule.png"]


def test_attributes_of_figure_2_5(autograd_tour):
    attributes = autograd_tour["attributes"]
    assert attributes["inputs"][1:] == (None, None) and attributes["weights"][2] is None
    assert attributes["weights"][1].tolist() == [2.0] and names([attributes["out"][2]]) == ["AddBackward0"]


def test_accumulation(autograd_tour):
    seen = autograd_tour
    assert "second time" in seen["second_backward"]
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
    assert module_tour["found_order"] == [1, 3, 2, 4, 0]
    parameters = [name for name, _ in module_tour["trader"].named_parameters()]
    assert parameters[:2] == ["ranker.rank.weight", "ranker.rank.bias"]


# 2.22 to 2.25


def test_operators_and_functions_of_2_22_and_2_23(functional_tour):
    seen = functional_tour
    assert names([seen["c"].grad_fn]) == ["MmBackward0"] and seen["c"].shape == (1, 1)
    assert "<MmBackward0 object at 0x" in seen["printed"]
    assert seen["same"].tolist() == [[True]] and "tensor([[True]]" in seen["printed"]
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
    assert "in-place" in optimizers_tour["in_place"] and optimizers_tour["all_zero"]
    w1 = optimizers_tour["w1"]
    assert not torch.equal(w1, optimizers_tour["before"])


def test_the_optimizers_by_hand_are_torch_s(optimizers_tour):
    """Within float64's rounding of weights of at most 1 over 20 steps."""
    assert max(optimizers_tour["differences"].values()) < 1e-14
    # The comparison can fail: one optimizer's steps are not another's.
    wrong = optimizers_tour["difference"](optimizers_tour["sgd_step"], optimizers_tour["optim"].Adam)
    assert wrong > 1e-3


def test_the_final_loop_of_2_29(optimizers_tour):
    seen = optimizers_tour
    assert seen["zero_before_or_after"] and seen["no_of_batches"] == 14
    assert seen["page_accuracy"] == seen["majority"] and seen["page_answers"] == [3]
    assert seen["adam_accuracy"] >= 0.85
    assert seen["adam_losses"][-1] < 0.1 * seen["page_losses"][-1]


def test_batches_of_900_64_and_1(optimizers_tour):
    curves = optimizers_tour["curves"]
    assert curves[1][-1] < curves[64][-1] < curves[900][-1]
    assert pictures(optimizers_tour) == ["batch_sizes.png"]


def test_the_page_s_network_has_the_last_sigmoid_that_its_text_promises():
    net = FizBuzNet(10, 100, 4)
    with torch.no_grad():
        net.out.bias.fill_(50.0)
    assert net(torch.zeros(1, 10)).max() <= 1
