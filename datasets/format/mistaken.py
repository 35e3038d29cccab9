"""What is taken for a record of an image, and is something else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Optional

_PICTURES = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
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
