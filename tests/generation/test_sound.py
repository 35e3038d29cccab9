"""Sound: files, and curves whose peaks land on the right frames."""

import numpy as np
import pytest
from scipy.io import wavfile

from dnnlib.errors import UserError
from generation import sound, video
from generation.sound import Sound

RATE, FPS = 8000, 25


def clicks(times, seconds=2.0):
    """Short bursts of noise at `times`, in silence."""
    samples = np.zeros(int(seconds * RATE), np.float32)
    for index, time in enumerate(times):
        start = int(time * RATE)
        samples[start : start + 80] = 0.5 * np.random.RandomState(index).randn(80)
    return Sound(samples, RATE)


@pytest.mark.parametrize("fps", [25, 30, 24])
def test_onsets_are_on_the_frames_in_which_they_are_heard(fps):
    times = [0.21, 0.74, 1.3, 1.601]
    curve = clicks(times).onsets(fps)
    assert len(curve) == round(2 * fps)
    rises = np.flatnonzero(np.diff(curve, prepend=0) > 0.3)
    assert list(rises) == [int(time * fps) for time in times]
    assert curve.max() == 1
    first = int(times[0] * fps)
    assert curve[first + 4] == pytest.approx(curve[first] / 2, rel=0.01)  # it fades


def test_a_tone_that_goes_on_is_not_new():
    t = np.arange(2 * RATE) / RATE
    samples = np.where(t >= 1, np.sin(2 * np.pi * 400 * t), 0).astype(np.float32)
    curve = Sound(samples, RATE).onsets(FPS)
    assert curve.argmax() == FPS
    assert curve[-1] < 0.2


def test_amplitude_follows_loudness_and_its_band():
    t = np.arange(4 * RATE) / RATE
    swell = np.exp(-np.square((t - 1.5) / 0.2))
    other = np.exp(-np.square((t - 3) / 0.2))
    low, high = np.sin(2 * np.pi * 100 * t), np.sin(2 * np.pi * 2000 * t)
    both = Sound((0.2 * swell * low + 0.8 * other * high).astype(np.float32), RATE)
    assert abs(both.amplitude(FPS).argmax() - 3 * FPS) <= 1
    curve = both.amplitude(FPS, (50, 200))
    assert abs(curve.argmax() - 1.5 * FPS) <= 1
    assert curve.max() == 1
    assert curve[3 * FPS] < 0.05
    expected = np.exp(-np.square((np.arange(100) / FPS - 1.5) / 0.2))
    np.testing.assert_allclose(curve[25:50], expected[25:50], atol=0.15)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav(dtype, channels, tmp_path):
    wave = 0.5 * np.sin(np.arange(400) / 7)
    if dtype == "uint8":
        stored = (wave * 128 + 128).astype(np.uint8)
    else:
        scale = 1 if dtype == "float32" else 2.0 ** (8 * np.dtype(dtype).itemsize - 1)
        stored = (wave * scale).astype(dtype)
    if channels == 2:
        silent = np.full_like(stored, 128 if dtype == "uint8" else 0)
        stored = np.stack([stored, silent], axis=1)
    wavfile.write(tmp_path / "x.wav", RATE, stored)
    found = sound.read(tmp_path / "x.wav")
    assert found.rate == RATE
    np.testing.assert_allclose(found.samples, wave / channels, atol=0.02)


def test_sound_of_a_video_goes_in_and_comes_out(tmp_path):
    pytest.importorskip("av")
    t = np.arange(RATE) / RATE
    tone = Sound((0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32), RATE)
    frames = (np.full([16, 16, 3], 5 * index, np.uint8) for index in range(25))
    video.write(frames, 25, tmp_path / "x.mp4", 25, sound=tone)
    found = sound.read(tmp_path / "x.mp4")
    assert found.seconds == pytest.approx(1, abs=0.05)
    spectrum = np.abs(np.fft.rfft(found.samples))
    assert spectrum.argmax() / found.seconds == pytest.approx(440, abs=2)


def test_what_is_no_sound(tmp_path):
    path = tmp_path / "x.wav"
    with pytest.raises(UserError, match=r"x\.wav: no such file"):
        sound.read(path)
    wavfile.write(path, RATE, np.zeros([0], np.int16))
    with pytest.raises(UserError, match="no sound"):
        sound.read(path)
    wavfile.write(path, RATE, np.ones([100], np.int16))
    whole = path.read_bytes()
    for end in (3, 4, 12, 20, 30, 43):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"x\.wav: "):
            sound.read(path)
    path.write_text("seed=3")
    with pytest.raises(UserError, match=r"x\.wav: not a file of sound|only WAV"):
        sound.read(path)
    wavfile.write(path, 1, np.ones([4000], np.uint8))
    with pytest.raises(UserError, match="4,000 s of sound, more than 3,600"):
        sound.read(path)
