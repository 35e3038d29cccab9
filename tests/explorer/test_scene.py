"""Recipes become the pictures of `run_generator.py images`, to the pixel; and what is inside."""

import dataclasses
import io
import shlex

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from explorer import inside, repeating
from explorer.about import network as about_network
from explorer.recipe import parse
from explorer.scene import Scene, blend
from explorer.starting_points import Projected
from generation import directions, latents
from networks import sampling
from networks.sampling import Sampler
from tests.explorer.serving import shown_of
from tests.generation.common import made, pixels, run

# Recipes, and the flags of images that make the same.
SAID = {
    "usual": ({}, "--seeds=0"),
    "seed": ({"seeds": [[4294967295, 2]]}, "--seeds=4294967295"),
    "psi": ({"seeds": [[7, 1]], "psi": 0.3}, "--seeds=7 --truncation_psi=0.3"),
    "cutoff": ({"psi": -1, "cutoff": 3}, "--seeds=0 --truncation_psi=-1.0 --truncation_cutoff=3"),
    "class": ({"seeds": [[5, 1]], "labels": [[1, 3]]}, "--seeds=5 --class=1"),
    "random": ({"seeds": [[5, 1]], "noise": "random"}, "--seeds=5 --noise=random"),
    "none": ({"noise": ["none"] * 6}, "--seeds=0 --noise=none"),
    "edits": ({"edits": {"it's, odd": 1.5, "up": -0.25}}, None),
}
# Those that no flags say: a file of latents does.
UNSAID = {
    "blend": {"seeds": [[1, 0.5], [2, 0.25], [9, -1]], "psi": 0.5},
    "opposite": {"seeds": [[1, -1]]},
    "classes": {"labels": [[0, 1], [2, 2]], "noise": "none"},
    "mixing": {"mixing": [[0, 3], [4, 8]], "psi": 0.7, "edits": {"up": 2}},
    "another noise": {"seeds": [[1, 1]], "noise": "random", "noise_seed": 7},
    "noise of layers": {"noise": ["fixed", "random", "none", "random", "fixed", "none"]},
    "projected": {"projected": "me", "noise": "random", "noise_seed": 3},
    "projected noise": {"projected": "me", "psi": 0.5, "mixing": [[5, 1]]},
}


@pytest.fixture(scope="module")
def projected(scene):
    rng = np.random.RandomState(3)
    w = rng.randn(1, *scene.sampler.w_shape).astype(np.float32)
    noise = [rng.randn(1, *shape, 1).astype(np.float32) for shape in scene.sampler.noise_shapes]
    scene.projected["me"] = Projected(w, noise)
    return scene


def made_by(command, directory):
    """The picture that a command line makes."""
    program, file, *args = shlex.split(command)
    assert (program, file) == ("python", "run_generator.py")
    assert run(*args, f"--out={directory / 'out'}") == 0
    (path,) = (directory / "out").glob("*.png")
    return pixels(path)


def levels(image):
    return image[:, :, 0] if image.shape[2] == 1 else image


@pytest.mark.parametrize("name", SAID)
def test_the_command_line_makes_the_picture_again(name, scene, tmp_path):
    value, flags = SAID[name]
    file = tmp_path / "dir ections.safetensors"
    directions.save(file, list(scene.directions.values()), {})
    shown = shown_of(scene, directions=str(file))
    recipe = parse(value)
    command = repeating.command(scene, recipe, shown.flags, shown.directions)
    if flags is not None:
        expected = f"python run_generator.py images --network={scene.path} {flags}"
        assert shlex.split(command) == shlex.split(expected)
    else:
        assert "--apply=" in command
        assert "--latents" not in command
    image = scene.image(recipe)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(levels(image), made_by(command, tmp_path))


