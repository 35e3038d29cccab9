"""The weights of the feature networks, from every published form to {canonical name: array}.

A file's form is recognised by its content. Nothing in a file is run: of a frozen graph the
constants are taken, pickles are opened by our own readers. UserErrors do not name the file.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dnnlib import file_kinds, tensor_file
from dnnlib.errors import UserError
from dnnlib.pickles import tf_networks as legacy_pickle, torch_file
from dnnlib.pickles.objects import show
from dnnlib.protobuf import WireError, fields, varint
from metrics.features import inception, vgg16
from metrics.features.pickled_weights import match

FORMAT = "stylegan-tf2 feature network 1"
GRAPH = "classify_image_graph_def.pb"

_MAX_UNPACKED = 2**28  # bytes; the published graph has 96 MB
_MAX_GROWTH = 2**25  # bytes by which a .tgz may grow; the published one grows by 7 MB
_MAX_FILL = 2**16  # values for which one may stand
_CHUNK = 2**20
_MAX_FIELDS = 100_000  # of a graph; the published one has some 1,000
_SHOWN = 3  # differences in one message

# torchvision's names of Inception's blocks and, in the graph's order, of their convolutions.
_STEM = "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3"
_BLOCKS = {
    "5b 5c 5d": "1x1 5x5_1 5x5_2 3x3dbl_1 3x3dbl_2 3x3dbl_3 _pool",
    "6a": "3x3 3x3dbl_1 3x3dbl_2 3x3dbl_3",
    "6b 6c 6d 6e": "1x1 7x7_1 7x7_2 7x7_3 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 _pool",
    "7a": "3x3_1 3x3_2 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4",
    "7b 7c": "1x1 3x3_1 3x3_2a 3x3_2b 3x3dbl_1 3x3dbl_2 3x3dbl_3a 3x3dbl_3b _pool",
}
_TORCH_VARIABLES = ("conv.weight", "bn.bias", "bn.running_mean", "bn.running_var")
_VGG16_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # the others have no weights
_VGG16_DENSE = ("classifier.0", "classifier.3")
_INCEPTION = ("inception", "inception_classes")


def shapes(network: str) -> dict[str, tuple[int, ...]]:
    """{canonical name: shape} of the weights of a network that files hold.

    network: here and below "inception", "vgg16", or what not all files have: "inception_classes",
    "vgg16_fc2".
    """
    if network == "inception":
        return inception.shapes()
    if network == "inception_classes":
        return inception.class_shapes()
    dense = vgg16.dense_shapes() if network == "vgg16_fc2" else {}
    return {**vgg16.trunk_shapes(), **dense}


def read(
    network: str, path: Path, data: bytes | memoryview, *, blank: bool = False
) -> tuple[dict[str, np.ndarray], str]:
    """({canonical name: float32 array}, kind of file) of a network.

    data: the contents of the file at path. blank: of names, types and shapes alone: the arrays are
    ones that take no memory (not so those of a legacy pickle, in which values tell what is what).
    Raises UserError listing the first few differences when it does not hold exactly this network's
    weights, or saying what is wrong with the file.
    """
    if not data:
        raise UserError("expected weights, but the file is empty")
    kind_of_file = file_kinds.describe(bytes(data[: file_kinds.HEAD]), len(data))
    if torch_file.is_torch(path):
        state = torch_file.read(data, blank=blank)
        arrays, kind = _from_torch(network, state, blank), "PyTorch state dict"
    elif data[:1] == b"\x80":
        arrays, kind = _from_pickle(network, bytes(data)), "legacy pickle"
    elif data[8:9] == b"{":
        arrays, kind = _from_converted(network, path, blank)
    elif network in _INCEPTION and (kind_of_file is None or data[:2] == b"\x1f\x8b"):
        graph = _unpacked(data) if data[:2] == b"\x1f\x8b" else data
        arrays, kind = _from_graph(network, graph, blank), "frozen graph"
    else:
        prefix = f"it is {kind_of_file}; " if kind_of_file else ""
        raise UserError(prefix + _expected_forms(network))
    for name, array in arrays.items():
        if name.endswith("variance") and not (array > 0).all():
            raise UserError(f"{name} has values that are not above 0")
    return arrays, kind


def _collect(
    names: dict[str, str],
    wanted: dict[str, tuple[int, ...]],
    stored: Callable[[str], object],
    blank: bool,
) -> dict[str, np.ndarray]:
    """The arrays that `stored` gives for a file's names; {canonical name: name in the file}.

    stored: raises KeyError for a missing one. blank: there are no values to look at.
    Raises UserError listing what is missing, of another shape, or not finite.
    """
    arrays, wrong = {}, []
    for name, source in names.items():
        try:
            array = np.asarray(stored(source))
        except KeyError:
            wrong.append(f"{source} is missing")
            continue
        if array.shape != wanted[name] or array.dtype.kind != "f":
            came = f"{array.dtype} {list(array.shape)}"
            wrong.append(f"{source} is {came}, expected float32 {list(wanted[name])}")
            continue
        if blank:
            arrays[name] = array
            continue
        with np.errstate(over="ignore"):
            arrays[name] = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(arrays[name]).all():
            wrong.append(f"{source} has values that are infinite or not a number")
    if wrong:
        more = f"; {len(wrong) - _SHOWN} more differences" if len(wrong) > _SHOWN else ""
        raise UserError(f"not the expected weights: {'; '.join(wrong[:_SHOWN])}{more}")
    return arrays


def _check_gammas(gammas: dict[str, np.ndarray]) -> None:
    for name, gamma in gammas.items():
        if not np.all(gamma == 1):
            raise UserError(f"{name} is not 1 everywhere, so this is not the network of FID")


# ---------------------------------------------------------------- our own


def _from_converted(network: str, path: Path, blank: bool) -> tuple[dict[str, np.ndarray], str]:
    try:
        file = tensor_file.TensorFile(path, FORMAT)
        held, expected = file.metadata.get("network"), network.partition("_")[0]
        if held != expected:
            raise UserError(f"holds the network {show(str(held))}, expected {expected!r}")
        present = set(file.names)

        def stored(name: str) -> np.ndarray:
            if name not in present:
                raise KeyError(name)
            return file.blank(name) if blank else file.read(name)

        wanted = shapes(network)
        arrays = _collect({name: name for name in wanted}, wanted, stored, blank)
    except (tensor_file.TensorFileError, OSError) as error:
        raise UserError(f"not a usable converted file: {error}") from error
    source, sha256 = (file.metadata.get(key, "?")[:80] for key in ("source", "source_sha256"))
    return arrays, f"converted from {source!r}, sha256 {sha256!r}"


# ---------------------------------------------------------------- PyTorch


def _from_torch(
    network: str, state: Mapping[str, np.ndarray], blank: bool
) -> dict[str, np.ndarray]:
    names = torch_names(network)
    classes = state.get("fc.weight")
    if network in _INCEPTION and classes is not None and classes.shape[:1] != (1008,):
        # torchvision's network for ImageNet has the same names and shapes up to here.
        raise UserError(f"fc.weight is {list(classes.shape)}, but FID's network has 1008 classes")

    def channels_last(source: str) -> np.ndarray:
        array = state[source]
        if source == "classifier.0.weight" and array.ndim == 2 and not blank:
            array = _rows_by_place(array)
        return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T

    arrays = _collect(names, shapes(network), channels_last, blank)
    gammas = (f"{layer}.bn.weight" for layer in torch_layers(network))
    _check_gammas({name: state[name] for name in gammas if name in state})
    return arrays


def _rows_by_place(weight: np.ndarray) -> np.ndarray:
    """The first dense layer's weights [outputs, inputs], whose inputs are in the order of channel,
    height, width, in that of height, width, channel."""
    places = vgg16.SIDE**2
    if weight.shape[1] % places:
        return weight  # is refused for its shape
    by_channel = weight.reshape(len(weight), -1, places)
    return by_channel.transpose(0, 2, 1).reshape(weight.shape)


def torch_names(network: str) -> dict[str, str]:
    """{canonical name: torchvision's name}; pytorch-fid has the same ones."""
    if network == "inception_classes":
        return {"softmax/weights": "fc.weight"}
    variables = _TORCH_VARIABLES if network == "inception" else ("weight", "bias")
    sources = (f"{layer}.{variable}" for layer in torch_layers(network) for variable in variables)
    return dict(zip(shapes(network), sources))


def torch_layers(network: str) -> list[str]:
    if network in ("vgg16", "vgg16_fc2"):
        dense = _VGG16_DENSE if network == "vgg16_fc2" else ()
        return [f"features.{index}" for index in _VGG16_LAYERS] + list(dense)
    return _STEM.split() + [
        f"Mixed_{block}.branch{branch}"
        for blocks, branches in _BLOCKS.items()
        for block in blocks.split()
        for branch in branches.split()
    ]


# ---------------------------------------------------------------- legacy pickles


def _from_pickle(network: str, data: bytes) -> dict[str, np.ndarray]:
    networks = [one for one in legacy_pickle.read(data).networks if one is not None]
    if len(networks) != 1:
        raise UserError(f"holds {len(networks)} networks, expected one")
    stored = networks[0].all_variables()
    for name, array in stored.items():
        stored[name] = array.astype(np.float32, copy=False)  # half precision is kept as it is
    arrays, gammas = match(network, stored)
    _check_gammas(gammas)
    return arrays


# ---------------------------------------------------------------- frozen graph


def _unpacked(data: bytes) -> memoryview:
    """The graph in a .tgz."""
    # Weights hardly shrink: what unpacks to many times its size is no graph, but takes memory.
    limit = min(_MAX_UNPACKED, len(data) + _MAX_GROWTH)
    buffer, size = memoryview(bytearray(limit + 1)), 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            while size <= limit and (count := file.readinto(buffer[size : size + _CHUNK])):
                size += count
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"not a usable .tgz file: {error}") from error
    if size > limit:
        raise UserError(f"unpacks to more than {limit:,} bytes")
    unpacked = buffer[:size]
    # Header by header: over a size that is not true tarfile's own loop runs for hours.
    start = 0
    while start + tarfile.BLOCKSIZE <= len(unpacked):
        header, start = (
            bytes(unpacked[start : start + tarfile.BLOCKSIZE]),
            start + tarfile.BLOCKSIZE,
        )
        try:
            entry = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        except tarfile.HeaderError:
            break
        if not 0 <= entry.size <= len(unpacked) - start:
            break
        if entry.isreg() and entry.name.rpartition("/")[2] == GRAPH:
            return unpacked[start : start + entry.size]
        start += -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    raise UserError(f"a .tgz file without {GRAPH}, or a damaged one")


