"""The embedded pictures of ten classes: reproducible, in the layout of a folder of classes, whole or absent."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from ch04_vision.loaders.cifar import CLASSES
from data import sample_folder, tiny_objects
from data.sample_folder import make_sample
from data.tiny_objects import make_tiny_objects
from data.tiny_pictures.drawings import OBJECTS
from data.tiny_pictures.sketch import CANVAS, SCENES, Sketch


def pictures(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.png")}


def test_one_seed_gives_one_sample_and_another_seed_another(tmp_path):
    first, again = (pictures(make_tiny_objects(tmp_path / name, pictures=(2, 1))) for name in ("first", "again"))
    other = pictures(make_tiny_objects(tmp_path / "other", pictures=(2, 1), seed=1))
    assert first == again and first.keys() == other.keys()
    assert not set(first.values()) & set(other.values())
    assert len(set(first.values())) == 30  # no picture twice


def test_a_smaller_sample_is_the_beginning_of_a_larger_one(tmp_path):
    small, large = (pictures(make_tiny_objects(tmp_path / f"{n}", pictures=(n, 1))) for n in (1, 2))
    assert small.items() < large.items()


def test_layout_is_a_folder_of_the_classes_of_cifar(tmp_path):
    root = make_tiny_objects(tmp_path / "sample", pictures=(2, 1))
    assert tuple(OBJECTS) == CLASSES
    for split, count in (("train", 2), ("test", 1)):
        assert {folder.name: len(list(folder.iterdir())) for folder in (root / split).iterdir()} == dict.fromkeys(
            CLASSES, count
        )
    for path in root.rglob("*.png"):
        with Image.open(path) as picture:
            assert (picture.mode, picture.size) == ("RGB", (32, 32))
            assert np.asarray(picture).std() > 5


def test_every_background_of_a_class_is_one_that_there_is():
    assert all(scene in SCENES for _, usual in OBJECTS.values() for scene in usual)


@pytest.mark.parametrize("name", OBJECTS)
def test_the_object_is_in_the_picture_and_differs_from_its_background(name):
    for seed in range(5):
        sketch = Sketch(np.random.default_rng(seed))
        SCENES["meadow"](sketch)
        before = np.asarray(sketch.image, dtype=int)
        sketch.place()
        OBJECTS[name][0](sketch)
        changed = np.abs(np.asarray(sketch.image, dtype=int) - before).max(axis=2) > 25
        assert 0.04 < changed.mean() < 0.7
        rows, columns = np.nonzero(changed)
        assert CANVAS / 8 < rows.mean() < CANVAS * 7 / 8 and CANVAS / 8 < columns.mean() < CANVAS * 7 / 8


def test_a_whole_sample_is_left_and_a_damaged_one_made_again(tmp_path, monkeypatch):
    root = make_tiny_objects(tmp_path / "sample", pictures=(1, 1))
    before = pictures(root)
    monkeypatch.setattr(tiny_objects, "draw_object", lambda rng, name: pytest.fail("drawn again"))
    make_tiny_objects(root, pictures=(1, 1))
    monkeypatch.undo()
    (root / "train" / "cat" / "0000.png").unlink()
    assert pictures(make_tiny_objects(root, pictures=(1, 1))) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample"]  # nothing is left beside it
    parameters = json.loads((root / "sample.json").read_text())
    assert len(parameters["files"]) == 20 and parameters["pictures"] == [1, 1]


def test_a_folder_that_is_no_sample_is_left_as_it_is(tmp_path):
    (tmp_path / "cifar").mkdir()
    (tmp_path / "cifar" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="no sample of tiny objects"):
        make_tiny_objects(tmp_path / "cifar", pictures=(1, 1))
    assert (tmp_path / "cifar" / "mine.txt").read_text() == "mine"


def test_an_interrupted_sample_leaves_nothing(tmp_path):
    def write(folder):
        (folder / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path / "sample", {"sample": "halves"}, write)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--seed", "-1"], "is not a whole number from 0 to 4294967295"),
        (["--out", __file__], "no sample of tiny objects (it has no sample.json)"),
    ],
)
def test_a_maker_tells_a_mistake_in_a_line(flags, told, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tiny_objects.py", "--out", str(tmp_path / "made"), *flags])
    with pytest.raises(SystemExit) as end:
        sample_folder.main(make_tiny_objects, "Draw them.")
    assert end.value.code == 2 and told in capsys.readouterr().err and not (tmp_path / "made").exists()
