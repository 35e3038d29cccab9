"""A third family of networks, as somebody else would add one: one class, one entry."""

import tensorflow as tf

from networks import layers, options as o
from networks.base import BLOCK, check_labels, check_width
from networks.generator import Generator
from networks.options import OWN, Family, Function, Option


class ToyGenerator(Generator):
    """Codes are latents with their labels; an image is one dense layer of them, and its noise."""

    FAMILY, FUNC_NAME = "toy", "G_toy"

    def __init__(self, *, seed=None, **kwargs):
        super().__init__(seed, **kwargs)
        self.shape = (self.resolution, self.resolution, self.num_channels)
        width = self.latent_size + self.label_size
        units = self.resolution**2 * self.num_channels
        self.dense = layers.Dense("Paint", self.seed, width, units, gain=0.5)
        shape = (self.num_channels, self.resolution, self.resolution)
        self.place("Paint", self.dense, BLOCK, self.resolution, shape)
        initial = layers.Initial(self.seed, "grain", 1.0)
        self.grain = self.add_named("grain", [1, *self.noise_shapes()[0], 1], initial, False)

    @property
    def growing(self):
        return False

    def noise_shapes(self):
        return [(self.resolution, self.resolution)]

    def noise_images(self):
        return [self.grain.numpy()]

    def codes(self, z, labels=None, *, truncation_psi=OWN, truncation_cutoff=OWN):
        z = check_width("G_toy", "z", z, self.latent_size)
        return tf.concat([z, check_labels("G_toy", labels, z, self.label_size)], axis=1)

    def render(self, codes, level=0, alpha=None, *, noise=None, seed=None):
        images = tf.tanh(tf.reshape(self.dense(tf.cast(codes, tf.float32)), [-1, *self.shape]))
        if isinstance(noise, list):
            return images if noise[0] is None else images + 0.1 * noise[0]
        return images + 0.1 * self.grain if noise == "fixed" else images


FAMILY = Family(
    "toy",
    modules=("toy_networks",),
    functions=(
        Function(
            "G_toy",
            role="G",
            options={
                "latent_size": Option(4, o.COUNT),
                "label_size": Option(0, o.COUNT_OR_0),
                "num_channels": Option(3, o.COUNT),
                "resolution": Option(32, o.RESOLUTION),
                "dtype": Option("float32", o.DTYPE),
            },
            target="tests.toy_family.ToyGenerator",
            title="a toy (G_toy)",
        ),
    ),
)
