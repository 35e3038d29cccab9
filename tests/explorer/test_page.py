"""The explorer's page in a real browser: one server, one Chromium, a context for each test."""

import json

import numpy as np
import pytest
from PIL import Image

from explorer.run_view import RunView
from scripts import record_explorer
from tests.explorer.browsing import Page, rgba
from tests.explorer.serving import TOKEN, Serving, scene_of, shown_of
from tests.generation.common import pixels, run

# Controls that a screen reader would have no name for.
_NAMELESS = """[...document.querySelectorAll("input, select, button, canvas, img")]
  .filter((one) => !(one.labels?.length || one.ariaLabel || one.alt || one.textContent.trim()))
  .map((one) => one.outerHTML)"""


def expected(server, directory, *flags):
    """What `images` writes, as a canvas shows it."""
    assert run("images", f"--network={server.file}", f"--out={directory}", *flags) == 0
    (path,) = directory.glob("*.png")
    return rgba(pixels(path))


def test_it_opens_without_complaints(context, server):
    context.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => console.error(event.blockedURI))"
    )
    page = Page(context, server.address).rest()
    page.open_panels()
    page.tab.get_by_role("button", name="Feature maps").click()
    page.tab.get_by_role("button", name="Enlarge").wait_for()
    assert page.tab.evaluate(_NAMELESS) == []
    assert page.tab.url == f"http://{server.host}/"  # without the token
    assert page.complaints == []


def test_at_rest_the_picture_is_that_of_images(page, server, tmp_path):
    page.tab.get_by_role("spinbutton", name="Seed", exact=True).fill("7")
    page.tab.get_by_role("button", name="2", exact=True).click()
    page.slide("ψ", 0.5)
    page.rest()
    wanted = expected(server, tmp_path, "--seeds=7", "--class=2", "--truncation_psi=0.5")
    np.testing.assert_array_equal(page.pixels(), wanted)


def test_the_latest_of_fifty_fast_moves_is_shown(page, server, tmp_path):
    before, count = page.pixels(), len(page.frames)
    page.tab.evaluate(
        """async () => {
          const range = document.querySelector("input[type=range][min='-1']"); // psi
          for (let move = 1; move <= 50; move++) {
            range.value = String(1 - move / 50);
            range.dispatchEvent(new Event("input"));
            await new Promise(requestAnimationFrame);
          }
        }"""
    )
    page.rest()
    frames = page.frames[count:]
    numbers = [frame["request"] for frame in frames]
    assert numbers == sorted(numbers)
    shown = int(page.tab.locator(".view").get_attribute("data-request"))
    assert shown == page.sent[-1]["request"] == numbers[-1]
    assert page.sent[-1]["recipe"]["psi"] == 0
    assert sum(not frame["preview"] for frame in frames) < 5
    assert any(frame["preview"] for frame in frames)
    wanted = expected(server, tmp_path, "--seeds=0", "--truncation_psi=0")
    np.testing.assert_array_equal(page.pixels(), wanted)
    assert (before != wanted).any()


def test_between_seeds_by_pointer_and_back_by_undo(page):
    start = page.pixels()
    box = page.tab.locator(".pad").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    page.tab.mouse.move(x - 42, y, steps=6)
    page.tab.mouse.up()
    page.rest()
    recipe = page.sent[-1]["recipe"]
    assert recipe["seeds"] == [[0, 0.5], [1, 0.5]]
    assert "labels" not in recipe  # the seeds' own classes, in their shares
    assert (page.pixels() != start).any()
    page.tab.keyboard.press("z")
    page.rest()
    np.testing.assert_array_equal(page.pixels(), start)


def test_keys(page):
    tab = page.tab
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowLeft")
    page.rest()
    assert page.sent[-1]["recipe"]["seeds"] == [[1, 1]]
    tab.keyboard.press("k")
    tab.get_by_role("button", name="Show seed 1", exact=True).wait_for()
    tab.keyboard.press("?")
    tab.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
    tab.keyboard.press("ArrowRight")  # not while the list is open
    tab.keyboard.press("Escape")
    tab.get_by_role("spinbutton", name="Seed", exact=True).press("ArrowUp")  # the field's own
    page.rest()
    assert page.sent[-1]["recipe"]["seeds"] == [[2, 1]]
    tab.locator("h1").click()  # out of the field
    with tab.expect_download() as download:
        tab.keyboard.press("s")
    assert download.value.suggested_filename == "seed-2.png"
    np.testing.assert_array_equal(rgba(pixels(download.value.path())), page.pixels())


