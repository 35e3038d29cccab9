"""Assembles pickles of StyleGAN2-ADA's PyTorch networks opcode by opcode (pickle_assembler.py).

Functions return the opcodes that leave their value on the stack. `GOOD` are files that are read.
"""

import pickle
import struct

import numpy as np

from tests.dnnlib.pickles.pickle_assembler import (
    FALSE,
    NONE,
    TRUE,
    call,
    file,
    listed,
    name,
    number,
    raw,
    real,
    shape_of,
    table,
    text,
)
from tests.dnnlib.pickles.torch_writer import MAGIC, SYSTEM, identity

PERSISTENT = name("torch_utils.persistence", "_reconstruct_persistent_obj")
ORDERED = call(name("collections", "OrderedDict"))
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
PARAMETER = name("torch._utils", "_rebuild_parameter")
LOAD = name("torch.storage", "_load_from_bytes")
SET = call(name("builtins", "set"), b"]")
SOURCE = "import os\nos.system('exit 1')\n"


def stream(values=(0.5, 1.5, 2.5, 3.5), root=None, keys=("0",), count=None, system=SYSTEM):
    """The bytes of a storage."""
    values = np.asarray(values, "<f4")
    root = identity(count=values.size, more=[NONE]) if root is None else root
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(1001, 2), pickle.dumps(system, 2)]
    parts += [b"\x80\x02" + root + b".", pickle.dumps(list(keys), 2)]
    parts += [struct.pack("<q", values.size if count is None else count), values.tobytes()]
    return b"".join(parts)


def tensor(stored=None, shape=(4,), strides=(1,), start=0, hooks=ORDERED, more=()):
    stored = call(LOAD, raw(stream())) if stored is None else stored
    numbers = number(start), shape_of(*shape), shape_of(*strides)
    return call(REBUILD, stored, *numbers, FALSE, hooks, *more)


def parameter(value=None):
    return call(PARAMETER, tensor() if value is None else value, TRUE, ORDERED)


def filled(items):
    """An OrderedDict."""
    return ORDERED + b"(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def state(parameters=None, buffers=None, modules=None, drop=(), **attributes):
    """attributes: further ones, or others in place of these, as opcodes."""
    entries = {
        "training": FALSE,
        "_parameters": filled(parameters or {}),
        "_buffers": filled(buffers or {}),
        "_non_persistent_buffers_set": SET,
        "_forward_hooks": ORDERED,
        "_is_full_backward_hook": NONE,
        "_modules": filled(modules or {}),
        "_init_args": b")",
        "_init_kwargs": name("dnnlib.util", "EasyDict") + b")\x81",
        **attributes,
    }
    return table(**{key: value for key, value in entries.items() if key not in drop})


def persistent(class_name="FullyConnectedLayer", own=None, drop=(), **items):
    entries = {
        "type": text("class"),
        "version": number(6),
        "module_src": text(SOURCE),
        "class_name": text(class_name) if isinstance(class_name, str) else class_name,
        "state": state() if own is None else own,
        **items,
    }
    return call(PERSISTENT, table(**{k: v for k, v in entries.items() if k not in drop}))


def dense(**attributes):
    parts = {"weight": parameter(), "bias": parameter()}
    return persistent(own=state(parts, activation=text("linear"), **attributes))


def generator(**modules):
    modules = modules or {"mapping": persistent("MappingNetwork", state(modules={"fc0": dense()}))}
    return persistent("Generator", state(modules=modules, z_dim=number(4)))


def discriminator(own=None):
    buffers = {"resample_filter": tensor(shape=(2, 2), strides=(2, 1)), "weight": tensor()}
    inside = {"b8": persistent("Conv2dLayer", state(buffers=buffers)), "mapping": NONE}
    return persistent("Discriminator", state(modules=inside) if own is None else own)


def pipe(p=0.25):
    values = call(LOAD, raw(stream([p])))
    return persistent("AugmentPipe", state(buffers={"p": tensor(values, (), ())}))


def facts(**items):
    path = text("/home/somebody/pictures.zip")
    return table(class_name=text("training.Set"), path=path, xflip=TRUE, **items)


def networks(**entries):
    entries = entries or {"G_ema": generator()}
    return file(table(**entries), 3)


def with_attribute(value):
    return networks(G=persistent("Generator", state(x=value)))


def with_tensor(value):
    return networks(G=persistent("Generator", state(buffers={"w": value})))


def with_stream(data):
    return with_tensor(tensor(call(LOAD, raw(data))))


def with_module(value):
    return networks(G=persistent("Generator", state(modules={"mapping": value})))


GOOD = {
    "G_ema": networks(),
    "all": networks(
        training_set_kwargs=facts(resolution=number(8)),
        G=generator(),
        D=discriminator(),
        G_ema=generator(),
        augment_pipe=pipe(),
        more=listed(number(1), real(0.5), text("x")),
    ),
    "a network alone": file(generator(), 3),
    "protocol 4": file(
        table(G=persistent("Generator", state(_non_persistent_buffers_set=b"\x8f", x=b"]"))), 4
    ),
}
