"""Where things are in the figures: each cell is compared with the network's own image."""

import numpy as np
import pytest

from compute.images import to_uint8
from dnnlib.errors import UserError
from generation import figures, latents
from tests.generation.common import close_levels, sampler

SIZE = 16


def image_of(ours, seed, **options):
    """One image, straight from the network."""
    z = latents.from_seeds([seed], ours.latent_size)
    labels = latents.labels_for([seed], ours.label_size, options.pop("label", None))
    return to_uint8(ours.Gs(z, labels, noise="fixed", **options).numpy())[0]


def cell(picture, column, row, size=SIZE):
    return picture[row * size : (row + 1) * size, column * size : (column + 1) * size]


# ---------------------------------------------------------------- figures 2 and 10 to 12


def test_uncurated_columns_shrink():
    ours = sampler()
    picture = figures.uncurated(ours, 3, rows=2, lods=[0, 1, 1], crop=(0, 4, 16, 8))
    assert picture.shape == (16, 32, 3)
    z = np.random.RandomState(3).randn(10, 8).astype(np.float32)
    images = to_uint8(ours.Gs(z, noise="fixed").numpy())[:, 4:12]
    small = images.reshape(10, 4, 2, 8, 2, 3).astype(float).mean(axis=(2, 4))
    close_levels(picture[:, :16], np.concatenate(images[:2]))
    close_levels(picture[:, 16:24], np.rint(np.concatenate(small[2:6])))
    close_levels(picture[:, 24:], np.rint(np.concatenate(small[6:])))


def test_uncurated_from_the_last_seed():
    ours = sampler(noise="random")
    picture = figures.uncurated(ours, 2**32 - 1, rows=2, lods=[0])
    assert picture.shape == (32, 16, 3)


def test_uncurated_defaults_and_mistakes():
    ours = sampler("labels")
    # 16 pixels halve once before they are fewer than 8.
    assert figures.uncurated(ours, 0).shape == (48, 24, 1)
    for crop in ((0, 0, 17, 4), (-1, 0, 4, 4), (12, 0, 8, 8), (0, 0, 0, 4)):
        with pytest.raises(UserError, match=r"--crop=.*16 by 16 pixels"):
            figures.uncurated(ours, 0, crop=crop)
    with pytest.raises(UserError, match="--rows=1000: 16,000 images, more than 10,000"):
        figures.uncurated(ours, 0, rows=1000, lods=[4])
    with pytest.raises(UserError, match="--lods: cells of 16 by 16 pixels allow 0 to 4"):
        figures.uncurated(ours, 0, lods=[0, 5])


# ---------------------------------------------------------------- figure 3


def test_style_mixing():
    ours = sampler()
    picture = figures.style_mixing(ours, [1, 2, 3], [4, 5], [range(2), range(3, 6)])
    assert picture.shape == (3 * SIZE, 4 * SIZE, 3)
    assert (cell(picture, 0, 0) == 255).all()
    for column, seed in enumerate([1, 2, 3]):
        close_levels(cell(picture, column + 1, 0), image_of(ours, seed))
    for row, seed in enumerate([4, 5]):
        close_levels(cell(picture, 0, row + 1), image_of(ours, seed))

    def w(seed):
        Gs = ours.Gs
        return Gs.truncate(Gs.mapping(latents.from_seeds([seed], 8))).numpy()

    mixed = np.concatenate([w(3)[:, :2], w(4)[:, 2:]], axis=1)
    expected = to_uint8(ours.Gs.synthesis(mixed, noise="fixed").numpy())[0]
    close_levels(cell(picture, 3, 1), expected)
    mixed = np.concatenate([w(5)[:, :3], w(1)[:, 3:]], axis=1)
    expected = to_uint8(ours.Gs.synthesis(mixed, noise="fixed").numpy())[0]
    close_levels(cell(picture, 1, 2), expected)


@pytest.mark.parametrize(
    ("layers", "coarse", "middle", "fine"),
    [
        (18, (0, 4), (4, 8), (8, 18)),  # the paper's
        (10, (0, 4), (4, 8), (8, 10)),
        (8, (0, 2), (2, 4), (4, 8)),
        (6, (0, 1), (1, 2), (2, 6)),
        (4, (0, 1), (1, 2), (2, 4)),
    ],
)
def test_presets(layers, coarse, middle, fine):
    expected = [range(*bounds) for bounds in (coarse, middle, fine)]
    assert [figures.preset_layers(name, layers) for name in figures.PRESETS] == expected
    assert figures.parse_styles("coarse,middle, fine,1-2,3", layers) == [
        *expected,
        range(1, 3),
        range(3, 4),
    ]


