"""Folders and zip files of pictures."""

import contextlib
import json
import multiprocessing
import pickle
import zipfile

import numpy as np
import pytest
from PIL import Image

from datasets.format.writer import choose_shuffled_order
from datasets.sources.base import BadImage
from datasets.sources.images import Images
from dnnlib.errors import UserError

NAMES = ["b/1.png", "a/2.PNG", "a/10.png", "c.png", "b/deep/er/0.png"]
SORTED = ["a/10.png", "a/2.PNG", "b/1.png", "b/deep/er/0.png", "c.png"]


def pixels_of(name, size=8, channels=3):
    seed = np.frombuffer(name.encode(), np.uint8)
    shape = [size, size, channels] if channels > 1 else [size, size]
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def write(directory, *names, **options):
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels_of(name, **options)).save(path)
    return directory


def pack(directory, path, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for entry in sorted(directory.rglob("*"), reverse=True):
            file.write(entry, entry.relative_to(directory).as_posix())
    return path


def write_labels(directory, labels):
    (directory / "dataset.json").write_text(json.dumps({"labels": labels}))


@pytest.fixture(params=["folder", "zip"])
def place(request, tmp_path):
    """A function: a filled directory → what to give to Images."""
    zip_file = tmp_path / "pictures.zip"
    return lambda path: pack(path, zip_file) if request.param == "zip" else path


def read_all(source):
    return {source.describe(number): source.read(number) for number in range(len(source))}


def check_content(source, names=SORTED):
    images = read_all(source)
    assert list(images) == names
    for name, image in images.items():
        np.testing.assert_array_equal(image, pixels_of(name).transpose(2, 0, 1))


@pytest.mark.conformance
def test_finds_everything(tmp_path, place):
    directory = write(
        tmp_path / "pictures",
        *NAMES,
        ".hidden.png",
        ".thumbs/x.png",
        "a/.x/y.png",
        "__MACOSX/z.png",
    )
    (directory / "readme.txt").write_text("hello")
    (directory / "a/list.csv").write_text("hello")
    source = Images(place(directory))
    check_content(source)
    assert (source.name, source.resolution, source.channels) == ("pictures", 8, 3)
    assert source.ignored == 2
    assert source.labels is None  # one is in no subfolder
    np.testing.assert_array_equal(source.order(), choose_shuffled_order(5))


def test_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(write(tmp_path / "faces", "1.png"))
    assert Images(".").name == "faces"


def test_order_and_number_of_images(tmp_path):
    directory = write(tmp_path, *NAMES)
    source = Images(directory, shuffle=False)
    np.testing.assert_array_equal(source.order(), np.arange(5))
    source = Images(directory, shuffle=False, max_images=2)
    assert [source.describe(number) for number in source.order()] == SORTED[:2]
    write_labels(directory, [[name, number] for number, name in enumerate(SORTED)])
    source = Images(directory, max_images=3)
    first = choose_shuffled_order(5)[:3]
    assert [source.describe(number) for number in source.order()] == [SORTED[i] for i in first]
    np.testing.assert_array_equal(source.labels[source.order()], np.eye(5)[first])
    assert len(source) == 3
    assert len(Images(directory, max_images=9)) == 5


def test_one_class_per_subfolder(tmp_path, place):
    source = Images(place(write(tmp_path / "a", "dog/1.png", "cat/x/1.png", "cat/2.png")))
    assert source.label_names == ["cat", "dog"]
    assert source.labels.dtype == np.float32
    np.testing.assert_array_equal(source.labels, [[1, 0], [1, 0], [0, 1]])


def test_labels_below_a_single_folder_or_why_there_are_none(tmp_path, place):
    directory = write(tmp_path / "a", "photos/dog/1.png", "photos/cat/2.png")
    source = Images(place(directory))
    assert (source.label_names, source.no_labels) == (["cat", "dog"], "")
    np.testing.assert_array_equal(source.labels, [[1, 0], [0, 1]])
    write(directory, "cover.png")
    source = Images(place(directory))
    assert source.labels is None
    assert source.no_labels.startswith("cover.png is beside the folders photos")


def test_a_zip_of_windows(tmp_path):
    write(tmp_path, "1.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("p\\cat\\1.png", "p\\dog\\2.png", "__MACOSX\\p\\._2.png"):
            archive.writestr(name, (tmp_path / "1.png").read_bytes())
    source = Images(tmp_path / "a.zip")
    assert (len(source), source.label_names) == (2, ["cat", "dog"])


def test_labels_can_be_left_out(tmp_path):
    directory = write(tmp_path, "dog/1.png", "cat/2.png")
    assert Images(directory, labels="none").labels is None
    (directory / "dataset.json").write_text("damaged")
    assert Images(directory, labels="none").labels is None
    (directory / "dataset.json").write_text('{"labels": null}')
    source = Images(directory)
    assert source.labels is None
    assert source.ignored == 0


def test_a_single_subfolder_is_no_class(tmp_path):
    assert Images(write(tmp_path, "all/1.png", "all/2.png")).labels is None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([2, 0, 2], [[0, 0, 1], [1, 0, 0], [0, 0, 1]]),
        ([[0.5, 1], [2, -3], [0, 0]], [[0.5, 1], [2, -3], [0, 0]]),
    ],
)
def test_labels_of_dataset_json(tmp_path, place, labels, expected):
    directory = write(tmp_path / "a", "x/1.png", "y/2.png", "y/3.png")
    names = ["x/1.png", "y/2.png", "y/3.png"]
    write_labels(directory, list(zip(names, labels))[::-1])
    source = Images(place(directory))
    assert source.labels.dtype == np.float32
    np.testing.assert_array_equal(source.labels, expected)
    assert source.label_names == []
    assert source.ignored == 0


