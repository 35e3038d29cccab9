"""Pickles of StyleGAN2-ADA's PyTorch networks as plain data."""

import hashlib
import json

import numpy as np
import pytest

from dnnlib.pickles import torch_networks
from dnnlib.pickles.torch_networks import TorchNetworkError
from tests import golden
from tests.dnnlib.pickles import pickle_assembler, torch_networks_assembler as assembler

FOLDER = "ada/torch_pickles"
TAGS = {"ta": "ta", "tb": "tb", "te": "te", "te_protocol4": "te", "ts": "ts"}
TAGS["va_converted"] = "va_converted"
REMOVED = hashlib.sha256(b"# source removed\n").hexdigest()


def read(tag):
    return torch_networks.read(golden.path(f"{FOLDER}/{tag}.pkl").read_bytes())


@pytest.mark.parametrize("tag", TAGS)
def test_tensors_are_the_recorded_ones(tag):
    meta = golden.load(f"{FOLDER}/{TAGS[tag]}_meta.json")
    found = read(tag)
    assert list(found.networks) == ["G", "D", "G_ema"]
    assert list(found.keys) == meta["keys"]
    assert not found.refused
    for role, network in found.networks.items():
        recorded, kinds = meta[role[0]], network.kinds()
        rows = [(row["name"], row["shape"], row["kind"]) for row in recorded["tensors"]]
        tensors = network.tensors()
        assert [(key, list(a.shape), kinds[key]) for key, a in tensors.items()] == rows
        assert network.init_kwargs == recorded["init_kwargs"]
        for array in tensors.values():
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
            assert array.flags.owndata


@pytest.mark.parametrize("tag", ["ta", "tb", "te", "te_protocol4", "ts"])
def test_values_are_those_of_the_recipe(tag):
    """tb holds them channels last."""
    for role, network in read(tag).networks.items():
        for name, array in network.tensors().items():
            if not name.endswith("resample_filter"):
                wanted = golden.torch_recipe(TAGS[tag], role, name, array.shape)
                np.testing.assert_array_equal(array, wanted, err_msg=name)


def test_what_comes_along():
    found = read("tb")
    recorded = golden.load(f"{FOLDER}/tb_meta.json")
    assert found.augment_p == 0.28125 == recorded["augment_pipe"]["p"]
    assert found.augmentation.init_kwargs == recorded["augment_pipe"]["init_kwargs"]
    facts = dict(recorded["training_set_kwargs"])
    assert "tiny.zip" in facts.pop("path")  # somebody's own
    assert found.training_set == facts
    assert set(found.sources()) >= {"Generator", "ToRGBLayer", "MinibatchStdLayer", "AugmentPipe"}
    assert {REMOVED} == {one for hashes in found.sources().values() for one in hashes}
    conv = found.networks["G"].find("synthesis.b32.conv1")
    assert (conv.class_name, conv.attributes["conv_clamp"]) == ("SynthesisLayer", 256)
    assert conv.attributes["act_gain"] == np.sqrt(2)  # a scalar of NumPy in the file
    assert conv.init_args == (16, 16)
    assert found.networks["G"].find("synthesis.b64.conv1") is None
    assert read("te").augment_p is None
    assert read("va_converted").training_set is None


def test_stylegan3_is_named_and_its_discriminator_is_read():
    found = read("refuse_stylegan3_t")
    assert list(found.networks) == ["D"]
    assert list(found.refused) == ["G", "G_ema"]
    assert all("a StyleGAN3 generator" in reason for reason in found.refused.values())


def test_frozen_weights_are_buffers():
    kinds = read("te").networks["D"].kinds()
    assert kinds["b16.conv0.weight"] == "buffer"
    assert kinds["b8.conv0.weight"] == "parameter"


# ---------------------------------------------------------------- files without golden data


