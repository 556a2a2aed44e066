"""`linknet.py` as a reader runs it, on a sample made small: training, scoring, predicting, and being misused."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ch04_vision import linknet
from ch04_vision.loaders.camvid import CLASSES, PALETTE, CamVid
from common import cli
from data.streets import make_streets

REAL = Path(__file__).parents[2] / "shared" / "data" / "camvid"


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return make_streets(tmp_path_factory.mktemp("sample") / "streets", frames=(8, 3, 2), size=(64, 64))


@pytest.fixture
def program(monkeypatch, streets, capsys):
    """Runs the program with the flags given; returns its exit status and what it printed."""
    monkeypatch.setattr(linknet, "make_streets", lambda root: streets)

    def run(*flags):
        monkeypatch.setattr(sys, "argv", ["ch04_vision/linknet.py", "--device", "cpu", *map(str, flags)])
        torch.manual_seed(99)  # the program's own seed must be what counts
        try:
            cli.run(linknet.main)
        except SystemExit as end:
            return end.code, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of two epochs; filled by the first test that asks for it."""
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def run_folder(trained, program):
    if not (trained / "summary.json").exists():
        status, _, err = program("--epochs", 2, "--batch-size", 4, "--out", trained)
        assert status == 0, err
    return trained


def test_training_leaves_figures_and_pictures(program, run_folder):
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["per_class_iou"].keys() == CLASSES.keys()
    assert {"mean_iou", "pixel_accuracy", "loss", "epochs", "seconds", "images_per_second"} <= summary.keys()
    assert Image.open(run_folder / "predictions.png").width > 500
    assert Image.open(run_folder / "curves.png").width > 500
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert summary["mean_iou"] == max(line["mean_iou"] for line in lines)


def test_one_seed_gives_one_result(program, run_folder, tmp_path, no_figures):
    assert program("--epochs", 2, "--batch-size", 4, "--out", tmp_path)[0] == 0
    one, other = (torch.load(folder / "best.pt", weights_only=True) for folder in (run_folder, tmp_path))
    assert all(torch.equal(one["model"][name], other["model"][name]) for name in one["model"])


@pytest.mark.usefixtures("no_figures")
def test_half_size_epochs_see_half_of_the_height_and_width_and_the_jaccard_loss_goes_along(
    program, tmp_path, monkeypatch
):
    seen = []

    class Watched(linknet.SegmentationModel):
        def forward(self, x):
            seen.append(tuple(x.shape[2:])) if self.training else None
            return super().forward(x)

    monkeypatch.setattr(linknet, "SegmentationModel", Watched)
    flags = ("--epochs", 2, "--half-size-epochs", 1, "--batch-size", 8, "--loss", "jaccard", "--out", tmp_path)
    status, out, err = program(*flags, "--amp", "bf16")
    assert status == 0, err
    assert seen == [(32, 32), (64, 64)]
    # Windows of 32 pixels have features one place wide, and there bfloat16 has wrong gradients on a CPU.
    assert "in float32" in out and json.loads((tmp_path / "config.json").read_text())["amp"] == "off"
    trained = json.loads((tmp_path / "summary.json").read_text())
    assert program("--evaluate", "val", "--amp", "off", "--out", tmp_path)[0] == 0
    scored = json.loads((tmp_path / "evaluation_val.json").read_text())
    assert scored["valid_loss"] == pytest.approx(trained["valid_loss"], abs=1e-6)


def test_evaluate_scores_a_split_as_training_did(program, run_folder, tmp_path):
    checkpoint = run_folder / "best.pt"
    status, out, err = program("--evaluate", "val", "--checkpoint", checkpoint, "--out", tmp_path, "--batch-size", 4)
    assert status == 0, err
    files = run_folder / "summary.json", tmp_path / "evaluation_val.json"
    trained_summary, scored = (json.loads(path.read_text()) for path in files)
    assert scored["frames"] == 3 and scored["split"] == "val"
    for name in ("mean_iou", "mean_iou_mirrored", "pixel_accuracy", "valid_loss"):
        assert scored[name] == pytest.approx(trained_summary[name], abs=1e-6)
    told = f"mean IoU {scored['mean_iou']:.3f}, {scored['mean_iou_mirrored']:.3f} with the mirror image too"
    assert f"{told}, over the 3 frames of val" in out
    assert all(name in out for name in CLASSES)


def test_a_run_ends_with_the_scenes_that_chose_nothing(program, run_folder, tmp_path):
    status, _, err = program("--evaluate", "test", "--checkpoint", run_folder / "best.pt", "--out", tmp_path)
    assert status == 0, err
    summary, scored = (
        json.loads(path.read_text()) for path in (run_folder / "summary.json", tmp_path / "evaluation_test.json")
    )
    assert scored["frames"] == 2
    for name in ("mean_iou", "pixel_accuracy", "per_class_iou"):
        assert summary[f"test_{name}"] == pytest.approx(scored[name], abs=1e-6)
    assert summary["test_mean_iou"] != summary["mean_iou"]


