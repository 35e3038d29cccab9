"""The training schedule and the loop's bookkeeping, as pure functions of `cur_nimg`.

`cur_nimg` counts the real images shown to the discriminator; 1 kimg is 1000 of them. `lod` is
the level of detail: 0 at full resolution, +1 per halving, fractions while a resolution fades in.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple, Optional  # dnnlib.config evaluates the types, on 3.9 as well

from dnnlib.errors import UserError


def _default_tick_kimg() -> dict[int, float]:
    kimg = {4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 30, 1024: 20}
    return {resolution: float(value) for resolution, value in kimg.items()}


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How training grows; the dictionaries are keyed by resolution in pixels."""

    minibatch_base: int = 16  # images per step, over all replicas
    minibatch_dict: dict[int, int] = dataclasses.field(default_factory=dict)  # images per step
    max_minibatch_per_gpu: dict[int, int] = dataclasses.field(default_factory=dict)  # images
    # Images per device and pass, at most, whose gradients are added up to those of a step; 0: all.
    minibatch_gpu_base: int = 0
    minibatch_gpu_dict: dict[int, int] = dataclasses.field(default_factory=dict)
    lod_initial_resolution: Optional[int] = 4  # pixels; None: the data set's, without growing
    lod_training_kimg: float = 600.0  # kimg at each resolution, before the next fades in
    lod_transition_kimg: float = 600.0  # kimg of fading; 0: switch at once
    G_lrate_base: float = 0.001  # Adam's learning rate, the generator's
    G_lrate_dict: dict[int, float] = dataclasses.field(default_factory=dict)
    D_lrate_base: float = 0.001  # Adam's learning rate, the discriminator's
    D_lrate_dict: dict[int, float] = dataclasses.field(default_factory=dict)
    lrate_rampup_kimg: float = 0.0  # kimg over which the rates rise from 0; 0: no ramp
    tick_kimg_base: float = 160.0  # kimg between two status lines
    tick_at_start: bool = False  # a tick, number 0, after the first iteration, as in StyleGAN2
    tick_kimg_dict: dict[int, float] = dataclasses.field(default_factory=_default_tick_kimg)


class Stage(NamedTuple):
    """What decides which part of the networks is in use; a Python value, one trace for each."""

    level: int  # floor(lod)
    fading: bool  # whether the next lower resolution is being blended out


def stage_of(lod: float) -> Stage:
    """Returns the stage of a level of detail; `lod - stage.level` is the blending factor."""
    level = math.floor(lod)
    return Stage(level, lod > level)


class SchedulePoint(NamedTuple):
    """The schedule at one moment."""

    kimg: float
    lod: float
    resolution: int  # pixels, of floor(lod)
    minibatch: int  # images per step, over all replicas
    G_lrate: float
    D_lrate: float
    tick_kimg: float  # length of a tick, kimg
    passes: int = 1  # of each device, for one step

    @property
    def stage(self) -> Stage:
        return stage_of(self.lod)

    @property
    def alpha(self) -> float:
        """The weight of the next lower resolution, in [0, 1)."""
        return self.lod - math.floor(self.lod)

    def lrate(self, network: str) -> float:
        """The learning rate of 'G' or 'D'."""
        return {"G": self.G_lrate, "D": self.D_lrate}[network]


def schedule(
    config: ScheduleConfig, cur_nimg: int, resolution: int, num_replicas: int = 1
) -> SchedulePoint:
    """Returns the schedule after `cur_nimg` images, for networks of `resolution` pixels.

    The minibatch is rounded down to a multiple of `num_replicas`; UserError when nothing is
    left of it.
    """
    kimg = cur_nimg / 1000.0
    phase_kimg = config.lod_training_kimg + config.lod_transition_kimg
    phase = math.floor(kimg / phase_kimg) if phase_kimg > 0 else 0

    # The order of these operations is the reference's, so that floats agree to the last bit.
    resolution_log2 = _log2(resolution)
    lod = float(resolution_log2 - _log2(_initial(config, resolution)) - phase)
    if config.lod_transition_kimg > 0:
        fading_kimg = kimg - phase * phase_kimg - config.lod_training_kimg
        lod -= max(fading_kimg, 0.0) / config.lod_transition_kimg
    lod = max(lod, 0.0)
    current = 2 ** (resolution_log2 - math.floor(lod))

    G_lrate, D_lrate = lrates(config, current)
    if config.lrate_rampup_kimg > 0:
        rampup = min(kimg / config.lrate_rampup_kimg, 1.0)
        G_lrate, D_lrate = G_lrate * rampup, D_lrate * rampup
    return SchedulePoint(
        kimg=kimg,
        lod=lod,
        resolution=current,
        minibatch=minibatch(config, current, num_replicas),
        G_lrate=G_lrate,
        D_lrate=D_lrate,
        tick_kimg=config.tick_kimg_dict.get(current, config.tick_kimg_base),
        passes=passes(config, current, num_replicas),
    )


