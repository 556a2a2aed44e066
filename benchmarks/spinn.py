"""SPINN's speed on this machine: the page's as printed, corrected, and batched, beside the matrix products alone.

    OMP_NUM_THREADS=1 python benchmarks/spinn.py --out runs/benchmark_spinn
    OMP_NUM_THREADS=1 python benchmarks/spinn.py --size 100 --tracker 16 --batches 128 128      as spinn.py trains

Forward and backward of the encoder, hidden size 300, sentences of 8 to 22 words with random trees, float32. The rows of
the table take turns, so that a machine that is busy for a moment is so for all; a time is the median of the rounds, in
seconds of the processor, which other work on the machine lengthens least. A turn begins with a step that is not timed,
because in training the step before is one's own too. It prints a table and draws `spinn.png`.

The limit is the products that have to be taken, at the row counts of the batched one: for each group of nodes the
product forward and that back to the children, and one product over all nodes for the gradient of the weights; with a
tracker also its own. No sigmoid is in it and no pointer. The page's stays below because it takes the batch apart into
rows, (1, 600), at every step of every sentence; autograd keeps each of them and puts the gradient together row by row.
The batched one plans all rows ahead on integers and moves them in blocks; the gradients of its weights are as many
products as there are groups. With a tracker no implementation may take nodes of one height together: the batch goes on
move by move, in products of few rows.

torchfold, which batched such trees from outside, is not measured: it is not installed with this repository.
"""

import argparse
import random
import statistics
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from benchmarks.page_spinn import PageSPINN
from ch05_sequence.loaders.snli import PADDING, REDUCE, SHIFT
from ch05_sequence.spinn_fast.batched import BatchedSPINN
from ch05_sequence.spinn_fast.plan import plan
from ch05_sequence.spinn_page import SPINN

LABELS = {
    "printed": "page as printed",
    "page": "page corrected",
    "batched": "batched",
    "limit": "products alone",
}


def random_moves(length, longest, rng):
    """The moves of a random tree over a sentence, filled up to 2 * longest - 1."""
    moves, waiting, depth = [], length, 0
    while len(moves) < 2 * length - 1:
        shifts = waiting and (depth < 2 or rng.random() < 0.5)
        moves.append(SHIFT if shifts else REDUCE)
        waiting, depth = (waiting - 1, depth + 1) if shifts else (waiting, depth - 1)
    return moves + [PADDING] * (2 * longest - 1 - len(moves))


def sentences(batch, size, seed=0):
    """Words (batch, longest, 2 * size), lengths and moves of a batch of random sentences."""
    rng = random.Random(seed)
    lengths = [rng.randint(8, 22) for _ in range(batch)]
    moves = [random_moves(length, max(lengths), rng) for length in lengths]
    words = torch.randn(batch, max(lengths), 2 * size, generator=torch.Generator().manual_seed(seed))
    return words, torch.tensor(lengths), torch.tensor(moves)


def as_printed(words, lengths):
    """Words as the page's buffers: (longest + 1, batch, 2 * size), something below, then the last word first."""
    buffers = torch.zeros(words.size(1) + 1, words.size(0), words.size(2))
    for number, length in enumerate(lengths.tolist()):
        buffers[-length:, number] = words[number, :length].flip(0)
    return buffers


def products(lengths, moves, size, tracker_size):
    """A function that does the matrix products of a step and nothing else."""
    planned = plan(lengths, moves, "cpu", tracked=tracker_size is not None)
    inner, active = sum(planned.made), planned.active.tolist()
    groups = [(inner, planned.made, 2 * size, 5 * size)]
    if tracker_size:
        groups += [(inner, planned.made, tracker_size, 5 * size)]
        groups += [(sum(active), active, wide, 4 * tracker_size) for wide in (3 * size, tracker_size)]
    by_group = [
        (torch.randn(rows, wide), torch.randn(rows, out), torch.randn(out, wide), [n for n in sizes if n])
        for rows, sizes, wide, out in groups
    ]

    def run():
        for inputs, outputs, weight, sizes in by_group:
            for part in inputs.split(sizes):
                part @ weight.t()
            for part in outputs.split(sizes):
                part @ weight
            outputs.t() @ inputs

    return run


