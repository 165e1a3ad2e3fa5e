"""What the import of a loss and of a trained model costs beyond JAX, in seconds.

    python benchmarks/import_cost.py --repeats=15

Fresh interpreters in turn, so that what else the machine does hits all of them;
medians of wall time, the bare interpreter taken off. The aim is at most 0.15 s more
than JAX.
"""

import argparse
import statistics
import subprocess
import sys
import time

CODES = (
    "pass",
    "import jax",
    "from jetvae_jax.losses import chamfer_distance",
    "from jetvae_jax.runs import TrainedModel",
)


def main():
    """Print one line an import."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    times = {code: [] for code in CODES}
    for _ in range(args.repeats + 1):
        for code, record in times.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code], check=True, text=True
            )
            record.append(time.perf_counter() - start)
    # The first round fills the file cache and writes bytecode.
    bare, *rest = (statistics.median(record[1:]) for record in times.values())
    for code, median in zip(CODES[1:], rest, strict=True):
        extra = median - rest[0]
        print(f"{code:46} {median - bare:6.2f} s   over jax {extra:+6.2f} s")


if __name__ == "__main__":
    main()
