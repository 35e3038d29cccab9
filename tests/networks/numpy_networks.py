"""The networks in float64 NumPy, written from their specification and nothing else.

Channels first, as the specification is; slow, plain, and without any of the product's code.
`arrays` are {legacy name: array} of one network, `opt` its options. Inputs and arrays may be
complex: Im f(x + i·h·v) / h is the exact derivative of f along v (the complex step).
"""

import numpy as np

EPSILON = 1e-8
SQRT2 = np.sqrt(2.0)


def double(x):
    """float64, or complex128 where it is complex."""
    return np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64)


class View:
    """Arrays below a prefix, in double precision."""

    def __init__(self, arrays, prefix=""):
        self.arrays, self.prefix = arrays, prefix

    def __getitem__(self, name):
        return double(self.arrays[self.prefix + name])

    def below(self, name):
        return View(self.arrays, self.prefix + name + "/")


def fmaps(opt, stage):
    return min(int(opt["fmap_base"] / 2 ** (stage * opt["fmap_decay"])), opt["fmap_max"])


# ---------------------------------------------------------------- layers


def runtime_weight(scope, opt, gain=SQRT2, lrmul=1.0):
    weight = scope["weight"]
    if opt["use_wscale"]:
        weight = weight * gain / np.sqrt(np.prod(weight.shape[:-1]))
    return weight * lrmul


def add_bias(x, bias):
    return x + bias.reshape([1, -1] + [1] * (x.ndim - 2))


def activate(x, nonlinearity):
    return np.where(x.real > 0, x, 0.2 * x if nonlinearity == "lrelu" else 0.0)


def conv(x, w, stride=1):
    """`SAME` convolution as TensorFlow pads it: the smaller half of the zeros first."""
    kernel, size = w.shape[0], x.shape[2]
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    before = total // 2
    x = np.pad(x, [(0, 0), (0, 0), (before, total - before), (before, total - before)])
    y = 0.0
    for i in range(kernel):
        for j in range(kernel):
            window = x[:, :, i : i + stride * out : stride, j : j + stride * out : stride]
            y = y + np.einsum("nchw,cd->ndhw", window[:, :, :out, :out], w[i, j])
    return y


def kernel4(w):
    """K4: the sum of the 3x3 kernel at its four one-pixel offsets."""
    result = np.zeros([4, 4, *w.shape[2:]], w.dtype)
    for i in range(2):
        for j in range(2):
            result[i : i + 3, j : j + 3] += w
    return result


def transposed_conv(x, w):
    """Every input pixel paints the 4x4 kernel, two pixels apart, one pixel cut off at the rim."""
    n, _, size, _ = x.shape
    y = np.zeros([n, w.shape[3], 2 * size + 2, 2 * size + 2], np.result_type(x, w))
    for i in range(4):
        for j in range(4):
            painted = np.einsum("nchw,cd->ndhw", x, w[i, j])
            y[:, :, i : i + 2 * size : 2, j : j + 2 * size : 2] += painted
    return y[:, :, 1:-1, 1:-1]


def upscale(x, factor=2):
    return x.repeat(factor, axis=2).repeat(factor, axis=3)


def downscale(x, factor=2):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // factor, factor, w // factor, factor).mean(axis=(3, 5))


def blur(x, taps):
    if not taps:
        return x
    kernel = np.outer(taps, taps) / np.sum(taps) ** 2
    eye = np.eye(x.shape[1])
    return conv(x, kernel[:, :, None, None] * eye)


def is_fused(opt, resolution):
    return resolution >= 128 if opt["fused_scale"] == "auto" else opt["fused_scale"]


def pixel_norm(x):
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + EPSILON)


def instance_norm(x):
    x = x - x.mean(axis=(2, 3), keepdims=True)
    return x / np.sqrt((x**2).mean(axis=(2, 3), keepdims=True) + EPSILON)


