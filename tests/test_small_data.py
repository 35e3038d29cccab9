"""The benchmark of small data: what it compares with what, without training anything."""

import numpy as np

from benchmarks import small_data
from benchmarks.small_data import Case, Pictures
from datasets.format.reader import open_dataset
from training import runs
from training.request import Request

CASE = Case("digits", "digits", 200, 8, 64)


def test_held_out_pictures_are_those_that_no_run_is_shown():
    pictures = Pictures.of(CASE.info())
    with open_dataset(CASE.info()) as dataset:
        shown, labels = dataset.read(range(200))
    np.testing.assert_array_equal(pictures.known, shown.astype(np.float32) / 255)
    np.testing.assert_array_equal(pictures.known_labels, labels)
    assert pictures.held_out.shape == (1597, 8, 8, 1)
    apart, which = small_data.nearest(pictures.known[5:8], pictures.known)
    np.testing.assert_allclose(apart, 0, atol=1e-3)
    np.testing.assert_array_equal(which, [5, 6, 7])
    assert small_data.nearest(pictures.held_out, pictures.known)[0].min() > 0


def test_its_runs_differ_in_augmentation_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = tuple(flag[6:] for flag in CASE.flags() if flag.startswith("--set="))
    request = dict(preset="demo", dataset="digits", subset=200, overrides=overrides)
    plain, augmented = (
        runs.plan(Request(**request, augment=small_data.ARMS[arm][0].partition("=")[2])).config
        for arm in ("none", "bgc")
    )
    assert plain.D_loss["gamma"] == 0.0002 * 8**2 / small_data.MINIBATCH
    assert plain.augment.transforms == "none"
    assert augmented.augment.transforms == "bgc"


def test_a_line_for_each_name_and_a_figure_for_each_seed():
    rows = {"reals": [{"distance": 1.0}], "none": [{"kimg": 8, "distance": d} for d in (2, 3.25)]}
    assert small_data.table(rows).splitlines() == [
        "| | kimg | distance |",
        "| --- | ---: | ---: |",
        "| reals | – | 1.0 |",
        "| none | 8, 8 | 2.0, 3.2 |",
    ]
