"""Records the explorer's page in a headless Chromium: the pictures of docs/exploring.md.

    python -m scripts.record_explorer --network=RUN --directions=FILE --out=docs

It starts `run_generator.py explore` with these flags, and writes exploring.gif, exploring.png and
others beside it into --out.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SIZE = {"width": 1280, "height": 800}
GIF_WIDTH = 608
GREYS = 24  # of the GIF; and the dark page's own colours, in steps down to its ground
COLOURS = [(229, 164, 90), (111, 207, 151), (255, 138, 122)]
GROUND = (22, 21, 20)
FRAME = 90  # milliseconds


def main() -> int:
    """Records what the flags say."""
    from playwright.sync_api import sync_playwright  # where tests use the rest, it may be missing

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True, help="a run directory, with its network")
    parser.add_argument("--directions", required=True, help="directions of this network")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    args = parser.parse_args()
    flags = [f"--network={args.network}", f"--directions={args.directions}"]
    command = [sys.executable, "run_generator.py", "explore", *flags]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            record(browser, address_of(server), args.out)
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return 0


def address_of(server: subprocess.Popen) -> str:
    """The address that it prints."""
    for line in server.stdout:
        match = re.search(r"http://\S+", line)
        if match:
            return match[0]
    raise SystemExit("the explorer has not started")


def record(browser: Any, address: str, out: Path, every: int = 1) -> None:
    """Writes all pictures. browser: Playwright's. every: how many steps of the hand a frame is."""
    page = opened(browser, address, SIZE, "dark")
    frames = [Image.open(io.BytesIO(shot)) for shot in moments(page, every)]
    write_gif(frames, out / "exploring.gif")
    page.get_by_role("button", name="Reset all").click()
    still(page, out / "exploring.png", ".panel")
    page = opened(browser, address, SIZE, "light")
    page.locator("summary", has_text="Look inside").click()
    page.get_by_role("button", name="Feature maps").click()
    page.get_by_role("button", name="Enlarge").wait_for()
    still(page, out / "exploring-inside.png", ".sheet")
    still(page, out / "exploring-run.png", ".run")
    small = {"width": 360, "height": 720}
    still(opened(browser, address, small, "dark"), out / "exploring-phone.png")


def opened(browser: Any, address: str, size: dict, scheme: str) -> Any:
    """A page at rest, with three pictures kept."""
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    page.goto(address)
    rest(page)
    for seed in (3, 28, 47):
        page.get_by_role("spinbutton", name="Seed", exact=True).fill(str(seed))
        rest(page)
        page.get_by_role("button", name="Keep", exact=True).click()
    return page


def rest(page: Any) -> None:
    """Waits for the whole picture."""
    page.wait_for_selector(".view[data-state=rest]")


def moments(page: Any, every: int) -> Iterator[bytes]:
    """Pictures of a hand that drags: between seeds, then ψ, then the first direction."""
    box = page.locator(".pad").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 15, every):
        page.mouse.move(x - 12 * step, y - 6 * step)
        yield seen(page)
    page.mouse.up()
    rest(page)
    yield from dragged(page, "ψ", [1 - 0.15 * step for step in range(1, 7, every)])
    yield from dragged(page, "ψ", [0.1 + 0.15 * step for step in range(1, 7, every)])
    direction = page.locator(".direction label").first.inner_text()
    yield from dragged(page, direction, [-0.2 * step for step in range(1, 10, every)])
    rest(page)
    yield seen(page)


def dragged(page: Any, name: str, values: list[float]) -> Iterator[bytes]:
    """A slider at each value."""
    slider = page.get_by_role("slider", name=name, exact=True)
    slider.scroll_into_view_if_needed()
    for value in values:
        slider.evaluate(
            "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }",
            f"{value:.2f}",
        )
        yield seen(page)


def seen(page: Any) -> bytes:
    """A picture of the page, once it has answered."""
    page.wait_for_function(
        """() => new Promise((resolve) => {
          const before = document.querySelector(".view").dataset.request;
          let frames = 0;
          const look = () => {
            frames += 1;
            const now = document.querySelector(".view").dataset.request;
            (now !== before || frames > 8) ? resolve(true) : requestAnimationFrame(look);
          };
          look();
        })"""
    )
    return page.screenshot()


def write_gif(frames: list[Image.Image], path: Path) -> None:
    """All frames with one palette, so that what does not move is stored once."""
    height = GIF_WIDTH * SIZE["height"] // SIZE["width"]
    small = [frame.convert("RGB").resize((GIF_WIDTH, height), Image.LANCZOS) for frame in frames]
    flat = [frame.quantize(palette=palette(), dither=Image.Dither.NONE) for frame in small]
    times = [FRAME] * (len(flat) - 1) + [1500]
    flat[0].save(path, save_all=True, append_images=flat[1:], duration=times, loop=0, optimize=True)


def palette() -> Image.Image:
    """Greys, and the page's colours, which are too few pixels to be chosen by counting."""
    greys = [(round(255 * step / (GREYS - 1)),) * 3 for step in range(GREYS)]
    mixed = [
        tuple(round(low + share * (high - low)) for low, high in zip(GROUND, colour))
        for colour in COLOURS
        for share in (0.4, 0.7, 1.0)
    ]
    image = Image.new("P", (1, 1))
    image.putpalette([level for colour in [*greys, GROUND, *mixed] for level in colour])
    return image


def still(page: Any, path: Path, scrolled_to: str = "") -> None:
    """A picture of the page at rest."""
    rest(page)
    if scrolled_to:
        page.evaluate("(name) => document.querySelector(name).scrollIntoView()", scrolled_to)
    page.mouse.move(2, 2)
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(
        256, method=Image.Quantize.MAXCOVERAGE
    ).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
