"""Starting a run from the weights of another (`--resume_from`), also where not all of them fit."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from dnnlib.errors import UserError
from networks import layers, snapshot
from networks.base import ImageNetwork
from networks.legacy import RefusedNetwork
from networks.options import feature_maps
from training.choices import SETTLED
from training.source import mismatch
from training.translation import Translated, translate

_FALLBACK = {"G": ("G", "Gs"), "Gs": ("Gs", "G"), "D": ("D",)}
_FLAGS = "its options are not the file's; these are: "
_NO_KERNEL = (
    "note: nothing fits but biases, noise and single numbers, so that all layers start anew; with "
    "the flags above the networks are the file's"
)
_KEPT = ("lod", "G_synthesis/lod")  # where training stands, not what was learnt
_WIDTHS = ("fmap_base", "fmap_decay", "fmap_min", "fmap_max")
# Options that say how weights are used in pictures or while training, and not what they mean.
_OF_USE = frozenset(
    """truncation_psi truncation_cutoff truncation_psi_val truncation_cutoff_val style_mixing_prob
    dlatent_avg_beta randomize_noise structure num_fp16_res mbstd_group_size""".split()
)

_FREE = frozenset({"mapping_fmaps", "label_fmaps", "cmap_dim", "fmap_const"})  # None: as others are


def transfer(state: Any, path: Any) -> list[str]:
    """Takes over what fits from the network file at `path`; returns lines that say what, and what
    not.

    state: a TrainingState. A variable fits when name and shape do (training/translation.py). A file
    of G or Gs alone starts both. The last line says so where nothing fits but biases, noise and
    single numbers. Raises UserError when the file cannot be read or nothing fits.
    """
    opened, lines, total, kernels = _Opened(path), [], 0, 0
    notes: dict[str, list[str]] = {}
    options: dict[str, list[str]] = {}
    for role in snapshot.ROLES:
        network = getattr(state, role)
        with _aside():
            source, said = opened.first(role)
        lines += [f"{role}: {line}" for line in said]
        if source is None:
            continue
        own = network.FAMILY, network.func_name
        other = mismatch(source.FAMILY, source.func_name, *own)
        if other is not None:
            lines.append(f"{role}: starts anew; it is {other}")
            continue
        options[role] = [*_options(role, source, network)]
        if role != "Gs" or options[role] != options.get("G"):  # else it is said already
            lines += [f"{role}: {line}" for line in options[role]]
        taken, differences = _take(role, network, _translated(source, network))
        lines, total = lines + differences, total + len(taken)
        kernels += sum(_is_kernel(network.named[name]) for name in taken)
        for note in snapshot.notes(source):
            notes.setdefault(note, []).append(role)
    if not total:
        whys = [f" ({line})" for line in lines if "starts anew; " in line or _FLAGS in line]
        raise UserError(
            f"{path}: nothing in it fits the networks of this configuration{''.join(whys)}"
        )
    lines += [f"note on {', '.join(roles)}: {note}" for note, roles in notes.items()]
    return lines if kernels else [*lines, _NO_KERNEL]


def check_freezing(D: Any, layers: int) -> None:
    """Raises UserError unless so many layers of D may be frozen (Freeze-D)."""
    try:
        D.first_variables(layers)
    except ValueError as error:
        raise UserError(f"freeze_d={layers}: {error}") from error


def _aside() -> contextlib.AbstractContextManager:
    """The training devices' memory is for training; a plan takes none, and starts no device."""
    return contextlib.nullcontext() if layers.planning() else tf.device("CPU:0")


class _Opened:
    """The networks of a file, each made once: what makes them is for one call."""

    def __init__(self, path: Any) -> None:
        self.makers: dict[str, Callable] = snapshot.makers(path)
        self.made: dict[str, Any] = {}
        self.reasons: dict[str, str] = {}

    def first(self, role: str) -> tuple[Any, list[str]]:
        """(the network that a role starts from, or None, and what to say of it)."""
        reasons = []
        for given in (given for given in _FALLBACK[role] if given in self.makers):
            network = self._network(given)
            if network is None:
                reasons.append(self.reasons[given])
                continue
            if given == role:
                return network, []
            because = "".join(f", because {reason}" for reason in reasons)
            return network, [f"from the file's {given}{because}"]
        reason = f"starts anew; {reasons[0]}" if reasons else "not in the snapshot; starts anew"
        return None, [reason]

    def _network(self, given: str) -> Any:
        if given not in self.made and given not in self.reasons:
            try:
                self.made[given] = self.makers[given]()
            except RefusedNetwork as error:  # of one network; the others may be as they should
                self.reasons[given] = error.reason
            except UserError as error:
                self.reasons[given] = str(error)
        return self.made.get(given)


