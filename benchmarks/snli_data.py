"""How fast a training file of SNLI's size is read and cut into batches: here, and by torchtext 0.6.0.

    python benchmarks/snli_data.py
    python benchmarks/snli_data.py --pairs 100000

It writes a file of 550,152 lines with all of SNLI's fields, half a gigabyte of invented words, unless it is there.
Each reader has a process of its own, so that the peak of memory is its own: `read_file` for the first time, then from
its cache, and torchtext on a tenth of the lines, whose time and memory are then multiplied by ten. Each makes the
batches of one epoch, 64 pairs of like length, with words and transitions. CPU time says what a machine without other
work would take. It leaves `snli_data.json` in `--out`.
"""

import argparse
import itertools
import json
import multiprocessing
import random
import re
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from ch05_sequence.loaders import snli, snli_file
from common import batches, cli, report

SNLI_PAIRS, BATCH = 550_152, 64


def invented_words(count, generator):
    """Different words of one to six syllables, the short ones first, as the frequent words of a language are."""
    syllables = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
    words = set()
    while len(words) < count:
        words.add("".join(generator.choices(syllables, k=generator.choice((1, 2, 2, 3, 3, 4, 5, 6)))))
    return sorted(words, key=lambda word: (len(word), word))


def sentence(length, words, generator):
    """A sentence over a random binary tree: its text, its binary parse and a parse with labels."""

    def grow(leaves):
        if len(leaves) == 1:
            return leaves[0], f"(NN {leaves[0]})"
        # Most nodes of English trees branch to the right.
        cut = 1 if generator.random() < 0.6 else generator.randrange(1, len(leaves))
        (left, left_labelled), (right, right_labelled) = grow(leaves[:cut]), grow(leaves[cut:])
        return f"( {left} {right} )", f"(NP {left_labelled} {right_labelled})"

    leaves = list(itertools.islice(words, length))
    binary, labelled = grow(leaves)
    return " ".join(leaves), binary, f"(ROOT {labelled})"


def write_snli(path, pairs, seed=0):
    """Writes a file of SNLI's format and size of line: 40,000 words, three hypotheses to a premise."""
    generator = random.Random(seed)
    vocabulary = invented_words(40_000, generator)
    # The n-th word is a n-th as frequent as the first (Zipf's law).
    shares = list(itertools.accumulate(1 / rank for rank in range(1, len(vocabulary) + 1)))
    words = itertools.chain.from_iterable(
        iter(lambda: generator.choices(vocabulary, cum_weights=shares, k=100_000), None)
    )
    beside = path.with_suffix(".writing")
    with beside.open("w") as file:
        for number in range(pairs):
            label = snli.LABELS[number % 3]
            # In SNLI a premise has 14 words on average, a hypothesis 8.
            if label == snli.LABELS[0]:
                premise = sentence(max(2, min(80, round(generator.gauss(14, 6)))), words, generator)
            hypothesis = sentence(max(2, min(60, round(generator.gauss(8.3, 3)))), words, generator)
            caption = f"{number // 15}.jpg#{number // 3 % 5}"
            line = {"annotator_labels": [label], "captionID": caption, "gold_label": label if number % 700 else "-"}
            line["pairID"] = f"{caption}r1{label[0]}"
            for which, (text, binary, labelled) in (("1", premise), ("2", hypothesis)):
                line |= {f"sentence{which}": text, f"sentence{which}_binary_parse": binary}
                line[f"sentence{which}_parse"] = labelled
            file.write(json.dumps(line) + "\n")
    beside.rename(path)


def our_batches(path, cache):
    snli_file.place = lambda kind: cache
    packed = snli_file.read_file(path)
    pairs = snli.Pairs(packed, path, snli.Vocabulary.of_counts(snli.count_words(packed, slice(None))))
    args = argparse.Namespace(batch_size=BATCH, seed=0, workers=0, device=torch.device("cpu"))
    return batches.loader(pairs, args, training=True, lengths=pairs.lengths)


