"""Pictures while something is dragged: of the same network, in fewer bits where that is faster."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from typing import Optional

import numpy as np

from explorer.recipe import Recipe
from explorer.scene import Scene, Start, sampler_for
from explorer.worker import Steps
from networks.sampling import Sampler

# Seconds for a picture from which a copy of the network is worth its memory; below, nothing that
# a screen shows is faster.
SLOW = 0.02
_ROUNDS = 5  # pictures of each kind whose times are compared
_GAIN = 0.9  # of the time: what a copy must be below


class Previews:
    """Pictures of one scene: in its own precision, until a copy in bfloat16 has proved faster."""

    def __init__(self, scene: Scene, memory: float) -> None:
        self._scene, self._memory = scene, memory
        self._samplers = [scene.sampler]  # and a copy, once there is one
        self._times: list[list[float]] = [[], []]
        self._chosen: Optional[Sampler] = None

    @property
    def chosen(self) -> Sampler:
        """What previews are made with."""
        return self._chosen or self._scene.sampler

    @property
    def precision(self) -> str:
        """What previews are computed in."""
        return self.chosen.Gs.options.get("dtype", "float32")

    def image(self, recipe: Recipe) -> np.ndarray:
        """uint8 [R, R, C], about that of Scene.image."""
        scene, start = self._scene, self._scene.start(recipe)
        if start.noise == "none":  # zeros are as good, and have the graph of other noise
            shapes = scene.sampler.noise_shapes
            start.noise = [np.zeros([1, *shape, 1], np.float32) for shape in shapes] or "none"
        sampler = scene.sampler_of(recipe)
        if sampler is not scene.sampler:
            return scene.render(sampler, recipe, start)
        if self._chosen is not None:
            return scene.render(self._chosen, recipe, start)
        turn = min(range(len(self._samplers)), key=lambda index: len(self._times[index]))
        begun = time.perf_counter()
        image = scene.render(self._samplers[turn], recipe, start)
        self._judge(turn, time.perf_counter() - begun)
        return image

    def _judge(self, turn: int, seconds: float) -> None:
        if len(self._samplers) == 1:
            return
        self._times[turn].append(seconds)
        if min(map(len, self._times)) >= _ROUNDS:
            usual, fewer_bits = map(statistics.median, self._times)
            self._chosen = self._samplers[fewer_bits < _GAIN * usual]

    def warm_up(self) -> Steps:
        """Once, while nobody waits: makes the copy, and measures which is faster."""
        scene, recipe = self._scene, Recipe()
        if scene.Gs.options.get("dtype") != "float32":  # a family may have one precision alone
            return
        least = float("inf")
        for _ in range(3):  # the first may trace a graph
            begun = time.perf_counter()
            self.image(recipe)
            least = min(least, time.perf_counter() - begun)
            yield
        if least < SLOW:
            return
        # Tracing takes seconds, in which pictures go on: in a thread of its own, with a network of
        # its own (networks/fast.py).
        thread = threading.Thread(target=self._add_copy, args=(scene.start(recipe),), daemon=True)
        thread.start()
        while thread.is_alive():
            yield
            thread.join(0.02)
        while len(self._samplers) == 2 and self._chosen is None:
            self.image(recipe)
            yield

    def _add_copy(self, start: Start) -> None:
        try:
            copy = self._scene.Gs.copy(dtype="bfloat16")
            sampler = sampler_for(copy, self._memory)
            list(sampler.stream(start.codes, noise_images=copy.noise_images()))
            self._samplers.append(sampler)
        except Exception as error:  # previews are as good without
            print(f"note: no faster previews: {error}", file=sys.stderr)