def test_a_reload_shows_the_same_picture_and_what_was_kept(page):
    page.slide("ψ", 0.25)
    page.tab.keyboard.press("k")
    page.rest()
    before = page.pixels()
    page.tab.reload()
    page.rest()
    np.testing.assert_array_equal(page.pixels(), before)
    assert page.tab.get_by_role("list", name="Kept pictures").get_by_role("img").count() == 1


def test_recipes_are_saved_and_loaded(page, server, context, tmp_path):
    page.slide("ψ", 0.25)
    page.rest()
    page.tab.keyboard.press("k")
    with page.tab.expect_download() as download:
        page.tab.get_by_role("button", name="Save recipes").click()
    (entry,) = json.loads(download.value.path().read_text())["recipes"]
    assert entry["recipe"]["psi"] == 0.25
    page.tab.get_by_role("button", name="Remove seed 0").click()
    chosen = page.tab.get_by_label("Recipes to load")
    chosen.set_input_files(download.value.path())
    page.tab.get_by_text("1 recipes loaded").wait_for()
    chosen.set_input_files(download.value.path())
    page.tab.get_by_text("0 recipes loaded").wait_for()
    assert page.tab.get_by_role("button", name="Show seed 0").count() == 1
    page.tab.keyboard.press("ArrowRight")
    page.tab.get_by_role("button", name="Show seed 0, ψ 0.25", exact=True).click()
    page.rest()
    assert page.sent[-1]["recipe"] == {"seeds": [[0, 1]], "psi": 0.25}
    hostile = tmp_path / "hostile.json"
    thumb = "https://example.org/x.png"
    recipes = [{"recipe": {"seeds": "x"}, "thumb": thumb}, None, 7]
    hostile.write_text(json.dumps({"format": "generator explorer recipes", "recipes": recipes}))
    chosen.set_input_files(hostile)
    page.tab.get_by_text("0 recipes loaded").wait_for()
    hostile.write_text("[1, 2")
    chosen.set_input_files(hostile)
    page.tab.get_by_text("holds no recipes saved by this page").wait_for()
    assert page.complaints == []


def test_a_damaged_link_opens_what_it_can(page, server):
    wrong = '{"seeds":[["x",1]],"psi":"1","noise":[7],"edits":{"up":"2"}}'
    for text in ("%7Bnothing", "%E0%A4%A", wrong, "7"):
        page.tab.goto("about:blank")
        page.tab.goto(f"http://{server.host}/#{text}")
        page.rest()
        assert page.sent[-1]["recipe"] == {"seeds": [[0, 1]]}
    assert page.complaints == []


def test_styles_noise_and_directions_are_asked_for(page):
    page.open_panels()
    tab = page.tab
    tab.get_by_role("button", name="Add a seed").click()
    tab.get_by_role("button", name="Coarse").click()
    tab.get_by_role("button", name="None", exact=True).click()
    page.slide("up", 1.5)
    page.rest()
    recipe = page.sent[-1]["recipe"]
    assert recipe["noise"] == "none"
    assert recipe["edits"] == {"up": 1.5}
    assert recipe["mixing"] == [[0, 1], [1, 1], [2, 1], [3, 1]]
    assert page.complaints == []


def test_latents_repeat_the_picture(page, server, tmp_path):
    page.slide("up", 1.5)
    page.rest()
    with page.tab.expect_download() as download:
        page.tab.get_by_role("button", name="Latents").click()
    wanted = expected(server, tmp_path, f"--latents={download.value.path()}")
    np.testing.assert_array_equal(page.pixels(), wanted)


def test_two_tabs_are_independent(context, page, server):
    other = Page(context, server.address).rest()
    count = len(page.frames)
    other.tab.keyboard.press("ArrowRight")
    other.rest()
    assert (other.pixels() != page.pixels()).any()
    assert len(page.frames) == count
    assert page.tab.locator(".words").inner_text() == "seed 0"


def test_it_connects_again_when_the_server_does(page, server):
    server.stop()
    page.tab.get_by_text("trying again").wait_for()
    page.tab.keyboard.press("ArrowRight")
    server.start()
    page.connected()
    page.rest()
    assert page.sent[-1]["recipe"]["seeds"] == [[1, 1]]
    assert page.status() == ""


def test_a_server_with_another_token_is_told_apart(page, server):
    server.stop()
    server.start(token="another-token-of-the-tests")
    try:
        page.tab.get_by_text("open the address that it has printed").wait_for()
    finally:
        server.stop()
        server.start()
    page.connected()


