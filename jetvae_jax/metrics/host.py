"""How metrics compute: in NumPy or JAX, in chunks, on all cores of the host."""

import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import for_jax

CHUNK = 10_000

_thread = threading.local()


def namespace(*arrays: object) -> ModuleType:
    """NumPy for values in the host's memory, ``jax.numpy`` for all others.

    XLA sorts many times slower on a CPU than NumPy does, so arrays on the CPU go to
    NumPy; traced arrays and arrays on an accelerator stay in JAX.
    """
    return jnp if any(map(_stays_in_jax, arrays)) else np


def traced(*arrays: object) -> bool:
    """Whether an array is of a function that JAX transforms: jit, vmap or grad."""
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def _stays_in_jax(array: object) -> bool:
    return traced(array) or (
        isinstance(array, jax.Array)
        and any(device.platform != "cpu" for device in array.devices())
    )


def map_chunks(function: Callable[..., Any], *args: Any, size: int = CHUNK) -> Any:
    """Applies a function of jets to a sample, jitted, in chunks of one size.

    The last chunk is filled up with copies of its last jet, so that one compiled
    program serves all; intermediate arrays never exceed one chunk, or one for each core
    of a CPU. Within jit, vmap or grad it is the function itself, of all jets at once.

    Args:
        function: pytrees with leading axis J to a pytree with leading axis J.
        *args: the pytrees, all with the same J > 0.
        size: jets per chunk.

    Returns:
        NumPy arrays in the function's tree, leading axis J.
    """
    if traced(*jax.tree.leaves(args)):
        return function(*args)
    args = jax.tree.map(for_jax, args)
    count = len(jax.tree.leaves(args)[0])
    size = min(size, count)
    compiled = jax.jit(function)

    def compute(start: int) -> Any:
        rows = np.arange(start, start + size)
        full = rows[-1] < count
        rows = slice(start, start + size) if full else np.minimum(rows, count - 1)
        return compiled(*jax.tree.map(lambda a: a[rows], args))

    def write(start: int, part: Any) -> None:
        for array, found in zip(*map(jax.tree.leaves, (whole, part)), strict=True):
            array[start : start + size] = np.asarray(found)[: count - start]

    first = compute(0)
    # Written where it stays: never two copies of a sample.
    whole = jax.tree.map(lambda a: np.empty((count, *a.shape[1:]), a.dtype), first)
    write(0, first)
    over_device(lambda start: write(start, compute(start)), range(size, count, size))
    return whole


def over_cores(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """``list(map(function, *arguments))`` with a thread for each core.

    Worth it where most of the function is NumPy or XLA, which let other threads run.
    Matrix products in it take one core each: if each of them asked for all cores, they
    would mostly wait for one another. For the same reason a call within such a function
    takes no further threads.
    """
    if getattr(_thread, "one_of_many", False):
        return list(map(function, *arguments))
    with _libraries().limit(limits=1, user_api="blas"):
        return list(_pool(os.getpid()).map(function, *arguments))


def over_device(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """As :func:`over_cores` for compiled programs, if they run on the CPU.

    XLA runs operations of a few hundred jets on one core: one thread for each. An
    accelerator takes one after the other.
    """
    if jax.default_backend() == "cpu":
        return over_cores(function, *arguments)
    return list(map(function, *arguments))


@functools.cache
def _libraries():
    """The BLAS libraries; finding them takes milliseconds."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@functools.cache
def _pool(_: int) -> concurrent.futures.ThreadPoolExecutor:
    """One for each process, kept: threads that stay find their memory warm."""

    def mark():
        _thread.one_of_many = True

    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), initializer=mark)
