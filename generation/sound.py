"""Sound that a video follows: read from a file, as curves with a value for each frame."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from typing import Optional

import numpy as np

from dnnlib import paths
from dnnlib.errors import UserError

MAX_BYTES = 2**29
MAX_SECONDS = 3600.0
_SMOOTH = np.array([0.25, 0.5, 0.25])  # frames
_DECAY = 0.5**0.25  # of an onset, per frame: half after four


@dataclass
class Sound:
    """samples: float32 [N], −1 to 1, one channel; rate: of them in a second."""

    samples: np.ndarray
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def frames(self, fps: float) -> int:
        """How many frames it lasts."""
        return max(round(self.seconds * fps), 1)

    def amplitude(self, fps: float, band: Optional[tuple[float, float]] = None) -> np.ndarray:
        """[frames], 0 to 1: how loud it is while a frame is shown, 1 being the loudest.

        band: from and to Hz, what alone counts.
        """
        samples = self.samples.astype(np.float64)
        if band is not None:
            from scipy import signal

            # Butterworth of order 4, forwards and backwards: nothing is late.
            limits = np.clip(np.array(band) / (self.rate / 2), 1e-5, 1 - 1e-5)
            samples = signal.sosfiltfilt(
                signal.butter(4, limits, "bandpass", output="sos"), samples
            )
        loudness = np.sqrt(np.square(self._windows(samples, fps)).mean(axis=1))
        padded = np.pad(loudness, 1, mode="edge")
        return _to_one(np.convolve(padded, _SMOOTH, "valid"))

    def onsets(self, fps: float) -> np.ndarray:
        """[frames], 0 to 1: how much is new while a frame is shown, fading in the frames after.

        What is new is the sum of what each frequency gains, in logarithms (spectral flux).
        """
        spectra = np.abs(np.fft.rfft(self._windows(self.samples.astype(np.float64), fps), axis=1))
        levels = np.log1p(100 * spectra / max(spectra.max(), 1e-12))
        gains = np.diff(levels, axis=0, prepend=levels[:1] * 0)
        new = _to_one(np.maximum(gains, 0).sum(axis=1))
        for index in range(1, len(new)):
            new[index] = max(new[index], new[index - 1] * _DECAY)
        return new

    def _windows(self, samples: np.ndarray, fps: float) -> np.ndarray:
        """[frames, M]: what is heard while each frame is shown, silence after the end."""
        length = max(round(self.rate / fps), 1)
        starts = np.round(np.arange(self.frames(fps)) * self.rate / fps).astype(int)
        padded = np.pad(samples, (0, length))
        return padded[np.minimum(starts[:, None] + np.arange(length), len(padded) - 1)]


def _to_one(curve: np.ndarray) -> np.ndarray:
    return curve / max(curve.max(), 1e-12)


def read(path: str | os.PathLike) -> Sound:
    """A WAV file, or what PyAV decodes (MP3, FLAC, OGG, the sound of a video); channels are mixed.

    Raises UserError naming the file for what is no sound, or longer than an hour.
    """
    data = paths.read_input(path, MAX_BYTES)
    sound = _wav(path, data) if data[:4] == b"RIFF" else _decoded(path, data)
    if not len(sound.samples) or not np.isfinite(sound.samples).all():
        raise UserError(f"{path}: there is no sound in it")
    if sound.seconds > MAX_SECONDS:
        raise UserError(f"{path}: {sound.seconds:,.0f} s of sound, more than {MAX_SECONDS:,.0f}")
    return sound


def _wav(path: str | os.PathLike, data: bytes) -> Sound:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks with metadata
            rate, samples = wavfile.read(io.BytesIO(data))
    except Exception as error:  # whatever damaged bytes lead SciPy to
        raise UserError(f"{path}: not a WAV file that can be read, or a damaged one") from error
    if samples.dtype == np.uint8:
        values = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        values = samples.astype(np.float32) / 2.0 ** (8 * samples.dtype.itemsize - 1)
    else:
        values = samples.astype(np.float32)
    if not 1 <= rate <= 1_000_000:
        raise UserError(f"{path}: {rate:,} samples a second, expected up to 1,000,000")
    return Sound(values if values.ndim == 1 else values.mean(axis=1), int(rate))


def _decoded(path: str | os.PathLike, data: bytes) -> Sound:
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"{path}: only WAV is read without the package av: pip install av"
        ) from error
    parts, rate = [], 0
    try:
        with av.open(io.BytesIO(data)) as container:
            stream = container.streams.audio[0]
            rate = int(stream.rate)
            resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
            room = MAX_SECONDS * rate
            for frame in container.decode(stream):
                parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
                room -= len(parts[-1]) if parts else 0
                if room < 0:
                    break
    except Exception as error:  # whatever damaged bytes lead the decoder to
        raise UserError(f"{path}: not a file of sound that can be read") from error
    samples = np.concatenate(parts) if parts else np.zeros(0)
    return Sound(samples.astype(np.float32), rate)
