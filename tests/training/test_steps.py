"""One training step: what moves, what does not, traces, overflows, loss scaling."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from dnnlib.errors import UserError
from training.optimizer import Adam
from training.phases import make_phases
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps, StepSettings
from training.transfer import check_freezing

pytestmark = pytest.mark.conformance

ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
N = 4


def make_state(loss_scaling=False, dtype="float32", progan=False, **G_options):
    common = dict(resolution=16, num_channels=3, fmap_base=32, fmap_max=8, dtype=dtype)
    G = dict(
        func_name="G_style",
        latent_size=8,
        dlatent_size=8,
        mapping_fmaps=8,
        mapping_layers=2,
        **common,
        **G_options,
    )
    D = dict(func_name="D_basic", **common)
    if progan:
        G, D = dict(func_name="G_paper", **common), dict(func_name="D_paper", **common)
    return create_state(G, D, ADAM, ADAM, loss_scaling=loss_scaling, seed=1)


LOGISTIC = {"func_name": "G_logistic_nonsaturating"}, {"func_name": "D_logistic_simplegp"}
WGAN_GP = {"func_name": "G_wgan"}, {"func_name": "D_wgan_gp"}


def make_steps(state, stage, losses=LOGISTIC, **settings):
    return StageSteps(state, stage, make_phases(*losses), StepSettings(**settings))


def scalars(step=0, alpha=0.3, learning_rate=0.001, ema_beta=0.9):
    return {
        "alpha": tf.constant(alpha),
        "learning_rate": tf.constant(learning_rate),
        "ema_beta": tf.constant(ema_beta),
        "seed": tf.constant([5, step]),
    }


def reals(stage, seed=0):
    side = 16 >> stage.level
    images = np.random.RandomState(seed).randint(0, 256, [N, side, side, 3])
    return tf.constant(images, tf.uint8)


def values(state):
    return {name: variable.numpy() for name, variable in state.variables().items()}


def changed(before, after):
    return {name for name in before if before[name].tobytes() != after[name].tobytes()}


@pytest.fixture
def eagerly():
    """What no graph is needed to show: tracing takes nearly all of the time of a compiled step."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


STAGES = [Stage(2, False), Stage(1, True), Stage(1, False), Stage(0, True), Stage(0, False)]


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("stage", STAGES, ids=str)
def test_exactly_the_stage_moves(stage):
    state = make_state()
    steps = make_steps(state, stage)
    labels = tf.zeros([N, 0])
    before = values(state)
    steps.compiled["D"](scalars(), labels, reals(stage))
    middle = values(state)
    D_names = {f"D/{name}" for name in state.D.trainable(*stage)}
    moved = changed(before, middle)
    assert {name for name in moved if name.startswith("D/")} == D_names
    # The same call tracks dlatent_avg and copies it; G has not moved, so Gs is still equal to it.
    networks = {name for name in moved if name.split("/")[0] in ("G", "Gs")}
    assert networks == {"G/dlatent_avg", "Gs/dlatent_avg"}
    steps.compiled["G"](scalars(), labels)
    moved = changed(middle, values(state))
    still = {"G/G_synthesis/4x4/Const/bias"}  # its true gradient is 0
    G_names = {f"G/{name}" for name in state.G.trainable(*stage)}
    G_moved = {name for name in moved if name.startswith("G/")}
    assert G_moved - still == (G_names | {"G/dlatent_avg"}) - still
    assert not any(name.startswith(("D/", "D_opt/", "Gs/")) for name in moved)


def test_frozen_layers_of_d_stay_as_they_are(eagerly):
    """Freeze-D: from the highest resolution on, FromRGB, Conv0, Conv1_down, then the next block."""
    state = make_state()
    scopes = ("FromRGB_lod0", "16x16/Conv0", "16x16/Conv1_down", "FromRGB_lod1", "8x8/Conv0")
    frozen = {f"D/{scope}/{kind}" for scope in scopes for kind in ("weight", "bias")}
    assert {f"D/{name}" for name in state.D.first_variables(5)} == frozen
    stage = Stage(0, True)
    steps, before = make_steps(state, stage, freeze_d=5), values(state)
    steps.compiled["D"](scalars(), tf.zeros([N, 0]), reals(stage))
    moved = {name for name in changed(before, values(state)) if name.startswith("D/")}
    trained = {f"D/{name}" for name in state.D.trainable(*stage)}
    assert moved == trained - frozen
    assert len(frozen) == 10


def test_the_last_layer_of_d_is_not_frozen():
    state = make_state()
    names = state.D.first_variables(9)
    assert "4x4/Dense0/bias" in names
    assert "4x4/Dense1/bias" not in names
    with pytest.raises(UserError, match="freeze_d=10: D_basic has 9 layers before its last"):
        check_freezing(state.D, 10)


def test_one_trace_for_each_stage():
    state = make_state()
    for stage in STAGES[:2]:
        steps = make_steps(state, stage)
        for step in range(3):
            changing = scalars(step, 0.1 * step, 0.001 * step, 0.5 + 0.1 * step)
            steps.compiled["D"](changing, tf.zeros([N, 0]), reals(stage, step))
            steps.compiled["G"](changing, tf.zeros([N, 0]))
        assert steps.compiled["D"].experimental_get_tracing_count() == 1
        assert steps.compiled["G"].experimental_get_tracing_count() == 1


def test_the_same_seed_is_the_same_step_and_another_is_not():
    stage, results = Stage(0, False), []
    for seeds in ((1,), (1, 2)):
        state = make_state()
        start = values(state)
        steps = make_steps(state, stage, mirror_augment=True)
        for seed in seeds:
            for name, variable in state.variables().items():
                variable.assign(start[name])
            steps.compiled["D"](scalars(seed), tf.zeros([N, 0]), reals(stage))
            results.append(values(state)["D/16x16/Conv0/weight"])
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


