"""Arrays in and out of every network, and snapshot files: exact, atomic, and safe to misread."""

import errno
import struct

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import save_file

import networks
from dnnlib.errors import UserError
from networks import snapshot
from tests.networks.common import (
    DISCRIMINATORS,
    GENERATORS,
    assert_same,
    discriminator,
    generator,
    odd_trio,
    output,
    randomize,
)

pytestmark = pytest.mark.conformance


def part(name):
    return lambda seed=1, **options: getattr(generator(seed, **options), name)


BUILDERS = [
    *(pytest.param(generator, options, id=f"G-{name}") for name, options in GENERATORS.items()),
    *(
        pytest.param(discriminator, options, id=f"D-{name}")
        for name, options in DISCRIMINATORS.items()
    ),
    *(pytest.param(part(name), dict(label_size=2), id=name) for name in ("mapping", "synthesis")),
]


# ---------------------------------------------------------------- arrays


@pytest.mark.parametrize("make", [generator, discriminator, part("mapping"), part("synthesis")])
def test_arrays_move_exactly(make):
    options = dict(label_size=2)
    source, target = randomize(make(**options)), make(**{**options, "seed": 9})
    arrays = source.arrays()
    assert all(type(array) is np.ndarray for array in arrays.values())
    output(target)  # a call before must not matter
    target.set_arrays(arrays)
    assert_same(target.arrays(), arrays)
    np.testing.assert_array_equal(output(target), output(source))


def test_arrays_are_copies_and_any_order_and_kind_of_mapping_will_do():
    network = randomize(generator())
    arrays, before = network.arrays(), network.arrays()
    for array in arrays.values():
        array[...] += 1
    assert_same(network.arrays(), before)
    network.set_arrays({name: arrays[name].astype(np.float64) for name in reversed(list(arrays))})
    assert_same(network.arrays(), arrays)
    arrays["dlatent_avg"][...] = 0
    assert network.arrays()["dlatent_avg"].any()


def test_generators_arrays_are_its_parts():
    network = randomize(generator(label_size=2))
    own = {name: array for name, array in network.arrays().items() if "G_" not in name}
    assert list(own) == ["lod", "dlatent_avg"]
    parts = {"G_synthesis/": network.synthesis, "G_mapping/": network.mapping}
    together = dict(own)
    for prefix, part in parts.items():
        together.update({prefix + name: array for name, array in part.arrays().items()})
    assert_same(network.arrays(), together)
    network.mapping.set_arrays({k: v * 0 for k, v in network.mapping.arrays().items()})
    assert not network.arrays()["G_mapping/Dense0/weight"].any()


def test_all_differences_in_one_error_and_nothing_changed():
    network = randomize(discriminator())
    before = network.arrays()
    arrays = {name: array + 1 for name, array in before.items()}
    del arrays["lod"], arrays["8x8/Conv0/weight"]
    arrays["9x9/Conv/weight"] = arrays["new"] = np.zeros(3, np.float32)
    arrays["4x4/Conv/bias"] = np.zeros(7, np.float32)
    arrays["FromRGB_lod0/weight"] = np.zeros([3, 8], np.float32)
    arrays["4x4/Dense1/bias"] = ["text"]
    arrays["4x4/Dense0/bias"] = [[1, 2], [3]]
    with pytest.raises(ValueError) as caught:
        network.set_arrays(arrays)
    message = str(caught.value)
    for part in (
        "D_basic",
        "missing: lod",
        "missing: 8x8/Conv0/weight",
        "unknown: 9x9/Conv/weight",
        "unknown: new",
        "shape of 4x4/Conv/bias: expected (8,), got (7,)",
        "shape of FromRGB_lod0/weight: expected (1, 1, 3, 8), got (3, 8)",
        "4x4/Dense1/bias",
        "4x4/Dense0/bias",
    ):
        assert part in message
    assert message.count(";") == 7
    assert_same(network.arrays(), before)


# ---------------------------------------------------------------- snapshots


@pytest.mark.parametrize(("make", "options"), BUILDERS)
def test_round_trip(make, options, tmp_path):
    source = randomize(make(**options))
    arrays = source.arrays()
    # Every bit pattern survives, also of values that no training wants.
    last = next(reversed(arrays))
    arrays[last].flat[:1] = -0.0
    source.set_arrays(arrays)
    path = tmp_path / "new directory" / "net.safetensors"
    role = "D" if source.func_name == "D_basic" else "Gs"
    networks.save(path, **{role: source})
    loaded = dict(zip(("G", "D", "Gs"), networks.load(path)))
    target = loaded.pop(role)
    assert set(loaded.values()) == {None}
    assert target.func_name == source.func_name
    assert dict(target.options) == dict(source.options)
    assert_same(target.arrays(), source.arrays())
    np.testing.assert_array_equal(output(target), output(source))


@pytest.fixture(scope="module")
def trio():
    return odd_trio()


