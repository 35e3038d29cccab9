"""The image grids of a run: real images once, generated ones at every tick."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datasets import grids
from networks.sampling import Sampler


class Pictures:
    """Fixed latents and labels, and the grids that Gs makes of them.

    Truncation is off and the noise is the network's fixed noise, so that successive grids
    differ only by what was learnt.
    """

    def __init__(self, Gs, dataset, grid, seed: int, minibatch: int = 16):
        self.sampler = Sampler(Gs, psi=None, progress=False, frozen=False, minibatch=minibatch)
        self.size, self.reals, self.labels = grids.setup_snapshot_grid(
            dataset, grid.size, grid.layout, seed
        )
        self.latents = grids.grid_latents(seed, len(self.reals), Gs.latent_size)

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
        """Images at full size: uint8 [cells, R, R, C]."""
        return self.sampler.images(self.sampler.codes(self.latents, self.labels), lod=lod)
