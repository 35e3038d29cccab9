"""StyleGAN2's configurations against what the reference's command line resolved to."""

import pytest

from dnnlib import config as config_lib
from dnnlib.errors import UserError
from networks import registry
from tests import golden
from tests.training.common import make_info
from training import loss_options, presets
from training.config import TrainingConfig, resolve
from training.schedule import ScheduleConfig
from training.stylegan2_configs import DATASETS, ROWS

NAMES = {"minibatch_size_base": "minibatch_base", "minibatch_size_dict": "minibatch_dict"}
LAZY = {"G": 4, "D": 16}


def row_of(recorded_name):
    """'config-e-Gorig-Dskip' → the rows that make it."""
    config, _, architectures = recorded_name.partition("-G")
    return f"{config}+G{architectures}" if architectures else config


def test_every_configuration_of_the_reference():
    recorded = golden.load("stylegan2/misc2/configs2.json")
    assert len(recorded) == 15
    for name, expected in recorded.items():
        check(presets.make(row_of(name)), expected)


def check(config, expected):
    for key in ("G", "D"):
        options = dict(expected[f"{key}_args"])
        func_name = options.pop("func_name").rpartition(".")[2]
        parts = resolve(config, make_info(1024), 8)
        own = getattr(parts, key)
        assert own["func_name"] == func_name
        defaults = registry.resolve(func_name)
        for option, value in {**defaults, **options}.items():
            if option not in ("resolution", "num_channels", "label_size", "dtype"):
                assert own[option] == value, (func_name, option)
        check_objective(key, config, expected)
        adam = {k: getattr(config, f"{key}_opt").__dict__[k] for k in ("beta1", "beta2", "epsilon")}
        assert adam == expected[f"{key}_opt_args"]
    arguments = {NAMES.get(k, k): v for k, v in expected["sched_args"].items()}
    stated = config_lib.from_dict(ScheduleConfig, arguments)
    for key in arguments:
        assert getattr(config.schedule, key) == getattr(stated, key), key
    assert config.schedule.lod_initial_resolution == arguments.get("lod_initial_resolution")
    assert (config.grid.size, config.grid.layout) == ("8k", "random")
    assert config.total_kimg == expected["total_kimg"]
    assert config.image_snapshot_ticks == expected["image_snapshot_ticks"]
    assert config.network_snapshot_ticks == expected["network_snapshot_ticks"]
    assert config.G_first


def check_objective(key, config, expected):
    arguments = expected[f"{key}_loss_args"]
    loss = getattr(config, f"{key}_loss")
    assert loss["func_name"] == arguments["func_name"].rpartition(".")[2]
    assert loss.get("gamma") == arguments.get("gamma")
    lazy = expected.get("lazy_regularization", True)
    assert loss_options.objective(key, loss).interval == (LAZY[key] if lazy else 0)


def test_published_runs():
    for name, (directory, mirror, gamma, kimg) in DATASETS.items():
        for gpus in (1, 2, 4, 8):
            config = presets.make(f"stylegan2-{name}-{gpus}gpu")
            assert config.dataset.name == directory
            assert config.dataset.mirror_augment is mirror is (name == "ffhq")
            assert config.D_loss["gamma"] == gamma == (100 if name in ("church", "horse") else 10)
            assert (config.total_kimg, config.num_gpus) == (kimg, gpus)
            resolve(config, make_info(512), gpus)
    assert [DATASETS[n][3] for n in ("ffhq", "car", "cat", "church", "horse")] == [
        25000,
        57000,
        88000,
        88000,
        100000,
    ]


@pytest.mark.parametrize("base", ["demo", "demo-stylegan", "ffhq256-1gpu", "progan-cifar10-1gpu"])
def test_every_row_goes_on_top_of_any_preset(base):
    for row in [*ROWS, "lazy"]:
        resolve(presets.make(f"{base}+{row}"), make_info(32), 1)


def test_two_configurations_make_neither():
    with pytest.raises(UserError, match="expected one row of config, not 2"):
        presets.make("demo+config-a+config-f")


def test_lazy_r1_on_stylegans_own_runs():
    config = presets.make("ffhq-8gpu+lazy")
    chosen = loss_options.objective("D", config.D_loss)
    assert (chosen.loss, chosen.regularizer, chosen.interval) == ("D_logistic", "D_r1", 16)
    assert chosen.reg_keywords == {"r1_gamma": 10.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"D_reg": {"func_name": "D_r1"}}, "^D_loss.func_name='D_logistic_r1' has a regulariser"),
        ({"G": {"func_name": "G_paper"}}, "^G_path_length measures paths of w, which a G_paper"),
        (
            {"schedule": {"lod_initial_resolution": 8}},
            "^G: this G_main has layers for the full resolution alone and cannot grow",
        ),
        (
            {"schedule": {"minibatch_base": 30, "minibatch_gpu_base": 4}},
            "minibatch at 32x32 is 30 images, no whole number of passes of 4 images on each of 1",
        ),
    ],
)
def test_what_cannot_train_is_refused(settings, message):
    base = config_lib.to_dict(presets.make("config-f"))
    for key, value in settings.items():
        base[key] = {**base[key], **value} if key == "schedule" else value
    with pytest.raises(UserError, match=message):
        resolve(config_lib.from_dict(TrainingConfig, base), make_info(32), 1)
