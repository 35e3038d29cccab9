"""The corpus of pickles that must be refused.

`python -m tests.dnnlib.pickles.hostile_pickles` reads them under an audit hook and exits with 1 if
Python saw more than arithmetic: an import, compile, exec, open, a process, a socket, and so on.
"""

import re
import struct
import sys

from dnnlib.pickles import tf_networks as legacy_pickle
from tests.dnnlib.pickles import hostile_networks
from tests.dnnlib.pickles.pickle_assembler import (
    BENIGN,
    BUILD,
    CODECS,
    FALSE,
    FROMBUFFER,
    MARK,
    NDARRAY,
    NEWOBJ,
    NONE,
    PROTO,
    RECONSTRUCT,
    SCALAR,
    SHELL,
    STOP,
    TRUE,
    TUPLE,
    array,
    call,
    dtype,
    file,
    get,
    listed,
    many,
    name,
    network,
    number,
    put,
    raw,
    real,
    shape_of,
    stacked,
    state,
    table,
    text,
    variables,
    with_array,
    with_option,
    with_weights,
)

HARMLESS = {"builtins.id"}


def corpus():
    """{what: (file, pattern of the reason)}."""
    return {
        **_globals(),
        **_code(),
        **_opcodes(),
        **_dtypes(),
        **_arrays(),
        **_bombs(),
        **hostile_networks.structure(),
        **hostile_networks.names_and_cycles(),
        **hostile_networks.values(),
    }


# Tables by hand: the formatter would give each case four lines.
# fmt: off


def _globals():
    """Files that name what runs something when it is called."""
    cases = {}
    callables = "os.system posix.system nt.system builtins.eval builtins.exec __builtin__.eval"
    callables += " builtins.getattr builtins.__import__ subprocess.Popen importlib.import_module"
    callables += " numpy.load numpy.testing.rundocs numpy.core.multiarray.fromfile runpy.run_path"
    callables += " pickle.loads codecs.encode shutil.rmtree operator.attrgetter types.CodeType"
    for path in callables.split():
        module, attribute = path.rsplit(".", 1)
        for kind, found in (("GLOBAL", name), ("STACK_GLOBAL", stacked)):
            ran = call(found(module, attribute), text("1+1"))
            cases[f"{kind} {path}"] = (file(ran), "is not allowed")
    dotted = [("dnnlib.tflib.network", "Network.__init__"), ("os", "path.os.system")]
    dotted += [("numpy", "ndarray.tofile"), ("numpy", "core.multiarray._reconstruct")]
    dotted += [("numpy.core.multiarray", "scalar.__class__"), ("collections", "abc.sys.modules")]
    dotted += [("numpy.core", "multiarray._reconstruct"), ("", "Network"), ("", "")]
    for module, attribute in dotted:
        for kind, found in (("GLOBAL", name), ("STACK_GLOBAL", stacked)):
            key = f"{kind} dotted {module}:{attribute}"
            cases[key] = (file(found(module, attribute)), "is not allowed")
    torch = file(stacked("torch._utils", "_rebuild_tensor_v2"))
    return {**cases, "PyTorch": (torch, "PyTorch")}


