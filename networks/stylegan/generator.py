"""G_style: the generator, mapping and synthesis with mixing and truncation (StyleGAN §3.1, B)."""

from __future__ import annotations

from typing import Any, Optional

from networks.style_based import StyleBasedGenerator
from networks.stylegan.mapping import MappingNetwork
from networks.stylegan.options import G_MAPPING, G_SYNTHESIS
from networks.stylegan.synthesis import SynthesisNetwork


class StyleGenerator(StyleBasedGenerator):
    """Call: as Generator's; codes are w, [N, num_layers, dlatent_size]."""

    FAMILY, FUNC_NAME = "stylegan", "G_style"

    def __init__(self, *, seed: Optional[int] = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        opt = self.options
        self.dlatent_avg = self.add_named("dlatent_avg", [opt["dlatent_size"]], trainable=False)
        self.synthesis = SynthesisNetwork(seed=self.seed, **{key: opt[key] for key in G_SYNTHESIS})
        self.mapping = MappingNetwork(
            seed=self.seed,
            **{
                **{key: opt[key] for key in G_MAPPING},
                "dlatent_broadcast": opt["dlatent_broadcast"] or self.synthesis.num_layers,
            },
        )
        self.adopt_network("G_synthesis/", self.synthesis)
        self.adopt_network("G_mapping/", self.mapping)
