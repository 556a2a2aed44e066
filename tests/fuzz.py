"""Damaged files by the thousand, from a seed: whatever reads them shall read them or refuse them, and nothing else.

    python tests/fuzz.py                        2,000 damaged files, a minute or two
    python tests/fuzz.py --inputs 45000         as many as were tried before a release
    python tests/fuzz.py --only wav --seed 3    one reader

pytest does not run it. An outcome is right if a file is read, or refused with a `UserError` (for archives, a
`ValueError`, which the caller turns into one). Everything else, and what takes longer than `--seconds`, is printed once
for each kind, with the seed that repeats it.
"""

import argparse
import atexit
import collections
import contextlib
import gzip
import io
import json
import os
import resource
import shutil
import signal
import sys
import tarfile
import tempfile
import traceback
import warnings
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, str(Path(__file__).parents[1]))

import matplotlib.figure
import numpy as np
import soundfile
import torch
from PIL import Image

from ch02_simple_nn import fizzbuzz
from ch03_workflow import ignite_trainer, question_classifier
from ch03_workflow.loaders import audio, mnist, trec, yesno
from ch03_workflow.loaders.image_folder import open_image_folder
from ch04_vision.loaders import camvid, cifar
from ch05_sequence.loaders import snli_file, vectors
from ch05_sequence.loaders.snli import Vocabulary, open_snli
from ch05_sequence.loaders.treebank import open_treebank
from common import cli, downloads
from common.errors import UserError
from common.pictures import ENDINGS, open_picture
from data.digits import make_digits
from data.questions import make_questions
from data.sample_folder import make_sample
from data.sentence_pairs import make_sentence_pairs
from tests import tiny_program

SOUNDS = ("flac", "ogg", "mp3", "aiff", "au", "caf", "w64", "rf64")
PLACE = Path(tempfile.mkdtemp(prefix="fuzz-"))
ROOM = 12 << 30  # bytes of memory: what a header promises must not be taken at its word


