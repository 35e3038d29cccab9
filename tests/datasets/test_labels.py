"""Labels of a folder of pictures."""

import json

import numpy as np
import pytest

from datasets.labels import (
    common_folder,
    labels_from_folders,
    labels_from_json,
    list_classes,
    why_folders_make_no_labels,
)
from dnnlib.errors import UserError

NAMES = ["a.png", "b.png"]
A, B = ["a.png", 0], ["b.png", 1]


def read(document, names=NAMES):
    return labels_from_json(json.dumps(document).encode(), names, "dataset.json")


def test_class_numbers():
    labels = read({"labels": [["b.png", 0], ["a.png", 2]]})
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, [[0, 0, 1], [1, 0, 0]])


def test_vectors():
    labels = read({"labels": [["b.png", [0, 0]], ["a.png", [0.5, -3]]]})
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, [[0.5, -3], [0, 0]])


def test_byte_order_mark():
    data = b"\xef\xbb\xbf" + json.dumps({"labels": [A, B]}).encode()
    np.testing.assert_array_equal(labels_from_json(data, NAMES, "dataset.json"), np.eye(2))


@pytest.mark.parametrize("document", [{"labels": None}, {}, {"other": 1}])
def test_none(document):
    assert read(document) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], r"no label for 'a\.png', 'b\.png'$"),
        ([A], r"no label for 'b\.png'$"),
        ([A, B, ["c.png", 0]], r"labels without an image: 'c\.png'$"),
        (
            [A, B] + [[f"{i}.png", 0] for i in range(5)],
            r"labels without an image: '0\.png', '1\.png', '2\.png' and 2 more$",
        ),
        ([A, B, A], r"two labels for 'a\.png'$"),
        ([A, ["b.png", [1]]], r"the label of 'a\.png' is neither a class number, as all"),
        ([["a.png", [1]], ["b.png", [1, 2]]], r"2 numbers for 'b\.png', 1 for 'a\.png'$"),
        ([A, ["b.png", -1]], r"class -1 of 'b\.png' is not in 0…65535$"),
        ([A, ["b.png", 10**12]], r"class 1000000000000 of 'b\.png' is not in 0…65535$"),
        ([A, ["b.png", True]], r"the label of 'a\.png' is neither"),
        ([A, ["b.png", 1.0]], r"the label of 'a\.png' is neither"),
        ([["a.png", []], ["b.png", []]], r"the label of 'a\.png' is neither"),
        ([["a.png", [0]], ["b.png", [float("nan")]]], r"the label of 'b\.png' is neither"),
        ([["a.png", [0]], ["b.png", [1e300]]], r"the label of 'b\.png' is neither"),
        ([["a.png", [0]], ["b.png", [10**400]]], r"the label of 'b\.png' is neither"),
        ([["a.png", [0]], ["b.png", ["0"]]], r"the label of 'b\.png' is neither"),
        ([A, ["b.png"]], r'entry 1 of "labels" is not of the form \["path", label\]$'),
        ([A, "b.png"], r'entry 1 of "labels" is not of the form'),
        ([A, [1, 1]], r'entry 1 of "labels" is not of the form'),
        (7, r'expected \{"labels": \[\["path", label\], …\]\}$'),
        ({"a.png": 0}, r'expected \{"labels"'),
    ],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(UserError, match=r"^dataset\.json: " + message):
        read({"labels": labels})


@pytest.mark.parametrize("document", [[A, B], "labels", 7])
def test_not_an_object(document):
    with pytest.raises(UserError, match=r'^dataset\.json: expected \{"labels"'):
        read(document)


@pytest.mark.conformance  # what Python's parser makes of it differs between versions
@pytest.mark.parametrize(
    "data", [b"", b'{"labels": [', b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 9999]
)
def test_not_json(data):
    with pytest.raises(UserError, match=r"^dataset\.json: not a valid JSON file"):
        labels_from_json(data, NAMES, "dataset.json")


def test_numbers_of_another_kind():
    names = [f"{number}.png" for number in range(10)]
    labels = [[name, 0] for name in names]
    labels[3][1] = 999  # of ImageNet, say
    assert read({"labels": labels}, names).shape == (10, 1000)
    labels[3][1] = 1000
    with pytest.raises(UserError, match=r"class 1000 of '3\.png', for 10 images: a number of an"):
        read({"labels": labels}, names)
    names = [f"{number}.png" for number in range(1500)]
    labels = [[name, number] for number, name in enumerate(names)]
    np.testing.assert_array_equal(read({"labels": labels}, names), np.eye(1500))


