"""The families of networks, and from the name of a build function to a network.

A family registers with one entry, its `Family` (networks/options.py): names, options, and where
the classes are. Needs no TensorFlow until a network is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional

from networks.options import Family, Function
from networks.progan.options import FAMILY as _PROGAN
from networks.stylegan.options import FAMILY as _STYLEGAN
from networks.stylegan2.family import FAMILY as _STYLEGAN2

if TYPE_CHECKING:
    import numpy as np

# In the order of search, where a name alone does not tell the family.
_FAMILIES: dict[str, Family] = {family.name: family for family in (_STYLEGAN, _PROGAN, _STYLEGAN2)}


def register(family: Family) -> None:
    """Adds a family, or replaces the one of its name."""
    _FAMILIES[family.name] = family


def unregister(name: str) -> None:
    """Removes a family."""
    del _FAMILIES[name]


def locate(func_name: str, family: Optional[str] = None) -> tuple[Family, Function]:
    """The family and the function that a name means.

    func_name: 'G_style', or with the original's module in front, which tells functions of one name
    in several families apart, 'training.networks_stylegan.G_style'. family: where to look, by its
    name. Raises ValueError, naming the known functions, when there is none.
    """
    module, _, name = str(func_name).rpartition(".")
    module = module.rpartition(".")[2]
    searched = [f for f in _FAMILIES.values() if family in (None, f.name)]
    searched.sort(key=lambda f: module not in f.modules)  # stable: the module's own family first
    every = [(candidate, each) for candidate in searched for each in candidate.functions]
    for candidate, function in every:
        if module and (module, name) == (function.pickled_from, function.pickled[0]):
            return candidate, function
    for candidate, function in every:
        if function.name == name:
            return candidate, function
    known = ", ".join(function.name for f in _FAMILIES.values() for function in f.functions)
    of = "" if family is None else f" of the family {family!r}"
    raise ValueError(f"unknown network {func_name!r}{of}; known: {known}")


def locate_pickled(func_name: str, version: int) -> tuple[Family, Function]:
    """As `locate`, of a name in a pickle whose state is of a version."""
    name = func_name.rpartition(".")[2]
    for family in _FAMILIES.values():
        for function in family.functions:
            if function.pickled[0] == name and version >= function.pickled[1]:
                return family, function
    return locate(func_name)


def names(role: str) -> list[str]:
    """The functions of all families that make a network of a role: 'G', 'D' or 'part'."""
    every = (function for family in _FAMILIES.values() for function in family.functions)
    return list(dict.fromkeys(function.name for function in every if function.role == role))


def role(func_name: str, family: Optional[str] = None) -> str:
    """'G', 'D', or 'part' for a part of a generator; ValueError when unknown."""
    return locate(func_name, family)[1].role


def title(func_name: str, family: Optional[str] = None) -> str:
    """How messages call a network of a function: 'a G_style', 'a Progressive GAN (G_paper)'."""
    function = locate(func_name, family)[1]
    return function.title or f"a {function.name}"


def has_styles(func_name: str, family: Optional[str] = None) -> bool:
    """Whether the codes of a generator are w; ValueError when unknown."""
    return locate(func_name, family)[1].has_styles


def grows(func_name: str, options: Mapping[str, Any], family: Optional[str] = None) -> bool:
    """Whether a network of these options, all of them, can grow from a lower resolution."""
    grows = locate(func_name, family)[1].grows
    return grows is None or grows(options)


def defaults(func_name: str) -> dict[str, Any]:
    """{option: its default} of a function; ValueError when unknown."""
    return locate(func_name)[1].defaults()


def every_option() -> set[str]:
    """The names of the options of all functions."""
    return {
        key
        for family in _FAMILIES.values()
        for function in family.functions
        for key in function.options
    }


def resolve(func_name: str, *, family: Optional[str] = None, **kwargs: Any) -> dict[str, Any]:
    """Returns every option of `func_name`: the defaults, overridden by `kwargs`.

    Raises ValueError naming an unknown function or keyword, or an impossible value.
    """
    return locate(func_name, family)[1].resolve(**kwargs)


def build(
    func_name: str,
    *,
    family: Optional[str] = None,
    seed: Optional[int] = None,
    arrays: Optional[Iterable[tuple[str, np.ndarray]]] = None,
    shapes: Optional[Mapping[str, tuple[int, ...]]] = None,
    **kwargs: Any,
) -> Any:
    """Makes a network, complete with all its variables.

    func_name: 'G_style', 'D_basic', 'G_main', 'D_stylegan2', 'G_paper', … (`Function.name` of a
    family), also with the reference's module in front. family: 'stylegan', 'progan' or 'stylegan2',
    where the name alone is not clear: 'G_mapping' is StyleGAN's. kwargs: the reference's keywords
    (networks/stylegan/options.py and others).
    seed: of the initial weights; None draws one. arrays: pairs (legacy name, array), exactly the
    network's, to start with instead: none is drawn, and each is assigned before the next is
    asked for. shapes: {legacy name: shape} of the arrays, where it is known beforehand: with it
    options that claim another network are refused before anything is as large as they say.
    Raises ValueError naming an unknown name or keyword, or the arrays that differ.
    """
    module, _, name = locate(func_name, family)[1].target.rpartition(".")
    network_class = getattr(import_module(module), name)
    if arrays is None:
        return network_class(seed=seed, **kwargs)
    return network_class.from_arrays(arrays, seed=seed, shapes=shapes, **kwargs)
