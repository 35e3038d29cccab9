import dataclasses
import itertools

import numpy as np
import pytest
from PIL import Image

from datasets.format.reader import inspect, open_dataset
from datasets.grids import (
    _has_classes,
    arrange_by_class,
    create_image_grid,
    grid_latents,
    grid_size,
    save_image_grid,
    setup_snapshot_grid,
    to_pil,
)
from dnnlib.errors import UserError
from tests import golden


@pytest.fixture(scope="module")
def data():
    return golden.load("misc/grids.npz")


@pytest.mark.conformance
def test_golden_sizes(data):
    for size, resolution, columns, rows, count in data["snapshot/sizes_size_res_gw_gh_n"]:
        if size == 2:  # the reference makes 1×1 of an unknown name
            continue
        assert grid_size(("1080p", "4k")[size], resolution, resolution) == (columns, rows)
        assert count == columns * rows


@pytest.mark.conformance
def test_golden_sizes_of_an_8k_screen():
    for resolution, columns, rows in golden.load("stylegan2/misc2/grid_8k.json")["rows_8k"]:
        assert grid_size("8k", resolution, resolution) == (columns, rows)


def test_explicit_sizes():
    assert grid_size("5x3", 999, 1) == (5, 3)
    for size in ("16k", "0x3", "3x", "3x-1", "", "3x4x5", "99999x1"):
        with pytest.raises(UserError, match="grid size: expected"):
            grid_size(size, 4, 4)


@pytest.mark.conformance
@pytest.mark.parametrize("case", ["n1_c3", "n5_c3", "n9_c1", "n10_c3"])
def test_golden_grids(data, case):
    images = data[f"grid/{case}/in"].transpose(0, 2, 3, 1)
    image = create_image_grid(images)
    np.testing.assert_array_equal(image, data[f"grid/{case}/auto"].transpose(1, 2, 0))
    np.testing.assert_array_equal(np.asarray(to_pil(image)), data[f"grid/{case}/pil"])
    if case == "n5_c3":
        image = create_image_grid(images, (4, 2))
        np.testing.assert_array_equal(image, data[f"grid/{case}/4x2"].transpose(1, 2, 0))


@pytest.mark.conformance
def test_golden_grid_without_channels(data):
    image = create_image_grid(data["grid/hw/in"])
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, data["grid/hw/auto"])


def test_every_cell_is_where_it_should_be():
    images = np.random.RandomState(0).randn(6, 3, 5, 2)
    image = create_image_grid(images, (3, 2))
    for index in range(6):
        y, x = index // 3 * 3, index % 3 * 5
        np.testing.assert_array_equal(image[y : y + 3, x : x + 5], images[index])
    with pytest.raises(ValueError, match="too few for 6"):
        create_image_grid(images, (5, 1))


@pytest.mark.conformance
def test_golden_rounding(data):
    golden_data = golden.load("misc/process_reals_uint8.npz")
    ours = np.asarray(to_pil(golden_data["u8/in"][0, 0]))
    np.testing.assert_array_equal(ours, golden_data["u8/convert_to_pil_image"])


def test_to_pil_rounds_to_nearest_and_clips():
    x = np.array([[-2, -1, 0, 1 / 127.5, 1, 2, 9e9]])  # 127.5 at 0: to even, 128
    assert np.asarray(to_pil(x)).tolist() == [[0, 0, 128, 128, 255, 255, 255]]
    assert to_pil(np.zeros([2, 3, 1])).mode == "L"
    assert to_pil(np.zeros([2, 3, 3])).mode == "RGB"
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(np.asarray(to_pil(image)), image)


def test_saves_and_replaces_the_picture(tmp_path):
    images = np.random.RandomState(0).uniform(-1, 1, [5, 8, 8, 3])
    path = tmp_path / "new/fakes.png"
    for shown in (images, -images):
        save_image_grid(shown, path, (3, 2))
        with Image.open(path) as picture:
            assert picture.size == (24, 16)
            expected = np.rint((create_image_grid(shown, (3, 2)) + 1) * 127.5)
            assert np.abs(np.asarray(picture) - expected).max() <= 1
    assert [file.name for file in path.parent.iterdir()] == ["fakes.png"]
    with pytest.raises(ValueError, match="unknown file extension"):
        save_image_grid(images, tmp_path / "grid.nothing")
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


