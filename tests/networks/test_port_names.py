"""Checkpoints of PyTorch ports by our names, against recorded arrays, pictures and scores.

Tolerances as the golden README states them: pictures 5e-6 of the largest magnitude, scores 5e-7.
"""

import dataclasses

import numpy as np
import pytest

import networks
from dnnlib.pickles import port_files
from networks import port_names, port_parts, port_stylegan, port_stylegan2
from tests import golden
from tests.networks.common import error, nchw, nhwc

DATA = "ports/data"


@pytest.fixture(scope="module")
def read():
    files = {}

    def one(name):
        if name not in files:
            data = golden.path(f"{DATA}/{name}").read_bytes()
            files[name] = port_files.read(data, name)
        return files[name]

    return one


def arrays(name, network):
    """{our name: array} of a network in a file of mapped arrays."""
    data = golden.load(f"{DATA}/{name}.npz")
    return {k.partition("|")[2]: data[k] for k in data if k.partition("|")[0] == network}


def same(made, wanted, *, rounding=2e-7):
    for name, array in wanted.items():
        close = rounding * max(float(np.abs(array).max()), 1e-30)
        if name.endswith("mod_bias"):  # stored with a 1
            close = 6e-8
        if name.endswith("noise_strength"):
            array = array.reshape(())
        assert made[name].shape == array.shape, name
        np.testing.assert_allclose(made[name], array, rtol=0, atol=close, err_msg=name)
        assert made[name].dtype == np.float32


def built(made, **options):
    """The network; its arrays must be exactly the build function's."""
    pairs = made.variables.items()
    return networks.build(
        made.func_name, family=made.family, arrays=pairs, **{**made.options, **options}
    )


# ---------------------------------------------------------------- rosinality's StyleGAN2

ROS2 = {"ros2_train": {"Gs": "g_ema", "G": "g", "D": "d"}, "ros2_converted": {"Gs": "Gs", "D": "D"}}


@pytest.mark.parametrize("tag", ROS2)
def test_arrays_of_stylegan2(tag, read):
    made = port_names.translate(read(f"{tag}.pt"))
    options = golden.load(f"{DATA}/ros2_meta.json")["about"]["tf_options"]
    for role, key in ROS2[tag].items():
        wanted = arrays(f"tf_{tag}", key)
        same(made[role].variables, wanted)
        extra = {"lod", "dlatent_avg"} if role != "D" else set()
        assert set(made[role].variables) - set(wanted) <= extra
        for option, value in options.items():
            assert made[role].options.get(option, value) == value
        assert made[role].options["resample_kernel"] == (1, 3, 3, 1)
    assert not made["D"].notes
    estimated = "ros2_train" in tag
    assert any("mean of w: estimated" in note for note in made["Gs"].notes) == estimated


@pytest.mark.parametrize("tag", ROS2)
@pytest.mark.conformance
def test_pictures_and_scores_of_stylegan2(tag, read):
    made, data = port_names.translate(read(f"{tag}.pt")), golden.load(f"{DATA}/net_{tag}.npz")
    Gs = built(made["Gs"])
    w = Gs.mapping(data["z"], None)
    assert error(w[:, 0], data["w"]) < 5e-6
    assert error(nchw(Gs.synthesis(w, noise="fixed")), data["images"]) < 5e-6
    assert error(nchw(Gs.synthesis(w, noise="none")), data["images_no_noise"]) < 5e-6
    assert error(nchw(Gs.synthesis(data["ws_mixed"], noise="fixed")), data["images_mixed"]) < 5e-6
    scores = built(made["D"])(nhwc(data["d_images"]), None)
    np.testing.assert_allclose(scores, data["scores"], rtol=0, atol=5e-7)


def test_the_estimated_mean_is_near_the_recorded_one(read):
    made = port_names.translate(read("ros2_train.pt"))["Gs"].variables["dlatent_avg"]
    recorded = golden.load(f"{DATA}/net_ros2_train.npz")["latent_mean"]  # of 256
    assert np.abs(made - recorded).max() < 0.3 * np.abs(recorded).max()


def test_a_file_of_before_noise_images(read):
    state = {k: v for k, v in read("ros2_train.pt").networks["Gs"].items() if "noises" not in k}
    made = port_stylegan2.generator(state, None)
    assert port_parts.NOISE_NOTE in made.notes
    shapes = {k: v.shape for k, v in made.variables.items() if "/noise" in k and "stre" not in k}
    assert shapes["G_synthesis/noise0"] == (1, 1, 4, 4)
    assert shapes["G_synthesis/noise1"] == shapes["G_synthesis/noise2"] == (1, 1, 8, 8)
    assert len(shapes) == 7


