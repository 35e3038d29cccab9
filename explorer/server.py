"""The HTTP and WebSocket server of the explorer: what browsers ask, and who may ask it."""

from __future__ import annotations

import asyncio
import contextlib
import html
import io
import itertools
import socket
from collections.abc import Awaitable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Callable, Optional, Union

from tornado import httpserver, iostream, web, websocket

from dnnlib.errors import UserError
from explorer import guard, messages
from explorer.files import Files, send
from explorer.guard import Guard, Refused
from explorer.messages import BadMessage, Request
from explorer.outbox import Outbox, Pulse, frames, to_loop
from explorer.session import Session, sentence

PAGE = Path(__file__).with_name("page")
MOST_BYTES = 64 << 10  # of a message, and of the body of a POST
MOST_CONNECTIONS = 16  # WebSockets at a time
_MIMES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_NO_TOKEN = (
    "This needs the token: open the address that run_generator.py explore printed on its terminal."
)
_OTHER_HOST = (
    "This server is not called that: use the address that it printed, also through a tunnel, which "
    "needs the same port at both ends."
)


class _Guarded(web.RequestHandler):
    """Checks every request before anything is done: the name of the host, then the cookie."""

    OPEN = False  # whether it needs no cookie

    def initialize(self, house: House) -> None:
        self.house = house

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in guard.HEADERS.items():
            self.set_header(name, value)
        host = self.request.headers.get("Host")
        allowed = self.application.settings["guard"].allows_host(host)
        self.set_header("Content-Security-Policy", guard.policy(host if allowed else None))

    def prepare(self) -> None:
        if not self.house.guard.allows_host(self.request.headers.get("Host")):
            raise Refused(HTTPStatus.FORBIDDEN, _OTHER_HOST)
        if not self.OPEN:
            self.need_cookie()

    def need_cookie(self) -> None:
        """Refuses whoever has not come with the token."""
        if not self.house.guard.is_token(self.get_cookie(self.house.guard.cookie)):
            raise Refused(HTTPStatus.FORBIDDEN, _NO_TOKEN)

    def need_same_origin(self) -> None:
        """Refuses what a page of elsewhere asks for."""
        headers = self.request.headers
        if not self.house.guard.same_origin(headers.get("Origin"), headers.get("Host")):
            raise Refused(HTTPStatus.FORBIDDEN, "Only the explorer's own page may ask for this.")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        text = HTTPStatus(status_code).phrase
        if isinstance(error, Refused):
            self.set_status(error.status)
            text = error.text
        elif isinstance(error, UserError):
            self.set_status(HTTPStatus.BAD_REQUEST)
            text = str(error)
        if "text/html" not in self.request.headers.get("Accept", ""):  # a script, not a person
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(text)
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(f"<!doctype html><title>Explorer</title><p>{html.escape(text)}</p>\n")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if not isinstance(value, (Refused, UserError, web.HTTPError)):
            super().log_exception(typ, value, tb)

    def send_file(self, path: Path) -> None:
        """A file of the page."""
        self.set_header("Content-Type", _MIMES[path.suffix])
        self.finish(path.read_bytes())


class _Front(_Guarded):
    """The page; with the token in the address, the cookie, and the way to the page."""

    OPEN = True

    def get(self) -> None:
        token = self.get_query_argument("token", None)
        if token is None:
            self.need_cookie()
            self.send_file(self.house.file("index.html"))
            return
        if not self.house.guard.is_token(token):
            raise Refused(HTTPStatus.FORBIDDEN, _NO_TOKEN)
        self.set_cookie(self.house.guard.cookie, token, httponly=True, samesite="Strict", path="/")
        if self.request.headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            self.redirect("/", status=HTTPStatus.SEE_OTHER)
            return
        # After a link on another page the browser would follow a redirect without the cookie.
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(
            '<!doctype html><title>Explorer</title><meta http-equiv="refresh" content="0;url=/">'
        )


class _PageFile(_Guarded):
    """A file of the page, by its name in a table."""

    def get(self, name: str) -> None:
        self.send_file(self.house.file(name))


class _Icon(_Guarded):
    OPEN = True

    def get(self) -> None:
        self.set_status(HTTPStatus.NO_CONTENT)


