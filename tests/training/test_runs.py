import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from dnnlib import tensor_file
from dnnlib.errors import UserError
from tests.training.common import BASE, add_checkpoint, ask, files, refused, started
from training import checkpoint, request as requests, runs, saved_config
from training.request import Request

pytestmark = pytest.mark.usefixtures("here")


def write_snapshot(path):
    safetensors.numpy.save_file({"G/x": np.zeros(1)}, path, {"networks": "{}"})


def test_flags_then_overrides_change_the_preset():
    run = runs.plan(
        ask(
            total_kimg=7.0,
            seed=5,
            num_gpus=1,
            precision="mixed_float16",
            xla=True,
            overrides=("G.fmap_max=16", "seed=6"),
        )
    )
    config = run.config
    assert (config.preset, config.dataset.name) == ("demo", "synthetic-32")
    assert (config.total_kimg, config.seed, config.num_gpus) == (7.0, 6, 1)
    assert (config.precision, config.xla, config.G["fmap_max"]) == ("mixed_float16", True, 16)
    assert run.dataset_info.resolution == 32


def test_plan_writes_nothing_and_start_makes_numbered_directories(here):
    run = runs.plan(BASE)
    assert run.run_dir is None
    assert files(here) == []
    for number in range(2):
        run = (run if number == 0 else runs.plan(BASE)).start()
        assert run.run_dir == Path("results") / f"0000{number}-demo"
        assert files(run.run_dir) == [".lock", "config.json", "resolved.json"]
        assert saved_config.load_config(run.run_dir) == run.config
        assert not run.resume


def test_the_description_names_the_directory():
    run = started(ask(result_dir="out", overrides=("description=my first run",)))
    assert run.run_dir == Path("out/00000-my-first-run")


def test_the_same_command_with_run_dir_continues():
    request = ask(run_dir="jobs/a", seed=3)
    first = started(request)
    assert (first.run_dir, first.resume) == (Path("jobs/a"), False)
    add_checkpoint(first.run_dir)
    again = started(request)
    assert again.resume
    assert again.config == first.config
    assert again.notes == ()


def test_run_dir_may_exist_with_other_files():
    Path("job").mkdir()
    Path("job/slurm.log").write_text("")
    assert not started(ask(run_dir="job")).resume


def test_another_command_with_the_same_run_dir_is_refused_by_its_first_difference():
    started(ask(run_dir="job", seed=3, total_kimg=9.0))
    add_checkpoint(Path("job"))
    refused(ask(run_dir="job", seed=4, total_kimg=9.0), r"job was started with seed=3, not 4; .*")
    refused(ask(run_dir="job", seed=3, total_kimg=8.0), "total_kimg=9.0, not 8.0")
    refused(ask(run_dir="job", preset="cat-1gpu"), "preset='demo', not 'cat-1gpu'")
    refused(
        ask(run_dir="job", seed=3, total_kimg=9.0, overrides=("schedule.minibatch_dict.4=8",)),
        "schedule.minibatch_dict",
    )


def test_a_set_found_in_the_working_directory_is_found_from_everywhere(monkeypatch, tmp_path):
    monkeypatch.setattr(requests, "is_built_in", lambda name: False)
    assert started(BASE).config.dataset.data_dir == str(Path.cwd())


def test_a_longer_total_and_what_does_not_matter_may_change():
    started(ask(run_dir="job", total_kimg=9.0))
    add_checkpoint(Path("job"))
    changed = ask(run_dir="job", total_kimg=10.0, overrides=("checkpoint_minutes=5",))
    run = started(changed)
    assert run.notes == ("total_kimg: 9.0 -> 10.0", "checkpoint_minutes: 10.0 -> 5.0")
    assert saved_config.load_config("job").total_kimg == 10.0
    assert started(changed).notes == ()


def test_resume_takes_the_saved_configuration():
    first = started(ask(seed=3, overrides=("G.fmap_max=16",)))
    started(BASE)
    for which in ("0", "00000-demo", str(first.run_dir)):
        run = started(Request(resume=which))
        assert (run.run_dir, run.config, run.resume) == (first.run_dir, first.config, True)
    assert runs.plan(Request(resume="latest")).run_dir == Path("results/00001-demo")


