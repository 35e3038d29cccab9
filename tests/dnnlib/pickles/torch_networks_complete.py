"""Pickles of whole networks of StyleGAN2-ADA's PyTorch version, as small as they get, of 8x8.

Assembled as in torch_networks_assembler.py, so that all of it may be changed.
"""

import math

import numpy as np

from tests.dnnlib.pickles.pickle_assembler import FALSE, NONE, TRUE, call, number, raw, real, text
from tests.dnnlib.pickles.torch_networks_assembler import (
    LOAD,
    networks,
    parameter,
    persistent,
    state,
    stream,
    tensor,
)

W, C = 3, 2  # widths of w and of the feature maps
ROOT2 = math.sqrt(2)


def array(*shape, value=None):
    """A tensor of its own storage."""
    values = np.arange(math.prod(shape)) / 8 if value is None else np.full(shape, value)
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    return tensor(call(LOAD, raw(stream(np.ravel(values)))), shape, strides)


def weights(*shape, **more):
    return {"weight": parameter(array(*shape)), **more}


def bias(size):
    return {"bias": parameter(array(size))}


def dense(outputs, inputs, activation="linear", rate=1.0):
    own = state(
        weights(outputs, inputs, **bias(outputs)),
        activation=text(activation),
        weight_gain=real(rate / math.sqrt(inputs)),
        bias_gain=real(rate),
    )
    return persistent("FullyConnectedLayer", own)


def filtered(**more):
    return {"resample_filter": array(2, 2, value=0.25), **more}


def conv(outputs, inputs, size, *, up=1, down=1, plain=False):
    activation, gain = ("linear", 1.0) if plain else ("lrelu", ROOT2)
    own = state(
        weights(outputs, inputs, size, size, **({} if plain else bias(outputs))),
        filtered(),
        activation=text(activation),
        up=number(up),
        down=number(down),
        padding=number(size // 2),
        conv_clamp=NONE if plain else number(256),
        weight_gain=real(1 / math.sqrt(inputs * size * size)),
        act_gain=real(gain),
    )
    return persistent("Conv2dLayer", own)


def styled(side, up):
    own = state(
        weights(C, C, 3, 3, **bias(C), noise_strength=parameter(array())),
        filtered(noise_const=array(side, side)),
        {"affine": dense(C, W)},
        activation=text("lrelu"),
        up=number(up),
        padding=number(1),
        conv_clamp=number(256),
        act_gain=real(ROOT2),
        use_noise=TRUE,
    )
    return persistent("SynthesisLayer", own)


def to_rgb():
    own = state(
        weights(3, C, 1, 1, **bias(3)),
        {},
        {"affine": dense(C, W)},
        conv_clamp=number(256),
        weight_gain=real(1 / math.sqrt(C)),
    )
    return persistent("ToRGBLayer", own)


def block(side):
    layers = {} if side == 4 else {"conv0": styled(8, 2)}
    own = state(
        {"const": parameter(array(C, 4, 4))} if side == 4 else {},
        filtered(),
        {**layers, "conv1": styled(side, 1), "torgb": to_rgb()},
        architecture=text("skip"),
        use_fp16=TRUE if side == 8 else FALSE,
        num_conv=number(1 if side == 4 else 2),
        num_torgb=number(1),
    )
    return persistent("SynthesisBlock", own)


def generator():
    blocks = {"b4": block(4), "b8": block(8)}
    synthesis = persistent("SynthesisNetwork", state(modules=blocks, num_ws=number(4)))
    sizes = dict(z_dim=number(2), c_dim=number(0), w_dim=number(W), num_ws=number(4))
    layers = {"fc0": dense(W, 2, "lrelu", 0.01)}
    mapping = state(
        {}, {"w_avg": array(W)}, layers, **sizes, num_layers=number(1), w_avg_beta=real(0.995)
    )
    modules = {"synthesis": synthesis, "mapping": persistent("MappingNetwork", mapping)}
    sizes.update(img_resolution=number(8), img_channels=number(3))
    return persistent("Generator", state(modules=modules, **sizes))


def discriminator():
    layers = {
        "fromrgb": conv(C, 3, 1),
        "conv0": conv(C, C, 3),
        "conv1": conv(C, C, 3, down=2),
        "skip": conv(C, C, 1, down=2, plain=True),
    }
    settings = dict(architecture=text("resnet"))
    first = state({}, filtered(), layers, use_fp16=TRUE, **settings)
    mbstd = state(group_size=number(4), num_channels=number(1))
    ends = {
        "mbstd": persistent("MinibatchStdLayer", mbstd),
        "conv": conv(C, C + 1, 3),
        "fc": dense(C, 16 * C, "lrelu"),
        "out": dense(1, C),
    }
    last = persistent("DiscriminatorEpilogue", state(modules=ends, cmap_dim=number(0), **settings))
    modules = {"b8": persistent("DiscriminatorBlock", first), "b4": last}
    sizes = dict(c_dim=number(0), img_resolution=number(8), img_channels=number(3))
    return persistent("Discriminator", state(modules=modules, **sizes))


def file():
    return networks(D=discriminator(), G_ema=generator())
