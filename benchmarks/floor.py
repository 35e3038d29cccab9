"""The convolution-only floor: what a step's convolutions and matrix products cost alone.

The floor is taken from the step itself: its graph is traced, every Conv2D, its two gradients
and every MatMul that the step's results need are listed with their shapes (forward, backward
and second order), and each is then run by itself on random numbers, as often as the step runs
it. A step can come close to its floor but, short of other convolutions, not below it. The
graph's convolutions are already in their cheapest form: ×2 and ÷2 are part of a strided one
(networks/ops.py). Overhead, and not counted: blurs and filters, which are depthwise convolutions of
constant weights; forming the 4×4 kernels and summing a bias's gradient, which are matrix
products here only because that is the fastest way to add.
"""

from __future__ import annotations

import collections

import numpy as np
import tensorflow as tf

_PRODUCTS = ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter", "MatMul")


def products(concrete_function) -> collections.Counter:
    """{(operation, input shapes, output shape, dtype, strides and padding or transposes): how
    often}."""
    counts = collections.Counter()
    for op in _needed(concrete_function.graph):
        if op.type in _PRODUCTS and op.outputs[0].dtype.is_floating and not _is_sum(op):
            counts[_describe(op)] += 1
    return counts


def _needed(graph):
    """The operations that outputs and updates depend on: a tape also writes gradients that
    no one asks for, and TensorFlow drops them before it runs a graph."""
    ends = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    seen = {}
    while ends:
        op = ends.pop()
        if op.name not in seen:
            seen[op.name] = op
            ends += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    return seen.values()


def _is_sum(op):
    """Whether a MatMul only adds: a 4×4 kernel from a 3×3 one, or all pixels of a gradient."""
    if op.type != "MatMul":
        return False
    rows, columns = op.inputs[0].shape
    return (rows, columns) == (16, 9) or (rows <= 2 and columns > 1024)


def _describe(op):
    # Where an output's minibatch is not known statically, its gradient input tells it.
    shapes = [tuple(tensor.shape) for tensor in op.inputs]
    output = tuple(op.outputs[0].shape)
    if op.type == "Conv2DBackpropInput" and output[0] is None:
        output = (shapes[2][0], *output[1:])
    if op.type == "MatMul":
        attributes = (op.get_attr("transpose_a"), op.get_attr("transpose_b"))
    else:
        attributes = (*op.get_attr("strides"), op.get_attr("padding").decode())
    return op.type, tuple(shapes), output, op.outputs[0].dtype.name, attributes


def times(counts: collections.Counter, timed) -> np.ndarray:
    """timed(run) of every product, times how often the step runs it: one row for each."""
    rows = []
    for product, count in counts.items():
        run = _runner(product)
        run()
        rows.append(timed(run) * count)
    return np.array(rows)


def flops(counts: collections.Counter) -> float:
    """Multiplications and additions of all products."""
    total = 0.0
    for (kind, shapes, output, _, attributes), count in counts.items():
        if kind == "MatMul":
            inner = shapes[0][0] if attributes[0] else shapes[0][1]
            each = output[0] * output[1] * inner
        else:
            kernel = {"Conv2D": shapes[-1], "Conv2DBackpropInput": shapes[1]}.get(kind, output)
            pixels = output if kind == "Conv2D" else shapes[2]
            each = pixels[0] * pixels[1] * pixels[2] * _size(kernel)
        total += 2.0 * each * count
    return total


def _size(shape):
    size = 1
    for side in shape:
        size *= side
    return size


def _runner(product):
    kind, shapes, output, dtype, attributes = product

    def random(shape):
        return tf.cast(tf.random.normal(shape), dtype)

    if kind == "MatMul":
        a, b = random(shapes[0]), random(shapes[1])
        transpose_a, transpose_b = attributes
        return lambda: tf.raw_ops.MatMul(a=a, b=b, transpose_a=transpose_a, transpose_b=transpose_b)
    *strides, padding = attributes
    options = dict(strides=strides, padding=padding)
    if kind == "Conv2D":
        x, kernel = random(shapes[0]), random(shapes[1])
        return lambda: tf.raw_ops.Conv2D(input=x, filter=kernel, **options)
    sizes = tf.constant(output)
    if kind == "Conv2DBackpropInput":
        kernel, dy = random(shapes[1]), random(shapes[2])
        return lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=sizes, filter=kernel, out_backprop=dy, **options
        )
    x, dy = random(shapes[0]), random(shapes[2])
    return lambda: tf.raw_ops.Conv2DBackpropFilter(
        input=x, filter_sizes=sizes, out_backprop=dy, **options
    )
