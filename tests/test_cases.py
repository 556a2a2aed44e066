"""What files bring that nobody made on purpose: read right, left out with a word, or refused by name."""

import errno
import gzip
import io
import json
import os
import pickle
import re
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from torch.utils.data import DataLoader

import data
from ch03_workflow import question_classifier, yesno
from ch03_workflow.loaders import audio, mnist
from ch03_workflow.loaders.image_folder import open_image_folder
from ch03_workflow.loaders.trec import Question, read_label_file, read_tsv
from ch03_workflow.loaders.yesno import YesNo
from ch04_vision.loaders import camvid, cifar
from ch04_vision.loaders.camvid import CLASSES, ORIGINAL, PALETTE, VOID, CamVid
from ch04_vision.loaders.cifar import Cifar
from ch04_vision.pictures.photos import find_photos
from ch05_sequence.loaders.snli import Vocabulary
from ch05_sequence.loaders.snli_file import pack_file, parse
from ch05_sequence.loaders.treebank import Trees, read_trees
from common import batches, cli
from common.errors import UserError
from common.files import LONGEST_LINE
from common.pictures import open_picture
from data import questions
from data.questions import make_questions

HEIGHT, WIDTH = 24, 36
BOM = b"\xef\xbb\xbf"
APPLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(200)  # what macOS calls ._name


def mask():
    """Class indices, (height, width), stripes of all twelve."""
    return np.repeat(np.arange(12, dtype=np.uint8), WIDTH // 12)[None].repeat(HEIGHT, 0)


def frame(seed=0, size=(HEIGHT, WIDTH)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8))


def segnet(root, frames=2):
    for folder in ("train", "trainannot"):
        (root / folder).mkdir(parents=True)
    for number in range(frames):
        frame(number).save(root / "train" / f"{number}.png")
        Image.fromarray(mask()).save(root / "trainannot" / f"{number}.png")
    return root


def original(root):
    """The release in colour: two folders and a table."""
    table = {"void": "Void"} | {name: ORIGINAL[name][-1] for name in CLASSES}
    colours = CLASSES | {"void": (0, 0, 0)}
    for folder in ("frames", "labels"):
        (root / folder).mkdir(parents=True)
    lines = [f"{' '.join(map(str, colours[name]))}\t{table[name]}\n" for name in colours]
    (root / "label_colors.txt").write_text("".join(lines))
    for stem in ("0001TP_006690", "Seq05VD_f02610"):
        frame().save(root / "frames" / f"{stem}.png")
        Image.fromarray(PALETTE.numpy()[mask()]).save(root / "labels" / f"{stem}_L.png")
    return root


def classes_of(root, split="train"):
    return CamVid(root, split).masks.numpy()


# Text: byte order marks, empty last lines, ends of lines, encodings

SNLI = b'{"gold_label": "neutral", "sentence1": "A dog runs.", "sentence2": "A dog eats."}\n'
READERS = {
    "snli": (lambda path: pack_file(path).spelling, SNLI),
    "sst": (read_trees, b"(3 (2 It) (4 works))\n"),
    "trec": (read_label_file, b"NUM:dist How far ?\n"),
    "tsv": (read_tsv, b"How far ?\tNUM\n"),
}


@pytest.mark.parametrize("name", READERS)
def test_marks_and_empty_lines_of_editors_change_nothing(tmp_path, name):
    read, line = READERS[name]
    (tmp_path / "as it is").write_bytes(line)
    expected = read(tmp_path / "as it is")
    for content in (
        BOM + line,
        BOM + line + BOM,
        line + b"\n",
        line + b" \n\r\n",
        line.replace(b"\n", b"\r\n"),
        line[:-1],
    ):
        (tmp_path / "edited").write_bytes(content)
        assert read(tmp_path / "edited") == expected


@pytest.mark.parametrize("name", READERS)
def test_text_that_is_none_is_refused_with_its_line(tmp_path, name):
    read, line = READERS[name]
    path = tmp_path / "file"
    for content, told in {
        line + b"\n" + line: "line 2: ",
        line.decode().encode("utf-16"): "text in UTF-16; expected UTF-8",
        line + b"x" * (LONGEST_LINE + 1): "line 2: longer than 1,048,576 bytes",
        line.replace(b"\n", b"\r") * 2: "line 1: a carriage return within the line",
    }.items():
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"^{path}(, |: ){told}"):
            read(path)
    path.unlink()
    os.mkfifo(path)  # nobody writes into it: reading it would wait for ever
    with pytest.raises(UserError, match="no regular file"):
        read(path)


