"""The discriminator's and the generator's update at one stage.

Everything random is a function of a seed that the caller gives, folded with the replica
and the purpose; everything that changes during a stage is a tensor. So one stage is traced
once, and the same seeds give the same step.
"""

from __future__ import annotations

import dataclasses
import functools

import tensorflow as tf

from compute.devices import assign_local
from networks.options import OWN
from networks.seeds import fold_in
from training.losses import LOSSES, Game
from training.reals import process_reals

# Purposes a step's seed is folded with; the generator folds it further, per layer.
_LATENTS, _GENERATOR, _MIRROR, _PENALTY = range(4)


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """What does not change during a run."""

    G_loss: dict  # func_name and its keywords
    D_loss: dict
    mirror_augment: bool = False
    noise: str | None = None  # None: as the generator was built
    mixing: object = OWN  # probability of style mixing; OWN: the generator's


def _loss(config):
    config = dict(config)
    return functools.partial(LOSSES[config.pop("func_name")], **config)


class StageSteps:
    """Both updates for one stage, each one tf.function under the strategy.

    discriminator(images, labels, scalars): images uint8 [n, H, W, C] and labels float32
    [n, K] per replica. generator(labels, scalars). scalars: a dict of tensors `alpha` (weight
    of the lower resolution, unused outside fades), `learning_rate`, `ema_beta` (discriminator
    only) and `seed` (int32 [2]). Both return {name: mean over all images}, float32 scalars.
    """

    def __init__(self, state, stage, settings: StepSettings, strategy=None):
        self.state, self.stage, self.settings = state, stage, settings
        self.strategy = strategy or tf.distribute.get_strategy()
        self.G_variables = state.G.trainable(*stage)
        self.D_variables = state.D.trainable(*stage)
        normalize = functools.partial(state.D.normalize_kernels, *stage)
        self.discriminator = self._compile(self._discriminator_replica, normalize)
        self.generator = self._compile(self._generator_replica)

    def _compile(self, replica_step, prepare=lambda: None):
        def step(*args):
            prepare()  # here, because replicas cannot assign to the others' variables
            means = self.strategy.run(replica_step, args)
            return tf.nest.map_structure(
                lambda mean: self.strategy.experimental_local_results(mean)[0], means
            )

        # No Python branches on tensors here; converting them would triple the tracing time.
        return tf.function(step, autograph=False)

    # ------------------------------------------------------------ one replica, from seeds

    def _discriminator_replica(self, images, labels, scalars):
        seed = _replica_seed(scalars["seed"])
        mirror = None
        if self.settings.mirror_augment:
            draw = tf.random.stateless_uniform(
                [images.shape[0]], fold_in(seed, _MIRROR), alg="philox"
            )
            mirror = draw < 0.5
        alpha = scalars["alpha"] if self.stage.fading else None
        reals = process_reals(images, alpha, mirror)
        return self.update_discriminator(
            reals, labels, self._latents(seed, images.shape[0]), scalars, seed
        )

    def _generator_replica(self, labels, scalars):
        seed = _replica_seed(scalars["seed"])
        return self.update_generator(labels, self._latents(seed, labels.shape[0]), scalars, seed)

    def _latents(self, seed, minibatch):
        shape = [minibatch, self.state.G.options["latent_size"]]
        return tf.random.stateless_normal(shape, fold_in(seed, _LATENTS), alg="philox")

    # ------------------------------------------------------------ the two updates

    def update_discriminator(self, reals, labels, z, scalars, seed, mixing_factors=None):
        """One update of D, then the moving average Gs from the G that made the fakes."""
        if mixing_factors is None:
            mixing_factors = tf.random.stateless_uniform(
                [reals.shape[0], 1, 1, 1], fold_in(seed, _PENALTY), alg="philox"
            )
        alpha = scalars["alpha"] if self.stage.fading else None
        fakes = self._fakes(z, labels, alpha, seed)
        game = self._game(alpha, mixing_factors)
        variables, optimizer = self.D_variables, self.state.D_opt
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(variables.values()))
            loss, terms = _loss(self.settings.D_loss)(game, reals, fakes, labels)
            scaled = optimizer.scale_loss(tf.reduce_mean(loss))
        skipped = self._apply(optimizer, variables, tape, scaled, scalars)
        self._update_average(scalars["ema_beta"])
        return _means({"D": loss, **terms}, {"D_overflow": skipped})

    def update_generator(self, labels, z, scalars, seed):
        """One update of G."""
        alpha = scalars["alpha"] if self.stage.fading else None
        variables, optimizer = self.G_variables, self.state.G_opt
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(list(variables.values()))
            fakes = self._fakes(z, labels, alpha, seed)
            loss, _ = _loss(self.settings.G_loss)(self._game(alpha), fakes, labels)
            scaled = optimizer.scale_loss(tf.reduce_mean(loss))
        skipped = self._apply(optimizer, variables, tape, scaled, scalars)
        return _means({"G": loss}, {"G_overflow": skipped})

    def _fakes(self, z, labels, alpha, seed):
        return self.state.G.training_stage(
            z, labels, self.stage.level, alpha,
            seed=fold_in(seed, _GENERATOR), noise=self.settings.noise,
            mixing=self.settings.mixing,
        )  # fmt: skip

    def _game(self, alpha, mixing_factors=None):
        level = self.stage.level
        return Game(
            discriminate=lambda images, labels: self.state.D.stage(images, labels, level, alpha),
            level=level,
            scale_loss=self.state.D_opt.scale_loss,
            unscale=self.state.D_opt.unscale,
            mixing_factors=mixing_factors,
        )

    def _apply(self, optimizer, variables, tape, loss, scalars):
        gradients = tape.gradient(
            loss, list(variables.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return optimizer.apply(list(variables), gradients, scalars["learning_rate"])

    def _update_average(self, beta):
        """Gs ← lerp(G, Gs, β) for what this stage trains; dlatent_avg is copied."""
        G, Gs = self.state.G.named, self.state.Gs.named
        for name in self.G_variables:
            current, average = tf.convert_to_tensor(G[name]), tf.convert_to_tensor(Gs[name])
            assign_local(Gs[name], current + (average - current) * beta)
        if "dlatent_avg" in G:
            assign_local(Gs["dlatent_avg"], tf.convert_to_tensor(G["dlatent_avg"]))


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


def ema_beta(minibatch: int, smoothing_kimg: float) -> float:
    """β of the moving average: half-life `smoothing_kimg`; 0 keeps no memory."""
    return 0.5 ** (minibatch / (smoothing_kimg * 1000)) if smoothing_kimg > 0 else 0.0
