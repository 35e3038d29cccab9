"""The original's methods for the variables of a network: read, set, copied, averaged, reset."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

from dnnlib.config import nearest


class Variables:
    """Of a RunnableNetwork (networks/original.py), whose `vars` are {local name: tf.Variable}."""

    network: Any
    name: str
    vars: dict[str, tf.Variable]
    own_vars: dict[str, tf.Variable]
    trainables: dict[str, tf.Variable]

    def find_var(self, name: Any) -> tf.Variable:
        """The tf.Variable with a local name; a variable is returned as it is."""
        if not isinstance(name, str):
            return name
        if name not in self.vars:
            self._fail(f"no variable {name!r}{nearest(name, self.vars)}")
        return self.vars[name]

    def get_var(self, name: Any) -> np.ndarray:
        """The value of a variable, by its local name."""
        return np.array(self.find_var(name).numpy())

    def set_var(self, name: Any, value: Any) -> None:
        """Sets a variable; ValueError when the shape is another."""
        variable, value = self.find_var(name), np.asarray(value, np.float32)
        if value.shape != tuple(variable.shape):
            name = getattr(name, "name", name)
            self._fail(f"{name}: shape {value.shape}, expected {tuple(variable.shape)}")
        variable.assign(value)

    def copy_vars_from(self, other: Any) -> None:
        """Copies every variable whose name both networks have."""
        other = getattr(other, "runnable", other)
        for name in self.vars:
            if name in other.vars:
                self.set_var(name, other.get_var(name))

    def copy_own_vars_from(self, other: Any) -> None:
        """As copy_vars_from, of those that belong to no component."""
        self._copy(self.own_vars, other)

    def copy_trainables_from(self, other: Any) -> None:
        """As copy_vars_from, of those that are trained."""
        self._copy(self.trainables, other)

    def reset_vars(self) -> None:
        """Gives all variables the values that they had when the network was made."""
        self._reset(self.vars)

    def reset_own_vars(self) -> None:
        """As reset_vars, of those that belong to no component."""
        self._reset(self.own_vars)

    def reset_trainables(self) -> None:
        """As reset_vars, of those that are trained."""
        self._reset(self.trainables)

    def setup_as_moving_average_of(
        self, other: Any, beta: float = 0.99, beta_nontrainable: float = 0.0
    ) -> Callable[[], None]:
        """A function that moves each variable towards the other network's: a + (own − a) beta.

        The original returns an operation to be run after each step; call this one then.
        beta_nontrainable: of what is not trained; 0 copies it.
        """
        other = getattr(other, "runnable", other)

        def update() -> None:
            for name, variable in self.vars.items():
                if name in other.vars:
                    target = tf.convert_to_tensor(other.vars[name])
                    share = beta if name in self.trainables else beta_nontrainable
                    variable.assign(target + (tf.convert_to_tensor(variable) - target) * share)

        return update

    def get_var_local_name(self, var_or_name: Any) -> str:
        """The local name of a variable; a name is returned as it is."""
        if isinstance(var_or_name, str):
            return var_or_name
        for name, variable in self.vars.items():
            if variable is var_or_name:
                return name
        self._fail("no such variable")

    def _copy(self, names: Iterable[str], other: Any) -> None:
        other = getattr(other, "runnable", other)
        for name in names:
            if name in other.vars:
                self.set_var(name, other.get_var(name))

    def _reset(self, names: Iterable[str]) -> None:
        new = type(self.network)(seed=self.network.seed, **self.network.options)
        for name in names:
            self.vars[name].assign(tf.convert_to_tensor(new.named[name]))

    def _fail(self, message: str) -> NoReturn:
        raise ValueError(f"{self.name}: {message}")
