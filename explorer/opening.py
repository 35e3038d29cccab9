"""Opens the page in a browser, without telling this machine's other users how to get in."""

from __future__ import annotations

import contextlib
import html
import os
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Callable


@contextlib.contextmanager
def browser() -> Iterator[Callable[[str], None]]:
    """Gives what opens an address, at once and in a thread: some browsers end when they are closed.

    All users see command lines, also those of browsers. So a browser gets a file that nobody else
    can read, which leads to the address; it is there as long as the block.
    """
    with contextlib.ExitStack() as stack:

        def open_address(address: str) -> None:
            try:
                directory = tempfile.TemporaryDirectory(prefix="explorer-")  # of mode 0700
                file = _redirect(Path(stack.enter_context(directory)), address)
            except OSError as error:
                _no_browser(str(error))
                return
            threading.Thread(target=_open, args=(file,), name="browser", daemon=True).start()

        yield open_address


def _redirect(directory: Path, address: str) -> Path:
    path = directory / "explorer.html"
    text = (
        '<!doctype html><meta charset="utf-8"><title>Explorer</title>'
        '<meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0;url={html.escape(address)}">\n'
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _open(path: Path) -> None:
    try:
        if not webbrowser.open(path.as_uri()):
            _no_browser("there is none")
    except Exception as error:  # whatever a browser of the user's does
        _no_browser(str(error))


def _no_browser(reason: str) -> None:
    print(f"note: no browser could be opened: {reason}; open the address above", file=sys.stderr)
