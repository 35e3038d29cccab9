"""The rows of the paper's tables: they are what the paper describes, and every one trains.

How rows go on top of presets is tested in test_presets.py.
"""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import tensorflow as tf

from dnnlib import config as config_lib
from networks import registry, snapshot
from tests import golden
from tests.training.small import assert_same_bits, final_state
from training import ablations, checkpoint, presets
from training.config import network_options
from training.loop import train

FFHQ = SimpleNamespace(resolution=1024, channels=3, label_size=0)
F = registry.defaults("G_style")  # for FFHQ


def on_ffhq(row):
    """All that the row's preset decides, with the networks' options filled in."""
    config = presets.make(row)
    G, D = (registry.resolve(**kwargs) for kwargs in network_options(config, FFHQ))
    names = (config.G["func_name"], config.D["func_name"])
    return names, dataclasses.replace(config, preset="", description="", G=G, D=D)


def test_the_same_configuration_in_two_tables_is_the_same():
    rows = ablations.ROWS
    assert rows["table1-e"] == rows["table2-mix0"]
    assert rows["table1-b"] == rows["table4-traditional-0"]
    # These name F's numbers, for presets that have others.
    assert on_ffhq("table1-f") == on_ffhq("table2-mix90") == on_ffhq("table4-stylebased-8")


def test_a_number_in_a_row_s_name_holds_on_every_preset():
    assert presets.make("demo-stylegan").G["mapping_layers"] != 8
    assert presets.make("demo+table4-stylebased-8").G["mapping_layers"] == 8
    assert presets.make("demo+table4-traditional-8").G["mapping_layers"] == 8
    assert presets.make("demo+table2-mix90").G["style_mixing_prob"] == 0.9


@pytest.mark.parametrize(
    ("row", "tag"), [("table4-traditional-0", "c0"), ("table4-traditional-8", "c8")]
)
def test_traditional_generators_are_the_recorded_ones(row, tag):
    meta = golden.load(f"nets/{tag}_meta.json")
    sizes = "func_name num_channels resolution label_size fmap_base fmap_max".split()
    sizes += "latent_size dlatent_size mapping_fmaps".split()
    G = {key: value for key, value in meta["G"].items() if key in sizes}
    resolved = registry.resolve(**{**G, **ablations.ROWS[row]["G"]})
    assert resolved == registry.resolve(**meta["G"])
    assert set(ablations.ROWS[row]) == {"G"}
    assert set(meta["D"]) <= set(sizes)  # D is F's


# Option → its value in each of Table 1's rows B to F (StyleGAN §2).
TABLE_1 = {
    "use_styles": (False, True, True, True, True),
    "use_pixel_norm": (True, False, False, False, False),
    "use_instance_norm": (False, True, True, True, True),
    "mapping_layers": (0, 8, 8, 8, 8),
    "truncation_psi": (None, 0.7, 0.7, 0.7, 0.7),
    "const_input_layer": (False, False, True, True, True),
    "use_noise": (False, False, False, True, True),
    "style_mixing_prob": (0.0, 0.0, 0.0, 0.0, 0.9),
}


@pytest.mark.parametrize("row", "bcdef")
def test_table_1_adds_one_thing_at_a_time(row):
    index = "bcdef".index(row)
    expected = {**F, **{option: values[index] for option, values in TABLE_1.items()}}
    config = presets.make(f"table1-{row}")
    G, D = network_options(config, FFHQ)
    assert registry.resolve(**G) == expected
    assert D["func_name"] == "D_basic"
    assert config.D_loss == {"func_name": "D_logistic_simplegp"}
    assert (config.total_kimg, config.num_gpus, config.dataset.name) == (25000, 0, "ffhq")


@pytest.mark.parametrize(
    ("row", "option", "value"),
    [
        *((f"table2-mix{percent}", "style_mixing_prob", percent / 100) for percent in (0, 50, 90)),
        ("table2-mix100", "style_mixing_prob", 1.0),
        *((f"table4-stylebased-{layers}", "mapping_layers", layers) for layers in (0, 1, 2, 8)),
        ("table4-traditional-0", "mapping_layers", 0),
        ("table4-traditional-8", "mapping_layers", 8),
    ],
)
def test_tables_2_and_4_change_one_number(row, option, value):
    G = registry.resolve(**network_options(presets.make(row), FFHQ)[0])
    assert G[option] == value
    if "traditional" not in row:
        assert {key for key in F if F[key] != G[key]} <= {option}


