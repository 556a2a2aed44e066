"""Audio files as tensors: `load` and `save` through soundfile.

Since torchaudio 2.9 `torchaudio.load` and `save` need TorchCodec, and TorchCodec needs FFmpeg's libraries. soundfile
brings its own library and reads and writes WAV, FLAC, OGG and MP3 with neither. What soundfile does not know (M4A, the
sound of a film) is left to `torchaudio.load`, where that works.
"""

import contextlib
import io
import math
import os
import struct
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio

from common.errors import UserError
from common.files import require_file

EXPECTED = "an audio file: WAV, FLAC or MP3"

UNKNOWN_LENGTH = 0x7FFFF000  # from here on: in the header of a WAV that was written to a pipe
MOST_SAMPLES = 1 << 27  # of all channels together; fifty minutes at 44,100 Hz
MOST_WEIGHTS = 1 << 24  # of the filters that change a rate into another one; 44,100 Hz to 8,000 Hz takes 35,280


def has_torchcodec():
    """Whether `torchaudio.load` and `save` work here: TorchCodec is installed and finds FFmpeg's libraries."""
    try:
        import torchcodec.decoders  # noqa: F401
    except (ImportError, OSError, RuntimeError):  # RuntimeError: "Could not load libtorchcodec", FFmpeg is missing
        return False
    return True


def load(path):
    """Reads an audio file, as `torchaudio.load` does (listing 3.15).

    Returns:
        the waveform, float32 from -1 to 1, `(channels, samples)`, and the sample rate in Hz.

    Raises:
        UserError: no such file, no audio in it, a file cut short, or values that are not finite.
    """
    path = Path(path)
    require_file(path, EXPECTED)
    if path.suffix[1:].upper() not in soundfile.available_formats() and has_torchcodec():
        try:
            return torchaudio.load(path)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{path}: TorchCodec finds no audio in it ({str(error).splitlines()[0][:100]})") from None
    try:
        # Opened here: soundfile cannot encode every name where the locale is C.
        with _Opened(path) as opened, soundfile.SoundFile(opened) as file:
            unknown = file.frames >= 1 << 62  # of a FLAC that was written to a pipe
            promised = 0 if unknown else _samples_of_wav(path) or file.frames
            if promised * file.channels > MOST_SAMPLES:
                raise UserError(f"{path}: its header promises {promised:,} samples; expected at most {MOST_SAMPLES:,}")
            samples, sample_rate = _read(file, path), file.samplerate
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: no whole audio file ({error.error_string}); expected WAV, FLAC or MP3") from None
    if len(samples) < promised:
        raise UserError(f"{path}: cut short: its header promises {promised:,} samples, the file has {len(samples):,}")
    waveform = torch.from_numpy(samples).T.contiguous()
    if not len(samples) or not waveform.isfinite().all():
        raise UserError(f"{path}: {'no sample in it' if not len(samples) else 'samples that are no finite numbers'}")
    return waveform, sample_rate


class _Opened(io.FileIO):
    """A file for libsndfile, which seeks before the beginning of a damaged one: an error there would be printed."""

    def seek(self, offset, whence=os.SEEK_SET):
        with contextlib.suppress(OSError):
            super().seek(offset, whence)
        return self.tell()  # libsndfile looks whether it is where it would be


def _read(file, path):
    """All samples of an opened file, (samples, channels), read in parts: a length that a header names is no length."""
    parts = []
    # After each part soundfile would seek to where it is, which fails in a FLAC of unknown length.
    file.seekable = lambda: False
    while len(part := file.read((1 << 20) // file.channels + 1, dtype="float32", always_2d=True)):
        parts.append(part)
        if sum(map(len, parts)) * file.channels > MOST_SAMPLES:
            raise UserError(f"{path}: more than {MOST_SAMPLES:,} samples; expected a shorter recording")
    return np.concatenate(parts or [np.zeros((0, file.channels), dtype=np.float32)])


def _samples_of_wav(path):
    # libsndfile takes what there is of a WAV that was cut short and says nothing, so its header is read here.
    with open(path, "rb") as file:
        if file.read(4) != b"RIFF":
            return None
        file.seek(12)
        frame_bytes = None
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                return None if size >= UNKNOWN_LENGTH or not frame_bytes else size // frame_bytes
            start = file.tell()
            if name == b"fmt ":
                frame_bytes = int.from_bytes(file.read(14)[12:], "little")
            file.seek(start + size + size % 2)  # chunks begin at even places
    return None


def load_mono(path, sample_rate):
    """Reads a recording of one channel at the rate that is wanted; says so on standard error when it resamples.

    Returns:
        the waveform, float32, `(samples,)`.

    Raises:
        UserError: as `load`, and for a file of several channels.
    """
    waveform, found = load(path)
    if len(waveform) != 1:
        raise UserError(f"{path}: {len(waveform)} channels (2 is stereo), expected mono; mix it down first")
    if found != sample_rate:
        weights = found * sample_rate // math.gcd(found, sample_rate) ** 2
        if weights > MOST_WEIGHTS or waveform.shape[1] * sample_rate > MOST_SAMPLES * found:
            raise UserError(f"{path}: {found:,} Hz; expected {sample_rate:,} Hz, or a usual rate such as 44,100 Hz")
        print(f"{path}: resampled from {found:,} Hz to {sample_rate:,} Hz", file=sys.stderr)
        waveform = torchaudio.functional.resample(waveform, found, sample_rate)
    return waveform[0]


def save(path, waveform, sample_rate):
    """Writes an audio file, as `torchaudio.save` does: the ending of its name says the format (listing 3.15).

    WAV and FLAC get 16 bits a sample. Values beyond -1 and 1 are cut off there.

    Args:
        waveform: float32 from -1 to 1, `(channels, samples)`.
        sample_rate: in Hz.

    Raises:
        UserError: an ending that is no audio format, a rate or a number of channels that the format has not, or a
            folder that cannot be written.
    """
    path, written = Path(path), io.BytesIO()
    try:
        soundfile.write(written, waveform.T.cpu().numpy(), sample_rate, format=path.suffix[1:].upper() or None)
        path.write_bytes(written.getvalue())
    except (OSError, soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not written ({error}); expected a name that ends in .wav, .flac or .mp3") from None
