"""One generator under evaluation: what the metrics share, and what happens to their numbers."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf

from compute.images import images_to_uint8
from datasets.format.info import Subset
from datasets.format.reader import Dataset
from dnnlib.download import file_sha256
from dnnlib.errors import UserError, explain_os_errors
from metrics import VERSION, results
from metrics.declaration import GeneratorFacts, Metric
from metrics.results import Record
from metrics.samples import Labels, Samples
from metrics.shared_features import SharedFeatures
from metrics.tools import PIXELS, Tools
from networks import snapshot
from networks.sampling import minibatch_size
from training.config import PRECISIONS

_MAX_MINIBATCH = 16


class Evaluation:
    """One network file, ready for any metric.

    A metric may use: samples and map, for what it makes and looks at itself; fake_features and
    real_features, which are computed once for all metrics; tools and settings; check_finite;
    details, a dict for what its record should tell besides the result; remarks, a list of lines
    that are said after it; picture, uint8 [H, W, C], that is kept beside it.
    """

    def __init__(self, path: Union[str, os.PathLike], tools: Tools) -> None:
        self.tools, self.settings, self.path = tools, tools.settings, Path(path)
        settings, strategy = tools.settings, tools.replica_map.strategy
        if not self.path.exists():  # a link to nothing
            raise UserError(f"no snapshot at {path}")
        with explain_os_errors("read", path):
            self.sha256 = file_sha256(path)
        self.cur_nimg = snapshot.read_info(self.path).get("cur_nimg", 0)
        with strategy.scope():
            self.Gs = Gs = snapshot.load_generator(self.path, dtype=PRECISIONS[settings.precision])
        alone = strategy.num_replicas_in_sync == 1
        self.samples = Samples(Gs, settings.seed, frozen=alone)
        self.generator = GeneratorFacts(Gs.has_styles, Gs.resolution, Gs.num_channels)
        self.labels = Labels(Gs.label_size, settings.seed, self.reals if Gs.label_size else None)
        self.minibatch = settings.minibatch or min(minibatch_size(Gs), _MAX_MINIBATCH)
        self.details: dict[str, Any] = {}
        self.remarks: list[str] = []
        self.picture: Optional[np.ndarray] = None
        self._features: dict[tuple[str, ...], SharedFeatures] = {}
        self._later: Sequence[Metric] = ()  # that will be computed after the one under way

    @functools.cached_property
    def reals(self) -> Optional[Dataset]:
        """The data set; opened only for what needs it."""
        Gs = self.Gs
        return self.tools.reals(Gs.resolution, Gs.num_channels, Gs.label_size)

    def number_of_reals(self, metric: Metric) -> tuple[int, bool]:
        """(how many real images a metric takes, whether half of them are mirrored)."""
        declared = metric.declaration.reals
        if declared is None:
            return 0, False
        total = len(self.trained_numbers) if declared.trained else self.reals.info.num_images
        number = declared.number(metric.count, total)
        return number, self.settings.mirror and not declared.whole

    @functools.cached_property
    def trained_numbers(self) -> np.ndarray:
        """Of the data set's images, those that the network was trained on: int64, ascending."""
        total, settings = self.reals.info.num_images, self.settings
        if settings.subset is None:
            return np.arange(total)
        return Subset(total, settings.subset_seed).indices(settings.subset)

    @property
    def other_numbers(self) -> np.ndarray:
        """Those that it was not."""
        return np.setdiff1d(np.arange(self.reals.info.num_images), self.trained_numbers)

    def shortages(self, metric: Metric) -> dict[str, Any]:
        """For a record's details: how many images the data set has where a metric takes more, the
        first ones again (the provenance, by which records are found, tells how many it takes); how
        many classes there are where the network has fewer than the data set."""
        shortages: dict[str, Any] = {}
        number, _ = self.number_of_reals(metric)
        if number and number > self.reals.info.num_images:
            shortages[results.DISTINCT_REALS] = self.reals.info.num_images
        if self.Gs.label_size and self.reals is not None:
            classes = self.tools.fewer_classes(self.Gs.label_size)
            if classes:
                shortages[results.CLASSES] = classes
        return shortages

    # -------------------------------------------------------------- images and features

    def map(
        self,
        step: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, ...]],
        count: int,
        *,
        start: int = 0,
        minibatch: Optional[int] = None,
        unit: str = "images",
    ) -> Iterator[tuple[np.ndarray, ...]]:
        """Yields what step (numbers [n], labels [n, K]) → tensors [n, …] makes of numbers
        start … count − 1, a few at a time, as arrays (compute/replica_map.py)."""
        minibatch = minibatch or self.minibatch
        return self.tools.replica_map.map(
            step, count, minibatch, start=start, fetch=self.fetch_labels, unit=unit
        )

    def fetch_labels(self, numbers: np.ndarray) -> tuple[np.ndarray, ...]:
        return (self.labels(numbers),)

    def fake_features(self, network: str, metric: Metric) -> Iterator[np.ndarray]:
        """Yields the features [n, D] of as many generated images as a metric takes, a few at a
        time, in order. No truncation, random noise. network: one of the metric's."""
        compute = functools.partial(self._compute_fakes, network)
        return self._shared(("fakes", network), compute).first(
            metric.count, keep=self._wanted_later(network)
        )

    def real_features(self, network: str, metric: Metric) -> Iterator[np.ndarray]:
        """Yields the features [n, D] of the real images that a metric takes, as `fake_features`
        does; the data set's images in the order of its files, again from the beginning if there
        are fewer."""
        count, mirror = self.number_of_reals(metric)
        kind = "mirrored reals" if mirror else "reals"
        compute = functools.partial(self._compute_reals, network, mirror)
        return self._shared((kind, network), compute).first(
            count, keep=self._wanted_later(network, reals=True)
        )

    def _shared(
        self, key: tuple[str, ...], compute: Callable[[int, int], Iterator[np.ndarray]]
    ) -> SharedFeatures:
        if key not in self._features:
            together = self.minibatch * self.tools.replica_map.replicas.total
            self._features[key] = SharedFeatures(compute, together)
        return self._features[key]

    def _wanted_later(self, network: str, reals: bool = False) -> bool:
        return any(
            network in self.tools.networks_of(one) and (one.declaration.reals or not reals)
            for one in self._later
        )

    def feature_network(self, metric: Metric) -> str:
        """The one that a metric with a choice of them looks through."""
        return self.tools.networks_of(metric)[-1]

    def _compute_fakes(self, network: str, start: int, count: int) -> Iterator[np.ndarray]:
        samples, look = self.samples, self.tools.network(network)

        def step(numbers: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
            images = samples.images(samples.codes(samples.latents(numbers), labels), numbers)
            features = look(images_to_uint8(images))
            # As whole numbers they would look like images.
            finite = tf.reduce_all(tf.math.is_finite(images), axis=[1, 2, 3])
            return (tf.where(finite[:, None], features, np.nan),)

        for (features,) in self.map(step, count, start=start, unit="generated images"):
            self.check_finite(features, "images or their features")
            yield features

    def _compute_reals(
        self, network: str, mirror: bool, start: int, count: int
    ) -> Iterator[np.ndarray]:
        look, reals = self.tools.network(network), self.reals
        flipped = flips(count) if mirror else np.zeros([count], bool)

        def fetch(numbers: np.ndarray) -> tuple[np.ndarray, ...]:
            images = reals.read(numbers % reals.info.num_images)[0]
            turn = flipped[numbers]
            images[turn] = images[turn, :, ::-1]
            return (images,)

        def step(numbers: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (look(images),)

        for (features,) in self.tools.replica_map.map(
            step, count, self.minibatch, start=start, fetch=fetch, unit="real images"
        ):
            yield features

    def numbered_reals(
        self, network: str, numbers: np.ndarray, mirrored: bool = False
    ) -> Iterator[np.ndarray]:
        """Yields the features [n, D] of the data set's images of these numbers, a few at a time."""
        look, reals = self.tools.network(network), self.reals

        def fetch(places: np.ndarray) -> tuple[np.ndarray, ...]:
            images = reals.read(numbers[places])[0]
            return (np.ascontiguousarray(images[:, :, ::-1]) if mirrored else images,)

        def step(places: tf.Tensor, images: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (look(images),)

        for (features,) in self.tools.replica_map.map(
            step, len(numbers), self.minibatch, fetch=fetch, unit="real images"
        ):
            yield features

    def images(self, numbers: np.ndarray) -> np.ndarray:
        """The generated images of these numbers: uint8 [N, R, R, C]."""
        samples = self.samples

        def fetch(places: np.ndarray) -> tuple[np.ndarray, ...]:
            chosen = numbers[places].astype(np.int32)
            return chosen, *self.fetch_labels(chosen)

        def step(places: tf.Tensor, chosen: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, ...]:
            codes = samples.codes(samples.latents(chosen), labels)
            return (images_to_uint8(samples.images(codes, chosen)),)

        parts = self.tools.replica_map.map(
            step, len(numbers), self.minibatch, fetch=fetch, unit="generated images"
        )
        return np.concatenate([images for (images,) in parts])

    def check_finite(self, values: Sequence[float] | np.ndarray, subject: str) -> None:
        """Raises UserError unless all values are finite: a number would come out all the same.

        subject: what they are, in the plural.
        """
        if not np.isfinite(values).all():
            raise UserError(
                f"{self.path}: {subject} are infinite or not a number; the network has diverged, "
                f"or {self.settings.precision} is not precise enough for it"
            )

    # -------------------------------------------------------------- results

    def provenance(self, metric: Metric) -> dict[str, Any]:
        """What the result depends on, as values that JSON can hold."""
        settings, needs, labels = self.settings, metric.declaration, self.labels.describe()
        provenance: dict[str, Any] = {
            "network_sha256": self.sha256,
            "num_fakes": metric.count,
            "fakes": needs.samples,
            "labels": labels,
            "truncation": None,
            "seed": settings.seed,
            "precision": settings.precision,
            "version": VERSION,
        }
        names = self.tools.networks_of(metric)
        used = [self.tools.weights(self.tools.weights_of(name)) for name in names if name != PIXELS]
        if needs.any_network:
            provenance["features"] = names[-1]
        networks = {weights.file: weights.sha256 for weights in used}
        if needs.classifiers:
            networks.update({one.attribute: one.sha256 for one in self.tools.classifiers()})
        provenance["feature_networks"] = networks
        provenance.update({name: getattr(settings, name) for name in needs.settings})
        if needs.method:
            provenance["method"] = needs.method
        if needs.reals:
            provenance["num_reals"], provenance["mirror"] = self.number_of_reals(metric)
            if settings.replace_damaged:
                provenance["replace_damaged"] = True
            if needs.reals.trained and settings.subset is not None:
                provenance["subset_seed"] = settings.subset_seed
        if needs.reals or labels == "drawn from the data set":
            provenance["dataset"] = self.reals.info.name
            provenance["dataset_content"] = self.reals.content_key
        return provenance

    def run(self, metric: Metric, later: Sequence[Metric] = ()) -> Record:
        """The record of one metric (metrics/results.py).

        later: those that follow; features that they want, too, are kept.
        """
        started = time.monotonic()
        self.details, self._later = {}, later
        self.remarks, self.picture = [], None
        self.tools.check_generator(metric, self.generator)
        with _full_float32():
            values = metric.declaration.compute(self, metric, **metric.options)
        self._features = {
            key: shared for key, shared in self._features.items() if self._wanted_later(key[1])
        }
        parts = metric.declaration.parts
        if not set(values) <= set(parts):
            raise ValueError(f"{metric.name} has parts {list(values)}, but declares {list(parts)}")
        self.check_finite(list(values.values()), f"results of {metric.name}")
        return {
            "metric": metric.name,
            "results": {metric.key(part): value for part, value in values.items()},
            "network_file": self.path.name,
            "cur_nimg": self.cur_nimg,
            "provenance": self.provenance(metric),
            "details": {**self.shortages(metric), **self.details},
            "seconds": round(time.monotonic() - started, 1),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }


def flips(count: int) -> np.ndarray:
    """Which of the first `count` images are flipped, of mirrored data: each with probability 1/2,
    bool [count]. The same for every seed, so that statistics can be kept."""
    return np.random.RandomState(2019).randint(2, size=count).astype(bool)


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Keeps GPUs from computing float32 convolutions with the ten bits of TF32."""
    switch = tf.config.experimental
    before = switch.tensor_float_32_execution_enabled()
    switch.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        switch.enable_tensor_float_32_execution(before)


def evaluate(
    path: Union[str, os.PathLike],
    metrics: Sequence[Metric],
    tools: Tools,
    *,
    run_dir: Union[str, os.PathLike, None] = None,
) -> list[Record]:
    """Records of all metrics of one network file; says each as a line.

    run_dir: where records are kept; what is there of the same evaluation is not computed again.
    """
    evaluation, records = Evaluation(path, tools), []
    for index, metric in enumerate(metrics):
        digits = metric.declaration.digits
        record = run_dir and results.find(run_dir, metric.name, evaluation.provenance(metric))
        if record:  # older ones do not tell of shortages
            record["details"] = {**evaluation.shortages(metric), **record["details"]}
            tools.say(f"{results.line(record, digits)}  (as recorded)")
        else:
            record = evaluation.run(metric, later=metrics[index + 1 :])
            tools.say(results.line(record, digits))
            for remark in evaluation.remarks:
                tools.say(f"  {remark}")
            if run_dir:
                if evaluation.picture is not None:
                    tools.say(f"  {results.save_picture(run_dir, record, evaluation.picture)}")
                results.to_tensorboard(run_dir, record)
                results.append(run_dir, record)
        records.append(record)
    return records
