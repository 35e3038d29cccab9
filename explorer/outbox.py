"""What is sent to a page: the newest of each kind, as fast as the page takes it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Awaitable, Hashable, Iterable, Iterator
from typing import Any, Callable, Optional, Union

from tornado import iostream, websocket

PIECE = 64 << 10  # bytes that are sent at once
SLOWEST = 30.0  # seconds that one piece may take to be sent
PING = 20.0  # seconds between questions whether a page is there
MOST_UNANSWERED = 3  # of them


class Lost(Exception):
    """Nothing was taken for SLOWEST seconds."""


def to_loop(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """For other threads: has this one call a function, if it still serves."""
    loop = asyncio.get_running_loop()

    def tell(result: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(function, result)

    return tell


async def taken(sending: Awaitable) -> None:
    """Waits until a piece has left for the network. Raises Lost, and StreamClosedError."""
    future = asyncio.ensure_future(sending)
    # Not wait_for, which cancels: Tornado sets the result of its futures whatever became of them.
    done, _ = await asyncio.wait([future], timeout=SLOWEST)
    if not done:
        raise Lost
    future.result()


def frames(message: Union[bytes, dict]) -> Iterator[bytes]:
    """A message for a WebSocket, bytes or a text of JSON, in fragments (RFC 6455, 5.2 and 5.4).

    Each can be waited for, which tells a slow page from one that takes nothing, and pings go in
    between. Tornado itself sends any message in one frame.
    """
    opcode, data = 2, message
    if isinstance(data, dict):
        opcode, data = 1, json.dumps(data).encode()
    for start in range(0, len(data), PIECE):
        piece = data[start : start + PIECE]
        last = 0x80 if start + PIECE >= len(data) else 0
        if len(piece) < 126:
            length = struct.pack("!B", len(piece))
        elif len(piece) < 1 << 16:
            length = struct.pack("!BH", 126, len(piece))
        else:
            length = struct.pack("!BQ", 127, len(piece))
        yield bytes([last | opcode]) + length + piece
        opcode = 0  # what goes on with the message


class Outbox:
    """Messages that wait to be sent, the newest of each kind: there are never many.

    write: sends one, piece by piece: gives for each what is done when it has left for the network.
    lost: is called when one did not for SLOWEST seconds. progress: is called after each.
    """

    def __init__(
        self,
        write: Callable[[Any], Iterable[Awaitable]],
        lost: Callable[[], None],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        self._write, self._lost, self._progress = write, lost, progress
        self._waiting: dict[Hashable, Any] = {}
        self._task: Optional[asyncio.Task] = None

    def put(self, kind: Hashable, message: Union[bytes, dict]) -> None:
        """Sends a message when those before are gone, unless a newer one of its kind comes."""
        self._waiting.pop(kind, None)
        self._waiting[kind] = message
        if self._task is None:
            self._task = asyncio.ensure_future(self._send())

    async def _send(self) -> None:
        try:
            while self._waiting:
                for piece in self._write(self._waiting.pop(next(iter(self._waiting)))):
                    await taken(piece)
                    self._progress()
        except Lost:
            self._lost()
        except (websocket.WebSocketClosedError, iostream.StreamClosedError):
            pass
        finally:
            self._task = None

    def close(self) -> None:
        """Sends nothing more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()


class Pulse:
    """Asks a page now and then whether it is there.

    ask: sends the question. lost: is called after MOST_UNANSWERED of them without a `beat`, which
    is any sign of life.
    """

    def __init__(self, ask: Callable[[], None], lost: Callable[[], None]) -> None:
        self._ask, self._lost, self._unanswered = ask, lost, 0
        self._task = asyncio.ensure_future(self._run())

    def beat(self) -> None:
        """It is there."""
        self._unanswered = 0

    async def _run(self) -> None:
        with contextlib.suppress(websocket.WebSocketClosedError, iostream.StreamClosedError):
            while True:
                await asyncio.sleep(PING)
                if self._unanswered == MOST_UNANSWERED:
                    break
                self._unanswered += 1
                self._ask()
            self._lost()

    def close(self) -> None:
        """Asks nothing more."""
        self._task.cancel()
