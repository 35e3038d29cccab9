"""The Inception network of FID: TensorFlow's graph of 2015-12-05, not Keras's ImageNet network.

The topology is Inception v3's (Szegedy et al. 2016) with one oddity: in the last block the pool is
a maximum. Variables bear the names of the frozen graph. Its input is resized as TensorFlow 1 did,
which shifts images by a fraction of a pixel; FIDs are comparable only with the same shift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import tensorflow as tf

from metrics.features.legacy_resize import legacy_resize

SIZE = 299  # pixels, height and width
FEATURES = 2048
CLASSES = 1008  # ImageNet has 1000; the surplus ones are the network's all the same
EPSILON = 1e-3
VECTORS = ("beta", "moving_mean", "moving_variance")

X = TypeVar("X")  # what goes through the topology: images, or a number of channels


class Operations(Protocol[X]):
    """What the topology is made of."""

    def conv(
        self,
        x: X,
        scope: str,
        filters: int,
        height: int,
        width: int,
        stride: int = 1,
        padding: str = "SAME",
    ) -> X: ...

    def max_pool(self, x: X, stride: int = 2) -> X: ...

    def average_pool(self, x: X) -> X: ...

    def join(self, *parts: X) -> X: ...


class Inception(tf.Module):
    """Images → the features of FID (Heusel et al. 2017).

    arrays: {name: float32 array} as `shapes` lists them; others are ignored. Created inside a
    strategy's scope, its variables are the strategy's. Call it within a tf.function.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        self._weights = {}
        for scope in _convolutions():
            kernel, beta, mean, variance = (
                np.float64(arrays[name]) for name in (_kernel(scope), *_vectors(scope))
            )
            # Batch normalisation has no gamma and is a part of the convolution here.
            scale = 1 / np.sqrt(variance + EPSILON)
            self._weights[scope] = (_constant(kernel * scale), _constant(beta - mean * scale))

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images [N, H, W, 1 or 3], uint8 or float in 0…255 → float32 [N, 2048].

        One channel counts as three equal ones. Raises ValueError for other shapes.
        """
        return tf.reduce_mean(network(self, preprocess(images)), axis=[1, 2])

    def conv(
        self,
        x: tf.Tensor,
        scope: str,
        filters: int,
        height: int,
        width: int,
        stride: int = 1,
        padding: str = "SAME",
    ) -> tf.Tensor:
        kernel, bias = self._weights[scope]
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, padding), bias))

    def max_pool(self, x: tf.Tensor, stride: int = 2) -> tf.Tensor:
        return tf.nn.max_pool2d(x, 3, stride, "VALID" if stride == 2 else "SAME")

    def average_pool(self, x: tf.Tensor) -> tf.Tensor:
        # TensorFlow's mean is that of the pixels inside the image: padding does not count.
        return tf.nn.avg_pool2d(x, 3, 1, "SAME")

    def join(self, *parts: tf.Tensor) -> tf.Tensor:
        return tf.concat(parts, axis=-1)


def preprocess(images: tf.Tensor) -> tf.Tensor:
    """Images as `Inception` takes them → float32 [N, 299, 299, 3] in [-1, 1)."""
    x = legacy_resize(images, SIZE)
    return (x - [128.0] * 3) / 128  # three channels from one


def shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of all variables, in the graph's order; kernels are HWIO."""
    result: dict[str, tuple[int, ...]] = {}
    for scope, shape in _convolutions().items():
        result[_kernel(scope)] = shape
        result.update({name: shape[-1:] for name in _vectors(scope)})
    return result


