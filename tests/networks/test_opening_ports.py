"""Checkpoints of PyTorch ports, opened as every other network file."""

import json

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from generation import describe
from networks import legacy
from tests import golden
from tests.dnnlib.pickles.fuzz_port_files import assembled, ros2
from tests.dnnlib.pickles.pickle_assembler import SHELL, table
from tests.networks.common import error, nchw

DATA = "ports/data"


def test_all_networks_of_a_file():
    path = golden.path(f"{DATA}/ros2_converted.pt")
    G, D, Gs = networks.load(path)
    assert [net.func_name for net in (G, D, Gs)] == ["G_main", "D_stylegan2", "G_main"]
    data = golden.load(f"{DATA}/net_ros2_converted.npz")
    images = Gs.synthesis(Gs.mapping(data["z"], None), noise="fixed")
    assert error(nchw(images), data["images"]) < 5e-6


def test_a_checkpoint_of_stylegan(capsys):
    """To the resolution that the file's name says, with what was done to open it."""
    Gs = describe.load_for_pictures(golden.path(f"{DATA}/ros1_train_step-6_stream.model"))
    assert (Gs.func_name, Gs.resolution) == ("G_style", 128)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 4 == len(Gs.notes.splitlines())
    assert all(line.startswith("note: ") for line in said)
    assert "the file has no noise images" in said[-1]


def test_info(tmp_path):
    found = describe.describe(golden.path(f"{DATA}/ros2_train_stream.pt"))
    assert found["format"] == "PyTorch checkpoint"
    assert "rosinality's StyleGAN2" in found["provenance"]["written by"]
    assert found["provenance"]["settings"]["channel_multiplier"] == 2
    assert {use["known"] for use in found["scan"]["imports"]} == {True}
    assert "mean of w" in found["networks"]["Gs"]["notes"][0]
    assert found["networks"]["D"]["notes"] == []
    text = describe.text(found)
    assert "note: the file has no mean of w" in text
    for path in ("/", "\\"):  # nobody's
        assert path not in json.dumps(found["provenance"]["settings"])


def test_a_network_that_is_refused_beside_one_that_is_not():
    path = golden.path(f"{DATA}/refuse_d_ros1_noact.model")
    found = describe.describe(path)
    assert list(found["networks"]) == ["G"]
    assert "has no activation" in found["provenance"]["D not read"]
    with pytest.raises(legacy.RefusedNetwork, match=r"D: its FromRGB has no activation"):
        legacy.makers(path)["D"]()


def test_mistakes(tmp_path):
    cases = {
        "x.pt": (assembled(table(g=SHELL), "archive"), r"os\.system' is not allowed"),
        "y.pt": (assembled(table(g=ros2()), "stream"), "G: resample_filter: expected"),
        "z.pth": (assembled(table(model=table()), "archive"), "unknown project; it has 'model'"),
    }
    for name, (data, pattern) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(UserError, match=pattern) as caught:
            networks.load(path)
        assert str(caught.value).startswith(str(path))
    for case, words in (
        ("refuse_ros2_swagan.pt", "SWAGAN"),
        ("refuse_lucidrains.pt", "lucidrains"),
    ):
        with pytest.raises(UserError, match=words):
            networks.load(golden.path(f"{DATA}/{case}"))


def test_a_snapshot_of_one(tmp_path):
    """Written as ours and read again: the same numbers."""
    Gs = networks.load(golden.path(f"{DATA}/ros2_converted_gema.pt"))[2]
    path = tmp_path / "x.safetensors"
    networks.save(path, Gs=Gs)
    again = networks.load(path)[2]
    for name, array in Gs.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
