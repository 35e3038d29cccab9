"""Checkpoints of PyTorch ports: read as data, told apart, refused by name."""

import collections
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dnnlib.pickles import port_files
from dnnlib.pickles.port_files import PortFileError
from tests import golden
from tests.dnnlib.pickles import (
    fuzz_port_files as fuzz,
    fuzz_tf_networks as fuzzing,
    torch_writer as writer,
)
from tests.dnnlib.pickles.fuzz_port_files import NAMESPACE, Kind, assembled, body, ros2
from tests.dnnlib.pickles.pickle_assembler import (
    BUILD,
    NEWOBJ,
    NONE,
    SHELL,
    call,
    file,
    get,
    listed,
    many,
    name,
    number,
    put,
    real,
    table,
    text,
)
from tests.dnnlib.pickles.torch_writer import FORMATS, identity, rebuilt, strided
from tests.memory import allocating_less_than

ROOT = Path(__file__).resolve().parents[3]
DATA = "ports/data"
FILES = {  # port, networks with the numbers of their tensors
    "ros2_train.pt": ("ros2", {"G": 81, "D": 29, "Gs": 81}),
    "ros2_train_stream.pt": ("ros2", {"G": 81, "D": 29, "Gs": 81}),
    "ros2_converted.pt": ("ros2", {"G": 81, "D": 29, "Gs": 81}),
    "ros2_converted_gema.pt": ("ros2", {"Gs": 81}),
    "ros1_train_step-6.model": ("ros1", {"G": 139, "D": 72, "Gs": 139}),
    "ros1_train_step-6_stream.model": ("ros1", {"G": 139, "D": 72, "Gs": 139}),
    "ros1_g_running.model": ("ros1", {"Gs": 139}),
    "ros1_g_running_stream.model": ("ros1", {"Gs": 139}),
    "h13_GAN_GEN_SHADOW_5_8.pth": ("h13", {"Gs": 86}),
    "refuse_d_ros1_noact.model": ("ros1", {"G": 139, "D": 72}),
    "h13_GAN_DIS_5_8.pth": ("h13", {"D": 48}),
}
REFUSED = {
    "refuse_ros2_swagan.pt": "a SWAGAN",
    "refuse_ros2_factor.pt": "a factor file of rosinality's stylegan2-pytorch",
    "refuse_lucidrains.pt": "lucidrains' stylegan2-pytorch",
}


def read(case):
    return port_files.read(golden.path(f"{DATA}/{case}").read_bytes(), case)


@pytest.mark.parametrize("case", FILES)
def test_recorded_files(case):
    port, counts = FILES[case]
    found = read(case)
    assert found.port == port
    assert {role: len(state) for role, state in found.networks.items()} == counts
    for state in found.networks.values():
        for array in state.values():
            assert array.dtype == np.float32
            assert array.flags.c_contiguous
    assert found.refused == {}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case):
    with pytest.raises(PortFileError, match=REFUSED[case]):
        read(case)


def test_names_and_shapes_are_the_recorded_ones():
    for case, meta, roles in (
        ("ros2_train.pt", "ros2_meta.json", {"Gs": "g_ema", "D": "d"}),
        ("ros1_train_step-6.model", "ros1_meta.json", {"Gs": "g_running", "D": "discriminator"}),
    ):
        found, recorded = read(case), golden.load(f"{DATA}/{meta}")
        for role, key in roles.items():
            rows = [(row["name"], row["shape"]) for row in recorded[key]]
            assert [(k, list(v.shape)) for k, v in found.networks[role].items()] == rows


def test_both_formats_hold_the_same():
    for case in ("ros2_train", "ros1_train_step-6"):
        ending = ".pt" if "ros2" in case else ".model"
        one, other = read(f"{case}{ending}"), read(f"{case}_stream{ending}")
        for role, state in one.networks.items():
            for key, array in state.items():
                assert np.array_equal(array, other.networks[role][key]) or role != "Gs"


def test_strides_are_honoured():
    """The converted file's are not those of C."""
    arrays = golden.load(f"{DATA}/tf_ros2_converted.npz")
    state = read("ros2_converted.pt").networks["Gs"]
    np.testing.assert_array_equal(state["style.1.weight"].T, arrays["Gs|G_mapping/Dense0/weight"])
    wanted = arrays["Gs|G_synthesis/8x8/Conv1/weight"].transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(state["convs.1.conv.weight"][0], wanted)


