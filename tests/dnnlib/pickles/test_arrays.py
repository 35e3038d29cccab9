"""Pickled arrays: CIFAR's, by Python 2 and 3; and others, which are refused."""

import contextlib
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dnnlib.pickles import arrays as array_pickle
from dnnlib.pickles.arrays import ArrayPickleError
from tests.dnnlib.pickles import pickle_assembler as assembler
from tests.dnnlib.pickles.pickle_assembler import (
    FALSE,
    TRUE,
    call,
    dtype,
    get,
    listed,
    name,
    number,
    put,
    shape_of,
    string,
    table,
)
from tests.memory import allocating_less_than

pytestmark = pytest.mark.conformance  # NumPy 1 and 2 pickle differently

IMAGES = np.random.RandomState(0).randint(0, 256, [4, 12]).astype(np.uint8)
U1 = dtype("u1", "|")


def python_2(fortran=FALSE, data=None, shape=(4, 12), kind=U1, **items):
    """A batch as Python 2 wrote it: every text a str, arrays by _reconstruct."""
    empty = call(assembler.RECONSTRUCT, assembler.NDARRAY, shape_of(0), string(b"b"))
    data = string(IMAGES.tobytes()) if data is None else data
    state = assembler.many(number(1), shape_of(*shape), kind, fortran, data)
    found = {
        "batch_label": string(b"training batch 1 of 5"),
        "labels": listed(*map(number, [6, 9, 0, 3])),
        "data": empty + state + assembler.BUILD,
        "filenames": listed(*(string(b"frog_%d.png" % index) for index in range(4))),
        **items,
    }
    pairs = b"".join(string(key.encode()) + value for key, value in found.items())
    return assembler.file(b"}(" + pairs + b"u", protocol=2)


def expect(found):
    assert list(found) == ["batch_label", "labels", "data", "filenames"]
    assert found["batch_label"] == "training batch 1 of 5"
    assert found["labels"] == [6, 9, 0, 3]
    assert found["filenames"] == [f"frog_{index}.png" for index in range(4)]
    assert found["data"].dtype == np.uint8
    assert not found["data"].flags.writeable
    np.testing.assert_array_equal(found["data"], IMAGES)


def test_written_by_python_2():
    data = python_2()
    expect(array_pickle.read(data))
    expect(array_pickle.read(memoryview(data)))
    assert np.shares_memory(array_pickle.read(data)["data"], np.frombuffer(data, np.uint8))


def test_fortran_order():
    expect(array_pickle.read(python_2(TRUE, string(IMAGES.tobytes("F")))))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_written_by_python_3(protocol, as_bytes):
    write = (lambda text: text.encode()) if as_bytes else str
    batch = {
        write("batch_label"): write("training batch 1 of 5"),
        write("labels"): [6, 9, 0, 3],
        write("data"): IMAGES,
        write("filenames"): [write(f"frog_{index}.png") for index in range(4)],
    }
    expect(array_pickle.read(pickle.dumps(batch, protocol)))


def test_as_long_as_cifar_100():
    count = 50_000
    names = [b"name_%05d" % index for index in range(count)]
    numbers = [index % 100 for index in range(count)]
    found = array_pickle.read(pickle.dumps({"names": names, "n": numbers, "m": numbers[:]}, 3))
    assert found["names"][-1] == "name_49999"
    assert found["n"] == found["m"] == numbers


def test_numbers():
    values = {"a": None, "b": True, "c": -(2**40), "d": 0.5, "e": [], "f": [2**31 - 1, -1]}
    assert array_pickle.read(pickle.dumps(values, 4)) == values


class Hostile:
    def __reduce__(self):
        return print, ("run",)


DIGITS = {"x": np.arange(6, dtype=np.uint8)}
REFUSED = {
    "empty": (b"", r"no pickle"),
    "text": (b"<html>", r"no pickle"),
    "protocol 0": (pickle.dumps({}, 0), r"no pickle"),
    "a list": (pickle.dumps([1], 2), r"no dictionary"),
    "code": (pickle.dumps({"x": Hostile()}, 2), r"'__builtin__.print' is not allowed"),
    "system": (python_2(x=assembler.SHELL), r"'os.system' is not allowed"),
    "stack global": (pickle.dumps({"x": Hostile()}, 4), r"'builtins.print' is not allowed"),
    "object": (python_2(x=name("builtins", "object") + b")\x81"), r"'builtins.object' is not"),
    "a network": (assembler.BENIGN["version 3"], r"it is no dictionary"),
    "network inside": (python_2(x=assembler.network()), r"value of 'x' is neither"),
    "floats": (pickle.dumps({"x": np.zeros(3, np.float32)}, 4), r"'x' is not uint8"),
    "objects": (pickle.dumps({"x": np.array([None])}, 2), r"dtype 'O8'"),
    "nested": (pickle.dumps({"x": [[1]]}, 2), r"list 'x' holds other things"),
    "mixed": (pickle.dumps({"x": [1, "a"]}, 2), r"list 'x' holds other things"),
    "a dictionary": (pickle.dumps({"x": {}}, 2), r"value of 'x' is neither"),
    "number as key": (pickle.dumps({1: 2}, 2), r"key is not text"),
    "same key": (assembler.file(b"}(" + 2 * (string(b"x") + number(1)) + b"u"), r"'x' twice"),
    "long text": (python_2(x=string(b"x" * 501)), r"more than 500 characters"),
    "no ASCII": (pickle.dumps({"x": "é"}, 2), r"not plain ASCII"),
    "too few": (python_2(shape=(5, 12)), r"array of 60 bytes has 48"),
    "too many": (python_2(shape=(3, 12)), r"array of 36 bytes has 48"),
    "huge": (python_2(shape=(2**30, 2**30)), r"has 48 bytes"),
    "long": (python_2(data=b"T\xff\xff\xff\x7f"), r"a length is wrong"),
    "no state": (
        assembler.file(
            table(x=call(assembler.RECONSTRUCT, assembler.NDARRAY, shape_of(0), string(b"b")))
        ),
        r"without a state",
    ),
    "persistent": (assembler.file(table(x=string(b"0") + b"Q")), r"opcode BINPERSID, which arrays"),
    "more after": (pickle.dumps(DIGITS, 2) + b"N.", r"2 bytes after its end"),
    "one long list many times": (
        assembler.file(
            b"}("
            + string(b"a")
            + listed(*[number(1)] * 2000)
            + put(0)
            + b"".join(string(b"%d" % index) + get(0) for index in range(2000))
            + b"u"
        ),
        r"far more elements",
    ),
    "one array many times": (
        pickle.dumps({"a": (wide := IMAGES | 128), **{f"{index}": wide for index in range(99)}}, 2),
        r"far more room",
    ),
    "opcodes": (b"\x80\x02" + b"N" * 700_000, r"more than 600,000 opcodes"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, capfd):
    data, message = REFUSED[case]
    with pytest.raises(ArrayPickleError, match=message) as caught:
        array_pickle.read(data)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


GOOD = [python_2(), *(pickle.dumps({"data": IMAGES, "labels": [1, 2]}, p) for p in (2, 3, 5))]


@given(st.sampled_from(GOOD), st.data())
def test_damaged(data, draw):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    damaged = bytes(damaged[: draw.draw(st.integers(0, len(data)))])
    with allocating_less_than(2**20), contextlib.suppress(ArrayPickleError):
        for value in array_pickle.read(damaged).values():
            assert not isinstance(value, np.ndarray) or value.dtype == np.uint8
