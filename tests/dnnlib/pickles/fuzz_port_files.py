"""Looks for files that make the reader of PyTorch ports do anything but read or refuse them.

As fuzz_tf_networks.py: `python -m tests.dnnlib.pickles.fuzz_port_files --count 100000`.
"""

import sys

from dnnlib.pickles import port_files
from tests import golden
from tests.dnnlib.pickles import fuzz_tf_networks as fuzzing
from tests.dnnlib.pickles.fuzz_tf_networks import _one
from tests.dnnlib.pickles.pickle_assembler import (
    BUILD,
    NEWOBJ,
    SHELL,
    STOP,
    listed,
    name,
    number,
    real,
    table,
    text,
)
from tests.dnnlib.pickles.torch_writer import FORMATS, ORDERED, VALUES, rebuilt

GOLDEN = ["ports/data/ros2_converted_gema.pt", "ports/data/refuse_ros2_swagan.pt"]
ROS2 = ("input.input", "conv1.conv.modulation.weight", "convs.0.conv.blur.kernel")
NAMESPACE = name("argparse", "Namespace") + b")" + NEWOBJ


def ros2(value=None, **more):
    """A state dict that is taken for rosinality's StyleGAN2."""
    value = rebuilt() if value is None else value
    entries = {**dict.fromkeys(ROS2, value), **more}
    items = b"".join(text(key) + tensor for key, tensor in entries.items())
    return ORDERED + b")R(" + items + b"u"


def body(opcodes):
    return b"\x80\x02" + opcodes + STOP


def assembled(opcodes, format):
    """A file of these opcodes, with the storage that tensors of torch_writer.py are of."""
    storages = {"0": VALUES} if b"storage" in opcodes else {}
    return FORMATS[format](body(opcodes), storages)


def _good():
    settings = NAMESPACE + table(path=text("/x"), batch=number(4)) + BUILD
    step = b"}(" + number(0) + table(step=number(3), exp_avg=rebuilt()) + b"u"
    optimizer = table(
        state=step, param_groups=listed(table(lr=real(0.5), params=listed(number(0))))
    )
    metadata = table(_metadata=ORDERED + b")R") + BUILD
    state = ros2() + metadata
    ros1 = {"generator.progression.0.conv1.input": rebuilt(), "x.weight_flip": rebuilt()}
    h13 = {"g_synthesis.init_block.const": rebuilt(), "truncation.avg_latent": rebuilt()}
    bodies = [
        table(g=state, d=table(**{"final_linear.1.weight": rebuilt()}), g_ema=state, args=settings),
        table(g_ema=state, g_optim=optimizer, latent_avg=rebuilt(), ada_aug_p=real(0.5)),
        table(generator=table(**ros1), g_running=table(**ros1), d_optimizer=optimizer),
        table(**ros1),
        table(**h13),
    ]
    return [body(opcodes) for opcodes in bodies]


class Files(fuzzing.Files):
    """Pickles, which are put into both formats after they are changed; and whole files."""

    def __init__(self, with_golden=True):
        self.good = _good()
        self.hostile = [body(SHELL), body(table(GAN=table(), version=text("1")))]
        self.hostile.append(body(table(ckpt=text("x"), eigvec=rebuilt())))
        self.large, self.parts = [], []
        for path in GOLDEN if with_golden else []:
            if (golden.golden_dir() / path).is_file():
                self.large.append((golden.golden_dir() / path).read_bytes())

    def choose(self, rng):
        return _one(rng, self.hostile if rng.randrange(8) == 0 else self.good)


def mutated(rng, files):
    """A file with changes in its pickle, around it, or in both."""
    if files.large and rng.randrange(100) == 0:
        return _around(rng, _one(rng, files.large))
    where = rng.randrange(4)
    data = fuzzing.mutated(rng, files) if where else files.choose(rng)
    made = FORMATS[_one(rng, [*FORMATS])](data, {"0": VALUES})
    return made if where > 1 else _around(rng, made)


def _around(rng, data):
    changed = bytearray(data)
    for _ in range(1 + rng.randrange(3)):
        place = rng.randrange(len(changed))
        # A ZIP file's directory is at its end, where most changes are interesting.
        near = len(changed) > 400 and rng.randrange(2)
        place = len(changed) - 1 - place % 400 if near else place
        bit = changed[place] ^ (1 << rng.randrange(8))
        changed[place] = _one(rng, (0, 1, 0x7F, 0x80, 0xFF, bit, bit))
    return bytes(changed)


class Kind:
    """What is fuzzed, as fuzz_tf_networks asks for it."""

    name, error = "port-files", port_files.PortFileError
    read, files, mutated = staticmethod(port_files.read), Files, staticmethod(mutated)
    offsets = False  # some reasons concern the whole file

    @staticmethod
    def warm(files):
        # zipfile imports the codec of names at the first use.
        return [form(data, {"0": VALUES}) for form in FORMATS.values() for data in files.good]

    @staticmethod
    def arrays(contents):
        return [array for state in contents.networks.values() for array in state.values()]


if __name__ == "__main__":
    sys.exit(fuzzing.main(read=Kind.read, kind=Kind))
