"""Primitives of JAX that go number by number, in ONNX.

``OPERATORS``: name to ``(graph, values, params, dtype) -> value``. Axes of length 1 are
repeated by ONNX itself, so that the values need not have their full shape.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax.lax import RoundingMethod

from jetvae_jax.runs.export.onnx_graph.graph import (
    BOOL,
    Graph,
    Unsupported,
    Value,
    constant,
)


def each(graph: Graph, op: str, *values: Value, dtype: Any = None, **attributes: Any):
    """An operator on numbers of arrays that may be repeated."""
    rank = max(len(value.shape) for value in values)
    shape: list[int | str] = [1] * rank
    for value in values:
        for axis, length in enumerate(value.shape, rank - len(value.shape)):
            if length != 1:
                shape[axis] = length
    dtype = values[0].dtype if dtype is None else dtype
    return graph.add(op, values, tuple(shape), dtype, **attributes)


def like(value: Value, number: float) -> Value:
    """A number of the same type."""
    return constant(np.array(number, value.dtype))


def _plain(op: str) -> Callable[..., Value]:
    """The operator that is the primitive."""
    return lambda graph, values, params, dtype: each(graph, op, *values, dtype=dtype)


def _of(function: Callable[..., Value]) -> Callable[..., Value]:
    """A primitive without parameters, composed of several operators."""
    return lambda graph, values, params, dtype: function(graph, *values)


def _not_equal(graph: Graph, x: Value, y: Value) -> Value:
    return each(graph, "Not", each(graph, "Equal", x, y, dtype=BOOL))


def _is_finite(graph: Graph, x: Value) -> Value:
    infinite = each(graph, "IsInf", x, dtype=BOOL)
    nan = each(graph, "IsNaN", x, dtype=BOOL)
    return each(graph, "Not", each(graph, "Or", infinite, nan))


def _rsqrt(graph: Graph, x: Value) -> Value:
    return each(graph, "Reciprocal", each(graph, "Sqrt", x))


def _square(graph: Graph, x: Value) -> Value:
    return each(graph, "Mul", x, x)


def _log1p(graph: Graph, x: Value) -> Value:
    """``log(u) x / (u - 1)`` with ``u = 1 + x``: the rounding of u cancels."""
    one = like(x, 1)
    u = each(graph, "Add", x, one)
    small = each(graph, "Equal", u, one, dtype=BOOL)
    rounded = each(graph, "Where", small, one, each(graph, "Sub", u, one),
                   dtype=x.dtype)  # fmt: skip
    corrected = each(
        graph, "Mul", each(graph, "Log", u), each(graph, "Div", x, rounded)
    )
    infinite = each(graph, "IsInf", x, dtype=BOOL)
    corrected = each(graph, "Where", infinite, x, corrected, dtype=x.dtype)
    return each(graph, "Where", small, x, corrected, dtype=x.dtype)


def _expm1(graph: Graph, x: Value) -> Value:
    """``tanh(x / 2) (exp(x) + 1)`` for small x, which loses no digits."""
    one, half = like(x, 1), like(x, 0.5)
    exp = each(graph, "Exp", x)
    tanh = each(graph, "Tanh", each(graph, "Mul", x, half))
    exact = each(graph, "Mul", tanh, each(graph, "Add", exp, one))
    small = each(graph, "Less", each(graph, "Abs", x), half, dtype=BOOL)
    return each(graph, "Where", small, exact, each(graph, "Sub", exp, one),
                dtype=x.dtype)  # fmt: skip


def _atan2(graph: Graph, y: Value, x: Value) -> Value:
    """The angle of (x, y): the arc tangent, turned by pi where x is negative."""
    zero = like(x, 0)
    right = each(graph, "Greater", x, zero, dtype=BOOL)
    up = each(graph, "GreaterOrEqual", y, zero, dtype=BOOL)
    middle = each(graph, "Equal", x, zero, dtype=BOOL)
    safe = each(graph, "Where", middle, like(x, 1), x, dtype=x.dtype)
    angle = each(graph, "Atan", each(graph, "Div", y, safe))
    turn = each(graph, "Where", up, like(x, math.pi), like(x, -math.pi), dtype=x.dtype)
    turned = each(graph, "Add", angle, turn)
    angle = each(graph, "Where", right, angle, turned, dtype=x.dtype)
    vertical = each(graph, "Mul", each(graph, "Sign", y), like(x, math.pi / 2))
    return each(graph, "Where", middle, vertical, angle, dtype=x.dtype)


def _select(graph: Graph, values: Sequence[Value], params: Any, dtype: Any) -> Value:
    if len(values) != 3 or values[0].dtype != BOOL:
        raise Unsupported("a choice among more than two arrays")
    which, no, yes = values
    if dtype != BOOL:
        return each(graph, "Where", which, yes, no, dtype=dtype)
    yes = each(graph, "And", which, yes)
    return each(graph, "Or", yes, each(graph, "And", each(graph, "Not", which), no))


def _power(graph: Graph, values: Sequence[Value], params: Any, dtype: Any) -> Value:
    (x,), n = values, params["y"]
    if n in (2, 3):
        square = each(graph, "Mul", x, x)
        return square if n == 2 else each(graph, "Mul", square, x)
    return each(graph, "Pow", x, like(x, n))


def _round(graph: Graph, values: Sequence[Value], params: Any, dtype: Any) -> Value:
    if params["rounding_method"] != RoundingMethod.TO_NEAREST_EVEN:
        raise Unsupported("rounding away from zero")
    return each(graph, "Round", *values)


def _rem(graph: Graph, values: Sequence[Value], params: Any, dtype: Any) -> Value:
    return each(graph, "Mod", *values, fmod=1)


def clamp(graph: Graph, low: Value, x: Value, high: Value) -> Value:
    """The nearest number from low to high."""
    return each(graph, "Min", each(graph, "Max", x, low), high)


def _logical(op: str) -> Callable[..., Value]:
    def convert(graph: Graph, values: Sequence[Value], params: Any, dtype: Any):
        if dtype != BOOL:
            raise Unsupported("an operation on bits")
        return each(graph, op, *values)

    return convert


def _cast(graph: Graph, values: Sequence[Value], params: Any, dtype: Any) -> Value:
    return graph.cast(values[0], dtype)


def _same(graph: Graph, values: Sequence[Value], params: Any, dtype: Any) -> Value:
    return values[0]


OPERATORS = {
    "abs": _plain("Abs"),
    "acos": _plain("Acos"),
    "acosh": _plain("Acosh"),
    "add": _plain("Add"),
    "add_any": _plain("Add"),
    "and": _logical("And"),
    "asin": _plain("Asin"),
    "asinh": _plain("Asinh"),
    "atan": _plain("Atan"),
    "atan2": _of(_atan2),
    "atanh": _plain("Atanh"),
    "ceil": _plain("Ceil"),
    "clamp": _of(clamp),
    "convert_element_type": _cast,
    "copy": _same,
    "copy_p": _same,
    "cos": _plain("Cos"),
    "cosh": _plain("Cosh"),
    "div": _plain("Div"),
    "eq": _plain("Equal"),
    "erf": _plain("Erf"),
    "exp": _plain("Exp"),
    "expm1": _of(_expm1),
    "floor": _plain("Floor"),
    "ge": _plain("GreaterOrEqual"),
    "gt": _plain("Greater"),
    "integer_pow": _power,
    "is_finite": _of(_is_finite),
    "le": _plain("LessOrEqual"),
    "log": _plain("Log"),
    "log1p": _of(_log1p),
    "logistic": _plain("Sigmoid"),
    "lt": _plain("Less"),
    "lt_to": _plain("Less"),  # differs for NaN only
    "max": _plain("Max"),
    "min": _plain("Min"),
    "mul": _plain("Mul"),
    "ne": _of(_not_equal),
    "neg": _plain("Neg"),
    "not": _logical("Not"),
    "or": _logical("Or"),
    "pow": _plain("Pow"),
    "rem": _rem,
    "round": _round,
    "rsqrt": _of(_rsqrt),
    "select_n": _select,
    "sign": _plain("Sign"),
    "sin": _plain("Sin"),
    "sinh": _plain("Sinh"),
    "sqrt": _plain("Sqrt"),
    "square": _of(_square),
    "stop_gradient": _same,
    "sub": _plain("Sub"),
    "tan": _plain("Tan"),
    "tanh": _plain("Tanh"),
    "xor": _logical("Xor"),
}
