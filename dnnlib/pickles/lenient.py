"""A stack machine that follows a pickle as far as Python's unpickler would, and only takes notes.

Every opcode of every protocol is known. Globals, and what calls return, are marks.
"""

from __future__ import annotations

from typing import Any, ClassVar, Optional, Union

from dnnlib.pickles import objects
from dnnlib.pickles.objects import Span
from dnnlib.pickles.opcodes import Machine

_SHOWN = 60  # characters of a call's arguments
_LONGEST = 200
_SOURCES = ("module_src", "build_module_src")  # what NVIDIA's loaders executed


class Named:
    """A global: a class, a function, or what a call of one returned; base: the global's name."""

    __slots__ = ("base", "name")

    def __init__(self, name: str, base: str = "") -> None:
        self.name, self.base = name, base or name


class Call:
    """A call that a loader would have made, of a global or of what one of `base` returned.

    args: stand-ins.
    """

    __slots__ = ("args", "base", "name")

    def __init__(self, name: str, base: str, args: tuple) -> None:
        self.name, self.base, self.args = name, base, args

    def shown_arguments(self) -> str:
        """Short, and one line, whatever they are."""
        shown = ", ".join(_shown(value) for value in self.args[:4])
        more = ", ..." if len(self.args) > 4 else ""
        return shown + more


def _shown(value: object) -> str:
    if isinstance(value, Span):
        text = bytes(value.raw()[: _SHOWN + 1]).decode("utf-8", "backslashreplace")
        return objects.show(text[:_SHOWN] + ("..." if len(value) > _SHOWN else ""))
    if isinstance(value, Named):
        return objects.show(value.name)
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return f"({type(value).__name__})"


class LenientMachine(Machine):
    """One run. imported: names of globals; calls: in order; sources: (key, text) of dictionaries;
    done: opcodes so far."""

    files = "Python's pickles"

    def __init__(
        self, data: Union[bytes, memoryview], start: int = 0, stop: Optional[int] = None
    ) -> None:
        super().__init__(data, start, stop)
        self.imported: list[str] = []
        self.calls: list[Call] = []
        self.sources: list[tuple[str, Span]] = []
        self.done = 0

    def _number(self, format: str):
        if self.position == self.offset:  # the opcode itself
            self.done += 1
        return super()._number(format)

    # Text that ends with its line, in protocols 0 and 1.

    def _line(self) -> Span:
        start, window, size = self.position, 256, -1
        while size < 0:  # little is looked at where lines are short, as there may be many
            size = bytes(self.data[start : min(self.stop, start + window)]).find(b"\n")
            if size < 0 and start + window >= self.stop:
                self._refuse("the file ends inside an opcode")
            window *= 8
        self.position = start + size + 1
        return Span(self.data, "text", start, start + size)

    def line(self, quoted: bool) -> None:
        span = self._line()
        inside = int(quoted and len(span) > 1)
        self.stack.append(Span(self.data, "text", span.start + inside, span.stop - inside))

    def line_number(self) -> None:
        text = bytes(self._line().raw()[:40]).rstrip(b"L")
        known = {b"00": False, b"01": True}
        try:
            self.stack.append(known[text] if text in known else int(text))
        except ValueError:
            self.stack.append(None)

    def line_get(self) -> None:
        index = self._index()
        if index not in self.memo:
            self._refuse(f"nothing was memorized as {index}")
        self.stack.append(self.memo[index])

    def line_put(self) -> None:
        self.memo[self._index()] = self._top()

    def _index(self) -> int:
        text = bytes(self._line().raw()[:20])
        if not text.isdigit():
            self._refuse("a memo index that is no number")
        return int(text)

    def put(self, format: str) -> None:
        self.memo[self._number(format)] = self._top()

    # Values.

    def proto(self) -> None:
        self._number("<B")

    def long(self) -> None:
        self._skip("<B")

    def long4(self) -> None:
        self._skip("<i")

    def _skip(self, format: str) -> None:
        start = self._take(self._number(format))
        value = bytes(self.data[start : min(self.position, start + 8)])
        self.stack.append(int.from_bytes(value, "little", signed=True))

    def pop_top(self) -> None:
        # As Python: a MARK may be popped, too.
        if not self.stack and self.marked:
            self.stack = self.marked.pop()
        else:
            self._pop()

    def dup(self) -> None:
        self.stack.append(self._top())

    def pop_mark(self) -> None:
        self._pop_mark()

    def from_mark(self, kind: type) -> None:
        items = self._pop_mark()
        if kind is dict:
            self.stack.append({})
            self._update(items)
        else:
            self.stack.append(kind(items) if kind is list else frozenset())

    def additems(self) -> None:
        self._pop_mark()
        self._top()

    def persistent(self) -> None:
        self._pop()
        self.stack.append(None)

    def persistent_line(self) -> None:
        self._line()
        self.stack.append(None)

    def extension(self, format: str) -> None:
        self._push_named(f"copyreg extension {self._number(format)}")

    def buffer(self) -> None:
        self.stack.append(None)

    def read_only(self) -> None:
        self._top()

    def _extend(self, values: list) -> None:
        target = self._top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Named):  # `extend` or `append` of an object is called
            self.calls.append(Call(f"{target.name}.extend", target.base, ()))

    def _update(self, items: list) -> None:
        target = self._top()
        for key, value in zip(items[::2], items[1::2]):
            name = _key(key)
            if name in _SOURCES and isinstance(value, Span):
                self.sources.append((name, value))
            if isinstance(target, dict) and name is not None:
                target[name] = value

    # What runs.

    def global_(self) -> None:
        module = self._line()
        self._push_global(module, self._line())

    def _push_global(self, module: object, name: object) -> None:
        self._push_named(f"{_word(module)}.{_word(name)}")

    def _push_named(self, name: str) -> None:
        self.imported.append(name)
        self.stack.append(Named(name))

    def _call(self, function: object, args: object) -> None:
        if not isinstance(function, Named):
            function = Named(_shown(function))
        args = args if isinstance(args, tuple) else (args,)
        self.calls.append(Call(function.name, function.base, args))
        made = Named(f"{function.name}(...)"[:_LONGEST], function.base)
        self.stack.append({} if function.name in _DICTIONARIES else made)

    def newobj(self) -> None:
        args = self._pop()
        self._call(self._pop(), args)

    def newobj_ex(self) -> None:
        self._pop()
        self.newobj()

    def reduce(self) -> None:
        self.newobj()

    def inst(self) -> None:
        module = self._line()
        self._push_global(module, self._line())
        function = self._pop()
        self._call(function, tuple(self._pop_mark()))

    def obj(self) -> None:
        items = self._pop_mark()
        if not items:
            self._refuse("an opcode finds nothing on the stack")
        self._call(items[0], tuple(items[1:]))

    def build(self) -> None:
        self._pop()
        target = self._top()
        if isinstance(target, Named):
            self.calls.append(Call(f"{target.name}.__setstate__", target.base, ()))

    opcodes: ClassVar[dict[int, tuple[Any, ...]]] = {}


