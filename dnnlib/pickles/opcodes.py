"""The opcodes of legacy network pickles, read by a stack machine that cannot run or import code.

`parse` turns bytes into a tree of None, bool, int, float, list, tuple, dict and the stand-ins of
objects.py. Python's own unpickler takes no part. Every opcode costs a few bytes and
microseconds whatever lengths the file claims, so the cap on their number bounds memory and time.
"""

from __future__ import annotations

import pickletools  # only for the names of opcodes
import struct
from types import ModuleType
from typing import Any, ClassVar, NoReturn, Optional, Union

from dnnlib.pickles import objects
from dnnlib.pickles.objects import Global, LegacyPickleError, Span, show

# The largest published networks have about 10,000. The worst of them all together, spans and memo
# entries, take some 20 MiB.
MAX_OPCODES = 100_000


def parse(data: bytes) -> object:
    """The object that a pickle of protocol 2 to 5 holds, as a tree that may share and cycle.

    Raises LegacyPickleError for whatever the pickles of legacy networks do not contain.
    """
    if data[:1] != b"\x80":
        raise LegacyPickleError(_no_pickle(data), 0)
    machine = Machine(data)
    root = machine.run()
    rest = len(data) - machine.position
    if rest:
        raise LegacyPickleError(f"{rest:,} bytes after the end of the pickle", machine.position)
    return root


def _no_pickle(data: bytes) -> str:
    if not data:
        return "the file is empty"
    if data[:256].lstrip().startswith(b"<"):
        return "this is an HTML or XML page, perhaps in place of a download that failed"
    if data.startswith((b"PK", b"\x1f\x8b")):
        return "this is a ZIP or gzip file; a PyTorch network?"
    return "this is no pickle of protocol 2 to 5"


class Machine:
    """One run over the opcodes. `offset` is where the current one begins, for errors.

    words: the module that says what globals, calls, NEWOBJ and BUILD mean; opcodes: {opcode: its
    method and the method's arguments}. Subclasses that read other dialects replace these, and the
    limit.
    """

    words: ModuleType = objects
    opcodes: ClassVar[dict[int, tuple]]
    max_opcodes = MAX_OPCODES
    files = "networks"  # what is read, for messages

    def __init__(
        self, data: Union[bytes, memoryview], start: int = 0, stop: Optional[int] = None
    ) -> None:
        self.data = data
        self.position = self.offset = self.start = start
        self.stop = len(data) if stop is None else stop
        self.stack: list = []
        self.marked: list[list] = []  # the stacks below each open MARK
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        """The object of one pickle; `position` is then where that ends."""
        for _ in range(self.max_opcodes):
            self.offset = self.position
            code = self._number("<B")
            if code == _STOP:
                return self._result()
            if code not in self.opcodes:
                known = pickletools.code2op.get(chr(code))  # type: ignore[attr-defined]
                name = known.name if known else f"0x{code:02x}"
                self._refuse(f"opcode {name}, which {self.files} do not need")
            method, *arguments = self.opcodes[code]
            method(self, *arguments)
        self._refuse(f"more than {self.max_opcodes:,} opcodes")

    def _result(self) -> object:
        if self.marked or len(self.stack) != 1:
            self._refuse("the pickle stops where its object is not complete")
        return self.stack[0]

    def _refuse(self, reason: str) -> NoReturn:
        raise LegacyPickleError(reason, self.offset)

    # The file and the stack.

    def _take(self, size: int) -> int:
        """Skips `size` bytes and returns where they begin."""
        start = self.position
        if not 0 <= size <= self.stop - start:
            self._refuse("the file ends inside an opcode, or a length is wrong")
        self.position = start + size
        return start

    def _number(self, format: str):
        return struct.unpack_from(format, self.data, self._take(struct.calcsize(format)))[0]

    def _top(self) -> object:
        if not self.stack:
            self._refuse("an opcode finds nothing on the stack")
        return self.stack[-1]

    def _pop(self, expected: type = object, expected_name: str = "") -> Any:
        value = self._top()
        if not isinstance(value, expected):
            self._refuse(f"an opcode finds something else than {expected_name}")
        return self.stack.pop()

    def _pop_mark(self) -> list:
        if not self.marked:
            self._refuse("an opcode finds no MARK")
        items, self.stack = self.stack, self.marked.pop()
        return items

    # Opcodes. Each method takes the arguments of its row in the table.

    def proto(self) -> None:
        version = self._number("<B")
        if self.offset != self.start or not 2 <= version <= 5:
            self._refuse(f"protocol {version} here; 2 to 5 are known, at the start")

    def frame(self) -> None:
        # A hint for buffering, no more: what is inside is read opcode by opcode all the same.
        if self._number("<Q") > self.stop - self.position:
            self._refuse("the file ends inside a frame")

    def constant(self, value: Optional[bool]) -> None:
        self.stack.append(value)

    def number(self, format: str) -> None:
        self.stack.append(self._number(format))

    def long(self) -> None:
        size = self._number("<B")
        if size > 8:
            self._refuse("a number of more than 64 bits")
        start = self._take(size)
        value = int.from_bytes(self.data[start : start + size], "little", signed=True)
        self.stack.append(value)

    def span(self, kind: str, length_format: str) -> None:
        start = self._take(self._number(length_format))
        self.stack.append(Span(self.data, kind, start, self.position))

    def empty(self, kind: type) -> None:
        self.stack.append(kind())

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def tuple_from_mark(self) -> None:
        items = self._pop_mark()
        self.stack.append((*items,))

    def tuple_of(self, size: int) -> None:
        items = [self._pop() for _ in range(size)]
        self.stack.append((*reversed(items),))

    def append(self) -> None:
        value = self._pop()
        self._extend([value])

    def appends(self) -> None:
        values = self._pop_mark()
        self._extend(values)

    def _extend(self, values: list) -> None:
        target = self._top()
        if not isinstance(target, list):
            self._refuse("an element for something that is no list")
        target.extend(values)

    def setitem(self) -> None:
        value = self._pop()
        self._update([self._pop(), value])

    def setitems(self) -> None:
        items = self._pop_mark()
        self._update(items)

    def _update(self, items: list) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(items) % 2:
            self._refuse("a key for something that is no dictionary, or without a value")
        for key, value in zip(items[::2], items[1::2]):
            # Only text: numbers can be chosen so that their hashes collide.
            name = objects.text(key, "a dictionary's key", self.offset)
            if name in target:
                self._refuse(f"a dictionary has the key {show(name)} twice")
            target[name] = value

    def get(self, format: str) -> None:
        index = self._number(format)
        if index not in self.memo:
            self._refuse(f"nothing was memorized as {index}")
        self.stack.append(self.memo[index])

    def put(self, format: str) -> None:
        index = self._number(format)
        if index > self.max_opcodes:
            self._refuse(f"memo index {index}, too large")
        self.memo[index] = self._top()

    def memoize(self) -> None:
        self.memo[len(self.memo)] = self._top()

    def global_(self) -> None:
        parts = []
        for _ in range(2):
            start = self.position
            stop = min(start + objects.MAX_TEXT, self.stop)
            size = bytes(self.data[start:stop]).find(b"\n")
            if size < 0:
                self._refuse("a global without the ends of its lines")
            parts.append(Span(self.data, "text", start, start + size))
            self.position = start + size + 1
        self._push_global(*parts)

    def stack_global(self) -> None:
        name = self._pop()
        self._push_global(self._pop(), name)

    def _push_global(self, module: object, name: object) -> None:
        module = objects.text(module, "the module of a global", self.offset)
        name = objects.text(name, "the name of a global", self.offset)
        self.stack.append(self.words.find(module, name, self.offset))

    def newobj(self) -> None:
        args = self._pop(tuple, "arguments")
        cls = self._pop(Global, "a class")
        self.stack.append(self.words.new(cls, args, self.offset))

    def reduce(self) -> None:
        args = self._pop(tuple, "arguments")
        function = self._pop(Global, "a function")
        self.stack.append(self.words.call(function, args, self.offset))

    def build(self) -> None:
        state = self._pop()
        self.words.build(self._top(), state, self.offset)