def _code():
    """Files that would run something when unpickled."""
    return {
        "option": (with_option(SHELL), "os.system' is not allowed"),
        "weights": (with_weights(SHELL), "os.system' is not allowed"),
        "name": (file(network(name=SHELL)), "os.system' is not allowed"),
        "after the network": (file(network() + SHELL + b"0"), "os.system' is not allowed"),
        "GLOBAL, non-ASCII": (file(b"c\xc3\xb6s\nsystem\n"), "not plain ASCII"),
        "GLOBAL, endless": (file(b"c" + b"a" * 2000 + b"\nsystem\n"), "lines"),
        "GLOBAL, one line": (file(b"cos\n"), "lines"),
        "STACK_GLOBAL of numbers": (file(b"K\x01K\x02\x93"), "is not text"),
        "STACK_GLOBAL of bytes": (file(raw(b"os") + raw(b"system") + b"\x93"), "is not text"),
        "STACK_GLOBAL alone": (file(b"\x93"), "nothing on the stack"),
        "INST": (file(b"(ios\nsystem\n"), "opcode INST"),
        "OBJ": (file(b"(" + NDARRAY + b"o"), "opcode OBJ"),
        "NEWOBJ_EX": (file(NDARRAY + b")}\x92"), "opcode NEWOBJ_EX"),
        "PERSID": (file(b"Pfile\n"), "opcode PERSID"),
        "BINPERSID": (file(text("file") + b"Q"), "opcode BINPERSID"),
        "EXT1": (file(b"\x82\x01"), "opcode EXT1"),
        "EXT2": (file(b"\x83\x01\x00"), "opcode EXT2"),
        "EXT4": (file(b"\x84\x01\x00\x00\x00"), "opcode EXT4"),
        "REDUCE on a network": (file(call(network(), text("x"))), "something else than a function"),
        "REDUCE on an array": (file(call(array(), text("x"))), "something else than a function"),
        "REDUCE on a dtype": (file(call(dtype(), text("x"))), "something else than a function"),
        "REDUCE on text": (file(call(text("eval"), text("x"))), "something else than a function"),
        "REDUCE on the class":
            (file(call(name("tfutil", "Network"), text("x"))), "called in an unknown way"),
        "REDUCE on ndarray": (file(call(NDARRAY, shape_of(2**40))), "called in an unknown way"),
        "REDUCE without a tuple": (file(NDARRAY + b"]R"), "something else than arguments"),
        "NEWOBJ with arguments": (
            file(name("tfutil", "Network") + many(text("x")) + NEWOBJ),
            "created in an unknown way"),
        "NEWOBJ of ndarray": (file(NDARRAY + b")" + NEWOBJ), "created in an unknown way"),
        "NEWOBJ of a function": (file(RECONSTRUCT + b")" + NEWOBJ), "created in an unknown way"),
        "encode with a codec":
            (with_option(call(CODECS, text("x"), text("rot13"))), "another encoding"),
        "encode of bytes": (with_option(call(CODECS, raw(b"x"), text("latin1"))), "not text"),
        "OrderedDict of pairs": (
            with_option(call(name("collections", "OrderedDict"), listed(many(text("a"), NONE)))),
            "called in an unknown way"),
    }