@pytest.mark.usefixtures("no_figures")
def test_without_a_test_part_the_figures_are_of_the_scenes_that_chose(program, streets, tmp_path):
    for part in ("train", "trainannot", "val", "valannot"):
        shutil.copytree(streets / part, tmp_path / "data" / part)
    status, out, err = program("--data", tmp_path / "data", "--epochs", 1, "--out", tmp_path / "out")
    assert status == 0, err
    assert "8 frames of 64x64 to train, 3 to validate, on cpu" in out and "by which its weights were chosen" in out
    assert not any(name.startswith("test") for name in json.loads((tmp_path / "out" / "summary.json").read_text()))


def test_the_fused_network_scores_as_its_own_predictions_do(run_folder, streets):
    """The figures once more, from the predicted classes of the unfused network, pixel by pixel."""
    from ch04_vision.linknet_blocks import SegmentationModel
    from ch04_vision.pictures.linknet import predict_classes

    model = SegmentationModel(len(CLASSES))
    model.load_state_dict(torch.load(run_folder / "best.pt")["model"])
    dataset = CamVid(streets, "val")
    guess, truth = predict_classes(model, dataset.images).numpy(), dataset.masks.numpy()
    counted = truth < len(CLASSES)
    accuracy = (guess == truth)[counted].mean()
    summary = json.loads((run_folder / "summary.json").read_text())
    assert summary["pixel_accuracy"] == pytest.approx(accuracy, abs=2e-3)


def test_predict_takes_any_picture(program, run_folder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    generator = np.random.default_rng(0)
    picture = Image.fromarray(generator.integers(0, 256, (50, 90, 3), dtype=np.uint8))
    picture.convert("L").save(photos / "grey.png")
    picture.convert("RGBA").save(photos / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # held sideways: to be turned by 90 degrees
    picture.save(photos / "turned.jpg", exif=exif)
    picture.resize((700, 500)).save(photos / "large.png")
    (photos / "notes.txt").write_text("no picture")
    status, out, err = program("--predict", photos, "--checkpoint", run_folder / "best.pt", "--out", tmp_path / "out")
    assert status == 0, err
    assert "left out 1 of another kind, such as notes.txt" in out
    for name, size in {"grey": (90, 50), "alpha": (90, 50), "turned": (50, 90), "large": (700, 500)}.items():
        mask = Image.open(tmp_path / "out" / f"{name}_mask.png")
        assert mask.size == size and mask.mode == "P" and np.array(mask).max() < len(CLASSES)
        assert mask.getpalette()[: 3 * len(CLASSES)] == PALETTE[:-1].flatten().tolist()
        assert Image.open(tmp_path / "out" / f"{name}_overlay.png").width > 500


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--data", "/nowhere"], "--data /nowhere: no such folder"),
        (["--evaluate", "dev"], "expected the folders dev and devannot"),
        (["--predict", "/nowhere.jpg"], "/nowhere.jpg: no such file or folder"),
        (["--predict", __file__], "test_ch04_linknet_program.py: not a whole picture"),
        (["--model", "paper", "--evaluate", "val"], "best.pt was trained with book"),
        (["--batch-size", "9"], "--batch-size 9 is more than the 8 examples"),
        (["--crop", "32"], "expected 2 arguments"),
        (["--crop", "8", "8"], "windows of 8x8 (--crop) are too small; expected 32x32 at least"),
        (["--half-size-epochs", "1", "--crop", "63", "64"], "expected 64x64 at least, for --half-size-epochs"),
        (["--batch-size", "1", "--crop", "32", "64"], "one window of 32x64 leaves one value a channel"),
        (["--batch-size", "1", "--crop", "32", "32", "--model", "paper"], "one window of 32x32 leaves one value"),
        (["--average", "5"], "'5' is not a number from 0 up to 1"),
        (["--evaluate", "val", "--predict", "a.jpg"], "exclude each other"),
    ],
)
def test_a_mistake_is_told_in_a_line_or_two(program, run_folder, flags, complaint):
    status, _, err = program("--out", run_folder, *flags)
    assert status == 2 and complaint in err and len(err.strip().splitlines()) <= 2


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real CamVid is not here")
def test_the_real_frames_are_read_and_scored(program, run_folder, tmp_path):
    dataset = CamVid(REAL, "val")
    assert dataset.images.shape == (101, 3, 360, 480) and len(CamVid(REAL, "train")) == 367
    assert dataset.masks.unique().tolist() == list(range(12)), "all classes occur, and void"
