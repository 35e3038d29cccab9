"""StyleGAN2's family: its own networks and those of StyleGAN2-ADA."""

from networks.options import Family
from networks.stylegan2 import ada_options, options

FAMILY = Family(
    "stylegan2",
    modules=("networks_stylegan2",),
    functions=(*options.FUNCTIONS, *ada_options.FUNCTIONS),
)
