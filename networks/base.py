"""What every network has: options, named arrays, a level of detail, clear errors."""

from __future__ import annotations

import functools
import math
import secrets
from types import MappingProxyType

import numpy as np
import tensorflow as tf
from tensorflow import keras

from networks import layers, options


class Network(keras.Model):
    """A Keras model whose variables are known by their legacy names.

    options: every keyword option (networks/options.py), defaults filled in.
    seed: of the initial weights; None draws one.
    named: {legacy name: tf.Variable}; components' names carry their prefix.
    """

    def __init__(self, func_name: str, seed: int | None, **kwargs):
        # Its own dtype, so that a global mixed-precision policy changes nothing.
        super().__init__(name=func_name, dtype="float32")
        self.func_name = func_name
        # Read-only, and not a dict: Keras would wrap that.
        self.options = MappingProxyType(options.resolve(func_name, **kwargs))
        self.seed = secrets.randbits(63) if seed is None else seed
        self.compute = tf.as_dtype(self.options["dtype"])
        self.named = {}
        self.built = True

    add_named = layers.Layer.add_named

    def adopt(self, prefix, layer):
        """Lists a part's variables under `prefix`; returns the part."""
        self.named.update({prefix + name: variable for name, variable in layer.named.items()})
        return layer

    def get_config(self):
        return dict(self.options)

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def arrays(self) -> dict[str, np.ndarray]:
        """{legacy name: array}, in the reference's order; the network's whole state."""
        return {name: np.asarray(variable.numpy()) for name, variable in self.named.items()}

    def set_arrays(self, mapping) -> None:
        """Sets every variable from {legacy name: array}.

        Names and shapes must be exactly this network's; otherwise nothing is changed and one
        ValueError lists all differences.
        """
        for name, value in dict(self.fitting(mapping.items())).items():
            self.named[name].assign(value)

    def fitting(self, pairs):
        """Yields (legacy name, float32 array) of those `pairs` that fit, one at a time.

        Raises ValueError after the last one, unless they were exactly this network's.
        """
        missing, problems = dict.fromkeys(self.named), []
        for name, array in pairs:
            if name not in self.named:
                problems.append(f"unknown: {name}")
                continue
            missing.pop(name, None)
            try:
                value = np.asarray(array, np.float32)
            except (TypeError, ValueError):
                problems.append(f"not numbers: {name}")
                continue
            expected, came = tuple(self.named[name].shape), value.shape
            if came != expected:
                problems.append(f"shape of {name}: expected {expected}, got {came}")
                continue
            yield name, value
        problems = [f"missing: {name}" for name in missing] + problems
        if problems:
            raise ValueError(f"{self.func_name}: arrays do not fit: " + "; ".join(problems))

    def trainable(self, level: int | None = None, fading: bool = False) -> dict:
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

    @functools.cached_property  # which bypasses Keras's tracking of attributes
    def runnable(self):
        """This network with all of the original's methods (networks/original.py)."""
        from networks.original import RunnableNetwork

        return RunnableNetwork(self)

    def run(self, *inputs, **keywords) -> np.ndarray:
        """NumPy in, NumPy out, images as [N, C, H, W]: RunnableNetwork.run."""
        return self.runnable.run(*inputs, **keywords)

    def get_var(self, name) -> np.ndarray:
        """The value of a variable, by its legacy name."""
        return self.runnable.get_var(name)

    @property
    def components(self):
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
    current level and the fraction the weight of the next lower one (ProGAN §2).
    """

    def __init__(self, func_name, seed, **kwargs):
        super().__init__(func_name, seed, **kwargs)
        self.resolution = self.options["resolution"]
        self.resolution_log2 = int(math.log2(self.resolution))
        self.lod = self.add_named("lod", [], trainable=False)

    def fmaps(self, stage: int) -> int:
        """nf(s): feature maps of a block."""
        base, decay = self.options["fmap_base"], self.options["fmap_decay"]
        return min(int(base / 2.0 ** (stage * decay)), self.options["fmap_max"])

    def fused(self, resolution: int) -> bool:
        """Whether the weights of a ×2 or ÷2 whose larger side is `resolution` are fused ones."""
        return options.is_fused(self.options["fused_scale"], resolution)

    def split_lod(self, lod) -> tuple[int, float]:
        """lod (None: the network's own) → (level, fade weight in [0, 1))."""
        fixed = self.options.get("structure") == "fixed"
        if lod is None and fixed:  # it has one level, whatever its variable says
            lod = 0
        elif lod is None:
            with tf.init_scope():  # also while a caller's graph is traced
                lod = self.lod.numpy()
        lod = round(float(lod), 6)  # the variable is float32: 2.3 is not 2.29999995
        lowest = 0 if fixed else self.resolution_log2 - 2
        if not 0 <= lod <= lowest:
            raise ValueError(f"{self.func_name}: lod={lod}, expected 0 to {lowest}")
        return int(lod), lod - int(lod)

    def set_lod(self, lod: float) -> None:
        """Sets the network's own level of detail, which calls without `lod` use."""
        self.lod.assign(lod)

    def in_stage(self, name, level, fading):
        scope = name.split("G_synthesis/")[-1].split("/")[0]
        for kind in ("ToRGB_lod", "FromRGB_lod"):
            if scope.startswith(kind):
                lod = int(scope[len(kind) :])
                return lod == level or (fading and lod == level + 1)
        if "x" in scope and scope.split("x")[0].isdigit():
            return int(scope.split("x")[0]) <= self.resolution >> level
        return True


def check_width(network: str, what: str, value, width: int):
    """value as float32 [N, width]; ValueError naming the tensor when its shape differs."""
    value = tf.cast(tf.convert_to_tensor(value), tf.float32)
    if value.shape.rank != 2 or value.shape[-1] != width:
        raise ValueError(f"{network}: {what} has shape {value.shape}, expected [N, {width}]")
    return value


def check_labels(network: str, labels, like, width: int):
    """Labels as float32 [N, width]; None means zeros, as many as `like` has rows."""
    if labels is None:
        return tf.zeros([tf.shape(like)[0], width])
    labels = check_width(network, "labels", labels, width)
    if None not in (labels.shape[0], like.shape[0]) and labels.shape[0] != like.shape[0]:
        raise ValueError(f"{network}: {labels.shape[0]} labels for {like.shape[0]} inputs")
    return labels
