"""How `run` and the methods beside it behave."""

import numpy as np
import pytest
import tensorflow as tf

import networks
from compute.images import convert_images_to_uint8
from networks import original as facade_module
from tests.networks.common import (
    error,
    generator,
    images_for,
    labels_for,
    nchw,
    nhwc,
    normal,
)
from tests.networks.original.common import TOLERANCE

pytestmark = pytest.mark.conformance


def test_shapes_are_the_originals(pair):
    Gs, D = pair
    assert (Gs.input_shapes, Gs.output_shapes) == ([[None, 8], [None, 3]], [[None, 3, 16, 16]])
    assert (Gs.num_inputs, Gs.num_outputs) == (2, 1)
    mapping, synthesis = Gs.components.mapping, Gs.components["synthesis"]
    assert (mapping.input_shapes, mapping.output_shape) == (Gs.input_shapes, [None, 6, 8])
    assert (synthesis.input_shapes, synthesis.output_shape) == ([[None, 6, 8]], Gs.output_shape)
    assert (D.input_shapes, D.output_shape) == ([[None, 3, 16, 16], [None, 3]], [None, 1])
    alone = networks.runnable(networks.build("G_mapping", latent_size=4, mapping_layers=0))
    assert (alone.input_shape, alone.output_shape) == ([None, 4], [None, 4])
    assert alone.run(normal(3, 4)).shape == (3, 4)
    paper = networks.runnable(networks.build("G_paper", resolution=8, fmap_base=32, fmap_max=8))
    assert (paper.input_shapes, paper.output_shape) == ([[None, 8], [None, 0]], [None, 1, 8, 8])
    assert paper.run(normal(3, 8), truncation_psi=0.5).shape == (3, 1, 8, 8)


@pytest.mark.parametrize("size", [1, 2, 3, 5, np.int64(4), 100, None])
def test_minibatches(pair, size, capsys):
    Gs, _ = pair
    z, labels = normal(5, 8), labels_for(Gs.network, 5)
    wanted = nchw(Gs.network(z, labels, noise="fixed"))
    found = Gs.run(z, labels, randomize_noise=False, minibatch_size=size, num_gpus=8)
    assert error(found, wanted) <= TOLERANCE
    assert found.dtype == np.float32
    assert capsys.readouterr().out == ""


def test_progress(pair, capsys):
    pair[0].components.mapping.run(normal(5, 8), None, minibatch_size=2, print_progress=True)
    assert capsys.readouterr().out == "\r0 / 5\r2 / 5\r4 / 5\r5 / 5\n"


def test_labels_left_out_are_zeros(pair):
    mapping = pair[0].components.mapping
    z = normal(2, 8)
    wanted = mapping.run(z, np.zeros([2, 3]))
    np.testing.assert_array_equal(mapping.run(z, None), wanted)
    np.testing.assert_array_equal(mapping.run(z.tolist(), return_as_list=True)[0], wanted)
    assert not np.array_equal(mapping.run(z, np.ones([2, 3])), wanted)
    np.testing.assert_array_equal(
        mapping.run(None, np.eye(3)), mapping.run(np.zeros([3, 8]), np.eye(3))
    )


def test_noise_is_random_as_built_and_fixed_on_demand(pair):
    Gs, _ = pair
    z = normal(2, 8)
    run = [Gs.run(z, None, randomize_noise=random) for random in (False, False, True, True)]
    np.testing.assert_array_equal(run[0], run[1])
    assert len({Gs.run(z, None).tobytes(), Gs.run(z, None).tobytes(), *map(bytes, run)}) == 5
    fixed = Gs.clone(randomize_noise=False)
    assert error(fixed.run(z, None), run[0]) <= TOLERANCE


