"""The trees of a batch with a tracker, move by move: `Steps`, an autograd function over a whole forest."""

import torch
import torch.nn.functional as F
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ch05_sequence.spinn_fast.levels import (
    by_group,
    cell_backward,
    cell_parts,
    children_of,
    compose,
    factors_of,
    give_words,
    take_words,
    tree_factors,
)


def lstm_parts(gates, tanh_c):
    """What `lstm_cell` works on, as views: gates in torch's order i, f, g, o, (steps, 4 * size), tanh of the new c."""
    return (gates[:, : 2 * tanh_c.size(1)], *gates.chunk(4, 1), tanh_c)


def lstm_cell(c, h_out, c_out, sigmoids, i, f, g, o, tanh_c):
    """An LSTM cell in place: the gates before their sigmoid or tanh, after them on return; `c` is the old one."""
    sigmoids.sigmoid_()
    g.tanh_()
    o.sigmoid_()
    torch.mul(i, g, out=c_out).addcmul_(f, c)
    torch.tanh(c_out, out=tanh_c)
    torch.mul(o, tanh_c, out=h_out)


def lstm_factors(gates, c, tanh_c):
    """`factors_of` the gates i, f, g, o, as `lstm_cell` has left them; `c` are the old ones."""
    i, _, g, _ = gates.chunk(4, 1)
    return factors_of(gates, 2, (g, c, i, tanh_c), tanh_c)


def bag_sums(rows, readers, starts):
    """Sums of some of the rows, a sum for each of `starts`, where its readers start among `readers`."""
    return F.embedding_bag(readers, rows, starts, mode="sum")


