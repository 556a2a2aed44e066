"""Listings 3.20 to 3.30: the tour of ignite, the page's trainer, and the whole one: checkpoints, kills, resuming."""

import ast
import contextlib
import errno
import io
import json
import os
import re
import runpy
import shutil
import signal
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from ignite.engine import Engine, Events
from matplotlib.figure import Figure
from torch import nn

from ch03_workflow import digit_net, ignite_trainer
from ch03_workflow.digit_net import DigitNet, get_data_loaders, get_test_loader, process_batch
from ch03_workflow.loaders.mnist import read_mnist
from common import checkpoints, report
from common.errors import UserError
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


# The page's trainer


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What `ignite_page.py` leaves behind and prints, with a network of two channels instead of sixteen."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(DigitNet.__init__, "__defaults__", (2,))
        patch.setattr(sys, "argv", ["ignite_page.py", "--device", "cpu", "--out", str(tmp_path_factory.mktemp("page"))])
        variables = runpy.run_path(str(ROOT / "ch03_workflow" / "ignite_page.py"), run_name="__main__")
    return variables | {"printed": printed.getvalue()}


def test_3_20_to_3_22_three_loops_are_one_training(page):
    assert page["same_by_engine"] and page["same_by_supervised"]
    assert page["state"].output == page["loss"].item() and isinstance(page["state"].output, float)
    moved = [
        not torch.equal(value, page["untrained"].state_dict()[name]) for name, value in page["by_the_loop"].items()
    ]
    assert all(moved)
    # The evaluator's output is the pair of the last batch; what stands in it is log-probabilities.
    assert page["y_pred"].shape == (500, 10) and page["y"].shape == (500,)
    torch.testing.assert_close(page["y_pred"].exp().sum(dim=1), torch.ones(500))


def test_3_21_an_evaluation_in_between_would_change_the_training_without_net_train(page):
    page["net"].eval()
    page["training_loop"](None, page["dataset"][0])
    assert page["net"].training


def test_3_23_the_seven_events_have_handlers_that_print_in_their_order(page):
    handlers = page["trainer"]._event_handlers
    assert {event.name for event in handlers if handlers[event]} == set(SEVEN)
    lines = page["printed"].splitlines()
    number = r"\d+\.\d{4}"
    for epoch in (1, 2, 3):
        at = lines.index(f"Epoch {epoch} of 3")
        iterations = [it for it in range(42 * (epoch - 1) + 1, 42 * epoch + 1) if it % 10 == 0]
        for line, iteration in zip(lines[at + 1 :], iterations):
            assert re.fullmatch(rf"Epoch:{epoch} Iteration:{iteration} Loss: {number}", line)
        kinds = lines[at + 1 + len(iterations) :][:2]
        for line, kind in zip(kinds, ("Training", "Validation"), strict=True):
            assert re.fullmatch(rf"{kind} data: +Avg accuracy: {number} Avg loss: {number}", line)
    assert any(line.startswith("16,128 images in ") for line in lines) and page["trainer"].state.images == 3 * 42 * 128
    assert float(re.findall(r"Validation data: Avg accuracy: (\S+)", page["printed"])[-1]) > 0.5  # it learns


SEVEN = ["EPOCH_STARTED", "EPOCH_COMPLETED", "STARTED", "COMPLETED", "ITERATION_STARTED", "ITERATION_COMPLETED"]
SEVEN += ["EXCEPTION_RAISED"]


def test_3_23_an_exception_is_told_and_goes_on(page, capsys):
    page["trainer"].logger.setLevel("CRITICAL")
    with pytest.raises(ValueError, match="spoilt"):
        page["trainer"].run(SpoiltBatches(), max_epochs=4, epoch_length=42)
    assert "ValueError in iteration 126" in capsys.readouterr().out


class SpoiltBatches:
    def __iter__(self):
        return self

    def __next__(self):
        raise ValueError("spoilt")


def test_3_27_metrics_are_read_under_the_names_given_in_3_25(page):
    metrics = page["evaluator"].state.metrics
    scores, labels = zip(*((page["model"](process_batch(batch)[0]), batch[1]) for batch in page["val_loader"]))
    scores, labels = torch.cat(scores).detach(), torch.cat(labels)
    assert metrics["accuracy"] == pytest.approx((scores.argmax(dim=1) == labels).double().mean().item())
    assert metrics["nll"] == pytest.approx(F.nll_loss(scores, labels).item(), rel=1e-5)


def test_3_29_plain_torch_load_reads_the_checkpoint(page):
    checkpoint = torch.load(page["dirname"] / "checkpoint_100.pt")
    assert list(checkpoint) == ["model", "optimizer"]
    assert all(torch.equal(value, page["loaded"].state_dict()[name]) for name, value in checkpoint["model"].items())
    # It is of iteration 100, and training went on to 126.
    assert not torch.equal(checkpoint["model"]["classifier.weight"], page["model"].classifier.weight)


