"""Networks in NVlabs's pickles, from bytes to plain dataclasses, without running anything in them.

The pickles hold TensorFlow 1 objects, and Python source that the original executed. Here opcodes
become inert stand-ins (opcodes.py, objects.py), and this file checks those and makes
arrays of them. It works without TensorFlow, and there is no way around the checks.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import mmap
from collections.abc import Iterable, Iterator
from typing import Any, Optional

import numpy as np

from dnnlib.pickles import objects
from dnnlib.pickles.objects import LegacyPickleError, refuse, show
from dnnlib.pickles.opcodes import parse
from dnnlib.pickles.values import PlainValues, array_pieces

__all__ = ["LegacyFile", "LegacyNetwork", "LegacyPickleError", "read"]

MAX_BYTES = 2 * 2**30
MAX_NETWORKS = 64  # with components; a snapshot has 3 to 9
MAX_COMPONENT_DEPTH = 4
# A snapshot at 1024x1024 has about 400. Full names, up to 2 KB each, may be many times the file.
MAX_VARIABLES = 5_000
MAX_VALUES = 20_000  # in all options together
MAX_SOURCE_BYTES = 4 * 2**20
_SPARE = 4 * 2**20
_LARGE = 2**20  # bytes of halves, from which on they are worth a mapping of their own

# Keys of a network's state by version: 2 is ProGAN's, 3 StyleGAN's, 4 StyleGAN2's, 5 ADA's.
_V2 = "version name static_kwargs build_module_src build_func_name variables".split()
_V3 = [*_V2, "components"]
_EXTRA = "input_shapes output_shapes input_names output_names".split()
_KEYS = {2: _V2, 3: _V3, 4: _V3, 5: [*_V3, *_EXTRA]}


@dataclasses.dataclass(frozen=True, eq=False)
class LegacyNetwork:
    """One network of a legacy pickle.

    name: "G", "D", "Gs", "G_synthesis"; version: 2 to 5; func_name: the function that built it,
    "G_style"; static_kwargs: its options, plain Python values; variables: {local name: array}
    without those of components, in the file's order, float16 where the file has half precision and
    else float32; components: {"synthesis": …}; source_sha256: of the Python source that came along;
    class_name: the class it was pickled as; extra: version 5's shapes and names of inputs and
    outputs.
    """

    name: str
    version: int
    func_name: str
    static_kwargs: dict
    variables: dict[str, np.ndarray] = dataclasses.field(repr=False)
    components: dict[str, LegacyNetwork]
    source_sha256: str
    class_name: str
    extra: dict

    def all_variables(self) -> dict[str, np.ndarray]:
        """{full name: array}: its own, then each component's as "G_synthesis/8x8/Conv1/weight".

        The prefix is the component's name, not its key; the order is the original's.
        """
        return dict(self._named())

    def _named(self, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
        for name, array in self.variables.items():
            yield prefix + name, array
        for component in self.components.values():
            yield from component._named(f"{prefix}{component.name}/")


@dataclasses.dataclass(frozen=True, eq=False)
class LegacyFile:
    """networks: (G, D, Gs), or fewer; None for one that the file leaves out. sha256: the file's."""

    networks: tuple[Optional[LegacyNetwork], ...]
    sha256: str


def read(
    data: bytes,
    *,
    max_bytes: int = MAX_BYTES,
    sha256: Optional[str] = None,
    blank: bool = False,
) -> LegacyFile:
    """The networks in the contents of a legacy pickle; no code in it is run, imported or compiled.

    Arrays are independent of `data`, float32 but for half precision, which as float32 would be
    twice the file. sha256: the expected hash in hexadecimal. blank: ones that take no memory in
    place of all numbers. Raises LegacyPickleError, and nothing else whatever the bytes are. Besides
    `data` this takes as much memory again and some 25 MiB: what a file's arrays are not large
    enough for is refused before it is made.
    """
    if len(data) > max_bytes:
        refuse(f"the file has {len(data):,} bytes, more than the {max_bytes:,} allowed")
    came = hashlib.sha256(data).hexdigest()
    if sha256 is not None and came != sha256.lower():
        refuse(f"its SHA-256 is {came}, expected {sha256}")
    return LegacyFile(_Reader(data, blank).networks(parse(data)), came)


