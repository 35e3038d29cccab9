"""Interpolation loops as MP4, GIF or WebP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import numpy as np

from datasets.grids import to_pil
from dnnlib.atomic import atomic_path
from dnnlib.errors import UserError
from generation.sound import Sound

SUFFIXES = (".mp4", ".gif", ".webp")
_SOUND_RATE = 48_000  # samples a second; AAC has a few rates only
MAX_BYTES = 2 * 2**30  # of the frames of a GIF or WebP


def lerp_loop(keys: np.ndarray, frames: int) -> np.ndarray:
    """Straight lines from each key [N, …] to the next one and back to the first.

    frames: steps from one key to the next. Returns [N · frames, …], float32; key i is frame
    i · frames.
    """
    following, t = np.roll(keys, -1, axis=0), np.arange(frames, dtype=np.float64) / frames
    t = t.reshape(1, -1, *[1] * (keys.ndim - 1))
    steps = keys[:, None] * (1 - t) + following[:, None] * t
    return steps.reshape(len(keys) * frames, *keys.shape[1:]).astype(np.float32)


def slerp_loop(keys: np.ndarray, frames: int) -> np.ndarray:
    """As `lerp_loop` for z [N, L], along great circles: directions turn evenly, and lengths go
    from one key's to the next one's. Opposite or equal directions are joined by a straight line.
    """
    lengths = np.linalg.norm(keys.astype(np.float64), axis=1, keepdims=True)
    a = keys / np.maximum(lengths, 1e-12)
    b = np.roll(a, -1, axis=0)
    angle = np.arccos(np.clip((a * b).sum(1), -1, 1))[:, None, None]
    t = (np.arange(frames) / frames)[None, :, None]
    sine = np.sin(angle)
    straight = np.abs(sine) < 1e-6
    with np.errstate(divide="ignore", invalid="ignore"):
        turned = (np.sin((1 - t) * angle) * a[:, None] + np.sin(t * angle) * b[:, None]) / sine
    turned = np.where(straight, (1 - t) * a[:, None] + t * b[:, None], turned)
    lengths = lengths[:, None] * (1 - t) + np.roll(lengths, -1, axis=0)[:, None] * t
    return (turned * lengths).reshape(-1, keys.shape[1]).astype(np.float32)


def check_path(path: str | os.PathLike, flag: str = "out") -> None:
    """UserError naming the flag unless the suffix is one that `write` knows and its encoder is
    installed."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"--{flag}={path}: expected a file name that ends in {', '.join(SUFFIXES)}")
    if suffix == ".mp4":
        _av()


def check_length(
    path: str | os.PathLike, count: int, pixels: int, fps: int, flag: str = "out"
) -> None:
    """UserError for more frames of so many pixels than a GIF or WebP can be made of, or faster
    ones than a GIF can be. Their encoders hold all frames in memory; that of MP4 does not."""
    suffix = Path(path).suffix.lower()
    if suffix == ".gif" and fps > 50:
        raise UserError(f"--fps={fps}: a GIF has 50 at most; .webp and .mp4 have any")
    most = MAX_BYTES // (4 * pixels)
    if suffix != ".mp4" and count > most:
        raise UserError(
            f"--{flag}={path}: {count:,} frames, more than {most:,} of this size; use .mp4"
        )


def durations(count: int, fps: int, unit: int) -> list[int]:
    """Milliseconds that each frame is shown: multiples of `unit`, right in their sum."""
    ends = [round(1000 * index / (fps * unit)) * unit for index in range(count + 1)]
    return [end - start for start, end in zip(ends, ends[1:])]


def write(
    frames: Iterator[np.ndarray],
    count: int,
    path: str | os.PathLike,
    fps: int,
    quality: int = 85,
    sound: Optional[Sound] = None,
) -> None:
    """Encodes `count` uint8 frames [H, W, C] of one size, atomically; GIF and WebP loop.

    quality: 1 to 100. MP4 is H.264 with 4:2:0 colours, which every player takes. A GIF counts in
    hundredths of a second. sound: of an MP4, as AAC; the others have none.
    """
    check_path(path)
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() == ".mp4":
            _write_mp4(frames, temporary, fps, quality, sound)
            return
        first = to_pil(next(frames))
        webp = Path(path).suffix.lower() == ".webp"
        options = {"quality": quality} if webp else {}
        first.save(
            temporary,
            save_all=True,
            append_images=(to_pil(frame) for frame in frames),
            duration=durations(count, fps, 1 if webp else 10),
            loop=0,
            **options,
        )


def _write_mp4(
    frames: Iterator[np.ndarray], path: Path, fps: int, quality: int, sound: Optional[Sound]
) -> None:
    av = _av()
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(round(51 - quality * 0.4))}
        heard = container.add_stream("aac", rate=_SOUND_RATE, layout="mono") if sound else None
        for index, frame in enumerate(frames):
            if frame.shape[2] not in (1, 3):
                raise UserError(f"MP4 holds 1 or 3 channels, not {frame.shape[2]}: use .webp")
            if frame.shape[2] == 1:
                frame = np.repeat(frame, 3, axis=2)
            if index == 0:
                stream.height, stream.width = frame.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
        if sound is not None:
            _add_sound(av, container, heard, sound)


def _add_sound(av: Any, container: Any, stream: Any, sound: Sound) -> None:
    frame = av.AudioFrame.from_ndarray(sound.samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = sound.rate, 0
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=stream.rate, frame_size=1024)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise UserError("MP4 needs the package av: pip install av; GIF and WebP do not") from error
    return av
