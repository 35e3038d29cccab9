"""Names and options of losses and regularisers: plain data, importable without TensorFlow.

`training/losses.py` and `training/regularizers.py` implement them; configurations are checked
against these tables.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from dnnlib.config import nearest
from dnnlib.errors import UserError

G_LOSSES: dict[str, dict[str, float]] = {
    "G_wgan": {},
    "G_logistic_saturating": {},
    "G_logistic_nonsaturating": {},
    # StyleGAN2's names: a loss, and mostly a regulariser (`COMBINED`). interval: steps from one of
    # the regulariser's to the next, 0: in every step. Without a regulariser it lowers Adam's rate
    # all the same, as StyleGAN2 has it.
    "G_logistic": {"interval": 0},
    "G_logistic_ns": {"interval": 0},
    "G_logistic_ns_pathreg": {
        "interval": 4,
        "pl_minibatch_shrink": 2,
        "pl_decay": 0.01,
        "pl_weight": 2.0,
    },
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
    "D_logistic_r1": {"interval": 16, "gamma": 10.0},
    "D_logistic_r2": {"interval": 16, "gamma": 10.0},
}

# Steps of their own, one after every `interval` steps of the loss; defaults as in StyleGAN2.
G_REGULARIZERS: dict[str, dict[str, float]] = {
    "G_path_length": {
        "interval": 4,
        "pl_minibatch_shrink": 2,  # the images of a step, divided by this, are measured
        "pl_decay": 0.01,  # share of a step's mean length in the running mean
        "pl_weight": 2.0,
    },
}

D_REGULARIZERS: dict[str, dict[str, float]] = {
    "D_r1": {"interval": 16, "r1_gamma": 10.0},  # as in D_logistic_simplegp
    "D_r2": {"interval": 16, "r2_gamma": 10.0},
    "D_gradient_penalty": {"interval": 16, "wgan_lambda": 10.0, "wgan_target": 1.0},
}

# StyleGAN2's name: (loss, regulariser or None, {its name of an option: the regulariser's}).
COMBINED: dict[str, tuple[str, Optional[str], dict[str, str]]] = {
    "G_logistic": ("G_logistic_saturating", None, {}),
    "G_logistic_ns": ("G_logistic_nonsaturating", None, {}),
    "G_logistic_ns_pathreg": ("G_logistic_nonsaturating", "G_path_length", {}),
    "D_logistic_r1": ("D_logistic", "D_r1", {"gamma": "r1_gamma"}),
    "D_logistic_r2": ("D_logistic", "D_r2", {"gamma": "r2_gamma"}),
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
        least = {"interval": 0 if name in COMBINED else 1, "pl_minibatch_shrink": 1}.get(option)
        if least is not None and (value < least or value != int(value)):
            raise UserError(f"{key}.{option}={value!r}: expected a whole number, {least} or more")
        resolved[option] = float(value)
    return name, resolved


class Objective(NamedTuple):
    """What one network is trained for; keywords are complete."""

    loss: str  # of training/losses.py
    keywords: dict[str, float]
    regularizer: Optional[str]  # of training/regularizers.py
    reg_keywords: dict[str, float]
    interval: int  # of the regulariser's own steps; 0: it is part of the loss


def objective(network: str, loss: dict, regularizer: Optional[dict] = None) -> Objective:
    """What the configuration's `<network>_loss` and `<network>_reg` say together.

    Raises UserError as `resolve` does, and where both of them bring a regulariser.
    """
    name, keywords = resolve(f"{network}_loss", loss)
    own: Optional[str] = None
    reg_keywords: dict[str, float] = {}
    interval = 0
    if name in COMBINED:
        name, own, renamed = COMBINED[name]
        interval = int(keywords.pop("interval"))
        reg_keywords = {renamed.get(key, key): value for key, value in keywords.items()}
        keywords = {}
    if not regularizer:
        return Objective(name, keywords, own, reg_keywords, interval)
    if own or interval:
        raise UserError(
            f"{network}_loss.func_name={loss['func_name']!r} has a regulariser or its interval; "
            f"leave out {network}_reg, or take the loss {name}"
        )
    own, reg_keywords = resolve(f"{network}_reg", regularizer)
    return Objective(name, keywords, own, reg_keywords, int(reg_keywords.pop("interval")))