class _Nothing(_Guarded):
    """Every other address."""

    def prepare(self) -> None:
        super().prepare()
        raise Refused(HTTPStatus.NOT_FOUND, "There is nothing here.")


class _Latents(_Guarded):
    """A picture's latents as a file."""

    async def post(self) -> None:
        self.need_same_origin()
        house = self.house
        network, recipe = messages.recipe_of(self.request.body, len(house.session.shown))
        with house.files.one():
            done: asyncio.Future = asyncio.get_running_loop().create_future()

            def settle(result: Any) -> None:
                if not done.done():
                    done.set_result(result)

            house.session.latents(next(house.numbers), network, recipe, to_loop(settle))
            result = await done
            if isinstance(result, UserError):
                raise result
            if isinstance(result, BaseException):
                raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, sentence(result))
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("Content-Disposition", 'attachment; filename="latents.npz"')
            await send(self, io.BytesIO(result), house.reader)


class _RunPicture(_Guarded):
    """A picture of the run, by its number."""

    async def get(self, index: str) -> None:
        run = self.house.session.run
        if run is None or len(index) > 6:
            raise Refused(HTTPStatus.NOT_FOUND, "There is nothing here.")
        loop, reader = asyncio.get_running_loop(), self.house.reader
        with self.house.files.one():
            file = await loop.run_in_executor(reader, run.picture, int(index))
            self.set_header("Content-Type", "image/png")
            await send(self, file, reader)


class _Live(_Guarded, websocket.WebSocketHandler):
    """A page's connection."""

    outbox: Optional[Outbox] = None

    def check_origin(self, origin: str) -> bool:
        return self.house.guard.same_origin(origin, self.request.headers.get("Host"))

    def get_compression_options(self) -> None:
        return None  # pictures are compressed, and what is not sent compressed is no bomb

    def prepare(self) -> None:
        super().prepare()
        # Here, for Tornado asks check_origin only of what it does not pass by other headers.
        if "Origin" in self.request.headers:
            self.need_same_origin()
        if len(self.house.live) >= MOST_CONNECTIONS:
            text = f"There are {MOST_CONNECTIONS} pages open already; close one."
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, text)

    def open(self) -> None:
        if len(self.house.live) >= MOST_CONNECTIONS:  # several came at once
            self.close(1013, "too many pages")
            return
        self.owner = next(self.house.numbers)
        self.pulse = Pulse(self.ping, self._end)
        self.outbox = Outbox(self._write, self._end, self.pulse.beat)
        _leave_little_to_the_system(self.ws_connection.stream)
        self._run_asked: Optional[Request] = None
        self._run_busy = False
        self.house.live.add(self)
        self.outbox.put("about", self.house.session.about)

    def on_close(self) -> None:
        self.house.live.discard(self)
        if self.outbox is not None:
            self.outbox.close()
            self.pulse.close()
            self.house.session.worker.forget(self.owner)

    def on_pong(self, data: bytes) -> None:
        if self.outbox is not None:
            self.pulse.beat()

    def _write(self, message: Union[bytes, dict]) -> Iterator[Awaitable]:
        for frame in frames(message):
            if self.ws_connection is None or self.ws_connection.is_closing():
                raise websocket.WebSocketClosedError
            yield self.ws_connection.stream.write(frame)

    def _end(self) -> None:
        """Ends the connection without waiting for an answer."""
        stream = getattr(self.ws_connection, "stream", None)
        if stream is not None:
            stream.close()

    def on_message(self, message: Union[str, bytes]) -> None:
        if self.outbox is None:
            return
        self.pulse.beat()
        session = self.house.session
        try:
            if not isinstance(message, str):
                raise BadMessage("the message is no text")
            request = messages.parse(message, len(session.shown))
            if request.kind in (messages.RUN, messages.RELOAD):
                self._of_run(request)
                return
        except BadMessage as error:
            self._say(("error", None), error.number, str(error))
            return
        session.ask(self.owner, request, to_loop(partial(self._answered, request)))

    def _say(self, kind: Hashable, number: Optional[int], text: str) -> None:
        self.outbox.put(kind, {"type": "error", "request": number, "message": text})

    def _answered(self, request: Request, result: Any) -> None:
        kind = request.network, request.kind
        if isinstance(result, BaseException):
            self._say(kind, request.number, sentence(result))
        else:
            self.outbox.put(kind, result)

    # ------------------------------------------------------------ the run

    def _of_run(self, request: Request) -> None:
        if self.house.session.run is None:
            raise BadMessage("there is no run on show", request.number)
        if request.kind == messages.RELOAD:
            self.house.reload(request, self._say)
            return
        self._run_asked = request
        if not self._run_busy:
            self._run_busy = True
            self._reading = asyncio.ensure_future(self._tell_run())

    async def _tell_run(self) -> None:
        """Reads in a thread of its own: a run of weeks has many megabytes of records."""
        session, loop = self.house.session, asyncio.get_running_loop()
        try:
            while self._run_asked is not None:
                request, self._run_asked = self._run_asked, None
                try:
                    status = partial(session.run_status, request.since, request.epoch)
                    answer = await loop.run_in_executor(self.house.reader, status)
                    self.outbox.put("run", {**answer, "request": request.number})
                except Exception as error:
                    self._say("run", request.number, sentence(error))
        finally:
            self._run_busy = False


