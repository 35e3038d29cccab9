"""Random weights for the feature networks, scaled so that activations neither fade nor grow."""

import numpy as np

from metrics.features import inception, vgg16


def inception_arrays(seed=0):
    """{canonical name: array}, kernels He et al.'s, variances 0.5 to 2."""
    draw = np.random.default_rng(seed)
    return {name: _value(draw, name, shape) for name, shape in inception.shapes().items()}


def vgg16_arrays(seed=0):
    """The trunk's {canonical name: array}."""
    draw = np.random.default_rng(seed)
    return {name: _value(draw, name, shape) for name, shape in vgg16.trunk_shapes().items()}


def narrow_vgg16_arrays(seed=0):
    """VGG16 with an eighth of its channels and 20 outputs of its dense layers, which it has."""
    draw, arrays, before = np.random.default_rng(seed), {}, 3
    for name, shape in vgg16.trunk_shapes().items():
        shape = (3, 3, before, shape[-1] // 8) if len(shape) == 4 else (shape[0] // 8,)
        arrays[name] = _value(draw, name, shape)
        before = shape[-1]
    for name, shape in (("fc1", (vgg16.SIDE**2 * before, 20)), ("fc2", (20, 20))):
        arrays[f"{name}/weight"] = _normal(draw, shape, (2 / shape[0]) ** 0.5)
        arrays[f"{name}/bias"] = _normal(draw, shape[1:], 0.2)
    return arrays


def _value(draw, name, shape):
    if len(shape) == 4:
        return _normal(draw, shape, (2 / np.prod(shape[:3])) ** 0.5)
    if name.endswith("variance"):
        return draw.uniform(0.5, 2, shape).astype(np.float32)
    return _normal(draw, shape, 0.2)


def _normal(draw, shape, scale):
    return draw.standard_normal(shape, np.float32) * np.float32(scale)
