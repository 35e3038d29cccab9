"""TensorBoard's file of a run.

TensorFlow's own writer says nothing when the disk is full: what it was given is lost, and half a
record may stay. This one is of the same records, each written when it is given or an error.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from datasets.format.tfrecords import frame_record
from datasets.grids import encode, to_pil
from dnnlib.errors import explain_write_errors

_VERSION = "brain.Event:2"  # of the format


class EventFile:
    """A file of `directory` that appears with its first record; open only while it is written.

    suffix: of its name. All methods raise UserError naming the file for a full disk and the like.
    """

    def __init__(self, directory: str | os.PathLike, suffix: str = ".v2"):
        self._directory, self._suffix = Path(directory), suffix
        self._path: Optional[Path] = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds numbers, by their tags, as float32."""
        self._append(
            _event(step, tag, "scalars", tf.make_tensor_proto(value, tf.float32))
            for tag, value in values.items()
        )

    def picture(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Adds a uint8 picture [H, W, C]."""
        height, width, _ = pixels.shape
        values = [str(width).encode(), str(height).encode(), encode(to_pil(pixels), "PNG")]
        self._append([_event(step, tag, "images", tf.make_tensor_proto(values, tf.string))])

    def _append(self, events: Iterable[Any]) -> None:
        """Writes records whole, or nothing of them."""
        if self._path is None:
            first = tf.compat.v1.Event(wall_time=time.time(), file_version=_VERSION)
            with explain_write_errors(self._directory):
                self._directory.mkdir(parents=True, exist_ok=True)
            path = self._unused()
            with explain_write_errors(path):
                try:
                    _write(path, "xb", [first, *events])
                except BaseException:  # no file without its version
                    with contextlib.suppress(OSError):
                        path.unlink()
                    raise
            self._path = path
            return
        with explain_write_errors(self._path):
            _write(self._path, "ab", events)

    def _unused(self) -> Path:
        base = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        names = (f"{base}.{number}{self._suffix}" for number in itertools.count())
        return next(path for name in names if not (path := self._directory / name).exists())


def _event(step: int, tag: str, plugin: str, tensor: Any) -> Any:
    """plugin: TensorBoard's page that shows it."""
    v1 = tf.compat.v1
    metadata = v1.SummaryMetadata(plugin_data={"plugin_name": plugin})
    value = v1.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
    return v1.Event(wall_time=time.time(), step=step, summary=v1.Summary(value=[value]))


def _write(path: Path, mode: str, events: Iterable[Any]) -> None:
    rest = memoryview(b"".join(frame_record(event.SerializeToString()) for event in events))
    with io.FileIO(path, mode) as file:
        start = file.seek(0, os.SEEK_END)
        try:
            while rest:  # a write may end early
                rest = rest[file.write(rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(start)
            raise
