"""The reader's own photos in `--predict`: any name, any shape, and one that fails costs a line."""

import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ch04_vision.loaders.camvid import CLASSES
from ch04_vision.pictures import linknet, simple_cnn
from ch04_vision.simple_cnn import SimpleCNNModel
from common.errors import UserError
from common.names import Names, readable

CPU = torch.device("cpu")


class Colours(nn.Module):
    """A network without weights to learn: each class has a colour that it answers to, at half of the picture's size."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("colours", torch.randn(len(CLASSES), 3, 1, 1))
        self.sizes = []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        return F.conv2d(F.avg_pool2d(x, 2), self.colours)


@pytest.fixture
def photo():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (45, 80, 3), dtype=np.uint8))


def segment(paths, out, height=32):
    network = Colours()
    linknet.predict_photos(network, paths, out, CPU, height)
    return network


def classify(paths, out):
    simple_cnn.predict_photos(SimpleCNNModel("builtin"), paths, out, CPU)


@pytest.mark.parametrize(("answer", "endings"), [(segment, ["_mask", "_overlay"]), (classify, ["_classes"])])
def test_each_photo_has_pictures_of_its_own_whatever_its_name(answer, endings, photo, tmp_path, capsys):
    paths = []
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "same.png")
    paths += [tmp_path / name for name in ("Same.bmp", "price$^$.png", "n" * 251 + ".png", "n" * 250 + "m.png")]
    paths.append(tmp_path / os.fsdecode(b"caf\xe9.png"))
    for path in paths:
        photo.save(path)
    answer(paths, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len({name.lower() for name in names}) == len(paths) * len(endings)
    for ending in endings:
        expected = {f"{name}{ending}.png" for name in ("same", "same_2", "Same_3", "price$^$", "caf\ufffd")}
        assert expected <= set(names)
    assert all(len(os.fsencode(name)) <= 255 for name in names)
    assert capsys.readouterr().out.count("; wrote ") == len(paths)


@pytest.mark.parametrize("answer", [segment, classify])
def test_a_photo_that_cannot_be_read_costs_a_line_and_not_the_others(answer, photo, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"la la la")
    photo.save(tmp_path / "whole.png")
    with pytest.raises(UserError, match="--predict: 1 of 2 pictures could not be read"):
        answer([tmp_path / "broken.jpg", tmp_path / "whole.png"], tmp_path / "out")
    told = capsys.readouterr()
    assert "broken.jpg: not a whole picture" in told.err and len(told.err.splitlines()) == 1
    assert "whole.png" in told.out and any((tmp_path / "out").iterdir())


@pytest.mark.parametrize("answer", [segment, classify])
def test_an_out_that_cannot_be_written_is_told(answer, photo, tmp_path):
    photo.save(tmp_path / "a.png")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match=r"--out .*out: "):
        answer([tmp_path / "a.png"], tmp_path / "out")


@pytest.mark.parametrize("size", [(10, 1000), (1000, 10), (3, 3), (30, 3000)])
def test_a_strip_has_pictures_of_bounded_size(size, tmp_path):
    Image.new("RGB", size, (90, 90, 90)).save(tmp_path / "strip.png")
    network = segment([tmp_path / "strip.png"], tmp_path, height=96)
    with Image.open(tmp_path / "strip_overlay.png") as overlay, Image.open(tmp_path / "strip_mask.png") as mask:
        assert max(overlay.size) < 1600 and mask.size == size
    height, width = network.sizes[0]
    assert min(height, width) >= 32 and height * width <= 1.1 * (4 * 96) ** 2


@pytest.mark.parametrize("size", [(80, 45), (45, 80), (800, 600)])
def test_a_photo_is_shown_at_the_height_of_training(size, photo, tmp_path):
    photo.resize(size).save(tmp_path / "photo.png")
    ((height, width),) = segment([tmp_path / "photo.png"], tmp_path, height=64).sizes
    assert min(height, width) == 64 and max(height, width) == round(64 * max(size) / min(size))


def test_class_by_class_gives_what_all_scores_at_once_give():
    network, images = Colours(), torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8)
    classes = linknet.predict_classes(network, images, size=(70, 111))
    inputs, _ = linknet.prepare(images, torch.empty(0))
    scores = F.interpolate(network(inputs), (70, 111), mode="bilinear", align_corners=False)
    assert torch.equal(classes, scores.argmax(1).to(torch.uint8))


def test_each_feature_map_is_as_bright_as_it_can_be():
    maps = torch.stack([torch.eye(4), 0.01 * torch.ones(4, 4), torch.zeros(4, 4)])
    assert simple_cnn.scaled(maps).amax((1, 2)).tolist() == [1, 1, 0]


def test_names_fit_and_titles_are_short():
    names = Names("_overlay.png")
    long = [names(f"{'ä' * 200}{number}.jpg") for number in range(12)]
    assert len(set(long)) == 12 and all(len(f"{name}_overlay.png".encode()) <= 255 for name in long)
    assert names(os.fsdecode(b"x/caf\xe9.jpg")) == "caf\ufffd"
    assert len(readable("n" * 300)) == 60 and readable(os.fsdecode(b"x/caf\xe9.jpg")) == "caf\ufffd.jpg"
