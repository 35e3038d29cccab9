"""Seeds, labels, and latents from files."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dnnlib.errors import UserError
from generation import latents
from tests.memory import allocating_less_than


def test_seeds():
    assert latents.parse_seeds("7") == [7]
    assert latents.parse_seeds("1,5, 20-22") == [1, 5, 20, 21, 22]
    for bad in ("", "a", "3-1", "1-", "-1", "0-99999999", "4294967296"):
        with pytest.raises(UserError, match="--rows_seeds"):
            latents.parse_seeds(bad, "--rows_seeds")


def test_each_latent_depends_on_its_seed_alone():
    z = latents.from_seeds([3, 8], 5)
    assert z.dtype == np.float32
    for row, seed in zip(z, (3, 8)):
        np.testing.assert_array_equal(row, np.float32(np.random.RandomState(seed).randn(5)))


def test_labels():
    np.testing.assert_array_equal(latents.labels_for([3, 4, 2], 3), np.eye(3)[[0, 1, 2]])
    np.testing.assert_array_equal(latents.labels_for([3, 4], 3, 1), np.eye(3)[[1, 1]])
    assert latents.labels_for([3, 4], 0).shape == (2, 0)
    with pytest.raises(UserError, match="--class=0: the network has no labels"):
        latents.labels_for([0], 0, 0)
    for size, wanted in ((3, 3), (3, -1)):
        with pytest.raises(UserError, match=f"--class={wanted}: the network has {size} classes"):
            latents.labels_for([0], size, wanted)


def written(tmp_path, **arrays):
    np.savez(tmp_path / "latents.npz", **arrays)
    return tmp_path / "latents.npz"


def test_files(tmp_path):
    z, w = np.arange(6.0).reshape(2, 3), np.arange(24).reshape(2, 4, 3)
    labels = np.float32([[1, 0], [0.25, 0.75]])
    found = latents.read(written(tmp_path, z=z), 3, 2, (4, 3))
    assert {name: array.dtype for name, array in found.items()} == {"z": np.float32}
    np.testing.assert_array_equal(found["z"], z)
    found = latents.read(written(tmp_path, z=z, labels=labels), 3, 2, (4, 3))
    np.testing.assert_array_equal(found["labels"], labels)
    assert list(latents.read(written(tmp_path, z=z, labels=labels), 3, 0, None)) == ["z"]
    found = latents.read(written(tmp_path, z=z, w=w, labels=labels), 3, 2, (4, 3))
    assert list(found) == ["w"]
    np.testing.assert_array_equal(found["w"], w)
    found = latents.read(written(tmp_path, w=w[:, 1]), 3, 0, (4, 3))
    for layer in range(4):
        np.testing.assert_array_equal(found["w"][:, layer], w[:, 1])
    assert list(latents.read(written(tmp_path, z=z, w=w), 3, 0, None)) == ["z"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (dict(z=np.zeros([2, 3]), labels=np.zeros([2, 3])), r"labels has shape \[2, 3\]"),
        (dict(z=np.zeros([2, 3]), labels=np.zeros([1, 2])), "1 labels for 2 latents"),
        (dict(z=np.zeros([2, 3]), seeds=np.arange(3)), "seeds are not 2 whole numbers"),
        (dict(w=np.zeros([1, 4, 3]), seeds=np.array([2**32])), "below 2"),
        (dict(z=np.zeros([1, 3]), seeds=np.array([0.5])), "seeds are not 1 whole"),
        (dict(z=np.float32(3)), r"z has shape \[\], expected \[N, 3\]"),
        (dict(x=np.zeros(3)), "holds no array named w or z"),
        (dict(z=np.zeros([2, 4])), r"z has shape \[2, 4\], expected \[N, 3\]"),
        (dict(z=np.zeros(3)), r"z has shape \[3\]"),
        (dict(z=np.zeros([0, 3])), r"z has shape \[0, 3\]"),
        (dict(w=np.zeros([2, 3, 3])), r"w has shape \[2, 3, 3\], expected \[N, 4, 3\]"),
        (dict(z=np.array([["a", "b", "c"]])), "z has the type <U1, expected numbers"),
        (dict(z=np.zeros([1, 3], complex)), "type complex128"),
        (dict(z=np.array([[0, np.nan, 0]])), "not a number"),
        (dict(z=np.array([[0, 1e300, 0]])), "infinite"),
        (dict(z=np.array([[None, None, None]])), "not an .npz or .npy file of numbers"),
    ],
)
def test_files_that_do_not_fit(arrays, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        latents.read(written(tmp_path, **arrays), 3, 2, (4, 3))
    assert "latents.npz" in str(caught.value)


W = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
Z = np.arange(10, dtype=np.float32).reshape(2, 5)


@pytest.mark.parametrize("name", ["w", "dlatents", "projected_w", "latents", "arr_0"])
def test_a_w_has_the_shape_of_one_code_or_of_several(name, tmp_path):
    for array, expected in ((W, W), (W[:1], W[:1]), (W[1], W[1:])):
        path = written(tmp_path, **{name: array})
        np.testing.assert_array_equal(latents.read(path, 5, 0, (4, 3))["w"], expected)
    same = latents.read(written(tmp_path, **{name: W[0, :2]}), 5, 0, (4, 3))["w"]
    np.testing.assert_array_equal(same, np.repeat(W[0, :2, None], 4, axis=1))


@pytest.mark.parametrize("name", ["z", "latents", "arr_0"])
def test_z_under_other_names(name, tmp_path):
    for w_shape in (None, (4, 3)):
        read = latents.read(written(tmp_path, **{name: Z}), 5, 0, w_shape)
        assert list(read) == ["z"]
        np.testing.assert_array_equal(read["z"], Z)


def test_an_array_alone(tmp_path):
    path = tmp_path / "one.npy"
    for array, key, expected in ((W, "w", W), (W[1], "w", W[1:]), (Z, "z", Z)):
        np.save(path, array)
        np.testing.assert_array_equal(latents.read(path, 5, 0, (4, 3))[key], expected)
    np.save(path, np.array([{}]))
    with pytest.raises(UserError, match=r"one\.npy: not an \.npz or \.npy file of numbers"):
        latents.read(path, 5, 0, (4, 3))


@pytest.mark.parametrize(
    ("arrays", "readings"),
    [
        (dict(arr_0=W[0]), (r"4 z \[N, 3\]", r"one w \[layers, width\]")),
        (dict(latents=W[0, :2]), (r"2 z \[N, 3\]", "2 w that go to all layers")),
        (dict(w=W[0], seeds=np.arange(4)), (r"one code \[layers, width\]", "4 codes that go to")),
    ],
)
def test_two_readings_are_both_named(arrays, readings, tmp_path):
    for reading in readings:
        with pytest.raises(UserError, match=reading):
            latents.read(written(tmp_path, **arrays), 3, 0, (4, 3))


def test_more_codes_than_seeds_may_be_are_refused_by_their_header(tmp_path):
    np.savez_compressed(tmp_path / "many.npz", z=np.zeros([1_000_001, 3], bool))
    with pytest.raises(
        UserError, match=r"z has shape \[1000001, 3\], expected no more than 1,000,000"
    ):
        latents.read(tmp_path / "many.npz", 3, 0, None)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.zeros([2, 3]))
        archive.writestr("z.npy", file.getvalue().replace(b"(2, 3)", b"(9, 99999999)"))
    with pytest.raises(UserError, match=r"no more than .* 1,024 MiB"):
        latents.read(tmp_path / "bomb.npz", 3, 0, None)


def test_codes_for_all_layers_take_no_room_for_each(tmp_path):
    np.save(tmp_path / "w.npy", np.zeros([30_000, 64], np.float32))
    with allocating_less_than(2**25):  # 18 layers would take 138 MB
        assert latents.read(tmp_path / "w.npy", 5, 0, (18, 64))["w"].shape == (30_000, 18, 64)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"is a directory, not an \.npz or \.npy file"):
        latents.read(tmp_path, 3, 2, (4, 3))
    with pytest.raises(UserError, match=r"none\.npz: no such file"):
        latents.read(tmp_path / "none.npz", 3, 2, (4, 3))


def _npz():
    file = io.BytesIO()
    np.savez_compressed(file, z=np.ones([2, 3], np.float32))
    return file.getvalue()


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=0, max_size=4)), max_size=4))
def test_damaged_files_are_a_users_error(tmp_path_factory, changes):
    data = _npz()
    for position, piece in changes:
        data = data[:position] + piece + data[position + 1 :]
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(data)
    with contextlib.suppress(UserError):  # nothing else may come
        found = latents.read(path, 3, 2, (4, 3))
        assert list(found) == ["z"]
        assert found["z"].shape[1:] == (3,)


def test_a_size_that_is_not_there_is_not_allocated(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros([2, 3]))
    huge = file.getvalue().replace(b"(2, 3)", b"(2000000000000, 3)".ljust(6))
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("z.npy", huge)
    with pytest.raises(UserError, match=r"huge\.npz"):
        latents.read(tmp_path / "huge.npz", 3, 2, (4, 3))
