"""What is taken for a TFRecord file of images, or for a record of one, and is something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Optional

HEAD = 512  # bytes of a file that are looked at

_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body|<!--)", re.IGNORECASE)
_FILES = (
    (b"\x1f\x8b", "compressed with gzip: unpack it first"),
    (b"PK\3\4", "a zip archive: unpack it first"),
    (b"BZh", "compressed with bzip2: unpack it first"),
    (b"\xfd7zXZ\0", "compressed with xz: unpack it first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: `git lfs pull` gets it"),
    (b"\0\5\x16\7", "what macOS keeps of another file, not the file itself"),
)
_PICTURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)


def explain_file(head: bytes) -> Optional[str]:
    """What a file is by its first bytes, and what to do; None for what is not recognised."""
    for start, kind in _FILES:
        if head.startswith(start):
            return kind
    if _HTML.match(head):
        return "an HTML page, as servers send it in place of a file: download it again"
    encoded = _picture(head)
    return (
        f"a {encoded} picture; dataset_tool.py create_from_images makes sets" if encoded else None
    )


def explain_record(values: Iterable[bytes]) -> Optional[str]:
    """What a record's byte strings are where they are no pixels; None where that is not known."""
    for value in values:
        encoded = _picture(value)
        if encoded:
            return (
                f"holds an encoded picture ({encoded}), not pixels: write these pictures to files, "
                "and make the set with dataset_tool.py create_from_images"
            )
    return None


def explain_channels(shape: Sequence[int]) -> str:
    """For images [C, H, W] with C other than 1 and 3."""
    if shape[0] == shape[1] and shape[2] in (1, 3):
        size = "×".join(map(str, shape))
        return f"its images are in the order height, width, channels ({size}); channels come first"
    return f"its images have {shape[0]} channels, expected 1 or 3"


def _picture(head: bytes) -> Optional[str]:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for start, kind in _PICTURES if head.startswith(start)), None)
