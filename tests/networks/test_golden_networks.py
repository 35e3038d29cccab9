"""Networks against the reference implementation's numbers: every recorded key of every case.

Tolerance: 2e-5 of an array's largest magnitude. Two builds of the reference differ from each
other by up to 2e-6 of it at these sizes; case d (full width, 256x256, sums of 4,608 products)
by more. Measured here: 1.1e-5 for d, 8.8e-6 for the others, on both TensorFlow versions.
"""

import re

import numpy as np
import pytest
import tensorflow as tf

import networks
from networks import fast
from tests import golden
from tests.networks.common import error, nchw, nhwc

TAGS = ["a", "b", "c0", "c8", "d", "e", "e_sep"] + [
    f"h_{option}"
    for option in (
        "blur4 fixed fused map0 map1 noblur nombstd nonoise nonorm nowscale relu res4".split()
    )
]
TAGS += golden.STYLEGAN2
OTHERS = {"run_example"}  # weights that only a pickle holds
TOLERANCE = 2e-5
INPUTS = {"z", "labels", "d_images", "d_images_u8", "d_labels"}

pytestmark = pytest.mark.conformance


class Case:
    """One golden file and, made on demand, its networks with the recipe's weights."""

    def __init__(self, tag):
        self.tag, self.networks = tag, {}
        self.meta = golden.load(golden.network_file(tag, "meta"))
        # A NpzFile reads from disk at every access.
        self.data = dict(golden.load(golden.network_file(tag, "net")))
        if "d_images_u8" in self.data:
            self.data["d_images"] = np.float32(self.data["d_images_u8"] / 127.5 - 1)

    def network(self, role, **options):
        """role: 'G', 'D' or 'Gs'; options: on top of the case's own."""
        key = (role, *options.items())
        if key not in self.networks:
            kind = role[0]
            network = networks.build(**{**self.meta[kind], **options})
            arrays = golden.recipe_arrays(self.tag, role, self.meta[f"{kind}_vars"])
            if options.get("structure") == "fixed":  # has no RGB layers of lower resolutions
                arrays = {name: arrays[name] for name in network.named}
            network.set_arrays(arrays)
            self.networks[key] = network
        return self.networks[key]


@pytest.fixture(scope="module", params=TAGS)
def case(request):
    return Case(request.param)


# ---------------------------------------------------------------- what each key holds


def synthesized(case, structure, lod):
    options = {"structure": structure.strip("_")} if structure else {}
    network = case.network("Gs", **options)
    if case.tag.startswith("e"):  # Progressive GAN
        return nchw(network(case.data["z"], case.data["labels"], lod=float(lod)))
    w = case.data["Gs/dlatents"]
    return nchw(network.synthesis(w, noise="fixed", lod=float(lod)))


def run(case, options):
    """`images_run_<options>`: the generator from z on, e.g. 'psi0.7_cut8_lod1', 'default'."""
    kwargs, role = {}, "Gs"
    for option in options.split("_"):
        kind, value = re.fullmatch(r"([a-zG]+)(-?[0-9.]*)", option).groups()
        if kind == "psi":
            kwargs["truncation_psi"] = float(value)
        elif kind == "cut":
            kwargs["truncation_cutoff"] = int(value)
        elif kind == "lod":
            kwargs["lod"] = float(value)
        elif kind == "validation":
            kwargs["truncation_psi"] = None
        elif kind == "G":
            role = "G"
        else:
            assert option == "default"
    network = case.network(role)
    return nchw(network(case.data["z"], case.data["labels"], noise="fixed", **kwargs))