def _opcodes():
    good = file(network())
    cases = {
        "empty": (b"", "empty"),
        "HTML": (b"\n<!DOCTYPE html><html>quota exceeded</html>", "HTML"),
        "ZIP": (b"PK\x03\x04" + bytes(100), "ZIP"),
        "protocol 0": (b"(lp0\n.", "no pickle of protocol 2 to 5"),
        "protocol 1": (file(NONE, protocol=1), "protocol 1 here"),
        "protocol 6": (file(NONE, protocol=6), "protocol 6 here"),
        "PROTO twice": (b"\x80\x04" + good, "at the start"),
        "only PROTO": (b"\x80\x04", "ends inside"),
        "no PROTO argument": (b"\x80", "ends inside"),
        "trailing bytes": (good + b"\n", "1 bytes after the end"),
        "two STOPs": (good + STOP, "1 bytes after the end"),
        "a second pickle": (good + file(SHELL), "bytes after the end"),
        "STOP with nothing": (PROTO + STOP, "not complete"),
        "STOP with two": (file(NONE + network()), "not complete"),
        "STOP inside a MARK": (file(MARK + network()), "not complete"),
        "frame too long": (PROTO + b"\x95" + struct.pack("<Q", 2**63) + good[2:], "frame"),
        "length of 2^64 - 1": (file(b"\x8e" + b"\xff" * 8), "ends inside"),
        "text of 2^63": (file(b"\x8d" + struct.pack("<Q", 2**63)), "ends inside"),
        "bytearray of 2^40": (file(b"\x96" + struct.pack("<Q", 2**40)), "ends inside"),
        "BINSTRING of -1": (file(b"T\xff\xff\xff\xffabc"), "ends inside"),
        "LONG1 of 255 bytes": (file(b"\x8a\xff" + bytes(255)), "64 bits"),
        "LONG4": (file(b"\x8b" + struct.pack("<I", 2**31 - 1)), "opcode LONG4"),
        "INT of a million digits": (file(b"I" + b"9" * 1_000_000 + b"\n"), "opcode INT"),
        "STRING": (file(b"S'a'\n"), "opcode STRING"),
        "UNICODE": (file(b"Va\n"), "opcode UNICODE"),
        "NEXT_BUFFER": (file(b"\x97"), "opcode NEXT_BUFFER"),
        "READONLY_BUFFER": (file(raw(b"") + b"\x98"), "opcode READONLY_BUFFER"),
        "EMPTY_SET": (file(b"\x8f"), "opcode EMPTY_SET"),
        "DUP": (file(NONE + b"2"), "opcode DUP"),
        "POP": (file(NONE + b"0"), "opcode POP"),
        "unknown opcode": (file(b"\xfe"), "opcode 0xfe"),
        "TUPLE without MARK": (file(NONE + TUPLE), "no MARK"),
        "TUPLE2 across a MARK": (file(NONE + MARK + NONE + b"\x86"), "nothing on the stack"),
        "APPEND to a dictionary": (file(b"}" + NONE + b"a"), "no list"),
        "APPENDS to a tuple": (file(b")(" + NONE + b"e"), "no list"),
        "SETITEM on a list": (file(b"]" + text("a") + NONE + b"s"), "no dictionary"),
        "SETITEMS without a value": (file(b"}(" + text("a") + b"u"), "without a value"),
        "key that is a list": (file(b"}]" + NONE + b"s"), "key is not text"),
        "key that is a number": (file(b"}K\x01" + NONE + b"s"), "key is not text"),
        "key twice": (file(b"}(" + (text("a") + NONE) * 2 + b"u"), "'a' twice"),
        "BINGET of nothing": (file(b"h\x07"), "memorized as 7"),
        "LONG_BINGET of nothing": (file(get(2**32 - 1)), "memorized as 4294967295"),
        "memo index 2^32 - 1": (file(NONE + put(2**32 - 1)), "too large"),
        "MEMOIZE of nothing": (file(b"\x94"), "nothing on the stack"),
        "BUILD of a list": (file(b"]}b"), "unknown object"),
        "BUILD of a dictionary": (with_option(b"}" + table(a=NONE) + BUILD), "unknown object"),
        "BUILD with slot state": (
            file(name("tfutil", "Network") + b")" + NEWOBJ + many(NONE, state()) + BUILD),
            "unknown state"),
        "BUILD twice": (file(network() + state() + BUILD), "second time"),
        "dtype BUILD twice":
            (with_array(kind=dtype() + many(number(3), text("<")) + BUILD), "second time"),
        "array BUILD twice": (with_weights(array() + many(number(1)) + BUILD), "second time"),
    }
    return cases


def _dtypes():
    bad_types = "O8 O V8 M8 m8 S4 U4 c8 f16 f12 i16 f3 float32 f4,f4 a4 >f4".split()
    return {
        **{f"dtype {code}": (with_array(kind=dtype(code)), "dtype") for code in bad_types},
        "datetime with metadata":
            (with_array(kind=dtype("M8", version=4, extra=(NONE,) * 4)), "dtype 'M8'"),
        "structured": (
            with_array(kind=dtype(extra=(NONE, many(text("a")), table(a=many(dtype()))))),
            "structured"),
        "subarray": (
            with_array(kind=dtype(extra=(many(dtype(), shape_of(2**31 - 1)), NONE, NONE))),
            "structured"),
        "item size 2^30": (with_array(kind=dtype(sizes=(2**30, 1, 0))), "structured"),
        "dtype flags of objects": (with_array(kind=dtype(sizes=(-1, -1, 63))), "structured"),
        "big-endian": (with_array(kind=dtype(order=">")), "byte order '>'"),
        "no byte order": (with_array(kind=dtype(order="|")), "byte order '|'"),
        "dtype without state": (
            with_array(kind=call(name("numpy", "dtype"), text("f4"), FALSE, TRUE)),
            "complete dtype"),
        "dtype of a list": (
            with_array(kind=call(name("numpy", "dtype"), listed(text("f4")), FALSE, TRUE)),
            "is not text"),
        "no dtype": (with_array(kind=NONE), "complete dtype"),
    }


