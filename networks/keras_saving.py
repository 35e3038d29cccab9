"""What Keras offers for saving and copying, refused: it would lose what a network is.

Keras writes files that it cannot read back into these classes, whose variables have the original's
names. Snapshots (networks/snapshot.py) are exact, and hold no code.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import zipfile
from types import FrameType
from typing import Any, NoReturn, Optional


class OwnSaving:
    """Of networks: `copy.deepcopy` is an exact copy; Keras's files and pickles are refused.

    What is refused raises NotImplementedError.
    """

    func_name: str
    options: Any
    copy: Any

    def __deepcopy__(self, memo: dict) -> Any:
        memo[id(self)] = result = self.copy()
        return result

    def __copy__(self) -> NoReturn:
        refuse(self.func_name, "copy.copy")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        refuse(self.func_name, "pickle")

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's save")

    def save_weights(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's save_weights")

    def load_weights(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's load_weights")

    # Keras's functions, such as keras.saving.save_model, ask a model for little before they open
    # the file. What they ask for is refused to them, and to nobody else.

    @property
    def built(self) -> bool:
        """True: every variable is made in the constructor."""
        self._refuse_savers(sys._getframe(1))
        return True

    @built.setter
    def built(self, value: bool) -> None:
        pass

    @property
    def outputs(self) -> None:
        """None, as of every model that is no graph of Keras's layers."""
        self._refuse_savers(sys._getframe(1))

    @outputs.setter
    def outputs(self, value: Any) -> None:
        pass

    def _refuse_savers(self, caller: Optional[FrameType]) -> None:
        if _saves(caller):
            # Keras opens some files before it asks for anything, of a user's model nearly all.
            _remove_begun_files(caller)
            refuse(self.func_name, "Keras's saving")

    def get_config(self) -> dict[str, Any]:
        self._refuse_savers(sys._getframe(1))
        return dict(self.options)

    def to_json(self, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's to_json")

    def get_build_config(self) -> NoReturn:
        self._refuse_savers(sys._getframe(1))
        refuse(self.func_name, "Keras's saving")

    def load_own_variables(self, store: Any) -> NoReturn:
        refuse(self.func_name, "Keras's loading")

    def save_own_variables(self, store: Any) -> NoReturn:
        self._refuse_savers(sys._getframe(1))  # keras.saving.save_weights
        refuse(self.func_name, "Keras's saving")

    def export(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's export")


def _saves(caller: Optional[FrameType]) -> bool:
    """Whether what a frame runs belongs to Keras's saving."""
    module = str(caller.f_globals.get("__name__")) if caller else ""
    return module.startswith("keras.") and ".saving." in module


def _remove_begun_files(caller: Optional[FrameType]) -> None:
    """Removes what Keras's functions above this have begun to write, of which nothing can be read.

    Those are files that were given to them by their path, and that one of them has open.
    """
    named, opened = set(), set()
    while caller is not None:
        if _saves(caller):
            path = caller.f_locals.get("filepath")
            named.add(os.fspath(path) if isinstance(path, (str, os.PathLike)) else None)
            opened.update(map(_written, list(caller.f_locals.values())))
        caller = caller.f_back
    for path in (named & opened) - {None}:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _written(value: Any) -> Optional[str]:
    """The path of a file, zip archive or HDF5 file that is open for writing; None of all else."""
    handle = getattr(value, "h5_file", value)  # Keras's store of weights
    is_hdf5 = type(handle).__module__.startswith("h5py")
    if not (is_hdf5 or isinstance(handle, (io.IOBase, zipfile.ZipFile))):
        return None
    path = getattr(handle, "filename", None) or getattr(handle, "name", None)
    written = getattr(handle, "mode", "r") not in ("r", "rb")
    return os.fspath(path) if written and isinstance(path, (str, os.PathLike)) else None


def refuse(name: str, action: str) -> NoReturn:
    """Raises the NotImplementedError that names the ways there are."""
    raise NotImplementedError(
        f"{name}: {action} does not keep this network: use networks.save(path, Gs=network) and "
        "networks.load(path), network.copy() for a copy in memory, or run_generator.py convert for "
        "a SavedModel"
    )
