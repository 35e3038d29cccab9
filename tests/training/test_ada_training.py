"""StyleGAN2-ADA's networks in training: the original's losses and gradients, and a small run.

Tolerances as the golden README states them: scores and losses 5e-6 absolute, gradients 1e-5 of a
tensor's maximum.
"""

import contextlib
import dataclasses
import json
import math
import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from dnnlib.pickles import torch_networks
from networks import layers, registry, snapshot, torch_names
from tests import golden
from tests.networks.common import error, nchw, nhwc
from tests.training.augmentation.percentile import at_percentile
from tests.training.small import assert_same_bits, final_state, small_config
from training import checkpoint, choices, presets
from training.augmentation import pipeline
from training.augmentation.transforms import Transforms
from training.loop import train
from training.losses import LOSSES, Batch, Game
from training.regularizers import REGULARIZERS
from training.state import create_state
from training.transfer import transfer

pytestmark = pytest.mark.conformance

SCORES, GRADIENTS = 5e-6, 1e-5
SMALL = dict(fmap_base=32, fmap_max=8, conv_clamp=256)
# No growing, path length and R1 in every second round, gradients over two passes.
RUN = dict(
    G=dict(func_name="G_ada", latent_size=6, dlatent_size=9, mapping_layers=2, **SMALL),
    D=dict(func_name="D_ada", mapping_layers=1, **SMALL),
    G_loss=dict(func_name="G_logistic_ns_pathreg", interval=2),
    D_loss=dict(func_name="D_logistic_r1", interval=2, gamma=1.0),
    G_first=True,
    bad_gradients="replace",
    minibatch_repeats=1,
    total_kimg=0.024,
    schedule=dict(
        lod_initial_resolution=None,
        minibatch_base=8,
        minibatch_gpu_base=4,
        tick_kimg_base=0.008,
        tick_kimg_dict={},
    ),
)


@pytest.mark.parametrize("variant", ["none", "p0.3", "p0.8"])
def test_losses_and_gradients_are_the_originals(variant):
    """D sees images as they are, or augmented; R1's gradient is of those before that."""
    G, D, _ = networks.load(golden.path("ada/torch_pickles/ta.pkl"))
    data = dict(golden.load("ada/augment/loss_ta.npz"))
    labels, transforms = tf.zeros([4, 0]), Transforms.of("bgc")

    def augmented(images):
        if variant == "none":
            return images
        parameters = at_percentile(transforms, float(variant[1:]), images, None)
        return pipeline.apply(images, transforms, parameters)

    game = Game(discriminate=lambda images, labels: D.stage(augmented(images), labels, 0))
    reals = tf.constant(nhwc(data["reals"]))
    with tf.GradientTape(persistent=True) as tape:
        fakes = G(data["z"], noise="fixed")
        loss, terms = LOSSES["D_logistic"](game, reals, tf.stop_gradient(fakes), labels)
        penalty, parts = REGULARIZERS["D_r1"].penalty(
            game, Batch(labels, tf.constant(data["z"]), reals), r1_gamma=2.5
        )
        loss_of_G = LOSSES["G_logistic_nonsaturating"](game, fakes, labels)[0]
        totals = {
            "Dmain": tf.reduce_mean(loss),
            "Dreg": 16 * tf.reduce_mean(penalty),
            "Gmain": tf.reduce_mean(loss_of_G),
        }
    for key, value in {
        "Dmain/Loss/scores/fake": terms["scores/fake"],
        "Dmain/Loss/scores/real": terms["scores/real"],
        "Dmain/Loss/D/loss": loss,
        "Dreg/Loss/r1_penalty": parts["r1_penalty"][:, 0],
        "Dreg/Loss/D/reg": penalty[:, 0],
        "Gmain/Loss/G/loss": loss_of_G,
    }.items():
        expected = data[f"{variant}/{key}"]
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=SCORES, err_msg=key)
    compared = 0
    for phase, total in totals.items():
        network, kind = (G, "Generator") if phase == "Gmain" else (D, "Discriminator")
        gradients = tape.gradient(total, network.named)
        start = f"{variant}/{phase}/grad/"
        for key in (key for key in data if key.startswith(start)):
            name, operation = torch_names.tensorflow_name(kind, key[len(start) :])
            if operation == "minus 1":  # of a value; its gradient is the same
                operation = "copy"
            expected = torch_names.FORWARD[operation](data[key])
            came = gradients[name]
            came = tf.zeros_like(network.named[name]) if came is None else came
            if expected.any():
                # Scalars are sums with cancellation, as in StyleGAN2's own recordings.
                assert error(came, expected) <= (GRADIENTS if expected.ndim else 5e-5), key
            else:
                assert not np.any(came), key
            compared += 1
    assert compared == (26 if variant == "none" else 76)
    with tf.GradientTape() as tape:
        tape.watch(reals)
        total = tf.reduce_sum(game.discriminate(reals, labels))
    expected = data[f"{variant}/r1_grad_images"]
    assert error(nchw(tape.gradient(total, reals)), expected) <= GRADIENTS


