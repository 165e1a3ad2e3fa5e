"""Work on the host spread over its cores."""

import concurrent.futures
import os
from collections.abc import Callable, Iterable
from typing import Any


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
