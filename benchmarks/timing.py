"""Times of functions that take turns, and the peak of the machine beside them.

On a shared machine only ratios of medians of one run mean something: whatever else the
machine does then hits all functions alike.
"""

import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Mapping

# A thread pool keeps its cores busy for up to 0.2 s after its last work.
PAUSE = 0.3
SIDE = 1024
LARGE = 1 << 26  # numbers of four bytes, more than any cache holds


def pin(threads: int) -> None:
    """Keep this process to so many cores: XLA takes as many threads as it finds.

    Call it before JAX is imported. Work then runs on the calling thread, as a loss
    inside a compiled epoch does; handing each call to another thread, JAX's default,
    adds about 0.1 ms to it.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)


def processor() -> str:
    """Its name, and its widest vectors: the same name may have others."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if "model name" in line]
    chip = names[0] if names else platform.processor()
    widest = "AVX-512" if any("avx512f" in line for line in lines) else "AVX2"
    return f"{chip} ({widest})"


def medians(
    functions: Mapping[str, Callable[[], object]],
    seconds: float,
    *,
    block: float = 0.05,
    pause: float = 0.0,
) -> dict[str, float]:
    """Median time [s] of a call of each function.

    Args:
        functions: without arguments; they return when their work is done.
        seconds: of all together, about; each is called in at least five blocks.
        block: shortest time [s] of a block of calls of one function.
        pause: seconds before a block, in which thread pools go to sleep.
    """
    counts = {}
    for name, function in functions.items():
        function()  # compiles
        start = time.perf_counter()
        function()
        taken = time.perf_counter() - start
        counts[name] = max(1, round(block / taken))
    times: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 5:
        for name, function in functions.items():
            time.sleep(pause)
            function()  # fills the caches that the others emptied
            start = time.perf_counter()
            for _ in range(counts[name]):
                function()
            times[name].append((time.perf_counter() - start) / counts[name])
    return {name: statistics.median(record) for name, record in times.items()}


def product() -> tuple[Callable[[], object], float]:
    """A float32 product of matrices, the peak of a core, and its operations."""
    import jax
    import jax.numpy as jnp

    matrix = jnp.ones((SIDE, SIDE), jnp.float32)
    multiply = jax.jit(lambda a: a @ a)
    return lambda: multiply(matrix).block_until_ready(), 2 * SIDE**3


def read() -> tuple[Callable[[], object], float]:
    """A sum over an array that no cache holds, and the bytes that it reads."""
    import jax
    import jax.numpy as jnp

    array = jnp.ones(LARGE, jnp.float32)
    total = jax.jit(jnp.sum)
    return lambda: total(array).block_until_ready(), 4.0 * LARGE
