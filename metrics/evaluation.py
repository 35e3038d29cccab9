"""One generator under evaluation: what the metrics share, and what happens to their numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from compute.replica_map import Work
from datasets.format.reader import Dataset, inspect, open_dataset
from dnnlib.download import file_sha256
from dnnlib.errors import UserError, explain_os_errors
from dnnlib.paths import cache_directory, is_pickle
from metrics import results
from metrics.features import classifiers, weights
from metrics.features.inception import Inception
from metrics.features.vgg16 import Lpips
from metrics.fid import fid
from metrics.ls import ls
from metrics.ppl import ppl
from metrics.registry import Metric
from metrics.samples import Labels, Samples
from networks import snapshot
from networks.sampling import minibatch_size
from networks.snapshot import load_generator
from training.config import PRECISIONS

_FUNCTIONS = {"fid": fid, "ppl": ppl, "ls": ls}
_MAX_MINIBATCH = 16
# Kind of metric → the network whose features it compares.
FEATURES = {"fid": "inception", "ppl": "vgg16"}
_NETWORKS = {"inception": Inception, "vgg16": Lpips}


@dataclasses.dataclass
class Settings:
    """How to evaluate, whatever the network. Paths may be addresses; None: the default place."""

    seed: int = 0
    minibatch: int | None = None  # images at once on each replica; None: as memory allows
    precision: str = "float32"  # of the generator; feature networks are always float32
    mirror: bool = False  # flip the data set's images with probability 1/2
    svm: str = "dual"  # separability.SVMS
    inception_weights: str | None = None
    vgg16_weights: str | None = None
    classifiers: tuple[str, ...] = ()
    cache_dir: str | None = None
    dataset: str | None = None
    data_dir: str | None = None
    replace_damaged: bool = False  # other images stand in for damaged ones


class Tools(contextlib.ExitStack):
    """Feature networks, classifiers and the data set: opened at their first use and kept between
    networks. A context manager. say: gets the results' lines, and those of downloads."""

    def __init__(self, settings: Settings, work: Work, say: Callable[[str], object] = print):
        super().__init__()
        self.settings, self.work, self.say = settings, work, say
        self._reals: Dataset | None = None
        self._weights: dict = {}
        self._features: dict = {}
        self._classifiers: list | None = None

    @property
    def cache_dir(self) -> Path:
        return cache_directory(self.settings.cache_dir)

    def weights(self, name: str):
        """What metrics/features/weights.py loads of 'inception' or 'vgg16'."""
        if name not in self._weights:
            path = getattr(self.settings, f"{name}_weights")
            self._weights[name] = weights.load(name, path, self.cache_dir, self.say)
        return self._weights[name]

    def features(self, name: str):
        if name not in self._features:
            arrays = self.weights(name).arrays
            with self.work.strategy.scope():
                self._features[name] = _NETWORKS[name](arrays)
        return self._features[name]

    @property
    def classifiers(self) -> list:
        if self._classifiers is None:
            if not self.settings.classifiers:
                raise UserError(
                    "ls needs classifiers of attributes: --classifiers=DIR (docs/metrics.md)"
                )
            with self.work.strategy.scope():
                self._classifiers = classifiers.load(
                    self.settings.classifiers, self.cache_dir, self.say
                )
        return self._classifiers

    def reals(self, Gs) -> Dataset | None:
        """The data set at the resolution and with the labels of a generator, if there is one."""
        settings = self.settings
        if settings.dataset is None:
            return None
        info = inspect(
            settings.dataset, settings.data_dir,
            resolution=Gs.resolution, max_label_size=Gs.options["label_size"],
        )  # fmt: skip
        if info.channels != Gs.options["num_channels"]:
            raise UserError(
                f"the network's images have {Gs.options['num_channels']} channels, those of the "
                f"data set {info.name} {info.channels}"
            )
        if self._reals is None or self._reals.info != info:
            self._reals = self.enter_context(
                open_dataset(info, replace_damaged=settings.replace_damaged)
            )
        return self._reals

    def check(self, metrics: list[Metric]) -> None:
        """Raises UserError when something that the metrics need is not there."""
        for metric in metrics:
            if metric.kind == "fid":
                if self.settings.dataset is None:
                    raise UserError(f"{metric.name} needs a data set: --dataset=NAME")
                inspect(self.settings.dataset, self.settings.data_dir)
            if metric.kind in FEATURES:
                self.weights(FEATURES[metric.kind])
            else:
                _ = self.classifiers


