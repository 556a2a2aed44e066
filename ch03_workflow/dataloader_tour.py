"""Listing 3.2: what a DataLoader makes of the Dataset of 3.1.

    python ch03_workflow/dataloader_tour.py

Its last cells measure on this machine what worker processes and the size of a batch do.
"""

import time
import warnings

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, WeightedRandomSampler

from ch03_workflow.fizbuz_dataset import FizBuzDataset
from ch03_workflow.loader_parts import (
    BitsWithoutZeros,
    Pictures,
    SharedStream,
    Stream,
    WhoLoads,
    pad_bits,
    seed_worker,
)
from common.tours import tour

args = tour(__doc__)


class PageFizBuzDataset(FizBuzDataset):
    """Items as the page has them: Python lists, and no end."""

    def __getitem__(self, idx):
        x, y = FizBuzDataset(self.input_size, self.start + idx, self.start + idx + 1)[0]
        return x.int().tolist(), y.int().tolist()


def measure(dataset, **loader_options):
    """How fast a loader goes through a data set: seconds to the first batch, examples a second after it."""
    started = time.perf_counter()
    batches = iter(DataLoader(dataset, **loader_options))
    first = len(next(batches)[0])
    ready = time.perf_counter()
    for _ in batches:
        pass
    return ready - started, (len(dataset) - first) / (time.perf_counter() - ready)


# %% 3.1 The data set of fizbuz_dataset.py, indexed
# As printed the page calls FizBuzDataset() and gets: missing 1 required positional argument: 'input_size'.
try:
    FizBuzDataset()
except TypeError as error:
    missing = str(error)
    print(f"TypeError: {missing}")
dataset = FizBuzDataset(input_size=10)
x, y = dataset[3]
print(f"{len(dataset) = }, {x = }, {y = }")

# %% 3.2 A plain loop; the second one stops by itself, because the data set raises IndexError at its end
for i in range(len(dataset)):
    x, y = dataset[i]
seen = sum(1 for x, y in dataset)
print(f"{seen = }")
beyond = PageFizBuzDataset(10)[1001]
print(f"the page's data set has no end, item 1001 of 1000 is {beyond}")

# %% 3.2 Minibatches
# As printed they are transposed: a list of ten tensors, one a bit, because default_collate looks into lists.
page_batch = next(iter(DataLoader(PageFizBuzDataset(10), batch_size=10)))
print(f"of lists: {[(type(part).__name__, len(part), part[0].shape) for part in page_batch]}")
transposed_back = torch.equal(torch.stack(page_batch[0], dim=1), torch.stack([dataset[i][0] for i in range(10)]))
print(f"stacked along the second dimension they are the batch that was meant: {transposed_back}")
# Where there are fewer than four cores, torch warns of four workers.
with warnings.catch_warnings(record=True):
    dataloader = DataLoader(dataset, batch_size=10, shuffle=True, num_workers=4)
    batches = list(dataloader)
print(f"of tensors: {[part.shape for part in batches[0]]}, {len(batches)} batches; the first:")
print(batches[0])

# %% The last batch is shorter, or left out
sizes = [len(x) for x, y in DataLoader(dataset, batch_size=300)]
sizes_dropped = [len(x) for x, y in DataLoader(dataset, batch_size=300, drop_last=True)]
print(f"{sizes = }, {sizes_dropped = }")

# %% A sampler says in which order; a generator of its own makes the order repeat
orders = {
    "sequential": list(SequentialSampler(range(8))),
    "random": list(RandomSampler(range(8), generator=torch.Generator().manual_seed(0))),
    "random again": list(RandomSampler(range(8), generator=torch.Generator().manual_seed(0))),
    "batches": list(BatchSampler(SequentialSampler(range(8)), batch_size=3, drop_last=False)),
}
for name, order in orders.items():
    print(f"{name:<13}{order}")

# %% A sampler with weights: more than half of the numbers are "other", in these batches a quarter
answers = torch.stack([y for x, y in dataset])
shares = answers.mean(dim=0)
weights = 1 / shares[answers.argmax(dim=1)]
sampler = WeightedRandomSampler(weights, num_samples=4000, generator=torch.Generator().manual_seed(0))
balanced_shares = torch.cat([y for x, y in DataLoader(dataset, batch_size=100, sampler=sampler)]).mean(dim=0)
for name, plain, balanced in zip(("fizzbuzz", "buzz", "fizz", "other"), shares, balanced_shares):
    print(f"{name:<9}{plain:6.1%} of the numbers, {balanced:6.1%} of what the sampler drew")

