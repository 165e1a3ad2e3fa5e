"""Primitives of JAX that move, choose and combine numbers of arrays, in ONNX.

Two tables, by what the operators need of their inputs:

- ``LAZY``: one input, whose repeated axes may stay of length 1:
  ``(graph, value, params, (shape, dtype)) -> value``;
- ``WHOLE``: inputs of full shape:
  ``(graph, values, params, [(shape, dtype), ...]) -> values``.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from jax.lax import GatherScatterMode

from jetvae_jax.runs.export.onnx_graph.elementwise import clamp, each, like
from jetvae_jax.runs.export.onnx_graph.graph import (
    BOOL,
    INT,
    Graph,
    Output,
    Unsupported,
    Value,
    constant,
)


def _broadcast(graph: Graph, x: Value, params: Any, output: Output) -> Value:
    shape: list[int | str] = [1] * len(output[0])
    for axis, length in zip(params["broadcast_dimensions"], x.shape, strict=True):
        shape[axis] = length
    return graph.reshape(x, tuple(shape))


def _transpose(graph: Graph, x: Value, params: Any, output: Output) -> Value:
    return graph.transpose(x, params["permutation"])


def _squeeze(graph: Graph, x: Value, params: Any, output: Output) -> Value:
    gone = {axis % len(x.shape) for axis in params["dimensions"]}
    kept = [length for axis, length in enumerate(x.shape) if axis not in gone]
    return graph.reshape(x, tuple(kept))


LAZY = {
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "squeeze": _squeeze,
}


def _one(function: Callable[..., Value]) -> Callable[..., list[Value]]:
    """Of a primitive with one output."""

    def convert(
        graph: Graph, values: Sequence[Value], params: Any, outputs: Sequence[Output]
    ) -> list[Value]:
        (output,) = outputs
        return [function(graph, values, params, output)]

    return convert


def _vector(*numbers: int) -> Value:
    return constant(np.array(numbers, INT))


def _reshape(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    if params.get("dimensions") is not None:
        raise Unsupported("a reshape that also transposes")
    return graph.reshape(values[0], output[0])


def _concatenate(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    return graph.add("Concat", values, *output, axis=int(params["dimension"]))


def _stack(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    axis = int(params["axis"])
    shape = (*output[0][:axis], 1, *output[0][axis + 1 :])
    rows = [graph.reshape(value, shape) for value in values]
    return graph.add("Concat", rows, *output, axis=axis)


def _tile(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    return graph.add("Tile", [values[0], _vector(*params["reps"])], *output)


def _split(
    graph: Graph, values: Sequence[Value], params: Any, outputs: Sequence[Output]
) -> list[Value]:
    sizes = _vector(*params["sizes"])
    return graph.add_several(
        "Split", [values[0], sizes], outputs, axis=int(params["axis"])
    )


def _slice(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    (x,) = values
    strides = params["strides"] or (1,) * len(x.shape)
    limits = zip(
        params["start_indices"], params["limit_indices"], strides, x.shape, output[0],
        strict=True,
    )  # fmt: skip
    cuts = []
    for axis, (start, stop, step, before, after) in enumerate(limits):
        if before != after:
            if not isinstance(before, int) or not isinstance(after, int):
                raise Unsupported("a part of an axis of unknown length")
            cuts.append((int(start), int(stop), axis, int(step)))
    if not cuts:
        return x
    bounds = [_vector(*column) for column in zip(*cuts, strict=True)]
    return graph.add("Slice", [x, *bounds], *output)


def _rev(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    axes = [int(axis) for axis in params["dimensions"]]
    ones = [-1] * len(axes)
    bounds = [_vector(*ones), _vector(*[np.iinfo(INT).min] * len(axes)),
              _vector(*axes), _vector(*ones)]  # fmt: skip
    return graph.add("Slice", [values[0], *bounds], *output)


def _pad(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    low, high, inside = zip(*params["padding_config"], strict=True)
    if any(inside):
        raise Unsupported("padding between numbers")
    x, fill = values
    return graph.add("Pad", [x, _vector(*low, *high), fill], *output)


def _reduce(op: str) -> Callable[..., list[Value]]:
    def convert(graph: Graph, values: Sequence[Value], params: Any, output: Output):
        (x,), axes = values, [int(axis) for axis in params["axes"]]
        if not axes:
            return x
        if op == "ReduceSum":  # the one of these whose axes are an input
            return graph.add(op, [x, _vector(*axes)], *output, keepdims=0)
        return graph.add(op, [x], *output, axes=axes, keepdims=0)

    return _one(convert)


def _reduce_logical(op: str) -> Callable[..., list[Value]]:
    def convert(graph: Graph, values: Sequence[Value], params: Any, output: Output):
        axes = [int(axis) for axis in params["axes"]]
        x = graph.cast(values[0], np.int32)
        found = graph.add(op, [x], output[0], np.int32, axes=axes, keepdims=0)
        return graph.cast(found, BOOL)

    return _one(convert)


def _arg(op: str) -> Callable[..., list[Value]]:
    def convert(graph: Graph, values: Sequence[Value], params: Any, output: Output):
        (axis,) = params["axes"]
        shape, dtype = output
        found = graph.add(op, [values[0]], shape, INT, axis=int(axis), keepdims=0)
        return graph.cast(found, dtype)

    return _one(convert)


def _cumsum(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    axis = constant(np.array(int(params["axis"]), INT))
    reverse = int(params["reverse"])
    return graph.add("CumSum", [values[0], axis], *output, reverse=reverse)


def _dot(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    """A product of matrices: axes in both, those of one, those that are summed."""
    (x_sum, y_sum), (x_same, y_same) = params["dimension_numbers"]
    x, y = (graph.cast(value, output[1]) for value in values)
    last = len(x.shape) - 1
    if not x_same and len(y.shape) == 2 and (*x_sum, *y_sum) == (last, 0):
        return graph.add("MatMul", [x, y], *output)
    x_own = [a for a in range(len(x.shape)) if a not in (*x_same, *x_sum)]
    y_own = [a for a in range(len(y.shape)) if a not in (*y_same, *y_sum)]
    same, summed = [x.shape[a] for a in x_same], _size(x.shape[a] for a in x_sum)
    rows, columns = (
        _size(v.shape[a] for a in own) for v, own in ((x, x_own), (y, y_own))
    )
    # A vector is the right factor: so the matrix need not be transposed.
    if not x_own:
        x, x_same, x_own, x_sum, y, y_same, y_own, y_sum = (
            y, y_same, y_own, y_sum, x, x_same, x_own, x_sum,
        )  # fmt: skip
        rows, columns = columns, rows
    x = graph.transpose(x, (*x_same, *x_own, *x_sum))
    y = graph.transpose(y, (*y_same, *y_sum, *y_own))
    x = graph.reshape(x, (*same, rows, summed))
    y = graph.reshape(y, (*same, summed, columns))
    found = graph.add("MatMul", [x, y], (*same, rows, columns), x.dtype)
    return graph.reshape(found, output[0])


def _size(shape: Iterable[Any]) -> Any:
    """The number of entries; one unknown length may be there, alone."""
    shape = [length for length in shape if length != 1]
    if any(isinstance(length, str) for length in shape):
        if len(shape) > 1:
            raise Unsupported("a product of matrices along several axes")
        return shape[0]
    return math.prod(shape)


def _gather(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    """Slices that are whole, or one number long, along each axis: ``GatherND``."""
    x, index = values
    dn, sizes = params["dimension_numbers"], params["slice_sizes"]
    same, at = dn.operand_batching_dims, dn.start_index_map
    rest = [a for a in range(len(x.shape)) if a not in (*same, *at)]
    whole = all(str(sizes[a]) == str(x.shape[a]) for a in rest)
    if not whole or any(sizes[a] != 1 for a in (*same, *at)):
        raise Unsupported("a gather of parts of rows")
    if any(not isinstance(x.shape[a], int) for a in at):
        raise Unsupported("a gather along an axis of unknown length")
    last = len(index.shape) - 1
    index_same = dn.start_indices_batching_dims
    index_rest = [a for a in range(last) if a not in index_same]
    index = graph.transpose(index, (*index_same, *index_rest, last))
    x = graph.transpose(x, (*same, *at, *rest))
    sizes_at = x.shape[len(same) : len(same) + len(at)]
    index, inside = _within(graph, index, sizes_at, params["mode"])
    shape = (*index.shape[:-1], *x.shape[len(same) + len(at) :])
    found = graph.add("GatherND", [x, index], shape, x.dtype, batch_dims=len(same))
    if inside is not None:
        fill = params["fill_value"]
        if fill is None:
            fill = np.nan if x.dtype.kind == "f" else np.iinfo(x.dtype).min
        inside = graph.reshape(inside, (*index.shape[:-1], *[1] * len(rest)))
        found = each(graph, "Where", inside, found, like(x, fill), dtype=x.dtype)
    # Now in the order of the primitive: axes of slices where it wants them, the others
    # as they are in the index; those of length one last.
    labels = [("index", a) for a in (*index_same, *index_rest)]
    labels += [("slice", a) for a in rest]
    gone = {*dn.collapsed_slice_dims, *same}
    slices = iter([("slice", a) for a in range(len(sizes)) if a not in gone])
    others = iter([("index", a) for a in range(last)])
    wanted = [
        next(slices) if a in dn.offset_dims else next(others)
        for a in range(len(output[0]))
    ]
    order = [labels.index(label) for label in wanted if label in labels]
    return graph.reshape(graph.transpose(found, order), output[0])


def _within(
    graph: Graph, index: Value, sizes: Sequence[Any], mode: Any
) -> tuple[Value, Value | None]:
    """An index that exists, and whether the one given did, where the mode asks."""
    index = graph.cast(index, INT)
    if mode == GatherScatterMode.PROMISE_IN_BOUNDS:
        return index, None
    last = constant(np.array(sizes, INT) - 1)
    safe = clamp(graph, like(index, 0), index, last)
    if mode == GatherScatterMode.CLIP:
        return safe, None
    equal = graph.cast(each(graph, "Equal", safe, index, dtype=BOOL), np.int32)
    axis = len(index.shape) - 1
    inside = graph.add("ReduceMin", [equal], index.shape[:-1], np.int32, axes=[axis],
                       keepdims=0)  # fmt: skip
    return safe, graph.cast(inside, BOOL)


def _replace(graph: Graph, x: Value, rows: Value, starts: list[Value]) -> Value:
    """An array of which some rows, along one axis, are others."""
    cut = [a for a in range(len(x.shape)) if x.shape[a] != rows.shape[a]]
    if not cut:
        return rows
    if len(cut) > 1:
        raise Unsupported("an update along several axes")
    (axis,) = cut
    size, count = x.shape[axis], rows.shape[axis]
    if not isinstance(size, int) or not isinstance(count, int):
        raise Unsupported("a part of an axis of unknown length")
    start = _start(graph, starts[axis], size - count)
    stop = each(graph, "Add", start, _vector(count))
    # Their lengths are known when it runs only; that of all three together is known.
    before = graph.add("Slice", [x, _vector(0), start, _vector(axis)], (), x.dtype)
    after = graph.add("Slice", [x, stop, _vector(size), _vector(axis)], (), x.dtype)
    return graph.add("Concat", [before, rows, after], x.shape, x.dtype, axis=axis)


def _start(graph: Graph, start: Value, last: int) -> Value:
    """Where a slice begins, so that all of it is there, as a vector of one number."""
    start = graph.cast(start, INT)
    start = clamp(graph, like(start, 0), start, like(start, last))
    return graph.reshape(start, (1,))


def _update(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    x, row, *starts = values
    return _replace(graph, x, row, starts)


def _scatter(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    """That of ``dynamic_update_slice`` under ``vmap``: one place for all."""
    x, index, row = values
    dn = params["dimension_numbers"]
    whole = len(dn.update_window_dims) == len(x.shape) and len(index.shape) == 1
    if not whole or params["mode"] != GatherScatterMode.CLIP:
        raise Unsupported("a scatter to several places")
    starts = [constant(np.array(0, INT))] * len(x.shape)
    for i, axis in enumerate(dn.scatter_dims_to_operand_dims):
        part = [index, *(_vector(n) for n in (i, i + 1, 0))]
        found = graph.add("Slice", part, (1,), index.dtype)
        starts[axis] = graph.reshape(found, ())
    return _replace(graph, x, row, starts)


def _dynamic_slice(graph: Graph, values: Sequence[Value], params: Any, output: Output):
    x, *starts = values
    for axis, (size, start) in enumerate(
        zip(params["slice_sizes"], starts, strict=True)
    ):
        length = x.shape[axis]
        if str(length) == str(size):
            continue
        if not isinstance(length, int):
            raise Unsupported("a part of an axis of unknown length")
        start = _start(graph, start, length - size)
        stop = each(graph, "Add", start, _vector(size))
        shape = (*x.shape[:axis], int(size), *x.shape[axis + 1 :])
        x = graph.add("Slice", [x, start, stop, _vector(axis)], shape, x.dtype)
    return x


WHOLE = {
    "argmax": _arg("ArgMax"),
    "argmin": _arg("ArgMin"),
    "concatenate": _one(_concatenate),
    "cumsum": _one(_cumsum),
    "dot_general": _one(_dot),
    "dynamic_slice": _one(_dynamic_slice),
    "dynamic_update_slice": _one(_update),
    "gather": _one(_gather),
    "pad": _one(_pad),
    "reduce_and": _reduce_logical("ReduceMin"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_or": _reduce_logical("ReduceMax"),
    "reduce_prod": _reduce("ReduceProd"),
    "reduce_sum": _reduce("ReduceSum"),
    "reshape": _one(_reshape),
    "rev": _one(_rev),
    "scatter": _one(_scatter),
    "slice": _one(_slice),
    "split": _split,
    "stack": _one(_stack),
    "tile": _one(_tile),
}
