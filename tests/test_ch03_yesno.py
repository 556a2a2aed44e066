"""The recogniser of yes and no: its loss against all alignments, its reading, and the program as a reader runs it."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from ch03_workflow import yesno
from ch03_workflow.loaders.audio import load, save
from ch03_workflow.yesno import (
    Recordings,
    YesNoNet,
    add_noises,
    collapse,
    collate,
    ctc_loss,
    features,
    probabilities,
    words_right,
)
from common.cli import UserError
from data.spoken_tones import make_spoken_tones

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "yesno"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_spoken_tones(tmp_path_factory.mktemp("sample") / "tones", recordings=30)


@pytest.fixture(scope="module")
def trained(sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    yesno.main(["--data", str(sample), "--epochs", "15", "--batch-size", "4", "--device", "cpu", "--out", str(out)])
    return out


def run(sample, out, *flags):
    yesno.main(["--data", str(sample), "--out", str(out), "--device", "cpu", *map(str, flags)])


def test_the_loss_is_the_sum_over_every_way_to_say_the_words():
    log_probabilities = torch.randn(2, 3, 6, dtype=torch.float64).log_softmax(1).requires_grad_()
    labels = torch.tensor([[1, 0], [1, 1]])
    expected = 0
    for each, words in zip(log_probabilities, labels.tolist()):
        ways = [way for way in itertools.product(range(3), repeat=6) if collapse(torch.tensor(way)) == words]
        logs = torch.stack([sum(each[number, frame] for frame, number in enumerate(way)) for way in ways])
        expected = expected - logs.logsumexp(0) / 2 / 2  # a word, and the mean over the batch
    found = ctc_loss(log_probabilities, labels)
    assert torch.allclose(found, expected, rtol=1e-10)
    ours, theirs = (torch.autograd.grad(loss, log_probabilities)[0] for loss in (found, expected))
    # torch's gradient is that of the scores before the softmax: equal once both are taken back through it.
    ours, theirs = (each - log_probabilities.exp() * each.sum(1, keepdim=True) for each in (ours, theirs))
    assert torch.allclose(ours, theirs, atol=1e-10)


def test_reading_and_scoring():
    assert collapse(torch.tensor([0, 0, 2, 2, 0, 2, 1, 1, 0])) == [1, 1, 0]
    assert collapse(torch.tensor([0, 0])) == []
    assert [words_right(heard, [0, 1, 1]) for heard in ([0, 1, 1], [0, 1], [1, 1, 1], [0, 1, 1, 1], [])] == [
        3,
        2,
        2,
        2,
        0,
    ]
    assert words_right([1] * 9, [0]) == 0


def test_features_do_not_hear_how_loud_a_recording_is(sample):
    waveform = load(next((sample / "waves_yesno").iterdir()))[0][0]
    heard = features(waveform)
    assert heard.shape == (40, len(waveform) // 80 + 1)
    assert torch.allclose(features(waveform / 4), heard, atol=1e-3)
    # A tenth of the frames of each band lies at or below its background, which is zero.
    assert torch.allclose((heard <= 1e-6).float().mean(1), torch.full((40,), 0.1), atol=0.01)
    # Doubling the amplitude of a fifth of a second adds 6 dB there, in units of 20 dB.
    louder = waveform.clone()
    louder[20000:21600] *= 2
    gain = (features(louder) - heard)[:, 253:267].median()
    assert gain == pytest.approx(20 * math.log10(2) / 20, abs=0.05)


def test_the_network_starts_with_words_where_it_is_loud():
    torch.manual_seed(0)
    loud = torch.zeros(1, 40, 80)
    loud[:, :, 32:48] = 1.2
    classes = YesNoNet().eval()(loud).argmax(1)[0]
    assert not classes[:7].any() and not classes[13:].any() and classes[9:11].all()


def test_padding_with_silence_changes_nothing_that_is_heard(sample, trained):
    net = YesNoNet()
    net.load_state_dict(torch.load(trained / "best.pt")["model"])
    dataset = Recordings(sample, "test", 0)
    batch, labels = collate([dataset[number] for number in range(len(dataset))])
    assert labels.tolist() == [each.tolist() for each in dataset.labels]
    with torch.inference_mode():
        together = net.eval()(batch).exp()
    for row, each in zip(together, dataset.features):
        alone = probabilities(net, each)
        # Within reach of the end the padded row sees activations where the other sees none.
        assert torch.allclose(row[:, : alone.shape[1] - 6], alone[:, :-6], atol=1e-5)
        assert collapse(row.argmax(0)) == collapse(alone.argmax(0))


def test_noises_only_add_and_follow_the_seed():
    silence = torch.zeros(3, 40, 500)
    torch.manual_seed(0)
    first = add_noises(silence)
    torch.manual_seed(0)
    assert torch.equal(add_noises(silence), first) and not torch.equal(add_noises(silence), first)
    assert 0.5 < first.amax() <= 1.5 and first.amin() >= 0
    assert 0.01 < (first > 0.3).float().mean() < 0.3  # patches, most of the recording is left as it was
    assert torch.equal(add_noises(silence + 2), silence + 2)


def test_the_split_is_drawn_by_the_seed(sample):
    train, test, other = (
        {path.name for path in Recordings(sample, split, seed).paths}
        for split, seed in (("train", 0), ("test", 0), ("test", 1))
    )
    assert (len(train), len(test)) == (24, 6) and not train & test and test != other


def test_it_learns_to_read_what_it_has_not_heard(trained):
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["words"] == 48 and summary["accuracy"] > 0.9 and summary["loss"] < 0.5
    assert {path.name for path in trained.iterdir()} >= {"answers.png", "curves.png", "best.pt", "metrics.jsonl"}
    # The last weights are kept, whatever the scores were.
    best, last = (torch.load(trained / name, weights_only=True) for name in ("best.pt", "last.pt"))
    assert all(torch.equal(tensor, last["model"][name]) for name, tensor in best["model"].items())


def test_evaluate_scores_what_training_scored_and_refuses_another_seed(trained, sample, tmp_path, capsys):
    weights = ["--checkpoint", trained / "best.pt"]
    run(sample, tmp_path, "--evaluate", "test", *weights)
    accuracy = json.loads((trained / "summary.json").read_text())["accuracy"]
    assert json.loads((tmp_path / "evaluation_test.json").read_text()) == {"split": "test", "accuracy": accuracy}
    assert f"accuracy {accuracy:.4f} over the words of the 6 recordings of test" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(sample, tmp_path, "--evaluate", "test", "--seed", 1, *weights)
    assert "was trained with 0" in capsys.readouterr().err
    with pytest.raises(UserError, match="no split 'valid'; expected train, test"):
        run(sample, tmp_path, "--evaluate", "valid", *weights)


def test_predict_reads_a_recording_at_another_rate(trained, sample, tmp_path, capsys):
    dataset = Recordings(sample, "train", 0)
    waveform, _ = load(dataset.paths[0])
    save(
        tmp_path / "mine.wav", torch.nn.functional.interpolate(waveform[None], scale_factor=2, mode="linear")[0], 16000
    )
    run(sample, tmp_path, "--predict", tmp_path / "mine.wav", "--checkpoint", trained / "best.pt")
    told = capsys.readouterr()
    assert "mine.wav: resampled from 16,000 Hz to 8,000 Hz" in told.err
    assert f"mine.wav: {yesno.say(dataset.labels[0].tolist())}; wrote" in told.out
    assert (tmp_path / "mine_answers.png").stat().st_size > 10000


def test_each_recording_has_a_picture_of_its_own_whatever_its_name(trained, sample, tmp_path):
    waveform, rate = load(Recordings(sample, "train", 0).paths[0])
    recordings = [tmp_path / folder / name for folder in ("one", "other") for name in ("same.wav", "a$_$.wav")]
    for path in recordings:
        path.parent.mkdir(exist_ok=True)
        save(path, waveform, rate)
    run(sample, tmp_path / "out", "--predict", *recordings, "--checkpoint", trained / "best.pt")
    names = {path.name for path in (tmp_path / "out").glob("*_answers.png")}
    assert names == {f"{name}_answers.png" for name in ("same", "same_2", "a$_$", "a$_$_2")}


def test_bad_input_is_told(trained, sample, tmp_path):
    weights = ["--checkpoint", trained / "best.pt"]
    save(tmp_path / "stereo.wav", torch.zeros(2, 8000), 8000)
    save(tmp_path / "short.wav", torch.zeros(1, 700), 8000)
    save(tmp_path / "cut.wav", torch.zeros(1, 8000), 8000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:5000])
    expected = {"stereo": "expected mono", "short": "too short for a word", "cut": "cut short", "none": "no such file"}
    for name, message in expected.items():
        with pytest.raises(UserError, match=rf"{name}\.wav: .*{message}"):
            run(sample, tmp_path, "--predict", tmp_path / f"{name}.wav", *weights)
    (tmp_path / "waves_yesno").mkdir()
    with pytest.raises(UserError, match="no WAV file in it"):
        run(tmp_path, tmp_path / "out")
    for number in range(4):
        save(tmp_path / "waves_yesno" / f"0_0_0_0_0_0_{number // 2}_{number % 2}.wav", torch.rand(1, 8000), 8000)
    with pytest.raises(UserError, match="4 recordings; a fifth is held out, so expected at least 5"):
        run(tmp_path, tmp_path / "out")
    save(tmp_path / "waves_yesno" / "hello.wav", torch.rand(1, 8000), 8000)
    with pytest.raises(UserError, match=r"hello\.wav: a name without eight labels"):
        run(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match=r"best\.pt: no such checkpoint"):
        run(sample, tmp_path / "out", "--evaluate", "test")


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data")
def test_the_real_recordings_are_divided_and_heard():
    train, test = (Recordings(REAL, split, 0) for split in yesno.SPLITS)
    assert (len(train), len(test)) == (48, 12)
    # Speech stands some 20 dB above the background in all of them.
    assert all(1 < each.mean(0).quantile(0.9) < 2 for each in [*train.features, *test.features])
