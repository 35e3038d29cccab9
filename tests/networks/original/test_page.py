"""The blocks of docs/from-the-original.md: each runs, and the page holds exactly these."""

import inspect
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import networks
from compute.images import convert_images_to_uint8
from tests.networks.common import (
    error,
    images_for,
    labels_for,
    nchw,
    nhwc,
    normal,
)
from tests.networks.original.common import TOLERANCE

PAGE = Path(__file__).resolve().parents[3] / "docs" / "from-the-original.md"

pytestmark = pytest.mark.conformance


SNIPPETS = {}  # {name: (function, its text on the page, the check of what it returns)}


def snippet(check):
    """A block of the page: the function's text from "# here" on, without the last line, return.

    Arguments are those of `world`; check: (world, what is returned) → truth.
    """

    def register(function):
        lines = inspect.getsource(function).splitlines()
        first = next(n for n, line in enumerate(lines) if line.startswith("    # here"))
        text = textwrap.dedent("\n".join(lines[first:-1]))
        SNIPPETS[function.__name__] = (function, text, check)
        return function

    return register


@pytest.fixture
def world(pair, tmp_path, monkeypatch):
    """What the page's blocks take as given, and some of what they should give."""
    Gs, D = pair
    networks.save(tmp_path / "networks.safetensors", G=Gs.network, D=D.network, Gs=Gs.network)
    monkeypatch.chdir(tmp_path)  # one block writes a file
    latents, images = normal(2, 8), nchw(images_for(D.network, 8))
    fixed = nchw(Gs.network(latents, noise="fixed", truncation_psi=None))
    return dict(
        path="networks.safetensors",
        G=Gs,
        D=D,
        Gs=Gs,
        latents=latents,
        psi=0.5,
        fixed=fixed,
        images=images,
        labels=labels_for(D.network, 8),
        rnd=np.random.RandomState(1),
        truncated=nchw(Gs.network(latents, noise="fixed", truncation_psi=0.5, truncation_cutoff=6)),
        own=nchw(Gs.network(latents, noise="fixed")),
        at_lod=nchw(Gs.network(latents, noise="fixed", lod=1.5)),
        scores=D.network(nhwc(images[:4]), labels_for(D.network, 8)[:4]),
    )


def close(found, wanted):
    return error(found, wanted) <= TOLERANCE


@snippet(lambda world, found: [n.name for n in found] == ["G", "D", "Gs"])
def loading(path):
    # here: a path, an http(s) address or a published network's name; nothing to initialise
    import networks

    G, D, Gs = networks.load_runnable(path)
    networks.save("copy.safetensors", G=G.network, D=D.network, Gs=Gs.network)
    return networks.load_runnable("copy.safetensors")


@snippet(lambda world, found: (found.shape, found.dtype) == ((1, 16, 16, 3), np.uint8))
def images_from_latents(Gs):
    # here
    fmt = dict(func=networks.convert_images_to_uint8, nchw_to_nhwc=True)
    latents = np.random.RandomState(5).randn(1, Gs.input_shape[1])
    images = Gs.run(latents, None, truncation_psi=0.7, randomize_noise=True, output_transform=fmt)
    return images


@snippet(lambda world, found: tf.reduce_all(found[0] == found[1]) and found[0].shape[-1] == 3)
def images_our_own(Gs, latents):
    again = Gs.network(latents, truncation_psi=0.7, noise="random", seed=1)
    # here, our own: tensors [N, H, W, C]; equal seeds give equal noise
    images = Gs.network(latents, truncation_psi=0.7, noise="random", seed=1)
    return images, again


@snippet(
    lambda world, found: (
        np.abs(found - np.float32(convert_images_to_uint8(world["fixed"], nchw_to_nhwc=True))).max()
        <= 1
    )
)
def parts(Gs, latents):
    # here
    fmt = dict(func=networks.convert_images_to_uint8, nchw_to_nhwc=True)
    synthesis_kwargs = dict(output_transform=fmt, minibatch_size=8)
    w = Gs.components.mapping.run(latents, None)  # [N, layers, dlatent_size]
    images = Gs.components.synthesis.run(w, randomize_noise=False, **synthesis_kwargs)
    return images


@snippet(lambda world, found: close(nchw(found), world["fixed"]))
def parts_our_own(Gs, latents):
    # here, our own
    w = Gs.network.mapping(latents)
    images = Gs.network.synthesis(w, noise="fixed")  # or "random", or "none"
    return images


@snippet(lambda world, found: close(found, world["truncated"]))
def truncation(Gs, latents, psi):
    # here
    w = Gs.components.mapping.run(latents, None)
    w_avg = Gs.get_var("dlatent_avg")  # [dlatent_size]
    w = w_avg + (w - w_avg) * psi
    images = Gs.components.synthesis.run(w, randomize_noise=False)
    return images


