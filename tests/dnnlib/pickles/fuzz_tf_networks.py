"""Looks for files that make the pickle reader do anything but read or refuse them.

`make fuzz`, or `python -m tests.dnnlib.pickles.fuzz_tf_networks --count 100000`. It changes files
at random and reads each under an audit hook, which sees whatever Python does beyond computing. A
file fails when that sees something, when another exception than LegacyPickleError escapes, or when
it takes more than 2 times its size + 64 MiB of memory or 5 seconds of the processor. Measuring
makes Python some three times slower. Failing files are kept.
"""

import argparse
import contextlib
import faulthandler
import os
import pickletools
import random
import re
import struct
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from dnnlib.pickles import tf_networks as legacy_pickle
from tests import golden
from tests.dnnlib.pickles import hostile_pickles, pickle_assembler as assembler

SPARE_BYTES = 64 * 2**20
SECONDS = 5.0
MAX_SIZE = 300_000  # bytes; larger files only make the search slower
SMALL_SEED = 8_000
ADDRESS_SPACE = 6 * 2**30  # should a file ask for more, the machine survives
GOLDEN = ["pickles/h_res4.pkl", "pickles/h_map0.pkl", "pickles/run_example_final.pkl"]
PART = 20_000  # bytes of a golden file that are used alone


# ---------------------------------------------------------------- files to start from


class Files:
    """Whole files, most of them small, and parts that are spliced into them."""

    def __init__(self, with_golden=True):
        arrays = [("lod", np.float32(0)), ("w", np.ones([2, 3], np.float32, order="F"))]
        arrays += [("h", np.ones(3, np.float16)), ("i", np.arange(4))]
        part = assembler.original(3, arrays, name="S")
        self.good = [*assembler.BENIGN.values()]
        for protocol in (2, 3, 4, 5):
            for version in (2, 3, 4, 5):
                components = {} if version == 2 else {"synthesis": part}
                options = dict(resolution=8, blur=[1, 2, 1], e=assembler.EasyDict(x=None, y=0.5))
                network = assembler.original(version, arrays, components, **options)
                data = assembler.pickled((network, None, network), protocol)
                # Without frames, whose lengths would refuse most of what is changed inside.
                self.good += [data, *[assembler.respelled(data)] * 3]
        hostile = (data for data, _ in hostile_pickles.corpus().values())
        self.hostile = [data for data in hostile if len(data) <= SMALL_SEED]
        self.large, self.parts = [], []
        for path in GOLDEN if with_golden else []:
            if (golden.golden_dir() / path).is_file():
                data = (golden.golden_dir() / path).read_bytes()
                self.large.append(data)
                self.parts += [data[i : i + PART] for i in range(0, len(data), PART)]

    def choose(self, rng):
        if self.large and rng.randrange(50) == 0:
            return _one(rng, self.large)
        return _one(rng, self.hostile if rng.randrange(3) == 0 else self.good)

    def part(self, rng):
        """Something to splice in."""
        if self.parts and rng.randrange(8) == 0:
            return _one(rng, self.parts)
        return self.choose(rng)


# ---------------------------------------------------------------- changes


def mutated(rng, files):
    """A file with one to six changes; with one, much of it is still read."""
    data = files.choose(rng)
    for _ in range(_one(rng, (1, 1, 1, 1, 2, 2, 3, 6))):
        data = _one(rng, _CHANGES)(rng, data, files)
    return data


def _one(rng, items):
    return items[rng.randrange(len(items))]


def _starts(data):
    """Where the opcodes begin, as far as the file is readable, and where the last one ends."""
    if len(data) > 4 * SMALL_SEED:
        # Too slow for every change. Any place will do: the arrays' bytes are most of the file.
        return range(len(data) + 1)
    starts = []
    with contextlib.suppress(Exception):  # what pickletools raises is not what is tested
        for _, _, position in pickletools.genops(data):
            starts.append(position)
    return [*starts, len(data)]


def _span(rng, data, most=12):
    """Begin and end of a few opcodes."""
    starts = _starts(data)
    first = rng.randrange(len(starts))
    last = min(first + 1 + rng.randrange(most), len(starts) - 1)
    return starts[first], starts[last]


def _flip_bits(rng, data, files):
    changed = bytearray(data)
    for _ in range(1 + rng.randrange(4)):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _truncate(rng, data, files):
    # Rarely: nothing of a truncated file is read beyond the opcodes.
    return data[: rng.randrange(len(data) + 1)] if rng.randrange(4) == 0 else data


def _delete(rng, data, files):
    start, stop = _span(rng, data)
    return data[:start] + data[stop:]


def _duplicate(rng, data, files):
    start, stop = _span(rng, data)
    times = _one(rng, (2, 2, 2, 3, 40, 1000))
    if times * (stop - start) > MAX_SIZE:
        times = 2
    return data[:start] + data[start:stop] * times + data[stop:]


