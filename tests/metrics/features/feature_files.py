"""Writes the feature networks' weights in each of their published forms."""

import collections
import gzip
import io
import tarfile

import numpy as np
import tensorflow as tf

from metrics.features import weight_files
from tests.dnnlib.pickles import pickle_assembler, torch_writer


def node(name, array, compact=False):
    """compact: one value that stands for all, and none as bytes."""
    written = tf.compat.v1.NodeDef(name=name, op="Const")
    tensor = written.attr["value"].tensor
    tensor.dtype = tf.as_dtype(array.dtype).as_datatype_enum
    for size in array.shape:
        tensor.tensor_shape.dim.add().size = size
    if compact:
        tensor.float_val.append(array.flat[0])
    else:
        tensor.tensor_content = array.tobytes()
    return written


def graph(arrays, classes=None, **others):
    """A frozen graph; gammas are added, and other nodes as a real one has them."""
    written = tf.compat.v1.GraphDef()
    written.versions.producer = 8
    written.node.add(name="ExpandDims", op="ExpandDims", input=["ExpandDims/input"])
    for name, array in {**arrays, **others}.items():
        written.node.append(node(name, array))
        if name.endswith("beta"):
            gamma = name.replace("beta", "gamma")
            if gamma not in others:
                written.node.append(node(gamma, np.ones_like(array), compact=True))
    classes = np.zeros([2, 3], np.float32) if classes is None else classes
    written.node.append(node("softmax/weights", classes))
    return written.SerializeToString(deterministic=True)


def tgz(contents, name=weight_files.GRAPH):
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, data in (("LICENSE", b"text"), (name, contents)):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(written.getvalue(), 0)


def torch_arrays(which, arrays):
    """{torchvision's name: array}, OIHW, with what else a published file holds.

    which: "inception", "vgg16", or "vgg16_fc2", with arrays of the dense layers.
    """
    found = {}
    for name, source in weight_files.torch_names(which).items():
        array = arrays[name]
        if (
            name == "fc1/weight"
        ):  # rows by channel, height, width in place of height, width, channel
            by_place = array.reshape(7, 7, -1, array.shape[1])
            array = by_place.transpose(2, 0, 1, 3).reshape(array.shape)
        found[source] = array.transpose(3, 2, 0, 1).copy() if array.ndim == 4 else array.T.copy()
        if source.endswith("bn.bias"):
            layer = source[: -len("bias")]
            found[f"{layer}weight"] = np.ones_like(array)
            found[f"{layer}num_batches_tracked"] = np.zeros([], np.int64)
    if which == "inception":
        found.update({"fc.weight": np.zeros([1008, 2], np.float32)})
    elif which == "vgg16":
        found.update({"classifier.0.weight": np.zeros([4, 3], np.float32)})
    return found


def torch(found, format="archive"):
    state_dict, storages = collections.OrderedDict(), []
    for name, array in found.items():
        storage = torch_writer.Storage(str(len(storages)), array.reshape(-1))
        state_dict[name] = torch_writer.tensor(storage, storage.values.reshape(array.shape))
        storages.append(storage)
    return torch_writer.saved(state_dict, storages, format)


def pickle(variables):
    """variables: [(name, array)]."""
    return pickle_assembler.pickled(pickle_assembler.original(3, variables), 4)


def inception_variables(arrays, names=True, gammas=True, order="beta gamma mean var"):
    """Inception as TensorFlow's batch normalisation makes variables, or with numbers for names."""
    variables = [("lod", np.float32(0)), ("mean", np.float32([1, 2, 3]))]
    for name, array in arrays.items():
        if array.ndim != 4:
            continue
        scope = name.rpartition("/")[0]
        variables.append((f"{scope}/weight", array))
        vectors = {
            "gamma": np.ones_like(arrays[f"{scope}/batchnorm/beta"]),
            "beta": arrays[f"{scope}/batchnorm/beta"],
            "mean": arrays[f"{scope}/batchnorm/moving_mean"],
            "var": arrays[f"{scope}/batchnorm/moving_variance"],
        }
        wanted = [role for role in order.split() if gammas or role != "gamma"]
        variables += [(f"{scope}/BatchNorm/pop_{role}", vectors[role]) for role in wanted]
    variables += [("fc/w", np.zeros([2048, 1008], np.float32)), ("fc/b", np.zeros(1008, "f4"))]
    if not names:
        variables = [(f"v{index}", array) for index, (_, array) in enumerate(variables)]
    return variables


def vgg16_variables(arrays, heads, head_shape=(1, 1, -1, 1)):
    variables = [("std", np.float32([1, 2, 3])), *arrays.items()]
    variables += [("fc8/b", np.zeros(1000, np.float32))]
    return variables + [(name, head.reshape(head_shape)) for name, head in heads.items()]
