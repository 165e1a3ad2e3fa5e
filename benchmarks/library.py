"""Samples per second from a large library, and what it takes in memory.

  python benchmarks/library.py runs/library

loads the run of ``--model=library`` in this folder, and prints the time of the first
chunk of samples, in which the k-d tree is built, and the samples per second after it,
for k = 1 and 2: wall time, and time of the processor, which other programs at work
lengthen less.
"""

import argparse
import dataclasses
import resource
import time

import jetvae_jax as jv
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.generation import CHUNK, source
from jetvae_jax.runs.trained import build_model, task_of

CHUNKS = 20


def clock():
    """Wall time and time of the processor."""
    return time.perf_counter(), time.process_time()


def passed(start):
    """The text of both times since then, and the two in seconds."""
    both = [now - then for now, then in zip(clock(), start, strict=True)]
    return "{:.1f} s ({:.1f} s of CPU)".format(*both), both


def main():
    """Measure each k."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir")
    start = clock()
    trained = jv.runs.load_model(parser.parse_args().workdir)
    print(
        f"{len(trained.params['library']['mask']):,} events, read in", passed(start)[0]
    )
    for k in (1, 2):
        settings = dataclasses.replace(trained.run.model_config, k=k)
        run = dataclasses.replace(trained.run, model_config=settings)
        model = build_model(run, task_of(run, trained.scaler))
        own = trained._replace(run=run, model=model)
        config = GenerateConfig(latents="prior", num_jets=(CHUNKS + 1) * CHUNK)
        _, draw = source(own, config)
        start = clock()
        for _ in draw(0, CHUNK):
            pass
        first = passed(start)[0]
        start = clock()
        for _ in draw(CHUNK, config.num_jets):
            pass
        rates = [CHUNKS * CHUNK / seconds for seconds in passed(start)[1]]
        print(
            f"k = {k}: first {CHUNK:,} in {first}; then "
            "{:,.0f} samples/s ({:,.0f} a second of CPU)".format(*rates)
        )
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"at most {most:.1f} GiB of memory")


if __name__ == "__main__":
    main()
