"""PyTorch's networks by TensorFlow's names and options, against the recorded tables."""

import dataclasses

import numpy as np
import pytest

from dnnlib.pickles import tf_networks, torch_networks
from dnnlib.pickles.torch_modules import TorchModule
from networks import torch_names, torch_options
from tests import golden

FOLDER = "ada/torch_pickles"
TAGS = {"ta": "ta", "tb": "tb", "te": "te", "te_protocol4": "te", "ts": "ts"}
TAGS["va_converted"] = "va_converted"
# Recorded beside the options: what follows from them, and names of other meaning.
FOLLOWING = {"num_layers", "feature_maps", "blocks_in_fp16", "frozen_layers"}
FOLLOWING |= {"resample_kernel_normalised"}


@pytest.fixture(scope="module")
def read():
    files = {}

    def one(tag):
        if tag not in files:
            data = golden.path(f"{FOLDER}/{tag}.pkl").read_bytes()
            files[tag] = torch_networks.read(data).networks
        return files[tag]

    return one


@pytest.mark.parametrize("tag", TAGS)
def test_every_tensor_has_its_name_shape_and_operation(tag, read):
    meta = golden.load(f"{FOLDER}/{TAGS[tag]}_meta.json")
    for role, network in read(tag).items():
        made = torch_names.translate(network)
        rows = meta[role[0]]["tensors"]
        for row in rows:
            renamed = torch_names.tensorflow_name(network.class_name, row["name"])
            assert renamed == (None if row["tf"] is None else (row["tf"], row["op"]))
        assert list(made.variables) == [row["tf"] for row in rows if row["tf"]]
        tensors = network.tensors()
        for row in rows:
            if row["tf"]:
                stored, made_of_it = tensors[row["name"]], made.variables[row["tf"]]
                back = torch_names.BACKWARD[row["op"]](made_of_it)
                assert back.shape == stored.shape
                close = {"atol": 2e-7} if row["op"] == "minus 1" else {"rtol": 0, "atol": 0}
                np.testing.assert_allclose(back, stored, **close)
                assert made_of_it.dtype == np.float32


@pytest.mark.parametrize("tag", TAGS)
def test_options_are_the_recorded_ones(tag, read):
    meta = golden.load(f"{FOLDER}/{TAGS[tag]}_meta.json")
    for role, network in read(tag).items():
        made = torch_names.translate(network)
        recorded, options = meta[role[0]]["tf_options"], made.options
        assert (made.family, made.func_name) == ("stylegan2", f"{role[0]}_ada")
        for key, value in recorded.items():
            if key not in FOLLOWING:
                assert options.get(key) == value, key
        assert options["num_fp16_res"] == recorded["blocks_in_fp16"]
        assert made.frozen_layers == recorded.get("frozen_layers", 0)
        kernel = np.array(options["resample_kernel"])
        np.testing.assert_allclose(
            kernel / kernel.sum(), meta["G"]["tf_options"]["resample_kernel_normalised"], 1e-6
        )
        assert all(type(tap) is int for tap in options["resample_kernel"])
        for res, fmaps in recorded["feature_maps"].items():
            made_fmaps = min(int(2 * options["fmap_base"] / int(res)), options["fmap_max"])
            assert made_fmaps == fmaps


def test_a_converted_file_has_the_values_of_the_tensorflow_one(read):
    data = golden.path("ada/ada_tf_pickles/va.pkl").read_bytes()
    networks = dict(zip(("G", "D", "G_ema"), tf_networks.read(data).networks))
    for role, network in read("va_converted").items():
        made, wanted = torch_names.translate(network).variables, networks[role].all_variables()
        assert set(made) == set(wanted)
        for name, array in wanted.items():
            close = 1.2e-7 if name.endswith("mod_bias") else 0
            np.testing.assert_allclose(made[name], array, rtol=0, atol=close, err_msg=name)


# ---------------------------------------------------------------- what cannot be carried over


