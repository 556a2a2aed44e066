"""All trees of a batch as one autograd function, a group of nodes at a time, with the backward pass written out.

What autograd would do group by group, the products for the gradients of the weights, is done once, over all nodes.
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

# A cell here has its gates in the order of the page's `tree_lstm`: a, i, a forget gate for each cell below it, o.


def cell(gates, below, tanh_c):
    """The cell of a tree LSTM, or, with one cell below, of an LSTM.

    Args:
        gates: before their tanh or sigmoid, after them on return, (rows, gates * size).
        below: the cell states that it goes on from, (rows, cells below, size).
        tanh_c: where tanh of the new cell state goes, (rows, size).

    Returns:
        h and c, each (rows, size).
    """
    size = tanh_c.size(1)
    a, i, *forgets, o = gates.split(size, 1)
    a.tanh_()
    gates[:, size:].sigmoid_()
    c = a * i
    for forget, old in zip(forgets, below.unbind(1)):
        c.addcmul_(forget, old)
    torch.tanh(c, out=tanh_c)
    return o * tanh_c, c


def slopes(gates, below, tanh_c):
    """What the gradients of h and c are multiplied with on their way back through `cell`, for all cells at once.

    A gate before its sigmoid or tanh counts by the slope of that function and by what the gate is multiplied with. All
    of it is known from the forward pass, so that few small operations are left for each group of nodes.

    Returns:
        the factors of the gates, (rows, gates, size), and that from h to c, (rows, size).
    """
    size = tanh_c.size(1)
    a, i, *_, o = gates.split(size, 1)
    factors = torch.addcmul(gates, gates, gates, value=-1)  # s - s * s, the slope of a sigmoid
    factors[:, :size] = 1 - a.square()
    for factor, partner in zip(factors.split(size, 1), (i, a, *below.unbind(1), tanh_c), strict=True):
        factor.mul_(partner)
    return factors.unflatten(1, (-1, size)), torch.addcmul(o, o * tanh_c, tanh_c, value=-1)


def cell_backward(dh, dc, dgates, through_h):
    """Makes of the factors of `slopes` the gates' gradients, in place; adds to `dc` what comes through h."""
    dc.addcmul_(dh, through_h)
    dgates[:, :-1].mul_(dc[:, None])
    dgates[:, -1].mul_(dh)


def by_group(sizes, *buffers):
    """For each group of consecutive rows, its views of all the buffers; made at once, because one by one costs more."""
    return [*zip(*(buffer.split(sizes) for buffer in buffers))]


def children_of(h, c, inner):
    """The slots as what the inner nodes read: h as (inner, 2 * size), c as (inner, 2, size)."""
    return h[: 2 * inner].view(inner, 2 * h.size(1)), c[: 2 * inner].view(inner, 2, h.size(1))


def reordered(parts, order):
    """An LSTM's weights or gradients with their four gates in another order."""
    return [torch.cat([part.chunk(4)[gate] for gate in order]) for part in parts]


