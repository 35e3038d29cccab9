"""A page and all that it needs as one HTML text, under a policy that lets nothing else in.

Scripts and styles run by their hashes; modules are text that boot.js turns into addresses of the
document's own. Whatever comes from files is data: JSON or base64, in which no markup can begin.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

PAGE = Path(__file__).parent / "page"
LEVEL = 9  # of compression: a page is made once
_NAMED = re.compile(r'"\./(\w+\.js)"')


def write(title: str, entry: str, data: Mapping[str, object], packed: Mapping[str, bytes]) -> bytes:
    """An HTML file, UTF-8.

    entry: the module that starts, a file of explorer/page/. data: {id: what JSON can hold}.
    packed: {id: bytes}, which the page holds as gzip in base64. The same arguments give the same
    bytes. Raises ValueError for modules that import each other in a circle.
    """
    style = "".join(_text(name) for name in ("style.css", "single.css"))
    boot = _text("boot.js")
    blocks = [_json("modules", modules(entry)), *(_json(key, data[key]) for key in data)]
    blocks += [_packed(key, content) for key, content in packed.items()]
    lines = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(boot, style)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        '<meta name="color-scheme" content="dark light">',
        f"<title>{html.escape(title)}</title>",
        _icon(),
        f"<style>{style}</style>",
        "</head>",
        f"<body>{_body()}",
        *blocks,
        f"<script>{boot}</script>",
        "</body>",
        "</html>",
        "",
    ]
    return "\n".join(lines).encode(errors="replace")  # names of files may be no Unicode


def modules(entry: str) -> list[tuple[str, str]]:
    """(name, text) of a module and all that it names, each after those that it names."""
    placed: dict[str, str] = {}
    _place(entry, placed, ())
    return list(placed.items())


def joined(entry: str) -> str:
    """A module and those that it names as one classic script, in a scope of its own: for a worker.
    No name may be declared in two of them."""
    text = "\n".join(text for _, text in modules(entry))
    text = re.sub(r"^import .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^export ", "", text, flags=re.MULTILINE)
    return f'"use strict";\n(() => {{\n{text}\n}})();\n'


def _place(name: str, placed: dict[str, str], path: tuple[str, ...]) -> None:
    if name in path:
        raise ValueError(f"modules in a circle: {' → '.join([*path, name])}")
    if name in placed:
        return
    text = _text(name)
    for other in _names(text):
        _place(other, placed, (*path, name))
    placed[name] = text


def _names(text: str) -> Iterator[str]:
    """The modules that a module's code names; its comments do not count."""
    code = re.sub(r"/\*.*?\*/|^\s*//.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    return (match[1] for match in _NAMED.finditer(code))


def _policy(boot: str, style: str) -> str:
    """Nothing is loaded but what the document holds or makes; WebAssembly may be compiled."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(boot)}' blob: 'wasm-unsafe-eval'",
            "worker-src blob:",
            f"style-src '{_hash(style)}'",
            "img-src blob: data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(key: str, value: object) -> str:
    # Within a script element only "<" can end it, or begin a comment.
    text = json.dumps(value, allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{html.escape(key)}">{text}</script>'


def _packed(key: str, content: bytes) -> str:
    text = base64.b64encode(gzip.compress(content, LEVEL, mtime=0)).decode()
    return f'<script type="application/octet-stream" id="{html.escape(key)}">{text}</script>'


def _body() -> str:
    """What stands in index.html's body, but for its scripts: they are the server's."""
    inside = re.search(r"<body[^>]*>(.*)</body>", _text("index.html"), re.DOTALL)
    assert inside is not None
    return re.sub(r"<script\b.*?</script>", "", inside[1], flags=re.DOTALL).strip()


def _icon() -> str:
    """index.html's, which is an address that holds it."""
    link = re.search(r'<link rel="icon" href="data:[^>]*>', _text("index.html"))
    return link[0] if link else ""


def _text(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")