def class_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of what makes the outputs of the classes of the features, without their bias.
    Not all published files have it."""
    return {"softmax/weights": (FEATURES, CLASSES)}


def network(net: Operations[X], x: X) -> X:
    """The topology, of net's operations.

    The order of convolutions is that of the frozen graph. At line ends: height and width.
    """
    x = net.conv(x, "conv", 32, 3, 3, 2, "VALID")  # 149
    x = net.conv(x, "conv_1", 32, 3, 3, 1, "VALID")  # 147
    x = net.conv(x, "conv_2", 64, 3, 3)
    x = net.max_pool(x)  # 73
    x = net.conv(x, "conv_3", 80, 1, 1)
    x = net.conv(x, "conv_4", 192, 3, 3, 1, "VALID")  # 71
    x = net.max_pool(x)  # 35
    x = block_35(net, x, "mixed", 32)
    x = block_35(net, x, "mixed_1", 64)
    x = block_35(net, x, "mixed_2", 64)
    x = net.join(
        net.conv(x, "mixed_3/conv", 384, 3, 3, 2, "VALID"),
        tower(net, x, "mixed_3/tower", (64, 1, 1), (96, 3, 3), (96, 3, 3, 2, "VALID")),
        net.max_pool(x),
    )  # 17
    x = block_17(net, x, "mixed_4", 128)
    x = block_17(net, x, "mixed_5", 160)
    x = block_17(net, x, "mixed_6", 160)
    x = block_17(net, x, "mixed_7", 192)
    first, last = (192, 1, 1), (192, 3, 3, 2, "VALID")
    x = net.join(
        tower(net, x, "mixed_8/tower", first, (320, 3, 3, 2, "VALID")),
        tower(net, x, "mixed_8/tower_1", first, (192, 1, 7), (192, 7, 1), last),
        net.max_pool(x),
    )  # 8
    x = block_8(net, x, "mixed_9", net.average_pool)
    # ImageNet's network has a mean here as well; in this graph it is a maximum.
    return block_8(net, x, "mixed_10", lambda x: net.max_pool(x, stride=1))


def block_35(net: Operations[X], x: X, scope: str, filters: int) -> X:
    return net.join(
        net.conv(x, f"{scope}/conv", 64, 1, 1),
        tower(net, x, f"{scope}/tower", (48, 1, 1), (64, 5, 5)),
        tower(net, x, f"{scope}/tower_1", (64, 1, 1), (96, 3, 3), (96, 3, 3)),
        tower(net, net.average_pool(x), f"{scope}/tower_2", (filters, 1, 1)),
    )


def block_17(net: Operations[X], x: X, scope: str, filters: int) -> X:
    first, row, column = (filters, 1, 1), (filters, 1, 7), (filters, 7, 1)
    return net.join(
        net.conv(x, f"{scope}/conv", 192, 1, 1),
        tower(net, x, f"{scope}/tower", first, row, (192, 7, 1)),
        tower(net, x, f"{scope}/tower_1", first, column, row, column, (192, 1, 7)),
        tower(net, net.average_pool(x), f"{scope}/tower_2", (192, 1, 1)),
    )


def block_8(net: Operations[X], x: X, scope: str, pool: Callable[[X], X]) -> X:
    def crossed(x: X, scope: str) -> tuple[X, X]:
        return tower(net, x, scope, (384, 1, 3)), net.conv(x, f"{scope}/conv_1", 384, 3, 1)

    one = net.conv(x, f"{scope}/conv", 320, 1, 1)
    two = tower(net, x, f"{scope}/tower", (384, 1, 1))
    two = crossed(two, f"{scope}/tower/mixed")
    three = tower(net, x, f"{scope}/tower_1", (448, 1, 1), (384, 3, 3))
    three = crossed(three, f"{scope}/tower_1/mixed")
    return net.join(one, *two, *three, tower(net, pool(x), f"{scope}/tower_2", (192, 1, 1)))


def tower(net: Operations[X], x: X, scope: str, *layers: tuple) -> X:
    for index, layer in enumerate(layers):
        x = net.conv(x, f"{scope}/conv_{index}" if index else f"{scope}/conv", *layer)
    return x


class _Listing:
    """Runs the topology over numbers of channels and notes the shape of every kernel."""

    def __init__(self) -> None:
        self.kernels: dict[str, tuple[int, ...]] = {}

    def conv(self, x: int, scope: str, filters: int, height: int, width: int, *_: object) -> int:
        self.kernels[scope] = (height, width, x, filters)
        return filters

    def max_pool(self, x: int, stride: int = 2) -> int:
        return x

    average_pool = max_pool

    def join(self, *parts: int) -> int:
        return sum(parts)


def _convolutions() -> dict[str, tuple[int, ...]]:
    listing = _Listing()
    network(listing, 3)
    return listing.kernels


def _kernel(scope: str) -> str:
    return f"{scope}/conv2d_params"


def _vectors(scope: str) -> list[str]:
    return [f"{scope}/batchnorm/{vector}" for vector in VECTORS]


def _constant(array: np.ndarray) -> tf.Variable:
    return tf.Variable(np.float32(array), trainable=False)
