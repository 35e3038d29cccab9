"""Files for a page: few at a time, and in pieces, as fast as the page takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from http import HTTPStatus
from typing import BinaryIO

from tornado import iostream, web

from explorer.guard import Refused
from explorer.outbox import PIECE, Lost, taken

MOST = 16  # at a time, from the question to the last byte


class Files:
    """The files of one server that are under way."""

    def __init__(self) -> None:
        self.under_way = 0

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """One more in the block. Raises Refused where there are MOST already."""
        if self.under_way >= MOST:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too many files are being made; wait.")
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1


async def send(handler: web.RequestHandler, file: BinaryIO, reader: Executor) -> None:
    """Answers with what a file holds, and closes it. reader: the thread that reads it.

    Nothing is read before the page has taken what was read before; one that takes nothing for
    outbox.SLOWEST seconds loses its connection.
    """
    loop = asyncio.get_running_loop()
    with file:
        try:
            while piece := await loop.run_in_executor(reader, file.read, PIECE):
                handler.write(piece)
                await taken(handler.flush())
        except Lost:
            handler.detach().close()
        except iostream.StreamClosedError:
            pass
