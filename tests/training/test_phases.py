"""What is due when, whose random numbers, and the correction of Adam for lazy regularisation."""

import numpy as np
import pytest
import tensorflow as tf

from dnnlib.errors import UserError
from tests.training.test_steps import N, make_state, reals, scalars
from training import loss_options
from training.optimizer import Adam
from training.phases import due, lazy_ratio, make_phases
from training.schedule import Stage
from training.steps import StageSteps, StepSettings

G_LOSS = {"func_name": "G_logistic_nonsaturating"}
D_LOGISTIC = {"func_name": "D_logistic"}
R1 = {"func_name": "D_r1", "interval": 3, "r1_gamma": 5.0}

pytestmark = pytest.mark.conformance


def test_order_and_intervals():
    phases = make_phases(G_LOSS, D_LOGISTIC, D_reg=R1, D_repeats=2)
    rounds = [[phase.name for phase in due(phases, round_)] for round_ in range(4)]
    regularized, plain = ["D", "D", "D_reg", "G"], ["D", "D", "G"]
    assert rounds == [regularized, plain, plain, regularized]


def test_no_two_steps_get_the_same_seed():
    D, D_reg, G = make_phases(G_LOSS, D_LOGISTIC, D_reg=R1)
    assert [D.seed_words(7, step) for step in range(3)] == [[7, 0], [7, 2], [7, 4]]
    assert [G.seed_words(7, step) for step in range(3)] == [[7, 1], [7, 3], [7, 5]]
    steps = [*range(1000), 10**8]
    words = [phase.seed_words(7, step)[1] for phase in (D, D_reg, G) for step in steps]
    assert len(set(words)) == len(words)
    assert all(-(2**31) <= word < 2**31 for word in words)


@pytest.mark.parametrize("interval", [4, 16])
def test_adam_is_corrected_as_stylegan2_does(interval):
    """lr·c, β₁^c, β₂^c with c = k/(k+1): against Adam's formulas in float64."""
    phases = make_phases(G_LOSS, D_LOGISTIC, D_reg={**R1, "interval": interval})
    assert lazy_ratio(phases, "G_opt") == 1
    c = interval / (interval + 1)
    rate, beta1, beta2, epsilon = 0.01 * c, 0.9**c, 0.99**c, 1e-8
    x, m, v = 1.0, 0.0, 0.0
    variable = tf.Variable(x)
    adam = Adam(
        {"x": variable},
        beta1=0.9,
        beta2=0.99,
        epsilon=1e-8,
        lazy_ratio=lazy_ratio(phases, "D_opt"),
    )
    for step, gradient in enumerate([0.5, -2.0, 1.5], start=1):
        adam.apply(["x"], [tf.constant(gradient)], tf.constant(0.01))
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        corrected = rate * np.sqrt(1 - beta2**step) / (1 - beta1**step)
        x -= corrected * m / (np.sqrt(v) + epsilon)
        assert variable.numpy() == pytest.approx(x, rel=1e-5)
    adam.reset()
    assert adam.beta1_power.numpy() == np.float32(beta1)


def test_a_regularisers_step_is_its_interval_times_the_losss_penalty():
    """With β₁ = 0, Adam's m is the gradient; R1's is what it adds to the loss's."""
    stage, gradients = Stage(1, True), {}
    logistic, with_r1 = D_LOGISTIC, {"func_name": "D_logistic_simplegp", "r1_gamma": 5.0}
    for name, loss in (("D", logistic), ("D", with_r1), ("D_reg", logistic)):
        state = make_state()
        phase = next(p for p in make_phases(G_LOSS, loss, D_reg=R1) if p.name == name)
        steps = StageSteps(state, stage, [phase], StepSettings(noise="fixed", mixing=None))
        before = state.G.dlatent_avg.numpy()
        tf.config.run_functions_eagerly(True)
        means = steps.compiled[name](scalars(), tf.zeros([N, 0]), reals(stage))
        tf.config.run_functions_eagerly(False)
        assert ("r1_penalty" in means) == (loss is with_r1 or name == "D_reg")
        assert (state.G.dlatent_avg.numpy() == before).all() == (name == "D_reg")  # no fakes
        slots = state.parts["D_opt"].m
        gradients[name, loss["func_name"]] = {key: slots[key].numpy() for key in steps.trained["D"]}
    plain, with_r1, lazy = gradients.values()
    for name, gradient in lazy.items():
        expected = 3 * (with_r1[name] - plain[name])
        bound = 1e-5 * (np.abs(with_r1[name]).max() + np.abs(expected).max())
        np.testing.assert_allclose(gradient, expected, atol=bound, err_msg=name)
    assert np.abs(lazy["8x8/Conv0/weight"]).max() > 0


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("D_reg", {"func_name": "D_r3"}, r"^D_reg.func_name='D_r3': unknown regulariser .*D_r1"),
        ("G_reg", {"func_name": "D_r1"}, "^G_reg.func_name='D_r1': unknown regulariser; known: G_"),
        ("D_reg", {"func_name": "D_r1", "interval": 0}, "^D_reg.interval=0: expected a whole"),
        ("D_reg", {"func_name": "D_r1", "interval": 1.5}, "^D_reg.interval=1.5: expected a whole"),
        ("D_reg", {"func_name": "D_r1", "gamma": 1}, "^D_reg.gamma: D_r1 has no such option"),
    ],
)
def test_impossible_regularisers_are_refused_by_name(key, options, message):
    with pytest.raises(UserError, match=message):
        loss_options.resolve(key, options)
