"""A network as a single page: how large, how soon, how fast, and how near to the network.

    python -m benchmarks.single_page --network=FILE --runtime=DIST

For each way to store weights, in headless Chromium without a network and without a GPU: the page's
size; seconds from opening the file to its first picture; seconds for each of the pictures of seeds
0 to 9; the largest difference of their values from the network's, as a share of the range; the
smallest structural similarity of their levels; and how many requests were made.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from playwright.sync_api import sync_playwright

from compute.images import to_uint8
from explorer import single_page, web_runtime
from explorer.recipe import parse
from explorer.scene import Scene

_FIRST = """started.then(async () => {
  const asked = { type: "picture", request: 0, network: 0, recipe: {} };
  let made = null; // the page's own request may come between
  while (!made) made = await engine.request(asked);
})"""
_VALUES = """(seed) => engine.values({ seeds: [[seed, 1]] }).then(({ data }) => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const parts = [];
  for (let i = 0; i < bytes.length; i += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(i, i + 8192)));
  }
  return btoa(parts.join(""));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", required=True)
    parser.add_argument("--runtime", help="the npm package's directory dist; else the download")
    parser.add_argument("--weights", default="float32,float16,int8")
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    runtime = web_runtime.read(args.runtime, say=print)
    scene = single_page.open_scene(Path(args.network))
    expected = np.concatenate([_images(scene, seed) for seed in range(args.seeds)])
    print("weights     MB  first s  each s  difference  SSIM  requests", flush=True)
    for weights in args.weights.split(","):
        content, _ = single_page.assemble(scene, weights, runtime)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "generator.html")
            file.write_bytes(content)
            first, each, images, requests = _measured(file, expected)
        far = np.abs(images - expected).max() / np.ptp(expected)
        print(
            f"{weights:8} {len(content) / 1e6:5.1f} {first:8.2f} {each:7.2f} {far:11.1e} "
            f"{_similarity(images, expected):5.3f} {requests:9}",
            flush=True,
        )


def _images(scene: Scene, seed: int) -> np.ndarray:
    start = scene.start(parse({"seeds": [[seed, 1]]}))
    return scene.Gs.render(
        tf.constant(start.codes), *scene.Gs.split_lod(None), noise="fixed"
    ).numpy()


def _measured(file: Path, expected: np.ndarray) -> tuple[float, float, np.ndarray, int]:
    """(seconds to the first picture, seconds for each, values of all, requests)."""
    requests: list[Any] = []
    with sync_playwright() as playwright:
        options = {"executable_path": shutil.which("chromium"), "args": ["--no-sandbox"]}
        browser = playwright.chromium.launch(**options)
        page = browser.new_context(offline=True).new_page()
        page.on("request", lambda request: requests.append(request.url))
        began = time.perf_counter()
        page.goto(file.as_uri())
        page.evaluate(_FIRST)
        first = time.perf_counter() - began
        began = time.perf_counter()
        made = [page.evaluate(_VALUES, seed) for seed in range(len(expected))]
        each = (time.perf_counter() - began) / len(made)
        browser.close()
    values = [np.frombuffer(base64.b64decode(text), np.float32) for text in made]
    asked = [url for url in requests if not url.startswith(("blob:", "data:"))]
    return first, each, np.stack(values).reshape(expected.shape), len(asked) - 1


def _similarity(images: np.ndarray, expected: np.ndarray) -> float:
    one, other = (tf.constant(to_uint8(values)) for values in (images, expected))
    return float(tf.reduce_min(tf.image.ssim(one, other, 255)))


if __name__ == "__main__":
    main()
