"""A graph of ONNX operators while it is built.

Operators are those of opset 17, files of IR version 8: old enough for the runtimes of
experiments. Only float32, int32, int64 and bool occur, for which runtimes have all
operators.
"""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

OPSET, IR_VERSION = 17, 8
INT, BOOL = np.dtype(np.int64), np.dtype(bool)
Shape = tuple[int | str, ...]  # a length, or the name of one that is not known yet
Output = tuple[Shape, np.dtype]


class Unsupported(Exception):
    """Something of a function that has no conversion."""


class Value(NamedTuple):
    """An array of the graph.

    Attributes:
        shape: as it is there. Where it must be longer, it may be 1 and is repeated
            when an operator needs that.
        data: of a constant.
        name: of an output of an operator, else "".
        dtype: of its numbers.
    """

    shape: Shape
    dtype: np.dtype
    data: np.ndarray | None = None
    name: str = ""


def known(shape: Shape) -> tuple[int, ...] | None:
    """The shape if all lengths are known."""
    lengths = tuple(length for length in shape if isinstance(length, int))
    return lengths if len(lengths) == len(shape) else None


def constant(data: Any) -> Value:
    """A value that is known; unsigned integers are kept as int64."""
    data = np.asarray(data)
    if data.dtype.kind == "u":
        data = data.astype(np.int64)
    return Value(data.shape, data.dtype, data)


class Graph:
    """Operators in their order.

    Args:
        outer: the graph in which this one is the body of a loop; it may use all values
            of the outer one.
    """

    def __init__(self, outer: "Graph | None" = None):
        self.nodes: list[Any] = []
        self.root: Graph = self if outer is None else outer.root
        if outer is None:
            self._numbers = itertools.count()
            self._constants: dict[tuple[Any, ...], Any] = {}
            self._lengths: dict[Shape, Value] = {}
            self.symbols: dict[str, tuple[str, int]] = {}

    def input(self, name: str, shape: Shape, dtype: Any) -> Value:
        """An input of the whole graph. Lengths that are not known are those of it."""
        for axis, length in enumerate(shape):
            if isinstance(length, str):
                self.root.symbols.setdefault(length, (name, axis))
        return Value(shape, np.dtype(dtype), name=name)

    def new_name(self) -> str:
        """A name that no other value has."""
        return f"v{next(self.root._numbers)}"

    def add(
        self, op: str, inputs: Sequence[Value], shape: Shape, dtype: Any, **attributes
    ) -> Value:
        """An operator with one output."""
        return self.add_several(op, inputs, [(shape, np.dtype(dtype))], **attributes)[0]

    def add_several(
        self,
        op: str,
        inputs: Sequence[Value],
        outputs: Sequence[Output],
        **attributes: Any,
    ) -> list[Value]:
        """An operator; ``outputs`` are shapes and dtypes."""
        from onnx import helper

        found = [Value(*output, name=self.new_name()) for output in outputs]
        names = [self.name_of(value) for value in inputs]
        # Some runtimes name what they make of nodes by these: each must have a name.
        node = helper.make_node(
            op, names, [v.name for v in found], f"{op}_{found[0].name}", **attributes
        )
        self.nodes.append(node)
        return found

    def name_of(self, value: Value) -> str:
        """The name by which operators use a value; equal constants are stored once."""
        if value.data is None:
            return value.name
        from onnx import numpy_helper

        data = np.ascontiguousarray(value.data).reshape(value.data.shape)
        key = (data.dtype.str, data.shape, data.tobytes())
        if key not in (stored := self.root._constants):
            stored[key] = numpy_helper.from_array(data, self.new_name())
        return stored[key].name

    def constants(self) -> list[Any]:
        """All constants that operators use."""
        return list(self.root._constants.values())

    def lengths(self, shape: Shape) -> Value:
        """A shape as a vector of the graph."""
        if known(shape) is not None:
            return constant(np.array(shape, np.int64))
        root = self.root
        if shape not in root._lengths:
            parts = []
            for length in shape:
                if isinstance(length, int):
                    parts.append(constant(np.array([length], np.int64)))
                    continue
                name, axis = root.symbols[length]
                whole = Value((), np.dtype(np.float32), name=name)
                parts.append(
                    root.add("Shape", [whole], (1,), np.int64, start=axis, end=axis + 1)
                )
            root._lengths[shape] = root.add(
                "Concat", parts, (len(shape),), np.int64, axis=0
            )
        return root._lengths[shape]

    def full(self, value: Value, shape: Shape) -> Value:
        """A value repeated until it has this shape."""
        if value.shape == shape:
            return value
        if value.data is not None and (whole := known(shape)) is not None:
            return constant(np.broadcast_to(value.data, whole))
        return self.add("Expand", [value, self.lengths(shape)], shape, value.dtype)

    def reshape(self, value: Value, shape: Shape) -> Value:
        """The same numbers in another shape."""
        if value.shape == shape:
            return value
        if value.data is not None and (whole := known(shape)) is not None:
            return constant(value.data.reshape(whole))
        unknown = [axis for axis, n in enumerate(shape) if isinstance(n, str)]
        target = self.lengths(shape)
        if len(unknown) == 1 and 0 not in shape:
            free = [-1 if isinstance(n, str) else n for n in shape]
            target = constant(np.array(free, np.int64))
        return self.add("Reshape", [value, target], shape, value.dtype)

    def transpose(self, value: Value, order: Sequence[int]) -> Value:
        """Axes in another order."""
        order = [int(axis) for axis in order]
        if order == list(range(len(order))):
            return value
        if value.data is not None:
            return constant(value.data.transpose(order))
        shape = tuple(value.shape[axis] for axis in order)
        return self.add("Transpose", [value], shape, value.dtype, perm=order)

    def cast(self, value: Value, dtype: Any) -> Value:
        """As another type of number."""
        dtype = np.dtype(dtype)
        if value.dtype == dtype:
            return value
        if value.data is not None:
            return constant(value.data.astype(dtype))
        return self.add("Cast", [value], value.shape, dtype, to=tensor_type(dtype))


def tensor_type(dtype: Any) -> int:
    """ONNX's number of a type."""
    from onnx import helper

    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