def minibatch_stddev(x, group_size, features):
    """Image n belongs to the group of the images with the same n mod M."""
    n, c, h, w = x.shape
    groups = n // min(group_size, n)
    extra = np.zeros([n, features, h, w], x.dtype)
    for m in range(groups):
        members = x[m::groups]
        variance = ((members - members.mean(axis=0)) ** 2).mean(axis=0)
        deviation = np.sqrt(variance + EPSILON)  # [C, H, W]
        for f in range(features):
            part = deviation[f * c // features : (f + 1) * c // features]
            extra[m::groups, f] = part.mean()
    return np.concatenate([x, extra], axis=1)


# ---------------------------------------------------------------- generator


def mapping(arrays, opt, z, labels, prefix="G_mapping/"):
    """[N, dlatent_size], before the broadcast."""
    view, x = View(arrays, prefix), double(z)
    if opt["label_size"]:
        x = np.concatenate([x, np.asarray(labels) @ view["LabelConcat/weight"]], axis=1)
    if opt["normalize_latents"]:
        x = pixel_norm(x)
    lrmul = opt["mapping_lrmul"]
    for index in range(opt["mapping_layers"]):
        scope = view.below(f"Dense{index}")
        x = x @ runtime_weight(scope, opt, lrmul=lrmul) + scope["bias"] * lrmul
        x = activate(x, opt["mapping_nonlinearity"])
    return x


def epilogue(x, scope, opt, w, noise):
    if opt["use_noise"] and noise is not None:
        x = x + scope["Noise/weight"][None, :, None, None] * noise
    x = activate(add_bias(x, scope["bias"]), opt["nonlinearity"])
    if opt["use_pixel_norm"]:
        x = pixel_norm(x)
    if opt["use_instance_norm"]:
        x = instance_norm(x)
    if opt["use_styles"]:
        style = scope.below("StyleMod")
        y = w @ runtime_weight(style, opt, gain=1.0) + style["bias"]
        scale, shift = y[:, : x.shape[1], None, None], y[:, x.shape[1] :, None, None]
        x = x * (scale + 1) + shift
    return x


def synthesis(arrays, opt, w, lod=0.0, noise=None, prefix="G_synthesis/"):
    """Images [N, C, R, R]; noise: a function of the layer's index, by default the stored one."""
    view, w = View(arrays, prefix), double(w)
    if noise is None and opt["use_noise"]:
        noise = lambda index: view[f"noise{index}"]  # noqa: E731
    noise = noise if opt["use_noise"] else (lambda index: None)
    style = lambda index: w[:, index] if opt["use_styles"] else None  # noqa: E731
    log2 = int(np.log2(opt["resolution"]))
    level, alpha = int(lod), lod - int(lod)

    n, first = len(w), fmaps(opt, 1)
    if opt["const_input_layer"]:
        scope = view.below("4x4/Const")
        x = np.repeat(scope["const"], n, axis=0)
    else:
        scope = view.below("4x4/Dense")
        x = (w[:, 0] @ runtime_weight(scope, opt, gain=SQRT2 / 4)).reshape(n, first, 4, 4)
    x = epilogue(x, scope, opt, style(0), noise(0))
    scope = view.below("4x4/Conv")
    x = epilogue(conv(x, runtime_weight(scope, opt)), scope, opt, style(1), noise(1))

    def to_rgb(x, lod):
        scope = view.below(f"ToRGB_lod{lod}")
        return add_bias(conv(x, runtime_weight(scope, opt, gain=1.0)), scope["bias"])

    lower = None
    for r in range(3, log2 - level + 1):
        if r == log2 - level and alpha:
            lower = upscale(to_rgb(x, level + 1))
        scope = view.below(f"{2**r}x{2**r}/Conv0_up")
        weight = runtime_weight(scope, opt)
        if is_fused(opt, 2**r):
            x = transposed_conv(x, kernel4(weight))
        else:
            x = conv(upscale(x), weight)
        x = blur(x, opt["blur_filter"])
        x = epilogue(x, scope, opt, style(2 * r - 4), noise(2 * r - 4))
        scope = view.below(f"{2**r}x{2**r}/Conv1")
        x = conv(x, runtime_weight(scope, opt))
        x = epilogue(x, scope, opt, style(2 * r - 3), noise(2 * r - 3))
    images = to_rgb(x, level)
    if alpha:
        images = (1 - alpha) * images + alpha * lower
    return upscale(images, 2**level)


def num_layers(opt):
    return 2 * int(np.log2(opt["resolution"])) - 2 if opt["use_styles"] else 1


def truncate(arrays, w, psi, cutoff):
    """w [N, layers, D]."""
    if psi is None or cutoff is None:
        return w
    average, result = double(arrays["dlatent_avg"]), w.copy()
    for layer in range(min(max(cutoff, 0), w.shape[1])):
        result[:, layer] = average + psi * (w[:, layer] - average)
    return result


def generate(arrays, opt, z, labels, lod=0.0, psi=None, cutoff=None):
    w = mapping(arrays, opt, z, labels)[:, None].repeat(num_layers(opt), axis=1)
    return synthesis(arrays, opt, truncate(arrays, w, psi, cutoff), lod)


# ---------------------------------------------------------------- discriminator


def scores(arrays, opt, images, labels, lod=0.0):
    """[N, 1] of full-size images [N, C, R, R]."""
    view = View(arrays)
    log2 = int(np.log2(opt["resolution"]))
    level, alpha = int(lod), lod - int(lod)
    images = downscale(double(images), 2**level)

    def layer(x, scope, weight=None):
        weight = runtime_weight(view.below(scope), opt) if weight is None else weight
        return activate(add_bias(conv(x, weight), view[f"{scope}/bias"]), opt["nonlinearity"])

    x = layer(images, f"FromRGB_lod{level}")
    for r in range(log2 - level, 2, -1):
        side = f"{2**r}x{2**r}"
        x = blur(layer(x, f"{side}/Conv0"), opt["blur_filter"])
        scope = view.below(f"{side}/Conv1_down")
        weight = runtime_weight(scope, opt)
        if is_fused(opt, 2**r):
            x = conv(x, kernel4(weight) / 4, stride=2)
        else:
            x = downscale(conv(x, weight))
        x = activate(add_bias(x, scope["bias"]), opt["nonlinearity"])
        if r == log2 - level and alpha:
            lower = layer(downscale(images), f"FromRGB_lod{level + 1}")
            x = (1 - alpha) * x + alpha * lower
    if opt["mbstd_group_size"] > 1:
        x = minibatch_stddev(x, opt["mbstd_group_size"], opt["mbstd_num_features"])
    x = layer(x, "4x4/Conv").reshape(len(images), -1)
    scope = view.below("4x4/Dense0")
    x = activate(x @ runtime_weight(scope, opt) + scope["bias"], opt["nonlinearity"])
    scope = view.below("4x4/Dense1")
    x = x @ runtime_weight(scope, opt, gain=1.0) + scope["bias"]
    if opt["label_size"]:
        x = (x * labels).sum(axis=1, keepdims=True)
    return x