class Steps(Function):
    """All trees of a batch with their tracker, one move of every sentence at a time."""

    @staticmethod
    def forward(ctx, forest, steps, words, left, bias, right, track, w_ih, w_hh, b_ih, b_hh):
        """Both plans, words (batch, longest, 2 * size), the weights of `Reduce` and of the tracker's cell.

        Returns:
            the h of all nodes, (slots, size), and the tracker's h of all steps, (steps, tracker_size).
        """
        batch, inner, total = len(words), len(forest.slots), len(steps.rows)
        size, seen_size = left.size(1), w_hh.size(1)
        picked, h, c = take_words(words, forest.words, forest.word_slots, 2 * inner + batch)
        children, cells = children_of(h, c, inner)
        weight = torch.cat((left, right), 1)  # (5 * size, 2 * size)
        gates, tanh_c, tracking = (h.new_empty(inner, width) for width in (5 * size, size, seen_size))

        # What the tracker sees of a node: on top of the buffer, on top of the stack, second there.
        places = torch.cat(w_ih.chunk(3, 1))  # (12 * tracker_size, size)
        views = h.new_empty(3 * len(picked) + 2 * inner + 1, 4 * seen_size)
        views[-1] = 0
        of_words, of_inner = views[:-1].split([3 * len(picked), 2 * inner])
        torch.mm(picked[:, :size], places.t(), out=of_words.view(-1, 12 * seen_size))
        stacked, both_biases = places[4 * seen_size :].t(), b_ih + b_hh

        # The tracker begins with zeros, as if there were a step before the first.
        seen, memory = h.new_zeros(2, batch + total, seen_size)
        tracker_gates, tanh_memory = h.new_empty(total, 4 * seen_size), h.new_empty(total, seen_size)
        states = by_group([batch, *steps.sizes], seen, memory)
        tracked = by_group(steps.sizes, steps.rows, tracker_gates, *lstm_parts(tracker_gates, tanh_memory))
        groups = by_group(
            forest.sizes, forest.slots, children, of_inner.view(inner, 8 * seen_size), steps.reducing, tracking, gates,
            *cell_parts(gates, cells, tanh_c),
        )  # fmt: skip
        for (old_h, old_c), (new_h, new_c), (rows, lstm_in, *lstm), group in zip(states, states[1:], tracked, groups):
            going_on = len(rows)
            torch.addmm(both_biases, old_h[:going_on], w_hh.t(), out=lstm_in)
            lstm_in += F.embedding_bag(rows, views, mode="sum")
            lstm_cell(old_c[:going_on], new_h, new_c, *lstm)
            slots, both, view, reducing, told, tree_lstm_in, *parts = group
            if len(slots):
                torch.index_select(new_h, 0, reducing, out=told)
                torch.addmm(bias, both, weight.t(), out=tree_lstm_in).addmm_(told, track.t())
                node_h, node_c = compose(*parts)
                h.index_copy_(0, slots, node_h)
                c.index_copy_(0, slots, node_c)
                torch.mm(node_h, stacked, out=view)
        ctx.forest, ctx.steps, ctx.shape = forest, steps, words.shape
        of_nodes = (h, c, gates, tanh_c, tracking)
        of_tracker = (seen, memory, tracker_gates, tanh_memory)
        ctx.save_for_backward(*of_nodes, *of_tracker, weight, places, track, w_hh)
        return h, seen[batch:]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_seen):
        h, c, gates, tanh_c, tracking, seen, memory, tracker_gates, tanh_memory, *weights = ctx.saved_tensors
        weight, places, track, w_hh = weights
        forest, steps, batch, seen_size = ctx.forest, ctx.steps, ctx.shape[0], w_hh.size(1)
        count, inner = len(forest.words), len(tanh_c)
        children, cells = children_of(h, c, inner)

        dh, dc = grad.clone(), torch.zeros_like(c)
        dchildren, dcells = children_of(dh, dc, inner)
        dparts, through_h = tree_factors(gates, cells, tanh_c)
        dgates, forgets = dparts.flatten(1), gates.view_as(dparts)[:, 2:4]
        dseen, dmemory = F.pad(grad_seen, (0, 0, batch, 0)), torch.zeros_like(memory)
        dtracker_parts, through_seen = lstm_factors(tracker_gates, memory[steps.previous], tanh_memory)
        dtracker, keeps = dtracker_parts.flatten(1), tracker_gates.chunk(4, 1)[1]
        dviews = h.new_empty(inner, 8 * seen_size)
        stacked = places[4 * seen_size :]
        # A view's gradient is the sum over the steps that looked at it.
        word_readers, *readers = steps.readers.split(steps.reader_sizes)
        word_starts, starts = steps.reader_starts.split([3 * count, 2 * inner])

        states = by_group([batch, *steps.sizes], dseen, dmemory)
        tracked = by_group(steps.sizes, dtracker_parts, through_seen, keeps, dtracker)
        groups = by_group(
            forest.sizes, forest.slots, starts.view(inner, 2), dviews, steps.reducing, dchildren, dgates,
            dparts, through_h, forgets, dcells,
        )  # fmt: skip
        for step in reversed(range(len(groups))):
            slots, start, dview, reducing, dboth, dtree_lstm_in, dpart, through, forget, dcell = groups[step]
            (old_dh, old_dc), (new_dh, new_dc) = states[step : step + 2]
            *factors, keep, dlstm_in = tracked[step]
            if len(slots):
                dview.copy_(bag_sums(dtracker, readers[step], start.flatten()).view_as(dview))
                node_dh, node_dc = dh.index_select(0, slots).addmm_(dview, stacked), dc.index_select(0, slots)
                cell_backward(node_dh, node_dc, dpart, through)
                torch.mul(forget, node_dc[:, None], out=dcell)
                dboth.addmm_(dtree_lstm_in, weight)
                new_dh.index_add_(0, reducing, dtree_lstm_in @ track)
            going_on = len(dlstm_in)
            cell_backward(new_dh, new_dc, *factors)
            torch.mul(new_dc, keep, out=old_dc[:going_on])
            old_dh[:going_on].addmm_(dlstm_in, w_hh)

        dword_views = bag_sums(dtracker, word_readers, word_starts).view(count, 12 * seen_size)
        dwords_h = dh[forest.word_slots].addmm_(dword_views, places)
        dwords = give_words(dwords_h, dc[forest.word_slots], forest.words, ctx.shape)
        dleft, dright = (dgates.t() @ children).chunk(2, 1)
        dplaces = dword_views.t() @ h[forest.word_slots]
        dplaces[4 * seen_size :].addmm_(dviews.t(), h[forest.slots])
        dw_ih, dw_hh, dbias = torch.cat(dplaces.chunk(3), 1), dtracker.t() @ seen[steps.previous], dtracker.sum(0)
        return None, None, dwords, dleft, dgates.sum(0), dright, dgates.t() @ tracking, dw_ih, dw_hh, dbias, dbias