def changed(network, path, **parts):
    """The network with other attributes (or parameters=, buffers=, modules=) of one module."""
    fields = {}
    for kind in ("parameters", "buffers", "modules"):
        if kind in parts:
            fields[kind] = parts.pop(kind)
    name, _, rest = path.partition(".")
    if not name:
        return dataclasses.replace(network, attributes={**network.attributes, **parts}, **fields)
    inside = changed(network.modules[name], rest, **parts, **fields)
    return dataclasses.replace(network, modules={**network.modules, name: inside})


# fmt: off
GENERATOR = {
    "img_resolution": ("", dict(img_resolution=48), "img_resolution=48, expected a power of two"),
    "no resolution": ("", dict(img_resolution=None), "img_resolution=None, expected a whole"),
    "more resolution": ("", dict(img_resolution=64), "it has no b64"),
    "architecture": ("synthesis.b8", dict(architecture="orig"), "architecture='skip'|must agree"),
    "unknown": ("synthesis.b4", dict(architecture="x"), "architecture='skip', expected 'x' as in"),
    "clamp": ("synthesis.b16.conv1", dict(conv_clamp=255), "conv_clamp=255, expected 256 as in"),
    "clamp of ToRGB": ("synthesis.b8.torgb", dict(conv_clamp=None), "conv_clamp=None, expected"),
    "activation": ("synthesis.b16.conv1", dict(activation="relu"), "activation='relu', expected"),
    "noise": ("synthesis.b16.conv1", dict(use_noise=False), "use_noise=False, expected True"),
    "filter": ("synthesis.b16", dict(buffers={"resample_filter": np.ones((4, 4)) / 16}),
               "resample_filter: blocks have different ones"),
    "no filter": ("synthesis.b16", dict(buffers={}), "resample_filter: blocks have different"),
    "num_ws": ("", dict(num_ws=9), "num_ws=9, expected 8"),
    "mapping": ("mapping", dict(num_layers=3), "mapping is not as .* it has no fc2"),
    "layers": ("mapping", dict(num_layers=2**40), "num_layers=1099511627776, expected 3 at most"),
    "lr": ("mapping.fc1", dict(bias_gain=0.02), "bias_gain=0.02, expected 0.01 as in another"),
    "lr_multiplier": ("mapping.fc0", dict(weight_gain=1.0), "weight_gain of FullyConnectedLayer=1"),
    "embed": ("mapping.embed", dict(activation="relu"), "activation of mapping.embed='relu'"),
    "labels": ("mapping", dict(c_dim=3), "mapping.c_dim=3, expected 4"),
    "up": ("synthesis.b16.conv0", dict(up=1), "up of conv0=1, expected 2"),
    "gain": ("synthesis.b16.conv0", dict(act_gain=1.0), "act_gain=1.0, expected 1.41421"),
    "padding": ("synthesis.b16.conv0", dict(padding=0), "padding=0, expected 1"),
    "affine": ("synthesis.b16.conv0.affine", dict(bias_gain=2), "bias_gain of affine=2"),
    "torgb": ("synthesis.b16", dict(num_torgb=0), "num_torgb=0, expected 1"),
    "a module": ("synthesis.b16.conv0", dict(modules={}), "a SynthesisLayer without 'affine'"),
    "no weight": ("synthesis.b16.conv1", dict(parameters={}), "a SynthesisLayer without weights"),
    "name": ("mapping", dict(buffers={"w_std": np.ones(3)}), "tensor 'mapping.w_std' is none of"),
    "shape": ("mapping.fc0", dict(parameters={"weight": np.ones(3)}), "an impossible shape, .3,."),
}
DISCRIMINATOR = {
    "architecture": ("b4", dict(architecture="skip"), "architecture='skip', expected 'resnet'"),
    "clamp": ("b4.conv", dict(conv_clamp=None), "conv_clamp=None, expected 256 as in another"),
    "down": ("b16.conv1", dict(down=1), "down of conv1=1, expected 2"),
    "skip": ("b16.skip", dict(activation="lrelu"), "activation of skip='lrelu', expected 'linear'"),
    "skip's clamp": ("b16.skip", dict(conv_clamp=256), "conv_clamp of skip=256, expected None"),
    "out": ("b4.out", dict(activation="lrelu"), "activation of out='lrelu', expected 'linear'"),
    "swish": ("b4.conv", dict(activation="swish"), "activation='swish'|must agree"),
    "cmap": ("b4", dict(cmap_dim=0), "cmap_dim=0, expected a whole number of 1 or more"),
    "no epilogue": ("b4", dict(modules={}), "a DiscriminatorEpilogue without|no layer that has"),
}
# fmt: on