def test_3_21_as_printed_has_no_output():
    def training_loop(trainer, batch):
        F.nll_loss(net(process_batch(batch)[0]), batch[1]).backward()

    net = DigitNet()
    batch = torch.randint(256, (6, 28, 28), dtype=torch.uint8), torch.randint(10, (6,))
    assert Engine(training_loop).run([batch], max_epochs=1).output is None


def test_3_22_the_network_gives_log_probabilities():
    net = DigitNet()
    images, labels = process_batch((torch.randint(256, (6, 28, 28), dtype=torch.uint8), torch.randint(10, (6,))))
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


# The whole trainer


class WithDropout(DigitNet):
    """A network that draws random numbers in training."""

    def __init__(self):
        super().__init__(channels=4)
        self.features.append(nn.Dropout(0.3))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """202 digits to train, 18 to validate and 40 to test; at batch size 6 an epoch has 33 steps."""
    return make_digits(tmp_path_factory.mktemp("digits") / "digits", digits=(220, 40))


def run(digits, out, *flags, pictures=False):
    """Runs the program; its pictures take longer than its training, so only one run draws them."""
    arguments = ["--device", "cpu", "--data", str(digits), "--batch-size", "6", "--epochs", "7", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ignite_trainer, "DigitNet", WithDropout)
        patch.setattr(report, "lock", lambda out: None)  # it lasts as long as the process, and all runs share one here
        if not pictures:
            patch.setattr(Figure, "savefig", lambda *_, **__: None)
        ignite_trainer.train(ignite_trainer.read_flags([*arguments, *flags]))


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """A run that nothing interrupts, 231 steps: its folder and what it printed."""
    out, printed = tmp_path_factory.mktemp("whole"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        run(digits, out, pictures=True)
    return out, printed.getvalue()


def test_no_image_is_in_two_splits(digits):
    loaders = [*get_data_loaders(4, 1000, digits), get_test_loader(1000, digits)]
    assert [len(loader.dataset) for loader in loaders] == [202, 18, 40] and len(loaders[0]) == 50
    every = [image.numpy().tobytes() for loader in loaders for image in loader.dataset.images]
    assert len(set(every)) == len(every) == 260


def test_a_run_prints_its_epochs_and_leaves_true_figures(whole, digits):
    out, printed = whole
    number = r"(\d+\.\d{4})"
    losses = re.findall(rf"^Epoch:(\d+) Iteration:(\d+) Loss: {number}$", printed, re.MULTILINE)
    assert [(int(epoch), int(iteration)) for epoch, iteration, _ in losses] == [(4, 100), (7, 200)]
    averages = re.findall(
        rf"^Epoch:(\d) (\w+) data: +Avg accuracy: {number} Avg loss: {number}$", printed, re.MULTILINE
    )
    assert [(int(epoch), kind) for epoch, kind, *_ in averages] == [
        (epoch, kind) for epoch in range(1, 8) for kind in ("Training", "Validation")
    ]
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [f"{line['validation_accuracy']:.4f}" for line in lines] == [accuracy for *_, accuracy, _ in averages[1::2]]
    assert [f"{line['training_loss']:.4f}" for line in lines] == [loss for *_, loss in averages[::2]]
    assert lines[-1]["training_accuracy"] > 0.6  # it learns: chance is 0.1

    assert {"config.json", "curves.png", "confusion.png", "best.pt"} <= {path.name for path in out.iterdir()}
    images, labels = read_mnist(digits, train=False)
    net = WithDropout()
    checkpoints.load_weights(net, out / "best.pt")
    net.eval()
    with torch.no_grad():
        scores = net(process_batch((images, labels))[0])
    summary = json.loads((out / "summary.json").read_text())
    assert summary["accuracy"] == pytest.approx((scores.argmax(dim=1) == labels).double().mean().item())
    assert summary["loss"] == pytest.approx(F.nll_loss(scores, labels).item(), rel=1e-5) and summary["epochs"] == 7
    assert f"{summary['accuracy']:.2%} of 40 test images named right after 7 epochs" in printed.splitlines()[-1]


def test_plain_torch_load_reads_every_checkpoint(whole):
    registered = {each.__module__.partition(".")[0] for each in torch.serialization.get_safe_globals()}
    assert registered <= {"torch", "builtins", "traceback"}, "types of others would load here, and for no reader"
    parts = {"best", "model", "optimizer", "random", "run", "scheduler", "stopper", "trainer"}
    assert torch.load(whole[0] / "best.pt").keys() == {"model", "run"}
    for path in (whole[0] / "checkpoints").iterdir():
        assert torch.load(path).keys() == parts


def same_end(one, other):
    names = ["best.pt", "checkpoints/checkpoint_200.pt"]
    for before, after in (tuple(torch.load(folder / name)["model"] for folder in (one, other)) for name in names):
        assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
    assert (one / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()


@pytest.mark.parametrize("newest", [100, 200])
def test_it_goes_on_exactly_from_each_checkpoint(digits, whole, tmp_path, newest, capsys):
    shutil.copytree(whole[0], tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").iterdir():
        if int(path.stem.partition("_")[2]) > newest:
            path.unlink()
    # What a file manager or another program may leave there is passed over, and stays.
    strays = [tmp_path / "run" / "checkpoints" / name for name in ("checkpoint_100 (1).pt", "checkpoint_final.pt")]
    for stray in strays:
        stray.write_text("a stray")
    run(digits, tmp_path / "run", "--resume")
    assert f"checkpoint_{newest}.pt in epoch" in capsys.readouterr().out
    same_end(whole[0], tmp_path / "run")
    run(digits, tmp_path / "run", "--epochs", "2")  # begun anew
    assert all(stray.read_text() == "a stray" for stray in strays)
    assert sorted((tmp_path / "run" / "checkpoints").iterdir()) == sorted(strays)


@pytest.mark.parametrize(
    ("iteration", "number"),
    [(1, signal.SIGINT), (137, signal.SIGTERM), (165, signal.SIGINT), (231, signal.SIGINT)],
    ids=["the first step", "in an epoch", "the last of an epoch", "the very last"],
)
def test_an_interruption_saves_and_it_goes_on_exactly(digits, whole, tmp_path, monkeypatch, capsys, iteration, number):
    def interrupt(training, engine):
        if engine.state.iteration == iteration:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ignite_trainer.Training, "log_training_loss", interrupt)
        run(digits, tmp_path, "--print-every", "1")
    told = f"saved {tmp_path}/checkpoints/checkpoint_{iteration}.pt; go on with --resume"
    assert told in capsys.readouterr().err
    run(digits, tmp_path, "--resume")
    same_end(whole[0], tmp_path)


def test_resuming_a_finished_run_changes_nothing(digits, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    run(digits, tmp_path / "run", "--resume")
    same_end(whole[0], tmp_path / "run")
    assert (tmp_path / "run/summary.json").read_text() == (whole[0] / "summary.json").read_text()


def test_what_cannot_be_resumed_is_told_in_a_line(digits, whole, tmp_path, capsys):
    def copy(name):
        return shutil.copytree(whole[0], tmp_path / name)

    with pytest.raises(UserError, match=r"--resume: no checkpoint_\*\.pt in .*; train without --resume first"):
        run(digits, tmp_path / "empty", "--resume")

    out = copy("zero bytes")
    (out / "checkpoints/checkpoint_200.pt").write_bytes(b"")
    run(digits, out, "--resume")
    told = capsys.readouterr()
    assert "checkpoint_200.pt: not a whole checkpoint" in told.err and "checkpoint_100.pt in epoch 3" in told.out
    same_end(whole[0], out)

    out = copy("cut")
    for path in (out / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"checkpoint_\d00\.pt: not a whole checkpoint"):
        run(digits, out, "--resume")

    out = copy("of an earlier version")
    for path in (out / "checkpoints").iterdir():
        torch.save({"model": nn.Linear(2, 2).state_dict()}, path)
    with pytest.raises(UserError, match="no checkpoint of this repository, or one of an earlier version"):
        run(digits, out, "--resume")

    out = copy("with other flags")
    with pytest.raises(UserError, match="begun with --batch-size 6, not 5"):
        run(digits, out, "--resume", "--batch-size", "5")

    out = copy("with the configuration of another run")
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"run": "0123456789abcdef"}))
    with pytest.raises(UserError, match=r"config\.json: of run 0123456789abcdef"):
        run(digits, out, "--resume")
    (out / "config.json").write_text('{"ru')
    with pytest.raises(UserError, match=r"config\.json: damaged"):
        run(digits, out, "--resume")

    out = copy("with the best weights of another run")
    best = torch.load(out / "best.pt")
    best["run"]["id"] = "0123456789abcdef"
    torch.save(best, out / "best.pt")
    with pytest.raises(UserError, match=r"best\.pt and checkpoints/checkpoint_200\.pt are of two runs"):
        run(digits, out, "--resume")

    out = copy("without figures")
    for name in ("config.json", "metrics.jsonl", "summary.json"):
        (out / name).unlink()
    run(digits, out, "--resume")
    same_end(whole[0], out)
    written, told = (json.loads((folder / "config.json").read_text()) for folder in (out, whole[0]))
    assert written["run"] == told["run"] and written["out"] == str(out)

    out = copy("without weights")
    (out / "checkpoints/checkpoint_200.pt").unlink()
    (out / "best.pt").unlink()
    run(digits, out, "--resume")
    same_end(whole[0], out)


