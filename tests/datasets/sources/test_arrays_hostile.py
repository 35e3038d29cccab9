"""Damaged and hostile files in NumPy's formats: claims, bombs, pipes."""

import contextlib
import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, strategies as st

from datasets.sources.arrays import Hdf5, Npz, load_npy
from dnnlib.errors import UserError
from tests.memory import allocating_less_than

pytestmark = pytest.mark.conformance  # the stacks come with different versions of NumPy

RGB = np.random.RandomState(0).randint(0, 256, [5, 3, 8, 8]).astype(np.uint8)
SAVE = {"stored": np.savez, "packed": np.savez_compressed}


def header(shape, descr="|u1", rest=b""):
    file = io.BytesIO()
    values = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, values)
    return file.getvalue() + rest


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_claims_are_not_believed(tmp_path, compression):
    path = tmp_path / "claims.npz"
    contents = [header((2**40, 3, 8, 8)), header((-1, -3, 1, 1), rest=b"123"), b"((((" * 99]
    contents += [header((2**70,), "O"), header((0, 2**62, 2**62)), header((0, 2**70))]
    contents += [header((1,), [("a", "u1")], b"1"), b""]
    for data in contents:
        with zipfile.ZipFile(path, "w", compression) as file:
            file.writestr("images.npy", data)
        with allocating_less_than(2**21), pytest.raises(UserError, match=r"claims\.npz"):
            Npz(path)


BOMBS = {
    "layout": ("images", (2**20, 5, 20), "|u1", r"is uint8 \[1048576, 5, 20\], expected \[N, H, W"),
    "floats": ("images", (25, 1, 512, 1024), "<f8", r"is float64 .*expected uint8"),
    "objects": ("images", (25 * 2**19,), "|O", r"is an array of object"),
    "more": ("images", (99, 1, 1024, 1024), "|u1", r"takes 103,809,024 bytes, the file has 104,"),
    "classes": ("labels", (100 * 2**20,), "|u1", r"'labels': is uint8 .*N = 5"),
    "columns": ("labels", (5, 20 * 2**20), "|u1", r"'labels': is uint8 .*K from 1 to 10000"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs_are_not_unpacked(tmp_path, case):
    name, shape, descr, message = BOMBS[case]
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **({} if name == "images" else {"images": RGB}))
    archive = zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED)
    with archive, archive.open(f"{name}.npy", "w") as member:
        member.write(header(shape, descr))
        for _ in range(100):
            member.write(bytes(2**20))
    with allocating_less_than(2**21), pytest.raises(UserError, match=message):
        Npz(path)


@pytest.mark.parametrize(
    ("count", "message"),
    [(5, r"takes 960 bytes, the file has 1,920"), (10, r"'images' is shorter than it claims")],
)
def test_a_member_shorter_than_it_claims(tmp_path, count, message):
    path = tmp_path / "short.npz"
    content = header((count, 3, 8, 8), rest=RGB.tobytes())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", content)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\1\2") + 24  # of the size in the zip's directory
    struct.pack_into("<I", data, place, len(content) + RGB.size)
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        Npz(path)


@pytest.mark.parametrize("name", ["pipe.npz", "pipe.npy", "pipe.h5"])
def test_pipes_are_refused(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=rf"{name}: is not a regular file"):
        (Hdf5 if name.endswith("h5") else Npz)(tmp_path / name)


def test_open_unpacks_before_the_first_read(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=RGB)
    source = pickle.loads(pickle.dumps(Npz(tmp_path / "a.npz")))
    source.open()
    (tmp_path / "a.npz").unlink()
    np.testing.assert_array_equal(source.read(1), RGB[1])


@given(st.data())
def test_any_header(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.npy"
    good = bytearray(header((1, 4, 4), rest=bytes(16)))
    for _ in range(data.draw(st.integers(0, 4))):
        good[data.draw(st.integers(0, 80))] = data.draw(st.integers(0, 255))
    path.write_bytes(good[: data.draw(st.integers(0, len(good)))])
    with contextlib.suppress(UserError):
        assert load_npy(path).size <= 16


@given(st.data())
def test_any_zip(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.npz"
    file = io.BytesIO()
    data.draw(st.sampled_from(list(SAVE.values())))(file, images=RGB[:1, :, :4, :4])
    damaged = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    with contextlib.suppress(UserError):
        assert Npz(path).read(0).shape == (3, 4, 4)