@pytest.mark.parametrize("name", UNSAID)
def test_latents_make_the_picture_again(name, projected, tmp_path, monkeypatch):
    scene, recipe = projected, parse(UNSAID[name])
    shown = shown_of(scene)
    command = repeating.command(scene, recipe, shown.flags, shown.directions)
    assert "--latents=latents.npz" in command
    assert "--seeds" not in command
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latents.npz").write_bytes(repeating.latents_file(scene, recipe))
    np.testing.assert_array_equal(levels(scene.image(recipe)), made_by(command, tmp_path))


def test_what_no_command_makes_has_none(scene):
    for value in ({"which": "G"}, {"lod": 1}):
        assert repeating.command(scene, parse(value), ["--network=x"], None) is None
    value = {"edits": {"up": 1}}  # directions of another file than one that a flag could name
    assert "--latents" in repeating.command(scene, parse(value), ["--network=x"], None)


def test_names_and_files_are_quoted(scene):
    name = "; rm -rf ~"
    scene.directions[name] = dataclasses.replace(scene.directions["up"], name=name)
    try:
        recipe = parse({"edits": {name: 1}})
        command = repeating.command(scene, recipe, ["--network=$(x) y"], "a'b")
    finally:
        del scene.directions[name]
    words = shlex.split(command)
    assert words[3:] == [
        "--network=$(x) y",
        "--seeds=0",
        "--directions=a'b",
        "--apply=; rm -rf ~=1.0",
    ]


def test_blended_latents_have_the_variance_of_one():
    one = latents.from_seeds([4], 512)
    np.testing.assert_array_equal(blend(((4, 0.3),), 512), one)
    np.testing.assert_array_equal(blend(((4, -2.0),), 512), -one)
    two = latents.from_seeds([5], 512)
    blended = blend(((4, 3.0), (5, 4.0)), 512)
    np.testing.assert_allclose(blended, 0.6 * one + 0.8 * two, atol=1e-6)  # float32


def test_G_and_Gs_are_two_networks(scene):
    assert scene.which == ["Gs", "G"]
    assert (scene.image(parse({"which": "G"})) != scene.image(parse({}))).any()
    np.testing.assert_array_equal(scene.image(parse({"which": "Gs"})), scene.image(parse({})))


def test_a_level_of_detail_is_that_of_the_network(scene):
    image = scene.image(parse({"lod": 2}))
    blocks = image.reshape(4, 4, 4, 4, 1)
    np.testing.assert_array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"labels": [[3, 1]]}, "labels: class 3; the network has 3, from 0"),
        ({"noise": ["none"] * 5}, "noise: 5 kinds; the network has 6 layers"),
        ({"mixing": [[6, 1]]}, "mixing: layer 6; the network has 6, from 0"),
        ({"edits": {"smile": 1}}, "edits: no direction 'smile'; there are: up"),
        ({"projected": "you"}, "projected: no 'you'"),
        ({"lod": 2.5}, "lod: G_style: lod=2.5, expected 0 to 2"),
    ],
)
def test_what_the_network_does_not_have(value, said, scene):
    with pytest.raises(UserError) as caught:
        scene.image(parse(value))
    assert str(caught.value).startswith(said)


def test_a_score_is_that_of_D_for_the_picture_and_its_class(scene):
    image = scene.image(parse({}))
    D = scene._made("D")
    for label in (0, 2):
        labels = np.eye(3, dtype=np.float32)[[label]]
        expected = D(np.float32(image[None]) / 127.5 - 1, labels).numpy().item()
        score = scene.score(parse({}), image, labels)
        assert score == pytest.approx(expected, rel=1e-4, abs=1e-5)
        for lod in (1, 1.25, 1.75):
            score = scene.score(parse({"lod": lod}), image, labels)
            expected = D(np.float32(image[None]) / 127.5 - 1, labels, lod=lod).numpy().item()
            assert score == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert len(scene._score._list_all_concrete_functions()) <= 3  # one for all of a fade


# ---------------------------------------------------------------- inside