class _Reader:
    """Checks the stand-ins of one file and makes networks of them.

    The tree shares and cycles as its author likes, so everything is counted where it is visited.
    """

    def __init__(self, data: bytes, blank: bool = False) -> None:
        self.blank = blank
        self.seen: set[int] = set()
        self.variable_count = 0
        self.values = PlainValues(MAX_VALUES)
        # Bytes that may be made of the file's. An array may be mentioned many times.
        self.budget = len(data) + _SPARE
        self.stop = len(data) - 1  # where the file hands over its object

    def networks(self, root: object) -> tuple[Optional[LegacyNetwork], ...]:
        items = root if isinstance(root, (tuple, list)) else (root,)
        if not 1 <= len(items) <= 3 or all(item is None for item in items):
            refuse("not one to three networks", self.stop)
        made: dict[int, Optional[LegacyNetwork]] = {id(None): None}
        for item in items:
            if id(item) not in made:  # G may be its own average
                made[id(item)] = self.top(item)
        return tuple(made[id(item)] for item in items)

    def top(self, stand_in: Any) -> LegacyNetwork:
        before = self.variable_count
        network = self.network(stand_in, 1, self.stop)
        if len(network.all_variables()) != self.variable_count - before:
            name = show(network.name)
            refuse(f"network {name} has two variables of the same full name", stand_in.offset)
        return network

    def network(self, stand_in: object, depth: int, offset: int) -> LegacyNetwork:
        """offset: of what holds it, for the case that it is no network."""
        if not isinstance(stand_in, objects.Network):
            refuse("something else where a network is expected", offset)
        offset, state = stand_in.offset, stand_in.state
        if state is None:
            refuse("a network without a state", offset)
        if id(stand_in) in self.seen:
            refuse("a network inside itself or in two places", offset)
        self.seen.add(id(stand_in))
        if len(self.seen) > MAX_NETWORKS or depth > MAX_COMPONENT_DEPTH:
            refuse("too many networks, or too deep components", offset)

        version = _version(state, offset)
        name = _name(state["name"], "the name of a network", offset)
        options = f"the static_kwargs of {show(name)}"
        return LegacyNetwork(
            name=name,
            version=version,
            func_name=_name(state["build_func_name"], "build_func_name", offset),
            static_kwargs=self.options(state["static_kwargs"], options, offset),
            variables=self.variables(state["variables"], name, offset),
            components=self.components(state.get("components", {}), depth, offset),
            source_sha256=_source_sha256(state["build_module_src"], offset),
            class_name=stand_in.class_name,
            extra={
                key: self.values.plain(state[key], key, offset) for key in _EXTRA if key in state
            },
        )

    def components(self, stand_in: object, depth: int, offset: int) -> dict[str, LegacyNetwork]:
        if not isinstance(stand_in, dict):
            refuse("components is no dictionary", offset)
        return {key: self.network(part, depth + 1, offset) for key, part in stand_in.items()}

    def variables(self, pairs: object, network: str, offset: int) -> dict[str, np.ndarray]:
        if not isinstance(pairs, list):
            refuse("variables is no list", offset)
        variables: dict[str, np.ndarray] = {}
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                refuse("a variable is no pair of name and value", offset)
            name = _name(pair[0], "the name of a variable", offset)
            if name in variables:
                refuse(f"network {show(network)} has two variables {show(name)}", offset)
            self.variable_count += 1
            if self.variable_count > MAX_VARIABLES:
                refuse(f"more than {MAX_VARIABLES:,} variables", offset)
            variables[name] = self.weights(pair[1], f"{network}/{name}", offset)
        return variables

    def weights(self, value: object, name: str, offset: int) -> np.ndarray:
        """A variable as float32, or float16 where it is that: a new array."""
        if type(value) in (int, float):
            with np.errstate(all="ignore"):
                weights = np.array(value, dtype=np.float32)
            pieces: Iterable[np.ndarray] = [weights.reshape(-1)]
        elif isinstance(value, objects.Array):
            offset = value.offset
            pieces = array_pieces(value)
            kept = self.spend(value)
            if self.blank:
                return np.broadcast_to(kept(1), value.shape)
            weights = _room(value.shape, np.dtype(kept))
        else:
            refuse(f"variable {show(name)} is no array", offset)
        # Of an array in Fortran's order the transpose is in C's.
        fortran = isinstance(value, objects.Array) and value.fortran and weights.ndim > 1
        flat: Any = weights.T.flat if fortran else weights.reshape(-1)
        done, finite = 0, True
        for piece in pieces:
            with np.errstate(all="ignore"):  # what overflows becomes infinite
                made = piece.astype(weights.dtype, copy=False)
            finite = finite and bool(np.isfinite(made).all())
            flat[done : done + made.size] = made
            done += made.size
        if not finite:
            refuse(f"variable {show(name)} has values that are infinite or not a number", offset)
        return weights

    def options(self, stand_in: object, subject: str, offset: int) -> dict:
        if not isinstance(stand_in, dict):
            refuse(f"{subject} are no dictionary", offset)
        return self.values.plain(stand_in, subject, offset)

    def spend(self, array: objects.Array) -> type:
        """The type that an array is kept as; counts its bytes, to refuse before it is made."""
        kept = np.float16 if array.dtype == "f2" else np.float32
        self.budget -= np.dtype(kept).itemsize * math.prod(array.shape)
        if self.budget < 0:
            refuse("the arrays would take far more room than the file", array.offset)
        return kept


def _room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array to be filled; the memory of many halves is the system's again once it is gone.

    What malloc takes back may stay with the process, while networks need pieces twice as large.
    """
    size = dtype.itemsize * math.prod(shape)
    if dtype != np.float16 or size < _LARGE:
        return np.empty(shape, dtype)
    try:
        return np.frombuffer(mmap.mmap(-1, size), dtype).reshape(shape)
    except OSError as error:
        raise MemoryError(f"no room for an array of {size:,} bytes") from error


def _version(state: dict, offset: int) -> int:
    """The version of a network's state, whose keys are then the known ones."""
    version = state.get("version")
    if type(version) is not int or version not in _KEYS:
        refuse("a network of an unknown version; 2 to 5 are known", offset)
    for words, keys in (
        ("lacks", [key for key in _KEYS[version] if key not in state]),
        ("has unknown", [key for key in state if key not in _KEYS[version]]),
    ):
        if keys:
            listed = ", ".join(show(key) for key in keys[:6])
            refuse(f"a network of version {version} {words} {listed}", offset)
    return version


def _name(value: object, subject: str, offset: int) -> str:
    name = objects.text(value, subject, offset)
    if not name:
        refuse(f"{subject} is empty", offset)
    return name


def _source_sha256(source: object, offset: int) -> str:
    # The text stays in the file: its UTF-8 bytes are all that is ever looked at.
    if not isinstance(source, objects.Span) or source.kind not in ("text", "str"):
        refuse("build_module_src is no text", offset)
    if len(source) > MAX_SOURCE_BYTES:
        refuse(f"build_module_src has more than {MAX_SOURCE_BYTES:,} bytes", offset)
    return hashlib.sha256(source.raw()).hexdigest()
