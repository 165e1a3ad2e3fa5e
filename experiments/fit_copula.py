"""Fit a copula, marginals and their dependence, to the latents of a trained VAE.

  python experiments/fit_copula.py --workdir=runs/zgamma --copula.dependence=gaussian

Samples are then generated from it:

  python experiments/generate.py --workdir=runs/zgamma --generate.latents=copula

Without a flow it is fitted in closed form, in seconds.
"""

import _cli

from jetvae_jax import runs

SHOWN = (
    "workdir",
    "seed",
    "copula.dependence",
    "copula.correlation",
    "copula.marginals",
)


def main() -> None:
    """Fit, or continue a fit."""
    run, log = _cli.copula_run(), _cli.log_targets()
    with _cli.saved_flags():
        result = runs.fit_copula(_cli.FLAGS.workdir, run, log=log)
    if result:
        _cli.stop_if_interrupted(result.signal_number)
    print("\n".join(runs.summary.of_fit(_cli.FLAGS.workdir, "copula")))


if __name__ == "__main__":
    _cli.run(main, shown=SHOWN)