def test_a_wrong_token_is_a_sentence(context, server):
    page = Page(context, f"http://{server.host}/?token=wrong")
    assert page.tab.locator("body").inner_text().startswith("This needs the token: ")


def test_pages_of_elsewhere_cannot_connect(context, page, server):
    """Another port of the same machine: its pages have our cookie, and are refused all the same."""
    elsewhere = f"http://127.0.0.1:{server.port ^ 1}/"
    context.route(elsewhere, lambda route: route.fulfill(body="<p>hello"))
    tab = context.new_page()
    tab.goto(elsewhere)
    came = tab.evaluate(
        """(address) => new Promise((resolve) => {
          const socket = new WebSocket(address);
          socket.onopen = () => resolve("open");
          socket.onclose = () => resolve("refused");
        })""",
        f"ws://{server.host}/live",
    )
    assert came == "refused"


def test_a_run_shows_losses_verdicts_and_pictures(page):
    tab = page.tab
    tab.get_by_role("img", name="Losses, at the end: D 1, G 1.25").wait_for()
    assert "copies" in tab.locator(".verdicts").inner_text().lower()
    picture = tab.get_by_role("img", name="Pictures of the run: 3 kimg")
    picture.wait_for()
    tab.wait_for_function("() => document.querySelector('.fakes').naturalWidth === 32")
    tab.get_by_role("button", name="Real images").click()
    tab.get_by_role("img", name="Pictures of the run: real images").wait_for()


def test_a_run_gets_its_first_network(context, server, tmp_path):
    """And the page, which was the run alone, gets its picture."""
    (tmp_path / "stats.jsonl").write_text("")
    file = tmp_path / "network-snapshot-000001.safetensors"

    def networks():
        return [shown_of(scene_of(file), snapshot=file.name)] if file.exists() else []

    young = Serving(networks, RunView(tmp_path))
    try:
        page = Page(context, f"http://{young.host}/?token={TOKEN}")
        page.tab.get_by_text("No tick has ended yet").wait_for()
        assert page.tab.get_by_text("Pictures come with the run's first snapshot.").is_visible()
        file.write_bytes(server.file.read_bytes())
        page.tab.get_by_text("There is a first snapshot, ").wait_for()
        page.tab.get_by_role("button", name="Take it").click()
        page.rest()
        assert page.tab.locator(".newer").is_hidden()
        assert page.complaints == []
    finally:
        young.close()


def test_networks_side_by_side(context, server):
    both = Serving(lambda: [shown_of(scene_of(server.file, name)) for name in ("one", "two")])
    try:
        page = Page(context, f"http://{both.host}/?token={TOKEN}").rest()
        page.tab.keyboard.press("ArrowRight")
        page.rest()
        np.testing.assert_array_equal(page.pixels(0), page.pixels(1))
        last = {message["network"]: message["recipe"] for message in page.sent}
        assert last[0] == last[1] == {"seeds": [[1, 1]]}
        saving = [
            page.tab.get_by_role("button", name=f"picture of {name}") for name in ("one", "two")
        ]
        assert [one.get_attribute("title") for one in saving] == [
            "Save the picture of one (S)",
            "Save the picture of two",
        ]
        page.tab.keyboard.press("?")
        assert page.tab.get_by_text("save as PNG, the picture of one").is_visible()
    finally:
        both.close()


def test_the_pictures_of_the_documents_are_recorded(browser, server, tmp_path):
    record_explorer.record(browser, server.address, tmp_path, every=5)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        path.name for path in (record_explorer.ROOT / "docs").glob("exploring*.[pg][ni][gf]")
    }
    with Image.open(tmp_path / "exploring.gif") as recording:
        assert recording.n_frames > 5


def test_places_on_the_plane(page):
    """Seeds of a place lead back to it, and at a grid point there is one."""
    places = [[0, 0], [3.25, 0], [0, 2.5], [7.75, 4.25], [-0.5, 0], [0.5, -1.5], [999.5, 3]]
    results = page.tab.evaluate(
        """async (places) => {
          const { placeOf, seedsAt } = await import("/page/recipe.js");
          return places.map(([x, y]) => {
            const seeds = seedsAt(x, y);
            return [seeds, seedsAt(placeOf(seeds).x, placeOf(seeds).y)];
          });
        }""",
        places,
    )
    for (x, y), (seeds, again) in zip(places, results):
        assert seeds == again, json.dumps([x, y])
        assert sum(weight for _, weight in seeds) == pytest.approx(1, abs=1e-3)
        assert len(seeds) == (1 if x % 1 == 0 else 2) * (1 if y % 1 == 0 else 2)
