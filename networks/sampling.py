"""From latents to images, the one way there is: codes, noise, minibatches within a memory bound.

A `Renderer` is a generator's graphs; a `Sampler` makes uint8 images with one. Pictures, figures,
videos, grids while training, metrics, other formats and the original's `run()` go through them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional, Union

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from compute.images import to_uint8
from dnnlib.errors import UserError
from networks import fast, ops
from networks.fast import Plan
from networks.options import OWN
from networks.seeds import Seed, as_seed

MEMORY = 2.0  # GiB for activations
MAX_MINIBATCH = 64
MAX_GRAPHS = 8  # kept for each network
# The room of an image, in outputs of its widest layer. 2.5 were measured at 1024x1024, on a CPU.
_COPIES = 4


class Renderer:
    """The graphs of what has a `render`: a generator, or the synthesis part of one.

    frozen: its weights do not change any more, so they are scaled, brought to the form their
    operation takes and cast once; for one replica only. plan: the form of the arithmetic, by
    default the one for this machine. graphs: how many are kept, of which each is for one stage and
    one kind of noise.
    """

    def __init__(
        self,
        network: Any,
        *,
        frozen: bool = False,
        plan: Optional[Plan] = None,
        graphs: int = MAX_GRAPHS,
    ):
        self.network = network
        self._weights = fast.FrozenWeights() if frozen else None
        self._plan, self._max_graphs = plan, graphs
        self._graphs: dict = {}  # (level, fading, kind of noise): function; the last used is last

    def __call__(
        self, codes: Any, *, lod: Optional[float] = None, noise: Any = None, seed: Seed = None
    ) -> tf.Tensor:
        """Images [N, R, R, C] float32, about [−1, 1], of codes [N, …].

        lod: None is the network's own. noise: 'random' (of `seed`; None draws one), 'fixed',
        'none', or for each layer an image [N or 1, H, W, 1] or None; None: as the network was
        built.
        """
        codes = tf.convert_to_tensor(codes)
        level, alpha = self.network.split_lod(lod)
        given = noise if isinstance(noise, list) else []
        kind = tuple(image is not None for image in given) if given else noise
        drawn = as_seed(seed) if kind in (None, "random") else tf.zeros([2], tf.int32)
        graph = self._graph((level, alpha is not None, kind), codes)
        return graph(codes, tf.constant(alpha or 0.0, tf.float32), given, drawn)

    def _graph(self, key: tuple, codes: tf.Tensor) -> Callable[..., tf.Tensor]:
        if key in self._graphs:
            self._graphs[key] = self._graphs.pop(key)
            return self._graphs[key]
        level, fading, kind = key

        @tf.function(autograph=False)
        def graph(codes: tf.Tensor, alpha: tf.Tensor, given: list, seed: tf.Tensor) -> tf.Tensor:
            noise = given if isinstance(kind, tuple) else kind
            return self.at_stage(codes, level, alpha if fading else None, noise, seed)

        if not isinstance(kind, tuple):  # one trace for any minibatch
            any_codes = tf.TensorSpec([None, *codes.shape[1:]], codes.dtype)
            graph.get_concrete_function(
                any_codes, tf.TensorSpec([]), [], tf.TensorSpec([2], tf.int32)
            )
        while len(self._graphs) >= self._max_graphs:
            del self._graphs[next(iter(self._graphs))]
        self._graphs[key] = graph
        return graph

    def at_stage(
        self,
        codes: tf.Tensor,
        level: int = 0,
        alpha: Union[float, tf.Tensor, None] = None,
        noise: Any = None,
        seed: Seed = None,
    ) -> tf.Tensor:
        """The same within a caller's graph, at one stage: still [N, R, R, C]."""
        with self.settings():
            images = self.network.render(codes, level, alpha, noise=noise, seed=seed)
        return ops.upscale2d(images, 2**level)

    @contextlib.contextmanager
    def settings(self) -> Iterator[None]:
        """Traces what is inside the block with this renderer's plan and weights."""
        with contextlib.ExitStack() as stack:
            if self._plan is not None:
                stack.enter_context(fast.using(self._plan))
            if self._weights is not None:
                stack.enter_context(fast.frozen_weights(self._weights))
            yield