_STOP = ord(".")

# All others are refused.
Machine.opcodes = {
    0x80: (Machine.proto,),
    0x95: (Machine.frame,),
    0x28: (Machine.mark,),
    0x4E: (Machine.constant, None),  # NONE
    0x88: (Machine.constant, True),  # NEWTRUE
    0x89: (Machine.constant, False),  # NEWFALSE
    0x4A: (Machine.number, "<i"),  # BININT
    0x4B: (Machine.number, "<B"),  # BININT1
    0x4D: (Machine.number, "<H"),  # BININT2
    0x47: (Machine.number, ">d"),  # BINFLOAT
    0x8A: (Machine.long,),  # LONG1
    0x8C: (Machine.span, "text", "<B"),  # SHORT_BINUNICODE
    0x58: (Machine.span, "text", "<I"),  # BINUNICODE
    0x8D: (Machine.span, "text", "<Q"),  # BINUNICODE8
    0x43: (Machine.span, "bytes", "<B"),  # SHORT_BINBYTES
    0x42: (Machine.span, "bytes", "<I"),  # BINBYTES
    0x8E: (Machine.span, "bytes", "<Q"),  # BINBYTES8
    0x96: (Machine.span, "bytes", "<Q"),  # BYTEARRAY8, arrays at protocol 5
    0x55: (Machine.span, "str", "<B"),  # SHORT_BINSTRING, Python 2
    0x54: (Machine.span, "str", "<i"),  # BINSTRING, Python 2
    0x7D: (Machine.empty, dict),
    0x5D: (Machine.empty, list),
    0x29: (Machine.empty, tuple),
    0x74: (Machine.tuple_from_mark,),
    0x85: (Machine.tuple_of, 1),  # TUPLE1 to TUPLE3
    0x86: (Machine.tuple_of, 2),
    0x87: (Machine.tuple_of, 3),
    0x61: (Machine.append,),
    0x65: (Machine.appends,),
    0x73: (Machine.setitem,),
    0x75: (Machine.setitems,),
    0x68: (Machine.get, "<B"),  # BINGET
    0x6A: (Machine.get, "<I"),  # LONG_BINGET
    0x71: (Machine.put, "<B"),  # BINPUT
    0x72: (Machine.put, "<I"),  # LONG_BINPUT
    0x94: (Machine.memoize,),
    0x63: (Machine.global_,),
    0x93: (Machine.stack_global,),
    0x81: (Machine.newobj,),
    0x52: (Machine.reduce,),
    0x62: (Machine.build,),
}
