"""Losses, gradients and whole training steps against the reference implementation.

Tolerances are those of the golden data's README: two builds of the reference differ from
each other by nearly as much.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast
from tests import golden
from training.losses import LOSSES, Batch
from training.optimizer import Adam
from training.phases import make_phases
from training.schedule import Stage, stage_of
from training.state import TrainingState
from training.steps import StageSteps, StepSettings

VARIANTS = ["base", "fused", "lod0.4", "lod1", "lod2", "progan"]
# Instance norm cancels it: its gradient is rounding noise that Adam amplifies.
CANCELLED = "G_synthesis/4x4/Const/bias"

pytestmark = pytest.mark.conformance


PLANS = {"plain": fast.PLAIN, "fast": fast.CPU}
# The one case in which a fast path rounds a value that is nearly 0 to the other side of leaky
# ReLU's kink, so that one slope is another; (gradients of the maximum, variables after a step).
KINKS = {("fast", "lod0.4"): (3e-4, 1e-4)}


@pytest.fixture(params=PLANS)
def plan(request):
    with fast.using(PLANS[request.param]):
        yield request.param


@dataclasses.dataclass
class Case:
    """One golden file, its networks, and its stage."""

    data: object
    state: TrainingState
    stage: Stage
    alpha: float

    def nhwc(self, key, step=0):
        """Images at the current resolution; the file has them at the full one."""
        images = np.transpose(self.data[key][step], [0, 2, 3, 1])
        factor = 2**self.stage.level
        shape = [8, 16 // factor, factor, 16 // factor, factor, 3]
        return tf.constant(images.reshape(shape).mean(axis=(2, 4)))

    def steps(self):
        progan = self.state.G.func_name == "G_paper"
        phases = make_phases(
            {"func_name": "G_wgan" if progan else "G_logistic_nonsaturating"},
            {"func_name": "D_wgan_gp" if progan else "D_logistic_simplegp"},
        )
        settings = StepSettings(noise="fixed", mixing=None)
        return phases, StageSteps(self.state, self.stage, phases, settings)


def make_case(variant) -> Case:
    data = golden.load(f"train/train_{variant}.npz")
    fmap_base, width = (256, 32) if variant == "base" else (128, 16)
    common = dict(num_channels=3, resolution=16, fmap_base=fmap_base, fmap_max=width)
    kinds = dict(
        G=dict(func_name="G_style", latent_size=width, dlatent_size=width, mapping_fmaps=width),
        D=dict(func_name="D_basic"),
    )
    if variant == "fused":
        common["fused_scale"] = True
    if variant == "progan":
        kinds = dict(G=dict(func_name="G_paper"), D=dict(func_name="D_paper"))
    G, D, Gs = (networks.build(**kinds[role], **common) for role in "GDG")
    for role, network in (("G", G), ("D", D)):
        shapes = {name: variable.shape for name, variable in network.named.items()}
        network.set_arrays(
            {name: golden.recipe(f"train_{variant}", role, name, shapes[name]) for name in shapes}
        )
    Gs.set_arrays(G.arrays())
    adam = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
    optimizers = {
        f"{name}_opt": Adam(network.trainable(), **adam) for name, network in (("G", G), ("D", D))
    }
    state = TrainingState({"G": G, "D": D, "Gs": Gs, **optimizers})
    lod = float(data["lod"])
    state.set_lod(lod)
    stage = stage_of(round(lod, 6))
    return Case(data, state, stage, round(lod, 6) - stage.level)


def close(actual, expected, *, rtol=0.0, of_max=0.0, atol=0.0, name=""):
    bound = atol + of_max * np.abs(expected).max() + rtol * np.abs(expected)
    error = np.abs(np.asarray(actual, np.float64) - expected)
    assert (error <= bound).all(), f"{name}: off by {error.max():.3g} of {np.abs(expected).max()}"


def loss_and_gradients(case, name, tape_variables, kwargs):
    """(per-image loss, terms, gradients of its mean) at the initial weights, step 0."""
    _, steps = case.steps()
    alpha = case.alpha if case.stage.fading else None
    optimizer = case.state.parts[f"{name[0]}_opt"]
    mixing_factors = tf.constant(case.data["mixing_factors"])
    game = steps.game(optimizer, alpha, tf.constant([1, 2]), mixing_factors)
    z = tf.constant(case.data["z_g" if name.startswith("G") else "z_d"][0])
    labels = tf.zeros([8, 0])
    with tf.GradientTape() as tape:
        fakes = game.generate(z, labels)
        if name.startswith("G"):
            loss, terms = LOSSES[name](game, fakes, labels, **kwargs)
        else:
            fakes = tf.stop_gradient(fakes)
            reals = case.nhwc("reals")
            loss, terms = LOSSES[name](game, reals, fakes, labels, **kwargs)
        mean = tf.reduce_mean(loss)
    gradients = tape.gradient(mean, list(tape_variables.values()))
    return loss, terms, dict(zip(tape_variables, gradients))


KEYWORDS = {
    "D_logistic_simplegp_r1_gamma1000": {"r1_gamma": 1000.0},
    "D_logistic_simplegp_r1_gamma5_r2_gamma300": {"r1_gamma": 5.0, "r2_gamma": 300.0},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_terms_and_gradients(variant, plan):
    case = make_case(variant)
    bound, _ = KINKS.get((plan, variant), (1e-5, None))
    names = [key[len("loss/") :] for key in case.data.files if key.startswith("loss/")]
    assert len(names) >= (2 if variant == "progan" else 3)
    if variant == "base":
        assert {name.split("_r1")[0] for name in names} == set(LOSSES)  # all nine
    for label in names:
        check_loss(case, label, bound)


def check_loss(case, label, bound):
    data, name = case.data, label.split("_r1_gamma")[0]
    network = case.state.G if name.startswith("G") else case.state.D
    variables = network.trainable(*case.stage)
    loss, terms, gradients = loss_and_gradients(case, name, variables, KEYWORDS.get(label, {}))
    expected = data[f"loss/{label}"]
    if expected.shape == (8, 1):
        close(loss, expected, rtol=1e-5, atol=1e-5, name=label)
    # [8, 8]: the reference's penalties broadcast against [8, 1]; the mean is the same.
    close(tf.reduce_mean(loss), data[f"loss_mean/{label}"], rtol=1e-5, name=label)
    for key in data.files:
        if key.startswith(f"term/{label}/"):
            term = terms[key[len(f"term/{label}/") :]]
            close(np.reshape(term, -1), data[key].reshape(-1), rtol=1e-5, atol=5e-6, name=key)
    prefix = f"grad/{label}/"
    recorded = {key[len(prefix) :] for key in data.files if key.startswith(prefix)}
    for key in recorded:
        expected = data[prefix + key]
        if key not in gradients:
            assert not expected.any(), f"{label}: {key} is outside the stage"
        elif key != CANCELLED:
            close(gradients[key], expected, of_max=bound, atol=1e-7, name=prefix + key)
    if recorded:
        assert set(gradients) <= recorded


def run_iteration(case, phases, steps, step):
    minibatch, _, G_lrate, D_lrate, smoothing_kimg = (float(x) for x in case.data["hyper"])
    scalars = {
        "alpha": tf.constant(case.alpha),
        "learning_rate": tf.constant(D_lrate),
        "ema_beta": tf.constant(0.5 ** (minibatch / (smoothing_kimg * 1000))),
    }
    labels, seed = tf.zeros([8, 0]), tf.constant([0, step])
    D_phase, G_phase = phases
    batch = Batch(labels, tf.constant(case.data["z_d"][step]), case.nhwc("reals", step))
    mixing_factors = tf.constant(case.data["mixing_factors"])
    D_means = steps.update(D_phase, batch, scalars, seed, mixing_factors)
    scalars["learning_rate"] = tf.constant(G_lrate)
    G_means = steps.update(
        G_phase, Batch(labels, tf.constant(case.data["z_g"][step])), scalars, seed
    )
    assert float(D_means["D_overflow"]) == float(G_means["G_overflow"]) == 0
    return float(D_means["D"]), float(G_means["G"])


def check_after(case, step, atol):
    prefix = f"after{step}/"
    keys = [key for key in case.data.files if key.startswith(prefix)]
    variables = case.state.variables()
    for key in keys:
        if not key.endswith(CANCELLED):
            _, _, *rates, _ = (float(x) for x in case.data["hyper"])
            rate = dict(zip("GD", rates)).get(key[len(prefix)], 0.0)
            bounds = np.where(of_no_sign(case, key[len(prefix) :], step), 2 * rate + atol, atol)
            close(
                variables[key[len(prefix) :]].numpy(),
                case.data[key],
                rtol=1e-6,
                atol=bounds,
                name=key,
            )
    return len(keys)


def of_no_sign(case, name, step):
    """Which elements of a variable may have moved either way in the step after a reset.

    From empty slots Adam moves every element by the learning rate times the sign of its gradient.
    After five iterations the weights differ by rounding, and so do gradients, by some 1e-5 of
    their maximum: below that, the sign is the rounding's. The slots still hold the gradient's size.
    """
    network, local = name.split("/", 1)
    slot = case.state.variables().get(f"{network}_opt/v/{local}")
    if step != 6 or slot is None:
        return False
    gradient = np.sqrt(slot.numpy() / (1 - 0.99))
    unsure = gradient < 2e-5 * gradient.max()
    assert unsure.sum() <= max(1, 0.005 * unsure.size), name  # nearly everything has its sign
    return unsure


@pytest.mark.parametrize("variant", VARIANTS)
def test_variables_after_steps(variant, plan):
    """Adam, the moving average, dlatent_avg and the order of it all, after 1, 5 and 6 steps."""
    case = make_case(variant)
    _, bound = KINKS.get((plan, variant), (None, 3e-5))
    phases, steps = case.steps()
    losses = []
    for step in range(6 if "after6/D/lod" in case.data.files else 5):
        if step == 5:
            check_slots(case)
            case.state.reset_optimizers()
            # The recording ran the generator once more, on step 0's latents, in between.
            case.state.G.track_average(case.state.G.mapping(case.data["z_d"][0]))
        losses.append(run_iteration(case, phases, steps, step))
        checked = check_after(case, step + 1, bound if step == 0 else 5e-4)
        assert checked or step != 0
    close(np.array(losses), case.data["loss_per_step_D_G"], rtol=2e-3, atol=1e-4)


def check_slots(case):
    variables = case.state.variables()
    for key in case.data.files:
        if not key.startswith("slots5/") or key.endswith(CANCELLED):
            continue
        network, kind, *name = key[len("slots5/") :].split("/", 2)
        optimizer = f"{network}_opt"
        if kind == "beta_power":
            # Stored before the next step's use, as the reference's accumulators are.
            powers = [variables[f"{optimizer}/beta{i}_power"].numpy() for i in (1, 2)]
            close(powers, case.data[key], rtol=1e-6, name=key)
        else:
            value = variables[f"{optimizer}/{kind}/{name[0]}"].numpy()
            close(value, case.data[key], of_max=5e-3, atol=1e-8, name=key)


def test_moving_average_betas():
    from training.steps import ema_beta

    for smoothing_kimg, minibatch, beta in golden.load("train/train_base.npz")["Gs_beta_table"]:
        assert ema_beta(minibatch, smoothing_kimg) == pytest.approx(beta, rel=1e-6)
