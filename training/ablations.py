"""The rows of the paper's tables, as data: what each changes in configuration F.

A row has the shape of a preset and is put on top of one (`training.presets.make`), so that every
ablation runs on every data set: `demo-stylegan+table1-b`. What a row does not name stays as it is
there. Configurations that are the same in several tables are the same data.
"""

from __future__ import annotations

WGAN_GP = {"G_loss": {"func_name": "G_wgan"}, "D_loss": {"func_name": "D_wgan_gp"}}

# Row A: Progressive GAN. What else it trained with (rates, length) belongs to its presets.
PROGAN: dict[str, dict] = {
    "G": {"func_name": "G_paper"},
    "D": {"func_name": "D_paper"},
    **WGAN_GP,
    "schedule": {"lod_initial_resolution": 4},
}

# From F backwards: each configuration of Table 1 lacks what the next one adds.
_F: dict = {}
_E = {"G": {"style_mixing_prob": 0.0}}
_D = {"G": {**_E["G"], "use_noise": False}}
_C = {"G": {**_D["G"], "const_input_layer": False}}
_TRADITIONAL = {
    "G": {
        **_C["G"],
        "use_styles": False,
        "use_pixel_norm": True,
        "use_instance_norm": False,
        "truncation_psi": None,
    }
}
_EIGHT = {"mapping_layers": 8}  # F's own number, but not that of every base
# w is z then, with as much again for labels: as wide as that is.
_NO_MAPPING = {"mapping_layers": 0, "dlatent_size": None}
_B = {"G": {**_TRADITIONAL["G"], **_NO_MAPPING}}

TABLES: dict[str, dict[str, dict]] = {
    "table1": {"a": PROGAN, "b": _B, "c": _C, "d": _D, "e": _E, "f": _F},
    "table2": {
        "mix0": _E,
        "mix50": {"G": {"style_mixing_prob": 0.5}},
        "mix90": {"G": {"style_mixing_prob": 0.9}},
        "mix100": {"G": {"style_mixing_prob": 1.0}},
    },
    "table4": {  # the number is that of the mapping layers
        "traditional-0": _B,
        "traditional-8": {"G": {**_TRADITIONAL["G"], **_EIGHT}},
        "stylebased-0": {"G": _NO_MAPPING},
        "stylebased-1": {"G": {"mapping_layers": 1}},
        "stylebased-2": {"G": {"mapping_layers": 2}},
        "stylebased-8": {"G": _EIGHT},
    },
}

# Rows of no table.
OTHERS: dict[str, dict] = {
    # Instead of a gradient penalty, with the losses of Miyato et al. 2018.
    "spectral-norm": {
        "D": {"spectral_norm": True},
        "G_loss": {"func_name": "G_wgan"},
        "D_loss": {"func_name": "D_hinge"},
    },
    "labels": {"dataset": {"max_label_size": "full"}, "grid": {"layout": "row_per_class"}},
    # R1 in every 16th step alone, as StyleGAN2 has it: a saving, not the paper's.
    "lazy": {
        "G_loss": {"func_name": "G_logistic_nonsaturating"},
        "D_loss": {"func_name": "D_logistic_r1", "interval": 16},
    },
}

ROWS: dict[str, dict] = {
    **{f"{table}-{row}": data for table, rows in TABLES.items() for row, data in rows.items()},
    **OTHERS,
}
