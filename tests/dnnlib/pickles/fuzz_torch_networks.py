"""Looks for files that make the reader of PyTorch's networks do anything but read or refuse them.

As fuzz_tf_networks.py, with changes inside the streams that tensors are. What is read is translated
to TensorFlow's names, too. `python -m tests.dnnlib.pickles.fuzz_torch_networks --count 100000`.
"""

import contextlib
import struct
import sys

from dnnlib.pickles import torch_networks
from networks import torch_names
from tests import golden
from tests.dnnlib.pickles import (
    fuzz_tf_networks as fuzzing,
    pickle_assembler,
    torch_networks_assembler as assembler,
    torch_networks_complete as complete,
    torch_networks_hostile,
)
from tests.dnnlib.pickles.fuzz_tf_networks import _one, _span, _starts

GOLDEN = [f"ada/torch_pickles/{name}.pkl" for name in ("te_protocol4", "refuse_stylegan3_t")]
NAMES = "G D G_ema augment_pipe training_set_kwargs state _modules _parameters _buffers mapping"
NAMES += " synthesis b4 b8 conv0 skip weight bias input L0_16_8 class_name version type"


class Files(fuzzing.Files):
    """Whole files, most of them small, and parts that are spliced into them."""

    def __init__(self, with_golden=True):
        one = [complete.file(), complete.networks(G=complete.generator())]
        one.append(complete.networks(D=complete.discriminator()))
        self.good = [*assembler.GOOD.values()] * 6 + one
        hostile = (data for data, _ in torch_networks_hostile.corpus().values())
        self.hostile = [data for data in hostile if len(data) <= fuzzing.SMALL_SEED]
        self.large, self.parts = [], []
        for path in GOLDEN if with_golden else []:
            if (golden.golden_dir() / path).is_file():
                data = (golden.golden_dir() / path).read_bytes()
                self.large.append(data)
                size = fuzzing.PART
                self.parts += [data[i : i + size] for i in range(0, len(data), size)]

    def choose(self, rng):
        if self.large and rng.randrange(200) == 0:
            return _one(rng, self.large)
        return _one(rng, self.hostile if rng.randrange(3) == 0 else self.good)


def mutated(rng, files):
    """A file with one to six changes; with one, much of it is still read."""
    data = files.choose(rng)
    for _ in range(_one(rng, (1, 1, 1, 1, 2, 2, 3, 6))):
        data = _one(rng, _CHANGES)(rng, data, files)
    return data


def _change_stream(rng, data, files):
    """Another stream, or a damaged one, in place of one: its length is right again."""
    places = _of_opcodes(data, b"B")
    if not places:
        return data
    start = _one(rng, places)
    (size,) = struct.unpack_from("<I", data, start + 1)
    inside = data[start + 5 : start + 5 + size]
    inside = _one(rng, [_damaged, _damaged, _other_stream])(rng, inside)
    return data[:start] + pickle_assembler.raw(inside) + data[start + 5 + size :]


def _of_opcodes(data, codes):
    """Where opcodes of these codes begin."""
    if len(data) > 4 * fuzzing.SMALL_SEED:
        return []
    return [start for start in _starts(data)[:-1] if data[start] in codes]


def _damaged(rng, inside):
    changed = bytearray(inside)
    for _ in range(1 + rng.randrange(3)):
        if changed:
            place = rng.randrange(len(changed))
            bit = changed[place] ^ (1 << rng.randrange(8))
            changed[place] = _one(rng, (0, 1, 4, 0x7F, 0x80, 0xFF, bit, bit, bit))
    cut = rng.randrange(len(changed) + 1) if rng.randrange(8) == 0 else len(changed)
    return bytes(changed[:cut])


def _other_stream(rng, inside):
    count = _one(rng, fuzzing._NUMBERS) * _one(rng, (1, 1, -1)) % 2**63
    return _one(
        rng,
        [
            assembler.stream(),
            assembler.stream(count=count),
            assembler.stream(root=assembler.identity(count=count)),
            assembler.stream([rng.random()] * rng.randrange(300)),
            assembler.stream([float("inf")] * 4),
            assembler.stream(keys=["0", "0"]),
            assembler.stream(root=pickle_assembler.SHELL),
        ],
    )


def _change_name(rng, data, files):
    """Another name that means something in place of one."""
    places = _of_opcodes(data, b"X")
    if not places:
        return data
    start = _one(rng, places)
    (size,) = struct.unpack_from("<I", data, start + 1)
    name = pickle_assembler.text(_one(rng, NAMES.split()))
    return data[:start] + name + data[start + 5 + size :]


def _insert_part(rng, data, files):
    start, stop = _span(rng, data, most=2)
    after = data[start:] if rng.randrange(2) else data[stop:]
    return data[:start] + _one(rng, _PARTS) + after


_PARTS = [
    assembler.tensor(),
    assembler.parameter(),
    assembler.persistent(),
    assembler.state(),
    assembler.dense(),
    assembler.ORDERED,
    assembler.SET,
    assembler.LOAD,
    assembler.PERSISTENT,
    pickle_assembler.SHELL,
    b"\x8f",
    b"\x85",
    b"\x90",
]
_CHANGES = [*fuzzing._CHANGES, *[_change_stream] * 3, _change_name, _change_name, _insert_part]


class Kind:
    """What is fuzzed, as fuzz_tf_networks asks for it."""

    name, error = "torch-networks", torch_networks.TorchNetworkError
    read, files, mutated = staticmethod(torch_networks.read), Files, staticmethod(mutated)
    offsets, warm = True, fuzzing.Kind.warm

    @staticmethod
    def arrays(contents):
        arrays = []
        for network in contents.networks.values():
            arrays += network.tensors().values()
            with contextlib.suppress(ValueError):  # not one that TensorFlow has
                arrays += torch_names.translate(network).variables.values()
        assert (contents.augment_p is None) <= (contents.sources() != {})
        return arrays


if __name__ == "__main__":
    sys.exit(fuzzing.main(read=Kind.read, kind=Kind))
