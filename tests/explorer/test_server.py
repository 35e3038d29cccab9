"""The server as browsers and others see it: what it gives, and to whom."""

import asyncio
import io
import json
import socket
import time

import numpy as np
import pytest
from PIL import Image

from explorer import guard, outbox, server
from explorer.guard import Guard
from explorer.recipe import parse
from tests.explorer.serving import TOKEN, leave, split

PICTURE = {"type": "picture", "request": 1, "network": 0, "recipe": {}}


def pixels(answer):
    with Image.open(io.BytesIO(answer["data"])) as picture:
        return np.asarray(picture)


# ---------------------------------------------------------------- what it gives


def test_a_picture_at_rest_and_while_dragging(served, scene):
    recipe = {"seeds": [[3, 1]], "psi": 0.5}
    at_rest, preview = served.ask(
        {**PICTURE, "recipe": recipe}, {**PICTURE, "request": 2, "recipe": recipe, "preview": True}
    )
    image = scene.image(parse(recipe))[:, :, 0]
    np.testing.assert_array_equal(pixels(at_rest), image)
    assert at_rest["type"] == "picture"
    assert (at_rest["request"], at_rest["network"], at_rest["preview"]) == (1, 0, False)
    assert (at_rest["mime"], at_rest["width"], at_rest["height"]) == ("image/png", 16, 16)
    assert isinstance(at_rest["score"], float)
    assert at_rest["command"].endswith("--seeds=3 --truncation_psi=0.5")
    assert (preview["request"], preview["preview"], preview["mime"]) == (2, True, "image/jpeg")
    assert preview["score"] is preview["command"] is None
    assert np.abs(pixels(preview).astype(int) - image).mean() < 8


def test_inside_and_noise_maps(served):
    layer, noise = served.ask(
        {**PICTURE, "type": "inside", "layer": 1}, {**PICTURE, "type": "noise_map", "request": 2}
    )
    assert (layer["type"], layer["layer"], layer["total"], len(layer["maps"])) == (
        "inside",
        1,
        8,
        8,
    )
    assert pixels(layer).shape == (layer["height"], layer["width"])
    assert (noise["type"], noise["request"], noise["draws"]) == ("noise_map", 2, 32)
    assert pixels(noise).shape == (16, 16)


def test_mistakes_are_sentences_and_the_connection_lives(served):
    answers = served.ask(
        "{",
        b"\0\1",
        {**PICTURE, "request": 7, "recipe": {"path": "/etc/passwd"}},
        {**PICTURE, "request": 8, "recipe": {"lod": 9}},
        {"type": "run", "request": 9},
        {**PICTURE, "request": 10},
    )
    said = [(answer["type"], answer["request"]) for answer in answers]
    assert said == [("error", None)] * 2 + [
        ("error", 7),
        ("error", 8),
        ("error", 9),
        ("picture", 10),
    ]
    assert answers[3]["message"] == "lod: G_style: lod=9.0, expected 0 to 2"
    assert answers[4]["message"] == "there is no run on show"


def test_our_own_mistakes_are_told_on_the_terminal(served, monkeypatch, capfd):
    def fails(*args):
        raise RuntimeError("the secret of this machine")

    monkeypatch.setattr("explorer.answers.repeating.command", fails)
    (answer,) = served.ask(PICTURE)
    assert answer["message"].startswith("This could not be made; the terminal")
    assert "the secret of this machine" in capfd.readouterr().err
    monkeypatch.undo()
    assert served.ask(PICTURE)[0]["type"] == "picture"


def test_latents_as_a_file(served, scene):
    body = json.dumps({"network": 0, "recipe": {"seeds": [[3, 1]]}}).encode()
    status, headers, data = served.http("POST", "/latents", body, Origin=f"http://{served.host}")
    assert (status, headers["Content-Type"]) == (200, "application/octet-stream")
    with np.load(io.BytesIO(data)) as arrays:
        np.testing.assert_array_equal(arrays["w"], scene.start(parse({"seeds": [[3, 1]]})).codes)
    for wrong in (b"{", b'{"network": 3}', b'{"file": "x"}', b'{"recipe": {"mixing": [[9, 1]]}}'):
        status, _, said = served.http("POST", "/latents", wrong, Origin=f"http://{served.host}")
        assert status == 400
        assert said
        assert b"<" not in said


def test_all_files_take_the_turns_of_one(served, monkeypatch):
    submitted, worker = [], served.session.worker
    submit = worker.submit

    def noted(owner, kind, *others):
        submitted.append((owner, kind))
        submit(owner, kind, *others)

    monkeypatch.setattr(worker, "submit", noted)
    for _ in range(3):
        status = served.http("POST", "/latents", b"{}", Origin=f"http://{served.host}")[0]
        assert status == 200
    owners, kinds = zip(*submitted)
    assert set(owners) == {"files"}
    assert len(set(kinds)) == 3  # none takes another one's place
    worker.call(lambda: None)
    assert len(worker._served) <= 1


