"""What `run_generator.py explore` does: flags → a server that runs until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn, Optional

from dnnlib import download
from dnnlib.errors import UserError
from explorer import guard, opening
from explorer.answers import Shown
from explorer.guard import Guard
from explorer.previews import Previews
from explorer.run_view import RunView
from explorer.scene import Scene
from explorer.server import House, serve
from explorer.session import Session

PORT = 8000
_PORTS = 50  # that are tried from there on
_MOST_NETWORKS = 8


def explore(args: dict) -> NoReturn:
    """Serves the page until Ctrl-C. Raises UserError before that for what cannot be shown."""
    with _listening(args["host"], args["port"]) as listening:
        port, token = listening.getsockname()[1], guard.new_token()
        run = _run(args["network"])
        session = Session(partial(_opened, args, run), run)
        house = House(session, Guard(token, args["host"], port))
        address = f"http://{_shown_host(args['host'])}:{port}/?token={token}"
        try:
            with opening.browser() as open_address:
                ready = partial(_ready, args, address, open_address)
                asyncio.run(serve(house, [listening], ready))
        finally:
            house.close()
    raise KeyboardInterrupt


def _ready(args: dict, address: str, open_address: Callable[[str], None]) -> None:
    if not guard.is_loopback(args["host"]):
        print(
            f"warning: --host={args['host']}: other machines can reach this, under this one's name "
            "or number; whoever has the token can use it, and nothing is encrypted",
            file=sys.stderr,
        )
    print(f"Explore at {address}\nCtrl-C ends it.", flush=True)
    if args["open"]:
        open_address(address)


def _listening(host: str, port: Optional[int]) -> socket.socket:
    """A socket that listens on --port, or on the first free one from PORT on."""
    bare = host.strip("[]")
    failure: Optional[OSError] = None
    for candidate in range(PORT, PORT + _PORTS) if port is None else [port]:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                bare, candidate, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listening = socket.create_server(address[:2], family=family, backlog=128)
            listening.setblocking(False)
            return listening
        except OSError as error:
            failure = error
            if error.errno != errno.EADDRINUSE:
                break
    reason = failure.strerror or str(failure)
    if port is None and failure.errno == errno.EADDRINUSE:
        reason = f"no port from {PORT} to {PORT + _PORTS - 1} is free"
    flag = "" if port is None else f" --port={port}"
    raise UserError(f"cannot listen on --host={host}{flag}: {reason}")


def _shown_host(host: str) -> str:
    """As a browser on this machine takes it."""
    bare = host.strip("[]")
    bare = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bare, bare)
    return f"[{bare}]" if ":" in bare else bare


def _run(networks: list[str]) -> Optional[RunView]:
    """Of the directory among --network; UserError for several, and for one of something else."""
    directories = [path for path in networks if os.path.isdir(path)]
    if len(directories) > 1:
        raise UserError(f"--network={directories[1]}: one run directory at a time")
    if not directories:
        return None
    run = RunView(directories[0])
    if not run.is_one():
        raise UserError(f"--network={directories[0]}: not a run: no config.json and no snapshot")
    return run


def _opened(args: dict, run: Optional[RunView]) -> list[Shown]:
    """All networks, with what --directions and --projected bring."""
    if len(args["network"]) > _MOST_NETWORKS:
        raise UserError(f"--network: at most {_MOST_NETWORKS} of them side by side")
    names: set[str] = set()
    shown = []
    for source in args["network"]:
        if os.path.isdir(source) and run.newest_snapshot() is None:
            continue  # the run shows itself; the page offers its first snapshot
        shown.append(_network(source, args, run, names))
    _give(shown, args["directions"], Scene.use_directions)
    _give(shown, args["projected"], Scene.use_projected)
    return shown


def _network(source: str, args: dict, run: Optional[RunView], names: set[str]) -> Shown:
    snapshot = None
    if run is not None and os.path.isdir(source):
        path = run.newest_snapshot()
        name, snapshot = f"{run.name}/{path.stem}", path.name
        source = str(path)
    else:
        say = partial(print, file=sys.stderr)
        path = download.local_path(source, cache_dir=args["cache_dir"], say=say)
        name = source if source in download.KNOWN else Path(path).stem
    free, number = name, 2
    while free in names:
        free, number = f"{name} ({number})", number + 1
    names.add(free)
    scene = Scene(path, free, memory=args["memory"], resolution=args["resolution"])
    flags = [f"--network={source}"]
    for flag in ("resolution", "cache_dir"):
        if args[flag] is not None:
            flags.append(f"--{flag}={args[flag]}")
    return Shown(scene, Previews(scene, args["memory"]), flags, args["directions"], snapshot)


def _give(shown: list[Shown], path: Optional[str], use: Callable[[Scene, str], None]) -> None:
    """Gives a file of the user's to every network that it fits; UserError where that is none."""
    if path is None:
        return
    failures = []
    for one in shown:
        try:
            use(one.scene, path)
        except UserError as error:
            failures.append(error)
    if failures and len(failures) == len(shown):
        raise failures[0]
