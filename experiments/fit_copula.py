"""Fit a copula, marginals and their dependence, to the latents of a trained VAE.

python experiments/fit_copula.py --workdir=runs/zgamma --copula.dependence=gaussian
python experiments/generate.py --workdir=runs/zgamma --generate.latents=copula
"""

import _cli

from jetvae_jax import runs


def main() -> None:
    """Fit, or continue a fit."""
    run = _cli.copula_run()
    with _cli.saved_flags():
        result = runs.fit_copula(_cli.FLAGS.workdir, run)
    if result:
        _cli.stop_if_interrupted(result.signal_number)


if __name__ == "__main__":
    _cli.run(main)
