"""Listings 4.1, 4.3 and 4.10: CIFAR-10 in both layouts, the augmentation, and the program as a reader runs it."""

import contextlib
import hashlib
import io
import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import CIFAR10

from ch04_vision import simple_cnn
from ch04_vision.loaders import cifar
from ch04_vision.loaders.cifar import CLASSES, Cifar, RandomShiftFlip, prepare
from ch04_vision.loaders.whitening import Whitening
from ch04_vision.pictures.simple_cnn import feature_maps, probabilities
from common import cli
from common.cli import UserError
from data.tiny_objects import make_tiny_objects
from tests.conftest import draw_nothing

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "cifar10"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_tiny_objects(tmp_path_factory.mktemp("sample") / "tiny", pictures=(60, 10))


def test_many_pictures_are_decoded_once(sample, tmp_path, monkeypatch):
    decoded, read = [], cifar._read_pictures
    monkeypatch.setattr(cifar, "_read_pictures", lambda paths: decoded.append(len(paths)) or read(paths))
    data = Path(shutil.copytree(sample, tmp_path / "data"))
    expected = {split: Cifar(data, split) for split in cifar.SPLITS}
    assert sum(decoded) == 700, "few pictures are decoded each time, and only those that are wanted"
    decoded.clear()
    monkeypatch.setattr(cifar, "MANY", 100)
    monkeypatch.setattr(cifar, "place", lambda kind: tmp_path / kind)

    def assert_same(split):
        kept = Cifar(data, split)
        assert torch.equal(kept.images, expected[split].images) and torch.equal(kept.labels, expected[split].labels)

    for split in (*cifar.SPLITS, *cifar.SPLITS):
        assert_same(split)
    assert decoded == [600, 100]
    # A file that changes is read again; one whose pixels change but not its length too.
    changed = data / "test" / CLASSES[0] / "0000.png"
    other = Image.fromarray(255 - np.array(Image.open(changed)))
    other.save(changed)
    expected["test"].images[0] = 255 - expected["test"].images[0]
    assert_same("test")
    assert decoded == [600, 100, 100]
    changed.write_bytes(changed.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"0000\.png: not a whole picture"):
        Cifar(data, "test")


