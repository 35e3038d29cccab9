"""Run as a program with the results file: metrics on one and on two logical CPUs.

A program of its own, because logical devices must be made before anything else runs.
"""

import json
import sys
import tempfile
from pathlib import Path

import tensorflow as tf

from metrics import tools
from metrics.evaluation import Evaluation
from metrics.features import weights
from metrics.registry import parse
from networks import snapshot
from tests.metrics import small
from tests.metrics.test_evaluation import classifier


def main(out):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    stand_in = weights.FeatureWeights({"scale": 1.0}, "stand-in", "5" * 64, "stand-in")
    weights.load = lambda *_: stand_in
    tools.NETWORKS.update(inception=small.Colours, vgg16=small.Squares)
    strategies = {"one": tf.distribute.OneDeviceStrategy("/cpu:0")}
    strategies["two"] = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    directory = Path(tempfile.mkdtemp())
    network = small.save(directory / "n.safetensors", small.generator(label_size=4))
    D = directory / "classifier-bright.safetensors"
    snapshot.save(D, D=classifier().network, info={"attribute": "bright"})
    results = {}
    for name, strategy in strategies.items():
        with small.tools(
            directory / name, strategy, dataset="synthetic-32-4", classifiers=(str(D),)
        ) as made:
            evaluation = Evaluation(network, made)
            records = [
                evaluation.run(parse(metric)) for metric in ("fid43", "ppl_wfull-21", "ls-50")
            ]
            results[name] = {k: v for record in records for k, v in record["results"].items()}
    Path(out).write_text(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
