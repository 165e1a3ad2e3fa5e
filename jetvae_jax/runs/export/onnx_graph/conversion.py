"""From a JAX function to an ONNX model: each primitive becomes a few operators.

Functions inside functions are written out, constants are computed once, ``lax.scan`` is
ONNX's ``Scan``. What :mod:`~jetvae_jax.runs.export.onnx_graph.elementwise` and
:mod:`~jetvae_jax.runs.export.onnx_graph.arrays` do not know is an error that names it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.export
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.runs.export.onnx_graph import arrays, elementwise
from jetvae_jax.runs.export.onnx_graph.graph import (
    IR_VERSION,
    OPSET,
    Graph,
    Output,
    Shape,
    Unsupported,
    Value,
    constant,
    known,
    tensor_type,
)

# Primitives that hold a function and mean no more than that function.
WRAPPERS = {
    **dict.fromkeys(("jit", "pjit", "closed_call", "remat", "checkpoint"), "jaxpr"),
    **dict.fromkeys(("custom_jvp_call", "custom_vjp_call"), "call_jaxpr"),
}


def model(
    function: Callable[..., Sequence[Any]],
    inputs: dict[str, jax.ShapeDtypeStruct],
    outputs: Sequence[str],
) -> Any:
    """A function as an ``onnx.ModelProto``.

    Args:
        function: of arrays, to a tuple of arrays.
        inputs: name to shape and type; one length may be a symbol, see
            :func:`jax.export.symbolic_shape`.
        outputs: names.

    Raises:
        InputError: the function has a primitive that is not converted.
    """
    from onnx import checker, helper

    traced = jax.make_jaxpr(function)(*inputs.values())
    graph = Graph()
    given = [graph.input(name, lengths(x.shape), x.dtype) for name, x in inputs.items()]
    try:
        found = convert(graph, traced.jaxpr, list(map(constant, traced.consts)), given)
    except Unsupported as error:
        raise InputError(
            f"--export.output: ONNX: {error} is not converted: export to .stablehlo"
        ) from error
    results = []
    for name, value, variable in zip(outputs, found, traced.jaxpr.outvars, strict=True):
        value = graph.full(value, lengths(variable.aval.shape))
        node = helper.make_node("Identity", [graph.name_of(value)], [name], name)
        graph.nodes.append(node)
        results.append(value._replace(name=name, data=None))
    body = helper.make_graph(
        graph.nodes, "generator", list(map(typed, given)), list(map(typed, results)),
        initializer=graph.constants(),
    )  # fmt: skip
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(body, opset_imports=[opset], ir_version=IR_VERSION)
    made.producer_name = "jetvae_jax"
    checker.check_model(made)
    return made


def typed(value: Value) -> Any:
    """Name, shape and type of an input or output."""
    from onnx import helper

    return helper.make_tensor_value_info(
        value.name, tensor_type(value.dtype), value.shape
    )


def lengths(shape: Sequence[Any]) -> Shape:
    """A shape of JAX with symbols as strings."""
    return tuple(map(_length, shape))


def _length(n: Any) -> int | str:
    if not jax.export.is_symbolic_dim(n):
        return int(n)
    if not str(n).isidentifier():
        raise Unsupported(f"an axis of length {n}")
    return str(n)


def convert(
    graph: Graph, jaxpr: Any, consts: list[Value], given: list[Value]
) -> list[Value]:
    """Add the equations of a jaxpr to the graph, and return its outputs."""
    values = dict(zip(jaxpr.constvars, consts, strict=True))
    values |= dict(zip(jaxpr.invars, given, strict=True))

    def read(variable: Any) -> Value:
        literal = hasattr(variable, "val")
        if not literal:
            return values[variable]
        return constant(np.asarray(variable.val, variable.aval.dtype))

    for equation in jaxpr.eqns:
        results = _equation(graph, equation, list(map(read, equation.invars)))
        values |= dict(zip(equation.outvars, results, strict=True))
    return list(map(read, jaxpr.outvars))


def _equation(graph: Graph, equation: Any, values: list[Value]) -> list[Value]:
    name, params = equation.primitive.name, equation.params
    if name in WRAPPERS:
        inner = params[WRAPPERS[name]]
        consts = [constant(c) for c in getattr(inner, "consts", ())]
        return convert(graph, getattr(inner, "jaxpr", inner), consts, values)
    shapes = [lengths(v.aval.shape) for v in equation.invars]
    outputs = [(lengths(v.aval.shape), _dtype(v.aval.dtype)) for v in equation.outvars]
    if all(0 in shape for shape, _ in outputs):  # nothing, of any number of jets
        return [constant(np.zeros(_at_least(s), d)) for s, d in outputs]
    if name == "scan":
        values = [graph.full(v, s) for v, s in zip(values, shapes, strict=True)]
        return _scan(graph, params, values, outputs)
    if name in elementwise.OPERATORS:
        if (data := _data(values)) is not None:
            return _evaluated(equation, np.broadcast_arrays(*data))
        return [elementwise.OPERATORS[name](graph, values, params, outputs[0][1])]
    if name in arrays.LAZY:
        return [arrays.LAZY[name](graph, values[0], params, outputs[0])]
    values = [graph.full(v, s) for v, s in zip(values, shapes, strict=True)]
    whole = all(known(shape) is not None for shape, _ in outputs)
    if whole and (data := _data(values)) is not None:
        return _evaluated(equation, data)
    if name not in arrays.WHOLE:
        raise Unsupported(f"the primitive {name!r}")
    return arrays.WHOLE[name](graph, values, params, outputs)


def _at_least(shape: Shape) -> tuple[int, ...]:
    return tuple(n if isinstance(n, int) else 1 for n in shape)


def _data(values: list[Value]) -> list[np.ndarray] | None:
    """The numbers, if all are constants."""
    data = [value.data for value in values if value.data is not None]
    return data if len(data) == len(values) else None


def _evaluated(equation: Any, data: Sequence[np.ndarray]) -> list[Value]:
    """The outputs of an equation whose inputs are known."""
    data = [
        np.asarray(d, v.aval.dtype) for d, v in zip(data, equation.invars, strict=True)
    ]
    found = equation.primitive.bind(*data, **equation.params)
    return list(
        map(constant, found if equation.primitive.multiple_results else [found])
    )


def _scan(
    graph: Graph, params: Any, values: list[Value], outputs: list[Output]
) -> list[Value]:
    """``lax.scan``: state, then what is read row by row; constants are seen as such."""
    from onnx import helper

    first = params["num_consts"]
    second = first + params["num_carry"]
    consts, states, rows = values[:first], values[first:second], values[second:]
    body, closed = Graph(graph), params["jaxpr"]
    given = [Value(v.shape, v.dtype, name=graph.new_name()) for v in states]
    given += [Value(v.shape[1:], v.dtype, name=graph.new_name()) for v in rows]
    inner = list(map(constant, closed.consts))
    found = convert(body, closed.jaxpr, inner, consts + given)
    if not rows:  # Scan counts the rows of what it reads
        rows = [constant(np.arange(params["length"]))]
        given.append(Value((), rows[0].dtype, name=graph.new_name()))
    results, made = [], {name for node in body.nodes for name in node.output}
    for value, variable in zip(found, closed.jaxpr.outvars, strict=True):
        value = body.full(value, lengths(variable.aval.shape))
        if value.name not in made:  # an output is one of an operator, and once
            value = body.add("Identity", [value], value.shape, value.dtype)
        made.discard(value.name)
        results.append(value)
    loop = helper.make_graph(
        body.nodes, "step", list(map(typed, given)), list(map(typed, results))
    )
    backwards = [int(params["reverse"])]
    return graph.add_several(
        "Scan", states + rows, outputs, body=loop, num_scan_inputs=len(rows),
        scan_input_directions=backwards * len(rows) or None,
        scan_output_directions=backwards * (len(results) - len(states)) or None,
    )  # fmt: skip


def _dtype(dtype: Any) -> np.dtype:
    """The type in the graph: unsigned integers are counted in int64."""
    dtype = np.dtype(dtype)
    return np.dtype(np.int64) if dtype.kind == "u" else dtype