def test_styles_that_are_none():
    with pytest.raises(UserError, match="--styles: a network of 2 layers has none for fine styles"):
        figures.preset_layers("fine", 2)
    for text in ("", "corse", "1-", "-1", "1-2-3", "a-b"):
        with pytest.raises(UserError, match=r"--styles=.*expected coarse, middle, fine or layers"):
            figures.parse_styles(text, 6)
    for text in ("6", "4-6", "3-2"):
        with pytest.raises(UserError, match=r"--styles=.*not within layers 0-5"):
            figures.parse_styles(text, 6)
    with pytest.raises(UserError, match="3 rows and 2 styles"):
        figures.style_mixing(sampler(), [1], [2, 3, 4], [range(2)] * 2)


def test_one_choice_of_styles_is_for_all_rows():
    ours = sampler()
    one, each = (figures.style_mixing(ours, [1], [2, 3], [range(2)] * n) for n in (1, 2))
    np.testing.assert_array_equal(one, each)


# ---------------------------------------------------------------- figures 4 and 5


def test_noise_detail():
    ours = sampler(noise="random")
    picture = figures.noise_detail(ours, [2, 6], crop=(4, 8, 8), count=6)
    assert picture.shape == (2 * SIZE, 3 * SIZE, 3)
    code = ours.codes(latents.from_seeds([6], 8))
    seeds = [(6 + 7919 * index) % 2**32 for index in range(6)]
    images = ours.images(np.repeat(code, 6, axis=0), noise_seeds=seeds)
    np.testing.assert_array_equal(cell(picture, 0, 1), images[0])
    for index in range(4):  # at the size of the detail nothing is resampled
        x, y = SIZE + index % 2 * 8, SIZE + index // 2 * 8
        np.testing.assert_array_equal(picture[y : y + 8, x : x + 8], images[index, 8:16, 4:12])
    deviation = images.astype(float).mean(axis=3).std(axis=0)
    expected = np.rint(deviation * 4).clip(0, 255)
    close_levels(cell(picture, 2, 1), np.repeat(expected[:, :, None], 3, axis=2))
    assert deviation.max() > 1


def test_noise_detail_of_one_channel_and_its_mistakes():
    ours = sampler("labels", noise="random")
    assert figures.noise_detail(ours, [0], count=4, label=1).shape == (SIZE, 3 * SIZE, 1)
    with pytest.raises(UserError, match="--crop=9,0,8"):
        figures.noise_detail(ours, [0], crop=(9, 0, 8))
    with pytest.raises(UserError, match="--count=3"):
        figures.noise_detail(ours, [0], count=3)
    with pytest.raises(UserError, match="noise-detail needs a generator with noise"):
        figures.noise_detail(sampler("paper"), [0])


def test_noise_sets():
    coarse = {log2: len(figures.noise_sets(log2)["coarse"]) for log2 in range(2, 11)}
    # Of 1024 pixels those of 4 to 32, as in the paper.
    assert coarse == {2: 0, 3: 2, 4: 2, 5: 4, 6: 4, 7: 6, 8: 6, 9: 8, 10: 8}
    sets = figures.noise_sets(5)
    assert sets["all"] == list(range(8)) == sets["coarse"] + sets["fine"]
    assert list(sets) == ["all", "none", "fine", "coarse"]


def test_noise_components():
    ours, none = sampler(), sampler(noise="none")
    picture = figures.noise_components(ours, [3, 5])
    assert picture.shape == (2 * SIZE, 4 * SIZE, 3)
    close_levels(cell(picture, 0, 1), image_of(ours, 5))
    code = ours.codes(latents.from_seeds([5], 8))
    close_levels(cell(picture, 1, 1), none.images(code)[0])
    close_levels(cell(picture, 2, 1), ours.images(code, noise_layers=range(2, 6))[0])
    close_levels(cell(picture, 3, 1), ours.images(code, noise_layers=range(2))[0])


# ---------------------------------------------------------------- figure 8


@pytest.mark.parametrize("kind", ["style", "traditional", "labels"])
def test_truncation(kind):
    ours = sampler(kind)
    picture = figures.truncation(ours, [1, 4], [1.0, 0.5, -1.0])
    assert picture.shape == (2 * SIZE, 3 * SIZE, ours.channels)
    for row, seed in enumerate([1, 4]):
        for column, psi in enumerate([1.0, 0.5, -1.0]):
            expected = image_of(ours, seed, truncation_psi=psi, truncation_cutoff=99)
            close_levels(cell(picture, column, row), expected)
    average = figures.truncation(ours, [1, 4], [0.0])
    close_levels(cell(average, 0, 0), cell(average, 0, 1))


def test_truncation_needs_w():
    with pytest.raises(UserError, match="truncation needs a generator with w"):
        figures.truncation(sampler("paper"), [1], [1.0])


# ---------------------------------------------------------------- parts


def test_enlarge_keeps_places():
    image = np.zeros([4, 4, 2], np.uint8)
    image[:2, 2:, 1] = 200
    large = figures.enlarge(image, 16, 16)
    assert large.shape == (16, 16, 2)
    assert (large[1:5, 11:15, 1] > 180).all()
    assert (large[10:, :6] == 0).all()
