"""StyleGAN2-ADA's networks, of PyTorch's pickles, against that version's numbers.

Tolerances as the golden README states them: images and w 2e-5 of the largest magnitude, scores
5e-6, gradients 1e-5.
"""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast, legacy
from tests import golden
from tests.networks.common import error, nchw, nhwc

pytestmark = pytest.mark.conformance

IMAGES, SCORES, GRADIENTS = 2e-5, 5e-6, 1e-5
PLANS = {"plain": fast.PLAIN, "fast": fast.CPU}
FOLDER = "ada/torch_pickles"
# File: the one whose numbers it has.
FILES = {"ta": "ta", "tb": "tb", "te": "te", "te_protocol4": "te", "ts": "ts"}


@pytest.fixture(scope="module", params=FILES)
def recorded(request):
    """(G, D, Gs) of a file, and its recorded numbers."""
    trio = networks.load(golden.path(f"{FOLDER}/{request.param}.pkl"))
    return trio, dict(golden.load(f"{FOLDER}/net_{FILES[request.param]}.npz"))


@pytest.mark.parametrize("plan", PLANS)
def test_a_pickle_computes_what_is_recorded(plan, recorded):
    trio, data = recorded
    with fast.using(PLANS[plan]):
        made = {**_of_generators(trio, data), **_of_discriminator(trio[1], data)}
    kept = {"z", "labels", "d_images", "d_labels", "pl_noise", "images_u8_nhwc"}
    assert set(data) - set(made) == kept
    errors = {key: error(value, data[key]) for key, (value, _) in made.items()}
    worst = max(errors, key=errors.get)
    print(f"worst: {errors[worst]:.1e} {worst}")
    assert not {key: value for key, value in errors.items() if not value <= made[key][1]}
    u8 = np.clip(nhwc(made["images_const"][0])[:2] * 127.5 + 128, 0, 255).astype(np.uint8)
    assert np.abs(np.int32(u8) - data["images_u8_nhwc"]).max() <= 1


def _of_generators(trio, data):
    G, _, Gs = trio
    z, labels = data["z"], data["labels"]
    w = Gs.mapping(z, labels)
    made = {
        "G/ws": G.mapping(z, labels),
        "G_ema/ws": w,
        "G/w_avg": G.named["dlatent_avg"],
        "G_ema/w_avg": Gs.named["dlatent_avg"],
        "images_none": nchw(Gs(z, labels, noise="none")),
        "images_const": nchw(Gs(z, labels, noise="fixed")),  # no truncation, by default
        "images_G_const": nchw(G(z, labels, noise="fixed")),
        "ws_mixed": tf.concat([w[:, :3], w[::-1, 3:]], axis=1),
    }
    made["images_mixed"] = nchw(Gs.synthesis(made["ws_mixed"], noise="fixed"))
    for key in data:
        match = re.fullmatch(r"ws_psi(.+)_cut(.+)", key)
        if match is not None:
            cutoff = None if match[2] == "None" else int(match[2])
            made[key] = Gs.truncate(w, float(match[1]), cutoff)
            made[f"images_{key[3:]}"] = nchw(Gs.synthesis(made[key], noise="fixed"))
    noise = tf.constant(nhwc(data["pl_noise"]))
    with tf.GradientTape() as tape:
        tape.watch(w)
        total = tf.reduce_sum(Gs.synthesis(w, noise="fixed") * noise) / Gs.resolution
    gradient = tape.gradient(total, w)
    return {key: (v, IMAGES) for key, v in made.items()} | {"pl_grad_ws": (gradient, GRADIENTS)}


def _of_discriminator(D, data):
    images, labels = tf.constant(nhwc(data["d_images"])), tf.constant(data["d_labels"])
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = D(images, labels)
        total = tf.reduce_sum(scores)
    made = {"scores": (scores, SCORES)}
    made["d_grad_images"] = nchw(tape.gradient(total, images)), GRADIENTS
    for key in data:
        if key.startswith("scores_first"):
            count = int(key[len("scores_first") :])
            made[key] = D(images[:count], labels[:count]), SCORES
        if key == "cmap":
            made[key] = D.mapped_labels(labels), IMAGES
    return made


def without_average(module, **attributes):
    """A generator whose mapping network keeps no average of w."""
    mapping = module.modules["mapping"]
    kept = {**mapping.attributes, "w_avg_beta": None, **attributes}
    mapping = dataclasses.replace(mapping, buffers={}, attributes=kept)
    inside = {**module.modules, "mapping": mapping}
    return dataclasses.replace(
        module, modules=inside, attributes={**module.attributes, **attributes}
    )


def test_a_generator_without_an_average_of_w():
    module = legacy.read(golden.path(f"{FOLDER}/ta.pkl"))["Gs"]
    Gs = legacy.to_keras(without_average(module))
    assert not np.any(Gs.named["dlatent_avg"])
    assert Gs.options["dlatent_avg_beta"] is None
    with pytest.raises(ValueError, match="dlatent_size=1099511627776, expected 65,536 at most"):
        legacy.to_keras(without_average(module, w_dim=2**40))