def run_uint8(case, shrink):
    images = nhwc(run(case, "default"))
    if shrink:
        n, size, _, channels = images.shape
        images = images.reshape(n, size // 2, 2, size // 2, 2, channels).mean(axis=(2, 4))
    return np.clip(np.floor(images * 127.5 + 128), 0, 255)


def truncated(case, psi, cutoff):
    network = case.network("Gs")
    w = network.mapping(case.data["z"], case.data["labels"])
    return network.truncate(w, float(psi), int(cutoff))


def scored(case, structure, lod, first):
    options = {"structure": structure.strip("_")} if structure else {}
    images, labels = case.data["d_images"], case.data["d_labels"]
    count = int(first) if first else len(images)
    network = case.network("D", **options)
    return network(nhwc(images[:count]), labels[:count], lod=float(lod))


RULES = {
    r"(Gs?)/dlatents": lambda case, role: case.network(role).mapping(
        case.data["z"], case.data["labels"]
    ),
    r"(Gs?)/dlatent_avg": lambda case, role: case.network(role).arrays()["dlatent_avg"],
    r"images(_linear|_fixed)?_lod([0-9.]+)": synthesized,
    r"images_run_uint8_(?:nhwc|shrink(2))": run_uint8,
    r"images_run_(.+)": run,
    r"dlatents_run_psi([-0-9.]+)_cut(\d+)": truncated,
    r"scores(_linear)?_lod([0-9.]+?)(?:_first(\d+))?": scored,
}


def computed(case, key):
    """This project's value of a recorded array; parts as case d keeps them."""
    part = re.fullmatch(r"(.*?)((?:_first1|_second)?(?:_stride(\d+))?)", key)
    whole, suffix, stride = part.groups() if key.startswith("images") else (key, "", None)
    for pattern, rule in RULES.items():
        match = re.fullmatch(pattern, whole)
        if match:
            value = np.asarray(rule(case, *match.groups()))
            break
    else:
        raise AssertionError(f"no rule for {key}")
    if "_first1" in suffix:
        value = value[:1]
    if "_second" in suffix:
        value = value[1:2]
    return value[:, :, :: int(stride), :: int(stride)] if stride else value


def check_all(case, keys):
    errors = {}
    for key in keys:
        value, expected = computed(case, key), case.data[key]
        if expected.dtype == np.uint8:
            difference = np.abs(value - expected)
            assert difference.max() <= 1
            # Rounding moves a value across the edge between two whole numbers with a chance of
            # 127.5 times the error (1e-5 at most).
            assert np.count_nonzero(difference) <= max(5, 1e-3 * expected.size)
        else:
            errors[key] = error(value, expected)
    worst = max(errors, key=errors.get)
    print(f"worst: {errors[worst]:.1e} {case.tag} {worst}")
    assert not {key: value for key, value in errors.items() if not value <= TOLERANCE}


# ---------------------------------------------------------------- tests


def test_every_case_is_listed():
    root = golden.path("nets/a_meta.json").parents[1]
    files = [*root.glob("*/net_*.npz"), *root.glob("stylegan2/*/net_*.npz")]
    assert {file.stem[4:] for file in files} == {*TAGS, *OTHERS}


def test_variables_are_the_references(case):
    for role in ("G", "D"):
        network = case.network(role)
        rows = [
            [name, list(variable.shape), variable.trainable]
            for name, variable in network.named.items()
        ]
        assert rows == case.meta[f"{role}_vars"]
        arrays = network.arrays()
        assert list(arrays) == [name for name, _, _ in rows]
        assert all(array.dtype == np.float32 for array in arrays.values())


def test_numbers(case):
    keys = [key for key in case.data if key not in INPUTS]
    kinds = ["images_lod", "scores_lod"]
    if not case.tag.startswith("e"):  # Progressive GAN
        kinds += ["dlatents", "dlatents_run", "images_run_uint8"]
    for kind in kinds:
        assert any(kind in key for key in keys), kind
    check_all(case, keys)


def test_recorded_lods_are_covered(case):
    recorded = {f"{lod:g}" for lod in case.meta["lods"]}
    for kind in ("images", "scores"):
        keys = [re.match(rf"{kind}_lod([0-9.]+)", key) for key in case.data]
        assert {match[1] for match in keys if match} == recorded


@pytest.mark.parametrize("tag", ["a", "h_fused", "g_resnet"])
def test_numbers_of_traced_calls(tag):
    """Some fast forms exist in graphs only."""
    case = Case(tag)
    w, images = tf.constant(case.data["Gs/dlatents"]), tf.constant(nhwc(case.data["d_images"]))

    @tf.function
    def traced(lod):
        synthesis = case.network("Gs").synthesis
        return synthesis(w, noise="fixed", lod=lod), case.network("D")(images, lod=lod)

    case.network("Gs"), case.network("D")
    for lod in (0, 0.5) if case.network("D").growing else (0,):
        generated, scores = traced(lod)
        assert error(nchw(generated), case.data[f"images_lod{lod}"]) <= TOLERANCE
        assert error(scores, case.data[f"scores_lod{lod}"]) <= TOLERANCE


@pytest.mark.parametrize("tag", ["a", "h_fused", "h_blur4", *golden.STYLEGAN2])
def test_numbers_of_the_plain_form(tag):
    case = Case(tag)
    with fast.using(fast.PLAIN):
        check_all(case, [key for key in case.data if key.startswith(("images_lod", "scores_lod"))])
