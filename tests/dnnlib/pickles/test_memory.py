"""What reading a legacy pickle takes: the file, as much for its arrays, and 64 MiB at most."""

import tracemalloc
from unittest import mock

import numpy as np
import pytest

from dnnlib.errors import UserError
from dnnlib.pickles import tf_networks
from networks import legacy
from tests.dnnlib.pickles import pickle_assembler as assembler

SPARE = 64 * 2**20
SIZE = 48 * 2**20  # of the arrays: so large that one of them too many shows beside the spare


def peak_of_reading(path):
    """(bytes that Python and NumPy hold at most, the error or None)."""
    mapped, room = [0], tf_networks._room

    def counted(shape, dtype):  # mappings, which Python does not count
        array = room(shape, dtype)
        mapped[0] += array.nbytes if array.base is not None else 0
        return array

    tracemalloc.start()
    try:
        with mock.patch.object(tf_networks, "_room", counted):
            legacy.read(path)
        error = None
    except UserError as caught:
        error = str(caught)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak + mapped[0], error


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("fill", [0, 1e-3])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_of_what_networks_are_written_as(protocol, dtype, fill, order, tmp_path):
    """fill: zeros are the shortest text in protocol 2, which has the bytes as text."""
    shape = (3, SIZE // np.dtype(dtype).itemsize // 3)
    values = np.asarray(np.full(shape, fill, dtype), order=order)
    path = tmp_path / "net.pkl"
    path.write_bytes(assembler.pickled(assembler.original(3, [("w", values)]), protocol))
    peak, error = peak_of_reading(path)
    assert error is None
    # A half of the spare, so that what is no share of the file cannot hide a second copy of it.
    assert peak < 2 * path.stat().st_size + SPARE / 2


def many_of(span, kind, dims, count=12):
    """Arrays of the same bytes."""
    shared = span + assembler.put(0)
    return assembler.variables(
        ("w0", assembler.array(data=[shared], shape=dims, kind=kind)),
        *(
            (f"w{i}", assembler.array(data=[assembler.get(0)], shape=dims, kind=kind))
            for i in range(1, count)
        ),
    )


def floats():
    return many_of(assembler.raw(bytes(SIZE)), assembler.dtype(), (SIZE // 4,))


def halves():
    return many_of(assembler.raw(bytes(SIZE)), assembler.dtype("f2"), (SIZE // 2,))


def widened():
    return many_of(assembler.raw(bytes(SIZE)), assembler.dtype("i1", "|"), (SIZE,))


def texts():
    text = assembler.call(assembler.CODECS, assembler.text("\0" * SIZE), assembler.text("latin1"))
    return many_of(text, assembler.dtype(), (SIZE // 4,))


def no_numbers():
    damaged = np.full(SIZE // 4, np.nan, np.float32).tobytes()
    return assembler.variables(("w", assembler.array(damaged, (SIZE // 4,))))


@pytest.mark.parametrize("body", [floats, halves, widened, texts, no_numbers])
def test_of_what_is_refused(body, tmp_path):
    path = tmp_path / "net.pkl"
    path.write_bytes(assembler.file(assembler.network(variables=body())))
    peak, error = peak_of_reading(path)
    assert error is not None
    assert peak < 2 * path.stat().st_size + SPARE / 2


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "net.pkl"
    with open(path, "wb") as file:
        file.write(assembler.BENIGN["version 3"])
        file.truncate(tf_networks.MAX_BYTES + 1)  # takes no room on the disk
    peak, error = peak_of_reading(path)
    assert error == (
        f"{path}: not a readable legacy network: the file has {tf_networks.MAX_BYTES + 1:,} bytes, "
        f"more than the {tf_networks.MAX_BYTES:,} allowed"
    )
    assert peak < 2**20
