"""What may spoil training with a data set: found where it was planted, and nowhere else."""

import json
import types

import numpy as np
import pytest
from PIL import Image

from datasets import checking, duplicates, image_faults
from datasets.format.reader import inspect
from datasets.format.writer import MultiResolutionWriter
from dnnlib.errors import UserError
from training import commands

SIDE, COUNT = 64, 60


def photographs(count=COUNT, seed=0, side=SIDE, channels=3):
    """Noise with the spectrum of photographs, uint8 [N, H, W, C]."""
    rng = np.random.RandomState(seed)
    f = np.maximum(np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)), 0.5 / side)
    spectrum = np.fft.rfft2(rng.randn(count, channels, side, side)) / f**1.2
    images = np.fft.irfft2(spectrum, s=(side, side))
    images = 128 + 50 * images / images.std(axis=(1, 2, 3), keepdims=True)
    return images.transpose(0, 2, 3, 1).clip(0, 255).astype(np.uint8)


def write(directory, images, labels=None):
    with MultiResolutionWriter(directory, directory.name) as writer:
        for image in images:
            writer.add_image(np.ascontiguousarray(image.transpose(2, 0, 1)))
        if labels is not None:
            writer.add_labels(labels)
    return directory


def examine(directory, **options):
    """{kind: finding} of a set."""
    findings = checking.examine(inspect(str(directory)), progress=False, **options).findings
    return {finding.kind: finding for finding in findings}


def groups(finding):
    return [list(map(int, group)) for group in finding.groups]


@pytest.fixture(scope="module")
def clean():
    return photographs()


@pytest.mark.parametrize("channels", [1, 3])
def test_photographs_are_clean(tmp_path, channels):
    labels = np.eye(4)[np.arange(COUNT) % 4]
    assert examine(write(tmp_path / "a", photographs(channels=channels), labels)) == {}


def test_exact_copies_and_their_labels(tmp_path, clean):
    images = clean.copy()
    images[[7, 20, 59]] = images[3]
    images[31] = images[30]
    labels = np.eye(2)[np.zeros(COUNT, int)]
    labels[59] = [0, 1]
    findings = examine(write(tmp_path / "a", images, labels))
    assert set(findings) == {"exact_copies", "imbalance"}
    copies = findings["exact_copies"]
    assert groups(copies) == [[3, 7, 20, 59], [30, 31]]
    assert copies.text == (
        "4 of 60 images are exact copies of another, of 2 pictures; the labels differ in 1 of the "
        "groups"
    )


def moved(image):
    return np.roll(image, 1, axis=1)


def brighter(image):
    return (image * 0.9 + 20).astype(np.uint8)


def noisy(image):
    noise = 4 * np.random.RandomState(5).randn(*image.shape)
    return np.rint(image + noise).clip(0, 255).astype(np.uint8)


def recompressed(image):
    picture = Image.fromarray(image).resize((96, 96), Image.Resampling.BICUBIC)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("change", [moved, brighter, noisy, recompressed])
def test_near_copies(tmp_path, clean, change):
    images = clean.copy()
    images[11] = change(images[5])
    findings = examine(write(tmp_path / "a", images))
    assert set(findings) == {"near_copies"}
    assert groups(findings["near_copies"]) == [[5, 11]]


def test_near_copies_of_small_images_that_moved(tmp_path):
    images = photographs(side=32)
    images[9] = np.roll(np.roll(images[4], 1, axis=0), -1, axis=1)
    assert groups(examine(write(tmp_path / "a", images))["near_copies"]) == [[4, 9]]


def test_mirrored_copies(tmp_path, clean):
    images = clean.copy()
    images[9] = images[4, :, ::-1]
    images[12] = images[4, :, ::-1]
    images[20] = images[30]
    findings = examine(write(tmp_path / "a", images))
    assert set(findings) == {"exact_copies", "mirrored_copies"}
    assert groups(findings["exact_copies"]) == [[9, 12], [20, 30]]
    assert groups(findings["mirrored_copies"]) == [[4, 9]]


def test_a_symmetric_picture_is_no_copy_of_itself(tmp_path, clean):
    images = clean.copy()
    images[3, :, 32:] = images[3, :, 31::-1]
    assert examine(write(tmp_path / "a", images)) == {}


