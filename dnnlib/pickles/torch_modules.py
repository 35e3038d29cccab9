"""Networks of StyleGAN2-ADA's PyTorch version as plain data: what torch_networks.py reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Optional

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class TorchModule:
    """A module of a network, or the network.

    source_sha256: of the Python source that came along; init_args, init_kwargs: what its
    constructor was given, without defaults; attributes: what is in force, defaults included;
    parameters, buffers: its own, float32 in C order (frozen weights are buffers); modules: those
    inside, by name, without ones that are switched off.
    """

    class_name: str
    source_sha256: str
    init_args: tuple
    init_kwargs: dict[str, Any]
    attributes: dict[str, Any]
    parameters: dict[str, np.ndarray] = dataclasses.field(repr=False)
    buffers: dict[str, np.ndarray] = dataclasses.field(repr=False)
    modules: dict[str, TorchModule] = dataclasses.field(repr=False)

    def tensors(self) -> dict[str, np.ndarray]:
        """{PyTorch's name: array} of its own and of all modules inside, in the file's order."""
        return {name: array for name, _, array in self._named("")}

    def kinds(self) -> dict[str, str]:
        """{PyTorch's name: 'parameter' or 'buffer'}."""
        return {name: kind for name, kind, _ in self._named("")}

    def find(self, path: str) -> Optional[TorchModule]:
        """A module by its name, 'synthesis.b8.conv0'; None where it is switched off."""
        module: Optional[TorchModule] = self
        for name in path.split("."):
            module = None if module is None else module.modules.get(name)
        return module

    def walk(self) -> Iterator[TorchModule]:
        """Itself and all modules inside."""
        yield self
        for module in self.modules.values():
            yield from module.walk()

    def _named(self, prefix: str) -> Iterator[tuple[str, str, np.ndarray]]:
        for kind, own in (("parameter", self.parameters), ("buffer", self.buffers)):
            for name, array in own.items():
                yield prefix + name, kind, array
        for name, module in self.modules.items():
            yield from module._named(f"{prefix}{name}.")


@dataclasses.dataclass(frozen=True, eq=False)
class TorchNetworkFile:
    """What a file holds.

    networks: those of G, D, G_ema that are StyleGAN2's; refused: {name: what it is instead} of
    others, 'augment_pipe' among them; augmentation: the pipe, whose buffer 'p' is the probability,
    or None; training_set: facts of the data set, without its path, or None; keys: the file's;
    sha256: the file's.
    """

    networks: dict[str, TorchModule]
    refused: dict[str, str]
    augmentation: Optional[TorchModule]
    training_set: Optional[dict[str, Any]]
    keys: tuple[str, ...]
    sha256: str

    @property
    def augment_p(self) -> Optional[float]:
        """The probability of augmentation when the file was written; None without any."""
        p = None if self.augmentation is None else self.augmentation.buffers.get("p")
        return None if p is None or p.shape != () else float(p)

    def sources(self) -> dict[str, list[str]]:
        """{class: hashes of the source it came with}; several where copies were modified."""
        hashes: dict[str, set[str]] = {}
        for network in (*self.networks.values(), *filter(None, [self.augmentation])):
            for module in network.walk():
                hashes.setdefault(module.class_name, set()).add(module.source_sha256)
        return {name: sorted(hashes[name]) for name in sorted(hashes)}
