"""Downloads into a cache directory: published networks by name, other files by address."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import http.cookiejar
import json
import os
import re
import secrets
import string
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

from dnnlib import atomic, json_files, locks, stalls, web_pages
from dnnlib.config import nearest
from dnnlib.errors import UserError, explain_os_errors
from dnnlib.paths import cache_directory, check_input, expand, open_input, open_to_append
from dnnlib.published import KNOWN, OLD_NAMES, Source, families

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5
MAX_WAIT = 60.0  # seconds; a server that asks for more gets no further attempt
_ADDRESS = re.compile(r"https?://[\w.-]+(:\d+)?(?=[/?#]|$)", re.I)
_sleep = time.sleep  # tests replace it


def local_path(path_or_url_or_name: str | os.PathLike, **options) -> Path:
    """Returns an existing file as it is; a known name or an http(s) address is fetched first.

    Options and errors are those of `fetch`; a directory or pipe is a UserError as well.
    """
    text = expand(path_or_url_or_name)
    return _existing(text) or fetch(text, **options)


def local_path_if_there(path_or_url_or_name: str | os.PathLike, **options) -> Path | None:
    """As `local_path`, without a download: None where it would need one. Options: `cached`'s."""
    text = expand(path_or_url_or_name)
    return _existing(text) or cached(text, **options)


def _existing(text: str) -> Path | None:
    if os.path.exists(text):
        check_input(text)
        return Path(text)
    if os.path.islink(text):
        raise UserError(f"{text} is a link to {os.readlink(text)}, which is not there")
    return None


def fetch(
    name_or_url: str,
    *,
    cache_dir: str | os.PathLike | None = None,
    sha256: str | None = None,
    max_bytes: int = 2 << 30,
    say: Callable[[str], object] | None = None,
) -> Path:
    """Returns the path of a file in the cache, downloading it the first time.

    `name_or_url` is a key of `KNOWN` or an http(s) address; None as `cache_dir` is
    `paths.cache_directory()`; `say` gets lines of progress, and each time the licence. The file's
    hash must be `sha256` (hex); a file with another one is removed. The hash is recorded in
    `<file>.sha256` and compared at every use (below 1 s for 300 MB). A file put there by hand is
    taken.

    A download is `<file>.part` until it is whole; an interrupted one is continued if the server
    shows that its file is still the same. Timeouts, broken connections, 429, 5xx and servers that
    send next to nothing (dnnlib/stalls.py) are retried.
    A second process waits for the first. The environment's proxies are used. A server that
    announces no length, or too small a one, can cut a file short: only `sha256` shows that.

    Raises UserError, with the place to put the file by hand, when there is no connection or no
    such file: other statuses, HTML pages, more than `max_bytes`, redirects to anything but
    http(s) or from https to http.
    """
    source = resolve(name_or_url)
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UserError(f"sha256 {sha256!r}: expected 64 hexadecimal digits")
    say = say or (lambda line: None)
    path = cache_directory(cache_dir) / source.file
    if source.licence:
        say(f"{source.file}: {source.licence}")
    if not path.exists():
        with _claim(path, say) as part:
            if not path.exists():  # a process we waited for may have brought it
                _Download(source, path, part, max_bytes, say).run()
                Path(f"{path}.sha256").unlink(missing_ok=True)  # of an earlier file
                came = _check(part, path, sha256)
                os.replace(part, path)
                say(f"saved {path}, sha256 {came}")
                return path
    _check(path, path, sha256)
    return path


def cached(
    name_or_url: str,
    *,
    cache_dir: str | os.PathLike | None = None,
    sha256: str | None = None,
) -> Path | None:
    """What `fetch` would find in the cache; None where it would have to download the file.

    Changes nothing. Raises UserError for what is no name or address, and for a file that `fetch`
    would refuse or remove.
    """
    path = cache_directory(cache_dir) / resolve(name_or_url).file
    if not path.exists():
        return None
    came, _ = _compare(path, path, sha256)
    if sha256 and came != sha256.lower():
        raise UserError(f"{path}: expected sha256 {sha256}, but it has {came}: delete it")
    return path


