"""Plans of videos: text and JSON, mistakes in them, and the frames they make."""

import json

import numpy as np
import pytest
from scipy.io import wavfile

import networks
import run_generator
from dnnlib.errors import UserError
from editing import keyframes
from editing.animation import Animation
from generation import directions as saved
from generation.directions import Direction
from generation.sound import Sound
from tests.generation.common import close_levels, made, sampler

TEXT = """
# a walk
seed=3 seconds=1 psi=0.5
latents=w.npz:1 ease=hold   # and stays

seed=5 apply="a, b=+2" seconds=0.5 ease=linear
audio=x.wav amplitude="a, b=+2" band=20-200
"""


def plan_of(tmp_path, text):
    (tmp_path / "plan.txt").write_text(text if isinstance(text, str) else json.dumps(text))
    return keyframes.read(tmp_path / "plan.txt")


def test_text_and_json_say_the_same(tmp_path):
    found = plan_of(tmp_path, TEXT)
    rows = [
        {"seed": 3, "seconds": 1, "psi": 0.5},
        {"latents": "w.npz:1", "ease": "hold"},
        {"seed": 5, "apply": "a, b=+2", "seconds": 0.5, "ease": "linear"},
    ]
    audio = {"file": "x.wav", "amplitude": "a, b=+2", "band": [20, 200]}
    other = plan_of(tmp_path, {"keyframes": rows, "audio": audio})
    without = [{**vars(one), "where": ""} for one in found.keyframes]
    assert without == [{**vars(one), "where": ""} for one in other.keyframes]
    assert found.audio == other.audio
    assert found.keyframes[1].latents == (str(tmp_path / "w.npz"), 1)
    assert found.keyframes[1].seconds == 2
    assert found.audio.band == (20.0, 200.0)
    assert found.seconds == 3.5


def test_paths_are_from_the_plan_s_directory_or_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    text = "latents=~/w.npz:2\nlatents=/x/w.npz\nlatents=a:b/w.npz\naudio=~/x.wav onset=a=1"
    found = plan_of(tmp_path, text)
    expected = [("/home/me/w.npz", 2), ("/x/w.npz", 0), (str(tmp_path / "a:b/w.npz"), 0)]
    assert [one.latents for one in found.keyframes] == expected
    assert found.audio.file == "/home/me/x.wav"


def test_a_plan_ends_at_its_last_keyframe_or_goes_back_to_the_first(tmp_path):
    ending = plan_of(tmp_path, "seed=1 seconds=1\nseed=2 ease=linear")
    assert ending.seconds == 1
    first, second, share = ending.positions(11, 10)
    assert list(first) == [0] * 10 + [1]
    assert share[-1] == 0
    going = plan_of(tmp_path, "seed=1 seconds=1\nseed=2 seconds=1 ease=linear")
    first, second, share = going.positions(25, 10)
    assert list(first[[0, 10, 19, 20, 24]]) == [0, 1, 1, 0, 0]
    assert list(second[[0, 10, 19]]) == [1, 0, 0]
    np.testing.assert_allclose(share[10:20], np.arange(10) / 10, atol=1e-9)


def test_eases_start_and_end_where_they_should():
    t = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    for name, ease in keyframes.EASES.items():
        found = ease(t)
        assert found[0] == 0
        assert found[-1] == (0 if name == "hold" else 1)
        assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(keyframes.EASES["smooth"](t), [0, 0.15625, 0.5, 0.84375, 1])


