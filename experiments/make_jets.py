r"""Make jets with Pythia 8 and FastJet: the recipe of JetNet, or any other.

    pip install 'jetvae_jax[make-jets]'
    python experiments/make_jets.py --workdir=data/made --make.jet_types=g,t \
        --make.num_jets=177000
    python experiments/train.py --data.path=data/made/jetnet30/g.hdf5 ...

The folder then holds jetnet30/g.hdf5, jetnet150/g150.hdf5, hls4ml150/g.h5 and the
shards from which they are joined. After an interruption the same command continues;
with a larger number of jets it adds jets to the existing ones. One core makes about 100
jets per second.

Another process: a file of Pythia settings, and a name for its jets.

    python experiments/make_jets.py --workdir=data/zprime --make.card=zprime.cmnd \
        --make.jet_types=zprime --make.parton_pt_min=0 --make.radius=0.8 \
        --make.jet_pt_min=400 --make.jet_pt_max=600

Many machines: any Dask cluster whose workers have this package installed, one thread
each (no shared disk is needed); this command then runs beside the scheduler.

    dask scheduler                                            # prints its address
    dask worker tcp://host:8786 --nthreads 1 --nworkers 32    # on every machine
    python experiments/make_jets.py ... --make.dask_scheduler=tcp://host:8786

On a batch system ``pip install dask-jobqueue`` and keep this running in a terminal:

    from dask_jobqueue import SLURMCluster        # or HTCondorCluster
    cluster = SLURMCluster(cores=1, memory="2GB", walltime="12:00:00")
    cluster.scale(200)
    print(cluster.scheduler_address)              # for --make.dask_scheduler

When a worker dies, another one makes its shard again.
"""

from absl import flags

from jetvae_jax import making
from jetvae_jax.core import configs as config_flags

SHOWN = (
    "workdir",
    "make.jet_types",
    "make.num_jets",
    "make.layouts",
    "make.card",
    "make.radius",
    "make.jet_pt_min",
    "make.jet_pt_max",
    "make.seed",
    "make.num_workers",
)


def define_flags() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of the shards and the files")
    flags.mark_flag_as_required("workdir")
    config_flags.define("make", making.Config)


def main() -> None:
    """Make, join, compare."""
    from jetvae_jax.making import production

    config = config_flags.read("make", making.Config)
    print(production.run(flags.FLAGS.workdir, config))


if __name__ == "__main__":
    # Every worker imports this file: imports for the command line alone are here.
    import _cli

    _cli.run(main, define_flags, shown=SHOWN)
