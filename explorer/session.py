"""What is on show: networks, a run, and the worker that makes what pages ask for."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Optional

from dnnlib.errors import UserError
from explorer import answers, messages
from explorer.about import about, run_id
from explorer.answers import Shown
from explorer.messages import Request
from explorer.recipe import Recipe
from explorer.run_view import RunView
from explorer.worker import DETAILS, IDLE, PICTURES, Steps, Worker

_OURS = "This could not be made; the terminal where the explorer runs tells why."


class Session:
    """Networks on show. open_networks: opens all of them anew, in the worker's thread.

    Raises UserError as that does.
    """

    def __init__(self, open_networks: Callable[[], list[Shown]], run: Optional[RunView]) -> None:
        self.worker, self.run, self._open = Worker(), run, open_networks
        try:
            self._take(self.worker.call(open_networks))
        except BaseException:
            self.worker.close()
            raise

    def _take(self, shown: list[Shown]) -> None:
        self.shown = shown
        run = None
        if self.run is not None:
            run = {"name": self.run.name, "id": run_id(self.run.path)}
        self.about = about([one.scene for one in shown], run)
        for one in shown:  # while nobody asks for anything: what is used first is traced
            self.worker.submit(one, "ready", partial(answers.ready, one), _log, IDLE)

    def ask(self, owner: Hashable, request: Request, tell: Callable[[Any], None]) -> None:
        """Has an answer made; tell: gets the message, or an exception, in the worker's thread."""
        header = {"type": request.kind, "request": request.number, "network": request.network}
        rank = PICTURES if request.kind == messages.PICTURE else DETAILS

        def steps() -> Steps:
            shown, recipe = self._network(request.network), request.recipe
            if request.kind == messages.INSIDE:
                return (yield from answers.look_inside(shown, recipe, request.layer, header))
            if request.kind == messages.NOISE_MAP:
                return (yield from answers.noise_map(shown, recipe, header))
            return (yield from answers.picture(shown, recipe, request.preview, header))

        self.worker.submit(owner, (request.network, request.kind), steps, tell, rank)

    def latents(
        self, number: int, network: int, recipe: Recipe, tell: Callable[[Any], None]
    ) -> None:
        """Has the bytes of a file of latents made. number: of the request; all of them share the
        turns of one owner, so that many files are no more work at a time than one."""

        def steps() -> Steps:
            return (yield from answers.latents(self._network(network), recipe))

        self.worker.submit("files", ("latents", number), steps, tell)

    def _network(self, index: int) -> Shown:
        shown = self.shown  # may have become others since the request was checked
        if index >= len(shown):
            raise UserError("network: there are others on show now")
        return shown[index]

    def run_status(self, since: float, epoch: Optional[int]) -> dict[str, Any]:
        """The run's message, with `loaded`: the name of the snapshot that is on show, or ''."""
        loaded = next((one.snapshot for one in self.shown if one.snapshot), "")
        return {**self.run.status(since, epoch), "loaded": loaded}

    def reload(self, tell: Callable[[Any], None]) -> None:
        """Opens the networks anew, which takes a run's newest snapshot; tell: gets None, or an
        exception, after which those of before are still there."""

        def steps() -> Steps:
            yield from ()
            before = self.shown
            self._take(self._open())
            for one in before:
                self.worker.forget(one)

        self.worker.submit("session", "reload", steps, tell)

    def close(self) -> None:
        """Ends the worker."""
        self.worker.close()


def sentence(error: BaseException) -> str:
    """What the page is told of an error. Of ours the terminal tells more."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "There is not enough memory for this: explore with a lower --memory."
    _log(error)
    return _OURS


def _log(result: Any) -> None:
    if isinstance(result, BaseException):
        print("error: in the explorer:", file=sys.stderr)
        traceback.print_exception(type(result), result, result.__traceback__)
