"""A model under construction: nodes, data and names, in the order in which they are made.

The same network makes the same bytes, whatever the versions of Python, NumPy, TensorFlow and the
onnx package are: names are counted, the opset and the format's version are fixed, and data is
what elementwise arithmetic of IEEE's makes of the network's variables.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET, IR_VERSION = 17, 8  # the format's version that came with this opset
FLOAT, HALF, INT64 = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.INT64,
)
WEIGHTS = ("float32", "float16", "int8")  # how kernels and matrices may be stored
# Fewer values than this stay float16 where others are int8: they are no size, and colours are
# among them.
_LEAST_INT8 = 4096
_LARGEST_HALF = 65504.0

Shape = Sequence[Any]  # of numbers, and of names where a size is open


class Graph:
    """Values are names; each method that makes one returns its name.

    weights: one of WEIGHTS. Arithmetic is float32 in any case.
    """

    def __init__(self, weights: str = "float32") -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._data: dict[str, Any] = {}
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._names: dict[str, int] = {}
        self._constants: dict[tuple, str] = {}
        self._scopes: list[str] = []

    # ------------------------------------------------------------ what a model is made of

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """What is made inside the block has names that begin with `name`/."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of one output. inputs: values, '' for one that is left out."""
        name = self._name(kind)
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Data as it is, once for all who ask for the same."""
        array = np.ascontiguousarray(np.asarray(values, dtype)).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._datum(f"data{len(self._constants)}", array)
        return self._constants[key]

    def numbers(self, *values: int) -> str:
        """Whole numbers, [n] int64: shapes, axes, starts."""
        return self.constant(list(values), np.int64)

    def weight(self, name: str, array: np.ndarray, axis: Optional[int] = None) -> str:
        """A kernel, matrix or image, stored as `weights` says, as a float32 value.

        axis: of the output channels, which have a scale each as int8; None: never int8.
        """
        array = np.ascontiguousarray(array, np.float32)
        name, precision = self._name(name), self._precision(array, axis)
        if precision == "float32":
            return self._datum(name, array)
        if precision == "float16":
            stored = self._datum(name, array.astype(np.float16))
            return self.op("Cast", stored, to=FLOAT)
        others = tuple(index for index in range(array.ndim) if index != axis)
        scale = np.abs(array).max(axis=others, keepdims=True) / np.float32(127)
        scale = np.where(scale > 0, scale, np.float32(1))
        stored = self._datum(name, np.rint(array / scale).astype(np.int8))
        # As DequantizeLinear, but ONNX Runtime does it once, when it opens the file.
        return self.op("Mul", self.op("Cast", stored, to=FLOAT), self.constant(scale))

    def input(self, name: str, shape: Shape, element: int = FLOAT) -> str:
        """An input of the model; its own name is its value. Twice the same is one."""
        self._inputs.setdefault(name, helper.make_tensor_value_info(name, element, list(shape)))
        return name

    def output(self, name: str, value: str, shape: Shape) -> None:
        """Makes a value an output of the model."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}/output"))
        self._outputs[name] = helper.make_tensor_value_info(name, FLOAT, list(shape))

    def model(self, name: str, metadata: Mapping[str, str]) -> Any:
        """All of it as an onnx.ModelProto."""
        inputs, outputs = list(self._inputs.values()), list(self._outputs.values())
        graph = helper.make_graph(self._nodes, name, inputs, outputs, list(self._data.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version, model.producer_name = IR_VERSION, "stylegan-tensorflow2"
        helper.set_model_props(model, dict(metadata))
        return model

    # ------------------------------------------------------------ names and data

    def _name(self, last: str) -> str:
        name = "/".join([*self._scopes, last])
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count}"

    def _datum(self, name: str, array: np.ndarray) -> str:
        self._data[name] = numpy_helper.from_array(array, name)
        return name

    def _precision(self, array: np.ndarray, axis: Optional[int]) -> str:
        if self._weights == "float32" or not np.abs(array).max(initial=0) <= _LARGEST_HALF:
            return "float32"
        if self._weights == "int8" and axis is not None and array.size >= _LEAST_INT8:
            return "int8"
        return "float16"


def serialized(model: Any) -> bytes:
    """The bytes of a model's file."""
    return model.SerializeToString(deterministic=True)
