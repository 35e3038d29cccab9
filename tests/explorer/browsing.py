"""A headless Chromium that looks at the explorer's page, and what it is asked there."""

import base64
import contextlib
import json
import shutil
import struct
import threading

import numpy as np
import pytest
from PIL import Image
from tornado import netutil

from explorer.guard import Guard
from explorer.run_view import RunView
from tests.explorer.serving import TOKEN, Serving, network_file, scene_of, shown_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
SECONDS = 60  # until something is given up; the machine may be busy

# As bytes, since JSON of every pixel takes longer than the picture.
_CANVAS = """(index) => {
  const canvas = document.querySelectorAll(".view canvas")[index];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.width, canvas.height, btoa(String.fromCharCode(...data))];
}"""


def need_chromium():
    """The module of Playwright, or a skip that says what is missing."""
    if CHROMIUM is None:
        pytest.skip("no chromium here (apt install chromium): the page is not looked at")
    return pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


@contextlib.contextmanager
def chromium():
    """A browser without a window."""
    with need_chromium().sync_playwright() as playwright:
        # Without a sandbox, which root's Chromium has not.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class RunServing(Serving):
    """A server of a run directory, which can be stopped and started again on its port."""

    def __init__(self, directory):
        self.run_dir = directory
        self.file = run_directory(directory)
        run = RunView(directory)
        super().__init__(lambda: [shown_of(scene_of(self.file), snapshot=self.file.name)], run)
        self.address = f"http://{self.host}/?token={TOKEN}"

    def stop(self):
        """Nobody listens any more; networks stay open."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)

    def start(self, token=TOKEN):
        """Listens again on the same port."""
        self.house.guard = Guard(token, "127.0.0.1", self.port)
        sockets, ready = netutil.bind_sockets(self.port, address="127.0.0.1"), threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(sockets, ready.set))
        self._thread.start()
        assert ready.wait(30)


def run_directory(directory):
    """The network of a run of three ticks, whose last one has a verdict."""
    directory.mkdir()
    file = network_file(directory).rename(directory / "network-final.safetensors")
    verdict = {"check": "copies", "value": 0.5, "threshold": 0.25}
    with open(directory / "stats.jsonl", "w") as stats:
        for tick, (G, D) in enumerate([(2.0, 0.5), (1.5, 0.75), (1.25, 1.0)], start=1):
            record = {"cur_nimg": 1000 * tick, "Progress/tick": tick, "Progress/kimg": tick}
            record.update({"Loss/G": G, "Loss/D": D})
            # Neighbours among numbers, between which there is no tick of a chart.
            record["Timing/sec_per_kimg"] = 0.002 + (tick % 2) * np.spacing(0.002)
            stats.write(json.dumps({**record, "verdicts": [verdict] if tick == 3 else []}) + "\n")
    for name, level in (("fakes000001.png", 40), ("fakes000003.png", 200), ("reals.png", 90)):
        Image.new("L", (32, 16), level).save(directory / name)
    return file


class Page:
    """A tab, with its own cookies and storage unless it is opened beside another.

    complaints: what the console and the page's own errors say. frames: headers of pictures that
    came, in order. sent: requests for pictures, in order.
    """

    def __init__(self, context, address):
        self.context, self.complaints, self.frames, self.sent = context, [], [], []
        self.tab = context.new_page()
        self.tab.set_default_timeout(SECONDS * 1000)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", self._hear)
        self.tab.on("websocket", self._listen)
        self.tab.goto(address)

    def _hear(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _listen(self, socket):
        socket.on("framereceived", self._receive)
        socket.on("framesent", self._send)

    def _send(self, text):
        message = json.loads(text)
        if message["type"] == "picture":
            self.sent.append(message)

    def _receive(self, data):
        if isinstance(data, bytes):
            (length,) = struct.unpack("<I", data[:4])
            self.frames.append(json.loads(data[4 : 4 + length]))

    def rest(self):
        """Waits for the picture of what the page's controls say now."""
        self.tab.wait_for_function(
            """() => {
              const views = [...document.querySelectorAll(".view")];
              return views.length && views.every((view) => view.dataset.state === "rest");
            }"""
        )
        return self

    def connected(self):
        self.tab.locator("html[data-connection=connected]").wait_for(state="attached")

    def pixels(self, index=0):
        """uint8 [H, W, 4] of the picture that is shown."""
        width, height, data = self.tab.evaluate(_CANVAS, index)
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)

    def slide(self, name, value):
        """Moves a slider as a hand does; its whole way is one event."""
        self.tab.get_by_role("slider", name=name, exact=True).evaluate(
            "(range, value) => { range.value = value; range.dispatchEvent(new Event('input')); }",
            str(value),
        )

    def open_panels(self):
        self.tab.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")

    def status(self):
        return self.tab.get_by_role("status").inner_text()


def rgba(levels):
    """What a canvas shows of uint8 grey levels [H, W] or [H, W, 1]."""
    levels = levels.reshape(*levels.shape[:2], -1)
    colours = np.broadcast_to(levels, (*levels.shape[:2], 3))
    return np.concatenate([colours, np.full_like(colours[:, :, :1], 255)], axis=2)
