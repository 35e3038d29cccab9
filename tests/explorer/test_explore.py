"""The command `explore`: what it opens, what it refuses, how it ends; and runs on a page."""

import asyncio
import io
import json
import os
import queue
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path
from urllib.request import url2pathname

import numpy as np
import pytest

import networks
import run_generator
from dnnlib.errors import UserError
from explorer import commands, opening, starting_points
from explorer.inside import noise_deviation
from explorer.previews import Previews
from explorer.recipe import parse
from explorer.run_view import RunView
from explorer.scene import Scene
from generation import directions
from tests.explorer.serving import TOKEN, Serving, leave, split
from tests.generation.common import made, run

ROOT = Path(__file__).resolve().parents[2]
ARGS = {
    "network": [],
    "directions": None,
    "projected": None,
    "port": None,
    "host": "127.0.0.1",
    "open": False,
    "memory": 2.0,
    "resolution": None,
    "cache_dir": None,
}


@pytest.fixture
def run_dir(tmp_path, network):
    path = tmp_path / "00003-mine"
    path.mkdir()
    (path / "config.json").write_text("{}")
    (path / "stats.jsonl").write_text('{"Progress/tick": 1, "Progress/kimg": 4.0, "Loss/G": 2.0}\n')
    (path / "fakes000000.png").write_bytes(b"a picture")
    return path


def opened(*sources, **args):
    sources = list(map(str, sources))
    args = {**ARGS, "network": sources, **args}
    return commands._opened(args, commands._run(sources))


# ---------------------------------------------------------------- what it opens


def test_several_networks_have_names_of_their_own(network, tmp_path):
    other = tmp_path / network.name
    networks.save(other, Gs=made("paper"))
    shown = opened(network, other)
    assert [one.scene.name for one in shown] == ["small", "small (2)"]
    assert [one.scene.has_D for one in shown] == [True, False]
    told = [one.scene.image(parse({})).shape for one in shown]
    assert told == [(16, 16, 1), (16, 16, 3)]
    with pytest.raises(UserError, match=r"psi: this is .*, which has no w"):
        shown[1].scene.image(parse({"psi": 1}))
    with pytest.raises(UserError, match="no noise inputs"):
        next(noise_deviation(shown[1].scene, parse({})))


def test_directions_go_to_the_networks_that_they_are_of(network, tmp_path):
    other = tmp_path / "other.safetensors"
    networks.save(other, Gs=made("paper"))
    file = tmp_path / "directions.safetensors"
    rows = [directions.Direction("up", np.ones(8, np.float32), (0, 6), "pca")]
    directions.save(file, rows, {})
    effects = {
        "name": "up",
        "points per unit": {"smile": 1.25, "up": -7.5},
        "amounts": [0, 1],
        "pixel change": [0, 0.0625],
        "saturates at": 2,
    }
    (tmp_path / "effects.json").write_text(json.dumps({"directions": [effects]}))
    shown = opened(other, network, directions=str(file))
    assert [list(one.scene.directions) for one in shown] == [[], ["up"]]
    assert shown[1].scene.effects["up"] == {
        "effect": "up -7.5, smile +1.2 points of 100 a unit; pixels 0.062 a unit",
        "saturates": 2.0,
    }
    with pytest.raises(UserError, match=r"--directions: this is .*, which has no w"):
        opened(other, directions=str(file))


_ROW = (
    '{"directions": [{"name": "up", "points per unit": {"up": %s}, "amounts": [1], '
    '"pixel change": [%s], "saturates at": %s}]}'
)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"directions": 3}',
        '{"directions": [{"name": 1}]}',
        _ROW % ('"nan"', 1, 1),
        _ROW % (1, "true", 1),
        _ROW % (1, 1, '"inf"'),
    ],
)
def test_damaged_effects_are_none(text, tmp_path):
    (tmp_path / "effects.json").write_text(text)
    assert starting_points.effects(str(tmp_path / "directions.safetensors")) == {}
    (tmp_path / "effects.json").unlink()
    assert starting_points.effects(str(tmp_path / "directions.safetensors")) == {}


