"""Pickles that must be refused, and the search for more of them (fuzz_tf_networks.py)."""

import os
import random
import re

import pytest
from hypothesis import given, settings, strategies as st

from dnnlib.pickles import tf_networks as legacy_pickle
from dnnlib.pickles.tf_networks import LegacyPickleError
from tests.dnnlib.pickles import (
    fuzz_tf_networks,
    hostile_pickles,
    pickle_assembler as assembler,
    refusal,
)

CORPUS = hostile_pickles.corpus()


@pytest.mark.parametrize("case", CORPUS)
def test_refused_with_reason_and_offset(case):
    data, pattern = CORPUS[case]
    refusal.check(legacy_pickle.read, data, pattern, LegacyPickleError, most=500)


def test_no_code_runs():
    done = refusal.run(
        "import sys; from tests.dnnlib.pickles import hostile_pickles as h; sys.exit(h.main())"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CORPUS)} files, 0 not refused as expected, 0 events" in done.stdout


def test_the_audit_sees_code_run():
    """The same with a reader that is no reader: Python's own, for a file that computes 1 + 1."""
    code = (
        "import pickle, sys\n"
        "from tests.dnnlib.pickles import hostile_pickles as h\n"
        "case = h.corpus()['GLOBAL builtins.eval']\n"
        "h.corpus = lambda: {'eval': case}\n"
        "sys.exit(h.main(read=pickle.loads))\n"
    )
    done = refusal.run(code)
    assert done.returncode == 1
    assert "1 files, 1 not refused as expected" in done.stdout
    for event in ("pickle.find_class", "compile", "exec"):
        assert f"eval: Python did {event}" in done.stdout


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_truncated_at_every_offset(protocol):
    part = assembler.original(3, [("w", 1.0)], name="S")
    network = assembler.original(3, [("lod", 0)], {"synthesis": part}, resolution=8)
    data = assembler.pickled((network, None, network), protocol)
    assert len(legacy_pickle.read(data).networks) == 3
    for size in range(len(data)):
        with pytest.raises(LegacyPickleError) as caught:
            legacy_pickle.read(data[:size])
        assert 0 <= caught.value.offset <= size


def test_arrays_truncated_at_every_offset():
    data = assembler.BENIGN["version 5"]
    for size in range(len(data)):
        with pytest.raises(LegacyPickleError) as caught:
            legacy_pickle.read(data[:size])
        assert 0 <= caught.value.offset <= size


# ---------------------------------------------------------------- memory


def floods():
    """Files of the size that the limits allow, which cost as much as possible."""
    text, get, put = assembler.text, assembler.get, assembler.put
    network = assembler.name("tfutil", "Network") + b"\x94U\1a\x94"
    names = [text(f"{i:03}" + "v" * 497) + put(i) for i in range(83)]
    pairs = [assembler.many(get(i), assembler.real(0)) for i in range(83)]
    kind = assembler.dtype("i1", "|")
    wide = assembler.variables(("w", assembler.array(bytes(2**20), (2**20,), kind)))

    def chain(length, *inner):
        inside = assembler.table(**{f"c{i}": part for i, part in enumerate(inner)})
        return assembler.network(name=text(length * "n"), components=inside, variables=b"]")

    leaves = [
        assembler.network(
            name=text(f"{i:02}" + "n" * 498),
            static_kwargs=assembler.table(x=assembler.listed(*(names if i == 0 else ()))),
            variables=assembler.listed(*pairs),
        )
        for i in range(60)
    ]
    keys = (text(f"{i:06}" + "k" * 494) + b"N" for i in range(45_000))
    long_names = chain(500, chain(499, chain(498, *leaves)))
    widened = assembler.network(variables=wide)
    return {
        "all at once": assembler.many(
            long_names, widened, assembler.listed(b"U\0" * 70_000, b"\x94" * 2_000)
        ),
        "long names": long_names,
        "long keys": assembler.with_option(b"}(" + b"".join(keys) + b"u")[2:-1],
        "spans": b"](" + b"U\0" * 90_000 + b"e",
        "memo": b"N" + b"\x94" * 90_000,
        "deep tuples": b"N" + b"\x85" * 90_000,
        "deep dictionaries": b"U\1a\x94" + b"}h\0" * 30_000 + b"N" + b"s" * 30_000,
        "deep networks": network + b"h\0)\x81}h\1" * 13_000 + b"N" + b"sb" * 13_000,
    }


FLOODS = {case: assembler.file(body) for case, body in floods().items()}


