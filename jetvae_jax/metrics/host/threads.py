"""Work on the host spread over its cores."""

import concurrent.futures
import functools
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

import jax

_thread = threading.local()


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
    """The same of compiled programs: over the cores if they run on the CPU.

    XLA runs operations of a few hundred jets on one core: one thread for each. An
    accelerator takes one after the other.
    """
    if jax.default_backend() == "cpu":
        return over_cores(function, *arguments)
    return list(map(function, *arguments))


@functools.cache
def _libraries():
    """The libraries of matrix products: looking for them takes milliseconds."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@functools.cache
def _pool(_: int) -> concurrent.futures.ThreadPoolExecutor:
    """One for each process, kept: threads that stay find their memory warm."""

    def mark():
        _thread.one_of_many = True

    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), initializer=mark)
