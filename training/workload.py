"""How much a run has to do: rounds of each stage, ticks, pictures. By the schedule alone."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from training.config import TrainingConfig
from training.schedule import LoopState, SchedulePoint, iterations

_MOST_ITERATIONS = 50_000  # that are gone through one by one; of longer runs, several at once


def now() -> np.ndarray:
    """[2]: differences of it are seconds, on the clock and of processors, all threads together."""
    return np.array([time.perf_counter(), time.process_time()])


@dataclasses.dataclass
class StageWork:
    """What a run does at one stage with one minibatch."""

    point: SchedulePoint  # the first there
    rounds: float = 0.0  # of the phases that are due

    @property
    def key(self) -> tuple:
        """What makes its steps as long as others'."""
        return self.point.stage, self.point.minibatch, self.point.passes

    @property
    def pixels(self) -> float:
        """Of all images that it shows: a guess at how much it is."""
        return self.rounds * self.point.minibatch * self.point.resolution**2


@dataclasses.dataclass
class Workload:
    """All that a run does from some state on."""

    stages: list[StageWork]
    ticks: int
    pictures: int  # grids of generated images
    snapshots: int  # network-snapshot-….safetensors

    @classmethod
    def of(
        cls,
        config: TrainingConfig,
        resolution: int,
        num_replicas: int,
        state: LoopState | None = None,
    ) -> Workload:
        """Of what is left after `state`."""
        base = config.schedule.minibatch_base
        least = min([base, *config.schedule.minibatch_dict.values()])
        images = least * config.minibatch_repeats * config.D_repeats
        total = config.total_kimg * 1000 / max(images, 1)
        together = max(int(total / _MOST_ITERATIONS), 1)
        stages: dict[tuple, StageWork] = {}
        work = cls([], 0, 0, 0)
        for iteration in iterations(
            config.schedule,
            resolution,
            num_replicas,
            config.total_kimg,
            config.minibatch_repeats * together,
            config.D_repeats,
            state or LoopState(),
        ):
            stage = StageWork(iteration.point)
            stages.setdefault(stage.key, stage).rounds += config.minibatch_repeats * together
            if iteration.tick_finished:
                work._count_tick(config, iteration.state.tick, iteration.done)
        work.stages = list(stages.values())
        return work

    def _count_tick(self, config: TrainingConfig, tick: int, done: bool) -> None:
        self.ticks += 1
        self.pictures += tick % config.image_snapshot_ticks == 0 or done
        self.snapshots += tick % config.network_snapshot_ticks == 0 or tick == 1 or done