def _move(rng, data, files):
    start, stop = _span(rng, data)
    rest = data[:start] + data[stop:]
    place = _one(rng, _starts(rest))
    return rest[:place] + data[start:stop] + rest[place:]


def _splice(rng, data, files):
    """Opcodes of another file, in place of some or to the end."""
    other = files.part(rng)
    start, stop = _span(rng, other, most=200)
    place, after = _span(rng, data)
    ending = other[start:] if rng.randrange(3) == 0 else other[start:stop] + data[after:]
    return data[:place] + ending


_NUMBERS = [0, 1, 2, 3, 4, 7, 8, 63, 127, 128, 255, 256, 65535, 65536, 2**20, 2**30, 2**31 - 1]
_NUMBERS += [2**31, 2**32 - 1, 2**33, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def _insert(rng, data, files):
    place = _one(rng, _starts(data))
    return data[:place] + _one(rng, _PIECES)(rng) + data[place:]


def _any_opcode(rng):
    return bytes([rng.randrange(256)]) + bytes(rng.randrange(256) for _ in range(rng.randrange(9)))


def _own_opcode(rng):
    """One that the reader knows, with an argument that may be right."""
    code = _one(
        rng, b"(NKJMG\x8a\x8cXCBUT}])tae" + b"su\x85\x86\x87hjqr\x94cR\x81b\x93\x88\x89.\x95"
    )
    return bytes([code]) + struct.pack("<Q", _one(rng, _NUMBERS))[: rng.randrange(9)]


def _number(rng):
    value = _one(rng, _NUMBERS) * _one(rng, (1, 1, -1))
    return assembler.number(max(-(2**63), min(2**63 - 1, value)))


def _part(rng):
    return _one(rng, _PARTS)


_PARTS = [
    assembler.array(),
    assembler.dtype("f2"),
    assembler.network(),
    assembler.state(),
    assembler.real(float("nan")),
    assembler.shape_of(2**31 - 1, 2**31 - 1),
    assembler.SHELL,
    assembler.name("os", "system"),
    assembler.stacked("builtins", "eval"),
    assembler.NDARRAY,
    assembler.RECONSTRUCT,
    assembler.SCALAR,
    assembler.FROMBUFFER,
    assembler.CODECS,
    assembler.NETWORK,
    assembler.name("dnnlib", "EasyDict") + b")\x81",
    assembler.raw(bytes(8)),
    assembler.call(assembler.CODECS, assembler.text("\xff" * 8), assembler.text("latin1")),
    assembler.call(assembler.name("collections", "OrderedDict")),
    assembler.text("w"),
    b"2",
    b"0",
]
_PIECES = [_any_opcode, _own_opcode, _own_opcode, _number, _part]


_VALUES = b"NKJMG\x8a\x8cXCBU])}\x88\x89hj"  # opcodes that only put a value on the stack


def _replace(rng, data, files):
    """Another value in place of one: the file stays a pickle, of something else."""
    starts = _starts(data)
    values = [i for i, start in enumerate(starts[:-1]) if data[start] in _VALUES]
    if not values:
        return data
    place = _one(rng, values)
    after = data[starts[place + 1] :]
    if rng.randrange(3) == 0:
        return data[: starts[place]] + _one(rng, [_number, _part])(rng) + after
    other = _one(rng, values)
    return data[: starts[place]] + data[starts[other] : starts[other + 1]] + after


def _change_number(rng, data, files):
    """Another length, dimension, index or value in place of one."""
    starts = _starts(data)
    place = starts[rng.randrange(len(starts))] + 1
    size = _one(rng, (1, 1, 2, 4, 4, 8))
    if place + size > len(data):
        return data
    value = int.from_bytes(data[place : place + size], "little")
    value = _one(rng, [value + 1, value - 1, 2 * value, *_NUMBERS]) % 256**size
    return data[:place] + value.to_bytes(size, "little") + data[place + size :]


_CHANGES = [_flip_bits, _truncate, _delete, _duplicate, _move, _splice, _insert, _change_number]
_CHANGES += [_insert, _change_number, _change_number, _replace, _replace, _replace, _replace]


# ---------------------------------------------------------------- reading one file


class Audit:
    """While it is entered, collects what Python reports to audit hooks."""

    def __init__(self):
        self.active, self.events = False, []
        sys.addaudithook(self._hook)  # for the rest of the process

    def _hook(self, event, args):
        if self.active and event not in hostile_pickles.HARMLESS:
            self.events.append(event)

    def __enter__(self):
        self.active, self.events = True, []

    def __exit__(self, *error):
        self.active = False


class Outcome:
    """failure: None, or what is wrong; refusal: the reader's reason, None for a good file."""

    def __init__(self):
        self.failure = self.refusal = None
        self.seconds = self.allocated = 0


class Kind:
    """What is fuzzed. read: bytes → networks or an error of this class; arrays: of what is read."""

    name, error = "legacy-pickle", legacy_pickle.LegacyPickleError
    read, files, mutated = staticmethod(legacy_pickle.read), Files, staticmethod(mutated)
    offsets = True  # every reason has one

    @staticmethod
    def warm(files):
        """Files whose reading imports whatever reading imports."""
        return files.good

    @staticmethod
    def arrays(contents):
        networks = [network for network in contents.networks if network is not None]
        return [array for net in networks for array in net.all_variables().values()]


def examine(data, audit=None, read=legacy_pickle.read, seconds=SECONDS, kind=Kind):
    """Reads one file and measures.

    tracemalloc sees every allocation of Python's and of NumPy's. The time is the process's own:
    a machine with other work makes no file slow.
    """
    outcome, arrays = Outcome(), None
    tracemalloc.start()
    began = time.process_time()
    try:
        with audit or contextlib.nullcontext():
            arrays = kind.arrays(read(data))
    except kind.error as error:
        outcome.refusal = error.reason
        known = error.offset is not None or not kind.offsets
        if not known or not 0 <= (error.offset or 0) <= len(data):
            outcome.failure = f"no offset, or one outside the file: {error}"
    except Exception as error:
        outcome.failure = f"{type(error).__name__} escaped: {error}"
    outcome.seconds = time.process_time() - began
    outcome.allocated = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if outcome.refusal is None and outcome.failure is None:
        plain = all(type(a) is np.ndarray and a.dtype in (np.float32, np.float16) for a in arrays)
        if not plain or not all(np.isfinite(a).all() for a in arrays):
            outcome.failure = "accepted, but not as finite arrays"
    if audit and audit.events:
        outcome.failure = f"Python did more than read: {sorted(set(audit.events))}"
    elif outcome.allocated > 2 * len(data) + SPARE_BYTES:
        outcome.failure = f"{outcome.allocated:,} bytes allocated for {len(data):,}"
    elif outcome.seconds > seconds:
        outcome.failure = f"took {outcome.seconds:.1f} s"
    return outcome


# ---------------------------------------------------------------- the search


def main(arguments=None, read=legacy_pickle.read, kind=Kind) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="files to read")
    parser.add_argument("--minutes", type=float, help="stop after this time, too")
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other files")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for one file")
    parser.add_argument("--keep", type=Path, help="directory for failing files")
    args = parser.parse_args(arguments)
    files = kind.files()
    # What Python and NumPy import at the first use, they import now.
    for data in kind.warm(files):
        examine(data, read=kind.read, kind=kind)
    keep = args.keep or Path(tempfile.mkdtemp(prefix=f"fuzz-{kind.name}-"))
    keep.mkdir(parents=True, exist_ok=True)
    print(f"Reading {args.count:,} files. Should Python itself crash, the file is", flush=True)
    print(f"{keep / 'being-read.pkl'}", flush=True)
    _limit_memory()
    return _search(args, files, keep, read, kind)