def test_resume_refuses_flags_that_contradict():
    started(ask(seed=3))
    assert runs.plan(Request(resume="latest", seed=3, preset="demo")).config.seed == 3
    refused(Request(resume="latest", seed=4), "seed=3, not 4; leave it out to continue")
    refused(Request(resume="latest", preset="cat-1gpu"), "preset='demo', not 'cat-1gpu'")
    refused(Request(resume="latest", preset="nonsense"), "unknown preset")
    refused(Request(resume="latest", overrides=("G.fmap_max=8",)), "G.fmap_max=")
    refused(Request(resume="latest", resume_from="x.safetensors"), "resume_from=None, not")
    longer = runs.plan(Request(resume="latest", total_kimg=199.0))
    assert longer.config.total_kimg == 199.0
    assert longer.config.seed == 3


def test_a_directory_that_is_no_run():
    refused(Request(resume="latest"), "no runs in results")
    Path("results/00000-x").mkdir(parents=True)
    refused(Request(resume="latest"), "is not a run directory: it has no config.json")
    config = Path("results/00000-x/config.json")
    config.write_text("{")
    refused(Request(resume="latest"), "config.json is not valid JSON")
    config.write_text(json.dumps({"from_the_future": 1}))
    refused(Request(resume="latest"), "config.json: unknown key 'from_the_future'")
    Path("file").write_text("")
    refused(ask(run_dir="file"), "--run_dir=file is not a directory")


def test_flags_that_exclude_each_other_or_are_empty():
    refused(ask(run_dir="a", resume="latest"), "--run_dir and --resume")
    refused(ask(run_dir=""), "--run_dir is empty")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"preset": "ffhq"}, "unknown preset 'ffhq'"),
        ({"dataset": "missing"}, "missing"),
        ({"overrides": ("nonsense=1",)}, "unknown key 'nonsense'"),
        ({"overrides": ("schedule.lod_initial_resolution=64",)}, "larger than the data set's 32"),
        ({"overrides": ("schedule.minibatch_base=6",)}, "6 images on each of 1 device"),
        ({"num_gpus": 64}, "less than one for each of 64 replicas"),
        ({"overrides": ("schedule.minibatch_base=1000000000000",)}, "more than the main memory"),
        ({"overrides": ("schedule.minibatch_dict.32=1000000000000",)}, "minibatch_dict.32: a mini"),
        (
            {"preset": "classifier", "dataset": "digits", "overrides": (f"minibatch={10**12}",)},
            "minibatch: a minibatch",
        ),
    ],
)
def test_mistakes_are_found_before_anything_is_made(flags, message):
    refused(ask(**flags), message)


def test_the_plan_counts_the_gpus_that_the_start_will_use(monkeypatch):
    six = ask(overrides=("schedule.minibatch_base=6",))
    refused(six, "6 images on each of 1 device")
    monkeypatch.setattr("compute.machine.num_gpus", lambda: 2)
    assert runs.plan(six).num_replicas == 2
    refused(ask(num_gpus=1, overrides=six.overrides), "6 images on each of 1 device")
    many = ask(overrides=("schedule.minibatch_base=1000000000000",))
    monkeypatch.setattr("compute.machine.memory_bytes", lambda: None)
    refused(many, "more than the memory of any GPU")


def test_places_are_absolute_so_that_a_run_continues_from_anywhere():
    Path("data").mkdir()
    write_snapshot("old.safetensors")
    run = runs.plan(ask(data_dir="data", resume_from="old.safetensors"))
    assert run.config.dataset.data_dir == str(Path("data").absolute())
    assert run.config.resume_from == str(run.transfer_from) == str(Path.cwd() / "old.safetensors")


