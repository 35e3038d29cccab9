"""StyleGAN's networks as Keras layers and models.

`build(func_name, **options)` makes a network; `save` and `load` keep a trained set of
three in one `.safetensors` file. Importing this package alone does not start TensorFlow.
"""

from importlib import import_module

_HOME = {"build": "networks.registry", "save": "networks.snapshot", "load": "networks.snapshot"}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'networks' has no attribute {name!r}")
