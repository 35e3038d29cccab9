"""The building blocks of the networks as Keras layers.

Every layer makes its variables when it is made and lists them under their legacy names
(`named`), so a network is complete before its first call. Variables are float32; a layer
computes in the dtype of its input. Under `planned`, layers list shapes instead, so that a
network's may be known before anything is as large as its options say.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar, Optional

import numpy as np
import tensorflow as tf
from tensorflow import keras

from networks import fast, fused, ops
from networks.fast import Plan

SQRT2 = float(np.sqrt(2))


def tf_variable(variable: Any) -> tf.Variable:
    """The tf.Variable behind a Keras variable (Keras 3 wraps it; Keras 2 does not)."""
    return variable if callable(variable.value) else variable.value


_draws = contextvars.ContextVar("draws", default=True)
_unset = contextvars.ContextVar("unset", default=False)


@contextlib.contextmanager
def undrawn(*, unset: bool = False) -> Iterator[None]:
    """What is made inside the block starts as zeros, where it would start as random numbers.

    For networks whose weights are set at once: drawing 27 million is most of making one. unset: it
    starts as whatever is in memory, of which the system gives none before it is written to.
    """
    tokens = _draws.set(False), _unset.set(unset)
    try:
        yield
    finally:
        _draws.reset(tokens[0])
        _unset.reset(tokens[1])


def _unset_value(shape: Any, dtype: Any = None, **_: Any) -> tf.Tensor:
    """A Keras initializer for what is set at once."""
    return tf.raw_ops.Empty(shape=list(shape), dtype=tf.float32, init=False)


_PIECE = 2**18  # numbers


def assign(variable: tf.Variable, value: np.ndarray) -> None:
    """Sets a float32 variable from float32 or float16, exactly.

    Half precision goes there in pieces: a large array as float32 would be memory beside the
    variable's, and TensorFlow keeps what it needs for its own casts.
    """
    # Several devices' variables, and those of a GPU, are no memory of this machine.
    elsewhere = tf.distribute.has_strategy() or "GPU" in variable.device
    if value.dtype == np.float32 or value.size <= _PIECE or elsewhere:
        variable.assign(value.astype(np.float32, copy=False))
        return
    axis, row = 0, value.size // len(value)  # the first axis whose rows are no more than a piece
    while row > _PIECE:
        axis += 1
        row //= value.shape[axis]
    step = _PIECE // row
    for index in np.ndindex(value.shape[:axis]):
        for start in range(0, value.shape[axis], step):
            piece = value[index][start : start + step].astype(np.float32)
            tf.raw_ops.ResourceStridedSliceAssign(
                ref=variable.handle,
                begin=[*index, start],
                end=[*(i + 1 for i in index), start + len(piece)],
                strides=[1] * (axis + 1),
                value=piece.reshape([1] * axis + list(piece.shape)),
            )


MAX_PLANNED = 10_000  # variables of one network; one of 1024x1024 has about 200
_planning = contextvars.ContextVar("planning", default=False)


@dataclasses.dataclass(frozen=True)
class Planned:
    """Stands for a variable that is not made: float32 zeros that take no memory."""

    shape: tuple[int, ...]
    trainable: bool = True
    dtype: ClassVar[tf.DType] = tf.float32

    def numpy(self) -> np.ndarray:
        return np.broadcast_to(np.float32(0), self.shape)

    def assign(self, value: Any) -> None:
        """Keeps nothing."""


@contextlib.contextmanager
def planned() -> Iterator[None]:
    """What is made inside the block lists a `Planned` where it would make a variable.

    It can be asked for names, shapes and places, and for nothing else. Raises ValueError for a
    network of more than MAX_PLANNED variables.
    """
    token = _planning.set(True)
    try:
        yield
    finally:
        _planning.reset(token)


def planning() -> bool:
    """Whether variables are only planned."""
    return _planning.get()


def number(initial: float) -> Any:
    """A float32 scalar that no gradient goes to, or the plan of one."""
    if planning():
        return Planned((), trainable=False)
    return tf.Variable(initial, trainable=False, dtype=tf.float32)


class Initial:
    """A Keras initializer: N(0, std²), a function of (seed, name) alone.

    Independent of the order of creation and of the TensorFlow version, so a seed means the
    same weights everywhere and on every replica.
    """

    def __init__(self, seed: int, name: str, std: float):
        self.seed, self.name, self.std = seed, name, std

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> tf.Tensor:
        if not _draws.get():
            return tf.zeros(shape)
        key = [self.seed & (2**64 - 1), zlib.crc32(self.name.encode())]
        rng = np.random.Generator(np.random.Philox(key=key))
        return tf.constant(rng.standard_normal(tuple(shape), np.float32) * np.float32(self.std))


class Named:
    """What knows its variables' legacy names.

    named: {local legacy name: tf.Variable}, in the order of the reference.
    """

    named: dict[str, Any]
    add_weight: Any  # Keras's

    def add_named(
        self, name: str, shape: Any, initializer: Any = "zeros", trainable: bool = True
    ) -> tf.Variable:
        """Makes a float32 variable and lists it."""
        if planning():
            return self.plan(name, shape, trainable)
        variable = self.add_weight(
            name=name.replace("/", "_"),
            shape=list(shape),
            dtype="float32",
            initializer=_unset_value if _unset.get() else initializer,
            trainable=trainable,
        )
        self.named[name] = tf_variable(variable)
        return self.named[name]

    def plan(self, name: str, shape: Any, trainable: bool = True) -> Any:
        """Lists a variable that is not made."""
        self.named[name] = Planned(tuple(shape), trainable)
        return self.named[name]

    def adopt(self, prefix: str, layer: Any) -> Any:
        """Lists a part's variables under `prefix`; returns the part."""
        self.named.update({prefix + name: variable for name, variable in layer.named.items()})
        if planning() and len(self.named) > MAX_PLANNED:
            raise ValueError(f"a network of more than {MAX_PLANNED:,} variables")
        return layer


