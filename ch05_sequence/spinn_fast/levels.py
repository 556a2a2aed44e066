"""The trees of a batch level by level: `Levels`, an autograd function over a whole forest, and its nodes' cell."""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def by_group(sizes, *buffers):
    """For each group of consecutive rows, its views of all the buffers; made at once, because one by one costs more."""
    return [*zip(*(buffer.split(sizes) for buffer in buffers))]


def cell_parts(gates, cells, tanh_c):
    """What `compose` works on, as views: gates (nodes, 5 * size), children's c (nodes, 2, size), tanh of the new c."""
    return (gates[:, tanh_c.size(1) :], *gates.chunk(5, 1), cells[:, 0], cells[:, 1], tanh_c)


def compose(sigmoids, a, i, f1, f2, o, c1, c2, tanh_c):
    """`tree_lstm` in place: the gates before their sigmoid or tanh, after them on return; writes `tanh_c`.

    Returns:
        h and c of the new nodes, each (rows, size).
    """
    a.tanh_()
    sigmoids.sigmoid_()
    c = (a * i).addcmul_(f1, c1).addcmul_(f2, c2)
    torch.tanh(c, out=tanh_c)
    return o * tanh_c, c


def factors_of(gates, tanh_gate, partners, tanh_c):
    """What the gradients of a cell's h and c are multiplied with on their way back, for all cells at once.

    A gate before its sigmoid or tanh counts by the slope of that function and by what the gate is multiplied with. All
    of it is known from the forward pass, so that few small operations are left for each group of nodes.

    Args:
        gates: after their sigmoid or tanh, o the last one, (cells, gates * size).
        tanh_gate: which of them went through tanh.
        partners: what each gate is multiplied with, each (cells, size).

    Returns:
        those for the gates, (cells, gates, size); that from h to c, (cells, size).
    """
    factors = torch.addcmul(gates, gates, gates, value=-1)  # s - s * s, the slope of a sigmoid
    values, parts = gates.chunk(len(partners), 1), factors.chunk(len(partners), 1)
    parts[tanh_gate].copy_(1 - values[tanh_gate].square())
    for part, partner in zip(parts, partners, strict=True):
        part.mul_(partner)
    o = values[-1]
    return factors.unflatten(1, (len(partners), -1)), torch.addcmul(o, o * tanh_c, tanh_c, value=-1)


def cell_backward(dh, dc, dgates, through_h):
    """The backward pass of a cell with the factors of `factors_of`: makes of `dgates` the gates' gradients, in place.

    Args:
        dh, dc: the gradients of h and c, (rows, size); `dc` has that which comes through h added, in place.
    """
    dc.addcmul_(dh, through_h)
    dgates[:, :-1].mul_(dc[:, None])
    dgates[:, -1].mul_(dh)


def tree_factors(gates, cells, tanh_c):
    """`factors_of` the nodes' gates a, i, f1, f2, o, as `compose` has left them."""
    a, i, *_ = gates.chunk(5, 1)
    return factors_of(gates, 0, (i, a, *cells.unbind(1), tanh_c), tanh_c)


def take_words(words, places, slots, count):
    """The words' nodes, (W, 2 * size), and new buffers of `count` slots for h and for c with the words in theirs."""
    picked = words.flatten(0, 1).index_select(0, places)
    h, c = (words.new_empty(count, words.size(2) // 2).index_copy_(0, slots, half) for half in picked.chunk(2, 1))
    return picked, h, c


def give_words(dh, dc, places, shape):
    """The gradient of the words, of `shape`, from those of their h and c, each (W, size)."""
    dwords = dh.new_zeros(shape)
    dwords.flatten(0, 1).index_copy_(0, places, torch.cat((dh, dc), 1))
    return dwords


def children_of(h, c, inner):
    """A buffer of slots as what the inner nodes read: h as (inner, 2 * size), c as (inner, 2, size)."""
    return h[: 2 * inner].view(inner, 2 * h.size(1)), c[: 2 * inner].view(inner, 2, h.size(1))


class Levels(Function):
    """All trees of a batch without tracker, a group of nodes of one height at a time."""

    @staticmethod
    def forward(ctx, plan, words, left, bias, right):
        """A `Plan`, words (batch, longest, 2 * size), the weights of `Reduce`, to the h of all nodes, (slots, size)."""
        inner, size = len(plan.slots), left.size(1)
        _, h, c = take_words(words, plan.words, plan.word_slots, 2 * inner + len(words))
        children, cells = children_of(h, c, inner)
        weight = torch.cat((left, right), 1)  # (5 * size, 2 * size)
        gates, tanh_c = h.new_empty(inner, 5 * size), h.new_empty(inner, size)
        groups = by_group(plan.sizes, plan.slots, children, gates, *cell_parts(gates, cells, tanh_c))
        for slots, both, lstm_in, *parts in groups:
            torch.addmm(bias, both, weight.t(), out=lstm_in)
            new_h, new_c = compose(*parts)
            h.index_copy_(0, slots, new_h)
            c.index_copy_(0, slots, new_c)
        ctx.plan, ctx.shape = plan, words.shape
        ctx.save_for_backward(h, c, gates, tanh_c, weight)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        h, c, gates, tanh_c, weight = ctx.saved_tensors
        plan, inner = ctx.plan, len(tanh_c)
        dh, dc = grad.clone(), torch.zeros_like(c)
        children, cells = children_of(h, c, inner)
        dchildren, dcells = children_of(dh, dc, inner)
        dparts, through_h = tree_factors(gates, cells, tanh_c)
        dgates, forgets = dparts.flatten(1), gates.view_as(dparts)[:, 2:4]
        groups = by_group(plan.sizes, plan.slots, dparts, through_h, forgets, dcells, dgates, dchildren)
        for slots, dpart, through, forget, dcell, dlstm_in, dboth in groups[::-1]:
            node_dc = dc.index_select(0, slots)
            cell_backward(dh.index_select(0, slots), node_dc, dpart, through)
            torch.mul(forget, node_dc[:, None], out=dcell)
            dboth.addmm_(dlstm_in, weight)
        dwords = give_words(dh[plan.word_slots], dc[plan.word_slots], plan.words, ctx.shape)
        dleft, dright = (dgates.t() @ children).chunk(2, 1)
        return None, dwords, dleft, dgates.sum(0), dright
