"""Fit a normalising flow to the latents of a trained VAE.

  python experiments/fit_flow.py --workdir=runs/quickstart

After an interruption the same command continues the fit.
"""

import _cli

from jetvae_jax import runs

SHOWN = (
    "workdir",
    "seed",
    "flow",
    "latents",
    "fit.num_epochs",
    "fit.batch_size",
    "fit.learning_rate",
    "fit.patience",
)


def main() -> None:
    """Fit, or continue a fit."""
    _cli.check_chosen()
    run, log = _cli.flow_run(), _cli.log_targets()
    with _cli.saved_flags():
        result = runs.fit_flow(_cli.FLAGS.workdir, run, log=log)
    if result:
        _cli.stop_if_interrupted(result.signal_number)
    print("\n".join(runs.summary.of_fit(_cli.FLAGS.workdir, "flow")))


if __name__ == "__main__":
    _cli.run(main, shown=SHOWN)
