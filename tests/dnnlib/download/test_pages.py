"""HTML pages in place of the file: Google Drive's, and others."""

import http.cookiejar

import pytest

from dnnlib import download, web_pages
from tests.dnnlib.download import bad_server as bad
from tests.dnnlib.download.common import DATA, fails, names

FORM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<a href="/open?id=ID">x.pkl</a> (296M) is too large to scan.
<form id="download-form" action="{action}" method="get"><a href="//help">?</a>
<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="ID">
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="12-34"></form></body></html>"""
OLDER_FORM = '<html><form action="{action}?id=ID&amp;confirm=t" method="post"></form></html>'
LINK = '<html><a href="/help">?</a><a href="{action}?export=download&amp;confirm=AbCd&amp;id=ID">'
QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head>
<p>Sorry, you can't view or download this file at this time.</p><p>Too many users have viewed
or downloaded this file recently.</p>"""


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (FORM, "id=ID&export=download&confirm=t&uuid=12-34"),
        (OLDER_FORM, "id=ID&confirm=t"),
        (LINK, "export=download&confirm=AbCd&id=ID"),
    ],
    ids=["form", "older form", "link"],
)
@pytest.mark.usefixtures("drive")
def test_the_confirmation_page_is_followed(server, text, query):
    answer = bad.body(DATA, etag='"1"', cut=40_000), bad.body(DATA, etag='"1"')
    there = server.at("/download", *answer)
    page = bad.page(text.format(action=there))
    path = download.fetch(server.at("/x.pkl", page))
    assert path.read_bytes() == DATA
    # The second round continues the file, and is asked for confirmation anew.
    assert server.paths() == 2 * ["/x.pkl", f"/download?{query}"]
    assert server.ranges() == [None, None, "bytes=40000-", "bytes=40000-"]


@pytest.mark.usefixtures("drive")
def test_the_cookie_that_confirms(server):
    ask = bad.page("<html>", Set_Cookie="download_warning_1_ID=XyZ; Path=/")
    url = server.at("/uc", bad.split(ask, bad.body(DATA)))
    source = download.fetch(f"{url}?export=download")
    assert source.read_bytes() == DATA
    assert server.paths() == ["/uc?export=download", "/uc?export=download&confirm=XyZ"]
    assert server.requests[1][1]["Cookie"] == "download_warning_1_ID=XyZ"


@pytest.mark.usefixtures("drive")
def test_the_confirmation_is_followed_once(server):
    url = server.at("/x.pkl", bad.page(FORM.format(action="/x.pkl")))
    fails("an HTML page came in place of the file, title 'Google Drive - Virus scan", url)
    assert len(server.requests) == 2


@pytest.mark.parametrize("host", ["http://localhost:{port}/x", "ftp://127.0.0.1/x", "http://["])
@pytest.mark.usefixtures("drive")
def test_a_confirmation_elsewhere_is_not_followed(server, host):
    page = bad.page(FORM.format(action=host.format(port=server.server_port)))
    message = fails("save it as", server.at("/x.pkl", page))
    assert "\n" not in message
    assert len(server.requests) == 1


def test_only_googles_pages_are_followed(server):
    fails("an HTML page came", server.at("/x.pkl", bad.page(FORM.format(action="/y.pkl"))))
    assert len(server.requests) == 1


def test_which_hosts_are_google_drives():
    yes = ["https://drive.google.com/uc", "https://drive.usercontent.google.com/download?id=1"]
    no = [
        "https://google.com.evil.org/",
        "https://evildrive.google.com/",
        "https:///",
        "https://a@b/",
    ]
    assert all(web_pages.is_drive(url) for url in yes)
    assert not any(web_pages.is_drive(url) for url in no)


@pytest.mark.parametrize(
    "answer", [bad.page(QUOTA), bad.status(403, QUOTA), bad.status(429, QUOTA)]
)
@pytest.mark.usefixtures("drive")
def test_the_quota_of_google_drive(server, cache, waits, answer):
    message = fails("quota for this file is used up", server.at("/x.pkl", answer))
    assert "copy it to your own Drive" in message
    assert str(cache / download.resolve(server.at("/x.pkl")).file) in message
    assert waits == []


@pytest.mark.usefixtures("drive")
def test_the_quota_after_the_confirmation(server):
    server.at("/download", bad.page(QUOTA))
    url = server.at("/x.pkl", bad.page(FORM.format(action="/download")))
    fails("quota for this file is used up", url)


@pytest.mark.parametrize(
    "answer",
    [
        bad.page("<title>Sign \x1b in\n to continue</title>"),
        bad.body(b"\xef\xbb\xbf \n<!doctype HTML><title>Sign \x1b in\n to continue</title>"),
        bad.body(b"<HTML><title>Sign \x1b in\n to continue</title>", length=None),
    ],
)
def test_other_pages_are_named(server, cache, answer):
    message = fails("an HTML page came in place of the file", server.at("/x.pkl", answer))
    assert r"title 'Sign \x1b in\n to continue'" in message
    assert names(cache) == []


@pytest.mark.parametrize("text", ["", "<", "<![if x]><title>", "<input><form><a href><title>&#0;"])
def test_pages_of_any_kind_are_read(text):
    assert web_pages.Page(text).confirmation("http://a/", http.cookiejar.CookieJar()) is None
