"""What is sent to a page: the newest of each kind, as fast as the page takes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable
from typing import Any, Callable, Optional, Union

from tornado import iostream, websocket

SLOWEST = 30.0  # seconds that one message may take to be sent


def to_loop(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """For other threads: has this one call a function, if it still serves."""
    loop = asyncio.get_running_loop()

    def tell(result: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(function, result)

    return tell


class Outbox:
    """Messages that wait to be sent, the newest of each kind: there are never many.

    write: sends one; what it returns is done when the message has left for the network. lost: is
    called when one did not for SLOWEST seconds.
    """

    def __init__(self, write: Callable[[Any], Any], lost: Callable[[], None]) -> None:
        self._write, self._lost = write, lost
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
                message = self._waiting.pop(next(iter(self._waiting)))
                await asyncio.wait_for(_awaited(self._write(message)), SLOWEST)
        except asyncio.TimeoutError:
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


async def _awaited(future: Any) -> Any:
    return await future