def test_projected_pictures_by_their_names(network, scene, tmp_path):
    rng = np.random.RandomState(0)
    w = rng.randn(2, *scene.sampler.w_shape).astype(np.float32)
    noise = {
        f"noise{index}": rng.randn(2, *shape, 1).astype(np.float32)
        for index, shape in enumerate(scene.sampler.noise_shapes)
    }
    one, two = tmp_path / "me", tmp_path / "you"
    for path, names in ((one, ["a.png", "b.png"]), (two, ["a.png", "c.png"])):
        path.mkdir()
        np.savez(path / "projected.npz", w=w, names=np.array(names), **noise)
    np.savez(tmp_path / "plain.npz", w=w[:1])
    (shown,) = opened(network, projected=str(tmp_path))
    assert list(shown.scene.projected) == ["a.png", "b.png", "plain", "a.png (2)", "c.png"]
    start = shown.scene.start(parse({"projected": "b.png"}))
    np.testing.assert_array_equal(start.codes, w[1:])
    np.testing.assert_array_equal(start.noise[3], noise["noise3"][1:])
    (shown,) = opened(network, projected=str(one / "projected.npz"))
    assert list(shown.scene.projected) == ["a.png", "b.png"]


@pytest.mark.parametrize("damage", ["deflate", "encrypted", "huge"])
def test_damaged_names_are_the_files_own(damage, network, scene, tmp_path):
    path = tmp_path / "x.npz"
    names = np.array(["a", "b"])
    np.savez_compressed(path, names=names, w=np.zeros([2, *scene.sampler.w_shape], np.float32))
    data = bytearray(path.read_bytes())
    start = data.index(b"names.npy") + len("names.npy")
    if damage == "deflate":
        data[start + 24 : start + 40] = b"\xff" * 16
    elif damage == "encrypted":
        central = data.index(b"PK\x01\x02")
        data[central + 8] |= 1
        data[6] |= 1
    else:
        held = io.BytesIO()
        header = {"descr": "<U1", "fortran_order": False, "shape": (10**23,)}
        np.lib.format.write_array_header_1_0(held, header)
        path.unlink()
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("names.npy", held.getvalue())
            w = io.BytesIO()
            np.save(w, np.zeros([2, *scene.sampler.w_shape], np.float32))
            archive.writestr("w.npy", w.getvalue())
        data = path.read_bytes()
    path.write_bytes(data)
    (shown,) = opened(network, projected=str(path))
    assert list(shown.scene.projected) == ["x 0", "x 1"]


