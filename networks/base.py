"""What every network has: options, named arrays, layers with their places, clear errors."""

from __future__ import annotations

import dataclasses
import functools
import secrets
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Optional

import numpy as np
import tensorflow as tf
from tensorflow import keras

from networks import layers, options, registry
from networks.keras_saving import OwnSaving
from networks.original import OFFERED, Fields, RunnableNetwork
from networks.other_ways import Absent

BLOCK, RGB = "block", "rgb"
_SHOWN = 50  # differences in one message


@dataclasses.dataclass(frozen=True)
class Place:
    """A layer's place in its network.

    scope: its variables' names up to the last part. kind: BLOCK; RGB for what turns features to
    colours or back, of which a growing network has one for each resolution; or "" for a layer that
    every resolution takes part in. resolution: pixels of the images that it works on at full size,
    None where there are none. output: the shape of what comes out, without the minibatch, channels
    first as in the original's tables.
    """

    scope: str
    layer: Any
    kind: str = ""
    resolution: Optional[int] = None
    output: tuple[int, ...] = ()


class Network(OwnSaving, layers.Named, keras.Model):
    """A Keras model whose variables are known by their legacy names.

    FAMILY, FUNC_NAME: the class's place in networks/registry.py. title: how messages call it.
    options: every keyword option, defaults filled in. seed: of the initial weights; None draws
    one. named: {legacy name: tf.Variable}; components' names carry their prefix. places: {scope:
    Place} of its layers.
    """

    FAMILY = FUNC_NAME = ""

    def __init__(self, seed: Optional[int] = None, **kwargs: Any):
        # Its own dtype, so that a global mixed-precision policy changes nothing.
        super().__init__(name=self.FUNC_NAME, dtype="float32")
        self.func_name = self.FUNC_NAME
        self.title = registry.title(self.FUNC_NAME, self.FAMILY)
        # Read-only, and not a dict: Keras would wrap that.
        resolved = registry.resolve(self.FUNC_NAME, family=self.FAMILY, **kwargs)
        self.options = MappingProxyType(resolved)
        self.seed = secrets.randbits(63) if seed is None else seed
        self.compute = tf.as_dtype(self.options["dtype"])
        self.named = {}
        self.places: Mapping[str, Place] = MappingProxyType({})

    @classmethod
    def from_arrays(
        cls,
        arrays: Iterable[tuple[str, np.ndarray]],
        seed: Optional[int] = None,
        shapes: Optional[Mapping[str, tuple[int, ...]]] = None,
        **kwargs: Any,
    ) -> Any:
        """A network whose weights are not drawn but set, each before the next is asked for.

        shapes: of the arrays, where they are known before: no variable is made unless they fit.
        Under `layers.planned` the arrays are not asked for. Raises ValueError as `set_arrays` does.
        """
        if shapes is not None:
            cls.check_shapes(shapes, **kwargs)
        with layers.undrawn(unset=True):
            network = cls(seed=seed, **kwargs)
        if layers.planning():  # there is nothing to set
            return network
        for name, value in network.fitting(arrays):
            layers.assign(network.named[name], value)
        return network

    @classmethod
    def shapes(cls, **kwargs: Any) -> dict[str, tuple[int, ...]]:
        """{legacy name: shape} of the network that options make, without making a variable.

        Raises ValueError for impossible options, and for networks far beyond any machine.
        """
        try:
            with layers.planned():
                network = cls(seed=0, **kwargs)
        except ArithmeticError as error:  # numbers of hundreds of digits
            raise ValueError(f"{cls.FUNC_NAME}: options beyond all bounds: {error}") from error
        return {name: tuple(variable.shape) for name, variable in network.named.items()}

    @classmethod
    def check_shapes(cls, shapes: Mapping[str, tuple[int, ...]], **kwargs: Any) -> None:
        """Raises ValueError, listing the differences, unless the options make these shapes."""
        expected = cls.shapes(**kwargs)
        problems = [f"missing: {name}" for name in expected if name not in shapes]
        for name, shape in shapes.items():
            if name not in expected:
                problems.append(f"unknown: {name}")
            elif tuple(shape) != expected[name]:
                problems.append(_other_shape(name, expected[name], shape))
        _refuse_differences(cls.FUNC_NAME, problems)

    def copy(self, **changed: Any) -> Any:
        """A network of its own with the same values; changed: options in place of this one's."""
        arrays = ((name, variable.numpy()) for name, variable in self.named.items())
        shapes = {name: tuple(variable.shape) for name, variable in self.named.items()}
        options = {**self.options, **changed}
        return self.from_arrays(arrays, seed=self.seed, shapes=shapes, **options)

    def place(
        self,
        scope: str,
        layer: Any,
        kind: str = "",
        resolution: Optional[int] = None,
        output: tuple[int, ...] = (),
    ) -> Any:
        """Adopts a layer under its scope, and records its place; returns the layer."""
        place = Place(scope, layer, kind, resolution, output)
        self.places = MappingProxyType({**self.places, scope: place})
        return self.adopt(f"{scope}/", layer)

    def adopt_network(self, prefix: str, network: Any) -> None:
        """Lists a component's variables and places under a prefix."""
        moved = {
            prefix + scope: dataclasses.replace(place, scope=prefix + scope)
            for scope, place in network.places.items()
        }
        self.places = MappingProxyType({**self.places, **moved})
        self.adopt(prefix, network)

    def place_of(self, name: str) -> Optional[Place]:
        """The place of a variable's layer; None for variables of the network itself."""
        scope = name
        while scope:
            scope = scope.rpartition("/")[0]  # StyleMod's and Noise's belong to their layer
            if scope in self.places:
                return self.places[scope]
        return None

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def arrays(self) -> dict[str, np.ndarray]:
        """{legacy name: array}, in the reference's order; the network's whole state."""
        return {name: np.asarray(variable.numpy()) for name, variable in self.named.items()}

    def set_arrays(self, mapping: Mapping[str, np.ndarray]) -> None:
        """Sets every variable from {legacy name: array}.

        Names and shapes must be exactly this network's; otherwise nothing is changed and one
        ValueError lists the differences.
        """
        for name, value in dict(self.fitting(mapping.items())).items():
            layers.assign(self.named[name], value)

    def fitting(self, pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
        """Yields (legacy name, array) of those `pairs` that fit, one at a time.

        Arrays are float32, but float16 stays what it is: as float32 it takes twice the memory.
        Raises ValueError after the last one, unless they were exactly this network's.
        """
        missing, problems = dict.fromkeys(self.named), []
        for name, array in pairs:
            if name not in self.named:
                problems.append(f"unknown: {name}")
                continue
            missing.pop(name, None)
            try:
                value = np.asarray(array)
                if value.dtype != np.float16:
                    value = value.astype(np.float32, copy=False)
            except (TypeError, ValueError):
                problems.append(f"not numbers: {name}")
                continue
            expected, came = tuple(self.named[name].shape), value.shape
            if came != expected:
                problems.append(_other_shape(name, expected, came))
                continue
            yield name, value
        problems = [f"missing: {name}" for name in missing] + problems
        _refuse_differences(self.func_name, problems)

    def trainable(self, level: Optional[int] = None, fading: bool = False) -> dict:
        """{legacy name: tf.Variable} of what a stage trains; of everything when level is None."""
        return {
            name: variable
            for name, variable in self.named.items()
            if variable.trainable and (level is None or self.in_stage(name, level, fading))
        }

    def in_stage(self, name: str, level: int, fading: bool) -> bool:
        """Whether the variable `name` takes part at `level` = floor(lod)."""
        return True

    # ------------------------------------------------------------ as the original's networks

    def components_of_run(self) -> dict[str, Any]:
        """{name: network} of the parts that the original's networks offer by themselves."""
        return {}

    def inputs_of_run(self) -> dict[str, list]:
        """{input: its shape} of the original's `run`, images as [None, C, H, W]."""
        raise NotImplementedError

    def output_of_run(self) -> list:
        """The shape of what the original's `run` returns."""
        raise NotImplementedError

    @functools.cached_property  # which bypasses Keras's tracking of attributes
    def runnable(self) -> RunnableNetwork:
        """This network with all of the original's methods (networks/original.py)."""
        return RunnableNetwork(self)

    def run(self, *inputs: Any, **keywords: Any) -> np.ndarray:
        """NumPy in, NumPy out, images as [N, C, H, W]: RunnableNetwork.run."""
        return self.runnable.run(*inputs, **keywords)

    def get_var(self, name: str) -> np.ndarray:
        """The value of a variable, by its legacy name."""
        return self.runnable.get_var(name)

    def __getattr__(self, name: str) -> Any:
        """Of what neither the class nor Keras has: all that the facade has.

        Anything else is an AttributeError, whose text names the way to the same end.
        """
        # Python's own error, or that of what a property does. Keras asks for private names before
        # there is a network.
        if name.startswith("_") or hasattr(type(self), name):
            return object.__getattribute__(self, name)
        if name in OFFERED:
            return getattr(self.runnable, name)
        raise Absent(self, name, OFFERED)

    @property
    def components(self) -> Fields:
        """G_style's `mapping` and `synthesis`, with the original's methods; else empty."""
        return self.runnable.components

    @property
    def input_shape(self) -> list:
        """Of the first input of `run`: [None, latent_size], for images [None, C, H, W]."""
        return self.runnable.input_shape

    @property
    def output_shape(self) -> list:
        """Of what `run` returns: [None, C, H, W] for images."""
        return self.runnable.output_shape


class ImageNetwork(Network):
    """A network with a resolution and a level of detail `lod`.

    lod 0 is the full resolution R = 2^L and lod L−2 is 4×4; in between, floor(lod) is the
    current level and the fraction the weight of the next lower one (ProGAN §2). HAS_LOD: whether
    it has a variable for it.
    """

    HAS_LOD = True

    def __init__(self, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.resolution = self.options["resolution"]
        self.resolution_log2 = self.resolution.bit_length() - 1
        if self.HAS_LOD:
            self.lod = self.add_named("lod", [], trainable=False)

    @property
    def growing(self) -> bool:
        """Whether it has layers for images of lower resolutions, so that training can grow it."""
        return registry.grows(self.FUNC_NAME, self.options, self.FAMILY)

    def fmaps(self, stage: int) -> int:
        """nf(s): feature maps of a block."""
        return options.feature_maps(self.options, stage)

    def fused(self, resolution: int) -> bool:
        """Whether the weights of a ×2 or ÷2 whose larger side is `resolution` are fused ones."""
        return options.is_fused(self.options["fused_scale"], resolution)

    def image_shape(self) -> list:
        """[None, C, R, R], as the original's networks tell it."""
        return [None, self.options["num_channels"], self.resolution, self.resolution]

    def split_lod(self, lod: Optional[float]) -> tuple[int, Optional[float]]:
        """lod (None: the network's own) → (level, weight of the lower resolution).

        The weight is within (0, 1), and None where no lower resolution is blended in.
        """
        if lod is None and not self.growing:  # it has one level, whatever its variable says
            lod = 0
        elif lod is None:
            with tf.init_scope():  # also while a caller's graph is traced
                lod = self.lod.numpy()
        lod = round(float(lod), 6)  # the variable is float32: 2.3 is not 2.29999995
        lowest = self.resolution_log2 - 2 if self.growing else 0
        if not 0 <= lod <= lowest:
            raise ValueError(f"{self.func_name}: lod={lod}, expected 0 to {lowest}")
        return int(lod), (lod - int(lod)) or None

    def set_lod(self, lod: float) -> None:
        """Sets the network's own level of detail, which calls without `lod` use."""
        if self.HAS_LOD:
            self.lod.assign(lod)

    def in_stage(self, name: str, level: int, fading: bool) -> bool:
        place = self.place_of(name)
        if place is None or place.resolution is None:
            return True
        if place.kind == RGB:
            own = (self.resolution // place.resolution).bit_length() - 1
            return own == level or (fading and own == level + 1)
        return place.resolution <= self.resolution >> level


def _other_shape(name: str, expected: tuple[int, ...], came: Any) -> str:
    return f"shape of {name}: expected {expected}, got {tuple(came)}"


def _refuse_differences(network: str, problems: list[str]) -> None:
    if problems:
        more = len(problems) - _SHOWN
        listed = problems[:_SHOWN] + ([f"{more:,} more differences"] if more > 0 else [])
        raise ValueError(f"{network}: arrays do not fit: " + "; ".join(listed))


def check_width(network: str, tensor: str, value: Any, width: int) -> tf.Tensor:
    """value as float32 [N, width]; ValueError naming the tensor when its shape differs."""
    value = tf.cast(tf.convert_to_tensor(value), tf.float32)
    if value.shape.rank != 2 or value.shape[-1] != width:
        raise ValueError(f"{network}: {tensor} has shape {value.shape}, expected [N, {width}]")
    return value


def check_labels(network: str, labels: Any, like: tf.Tensor, width: int) -> tf.Tensor:
    """Labels as float32 [N, width]; None means zeros, as many as `like` has rows."""
    if labels is None:
        return tf.zeros([tf.shape(like)[0], width])
    labels = check_width(network, "labels", labels, width)
    if None not in (labels.shape[0], like.shape[0]) and labels.shape[0] != like.shape[0]:
        raise ValueError(f"{network}: {labels.shape[0]} labels for {like.shape[0]} inputs")
    return labels