class Forest(Function):
    """All trees of a batch; with a tracker, which goes along move by move, or without, by height."""

    @staticmethod
    def forward(ctx, plan, words, left, bias, right, track, *rnn):
        """A `Plan`, words (batch, longest, 2 * size), the weights of `Reduce` and of the tracker's cell, or None.

        Returns:
            the h of all nodes, (slots, size), and the tracker's h of all steps, (steps, tracker size), or None.
        """
        inner, batch, size = len(plan.slots), len(words), left.size(1)
        h, c = words.new_empty(2, 2 * inner + batch + 1, size)
        h[-1] = c[-1] = 0
        for state, half in zip((h, c), words.flatten(0, 1).index_select(0, plan.places).chunk(2, 1)):
            state.index_copy_(0, plan.word_slots, half)
        children, below = children_of(h, c, inner)
        weight = torch.cat((left, right), 1)  # (5 * size, 2 * size)
        gates, tanh_c = h.new_empty(inner, 5 * size), h.new_empty(inner, size)
        groups = by_group(plan.sizes, plan.slots, children, gates, below, tanh_c, plan.reducing)
        saved = [h, c, gates, tanh_c, weight]
        steps = [None] * len(groups)
        if track is not None:
            w_ih, w_hh, b_ih, b_hh = reordered(rnn, (2, 0, 1, 3))  # torch's i, f, g, o as a, i, f, o
            total, width = len(plan.reads), track.size(1)
            # The tracker begins with zeros, as if there were a step before the first.
            seen, memory = h.new_zeros(2, batch + total, width)
            lstm_gates, tanh_memory = h.new_empty(total, 4 * width), h.new_empty(total, width)
            tracking = h.new_empty(inner, width)
            states = by_group([batch, *plan.step_sizes], seen, memory)
            steps = by_group(plan.step_sizes, plan.reads, lstm_gates, tanh_memory)
            told = tracking.split(plan.sizes)
            saved += [seen, memory, lstm_gates, tanh_memory, tracking, track, w_ih, w_hh]
        for number, (step, (slots, both, lstm_in, cells, tanh, reducing)) in enumerate(zip(steps, groups)):
            if step:
                reads, tracker_in, tracker_tanh = step
                (old_h, old_c), (new_h, new_c) = states[number : number + 2]
                going_on = len(reads)
                three_nodes = h.index_select(0, reads.flatten()).view(going_on, 3 * size)
                torch.addmm(b_ih + b_hh, old_h[:going_on], w_hh.t(), out=tracker_in).addmm_(three_nodes, w_ih.t())
                found = cell(tracker_in, old_c[:going_on, None], tracker_tanh)
                new_h.copy_(found[0])
                new_c.copy_(found[1])
            if len(slots):
                torch.addmm(bias, both, weight.t(), out=lstm_in)
                if step:
                    torch.index_select(new_h, 0, reducing, out=told[number])
                    lstm_in.addmm_(told[number], track.t())
                for state, value in zip((h, c), cell(lstm_in, cells, tanh)):
                    state.index_copy_(0, slots, value)
        ctx.plan, ctx.shape = plan, words.shape
        ctx.save_for_backward(*saved)
        return h, None if track is None else seen[batch:]

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_seen):
        h, c, gates, tanh_c, weight, *of_tracker = ctx.saved_tensors
        plan, inner, batch, size = ctx.plan, len(tanh_c), ctx.shape[0], h.size(1)
        children, below = children_of(h, c, inner)
        dh, dc = grad.clone(), torch.zeros_like(c)
        dchildren, dbelow = children_of(dh, dc, inner)
        dgates, through_h = slopes(gates, below, tanh_c)
        dlstm_in, forgets = dgates.flatten(1), gates.view_as(dgates)[:, 2:4]
        groups = by_group(
            plan.sizes, plan.slots, dchildren, dlstm_in, dbelow, dgates, through_h, forgets, plan.reducing
        )
        steps = [None] * len(groups)
        if of_tracker:
            seen, memory, lstm_gates, tanh_memory, tracking, track, w_ih, w_hh = of_tracker
            dseen, dmemory = torch.zeros_like(seen), torch.zeros_like(memory)
            dseen[batch:] = grad_seen
            dlstm_gates, through_seen = slopes(lstm_gates, memory[plan.previous][:, None], tanh_memory)
            dtracker_in, keeps = dlstm_gates.flatten(1), lstm_gates.chunk(4, 1)[2]
            states = by_group([batch, *plan.step_sizes], dseen, dmemory)
            steps = by_group(plan.step_sizes, plan.reads, dtracker_in, dlstm_gates, through_seen, keeps)
        for number in reversed(range(len(groups))):
            slots, dboth, din, dcells, dparts, through, forget, reducing = groups[number]
            if len(slots):
                node_dh, node_dc = dh.index_select(0, slots), dc.index_select(0, slots)
                cell_backward(node_dh, node_dc, dparts, through)
                torch.mul(forget, node_dc[:, None], out=dcells)
                dboth.addmm_(din, weight)
            if steps[number]:
                reads, din_tracker, *factors, keep = steps[number]
                (old_dh, old_dc), (new_dh, new_dc) = states[number : number + 2]
                if len(slots):
                    new_dh.index_add_(0, reducing, din @ track)
                cell_backward(new_dh, new_dc, *factors)
                going_on = len(reads)
                torch.mul(new_dc, keep, out=old_dc[:going_on])
                old_dh[:going_on].addmm_(din_tracker, w_hh)
                dh.index_add_(0, reads.flatten(), (din_tracker @ w_ih).view(3 * going_on, size))
        dwords = h.new_zeros(ctx.shape)
        of_words = torch.cat((dh[plan.word_slots], dc[plan.word_slots]), 1)
        dwords.flatten(0, 1).index_copy_(0, plan.places, of_words)
        dleft, dright = (dlstm_in.t() @ children).chunk(2, 1)
        result = [None, dwords, dleft, dlstm_in.sum(0), dright]
        if not of_tracker:
            return *result, None
        three_nodes = h[plan.reads.flatten()].view(-1, 3 * size)
        dbias = dtracker_in.sum(0)
        drnn = (dtracker_in.t() @ three_nodes, dtracker_in.t() @ seen[plan.previous], dbias, dbias)
        return *result, dlstm_in.t() @ tracking, *reordered(drnn, (1, 2, 0, 3))
