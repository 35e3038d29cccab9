"""What evaluations need besides the generator: settings, feature networks, classifiers, data."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import tensorflow as tf

from compute.replica_map import ReplicaMap
from datasets.format.info import write_files
from datasets.format.reader import Dataset, DatasetInfo, inspect, open_dataset
from dnnlib.errors import UserError
from dnnlib.paths import cache_directory
from metrics.declaration import GeneratorFacts, Metric
from metrics.features import classifiers, weights
from metrics.features.classifiers import Classifier
from metrics.features.inception import Inception
from metrics.features.pixels import Pixels
from metrics.features.vgg16 import Lpips, LpipsPlaces, SecondDense
from metrics.features.weights import FeatureWeights

# By the names that metrics/features/weights.py has: {name: arrays → what looks at images}.
NETWORKS: dict[str, Callable[..., tf.Module]] = {
    "inception": Inception,
    "vgg16": Lpips,
    "vgg16_fc2": SecondDense,
    "vgg16_places": LpipsPlaces,
    "pixels": Pixels,
}
PIXELS = "pixels"  # needs no weights
_WEIGHTS = {"vgg16_places": "vgg16"}  # {network: the one whose weights it takes}, if not its own


@dataclasses.dataclass
class Settings:
    """How to evaluate, whatever the network. Paths may be addresses; None: the default place."""

    seed: int = 0
    minibatch: Optional[int] = None  # images at once on each replica; None: as memory allows
    precision: str = "float32"  # of the generator; feature networks are always float32
    mirror: bool = False  # flip the data set's images with probability 1/2
    svm: str = "dual"  # separability.SVMS
    inception_weights: Optional[str] = None
    vgg16_weights: Optional[str] = None
    classifiers: tuple[str, ...] = ()
    cache_dir: Optional[str] = None
    dataset: Optional[str] = None
    data_dir: Optional[str] = None
    replace_damaged: bool = False  # other images stand in for damaged ones
    subset: Optional[int] = None  # images of the data set that were trained on; None: all
    subset_seed: int = 0  # which ones


class Needs:
    """What metrics need besides the generator, and whether it is there."""

    settings: Settings

    @property
    def cache_dir(self) -> Path:
        return cache_directory(self.settings.cache_dir)

    def weights(self, name: str) -> Any:
        """Those of a feature network (metrics/features/weights.py). Raises UserError."""
        raise NotImplementedError

    def classifiers(self) -> list[Classifier]:
        """Those of attributes. Raises UserError."""
        raise NotImplementedError

    def networks_of(self, metric: Metric) -> tuple[str, ...]:
        """The feature networks of a metric; of those that it may choose from, the first whose
        weights were named, else the first whose weights are in the cache directory."""
        declared = metric.declaration
        options = declared.any_network
        named = [name for name in options if self._is_named(name)]
        there = [name for name in options if named or self._is_there(name)]
        return (*declared.networks, *(named or there)[:1])

    def _is_named(self, network: str) -> bool:
        weights_name = self.weights_of(network)
        file = weights.PARTS.get(weights_name, weights_name)
        return getattr(self.settings, f"{file}_weights", None) is not None

    def _is_there(self, network: str) -> bool:
        return network == PIXELS or weights.is_cached(self.weights_of(network), self.cache_dir)

    @staticmethod
    def weights_of(network: str) -> str:
        """By which name metrics/features/weights.py has them."""
        return _WEIGHTS.get(network, network)

    def check(self, metrics: Sequence[Metric]) -> None:
        """Takes what the metrics need. Raises UserError when something of it is not there."""
        for metric in metrics:
            needs = metric.declaration
            if needs.reals:
                if self.settings.dataset is None:
                    raise UserError(f"{metric.name} needs a data set: --dataset=NAME")
                info = self._inspected(needs.reals.trained)
                if needs.reals.number(metric.count, info.num_images) < needs.reals.least:
                    raise UserError(
                        f"{metric.name} needs {needs.reals.least} real images or more; the data "
                        f"set {info.name} has {info.num_images:,}"
                    )
            for name in self.networks_of(metric):
                if name != PIXELS:
                    self.weights(self.weights_of(name))
            if needs.classifiers:
                if not self.settings.classifiers:
                    raise UserError(
                        f"{metric.family} needs classifiers of attributes: --classifiers=DIR "
                        "(docs/metrics.md)"
                    )
                self.classifiers()

    def _inspected(self, trained: bool) -> DatasetInfo:
        settings = self.settings
        subset = settings.subset if trained else None
        return inspect(
            settings.dataset,
            settings.data_dir,
            subset=subset,
            subset_seed=settings.subset_seed,
            write=False,
        )

    def check_generator(self, metric: Metric, generator: GeneratorFacts) -> None:
        """Raises UserError when the metric cannot be taken of the generator."""
        if metric.declaration.check:
            metric.declaration.check(generator, self, **metric.options)


class Plan(Needs):
    """What an evaluation would use, looked at by names and shapes alone.

    Nothing is loaded, written or downloaded. later: addresses of what is downloaded when it is
    first used, of which nothing can be told before.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.later: list[str] = []
        self._checked: set[str] = set()
        self._classifiers: Optional[list[Classifier]] = None

    def weights(self, name: str) -> None:
        path = getattr(self.settings, f"{weights.PARTS.get(name, name)}_weights")
        if name not in self._checked and not weights.check(name, path, self.cache_dir):
            self.later.append(path)
        self._checked.add(name)

    def classifiers(self) -> list[Classifier]:
        if self._classifiers is None:
            planned = classifiers.plan(self.settings.classifiers, self.cache_dir)
            self._classifiers, absent = planned
            self.later += absent
        return self._classifiers