@pytest.mark.parametrize("case", GENERATOR)
def test_generators_that_are_refused(case, read):
    path, parts, pattern = GENERATOR[case]
    network = changed(read("tb")["G"], path, **dict(parts))
    with pytest.raises(ValueError, match=pattern):
        torch_names.translate(network)


@pytest.mark.parametrize("case", DISCRIMINATOR)
def test_discriminators_that_are_refused(case, read):
    path, parts, pattern = DISCRIMINATOR[case]
    network = changed(read("tb")["D"], path, **dict(parts))
    with pytest.raises(ValueError, match=pattern):
        torch_names.translate(network)


def test_nonlinearities_of_all_blocks_that_tensorflow_computes_otherwise(read):
    network = read("tb")["G"]
    for name, block in network.modules["synthesis"].modules.items():
        for layer in block.modules:
            network = changed(network, f"synthesis.{name}.{layer}", activation="swish")
    with pytest.raises(ValueError, match="nonlinearity='swish', expected lrelu or relu"):
        torch_names.translate(network)


# ---------------------------------------------------------------- values that follow


def module(kernel):
    kernel = np.asarray(kernel, np.float32)
    return TorchModule("Conv2dLayer", "", (), {}, {}, {}, {"resample_filter": kernel}, {})


@pytest.mark.parametrize("taps", [(1,), (1, 1), (1, 3, 3, 1), (1, 2, 3, 1), (3, 10, 15, 10, 3)])
def test_taps_as_they_were_given(taps):
    kernel = np.outer(taps, taps) / np.sum(taps) ** 2
    assert torch_options.resample_kernel([module(kernel)] * 2) == taps


def test_other_filters():
    long = np.arange(1, 9) / 36  # eight taps and more are no outer product
    assert torch_options.resample_kernel([module(long)]) == tuple(range(1, 9))
    odd = np.array([0.1234, 0.3337, 0.5429])
    made = torch_options.resample_kernel([module(np.outer(odd, odd))])
    np.testing.assert_allclose(made, odd, rtol=1e-6)
    rows = np.array([[0, 1], [2, 5]]) / 8
    assert torch_options.resample_kernel([module(rows)]) == ((0, 0.125), (0.25, 0.625))
    for wrong in (np.zeros((2, 2)), np.ones((2, 2)), np.ones(()), np.ones((1, 1, 1))):
        with pytest.raises(ValueError, match="resample_filter: expected one or two dimensions"):
            torch_options.resample_kernel([module(wrong)])


@pytest.mark.parametrize(
    ("base", "most", "resolution"),
    [(32768, 512, 1024), (16384, 512, 256), (500, 512, 32), (1000, 31, 64), (16, 512, 16)],
)
def test_feature_maps_are_read_off(base, most, resolution):
    """channels(res) = min(channel_base // res, channel_max)."""
    sides = [2**log2 for log2 in range(2, resolution.bit_length())]
    widths = {side: min(base // side, most) for side in sides}
    options = torch_options.feature_maps(widths)
    made = {s: min(int(2 * options["fmap_base"] / s), options["fmap_max"]) for s in sides}
    assert made == widths
    assert min(options["fmap_base"], options["fmap_max"]) == widths[4]  # the dense layer's


@pytest.mark.parametrize("widths", [{4: 32, 8: 32, 16: 31}, {4: 8, 8: 16}, {4: 32, 8: 20, 16: 5}])
def test_feature_maps_of_no_base(widths):
    if widths == {4: 32, 8: 32, 16: 31}:
        assert torch_options.feature_maps(widths)
        return
    with pytest.raises(ValueError, match="channel"):
        torch_options.feature_maps(widths)
