"""Listings 5.14 to 5.17: SPINN as the page writes it, word by word and row by row, corrected so that it runs.

A sentence is read by a shift-reduce parser. Its words wait in a buffer; a shift moves the next word onto a stack; a
reduce takes the two top nodes off the stack and puts the node above them in their place. n words need n shifts and
n - 1 reduces, and leave one node: the sentence. After Bowman et al., "A Fast Unified Model for Parsing and Sentence
Understanding" (arXiv 1603.06021); `spinn_fast` computes the same at speed.

A node is a row of 2 * size numbers, its hidden state h and its cell state c side by side.
"""

from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ch05_sequence.loaders.snli import PADDING, REDUCE, SHIFT


class Encoding(NamedTuple):
    """What SPINN makes of a batch of sentences.

    Attributes:
        sentence: the hidden state of each sentence's last node, (batch, size).
        transitions: the moves that were made, (batch, 2 * longest - 1), filled with PADDING.
        scores: the tracker's scores of the four ids before each move, (batch, 2 * longest - 1, 4), zero after a
            sentence's last move; None unless the tracker predicts.
        nodes: the hidden state of the node that each move put on the stack, (batch, 2 * longest - 1, size), zero after
            the last; None unless asked for.
    """

    sentence: Tensor
    transitions: Tensor
    scores: Tensor | None
    nodes: Tensor | None


def bundle(rows):
    """Rows of (1, 2 * size) to a pair of tensors, h and c, each (rows, size); rows of None to None."""
    rows = list(rows)
    return None if rows[0] is None else torch.cat(rows).chunk(2, 1)


def unbundle(state):
    """A pair (h, c), each (rows, size), to as many rows of (1, 2 * size)."""
    return torch.cat(state, 1).split(1)


def tree_lstm(c1, c2, lstm_in):
    """The cell of a tree LSTM: children's cell states, (rows, size), candidate and gates, (rows, 5 * size), to h, c."""
    a, i, f1, f2, o = lstm_in.chunk(5, 1)
    c = a.tanh() * i.sigmoid() + f1.sigmoid() * c1 + f2.sigmoid() * c2
    return o.sigmoid() * c.tanh(), c


class Reduce(nn.Module):
    """Listing 5.14: two nodes, and what the tracker has seen, to the node above them.

    Args:
        size: of h, and of c.
        tracker_size: of the tracker's h; None without tracker.
    """

    def __init__(self, size, tracker_size=None):
        super().__init__()
        self.left = nn.Linear(size, 5 * size)
        self.right = nn.Linear(size, 5 * size, bias=False)
        if tracker_size is not None:
            self.track = nn.Linear(tracker_size, 5 * size, bias=False)

    def forward(self, left_in, right_in, tracking=None):
        """Lists of k rows, (1, 2 * size), and of k rows of the tracker, (1, 2 * tracker_size), to k rows."""
        left, right = bundle(left_in), bundle(right_in)
        lstm_in = self.left(left[0])
        lstm_in += self.right(right[0])
        if tracking is not None:
            lstm_in += self.track(bundle(tracking)[0])
        return unbundle(tree_lstm(left[1], right[1], lstm_in))


class Tracker(nn.Module):
    """Listing 5.15: an LSTM cell that watches the parser, and may say what it should do next.

    Args:
        size: of a node's h.
        tracker_size: of the tracker's own h and c.
        predict: whether to score the next move; the page's four ids, of which only REDUCE and SHIFT are moves.
        aside: whether it learns from the moves without changing the nodes that it sees.
    """

    def __init__(self, size, tracker_size, predict, aside=False):
        super().__init__()
        self.rnn = nn.LSTMCell(3 * size, tracker_size)
        if predict:
            self.transition = nn.Linear(tracker_size, 4)
        self.state_size, self.aside = tracker_size, aside

    def reset_state(self):
        """Forgets the sentences before; a new batch begins."""
        self.state = None

    def forward(self, bufs, stacks):
        """Buffers and stacks, lists of rows a sentence, to the tracker's rows, and to scores (batch, 4) or None."""
        buf = bundle(buf[-1] for buf in bufs)[0]
        stack1 = bundle(stack[-1] for stack in stacks)[0]
        stack2 = bundle(stack[-2] for stack in stacks)[0]
        x = torch.cat((buf, stack1, stack2), 1)  # (batch, 3 * size)
        x = x.detach() if self.aside else x
        if self.state is None:
            self.state = 2 * [x.new_zeros(x.size(0), self.state_size)]
        self.state = self.rnn(x, self.state)
        if hasattr(self, "transition"):
            return unbundle(self.state), self.transition(self.state[0])
        return unbundle(self.state), None


