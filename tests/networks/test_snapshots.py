"""Arrays in and out of every network, and snapshot files: exact, atomic, and safe to misread."""

import copy
import errno
import json
import pickle
import struct

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from safetensors.numpy import save_file

import networks
from dnnlib import tensor_file
from dnnlib.errors import UserError
from networks import layers, snapshot
from tests.dnnlib.pickles import pickle_assembler as assembler
from tests.networks.common import (
    DISCRIMINATORS,
    GENERATORS,
    discriminator,
    generator,
    images_for,
    labels_for,
    normal,
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


def assert_same(arrays, others):
    assert list(arrays) == list(others)
    for name, array in arrays.items():
        assert array.dtype == others[name].dtype == np.float32
        assert array.shape == others[name].shape
        assert array.tobytes() == others[name].tobytes(), name


def output(network):
    count = 6 if network.options.get("mbstd_group_size") == 3 else 4
    if network.func_name == "G_style":
        z = normal(4, network.options["latent_size"])
        return network(z, labels_for(network), noise="fixed").numpy()
    if network.func_name == "G_mapping":
        return network(normal(4, network.options["latent_size"]), labels_for(network)).numpy()
    if network.func_name == "G_synthesis":
        w = normal(4, network.num_layers, network.options["dlatent_size"])
        return network(w, noise="fixed").numpy()
    return network(images_for(network, count), labels_for(network, count)).numpy()


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
    """Small networks, their variables set to values that no arithmetic would survive."""
    G, D, Gs = generator(resolution=4), discriminator(resolution=4), generator(resolution=4, seed=3)
    odd = np.array([np.nan, np.inf, -np.inf, 1e-45, -0.0, 3.4e38, 1 / 3], np.float32)
    for network in (G, D, Gs):
        network.set_arrays({k: np.resize(odd, v.shape) for k, v in network.arrays().items()})
    return G, D, Gs


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


# ---------------------------------------------------------------- options that claim more


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


# ---------------------------------------------------------------- Keras's own saving


@pytest.mark.parametrize("make", [generator, discriminator])
def test_deepcopy_is_an_exact_copy(make):
    network = randomize(make(label_size=2))
    one, same, facade = copy.deepcopy([network, network, network.runnable])
    assert one is same is facade.network
    assert one is not network
    before = network.arrays()
    assert_same(one.arrays(), before)
    np.testing.assert_array_equal(output(one), output(network))
    one.set_arrays({name: array + 1 for name, array in before.items()})
    assert_same(network.arrays(), before)


def test_kerass_own_saving_is_refused(trio, tmp_path):
    G = trio[0]
    for action in (
        lambda: G.save(tmp_path / "x.keras"),
        lambda: G.save_weights(tmp_path / "x.weights.h5"),
        lambda: G.load_weights(tmp_path / "x.weights.h5"),
        lambda: G.export(tmp_path / "x"),
        lambda: G.mapping.save(tmp_path / "x.keras"),
        lambda: copy.copy(G),
        lambda: pickle.dumps(G),
        lambda: pickle.dumps(G.runnable),
    ):
        with pytest.raises(NotImplementedError, match=r"networks\.save\(path.*network\.copy\(\)"):
            action()
    assert not list(tmp_path.iterdir())


FUNCTIONS = [
    (module, name, file)
    for module in ("saving", "models")
    for name in ("save_model", "save_weights", "load_weights")
    for file in ("x.keras", "x.h5", "x.weights.h5")
    # What has the name of the other format is Keras's own error.
    if hasattr(getattr(keras, module, None), name)
    and (name == "save_model" or file.endswith(".weights.h5"))
]


# Before it asks the network for anything, Keras 3.
EMPTIED = [("save_model", "x.h5"), ("save_model", "x.weights.h5")]


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(("module", "name", "file"), FUNCTIONS)
def test_kerass_own_functions_are_refused(module, name, file, exists, trio, tmp_path):
    path, function = tmp_path / file, getattr(getattr(keras, module), name)
    if exists or name == "load_weights":
        path.write_bytes(b"before")
    for network in (trio[0], trio[1], trio[2].synthesis):
        with pytest.raises(NotImplementedError, match=r"networks\.save\(path.*network\.copy\(\)"):
            function(network, str(path))
    left = [each.read_bytes() for each in tmp_path.iterdir()]
    assert left in ([], [b"before"])
    if exists and (name, file) not in EMPTIED:
        assert left == [b"before"]


def test_kerass_text_of_a_network_is_refused(trio):
    for network in (trio[0], trio[1], trio[2].mapping):
        with pytest.raises(NotImplementedError, match=r"to_json does not .*networks\.save\(path"):
            network.to_json()
        assert network.get_config() == dict(network.options)
        assert network.built is True


def test_a_flipped_bit_of_the_weights_is_found(tmp_path):
    path = tmp_path / "x.safetensors"
    snapshot.tensor_file.save(path, {"G/x": np.zeros(4)}, snapshot.FORMAT, {"networks": "{}"})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a usable snapshot: its checksum does not fit"):
        snapshot.read(path)


def test_numbers_beyond_all_bounds_are_an_impossible_option():
    huge = {**generator().options, "fmap_base": 10**308, "fmap_max": 10**308}
    with pytest.raises(ValueError, match="G_style: options beyond all bounds"):
        type(generator()).shapes(**huge)


# ---------------------------------------------------------------- sizes that no variable has

HUGE = 2**40
PLAIN = dict(mapping_layers=0, latent_size=8, dlatent_size=8)
SMALL_IMAGES = dict(resolution=8, fmap_base=32, fmap_max=8)
CLAIMS = {
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
@pytest.mark.parametrize("case", CLAIMS)
def test_a_size_that_no_variable_has_is_limited(case, form, tmp_path):
    func_name, options, key, value, message = CLAIMS[case]
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
