"""The explorer's page as it is used: walks, what is kept, what is said, small screens."""

import json
import threading

import pytest

from networks import save
from tests.explorer.browsing import SECONDS, Page
from tests.explorer.serving import TOKEN, Serving, scene_of, shown_of
from tests.generation.common import made
from tests.networks.common import randomize


def test_a_seed_that_is_none_says_so(page):
    tab, seed = page.tab, page.tab.get_by_role("spinbutton", name="Seed", exact=True)
    seed.fill("7")
    seed.press("Enter")
    tab.keyboard.press("k")  # a shortcut again
    tab.get_by_role("button", name="Show seed 7", exact=True).wait_for()
    for wrong in ("4294967296", "-1", "1.5"):
        seed.fill(wrong)
        assert tab.get_by_role("alert").inner_text() == (
            "Seed is a whole number from 0 to 4294967295."
        )
        tab.locator("h1").click()
        assert seed.input_value() == "7"
        assert tab.get_by_role("alert").count() == 0
    page.rest()
    assert page.sent[-1]["recipe"]["seeds"] == [[7, 1]]


def test_words_of_pictures(page):
    """What is not usual is said; of noise and cutoff as well, on the page and in files' names."""
    usual = {"seeds": [[3, 1]]}
    words = page.tab.evaluate(
        """async (recipes) => {
          const { inWords } = await import("/page/recipe.js");
          return recipes.map(inWords);
        }""",
        [
            {**usual, "noise": "fixed", "cutoff": None},
            {**usual, "noise": "none", "cutoff": 0},
            {**usual, "noise": "random"},
            {**usual, "noise": "random", "noise_seed": 5},
            {**usual, "noise": ["fixed", "none", "fixed"]},
        ],
    )
    assert words == [
        "seed 3",
        "seed 3, cutoff 0, no noise",
        "seed 3, random noise",
        "seed 3, random noise 5",
        "seed 3, fixed noise and no noise by layer",
    ]
    page.tab.goto(page.tab.url + "#" + json.dumps({"cutoff": 99, "noise": "none", "psi": -0.5}))
    page.rest()
    cutoff = page.tab.get_by_role("spinbutton", name="Cutoff, as a number")
    assert cutoff.input_value() == cutoff.get_attribute("max")
    with page.tab.expect_download() as download:
        page.tab.keyboard.press("s")
    name = download.value.suggested_filename
    assert name == f"seed-0-psi--0.5-cutoff-{cutoff.get_attribute('max')}-no-noise.png"


def test_effects_are_short(page):
    """Their scale is said once, above the list."""
    text = page.tab.evaluate(
        """async () => {
          const { directionsPanel } = await import("/page/directions.js");
          const effect = "up -7.5, smile +1.2 points of 100 a unit; pixels 0.062 a unit";
          const up = { name: "up", kind: "boundary", layers: [0, 2], effect, saturates: 3 };
          const store = { recipe: { edits: {} }, onchange() {} };
          return directionsPanel(store, [{ directions: [up] }]).textContent;
        }"""
    )
    assert text.count("points of 100 a unit") == text.count(" a unit") == 1
    assert "up −7.5, smile +1.2; pixels 0.062; saturates at ±3" in text


def test_a_walk_plays_and_rests(page):
    page.open_panels()
    count = len(page.frames)
    page.tab.get_by_role("button", name="Play").click()
    page.tab.wait_for_function(
        "(first) => Number(document.querySelector('.view').dataset.request) > first + 5",
        arg=page.sent[-1]["request"],
    )
    page.tab.get_by_role("button", name="Pause").click()
    page.rest()
    assert [frame["preview"] for frame in page.frames[count:]].count(False) == 1


def walked(page, frames=4):
    """The recipes that were asked for while some frames of a walk came."""
    count = len(page.sent)
    while len(page.sent) < count + frames:
        page.tab.wait_for_timeout(20)
    return [message["recipe"] for message in page.sent[count + 2 :]]


def test_a_walk_leaves_the_rest_to_the_user(page):
    """Only the seeds are its own: what is changed while it plays, and while it rests, stays."""
    page.open_panels()
    tab = page.tab
    tab.get_by_role("button", name="Play").click()
    page.slide("ψ", 0.25)
    page.slide("up", 1.5)
    recipes = walked(page)
    assert all((recipe["psi"], recipe["edits"]) == (0.25, {"up": 1.5}) for recipe in recipes)
    tab.get_by_role("button", name="Pause").click()
    tab.get_by_role("button", name="None", exact=True).click()
    page.slide("ψ", -0.5)
    page.rest()
    tab.get_by_role("button", name="Play").click()
    recipes = walked(page)
    assert all((recipe["psi"], recipe["noise"]) == (-0.5, "none") for recipe in recipes)
    tab.get_by_role("button", name="Pause").click()
    page.rest()
    assert not any("labels" in recipe for recipe in recipes)  # by the seeds, as it was before
    tab.keyboard.press("ArrowRight")
    page.rest()
    assert "labels" not in page.sent[-1]["recipe"]
    assert tab.get_by_role("button", name="By seed").get_attribute("aria-pressed") == "true"
    # A seed that is typed while it rests is where it begins anew.
    tab.get_by_role("spinbutton", name="Seed", exact=True).fill("70")
    tab.get_by_role("button", name="Play").click()
    assert {seed for recipe in walked(page) for seed, _ in recipe["seeds"]} <= {70, 71}
    tab.get_by_role("button", name="Pause").click()
    page.rest()
    assert page.complaints == []


