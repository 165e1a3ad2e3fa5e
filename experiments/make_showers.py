r"""Make showers in a calorimeter, by a parametrisation.

    python experiments/make_showers.py --workdir=data/showers --make.num_showers=100000

The folder then holds showers.hdf5, in the layout of the CaloChallenge with kind, point
and direction of the incident particles beside it, and the shards from which it is
joined. After an interruption the same command continues; with a larger number of
showers it adds to the existing ones. Each shower follows Grindhammer and Peters
(hep-ex/0001020): its profile varies along its axis, spots of energy lie around it, and
the calorimeter sees them with its own fluctuations. Charged pions make a cascade of
hadrons, whose neutral pions are such showers. One core makes about 1,000 showers per
second.

The default is the calorimeter of LHCb in 30 x 30 cells, and photons of 1 to 100 GeV
whose slopes vary by 0.175; --make.kinds=photon,electron,pion takes as many of each. Any
other grid, of plates or of one material, and the
calorimeter of the CaloChallenge's data set 2:

    python experiments/make_showers.py --workdir=data/crystals --make.passive=none \
        --make.active=lead_tungstate --make.geometry=1x5x5x22 --make.depth=230 \
        --make.kinds=electron --make.slope=0 --make.stochastic=0.03
    python experiments/make_showers.py --workdir=data/silicon \
        --make.geometry=calochallenge_2 --make.kinds=electron --make.passive=tungsten \
        --make.active=silicon --make.passive_depth=1.4 --make.active_depth=0.3 \
        --make.depth=153 --make.energy_max=1000 --make.stochastic=0.17 \
        --make.threshold=1.515e-5
"""

from absl import flags

from jetvae_jax.core import configs as config_flags
from jetvae_jax.making import showers

SHOWN = (
    "workdir",
    "make.num_showers",
    "make.geometry",
    "make.kinds",
    "make.energy_min",
    "make.energy_max",
    "make.slope",
    "make.stochastic",
    "make.constant",
    "make.noise",
    "make.threshold",
    "make.seed",
    "make.num_workers",
)


def define_flags() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of the shards and the file")
    flags.mark_flag_as_required("workdir")
    config_flags.define("make", showers.Config)


def main() -> None:
    """Make and join."""
    from jetvae_jax.making.showers import production

    config = config_flags.read("make", showers.Config)
    print(production.run(flags.FLAGS.workdir, config), end="")


if __name__ == "__main__":
    # Every worker imports this file: imports for the command line alone are here.
    import _cli

    _cli.run(main, define_flags, shown=SHOWN)
