"""The binary attribute classifiers that linear separability takes (StyleGAN, appendix).

Each is a network like the discriminator without minibatch standard deviation, with one logit: one
of `run_training.py --preset=classifier`, or a legacy pickle such as the 40 of CelebA-HQ.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import unquote, urlsplit

import numpy as np
import tensorflow as tf

from dnnlib.download import file_sha256, local_path, local_path_if_there
from dnnlib.errors import UserError, explain_os_errors
from dnnlib.paths import is_pickle
from networks import layers, legacy, ops, registry, snapshot

StrPath = Union[str, os.PathLike]


@dataclass(frozen=True)
class Classifier:
    """One attribute's classifier.

    attribute: its name; file: the path or address that it was asked for by; sha256: the file's;
    network: a D_basic or D_paper.
    """

    attribute: str
    file: str
    sha256: str
    network: Any

    @property
    def resolution(self) -> int:
        """Pixels of the images that it was trained on."""
        return self.network.resolution

    @property
    def channels(self) -> int:
        """1 or 3."""
        return self.network.options["num_channels"]

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the logits, float32 [N], above 0 for images that have the attribute.

        images: [N, R, R, C] in [−1, 1], R the classifier's resolution or a multiple of it (of
        which it sees box means), C its channels or 1 (repeated). Works inside a tf.function.
        Raises UserError for other shapes.
        """
        x = tf.cast(images, tf.float32)
        _, height, width, channels = x.shape
        if height != width or not height or height % self.resolution:
            raise UserError(
                f"{self.file}: expected images of {self.resolution}x{self.resolution} or a "
                f"multiple, got {height}x{width}"
            )
        if channels not in (1, self.channels):
            raise UserError(f"{self.file}: expected {self.channels} channel(s), got {channels}")
        x = ops.downscale2d(x, height // self.resolution)
        if channels != self.channels:
            x = tf.repeat(x, self.channels, axis=-1)
        # Not `network(…)`: Keras would remember the arguments for saving the model.
        return self.network.call(x)[:, 0]


def load(
    paths: Sequence[StrPath],
    cache_dir: Optional[StrPath] = None,
    say: Optional[Callable[[str], object]] = None,
) -> list[Classifier]:
    """Loads classifiers from files, http(s) addresses, and directories of files, in this order.

    cache_dir, say: for downloads, as in dnnlib/download.py.

    Of a directory it takes all `classifier-*.safetensors` and `*.pkl`, sorted by name. Raises
    UserError naming the file that cannot be had, is no classifier, or has the attribute of
    another one.
    """
    by_attribute: dict[str, Classifier] = {}
    for source in _files(paths):
        _add(by_attribute, _load_one(source, local_path(source, cache_dir=cache_dir, say=say)))
    return list(by_attribute.values())


def plan(
    paths: Sequence[StrPath], cache_dir: Optional[StrPath] = None
) -> tuple[list[Classifier], list[str]]:
    """(classifiers as `load` would load them, without variables and hash; addresses that it would
    have to download first).

    Raises UserError where `load` would, as far as names and shapes in the files tell. Nothing is
    written or downloaded.
    """
    by_attribute: dict[str, Classifier] = {}
    absent = []
    for source in _files(paths):
        path = local_path_if_there(source, cache_dir=cache_dir)
        if path is None:
            absent.append(source)
            continue
        with layers.planned():
            _add(by_attribute, _load_one(source, path))
    return list(by_attribute.values()), absent


def _add(by_attribute: dict[str, Classifier], classifier: Classifier) -> None:
    other = by_attribute.setdefault(classifier.attribute, classifier)
    if other is not classifier:
        raise UserError(
            f"{classifier.file}: attribute {classifier.attribute!r} is that of {other.file}, too; "
            "leave out one of them"
        )


def _files(paths: Sequence[StrPath]) -> list[str]:
    files = []
    for path in [os.fspath(path) for path in paths]:
        if not os.path.isdir(path):
            files.append(path)
            continue
        inside = {*Path(path).glob("classifier-*.safetensors"), *Path(path).glob("*.pkl")}
        if not inside:
            raise UserError(f"{path}: no classifier-*.safetensors and no *.pkl in this directory")
        files += sorted(map(str, inside))
    if not files:
        raise UserError("no classifiers given: name their files, addresses or directories")
    return files


def _load_one(source: str, path: Path) -> Classifier:
    attribute = None
    try:
        if is_pickle(path):
            family, func_name, options, arrays = _read_pickle(source, path)
        else:
            kind, arrays, attribute = _read_snapshot(source, path)
            family, func_name = kind.get("family"), kind["func_name"]
            options = kind["options"]
        if registry.role(func_name, family) != "D":
            raise _unsuitable(
                source, f"it is a {func_name}, expected {' or '.join(registry.names('D'))}"
            )
        options = {**options, "dtype": "float32"}  # however it was trained
        pairs, shapes = arrays.items(), {name: array.shape for name, array in arrays.items()}
        network = registry.build(
            func_name, family=family, seed=0, arrays=pairs, shapes=shapes, **options
        )
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:  # also a build's own option
        raise UserError(f"{source}: {error}") from error
    _check(source, network)
    with explain_os_errors("read", path):
        sha256 = "" if layers.planning() else file_sha256(path)
    return Classifier(attribute or _attribute(source), source, sha256, network)


def _read_snapshot(source: str, path: Path) -> tuple[dict, dict, str | None]:
    kinds, arrays, info = (snapshot.read_blank if layers.planning() else snapshot.read)(path)
    if set(kinds) != {"D"}:
        raise _unsuitable(source, f"it holds {', '.join(kinds)}, expected D alone")
    attribute = info.get("attribute")
    if not isinstance(attribute, (str, type(None))):
        raise _unsuitable(source, f"its attribute is {attribute!r}, expected text")
    return kinds["D"], arrays["D"], attribute


def _read_pickle(source: str, path: Path) -> tuple[str, str, dict, dict]:
    roles = legacy.read(path, blank=layers.planning())
    if len(roles) != 1:
        raise _unsuitable(source, f"it holds {', '.join(roles)}, expected one network")
    (network,) = roles.values()
    (family, func_name, options), arrays = legacy.parts(network)
    weight = arrays.get("4x4/Conv/weight")
    if weight is not None and weight.ndim == 4 and weight.shape[2] == weight.shape[3]:
        # No channel beside the feature maps, whatever the options say or leave out.
        options["mbstd_num_features" if func_name == "D_ada" else "mbstd_group_size"] = 0
    return family, func_name, options, arrays


def _check(source: str, network: Any) -> None:
    options, named = network.options, network.named
    outputs = named["Output/bias" if "Output/bias" in named else "4x4/Dense1/bias"].shape[0]
    if network.features:
        raise _unsuitable(source, "it has minibatch standard deviation, as discriminators have")
    if options["label_size"]:
        raise _unsuitable(source, f"it takes labels (label_size={options['label_size']})")
    if outputs != 1:
        raise _unsuitable(source, f"it has {outputs} outputs, expected one logit")
    for name, variable in named.items():  # one at a time: they are large
        if not np.isfinite(variable.numpy()).all():
            raise _unsuitable(source, f"{name} has values that are infinite or not a number")


def _unsuitable(source: str, why: str) -> UserError:
    return UserError(f"{source} is no attribute classifier: {why}")


def _attribute(source: str) -> str:
    """'…/celebahq-classifier-00-male.pkl' → '00-male'; else the file name without its suffix."""
    stem = Path(unquote(urlsplit(source).path) if "://" in source else source).stem
    return re.sub(r"^(.*-)?classifier-", "", stem)
