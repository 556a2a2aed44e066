"""Tensors of different lengths as one: thousands of small ones cannot be sent to loader processes."""

from collections.abc import Sequence

import torch


class Packed(Sequence):
    """A list of tensors that differ in the size of one axis, lying end to end in one.

    Where processes are spawned, each tensor of a data set takes a file descriptor to reach a loader process, and a
    process may open 1,024 files, as a rule: a data set is a few tensors.

    Attributes:
        values: all tensors along the axis.
        lengths: int64, (tensors,).
    """

    def __init__(self, tensors, axis=0):
        self.axis = axis
        self.lengths = torch.tensor([tensor.shape[axis] for tensor in tensors], dtype=torch.int64)
        self.values = torch.cat(tensors, axis) if tensors else torch.empty(0)
        self._ends = self.lengths.cumsum(0)

    def __len__(self):
        return len(self.lengths)

    def __getitem__(self, index):
        length = self.lengths[index]
        return self.values.narrow(self.axis, self._ends[index] - length, length)
