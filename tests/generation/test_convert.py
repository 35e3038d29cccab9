"""Networks in other formats make the same images, where nothing of this package is."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import networks
from dnnlib.download import file_sha256
from dnnlib.errors import UserError
from generation import convert, describe
from generation.onnx import export
from networks import snapshot
from tests import golden
from tests.generation.common import KINDS, made
from tests.networks.common import error, generator, randomize

pytestmark = pytest.mark.conformance

FUSED = {**KINDS, "fused": lambda: generator(fused_scale=True, resolution=32)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("networks")
    found = {"d": directory / "d.safetensors"}
    networks.save(found["d"], D=networks.build("D_basic", resolution=8))
    for kind in FUSED:
        found[kind] = directory / f"{kind}.safetensors"
        Gs = made(kind) if kind in KINDS else randomize(FUSED[kind]())
        networks.save(found[kind], Gs=Gs, info={"cur_nimg": 7})
    return found


def inputs(Gs, count, psi):
    """Random ones, and what the network makes of them."""
    rng, opt = np.random.RandomState(count), Gs.options
    feeds = {"z": rng.randn(count, opt["latent_size"])}
    if Gs.func_name == "G_style":
        feeds["psi"] = [psi]
    if opt["label_size"]:
        feeds["labels"] = np.eye(opt["label_size"])[rng.randint(opt["label_size"], size=count)]
    feeds = {name: np.float32(value) for name, value in feeds.items()}
    options = dict(truncation_psi=psi, truncation_cutoff=8) if "psi" in feeds else {}
    images = Gs(feeds["z"], feeds.get("labels"), noise="fixed", **options).numpy()
    return feeds, images


# ---------------------------------------------------------------- snapshots


def test_a_pickle_as_a_snapshot(tmp_path):
    source, out = golden.path("pickles/e_sep.pkl"), tmp_path / "e_sep.safetensors"
    assert convert.convert(source, out) == f"Wrote {out}"
    for network, again in zip(networks.load(source), networks.load(out)):
        assert again.options == network.options
        for name, array in network.arrays().items():
            np.testing.assert_array_equal(again.arrays()[name], array)
    info = snapshot.read(out)[2]
    assert info["converted from"] == "e_sep.pkl"
    assert info["sha256 of it"] == file_sha256(source)
    assert info["pickled as"] == ["dnnlib.tflib.network.Network"]


def test_the_licence_of_a_published_network_goes_along(tmp_path):
    published = tmp_path / "karras2019stylegan-cats-256x256.pkl"
    published.write_bytes(golden.path("pickles/h_res4.pkl").read_bytes())
    convert.convert(published, tmp_path / "cats.safetensors")
    assert snapshot.read(tmp_path / "cats.safetensors")[2]["licence"] == "CC BY-NC 4.0 by NVIDIA"
    assert describe.describe(tmp_path / "cats.safetensors")["licence"] == "CC BY-NC 4.0 by NVIDIA"


def test_converting_twice_keeps_the_first_origin_and_no_licence_is_made_up(tmp_path):
    source = golden.path("pickles/h_res4.pkl")
    convert.convert(source, tmp_path / "one.safetensors")
    convert.convert(tmp_path / "one.safetensors", tmp_path / "two.safetensors")
    info = snapshot.read(tmp_path / "two.safetensors")[2]
    assert info["converted from"] == "h_res4.pkl"
    assert info["sha256 of it"] == file_sha256(source)
    assert "licence" not in info


def test_a_snapshot_keeps_its_info(files, tmp_path):
    convert.convert(files["style"], tmp_path / "x.safetensors")
    info = snapshot.read(tmp_path / "x.safetensors")[2]
    assert (info["cur_nimg"], info["converted from"]) == (7, "style.safetensors")


# ---------------------------------------------------------------- SavedModel


@pytest.mark.parametrize("kind", FUSED)
def test_saved_models(kind, files, tmp_path):
    out = tmp_path / "saved"
    convert.convert(files[kind], out)
    serve = tf.saved_model.load(str(out)).signatures["serving_default"]
    Gs = networks.load(files[kind])[2]
    for count, psi in ((3, 0.5), (1, 1.0)):
        feeds, images = inputs(Gs, count, psi)
        found = serve(**{name: tf.constant(value) for name, value in feeds.items()})["images"]
        assert error(found, images) < 2e-5
    size = sum(file.stat().st_size for file in (out / "variables").iterdir())
    used = sum(array.nbytes for array in Gs.arrays().values())
    assert size < 1.2 * used + 20_000  # each weight once


def test_a_saved_model_needs_nothing_of_this_package(files, tmp_path):
    convert.convert(files["style"], tmp_path / "saved")
    feeds, images = inputs(networks.load(files["style"])[2], 2, 0.7)
    np.savez(tmp_path / "inputs.npz", **feeds)
    code = (
        "import sys, numpy, tensorflow as tf\n"
        "serve = tf.saved_model.load('saved').signatures['serving_default']\n"
        "given = {name: tf.constant(value) for name, value in numpy.load('inputs.npz').items()}\n"
        "numpy.save('images.npy', serve(**given)['images'])\n"
        "assert 'networks' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert error(np.load(tmp_path / "images.npy"), images) < 2e-5


def test_psi_of_every_shape(files, tmp_path):
    convert.convert(files["style"], tmp_path / "saved")
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    feeds, images = inputs(networks.load(files["style"])[2], 2, 0.7)
    z = tf.constant(feeds["z"])
    for psi in (0.7, [0.7], [0.7, 0.7]):
        assert error(serve(z=z, psi=tf.constant(psi))["images"], images) < 2e-5
    apart = serve(z=z, psi=tf.constant([0.7, 0.2]))["images"].numpy()
    assert error(apart[:1], images[:1]) < 2e-5
    assert error(apart[1:], images[1:]) > 0.01


def test_loading_is_silent_and_needs_no_compiler(files, tmp_path, caplog):
    """Servers may lack XLA; and every function without its gradient is a warning when loaded."""
    convert.convert(files["fused"], tmp_path / "saved")
    caplog.clear()
    tf.saved_model.load(str(tmp_path / "saved"))
    assert "custom gradients" not in caplog.text
    contents = (tmp_path / "saved" / "saved_model.pb").read_bytes()
    found = saved_model_pb2.SavedModel.FromString(contents)
    functions = found.meta_graphs[0].graph_def.library.function
    assert len(functions) > 0
    assert not any(function.attr["_XlaMustCompile"].b for function in functions)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_networks_are_served_in_float32(dtype, tmp_path):
    Gs = randomize(generator(dtype=dtype))
    networks.save(tmp_path / "x.safetensors", Gs=Gs)
    full = networks.build("G_style", seed=0, **{**Gs.options, "dtype": "float32"})
    full.set_arrays(Gs.arrays())
    feeds, images = inputs(full, 2, 0.7)
    convert.convert(tmp_path / "x.safetensors", tmp_path / "saved")
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    found = serve(**{name: tf.constant(value) for name, value in feeds.items()})["images"]
    assert error(found, images) < 2e-5
    convert.convert(tmp_path / "x.safetensors", tmp_path / "x.onnx")
    session = export.session_of(str(tmp_path / "x.onnx"))
    assert error(session.run(["images"], feeds)[0], images) < 1e-4


def test_random_noise_is_drawn_at_every_call(files, tmp_path):
    convert.convert(files["style"], tmp_path / "saved", noise="random")
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    feeds = {name: tf.constant(value) for name, value in inputs(made(), 1, 1.0)[0].items()}
    assert np.abs(serve(**feeds)["images"] - serve(**feeds)["images"]).max() > 0.01


# ---------------------------------------------------------------- ONNX


@pytest.mark.parametrize("kind", FUSED)
def test_onnx(kind, files, tmp_path):
    out = tmp_path / "x.onnx"
    said = convert.convert(files[kind], out)
    assert re.search(r"→ images, opset 17, 0\.\d MB\. ONNX Runtime's images differ from ours", said)
    session = export.session_of(str(out))
    for count, psi in ((4, 0.5), (1, 1.0)):
        feeds, images = inputs(networks.load(files[kind])[2], count, psi)
        assert {node.name for node in session.get_inputs()} == set(feeds)
        assert error(session.run(["images"], feeds)[0], images) < 1e-4


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
@pytest.mark.parametrize("noise", ["none", "random", "input"])
def test_onnx_of_every_kind(weights, noise, files, tmp_path):
    said = convert.convert(files["style"], tmp_path / "x.onnx", noise=noise, weights=weights)
    inputs = {"random": ", seed", "input": "".join(f", noise{index}" for index in range(6))}
    assert f"(z, psi{inputs.get(noise, '')}) → images" in said
    assert ("those of float32 weights by up to " in said) == (weights != "float32")


def test_an_onnx_file_says_where_it_comes_from(tmp_path):
    published = tmp_path / "karras2019stylegan-cats-256x256.pkl"
    published.write_bytes(golden.path("pickles/h_res4.pkl").read_bytes())
    convert.convert(published, tmp_path / "x.onnx")
    import onnx

    entries = onnx.load(tmp_path / "x.onnx").metadata_props
    said = {entry.key: entry.value for entry in entries}
    assert said["licence"] == "CC BY-NC 4.0 by NVIDIA"
    assert json.loads(said["provenance"])["converted from"] == published.name
    assert json.loads(said["provenance"])["sha256 of it"] == file_sha256(published)


def test_onnx_that_makes_other_images_is_not_kept(files, tmp_path, monkeypatch):
    for value in (float("nan"), 2e-4):
        monkeypatch.setattr(export.Check, "differences", lambda *args, v=value: (v, v))
        for weights in ("float32", "int8"):
            with pytest.raises(
                UserError, match=rf"x\.onnx: ONNX Runtime's images differ by {value:.2g}"
            ):
                convert.convert(files["style"], tmp_path / "x.onnx", weights=weights)
    assert list(tmp_path.iterdir()) == []


def test_the_difference_is_noticed(files):
    class Wrong:
        @staticmethod
        def get_inputs():
            return []

        @staticmethod
        def run(names, feeds):
            return [images.pop(0)]

    check = export.Check(networks.load(files["labels"])[2], "fixed")
    images = [expected * 1.01 for _, expected in check.cases]
    largest, usual = check.differences(Wrong)
    assert export.TOLERANCE < usual < largest < 0.02


def test_onnx_without_its_packages(files, tmp_path, monkeypatch):
    for name in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(UserError, match="ONNX needs the packages onnx and onnxruntime: pip"):
            convert.convert(files["style"], tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- mistakes


def test_mistakes(files, tmp_path):
    with pytest.raises(UserError, match=r"expected \.safetensors, \.onnx, \.npz, or a directory"):
        convert.convert(files["style"], tmp_path / "x.pb")
    for name in ("x", "x.onnx", "x.safetensors"):
        (tmp_path / name).touch()
        with pytest.raises(UserError, match="it is there already"):
            convert.convert(files["style"], tmp_path / name)
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match="holds no Gs"):
        convert.convert(files["d"], tmp_path / "x")
    with pytest.raises(UserError, match=r"--noise=input: a SavedModel has fixed, random or none"):
        convert.convert(files["style"], tmp_path / "x", noise="input")
    for name in ("x", "x.safetensors", "x.npz"):
        with pytest.raises(UserError, match=r"--weights=int8: it is for \.onnx files"):
            convert.convert(files["style"], tmp_path / name, weights="int8")
    assert list(tmp_path.iterdir()) == []
