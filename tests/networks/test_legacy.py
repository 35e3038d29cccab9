"""Legacy pickles as networks: the reference's arrays, images and scores; clear errors.

Every option's arithmetic is tested in test_golden_networks.py; here, that a file's options and
arrays arrive.
"""

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from dnnlib.pickles import tf_networks as legacy_pickle
from networks import legacy
from tests import golden
from tests.dnnlib.download import bad_server
from tests.dnnlib.test_file_kinds import KINDS
from tests.networks.common import error, images_for, nchw, nhwc, normal

TOLERANCE = 2e-5  # of the range, as in test_golden_networks.py
TAGS = "a c0 c8 e e_sep h_blur4 h_fixed h_fused h_map0 h_map1 h_noblur h_nombstd".split()
TAGS += "h_nonoise h_nonorm h_nowscale h_relu h_res4".split()
TAGS += ["b", *golden.STYLEGAN2]

pytestmark = pytest.mark.conformance


@pytest.mark.parametrize("tag", TAGS)
def test_recorded_networks(tag):
    loaded = networks.load(golden.path(golden.network_file(tag, "pickle")))
    meta = golden.load(golden.network_file(tag, "meta"))
    for role, network in zip(legacy.ROLES, loaded):
        wanted = golden.recipe_arrays(tag, role, meta[f"{role[0]}_vars"])
        found = network.arrays()
        assert list(found) == list(wanted)
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
    _, D, Gs = loaded
    data = golden.load(golden.network_file(tag, "net"))
    lods = [f"{lod:g}" for lod in meta["lods"]] if tag in ("b", "e", "e_sep") else ["0"]
    for lod in lods:
        images = Gs(data["z"], data["labels"], lod=lod, noise="fixed", truncation_psi=None)
        assert error(nchw(images), data[f"images_lod{lod}"]) <= TOLERANCE, lod
        scores = D(nhwc(data["d_images"]), data["d_labels"], lod=lod)
        assert error(scores, data[f"scores_lod{lod}"]) <= TOLERANCE, lod


def test_a_trained_network():
    """Of the reference's example run: what it holds is known from the file alone.

    Gs's learned constant has hardly left 1: it varies by 4e-4, of which instance norm makes 1, and
    of the rounding of numbers near 1 as much more. Recorded and computed images are each 1.3e-4
    from what float64 gives, so they may be that far apart.
    """
    bounds = {"G": TOLERANCE, "Gs": 2e-4}
    loaded = networks.load(golden.path("pickles/run_example_final.pkl"))
    data = golden.load("nets/net_run_example.npz")
    for role, network in (("G", loaded[0]), ("Gs", loaded[2])):
        z, labels = data["z"], data["labels"]
        np.testing.assert_array_equal(network.arrays()["dlatent_avg"], data[f"{role}/dlatent_avg"])
        assert float(network.lod.numpy()) == data[f"{role}/lod"]
        assert error(network.mapping(z, labels), data[f"{role}/dlatents"]) <= TOLERANCE
        images = nchw(network(z, labels, noise="fixed"))
        assert error(images, data[f"{role}/images_default"]) <= bounds[role]
        images = nchw(network(z, labels, noise="fixed", truncation_psi=None))
        assert error(images, data[f"{role}/images_validation"]) <= bounds[role]
    scores = loaded[1](nhwc(data["d_images"]), data["d_labels"])
    assert error(scores, data["scores"]) <= TOLERANCE


def test_pickles_become_snapshots(tmp_path):
    G, D, Gs = networks.load(golden.path("pickles/e_sep.pkl"))
    networks.save(tmp_path / "e_sep.safetensors", G=G, D=D, Gs=Gs)
    for network, again in zip((G, D, Gs), networks.load(tmp_path / "e_sep.safetensors")):
        assert again.options == network.options
        for name, array in network.arrays().items():
            np.testing.assert_array_equal(again.arrays()[name], array)


# ---------------------------------------------------------------- made without a file


def legacy_network(func_name, seed=1, components=None, drop=(), **kwargs):
    """As the reader returns it, with a new network's arrays."""
    arrays = networks.build(func_name, seed=seed, **kwargs).arrays()
    return legacy_pickle.LegacyNetwork(
        name=func_name,
        version=3,
        func_name=func_name,
        static_kwargs=kwargs,
        variables={name: array for name, array in arrays.items() if name not in drop},
        components=components or {},
        source_sha256="",
        class_name="",
        extra={},
    )


SMALL = dict(resolution=8, fmap_base=32, fmap_max=8)


def file_of(tmp_path, monkeypatch, *found):
    """A file that the reader, replaced, takes for these networks."""
    path = tmp_path / "networks.pkl"
    path.write_bytes(b"\x80\x04.")
    contents = legacy_pickle.LegacyFile(tuple(found), "")
    monkeypatch.setattr(legacy_pickle, "read", lambda data, **_: contents)
    return path


def test_one_network_alone(tmp_path, monkeypatch):
    D = legacy_network("D_basic", **SMALL)
    G = legacy_network("G_paper", **SMALL)
    assert [n and n.func_name for n in networks.load(file_of(tmp_path, monkeypatch, D))] == [
        None,
        "D_basic",
        None,
    ]
    for found in ((G,), (None, None, G)):
        loaded = networks.load(file_of(tmp_path, monkeypatch, *found))
        assert [n and n.func_name for n in loaded] == [None, None, "G_paper"]
    with pytest.raises(UserError, match=r"networks.pkl: expected \(G, D, Gs\) or one network"):
        networks.load(file_of(tmp_path, monkeypatch, G, G))


