r"""Generate jets with a trained VAE and write them in the JetNet layout.

python experiments/generate.py --workdir=runs/quickstart \
    --generate.latents=flow --generate.num_jets=50000
"""

import _cli

from jetvae_jax import runs


def main() -> None:
    """Write one file of jets."""
    runs.generate(_cli.FLAGS.workdir, _cli.generate_config())


if __name__ == "__main__":
    _cli.run(main)
