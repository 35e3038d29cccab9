"""Labels of a folder of pictures: from dataset.json, or from the names of subfolders."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from datasets.sources.containers import printable
from dnnlib import json_files
from dnnlib.errors import UserError

_MAX_CLASSES = 1 << 16  # more is a mistake, such as an image's number in place of its class
_PLAUSIBLE_CLASSES = 1000  # for fewer images; else one for each image
_MAX_BYTES = 1 << 20  # of a file of labels, and as much more for each image:
_MAX_BYTES_PER_IMAGE = 1 << 14  # a vector of 700 numbers of full length, or 3000 zeros
_CLASSES_SHOWN = 20
_MAX_FLOAT = float(np.finfo(np.float32).max)


def labels_from_json(
    data: bytes, names: list[str], where: str, folders: Sequence[str] = ("",)
) -> np.ndarray | None:
    """{"labels": [["path", 3 | [0.5, …]], …]} → float32 [len(names), K] in the order of `names`.

    Class numbers become one-hot rows, K being the largest plus one. None for {"labels": null} or
    no "labels". folders: what the paths may be relative to, each '' or with '/' after it and above
    all names: they are to that one below which most of them are found, the first where several are
    as good. Raises UserError, naming the file by `where`, for anything else, for more classes
    or bytes than that many images can need, and unless every name has exactly one label and every
    label an image. Spellings of one path that systems take for the same are (spelled_alike).
    """
    # Python makes objects of many times the size, and in a zip a bomb is small.
    limit = _MAX_BYTES + _MAX_BYTES_PER_IMAGE * len(names)
    if len(data) > limit:
        raise UserError(f"{where}: {len(data):,} bytes for {len(names):,} images, limit {limit:,}")
    try:
        document = json_files.parse(data, finite=False)  # the label is named below
    except json_files.JsonError as error:
        raise UserError(f"{where}: not a valid JSON file: it {error}") from error
    entries = document.get("labels") if isinstance(document, dict) else document
    if entries is None:
        return None
    if not isinstance(entries, list) or not isinstance(document, dict):
        raise UserError(f'{where}: expected {{"labels": [["path", label], …]}}')
    for number, entry in enumerate(entries):
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            raise UserError(
                f'{where}: entry {number} of "labels" is not of the form ["path", label]'
            )
    if len(folders) > 1:
        names = _relative(names, folders, {spelled_alike(path) for path, _ in entries})
    labels, spelling = {}, _spellings(names)
    for entry in entries:
        name = spelling.get(entry[0]) or spelling.get(spelled_alike(entry[0])) or entry[0]
        if name in labels:
            given = "" if name == entry[0] else f", the second time as {entry[0]!a}"
            raise UserError(f"{where}: two labels for {name!r}{given}")
        labels[name] = entry[1]
    known = set(names)
    _refuse(where, "no label for", [name for name in names if name not in labels])
    _refuse(where, "labels without an image:", [name for name in labels if name not in known])
    return _label_array([labels[name] for name in names], names, where)


def spelled_alike(path: str) -> str:
    """One spelling for all that archives and systems make of a path: '/' for '\\', no './', and
    letters with accents as one character (macOS takes them apart)."""
    parts = unicodedata.normalize("NFC", path).replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


def _relative(names: list[str], folders: Sequence[str], paths: set[str]) -> list[str]:
    """Names as they are below that one of the folders below which most of the paths are."""
    spelled = [spelled_alike(name) for name in names]
    # Below '' they stay as they are, however they are spelled.
    below = [[name[len(f) :] for name in (spelled if f else names)] for f in folders]
    return max(below, key=lambda some: len(paths & {spelled_alike(name) for name in some}))


def _spellings(names: list[str]) -> dict[str, str | None]:
    """Each name, and the one spelling of it → the name; None where two names share a spelling."""
    alike: dict[str, str | None] = {}
    for name in names:
        spelling = spelled_alike(name)
        alike[spelling] = None if spelling in alike else name
    return {**alike, **{name: name for name in names}}


def common_folder(names: list[str]) -> str:
    """The longest path of folders, each with '/' after it, that all names lie below; else ''.

    names: not empty, with one spelling each (spelled_alike).
    """
    folders = min(names).split("/")[:-1], max(names).split("/")[:-1]
    common = ""
    for one, other in zip(*folders):
        if one != other:
            break
        common += one + "/"
    return common


def labels_from_folders(names: list[str]) -> tuple[np.ndarray | None, list[str]]:
    """One class per folder, in sorted order: one-hot float32 [len(names), K], names.

    The folders are those of the first level, or below the one that holds everything. None and no
    names unless every image is in one of at least two such folders.
    """
    _, folders = _folders(names)
    classes = sorted(set(folders))
    if len(classes) < 2 or "" in classes:
        return None, []
    numbers = {name: number for number, name in enumerate(classes)}
    return one_hot([numbers[folder] for folder in folders], len(classes), "folders"), classes


def why_folders_make_no_labels(names: list[str]) -> str:
    """What to tell where `labels_from_folders` returns None; '' where there are no folders."""
    above, folders = _folders(names)
    classes = sorted(set(folders) - {""})
    outside = [name for name, folder in zip(names, folders) if not folder]
    if not classes:
        return f"all images are in one folder, {printable(above[:-1])}" if above else ""
    shown = ", ".join(map(printable, classes[:3])) + (", …" if len(classes) > 3 else "")
    more = f" and {len(outside) - 1:,} more" if len(outside) > 1 else ""
    return (
        f"{printable(outside[0])}{more} is beside the folders {shown}, which are classes where "
        "every image is in one of them"
    )


def _folders(names: list[str]) -> tuple[str, list[str]]:
    """→ the folder that holds everything, and that below it in which each is, '' for none."""
    paths = [spelled_alike(name) for name in names]
    above = common_folder(paths)
    parts = [path[len(above) :].partition("/") for path in paths]
    return above, [folder if slash else "" for folder, slash, _ in parts]


def list_classes(names: Sequence[str]) -> str:
    """What to tell of the classes: the numbers and names of the first, and how many there are."""
    shown = ", ".join(f"{i} {printable(name)}" for i, name in enumerate(names[:_CLASSES_SHOWN]))
    return shown + (f", … ({len(names):,} classes)" if len(names) > _CLASSES_SHOWN else "")


def _label_array(labels: list, names: list[str], where: str) -> np.ndarray:
    if all(type(label) is int for label in labels):  # bool is an int to isinstance
        for name, label in zip(names, labels):
            if not 0 <= label < _MAX_CLASSES:
                raise UserError(
                    f"{where}: class {label} of {name!r} is not in 0…{_MAX_CLASSES - 1}"
                )
        highest = max(labels)
        if highest >= max(_PLAUSIBLE_CLASSES, len(names)):
            raise UserError(
                f"{where}: class {highest} of {names[labels.index(highest)]!r}, for {len(names)} "
                "images: a number of another kind? Classes are numbered from 0; or --labels=none"
            )
        return one_hot(labels, highest + 1, where)
    width = next((len(label) for label in labels if isinstance(label, list)), 0)
    for name, label in zip(names, labels):
        if not isinstance(label, list) or not label or not all(map(_is_number, label)):
            raise UserError(
                f"{where}: the label of {name!r} is neither a class number, as all must be then, "
                "nor a list of finite numbers"
            )
        if len(label) != width:
            raise UserError(f"{where}: {len(label)} numbers for {name!r}, {width} for {names[0]!r}")
    return np.array(labels, np.float32)


def _is_number(value) -> bool:
    return type(value) in (int, float) and abs(value) <= _MAX_FLOAT  # false for NaN


def one_hot(numbers: np.ndarray, classes: int, where: str) -> np.ndarray:
    """Class numbers [N], integers → float32 [N, classes].

    Raises UserError for any that is not one of 0 … classes - 1; `where` names their file.
    """
    numbers = np.asarray(numbers)
    if len(numbers) and not 0 <= numbers.min() <= numbers.max() < classes:
        wrong = numbers[(numbers < 0) | (numbers >= classes)][0]
        raise UserError(f"{where}: label {wrong}, expected 0 to {classes - 1}")
    labels = np.zeros([len(numbers), classes], np.float32)
    labels[np.arange(len(numbers)), numbers] = 1
    return labels


def _refuse(where: str, problem: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise UserError(f"{where}: {problem} {', '.join(map(repr, names[:3]))}{more}")