def generator_function(
    G: Any,
    *,
    lod: Optional[float] = None,
    noise: Any = None,
    truncation_psi: Any = OWN,
    truncation_cutoff: Any = OWN,
    dtype: Optional[str] = None,
) -> Callable[..., tf.Tensor]:
    """Returns generate(z, labels=None, seed=None) → images, as G(z, labels, …) returns them.

    It is a frozen copy: what happens to G later does not reach it, so make a new one after
    every change. In exchange the weights are scaled, brought to the form their operation takes and
    cast once. Arguments as in a call of G; dtype: the compute precision, by default G's own.
    One graph is traced for each minibatch size.
    """
    frozen = G.copy(dtype=dtype or G.options["dtype"])
    renderer = Renderer(frozen, frozen=True)
    level, alpha = frozen.split_lod(lod)

    @tf.function(autograph=False)
    def call(z: tf.Tensor, labels: Any, seed: tf.Tensor) -> tf.Tensor:
        with renderer.settings():
            codes = frozen.codes(
                z, labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff
            )
        return renderer.at_stage(codes, level, alpha, noise, seed)

    def generate(z: Any, labels: Any = None, seed: Seed = None) -> tf.Tensor:
        z = tf.convert_to_tensor(z, tf.float32)
        if labels is not None:
            labels = tf.convert_to_tensor(labels, tf.float32)
        return call(z, labels, as_seed(seed))

    return generate


