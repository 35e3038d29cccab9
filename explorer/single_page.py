"""A generator as one HTML file: the network, the page and the runtime, for any browser, offline."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np

from dnnlib import atomic, download
from dnnlib.errors import UserError
from explorer import about, page_text, web_runtime
from explorer.scene import Scene
from generation import latents, onnx
from networks.options import OWN

SUFFIXES = (".html", ".htm")
WEIGHTS = "float16"  # how weights are stored unless a user says so
TOLERANCE = 1e-3  # of the images' range, with weights of float32
_CHECKED = 256  # values of a picture, by which a page finds a GPU that computes something else
_LICENCE = Path(__file__).parents[1] / "LICENSE"


def write(args: dict[str, Any]) -> str:
    """What `convert` does for --out=FILE.html; returns a line for the user.

    args: network, out, resolution, cache_dir, noise, and weights, runtime, directions, each of them
    None or absent for the usual. Raises UserError for a network without a form in ONNX, for a
    runtime that cannot be had, and where ONNX Runtime makes other images than the network.
    """
    if args.get("noise", "fixed") != "fixed":
        raise UserError(f"--noise={args['noise']}: a page has all of them to choose from")
    weights = args.get("weights") or WEIGHTS
    say = partial(print, file=sys.stderr)
    # First what costs little and may fail.
    files = web_runtime.read(args.get("runtime"), cache_dir=args["cache_dir"], say=say)
    path = download.local_path(args["network"], cache_dir=args["cache_dir"], say=say)
    name = args["network"] if args["network"] in download.KNOWN else path.stem
    scene = open_scene(path, args.get("resolution"), args.get("directions"), name)
    page, difference = assemble(scene, weights, files)
    atomic.write_bytes(args["out"], page)
    return (
        f"Wrote {args['out']}: {len(page) / 1e6:.1f} MB, weights of {weights}. ONNX Runtime's "
        f"images differ by {difference:.1e} of the range. It opens in any browser, offline."
    )


def open_scene(
    path: Path,
    resolution: Optional[int] = None,
    directions_file: Optional[str] = None,
    name: Optional[str] = None,
) -> Scene:
    """A network file with its directions. name: by default the file's."""
    scene = Scene(path, name or path.stem, resolution=resolution)
    if directions_file:
        scene.use_directions(directions_file)
    return scene


def assemble(scene: Scene, weights: str, runtime: dict[str, bytes]) -> tuple[bytes, float]:
    """(the page, how far ONNX Runtime's images are from the network's, as a share of their range).

    weights: 'float32', 'float16' or 'int8', of kernels and matrices. runtime: of web_runtime.read.
    Raises UserError where images are others, or no numbers.
    """
    mapping = onnx.build(scene.Gs, "mapping", weights=weights).SerializeToString()
    synthesis = onnx.build(scene.Gs, "synthesis", weights=weights, noise="input")
    halves = {"mapping": mapping, "synthesis": synthesis.SerializeToString()}
    expected = _images(scene)
    made = _onnx_images(scene, **halves)
    difference = float(np.abs(made - expected).max() / max(np.ptp(expected), 1e-12))
    if not difference <= (TOLERANCE if weights == "float32" else 1.0):
        raise UserError(
            f"{scene.path}: with weights of {weights} ONNX Runtime's images differ from the "
            f"network's by {difference:.2g} of their range: no page of them was made"
        )
    arrays, table = _arrays(scene, weights, expected)
    packed = {
        "worker": page_text.joined("onnx_worker.js").encode(),
        **runtime,
        **halves,
        "arrays": arrays,
    }
    data = {
        "about": {**_about(scene), "about": licences(scene, weights)},
        "parts": {**_parts(scene), "arrays": table, "files": list(packed)},
    }
    page = page_text.write(f"{scene.name}: generator", "single.js", {"about": data}, packed)
    return page, difference


def _about(scene: Scene) -> dict[str, Any]:
    """The contract's About, of what a single page can do."""
    network = about.network(scene)
    role = scene.which[0]
    network.update(which=[role], has_D=False, growing=False, projected=[], inside=[])
    features = dict.fromkeys(("inside", "noise_map", "score", "command", "which", "run"), False)
    features.update(latents=True, directions=bool(scene.directions))
    return {
        "type": "about",
        "version": about.VERSION,
        "networks": [network],
        "run": None,
        "features": features,
    }


