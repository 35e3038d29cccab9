"""What the tools say about finished sets, and that they find every kind of damage."""

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets import inspection, verification
from datasets.format.tfrecords import ImageFile
from datasets.format.writer import MultiResolutionWriter
from datasets.sources.images import Images
from dnnlib.errors import UserError
from tests import golden
from tests.datasets.data_sets import write_file


def write(directory, images, labels=None):
    with MultiResolutionWriter(directory, directory.name) as writer:
        for image in images:
            writer.add_image(image)
        if labels is not None:
            writer.add_labels(labels)
    return directory


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, [12, 3, 16, 16], "u1")


@pytest.fixture
def one_hot():
    return np.eye(3, dtype=np.float32)[np.arange(12) % 3]


@pytest.fixture
def some(tmp_path, images, one_hot):
    return write(tmp_path / "some", images, one_hot)


def verify(directory):
    return verification.verify(directory, workers=1)


def compare(one, two):
    return verification.compare(str(one), str(two), workers=1)


# ---------------------------------------------------------------- info, display, extract


def test_info(some, tmp_path, images):
    lines = inspection.info(str(some))
    size = sum(path.stat().st_size for path in some.iterdir())
    for line in (
        "name        some",
        "images      12",
        "channels    3 (RGB)",
        "resolution  16×16",
        "labels      3 classes with images: 0: 4, 1: 4, 2: 4",
        f"bytes       {size:,}",
    ):
        assert line in lines
    assert [line.split()[-1] for line in lines[-4:]] == sorted(path.name for path in some.iterdir())
    vectors = write(tmp_path / "vectors", images, np.arange(24).reshape(12, 2))
    assert "labels      2 numbers for each image, from 0 to 23" in inspection.info(str(vectors))
    assert "labels      none" in inspection.info("synthetic-8")
    with pytest.raises(UserError, match=r"'none' not found"):
        inspection.info("none")


def test_display(some, tmp_path, images):
    out = tmp_path / "sheet.png"
    said = inspection.display(str(some), out, "5x4", "first", 0)
    assert said == f"Wrote 12 image(s) of some in 5 columns: {out}"
    with Image.open(out) as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (3 * 16, 5 * 16, 3)  # no empty rows
    np.testing.assert_array_equal(sheet[16:32, 32:48], images[7].transpose(1, 2, 0))
    inspection.display(str(some), out, "2x3", "row_per_class", 0)
    with Image.open(out) as picture:
        sheet = np.asarray(picture)
    for row in range(3):
        for column in range(2):
            cell = sheet[row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            fits = (images[row::3].transpose(0, 2, 3, 1) == cell).all(axis=(1, 2, 3))
            assert fits.sum() == 1


@pytest.mark.parametrize("name", ["sheet", ".png", "sheet.xyz", "sheet.mpg", "sheet.h5", ""])
def test_sheets_are_pictures(some, tmp_path, name):
    with pytest.raises(UserError, match=r"^--out=.*: expected a file name that ends in .*\.webp$"):
        inspection.display(str(some), tmp_path / name, "2x2", "first", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["some"]


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".webp"])
def test_formats_of_sheets(some, tmp_path, suffix):
    inspection.display(str(some), tmp_path / f"a{suffix}", "2x2", "first", 0)
    with Image.open(tmp_path / f"a{suffix}") as picture:
        assert picture.size == (32, 32)


@pytest.mark.conformance
def test_sheets_too_large_for_their_format(tmp_path):
    wide = write(tmp_path / "wide", np.zeros([5000, 1, 4, 4], np.uint8))
    with pytest.raises(UserError, match=r"^--out=.*a\.webp: cannot be written: .*\.png has no"):
        inspection.display(str(wide), tmp_path / "a.webp", "5000x1", "first", 0)
    assert [path.name for path in tmp_path.iterdir()] == ["wide"]


