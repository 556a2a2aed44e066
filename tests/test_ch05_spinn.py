"""Listings 5.14 to 5.17: the page's modules, the batched twin, the program and its pictures."""

import functools
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from ch05_sequence import spinn, spinn_page
from ch05_sequence.loaders.snli import PAD, PADDING, REDUCE, SHIFT, Sentences, parse, together
from ch05_sequence.pictures import spinn as spinn_pictures
from ch05_sequence.spinn_fast.batched import BatchedSPINN, agrees_with_page
from ch05_sequence.spinn_fast.plan import plan
from ch05_sequence.spinn_page import SPINN, Reduce, Tracker, bundle, tree_lstm, unbundle
from common import cli
from common.errors import UserError
from tests.test_ch05_programs import write_pairs

SIZE = 6


def random_moves(length, longest, rng):
    moves, waiting, depth = [], length, 0
    while len(moves) < 2 * length - 1:
        shifts = waiting and (depth < 2 or rng.random() < 0.5)
        moves.append(SHIFT if shifts else REDUCE)
        waiting, depth = (waiting - 1, depth + 1) if shifts else (waiting, depth - 1)
    return moves + [PADDING] * (2 * longest - 1 - len(moves))


def batch_of(lengths, seed=0, size=SIZE, dtype=torch.float64):
    rng = random.Random(seed)
    moves = [random_moves(length, max(lengths), rng) for length in lengths]
    words = torch.randn(
        len(lengths), max(lengths), 2 * size, dtype=dtype, generator=torch.Generator().manual_seed(seed)
    )
    return words, torch.tensor(lengths), torch.tensor(moves)


def twins(tracker_size, predict, size=SIZE, dtype=torch.float64, tracking=True):
    torch.manual_seed(1)
    page, batched = (kind(size, tracker_size, predict, tracking).to(dtype) for kind in (SPINN, BatchedSPINN))
    batched.load_state_dict(page.state_dict())
    return page, batched


def outputs_and_gradients(network, words, lengths, transitions):
    words = words.clone().requires_grad_()
    encoding = network(words, lengths, transitions, every_node=True)
    outputs = [part for part in (encoding.sentence, encoding.nodes, encoding.scores) if part is not None]
    generator = torch.Generator().manual_seed(2)
    loss = sum((part * torch.randn(part.shape, dtype=part.dtype, generator=generator)).sum() for part in outputs)
    gradients = torch.autograd.grad(loss, [words, *network.parameters()], allow_unused=True)
    unused = [torch.zeros_like(part) for part in (words, *network.parameters())]
    return outputs, [zero if found is None else found for found, zero in zip(gradients, unused)]


# What the page claims


def test_tree_lstm_is_the_formula_of_the_page():
    c1, c2, gates = torch.randn(3, SIZE), torch.randn(3, SIZE), torch.randn(3, 5 * SIZE)
    h, c = tree_lstm(c1, c2, gates)
    a, i, f1, f2, o = (gates[:, n * SIZE : (n + 1) * SIZE] for n in range(5))
    expected = torch.tanh(a) * torch.sigmoid(i) + torch.sigmoid(f1) * c1 + torch.sigmoid(f2) * c2
    torch.testing.assert_close(c, expected)
    torch.testing.assert_close(h, torch.sigmoid(o) * torch.tanh(expected))


def test_bundle_and_unbundle_undo_each_other():
    rows = [torch.randn(1, 2 * SIZE) for _ in range(3)]
    h, c = bundle(iter(rows))
    assert torch.equal(h[1], rows[1][0, :SIZE]) and torch.equal(c[1], rows[1][0, SIZE:])
    assert all(map(torch.equal, unbundle((h, c)), rows))
    assert bundle([None, None]) is None


@pytest.mark.parametrize("tracker_size", [None, 4])
def test_reducing_a_batch_is_reducing_each_pair(tracker_size):
    reduce = Reduce(SIZE, tracker_size)
    left, right = ([torch.randn(1, 2 * SIZE) for _ in range(4)] for _ in range(2))
    tracking = [torch.randn(1, 8) for _ in range(4)] if tracker_size else None
    together = reduce(left, right, tracking)
    assert len(together) == 4 and together[0].shape == (1, 2 * SIZE)
    for number, row in enumerate(together):
        told = tracking and tracking[number : number + 1]
        torch.testing.assert_close(row, reduce(left[number : number + 1], right[number : number + 1], told)[0])


