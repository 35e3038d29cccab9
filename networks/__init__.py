"""StyleGAN's networks as Keras layers and models.

`build(func_name, **options)` makes a network; `save` and `load` keep a trained set of
three in one `.safetensors` file; `load` also reads the original's pickles. For code written
against the original: `load_runnable`, `runnable` and `convert_images_to_uint8`
(docs/from-the-original.md). Importing this package alone does not start TensorFlow.
"""

from importlib import import_module

_HOME = {
    "build": "networks.registry",
    "save": "networks.snapshot",
    "load": "networks.snapshot",
    "runnable": "networks.original",
    "load_runnable": "networks.snapshot",
    "convert_images_to_uint8": "compute.images",
}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'networks' has no attribute {name!r}")
