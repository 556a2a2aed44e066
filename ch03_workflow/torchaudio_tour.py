"""Listings 3.14 to 3.17: audio files as tensors.

    python ch03_workflow/torchaudio_tour.py

YESNO in a DataLoader, spectrograms, and what took Compose's place. It prints what the pages print, as it is today, and
leaves one recording in three formats, `waveform.png` and `spectrograms.png` in `runs/torchaudio_tour`. The recogniser
that learns from these recordings is yesno.py.
"""

import textwrap

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
import torchaudio
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torchaudio import transforms

from ch03_workflow.loaders.audio import has_torchcodec, load, save
from ch03_workflow.loaders.yesno import YesNo
from ch03_workflow.pictures.audio import draw_spectrogram, draw_waveform
from common.tours import tour
from data import sample
from data.spoken_tones import make_spoken_tones

args = tour(__doc__)

# %% 3.14 Installing: `pip install torchaudio soundfile`, no SoX and no build from source
print(f"{torchaudio.__version__ = }")

# %% 3.15 torchaudio.load needs TorchCodec and FFmpeg since 2.9; without them it raises
codec_works = has_torchcodec()
first, _ = YesNo(sample(make_spoken_tones)).recordings[0]
try:
    torchaudio.load(first)
    refusal = None
except (ImportError, OSError, RuntimeError) as error:
    refusal = str(error).splitlines()[0]
print(f"{codec_works = }\n{str(refusal)[:100]}")

# %% 3.15 Loading: a tensor and its sample rate. Channels come first today, in the book they came last
# The book's foo.mp3 was stereo and 6.3 s long; this one is made like it: a tone for each ear.
time = torch.arange(278756) / 44100
stereo = 0.5 * torch.stack([torch.sin(2 * torch.pi * 440 * time), torch.sin(2 * torch.pi * 660 * time)])
save(args.out / "foo.mp3", stereo, 44100)
data, sample_rate = load(args.out / "foo.mp3")
print(data.size())
print(sample_rate)
losses = {"mp3": (data - stereo).abs().max().item()}

# %% 3.15 Saving: the name's ending says the format. WAV and FLAC keep every sample to 16 bits, MP3 does not
for ending in ("wav", "flac"):
    save(args.out / f"foo.{ending}", data, sample_rate)
    again, _ = load(args.out / f"foo.{ending}")
    losses[ending] = (again - data).abs().max().item()
for ending, loss in losses.items():
    size = (args.out / f"foo.{ending}").stat().st_size
    print(f"foo.{ending:<5}{size:>9,} bytes, furthest sample off by {loss:.6f}")
print(f"one step of 16 bits is {1 / 2**15:.6f}")
# Where TorchCodec works, torchaudio's own functions read the same.
if codec_works:
    same_as_torchcodec = torch.equal(torchaudio.load(args.out / "foo.wav")[0], load(args.out / "foo.wav")[0])
    print(f"{same_as_torchcodec = }")

# %% 3.16 YESNO is a Dataset of (waveform, sample_rate, labels)
# On the page: torchaudio.datasets.YESNO('.', download=True). YesNo is that class, reading through soundfile.
yesno_data = YesNo(sample(make_spoken_tones))
waveform, sample_rate, labels = yesno_data[20]
print(f"{len(yesno_data)} recordings; one of them: {waveform.shape}, {sample_rate} Hz, {labels = }")
datasets = sorted(torchaudio.datasets.__all__)
print(f"the book knows two data sets, VCTK and YESNO; today there are {len(datasets)}:")
print(textwrap.fill(", ".join(datasets), 100))

# %% 3.16 In a DataLoader, as on the page: batches of one. The labels come transposed, eight tensors of one number
data_loader = torch.utils.data.DataLoader(yesno_data)
page_waveform, page_rate, page_labels = next(iter(data_loader))
print(f"{page_waveform.shape = }, {page_rate = }, {len(page_labels)} x {page_labels[0].shape}")

# %% 3.16 More than one: recordings differ in length, which the default collate function refuses
try:
    next(iter(torch.utils.data.DataLoader(yesno_data, batch_size=4)))
except RuntimeError as error:
    unequal = str(error).splitlines()[0]
print(f"RuntimeError: {unequal[:100]}")


def collate(items):
    """Pads with zeros: waveforms (batch, samples), their lengths (batch,) and labels (batch, 8)."""
    waveforms, _, labels = zip(*items)
    lengths = torch.tensor([waveform.shape[1] for waveform in waveforms])
    return pad_sequence([waveform[0] for waveform in waveforms], batch_first=True), lengths, torch.tensor(labels)


data_loader = torch.utils.data.DataLoader(yesno_data, batch_size=4, collate_fn=collate)
batch, lengths, batch_labels = next(iter(data_loader))
print(f"{batch.shape = }, {lengths = }, {batch_labels.shape = }")

