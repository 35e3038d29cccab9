"""Spectral normalisation: the same numbers from every wrapper, σ → 1, and its place in training.

σ and the power iteration are NumPy's, in float64. Run as a program, this file is the check
under MirroredStrategy, on two logical CPU devices.
"""

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks.layers import Conv2D, Dense
from networks.spectral_norm import SpectralNorm
from tests.networks.common import discriminator, images_for, randomize
from tests.training.small import assert_same_bits, final_state, small_config
from training import report, steps as training_steps
from training.loop import train
from training.phases import make_phases
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps, StepSettings

pytestmark = pytest.mark.conformance

ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
N = 4
WRAPPERS = ["keras"]
if importlib.util.find_spec("tensorflow_addons"):
    WRAPPERS.append("addons")


@pytest.fixture(params=WRAPPERS)
def wrapper(request, monkeypatch):
    """Each wrapper that exists here; Keras's by making TensorFlow Addons fail to import."""
    if request.param == "keras":
        monkeypatch.setitem(sys.modules, "tensorflow_addons.layers", None)
    return request.param


def matrix(layer):
    """What the layer applies, as a matrix [in, out] in float64."""
    kernel = np.float64(layer.weight.numpy()) * layer.coefficient
    return kernel.reshape(-1, kernel.shape[-1])


def largest(layer):
    return np.linalg.svd(matrix(layer), compute_uv=False)[0]


def sigmas(D):
    return {scope: largest(norm.source) for scope, norm in D.norms.items()}