def test_names_that_would_execute_something_are_not_read(network, scene, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    w = np.zeros([2, *scene.sampler.w_shape], np.float32)
    names = np.array([Evil(), "b"], dtype=object)
    np.savez(tmp_path / "x.npz", w=w, names=names)
    (shown,) = opened(network, projected=str(tmp_path / "x.npz"))
    assert list(shown.scene.projected) == ["x 0", "x 1"]
    assert not (tmp_path / "executed").exists()


# ---------------------------------------------------------------- what it refuses


def test_mistakes_are_one_line(network, tmp_path, capsys, monkeypatch):
    only_D = tmp_path / "d.safetensors"
    networks.save(only_D, D=networks.build("D_basic", resolution=8))
    (tmp_path / "empty").mkdir()
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    cases = {
        f"--network={only_D}": "holds no Gs",
        f"--network={tmp_path}/empty": "not a run: no config.json and no snapshot",
        f"--network={tmp_path}/nothing.pkl": "nothing.pkl",
        f"--network={network} --directions={network}": "no file of directions",
        f"--network={network} --projected={tmp_path}/empty": "no .npz file in it",
        f"--network={network} --port={port}": f"--port={port}: Address already in use",
        f"--network={network} --host=192.0.2.1": "cannot listen on --host=192.0.2.1",
        f"--network={network} --port=70000": "port",
        "--port=1": "--network=FILE is needed",
    }
    with taken:
        for flags, said in cases.items():
            assert run("explore", *flags.split(" ")) == 2, flags
            lines = capsys.readouterr().err.splitlines()
            assert said in lines[-1], lines
            assert len(lines) == 1
        monkeypatch.setenv("STYLEGAN_EXPLORER_TOKEN", "short")
        assert run("explore", f"--network={network}") == 2
        assert "expected 16 to 200 letters" in capsys.readouterr().err


def test_the_next_free_port_unless_one_was_asked_for(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        monkeypatch.setattr(commands, "PORT", first)
        with commands._listening("127.0.0.1", None) as listening:
            host, port = listening.getsockname()
        assert host == "127.0.0.1"
        assert first < port < first + commands._PORTS


def test_addresses_that_browsers_take():
    hosts = ("127.0.0.1", "0.0.0.0", "::", "::1", "[::1]", "my-machine")
    shown = ["127.0.0.1", "127.0.0.1", "[::1]", "[::1]", "[::1]", "my-machine"]
    assert list(map(commands._shown_host, hosts)) == shown


def test_other_machines_are_let_in_with_a_warning(network, monkeypatch, capsys):
    async def serve(house, sockets, ready):
        listened.append(sockets[0].getsockname()[0])
        ready()

    listened = []
    monkeypatch.setattr(commands, "serve", serve)
    for host in ("0.0.0.0", "127.0.0.1"):
        assert run("explore", f"--network={network}", f"--host={host}") == 130
        out, err = capsys.readouterr()
        assert listened.pop() == host
        assert ("warning: --host=0.0.0.0: other machines can reach this" in err) == (
            host == "0.0.0.0"
        )
        assert re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{40,}\n", out)


def test_a_browser_gets_the_token_in_a_file_of_ones_own(monkeypatch):
    """Command lines can be read by all users; and some browsers' commands end when they do."""
    given, closed = queue.Queue(), threading.Event()

    def blocks(target):
        given.put(target)
        return closed.wait(20)

    monkeypatch.setattr("webbrowser.open", blocks)
    with opening.browser() as open_address:
        open_address(f"http://127.0.0.1:8000/?token={TOKEN}")  # does not wait
        target = given.get(timeout=20)
        assert target.startswith("file:///")
        assert TOKEN not in target
        path = Path(url2pathname(target.removeprefix("file://")))
        assert f'content="0;url=http://127.0.0.1:8000/?token={TOKEN}"' in path.read_text()
        modes = [stat.S_IMODE(os.stat(one).st_mode) for one in (path, path.parent)]
        assert modes == [0o600, 0o700]
    closed.set()
    assert not path.parent.exists()


@pytest.mark.parametrize("opens", [lambda target: False, lambda target: 1 / 0])
def test_without_a_browser_there_is_a_note(opens, monkeypatch, capsys):
    monkeypatch.setattr("webbrowser.open", opens)
    opening._open(Path("/x/explorer.html"))
    assert "note: no browser could be opened" in capsys.readouterr().err


def test_the_flag_opens_it(network, monkeypatch):
    async def serve(house, sockets, ready):
        ready()
        opened.append(given.get(timeout=20))

    opened, given = [], queue.Queue()
    monkeypatch.setattr(commands, "serve", serve)
    monkeypatch.setattr("webbrowser.open", lambda target: given.put(target) or True)
    assert run("explore", f"--network={network}", "--open") == 130
    assert opened[0].startswith("file:///")


def test_ctrl_c_ends_it(network):
    """In a process of its own, as a user starts it."""
    env = {**os.environ, "STYLEGAN_EXPLORER_TOKEN": TOKEN}
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)  # with it TensorFlow says what it was asked to say
    command = [sys.executable, "run_generator.py", "explore", f"--network={network}", "--port=0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's `&` ignores it for us
    with subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=heed, **pipes) as process:
        try:
            line = process.stdout.readline()
            assert re.fullmatch(rf"Explore at http://127\.0\.0\.1:\d+/\?token={TOKEN}\n", line)
            assert process.stdout.readline() == "Ctrl-C ends it.\n"
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "")


