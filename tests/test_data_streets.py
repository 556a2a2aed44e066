"""The embedded street scenes: reproducible, in CamVid's layout, whole or absent, and not to be told apart by colour."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.files import beside
from data import streets
from data.street_scenes import painter as painter_module
from data.street_scenes.painter import BUILDING, CAR, FENCE, POLE, ROAD, SKY, VOID, Painter, board
from data.street_scenes.scene import draw_street, seam
from data.streets import make_streets

ROOT = Path(__file__).resolve().parents[1]
SMALL = {"frames": (2, 1, 1), "size": (64, 80)}


def pictures(root):
    """Every file of a sample with its bytes, `sample.json` aside."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.png")}


def run_python(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)


def test_one_seed_gives_one_sample_and_another_seed_another(tmp_path):
    first, again = make_streets(tmp_path / "first", **SMALL), make_streets(tmp_path / "again", **SMALL)
    other = make_streets(tmp_path / "other", seed=1, **SMALL)
    assert pictures(first) == pictures(again)
    assert all(pictures(first)[name] != content for name, content in pictures(other).items())


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(tmp_path):
    small, large = make_streets(tmp_path / "small", **SMALL), make_streets(tmp_path / "large", (3, 2, 1), SMALL["size"])
    assert pictures(small).items() < pictures(large).items()


def test_no_scene_occurs_twice(tmp_path):
    root = make_streets(tmp_path / "streets", **SMALL)
    frames = [content for name, content in pictures(root).items() if "annot" not in name]
    assert len(frames) == len(set(frames)) == 4


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (150, 70)])
def test_layout_and_formats_are_those_of_camvid(tmp_path, size):
    root = make_streets(tmp_path / "streets", frames=(3, 1, 1), size=size)
    folders = {"train": 3, "trainannot": 3, "val": 1, "valannot": 1, "test": 1, "testannot": 1}
    assert {path.name: len(list(path.iterdir())) for path in root.iterdir() if path.is_dir()} == folders
    for label_path in root.glob("*annot/*.png"):
        frame_path = root / label_path.parent.name.removesuffix("annot") / label_path.name
        with Image.open(frame_path) as frame, Image.open(label_path) as label:
            assert (frame.mode, label.mode) == ("RGB", "L")
            assert frame.size == label.size == size[::-1]
            assert np.asarray(label).max() <= VOID


def test_every_class_occurs_in_most_frames():
    labels = [draw_street(np.random.default_rng([7, index]), (90, 120))[1] for index in range(16)]
    share_of_frames = np.mean([[(label == value).any() for value in range(VOID + 1)] for label in labels], axis=0)
    assert share_of_frames[:VOID].min() > 0.5
    share_of_pixels = np.mean([np.bincount(label.ravel(), minlength=12) / label.size for label in labels], axis=0)
    assert set(np.argsort(share_of_pixels)[-3:]) == {SKY, BUILDING, ROAD}  # the three common ones in CamVid too
    assert 0.01 < share_of_pixels[VOID] < 0.1
    assert share_of_pixels[:VOID].min() > 0.005


def test_colour_alone_does_not_tell_the_classes_apart():
    """Each pixel given to the class of the nearest mean colour: far below what a network reaches."""
    scenes = [draw_street(np.random.default_rng([8, index]), (90, 120)) for index in range(16)]
    colours = np.concatenate([frame.reshape(-1, 3) for frame, _ in scenes]).astype(np.float32)
    labels = np.concatenate([label.ravel() for _, label in scenes])
    colours, labels = colours[labels != VOID], labels[labels != VOID]
    means = np.stack([colours[labels == value].mean(0) for value in range(VOID)])
    guesses = np.square(colours[:, None] - means).sum(2).argmin(1)
    confusion = np.bincount(VOID * labels + guesses, minlength=VOID * VOID).reshape(VOID, VOID)
    iou = confusion.diagonal() / (confusion.sum(0) + confusion.sum(1) - confusion.diagonal())
    assert 1 / VOID / VOID < iou.mean() < 0.3


def test_frame_and_label_of_a_thing_lie_on_each_other():
    painter = Painter(90, 120, vanishing_point=(0.5, 0.5), eye=1.5, bend=0.001, haze=(0, 0, 0), sun=0)
    painter.paint(board(0.5, 1.0, 10.0, 1.0, 0.8), (255, 255, 255), CAR)
    painter.stroke([(-2, 0, 10), (-2, 3, 10)], 0.01, (255, 255, 255), POLE, least=2)
    step = painter_module.SUPERSAMPLING
    painted = np.asarray(painter.frame_image.convert("L")) > 0
    label = np.asarray(painter.label_image)
    np.testing.assert_array_equal(painted, label != SKY)
    # 2 m wide and 1.6 m high at 10 m: a pinhole camera makes them focal / 10 times as many pixels.
    rows, columns = np.nonzero(label == CAR)
    assert np.ptp(columns) == pytest.approx(2.0 * painter.focal / 10, abs=1.5)
    assert np.ptp(rows) == pytest.approx(1.6 * painter.focal / 10, abs=1.5)
    assert columns.mean() == pytest.approx(60 * step + (0.5 + 0.001 * 100) * painter.focal / 10, abs=1)
    # A pole too thin to see is drawn two pixels of the finished frame wide.
    assert set((label == POLE).sum(1)) == {0, 2 * step}


