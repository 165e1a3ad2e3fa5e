"""jetnet's side of ``metrics.py``: runs in jetnet's own environment, started by it.

    python benchmarks/metrics_jetnet.py METRIC SAMPLE.npz THREADS

Imports nothing of this package. Where torch_cluster is not installed, its ``knn_graph``
is replaced by the exhaustive search of ``tests/golden/make_golden.py``.
"""

import json
import pathlib
import resource
import sys
import time
import warnings

import numpy as np

WARM_UP = 2000


def cases(threads):
    """By name, what jetnet computes of a sample, as one number."""
    from jetnet.evaluation import gen_metrics as jetnet

    quiet = {"use_tqdm": False}
    return {
        "efp36": lambda s: jetnet.get_fpd_kpd_jet_features(s["real"], threads).mean(),
        "w1m": lambda s: jetnet.w1m(s["real"], s["generated"])[0],
        "w1p": lambda s: jetnet.w1p(s["real"], s["generated"])[0].mean(),
        "w1efp": lambda s: jetnet.w1efp(s["real"], s["generated"], efp_jobs=threads)[
            0
        ].mean(),
        "fpd": lambda s: jetnet.fpd(s["real_features"], s["generated_features"])[0],
        "kpd": lambda s: jetnet.kpd(s["real_features"], s["generated_features"])[0],
        "cov_mmd": lambda s: jetnet.cov_mmd(s["real"], s["generated"], **quiet)[1],
        "fpnd": lambda s: jetnet.fpnd(s["generated"], "g", device="cpu", **quiet),
    }


def serve(case, sample):
    """Runs the case for every line read; answers each with a line of JSON.

    ``run`` takes the whole sample, ``warm`` the first jets only, for whatever is
    compiled or loaded on the first call.
    """
    few = {name: array[:WARM_UP] for name, array in sample.items()}
    for line in sys.stdin:
        start = time.perf_counter()
        value = float(case(few if line.strip() == "warm" else sample))
        seconds = time.perf_counter() - start
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        peak = max(resource.getrusage(kind).ru_maxrss for kind in kinds)
        answer = {"seconds": seconds, "value": value, "peak_gib": peak / 2**20}
        print(json.dumps(answer), flush=True)


def main():
    """Read the sample and serve one metric."""
    name, path, threads = sys.argv[1:]
    warnings.simplefilter("ignore")
    golden = pathlib.Path(__file__).parent.parent / "tests" / "golden"
    sys.path.insert(0, str(golden))
    from make_golden import provide_torch_cluster

    if name == "fpnd":
        provide_torch_cluster()
    import torch

    torch.set_num_threads(int(threads))
    with np.load(path) as data:
        sample = dict(data)
    serve(cases(int(threads))[name], sample)


if __name__ == "__main__":
    main()
