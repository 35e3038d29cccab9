"""What `info` says of a file, against the tables that the reference prints."""

import json

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from generation import describe
from networks import layer_table
from tests import golden
from tests.generation.common import KINDS, made
from tests.networks.common import DISCRIMINATORS, discriminator

TAGS = "a c0 c8 e e_sep h_map0 h_nonoise h_fixed".split()


def recorded(tag):
    """{(layer, parameters, output, weight)} of all layers with parameters, and the totals."""
    text = golden.path(f"nets/{tag}_layers.txt").read_text(encoding="utf-8")
    layers, totals = [], []
    for line in filter(str.strip, text.splitlines()):
        name, *rest = line.split(maxsplit=1)
        cells = rest[0].replace(", ", ",").split() if rest else []
        if name == "Total":
            totals.append(int(cells[0]))
        elif len(cells) == 3 and cells[0].isdigit():
            output = tuple(int(part) for part in cells[1].strip("(),").split(",")[1:])
            layers.append((name, int(cells[0]), output, cells[2]))
    return layers, totals


@pytest.mark.parametrize("tag", TAGS)
def test_layers_are_those_of_the_reference(tag):
    found = describe.describe(golden.path(f"pickles/{tag}.pkl"))["networks"]
    layers, totals = recorded(tag)
    rows = [row for role in ("G", "D") for row in found[role]["layers"] if row["parameters"]]
    assert len(rows) == len(layers) > 10
    for row in rows:
        weight = str(tuple(row["weight"])).replace(" ", "")
        known = (row["name"], row["parameters"], tuple(row["output"]))
        if row["name"].endswith("4x4/Const"):  # where the reference shows another variable
            assert known in [layer[:3] for layer in layers]
        else:
            assert (*known, weight) in layers
    assert [found[role]["trained"] for role in ("G", "D")] == totals


def test_a_pickle():
    path = golden.path("pickles/run_example_final.pkl")
    found = describe.describe(path)
    assert json.loads(json.dumps(found))["sha256"] == found["sha256"]
    assert (found["format"], found["size"]) == ("legacy pickle", path.stat().st_size)
    assert list(found["networks"]) == ["G", "D", "Gs"]
    assert found["provenance"]["pickle version"] == [3]
    assert "CC BY-NC 4.0" in found["licence"]
    options = found["networks"]["Gs"]["options"]
    assert options["resolution"] == 32
    assert "mapping_lrmul" not in options
    full = describe.describe(path, everything=True)["networks"]["Gs"]["options"]
    assert full["mapping_lrmul"] == 0.01
    text = describe.text(found)
    assert {use["known"] for use in found["scan"]["imports"] + found["scan"]["calls"]} == {True}
    sources = [source["sha256"] for source in found["scan"]["sources"]]
    assert sources == found["provenance"]["source sha256"]
    assert "here nothing was run" in text
    for expected in (found["sha256"], "G_synthesis/4x4/Const", "resolution", "trained numbers"):
        assert expected in text


@pytest.mark.parametrize("kind", KINDS)
def test_a_snapshot(kind, tmp_path):
    Gs = made(kind)
    Gs.set_lod(1.5)
    networks.save(tmp_path / "x.safetensors", Gs=Gs, info={"cur_nimg": 5000, "dataset": "digits"})
    found = describe.describe(tmp_path / "x.safetensors")
    network = found["networks"]["Gs"]
    trained = sum(int(np.prod(v.shape)) for v in Gs.trainable().values())
    everything = sum(int(np.prod(v.shape)) for v in Gs.named.values())
    assert (network["trained"], network["other"]) == (trained, everything - trained)
    assert (network["func_name"], network["lod"]) == (Gs.func_name, 1.5)
    assert network["options"]["resolution"] == 16
    text = describe.text(found)
    for expected in ("cur_nimg        5000", "digits", "none recorded", "lod 1.5: not at full"):
        assert expected in text


@pytest.mark.parametrize("options", [*DISCRIMINATORS.values(), dict(spectral_norm=True)])
def test_shapes_follow_from_names(options):
    """Outputs of a discriminator's layers, against those that Keras's layers make."""
    D = discriminator(**options)
    rows = layer_table.rows(D)
    trained = sum(int(np.prod(v.shape)) for v in D.trainable().values())
    assert sum(row.parameters for row in rows) == trained
    outputs = {row.name: row.output for row in rows}
    for res in range(3, D.resolution_log2 + 1):
        side, width = 2**res, D.fmaps(res - 2)
        assert outputs[f"{side}x{side}/Conv0"] == (D.fmaps(res - 1), side, side)
        assert outputs[f"{side}x{side}/Conv1_down"] == (width, side // 2, side // 2)
    assert outputs["4x4/Dense0"] == (D.fmaps(0),)


def test_mistakes(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no snapshot")
    with pytest.raises(UserError, match=r"x\.safetensors: not a usable snapshot"):
        describe.describe(tmp_path / "x.safetensors")
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(UserError, match=r"x\.pkl: not a readable legacy network"):
        describe.describe(tmp_path / "x.pkl")


def test_a_network_from_the_middle_of_growing_says_so(tmp_path, capsys):
    Gs, path = made(), tmp_path / "net.safetensors"
    for lod, detail in ((0, None), (1, "of 8x8, enlarged to 16x16"), (0.5, "of 8x8 to 16x16")):
        Gs.set_lod(lod)
        networks.save(path, Gs=Gs)
        describe.load_for_pictures(path)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == (detail is not None)
        assert detail is None or (f"(lod {lod:.2f})" in lines[0] and detail in lines[0])
    Gs.set_lod(99)
    networks.save(path, Gs=Gs)
    with pytest.raises(UserError, match=r"net\.safetensors: .*lod=99.0, expected 0 to 2"):
        describe.load_for_pictures(path)