def test_a_part_takes_its_own_of_the_generators_options():
    options = dict(latent_size=8, dlatent_size=8, mapping_fmaps=8, mapping_layers=2)
    found = legacy_network("G_mapping", **options)
    found.static_kwargs.update(SMALL, use_noise=False)
    assert legacy.to_keras(found).options["mapping_fmaps"] == 8
    found.static_kwargs.update(use_nose=False)
    with pytest.raises(ValueError, match=r"G_mapping has no option 'use_nose'; it has: .*latent"):
        legacy.to_keras(found)


def test_the_first_of_several_outputs_is_the_score():
    """Progressive GAN's own repository trained D_paper on labels, too."""
    both = networks.build("D_paper", seed=1, label_size=3, label_outputs=True, **SMALL)
    arrays = both.arrays()
    assert arrays["4x4/Dense1/weight"].shape == (8, 4)
    found = legacy_network("D_paper", label_size=3, **SMALL)
    found.variables.update(arrays)
    images = images_for(both)
    first = networks.build("D_paper", label_size=3, **SMALL)
    first.set_arrays(
        {
            **arrays,
            "4x4/Dense1/weight": arrays["4x4/Dense1/weight"][:, :1],
            "4x4/Dense1/bias": arrays["4x4/Dense1/bias"][:1],
        }
    )
    scores = legacy.to_keras(found)(images)
    assert scores.shape == (4, 1)
    np.testing.assert_allclose(scores, first(images), rtol=1e-5, atol=1e-6)


def test_a_fixed_structure_has_its_one_level_whatever_its_lod():
    found = legacy_network("D_basic", structure="fixed", num_channels=3, **SMALL)
    found.variables["lod"] = np.float32(2)
    network = legacy.to_keras(found)
    images = normal(4, 8, 8, 3)
    np.testing.assert_array_equal(network(images), network(images, lod=0))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            dict(
                func_name="training.networks.D_main",
                version=5,
                static_kwargs={**SMALL, "use_pagan": True},
            ),
            "D_ada: use_pagan=True, expected False: nothing else is supported",
        ),
        (dict(func_name="G_synth"), "unknown network 'G_synth'; known: .*G_style.*D_stylegan2"),
        (dict(static_kwargs={**SMALL, "use_attention": True}), "has no option 'use_attention'"),
        (dict(static_kwargs={**SMALL, "label_size": 2**40}), r"bias: expected \(1099511627776,\)"),
        (dict(static_kwargs={**SMALL, "fmap_max": 4}), "8x8/Conv0/weight: expected .*; .*4x4"),
    ],
)
def test_what_does_not_fit_names_the_file_and_the_network(found, message, tmp_path, monkeypatch):
    fields = {**vars(legacy_network("D_basic", **SMALL)), **found}
    path = file_of(tmp_path, monkeypatch, None, legacy_pickle.LegacyNetwork(**fields), None)
    with pytest.raises(UserError, match=f"networks.pkl: D: .*{message}") as caught:
        networks.load(path)
    assert "\n" not in str(caught.value)


def test_missing_variables_are_listed(tmp_path, monkeypatch):
    found = legacy_network("D_basic", drop=("lod", "4x4/Conv/bias"), **SMALL)
    with pytest.raises(UserError, match="missing: lod; missing: 4x4/Conv/bias"):
        networks.load(file_of(tmp_path, monkeypatch, found))


def test_a_hostile_file_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "evil.pkl"
    path.write_bytes(b"\x80\x04cos\nsystem\n\x8c\x04true\x85R.")
    with pytest.raises(UserError, match=r"evil\.pkl: not a readable legacy network: .*system"):
        networks.load(path)


def test_an_address_is_as_good_as_a_file(tmp_path, monkeypatch):
    """Over HTTP from this machine, then from the cache; a snapshot's suffix does not matter."""
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    networks.save(tmp_path / "x.safetensors", Gs=networks.build("G_paper", seed=3, **SMALL))
    snapshot = bad_server.body((tmp_path / "x.safetensors").read_bytes())
    pickle = bad_server.body(golden.path("pickles/h_res4.pkl").read_bytes())
    with bad_server.BadServer() as server:
        urls = [server.at("/networks.pkl", pickle), server.at("/x", snapshot)]
        loaded = [networks.load(url) for url in (*urls, *urls)]
        assert server.paths() == ["/networks.pkl", "/x"]
    assert [Gs.func_name for _, _, Gs in loaded] == ["G_style", "G_paper"] * 2
    expected = networks.load(golden.path("pickles/h_res4.pkl"))[2].arrays()
    for name, array in loaded[2][2].arrays().items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(("data", "kind"), KINDS)
@pytest.mark.parametrize("suffix", ["pkl", "safetensors"])
def test_a_file_of_another_kind_is_called_what_it_is(data, kind, suffix, tmp_path):
    path = tmp_path / f"network.{suffix}"
    path.write_bytes(data)
    said = f"not a .*: it is .*{kind}"
    if kind.endswith("a PyTorch file"):  # one that is damaged: others may open
        said = "not a readable checkpoint of a StyleGAN port"
    with pytest.raises(UserError, match=rf"network\.{suffix}: {said}") as caught:
        networks.load(path)
    assert "\n" not in str(caught.value)
