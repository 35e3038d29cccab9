"""Progressive GAN in float64 NumPy, written from a description of it alone.

Conventions as in numpy_networks.py.
"""

import numpy as np

from tests.networks.numpy_networks import (
    SQRT2,
    View,
    activate,
    add_bias,
    conv,
    double,
    downscale,
    fmaps,
    kernel4,
    minibatch_stddev,
    runtime_weight,
    transposed_conv,
    upscale,
)


def generate(arrays, opt, z, labels, lod=0.0):
    """Images [N, C, R, R]."""
    view, log2 = View(arrays), int(np.log2(opt["resolution"]))
    level, alpha = int(lod), lod - int(lod)

    def normalize(x):
        return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + opt["pixelnorm_epsilon"])

    def epilogue(x, scope):
        x = activate(add_bias(x, scope["bias"]), "lrelu" if opt["use_leakyrelu"] else "relu")
        return normalize(x) if opt["use_pixelnorm"] else x

    def to_rgb(x, lod):
        scope = view.below(f"ToRGB_lod{lod}")
        return add_bias(conv(x, runtime_weight(scope, opt, gain=1.0)), scope["bias"])

    x = np.concatenate([double(z), double(labels)], axis=1)
    if opt["normalize_latents"]:
        x = normalize(x)
    scope = view.below("4x4/Dense")
    x = x @ runtime_weight(scope, opt, gain=SQRT2 / 4)
    x = epilogue(x.reshape(len(x), fmaps(opt, 1), 4, 4), scope)
    scope = view.below("4x4/Conv")
    x, lower = epilogue(conv(x, runtime_weight(scope, opt)), scope), None
    for r in range(3, log2 - level + 1):
        if r == log2 - level and alpha:
            lower = upscale(to_rgb(x, level + 1))
        if opt["fused_scale"]:
            scope = view.below(f"{2**r}x{2**r}/Conv0_up")
            x = transposed_conv(x, kernel4(runtime_weight(scope, opt)))
        else:
            scope = view.below(f"{2**r}x{2**r}/Conv0")
            x = conv(upscale(x), runtime_weight(scope, opt))
        x = epilogue(x, scope)
        scope = view.below(f"{2**r}x{2**r}/Conv1")
        x = epilogue(conv(x, runtime_weight(scope, opt)), scope)
    images = to_rgb(x, level)
    if alpha:
        images = (1 - alpha) * images + alpha * lower
    return upscale(images, 2**level)


def scores(arrays, opt, images, lod=0.0):
    """[N, 1] of full-size images [N, C, R, R]."""
    view, log2 = View(arrays), int(np.log2(opt["resolution"]))
    level, alpha = int(lod), lod - int(lod)
    images = downscale(double(images), 2**level)

    def layer(x, scope):
        scope = view.below(scope)
        return activate(add_bias(conv(x, runtime_weight(scope, opt)), scope["bias"]), "lrelu")

    x = layer(images, f"FromRGB_lod{level}")
    for r in range(log2 - level, 2, -1):
        side = f"{2**r}x{2**r}"
        x = layer(x, f"{side}/Conv0")
        if opt["fused_scale"]:
            scope = view.below(f"{side}/Conv1_down")
            x = conv(x, kernel4(runtime_weight(scope, opt)) / 4, stride=2)
            x = activate(add_bias(x, scope["bias"]), "lrelu")
        else:
            x = downscale(layer(x, f"{side}/Conv1"))  # the activation first
        if r == log2 - level and alpha:
            x = (1 - alpha) * x + alpha * layer(downscale(images), f"FromRGB_lod{level + 1}")
    if opt["mbstd_group_size"] > 1:
        x = minibatch_stddev(x, opt["mbstd_group_size"], opt["mbstd_num_features"])
    x = layer(x, "4x4/Conv").reshape(len(images), -1)
    scope = view.below("4x4/Dense0")
    x = activate(x @ runtime_weight(scope, opt) + scope["bias"], "lrelu")
    scope = view.below("4x4/Dense1")
    return x @ runtime_weight(scope, opt, gain=1.0) + scope["bias"]
