"""Arrays in NumPy's and HDF5's files, and the built-in digits."""

import contextlib
import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given, strategies as st

from datasets.format import builtin as builtin_data
from datasets.format.tfrecords import ImageFile
from datasets.format.writer import MultiResolutionWriter
from datasets.sources.arrays import Digits, Hdf5, Npz
from datasets.sources.base import BadImage
from dnnlib.errors import UserError
from tests import golden

pytestmark = pytest.mark.conformance  # the stacks come with different versions of NumPy and h5py

COUNT = 5
RGB = np.random.RandomState(0).randint(0, 256, [COUNT, 3, 8, 8]).astype(np.uint8)
GREY = RGB[:, :1]
CLASSES = np.array([2, 0, 1, 2, 4])
SAVE = {"stored": np.savez, "packed": np.savez_compressed}


def written(source, directory):
    """The set of a source: {file name: images or labels}."""
    order = source.order()
    with MultiResolutionWriter(directory, source.name) as writer:
        for number in order:
            writer.add_image(source.read(int(number)))
        if source.labels is not None:
            writer.add_labels(source.labels[order])
    found = {}
    for path in directory.glob("*.tfrecords"):
        with ImageFile(path) as file:
            found[path.name] = np.stack([file.image(index) for index in range(len(file))])
    for path in directory.glob("*.labels"):
        found[path.name] = np.load(path, allow_pickle=False)
    return found


def expect(source, images):
    assert (len(source), source.channels, source.resolution) == images.shape[:3]
    assert source.shuffled
    for copy in (source, pickle.loads(pickle.dumps(source))):
        found = np.stack([copy.read(number) for number in range(len(images))])
        assert found.dtype == np.uint8
        assert copy.read(0).flags.c_contiguous
        np.testing.assert_array_equal(found, images)


# ---------------------------------------------------------------- the reference


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize(("name", "log2"), [("tiny_rgb32", 5), ("tiny_gray16", 4)])
def test_the_set_is_the_references(tmp_path, name, log2, save):
    data = golden.load("misc/dataset.npz")
    path = tmp_path / f"{name}.npz"
    save(path, images=data[f"{name}/images"], labels=data[f"{name}/labels"])
    source = Npz(path)
    np.testing.assert_array_equal(source.order(), data[f"{name}/order"])
    found = written(source, tmp_path / "set")
    assert len(found) == log2
    for lod in range(log2 - 1):
        images = found[f"{name}-r{log2 - lod:02d}.tfrecords"]
        np.testing.assert_array_equal(images, data[f"{name}/decoded_lod{lod}"])
        if name == "tiny_rgb32":
            with ImageFile(golden.path(f"data/{name}/{name}-r{log2 - lod:02d}.tfrecords")) as file:
                for index, image in enumerate(images):
                    np.testing.assert_array_equal(image, file.image(index))
                assert len(file) == len(images)
    labels = found[f"{name}-rxx.labels"]
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, data[f"{name}/decoded_labels"])
    if name == "tiny_rgb32":
        theirs = np.load(golden.path(f"data/{name}/{name}-rxx.labels"), allow_pickle=False)
        np.testing.assert_array_equal(labels, theirs)


# ---------------------------------------------------------------- NumPy


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize(
    ("stored", "images"),
    [
        (RGB, RGB),
        (RGB.transpose(0, 2, 3, 1), RGB),
        (np.ascontiguousarray(RGB.transpose(0, 2, 3, 1)), RGB),
        (np.asfortranarray(RGB), RGB),
        (GREY, GREY),
        (GREY[:, 0], GREY),
        (GREY.transpose(0, 2, 3, 1), GREY),
        (RGB[:1, :, :4, :4], RGB[:1, :, :4, :4]),
    ],
)
def test_layouts(tmp_path, stored, images, save):
    save(tmp_path / "some.npz", images=stored)
    source = Npz(tmp_path / "some.npz")
    expect(source, images)
    assert source.labels is None
    assert source.name == "some"
    np.save(tmp_path / "other.npy", stored)
    expect(Npz(tmp_path / "other.npy"), images)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (CLASSES, np.eye(5)[CLASSES]),
        (CLASSES.astype(np.uint8), np.eye(5)[CLASSES]),
        (np.arange(10).reshape(5, 2) / 4, np.arange(10).reshape(5, 2) / 4),
        (CLASSES[:, np.newaxis], np.eye(5)[CLASSES]),
        (CLASSES[:, np.newaxis] / 4, CLASSES[:, np.newaxis] / 4),
        (np.eye(5) > 0, np.eye(5)),
    ],
)
def test_labels(tmp_path, labels, expected, save):
    save(tmp_path / "a.npz", images=RGB, labels=labels)
    np.save(tmp_path / "b.npy", RGB)
    np.save(tmp_path / "b-labels.npy", labels)
    for source in (Npz(tmp_path / "a.npz"), Npz(tmp_path / "b.npy")):
        assert source.labels.dtype == np.float32
        np.testing.assert_array_equal(source.labels, expected)


