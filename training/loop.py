"""The training loop, top to bottom."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Callable

import tensorflow as tf

import networks
from compute.devices import Replicas, lost_peers_explained, make_strategy, silence_xla
from datasets.format.info import DatasetInfo
from datasets.format.reader import Dataset, open_dataset
from dnnlib import atomic, config as config_lib, run_dirs
from networks.base import Network
from training import checkpoint, feeding, phases
from training.augmentation.adaptive import P
from training.check_list import CHECKS, PREFIX, facts_of
from training.checkpoint import Progress
from training.checks import Checks
from training.choices import Parts
from training.config import (
    TrainingConfig,
    augmentation_of,
    check_minibatches,
    inspect_dataset,
    network_options,
)
from training.divergence import Watch
from training.evidence import Evidence
from training.phases import Phase
from training.pictures import Pictures
from training.report import Clock, Means, Report, peak_memory_gb
from training.schedule import Iteration, SchedulePoint, iterations
from training.signals import StopRequest
from training.state import create_state
from training.steps import StageSteps, StepSettings, ema_beta
from training.transfer import check_freezing, transfer

_LOST = "start all of them again with the same command: they continue from the newest checkpoint"


@lost_peers_explained(_LOST)
def train(
    config: TrainingConfig,
    run_dir: str | os.PathLike,
    *,
    resume_from: str | os.PathLike | None = None,
    strategy: tf.distribute.Strategy | None = None,
    make_evaluator: Callable[..., AbstractContextManager] | None = None,
    parts: Parts | None = None,
    dataset_info: DatasetInfo | None = None,
    locked: bool = False,
) -> int:
    """Trains in `run_dir` until config.total_kimg, from its newest checkpoint if it has one.

    resume_from: a snapshot whose weights a new run starts from. strategy: for tests; by
    default the machine's devices decide. make_evaluator: (config, run_dir, replicas, say, stop)
    → a context manager whose value is called with the path of every snapshot, after the
    checkpoint that goes with it (metrics/snapshots.py). parts, dataset_info: networks' options and
    data set as training/runs.py resolved them; None: they follow from config. locked: whether the
    caller has the lock of `run_dir`. Returns the program's exit code: 0 when done, 128 + the
    signal's number when Ctrl-C or SIGTERM ended it early (after saving). Raises UserError for what
    the user can mend.
    """
    run_dir = Path(run_dir)
    if config.xla:
        tf.config.optimizer.set_jit("autoclustering")
    replicas = Replicas(strategy or make_strategy(config.num_gpus))
    silence_xla()
    report = Report(run_dir, enabled=replicas.is_chief)
    dataset_info = dataset_info or inspect_dataset(config.dataset)
    opened = open_dataset(dataset_info, replace_damaged=config.dataset.replace_damaged)
    ours = locked or not replicas.is_chief
    lock = contextlib.nullcontext() if ours else run_dirs.lock(run_dir)
    with lock, opened as dataset, StopRequest() as stop:
        G, D = (parts.G, parts.D) if parts else network_options(config, dataset.info)
        check_minibatches(config, dataset.info, replicas.total, D)
        run = _Run(config, run_dir, dataset, replicas, report, (G, D))
        evaluator: Any = contextlib.nullcontext()
        if make_evaluator is not None and replicas.is_chief:
            evaluator = make_evaluator(
                config, run_dir, replicas, report.say, lambda: stop.signal is not None
            )
        try:
            with evaluator as run.evaluate:
                run.start(resume_from)
                return run.loop(stop)
        finally:
            run.close()
            report.close()


class _Run:
    """One run; everything between two of its iterations is a function of state and progress."""

    def __init__(
        self,
        config: TrainingConfig,
        run_dir: Path,
        dataset: Dataset,
        replicas: Replicas,
        report: Report,
        options: tuple[dict, dict],
    ):
        self.config, self.run_dir, self.dataset = config, run_dir, dataset
        self.options = options  # of G and of D
        self.replicas, self.report = replicas, report
        self.progress = Progress()
        self.phases, self.hooks = phases.phases_of(config), phases.hooks_of(config)
        self.evaluate: Callable[[Path], None] | None = None  # called with each snapshot's path
        self.evidence: Evidence | None = None  # of its checks
        self.steps: StageSteps | None = None  # of the current stage
        self.reals: tuple | None = None  # (images, labels) that D saw last

    def start(self, resume_from: str | os.PathLike | None) -> None:
        """Builds everything, then restores, transfers or begins."""
        config, report = self.config, self.report
        self._build()
        report.say(
            f"Parameters: G {_count(self.state.G):,}, D {_count(self.state.D):,}; "
            f"{self.replicas.total} replica(s) on {self.replicas.kind}, {config.precision}"
        )
        if self.replicas.is_chief:
            atomic.clean_stale(self.run_dir)
        saved = checkpoint.restore(self.run_dir, self.state.variables())
        report.drop_after(saved.loop.cur_nimg if saved else 0)
        if saved is not None:
            self.progress = saved
            report.say(f"Continuing at {saved.loop.cur_nimg / 1000:.1f} kimg")
            if self._snapshot_path().exists():  # its evaluation may not have come to an end
                self._evaluate()
            return
        if resume_from:
            for line in transfer(self.state, resume_from):
                report.say(line)
        if self.replicas.is_chief:
            report.picture("Reals", self.pictures.save_reals(self.run_dir), 0)
            first = next(self._iterations(), None)
            if first is not None:
                self.pictures.save_fakes(self.run_dir, 0, first.point.lod)

    def close(self) -> None:
        if self.evidence is not None:
            self.evidence.close()

    def _build(self) -> None:
        config = self.config
        loss_scaling = config.loss_scaling
        if loss_scaling is None:
            loss_scaling = config.precision == "mixed_float16"
        with self.replicas.strategy.scope():
            self.state = create_state(
                *self.options,
                dataclasses.asdict(config.G_opt),
                dataclasses.asdict(config.D_opt),
                phases=self.phases,
                hooks=self.hooks,
                loss_scaling=loss_scaling,
                replace_bad_gradients=config.bad_gradients == "replace",
                seed=config.seed,
            )
        check_freezing(self.state.D, config.freeze_d)
        self.pictures = Pictures(self.state.Gs, self.dataset, config.grid, config.seed)
        if config.checks and self.replicas.is_chief:
            sampler, replicas = self.pictures.sampler, self.replicas.total
            self.report.checks = Checks(facts_of(config), CHECKS)
            self.evidence = Evidence(self.state, self.dataset, sampler, config.seed, replicas)

    def loop(self, stop: StopRequest) -> int:
        """The iterations; returns the program's exit code."""
        config, progress, report = self.config, self.progress, self.report
        means = Means(progress.means)
        watch = Watch(self.phases, self.state.parts, config.diverged_ticks)
        batches = self._batches()
        clock = Clock(progress.seconds, progress.loop.cur_nimg)
        for iteration in self._iterations():
            point = iteration.point
            if iteration.reset_optimizers:
                self.state.reset_optimizers()
            self._enter_stage(point)

            watch.start_iteration()
            # Train: the phases that are due, in their order, and what adapts to them.
            for _ in range(config.minibatch_repeats):
                for phase in phases.due(self.phases, progress.rounds):
                    means.add(watch.add(self._step(phase, point, batches)))
                progress.rounds += 1
                for hook in self.hooks:
                    if progress.rounds % hook.interval == 0:
                        hook.adapt(self.state, point)

            # Report and save.
            progress.loop = iteration.state
            shown = progress.loop.cur_nimg - clock.tick_start_nimg
            report.progress(
                shown / (point.tick_kimg * 1000), f"kimg {progress.loop.cur_nimg / 1000:.1f}"
            )
            stopping = self.replicas.any(stop.signal is not None)
            save = stopping or clock.since_checkpoint() > config.checkpoint_minutes * 60
            # A diverged run saves nothing, so that the last good checkpoint stays.
            usable = not ((save or iteration.tick_finished) and watch.stalled())
            if iteration.tick_finished:
                values = means.means()  # waits for the steps, so it comes before the clock is read
                self._finish_tick(iteration, values, clock, usable)
                watch.finish_tick(values, iteration.done, self.run_dir)
                means = Means()
                due = progress.loop.tick % config.checkpoint_ticks == 0
                save = save or due or iteration.done
            # The same on every machine, although the chief alone evaluates.
            evaluating = usable and bool(config.metrics.names) and self._snapshot_due(iteration)
            if usable and (
                save or evaluating
            ):  # what is saved need not be trained again after a stop
                progress.means, progress.seconds = means.totals(), clock.total()
                self._save_checkpoint()
                clock.checkpoint_saved()
            if evaluating and not stopping:
                self._evaluate()
                stopping = self.replicas.any(stop.signal is not None)
            if iteration.tick_finished:
                clock.start_tick(progress.loop.cur_nimg)
            if stopping and (evaluating or not iteration.done):
                batches.close()
                saved = "saved" if usable else "not saved, for its last steps were not usable"
                report.say(f"Stopped at {progress.loop.cur_nimg / 1000:.1f} kimg; {saved}.")
                return 128 + (stop.signal or signal.SIGTERM)
        self._finish()
        return 0

    # ------------------------------------------------------------ training

    def _iterations(self) -> Iterator[Iteration]:
        """From where the progress is."""
        config = self.config
        return iterations(
            config.schedule,
            self.dataset.info.resolution,
            self.replicas.total,
            config.total_kimg,
            config.minibatch_repeats,
            config.D_repeats,
            self.progress.loop,
            config.reset_opt_for_new_lod,
        )

    def _batches(self) -> Generator[tuple, None, None]:
        """(images, labels) of the iterations' steps, read ahead."""
        config = self.config
        requests = feeding.requests(self._iterations(), config.minibatch_repeats, config.D_repeats)
        return feeding.feed(self.dataset, requests, self.replicas, config.seed)

    def _enter_stage(self, point: SchedulePoint) -> None:
        if self.steps is None or self.steps.stage != point.stage:
            settings = StepSettings(
                mirror_augment=self.config.dataset.mirror_augment,
                freeze_d=self.config.freeze_d,
                augment=augmentation_of(self.config, self.dataset.info),
                augment_p=self.config.augment.p,
            )
            strategy = self.replicas.strategy
            self.steps = StageSteps(
                self.state, point.stage, self.phases, settings, strategy, point.passes
            )

    def _step(self, phase: Phase, point: SchedulePoint, batches: Iterator[tuple]) -> dict:
        """One step of a phase; returns its means."""
        config, steps = self.config, self.progress.steps
        # Rounds of this iteration that are over are not in cur_nimg yet.
        rounds = self.progress.rounds % config.minibatch_repeats
        shown = self.progress.loop.cur_nimg + rounds * point.minibatch * config.D_repeats
        number = steps.get(phase.name, 0)
        steps[phase.name] = number + 1
        seed = phase.seed_words(config.seed, number)
        if phase.new_reals:
            self.reals = next(batches)
        if phase.network == "D":
            images, labels = self.reals
            inputs: tuple = labels, images
        else:
            inputs = (
                feeding.random_labels(self.dataset, point.minibatch, self.replicas, tuple(seed)),
            )
        scalars = {
            "alpha": tf.constant(point.alpha, tf.float32),
            "learning_rate": tf.constant(point.lrate(phase.network), tf.float32),
            "ema_beta": tf.constant(
                ema_beta(point.minibatch, config.G_smoothing_kimg, config.G_smoothing_rampup, shown)
            ),
            "seed": tf.constant(seed, tf.int32),
        }
        return self.steps.compiled[phase.name](scalars, *inputs)

    # ------------------------------------------------------------ between iterations

    def _finish_tick(
        self, iteration: Iteration, values: dict[str, float], clock: Clock, usable: bool
    ) -> None:
        """values: means of the tick's steps; usable: whether the networks are worth a snapshot."""
        point, loop, config = iteration.point, iteration.state, self.config
        shown_kimg = (loop.cur_nimg - clock.tick_start_nimg) / 1000
        seconds, maintenance = clock.end_tick()
        record = {
            "cur_nimg": loop.cur_nimg,
            "Progress/tick": loop.tick,
            "Progress/kimg": loop.cur_nimg / 1000,
            "Progress/lod": point.lod,
            "Progress/resolution": point.resolution,
            "Progress/minibatch": point.minibatch,
            "Rates/G": point.G_lrate,
            "Rates/D": point.D_lrate,
            "Timing/total_sec": clock.total(),
            "Timing/sec_per_tick": seconds,
            "Timing/sec_per_kimg": seconds / shown_kimg,
            "Timing/maintenance_sec": maintenance,
            "Resources/memory_gb": peak_memory_gb(),
        }
        if P in self.state.numbers:
            record["Progress/augment"] = float(self.state.numbers[P].numpy())
        if self.evidence is not None:
            gathered = self.evidence.gather(point, loop.tick, loop.cur_nimg)
            record["Timing/checks_sec"] = clock.since_tick_ended()
            record.update({PREFIX + name: value for name, value in gathered.items()})
        self.report.tick(record, values)
        self.state.set_lod(point.lod)
        if not self.replicas.is_chief:
            return
        if loop.tick % config.image_snapshot_ticks == 0 or iteration.done:
            pixels = self.pictures.save_fakes(self.run_dir, loop.cur_nimg, point.lod)
            self.report.picture("Fakes", pixels, loop.cur_nimg)
        if usable and self._snapshot_due(iteration):
            self._save_networks(self._snapshot_path())

    def _snapshot_due(self, iteration: Iteration) -> bool:
        tick, every = iteration.state.tick, self.config.network_snapshot_ticks
        return iteration.tick_finished and (tick % every == 0 or tick == 1 or iteration.done)

    def _snapshot_path(self) -> Path:
        kimg = self.progress.loop.cur_nimg // 1000
        return self.run_dir / f"network-snapshot-{kimg:06d}.safetensors"

    def _evaluate(self) -> None:
        if self.evaluate:
            self.evaluate(self._snapshot_path())

    def _save_networks(self, path: Path) -> None:
        networks.save(
            path,
            G=self.state.G,
            D=self.state.D,
            Gs=self.state.Gs,
            info={
                "cur_nimg": self.progress.loop.cur_nimg,
                "dataset": self.dataset.info.name,
                "config": config_lib.to_dict(self.config),
            },
        )

    def _save_checkpoint(self) -> None:
        if self.replicas.is_chief:
            checkpoint.save(self.run_dir, self.state.variables(), self.progress)

    def _finish(self) -> None:
        if self.replicas.is_chief:
            self._save_networks(self.run_dir / "network-final.safetensors")
        self.report.say(
            f"Done: {self.progress.loop.cur_nimg / 1000:.1f} kimg.\n"
            f"  pictures     {self.run_dir}/fakes*.png, next to reals.png\n"
            f"  network      {self.run_dir}/network-final.safetensors\n"
            f"  TensorBoard  tensorboard --logdir={self.run_dir}\n"
            f"  more images  python run_generator.py grid "
            f"--network={self.run_dir}/network-final.safetensors\n"
            f"  explore it   python run_generator.py explore --network={self.run_dir}"
        )


def _count(network: Network) -> int:
    return sum(int(tf.size(variable)) for variable in network.trainable().values())