def test_home_directories_are_put_in_wherever_a_setting_is_a_path(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here))
    write_snapshot(here / "old.safetensors")
    address = "https://a.org/~me/vgg16.pth"
    settings = {
        "dataset.data_dir": "~/data",
        "metrics.inception_weights": "~/inception.pth",
        "metrics.vgg16_weights": address,
        "metrics.classifiers": f"['~/a', 'b', '{address}']",
        "resume_from": "~/old.safetensors",
    }
    config = runs.plan(ask(overrides=tuple("=".join(each) for each in settings.items()))).config
    assert config.dataset.data_dir == f"{here}/data"
    assert config.metrics.inception_weights == f"{here}/inception.pth"
    assert config.metrics.vgg16_weights == address
    assert config.metrics.classifiers == (f"{here}/a", f"{here}/b", address)
    assert config.resume_from == f"{here}/old.safetensors"
    with pytest.raises(UserError, match=f"{here}/none"):
        runs.plan(ask(overrides=("dataset.name=~/none",)))


def test_transfer_starts_from_a_snapshot_until_there_is_a_checkpoint():
    refused(ask(resume_from="missing.safetensors"), "--resume_from: no file")
    Path("bad.safetensors").write_bytes(b"\xff" * 20)
    refused(ask(resume_from="bad.safetensors"), "is neither a .safetensors file nor a pickle")
    Path("bad.pkl").write_bytes(b"\x80\x04N.")
    refused(ask(resume_from="bad.pkl"), "--resume_from: .*bad.pkl: not a readable legacy network")
    safetensors.numpy.save_file({"x": np.zeros(1)}, "checkpoint.safetensors", {"progress": "{}"})
    refused(ask(resume_from="checkpoint.safetensors"), "is not a snapshot of networks$")
    tensor_file.save("checkpoint.safetensors", {"x": np.zeros(1)}, checkpoint.FORMAT, {})
    refused(ask(resume_from="checkpoint.safetensors"), "but a checkpoint: take a network-snapshot")
    for content, kind in (
        (b"<html>", "neither a .safetensors file nor a pickle: it is an HTML page"),
        (b"\x80\x03}q.", "bad.safetensors: not a readable PyTorch network"),
    ):
        Path("bad.safetensors").write_bytes(content)
        refused(ask(resume_from="bad.safetensors"), kind)
    write_snapshot("good.safetensors")
    request = ask(resume_from="good.safetensors", run_dir="job")
    assert started(request).transfer_from.name == "good.safetensors"
    # Stopped before its first checkpoint, the run still needs the snapshot ...
    assert started(request).transfer_from is not None
    # ... and later neither uses nor misses it.
    add_checkpoint(Path("job"))
    Path("good.safetensors").unlink()
    assert started(request).transfer_from is None
    assert runs.plan(Request(resume="job")).transfer_from is None


def test_several_machines_share_one_directory_and_one_writer(monkeypatch):
    def be(index):
        cluster = {"worker": ["localhost:1", "localhost:2"]}
        task = {"type": "worker", "index": index}
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": task}))

    be(1)
    refused(BASE, "give --run_dir")
    run = started(ask(run_dir="job"))
    assert run.num_replicas == 2
    assert files(Path("job")) == []
    be(0)
    started(ask(run_dir="job"))
    assert files(Path("job")) == [".lock", "config.json", "resolved.json"]
    monkeypatch.setenv("TF_CONFIG", "nonsense")
    refused(BASE, "TF_CONFIG cannot be understood")


def test_networks_and_losses_are_resolved_and_written_down():
    overrides = ("G.fmap_max=16", "D_loss.r1_gamma=7")
    run = started(ask(preset="demo-stylegan", run_dir="job", overrides=overrides))
    assert run.parts.G["resolution"] == run.parts.D["resolution"] == 32
    assert (run.parts.G["fmap_max"], run.parts.G["style_mixing_prob"]) == (16, 0.9)
    facts = json.loads(Path("job/resolved.json").read_text())
    assert facts["G"] == {**run.parts.G, "blur_filter": [1, 2, 1]}
    D_loss = {"func_name": "D_logistic_simplegp", "r1_gamma": 7.0, "r2_gamma": 0.0}
    assert facts["D_loss"] == run.parts.losses["D_loss"] == D_loss
    assert facts["dataset"]["num_images"] == 4096


