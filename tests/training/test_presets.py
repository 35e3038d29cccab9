import dataclasses
import json
import re

import pytest

from dnnlib import config as config_lib
from dnnlib.errors import UserError
from networks import registry
from tests import golden
from tests.training.common import make_info
from training import (
    ablations,
    choices,
    config as training_config,
    loss_options,
    presets,
    schedule as schedules,
    stylegan2_configs,
)
from training.config import TrainingConfig, network_options, resolve

NATIVE = {
    **dict(ffhq=1024, celebahq=1024, bedroom=256, car=512, cat=256, lsun=256, celeba=128),
    **dict(cifar10=32, cifar100=32, svhn=32, mnist=32),
}
DIRECTORIES = {
    "ffhq": "ffhq",
    "ffhq512": "ffhq",
    "ffhq256": "ffhq",
    "celebahq": "celebahq",
    "bedroom": "lsun-bedroom-full",
    "car": "lsun-car-512x384",
    "cat": "lsun-cat-full",
}
PROGAN_DATA = ["celebahq", "ffhq", "lsun", "celeba", "cifar10", "cifar100", "svhn", "mnist"]
PAPER = [f"{name}-{n}gpu" for name in DIRECTORIES for n in (1, 2, 4, 8)]
PROGAN = [f"progan-{name}-{n}gpu" for name in PROGAN_DATA for n in (1, 2, 4, 8)]
ROWS = [
    *(f"table1-{row}" for row in "abcdef"),
    *(f"table2-mix{percent}" for percent in (0, 50, 90, 100)),
    *(f"table4-traditional-{layers}" for layers in (0, 8)),
    *(f"table4-stylebased-{layers}" for layers in (0, 1, 2, 8)),
    "spectral-norm",
    "labels",
    "lazy",
]
STYLEGAN2 = [
    f"stylegan2-{name}-{n}gpu"
    for name in ("ffhq", "car", "cat", "church", "horse")
    for n in (1, 2, 4, 8)
]
ADA = [
    f"ada-{name}"
    for name in ("auto", "stylegan2", "paper256", "paper512", "paper1024", "cifar", "cifarbaseline")
]


def info_for(config):
    if config.preset.startswith("demo"):
        return make_info(channels=1, label_size=10)
    name = config.preset.removeprefix("progan-").split("-")[0]
    labels = 10 if config.dataset.max_label_size else 0
    # Bare rows are on FFHQ.
    return make_info(config.dataset.resolution or NATIVE.get(name, 1024), label_size=labels)


def golden_schedule(name):
    """(configuration, all that was recorded) of a case of the reference."""
    case = golden.load("misc/schedule.json")[name]
    return config_lib.from_dict(training_config.ScheduleConfig, case["sched_args"]), case


def points(config, case):
    """A schedule at the moments, and for the GPUs and the resolution, of a recorded case."""
    for cur_nimg, *_ in case["rows"]:
        point = schedules.schedule(config, cur_nimg, case["resolution"], case["num_gpus"])
        yield [cur_nimg, *(getattr(point, column) for column in case["columns"][1:])]


def test_the_list_of_presets_and_rows():
    demos = ["demo", "demo-stylegan", "demo-stylegan2"]
    assert list(presets.PRESETS) == [*demos, *PAPER, *PROGAN, *STYLEGAN2, *ADA]
    assert list(ablations.ROWS) == ROWS
    assert list(presets.ROWS) == [*ROWS, *stylegan2_configs.ROWS]
    lines = presets.listing().splitlines()
    assert lines[: len(presets.PRESETS)] == list(presets.PRESETS)
    assert "table4-stylebased-{0,1,2,8}" in lines
    of_stylegan2 = [
        "config-{a,b,c,d,e,f}",
        "ada-networks",
        "G{orig,skip,resnet}-D{orig,skip,resnet}",
    ]
    assert lines[-3:] == of_stylegan2
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("name", [*presets.PRESETS, *presets.ROWS])
def test_every_preset_fits_its_data_set_and_survives_json(name):
    config = presets.make(name)
    assert (config.preset, config.description) == (name, name)
    resolve(config, info_for(config))
    saved = json.loads(json.dumps(config_lib.to_dict(config)))
    assert config_lib.from_dict(TrainingConfig, saved) == config


@pytest.mark.parametrize("gpus", [1, 2, 4, 8])
def test_the_paper_s_schedules_are_the_reference_s(gpus):
    expected, case = golden_schedule(f"sgan_ffhq_{gpus}gpu")
    for name in ("ffhq", "ffhq512", "ffhq256", "bedroom", "car", "cat"):
        config = presets.make(f"{name}-{gpus}gpu")
        assert config.schedule == expected
        assert config.num_gpus == gpus == case["num_gpus"]


def test_celebahq_uses_wgan_gp_with_capped_rates():
    expected, _ = golden_schedule("sgan_ffhq_8gpu_wgangp")
    config = presets.make("celebahq-8gpu")
    assert config.schedule == expected
    assert config.G_loss["func_name"] == "G_wgan"
    assert config.D_loss["func_name"] == "D_wgan_gp"


