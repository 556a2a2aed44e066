"""Listings 3.14 to 3.17: audio files in three formats, what is wrong with one, and what the tour leaves behind."""

import contextlib
import io
import runpy
import struct
import sys
from pathlib import Path

import pytest
import soundfile
import torch
import torchaudio

from ch03_workflow.loaders import audio
from ch03_workflow.loaders.audio import load, load_mono, save
from ch03_workflow.loaders.yesno import YesNo
from common.cli import UserError
from data.spoken_tones import make_spoken_tones

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "yesno"


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        out = tmp_path_factory.mktemp("tour")
        patch.setattr(sys, "argv", ["torchaudio_tour.py", "--device", "cpu", "--out", str(out)])
        variables = runpy.run_path(str(ROOT / "ch03_workflow" / "torchaudio_tour.py"), run_name="__main__")
    return variables | {"printed": printed.getvalue()}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return make_spoken_tones(tmp_path_factory.mktemp("sample") / "tones", recordings=6)


def noise(channels=1, samples=4000):
    return torch.rand(channels, samples, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9


# 3.15


@pytest.mark.parametrize("ending", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_saved_is_loaded_within_16_bits(tmp_path, ending, channels):
    waveform = noise(channels)
    save(tmp_path / f"foo.{ending}", waveform, 8000)
    again, rate = load(tmp_path / f"foo.{ending}")
    assert (again.shape, again.dtype, rate) == (waveform.shape, torch.float32, 8000)
    assert torch.allclose(again, waveform, rtol=0, atol=2 / 2**15)
    # 16-bit values come back from -1 to 1 exactly as their integers say.
    integers, _ = soundfile.read(tmp_path / f"foo.{ending}", dtype="int16", always_2d=True)
    assert torch.equal(again, torch.from_numpy(integers).T / 2**15)


def test_mp3_keeps_the_sound_but_not_the_samples(tmp_path):
    time = torch.arange(16000) / 16000
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * time)[None]
    save(tmp_path / "foo.mp3", tone, 16000)
    again, rate = load(tmp_path / "foo.mp3")
    assert rate == 16000 and not torch.equal(again[:, :16000], tone)
    assert torch.fft.rfft(again[0, :16000]).abs().argmax() == 440  # Hz: the signal lasts a second


def test_the_books_stereo_file_has_its_channels_first_today(tour):
    assert tour["stereo"].shape == torch.Size([2, 278756])
    assert "torch.Size([2, 278756])\n44100\n" in tour["printed"]
    # What was loaded is what the page saves.
    again, rate = load(tour["args"].out / "foo.wav")
    assert rate == 44100 and torch.allclose(again, load(tour["args"].out / "foo.mp3")[0], rtol=0, atol=2 / 2**15)
    assert tour["losses"]["wav"] <= 1 / 2**15 and tour["losses"]["flac"] <= 1 / 2**15 < tour["losses"]["mp3"] < 0.2


def test_torchaudio_load_refuses_exactly_where_torchcodec_does_not_work(tour):
    assert (tour["refusal"] is None) == tour["codec_works"]


def test_a_format_that_soundfile_does_not_know_is_left_to_torchcodec(tmp_path, monkeypatch):
    path = tmp_path / "foo.m4a"
    path.write_bytes(b"not for soundfile")
    with pytest.raises(UserError, match=r"foo\.m4a: no whole audio file"):
        load(path)
    monkeypatch.setattr(audio, "has_torchcodec", lambda: True)
    monkeypatch.setattr(torchaudio, "load", lambda path: (noise(), 8000))
    assert torch.equal(load(path)[0], noise())


# What is wrong with a file


def cut(path, keep):
    path.write_bytes(path.read_bytes()[:keep])


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_cut_short_is_told_with_both_lengths(tmp_path, channels):
    path = tmp_path / "cut.wav"
    save(path, noise(channels), 8000)
    cut(path, 44 + 1000 * 2 * channels)  # 44 bytes of header
    with pytest.raises(UserError, match=r"cut\.wav: cut short: its header promises 4,000 samples, the file has 1,000"):
        load(path)
    cut(path, 20)
    with pytest.raises(UserError, match=r"cut\.wav: no whole audio file"):
        load(path)


def test_chunks_before_the_samples_and_a_header_written_to_a_pipe_are_understood(tmp_path):
    path = tmp_path / "whole.wav"
    save(path, noise(), 8000)
    content = path.read_bytes()
    assert content[36:40] == b"data"
    (tmp_path / "notes.wav").write_bytes(content[:36] + b"note" + struct.pack("<I", 3) + b"abc\0" + content[36:])
    (tmp_path / "pipe.wav").write_bytes(content[:40] + struct.pack("<I", 0xFFFFFFFF) + content[44:])
    for name in ("notes.wav", "pipe.wav"):
        assert torch.equal(load(tmp_path / name)[0], load(path)[0])


def test_a_flac_cut_short_is_told(tmp_path):
    save(tmp_path / "cut.flac", noise(samples=40000), 8000)
    cut(tmp_path / "cut.flac", 20000)
    with pytest.raises(UserError, match=r"cut\.flac: "):
        load(tmp_path / "cut.flac")


def test_what_is_no_audio_is_told(tmp_path):
    with pytest.raises(UserError, match=r"none\.wav: no such file; expected an audio file"):
        load(tmp_path / "none.wav")
    (tmp_path / "song.wav").write_text("la la la")
    with pytest.raises(UserError, match=r"song\.wav: no whole audio file"):
        load(tmp_path / "song.wav")
    save(tmp_path / "empty.wav", torch.zeros(1, 0), 8000)
    with pytest.raises(UserError, match=r"empty\.wav: no sample in it"):
        load(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", [0.0, float("nan")], 8000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: samples that are no finite numbers"):
        load(tmp_path / "nan.wav")
    with pytest.raises(UserError, match=r"foo\.tune: not written"):
        save(tmp_path / "foo.tune", noise(), 8000)
    with pytest.raises(UserError, match=r"no/foo\.wav: not written"):
        save(tmp_path / "no" / "foo.wav", noise(), 8000)


def test_stereo_is_refused_and_another_rate_resampled_and_said(tmp_path, capsys):
    save(tmp_path / "stereo.wav", noise(2), 8000)
    with pytest.raises(UserError, match=r"stereo\.wav: 2 channels \(2 is stereo\), expected mono"):
        load_mono(tmp_path / "stereo.wav", 8000)
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(44100) / 44100)
    save(tmp_path / "tone.wav", tone[None], 44100)
    heard = load_mono(tmp_path / "tone.wav", 8000)
    assert "tone.wav: resampled from 44,100 Hz to 8,000 Hz" in capsys.readouterr().err
    expected = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(8000) / 8000)
    assert heard.shape == (8000,) and torch.allclose(heard[200:-200], expected[200:-200], atol=0.01)
    load_mono(tmp_path / "tone.wav", 44100)
    assert not capsys.readouterr().err


