"""What run_generator.py does with files of StyleGAN2-ADA, TensorFlow's and PyTorch's."""

import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import networks
from generation import convert, describe
from tests import golden
from tests.networks.common import error
from tests.test_run_generator import PICTURES, run

pytestmark = pytest.mark.conformance

TF, TORCH = "ada/ada_tf_pickles", "ada/torch_pickles"


@pytest.mark.parametrize("name", ["images", *PICTURES])
def test_every_command_of_a_file_with_labels(name, tmp_path):
    args, file, size = PICTURES.get(name, (["--seeds=1,4"], "x", None))
    network = f"--network={golden.path(f'{TF}/va.pkl')}"
    assert run(name, network, *args, "--class=1", f"--out={tmp_path / file}") == 0
    if name == "images":
        assert len(list((tmp_path / file).glob("*.png"))) == 2
        return
    with Image.open(tmp_path / file) as picture:
        assert picture.size == size


def test_pictures_are_those_that_pytorch_makes(tmp_path):
    """From z to bytes, through --latents; the original truncates where we round."""
    data = golden.load(f"{TORCH}/net_ta.npz")
    np.savez(tmp_path / "z.npz", z=data["z"][:2])
    network = f"--network={golden.path(f'{TORCH}/ta.pkl')}"
    latents = f"--latents={tmp_path / 'z.npz'}"
    assert run("images", network, latents, "--noise=fixed", f"--out={tmp_path}") == 0
    for index, expected in enumerate(data["images_u8_nhwc"]):
        with Image.open(tmp_path / f"image{index:04d}.png") as picture:
            difference = np.abs(np.int32(np.asarray(picture)) - expected)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_a_network_without_noise_says_so(tmp_path, capsys):
    network = f"--network={golden.path(f'{TORCH}/te.pkl')}"
    assert run("noise-detail", network, f"--out={tmp_path / 'x.png'}") == 2
    message = "noise-detail needs a generator with noise inputs; this is a StyleGAN2-ADA (G_ada)"
    assert message in capsys.readouterr().err
    assert run("grid", network, "--seeds=0-3", "--noise=none", f"--out={tmp_path / 'x.png'}") == 0


def test_info_of_pytorchs(capsys):
    path = golden.path(f"{TORCH}/tb.pkl")
    assert run("info", f"--network={path}", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["format"] == "PyTorch pickle of StyleGAN2-ADA"
    assert said["provenance"]["augmentation p"] == 0.28125
    assert said["provenance"]["written by"] == "stylegan2-ada-pytorch"
    assert said["provenance"]["data set"]["use_labels"] is True
    assert "/data/tiny.zip" not in json.dumps(said)  # somebody's own path
    assert "non-commercial" in said["licence"]
    assert said["networks"]["Gs"]["options"]["conv_clamp"] == 256
    assert list(said["networks"]) == ["G", "D", "Gs"]


def test_info_of_tensorflows():
    path = golden.path(f"{TF}/va.pkl")
    kind, provenance, _ = (
        describe.origin(path)[key] for key in ("format", "provenance", "licence")
    )
    assert kind == "legacy pickle of StyleGAN2-ADA"
    assert provenance["pickle version"] == [5]


def test_a_stylegan3_file_is_refused_but_for_its_discriminator(tmp_path, capsys):
    path = golden.path(f"{TORCH}/refuse_stylegan3_t.pkl")
    said = describe.describe(path)
    assert list(said["networks"]) == ["D"]
    assert "StyleGAN3" in said["provenance"]["Gs not read"]
    assert "StyleGAN3" in describe.text(said)
    assert run("grid", f"--network={path}", f"--out={tmp_path / 'x.png'}") == 2
    assert "refuse_stylegan3_t.pkl: Gs: a StyleGAN3 generator" in capsys.readouterr().err
    G, D, Gs = networks.load(path)
    assert (G, D.func_name, Gs) == (None, "D_ada", None)
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(".pkl: ")[2][:27] for line in said] == [
        "G is left out: a StyleGAN3 ",
        "Gs is left out: a StyleGAN3",
    ]
    snapshot = tmp_path / "d.safetensors"
    assert run("convert", f"--network={path}", f"--out={snapshot}") == 0
    assert "Gs is left out: a StyleGAN3" in capsys.readouterr().err
    assert [network is None for network in networks.load(snapshot)] == [True, False, True]


@pytest.mark.parametrize("name", [f"{TF}/va.pkl", f"{TORCH}/te_protocol4.pkl"])
def test_as_a_snapshot(name, tmp_path):
    source, out = golden.path(name), tmp_path / "x.safetensors"
    assert convert.convert(source, out) == f"Wrote {out}"
    for network, again in zip(networks.load(source), networks.load(out)):
        assert again.options == network.options
        assert list(again.arrays()) == list(network.arrays())
        for key, array in network.arrays().items():
            np.testing.assert_array_equal(again.arrays()[key], array)
    assert describe.describe(out)["provenance"]["converted from"] == source.name


def test_as_a_saved_model(tmp_path):
    data = golden.load(f"{TORCH}/net_tb.npz")
    out = tmp_path / "saved"
    convert.convert(golden.path(f"{TORCH}/tb.pkl"), out)
    serve = tf.saved_model.load(str(out)).signatures["serving_default"]
    given = {"z": data["z"], "psi": np.float32([0.7]), "labels": data["labels"]}
    images = serve(**{key: tf.constant(np.float32(value)) for key, value in given.items()})[
        "images"
    ]
    assert error(np.transpose(images, [0, 3, 1, 2]), data["images_psi0.7_cutNone"]) <= 2e-5


def test_as_onnx(tmp_path):
    said = convert.convert(golden.path(f"{TF}/va.pkl"), tmp_path / "x.onnx")
    assert "(z, psi, labels) → images" in said