def write_class_folders(folder, count=1, ending="png"):
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            colour = (25 * label, number % 256, number // 256)
            Image.new("RGB", (32, 32), colour).save(folder / name / f"{number:05}.{ending}")
    return folder.parent


@pytest.fixture
def batches(tmp_path, monkeypatch):
    """CIFAR-10 as torchvision keeps it, with 40 pictures a batch, and torchvision told their checksums."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    random = np.random.default_rng(0)
    lists = {"train_list": [f"data_batch_{number}" for number in range(1, 6)], "test_list": ["test_batch"]}
    for attribute, names in lists.items():
        entries = []
        for name in names:
            data = random.integers(0, 256, (40, 3072), dtype=np.uint8)
            content = pickle.dumps({"data": data, "labels": random.integers(0, 10, 40).tolist()})
            (folder / name).write_bytes(content)
            entries.append([name, hashlib.md5(content).hexdigest()])
        monkeypatch.setattr(CIFAR10, attribute, entries)
    content = pickle.dumps({"label_names": list(CLASSES)})
    (folder / "batches.meta").write_bytes(content)
    meta = {"filename": "batches.meta", "key": "label_names", "md5": hashlib.md5(content).hexdigest()}
    monkeypatch.setattr(CIFAR10, "meta", meta)
    return folder


def test_torchvisions_batches_are_read_as_torchvision_reads_them(batches):
    test, reference = Cifar(batches.parent, "test"), CIFAR10(batches.parent, train=False)
    to_tensor = transforms.PILToTensor()
    assert torch.equal(test.images, torch.stack([to_tensor(picture) for picture, _ in reference]))
    assert test.labels.tolist() == reference.targets and test.labels.dtype == torch.int64
    assert CIFAR10(batches.parent).classes == list(CLASSES)
    assert torch.equal(Cifar(batches, "test").images, test.images)  # the inner folder will do as well
    train, valid = Cifar(batches.parent, "train"), Cifar(batches.parent, "valid")
    assert (len(train), len(valid)) == (190, 10)
    every = {bytes(picture.numpy()) for split in (train, valid) for picture in split.images}
    assert every == {bytes(to_tensor(picture).numpy()) for picture, _ in CIFAR10(batches.parent)}


def test_a_batch_of_listing_4_1(batches):
    images, labels = prepare(*Cifar(batches.parent, "train").__getitems__([3, 0, 5]))
    pictures = Cifar(batches.parent, "train").images[[3, 0, 5]]
    by_page = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
    expected = torch.stack([by_page(transforms.ToPILImage()(picture)) for picture in pictures])
    torch.testing.assert_close(images, expected)
    assert images.dtype == torch.float32 and images.shape == (3, 3, 32, 32) and len(labels) == 3
    assert images.min() >= -1 and images.max() <= 1


def test_a_folder_of_classes_without_test_part_holds_a_tenth_out(tmp_path):
    root = write_class_folders(tmp_path / "train", count=20)
    splits = {split: Cifar(root, split) for split in ("train", "valid", "test")}
    assert {split: len(data) for split, data in splits.items()} == {"train": 171, "valid": 9, "test": 20}
    seen = [bytes(picture.numpy()) for data in splits.values() for picture in data.images]
    assert len(set(seen)) == len(seen) == 200  # every picture in one split only
    for data in splits.values():
        assert torch.equal(data.images[:, 0, 0, 0], (25 * data.labels).to(torch.uint8))
    assert torch.equal(Cifar(root, "test").images, splits["test"].images)


def test_a_folder_of_classes_with_test_part_uses_it(tmp_path):
    write_class_folders(tmp_path / "train", count=4)
    write_class_folders(tmp_path / "test", count=2)
    assert [len(Cifar(tmp_path, split)) for split in ("train", "valid", "test")] == [38, 2, 20]


def test_pictures_of_another_size_are_resized_and_told(tmp_path, capsys):
    root = write_class_folders(tmp_path / "test")
    write_class_folders(tmp_path / "train", count=2)
    Image.new("RGB", (80, 40), (200, 0, 0)).save(root / "test" / "frog" / "00000.png")
    (root / "test" / "frog" / "notes.txt").write_text("a green one")
    test = Cifar(root, "test")
    assert test.images[CLASSES.index("frog")].flatten(1).unique(dim=1).flatten().tolist() == [200, 0, 0]
    told = capsys.readouterr().out
    assert "1 of 10 pictures cut to a square and resized to 32x32" in told and "frog/00000.png is 80x40" in told
    assert "left out 1 of another kind, such as frog/notes.txt" in told


def damage(root, what):
    frog = root / "train" / "frog"
    if what == "empty class":
        (frog / "00000.png").unlink()
        return f"{frog}: no picture in this folder"
    if what == "unknown class":
        frog.rename(frog.with_name("toad"))
        return f"{frog.with_name('toad')}: no class of CIFAR-10; expected the folders airplane, automobile, bird"
    if what == "missing class":
        (frog / "00000.png").unlink()
        frog.rmdir()
        return f"{frog}: no such folder"
    if what == "no picture":
        (frog / "00000.png").write_text("not a picture")
    else:
        (frog / "00000.png").write_bytes((frog / "00000.png").read_bytes()[:60])
    return f"{frog / '00000.png'}: not a whole picture"


@pytest.mark.parametrize("what", ["empty class", "unknown class", "missing class", "no picture", "cut picture"])
def test_a_bad_folder_of_classes_is_named(tmp_path, what):
    root = write_class_folders(tmp_path / "train")
    write_class_folders(tmp_path / "test")
    expected = damage(root, what)
    with pytest.raises(UserError) as mistake:
        Cifar(root, "train")
    assert str(mistake.value).startswith(expected)


def test_no_batch_is_unpickled_before_its_checksum_is_right(batches, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "exploded").touch, ())

    (batches / "data_batch_3").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(
        UserError, match=r"data_batch_3: MD5 of its .* bytes is \w+, expected \w+: cut short or changed"
    ):
        Cifar(batches.parent, "train")
    assert not (tmp_path / "exploded").exists()


def test_a_batch_cut_short_or_missing_is_named(batches):
    content = (batches / "test_batch").read_bytes()
    (batches / "test_batch").write_bytes(content[:-10])
    with pytest.raises(UserError, match=f"test_batch: MD5 of its {len(content) - 10:,} bytes"):
        Cifar(batches.parent, "test")
    (batches / "test_batch").unlink()
    with pytest.raises(UserError, match="test_batch: no such file; --download DIR fetches the set"):
        Cifar(batches.parent, "test")


def shifted(image, down, right, mirrored):
    """The slow way to what the augmentation does: reflected borders, a window of them, perhaps mirrored."""
    window = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (2, 2), (2, 2)), mode="reflect"))
    window = window[:, 2 + down : 34 + down, 2 + right : 34 + right]
    return window.flip(2) if mirrored else window


def test_each_picture_of_a_batch_is_shifted_and_mirrored_on_its_own():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (300, 3, 32, 32), dtype=torch.uint8)
    drawn = RandomShiftFlip(2)(images)
    counts = {}
    for before, after in zip(images, drawn):
        found = [
            (down, right, mirrored)
            for down in range(-2, 3)
            for right in range(-2, 3)
            for mirrored in (False, True)
            if torch.equal(after, shifted(before, down, right, mirrored))
        ]
        assert len(found) == 1
        counts[found[0]] = counts.get(found[0], 0) + 1
    assert len(counts) > 45 and max(counts.values()) < 25  # 50 ways, all as likely: 6 of each


def run(monkeypatch, *arguments):
    """Runs the program in this process as the command line would."""
    draw_nothing(monkeypatch)  # `trained` has drawn
    monkeypatch.setattr(sys, "argv", ["ch04_vision/simple_cnn.py", *map(str, arguments)])
    cli.run(simple_cnn.main)


def fails(monkeypatch, capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, *arguments)
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert 1 <= len(message.splitlines()) <= 2 and "Traceback" not in message
    return message


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory):
    """The folder of a short run on a small sample, and what it printed."""
    out = tmp_path_factory.mktemp("run")
    flags = f"--data {sample} --recipe sample --epochs 12 --batch-size 30 --device cpu --out {out}"
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as told:
        patch.setattr(sys, "argv", ["ch04_vision/simple_cnn.py", *flags.split()])
        cli.run(simple_cnn.main)
    return out, told.getvalue()


def test_the_program_learns(trained, sample):
    out, told = trained
    summary = json.loads((out / "summary.json").read_text())
    assert summary["accuracy"] > 0.45  # of ten classes, after twelve epochs of 570 pictures
    assert summary["epochs"] == 12 and summary["images_per_second"] > 0 and summary["seconds"] > 0
    last = told.splitlines()[-1]
    assert f"SimpleCNN names {summary['accuracy']:.1%} of 100 pictures" in last
    losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == 12 and losses[-1] < 0.75 * losses[0]
    for name in ("filters", "feature_maps", "confusion", "mistakes", "curves"):
        with Image.open(out / f"{name}.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20


@pytest.mark.parametrize("layers", ["loops", "unfold", "builtin"])
def test_evaluate_repeats_the_figure_with_any_layers(trained, sample, tmp_path, monkeypatch, capsys, layers):
    out, _ = trained
    accuracy = json.loads((out / "summary.json").read_text())["accuracy"]
    flags = ["--data", sample, "--evaluate", "test", "--layers", layers, "--checkpoint", out / "best.pt"]
    run(monkeypatch, *flags, "--out", tmp_path, "--device", "cpu")
    assert f"accuracy {accuracy:.4f} over the 100 pictures of test" in capsys.readouterr().out
    assert json.loads((tmp_path / "evaluation_test.json").read_text())["accuracy"] == pytest.approx(accuracy)


def test_score_counts_right_answers(trained, sample):
    out, _ = trained
    net = simple_cnn.SimpleCNNModel("builtin")
    simple_cnn.load_weights(net, out / "best.pt")
    test = Cifar(sample, "test")
    chances = probabilities(net, test.images)
    torch.testing.assert_close(chances.sum(1), torch.ones(100))
    expected = json.loads((out / "summary.json").read_text())
    assert (chances.argmax(1) == test.labels).double().mean() == pytest.approx(expected["accuracy"])
    with torch.no_grad():
        inputs, _ = prepare(test.images, test.labels)
        both = net(inputs).double() + net(inputs.flip(3)).double()
    assert (both.argmax(1) == test.labels).double().mean() == pytest.approx(expected["accuracy_mirrored"], abs=0.011)
    loss = -chances[range(100), test.labels].log().mean().item()
    assert loss == pytest.approx(expected["test_loss"], rel=1e-4)


def test_feature_maps_are_the_networks_own(trained):
    net = simple_cnn.SimpleCNNModel("builtin")
    image = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)
    maps = feature_maps(net, image)
    assert [tuple(stage.shape) for stage in maps.values()] == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]
    inputs, _ = prepare(image[None], None)
    handed_on = [*maps.values()][-1].flatten()[None]
    with torch.inference_mode():
        rest = net.fc3(torch.relu(net.fc2(torch.relu(net.fc1(handed_on)))))
        torch.testing.assert_close(rest, net(inputs))


def test_whitened_pixels_are_uncorrelated_and_the_picture_changes_least():
    torch.manual_seed(0)
    # Neighbours that repeat each other, as in photos: sums of few patterns, and a little noise. Smaller than CIFAR's.
    patterns, noise = torch.randn(1000, 20) @ torch.randn(20, 192) / 4, 0.3 * torch.randn(1000, 192)
    pictures = (patterns + noise).view(-1, 3, 8, 8)
    whitening = Whitening.fit(pictures, floor=0.01)
    torch.testing.assert_close(whitening.matrix, whitening.matrix.t(), atol=1e-4, rtol=1e-4)
    flat = (pictures - pictures.mean(0)).flatten(1).double()
    white = whitening(pictures).flatten(1).double()
    variances, directions = torch.linalg.eigh(flat.t() @ flat / len(flat))
    # In each direction variance v becomes v / (v + floor), and no two directions vary together.
    expected = torch.diag(variances / (variances + 0.01))
    torch.testing.assert_close(
        directions.t() @ (white.t() @ white / len(white)) @ directions, expected, atol=2e-3, rtol=0
    )


def test_a_network_of_whitened_pictures_keeps_its_whitening(sample, tmp_path, monkeypatch, capsys):
    # Negatives in place of whitened pictures: as good a linear map to keep, and made at once.
    negatives = Whitening(torch.zeros(3072), -torch.eye(3072))
    monkeypatch.setattr(Whitening, "fit", lambda pictures, floor: negatives)
    flags = ["--data", sample, "--recipe", "sample", "--epochs", 3, "--batch-size", 30, "--device", "cpu"]
    run(monkeypatch, *flags, "--whiten", 0.03, "--out", tmp_path)
    accuracy = json.loads((tmp_path / "summary.json").read_text())["accuracy"]
    run(monkeypatch, "--data", sample, "--evaluate", "test", "--device", "cpu", "--out", tmp_path)
    assert f"accuracy {accuracy:.4f} over the 100 pictures of test" in capsys.readouterr().out
    test = Cifar(sample, "test")
    net = simple_cnn.SimpleCNNModel("builtin")
    whitening = Whitening(**simple_cnn.load_weights(net, tmp_path / "best.pt")["belongs"]["whitening"])
    right = [(probabilities(net, test.images, by).argmax(1) == test.labels).double().mean() for by in (whitening, None)]
    assert right[0] == pytest.approx(accuracy, abs=0.011) and right[1] < right[0] - 0.02, "it needs its whitening"
    run(monkeypatch, *flags, "--out", tmp_path)
    belongs = simple_cnn.load_weights(net, tmp_path / "best.pt")["belongs"]
    assert not belongs, "the next run in this folder has none"


def test_predict_tells_what_it_did_with_a_photo(trained, tmp_path, monkeypatch, capsys):
    out, _ = trained
    Image.new("RGB", (80, 60), (30, 90, 200)).save(tmp_path / "sea.jpg")
    run(monkeypatch, "--predict", tmp_path / "sea.jpg", "--checkpoint", out / "best.pt", "--out", tmp_path / "out")
    told = capsys.readouterr().out
    assert "sea.jpg (80x60, cut to a square and resized to 32x32): " in told
    assert (tmp_path / "out" / "sea_classes.png").exists()
    assert sum(name in told for name in CLASSES) == 3


def test_resume_goes_on_where_the_run_stopped(sample, tmp_path, monkeypatch):
    monkeypatch.setattr(simple_cnn, "save_pictures", lambda *anything: None)  # drawn and looked at elsewhere
    flags = ["--data", sample, "--recipe", "sample", "--epochs", 2, "--batch-size", 95, "--device", "cpu", "--out"]
    run(monkeypatch, *flags, tmp_path / "whole")
    run(monkeypatch, *flags, tmp_path / "again")
    os.replace(tmp_path / "again" / "previous.pt", tmp_path / "again" / "last.pt")  # that of the first epoch
    run(monkeypatch, *flags, tmp_path / "again", "--resume")
    whole, again = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "again"))
    for part in ("model", "average"):
        assert all(torch.equal(values, again[part][name]) for name, values in whole[part].items())


@pytest.mark.parametrize(
    "given, expected",
    [
        ([], ("sample", 30, 64)),
        (["--data", "somewhere"], ("real", simple_cnn.RECIPES["real"]["epochs"], 128)),
        (["--data", "somewhere", "--epochs", "3"], ("real", 3, 128)),
        (["--recipe", "page"], ("page", 2, 100)),
    ],
)
def test_what_is_not_given_comes_from_the_recipe(given, expected):
    args = simple_cnn.read_flags(given)
    assert (args.recipe, args.epochs, args.batch_size) == expected
    assert args.lr == simple_cnn.RECIPES[args.recipe]["lr"]


def test_help_shows_the_defaults_of_the_run_beside_it(capsys):
    for flags, epochs in ([], 30), (["--data", "DIR"], simple_cnn.RECIPES["real"]["epochs"]), (["--recipe", "page"], 2):
        with pytest.raises(SystemExit) as end:
            simple_cnn.read_flags([*flags, "--help"])
        assert end.value.code == 0 and f"passes over the data (default: {epochs})" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--shift", "40"], "40 is not less than the 32 pixels of a picture"),
        (["--shift", "one"], "'one' is not a whole number"),
        (["--average", "5"], "'5' is not a number from 0 up to 1"),
        (["--recipe", "page", "--shift", "1"], "are not of the page's recipe"),
        (["--recipe", "page", "--weight-decay", "1"], "are not of the page's recipe"),
    ],
)
def test_a_flag_that_means_nothing_is_refused(flags, complaint, capsys):
    with pytest.raises(SystemExit) as end:
        simple_cnn.read_flags(flags)
    assert end.value.code == 2 and complaint in capsys.readouterr().err


def test_a_picture_can_be_shifted_by_all_but_one_of_its_pixels():
    images = torch.arange(32.0).expand(64, 3, 32, 32)
    shifted = RandomShiftFlip(31)(images)
    assert shifted.min() >= 0 and shifted.max() <= 31 and not torch.equal(shifted, images)


def test_the_pages_recipe_is_plain_sgd(sample, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(simple_cnn, "save_pictures", lambda *anything: None)  # drawn and looked at elsewhere
    run(monkeypatch, "--data", sample, "--recipe", "page", "--device", "cpu", "--out", tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    group = state["optimizer"]["param_groups"][0]
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.001, 0.9, False, 0)
    assert "average" not in state and "scheduler" not in state
    assert json.loads((tmp_path / "summary.json").read_text())["epochs"] == 2
    assert "this run makes 10: it will learn little" in capsys.readouterr().out


def test_bad_input_is_told_in_a_line(trained, sample, tmp_path, monkeypatch, capsys):
    out, _ = trained
    assert "invalid choice: 'fast'" in fails(monkeypatch, capsys, "--layers", "fast")
    assert f"--data {tmp_path / 'no'}: no such folder" in fails(monkeypatch, capsys, "--data", tmp_path / "no")
    nothing = fails(monkeypatch, capsys, "--data", tmp_path)
    assert "expected the folder cifar-10-batches-py or train/<class>/<name>.jpg" in nothing
    weights = ["--checkpoint", out / "best.pt", "--out", tmp_path / "out"]
    no_split = fails(monkeypatch, capsys, "--data", sample, "--evaluate", "val", *weights)
    assert "no split 'val'; expected train, valid, test" in no_split
    (tmp_path / "song.jpg").write_text("la la la")
    assert "song.jpg: not a whole picture" in fails(monkeypatch, capsys, "--predict", tmp_path / "song.jpg", *weights)
    small = write_class_folders(tmp_path / "few" / "train", count=1)
    assert "falls into the split 'valid'" in fails(monkeypatch, capsys, "--data", small, "--recipe", "page")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data")
def test_the_real_pictures_are_read(tmp_path):
    import tarfile

    with tarfile.open(REAL / "cifar10_jpeg_train.tar.xz") as archive:
        taken = {name: 0 for name in CLASSES}
        for member in archive:
            name = Path(member.name).parent.name
            if member.isfile() and taken[name] < 20:
                archive.extract(member, tmp_path, filter="data")
                taken[name] += 1
    assert [len(Cifar(tmp_path, split)) for split in ("train", "valid", "test")] == [171, 9, 20]
