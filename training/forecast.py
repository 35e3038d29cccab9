"""How long a run will take here, how much disk and memory: from a few steps of it.

Each stage's phases are traced and run a few times, with the run's data; everything that is written
between steps is written once, to a temporary directory. Nothing of it stays. Times are arrays [2]:
seconds on the clock, and of processors, all threads together.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import networks
from compute.cluster import read_cluster
from compute.devices import Replicas, make_strategy, silence_xla
from datasets.format.info import write_files
from datasets.format.reader import Dataset, open_dataset
from dnnlib import config as config_lib
from dnnlib.atomic import TEMP_PREFIX
from dnnlib.errors import UserError, explain_os_errors
from dnnlib.progress import format_time
from training import checkpoint, feeding, phases
from training.config import augmentation_of
from training.event_file import EventFile
from training.phases import Phase
from training.pictures import Pictures
from training.report import peak_memory_gb
from training.runs import ResolvedRun
from training.state import TrainingState, create_state
from training.steps import StageSteps, StepSettings
from training.workload import StageWork, Workload, now

BUDGET = 120.0  # seconds of measuring, from which on stages that are not measured are estimated
_LEAST_SECONDS = 1.5  # that a phase's steps are measured for, if they are short ...
_MOST_STEPS = 32  # ... and how many of them at most
_TICK_BYTES = 2500  # in stats.jsonl and TensorBoard, without pictures


@dataclasses.dataclass(frozen=True)
class StageCost:
    """Of a round of all phases, as often as they are due; of tracing them all."""

    round: np.ndarray
    tracing: np.ndarray


@dataclasses.dataclass(frozen=True)
class Maintenance:
    """What writing something once takes."""

    picture: np.ndarray
    picture_bytes: int
    snapshot: np.ndarray
    snapshot_bytes: int
    checkpoint: np.ndarray
    checkpoint_bytes: int


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a run takes. bytes: when it has ended. peak_gb: in 2^30 bytes."""

    training: np.ndarray
    starting: np.ndarray  # building networks and tracing steps
    writing: np.ndarray  # pictures, snapshots and checkpoints
    bytes: int
    peak_gb: float
    kind: str  # of device
    estimated: tuple[int, ...]  # resolutions whose steps were not measured
    left_out: tuple[str, ...]  # metrics
    free: int  # bytes where it would write
    took: float  # seconds of measuring

    @property
    def seconds(self) -> np.ndarray:
        return self.training + self.starting + self.writing

    def lines(self) -> list[str]:
        """For people."""
        memory = "memory of the GPU" if self.kind == "GPU" else "memory of this process"
        lines = [
            f"Forecast   {format_time(self.seconds[0])}: training {format_time(self.training[0])}, "
            f"starting and tracing {format_time(self.starting[0])}, pictures and saving "
            f"{format_time(self.writing[0])}",
            f"           {_size(self.bytes)} on disk at the end; free there: {_size(self.free)}",
            f"           {self.peak_gb:.1f} GiB of {memory}",
            f"           measured in {format_time(self.took)}, with this machine as busy as it is",
        ]
        if self.kind == "CPU":
            lines.insert(1, f"           {format_time(self.seconds[1])} of processor time")
        if self.estimated:
            sizes = ", ".join(f"{size}x{size}" for size in self.estimated)
            lines.append(f"           not measured, but estimated by their pixels: {sizes}")
        if self.left_out:
            lines.append(f"           metrics are not included: {', '.join(self.left_out)}")
        if self.bytes > self.free:
            lines.append("           warning: the disk is too small for that")
        return lines


def measure(run: ResolvedRun, began: np.ndarray, budget: float = BUDGET) -> Forecast:
    """The forecast of a run that was planned; of what is left of it, if it continues.

    began: `now()` before TensorFlow was imported. Raises UserError where the run could not
    start, and for one on several machines.
    """
    if read_cluster().num_workers > 1:
        raise UserError(
            "--measure: TF_CONFIG names several machines, a forecast is of one: unset it"
        )
    started = time.monotonic()
    if run.config.xla:
        tf.config.optimizer.set_jit("autoclustering")
    replicas = Replicas(make_strategy(run.config.num_gpus))
    silence_xla()
    write_files(run.dataset_info)
    replace_damaged = run.config.dataset.replace_damaged
    with open_dataset(run.dataset_info, replace_damaged=replace_damaged) as dataset:
        trial = _Trial(run, dataset, replicas)
        building = now() - began
        work = Workload.of(
            run.config, run.dataset_info.resolution, replicas.total, trial.progress.loop
        )
        costs = _stage_costs(work, trial.stage_cost, started + budget)
        place = _existing(run.run_dir or run.result_dir)
        with _scratch(place) as directory:
            written = trial.maintenance(directory)
        free = shutil.disk_usage(place).free
    return _add_up(
        run,
        work,
        costs,
        written,
        building=building,
        peak_gb=peak_memory_gb(),
        kind=replicas.kind,
        free=free,
        took=time.monotonic() - started,
    )