# 3.16


def test_yesno_items_are_waveform_rate_and_labels(sample):
    dataset = YesNo(sample)
    assert isinstance(dataset, torch.utils.data.Dataset) and isinstance(dataset, torchaudio.datasets.YESNO)
    assert len(dataset) == len(torchaudio.datasets.YESNO(sample)) == 6
    for (waveform, rate, labels), path in zip(dataset, sorted((sample / "waves_yesno").iterdir())):
        integers, _ = soundfile.read(path, dtype="int16")
        assert torch.equal(waveform, torch.from_numpy(integers)[None] / 2**15) and rate == 8000
        assert "_".join(map(str, labels)) == path.stem
    assert YesNo(sample / "waves_yesno").recordings == dataset.recordings  # the inner folder will do as well


def test_bad_folders_of_recordings_are_told(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        YesNo(tmp_path / "none")
    (tmp_path / "waves_yesno").mkdir()
    with pytest.raises(UserError, match="waves_yesno: no WAV file in it"):
        YesNo(tmp_path)
    for name in ("0_1_0_1_0_1_1", "0_1_0_1_0_1_1_2", "hello"):
        path = tmp_path / "waves_yesno" / f"{name}.wav"
        save(path, noise(), 8000)
        with pytest.raises(UserError, match=rf"{name}\.wav: a name without eight labels"):
            YesNo(tmp_path)
        path.unlink()


def test_loading_in_batches(tour):
    # 3.16 as printed: batches of one.
    assert tour["page_waveform"].shape[:2] == (1, 1) and [each.shape for each in tour["page_labels"]] == [(1,)] * 8
    assert "equal size" in tour["unequal"]
    for row, length, labels, number in zip(tour["batch"], tour["lengths"], tour["batch_labels"], range(4)):
        waveform, _, expected = tour["yesno_data"][number]
        assert torch.equal(row[:length], waveform[0]) and not row[length:].any()
        assert labels.tolist() == expected
    assert "VCTK" not in tour["datasets"] and {"VCTK_092", "YESNO"} < set(tour["datasets"])
    assert all(hasattr(torchaudio.datasets, name) for name in tour["datasets"])


# 3.17


def test_scale_and_padtrim(tour):
    integers, trimmed, padded = tour["integers"], tour["trimmed"], tour["padded"]
    assert tour["gone"] == ["Compose", "Scale", "PadTrim"]
    assert trimmed.shape == padded.shape == (1, 16000)
    assert torch.equal(trimmed, integers[:, :16000] / 32768) and trimmed.abs().max() <= 1
    assert torch.equal(padded[:, :5000], integers[:, :5000] / 32768) and not padded[:, 5000:].any()
    assert tour["Scale"]()(torch.tensor([-(2**15)], dtype=torch.int16)).item() == -1
    assert tour["already_scaled"]


def test_the_spectrum_and_the_way_back(tour):
    assert tour["same_power"] and tour["power"].shape[:2] == (1, 129)
    assert tour["mel"].shape[:2] == (1, 40) and tour["mfcc"].shape[:2] == (1, 13)
    assert tour["fft_error"] < 1e-6 and tour["stft_error"] < 1e-6 and not hasattr(torch, "ifft")
    assert tour["slow"].shape[1] * 2 == tour["waveform"].shape[1] and tour["aliased"] < 0.01
    # MFCC is the cosine transform of the mel bands in dB.
    decibels = torchaudio.transforms.AmplitudeToDB(top_db=80)(tour["mel"])
    cosines = torchaudio.functional.create_dct(13, 40, "ortho")
    assert torch.allclose(tour["mfcc"], (decibels.mT @ cosines).mT, atol=1e-3)


def test_the_pictures_are_there(tour):
    sizes = {path.name: path.stat().st_size for path in tour["args"].out.glob("*.png")}
    assert sizes.keys() == {"waveform.png", "spectrograms.png"} and min(sizes.values()) > 10000


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data")
def test_the_real_recordings_are_read():
    dataset = YesNo(REAL)
    assert len(dataset) == 60
    waveform, rate, labels = dataset[0]
    assert waveform.shape == (1, 50800) and rate == 8000 and labels == [0, 0, 0, 0, 1, 1, 1, 1]
