"""The operations of the feature networks in NumPy and float64, channels last."""

import numpy as np

EPSILON = 1e-3  # of Inception's batch normalisation


def windows(x, height, width, stride, same, fill):
    """[N, H, W, C] → [N, H', W', C, height, width]; `same` pads both sides alike with `fill`."""
    if same:
        pad = [(0, 0), (height // 2,) * 2, (width // 2,) * 2, (0, 0)]
        x = np.pad(np.float64(x), pad, constant_values=fill)
    found = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    return found[:, ::stride, ::stride]


def convolve(x, kernel, stride=1, same=True):
    found = windows(np.float64(x), *kernel.shape[:2], stride, same, 0)
    return np.einsum("nyxchw,hwco->nyxo", found, np.float64(kernel), optimize=True)


def relu(x):
    return np.maximum(x, 0)


def average_pool(x):
    """3×3, of the pixels inside the image."""
    return np.nanmean(windows(x, 3, 3, 1, True, np.nan), axis=(-2, -1))


def max_pool(x, size, stride=1, same=False):
    return windows(x, size, size, stride, same, -np.inf).max(axis=(-2, -1))


def inception_layer(arrays, scope, x, stride=1, same=True):
    """Convolution, batch normalisation, ReLU."""
    x = convolve(x, arrays[f"{scope}/conv2d_params"], stride, same)
    beta, mean, variance = (
        np.float64(arrays[f"{scope}/batchnorm/{name}"])
        for name in ("beta", "moving_mean", "moving_variance")
    )
    return relu((x - mean) / np.sqrt(variance + EPSILON) + beta)


def legacy_resize(images, size):
    """Bilinear as in TensorFlow 1: row y comes from y·H/size."""
    x = np.float64(images)
    for axis in (1, 2):
        count = x.shape[axis]
        place = np.arange(size) * count / size
        low = np.floor(place).astype(int)
        part = (place - low).reshape([-1 if a == axis else 1 for a in range(4)])
        high = np.minimum(low + 1, count - 1)
        x = x.take(low, axis) * (1 - part) + x.take(high, axis) * part
    return x


def vgg16(arrays, x, blocks=(2, 2, 3, 3, 3)):
    """Outputs of the blocks, each before its maximum, of images in 0…255."""
    x = (np.float64(x) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    outputs = []
    for block, layers in enumerate(blocks, start=1):
        if block > 1:
            x = max_pool(x, 2, 2)
        for layer in range(1, layers + 1):
            name = f"conv{block}_{layer}"
            x = relu(convolve(x, arrays[f"{name}/weight"]) + arrays[f"{name}/bias"])
        outputs.append(x)
    return outputs


def second_dense(arrays, images):
    """VGG16's second dense layer after its ReLU."""
    x = max_pool(vgg16(arrays, legacy_resize(images, 224))[-1], 2, 2)
    x = x.reshape(len(x), -1)
    for name in ("fc1", "fc2"):
        x = relu(x @ np.float64(arrays[f"{name}/weight"]) + arrays[f"{name}/bias"])
    return x


def lpips(arrays, images0, images1):
    """LPIPS v0.1 over VGG16, [N]."""
    total = 0
    for block, x in enumerate(vgg16(arrays, np.concatenate([images0, images1]))):
        unit = x / (np.sqrt((x**2).sum(axis=-1, keepdims=True)) + 1e-10)
        first, second = np.split(unit, 2)
        weighted = (first - second) ** 2 @ np.float64(arrays[f"lin{block}/weight"])
        total = total + weighted.mean(axis=(1, 2))
    return total