# As the first release wrote it for --preset=demo+table1-b with some changes.
OLD_CONFIG = """
{"preset": "demo+table1-b", "description": "demo+table1-b",
"dataset": {"name": "synthetic-32", "data_dir": null, "resolution": null, "max_label_size": 0,
"mirror_augment": false, "replace_damaged": false},
"G": {"func_name": "G_style", "fmap_base": 512, "fmap_max": 64, "latent_size": 64,
"dlatent_size": null, "mapping_fmaps": 64, "mapping_layers": 0, "style_mixing_prob": 0.0,
"use_noise": false, "const_input_layer": false, "use_styles": false, "use_pixel_norm": true,
"use_instance_norm": false, "truncation_psi": null},
"D": {"func_name": "D_basic", "fmap_base": 512, "fmap_max": 64},
"G_loss": {"func_name": "G_logistic_nonsaturating"},
"D_loss": {"func_name": "D_logistic_simplegp"},
"G_opt": {"beta1": 0.0, "beta2": 0.99, "epsilon": 1e-08},
"D_opt": {"beta1": 0.0, "beta2": 0.99, "epsilon": 1e-08},
"schedule": {"minibatch_base": 16, "minibatch_dict": {"16": 8}, "max_minibatch_per_gpu": {},
"lod_initial_resolution": 8, "lod_training_kimg": 20.0, "lod_transition_kimg": 8.0,
"G_lrate_base": 0.003, "G_lrate_dict": {}, "D_lrate_base": 0.003, "D_lrate_dict": {},
"lrate_rampup_kimg": 0.0, "tick_kimg_base": 4.0, "tick_kimg_dict": {}},
"grid": {"size": "16x8", "layout": "random"}, "total_kimg": 76.0, "G_smoothing_kimg": 2.0,
"minibatch_repeats": 4, "D_repeats": 1, "reset_opt_for_new_lod": true, "seed": 3, "num_gpus": 0,
"precision": "float32", "loss_scaling": null, "xla": false, "image_snapshot_ticks": 1,
"network_snapshot_ticks": 10, "checkpoint_ticks": 1, "checkpoint_minutes": 10.0,
"metrics": {"names": ["fid5k"], "seed": 0, "inception_weights": null, "vgg16_weights": null,
"classifiers": []}, "resume_from": null}
"""
OLD_COMMAND = {
    "preset": "demo+table1-b",
    "seed": 3,
    "metrics": "fid5k",
    "overrides": ("schedule.minibatch_dict.16=8",),
}


def test_a_run_of_the_first_release_goes_on():
    Path("job").mkdir()
    Path("job/config.json").write_text(OLD_CONFIG)
    add_checkpoint(Path("job"))
    for request in (Request(resume="job"), ask(run_dir="job", **OLD_COMMAND)):
        run = runs.plan(request)
        assert (run.resume, run.notes) == (True, ())
        assert (run.config.seed, run.config.schedule.minibatch_dict) == (3, {16: 8})
        assert run.config.metrics.names == ("fid5k",)
        assert (run.parts.G["mapping_layers"], run.parts.G["dlatent_size"]) == (0, 64)
    before = json.loads(OLD_CONFIG)
    after = json.loads(started(Request(resume="job")).run_dir.joinpath("config.json").read_text())
    for key, value in before.items():  # there may be new settings, within a group as well
        old = value.keys() if isinstance(value, dict) else ()
        kept = {name: after[key][name] for name in old} if old else after[key]
        assert kept == value, key


def test_the_overview_tells_what_matters():
    stylegan = ask(preset="demo-stylegan", overrides=("D_loss.r1_gamma=7",))
    text = runs.plan(stylegan).describe_all()
    for part in (
        "total_kimg ",
        "style_mixing_prob=0.9",
        "synthetic-32",
        "32x32x3",
        "D_logistic_simplegp (r1_gamma 7, r2_gamma 0)",
        "Would write to a new directory in results",
    ):
        assert part in text
    short = runs.plan(ask(preset="demo-stylegan", total_kimg=1.0)).describe()
    assert "(not reached)" in short
