"""A generator as one HTML file, in a browser without a network: its pictures are the network's."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import networks
from dnnlib.errors import UserError
from explorer import page_text, single_page
from explorer.recipe import parse
from generation import directions, latents
from tests.explorer import browsing, single_pages
from tests.explorer.single_pages import SinglePage
from tests.explorer.test_page_text import HOSTILE
from tests.generation.common import close_levels, made, run

TOLERANCE = 1e-3  # of the images' range
SEEDS = [{"seeds": [[seed, 1]]} for seed in range(10)]
BLEND = {"seeds": [[0, 0.25], [1, 0.75], [1000, 1]]}
NOISE = [
    {"noise": "random", "seeds": [[3, 1]]},
    {"noise": "random", "noise_seed": 2**32 - 1},
    {"noise": "none"},
    {"noise": ["random", "fixed", "none", "fixed", "random", "none"]},
]
STYLES = [
    {"psi": 0.3},
    {"cutoff": 2},
    {"psi": -1, "cutoff": 3},
    {"psi": 1},
    {"mixing": [[0, 5], [3, 5], [5, 6]], "psi": 0.9},
    {"edits": {HOSTILE: 2.5, "other": -1}},
]
LABELS = [
    {"labels": [[2, 1]]},
    {"labels": [[0, 1], [1, 3]]},
    {**BLEND, "mixing": [[1, 2]]},
    {"seeds": [[4, -1], [5, 2]]},
]
# Of each kind of network: the recipes that it has, beside seeds.
RECIPES = {
    "style": [BLEND, *NOISE, *STYLES],
    "labels": LABELS,
    "paper": [BLEND, {"labels": [[1, 1]]}],
}


@pytest.fixture(scope="module")
def browser():
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Scenes by kind, of snapshots with hostile names in them."""
    folder = tmp_path_factory.mktemp("networks")
    opened = {}

    def scene(kind):
        if kind not in opened:
            path = folder / f"{kind}<img src=x onerror='hacked = 1'>.safetensors"
            networks.save(path, Gs=made(kind), info={HOSTILE: HOSTILE, "licence": HOSTILE})
            moves = str(folder / "directions.safetensors") if kind == "style" else None
            if moves:
                rng = np.random.RandomState(0)
                vectors = [np.float32(v / np.linalg.norm(v)) for v in rng.randn(2, 8)]
                names, layers = (HOSTILE, "other"), ((0, 6), (2, 4))
                rows = [directions.Direction(*row, "pca") for row in zip(names, vectors, layers)]
                directions.save(moves, rows, {})
            opened[kind] = single_page.open_scene(path, None, moves)
        return opened[kind]

    return scene


@pytest.fixture(scope="module")
def pages(browser, scenes, tmp_path_factory):
    """Opened pages by kind."""
    opened = {}

    def page(kind):
        if kind not in opened:
            file = tmp_path_factory.mktemp("pages") / "generator.html"
            assert single_pages.write(scenes(kind), file) <= 1e-4
            opened[kind] = SinglePage(browser, file)
        return opened[kind]

    return page


def expected(scene, recipes):
    """The network's own float images, [N, R, R, C]."""
    starts = [scene.start(parse(recipe)) for recipe in recipes]
    noise = []
    for index, shape in enumerate(scene.sampler.noise_shapes):
        none = np.zeros([1, *shape, 1], np.float32)
        images = [none if start.noise == "none" else start.noise[index] for start in starts]
        noise.append(tf.constant(np.concatenate(images)))
    codes = np.concatenate([start.codes for start in starts])
    return scene.Gs.render(tf.constant(codes), noise=noise or "none").numpy()


@pytest.mark.parametrize("kind", RECIPES)
def test_pictures_are_the_networks(kind, pages, scenes):
    page, scene = pages(kind), scenes(kind)
    recipes = [*SEEDS, *RECIPES[kind]]
    for recipe, images in zip(recipes, expected(scene, recipes)):
        far = np.abs(page.values(recipe)[0] - images).max() / np.ptp(images)
        assert far <= TOLERANCE, recipe
    header, content = page.file({"type": "picture", "request": 7, "network": 0, "recipe": {}})
    assert (header["request"], header["mime"], header["width"]) == (7, "image/png", 16)
    shown = np.asarray(Image.open(io.BytesIO(content)), int).reshape(16, 16, -1)
    close_levels(shown, scene.image(parse({})))
    # The document alone was asked for, and nothing in it ran or complained.
    assert len(page.requests) == 1
    assert page.complaints == []
    assert page.page.evaluate("typeof hacked") == "undefined"