@pytest.mark.parametrize("case", assembler.GOOD)
def test_small_files(case):
    data = assembler.GOOD[case]
    assert torch_networks.is_torch_networks(data[:1024])
    found = torch_networks.read(data, sha256=hashlib.sha256(data).hexdigest().upper())
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    source = hashlib.sha256(assembler.SOURCE.encode()).hexdigest()
    assert found.sources()["Generator"] == [source]
    if case == "all":
        assert found.training_set == {"class_name": "training.Set", "xflip": True, "resolution": 8}
        assert found.augment_p == 0.25
        assert list(found.networks["D"].tensors()) == ["b8.resample_filter", "b8.weight"]
    if case in ("all", "G_ema", "a network alone"):
        weight = found.networks["G_ema"].tensors()["mapping.fc0.weight"]
        np.testing.assert_array_equal(weight, [0.5, 1.5, 2.5, 3.5])


@pytest.mark.parametrize(
    ("shape", "strides", "wanted"),
    [
        ((2, 2), (2, 1), [[0.5, 1.5], [2.5, 3.5]]),
        ((2, 2), (1, 2), [[0.5, 2.5], [1.5, 3.5]]),
        ((2, 1, 2), (1, 77, 2), [[[0.5, 2.5]], [[1.5, 3.5]]]),
        ((3,), (1,), [0.5, 1.5, 2.5]),
        ((), (), 0.5),
    ],
)
def test_strides(shape, strides, wanted):
    data = assembler.with_tensor(assembler.tensor(shape=shape, strides=strides))
    tensor = torch_networks.read(data).networks["G"].buffers["w"]
    np.testing.assert_array_equal(tensor, np.float32(wanted))
    assert tensor.flags.c_contiguous


def test_a_seventh_argument_is_empty():
    tensor = assembler.tensor(more=[b"}"])
    assert torch_networks.read(assembler.with_tensor(tensor)).networks


def test_one_network_may_have_two_roles():
    shared = assembler.generator() + pickle_assembler.put(7)
    data = assembler.networks(G=shared, G_ema=pickle_assembler.get(7))
    found = torch_networks.read(data).networks
    assert found["G"] is found["G_ema"]


def test_the_other_kind_is_told_apart():
    for data in pickle_assembler.BENIGN.values():
        assert not torch_networks.is_torch_networks(data[:1024])
    dictionary = pickle_assembler.file(b"}", 4)
    framed = dictionary[:2] + b"\x95" + bytes(8) + dictionary[2:]
    assert torch_networks.is_torch_networks(framed)


def test_what_is_supported_is_read_beside_what_is_not():
    own = assembler.persistent("MyLayer")
    found = torch_networks.read(
        assembler.networks(
            G=assembler.generator(mapping=own),
            D=assembler.generator(),
            G_ema=assembler.generator(),
            augment_pipe=assembler.persistent("MyPipe"),
        )
    )
    assert list(found.networks) == ["G_ema"]
    assert "'MyLayer', somebody's extension" in found.refused["G"]
    assert "a 'Generator', not StyleGAN2-ADA's Discriminator" in found.refused["D"]
    assert "'MyPipe'" in found.refused["augment_pipe"]
    assert found.augment_p is None
    with pytest.raises(TorchNetworkError, match=r"G: .*'MyLayer', .*; D: a 'Generator'"):
        torch_networks.read(
            assembler.networks(G=assembler.generator(mapping=own), D=assembler.generator())
        )


def test_facts_are_values_that_json_can_hold():
    found = torch_networks.read(assembler.GOOD["all"])
    assert "somebody" not in json.dumps(found.training_set)


def test_limits():
    data = assembler.GOOD["G_ema"]
    with pytest.raises(TorchNetworkError, match=r"more than the 10 allowed"):
        torch_networks.read(data, max_bytes=10)
    with pytest.raises(TorchNetworkError, match=r"its SHA-256 is .*, expected 00"):
        torch_networks.read(data, sha256="00")