# --------------------------------------------------------------------------------------
# Every row trains, on the demo's data with labels

LABELS, LATENT, DLATENT, MAPPING = 10, 6, 9, 7  # widths, each another number
FMAPS = {2: 8, 4: 8, 8: 8, 16: 4}  # resolution → min(32 / 2^s, 8), with s = 0 for "2"


def tiny(row):
    """8×8 → fade → 16×16: four iterations of 8 images, each a tick."""
    config = presets.make(f"demo+{row}")
    overrides = [
        "dataset.resolution=16",
        "dataset.max_label_size=full",
        "schedule.lod_initial_resolution=8",
        "schedule.lod_training_kimg=0.008",
        "schedule.lod_transition_kimg=0.05",
        "schedule.minibatch_base=8",
        "schedule.tick_kimg_base=0.008",
        "total_kimg=0.032",
        "minibatch_repeats=1",
        "grid.size=3x2",
        "checkpoint_minutes=1000",
        "image_snapshot_ticks=1000",
        "G.fmap_base=32",
        "G.fmap_max=8",
        "D.fmap_base=32",
        "D.fmap_max=8",
        f"G.latent_size={LATENT}",
    ]
    if config.G["func_name"] == "G_style":
        overrides.append(f"G.mapping_fmaps={MAPPING}")
        if config.G["mapping_layers"]:
            overrides.append(f"G.dlatent_size={DLATENT}")
    return config_lib.apply_overrides(config, overrides)


# What decides which variables there are: (styles, learned constant, noise, mapping layers). Where a
# row names no number of these, the demo's 4 stay. Row A is another network.
VARIANTS = {
    "table1-a": None,
    "table1-b": (False, False, False, 0),
    "table1-c": (True, False, False, 4),
    "table1-d": (True, True, False, 4),
    "table1-e": (True, True, True, 4),
    "table1-f": (True, True, True, 4),
    "table2-mix50": (True, True, True, 4),
    "table2-mix100": (True, True, True, 4),
    "table4-traditional-8": (False, False, False, 8),
    "table4-stylebased-0": (True, True, True, 0),
    "table4-stylebased-1": (True, True, True, 1),
    "table4-stylebased-2": (True, True, True, 2),
}


def test_every_configuration_of_the_tables_is_trained():
    trained = [on_ffhq(row) for row in VARIANTS]
    for row in ablations.ROWS:
        assert row in ablations.OTHERS or on_ffhq(row) in trained, row


# A new network is traced as tf.functions; for the others eager execution is enough, and five times
# as fast: nearly all of the time is tracing. F's tf.functions are those of test_resume.py.
TRACED = ("table1-a", "table1-b")


@pytest.fixture
def eagerly():
    """A function that turns tf.functions off (True) or on for the rest of the test."""
    yield tf.config.run_functions_eagerly
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("row", VARIANTS)
def test_every_row_trains_and_continues_exactly(row, tmp_path, eagerly):
    eagerly(row not in TRACED)
    config = tiny(row)
    assert train(config, tmp_path) == 0
    check_stats(tmp_path)
    _, arrays, info = snapshot.read(tmp_path / "network-final.safetensors")
    assert info["config"] == config_lib.to_dict(config)  # what made it is in the file
    shapes = {role: {name: a.shape for name, a in arrays[role].items()} for role in arrays}
    assert shapes["G"] == shapes["Gs"] == expected_G(VARIANTS[row])
    assert shapes["D"] == expected_D(VARIANTS[row])

    expected, expected_progress = final_state(tmp_path)
    checkpoint.paths(tmp_path)[-1].unlink()  # the one before is in the middle of the fade
    assert train(config, tmp_path) == 0
    check_stats(tmp_path)
    state, progress = final_state(tmp_path)
    assert_same_bits(state, expected)
    assert progress == expected_progress


