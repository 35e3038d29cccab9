"""The training loop, top to bottom."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import time
from pathlib import Path

import tensorflow as tf

import networks
from compute.devices import Replicas, make_strategy, silence_xla
from datasets.format.reader import inspect, open_dataset
from dnnlib import atomic, config as config_lib, run_dirs
from training import checkpoint, feeding
from training.config import TrainingConfig, check_minibatches, network_options
from training.pictures import Pictures
from training.report import Means, Report, peak_memory_gb
from training.schedule import LoopState, iterations
from training.signals import StopRequest
from training.state import create_state
from training.steps import StageSteps, StepSettings, ema_beta
from training.transfer import transfer


def train(
    config: TrainingConfig,
    run_dir,
    *,
    resume_from=None,
    strategy=None,
    make_evaluator=None,
    parts=None,
    dataset_info=None,
) -> int:
    """Trains in `run_dir` until config.total_kimg, from its newest checkpoint if it has one.

    resume_from: a snapshot whose weights a new run starts from. strategy: for tests; by
    default the machine's devices decide. make_evaluator: (config, run_dir, replicas, say, stop)
    → a context manager whose value is called with the path of every snapshot, after the
    checkpoint that goes with it (metrics/snapshots.py). parts, dataset_info: networks' options and
    data set as training/runs.py resolved them; None: they follow from config. Returns the
    program's exit code: 0 when done, 128 + the signal's number when Ctrl-C or SIGTERM ended it
    early (after saving). Raises UserError for what the user can mend.
    """
    run_dir = Path(run_dir)
    if config.xla:
        tf.config.optimizer.set_jit("autoclustering")
    replicas = Replicas(strategy or make_strategy(config.num_gpus))
    silence_xla()
    report = Report(run_dir, enabled=replicas.is_chief)
    dataset_info = dataset_info or inspect_dataset(config)
    opened = open_dataset(dataset_info, replace_damaged=config.dataset.replace_damaged)
    locked = run_dirs.lock(run_dir) if replicas.is_chief else contextlib.nullcontext()
    with locked, opened as dataset, StopRequest() as stop:
        G, D = (parts.G, parts.D) if parts else network_options(config, dataset.info)
        check_minibatches(config, dataset.info, replicas.total, D)
        run = _Run(config, run_dir, dataset, replicas, report, (G, D))
        evaluator = contextlib.nullcontext()
        if make_evaluator is not None and replicas.is_chief:
            evaluator = make_evaluator(
                config, run_dir, replicas, report.say, lambda: stop.signal is not None
            )
        try:
            with evaluator as run.evaluate:
                run.start(resume_from)
                return run.loop(stop)
        finally:
            report.close()


def inspect_dataset(config: TrainingConfig):
    chosen = config.dataset
    return inspect(
        chosen.name,
        chosen.data_dir,
        resolution=chosen.resolution,
        max_label_size=chosen.max_label_size,
    )


@dataclasses.dataclass
class Progress:
    """What a checkpoint holds besides variables."""

    loop: LoopState = dataclasses.field(default_factory=LoopState)
    D_steps: int = 0
    G_steps: int = 0
    seconds: float = 0.0  # training time up to the checkpoint
    means: dict = dataclasses.field(default_factory=dict)  # of the unfinished tick

    def to_json(self) -> dict:
        return {**dataclasses.asdict(self), "cur_nimg": self.loop.cur_nimg}

    @classmethod
    def from_json(cls, data: dict) -> Progress:
        data = {key: value for key, value in data.items() if key != "cur_nimg"}
        return cls(**{**data, "loop": LoopState(**data["loop"])})


class _Run:
    def __init__(self, config, run_dir, dataset, replicas, report, options):
        self.config, self.run_dir, self.dataset = config, run_dir, dataset
        self.options = options  # of G and of D
        self.replicas, self.report = replicas, report
        self.progress = Progress()
        self.evaluate = None  # called with each snapshot's path
        self.steps = None  # StageSteps of the current stage
        self.settings = StepSettings(
            G_loss=config.G_loss,
            D_loss=config.D_loss,
            mirror_augment=config.dataset.mirror_augment,
        )

    def start(self, resume_from):
        """Builds everything, then restores, transfers or begins."""
        config, report = self.config, self.report
        loss_scaling = config.loss_scaling
        if loss_scaling is None:
            loss_scaling = config.precision == "mixed_float16"
        with self.replicas.strategy.scope():
            self.state = create_state(
                *self.options,
                dataclasses.asdict(config.G_opt), dataclasses.asdict(config.D_opt),
                loss_scaling=loss_scaling, seed=config.seed,
            )  # fmt: skip
        self.pictures = Pictures(self.state.Gs, self.dataset, config.grid, config.seed)
        report.say(
            f"Parameters: G {_count(self.state.G):,}, D {_count(self.state.D):,}; "
            f"{self.replicas.total} replica(s) on {self.replicas.kind}, {config.precision}"
        )
        if self.replicas.is_chief:
            atomic.clean_stale(self.run_dir)
        saved = checkpoint.restore(self.run_dir, self.state.variables())
        report.drop_after(saved["cur_nimg"] if saved else 0)
        if saved is not None:
            self.progress = Progress.from_json(saved)
            report.say(f"Continuing at {self.progress.loop.cur_nimg / 1000:.1f} kimg")
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

    def _iterations(self):
        config = self.config
        return iterations(
            config.schedule, self.dataset.info.resolution, self.replicas.total,
            config.total_kimg, config.minibatch_repeats, config.D_repeats,
            self.progress.loop, config.reset_opt_for_new_lod,
        )  # fmt: skip

    def loop(self, stop: StopRequest) -> int:
        """The iterations. Everything between two of them is a function of the progress."""
        config, progress, report = self.config, self.progress, self.report
        means = Means(progress.means)
        batches = feeding.feed(
            self.dataset,
            feeding.requests(self._iterations(), config.minibatch_repeats, config.D_repeats),
            self.replicas,
            config.seed,
        )
        clock = Clock(progress.seconds, progress.loop.cur_nimg)
        for iteration in self._iterations():
            point = iteration.point
            if iteration.reset_optimizers:
                self.state.reset_optimizers()
            self._enter_stage(point.stage)

            # Train: D, then the moving average (within D's step), then G.
            for _ in range(config.minibatch_repeats):
                for _ in range(config.D_repeats):
                    means.add(self._discriminator_step(point, *next(batches)))
                means.add(self._generator_step(point))

            # Report and save.
            progress.loop = iteration.state
            shown = progress.loop.cur_nimg - clock.tick_start_nimg
            report.progress(
                shown / (point.tick_kimg * 1000), f"kimg {progress.loop.cur_nimg / 1000:.1f}"
            )
            stopping = self.replicas.any(stop.signal is not None)
            save = stopping or clock.since_checkpoint() > config.checkpoint_minutes * 60
            if iteration.tick_finished:
                self._finish_tick(iteration, means, clock)
                means = Means()
                due = progress.loop.tick % config.checkpoint_ticks == 0
                save = save or due or iteration.done
            # The same on every machine, although the chief alone evaluates.
            evaluating = bool(config.metrics.names) and self._snapshot_due(iteration)
            if save or evaluating:  # what is saved need not be trained again after a stop
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
                report.say(f"Stopped at {progress.loop.cur_nimg / 1000:.1f} kimg; saved.")
                return 128 + (stop.signal or signal.SIGTERM)
        self._finish()
        return 0

    def _enter_stage(self, stage):
        if self.steps is None or self.steps.stage != stage:
            self.steps = StageSteps(self.state, stage, self.settings, self.replicas.strategy)

    def _scalars(self, point, learning_rate, seed_words):
        return {
            "alpha": tf.constant(point.alpha, tf.float32),
            "learning_rate": tf.constant(learning_rate, tf.float32),
            "ema_beta": tf.constant(ema_beta(point.minibatch, self.config.G_smoothing_kimg)),
            "seed": tf.constant(seed_words, tf.int32),
        }

    def _discriminator_step(self, point, images, labels):
        # Even seeds are the discriminator's, odd ones the generator's.
        seed = [self.config.seed, 2 * self.progress.D_steps]
        self.progress.D_steps += 1
        return self.steps.discriminator(images, labels, self._scalars(point, point.D_lrate, seed))

    def _generator_step(self, point):
        seed = [self.config.seed, 2 * self.progress.G_steps + 1]
        self.progress.G_steps += 1
        labels = feeding.random_labels(self.dataset, point.minibatch, self.replicas, tuple(seed))
        return self.steps.generator(labels, self._scalars(point, point.G_lrate, seed))

    def _finish_tick(self, iteration, means, clock):
        point, loop, config = iteration.point, iteration.state, self.config
        values = means.means()  # waits for the steps, so it comes before the clock is read
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
        self.report.tick(record, values)
        self.state.set_lod(point.lod)
        if not self.replicas.is_chief:
            return
        if loop.tick % config.image_snapshot_ticks == 0 or iteration.done:
            pixels = self.pictures.save_fakes(self.run_dir, loop.cur_nimg, point.lod)
            self.report.picture("Fakes", pixels, loop.cur_nimg)
        if self._snapshot_due(iteration):
            self._save_networks(self._snapshot_path())

    def _snapshot_due(self, iteration) -> bool:
        tick, every = iteration.state.tick, self.config.network_snapshot_ticks
        return iteration.tick_finished and (tick % every == 0 or tick == 1 or iteration.done)

    def _snapshot_path(self) -> Path:
        kimg = self.progress.loop.cur_nimg // 1000
        return self.run_dir / f"network-snapshot-{kimg:06d}.safetensors"

    def _evaluate(self):
        if self.evaluate:
            self.evaluate(self._snapshot_path())

    def _save_networks(self, path):
        networks.save(
            path,
            G=self.state.G, D=self.state.D, Gs=self.state.Gs,
            info={
                "cur_nimg": self.progress.loop.cur_nimg,
                "dataset": self.dataset.info.name,
                "config": config_lib.to_dict(self.config),
            },
        )  # fmt: skip

    def _save_checkpoint(self):
        if self.replicas.is_chief:
            checkpoint.save(self.run_dir, self.state.variables(), self.progress.to_json())

    def _finish(self):
        if self.replicas.is_chief:
            self._save_networks(self.run_dir / "network-final.safetensors")
        self.report.say(
            f"Done: {self.progress.loop.cur_nimg / 1000:.1f} kimg.\n"
            f"  pictures     {self.run_dir}/fakes*.png, next to reals.png\n"
            f"  network      {self.run_dir}/network-final.safetensors\n"
            f"  TensorBoard  tensorboard --logdir={self.run_dir}\n"
            f"  more images  python run_generator.py grid "
            f"--network={self.run_dir}/network-final.safetensors"
        )


class Clock:
    """Times, in seconds: of ticks, of the maintenance between them, since the checkpoint."""

    def __init__(self, seconds_before: float, cur_nimg: int):
        now = time.monotonic()
        self._start = now - seconds_before
        self._tick_end = self._checkpoint = now
        self.start_tick(cur_nimg)

    def total(self) -> float:
        return time.monotonic() - self._start

    def start_tick(self, cur_nimg: int) -> None:
        self._tick_start, self.tick_start_nimg = time.monotonic(), cur_nimg

    def end_tick(self) -> tuple[float, float]:
        """(length of the tick that ends now, of the maintenance before it)."""
        now = time.monotonic()
        lengths = now - self._tick_start, self._tick_start - self._tick_end
        self._tick_end = now
        return lengths

    def checkpoint_saved(self) -> None:
        self._checkpoint = time.monotonic()

    def since_checkpoint(self) -> float:
        return time.monotonic() - self._checkpoint


def _count(network) -> int:
    return sum(int(tf.size(variable)) for variable in network.trainable().values())
