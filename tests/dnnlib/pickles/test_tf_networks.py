"""Legacy pickles that are good: recorded ones, those of Python's pickler, and parts by hand."""

import collections
import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dnnlib.pickles import tf_networks as legacy_pickle, values as plain_values
from tests import golden
from tests.dnnlib.pickles import pickle_assembler as assembler
from tests.dnnlib.pickles.pickle_assembler import EasyDict

TAGS = "a c0 c8 e e_sep h_blur4 h_fixed h_fused h_map0 h_map1 h_noblur h_nombstd".split()
TAGS += "h_nonoise h_nonorm h_nowscale h_relu h_res4".split()
FILES = {**{tag: f"pickles/{tag}.pkl" for tag in TAGS}, "b": "large/b.pkl"}
NO_SOURCE = hashlib.sha256(b"# source removed\n").hexdigest()


def same(found, wanted):
    """The same names in the same order, and as float32 the same values; halves stay halves."""
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert type(found[name]) is np.ndarray
        half = getattr(array, "dtype", None) == np.float16
        assert found[name].dtype == (np.float16 if half else np.float32)
        wanted_array = np.asarray(array, found[name].dtype)
        np.testing.assert_array_equal(found[name], wanted_array, err_msg=name, strict=True)


def one(data):
    (network,) = legacy_pickle.read(data).networks
    return network


# ---------------------------------------------------------------- recorded files


@pytest.mark.parametrize("tag", FILES)
def test_recorded_files(tag):
    data = golden.path(FILES[tag]).read_bytes()
    meta = golden.load(f"nets/{tag}_meta.json")
    found = legacy_pickle.read(data, sha256=hashlib.sha256(data).hexdigest().upper())
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    for role, network in zip(("G", "D", "Gs"), found.networks):
        options = dict(meta[role[0]])
        module, func_name = options.pop("func_name").rsplit(".", 1)
        assert (network.name, network.version, network.func_name) == (role, 3, func_name)
        assert network.static_kwargs == options
        assert network.class_name == "dnnlib.tflib.network.Network"
        assert network.source_sha256 == NO_SOURCE
        parts = {"synthesis": "G_synthesis", "mapping": "G_mapping"}
        if module.endswith("progan") or role == "D":
            parts = {}
        assert {key: part.name for key, part in network.components.items()} == parts
        rows = meta[f"{role[0]}_vars"]
        same(network.all_variables(), golden.recipe_arrays(tag, role, rows))
        own = [name for name, _, _ in rows if not name.startswith(("G_synthesis/", "G_mapping/"))]
        assert list(network.variables) == own


def test_a_recorded_training_run():
    """Trained weights follow no recipe. Their shapes are in the run's log, some in its goldens."""
    G, D, Gs = legacy_pickle.read(
        golden.path("pickles/run_example_final.pkl").read_bytes()
    ).networks
    options = {"num_channels": 3, "resolution": 32, "label_size": 4}
    options.update(fmap_base=128, fmap_max=16)
    assert D.static_kwargs == options
    options.update(latent_size=16, dlatent_size=16, mapping_fmaps=16)
    assert G.static_kwargs == Gs.static_kwargs == options
    log = golden.path("run_example/log.txt").read_text(encoding="utf-8")
    layers, totals, names = [{}, {}], re.findall(r"^Total +(\d+)", log, re.M), []
    for table, text in zip(layers, log.split("\nG  ", 1)[1].split("\nD  ")):
        for layer, shape in re.findall(r"^(\S+) +\d+ .*?\)? +\(([\d, ]+)\) *$", text, re.M):
            if not layer.endswith("Const"):  # whose table shows the noise's weight
                table[f"{layer}/weight"] = tuple(map(int, re.findall(r"\d+", shape)))
    for network, table, total in zip((G, D, Gs), (*layers, layers[0]), (*totals[:2], totals[0])):
        found = network.all_variables()
        weights = {name: array.shape for name, array in found.items() if name in table}
        assert weights == table
        assert len(table) > 12
        fixed = r"lod|dlatent_avg|.*/lod|.*/noise\d+"
        learned = [array for name, array in found.items() if not re.fullmatch(fixed, name)]
        assert sum(array.size for array in learned) == int(total)
        names.append(list(found))
    # The configuration "a", and the concatenation of labels.
    meta = golden.load("nets/a_meta.json")
    assert [n for n in names[0] if "LabelConcat" not in n] == [n for n, _, _ in meta["G_vars"]]
    assert [n for n in names[1] if "LabelConcat" not in n] == [n for n, _, _ in meta["D_vars"]]
    assert names[2] == names[0]
    data = golden.load("nets/net_run_example.npz")
    for role, network in (("G", G), ("Gs", Gs)):
        for name in ("dlatent_avg", "lod"):
            np.testing.assert_array_equal(network.variables[name], data[f"{role}/{name}"])


# ---------------------------------------------------------------- Python's own pickler


