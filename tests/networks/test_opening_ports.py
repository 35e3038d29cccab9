"""Checkpoints of PyTorch ports, opened as every other network file."""

import json

import numpy as np
import pytest

import networks
import run_generator
from dnnlib.errors import UserError
from dnnlib.pickles import port_files
from generation import describe
from networks import legacy, snapshot
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


def test_a_discriminator_whose_from_rgb_is_linear():
    found = describe.describe(golden.path(f"{DATA}/refuse_d_ros1_noact.model"))
    assert sorted(found["networks"]) == ["D", "G"]
    assert found["networks"]["D"]["options"]["activate_from_rgb"] is False


class Changed(port_files._Reader):
    """Reads files whose G has another name for one of its tensors, and whose Gs has no blur."""

    def made(self, port, states, root):
        G = states["G"]
        G["style.9.linear.scale"] = G.pop("style.1.linear.weight_orig")
        for name in [name for name in states["Gs"] if name.endswith("weight_flip")]:
            del states["Gs"][name]
        return super().made(port, states, root)


def test_networks_that_are_refused_beside_one_that_is_not(monkeypatch, capsys):
    """One whose port is another version, one whose tensors are none of the port's."""
    monkeypatch.setattr(port_files, "_Reader", Changed)
    path = golden.path(f"{DATA}/ros1_train_step-6.model")
    found = describe.describe(path)
    assert list(found["networks"]) == ["D"]
    reasons = {role: found["provenance"][f"{role} not read"] for role in ("G", "Gs")}
    assert "it has no blur" in reasons["Gs"]
    assert "tensor 'style.1.linear.weight_orig': expected" in reasons["G"]
    for role, reason in reasons.items():
        assert f"{role} not read" in describe.text(found)
        with pytest.raises(legacy.RefusedNetwork) as caught:
            legacy.makers(path)[role]()
        assert (caught.value.role, caught.value.reason) == (role, reason)
    G, D, Gs = networks.load(path)
    assert (G, D.func_name, Gs) == (None, "D_basic", None)
    said = capsys.readouterr().err.splitlines()
    expected = {f"note: {path}: {role} is left out: {why}" for role, why in reasons.items()}
    assert set(said) == expected
    lines = []
    networks.load(path, say=lines.append)
    assert {f"note: {line}" for line in lines} == expected
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match=f"Gs: {reasons['Gs']}"):
        describe.load_for_pictures(path)


def test_a_generator_in_place_of_an_average_that_cannot_be_had(monkeypatch):
    def without_blur(role, state):
        return "it has no blur" if role == "Gs" else None

    monkeypatch.setitem(port_files._REASONS, "ros1", without_blur)
    path = golden.path(f"{DATA}/ros1_train_step-6.model")
    Gs = snapshot.load_generator(path, 8)
    assert Gs.resolution == 8
    assert snapshot.notes(Gs)[-1] == "this is its G, for Gs cannot be had: it has no blur"


def test_a_resolution_that_the_user_gives(tmp_path, capsys):
    """For a checkpoint that does not say to which one it was trained."""
    path = golden.path(f"{DATA}/ros1_g_running.model")
    out = tmp_path / "x.safetensors"
    command = ["run_generator.py", "convert", f"--network={path}", f"--out={out}"]
    assert run_generator.main([*command, "--resolution=16"]) == 0
    said = capsys.readouterr().err
    assert "Gs: the port's epsilon is absorbed" in said
    assert "highest that was trained" not in said
    assert networks.load(out)[2].resolution == 16
    assert any("epsilon" in note for note in describe.origin(out)["provenance"]["notes on it"])
    for name, words in {
        str(out): "this file says its own",
        str(golden.path("ada/torch_pickles/ta.pkl")): "this file says its own",
        str(golden.path(f"{DATA}/ros2_train.pt")): "resolution=16, but it is of 32",
        str(path): "expected 4 to 1024",
    }.items():
        wanted = 48 if name == str(path) else 16
        command = ["run_generator.py", "info", f"--network={name}", f"--resolution={wanted}"]
        assert run_generator.main(command) == 2
        assert words in capsys.readouterr().err


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
