"""SPINN's parser as pictures: buffer and stack step by step (figure 5.10), and parse trees, predicted beside gold."""

import matplotlib.pyplot as plt
import torch
from torch.nn.utils.rnn import pad_sequence

from ch05_sequence.loaders.snli import PADDING, REDUCE, SHIFT
from ch05_sequence.spinn_fast.plan import plan

WORDS_OF_STEPS = 9  # a longer sentence has more steps than a page has lines
WORDS_OF_PLAN = 6


def shift_reduce(words, moves):
    """The states of the parser: before the first move, and after each.

    Returns:
        a list of (move's name, stack, buffer); a node on the stack is a word or a pair of nodes, its top comes last.
    """
    stack, buffer = [], list(words)
    states = [("start", [], list(words))]
    for move in moves:
        if move == SHIFT:
            stack.append(buffer.pop(0))
        elif move == REDUCE:
            right, left = stack.pop(), stack.pop()
            stack.append((left, right))
        else:
            break
        states.append(("shift" if move == SHIFT else "reduce", list(stack), list(buffer)))
    return states


def bracketed(node):
    """A node as text, `((a dog) runs)`."""
    return node if isinstance(node, str) else f"({bracketed(node[0])} {bracketed(node[1])})"


def near_length(texts, length):
    """The place of the sentence, a list of words, whose length comes nearest."""
    return min(range(len(texts)), key=lambda place: abs(len(texts[place]) - length))


def save_steps(texts, moves, path):
    """Draws a line a step: the move, the stack with its top at the right, and the buffer with the next word first.

    Args:
        texts: sentences, lists of words; one of them is drawn that has room on a page.
        moves: their moves, lists.
    """
    place = near_length(texts, WORDS_OF_STEPS)
    words, states = texts[place], shift_reduce(texts[place], moves[place])
    stack_width = max(sum(len(bracketed(node)) + 3 for node in stack) for _, stack, _ in states)
    buffer_width = sum(len(word) + 3 for word in words)
    height = 0.34 * (len(states) + 2)
    width = 0.085 * (stack_width + buffer_width + 22)
    figure, axis = plt.subplots(figsize=(max(7, width), height))
    axis.set(xlim=(0, stack_width + buffer_width + 22), ylim=(len(states) + 0.2, -1.6))
    axis.axis("off")
    edge = stack_width + 16
    titles = (1, "move", "left"), (edge - 2, "stack, top at the right", "right"), (edge + 2, "buffer", "left")
    for x, title, side in titles:
        axis.text(x, -0.9, title, ha=side, va="center", weight="bold", fontsize=9)
    axis.axvline(edge, color="0.7", linewidth=1)
    style = dict(va="center", family="monospace", fontsize=8)
    for line, (move, stack, buffer) in enumerate(states):
        axis.text(1, line, f"{line:>2} {move}", va="center", fontsize=9)
        right = edge - 2
        for depth, node in enumerate(reversed(stack)):
            text = bracketed(node)
            colour = "moccasin" if move == "reduce" and depth == 0 else "lightblue"
            axis.text(right, line, text, ha="right", bbox=dict(boxstyle="round,pad=0.25", fc=colour, ec="0.5"), **style)
            right -= len(text) + 3
        left = edge + 2
        for word in buffer:
            axis.text(left, line, word, ha="left", bbox=dict(boxstyle="round,pad=0.25", fc="white", ec="0.5"), **style)
            left += len(word) + 3
    axis.set_title("A shift takes the next word; a reduce makes one node (orange) of the two on top", fontsize=10)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def spans(node, start=0):
    """The nodes of a tree, a set: each as the place of its first word and that behind its last; words are nodes too."""
    if isinstance(node, str):
        return {(start, start + 1)}
    left = spans(node[0], start)
    right = spans(node[1], max(end for _, end in left))
    return left | right | {(start, max(end for _, end in right))}


