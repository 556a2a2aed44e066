"""Listings 5.5 and 5.8 to 5.13: values and gradients against torch's own layers, and padding that never leaks."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from ch05_sequence.advanced_rnn import LAYERS, Attention, AttentionClassifier, CellEncoder, Encoder, build, read_flags
from ch05_sequence.loaders.snli import PAD, Sentences, distinct, together
from ch05_sequence.pictures import rnn as rnn_pictures
from ch05_sequence.simple_rnn import Encoder as SimpleEncoder
from ch05_sequence.simple_rnn import Merger, RNNCell, RNNClassifier, set_up

EMBED, HIDDEN, WORDS = 4, 3, 30
KINDS = list(itertools.product(["lstm", "gru"], [1, 2], [False, True]))


@pytest.fixture(autouse=True)
def float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def sentences(*lengths):
    words = [torch.randint(2, WORDS, (length,)) for length in lengths]
    return Sentences(pad_sequence(words, True, PAD), torch.tensor(lengths), None)


def close(left, right):
    torch.testing.assert_close(left, right, rtol=0, atol=1e-12)


def same_gradients(left, right):
    """Whether two networks, their weights in one order, hold equal gradients, none of them missing or all zero."""
    pairs = list(zip(left.parameters(), right.parameters(), strict=True))
    for one, other in pairs:
        close(one.grad, other.grad)
        assert one.grad.abs().sum() > 0


def test_a_step_of_the_cell_is_one_linear_layer_and_relu():
    cell = RNNCell(EMBED, HIDDEN)
    assert cell.input2hidden.weight.shape == (HIDDEN, EMBED + HIDDEN)
    inputs, hidden = torch.randn(5, EMBED), torch.randn(5, HIDDEN)
    output, new = cell(inputs, hidden)
    of_input, of_hidden = cell.input2hidden.weight.split([EMBED, HIDDEN], 1)
    close(new, (inputs @ of_input.T + hidden @ of_hidden.T + cell.input2hidden.bias).clamp(min=0))
    assert output is None and new.shape == (5, HIDDEN) and (new >= 0).all() and (new > 0).any()
    assert torch.equal(cell.init_hidden(5), torch.zeros(5, HIDDEN))


def test_the_cell_of_figure_5_3_also_predicts_a_word():
    cell = RNNCell(EMBED, HIDDEN, vocab_dim=WORDS)
    inputs, hidden = torch.randn(5, EMBED), torch.randn(5, HIDDEN)
    output, new = cell(inputs, hidden)
    scores = cell.input2output(torch.cat((inputs, hidden), 1))
    close(output, scores - scores.exp().sum(1, keepdim=True).log())
    close(new, torch.relu(cell.input2hidden(torch.cat((inputs, hidden), 1))))


def test_the_simple_encoder_is_torchs_rnn():
    encoder, layer = SimpleEncoder(EMBED, HIDDEN), nn.RNN(EMBED, HIDDEN, nonlinearity="relu", batch_first=True)
    with torch.no_grad():
        linear = encoder.rnn.input2hidden
        layer.weight_ih_l0.copy_(linear.weight[:, :EMBED])
        layer.weight_hh_l0.copy_(linear.weight[:, EMBED:])
        layer.bias_ih_l0.copy_(linear.bias)
        layer.bias_hh_l0.zero_()
    embedded, lengths = torch.randn(4, 6, EMBED), torch.tensor([3, 6, 1, 4])
    packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
    outputs, last = layer(packed)
    hidden = encoder(embedded, lengths)
    close(hidden, last[0])
    hidden.square().sum().backward()
    last.square().sum().backward()
    close(linear.weight.grad, torch.cat((layer.weight_ih_l0.grad, layer.weight_hh_l0.grad), 1))
    close(linear.bias.grad, layer.bias_ih_l0.grad)
    assert linear.weight.grad.abs().sum() > 0
    # After each word the same states too; beyond the end the last one stays.
    states = encoder.states(embedded, lengths)
    outputs, _ = pad_packed_sequence(outputs, batch_first=True)
    inside = torch.arange(6) < lengths[:, None]
    close(states[inside], outputs[inside])
    close(states[0, 3:], last[0, 0].expand(3, -1))


def test_parameters_do_not_grow_with_the_sentence_and_are_as_4_to_3_to_1():
    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    cells = nn.LSTMCell(4, 3, bias=False), nn.GRUCell(4, 3, bias=False), nn.RNNCell(4, 3, bias=False)
    assert [count(cell) for cell in cells] == [84, 63, 21]
    cells = nn.LSTMCell(4, 3), nn.GRUCell(4, 3), nn.RNNCell(4, 3)
    assert [count(cell) for cell in cells] == [108, 81, 27]
    encoder = SimpleEncoder(4, 3)
    assert count(encoder) == 3 * (4 + 3) + 3  # one bias where torch has two
    assert encoder(torch.randn(2, 50, 4), torch.tensor([50, 7])).shape == (2, 3)


def test_the_merger_gives_both_their_difference_and_their_product():
    merger = Merger(HIDDEN, dropout=0.5)
    assert merger.bn.num_features == 4 * HIDDEN and merger.dropout.p == 0.5
    p, h = torch.randn(2, 6, HIDDEN)
    plain = torch.cat([p, h, p - h, p * h], 1)
    close(merger.eval()((p, h)), plain / (1 + 1e-5) ** 0.5)  # the running statistics are still 0 and 1
    assert merger((p[:1], h[:1])).shape == (1, 4 * HIDDEN)  # a batch of one stays a batch
    merger.train().dropout.p = 0.0
    close(merger((p, h)), (plain - plain.mean(0)) / (plain.var(0, unbiased=False) + 1e-5).sqrt())


def classifiers():
    """A network for every kind: (name, network)."""
    yield "simple", RNNClassifier(WORDS, SimpleEncoder(EMBED, HIDDEN), fc1_dim=7)
    for cell in LAYERS:
        yield f"{cell} cell", RNNClassifier(WORDS, CellEncoder(EMBED, HIDDEN, cell), fc1_dim=7)
    for cell, layers, bidirectional in KINDS:
        for Classifier in (RNNClassifier, AttentionClassifier):
            encoder = Encoder(EMBED, HIDDEN, cell, layers, bidirectional, 0.3)
            yield f"{cell} {layers} {bidirectional} {Classifier.__name__}", Classifier(WORDS, encoder, fc1_dim=7)


def test_an_answer_does_not_depend_on_what_else_is_in_the_batch():
    torch.manual_seed(3)  # of so few hidden units, all may end behind their ReLU
    premise, hypothesis = sentences(5, 1, 9, 3), sentences(2, 12, 1, 4)
    for name, network in classifiers():
        # Running statistics other than 0 and 1, and a vector for padding that would be seen.
        with torch.no_grad():
            network.embed.weight.normal_()[PAD] = 10.0
        network.train()((premise, hypothesis))
        together = network.eval()((premise, hypothesis))
        for row in range(4):
            alone = [
                part._replace(words=part.words[[row], : part.lengths[row]], lengths=part.lengths[[row]])
                for part in (premise, hypothesis)
            ]
            answer = network(alone)
            torch.testing.assert_close(answer, together[[row]], rtol=0, atol=1e-10, msg=f"{name}, row {row}")
            for chosen in ([row - 1, row], [row, row]):
                others = [
                    part._replace(words=part.words[chosen], lengths=part.lengths[chosen])
                    for part in (premise, hypothesis)
                ]
                torch.testing.assert_close(network(others)[1:], answer, rtol=0, atol=1e-10, msg=name)
        assert (together[0] - together).abs().max() > 1e-5, name  # the words do count


def test_padding_gets_no_gradient():
    premise, hypothesis = sentences(5, 1, 9), sentences(2, 12, 1)
    for name, network in classifiers():
        both, _ = distinct(together(premise, hypothesis))
        embedded = network.embed(both.words).detach().requires_grad_()
        network.embed.forward = lambda words, given=embedded: given
        network((premise, hypothesis)).square().sum().backward()
        beyond = both.words == PAD
        assert embedded.grad[beyond].abs().max() == 0, name
        assert embedded.grad[~beyond].abs().sum() > 0, name


@pytest.mark.parametrize("cell", LAYERS)
def test_the_loop_over_cells_is_torchs_layer(cell):
    encoder, layer = CellEncoder(EMBED, HIDDEN, cell), LAYERS[cell](EMBED, HIDDEN, batch_first=True)
    layer.load_state_dict({f"{name}_l0": weight for name, weight in encoder.rnn.state_dict().items()})
    words, lengths = torch.randn(5, 7, EMBED), torch.tensor([4, 7, 1, 7, 2])
    ours, theirs = (words.clone().requires_grad_() for _ in range(2))
    last = encoder(ours, lengths)
    _, state = layer(pack_padded_sequence(theirs, lengths, batch_first=True, enforce_sorted=False))
    their_last = state[0][0] if cell == "lstm" else state[0]
    close(last, their_last)
    for result in (last, their_last):
        (result * torch.linspace(1, 2, result.numel()).view_as(result)).sum().backward()
    close(ours.grad, theirs.grad)
    same_gradients(encoder, layer)


def test_the_encoders_answer_is_the_last_layers_last_state():
    for cell, layers, bidirectional in KINDS:
        encoder = Encoder(EMBED, HIDDEN, cell, layers, bidirectional)
        layer = LAYERS[cell](EMBED, HIDDEN, layers, bidirectional=bidirectional)  # sequence first, as on the page
        layer.load_state_dict(encoder.rnn.state_dict())
        embedded = torch.randn(2, 5, EMBED)
        outputs, state = layer(embedded.transpose(0, 1))
        ht = state[0] if cell == "lstm" else state
        page = ht[-2:].transpose(0, 1).contiguous().view(2, -1) if bidirectional else ht[-1]
        assert page.shape == (2, encoder.size)
        ours, last = encoder.read(embedded, torch.tensor([5, 5]))
        close(last, page)
        close(ours.transpose(0, 1), outputs)


def test_dropout_acts_between_layers_and_in_training_alone():
    embedded, lengths = torch.randn(3, 6, EMBED), torch.tensor([2, 6, 5])
    one, two = (Encoder(EMBED, HIDDEN, layers=layers, dropout=0.9).train() for layers in (1, 2))
    close(one(embedded, lengths), one(embedded, lengths))
    assert (two(embedded, lengths) - two(embedded, lengths)).abs().max() > 1e-3
    two.eval()
    close(two(embedded, lengths), two(embedded, lengths))


def test_premise_and_hypothesis_pass_through_one_encoder():
    premise, hypothesis = sentences(5, 1, 9), sentences(2, 12, 1)
    encoder = Encoder(EMBED, HIDDEN, "gru", bidirectional=True)
    network = RNNClassifier(WORDS, encoder, fc1_dim=7).eval()
    meanings = network.encode(premise, hypothesis)
    for part, meaning in zip((premise, hypothesis), meanings):
        close(meaning, encoder(network.embed(part.words), part.lengths))
    close(network((premise, hypothesis)), network.classifier(meanings))
    assert network((premise, hypothesis)).shape == (3, 3)
    # An embedding, one encoder, two batch normalisations and two linear layers: nothing twice.
    assert sum(p.numel() for p in network.parameters()) == (
        WORDS * EMBED
        + 2 * 3 * (HIDDEN * EMBED + HIDDEN * HIDDEN + 2 * HIDDEN)
        + 2 * 24
        + (24 * 7 + 7)
        + 2 * 7
        + (7 * 3 + 3)
    )
    with pytest.raises(TypeError):
        network.classifier(*meanings)  # as on the page: nn.Sequential takes one input


def test_attention_is_that_of_the_formula():
    torch.manual_seed(1)
    attention = Attention(HIDDEN).eval()
    premise, hypothesis = torch.randn(2, 4, HIDDEN), torch.randn(2, 5, HIDDEN)
    lengths = (4, 2), (3, 5)
    inside = [torch.arange(part.shape[1]) < torch.tensor(n)[:, None] for part, n in zip((premise, hypothesis), lengths)]
    to_hypothesis, to_premise = attention.weights(premise, hypothesis, *inside)
    merged_premise, merged_hypothesis = attention(premise, hypothesis, *inside)
    for row, (p_words, h_words) in enumerate(zip(*lengths)):
        p, h = premise[row, :p_words], hypothesis[row, :h_words]
        exponents = (p @ h.T).exp()
        close(to_hypothesis[row, :p_words, :h_words], exponents / exponents.sum(1, keepdim=True))
        close(to_premise[row, :h_words, :p_words], (exponents / exponents.sum(0)).T)
        assert (to_hypothesis[row, :, h_words:] == 0).all() and (to_premise[row, :, p_words:] == 0).all()
        for words, other, weights, merged in (
            (p, h, to_hypothesis[row, :p_words, :h_words], merged_premise[row]),
            (h, p, to_premise[row, :h_words, :p_words], merged_hypothesis[row]),
        ):
            found = torch.stack([sum(weight * word for weight, word in zip(line, other)) for line in weights])
            compared = attention.compare(torch.cat([words, found, words - found, words * found], 1))
            close(merged, compared.max(0).values)


@pytest.mark.parametrize("cell, layers, bidirectional", KINDS)
def test_the_gates_drawn_are_those_of_torchs_layers(cell, layers, bidirectional):
    encoder = Encoder(EMBED, HIDDEN, cell, layers, bidirectional)
    sentence = torch.randn(6, EMBED)
    readers = rnn_pictures.all_gates(cell, encoder.rnn.state_dict(), sentence)
    assert len(readers) == layers * (1 + bidirectional)
    assert all(title.endswith(("forwards", "backwards")) == bidirectional for title in readers)
    outputs, _ = encoder.read(sentence[None], torch.tensor([6]))
    last = [*readers.values()][-1 - bidirectional :]
    close(torch.cat([values["hidden state"] for values in last], 1), outputs[0].detach())
    for values in readers.values():
        for name, value in values.items():
            assert value.shape == (6, HIDDEN)
            assert "gate" not in name or ((value > 0) & (value < 1)).all()
        if cell == "lstm":
            close(values["output gate"] * values["cell state"].tanh(), values["hidden state"])


@pytest.mark.parametrize("cell", LAYERS)
def test_the_gates_of_a_cell_are_those_of_the_layer(cell):
    encoder, sentence = CellEncoder(EMBED, HIDDEN, cell), torch.randn(6, EMBED)
    (values,) = rnn_pictures.all_gates(cell, encoder.rnn.state_dict(), sentence).values()
    close(values["hidden state"][-1], encoder(sentence[None], torch.tensor([6]))[0].detach())


def test_an_open_update_gate_keeps_the_old_state():
    """What the picture says of z, which the book's figure draws the other way round."""
    cell = nn.GRUCell(EMBED, HIDDEN)
    with torch.no_grad():
        cell.bias_ih[HIDDEN : 2 * HIDDEN] = 50.0  # z is 1
    h = torch.randn(2, HIDDEN)
    close(cell(torch.randn(2, EMBED), h), h)
    assert rnn_pictures.ENDS["update gate"] == "0 takes the new state, 1 keeps the old"


