"""Servers that never stop sending, a byte at a time."""

import pytest

from dnnlib import download, stalls
from tests.dnnlib.download import bad_server as bad
from tests.dnnlib.download.common import DATA, SHA, fails


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(stalls, "PERIOD", 0.1)
    monkeypatch.setattr(stalls, "LEAST", 1000)
    monkeypatch.setattr(download, "ATTEMPTS", 2)


def drip(start):
    """Sends `start` at once, and then a byte again and again, none of which ends anything."""

    def answer(handler):
        handler.wfile.write(start)
        while not handler.server.stopped.wait(0.02):
            handler.wfile.write(b"x")

    return answer


OK = b"HTTP/1.0 200 OK\r\n"
STARTS = {
    "status": b"HTTP/1.0 20",
    "headers": OK + b"X-Long: ",
    "body": OK + b"Content-Length: 100000\r\n\r\n",
    "no length": OK + b"\r\n",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "page": OK + b"Content-Type: text/html\r\n\r\n<html>",
}


@pytest.mark.parametrize("place", STARTS)
def test_a_byte_now_and_then(place, server, waits):
    url = server.at("/x.pkl", drip(STARTS[place]))
    message = fails(r"too slow, fewer than 1,000 bytes in 0\.1 s \(attempt 2", url)
    assert "save it as" in message
    assert waits == [1]


def test_a_second_attempt_may_be_fast(server, monkeypatch):
    # A busy machine may take longer than the first attempt's tenth of a second.
    sleep = lambda seconds: monkeypatch.setattr(stalls, "PERIOD", 60.0)  # noqa: E731
    monkeypatch.setattr(download, "_sleep", sleep)
    url = server.at("/x.pkl", drip(STARTS["body"]), bad.body(DATA))
    assert download.fetch(url, sha256=SHA).read_bytes() == DATA


def test_not_for_days(server, monkeypatch, waits):
    monkeypatch.setattr(stalls, "LONGEST", 0.0)
    url = server.at("/x.pkl", drip(STARTS["body"]))
    fails(r"not complete after 0 hours \(attempt 1", url)
    assert waits == []