MISTAKES = {
    "no keyframe": ("# nothing", "no keyframe in it"),
    "no value": ("seed", "plan.txt, line 1: 'seed': expected KEY=VALUE"),
    "quotation": ('\nseed=3 apply="x', "line 2: a quotation mark is missing"),
    "neither": ("psi=1", "line 1: expected one of seed=N and latents=FILE"),
    "both": ("seed=1 latents=x", "expected one of seed=N and latents=FILE"),
    "key": ("seed=1 secnds=3", "unknown 'secnds'; did you mean 'seconds'|unknown 'secnds'"),
    "seed": ("seed=1.5", "seed=1.5, expected a whole number"),
    "large seed": ("seed=4294967296", "expected a number from 0 to"),
    "psi": ("seed=1 psi=nan", "psi=nan, expected a number"),
    "seconds": ("seed=1 seconds=-1", "seconds=-1, expected a number from 0 to 3600"),
    "long": ("seed=1 seconds=3000\nseed=2 seconds=3000", "6,000 s, more than 3,600"),
    "ease": ("seed=1 ease=fast", "ease=fast, expected one of linear, smooth"),
    "class of latents": ("latents=x class=1", "class is for a seed"),
    "two audio": ("seed=1\naudio=x onset=a=1\naudio=y onset=a=1", "line 3: audio a second time"),
    "audio that moves nothing": ("seed=1\naudio=x", "line 2: expected amplitude=NAME=X or"),
    "band": ("seed=1\naudio=x onset=a=1 band=200-20", "the lower frequency first"),
    "one limit": ("seed=1\naudio=x onset=a=1 band=20", "expected two frequencies"),
    "no JSON": ("[{", "no JSON"),
    "other JSON": ({"frames": []}, "expected {"),
    "more in JSON": ({"keyframes": [{"seed": 1}], "fps": 3}, "unknown fps"),
    "JSON's row": ([{"seed": True}], "keyframe 0: seed=True, expected a number"),
    "no rows": ([3], "expected {"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake, tmp_path):
    text, message = MISTAKES[mistake]
    with pytest.raises(UserError) as error:
        plan_of(tmp_path, text)
    assert any(part in str(error.value) for part in message.split("|"))


def test_no_plan_at_all(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        keyframes.read(tmp_path / "none")
    (tmp_path / "x").write_bytes(b"\0" * (2**22 + 1))
    with pytest.raises(UserError, match="it is no plan"):
        keyframes.read(tmp_path / "x")


# ---------------------------------------------------------------- frames


@pytest.fixture(scope="module")
def ours():
    return sampler()


def towards(ours, name="x"):
    vector = np.random.RandomState(1).randn(ours.w_shape[1]).astype(np.float32)
    return Direction(name, vector, (1, 3), "pca")


def test_codes_go_from_keyframe_to_keyframe(ours, tmp_path):
    plan = plan_of(tmp_path, "seed=1 seconds=1 ease=linear psi=0.5\nseed=2 apply=x=-2")
    made = Animation(ours, plan, 4, [towards(ours)], None)
    codes = made.codes()
    assert len(codes) == 5  # the last one is shown too
    z = [np.random.RandomState(seed).randn(1, ours.latent_size) for seed in (1, 2)]
    first = ours.codes(z[0], **ours.Gs.truncation(0.5, None))
    last = towards(ours).move(ours.codes(z[1]), -2)
    np.testing.assert_allclose(codes[0], first[0], atol=1e-6)
    np.testing.assert_allclose(codes[4], last[0], atol=1e-6)
    np.testing.assert_allclose(codes[1], (0.75 * first + 0.25 * last)[0], atol=1e-5)
    frames = list(made.frames())
    close_levels(frames[4], ours.images(last)[0])


def test_noise_of_projected_pictures_goes_along(ours, tmp_path):
    rng = np.random.RandomState(0)
    noise = [rng.randn(1, *side, 1).astype(np.float32) for side in ours.noise_shapes]
    w = rng.randn(1, *ours.w_shape).astype(np.float32)
    named = {f"noise{index}": image for index, image in enumerate(noise)}
    np.savez(tmp_path / "p.npz", w=w, **named)
    plan = plan_of(tmp_path, "latents=p.npz seconds=1 ease=linear\nseed=2")
    made = Animation(ours, plan, 4, [], None)
    frames = list(made.frames())
    close_levels(frames[0], next(ours.stream(w, noise_images=noise)))
    z = np.random.RandomState(2).randn(1, ours.latent_size)
    close_levels(frames[4], ours.images(ours.codes(z))[0])
    between = made._noise_of(slice(2, 3))
    own = ours.Gs.noise_images()
    np.testing.assert_allclose(between[4], (noise[4] + own[4]) / np.sqrt(2), rtol=1e-5)


def test_sound_moves_on_its_frames(ours, tmp_path):
    samples = np.zeros(8000, np.float32)
    samples[4000:4100] = 1
    sound = Sound(samples, 8000)
    plan = plan_of(tmp_path, "seed=1\naudio=x.wav onset=x=+3")
    made = Animation(ours, plan, 10, [towards(ours)], sound)
    codes = made.codes()
    assert len(codes) == 10
    moved = np.abs(codes - codes[0]).max(axis=2)
    assert moved[:5].max() == 0
    assert moved[5, 1] == pytest.approx(3 * np.abs(towards(ours).vector).max(), rel=1e-4)
    assert moved[5, [0, 3]].max() == 0
    assert 0 < moved[8, 1] < moved[5, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed=1 class=1", "line 1: --class=1: the network has no labels"),
        ("seed=1 apply=x=1", "line 1: x=1: --directions=FILE is needed"),
        ("latents=none.npz", "none.npz: no such file"),
        ("latents=w.npz:3", "line 1: .*w.npz has 2 code"),
    ],
)
def test_what_does_not_fit_the_network(text, message, ours, tmp_path):
    np.savez(tmp_path / "w.npz", w=np.zeros([2, *ours.w_shape], np.float32))
    with pytest.raises(UserError, match=message):
        Animation(ours, plan_of(tmp_path, text), 10, [], None)


def test_the_command(tmp_path, capsys):
    networks.save(tmp_path / "style.safetensors", Gs=made("style"))
    wavfile.write(tmp_path / "x.wav", 8000, np.int16(1000 * np.random.RandomState(0).randn(4000)))
    saved.save(tmp_path / "d.safetensors", [towards(sampler())], {})
    (tmp_path / "plan.txt").write_text("seed=1 seconds=1\nseed=2\naudio=x.wav amplitude=x=1")
    args = [f"--network={tmp_path / 'style.safetensors'}", f"--plan={tmp_path / 'plan.txt'}"]
    args += [f"--directions={tmp_path / 'd.safetensors'}", "--fps=10"]

    def run(*more):
        return run_generator.main(["run_generator.py", "animate", *args, *more])

    assert run(f"--out={tmp_path / 'x.gif'}") == 0
    said = capsys.readouterr().out
    assert (
        said
        == f"Wrote {tmp_path / 'x.gif'}: 5 frames, 0.5 s; the sound itself is in an .mp4 only\n"
    )
    assert run(f"--out={tmp_path / 'x.png'}") == 2
    assert run(f"--out={tmp_path / 'x.gif'}", "--directions=none") == 2