def wrong(**items):
    return {"images": RGB, **items}


BAD = {
    "no images": ({"x": RGB}, r"has no array named 'images'; write the file with np\.savez"),
    "floats": (wrong(images=RGB / 255), r"array 'images': is float64 .*expected uint8; bring"),
    "objects": (wrong(images=np.array([None])), r"is an array of object, expected one of numbers"),
    "text": (wrong(images=np.array(["a"])), r"is an array of <U1"),
    "alpha": (wrong(images=RGB[:, [0, 1, 2, 0]]), r"uint8 \[5, 4, 8, 8\], expected .*drop the"),
    "not square": (wrong(images=RGB[..., :4]), r"is uint8 \[5, 3, 8, 4\], expected \[N, H, W, C\]"),
    "resolution": (wrong(images=RGB[..., :6, :6]), r"is uint8 \[5, 3, 6, 6\], expected"),
    "tiny": (wrong(images=RGB[..., :2, :2]), r"is uint8 \[5, 3, 2, 2\], expected"),
    "one image": (wrong(images=RGB[0, 0]), r"is uint8 \[8, 8\], expected"),
    "none": (wrong(images=RGB[:0]), r"is uint8 \[0, 3, 8, 8\], expected"),
    "fewer labels": (wrong(labels=CLASSES[1:]), r"'labels': is int64 \[4\], expected .* N = 5"),
    "labels in 3-D": (
        wrong(labels=RGB[:, 0]),
        r"expected integers \[N\] or numbers \[N, K\]",
    ),
    "fractions": (wrong(labels=CLASSES / 2), r"is float64 \[5\], expected integers"),
    "no columns": (wrong(labels=np.zeros([5, 0])), r"is float64 \[5, 0\], expected .* K from 1"),
    "columns": (wrong(labels=np.zeros([5, 10_001], bool)), r"expected .* K from 1 to 10000"),
    "negative": (wrong(labels=CLASSES - 1), r"label -1, expected 0 to 3"),
    "identities": (wrong(labels=CLASSES + 10**9), r"label 1000000004, expected .* 0 to 9999"),
    "not finite": (wrong(labels=np.full([5, 2], np.nan)), r"values that are not finite"),
    "too large": (wrong(labels=np.full([5, 2], 1e99)), r"values that are not finite"),
}


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize("case", BAD)
def test_bad_arrays(tmp_path, case, save):
    arrays, message = BAD[case]
    path = tmp_path / "bad.npz"
    save(path, **arrays)
    with pytest.raises(UserError, match=rf"bad\.npz.*{message}"):
        Npz(path)


def test_bad_files(tmp_path):
    with pytest.raises(UserError, match=r"absent\.npz: cannot read: No such file"):
        Npz(tmp_path / "absent.npz")
    with pytest.raises(UserError, match=r"absent\.npy: cannot read: No such file"):
        Npz(tmp_path / "absent.npy")
    path = tmp_path / "bad.npz"
    for save in SAVE.values():
        save(path, images=RGB)
        good = path.read_bytes()
        middle = len(good) // 2
        damaged = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
        for data in (good[:-1], good[:middle], b"text", damaged):
            path.write_bytes(data)
            with pytest.raises(UserError, match=r"bad\.npz: not a readable \.npz file"):
                Npz(path)
    np.save(tmp_path / "bad.npy", RGB)
    good = (tmp_path / "bad.npy").read_bytes()
    for data in (good[:-1], good + b"\0"):
        (tmp_path / "bad.npy").write_bytes(data)
        with pytest.raises(UserError, match=r"bad\.npy: uint8 .*takes 960 bytes, the file has 9"):
            Npz(tmp_path / "bad.npy")


# ---------------------------------------------------------------- HDF5


def write_hdf5(path, images=RGB, **options):
    """As the Progressive GAN's tool: one data set for each resolution, in chunks, packed."""
    options = options or {"compression": "gzip", "chunks": (2, *images.shape[1:])}
    with h5py.File(path, "w") as file:
        for size in (images.shape[2], 4, 2):
            smaller = np.ascontiguousarray(images[:, :, :size, :size])
            chunks = {"chunks": (2, *smaller.shape[1:])} if "chunks" in options else {}
            file.create_dataset(f"data{size}x{size}", data=smaller, **{**options, **chunks})
    return path


