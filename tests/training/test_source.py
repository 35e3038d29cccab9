"""What a run starts from: a file of any kind, an address, a published name."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from dnnlib import download
from dnnlib.errors import UserError
from tests import golden
from tests.dnnlib.download import bad_server as bad
from tests.training.common import add_checkpoint, ask, refused, started
from training import runs, saved_config
from training.request import Request
from training.source import Source, located

TORCH, TF, PORTS = "ada/torch_pickles", "ada/ada_tf_pickles", "ports/data"
pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(autouse=True)
def cache(here, monkeypatch):
    monkeypatch.setenv("STYLEGAN_CACHE_DIR", str(here / "cache"))
    return here / "cache"


@pytest.fixture
def server():
    with bad.BadServer() as server:
        yield server


def snapshot(path, **kinds):
    """A file with the header of a snapshot of such networks; its arrays are none of theirs."""
    named = {
        role: {"family": of, "func_name": name, "options": {}} for role, (of, name) in kinds.items()
    }
    metadata = {"networks": json.dumps(named)}
    safetensors.numpy.save_file({"G/x": np.zeros(1)}, path, metadata)
    return str(path)


def test_paths_are_absolute_and_names_and_addresses_stay():
    here = os.getcwd()
    assert located(None) is None
    assert located("a.pkl") == f"{here}/a.pkl"
    assert located("ada-ffhq") == "ada-ffhq"
    old = next(iter(download.OLD_NAMES))
    assert located(old) == old
    assert located("https://a.org/~me/b.pkl") == "https://a.org/~me/b.pkl"
    Path("ada-ffhq").touch()  # a file is nearer
    assert located("ada-ffhq") == f"{here}/ada-ffhq"


def test_the_hash_of_what_a_run_started_from_is_in_its_settings():
    snapshot("a.safetensors", G=("stylegan2", "G_main"))
    sha256 = hashlib.sha256(Path("a.safetensors").read_bytes()).hexdigest()
    request = ask(resume_from="a.safetensors", run_dir="job")
    assert started(request).config.resume_from_sha256 == sha256
    saved = saved_config.load_config("job")
    assert saved.resume_from == f"{os.getcwd()}/a.safetensors"
    assert saved.resume_from_sha256 == sha256
    # Stopped before its first checkpoint, a run that goes on from another file were another run.
    started(request)
    snapshot("a.safetensors", G=("stylegan2", "G_ada"))
    for again in (request, Request(resume="job")):
        before = Path("job/config.json").read_bytes()
        with pytest.raises(UserError, match=rf"a\.safetensors has SHA-256 .* expected {sha256}"):
            started(again)
        assert Path("job/config.json").read_bytes() == before
    # Afterwards the file is not needed.
    add_checkpoint(Path("job"))
    Path("a.safetensors").unlink()
    for again in (request, Request(resume="job")):
        run = started(again)
        assert (run.source, run.config.resume_from_sha256) == (None, sha256)


def test_an_address_is_downloaded_by_the_start_alone(server, cache):
    content = Path(snapshot("a.safetensors", D=("stylegan2", "D_stylegan2"))).read_bytes()
    address = server.at("/net.safetensors", bad.body(content))
    run = runs.plan(ask(resume_from=address))
    assert (run.source, run.transfer_from) == (Source(address, None), None)
    assert server.requests == []
    assert not cache.exists()
    run = run.start()
    assert run.transfer_from.read_bytes() == content
    assert run.config.resume_from == address
    assert run.config.resume_from_sha256 == hashlib.sha256(content).hexdigest()
    assert len(server.requests) == 1
    # It is in the cache now, where a second run finds it.
    assert runs.plan(ask(resume_from=address)).transfer_from == run.transfer_from
    add_checkpoint(run.run_dir)
    run.transfer_from.unlink()
    assert runs.plan(Request(resume=str(run.run_dir))).source is None
    assert len(server.requests) == 1


def test_a_refused_download_makes_no_run(server):
    other = Path(snapshot("a.safetensors", G=("stylegan", "G_style"))).read_bytes()
    for address, words in (
        (server.at("/other", bad.body(other)), "its G is a G_style"),
        (server.at("/text", bad.body(b"a text")), "it is text"),
        (server.at("/none", bad.status(404)), "404"),
    ):
        with pytest.raises(UserError, match=f"^--resume_from: .*{words}"):
            started(ask(resume_from=address))
    assert not Path("results").exists()


def test_published_names(monkeypatch, cache):
    run = runs.plan(ask(resume_from="ada-ffhq"))
    assert run.source == Source("ada-ffhq", None)
    cache.mkdir()
    content = golden.path(f"{TORCH}/ta.pkl").read_bytes()
    (cache / "stylegan2-ada-pytorch-ffhq.pkl").write_bytes(content)
    run = started(ask(resume_from="ada-ffhq"))
    assert run.transfer_from == cache / "stylegan2-ada-pytorch-ffhq.pkl"
    assert run.config.resume_from == "ada-ffhq"
    refused(ask(resume_from="ada-fhq"), r"no file .*ada-fhq, nor a published.*'ada-ffhq'")


# What the run trains: file → what is said; None: nothing.
OF_FAMILIES = {
    "demo": {
        f"{TORCH}/ta.pkl": None,
        f"{TF}/va.pkl": None,
        f"{PORTS}/ros2_train.pt": None,
        f"{PORTS}/ros1_g_running.model": "its Gs is a G_style: StyleGAN's networks normalise",
        f"{PORTS}/h13_GAN_GEN_SHADOW_5_8.pth": "StyleGAN2's, as this run's G_main, scale weights",
        f"{PORTS}/refuse_lucidrains.pt": "lucidrains",
    },
    "demo-stylegan": {
        f"{TORCH}/te_protocol4.pkl": "its Gs is a G_ada: StyleGAN2's networks scale weights",
        f"{TF}/va.pkl": r"a preset of StyleGAN2's \(demo or stylegan2-ffhq-1gpu\)",
        f"{PORTS}/ros2_converted.pt": "its Gs is a G_main",
        f"{PORTS}/ros1_train_step-6.model": None,
    },
    "progan-cifar10-1gpu": {
        f"{PORTS}/ros1_g_running.model": "Progressive GAN's, .* have no styles"
    },
}


@pytest.mark.parametrize("preset", OF_FAMILIES)
def test_weights_of_another_family_are_refused_before_anything_starts(preset):
    for name, words in OF_FAMILIES[preset].items():
        request = ask(preset=preset, resume_from=str(golden.path(name)))
        if words is None:
            assert runs.plan(request).transfer_from == golden.path(name)
        else:
            refused(request, f"^--resume_from: .*{words}")


def test_a_file_that_fits_in_part_is_taken():
    """A mixture is a user's own; training/transfer.py says of each network what comes of it."""
    mixed = snapshot("a.safetensors", G=("stylegan", "G_style"), D=("stylegan2", "D_stylegan2"))
    assert runs.plan(ask(resume_from=mixed)).transfer_from == Path(mixed).absolute()
    unknown = snapshot("b.safetensors", G=(None, "G_of_nobody"))
    assert runs.plan(ask(resume_from=unknown)).source is not None


def test_a_hash_can_be_asked_for():
    name = snapshot("a.safetensors", G=("stylegan2", "G_main"))
    refused(ask(resume_from=name, overrides=("resume_from_sha256=abc",)), "64 hexadecimal digits")
    wrong = ask(resume_from=name, overrides=(f"resume_from_sha256={'0' * 64}",))
    with pytest.raises(UserError, match="has SHA-256"):
        started(wrong)
    assert not Path("results").exists()


def test_settings_of_before_have_no_hash():
    config = dataclasses.replace(started(ask(run_dir="job")).config)
    values = json.loads(Path("job/config.json").read_text())
    del values["resume_from_sha256"]
    Path("job/config.json").write_text(json.dumps(values))
    assert runs.plan(Request(resume="job")).config == config
