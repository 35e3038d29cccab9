"""Checks of a configuration: what the networks get from it, and what is refused by name."""

import dataclasses
import inspect

import pytest

from dnnlib import config as config_lib
from dnnlib.errors import UserError
from tests.training.common import make_info
from training import config as training_config, loss_options, presets
from training.config import network_options, resolve


def demo(*overrides):
    return config_lib.apply_overrides(presets.make("demo-stylegan"), overrides)


def test_network_options_come_from_the_data_set_and_the_precision():
    config = dataclasses.replace(presets.make("demo"), precision="mixed_bfloat16")
    G, D = network_options(config, make_info(64, 1, 10))
    for kwargs in (G, D):
        assert (kwargs["resolution"], kwargs["num_channels"]) == (64, 1)
        assert (kwargs["label_size"], kwargs["dtype"]) == (10, "bfloat16")
    assert (G["func_name"], D["func_name"]) == ("G_main", "D_stylegan2")
    assert G["fmap_max"] == config.G["fmap_max"]


def test_networks_named_with_the_reference_s_module_are_understood():
    config = demo("G.func_name=training.networks_stylegan.G_style")
    resolve(config, make_info())
    assert network_options(config, make_info())[0]["func_name"] == "G_style"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("G.fmapmax=3", r"^G.fmapmax: G_style has no such option \(did you mean 'fmap_max'\?\)"),
        ("G.fmap_max=0", "^G: G_style: fmap_max=0, expected a positive"),
        ("G.blur_filter=3", "^G: "),
        ("G.func_name=G_mapping", "^G.func_name='G_mapping': unknown network; known: G_style"),
        ("D.func_name=D_basik", "^D.func_name='D_basik': unknown network; known: D_basic"),
        ("G={}", "^G.func_name=None: unknown network"),
        ("G.resolution=32", "^G.resolution: is set by dataset.resolution"),
        ("D.dtype=float16", "^D.dtype: is set by precision"),
        ("D_loss.func_name=D_hinge_pg", r"unknown loss \(did you mean 'D_hinge_gp'\?\)"),
        ("G_loss.func_name=D_hinge", "^G_loss.func_name='D_hinge': unknown loss"),
        ("D_loss.r1_gama=3", r"no such option \(did you mean 'r1_gamma'\?\)"),
        ("D_loss.r1_gamma=big", "^D_loss.r1_gamma='big': expected a number"),
        ("D_loss.r1_gamma=-1", "^D_loss.r1_gamma=-1: expected a number, 0 or more"),
        ("precision=fp16", "^precision='fp16': expected one of float32"),
        ("grid.size=16by8", "^grid.size='16by8': expected '1080p'"),
        ("grid.layout=rows", "^grid.layout='rows': expected one of"),
        ("grid.layout=row_per_class", "^grid.layout='row_per_class' needs labels"),
        ("dataset.max_label_size=all", "^dataset.max_label_size='all': expected 'full'"),
        ("seed=-1", "^seed=-1"),
        ("num_gpus=-1", "^num_gpus=-1"),
        ("total_kimg=0", "^total_kimg=0.0: expected more than 0"),
        ("minibatch_repeats=0", "^minibatch_repeats=0: expected 1 or more"),
        ("G_opt.beta1=1", "^G_opt.beta1=1.0: expected"),
        ("D_opt.epsilon=0", "^D_opt.epsilon=0.0: expected"),
        ("schedule.lod_initial_resolution=64", "larger than the data set's 32x32"),
        ("schedule.minibatch_dict.16=14", "minibatch_dict.16: 14 images on each of 1.*groups of 4"),
    ],
)
def test_what_cannot_work_is_refused_by_name(override, message):
    with pytest.raises(UserError, match=message) as caught:
        resolve(demo(override), make_info())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ("D_loss.func_name=D_wgan_gp", "D_loss.wgan_lambda=5"),
        ("D_loss.func_name=D_hinge",),
        ("schedule.minibatch_dict.16=3",),  # fewer than a group: the group is smaller
        ("schedule.minibatch_dict.16=14", "D.mbstd_group_size=0"),
        ("grid.size=4x100",),
        ("G.blur_filter=[1,3,3,1]", "D.blur_filter=None"),
    ],
)
def test_what_works_is_accepted(overrides):
    resolve(demo(*overrides), make_info())


def test_minibatches_are_checked_for_the_real_number_of_devices():
    config = demo("schedule.minibatch_base=16")
    resolve(config, make_info())
    training_config.check_minibatches(config, make_info(), 4)
    with pytest.raises(UserError, match="5 images on each of 3 device"):
        training_config.check_minibatches(config, make_info(), 3)
    with pytest.raises(UserError, match="less than one for each of 32 replicas"):
        resolve(config, make_info(), 32)


def test_the_loss_table_is_what_the_losses_accept():
    # Here: they bring TensorFlow, which nothing else needs.
    from training import losses, regularizers

    table = {**loss_options.G_LOSSES, **loss_options.D_LOSSES}
    combined = loss_options.COMBINED
    for name, (loss, regularizer, renamed) in combined.items():
        own = dict(table.pop(name))
        own.pop("interval")
        regs = {**loss_options.G_REGULARIZERS, **loss_options.D_REGULARIZERS}
        expected = {k: v for k, v in regs.get(regularizer, {}).items() if k != "interval"}
        assert {renamed.get(key, key): value for key, value in own.items()} == expected
        assert loss in table
    for name, options in table.items():
        parameters = inspect.signature(getattr(losses, name)).parameters.values()
        keywords = {p.name: p.default for p in parameters if p.default is not p.empty}
        assert keywords == options, name
    tables = training_config.loss_options.TABLES
    table = {**tables["G_reg"], **tables["D_reg"]}
    assert table.keys() == regularizers.REGULARIZERS.keys()
    for name, options in table.items():
        keywords = [option for option in options if option != "interval"]  # that is the phase's
        parameters = inspect.signature(regularizers.REGULARIZERS[name].penalty).parameters
        assert list(parameters) == ["game", "batch", *keywords], name