def _initial(config: ScheduleConfig, resolution: int) -> int:
    """The resolution that training starts at."""
    return config.lod_initial_resolution or resolution


def minibatch(config: ScheduleConfig, resolution: int, num_replicas: int = 1) -> int:
    """Returns the images per step while the current resolution is `resolution`.

    Raises UserError when it is less than one image per replica.
    """
    wanted = config.minibatch_dict.get(resolution, config.minibatch_base)
    images = wanted - wanted % num_replicas
    if resolution in config.max_minibatch_per_gpu:
        images = min(images, config.max_minibatch_per_gpu[resolution] * num_replicas)
    if images < 1:
        raise UserError(
            f"schedule: the minibatch at {resolution}x{resolution} is {wanted} images, "
            f"less than one for each of {num_replicas} replicas; raise "
            f"schedule.minibatch_dict.{resolution} or lower num_gpus"
        )
    return images


def passes(config: ScheduleConfig, resolution: int, num_replicas: int = 1) -> int:
    """Returns the passes over its images that each device makes for one step.

    Raises UserError unless they come out whole.
    """
    images = config.minibatch_gpu_dict.get(resolution, config.minibatch_gpu_base)
    if not images:
        return 1
    # Of the minibatch that was asked for: it is not rounded down to what fits.
    wanted = config.minibatch_dict.get(resolution, config.minibatch_base)
    if wanted <= images * num_replicas:
        return 1
    count = minibatch(config, resolution, num_replicas)
    if wanted % (images * num_replicas) or count % (images * num_replicas):
        raise UserError(
            f"schedule: the minibatch at {resolution}x{resolution} is {wanted} images, no whole "
            f"number of passes of {images} images on each of {num_replicas} replicas; change "
            f"schedule.minibatch_dict.{resolution} or minibatch_gpu_dict.{resolution}"
        )
    return count // (images * num_replicas)


def lrates(config: ScheduleConfig, resolution: int) -> tuple[float, float]:
    """Returns (G's, D's) learning rate at `resolution`, before the ramp."""
    return (
        config.G_lrate_dict.get(resolution, config.G_lrate_base),
        config.D_lrate_dict.get(resolution, config.D_lrate_base),
    )


# --------------------------------------------------------------------------------------
# Checks and overview


def check(config: ScheduleConfig, resolution: int, num_replicas: int = 1) -> None:
    """Raises UserError, naming the key, when the schedule cannot work at `resolution`."""
    initial = _initial(config, resolution)
    if initial < 4 or initial & (initial - 1):
        raise UserError(
            f"schedule.lod_initial_resolution={initial}: expected a power of two, 4 or more"
        )
    if initial > resolution:
        raise UserError(
            f"schedule.lod_initial_resolution={initial} is larger than the data set's "
            f"{resolution}x{resolution}"
        )
    for key in (
        "lod_training_kimg",
        "lod_transition_kimg",
        "lrate_rampup_kimg",
        "minibatch_gpu_base",
    ):
        if getattr(config, key) < 0:
            raise UserError(f"schedule.{key}={getattr(config, key)}: expected 0 or more")
    for key in ("minibatch_base", "G_lrate_base", "D_lrate_base", "tick_kimg_base"):
        _check_positive(key, getattr(config, key))
    for field in dataclasses.fields(config):
        if isinstance(getattr(config, field.name), dict):
            for at, value in getattr(config, field.name).items():
                if at < 4 or at & (at - 1):
                    raise UserError(f"schedule.{field.name}.{at}: {at} is not a resolution")
                _check_positive(f"{field.name}.{at}", value)
    if initial < resolution and config.lod_training_kimg + config.lod_transition_kimg == 0:
        raise UserError(
            "schedule.lod_training_kimg and lod_transition_kimg are both 0, so training would "
            f"stay at {initial}x{initial}; for no growing set lod_initial_resolution=null"
        )
    for current in resolutions(config, resolution):
        minibatch(config, current, num_replicas)
        passes(config, current, num_replicas)