@pytest.mark.parametrize("case", FLOODS)
def test_floods_take_little_memory(case):
    data = FLOODS[case]
    outcome = fuzz_tf_networks.examine(data, seconds=float("inf"))
    assert outcome.failure is None
    # None of them is too many opcodes, and the first is read until its last network, which is none.
    assert "opcodes" not in (outcome.refusal or "")
    if case == "all at once":
        assert "where a network is expected" in outcome.refusal
        assert outcome.allocated > 15 * 2**20
    if case == "long names":
        assert outcome.refusal is None
        (network,) = legacy_pickle.read(data).networks
        assert len(network.all_variables()) == 60 * 83


def test_the_corpus_takes_little_memory():
    for case, (data, _) in CORPUS.items():
        outcome = fuzz_tf_networks.examine(data, seconds=float("inf"))
        assert outcome.failure is None, case
        assert outcome.refusal, case


# ---------------------------------------------------------------- random changes

FILES = fuzz_tf_networks.Files(with_golden=False)


@settings(max_examples=400)
@given(st.randoms(use_true_random=False))
def test_changed_files_are_read_or_refused(rng):
    data = fuzz_tf_networks.mutated(rng, FILES)
    outcome = fuzz_tf_networks.examine(data, seconds=float("inf"))
    assert outcome.failure is None


def test_changes_repeat_for_a_seed_and_leave_some_files_readable():
    files = [fuzz_tf_networks.mutated(random.Random(i), FILES) for i in range(300)]
    again = [fuzz_tf_networks.mutated(random.Random(i), FILES) for i in range(300)]
    assert files == again
    outcomes = [fuzz_tf_networks.examine(data, seconds=float("inf")) for data in files]
    assert sum(outcome.refusal is None for outcome in outcomes) > 5
    assert len({re.sub(r"\d+", "", outcome.refusal or "") for outcome in outcomes}) > 30


SEARCH = "import sys; from tests.dnnlib.pickles import fuzz_tf_networks as f\n"
SEARCH += "from dnnlib.pickles.tf_networks import read\n"
ARGUMENTS = ("--count", 30, "--keep")


def test_the_search_finds_nothing(tmp_path):
    keep = tmp_path / "keep"
    done = refusal.run(SEARCH + "sys.exit(f.main(sys.argv[1:]))", *ARGUMENTS, keep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "30 files read, seed 0: 0 failed" in done.stdout
    assert not keep.exists()


@pytest.mark.parametrize(
    ("reader", "failure"),
    [
        ("bytearray(2 * len(data) + 65 * 2**20)", "bytes allocated for"),
        ("numpy.empty(2 * len(data) + 65 * 2**20, 'u1')", "bytes allocated for"),
        ("bytearray(2**40)", "MemoryError escaped"),
        ("compile('1', '', 'eval')", r"did more than read: \['compile'"),
        ("open('pyproject.toml').close()", "'open'"),
        ("subprocess.run(['true'])", r"subprocess\.Popen"),
        ("socket.socket().close()", r"socket\.__new__"),
        ("__import__('this_is_no_module')", "'import'"),
        ("{}['key']", "KeyError escaped: 'key'"),
        ("recurse(0)", "RecursionError escaped"),
        ("sum(range(5_000_000))", r"took \d"),
    ],
)
def test_the_search_finds(tmp_path, reader, failure):
    """What a worse reader does to any file is reported, and the file is kept."""
    code = SEARCH + "import numpy, socket, subprocess\n"
    code += "def recurse(n): return recurse(n + 1) + 1\n"
    code += f"def worse(data):\n    {reader}\n    return read(data)\n"
    code += "sys.exit(f.main(sys.argv[1:], read=worse))"
    limit = ["--seconds", 0.02] if "took" in failure else []
    done = refusal.run(code, *limit, "--count", 1, "--keep", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(f"FAILED: .*{failure}", done.stdout), done.stdout
    (kept,) = tmp_path.iterdir()
    assert kept.name == "seed-0-file-0.pkl"
    assert f"kept as {kept}" in done.stdout
    files = fuzz_tf_networks.Files()
    assert kept.read_bytes() == fuzz_tf_networks.mutated(random.Random("0/0"), files)


@pytest.mark.skipif(os.name != "posix", reason="abort is an error of its own elsewhere")
def test_a_file_that_crashes_python_is_kept(tmp_path):
    code = SEARCH + "import os; f.main(sys.argv[1:], read=lambda data: os.abort())"
    done = refusal.run(code, *ARGUMENTS, tmp_path)
    assert done.returncode < 0
    (kept,) = tmp_path.iterdir()
    assert str(kept) in done.stdout
    assert kept.read_bytes()
