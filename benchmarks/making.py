"""Making jets: CPU time of a whole shard against that of Pythia's events alone.

    python benchmarks/making.py --types=g,q,t,w,z --events=500 --repeats=7

Both run the same process with the same seed in one process, taking turns: the events by
a loop over Pythia's ``next()``, the shard with arrays, clustering, cuts and its file.
The ratio is that of the medians per event, start of Pythia not counted in either.
"""

import argparse
import statistics
import time

from jetvae_jax.making import pythia, settings, shards


def events_alone(shard, num_events):
    """CPU seconds an event of ``next()``."""
    generator = pythia.Generator(shard.pythia, shard.seed)
    start = time.process_time()
    for _ in range(num_events):
        generator._pythia.next()
    return (time.process_time() - start) / num_events


def whole_shard(shard):
    """CPU seconds an event of everything."""
    start = time.process_time()
    pythia.Generator(shard.pythia, shard.seed)
    beginning = time.process_time() - start
    made = shards.make(shard)
    return (made.seconds - beginning) / made.events


def main():
    """Print one line a type of jet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--types", default="g,q,t,w,z")
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    print(f"{'':4} {'next()':>10} {'shard':>10}   ratio, milliseconds of CPU an event")
    for kind in args.types.split(","):
        config = settings.Config(jet_types=(kind,), num_jets=args.events)
        (shard,) = settings.plan(config, kind)
        shards.make(shard._replace(num_jets=10))  # imports, first of all
        times = [
            (events_alone(shard, args.events), whole_shard(shard))
            for _ in range(args.repeats)
        ]
        alone, whole = (
            1e3 * statistics.median(column) for column in zip(*times, strict=True)
        )
        print(f"{kind:4} {alone:10.2f} {whole:10.2f} {whole / alone:7.2f}x", flush=True)


if __name__ == "__main__":
    main()
