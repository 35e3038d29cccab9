"""Networks in other formats: our snapshot, TensorFlow's SavedModel, ONNX, PyTorch's names."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import secrets
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import networks
from dnnlib import atomic
from dnnlib.errors import UserError, explain_write_errors
from generation import describe
from generation.onnx import export
from networks import fast, torch_state
from networks.sampling import Renderer
from networks.snapshot import notes

# Without XLA's kernels, which many servers lack.
PLAN = dataclasses.replace(fast.PLAIN, fuse_scaling=True)


def convert(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    noise: str = "fixed",
    weights: str = "float32",
    resolution: int | None = None,
) -> str:
    """Converts by the suffix of `out` and returns a line for the user.

    .safetensors: `to_snapshot`; .onnx: `to_onnx`; .npz: `to_torch`; no suffix: `to_saved_model`.
    source: a file.
    noise: 'fixed', 'random' or 'none', built into SavedModel and ONNX, or 'input', of ONNX.
    weights: 'float32', 'float16' or 'int8', how an ONNX file stores them. resolution: as of
    networks.load, which says on stderr what of the file cannot be had. Raises UserError for a wrong
    suffix, for what is there already, and for what the file does not hold.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in (".safetensors", ".onnx", ".npz", ""):
        expected = "expected .safetensors, .onnx, .npz, or a directory without suffix"
        raise UserError(f"--out={out}: {expected}")
    if os.path.exists(out):
        raise UserError(f"--out={out}: it is there already")
    if suffix == ".onnx":
        return to_onnx(source, out, noise=noise, weights=weights, resolution=resolution)
    if weights != "float32":
        raise UserError(f"--weights={weights}: it is for .onnx files; leave it out")
    if suffix in (".safetensors", ".npz"):
        if noise != "fixed":
            raise UserError(f"--noise={noise}: {suffix} holds no noise mode; leave it out")
        write = to_snapshot if suffix == ".safetensors" else to_torch
        return write(source, out, resolution=resolution)
    if noise == "input":
        raise UserError(
            "--noise=input: a SavedModel has fixed, random or none; .onnx files have it"
        )
    return to_saved_model(source, out, noise=noise, resolution=resolution)


def to_snapshot(
    source: str | os.PathLike, out: str | os.PathLike, *, resolution: int | None = None
) -> str:
    """All networks of a file as one snapshot that records where they come from."""
    G, D, Gs = networks.load(source, resolution=resolution)
    said = [note for network in (G, D, Gs) if network is not None for note in notes(network)]
    info = describe.derived_from(source, "converted")
    if said:  # the new file holds what the first did not
        info["notes on it"] = list(dict.fromkeys(said))
    networks.save(out, G=G, D=D, Gs=Gs, info=info)
    return f"Wrote {out}"


def to_torch(
    source: str | os.PathLike, out: str | os.PathLike, *, resolution: int | None = None
) -> str:
    """All networks of a file for stylegan2-ada-pytorch's load_state_dict, in one `.npz`.

    Its arrays are `<G, D or G_ema>/<PyTorch's name>`, and `<network>/init_kwargs`, arguments of the
    constructor as JSON. Raises UserError where that project has none of the networks.
    """
    made: dict[str, np.ndarray] = {}
    reasons: dict[str, str] = {}
    for role, network in zip(("G", "D", "G_ema"), networks.load(source, resolution=resolution)):
        if network is None:
            continue
        name, options, arrays = network.func_name, network.options, network.arrays()
        try:
            tensors = torch_state.state_dict(name, options, arrays)
            kwargs = json.dumps(torch_state.init_kwargs(name, options, arrays))
        except ValueError as error:
            reasons[role] = f"{role}: {error}"
            continue
        made[f"{role}/init_kwargs"] = np.array(kwargs)
        made.update({f"{role}/{key}": array for key, array in tensors.items()})
    if not made:
        raise UserError(f"{source}: {'; '.join(reasons.values()) or 'no networks'}")
    with atomic.atomic_path(out) as partial, open(partial, "wb") as file:
        np.savez(file, **made)
    left_out = f"; left out: {'; '.join(reasons.values())}" if reasons else ""
    return f"Wrote {out}{left_out}"


