"""Directions in w: how they are found, their file, and moving codes along them."""

import json

import numpy as np
import pytest

from dnnlib import tensor_file
from dnnlib.errors import UserError
from editing import directions as ways, effects
from generation import directions as saved
from generation.directions import Direction
from tests.generation.common import made, sampler
from tests.networks.common import generator, randomize

LAYERS = (0, 6)


def blob(spread, seed=0, count=4000):
    """A sample whose w has these standard deviations along its axes, turned by a rotation."""
    rng = np.random.RandomState(seed)
    turn, _ = np.linalg.qr(rng.randn(len(spread), len(spread)))
    w = rng.randn(count, len(spread)) * spread @ turn.T
    return ways.Sample(np.zeros([count, 1]), np.zeros([count, 0]), w), turn


def cosine(a, b):
    return abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b)


def test_pca_finds_the_axes_and_a_unit_is_their_deviation():
    sample, turn = blob([5.0, 3.0, 1.0, 0.1])
    found = ways.pca(sample, LAYERS, 3)
    assert [one.name for one in found] == ["pca0", "pca1", "pca2"]
    for one, axis, spread in zip(found, turn.T, [5, 3, 1]):
        assert cosine(one.vector, axis) > 0.999
        assert np.linalg.norm(one.vector) == pytest.approx(spread, rel=0.05)
        assert one.vector[np.abs(one.vector).argmax()] > 0


def test_sefa_finds_what_the_styles_take_most_of():
    G = made()
    sample = ways.draw(G, 500)
    (found,) = ways.sefa(G, sample, (1, 3), 1)
    matrix = np.concatenate(G.style_matrices()[1:3], axis=1)
    matrix = matrix / np.linalg.norm(matrix, axis=0)
    left, _, _ = np.linalg.svd(matrix)
    assert cosine(found.vector, left[:, 0]) > 0.9999
    assert found.layers == (1, 3)


@pytest.mark.parametrize("architecture", ["stylegan", "skip", "resnet"])
def test_style_matrices_are_what_layers_take_of_w(architecture):
    """Where a layer's matrix sends w to nothing, w does not matter to the image."""
    import networks

    if architecture == "stylegan":
        G = generator()
    else:
        options = dict(resolution=16, fmap_base=64, fmap_max=8, latent_size=8, dlatent_size=20)
        options["mapping_fmaps"] = 8
        G = networks.build("G_main", architecture=architecture, **options)
    randomize(G, seed=5)
    layers, width = G.w_shape
    matrices = G.style_matrices()
    assert [matrix.shape[0] for matrix in matrices] == [width] * layers
    w = np.random.RandomState(0).randn(1, layers, width).astype(np.float32)
    image = G.render(w, noise="none").numpy()
    for index, matrix in enumerate(matrices):
        left, values, _ = np.linalg.svd(matrix)
        blind = left[:, np.sum(values > 1e-5) :]
        seen = left[:, 0]
        changes = []
        for vector in (seen, *blind.T[:1]):
            moved = w.copy()
            moved[0, index] += vector
            changes.append(np.abs(G.render(moved, noise="none").numpy() - image).max())
        assert changes[0] > 1e-4, index
        assert all(change < 1e-5 for change in changes[1:]), index


def test_planes_point_to_images_that_have_the_attribute():
    sample, _ = blob([2.0, 2.0, 2.0])
    normal = np.array([1.0, 2.0, -1.0])
    heights = sample.w @ normal
    rare = heights - np.quantile(heights, 0.95)
    logits = {"tall": heights, "never": np.full(len(heights), -3.0), "very tall": rare}
    found, other = ways.planes(sample, logits, LAYERS)
    assert cosine(other.vector, found.vector) > 0.99
    assert found.name == "tall"
    assert found.vector @ normal / np.linalg.norm(found.vector) / np.sqrt(6) > 0.999
    assert np.linalg.norm(found.vector) == pytest.approx(2, rel=0.05)


def test_a_direction_that_keeps_others_has_no_part_along_them():
    sample, _ = blob([1.0, 2.0, 3.0, 4.0])
    rng = np.random.RandomState(1)
    a, b, c = (Direction(name, rng.randn(4), LAYERS, "planes") for name in "abc")
    found = ways.keeping(a, [b, c], sample)
    assert found.name == "a, keeping b and c"
    assert abs(found.vector @ b.vector) < 1e-5
    assert abs(found.vector @ c.vector) < 1e-5
    assert found.vector @ a.vector > 0
    assert (sample.w @ found.vector).std() == pytest.approx(np.linalg.norm(found.vector) ** 2)


def test_only_the_layers_of_a_direction_move():
    codes = np.zeros([2, 5, 3], np.float32)
    moved = Direction("x", np.float32([1, 2, 3]), (1, 3), "pca").move(codes, -2)
    np.testing.assert_array_equal(moved[:, 1:3], np.broadcast_to([-2, -4, -6], [2, 2, 3]))
    assert not moved[:, [0, 3, 4]].any()
    assert not codes.any()


def directions():
    vectors = np.random.RandomState(0).randn(3, 8).astype(np.float32)
    names = ("smile", "smile, keeping age", "pca0")
    return [Direction(n, v, (0, 6), "planes") for n, v in zip(names, vectors)]


