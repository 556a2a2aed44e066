"""Pictures of sound: the waveform over time, the spectrogram over time and frequency, and what a recogniser heard."""

import matplotlib.pyplot as plt
import torch
import torchaudio


def draw_waveform(axis, waveform, sample_rate):
    """Draws samples `(samples,)` over seconds."""
    axis.plot(torch.arange(len(waveform)).numpy() / sample_rate, waveform.numpy(), linewidth=0.4)
    axis.set(xlim=(0, len(waveform) / sample_rate), xlabel="time in s", ylabel="amplitude (1 is full scale)")


def draw_spectrogram(axis, waveform, sample_rate, n_fft=256, hop_length=80):
    """Draws how strong each frequency of `(samples,)` is over time, in dB below the strongest, down to -80."""
    power = torchaudio.transforms.Spectrogram(n_fft, hop_length=hop_length)(waveform)  # (frequencies, frames)
    decibels = torchaudio.transforms.AmplitudeToDB(top_db=80)(power)
    image = axis.imshow(
        (decibels - decibels.max()).numpy(),
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, len(waveform) / sample_rate, 0, sample_rate / 2000),
    )
    axis.set(xlabel="time in s", ylabel="frequency in kHz")
    axis.figure.colorbar(image, ax=axis, label="power in dB", pad=0.01)


def save_answers(path, waveform, sample_rate, probabilities, classes, title):
    """Draws a recording, its spectrogram, and what was heard where.

    Args:
        path: the picture to write.
        waveform: `(samples,)`.
        probabilities: of the classes, the first of them silence, over the recording's frames: `(classes, frames)`.
        classes: their names.
        title: what was said and what was heard.
    """
    figure, axes = plt.subplots(3, 1, figsize=(11, 7.5), sharex=True, layout="constrained")
    draw_waveform(axes[0], waveform, sample_rate)
    draw_spectrogram(axes[1], waveform, sample_rate)
    time = torch.linspace(0, len(waveform) / sample_rate, probabilities.shape[1])
    axes[2].stackplot(
        time.numpy(), probabilities.numpy(), labels=classes, colors=("gainsboro", "indianred", "mediumseagreen")
    )
    axes[2].set(xlabel="time in s", ylabel="probability", ylim=(0, 1))
    axes[2].legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=len(classes), frameon=False)
    for axis in axes[:2]:
        axis.set_xlabel("")
    figure.suptitle(title, parse_math=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