def test_a_colour_table_with_a_mark(tmp_path):
    root = original(tmp_path / "camvid")
    table = root / "label_colors.txt"
    table.write_bytes(BOM + table.read_bytes() + b"\n")
    np.testing.assert_array_equal(classes_of(root)[0], mask())


def test_a_label_of_trec_ends_at_any_space(tmp_path):
    path = tmp_path / "train_5500.label"
    path.write_bytes(b"NUM:dist\tHow far is it ?\nNUM:dist\xa0How far is it ?\n")
    assert read_label_file(path) == [Question("How far is it ?", "NUM")] * 2


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_trec_in_either_encoding(tmp_path, encoding):
    path = tmp_path / "train_5500.label"
    path.write_text("HUM:ind Who wrote Don Quíxote ?\n", encoding=encoding)
    assert read_label_file(path) == [Question("Who wrote Don Quíxote ?", "HUM")]


def test_joined_files_of_trec_keep_their_letters(tmp_path):
    """`cat` puts a byte order mark in the midst, and lines of several encodings side by side."""
    line, path = "HUM:ind Who wrote “Don Quíxote” ?\n", tmp_path / "train_5500.label"
    path.write_bytes(BOM + line.encode() + line.encode("cp1252") + BOM + line.encode())
    assert read_label_file(path) == [Question("Who wrote “Don Quíxote” ?", "HUM")] * 3


def test_a_question_of_the_readers_own_may_have_any_letters(tmp_path, monkeypatch):
    monkeypatch.setattr(questions, "WRITTEN", tmp_path / "questions.txt")
    lines = ["LOC:city Where is Łódź ?", "HUM:ind Who wrote Don Quíxote ?"]
    questions.WRITTEN.write_bytes(BOM + "\n".join(lines).encode())
    root = make_questions(tmp_path / "made")
    read = [read_label_file(root / name)[0] for name in ("TREC_10.label", "train_5500.label")]
    assert sorted(read) == [Question("Where is Łódź ?", "LOC"), Question("Who wrote Don Quíxote ?", "HUM")]


def test_a_parse_of_a_hundred_thousand_words_is_read_at_once():
    words = 100_000
    tokens, transitions = parse("( w " * words + "w" + " )" * words)
    assert len(tokens) == words + 1 and transitions == [3] * (words + 1) + [2] * words
    with pytest.raises(ValueError, match="two children"):
        parse("( w " * words + "w w" + " )" * words)


# Folders: hidden files, links, names


def test_what_a_mac_leaves_is_no_frame(tmp_path, capsys):
    root = segnet(tmp_path / "camvid")
    for path in [*root.rglob("*.png")]:
        path.with_name(f"._{path.name}").write_bytes(APPLE)
    (root / "train" / "Thumbs.db").write_bytes(b"thumbs")
    assert CamVid(root, "train").names == ["0", "1"]
    assert f"{root / 'train'}: left out 5 hidden" in capsys.readouterr().out
    assert [path.name for path in find_photos([root / "train"])] == ["0.png", "1.png"]


def test_linked_folders_are_read_like_others(tmp_path):
    disk = original(tmp_path / "disk")
    root = tmp_path / "camvid"
    root.mkdir()
    (root / "label_colors.txt").symlink_to(disk / "label_colors.txt")
    for name in ("frames", "labels"):
        (root / name).symlink_to(disk / name)
    (root / "around").symlink_to(root)
    assert CamVid(root, "test").names == ["Seq05VD_f02610"]


@pytest.mark.parametrize("root", [segnet, original])
def test_two_pictures_of_one_frame_are_refused(tmp_path, root):
    root = root(tmp_path / "camvid")
    png = next(path for path in sorted(root.rglob("0*.png")) if not path.stem.endswith("_L"))
    frame(1).save(png.with_suffix(".JPG"))
    with pytest.raises(UserError, match=rf"{png.stem}\.JPG and .*{png.name}: two pictures of one name"):
        CamVid(root, "train")