def _limit_memory():
    import resource

    with contextlib.suppress(ValueError, OSError):  # not on every system
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


def _search(args, files, keep, read, kind):
    audit, began, failures, refusals = Audit(), time.monotonic(), 0, {}
    accepted = count = 0
    slowest = largest = 0
    being_read = keep / "being-read.pkl"
    for index in range(args.count):
        if args.minutes and time.monotonic() - began > 60 * args.minutes:
            break
        data = kind.mutated(random.Random(f"{args.seed}/{index}"), files)
        being_read.write_bytes(data)
        # For a loop inside NumPy, which no exception ends.
        faulthandler.dump_traceback_later(60 * SECONDS, exit=True)
        outcome = examine(data, audit, read, args.seconds, kind)
        faulthandler.cancel_dump_traceback_later()
        count += 1
        slowest = max(slowest, outcome.seconds)
        largest = max(largest, outcome.allocated - 2 * len(data))
        if outcome.refusal is None:
            accepted += outcome.failure is None
        else:
            reason = re.sub(r"'[^']*'|\"[^\"]*\"|[\d,]+", "*", outcome.refusal)
            refusals[reason] = refusals.get(reason, 0) + 1
        if outcome.failure:
            failures += 1
            path = keep / f"seed-{args.seed}-file-{index}.pkl"
            path.write_bytes(data)
            print(f"FAILED: {outcome.failure}\n  kept as {path}", flush=True)
            if failures == 20:
                break
        if count % 10_000 == 0:
            print(f"{count:,} files, {time.monotonic() - began:.0f} s", flush=True)
    being_read.unlink()
    if not failures:
        with contextlib.suppress(OSError):  # a directory of the user's may hold other things
            os.rmdir(keep)
    print(f"{count:,} files read, seed {args.seed}: {failures} failed, {accepted:,} accepted,")
    print(f"{sum(refusals.values()):,} refused for {len(refusals)} kinds of reasons.")
    print(f"Slowest {slowest:.2f} s; largest allocation beyond 2 x size {largest / 2**20:.1f} MiB.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
