"""How a batch is made and shared: under `torchrun` each process takes its part, and batch k is the same for all."""

import multiprocessing.queues
import os
import sys

import ignite.distributed as idist
import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler

from common.errors import UserError


def share_of(n):
    """The places that this process holds in a batch of `n` over all processes: all of them, unless under `torchrun`."""
    return slice(idist.get_rank(), n, idist.get_world_size())


def rand(*shape):
    """Uniform random numbers, one row an example of this process's share, `shape[0]` rows.

    Drawn for the whole batch on every process and then cut, so that an example meets the same numbers however many
    processes there are.
    """
    everyone = shape[0] * idist.get_world_size()
    return torch.rand(everyone, *shape[1:])[share_of(everyone)]


def keep(batch):
    """The collate function of a data set whose `__getitems__` already returns a batch."""
    return batch


def to_device(batch, device, non_blocking=False):
    """The default `prepare_batch`: moves a pair of tensors to the device."""
    return tuple(part.to(device, non_blocking=non_blocking) for part in batch)


def preparer(prepare):
    """ignite's `prepare_batch` out of a function that makes numbers of a batch's bytes, once they lie on the device."""

    def prepare_batch(batch, device, non_blocking=False):
        return prepare(*to_device(batch, device, non_blocking))

    return prepare_batch


class LikeLengths(BatchSampler):
    """Shuffled, full batches of examples whose lengths are alike, so that little is padded; for training.

    The shuffled examples are cut into pools of a hundred batches and each pool is sorted by length: a batch is of one
    length, almost, and of other company every epoch.

    Args:
        lengths: one number an example, (examples,).
        batch_size: that of all processes together; each takes its share of the batch.
        groups: one number an example, (examples,), from 0 up: examples of one group are shuffled together, and are in
            one batch where their lengths are equal; by default every example is alone.
    """

    def __init__(self, lengths, batch_size, seed, groups=None):
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0
        self.groups = groups
        self.sampler = self  # as in torch's own batch samplers, what `set_epoch` is called on

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return len(self.lengths) // self.batch_size

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        if self.groups is None:
            order = torch.randperm(len(self.lengths), generator=generator)
        else:
            places = torch.randperm(int(self.groups.max()) + 1, generator=generator)
            order = places[self.groups].argsort(stable=True)
        order = order[: len(self) * self.batch_size]
        pools = (pool[self.lengths[pool].argsort(stable=True)] for pool in order.split(100 * self.batch_size))
        batches = torch.cat([*pools]).view(len(self), self.batch_size)
        for k in torch.randperm(len(self), generator=generator):
            yield batches[k, share_of(self.batch_size)].tolist()


def end_when_nothing_can_be_sent(worker):
    """A `worker_init_fn`: a process that cannot hand its batches over would else be waited for without end."""

    def end(self, error, batch):
        if "shared memory" not in str(error):  # of that the first process tells
            print(f"loader process {worker}: {error}", file=sys.stderr, flush=True)
        # With another status torch raises its error wherever the program is, in the midst of taking a lock too, and
        # then waits for that lock. So it is told when the next batch is asked for, within five seconds.
        os._exit(0)

    multiprocessing.queues.Queue._on_queue_feeder_error = end


def loader(dataset, args, *, training, batch_size=None, collate_fn=None, lengths=None, groups=None):
    """A `DataLoader` over this process's share of a data set.

    In training the examples are shuffled, every batch is full, and batch k holds the same examples whatever the number
    of processes. In scoring every example comes once, in order.

    Args:
        lengths: one number an example, (examples,): makes batches of like length, in scoring the shortest first.
        groups: with lengths, in training: examples of one number come together, as in `LikeLengths`.

    Raises:
        UserError: the batch does not divide among the processes, or the data set has fewer examples than one batch.
    """
    size, processes = batch_size or args.batch_size, idist.get_world_size()
    if training and size % processes:
        raise UserError(f"--batch-size {size} does not divide among {processes} processes")
    if len(dataset) < (size if training else processes):
        raise UserError(f"--batch-size {size} is more than the {len(dataset)} examples that there are")
    share = max(1, size // processes)
    if training and lengths is not None:
        batches = LikeLengths(torch.as_tensor(lengths), size, args.seed, groups)
    elif training:
        shuffled = DistributedSampler(dataset, processes, idist.get_rank(), seed=args.seed, drop_last=True)
        batches = BatchSampler(shuffled, share, drop_last=True)
    else:
        order = range(len(dataset)) if lengths is None else torch.as_tensor(lengths).argsort(stable=True).tolist()
        batches = BatchSampler(order[share_of(len(dataset))], share, drop_last=False)
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=args.workers,
        worker_init_fn=end_when_nothing_can_be_sent,
        collate_fn=keep if hasattr(dataset, "__getitems__") else collate_fn,
        pin_memory=args.device.type == "cuda" and args.workers > 0,
        # Workers start anew each epoch: ones that stay draw their seeds at other times, and no resume would be exact.
        persistent_workers=False,
    )