def _arrays():
    return {
        "_reconstruct of 8 GiB":
            (with_weights(call(RECONSTRUCT, NDARRAY, shape_of(2**33), raw(b"b"))), "_reconstruct"),
        "_reconstruct of another class":
            (with_weights(call(RECONSTRUCT, RECONSTRUCT, shape_of(0), raw(b"b"))), "_reconstruct"),
        "_reconstruct of objects":
            (with_weights(call(RECONSTRUCT, NDARRAY, shape_of(0), raw(b"O"))), "_reconstruct"),
        "array without a state":
            (with_weights(call(RECONSTRUCT, NDARRAY, shape_of(0), raw(b"b"))), "without a state"),
        "product overflows to 8": (with_array(shape=(2**30, 2**30, 2**4, 2)), "8 bytes of data"),
        "product overflows to 0": (with_array(data=b"", shape=(2**30, 2**30, 16)), "0 bytes"),
        "dimension of 2^31": (with_array(shape=(2**31,)), "31-bit"),
        "dimension of 2^62": (with_array(shape=(2**62, 4)), "31-bit"),
        "negative dimension": (with_array(shape=(-2,)), "31-bit"),
        "negative dimensions": (with_array(shape=(-1, -2)), "31-bit"),
        "no elements": (with_array(data=b"", shape=(0,)), "31-bit"),
        "dimension that is a bool": (with_array(shape=many(TRUE, number(2))), "31-bit"),
        "dimension that is real": (with_array(shape=many(real(2.0))), "31-bit"),
        "33 dimensions": (with_array(shape=(1,) * 33), "tuple of up to 8"),
        "shape that is a list": (with_array(shape=listed(number(2))), "tuple of up to 8"),
        "too few bytes": (with_array(data=bytes(7)), "7 bytes of data"),
        "too many bytes": (with_array(data=bytes(9)), "9 bytes of data"),
        "data that are a list": (with_array(data=[listed(number(1), number(2))]), "not bytes"),
        "data that are text": (with_array(data=[text("12345678")]), "not bytes"),
        "Fortran order 2": (with_array(fortran=number(2)), "not bytes"),
        "state of version 0": (with_array(version=0), "unknown kind"),
        "scalar of two": (with_weights(call(SCALAR, dtype(), raw(bytes(8)))), "8 bytes of data"),
        "scalar of an object": (with_weights(call(SCALAR, dtype("O8"), b"N")), "dtype 'O8'"),
        "_frombuffer of too few": (
            with_weights(call(FROMBUFFER, raw(bytes(4)), dtype(), shape_of(2), text("C"))),
            "4 bytes of data"),
        "_frombuffer in order K": (
            with_weights(call(FROMBUFFER, raw(bytes(8)), dtype(), shape_of(2), text("K"))),
            "order 'K'"),
        "_frombuffer with axes": (
            with_weights(
                call(FROMBUFFER, raw(bytes(8)), dtype(), shape_of(2), text("K"), shape_of(0))
            ), "called in an unknown way"),
        "latin1 that is wider":
            (with_array(data=[call(CODECS, text("\u0100" * 8), text("latin1"))]), "not bytes"),
        "latin1 that is not UTF-8": (
            with_array(data=[call(CODECS, b"X\x08\0\0\0" + b"\xff" * 8, text("latin1"))]),
            "not bytes"),
        "latin1, too short":
            (with_array(data=[call(CODECS, text("\xff" * 7), text("latin1"))]), "another amount"),
        "latin1, too long": (
            with_array(data=[call(CODECS, text("\xff" + "a" * 8), text("latin1"))]),
            "another amount"),
        "NaN": (with_array(data=struct.pack("<2f", 0, float("nan"))), "not a number"),
        "signalling NaN": (
            with_array(data=b"\x01\0\0\0\0\0\xf0\x7f", shape=(), kind=dtype("f8")), "not a number"),
        "infinity": (with_array(data=struct.pack("<2f", 0, -float("inf"))), "infinite"),
        "infinite in float32":
            (with_array(data=struct.pack("<d", 1e300), shape=(), kind=dtype("f8")), "infinite"),
        "NaN, a Python number": (with_weights(real(float("nan"))), "not a number"),
        "a Python number, infinite in float32": (with_weights(real(1e300)), "infinite"),
    }


