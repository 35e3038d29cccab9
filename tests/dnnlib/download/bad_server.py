"""A web server on 127.0.0.1 that misbehaves as it is told.

Answers are functions of the request's handler; those below make them. A path gives its answers
one after the other, and the last one again and again.
"""

import http.server
import threading


class BadServer(http.server.ThreadingHTTPServer):
    """`requests` are the (path, headers) that came; `stopped` ends answers that wait."""

    daemon_threads = False  # so that server_close waits for them

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.requests, self.stopped = {}, [], threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def at(self, path, *answers):
        """Sets the answers of `path` (without a query) and returns its address."""
        self.answers[path] = list(answers)
        return f"http://127.0.0.1:{self.server_port}{path}"

    def paths(self):
        return [path for path, _ in self.requests]

    def ranges(self):
        return [headers.get("Range") for _, headers in self.requests]

    def handle_error(self, request, client_address):
        pass  # the other side has hung up


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append((self.path, self.headers))
        answers = self.server.answers.get(self.path.partition("?")[0])
        if not answers:
            return status(404)(self)
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def log_message(self, *args):
        pass


def body(data, *, etag=None, ranges=True, cut=None, pause=0.0, length="right", **headers):
    """The file. The server breaks off after `cut` bytes, or waits `pause` seconds there.

    With `etag` and `ranges` it continues where it is asked to. `length` None announces none, and
    a number another one.
    """

    def answer(handler):
        rest, asked = data, handler.headers.get("Range")
        if ranges and asked and handler.headers.get("If-Range") == etag:
            start = int(asked[len("bytes=") : -1])
            if start >= len(data):
                return status(416)(handler)
            rest = data[start:]
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            handler.send_response(200)
        if length is not None:
            size = len(rest) if length == "right" else length
            handler.send_header("Content-Length", str(size))
        for name, value in {"ETag": etag, **headers}.items():
            if value is not None:
                handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(rest[:cut])
        if cut is not None and pause:
            handler.server.stopped.wait(pause)
            handler.wfile.write(rest[cut:])

    return answer


def drip(data, step, pause):
    """The file in steps of a few bytes, with a pause after each one."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        for start in range(0, len(data), step):
            handler.wfile.write(data[start : start + step])
            handler.server.stopped.wait(pause)

    return answer


def status(code, text="", **headers):
    """A status with a short page."""

    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text.encode())

    return answer


def redirect(location, code=302):
    return status(code, Location=location)


def page(text, **headers):
    return status(200, text, Content_Type="text/html; charset=utf-8", **headers)


def chunks(data, *, cut=False):
    """The file in chunks; with `cut` the last one does not come."""

    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        handler.wfile.write(b"" if cut else b"0\r\n\r\n")
        handler.close_connection = True

    return answer


def hang_up(handler):
    """Closes the connection without a word."""


def silence(handler):
    """Says nothing until the server is stopped."""
    handler.server.stopped.wait(10)


def split(first, confirmed):
    """One answer to a request without `confirm=` in its query, another one with it."""
    return lambda handler: (confirmed if "confirm=" in handler.path else first)(handler)
