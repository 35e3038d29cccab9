"""Image files, grids, and latents that make the same images again."""

import numpy as np
import pytest
from PIL import Image

from compute.images import to_uint8
from dnnlib.errors import UserError
from generation import latents, pictures
from tests.generation.common import close_levels, sampler


def smooth(channels):
    y, x = np.mgrid[:24, :32]
    return np.stack([(x * 3 + y * 4 + 40 * c) % 200 for c in range(channels)], -1).astype(np.uint8)


def pixels(path):
    with Image.open(path) as picture:
        return picture.format, np.atleast_3d(np.asarray(picture))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".webp"])
def test_formats(suffix, channels, tmp_path):
    image = smooth(channels)
    pictures.save(image, tmp_path / f"x{suffix}")
    format, found = pixels(tmp_path / f"x{suffix}")
    assert format == {".png": "PNG", ".webp": "WEBP"}.get(suffix, "JPEG")
    found = found[:, :, :channels]  # WebP has colours in any case
    if suffix == ".png":
        np.testing.assert_array_equal(found, image)
    assert np.abs(found.astype(int) - image).mean() < 12
    pictures.save(image, tmp_path / "low.jpg", quality=5)
    pictures.save(image, tmp_path / "high.jpg", quality=100)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size


def test_webp_of_full_quality_is_lossless(tmp_path):
    pictures.save(smooth(3), tmp_path / "x.webp", quality=100)
    np.testing.assert_array_equal(pixels(tmp_path / "x.webp")[1], smooth(3))


def test_mistakes(tmp_path):
    for name in ("x.bmp", "x", "x.png.exe"):
        with pytest.raises(UserError, match=r"expected a file name that ends in \.png"):
            pictures.save(smooth(3), tmp_path / name)
    wide = np.zeros([1, 20_000, 3], np.uint8)
    with pytest.raises(UserError, match=r"x\.webp: 20000x1x3 as WEBP"):
        pictures.save(wide, tmp_path / "x.webp")
    with pytest.raises(UserError, match=r"x\.jpg: 4x2x4 as JPEG"):
        pictures.save(np.zeros([2, 4, 4], np.uint8), tmp_path / "x.jpg")
    assert list(tmp_path.iterdir()) == []


def test_grids():
    images = [np.full([2, 3, 1], index, np.uint8) for index in range(5)]
    picture = pictures.grid(iter(images), 5)
    expected = [[0, 1, 2], [3, 4, 255]]
    np.testing.assert_array_equal(picture[:, :, 0], np.kron(expected, np.ones([2, 3])))
    assert pictures.grid(iter(images), 5, columns=9).shape == (2, 15, 1)
    assert pictures.grid(iter(images), 5, columns=1).shape == (10, 3, 1)


def all_of(ours, path, label=None):
    count, part = pictures.of_file(ours, path, label)
    return part(0, count)


@pytest.mark.parametrize("kind", ["style", "labels", "paper"])
def test_saved_latents_make_the_same_images(kind, tmp_path):
    ours = sampler(kind, psi=0.6, cutoff=4)
    starts = pictures.of_seeds(ours, [3, 5, 8], None)
    np.testing.assert_array_equal(starts.z, latents.from_seeds([3, 5, 8], ours.latent_size))
    path = tmp_path / "latents.npz"
    pictures.save_latents(path, ours, starts)
    with np.load(path) as file:
        names = {"style": ["w", "z"], "labels": ["labels", "w", "z"], "paper": ["labels", "z"]}
        assert sorted(file.files) == sorted([*names[kind], "seeds"])
    again = sampler(kind)  # truncated w stay as they are
    found = all_of(again, path)
    assert list(found.seeds) == [3, 5, 8]  # of random noise
    close_levels(again.images(found.codes), ours.images(starts.codes))


def test_noise_images_of_a_file_stand_in_for_the_network_s(tmp_path):
    ours = sampler()
    rng = np.random.RandomState(0)
    w = rng.randn(2, *ours.w_shape).astype(np.float32)
    noise = [rng.randn(2, *side, 1).astype(np.float32) for side in ours.noise_shapes]
    named = {f"noise{index}": image for index, image in enumerate(noise)}
    np.savez(tmp_path / "w.npz", w=w, **named)
    starts = all_of(ours, tmp_path / "w.npz")
    made = list(ours.stream(starts.codes, noise_images=starts.noise))
    for row in range(2):
        mine = [image[row : row + 1] for image in noise]
        expected = to_uint8(ours.Gs.render(w[row : row + 1], noise=mine).numpy())[0]
        close_levels(made[row], expected)
    assert np.abs(np.int32(made[0]) - ours.images(w)[0]).max() > 2  # not the network's own
    pictures.save_latents(tmp_path / "again.npz", ours, starts)
    np.testing.assert_array_equal(all_of(ours, tmp_path / "again.npz").noise[3], noise[3])

    np.savez(tmp_path / "w.npz", w=w, **{**named, "noise1": noise[0][:, :2]})
    with pytest.raises(UserError, match=r"noise1 has shape \[2, 2, 4, 1\], expected \[N, "):
        all_of(ours, tmp_path / "w.npz")
    named[f"noise{len(noise)}"] = noise[0]
    np.savez(tmp_path / "w.npz", w=w, **named)
    with pytest.raises(UserError, match="more noise images than the network, which has"):
        all_of(ours, tmp_path / "w.npz")
    np.savez(tmp_path / "w.npz", w=w, noise0=noise[0])
    with pytest.raises(UserError, match="no noise1; the network has"):
        all_of(ours, tmp_path / "w.npz")


def test_a_label_that_was_asked_for_counts_more_than_a_files(tmp_path):
    ours = sampler("paper")
    z, labels = latents.from_seeds([3, 5], ours.latent_size), np.float32([[1, 0], [0.5, 0.5]])
    np.savez(tmp_path / "z.npz", z=z, labels=labels)
    starts = all_of(ours, tmp_path / "z.npz")
    np.testing.assert_array_equal(starts.codes, np.concatenate([z, labels], axis=1))
    assert list(starts.seeds) == [0, 1]
    starts = all_of(ours, tmp_path / "z.npz", 1)
    np.testing.assert_array_equal(starts.codes[:, -2:], [[0, 1], [0, 1]])


def test_a_psi_that_was_asked_for_truncates_w_of_a_file(tmp_path):
    w = np.random.RandomState(0).randn(2, 6, 8).astype(np.float32)
    np.savez(tmp_path / "w.npz", w=w)
    ours = sampler(psi=0.5, cutoff=2)
    average = ours.Gs.arrays()["dlatent_avg"]
    found = all_of(ours, tmp_path / "w.npz").codes
    expected = np.concatenate([average + 0.5 * (w[:, :2] - average), w[:, 2:]], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(UserError, match=r"--class=0: .*has w, on which labels do nothing"):
        all_of(ours, tmp_path / "w.npz", 0)


def test_files_of_images(tmp_path):
    images = (np.full([4, 4, 3], index, np.uint8) for index in (7, 9))
    paths = pictures.save_images(["a", "b"], images, tmp_path, format="jpeg", quality=90)
    assert paths == [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert [pixels(path)[1][0, 0, 0] for path in paths] == [7, 9]
