"""What Keras offers for saving and copying, refused: it would lose what a network is.

Keras writes files that it cannot read back into these classes, whose variables have the original's
names. Snapshots (networks/snapshot.py) are exact, and hold no code.
"""

from __future__ import annotations

from typing import Any, NoReturn


class OwnSaving:
    """Of networks: `copy.deepcopy` is an exact copy; Keras's files and pickles are refused.

    What is refused raises NotImplementedError.
    """

    func_name: str
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

    def get_build_config(self) -> NoReturn:
        # Keras's functions, such as keras.saving.save_model, ask for it before they open a file.
        refuse(self.func_name, "Keras's saving")

    def save_own_variables(self, store: Any) -> NoReturn:
        refuse(self.func_name, "Keras's saving")  # by keras.saving.save_weights

    def export(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self.func_name, "Keras's export")


def refuse(name: str, action: str) -> NoReturn:
    """Raises the NotImplementedError that names the ways there are."""
    raise NotImplementedError(
        f"{name}: {action} does not keep this network: use networks.save(path, Gs=network) and "
        "networks.load(path), network.copy() for a copy in memory, or run_generator.py convert for "
        "a SavedModel"
    )