def test_files(tmp_path):
    saved.save(tmp_path / "d.safetensors", directions(), {"found in": "x"})
    found = saved.read(tmp_path / "d.safetensors", (6, 8))
    for one, other in zip(found, directions()):
        assert (one.name, one.layers, one.kind) == (other.name, other.layers, other.kind)
        np.testing.assert_array_equal(one.vector, other.vector)
    for shape in ((6, 9), (5, 8)):
        with pytest.raises(UserError, match="directions of w with 8 numbers, in up to 6 layers"):
            saved.read(tmp_path / "d.safetensors", shape)


def damaged():
    rows = [{"name": "x", "kind": "pca", "layers": [0, 1]}]
    vectors = np.zeros([1, 8], np.float32)
    yield "no rows", {"vectors": vectors}, {}
    yield "no JSON", {"vectors": vectors}, {"directions": "["}
    yield "no list", {"vectors": vectors}, {"directions": "3"}
    yield "other count", {"vectors": np.zeros([2, 8], np.float32)}, {"directions": json.dumps(rows)}
    yield "one axis", {"vectors": np.zeros([8], np.float32)}, {"directions": json.dumps(rows)}
    yield "no vectors", {"x": vectors}, {"directions": json.dumps(rows)}
    for key, value in {"name": 3, "kind": None, "layers": [1, 0]}.items():
        yield key, {"vectors": vectors}, {"directions": json.dumps([{**rows[0], key: value}])}
    yield "layers", {"vectors": vectors}, {"directions": json.dumps([{**rows[0], "layers": "ab"}])}


@pytest.mark.parametrize("case", damaged(), ids=lambda case: case[0])
def test_files_that_are_none(case, tmp_path):
    _, arrays, metadata = case
    tensor_file.save(tmp_path / "d", arrays, saved.FORMAT, metadata)
    with pytest.raises(UserError, match="d: no file of directions, as"):
        saved.read(tmp_path / "d", (6, 8))


def test_not_finite_or_no_file_at_all(tmp_path):
    one = Direction("x", np.float32([np.nan] * 8), (0, 1), "pca")
    saved.save(tmp_path / "d", [one], {})
    with pytest.raises(UserError, match="infinite or not a number"):
        saved.read(tmp_path / "d", (6, 8))
    with pytest.raises(UserError, match="no such file"):
        saved.read(tmp_path / "none", (6, 8))
    (tmp_path / "x").write_bytes(b"no file of tensors")
    with pytest.raises(UserError, match="no file of directions"):
        saved.read(tmp_path / "x", (6, 8))


def test_amounts():
    found = saved.parse_amounts("smile=+2, pca0=-1.5,smile, keeping age=1", directions())
    assert [(one.name, x) for one, x in found] == [
        ("smile", 2.0),
        ("pca0", -1.5),
        ("smile, keeping age", 1.0),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected names and numbers"),
        ("smile", "expected names and numbers"),
        ("smile=x", "'x' is no number from -100 to 100"),
        ("smile=nan", "is no number"),
        ("smile=1000", "is no number"),
        ("smiel=1", "no direction 'smiel'; the file has: smile"),
        ("smile=1=2", "no direction|expected names"),
    ],
)
def test_amounts_that_are_none(text, message):
    with pytest.raises(UserError, match=message):
        saved.parse_amounts(text, directions())


class Means(effects.Judges):
    def __init__(self):
        pass

    def logits(self, images):
        return {"bright": np.float32(images).mean(axis=(1, 2, 3)) / 32 - 4}


def test_effects_are_of_the_images():
    ours = sampler()
    sample = ways.draw(ours.Gs, 200)
    codes = np.broadcast_to(np.float32(sample.w[:8, None]), [8, *ours.w_shape])
    (direction,) = ways.pca(sample, (0, ours.num_layers), 1)
    (effect,) = effects.measure(ours, [direction], codes, Means())
    shown = [ours.images(direction.move(codes, amount)) for amount in effects.AMOUNTS]
    expected = [1 / (1 + np.exp(-Means().logits(images)["bright"])) for images in shown]
    np.testing.assert_allclose(effect.rates["bright"], np.mean(expected, axis=1), rtol=1e-5)
    assert effect.per_unit("bright") == pytest.approx(
        (np.mean(expected[4]) - np.mean(expected[2])) * 50, rel=1e-5
    )
    difference = (np.float32(shown[6]) - np.float32(shown[3])) / 127.5
    assert effect.change[6] == pytest.approx(np.sqrt(np.square(difference).mean()), rel=1e-4)
    assert effect.change[3] == 0
    assert "bright" in effects.table([effect])
    assert json.loads(json.dumps(effect.record()))["name"] == "pca0"


def test_where_a_direction_saturates():
    def saturates(change):
        return effects.Effect(directions()[0], {}, np.array(change)).saturates()

    assert saturates([3, 2, 1, 0, 1, 2, 3]) is None
    assert saturates([2.2, 2, 1, 0, 1, 2, 3]) == 2
    assert saturates([1.1, 1.05, 1, 0, 1, 2, 3]) == 1