def test_feature_maps_are_those_that_the_picture_comes_from(scene):
    """The last layer's maps, through ToRGB, are the picture."""
    names = [layer["name"] for layer in inside.layers_of(scene.Gs)]
    assert names[0] == "4x4/Const"
    assert names[-1] == "16x16/Conv1"
    recipe = parse({"seeds": [[3, 1]], "psi": 1})
    maps = inside.features(scene, recipe, len(names) - 1)
    assert maps.shape == (16, 16, 8)
    weight, bias = (
        scene.Gs.named[f"G_synthesis/ToRGB_lod0/{name}"].numpy() for name in ("weight", "bias")
    )
    picture = maps @ weight[0, 0] / np.sqrt(8) + bias
    image = np.float32(scene.image(recipe))
    assert np.abs(np.clip(picture * 127.5 + 127.5, 0, 255) - image).max() < 0.6
    assert "call" not in vars(scene.Gs.places["G_synthesis/16x16/Conv1"].layer)


def test_layers_that_take_no_part_are_named(scene):
    with pytest.raises(UserError, match=r"16x16/Conv1 takes no part in images at lod 1"):
        inside.features(scene, parse({"lod": 1}), 5)
    with pytest.raises(UserError, match=r"layer: 6; the network has 6"):
        inside.features(scene, parse({}), 6)


def test_a_sheet_has_the_maps_that_vary_most():
    maps = np.zeros([2, 2, 100], np.float32)
    maps[0, 0] = np.arange(100) - 50.0  # those in the middle vary least
    picture, facts = inside.sheet(maps)
    # 32 and 68 vary as much as each other: the first one counts.
    assert [one["index"] for one in facts["maps"]] == [*range(33), *range(69, 100)]
    assert (facts["columns"], facts["total"]) == (8, 100)
    width, height = facts["cell"]
    assert (width, height) == (129, 129)
    assert picture.shape == (8 * 129 - 1, 8 * 129 - 1, 1)
    assert facts["maps"][0] == {"index": 0, "low": -50.0, "high": 0.0}
    first = picture[:128, :128, 0]
    assert (first[:64, :64] == 0).all()  # the least is black, the rest of this map is 0
    assert (first[64:] == 255).all()


@pytest.mark.parametrize(
    ("side", "count", "most"), [(8, 9, 4), (16, 3, 1), (32, 2, 1), (2, 99, 64)]
)
def test_a_sheet_of_large_maps_has_fewer(side, count, most, monkeypatch):
    monkeypatch.setattr(inside, "_MOST_SIDE", 16)
    monkeypatch.setattr(inside, "_SIDE", 16)
    maps = np.zeros([side, side, count], np.float32)
    maps[0, 0] = np.arange(count)
    picture, facts = inside.sheet(maps)
    assert [one["index"] for one in facts["maps"]] == list(range(count - most, count))
    assert facts["total"] == count
    gaps = facts["columns"] - 1
    assert max(picture.shape) <= max(16, side) + gaps


def test_a_map_that_does_not_vary_is_black():
    picture, facts = inside.sheet(np.ones([4, 4, 2], np.float32))
    assert not picture.any()
    assert len(facts["maps"]) == 2


def test_classes_by_the_seeds_numbers_move_with_them(tmp_path):
    path = tmp_path / "labels.safetensors"
    networks.save(path, Gs=made("labels"))  # three classes
    ours = Scene(path, "labels")
    start = ours.start(parse({"seeds": [[4, 3], [5, 1], [9, -2]]}))
    np.testing.assert_allclose(start.labels, [[0, 0.75, 0.25]])
    np.testing.assert_allclose(ours.start(parse({"seeds": [[5, -1]]})).labels, [[0, 0, 1]])
    # A style from another seed has that seed's class, wherever the picture is between seeds.
    layers = ours.Gs.num_layers
    mixing = [[layer, 5] for layer in range(layers)]
    for seeds in ([[3, 1]], [[3, 0.9], [4, 0.1]]):
        mixed = ours.start(parse({"seeds": seeds, "mixing": mixing})).codes
        np.testing.assert_array_equal(mixed, ours.start(parse({"seeds": [[5, 1]]})).codes)


