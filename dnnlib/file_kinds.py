"""What a file is that is not what it was taken for: told by its first bytes, for messages."""

from __future__ import annotations

import codecs
import os
import re
import struct
from typing import Optional, Union

HEAD = 1024  # bytes that are looked at

_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<body|<!--)", re.IGNORECASE)
_LFS = b"version https://git-lfs.github.com/spec/"
# A global, or an empty container that is memorised, as protocols 0 and 1 write them.
_OLD_PICKLE = re.compile(rb"[(\]}]*(c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|[(\]}ldt]+(p\d+\n|q))")
_TORCH_STREAM = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_STARTS = (
    (b"\x1f\x8b", "gzip data: unpack it first"),
    (b"BZh", "bzip2 data: unpack it first"),
    (b"\xfd7zXZ\0", "xz data: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"Rar!", "a RAR archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\0\5\x16\7", "what macOS keeps of another file, not the file itself"),
    (b"%PDF", "a PDF document"),
    (b"<?xml", "XML, as servers send it instead of a file: download it again"),
    (_TORCH_STREAM, "a PyTorch file"),
)


def describe(head: bytes, size: int) -> Optional[str]:
    """'an HTML page: …', of the first HEAD bytes of a file; None for what is not recognised.

    size: of the whole file. Networks in our own and NVIDIA's formats are not recognised.
    """
    if not size:
        return "an empty file"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head.startswith(_LFS):
        return "a Git LFS pointer, not the file itself: `git lfs pull` fetches that"
    if head[:4] == b"PK\3\4" and len(head) >= 30:
        (length,) = struct.unpack_from("<H", head, 26)
        first = head[30 : 30 + length]
        if first.endswith(b".npy"):
            return "NumPy arrays (.npz), as projected latents are"
        torch = first.endswith(b"data.pkl")
        return "a PyTorch file" if torch else "a zip archive: unpack it first"
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it first"
    if _HTML.match(head):
        return "an HTML page, as servers send it instead of a file: download it again"
    if _OLD_PICKLE.match(head):
        return "a pickle of protocol 0 or 1, which none of the original's networks are"
    if head[:1] in (b"{", b"[") and _is_text(head):
        return "JSON or other text"
    return "text" if _is_text(head) else None


def describe_file(path: Union[str, os.PathLike]) -> Optional[str]:
    """As `describe`; None as well for what cannot be read."""
    try:
        with open(path, "rb") as file:
            return describe(file.read(HEAD), os.fstat(file.fileno()).st_size)
    except OSError:
        return None


def _is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters; the last one may be cut off."""
    try:
        text, _ = codecs.utf_8_decode(head, "strict", len(head) < HEAD)
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char.isspace() for char in text.lstrip("\ufeff"))
