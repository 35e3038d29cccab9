"""The image grids of a run: real images once, generated ones at every tick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from datasets import grids
from networks import ops
from training.schedule import stage_of


class Pictures:
    """Fixed latents and labels, and the grids that Gs makes of them.

    Truncation is off and the noise is the network's fixed noise, so that successive grids
    differ only by what was learnt.
    """

    def __init__(self, Gs, dataset, grid, seed: int, minibatch: int = 16):
        self.Gs, self.minibatch = Gs, minibatch
        self.size, self.reals, self.labels = grids.setup_snapshot_grid(
            dataset, grid.size, grid.layout, seed
        )
        self.latents = grids.grid_latents(seed, len(self.reals), Gs.options["latent_size"])
        self._functions = {}  # stage → compiled generation

    def save_reals(self, run_dir) -> np.ndarray:
        """Writes reals.png and returns its pixels, uint8 [H, W, C]."""
        return self._save(self.reals, Path(run_dir) / "reals.png")

    def save_fakes(self, run_dir, cur_nimg: int, lod: float) -> np.ndarray:
        """Writes fakes<kimg>.png and returns its pixels, uint8 [H, W, C]."""
        path = Path(run_dir) / f"fakes{cur_nimg // 1000:06d}.png"
        return self._save(self.generate(lod), path)

    def _save(self, images, path):
        grids.save_image_grid(images, path, self.size)
        return np.atleast_3d(grids.to_pil(grids.create_image_grid(images, self.size)))

    def generate(self, lod: float) -> np.ndarray:
        """Images at full size: float32 [cells, R, R, C]."""
        stage = stage_of(lod)
        if stage not in self._functions:
            self._functions = {stage: self._compile(stage)}  # the one before is done with
        function, alpha = self._functions[stage], tf.constant(lod - stage.level, tf.float32)
        count = len(self.latents)
        batches = []
        for start in range(0, count, self.minibatch):
            # The last batch starts over from the front: one shape, one trace.
            part = np.arange(start, start + self.minibatch) % count
            z, labels = tf.constant(self.latents[part]), tf.constant(self.labels[part])
            batches.append(function(z, labels, alpha).numpy())
        return np.concatenate(batches)[:count]

    def _compile(self, stage):
        def generate(z, labels, alpha):
            images = self.Gs.stage(
                z, labels, stage.level, alpha if stage.fading else None,
                noise="fixed", truncation_psi=None,
            )  # fmt: skip
            return ops.upscale2d(images, 2**stage.level)

        shapes = [self.minibatch, self.latents.shape[1]], [self.minibatch, self.labels.shape[1]], []
        return tf.function(generate, autograph=False).get_concrete_function(
            *(tf.TensorSpec(shape, tf.float32) for shape in shapes)
        )
