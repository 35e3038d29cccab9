"""G_main: StyleGAN2's generator, mapping and synthesis with mixing and truncation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from networks.style_based import StyleBasedGenerator
from networks.stylegan2 import options
from networks.stylegan2.growing import RevisedSynthesis
from networks.stylegan2.mapping import MappingNetwork
from networks.stylegan2.synthesis import SynthesisNetwork


class MainGenerator(StyleBasedGenerator):
    """Call: as Generator's; codes are w, [N, num_layers, dlatent_size].

    synthesis is of the kind that the option synthesis_func names; only one of them grows.
    """

    FAMILY, FUNC_NAME = "stylegan2", "G_main"
    NO_CUTOFF_IS_EVERY_LAYER = True
    MAPPING: tuple[Any, Mapping] = (MappingNetwork, options.G_MAPPING)  # class, its options

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        opt = self.options
        self.dlatent_avg = self.add_named("dlatent_avg", [opt["dlatent_size"]], trainable=False)
        make, table = self.synthesis_kind()
        self.synthesis = make(seed=self.seed, **{key: opt[key] for key in table})
        make, table = self.MAPPING
        mapping = {key: opt[key] for key in table}
        mapping["dlatent_broadcast"] = opt["dlatent_broadcast"] or self.synthesis.num_layers
        self.mapping = make(seed=self.seed, **mapping)
        self.adopt_network("G_synthesis/", self.synthesis)
        self.adopt_network("G_mapping/", self.mapping)

    def synthesis_kind(self) -> tuple[Any, Mapping]:
        """The class of synthesis, and its options."""
        if self.options["synthesis_func"] == RevisedSynthesis.FUNC_NAME:
            return RevisedSynthesis, options.G_SYNTHESIS_REVISED
        return SynthesisNetwork, options.G_SYNTHESIS

    def mixed_layers(self, level: int) -> int:
        return self.num_layers  # at every stage