@pytest.mark.conformance
@pytest.mark.parametrize("layout", ["row_per_class", "col_per_class", "class4x4"])
def test_golden_layouts(data, layout):
    sequence = data["snapshot/label_sequence"]
    grid = tuple(data[f"snapshot/{layout}/grid"])
    items = ((k, np.eye(5)[label]) for k, label in enumerate(sequence))
    chosen = arrange_by_class(items, grid, layout, label_size=5)
    np.testing.assert_array_equal(np.mod(chosen, 251), data[f"snapshot/{layout}/item"])
    labels = np.eye(5)[sequence[chosen]]
    np.testing.assert_array_equal(labels, data[f"snapshot/{layout}/labels"])


@pytest.mark.conformance
def test_golden_latents(data):
    expected = data["snapshot/random/latents_seed123"]
    np.testing.assert_array_equal(grid_latents(123, 28, 7), expected.astype(np.float32))


def some_set(name="synthetic-16-5", count=60, **options):
    return open_dataset(dataclasses.replace(inspect(name, **options), num_images=count))


@pytest.mark.parametrize("layout", ["random", "row_per_class", "col_per_class", "class4x4"])
def test_layouts_of_a_data_set(layout):
    with some_set() as dataset:
        (columns, rows), images, labels = setup_snapshot_grid(dataset, "9x7", layout, seed=1)
        order = dataset.order(0, 60, 1)
    assert (columns, rows) == (9, 7)
    assert images.shape == (63, 16, 16, 3)
    assert images.dtype == np.uint8
    assert labels.shape == (63, 5)
    classes = labels.argmax(axis=1).reshape(7, 9)
    y, x = np.mgrid[:7, :9]
    if layout == "random":  # a whole epoch, and the beginning of the next
        np.testing.assert_array_equal(classes.ravel()[:60], order % 5)
    else:
        blocks = {"row_per_class": y, "col_per_class": x, "class4x4": y // 4 * 3 + x // 4}
        np.testing.assert_array_equal(classes, blocks[layout] % 5)


def test_grid_shows_the_images_of_the_stream_in_turn():
    with some_set() as dataset:
        _, images, _ = setup_snapshot_grid(dataset, "4x5", "row_per_class", seed=1)
        order = dataset.order(0, 60, 1)
        for label in range(5):
            expected, _ = dataset.read(order[order % 5 == label][:4])
            np.testing.assert_array_equal(images[4 * label : 4 * label + 4], expected)


def test_a_row_for_each_class_if_there_are_classes():
    def same(name, count, layout, **labels):
        with some_set(name, count, **labels) as dataset:
            (_, ours, _), (_, expected, _) = (
                setup_snapshot_grid(dataset, "4x5", which, seed=1) for which in ("auto", layout)
            )
        return np.array_equal(ours, expected)

    assert same("synthetic-16-5", 60, "row_per_class")
    assert same("synthetic-16-5", 3, "random")  # two classes without images
    assert same("synthetic-16-5", 60, "random", max_label_size=0)
    assert not _has_classes(np.float32([[1, 1, 0], [0, 0, 1]]))  # attributes
    assert not _has_classes(np.float32([[0.5, 0.5], [0, 1]]))


def test_few_images_are_repeated():
    with some_set("synthetic-16-2", 2) as dataset:
        _, _, labels = setup_snapshot_grid(dataset, "4x4", "row_per_class", seed=1)
    np.testing.assert_array_equal(labels.argmax(axis=1), np.repeat([0, 1, 0, 1], 4))


def test_a_class_without_images():
    reason = "class4x4: the data set has no images of class 3, 4;"
    with some_set("synthetic-16-5", 3) as dataset, pytest.raises(UserError, match=reason):
        setup_snapshot_grid(dataset, "20x4", "class4x4", seed=1)
    # It is not missed where the grid has no place for it.
    with some_set("synthetic-16-5", 3) as dataset:
        setup_snapshot_grid(dataset, "12x4", "class4x4", seed=1)


def test_a_finite_or_hopeless_source():
    items = [(0, np.array([1, 0]))] * 2
    for source in (items, itertools.cycle(items)):
        with pytest.raises(UserError, match="no images of class 1"):
            arrange_by_class(source, (2, 2), "row_per_class", 2, patience=10)


def test_bad_layouts():
    with some_set() as dataset:
        with pytest.raises(UserError, match="grid layout: expected one of random"):
            setup_snapshot_grid(dataset, "4k", "diagonal", seed=1)
        with pytest.raises(UserError, match="grid size"):
            setup_snapshot_grid(dataset, "huge", "random", seed=1)
    with some_set("synthetic-16") as dataset:
        with pytest.raises(UserError, match="needs a data set with labels"):
            setup_snapshot_grid(dataset, "4k", "class4x4", seed=1)
        _, _, labels = setup_snapshot_grid(dataset, "1080p", "random", seed=1)
        assert labels.shape == (32 * 32, 0)
