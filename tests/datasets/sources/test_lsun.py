"""LSUN's databases as LMDB's own library writes them; and damaged ones."""

import contextlib
import io
import pickle
import struct

import lmdb
import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from datasets.sources.base import BadImage, TooSmall
from datasets.sources.lsun import Lmdb, Lsun, LsunWide
from dnnlib.errors import UserError

pytestmark = pytest.mark.conformance  # the stacks come with different versions of Pillow


def write(directory, values):
    """values: {key: bytes}, in any order; LMDB sorts by key."""
    with changing(directory) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    return directory


@contextlib.contextmanager
def changing(directory):
    environment = lmdb.open(str(directory), map_size=2**26)
    with environment, environment.begin(write=True) as transaction:
        yield transaction


def picture(width, height, seed=0, kind="PNG", mode="RGB", **options):
    shape = [height, width, len(mode)]
    pixels = np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if mode == "L" else pixels).save(file, kind, **options)
    return file.getvalue(), pixels


def keys(count):
    """Like LSUN's: 40 hexadecimal digits."""
    random = np.random.RandomState(1)
    return [random.bytes(20).hex().encode() for _ in range(count)]


# ---------------------------------------------------------------- the database


@pytest.mark.parametrize("count", [1, 3, 70, 2000])
def test_values_are_in_the_librarys_order(tmp_path, count):
    random = np.random.RandomState(0)
    # On the page itself, barely, not any more, and on several of their own.
    sizes = random.choice([0, 1, 500, 1990, 2100, 9000], count)
    write(tmp_path, {key: random.bytes(size) for key, size in zip(keys(count), sizes)})
    environment = lmdb.open(str(tmp_path), readonly=True, lock=False)
    with environment, environment.begin() as transaction:
        expected = [value for _, value in transaction.cursor()]
    found = Lmdb(tmp_path)
    assert len(found) == count
    for number in [count - 1, 0, *range(count)]:
        assert bytes(found.value(number)) == expected[number]


def test_after_changes(tmp_path):
    """Freed pages, several transactions; and the file itself in place of its directory."""
    names = keys(500)
    write(tmp_path, {key: key * 60 for key in names})
    with changing(tmp_path) as transaction:
        for key in names[::2]:
            transaction.delete(key)
    write(tmp_path, {b"z": b"last"})
    found = Lmdb(tmp_path / "data.mdb")
    expected = [key * 60 for key in sorted(names[1::2])] + [b"last"]
    assert [bytes(found.value(number)) for number in range(len(found))] == expected


def test_missing_empty_and_other_files(tmp_path):
    with pytest.raises(UserError, match=r"there is no LMDB \(data\.mdb\) here"):
        Lsun(tmp_path, 32)
    write(tmp_path, {})
    with pytest.raises(UserError, match=r"the LMDB is empty"):
        Lsun(tmp_path, 32)
    for data in (b"x", bytes(8192)):
        (tmp_path / "data.mdb").write_bytes(data)
        with pytest.raises(UserError, match=r"data\.mdb: not a readable LMDB"):
            Lsun(tmp_path, 32)


def test_databases_of_another_kind(tmp_path):
    with lmdb.open(str(tmp_path), map_size=2**20, max_dbs=2) as environment:
        environment.open_db(b"inner", dupsort=True)
    with pytest.raises(BadImage, match=r"image 0 of .*of another kind"):
        Lsun(tmp_path, 32).read(0)


def test_truncated(tmp_path):
    path = write(tmp_path, {key: bytes(5000) for key in keys(50)}) / "data.mdb"
    good = path.read_bytes()
    for size in (10, 4096, 5000, 8192, 40_000, len(good) - 4096):
        path.write_bytes(good[:size])
        with pytest.raises(UserError, match=r"data\.mdb: not a readable LMDB"):
            Lmdb(tmp_path)


def test_a_circle_of_pages(tmp_path):
    path = write(tmp_path, {key: bytes(500) for key in keys(50)}) / "data.mdb"
    data = bytearray(path.read_bytes())
    # Of the two descriptions the one with the higher number of its transaction.
    metas = [struct.unpack_from("<3Q", data, start + 128) for start in (0, 4096)]
    root = max(metas, key=lambda meta: meta[2])[0]
    start = root * 4096
    assert data[start + 10] == 1  # a branch
    (node,) = struct.unpack_from("<H", data, start + 16)
    struct.pack_into("<3H", data, start + node, root, 0, 0)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"in a circle"):
        Lmdb(tmp_path)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    random = np.random.RandomState(0)
    values = {key: random.bytes(random.choice([9, 900, 5000])) for key in keys(60)}
    directory = write(tmp_path_factory.mktemp("small"), values)
    return (directory / "data.mdb").read_bytes()