def contestants(batch, size, tracker_size):
    """Names to functions that do one step, forward and backward, all with the same weights and sentences."""
    words, lengths, moves = sentences(batch, size)
    torch.manual_seed(0)
    networks = {
        "printed": PageSPINN(size, tracker_size),
        "page": SPINN(size, tracker_size),
        "batched": BatchedSPINN(size, tracker_size),
    }
    for network in networks.values():
        network.load_state_dict(networks["page"].state_dict())
    buffers = as_printed(words, lengths).requires_grad_()
    words.requires_grad_()
    inputs = {name: (words, lengths, moves) for name in networks} | {"printed": (buffers, moves.t())}

    def step(name):
        network = networks[name]
        network.zero_grad()
        inputs[name][0].grad = None
        found = network(*inputs[name])
        found = found if name == "printed" else found.sentence
        found.backward(torch.ones_like(found))
        return found

    reference = step("printed")
    for name in ("page", "batched"):
        torch.testing.assert_close(step(name), reference, rtol=1e-4, atol=1e-5)
    steps = {name: lambda name=name: step(name) for name in networks}
    return steps | {"limit": products(lengths, moves, size, tracker_size)}


def measure(functions, rounds):
    """The processor's median seconds of each function; they take turns, each warm from a call of its own."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function()
            start = time.process_time()
            function()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def draw(table, path):
    """Draws sentences a second, a panel for each kind, a group of bars for each batch size."""
    figure, axes = plt.subplots(1, len(table), figsize=(10, 3.6), layout="constrained", sharey=True)
    for axis, (title, by_batch) in zip(axes, table.items()):
        for number, (batch, speeds) in enumerate(by_batch.items()):
            places = [place + 0.4 * number - 0.2 for place in range(len(speeds))]
            bars = axis.bar(
                places, speeds.values(), 0.38, label=f"batch {batch}", color=("tab:blue", "tab:cyan")[number]
            )
            axis.bar_label(bars, [f"{speed:,.0f}" for speed in speeds.values()], fontsize=8)
        axis.set_xticks(range(len(LABELS)), [LABELS[name].replace(" ", "\n", 1) for name in speeds], fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8)
    axes[0].set_ylabel("sentences a second")
    figure.suptitle("SPINN, forward and backward, hidden size 300, sentences of 8 to 22 words", fontsize=11)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs", "benchmark_spinn"), help="folder for spinn.png")
    parser.add_argument("--size", type=int, default=300, help="of a node's hidden state (default: %(default)s)")
    parser.add_argument("--tracker", type=int, default=64, help="its size (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs=2, default=[64, 256], help="(default: 64 256)")
    parser.add_argument("--rounds", type=int, default=7, help="of each (default: %(default)s)")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, CPU, sentences a second")
    print("| tracker | batch | " + " | ".join(LABELS.values()) + " | batched, of the limit | times the printed |")
    print("|" + " --- |" * 8)
    table = {}
    for tracker_size in (None, args.tracker):
        by_batch = table.setdefault(f"with a tracker of {tracker_size}" if tracker_size else "without tracker", {})
        for batch in args.batches:
            seconds = measure(contestants(batch, args.size, tracker_size), args.rounds)
            speeds = by_batch[batch] = {name: batch / value for name, value in seconds.items()}
            told = " | ".join(f"{speed:,.0f}" for speed in speeds.values())
            share, times = speeds["batched"] / speeds["limit"], speeds["batched"] / speeds["printed"]
            print(f"| {tracker_size or 'none'} | {batch} | {told} | {share:.2f} | {times:.1f} |", flush=True)
    draw(table, args.out / "spinn.png")
    print(f"wrote {args.out / 'spinn.png'}")


if __name__ == "__main__":
    main()
