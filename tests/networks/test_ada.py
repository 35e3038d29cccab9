"""StyleGAN2-ADA's networks against the numbers of the TensorFlow version.

Tolerances as the golden README states them: images and w 2e-5 of the largest magnitude, scores
5e-6.
"""

import re

import numpy as np
import pytest

import networks
from networks import fast, legacy
from tests import golden
from tests.networks.common import error, nchw, nhwc

pytestmark = pytest.mark.conformance

IMAGES, SCORES = 2e-5, 5e-6
PLANS = {"plain": fast.PLAIN, "fast": fast.CPU}


@pytest.fixture(scope="module")
def va():
    return networks.load(golden.path("ada/ada_tf_pickles/va.pkl"))


def test_a_tensorflow_pickle_has_the_recorded_variables(va):
    meta = golden.load("ada/ada_tf_pickles/va_meta.json")
    for role, network in zip(legacy.ROLES, va):
        rows = meta[role[0]]["vars"]
        assert list(network.named) == [row["name"] for row in rows]
        assert list(network.trainable()) == [row["name"] for row in rows if row["trainable"]]
        for row in rows:
            wanted = golden.recipe("va", role, row["name"], row["shape"])
            np.testing.assert_array_equal(network.named[row["name"]], wanted)


@pytest.mark.parametrize("plan", PLANS)
def test_a_tensorflow_pickle_computes_what_is_recorded(plan, va):
    G, D, Gs = va
    data = dict(golden.load("ada/ada_tf_pickles/net_va.npz"))
    z, labels = data["z"], data["labels"]
    with fast.using(PLANS[plan]):
        made = {
            "G/dlatents": (G.mapping(z, labels), IMAGES),
            "Gs/dlatents": (Gs.mapping(z, labels), IMAGES),
            "G/dlatent_avg": (G.named["dlatent_avg"], 0),
            "Gs/dlatent_avg": (Gs.named["dlatent_avg"], 0),
            "images_lod0": (nchw(Gs.synthesis(data["Gs/dlatents"], noise="fixed")), IMAGES),
        }
        for key in data:
            if key.startswith("images_run_"):
                network, options = _of_a_run(key, G, Gs)
                images = network.run(z, labels, randomize_noise=False, **options)
                made[key] = images, IMAGES
            if key.startswith("scores_"):
                count = int(key.partition("first")[2] or len(data["d_images"]))
                images, of = data["d_images"][:count], data["d_labels"][:count]
                made[key] = D(nhwc(images), of), SCORES
    assert set(data) - set(made) == {"z", "labels", "d_images", "d_labels"}
    errors = {key: error(value, data[key]) for key, (value, _) in made.items()}
    print({key: f"{value:.1e}" for key, value in errors.items()})
    assert not {key: value for key, value in errors.items() if not value <= made[key][1]}


def _of_a_run(key, G, Gs):
    """The network and the keywords of an array 'images_run_psi0.7_cut8'."""
    options = {}
    for kind, value in re.findall(r"(psi|cut)([-0-9.]+|None)", key):
        name = {"psi": "truncation_psi", "cut": "truncation_cutoff"}[kind]
        options[name] = None if value == "None" else float(value)
    if key.endswith("validation"):
        options["is_validation"] = True
    return (G if "_G_" in key else Gs), options
