"""Chamfer loss and its gradient: this package against torch.cdist with autograd.

    pip install -e .[benchmark]
    python benchmarks/chamfer.py --threads=1
    python benchmarks/chamfer.py --threads=2

Squared nearest-neighbour distances, summed over both directions and all jets, with
the gradient to both sets, in float32. Blocks of twenty calls alternate, so that what
else the machine does hits both; the ratio is that of the medians. With two threads
and a busy core PyTorch's thread pool stalls on small work, and ratios above 50 mean
only that: trust one thread, or an idle machine. Both libraries run on the calling
thread, as a loss inside a compiled epoch does; handing each call to another thread,
JAX's default, adds about 0.1 ms to it (--async_dispatch).
"""

import argparse
import os
import statistics
import time

# A thread pool keeps its cores busy for up to 0.2 s after its last work.
PAUSE = 0.3
SIZES = ((30, 100), (30, 1000), (100, 200), (150, 100), (2048, 1))


def cases(num_particles, num_jets):
    """Two closures, ours and PyTorch's, that run one loss and gradient."""
    import jax
    import numpy as np
    import torch

    from jetvae_jax.losses import chamfer_distance

    rng = np.random.default_rng(0)
    shape = (num_jets, num_particles, 3)
    x, y = (rng.normal(size=shape).astype(np.float32) for _ in range(2))

    def loss(x, y):
        return chamfer_distance(x, y).sum()

    step = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    on_device = jax.device_put((x, y))
    tx, ty = (torch.tensor(a, requires_grad=True) for a in (x, y))

    def ours():
        return jax.block_until_ready(step(*on_device))

    def theirs():
        squared = torch.cdist(tx, ty).square()
        value = squared.min(1).values.sum() + squared.min(2).values.sum()
        return value.detach(), torch.autograd.grad(value, (tx, ty))

    value, grads = ours()
    other, other_grads = theirs()
    np.testing.assert_allclose(value, other, rtol=1e-3)
    for a, b in zip(grads, other_grads, strict=True):
        # cdist loses digits on near ties: compare most points, not each.
        assert np.mean(np.abs(a - b.numpy()) > 1e-2) < 1e-2
    return ours, theirs


def medians(functions, seconds, block=20):
    """Median time of a call of each, in alternating blocks, for about ``seconds``."""
    times = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 3:
        for function, record in zip(functions, times, strict=True):
            time.sleep(PAUSE)
            function()  # fills the caches that the other one emptied
            start = time.perf_counter()
            for _ in range(block):
                function()
            record.append((time.perf_counter() - start) / block)
    return [statistics.median(record) for record in times]


def main():
    """Print one line a size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each size")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--async_dispatch", action="store_true")
    args = parser.parse_args()
    # XLA takes as many threads as it finds cores, so it must be told before it starts.
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[: args.threads]
        os.sched_setaffinity(0, cores)
    import jax
    import torch

    jax.config.update("jax_cpu_enable_async_dispatch", args.async_dispatch)
    torch.set_num_threads(args.threads)
    print(f"threads: {args.threads}   times faster than torch.cdist, every repeat")
    print(f"{'N':>4} {'jets':>5} {'ours ms':>8} {'torch ms':>9}  ratios")
    for num_particles, num_jets in SIZES:
        functions = cases(num_particles, num_jets)
        rows = [medians(functions, args.seconds) for _ in range(args.repeats)]
        ours, theirs = (1e3 * statistics.median(t) for t in zip(*rows, strict=True))
        ratios = "  ".join(f"{b / a:.1f}x" for a, b in rows)
        print(f"{num_particles:4} {num_jets:5} {ours:8.2f} {theirs:9.2f}  {ratios}")


if __name__ == "__main__":
    main()
