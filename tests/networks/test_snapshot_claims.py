"""Snapshots whose options claim more than the file holds: refused before anything is made."""

import json
import struct

import pytest

import networks
from dnnlib import tensor_file
from dnnlib.errors import UserError
from networks import layers, snapshot
from tests.dnnlib.pickles import pickle_assembler as assembler
from tests.networks.common import discriminator, generator, odd_trio

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module")
def trio():
    return odd_trio()


def with_options(path, role, **options):
    """A copy of a snapshot whose metadata claims other options."""
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    kinds = json.loads(header["__metadata__"]["networks"])
    kinds[role]["options"].update(options)
    header["__metadata__"]["networks"] = json.dumps(kinds)
    for key in ("crc32c", "checksum"):  # as in files of before
        del header["__metadata__"][key]
    text = json.dumps(header).encode()
    path = path.with_name("claims.safetensors")
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[start:])
    return path


CLAIMS = [
    ("G", dict(latent_size=2**28), r"Dense0/weight: expected \(268435456, 8\), got \(8, 8\)"),
    ("G", dict(latent_size=10**400), "latent_size=inf, expected a positive whole number"),
    ("G", dict(resolution=2**20, fmap_decay=0), "missing: G_synthesis/noise2"),
    ("G", dict(mapping_fmaps=2**40), r"Dense0/bias: expected \(1099511627776,\)"),
    ("G", dict(fmap_base=2**50, fmap_max=2**40), "1099511627776"),
    ("G", dict(label_size=2**40), "missing: G_mapping/LabelConcat/weight"),
    ("G", dict(num_channels=2**40), "ToRGB_lod0/bias"),
    ("D", dict(label_size=2**40), "4x4/Dense1/bias"),
    ("D", dict(spectral_norm=True, fmap_base=2**50, fmap_max=2**40), "spectral_u"),
]


@pytest.mark.parametrize(("role", "options", "message"), CLAIMS)
def test_options_that_claim_more_are_refused_before_a_variable_is_made(
    role, options, message, trio, tmp_path, monkeypatch
):
    networks.save(tmp_path / "net.safetensors", G=trio[0], D=trio[1])
    path = with_options(tmp_path / "net.safetensors", role, **options)
    monkeypatch.delattr(layers, "tf_variable")
    with pytest.raises(UserError, match=message) as caught:
        snapshot.load_one(path, role)
    assert str(caught.value).startswith(f"{path}: {role}: ")
    assert len(str(caught.value)) < 6000


@pytest.mark.parametrize("make", [generator, discriminator])
def test_planned_shapes_are_those_of_the_network(make):
    for options in ({}, dict(label_size=2, resolution=32), dict(structure="fixed")):
        network = make(**options)
        expected = {name: array.shape for name, array in network.arrays().items()}
        planned = type(network).shapes(**network.options)
        assert list(planned.items()) == list(expected.items())


def test_numbers_beyond_all_bounds_are_an_impossible_option():
    huge = {**generator().options, "fmap_base": 10**308, "fmap_max": 10**308}
    with pytest.raises(ValueError, match="G_style: options beyond all bounds"):
        type(generator()).shapes(**huge)


# ---------------------------------------------------------------- sizes that no variable has

HUGE = 2**40
PLAIN = dict(mapping_layers=0, latent_size=8, dlatent_size=8)
SMALL_IMAGES = dict(resolution=8, fmap_base=32, fmap_max=8)
SIZES = {
    "copies of w": ("G_mapping", PLAIN, "dlatent_broadcast", HUGE, "1 to 1024, or None"),
    "copies of a generator's w": (
        "G_style",
        {**SMALL_IMAGES, "latent_size": 8, "mapping_fmaps": 8, "dlatent_size": 8},
        "dlatent_broadcast",
        HUGE,
        "1 to 1024, or None",
    ),
    "z that is w": ("G_mapping", PLAIN, "latent_size", HUGE, "65,536 at most"),
    "w that nothing looks at": (
        "G_synthesis",
        {**SMALL_IMAGES, "use_styles": False, "dlatent_size": 8},
        "dlatent_size",
        HUGE,
        "65,536 at most",
    ),
    "labels that nothing looks at": ("D_paper", SMALL_IMAGES, "label_size", HUGE, "65,536 at most"),
    "taps": ("D_basic", SMALL_IMAGES, "blur_filter", [1] * 1_000, "up to 64 numbers"),
}


@pytest.mark.parametrize("form", ["safetensors", "pkl"])
@pytest.mark.parametrize("case", SIZES)
def test_a_size_that_no_variable_has_is_limited(case, form, tmp_path):
    func_name, options, key, value, message = SIZES[case]
    arrays = networks.build(func_name, **options).arrays()
    path, options = tmp_path / f"net.{form}", {**options, key: value}
    if form == "pkl":
        network = assembler.original(3, list(arrays.items()), name=func_name, **options)
        network.state["build_func_name"] = func_name
        path.write_bytes(assembler.pickled(network, 4))
        role = "D" if func_name.startswith("D_") else "Gs"
    else:
        role, kind = "G", {"func_name": func_name, "options": options}
        metadata = {"networks": json.dumps({role: kind})}
        tensors = {f"{role}/{name}": array for name, array in arrays.items()}
        tensor_file.save(path, tensors, snapshot.FORMAT, metadata)
    with pytest.raises(UserError, match=f"{path.name}: {role}: {func_name}: {key}=.*{message}"):
        networks.load(path)
