"""Opening 1024×1024 networks, in a process of its own so that its peak memory is its own.

    python -m benchmarks.opening make DIRECTORY
    python -m benchmarks.opening open FILE

The first writes G, D and Gs as a snapshot and as a legacy pickle. The second opens one of the
two, and generates with it from a snapshot. It prints one line of JSON; `python -m benchmarks`
starts both. Time is the best of `--repeats`; memory is above that of TensorFlow with one small
operation run, and is the peak so far: the file's own pages count, which the system may take
back at any time.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import networks
from benchmarks.case import generation
from compute.devices import silence_xla
from networks.sampling import generator_function
from tests.dnnlib.pickles import pickle_assembler as opcodes
from training.report import peak_memory_gb

OPTIONS = {"resolution": 1024, "num_channels": 3}


def make(directory) -> None:
    """Writes new networks in both formats."""
    names = {"G": "G_style", "D": "D_basic", "Gs": "G_style"}
    roles = {
        role: networks.build(name, seed=seed, **OPTIONS)
        for seed, (role, name) in enumerate(names.items())
    }
    networks.save(Path(directory, "networks.safetensors"), **roles)
    write_pickle(Path(directory, "networks.pkl"), roles.values(), OPTIONS)


def write_pickle(path, built, options: dict[str, int], numbers: str = "f4") -> None:
    """Networks that were built with `options` as the original's pickle has them.

    numbers: NumPy's name of their type.
    """
    with open(path, "wb") as file:
        file.write(opcodes.PROTO + opcodes.MARK)
        for network in built:
            pairs = []
            for name, values in network.arrays().items():
                data, kind = values.astype(numbers).tobytes(), opcodes.dtype(numbers)
                pairs.append((name, opcodes.array(data, values.shape, kind)))
            file.write(
                opcodes.network(
                    build_func_name=opcodes.text(network.func_name),
                    static_kwargs=opcodes.table(
                        **{key: opcodes.number(value) for key, value in options.items()}
                    ),
                    variables=opcodes.variables(*pairs),
                )
            )
        file.write(opcodes.TUPLE + opcodes.STOP)


def read_plainly(path) -> None:
    with open(path, "rb") as file:
        while file.read(2**20):
            pass


def spent(function, *args):
    """(what it returns, [seconds, seconds of processor time])."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = function(*args)
    return result, np.array([time.perf_counter(), time.process_time()]) - start


def opening(path, repeats: int) -> dict:
    """Time and memory of `networks.load(path)`; of a snapshot, also of generating with it."""
    tf.Variable(tf.zeros([8])).assign(tf.ones([8]))
    networks.load  # noqa: B018 - imports what it needs
    gc.collect()
    before = peak_memory_gb()
    seconds, plain, peak = [], [], None
    for _ in range(repeats):
        loaded = None
        gc.collect()  # Keras's layers refer to each other
        plain.append(spent(read_plainly, path)[1])
        loaded, each = spent(networks.load, path)
        seconds.append(each)
        peak = peak or peak_memory_gb() - before
    least, least_plain = np.min(seconds, axis=0), np.min(plain, axis=0)
    result = {
        "file_gb": os.path.getsize(path) / 2**30,
        "seconds": least[0],
        "seconds_cpu": least[1],
        "ratio_to_read": least[0] / least_plain[0],
        "peak_gb": peak,
    }
    if str(path).endswith(".safetensors"):
        result["copy_seconds"], result["copy_seconds_cpu"] = spent(generator_function, loaded[2])[1]
        gc.collect()
        speed = generation(loaded[2], minibatch=1, repeats=repeats)
        speed["peak_gb"] -= before
        result["generation"] = speed
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("make", "open"))
    parser.add_argument("path")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    silence_xla()
    if args.what == "make":
        make(args.path)
    else:
        print(json.dumps(opening(args.path, args.repeats)))


if __name__ == "__main__":
    main()
