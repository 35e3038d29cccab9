"""What a loader that executes would have run in a pickle: imports, calls, and embedded source.

Any pickle, of networks or not, and PyTorch's files: opcodes are followed as Python's unpickler
follows them, but what they name, call and build are marks, and nothing is run or imported. Unlike
the readers, which refuse whatever networks do not need, this goes on as far as Python would.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, Optional, Union

from dnnlib.pickles import objects, persistent_objects, port_objects, torch_objects
from dnnlib.pickles.lenient import Call, LenientMachine
from dnnlib.pickles.objects import LegacyPickleError, Span
from dnnlib.pickles.torch_file import zip_entries
from dnnlib.pickles.torch_stream import MAGIC

MAX_OPCODES = 300_000  # in all pickles of a file together
MAX_PICKLES = 20_000
MAX_LISTED = 1_000  # imports, calls or sources of different names
MAX_DEPTH = 4  # pickles inside pickles
# Functions whose argument is another pickle: they load it as torch.load and pickle.loads do.
_LOADERS = {"torch.storage._load_from_bytes", "torch.load", "pickle.loads", "_pickle.loads"}
_LOADERS |= {"dill.loads", "dill._dill.loads", "cloudpickle.loads", "joblib.load"}
_KNOWN = frozenset(
    f"{module}.{name}"
    for words in (objects, torch_objects, persistent_objects)
    for module, name in words._GLOBALS
) | {port_objects.NAMESPACE.name}


@dataclasses.dataclass
class Use:
    """A global that a file imports or calls. known: whether networks of some kind need it;
    arguments: of the first call, shortened, of one that is not known."""

    name: str
    times: int = 0
    known: bool = False
    arguments: Optional[str] = None


@dataclasses.dataclass
class Source:
    """Source text inside a file. where: the key, or the file in a ZIP, that it is under; size:
    bytes; times: how many objects it came with."""

    where: str
    sha256: str
    size: int
    times: int = 0


@dataclasses.dataclass
class Report:
    """What `scan` found. incomplete: why and where it ended before the file did."""

    imports: list[Use]
    calls: list[Use]
    sources: list[Source]
    pickles: int
    opcodes: int
    incomplete: Optional[str]

    def as_dict(self) -> dict[str, Any]:
        """As values that JSON can hold."""
        uses = {"imports": self.imports, "calls": self.calls}
        return {
            **dataclasses.asdict(self),
            **{
                key: [{k: v for k, v in vars(use).items() if v is not None} for use in listed]
                for key, listed in uses.items()
            },
        }

    @property
    def unknown(self) -> list[str]:
        """Names that no network needs."""
        used = [use.name for use in (*self.imports, *self.calls) if not use.known]
        return list(dict.fromkeys(used))


def scan(data: Union[bytes, memoryview]) -> Report:
    """What is in a pickle, in a sequence of pickles as torch.save wrote them, or in its ZIP files.

    Raises nothing, whatever the bytes are: the report says where it had to end. Memory: some 200
    bytes for each opcode, and no copy of the file.
    """
    return _Scan(memoryview(data).cast("B")).report()


class _Scan:
    def __init__(self, view: memoryview) -> None:
        self.view = view
        self.imports: dict[str, Use] = {}
        self.calls: dict[str, Use] = {}
        self.sources: dict[tuple[str, str], Source] = {}
        self.hashes: dict[int, str] = {}  # of texts, by where they begin
        self.opcodes = self.pickles = 0
        self.incomplete: Optional[str] = None
        self.inside: set[tuple[int, int]] = set()

    def report(self) -> Report:
        try:
            if self.view[:2] == b"PK":
                self.archive()
            else:
                self.sequence(0, len(self.view), 0)
        except LegacyPickleError as error:
            self.end(error)
        return Report(
            [*self.imports.values()],
            [*self.calls.values()],
            [*self.sources.values()],
            self.pickles,
            self.opcodes,
            self.incomplete,
        )

    def end(self, error: LegacyPickleError) -> None:
        where = "" if error.offset is None else f" (byte {error.offset})"
        self.incomplete = self.incomplete or f"{error.reason}{where}"

    def archive(self) -> None:
        for name, (start, stop) in zip_entries(self.view).items():
            if name.endswith(".pkl"):
                self.sequence(start, stop, 0)
            elif name.endswith(".py"):  # TorchScript
                self.source(name, Span(self.view, "text", start, stop))

    def sequence(self, start: int, stop: int, depth: int) -> None:
        """The pickle at `start`; where that is torch.save's older format, its four others, too."""
        count = 5 if self.view[start : start + len(MAGIC)] == MAGIC else 1
        for _ in range(count):
            machine = LenientMachine(self.view, start, stop)
            machine.max_opcodes = MAX_OPCODES - self.opcodes
            self.pickles += 1
            try:
                machine.run()
            finally:
                self.opcodes += machine.done
                self.take(machine, depth)  # also of one that ends early: it has run by then
            start = machine.position

    def take(self, machine: LenientMachine, depth: int) -> None:
        for name in machine.imported:
            self.use(self.imports, name)
        for call in machine.calls:
            known = self.use(self.calls, call.name, call.base)
            if known is not None and not known.known and known.arguments is None:
                known.arguments = call.shown_arguments()
            self.nested(call, depth)
        for key, span in machine.sources:
            self.source(key, span)

    def use(self, uses: dict[str, Use], name: str, base: str = "") -> Optional[Use]:
        if name not in uses:
            if len(uses) >= MAX_LISTED:
                self.incomplete = self.incomplete or f"more than {MAX_LISTED:,} different names"
                return None
            uses[name] = Use(name, known=(base or name) in _KNOWN)
        uses[name].times += 1
        return uses[name]

    def nested(self, call: Call, depth: int) -> None:
        """Pickles that a call would load."""
        if call.name not in _LOADERS or not call.args or not isinstance(call.args[0], Span):
            return
        span = call.args[0]
        if (span.start, span.stop) in self.inside:
            return
        self.inside.add((span.start, span.stop))
        if depth >= MAX_DEPTH or self.pickles >= MAX_PICKLES:
            self.incomplete = self.incomplete or "pickles in pickles, too many or too deep"
            return
        try:
            self.sequence(span.start, span.stop, depth + 1)
        except LegacyPickleError as error:
            self.end(error)

    def source(self, key: str, span: Span) -> None:
        if span.start not in self.hashes:
            self.hashes[span.start] = hashlib.sha256(span.raw()).hexdigest()
        sha256 = self.hashes[span.start]
        if (key, sha256) not in self.sources:
            if len(self.sources) >= MAX_LISTED:
                self.incomplete = self.incomplete or f"more than {MAX_LISTED:,} sources"
                return
            self.sources[key, sha256] = Source(key, sha256, len(span))
        self.sources[key, sha256].times += 1