@given(st.data())
def test_damaged(small, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.mdb"
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 30))):
        page = data.draw(st.integers(0, len(small) // 4096 - 1))
        damaged[page * 4096 + data.draw(st.integers(0, 160))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.sampled_from([None, len(small) // 2]))])
    try:
        found = Lmdb(path)
    except UserError:
        return
    for number in range(len(found)):
        with contextlib.suppress(ValueError):
            assert len(found.value(number)) < len(small)


# ---------------------------------------------------------------- the pictures


def resized(pixels, width, height):
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


@pytest.mark.parametrize("size", [(50, 41), (41, 50), (32, 32), (20, 31), (101, 100)])
def test_square(tmp_path, size):
    data, pixels = picture(*size)
    source = Lsun(write(tmp_path, {b"a": data}), 32)
    assert (len(source), source.channels, source.resolution) == (1, 3, 32)
    assert source.labels is None
    height, width = pixels.shape[:2]
    crop = min(height, width)
    rows = slice((height - crop) // 2, (height + crop) // 2)
    columns = slice((width - crop) // 2, (width + crop) // 2)
    for copy in (source, pickle.loads(pickle.dumps(source))):
        image = copy.read(0)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, resized(pixels[rows, columns], 32, 32))


def test_database_order_and_max_images(tmp_path):
    values = {b"%d" % index: picture(32, 32, index)[0] for index in (3, 1, 2)}
    write(tmp_path, values)
    source = Lsun(tmp_path, 32, max_images=2)
    np.testing.assert_array_equal(source.order(), [0, 1])
    for number in (0, 1):
        pixels = picture(32, 32, number + 1)[1]
        np.testing.assert_array_equal(source.read(number), pixels.transpose(2, 0, 1))
    assert len(Lsun(tmp_path, 32, max_images=9)) == 3
    with pytest.raises(UserError, match=r"--max_images is 0, expected at least 1"):
        Lsun(tmp_path, 32, max_images=0)


def test_webp_jpeg_grey_and_alpha(tmp_path):
    webp, exact = picture(32, 32, kind="WEBP", lossless=True)
    grey, values = picture(32, 32, mode="L")
    alpha, colours = picture(32, 32, mode="RGBA")
    jpeg = picture(32, 32, kind="JPEG")[0]
    source = Lsun(write(tmp_path, {b"0": webp, b"1": grey, b"2": alpha, b"3": jpeg}), 32)
    np.testing.assert_array_equal(source.read(0), exact.transpose(2, 0, 1))
    np.testing.assert_array_equal(source.read(1), np.tile(values[..., 0], [3, 1, 1]))
    np.testing.assert_array_equal(source.read(2), colours[..., :3].transpose(2, 0, 1))
    assert source.read(3).shape == (3, 32, 32)


@pytest.mark.parametrize("size", [(32, 24), (41, 33), (64, 48), (33, 60), (32, 70)])
def test_wide(tmp_path, size):
    width, height = 32, 24
    data, pixels = picture(*size)
    source = LsunWide(write(tmp_path, {b"a": data}), width, height)
    assert (len(source), source.channels, source.resolution) == (1, 3, 32)
    ch = int(np.round(width * size[1] / size[0]))
    rows = slice((size[1] - ch) // 2, (size[1] + ch) // 2)
    expected = np.zeros([3, 32, 32])
    expected[:, 4:28] = resized(pixels[rows], width, height)
    np.testing.assert_array_equal(source.read(0), expected)
    np.testing.assert_array_equal(source.order(), [0])


@pytest.mark.parametrize("size", [(31, 40), (64, 46), (32, 23), (100, 32)])
def test_wide_leaves_small_images_out(tmp_path, size):
    source = LsunWide(write(tmp_path, {b"a": picture(*size)[0]}), 32, 24)
    with pytest.raises(
        TooSmall, match=rf"image 0 of .*is {size[0]}×{size[1]}, too small for 32×24"
    ):
        source.read(0)


def test_pictures_that_are_none(tmp_path):
    source = Lsun(write(tmp_path, {b"a": b"no picture", b"b": picture(9, 9)[0][:60]}), 32)
    for number in (0, 1):
        with pytest.raises(BadImage, match=rf"image {number} of {tmp_path}"):
            source.read(number)


def test_a_damaged_value_is_one_bad_image(tmp_path):
    path = write(tmp_path, {key: picture(40, 40)[0] for key in keys(5)}) / "data.mdb"
    data = bytearray(path.read_bytes())
    overflow = next(start for start in range(0, len(data), 4096) if data[start + 10] == 4)
    data[overflow] ^= 255
    path.write_bytes(data)
    bad = []
    source = Lsun(tmp_path, 32)
    for number in range(5):
        try:
            source.read(number)
        except BadImage as error:
            bad.append(str(error))
    assert len(bad) == 1
    assert "of data.mdb is damaged" in bad[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: Lsun(path, 48), r"--resolution is 48, expected a power of two"),
        (lambda path: LsunWide(path, 500, 384), r"--width is 500, expected a power of two"),
        (lambda path: LsunWide(path, 512, 513), r"--height is 513, expected 1 to the width, 512"),
        (lambda path: LsunWide(path, 512, 0), r"--height is 0"),
    ],
)
def test_sizes(tmp_path, make, message):
    with pytest.raises(UserError, match=message):
        make(tmp_path)
