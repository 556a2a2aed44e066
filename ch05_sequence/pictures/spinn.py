"""SPINN's parser as pictures: buffer and stack, move by move (figure 5.10), and what its batched twin does together."""

import matplotlib.pyplot as plt
import torch
from torch.nn.utils.rnn import pad_sequence

from ch05_sequence.loaders.snli import PADDING, REDUCE, SHIFT
from ch05_sequence.spinn_fast.plan import plan

WORDS_OF_STEPS = 9  # a longer sentence has more steps than a page has lines
WORDS_OF_PLAN = 6
TAKEN, NEW, WAITING = "lightblue", "moccasin", "white"


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


def spans(node, start=0):
    """The nodes of a tree, a set: each as the place of its first word and that behind its last; words are nodes too."""
    if isinstance(node, str):
        return {(start, start + 1)}
    left = spans(node[0], start)
    right = spans(node[1], max(end for _, end in left))
    return left | right | {(start, max(end for _, end in right))}


def compare(texts, predicted, gold):
    """The first of some sentences that was parsed wrong, else the last: its tree in the data and the tracker's, text.

    Args:
        texts: sentences, lists of words.
        predicted, gold: their moves, lists.
    """
    for words, *moves in zip(texts, predicted, gold):
        own, in_data = (shift_reduce(words, of_one)[-1][1][0] for of_one in moves)
        if own != in_data:
            break
    right = len(spans(own) & spans(in_data)) - len(words)
    told = f"{right} of {len(words) - 1} nodes right"
    return f"a parse in the data   {bracketed(in_data)}\nthe tracker makes it  {bracketed(own)}: {told}"


def near_length(texts, length):
    """The places of the sentences, lists of words, by how near they come to a length."""
    return sorted(range(len(texts)), key=lambda place: abs(len(texts[place]) - length))


def save_steps(texts, moves, path):
    """Draws a line a step: the move, the stack with its top at the right, and the buffer with the next word first.

    Args:
        texts: sentences, lists of words; one of them is drawn that has room on a page.
        moves: their moves, lists.
    """
    place = near_length(texts, WORDS_OF_STEPS)[0]
    states = shift_reduce(texts[place], moves[place])
    stacks = [[*map(bracketed, stack)] for _, stack, _ in states]
    edge = max(map(width_of, stacks)) + 16
    figure, axis = page(edge + width_of(texts[place]) + 6, len(states))
    for x, title, side in (
        (1, "move", "left"),
        (edge - 2, "stack, top at the right", "right"),
        (edge + 2, "buffer", "left"),
    ):
        axis.text(x, -0.9, title, ha=side, va="center", weight="bold", fontsize=9)
    axis.axvline(edge, color="0.7", linewidth=1)
    for line, ((move, _, buffer), stack) in enumerate(zip(states, stacks)):
        axis.text(1, line, f"{line:>2} {move}", va="center", fontsize=9)
        colours = [TAKEN] * (len(stack) - 1) + [NEW if move == "reduce" else TAKEN]
        boxes(axis, edge + 1 - width_of(stack), line, stack, colours)
        boxes(axis, edge + 2, line, buffer, [WAITING] * len(buffer))
    axis.set_title("A shift takes the next word; a reduce makes one node (orange) of the two on top", fontsize=10)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def pools_of(texts, moves, tracked):
    """The pools of spinn_fast, with nodes as texts.

    Returns:
        a list, for each group and for the end: the nodes in the pool, and the places of those that the group takes.
    """
    lengths = torch.tensor([*map(len, texts)])
    planned = plan(lengths, pad_sequence([*map(torch.tensor, moves)], True, PADDING), "cpu", tracked)
    padded = [word for words in texts for word in (*words, *[""] * (max(lengths) - len(words)))]
    words = iter([padded[place] for place in planned.words.tolist()])
    pools, nodes = [], ["0"]
    for take, made, coming in zip(planned.takes, planned.made, planned.coming):
        taken, stay = take[: 2 * made].tolist(), take[2 * made :].tolist()
        pools.append((nodes, taken))
        parents = [f"({nodes[left]} {nodes[right]})" for left, right in zip(taken[::2], taken[1::2])]
        nodes = [nodes[place] for place in stay] + parents + [next(words) for _ in range(coming)]
    return [*pools, (nodes, [])]


def save_plan(texts, moves, tracked, path):
    """Draws what spinn_fast does with three short sentences, a line a group of nodes.

    Args:
        texts, moves: as in `save_steps`.
        tracked: whether the groups are moves, or nodes of one height.
    """
    different = {tuple(texts[place]): place for place in near_length(texts, WORDS_OF_PLAN)}
    places = [*different.values()][:3]
    pools = pools_of([texts[place] for place in places], [moves[place] for place in places], tracked)[1:]
    figure, axis = page(max(width_of(nodes) for nodes, _ in pools) + 20, len(pools))
    names = [f"before {f'move {line + 2}' if tracked else f'height {line + 1}'}" for line in range(len(pools) - 1)]
    for line, (name, (nodes, taken)) in enumerate(zip([*names, "the end"], pools)):
        axis.text(1, line, name, va="center", fontsize=9)
        boxes(axis, 18, line, nodes, [TAKEN if place in taken else WAITING for place in range(len(nodes))])
    axis.set_title(
        "Three sentences in one pool, before the nodes of each group are made: their children (blue) are taken out,\n"
        "and what is made of each pair stands in the next line behind what stays, with the words that come last",
        fontsize=10,
    )
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def page(width, lines):
    """An empty figure with room for so many characters and lines."""
    figure, axis = plt.subplots(figsize=(max(7, 0.085 * width), 0.34 * (lines + 2)))
    axis.set(xlim=(0, width), ylim=(lines + 0.2, -1.6))
    axis.axis("off")
    return figure, axis


def width_of(texts):
    """The characters that `boxes` takes."""
    return sum(len(text) + 3 for text in texts)


def boxes(axis, x, y, texts, colours):
    """Draws texts in boxes side by side, from x on."""
    for text, colour in zip(texts, colours):
        box = dict(boxstyle="round,pad=0.25", fc=colour, ec="0.5")
        axis.text(x, y, text, va="center", family="monospace", fontsize=8, bbox=box)
        x += len(text) + 3