def _leave_little_to_the_system(stream: iostream.IOStream) -> None:
    """Has the system keep little that is not under way yet, so that what it took says how fast the
    page is, and a ping is not behind megabytes. Not every system can."""
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    if option is not None:
        with contextlib.suppress(OSError):
            stream.socket.setsockopt(socket.IPPROTO_TCP, option, 256 << 10)


class House:
    """What all handlers share. numbers: of owners of work, and of files."""

    def __init__(self, session: Session, guard: Guard) -> None:
        self.session, self.guard = session, guard
        self.live: set[_Live] = set()
        self.files = Files()
        self.numbers = itertools.count()
        self.reader = ThreadPoolExecutor(1, "reader")
        self._files = {path.name: path for path in PAGE.glob("*") if path.suffix in _MIMES}
        self._reloading = False

    def file(self, name: str) -> Path:
        """A file of the page."""
        if name not in self._files:
            raise Refused(HTTPStatus.NOT_FOUND, f"The page has no file {name[:80]!r}.")
        return self._files[name]

    def reload(self, request: Request, say: Callable[[Hashable, Optional[int], str], None]) -> None:
        """Opens the networks anew, and tells all pages."""
        if self._reloading:
            return
        self._reloading = True

        def done(result: Any) -> None:
            self._reloading = False
            if isinstance(result, BaseException):
                say("reload", request.number, sentence(result))
                return
            for live in self.live:
                live.outbox.put("about", self.session.about)

        self.session.reload(to_loop(done))

    def application(self) -> web.Application:
        """The addresses, and their handlers."""
        here = {"house": self}
        return web.Application(
            [
                (r"/", _Front, here),
                (r"/page/([A-Za-z0-9_.-]{1,80})", _PageFile, here),
                (r"/live", _Live, here),
                (r"/latents", _Latents, here),
                (r"/run/pictures/(\d{1,6})", _RunPicture, here),
                (r"/favicon\.ico", _Icon, here),
            ],
            default_handler_class=_Nothing,
            default_handler_args=here,
            guard=self.guard,
            log_function=lambda handler: None,  # addresses may hold a token
            websocket_max_message_size=MOST_BYTES,
        )

    def server(self) -> httpserver.HTTPServer:
        """Listens to nothing yet."""
        return httpserver.HTTPServer(
            self.application(),
            max_body_size=MOST_BYTES,
            max_header_size=16 << 10,
            max_buffer_size=256 << 10,
            idle_connection_timeout=60,
            body_timeout=20,
        )

    def close(self) -> None:
        """Ends threads."""
        self.reader.shutdown(wait=False)
        self.session.close()


async def serve(house: House, sockets: list, ready: Callable[[], None]) -> None:
    """Serves on bound sockets until it is cancelled; ready: called once it does."""
    server = house.server()
    server.add_sockets(sockets)
    ready()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    server.stop()
    for live in list(house.live):
        live.close(1001, "the server ends")
    await asyncio.sleep(0.05)  # for the messages that say so
    await server.close_all_connections()