def test_truncation_defaults(pair):
    """is_validation takes the validation's ψ, which is None unless it was configured."""
    Gs = pair[0].clone(randomize_noise=False, truncation_psi=0.3, truncation_cutoff=2)
    z = normal(2, 8)
    own, off = Gs.run(z, None), Gs.run(z, None, truncation_psi=None)
    np.testing.assert_array_equal(Gs.run(z, None, truncation_psi=np.float64(0.3)), own)
    np.testing.assert_array_equal(Gs.run(z, None, truncation_cutoff=None), off)
    np.testing.assert_array_equal(Gs.run(z, None, is_validation=True, truncation_psi=0.1), off)
    validation = dict(is_validation=True, truncation_psi_val=0.3, truncation_cutoff_val=2)
    np.testing.assert_array_equal(Gs.run(z, None, **validation), own)
    assert error(own, nchw(Gs.network(z, noise="fixed"))) <= TOLERANCE
    assert error(off, own) > 0.01


def test_later_changes_are_honoured(pair):
    Gs, D = pair
    z, images, labels = normal(2, 8), nchw(images_for(D.network)), labels_for(D.network)

    def both():
        return Gs.run(z, None, randomize_noise=False), D.run(images, labels)

    def check_both(lod=0):
        found = both()
        assert error(found[0], nchw(Gs.network(z, noise="fixed", lod=lod))) <= TOLERANCE
        assert error(found[1], D.network(nhwc(images), labels, lod=lod)) <= TOLERANCE
        return found

    runs = [both()]
    for network, layer in ((Gs, "G_synthesis/8x8/Conv1/weight"), (D, "8x8/Conv0/weight")):
        network.set_var(layer, -network.get_var(layer))
    runs.append(check_both())
    for network in pair:
        network.network.set_arrays({k: v * 0.5 for k, v in network.network.arrays().items()})
    runs.append(check_both())
    Gs.set_var("dlatent_avg", Gs.get_var("dlatent_avg") + 1)
    for lod in (1.5, 2):
        Gs.set_var("lod", lod)
        D.network.set_lod(lod)
        runs.append(check_both(lod))
    w = Gs.components.mapping.run(z, None)  # the run before passed its lod on
    same = Gs.components.synthesis.run(w, randomize_noise=False)
    assert error(same, nchw(Gs.network.synthesis(w, noise="fixed", lod=2))) <= TOLERANCE
    for index, run in enumerate(runs[1:]):
        for old, new in zip(runs[index], run):
            assert error(new, old) > 1e-3


def test_compiled_graphs_are_shared_and_few(pair, monkeypatch):
    Gs, D = pair
    Gs._renderer._graphs.clear()
    D._functions.clear()
    z = normal(2, 8)
    settings = [
        dict(truncation_psi=psi, minibatch_size=size) for psi in (0.1, 0.2) for size in (1, 2)
    ]
    for kwargs in settings * 2:
        Gs.run(z, None, structure="fixed", randomize_noise=False, **kwargs)
    graphs = Gs._renderer._graphs
    assert len(graphs) == 1  # neither another psi nor another minibatch makes one more
    assert Gs._codes.experimental_get_tracing_count() == 1
    for lod in np.arange(0.1, 0.9, 0.1):
        Gs.set_var("lod", lod)
        Gs.run(z, None, randomize_noise=False)
    assert len(graphs) == 2  # one for a fade, however far it is
    assert all(graph.experimental_get_tracing_count() == 1 for graph in graphs.values())
    images = images_for(D.network, 4)
    for lod in (0, *np.arange(0.1, 0.9, 0.1)):
        D.set_var("lod", lod)
        scores = D.run(nchw(images), None)
        np.testing.assert_allclose(scores, D.network(images, lod=lod), rtol=1e-5, atol=1e-5)
    assert list(D._functions) == [(0, False, 4), (0, True, 4)]
    monkeypatch.setattr(facade_module, "MAX_FUNCTIONS", 3)
    made = [D._compiled(0, False, minibatch) for minibatch in (1, 2, 3, 8)]
    assert len(D._functions) == 3
    assert D._compiled(0, False, 2) is made[1]
    assert D._compiled(0, False, 1) is not made[0]  # had gone; now goes the next
    assert D._compiled(0, False, 2) is made[1]  # which is not the one just used
    assert D._compiled(0, False, 3) is not made[2]