def values():
    """Arrays of all kinds that may be in a file; each is exact in float32."""
    r = np.random.RandomState(3)
    floats = r.randn(2, 3, 4).astype(np.float32)
    return [
        ("lod", np.float32(1.5)),
        ("0d", np.array(0.25, np.float32)),
        ("C", floats),
        ("Fortran", np.asfortranarray(floats)),
        ("strided", floats[:, ::2]),
        ("half", r.randn(5).astype(np.float16)),
        ("half, Fortran", np.asfortranarray(r.randn(5, 2).astype(np.float16))),
        ("double", floats[0].astype(np.float64)),
        ("int64", np.int64(-7)),
        ("int32", np.arange(-5, 5, dtype=np.int32)),
        ("uint8", np.arange(256, dtype=np.uint8)),
        ("bool", np.array([True, False])),
        ("same again", floats),
        ("number", 3),
        ("real", -0.5),
    ]


OPTIONS = dict(
    resolution=8,
    fmap_decay=1.0,
    blur_filter=[1, 2, 1],
    pair=(None, True, False),
    act="lrelu",
    easy=EasyDict(a=1, b=EasyDict()),
    ordered=collections.OrderedDict([("z", 2.5), ("a", [])]),
    scalar=np.float32(0.5),
    flag=np.bool_(True),
    big=2**40,
    less=-3,
)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_what_pickle_writes(version, protocol):
    part = assembler.original(version, values()[:3], name="G_part")
    components = None if version == 2 else {"synthesis": part}
    G = assembler.original(version, values(), components, **OPTIONS)
    D = assembler.original(version, [], name="D")
    module = "tfutil" if version == 2 else "dnnlib.tflib.network"
    easy = "dnnlib.EasyDict" if version > 3 else "dnnlib.util.EasyDict"
    data = assembler.pickled((G, D, G), protocol, f"{module}.Network", easy)
    assert data[:2] == bytes([0x80, protocol])
    other = assembler.respelled(data)
    assert (b"numpy._core." in other) != (b"numpy._core." in data)
    for written in (data, other):
        found = legacy_pickle.read(written).networks
        assert found[0] is found[2]
        assert (found[1].name, found[1].variables) == ("D", {})
        network = found[0]
        assert (network.name, network.version, network.func_name) == ("G", version, "G_style")
        assert network.class_name == f"{module}.Network"
        assert network.source_sha256 == NO_SOURCE
        assert network.static_kwargs == {**OPTIONS, "scalar": 0.5, "flag": True}
        kinds = {key: type(value) for key, value in network.static_kwargs.items()}
        assert kinds["scalar"] is float
        assert kinds["flag"] is bool
        assert kinds["easy"] is kinds["ordered"] is dict
        assert list(network.static_kwargs["ordered"]) == ["z", "a"]
        extra = (
            {}
            if version < 5
            else dict(
                input_shapes=[[None, 512]],
                output_shapes=[[None, 3, 8, 8]],
                input_names=["latents_in"],
                output_names=["images_out"],
            )
        )
        assert network.extra == extra
        wanted = dict(values())
        same(network.variables, wanted)
        if version > 2:
            wanted.update((f"G_part/{name}", value) for name, value in values()[:3])
        same(network.all_variables(), wanted)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_axes_in_an_order_of_their_own(protocol):
    """Newer NumPy writes them in a way that no original could: refused. Older copies the array."""
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 0, 2)
    data = assembler.pickled(assembler.original(3, [("w", values)]), protocol)
    if b"\x8c\x01K" in data:
        assert protocol == 5
        with pytest.raises(legacy_pickle.LegacyPickleError, match="_frombuffer is called in an"):
            legacy_pickle.read(data)
    else:
        same(one(data).variables, {"w": values})


def test_arrays_are_the_callers_own():
    data = assembler.pickled(assembler.original(3, values()), 5)
    before = bytes(data)
    for array in one(data).variables.values():
        array[...] = 9  # they can be written
    assert data == before
    same(one(data).variables, dict(values()))