def test_reduce_with_a_tracker_may_go_without_what_it_has_seen():
    reduce = Reduce(SIZE, 4)
    row = [torch.randn(1, 2 * SIZE)]
    silent = reduce(row, row, [torch.zeros(1, 8)])
    torch.testing.assert_close(reduce(row, row)[0], silent[0])  # the page's fails here


@pytest.mark.parametrize("predict", [False, True])
def test_tracker_reads_three_nodes_as_an_lstm_cell(predict):
    tracker = Tracker(SIZE, 4, predict)
    assert tracker.rnn.input_size == 3 * SIZE
    buffers, stacks = ([[torch.randn(1, 2 * SIZE) for _ in range(3)] for _ in range(2)] for _ in range(2))
    with pytest.raises(AttributeError):
        tracker(buffers, stacks)
    tracker.reset_state()
    rows, scores = tracker(buffers, stacks)
    x = torch.cat([torch.cat([buf[-1], st[-1], st[-2]])[None, :, :SIZE] for buf, st in zip(buffers, stacks)]).flatten(1)
    h, c = tracker.rnn(x)
    torch.testing.assert_close(torch.cat(rows), torch.cat((h, c), 1))
    if predict:
        assert scores.shape == (2, 4)
        torch.testing.assert_close(scores, tracker.transition(h))
    else:
        assert scores is None


def test_a_sentence_of_n_words_takes_2n_minus_1_moves():
    tokens, moves = parse("( ( A dog ) ( runs ( very fast ) ) )")
    assert len(tokens) == 5 and len(moves) == 9
    assert moves.count(SHIFT) == 5 and moves.count(REDUCE) == 4
    assert (REDUCE, SHIFT) == (2, 3)


@pytest.mark.parametrize("kind", [SPINN, BatchedSPINN])
def test_two_parses_of_the_same_words_by_hand(kind):
    spinn_ = kind(SIZE)
    words = torch.randn(1, 3, 2 * SIZE).expand(2, 3, -1)
    moves = [parse("( ( a b ) c )")[1], parse("( a ( b c ) )")[1]]
    found = spinn_(words, torch.tensor([3, 3]), torch.tensor(moves)).sentence
    a, b, c = ([word[None]] for word in words[0])
    reduce = spinn_.reduce
    expected = [reduce(reduce(a, b), c)[0], reduce(a, reduce(b, c))[0]]
    assert found.shape == (2, SIZE)
    torch.testing.assert_close(found, torch.cat(expected)[:, :SIZE])
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("kind", [SPINN, BatchedSPINN])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda words, moves: (words[..., 1:], moves), "expected 12, an h and a c"),
        (lambda words, moves: (words, None), "no tracker that predicts"),
        (lambda words, moves: (words, moves.flip(1)), "do not build one tree"),
        (lambda words, moves: (words, moves[:, :-1]), r"shape \(2, 8\); expected \(2, 9\)"),
    ],
)
def test_what_makes_no_tree_is_refused(kind, spoil, said):
    words, lengths, moves = batch_of([5, 5], dtype=torch.float32)
    words, moves = spoil(words, moves)
    with pytest.raises(ValueError, match=said):
        kind(SIZE)(words, lengths, moves)
    with pytest.raises(ValueError, match="needs a tracker"):
        kind(SIZE, None, predict=True)


# The batched one is the page's


@pytest.mark.parametrize(
    ("tracker_size", "predict", "tracking"), [(None, False, True), (5, False, True), (5, True, True), (5, True, False)]
)
@pytest.mark.parametrize("lengths", [[1], [1, 1, 1], [9], [2, 1], [3, 12, 1, 7, 7, 2, 20, 5]])
def test_batched_equals_page_in_values_and_gradients(tracker_size, predict, tracking, lengths):
    page, batched = twins(tracker_size, predict, tracking=tracking)
    for seed in range(2):
        batch = batch_of(lengths, seed)
        expected, found = (outputs_and_gradients(network, *batch) for network in (page, batched))
        assert len(found[0]) == 3 if predict else 2
        for mine, theirs in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("tracker_size", [None, 16])