def test_maps_of_a_network_that_has_diverged():
    maps = np.random.RandomState(0).randn(4, 4, 3).astype(np.float32)
    maps[1, 2, 0], maps[0, 0, 2] = np.nan, np.inf
    picture, facts = inside.sheet(maps)
    assert [(one["low"] is None, one["high"] is None) for one in facts["maps"]] == [
        (True, True),
        (False, False),
        (True, True),
    ]
    assert facts["maps"][1]["low"] == maps[:, :, 1].min()
    assert picture.any()


def test_noise_of_few_seeds_is_kept(network):
    """An image of each layer is megabytes, in a network of a size that is used."""
    scene = Scene(network, "small")
    for seed in range(9):
        scene.start(parse({"seeds": [[seed, 1]], "noise": "random"}))
    assert len(scene._random_noise._values) == 2
    assert not [key for key in scene._seeds._values if key[0] == "noise"]
    first, again = (scene.start(parse({"seeds": [[8, 1]], "noise": "random"})) for _ in range(2))
    assert first.noise[0] is again.noise[0]


def test_every_level_and_fade_keeps_its_graph(network, monkeypatch):
    """Dragging the growing there and back traces each once."""
    monkeypatch.setattr(sampling, "MAX_GRAPHS", 2)
    scene = Scene(network, "small")
    for noise in ("fixed", "none"):
        for lod in (0, 0.5, 1, 1.5, 2):
            scene.image(parse({"lod": lod, "noise": noise}))
    for sampler in (scene.sampler, scene.sampler_of(parse({"which": "G"}))):
        assert sampler._renderer._max_graphs == 10
    assert len(scene.sampler._renderer._graphs) == 10


def test_the_deviation_of_noise(scene):
    recipe = parse({"noise": ["random", "none", "none", "none", "random", "random"]})
    steps = inside.noise_deviation(scene, recipe)
    count = 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            deviation = end.value
            break
    assert count == inside.DRAWS
    sampler = Sampler(scene.Gs, noise="random", progress=False)
    start = scene.start(recipe)
    images = sampler.images(
        np.repeat(start.codes, inside.DRAWS, axis=0),
        noise_seeds=[7919 * index for index in range(inside.DRAWS)],
        noise_layers=[0, 4, 5],
    )
    np.testing.assert_allclose(deviation, images.mean(axis=3).std(axis=0), atol=0.1)
    picture, facts = inside.deviation_picture(deviation)
    assert picture.max() == 255
    assert facts["range"] == [0, deviation.max()]


def test_noise_that_is_off_changes_nothing(scene):
    with pytest.raises(UserError, match="no layer has any"):
        next(inside.noise_deviation(scene, parse({"noise": "none"})))


# ---------------------------------------------------------------- what the page is told


def test_about_a_network(scene):
    told = about_network(scene)
    expected = {
        "name": "small",
        "family": "stylegan",
        "resolution": 16,
        "channels": 1,
        "latent_size": 8,
        "label_size": 3,
        "which": ["Gs", "G"],
        "has_D": True,
        "styles": True,
        "w_layers": 6,
        "w_resolutions": [4, 4, 8, 8, 16, 16],
        "noise_layers": [[4, 4], [4, 4], [8, 8], [8, 8], [16, 16], [16, 16]],
        "growing": True,
        "max_lod": 2,
        "lod": 0.0,
        "psi": 0.7,
        "cutoff": 8,
        "licence": "mine",
        "provenance": {"dataset": "d"},
    }
    assert {key: told[key] for key in expected} == expected
    assert told["directions"][0] == {
        "name": "up",
        "kind": "pca",
        "layers": [1, 6],
        "effect": None,
        "saturates": None,
    }


def test_latents_are_read_by_the_names_that_others_know(projected):
    recipe = parse(UNSAID["noise of layers"])
    with np.load(io.BytesIO(repeating.latents_file(projected, recipe))) as arrays:
        assert {"w", "z", "seeds", "labels", "noise0", "noise5"} <= set(arrays.files)
        assert not arrays["noise5"].any()
