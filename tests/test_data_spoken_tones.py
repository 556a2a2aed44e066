"""The embedded recordings of yes and no: reproducible, in YESNO's layout, and words that can be told apart."""

import numpy as np
import soundfile
import torchaudio

from data.spoken_tones import SAMPLE_RATE, make_spoken_tones, say


def recordings(root):
    return {path.name: path.read_bytes() for path in (root / "waves_yesno").iterdir()}


def test_one_seed_gives_one_sample_and_another_seed_another(tmp_path):
    first, again, other = (
        recordings(make_spoken_tones(tmp_path / name, recordings=3, seed=seed))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again and len(first) == 3
    assert not set(first.values()) & set(other.values())


def test_layout_is_that_of_torchaudios_own_class(tmp_path):
    root = make_spoken_tones(tmp_path / "sample", recordings=4)
    assert len(torchaudio.datasets.YESNO(root)) == 4
    for path in (root / "waves_yesno").iterdir():
        about = soundfile.info(path)
        assert (about.samplerate, about.channels, about.subtype, about.format) == (8000, 1, "PCM_16", "WAV")
        assert 3 < about.duration < 9
        samples, _ = soundfile.read(path)
        assert 0.1 < np.abs(samples).max() < 0.99  # heard, and nothing cut off


def energy(word, low, high):
    power = np.abs(np.fft.rfft(word)) ** 2
    frequency = np.fft.rfftfreq(len(word), 1 / SAMPLE_RATE)
    return power[(frequency > low) & (frequency < high)].sum() / power.sum()


def test_yes_has_the_high_second_formant_of_an_e_and_no_has_not():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        yes, no = (say(rng, word, pitch=130, mouth=1.0, pace=1.0) for word in (1, 0))
        assert energy(yes, 1500, 2100) > 2 * energy(no, 1500, 2100)
        assert energy(no, 700, 1000) > 2 * energy(yes, 700, 1000)


def test_the_pitch_is_the_one_that_was_asked_for():
    # The strongest repetition of the waveform within a word lies at one period of the voice.
    word = say(np.random.default_rng(0), 0, pitch=125, mouth=1.0, pace=1.0)[800:1600]
    repetition = np.correlate(word, word, "full")[len(word) - 1 :]
    period = 40 + repetition[40:110].argmax()  # 73 to 200 Hz
    assert 105 < SAMPLE_RATE / period < 145
