"""Tones that sound a little like a man who says yes and no in Hebrew (ken, lo), from a seed: the sample of YESNO.

    python data/spoken_tones.py --out runs/spoken_tones

The layout is YESNO's own: `waves_yesno/0_1_0_1_0_1_1_1.wav`, 8 kHz, mono, 16 bits, eight words a recording, named after
the words, 1 for yes. A word is a voice, the sum of the harmonics of its pitch, whose strengths follow the resonances of
the mouth (formants) from sound to sound; a k is a short hiss before it. Voice, pace, loudness, pauses and noise vary.
"""

from pathlib import Path

import numpy as np
import soundfile

from data.sample_folder import main, make_sample

SAMPLE_RATE = 8000
VERSION = 1  # of the synthesis: raise it when the recordings change, and samples on disk are made again

# Sounds: the time at which one is reached (0 to 1, a share of the word), three formants in Hz, loudness. Formants of a
# man's vowels: Peterson and Barney, "Control methods used in a study of the vowels" (1952), table II.
KEN = [
    (0.00, 420, 2000, 2600, 0.5),
    (0.15, 530, 1840, 2480, 1.0),
    (0.55, 530, 1840, 2480, 0.9),
    (0.70, 270, 1150, 2300, 0.4),
    (1.00, 270, 1150, 2300, 0.2),
]
LO = [
    (0.00, 360, 1250, 2650, 0.3),
    (0.20, 360, 1250, 2650, 0.5),
    (0.35, 560, 900, 2450, 1.0),
    (0.70, 520, 860, 2400, 0.9),
    (1.00, 450, 820, 2350, 0.3),
]
BANDWIDTHS = (70, 100, 140)  # of the three formants, in Hz


def make_spoken_tones(root, recordings=60, seed=0) -> Path:
    """Makes the sample in the folder `root`, unless it is there already, and returns the folder.

    Args:
        root: the folder to make; the files lie in `waves_yesno`, as `torchaudio.datasets.YESNO(root)` wants them.
        recordings: how many to make, no two with the same eight words; at most 256.
        seed: another seed, other words and voices.

    Raises:
        FileExistsError: `root` holds something that is not a sample; it is left as it is.
    """

    def write(folder):
        (folder / "waves_yesno").mkdir()
        chosen = np.random.default_rng(seed).permutation(256)[:recordings].tolist()
        for number in chosen:
            words = [number >> place & 1 for place in range(8)]
            samples = speak(np.random.default_rng([seed, number]), words)
            path = folder / "waves_yesno" / ("_".join(map(str, words)) + ".wav")
            with path.open("wb") as file:  # soundfile cannot encode every name where the locale is C
                soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")

    parameters = {"sample": "spoken tones", "version": VERSION, "recordings": recordings, "seed": seed}
    return make_sample(root, parameters, write)


def speak(rng, words):
    """A recording of words, 1 for yes and 0 for no, by a voice drawn from `rng`: from -1 to 1, `(samples,)`."""
    voice = {"pitch": rng.uniform(95, 170), "mouth": rng.uniform(0.92, 1.12), "pace": rng.uniform(0.85, 1.2)}
    parts = [np.zeros(int(rng.uniform(0.4, 1.0) * SAMPLE_RATE))]
    for word in words:
        parts.append(rng.uniform(0.5, 1.0) * say(rng, word, **voice))
        parts.append(np.zeros(int(rng.uniform(0.1, 0.4) * voice["pace"] * SAMPLE_RATE)))
    parts.append(np.zeros(int(rng.uniform(0.2, 0.8) * SAMPLE_RATE)))
    speech = np.concatenate(parts)
    speech *= rng.uniform(0.15, 0.6) / np.abs(speech).max()
    return speech + rng.normal(0, 10 ** rng.uniform(-3.0, -2.2), speech.shape)


def say(rng, word, pitch, mouth, pace):
    """One word of about 0.4 s, `(samples,)`.

    Args:
        word: 1 for yes, 0 for no.
        pitch: of the voice, in Hz; it falls by about a fifth within the word.
        mouth: a factor on all formants, greater for a shorter mouth.
        pace: a factor on all durations.
    """
    at, *formants, loudness = np.array(KEN if word else LO).T
    samples = int(rng.uniform(0.3, 0.45) * pace * SAMPLE_RATE)
    time = np.linspace(0, 1, samples)
    fall = pitch * rng.uniform(0.92, 1.08) * np.interp(time, [0, 0.3, 1], [1, 1.05, rng.uniform(0.75, 0.9)])
    phase = 2 * np.pi * np.cumsum(fall) / SAMPLE_RATE
    harmonics = np.arange(1, int(SAMPLE_RATE / 2 / fall.max()) + 1)  # none above half the sample rate
    frequencies = fall[:, None] * harmonics  # (samples, harmonics)
    strengths = np.zeros_like(frequencies)
    for track, bandwidth, share in zip(formants, BANDWIDTHS, (1.0, 0.6, 0.3)):
        centre = np.interp(time, at, track * mouth * rng.uniform(0.95, 1.05))[:, None]
        strengths += share / (1 + ((frequencies - centre) / bandwidth) ** 2)
    voiced = (strengths * np.sin(phase[:, None] * harmonics)).sum(axis=1)
    voiced *= np.interp(time, at, loudness) * np.interp(time, [0, 0.05, 0.9, 1], [0, 1, 1, 0])
    voiced /= np.abs(voiced).max()
    if word:
        hiss = np.diff(rng.normal(0, 0.15, int(rng.uniform(0.02, 0.04) * SAMPLE_RATE)))
        gap = np.zeros(int(rng.uniform(0.01, 0.03) * SAMPLE_RATE))
        voiced = np.concatenate([hiss * np.linspace(1, 0.2, len(hiss)), gap, voiced])
    return voiced


if __name__ == "__main__":
    main(make_spoken_tones, "Make the sample of spoken tones.")
