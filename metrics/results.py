"""What is kept of a result: a record with its provenance, in a file, TensorBoard, and one line."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, Union

import numpy as np

from datasets.grids import encode, to_pil
from dnnlib import atomic, json_files, run_dirs
from dnnlib.errors import explain_write_errors
from dnnlib.paths import open_to_append
from dnnlib.progress import format_time

if TYPE_CHECKING:
    from training.event_file import EventFile

# In a record's details: images of the data set, where it has fewer than are taken; and
# {'network': classes, 'dataset': classes}, where the network has fewer.
DISTINCT_REALS, CLASSES = "distinct_reals", "classes"
Record = dict[str, Any]
StrPath = Union[str, os.PathLike]


def path_in(run_dir: StrPath, metric_name: str) -> Path:
    """The file of a metric's records, a JSON object a line."""
    return Path(run_dir) / f"metric-{metric_name}.jsonl"


def find(run_dir: StrPath, metric_name: str, provenance: dict[str, Any]) -> Optional[Record]:
    """The record of the same evaluation, if the run has it; older ones tell of no method."""
    method = {"method": provenance["method"]} if "method" in provenance else {}
    path = path_in(run_dir, metric_name)
    try:
        lines = json_files.read_text(path).splitlines()
    except FileNotFoundError:
        return None
    for text in lines:
        with contextlib.suppress(ValueError, TypeError, KeyError):  # a damaged line
            record = json_files.parse(text)
            if {**method, **record["provenance"]} == provenance and line(record):
                return record
    return None


def check_writable(run_dir: StrPath) -> None:
    """Raises UserError unless records can be kept in a directory; makes none."""
    run_dirs.check_place(run_dir)
    run_dirs.check_files(run_dir, ("metric-*.jsonl", "metric-*.png", "events.out.tfevents.*"))


def append(run_dir: StrPath, record: Record) -> None:
    """Adds a record to its metric's file."""
    path = path_in(run_dir, record["metric"])
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record, allow_nan=False) + "\n"
        with open_to_append(path) as file:
            # After a line that was cut short the next one starts on a new line.
            if file.tell() and _last_byte(file) != b"\n":
                text = "\n" + text
            file.write(text.encode())


def save_picture(run_dir: StrPath, record: Record, pixels: np.ndarray) -> Path:
    """Writes what belongs to a record as a picture beside its file; returns where it is."""
    sha256 = record["provenance"]["network_sha256"]  # one directory may have several network-final
    network = f"{Path(record['network_file']).stem}-{sha256[:8]}"
    path = Path(run_dir) / f"metric-{record['metric']}-{network}.png"
    atomic.write_bytes(path, encode(to_pil(pixels), "PNG"))
    return path


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, 2)
    return file.read(1)


def to_tensorboard(run_dir: StrPath, record: Record) -> None:
    """Adds a record's numbers to the run's TensorBoard page, at the network's image count."""
    tags = {f"Metrics/{name}": value for name, value in record["results"].items()}
    _events(str(run_dir)).scalars(record["cur_nimg"], tags)


@functools.lru_cache(maxsize=1)  # one file for all records of a process
def _events(run_dir: str) -> EventFile:
    from training.event_file import EventFile  # which needs TensorFlow

    return EventFile(run_dir, suffix=".metrics")


def line(record: Record, digits: int = 4) -> str:
    """One line for people: the numbers, then where they come from. digits: after the point."""
    p = record["provenance"]
    numbers = [f"{name} {_shown(value, digits)}" for name, value in record["results"].items()]
    parts = [f"{record['network_file']} (sha256 {p['network_sha256'][:12]})"]
    if "dataset" in p:
        reals = ""
        if "num_reals" in p:
            mirrored = "mirrored" if p["mirror"] else "not mirrored"
            distinct = record["details"].get(DISTINCT_REALS)
            reals = f", {_count_reals(p['num_reals'], distinct)}, {mirrored}"
        parts.append(f"{p['dataset']} (content {p['dataset_content'][:12]}){reals}")
    parts.append(f"{p['num_fakes']:,} {p['fakes']}, no truncation, seed {p['seed']}")
    if p["labels"] != "none":
        classes = record["details"].get(CLASSES)
        of = f" ({classes['network']} of its {classes['dataset']} classes)" if classes else ""
        parts.append(f"labels {p['labels']}{of}")
    used = p["feature_networks"]
    if len(used) > 1:
        together = hashlib.sha256("".join(used.values()).encode()).hexdigest()
        used = {f"{len(used)} classifiers": together}
    parts += [f"{name} (sha256 {sha[:12]})" for name, sha in used.items()]
    if p.get("svm", "dual") != "dual":
        parts.append(f"{p['svm']} SVMs")
    if p["precision"] != "float32":
        parts.append(p["precision"])
    if "features" in p:
        parts.append(f"features: {p['features']}")
    if "method" in p:
        parts.append(p["method"])
    parts.append(f"metrics version {p['version']}")
    return f"{'  '.join(numbers)}  [{'; '.join(parts)}]  {format_time(record['seconds'])}"


def _count_reals(number: int, distinct: Optional[int]) -> str:
    """'20 reals, each twice', for 40 images of a data set that has `distinct` ones."""
    if not distinct or distinct >= number:
        return f"{number:,} reals"
    times, rest = divmod(number, distinct)
    if not rest:
        return f"{distinct:,} reals, each {_times(times)}"
    others = "" if times == 1 else f", the others {_times(times)}"
    return f"{distinct:,} reals, {rest:,} of them {_times(times + 1)}{others}"


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def _shown(value: float, digits: int) -> str:
    """`digits` after the point, or fewer from 10 on: five digits in all of four after the point."""
    whole = len(str(int(abs(value))))
    return f"{value:.{max(min(digits, digits + 1 - whole), 2)}f}"
