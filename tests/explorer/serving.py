"""A server of the explorer in a thread, with one small network, and what talks to it."""

import asyncio
import http.client
import json
import struct
import threading
from functools import partial

from tornado import httpclient, netutil, websocket

import networks
from explorer.answers import Shown
from explorer.guard import Guard
from explorer.previews import Previews
from explorer.scene import Scene
from explorer.server import House, serve
from explorer.session import Session
from generation.directions import Direction
from tests.generation.common import made
from tests.networks.common import discriminator, randomize

TOKEN = "a-token-of-the-tests"


def network_file(directory):
    """G, D and Gs of 16 pixels with three classes."""
    path = directory / "small.safetensors"
    D = discriminator(label_size=3, num_channels=1)
    randomize(D, seed=3)
    G = made("labels").copy()
    randomize(G, seed=8)
    networks.save(path, G=G, D=D, Gs=made("labels"), info={"licence": "mine", "dataset": "d"})
    return path


def scene_of(path, name="small"):
    """A scene, with a direction whose name is not easily quoted."""
    scene = Scene(path, name)
    layers, vector = scene.sampler.num_layers, scene.Gs.dlatent_avg.numpy()
    for name in ("up", "it's, odd"):
        scene.directions[name] = Direction(name, vector, (1, layers), "pca")
    return scene


def shown_of(scene, **options):
    flags = [f"--network={scene.path}"]
    return Shown(scene, Previews(scene, 2.0), flags, **{"directions": None, **options})


class Serving:
    """A server on a free port of 127.0.0.1, until `close`."""

    def __init__(self, open_networks, run=None):
        self.session = Session(open_networks, run)
        sockets = netutil.bind_sockets(0, address="127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.cookie = f"explorer-{self.port}={TOKEN}"
        self.house = House(self.session, Guard(TOKEN, "127.0.0.1", self.port))
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(sockets, ready.set))
        self._thread.start()
        assert ready.wait(30)

    def _serve(self, sockets, ready):
        async def main():
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            await serve(self.house, sockets, ready)

        asyncio.run(main())

    def close(self):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(30)
        self.house.close()

    def http(self, method, path, body=None, **headers):
        """(status, headers, body); of headers with the value None none is sent."""
        given = {"Host": self.host, "Cookie": self.cookie, **headers}
        given = {name.replace("_", "-"): value for name, value in given.items() if value}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def upgrade(self, **headers):
        """The status of a WebSocket's beginning: 101 where it is one."""
        wanted = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Origin": f"http://{self.host}",
        }
        return self.http("GET", "/live", **{**wanted, **headers})[0]

    async def connect(self, **options):
        """(connection, about) of a page."""
        headers = {"Cookie": self.cookie, "Origin": f"http://{self.host}"}
        request = httpclient.HTTPRequest(f"ws://{self.host}/live", headers=headers)
        page = await websocket.websocket_connect(request, max_message_size=1 << 26, **options)
        return page, json.loads(await page.read_message())

    def ask(self, *messages):
        """The answers to messages, each sent when the one before has its answer."""

        async def talk():
            page, _ = await self.connect()
            answers = []
            for message in messages:
                text = message if isinstance(message, (str, bytes)) else json.dumps(message)
                await page.write_message(text, binary=isinstance(text, bytes))
                answers.append(split(await asyncio.wait_for(page.read_message(), 60)))
            await leave(page)
            return answers

        return asyncio.run(talk())


async def leave(page):
    """Ends a connection, and takes what is still under way."""
    page.close()
    while await page.read_message() is not None:
        pass


def split(message):
    """An object; of a binary message its header, with the picture's bytes as 'data'."""
    if isinstance(message, str):
        return json.loads(message)
    assert message is not None, "the server has closed"
    (length,) = struct.unpack("<I", message[:4])
    return {**json.loads(message[4 : 4 + length]), "data": message[4 + length :]}


def serving(path, **options):
    """A server of one network file."""
    return Serving(partial(lambda: [shown_of(scene_of(path), **options)]))
