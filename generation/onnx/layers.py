"""The layers that families share, of channels-first values: [N, C, H, W].

Kernels come as the networks have them, [kh, kw, in, out] or [in, out], with their runtime
coefficient. What can be done to them once is left to the runtime, which folds constants when it
opens a file: so the file holds each weight once, in its smallest form.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from generation.onnx.graph import Graph
from networks import ops
from networks.resampling import Pads, Taps, around, fir_kernel


def values_of(variable: Any, coefficient: float = 1.0) -> np.ndarray:
    """A variable times its runtime coefficient, float32."""
    return variable.numpy() * np.float32(coefficient)


# ---------------------------------------------------------------- products


def dense(
    g: Graph,
    x: str,
    matrix: np.ndarray,
    bias: Optional[np.ndarray] = None,
    *,
    precise: bool = False,
) -> str:
    """x [N, in] @ matrix [in, out] + bias [out] → [N, out].

    precise: never int8, for the mapping network: a tenth of the weights, and half of what int8
    changes in images.
    """
    inputs = [x, g.weight("weight", matrix, axis=None if precise else 1)]
    return g.op("Gemm", *inputs, *([] if bias is None else [g.constant(bias)]))


def kernel_of(g: Graph, kernel: np.ndarray) -> str:
    """[k, k, in, out] as Conv takes it: [out, in, k, k]."""
    return g.weight("weight", kernel.transpose(3, 2, 0, 1), axis=0)


def transposed_kernel_of(g: Graph, kernel: np.ndarray) -> str:
    """[k, k, in, out] as ConvTranspose takes it, which mirrors: [in, out, k, k]."""
    return g.weight("weight", kernel.transpose(2, 3, 0, 1), axis=1)


def conv(g: Graph, x: str, kernel: str, size: int, bias: Optional[np.ndarray] = None) -> str:
    """Stride 1, zero padding, an odd size: [N, in, H, W] → [N, out, H, W]."""
    inputs = [x, kernel, *([] if bias is None else [g.constant(bias)])]
    return g.op("Conv", *inputs, kernel_shape=[size, size], pads=[size // 2] * 4)


def upscale_conv(
    g: Graph, x: str, kernel: np.ndarray, *, fused: bool, bias: Optional[np.ndarray] = None
) -> str:
    """×2 and a 3×3 convolution, as ops.upscale_conv2d: [N, in, H, W] → [N, out, 2H, 2W].

    fused: which of two functions of the kernel it is (ops.upscale_kernel).
    """
    fan_in, fan_out = kernel.shape[2:]
    flat = kernel.transpose(2, 3, 0, 1).reshape(fan_in, fan_out, 9)
    offsets = g.constant(ops.four_by_four(mirror=not fused).T)
    four = g.op("MatMul", g.weight("weight", flat, axis=1), offsets)
    four = g.op("Reshape", four, g.numbers(fan_in, fan_out, 4, 4))
    inputs = [x, four, *([] if bias is None else [g.constant(bias)])]
    return g.op("ConvTranspose", *inputs, kernel_shape=[4, 4], strides=[2, 2], pads=[1, 1, 1, 1])


def scaled_by_image(g: Graph, x: str, factor: str) -> str:
    """x [N, C, H, W] times factor [N, C]."""
    return g.op("Mul", x, spread(g, factor))


def spread(g: Graph, value: str) -> str:
    """[N, C] → [N, C, 1, 1]."""
    return g.op("Unsqueeze", value, g.numbers(2, 3))


def per_channel(g: Graph, values: np.ndarray) -> str:
    """[C] → data [1, C, 1, 1]."""
    return g.constant(values.reshape(1, -1, 1, 1))


# ---------------------------------------------------------------- resampling


def enlarged(g: Graph, x: str, factor: int) -> str:
    """Nearest neighbour: [N, C, H, W] → [N, C, H·factor, W·factor]."""
    if factor == 1:
        return x
    scales = g.constant([1, 1, factor, factor])
    return g.op(
        "Resize",
        x,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def blur(g: Graph, x: str, channels: int, taps: Any, bias: Optional[np.ndarray] = None) -> str:
    """As ops.blur2d of taps, and + bias [C]."""
    taps = np.asarray(taps, np.float64)
    before, after = (len(taps) - 1) // 2, len(taps) // 2
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    return _filtered(g, x, channels, kernel, ((before, after),) * 2, bias)


def fir(g: Graph, x: str, channels: int, kernel: np.ndarray, pads: Pads) -> str:
    """As resampling.upfirdn2d without ×2 and ÷2."""
    cuts = [[max(-pad, 0) for pad in pair] for pair in pads]
    if np.any(cuts):
        starts = [before for before, _ in cuts]
        ends = [-after if after else 2**31 - 1 for _, after in cuts]
        x = g.op("Slice", x, g.numbers(*starts), g.numbers(*ends), g.numbers(2, 3))
    (top, bottom), (left, right) = pads
    rows, columns = (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))
    return _filtered(g, x, channels, kernel[::-1, ::-1], (rows, columns))


def _filtered(
    g: Graph,
    x: str,
    channels: int,
    kernel: np.ndarray,
    pads: Pads,
    bias: Optional[np.ndarray] = None,
) -> str:
    """Each channel with the same kernel [kh, kw], as it is."""
    (top, bottom), (left, right) = pads
    inputs = [x, _one_for_each(g, kernel, channels)]
    return g.op(
        "Conv",
        *inputs,
        *([] if bias is None else [g.constant(bias)]),
        kernel_shape=list(kernel.shape),
        group=channels,
        pads=[top, left, bottom, right],
    )


def _one_for_each(g: Graph, kernel: np.ndarray, channels: int) -> str:
    """[kh, kw] → [C, 1, kh, kw]."""
    one = g.constant(kernel[None, None])
    return g.op("Expand", one, g.numbers(channels, 1, *kernel.shape))


def upsample(g: Graph, x: str, channels: int, taps: Taps) -> str:
    """As resampling.upsample2d: [N, C, H, W] → [N, C, 2H, 2W]."""
    kernel = fir_kernel(taps, 2)
    return _up_fir(g, x, channels, kernel * 4, around(kernel, 2, before=1))


def _up_fir(g: Graph, x: str, channels: int, kernel: np.ndarray, pads: Pads) -> str:
    """As resampling.upfirdn2d with up=(2, 2): a transposed convolution of each channel.

    Of its whole result, 2(H − 1) + kh high, kh − 1 − before rows at the front and kh − 2 − after at
    the end are too many; where that is negative, there are zeros.
    """
    cuts = [
        (taps - 1 - before, taps - 2 - after) for taps, (before, after) in zip(kernel.shape, pads)
    ]
    (top, bottom), (left, right) = cuts
    y = g.op(
        "ConvTranspose",
        x,
        _one_for_each(g, kernel, channels),
        kernel_shape=list(kernel.shape),
        group=channels,
        strides=[2, 2],
        pads=[max(cut, 0) for cut in (top, left, bottom, right)],
    )
    missing = [max(-cut, 0) for cut in (top, left, bottom, right)]
    if not any(missing):
        return y
    top, left, bottom, right = missing
    return g.op("Pad", y, g.numbers(0, 0, top, left, 0, 0, bottom, right))


def upsample_conv(g: Graph, x: str, kernel: np.ndarray, taps: Taps) -> str:
    """As resampling.upsample_conv2d of a 1×1 kernel: [N, in, H, W] → [N, out, 2H, 2W].

    Which commutes with resampling.
    """
    channels, filter2 = kernel.shape[3], fir_kernel(taps, 2)
    y = conv(g, x, kernel_of(g, kernel), 1)
    pads = around(filter2, 2, before=1)
    return _up_fir(g, y, channels, filter2 * 4, pads)


def filtered_upsample(g: Graph, x: str, mirrored: str, size: int, channels: int, taps: Taps) -> str:
    """As resampling.upsample_conv2d: [N, in, H, W] → [N, out, 2H, 2W], out = channels.

    mirrored: from `transposed_kernel_of`, size × size: a transposed convolution mirrors, and here
    the kernel acts as it is stored.
    """
    kernel = fir_kernel(taps, 2)
    pads = around(kernel, 1 + size, before=1, after=1)
    y = g.op("ConvTranspose", x, mirrored, kernel_shape=[size, size], strides=[2, 2])
    return fir(g, y, channels, kernel * 4, pads)


# ---------------------------------------------------------------- normalisation, activations


def pixel_norm(g: Graph, x: str, epsilon: float = ops.EPSILON) -> str:
    """Unit mean square over channels: [N, C, …] → the same shape."""
    mean = g.op("ReduceMean", g.op("Mul", x, x), axes=[1], keepdims=1)
    return g.op("Div", x, g.op("Sqrt", g.op("Add", mean, g.constant(epsilon))))


def instance_norm(g: Graph, x: str, channels: int) -> str:
    """Zero mean and unit variance per image and channel, over H and W."""
    one, zero = g.constant(np.ones(channels)), g.constant(np.zeros(channels))
    return g.op("InstanceNormalization", x, one, zero, epsilon=ops.EPSILON)


def activation(g: Graph, x: str, name: str) -> str:
    """The function that the option nonlinearity of any family names, without a gain."""
    if name == "linear":
        return x
    if name in ("lrelu", "lrelu_progan"):
        return g.op("LeakyRelu", x, alpha=0.2)
    if name == "swish":
        return g.op("Mul", x, g.op("Sigmoid", x))
    kind = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu"}
    kind.update(selu="Selu", softplus="Softplus")
    return g.op(kind[name], x)


def clamped(g: Graph, x: str, bound: Optional[float]) -> str:
    """x within ±bound; None: as it is."""
    return x if bound is None else g.op("Clip", x, g.constant(-bound), g.constant(bound))


# ---------------------------------------------------------------- codes


def layer_code(g: Graph, w: str, layer: int) -> str:
    """w of one layer: [N, layers, width] → [N, width]."""
    return g.op("Gather", w, g.constant(layer, np.int64), axis=1)


def for_each_layer(g: Graph, w: str, layers: int) -> str:
    """[N, width] → [N, layers, width]."""
    return g.op("Tile", g.op("Unsqueeze", w, g.numbers(1)), g.numbers(1, layers, 1))


def minibatch(g: Graph, like: str) -> str:
    """How many images there are, [1] int64."""
    return g.op("Shape", like, start=0, end=1)


def repeated(g: Graph, x: str, like: str) -> str:
    """x [1, …] once for each image of `like`: [N, …]."""
    shape = g.op("Concat", minibatch(g, like), g.numbers(1, 1, 1), axis=0)
    return g.op("Expand", x, shape)


def faded(g: Graph, images: str, lower: Optional[str], alpha: Optional[float]) -> str:
    """images + (lower − images)·alpha; alpha None: images."""
    if alpha is None:
        return images
    difference = g.op("Mul", g.op("Sub", lower, images), g.constant(alpha))
    return g.op("Add", images, difference)
