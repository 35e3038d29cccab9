"""Of the original's networks: what there is no counterpart to, and the way to the same end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dnnlib.config import nearest

OTHER_WAYS = {
    "get_output_for": "call the network itself, which is differentiable: Gs.network(latents)",
    "convert": "networks.build(func_name, …) and copy_vars_from, or clone(option=value)",
    "list_ops": "TensorFlow 2 has no graph to list; list_layers and vars have layers and variables",
    "setup_weight_histograms": "tf.summary.histogram(name, variable) for the items of trainables",
    "input_names": "input_shapes: one for each input of run, in its order",
    "output_names": "output_shapes: one for each output of run",
    "input_templates": "input_shapes",
    "output_templates": "output_shapes",
    "var_global_to_local": "vars: here names are local",
    "scope": "name: here variables have local names only",
    "static_kwargs_src": "static_kwargs",
    "build_module_src": "the code in a pickle is never run; the networks are those of networks/",
    "build_func_name": "Gs.network.func_name",
    "save_pkl": "networks.save(path, Gs=Gs.network)",
}


class Absent(AttributeError):
    """Of a name that a network and its facade lack: the text names another way, or a near name.

    owner: the network or the facade. offered: public names besides the owner's own. The text is
    made when it is read, for Keras asks networks for much that it does not expect to be there.
    """

    def __init__(self, owner: Any, name: str, offered: Iterable[str]):
        super().__init__(name)
        self._owner, self._name, self._offered = owner, name, offered

    def __str__(self) -> str:
        name = self._name
        if name in OTHER_WAYS:
            return f"a network here has no {name!r}: {OTHER_WAYS[name]}"
        ours = [
            kind for kind in type(self._owner).__mro__ if kind.__module__.startswith("networks.")
        ]
        names = {*self._offered, *vars(self._owner), *(key for kind in ours for key in vars(kind))}
        near = nearest(name, sorted(key for key in names if not key.startswith("_")))
        return f"a network here has no {name!r}{near}; docs/from-the-original.md has what there is"
