"""Where each node of a batch of trees is read and written: planned on integers, before any of it is computed.

The parser's moves are known ahead, so its stacks can be run with numbers of nodes instead of nodes, all sentences at
once. What comes out says, for each group of nodes that are computed together, where their values go: no Python per node
is left for the computation, and a GPU gets all of it in one copy. `python ch05_sequence/spinn.py` draws the plan of
three sentences: `plan.png`.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ch05_sequence.loaders.snli import REDUCE, SHIFT


class Plan(NamedTuple):
    """A forest of binary trees over W words, with R inner nodes, in B sentences, S moves in all.

    Every node has one slot, a row of a buffer of 2 * R + B + 1 rows: inner node number j reads its children from the
    slots 2 * j and 2 * j + 1, then come the B roots, and the last row is zeros, for where no node is. So a group of
    nodes reads one block of rows, in place, and each node is written once, to where its parent reads it.

    Attributes:
        sizes: how many inner nodes each group has; inner nodes are numbered group by group.
        places: the words' rows among all words of the padded batch, (W,).
        word_slots: the slots of the words, (W,).
        slots: the slots of the inner nodes, (R,).
        nodes: the slot of the node that each move makes, (batch, 2 * longest - 1); that of the zeros for PADDING.
        step_sizes: how many sentences take part in each move: from the longest down, those that are not read yet.
        reads: the slots that the tracker looks at before a move, (S, 3): next word, top of the stack, second there.
        reducing: for each inner node its step among those of its move, (R,).
        previous: the row of the step before, where B rows of zeros lie before the first step, (S,).
        steps: the step of each move of each sentence, (batch, 2 * longest - 1); S for PADDING.
    """

    sizes: list[int]
    places: Tensor
    word_slots: Tensor
    slots: Tensor
    nodes: Tensor
    step_sizes: list[int]
    reads: Tensor
    reducing: Tensor
    previous: Tensor
    steps: Tensor


def plan(lengths, transitions, device, tracked=False):
    """Plans the computation of a batch.

    Args:
        lengths: words a sentence, (batch,), on the CPU.
        transitions: moves that build a tree over each sentence, (batch, 2 * longest - 1), on the CPU.
        device: where the tensors of the `Plan` shall be.
        tracked: whether a tracker goes along. Without it, the groups are the nodes of one height; with it, those of one
            move, because what a node becomes depends on all the moves before it.
    """
    lengths, moves = lengths.numpy(), transitions.numpy()
    batch, steps = moves.shape
    # Sentences from the longest down: those that are not read yet stay the first ones.
    order = (-lengths).argsort(kind="stable")
    lengths, moves = lengths[order], np.ascontiguousarray(moves[order].T)  # (steps, batch)
    shifts, reduces = (moves == SHIFT).ravel().nonzero()[0], (moves == REDUCE).ravel().nonzero()[0]
    left, below, height = _run(moves)
    groups = reduces // batch if tracked else height[reduces] - 1
    by_group = groups.argsort(kind="stable")
    reduces, groups = reduces[by_group], groups[by_group]
    sizes = np.bincount(groups, minlength=steps if tracked else 0)

    children, zeros = 2 * np.arange(len(reduces)), 2 * len(reduces) + batch
    slot = np.full(steps * batch + 1, zeros)  # the last entry is what -1 reads, no node
    slot[left[reduces]] = children
    slot[reduces - batch] = children + 1  # the right child of a reduce is always the node of the move before
    slot[(2 * lengths - 2) * batch + np.arange(batch)] = 2 * len(reduces) + order
    made = slot[:-1].reshape(steps, batch)

    taken = (moves == SHIFT).cumsum(0)  # the words taken up to and with each move
    number = taken.ravel()[shifts] - 1  # of each shift's word in its sentence
    longest = (steps + 1) // 2
    places = order[shifts % batch] * longest + number
    next_word = np.full((longest + 1, batch), zeros)
    next_word[number, shifts % batch] = slot[shifts]

    active = np.arange(steps)[:, None] < 2 * lengths - 1
    reads = np.full((steps, batch, 3), zeros)
    reads[0, :, 0] = next_word[0]
    reads[1:, :, 0] = np.take_along_axis(next_word, taken[:-1], 0)
    reads[1:, :, 1] = made[:-1]
    reads[1:, :, 2] = slot[below].reshape(steps, batch)[:-1]
    step_of = np.full((steps, batch), active.sum())
    step_of[active] = np.arange(active.sum())
    previous = np.concatenate([np.arange(batch)[None], batch + step_of[:-1]])[active]

    back = order.argsort()  # the sentences as they came
    arrays = [places, slot[shifts], slot[reduces], made.T[back], reads[active], reduces % batch, previous]
    tensors = _send([*arrays, step_of.T[back]], device)
    return Plan(sizes.tolist(), *tensors[:4], active.sum(1).tolist(), *tensors[4:])


def _run(moves):
    """The shift-reduce parser on numbers: a node's number is its move's place in `moves`, (steps, batch), flat.

    Returns:
        for each node, flat: its left child if it is a reduce's; the node below it on the stack, or -1; its height.
    """
    steps, batch = moves.shape
    columns = np.arange(batch)
    change = np.where(moves == SHIFT, 1, np.where(moves == REDUCE, -1, 0))
    depths = change.cumsum(0)
    left, below, height = np.full((3, steps, batch), -1)
    stack, heights = np.full((2, depths.max() + 2, batch), -1)
    for step, depth in enumerate(depths):
        left[step] = stack[depth, columns]
        below[step] = stack[depth - 1, columns]
        higher = np.maximum(heights[depth, columns], heights[depth + 1, columns]) + 1
        height[step] = np.where(change[step] < 0, higher, 0)
        stack[depth, columns] = step * batch + columns
        heights[depth, columns] = height[step]
    return left.ravel(), below.ravel(), height.ravel()


def _send(arrays, device):
    """Arrays of integers as tensors on the device, in one copy."""
    flat = torch.from_numpy(np.concatenate([array.ravel() for array in arrays])).to(device, non_blocking=True)
    parts = flat.split([array.size for array in arrays])
    return [part.view(array.shape) for part, array in zip(parts, arrays)]
