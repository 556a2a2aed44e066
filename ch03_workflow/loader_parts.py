"""What the dataloader tour gives to worker processes, in a file that a spawned worker can import."""

import io
import os

import numpy as np
import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from data.tiny_objects import draw_object


class WhoLoads(Dataset):
    """Tells who loads: an item is (index, process id, random number of torch, number of its own generator)."""

    def __init__(self, size):
        self.size = size
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index, os.getpid(), torch.rand(()).item(), self.rng.random()


def seed_worker(worker_id):
    """A `worker_init_fn`: torch seeds itself, `random` and `np.random` in each worker, but no generator of ours."""
    get_worker_info().dataset.rng = np.random.default_rng(torch.initial_seed())


class BitsWithoutZeros(Dataset):
    """Numbers from 1 up as bits without leading zeros: items of different lengths, float32, `(bits,)`."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        if index >= self.size:
            raise IndexError(index)
        return torch.tensor([float(bit) for bit in f"{index + 1:b}"])


def pad_bits(items):
    """A `collate_fn` for items of different lengths.

    Returns:
        the bits, `(batch, longest)`, filled up with -1 at the end, and the lengths, `(batch,)`.
    """
    lengths = torch.tensor([len(item) for item in items])
    return pad_sequence(items, batch_first=True, padding_value=-1), lengths


class Pictures(Dataset):
    """JPEG pictures of 256x256, decoded and scaled down at every access, as photos on a disk are.

    An item is a tensor, uint8, `(3, 64, 64)`.
    """

    def __init__(self, size):
        file = io.BytesIO()
        draw_object(np.random.default_rng(0), "ship").resize((256, 256)).save(file, "JPEG")
        self.jpeg, self.size = file.getvalue(), size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        with Image.open(io.BytesIO(self.jpeg)) as picture:
            return torch.from_numpy(np.array(picture.resize((64, 64)))).permute(2, 0, 1)


class Stream(IterableDataset):
    """The items of a data set one after the other, for data that can only be read in order.

    Every worker process has a copy and goes through all of it: with two workers each item comes twice.
    """

    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        yield from self.dataset


class SharedStream(Stream):
    """The same, but of n workers each gives every n-th item only: together they give each item once."""

    def __iter__(self):
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for index in range(first, len(self.dataset), step):
            yield self.dataset[index]