def test_a_run_with_labels_trains_and_continues_exactly(tmp_path):
    """Path length, R1 and the average of w go through bounds, embedded labels and their layers."""
    config = small_config(**RUN)
    tf.config.run_functions_eagerly(True)
    try:
        assert train(config, tmp_path) == 0
        expected, progress = final_state(tmp_path)
        checkpoint.paths(tmp_path)[-1].unlink()
        assert train(config, tmp_path) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    state, again = final_state(tmp_path)
    assert_same_bits(state, expected)
    assert again == progress
    assert progress["steps"] == {"G": 3, "D": 3, "G_reg": 2, "D_reg": 2}
    for line in (tmp_path / "stats.jsonl").read_text().splitlines():
        tick = json.loads(line)
        assert math.isfinite(tick["Loss/G"] + tick["Loss/D"])
    G, D, _ = networks.load(tmp_path / "network-final.safetensors")
    assert (G.func_name, D.func_name) == ("G_ada", "D_ada")
    for name in ("dlatent_avg", "G_mapping/LabelEmbed/bias", "G_synthesis/4x4/Conv/noise_strength"):
        assert np.any(G.named[name]), name
    for name in ("LabelEmbed/bias", "Mapping0/bias"):
        assert np.any(D.named[name]), name


ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)


def state_of(G, D, **options):
    """A new training state of networks with other networks' options, but for some."""
    kinds = (dict(func_name=net.func_name, **{**net.options, **options}) for net in (G, D))
    return create_state(*kinds, ADAM, ADAM, seed=1)


def test_a_run_starts_from_a_pickle():
    path = golden.path("ada/torch_pickles/tb.pkl")
    G, D, Gs = networks.load(path)
    state = state_of(G, D)
    lines = transfer(state, path)
    assert [line.split(": ")[0] for line in lines] == ["G", "D", "Gs"]
    assert all("variables taken over" in line for line in lines)
    for role, network in (("G", G), ("D", D), ("Gs", Gs)):
        taken = getattr(state, role).arrays()
        for name, array in network.arrays().items():
            np.testing.assert_array_equal(taken[name], array)


@pytest.mark.parametrize("tag", ["tb", "te", "ts"])
def test_the_flags_that_are_told_make_everything_fit(tag):
    """From other widths, labels embedded in others, and a D that maps labels otherwise."""
    path = golden.path(f"ada/torch_pickles/{tag}.pkl")
    sizes = {key: networks.load(path)[2].options[key] for key in ("resolution", "label_size")}
    kinds = {
        "G": {"func_name": "G_ada", "latent_size": 5, "dlatent_size": 4, **sizes},
        "D": {"func_name": "D_ada", "fmap_base": 64, **sizes},
    }
    with layers.planned():
        told = "\n".join(transfer(create_state(*kinds.values(), ADAM, ADAM), path))
        for key, option, value in re.findall(r"--set ([GD])\.(\w+)=([^\s)]+)", told):
            with contextlib.suppress(ValueError):
                value = json.loads(value)
            kinds[key][option] = value
        lines = transfer(create_state(*kinds.values(), ADAM, ADAM), path)
    assert [line.split(": ")[0] for line in lines] == ["G", "D", "Gs"]
    assert all(line.endswith(" variables taken over") for line in lines)


def test_without_the_files_labels_none_of_their_options_is_told():
    path = golden.path("ada/torch_pickles/tb.pkl")
    G, D, _ = networks.load(path)
    of_labels = {"label_size": 0, "resolution": 32, "num_channels": 3}
    kinds = [{**chosen(net), **of_labels} for net in (G, D)]
    kinds[0]["label_fmaps"] = None
    kinds[1].update(mapping_layers=0, cmap_dim=None)
    with layers.planned():
        lines = transfer(create_state(*kinds, ADAM, ADAM), path)
    assert not any("--set" in line for line in lines)


