"""CelebA's folders and its list of attributes."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from datasets.sources.base import BadImage
from datasets.sources.celeba import Celeba
from dnnlib.errors import UserError

pytestmark = pytest.mark.conformance  # the stacks come with different versions of Pillow

COUNT = 4
PIXELS = np.random.RandomState(0).randint(0, 256, [COUNT, 218, 178, 3]).astype(np.uint8)
VALUES = np.random.RandomState(1).randint(0, 2, [COUNT, 40])
NAMES = [f"Attribute_{column}" for column in range(40)]


def write(directory, suffix="png"):
    folder = directory / ("img_align_celeba_png" if suffix == "png" else "img_align_celeba")
    folder.mkdir(parents=True)
    for number in reversed(range(COUNT)):
        Image.fromarray(PIXELS[number]).save(folder / f"{number + 1:06d}.{suffix}")
    return directory


def attributes(order=range(COUNT), values=VALUES, names=NAMES):
    lines = [f"{len(values)}", " ".join(names)]
    lines += [
        f"{number + 1:06d}.jpg {' '.join(f'{2 * value - 1:2d}' for value in values[number])}"
        for number in order
    ]
    return "".join(f"{line} \r\n" for line in lines)


@pytest.mark.parametrize(("cx", "cy"), [(89, 121), (64, 64), (114, 154)])
def test_crop(tmp_path, cx, cy):
    write(tmp_path)
    source = Celeba(tmp_path, cx=cx, cy=cy)
    assert (len(source), source.channels, source.resolution) == (COUNT, 3, 128)
    assert source.shuffled
    assert source.labels is None
    for copy in (source, pickle.loads(pickle.dumps(source))):
        images = np.stack([copy.read(number) for number in range(COUNT)])
        expected = PIXELS[:, cy - 64 : cy + 64, cx - 64 : cx + 64].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(images, expected)
    assert source.describe(1).endswith("img_align_celeba_png/000002.png")


def test_default_crop_is_the_references(tmp_path):
    expected = PIXELS[0, 57:185, 25:153].transpose(2, 0, 1)
    np.testing.assert_array_equal(Celeba(write(tmp_path)).read(0), expected)


def test_jpeg_where_there_is_no_png(tmp_path):
    source = Celeba(write(tmp_path, "jpg"))
    path = tmp_path / "img_align_celeba/000003.jpg"
    expected = np.asarray(Image.open(path))[57:185, 25:153].transpose(2, 0, 1)
    np.testing.assert_array_equal(source.read(2), expected)
    write(tmp_path)
    assert Celeba(tmp_path).describe(0).endswith(".png")


@pytest.mark.parametrize("place", [".", "Anno"])
def test_attributes(tmp_path, place):
    write(tmp_path)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "list_attr_celeba.txt").write_text(attributes([2, 0, 3, 1]))
    source = Celeba(tmp_path)
    assert source.label_names == tuple(NAMES)
    assert source.labels.dtype == np.float32
    np.testing.assert_array_equal(source.labels, VALUES)


BAD = {
    "names": (attributes(names=NAMES[1:]), r"line 2: expected .* of 40 attributes, found 39"),
    "empty": ("", r"line 2: expected .* of 40 attributes, found 0"),
    "an image less": (attributes([0, 1, 3]), r"has no line for 000003\.png"),
    "a column less": (attributes(values=VALUES[:, 1:]), r"line 3: expected .* 40 times 1 or -1"),
    "other value": (attributes().replace("-1", "0", 1), r"line 3: expected .* 40 times"),
    "no text": ("\x81" + attributes(), r"cannot be read as text"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_attributes(tmp_path, case):
    text, message = BAD[case]
    (write(tmp_path) / "list_attr_celeba.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=rf"list_attr_celeba\.txt.*{message}"):
        Celeba(tmp_path)


@given(st.binary(max_size=200))
def test_any_attributes(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("any")
    (directory / "img_align_celeba").mkdir()
    (directory / "img_align_celeba/000001.jpg").touch()
    names = " ".join(NAMES).encode()
    (directory / "list_attr_celeba.txt").write_bytes(b"1\n" + names + b"\n000001.jpg " + data)
    with pytest.raises(UserError, match=r"list_attr_celeba\.txt"):
        Celeba(directory)


def test_bad_images(tmp_path):
    folder = write(tmp_path) / "img_align_celeba_png"
    Image.fromarray(PIXELS[0, :-1]).save(folder / "000001.png")
    (folder / "000002.png").write_bytes(b"no picture")
    Image.fromarray(PIXELS[2, ..., 0]).save(folder / "000003.png")
    source = Celeba(tmp_path)
    (folder / "000004.png").unlink()
    messages = [
        r"000001\.png: is RGB 178×217, expected RGB 178×218",
        r"000002\.png",
        r"000003\.png: is L 178×218, expected RGB 178×218",
        r"000004\.png: cannot be read: No such file",
    ]
    for number, message in enumerate(messages):
        with pytest.raises(BadImage, match=message):
            source.read(number)


def test_pipes_and_devices_are_bad_images(tmp_path):
    folder = write(tmp_path) / "img_align_celeba_png"
    for number in (1, 2):
        (folder / f"00000{number}.png").unlink()
    os.mkfifo(folder / "000001.png")
    (folder / "000002.png").symlink_to("/dev/zero")
    source = Celeba(tmp_path)
    for number in (0, 1):
        with pytest.raises(BadImage, match=rf"_png/00000{number + 1}\.png: is not a regular file"):
            source.read(number)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cx": 63}, r"--cx is 63, expected 64 to 114"),
        ({"cx": 115}, r"--cx is 115, expected 64 to 114"),
        ({"cy": 63}, r"--cy is 63, expected 64 to 154"),
        ({"cy": 155}, r"--cy is 155, expected 64 to 154"),
        ({}, r"neither img_align_celeba_png/\*\.png nor img_align_celeba/\*\.jpg"),
    ],
)
def test_bad_options_and_no_images(tmp_path, options, message):
    (tmp_path / "img_align_celeba").mkdir()
    with pytest.raises(UserError, match=message):
        Celeba(tmp_path, **options)