def _from_graph(network: str, graph: bytes | memoryview, blank: bool) -> dict[str, np.ndarray]:
    wanted = shapes(network)
    gammas = {
        name.replace("beta", "gamma"): shape for name, shape in wanted.items() if "beta" in name
    }
    try:
        constants = _constants(graph, {**wanted, **gammas}, blank)
    except WireError:
        _no_graph()
    arrays = _collect({name: name for name in wanted}, wanted, constants.__getitem__, blank)
    _check_gammas({name: constants[name] for name in gammas if name in constants})
    return arrays


def _constants(
    graph: bytes | memoryview, wanted: dict[str, tuple[int, ...]], blank: bool
) -> dict[str, np.ndarray]:
    """The constants of a serialised GraphDef that bear a name of `wanted`."""
    result = {}
    for node in _nodes(memoryview(graph)):
        # TensorFlow writes the name first: other nodes, whatever is in them, stay bytes.
        if node[:1] != b"\x0a":
            continue
        size, start = varint(node, 1, len(node))
        name = str(node[start : start + size], "utf-8", "replace")
        if name not in wanted:
            continue
        try:
            parsed = tf.compat.v1.NodeDef.FromString(bytes(node))
        except DecodeError as error:
            raise UserError(f"constant {name}: damaged: {error}") from error
        if parsed.op == "Const" and "value" in parsed.attr:
            values = _values(name, parsed.attr["value"].tensor, wanted[name])
            result[name] = np.broadcast_to(np.float32(1), wanted[name]) if blank else values
    return result


