"""Pages that come in place of a file: what they say, and where Google Drive's lead."""

from __future__ import annotations

import contextlib
import html.parser
import http.cookiejar
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

DRIVE_HOSTS = ("drive.google.com", "docs.google.com", "usercontent.google.com")


class Page(html.parser.HTMLParser):
    """Title, forms and links of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.title, self.targets, self._tag, self._form = "", [], "", {}
        with contextlib.suppress(Exception):  # pages are anything: what was read counts
            self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag, values = tag, {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = {}
            self.targets.append((values.get("action", ""), self._form))
        elif tag == "input" and "name" in values:
            self._form[values["name"]] = values.get("value", "")
        elif tag == "a":
            self.targets.append((values.get("href", ""), {}))

    def handle_data(self, data: str) -> None:
        self.title += data.strip() if self._tag == "title" else ""

    def confirmation(self, base: str, cookies: http.cookiejar.CookieJar) -> str | None:
        """Where the form (2021 on), link or cookie (before) that confirms a download leads."""
        warned = [c.value for c in cookies if c.name.startswith("download_warning")]
        for target, fields in [*self.targets, *((base, {"confirm": value}) for value in warned)]:
            url = urljoin(base, target)
            query = {**dict(parse_qsl(urlsplit(url).query)), **fields}
            if "confirm" in query:
                return urlsplit(url)._replace(query=urlencode(query), fragment="").geturl()
        return None


def is_html(head: bytes) -> bool:
    """Whether a file begins as an HTML page does."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def is_drive(url: str) -> bool:
    """Whether an address is one of Google Drive's."""
    return f".{urlsplit(url).hostname}".endswith(tuple(f".{host}" for host in DRIVE_HOSTS))
