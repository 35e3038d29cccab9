"""StyleGAN2's losses, regularisers and iterations against the reference implementation.

Tolerances are those of the golden data's README (stylegan2/README.md).
"""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast
from networks.style_based import mix_styles
from tests import golden
from tests.networks.common import error, nchw
from tests.training.test_golden_training import close
from training import loss_options
from training.losses import LOSSES, Batch
from training.phases import due, make_phases
from training.regularizers import REGULARIZERS
from training.schedule import Stage, stage_of
from training.state import TrainingState, create_state
from training.steps import StageSteps, StepSettings

VARIANTS = ["s2_base", "s2_orig", "s2_revised", "s2_revised_lod1.6"]
PLANS = {"plain": fast.PLAIN, "fast": fast.CPU}
CANCELLING = ("noise_strength", "Output/bias")  # gradients that are sums with cancellation
ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
# By the reference's name, that of the regulariser's options in the labels of the file.
SUFFIXES = {
    "shrink": "pl_minibatch_shrink",
    "decay": "pl_decay",
    "weight": "pl_weight",
    "gamma": "gamma",
    "target": "wgan_target",
    "lambda": "wgan_lambda",
}
TERMS = {"D_logistic_r1": "r1_penalty", "D_logistic_r2": "r2_penalty"}

pytestmark = pytest.mark.conformance


@pytest.fixture(params=PLANS)
def plan(request):
    with fast.using(PLANS[request.param]):
        yield request.param


class RecordedSteps(StageSteps):
    """Steps whose path lengths are measured with a given image."""

    given = None

    def game(self, *args):
        return dataclasses.replace(super().game(*args), normal=lambda shape: self.given)