LAYERS = {
    "conv3": lambda: Conv2D("8x8/Conv0", 5, 6, 4),
    "conv1": lambda: Conv2D("FromRGB_lod0", 5, 3, 7, kernel=1, use_wscale=False),
    "down": lambda: Conv2D("8x8/Conv1_down", 5, 4, 6, resample="down", fused=True),
    "dense": lambda: Dense("4x4/Dense0", 5, 24, 9, lrmul=0.5),
    "one_unit": lambda: Dense("4x4/Dense1", 5, 9, 1, gain=1),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_an_iteration_is_the_papers(kind, wrapper):
    layer = LAYERS[kind]()
    norm = SpectralNorm(layer)
    assert wrapper in type(norm.wrapper).__module__
    w, u = matrix(layer), np.float64(norm.vector.numpy())
    assert u.shape == (1, w.shape[1])
    for _ in range(3):
        # Algorithm 1 of Miyato et al. 2018, for a matrix [in, out]; then W ← W / σ.
        v = u @ w.T / np.linalg.norm(u @ w.T)
        u = v @ w / np.linalg.norm(v @ w)
        w = w / (v @ w @ u.T)
        norm.normalize()
        # Float rounding; the sums have at most 54 terms.
        np.testing.assert_allclose(norm.vector.numpy(), u, atol=2e-6)
        np.testing.assert_allclose(matrix(layer), w, atol=2e-6)
    assert norm.vector.dtype == layer.weight.dtype == tf.float32


def test_a_kernel_without_direction_stays(wrapper):
    layer = Conv2D("scope", 1, 3, 4)
    norm = SpectralNorm(layer)
    u = norm.vector.numpy()
    for value in (0.0, 1e-30):
        layer.weight.assign(tf.fill(layer.weight.shape, value))
        for normalize in (norm.normalize, tf.function(norm.normalize, autograph=False)):
            normalize()
            np.testing.assert_array_equal(layer.weight.numpy(), np.float32(value))
            np.testing.assert_array_equal(norm.vector.numpy(), u)


def test_u_starts_as_a_function_of_seed_and_scope():
    first, again, other = (
        discriminator(seed=seed, resolution=8, spectral_norm=True).arrays() for seed in (1, 1, 2)
    )
    vectors = [name for name in first if name.endswith("spectral_u")]
    assert_same_bits({n: first[n] for n in vectors}, {n: again[n] for n in vectors})
    assert all((first[name] != other[name]).all() for name in vectors)
    # Every kernel with as many outputs has another u.
    assert len({first[name].tobytes() for name in vectors}) == len(vectors)


def test_names_and_shapes():
    D = discriminator(resolution=8, label_size=3, spectral_norm=True)
    shapes = {
        "lod": (),
        "FromRGB_lod0/weight": (1, 1, 3, 8),
        "FromRGB_lod0/bias": (8,),
        "FromRGB_lod0/spectral_u": (1, 8),
        "8x8/Conv0/weight": (3, 3, 8, 8),
        "8x8/Conv0/bias": (8,),
        "8x8/Conv0/spectral_u": (1, 8),
        "8x8/Conv1_down/weight": (3, 3, 8, 8),
        "8x8/Conv1_down/bias": (8,),
        "8x8/Conv1_down/spectral_u": (1, 8),
        "FromRGB_lod1/weight": (1, 1, 3, 8),
        "FromRGB_lod1/bias": (8,),
        "FromRGB_lod1/spectral_u": (1, 8),
        "4x4/Conv/weight": (3, 3, 9, 8),
        "4x4/Conv/bias": (8,),
        "4x4/Conv/spectral_u": (1, 8),
        "4x4/Dense0/weight": (128, 8),
        "4x4/Dense0/bias": (8,),
        "4x4/Dense0/spectral_u": (1, 8),
        "4x4/Dense1/weight": (8, 3),
        "4x4/Dense1/bias": (3,),
        "4x4/Dense1/spectral_u": (1, 3),
    }
    assert {name: array.shape for name, array in D.arrays().items()} == shapes
    plain = discriminator(resolution=8, label_size=3).arrays()
    assert list(plain) == [name for name in shapes if not name.endswith("spectral_u")]
    assert_same_bits(plain, {name: D.arrays()[name] for name in plain})
    assert not any(name.endswith("spectral_u") for name in D.trainable())


@pytest.mark.parametrize(
    ("func_name", "options"),
    [
        ("D_basic", {}),
        ("D_basic", dict(fused_scale=True, use_wscale=False, label_size=3)),
        ("D_paper", {}),
        ("D_paper", dict(fused_scale=False)),
    ],
)
def test_sigma_tends_to_1(func_name, options):
    common = dict(num_channels=3, resolution=16, fmap_base=64, fmap_max=8, spectral_norm=True)
    D = networks.build(func_name, seed=2, **common, **options)
    assert len(D.norms) == len([name for name in D.trainable() if name.endswith("weight")])
    assert max(abs(sigma - 1) for sigma in sigmas(D).values()) > 0.5
    normalize = tf.function(lambda: D.normalize_kernels(None), autograph=False)
    for _ in range(200):
        normalize()
    assert max(abs(sigma - 1) for sigma in sigmas(D).values()) < 1e-3


def test_other_stages_kernels_do_not_move():
    D = discriminator(spectral_norm=True)
    before = D.arrays()
    D.normalize_kernels(1, True)
    after = D.arrays()
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    scopes = (
        "8x8/Conv0 8x8/Conv1_down 4x4/Conv 4x4/Dense0 4x4/Dense1 FromRGB_lod1 FromRGB_lod2"
    ).split()
    # u [1, 1] is ±1 after any iteration.
    assert moved == {f"{scope}/{kind}" for scope in scopes for kind in ("weight", "spectral_u")}
    D.normalize_kernels(1)
    last = D.arrays()
    for kind in ("weight", "spectral_u"):
        np.testing.assert_array_equal(last[f"FromRGB_lod2/{kind}"], after[f"FromRGB_lod2/{kind}"])


# ---------------------------------------------------------------- training


def make_steps(stage, strategy=None, r1_gamma=10.0, spectral_norm=True, **common):
    common = dict(resolution=8, num_channels=3, fmap_base=32, fmap_max=8, **common)
    G = dict(
        func_name="G_style",
        latent_size=8,
        dlatent_size=8,
        mapping_fmaps=8,
        mapping_layers=2,
        **common,
    )
    D = dict(func_name="D_basic", spectral_norm=spectral_norm, **common)
    phases = make_phases(
        {"func_name": "G_logistic_nonsaturating"},
        {"func_name": "D_logistic_simplegp", "r1_gamma": r1_gamma},
    )
    settings = StepSettings(noise="fixed", mixing=None)
    with (strategy or tf.distribute.get_strategy()).scope():
        state = create_state(G, D, ADAM, ADAM, seed=1)
    return StageSteps(state, stage, phases, settings, strategy)


def scalars(step):
    return {
        "alpha": tf.constant(0.3),
        "learning_rate": tf.constant(0.001),
        "ema_beta": tf.constant(0.9),
        "seed": tf.constant([5, step]),
    }


def reals(step, side=8):
    images = np.random.RandomState(step).randint(0, 256, [N, side, side, 3])
    return tf.constant(images, tf.uint8)


def values(state):
    return {name: variable.numpy() for name, variable in state.variables().items()}


@pytest.mark.parametrize("r1_gamma", [0.0, 10.0])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_sigma_stays_near_1_while_training(dtype, r1_gamma):
    steps = make_steps(Stage(0, False), r1_gamma=r1_gamma, dtype=dtype)
    D = steps.state.D
    unused = "FromRGB_lod1"
    before = values(steps.state)
    for step in range(60):
        means = steps.compiled["D"](scalars(step), tf.zeros([N, 0]), reals(step))
    assert all(np.isfinite(float(mean)) for mean in means.values())
    assert ("r1_penalty" in means) == (r1_gamma > 0)
    assert steps.compiled["D"].experimental_get_tracing_count() == 1
    after = values(steps.state)
    assert all(variable.dtype == tf.float32 for variable in D.named.values())
    for name, variable in D.named.items():
        moved = before[f"D/{name}"].tobytes() != variable.numpy().tobytes()
        assert moved == (name != "lod" and not name.startswith(unused)), name
    assert_same_bits(
        {name: after[name] for name in after if unused in name},
        {name: before[name] for name in before if unused in name},
    )
    # The last update came after the last normalisation. It adds about ±1 times the learning rate
    # to every element: with the coefficient √2/√in, at most a norm of √2/√in · 0.001 · √(in·8).
    for scope, sigma in sigmas(D).items():
        if scope != unused:
            assert abs(sigma - 1) < 0.01, scope
    plain = make_steps(Stage(0, False), spectral_norm=False).state.D
    assert abs(largest(plain.conv.source) - 1) > 0.5


def test_a_step_is_normalisation_and_then_the_plain_step():
    stage = Stage(0, True)
    normalized, plain = (make_steps(stage, spectral_norm=on) for on in (True, False))
    D = normalized.state.D
    start = D.arrays()
    D.normalize_kernels(*stage)
    plain.state.D.set_arrays({name: D.arrays()[name] for name in plain.state.D.named})
    D.set_arrays(start)
    results = []
    for steps in (normalized, plain):
        steps.compiled["D"](scalars(0), tf.zeros([N, 0]), reals(0))
        results.append(values(steps.state))
    # The gradients: with β₁ = 0, Adam's m is the last one. They are the plain ones, at the
    # normalised kernels: nothing is derived through σ.
    gradients = [name for name in results[1] if name.startswith("D_opt/m/")]
    assert len(gradients) == 14
    for name in gradients:
        expected = results[1][name]
        np.testing.assert_allclose(
            results[0][name], expected, atol=1e-5 * np.abs(expected).max(), err_msg=name
        )
    assert np.abs(results[1]["D_opt/m/4x4/Conv/weight"]).max() > 0


@pytest.fixture
def eagerly():
    """Without tracing, which takes most of the time of a short run."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


# ---------------------------------------------------------------- files


def test_snapshots_hold_u(tmp_path):
    D = randomize(discriminator(spectral_norm=True))
    D.normalize_kernels(0)
    networks.save(tmp_path / "D.safetensors", D=D)
    _, loaded, _ = networks.load(tmp_path / "D.safetensors")
    assert_same_bits(loaded.arrays(), D.arrays())
    images = images_for(D)
    np.testing.assert_array_equal(loaded(images), D(images))
    for network in (D, loaded):
        network.normalize_kernels(0)
    assert_same_bits(loaded.arrays(), D.arrays())


def test_a_stopped_run_ends_with_the_same_bits(tmp_path, monkeypatch, eagerly):
    config = small_config("D.spectral_norm=True", "total_kimg=0.06", "dataset.resolution=4")
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    assert train(config, whole) == 0
    with monkeypatch.context() as patch:
        patch.setattr(report.Report, "progress", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert train(config, stopped) == 128 + signal.SIGTERM
    arrays, progress = final_state(stopped)
    assert 0 < progress["cur_nimg"] < 60
    expected, _ = final_state(whole)
    u = "D/4x4/Conv/spectral_u"
    assert (arrays[u] != expected[u]).all()
    assert train(config, stopped) == 0
    assert_same_bits(final_state(stopped)[0], expected)


# ---------------------------------------------------------------- replicas


def test_mirrored_replicas_agree():
    done = subprocess.run(
        [sys.executable, "-m", "tests.networks.test_spectral_norm"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "replicas agree" in done.stdout


def mirrored_check():
    """Two replicas with the same minibatch: the single replica's run; with two: equal copies."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    single = tf.distribute.OneDeviceStrategy("/cpu:0")
    mirrored = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    assert mirrored.num_replicas_in_sync == 2
    own_seed = training_steps._replica_seed

    def run(strategy, count, same):
        training_steps._replica_seed = (lambda seed: seed) if same else own_seed
        steps = make_steps(Stage(0, True), strategy)
        for step in range(count):
            images = strategy.experimental_distribute_values_from_function(
                lambda context, step=step: reals(
                    10 * step + (0 if same else context.replica_id_in_sync_group)
                )
            )
            steps.compiled["D"](scalars(step), tf.zeros([N, 0]), images)
        return steps.state

    tf.config.run_functions_eagerly(True)  # three steps take less time than to trace them
    alone = values(run(single, 3, same=True))
    tf.config.run_functions_eagerly(False)
    together = values(run(mirrored, 3, same=True))
    assert alone.keys() == together.keys()
    for name, array in alone.items():
        np.testing.assert_allclose(together[name], array, atol=1e-5, err_msg=name)

    state = run(mirrored, 60, same=False)
    for name, variable in state.variables().items():
        copies = [copy.numpy() for copy in mirrored.experimental_local_results(variable)]
        assert len(copies) == 2
        assert copies[0].tobytes() == copies[1].tobytes(), f"replicas differ: {name}"
    assert max(abs(sigma - 1) for sigma in sigmas(state.D).values()) < 0.01, sigmas(state.D)
    print("replicas agree")


if __name__ == "__main__":
    mirrored_check()