WRONG = {
    "another tensor": ({"style.9.scale": np.ones(3)}, "tensors that .* have not: style.9.scale"),
    "another shape": ({"style.1.bias": np.ones((3, 3))}, r"'style.1.bias': expected 1 dim.*3, 3"),
    "a missing one": ({"conv1.conv.weight": None}, "'conv1.conv.weight': .* but it is missing"),
    "another kernel": ({"to_rgbs.0.upsample.kernel": np.ones((2, 2))}, "2 different kernels"),
    "a kernel of another sum": ({"to_rgbs.0.upsample.kernel": np.ones((3, 3))}, "a sum of 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_rosinalitys(case, read):
    change, pattern = WRONG[case]
    file = read("ros2_converted_gema.pt")
    state = {k: v for k, v in {**file.networks["Gs"], **change}.items() if v is not None}
    with pytest.raises(ValueError, match=f"Gs: .*{pattern}"):
        port_names.translate(dataclasses.replace(file, networks={"Gs": state}))
    with pytest.raises(ValueError, match="resolution=64, but it is of 32"):
        port_names.translate(file, resolution=64)


# ---------------------------------------------------------------- StyleGAN

ROS1 = "ros1_train_step-6.model"


@pytest.mark.parametrize("step", [3, 5])
def test_arrays_of_rosinalitys_stylegan(step, read):
    file = read(ROS1)
    plain = port_stylegan.rosinality_plain(file.networks["Gs"], step)
    wanted = arrays("tf_ros1", f"step{step}/plain")
    assert set(plain) == set(wanted)
    same(plain, wanted)
    made = port_names.translate(file, resolution=4 * 2**step)
    same(made["D"].variables, arrays("tf_ros1", f"step{step}/d_wide"))
    assert set(made["D"].variables) - set(arrays("tf_ros1", f"step{step}/d_wide")) == {"lod"}
    if step == 5:  # at 32x32 the recorded one is wider than it need be
        same(made["Gs"].variables, arrays("tf_ros1", "step5/exact"))
        recorded = golden.load(f"{DATA}/ros1_meta.json")["about"]
        options = {**recorded["tf_options"], **recorded["tf_options_exact"]}
        assert {key: made["Gs"].options[key] for key in options} == options


@pytest.mark.conformance
def test_pictures_and_scores_of_rosinalitys_stylegan(read):
    data = golden.load(f"{DATA}/net_ros1.npz")
    made = port_names.translate(read(ROS1), resolution=32)
    noise = {f"G_synthesis/noise{i}": data[f"noise{i // 2}"] for i in range(8)}
    Gs = built(dataclasses.replace(made["Gs"], variables={**made["Gs"].variables, **noise}))
    w = Gs.mapping(data["z"], None)
    assert error(w[:, 0], data["w"]) < 5e-6
    w = w[:2]
    assert error(nchw(Gs.synthesis(w, noise="fixed")), data["images_step3"]) < 5e-6
    assert error(nchw(Gs.synthesis(w, noise="none")), data["images_step3_no_noise"]) < 5e-6
    Gs.set_lod(0.6)
    assert error(nchw(Gs.synthesis(w, noise="fixed")), data["images_step3_alpha0.4"]) < 5e-6
    D = built(made["D"])
    images = nhwc(data["d_images_step3"])
    np.testing.assert_allclose(D(images, None), data["scores_step3"], rtol=0, atol=5e-7)
    scores = D(images[:3], None)
    np.testing.assert_allclose(scores, data["scores_step3_first3"], rtol=0, atol=5e-7)


@pytest.mark.conformance
@pytest.mark.parametrize("port", ["ros1", "h13"])
def test_scores_of_discriminators_whose_from_rgb_is_linear(port, read):
    """Outside fades, and within one."""
    file, tag, key, close = {
        "ros1": ("refuse_d_ros1_noact.model", "step3", "noact/scores_step3", 5e-7),
        "h13": ("h13_GAN_DIS_5_8.pth", "depth3", "scores_depth3", 2e-6),
    }[port]
    made = port_names.translate(read(file), resolution=32)["D"]
    assert made.options["activate_from_rgb"] is False
    data, D = golden.load(f"{DATA}/net_{port}.npz"), built(made)
    images = nhwc(data[f"d_images_{tag}"])
    np.testing.assert_allclose(D(images, None), data[key], rtol=0, atol=close)
    D.set_lod(0.6)
    np.testing.assert_allclose(D(images, None), data[f"{key}_alpha0.4"], rtol=0, atol=close)


def test_arrays_of_huangzh13s_discriminator(read):
    file = read("h13_GAN_DIS_5_8.pth")
    made = port_names.translate(file, resolution=32)["D"]
    same(made.variables, arrays("tf_h13_depth3", "D"), rounding=0)
    assert set(made.variables) - set(arrays("tf_h13_depth3", "D")) == {"lod"}
    whole = port_names.translate(file, "GAN_DIS_5_8.pth")["D"]
    assert whole.options["resolution"] == 128
    assert whole.variables["FromRGB_lod0/weight"].shape == (1, 1, 3, 4)
    with pytest.raises(ValueError, match=r"D: a resolution of 256; .* 8 to 128"):
        port_names.translate(file, "GAN_DIS_6_8.pth")


@pytest.mark.parametrize(
    ("name", "resolution", "step"),
    [
        ("train_step-6.model", None, 5),
        ("x/train_step-3.model", None, 2),
        ("x", 64, 4),
        ("x", None, 5),
    ],
)
def test_the_last_trained_step(name, resolution, step, read):
    state = read("ros1_g_running.model").networks["Gs"]
    found, notes = port_stylegan.rosinality_step(state, name, resolution)
    assert found == step
    assert bool(notes) == (name == "x" and resolution is None)
    if notes:
        assert "128x128 seems the highest that was trained; --resolution=N" in notes[0]


def test_steps_that_are_none(read):
    state = read("ros1_g_running.model").networks["Gs"]
    for resolution in (48, 2, 2048):
        with pytest.raises(ValueError, match="expected 4 to 1024"):
            port_stylegan.rosinality_step(state, "", resolution)
    with pytest.raises(ValueError, match="no step was trained"):
        port_stylegan.rosinality_step({})


def test_arrays_of_huangzh13s_stylegan(read):
    file = read("h13_GAN_GEN_SHADOW_5_8.pth")
    wanted = arrays("tf_h13_depth3", "G")
    plain = port_stylegan.huangzh13_plain(file.networks["Gs"], 3)
    mean = wanted.pop("dlatent_avg")
    assert set(plain) == set(wanted)
    same(plain, wanted, rounding=0)
    made = port_names.translate(file, "GAN_GEN_SHADOW_5_8.pth")["Gs"]
    assert made.options["resolution"] == 128
    np.testing.assert_array_equal(made.variables["dlatent_avg"], mean)
    for resolution in (4, 256, 48):
        with pytest.raises(ValueError, match=f"Gs: a resolution of {resolution}; .* 8 to 128"):
            port_names.translate(file, resolution=resolution)


def test_a_file_of_huangzh13s_whose_name_says_nothing(read):
    """Blocks that were not trained yet have noise of no strength."""
    file = read("h13_GAN_GEN_SHADOW_5_8.pth")
    assert not any("does not say" in note for note in _notes(file, "GAN_GEN_5_8.pth"))
    assert "128x128 seems the highest" in _notes(file, "mine.pth")[0]
    state = dict(file.networks["Gs"])
    for block in (3, 4):
        for layer in ("epi1", "epi2"):
            name = f"g_synthesis.blocks.{block}.{layer}.top_epi.noise.weight"
            state[name] = np.zeros_like(state[name])
    file = dataclasses.replace(file, networks={"Gs": state})
    assert "32x32 seems the highest" in _notes(file, "mine.pth")[0]
    assert port_names.translate(file, "mine.pth")["Gs"].options["resolution"] == 32
    discriminator = port_names.translate(read("h13_GAN_DIS_5_8.pth"), "mine.pth")["D"]
    assert "128x128 seems the highest" in discriminator.notes[0]


def _notes(file, name):
    return port_names.translate(file, name)["Gs"].notes


@pytest.mark.conformance
def test_pictures_of_huangzh13s_stylegan(read):
    data = golden.load(f"{DATA}/net_h13.npz")
    made = port_names.translate(read("h13_GAN_GEN_SHADOW_5_8.pth"), resolution=32)["Gs"]
    noise = {f"G_synthesis/noise{i}": data[f"noise{i}"] for i in range(8)}
    Gs = built(dataclasses.replace(made, variables={**made.variables, **noise}))
    w = Gs.mapping(data["z"], None)
    assert error(w[:, 0], data["w"]) < 5e-6
    assert error(nchw(Gs.synthesis(w[:2], noise="fixed")), data["images_depth3"]) < 5e-6


def test_noise_images_of_a_block_are_one_where_the_port_has_one(read):
    made = port_names.translate(read("ros1_g_running.model"))["Gs"].variables
    for index in range(0, 12, 2):
        one, other = (made[f"G_synthesis/noise{i}"] for i in (index, index + 1))
        np.testing.assert_array_equal(one, other)