def test_attention_is_drawn_of_words_in_another_order():
    premise = ["a", "man", "sees", "a", "dog", "and", "a", "cat"]
    assert rnn_pictures.out_of_order(premise, ["a", "man", "sees", "the", "cat"]) == 0
    assert rnn_pictures.out_of_order(premise, ["the", "dog", "sees", "a", "man"]) == 2


def test_words_in_the_plane_are_their_principal_components():
    vectors = torch.randn(50, 2) @ torch.tensor([[3.0, 0, 0, 4], [0, 1.0, 0, 0]]) + 7
    places, shares = rnn_pictures.in_the_plane(vectors)
    close(places.T @ places, torch.diag(places.square().sum(0)))  # uncorrelated
    assert shares[0] > shares[1] > 0 and shares.sum() == pytest.approx(1)
    close(torch.pdist(places), torch.pdist(vectors))


def test_the_first_words_gradient_comes_through_every_step():
    """Backpropagation through time: one factor, the weights of the hidden state, for each step after the word."""
    encoder = SimpleEncoder(EMBED, HIDDEN)
    embedded = torch.rand(1, 5, EMBED, requires_grad=True)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.abs_()  # every unit is above zero, where a ReLU lets gradients through
    encoder(embedded, torch.tensor([5])).sum().backward()
    step = encoder.rnn.input2hidden.weight
    gradient = torch.ones(HIDDEN)
    for _ in range(4):
        gradient = gradient @ step[:, EMBED:]
    close(embedded.grad[0, 0], gradient @ step[:, :EMBED])