@snippet(lambda world, found: close(nchw(found), world["truncated"]))
def truncation_our_own(Gs, latents, psi):
    # here, our own: cutoff None is no truncation, so name all layers
    w = Gs.network.truncate(Gs.network.mapping(latents), psi, Gs.network.num_layers)
    images = Gs.network.synthesis(w, noise="fixed")
    return images


@snippet(
    lambda world, found: (
        close(found[0], nchw(world["Gs"].network.synthesis(found[1], noise="fixed")))
        and not close(found[0], world["fixed"][:1])
        and not close(found[0], world["fixed"][1:])
    )
)
def style_mixing(Gs, latents):
    # here
    w = Gs.components.mapping.run(latents, None)
    mixed = w[:1].copy()
    mixed[:, 0:4] = w[1:2, 0:4]  # the coarse styles of another image
    images = Gs.components.synthesis.run(mixed, randomize_noise=False)
    return images, np.concatenate([w[1:2, :4], w[:1, 4:]], axis=1)


@snippet(
    lambda world, found: (
        close(found, nchw(world["Gs"].network(world["latents"], noise="fixed")))
        and not close(found, world["own"])
    )
)
def noise_variables(Gs, latents, rnd):
    # here
    synthesis = Gs.components.synthesis
    noise_vars = [var for name, var in synthesis.vars.items() if name.startswith("noise")]
    for var in noise_vars:
        var.assign(rnd.randn(*var.shape))
    images = Gs.run(latents, None, randomize_noise=False)
    return images


@snippet(
    lambda world, found: (
        np.array_equal(found[0].get_var("G_synthesis/4x4/Conv/weight"), found[1] * 0.5)
        and found[2] == sum(w.numpy().size for w in world["G"].network.trainable().values())
    )
)
def variables(G):
    # here
    weight = G.get_var("G_synthesis/4x4/Conv/weight")
    G.set_var("G_synthesis/4x4/Conv/weight", weight * 0.5)
    average = G.clone("Gs")
    average.copy_vars_from(G)
    count = sum(np.prod(var.shape) for var in G.trainables.values())
    G.print_layers()
    return average, weight, count


@snippet(lambda world, found: np.array_equal(*found))
def variables_our_own(G):
    before = G.get_var("G_synthesis/4x4/Conv/weight")
    # here, our own: all variables at once, {name: array}
    arrays = G.network.arrays()
    arrays["G_synthesis/4x4/Conv/weight"] *= 0.5
    G.network.set_arrays(arrays)
    return G.get_var("G_synthesis/4x4/Conv/weight"), before * 0.5


@snippet(lambda world, found: close(found, world["at_lod"]))
def level_of_detail(Gs, latents):
    # here
    Gs.set_var("lod", 1.5)
    images = Gs.run(latents, None, randomize_noise=False)
    return images


@snippet(lambda world, found: close(nchw(found), world["at_lod"]))
def level_of_detail_our_own(Gs, latents):
    # here, our own: of one call, or with set_lod of all that follow
    images = Gs.network(latents, noise="fixed", lod=1.5)
    return images


@snippet(lambda world, found: close(found[:4], world["scores"]) and found.shape == (8, 1))
def discriminator_scores(D, images, labels):
    # here
    scores = D.run(images, labels, minibatch_size=4)  # images [N, C, H, W] in [-1, 1]
    return scores


@snippet(lambda world, found: close(found, world["scores"]))
def discriminator_our_own(D, images, labels):
    # here, our own: images [N, H, W, C]
    scores = D.network(np.transpose(images[:4], [0, 2, 3, 1]), labels[:4])
    return scores


@snippet(lambda world, found: found.shape == (2, 6, 8) and np.abs(found).min() > 0)
def gradients(Gs, latents):
    # here: the network itself is differentiable
    w = tf.Variable(Gs.components.mapping.run(latents, None))
    with tf.GradientTape() as tape:
        images = Gs.network.synthesis(w, noise="fixed")
        loss = tf.reduce_mean(tf.square(images))
    gradient = tape.gradient(loss, w)
    return gradient


@snippet(lambda world, found: (found.shape, found.dtype) == ((8, 3, 8, 8), np.uint8))
def progressive_gan(Gs, labels):
    latents = normal(8, 8)
    # here
    images = Gs.run(latents, labels, out_mul=127.5, out_add=127.5, out_shrink=2, out_dtype=np.uint8)
    return images


@pytest.mark.parametrize("name", SNIPPETS)
def test_the_page_s_blocks(name, world):
    function, _, check = SNIPPETS[name]
    found = function(*[world[argument] for argument in inspect.signature(function).parameters])
    assert check(world, found)


def test_the_page_has_these_blocks_and_no_others():
    blocks = re.findall(r"```python\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ours = [block for block in blocks if not block.startswith("# original\n")]
    assert sorted(ours) == sorted(text for _, text, _ in SNIPPETS.values())
    assert len(blocks) - len(ours) >= 10