class Layer(Named, keras.layers.Layer):
    """A Keras layer that knows its variables' legacy names."""

    def __init__(self, scope: str, seed: int):
        # Keras 3 forbids '/' in names; the legacy name is kept in `scope` and `named`.
        # Without autocast, which would turn activations of lower precision to float32.
        super().__init__(name=scope.replace("/", "_") or None, dtype="float32", autocast=False)
        self.scope, self.seed = scope, seed
        self.named = {}
        self.built = True  # every variable is made in the constructor

    def add_scaled(
        self, name: str, shape: Any, *, gain: float, use_wscale: bool = True, lrmul: float = 1.0
    ) -> tuple[tf.Variable, float]:
        """A weight with equalised learning rate: (variable, its runtime coefficient)."""
        he = gain / math.sqrt(math.prod(shape[:-1]))
        std, coefficient = (1 / lrmul, he * lrmul) if use_wscale else (he / lrmul, lrmul)
        initial = Initial(self.seed, f"{self.scope}/{name}", std)
        return self.add_named(name, shape, initial), float(coefficient)


def activate(x: tf.Tensor, nonlinearity: str) -> tf.Tensor:
    """The activation function of a name in networks/ops.py: 'lrelu', 'relu', …."""
    if nonlinearity == "lrelu" and fast.plan().fuse_epilogue:
        return fused.leaky_relu(x)
    return ops.ACTIVATIONS[nonlinearity](x)


def scaled(variable: tf.Variable, coefficient: float, dtype: tf.DType) -> tf.Tensor:
    """The variable times its runtime coefficient, rounded to `dtype` last."""
    value = tf.convert_to_tensor(variable)
    return tf.cast(value * coefficient if coefficient != 1 else value, dtype)


class Dense(Layer):
    """x [N, in] @ weight → [N, out]; the bias is separate (`Bias`)."""

    def __init__(
        self,
        scope: str,
        seed: int,
        fan_in: int,
        units: int,
        *,
        gain: float = SQRT2,
        use_wscale: bool = True,
        lrmul: float = 1.0,
    ):
        super().__init__(scope, seed)
        self.weight, self.coefficient = self.add_scaled(
            "weight", [fan_in, units], gain=gain, use_wscale=use_wscale, lrmul=lrmul
        )

    @property
    def kernel(self) -> tf.Variable:
        """The weight, by the name that Keras's wrappers know."""
        return self.weight

    def runtime_weight(self, dtype: tf.DType, plan: Plan) -> tf.Tensor:
        """The weight as the product takes it: scaled and cast, in every plan."""
        return scaled(self.weight, self.coefficient, dtype)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.matmul(x, fast.runtime_weight(self, x.dtype))