def test_the_latest_request_wins(served):
    """Of a burst the last is answered, last; those between are mostly not."""

    async def burst():
        page, about = await served.connect()
        assert about["type"] == "about"
        for number in range(60):
            recipe = {"seeds": [[number, 1]]}
            message = {**PICTURE, "request": number, "recipe": recipe, "preview": True}
            await page.write_message(json.dumps(message))
        numbers = []
        while not numbers or numbers[-1] != 59:
            numbers.append(split(await page.read_message())["request"])
        await leave(page)
        return numbers

    numbers = asyncio.run(burst())
    assert numbers == sorted(numbers)
    assert len(numbers) < 60


# ---------------------------------------------------------------- who may ask


def test_the_token_becomes_a_cookie(served):
    status, headers, _ = served.http("GET", f"/?token={TOKEN}", Cookie=None)
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"]
    assert cookie.startswith(f"explorer-{served.port}={TOKEN};")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    # From a link on another page the browser would follow a redirect without the cookie.
    status, headers, body = served.http(
        "GET", f"/?token={TOKEN}", Cookie=None, Sec_Fetch_Site="cross-site"
    )
    assert (status, "Set-Cookie" in headers) == (200, True)
    assert b'http-equiv="refresh"' in body


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/run/pictures/0", "/live", "/nothing"])
@pytest.mark.parametrize("cookie", [None, "explorer-{port}=wrong", "explorer-1={token}", "a=b"])
def test_without_the_token_there_is_one_sentence(path, cookie, served):
    cookie = cookie and cookie.format(port=served.port, token=TOKEN)
    status, headers, body = served.http("GET", path, Cookie=cookie, Accept="text/html")
    assert status == 403
    assert b"This needs the token" in body
    assert TOKEN.encode() not in body
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "%ff%00", "%C3%A9"])
def test_a_wrong_token_is_none(token, served):
    status, headers, body = served.http("GET", f"/?token={token}", Cookie=None)
    assert status in (400, 403)
    assert "Set-Cookie" not in headers
    assert b"Traceback" not in body


@pytest.mark.parametrize(
    "host",
    ["attacker.example:{port}", "127.0.0.1.nip.io:{port}", "localhost.attacker.example:{port}",
     "127.0.0.2:{port}", "localhost:1", "127.0.0.1", "", "x", "[::1]:{port}x", None],
)  # fmt: skip
@pytest.mark.parametrize(
    "path", ["/", f"/?token={TOKEN}", "/page/main.js", "/live", "/favicon.ico"]
)
def test_other_names_of_this_machine_are_refused(host, path, served):
    """DNS rebinding: a page elsewhere whose own name means this machine."""
    host = host and host.format(port=served.port)
    status, headers, body = served.http("GET", path, Host=host)
    assert status in (400, 403)
    assert "Set-Cookie" not in headers
    assert b"token" not in body
    assert "attacker" not in headers.get("Content-Security-Policy", "")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_names_of_this_machine(name, served):
    assert served.http("GET", f"/?token={TOKEN}", Host=f"{name}:{served.port}")[0] == 303


def test_names_where_another_address_is_listened_on():
    one = Guard(TOKEN, "192.0.2.7", 8000)
    assert one.allows_host("192.0.2.7:8000")
    assert one.allows_host("localhost:8000")
    assert not one.allows_host("192.0.2.8:8000")
    every = Guard(TOKEN, "0.0.0.0", 80)
    assert every.allows_host("192.0.2.8")  # numbers mean what they say
    assert every.allows_host("[2001:db8::1]:80")
    assert every.allows_host(socket.gethostname())
    assert not every.allows_host("attacker.example")
    assert [guard.is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "[::1]")] == [
        True
    ] * 4
    assert not any(map(guard.is_loopback, ("0.0.0.0", "::", "192.0.2.7", "example.org")))


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://{host}", 101),
        (None, 101),  # from no browser: it has the cookie
        ("http://attacker.example", 403),
        ("http://localhost:{port}", 403),
        ("https://{host}", 403),
        ("http://{host}.attacker.example", 403),
        ("http://127.0.0.1:1", 403),
        ("null", 403),
        ("file://", 403),
    ],
)
def test_pages_of_elsewhere_get_no_connection(origin, status, served):
    origin = origin and origin.format(host=served.host, port=served.port)
    assert served.upgrade(Origin=origin) == status
    assert served.upgrade(Origin=origin, Cookie=None) == 403


