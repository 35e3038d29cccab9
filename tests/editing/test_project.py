"""`run_generator.py project`, on small networks: what it writes, and mistakes."""

import numpy as np
import pytest
from PIL import Image

import networks
from editing import commands, distances, projection, targets, tuning
from metrics.features.vgg16 import Lpips, heads
from tests.generation.common import made, pixels, run, sampler
from tests.metrics.features.feature_weights import vgg16_arrays


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("networks")
    found = {kind: directory / f"{kind}.safetensors" for kind in ("style", "labels", "paper")}
    for kind, path in found.items():
        networks.save(path, Gs=made(kind))
    return found


@pytest.fixture
def photos(tmp_path):
    """Two pictures of other sizes than the network's, one with transparent pixels."""
    directory = tmp_path / "photos"
    directory.mkdir()
    rng = np.random.RandomState(0)
    Image.fromarray(rng.randint(0, 256, [40, 64, 3], np.uint8)).save(directory / "a.png")
    alpha = rng.randint(0, 256, [20, 20, 4], np.uint8)
    Image.fromarray(alpha).save(directory / "b.webp", lossless=True)
    (directory / "notes.txt").write_text("not a picture")
    return directory


def test_what_was_found_is_rendered_back(files, photos, tmp_path, capsys):
    out = tmp_path / "out"
    network, options = f"--network={files['style']}", ["--steps=3", "--background=white"]
    args = [network, f"--target={photos}", f"--out={out}", *options, "--tune=2"]
    assert run("project", *args, f"--video={out / 'way.gif'}") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"Wrote {out / 'projected.npz'} (pixels at several scales: ")
    assert "note: pixels at several scales are compared" in printed.err
    columns = pixels(out / "before-after.png")
    assert columns.shape == (32, 48, 3)  # a row each: the picture, found, tuned
    (expected,) = targets.read(photos / "a.png", 16, 3)
    np.testing.assert_array_equal(columns[:16, :16], expected.pixels)
    with np.load(out / "projected.npz") as file:
        assert file["w"].shape == (2, *made().w_shape)
        assert file["noise5"].shape == (2, 16, 16, 1)
        assert file["distances"].shape == (2, 3)
        assert list(file["names"]) == ["a", "b"]
    for name, column in ((files["style"], 16), (out / "tuned.safetensors", 32)):
        again = [f"--network={name}", f"--latents={out / 'projected.npz'}", f"--out={out / 'x'}"]
        assert run("images", *again) == 0
        for row in range(2):
            shown = columns[16 * row : 16 * row + 16, column : column + 16]
            np.testing.assert_array_equal(pixels(out / "x" / f"image{row:04d}.png"), shown)
    info = networks.snapshot.read_info(out / "tuned.safetensors")
    assert info["tuned from"] == "style.safetensors"
    assert info["steps of tuning"] == 2
    with Image.open(out / "way.gif") as video:
        assert (video.n_frames, video.size) == (3, (32, 16))


def test_a_network_with_labels_starts_at_the_nearest_class(files, photos, tmp_path, capsys):
    ours = sampler("labels")
    w = [projection.w_statistics(ours.Gs, label, 50)[0] for label in np.eye(3, dtype=np.float32)]
    codes = np.broadcast_to(np.stack(w)[:, None], [3, *ours.w_shape])
    Image.fromarray(ours.images(codes)[1][:, :, 0]).save(photos / "a.png")
    assert list(projection.nearest_classes(ours, ours.images(codes))) == [0, 1, 2]
    args = [f"--network={files['labels']}", f"--target={photos / 'a.png'}", f"--out={tmp_path}"]
    assert run("project", *args, "--steps=1") == 0
    assert "w starts at the nearest average, of class 1" in capsys.readouterr().err
    first = np.load(tmp_path / "projected.npz")["distances"]
    assert run("project", *args, "--steps=1", "--class=2") == 0
    assert "nearest" not in capsys.readouterr().err
    assert np.load(tmp_path / "projected.npz")["distances"] > first
    assert run("project", *args, "--class=3") == 2
    assert "--class=3: the network has 3 classes" in capsys.readouterr().err


