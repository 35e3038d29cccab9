"""One measurement in a process of its own, so that its peak memory is its own.

Prints one line of JSON. `python -m benchmarks` starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks import floor
from networks.inference import generator_function
from training.builtin_data import SyntheticImages
from training.devices import silence_xla
from training.report import peak_memory_gb
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps, StepSettings

ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
SETTINGS = StepSettings(
    G_loss={"func_name": "G_logistic_nonsaturating"},
    D_loss={"func_name": "D_logistic_simplegp"},
)


def measure(function, repeats: int) -> tuple[float, float]:
    """(seconds of the first call, least seconds of a later one)."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        tf.nest.map_structure(lambda tensor: tensor.numpy(), function())
        times.append(time.perf_counter() - start)
    return times[0], min(times[1:])


def generate(resolution, minibatch, dtype, repeats):
    import networks

    G = networks.build("G_style", seed=1, resolution=resolution, dtype=dtype)
    z = tf.constant(np.random.RandomState(1).randn(minibatch, 512), tf.float32)
    function = generator_function(G, lod=0, noise="random")
    first, best = measure(lambda: function(z, seed=1), repeats)
    result = {"first_seconds": first, "images_per_second": minibatch / best}
    result["peak_gb"] = peak_memory_gb()
    plain = tf.function(lambda z: G(z, lod=0, seed=1), autograph=False)
    counts = floor.products(plain.get_concrete_function(z))
    result["floor_images_per_second"] = minibatch / floor.seconds(counts, repeats)
    return result


def iterate(resolution, minibatch, dtype, repeats, level=0):
    """One step of D with R1 and the moving average, and one of G."""
    common = dict(resolution=resolution, num_channels=3, dtype=dtype)
    G, D = dict(func_name="G_style", **common), dict(func_name="D_basic", **common)
    state = create_state(G, D, ADAM, ADAM, seed=1)
    steps = StageSteps(state, Stage(level, False), SETTINGS)
    side = resolution >> level
    images = np.random.RandomState(1).randint(0, 256, [minibatch, side, side, 3])
    images, labels = tf.constant(images, tf.uint8), tf.zeros([minibatch, 0])
    scalars = {
        "alpha": tf.constant(0.0),
        "learning_rate": tf.constant(0.001),
        "ema_beta": tf.constant(0.99),
        "seed": tf.constant([1, 2]),
    }
    first_D, best_D = measure(lambda: steps.discriminator(images, labels, scalars), repeats)
    first_G, best_G = measure(lambda: steps.generator(labels, scalars), repeats)
    result = {
        "first_seconds": first_D + first_G,
        "images_per_second": minibatch / (best_D + best_G),
        "seconds_D": best_D,
        "seconds_G": best_G,
        "peak_gb": peak_memory_gb(),
    }
    counts = floor.products(steps.discriminator.get_concrete_function(images, labels, scalars))
    counts += floor.products(steps.generator.get_concrete_function(labels, scalars))
    result["floor_images_per_second"] = minibatch / floor.seconds(counts, repeats)
    result["tflop_per_image"] = floor.flops(counts) / minibatch / 1e12
    return result


def losses(resolution, minibatch, dtype, repeats):
    """The losses of `repeats` iterations in float32, and of the same ones in `dtype`.

    Every iteration of the second starts from the weights of the first: left to itself, a run
    in float32 that only rounds differently is 4 % away after 50 steps.
    """
    names = ("float32", dtype)
    runs = [_narrow_run(resolution, name) for name in names]
    pictures, labels = SyntheticImages(), tf.zeros([minibatch, 0])
    found = {f"{network}_{name}": [] for network in "DG" for name in names}
    for index in range(repeats):
        batch = np.arange(index * minibatch, (index + 1) * minibatch)
        images = tf.constant(pictures.read(resolution.bit_length() - 1, batch))
        scalars = {
            "alpha": tf.constant(0.0),
            "learning_rate": tf.constant(0.001),
            "ema_beta": tf.constant(0.99),
            "seed": tf.constant([1, index]),
        }
        weights = runs[0].state.variables()
        for name, variable in runs[1].state.variables().items():
            variable.assign(weights[name])
        for name, steps in zip(names, runs):
            D, G = steps.discriminator(images, labels, scalars), steps.generator(labels, scalars)
            found[f"D_{name}"].append(float(D["D"]))
            found[f"G_{name}"].append(float(G["G"]))
    return found


def _narrow_run(resolution, dtype):
    common = dict(resolution=resolution, num_channels=3, fmap_max=128, dtype=dtype)
    G, D = dict(func_name="G_style", **common), dict(func_name="D_basic", **common)
    return StageSteps(create_state(G, D, ADAM, ADAM, seed=1), Stage(0, False), SETTINGS)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("generate", "iterate", "losses"))
    parser.add_argument("--resolution", type=int, required=True)
    parser.add_argument("--minibatch", type=int, required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--level", type=int, default=0)
    args = parser.parse_args()
    silence_xla()
    common = (args.resolution, args.minibatch, args.dtype, args.repeats)
    if args.what == "generate":
        result = generate(*common)
    elif args.what == "iterate":
        result = iterate(*common, level=args.level)
    else:
        result = losses(*common)
    if "floor_images_per_second" in result:
        result["share_of_floor"] = result["images_per_second"] / result["floor_images_per_second"]
    print(json.dumps({**vars(args), **result}))


if __name__ == "__main__":
    main()