@pytest.mark.parametrize("name", PROGAN)
def test_progan_s_numbers(name):
    config = presets.make(name)
    data, gpus = name.split("-")[1], int(name[-4])
    assert config.dataset.name == {"lsun": "lsun-bedroom-full"}.get(data, data)
    assert config.dataset.mirror_augment == (data in ("celebahq", "ffhq", "celeba"))
    assert (config.total_kimg, config.num_gpus, config.loss_scaling) == (12000, gpus, None)
    assert (config.G, config.D) == ({"func_name": "G_paper"}, {"func_name": "D_paper"})
    assert (config.G_loss, config.D_loss) == ({"func_name": "G_wgan"}, {"func_name": "D_wgan_gp"})
    # Batches are the paper's; nothing was recorded for 2 and 4 GPUs.
    rates = {
        **{1: {1024: 0.0015}, 2: {512: 0.0015, 1024: 0.002}},
        **{4: {256: 0.0015, 512: 0.002, 1024: 0.003}},
        **{8: {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}},
    }[gpus]
    assert config.schedule == dataclasses.replace(
        golden_schedule(f"sgan_ffhq_{gpus}gpu")[0],
        lod_initial_resolution=4,
        max_minibatch_per_gpu={256: 16, 512: 8, 1024: 4},
        G_lrate_dict=rates,
        D_lrate_dict=rates,
    )


@pytest.mark.parametrize("gpus", [1, 8])
def test_progan_s_schedules_are_the_reference_s(gpus):
    expected, case = golden_schedule(f"pgan_v2_{gpus}gpu")
    config = presets.make(f"progan-celebahq-{gpus}gpu")
    assert config.schedule == expected
    assert list(points(config.schedule, case)) == case["rows"]


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        ("table1-f", "sgan_ffhq_1gpu"),
        ("table1-f", "sgan_ffhq_8gpu"),
        ("table1-b", "sgan_256_8gpu"),
        ("table1-a", "pgan_v2_8gpu"),
    ],
)
def test_bare_rows_have_the_reference_s_schedule_on_8_gpus_and_on_1(name, recorded):
    _, case = golden_schedule(recorded)
    assert list(points(presets.make(name).schedule, case)) == case["rows"]


@pytest.mark.parametrize(
    ("gpus", "larger"), [(1, {}), (2, {128: 32, 256: 16}), (4, {128: 32, 256: 32}), (8, {})]
)
def test_the_minibatches_of_bare_rows(gpus, larger):
    """They are the paper's but where the comment in presets.py says so; row A's are the same."""
    paper = presets.make(f"ffhq-{gpus}gpu").schedule
    for resolution in (4, 8, 16, 32, 64, 128, 256, 512, 1024):
        expected = schedules.minibatch(paper, resolution, gpus)
        for row in ("table1-a", "table1-f"):
            found = schedules.minibatch(presets.make(row).schedule, resolution, gpus)
            assert found == larger.get(resolution, expected), (row, resolution)
    for name in ("table1-a", "table1-f"):
        resolve(presets.make(name), make_info(1024), gpus)


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
    settled = choices.SETTLED
    for kwargs, table in ((G, registry.defaults("G_style")), (D, registry.defaults("D_basic"))):
        options = registry.resolve(**kwargs)
        assert {k: v for k, v in options.items() if k not in settled} == {
            k: v for k, v in table.items() if k not in settled
        }
    if data != "celebahq":
        assert config.G_loss["func_name"] == "G_logistic_nonsaturating"
        loss = loss_options.resolve("D_loss", config.D_loss)
        assert loss == ("D_logistic_simplegp", {"r1_gamma": 10.0, "r2_gamma": 0.0})


def test_stylegans_demo_grows_through_three_resolutions_or_more():
    config = presets.make("demo-stylegan")
    periods = schedules.periods(config.schedule, 32)
    assert sum(period.stable_kimg < config.total_kimg for period in periods) >= 3
    assert periods[-1].stable_kimg < config.total_kimg


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ffhq-8gpus", r"^unknown preset 'ffhq-8gpus' \(did you mean 'ffhq-8gpu'\?\)"),
        (
            "zzz",
            r"^unknown preset 'zzz' \(known: demo, demo-\{stylegan,.*\}, .*table2-mix\{0,50,",
        ),
        ("table1-g", r"^unknown preset 'table1-g' \(did you mean 'table1-f'\?\)"),
        ("demoo+table1-b", r"^unknown preset 'demoo' \(did you mean 'demo'\?\)"),
        ("demo+tabel1-b", r"'demo\+tabel1-b': unknown row 'tabel1-b' \(did you mean 'table1-b'"),
        (
            "demo+zzz",
            r"unknown row 'zzz' \(known: table1-\{a,b,c,d,e,f\}, .*, labels, lazy, config-.*\}\)$",
        ),
        ("demo+", "unknown row ''"),
        ("table1-b+demo", "'table1-b\\+demo': 'demo' is no row; expected it at the beginning"),
        ("demo+table1-a+table1-c", "expected one row of table1, not 2"),
    ],
)
def test_unknown_presets_get_a_suggestion(name, message):
    with pytest.raises(UserError, match=message) as caught:
        presets.make(name)
    assert "\n" not in str(caught.value)