def test_hidden_folders_are_no_classes(tmp_path, capsys):
    for name in (*cifar.CLASSES, ".ipynb_checkpoints", "@eaDir"):
        (tmp_path / "train" / name).mkdir(parents=True)
    for label, name in enumerate(cifar.CLASSES):
        for number in range(3):
            frame(label, (32, 32)).save(tmp_path / "train" / name / f"{number}.PNG")
    (tmp_path / "train" / "cat" / "._0.png").write_bytes(APPLE)
    assert len(Cifar(tmp_path, "train")) == 26 and "left out 1 hidden, such as cat/._0.png" in capsys.readouterr().out
    (tmp_path / "train" / "cat" / "9.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"9\.png: no such file"):
        Cifar(tmp_path, "train")
    (tmp_path / "train" / "cat" / "9.png").unlink()
    folder = open_image_folder(tmp_path / "train")
    assert folder.classes == sorted(cifar.CLASSES) and len(folder) == 30
    assert "left out 3 hidden" in capsys.readouterr().out


# Labels


def test_a_palette_of_the_sets_colours_says_the_class(tmp_path):
    root = segnet(tmp_path / "camvid")
    order = np.random.default_rng(0).permutation(12)
    for number, (indices, colours) in enumerate(
        [(np.argsort(order)[mask()], PALETTE.numpy()[order]), (mask(), np.arange(12).repeat(3).reshape(12, 3))]
    ):
        picture = Image.fromarray(indices.astype(np.uint8), mode="P")
        picture.putpalette(colours.astype(np.uint8).tobytes())
        picture.save(root / "trainannot" / f"{number}.png")
    np.testing.assert_array_equal(classes_of(root), [mask(), mask()])
    mixed = PALETTE.numpy()[order]
    mixed[5] = (1, 2, 3)
    picture.putpalette(mixed.tobytes())
    picture.save(root / "trainannot" / "1.png")
    with pytest.raises(UserError, match=r"1\.png: index 5 of the palette, \(1, 2, 3\), is no colour of a class"):
        CamVid(root, "train")


def test_a_few_stray_pixels_are_void_and_told(tmp_path, capsys):
    root = original(tmp_path / "camvid")
    path = root / "labels" / "Seq05VD_f02610_L.png"
    label = np.array(Image.open(path).resize((WIDTH * 2, HEIGHT * 2), Image.Resampling.NEAREST))
    frame(0, label.shape[:2]).save(root / "frames" / "Seq05VD_f02610.png")
    label[10, 20] = (1, 0, 0)
    Image.fromarray(label).save(path)
    expected = mask().repeat(2, 0).repeat(2, 1)
    expected[10, 20] = VOID
    np.testing.assert_array_equal(classes_of(root, "test")[0], expected)
    assert f"1 pixels of 1 labels have a colour of no class and are void ({path})" in capsys.readouterr().out
    label[:2] = (1, 0, 0)
    Image.fromarray(label).save(path)
    with pytest.raises(UserError, match=r"colour \(1, 0, 0\) at row 0, column 0 is not in label_colors\.txt"):
        CamVid(root, "test")


@pytest.mark.parametrize(
    ("value", "told"), [(-1, "class -1 at row 3, column 4"), (np.nan, "fractions"), (3.7, "fractions")]
)
def test_a_label_that_is_no_class_is_refused(tmp_path, value, told):
    root = segnet(tmp_path / "camvid", frames=1)
    label = mask().astype(np.int32 if isinstance(value, int) else np.float32)
    label[3, 4] = value
    Image.fromarray(label).save(root / "trainannot" / "0.tif")
    (root / "trainannot" / "0.png").unlink()
    with pytest.raises(UserError, match=told):
        CamVid(root, "train")


def test_a_label_of_a_lossy_format_is_refused(tmp_path):
    root = segnet(tmp_path / "camvid", frames=1)
    path = root / "trainannot" / "0.png"
    Image.open(path).save(path.with_suffix(".jpg"))
    path.unlink()
    with pytest.raises(UserError, match=r"0\.jpg: a JPEG, .*; expected a PNG"):
        CamVid(root, "train")


# Pictures


def test_a_photo_held_sideways_stands_upright_everywhere(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a").mkdir()
    frame(0, (40, 60)).save(tmp_path / "a" / "0.jpg", exif=exif)
    assert open_picture(tmp_path / "a" / "0.jpg").size == (40, 60)
    assert open_image_folder(tmp_path)[0][0].size == (40, 60)


def test_sixteen_bits_are_scaled_and_more_are_refused(tmp_path):
    ramp = np.linspace(0, 65535, 8)[None].repeat(8, 0)
    expected = np.linspace(0, 255, 8).astype(int).tolist()
    for name, kind in (("16.png", "<u2"), ("16.tif", "<u2"), ("big.tif", ">u2"), ("float.tif", "f4"), ("i.tif", "i4")):
        Image.fromarray(ramp.astype(kind)).save(tmp_path / name)
    (tmp_path / "16.pgm").write_bytes(b"P5 8 8 65535\n" + ramp.astype(">u2").tobytes())
    for name in ("16.png", "16.tif", "big.tif", "16.pgm"):
        assert np.array(open_picture(tmp_path / name))[3, :, 1].tolist() == expected
    for name in ("float.tif", "i.tif"):
        with pytest.raises(UserError, match="32 bits each; expected 8 or 16 bits"):
            open_picture(tmp_path / name)


def png(width, height):
    """The beginning of a PNG file of this size, which is all that its reader needs to know how large it is."""
    header = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, 2, 0, 0, 0)
    parts = [struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)), struct.pack(">I4s", 100, b"IDAT")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + bytes(104)