def noise(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_pictures(folder):
    for ending in sorted(ENDINGS - {".pgm"}):
        Image.fromarray(noise(0, 20, 30, 3)).save(folder / f"a{ending}")
    for mode in ("1", "L", "P", "LA", "RGBA", "I;16"):
        Image.fromarray(noise(0, 20, 30, 3)).convert("RGB").convert(mode if mode != "I;16" else "L").convert(mode).save(
            folder / f"{mode.replace(';', '')}.png"
        )
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker of cameras"
    Image.fromarray(noise(0, 20, 30, 3)).save(folder / "exif.jpg", exif=exif)
    Image.fromarray(noise(0, 20, 30, 3)).save(folder / "packed.tif", compression="tiff_lzw")


def write_segnet(folder):
    for part in ("train", "trainannot"):
        (folder / part).mkdir()
    for number in range(2):
        Image.fromarray(noise(number, 20, 30, 3)).save(folder / "train" / f"{number}.png")
        label = Image.fromarray(noise(number, 20, 30) % 12, mode="P" if number else "L")
        if number:
            label.putpalette(camvid.PALETTE.numpy().tobytes())
        label.save(folder / "trainannot" / f"{number}.png")


def write_original(folder):
    names = {name: originals[0] for name, originals in camvid.ORIGINAL.items() if name != "void"}
    lines = [f"{' '.join(map(str, camvid.CLASSES[name]))}\t{names[name]}\n" for name in names]
    (folder / "label_colors.txt").write_text("".join([*lines, "0 0 0\tVoid\n"]))
    Image.fromarray(noise(0, 20, 30, 3)).save(folder / "0001TP_1.png")
    Image.fromarray(camvid.PALETTE.numpy()[noise(0, 20, 30) % 12]).save(folder / "0001TP_1_L.png")


def write_classes(folder):
    for name in cifar.CLASSES:
        (folder / "train" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(noise(number, 32, 32, 3)).save(folder / "train" / name / f"{number}.jpg")


def write_sounds(folder):
    tone = 0.3 * np.sin(np.arange(4000) / 5)
    for ending, kind in (("wav", "PCM_16"), ("wav", "FLOAT"), ("wav", "GSM610"), ("wav", "MS_ADPCM"), ("wav", "ULAW")):
        soundfile.write(folder / f"{kind}.{ending}", tone, 8000, subtype=kind)
    for ending in SOUNDS:
        soundfile.write(folder / f"a.{ending}", tone, 16_000, format=ending.upper())


def write_yesno(folder):
    for number in range(3):
        soundfile.write(folder / f"{'_'.join(f'{number:08b}')}.wav", np.zeros(900), 8000)


def write_trees(folder):
    for split in ("train", "dev"):
        (folder / f"{split}.txt").write_text("(3 (2 It) (4 (3 really) (4 works)))\n(1 (2 It) (1 fails))\n" * 5)


def write_vectors(folder):
    text = "".join(f"{word} {' '.join(map(str, noise(0, 5) / 7))}\n" for word in ("a", "dog", "cat", "runs"))
    (folder / "v.txt").write_text(text)


def write_archives(folder):
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        for name in ("d/a.txt", "d/e/b.txt", "other"):
            entry = tarfile.TarInfo(name)
            entry.size = 9
            archive.addfile(entry, io.BytesIO(b"some text"))


def cached_in(folder):
    snli_file.place, snli_file.LARGE = lambda kind: folder, 0
    return folder


def write_npz(folder):
    make_sentence_pairs(folder / "pairs", premises=(4, 2, 2))
    snli_file.read_file(cached_in(folder) / "pairs" / "snli_1.0_dev.jsonl")


def read_npz(folder):
    packed = snli_file.read_file(cached_in(folder) / "pairs" / "snli_1.0_dev.jsonl")
    assert packed.lengths.sum() == len(packed.words) and len(packed.labels) == len(packed.premises) == len(packed.pairs)
    assert packed.pairs.max() < len(packed.lengths) and packed.words.max() < len(packed.spelling)


def read_vectors(folder):
    words = Vocabulary(["<unk>", "<pad>", "dog", "cat", "horse"])
    vectors.load_vectors(folder / "v.txt", words, 5)


def write_sample(folder):
    sample(folder)


def sample(folder):
    def write(place):
        (place / "a.txt").write_text("some text")

    root = make_sample(folder / "sample", {"sample": "words", "numbers": [1, 2]}, write)
    assert (root / "a.txt").exists()


def run(module, out, *flags):
    """Runs a program in this process; exit status 2 becomes the error that it was."""
    sys.argv = [f"{module.__name__}.py", *flags, "--device", "cpu", "--out", str(out)]
    try:
        cli.run(module.main)
    except SystemExit as end:
        if end.code == 2:
            raise UserError("refused") from None
        if end.code:
            raise RuntimeError(f"exit status {end.code}") from None


def run_trainer(folder, *flags):
    run(ignite_trainer, folder / "run", "--data", str(PLACE / "digits"), "--epochs", "1", "--batch-size", "2", *flags)


def write_trainer(folder):
    make_digits(PLACE / "digits", digits=(300, 20))
    run_trainer(folder)


def read_trainer(folder):
    run_trainer(folder, "--resume")


def ask(folder):
    run(question_classifier, folder / "run", "--predict", "Who is it ?")
    run(question_classifier, folder / "run", "--evaluate", "valid")


def pack_digits(folder):
    make_digits(folder / "d", digits=(20, 10))
    for path in [*(folder / "d/MNIST/raw").iterdir()]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def each(endings, read):
    def read_all(folder):
        for path in sorted(folder.rglob("*")):
            if path.suffix in endings:
                read(path)

    return read_all


def unpack(folder):
    (folder / "out").mkdir()
    with contextlib.suppress(ValueError):
        downloads.unpack(folder / "a.tar.gz", folder / "out", ("d",), 1 << 20)
    assert not {path.name for path in folder.iterdir()} - {"a.tar.gz", "out"}


def all_pictures(folder):
    images = open_image_folder(folder / "train")
    return [images[index] for index in range(len(images))]


def pair_of(make, **sizes):
    return lambda folder: make(folder / "made", **sizes)


# What is drawn, damaged and read: a name, what writes whole files into a folder, and what reads them.
READERS = {
    "pictures": (write_pictures, each(ENDINGS, open_picture)),
    "camvid": (write_segnet, lambda folder: camvid.CamVid(folder, "train")),
    "camvid in colour": (write_original, lambda folder: camvid.CamVid(folder, "train")),
    "cifar": (write_classes, lambda folder: cifar.Cifar(folder, "train")),
    "folder of classes": (write_classes, all_pictures),
    "mnist": (pair_of(make_digits, digits=(20, 10)), lambda folder: mnist.read_mnist(folder / "made", True)),
    "mnist, packed": (pack_digits, lambda folder: mnist.read_mnist(folder / "d", True)),
    "wav": (write_sounds, each({".wav"}, lambda path: audio.load_mono(path, 8000))),
    "other sounds": (
        write_sounds,
        each(
            {".flac", ".ogg", ".mp3", ".aiff", ".au", ".caf", ".w64", ".rf64"}, lambda path: audio.load_mono(path, 8000)
        ),
    ),
    "yesno": (write_yesno, lambda folder: [yesno.open_recording(path) for path, _ in yesno.YesNo(folder).recordings]),
    "trec": (pair_of(make_questions), lambda folder: trec.read_splits(folder / "made")),
    "tsv": (
        lambda folder: trec.write_tsv(folder / "a.tsv", [trec.Question("How far is Lima ?", "NUM")] * 3),
        lambda folder: trec.read_tsv(folder / "a.tsv"),
    ),
    "snli": (
        pair_of(make_sentence_pairs, premises=(4, 2, 2)),
        lambda folder: open_snli(cached_in(folder) / "made"),
    ),
    "snli, cached": (write_npz, read_npz),
    "treebank": (write_trees, open_treebank),
    "vectors": (write_vectors, read_vectors),
    "archive": (write_archives, unpack),
    "sample.json": (write_sample, sample),
    "a run, resumed": (
        lambda folder: run(tiny_program, folder / "run", "--epochs", "2"),
        lambda folder: run(tiny_program, folder / "run", "--epochs", "2", "--resume"),
    ),
    "a run, asked": (lambda folder: run(question_classifier, folder / "run", "--epochs", "1"), ask),
    "fizzbuzz": (
        lambda folder: run(fizzbuzz, folder / "run", "--epochs", "2"),
        lambda folder: run(fizzbuzz, folder / "run", "--predict", "3"),
    ),
    "ignite_trainer": (write_trainer, read_trainer),
}

ODD = [b"", b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80", b"NaN", b"-1", b"1e999", b"99999999999999999999", b"\n"]
ODD += [b"\xef\xbb\xbf", b"{", b"[" * 2000, b"null", b'"', b"( " * 300, b"\t", b"\xe9", b"\xed\xa0\x80", b"../", b"\r"]


def damage(content, rng):
    """One to three changes of a file's bytes: bits, runs, pieces that are cut, moved, doubled, or odd ones put in."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        size = len(content)
        # Half of all changes fall into the first bytes, where the headers are.
        at = int(rng.integers(0, max(1, min(size, 120) if rng.random() < 0.5 else size)))
        length = int(rng.integers(1, 1 + max(1, min(size, 2 ** int(rng.integers(1, 12))))))
        piece = bytes(content[at : at + length])
        change = rng.integers(8)
        if change <= 1 and size:
            content[at] ^= 1 << int(rng.integers(8))
        elif change == 2 and size:
            content[at] = int(rng.integers(256))
        elif change == 3:
            del content[at:]
        elif change == 4:
            del content[at : at + length]
        elif change == 5:
            content[at:at] = piece * int(rng.integers(1, 4))
        elif change == 6:
            odd = ODD[rng.integers(len(ODD))]
            content[at : at + (len(odd) if rng.random() < 0.5 else 0)] = odd
        else:
            content[at : at + length] = rng.integers(0, 256, len(piece), dtype=np.uint8).tobytes()
    return bytes(content)


class TooLong(Exception):
    pass


def stop(*_):
    raise TooLong


def attempt(read, folder, seconds):
    """What came of reading: "read", "refused", or the last lines of a traceback."""
    told = io.StringIO()
    signal.alarm(seconds)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(told),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            read(folder)
        outcome = "read"
    except UserError as error:
        outcome = "refused" if str(error) and "\n" not in str(error) else f"a message of several lines: {error!r}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:100]} ({Path(place.filename).name}:{place.lineno})"
    finally:
        signal.alarm(0)
    # Where C calls Python, an error is printed instead of raised.
    return f"printed: {told.getvalue().splitlines()[-1]}" if "Traceback" in told.getvalue() else outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=READERS, help="one reader")
    parser.add_argument("--seconds", type=int, default=20, help="that one file may take (default: %(default)s)")
    args = parser.parse_args()
    atexit.register(shutil.rmtree, PLACE, ignore_errors=True)
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))
    signal.signal(signal.SIGALRM, stop)
    torch.set_num_threads(1)
    matplotlib.figure.Figure.savefig = lambda *_, **__: None  # curves and tables: they take longer than all else
    names = [args.only] if args.only else [*READERS]
    outcomes, faults = collections.defaultdict(collections.Counter), {}
    with tempfile.TemporaryDirectory(prefix="inputs-", dir=PLACE) as place:
        for name in names:
            whole = Path(place, name, "whole")
            whole.mkdir(parents=True)
            with contextlib.redirect_stdout(io.StringIO()):
                READERS[name][0](whole)
            shutil.copytree(whole, Path(place, name, "checked"))
            if (first := attempt(READERS[name][1], Path(place, name, "checked"), 60)) != "read":
                sys.exit(f"{name}: whole files are not read: {first}")
        mnist.place = lambda kind: Path(place, "cache")
        for number in range(args.inputs):
            name = names[number % len(names)]
            rng = np.random.default_rng([args.seed, number])
            whole, folder = Path(place, name, "whole"), Path(place, "damaged")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            path = files[rng.integers(len(files))]
            path.write_bytes(damage(path.read_bytes(), rng))
            outcome = attempt(READERS[name][1], folder, args.seconds)
            known = outcome in ("read", "refused")
            outcomes[name][outcome if known else "fault"] += 1
            if not known and (name, outcome) not in faults:
                faults[name, outcome] = number
                print(f"{name}, --seed {args.seed}, input {number}, {path.relative_to(folder)}: {outcome}", flush=True)
    print(json.dumps({name: dict(counts) for name, counts in outcomes.items()}, indent=1))
    count = sum(counts["fault"] for counts in outcomes.values())
    print(f"{args.inputs} damaged files: {count} faults of {len(faults)} kinds")
    sys.exit(bool(count))


if __name__ == "__main__":
    main()
