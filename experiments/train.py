r"""Train a VAE on jets.

  python experiments/train.py --workdir=runs/quickstart \
      --flagfile=experiments/flagfiles/quickstart.txt

A run that was stopped or killed goes on when the same command is given again.
"""

import _cli

from jetvae_jax import runs


def main() -> None:
    """Train, or go on training."""
    run = _cli.model_run()
    _cli.save_flags()
    result = runs.train(_cli.FLAGS.workdir, run)
    _cli.stop_if_interrupted(result.signal_number)


if __name__ == "__main__":
    _cli.run(main)