def test_output_transforms(pair):
    Gs, _ = pair
    z = normal(3, 8)
    images = Gs.run(z, None, randomize_noise=False)

    def run(func, **kwargs):
        transform = dict(func=func, **kwargs)
        return Gs.run(z, None, randomize_noise=False, minibatch_size=2, output_transform=transform)

    assert error(run(lambda x, by: tf.reduce_mean(x, axis=1) * by, by=2), images.mean(1) * 2) < 1e-5
    ours = run(convert_images_to_uint8, shrink=2)
    np.testing.assert_array_equal(run("dnnlib.tflib.convert_images_to_uint8", shrink=2), ours)
    assert ours.shape == (3, 3, 8, 8)
    with pytest.raises(ValueError, match="output_transform: 1 items from 2"):
        run(lambda x: x[:1])
    for wrong in ("tanh", 3):
        with pytest.raises(ValueError, match=f"func is {wrong!r}"):
            run(wrong)
    for wrong in (convert_images_to_uint8, {}):
        with pytest.raises(ValueError, match="expected a dict with 'func'"):
            Gs.run(z, None, output_transform=wrong)


def test_keywords_without_a_use_are_ignored(pair):
    Gs, D = pair
    kwargs = dict(truncation_psi=0.2, style_mixing_prob=0.5, randomize_noise=False, num_gpus=2)
    z, pair = normal(2, 8), (nchw(images_for(D.network)), labels_for(D.network))
    wanted = Gs.components.mapping.run(z)
    np.testing.assert_array_equal(Gs.components.mapping.run(z, **kwargs, use_noise=False), wanted)
    np.testing.assert_array_equal(D.run(*pair, **kwargs), D.run(*pair))
    # An option that says what is so anyway.
    np.testing.assert_array_equal(Gs.components.mapping.run(z, mapping_layers=2), wanted)


ERRORS = {
    "unknown": (dict(truncation_phi=1), "no keyword 'truncation_phi'.*'truncation_psi'"),
    "nearest of run": (dict(minibatchsize=1), "did you mean 'minibatch_size'"),
    "lod": (dict(lod=1), r"set_var\('lod', value\)"),
    "option": (dict(use_noise=False), r"use_noise=False, but .* True; clone\(use_noise=False\)"),
    "impossible option": (dict(blur_filter="no"), "blur_filter='no'"),
    "training": (dict(is_training=True), "is_training=True"),
    "structure": (dict(structure="growing"), "structure='growing', expected one of"),
    "psi": (dict(truncation_psi="0.7"), "truncation_psi='0.7', expected a number or None"),
    "psi vector": (dict(truncation_psi=[0.1, 0.2]), r"truncation_psi=\[0.1, 0.2\]"),
    "no minibatch": (dict(minibatch_size=0), "minibatch_size=0, expected a positive"),
    "minibatch": (dict(minibatch_size=2.0), "minibatch_size=2.0"),
}
INPUTS = {
    "none": ((), "0 inputs, expected latents and labels"),
    "all None": ((None, None), "not all None"),
    "too many": ((normal(2, 8), None, None), "3 inputs, expected"),
    "width": ((normal(2, 7),), r"latents: shape \(2, 7\), expected \(2, 8\)"),
    "rank": ((np.float32(1),), r"latents: shape \(\), expected \(N, 8\)"),
    "empty": ((normal(0, 8),), r"latents: shape \(0, 8\), expected \(N, 8\)"),
    "labels": ((normal(2, 8), normal(3, 3)), r"labels: shape \(3, 3\), expected \(2, 3\)"),
    "text": ((["a", "b"],), "latents: not numbers"),
}


@pytest.mark.parametrize(("keywords", "message"), ERRORS.values(), ids=ERRORS)
def test_wrong_keywords(pair, keywords, message):
    with pytest.raises(ValueError, match=f"^(Gs|G_style): .*{message}"):
        pair[0].run(normal(2, 8), None, **keywords)


@pytest.mark.parametrize(("inputs", "message"), INPUTS.values(), ids=INPUTS)
def test_wrong_inputs(pair, inputs, message):
    with pytest.raises(ValueError, match=message):
        pair[0].run(*inputs)


