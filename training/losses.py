"""The nine losses, each per image; a step minimises the mean.

A loss sees the networks through a `Game` and returns (loss [N, 1] float32, terms), where
terms are the named parts that the loop reports. To discriminator losses fakes are data: no
gradient reaches the generator. Keyword defaults are the reference's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Callable

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Batch:
    """What one step is about; reals and fakes [N, H, W, C] are of the stage's resolution."""

    labels: tf.Tensor  # float32 [N, label_size]: the reals', or drawn from the data set's
    z: tf.Tensor  # float32 [N, latent_size]
    reals: tf.Tensor | None = None  # float32 in [-1, 1]; None where a generator trains


@dataclasses.dataclass(frozen=True)
class Game:
    """The networks at one stage, and what a penalty needs to know about the stage.

    discriminate: (images [N, H, W, C], labels) → scores [N, 1] float32.
    codes: (z, labels) → what images are made from, w in a style-based generator, in training mode.
    render: codes → images [N, H, W, C] float32.
    level: floor(lod); images are 2^level times smaller than the full resolution.
    scale_loss: multiplies by the loss scale of low-precision training (1 otherwise).
    mixing_factors: [N, 1, 1, 1] in [0, 1), the position between real and fake where the
        WGAN penalty is taken.
    numbers: the state's numbers by name, such as a running mean.
    normal: shape → what else a penalty draws, from N(0, 1); once a step.
    """

    discriminate: Callable
    level: int = 0
    scale_loss: Callable = lambda x: x
    unscale: Callable = lambda x: x
    mixing_factors: tf.Tensor | None = None
    codes: Callable | None = None
    render: Callable | None = None
    numbers: Mapping[str, tf.Variable] = dataclasses.field(default_factory=dict)
    normal: Callable | None = None

    def generate(self, z: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Images [N, H, W, C] float32, in training mode."""
        return self.render(self.codes(z, labels))


# ([N, 1], {name: what to report of it, per image})
LossAndTerms = tuple[tf.Tensor, dict[str, tf.Tensor]]


# ---------------------------------------------------------------- generator


def G_wgan(game: Game, fakes: tf.Tensor, labels: tf.Tensor) -> LossAndTerms:
    scores = game.discriminate(fakes, labels)
    return -scores, {"scores/fake": scores}


def G_logistic_saturating(game: Game, fakes: tf.Tensor, labels: tf.Tensor) -> LossAndTerms:
    scores = game.discriminate(fakes, labels)
    return -tf.nn.softplus(scores), {"scores/fake": scores}


def G_logistic_nonsaturating(game: Game, fakes: tf.Tensor, labels: tf.Tensor) -> LossAndTerms:
    """Goodfellow et al. 2014, §3: the default."""
    scores = game.discriminate(fakes, labels)
    return tf.nn.softplus(-scores), {"scores/fake": scores}


# ---------------------------------------------------------------- discriminator


def D_wgan(
    game: Game, reals: tf.Tensor, fakes: tf.Tensor, labels: tf.Tensor, wgan_epsilon: float = 0.001
) -> LossAndTerms:
    real, fake = game.discriminate(reals, labels), game.discriminate(fakes, labels)
    return _wgan(real, fake, wgan_epsilon)


def D_wgan_gp(
    game: Game,
    reals: tf.Tensor,
    fakes: tf.Tensor,
    labels: tf.Tensor,
    wgan_lambda: float = 10.0,
    wgan_epsilon: float = 0.001,
    wgan_target: float = 1.0,
) -> LossAndTerms:
    """Gulrajani et al. 2017, with ProGAN's drift term (appendix A.1)."""
    loss, terms = D_wgan(game, reals, fakes, labels, wgan_epsilon)
    penalty, more = mixed_penalty(game, reals, fakes, labels, wgan_lambda, wgan_target)
    return loss + penalty, {**terms, **more}


def D_hinge(game: Game, reals: tf.Tensor, fakes: tf.Tensor, labels: tf.Tensor) -> LossAndTerms:
    real, fake = game.discriminate(reals, labels), game.discriminate(fakes, labels)
    loss = tf.maximum(0.0, 1.0 + fake) + tf.maximum(0.0, 1.0 - real)
    return loss, {"scores/real": real, "scores/fake": fake}


def D_hinge_gp(
    game: Game,
    reals: tf.Tensor,
    fakes: tf.Tensor,
    labels: tf.Tensor,
    wgan_lambda: float = 10.0,
    wgan_target: float = 1.0,
) -> LossAndTerms:
    loss, terms = D_hinge(game, reals, fakes, labels)
    penalty, more = mixed_penalty(game, reals, fakes, labels, wgan_lambda, wgan_target)
    return loss + penalty, {**terms, **more}


def D_logistic(game: Game, reals: tf.Tensor, fakes: tf.Tensor, labels: tf.Tensor) -> LossAndTerms:
    real, fake = game.discriminate(reals, labels), game.discriminate(fakes, labels)
    return _logistic(real, fake)


def D_logistic_simplegp(
    game: Game,
    reals: tf.Tensor,
    fakes: tf.Tensor,
    labels: tf.Tensor,
    r1_gamma: float = 10.0,
    r2_gamma: float = 0.0,
) -> LossAndTerms:
    """Logistic loss with the R1 and R2 penalties of Mescheder et al. 2018: the default."""
    scores, penalties = {}, {}
    for name, images, gamma, label in (
        ("real", reals, r1_gamma, "r1_penalty"),
        ("fake", fakes, r2_gamma, "r2_penalty"),
    ):
        if gamma:
            scores[name], penalties[label] = scores_and_squared_gradient(game, images, labels)
        else:
            scores[name] = game.discriminate(images, labels)
    loss, terms = _logistic(scores["real"], scores["fake"])
    for label, gamma in (("r1_penalty", r1_gamma), ("r2_penalty", r2_gamma)):
        if gamma:
            loss += penalties[label] * (gamma * 0.5)
    return loss, {**terms, **penalties}


# ---------------------------------------------------------------- parts


def _wgan(real, fake, epsilon):
    drift = tf.square(real)  # keeps the scores from drifting away from zero
    terms = {"scores/real": real, "scores/fake": fake, "epsilon_penalty": drift}
    return fake - real + drift * epsilon, terms


def _logistic(real, fake):
    loss = tf.nn.softplus(fake) + tf.nn.softplus(-real)
    return loss, {"scores/real": real, "scores/fake": fake}


def scores_and_squared_gradient(
    game: Game, images: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores [N, 1] and ‖∇ score‖² [N, 1] as at full resolution.

    Nearest upscaling by f = 2^level spreads one pixel's gradient over f² pixels, so the
    squared norm there is f² times smaller than here.
    """
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = game.discriminate(images, labels)
        total = game.scale_loss(tf.reduce_sum(scores))
    gradient = game.unscale(tf.cast(tape.gradient(total, images), tf.float32))
    squared = tf.reduce_sum(tf.square(gradient), axis=[1, 2, 3])[:, None]
    return scores, squared * 4.0**-game.level


def mixed_penalty(
    game: Game,
    reals: tf.Tensor,
    fakes: tf.Tensor,
    labels: tf.Tensor,
    weight: float,
    target: float,
) -> LossAndTerms:
    """(λ/target²)·(‖∇ D(x̂)‖ − target)², x̂ between a real and a fake."""
    mixed = reals + (fakes - reals) * game.mixing_factors
    scores, squared = scores_and_squared_gradient(game, mixed, labels)
    norms = tf.sqrt(squared)
    penalty = tf.square(norms - target) * (weight / target**2)
    return penalty, {"scores/mixed": scores, "mixed_norms": norms}


LOSSES: dict[str, Callable[..., Any]] = {
    loss.__name__: loss
    for loss in (
        G_wgan,
        G_logistic_saturating,
        G_logistic_nonsaturating,
        D_wgan,
        D_wgan_gp,
        D_hinge,
        D_hinge_gp,
        D_logistic,
        D_logistic_simplegp,
    )
}
