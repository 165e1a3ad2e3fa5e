"""Search for nearest conditions in libraries of a million events.

  python benchmarks/neighbours.py  # --events=200000 of fewer

prints the time to build and to look up 8 neighbours by SciPy's k-d tree, and by faiss
and hnswlib where these are installed, and which part of the neighbours they find.
"""

import argparse
import importlib.util
import time

import numpy as np
from scipy.spatial import KDTree

QUERIES, K = 20_000, 8


def tree(x, q):
    """Exact."""
    start = time.perf_counter()
    built = KDTree(x, balanced_tree=False, compact_nodes=False)
    done = time.perf_counter()
    return start, done, np.asarray(built.query(q, K)[1])


def faiss(x, q):
    """1,024 cells, of which 8 are searched."""
    import faiss as library  # pyright: ignore[reportMissingImports]

    start = time.perf_counter()
    index = library.index_factory(x.shape[1], "IVF1024,Flat")
    index.train(x[: len(x) // 10])
    index.add(x)
    index.nprobe = 8
    return start, time.perf_counter(), index.search(q, K)[1]


def hnswlib(x, q):
    """A graph of 16 neighbours."""
    import hnswlib as library  # pyright: ignore[reportMissingImports]

    start = time.perf_counter()
    index = library.Index("l2", x.shape[1])
    index.init_index(len(x), ef_construction=100, M=16)
    index.add_items(x)
    index.set_ef(50)
    return start, time.perf_counter(), index.knn_query(q, K)[0]


def main():
    """Measure each in 1, 2 and 4 conditions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="in the library")
    events = parser.parse_args().events
    rng = np.random.default_rng(0)
    for dim in (1, 2, 4):
        x, q = (rng.normal(size=(n, dim)).astype("f4") for n in (events, QUERIES))
        exact = tree(x, q)[2]
        for search in (tree, faiss, hnswlib):
            name = search.__name__
            if search is not tree and importlib.util.find_spec(name) is None:
                print(f"{name}: not installed")
                continue
            start, built, found = search(x, q)
            each = (time.perf_counter() - built) / QUERIES
            same = np.mean(
                [np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]
            )
            print(
                f"{dim} conditions, {name}: built in {built - start:.1f} s, "
                f"{1e6 * each:.0f} us a query, {100 * same:.2f} % found"
            )


if __name__ == "__main__":
    main()