def _translated(source: Any, target: Any) -> Translated:
    if not isinstance(source, ImageNetwork):
        return Translated({}, [], [])  # a mapping network alone, for example
    return translate(source, target)


def _take(role: str, network: Any, given: Translated) -> tuple[list[str], list[str]]:
    """(names of the variables that it took, lines)."""
    arrays = given.arrays
    taken, other_shape, absent = [], [], []
    for name, variable in network.named.items():
        if name in _KEPT:
            continue
        if name not in arrays:
            absent.append(name)
        elif arrays[name].shape != tuple(variable.shape):
            other_shape.append(f"{name} {list(arrays[name].shape)} → {list(variable.shape)}")
        else:
            variable.assign(arrays[name])
            taken.append(name)
    unused = [name for name in arrays if name not in network.named]
    lines = [f"{role}: {len(taken)} variables taken over"]
    for kind, names in (
        ("of them made to fit other colours", given.colours),
        ("of them made to fit other labels, whose weights start at 0", given.labels),
        ("new here, start anew", absent),
        ("of another shape, start anew", other_shape),
        ("in the snapshot, not used", unused),
    ):
        if names:
            lines.append(f"{role}: {len(names)} {kind}: {', '.join(names)}")
    return taken, lines


def _is_kernel(variable: Any) -> bool:
    """Whether it is a kernel, a matrix or a constant input: what a network mostly knows."""
    return variable.trainable and len(variable.shape) > 1


# ---------------------------------------------------------------- options


def _options(role: str, source: Any, network: Any) -> Iterator[str]:
    """A line on the options that the file's network has otherwise, as flags that would take them;
    and one where it is of another function."""
    of, own = source.options, dict(network.options)
    key = "D" if role == "D" else "G"
    if source.func_name != network.func_name:
        yield f"a {source.func_name} in the file, a {network.func_name} here"
    differing = [*_differing(of, own), *_free(of, network)]
    if bool(of.get("label_size")) != bool(own.get("label_size")):  # these follow
        of_labels = ("cmap_dim", "label_fmaps", *(["mapping_"] if key == "D" else []))
        differing = [name for name in differing if not name.startswith(of_labels)]
    if differing:
        flags = " ".join(f"--set {key}.{name}={_shown(of[name])}" for name in differing)
        yield f"{_FLAGS}{flags}"


def _differing(of: Mapping[str, Any], own: Mapping[str, Any]) -> Iterable[str]:
    widths = [name for name in _WIDTHS if name in of and of[name] != own.get(name)]
    if widths and _feature_maps(of, own) != _feature_maps(own, of):
        yield from widths
    for name, value in of.items():
        if name in SETTLED or name in _OF_USE or name in _WIDTHS or name not in own:
            continue
        free = name in _FREE and None in (value, own[name])
        if value != own[name] and not free:
            yield name


def _free(of: Mapping[str, Any], network: Any) -> Iterator[str]:
    """Widths that are None on one side, as wide as others, where that makes other shapes."""
    own = dict(network.options)
    for name in sorted(_FREE & of.keys() & own.keys()):
        if None not in (of[name], own[name]) or of[name] == own[name]:
            continue
        with contextlib.suppress(ValueError):  # beside the other options it is no width
            if network.shapes(**{**own, name: of[name]}) != network.shapes(**own):
                yield name


def _feature_maps(options: Mapping[str, Any], other: Mapping[str, Any]) -> list[int]:
    """Those of the resolutions that both networks have, from 4x4 on."""
    smaller = min(options["resolution"], other["resolution"])
    return [feature_maps(options, stage) for stage in range(1, smaller.bit_length() - 1)]


def _shown(value: Any) -> str:
    """As `--set` reads it."""
    return value if isinstance(value, str) else json.dumps(value).replace(" ", "")
