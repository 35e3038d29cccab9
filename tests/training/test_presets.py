import dataclasses
import inspect
import json
from types import SimpleNamespace

import pytest

from dnnlib import config as config_lib
from dnnlib.errors import UserError
from networks import options as network_tables
from tests import golden
from training import config as training_config, presets
from training.config import TrainingConfig, network_options, validate

NATIVE = {"ffhq": 1024, "celebahq": 1024, "bedroom": 256, "car": 512, "cat": 256}
DIRECTORIES = {
    "ffhq": "ffhq",
    "ffhq512": "ffhq",
    "ffhq256": "ffhq",
    "celebahq": "celebahq",
    "bedroom": "lsun-bedroom-full",
    "car": "lsun-car-512x384",
    "cat": "lsun-cat-full",
}
PAPER = [f"{name}-{n}gpu" for name in DIRECTORIES for n in (1, 2, 4, 8)]


def make_info(resolution=32, channels=3, label_size=0):
    """As training.dataset.inspect would find it."""
    return SimpleNamespace(resolution=resolution, channels=channels, label_size=label_size)


def info_for(config):
    if config.preset == "demo":
        return make_info(channels=1)
    name = config.preset.split("-")[0]
    return make_info(config.dataset.resolution or NATIVE[name])


def demo(*overrides):
    return config_lib.apply_overrides(presets.make("demo"), overrides)


def test_the_list_of_presets():
    assert sorted(presets.PRESETS) == sorted(["demo", *PAPER])


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_fits_its_data_set_and_survives_json(name):
    config = presets.make(name)
    assert (config.preset, config.description) == (name, name)
    validate(config, info_for(config))
    saved = json.loads(json.dumps(config_lib.to_dict(config)))
    assert config_lib.from_dict(TrainingConfig, saved) == config


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_the_paper_s_schedules_are_the_reference_s(gpus):
    cases = golden.load("misc/schedule.json")
    case = cases[f"sgan_ffhq_{gpus}gpu"]
    expected = config_lib.from_dict(training_config.ScheduleConfig, case["sched_args"])
    for name in ("ffhq", "ffhq512", "ffhq256", "bedroom", "car", "cat"):
        config = presets.make(f"{name}-{gpus}gpu")
        assert config.schedule == expected
        assert config.num_gpus == gpus == case["num_gpus"]


def test_celebahq_uses_wgan_gp_with_capped_rates():
    case = golden.load("misc/schedule.json")["sgan_ffhq_8gpu_wgangp"]
    config = presets.make("celebahq-8gpu")
    expected = config_lib.from_dict(training_config.ScheduleConfig, case["sched_args"])
    assert config.schedule == expected
    assert config.G_loss["func_name"] == "G_wgan"
    assert config.D_loss["func_name"] == "D_wgan_gp"


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_numbers(name):
    config = presets.make(name)
    data = name.split("-")[0]
    assert config.dataset.name == DIRECTORIES[data]
    assert config.dataset.mirror_augment == (data.startswith("ffhq") or data == "celebahq")
    assert config.dataset.resolution == {"ffhq512": 512, "ffhq256": 256}.get(data)
    assert config.total_kimg == 25000
    assert (config.G_smoothing_kimg, config.minibatch_repeats, config.D_repeats) == (10, 4, 1)
    for opt in (config.G_opt, config.D_opt):
        assert (opt.beta1, opt.beta2, opt.epsilon) == (0.0, 0.99, 1e-8)
    # Configuration F is the networks' defaults, at full width.
    G, D = network_options(config, info_for(config))
    settled = training_config.SETTLED
    for kwargs, table in ((G, network_tables.G_STYLE), (D, network_tables.D_BASIC)):
        options = network_tables.resolve(**kwargs)
        assert {k: v for k, v in options.items() if k not in settled} == {
            k: v for k, v in table.items() if k not in settled
        }
    if data != "celebahq":
        assert config.G_loss["func_name"] == "G_logistic_nonsaturating"
        loss = training_config.loss_options.resolve("D_loss", config.D_loss)
        assert loss == ("D_logistic_simplegp", {"r1_gamma": 10.0, "r2_gamma": 0.0})


def test_the_demo_grows_through_three_resolutions_or_more():
    config = presets.make("demo")
    phases = training_config.schedules.phases(config.schedule, 32)
    assert sum(phase.stable_kimg < config.total_kimg for phase in phases) >= 3
    assert phases[-1].stable_kimg < config.total_kimg


def test_unknown_presets_get_a_suggestion():
    with pytest.raises(UserError, match=r"'ffhq-8gpus' \(did you mean 'ffhq-8gpu'\?\)"):
        presets.make("ffhq-8gpus")
    with pytest.raises(UserError, match=r"known: demo, \{ffhq"):
        presets.make("zzz")


def test_presets_cannot_be_changed_through_a_configuration():
    presets.make("demo").G["fmap_max"] = -1
    assert presets.make("demo").G["fmap_max"] != -1


def test_network_options_come_from_the_data_set_and_the_precision():
    config = dataclasses.replace(presets.make("demo"), precision="mixed_bfloat16")
    G, D = network_options(config, make_info(64, 1, 10))
    for kwargs in (G, D):
        assert (kwargs["resolution"], kwargs["num_channels"]) == (64, 1)
        assert (kwargs["label_size"], kwargs["dtype"]) == (10, "bfloat16")
    assert (G["func_name"], D["func_name"]) == ("G_style", "D_basic")
    assert G["fmap_max"] == config.G["fmap_max"]


def test_networks_named_with_the_reference_s_module_are_understood():
    config = demo("G.func_name=training.networks_stylegan.G_style")
    validate(config, make_info())
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
        validate(demo(override), make_info())
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
    validate(demo(*overrides), make_info())


def test_minibatches_are_checked_for_the_real_number_of_devices():
    config = demo("schedule.minibatch_base=16")
    validate(config, make_info())
    training_config.check_minibatches(config, make_info(), 4)
    with pytest.raises(UserError, match="5 images on each of 3 device"):
        training_config.check_minibatches(config, make_info(), 3)
    with pytest.raises(UserError, match="less than one for each of 32 replicas"):
        validate(config, make_info(), 32)


def test_the_loss_table_is_what_the_losses_accept():
    from training import losses  # here: it brings TensorFlow, which nothing else needs

    table = {**training_config.loss_options.G_LOSSES, **training_config.loss_options.D_LOSSES}
    for name, options in table.items():
        parameters = inspect.signature(getattr(losses, name)).parameters.values()
        keywords = {p.name: p.default for p in parameters if p.default is not p.empty}
        assert keywords == options, name
