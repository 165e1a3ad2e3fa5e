"""The metrics of the field: this package against jetnet 0.2.5.

    python benchmarks/metrics.py --jetnet_python=jetnet-env/bin/python
    python benchmarks/metrics.py --jets=1000000 --metrics=efp36,w1m,w1p,kpd

jetnet needs numpy below 2 and so an environment of its own: ``tests/golden/README.md``
says how to make it. Without --jetnet_python only this package is measured. Both get the
same jets: the embedded sample, drawn with replacement, against a second such draw with
all angles 2% wider, each with the columns in its own order. All settings are jetnet's
defaults; fpd and kpd are given the 36 polynomials. Each metric runs in two processes of
its own, ours and jetnet's, which take turns, so that what else the machine does hits
both; the ratio is that of the medians. A turn is --calls calls, of which the last one
counts: with one, what takes milliseconds pays for caches and cores that the other turn
left to others, with two (jetnet too) both are seen at work. Compilation is not in them:
"first" is our first call with it, and jetnet has a call on 2,000 jets before. Memory
is the peak of the whole process, imports included. Values differ by the draws, which
jetnet does not seed (fpd: also by its fit).
"""

import argparse
import functools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from metrics_jetnet import serve

HERE = pathlib.Path(__file__).parent
ONCE = ("efp36", "w1efp", "fpnd")  # jetnet takes minutes


def cases(fpnd_resources):
    """By name, what this package computes of a sample, as one number."""
    import jax

    from jetvae_jax import metrics

    key, draws = jax.random.key(0), metrics.Draws(50_000, 5)

    def pair(sample):
        return sample["real"], sample["generated"]

    def features(sample):
        return sample["real_features"], sample["generated_features"]

    # Each metric is imported when it is called: memory is that of the metric alone.
    def w1(name, sample):
        return getattr(metrics, name)(key, *pair(sample), draws=draws)["value"]

    def fpnd(sample):
        jets = sample["generated"]
        return metrics.fpnd(jets, jet_type="g", resources=fpnd_resources)

    return {
        "efp36": lambda s: metrics.jet_features(s["real"]).mean(),
        "w1m": functools.partial(w1, "w1m"),
        "w1p": functools.partial(w1, "w1p"),
        "w1efp": functools.partial(w1, "w1efp"),
        "fpd": lambda s: metrics.fpd(key, *features(s))["value"],
        "kpd": lambda s: metrics.kpd(key, *features(s))["value"],
        "cov_mmd": lambda s: metrics.cov_mmd(key, *pair(s))["mmd"],
        "fpnd": fpnd,
    }


def relative(jets):
    """Jets of this package from jetnet's (etarel, phirel, ptrel), zero if absent."""
    from jetvae_jax.core.types import RelativeJets

    columns = np.ascontiguousarray(jets[..., [2, 0, 1]])
    return RelativeJets(columns, jets[..., 2] > 0)


def read_sample(path):
    """What :func:`write_sample` wrote, each of the two as this package has jets."""
    with np.load(path) as data:
        sample = dict(data)
    return sample | {name: relative(sample[name]) for name in ("real", "generated")}


def write_sample(path, num_jets):
    """Real and generated jets in jetnet's order, and their features."""
    import h5py

    from jetvae_jax.data import embedded
    from jetvae_jax.metrics import jet_features

    with h5py.File(embedded.path()) as file:
        rows = np.asarray(file["particle_features"])
    jets = np.where(rows[..., 3:] > 0, rows[..., :3], 0).astype(np.float32)
    rng = np.random.default_rng(0)
    real, generated = (jets[rng.integers(len(jets), size=num_jets)] for _ in range(2))
    generated = generated * np.array([1.02, 1.02, 1.0], np.float32)
    sample = {"real": real, "generated": generated}
    for name, part in tuple(sample.items()):
        sample[f"{name}_features"] = jet_features(relative(part))
    np.savez(path, **sample)


class Worker:
    """A process that computes one metric at each order."""

    def __init__(self, command, quiet=False):
        pipe = subprocess.PIPE
        warnings = subprocess.DEVNULL if quiet else None
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=warnings, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def __call__(self, order):
        """Seconds, value and peak memory of one call; None if the process died."""
        try:
            self.process.stdin.write(order + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            return None


def compare(ours, theirs, repeats, their_repeats, calls):
    """One line of the table from two workers that take turns of some calls."""

    def turn(worker):
        return [worker("run") for _ in range(calls)][-1]

    first = ours("run")
    if first is None:
        return "not available"
    alive = theirs is not None and theirs("warm") is not None
    mine, other = [], []
    for i in range(repeats):
        mine.append(turn(ours))
        if alive and i < their_repeats:
            other.append(turn(theirs) if their_repeats > 1 else theirs("run"))
    seconds = statistics.median(run["seconds"] for run in mine)
    line = f"{first['seconds']:8.2f} {seconds:8.3f} {mine[-1]['peak_gib']:6.2f}"
    if other:
        slow = statistics.median(run["seconds"] for run in other)
        line += f" {slow:9.2f} {other[-1]['peak_gib']:6.2f} {slow / seconds:7.1f}x"
    values = [f"{runs[-1]['value']:.4g}" for runs in (mine, other) if runs]
    return f"{line}   {' / '.join(values)}"


def main():
    """Print one line a metric."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jetnet_python", help="of the environment with jetnet")
    parser.add_argument("--jets", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--calls", type=int, default=1, help="of a turn")
    parser.add_argument("--metrics", default="", help="names with commas; all if empty")
    parser.add_argument("--fpnd", help="folder or wheel of jetnet, if not installed")
    parser.add_argument("--worker", nargs=2, metavar=("METRIC", "SAMPLE"))
    args = parser.parse_args()
    # Before XLA starts: it takes as many threads as it finds cores.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    if args.worker:
        name, path = args.worker
        return serve(cases(args.fpnd)[name], read_sample(path))
    print(f"{args.jets} jets, {args.threads} threads; seconds, GiB")
    print(
        f"{'':8} {'first':>8} {'ours':>8} {'GiB':>6} {'jetnet':>9} {'GiB':>6}   ratio"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "sample.npz")
        write_sample(path, args.jets)
        names = args.metrics.split(",") if args.metrics else cases(None)
        for name in names:
            command = [sys.executable, __file__, f"--threads={args.threads}"]
            command += [f"--fpnd={args.fpnd}"] if args.fpnd else []
            script = str(HERE / "metrics_jetnet.py")
            theirs = [args.jetnet_python, script, name, path, str(args.threads)]
            with Worker([*command, "--worker", name, path]) as mine:
                once = 1 if name in ONCE else args.repeats
                if args.jetnet_python:
                    with Worker(theirs, quiet=True) as other:
                        line = compare(mine, other, args.repeats, once, args.calls)
                else:
                    line = compare(mine, None, args.repeats, once, args.calls)
            print(f"{name:8} {line}", flush=True)


if __name__ == "__main__":
    main()
