"""From the name of a reference build function to a network."""

from __future__ import annotations

from networks import layers
from networks.options import short_name
from networks.progan.discriminator import PaperDiscriminator
from networks.progan.generator import PaperGenerator
from networks.stylegan.discriminator import Discriminator
from networks.stylegan.generator import StyleGenerator
from networks.stylegan.mapping import MappingNetwork
from networks.stylegan.synthesis import SynthesisNetwork

_BUILDERS = {
    "G_style": StyleGenerator,
    "G_mapping": MappingNetwork,
    "G_synthesis": SynthesisNetwork,
    "D_basic": Discriminator,
    "G_paper": PaperGenerator,
    "D_paper": PaperDiscriminator,
}


def build(func_name: str, *, seed: int | None = None, arrays=None, **kwargs):
    """Makes a network, complete with all its variables.

    func_name: 'G_style', 'G_mapping', 'G_synthesis', 'D_basic', 'G_paper' or 'D_paper', also with
    the reference's module in front. kwargs: the reference's keywords (networks/options.py).
    seed: of the initial weights; None draws one. arrays: pairs (legacy name, array), exactly the
    network's, to start with instead: none is drawn, and each is assigned before the next is
    asked for. Raises ValueError naming an unknown name or keyword, or all arrays that differ.
    """
    make = _BUILDERS[short_name(func_name)]
    if arrays is None:
        return make(seed=seed, **kwargs)
    with layers.undrawn():
        network = make(seed=seed, **kwargs)
    for name, value in network.fitting(arrays):
        network.named[name].assign(value)
    return network
