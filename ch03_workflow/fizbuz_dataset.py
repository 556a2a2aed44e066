"""Listing 3.1: FizzBuzz as a `Dataset`, and as a stream that worker processes share.

The dataloader tour runs all three. They stand in a file of their own because a worker process that is spawned, as on
macOS and Windows, must be able to import them.
"""

from dataclasses import dataclass

import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from ch02_simple_nn.data import binary_encoder, class_index


@dataclass(eq=False)
class FizBuzDataset(Dataset):
    """The numbers from `start` to `end` - 1 as bits, each with its own answer (the text of the page says: the next's).

    An item is two float32 tensors: the bits, `(input_size,)`, the highest first, and the one-hot answer, `(4,)`, in the
    order fizzbuzz, buzz, fizz, other. `eq=False` keeps the object hashable.

    Raises:
        ValueError: the last number has more than `input_size` bits.
        IndexError: from indexing, past either end; by this a `for` loop over the data set knows where to stop.
    """

    input_size: int
    start: int = 0
    end: int = 1000

    def __post_init__(self):
        for number in (self.start, self.end - 1):
            self.encoder(number)

    def encoder(self, num):
        # Made at each call: an encoder kept in the object is a local function, which cannot go to a spawned worker.
        return binary_encoder(self.input_size)(num)

    def __getitem__(self, idx):
        if not 0 <= idx < len(self):
            raise IndexError(f"index {idx} of {len(self)} numbers")
        idx += self.start
        x = self.encoder(idx)
        y = [0, 0, 0, 0]
        y[class_index(idx)] = 1
        # Tensors, not the page's lists: of lists, the DataLoader would make a batch that is transposed.
        return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)

    def __len__(self):
        return self.end - self.start


class FizBuzStream(IterableDataset):
    """The items of a `FizBuzDataset` one after the other, for data that can only be read in order.

    Every worker process has a copy and goes through all of it: with two workers each item comes twice.
    """

    def __init__(self, numbers):
        self.numbers = numbers

    def __iter__(self):
        yield from self.numbers


class SharedFizBuzStream(FizBuzStream):
    """The same, but of n workers each gives every n-th item only: together they give each item once."""

    def __iter__(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in range(first, len(self.numbers), step):
            yield self.numbers[index]
