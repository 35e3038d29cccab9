"""PyTorch network pickles that must be refused, and the search for more of them."""

import contextlib
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dnnlib.pickles import torch_networks
from dnnlib.pickles.torch_networks import TorchNetworkError
from tests.dnnlib.pickles import (
    fuzz_tf_networks as fuzzing,
    fuzz_torch_networks,
    refusal,
    torch_networks_assembler as assembler,
    torch_networks_hostile,
)
from tests.dnnlib.pickles.fuzz_torch_networks import Kind
from tests.dnnlib.pickles.pickle_assembler import call, get, many, put, raw
from tests.memory import allocating_less_than

CORPUS = torch_networks_hostile.corpus()


@pytest.mark.parametrize("case", CORPUS)
def test_refused_with_reason_and_offset(case):
    data, pattern = CORPUS[case]
    error = refusal.check(torch_networks.read, data, pattern, TorchNetworkError)
    assert str(error).startswith("not a readable PyTorch network: ")


def events():
    """What Python does beyond computing while it reads them all: names of audit events."""
    audit, seen = fuzzing.Audit(), []
    for data in assembler.GOOD.values():  # what is imported at the first use, is now
        torch_networks.read(data)
    for data in [*assembler.GOOD.values(), *(data for data, _ in CORPUS.values())]:
        with audit, contextlib.suppress(TorchNetworkError):
            torch_networks.read(data)
        seen += audit.events
    return seen


def test_no_code_runs():
    code = "from tests.dnnlib.pickles import test_torch_networks_hostile as t; "
    done = refusal.run(code + "print('events:', t.events())")
    assert done.stdout == "events: []\n", done.stderr


@pytest.mark.parametrize("case", ["G_ema", "protocol 4"])
def test_truncated_at_every_offset(case):
    data = assembler.GOOD[case]
    for size in range(len(data)):
        with pytest.raises(TorchNetworkError) as caught:
            torch_networks.read(data[:size])
        assert 0 <= caught.value.offset <= size


# ---------------------------------------------------------------- memory

SIZE = 24 * 2**20  # of the numbers: one copy too many shows


@pytest.mark.parametrize("strides", [(2**19, 1), (1, 12)], ids=["rows", "columns"])
def test_reading_takes_the_file_and_its_arrays(strides):
    stored = call(assembler.LOAD, raw(assembler.stream(np.ones(SIZE // 4))))
    data = assembler.with_tensor(assembler.tensor(stored, (12, 2**19), strides))
    with allocating_less_than(SIZE + 8 * 2**20):  # beside the file
        tensor = torch_networks.read(data).networks["G"].buffers["w"]
    assert tensor.shape == (12, 2**19)


def floods():
    """Files of the size that the limits allow, which cost as much as possible."""
    crowd = b"".join(b"X\6\0\0\0" + b"%06d" % i + (get(2) + get(3) + b"R") for i in range(24_000))
    # Persistent objects of one state, whose modules are these objects: each holds all the others.
    meta = assembler.persistent("Conv2dLayer", get(0))[len(assembler.PERSISTENT) : -1]
    entangled = {
        "a": assembler.filled({"_": b"N"}) + put(1),
        "b": assembler.state(_modules=get(1)) + put(0),
        "c": assembler.PERSISTENT + put(2),
        "d": meta + put(3),
        "e": get(1) + b"(" + crowd + b"u",
        "G": assembler.persistent("Generator", assembler.state(_modules=get(1))),
    }
    streams = {f"w{i}": assembler.tensor() for i in range(1_500)}
    names = {f"{i:05}" + 58 * "m": get(6) for i in range(20_000)}
    buffers = {"first": assembler.tensor() + put(6), **names}
    sources = {f"m{i}": assembler.persistent() for i in range(700)}
    return {
        "entangled modules": assembler.table(**entangled),
        "streams": assembler.table(
            G=assembler.persistent("Generator", assembler.state({}, streams))
        ),
        "names": assembler.table(G=assembler.persistent("Generator", assembler.state({}, buffers))),
        "sources": assembler.table(
            G=assembler.persistent("Generator", assembler.state({}, {}, sources))
        ),
        "memo": b"N" + b"\x94" * 90_000,
        "deep tuples": b"N" + b"\x85" * 90_000,
        "sets": b"\x8f" * 90_000 + many(),
    }


FLOODS = floods()


@pytest.mark.parametrize("case", FLOODS)
def test_floods_take_little_memory_and_time(case):
    outcome = fuzzing.examine(b"\x80\x03" + FLOODS[case] + b".", None, Kind.read, 30, Kind)
    assert outcome.failure is None
    assert (outcome.refusal is None) == (case in ("streams", "sources"))
    assert "opcodes" not in (outcome.refusal or "")


def test_the_corpus_takes_little_memory():
    for case, (data, _) in CORPUS.items():
        outcome = fuzzing.examine(data, None, Kind.read, float("inf"), Kind)
        assert outcome.failure is None, case
        assert outcome.refusal, case


# ---------------------------------------------------------------- random changes

FILES = fuzz_torch_networks.Files(with_golden=False)


@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_changed_files_are_read_or_refused(rng):
    data = fuzz_torch_networks.mutated(rng, FILES)
    outcome = fuzzing.examine(data, None, Kind.read, float("inf"), Kind)
    assert outcome.failure is None


def test_changes_leave_some_files_readable_and_others_not():
    outcomes = [
        fuzzing.examine(
            fuzz_torch_networks.mutated(random.Random(i), FILES), None, Kind.read, 60, Kind
        )
        for i in range(120)
    ]
    assert sum(outcome.refusal is None for outcome in outcomes) > 4
    assert len({re.sub(r"\d+", "", outcome.refusal or "") for outcome in outcomes}) > 30


SEARCH = "import sys; from tests.dnnlib.pickles import fuzz_tf_networks as f\n"
SEARCH += "from tests.dnnlib.pickles.fuzz_torch_networks import Kind\n"


def test_the_search_finds_nothing(tmp_path):
    keep = tmp_path / "keep"
    code = SEARCH + "sys.exit(f.main(sys.argv[1:], Kind.read, Kind))"
    done = refusal.run(code, "--count", 20, "--keep", keep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 files read, seed 0: 0 failed" in done.stdout
    assert not keep.exists()


def test_the_search_finds_what_a_worse_reader_does(tmp_path):
    code = SEARCH + "def worse(data):\n    compile('1', '', 'eval')\n    return Kind.read(data)\n"
    code += "sys.exit(f.main(sys.argv[1:], worse, Kind))"
    done = refusal.run(code, "--count", 1, "--keep", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"FAILED: .*did more than read: \['compile'", done.stdout), done.stdout