def test_pictures_of_half_precision_look_the_same(browser, scenes, tmp_path):
    scene = scenes("style")
    single_pages.write(scene, tmp_path / "half.html", "float16")
    page = SinglePage(browser, tmp_path / "half.html")
    values = np.concatenate([page.values(recipe) for recipe in SEEDS[:3]])
    similar = tf.image.ssim(values, expected(scene, SEEDS[:3]), max_val=2.0)
    assert similar.numpy().min() >= 0.98


def test_the_picture_that_is_shown_is_the_networks(pages, scenes):
    page = pages("labels").page
    page.get_by_role("spinbutton", name="Seed", exact=True).fill("7")
    page.get_by_role("spinbutton", name="Seed", exact=True).press("Enter")
    rested = "document.querySelector('.view').dataset.state === 'rest' && location.hash"
    page.evaluate(f"""new Promise((resolve) => {{
      const look = () => ({rested} ? resolve() : setTimeout(look, 20));
      look();
    }})""")
    shown = page.evaluate("""Array.from(document.querySelector(".view canvas")
      .getContext("2d").getImageData(0, 0, 16, 16).data)""")
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    with page.expect_download() as saved:
        page.get_by_role("button", name="PNG").click()
    assert saved.value.suggested_filename.endswith(".png")
    assert pages("labels").complaints == []
    image = scenes("labels").image(parse({"seeds": [[7, 1]]}))
    close_levels(np.reshape(shown, (16, 16, 4))[:, :, 0], image.reshape(16, 16))


def test_licences_and_provenance_are_shown_as_text(pages):
    shown = pages("style").page.evaluate("document.getElementById('app').textContent")
    for text in (HOSTILE, "onerror='hacked = 1'", "Apache License", "Microsoft Corporation"):
        assert text in shown


def test_latents_of_a_page_are_taken(pages, scenes, tmp_path):
    recipe = {"seeds": [[4, 1]], "noise": "random", "psi": 0.5}
    _, content = pages("labels").file({"recipe": recipe})
    (tmp_path / "latents.npz").write_bytes(content)
    sampler = scenes("labels").sampler
    read = latents.read(tmp_path / "latents.npz", 8, 3, sampler.w_shape, sampler.noise_shapes)
    np.testing.assert_allclose(read["w"], scenes("labels").start(parse(recipe)).codes, atol=1e-5)
    assert read["seeds"].tolist() == [4]
    with np.load(tmp_path / "latents.npz") as arrays:
        assert arrays["labels"].tolist() == [[0, 1, 0]]
        np.testing.assert_array_equal(arrays["z"], latents.from_seeds([4], 8))


def test_the_latest_request_wins(pages):
    answers = pages("style").page.evaluate(
        """() => Promise.all(Array.from({ length: 50 }, (_, i) => engine.request(
          { type: "picture", request: i, network: 0, recipe: { seeds: [[i, 1]] } },
        ).then((made) => made && made.header.request)))"""
    )
    made = [answer for answer in answers if answer is not None]
    assert made[-1] == 49
    assert len(made) <= 2  # the first may have begun


def test_a_wrong_recipe_is_a_sentence_and_the_next_one_a_picture(pages):
    page = pages("style").page
    asked = "engine.request({ type: 'picture', request: 1, network: 0, recipe: %s })"
    wrong = asked % '{ edits: { "smile": 1 } }'
    assert "no direction smile" in page.evaluate(f"{wrong}.catch((error) => error.message)")
    assert page.evaluate(f"{asked % '{}'}.then((made) => made.header.width)") == 16


