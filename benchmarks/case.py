"""One measurement in a process of its own, so that its peak memory is its own.

Prints one line of JSON. `python -m benchmarks` starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import networks
from benchmarks import floor
from compute.devices import silence_xla
from datasets.format.builtin import SyntheticImages
from editing.distances import PixelScales
from editing.projection import Projector, Start
from networks.sampling import generator_function
from training.phases import make_phases
from training.report import peak_memory_gb
from training.schedule import Stage
from training.state import create_state
from training.steps import StageSteps

ADAM = dict(beta1=0.0, beta2=0.99, epsilon=1e-8)
# The families' networks and phases; StyleGAN2's are configuration F.
FAMILIES = {
    "stylegan": (
        "G_style",
        "D_basic",
        make_phases(
            {"func_name": "G_logistic_nonsaturating"}, {"func_name": "D_logistic_simplegp"}
        ),
    ),
    "stylegan2": (
        "G_main",
        "D_stylegan2",
        make_phases(
            {"func_name": "G_logistic_ns_pathreg"}, {"func_name": "D_logistic_r1"}, G_first=True
        ),
    ),
}


def timed(function) -> np.ndarray:
    """(seconds, seconds of processor time) of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    tf.nest.map_structure(lambda tensor: tensor.numpy(), function())
    return np.array([time.perf_counter() - wall, time.process_time() - cpu])


def compare(functions, concrete_functions, minibatch, repeats, weights=None) -> dict:
    """Speed of all `functions` together, and of the products in their graphs alone.

    weights: how often each is called for one minibatch, by default once. In turns, and the best
    of `repeats`, so that a busy machine slows both.
    """
    first = sum(timed(function)[0] for function in functions)
    steps = [np.array([timed(function) for function in functions])]
    peak = peak_memory_gb()  # before the floor adds its own
    weights = np.array(weights or [1.0] * len(functions))[:, None]
    counts: Counter = Counter()
    for (weight,), concrete in zip(weights, concrete_functions):
        for product, count in floor.products(concrete()).items():
            counts[product] += weight * count
    floors = [floor.times(counts, timed)]
    for _ in range(repeats - 1):
        steps.append(np.array([timed(function) for function in functions]))
        floors.append(floor.times(counts, timed))
    step = (np.min(steps, axis=0) * weights).sum(axis=0)
    least = np.min(floors, axis=0).sum(axis=0)
    return {
        "images_per_second": minibatch / step[0],
        "floor_images_per_second": minibatch / least[0],
        "share_of_floor": least[0] / step[0],
        # Of processor time: nearly the same on a machine that does other things as well.
        "share_of_floor_cpu": least[1] / step[1],
        "tflop_per_image": floor.flops(counts) / minibatch / 1e12,
        "first_seconds": first,
        "peak_gb": peak,
    }


def generate(family, resolution, minibatch, dtype, repeats):
    G = networks.build(FAMILIES[family][0], seed=1, resolution=resolution, dtype=dtype)
    return generation(G, minibatch, repeats)


def generation(G, minibatch, repeats):
    z = tf.constant(np.random.RandomState(1).randn(minibatch, 512), tf.float32)
    function = generator_function(G, lod=0, noise="random")
    plain = tf.function(lambda z: G(z, lod=0, seed=1), autograph=False)
    return compare(
        [lambda: function(z, seed=1)], [lambda: plain.get_concrete_function(z)], minibatch, repeats
    )


def iterate(family, resolution, minibatch, dtype, repeats, level=0):
    """One step of D and of G, and of their regularisers as often as they are due."""
    steps = make_steps(family, dict(resolution=resolution, num_channels=3, dtype=dtype), level)
    side = resolution >> level
    images = np.random.RandomState(1).randint(0, 256, [minibatch, side, side, 3])
    images, labels = tf.constant(images, tf.uint8), tf.zeros([minibatch, 0])
    inputs = {"D": (labels, images), "G": (labels,)}
    scalars, phases = make_scalars(0), FAMILIES[family][2]
    calls = [(steps.compiled[phase.name], inputs[phase.network]) for phase in phases]
    return compare(
        [lambda f=f, given=given: f(scalars, *given) for f, given in calls],
        [lambda f=f, given=given: f.get_concrete_function(scalars, *given) for f, given in calls],
        minibatch,
        repeats,
        [1 / phase.interval for phase in phases],
    )