def minibatch_size(Gs: Any, memory: float = MEMORY) -> int:
    """How many images at once keep activations within about `memory` GiB; at least 1."""
    room = 4 * _COPIES * Gs.widest_layer
    return int(np.clip(memory * 2**30 // room, 1, MAX_MINIBATCH))


class Sampler:
    """Makes images of one generator. The same codes give the same images in any company.

    Gs: a generator. psi, cutoff: truncation, by default the network's own. noise: 'fixed' (the
    network's noise images), 'random' (each image's from a seed), 'original' (from the seed as
    StyleGAN2's generator script draws it) or 'none'. memory: GiB for activations, which decides how
    many images are made at once. progress: a bar on stderr, where that is a terminal. frozen: the
    network's weights do not change any more; else the graphs of one stage are kept. minibatch:
    images at once, instead of what the memory allows. graphs: how many a frozen one keeps.

    A code is what `codes` makes of a latent: w [layers, width] after truncation where the network
    has styles, else what its family makes of a latent and a label.
    """

    def __init__(
        self,
        Gs: Any,
        *,
        psi: Any = OWN,
        cutoff: Any = OWN,
        noise: str = "fixed",
        memory: float = MEMORY,
        progress: bool = True,
        frozen: bool = True,
        minibatch: Optional[int] = None,
        graphs: int = MAX_GRAPHS,
    ):
        self.Gs, self.psi, self.cutoff, self.noise = Gs, psi, cutoff, noise
        self.resolution, self.channels = Gs.resolution, Gs.num_channels
        self.latent_size, self.label_size = Gs.latent_size, Gs.label_size
        if not 1 <= self.channels <= 4:
            raise UserError(
                f"no picture has {self.channels} channels, as the network's images have"
            )
        self.has_styles, self.num_layers, self.w_shape = Gs.has_styles, Gs.num_layers, Gs.w_shape
        self.noise_shapes = Gs.noise_shapes()
        self.minibatch = minibatch or minibatch_size(Gs, memory)
        self.progress = progress
        self._renderer = Renderer(Gs, frozen=frozen, graphs=graphs if frozen else 1)

    def codes(
        self,
        z: np.ndarray,
        labels: Optional[np.ndarray] = None,
        *,
        psi: Any = None,
        cutoff: Any = None,
    ) -> np.ndarray:
        """Codes of z [N, L], labels [N, K] (None: zeros); psi, cutoff: not the sampler's."""
        if labels is None:
            labels = np.zeros([len(z), self.label_size], np.float32)
        parts = []
        for start in range(0, len(z), 1024):
            rows = slice(start, start + 1024)
            latents = tf.constant(z[rows], tf.float32), tf.constant(labels[rows], tf.float32)
            parts.append(self.Gs.codes(*latents, truncation_psi=None).numpy())
        return self.truncate(np.concatenate(parts), psi=psi, cutoff=cutoff)

    def truncate(self, codes: np.ndarray, *, psi: Any = None, cutoff: Any = None) -> np.ndarray:
        """w pulled towards the average; psi, cutoff: not the sampler's."""
        psi = self.psi if psi is None else psi
        cutoff = self.cutoff if cutoff is None else cutoff
        return self.Gs.truncate(tf.constant(codes), psi, cutoff).numpy()

    def stream(
        self,
        codes: np.ndarray,
        *,
        noise_seeds: Optional[Sequence[int]] = None,
        noise_layers: Optional[Sequence[int]] = None,
        noise_images: Optional[Sequence[np.ndarray]] = None,
        lod: Optional[float] = None,
        title: str = "images",
    ) -> Iterator[np.ndarray]:
        """Yields uint8 images [R, R, C], one for each code.

        noise_seeds: one for each code, with noise 'random' or 'original'. noise_images: with noise
        'fixed' instead of the network's own, [N or 1, H, W, 1] for each layer. noise_layers: the
        layers that get noise, by default all. lod: None is the network's own. title: of the
        progress bar.
        """
        count, size = len(codes), min(self.minibatch, len(codes))
        layers = range(len(self.noise_shapes)) if noise_layers is None else noise_layers
        bar = tqdm(total=count, desc=title, leave=False, disable=None if self.progress else True)
        with bar:
            for start in range(0, count, size):
                # The last minibatch starts over from the front: one shape, one graph.
                rows = np.arange(start, start + size) % count
                noise = self._noise(tuple(layers), noise_seeds, rows, noise_images)
                images = to_uint8(self._renderer(codes[rows], lod=lod, noise=noise).numpy())
                for image in images[: count - start]:
                    bar.update()
                    yield image

    def images(self, codes: np.ndarray, **options: Any) -> np.ndarray:
        """uint8 [N, R, R, C]: all of `stream`."""
        return np.stack(list(self.stream(codes, **options)))

    def _noise(
        self,
        layers: tuple[int, ...],
        seeds: Optional[Sequence[int]],
        rows: np.ndarray,
        given: Optional[Sequence[np.ndarray]] = None,
    ) -> Union[str, list]:
        """A noise image, [N or 1, H, W, 1], or None for each layer; 'none' for none at all."""
        if self.noise == "none" or not layers:
            return "none"
        if self.noise == "fixed" and given is not None:
            drawn = [image if len(image) == 1 else image[rows] for image in given]
        elif self.noise == "fixed":
            drawn = self.Gs.noise_images()
        else:
            # All layers are drawn, so that a layer's noise does not depend on the others.
            after = self.latent_size if self.noise == "original" else None
            images = (noise_images(seeds[row], self.noise_shapes, after) for row in rows)
            drawn = [np.stack(layer) for layer in zip(*images)]
        return [
            tf.constant(image) if index in layers else None for index, image in enumerate(drawn)
        ]

    def need_styles(self, figure: str) -> None:
        """UserError unless the generator has styles in several layers."""
        if self.num_layers < 2:
            raise UserError(f"{figure} needs a generator with styles; this is {self._kind()}")

    def need_noise(self, figure: str) -> None:
        """UserError unless the generator has noise inputs."""
        if not self.noise_shapes:
            raise UserError(f"{figure} needs a generator with noise inputs; this is {self._kind()}")

    def _kind(self) -> str:
        if not self.has_styles:
            return self.Gs.title
        has = {"styles": self.num_layers > 1, "noise": bool(self.noise_shapes)}
        return f"{self.Gs.title} without {' and without '.join(w for w in has if not has[w])}"


def noise_images(
    seed: int, shapes: Sequence[tuple[int, int]], after_latent: Optional[int] = None
) -> list[np.ndarray]:
    """The noise images of one image, [H, W, 1] float32 for each layer, on any machine.

    after_latent: the latent's size, for the numbers that follow a seed's latent, which is how
    StyleGAN2's generator script replaces a network's noise; None: a stream of their own.
    """
    if after_latent is None:
        # With the seed alone the noise would start with the latent's numbers.
        rng = np.random.RandomState([seed, 1])
    else:
        rng = np.random.RandomState(seed)
        rng.randn(1, after_latent)
    return [rng.randn(height, width, 1).astype(np.float32) for height, width in shapes]