def test_settings_are_numbers_alone():
    found = read("ros2_train.pt")
    assert found.augment_p == 0
    assert (found.settings["latent"], found.settings["channel_multiplier"]) == (24, 2)
    assert not any(isinstance(value, str) for value in found.settings.values())
    assert read("ros2_converted.pt").latent_avg.shape == (24,)


# ---------------------------------------------------------------- files without golden data


@pytest.mark.parametrize("format", FORMATS)
def test_a_small_file(format):
    settings = NAMESPACE + table(path=text("/home/somebody"), batch=number(4), lr=real(0.5)) + BUILD
    step = table(state=b"}(" + number(0) + table(step=number(3)) + b"u", param_groups=listed(NONE))
    data = assembled(table(g_ema=ros2(), d_optim=step, args=settings, ada_aug_p=real(0.25)), format)
    found = port_files.read(data)
    assert (found.port, list(found.networks)) == ("ros2", ["Gs"])
    assert found.settings == {"batch": 4, "lr": 0.5}
    assert found.augment_p == 0.25
    np.testing.assert_array_equal(found.networks["Gs"]["input.input"], [[0, 1, 2], [3, 4, 5]])


def ros1(**more):
    keys = {"generator.progression.0.conv1.input": rebuilt(), **more}
    return b"}(" + b"".join(text(key) + value for key, value in keys.items()) + b"u"


BLUR = {"generator.progression.1.conv1.2.weight_flip": rebuilt()}
KEY = r"'{}' is not allowed; only state dicts"
# fmt: off
STATES = {  # opcodes, and the pattern of the reason
    "a call": (table(g_ema=SHELL), r"os\.system' is not allowed"),
    "in settings": (table(g_ema=ros2(), args=NAMESPACE + table(x=SHELL) + BUILD), r"os\.system'"),
    "in an optimizer": (table(g_ema=ros2(), g_optim=b"}" + number(0) + SHELL + b"s"), r"os\.syst"),
    "a model": (name("model", "StyledGenerator") + b")" + NEWOBJ, "a whole model was pickled"),
    "a module": (name("torch.nn.modules.container", "Sequential"), "a whole model was pickled"),
    "another class": (name("collections", "defaultdict"), "is not allowed"),
    "settings of a list": (table(args=NAMESPACE + b"]" + BUILD), "no dictionary, or come twice"),
    "settings twice": (table(args=NAMESPACE + b"}" + BUILD + b"}" + BUILD), "or come twice"),
    "settings with arguments": (name("argparse", "Namespace") + many(NONE) + NEWOBJ, "unknown way"),
    "settings called": (call(name("argparse", "Namespace")), "called in an unknown way"),
    "nothing": (b"}", "unknown project; it has nothing"),
    "others'": (table(model=table(w=rebuilt()), epoch=number(3)), "it has 'model', 'epoch'"),
    "a tensor": (rebuilt(), "a single tensor"),
    "a list": (listed(rebuilt()), "neither a dictionary nor"),
    "projection": (table(x=table(img=NONE, latent=rebuilt(), noise=b"]")), "a projection: images"),
    "optimizer": (table(state=b"}", param_groups=b"]"), "an optimizer's state"),
    "lucidrains'": (table(GAN=table(), version=text("1")), "lucidrains' stylegan2-pytorch"),
    "wavelets of d": (table(g=ros2(), d=table(**{"dwt.ll": rebuilt()})), "a SWAGAN"),
    "number as a tensor": (table(g=ros2(w=number(3))), "'G/w' is no tensor"),
    "text as a tensor": (table(g=ros2(w=text("x"))), "'G/w' is no tensor"),
    "dictionary inside": (table(g=ros2(w=table())), "'G/w' is no tensor"),
    "itself inside": (b"}" + put(5) + text("g") + ros2(w=get(5)) + b"s", "'G/w' is no tensor"),
    "gaps": (table(g=ros2(w=strided((2, 2), (3, 1)))), "has gaps or overlaps"),
    "expanded": (table(g=ros2(w=strided((2**35,), (0,)))), "has gaps or overlaps"),
    "integers": (table(g=ros2(w=rebuilt(identity(name("torch", "IntStorage"))))),
                 "two types or sizes"),
    "no blur": (table(generator=ros1()), "G of rosinality's StyleGAN .*no blur, as before 4 July"),
    "classes": (table(**{"g_synthesis.init_block.const": rebuilt(),
                         "class_embedding.weight": rebuilt()}), "Gs of huangzh13's .* classes"),
    "a key twice": (b"}(" + 2 * (text("g") + ros2()) + b"u", "the key 'g' twice"),
    "half a pair": (b"}(" + number(1) + b"u", "a key without a value"),
    "None as a key": (b"}" + NONE + NONE + b"s", "key is not text"),
    "5,001 tensors": (table(g=ros2(first=rebuilt() + put(6), **{
        f"w{i}": get(6) for i in range(5_001)})), "more than 5,000 tensors"),
    "opcodes": (100_001 * b"N", "more than 100,000 opcodes"),
}
# fmt: on


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("case", STATES)
def test_refused_with_a_reason(case, format):
    opcodes, pattern = STATES[case]
    with pytest.raises(PortFileError, match=pattern) as caught:
        port_files.read(assembled(opcodes, format))
    error = caught.value
    assert str(error).startswith("not a readable checkpoint of a StyleGAN port: ")
    assert len(str(error)) < 300
    assert "\n" not in str(error)


