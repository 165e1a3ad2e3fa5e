"""What a training needs: parameters, and memory of one step, before it is compiled.

The estimate follows the jaxpr of a step: every array lives from the operation that
makes it to the last one that takes it. Elementwise results that are taken once are
fused by XLA and are not counted. It was 0.75 to 1.1 of what XLA allocates for the
models of this package.
"""

import math
import os
import pathlib
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
from absl import logging
from jax.extend import core

from jetvae_jax.core.errors import InputError

# Operations whose results XLA writes to memory; others are fused into those that
# take them, where that is one.
_STORED = frozenset({
    "dot_general", "conv_general_dilated", "scan", "while", "cond", "sort", "gather",
    "scatter", "scatter-add", "cumsum", "cumprod", "cummax", "concatenate", "top_k",
    "triangular_solve", "cholesky", "custom_call", "reduce_sum", "reduce_max",
    "argmin", "argmax", "dynamic_slice", "dynamic_update_slice",
})  # fmt: skip


def shapes(name: str, init: Any) -> Any:
    """Shapes and dtypes of the state that ``init(key)`` makes, which is not made.

    Raises:
        InputError: they are beyond what an array can be.
    """
    try:
        return jax.eval_shape(init, jax.random.key(0))
    except (OverflowError, MemoryError) as error:
        raise InputError(
            f"{name}: its parameters are more than any memory ({error}): give smaller "
            "layers or latent_dim"
        ) from None


def announce(name: str, unit: str, rows: int, state: Any, jaxpr: Any) -> None:
    """Logs parameters and memory of a step, and stops what cannot fit.

    Args:
        name: of the model, for the message.
        unit: of the samples there.
        rows: of a batch.
        state: shapes of a TrainState.
        jaxpr: of a step, as ``jax.make_jaxpr`` gives it.

    Raises:
        InputError: the parameters, their gradients and the optimiser's state alone
            are more than the memory.
    """
    number = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
    least = _bytes(state) + _bytes(state.params)
    step = max(peak_bytes(jaxpr.jaxpr), least)
    free = available_bytes()
    has = "" if free is None else f", of {_text(free)} available"
    needs = f"{name}: {_count(number)} parameters, about {_text(step)} for a step of "
    needs += f"{rows:,} {unit}{has}"
    if free is not None and least > free:
        raise InputError(
            f"{name}: {_count(number)} parameters, with their gradients and the "
            f"optimiser's state {_text(least)}{has}: give smaller layers or latent_dim"
        )
    if free is not None and step > free:
        remedy = "--train.microbatch_size, or a smaller --train.batch_size, needs less"
        logging.warning("%s: %s", needs, remedy)
    else:
        logging.info("%s", needs)


def peak_bytes(jaxpr: Any) -> int:
    """The most memory that the arrays of a jaxpr take at once, its inputs included."""
    uses = Counter(v for e in jaxpr.eqns for v in e.invars if isinstance(v, core.Var))
    uses.update(v for v in jaxpr.outvars if isinstance(v, core.Var))
    sizes = {v: _size(v.aval) for v in (*jaxpr.invars, *jaxpr.constvars)}
    live = peak = sum(sizes.values())
    for equation in jaxpr.eqns:
        primitive = equation.primitive.name
        inner = [p for value in equation.params.values() for p in _jaxprs(value)]
        for v in equation.outvars:
            fused = uses[v] == 1 and primitive not in _STORED and not inner
            sizes[v] = 0 if fused else _size(v.aval)
            live += sizes[v]
        ends = sum(_size(v.aval) for v in (*equation.invars, *equation.outvars))
        more = max((peak_bytes(p) - ends for p in inner), default=0)
        peak = max(peak, live + max(more, 0))
        for v in {v for v in equation.invars if isinstance(v, core.Var)}:
            uses[v] -= equation.invars.count(v)
            if not uses[v]:
                live -= sizes.get(v, 0)
    return peak


def available_bytes() -> int | None:
    """Free memory of the device, or of this machine and its container; None unknown."""
    stats = jax.local_devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    found = []
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(1024 * int(line.split()[1]))
    folder = pathlib.Path("/sys/fs/cgroup")
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        texts = [_read(folder / name).strip() for name in (limit, used)]
        if all(text.isdigit() for text in texts):
            found.append(max(int(texts[0]) - int(texts[1]), 0))
    return min(found, default=None)


def _read(path: str | os.PathLike) -> str:
    try:
        return pathlib.Path(path).read_text()
    except OSError:
        return ""


def _jaxprs(value: Any) -> list[Any]:
    """Jaxprs in a parameter of an operation."""
    if isinstance(value, core.ClosedJaxpr):
        return [value.jaxpr]
    if isinstance(value, core.Jaxpr):
        return [value]
    if isinstance(value, tuple | list):
        return [p for item in value for p in _jaxprs(item)]
    return []


def _size(aval: Any) -> int:
    shape, dtype = getattr(aval, "shape", ()), getattr(aval, "dtype", None)
    if dtype is None:
        return 0
    item = 8 if jnp.issubdtype(dtype, jax.dtypes.prng_key) else dtype.itemsize
    return math.prod(shape) * item


def _bytes(tree: Any) -> int:
    return sum(_size(leaf) for leaf in jax.tree.leaves(tree))


def _text(size: float) -> str:
    return _scaled(size, ("B", "kB", "MB", "GB", "TB", "PB"))


def _count(number: int) -> str:
    if number < 1e6:
        return f"{number:,}"
    return _scaled(number / 1e6, ("million", "billion", "thousand billion"))


def _scaled(value: float, units: tuple[str, ...]) -> str:
    power = 0
    while value >= 1000 and power < len(units) - 1:
        value, power = value / 1000, power + 1
    return f"{value:,.3g} {units[power]}"
