"""Noise images within a model: the network's own, given ones, drawn ones, or none.

Drawn ones come of a seed for each image by arithmetic that ONNX Runtime has for whole numbers. They
are another stream than NumPy's: the same seed gives other noise than `images --noise=random`, but
the same on each machine, and an image's noise does not depend on those beside it.
"""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np

from generation.onnx import layers
from generation.onnx.graph import INT64, Graph

MODES = ("fixed", "none", "random", "input")

# x → x⁵ is a permutation modulo this prime, and squares of it fit in 63 bits.
_PRIME = 2**31 - 1
# Added before each power, so that 0 goes somewhere; digits of π, 31 bits at a time.
_ROUNDS = (0x243F6A88, 0x05A308D3, 0x13198A2E, 0x03707344)


class NoiseImages:
    """What a generator's layers ask for their noise. mode: one of MODES."""

    def __init__(self, g: Graph, network: Any, mode: str) -> None:
        self._g, self._mode = g, mode
        self._shapes = network.noise_shapes()
        self._own = network.noise_images() if mode == "fixed" else []
        self._stream: Optional[str] = None

    def of_layer(self, layer: int, codes: str) -> Optional[str]:
        """[N or 1, 1, H, W], or None for none."""
        if self._mode == "none" or not self._shapes:
            return None
        g, (height, width) = self._g, self._shapes[layer]
        if self._mode == "input":
            given = g.input(f"noise{layer}", [f"noise{layer}_images", height, width, 1])
            return g.op("Reshape", given, g.numbers(-1, 1, height, width))
        with g.scope(f"noise{layer}"):
            if self._mode == "fixed":
                image = self._own[layer].reshape(1, 1, height, width)
                # Once for each image: times a weight for each channel it would be folded into
                # data as large as the features.
                return layers.repeated(g, g.weight("image", image), codes)
            drawn = self._normal(layer, height * width)
            return g.op("Reshape", drawn, g.numbers(-1, 1, height, width))

    # ------------------------------------------------------------ drawn ones

    def _normal(self, layer: int, count: int) -> str:
        """Standard normal numbers, [N, count]: Box and Muller's of the layer's uniform ones."""
        g = self._g
        uniform = self._uniform(layer, count)
        halves = [
            g.op("Slice", uniform, g.numbers(start), g.numbers(start + count // 2), g.numbers(1))
            for start in (0, count // 2)
        ]
        radius = g.op("Sqrt", g.op("Mul", g.op("Log", halves[0]), g.constant(-2.0)))
        angle = g.op("Mul", halves[1], g.constant(2 * math.pi))
        parts = [g.op("Mul", radius, g.op(kind, angle)) for kind in ("Cos", "Sin")]
        return g.op("Concat", *parts, axis=1)

    def _uniform(self, layer: int, count: int) -> str:
        """[N, count] within (0, 1]: of each pixel's number, and keys of the seed and the layer."""
        g = self._g
        key = self._power(self._of_seed(), self._whole(layer + 1))
        numbers = g.op("Range", *(self._whole(value) for value in (0, count, 1)))
        x = g.op("Unsqueeze", numbers, g.numbers(0))
        for constant in _ROUNDS:
            key = self._power(key, self._whole(constant))
            x = self._power(x, g.op("Unsqueeze", key, g.numbers(1)))
        share = g.op("Mul", g.op("Cast", x, to=1), g.constant(2.0**-31))
        return g.op("Add", share, g.constant(2.0**-32))

    def _of_seed(self) -> str:
        """[N], below the prime: of all 63 bits of the seed. It is every layer's."""
        if self._stream is None:
            g, prime = self._g, self._whole(_PRIME)
            seed = g.input("seed", ["N"], INT64)
            high = g.op("Mod", g.op("Div", seed, prime), prime)
            low = self._power(g.op("Mod", seed, prime), self._whole(_ROUNDS[0]))
            self._stream = self._power(low, high)
        return self._stream

    def _power(self, x: str, key: str) -> str:
        """(x + key)⁵ modulo the prime."""
        g, prime = self._g, self._whole(_PRIME)
        x = g.op("Mod", g.op("Add", x, key), prime)
        y = x
        for factor in (None, None, x):  # x², x⁴, x⁵
            y = g.op("Mod", g.op("Mul", y, factor or y), prime)
        return y

    def _whole(self, value: int) -> str:
        return self._g.constant(value, np.int64)
