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
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
import tensorflow as tf

from datasets.format.tfrecords import frame_record
from datasets.grids import encode, to_pil
from dnnlib.errors import explain_write_errors

_VERSION = "brain.Event:2"  # of the format


class EventFile:
    """A file of `directory` that appears with its first record.

    suffix: of its name. All methods raise UserError naming the file for a full disk and the like.
    """

    def __init__(self, directory: str | os.PathLike, suffix: str = ".v2"):
        self._directory, self._suffix = Path(directory), suffix
        self._path: Path = self._directory
        self._file: Optional[io.FileIO] = None

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Adds numbers, by their tags, as float32."""
        for tag, value in values.items():
            self._add(step, tag, "scalars", tf.make_tensor_proto(value, tf.float32))

    def picture(self, step: int, tag: str, pixels: np.ndarray) -> None:
        """Adds a uint8 picture [H, W, C]."""
        height, width, _ = pixels.shape
        values = [str(width).encode(), str(height).encode(), encode(to_pil(pixels), "PNG")]
        self._add(step, tag, "images", tf.make_tensor_proto(values, tf.string))

    def close(self) -> None:
        if self._file is not None:
            with explain_write_errors(self._path):
                self._file.close()

    def _add(self, step: int, tag: str, plugin: str, tensor: Any) -> None:
        """plugin: TensorBoard's page that shows it."""
        v1 = tf.compat.v1
        metadata = v1.SummaryMetadata(plugin_data={"plugin_name": plugin})
        value = v1.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
        event = v1.Event(wall_time=time.time(), step=step, summary=v1.Summary(value=[value]))
        if self._file is None:
            self._open()
        self._write(event)

    def _open(self) -> None:
        base = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        for number in itertools.count():
            self._path = self._directory / f"{base}.{number}{self._suffix}"
            with explain_write_errors(self._path):
                self._directory.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    self._file = io.FileIO(self._path, "xb")
                    break
        try:
            self._write(tf.compat.v1.Event(wall_time=time.time(), file_version=_VERSION))
        except BaseException:  # no file without its version
            file, self._file = self._file, None
            with contextlib.suppress(OSError):
                self._path.unlink()
                file.close()
            raise

    def _write(self, event: Any) -> None:
        """Writes a record whole, or nothing of it."""
        assert self._file is not None
        rest = memoryview(frame_record(event.SerializeToString()))
        with explain_write_errors(self._path):
            start = self._file.tell()
            try:
                while rest:  # a write may end early
                    rest = rest[self._file.write(rest) :]
            except BaseException:
                with contextlib.suppress(OSError):
                    self._file.truncate(start)
                    self._file.seek(start)
                raise