def resolve(name_or_url: str) -> Source:
    """Returns the source of a known name or http(s) address; Google Drive's viewing links work.

    Raises UserError for anything else, listing the known names.
    """
    name_or_url = OLD_NAMES.get(name_or_url, name_or_url)
    if name_or_url in KNOWN:
        return KNOWN[name_or_url]
    if not _ADDRESS.match(name_or_url):
        raise UserError(
            f"{name_or_url!r} is neither a file, an http(s) address nor a known network"
            f"{nearest(name_or_url, KNOWN)}; known are {families()}"
        )
    url = quote(name_or_url.strip(), safe=string.punctuation).partition("#")[0]
    drive = web_pages.is_drive(url) and re.search(r"(?:/file/d/|[?&]id=)([\w-]+)", url)
    if drive:
        url = f"https://drive.google.com/uc?id={drive[1]}"
    by_url = {source.url: source for source in KNOWN.values()}
    if url in by_url:
        return by_url[url]
    if drive:
        return Source(url, f"drive-{drive[1]}")
    base = unquote(urlsplit(url).path.rpartition("/")[2])
    stem, suffix = os.path.splitext(re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-."))
    digest = hashlib.sha256(url.encode()).hexdigest()[:10]
    return Source(url, f"{stem[:80] or 'file'}-{digest}{suffix[:16]}")


@contextlib.contextmanager
def _claim(path: Path, say: Callable[[str], object]) -> Iterator[Path]:
    """Yields a name for this process alone: `<file>.part` locked, or another without locks."""
    part = Path(f"{path}.part")
    with explain_os_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(path.with_name(f".{path.name}.lock")) as file:
            ours = locks.lock(file)
            if ours is False:
                say(f"another process is downloading {path.name}: waiting for it")
                ours = locks.lock(file, wait=True)
            if ours is None:
                part = Path(f"{path}.{secrets.token_hex(4)}.part")
            try:
                yield part
            finally:
                if part != Path(f"{path}.part"):
                    _discard(part)


def _check(file: Path, path: Path, sha256: str | None) -> str:
    """Compares `file`, which is or becomes `path`, with hashes given and recorded; records its."""
    record = Path(f"{path}.sha256")
    came, recorded = _compare(file, path, sha256)
    if sha256 and came != sha256.lower():
        with explain_os_errors("remove", file):
            file.unlink()
            record.unlink(missing_ok=True)
        raise UserError(f"{path}: expected sha256 {sha256}, {came} came: removed, try again")
    if recorded != [came]:
        with contextlib.suppress(UserError):  # a shared cache may be read-only
            atomic.write_text(record, f"{came}  {path.name}\n")  # as sha256sum's
    return came


def _compare(file: Path, path: Path, sha256: str | None) -> tuple[str, list[str]]:
    """(hash of `file`, the one recorded for `path` if there is one); UserError where they differ
    and none was given."""
    record = Path(f"{path}.sha256")
    with explain_os_errors("read", file):
        came = file_sha256(file)
        recorded = record.read_text(errors="replace").split()[:1] if record.is_file() else []
        with open_input(file) as opened:
            if web_pages.is_html(opened.read(256)):
                raise UserError(f"{file} is an HTML page, not the file: delete it")
    if recorded and recorded != [came] and not sha256:
        raise UserError(
            f"{path} has changed since its download, from sha256 {recorded[0]} to {came}: delete "
            f"it to download it again, or {record} to keep it"
        )
    return came, recorded


def file_sha256(path: str | os.PathLike) -> str:
    """The hash of a file's content, in hexadecimal. Raises UserError or OSError."""
    digest = hashlib.sha256()
    with open_input(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    Path(f"{part}.json").unlink(missing_ok=True)


@dataclasses.dataclass
class _Download:
    """One file's way to `path`, through `part` and its validator in `<part>.json`."""

    source: Source
    path: Path
    part: Path
    max_bytes: int
    say: Callable[[str], object]
    watch: stalls.Watch = dataclasses.field(default_factory=stalls.Watch)
    cookies: http.cookiejar.CookieJar = dataclasses.field(default_factory=http.cookiejar.CookieJar)

    def run(self) -> None:
        self.say(f"downloading {self.source.url}")
        # What opens file: and ftp: is in it too, but every address has gone through a check.
        self.opener = urllib.request.build_opener(
            _Redirects, urllib.request.HTTPCookieProcessor(self.cookies), *self.watch.handlers()
        )
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self.watch:
                    self._attempt(self.source.url)
                return Path(f"{self.part}.json").unlink(missing_ok=True)  # nothing to continue
            except (OSError, ValueError, OverflowError, http.client.HTTPException) as error:
                reason, asked = (
                    (self.watch.reason, 0.0) if self.watch.reason else self._explain(error)
                )
            if attempt == ATTEMPTS or asked > MAX_WAIT or self.watch.over:
                later = f"try again in {asked:.0f} s" if asked else "try again later"
                raise self._error(f"{reason} (attempt {attempt}; {later})")
            wait = max(asked, 2.0 ** (attempt - 1))
            self.say(f"{reason}: trying again in {wait:g} s")
            _sleep(wait)

    def _error(self, reason: str) -> UserError:
        by_hand = f"download it with a browser and save it as {self.path.absolute()}"
        return UserError(f"{self.source.url}: {reason}; or {by_hand}")

    def _attempt(self, url: str, confirmed: bool = False) -> None:
        """Brings the file to `part`."""
        headers = {"User-Agent": "stylegan-tf2", "Accept-Encoding": "identity"}
        size, validator = 0, None
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, UserError):
            size = self.part.stat().st_size
            validator = json_files.read(f"{self.part}.json")["validator"]
            if size and re.fullmatch("[ -~]+", validator):
                headers.update({"Range": f"bytes={size}-", "If-Range": validator})
        request = urllib.request.Request(url, headers=headers)
        with self.opener.open(request, timeout=TIMEOUT) as response:
            resumed = response.status == 206
            head = b"" if resumed else response.read(256)
            if response.headers.get_content_type() == "text/html" or web_pages.is_html(head):
                page = (head + response.read(1 << 20)).decode(errors="replace")
                self.watch.check()
                return self._attempt(self._after_page(response.url, page, confirmed), True)
            encoding = response.headers.get("Content-Encoding", "identity")
            # Of a .gz file this is what it is; any other one would be stored compressed.
            if encoding != "identity" and self.path.suffix not in (".gz", ".tgz"):
                raise self._error(f"the server has compressed it ({encoding!r})")
            length = response.headers.get("Content-Length", "")
            total = int(length) + size * resumed if length.isdecimal() else None
            if resumed:
                total = self._total(response.headers, size, validator)
            if (total or 0) > self.max_bytes:
                raise self._error(f"{total} bytes, more than the limit of {self.max_bytes}")
            with explain_os_errors("write", self.part):
                self._receive(response, head, resumed, total)

    def _total(self, headers: http.client.HTTPMessage, size: int, validator: str | None) -> int:
        """The size of a file that the server continues, at `size` if nothing is wrong."""
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
        # A server may ignore If-Range and continue what is another file by now.
        if not span or int(span[1]) != size or _validator(headers) not in (None, validator):
            _discard(self.part)
            raise ConnectionError("the server continued another file")
        return int(span[2])

    def _receive(
        self, response: http.client.HTTPResponse, head: bytes, resumed: bool, total: int | None
    ) -> None:
        if not resumed:
            _discard(self.part)
            validator = {"validator": _validator(response.headers)}
            Path(f"{self.part}.json").write_text(json.dumps(validator))
        with open(self.part, "ab" if resumed else "wb") as file:
            got = shown = file.tell()
            while block := head or response.read1(1 << 18):  # so that a timeout loses nothing
                file.write(block)
                head, got = b"", got + len(block)
                self.watch.received += len(block)
                if got > self.max_bytes or got > (total or got):
                    _discard(self.part)
                    raise self._error(f"more bytes than {min(total or got, self.max_bytes)}")
                if got - shown >= max(total or 0, 100_000_000) // 10:
                    shown = got
                    self.say(f"{self.path.name}: {got} of {total or 'unknown'} bytes")
            file.flush()
            os.fsync(file.fileno())
        self.watch.check()  # where no length is known, it looks as if the file were whole
        if not got or got != (total or got):
            raise ConnectionError(f"the connection ended after {got} of {total or 'some'} bytes")

    def _explain(self, error: Exception) -> tuple[str, float]:
        """The reason and the seconds that the server asks to wait; raises if waiting is no use."""
        if isinstance(error, urllib.error.HTTPError):
            status = f"{error.code} {http.client.responses.get(error.code, '')}"
            with error, contextlib.suppress(OSError, http.client.HTTPException):
                if web_pages.is_drive(error.url):
                    self._refuse_quota(error.read(1 << 20).decode(errors="replace"))
            if error.code == 416:  # what is there is no beginning of the file
                _discard(self.part)
            elif error.code not in (408, 425, 429) and error.code < 500:
                circle = ", redirects in a circle or too many of them" if error.code < 400 else ""
                raise self._error(status + circle)
            asked = error.headers.get("Retry-After", "")  # a date is not understood
            return status, float(asked) if asked.isdecimal() else 0.0
        unreached = isinstance(error, urllib.error.URLError)
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        if isinstance(error, (ValueError, OverflowError, http.client.InvalidURL)):
            raise self._error(text)
        # Without a network, a server or a trusted certificate nothing is worth waiting for.
        if unreached and not isinstance(cause, ConnectionResetError):
            raise self._error(f"no connection ({text})")
        return text, 0.0

    def _refuse_quota(self, page: str) -> None:
        if re.search("quota exceeded|too many users have viewed or downloaded", page, re.I):
            raise self._error(
                "Google Drive's quota for this file is used up: try again in a day, or copy it "
                "to your own Drive and use the copy's link"
            )

    def _after_page(self, url: str, page: str, confirmed: bool) -> str:
        """Where Google Drive's question about large files leads; other pages are errors."""
        parsed = web_pages.Page(page)
        if web_pages.is_drive(url):
            self._refuse_quota(page)
            following = parsed.confirmation(url, self.cookies)
            if following and web_pages.is_drive(following) and not confirmed:
                _check_step(url, following)
                return following
        raise self._error(f"an HTML page came in place of the file, title {parsed.title[:80]!r}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    def http_error_302(self, req, fp, code, msg, headers):
        try:
            _check_step(req.full_url, urljoin(req.full_url, headers.get("Location", "")))
        except ValueError:
            fp.close()
            raise
        # 308 is as 307 here, and unknown to Python 3.9.
        return super().http_error_302(req, fp, 307 if code == 308 else code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _check_step(old: str, new: str) -> None:
    """Raises ValueError unless the server at `old` may send us to `new`."""
    was, scheme = urlsplit(old).scheme, urlsplit(new).scheme
    if scheme not in ("http", "https") or (was, scheme) == ("https", "http"):
        raise ValueError(f"{old} leads to {new!r}: not followed, as it is not https or http")


def _validator(headers: http.client.HTTPMessage) -> str | None:
    etag = headers.get("ETag", "")  # If-Range takes no weak one
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
