"""Small generators and feature networks, so that a whole evaluation takes a second."""

import numpy as np
import pytest
import tensorflow as tf

import networks
from compute.replica_map import ReplicaMap
from metrics import tools as evaluation_tools
from metrics.features import weights
from metrics.tools import Settings, Tools

OPTIONS = dict(resolution=32, num_channels=3, fmap_base=64, fmap_max=8)
STYLE = dict(latent_size=8, dlatent_size=8, mapping_fmaps=8, mapping_layers=2)


def generator(func_name="G_style", seed=1, **options):
    kinds = {"G_style": STYLE, "G_main": STYLE, "G_paper": {"latent_size": 8}}
    Gs = networks.build(func_name, seed=seed, **{**OPTIONS, **kinds[func_name], **options})
    for name, variable in Gs.named.items():
        # 0 in a new network, which would hide all noise
        if name.endswith(("Noise/weight", "noise_strength")):
            variable.assign(tf.ones(variable.shape))
    return Gs


def save(path, Gs, **info):
    networks.save(path, Gs=Gs, info=info)
    return path


class Colours(tf.Module):
    """In place of Inception: means of 16 squares and their squares, [N, 96]."""

    def __init__(self, arrays):
        super().__init__()
        self.scale = tf.Variable(arrays["scale"])

    def __call__(self, images):
        x = tf.cast(images, tf.float32) / 255
        x = x if x.shape[-1] == 3 else tf.repeat(x, 3, axis=-1)
        x = tf.reshape(tf.nn.avg_pool2d(x, x.shape[1] // 4, x.shape[1] // 4, "VALID"), [-1, 48])
        return tf.concat([x, x * x], axis=1) * self.scale


class Edges(Colours):
    """In place of VGG16's dense layer: the first 16 of the colours' features."""

    def __call__(self, images):
        return super().__call__(images)[:, :16]


class Squares(tf.Module):
    """In place of LPIPS: the mean squared difference."""

    def __init__(self, arrays):
        super().__init__()

    def __call__(self, images0, images1):
        return tf.reduce_mean(tf.square(images0 - images1), axis=[1, 2, 3])


@pytest.fixture
def stand_ins(monkeypatch):
    """Replaces the feature networks; a list of those whose weights are loaded."""
    return replace_networks(monkeypatch)


def replace_networks(monkeypatch):
    """What the fixture does, for fixtures of a module."""
    loaded = []

    def load(network, path=None, cache_dir=None, say=None):
        loaded.append(network)
        classes = np.random.RandomState(0).randn(96, 12).astype(np.float32)
        arrays = {"scale": np.float32(1), "softmax/weights": classes}
        network = weights.PARTS.get(network, network)  # of one file
        return weights.FeatureWeights(arrays, f"{network}.stand-in", "5" * 64, "stand-in")

    monkeypatch.setattr(weights, "load", load)
    for name, network in (("inception", Colours), ("vgg16", Squares), ("vgg16_fc2", Edges)):
        monkeypatch.setitem(evaluation_tools.NETWORKS, name, network)
    return loaded


def tools(tmp_path, strategy=None, say=print, **settings):
    settings = Settings(cache_dir=str(tmp_path / "cache"), **settings)
    strategy = strategy or tf.distribute.get_strategy()
    return Tools(settings, ReplicaMap(strategy, progress=False), say)
