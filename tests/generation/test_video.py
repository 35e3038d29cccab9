"""Loops through latents, and videos read back frame by frame."""

import sys

import numpy as np
import pytest
from PIL import Image

from dnnlib.errors import UserError
from generation import video


def test_lerp_loop():
    keys = np.float32([[0, 0], [4, 8], [4, 0]])
    loop = video.lerp_loop(keys, 4)
    expected = [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8], [4, 6], [4, 4], [4, 2], [4, 0], [3, 0]]
    np.testing.assert_allclose(loop, [*expected, [2, 0], [1, 0]])
    assert loop.dtype == np.float32
    assert video.lerp_loop(np.zeros([3, 2, 5], np.float32), 4).shape == (12, 2, 5)
    assert video.lerp_loop(np.zeros([3, 0], np.float32), 4).shape == (12, 0)


def test_slerp_loop_turns_evenly():
    keys = np.random.RandomState(0).randn(4, 16).astype(np.float32)
    loop = video.slerp_loop(keys, 10)
    np.testing.assert_allclose(loop[::10], keys, rtol=1e-5)
    lengths = np.linalg.norm(loop, axis=1)
    np.testing.assert_allclose(lengths[5], (lengths[0] + lengths[10]) / 2, rtol=1e-5)
    units = (loop / lengths[:, None]).astype(np.float64)
    angles = np.arccos(np.clip((units * np.roll(units, -1, axis=0)).sum(1), -1, 1))
    for start in range(0, 40, 10):
        np.testing.assert_allclose(angles[start : start + 10], angles[start], rtol=1e-3)
    # Always within the plane of its two keys.
    plane = np.linalg.lstsq(keys[:2].T, loop[3], rcond=None)[1]
    assert plane[0] < 1e-9


def test_slerp_loop_of_equal_and_opposite_keys():
    for keys in ([[1.0, 0], [1, 0]], [[1.0, 0], [-1, 0]], [[0.0, 0], [1, 0]], [[2.0, 1]]):
        loop = video.slerp_loop(np.float32(keys), 3)
        assert loop.shape == (3 * len(keys), 2)
        assert np.isfinite(loop).all()
        np.testing.assert_allclose(loop[::3], keys, atol=1e-6)


def clip(channels=3):
    """Twelve frames, each of another gray with a white square that moves."""
    frames = np.repeat(np.arange(12, dtype=np.uint8) * 15, 32 * 32 * channels)
    frames = frames.reshape(12, 32, 32, channels)
    for index, frame in enumerate(frames):
        frame[8:24, index : index + 16] = 255
    return frames


@pytest.mark.parametrize("channels", [1, 3])
def test_mp4(channels, tmp_path):
    import av

    path = tmp_path / "clip.mp4"
    video.write(iter(clip(channels)), 12, path, fps=25, quality=95)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", 25)
        assert stream.codec_context.pix_fmt == "yuv420p"
        found = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    expected = np.broadcast_to(clip(channels), [12, 32, 32, 3]).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_loops_that_pillow_writes(suffix, tmp_path):
    path = tmp_path / f"clip{suffix}"
    video.write(iter(clip()), 12, path, fps=20, quality=90)
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.size, picture.info["loop"]) == (12, (32, 32), 0)
        for index, expected in enumerate(clip()):
            picture.seek(index)
            found = np.asarray(picture.convert("RGB"), int)
            assert picture.info["duration"] == 50
            assert np.abs(found - expected).mean() < 6


def test_durations():
    assert video.durations(6, 30, 10) == [30, 40, 30, 30, 40, 30]
    assert video.durations(4, 30, 1) == [33, 34, 33, 33]
    assert sum(video.durations(60, 24, 10)) == 2500
    assert set(video.durations(100, 50, 10)) == {20}


def test_how_long_a_gif_lasts(tmp_path):
    video.write(iter(clip()), 12, tmp_path / "x.gif", fps=30)
    with Image.open(tmp_path / "x.gif") as picture:
        shown = []
        for index in range(picture.n_frames):
            picture.seek(index)
            shown.append(picture.info["duration"])
    assert shown == [30, 40, 30, 30, 40, 30, 30, 40, 30, 30, 40, 30]


def test_what_does_not_fit_in_memory_is_refused():
    pixels = 1024 * 1024
    video.check_length("x.mp4", 20_000, pixels, 240)
    video.check_length("x.webp", 512, pixels, 240)
    for suffix in ("gif", "webp"):
        with pytest.raises(UserError, match="513 frames, more than 512 of this size"):
            video.check_length(f"x.{suffix}", 513, pixels, 30)
    with pytest.raises(UserError, match="--fps=51: a GIF has 50 at most"):
        video.check_length("x.gif", 1, 1, 51)


def test_paths_that_are_no_videos(tmp_path, monkeypatch):
    for name in ("x.png", "x", "x.avi"):
        with pytest.raises(UserError, match=r"expected a file name that ends in \.mp4"):
            video.check_path(tmp_path / name)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UserError, match="MP4 needs the package av"):
        video.check_path("x.mp4")
    video.check_path("x.gif")


def test_mp4_of_other_channels(tmp_path):
    with pytest.raises(UserError, match="MP4 holds 1 or 3 channels, not 4"):
        video.write(iter(clip(4)), 12, tmp_path / "x.mp4", fps=10)
    video.write(iter(clip(4)), 12, tmp_path / "x.webp", fps=10)
    assert [path.name for path in tmp_path.iterdir()] == ["x.webp"]


def test_an_error_among_the_frames_leaves_nothing(tmp_path):
    def broken():
        yield from clip()[:3]
        raise UserError("no more")

    for suffix in video.SUFFIXES:
        with pytest.raises(UserError, match="no more"):
            video.write(broken(), 12, tmp_path / f"x{suffix}", fps=10)
    assert list(tmp_path.iterdir()) == []