# %% A collate_fn makes the batch: here of items of different lengths
bits = BitsWithoutZeros(1000)
try:
    next(iter(DataLoader(bits, batch_size=10)))
except RuntimeError as error:
    unequal = str(error)
    print(f"RuntimeError: {unequal}")
padded, lengths = next(iter(DataLoader(bits, batch_size=5, collate_fn=pad_bits)))
print(padded, lengths)


# %% Workers are processes, not threads as the text says; the batches are the same as without them
def load(epochs=1, **options):
    """(index, process, torch's number, own number) of all items, an epoch after the other."""
    loader = DataLoader(WhoLoads(8), batch_size=2, generator=torch.Generator().manual_seed(0), **options)
    epochs = [[torch.stack([part.double() for part in batch], dim=1) for batch in loader] for _ in range(epochs)]
    return [torch.cat(batches) for batches in epochs]


(alone,), (shared,) = load(shuffle=True), load(shuffle=True, num_workers=2)
same_order = torch.equal(alone[:, 0], shared[:, 0])
processes = shared[:, 1].unique().int().tolist()
print(f"{same_order = }, items came from the processes {processes}")

# %% Seeds: every worker has torch's numbers of its own, but a copy of the data set's generator
(seeded,) = load(num_workers=2, worker_init_fn=seed_worker)
(seeded_again,) = load(num_workers=2, worker_init_fn=seed_worker)
for name, items in {"without worker_init_fn": shared, "with": seeded}.items():
    distinct = [len(items[:, column].unique()) for column in (2, 3)]
    print(f"{name}: of 8 numbers {distinct[0]} of torch's are different, {distinct[1]} of the own generator's")
repeats = torch.equal(seeded[:, 2:], seeded_again[:, 2:])
print(f"the same seed gives the same numbers again: {repeats}")

# %% persistent_workers: the same processes serve the next epoch, and nothing is started anew
first, second = load(epochs=2, num_workers=1)
kept_first, kept_second = load(epochs=2, num_workers=1, persistent_workers=True)
new_processes = bool(first[0, 1] != second[0, 1])
kept_processes = bool(kept_first[0, 1] == kept_second[0, 1])
print(f"new processes in the second epoch: {new_processes}; with persistent_workers the same: {kept_processes}")
# Started anew, a worker gets its copy of the generator once more: each epoch has the same "random" numbers.
same_noise = torch.equal(first[:, 3], second[:, 3])
print(f"without worker_init_fn the second epoch draws the first one's numbers: {same_noise}")

# %% pin_memory: batches in memory from which a GPU reads while the program goes on
# It takes effect where there is an accelerator; elsewhere the loader warns and goes on.
with warnings.catch_warnings(record=True) as pin_warnings:
    warnings.simplefilter("always")
    x, y = next(iter(DataLoader(dataset, batch_size=10, pin_memory=True)))
print(f"{x.is_pinned() = }", *(warning.message for warning in pin_warnings), sep="\n")
x = x.to(args.device, non_blocking=x.is_pinned())

# %% An iterable data set: each worker has all of it, unless it asks which worker it is
numbers = FizBuzDataset(10, start=1, end=9)


def read(stream, workers):
    bits = torch.cat([x for x, y in DataLoader(stream, batch_size=2, num_workers=workers)])
    return (bits @ 2.0 ** torch.arange(9, -1, -1)).int().tolist()


streams = {
    "one process": read(Stream(numbers), 0),
    "two workers": read(Stream(numbers), 2),
    "two workers, shared": read(SharedStream(numbers), 2),
}
for name, order in streams.items():
    print(f"{name:<20}{order}")

# %% Measured here: what num_workers and the size of a batch do
# Numbers cost next to nothing: a worker takes longer to hand them over than to make them. Pictures cost decoding.
table = []
print(f"{'data set':<10}{'workers':>8}{'batch size':>12}{'first batch after':>20}{'then examples/s':>18}")
for name, items in {"numbers": FizBuzDataset(10), "pictures": Pictures(120)}.items():
    for workers, batch_size in [(0, 1), (0, 10), (0, 60), (2, 60)]:
        start, rate = measure(items, batch_size=batch_size, num_workers=workers)
        table.append((name, workers, batch_size, start, rate))
        print(f"{name:<10}{workers:>8}{batch_size:>12}{start:>18.3f} s{rate:>18,.0f}")