_DICTIONARIES = {"collections.OrderedDict", "dnnlib.util.EasyDict", "dnnlib.EasyDict"}


def _word(value: object) -> str:
    if not isinstance(value, Span):
        return _shown(value)
    raw = bytes(value.raw()[: objects.MAX_TEXT])
    return raw.decode("utf-8", "backslashreplace")


def _key(key: object) -> Optional[str]:
    if not isinstance(key, Span) or len(key) > objects.MAX_TEXT:
        return None
    return bytes(key.raw()).decode("latin-1")


# Methods are looked up on the class by name, so that those above replace the readers'.
LenientMachine.opcodes = {
    **{
        code: (getattr(LenientMachine, method.__name__), *rest)
        for code, (method, *rest) in Machine.opcodes.items()
    },
    0x30: (LenientMachine.pop_top,),
    0x31: (LenientMachine.pop_mark,),
    0x32: (LenientMachine.dup,),
    0x46: (LenientMachine.line_number,),  # FLOAT
    0x49: (LenientMachine.line_number,),  # INT
    0x4C: (LenientMachine.line_number,),  # LONG
    0x8B: (LenientMachine.long4,),
    0x53: (LenientMachine.line, True),  # STRING
    0x56: (LenientMachine.line, False),  # UNICODE
    0x6C: (LenientMachine.from_mark, list),
    0x64: (LenientMachine.from_mark, dict),
    0x8F: (Machine.empty, frozenset),  # EMPTY_SET
    0x90: (LenientMachine.additems,),
    0x91: (LenientMachine.from_mark, frozenset),
    0x67: (LenientMachine.line_get,),
    0x70: (LenientMachine.line_put,),
    0x50: (LenientMachine.persistent_line,),
    0x51: (LenientMachine.persistent,),
    0x82: (LenientMachine.extension, "<B"),
    0x83: (LenientMachine.extension, "<H"),
    0x84: (LenientMachine.extension, "<I"),
    0x69: (LenientMachine.inst,),
    0x6F: (LenientMachine.obj,),
    0x92: (LenientMachine.newobj_ex,),
    0x97: (LenientMachine.buffer,),
    0x98: (LenientMachine.read_only,),
}