def test_the_flags_build_what_they_say():
    flags = "--embed-dim 6 --hidden-size 5 --dropout 0.25 --layers 2 --bidirectional --cell gru --attention"
    network = build(read_flags(flags.split()), range(WORDS))
    assert isinstance(network, AttentionClassifier) and isinstance(network.encoder.rnn, nn.GRU)
    assert network.embed.weight.shape == (WORDS, 6) and network.encoder.size == 10
    assert (network.encoder.rnn.num_layers, network.encoder.rnn.dropout) == (2, 0.25)
    assert [module.p for module in network.modules() if isinstance(module, nn.Dropout)] == [0.25] * 3
    network = build(read_flags(["--implementation", "cell", "--cell", "gru"]), range(WORDS))
    assert isinstance(network.encoder.rnn, nn.GRUCell)


def test_random_word_vectors_take_longer_steps():
    """A first step of Adam is as long as the rate, for every weight that has a gradient."""
    flags = "--embed-dim 6 --hidden-size 5 --lr 0.01 --word-rate 7 --weight-decay 0 --device cpu"
    args = read_flags(flags.split())
    network = build(args, range(WORDS))
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    criterion, opt = set_up(args, network, range(WORDS))
    criterion(network((sentences(4, 3), sentences(2, 5))), torch.tensor([0, 2])).backward()
    opt.step()
    for name, weight in network.named_parameters():
        moved = (weight - before[name]).abs()[weight.grad.abs() > 1e-5]
        assert len(moved) and torch.allclose(moved, torch.tensor(0.07 if name == "embed.weight" else 0.01), rtol=0.01)
    network.embed.weight.requires_grad_(False)
    _, opt = set_up(args, network, range(WORDS))
    assert all(weight is not network.embed.weight for group in opt.param_groups for weight in group["params"])


