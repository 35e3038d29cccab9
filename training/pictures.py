"""The image grids of a run: real images once, generated ones at every tick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

import networks
from dnnlib.errors import UserError
from networks import ops
from training import grids
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


def generate_files(
    snapshot, seeds, out, *, grid=False, truncation_psi=None, label=None, minibatch=16
) -> list[Path]:
    """Makes one image for each seed with the Gs of a snapshot; returns the PNGs' paths.

    grid: all in one picture, out/grid.png, else out/seed<n>.png. truncation_psi: None is the
    network's own. label: a class for all; None goes through the classes in turn.
    Raises UserError for a snapshot without Gs or a label that it does not have.
    """
    _, _, Gs = networks.load(snapshot)
    if Gs is None:
        raise UserError(f"{snapshot} holds no Gs")
    classes = Gs.options["label_size"]
    if label is not None and not 0 <= label < classes:
        raise UserError(f"--class={label}: the network has {classes} classes, from 0")
    psi = {} if truncation_psi is None else {"truncation_psi": truncation_psi}
    paths, images = [], []
    for start in range(0, len(seeds), minibatch):
        part = seeds[start : start + minibatch]
        z = np.concatenate([grids.grid_latents(s, 1, Gs.options["latent_size"]) for s in part])
        chosen = [(seed if label is None else label) % max(classes, 1) for seed in part]
        labels = np.eye(classes, dtype=np.float32)[chosen] if classes else None
        batch = Gs(z, labels, noise="fixed", **psi).numpy()
        if grid:
            images.extend(batch)
            continue
        for seed, image in zip(part, batch):
            paths.append(Path(out) / f"seed{seed:04d}.png")
            grids.save_image_grid(image[None], paths[-1], (1, 1))
    if grid:
        paths.append(Path(out) / "grid.png")
        grids.save_image_grid(np.stack(images), paths[-1])
    return paths
