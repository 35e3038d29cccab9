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


def conv(outputs, inputs, size, *, up=1, down=1, plain=False, activation="lrelu", clamp=256):
    activation, gain = ("linear", 1.0) if plain else (activation, ROOT2)
    own = state(
        weights(outputs, inputs, size, size, **({} if plain else bias(outputs))),
        filtered(),
        activation=text(activation),
        up=number(up),
        down=number(down),
        padding=number(size // 2),
        conv_clamp=NONE if plain or clamp is None else number(clamp),
        weight_gain=real(1 / math.sqrt(inputs * size * size)),
        act_gain=real(gain),
    )
    return persistent("Conv2dLayer", own)


def styled(side, up, noise):
    parameters, buffers = weights(C, C, 3, 3, **bias(C)), filtered()
    if noise:
        parameters["noise_strength"] = parameter(array())
        buffers["noise_const"] = array(side, side)
    own = state(
        parameters,
        buffers,
        {"affine": dense(C, W)},
        activation=text("lrelu"),
        up=number(up),
        padding=number(1),
        conv_clamp=number(256),
        act_gain=real(ROOT2),
        use_noise=TRUE if noise else FALSE,
    )
    return persistent("SynthesisLayer", own)


def to_rgb(channels):
    own = state(
        weights(channels, C, 1, 1, **bias(channels)),
        {},
        {"affine": dense(C, W)},
        conv_clamp=number(256),
        weight_gain=real(1 / math.sqrt(C)),
    )
    return persistent("ToRGBLayer", own)


def block(side, architecture, channels, noise):
    layers = {} if side == 4 else {"conv0": styled(8, 2, noise)}
    layers["conv1"] = styled(side, 1, noise)
    colour = architecture == "skip" or side == 8
    if colour:
        layers["torgb"] = to_rgb(channels)
    if architecture == "resnet" and side == 8:
        layers["skip"] = conv(C, C, 1, up=2, plain=True)
    own = state(
        {"const": parameter(array(C, 4, 4))} if side == 4 else {},
        filtered(),
        layers,
        architecture=text(architecture),
        use_fp16=TRUE if side == 8 else FALSE,
        num_conv=number(1 if side == 4 else 2),
        num_torgb=number(int(colour)),
    )
    return persistent("SynthesisBlock", own)


def mapped(z, labels, width, layers, hidden, embed):
    """The layers of a mapping network."""
    made = {"embed": dense(embed or width, labels)} if labels else {}
    inputs = z + ((embed or width) if labels else 0)
    for index in range(layers):
        outputs = width if index == layers - 1 else hidden or width
        made[f"fc{index}"] = dense(outputs, inputs, "lrelu", 0.01)
        inputs = outputs
    return made


def generator(
    architecture="skip", labels=0, channels=3, layers=1, hidden=None, embed=None, noise=True
):
    blocks = {f"b{side}": block(side, architecture, channels, noise) for side in (4, 8)}
    synthesis = persistent("SynthesisNetwork", state(modules=blocks, num_ws=number(4)))
    sizes = dict(z_dim=number(2), c_dim=number(labels), w_dim=number(W), num_ws=number(4))
    mapping = state(
        {},
        {"w_avg": array(W)},
        mapped(2, labels, W, layers, hidden, embed),
        **sizes,
        num_layers=number(layers),
        w_avg_beta=real(0.995),
    )
    modules = {"synthesis": synthesis, "mapping": persistent("MappingNetwork", mapping)}
    sizes.update(img_resolution=number(8), img_channels=number(channels))
    return persistent("Generator", state(modules=modules, **sizes))


def discriminator(
    architecture="resnet",
    labels=0,
    channels=3,
    layers=1,
    hidden=None,
    embed=None,
    cmap=C,
    group=4,
    features=1,
    final="lrelu",
):
    blocks = {
        "fromrgb": conv(C, channels, 1),
        "conv0": conv(C, C, 3),
        "conv1": conv(C, C, 3, down=2),
    }
    if architecture == "resnet":
        blocks["skip"] = conv(C, C, 1, down=2, plain=True)
    settings = dict(architecture=text(architecture))
    first = state({}, filtered(), blocks, use_fp16=TRUE, **settings)
    ends = {}
    if architecture == "skip":
        ends["fromrgb"] = conv(C, channels, 1, activation=final, clamp=None)
    if features:
        size = NONE if group is None else number(group)
        mbstd = state(group_size=size, num_channels=number(features))
        ends["mbstd"] = persistent("MinibatchStdLayer", mbstd)
    ends["conv"] = conv(C, C + features, 3, activation=final)
    ends["fc"] = dense(C, 16 * C, final)
    ends["out"] = dense(cmap if labels else 1, C)
    width = number(cmap if labels else 0)
    last = persistent("DiscriminatorEpilogue", state(modules=ends, cmap_dim=width, **settings))
    modules = {"b8": persistent("DiscriminatorBlock", first)}
    if labels:
        made = mapped(0, labels, cmap, layers, hidden, embed)
        modules["mapping"] = persistent(
            "MappingNetwork", state(modules=made, num_layers=number(layers), w_avg_beta=NONE)
        )
    modules["b4"] = last
    sizes = dict(c_dim=number(labels), img_resolution=number(8), img_channels=number(channels))
    return persistent("Discriminator", state(modules=modules, **sizes))


def file(**entries):
    return networks(**(entries or {"D": discriminator(), "G_ema": generator()}))
