"""G_style: the generator, mapping and synthesis with mixing and truncation (StyleGAN §3.1, B)."""

from __future__ import annotations

import tensorflow as tf

from networks import ops
from networks.base import ImageNetwork
from networks.options import G_MAPPING, G_SYNTHESIS
from networks.stylegan.mapping import MappingNetwork
from networks.stylegan.synthesis import SynthesisNetwork, as_seed

OWN = "own"  # as the network was built


class StyleGenerator(ImageNetwork):
    """Call: z [N, latent_size], labels [N, label_size] or None (zeros) → images
    [N, R, R, num_channels] float32, about [−1, 1], not clipped.

    dlatent_avg [dlatent_size] is the moving average of w that truncation pulls towards.
    """

    def __init__(self, *, seed=None, **kwargs):
        super().__init__("G_style", seed, **kwargs)
        opt = self.options
        self.dlatent_avg = self.add_named("dlatent_avg", [opt["dlatent_size"]], trainable=False)
        self.synthesis = SynthesisNetwork(seed=self.seed, **{key: opt[key] for key in G_SYNTHESIS})
        self.num_layers = self.synthesis.num_layers
        self.mapping = MappingNetwork(
            seed=self.seed,
            **{
                **{key: opt[key] for key in G_MAPPING},
                "dlatent_broadcast": opt["dlatent_broadcast"] or self.num_layers,
            },
        )
        self.adopt("G_synthesis/", self.synthesis)
        self.adopt("G_mapping/", self.mapping)

    def call(
        self, z, labels=None, *, training=False,
        truncation_psi=OWN, truncation_cutoff=OWN, noise=None, lod=None, seed=None,
    ):  # fmt: skip
        """training: updates dlatent_avg and mixes styles instead of truncating.
        noise: 'random' | 'fixed' | 'none'; lod: None is the network's own; seed: of noise and
        mixing, an int or an int tensor [2]; None draws one.
        """
        level, alpha = self.split_lod(lod)
        seed = as_seed(seed)
        if training:
            images = self.training_stage(z, labels, level, alpha or None, noise=noise, seed=seed)
        else:
            images = self.stage(
                z, labels, level, alpha or None, noise=noise, seed=seed,
                truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff,
            )  # fmt: skip
        return ops.upscale2d(images, 2**level)

    def stage(
        self, z, labels, level, alpha=None, *,
        truncation_psi=OWN, truncation_cutoff=OWN, noise=None, seed=None,
    ):  # fmt: skip
        """Images at one stage's resolution: [N, R/2^level, R/2^level, C], float32.

        alpha: None outside fades, else the weight of the lower resolution.
        """
        w = self.truncate(self.mapping(z, labels), truncation_psi, truncation_cutoff)
        return self.synthesis.stage(w, level, alpha, noise=noise, seed=seed)

    def training_stage(self, z, labels, level, alpha=None, *, seed, noise=None, mixing=OWN):
        """Training-mode images at one stage's resolution: [N, R/2^level, R/2^level, C].

        alpha: None outside fades, else the weight of the lower resolution. mixing: the
        probability of style mixing, by default the network's own; None or 0: never.
        """
        w = self.training_dlatents(z, labels, level, seed, mixing=mixing)
        return self.synthesis.stage(w, level, alpha, noise=noise, seed=seed)

    def set_lod(self, lod):
        super().set_lod(lod)
        self.synthesis.set_lod(lod)

    def truncate(self, w, psi=OWN, cutoff=OWN):
        """Pulls the layers below `cutoff` towards dlatent_avg: w_avg + ψ (w − w_avg).

        psi may be a tensor, a scalar or [N, 1, 1].
        """
        psi = self.options["truncation_psi"] if psi is OWN else psi
        cutoff = self.options["truncation_cutoff"] if cutoff is OWN else cutoff
        if psi is None or cutoff is None or cutoff <= 0 or (not tf.is_tensor(psi) and psi == 1):
            return w
        layers = tf.range(self.num_layers)[None, :, None]
        coefficient = tf.where(layers < cutoff, tf.cast(psi, tf.float32), 1.0)
        average = tf.convert_to_tensor(self.dlatent_avg)
        return average + (w - average) * coefficient

    def training_dlatents(self, z, labels, level, seed, *, mixing=OWN):
        """w for training at `level`: tracks dlatent_avg, then mixes styles."""
        w = self.mapping(z, labels)
        self.track_average(w)
        probability = self.options["style_mixing_prob"] if mixing == OWN else mixing
        if not probability:
            return w
        seeds = [fold_in(seed, 1000 + index) for index in range(3)]
        z2 = tf.random.stateless_normal(tf.shape(z), seeds[0], alg="philox")
        layers = 2 * (self.resolution_log2 - level) - 2
        draw = tf.random.stateless_uniform([], seeds[1], alg="philox")
        index = tf.random.stateless_uniform([], seeds[2], 1, layers, tf.int32, alg="philox")
        cutoff = tf.where(draw < probability, index, layers)
        return mix_styles(w, self.mapping(z2, labels), cutoff)

    def track_average(self, w):
        """dlatent_avg ← lerp(mean of w, dlatent_avg, 0.995), the mean over all replicas."""
        beta = self.options["dlatent_avg_beta"]
        if beta is None:
            return
        mean = tf.reduce_mean(w[:, 0], axis=0)
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            mean = replica.all_reduce(tf.distribute.ReduceOp.MEAN, mean)
        average = tf.convert_to_tensor(self.dlatent_avg)
        assign_local(self.dlatent_avg, mean + (average - mean) * beta)


def mix_styles(w, w2, cutoff):
    """Layers below `cutoff` from w, the others from w2 (StyleGAN §3.1): [N, layers, D]."""
    layers = tf.range(w.shape[1])[None, :, None]
    return tf.where(layers < cutoff, w, w2)


def fold_in(seed, data):
    """A new seed [2] from a seed and an integer."""
    return tf.random.experimental.stateless_fold_in(seed, data, alg="philox")


def assign_local(variable, value):
    """Assigns on this replica alone: all replicas assign equal values, so none is sent."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
