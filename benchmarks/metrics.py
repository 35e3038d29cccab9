"""Where evaluation spends its time, and how long its arithmetic takes at the paper's size.

Prints one line of JSON. `python -m benchmarks` starts it. The weights are random: they change no
time.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import networks
from compute.devices import silence_xla
from compute.replica_map import ReplicaMap
from dnnlib import tensor_file
from metrics import frechet, kernel_distance, neighbours, separability
from metrics.evaluation import Evaluation
from metrics.features import inception, vgg16, weight_files
from metrics.registry import parse
from metrics.tools import Settings, Tools
from training.report import peak_memory_gb


def profile(resolution: int, count: int) -> dict:
    """{metric: images/s, and the share of its time that networks have} at full width."""
    results = {}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        options = dict(resolution=resolution, num_channels=3)
        Gs = networks.build("G_style", seed=1, **options)
        networks.save(directory / "Gs.safetensors", Gs=Gs)
        for index in range(2):
            D = networks.build("D_basic", seed=index, mbstd_group_size=0, **options)
            path = directory / f"classifier-{index}.safetensors"
            networks.save(path, D=D, info={"attribute": str(index)})
        settings = Settings(
            dataset=f"synthetic-{resolution}",
            inception_weights=_weights(directory, "inception", inception.shapes()),
            vgg16_weights=_weights(directory, "vgg16", vgg16.trunk_shapes()),
            classifiers=(str(directory),),
            cache_dir=name,
        )
        with Tools(settings, ReplicaMap(tf.distribute.get_strategy(), progress=False)) as tools:
            tools.check([parse(metric) for metric in ("fid50k", "ppl_wfull", "ls")])
            for metric, images in (("fid", 2), ("ppl_wfull", 2), ("ls", 1)):
                results[metric] = _measure(directory, tools, metric, count // images, images)
    return results


def _measure(directory, tools, metric, count, images):
    evaluation = Evaluation(directory / "Gs.safetensors", tools)
    tools.network("inception"), tools.network("vgg16")  # loaded before the clock starts
    before, started = tools.replica_map.seconds, time.perf_counter()
    evaluation.run(parse(metric, count))
    total = time.perf_counter() - started
    return {
        "images": count * images,
        "images_per_second": count * images / total,
        "share_in_networks": (tools.replica_map.seconds - before) / total,
        "peak_gb": peak_memory_gb(),
    }


def _weights(directory, network, shapes) -> str:
    rng = np.random.RandomState(0)
    arrays = {}
    for name, shape in shapes.items():
        scale = (2 / np.prod(shape[:3])) ** 0.5 if len(shape) == 4 else 0.1
        mean = 1.0 if name.endswith("variance") else 0.0
        arrays[name] = (mean + scale * rng.randn(*shape)).astype(np.float32)
    path = directory / f"{network}.safetensors"
    metadata = {"network": network, "source": "random", "source_sha256": "0" * 64}
    tensor_file.save(path, arrays, weight_files.FORMAT, metadata)
    return str(path)


def arithmetic(count: int = 50_000, features: int = 2048, samples: int = 200_000) -> dict:
    """Seconds of what is not networks, at the size of fid50k, kid50k and of one attribute of ls;
    of precision and recall, which takes as the square of the images, for fewer of them."""
    rng, seconds = np.random.RandomState(0), {}

    def clock(name, function, *args):
        started = time.perf_counter()
        result = function(*args)
        seconds[name] = time.perf_counter() - started
        return result

    sets = [np.abs(rng.standard_normal([count, features])).astype(np.float32) for _ in range(2)]
    one, other = (clock("FID moments", frechet.statistics, part) for part in sets)
    clock("FID root", frechet.distance, one, other)
    clock("KID", _kernel_distance, *sets)
    del sets
    few = [np.maximum(rng.standard_normal([8192, 4096]), 0).astype(np.float32) for _ in range(2)]
    clock("precision and recall of 8192 and 8192", neighbours.precision_and_recall, *few, 3)
    del few
    z = rng.standard_normal([samples, 512]).astype(np.float32)
    w = (z + 0.3 * np.tanh(z @ rng.standard_normal([512, 512]))).astype(np.float32)
    logits = w @ rng.standard_normal(512) + 4 * rng.standard_normal(samples)
    rows = clock("LS sort", separability.most_confident, logits, samples // 2)
    classes = separability.targets(logits[rows])
    for svm in separability.SVMS:
        with ThreadPoolExecutor(2) as pool:
            fits = [(space[rows], classes, svm) for space in (z, w)]
            clock(
                f"LS {svm} SVMs, z and w side by side",
                lambda: list(pool.map(lambda fit: separability.fit(*fit), fits)),  # noqa: B023
            )
    return seconds


def _kernel_distance(one, other):
    for x, y in kernel_distance.draw(0, len(one), len(other)):
        kernel_distance.squared_mmd(one[x], other[y])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("profile", "arithmetic"))
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--count", type=int, default=256, help="images of each metric")
    args = parser.parse_args()
    silence_xla()
    if args.what == "profile":
        print(json.dumps(profile(args.resolution, args.count)))
    else:
        print(json.dumps(arithmetic()))


if __name__ == "__main__":
    main()
