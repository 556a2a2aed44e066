"""Where each node of a batch of trees is read and written: planned on integers, before any of it is computed.

The parser's moves are known ahead, so its stacks can be run with numbers of nodes instead of nodes, all sentences at
once. What comes out says, for each group of nodes that are computed together, where their values go: no Python per node
is left for the computation, and a GPU gets all of it in one copy.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ch05_sequence.loaders.snli import REDUCE, SHIFT


class Plan(NamedTuple):
    """A forest of binary trees over W words, with R inner nodes, in B sentences.

    Every node has one slot, a row of a buffer of 2 * R + B rows: inner node number j reads its children from the slots
    2 * j and 2 * j + 1, and the last B slots are for the roots. So a group of nodes reads one block of rows, in place.

    Attributes:
        sizes: how many inner nodes each group has; inner nodes are numbered group by group.
        words: the words' rows among all words of the padded batch, (W,).
        word_slots: the slots of the words, (W,).
        slots: the slots of the inner nodes, (R,).
        nodes: the slot of the node that each move makes, (batch, 2 * longest - 1); for PADDING one past the last slot.
    """

    sizes: list[int]
    words: Tensor
    word_slots: Tensor
    slots: Tensor
    nodes: Tensor


class TrackerPlan(NamedTuple):
    """What the tracker reads in each of its S steps over all sentences, and who has read a node.

    What the tracker takes from a node is a product with a part of its weights, so each node is multiplied when it is
    made, once for each place in which it may lie. That makes P = 3 * W + 2 * R + 1 rows: three a word (on top of the
    buffer, on top of the stack, second there), two an inner node, and a row of zeros for an empty place.

    Attributes:
        sizes: how many steps each move has. The steps of a move are the sentences from the longest down that are not
            read yet.
        rows: the three rows that a step reads, (S, 3).
        reducing: for each inner node, its step among those of its move, (R,).
        readers: the steps that read a row, row by row, flat.
        reader_starts: where the readers of each row start, counted from the first reader of its group, (P - 1,);
            the groups are that of all words, then those of the inner nodes.
        reader_sizes: how many readers each of these groups has.
        previous: the row of the step before, where B rows of zeros lie before the first step, (S,).
        steps: the step of each move of each sentence, (batch, 2 * longest - 1); S for PADDING.
    """

    sizes: list[int]
    rows: Tensor
    reducing: Tensor
    readers: Tensor
    reader_starts: Tensor
    reader_sizes: list[int]
    previous: Tensor
    steps: Tensor


def plan(lengths, transitions, device, tracked=False):
    """Plans the computation of a batch.

    Args:
        lengths: words a sentence, (batch,), on the CPU.
        transitions: moves that build a tree over each sentence, (batch, 2 * longest - 1), on the CPU.
        device: where the tensors of the plan shall be.
        tracked: whether a tracker goes along. Without it, the groups are the nodes of one height; with it, those of one
            move, because what a node becomes depends on all the moves before it.

    Returns:
        a `Plan`, and a `TrackerPlan` or None.
    """
    lengths, moves = lengths.numpy(), transitions.numpy()
    batch, steps = moves.shape
    # Sentences from the longest down: those that are not read yet stay the first ones.
    order = (-lengths).argsort(kind="stable")
    lengths, moves = lengths[order], np.ascontiguousarray(moves[order].T)  # (steps, batch)
    shifts, reduces = (moves == SHIFT).ravel().nonzero()[0], (moves == REDUCE).ravel().nonzero()[0]
    left, below, height = _run(moves)

    groups = reduces // batch if tracked else height[reduces] - 1
    if not tracked:
        by_height = groups.argsort(kind="stable")
        reduces, groups = reduces[by_height], groups[by_height]
    sizes = np.bincount(groups, minlength=steps if tracked else 0)
    inner, words = np.arange(len(reduces)), np.arange(len(shifts))

    # The right child of a reduce is always the node of the move before.
    slot = np.full(steps * batch, 2 * len(inner) + batch)
    slot[left[reduces]] = 2 * inner
    slot[reduces - batch] = 2 * inner + 1
    slot[(2 * lengths - 2) * batch + np.arange(batch)] = 2 * len(inner) + order
    nodes = np.empty((batch, steps), dtype=np.int64)
    nodes[order] = slot.reshape(steps, batch).T

    position = (moves == SHIFT).cumsum(0)  # the words taken up to and with each move
    places = order[shifts % batch] * ((steps + 1) // 2) + position.ravel()[shifts] - 1
    arrays = [places, slot[shifts], slot[reduces], nodes]
    if not tracked:
        return Plan(sizes.tolist(), *_send(arrays, device)), None

    # A node's row for each place; the last entry is what -1 reads, an empty place.
    empty = 3 * len(words) + 2 * len(inner)
    on_top, second = np.full((2, steps * batch + 1), empty)
    on_top[shifts], second[shifts] = 3 * words + 1, 3 * words + 2
    on_top[reduces], second[reduces] = 3 * len(words) + 2 * inner, 3 * len(words) + 2 * inner + 1
    word = np.full(((steps + 1) // 2 + 1, batch), empty)
    word[position.ravel()[shifts] - 1, shifts % batch] = 3 * words

    active = np.arange(steps)[:, None] < 2 * lengths - 1
    rows = np.full((steps, batch, 3), empty)
    rows[0, :, 0] = word[0]
    rows[1:, :, 0] = np.take_along_axis(word, position[:-1], 0)
    rows[1:, :, 1] = on_top[: (steps - 1) * batch].reshape(-1, batch)
    rows[1:, :, 2] = second[below[: (steps - 1) * batch]].reshape(-1, batch)
    rows = rows[active]
    step_of = np.full((steps, batch), len(rows))
    step_of[active] = np.arange(len(rows))
    step_of_move = np.empty((batch, steps), dtype=np.int64)
    step_of_move[order] = step_of.T

    readers = rows.ravel().argsort(kind="stable") // 3
    read = np.bincount(rows.ravel(), minlength=empty + 1)[:-1]
    group_rows = [3 * len(words), *2 * sizes]
    row_starts = read.cumsum() - read
    bounds = np.append(0, np.cumsum(group_rows))
    group_starts = np.append(row_starts, read.sum())[bounds]
    reader_starts = row_starts - np.repeat(group_starts[:-1], group_rows)
    previous = np.concatenate([np.arange(batch)[None], batch + step_of[:-1]])[active]
    arrays += [rows, reduces % batch, readers[: read.sum()], reader_starts, previous, step_of_move]
    forest, tracker = (sent := _send(arrays, device))[:4], sent[4:]
    reader_sizes = np.diff(group_starts).tolist()
    tracker = TrackerPlan(active.sum(1).tolist(), *tracker[:4], reader_sizes, *tracker[4:])
    return Plan(sizes.tolist(), *forest), tracker


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
