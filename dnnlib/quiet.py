"""What TensorFlow says of itself, kept off the terminal unless the user asks for it."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from dnnlib.errors import UserError, disk_reason


def import_tensorflow() -> ModuleType:
    """Imports TensorFlow without its page of information; returns the module.

    With TF_CPP_MIN_LOG_LEVEL in the environment it says what that asks for.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return importlib.import_module("tensorflow")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    # TensorFlow 2.21 writes some lines before it reads the variable.
    with without_stderr():
        tensorflow = importlib.import_module("tensorflow")
    # Python's part has a logger of its own; it takes several stages or metrics for a mistake.
    tensorflow.get_logger().setLevel("ERROR")
    return tensorflow


@contextlib.contextmanager
def tensorflow_ready(remedy: str) -> Iterator[None]:
    """Imports TensorFlow; what runs out of memory in the block becomes a UserError.

    remedy: which flags take less memory.
    """
    tensorflow = import_tensorflow()
    try:
        yield
    except tensorflow.errors.ResourceExhaustedError as error:
        if disk_reason(error):  # a full disk has the same class
            raise
        raise UserError(f"out of memory: {remedy}") from error


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Throws away what is written to file descriptor 2, by C++ as well."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
