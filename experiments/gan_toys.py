r"""Objectives of GANs on a ring of Gaussians: mode collapse and vanishing gradients.

  python experiments/gan_toys.py --workdir=runs/gan_toys

trains the same two networks by each objective, from several seeds, counts the modes
that they find, and compares the gradients that a generator far from the data gets from
the best critic. Writes gan_toys.html and gan_toys.json into --workdir.
"""

import _cli
from absl import flags

from jetvae_jax.core import configs as config_flags
from jetvae_jax.studies.gan_toys.study import GanToysConfig, gan_toys

SHOWN = (
    "workdir",
    "gan_toys.objectives",
    "gan_toys.num_seeds",
    "gan_toys.num_steps",
    "gan_toys.learning_rate",
)


def define() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of the report")
    flags.mark_flag_as_required("workdir")
    config_flags.define("gan_toys", GanToysConfig)


def main() -> None:
    """Train, measure and report."""
    config = config_flags.read("gan_toys", GanToysConfig)
    report, verdict = gan_toys(_cli.FLAGS.workdir, config)
    print(verdict)
    print(report)


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
