"""Files that are no state dicts, damaged or hostile: refused, in little memory."""

import collections
import contextlib
import pickle
import random
import re
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dnnlib.pickles import torch_file
from dnnlib.pickles.torch_file import TorchFileError
from tests.dnnlib.pickles import (
    fuzz_tf_networks,
    pickle_assembler as assembler,
    torch_writer as writer,
)
from tests.dnnlib.pickles.pickle_assembler import (
    BUILD,
    NEWOBJ,
    NONE,
    STOP,
    TRUE,
    call,
    get,
    listed,
    many,
    name,
    number,
    put,
    table,
    text,
)
from tests.dnnlib.pickles.torch_writer import FORMATS, identity, rebuilt, strided

ROOT = Path(__file__).resolve().parents[3]

# ---------------------------------------------------------------- state dicts

SELF = b"]" + put(0) + get(0) + b"a"
OS_SYSTEM = r"the global 'os\.system' is not allowed"
BEYOND, GAPS = "goes beyond its storage", "has gaps or overlaps"
UNKNOWN_CALL, UNKNOWN_BUILD = "called in an unknown way", "BUILD for an unknown object"


# fmt: off
STATES = {  # the state dict's opcodes, and the pattern of the reason
    "a call": (table(w=assembler.SHELL), OS_SYSTEM),
    "a call after it": (table(w=rebuilt()) + assembler.SHELL, OS_SYSTEM),
    "eval as a hook": (call(writer.REBUILD, identity(), name("builtins", "eval")), "not allowed"),
    "dotted": (name("torch", "_utils._rebuild_tensor_v2"), "not allowed"),
    "stacked": (assembler.stacked("posix", "system"), "not allowed"),
    "NumPy": (assembler.NDARRAY, "not allowed"),
    "a model": (name("torch.nn.modules.conv", "Conv2d") + b")" + NEWOBJ, "no whole models"),
    "quantized": (name("torch._utils", "_rebuild_qtensor"), "only state dicts of plain dense"),
    "INST": (b"(ios\nsystem\n", "opcode INST"),
    "PERSID": (b"P0\n", "opcode PERSID"),
    "EXT1": (b"\x82\x01", "opcode EXT1"),
    "persistent number": (number(0) + b"Q", "something else than a tuple"),
    "persistent text": (text("storage") + b"Q", "something else than a tuple"),
    "persistent, empty": (b")Q", "persistent id of an unknown form"),
    "persistent module": (identity(tag="module"), "persistent id that is no storage"),
    "a part of a storage": (identity(more=[many(text("1"), number(0))]), "of an unknown form"),
    "long persistent id": (identity(more=[NONE, NONE]), "of an unknown form"),
    "a storage of Size": (identity(name("torch", "Size")), "storage of an unknown type"),
    "a storage of text": (identity(text("f4")), "storage of an unknown type"),
    "a storage of -1": (identity(count=-1), "whose size is no number"),
    "two types": (many(identity(), identity(name("torch", "LongStorage"))), "two types or sizes"),
    "two sizes": (many(identity(), identity(count=5)), "two types or sizes"),
    "a huge storage": (table(w=rebuilt(identity(count=2**62))), "of 18,4|ends inside|another size"),
    "huge dimensions": (table(w=strided((2**39,) * 8, (1,) * 8)), GAPS),
    "larger dimensions": (table(w=strided((2**62,), (1,))), "no valid number"),
    "no dimension": (table(w=strided((0, 3), (3, 1))), "no valid number"),
    "a negative stride": (table(w=strided((6,), (-1,), 5)), "no valid number"),
    "a negative offset": (table(w=strided((3,), (1,), -3)), "no valid number"),
    "too many dimensions": (table(w=strided((1,) * 9, (1,) * 9)), "up to 8 dimensions"),
    "strides are missing": (table(w=strided((2, 3), (1,))), "other numbers of dimensions"),
    "a shape of text": (call(writer.REBUILD, identity(), *[number(0), text("2")] * 2, NONE),
                        "not a tuple"),
    "True as an offset": (call(writer.REBUILD, identity(), TRUE, b"))", NONE, NONE),
                          "no valid number"),
    "beyond by one": (table(w=strided((6,), (1,), 1)), BEYOND),
    "far beyond": (table(w=strided((1,), (1,), 2**39)), BEYOND),
    "too large": (table(w=strided((7,), (1,))), BEYOND),
    "stride 0": (table(w=strided((2**35,), (0,))), GAPS),
    "expanded": (table(w=strided((2, 3), (0, 1))), GAPS),
    "overlapping": (table(w=strided((2, 3), (1, 1))), GAPS),
    "gaps": (table(w=strided((2, 2), (3, 1))), GAPS),
    "no storage": (call(writer.REBUILD, *[b")"] * 6), "without a storage"),
    "a missing storage": (table(w=rebuilt(identity(key="1"))), "is missing|is unknown"),
    "a path as a key": (table(w=rebuilt(identity(key="../0"))), "is missing|is unknown"),
    "arguments are missing": (call(writer.REBUILD, identity()), UNKNOWN_CALL),
    "metadata": (call(writer.REBUILD, *[NONE] * 7), UNKNOWN_CALL),
    "a storage is called": (call(writer.FLOATS, number(2**40)), UNKNOWN_CALL),
    "a storage is created": (writer.FLOATS + b")" + NEWOBJ, "created in an unknown way"),
    "OrderedDict is created": (writer.ORDERED + b")" + NEWOBJ, "created in an unknown way"),
    "OrderedDict of text": (call(writer.ORDERED, text("ab")), "something that is no list"),
    "OrderedDict of numbers": (call(writer.ORDERED, listed(number(1))), "no pair"),
    "OrderedDict of triples": (call(writer.ORDERED, listed(many(*[NONE] * 3))), "no pair"),
    "a key twice": (call(writer.ORDERED, listed(*[many(text("w"), rebuilt())] * 2)), "two tensors"),
    "a key twice in a dictionary": (b"}(" + 2 * (text("w") + NONE) + b"u", "key 'w' twice"),
    "a number as a key": (b"}" + number(1) + rebuilt() + b"s", "key is not text"),
    "a number as a Python 2 key": (call(writer.ORDERED, listed(many(NONE, NONE))), "is not text"),
    "other attributes": (b"}" + table(_metadata=NONE, __class__=NONE) + BUILD, UNKNOWN_BUILD),
    "a list is built": (b"]}" + BUILD, UNKNOWN_BUILD),
    "a tensor is built": (rebuilt() + many(TRUE, TRUE, NONE) + BUILD, UNKNOWN_BUILD),
    "a parameter of None": (call(writer.PARAMETER, number(1)), "something that is no tensor"),
    "a parameter of a parameter": (call(writer.PARAMETER, call(writer.PARAMETER)), "is no tensor"),
    "a parameter is built twice":
        (call(writer.PARAMETER, rebuilt()) + many(*[NONE] * 5) + BUILD, UNKNOWN_BUILD),
    "a parameter of itself":
        (call(writer.PARAMETER) + put(0) + many(get(0), *[NONE] * 4) + BUILD, "is no tensor"),
    "an empty parameter": (table(w=call(writer.PARAMETER)), "value of 'w' is no tensor"),
    "a Size of a number": (call(name("torch", "Size"), number(1)), "something that is no tuple"),
    "nested": (table(state_dict=table(w=rebuilt())), "value of 'state_dict' is no tensor"),
    "numbers": (table(epoch=number(3)), "value of 'epoch' is no tensor"),
    "a list": (listed(rebuilt()), "not a dictionary"),
    "a tensor": (rebuilt(), "not a dictionary"),
    "a list inside itself": (SELF, "not a dictionary"),
    "an OrderedDict of itself": (call(writer.ORDERED, SELF + get(0) + b"a"), "no pair|not text"),
    "a dictionary inside itself": (b"}" + put(0) + text("w") + get(0) + b"s", "no tensor"),
    "nothing": (b"", "object is not complete"),
    "two objects": (b"}}", "object is not complete"),
    "a pickle that ends": (b"}X\xff\xff\xff\x7f", "length is wrong|ends inside"),
}
# fmt: on