def chosen(network):
    """A network's options, but for those that the run settles."""
    own = {key: value for key, value in network.options.items() if key not in choices.SETTLED}
    return {"func_name": network.func_name, **own}


def test_a_run_from_a_pickle_trains_and_continues_exactly(tmp_path, capsys):
    """From colours of 16x16 without labels to the digits: gray, 8x8 and with labels."""
    source, run_dir = tmp_path / "ta.pkl", tmp_path / "run"
    source.write_bytes(golden.path("ada/torch_pickles/ta.pkl").read_bytes())
    G, D, _ = networks.load(source)
    config = small_config(**{**RUN, "G": chosen(G), "D": chosen(D), "resume_from": str(source)})
    run_dir.mkdir()
    tf.config.run_functions_eagerly(True)
    try:
        assert train(config, run_dir, resume_from=source) == 0
        said = capsys.readouterr().out
        expected, progress = final_state(run_dir)
        source.unlink()  # it is read at the start alone
        checkpoint.paths(run_dir)[-1].unlink()
        assert train(config, run_dir) == 0
    finally:
        tf.config.run_functions_eagerly(False)
    state, again = final_state(run_dir)
    assert_same_bits(state, expected)
    assert again == progress
    for line in (
        "G: 4 of them made to fit other colours: G_synthesis/4x4/ToRGB/weight [1, 1, ",
        "G: 1 of them made to fit other labels, whose weights start at 0: G_mapping/Dense0/weight",
        "in the snapshot, not used: ",
        "G_synthesis/16x16/Conv1/weight",
        "D: ",
    ):
        assert line in said
    assert "its options are not the file's" not in said


@pytest.mark.parametrize("roles", [("G_ema",), ("G",), ("D",), ("G", "D")])
def test_pickles_of_some_of_the_networks(roles, tmp_path, monkeypatch):
    """G_ema or G alone starts both generators, D with neither starts anew."""
    path = golden.path("ada/torch_pickles/te_protocol4.pkl")
    G, D, Gs = networks.load(path)
    read = torch_networks.read

    def some(data):
        file = read(data)
        return dataclasses.replace(file, networks={role: file.networks[role] for role in roles})

    monkeypatch.setattr(torch_networks, "read", some)
    state, anew = state_of(G, D), state_of(G, D)
    lines = transfer(state, path)
    of_generators = Gs if "G_ema" in roles else G if "G" in roles else anew.G
    for role, network in (
        ("G", of_generators),
        ("Gs", of_generators),
        ("D", D if "D" in roles else anew.D),
    ):
        taken = getattr(state, role).arrays()
        for name, array in network.arrays().items():
            np.testing.assert_array_equal(taken[name], array)
    started = [line for line in lines if "starts anew" in line]
    assert len(started) == {"D": 2}.get(roles[0], 1 if "D" not in roles else 0)
    assert ("G: from the file's Gs" in lines) == ("G_ema" in roles)
    assert ("Gs: from the file's G" in lines) == ("G" in roles)


def test_a_stylegan3_file_gives_its_discriminator_to_a_run():
    path = golden.path("ada/torch_pickles/refuse_stylegan3_t.pkl")
    D = snapshot.load_one(path, "D")
    size = {key: D.options[key] for key in ("resolution", "fmap_base", "fmap_max")}
    G = networks.build("G_ada", seed=1, latent_size=4, dlatent_size=4, mapping_layers=1, **size)
    lines = transfer(state_of(G, D), path)
    assert "G: starts anew" in lines[0]
    assert "StyleGAN3" in lines[0]
    assert lines[1] == f"D: {len(D.named)} variables taken over"


def test_its_networks_are_a_row_for_any_preset():
    """Widths of the preset stay; what only StyleGAN2's or StyleGAN's networks have goes."""
    for base in ("demo", "stylegan2-cat-1gpu", "ffhq-1gpu"):
        config = presets.make(f"{base}+ada-networks")
        options = registry.resolve(**config.G)
        assert options["mapping_fmaps"] == presets.make(base).G.get("mapping_fmaps")
        assert registry.resolve(**config.D)["mbstd_group_size"] == 4
        assert config.schedule.lod_initial_resolution is None
        assert (config.G["func_name"], config.D["func_name"]) == ("G_ada", "D_ada")