def test_labels_that_do_not_fit(tmp_path, place):
    directory = write(tmp_path / "a", "a.png", "b.png")
    write_labels(directory, [["a.png", 0]])
    path = place(directory)
    with pytest.raises(UserError, match=rf"^{path}/dataset\.json: no label for 'b\.png'$"):
        Images(path)


@pytest.mark.parametrize("folder", ["x/faces", "x/faces/of", ""])
@pytest.mark.parametrize("base", ["x/faces/of/", "x/faces/", ""])
def test_labels_in_a_folder_that_holds_everything(tmp_path, place, folder, base):
    """Paths from the file's own folder, from the root, or from the folder of the images; folders
    are no classes then."""
    images = ["x/faces/of/one/a.png", "x/faces/of/two/a.png"]
    directory = write(tmp_path / "a", *images)
    write_labels(directory / folder, [[name[len(base) :], 1 - i] for i, name in enumerate(images)])
    if base not in ("", f"{folder}/", "x/faces/of/"):
        with pytest.raises(UserError, match=r"/dataset\.json: no label for .*a\.png'"):
            Images(place(directory))
        return
    source = Images(place(directory))
    assert (source.label_names, source.ignored) == ([], 0)
    assert list(map(source.describe, range(2))) == images
    np.testing.assert_array_equal(source.labels, [[0, 1], [1, 0]])
    assert Images(place(directory), labels="none").labels is None


def test_the_file_of_labels_nearest_to_the_root_counts(tmp_path, place):
    directory = write(tmp_path / "a", "p/a.png", "p/p/a.png")
    write_labels(directory / "p", [["a.png", 0], ["p/a.png", 1]])  # not "p/a.png" from the root
    np.testing.assert_array_equal(Images(place(directory)).labels, np.eye(2))
    write_labels(directory, [["p/a.png", 1], ["p/p/a.png", 0]])
    source = Images(place(directory))
    np.testing.assert_array_equal(source.labels, np.eye(2)[::-1])
    assert source.ignored == 1


def test_a_zip_of_windows_with_labels_in_its_folder(tmp_path):
    write(tmp_path, "1.png")
    labels = [["cat\\1.png", 1], ["./dog/2.png", 0]]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("p\\cat\\1.png", "p\\dog\\2.png"):
            archive.writestr(name, (tmp_path / "1.png").read_bytes())
        archive.writestr("p\\dataset.json", json.dumps({"labels": labels}))
    source = Images(tmp_path / "a.zip")
    np.testing.assert_array_equal(source.labels, [[0, 1], [1, 0]])
    assert source.ignored == 0


def test_labels_in_a_folder_that_do_not_fit(tmp_path, place):
    directory = write(tmp_path / "a", "photos/a.png", "photos/b.png")
    write_labels(directory / "photos", [["a.png", 0], ["c.png", 1]])
    with pytest.raises(UserError, match=r"/photos/dataset\.json: no label for 'b\.png'$"):
        Images(place(directory))
    (directory / "photos/dataset.json").write_text("damaged")
    with pytest.raises(UserError, match=r"/photos/dataset\.json: not a valid JSON file"):
        Images(place(directory))