class Evaluation:
    """One network file, ready for any metric (metrics/fid.py and others say what they use)."""

    def __init__(self, path, tools: Tools):
        settings, strategy = tools.settings, tools.work.strategy
        self.tools, self.work = tools, tools.work
        self.path = Path(path)
        with explain_os_errors("read", path):
            self.sha256 = file_sha256(path)
        info = {} if is_pickle(path) else snapshot.read_info(path)
        self.cur_nimg = info.get("cur_nimg", 0)
        with strategy.scope():
            self.Gs = load_generator(path, dtype=PRECISIONS[settings.precision])
        alone = strategy.num_replicas_in_sync == 1
        self.samples = Samples(self.Gs, settings.seed, frozen=alone)
        label_size = self.Gs.options["label_size"]
        self.labels = Labels(label_size, settings.seed, self.reals if label_size else None)
        self.minibatch = settings.minibatch or min(minibatch_size(self.Gs), _MAX_MINIBATCH)
        self.mirror, self.svm, self.precision = settings.mirror, settings.svm, settings.precision
        self.cache_dir, self.weights, self.features = tools.cache_dir, tools.weights, tools.features
        self.details: dict = {}

    @functools.cached_property
    def reals(self) -> Dataset | None:
        """The data set; opened only for what needs it."""
        return self.tools.reals(self.Gs)

    @property
    def classifiers(self) -> list:
        return self.tools.classifiers

    def fetch_labels(self, numbers) -> tuple:
        return (self.labels(numbers),)

    def check_finite(self, values, what: str) -> None:
        """Raises UserError unless all values are finite: a number would come out all the same."""
        if not np.isfinite(values).all():
            raise UserError(
                f"{self.path}: {what} are infinite or not a number; the network has diverged, or "
                f"{self.precision} is not precise enough for it"
            )

    def provenance(self, metric: Metric) -> dict:
        """What the result depends on, as values that JSON can hold."""
        settings = self.tools.settings
        found = {
            "network_sha256": self.sha256,
            "num_fakes": metric.count,
            "fakes": {"fid": "fakes", "ppl": "paths", "ls": "samples"}[metric.kind],
            "labels": self.labels.describe(),
            "truncation": None,
            "seed": settings.seed,
            "precision": settings.precision,
            "version": results.VERSION,
        }
        if metric.kind in FEATURES:
            used = self.weights(FEATURES[metric.kind])
            found["feature_networks"] = {used.file: used.sha256}
        else:
            found["feature_networks"] = {c.attribute: c.sha256 for c in self.classifiers}
            found["svm"] = settings.svm
        if metric.kind == "fid":
            found.update(num_reals=metric.count, mirror=settings.mirror)
            if settings.replace_damaged:
                found["replace_damaged"] = True
        if metric.kind == "fid" or self.labels.describe() == "drawn from the data set":
            found["dataset"] = self.reals.info.name
            found["dataset_content"] = self.reals.content_key
        return found

    def run(self, metric: Metric) -> dict:
        """The record of one metric (metrics/results.py)."""
        started = time.monotonic()
        self.details = {}
        with _full_float32():
            values = _FUNCTIONS[metric.kind](self, metric.count, **dict(metric.options))
        self.check_finite(list(values.values()), f"results of {metric.name}")
        return {
            "metric": metric.name,
            "results": {metric.key(part): value for part, value in values.items()},
            "network_file": self.path.name,
            "cur_nimg": self.cur_nimg,
            "provenance": self.provenance(metric),
            "details": self.details,
            "seconds": round(time.monotonic() - started, 1),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }


@contextlib.contextmanager
def _full_float32():
    """Keeps GPUs from computing float32 convolutions with the ten bits of TF32."""
    switch = tf.config.experimental
    before = switch.tensor_float_32_execution_enabled()
    switch.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        switch.enable_tensor_float_32_execution(before)


def evaluate(path, metrics: list[Metric], tools: Tools, *, run_dir=None) -> list[dict]:
    """Records of all metrics of one network file; says each as a line.

    run_dir: where records are kept; what is there of the same evaluation is not computed again.
    """
    evaluation, records = Evaluation(path, tools), []
    for metric in metrics:
        record = run_dir and results.find(run_dir, metric.name, evaluation.provenance(metric))
        if record:
            tools.say(f"{results.line(record)}  (as recorded)")
        else:
            record = evaluation.run(metric)
            tools.say(results.line(record))
            if run_dir:
                results.to_tensorboard(run_dir, record)
                results.append(run_dir, record)
        records.append(record)
    return records