def test_what_is_no_picture_to_look_at_is_refused(tmp_path):
    frame().save(tmp_path / "a.eps")
    frame().save(tmp_path / "gif.png", format="GIF")
    Image.new("RGB", (1, 20_000)).save(tmp_path / "thin.png")
    (tmp_path / "large.png").write_bytes(png(17_000, 10_000))
    os.mkfifo(tmp_path / "pipe.png")
    socket.socket(socket.AF_UNIX).bind(str(tmp_path / "socket.png")) if len(str(tmp_path)) < 90 else None
    (tmp_path / "empty.png").touch()
    for name, told in {
        "a.eps": "none of PNG, JPEG",
        "gif.png": "none of PNG, JPEG",
        "thin.png": "1x20000 pixels; expected .* no side 1,000 times as long",
        "large.png": "17000x10000 pixels; expected at most 120,000,000 pixels",
        "pipe.png": "no regular file; expected a picture",
        "empty.png": "none of PNG, JPEG",
        "nowhere.png": "no such file; expected a picture",
    }.items():
        with pytest.raises(UserError, match=f"{name}: .*{told}"):
            open_picture(tmp_path / name)


def test_a_picture_of_ten_by_a_thousand_is_a_picture(tmp_path):
    frame(0, (1000, 10)).save(tmp_path / "strip.png")
    assert open_picture(tmp_path / "strip.png").size == (10, 1000)


# Recordings


def wav(path, data_size=None, rate=8000, samples=16_000):
    """A mono recording of 16 bits whose header may say another size than the file has."""
    pcm = (3000 * np.sin(np.arange(samples) / 5)).astype("<i2").tobytes()
    size = len(pcm) if data_size is None else data_size
    header = (b"RIFF", min(size + 36, 0xFFFFFFFF), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", size)
    path.write_bytes(struct.pack("<4sI4s4sIHHIIHH4sI", *header) + pcm)
    return path


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36, 0xFFFFFFFF])
def test_a_recording_written_into_a_pipe_is_read_to_its_end(tmp_path, size):
    waveform, rate = audio.load(wav(tmp_path / "a.wav", data_size=size))
    assert waveform.shape == (1, 16_000) and rate == 8000


def test_a_flac_written_into_a_pipe_is_read_to_its_end(tmp_path):
    """Its header does not say how many samples it has."""
    waveform, _ = audio.load(flac(tmp_path / "a.flac", 0))
    assert waveform.shape == (1, 4000)


def test_damaged_sound_is_refused_without_a_traceback_of_libsndfile(tmp_path, capfd):
    """It seeks before the beginning, from within C, where an error is printed instead of raised."""
    with audio._Opened(wav(tmp_path / "a.wav")) as file:
        assert file.seek(30) == 30 and file.seek(-40, os.SEEK_CUR) == 30 and file.seek(0, os.SEEK_END) == 32_044
    assert capfd.readouterr().err == ""


def test_a_recording_of_a_telephone_system(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000, "int16"), 8000, subtype="GSM610")
    waveform = audio.load_mono(tmp_path / "a.wav", 8000)
    assert waveform[:8000].abs().max() < 0.01 and len(waveform) == 8320  # libsndfile's count of a last block