def _stage_costs(
    work: Workload, measured: Callable[[StageWork], StageCost], stop: float
) -> dict[tuple, StageCost]:
    """{key of a stage: its cost}; those of most work first, as long as there is time.

    A stage that fades costs what the full one of its resolution does, or a little more: one of
    both is measured, the fading one.
    """
    costs: dict[tuple, StageCost] = {}
    fading = {stage.key[0].level for stage in work.stages if stage.key[0].fading}
    for stage in sorted(work.stages, key=lambda stage: -stage.pixels):
        level, fades = stage.key[0]
        if level in fading and not fades:
            continue
        if not costs or time.monotonic() < stop:
            costs[stage.key] = measured(stage)
    return costs


def _cost_of(stage: StageWork, costs: dict[tuple, StageCost]) -> tuple[StageCost, bool]:
    """(the cost of a stage, whether it was measured at its resolution and minibatch)."""
    for (place, minibatch, passes), cost in costs.items():
        same = place.level == stage.point.stage.level
        if same and (minibatch, passes) == (stage.point.minibatch, stage.point.passes):
            return cost, True

    def side(key: tuple) -> int:
        return stage.point.resolution << stage.point.stage.level >> key[0].level

    nearest = min(costs, key=lambda key: abs(key[0].level - stage.point.stage.level))
    pixels = nearest[1] * side(nearest) ** 2
    ratio = stage.point.minibatch * stage.point.resolution**2 / pixels
    # Small images cost more than their pixels.
    return StageCost(costs[nearest].round * ratio**0.75, costs[nearest].tracing), False


def _add_up(
    run: ResolvedRun,
    work: Workload,
    costs: dict[tuple, StageCost],
    written: Maintenance,
    *,
    building: np.ndarray,
    **more: Any,
) -> Forecast:
    config, training, starting = run.config, np.zeros(2), building
    estimated = set()
    for stage in work.stages:
        cost, known = _cost_of(stage, costs)
        training += stage.rounds * cost.round
        starting += cost.tracing
        if not known:
            estimated.add(stage.point.resolution)
    saved = max(
        work.ticks / config.checkpoint_ticks, training[0] / (config.checkpoint_minutes * 60)
    )
    return Forecast(
        training=training,
        starting=starting,
        writing=work.pictures * written.picture
        + (work.snapshots + 1) * written.snapshot
        + saved * written.checkpoint,
        bytes=(work.pictures + 2) * written.picture_bytes
        + (work.snapshots + 1) * written.snapshot_bytes
        + min(int(saved) + 1, checkpoint.KEEP) * written.checkpoint_bytes
        + work.ticks * _TICK_BYTES,
        estimated=tuple(sorted(estimated)),
        left_out=config.metrics.names,
        **more,
    )