def test_minibatches_that_do_not_divide_into_groups(pair):
    with pytest.raises(ValueError, match="minibatch of 6 does not divide into groups of 4"):
        pair[1].run(normal(6, 3, 16, 16))


def test_variables(pair):
    Gs, _ = pair
    assert list(Gs.vars) == list(Gs.network.arrays())
    assert set(Gs.vars) - set(Gs.trainables) == {
        *("lod", "dlatent_avg", "G_synthesis/lod"),
        *(f"G_synthesis/noise{index}" for index in range(6)),
    }
    variable = Gs.find_var("dlatent_avg")
    assert variable is Gs.find_var(variable) is Gs.vars["dlatent_avg"]
    Gs.set_var(variable, np.arange(8))
    value = Gs.get_var("dlatent_avg")
    value += 1  # a copy
    np.testing.assert_array_equal(Gs.get_var(variable), np.arange(8))
    with pytest.raises(ValueError, match=r"no variable 'dlatent_average' .*'dlatent_avg'"):
        Gs.get_var("dlatent_average")
    with pytest.raises(ValueError, match=r"dlatent_avg: shape \(3,\), expected \(8,\)"):
        Gs.set_var("dlatent_avg", np.zeros(3))
    with pytest.raises(AttributeError, match=r"no 'maping' \(did you mean 'mapping'"):
        Gs.components.maping  # noqa: B018


def test_clones_are_their_own(pair):
    Gs, _ = pair
    copy, z = Gs.clone("copy"), normal(2, 8)
    assert (copy.name, copy.static_kwargs) == ("copy", Gs.static_kwargs)
    np.testing.assert_array_equal(
        copy.run(z, None, randomize_noise=False), Gs.run(z, None, randomize_noise=False)
    )
    Gs.set_var("dlatent_avg", np.ones(8))
    assert not np.array_equal(copy.get_var("dlatent_avg"), np.ones(8))
    other = networks.runnable(generator(label_size=3, seed=7, use_noise=False))
    other.copy_vars_from(Gs.network)  # those that both have
    for name in other.vars:
        np.testing.assert_array_equal(other.get_var(name), Gs.get_var(name))


def test_keras_does_not_notice(tmp_path, capsys):
    """The shorthands add no variable, no setting and no layer, and Keras's own uses still work."""
    plain, used = generator(seed=1), generator(seed=1)
    used.run(normal(1, 8), None)

    def what_keras_sees(network):
        tf.train.Checkpoint(network=network).save(tmp_path / "checkpoint")
        saved = tf.train.list_variables(tf.train.latest_checkpoint(tmp_path))
        return (
            [tuple(variable.shape) for variable in network.variables],
            len(network.trainable_variables),
            [layer.name for layer in network._flatten_layers()],
            network.get_config(),
            saved,
        )

    assert what_keras_sees(used) == what_keras_sees(plain)
    used.summary()
    assert "G_mapping" in capsys.readouterr().out
    again = type(used).from_config(used.get_config())
    again.set_arrays(used.arrays())
    settings = dict(randomize_noise=False)
    found, wanted = again.run(normal(2, 8), **settings), used.run(normal(2, 8), **settings)
    np.testing.assert_array_equal(found, wanted)


def test_layers_are_listed(pair):
    Gs = pair[0]
    layers = {name: (shape, variables) for name, shape, variables in Gs.list_layers()}
    shape, variables = layers["G_synthesis/8x8/Conv1"]
    assert shape == Gs.components.synthesis.list_layers()[-1][1][:1] + [8, 8, 8]
    weight = Gs.vars["G_synthesis/8x8/Conv1/weight"]
    assert any(variable is weight for variable in variables)
    for network in pair:
        listed = [id(variable) for *_, variables in network.list_layers() for variable in variables]
        assert sorted(listed) == sorted(map(id, network.trainables.values()))
    assert layers["lod"] == ([], [])


