r"""Objectives of GANs on a ring of Gaussians: mode collapse and vanishing gradients.

  python experiments/gan_toys.py --workdir=runs/gan_toys

trains the same two networks by each objective, from several seeds, counts the modes
that they find, and compares the gradients that a generator far from the data gets from
the best critic. Writes gan_toys.html and gan_toys.json into --workdir.
"""

import _cli

from jetvae_jax.studies.gan_toys.study import GanToysConfig, gan_toys

SHOWN = (
    "workdir",
    "gan_toys.objectives",
    "gan_toys.num_seeds",
    "gan_toys.num_steps",
    "gan_toys.learning_rate",
)

if __name__ == "__main__":
    _cli.run_study(gan_toys, "gan_toys", GanToysConfig, shown=SHOWN)