def check_stats(run_dir):
    ticks = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    assert [tick["Progress/resolution"] for tick in ticks] == [8, 8, 16, 16]
    assert [tick["Progress/lod"] % 1 > 0 for tick in ticks] == [False, False, True, True]
    for tick in ticks:
        assert math.isfinite(tick["Loss/G"])
        assert math.isfinite(tick["Loss/D"])
        assert tick["Overflow/G"] == tick["Overflow/D"] == 0


def weights(scope, *shape):
    """Of a convolution or dense layer, with its bias."""
    return {f"{scope}/weight": shape, f"{scope}/bias": shape[-1:]}


def expected_G(variant):
    """{name: shape} of the generator, from what each row of the table takes away."""
    if variant is None:
        first = {"4x4/Dense/weight": (LATENT + LABELS, 16 * FMAPS[4]), "4x4/Dense/bias": (8,)}
        return {"lod": (), **first, **convolutions(), **to_rgb()}
    styles, constant, noise, mapping_layers = variant
    dlatent = DLATENT if mapping_layers else 2 * LATENT  # z and as much for the labels
    names = convolutions()
    if constant:
        names.update({"4x4/Const/const": (1, 8, 4, 4), "4x4/Const/bias": (8,)})
    else:
        names.update({"4x4/Dense/weight": (dlatent, 16 * FMAPS[4]), "4x4/Dense/bias": (8,)})
    for name, (fmaps,) in [item for item in names.items() if item[0].endswith("/bias")]:
        scope = name[: -len("/bias")]
        if styles:
            names.update(weights(f"{scope}/StyleMod", dlatent, 2 * fmaps))
        if noise:
            names[f"{scope}/Noise/weight"] = (fmaps,)
    if noise:
        names.update({f"noise{k}": (1, 1, 2 ** (k // 2 + 2), 2 ** (k // 2 + 2)) for k in range(6)})
    names = {f"G_synthesis/{name}": shape for name, shape in {**names, **to_rgb()}.items()}
    names["G_mapping/LabelConcat/weight"] = (LABELS, LATENT)
    widths = [2 * LATENT, *[MAPPING] * (mapping_layers - 1), dlatent]
    for index in range(mapping_layers):
        names.update(weights(f"G_mapping/Dense{index}", widths[index], widths[index + 1]))
    return {**names, "lod": (), "dlatent_avg": (dlatent,), "G_synthesis/lod": ()}


def convolutions():
    names = weights("4x4/Conv", 3, 3, FMAPS[4], FMAPS[4])
    for side in (8, 16):
        names.update(weights(f"{side}x{side}/Conv0_up", 3, 3, FMAPS[side // 2], FMAPS[side]))
        names.update(weights(f"{side}x{side}/Conv1", 3, 3, FMAPS[side], FMAPS[side]))
    return names


def to_rgb():
    return {
        name: shape
        for lod, side in enumerate((16, 8, 4))
        for name, shape in weights(f"ToRGB_lod{lod}", 1, 1, FMAPS[side], 1).items()
    }


def expected_D(variant):
    """{name: shape} of the discriminator, Progressive GAN's or StyleGAN's."""
    names = {"lod": ()}
    for lod, side in enumerate((16, 8, 4)):
        names.update(weights(f"FromRGB_lod{lod}", 1, 1, 1, FMAPS[side]))
    for side in (16, 8):
        names.update(weights(f"{side}x{side}/Conv0", 3, 3, FMAPS[side], FMAPS[side]))
        names.update(weights(f"{side}x{side}/Conv1_down", 3, 3, FMAPS[side], FMAPS[side // 2]))
    names.update(weights("4x4/Conv", 3, 3, FMAPS[4] + 1, FMAPS[4]))  # + 1: standard deviation
    names.update(weights("4x4/Dense0", 16 * FMAPS[4], FMAPS[2]))
    # Progressive GAN's ignores the labels.
    names.update(weights("4x4/Dense1", FMAPS[2], 1 if variant is None else LABELS))
    return names