def flac(path, samples):
    """A FLAC whose header promises so many samples: the last 36 bits before its checksum."""
    soundfile.write(path, np.zeros(4000), 8000, format="FLAC")
    content = bytearray(path.read_bytes())
    info = int.from_bytes(content[8:42], "big")
    info = info & ~((1 << 36) - 1 << 128) | samples << 128
    content[8:42] = info.to_bytes(34, "big")
    path.write_bytes(content)
    return path


def test_headers_that_lie_cost_no_memory(tmp_path):
    assert audio.load(flac(tmp_path / "right.flac", 4000))[0].shape == (1, 4000)
    with pytest.raises(UserError, match="its header promises 68,719,476,735 samples; expected at most"):
        audio.load(flac(tmp_path / "long.flac", (1 << 36) - 1))
    with pytest.raises(UserError, match="promises 500,000,000 samples"):
        audio.load(wav(tmp_path / "long.wav", data_size=1_000_000_000))
    for rate in (99_991, 655_350_001, 1):
        with pytest.raises(UserError, match=rf"a\.wav: {rate:,} Hz; expected 8,000 Hz"):
            audio.load_mono(wav(tmp_path / "a.wav", rate=rate, samples=20_000), 8000)
    assert len(audio.load_mono(wav(tmp_path / "a.wav", rate=44_100, samples=44_100), 8000)) == 8000


def test_upper_case_recordings_are_read_and_hidden_ones_are_not(tmp_path, capsys):
    names = ["_".join(f"{number:08b}") for number in range(6)]
    for number, name in enumerate(names):
        wav(tmp_path / f"{name}.{'WAV' if number < 3 else 'wav'}")
    (tmp_path / f"._{names[0]}.wav").write_bytes(APPLE)
    found = YesNo(tmp_path)
    assert [label for _, label in found.recordings] == [list(map(int, f"{number:08b}")) for number in range(6)]
    assert len(found) == 6 and found[0][0].shape == (1, 16_000) and "left out 1 hidden" in capsys.readouterr().out
    wav(tmp_path / f"{names[0]}.wav")
    with pytest.raises(UserError, match=r"0_0\.WAV: there are two recordings of this name"):
        YesNo(tmp_path)


# MNIST


def test_a_packed_file_of_something_else_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist, "place", lambda kind: tmp_path / kind)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    labels = np.arange(20, dtype=np.uint8) % 10
    whole = {
        "images-idx3": struct.pack(">4I", 0x803, 20, 28, 28) + bytes(20 * 784),
        "labels-idx1": struct.pack(">2I", 0x801, 20) + labels.tobytes(),
    }
    for part in mnist.PARTS:
        for kind, content in whole.items():
            (raw / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    path = raw / "train-images-idx3-ubyte.gz"
    for content, told in {
        b"<html>403 Forbidden</html>": "starts with 0x3c68746d, expected 0x00000803",
        whole["images-idx3"][:-700]: "14,996 bytes, expected 15,696 for the 20 items .* cut short",
        struct.pack(">4I", 0x803, 0, 28, 28): "no item in it",
        bytes(mnist.LARGEST + 1): "more than 134,217,728 bytes in it",
    }.items():
        path.write_bytes(gzip.compress(content, 1))
        with pytest.raises(UserError, match=f"^{path}: {told}"):
            mnist.mnist_folder(tmp_path)
        assert not list((tmp_path / "cache").iterdir())
    path.write_bytes(gzip.compress(whole["images-idx3"]))
    assert mnist.read_mnist(tmp_path, train=True)[1].tolist() == labels.tolist()


# JSON


@pytest.mark.parametrize(
    "line", ["[" * 500_000, json.dumps({"gold_label": 10**400}), '{"gold_label": "neutral", "sentence1": 1e999}', "NaN"]
)
def test_json_that_is_none_of_snlis_is_refused(tmp_path, line):
    (tmp_path / "a.jsonl").write_text(f"{line}\n")
    with pytest.raises(UserError, match=r"a\.jsonl, line 1: "):
        pack_file(tmp_path / "a.jsonl")


def test_the_colours_of_a_pavement_are_those_of_both_tables():
    place = [*CLASSES].index("pavement")
    assert camvid.COLOURS[(0, 0, 192)] == camvid.COLOURS[CLASSES["pavement"]] == place


# Where samples lie


def test_a_sample_lies_with_the_user_where_the_repository_is_somebody_elses(tmp_path, monkeypatch, capsys):
    asked = []

    def make_words(root, number=1):
        asked.append(root)
        if tmp_path / "theirs" in root.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(root))
        root.mkdir(parents=True)
        return root

    monkeypatch.setattr(data, "HERE", tmp_path / "theirs" / "data")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data.place.cache_clear()
    expected = tmp_path / "cache" / "hands-on-pytorch" / "samples" / "words"
    assert data.sample(make_words, number=2) == expected and len(asked) == 2
    assert f"{tmp_path}/theirs/data/samples cannot be written: {expected.parent} is used" in capsys.readouterr().err
    data.place.cache_clear()