def test_what_the_pages_get_wrong_is_wrong():
    word, hidden = torch.randn(5, 1, EMBED), torch.zeros(5, HIDDEN)
    with pytest.raises(RuntimeError, match="same number of dimensions"):
        torch.cat((word, hidden), 1)  # 5.8: a word of split(1, dim=1) is 3-D
    with pytest.raises(IndexError):
        torch.cat([hidden, hidden], 2)  # 5.9
    for cell in (nn.LSTMCell(EMBED, HIDDEN), nn.GRUCell(EMBED, HIDDEN)):
        assert not hasattr(cell, "init_hidden")  # 5.12
        with pytest.raises(ValueError):
            cell(word)
    assert isinstance(nn.GRUCell(EMBED, HIDDEN)(word[:, 0], hidden), torch.Tensor)  # 5.12: one tensor, not a pair
    with pytest.raises(AttributeError):
        nn.GRU(EMBED, HIDDEN)(word, (hidden[None], hidden[None]))  # 5.13
    with pytest.raises(ValueError):
        nn.LSTM(EMBED, HIDDEN, num_layers=2, dropout=True)  # 5.13: a probability
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.LSTM(EMBED, HIDDEN, dropout=0.5)


def test_vectors_of_another_shape_are_refused_where_the_page_takes_them():
    embed = nn.Embedding(10, 5)
    embed.weight.data = torch.zeros(7, 3)  # 5.11
    assert embed(torch.tensor([6])).shape == (1, 3)
    embed = nn.Embedding(10, 5)
    with torch.no_grad():
        embed.weight.copy_(torch.full((1, 5), 2.0))  # no check either: it broadcasts
    assert (embed.weight == 2).all()
    for shape in ((7, 3), (1, 5), (5,)):
        with pytest.raises(RuntimeError, match="size mismatch"):
            embed.load_state_dict({"weight": torch.zeros(shape)})
