"""Who may talk to the server: the token and its cookie, names of the host, origins of pages."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from typing import Optional

from dnnlib.errors import UserError

TOKEN_VARIABLE = "STYLEGAN_EXPLORER_TOKEN"
_SHORTEST = 16  # characters of a token that a user gives

# What every answer carries. A page of ours takes nothing from elsewhere and is in nobody's frame.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; connect-src 'self'{sockets}; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Refused(Exception):
    """An answer other than what was asked for: a status of HTTP, and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


def policy(host: Optional[str]) -> str:
    """The Content-Security-Policy; host: an allowed Host header, for browsers to whom 'self' is no
    WebSocket."""
    return _POLICY.format(sockets=f" ws://{host}" if host else "")


def new_token() -> str:
    """$STYLEGAN_EXPLORER_TOKEN, so that an address lasts, or a fresh one.

    Raises UserError for one that can be guessed, or is no part of an address.
    """
    given = os.environ.get(TOKEN_VARIABLE)
    if not given:
        return secrets.token_urlsafe(32)
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{{_SHORTEST},200}}", given):
        raise UserError(
            f"${TOKEN_VARIABLE}: expected {_SHORTEST} to 200 letters, digits, - and _, for whoever "
            "knows it can use this server"
        )
    return given


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which no other one reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """The checks of one server. host: what it listens on, as --host says."""

    def __init__(self, token: str, host: str, port: int) -> None:
        self._token, self._port = token.encode(), port
        # Cookies know no ports: the name keeps servers apart; browsers send it to all of a host.
        self.cookie = f"explorer-{port}"
        self._any_address = host.strip("[]") in ("0.0.0.0", "::", "")
        names = ["localhost", "127.0.0.1", "::1"]
        names += [socket.gethostname()] if self._any_address else [host.strip("[]")]
        self._names = {name.lower() for name in names}

    def is_token(self, text: Optional[str]) -> bool:
        """Whether it is the token, in a time that does not tell how much of it is right."""
        return text is not None and hmac.compare_digest(text.encode(errors="replace"), self._token)

    def allows_host(self, header: Optional[str]) -> bool:
        """Whether a Host header names this server.

        A page elsewhere may make its own name mean this machine (DNS rebinding); then this is its
        name. Numbers cannot be made to mean something else.
        """
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", header or "")
        if not match or int(match[2] or 80) != self._port:
            return False
        name = match[1].strip("[]").lower()
        if name in self._names:
            return True
        return self._any_address and _is_number(name)

    def same_origin(self, origin: Optional[str], host: Optional[str]) -> bool:
        """Whether a page of `origin` is one that this server gave under the name `host`."""
        return (
            origin is not None and host is not None and origin.lower() == f"http://{host.lower()}"
        )


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
