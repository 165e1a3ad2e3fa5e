"""Work on the host spread over its cores."""

import concurrent.futures
import os
from collections.abc import Callable, Iterable
from typing import Any

import jax


def over_cores(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """``list(map(function, *arguments))`` with a thread for each core.

    Worth it where most of the function is NumPy or XLA, which let other threads run.
    Matrix products in it take one core each: if each of them asked for all cores, they
    would mostly wait for one another.
    """
    import threadpoolctl

    with (
        threadpoolctl.threadpool_limits(1, user_api="blas"),
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        return list(pool.map(function, *arguments))


def over_device(function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
    """The same of compiled programs: over the cores if they run on the CPU.

    XLA runs operations of a few hundred jets on one core: one thread for each. An
    accelerator takes one after the other.
    """
    if jax.default_backend() == "cpu":
        return over_cores(function, *arguments)
    return list(map(function, *arguments))
