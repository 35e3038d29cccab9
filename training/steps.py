"""The phases' updates at one stage.

Everything random is a function of a seed that the caller gives, folded with the replica
and the purpose; everything that changes during a stage is a tensor. So one stage is traced
once, and the same seeds give the same step.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from compute.devices import assign_local
from networks import fast
from networks.options import OWN
from networks.seeds import fold_in
from training.augmentation import adaptive
from training.augmentation.pipeline import augment
from training.augmentation.transforms import Transforms
from training.losses import Batch, Game
from training.optimizer import Adam
from training.phases import Phase
from training.reals import process_reals
from training.schedule import Stage
from training.state import TrainingState

# Purposes a step's seed is folded with; the generator folds it further, per layer.
_LATENTS, _GENERATOR, _MIRROR, _PENALTY, _OTHER, _AUGMENT = range(6)


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """What does not change during a run."""

    mirror_augment: bool = False
    noise: str | None = None  # None: as the generator was built
    mixing: Any = OWN  # probability of style mixing; OWN: the generator's
    freeze_d: int = 0  # D's first layers that do not train (Mo et al. 2020)
    augment: Transforms | None = None  # what D's images go through
    augment_p: float | None = None  # how strongly; None: as the state's number says


class StageSteps:
    """Every phase's update at one stage.

    compiled: {phase's name: a function under the strategy}. Called with (scalars, labels
    float32 [n, K] per replica) and, for phases that train D, images uint8 [n, H, W, C] per
    replica. scalars: a dict of tensors `alpha` (weight of the lower resolution, unused outside
    fades), `learning_rate`, `ema_beta` (only for phases with the moving average) and `seed`
    (int32 [2]). Returns {name: mean over all images}, float32 scalars.

    passes: a step goes over its images in so many parts of equal size, and adds up their gradients;
    each part is a minibatch of its own to the networks.
    """

    def __init__(
        self,
        state: TrainingState,
        stage: Stage,
        phases: Sequence[Phase],
        settings: StepSettings = StepSettings(),
        strategy: tf.distribute.Strategy | None = None,
        passes: int = 1,
    ):
        self.passes = passes
        self.state, self.stage, self.settings = state, stage, settings
        self.strategy = strategy or tf.distribute.get_strategy()
        self.trained = {network: state.parts[network].trainable(*stage) for network in ("G", "D")}
        for name in state.D.first_variables(settings.freeze_d):
            self.trained["D"].pop(name, None)
        self.sums = {} if passes == 1 else self._make_sums(phases)
        compile_ = self._compile if passes == 1 else self._compile_passes
        self.compiled = {phase.name: compile_(phase) for phase in phases if phase.objective}

    def _compile(self, phase: Phase) -> Callable[..., dict]:
        return self._on_replicas(phase, functools.partial(self._replica_step, phase))

    def _on_replicas(self, phase: Phase, part: Callable[..., dict]) -> Callable[..., dict]:
        """A graph that runs `part` of a phase's step on every replica."""

        def step(*args):
            if phase.network == "D":  # here, because replicas cannot assign to others' variables
                self.state.D.normalize_kernels(*self.stage)
            with fast.using(fast.plan()):  # replicas trace in threads of their own, in this graph
                means = self.strategy.run(part, args)
            return tf.nest.map_structure(
                lambda mean: self.strategy.experimental_local_results(mean)[0], means
            )

        # No Python branches on tensors here; converting them would triple the tracing time.
        return tf.function(step, autograph=False)

    def _replica_step(self, phase, scalars, labels, images=None):
        """One replica's part, from its own seed."""
        batch, seed = self._batch(scalars, labels, images)
        return self.update(phase, batch, scalars, seed)

    def _batch(self, scalars, labels, images):
        seed = _replica_seed(scalars["seed"])
        batch = Batch(
            labels,
            self._latents(seed, labels.shape[0]),
            None if images is None else self._reals(images, self._alpha(scalars), seed),
        )
        return batch, seed

    # ------------------------------------------------------------ several passes

    def _make_sums(self, phases: Sequence[Phase]) -> dict[str, dict[str, tf.Variable]]:
        """{network: {name: variable}} that the passes' gradients are added up in; 0 between steps.

        No phase begins before the one before it has ended, so those of a network share them. Every
        worker makes them in the same order, as they are copied from the first one.
        """
        with self.strategy.scope():
            return {
                network: {
                    name: tf.Variable(tf.zeros(variable.shape), trainable=False)
                    for name, variable in self.trained[network].items()
                }
                for network in dict.fromkeys(phase.network for phase in phases)
            }

    def _compile_passes(self, phase: Phase) -> Callable[..., dict]:
        def one_pass(scalars, labels, images=None):
            size = labels.shape[0] // self.passes
            start = scalars["pass"] * size
            labels = tf.slice(labels, [start, 0], [size, labels.shape[1]])
            if images is not None:
                images = tf.slice(images, [start, 0, 0, 0], [size, *images.shape[1:]])
            batch, seed = self._batch({**scalars, "seed": scalars["pass_seed"]}, labels, images)
            return self.accumulate(phase, batch, scalars, seed)

        def finish(scalars):
            return self.finish(phase, scalars)

        def average(scalars):
            self.update_average(scalars["ema_beta"])
            return {}

        run_pass, run_finish = self._on_replicas(phase, one_pass), self._on_replicas(phase, finish)
        run_average = self._on_replicas(phase, average)

        def step(scalars: dict, *inputs: Any) -> dict:
            means: dict[str, Any] = {}
            if phase.average == "before":
                run_average(scalars)
            for index in range(self.passes):
                # A regulariser of D sees again what the last pass of D's loss saw.
                again = phase.network == "D" and not phase.new_reals
                part = {
                    **scalars,
                    "pass": tf.constant(self.passes - 1 if again else index),
                    "pass_seed": fold_in(scalars["seed"], index),
                }
                for name, value in run_pass(part, *inputs).items():
                    means[name] = means.get(name, 0.0) + value / self.passes
            return {**means, **run_finish(scalars)}

        return step

    def accumulate(
        self,
        phase: Phase,
        batch: Batch,
        scalars: dict[str, tf.Tensor],
        seed: tf.Tensor,
        mixing_factors: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """One pass of a step; arguments as of `update`."""
        gradients, means = self._gradients(phase, batch, scalars, seed, mixing_factors)
        for total, gradient in zip(self.sums[phase.network].values(), gradients):
            assign_local(total, total + gradient / self.passes)
        return _means(means, {})

    def finish(self, phase: Phase, scalars: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The update by what the passes have added up."""
        totals = list(self.sums[phase.network].values())
        # Copies: workers reduce to where a tensor was made, and a variable's value does not say.
        gradients = [tf.identity(total) for total in totals]
        skipped = self._apply(phase, gradients, scalars)
        for total in totals:
            assign_local(total, tf.zeros(total.shape))
        return _means({}, {f"{phase.name}_overflow": skipped})

    # ------------------------------------------------------------ one update

    def update(
        self,
        phase: Phase,
        batch: Batch,
        scalars: dict[str, tf.Tensor],
        seed: tf.Tensor,
        mixing_factors: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """One update, and the moving average if it comes with this phase.

        seed: the replica's, int32 [2]. mixing_factors: Game's; None draws them.
        """
        if phase.average == "before":  # G's own average is then not yet that of D's fakes
            self.update_average(scalars["ema_beta"])
        gradients, means = self._gradients(phase, batch, scalars, seed, mixing_factors)
        skipped = self._apply(phase, gradients, scalars)
        return _means(means, {f"{phase.name}_overflow": skipped})

    def _gradients(self, phase, batch, scalars, seed, mixing_factors):
        """(gradients of the scaled loss, {name: value per image})."""
        if mixing_factors is None and batch.reals is not None:
            mixing_factors = tf.random.stateless_uniform(
                [batch.labels.shape[0], 1, 1, 1], fold_in(seed, _PENALTY), alg="philox"
            )
        variables, optimizer = self.trained[phase.network], self.state.parts[phase.optimizer]
        game = self.game(optimizer, self._alpha(scalars), seed, mixing_factors)
        judged: list[tf.Tensor] = []  # scores of real images
        if self.settings.augment:
            game = self._augmented(game, batch.reals, seed, judged)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(variables.values()))
            loss, terms = phase.objective(game, batch)
            scaled = optimizer.scale_loss(tf.reduce_mean(loss) * phase.interval)
        gradients = tape.gradient(
            scaled, list(variables.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        if judged and self.settings.augment_p is None:
            adaptive.count_signs(self.state.numbers, tf.sign(tf.concat(judged, axis=0)))
        real = judged[0] if judged else terms.get("scores/real")
        signs = {} if real is None else {"signs/real": tf.sign(real)}
        return gradients, {phase.name: loss, **signs, **terms}

    def _apply(self, phase, gradients, scalars):
        """The update, and Gs if it follows; returns whether it was skipped, as `Adam.apply`."""
        skipped = self.state.parts[phase.optimizer].apply(
            list(self.trained[phase.network]), gradients, scalars["learning_rate"]
        )
        if phase.average == "after":
            self.update_average(scalars["ema_beta"])
        return skipped

    # ------------------------------------------------------------ parts

    def _alpha(self, scalars):
        return scalars["alpha"] if self.stage.fading else None

    def _latents(self, seed, minibatch):
        shape = [minibatch, self.state.G.latent_size]
        return _normal(shape, fold_in(seed, _LATENTS))

    def _reals(self, images, alpha, seed):
        mirror = None
        if self.settings.mirror_augment:
            draw = tf.random.stateless_uniform(
                [images.shape[0]], fold_in(seed, _MIRROR), alg="philox"
            )
            mirror = draw < 0.5
        return process_reals(images, alpha, mirror)

    def game(
        self,
        optimizer: Adam,
        alpha: tf.Tensor | None,
        seed: tf.Tensor,
        mixing_factors: tf.Tensor | None,
    ) -> Game:
        """The networks as an objective sees them; alpha: None outside fades."""
        G, D, level, settings = self.state.G, self.state.D, self.stage.level, self.settings
        G_seed = fold_in(seed, _GENERATOR)
        return Game(
            discriminate=lambda images, labels: D.stage(images, labels, level, alpha),
            codes=lambda z, labels: G.training_codes(
                z, labels, level, G_seed, mixing=settings.mixing
            ),
            render=lambda codes: G.render(codes, level, alpha, noise=settings.noise, seed=G_seed),
            level=level,
            scale_loss=optimizer.scale_loss,
            unscale=optimizer.unscale,
            mixing_factors=mixing_factors,
            numbers=self.state.numbers,
            normal=lambda shape: _normal(shape, fold_in(seed, _OTHER)),
        )

    def _augmented(
        self, game: Game, reals: tf.Tensor | None, seed: tf.Tensor, judged: list[tf.Tensor]
    ) -> Game:
        """The same with a D that sees what augmentations leave of images, drawn anew at each look.

        judged: scores of `reals` are appended.
        """
        transforms, p = self.settings.augment, self.settings.augment_p
        strength = tf.convert_to_tensor(self.state.numbers[adaptive.P] if p is None else p)
        looks = itertools.count()

        def discriminate(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
            own_seed = fold_in(fold_in(seed, _AUGMENT), next(looks))
            shown = augment(tf.cast(images, tf.float32), transforms, strength, own_seed)
            scores = game.discriminate(shown, labels)
            if images is reals:
                judged.append(scores)
            return scores

        return dataclasses.replace(game, discriminate=discriminate)

    def update_average(self, beta):
        """Gs ← lerp(G, Gs, β) for what this stage trains; what G tracks is copied."""
        G, Gs = self.state.G.named, self.state.Gs.named
        for name in self.trained["G"]:
            current, average = tf.convert_to_tensor(G[name]), tf.convert_to_tensor(Gs[name])
            assign_local(Gs[name], current + (average - current) * beta)
        for name in self.state.G.tracked:
            assign_local(Gs[name], tf.convert_to_tensor(G[name]))


def _normal(shape, seed):
    return tf.random.stateless_normal(shape, seed, alg="philox")


def _replica_seed(seed):
    replica = tf.distribute.get_replica_context()
    return fold_in(seed, replica.replica_id_in_sync_group)


def _means(per_image: dict, scalars: dict) -> dict:
    """{name: scalar}, per-image values averaged over this and all other replicas."""
    means = {name: tf.reduce_mean(value) for name, value in per_image.items()}
    means.update(scalars)
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
        packed = replica.all_reduce(tf.distribute.ReduceOp.MEAN, tf.stack(list(means.values())))
        means = dict(zip(means, tf.unstack(packed, len(means))))
    return means


def ema_beta(
    minibatch: int, smoothing_kimg: float, rampup: float | None = None, cur_nimg: int = 0
) -> float:
    """β of the moving average: half-life `smoothing_kimg`; 0 keeps no memory.

    rampup: the half-life is at most that part of the images shown so far, cur_nimg, so that Gs does
    not remember G's first steps (StyleGAN2-ADA).
    """
    images = smoothing_kimg * 1000
    if rampup is not None:
        images = min(images, cur_nimg * rampup)
    return 0.5 ** (minibatch / max(images, 1e-8)) if smoothing_kimg > 0 else 0.0
