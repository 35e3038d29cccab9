"""Small networks and helpers that the tests of networks/ share."""

import numpy as np

import networks

G_TINY = dict(
    resolution=16,
    fmap_base=64,
    fmap_max=8,
    latent_size=8,
    dlatent_size=8,
    mapping_layers=2,
    mapping_fmaps=8,
)
D_TINY = dict(num_channels=3, resolution=16, fmap_base=64, fmap_max=8)
TRADITIONAL = dict(
    use_styles=False,
    use_noise=False,
    use_instance_norm=False,
    use_pixel_norm=True,
    const_input_layer=False,
    style_mixing_prob=0.0,
    truncation_psi=None,
)

# Every option away from its default at least once: options over G_TINY.
GENERATORS = {
    "default": {},
    "labels": dict(label_size=3, latent_size=6, dlatent_size=10, mapping_fmaps=7),
    "traditional": dict(**TRADITIONAL, mapping_layers=0, num_channels=1),
    "dense_input": dict(const_input_layer=False, use_noise=False, style_mixing_prob=None),
    "pixel_norm": dict(use_pixel_norm=True, use_instance_norm=False, mapping_layers=3),
    "both_norms": dict(use_pixel_norm=True, normalize_latents=False),
    "relu": dict(nonlinearity="relu", mapping_nonlinearity="relu", mapping_layers=1),
    "no_wscale": dict(use_wscale=False, fused_scale=True),
    "fused": dict(fused_scale=True, blur_filter=None),
    "unfused": dict(fused_scale=False, blur_filter=[1, 3, 3, 1]),
    "narrow": dict(fmap_base=40, fmap_decay=0.7, fmap_max=12, blur_filter=[1]),
    "lrmul": dict(mapping_lrmul=0.1, randomize_noise=False, truncation_psi=0.4),
    "fixed": dict(structure="fixed"),
    "smallest": dict(resolution=4),
}
DISCRIMINATORS = {
    "default": {},
    "labels": dict(label_size=3),
    "one_label": dict(label_size=1, num_channels=1),
    "relu": dict(nonlinearity="relu", blur_filter=[]),
    "no_wscale": dict(use_wscale=False, fused_scale=True),
    "fused": dict(fused_scale=True, blur_filter=[1, 3, 3, 1]),
    "unfused": dict(fused_scale=False, blur_filter=[1]),
    "narrow": dict(fmap_base=40, fmap_decay=0.7, fmap_max=12),
    "group2_features2": dict(mbstd_group_size=2, mbstd_num_features=2),
    "group3": dict(mbstd_group_size=3),
    "no_stddev": dict(mbstd_group_size=1),
    "fixed": dict(structure="fixed"),
    "smallest": dict(resolution=4),
}


def generator(seed=1, **options):
    """A tiny G_style; any option on top."""
    return networks.build("G_style", seed=seed, **{**G_TINY, **options})


def discriminator(seed=2, **options):
    """A tiny D_basic; any option on top."""
    return networks.build("D_basic", seed=seed, **{**D_TINY, **options})


def randomize(network, seed=0):
    """Gives every variable a random value, so that none of them is without effect.

    New networks have zero biases and noise weights. Mapping weights count a hundredth (lrmul)
    of what is stored.
    """
    rng = np.random.RandomState(seed)
    arrays = {}
    for name, old in network.arrays().items():
        value = rng.randn(*old.shape)
        if name.split("/")[-1] == "bias":
            value *= 20 if name.startswith(("G_mapping/Dense", "Dense")) else 0.2
        if name.split("/")[-1] == "lod":
            value = 0
        elif name.endswith("weight") and old.std() > 0:
            value *= old.std()
        arrays[name] = np.asarray(value, np.float32)
    network.set_arrays(arrays)
    return network


def normal(*shape, seed=0):
    return np.random.RandomState(seed).randn(*shape).astype(np.float32)


def images_for(network, count=4, seed=3):
    opt = network.options
    return normal(count, opt["resolution"], opt["resolution"], opt["num_channels"], seed=seed)


def labels_for(network, count=4, seed=4):
    """Soft labels of the network's width: rows are positive and sum to 1."""
    labels = np.random.RandomState(seed).rand(count, network.options["label_size"])
    return np.float32(labels / np.maximum(labels.sum(axis=1, keepdims=True), 1e-9))


def nchw(images):
    return np.transpose(np.asarray(images), [0, 3, 1, 2])


def nhwc(images):
    return np.transpose(np.asarray(images), [0, 2, 3, 1])


def error(actual, expected):
    """Largest difference, as a share of the largest expected magnitude."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max() / np.abs(expected).max()


def assert_same(arrays, others):
    """The same names in the same order, and the same bits."""
    assert list(arrays) == list(others)
    for name, array in arrays.items():
        assert array.dtype == others[name].dtype == np.float32
        assert array.shape == others[name].shape
        assert array.tobytes() == others[name].tobytes(), name


def output(network):
    """What a network makes of fixed inputs."""
    count = 6 if network.options.get("mbstd_group_size") == 3 else 4
    if network.func_name == "G_style":
        z = normal(4, network.options["latent_size"])
        return network(z, labels_for(network), noise="fixed").numpy()
    if network.func_name == "G_mapping":
        return network(normal(4, network.options["latent_size"]), labels_for(network)).numpy()
    if network.func_name == "G_synthesis":
        w = normal(4, network.num_layers, network.options["dlatent_size"])
        return network(w, noise="fixed").numpy()
    return network(images_for(network, count), labels_for(network, count)).numpy()


def odd_trio():
    """(G, D, Gs), small, their variables set to values that no arithmetic would survive."""
    trio = generator(resolution=4), discriminator(resolution=4), generator(resolution=4, seed=3)
    odd = np.array([np.nan, np.inf, -np.inf, 1e-45, -0.0, 3.4e38, 1 / 3], np.float32)
    for network in trio:
        network.set_arrays({k: np.resize(odd, v.shape) for k, v in network.arrays().items()})
    return trio