def test_a_walk_through_kept_pictures_gives_way_to_the_hand(page):
    """Between two it blends in what they differ; what is changed by hand afterwards wins."""
    page.open_panels()
    tab = page.tab
    page.slide("up", 1)
    tab.keyboard.press("k")
    tab.keyboard.press("ArrowRight")
    page.slide("ψ", 0.5)
    page.slide("up", 2)
    tab.keyboard.press("k")
    page.slide("Place", 0.25)  # half the way
    page.rest()
    recipe = page.sent[-1]["recipe"]
    assert (recipe["psi"], recipe["edits"]) == (pytest.approx(0.6, abs=0.01), {"up": 1.5})
    assert sorted(seed for seed, _ in recipe["seeds"]) == [0, 1]
    page.slide("ψ", -1)
    page.slide("it's, odd", 3)
    page.slide("Place", 0.125)
    page.rest()
    recipe = page.sent[-1]["recipe"]
    assert (recipe["psi"], recipe["edits"]) == (-1, {"up": 1.25, "it's, odd": 3})
    tab.get_by_role("button", name="Show seed 0", exact=False).first.click()
    page.rest()
    page.slide("Place", 0.5)  # anew: the hand's changes were of the walk before
    page.rest()
    assert page.sent[-1]["recipe"]["psi"] == 0.5


def test_a_phone(browser, server):
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = Page(context, server.address).rest()
    page.open_panels()
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    assert page.tab.evaluate(widths) == [360, 360]
    page.tab.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    top = page.tab.locator(".view canvas").bounding_box()["y"]
    assert 0 <= top < 100  # still in view
    context.close()


def test_a_phone_held_sideways(browser, server):
    """The picture and the panels are beside each other, each with all that belongs to it."""
    context = browser.new_context(viewport={"width": 844, "height": 390}, has_touch=True)
    page = Page(context, server.address).rest()
    page.open_panels()
    picture = page.tab.locator(".view").bounding_box()
    panels = page.tab.locator(".panels").bounding_box()
    assert picture["x"] + picture["width"] <= panels["x"]
    assert picture["y"] + picture["height"] <= 390 >= panels["y"] + panels["height"]
    assert page.tab.locator(".view canvas").bounding_box()["width"] > 240
    psi = page.tab.get_by_role("slider", name="ψ", exact=True)
    psi.focus()
    assert 0 <= psi.bounding_box()["y"] < 370
    assert page.tab.locator(".view").bounding_box() == picture
    widths = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.tab.evaluate(widths) == [844, 390]
    context.close()


def test_a_narrow_window_hides_nothing_that_has_the_focus(browser, server):
    context = browser.new_context(viewport={"width": 480, "height": 700})
    page = Page(context, server.address).rest()
    page.open_panels()
    tab = page.tab
    tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    for button in ("Keep", "Undo"):
        assert 0 <= tab.get_by_role("button", name=button, exact=True).bounding_box()["y"] < 60
    covered = tab.locator(".stage").evaluate("(stage) => stage.getBoundingClientRect().bottom")
    assert covered < 500
    for _ in range(30):  # back through the controls, as with Shift and Tab
        tab.keyboard.press("Shift+Tab")
        top = tab.evaluate(
            """() => document.activeElement.closest(".panels")
              ? document.activeElement.getBoundingClientRect().top : null"""
        )
        assert top is None or covered <= top < 700
    context.close()


def test_pictures_are_kept_with_their_network(context, server, tmp_path):
    """Not with its name, which others have; the same network in another file has them too."""
    other = made("labels").copy()
    randomize(other, seed=11)
    save(tmp_path / "other.safetensors", Gs=other)
    save(tmp_path / "again.safetensors", Gs=made("labels"))
    files = [server.file, tmp_path / "other.safetensors", tmp_path / "again.safetensors"]
    serving = Serving(lambda: [shown_of(scene_of(files[0], "network-final"))])
    try:
        page = Page(context, f"http://{serving.host}/?token={TOKEN}").rest()
        page.tab.keyboard.press("k")
        kept = page.tab.get_by_role("list", name="Kept pictures").get_by_role("img")
        kept.wait_for()
        for count in (0, 1):
            del files[0]
            opened = threading.Event()
            serving.session.reload(lambda _, opened=opened: opened.set())
            assert opened.wait(SECONDS)
            page.tab.reload()
            page.rest()
            assert kept.count() == count
    finally:
        serving.close()
