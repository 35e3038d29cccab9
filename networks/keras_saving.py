"""What Keras offers for saving and copying, refused: it would lose what a network is.

Keras writes files that it cannot read back into these classes, whose variables have the original's
names. Snapshots (networks/snapshot.py) are exact, and hold no code.
"""

from __future__ import annotations

import contextlib
import os
import sys
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

    def _refuse_savers(self, caller: FrameType) -> None:
        if _saves(caller):
            refuse(self.func_name, "Keras's saving")

    def get_config(self) -> dict[str, Any]:
        caller = sys._getframe(1)
        if _saves(caller):
            _remove_begun_file(caller)  # HDF5, of which Keras 3 asks for nothing before this
            refuse(self.func_name, "Keras's saving")
        return dict(self.options)

    def to_json(self, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's to_json")

    def get_build_config(self) -> NoReturn:
        refuse(self.func_name, "Keras's saving")

    def load_own_variables(self, store: Any) -> NoReturn:
        refuse(self.func_name, "Keras's loading")

    def save_own_variables(self, store: Any) -> NoReturn:
        refuse(self.func_name, "Keras's saving")  # by keras.saving.save_weights

    def export(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's export")


def _saves(caller: Optional[FrameType]) -> bool:
    """Whether what a frame runs belongs to Keras's saving."""
    module = str(caller.f_globals.get("__name__")) if caller else ""
    return module.startswith("keras.") and ".saving." in module


def _remove_begun_file(caller: Optional[FrameType]) -> None:
    """Removes the file that one of Keras's functions above this has begun, which is empty."""
    while caller is not None and _saves(caller):
        if caller.f_locals.get("opened_new_file"):
            with contextlib.suppress(OSError, TypeError):
                os.unlink(caller.f_locals.get("filepath"))  # type: ignore[arg-type]
        caller = caller.f_back


def refuse(name: str, action: str) -> NoReturn:
    """Raises the NotImplementedError that names the ways there are."""
    raise NotImplementedError(
        f"{name}: {action} does not keep this network: use networks.save(path, Gs=network) and "
        "networks.load(path), network.copy() for a copy in memory, or run_generator.py convert for "
        "a SavedModel"
    )
