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


def compose_backward(dh, dc, parts, gradients):
    """The backward pass of `compose`: from the gradients of h and c to those of `parts`, but the last, in place."""
    sigmoids, a, i, f1, f2, o, c1, c2, tanh_c = parts
    dsigmoids, da, di, df1, df2, do, dc1, dc2 = gradients
    dc += torch.ops.aten.tanh_backward(dh * o, tanh_c)
    torch.mul(dh, tanh_c, out=do)
    torch.mul(dc, a, out=di)
    torch.mul(dc, c1, out=df1)
    torch.mul(dc, c2, out=df2)
    torch.mul(dc, f1, out=dc1)
    torch.mul(dc, f2, out=dc2)
    torch.ops.aten.sigmoid_backward.grad_input(dsigmoids, sigmoids, grad_input=dsigmoids)
    torch.ops.aten.tanh_backward.grad_input(dc.mul_(i), a, grad_input=da)


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
        dh, dc, dgates = grad.clone(), torch.zeros_like(c), torch.empty_like(gates)
        children, cells = children_of(h, c, inner)
        dchildren, dcells = children_of(dh, dc, inner)
        groups = by_group(plan.sizes, plan.slots, dchildren, dgates)
        before = by_group(plan.sizes, *cell_parts(gates, cells, tanh_c))
        after = by_group(plan.sizes, *cell_parts(dgates, dcells, tanh_c)[:-1])
        for (slots, dboth, dlstm_in), parts, gradients in zip(groups[::-1], before[::-1], after[::-1]):
            compose_backward(dh.index_select(0, slots), dc.index_select(0, slots), parts, gradients)
            dboth.addmm_(dlstm_in, weight)
        dwords = give_words(dh[plan.word_slots], dc[plan.word_slots], plan.words, ctx.shape)
        dleft, dright = (dgates.t() @ children).chunk(2, 1)
        return None, dwords, dleft, dgates.sum(0), dright