class Tools(Needs, contextlib.ExitStack):
    """Feature networks, classifiers and the data set: opened at their first use and kept between
    generators. A context manager. say: gets the results' lines, and those of downloads."""

    def __init__(
        self, settings: Settings, replica_map: ReplicaMap, say: Callable[[str], object] = print
    ) -> None:
        super().__init__()
        self.settings, self.replica_map, self.say = settings, replica_map, say
        self._reals: Optional[Dataset] = None
        self._classes = 0  # that its files have
        self._weights: dict[str, FeatureWeights] = {}
        self._networks: dict[str, tf.Module] = {}
        self._classifiers: Optional[list[Classifier]] = None

    def weights(self, name: str) -> FeatureWeights:
        """Those of a feature network, loaded once."""
        if name not in self._weights:
            network = weights.PARTS.get(name, name)
            path: Union[str, None] = getattr(self.settings, f"{network}_weights")
            self._weights[name] = weights.load(name, path, self.cache_dir, self.say)
        return self._weights[name]

    def network(self, name: str) -> tf.Module:
        """A feature network, one of NETWORKS, made once."""
        if name not in self._networks:
            arrays = () if name == PIXELS else (self.weights(self.weights_of(name)).arrays,)
            with self.replica_map.strategy.scope():
                self._networks[name] = NETWORKS[name](*arrays)
        return self._networks[name]

    def classifiers(self) -> list[Classifier]:
        """Those of attributes, loaded once."""
        if self._classifiers is None:
            with self.replica_map.strategy.scope():
                self._classifiers = classifiers.load(
                    self.settings.classifiers, self.cache_dir, self.say
                )
        return self._classifiers

    def reals(self, resolution: int, channels: int, label_size: int) -> Optional[Dataset]:
        """The data set as a generator makes images and takes labels, if there is one."""
        settings = self.settings
        if settings.dataset is None:
            return None
        info = inspect(
            settings.dataset,
            settings.data_dir,
            resolution=resolution,
            max_label_size=label_size,
            write=False,
        )
        if info.channels != channels:
            raise UserError(
                f"the network's images have {channels} channels, those of the data set "
                f"{info.name} {info.channels}"
            )
        if self._reals is None or self._reals.info != info:
            self._classes = inspect(settings.dataset, settings.data_dir, write=False).label_size
            if 0 < label_size < self._classes:
                self.say(
                    f"note: the network has {label_size} classes, the data set {info.name} "
                    f"{self._classes}: images of the others count as reals, and give labels of "
                    "zeros"
                )
            write_files(info)
            self._reals = self.enter_context(
                open_dataset(info, replace_damaged=settings.replace_damaged)
            )
        return self._reals

    def fewer_classes(self, label_size: int) -> dict[str, int]:
        """How many classes a conditional network has and how many the data set, where it has more:
        {'network': 2, 'dataset': 10}, else empty. For the data set that `reals` returned last."""
        if not 0 < label_size < self._classes:
            return {}
        return {"network": label_size, "dataset": self._classes}
