"""From latents to images: the network's own, whatever the company, on any machine."""

from types import SimpleNamespace

import numpy as np
import pytest

from compute.images import to_uint8
from dnnlib.errors import UserError
from generation import latents
from networks.sampling import (
    Sampler,
    minibatch_size,
    noise_images,
)
from tests.generation.common import KINDS, close_levels, made, sampler
from tests.networks.common import generator

pytestmark = pytest.mark.conformance


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", ["fixed", "none"])
def test_images_are_the_networks(kind, noise):
    ours = sampler(kind, psi=0.5, cutoff=3, noise=noise)
    z = latents.from_seeds(range(5), ours.latent_size)
    labels = latents.labels_for(range(5), ours.label_size)
    expected = ours.Gs(z, labels, truncation_psi=0.5, truncation_cutoff=3, noise=noise)
    images = ours.images(ours.codes(z, labels))
    assert images.dtype == np.uint8
    close_levels(images, to_uint8(expected.numpy()))


def test_the_networks_own_truncation_and_lod():
    Gs = made()
    Gs.set_lod(1.25)
    z = latents.from_seeds([7], 8)
    ours = Sampler(Gs, progress=False)
    close_levels(ours.images(ours.codes(z)), to_uint8(Gs(z, noise="fixed").numpy()))
    untruncated = ours.codes(z, psi=1.0)
    np.testing.assert_allclose(untruncated, Gs.mapping(z), rtol=1e-6)
    assert np.abs(untruncated - ours.codes(z)).max() > 0.01


@pytest.mark.parametrize("noise", ["fixed", "random"])
def test_the_minibatch_changes_nothing(noise):
    ours = sampler(noise=noise)
    codes = ours.codes(latents.from_seeds(range(5), 8))
    images = {}
    for ours.minibatch in (1, 2, 5, 64):
        images[ours.minibatch] = ours.images(codes, noise_seeds=range(5))
    for found in images.values():
        close_levels(found, images[1])


def test_random_noise_is_the_seeds():
    ours = sampler(noise="random")
    codes = np.repeat(ours.codes(latents.from_seeds([0], 8)), 3, axis=0)
    images = ours.images(codes, noise_seeds=[4, 9, 4])
    np.testing.assert_array_equal(images[0], images[2])
    assert (images[0] != images[1]).mean() > 0.3
    drawn = [image[None] for image in noise_images(9, ours.noise_shapes)]
    assert [image.shape for image in drawn] == [(1, s, s, 1) for s in (4, 4, 8, 8, 16, 16)]
    rng = np.random.RandomState([9, 1])
    np.testing.assert_array_equal(drawn[0], np.float32(rng.randn(1, 4, 4, 1)))
    expected = ours.Gs.synthesis(codes[:1], noise=drawn)
    close_levels(images[1:2], to_uint8(expected.numpy()))


def test_noise_and_latents_of_a_seed_have_nothing_in_common():
    z = latents.from_seeds([7], 512)[0]
    noise = np.concatenate([image.ravel() for image in noise_images(7, [(16, 16)] * 2)])[:512]
    assert abs(np.corrcoef(z, noise)[0, 1]) < 0.2
    assert not np.isin(z, noise).any()


def test_the_originals_noise_follows_the_latent():
    """r = RandomState(seed); z = r.randn(1, latent); each buffer in turn = r.randn of its shape."""
    ours = sampler(noise="original")
    rng = np.random.RandomState(9)
    codes = ours.codes(np.float32(rng.randn(1, 8)))
    drawn = [np.float32(rng.randn(1, size, size, 1)) for size in (4, 4, 8, 8, 16, 16)]
    expected = to_uint8(ours.Gs.synthesis(codes, noise=drawn).numpy())
    found = ours.images(ours.codes(latents.from_seeds([9], 8)), noise_seeds=[9])
    close_levels(found, expected)
    assert (found != sampler(noise="random").images(codes, noise_seeds=[9])).mean() > 0.3


