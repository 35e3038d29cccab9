"""A generator made ready for pictures: from latents to uint8 images, within a memory bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from compute.images import to_uint8
from dnnlib.errors import UserError
from networks import fast, ops, snapshot
from networks.options import G_STYLE
from networks.stylegan.generator import OWN

MEMORY = 2.0  # GiB for activations
MAX_MINIBATCH = 64
# The room of an image, in outputs of its widest layer. 2.5 were measured at 1024x1024, on a CPU.
_COPIES = 4


def minibatch_size(Gs, memory: float = MEMORY) -> int:
    """How many images at once keep activations within about `memory` GiB; at least 1."""
    widest = max(
        4**log2 * (Gs.fmaps(log2 - 1) + Gs.options["num_channels"])
        for log2 in range(2, Gs.resolution_log2 + 1)
    )
    return int(np.clip(memory * 2**30 // (4 * _COPIES * widest), 1, MAX_MINIBATCH))


def load_generator(path, **changed):
    """The Gs of a file, or its G where there is no Gs; UserError when it holds neither.

    changed: options in place of the network's own (networks/snapshot.py).
    """
    found = snapshot.load_one(path, "Gs", "G", **changed)
    if found is None:
        raise UserError(f"{path} holds no Gs")
    if found.func_name not in ("G_style", "G_paper"):
        raise UserError(
            f"{path}: expected a whole generator, G_style or G_paper, not {found.func_name}"
        )
    return found


def truncation_of(Gs, psi: float | None, cutoff: int | None) -> dict:
    """{'psi', 'cutoff'} for a Sampler, where a user gave at least one of them.

    What was not given is the network's own, or the paper's where it has none.
    """
    own, usual = Gs.options, G_STYLE
    psi = own["truncation_psi"] if psi is None else psi
    cutoff = own["truncation_cutoff"] if cutoff is None else cutoff
    return {
        "psi": usual["truncation_psi"] if psi is None else psi,
        "cutoff": usual["truncation_cutoff"] if cutoff is None else cutoff,
    }


class Sampler:
    """Makes images of one generator. The same codes give the same images in any company.

    Gs: a G_style or G_paper, whose weights must not change meanwhile. psi, cutoff: truncation,
    by default the network's own. noise: 'fixed' (the network's noise images), 'random' (each
    image's from a seed) or 'none'. memory: GiB for activations, which decides how many images
    are made at once. progress: a bar on stderr, where that is a terminal.

    A code is what `codes` makes of a latent: w [layers, width] after truncation, of a G_paper
    the latent with its label [L + K]. styled: whether codes are w.
    """

    def __init__(
        self, Gs, *, psi=OWN, cutoff=OWN, noise="fixed", memory: float = MEMORY, progress=True
    ):  # fmt: skip
        self.Gs, self.psi, self.cutoff, self.noise = Gs, psi, cutoff, noise
        self.styled = Gs.func_name == "G_style"
        self.resolution, self.channels = Gs.resolution, Gs.options["num_channels"]
        self.latent_size, self.label_size = Gs.options["latent_size"], Gs.options["label_size"]
        if not 1 <= self.channels <= 4:
            raise UserError(
                f"no picture has {self.channels} channels, as the network's images have"
            )
        self.num_layers = Gs.num_layers if self.styled else 0
        self.w_shape = (Gs.num_layers, Gs.options["dlatent_size"]) if self.styled else None
        self.noise_layers = len(Gs.synthesis.noise_images) if self.styled else 0
        self.minibatch = minibatch_size(Gs, memory)
        self.progress = progress
        self._weights: dict = {}
        self._function = tf.function(self._generate, autograph=False)

    def codes(self, z: np.ndarray, labels: np.ndarray | None = None, *, psi=None, cutoff=None):
        """Codes of z [N, L], labels [N, K] (None: zeros); psi, cutoff: not the sampler's."""
        if labels is None:
            labels = np.zeros([len(z), self.label_size], np.float32)
        if not self.styled:
            return np.concatenate([z, labels], axis=1)
        parts = []
        for start in range(0, len(z), 1024):
            rows = slice(start, start + 1024)
            parts.append(self.Gs.mapping(tf.constant(z[rows]), tf.constant(labels[rows])).numpy())
        return self.truncate(np.concatenate(parts), psi=psi, cutoff=cutoff)

    def truncate(self, w: np.ndarray, *, psi=None, cutoff=None) -> np.ndarray:
        """w pulled towards the average; psi, cutoff: not the sampler's."""
        psi = self.psi if psi is None else psi
        cutoff = self.cutoff if cutoff is None else cutoff
        return self.Gs.truncate(tf.constant(w), psi, cutoff).numpy()

    def stream(
        self, codes: np.ndarray, *, noise_seeds: Sequence[int] | None = None,
        noise_layers: Sequence[int] | None = None, what: str = "images",
    ) -> Iterator[np.ndarray]:  # fmt: skip
        """Yields uint8 images [R, R, C], one for each code.

        noise_seeds: one for each code, with noise='random'. noise_layers: the layers that get
        noise, by default all. what: for the progress bar.
        """
        count, size = len(codes), min(self.minibatch, len(codes))
        layers = tuple(range(self.noise_layers) if noise_layers is None else noise_layers)
        bar = tqdm(total=count, desc=what, leave=False, disable=None if self.progress else True)
        with bar:
            for start in range(0, count, size):
                # The last minibatch starts over from the front: one shape, one graph.
                rows = np.arange(start, start + size) % count
                noise = self._noise(layers, noise_seeds, rows)
                images = to_uint8(self._function(tf.constant(codes[rows]), noise).numpy())
                for image in images[: count - start]:
                    bar.update()
                    yield image

    def images(self, codes: np.ndarray, **options) -> np.ndarray:
        """uint8 [N, R, R, C]: all of `stream`."""
        return np.stack(list(self.stream(codes, **options)))

    def _generate(self, codes, noise):
        level, alpha = self.Gs.split_lod(None)
        with fast.frozen_weights(self._weights):
            if self.styled:
                part = self.Gs.synthesis.stage(codes, level, alpha or None, noise=noise or "none")
            else:
                z, labels = tf.split(codes, [self.latent_size, self.label_size], axis=1)
                part = self.Gs.stage(z, labels, level, alpha or None)
        return ops.upscale2d(part, 2**level)

    def _noise(self, layers, seeds, rows) -> list:
        """A noise image, [N or 1, H, W, 1], or None for each layer; [] for none at all."""
        if self.noise == "none" or not layers:
            return []
        if self.noise == "fixed":
            images = self.Gs.synthesis.noise_images
            drawn = [np.transpose(image.numpy(), [0, 2, 3, 1]) for image in images]
        else:
            # All layers are drawn, so that a layer's noise does not depend on the others.
            drawn = [
                np.stack(layer)
                for layer in zip(*(noise_images(seeds[row], self.noise_layers) for row in rows))
            ]
        return [
            tf.constant(image) if index in layers else None for index, image in enumerate(drawn)
        ]

    def need_styles(self, what: str) -> None:
        """UserError unless the generator has styles in several layers."""
        if self.num_layers < 2:
            raise UserError(f"{what} needs a generator with styles; this is {self._kind()}")

    def need_noise(self, what: str) -> None:
        """UserError unless the generator has noise inputs."""
        if not self.noise_layers:
            raise UserError(f"{what} needs a generator with noise inputs; this is {self._kind()}")

    def _kind(self):
        if not self.styled:
            return "a Progressive GAN (G_paper)"
        kinds = {"use_styles": "styles", "use_noise": "noise"}
        lacks = [word for key, word in kinds.items() if not self.Gs.options[key]]
        return f"a G_style without {' and without '.join(lacks)}"


def noise_images(seed: int, count: int) -> list[np.ndarray]:
    """The noise images of one image, [H, W, 1] float32 for each layer, on any machine."""
    # A stream of its own: with the seed alone the noise would start with the latent's numbers.
    rng = np.random.RandomState([seed, 1])
    sides = [2 ** (index // 2 + 2) for index in range(count)]
    return [rng.randn(side, side, 1).astype(np.float32) for side in sides]
