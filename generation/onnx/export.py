"""An .onnx file of a generator, checked with ONNX Runtime before it has its name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from dnnlib import atomic
from dnnlib.errors import UserError
from generation.onnx import build, package

TOLERANCE = 1e-4  # of the images' range: ONNX Runtime's own kernels round differently
_CASES = ((1, 1.0), (2, 0.7), (3, -0.5))  # minibatch, psi


def write(
    network: Any,
    out: str | os.PathLike,
    *,
    noise: str = "fixed",
    weights: str = "float32",
    metadata: Optional[Mapping[str, str]] = None,
) -> str:
    """Writes the part 'generator' of generation.onnx.build; returns a line for the user.

    The file gets its name when ONNX Runtime has made our images with the network's float32 weights,
    within TOLERANCE of their range; what weights of another form change is measured and said.
    Raises UserError when a package is missing, naming it, for a family without an ONNX form, and
    for images that differ.
    """
    package("onnx"), package("onnxruntime")
    # ONNX Runtime rounds half precision otherwise than TensorFlow, and bfloat16 not at all.
    G = network if network.options["dtype"] == "float32" else network.copy(dtype="float32")
    model = build(G, noise=noise, weights=weights, metadata=metadata)
    inputs = ", ".join(value.name for value in model.graph.input)
    check = Check(G, noise)
    if weights != "float32":
        check.refuse_differences(out, session_of(_bytes(build(G, noise=noise), out)))
    with atomic.atomic_path(out) as partial:
        Path(partial).write_bytes(_bytes(model, out))
        session = session_of(str(partial))
        if weights == "float32":
            said = f"differ from ours by {check.refuse_differences(out, session):.1e} of the range"
        else:
            largest, usual = check.differences(session)
            if not np.isfinite(largest):
                raise UserError(f"{out}: with --weights={weights} its images are no numbers")
            said = (
                f"differ from those of float32 weights by up to {largest:.1%} of the range, "
                f"{usual:.2%} in the mean (root of squares)"
            )
    opset, size = model.opset_import[0].version, os.path.getsize(out) / 1e6
    return (
        f"Wrote {out}: ({inputs}) → images, opset {opset}, {size:.1f} MB. ONNX Runtime's images "
        f"{said}."
    )


def description(known: Mapping[str, Any], derived: Mapping[str, Any]) -> dict[str, str]:
    """What a file says of where it comes from: the licence, and provenance as JSON.

    known: from describe.origin. derived: from describe.derived_from.
    """
    return {
        "licence": str(known["licence"]),
        "provenance": json.dumps(dict(derived), sort_keys=True, default=str),
    }


def session_of(model: str | bytes) -> Any:
    """ONNX Runtime's session of a file or of its bytes, on the CPU, silent unless it fails."""
    runtime = package("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Check:
    """A generator's own images for some latents, and how far a session's are from them.

    cases: (minibatch, psi) of each.
    """

    def __init__(self, G: Any, noise: str, cases: Sequence[tuple[int, float]] = _CASES) -> None:
        self.G, self.noise = G, noise
        self.cases = [self._case(count, psi) for count, psi in cases]

    def refuse_differences(self, out: str | os.PathLike, session: Any) -> float:
        """The largest difference; UserError where it is beyond TOLERANCE."""
        largest, _ = self.differences(session)
        if not largest <= TOLERANCE:
            raise UserError(f"{out}: ONNX Runtime's images differ by {largest:.2g} of the range")
        return largest

    def differences(self, session: Any) -> tuple[float, float]:
        """The largest, and the root of the mean square, as shares of the images' range."""
        names, shares = {value.name for value in session.get_inputs()}, []
        for feeds, expected in self.cases:
            feeds = {name: value for name, value in feeds.items() if name in names}
            images = session.run(["images"], feeds)[0].astype(np.float64)
            shares.append(np.abs(images - expected).ravel() / (np.ptp(expected) or 1.0))
        share = np.concatenate(shares)
        return float(share.max()), float(np.sqrt(np.mean(share**2)))

    def _case(self, count: int, psi: float) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Inputs, and the network's own images for them."""
        G, rng = self.G, np.random.RandomState(count)
        feeds, truncation = {"z": np.float32(rng.randn(count, G.latent_size))}, {}
        if G.has_styles:
            feeds["psi"] = np.float32([psi])
            cutoff = G.truncation(1.0, None)["cutoff"]
            truncation = {"truncation_psi": psi, "truncation_cutoff": cutoff}
        if G.label_size:
            feeds["labels"] = np.float32(rng.randn(count, G.label_size))
        inputs = [feeds["z"], feeds.get("labels")]
        noise = self._noise(feeds, rng)
        return feeds, G(*inputs, noise=noise, **truncation).numpy()

    def _noise(self, feeds: dict[str, np.ndarray], rng: np.random.RandomState) -> Any:
        """What the network gets; adds what the model gets to `feeds`."""
        shapes, count = self.G.noise_shapes(), len(feeds["z"])
        if not shapes or self.noise in ("fixed", "none"):
            return "none" if self.noise == "none" else "fixed"
        if self.noise == "random":  # another stream than ours: what it draws, it also tells
            feeds["seed"] = rng.randint(2**31, size=count).astype(np.int64)
            model = build(self.G, "noise")
            return session_of(_bytes(model)).run(None, {"seed": feeds["seed"]})
        images = [np.float32(rng.randn(count, *shape, 1)) for shape in shapes]
        feeds.update({f"noise{index}": image for index, image in enumerate(images)})
        return images


def _bytes(model: Any, out: str | os.PathLike = "ONNX") -> bytes:
    """A model's file; UserError for one beyond the format's 2 GiB."""
    try:
        return model.SerializeToString(deterministic=True)
    except Exception as error:  # a class of its own in each version of protobuf
        size = model.ByteSize() / 2**30
        raise UserError(
            f"{out}: {size:.1f} GiB, and ONNX takes 2 in one file; --weights=float16 takes half "
            f"({error})"
        ) from error