def test_own_variables_and_their_local_names(pair):
    Gs, D = pair
    assert list(Gs.own_vars) == ["lod", "dlatent_avg"]
    assert list(D.own_vars) == list(D.vars)
    assert Gs.get_var_local_name(Gs.vars["dlatent_avg"]) == "dlatent_avg"
    with pytest.raises(ValueError, match="no such variable"):
        Gs.get_var_local_name(D.vars["lod"])


def changed(network, other):
    return {name for name in network.vars if (network.get_var(name) != other.get_var(name)).any()}


def test_parts_of_the_variables_are_copied_and_reset(pair):
    Gs, _ = pair
    own, trained = set(Gs.own_vars), set(Gs.trainables)
    other = Gs.clone()
    for name in other.vars:
        other.set_var(name, other.get_var(name) + 1)
    for copy, names in (("copy_own_vars_from", own), ("copy_trainables_from", trained)):
        before = Gs.clone()
        getattr(before, copy)(other)
        assert changed(before, Gs) == names
    made = networks.runnable(networks.build("G_style", seed=Gs.network.seed, **Gs.static_kwargs))
    for reset, names in (
        ("reset_own_vars", own),
        ("reset_trainables", trained),
        ("reset_vars", set(Gs.vars)),
    ):
        network = other.clone()
        getattr(network, reset)()
        assert changed(network, other) >= names & changed(made, other)
        assert changed(network, made).isdisjoint(names)


def test_a_moving_average(pair):
    Gs, _ = pair
    average = Gs.clone()
    update = average.setup_as_moving_average_of(Gs, beta=0.75)
    for name in Gs.vars:
        Gs.set_var(name, Gs.get_var(name) + 1)
    update()
    for name in Gs.vars:
        share = 0.75 if name in Gs.trainables else 0
        wanted = Gs.get_var(name) - share
        np.testing.assert_allclose(average.get_var(name), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("get_output_for", r"'get_output_for': call the network itself"),
        ("convert", r"'convert': networks\.build"),
        ("list_ops", "list_layers"),
        ("list_layer", "list_layers"),
        ("something", "docs/from-the-original.md"),
    ],
)
def test_what_is_not_there_names_the_way(pair, name, way):
    for owner in (pair[0], pair[0].network, pair[0].network.mapping, pair[1].network):
        with pytest.raises(AttributeError, match=way):
            getattr(owner, name)
        assert not hasattr(owner, name)
        assert getattr(owner, name, None) is None


def test_networks_have_what_their_facade_has(pair):
    for facade in (*pair, pair[0].components.synthesis):
        network = facade.network
        for name in ("list_layers", "setup_as_moving_average_of", "copy_trainables_from", "clone"):
            assert getattr(network, name) == getattr(facade, name)
        for name in ("vars", "own_vars", "trainables", "static_kwargs", "input_shapes"):
            assert getattr(network, name) is getattr(facade, name)
        assert network.network is network
        network.set_var("lod", 0)
        network.reset_vars()
        assert set(dir(type(facade)) + list(vars(facade))) >= facade_module.OFFERED


def test_names_that_were_nearly_right_are_told(pair):
    with pytest.raises(AttributeError, match=r"no 'maping' \(did you mean 'mapping'\?\)"):
        pair[0].network.maping  # noqa: B018
    with pytest.raises(AttributeError, match=r"no 'own_var' \(did you mean 'own_vars'\?\)"):
        pair[1].network.own_var  # noqa: B018


def test_errors_of_networks_are_not_hidden(pair, monkeypatch):
    network = pair[0].network
    inner = property(lambda self: self.options.inner)
    monkeypatch.setattr(type(network), "latent_size", inner)
    with pytest.raises(AttributeError, match=r"object has no attribute 'inner'$"):
        network.latent_size  # noqa: B018
    with pytest.raises(AttributeError, match=r"^'StyleGenerator' object has no attribute '_x'$"):
        network._x  # noqa: B018
    unmade = object.__new__(type(network))
    for name in ("options", "runnable", "vars", "components", "_x", "__x__", "something"):
        assert not hasattr(unmade, name)
