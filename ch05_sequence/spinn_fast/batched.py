"""SPINN at speed: the function of `spinn_page.py`, with the same weights, in few large products.

Why it is faster. The page takes the batch apart into rows at every step and puts it together again: most of its time
goes into rows, not into arithmetic. Here it is known ahead where every node is read (plan.py), and nodes stay rows of
one table. Without tracker a node depends on its children alone: all nodes of one height, over all trees of the batch,
are one product. With it they depend on all moves before: the batch goes on move by move, as in the thin stack of the
paper, a product for the sentences that reduce and one for the tracker. A tracker that only predicts comes after all
nodes. Along moves of its own nothing can be planned, and the page's code runs.
"""

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from ch05_sequence.loaders.snli import PADDING, REDUCE, SHIFT
from ch05_sequence.spinn_fast.plan import plan
from ch05_sequence.spinn_page import SPINN, Encoding, tree_lstm


class BatchedSPINN(SPINN):
    """`SPINN` of spinn_page.py in large products: the same arguments, weights, results and gradients."""

    def forward(self, words, lengths, transitions=None, every_node=False) -> Encoding:
        """As `SPINN.forward`. The computation is in the weights' own precision, whatever autocast says."""
        words = words.to(self.reduce.left.weight.dtype)
        with torch.autocast(words.device.type, enabled=False):
            if transitions is None:  # moves that are not known ahead cannot be planned
                return super().forward(words, lengths, None, every_node)
            lengths, moves = lengths.cpu(), transitions.cpu()
            self.check(words, lengths, moves)
            planned = plan(lengths, moves, words.device, self.tracking)
            h, c = words.flatten(0, 1).index_select(0, planned.words).chunk(2, 1)
            sentence, table, seen = self.follow(planned, h, c)
            scores = None
            if self.predict:
                seen = seen if self.tracking else self.look_back(planned, h.detach(), table.detach())
                packed = PackedSequence(self.tracker.transition(seen), planned.active, planned.order)
                scores, _ = pad_packed_sequence(packed, batch_first=True)
        return Encoding(sentence, transitions, scores, table[planned.nodes] if every_node else None)

    def follow(self, planned, words_h, words_c):
        """Makes all nodes of a `Plan` from the h and c of its words, (words, size).

        Returns:
            the h of the sentences, (batch, size), and of all nodes, (nodes + 1, size); that of a tracker of which
            Reduce is told, before each move, (moves, tracker size), else None.
        """
        size, state, seen = self.size, None, []
        h = c = words_h.new_zeros(1, size)
        table = [h]
        weight = torch.cat((self.reduce.left.weight, self.reduce.right.weight), 1)  # both children in one product
        if self.tracking:
            looks = zip(*self.looks(planned, words_h), planned.reducing.split(planned.made))
        coming = zip(words_h.split(planned.coming), words_c.split(planned.coming))
        for take, made, (coming_h, coming_c) in zip(planned.takes, planned.made, coming):
            parts = 2 * made, len(take) - 2 * made
            (both_h, h_stays), (both_c, c_stays) = (pool.index_select(0, take).split(parts) for pool in (h, c))
            lstm_in = F.linear(both_h.view(made, 2 * size), weight, self.reduce.left.bias)
            if self.tracking:
                next_word, stack, reducing = next(looks)
                state = self.watch(next_word, stack, h, state)
                seen.append(state[0])
                lstm_in = lstm_in + self.reduce.track(state[0].index_select(0, reducing))
            new_h, new_c = tree_lstm(*both_c.view(made, 2, size).unbind(1), lstm_in)
            h, c = torch.cat((h_stays, new_h, coming_h)), torch.cat((c_stays, new_c, coming_c))
            table += [new_h, coming_h]
        return h.index_select(0, planned.roots), torch.cat(table), torch.cat(seen) if seen else None

    def look_back(self, planned, words_h, table):
        """What a tracker has seen on which no node depends, as `follow` gives it: after all nodes."""
        state, seen = None, []
        for next_word, stack in zip(*self.looks(planned, words_h)):
            state = self.watch(next_word, stack, table, state)
            seen.append(state[0])
        return torch.cat(seen)

    @staticmethod
    def looks(planned, words_h):
        """For each move the next words' h, (sentences not read yet, size), and where the tops of the stacks lie."""
        next_words = F.pad(words_h, (0, 0, 1, 0)).index_select(0, planned.next_words)
        return [part.split(planned.active.tolist()) for part in (next_words, planned.stacks)]

    def watch(self, next_word, stack, nodes, state):
        """The tracker's h and c after it has looked at what `looks` gives for a move, `stack` being rows of `nodes`."""
        x = torch.cat((next_word, nodes.index_select(0, stack.flatten()).view(-1, 2 * self.size)), 1)
        # Sentences go from the longest down: those that are not read yet are the first ones.
        return self.tracker.rnn(x, state and [part[: len(x)] for part in state])


def agrees_with_page(predict=True, tracking=True):
    """Whether a SPINN of `spinn_page.py` gives the same answers and gradients on three sentences as its batched twin.

    It does, unless somebody has changed a line there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        words, lengths = torch.randn(3, 9, 2 * 5), torch.tensor([9, 1, 7])
        page, batched = (kind(5, 3 if predict else None, predict, tracking) for kind in (SPINN, BatchedSPINN))
    batched.load_state_dict(page.state_dict())
    trees = [SHIFT] + 8 * [SHIFT, REDUCE], [SHIFT], 7 * [SHIFT] + 6 * [REDUCE]
    moves = torch.tensor([tree + (17 - len(tree)) * [PADDING] for tree in trees])
    found = []
    for network in (page, batched):
        encoding = network(words, lengths, moves)
        outputs = [encoding.sentence, encoding.scores][: 1 + predict]
        gradients = torch.autograd.grad(sum(part.square().sum() for part in outputs), [*network.parameters()])
        found.append([*outputs, *gradients])
    return all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*found))