class _Trial:
    """The run's networks, and single steps of it."""

    def __init__(self, run: ResolvedRun, dataset: Dataset, replicas: Replicas) -> None:
        self.config, self.dataset, self.replicas = run.config, dataset, replicas
        config = self.config
        self.phases, hooks = phases.phases_of(config), phases.hooks_of(config)
        loss_scaling = config.loss_scaling
        if loss_scaling is None:
            loss_scaling = config.precision == "mixed_float16"
        with replicas.strategy.scope():
            self.state: TrainingState = create_state(
                run.parts.G,
                run.parts.D,
                dataclasses.asdict(config.G_opt),
                dataclasses.asdict(config.D_opt),
                phases=self.phases,
                hooks=hooks,
                loss_scaling=loss_scaling,
                replace_bad_gradients=config.bad_gradients == "replace",
                seed=config.seed,
            )
        saved = None
        if run.continues and run.run_dir is not None:
            saved = checkpoint.restore(run.run_dir, self.state.variables())
        self.progress = saved or checkpoint.Progress()
        self._settings = StepSettings(
            mirror_augment=config.dataset.mirror_augment,
            freeze_d=config.freeze_d,
            augment=augmentation_of(config, dataset.info),
            augment_p=config.augment.p,
        )

    def stage_cost(self, stage: StageWork) -> StageCost:
        """Traces a stage's phases and measures their steps."""
        point, strategy = stage.point, self.replicas.strategy
        steps = StageSteps(
            self.state, point.stage, self.phases, self._settings, strategy, point.passes
        )
        reals = self._reals(stage)
        seconds, tracing = np.zeros(2), np.zeros(2)
        try:
            for phase in self.phases:
                if phase.objective is None:
                    continue
                first = self._timed(steps, phase, stage, reals, 1)
                once = self._timed(steps, phase, stage, reals, 1)
                count = min(max(int(_LEAST_SECONDS / once[0]), 2), _MOST_STEPS)
                each = self._timed(steps, phase, stage, reals, count) / count
                seconds += each * phase.repeats / phase.interval
                tracing += np.maximum(first - each, 0)
        finally:
            reals.close()
        return StageCost(seconds, tracing)

    def _reals(self, stage: StageWork) -> Any:
        """(images, labels) of the stage, as training is fed with them, without end."""
        minibatch, level = stage.point.minibatch, stage.point.stage.level

        def requests() -> Iterator[feeding.Request]:
            position = self.progress.loop.cur_nimg
            while True:
                yield feeding.Request(position, minibatch, level)
                position += minibatch

        return feeding.feed(self.dataset, requests(), self.replicas, self.config.seed)

    def _timed(
        self, steps: StageSteps, phase: Phase, stage: StageWork, reals: Iterator, count: int
    ) -> np.ndarray:
        """Of so many steps of a phase, with the images or labels that they get."""
        point = stage.point
        started = now()
        for number in range(count):
            seed = phase.seed_words(self.config.seed, number)
            if phase.network == "D":
                images, labels = next(reals)
                inputs: tuple = labels, images
            else:
                inputs = (
                    feeding.random_labels(
                        self.dataset, point.minibatch, self.replicas, tuple(seed)
                    ),
                )
            scalars = {
                "alpha": tf.constant(point.alpha, tf.float32),
                "learning_rate": tf.constant(point.lrate(phase.network), tf.float32),
                "ema_beta": tf.constant(0.999),
                "seed": tf.constant(seed, tf.int32),
            }
            values = steps.compiled[phase.name](scalars, *inputs)
        tf.nest.map_structure(float, values)  # waits for the last, which comes after the others
        return now() - started

    def maintenance(self, directory: Path) -> Maintenance:
        """Writes everything once that a run writes again and again."""
        config = self.config
        pictures = Pictures(self.state.Gs, self.dataset, config.grid, config.seed)
        pictures.save_fakes(directory, 0, 0.0)  # traces

        def picture() -> None:
            pixels = pictures.save_fakes(directory, 0, 0.0)
            EventFile(directory).picture(0, "Fakes", pixels)

        def snapshot() -> None:
            state, info = self.state, {"config": config_lib.to_dict(config)}
            path = directory / "network-snapshot-000000.safetensors"
            networks.save(path, G=state.G, D=state.D, Gs=state.Gs, info=info)

        def save() -> None:
            checkpoint.save(directory, self.state.variables(), self.progress)

        return Maintenance(
            *_written(picture, directory),
            *_written(snapshot, directory),
            *_written(save, directory),
        )


def _written(write: Callable[[], None], directory: Path) -> tuple[np.ndarray, int]:
    """(seconds, bytes) that it takes to write something into an empty directory."""
    for path in directory.iterdir():
        path.unlink()
    started = now()
    write()
    return now() - started, _bytes(directory)


def _bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def _existing(path: Path) -> Path:
    """`path`, or the nearest above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if place.is_dir())


@contextlib.contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    """A directory on the disk that the run would write to; it goes again."""
    with explain_os_errors("write to", place):
        directory = tempfile.TemporaryDirectory(prefix=f"{TEMP_PREFIX}forecast-", dir=place)
    with directory as name:
        yield Path(name)


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
