"""One registration is all that a family takes: run, pictures, metrics, formats, snapshots."""

import io

import numpy as np
import pytest
import tensorflow as tf

import networks
import run_generator
from dnnlib.errors import UserError
from explorer import about, inside, previews, recipe as recipes, repeating
from explorer.scene import Scene
from generation import convert, describe, latents
from metrics.evaluation import evaluate
from metrics.registry import parse
from networks import registry
from networks.sampling import Sampler
from tests import toy_family
from tests.metrics import small
from tests.metrics.small import stand_ins  # noqa: F401

pytestmark = pytest.mark.conformance


@pytest.fixture(autouse=True)
def _registered():
    registry.register(toy_family.FAMILY)
    yield
    registry.unregister("toy")


@pytest.fixture
def file(tmp_path):
    """A snapshot of one with two classes."""
    path = tmp_path / "toy.safetensors"
    networks.save(path, Gs=networks.build("G_toy", seed=3, label_size=2), info={"cur_nimg": 9000})
    return path


def test_build_and_run():
    Gs = networks.build("somewhere.toy_networks.G_toy", seed=3)
    z = np.random.RandomState(0).randn(3, 4).astype(np.float32)
    weight, coefficient = Gs.get_var("Paint/weight"), 0.5 / np.sqrt(4)
    expected = np.tanh(z @ weight * coefficient).reshape(3, 32, 32, 3)
    np.testing.assert_allclose(Gs.run(z, None), expected.transpose(0, 3, 1, 2), atol=1e-6)
    assert Gs.runnable.static_kwargs.latent_size == 4
    assert Gs.runnable.clone().output_shape == [None, 3, 32, 32]
    with pytest.raises(ValueError, match="G_toy has no option 'fmap_max'"):
        networks.build("G_toy", fmap_max=3)


def test_snapshots(file):
    _, _, Gs = networks.load(file)
    again = networks.build("G_toy", seed=3, label_size=2).arrays()
    assert all((Gs.arrays()[name] == array).all() for name, array in again.items())
    page = describe.text(describe.describe(file))
    assert "G_toy" in page
    assert "Paint" in page


def test_pictures(file, tmp_path):
    _, _, Gs = networks.load(file)
    ours, seeds = Sampler(Gs, noise="random", progress=False), range(3)
    z, labels = latents.from_seeds(seeds, 4), latents.labels_for(seeds, 2)
    images = ours.images(ours.codes(z, labels), noise_seeds=[0, 1, 2])
    assert images.shape == (3, 32, 32, 3)
    with pytest.raises(UserError, match="this is a toy"):
        ours.need_styles("style-mixing")
    for command, name in (("grid", "grid.png"), ("noise-detail", "noise.png")):
        arguments = [f"--network={file}", f"--out={tmp_path / name}", "--seeds=0-3"]
        assert run_generator.main(["run_generator.py", command, *arguments]) == 0
        assert (tmp_path / name).exists()


@pytest.mark.usefixtures("stand_ins")
def test_metrics(tmp_path):
    path = small.save(tmp_path / "toy.safetensors", networks.build("G_toy", seed=3))
    with small.tools(tmp_path, dataset="synthetic-32", minibatch=4) as tools:
        records = evaluate(path, [parse("fid8"), parse("ppl_zend-8")], tools)
        with pytest.raises(UserError, match="the network has no w"):
            evaluate(path, [parse("ppl_wend-8")], tools)
    assert [list(record["results"]) for record in records] == [["fid8"], ["ppl_zend-8"]]
    assert all(number > 0 for record in records for number in record["results"].values())


def test_formats(file, tmp_path):
    convert.convert(file, tmp_path / "saved")
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    z, labels = np.float32(np.eye(2, 4)), np.float32(np.eye(2))
    _, _, Gs = networks.load(file)
    images = serve(z=tf.constant(z), labels=tf.constant(labels))["images"]
    np.testing.assert_allclose(images, Gs(z, labels, noise="fixed"), atol=1e-6)
    with pytest.raises(UserError, match=r"ONNX: no form for a toy \(G_toy\)"):
        convert.convert(file, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_the_explorer_shows_it(file, monkeypatch):
    monkeypatch.setattr(previews, "SLOW", 0.0)
    scene = Scene(file, "toy")
    told = about.network(scene)
    assert (told["family"], told["styles"], told["psi"], told["w_layers"]) == (
        "toy",
        False,
        None,
        0,
    )
    assert told["noise_layers"] == [[32, 32]]
    recipe = recipes.parse({"seeds": [[1, 1], [2, 3]], "labels": [[0, 1], [1, 1]]})
    image = scene.image(recipe)
    assert image.shape == (32, 32, 3)
    arrays = np.load(io.BytesIO(repeating.latents_file(scene, recipe)))
    codes = np.concatenate([arrays["z"], arrays["labels"]], axis=1)
    np.testing.assert_array_equal(Sampler(scene.Gs, progress=False).images(codes)[0], image)
    with pytest.raises(UserError, match="Paint has no maps to look at"):
        inside.features(scene, recipe, 0)
    quick = previews.Previews(scene, 2.0)
    for _ in quick.warm_up():
        pass
    assert np.abs(np.int32(quick.image(recipe)) - image).max() < 8
