"""The reference's numbers through `run` alone, and its conversions to uint8, which are exact."""

import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from compute.images import convert_images_to_uint8, legacy_output
from tests import golden
from tests.networks.common import (
    error,
)
from tests.networks.original.common import (
    TOLERANCE,
    case,
    check,
    lod_of,
)

STYLE = "a b c0 c8".split() + [
    f"h_{option}"
    for option in (
        "blur4 fixed fused map0 map1 noblur nombstd nonoise nonorm nowscale relu res4".split()
    )
]
STYLE += golden.STYLEGAN2
PROGRESSIVE = ["e", "e_sep"]
ALL_LODS = {"a", "e_sep"}  # a graph for each lod: of the others, lod 0
ALL_MINIBATCHES = {*ALL_LODS, "h_nombstd"}  # and one for each minibatch of a discriminator

pytestmark = pytest.mark.conformance


@pytest.mark.parametrize("tag", STYLE)
def test_recorded_runs_of_generators(tag):
    (G, _, Gs), data = case(tag)
    z, labels = data["z"], data["labels"]
    kinds = set()
    for key in data:
        found = re.fullmatch(r"images_run_(.+?)(?:_lod([0-9.]+))?", key)
        if not found or (found[2] not in (None, "0") and tag not in ALL_LODS):
            continue
        network, kwargs = (G if found[1] == "G_default" else Gs), {}
        if found[1].startswith("uint8"):
            shrink = 2 if found[1] == "uint8_shrink2" else 1
            transform = dict(
                func=networks.convert_images_to_uint8, nchw_to_nhwc=True, shrink=shrink
            )
            kwargs["output_transform"] = transform
        elif found[1] == "validation":
            kwargs["is_validation"] = True
        elif found[1].startswith("psi"):
            psi, *cutoff = found[1][3:].split("_cut")
            kwargs["truncation_psi"] = float(psi)
            kwargs.update({"truncation_cutoff": int(cutoff[0])} if cutoff else {})
        with lod_of(network, found[2] or 0):
            check(network.run(z, labels, randomize_noise=False, **kwargs), data, key)
        kinds.add(found[1])
    assert kinds >= {"default", "psi0.7_cut8", "psi0.5_cut3", "uint8_nhwc", "uint8_shrink2"}
    assert tag in golden.LARGE or kinds >= {"G_default", "validation", "psi1", "psi-0.7_cut8"}


@pytest.mark.parametrize("tag", STYLE)
def test_recorded_runs_of_components(tag):
    (G, _, Gs), data = case(tag)
    for network, role in ((G, "G"), (Gs, "Gs")):
        w = network.components.mapping.run(data["z"], data["labels"])
        check(w, data, f"{role}/dlatents")
        check(network.get_var("dlatent_avg"), data, f"{role}/dlatent_avg")
    synthesis, w = Gs.components.synthesis, data["Gs/dlatents"]
    for key in data:
        found = re.fullmatch(r"images_lod([0-9.]+)", key)
        if found and (found[1] == "0" or tag in ALL_LODS):
            with lod_of(synthesis, found[1]):
                check(synthesis.run(w, randomize_noise=False), data, key)
    if "images_fixed_lod0" in data:
        with lod_of(synthesis, 1):
            images = synthesis.run(w, randomize_noise=False, structure="fixed")
        check(images, data, "images_fixed_lod0")


@pytest.mark.parametrize("tag", [*STYLE, *PROGRESSIVE])
def test_recorded_scores(tag):
    (_, D, _), data = case(tag)
    images, labels = data["d_images"], data["d_labels"]
    for key in data:
        found = re.fullmatch(r"scores_lod([0-9.]+?)(?:_first(\d+))?", key)
        if found and found[2]:
            count = int(found[2])
            if tag not in ALL_MINIBATCHES:
                continue
            check(D.run(images[:count], labels[:count]), data, key)
            # The minibatch is what the standard deviation sees, also a last one that is smaller.
            scores = D.run(images, labels, minibatch_size=count)
            check(scores[:count], data, key)
            rest = 8 % count or count
            assert error(scores[-rest:], D.run(images[-rest:], labels[-rest:])) <= TOLERANCE
        elif found and (found[1] == "0" or tag in ALL_LODS):
            with lod_of(D, found[1]):
                check(D.run(images, labels), data, key)


@pytest.mark.parametrize("tag", PROGRESSIVE)
def test_recorded_runs_of_progressive_gan(tag):
    (_, _, Gs), data = case(tag)
    for key in data:
        found = re.fullmatch(r"images_lod([0-9.]+)", key)
        if found:
            with lod_of(Gs, found[1]):
                check(Gs.run(data["z"], data["labels"]), data, key)
    scale = dict(out_mul=127.5, out_add=127.5, out_dtype=np.uint8)
    images = Gs.run(data["z"], data["labels"], **scale)
    expected = np.clip(np.rint(data["images_lod0"] * 127.5 + 127.5), 0, 255)
    check(images, {"u8": expected.astype(np.uint8)}, "u8")
    side = expected.shape[-1] // 4
    assert Gs.run(data["z"], data["labels"], out_shrink=4).shape == (4, 3, side, side)


