"""What people report as "my pickle does not open": each gets the sentence that says what it is."""

import gzip
import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest

import networks
from dnnlib.errors import UserError
from tests.dnnlib.pickles import (
    pickle_assembler as assembler,
    torch_networks_assembler as torch,
    torch_networks_complete as complete,
)
from tests.dnnlib.pickles.fuzz_port_files import assembled, body
from tests.dnnlib.pickles.pickle_assembler import name, number, table
from tests.dnnlib.pickles.torch_writer import identity, rebuilt

GOOD = complete.file()


def zipped(**entries):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        for path, data in entries.items():
            file.writestr(path, data)
    return written.getvalue()


def tarred():
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as file:
        file.addfile(tarfile.TarInfo("network.pkl"))
    return written.getvalue()


def arrays():
    written = io.BytesIO()
    np.savez(written, w=np.zeros((1, 18, 512)))
    return written.getvalue()


def of(**classes):
    """A pickle of networks of other classes."""
    return torch.networks(**{role: torch.persistent(cls) for role, cls in classes.items()})


PORT = assembled(table(g=torch.filled({}), w=rebuilt()), "archive")
MODEL = assembled(name("training.networks", "Generator") + b")\x81", "archive")
SCRIPT = zipped(**{"vgg/data.pkl": body(name("__torch__.vgg", "VGG")), "vgg/code/x.py": b""})
CALLBACK = name("pytorch_lightning.callbacks", "ModelCheckpoint")
# fmt: off
CASES = {
    "empty": (b"", "an empty file"),
    "a scan warning of Google Drive": (b"<!DOCTYPE html><html><title>Virus scan", "an HTML"),
    "a quota of Google Drive": (b"<html><body>Quota exceeded", "an HTML page, as servers send it"),
    "no access": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "XML, as servers send it"),
    "an answer of a service": (b'{"error": "not found"}', "JSON or other text"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\n", "Git LFS point"),
    "a broken download": (GOOD[:20_000], "is the download complete"),
    "a download without its end": (GOOD[:-1], "is the download complete"),
    "a broken download of a port's": (PORT[:-1], "is the download complete"),
    "gzip": (gzip.compress(GOOD), "gzip data: unpack it first"),
    "zip": (zipped(**{"network.pkl": GOOD}), "a zip archive: unpack it first"),
    "tar": (tarred(), "a tar archive: unpack it first"),
    "protocol 0": (pickle.dumps({"G_ema": 1}, 0), "a pickle of protocol 0 or 1"),
    "projected latents": (arrays(), "NumPy arrays .*, as projected latents are"),
    "a pickle of other things": (pickle.dumps({"w": 1, "a": "b"}, 4), "D; it has 'w', 'a'"),
    "EG3D": (of(G_ema="TriPlaneGenerator", D="DualDiscriminator"),
             "D: a 'DualDiscriminator', .*; G_ema: a 'TriPlaneGenerator', not StyleGAN2-ADA's Gen"),
    "a modified copy": (torch.with_module(torch.persistent("MyMapping")), "'MyMapping', somebody"),
    "StyleGAN3": (torch.networks(G_ema=torch.generator(synthesis=torch.persistent(
        "SynthesisNetwork", torch.state(modules={"L0_36_512": torch.persistent()})))),
        "G_ema: a StyleGAN3 generator, which this package has not"),
    "another version": (torch.with_module(torch.persistent(version=number(5))), "version 5; 6 is"),
    "half precision": (torch.with_stream(torch.stream(root=identity(
        name("torch", "HalfStorage"), 8), count=8)), "'G.w' is not float32"),
    "weights alone": (assembled(table(**{"mapping.w_avg": rebuilt()}), "archive"),
                      "weights of stylegan2-ada-pytorch without their options"),
    "a whole model": (MODEL, "a whole model was pickled, 'training.networks.Generator'"),
    "TorchScript": (SCRIPT, "TorchScript, a program"),
    "Lightning": (assembled(table(x=CALLBACK), "archive"), "'pytorch_lightning.callbacks.Mod"),
    "another project's": (assembled(table(state_dict=table(), epoch=number(1)), "stream"),
                          "a file of an unknown project; it has 'state_dict', 'epoch'"),
    "lucidrains'": (assembled(table(GAN=table(), version=number(1)), "archive"), "lucidrains' "),
    "a call": (assembler.file(assembler.SHELL), "the global 'os.system' is not allowed"),
    "Keras's": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
}
# fmt: on


@pytest.mark.parametrize("case", CASES)
def test_each_gets_the_right_sentence(case, tmp_path):
    data, pattern = CASES[case]
    path = tmp_path / "network-snapshot-025000.pkl"
    path.write_bytes(data)
    with pytest.raises(UserError, match=pattern) as caught:
        networks.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_and_the_good_one_opens(tmp_path):
    path = tmp_path / "network-snapshot-025000.pkl"
    path.write_bytes(GOOD)
    G, D, Gs = networks.load(path)
    assert G is None
    assert [Gs.func_name, D.func_name, Gs.resolution] == ["G_ada", "D_ada", 8]
    assert Gs(np.zeros([1, 2], np.float32), None).shape == (1, 8, 8, 3)
