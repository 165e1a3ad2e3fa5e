"""Workers of a batch system for experiments/generate.py, as long as this runs.

    python examples/batch/dask_workers.py slurm 100

prints the flag with which the other command uses them:

    python experiments/generate.py --workdir=runs/g --generate.output=jets \
        --generate.num_jets=1000000000 --generate.shards=1000 \
        --generate.dask_scheduler=tcp://...

It needs ``pip install 'jetvae_jax[dask]'``. ``local`` in place of ``slurm`` or
``htcondor`` starts the workers here, to try. Queues and accounts are those of your
site, in its jobqueue.yaml of dask-jobqueue. Ctrl-C ends the workers.
"""

import argparse
import contextlib
import importlib
import signal
import time

CLUSTERS = {
    "slurm": ("dask_jobqueue", "SLURMCluster", {"walltime": "04:00:00"}),
    "htcondor": ("dask_jobqueue", "HTCondorCluster", {"disk": "2GB"}),
    "local": ("dask_jobqueue.local", "LocalCluster", {}),
}


def main() -> None:
    """Start the workers, print the address, and wait."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("system", choices=CLUSTERS)
    parser.add_argument("workers", type=int)
    parser.add_argument("--memory", default="4GB", help="of a worker")
    given = parser.parse_args()
    module, name, options = CLUSTERS[given.system]
    start = getattr(importlib.import_module(module), name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # One core is one thread: a second task in a worker would only wait.
    with (
        contextlib.suppress(KeyboardInterrupt),
        start(cores=1, memory=given.memory, **options) as cluster,
    ):
        cluster.scale(given.workers)
        print(f"--generate.dask_scheduler={cluster.scheduler_address}", flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main()
