"""Listings 3.3 to 3.9 and figure 3.1: the tours as a reader runs them, and the faults of files and folders."""

import contextlib
import gzip
import io
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch.utils.data import Dataset
from torchvision.datasets import MNIST
from torchvision.datasets.utils import calculate_md5

from ch03_workflow import mnist
from ch03_workflow.loaders import mnist as mnist_file
from ch03_workflow.loaders.image_folder import open_image_folder
from ch03_workflow.loaders.mnist import mnist_folder, read_mnist
from common import cli
from common.cli import UserError
from data.digits import make_digits
from data.tiny_objects import make_tiny_objects

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "data" / "mnist"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        out = tmp_path_factory.mktemp("tour")
        patch.setattr(sys, "argv", ["torchvision_tour.py", "--device", "cpu", "--out", str(out)])
        variables = runpy.run_path(str(ROOT / "ch03_workflow/torchvision_tour.py"), run_name="__main__")
    return variables | {"printed": printed.getvalue(), "out": out}


# 3.3 to 3.5 and the table


def test_mnist_of_3_3_to_3_5(seen):
    assert seen["v"] is torchvision
    lines = [line.strip() for line in repr(seen["mnist"]).splitlines()]
    assert lines[0] == "Dataset MNIST" and lines[1] == "Number of datapoints: 6000" and lines[3] == "Split: Train"
    assert lines[2].startswith("Root location: ") and len(lines) == 4
    assert isinstance(seen["mnist"], Dataset) and len(seen["mnist"]) == 6000
    image, label = seen["mnist"][1]
    assert (image.mode, image.size, type(label)) == ("L", (28, 28), int) and label == seen["mnist"].targets[1]
    np.testing.assert_array_equal(np.array(image), seen["mnist"].data[1])


def test_the_table_of_data_sets(seen):
    table = seen["table"]
    assert {name: row["needs"] for name, row in table.items() if row["needs"]} == {
        "EMNIST": ["split"],
        "CocoCaptions": ["annFile"],
        "CocoDetection": ["annFile"],
        "PhotoTour": ["name"],
    }
    cannot = {name for name, row in table.items() if not row["downloads"]}
    assert cannot == {"CocoCaptions", "CocoDetection", "LSUN", "ImageNet"}
    assert len(table) == 13 and all(row["is a Dataset"] for row in table.values())
    assert seen["all_datasets"] and set(table) < set(seen["every"])


# 3.6


def test_the_image_folder_of_3_6(seen):
    images = seen["silent"]
    assert images.class_to_idx == {"class_a": 0, "class_b": 1} and len(images) == len(seen["told"]) == 7
    image, label = images[0]
    assert (image.mode, image.size, label) == ("RGB", (160, 120), 0) and images.targets == [0] * 4 + [1] * 3
    assert "left out 1 of another kind, such as class_a/notes.txt" in seen["printed"]
    assert "Couldn't find any class folder" in seen["no_class"]
    assert not hasattr(torchvision, "ImageFolder")


def folder_of(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), "red").save(root / name)
    return root


def test_names_of_files_do_not_matter(tmp_path):
    images = open_image_folder(folder_of(tmp_path, "dog/z.png", "dog/0.jpg", "ant/holiday 3.jpg"))
    assert [label for _, label in images] == [0, 1, 1] and images.classes == ["ant", "dog"]


def test_faults_of_a_folder_of_classes(tmp_path, capsys):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        open_image_folder(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no folder in it; expected .*/<class>/<name>\.jpg"):
        open_image_folder(tmp_path)
    folder_of(tmp_path, "a/1.png", "a/2.png")
    (tmp_path / "a/list.txt").write_text("1, 2")
    (tmp_path / "readme").write_text("two")
    assert len(open_image_folder(tmp_path)) == 2
    assert "left out 2 of another kind, such as a/list.txt" in capsys.readouterr().out
    cut = tmp_path / "a/2.png"
    cut.write_bytes(cut.read_bytes()[:60])
    with pytest.raises(UserError, match=r"a/2\.png: not a whole picture"):
        open_image_folder(tmp_path)[1]
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="Found no valid file for the classes b"):
        open_image_folder(tmp_path)


# 3.7


def test_pretrained_is_deprecated():
    with pytest.warns(UserWarning, match="'pretrained' is deprecated since 0.13"):
        torchvision.models.resnet18(pretrained=False)


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    return make_tiny_objects(tmp_path_factory.mktemp("sample") / "tiny", pictures=(10, 4))