# ---------------------------------------------------------------- runs


def test_a_run_and_its_first_and_newer_snapshots(run_dir, network):
    view = RunView(run_dir)
    args = {**ARGS, "network": [str(run_dir)]}
    served = Serving(lambda: commands._opened(args, view), view)

    async def talk():
        page, about = await served.connect()
        other, _ = await served.connect()
        assert (about["networks"], about["run"]["name"]) == ([], "00003-mine")
        assert about["features"]["run"]

        async def ask(**message):
            await page.write_message(json.dumps(message))
            return split(await asyncio.wait_for(page.read_message(), 60))

        status = await ask(type="run", since=-1, request=4)
        assert (status["type"], status["request"], status["loaded"]) == ("run", 4, "")
        assert status["ticks"][0]["values"]["Loss/G"] == 2.0
        assert (await ask(type="picture", request=1, network=0, recipe={}))["type"] == "error"
        (run_dir / "network-snapshot-000004.safetensors").write_bytes(b"damaged")
        assert (await ask(type="run", since=1))["snapshot"] == "network-snapshot-000004.safetensors"
        refused = await ask(type="reload", request=5)
        assert (refused["type"], refused["request"]) == ("error", 5)
        (run_dir / "network-snapshot-000004.safetensors").write_bytes(network.read_bytes())
        for number in (4, 8):
            name = f"network-snapshot-{number:06d}"
            (run_dir / f"{name}.safetensors").write_bytes(network.read_bytes())
            about = await ask(type="reload", request=6)
            assert [one["name"] for one in about["networks"]] == [f"00003-mine/{name}"]
            assert split(await other.read_message()) == about
            assert (await ask(type="run", since=1))["loaded"] == f"{name}.safetensors"
        picture = await ask(type="picture", request=7, network=0, recipe={})
        await leave(page)
        await leave(other)
        return picture

    try:
        assert asyncio.run(talk())["type"] == "picture"
        status, headers, body = served.http("GET", "/run/pictures/0")
        assert (status, headers["Content-Type"], body) == (200, "image/png", b"a picture")
        assert served.http("GET", "/run/pictures/1")[0] == 400
    finally:
        served.close()


# ---------------------------------------------------------------- previews


def exhaust(steps):
    for _ in steps:
        pass


def test_previews_in_fewer_bits_where_that_is_faster(network, monkeypatch):
    """Whichever is faster by what was measured, pictures are about the same."""
    monkeypatch.setattr("explorer.previews.SLOW", 0.0)
    for gain, precision in ((1e9, "bfloat16"), (0.0, "float32")):
        monkeypatch.setattr("explorer.previews._GAIN", gain)
        scene = Scene(network, "small")
        previews = Previews(scene, 2.0)
        exhaust(previews.warm_up())
        assert previews.precision == precision
        for value in ({"seeds": [[3, 1]]}, {"noise": "none"}, {"which": "G"}):
            recipe = parse(value)
            difference = np.abs(np.int32(previews.image(recipe)) - scene.image(recipe))
            assert difference.mean() < 4
            assert precision == "bfloat16" or not difference.any()


def test_a_fast_network_needs_no_copy(network, monkeypatch):
    monkeypatch.setattr("explorer.previews.SLOW", 1e9)
    monkeypatch.setattr(Previews, "_add_copy", lambda *args: pytest.fail("it made one"))
    previews = Previews(Scene(network, "small"), 2.0)
    exhaust(previews.warm_up())
    assert previews.precision == "float32"


def test_the_command_is_in_the_table():
    assert "explore" in run_generator.PROGRAM.commands
