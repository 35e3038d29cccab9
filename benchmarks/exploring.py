"""Frames a second on the explorer's page while dragging, as a share of the generator alone.

    python -m benchmarks.exploring results/00000-demo/network-final.safetensors
    python -m benchmarks.exploring stylegan --resolution 256

A new network of full width is made of a family's name. Server, worker and WebSocket are those that
users have, in this process; a client asks for previews on a path between four seeds, two at a time
as the page does. "generator" is the same network in the same precision making the same pictures
alone, in turns with the dragging, so that the share compares between machines; "cpu" is the same
share of processor time, for a machine that is not idle, where the client counts as well. Prints one
line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import networks
from compute.devices import silence_xla
from explorer.recipe import parse
from explorer.scene import Scene
from tests.explorer.serving import Serving, leave, shown_of, split

FAMILIES = {"stylegan": "G_style", "stylegan2": "G_main", "progan": "G_paper"}
IN_FLIGHT = 2


def new_network(family: str, resolution: int, directory: str) -> Path:
    """A snapshot of a new generator of full width."""
    path = Path(directory, f"{family}-{resolution}.safetensors")
    options = {"resolution": resolution, "num_channels": 3}
    networks.save(path, Gs=networks.build(FAMILIES[family], seed=1, **options))
    return path


def recipe_at(step: int) -> dict:
    """A point of a circle between four seeds."""
    x, y = (0.5 + 0.5 * f(step / 15) for f in (math.cos, math.sin))
    weights = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
    return {"seeds": [[seed, max(weight, 1e-3)] for seed, weight in enumerate(weights)]}


async def drag(page, count: int, first: int) -> tuple[int, float, float]:
    """(frames that came, seconds, the longest time between two) of so many requests.

    A request that waits while the next one comes gets no frame; the last one always does.
    """
    begun = last = time.perf_counter()
    longest, asked, answered, frames = 0.0, 0, 0, 0
    while answered < count:
        while asked < min(answered + IN_FLIGHT, count):
            message = {"type": "picture", "request": first + asked, "preview": True}
            await page.write_message(json.dumps({**message, "recipe": recipe_at(first + asked)}))
            asked += 1
        answer = split(await asyncio.wait_for(page.read_message(), 60))
        assert answer["type"] == "picture", answer
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
        answered, frames = answer["request"] - first + 1, frames + 1
    return frames, time.perf_counter() - begun, longest


def alone(scene: Scene, sampler, frames: int) -> tuple[float, float]:
    """Seconds of the generator for so many pictures, and of processors."""
    starts = [scene.start(parse(recipe_at(step))) for step in range(frames)]
    begun, processors = time.perf_counter(), time.process_time()
    for start in starts:
        scene.render(sampler, parse({}), start)
    return time.perf_counter() - begun, time.process_time() - processors


async def measure(served: Serving, seconds: float, rounds: int) -> dict:
    """The numbers of one network."""
    page, about = await served.connect()
    shown = served.session.shown[0]
    begun = time.perf_counter()
    await page.write_message(json.dumps({"type": "picture", "request": 0, "recipe": {}}))
    await page.read_message()
    first_picture = time.perf_counter() - begun
    first_longest = (await drag(page, 10, 1))[2]  # right away, as users do
    while served.session.worker.waiting:
        await asyncio.sleep(0.1)
    frames, once, _ = await drag(page, 5, 100)
    count = max(round(frames / once * seconds), 5)
    dragging, generating, cpu = [], [], []
    work = partial(alone, shown.scene, shown.previews.chosen, count)
    for number in range(rounds):
        before = time.process_time()
        frames, took, _ = await drag(page, count, 1000 * (number + 1))
        processors = (time.process_time() - before) / frames
        dragging.append(took / frames)
        seconds_alone, processors_alone = served.session.worker.call(work)
        generating.append(seconds_alone / count)
        cpu.append((processors, processors_alone / count))
    await leave(page)
    network = about["networks"][0]
    return {
        "network": network["name"],
        "resolution": network["resolution"],
        "precision": shown.previews.precision,
        "frames_per_second": round(1 / min(dragging), 2),
        "generator_per_second": round(1 / min(generating), 2),
        "share": round(min(generating) / min(dragging), 3),
        "cpu": round(min(alone for _, alone in cpu) / min(one for one, _ in cpu), 3),
        "cpu_s_per_frame": round(min(one for one, _ in cpu), 4),
        "first_picture_s": round(first_picture, 2),
        "longest_frame_of_the_first_drag_s": round(first_longest, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", help="a snapshot, or one of " + ", ".join(FAMILIES))
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    silence_xla()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(args.network)
        if args.network in FAMILIES:
            path = new_network(args.network, args.resolution, directory)
        served = Serving(lambda: [shown_of(Scene(path, path.stem))])
        try:
            print(json.dumps(asyncio.run(measure(served, args.seconds, args.rounds))))
        finally:
            served.close()


if __name__ == "__main__":
    main()
