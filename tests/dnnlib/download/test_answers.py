"""Servers that say no, something else, or the wrong length."""

import contextlib
import email.message
import io
import socket
import ssl
import urllib.error
import urllib.request

import pytest

from dnnlib import download
from tests.dnnlib.download import bad_server as bad
from tests.dnnlib.download.common import DATA, SHA, fails, names

# ---------------------------------------------------------------- lengths and encodings


def test_too_long_a_length_is_a_cut_off(server, waits):
    fails("ended after 100000 of 100001 bytes", server.at("/x.pkl", bad.body(DATA, length=100_001)))
    assert len(waits) == 4


def test_too_small_a_length_shows_in_the_hash_only(server, cache):
    url = server.at("/x.pkl", bad.body(DATA, length=50_000))
    fails("expected sha256", url, sha256=SHA)
    assert names(cache) == []


@pytest.mark.parametrize("length", [None, "nonsense"])
def test_no_length(server, length):
    url = server.at("/x.pkl", bad.body(DATA, length=length))
    assert download.fetch(url).read_bytes() == DATA


def test_chunks(server):
    url = server.at("/x.pkl", bad.chunks(DATA, cut=True), bad.chunks(DATA))
    assert download.fetch(url).read_bytes() == DATA
    assert len(server.requests) == 2


def test_an_empty_answer_is_no_file(server):
    fails("ended after 0 of", server.at("/x.pkl", bad.body(b"")))


@pytest.mark.parametrize("length", ["right", None])
def test_a_limit_on_the_size(server, cache, length):
    url = server.at("/x.pkl", bad.body(DATA, length=length))
    fails("99999", url, max_bytes=99_999)
    assert names(cache) == []
    assert len(server.requests) == 1
    assert download.fetch(url, max_bytes=100_000).read_bytes() == DATA


def test_a_continuation_with_more_than_announced(server, cache):
    more = bad.status(206, 60_001 * "x", Content_Range="bytes 40000-99999/100000")
    url = server.at("/x.pkl", bad.body(DATA, etag='"1"', cut=40_000), more)
    fails("more bytes than 100000", url)
    assert names(cache) == []


def test_compression_is_refused_unless_it_is_the_file(server):
    answer = bad.body(DATA, Content_Encoding="gzip")
    fails("compressed it .'gzip'", server.at("/x.pkl", answer))
    assert server.requests[0][1]["Accept-Encoding"] == "identity"
    assert download.fetch(server.at("/x.tgz", answer)).read_bytes() == DATA


# ---------------------------------------------------------------- statuses, redirects, connections


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_refusals_are_final(server, cache, code):
    message = fails(f"{code} ", server.at("/x.pkl", bad.status(code)))
    assert f"save it as {cache / download.resolve(server.at('/x.pkl')).file}" in message
    assert "\n" not in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_passing_troubles_are_waited_out(server, waits, code):
    url = server.at("/x.pkl", bad.status(code), bad.status(code), bad.body(DATA))
    assert download.fetch(url).read_bytes() == DATA
    assert waits == [1, 2]


def test_retry_after(server, waits):
    busy = [bad.status(429, Retry_After=value) for value in ("7", "0", "Tue, 05 Feb 2019", "60")]
    url = server.at("/x.pkl", *busy, bad.status(429, Retry_After="3"))
    fails("429 Too Many Requests .attempt 5; try again in 3 s", url)
    assert waits == [7, 2, 4, 60]
    url = server.at("/y.pkl", bad.status(503, Retry_After="3600"))
    fails("503 Service Unavailable .attempt 1; try again in 3600 s", url)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects(server, code):
    server.at("/z.pkl", bad.body(DATA))
    there = server.at("/y.pkl", bad.redirect("/z.pkl", code))
    url = server.at("/x.pkl", bad.redirect(there, code))
    assert download.fetch(url).name.startswith("x-")
    assert server.paths() == ["/x.pkl", "/y.pkl", "/z.pkl"]


def test_a_continuation_is_redirected_too(server):
    server.at("/y.pkl", bad.body(DATA, etag='"1"', cut=40_000), bad.body(DATA, etag='"1"'))
    assert download.fetch(server.at("/x.pkl", bad.redirect("/y.pkl"))).read_bytes() == DATA
    assert server.ranges() == [None, None, "bytes=40000-", "bytes=40000-"]


def test_redirects_that_do_not_end(server):
    server.at("/y.pkl", bad.redirect("/x.pkl"))
    fails("redirects in a circle", server.at("/x.pkl", bad.redirect("/y.pkl")))
    for i in range(20):
        server.at(f"/{i}", bad.redirect(f"/{i + 1}"))
    fails("too many of them", server.at("/0", bad.redirect("/1")))
    assert len(server.requests) < 25


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "data:,x",
        "http://[",
        "http://127.0.0.1:x/",
        "http://127.0.0.1:99999/",
    ],
)
def test_redirects_to_anything_else_are_refused(server, cache, location):
    message = fails("save it as", server.at("/x.pkl", bad.redirect(location)))
    assert "\n" not in message
    assert names(cache) == []
    assert len(server.requests) == 1


def test_a_redirect_without_a_place(server):
    fails("302 Found", server.at("/x.pkl", bad.status(302)))


def test_no_step_from_https_to_http():
    headers = email.message.Message()
    headers["Location"] = "http://a.org/x"
    request = urllib.request.Request("https://a.org/x")
    with pytest.raises(ValueError, match=r"leads to 'http://a\.org/x': not followed"):
        download._Redirects().http_error_302(request, io.BytesIO(), 302, "", headers)
    download._check_step("http://a.org/x", "https://a.org/x")


def test_nobody_listens(cache, waits):
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x.pkl"
        message = fails("no connection .Connection refused", url)
    assert message.startswith(url)
    assert f"save it as {cache / download.resolve(url).file}" in message
    assert waits == []


def test_offline(monkeypatch, cache):
    def offline(*args, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    message = fails("no connection .Temporary failure in name resolution", "cats-256")
    assert message.startswith("https://drive.google.com/uc?id=1MQywl0FNt6lHu8E_EUqnRbviagS7fbiJ")
    assert message.endswith(f"save it as {cache / 'karras2019stylegan-cats-256x256.pkl'}")


def test_a_certificate_that_is_not_trusted(monkeypatch, waits):
    def refuse(self, request):
        raise urllib.error.URLError(ssl.SSLCertVerificationError(1, "certificate verify failed"))

    monkeypatch.setattr(urllib.request.HTTPSHandler, "https_open", refuse)
    fails("no connection .certificate verify failed", "https://127.0.0.1/x.pkl")
    assert waits == []


def test_proxies_of_the_environment_are_used(server, monkeypatch):
    server.at("http://weights.invalid/x.pkl", bad.body(DATA))  # a proxy gets the whole address
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    assert download.fetch("http://weights.invalid/x.pkl").read_bytes() == DATA
