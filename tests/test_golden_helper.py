"""The helper itself: where it looks, what it does when data is missing, and the weight recipe."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests import golden


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty golden directory, outside CI."""
    monkeypatch.setenv("STYLEGAN_GOLDEN_DIR", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(golden, "left_out", False)
    return tmp_path


def test_the_directory_is_beside_the_repository_by_default(monkeypatch):
    monkeypatch.delenv("STYLEGAN_GOLDEN_DIR", raising=False)
    repository = Path(__file__).resolve().parent.parent
    assert golden.golden_dir() == repository.parent / "shared" / "golden"


def test_the_environment_names_another_directory(elsewhere):
    assert golden.golden_dir() == elsewhere


def test_an_empty_variable_counts_as_not_set(monkeypatch):
    monkeypatch.setenv("STYLEGAN_GOLDEN_DIR", "")
    assert golden.golden_dir().parts[-2:] == ("shared", "golden")


def test_load_reads_npz_and_json(elsewhere):
    np.savez(elsewhere / "x.npz", a=np.arange(3))
    (elsewhere / "x.json").write_text(json.dumps({"b": [1]}))
    with golden.load("x.npz") as data:
        np.testing.assert_array_equal(data["a"], [0, 1, 2])
    assert golden.load("x.json") == {"b": [1]}


def test_load_never_unpickles(elsewhere):
    np.savez(elsewhere / "x.npz", a=np.array([{}], dtype=object))
    with golden.load("x.npz") as data, pytest.raises(ValueError, match="allow_pickle"):
        data["a"]


def test_load_refuses_other_files(elsewhere):
    (elsewhere / "x.pkl").touch()
    with pytest.raises(ValueError, match=r"x\.pkl"):
        golden.load("x.pkl")


@pytest.mark.parametrize("ci", [None, ""])
def test_missing_data_skips_outside_ci(elsewhere, monkeypatch, ci):
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.skip.Exception, match="STYLEGAN_GOLDEN_DIR"):
        golden.load("none.npz")


def test_missing_data_fails_in_ci(elsewhere, monkeypatch):
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"none\.npz"):
        golden.load("none.npz")


@pytest.mark.conformance
def test_the_recipe_gives_the_recorded_initial_weights():
    with golden.load("train/train_base.npz") as data:
        recorded = {key: data[key] for key in data.files if key.startswith("init/")}
    assert recorded
    for key, value in recorded.items():
        _, net, name = key.split("/", 2)
        made = golden.recipe("train_base", net, name, value.shape)
        assert made.dtype == np.float32
        np.testing.assert_array_equal(made, value, err_msg=key)


@pytest.mark.conformance
@pytest.mark.parametrize(
    ("net", "recorded"), [("G", 3262454612), ("D", 2247737440), ("Gs", 2271622242)]
)
def test_the_recipe_gives_the_prescaled_weights(net, recorded):
    # CRC-32 over the variables of the reference's own pickle, in the order of the meta file.
    variables = golden.load("nets/h_nowscale_meta.json")["D_vars" if net == "D" else "G_vars"]
    arrays = golden.recipe_arrays("h_nowscale", net, variables)
    assert [[*array.shape] for array in arrays.values()] == [shape for _, shape, _ in variables]
    assert zlib.crc32(b"".join(array.tobytes() for array in arrays.values())) == recorded


def test_training_starts_from_equal_generators():
    shape = [4, 8]
    weight = golden.recipe("train_lod1", "G", "G_mapping/Dense0/weight", shape)
    np.testing.assert_array_equal(
        golden.recipe("train_lod1", "Gs", "G_mapping/Dense0/weight", shape), weight
    )
    assert np.abs(golden.recipe("a", "Gs", "G_mapping/Dense0/weight", shape) - weight).max() > 1


def test_the_recipe_refuses_a_name_without_a_rule():
    with pytest.raises(ValueError, match="8x8/Conv1/gamma"):
        golden.recipe("a", "G", "8x8/Conv1/gamma", [3])