@pytest.mark.parametrize("images", [RGB, GREY], ids=["rgb", "grey"])
@pytest.mark.parametrize("options", [{}, {"compression": None}], ids=["chunks", "contiguous"])
def test_hdf5(tmp_path, images, options):
    path = write_hdf5(tmp_path / "set.h5", images, **options)
    source = Hdf5(path)
    expect(source, images)
    assert source.labels is None
    np.save(tmp_path / "set-labels.npy", np.eye(5)[CLASSES])
    np.testing.assert_array_equal(Hdf5(path).labels, np.eye(5)[CLASSES])


def other_hdf5(path, case):
    outside = write_hdf5(path.with_name("outside.h5"))
    with h5py.File(path, "w") as file:
        if case == "floats":
            file["data8x8"] = RGB / 255
        elif case == "other size":
            file["data16x16"] = RGB
        elif case == "channels last":
            file["data8x8"] = RGB.transpose(0, 2, 3, 1)
        elif case == "group":
            file.create_group("data8x8")
        elif case == "external link":
            file["data8x8"] = h5py.ExternalLink(outside.name, "data8x8")
        elif case == "external storage":
            file.create_dataset("data8x8", RGB.shape, np.uint8, external=[(str(outside), 0, 960)])
        elif case == "virtual":
            layout = h5py.VirtualLayout(RGB.shape, np.uint8)
            layout[:] = h5py.VirtualSource(outside, "data8x8", RGB.shape)
            file.create_virtual_dataset("data8x8", layout)
        elif case == "scalar":
            file["data8x8"] = np.uint8(1)
        elif case == "huge chunks":
            shape = (2**20, 3, 1024, 1024)
            file.create_dataset("data1024x1024", shape, np.uint8, chunks=(512, 3, 1024, 1024))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nothing", r"has no data set named data<R>x<R>"),
        ("floats", r"data8x8: is float64 \[5, 3, 8, 8\], expected uint8 \[N, 1 or 3, 8, 8\]"),
        ("other size", r"data16x16: is uint8 \[5, 3, 8, 8\], expected"),
        ("channels last", r"data8x8: is uint8 \[5, 8, 8, 3\], expected"),
        ("group", r"data8x8: is not a data set stored in this file"),
        ("external link", r"data8x8: is not a data set stored in this file"),
        ("external storage", r"data8x8: is not a data set stored in this file"),
        ("virtual", r"data8x8: is not a data set stored in this file"),
        ("scalar", r"data8x8: is uint8 \[\], expected"),
        ("huge chunks", r"data1024x1024: is stored in chunks of more than"),
    ],
)
def test_other_hdf5_files(tmp_path, case, message):
    path = tmp_path / "bad.h5"
    other_hdf5(path, case)
    with pytest.raises(UserError, match=rf"bad\.h5.*{message}"):
        Hdf5(path)


def test_damaged_hdf5_files(tmp_path):
    path = tmp_path / "bad.h5"
    with pytest.raises(UserError, match=r"bad\.h5: cannot read: No such file"):
        Hdf5(path)
    good = write_hdf5(path).read_bytes()
    for data in (b"text", good[: len(good) // 2], good[:-1]):
        path.write_bytes(data)
        with pytest.raises(UserError, match=r"bad\.h5: not a readable HDF5 file"):
            Hdf5(path)


def test_a_damaged_chunk_of_hdf5(tmp_path):
    path = write_hdf5(tmp_path / "bad.h5")
    with h5py.File(path, "r") as file:
        start = file["data8x8"].id.get_chunk_info(1).byte_offset  # of images 2 and 3
    data = path.read_bytes()
    path.write_bytes(data[:start] + bytes(40) + data[start + 40 :])
    source = Hdf5(path)
    np.testing.assert_array_equal(source.read(1), RGB[1])
    with pytest.raises(BadImage, match=r"^image 2 of .*bad\.h5: cannot be read"):
        source.read(2)
    np.testing.assert_array_equal(source.read(4), RGB[4])


@pytest.fixture(scope="module")
def hdf5_bytes(tmp_path_factory):
    return write_hdf5(tmp_path_factory.mktemp("hdf5") / "good.h5").read_bytes()


@given(st.data())
def test_any_hdf5(hdf5_bytes, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.h5"
    damaged = bytearray(hdf5_bytes)
    for _ in range(data.draw(st.integers(1, 9))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    with contextlib.suppress(UserError):
        source = Hdf5(path)
        assert source.read(0).shape == (source.channels, source.resolution, source.resolution)


# ---------------------------------------------------------------- digits


def test_digits_are_the_built_in_set(tmp_path, monkeypatch):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path))
    found = written(Digits(), tmp_path / "digits")
    theirs = builtin_data.digits_directory()
    assert sorted(found) == sorted(path.name for path in theirs.iterdir())
    for path in theirs.iterdir():
        assert path.read_bytes() == (tmp_path / "digits" / path.name).read_bytes()
    assert found["digits-r05.tfrecords"].shape == (1797, 1, 32, 32)
    assert len(pickle.dumps(Digits())) < 100_000
