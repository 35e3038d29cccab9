"""The strength p: its heuristic as recorded, and training with it."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from dnnlib.errors import UserError
from tests import golden
from tests.training.common import make_info
from training import config as training_config, phases, presets
from training.augmentation import adaptive
from training.augmentation.transforms import transforms_of
from training.losses import Batch
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps, StepSettings, ema_beta


def numbers_of(hook):
    return {name: tf.Variable(value) for name, value in hook.numbers.items()}


def config_with(resume_from=None, D_repeats=1, **augment):
    augment = training_config.AugmentConfig(transforms="bgc", **augment)
    return dataclasses.replace(
        presets.make("demo"), augment=augment, resume_from=resume_from, D_repeats=D_repeats
    )


@pytest.mark.conformance
def test_the_heuristic():
    for case in golden.load("ada/augment/heuristic.json"):
        kimg = None if case["ada_kimg"] in (100, 500) else case["ada_kimg"]
        config = config_with(
            "x.pkl" if case["ada_kimg"] == 100 else None,
            target=case["target"],
            kimg=kimg,
            interval=case["interval"],
        )
        (hook,) = phases.hooks_of(config)
        state = types.SimpleNamespace(numbers=numbers_of(hook))
        state.numbers[adaptive.P].assign(case["p0"])
        for r, p in case["mean_sign_and_p_after"]:
            # Of several minibatches, of which r is the mean.
            for sign in (r - 0.25, r + 0.25):
                adaptive.count_signs(state.numbers, tf.constant([sign], tf.float32))
            hook.adapt(state, types.SimpleNamespace(minibatch=case["batch"]))
            np.testing.assert_allclose(state.numbers[adaptive.P].numpy(), p, atol=1e-8)


def test_nothing_to_adapt():
    assert phases.hooks_of(presets.make("demo")) == []
    assert phases.hooks_of(config_with(p=0.3)) == []


def test_the_moving_average_starts_short():
    for case in golden.load("ada/augment/ema_beta.json"):
        beta = ema_beta(case["minibatch"], case["ema_kimg"], case["rampup"], case["images"])
        np.testing.assert_allclose(beta, case["beta"], atol=1e-12)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("bgd", {}, "augment.transforms: unknown 'bgd'"),
        ("", {}, "augment.transforms: unknown ''"),
        ("bgc+", {}, "augment.transforms: unknown ''"),
        ("bgc", {"hue_mx": 1}, r"augment.options.hue_mx: no such option \(did you mean 'hue_max'"),
        ("bgc", {"hue": -1}, "augment.options.hue=-1: expected a number, 0 or more"),
        ("bgc", {"hue": True}, "augment.options.hue=True: expected a number"),
        ("bgc", {"imgfilter_bands": [1, 2]}, r"imgfilter_bands=\[1, 2\]: expected four numbers"),
    ],
)
def test_what_is_no_transform(text, options, message):
    with pytest.raises(UserError, match=message):
        transforms_of(text, options)


def test_what_cannot_be_augmented():
    config = config_with()
    filtered = dataclasses.replace(
        config, augment=dataclasses.replace(config.augment, transforms="bg+filter")
    )
    with pytest.raises(UserError, match=r"needs images of 22 pixels or more.*some of 16; take bgc"):
        training_config.resolve(filtered, make_info(16, 1, 10))
    training_config.resolve(filtered, make_info(32, 1, 10))
    for key, value in (("p", -1.0), ("kimg", 0.0), ("interval", 0), ("target", float("nan"))):
        changed = dataclasses.replace(config.augment, **{key: value})
        with pytest.raises(UserError, match=f"augment.{key}="):
            training_config.resolve(dataclasses.replace(config, augment=changed), make_info(32, 1))


def test_transforms_add_up():
    both = transforms_of("blit+hue", {"xint": 0.5, "hue_max": 0.25})
    assert (both.xflip, both.xint, both.hue, both.scale) == (1, 0.5, 1, 0)
    assert both.hue_max == 0.25
    assert transforms_of("none", {}) is None
    assert transforms_of("hue", {"hue": 0}) is None


# ---------------------------------------------------------------- in a step

COMMON = dict(resolution=8, num_channels=1, fmap_base=16, fmap_max=4)
G = dict(func_name="G_main", latent_size=4, dlatent_size=4, mapping_layers=1, **COMMON)
D = dict(func_name="D_stylegan2", **COMMON)
ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
PHASES = phases.make_phases(
    {"func_name": "G_logistic_ns", "interval": 0}, {"func_name": "D_logistic_r1", "gamma": 2.0}
)


def steps_with(**settings):
    hook = phases.Hook(4, lambda *_: None, adaptive.NUMBERS)
    state = create_state(G, D, ADAM, ADAM, phases=PHASES, hooks=[hook], seed=1)
    settings = StepSettings(noise="none", mixing=None, **settings)
    return StageSteps(state, Stage(0, False), PHASES, settings)


def updated(steps, phase, seed=(1, 2)):
    rng = np.random.RandomState(3)
    reals = tf.constant(rng.uniform(-1, 1, [4, 8, 8, 1]), tf.float32)
    z = tf.constant(rng.randn(4, 4), tf.float32)
    batch = Batch(tf.zeros([4, 0]), z, reals if phase.network == "D" else None)
    scalars = {"alpha": 0.0, "learning_rate": 0.0, "ema_beta": 0.9}
    return steps.update(phase, batch, scalars, tf.constant(seed))


def test_p_of_0_changes_nothing_and_p_of_1_does():
    plain, augmented = steps_with(), steps_with(augment=transforms_of("bgc", {}))
    for phase in PHASES:
        expected, found = updated(plain, phase), updated(augmented, phase)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=2e-3, atol=1e-4, err_msg=name)
        augmented.state.numbers[adaptive.P].assign(1.0)
        changed = updated(augmented, phase)
        assert abs(changed[phase.name] - expected[phase.name]) > 1e-4 * abs(expected[phase.name])
        other = updated(augmented, phase, seed=(1, 3))
        assert other[phase.name] != changed[phase.name]
        augmented.state.numbers[adaptive.P].assign(0.0)


def test_signs_of_real_images_are_counted():
    steps = steps_with(augment=transforms_of("bgc", {}))
    numbers = steps.state.numbers
    main, reg = PHASES[0], PHASES[1]
    assert (main.network, reg.name) == ("D", "D_reg")
    first = float(updated(steps, main)["signs/real"])
    assert -1 <= first <= 1
    second = float(updated(steps, reg)["signs/real"])  # lazy R1 looks at the reals once more
    assert float(numbers["augment_scored"]) == 2
    np.testing.assert_allclose(numbers["augment_signs"], first + second)
    updated(steps, PHASES[2])  # G's, which sees none
    assert float(numbers["augment_scored"]) == 2
    fixed = steps_with(augment=transforms_of("bgc", {}), augment_p=0.5)
    updated(fixed, main)
    assert float(fixed.state.numbers["augment_scored"]) == 0


def test_signs_are_reported_without_augmentation():
    """r tells of overfitting whether anything follows it or not."""
    steps = steps_with()
    means = updated(steps, PHASES[0])
    assert -1 <= float(means["signs/real"]) <= 1
    assert float(steps.state.numbers["augment_scored"]) == 0
    assert "signs/real" not in updated(steps, PHASES[2])
