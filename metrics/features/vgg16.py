"""VGG16: LPIPS v0.1, the perceptual distance of PPL, over it, and its second dense layer.

Zhang et al. 2018; Kynkäänniemi et al. 2019 for the dense layer, which precision and recall see. The
trunk is torchvision's VGG16, whose names and pixel range differ from those of Keras's weights
(Caffe's). The five weightings come with this package, under the licence in LICENSE-lpips.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from compute.box_means import downscale2d
from dnnlib import tensor_file
from dnnlib.errors import UserError
from metrics.features.legacy_resize import legacy_resize

FORMAT = "stylegan-tf2 lpips heads 1"
HEADS = Path(__file__).with_name("lpips-vgg-v0.1.safetensors")
# Convolutions and channels of each block; a maximum over 2×2 pixels is between blocks.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
MIN_SIZE = 2 ** (len(BLOCKS) - 1)  # pixels: one remains in the last block
# Of ImageNet's photographs, RGB in 0…1.
MEAN = (0.485, 0.456, 0.406)
STDDEV = (0.229, 0.224, 0.225)


PLACES, PLACES_SIDE = 2, 64  # of LpipsPlaces: means of 2×2 parts, of images of at most 64 pixels
SIZE = 224  # pixels, height and width, of what the dense layers take
SIDE = SIZE // 2 ** len(BLOCKS)  # of the last block's output after its maximum
FEATURES = 4096


class Trunk(tf.Module):
    """VGG16 without its dense layers.

    arrays: {name: float32 array} as `trunk_shapes` lists them, and `more` names; others are
    ignored. Created inside a strategy's scope, its variables are the strategy's. Call it within a
    tf.function.
    """

    def __init__(self, arrays: dict[str, np.ndarray], more: Iterable[str] = ()) -> None:
        super().__init__()
        names = [*trunk_shapes(), *more]
        self._weights = {name: tf.Variable(arrays[name], trainable=False) for name in names}

    def features(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Images [N, H, W, 1 or 3] in 0…255 → the last ReLU's output of each block."""
        x = (images / 255 - MEAN) / STDDEV  # three channels from one
        outputs = []
        for block, layers in enumerate(_layers()):
            x = tf.nn.max_pool2d(x, 2, 2, "VALID") if block else x
            for name in layers:
                x = tf.nn.conv2d(x, self._weights[f"{name}/weight"], 1, "SAME")
                x = tf.nn.relu(tf.nn.bias_add(x, self._weights[f"{name}/bias"]))
            outputs.append(x)
        return outputs

    def unit_features(self, images: tf.Tensor) -> list[tf.Tensor]:
        """The same, of length 1 at each pixel, or 0 where no channel sees anything."""
        return [x / (_lengths(x) + 1e-10) for x in self.features(images)]


class Lpips(Trunk):
    """Pairs of images → their perceptual distance.

    arrays: {name: float32 array} as `trunk_shapes` and `head_shapes` list them; else as `Trunk`.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(arrays, head_shapes())

    def __call__(self, images0: tf.Tensor, images1: tf.Tensor) -> tf.Tensor:
        """Images [N, H, W, 1 or 3] in 0…255, twice the same shape → float32 [N], 0 if equal.

        One channel counts as three equal ones. Raises ValueError for other shapes and for sides
        below 16 pixels.
        """
        images = [tf.cast(images, tf.float32) for images in (images0, images1)]
        _check(*images)
        # As one batch, so that both go through the same arithmetic.
        embedded = self.embed(tf.concat(images, axis=0))
        count = tf.shape(images[0])[0]
        return self.between([x[:count] for x in embedded], [x[count:] for x in embedded])

    def embed(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Images [N, H, W, 1 or 3] in 0…255 → `unit_features`."""
        return self.unit_features(tf.cast(images, tf.float32))

    def between(self, first: list[tf.Tensor], second: list[tf.Tensor]) -> tf.Tensor:
        """The distance of what was embedded, float32 [N]."""
        distances = []
        for index, (a, b) in enumerate(zip(first, second)):
            x = tf.reduce_mean(tf.math.squared_difference(a, b), axis=[1, 2])
            distances.append(tf.linalg.matvec(x, self._weights[f"lin{index}/weight"]))
        return tf.add_n(distances)


