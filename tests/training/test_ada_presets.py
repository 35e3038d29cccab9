"""StyleGAN2-ADA's configurations against what the original's command line resolved to."""

import dataclasses

import pytest

from dnnlib import config as config_lib
from tests import golden
from tests.training.common import add_checkpoint, ask, refused, started
from training import ada_configs, phases, presets, runs
from training.augmentation.transforms import ALL, transforms_of

pytestmark = pytest.mark.usefixtures("here")

ADA = [f"ada-{name}" for name in ada_configs.NAMES]
# The directory's name; here half precision is all or nothing; augmentation's tests have the last.
APART = ("run_name", "num_fp16_res", "ada_kimg")
# The recorded command lines' options that are settings here.
SETTINGS = {"gamma": "D_loss.gamma", "batch": "schedule.minibatch_base", "p": "augment.p"}


def request_of(case, preset="ada-auto"):
    overrides = [f"{SETTINGS[key]}={value}" for key, value in case.items() if key in SETTINGS]
    if "target" in case:
        overrides.append(f"augment.target={case['target']}")
    if case.get("mirror"):
        overrides.append("dataset.mirror_augment=True")
    if case.get("cond"):
        overrides.append("dataset.max_label_size=full")
    augment = {"noaug": "none"}.get(case.get("aug"), case.get("augpipe"))
    return ask(
        preset=preset,
        dataset=f"synthetic-{case['resolution']}" + ("-10" if case.get("cond") else ""),
        num_gpus=case["gpus"],
        precision="float32" if case.get("fp32") else "mixed_bfloat16",
        augment=augment,
        subset=case.get("subset"),
        total_kimg=case.get("kimg"),
        freeze_d=case.get("freezed"),
        resume_from=str(golden.path("ada/torch_pickles/ta.pkl")) if "resume" in case else None,
        overrides=tuple(overrides),
    )


def test_every_configuration_of_the_original():
    cases = golden.load("ada/augment/configs.json")
    assert len(cases) == 46
    for case in cases:
        run = runs.plan(request_of(case, f"ada-{case['cfg']}"))
        check(run, case["result"], case["gpus"])
    assert {case["cfg"] for case in cases} == set(ada_configs.NAMES) - {"cifarbaseline"}


def check(run, expected, gpus):
    config, G, D = run.config, run.parts.G, run.parts.D
    schedule = config.schedule
    part = schedule.minibatch_gpu_base or schedule.minibatch_base // gpus
    path_length = config.G_loss["func_name"] == "G_logistic_ns_pathreg"
    chosen = transforms_of(config.augment.transforms, config.augment.options)
    (hook,) = phases.hooks_of(config) or [None]
    assert (G["func_name"], D["func_name"]) == ("G_ada", "D_ada")
    assert {
        "minibatch": schedule.minibatch_base,
        "minibatch_gpu": part,
        "lr_G": schedule.G_lrate_base,
        "lr_D": schedule.D_lrate_base,
        "r1_gamma": pytest.approx(config.D_loss["gamma"], rel=1e-12),
        "pl_weight": run.parts.losses["G_loss"]["pl_weight"] if path_length else 0,
        "style_mixing_prob": G["style_mixing_prob"],
        "ema_kimg": config.G_smoothing_kimg,
        "ema_rampup": config.G_smoothing_rampup,
        "total_kimg": config.total_kimg,
        "mapping_layers": G["mapping_layers"],
        "channel_base": 2 * G["fmap_base"],
        "conv_clamp": D["conv_clamp"],
        "D_architecture": D["architecture"],
        "mbstd_group_size": D["mbstd_group_size"],
        "freeze_layers": config.freeze_d,
        "ada_target": config.augment.target if hook else None,
        "augment_p": config.augment.p or 0,
        "augment": sorted(name for name in ALL if chosen and getattr(chosen, name)),
    } == {key: value for key, value in expected.items() if key not in APART}
    assert G["conv_clamp"] == D["conv_clamp"]
    assert (G["fmap_base"], G["fmap_max"], D["fmap_max"]) == (D["fmap_base"], 512, 512)
    assert (G["latent_size"], G["dlatent_size"], G["architecture"]) == (512, 512, "skip")
    assert (config.G_loss["interval"], config.D_loss["interval"]) == (4, 16)
    for adam in (config.G_opt, config.D_opt):
        assert (adam.beta1, adam.beta2, adam.epsilon) == (0, 0.99, 1e-8)