@pytest.mark.parametrize("origin", [None, "http://attacker.example", "null"])
def test_pages_of_elsewhere_get_no_file(origin, served):
    status, headers, body = served.http("POST", "/latents", b"{}", Origin=origin)
    assert status == 403
    assert body == b"Only the explorer's own page may ask for this."
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["/", "/nothing", "/page/nothing.js", "/favicon.ico", "/latents"])
def test_every_answer_carries_the_policy(path, served):
    _, headers, _ = served.http("GET", path, Origin="http://attacker.example")
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["img-src"] == "'self' blob: data:"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert "Server" not in headers


@pytest.mark.parametrize(
    "path",
    ["/page/../server.py", "/page/%2e%2e/server.py", "/page/..%2f__init__%2epy",
     "/page//etc/passwd", "/page/", "/page/.", "/page/__init__.py", "/run/pictures/-1",
     "/run/pictures/../x", "/static/x", "/page/main.js%00.png"],
)  # fmt: skip
def test_no_path_leads_out(path, served):
    status, _, body = served.http("GET", path)
    assert status in (400, 404)
    assert b"import" not in body
    assert b"root:" not in body


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_do_nothing(method, served):
    status, headers, _ = served.http(method, "/latents", Origin=f"http://{served.host}")
    assert status == 405
    assert "Access-Control-Allow-Methods" not in headers


# ---------------------------------------------------------------- too much of it


def test_bodies_have_a_bound(served):
    large = b" " * (server.MOST_BYTES + 1)
    try:
        status = served.http("POST", "/latents", large, Origin=f"http://{served.host}")[0]
    except (ConnectionError, OSError):  # it may end the connection while we still send
        status = 400
    assert status in (400, 413)
    assert served.http("GET", "/favicon.ico")[0] == 204


def test_messages_have_a_bound(served):
    async def talk():
        page, _ = await served.connect()
        await page.write_message('"' + "x" * server.MOST_BYTES + '"')
        answer = await page.read_message()
        page.close()  # this end of it
        return answer, page.close_code

    answer, code = asyncio.run(talk())
    assert answer is None
    assert code in (None, 1009)
    assert served.ask(PICTURE)[0]["type"] == "picture"


def test_what_is_compressed_is_not_taken(served):
    async def talk():
        page, _ = await served.connect(compression_options={})
        extensions = page.headers.get("Sec-WebSocket-Extensions")
        await leave(page)
        return extensions

    assert asyncio.run(talk()) is None
    status = served.http(
        "POST", "/latents", b"\x1f\x8b", Origin=f"http://{served.host}", Content_Encoding="gzip"
    )[0]
    assert status == 400


def test_connections_have_a_bound(served, monkeypatch):
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)

    async def talk():
        pages = [(await served.connect())[0] for _ in range(2)]
        refused = await asyncio.to_thread(served.upgrade)
        await leave(pages[0])
        deadline = time.monotonic() + 20
        while len(served.house.live) > 1 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        again, _ = await served.connect()
        await leave(pages[1])
        await leave(again)
        return refused

    assert asyncio.run(talk()) == 503


def test_messages_in_fragments_are_what_they_were(served, scene, monkeypatch):
    monkeypatch.setattr(outbox, "PIECE", 100)
    (answer,) = served.ask(PICTURE)
    np.testing.assert_array_equal(pixels(answer), scene.image(parse({}))[:, :, 0])


def test_pages_are_asked_whether_they_are_there(served, monkeypatch):
    monkeypatch.setattr(outbox, "PING", 0.01)

    async def talk():
        page, _ = await served.connect()
        (live,) = served.house.live
        beats, beat = [], live.pulse.beat
        live.pulse.beat = lambda: (beats.append(1), beat())
        deadline = time.monotonic() + 20
        while len(beats) < 10 and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        await leave(page)
        return len(beats)

    assert asyncio.run(talk()) >= 10


def test_one_slow_client_harms_nobody(served, monkeypatch, caplog):
    """One that asks for large sheets and reads nothing; another one gets its pictures."""
    monkeypatch.setattr(outbox, "SLOWEST", 0.3)
    with socket.create_connection(("127.0.0.1", served.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(
            f"GET /live HTTP/1.1\r\nHost: {served.host}\r\nCookie: {served.cookie}\r\n"
            f"Origin: http://{served.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert slow.recv(12) == b"HTTP/1.1 101"
        deadline = time.monotonic() + 60
        number = 0
        while served.house.live and time.monotonic() < deadline:
            number += 1
            text = json.dumps({**PICTURE, "type": "inside", "request": number, "layer": 5}).encode()
            frame = bytes([0x81, 0x80 | 126, 0, len(text)]) + bytes(4) + text
            try:
                slow.sendall(frame)
            except OSError:
                break
            assert served.ask({**PICTURE, "preview": True})[0]["type"] == "picture"
        assert not served.house.live
    assert not caplog.records
