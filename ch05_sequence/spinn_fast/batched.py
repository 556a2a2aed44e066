"""SPINN at speed: the function of `spinn_page.py`, with the same weights, in few large products.

Why it is faster. The page takes the batch apart into rows at every step and puts it together again: most of its time
goes into rows, not into arithmetic. Here all pointers are planned ahead (plan.py), and a node's state is written
straight to where its parent reads it, so that the children of a whole group of nodes are one matrix (forest.py).
Without tracker a node depends on its children alone: all nodes of one height, over all trees of the batch, are one
product. With it they depend on all moves before: the batch goes on move by move, as in the thin stack of the paper, a
product for the sentences that reduce and one for the tracker. A tracker that only predicts comes after all nodes. Along
moves of its own nothing can be planned, and the page's code runs.
"""

import torch
import torch.nn.functional as F

from ch05_sequence.loaders.snli import PADDING, REDUCE, SHIFT
from ch05_sequence.spinn_fast.forest import Forest
from ch05_sequence.spinn_fast.plan import plan
from ch05_sequence.spinn_page import SPINN, Encoding


class BatchedSPINN(SPINN):
    """`SPINN` of spinn_page.py in large products: the same arguments, weights, results and gradients."""

    def forward(self, words, lengths, transitions=None, every_node=False) -> Encoding:
        """As `SPINN.forward`. The computation is in the weights' own precision, whatever autocast says."""
        words = words.to(self.reduce.left.weight.dtype)
        if transitions is None:  # moves that are not known ahead cannot be planned
            with torch.autocast(words.device.type, enabled=False):
                return super().forward(words, lengths, None, every_node)
        lengths_here = lengths.cpu()
        self.check(words, lengths_here, transitions.cpu())
        planned = plan(lengths_here, transitions.cpu(), words.device, tracked=self.tracking)
        tracker = [self.reduce.track.weight, *self.tracker.rnn.parameters()] if self.tracking else [None]
        left, right = self.reduce.left, self.reduce.right
        h, seen = Forest.apply(planned, words, left.weight, left.bias, right.weight, *tracker)
        scores = None
        if self.predict:
            seen = self.watch(h, planned) if seen is None else seen
            # Once for all steps; the row of zeros behind them is for the moves that are none.
            scores = F.pad(self.tracker.transition(seen), (0, 0, 0, 1))[planned.steps]
        nodes = h[planned.nodes] if every_node else None
        return Encoding(h[-1 - len(words) : -1], transitions, scores, nodes)

    def watch(self, h, planned):
        """The tracker's h of all steps, (steps, tracker size), where no node depends on it: after all the nodes."""
        h, state, seen = h.detach(), None, []
        for reads in planned.reads.split(planned.step_sizes):
            # Sentences from the longest down: those that are not read yet are the first ones.
            state = self.tracker.rnn(h[reads].flatten(1), state and [part[: len(reads)] for part in state])
            seen.append(state[0])
        return torch.cat(seen)


def agrees_with_page():
    """Whether `spinn_page.py` gives the same answers and gradients on three sentences as its batched twin.

    It does, unless somebody has changed a line there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        words, lengths = torch.randn(3, 9, 2 * 5), torch.tensor([9, 1, 7])
        page, batched = SPINN(5, 3, predict=True), BatchedSPINN(5, 3, predict=True)
    batched.load_state_dict(page.state_dict())
    trees = [SHIFT] + 8 * [SHIFT, REDUCE], [SHIFT], 7 * [SHIFT] + 6 * [REDUCE]
    moves = torch.tensor([tree + (17 - len(tree)) * [PADDING] for tree in trees])
    found = []
    for network in (page, batched):
        encoding = network(words, lengths, moves)
        outputs = [encoding.sentence, encoding.scores]
        gradients = torch.autograd.grad(sum(part.square().sum() for part in outputs), [*network.parameters()])
        found.append([*outputs, *gradients])
    return all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*found))