@dataclasses.dataclass
class Case:
    """One golden file, its networks, and its stage."""

    data: dict
    state: TrainingState
    stage: Stage
    alpha: float
    phases: list
    rounding: dict  # {key: largest error of the file against float64}

    def small(self, images):
        """Full-resolution NCHW images as NHWC means of the stage's pixels."""
        factor = 2**self.stage.level
        images = np.transpose(images, [0, 2, 3, 1])
        n, size, _, channels = images.shape
        shape = [n, size // factor, factor, size // factor, factor, channels]
        return tf.constant(images.reshape(shape).mean(axis=(2, 4)))

    def noise(self, key, step=None):
        """Of an image's pixels that are one here, the noise adds up: N(0, 1) again, divided."""
        images = self.data[key] if step is None else self.data[key][step]
        return self.small(images) * float(2**self.stage.level)

    def batch(self, step, *, z="z_d", reals=True):
        z = self.data[z][step]
        return Batch(
            tf.zeros([8, 0]),
            tf.constant(np.concatenate([z, z]) if len(z) == 4 else z),
            self.small(self.data["reals"][step]) if reals else None,
        )

    def steps(self, passes=1):
        settings = StepSettings(noise="fixed", mixing=None)
        return RecordedSteps(self.state, self.stage, self.phases, settings, passes=passes)

    def game(self, network, normal=None):
        optimizer = self.state.parts[f"{network}_opt"]
        alpha = self.alpha if self.stage.fading else None
        factors = tf.constant(self.data["mixing_factors"])
        steps = self.steps()
        steps.given = normal
        return steps.game(optimizer, alpha, tf.constant([1, 2]), factors)


def make_case(variant, lazy=True) -> Case:
    data = dict(golden.load(f"stylegan2/train2/train_{variant}.npz"))
    meta = golden.load(f"stylegan2/train2/train_{variant}_meta.json")
    G_loss = {"func_name": "G_logistic_ns_pathreg", "interval": 2}
    D_loss = {"func_name": "D_logistic_r1", "interval": 3}
    if not lazy:
        G_loss, D_loss = {"func_name": "G_logistic_ns"}, {**D_loss, "interval": 0}
    phases = make_phases(G_loss, D_loss, G_first=True)
    G, D = (dict(meta[role], dtype="float32") for role in "GD")
    state = create_state(G, D, ADAM, ADAM, phases=phases)
    for role, network in (("G", state.G), ("D", state.D)):
        rows = meta[f"{role}_vars"]
        assert [[n, list(v.shape), v.trainable] for n, v in network.named.items()] == rows
        network.set_arrays(golden.recipe_arrays(f"train_{variant}", role, rows))
    state.Gs.set_arrays(state.G.arrays())
    lod = round(float(data["lod"]), 6)
    state.set_lod(lod)
    stage = stage_of(lod)
    noise = golden.load("stylegan2/float_noise2.json")["float64"]
    rounding = noise.get(f"train_{variant}.npz", {})
    return Case(data, state, stage, lod - stage.level, phases, rounding)


# ---------------------------------------------------------------- losses


def options_of(label, name):
    found = re.findall(r"_([a-z]+)([0-9.]+)(?=_|$)", label[len(name) :])
    return {SUFFIXES[key]: float(value) for key, value in found if key in SUFFIXES}


def name_of(label):
    return max((n for n in [*loss_options.COMBINED, *LOSSES] if label.startswith(n)), key=len)


def parts_of(label):
    """(loss and its keywords, regulariser and its keywords) of a recorded function."""
    name = name_of(label)
    keywords = options_of(label, name)
    if name == "D_wgan_gp":  # here in one step; StyleGAN2's is a loss and a regulariser
        return ("D_wgan", {}), (
            "D_gradient_penalty",
            {"wgan_lambda": 10.0, "wgan_target": 1.0, **keywords},
        )
    key = name[0] + "_loss"
    loss = {"func_name": name, **keywords}
    chosen = loss_options.objective(name[0], loss)
    assert loss_options.resolve(key, loss)[0] == name
    return (chosen.loss, chosen.keywords), (chosen.regularizer, chosen.reg_keywords)


def gradients_of(case, network, function):
    variables = case.state.parts[network].trainable(*case.stage)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(list(variables.values()))
        values, terms = function()
        mean = tf.reduce_mean(values)
    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(mean, list(variables.values()), unconnected_gradients=zero)
    return values, terms, dict(zip(variables, found))


def check_gradients(case, prefix, gradients):
    """2e-5 of a tensor's maximum, or twice its recorded rounding: both computations have it."""
    data, rounding = case.data, case.rounding
    recorded = {key[len(prefix) :] for key in data if key.startswith(prefix)}
    for key in recorded:
        expected = data[prefix + key]
        if key not in gradients:
            assert not expected.any(), f"{prefix}{key} is outside the stage"
        else:
            bound = 5e-5 if key.endswith(CANCELLING) else 2e-5
            atol = max(1e-9, 2.5 * rounding.get(prefix + key, 0))
            close(gradients[key], expected, of_max=bound, atol=atol, name=prefix + key)
    assert not recorded or set(gradients) <= recorded


def loss_of(case, network, loss, keywords):
    game, batch = case.game(network), case.batch(0, z="z_g" if network == "G" else "z_d")
    fakes = game.generate(batch.z, batch.labels)
    images = [fakes] if network == "G" else [batch.reals, fakes]
    return LOSSES[loss](game, *images, batch.labels, **keywords)


def penalty_of(case, label, regularizer, keywords):
    penalty = REGULARIZERS[regularizer].penalty
    if label[0] == "D":
        return penalty(case.game("D"), case.batch(0), **keywords)
    whole = keywords["pl_minibatch_shrink"] == 1
    case.state.numbers["pl_mean"].assign(case.data[f"pl_mean_before/{label}"])
    normal = case.noise("pl_noise_shrink1") if whole else case.noise("pl_noise", 0)
    batch = case.batch(0, z="z_g" if whole else "pl_z", reals=False)
    return penalty(case.game("G", normal), batch, **keywords)


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_penalties_and_gradients(variant, plan):
    case = make_case(variant)
    labels = [key[len("loss/") :] for key in case.data if key.startswith("loss/")]
    assert len(labels) >= 3
    if variant == "s2_base":
        assert len({name_of(label) for label in labels}) == 9
    for label in labels:
        check_function(case, label)


def check_function(case, label):
    (loss, keywords), (regularizer, reg_keywords) = parts_of(label)
    network, data = label[0], case.data
    values, terms, gradients = gradients_of(
        case, network, lambda: loss_of(case, network, loss, keywords)
    )
    close(values, data[f"loss/{label}"], rtol=1e-5, atol=2e-6, name=label)
    check_gradients(case, f"grad/{label}/", gradients)
    if regularizer is None:
        return
    penalties, more, gradients = gradients_of(
        case, network, lambda: penalty_of(case, label, regularizer, reg_keywords)
    )
    expected = data[f"reg/{label}"].reshape(-1)
    close(tf.reshape(penalties, [-1]), expected, rtol=1e-5, atol=1e-7, name=label)
    check_gradients(case, f"grad_reg/{label}/", gradients)
    if network == "G":
        close(case.state.numbers["pl_mean"], data[f"pl_mean_after/{label}"], rtol=1e-5)
    terms = {**terms, **more}
    for key in [key for key in data if key.startswith(f"term/{label}/")]:
        term = key[len(f"term/{label}/") :]
        term = TERMS[name_of(label)] if term == "gradient_penalty" else term
        expected = data[key].reshape(-1)
        close(tf.reshape(terms[term], [-1]), expected, rtol=1e-5, atol=2e-6, name=key)


# ---------------------------------------------------------------- forward


@pytest.mark.parametrize("variant", VARIANTS)
def test_images_and_codes(variant):
    case = make_case(variant)
    G, data = case.state.G, case.data
    level, alpha = G.split_lod(float(data["lod"]))
    kinds = sorted({key.split("/")[1] for key in data if key.startswith("forward/")})
    for kind in kinds:
        z = data["z_g"][0]
        keywords = dict(truncation_psi=None if kind == "validation" else networks.options.OWN)
        for option in re.findall(r"(psi|cut)([0-9.]+)", kind):
            keywords[{"psi": "truncation_psi", "cut": "truncation_cutoff"}[option[0]]] = float(
                option[1]
            )
        w = G.mapping(z) if kind == "train" else G.codes(z, **keywords)
        assert error(w, data[f"forward/{kind}/dlatents"]) < 2e-5, kind
        images = G.synthesis(w, noise="fixed")
        assert error(nchw(images), data[f"forward/{kind}/images"]) < 2e-5, kind
    assert (level, alpha is not None) == case.stage


def test_style_mixing():
    """Given the draws of the recording: which layers are whose, and what the average sees."""
    case = make_case("s2_base")
    G, data = case.state.G, case.data
    keys = {key.split("/")[1] for key in data if re.match(r"stylemix/u", key)}
    assert len(keys) == 5
    for key in keys:
        u, cutoff = re.fullmatch(r"u([0-9.]+)_cutoff(\d)", key).groups()
        G.dlatent_avg.assign(data["stylemix/dlatent_avg_before"])
        w = G.mapping(data["stylemix/z"])
        G.track_average(w)
        layers = int(cutoff) if float(u) < G.options["style_mixing_prob"] else G.mixed_layers(0)
        mixed = mix_styles(w, G.mapping(data["stylemix/z2"]), tf.constant(layers))
        assert error(mixed, data[f"stylemix/{key}/dlatents"]) < 2e-5
        images = G.synthesis(mixed, noise="fixed")
        assert error(nchw(images), data[f"stylemix/{key}/images"]) < 2e-5
        assert error(G.dlatent_avg, data[f"stylemix/{key}/dlatent_avg_after"]) < 2e-5


# ---------------------------------------------------------------- iterations


def scalars(case, minibatch=8):
    names = dict(zip(case.data["hyper/names"], case.data["hyper/values"]))
    beta = 0.5 ** (minibatch / (names["G_smoothing_kimg"] * 1000))
    return {
        "alpha": tf.constant(case.alpha, tf.float32),
        "learning_rate": tf.constant(names["lrate_in"], tf.float32),
        "ema_beta": tf.constant(beta, tf.float32),
    }


def inputs(case, phase, index):
    """The recorded batch of a phase; the noise of path lengths is given to the steps."""
    if phase.network == "D":
        return case.batch(index)
    return case.batch(index, z="pl_z" if phase.name == "G_reg" else "z_g", reals=False)


def factors(case):
    return tf.constant(case.data["mixing_factors"])


def check_variables(case, prefix, atol):
    variables = case.state.variables()
    keys = [key for key in case.data if key.startswith(f"{prefix}/")]
    assert len(keys) > 60
    for key in keys:
        name = key[len(prefix) + 1 :]
        if name != "per_iteration":
            close(variables[name].numpy(), case.data[key], rtol=1e-6, atol=atol, name=key)


@pytest.mark.parametrize("variant", VARIANTS)
def test_variables_after_iterations(variant, plan):
    case, means = make_case(variant), []
    steps = case.steps()
    for index in range(5):
        row = {}
        for phase in due(case.phases, index):
            steps.given = case.noise("pl_noise", index)
            values = steps.update(
                phase,
                inputs(case, phase, index),
                scalars(case),
                tf.constant([0, index]),
                factors(case),
            )
            row[phase.name] = float(values[phase.name])
        means.append([row.get(name, np.nan) for name in ("G", "G_reg", "D", "D_reg")])
        means[-1].append(float(case.state.numbers["pl_mean"]))
        if index in (0, 4):
            check_variables(case, f"after{index + 1}", 6e-5 if index == 0 else 5e-4)
    np.testing.assert_allclose(means, case.data["per_iteration"], rtol=2e-3)
    check_slots(case)


def check_slots(case):
    variables = case.state.variables()
    for key in [key for key in case.data if key.startswith("slots5/")]:
        network, kind, *name = key[len("slots5/") :].split("/", 2)
        if kind == "beta_power":
            powers = [variables[f"{network}_opt/beta{i}_power"].numpy() for i in (1, 2)]
            close(powers, case.data[key], rtol=1e-6, name=key)
        else:
            value = variables[f"{network}_opt/{kind}/{name[0]}"].numpy()
            close(value, case.data[key], of_max=5e-3, atol=1e-8, name=key)


def test_two_passes_are_one_step():
    case = make_case("s2_base")
    steps = case.steps(passes=2)
    for phase in due(case.phases, 0):
        if phase.average == "before":
            steps.update_average(scalars(case, 16)["ema_beta"])
        for index in range(2):
            steps.given = case.noise("pl_noise", index)
            batch = inputs(case, phase, 1 if phase.name == "D_reg" else index)
            steps.accumulate(phase, batch, scalars(case), tf.constant([0, index]), factors(case))
        steps.finish(phase, scalars(case))
    check_variables(case, "accum1", 6e-5)


def test_regularisation_in_every_step():
    case = make_case("s2_base", lazy=False)
    assert [phase.name for phase in case.phases] == ["G", "D"]
    steps = case.steps()
    for index in range(2):
        for phase in due(case.phases, index):
            seed = tf.constant([0, index])
            steps.update(phase, inputs(case, phase, index), scalars(case), seed, factors(case))
    variables = case.state.variables()
    for key in [key for key in case.data if key.startswith("nolazy2/")]:
        name = key[len("nolazy2/") :]
        close(variables[name].numpy(), case.data[key], rtol=1e-6, atol=6e-5, name=key)