def test_other_data_than_the_run_was_begun_with_are_refused(digits, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "run")
    grown = make_digits(tmp_path / "digits", digits=(280, 40))
    state = torch.load(tmp_path / "run/checkpoints/checkpoint_200.pt")
    state["run"]["config"]["data"] = str(grown)
    torch.save(state, tmp_path / "run/checkpoints/checkpoint_200.pt")
    with pytest.raises(UserError, match="--resume: an epoch had 33 batches, now it has 42"):
        run(grown, tmp_path / "run", "--resume")


def test_there_is_a_whole_best_pt_at_any_moment(digits, tmp_path, monkeypatch):
    """Also while the next one is written."""
    whole_at, save = [], torch.save

    def look(content, *rest, **options):
        if (tmp_path / "best.pt").exists() or whole_at:
            whole_at.append(list(torch.load(tmp_path / "best.pt")))
        save(content, *rest, **options)

    monkeypatch.setattr(torch, "save", look)
    run(digits, tmp_path, "--epochs", "4")
    assert len(whole_at) >= 2 and all(sorted(parts) == ["model", "run"] for parts in whole_at)


def test_a_full_disk_is_told_in_a_line_and_what_was_whole_stays(digits, tmp_path, monkeypatch):
    save = torch.save

    def full(content, *rest, **options):
        if "optimizer" in content and saved_checkpoints(tmp_path):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(content, *rest, **options)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"checkpoint_200\.pt: not written \(No space left on device\)"):
        run(digits, tmp_path)
    assert [path.name for path in saved_checkpoints(tmp_path)] == ["checkpoint_100.pt"]
    assert torch.load(tmp_path / "checkpoints/checkpoint_100.pt")["trainer"]["iteration"] == 100