def test_labels_elsewhere_are_refused_where_there_are_no_others(tmp_path, place):
    directory = write(tmp_path / "a", "faces/a.png", "b.png")
    write_labels(directory / "faces", [["a.png", 0]])
    path = place(directory)
    with pytest.raises(UserError, match=r"/faces/dataset\.json: labels are read.*--labels=none$"):
        Images(path)
    assert Images(path, labels="none").ignored == 1
    (directory / "b.png").rename(directory / "faces/b.png")
    write(directory, "more/c.png")
    source = Images(place(directory))
    assert source.label_names == ["faces", "more"]
    assert source.ignored == 1


def test_resolution_is_that_of_the_first_picture(tmp_path):
    write(tmp_path, "a.png", size=20)
    with pytest.raises(UserError, match=r"^a\.png: 20 is not a power of two; --resolution=16 "):
        Images(tmp_path)
    assert Images(tmp_path, resolution=16).read(0).shape == (3, 16, 16)
    write(tmp_path, "0.png", size=32)
    assert Images(tmp_path).resolution == 32


def test_mixed_sizes(tmp_path):
    write(tmp_path, "a.png", size=16)
    write(tmp_path, "b.png", size=32)
    with pytest.raises(BadImage, match=r"^b\.png: 32×32 pixels are not 16×16; --resize=lanczos"):
        Images(tmp_path).read(1)
    assert Images(tmp_path, resolution=16).read(1).shape == (3, 16, 16)
    assert Images(tmp_path, resize="lanczos").read(1).shape == (3, 16, 16)
    with pytest.raises(BadImage, match=r"^a\.png: 16×16 is smaller than 32×32; --resize=lanczos"):
        Images(tmp_path, resolution=32).read(0)


def test_crop_and_background(tmp_path):
    Image.new("LA", (32, 16), (9, 0)).save(tmp_path / "a.png")
    source = Images(tmp_path, crop="letterbox", background="white")
    assert (source.resolution, source.channels) == (32, 1)
    np.testing.assert_array_equal(source.read(0), np.full([1, 32, 32], 255))
    with pytest.raises(
        UserError, match=r"looked at \(1\) is usable; the first: a\.png: has transp"
    ):
        Images(tmp_path, crop="letterbox")


@pytest.mark.conformance
def test_channels(tmp_path):
    write(tmp_path, "a.png", channels=1)
    gray = pixels_of("a.png", channels=1)
    Image.fromarray(gray).convert("RGB").save(tmp_path / "b.png")
    source = Images(tmp_path)
    assert source.channels == 1
    for number in (0, 1):
        np.testing.assert_array_equal(source.read(number), read_all(source)["a.png"])
    assert Images(tmp_path, channels=3).read(0).shape == (3, 8, 8)
    write(tmp_path, "c.png")
    source = Images(tmp_path)
    assert source.channels == 3
    np.testing.assert_array_equal(source.read(0), np.stack([gray] * 3))
    assert Images(tmp_path, channels="1").read(2).shape == (1, 8, 8)


def test_a_colour_among_many_gray_pictures(tmp_path):
    write(tmp_path, *(f"{number:03d}.png" for number in range(150)), channels=1, size=4)
    write(tmp_path, "002.png", size=4)  # not among the 100 that are looked at
    source = Images(tmp_path)
    assert source.channels == 1
    message = r"^002\.png: has colours, other images have none; --channels=3 keeps them$"
    with pytest.raises(BadImage, match=message):
        source.read(2)
    write(tmp_path, "149.png", size=4)
    assert Images(tmp_path).channels == 3


def test_bad_pictures_are_named_when_they_are_read(tmp_path, place):
    directory = write(tmp_path / "a", "x/a.png", "x/c.png", "x/d.png")
    (directory / "x/a.png").write_bytes(b"hello")
    data = (directory / "x/d.png").read_bytes()
    (directory / "x/d.png").write_bytes(data[:-40])
    source = Images(place(directory))
    assert source.resolution == 8
    with pytest.raises(BadImage, match=r"^x/a\.png: is not a PNG"):
        source.read(0)
    assert source.read(1).shape == (3, 8, 8)
    with pytest.raises(BadImage, match=r"^x/d\.png: is truncated or damaged"):
        source.read(2)