def _bombs():
    """Small files that ask for much memory or time."""
    # Each list holds the last one ten times; only the last one is an option.
    levels = b"".join(listed(get(i - 1) * 10) + put(i) for i in range(1, 31))
    laughs = listed(NONE) + put(0) + levels + TUPLE
    deep = number(1) + b"\x85" * 100
    wide = listed(*[number(7)] * 30_000)
    shared = raw(bytes(1_000_000)) + put(0)
    million = variables(
        ("w0", array(data=[shared], shape=(250_000,))),
        *((f"w{i}", array(data=[get(0)], shape=(250_000,))) for i in range(1, 2000)),
    )
    widened = variables(
        *((f"w{i}", array(bytes(10**6), (10**6,), dtype("i1", "|"))) for i in range(12))
    )
    return {
        "billion laughs": (with_option(MARK + laughs), "too many values, or too deep"),
        "30,000 values": (with_option(wide), "too many values"),
        "a tuple 100 deep": (with_option(deep), "too deep"),
        "a tuple 90,000 deep": (with_option(number(1) + b"\x85" * 90_000), "too deep"),
        "45,000 lists": (with_option(b"]" + b"]a" * 45_000), "too many values"),
        "endless opcodes": (file(NONE * 300_000), "more than 100,000 opcodes"),
        "125,000 lists": (PROTO + b"]" * 125_000, "more than 100,000 opcodes"),
        "125,000 MARKs": (PROTO + b"(" * 125_000, "more than 100,000 opcodes"),
        "dictionaries": (PROTO + (b"}U\x01aNs") * 60_000, "more than 100,000 opcodes"),
        "memorized spans": (PROTO + b"U\0\x94" * 120_000, "more than 100,000 opcodes"),
        "2,000 arrays of the same bytes": (file(network(variables=million)), "far more room"),
        "bytes widened to float32": (file(network(variables=widened)), "far more room"),
        "5,001 variables": (
            file(network(variables=variables(*((str(i), real(0)) for i in range(5_001))))),
            "more than 5,000 variables"),
        "long name": (file(network(name=text("G" * 501))), "more than 500 characters"),
        "long option": (with_option(text("\U0001f600" * 10**6)), "more than 500 characters"),
        "long source": (
            file(network(build_module_src=text("#" * (4 * 2**20 + 1)))),
            "build_module_src has more"),
    }


# fmt: on


def main(read=legacy_pickle.read) -> int:
    """Reads the corpus under the audit hook; `read` is another reader to prove the hook with."""
    cases = corpus()
    for data in BENIGN.values():
        legacy_pickle.read(data)  # what is imported at the first use, is now
    events, failures = [], []
    reading = None

    def hook(event, args):  # cannot be removed, hence a process of its own
        if reading is not None and event not in HARMLESS:
            events.append(f"{reading}: Python did {event}")

    sys.addaudithook(hook)
    for key, (data, pattern) in cases.items():
        reading, error = key, None
        try:
            read(data)
        except Exception as caught:
            error = caught
        reading = None
        if not isinstance(error, legacy_pickle.LegacyPickleError):
            failures.append(f"{key}: {error!r}")
        elif error.offset is None or not re.search(pattern, error.reason):
            failures.append(f"{key}: {error}, expected {pattern}")
    print(f"{len(cases)} files, {len(failures)} not refused as expected, {len(events)} events")
    print(*events[:20], *failures[:20], sep="\n")
    return 1 if events or failures else 0


if __name__ == "__main__":
    sys.exit(main())
