"""Training on jets that are streamed from the disk: memory and speed.

    python benchmarks/streaming.py --jets=10000000 --folder=/tmp/streaming

Writes synthetic jets of 30 particles as JetNet files of a million each, without
compression (once), makes the cache and trains a tiny network on it for two epochs; then
the same network on as many of the jets as ``--resident``, in memory. Each part is a
process of its own, whose peak memory is printed. Disk: 1.3 kB a jet.

The step is trivial on purpose: what streaming costs shows best beside a small one.
"reading" is the time of an epoch that reads, checks and transfers only, "steps" that of
one that only trains, on one chunk again and again; "hidden" is the part of the shorter
of both that goes on beside the other: (reading + steps - epoch) / min(reading, steps).
"""

import argparse
import functools
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np

PARTICLES, PER_FILE, BATCH = 30, 1_000_000, 1000


def make(folder, num_jets):
    """Write the files that are missing."""
    import h5py

    from jetvae_jax.core.files import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    for index, start in enumerate(range(0, num_jets, PER_FILE)):
        path, rows = folder / f"jets_{index:03}.hdf5", min(PER_FILE, num_jets - start)
        if path.exists():
            continue
        rng = np.random.default_rng(index)
        with write_atomically(path) as part, h5py.File(part, "w") as file:
            shapes = {"particle_features": (PARTICLES, 4)}
            shapes |= {"jet_features": (4,), "jet_extra": (1,)}
            data = {
                n: file.create_dataset(n, (rows, *s), "f4") for n, s in shapes.items()
            }
            for first in range(0, rows, 100_000):
                size = min(100_000, rows - first)
                for name, values in jets(rng, size).items():
                    data[name][first : first + size] = values


def jets(rng, size):
    """JetNet arrays of jets near 1 TeV with 20 to 30 particles."""
    count = rng.integers(20, PARTICLES + 1, size)
    mask = np.arange(PARTICLES) < count[:, None]
    share = (rng.standard_exponential((size, PARTICLES), np.float32) + 0.01) * mask
    share = -np.sort(-share / share.sum(1, keepdims=True), axis=1)
    angles = rng.standard_normal((2, size, PARTICLES), np.float32) * 0.08 * mask
    pt, eta = rng.normal(1100, 100, size), rng.normal(0, 0.7, size)
    return {
        "particle_features": np.stack([*angles, share, mask], axis=-1),
        "jet_features": np.stack([pt, eta, 0.1 * pt, count], axis=-1),
        "jet_extra": rng.uniform(-np.pi, np.pi, (size, 1)),
    }


def parts():
    """The step, and the map from Jets to what it takes."""
    import jax
    import jax.numpy as jnp
    import optax

    from jetvae_jax.training import gradient_step

    def init(key):
        first, second = jax.random.split(key)
        return [
            0.1 * jax.random.normal(first, (3 * PARTICLES, 16)),
            0.1 * jax.random.normal(second, (16, 3 * PARTICLES)),
        ]

    def loss_fn(params, key, batch):
        del key
        x = batch["x"].reshape(len(batch["x"]), -1)
        error = jnp.tanh(x @ params[0]) @ params[1] - x
        return jnp.mean(jnp.square(error), axis=-1), {}

    @jax.jit
    def scale(jets):
        return {"x": jets.particles / 100, "mask": jets.mask}

    return gradient_step(loss_fn, init, optax.adam(1e-3)), scale


def seconds(work):
    """Of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def train(train, valid, epochs):
    """Seconds of the last epoch of :func:`fit`, with its validation."""
    import jax

    from jetvae_jax.training import Config, fit

    config = Config(num_epochs=epochs, batch_size=BATCH)
    result = fit(parts()[0], jax.random.key(0), train, valid, config=config)
    return result.history[-1]["seconds"]


def streamed(folder, num_jets):
    """First pass, epochs, and where the time of an epoch goes."""
    import jax

    from jetvae_jax.data.streaming import streams
    from jetvae_jax.training.compiled import compile_steps, traced, zero_sums

    step, scale = parts()
    opened = functools.partial(streams, str(folder), folder / "cache")
    first = seconds(lambda: opened(max_jets=num_jets))
    print(
        f"first pass: {first:.0f} s, {num_jets / first:,.0f} jets/s, peak {peak():.2f} "
        f"GiB; once more: {seconds(lambda: opened(max_jets=num_jets)):.2f} s"
    )
    data = opened(max_jets=num_jets)
    feed, valid = data.train.map(scale), data.valid.map(scale)
    epoch = train(feed, valid, 2)
    print(
        f"epoch: {epoch:.1f} s, {len(feed) / epoch:,.0f} jets/s, peak {peak():.2f} GiB"
    )

    def read():
        for _ in feed.shuffled(jax.random.key(1), 0, batch_size=BATCH):
            pass
        for _ in valid.chunks():
            pass

    chunk = next(feed.shuffled(jax.random.key(1), 0, batch_size=BATCH))
    state = jax.jit(step.init)(jax.random.key(0))
    sums = zero_sums(traced(step, state, feed.spec(BATCH))[1])
    run = compile_steps(step, BATCH)
    num = len(chunk.order) // BATCH

    def steps():
        nonlocal state, sums
        for _ in range(len(feed) // len(chunk.order)):
            state, sums = run(state, sums, tuple(chunk), jax.random.key(2), 0, num)
        jax.block_until_ready(state)

    steps()
    reading, work = seconds(read), seconds(steps)
    hidden = (reading + work - epoch) / min(reading, work)
    print(
        f"reading {reading:.1f} s, steps {work:.1f} s: of the shorter {hidden:.0%} is "
        f"hidden; peak {peak():.2f} GiB"
    )


def resident(folder, num_jets):
    """The same in memory."""
    import jax

    from jetvae_jax.data import load, split

    start = time.perf_counter()
    jets = load(str(folder), max_jets=num_jets).jets
    rows = split(0, num_jets)
    scale = parts()[1]
    feed, valid = (
        scale(jax.tree.map(lambda a, r=r: a[r], jets)) for r in (rows.train, rows.valid)
    )
    print(
        f"in memory, {num_jets:,} jets: loaded in {time.perf_counter() - start:.0f} s"
    )
    epoch = train(feed, valid, 3)
    rate = len(rows.train) / epoch
    print(f"epoch: {epoch:.1f} s, {rate:,.0f} jets/s, peak {peak():.2f} GiB")


def peak():
    """Largest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    """Run the parts, each in a process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jets", type=int, default=10_000_000)
    parser.add_argument("--resident", type=int, default=1_000_000)
    parser.add_argument("--folder", type=pathlib.Path, default="/tmp/streaming")
    parser.add_argument("--part", default="", help="one part only")
    args = parser.parse_args()
    works = {"make": make, "streamed": streamed, "resident": resident}
    if args.part:
        number = args.resident if args.part == "resident" else args.jets
        works[args.part](args.folder, number)
        return
    for part in works:
        subprocess.run([sys.executable, *sys.argv, f"--part={part}"], check=True)


if __name__ == "__main__":
    main()