def test_batched_equals_page_in_float32(tracker_size):
    page, batched = twins(tracker_size, tracker_size is not None, 40, torch.float32)
    batch = batch_of([4, 9, 22, 1, 13], 5, 40, torch.float32)
    expected, found = (outputs_and_gradients(network, *batch) for network in (page, batched))
    for mine, theirs in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("tracker_size", [None, 2])
def test_gradients_are_those_of_finite_differences(tracker_size):
    network = BatchedSPINN(2, tracker_size).double()
    words, lengths, moves = batch_of([3, 1, 2], size=2)
    parameters = [parameter.detach().clone().requires_grad_() for parameter in network.parameters()]
    names = [name for name, _ in network.named_parameters()]

    def sentence(words, *parameters):
        return torch.func.functional_call(network, dict(zip(names, parameters)), (words, lengths, moves)).sentence

    assert torch.autograd.gradcheck(sentence, (words.requires_grad_(), *parameters))


def test_a_second_backward_pass_gives_the_same():
    network = BatchedSPINN(SIZE, 4).double()
    words, lengths, moves = batch_of([5, 3])
    words.requires_grad_()
    loss = network(words, lengths, moves).sentence.square().sum()
    first, second = (torch.autograd.grad(loss, words, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", [SPINN, BatchedSPINN])
@pytest.mark.parametrize("tracker_size", [None, 4])
def test_an_answer_does_not_depend_on_the_batch(kind, tracker_size):
    network = kind(SIZE, tracker_size, tracker_size is not None).double()
    words, lengths, moves = batch_of([2, 7, 1, 15])
    words[torch.arange(15) >= lengths[:, None]] = torch.nan  # what lies behind the end is not read
    choices = [moves] if tracker_size is None else [moves, None]
    for transitions in choices:
        together = network(words, lengths, transitions).sentence
        assert together.isfinite().all()
        for number, n in enumerate(lengths.tolist()):
            own = None if transitions is None else moves[number : number + 1, : 2 * n - 1]
            alone = network(words[number : number + 1, :n], lengths[number : number + 1], own).sentence
            torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tracked", [False, True])
def test_a_plan_runs_the_parser_on_rows(tracked):
    _, lengths, moves = batch_of([1, 4, 11, 4])
    texts = [[f"{row}.{place}" for place in range(length)] for row, length in enumerate(lengths.tolist())]
    gold = [[move for move in row if move != PADDING] for row in moves.tolist()]
    states = [spinn_pictures.shift_reduce(*sentence) for sentence in zip(texts, gold)]
    planned = plan(lengths, moves, "cpu", tracked)
    pools = spinn_pictures.pools_of(texts, gold, tracked)
    last, _ = pools[-1]
    assert last[0] == "0" and len(last) == 1 + len(texts)
    assert [last[row] for row in planned.roots] == [spinn_pictures.bracketed(of[-1][1][0]) for of in states]
    table, words = ["0"], ["0"]
    for (nodes, _), made, coming in zip(pools[1:], planned.made, planned.coming):
        table += nodes[len(nodes) - made - coming :]
        words += nodes[len(nodes) - coming :]
    assert len(table) == 1 + (2 * lengths - 1).sum() and len(words) == 1 + lengths.sum()
    for row, of_sentence in zip(planned.nodes.tolist(), states):
        expected = [spinn_pictures.bracketed(stack[-1]) for _, stack, _ in of_sentence[1:]]
        assert [table[node] for node in row] == expected + ["0"] * (len(row) - len(expected))
    # Before each move: what lies on top of the buffer, on top of the stack and second there, by the parser.
    reads = iter(zip(planned.next_words.tolist(), planned.stacks.tolist()))
    for step, active in enumerate(planned.active.tolist()):
        for sentence in planned.order[:active].tolist():
            _, stack, buffer = states[sentence][step]
            next_word, (top, second) = next(reads)
            assert words[next_word] == (buffer[0] if buffer else "0")
            lying = pools[step][0] if tracked else table
            below = ["0", "0", *map(spinn_pictures.bracketed, stack)]
            assert [lying[top], lying[second]] == [below[-1], below[-2]]
    assert next(reads, None) is None


# The parser of its own


@pytest.mark.parametrize("tracking", [True, False])
@pytest.mark.parametrize("seed", range(10))
def test_untrained_trackers_make_legal_moves_and_the_twin_follows_them(seed, tracking):
    torch.manual_seed(seed)
    page = SPINN(SIZE, 5, predict=True, tracking=tracking).double()
    batched = BatchedSPINN(SIZE, 5, predict=True, tracking=tracking).double()
    batched.load_state_dict(page.state_dict())
    words, lengths, _ = batch_of([1, 2, 6, 13], seed)
    expected = page(words, lengths)
    page.check(words, lengths, expected.transitions)  # raises unless they build a tree over each sentence
    found = batched(words, lengths, expected.transitions)
    torch.testing.assert_close(found.sentence, expected.sentence, rtol=0, atol=1e-10)
    torch.testing.assert_close(found.scores, expected.scores, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", [SPINN, BatchedSPINN])
def test_a_tracker_that_only_predicts_leaves_the_nodes_alone(kind):
    torch.manual_seed(0)
    network, (words, lengths, moves) = kind(SIZE, 8, True, tracking=False).double(), batch_of([3, 6, 5])
    alone = kind(SIZE).double()
    alone.load_state_dict({name: weight for name, weight in network.state_dict().items() if "tracker" not in name})
    words.requires_grad_()
    found = network(words, lengths, moves)
    assert torch.equal(found.sentence, alone(words, lengths, moves).sentence)
    of_words, of_tracker = torch.autograd.grad(
        spinn.move_loss(found.scores, moves), [words, network.tracker.rnn.weight_ih], allow_unused=True
    )
    assert of_words is None or not of_words.any()
    assert of_tracker.any()


@pytest.mark.parametrize("tracking", [True, False])
def test_the_tracker_learns_the_moves(tracking):
    torch.manual_seed(0)
    network = BatchedSPINN(SIZE, 8, predict=True, tracking=tracking)
    words, lengths, moves = batch_of([3, 6, 5, 7], dtype=torch.float32)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    assert not torch.equal(network(words, lengths).transitions, moves)
    for _ in range(60):
        optimizer.zero_grad()
        spinn.move_loss(network(words, lengths, moves).scores, moves).backward()
        optimizer.step()
    assert torch.equal(network(words, lengths).transitions, moves)


def test_the_loss_weighs_the_trackers_moves():
    logits, labels = torch.randn(3, 3), torch.tensor([0, 1, 2])
    scores, moves = torch.randn(6, 5, 4), torch.tensor([[3, 3, 2, 1, 1]] * 6)
    plain = F.cross_entropy(logits, labels)
    target = {"labels": labels, "transitions": moves}
    moved = F.cross_entropy(scores[:, :3].flatten(0, 1), moves[:, :3].flatten())
    loss = functools.partial(spinn.pair_loss, torch.nn.CrossEntropyLoss(), 0.3)
    torch.testing.assert_close(loss({"logits": logits, "move_scores": scores}, target), plain + 0.3 * moved)
    torch.testing.assert_close(loss({"logits": logits, "moves": moves}, target), plain)
    predicted = moves.clone()
    predicted[0, 2] = SHIFT
    assert spinn.share_right({"moves": predicted}, target).item() == pytest.approx(17 / 18)


# Whose code runs


def always_shift_first(scores, buffers, stacks):
    return [SHIFT if len(buf) > 1 else REDUCE if len(stack) > 3 else PADDING for buf, stack in zip(buffers, stacks)]


def test_the_page_and_its_twin_agree_until_a_line_is_changed(monkeypatch, capsys):
    assert agrees_with_page()
    state = torch.get_rng_state()
    flags = ["--tracker-dim", "3", "--hidden-size", "4", "--device", "cpu"]
    assert type(spinn.build_encoder(spinn.read_flags(flags)).spinn) is BatchedSPINN
    assert "batched twin runs, whose answers are those of spinn_page.py" in capsys.readouterr().out
    assert not torch.equal(state, torch.get_rng_state())  # the weights are drawn, and by the seed alone

    def changed(self, left_in, right_in, tracking=None):
        return Reduce.original(self, right_in, left_in, tracking)

    with monkeypatch.context() as patch:
        patch.setattr(spinn_page, "tree_lstm", lambda c1, c2, gates: tree_lstm(c2, c1, gates))
        assert not agrees_with_page()
    monkeypatch.setattr(Reduce, "original", Reduce.forward, raising=False)
    monkeypatch.setattr(Reduce, "forward", changed)
    assert not agrees_with_page()
    assert type(spinn.build_encoder(spinn.read_flags(flags)).spinn) is SPINN
    assert "spinn_page.py runs, whose answers are no longer its batched twin's" in capsys.readouterr().out
    spinn.build_encoder(spinn.read_flags([*flags, "--implementation", "batched"]))
    assert "twin runs, whatever is changed in spinn_page.py" in capsys.readouterr().out


def test_the_twin_chooses_its_moves_by_the_pages_code(monkeypatch):
    monkeypatch.setattr(spinn_page, "choose", always_shift_first)
    moves = BatchedSPINN(4, 3, predict=True)(torch.randn(2, 3, 8), torch.tensor([3, 2])).transitions
    assert moves.tolist() == [[SHIFT, SHIFT, SHIFT, REDUCE, REDUCE], [SHIFT, SHIFT, REDUCE, PADDING, PADDING]]


@pytest.mark.parametrize(
    ("line", "other", "tracking"),
    [
        ("x = torch.cat((buf, stack1, stack2), 1)", "x = torch.cat((buf, stack1, stack1), 1)", True),
        ("x = torch.cat((buf, stack1, stack2), 1)", "x = torch.cat((buf, stack1, stack1), 1)", False),
        ("x = x.detach() if self.aside else x", "x = x", False),
    ],
)
def test_a_line_changed_in_the_tracker_is_noticed(line, other, tracking, monkeypatch):
    assert agrees_with_page(tracking=tracking) and agrees_with_page(predict=False)
    text = Path(spinn_page.__file__).read_text()
    assert text.count(line) == 1
    changed = {}
    exec(text.replace(line, other), changed)
    monkeypatch.setattr(spinn_page, "Tracker", changed["Tracker"])
    assert not agrees_with_page(tracking=tracking)
    assert agrees_with_page(predict=False)  # where nothing tracks, nothing has changed


def test_a_line_changed_on_the_page_changes_the_run(pairs, tmp_path):
    """As a reader does it: in the file, and then the command."""
    line, other = "lstm_in += self.right(right[0])", "lstm_in -= self.right(right[0])"
    root = Path(__file__).parents[1]
    for name in ("ch05_sequence", "common", "data"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("samples", "cache", "__pycache__"))
    page = tmp_path / "ch05_sequence" / "spinn_page.py"
    text = page.read_text()
    assert text.count(line) == 1
    page.write_text(text.replace(line, other))
    command = f"{sys.executable} ch05_sequence/spinn.py --data {pairs} --epochs 1 --device cpu"
    small = "--embed-dim 4 --hidden-size 4 --tracker-dim 3 --batch-size 60 --out out"
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [*command.split(), *small.split()], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert "spinn_page.py runs, whose answers are no longer its batched twin's" in ran.stdout


# The program


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return write_pairs(tmp_path_factory.mktemp("pairs") / "snli")


@pytest.fixture
def flags(pairs, tmp_path):
    small = dict(embed_dim=16, hidden_size=16, tracker_dim=8, batch_size=30, dropout=0, device="cpu")
    small = [part for name, value in small.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return ["--data", str(pairs), "--out", str(tmp_path / "run"), *small]


def run(*flags):
    spinn.main([*map(str, flags)])
    cli.at_end.close()


def test_program_learns_parses_and_draws(flags, tmp_path, capsys):
    run(*flags, "--epochs", 12, "--lr", 0.02)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["accuracy"] > 0.9
    assert summary["transition_accuracy"] > 0.99
    for picture in ("steps.png", "plan.png", "words.png", "confusion.png", "curves.png"):
        assert (tmp_path / "run" / picture).stat().st_size > 5000
    out = ["--out", tmp_path / "run", "--device", "cpu"]

    def answer(*given):
        capsys.readouterr()
        run(*out, "--predict", *given)
        *told, line = capsys.readouterr().out.splitlines()
        return {part.split()[0]: float(part.split()[1]) for part in line.split(", ")}, "\n".join(told)

    found, _ = answer("a man sees a dog", "a dog sees a man")
    assert max(found, key=found.get) == "contradiction" and sum(found.values()) == pytest.approx(1, abs=0.002)
    # Brackets, with blanks or without: followed where that was asked for, and else a line says that they are not.
    for trees in (
        ["( ( a man ) ( sees ( a dog ) ) )", "( ( a dog ) ( sees ( a man ) ) )"],
        ["((a man) (sees (a dog)))", "((a dog) (sees (a man)))"],
    ):
        followed, told = answer(*trees, "--transitions", "gold")
        assert followed == pytest.approx(found, abs=0.002) and "not followed" not in told
        own, told = answer(*trees, "--implementation", "page")
        assert own == pytest.approx(found, abs=0.002)
        assert "the brackets are not followed: this network reads the words alone, along moves of its own" in told
    _, told = answer("((a man) (sees (a zebra)))", "((a dog) yawns)", "--transitions", "gold")
    assert "unknown words, all read as one and the same: zebra, yawns" in told
    for wrong, said in (
        (["((a man) (sees (a dog)))", "a dog", "--transitions", "gold"], "'a dog': no parse"),
        (["( a man", "a dog"], "unbalanced"),
        (["(a man sleeps)", "a dog"], "not two children"),
        (["a man"], "pairs"),
        (["a man", " "], "' ': an empty sentence"),
    ):
        with pytest.raises(UserError, match=said):
            run(*out, "--predict", *wrong)


def test_implementations_train_alike(flags, tmp_path):
    figures = {}
    for kind in ("page", "batched"):
        out = tmp_path / kind
        run(*flags, "--epochs", 1, "--implementation", kind, "--out", out)
        figures[kind] = json.loads((out / "metrics.jsonl").read_text())
    for name in ("loss", "valid_loss", "accuracy", "transition_accuracy"):
        assert figures["page"][name] == pytest.approx(figures["batched"][name], abs=1e-4)


def test_no_tracker_no_prediction(flags, capsys):
    assert spinn.read_flags([*flags, "--tracker-dim", "0"]).transitions == "gold"
    with pytest.raises(SystemExit) as refusal:
        spinn.read_flags([*flags, "--tracker-dim", "0", "--transitions", "predicted"])
    assert refusal.value.code == 2
    assert "needs a tracker" in capsys.readouterr().err


def test_sentences_without_parse_are_refused_with_file_and_line(flags, tmp_path):
    plain = tmp_path / "plain.jsonl"
    lines = [{"gold_label": "neutral", "sentence1": f"man {n}", "sentence2": "a dog"} for n in range(40)]
    plain.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(UserError, match=r"plain.jsonl, line 1: .*parse"):
        run(*flags, "--data", plain)


def test_sentences_together_are_padded_words_and_moves():
    def one(tree):
        words, moves = parse(tree)
        return Sentences(torch.arange(5, 5 + len(words))[None], torch.tensor([len(words)]), torch.tensor([moves]))

    both = together(one("( a b )"), one("( ( a b ) c )"))
    assert both.words.tolist() == [[5, 6, PAD], [5, 6, 7]] and both.lengths.tolist() == [2, 3]
    assert both.transitions.tolist() == [[3, 3, 2, 1, 1], [3, 3, 2, 3, 2]]
    plain = one("( a b )")._replace(transitions=None)
    assert together(plain, one("( a b )")).transitions is None


def test_figure_5_10_shows_the_states_of_the_parser():
    words, moves = parse("( ( a dog ) runs )")
    states = spinn_pictures.shift_reduce(words, [*moves, PADDING])
    assert [move for move, _, _ in states] == ["start", "shift", "shift", "reduce", "shift", "reduce"]
    assert states[3] == ("reduce", [("a", "dog")], ["runs"])
    assert spinn_pictures.bracketed(states[-1][1][0]) == "((a dog) runs)"
    assert spinn_pictures.spans(states[-1][1][0]) == {(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)}


def test_the_first_wrong_parse_is_printed_beside_that_of_the_data():
    trees = "( ( a dog ) runs )", "( ( a dog ) ( runs fast ) )", "( a b )"
    texts, gold = zip(*map(parse, trees))
    own = [gold[0], parse("( ( ( a dog ) runs ) fast )")[1], gold[2]]
    data, tracker = spinn_pictures.compare(texts, own, gold).splitlines()
    assert data.endswith("  ((a dog) (runs fast))")
    assert tracker.endswith("  (((a dog) runs) fast): 2 of 3 nodes right")
    assert spinn_pictures.compare(texts, gold, gold).endswith("  (a b): 1 of 1 nodes right")