def _values(name: str, tensor: Any, shape: tuple[int, ...]) -> np.ndarray:
    came = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != tf.float32.as_datatype_enum or came != shape:
        raise UserError(f"constant {name} is no float32 {list(shape)}, but {list(came)[:8]}")
    count = int(np.prod(shape))
    if tensor.tensor_content:
        values = np.frombuffer(tensor.tensor_content, np.uint8)
        values = values.view("<f4") if values.size == 4 * count else values[:0]
    else:
        values = np.array(tensor.float_val, np.float32)
        if 0 < values.size < count <= _MAX_FILL:  # the last one stands for all that follow
            values = np.pad(values, (0, count - values.size), mode="edge")
    if values.size != count:
        raise UserError(f"constant {name} has another number of values than {list(shape)} needs")
    return values.reshape(shape)


def _nodes(graph: memoryview) -> Iterator[memoryview]:
    """The nodes of a GraphDef, still serialised: its fields of number 1."""
    for count, (number, value) in enumerate(fields(graph, 0, len(graph)), 1):
        if count > _MAX_FIELDS:
            _no_graph()
        if number == 1 and not isinstance(value, int):
            yield graph[slice(*value)]


def _no_graph() -> NoReturn:
    raise UserError(_expected_forms("inception"))


def _expected_forms(network: str) -> str:
    if network in _INCEPTION:
        return (
            "expected a frozen graph (.pb or .tgz), or a .pth, .pkl or converted .safetensors "
            "file, by its content"
        )
    return "expected a .pth, .pkl or converted .safetensors file, by its content"
