"""Which nodes of a batch of trees are made together, and where each is read: planned on integers, before any product.

The parser's moves are known, so it can be run with numbers of nodes instead of nodes, all sentences at once. Nodes
that are made together are a group. What waits for its parent lies in a table, the pool: a group takes its children out
of it, and what it makes is put behind the rest. `python ch05_sequence/spinn.py` draws the pools of three sentences:
`plan.png`.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ch05_sequence.loaders.snli import REDUCE, SHIFT


class Plan(NamedTuple):
    """Trees over W words in B sentences with S moves in all. Row 0 of each table is zeros, for where no node is.

    The table of all nodes has, after those zeros, the inner nodes and the words of each group in turn.

    Attributes:
        words: the words in the order in which they come, rows of the padded batch, (W,).
        coming: how many words come with each group.
        made: how many inner nodes each group makes.
        takes: for each group rows of the pool: the two children of each node that it makes, then the nodes that stay.
        roots: the sentences' last nodes, rows of the last pool, (B,).
        nodes: the node that each move makes, a row of the table of all nodes, (B, 2 * longest - 1); 0 for PADDING.
        order: the sentences from the longest down, so that those that are not read yet are the first ones, (B,).
        active: how many sentences take part in each move, (2 * longest - 1,), on the CPU.
        next_words: before each move the word that comes next, a row of a table of zeros and the `words`, (S,).
        stacks: before each move the two nodes on top of the stack, (S, 2), rows of the pool if tracked, else of the
            table of all nodes.
        reducing: for the inner nodes group by group their sentences' places in `order`, (R,).
    """

    words: Tensor
    coming: list[int]
    made: list[int]
    takes: list[Tensor]
    roots: Tensor
    nodes: Tensor
    order: Tensor
    active: Tensor
    next_words: Tensor
    stacks: Tensor
    reducing: Tensor


def plan(lengths, transitions, device, tracked=False):
    """Plans the computation of a batch.

    Args:
        lengths: words a sentence, (batch,), on the CPU.
        transitions: moves that build a tree over each sentence, (batch, 2 * longest - 1), on the CPU.
        device: where the tensors of the `Plan` shall be.
        tracked: whether the nodes depend on a tracker. Without, a group is the nodes of one height, words first; with
            it those of one move, because what a node becomes depends on all moves before it.
    """
    order = (-lengths.numpy()).argsort(kind="stable")
    lengths, moves = lengths.numpy()[order], transitions.numpy()[order].T  # (steps, batch)
    steps, batch = moves.shape
    number = 1 + np.arange(moves.size).reshape(moves.shape)  # of the node that each move makes; 0 is no node
    stacks, height = run(moves, number)
    group_of = np.arange(steps)[:, None] if tracked else height

    pool = np.zeros(1, dtype=np.int64)  # the numbers of the nodes in it
    row = np.zeros(moves.size + 1, dtype=np.int64)  # of a node in a table, by its number
    takes, made, coming = [], [], []
    for group in range(group_of.max() + 1):
        makes, comes = (number[(group_of == group) & (moves == move)] for move in (REDUCE, SHIFT))
        row[pool] = np.arange(len(pool))
        children = row[stacks.reshape(-1, 2)[makes - 1, ::-1].ravel()]  # the right one lies on top
        if tracked:  # the tracker reads this pool, before the move
            stacks[group] = row[stacks[group]]
        stays = np.delete(np.arange(len(pool)), children)
        takes.append(np.concatenate((children, stays)))
        pool = np.concatenate((pool[stays], makes, comes))
        made.append(makes)
        coming.append(comes)
    row[pool] = np.arange(len(pool))
    last, back = number[2 * lengths - 2, np.arange(batch)], order.argsort()
    roots = row[last][back]

    # All nodes in one table, zeros first; numbers that are no node's stay at its row 0.
    table = np.concatenate([[0], *(part for both in zip(made, coming) for part in both)])
    row[:] = 0
    row[table] = np.arange(len(table))

    # The words: where the padded batch has them, and which of them each move will find next.
    shifts, shifted, longest = moves == SHIFT, np.concatenate(coming), (steps + 1) // 2
    place = order * longest + shifts.cumsum(0) - 1
    word_row = np.zeros(moves.size + 2, dtype=np.int64)
    word_row[shifted] = 1 + np.arange(len(shifted))
    next_shift = np.minimum.accumulate(np.where(shifts, number, moves.size + 1)[::-1])[::-1]

    active = np.arange(steps)[:, None] < 2 * lengths - 1
    arrays = [place.ravel()[shifted - 1], roots, row[number].T[back], order, word_row[next_shift][active]]
    arrays += [(stacks if tracked else row[stacks])[active], (np.concatenate(made) - 1) % batch, *takes]
    words, roots, nodes, order, next_words, stacks, reducing, *takes = send(arrays, device)
    made, coming, active = [*map(len, made)], [*map(len, coming)], torch.from_numpy(active.sum(1))
    return Plan(words, coming, made, takes, roots, nodes, order, active, next_words, stacks, reducing)


def run(moves, number):
    """The shift-reduce parser on numbers, for moves of (steps, batch).

    Returns:
        the top of the stack and the node below it before each move, (steps, batch, 2), and the height of the node that
        each move makes, (steps, batch).
    """
    steps, batch = moves.shape
    columns, depth = np.arange(batch), np.zeros(batch, dtype=np.int64)
    stack = np.zeros((steps + 3, batch), dtype=np.int64)
    stacks, height = np.zeros((steps, batch, 2), dtype=np.int64), np.zeros(moves.size + 1, dtype=np.int64)
    for step, move in enumerate(moves):
        stacks[step] = np.stack((stack[depth + 1, columns], stack[depth, columns]), 1)
        height[number[step]] = np.where(move == REDUCE, 1 + height[stacks[step]].max(1), 0)
        depth += np.select([move == SHIFT, move == REDUCE], [1, -1], 0)
        stack[depth + 1, columns] = number[step]
    return stacks, height[1:].reshape(moves.shape)


def send(arrays, device):
    """Arrays of integers as tensors on the device, in one copy."""
    flat = torch.from_numpy(np.concatenate([array.ravel() for array in arrays])).to(device, non_blocking=True)
    parts = flat.split([array.size for array in arrays])
    return [part.view(array.shape) for part, array in zip(parts, arrays)]