def test_the_configuration_that_only_the_tensorflow_version_has():
    cifar, baseline = (presets.make(f"ada-cifar{end}") for end in ("", "baseline"))
    assert (cifar.G["mapping_layers"], baseline.G["mapping_layers"]) == (2, 8)
    assert (cifar.G["fmap_base"], baseline.G["fmap_base"]) == (16384, 8192)  # the same at 32×32
    assert cifar.schedule == baseline.schedule


@pytest.mark.parametrize("devices", [1, 2, 3, 5, 6, 7, 12, 16, 40, 100])
def test_any_number_of_devices(devices):
    """Whole passes of whole groups, for a minibatch near the table's."""
    for preset in ADA:
        for resolution in (4, 64, 512):
            run = runs.plan(ask(preset=preset, dataset=f"synthetic-{resolution}", num_gpus=devices))
            schedule, group = run.config.schedule, run.config.D["mbstd_group_size"]
            images = schedule.minibatch_base
            part = schedule.minibatch_gpu_base or images // devices
            assert images % (devices * part) == part % group == 0
            table = ada_configs.preset(preset[4:], ada_configs.Setting(resolution, 1))
            wanted = table["schedule"]["minibatch_base"]
            if preset != "ada-auto" and devices <= wanted:
                assert 0.75 * wanted <= images <= 1.25 * wanted


def test_one_device_adds_up_what_eight_would_compute():
    run = runs.plan(ask(preset="ada-paper256", dataset="synthetic-256"))
    assert "minibatch_gpu_base = 8" in " ".join(run.describe_all().split())
    assert run.config.schedule.minibatch_base == 64


@pytest.mark.parametrize(("preset", "images"), [("ada-auto", 8), ("ada-paper256", 4)])
def test_another_minibatch_or_gamma_changes_nothing_else(preset, images):
    """Also where it is less than the images of one pass."""
    as_it_is = runs.plan(ask(preset=preset)).config
    overrides = (f"schedule.minibatch_base={images}", "D_loss.gamma=3")
    changed = runs.plan(ask(preset=preset, overrides=overrides)).config
    differences = [key for key, _, _ in config_lib.diff(as_it_is, changed)]
    assert differences == ["D_loss.gamma", "schedule.minibatch_base"]


def test_a_run_goes_on_as_it_began_on_any_number_of_devices():
    request = ask(preset="ada-auto", run_dir="job")
    first = started(request)
    add_checkpoint(first.run_dir)
    more = ask(preset="ada-auto", run_dir="job", num_gpus=4)
    assert runs.plan(ask(preset="ada-auto", num_gpus=4)).config.schedule.minibatch_base == 64
    refused(more, "was started with num_gpus=0, not 4")
    saved = first.config
    # The same command on a machine of four.
    setting = runs._setting(dataclasses.replace(saved, num_gpus=4), first.dataset_info, saved, 1)
    assert setting.devices == 1
    assert runs.plan(request).config == saved
    assert runs.plan(ask(dataset=None, resume="job")).config == saved


def test_a_transfer_needs_no_short_memory():
    path = str(golden.path("ada/torch_pickles/ta.pkl"))
    config = runs.plan(ask(preset="ada-auto", resume_from=path)).config
    assert config.G_smoothing_rampup is None
    overrides = ("G_smoothing_rampup=0.05",)
    again = runs.plan(ask(preset="ada-auto", resume_from=path, overrides=overrides)).config
    assert again.G_smoothing_rampup == 0.05


def test_rows_go_on_top():
    run = runs.plan(ask(preset="ada-auto+labels", dataset="synthetic-64-10"))
    assert run.dataset_info.label_size == 10
    assert run.config.D_loss["gamma"] == pytest.approx(0.0002 * 64**2 / 32)
    refused(ask(preset="demo+ada-auto"), "'ada-auto' is no row")


def test_grey_images():
    run = runs.plan(ask(preset="ada-auto", dataset="digits"))
    assert run.parts.G["num_channels"] == run.parts.D["num_channels"] == 1