MISTAKES = {
    "no picture": (["--target={dir}/none.png"], "error: {dir}/none.png: no such file"),
    "no pictures": (["--target={dir}/empty"], "--target={dir}/empty: no picture in it"),
    "not a picture": (["--target={dir}/notes.txt"], "{dir}/notes.txt: is not a PNG, JPEG"),
    "transparent": (["--target={dir}/b.webp"], "{dir}/b.webp: has transparent pixels; --backg"),
    "crop": (["--target={dir}/a.png", "--crop=30,0,40"], "--crop=30,0,40: not inside {dir}/a.png"),
    "crop's form": (["--target={dir}/a.png", "--crop=1,2"], "--crop=1,2: expected 3 numbers"),
    "video": (["--target={dir}/a.png", "--video=x.png"], "--video=x.png: expected a file name"),
    "weights": (
        ["--target={dir}/a.png", "--vgg16_weights={dir}/none"],
        "{dir}/none: no such file; --vgg16_weights takes",
    ),
    "lpips": (["--target={dir}/a.png", "--distance=lpips"], "no weights of vgg16 in"),
    "both": (
        ["--target={dir}/a.png", "--distance=pixels", "--vgg16_weights={dir}/a.png"],
        "--vgg16_weights is for --distance=lpips",
    ),
    "paper": (["--target={dir}/a.png"], "which has no w"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake, files, photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "cache"))
    (photos / "empty").mkdir()
    args, expected = MISTAKES[mistake]
    network = files["paper" if mistake == "paper" else "style"]
    args = [arg.format(dir=photos) for arg in args]
    assert run("project", f"--network={network}", f"--out={tmp_path / 'out'}", *args) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert expected.format(dir=photos) in error
    assert not (tmp_path / "out").exists()


def test_pictures_of_another_kind_are_told(capsys):
    ours, scales = sampler(psi=None), distances.PixelScales()
    spread = projection.spread(ours, scales)
    z = np.random.RandomState(1).randn(100, ours.latent_size)
    images = np.float32(ours.images(ours.codes(z)))
    others = scales.between(scales.embed(images), scales.embed(np.roll(images, 1, axis=0)))
    assert 0.5 * np.median(others) < spread < 2 * np.median(others)
    shown = [targets.Target(name, np.uint8(images[0])) for name in ("a", "stripes")]
    found = projection.Projection(None, [], np.float64([[9, 9], [0.19, 0.21]]) * spread, None)
    commands.tell_strange(ours, scales, shown, found)
    (note,) = capsys.readouterr().err.splitlines()
    assert note.startswith("note: stripes: what the network makes stays 21% as far from it")


def test_a_square_of_the_picture_counts(photos):
    picture = pixels(photos / "a.png")
    (target,) = targets.read(photos / "a.png", 16, 3, crop=(5, 7, 16))
    np.testing.assert_array_equal(target.pixels, picture[7:23, 5:21])
    (target,) = targets.read(photos / "a.png", 16, 1)
    middle = Image.fromarray(picture[:, 12:52]).convert("L").resize((16, 16), Image.LANCZOS)
    np.testing.assert_array_equal(target.pixels[:, :, 0], np.asarray(middle))


def test_pixels_are_compared_at_all_scales_down_to_4x4():
    rng = np.random.RandomState(0)
    a, b = rng.uniform(0, 255, [2, 3, 16, 16, 1])
    scales = distances.PixelScales()
    found = scales.between(scales.embed(a), scales.embed(b)).numpy()
    difference, expected = (a - b) / 127.5, 0
    for side in (16, 8, 4):
        means = difference.reshape(3, side, 16 // side, side, 16 // side).mean(axis=(2, 4))
        expected += np.square(means).mean(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_lpips_has_a_gradient_where_nothing_is_seen(tmp_path):
    import tensorflow as tf

    lpips = Lpips({**vgg16_arrays(), **heads()})
    images = tf.Variable(np.random.RandomState(0).uniform(0, 255, [2, 16, 16, 3]).astype("f"))
    lpips._weights["conv5_3/bias"].assign(tf.fill([512], -1e9))  # all of the last block is 0
    with tf.GradientTape() as tape:
        distance = lpips(images, images[::-1])
    assert np.isfinite(tape.gradient(distance, images).numpy()).all()
    embedded = lpips.embed(images)
    found = lpips.between(embedded, [x[::-1] for x in embedded])
    np.testing.assert_allclose(found, distance, rtol=1e-5)


def test_a_projection_by_lpips_comes_closer():
    ours, lpips = sampler(), Lpips({**vgg16_arrays(), **heads()})
    z = np.random.RandomState(3).randn(1, ours.latent_size)
    target = ours.images(ours.codes(z))
    perceptual = distances.Perceptual(lpips)
    found = projection.project(ours.Gs, target, perceptual, steps=12, progress=False)
    shown = ours.images(found.w, noise_images=found.noise)
    assert lpips(shown, target).numpy() < 0.8 * found.distances[0]


def test_tuning_comes_closer_and_leaves_the_mapping():
    ours = sampler()
    rng = np.random.RandomState(0)
    pixels = np.repeat(rng.randint(0, 256, [1, 4, 4, 3]), 4, axis=1).repeat(4, axis=2)
    pixels = pixels.astype(np.uint8)
    w = ours.codes(rng.randn(1, ours.latent_size))
    noise = ours.Gs.noise_images()
    tuned, shown = tuning.tune(
        ours.Gs, pixels, w, noise, distances.PixelScales(), steps=30, progress=False
    )
    assert shown[-1] < 0.95 * shown[0]
    before, after = ours.Gs.arrays(), tuned.arrays()
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("G_synthesis/") for name in moved)
    assert not any(name.split("/")[-1].startswith("noise") for name in moved)
