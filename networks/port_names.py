"""Checkpoints of PyTorch ports as networks of ours, from what dnnlib/pickles/port_files.py reads.

NumPy alone; networks.build makes them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Optional

from dnnlib.pickles.port_files import TITLES, PortFile
from networks import port_stylegan, port_stylegan2
from networks.torch_names import Translated

# Of each port: family, generator, discriminator.
_KINDS = {
    "ros2": ("stylegan2", "G_main", "D_stylegan2"),
    "ros1": ("stylegan", "G_style", "D_basic"),
    "h13": ("stylegan", "G_style", "D_basic"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class PortNetwork:
    """A network of a checkpoint. name: the file's, which tells up to which resolution a StyleGAN
    was trained; resolution: instead of that, or None."""

    file: PortFile
    role: str
    name: str = ""
    resolution: Optional[int] = None

    def kind(self) -> tuple[str, str]:
        """(family, build function) of what `translated` returns."""
        family, G, D = _KINDS[self.file.port]
        return family, D if self.role == "D" else G

    def translated(self) -> Translated:
        """By our names; notes say what was estimated, drawn or absorbed.

        Raises ValueError for what is not as the port's networks are.
        """
        return _translated(self.file, self.role, self.name, self.resolution)


def translate(
    file: PortFile, name: str = "", resolution: Optional[int] = None
) -> dict[str, Translated]:
    """{role: network} of those of G, D, Gs that a checkpoint holds and that are not refused.

    name, resolution: as of a PortNetwork. Raises ValueError naming the role.
    """
    made = {}
    for role in file.networks:
        try:
            made[role] = PortNetwork(file, role, name, resolution).translated()
        except ValueError as error:
            raise ValueError(f"{role}: {error}") from error
    return made


def _translated(file: PortFile, role: str, name: str, resolution: Optional[int]) -> Translated:
    state = file.networks[role]
    if file.port == "ros2":
        if role == "D":
            made = port_stylegan2.discriminator(state)
        else:  # the mean in a file is the averaged generator's
            average = file.latent_avg if role == "Gs" else None
            made = port_stylegan2.generator(state, average)
        if resolution not in (None, made.options["resolution"]):
            raise ValueError(f"resolution={resolution}, but it is of {made.options['resolution']}")
        return made
    if file.port == "h13" and role == "D":
        return port_stylegan.huangzh13_discriminator(state, name, resolution)
    if file.port == "h13":
        return port_stylegan.huangzh13_generator(state, name, resolution)
    generators = [file.networks[key] for key in ("Gs", "G") if key in file.networks]
    step, notes = port_stylegan.rosinality_step(generators[0], name, resolution)
    if role == "D":
        return port_stylegan.rosinality_discriminator(state, step)
    return port_stylegan.rosinality_generator(state, step, notes)


def provenance(file: PortFile) -> dict[str, Any]:
    """Where a checkpoint comes from, as values that JSON can hold; none of them is a path."""
    said: dict[str, Any] = {"written by": TITLES[file.port]}
    if file.augment_p is not None:
        said["augmentation p"] = file.augment_p
    if file.settings:
        said["settings"] = file.settings
    for role, reason in file.refused.items():
        said[f"{role} not read"] = reason
    return said
