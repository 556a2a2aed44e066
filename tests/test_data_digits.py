"""The embedded digits: reproducible, in MNIST's own files, centred as MNIST is, and worth learning from."""

import struct

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.datasets import MNIST

from data import digits
from data.digit_strokes.glyphs import GLYPHS, spline
from data.digits import draw_digits, ink, make_digits


def files(root):
    return {path.name: path.read_bytes() for path in (root / "MNIST/raw").iterdir()}


def test_one_seed_gives_one_sample_and_another_seed_another(tmp_path):
    first, again = (files(make_digits(tmp_path / name, (60, 20))) for name in ("first", "again"))
    other = files(make_digits(tmp_path / "other", (60, 20), seed=1))
    assert first == again and first.keys() == other.keys()
    assert first["train-images-idx3-ubyte"] != other["train-images-idx3-ubyte"]


def test_the_files_are_mnist_s_and_its_own_class_reads_them(tmp_path):
    root = make_digits(tmp_path / "digits", (60, 20))
    raw = (root / "MNIST/raw/train-images-idx3-ubyte").read_bytes()
    assert struct.unpack(">4I", raw[:16]) == (2051, 60, 28, 28) and len(raw) == 16 + 60 * 784
    labels = (root / "MNIST/raw/t10k-labels-idx1-ubyte").read_bytes()
    assert struct.unpack(">2I", labels[:8]) == (2049, 20) and len(labels) == 28
    train, test = MNIST(root), MNIST(root, train=False)
    np.testing.assert_array_equal(train.data.numpy().tobytes(), raw[16:])
    assert test.targets.tolist() == list(labels[8:])
    for part, count in ((train, 6), (test, 2)):
        assert part.targets.bincount().tolist() == [count] * 10


def test_digits_are_set_as_in_mnist():
    """In 20x20 pixels, the centre of mass in the middle of 28x28, black on white turned round, with soft edges."""
    images, _ = draw_digits(np.random.default_rng(0), 500)
    mass = images.sum(axis=(1, 2), dtype=float)
    for axis in (1, 2):
        centre = (images.sum(axis=3 - axis) @ np.arange(28)) / mass
        assert np.abs(centre - 14).max() < 1.0
        touched = (images > 127).any(axis=axis)
        extent = 28 - touched.argmax(axis=1) - touched[:, ::-1].argmax(axis=1)
        assert extent.max() <= 21
    assert (images.max(axis=(1, 2)) == 255).all()
    assert ((images == 0).mean(axis=(1, 2)) > 0.5).all(), "the paper is white"
    between = ((images > 0) & (images < 255)).mean() / (images > 0).mean()
    assert 0.2 < between < 0.8
    assert 25 < images.mean() < 45  # MNIST's mean is 33.3


def test_every_way_of_writing_is_written():
    labels = [digit for digit, ways in GLYPHS.items() for _ in ways]
    assert sorted(set(labels)) == list(range(10)) and min(map(len, GLYPHS.values())) >= 3
    points = [point for ways in GLYPHS.values() for way in ways for stroke in way for point in stroke]
    assert np.min(points) >= 0 and np.max(points) <= 1


def test_a_stroke_goes_through_its_points_and_along_a_line():
    line = np.array([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    along = spline(4) @ line
    np.testing.assert_allclose(along[:, 1], 2 * along[:, 0], atol=1e-12)
    assert (np.diff(along[:, 0]) > 0).all() and 0 < along[0, 0] < 0.1 and 2.9 < along[-1, 0] < 3
    np.testing.assert_allclose(spline(5).sum(axis=1), 1)


def test_ink_of_a_straight_stroke_is_as_wide_as_the_pen():
    y = np.linspace(4, 24, 400)
    dabs = np.stack([np.full_like(y, 14.0), y], axis=1)[None]
    (image,) = ink(dabs, np.full((1, 400), y[1] - y[0]), np.array([1.5]))
    # Half the width is 1.5 pixels: full at distance 1, nothing at 2, along the whole stroke.
    assert (image[7:22, 13:16] == 255).all() and (image[7:22, [12, 16]] < 64).all() and not image[:, :12].any()
    assert 17 <= (image[:, 14] > 127).sum() <= 23


def test_a_network_learns_the_sample_and_a_linear_model_less():
    torch.manual_seed(0)
    (x, y), (test_x, test_y) = (
        (torch.from_numpy(images)[:, None] / 255, torch.from_numpy(labels).long())
        for images, labels in (draw_digits(np.random.default_rng([0, part]), n) for part, n in ((0, 2000), (1, 500)))
    )
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    network = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(8, 16, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )
    right = []
    for model in (linear, network):
        optimizer = torch.optim.AdamW(model.parameters(), 0.006)
        for _ in range(5):
            for batch in torch.randperm(len(x)).split(50):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            right.append((model(test_x).argmax(dim=1) == test_y).float().mean().item())
    assert right[1] > 0.87 and right[1] > right[0] + 0.03, right


def test_a_whole_sample_is_left_and_a_damaged_one_made_again(tmp_path, monkeypatch):
    root = make_digits(tmp_path / "digits", (60, 20))
    before = files(root)
    monkeypatch.setattr(digits, "draw_digits", lambda rng, count: pytest.fail("drawn again"))
    make_digits(root, (60, 20))
    monkeypatch.undo()
    (root / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    assert files(make_digits(root, (60, 20))) == before


def test_a_folder_that_is_no_sample_is_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="no sample of digits"):
        make_digits(tmp_path, (60, 20))
    assert (tmp_path / "mine.txt").read_text() == "mine"