def test_all_three_and_information(trio, tmp_path):
    path = tmp_path / "network-final.safetensors"
    info = {"kimg": 1.5, "config": {"name": "größe", "list": [1, None, True]}}
    networks.save(path, G=trio[0], D=trio[1], Gs=trio[2], info=info)
    for saved, loaded in zip(trio, networks.load(path)):
        assert_same(loaded.arrays(), saved.arrays())
    kinds, arrays, found = snapshot.read(path)
    assert found == info
    assert list(kinds) == list(arrays) == ["G", "D", "Gs"]
    assert_same({k: arrays["D"][k] for k in trio[1].arrays()}, trio[1].arrays())
    # A path as text, and over an existing file.
    networks.save(str(path), D=trio[1])
    assert [network is None for network in networks.load(str(path))] == [True, False, True]


def test_saving_nothing_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no network"):
        networks.save(tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "failure", [RuntimeError("stop"), KeyboardInterrupt(), OSError(errno.ENOSPC, "")]
)
def test_a_failure_leaves_the_old_file(failure, trio, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    networks.save(path, D=trio[1])
    old = path.read_bytes()

    def fail_in_the_middle(tensors, partial, metadata):
        save_file(tensors, str(partial), metadata)
        with open(partial, "rb+") as file:
            file.truncate(1000)
        raise failure

    monkeypatch.setattr("dnnlib.tensor_file.save_file", fail_in_the_middle)
    expected = UserError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected):
        networks.save(path, G=trio[0])
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


# ---------------------------------------------------------------- files that are no good


@pytest.fixture(scope="module")
def good(trio, tmp_path_factory):
    """(bytes of a good snapshot, length of its header, a path to write others to)."""
    path = tmp_path_factory.mktemp("snapshots") / "net.safetensors"
    networks.save(path, G=trio[0], D=trio[1])
    data = path.read_bytes()
    return data, 8 + struct.unpack("<Q", data[:8])[0], path


def load_or_user_error(path, data):
    """Loads; returns the UserError's text, '' without one. Any other exception passes through."""
    path.write_bytes(data)
    try:
        networks.load(path)
        return ""
    except UserError as error:
        message = str(error)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_truncated_files(good):
    data, header, path = good
    offsets = {0, 1, 7, 8, 9, header - 1, header, header + 1, len(data) - 1}
    for offset in sorted(offsets.union(range(0, len(data), 211))):
        assert load_or_user_error(path, data[:offset]), offset
    assert load_or_user_error(path, data + b"\0")
    assert not load_or_user_error(path, data)


@settings(max_examples=150)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_flipped_bits_in_the_header(good, place, bit):
    data, header, path = good
    damaged = bytearray(data)
    damaged[int(place * header)] ^= 1 << bit
    load_or_user_error(path, bytes(damaged))


@settings(max_examples=100)
@given(place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=20))
def test_junk_in_the_header(good, place, junk):
    data, header, path = good
    start = int(place * header)
    load_or_user_error(path, data[:start] + junk + data[start + len(junk) :])


@settings(max_examples=50)
@given(data=st.binary(max_size=200))
def test_other_files(good, data):
    assert load_or_user_error(good[2], data)


def write(path, tensors, **metadata):
    save_file(tensors, str(path), metadata=metadata)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("metadata", "part"),
    [
        ({}, "format None"),
        ({"format": "another"}, "'another'"),
        ({"format": snapshot.FORMAT}, "not a usable snapshot"),
        ({"format": snapshot.FORMAT, "networks": "{"}, "not a usable snapshot"),
        ({"format": snapshot.FORMAT, "networks": "[]"}, "no network"),
        ({"format": snapshot.FORMAT, "networks": "[1]"}, "G/x"),
        ({"format": snapshot.FORMAT, "networks": "{}"}, "no network"),
        ({"format": snapshot.FORMAT, "networks": '{"G": 1}'}, "G"),
        ({"format": snapshot.FORMAT, "networks": '{"G": {"func_name": "G_style"}}'}, "G"),
        (
            {
                "format": snapshot.FORMAT,
                "networks": '{"G": {"func_name": "os.system", "options": {}}}',
            },
            "os.system",
        ),
        (
            {
                "format": snapshot.FORMAT,
                "networks": '{"G": {"func_name": "D_basic", "options": {"depth": 3}}}',
            },
            "depth",
        ),
        (
            {
                "format": snapshot.FORMAT,
                "networks": '{"G": {"func_name": "D_basic", "options": {"resolution": 4}}}',
            },
            "missing: lod",
        ),
    ],
)
def test_well_formed_files_that_are_no_snapshots(metadata, part, tmp_path):
    path = tmp_path / "x.safetensors"
    message = load_or_user_error(path, write(path, {"G/x": np.zeros(1, np.float32)}, **metadata))
    assert part in message


def test_missing_files(tmp_path):
    with pytest.raises(UserError, match=r"none\.safetensors' is neither a file, an http"):
        networks.load(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="is a directory"):
        networks.load(tmp_path)


def test_a_flipped_bit_of_the_weights_is_found(tmp_path):
    path = tmp_path / "x.safetensors"
    snapshot.tensor_file.save(path, {"G/x": np.zeros(4)}, snapshot.FORMAT, {"networks": "{}"})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a usable snapshot: its checksum does not fit"):
        snapshot.read(path)