@pytest.mark.usefixtures("eagerly")
def test_the_moving_average_follows_g_from_before_its_step():
    stage = Stage(0, False)
    state = make_state()
    steps = make_steps(state, stage)
    steps.compiled["G"](scalars(), tf.zeros([N, 0]))
    before = values(state)
    steps.compiled["D"](scalars(1, ema_beta=0.75), tf.zeros([N, 0]), reals(stage))
    after = values(state)
    for name in state.G.trainable():
        G, Gs = before[f"G/{name}"], before[f"Gs/{name}"]
        np.testing.assert_allclose(after[f"Gs/{name}"], G + (Gs - G) * 0.75, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(after["Gs/dlatent_avg"], after["G/dlatent_avg"])


def test_an_update_that_is_not_finite_is_skipped_and_counted():
    state, stage = make_state(), Stage(0, False)
    steps = make_steps(state, stage)
    bias = state.D.named["16x16/Conv0/bias"]
    for bad in (np.inf, np.nan):  # a weight that leaves no gradient finite
        bias.assign(tf.fill(bias.shape, np.float32(bad)))
        before = values(state)
        D_means = steps.compiled["D"](scalars(), tf.zeros([N, 0]), reals(stage))
        G_means = steps.compiled["G"](scalars(), tf.zeros([N, 0]))
        assert float(D_means["D_overflow"]) == float(G_means["G_overflow"]) == 1
        assert changed(before, values(state)) == {"G/dlatent_avg", "Gs/dlatent_avg"}


@pytest.mark.parametrize("loss_scaling", [False, True])
def test_bad_gradients_are_replaced_as_stylegan2_ada_replaces_them(loss_scaling):
    """NaN counts as 0 and ±inf as ±1e5; loss scaling lowers its scale instead."""
    bad = tf.constant([np.nan, np.inf, -np.inf, 2.0, 0.0])
    good = tf.constant([0.0, 1e5, -1e5, 2.0, 0.0])
    arrays, skipped = [], []
    for replace, gradient in ((True, bad), (False, good)):
        variables = {"w": tf.Variable(tf.ones([5]))}
        adam = Adam(variables, **ADAM, replace=replace, loss_scaling=loss_scaling)
        adam.log2_scale.assign(0)
        for _ in range(2):
            skipped.append(float(adam.apply(["w"], [gradient], tf.constant(0.1))))
        arrays.append({name: variable.numpy() for name, variable in adam.named.items()})
        arrays[-1]["w"] = variables["w"].numpy()
    assert skipped == [1, 1, 0, 0]
    if loss_scaling:
        np.testing.assert_array_equal(arrays[0]["w"], np.ones(5))
        assert arrays[0]["log2_scale"] == -2
    else:
        assert not changed(*arrays)


def test_loss_scaling_adapts_and_does_not_change_the_update():
    stage, results = Stage(1, True), {}
    for scaling in (False, True):
        state = make_state(loss_scaling=scaling)
        steps = make_steps(state, stage)
        for optimizer in ("D_opt", "G_opt"):
            state.parts[optimizer].log2_scale.assign(10)
        means = steps.compiled["D"](scalars(), tf.zeros([N, 0]), reals(stage))
        steps.compiled["G"](scalars(), tf.zeros([N, 0]))
        assert float(means["D_overflow"]) == 0
        results[scaling] = values(state)
    assert results[True]["D_opt/log2_scale"] == np.float32(10.0005)
    assert results[False]["D_opt/log2_scale"] == 10
    for name in results[True]:
        if not name.endswith(("log2_scale", "4x4/Const/bias")):
            np.testing.assert_allclose(
                results[True][name], results[False][name], rtol=1e-4, atol=1e-6, err_msg=name
            )
    # The same steps, with a weight whose gradients cannot be finite.
    state.D.named["8x8/Conv0/bias"].assign(tf.fill([8], np.float32("nan")))
    steps.compiled["D"](scalars(), tf.zeros([N, 0]), reals(stage))
    steps.compiled["G"](scalars(), tf.zeros([N, 0]))
    for optimizer in ("D_opt", "G_opt"):
        assert state.parts[optimizer].log2_scale.numpy() == np.float32(9.0005)


@pytest.mark.parametrize("progan", [False, True], ids=["stylegan", "progan"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_steps_are_close_to_float32(dtype, progan):
    np.testing.assert_allclose(D_losses(dtype, progan), D_losses("float32", progan), rtol=0.02)


@functools.cache
def D_losses(dtype, progan):
    """Of three steps."""
    losses, stage = [], Stage(0, True)
    state = make_state(dtype=dtype, loss_scaling=dtype == "float16", progan=progan)
    state.parts["D_opt"].log2_scale.assign(4)
    steps = make_steps(state, stage, WGAN_GP if progan else LOGISTIC)
    for step in range(3):
        means = steps.compiled["D"](scalars(step), tf.zeros([N, 0]), reals(stage, step))
        assert float(means["D_overflow"]) == 0
        losses.append(float(means["D"]))
    assert all(variable.dtype == tf.float32 for variable in state.variables().values())
    return losses


@pytest.mark.usefixtures("eagerly")
def test_adam_resets_completely():
    stage = Stage(0, False)
    state = make_state()
    fresh = {name: array for name, array in values(state).items() if "_opt/" in name}
    steps = make_steps(state, stage)
    steps.compiled["D"](scalars(), tf.zeros([N, 0]), reals(stage))
    steps.compiled["G"](scalars(), tf.zeros([N, 0]))
    assert changed(fresh, {name: values(state)[name] for name in fresh})
    state.reset_optimizers()
    assert not changed(fresh, {name: values(state)[name] for name in fresh})
