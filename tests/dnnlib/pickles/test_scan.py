"""What would have run in a pickle: followed as far as Python would, without running any of it."""

import collections
import datetime
import hashlib
import json
import pickle
import pickletools
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dnnlib.pickles import lenient, scan as scanning
from dnnlib.pickles.scan import MAX_LISTED, scan
from tests import golden
from tests.dnnlib.pickles import (
    fuzz_tf_networks as fuzzing,
    hostile_pickles,
    pickle_assembler as assembler,
    torch_networks_assembler,
    torch_networks_hostile,
    torch_writer as writer,
)
from tests.memory import allocating_less_than

ROOT = Path(__file__).resolve().parents[3]


def names(uses):
    return {use.name: use.times for use in uses}


def call_of(report, name):
    (call,) = [use for use in report.calls if use.name == name]
    return call


def test_every_opcode_of_python_is_known():
    codes = {ord(opcode.code) for opcode in pickletools.opcodes}
    assert codes - set(lenient.LenientMachine.opcodes) == {ord(".")}


VALUES = [
    None, True, 1, 300, 70_000, -5, 2**70, 1.5, "text", "\u00e9", "a\nb", b"bytes", b"x" * 300,
    (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], [1, 2], {}, {"a": 1, 2: 3}, {1, 2},
    frozenset({3}), bytearray(b"x"), collections.OrderedDict(a=1), datetime.date(2020, 1, 2),
    np.arange(3), np.float32(1), 1j, range(3), complex, slice(1, 2), [[[]]], "y" * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_all_of_a_pickle_by_python_is_followed(protocol):
    """The same counts of imports, and of calls by opcode, as Python's own disassembler."""
    for value in [*VALUES, VALUES, [VALUES, VALUES]]:
        data = pickle.dumps(value, protocol)
        report = scan(data)
        assert report.incomplete is None
        counts = collections.Counter(op.name for op, _, _ in pickletools.genops(data))
        assert report.opcodes == sum(counts.values())
        assert sum(names(report.imports).values()) == counts["GLOBAL"] + counts["STACK_GLOBAL"]
        made = [use for use in report.calls if not use.name.endswith("__setstate__")]
        calls = sum(counts[name] for name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"))
        assert sum(use.times for use in made) == calls


SYSTEM = {  # the same call, os.system("exit 1"), in many ways
    "protocol 0": b"cos\nsystem\n(S'exit 1'\ntR.",
    "INST": b"(S'exit 1'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nVexit 1\no.",
    "NEWOBJ": b"\x80\x02cos\nsystem\nX\6\0\0\0exit 1\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04\x8c\2os\x8c\6system\x93\x8c\6exit 1\x85}\x92.",
    "REDUCE": assembler.file(assembler.SHELL),
    "beside a network": assembler.file(assembler.many(assembler.network(), assembler.SHELL)),
    "popped": assembler.file(assembler.SHELL + b"0N"),
    "and then damaged": assembler.PROTO + assembler.SHELL + b"\xff",
    "truncated": assembler.PROTO + assembler.SHELL,
    "in a tensor": torch_networks_assembler.with_stream(
        torch_networks_assembler.stream(root=assembler.SHELL)
    ),
    "in a stream": writer.stream(assembler.file(assembler.SHELL), {}),
    "in a stream's keys": writer.stream(
        assembler.file(assembler.table(w=writer.rebuilt())),
        {},
        keys=assembler.file(assembler.SHELL),
    ),
    "in a ZIP": writer.archive(assembler.file(assembler.SHELL), {}),
    "in another pickle of a ZIP": writer.archive(
        assembler.file(b"}"), {}, **{"constants.pkl": assembler.file(assembler.SHELL)}
    ),
    "in pickle.loads": assembler.file(
        assembler.call(
            assembler.name("pickle", "loads"), assembler.raw(assembler.file(assembler.SHELL))
        )
    ),
    "of what getattr returned": assembler.file(
        assembler.call(
            assembler.call(assembler.name("builtins", "getattr"), assembler.text("x")),
            assembler.SHELL,
        )
    ),
}


@pytest.mark.parametrize("case", SYSTEM)
def test_a_call_is_seen_wherever_it_is(case):
    report = scan(SYSTEM[case])
    call = call_of(report, "os.system")
    assert (call.times, call.known) == (1, False)
    assert "exit 1" in call.arguments
    assert names(report.imports)["os.system"] == 1
    assert "os.system" in report.unknown
    json.dumps(report.as_dict())


def test_arguments_are_short_and_one_line():
    text = "echo \n\x1b[31m" + 1000 * "x"
    data = assembler.file(assembler.call(assembler.name("os", "system"), assembler.text(text)))
    shown = call_of(scan(data), "os.system").arguments
    assert len(shown) < 120
    assert shown.isprintable()
    many = assembler.call(assembler.name("f", "g"), *map(assembler.number, range(9)))
    assert call_of(scan(assembler.file(many)), "f.g").arguments == "0, 1, 2, 3, ..."


def test_what_is_built_is_a_call():
    data = assembler.file(assembler.name("evil", "State") + b")\x81}b")
    report = scan(data)
    assert names(report.calls) == {"evil.State": 1, "evil.State(...).__setstate__": 1}
    assert report.unknown == ["evil.State", "evil.State(...).__setstate__"]


def test_source_is_listed_by_hash():
    source = torch_networks_assembler.SOURCE.encode()
    report = scan(torch_networks_assembler.GOOD["all"])
    (found,) = report.sources
    assert (found.where, found.size) == ("module_src", len(source))
    assert found.sha256 == hashlib.sha256(source).hexdigest()
    assert found.times == names(report.calls)["torch_utils.persistence._reconstruct_persistent_obj"]
    (found,) = scan(assembler.BENIGN["three"]).sources
    assert (found.where, found.times) == ("build_module_src", 2)
    zipped = writer.archive(assembler.file(b"}"), {}, **{"code/__torch__.py": source})
    assert scan(zipped).sources[0].where == "archive/code/__torch__.py"


@pytest.mark.parametrize("tag", ["ta", "tb", "te_protocol4", "ts", "refuse_stylegan3_t"])
def test_networks_need_no_more_than_is_known(tag):
    data = golden.path(f"ada/torch_pickles/{tag}.pkl").read_bytes()
    report = scan(data)
    assert report.unknown == []
    assert report.incomplete is None
    counts = collections.Counter(op.name for op, _, _ in pickletools.genops(data))
    loaded = names(report.calls)["torch.storage._load_from_bytes"]
    assert report.pickles == 1 + 5 * loaded
    assert loaded == names(report.calls)["torch._utils._rebuild_tensor_v2"]
    assert report.opcodes > sum(counts.values())


# ---------------------------------------------------------------- hostile files


def test_nothing_escapes_from_damaged_files():
    for data in (SYSTEM["in a tensor"], SYSTEM["in a ZIP"], pickle.dumps(VALUES[:20], 0)):
        for size in range(0, len(data), 1 if len(data) < 2000 else 7):
            scan(data[:size])
    rng = random.Random(1)
    files = fuzzing.Files(with_golden=False)
    for index in range(150):
        scan(fuzzing.mutated(random.Random(index), files))
        scan(bytes(rng.randrange(256) for _ in range(rng.randrange(60))))


def events():
    """What Python does beyond computing while it scans hostile files: names of audit events."""
    audit, seen = fuzzing.Audit(), []
    corpora = {**hostile_pickles.corpus(), **torch_networks_hostile.corpus()}
    files = [*SYSTEM.values(), *(data for data, _ in corpora.values() if len(data) < 10_000)]
    scan(SYSTEM["in a ZIP"])  # what is imported at the first use, is now
    for data in files:
        with audit:
            scan(data)
        seen += audit.events
    return seen


def test_no_code_runs():
    code = "from tests.dnnlib.pickles import test_scan as t; print('events:', t.events())"
    command = [sys.executable, "-c", code]  # its own process: an audit hook cannot be removed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "events: []\n", done.stderr


def test_floods_end(monkeypatch):
    loads = assembler.name("pickle", "loads")
    inside = assembler.file(b"N")
    for _ in range(9):
        inside = assembler.file(assembler.call(loads, assembler.raw(inside)))
    assert "too many or too deep" in scan(inside).incomplete
    monkeypatch.setattr(scanning, "MAX_OPCODES", 10_000)
    with allocating_less_than(5 * 2**20):
        assert "more than 10,000 opcodes" in scan(b"(" * 20_000).incomplete
    globals_ = b"".join(b"ca\nf%d\n" % i for i in range(MAX_LISTED + 9)) + b"."
    report = scan(globals_)
    assert len(report.imports) == MAX_LISTED
    assert "different names" in report.incomplete
    shared = assembler.file(
        assembler.listed(
            loads + assembler.raw(assembler.file(b"N" * 500)) + b"\x85\x94R",
            *[loads + b"h\0R" for _ in range(2_000)],
        )
    )
    assert scan(shared).pickles == 2
