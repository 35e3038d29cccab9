"""ONNX Runtime Web, which computes a single page's pictures: two files of its npm package.

Of its builds the one that has WebGPU and, where a browser has none, plain WebAssembly; without
threads, which need headers that a file on a disk does not have.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dnnlib import download
from dnnlib.errors import UserError
from dnnlib.paths import check_input, expand

VERSION = "1.30.0"
ADDRESS = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
# {what it is: (its name in the package's directory dist, its sha256)}
FILES = {
    "runtime": (
        "ort.webgpu.bundle.min.mjs",
        "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    ),
    "wasm": (
        "ort-wasm-simd-threaded.asyncify.wasm",
        "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
    ),
}
LICENCE = """\
MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and \
associated documentation files (the "Software"), to deal in the Software without restriction, \
including without limitation the rights to use, copy, modify, merge, publish, distribute, \
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is \
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or \
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT \
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND \
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, \
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT \
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
_BY_HAND = (
    f"`npm pack onnxruntime-web@{VERSION}` brings the package where there is a network; unpack it "
    "and give its directory dist as --runtime=DIR"
)


def read(
    directory: str | os.PathLike | None = None,
    *,
    cache_dir: str | os.PathLike | None = None,
    say: Callable[[str], object] | None = None,
) -> dict[str, bytes]:
    """{'runtime': a JavaScript module, 'wasm': what it runs}, of the hashes above.

    directory: the package's directory `dist`; None: they are downloaded once, into the cache.
    Raises UserError where a file is missing or another version's, or cannot be had.
    """
    if directory is not None:
        return {part: _given(Path(expand(directory)), *FILES[part]) for part in FILES}
    files = {}
    for part, (name, sha256) in FILES.items():
        try:
            path = download.fetch(ADDRESS + name, cache_dir=cache_dir, sha256=sha256, say=say)
        except UserError as error:
            raise UserError(f"{error}. Or: {_BY_HAND}") from error
        files[part] = path.read_bytes()
    return files


def _given(directory: Path, name: str, sha256: str) -> bytes:
    path = directory / name
    if not path.is_file():
        raise UserError(f"--runtime={directory}: it has no file {name}. {_BY_HAND}")
    check_input(path)
    came = download.file_sha256(path)
    if came != sha256:
        raise UserError(
            f"--runtime={directory}: {name} is not that of onnxruntime-web {VERSION}: expected "
            f"sha256 {sha256}, it has {came}. {_BY_HAND}"
        )
    return path.read_bytes()