def test_a_gpu_counts_where_it_computes_the_same(browser, tmp_path, monkeypatch):
    """On an imitation of one: the page has values of a picture to compare with."""
    flags = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-sandbox"]
    flags.append("--enable-features=Vulkan")
    small = dict(resolution=4, num_channels=3, fmap_max=8)  # compiling shaders takes long
    networks.save(tmp_path / "small.safetensors", Gs=networks.build("G_paper", seed=1, **small))
    scene = single_page.open_scene(tmp_path / "small.safetensors")
    single_pages.write(scene, tmp_path / "right.html")
    images = single_page._images(scene)
    monkeypatch.setattr(single_page, "_images", lambda scene: images + 0.5)
    single_pages.write(scene, tmp_path / "wrong.html", "float16")
    launch = browser.browser_type.launch
    with launch(executable_path=browsing.CHROMIUM, args=flags) as imitating:
        right = SinglePage(imitating, tmp_path / "right.html", "?backend=webgpu")
        if not right.page.evaluate("navigator.gpu?.requestAdapter().then(Boolean)"):
            pytest.skip("this Chromium has no imitation of a GPU")
        assert right.page.evaluate("engine.backend") == "WebGPU"
        assert np.abs(right.values({}) - images).max() <= TOLERANCE * np.ptp(images)
        wrong = SinglePage(imitating, tmp_path / "wrong.html", "?backend=webgpu")
        assert wrong.page.evaluate("engine.backend") == "WebAssembly"
        assert "they are computed on the CPU" in wrong.page.get_by_role("status").inner_text()
        assert np.abs(wrong.values({}) - images).max() <= 0.01 * np.ptp(images)


def test_numbers_are_numpys(browser):
    """3 % of them differ, by up to 3 units in the last place of a double; as float32 none."""
    page = browser.new_page()
    page.goto("about:blank")
    text = page_text.joined("random.js").replace("class RandomState", "self.make = class")
    page.evaluate(f"() => {{ {text} }}")
    for seed in (0, 1, 2**32 - 1, [0, 1], [2**32 - 1, 1]):
        numbers = page.evaluate(f"Array.from(new make({json.dumps(seed)}).randn(5001))")
        drawn = np.random.RandomState(seed).randn(5001)
        assert (np.abs(np.array(numbers) - drawn) / np.spacing(np.abs(drawn))).max() <= 4
        np.testing.assert_array_equal(np.float32(numbers), np.float32(drawn))
    page.close()


@pytest.mark.parametrize(("weights", "most"), [("float16", 5e-3), ("int8", 0.1)])
def test_smaller_weights_are_nearly_the_same(scenes, weights, most):
    page, difference = single_page.assemble(scenes("style"), weights, {"wasm": b"", "runtime": b""})
    assert 0 < difference <= most
    whole, _ = single_page.assemble(scenes("style"), "float32", {"wasm": b"", "runtime": b""})
    assert len(page) < len(whole)


def test_images_that_are_no_numbers_are_no_page(tmp_path):
    Gs = networks.build("G_paper", seed=1, resolution=4, num_channels=3, fmap_max=8)
    Gs.set_arrays({**Gs.arrays(), "ToRGB_lod0/bias": np.full(3, np.nan, np.float32)})
    networks.save(tmp_path / "broken.safetensors", Gs=Gs)
    scene = single_page.open_scene(tmp_path / "broken.safetensors")
    with pytest.raises(UserError, match=r"broken\.safetensors: with weights of float16 .* by nan"):
        single_page.assemble(scene, "float16", {})


# ---------------------------------------------------------------- the command


@pytest.fixture
def command(monkeypatch, scenes, tmp_path):
    """run_generator.py convert, with a runtime that is only bytes."""
    given = {"wasm": b"wasm", "runtime": b"runtime"}
    monkeypatch.setattr(single_page.web_runtime, "read", lambda *args, **options: given)
    return lambda *args: run("convert", f"--network={scenes('style').path}", *args)


def test_the_command(command, tmp_path, capsys):
    out = tmp_path / "new" / "generator.html"
    assert command(f"--out={out}") == 0
    assert "weights of float16" in capsys.readouterr().out
    assert out.read_bytes().startswith(b"<!doctype html>")
    before = out.read_bytes()
    assert command(f"--out={out}", "--weights=int8") == 2
    assert "it is there already" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_flags_that_do_not_go_together(command, tmp_path, capsys):
    for args, sentence in (
        (("--out=x.html", "--noise=none"), "--noise=none: a page has all of them"),
        (("--out=x.safetensors", "--runtime=dist"), "--runtime=dist: it is for --out=FILE.html"),
        (("--out=x.onnx", "--directions=d.safetensors"), "--directions=d.safetensors: it is for"),
    ):
        assert command(*args) == 2
        assert sentence in capsys.readouterr().err