class Conv2D(Layer):
    """A 1×1 or 3×3 convolution, optionally followed by ÷2 or preceded by ×2.

    resample: None, 'up' or 'down'. fused: which form of it the *weights* are for: upscaling then
    convolving, and convolving transposed, are different functions of the same weight.
    """

    def __init__(
        self,
        scope: str,
        seed: int,
        fmaps_in: int,
        fmaps_out: int,
        kernel: int = 3,
        *,
        gain: float = SQRT2,
        use_wscale: bool = True,
        resample: Optional[str] = None,
        fused: bool = False,
    ):
        super().__init__(scope, seed)
        self.resample, self.fused = resample, fused
        self.weight, self.coefficient = self.add_scaled(
            "weight", [kernel, kernel, fmaps_in, fmaps_out], gain=gain, use_wscale=use_wscale
        )

    @property
    def kernel(self) -> tf.Variable:
        """The weight, by the name that Keras's wrappers know."""
        return self.weight

    def runtime_weight(self, dtype: tf.DType, plan: Plan) -> tf.Tensor:
        """The kernel as the plan's convolution takes it."""
        kernel = scaled(self.weight, self.coefficient, dtype)
        if self.resample is None:
            return kernel
        form = ops.upscale_kernel if self.resample == "up" else ops.downscale_kernel
        return form(kernel, fused=self.fused, fast=plan.fuse_scaling)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        kernel = fast.runtime_weight(self, x.dtype)
        if self.resample is None:
            return ops.conv2d(x, kernel)
        return (ops.upscale_conv2d if self.resample == "up" else ops.conv2d_downscale)(x, kernel)


class Bias(Layer):
    """Adds one number per channel, starting at 0, times lrmul."""

    def __init__(self, scope: str, seed: int, channels: int, lrmul: float = 1.0):
        super().__init__(scope, seed)
        self.bias = self.add_named("bias", [channels])
        self.coefficient = float(lrmul)

    def value(self) -> tf.Tensor:
        """[channels], as it is added: float32."""
        return scaled(self.bias, self.coefficient, tf.float32)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(x, scaled(self.bias, self.coefficient, x.dtype))


class NoiseInjection(Layer):
    """Adds one noise image, scaled per channel (StyleGAN §2, "B" in figure 1b).

    Call: x [N, H, W, C], noise [N or 1, H, W, 1] → [N, H, W, C].
    """

    def __init__(self, scope: str, seed: int, channels: int):
        super().__init__(scope, seed)
        # Zero at the start: the network first learns without noise.
        self.weight = self.add_named("weight", [channels])

    def call(self, x: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return x + noise * tf.cast(self.weight, x.dtype)


class StyleMod(Layer):
    """The learned affine part of AdaIN (StyleGAN §2, "A" in figure 1b).

    `affine(w)`: w [N, dlatent_size] → scale, shift, each [N, C], the scale without its +1.
    Call: x [N, H, W, C], w → x·(scale + 1) + shift.
    """

    def __init__(
        self, scope: str, seed: int, dlatent_size: int, channels: int, *, use_wscale: bool
    ):
        super().__init__(scope, seed)
        self.dense = self.adopt(
            "", Dense(scope, seed, dlatent_size, 2 * channels, gain=1, use_wscale=use_wscale)
        )
        self.bias = self.adopt("", Bias(scope, seed, 2 * channels))

    def matrix(self) -> np.ndarray:
        """[dlatent_size, 2 C], as w is multiplied by it."""
        return scaled(self.dense.weight, self.dense.coefficient, tf.float32).numpy()

    def affine(self, w: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(self.bias(self.dense(w)), 2, axis=-1)

    def call(self, x: tf.Tensor, w: tf.Tensor) -> tf.Tensor:
        scale, shift = self.affine(w)
        scale, shift = tf.cast(scale, x.dtype), tf.cast(shift, x.dtype)
        return x * (scale[:, None, None, :] + 1) + shift[:, None, None, :]