class LpipsPlaces(Trunk):
    """Images → vectors whose squared distance is LPIPS of the means over the quarters of images.

    arrays: as of `Lpips`. LPIPS itself compares at each pixel; means over quarters are few enough
    to look for neighbours among many images, and do not mind a move by some pixels.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(arrays, head_shapes())

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images [N, H, W, 1 or 3], square, uint8 or float in 0…255 → float32 [N, 5888].

        They are seen at 64×64 if they are larger, and at 32×32 if they are smaller.
        """
        x = tf.cast(images, tf.float32)
        side = x.shape[1]
        if side > PLACES_SIDE:
            x = downscale2d(x, side // PLACES_SIDE)
        elif side < MIN_SIZE * PLACES:
            factor = MIN_SIZE * PLACES // side
            x = tf.repeat(tf.repeat(x, factor, axis=1), factor, axis=2)
        parts = []
        for index, block in enumerate(self.unit_features(x)):
            x = downscale2d(block, block.shape[1] // PLACES)
            x *= tf.sqrt(self._weights[f"lin{index}/weight"]) / PLACES
            parts.append(tf.reshape(x, [-1, PLACES * PLACES * x.shape[-1]]))
        return tf.concat(parts, axis=1)


class SecondDense(Trunk):
    """Images → the second dense layer after its ReLU, for precision and recall.

    arrays: {name: float32 array} as `trunk_shapes` and `dense_shapes` list them; else as `Trunk`.
    """

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__(arrays, dense_shapes())

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Images [N, H, W, 1 or 3], uint8 or float in 0…255 → float32 [N, 4096].

        One channel counts as three equal ones. Raises ValueError for other shapes.
        """
        last = self.features(legacy_resize(images, SIZE))[-1]
        x = tf.nn.max_pool2d(last, 2, 2, "VALID")
        x = tf.reshape(x, [-1, SIDE * SIDE * x.shape[-1]])
        for layer in ("fc1", "fc2"):
            weight, bias = (self._weights[f"{layer}/{name}"] for name in ("weight", "bias"))
            x = tf.nn.relu(tf.linalg.matmul(x, weight) + bias)
        return x


def trunk_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of VGG16's convolutions, in order; kernels are HWIO."""
    result: dict[str, tuple[int, ...]] = {}
    before = 3
    for layers, (_, channels) in zip(_layers(), BLOCKS):
        for name in layers:
            result[f"{name}/weight"] = (3, 3, before, channels)
            result[f"{name}/bias"] = (channels,)
            before = channels
    return result


def dense_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of the first two dense layers; the first one's rows are in the order of
    height, width, channel. Not all published files have them."""
    return {
        "fc1/weight": (SIDE * SIDE * BLOCKS[-1][1], FEATURES),
        "fc1/bias": (FEATURES,),
        "fc2/weight": (FEATURES, FEATURES),
        "fc2/bias": (FEATURES,),
    }


def head_shapes() -> dict[str, tuple[int, ...]]:
    """{name: shape} of the weights of the five blocks' channels."""
    return {f"lin{index}/weight": (channels,) for index, (_, channels) in enumerate(BLOCKS)}


def heads() -> dict[str, np.ndarray]:
    """{name: float32 array} of LPIPS v0.1's own, all of them non-negative; or a UserError."""
    try:
        arrays = tensor_file.load(HEADS, FORMAT)[0]
    except (tensor_file.TensorFileError, OSError) as error:
        raise UserError(f"{HEADS}: {error}; it is a part of this package: put it back") from error
    if {name: array.shape for name, array in arrays.items()} != head_shapes():
        raise UserError(f"{HEADS} has other arrays than this package's: put it back")
    return arrays


def _lengths(x: tf.Tensor) -> tf.Tensor:
    """Of x [..., C]: [..., 1]. The root's derivative at 0, where no channel sees anything, is not
    a number; here it is 0."""
    squares = tf.reduce_sum(x * x, axis=-1, keepdims=True)
    positive = squares > 0
    return tf.where(positive, tf.sqrt(tf.where(positive, squares, 1.0)), 0.0)


def _layers() -> list[list[str]]:
    return [
        [f"conv{block}_{layer}" for layer in range(1, count + 1)]
        for block, (count, _) in enumerate(BLOCKS, start=1)
    ]


def _check(images0: tf.Tensor, images1: tf.Tensor) -> None:
    shapes = images0.shape, images1.shape
    shape = shapes[0]
    if shape.rank != 4 or shape[-1] not in (1, 3, None) or not shape.is_compatible_with(shapes[1]):
        raise ValueError(
            f"images have shapes {shapes[0]} and {shapes[1]}, expected [N, H, W, 1 or 3] twice"
        )
    if any(side is not None and side < MIN_SIZE for side in shape[1:3]):
        raise ValueError(
            f"images of {shape[1]}×{shape[2]} pixels, expected at least {MIN_SIZE}×{MIN_SIZE}"
        )