@pytest.mark.conformance
def test_mixed_modes(tmp_path):
    few = pixels_of("few") // 128 * 255  # 8 colours, for palettes
    image = Image.fromarray(few)
    image.save(tmp_path / "RGB.png")
    image.quantize(8).save(tmp_path / "palette.gif")
    image.quantize(8).save(tmp_path / "palette.png")
    image.convert("RGBA").save(tmp_path / "opaque.webp", lossless=True)
    source = Images(tmp_path, max_images=4)
    for name, pixels in read_all(source).items():
        np.testing.assert_array_equal(pixels, few.transpose(2, 0, 1), err_msg=name)
    image.convert("L").save(tmp_path / "gray.bmp")
    image.convert("1").save(tmp_path / "bits.tif")
    for name, pixels in read_all(Images(tmp_path)).items():
        gray = name in ("gray.bmp", "bits.tif")
        assert (np.ptp(pixels, axis=0) == 0).all() == gray, name


@pytest.mark.conformance
def test_bad_modes(tmp_path):
    image = Image.fromarray(pixels_of("some"))
    image.save(tmp_path / "0.png")
    image.convert("CMYK").save(tmp_path / "1.jpg")
    image.save(tmp_path / "2.gif", save_all=True, append_images=[image.rotate(90)])
    image.putalpha(128)
    image.save(tmp_path / "3.png")
    Image.fromarray(pixels_of("some", channels=1).astype(np.uint16)).save(tmp_path / "4.png")
    source = Images(tmp_path)
    messages = {
        1: r"^1\.jpg: is CMYK",
        2: r"^2\.gif: is animated",
        3: r"^3\.png: has transparent pixels; --background",
        4: r"^4\.png: has more than 8 bits",
    }
    for number, message in messages.items():
        with pytest.raises(BadImage, match=message):
            source.read(number)


def test_nothing_usable(tmp_path):
    (tmp_path / "a.png").write_bytes(b"hello")
    (tmp_path / "b.png").write_bytes(b"hello")
    with pytest.raises(UserError, match=r": none .* \(2\) is usable; the first: a\.png: is not a"):
        Images(tmp_path, resolution=8)


def test_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # turn clockwise
    pixels = pixels_of("a")
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    expected = np.rot90(pixels, -1).transpose(2, 0, 1)
    np.testing.assert_array_equal(Images(tmp_path).read(0), expected)


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such folder or zip file$"):
        Images(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("hello")
    message = r"no images in it \(\.png, .*\.tiff\), and 1 files of other kinds$"
    with pytest.raises(UserError, match=message):
        Images(tmp_path)
    with pytest.raises(UserError, match=r"a\.txt: neither a folder nor an intact zip file"):
        Images(tmp_path / "a.txt")


@pytest.mark.parametrize("resolution", [0, 2, 12, -8])
def test_bad_resolutions(tmp_path, resolution):
    message = rf"^--resolution is a power of two from 4 on, not {resolution}$"
    with pytest.raises(UserError, match=message):
        Images(tmp_path, resolution=resolution)


def test_bad_number_of_images(tmp_path):
    with pytest.raises(UserError, match=r"^--max_images is at least 1, not 0$"):
        Images(tmp_path, max_images=0)


@pytest.mark.conformance
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_in_a_zip(tmp_path, compression):
    path = pack(write(tmp_path / "a", *NAMES), tmp_path / "a.zip", compression=compression)
    good = path.read_bytes()
    random = np.random.RandomState(0)
    for _ in range(200):
        damaged = bytearray(good)
        for position in random.randint(0, len(good), 4):
            damaged[position] = random.randint(256)
        (tmp_path / "b.zip").write_bytes(damaged[: random.randint(len(good) // 2, 2 * len(good))])
        try:
            source = Images(tmp_path / "b.zip", resolution=8, channels=3)
        except UserError:
            continue
        for number in range(len(source)):
            with contextlib.suppress(BadImage):
                assert source.read(number).shape == (3, 8, 8)


def _read(task):
    source, number = task
    return source.read(number)


@pytest.mark.conformance
@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_worker_processes(tmp_path, place, method):
    source = Images(place(write(tmp_path / "a", *NAMES)))
    source.read(0)  # the zip is open here
    again = pickle.dumps(source)
    assert len(again) < 4000
    with multiprocessing.get_context(method).Pool(2) as pool:
        images = pool.map(_read, [(source, number % 5) for number in range(50)], chunksize=1)
    for number, image in enumerate(images):
        np.testing.assert_array_equal(image, pixels_of(SORTED[number % 5]).transpose(2, 0, 1))
