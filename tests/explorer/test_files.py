"""Files for pages that take them fast, slowly or not at all."""

import asyncio
import contextlib
import io
import logging
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from tornado import httpclient, httpserver, netutil, web

from explorer import files, outbox
from explorer.guard import Refused

SIZE = 48 << 20  # more than systems hold for connections


class Zeros(io.RawIOBase):
    """A file that remembers how much was read of it."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def read(self, count=-1):
        count = min(count, self.size - self.at)
        self.at += count
        return bytes(count)


@contextlib.contextmanager
def serving(size=SIZE):
    """(port, files under way, the files that were sent) of a server of one file."""
    under_way, sent = files.Files(), []

    class Handler(web.RequestHandler):
        async def get(self):
            with under_way.one():
                sent.append(Zeros(size))
                await files.send(self, sent[-1], reader)

    with ThreadPoolExecutor(1) as reader:
        sockets = netutil.bind_sockets(0, address="127.0.0.1")
        server = httpserver.HTTPServer(web.Application([("/", Handler)]))
        server.add_sockets(sockets)
        yield sockets[0].getsockname()[1], under_way, sent
        server.stop()


async def until(condition):
    async def wait():
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(wait(), 60)


@contextlib.contextmanager
def reads_nothing(port):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        yield client


@pytest.mark.parametrize("size", [0, 1, files.PIECE, 3 * files.PIECE + 1])
def test_a_file_arrives_whole(size):
    async def talk():
        with serving(size) as (port, under_way, sent):
            answer = await httpclient.AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/")
            await until(lambda: not under_way.under_way)
            return answer.code, answer.body, sent[0].closed

    assert asyncio.run(talk()) == (200, bytes(size), True)


def test_who_reads_nothing_fills_no_memory_and_is_let_go(monkeypatch, caplog):
    monkeypatch.setattr(outbox, "SLOWEST", 0.2)
    caplog.set_level(logging.WARNING)

    async def talk():
        with serving() as (port, under_way, sent), reads_nothing(port):
            await until(lambda: under_way.under_way)
            await until(lambda: not under_way.under_way)
            return sent[0].at, sent[0].closed

    at, closed = asyncio.run(talk())
    assert 0 < at < SIZE / 2
    assert closed
    assert not caplog.records


def test_who_leaves_early_is_no_error(caplog):
    caplog.set_level(logging.WARNING)

    async def talk():
        with serving() as (port, under_way, sent):
            with reads_nothing(port):
                await until(lambda: sent and sent[0].at > files.PIECE)
            await until(lambda: not under_way.under_way)

    asyncio.run(talk())
    assert not caplog.records


def test_files_have_a_bound():
    under_way = files.Files()
    with contextlib.ExitStack() as stack:
        for _ in range(files.MOST):
            stack.enter_context(under_way.one())
        with pytest.raises(Refused, match="Too many files"), under_way.one():
            pass
        assert under_way.under_way == files.MOST
    assert under_way.under_way == 0
