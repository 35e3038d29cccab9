"""A plan made into codes and noise of frames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import numpy as np

from dnnlib.errors import UserError
from editing.keyframes import Keyframe, Plan
from generation import latents, pictures
from generation.directions import Direction, parse_amounts
from generation.sound import Sound
from networks.sampling import Sampler

_PART = 32  # frames whose noise is in memory at once


class Animation:
    """The frames of a plan. directions: those that the plan may move along.

    sound: what the plan's audio is. Raises UserError for what does not fit the network, naming the
    keyframe.
    """

    def __init__(
        self,
        sampler: Sampler,
        plan: Plan,
        fps: float,
        directions: list[Direction],
        sound: Optional[Sound],
    ) -> None:
        self._sampler, self._directions = sampler, directions
        starts = [self._start(keyframe) for keyframe in plan.keyframes]
        self._codes = np.concatenate([start.codes for start in starts])
        own = sampler.Gs.noise_images() if any(start.noise for start in starts) else None
        self._noise = own and [start.noise or own for start in starts]
        still = plan.seconds == 0
        self.count = sound.frames(fps) if sound else (1 if still else round(plan.seconds * fps))
        if sound is None and not still and plan.keyframes[-1].seconds == 0:
            self.count += 1  # the last keyframe
        self._from, self._to, self._share = plan.positions(self.count, fps)
        self._moves = self._of_sound(plan, sound, fps) if sound else []

    def codes(self) -> np.ndarray:
        """[count, …], of every frame."""
        share = self._share.reshape(-1, *[1] * (self._codes.ndim - 1)).astype(np.float32)
        first, second = self._codes[self._from], self._codes[self._to]
        codes = first + (second - first) * share
        for direction, curve in self._moves:
            part = codes[:, slice(*direction.layers)]
            part += np.float32(curve)[:, None, None] * direction.vector
        return codes

    def frames(self) -> Iterator[np.ndarray]:
        """uint8 [R, R, C] of every frame; the noise images go along where keyframes have theirs."""
        codes = self.codes()
        if self._noise is None:
            yield from self._sampler.stream(codes, title="frames")
            return
        for start in range(0, self.count, _PART):
            rows = slice(start, start + _PART)
            part = codes[rows]
            noise = self._noise_of(rows)
            if len(part) < _PART and start:  # one shape, one graph
                filled = np.resize(np.arange(len(part)), _PART)
                images = self._sampler.stream(
                    part[filled], noise_images=[image[filled] for image in noise], title="frames"
                )
                yield from (image for _, image in zip(range(len(part)), images))
            else:
                yield from self._sampler.stream(part, noise_images=noise, title="frames")

    def _noise_of(self, rows: slice) -> list[np.ndarray]:
        """[N, H, W, 1] for each layer, as strong on the way as at its ends."""
        share = self._share[rows].astype(np.float32)[:, None, None, None]
        strength = np.sqrt(np.square(1 - share) + np.square(share))
        result = []
        for layer in range(len(self._noise[0])):
            images = np.concatenate([noise[layer] for noise in self._noise])
            first, second = images[self._from[rows]], images[self._to[rows]]
            result.append(
                np.where(
                    np.all(first == second, axis=(1, 2, 3), keepdims=True),
                    first,
                    (first * (1 - share) + second * share) / strength,
                )
            )
        return result

    def _start(self, keyframe: Keyframe) -> pictures.Starts:
        """One code, and noise images where its file has them."""
        sampler = self._sampler
        if (keyframe.psi is not None or keyframe.apply) and not sampler.has_styles:
            raise UserError(f"{keyframe.where}: the network has no w to truncate or to move")
        psi = {} if keyframe.psi is None else sampler.Gs.truncation(keyframe.psi, None)
        if keyframe.seed is not None:
            try:
                labels = latents.labels_for([keyframe.seed], sampler.label_size, keyframe.label)
            except UserError as error:
                raise UserError(f"{keyframe.where}: {error}") from error
            z = latents.from_seeds([keyframe.seed], sampler.latent_size)
            start = pictures.Starts([keyframe.seed], sampler.codes(z, labels, **psi))
        else:
            file, row = keyframe.latents
            count, part = pictures.of_file(sampler, file, None)
            if row >= count:
                raise UserError(f"{keyframe.where}: {file} has {count} code(s), from 0")
            start = part(row, row + 1)
            if start.noise is not None:
                start.noise = [image[:1] for image in start.noise]
            if psi:
                start.codes = sampler.truncate(start.codes, **psi)
        if keyframe.apply:
            for direction, amount in self._amounts(keyframe.where, keyframe.apply):
                start.codes = direction.move(start.codes, amount)
        return start

    def _amounts(self, where: str, text: str) -> list[tuple[Direction, float]]:
        if not self._directions:
            raise UserError(f"{where}: {text}: --directions=FILE is needed, which has directions")
        try:
            return parse_amounts(text, self._directions)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error

    def _of_sound(self, plan: Plan, sound: Sound, fps: float) -> list[tuple[Direction, np.ndarray]]:
        audio = plan.audio
        curves = [
            (audio.amplitude, lambda: sound.amplitude(fps, audio.band)),
            (audio.onset, lambda: sound.onsets(fps)),
        ]
        return [
            (direction, amount * curve())
            for text, curve in curves
            if text
            for direction, amount in self._amounts("audio", text)
        ]