class SPINN(nn.Module):
    """Listings 5.16 and 5.17: the parser, and the network along its moves.

    Args:
        size: of a node's hidden state, and of its cell state.
        tracker_size: of the tracker; None for a SPINN without.
        predict: whether the tracker learns to say the next move, so that sentences can be read without a parse.
        tracking: whether Reduce is told what the tracker has seen, as on the page; else the tracker only predicts, and
            changes no node.
    """

    def __init__(self, size, tracker_size=None, predict=False, tracking=True):
        super().__init__()
        if predict and tracker_size is None:
            raise ValueError("predict=True needs a tracker: it is the tracker that predicts")
        self.size = size
        self.predict = predict
        self.tracking = tracking and tracker_size is not None
        self.reduce = Reduce(size, tracker_size if self.tracking else None)
        self.tracker = None if tracker_size is None else Tracker(size, tracker_size, predict, not tracking)

    def forward(self, words, lengths, transitions=None, every_node=False) -> Encoding:
        """Reads a batch of sentences.

        Args:
            words: a node a word, [h, c], (batch, longest, 2 * size); what lies behind a sentence's end is not read.
            lengths: words a sentence, (batch,).
            transitions: the moves, (batch, 2 * longest - 1), filled with PADDING; None to let the tracker choose.
            every_node: whether to return the hidden states of all nodes.

        Raises:
            ValueError: words of another width; moves that do not build a tree over each sentence; no moves, and a
                tracker that does not predict.
        """
        self.check(words, lengths, transitions)
        # The page has the projected padding under the first word; zeros are no word and take no gradient.
        nothing = words.new_zeros(1, 2 * self.size)
        lengths = lengths.tolist()
        # Reversed, so that pop() takes the first word.
        buffers = [[nothing, *reversed(sentence[:n].split(1))] for sentence, n in zip(words, lengths)]
        stacks = [[nothing, nothing] for _ in lengths]
        if self.tracker is not None:
            self.tracker.reset_state()
        made, moves, all_scores = [], [], []
        for step in range(2 * words.size(1) - 1):
            tracker_states, scores = repeat(None), None
            if self.tracker is not None:
                tracker_states, scores = self.tracker(buffers, stacks)
            trans = choose(scores, buffers, stacks) if transitions is None else transitions[:, step].tolist()
            lefts, rights, trackings = [], [], []
            for transition, buf, stack, tracking in zip(trans, buffers, stacks, tracker_states):
                if transition == SHIFT:
                    stack.append(buf.pop())
                elif transition == REDUCE:
                    rights.append(stack.pop())
                    lefts.append(stack.pop())
                    trackings.append(tracking)
            if rights:
                reduced = iter(self.reduce(lefts, rights, trackings if self.tracking else None))
                for transition, stack in zip(trans, stacks):
                    if transition == REDUCE:
                        stack.append(next(reduced))
            moves.append(trans)
            made.append([nothing if transition == PADDING else stack[-1] for transition, stack in zip(trans, stacks)])
            all_scores.append(scores)
        moves = torch.tensor(moves, device=words.device).t()
        return Encoding(
            bundle(stack.pop() for stack in stacks)[0],
            moves,
            torch.stack(all_scores, 1) * (moves != PADDING)[..., None] if self.predict else None,
            torch.stack([bundle(step)[0] for step in made], 1) if every_node else None,
        )

    def check(self, words, lengths, transitions):
        """What `forward` raises."""
        if words.size(2) != 2 * self.size:
            raise ValueError(f"words have {words.size(2)} numbers; expected {2 * self.size}, an h and a c")
        if transitions is None:
            if not self.predict:
                raise ValueError("transitions are needed: this SPINN has no tracker that predicts them")
            return
        if transitions.shape != (words.size(0), 2 * words.size(1) - 1):
            expected = words.size(0), 2 * words.size(1) - 1
            raise ValueError(f"transitions have the shape {tuple(transitions.shape)}; expected {expected}")
        shift, reduce = transitions == SHIFT, transitions == REDUCE
        depth = (shift.long() - reduce.long()).cumsum(1)
        moving = torch.arange(depth.size(1), device=depth.device) < 2 * lengths[:, None] - 1
        builds = ((shift | reduce) == moving) & (depth > 0)
        if not (builds.all() and (depth[:, -1] == 1).all()):
            raise ValueError("transitions do not build one tree over each sentence")


def choose(scores, buffers, stacks):
    """The better scored of the moves that are legal, a move a sentence; PADDING for a sentence that is read."""
    moves = []
    for score, buf, stack in zip(scores.tolist(), buffers, stacks):
        # One row lies at the bottom of each buffer and two of each stack, and they stay there.
        legal = [move for move, possible in ((REDUCE, len(stack) > 3), (SHIFT, len(buf) > 1)) if possible]
        moves.append(max(legal, key=lambda move: score[move]) if legal else PADDING)
    return moves