def test_no_contrast(tmp_path, clean):
    images = clean.copy()
    images[4], images[8] = 0, 255
    images[6] = (images[6] * 0.03 + 100).astype(np.uint8)
    findings = examine(write(tmp_path / "a", images))
    assert {kind: groups(one) for kind, one in findings.items()} == {
        "constant": [[4], [8]],
        "faint": [[6]],
    }


@pytest.mark.parametrize("colour", [0, 255])
def test_bars(tmp_path, clean, colour):
    images = clean.copy()
    images[2, :6], images[2, -6:] = colour, colour
    images[3, :, :9] = colour
    images[5, :4], images[5, -4:], images[5, :, :4], images[5, :, -4:] = (colour,) * 4
    findings = examine(write(tmp_path / "a", images))
    assert set(findings) == {"bars"}
    assert groups(findings["bars"]) == [[2], [3], [5]]
    assert findings["bars"].text == (
        "3 of 60 images have uniform bars at the border (top 2, bottom 2, left 2, right 1; 6% to "
        "14% of the side wide)"
    )


def test_bars_of_all_images(tmp_path, clean):
    images = clean.copy()
    images[:, :8], images[:, -8:] = 0, 0
    directory = write(tmp_path / "a", images)
    assert set(examine(directory)) == {"bars_everywhere"}
    assert checking.glance(inspect(str(directory))) is None  # who made it so knows


def test_a_plain_background_is_no_bar(tmp_path):
    images = np.full([COUNT, SIDE, SIDE, 1], 255, np.uint8)
    y, x = np.mgrid[:SIDE, :SIDE]
    rng = np.random.RandomState(0)
    texture = photographs(channels=1)
    for image, detail in zip(images, texture):
        centre, radius = rng.randint(20, 44, 2), rng.randint(8, 20)
        inside = np.hypot(y - centre[0], x - centre[1]) < radius
        image[inside] = detail[inside] // 2
    images[7] = 255
    images[7, 20:40, 30:50] = texture[7, 20:40, 30:50] // 2  # a square one
    assert set(examine(write(tmp_path / "a", images))) == set()


@pytest.mark.parametrize("method", ["NEAREST", "BICUBIC", "LANCZOS"])
def test_enlarged_images(tmp_path, clean, method):
    images = clean.copy()
    for number in range(0, COUNT, 3):
        small = Image.fromarray(images[number]).resize((32, 32), Image.Resampling.BOX)
        images[number] = small.resize((SIDE, SIDE), Image.Resampling[method])
    finding = examine(write(tmp_path / "a", images))["enlarged"]
    seen = [number for (number,) in groups(finding)]
    assert set(seen) <= set(range(0, COUNT, 3))
    assert len(seen) >= 10
    assert "of 60 images have no detail of 64×64: " in finding.text


def test_a_few_enlarged_images(tmp_path, clean):
    images = clean.copy()
    for number in (8, 21):
        small = Image.fromarray(images[number]).resize((16, 16), Image.Resampling.BOX)
        images[number] = small.resize((SIDE, SIDE), Image.Resampling.NEAREST)
    finding = examine(write(tmp_path / "a", images))["enlarged"]
    assert groups(finding) == [[8], [21]]
    assert finding.text == "3% of 60 images have no detail of 64×64: 3% end at 16×16"


def test_classes(tmp_path, clean):
    classes = np.repeat([0, 1, 3], [30, 28, 2])
    findings = examine(write(tmp_path / "a", clean, np.eye(5)[classes]))
    assert findings["empty_classes"].text == "2 of 5 classes have no image: 2, 4"
    assert findings["imbalance"].text == (
        "classes differ in size: the largest, 0, has 30 images; less than a tenth of that have 3: 2"
    )


def test_a_subset_is_looked_at_alone(tmp_path, clean):
    images = clean.copy()
    images[30:] = images[:30]
    directory = write(tmp_path / "a", images)
    info = inspect(str(directory), subset=12)
    chosen = info.subset.indices(12) % 30
    expected = len(chosen) - len(set(chosen))
    assert expected
    (finding,) = checking.examine(info, progress=False).findings
    assert finding.text.startswith(f"{expected} of 12 images are exact copies")


def test_what_training_says(tmp_path, clean):
    assert checking.glance(inspect(str(write(tmp_path / "a", clean)))) is None
    images = clean.copy()
    images[:30] = images[30:]
    directory = write(tmp_path / "my set", images)
    assert checking.glance(inspect(str(directory))) == (
        "30 of 60 images are exact copies of another, of 30 pictures. python dataset_tool.py check "
        f"'--dataset={directory}' tells more"
    )
    assert checking.glance(inspect("digits", write=False)) is None
    assert checking.glance(inspect("synthetic-8")) is None


