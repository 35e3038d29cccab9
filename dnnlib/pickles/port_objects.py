"""What the objects in the files of StyleGAN's PyTorch ports become: as torch_objects.py, and more.

Those files are whole training states: the settings of the run are an argparse.Namespace, and
optimizers have numbers as keys.
"""

from __future__ import annotations

from typing import Optional

from dnnlib.pickles import torch_objects
from dnnlib.pickles.objects import Global, refuse, show

call = torch_objects.call

NAMESPACE = Global("argparse.Namespace", "namespace")
_MODELS = ("model", "models", "__main__", "networks", "training", "stylegan2", "stylegan2_pytorch")


class Namespace:
    """Settings; values: {name: stand-in}, None as long as the file has not given them."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: Optional[dict] = None


def find(module: str, name: str, offset: int) -> Global:
    """The row of a global. Nothing is imported, and a dotted name is just an unknown one."""
    if (module, name) == ("argparse", "Namespace"):
        return NAMESPACE
    if module.startswith("__torch__"):
        refuse("it is TorchScript, a program with its weights", offset)
    if module.partition(".")[0] in _MODELS or module.startswith("torch.nn.modules"):
        refuse(
            f"a whole model was pickled, {show(f'{module}.{name}')}, not its weights: it needs its "
            "own code, which is not run",
            offset,
        )
    return torch_objects.find(module, name, offset)


def new(cls: Global, args: tuple, offset: int) -> object:
    """What NEWOBJ makes."""
    if cls is not NAMESPACE:
        return torch_objects.new(cls, args, offset)
    if args:
        refuse("a Namespace is created in an unknown way", offset)
    return Namespace()


def build(target: object, state: object, offset: int) -> None:
    """What BUILD does: the values of settings, once; else as of state dicts."""
    if not isinstance(target, Namespace):
        torch_objects.build(target, state, offset)
    elif isinstance(state, dict) and target.values is None:
        target.values = state
    else:
        refuse("the values of a Namespace are no dictionary, or come twice", offset)
