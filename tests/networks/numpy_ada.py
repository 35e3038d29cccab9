"""StyleGAN2-ADA's networks in float64 NumPy, written from their specification and nothing else.

Channels first. `arrays` are {TensorFlow's name: array} of one network, `opt` its options.
"""

import numpy as np

from tests.networks.numpy_networks import View, conv, minibatch_stddev, pixel_norm

SQRT2 = np.sqrt(2.0)


def fmaps(opt, stage):
    wanted = int(opt["fmap_base"] / 2 ** (stage * opt["fmap_decay"]))
    return max(min(wanted, opt["fmap_max"]), opt["fmap_min"])


# ---------------------------------------------------------------- operations


def convolve(x, f):
    """True convolution of each channel, without padding."""
    size, (rows, columns) = x.shape[2:], f.shape
    high, wide = size[0] - rows + 1, size[1] - columns + 1
    parts = (
        f[rows - 1 - i, columns - 1 - j] * x[:, :, i : i + high, j : j + wide]
        for i in range(rows)
        for j in range(columns)
    )
    return sum(parts)


def pad(x, before, after):
    x = np.pad(x, [(0, 0), (0, 0), *[(max(before, 0), max(after, 0))] * 2])
    first, last = max(-before, 0), x.shape[2] - max(-after, 0)
    return x[:, :, first:last, first:last]


def spread(x):
    """A zero after each pixel."""
    n, c, h, w = x.shape
    y = np.zeros([n, c, 2 * h, 2 * w])
    y[:, :, ::2, ::2] = x
    return y


def kernel_of(opt):
    taps = np.float64(opt["resample_kernel"])
    return np.outer(taps, taps) / taps.sum() ** 2


