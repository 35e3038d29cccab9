"""G_mapping of StyleGAN2: as StyleGAN's, with the gain after the bias."""

from __future__ import annotations

from networks.mapping import Mapping
from networks.stylegan2.layers import Activated, dense


class MappingNetwork(Mapping):
    """Call: as Mapping's."""

    FAMILY, FUNC_NAME = "stylegan2", "G_mapping"

    def make_layer(self, scope: str, fan_in: int, units: int) -> Activated:
        opt = self.options
        nonlinearity, lrmul = opt["mapping_nonlinearity"], opt["mapping_lrmul"]
        return dense(scope, self.seed, fan_in, units, nonlinearity, lrmul)
