"""How fast the vectors of 20,000 words come out of a file of GloVe's size, and in how much memory.

    python benchmarks/word_vectors.py

It writes a file of 400,000 words with 50 numbers each, as large as `glove.6B.50d.txt`, unless it is there. Each reader
has a process of its own, so that the peak of memory is its own. torchtext 0.6.0 reads all words, and keeps them in a
file beside for the next time, which is measured too.
"""

import argparse
import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.snli_data import _megabytes, invented_words
from ch05_sequence.loaders.snli import Vocabulary
from ch05_sequence.loaders.vectors import load_vectors

WORDS, KNOWN, SIZE = 400_000, 20_000, 50


def write_vectors(path):
    draw = np.random.default_rng(0)
    with path.open("w") as file:
        for word in invented_words(WORDS, random.Random(0)):
            file.write(f"{word} {' '.join(f'{number:.5g}' for number in draw.normal(size=SIZE))}\n")


def known_words(path):
    with path.open() as file:
        words = [line.partition(" ")[0] for line in file]
    return random.Random(1).sample(words, KNOWN)


def ours(path, words):
    return load_vectors(path, Vocabulary(["<unk>", "<pad>", *words]), SIZE)


def torchtexts(path, words):
    from torchtext.data import Field
    from torchtext.vocab import Vectors

    field = Field()
    field.build_vocab([words])
    field.vocab.load_vectors(Vectors(str(path), cache=str(path.parent)))
    return field.vocab.vectors


def measure(reader, path, words):
    """Seconds, the processor's seconds, and megabytes at the peak above those before; run in a process of its own."""
    reader(path.with_name("warm.txt"), words[:1])  # what is imported, and the first use of torch, is no reading
    before = _megabytes("VmHWM")
    start, cpu_start = time.perf_counter(), time.process_time()
    reader(path, words)
    return time.perf_counter() - start, time.process_time() - cpu_start, _megabytes("VmHWM") - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/word_vectors"), help="(default: %(default)s)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"vectors.{SIZE}d.txt"
    if not path.exists():
        write_vectors(path)
    words = known_words(path)
    path.with_name("warm.txt").write_text(f"{words[0]}{' 0.5' * SIZE}\nother{' 0.5' * SIZE}\n")
    for stored in args.out.glob("*.pt"):
        stored.unlink()
    print(f"{WORDS} words, {path.stat().st_size / 1e6:.0f} MB, {KNOWN} of them wanted")
    for name, reader in {"here": ours, "torchtext": torchtexts, "torchtext, from its own file": torchtexts}.items():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            seconds, cpu_seconds, megabytes = process.submit(measure, reader, path, words).result()
        print(f"{name:<30}{seconds:>7.1f} s{cpu_seconds:>7.1f} s of CPU time{megabytes:>7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
