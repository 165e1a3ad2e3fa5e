"""Time, memory and bytes of many jets in shards, and what 1e9 would take.

    python benchmarks/shards.py --jets=10000000 --folder=/tmp/shards

generates jets of a model (``--workdir``, a small one of the package unless another is
named) as shards of 100,000, once for each suffix of ``--suffixes``. Printed are, for
each: seconds and jets/s of the whole; of the device alone, which draws the same chunks
that nobody writes, and of the writer alone, which writes one chunk again and again; how
much of the shorter of both goes on beside the other; bytes a jet; seconds to check the
checksums; and the largest memory of the process. Files are removed, unless --keep. The
microseconds of CPU are those of all threads: on a machine that others use, they say
more than the seconds.

Shards do not know of one another, so that 1e9 jets take what these take times 1e9 over
their number, divided by the number of jobs. What is not proportional is printed too:
the first chunk, with its compilation, once for each job.
"""

import argparse
import itertools
import json
import pathlib
import platform
import resource
import shutil
import time

import numpy as np

SHARD = 100_000


def timed(function):
    """Seconds that it takes, and those of CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    function()
    return np.array([time.perf_counter() - start, time.process_time() - cpu])


def measured(args, suffix, folder):
    """One suffix; a dict of what was found."""
    import jax

    from jetvae_jax import runs
    from jetvae_jax.core.shards import MANIFEST
    from jetvae_jax.runs import generation

    num_shards = max(1, args.jets // SHARD)
    config = runs.GenerateConfig(
        args.latents, num_jets=args.jets, shards=num_shards,
        output=str(folder / f"jets.{suffix}"),
    )  # fmt: skip
    trained = runs.load_model(args.workdir)
    source = generation.source(trained, config)
    chunk = generation.CHUNK
    compiled, _ = timed(lambda: next(source.draw(0, chunk)))

    some = min(args.jets, 25 * chunk)
    device = timed(lambda: list(source.draw(0, some))) / some
    jets = next(source.draw(0, chunk))

    def write(number):
        path = folder / f"one.{suffix}"
        with trained.run.pipeline.writer(path, trained.run, {}) as writer:
            for _ in range(number):
                writer.append(jets)
        path.unlink()

    write(1)  # imports
    writer = timed(lambda: write(some // chunk)) / (some // chunk * chunk)
    whole = timed(lambda: runs.generate(args.workdir, config)) / args.jets
    manifest = json.loads((folder / f"jets.{suffix}" / MANIFEST).read_text())
    again, _ = timed(lambda: runs.generate(args.workdir, config))
    if not args.keep:
        shutil.rmtree(folder / f"jets.{suffix}")
    parts = {"whole": whole, "device alone": device, "writer alone": writer}
    hidden = (device + writer - whole)[0] / min(device[0], writer[0])
    size = manifest["bytes"] / manifest["rows"]
    return {
        "suffix": suffix,
        "jets": manifest["rows"],
        "shards": num_shards,
        "seconds": whole[0] * args.jets,
        **{f"jets/s, {name}": 1 / found[0] for name, found in parts.items()},
        **{f"us of CPU a jet, {name}": 1e6 * found[1] for name, found in parts.items()},
        "hidden": hidden,
        "bytes a jet": size,
        "seconds to check them": again,
        "seconds of the first chunk": compiled,
        "largest memory [GB]": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "1e9 jets, TB": size / 1e3,
        "1e9 jets, hours of one job": whole[0] * 1e9 / 3600,
        "1e9 jets, hours of each of 1000": (whole[0] * 1e6 + compiled) / 3600,
        "1e9 jets, hours of CPU in all": (whole[1] * 1e9 + 1000 * compiled) / 3600,
        "devices": [d.device_kind for d in jax.devices()],
    }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jets", type=int, default=1_000_000)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--workdir", default="zoo:convae_gluon30")
    parser.add_argument("--latents", default="flow")
    parser.add_argument("--suffixes", default="parquet,hdf5")
    parser.add_argument("--keep", action="store_true", help="the files")
    parser.add_argument("--json", type=pathlib.Path, help="write it there, too")
    args = parser.parse_args()
    suffixes = args.suffixes.split(",")
    for made in (args.folder / f"jets.{suffix}" for suffix in suffixes):
        if made.exists():
            parser.error(f"{made} is there: its shards would not be made again")
    if args.jets < 10_000:
        parser.error(f"--jets={args.jets}: give 10,000 or more")
    args.folder.mkdir(parents=True, exist_ok=True)
    found = [measured(args, suffix, args.folder) for suffix in suffixes]
    print(platform.platform(), "with", found[0]["devices"])
    for row in found:
        print()
        for name, value in itertools.islice(row.items(), len(row) - 1):
            text = f"{value:,.4g}" if isinstance(value, float) else value
            print(f"{name:<34} {text}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