def test_noise_in_some_layers():
    fixed, none = sampler(), sampler(noise="none")
    codes = fixed.codes(latents.from_seeds([0, 1], 8))
    close_levels(fixed.images(codes, noise_layers=[]), none.images(codes))
    close_levels(fixed.images(codes, noise_layers=range(6)), fixed.images(codes))
    last = fixed.images(codes, noise_layers=[5])
    images = fixed.Gs.noise_images()
    expected = fixed.Gs.synthesis(codes, noise=[None] * 5 + images[5:])
    close_levels(last, to_uint8(expected.numpy()))
    assert (last != fixed.images(codes)).mean() > 0.1


def test_given_noise_must_fit():
    Gs = generator()
    w = np.zeros([1, 6, 8], np.float32)
    with pytest.raises(ValueError, match="5 noise images, expected 6"):
        Gs.synthesis(w, noise=[None] * 5)
    wrong = [None] * 5 + [np.zeros([1, 8, 8, 1], np.float32)]
    with pytest.raises(ValueError, match=r"noise image 5 has shape .*, expected \[N or 1, 16, 16"):
        Gs.synthesis(w, noise=wrong)


def test_a_seed_is_the_same_image_on_every_stack():
    """Recorded once; TensorFlow 2.15 and 2.21 both come within 1e-4 of the range."""
    ours = sampler("labels", noise="random")
    codes = ours.codes(latents.from_seeds([11], 8), latents.labels_for([11], 3))
    noise = ours._noise(tuple(range(6)), [11], np.arange(1))
    image = ours._renderer(codes, noise=noise).numpy()[0, :, :, 0]
    np.testing.assert_allclose(image[::5, ::5], RECORDED, atol=1e-4 * np.abs(image).max())


RECORDED = [
    [-0.173091, -0.036839, -0.144571, -0.225311],
    [-0.226967, -0.449959, -0.415658, -0.159551],
    [-0.209166, -0.714289, -0.354287, -0.729396],
    [-0.423197, -0.658209, -0.482638, -0.299967],
]


def test_the_memory_bound():
    fmaps = [min(8192 >> (log2 - 1), 512) for log2 in range(2, 11)]
    widest = max(4**log2 * (maps + 3) for log2, maps in zip(range(2, 11), fmaps))
    wide = SimpleNamespace(widest_layer=widest)
    sizes = [minibatch_size(wide, memory) for memory in (0.0, 0.1, 2, 4, 1e9)]
    assert sizes[:2] == [1, 1]
    assert 1 < sizes[2] < sizes[3] < sizes[4] == 64
    assert minibatch_size(generator(), 2) == 64


def test_channels_that_no_picture_has():
    with pytest.raises(UserError, match="no picture has 5 channels"):
        Sampler(generator(num_channels=5))


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        ((0.7, 8), (0.5, None), (0.5, 8)),
        ((0.7, 4), (None, 6), (0.7, 6)),
        ((None, None), (0.5, None), (0.5, 8)),
        ((None, 3), (None, 6), (0.7, 6)),
        ((0.6, None), (1.0, 2), (1.0, 2)),
    ],
)
def test_truncation_that_is_asked_for_always_happens(own, given, expected):
    Gs = generator(truncation_psi=own[0], truncation_cutoff=own[1])
    assert Gs.truncation(*given) == dict(zip(("psi", "cutoff"), expected))


def test_what_needs_styles_or_noise_says_so():
    sampler().need_styles("x")
    sampler().need_noise("x")
    with pytest.raises(UserError, match="x needs a generator with styles; this is a G_style with"):
        sampler("traditional").need_styles("x")
    with pytest.raises(UserError, match=r"noise inputs; .* without styles and without noise"):
        sampler("traditional").need_noise("x")
    with pytest.raises(UserError, match="this is a Progressive GAN"):
        sampler("paper").need_noise("x")