def refused(data, pattern):
    with pytest.raises(TorchFileError, match=pattern) as caught:
        torch_file.read(data)
    error = caught.value
    assert error.offset is None or 0 <= error.offset <= len(data)
    assert str(error).startswith(f"not a readable PyTorch state dict: {error.reason}")
    assert len(str(error)) < 300
    assert "\n" not in str(error)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("case", STATES)
def test_state_dicts_refused(case, format):
    body, pattern = STATES[case]
    refused(writer.file(body, format), pattern)


def events():
    """What Python does beyond computing while it reads them all: names of audit events."""
    audit, seen = fuzz_tf_networks.Audit(), []
    for format in FORMATS:
        torch_file.read(writer.file(b"}", format))  # imports a codec at the first use
        for body, _ in STATES.values():
            data = writer.file(body, format)
            with audit, contextlib.suppress(TorchFileError):
                torch_file.read(data)
            seen += audit.events
    return seen


def test_no_code_runs():
    code = "from tests.dnnlib.pickles import test_torch_file_hostile as t; "
    code += "print('events:', t.events())"
    command = [sys.executable, "-c", code]  # its own process: an audit hook cannot be removed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "events: []\n", done.stderr


@pytest.mark.parametrize("format", FORMATS)
def test_truncated_at_every_offset(format):
    data = writer.file(table(w=rebuilt()), format)
    assert list(torch_file.read(data)) == ["w"]
    for size in range(len(data)):
        refused(data[:size], ".")