def project(family, resolution, minibatch, dtype, repeats):
    """One step of a projection of `minibatch` pictures, which pixels are compared with."""
    G = networks.build(FAMILIES[family][0], seed=1, resolution=resolution, dtype=dtype)
    projector = Projector(G, PixelScales(), count=minibatch)
    w = np.zeros([minibatch, G.w_shape[1]], np.float32)
    noise = [np.random.randn(minibatch, *side, 1) for side in G.noise_shapes()]
    images = np.random.RandomState(1).randint(0, 256, [minibatch, resolution, resolution, 3])
    projector.start(Start(w, np.ones([minibatch], np.float32), noise), images)
    drawn = np.zeros(projector.codes_shape, np.float32)
    inputs = projector.inputs(0.5, drawn)
    return compare(
        [lambda: projector.graph(*inputs)],
        [lambda: projector.graph.get_concrete_function(*inputs)],
        minibatch,
        repeats,
    )


def make_steps(family, common, level=0):
    G_name, D_name, phases = FAMILIES[family]
    G, D = dict(func_name=G_name, **common), dict(func_name=D_name, **common)
    state = create_state(G, D, ADAM, ADAM, phases=phases, seed=1)
    return StageSteps(state, Stage(level, False), phases)


def make_scalars(index):
    return {
        "alpha": tf.constant(0.0),
        "learning_rate": tf.constant(0.001),
        "ema_beta": tf.constant(0.99),
        "seed": tf.constant([1, index]),
    }


def losses(resolution, minibatch, dtype, repeats):
    """The losses of `repeats` iterations in float32, and of the same ones in `dtype`.

    Every iteration of the second starts from the weights of the first: left to itself, a run
    in float32 that only rounds differently is 4 % away after 50 steps.
    """
    names = ("float32", dtype)
    common = dict(resolution=resolution, num_channels=3, fmap_max=128)
    runs = [make_steps("stylegan", dict(**common, dtype=name)) for name in names]
    pictures, labels = SyntheticImages(), tf.zeros([minibatch, 0])
    values = {f"{network}_{name}": [] for network in "DG" for name in names}
    for index in range(repeats):
        batch = np.arange(index * minibatch, (index + 1) * minibatch)
        images = tf.constant(pictures.read(resolution.bit_length() - 1, batch))
        scalars = make_scalars(index)
        weights = runs[0].state.variables()
        for name, variable in runs[1].state.variables().items():
            variable.assign(weights[name])
        for name, steps in zip(names, runs):
            D = steps.compiled["D"](scalars, labels, images)
            G = steps.compiled["G"](scalars, labels)
            values[f"D_{name}"].append(float(D["D"]))
            values[f"G_{name}"].append(float(G["G"]))
    return values


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("generate", "iterate", "project", "losses"))
    parser.add_argument("--family", choices=FAMILIES, default="stylegan")
    parser.add_argument("--resolution", type=int, required=True)
    parser.add_argument("--minibatch", type=int, required=True)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--level", type=int, default=0)
    args = parser.parse_args()
    silence_xla()
    common = (args.resolution, args.minibatch, args.dtype, args.repeats)
    if args.what == "generate":
        result = generate(args.family, *common)
    elif args.what == "project":
        result = project(args.family, *common)
    elif args.what == "iterate":
        result = iterate(args.family, *common, level=args.level)
    else:
        result = losses(*common)
    print(json.dumps({**vars(args), **result}))


if __name__ == "__main__":
    main()
