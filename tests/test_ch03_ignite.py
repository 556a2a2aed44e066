"""Listings 3.20 to 3.30: the tour of ignite, and the trainer: three loops, printed lines, checkpoints, resume."""

import ast
import contextlib
import io
import json
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from torch import nn, optim

from ch03_workflow import digit_net, ignite_trainer
from ch03_workflow.digit_net import DigitNet, process_batch
from common import checkpoints, cli
from common.cli import UserError
from data.digits import make_digits

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "mnist"


def run_tour(name, tmp_path_factory):
    """The variables that a tour leaves behind."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(sys, "argv", [f"{name}.py", "--device", "cpu", "--out", str(tmp_path_factory.mktemp(name))])
        return runpy.run_path(str(ROOT / "ch03_workflow" / f"{name}.py"), run_name="__main__")


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    return run_tour("ignite_tour", tmp_path_factory)


@pytest.fixture(scope="module")
def metrics_tour(tmp_path_factory):
    return run_tour("metrics_tour", tmp_path_factory)


def test_3_21_an_engine_has_the_two_loops(tour):
    # Epochs and iterations count from one; the text says from zero.
    assert tour["batches"] == [(1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 4, 1), (2, 5, 2), (2, 6, 3)]
    state = tour["state"]
    assert (state.epoch, state.iteration, state.output, state.batch, state.max_epochs) == (2, 6, 30, 3, 2)
    assert state.metrics == {}


def test_3_23_events_and_their_order(tour):
    names = [event.name for event in tour["all_events"]]
    assert len(tour["PAGE_EVENTS"]) == 7 and set(tour["PAGE_EVENTS"]) < set(names) == {e.name for e in Events}
    batch = ["GET_BATCH_STARTED", "GET_BATCH_COMPLETED", "ITERATION_STARTED", "ITERATION_COMPLETED"]
    last = ["EPOCH_COMPLETED", "COMPLETED", "the first handler of COMPLETED", "the second"]
    assert tour["order"] == ["STARTED", "EPOCH_STARTED", *batch, *batch, *last]
    assert tour["caught"] == ["batch 7 is spoilt"]


def test_filters_and_custom_events(tour):
    assert list(tour["filtered"].values()) == [[3, 6, 9], [5], [1, 2, 4, 8], [3, 4]]
    assert [number for number, _ in tour["gradient_norms"]] == [2, 4, 6]
    assert all(norm > 0 for _, norm in tour["gradient_norms"])


def test_3_24_and_3_26_are_the_installed_source(tour):
    for text, name in [(tour["fire_event_source"], "_fire_event"), (tour["attach_source"], "attach")]:
        (function,) = ast.parse(text).body
        assert function.name == name and ast.get_docstring(function) is None
    assert "self._event_handlers[event_name]" in tour["fire_event_source"]
    assert all(f"usage.{name}" in tour["attach_source"] for name in ("STARTED", "ITERATION_COMPLETED", "COMPLETED"))
    assert tour["usage_events"] == ["EPOCH_STARTED", "ITERATION_COMPLETED", "EPOCH_COMPLETED"]


def test_3_26_a_metric_is_reset_updated_and_computed(metrics_tour):
    assert metrics_tour["calls"] == ["reset", "update(1.0)", "update(2.0)", "update(6.0)", "compute"]
    assert metrics_tour["engine"].state.metrics == {"mean": 3.0}


def test_3_25_every_metric_of_the_page_is_its_formula(metrics_tour):
    page = "Accuracy Loss MeanAbsoluteError MeanPairwiseDistance MeanSquaredError Precision Recall RootMeanSquaredError"
    assert list(metrics_tour["by_ignite"]) == [
        *page.split(),
        "TopKCategoricalAccuracy",
        "RunningAverage",
        "IoU",
        "mIoU",
    ]
    for name, value in metrics_tour["by_ignite"].items():
        torch.testing.assert_close(
            value.double(), metrics_tour["by_formula"][name].double(), rtol=1e-6, atol=1e-6, msg=name
        )
    # The data can tell: no two metrics but accuracy's kin agree, and none is trivially 0 or 1.
    assert 0 < metrics_tour["by_ignite"]["Accuracy"] < metrics_tour["by_ignite"]["TopKCategoricalAccuracy"] < 1
    assert metrics_tour["by_ignite"]["mIoU"] == pytest.approx(metrics_tour["by_ignite"]["IoU"].mean().item())
    assert metrics_tour["of_examples"] == pytest.approx(3 * metrics_tour["of_numbers"])


def test_the_confusion_matrix_counts_pairs(metrics_tour):
    confusion, labels, named = metrics_tour["confusion"], metrics_tour["labels"], metrics_tour["named"]
    expected = [[((labels == row) & (named == column)).sum().item() for column in range(3)] for row in range(3)]
    assert confusion.tolist() == expected and confusion.sum() == 10


def test_3_27_metrics_under_the_names_given(metrics_tour):
    assert metrics_tour["evaluated"].keys() == {"accuracy", "nll"}
    assert metrics_tour["evaluated"]["nll"] == pytest.approx(
        F.nll_loss(metrics_tour["scores"], metrics_tour["labels"]).item()
    )
    # The evaluator's output is the pair of the last batch.
    assert torch.equal(metrics_tour["prediction"], metrics_tour["scores"][8:]) and torch.equal(
        metrics_tour["target"], metrics_tour["labels"][8:]
    )


def test_3_28_to_3_30_checkpoints(tour):
    assert not tour["has_engine_checkpoint"]
    assert tour["checkpoint_files"] == [f"checkpoint_{number}.pt" for number in range(100, 501, 100)]
    assert list(tour["checkpoint"]) == ["model", "optimizer"]
    assert torch.equal(tour["checkpoint"]["model"]["weight"], tour["model"].weight)
    assert tour["checkpoint"]["optimizer"]["param_groups"][0]["momentum"] == 0.9
    assert tour["saves"] == {"!= 0, as printed": 990, "== 0": 10}


# The trainer


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """202 digits to train, 18 to validate and 40 to test; at batch size 4 an epoch has 50 steps."""
    return make_digits(tmp_path_factory.mktemp("digits") / "digits", digits=(220, 40))


def run(digits, out, *flags, pictures=False):
    """Runs the program; its pictures take longer than its training, so only one run draws them."""
    arguments = ["--device", "cpu", "--data", str(digits), "--batch-size", "4", "--epochs", "3", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        if not pictures:
            patch.setattr(Figure, "savefig", lambda *_, **__: None)
        ignite_trainer.main([*arguments, *flags])


def random_batches(count=5, size=6):
    random = torch.Generator().manual_seed(1)
    return [
        (
            torch.randint(256, (size, 28, 28), generator=random, dtype=torch.uint8),
            torch.randint(10, (size,), generator=random),
        )
        for _ in range(count)
    ]


def start():
    torch.manual_seed(0)
    net = DigitNet()
    return net, optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def test_three_loops_are_one_training():
    batches, trained = random_batches(), {}
    net, optimizer = start()
    ignite_trainer.bare_loop(net, optimizer, F.nll_loss, batches, epochs=2)
    trained["bare"] = net.state_dict()
    for name in ("engine_trainer", "supervised_trainer"):
        net, optimizer = start()
        trainer = getattr(ignite_trainer, name)(net, optimizer, F.nll_loss)
        # An evaluation in between must not leave the network in evaluation mode.
        evaluator = ignite_trainer.supervised_evaluator(net, ignite_trainer.get_metrics("cpu"))
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _, evaluator=evaluator: evaluator.run(batches))
        state = trainer.run(batches, max_epochs=2)
        assert (state.epoch, state.iteration) == (2, 10) and isinstance(state.output, float)
        trained[name] = net.state_dict()
    for name, value in trained.pop("bare").items():
        for other in trained.values():
            assert torch.equal(value, other[name]), name
    assert not torch.equal(trained["engine_trainer"]["classifier.weight"], start()[0].classifier.weight)


def test_3_21_as_printed_has_no_output():
    def training_loop(trainer, batch):
        F.nll_loss(net(process_batch(batch)[0]), batch[1]).backward()

    net, _ = start()
    assert Engine(training_loop).run(random_batches(1), max_epochs=1).output is None


def test_3_22_the_network_gives_log_probabilities():
    net, _ = start()
    images, labels = process_batch(random_batches(1)[0])
    scores = net(images)
    torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(6))
    logits = net.classifier(net.features(images).flatten(1))
    torch.testing.assert_close(F.nll_loss(scores, labels), nn.CrossEntropyLoss()(logits, labels))


def test_pixels_are_normalised_and_have_a_channel():
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1).expand(3, 28, 28)
    x, y = process_batch((images, torch.tensor([1, 2, 3])), torch.device("cpu"))
    assert x.shape == (3, 1, 28, 28) and x.dtype == torch.float32 and y.tolist() == [1, 2, 3]
    expected = [(value - 0.1307) / 0.3081 for value in (0.0, 0.2, 1.0)]
    assert x[:, 0, 5, 5].tolist() == pytest.approx(expected)


def test_no_image_is_in_two_splits(digits):
    args = cli.parse(cli.parser("", epochs=1, batch_size=4, lr=1), ["--data", str(digits), "--device", "cpu"])
    loaders = digit_net.get_data_loaders(args)
    assert [len(loader.dataset) for loader in loaders] == [202, 18, 40] and len(loaders[0]) == 50
    every = [image.numpy().tobytes() for loader in loaders for image in loader.dataset.images]
    assert len(set(every)) == len(every) == 260


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """A run that nothing interrupts: its folder and what it printed."""
    out, printed = tmp_path_factory.mktemp("whole"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        run(digits, out, pictures=True)
    return out, printed.getvalue()


def test_a_run_prints_what_3_23_and_3_27_promise(whole):
    out, printed = whole
    number = r"(\d+\.\d{4})"
    losses = re.findall(rf"^Epoch:(\d+) Iteration:(\d+) Loss: {number}$", printed, re.MULTILINE)
    assert [(int(epoch), int(iteration)) for epoch, iteration, _ in losses] == [(2, 100)]
    averages = re.findall(rf"^(\w+) data: +Avg accuracy: {number} Avg loss: {number}$", printed, re.MULTILINE)
    assert [kind for kind, *_ in averages] == ["Training", "Validation"] * 3
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [f"{line['validation_accuracy']:.4f}" for line in lines] == [accuracy for _, accuracy, _ in averages[1::2]]
    assert [f"{line['loss']:.4f}" for line in lines] == [loss for *_, loss in averages[::2]]
    assert lines[-1]["accuracy"] > 0.8  # it learns: chance is 0.1


def test_a_run_leaves_its_files_and_true_figures(whole, digits):
    out, printed = whole
    assert {"config.json", "curves.png", "confusion.png", "best.pt"} <= {path.name for path in out.iterdir()}
    args = cli.parse(cli.parser("", epochs=1, batch_size=4, lr=1), ["--data", str(digits), "--device", "cpu"])
    test = digit_net.get_data_loaders(args)[2].dataset
    net = DigitNet()
    checkpoints.load_weights(net, out / "best.pt")
    net.eval()
    with torch.no_grad():
        scores = net(process_batch((test.images, test.labels))[0])
    summary = json.loads((out / "summary.json").read_text())
    assert summary["accuracy"] == pytest.approx((scores.argmax(dim=1) == test.labels).double().mean().item())
    assert summary["loss"] == pytest.approx(F.nll_loss(scores, test.labels).item(), rel=1e-5) and summary["epochs"] == 3
    assert f"{summary['accuracy']:.2%} of 40 test images named right after 3 epochs" in printed.splitlines()[-1]


def interrupt_at(event):
    """log_losses, with a Ctrl-C at an event."""
    original = ignite_trainer.log_losses

    def log_losses(trainer, every):
        original(trainer, every)

        @trainer.on(event)
        def interrupt(engine):
            raise KeyboardInterrupt

    return log_losses


@pytest.mark.parametrize(
    "event",
    [Events.ITERATION_COMPLETED(once=130), Events.EPOCH_COMPLETED(once=2)],
    ids=["in an epoch", "between its last step and its end"],
)
def test_a_run_killed_and_resumed_ends_as_if_nothing_had_happened(digits, whole, tmp_path, monkeypatch, event):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ignite_trainer, "log_losses", interrupt_at(event))
        run(digits, tmp_path)
    run(digits, tmp_path, "--resume")
    for name in ("best.pt", "checkpoints/checkpoint_100.pt"):
        before, after = (checkpoints.read(folder / name) for folder in (whole[0], tmp_path))
        before, after = (state.get("model", state) for state in (before, after))
        assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert (tmp_path / "metrics.jsonl").read_text() == (whole[0] / "metrics.jsonl").read_text()


def test_resuming_a_finished_run_changes_nothing(digits, whole, capsys):
    before = json.loads((whole[0] / "summary.json").read_text())
    run(digits, whole[0], "--resume")
    after = json.loads((whole[0] / "summary.json").read_text())
    assert {**before, "seconds": 0} == {**after, "seconds": 0}
    assert "checkpoint_100.pt at epoch 2, iteration 100" in capsys.readouterr().out


def test_a_new_run_does_not_keep_old_checkpoints(digits, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "checkpoint_900.pt").write_text("of an earlier run")
    run(digits, tmp_path, "--epochs", "2")
    assert [path.name for path in folder.iterdir()] == ["checkpoint_100.pt"]


def test_it_stops_early_when_the_validation_gets_worse(digits, tmp_path, monkeypatch, capsys):
    original = ignite_trainer.get_data_loaders

    def with_wrong_validation_labels(args):
        loaders = original(args)
        loaders[1].dataset.labels = (loaders[1].dataset.labels + 1) % 10
        return loaders

    monkeypatch.setattr(ignite_trainer, "get_data_loaders", with_wrong_validation_labels)
    run(digits, tmp_path, "--epochs", "8", "--patience", "1")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["validation_loss"] for line in lines]
    assert 2 <= len(losses) < 8 and losses[-1] > losses[-2] and losses[:-1] == sorted(losses[:-1], reverse=True)
    assert "stopped early: 1 epochs" in capsys.readouterr().out
    assert json.loads((tmp_path / "summary.json").read_text())["epochs"] == len(losses)


@pytest.mark.parametrize("loop", ["bare", "engine"])
def test_the_other_loops_learn_too(digits, tmp_path, loop):
    run(digits, tmp_path, "--loop", loop)
    assert json.loads((tmp_path / "summary.json").read_text())["accuracy"] > 0.6


def test_mistakes(digits, tmp_path, capsys):
    with pytest.raises(UserError, match=r"--resume: no checkpoint_\*\.pt in"):
        run(digits, tmp_path, "--resume")
    with pytest.raises(SystemExit) as end:
        run(digits, tmp_path, "--resume", "--loop", "bare")
    assert end.value.code == 2 and "--resume needs --loop supervised" in capsys.readouterr().err
    with pytest.raises(UserError, match="--batch-size 500 is more than the 202 training images"):
        run(digits, tmp_path, "--batch-size", "500")
    with pytest.raises(UserError, match=r"loss is (nan|inf) at epoch 1, iteration \d+: stopped; lower --lr"):
        run(digits, tmp_path, "--lr", "1e38")
    folder = tmp_path / "checkpoints"
    folder.mkdir(exist_ok=True)
    (folder / "checkpoint_100.pt").write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"checkpoint_100\.pt: not a whole checkpoint"):
        run(digits, tmp_path, "--lr", "1e38", "--resume")
    torch.save({"model": nn.Linear(2, 2).state_dict()}, folder / "checkpoint_100.pt")
    with pytest.raises(UserError, match=r"checkpoint_100\.pt: of another network or run"):
        run(digits, tmp_path, "--lr", "1e38", "--resume")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/mnist")
def test_the_real_set_and_its_mean():
    args = cli.parse(cli.parser("", epochs=1, batch_size=128, lr=1), ["--data", str(REAL), "--device", "cpu"])
    loaders = digit_net.get_data_loaders(args)
    assert [len(loader.dataset) for loader in loaders] == [55_000, 5_000, 10_000]
    histogram = sum(torch.bincount(loader.dataset.images.view(-1), minlength=256) for loader in loaders[:2]).double()
    pixels, share = torch.arange(256) / 255, histogram / histogram.sum()
    mean = (pixels * share).sum()
    assert mean == pytest.approx(digit_net.MEAN, abs=5e-5)
    assert ((pixels - mean).square() * share).sum().sqrt() == pytest.approx(digit_net.STD, abs=5e-5)