def transfer(drawings, out, *flags):
    """What the tour leaves behind, and what it `printed`."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr("data.tiny_objects.make_tiny_objects", lambda root: drawings)
        patch.setattr(sys, "argv", ["transfer_tour.py", "--device", "cpu", "--out", str(out), *flags])
        # Two threads here, beside another process of tests on two cores, and in all tests that follow: both wait.
        patch.setattr(torch, "set_num_threads", lambda threads: None)
        variables = runpy.run_path(str(ROOT / "ch03_workflow/transfer_tour.py"), run_name="__main__")
    return variables | {"printed": printed.getvalue()}


def test_only_the_head_moves_and_it_learns(drawings, tmp_path):
    pictures = folder_of(tmp_path / "mine", *(f"red/{number}.png" for number in range(12)))
    for number in range(12):
        (pictures / "blue").mkdir(exist_ok=True)
        Image.new("RGB", (30, 40), "blue").save(pictures / "blue" / f"{number}.png")
    seen = transfer(drawings, tmp_path / "out", "--weights", "none", "--data", str(pictures), "--epochs", "30")
    moved = seen["moved"]
    assert moved.pop("fc")[0] > 0.01 and set(moved.values()) == {(0.0, 0.0)} and len(moved) == 6
    assert seen["trained"] == 1.0 and "blue, red: 20 pictures to learn from, 4 to test" in seen["printed"]
    # Listing 3.7 itself.
    frozen = seen["frozen"]
    assert len(frozen) == 12 and seen["numbers"] == 147_968 and all(name.startswith("layer1.") for name in frozen)
    assert seen["without_gradient"] == frozen and seen["running_mean"] > 0.01
    with pytest.raises(UserError, match="expected 5 of 2 or more"):
        shutil.rmtree(pictures / "red")
        transfer(drawings, tmp_path / "out", "--weights", "none", "--data", str(pictures))


def test_a_mistake_in_one_s_own_pictures_is_told_before_the_base_has_learnt(drawings, tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        transfer(drawings, tmp_path, "--pictures", "2", "--data", str(tmp_path / "nowhere"))
    assert not [*tmp_path.glob("base_*")]


def test_weights_learnt_here_are_kept_and_give_the_same_figures_again(drawings, tmp_path):
    def figures(*flags):
        seen = transfer(drawings, tmp_path, "--pictures", "2", "--epochs", "2", *flags)
        return [seen[name] for name in ("untrained", "trained", "moved")], seen["printed"]

    (first, printed), (again, printed_again) = figures(), figures()
    assert first == again and [name for name, distances in first[2].items() if any(distances)] == ["fc"]
    told = "learning from 2 drawings each of airplane, bird, deer, dog, frog, horse, truck\nepoch  1 of 8: loss"
    assert told in printed and f"weights learnt before: {tmp_path}/base_2.pt" in printed_again
    # A file that is not whole, of a program that was killed, is not the end of every later run. The seed is the head's
    # alone: with another one the same weights are learnt anew.
    base = (tmp_path / "base_2.pt").read_bytes()
    (tmp_path / "base_2.pt").write_bytes(base[:5000])
    other_head, printed = figures("--seed", "1")
    assert other_head != first and "base_2.pt: not a whole checkpoint" in printed
    assert (tmp_path / "base_2.pt").read_bytes() == base


# 3.8, 3.9


def test_transforms_of_3_8(seen):
    assert seen["picture"].size == (30, 20) and seen["tensor"].shape == (3, 20, 30)
    assert seen["tensor"].dtype == torch.float32
    pixels = torch.from_numpy(np.array(seen["picture"])).permute(2, 0, 1)
    torch.testing.assert_close(seen["tensor"], pixels / 255)
    torch.testing.assert_close(seen["normalized"], pixels / 127.5 - 1)
    uneven = torchvision.transforms.Normalize((0.1, 0.2, 0.3), (0.5, 2.0, 4.0))(seen["tensor"])
    for channel, (mean, std) in enumerate([(0.1, 0.5), (0.2, 2.0), (0.3, 4.0)]):
        torch.testing.assert_close(uneven[channel], (seen["tensor"][channel] - mean) / std)
    assert seen["v1_equals_v2"] and torch.equal(seen["once"], seen["again"])
    _, mask, boxes = seen["turned"]
    assert not torch.equal(mask, seen["mask"]) and set(mask.unique().tolist()) == {0, 1}
    rows, columns = mask.nonzero(as_tuple=True)
    left, top, right, bottom = boxes[0].tolist()
    assert (
        left - 2 <= columns.min() and columns.max() <= right + 2 and top - 2 <= rows.min() <= rows.max() <= bottom + 2
    )
    assert {path.name for path in seen["out"].glob("*.png")} == {"transforms.png", "together.png"}


def test_compose_of_3_9_is_the_library_s(seen):
    assert seen["same_result"] and seen["own_source"] == seen["library_source"]
    page = "def __call__(self, img):\n    for t in self.transforms:\n        img = t(img)\n    return img\n"
    assert seen["library_source"] == page


# MNIST's files


@pytest.fixture
def digits(tmp_path):
    return make_digits(tmp_path / "digits", (60, 20))


def pack(root):
    for path in (root / "MNIST/raw").iterdir():
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def test_packed_files_are_unpacked_elsewhere(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_file, "place", lambda kind: tmp_path / kind)
    plain = read_mnist(digits, train=True)
    pack(digits)
    for _ in range(2):
        assert all(map(torch.equal, read_mnist(digits, train=True), plain))
    assert len(list((digits / "MNIST/raw").iterdir())) == 4 and len(list((tmp_path / "cache").iterdir())) == 1
    # A file that is put right, or spoilt, is noticed.
    path = digits / "MNIST/raw/train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"train-labels-idx1-ubyte\.gz: not a whole gzip file"):
        mnist_folder(digits)


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("train-images-idx3-ubyte", lambda b: b[:-700], "46,356 bytes, expected 47,056 for the 60 items .* cut short"),
        ("t10k-images-idx3-ubyte", lambda b: b[:3], "starts with 0x00000800, expected 0x00000803"),
        ("t10k-images-idx3-ubyte", lambda b: b + b"12", "15,698 bytes, expected 15,696 .* too long"),
        ("train-labels-idx1-ubyte", lambda b: b"GIF8" + b[4:], "starts with 0x47494638, expected 0x00000801"),
        ("train-labels-idx1-ubyte", lambda b: b[:7] + b"\x32" + b[8:58], "50 labels, expected 60"),
        ("train-labels-idx1-ubyte", lambda b: b[:20] + b"\x0b" + b[21:], "label 11 of image 12; expected 0 to 9"),
        ("t10k-images-idx3-ubyte", lambda b: b[:11] + b"\x20" + b[12:], "images of 32 x 28, expected 28 x 28"),
        ("t10k-labels-idx1-ubyte", None, "no such file, packed"),
    ],
)
def test_a_fault_is_told_with_the_file(digits, name, spoil, message):
    path = digits / "MNIST/raw" / name
    if spoil:
        path.write_bytes(spoil(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(UserError, match=f"{name}: {message}"):
        mnist_folder(digits)


def test_a_folder_without_mnist(tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match="no folder MNIST/raw in it"):
        mnist_folder(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mnist.py", "--data", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as ended:
        cli.run(mnist.main)
    assert ended.value.code == 2 and "no folder MNIST/raw" in capsys.readouterr().err


def test_download(digits, serve, tmp_path, monkeypatch, capsys):
    pack(digits)
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/", serve(digits / "MNIST/raw")])
    with pytest.raises(UserError, match="not downloaded"):
        mnist_file.download(tmp_path / "fetched")  # other checksums than MNIST's
    sums = [(name, calculate_md5(digits / "MNIST/raw" / name)) for name, _ in MNIST.resources]
    monkeypatch.setattr(MNIST, "resources", sums)
    mnist_file.download(tmp_path / "fetched")
    assert len(read_mnist(tmp_path / "fetched", train=False)[1]) == 20 and "--data" in capsys.readouterr().out
    cut = tmp_path / "fetched/MNIST/raw/t10k-images-idx3-ubyte"
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(UserError, match="cut short"):
        mnist_file.download(tmp_path / "fetched")


@pytest.mark.parametrize("train", [True, False])
def test_torchvision_reads_the_same(digits, train):
    theirs, (images, labels) = MNIST(mnist_folder(digits), train=train), read_mnist(digits, train)
    assert torch.equal(theirs.data, images) and torch.equal(theirs.targets, labels) and labels.dtype == torch.int64


def test_no_program_pays_for_torchvision_s_models(digits):
    code = "import sys, ch03_workflow.ignite_trainer; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_program_prints_and_draws(digits, tmp_path, capsys):
    mnist.main(["--data", str(digits), "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert "Number of datapoints: 60" in printed and "60 to train, 20 to test" in printed
    assert (tmp_path / "out/digits.png").stat().st_size > 5000


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data")
def test_the_real_files_are_read():
    before = sorted((REAL / "MNIST/raw").iterdir())
    (images, labels), (test_images, test_labels) = read_mnist(REAL, train=True), read_mnist(REAL, train=False)
    assert images.shape == (60_000, 28, 28) and test_images.shape == (10_000, 28, 28) and len(test_labels) == 10_000
    assert labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert images.float().mean().item() == pytest.approx(33.3184, abs=1e-3)
    assert sorted((REAL / "MNIST/raw").iterdir()) == before


# Figure 3.1


def test_the_workflow_names_every_file_of_the_chapter(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["workflow.py", "--out", str(tmp_path)])
    variables = runpy.run_path(str(ROOT / "ch03_workflow/workflow.py"), run_name="__main__")
    assert len(variables["STAGES"]) == 5
    listed = sorted(name for files in variables["STAGES"].values() for name in files)
    there = {path.name for path in (ROOT / "ch03_workflow").glob("*.py")} - {"__init__.py", "workflow.py"}
    assert listed == sorted(there), "say in ch03_workflow/workflow.py in which stage a file belongs"
    assert (tmp_path / "figure_3_1_workflow.png").stat().st_size > 20_000
