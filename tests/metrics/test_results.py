"""Records of results: one line for people, one for programs, and finding them again."""

import json

import pytest

from dnnlib.errors import UserError
from metrics import results

PROVENANCE = {
    "network_sha256": "ab" * 32,
    "num_fakes": 5000,
    "fakes": "fakes",
    "labels": "none",
    "truncation": None,
    "seed": 3,
    "precision": "mixed_bfloat16",
    "version": 1,
    "feature_networks": {"inception.pb": "cd" * 32},
    "num_reals": 5000,
    "mirror": True,
    "dataset": "cats",
    "dataset_content": "ef" * 20,
}
RECORD = {
    "metric": "fid5k",
    "results": {"fid5k": 4.41591},
    "network_file": "n.safetensors",
    "cur_nimg": 7,
    "provenance": PROVENANCE,
    "details": {},
    "seconds": 125.0,
    "time": "",
}


def test_line_has_all_of_the_provenance():
    assert results.line(RECORD) == (
        "fid5k 4.4159  [n.safetensors (sha256 abababababab); cats (content efefefefefef), 5,000 "
        "reals, mirrored; 5,000 fakes, no truncation, seed 3; inception.pb (sha256 cdcdcdcdcdcd); "
        "mixed_bfloat16; metrics version 1]  2m 05s"
    )


@pytest.mark.parametrize(
    ("number", "distinct", "shown"),
    [
        (5000, None, ", 5,000 reals, mirrored;"),
        (40, 20, ", 20 reals, each twice, mirrored;"),
        (60, 20, ", 20 reals, each 3 times, mirrored;"),
        (50_000, 30_000, ", 30,000 reals, 20,000 of them twice, mirrored;"),
        (50, 20, ", 20 reals, 10 of them 3 times, the others twice, mirrored;"),
    ],
)
def test_line_of_a_data_set_that_is_smaller_than_the_count(number, distinct, shown):
    details = {} if distinct is None else {"distinct_reals": distinct}
    provenance = {**PROVENANCE, "num_reals": number}
    assert shown in results.line({**RECORD, "provenance": provenance, "details": details})


def test_line_of_many_classifiers():
    many = {f"{index:02d}": "12" * 32 for index in range(40)}
    provenance = {**PROVENANCE, "feature_networks": many, "labels": "uniform classes"}
    record = {**RECORD, "results": {"ls_z": 165.0106, "ls_w": 3.7447}, "provenance": provenance}
    shown = results.line(record)
    assert shown.startswith("ls_z 165.01  ls_w 3.7447  [")
    assert "labels uniform classes; 40 classifiers (sha256 " in shown
    provenance["feature_networks"] = {**many, "39": "34" * 32}
    assert results.line(record) != shown  # one hash of all of them
    provenance["svm"] = "primal"
    assert "; primal SVMs; " in results.line(record)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.0000"),
        (0.25, "0.2500"),
        (4.41594, "4.4159"),
        (66.6, "66.600"),
        (664.8854, "664.89"),
    ],
)
def test_numbers_have_as_many_digits_as_the_papers(value, shown):
    assert results.line({**RECORD, "results": {"x": value}}).startswith(f"x {shown}  [")


def test_records_are_found_by_what_they_depend_on(tmp_path):
    assert results.find(tmp_path, "fid5k", PROVENANCE) is None
    results.append(tmp_path, RECORD)
    path = results.path_in(tmp_path, "fid5k")
    with open(path, "a") as file:
        file.write('{"metric": "fid5k", "resu')  # killed while writing
    with open(path, "ab") as file:
        file.write(b"\xff")
    other = {**RECORD, "provenance": {**PROVENANCE, "seed": 4}}
    results.append(tmp_path, other)
    assert results.find(tmp_path, "fid5k", PROVENANCE) == RECORD
    assert results.find(tmp_path, "fid5k", other["provenance"]) == other
    assert results.find(tmp_path, "fid5k", {**PROVENANCE, "mirror": False}) is None
    lines = path.read_text(errors="replace").splitlines()
    assert [json.loads(lines[index]) for index in (0, 2)] == [RECORD, other]


def test_a_method_is_told_and_older_records_without_one_are_found(tmp_path):
    (tmp_path / "told").mkdir()
    results.append(tmp_path, RECORD)
    method = {**PROVENANCE, "method": "covariances over n - 1"}
    assert results.find(tmp_path, "fid5k", method) == RECORD
    told = {**RECORD, "provenance": method}
    assert "; covariances over n - 1; metrics version 1]" in results.line(told)
    results.append(tmp_path / "told", told)
    assert results.find(tmp_path / "told", "fid5k", method) == told
    other = {**method, "method": "covariances over n"}
    assert results.find(tmp_path / "told", "fid5k", other) is None


def test_places_that_take_no_records(tmp_path):
    results.check_writable(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    results.append(tmp_path / "a" / "b", RECORD)
    assert results.find(tmp_path / "a" / "b", RECORD["metric"], RECORD["provenance"]) == RECORD
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot create .*file: .*file is not a directory"):
        results.check_writable(tmp_path / "file")