def test_presets_cannot_be_changed_through_a_configuration():
    for name in ("demo", "demo+table1-c", "demo+table1-f", "ffhq-8gpu+spectral-norm"):
        changed = presets.make(name)
        changed.G["fmap_max"] = changed.D["fmap_max"] = -1
        changed.schedule.minibatch_dict[4] = -1
        again = presets.make(name)
        assert -1 not in [again.G.get("fmap_max"), again.D.get("fmap_max")]
        assert again.schedule.minibatch_dict.get(4) != -1


# --------------------------------------------------------------------------------------
# Rows on top of a preset, and alone


def test_configuration_f_on_a_preset_is_the_preset():
    for name in ("demo-stylegan", "ffhq-8gpu"):
        changed = dataclasses.replace(
            presets.make(f"{name}+table1-f"), preset=name, description=name
        )
        assert changed == presets.make(name)


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("label_size", [0, 10])
def test_every_row_works_on_the_demo(row, label_size):
    name = f"demo-stylegan+{row}"
    config = presets.make(name)
    assert (config.preset, config.description, config.dataset.name) == (name, name, "digits")
    assert re.fullmatch(r"[a-z0-9+-]+", name)  # the run directory's name, unchanged
    if row == "labels" and not label_size:
        with pytest.raises(UserError, match="needs labels"):
            resolve(config, make_info(32, 1, label_size))
        return
    resolve(config, make_info(32, 1, label_size))


def test_stylegans_rows_on_the_demo_are_on_stylegans_demo():
    for rows in ("table1-b", "labels", "lazy+table2-mix50"):
        changed, own = (presets.make(f"{base}+{rows}") for base in ("demo", "demo-stylegan"))
        assert (
            dataclasses.replace(own, preset=f"demo+{rows}", description=f"demo+{rows}") == changed
        )
    assert presets.make("demo+config-b").D["func_name"] == "D_stylegan"
    assert presets.make("demo").G["func_name"] == "G_main"


def test_options_that_the_new_network_does_not_have_are_dropped():
    config = presets.make("demo+spectral-norm+table1-a")
    G = {"func_name": "G_paper", "fmap_base": 512, "fmap_max": 64, "latent_size": 64}
    D = {"func_name": "D_paper", "fmap_base": 512, "fmap_max": 64, "spectral_norm": True}
    assert (config.G, config.D) == (G, D)
    assert (config.G_loss, config.D_loss) == ({"func_name": "G_wgan"}, {"func_name": "D_wgan_gp"})
    # All else is the demo's, but for the resolution to start from.
    schedule = dataclasses.replace(config.schedule, lod_initial_resolution=8)
    assert schedule == presets.make("demo-stylegan").schedule
    assert config.total_kimg == presets.make("demo-stylegan").total_kimg


def test_options_of_losses_are_dropped_in_the_same_way(monkeypatch):
    base = {"D_loss": {"func_name": "D_hinge_gp", "wgan_lambda": 5.0}}
    monkeypatch.setitem(presets.PRESETS, "hinge", base)
    assert presets.make("hinge+table1-a").D_loss == {"func_name": "D_wgan_gp", "wgan_lambda": 5.0}
    base["D_loss"] = {"func_name": "D_logistic_simplegp", "r1_gamma": 5.0}
    assert presets.make("hinge+table1-a").D_loss == {"func_name": "D_wgan_gp"}


def test_later_rows_win():
    assert presets.make("demo+table1-e+table2-mix50").G["style_mixing_prob"] == 0.5
    assert presets.make("demo+table2-mix50+table1-e").G["style_mixing_prob"] == 0.0
    mixed = presets.make("demo+table1-b+table2-mix50")  # there is one w to mix
    with pytest.raises(UserError, match="expected None or 0 with use_styles=False"):
        resolve(mixed, make_info())


def test_rows_keep_the_losses_and_rates_of_what_they_are_put_on():
    """The paper's CelebA-HQ column: WGAN-GP in every row of Table 1."""
    base, changed = presets.make("celebahq-8gpu"), presets.make("celebahq-8gpu+table1-b")
    for part in ("dataset", "G_loss", "D_loss", "D", "schedule", "total_kimg", "num_gpus"):
        assert getattr(changed, part) == getattr(base, part)
    assert changed.G["use_styles"] is False


def test_rows_without_a_base_are_on_ffhq():
    A, labelled = presets.make("table1-a"), presets.make("labels+table1-a")
    assert (A.total_kimg, A.num_gpus, A.dataset.name) == (12000, 0, "ffhq")
    assert A.dataset.mirror_augment
    assert A.schedule.lod_initial_resolution == 4
    assert (labelled.G, labelled.schedule) == (A.G, A.schedule)
    assert (labelled.dataset.max_label_size, labelled.grid.layout) == ("full", "row_per_class")
    spectral = presets.make("spectral-norm")
    assert spectral.D == {"func_name": "D_basic", "spectral_norm": True}
    assert spectral.D_loss == {"func_name": "D_hinge"}  # no penalty beside it
    assert spectral.schedule == presets.make("table1-f").schedule
