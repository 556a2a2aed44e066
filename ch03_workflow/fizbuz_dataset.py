"""Listing 3.1, FizzBuzz as a `Dataset`, whole.

    python ch03_workflow/fizbuz_dataset.py

`dataloader_tour.py` goes on from here: what the page's code gives as it is printed, and what a `DataLoader` can do.
"""

from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset


@dataclass(eq=False)
class FizBuzDataset(Dataset):
    """The numbers from `start` to `end` - 1 as bits, each with its own answer (the text of the page says: the next's).

    An item is two float32 tensors: the bits, `(input_size,)`, the highest first, and the one-hot answer, `(4,)`, in the
    order fizzbuzz, buzz, fizz, other. `eq=False` keeps the object hashable.

    Raises:
        ValueError: there is no number between `start` and `end`, or one that has more than `input_size` bits.
        IndexError: from indexing, past either end.
    """

    input_size: int
    start: int = 0
    end: int = 1000

    def __post_init__(self):
        # The page has no check, and gives 1024 a code of 11 bits.
        if not 0 <= self.start < self.end <= 2**self.input_size:
            expected = f"0 <= start < end <= {2**self.input_size}, for {self.input_size} bits"
            raise ValueError(f"start={self.start}, end={self.end}: expected {expected}")

    def encoder(self, num):
        ret = [int(i) for i in f"{num:b}"]
        return [0] * (self.input_size - len(ret)) + ret

    def __getitem__(self, idx):
        # Not on the page, where `for x, y in dataset` therefore never ends.
        if not 0 <= idx < len(self):
            raise IndexError(f"index {idx} of {len(self)} numbers")
        idx += self.start
        x = self.encoder(idx)
        if idx % 15 == 0:
            y = [1, 0, 0, 0]
        elif idx % 5 == 0:
            y = [0, 1, 0, 0]
        elif idx % 3 == 0:
            y = [0, 0, 1, 0]
        else:
            y = [0, 0, 0, 1]
        # The page returns the lists themselves, of which a DataLoader makes batches that are transposed.
        return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)

    def __len__(self):
        return self.end - self.start


# A worker process that is spawned imports this file, and must not run what follows.
if __name__ == "__main__":
    dataset = FizBuzDataset(input_size=10)
    x, y = dataset[3]
    print(f"{len(dataset) = }\nthe number 3: {x = }, {y = }")
    # 3.2, with 10 for the missing input_size. Where there are fewer than four cores, torch warns of four workers.
    for i in range(len(dataset)):
        x, y = dataset[i]
    dataloader = DataLoader(dataset, batch_size=10, shuffle=True, num_workers=4)
    batches = list(dataloader)
    print(f"{len(batches)} batches, the first of them:", *batches[0], sep="\n")
