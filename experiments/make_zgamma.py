r"""Make Z gamma events with Pythia 8, a parametrised detector and FastJet.

    pip install 'jetvae_jax[make-jets,formats]'
    python experiments/make_zgamma.py --workdir=data/zgamma \
        --make.num_background=100000 --make.num_signal=5000 --make.masses=150,200,400

The folder then holds background.hdf5, signal150.hdf5 and so on, the same as Parquet,
and the shards from which they are joined. A row is an event; its 18 columns are
described in jetvae_jax/making/zgamma/columns.py, the detector in detector.py beside it.
After an interruption the same command continues; with a larger number of events it adds
events to the existing ones. One core selects 27 background events per second.

A wide resonance, and jets from 25 GeV on:

    python experiments/make_zgamma.py --workdir=data/wide --make.num_background=0 \
        --make.masses=400 --make.width=20 --make.jet_pt_min=25

Many machines: --make.dask_scheduler, as in make_jets.py.
"""

from absl import flags

from jetvae_jax.core import configs as config_flags
from jetvae_jax.making import zgamma

SHOWN = (
    "workdir",
    "make.num_background",
    "make.num_signal",
    "make.masses",
    "make.width",
    "make.formats",
    "make.seed",
    "make.num_workers",
)


def define_flags() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of the shards and the files")
    flags.mark_flag_as_required("workdir")
    config_flags.define("make", zgamma.Config)


def main() -> None:
    """Make and join."""
    from jetvae_jax.making.zgamma import production

    config = config_flags.read("make", zgamma.Config)
    print(production.run(flags.FLAGS.workdir, config), end="")


if __name__ == "__main__":
    # Every worker imports this file: imports for the command line alone are here.
    import _cli

    _cli.run(main, define_flags, shown=SHOWN)