def test_no_room_for_a_sample_is_told(tmp_path, monkeypatch):
    def make_words(root):
        raise OSError(errno.ENOSPC, "No space left on device", str(root))

    monkeypatch.setattr(data, "HERE", tmp_path)
    with pytest.raises(UserError, match=f"the sample could not be made in {tmp_path}/samples/words: No space left"):
        data.sample(make_words)
    (tmp_path / "samples" / "questions").mkdir(parents=True)
    (tmp_path / "samples" / "questions" / "mine.txt").touch()
    with pytest.raises(UserError, match=r"no sample of questions \(it has no sample\.json\)"):
        data.sample(make_questions)


def test_who_waits_for_a_sample_is_told(tmp_path, monkeypatch, capsys):
    make_questions(tmp_path / "quiet")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for _ in range(2):
        make_questions(tmp_path / "told")
    assert capsys.readouterr().err == f"the sample of questions is made, once: {tmp_path / 'told'}\n"


# Installed otherwise


def refusal(script, *path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    run = subprocess.run([sys.executable, script], env=environment, text=True, capture_output=True, timeout=60)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1, run.stderr
    return run.stderr


def test_another_data_or_a_copy_of_the_repository_is_told(tmp_path):
    repository = Path(data.HERE).parent
    (tmp_path / "ch01_intro").mkdir()
    script = tmp_path / "ch01_intro" / "tensors.py"
    script.write_text("import common\n")
    assert refusal(script, repository).endswith(f"copy in {repository}; try: pip install -e {tmp_path}\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "__init__.py").touch()
    told = refusal(script, tmp_path, repository)
    assert told == f"another package named data, in {tmp_path}, hides {repository / 'data'}\n"


# Loader processes


class Counting(pickle.Pickler):
    """Counts the tensors of what it pickles: each takes a file descriptor to reach a spawned loader process."""

    tensors = 0

    def persistent_id(self, each):
        self.tensors += isinstance(each, torch.Tensor)
        return "tensor" if isinstance(each, torch.Tensor) else None


def test_a_data_set_travels_as_few_tensors(tmp_path):
    questions = [Question("How far is Lima ?", "NUM")] * 300
    words = question_classifier.build_vocabulary(questions)
    for number in range(12):
        wav(tmp_path / f"{'_'.join(f'{number:08b}')}.wav")
    for dataset in (
        question_classifier.Encoded(questions, words, words),
        yesno.Recordings(tmp_path, "train", seed=0),
        CamVid(segnet(tmp_path / "camvid"), "train"),
        Trees([(["it", "works"], [3, 3, 2], [2, 4, 3])] * 300, Vocabulary(["<unk>", "<pad>", "it"])),
    ):
        pickler = Counting(io.BytesIO())
        pickler.dump(dataset)
        assert 0 < pickler.tensors <= 12, dataset


class TooLarge:
    """A batch that does not fit into /dev/shm."""

    def __init__(self, items):
        pass

    def __reduce__(self):
        raise RuntimeError("unable to allocate shared memory(shm) for file: No space left on device (28)")


def test_a_loader_process_that_cannot_send_ends_the_run_in_a_line(capfd, monkeypatch):
    get = torch.utils.data.dataloader._MultiProcessingDataLoaderIter._try_get_data
    monkeypatch.setattr(get, "__defaults__", (0.5,))  # seconds until it looks whether its processes live
    start = dict(worker_init_fn=batches.end_when_nothing_can_be_sent, multiprocessing_context="fork")
    loader = DataLoader(range(8), 2, num_workers=2, collate_fn=TooLarge, **start)
    with pytest.raises(SystemExit, match="2"):
        cli.run(lambda: list(loader))
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1 and re.search(r": DataLoader worker .* exited .* or try --workers 0$", told[0]), told
