"""Names and options of losses and regularisers: plain data, importable without TensorFlow.

`training/losses.py` and `training/regularizers.py` implement them; configurations are checked
against these tables.
"""

from __future__ import annotations

import math

from dnnlib.config import nearest
from dnnlib.errors import UserError

G_LOSSES: dict[str, dict[str, float]] = {
    "G_wgan": {},
    "G_logistic_saturating": {},
    "G_logistic_nonsaturating": {},
}

D_LOSSES: dict[str, dict[str, float]] = {
    "D_wgan": {"wgan_epsilon": 0.001},  # weight of the squared score of the reals
    "D_wgan_gp": {
        "wgan_lambda": 10.0,  # weight of the gradient penalty
        "wgan_epsilon": 0.001,
        "wgan_target": 1.0,  # the gradient norm to reach, at full resolution
    },
    "D_hinge": {},
    "D_hinge_gp": {"wgan_lambda": 10.0, "wgan_target": 1.0},
    "D_logistic": {},
    "D_logistic_simplegp": {
        "r1_gamma": 10.0,  # weight of the penalty on the reals' gradient; 0: none
        "r2_gamma": 0.0,  # the same for fakes
    },
}

# Steps of their own, one after every `interval` steps of the loss; defaults as in StyleGAN2.
G_REGULARIZERS: dict[str, dict[str, float]] = {}

D_REGULARIZERS: dict[str, dict[str, float]] = {
    "D_r1": {"interval": 16, "r1_gamma": 10.0},  # as in D_logistic_simplegp
}

# By the configuration's key, which has one of them as `func_name`.
TABLES = {
    "G_loss": G_LOSSES,
    "D_loss": D_LOSSES,
    "G_reg": G_REGULARIZERS,
    "D_reg": D_REGULARIZERS,
}


def resolve(key: str, options: dict) -> tuple[str, dict[str, float]]:
    """Returns the name of a loss or regulariser and all of its options, defaults filled in.

    `key` is one of `TABLES`, `options` that part of a configuration: `func_name` and keyword
    arguments.
    Raises UserError naming an unknown loss or keyword, or an impossible value.
    """
    table = TABLES[key]
    name = str(options.get("func_name", ""))
    if name not in table:
        kind = "loss" if key.endswith("_loss") else "regulariser"
        raise UserError(
            f"{key}.func_name={options.get('func_name')!r}: unknown {kind}{nearest(name, table)}; "
            f"known: {', '.join(table) or 'none'}"
        )
    resolved = dict(table[name])
    for option, value in options.items():
        if option == "func_name":
            continue
        if option not in resolved:
            hint = nearest(option, resolved)
            has = f"it has: {', '.join(resolved)}" if resolved else "it has none"
            raise UserError(f"{key}.{option}: {name} has no such option{hint}; {has}")
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise UserError(f"{key}.{option}={value!r}: expected a number, 0 or more")
        if option == "wgan_target" and value == 0:  # the penalty is divided by its square
            raise UserError(f"{key}.{option}={value!r}: expected more than 0")
        if option == "interval" and (value < 1 or value != int(value)):
            raise UserError(f"{key}.{option}={value!r}: expected a whole number, 1 or more")
        resolved[option] = float(value)
    return name, resolved
