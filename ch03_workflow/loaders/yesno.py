"""torchaudio's YESNO (listing 3.16), read through soundfile, and the recordings that a recogniser trains with."""

import re
from pathlib import Path

import torch
import torchaudio

from ch03_workflow.loaders.audio import load, load_mono
from common.errors import UserError
from common.files import files_in, tell_left_out
from data import sample
from data.spoken_tones import make_spoken_tones

SPLITS = ("train", "test")
SAMPLE_RATE = 8000


class YesNo(torchaudio.datasets.YESNO):
    """torchaudio's YESNO, with its recordings read through `load` instead of `torchaudio.load`.

    Each recording is a man who says eight times yes or no in Hebrew (ken, lo); its name holds the answers:
    `0_1_0_1_0_1_1_1.wav`, 1 for yes. An item is `(waveform, sample_rate, labels)`: float32 `(1, samples)`, Hz, and a
    list of eight numbers.

    Attributes:
        recordings: a pair (path, labels) for each item.

    Args:
        root: the folder that holds `waves_yesno`, or that folder itself.

    Raises:
        UserError: no such folder, none with WAV files, or a file whose name does not hold eight labels.
    """

    def __init__(self, root):
        root = Path(root).resolve()
        if not root.is_dir():
            raise UserError(f"--data {root}: no such folder")
        folder = root / "waves_yesno" if (root / "waves_yesno").is_dir() else root
        super().__init__(folder.parent, folder_in_archive=folder.name)
        paths, left_out = files_in(folder, {".wav"})
        tell_left_out(folder, left_out)
        if not paths:
            raise UserError(f"--data {folder}: no WAV file in it; expected waves_yesno/0_1_0_1_0_1_1_1.wav and others")
        self.recordings = []
        self._walker = [path.stem for path in paths]  # the library's own list knows no upper-case endings
        for path, name in zip(paths, self._walker):
            if self._walker.count(name) > 1:
                raise UserError(f"{path}: there are two recordings of this name; expected one")
            if not re.fullmatch("[01](_[01]){7}", name):
                expected = "expected eight labels of 0 or 1, as in 0_1_0_1_0_1_1_1.wav"
                raise UserError(f"{path}: a name without eight labels; {expected}")
            self.recordings.append((path, [int(label) for label in name.split("_")]))

    def __getitem__(self, index):
        path, labels = self.recordings[index]
        return *load(path), labels


def open_recording(path):
    """The waveform of a mono recording at 8 kHz, `(samples,)`, at least a tenth of a second long."""
    waveform = load_mono(path, SAMPLE_RATE)
    if len(waveform) < SAMPLE_RATE // 10:
        raise UserError(f"{path}: {len(waveform)} samples, too short for a word; expected at least 0.1 s")
    return waveform


def read_split(data, split, seed):
    """The recordings of one split: a list of paths and one of labels, int64 `(8,)`.

    Args:
        data: "sample", or a folder as `YesNo` takes it.
        split: "test" is a fifth, drawn by the seed; "train" is the rest.

    Raises:
        UserError: an unknown split, too few recordings, or whatever is wrong with the folder.
    """
    if split not in SPLITS:
        raise UserError(f"no split {split!r}; expected {', '.join(SPLITS)}")
    everyone = YesNo(sample(make_spoken_tones) if data == "sample" else data).recordings
    held_out = len(everyone) // 5
    if not held_out:
        raise UserError(f"--data {data}: {len(everyone)} recordings; a fifth is held out, so expected at least 5")
    order = torch.randperm(len(everyone), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = order[:held_out] if split == "test" else order[held_out:]
    return [everyone[index][0] for index in chosen], [torch.tensor(everyone[index][1]) for index in chosen]
