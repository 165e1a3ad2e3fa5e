r"""Train a generative model on jets, images or events.

  python experiments/train.py --workdir=runs/quickstart \
      --flagfile=experiments/flagfiles/quickstart.txt

After an interruption the same command continues the training.
"""

import _cli

from jetvae_jax import runs

SHOWN = (
    "workdir",
    "seed",
    "data.path",
    "data.jet_type",
    "data.num_particles",
    "data.max_jets",
    "model",
    "train.num_epochs",
    "train.batch_size",
    "train.learning_rate",
)


def main() -> None:
    """Train, or continue a training."""
    _cli.check_chosen()
    run, log = _cli.model_run(), _cli.log_targets()
    with _cli.saved_flags():
        result = runs.train(_cli.FLAGS.workdir, run, log=log)
    _cli.stop_if_interrupted(result.signal_number)
    print("\n".join(runs.summary.of_training(_cli.FLAGS.workdir)))


if __name__ == "__main__":
    _cli.run(main, shown=SHOWN)