def test_numbers_that_are_none():
    values = np.array([0, 1, 2, 3, np.nan, 5], "<f4")
    data = writer.archive(body(table(g=ros2())), {"0": values})
    with pytest.raises(PortFileError, match="infinite or not a number"):
        port_files.read(data)


def test_roles_by_the_files_name():
    state = table(**{"g_synthesis.init_block.const": rebuilt()})
    for filename, role in (("GAN_GEN_5_8.pth", "G"), ("GAN_GEN_SHADOW_5_8.pth", "Gs"), ("x", "Gs")):
        assert list(port_files.read(assembled(state, "archive"), filename).networks) == [role]
    data = assembled(table(generator=ros1(**BLUR)), "stream")
    assert list(port_files.read(data).networks) == ["G"]


def test_what_is_something_else():
    for data in (b"", b"<html>", b"PK", file(b"}"), b"\x80\x02}."):
        with pytest.raises(PortFileError):
            port_files.read(data)


@pytest.mark.parametrize("format", FORMATS)
def test_truncated_at_every_offset(format):
    data = assembled(table(g=ros2()), format)
    for size in range(len(data)):
        with pytest.raises(PortFileError):
            port_files.read(data[:size])


def test_reading_takes_the_file_and_its_arrays():
    values = np.ones(4 * 2**20, "<f4")
    tensor = rebuilt(identity(count=values.size), 0, (values.size,), (1,))
    data = writer.archive(body(table(g=ros2(tensor, **{"input.input": tensor}))), {"0": values})
    with allocating_less_than(values.nbytes + 8 * 2**20), pytest.raises(PortFileError) as caught:
        port_files.read(data)  # two of them would be more than the file
    assert "far more room" in str(caught.value)


def events():
    """What Python does beyond computing while it reads hostile files: names of audit events."""
    audit, seen = fuzzing.Audit(), []
    files = [assembled(opcodes, form) for form in FORMATS for opcodes, _ in STATES.values()]
    port_files.read(assembled(table(g=ros2()), "archive"))  # what is imported at the first use
    for data in (data for data in files if len(data) < 20_000):
        outcome = fuzzing.examine(data, audit, Kind.read, float("inf"), Kind)
        assert outcome.failure is None
        seen += audit.events
    return seen


def test_no_code_runs():
    code = "from tests.dnnlib.pickles import test_port_files as t; print('events:', t.events())"
    command = [sys.executable, "-c", code]  # its own process: an audit hook cannot be removed
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "events: []\n", done.stderr


ALL = fuzz.Files(with_golden=False)


@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_changed_files_are_read_or_refused(rng):
    outcome = fuzzing.examine(fuzz.mutated(rng, ALL), None, Kind.read, float("inf"), Kind)
    assert outcome.failure is None


def test_changes_leave_some_files_readable_and_others_not():
    reasons = collections.Counter()
    for index in range(150):
        data = fuzz.mutated(random.Random(index), ALL)
        outcome = fuzzing.examine(data, None, Kind.read, 60, Kind)
        reasons[re.sub(r"\d+", "", outcome.refusal or "")] += 1
    assert reasons[""] > 4
    assert len(reasons) > 30