# ---------------------------------------------------------------- SavedModel


class Server:
    """A generator as one function of z [N, L], psi and labels [N, K] → images [N, R, R, C].

    Those of the inputs are there that mean something: no psi for a network without w, no labels
    for one without labels. Images are float32, about [−1, 1]. psi pulls the layers below the
    network's truncation_cutoff (8 where it has none) towards its average w; 1 changes nothing.
    psi is one number for all, [] or [1], or one for each image, [N].
    The arithmetic is float32, also of a network that was trained in lower precision.
    """

    def __init__(self, Gs: Any, noise: str) -> None:
        self.G = Gs if Gs.options["dtype"] == "float32" else Gs.copy(dtype="float32")
        self.noise, self.renderer = noise, Renderer(self.G, plan=PLAN)
        self.cutoff = Gs.truncation(1.0, None)["cutoff"] if Gs.has_styles else None
        widths: dict[str, Any] = {"z": [None, Gs.latent_size]}
        if Gs.has_styles:
            widths["psi"] = None
        if Gs.label_size:
            widths["labels"] = [None, Gs.label_size]
        self.signature = [tf.TensorSpec(shape, name=name) for name, shape in widths.items()]
        self.function = tf.function(self._serve, self.signature, autograph=False)

    def _serve(self, *inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        given = {spec.name: value for spec, value in zip(self.signature, inputs)}
        level, alpha = self.G.split_lod(None)
        with self.renderer.settings():
            codes = self.G.codes(given["z"], given.get("labels"), truncation_psi=None)
            if "psi" in given:
                psi = tf.reshape(given["psi"], [-1, 1, 1])
                codes = self.G.truncate(codes, psi, self.cutoff)
        images = self.renderer.at_stage(codes, level, alpha, self.noise)
        return {"images": tf.identity(images, name="images")}


def to_saved_model(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    noise: str = "fixed",
    resolution: int | None = None,
) -> str:
    """A directory for `tf.saved_model.load` and TensorFlow Serving; needs nothing of this package.

    Its signature serving_default is `Server`'s function. Raises UserError for a file without a
    generator and where `out` cannot be written.
    """
    out = Path(out)
    server = Server(describe.load_for_pictures(source, resolution), noise)
    partial = out.with_name(f"{atomic.TEMP_PREFIX}{secrets.token_hex(4)}-{out.name}")
    with explain_write_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.mkdir()  # whose errors say more than TensorFlow's
            # What is saved is what the function reads, not Keras's whole model.
            module = tf.Module()
            module.serve = server.function
            module.kept = list(server.function.get_concrete_function().graph.variables)
            with _quiet():
                # With its gradients: TensorFlow warns at every loading of a model without.
                options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
                tf.saved_model.save(module, str(partial), server.function, options)
            os.rename(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return f"Wrote {out}: serving_default({_names(server)}) → images"


def to_onnx(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    noise: str = "fixed",
    weights: str = "float32",
    resolution: int | None = None,
) -> str:
    """An .onnx file, as generation.onnx.export.write makes and checks it.

    It says where the network comes from, and its licence. Raises UserError as that does, and for
    a file without a generator.
    """
    Gs = describe.load_for_pictures(source, resolution)
    known, derived = describe.origin(source), describe.derived_from(source, "converted")
    derived.pop("licence", None)
    metadata = export.description(known, derived)
    return export.write(Gs, out, noise=noise, weights=weights, metadata=metadata)


def _names(server: Server) -> str:
    return ", ".join(spec.name for spec in server.signature)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of TensorFlow's exporter, which no user can act on."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