def test_recorded_conversions():
    data = golden.load("misc/process_reals_uint8.npz")
    values, images = data["u8/in"], data["u8/shrink_in"]
    exact = {
        "convert_images_to_uint8": convert_images_to_uint8(values),
        "convert_images_to_uint8_drange01": convert_images_to_uint8(values, drange=[0, 1]),
        "legacy_mul127.5_add127.5_uint8": legacy_output(
            values, out_mul=127.5, out_add=127.5, out_dtype=tf.uint8
        ),
        "legacy_shrink2_uint8": legacy_output(
            images, out_mul=127.5, out_add=127.5, out_shrink=2, out_dtype="uint8"
        ),
    }
    for shrink in (1, 2, 4):
        exact[f"shrink{shrink}_nhwc"] = convert_images_to_uint8(
            images, nchw_to_nhwc=True, shrink=shrink
        )
    for key, value in exact.items():
        assert value.dtype == np.uint8
        np.testing.assert_array_equal(value, data[f"u8/{key}"], err_msg=key)


def test_conversions_by_hand():
    ramp = np.arange(2 * 5 * 5, dtype=np.float32).reshape(1, 2, 5, 5)
    found = convert_images_to_uint8(ramp, drange=(0, 255), shrink=2)  # the fifth row is left over
    np.testing.assert_array_equal(found, [[[[3, 5], [13, 15]], [[28, 30], [38, 40]]]])
    np.testing.assert_array_equal(legacy_output([0.5, 1.5, 3e9], out_dtype=np.int32)[:2], [0, 2])
    assert legacy_output([3e9], out_dtype=np.int32) == 2**31 - 1
    assert legacy_output([0.25], out_mul=2, out_dtype=np.float16).dtype == np.float16
    for call, message in (
        (lambda: convert_images_to_uint8(ramp, drange=[1, 1]), r"drange=\[1, 1\]"),
        (lambda: convert_images_to_uint8(ramp, shrink=6), "shrink=6, expected .* 1 to 5"),
        (lambda: convert_images_to_uint8(ramp, shrink=0.5), "shrink=0.5"),
        (lambda: convert_images_to_uint8(ramp[0], nchw_to_nhwc=True), r"shape \(2, 5, 5\)"),
        (lambda: legacy_output(ramp, out_shrink=9), "out_shrink=9"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("tag", ["a", "g_cond"])
def test_the_w_that_images_are_made_of(tag):
    (_, D, Gs), data = case(tag)
    settings = dict(randomize_noise=False, truncation_psi=0.5, truncation_cutoff=3)
    z, labels = data["z"], data["labels"]
    images, w = Gs.run(z, labels, minibatch_size=3, return_dlatents=True, **settings)
    check(images, data, "images_run_psi0.5_cut3")
    check(w, data, "dlatents_run_psi0.5_cut3")
    with pytest.raises(ValueError, match="return_dlatents=True: only a generator with styles"):
        D.run(data["d_images"], data["d_labels"], return_dlatents=True)


@pytest.mark.parametrize("tag", ["a", "b", "e_sep", *golden.STYLEGAN2])
def test_print_layers(tag, capsys):
    """Against the table that the reference prints: every layer that has parameters."""
    (G, D, _), _ = case(tag)
    G.print_layers()
    D.print_layers()

    def rows(text):
        return [line.split() for line in text.splitlines()]

    def counts(rows):
        return [row[:2] for row in rows if len(row) > 1 and row[1].isdigit()]

    recorded = rows(golden.path(golden.network_file(tag, "layers")).read_text(encoding="utf-8"))
    printed = rows(capsys.readouterr().out)
    assert len(counts(recorded)) > 20
    assert sorted(counts(printed)) == sorted(counts(recorded))
    for row in recorded:  # shapes, too; of the constant the reference shows another variable
        if len(row) > 2 and row[1].isdigit() and not row[0].endswith("Const"):
            assert row in printed


def test_loaded_networks_run(tmp_path):
    _, D, Gs = networks.load(golden.path("pickles/a.pkl"))
    data = golden.load("nets/net_a.npz")
    check(Gs.run(data["z"], None, randomize_noise=False), data, "images_run_default")
    check(D.run(data["d_images"], None), data, "scores_lod0")
    w = Gs.components.mapping.run(data["z"], None)
    check(w, data, "Gs/dlatents")
    check(Gs.components.synthesis.run(w, randomize_noise=False), data, "images_lod0")
    check(Gs.get_var("dlatent_avg"), data, "Gs/dlatent_avg")
    assert (Gs.input_shape, Gs.output_shape) == ([None, 64], [None, 3, 32, 32])
    assert (D.input_shape, D.output_shape) == ([None, 3, 32, 32], [None, 1])
    assert networks.runnable(Gs) is Gs.runnable
    assert networks.runnable(None) is None
    assert Gs.components.mapping is Gs.mapping.runnable
    networks.save(tmp_path / "Gs.safetensors", Gs=Gs)
    loaded = networks.load_runnable(tmp_path / "Gs.safetensors")
    assert loaded[:2] == (None, None)
    assert loaded[2].name == "Gs"
    check(loaded[2].run(data["z"], None, randomize_noise=False), data, "images_run_default")