def upsample(x, f):
    n = len(f)
    return convolve(pad(spread(x), (n + 1) // 2, (n - 2) // 2), 4 * f)


def downsample(x, f):
    n = len(f)
    return convolve(pad(x, (n - 1) // 2, (n - 2) // 2), f)[:, :, ::2, ::2]


def up_conv(x, w, f):
    if w.shape[0] == 1:
        return upsample(conv(x, w), f)
    n, wide = len(f), spread(x)[:, :, :-1, :-1]
    y = conv(pad(wide, 2, 2), w)[:, :, 1:-1, 1:-1]
    return convolve(pad(y, (n - 1) // 2, (n - 2) // 2), 4 * f)


def down_conv(x, w, f):
    if w.shape[0] == 1:
        return conv(downsample(x, f), w)
    n = len(f)
    x = convolve(pad(x, (n + 1) // 2, n // 2), f)
    return conv(x, w)[:, :, 1:-1:2, 1:-1:2]


def weight(scope, lrmul=1.0):
    w = scope["weight"]
    return w * lrmul / np.sqrt(np.prod(w.shape[:-1]))


def activate(x, bias, act, clamp=None):
    x = x + bias.reshape([1, -1] + [1] * (x.ndim - 2))
    slope = {"lrelu": 0.2, "relu": 0.0, "linear": 1.0}[act]
    y = np.where(x > 0, x, slope * x) * (1.0 if act == "linear" else SQRT2)
    return y if clamp is None else np.clip(y, -clamp, clamp)


def dense(scope, x, act, lrmul=1.0):
    return activate(x @ weight(scope, lrmul), scope["bias"] * lrmul, act)


# ---------------------------------------------------------------- generator


def mapping(arrays, opt, z, labels):
    view, x = View(arrays, "G_mapping/"), pixel_norm(np.float64(z))
    if opt["label_size"]:
        embedded = dense(view.below("LabelEmbed"), np.float64(labels), "linear")
        x = np.concatenate([x, pixel_norm(embedded)], axis=1)
    for index in range(opt["mapping_layers"]):
        x = dense(view.below(f"Dense{index}"), x, opt["mapping_nonlinearity"], opt["mapping_lrmul"])
    return x


def modulated(scope, x, w, convolution, demodulate=True):
    style = w @ scope["mod_weight"] / np.sqrt(w.shape[1]) + scope["mod_bias"] + 1
    kernel = weight(scope)
    y = convolution(x * style[:, :, None, None], kernel)
    if demodulate:
        squares = np.einsum("ni,hwio->no", style**2, kernel**2)
        y = y / np.sqrt(squares + 1e-8)[:, :, None, None]
    return y


def synthesis(arrays, opt, w):
    """w [N, layers, D] → images, with the network's own noise."""
    view, f = View(arrays, "G_synthesis/"), kernel_of(opt)
    x = np.repeat(view["4x4/Const/const"], len(w), axis=0)
    image = None

    def layer(x, name, index, convolution):
        scope = view.below(name)
        x = modulated(scope, x, w[:, index], convolution)
        if opt["use_noise"]:
            x = x + view[f"noise{index}"] * scope["noise_strength"]
        return activate(x, scope["bias"], opt["nonlinearity"], opt["conv_clamp"])

    last = opt["resolution"].bit_length() - 1
    for r in range(2, last + 1):
        side, start = f"{2**r}x{2**r}", x
        if r == 2:
            x = layer(x, "4x4/Conv", 0, conv)
        else:
            x = layer(x, f"{side}/Conv0_up", 2 * r - 5, lambda x, w: up_conv(x, w, f))
            x = layer(x, f"{side}/Conv1", 2 * r - 4, conv)
            if opt["architecture"] == "resnet":
                skipped = up_conv(start, weight(view.below(f"{side}/Skip")), f)
                x = (x + skipped) / SQRT2
        if r == last or opt["architecture"] == "skip":
            scope = view.below(f"{side}/ToRGB")
            colours = modulated(scope, x, w[:, 2 * r - 3], conv, demodulate=False)
            colours = activate(colours, scope["bias"], "linear", opt["conv_clamp"])
            image = colours if image is None else upsample(image, f) + colours
    return image


# ---------------------------------------------------------------- discriminator


def discriminator(arrays, opt, images, labels):
    view, f, act = View(arrays), kernel_of(opt), opt["nonlinearity"]
    final, clamp = opt["final_nonlinearity"] or act, opt["conv_clamp"]

    def layer(x, name, convolution=conv, act=act, clamp=clamp):
        scope = view.below(name)
        return activate(convolution(x, weight(scope)), scope["bias"], act, clamp)

    x, image = 0.0, np.float64(images)
    for r in range(opt["resolution"].bit_length() - 1, 2, -1):
        side = f"{2**r}x{2**r}"
        if image is not None:
            x = x + layer(image, f"{side}/FromRGB")
        image = downsample(image, f) if opt["architecture"] == "skip" else None
        start = x
        x = layer(x, f"{side}/Conv0")
        x = layer(x, f"{side}/Conv1_down", lambda x, w: down_conv(x, w, f))
        if opt["architecture"] == "resnet":
            x = (x + down_conv(start, weight(view.below(f"{side}/Skip")), f)) / SQRT2
    if image is not None:
        bounds = clamp if opt["clamp_last_from_rgb"] else None
        x = x + layer(image, "4x4/FromRGB", act=final, clamp=bounds)
    if opt["mbstd_num_features"]:
        group = opt["mbstd_group_size"] or len(x)
        x = minibatch_stddev(x, group, opt["mbstd_num_features"])
    x = layer(x, "4x4/Conv", act=final)
    x = dense(view.below("4x4/Dense0"), x.reshape(len(x), -1), final)
    outputs = dense(view.below("Output"), x, "linear")
    if not opt["label_size"] or opt["cmap_dim"] == 0:
        return outputs
    mapped = pixel_norm(dense(view.below("LabelEmbed"), np.float64(labels), "linear"))
    for index in range(opt["mapping_layers"]):
        scope = view.below(f"Mapping{index}")
        mapped = dense(scope, mapped, opt["mapping_nonlinearity"], opt["mapping_lrmul"])
    return (outputs * mapped).sum(axis=1, keepdims=True) / np.sqrt(outputs.shape[1])