def test_a_bomb_of_json_is_not_parsed():
    data = b'{"labels": [' + b"[]," * 500_000
    with pytest.raises(UserError, match=r"^dataset\.json: 1,500,012 bytes for 2 images, limit 1,"):
        labels_from_json(data, NAMES, "dataset.json")
    vector = np.random.RandomState(0).randn(2500).tolist()
    assert read({"labels": [[name, vector] for name in NAMES]}).shape == (2, 2500)


def test_what_is_told_of_classes():
    assert list_classes(["cats", "a\n\x1b[31m"]) == r"0 cats, 1 a\n\x1b[31m"
    told = list_classes([f"c{number}" for number in range(1234)])
    assert told.startswith("0 c0, 1 c1, ")
    assert told.endswith(", 19 c19, … (1,234 classes)")
    assert list_classes(["x"] * 20).endswith(", 19 x")


def test_folders():
    labels, names = labels_from_folders(["dog/1.png", "cat/x/1.png", "cat/2.png"])
    assert names == ["cat", "dog"]
    assert labels.dtype == np.float32
    np.testing.assert_array_equal(labels, [[0, 1], [1, 0], [1, 0]])


@pytest.mark.parametrize("names", [["a/1.png", "a/2.png"], ["a/1.png", "b/1.png", "1.png"]])
def test_folders_that_are_no_classes(names):
    assert labels_from_folders(names) == (None, [])


@pytest.mark.parametrize(
    "names",
    [
        ["photos/dog/1.png", "photos/cat/x/1.png", "photos/cat/2.png"],
        ["a/b/dog/1.png", "a/b/cat/1.png", "a/b/cat/2.png"],
        ["photos\\dog\\1.png", "photos\\cat\\1.png", "photos\\cat\\2.png"],
        ["./dog/1.png", "cat/./1.png", "cat\\2.png"],
    ],
)
def test_folders_below_the_one_that_holds_everything(names):
    labels, classes = labels_from_folders(names)
    assert classes == ["cat", "dog"]
    np.testing.assert_array_equal(labels, [[0, 1], [1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["1.png", "2.png"], ""),
        (["a/1.png", "a/2.png"], "all images are in one folder, a"),
        (["p/a/1.png", "p\\a\\2.png"], "all images are in one folder, p/a"),
        (["p/a/1.png", "p/b/1.png", "p/1.png"], "p/1.png is beside the folders a, b, which"),
        (["a/1.png", "1.png", "2.png"], "1.png and 1 more is beside the folders a, which are"),
        (
            [*(f"{c}/1.png" for c in "abcde"), "\x1b.png"],
            r"\x1b.png is beside the folders a, b, c, …",
        ),
    ],
)
def test_why_folders_make_no_labels(names, reason):
    assert labels_from_folders(names) == (None, [])
    told = why_folders_make_no_labels(names)
    assert told.startswith(reason)
    assert bool(told) == bool(reason)


def test_common_folder():
    assert common_folder(["a/b/1", "a/bc/1"]) == "a/"
    assert common_folder(["a-b/1", "a/1", "a/2"]) == ""
    assert common_folder(["a/1"]) == "a/"


NFC, NFD = "caf\u00e9/1.png", "cafe\u0301/1.png"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (NFC, NFD),
        (NFD, NFC),
        ("a/1.png", "./a/1.png"),
        ("a/1.png", "a\\1.png"),
        ("a/1.png", ".\\a\\.//1.png"),
        ("a\\1.png", "a/1.png"),
    ],
)
def test_other_spellings_of_a_name(name, written):
    labels = read({"labels": [["b.png", 0], [written, 1]]}, [name, "b.png"])
    np.testing.assert_array_equal(labels, [[0, 1], [1, 0]])
    with pytest.raises(UserError, match=r"two labels for .*, the second time as '"):
        read({"labels": [["b.png", 0], [name, 1], [written, 1]]}, [name, "b.png"])


def test_names_that_differ_by_their_spelling_alone():
    labels = read({"labels": [[NFC, 0], [NFD, 1]]}, [NFC, NFD])
    np.testing.assert_array_equal(labels, [[1, 0], [0, 1]])
    with pytest.raises(UserError, match=r"two labels for"):
        read({"labels": [[NFC, 0], [f"./{NFC}", 1]]}, [NFC, NFD])