def test_what_python_2_wrote():
    """str in place of bytes and text, whole numbers for truth values, and EasyDict's state."""

    def short(words):
        return b"U" + bytes([len(words)]) + words

    def dtype(code):
        made = assembler.call(assembler.name("numpy", "dtype"), short(code), b"K\0", b"K\1")
        numbers = b"J\xff\xff\xff\xff" * 2 + b"K\0"
        return made + b"(K\3" + short(b"<") + b"NNN" + numbers + b"tb"

    values = np.array([[1, 2], [3, -0.5]], np.float32)
    empty = assembler.call(
        assembler.RECONSTRUCT, assembler.NDARRAY, assembler.shape_of(0), short(b"b")
    )
    array = empty + b"(K\1K\2K\2\x86" + dtype(b"f4") + b"\x89"
    array += assembler.string(values.tobytes()) + b"tb"
    lod = assembler.call(assembler.SCALAR, dtype(b"f8"), short(struct.pack("<d", 2.5)))
    easy = assembler.name("dnnlib.util", "EasyDict") + b")\x81" + short(b"a") + b"K\1s}b"
    state = (
        b"}("
        + b"".join(
            [
                short(b"version"),
                b"K\2",
                short(b"name"),
                short(b"Gs"),
                short(b"static_kwargs"),
                b"}(" + short(b"act") + short(b"relu") + short(b"e") + easy + b"u",
                short(b"build_module_src"),
                assembler.string("# für G\n".encode()),
                short(b"build_func_name"),
                assembler.text("G_paper"),
                short(b"variables"),
                b"](" + short(b"lod") + lod + b"\x86",
                short(b"w") + array + b"\x86e",
            ]
        )
        + b"u"
    )
    network = one(b"\x80\x02" + assembler.name("tfutil", "Network") + b")\x81" + state + b"b.")
    assert (network.name, network.version, network.func_name) == ("Gs", 2, "G_paper")
    assert network.static_kwargs == {"act": "relu", "e": {"a": 1}}
    assert network.source_sha256 == hashlib.sha256("# für G\n".encode()).hexdigest()
    same(network.variables, {"lod": np.float32(2.5), "w": values})


# ---------------------------------------------------------------- the reader's own arguments


@pytest.mark.parametrize("body", [assembler.listed, assembler.many])
def test_one_to_three_networks(body):
    network = assembler.network()
    found = legacy_pickle.read(assembler.file(body(assembler.NONE, network))).networks
    assert found[0] is None
    assert found[1].name == "G"
    assert len(found) == 2
    assert one(assembler.file(body(network))).name == "G"
    assert one(assembler.file(network)).name == "G"


def test_names_come_from_the_component_not_from_its_key():
    inner = assembler.network(name=assembler.text("inner"))
    outer = assembler.network(
        name=assembler.text("outer"), components=assembler.table(key=inner), version=4
    )
    network = one(assembler.file(assembler.network(components=assembler.table(a=outer, b=inner))))
    assert list(network.components) == ["a", "b"]
    prefixes = ("", "outer/", "outer/inner/", "inner/")
    names = [f"{prefix}{name}" for prefix in prefixes for name in ("lod", "w")]
    assert list(network.all_variables()) == names


def test_the_files_hash_is_checked_before_it_is_read():
    data = assembler.BENIGN["version 3"]
    found = hashlib.sha256(data).hexdigest()
    assert legacy_pickle.read(data, sha256=found).sha256 == found
    with pytest.raises(legacy_pickle.LegacyPickleError, match=f"{found}, expected {'0' * 64}"):
        legacy_pickle.read(data, sha256="0" * 64)
    with pytest.raises(legacy_pickle.LegacyPickleError, match="SHA-256"):
        legacy_pickle.read(b"no pickle", sha256="0" * 64)


def test_a_file_may_be_too_large():
    data = assembler.BENIGN["version 3"]
    size = len(data)
    assert legacy_pickle.read(data, max_bytes=size).networks
    with pytest.raises(legacy_pickle.LegacyPickleError, match=f"{size} bytes, more than the"):
        legacy_pickle.read(data, max_bytes=size - 1)


@pytest.mark.parametrize("chunk", [2, 3, 7, 10_000])
def test_bytes_as_text_are_decoded_piece_by_piece(monkeypatch, chunk):
    # Protocol 2: bytes from 128 on are two, and may lie in two pieces.
    monkeypatch.setattr(plain_values, "_CHUNK", chunk)
    wanted = np.random.RandomState(1).randn(200).astype(np.float32)
    same(one(assembler.pickled(assembler.original(3, [("w", wanted)]), 2)).variables, {"w": wanted})


@pytest.mark.parametrize("place", [0, 4, 5, 12])
def test_every_piece_is_searched_for_nan(monkeypatch, place):
    monkeypatch.setattr(plain_values, "_CHUNK", 5)
    values = np.zeros(13, np.float32)
    same(one(assembler.with_array(data=values.tobytes(), shape=(13,))).variables, {"w": values})
    values[place] = np.nan
    with pytest.raises(legacy_pickle.LegacyPickleError, match="variable 'G/w' has values that"):
        legacy_pickle.read(assembler.with_array(data=values.tobytes(), shape=(13,)))


@pytest.mark.parametrize(("protocol", "dtype"), [(4, np.float16), (2, np.float32)])
def test_large_files_may_need_their_size_again(protocol, dtype):
    values = np.random.RandomState(1).randn(3_000_000).astype(dtype)
    network = assembler.original(3, [("w", values)])
    same(one(assembler.pickled(network, protocol)).variables, {"w": values})


def test_tensorflow_is_not_needed():
    code = "import sys, dnnlib.pickles.tf_networks\n"
    code += "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert {"dnnlib", "numpy"} <= loaded
    assert not loaded & {"tensorflow", "keras", "tensorflow_addons"}
