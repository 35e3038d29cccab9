"""Connections that bring too little are ended: a server may send a byte now and then for ever.

A socket's own timeout begins anew with each byte, in headers and in pages as well.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import urllib.request
from typing import Any

PERIOD = 60.0  # seconds
LEAST = 60_000  # bytes of content in each of them
LONGEST = 24 * 3600.0  # seconds for one file, all attempts together


class Watch:
    """Looks after the connections of one file; `with` it while they are in use.

    received: to be raised by the bytes of content that came. reason: why connections were ended.
    """

    def __init__(self) -> None:
        self.received = 0
        self.reason = ""
        self.over = False  # no further attempt
        self._sockets: list[socket.socket] = []
        self._done = threading.Event()
        self._started = time.monotonic()

    def handlers(self) -> list[urllib.request.BaseHandler]:
        """For `build_opener`: http and https whose sockets are known here."""
        return [_Http(self), _Https(self)]

    def add(self, opened: socket.socket) -> None:
        self._sockets.append(opened)

    def check(self) -> None:
        """Raises ConnectionError where a connection was ended here."""
        if self.reason:
            raise ConnectionError(self.reason)

    def __enter__(self) -> Watch:
        self.reason = ""
        self._done.clear()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._sockets.clear()

    def _look(self) -> None:
        before = self.received
        while not self._done.wait(PERIOD):
            if time.monotonic() - self._started > LONGEST:
                self.over = True
                self._end(f"not complete after {LONGEST / 3600:g} hours")
            elif self.received - before < LEAST:
                self._end(f"too slow, fewer than {LEAST:,} bytes in {PERIOD:g} s")
            before = self.received

    def _end(self, reason: str) -> None:
        self.reason = reason
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                # That of plain sockets: encrypted ones would be changed under their reader.
                socket.socket.shutdown(opened, socket.SHUT_RDWR)


class _Watched:
    """Tells the watch of each socket."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> Any:
        def make(host: str, **given: Any) -> Any:
            connection = http_class(host, **given)
            connect = connection.connect

            def connect_and_tell() -> None:
                connect()
                self.watch.add(connection.sock)

            connection.connect = connect_and_tell
            return connection

        return super().do_open(make, req, **options)  # type: ignore[misc]


class _Http(_Watched, urllib.request.HTTPHandler):
    pass


class _Https(_Watched, urllib.request.HTTPSHandler):
    pass
