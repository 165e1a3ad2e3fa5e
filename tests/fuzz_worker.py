"""Reads files that are named one a line, within limits of memory and time."""

import json
import pathlib
import resource
import signal
import sys

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load
from jetvae_jax.data.inspection import look

SECONDS, BYTES = 60, 3 * 2**30


def one_line(text, path):
    name = path.rsplit("/", 1)[1]
    return name in text and len(text) < 1500 and text.isprintable()


def right(path, how, request):
    """What became of a file, in words, and whether a user can do with it."""
    try:
        if how == "look":
            seen = look(path, **request)
            return "looked", repr(str(seen)), str(seen).replace("\n", "").isprintable()
        loaded = load(path, num_particles=5, **request)
    except InputError as error:
        if isinstance(error.__cause__, MemoryError):
            return "out of memory", str(error), False
        return "refused", str(error), one_line(str(error), path)
    p, mask = loaded.jets.particles, loaded.jets.mask
    good = p.dtype == np.float32 and mask.dtype == bool and len(p) == len(mask) > 0
    good = good and np.isfinite(p).all() and not p[~mask].any()
    good = good and all(note.isprintable() for note in loaded.notes)
    return "loaded", "; ".join(loaded.notes), bool(good)


def main():
    load("embedded", max_jets=10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = pathlib.Path("/proc/self/statm").read_text().split()[0]
    virtual = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + BYTES, virtual + BYTES))
    for line in sys.stdin:
        request = json.loads(line)
        path, how = request.pop("path"), request.pop("how")
        signal.alarm(SECONDS)
        try:
            outcome, text, good = right(path, how, request)
        except Exception as error:
            outcome, text, good = "raised", repr(error), False
        signal.alarm(0)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer = {"outcome": outcome, "text": text, "good": good, "memory": memory}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