# ---------------------------------------------------------------- what lies around them

STATE = b"\x80\x02" + table(w=rebuilt()) + STOP
STORAGES = {"0": writer.VALUES}
LISTED = pickle.dumps(["0"], 2)
GOOD = writer.stream(STATE, STORAGES)


@pytest.mark.parametrize(
    ("data", "pattern"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html>", "HTML or XML page"),
        (assembler.BENIGN["version 3"], "neither of the two formats"),
        (GOOD.replace(b"\x6c\xfc", b"\x6c\xfd"), "neither of the two formats"),
        (writer.stream(STATE, STORAGES, version=1000), "another version than 1001"),
        (writer.stream(STATE, STORAGES, system={}), "little-endian"),
        (writer.stream(STATE, STORAGES, system={"little_endian": False}), "little-endian"),
        (writer.stream(STATE, STORAGES, system=[]), "little-endian"),
        (writer.stream(STATE, STORAGES, keys=pickle.dumps({}, 2)), "keys of the storages"),
        (writer.stream(STATE, STORAGES, keys=pickle.dumps([], 2)), "after the last storage"),
        (writer.stream(STATE, STORAGES, keys=pickle.dumps([0], 2)), "key is not text"),
        (writer.stream(STATE, STORAGES, keys=pickle.dumps(["1"], 2)), "unknown or comes twice"),
        (writer.stream(STATE, {**STORAGES, "1": writer.VALUES}), "unknown or comes twice"),
        (writer.stream(STATE, STORAGES, keys=pickle.dumps(["0"] * 2, 2)), "comes twice"),
        (writer.stream(STATE, {"0": writer.VALUES[:5]}), "ends inside the storage"),
        (writer.stream(STATE, {"0": np.arange(7, dtype="f4")}), "another size than expected"),
        (GOOD[:-32] + struct.pack("<q", -1) + GOOD[-24:], "another size than expected"),
        (GOOD + b"\0\0", "2 bytes after the last storage"),
        (GOOD + GOOD, "bytes after the last storage"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_streams_refused(data, pattern):
    refused(data, pattern)


ZIP = writer.archive(STATE, STORAGES)
DATA, PICKLE = "archive/data/0", "archive/data.pkl"
# Places in an entry of a ZIP file's directory.
FLAGS, CRC, COMPRESSED, SIZE, NAME_SIZE, EXTRA_SIZE, HEADER = 8, 16, 20, 24, 28, 30, 42


def patched(path, place, value, data=ZIP):
    """An archive whose directory has another 4 or 2 byte number for one entry."""
    start = data.index(path.encode(), data.index(b"PK\1\2")) - 46 + place
    written = struct.pack("<H" if place in (FLAGS, NAME_SIZE, EXTRA_SIZE) else "<I", value)
    return data[:start] + written + data[start + len(written) :]


def overlapping(count=100):
    """The bytes of one large entry under many names: far more to read than the file has."""
    values = np.zeros(10_000, "f4")
    empty = {str(1000 + i): values[:0] for i in range(count)}
    data = writer.archive(STATE, {**STORAGES, "1": values, **empty})
    offset = data.index(b"archive/data/1") - 30
    for key in empty:
        for place, value in ((HEADER, offset), (COMPRESSED, values.nbytes), (SIZE, values.nbytes)):
            data = patched(f"archive/data/{key}", place, value, data)
    return data


@pytest.mark.parametrize(
    ("data", "pattern"),
    [
        (b"PK", "incomplete or damaged"),
        (b"PK\3\4" + bytes(1000), "incomplete or damaged"),
        (ZIP[:-1], "incomplete or damaged"),
        (ZIP[50:], "neither of the two formats"),
        (writer.zipped([]), "without exactly one data.pkl"),
        (writer.zipped([("data.pkl", STATE)]), "without exactly one data.pkl"),
        (writer.zipped([("a/b/data.pkl", STATE)]), "without exactly one data.pkl"),
        (writer.zipped([("a/data.pkl", STATE), ("b/data.pkl", STATE)]), "without exactly one"),
        (writer.archive(STATE + b"N.", STORAGES), "2 bytes after the pickle"),
        (writer.archive(STATE[:-1], STORAGES), "ends inside an opcode"),
        (writer.archive(STATE, {}), "'0' is missing"),
        (writer.archive(STATE, {"0": writer.VALUES[:5]}), "not of 24 bytes"),
        (writer.archive(STATE, {"0": np.zeros(7, "f4")}), "not of 24 bytes"),
        (writer.archive(STATE, STORAGES, byteorder=b"big"), "little-endian"),
        (writer.archive(STATE, STORAGES, byteorder=b""), "little-endian"),
        (writer.archive(STATE, STORAGES, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (writer.archive(STATE, {"0": np.zeros(2**20)}, compression=zipfile.ZIP_BZIP2), "compress"),
        (ZIP.replace(writer.VALUES.tobytes(), bytes(24)), "damaged: its checksum differs"),
        (patched(PICKLE, CRC, 0), "damaged: its checksum differs"),
        (patched(DATA, FLAGS, 1), "encrypted"),
        (patched(DATA, SIZE, 2**32 - 2), "outside the file, or its sizes differ"),
        (patched(DATA, COMPRESSED, 2**32 - 2), "outside the file, or its sizes differ"),
        (patched(DATA, COMPRESSED, 2**30, patched(DATA, SIZE, 2**30)), "outside the file"),
        (patched(DATA, SIZE, 2**32 - 1), "damaged|outside"),
        (patched(DATA, HEADER, len(ZIP) - 10), "outside the file"),
        (patched(DATA, HEADER, 2**32 - 2), "outside the file"),
        (patched(DATA, HEADER, 1), "outside the file"),
        (patched(DATA, NAME_SIZE, 2**16 - 1), "is missing"),
        (patched(DATA, EXTRA_SIZE, 2**16 - 1), "damaged|outside"),
        (overlapping(), "entries overlap"),
        (writer.zipped((f"{i:05}" + 80 * "a", b"") for i in range(9_000)), "ZIP directory of 1,"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_archives_refused(data, pattern):
    refused(data, pattern)


def test_what_zipfile_warns_about_is_refused_or_read():
    """The extra field 0x7075, an entry's name in Unicode, with an empty name."""
    extra = struct.pack("<HHBL", 0x7075, 5, 1, zlib.crc32(DATA.encode()))
    end = ZIP.rindex(b"PK\5\6")
    place = ZIP.rindex(DATA.encode()) + len(DATA)
    data = patched(DATA, EXTRA_SIZE, len(extra), ZIP[:place] + extra + ZIP[place:end])
    size = struct.pack("<I", len(data) - data.index(b"PK\1\2"))
    assert examine(data + ZIP[end : end + 12] + size + ZIP[end + 16 :]) in (
        None,
        "the ZIP file is incomplete or damaged",
    )


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_two_entries_of_the_same_name():
    data = writer.zipped([("a/data.pkl", b"\x80\x02}."), ("a/data.pkl", STATE)])
    refused(data, r"two ZIP entries have the name 'a/data\.pkl'")


# ---------------------------------------------------------------- memory


def examine(data):
    """Reads a file; its reason for refusal or None, having checked memory and results."""
    reason, offset, arrays = None, None, {}
    tracemalloc.start()
    try:
        arrays = torch_file.read(data)
    except TorchFileError as error:
        reason, offset = error.reason, error.offset
    allocated = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert offset is None or 0 <= offset <= len(data)
    assert allocated < 3 * len(data) + 64 * 2**20
    assert sum(array.nbytes for array in arrays.values()) <= 2 * len(data) + 4 * 2**20
    assert all(type(array) is np.ndarray for array in arrays.values())
    return reason


def entries(count, first, other):
    """A dictionary with many items."""
    others = (text(f"{i:05}") + other for i in range(count))
    return b"}(" + text("first") + first + put(0) + b"".join(others) + b"u"


MILLION = rebuilt(identity(count=10**6), shape=(10**6,), strides=(1,))
PAIRS = many(b"](" + 30_000 * b"N" + b"e") + put(0)
FLOODS = {  # opcodes, the storage, and the pattern of the reason for refusal
    "shared": (entries(40_000, rebuilt(), get(0)), writer.VALUES, None),
    "tensors": (entries(3_000, rebuilt(), rebuilt()), writer.VALUES, None),
    "large and shared": (entries(40_000, MILLION, get(0)), np.zeros(10**6, "f4"), "more room"),
    "pairs": (listed(PAIRS, 20_000 * (writer.ORDERED + get(0) + b"R")), None, "not a dictionary"),
    "deep": (call(writer.PARAMETER, b"N" + 90_000 * b"\x85"), None, "no tensor"),
    "opcodes": (100_001 * b"N", None, "more than 100,000 opcodes"),
}


@pytest.mark.parametrize("case", FLOODS)
def test_floods_take_little_memory(case):
    body, values, pattern = FLOODS[case]
    storages = {} if values is None else {"0": values}
    reason = examine(writer.archive(b"\x80\x02" + body + STOP, storages))
    assert reason is None if pattern is None else re.search(pattern, reason)


# ---------------------------------------------------------------- random changes


class States:
    """State dicts to start from, in the form that fuzz_tf_networks changes."""

    def __init__(self):
        storage = writer.Storage("0", writer.VALUES)
        inner = writer.tensor(storage, storage.values.reshape(2, 3))
        first = writer.Reduced("Parameter", (inner,), (True, False, None))
        value = collections.OrderedDict(w=first, b=writer.tensor(storage, storage.values[2:5]))
        self.good = [writer.pickled(value, more, proto) for more in (0, 1) for proto in (2, 4)]
        hostile = [body for body, _ in STATES.values()]
        self.hostile = [b"\x80\x02" + body + STOP for body in hostile]

    def choose(self, rng):
        files = self.hostile if rng.randrange(3) == 0 else self.good
        return files[rng.randrange(len(files))]

    part = choose


def mutated(rng, states):
    """A file with changes in its state dict, in the rest, or in both."""
    format = rng.choice(list(FORMATS))
    where = rng.randrange(4)
    state = fuzz_tf_networks.mutated(rng, states) if where else states.choose(rng)
    data = bytearray(writer.FORMATS[format](state, STORAGES))
    for _ in range(rng.randrange(1, 4) if where < 2 else 0):
        place = rng.randrange(len(data))
        # A ZIP file's directory is at its end, where most changes are interesting.
        place = len(data) - 1 - place % 400 if rng.randrange(2) and len(data) > 400 else place
        data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, data[place] ^ (1 << rng.randrange(8))))
    return bytes(data)


ALL_STATES = States()


@settings(max_examples=300)
@given(st.randoms(use_true_random=False))
def test_changed_files_are_read_or_refused(rng):
    examine(mutated(rng, ALL_STATES))


def test_changes_leave_some_files_readable_and_others_not():
    reasons = [examine(mutated(random.Random(i), ALL_STATES)) for i in range(300)]
    assert sum(reason is None for reason in reasons) > 10
    assert len({re.sub(r"\d+", "", reason or "") for reason in reasons}) > 30