def _parts(scene: Scene) -> dict[str, Any]:
    """What the page's engine has to know beside that."""
    Gs = scene.Gs
    truncation = None
    if Gs.has_styles:
        own, usual = Gs.options, Gs.truncation(None, None)
        layers = [
            Gs.truncated_layers(own["truncation_cutoff"]),
            Gs.truncated_layers(usual["cutoff"]),
        ]
        truncation = {"psi": [own["truncation_psi"], usual["psi"]], "layers": layers}
    return {
        "truncation": truncation,
        "directions": [
            {"name": one.name, "layers": list(one.layers)} for one in scene.directions.values()
        ],
    }


def _arrays(scene: Scene, weights: str, expected: np.ndarray) -> tuple[bytes, list[dict[str, Any]]]:
    """Arrays that are no part of the networks' halves, and where each of them is."""
    flat = expected.ravel()
    arrays: list[tuple[str, np.ndarray, type]] = [
        ("check", flat[:: max(len(flat) // _CHECKED, 1)][:_CHECKED], np.float32)
    ]
    if scene.Gs.has_styles:
        arrays.append(("average", scene.Gs.dlatent_avg.numpy(), np.float32))
    for one in scene.directions.values():
        arrays.append((f"direction {one.name}", one.vector, np.float32))
    for index, image in enumerate(scene.Gs.noise_images()):
        kind = np.float32 if weights == "float32" else np.float16
        arrays.append((f"noise{index}", image, kind))
    table: list[dict[str, Any]] = []
    content: list[bytes] = []
    offset = 0
    for name, array, kind in arrays:
        values = np.ascontiguousarray(array, np.dtype(kind).newbyteorder("<"))
        table.append(
            {
                "name": name,
                "type": np.dtype(kind).name,
                "offset": offset,
                "length": values.size,
            }
        )
        held = values.tobytes()
        content.append(held + bytes(-len(held) % 4))
        offset += len(content[-1])
    return b"".join(content), table


# ---------------------------------------------------------------- does it make the same images


def _start(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """z and labels of seed 0."""
    Gs = scene.Gs
    return latents.from_seeds([0], Gs.latent_size), latents.labels_for([0], Gs.label_size)


def _images(scene: Scene) -> np.ndarray:
    """The network's own, [1, R, R, C], in float32."""
    Gs = scene.Gs if scene.Gs.options["dtype"] == "float32" else scene.Gs.copy(dtype="float32")
    return Gs(*_start(scene), noise="fixed").numpy()


def _onnx_images(scene: Scene, mapping: bytes, synthesis: bytes) -> np.ndarray:
    """Those that its halves make, as the page makes them."""
    runtime = onnx.package("onnxruntime")
    first, second = (
        runtime.InferenceSession(half, providers=["CPUExecutionProvider"])
        for half in (mapping, synthesis)
    )
    given = dict(zip(("z", "labels"), _start(scene)))
    codes = first.run(["w"], {entry.name: given[entry.name] for entry in first.get_inputs()})[0]
    feeds = {"w": np.asarray(scene.Gs.truncate(codes, OWN, OWN), np.float32)}
    noise = {f"noise{index}": image for index, image in enumerate(scene.Gs.noise_images())}
    names = [entry.name for entry in second.get_inputs()]
    feeds.update({name: noise[name] for name in names if name in noise})
    return second.run(["images"], feeds)[0]


# ---------------------------------------------------------------- licences


def licences(scene: Scene, weights: str) -> list[tuple[str, str]]:
    """(title, text) of all that the page holds; the network's own stands beside its origin."""
    own = about.network(scene)["licence"] or "None is recorded. Ask whoever gave you this page."
    paragraphs = _LICENCE.read_text(encoding="utf-8").split("\n\n")
    ours = "\n\n".join(" ".join(lines.split()) for lines in paragraphs)
    return [
        (f"Licence of the network (weights of {weights})", own),
        ("Licence of this page: Apache-2.0", ours.strip()),
        (f"Licence of ONNX Runtime Web {web_runtime.VERSION}: MIT", web_runtime.LICENCE),
    ]