def test_a_new_run_says_it(tmp_path, clean, capsys):
    images = clean.copy()
    images[5] = 7
    directory = write(tmp_path / "a", images)
    info = inspect(str(directory))

    def said(resume):
        commands._glance(types.SimpleNamespace(resume=resume, dataset_info=info))
        return capsys.readouterr().out

    assert said(False).startswith(
        "\nnote: 1 of 60 images are of one colour. python dataset_tool.py "
    )
    assert said(True) == ""  # it was said when the run began
    with open(directory / "a-r06.tfrecords", "r+b") as file:
        file.seek(-9, 2)
        file.write(b"\xff\x00")
    assert said(False) == ""  # training names the record, or passes over it


def test_of_many_images_some_are_looked_at_evenly(tmp_path, clean):
    examination = checking.examine(
        inspect(str(write(tmp_path / "a", clean))), most=20, progress=False
    )
    assert examination.looked_at == 20
    assert examination.lines()[0].startswith("a: 20 of 60 images of 64×64; ")
    order = checking._spread_out(13)
    assert sorted(order) == list(range(13))
    assert order[:3] == [0, 8, 4]


def test_lines_and_json(tmp_path, clean):
    images = clean.copy()
    images[7] = images[3]
    examination = checking.examine(inspect(str(write(tmp_path / "a", images))), progress=False)
    assert examination.lines()[2:4] == [
        "1 of 60 images are exact copies of another, of 1 picture.",
        "    images 3 = 7",
    ]
    told = json.loads(json.dumps(examination.to_json()))
    assert told["findings"][0]["groups"] == [[3, 7]]
    assert (told["dataset"], told["images"], told["looked_at"]) == ("a", 60, 60)


def test_the_picture(tmp_path, clean):
    images = clean.copy()
    images[[7, 9]] = images[3]
    images[11] = 0
    examination = checking.examine(inspect(str(write(tmp_path / "a", images))), progress=False)
    checking.show(examination, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * SIDE, 12 * SIDE, 3)
    np.testing.assert_array_equal(pixels[:SIDE, SIDE : 2 * SIDE], images[7])
    with pytest.raises(UserError, match=r"--out=.*: expected a file name that ends in"):
        checking.show(examination, tmp_path / "a.tif")


def test_many_similar_thumbnails_take_bounded_time():
    """In blocks: all of one code are too many to compare with each other."""
    rng = np.random.RandomState(0)
    base = rng.randint(0, 256, [8, 8, 1])
    thumbs = (base + rng.randint(-1, 2, [1500, 8, 8, 1])).clip(0, 255).astype(np.uint8)
    pairs = duplicates.similar_pairs(thumbs)
    assert len(set(pairs.ravel().tolist())) == 1500  # each is near to one at least
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_similar_pairs_are_those_of_all_pairs():
    thumbs = duplicates.thumbnails(photographs(300, side=32, channels=1))
    near = photographs(300, side=32, channels=1)[:40]
    near = (near + 10 * np.random.RandomState(1).randn(*near.shape)).clip(0, 255).astype(np.uint8)
    thumbs = np.concatenate([thumbs, duplicates.thumbnails(near)])
    vectors = duplicates.unit(thumbs)
    expected = np.argwhere(np.triu(vectors @ vectors.T >= 0.97, 1))
    seen = set(map(tuple, duplicates.similar_pairs(thumbs).tolist()))
    missed = [pair for pair in map(tuple, expected.tolist()) if pair not in seen]
    assert len(expected) >= 40
    assert len(missed) <= 1


def test_the_difference_of_unrelated_images_is_one(clean):
    apart = duplicates.difference(clean[:10, ::2, ::2], clean[10:20, ::2, ::2])
    assert apart.min() > 0.6
    same = duplicates.difference(clean[:10], clean[:10])
    np.testing.assert_allclose(same, 0, atol=4e-3)  # of float32's rounding


def test_detail_of_what_has_none():
    assert image_faults.detail(np.zeros([64, 64, 3], np.uint8)) == 1.0
    noise = np.random.RandomState(0).randint(0, 256, [64, 64, 1]).astype(np.uint8)
    assert image_faults.detail(noise) == 1.0
