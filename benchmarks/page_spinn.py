"""SPINN as listings 5.14 to 5.17 print it, corrected only so far that it runs: what `benchmarks/spinn.py` measures."""

import itertools

import torch
from torch import nn


def bundle(rows):
    """The page mentions it and does not give it: rows of (1, 2 * size) to (h, c)."""
    rows = tuple(rows)
    return None if rows[0] is None else torch.cat(rows, 0).chunk(2, 1)


def unbundle(state):
    """As `bundle`, the other way round."""
    return torch.split(torch.cat(state, 1), 1, 0)


def tree_lstm(c1, c2, lstm_in):
    """Mentioned and not given either."""
    a, i, f1, f2, o = lstm_in.chunk(5, 1)
    c = a.tanh() * i.sigmoid() + f1.sigmoid() * c1 + f2.sigmoid() * c2
    return o.sigmoid() * c.tanh(), c


class Reduce(nn.Module):
    """Listing 5.14."""

    def __init__(self, size, tracker_size=None):
        super().__init__()
        self.left = nn.Linear(size, 5 * size)
        self.right = nn.Linear(size, 5 * size, bias=False)
        if tracker_size is not None:
            self.track = nn.Linear(tracker_size, 5 * size, bias=False)

    def forward(self, left_in, right_in, tracking=None):
        left, right = bundle(left_in), bundle(right_in)
        tracking = bundle(tracking)
        lstm_in = self.left(left[0])
        lstm_in += self.right(right[0])
        if hasattr(self, "track"):
            lstm_in += self.track(tracking[0])
        out = unbundle(tree_lstm(left[1], right[1], lstm_in))
        return out


class Tracker(nn.Module):
    """Listing 5.15."""

    def __init__(self, size, tracker_size):
        super().__init__()
        self.rnn = nn.LSTMCell(3 * size, tracker_size)
        self.state_size = tracker_size

    def reset_state(self):
        self.state = None

    def forward(self, bufs, stacks):
        buf = bundle(buf[-1] for buf in bufs)[0]
        stack1 = bundle(stack[-1] for stack in stacks)[0]
        stack2 = bundle(stack[-2] for stack in stacks)[0]
        x = torch.cat((buf, stack1, stack2), 1)
        if self.state is None:
            self.state = 2 * [x.data.new(x.size(0), self.state_size).zero_()]
        self.state = self.rnn(x, self.state)
        return unbundle(self.state), None


class PageSPINN(nn.Module):
    """Listings 5.16 and 5.17, with a tracker only if there is one."""

    def __init__(self, size, tracker_size=None):
        super().__init__()
        self.reduce = Reduce(size, tracker_size)
        if tracker_size is not None:
            self.tracker = Tracker(size, tracker_size)

    def forward(self, buffers, transitions):
        """Buffers, (longest + 1, batch, 2 * size), the last word first, and moves, (steps, batch), to (batch, size)."""
        buffers = [list(torch.split(b.squeeze(1), 1, 0)) for b in torch.split(buffers, 1, 1)]
        stacks = [[buf[0], buf[0]] for buf in buffers]
        if hasattr(self, "tracker"):
            self.tracker.reset_state()
        for trans in transitions:
            if hasattr(self, "tracker"):
                tracker_states, _ = self.tracker(buffers, stacks)
            else:
                tracker_states = itertools.repeat(None)
            lefts, rights, trackings = [], [], []
            batch = zip(trans.data, buffers, stacks, tracker_states)
            for transition, buf, stack, tracking in batch:
                if transition == 3:  # shift
                    stack.append(buf.pop())
                elif transition == 2:  # reduce
                    rights.append(stack.pop())
                    lefts.append(stack.pop())
                    trackings.append(tracking)
            if rights:
                reduced = iter(self.reduce(lefts, rights, trackings))
                for transition, stack in zip(trans.data, stacks):
                    if transition == 2:
                        stack.append(next(reduced))
        return bundle([stack.pop() for stack in stacks])[0]
