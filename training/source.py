"""What a run starts from (`--resume_from`): a file of any kind, an address, or a published name.

Needs no TensorFlow: names of networks tell already where no weight can fit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import safetensors

from dnnlib import download, file_kinds, json_files, paths
from dnnlib.config import nearest
from dnnlib.errors import UserError, explain_os_errors
from networks import legacy, registry
from training import checkpoint

# Whose networks a family's are, what they do that others do not, and a preset that trains them.
_FAMILIES = {
    "stylegan": ("StyleGAN's", "normalise feature maps", "demo-stylegan or ffhq-1gpu"),
    "stylegan2": ("StyleGAN2's", "scale weights by styles", "demo or stylegan2-ffhq-1gpu"),
    "progan": ("Progressive GAN's", "have no styles", "progan-celebahq-1gpu"),
}
_ROLES = {"G": "G", "D": "D", "Gs": "G"}  # of a file: the network of a run


@dataclasses.dataclass(frozen=True)
class Source:
    """given: an absolute path, an address or a published name; path: the file, None where the start
    has to download it first; sha256: of its content, once that is known."""

    given: str
    path: Path | None
    sha256: str | None = None

    @classmethod
    def of(cls, given: str) -> Source:
        """As far as it is there: nothing is downloaded. UserError where there can be no such."""
        if not _is_download(given):
            return cls(given, Path(given))
        with _named():
            return cls(given, download.cached(given))

    def fetched(self) -> Source:
        """With its file, downloaded if need be, and its hash; a published one's licence is said."""
        if self.sha256 is not None:
            return self
        path = Path(self.given)
        if _is_download(self.given):
            with _named():
                path = download.fetch(self.given, say=partial(print, file=sys.stderr))
        return Source(self.given, path, download.file_sha256(path))

    def check_sha256(self, expected: str | None) -> None:
        """Raises UserError where the settings of the run say that its content was another one."""
        if expected not in (None, self.sha256):
            raise UserError(
                f"--resume_from: {self.path} has SHA-256 {self.sha256}, expected {expected}, as "
                "when the run was started: put that file back, or start another run"
            )

    def check(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """Raises UserError for a file that holds no networks, or none of the families wanted.

        wanted: {"G" or "D": options of the run's network, with func_name}. Does nothing without a
        file.
        """
        if self.path is None:
            return
        with _named():
            kinds = _kinds(self.path)
        reasons = []
        for role, (family, name) in kinds.items():
            target = wanted[_ROLES[role]]["func_name"]
            reason = mismatch(family, name, registry.locate(target)[0].name, target)
            if reason is None:
                return
            reasons.append(f"its {role} is {reason}")
        if reasons:
            raise UserError(f"--resume_from: {self.path}: {reasons[-1]}")


def located(given: str | None) -> str | None:
    """A path as it is found from every working directory; an address or a name as it is."""
    if given is None or (_is_download(given) and not os.path.lexists(given)):
        return given
    return paths.absolute(given)


def mismatch(family: str, name: str, own_family: str, own_name: str) -> str | None:
    """Why no weights of a network fit another; None where they are of one family.

    family, name: of the network of a file; own_family, own_name: of the run's.
    """
    if family == own_family:
        return None
    unknown = "are others", "which train these"
    whose, does, presets = _FAMILIES.get(family, (f"{family}'s", *unknown))
    own, own_does, _ = _FAMILIES.get(own_family, (f"{own_family}'s", *unknown))
    return (
        f"a {name}: {whose} networks {does}, and {own}, as this run's {own_name}, {own_does}, so "
        f"that weights of one mean nothing in the other; take another file, or a preset of {whose}"
        f" ({presets})"
    )


def _is_download(given: str) -> bool:
    """Whether it is an address or a published name."""
    return paths.is_address(given) or given in download.KNOWN or given in download.OLD_NAMES


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Errors in the block begin with the flag."""
    try:
        yield
    except UserError as error:
        raise UserError(f"--resume_from: {error}") from error


def _kinds(path: Path) -> dict[str, tuple[str, str]]:
    """{role: (family, build function)} of the networks of a file, as far as they are known."""
    if not os.path.lexists(path):
        hint = nearest(path.name, download.KNOWN)
        raise UserError(f"no file {path}, nor a published network of that name{hint}")
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path} is a link to {os.readlink(path)}, which is not there")
    paths.check_input(path)
    if not legacy.is_legacy(path):
        return _kinds_of_snapshot(path)
    kinds = {}
    for role, recorded in legacy.read(path).items():
        with contextlib.suppress(ValueError):  # training/transfer.py says what is unknown
            kinds[role] = legacy.kind(recorded)
    return kinds


def _kinds_of_snapshot(path: Path) -> dict[str, tuple[str, str]]:
    """By its header alone; networks/snapshot.py checks the rest, with TensorFlow."""
    try:
        with explain_os_errors("read", path), safetensors.safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
    except safetensors.SafetensorError as error:
        kind = file_kinds.describe_file(path)
        reason = f"it is {kind}" if kind else error
        raise UserError(f"{path} is neither a .safetensors file nor a pickle: {reason}") from error
    if "networks" not in metadata:
        kind = "a snapshot of networks"
        if metadata.get("format", "").startswith(checkpoint.FORMAT):
            kind += ", but a checkpoint: take a network-snapshot-….safetensors beside it"
        raise UserError(f"{path} is not {kind}")
    try:
        recorded = json_files.parse(metadata["networks"], finite=False)
        named = {role: (kind.get("family"), kind["func_name"]) for role, kind in recorded.items()}
        located = {role: registry.locate(name, of)[0].name for role, (of, name) in named.items()}
    except (ValueError, KeyError, TypeError, AttributeError):  # damaged, or unknown
        return {}
    return {role: (located[role], named[role][1]) for role in located if role in _ROLES}