def _check_positive(key: str, value: float) -> None:
    if value <= 0:
        raise UserError(f"schedule.{key}={value}: expected more than 0")


def resolutions(config: ScheduleConfig, resolution: int) -> list[int]:
    """Returns the resolutions that training goes through, up to the full `resolution`."""
    return [2**k for k in range(_log2(_initial(config, resolution)), _log2(resolution) + 1)]


class Period(NamedTuple):
    """One resolution's part of the schedule; for people to look at."""

    resolution: int  # pixels
    fade_kimg: float  # when it starts to fade in, kimg
    stable_kimg: float  # when it is fully there, kimg
    minibatch: int  # images per step, over all replicas
    G_lrate: float
    D_lrate: float
    tick_kimg: float


def periods(config: ScheduleConfig, resolution: int, num_replicas: int = 1) -> list[Period]:
    """Returns the whole schedule, one entry per resolution."""
    length = config.lod_training_kimg + config.lod_transition_kimg
    return [
        Period(
            current,
            max(index * length - config.lod_transition_kimg, 0.0),
            index * length,
            minibatch(config, current, num_replicas),
            *lrates(config, current),
            config.tick_kimg_dict.get(current, config.tick_kimg_base),
        )
        for index, current in enumerate(resolutions(config, resolution))
    ]


def _log2(resolution: int) -> int:
    return resolution.bit_length() - 1


# --------------------------------------------------------------------------------------
# The loop's bookkeeping


@dataclasses.dataclass(frozen=True)
class LoopState:
    """Where the loop is between two iterations: all that a checkpoint must hold of it."""

    cur_nimg: int = 0  # images shown so far
    tick: int = 0  # ticks finished so far
    tick_start_nimg: int = 0  # images shown when the current tick began
    prev_lod: Optional[float] = None  # of the last iteration; None before the first


class Iteration(NamedTuple):
    """One turn of the loop: `minibatch_repeats` × (`D_repeats` D steps, one G step)."""

    cur_nimg: int  # images shown before it
    point: SchedulePoint  # in force throughout it
    reset_optimizers: bool  # before it
    tick_finished: bool  # after it
    done: bool  # after it: this was the last one
    state: LoopState  # after it: what to save


def iterations(
    config: ScheduleConfig,
    resolution: int,
    num_replicas: int,
    total_kimg: float,
    minibatch_repeats: int = 4,
    D_repeats: int = 1,
    state: LoopState = LoopState(),
    reset_opt_for_new_lod: bool = True,
) -> Iterator[Iteration]:
    """Returns the iterations from `state` until `total_kimg` have been shown.

    Starting again from any iteration's `state` gives exactly the iterations that would have
    followed. With `state.cur_nimg` at or above the total there are none.
    Raises UserError for a schedule that cannot work.
    """
    check(config, resolution, num_replicas)
    if minibatch_repeats < 1 or D_repeats < 1:
        raise UserError("minibatch_repeats and D_repeats: expected 1 or more")

    def generate(state: LoopState) -> Iterator[Iteration]:
        while state.cur_nimg < total_kimg * 1000:
            point = schedule(config, state.cur_nimg, resolution, num_replicas)
            # Adam's moments of another mixture of layers mislead: start afresh when a fade
            # begins and when it ends.
            reset = reset_opt_for_new_lod and _stage_changed(state.prev_lod, point.lod)
            cur_nimg = state.cur_nimg + point.minibatch * D_repeats * minibatch_repeats
            done = cur_nimg >= total_kimg * 1000
            at_start = config.tick_at_start and state.prev_lod is None
            due = cur_nimg >= state.tick_start_nimg + point.tick_kimg * 1000 or done
            ticked = due or at_start
            after = LoopState(
                cur_nimg=cur_nimg,
                tick=state.tick + (ticked and not at_start),
                tick_start_nimg=cur_nimg if ticked else state.tick_start_nimg,
                prev_lod=point.lod,
            )
            yield Iteration(state.cur_nimg, point, reset, ticked, done, after)
            state = after

    return generate(state)


def _stage_changed(prev_lod: Optional[float], lod: float) -> bool:
    return prev_lod is None or (
        (math.floor(prev_lod), math.ceil(prev_lod)) != (math.floor(lod), math.ceil(lod))
    )