def test_no_sheet_takes_the_place_of_a_directory(some, tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(UserError, match=r"a\.png"):
        inspection.display(str(some), tmp_path / "a.png", "2x2", "first", 0)


@pytest.mark.conformance
@pytest.mark.parametrize("kind", ["classes", "a class without images", "vectors", "no"])
def test_what_is_extracted_converts_to_the_same_set(tmp_path, images, one_hot, kind):
    labels = {
        "classes": one_hot,
        "a class without images": np.pad(one_hot, [(0, 0), (0, 1)]),
        "vectors": np.random.RandomState(1).randn(12, 2).astype(np.float32),
        "no": None,
    }[kind]
    some = write(tmp_path / "some", images, labels)
    out = tmp_path / "files"
    inspection.extract(str(some), out, workers=1)
    names = [path.name for path in sorted(out.iterdir())]
    assert names == [f"{i:06d}.png" for i in range(12)] + ["dataset.json"] * (labels is not None)
    if kind == "classes":
        listed = json.loads((out / "dataset.json").read_text())["labels"]
        assert listed[:2] == [["000000.png", 0], ["000001.png", 1]]
    source = Images(out, shuffle=False)
    again = [source.read(number) for number in source.order()]
    assert compare(some, write(tmp_path / "again", again, source.labels)) == []


def test_extracting_some_images_of_one_channel(tmp_path, images):
    some = write(tmp_path / "some", images[:, :1])
    out = tmp_path / "files"
    said = inspection.extract(str(some), out, workers=1, max_images=2)
    assert said.splitlines()[0] == f"Wrote 2 image(s) of some to {out}"
    assert said.endswith(f"from_images --source={out} --out=DIR --channels=1 --noshuffle")
    assert [path.name for path in sorted(out.iterdir())] == ["000000.png", "000001.png"]
    with Image.open(out / "000001.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), images[1, 0])


def test_gray_images_of_three_channels_stay_so_by_the_command_told(tmp_path, images):
    gray = write(tmp_path / "gray", np.repeat(images[:, :1], 3, axis=1))
    out = tmp_path / "some files"
    said = inspection.extract(str(gray), out, workers=1)
    told = shlex.split(said.split("dataset_tool.py ")[1])
    assert told[:2] == ["create_from_images", f"--source={out}"]
    assert told[3:] == ["--channels=3", "--noshuffle"]
    source = Images(out, channels="3", shuffle=False)
    again = [source.read(number) for number in source.order()]
    assert compare(gray, write(tmp_path / "again", again)) == []


@pytest.mark.parametrize("count", [1, 10**6, 10**6 + 1, 3 * 10**7])
def test_names_sort_as_numbers_do(count):
    numbers = [n for n in (0, 9, 10, 999_999, 1_000_000, 9_999_999, count - 1) if n < count]
    names = [inspection._png_name(number, count) for number in sorted(numbers)]
    assert names == sorted(names)
    assert (names[0] == "000000.png") == (count <= 10**6)


def test_extracting_to_a_directory_in_use_or_from_no_files_is_refused(some, tmp_path):
    with pytest.raises(UserError, match=r"exists already and is not an empty"):
        inspection.extract(str(some), some)
    with pytest.raises(UserError, match=r"has no files"):
        inspection.extract("synthetic-8", tmp_path / "new")


def test_extracting_damage_leaves_nothing(some, tmp_path):
    flip(some / "some-r04.tfrecords", -10)
    with pytest.raises(UserError, match=r"some-r04\.tfrecords: record 11: corrupt data"):
        inspection.extract(str(some), tmp_path / "files", workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["some"]


# ---------------------------------------------------------------- compare


def test_equal_sets(some, tmp_path):
    shutil.copytree(some, tmp_path / "other")
    assert compare(some, tmp_path / "other") == []


def test_the_order_of_features_is_no_difference(tmp_path):
    reference = golden.path("data/tiny_rgb32/tiny_rgb32-r02.tfrecords").parent
    with ImageFile(reference / "tiny_rgb32-r05.tfrecords") as file:
        images = [file.image(index) for index in range(len(file))]
    with open(reference / "tiny_rgb32-rxx.labels", "rb") as file:
        labels = np.load(file, allow_pickle=False)
    assert compare(reference, write(tmp_path / "ours", images, labels)) == []


def test_differences(some, tmp_path, images, one_hot):
    changed, labels = images.copy(), one_hot.copy()
    changed[5, 0, 0, 0] ^= 1  # too little for the lower resolutions, or just enough for one
    changed[9] = 0
    labels[3] = labels[4]
    other = write(tmp_path / "other", changed, labels)
    lines = compare(some, other)
    assert lines[0] == "labels: 1 of 12 differ, first that of record 3"
    assert lines[1] == (
        f"16×16: 2 of 12 images differ, first record 5 of {some}/some-r04.tfrecords and "
        f"{other}/other-r04.tfrecords"
    )
    assert [line.split(":")[0] for line in lines[1:]] == ["16×16", "8×8", "4×4"]
    smaller = write(tmp_path / "smaller", images[:8, :, :8, :8])
    assert compare(some, smaller)[:3] == [
        "images: 12 and 8",
        "resolution: 16 and 8",
        "label size: 3 and 0",
    ]


# ---------------------------------------------------------------- verify


def flip(path, position):
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


@pytest.mark.conformance
def test_intact_sets(some):
    assert verify(some) == []
    assert verify(golden.path("data/tiny_rgb32/tiny_rgb32-r02.tfrecords").parent) == []


def test_sets_whose_levels_were_rounded_one_from_another_are_intact(some, images):
    write_file(some / "some-r03.tfrecords", halve(images))
    write_file(some / "some-r02.tfrecords", halve(halve(images)))
    assert verify(some) == []


def test_all_damage_is_found(some, images):
    """Of content in two records of one file and one of another, at once."""
    record = (some / "some-r04.tfrecords").stat().st_size // 12
    for number in (2, 7):
        flip(some / "some-r04.tfrecords", number * record + 200)
    flip(some / "some-r02.tfrecords", -1)
    assert verify(some) == [
        f"{some}/some-r04.tfrecords: record 2: corrupt data (checksum differs)",
        f"{some}/some-r04.tfrecords: record 7: corrupt data (checksum differs)",
        f"{some}/some-r02.tfrecords: record 11: corrupt data (checksum differs)",
    ]


def halve(images):
    count, channels, size, _ = images.shape
    cells = images.reshape(count, channels, size // 2, 2, size // 2, 2)
    return np.rint(cells.mean(axis=(3, 5))).astype(np.uint8)


def lower(some, images):
    halved = halve(images)
    halved[6, 1, 3, 3] ^= 0x80
    write_file(some / "some-r03.tfrecords", halved)


def another_shape(some, images):
    write_file(some / "some-r03.tfrecords", [*halve(images)[:11], images[11]])


def labels(some, array):
    with open(some / "some-rxx.labels", "wb") as file:
        np.save(file, array)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            lambda some, _: (some / "some-r03.tfrecords").unlink(),
            [r"some-r03\.tfrecords: is missing"],
        ),
        (lower, [r"r02\.tfrecords: record 6: is off", r"r03\.tfrecords: record 6: is off by"]),
        (another_shape, [r"r03\S+ record 11: the image is \[3, 16, 16\], not \[3, 8, 8\]"]),
        (
            lambda some, images: write_file(some / "some-r04.tfrecords", images[:11]),
            [r"some-r04\.tfrecords: 11 images, most files have 12"],
        ),
        (
            lambda some, _: flip(some / "some-r04.tfrecords", 0),
            [r"some-r04\.tfrecords: record 0: corrupt length"],
        ),
        (
            lambda some, _: (some / "some-r04.tfrecords").write_bytes(b""),
            [r"some-r04\.tfrecords: 0 images, most files have 12"],
        ),
        (
            lambda some, _: (some / "some-rxx.labels").write_bytes(b"x"),
            [r"some-rxx\.labels: not a readable \.npy array"],
        ),
        (
            lambda some, _: labels(some, np.zeros([11, 2])),
            [r"some-rxx\.labels: 11 labels for 12 images"],
        ),
        (
            lambda some, _: labels(some, np.full([12, 1], np.nan)),
            [rf"the label of image {index} is not finite" for index in range(12)],
        ),
        (
            lambda some, _: shutil.copy(some / "some-rxx.labels", some / "two.labels"),
            [r"more than one file of labels"],
        ),
    ],
)
def test_each_kind_of_damage_is_named(some, images, damage, expected):
    damage(some, images)
    lines = verify(some)
    assert len(lines) == len(expected)
    for pattern in expected:
        assert sum(bool(re.search(pattern, line)) for line in lines) == 1, lines


def test_two_channels_are_damage(tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    write_file(some / "some-r02.tfrecords", np.zeros([3, 2, 4, 4], np.uint8))
    assert verify(some) == [f"{some}: its images have 2 channels, expected 1 or 3"]


def test_empty_files_are_no_intact_set(tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    for log2 in (2, 3):
        (some / f"some-r0{log2}.tfrecords").touch()
    assert verify(some) == [
        f"{some}/some-r0{log2}.tfrecords: contains no images" for log2 in (2, 3)
    ]


def test_channels_that_come_last_are_named_once(tmp_path):
    some = tmp_path / "some"
    some.mkdir()
    for log2 in (2, 3):
        size = 1 << log2
        write_file(some / f"some-r0{log2}.tfrecords", np.zeros([3, size, size, 3], np.uint8))
    told = "its images are in the order height, width, channels (8×8×3); channels come first"
    assert verify(some) == [f"{some}: {told}"]


def test_hidden_files_are_no_part_of_a_set(some):
    for path in list(some.iterdir()):
        (some / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert verify(some) == []


def test_what_is_no_data_set_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match=r"no such directory"):
        verify(tmp_path / "none")
    with pytest.raises(UserError, match=r"holds no files NAME-r02"):
        verify(tmp_path)
    for name in "ab":
        Path(tmp_path / f"{name}-r02.tfrecords").touch()
    with pytest.raises(UserError, match=r"more than one data set"):
        verify(tmp_path)