def draw_tree(axis, tree, title, other):
    """Draws a tree; nodes over words that no node of `other`, from `spans`, stands over are red."""

    def draw(node, start):
        """Draws the node over the words from `start` on; the place behind its last word, and its own x and y."""
        if isinstance(node, str):
            axis.text(start, -0.25, node, ha="center", va="top", rotation=60, fontsize=8)
            return start + 1, start, 0
        middle, *left = draw(node[0], start)
        end, *right = draw(node[1], middle)
        x, y = (left[0] + right[0]) / 2, max(left[1], right[1]) + 1
        colour = "tab:blue" if (start, end) in other else "tab:red"
        for child_x, child_y in (left, right):
            axis.plot([child_x, x], [child_y, y], color=colour, linewidth=1.2, zorder=1)
        axis.scatter([x], [y], s=16, color=colour, zorder=2)
        return end, x, y

    words, _, height = draw(tree, 0)
    axis.set_title(title, fontsize=10)
    axis.set(xlim=(-0.7, words - 0.3), ylim=(-2.6, max(height, 1) + 0.5))
    axis.axis("off")


def save_parse(texts, predicted, gold, path):
    """Draws the tree as predicted beside that of the data, for the first of some sentences that was parsed wrong."""
    wrong = [place for place, moves in enumerate(gold) if predicted[place][: len(moves)] != moves]
    place = wrong[0] if wrong else near_length(texts, WORDS_OF_STEPS)
    words = texts[place]
    trees = [shift_reduce(words, moves[place])[-1][1][0] for moves in (gold, predicted)]
    figure, axes = plt.subplots(1, 2, figsize=(max(8, 0.75 * len(words)), 4), layout="constrained")
    in_data, found = map(spans, trees)
    right = f"{len(found & in_data) - len(words)} of {len(words) - 1} nodes right"
    draw_tree(axes[0], trees[0], "the parse in the data", in_data)
    draw_tree(axes[1], trees[1], f"as the tracker parses it: {right}", in_data)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def save_plan(texts, moves, tracked, path):
    """Draws where spinn_fast reads and writes each node of three short sentences.

    Args:
        texts, moves: as in `save_steps`.
        tracked: whether the groups are moves, or nodes of one height.
    """
    order = sorted(range(len(texts)), key=lambda place: abs(len(texts[place]) - WORDS_OF_PLAN))[:3]
    texts, moves = [texts[place] for place in order], [torch.tensor(moves[place]) for place in order]
    lengths = torch.tensor([len(words) for words in texts])
    planned = plan(lengths, pad_sequence(moves, True, PADDING), "cpu", tracked)
    names = {}
    for words, made, slots in zip(texts, moves, planned.nodes.tolist()):
        states = shift_reduce(words, made.tolist())[1:]
        names |= {slot: bracketed(stack[-1]) for slot, (_, stack, _) in zip(slots, states)}
    groups = [0] + [number for number, size in enumerate(planned.sizes, 1) for _ in range(size)]
    rows = {number: row for row, number in enumerate(dict.fromkeys(groups))}
    figure, axis = plt.subplots(figsize=(0.3 * len(names) + 2.5, 0.3 * len(rows) + 4.5), layout="constrained")
    axis.scatter(planned.word_slots, [0] * len(planned.word_slots), marker="s", s=90, color="tab:green")
    for node, (group, slot) in enumerate(zip(groups[1:], planned.slots.tolist())):
        axis.plot([2 * node, 2 * node + 1], [rows[group]] * 2, color="tab:blue", linewidth=7, solid_capstyle="round")
        axis.scatter([slot], [rows[group]], marker="s", s=90, color="tab:orange")
        axis.plot([2 * node + 1, slot], [rows[group]] * 2, color="0.7", linewidth=0.8, zorder=0)
    kind = "move" if tracked else "height"
    axis.set_xticks(sorted(names), [f"{names[slot]}  {slot}" for slot in sorted(names)], rotation=90, fontsize=7)
    axis.set_yticks([*rows.values()], ["words"] + [f"{kind} {group}" for group in rows if group], fontsize=8)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    axis.set_title(
        "Three sentences in one buffer: a slot a node. Words are written first (green); then, group by group,\n"
        "each inner node reads the two slots of its children (blue) and is written where its parent will read (orange)",
        fontsize=9,
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)