# %% 3.17 Compose, Scale and PadTrim are gone
gone = [name for name in ("Compose", "Scale", "PadTrim") if not hasattr(transforms, name)]
print(f"{gone = }")


# %% 3.17 What they did: Scale brought 16-bit integers to -1..1, PadTrim(max_len) padded or cut. Two lines of torch
class Scale(nn.Module):
    def forward(self, signal):
        return signal / 2**15


class PadTrim(nn.Module):
    def __init__(self, max_len):
        super().__init__()
        self.max_len = max_len

    def forward(self, signal):
        return F.pad(signal, (0, self.max_len - signal.shape[-1]))  # a negative padding cuts


# nn.Sequential is today's Compose: transforms are modules, and move to a GPU as such.
transform = nn.Sequential(Scale(), PadTrim(max_len=16000))
integers = (waveform * 2**15).round().to(torch.int16)
trimmed = transform(integers)
padded = transform(integers[:, :5000])
print(f"{tuple(integers.shape)} to {tuple(trimmed.shape)}, {tuple(integers[:, :5000].shape)} to {tuple(padded.shape)}")
# load() scales already.
already_scaled = torch.equal(trimmed, waveform[:, :16000])
print(f"{already_scaled = }")

# %% Resampling: half the rate, half the samples, nothing above half of the new rate
to_4000 = transforms.Resample(sample_rate, 4000)
slow = to_4000(waveform)
high = torch.sin(2 * torch.pi * 3000 * torch.arange(8000) / 8000)  # 3 kHz, which 4000 samples a second cannot hold
aliased = to_4000(high)[100:-100].abs().max().item()
print(f"{waveform.shape[1]} samples to {slow.shape[1]}; what is left of a tone of 3 kHz: {aliased:.4f}")

# %% Spectrogram, mel spectrogram, MFCC: (channels, frequencies or bands or coefficients, frames)
spectrogram = transforms.Spectrogram(n_fft=256, hop_length=80)
power = spectrogram(waveform)
mel = transforms.MelSpectrogram(sample_rate, n_fft=256, hop_length=80, n_mels=40)(waveform)
mfcc = transforms.MFCC(sample_rate, n_mfcc=13, melkwargs={"n_fft": 256, "hop_length": 80, "n_mels": 40})(waveform)
print(f"{power.shape = }, {mel.shape = }, {mfcc.shape = }")
# A spectrogram is torch.stft, squared.
stft = torch.stft(waveform, 256, hop_length=80, window=torch.hann_window(256), return_complex=True)
same_power = torch.allclose(power, stft.abs() ** 2, rtol=1e-4, atol=1e-6)
print(f"{same_power = }")

# %% There and back: torch.fft.ifft (torch.ifft is gone) and torch.istft
# The text speaks of a "sparse" Fourier transform; torch has the short-time one.
spectrum = torch.fft.fft(waveform)
back = torch.fft.ifft(spectrum).real
fft_error = (back - waveform).abs().max().item()
back = torch.istft(stft, 256, hop_length=80, window=torch.hann_window(256), length=waveform.shape[1])
stft_error = (back - waveform).abs().max().item()
print(f"{fft_error = :.1e}, {stft_error = :.1e}, torch.ifft is there: {hasattr(torch, 'ifft')}")

# %% Pictures: the waveform, and three views of its frequencies
title = f"{yesno_data.recordings[20][0].name}: {' '.join('yes' if label else 'no' for label in labels)}"
figure, axis = plt.subplots(figsize=(10, 3), layout="constrained")
draw_waveform(axis, waveform[0], sample_rate)
axis.set_title(title)
figure.savefig(args.out / "waveform.png", dpi=110)
plt.close(figure)

figure, axes = plt.subplots(3, 1, figsize=(10, 8.5), layout="constrained", sharex=True)
draw_spectrogram(axes[0], waveform[0], sample_rate)
extent = (0, waveform.shape[1] / sample_rate)
decibels = transforms.AmplitudeToDB(top_db=80)(mel[0])
# Coefficient 0 is how loud it is, some hundred times the others: it would have the scale of colours to itself.
views = (
    (axes[1], decibels - decibels.max(), 0, "mel band", "power in dB"),
    (axes[2], mfcc[0, 1:], 1, "coefficient", "MFCC"),
)
for axis, view, lowest, name, unit in views:
    place = (*extent, lowest, lowest + len(view))
    image = axis.imshow(view.numpy(), origin="lower", aspect="auto", cmap="magma", extent=place)
    axis.set(xlabel="time in s", ylabel=name)
    figure.colorbar(image, ax=axis, label=unit, pad=0.01)
for axis in axes[:2]:
    axis.set_xlabel("")
for axis, name in zip(axes, ("Spectrogram", "Mel spectrogram, 40 bands", "MFCC, coefficients 1 to 12")):
    axis.set_title(name)
figure.savefig(args.out / "spectrograms.png", dpi=110)
plt.close(figure)
print(f"look at {args.out}/spectrograms.png")
