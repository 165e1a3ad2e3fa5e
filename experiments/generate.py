"""Generate jets with a trained VAE and write them in the JetNet layout.

python experiments/generate.py --workdir=runs/quickstart \
      --generate.latents=flow --generate.num_jets=50000
"""

import _cli

from jetvae_jax import flags, runs


def main() -> None:
    """Write one file of jets."""
    runs.generate(_cli.FLAGS.workdir, flags.read("generate", runs.GenerateConfig))


if __name__ == "__main__":
    _cli.define_workdir()
    flags.define("generate", runs.GenerateConfig)
    _cli.run(main)