def torchtext_batches(path, cache):
    """As torchtext's own `SNLI.iters(trees=True)`, from one file."""
    from torchtext import data
    from torchtext.datasets.nli import SNLI, ParsedTextField, ShiftReduceField

    words, transitions, labels = ParsedTextField(lower=True), ShiftReduceField(), data.Field(sequential=False)
    fields = {"gold_label": ("label", labels)}
    for which, name in (("1", "premise"), ("2", "hypothesis")):
        fields[f"sentence{which}_binary_parse"] = [(name, words), (f"{name}_transitions", transitions)]
    pairs = data.TabularDataset(str(path), "json", fields, filter_pred=lambda example: example.label != "-")
    words.build_vocab(pairs)
    labels.build_vocab(pairs)
    return data.BucketIterator(pairs, BATCH, sort_key=SNLI.sort_key, device="cpu")


def measure(make_batches, path, cache):
    """Seconds until the batches are ready, the peak of memory, and how fast an epoch of them comes; run in a process.

    Returns:
        a dictionary: `seconds` and the processor's `cpu_seconds` to read, `megabytes_before` reading and `megabytes`
        at the peak, `pairs_per_second` and `pairs_per_cpu_second` of the batches.
    """
    figures = {"megabytes_before": _megabytes("VmRSS")}
    start, cpu_start = time.perf_counter(), time.process_time()
    batches = make_batches(path, cache)
    figures |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    figures["megabytes"] = _megabytes("VmHWM")
    start, cpu_start = time.perf_counter(), time.process_time()
    pairs = BATCH * sum(1 for _ in batches)
    figures["pairs_per_second"] = pairs / (time.perf_counter() - start)
    figures["pairs_per_cpu_second"] = pairs / (time.process_time() - cpu_start)
    return figures


def _megabytes(which):
    """Memory now (VmRSS) or at its peak (VmHWM), from Linux's /proc: getrusage begins with the parent's peak."""
    return int(re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=cli.positive_int, default=SNLI_PAIRS, help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/snli_data"), metavar="DIR", help="(default: %(default)s)"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    whole, tenth, cache = args.out / f"{args.pairs}.jsonl", args.out / f"{args.pairs}_tenth.jsonl", args.out / "cache"
    if not whole.exists():
        write_snli(whole, args.pairs)
    with whole.open("rb") as lines:
        tenth.write_bytes(b"".join(itertools.islice(lines, args.pairs // 10)))
    shutil.rmtree(cache, ignore_errors=True)

    contenders = {
        "here, first time": (our_batches, whole),
        "here, from the cache": (our_batches, whole),
        "torchtext, a tenth": (torchtext_batches, tenth),
    }
    results = {}
    for name, (make_batches, path) in contenders.items():
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            results[name] = process.submit(measure, make_batches, path, cache).result()
    scaled = dict(results["torchtext, a tenth"])
    grown = scaled["megabytes"] - scaled["megabytes_before"]
    scaled["megabytes"] = scaled["megabytes_before"] + 10 * grown
    scaled |= {name: 10 * scaled[name] for name in ("seconds", "cpu_seconds")}
    results["torchtext, times ten"] = scaled

    print(f"{args.pairs} lines, {whole.stat().st_size / 1e6:.0f} MB, {torch.get_num_threads()} threads")
    print(f"{'':<22}{'to read':>10}{'CPU time':>10}{'peak of memory':>16}{'batches':>18}{'by CPU time':>18}")
    for name, figures in results.items():
        speeds = (f"{figures[unit]:,.0f} pairs/s" for unit in ("pairs_per_second", "pairs_per_cpu_second"))
        print(
            f"{name:<22}{figures['seconds']:>8.1f} s{figures['cpu_seconds']:>8.1f} s{figures['megabytes']:>13,.0f} MB"
            + "".join(f"{speed:>18}" for speed in speeds)
        )
    report.write_json(args.out / "snli_data.json", {"pairs": args.pairs, "batch": BATCH, **results})
    print(f"wrote {args.out}/snli_data.json")


if __name__ == "__main__":
    main()