def saved_checkpoints(out):
    return sorted((out / "checkpoints").glob("*.pt"))


def test_a_new_run_does_not_keep_old_checkpoints(digits, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "checkpoint_900.pt").write_text("of an earlier run")
    run(digits, tmp_path, "--epochs", "4")
    assert [path.name for path in folder.iterdir()] == ["checkpoint_100.pt"]


def test_it_stops_early_when_the_validation_gets_worse(digits, tmp_path, monkeypatch, capsys):
    original = ignite_trainer.get_data_loaders

    def with_wrong_validation_labels(*arguments):
        loaders = original(*arguments)
        loaders[1].dataset.labels = (loaders[1].dataset.labels + 1) % 10
        return loaders

    monkeypatch.setattr(ignite_trainer, "get_data_loaders", with_wrong_validation_labels)
    run(digits, tmp_path, "--epochs", "12", "--patience", "1")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["validation_loss"] for line in lines]
    assert 2 <= len(losses) < 12 and losses[-1] > losses[-2] and losses[:-1] == sorted(losses[:-1], reverse=True)
    assert "stopped early: 1 epochs" in capsys.readouterr().out
    assert json.loads((tmp_path / "summary.json").read_text())["epochs"] == len(losses)


def test_a_loss_that_is_not_finite_is_told_once(digits, tmp_path, capsys):
    with pytest.raises(UserError, match=r"^loss is (nan|inf) at epoch 1, iteration \d+: stopped; lower --lr$"):
        run(digits, tmp_path, "--lr", "1e38")
    assert capsys.readouterr().err == "" and not saved_checkpoints(tmp_path)


def test_a_batch_of_more_than_there_are_is_refused(digits, tmp_path):
    with pytest.raises(UserError, match="--batch-size 500 is more than the 202 training images"):
        run(digits, tmp_path, "--batch-size", "500")


@pytest.mark.parametrize("flags", [("--epochs", "1", "--batch-size", "202"), ("--epochs", "5", "--batch-size", "202")])
def test_a_training_of_few_steps(digits, tmp_path, flags):
    run(digits, tmp_path, *flags)
    assert (tmp_path / "summary.json").exists()


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data/mnist")
def test_the_real_set_and_its_mean():
    loaders = [*get_data_loaders(128, 1000, str(REAL)), get_test_loader(1000, str(REAL))]
    assert [len(loader.dataset) for loader in loaders] == [55_000, 5_000, 10_000]
    histogram = sum(torch.bincount(loader.dataset.images.view(-1), minlength=256) for loader in loaders[:2]).double()
    pixels, share = torch.arange(256) / 255, histogram / histogram.sum()
    mean = (pixels * share).sum()
    assert mean == pytest.approx(digit_net.MEAN, abs=5e-5)
    assert ((pixels - mean).square() * share).sum().sqrt() == pytest.approx(digit_net.STD, abs=5e-5)