def test_seams_spare_thin_things():
    label = np.full((20, 20), BUILDING, dtype=np.uint8)
    label[:, 5:7], label[:, 7:12], label[:, 15] = POLE, FENCE, CAR
    sewn = [seam(label, np.random.default_rng(seed)) for seed in range(20)]
    things = label != BUILDING
    for picture in sewn:
        np.testing.assert_array_equal(picture[things], label[things])
        assert set(np.unique(picture[~things])) <= {BUILDING, VOID}
    assert any((picture == VOID).any() for picture in sewn) and any((picture != VOID).all() for picture in sewn)


def test_a_sample_that_is_there_is_not_drawn_again(tmp_path, monkeypatch):
    root = make_streets(tmp_path / "streets", **SMALL)
    monkeypatch.setattr(streets, "draw_street", lambda *_: pytest.fail("drawn again"))
    assert make_streets(root, **SMALL) == root


def test_another_or_a_damaged_sample_is_made_again(tmp_path):
    root = make_streets(tmp_path / "streets", **SMALL)
    whole = pictures(root)
    (root / "train" / "0000.png").write_bytes(whole["train/0000.png"][:100])
    assert pictures(make_streets(root, **SMALL)) == whole
    (root / "valannot" / "0000.png").unlink()
    assert pictures(make_streets(root, **SMALL)) == whole
    (root / "sample.json").write_text("{")
    assert pictures(make_streets(root, **SMALL)) == whole
    assert pictures(make_streets(root, seed=1, **SMALL)).keys() == whole.keys()
    assert pictures(root) != whole
    assert [path.name for path in tmp_path.iterdir()] == ["streets"]


def test_an_interrupted_making_leaves_nothing_that_passes_for_a_sample(tmp_path, monkeypatch):
    root, drawn = tmp_path / "streets", []

    def interrupted(rng, size):
        drawn.append(size)
        if len(drawn) == 3:
            raise KeyboardInterrupt
        return draw_street(rng, size)

    monkeypatch.setattr(streets, "draw_street", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_streets(root, **SMALL)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / ".streets-killed" / "train").mkdir(parents=True)  # what a killed process leaves behind
    assert len(pictures(make_streets(root, **SMALL))) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["streets"]


def test_what_somebody_left_in_a_sample_stays(tmp_path, monkeypatch, capsys):
    root = make_streets(tmp_path / "streets", **SMALL)
    (root / ".DS_Store").touch()
    (root / "train" / "Thumbs.db").touch()
    (root / "notes.txt").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(streets, "draw_street", lambda *_: pytest.fail("drawn again"))
        make_streets(root, **SMALL)
    make_streets(root, seed=1, **SMALL)
    assert not (root / "notes.txt").exists() and len(pictures(root)) == 8
    kept = [path.name for path in (tmp_path / "streets_kept_1").rglob("*") if path.is_file()]
    assert sorted(kept) == [".DS_Store", "Thumbs.db", "notes.txt"]
    assert "1 files in it that are not the sample's lie in" in capsys.readouterr().out


def test_a_folder_that_a_living_process_draws_in_is_left(tmp_path):
    with beside(tmp_path / "streets") as making:
        (making / "half.png").touch()
        make_streets(tmp_path / "streets", **SMALL)
        assert (making / "half.png").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["streets"]


def test_a_folder_that_is_no_sample_is_left_alone(tmp_path):
    precious = tmp_path / "camvid" / "train" / "0001TP_006690.png"
    precious.parent.mkdir(parents=True)
    precious.write_bytes(b"real")
    with pytest.raises(FileExistsError, match=r"no sample\.json"):
        make_streets(tmp_path / "camvid", **SMALL)
    assert precious.read_bytes() == b"real"
    process = run_python("data/streets.py", "--out", str(tmp_path / "camvid"))
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "no sample.json" in complaint and "Traceback" not in complaint
    (tmp_path / "empty").mkdir()
    assert len(pictures(make_streets(tmp_path / "empty", **SMALL))) == 8


@pytest.mark.parametrize("stale", [False, True])
def test_processes_that_start_at_once_share_one_sample(tmp_path, stale):
    root = tmp_path / "streets"
    if stale:
        make_streets(root, seed=5, **SMALL)
    code = f"from data.streets import make_streets; make_streets({str(root)!r}, **{SMALL})"
    processes = [run_python("-c", code) for _ in range(3)]
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint
    assert pictures(root) == pictures(make_streets(tmp_path / "alone", **SMALL))
    assert {path.name for path in tmp_path.iterdir()} == {"streets", "alone"}


@pytest.mark.parametrize("wrong", [{"size": (63, 80)}, {"frames": (1, -1, 1)}])
def test_sizes_and_counts_are_checked(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be"):
        make_streets(tmp_path / "streets", **(SMALL | wrong))
    assert not (tmp_path / "streets").exists()
