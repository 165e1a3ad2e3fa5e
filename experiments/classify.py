r"""Find signal with models that were trained on background alone.

  python experiments/classify.py --workdir=runs/zgamma_vae

scores the signal events in the package and the test part of the run by every score that
the run offers: reconstruction error, latent density, principal components,
discriminator, flow, copula. The report is classification.html in the workdir.

To compare several runs, and signals of several masses:

  pip install 'jetvae_jax[make-jets,formats]'
  python experiments/make_zgamma.py --workdir=data/masses --make.num_background=0 \
      --make.num_signal=5000 --make.masses=150,200,300,400
  python experiments/classify.py \
      --workdirs=runs/zgamma_vae,runs/zgamma_vae_d,runs/zgamma_vae_nf \
      --classify.signal=data/masses/signal150.hdf5,data/masses/signal400.hdf5

A folder of runs, such as --workdir=runs/zgamma of a comparison, means all of them; runs
that differ by their seed only count as one model. --output names
another folder for the report; by default it is the common parent folder of all runs.
The last line says whether models that generate better also find signal better.
"""

import _cli

from jetvae_jax.core import configs as config_flags
from jetvae_jax.core.errors import InputError
from jetvae_jax.studies.signal.classify import ClassifyConfig, classify

SHOWN = (
    "workdir",
    "workdirs",
    "output",
    "classify.signal",
    "classify.scores",
    "classify.mass",
)


def define() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of a trained run, or of many")
    config_flags.define_path("workdirs", (), "folders of trained runs, to compare")
    config_flags.define_path("output", "", "folder of the report")
    config_flags.define("classify", ClassifyConfig)


def main() -> None:
    """Score, evaluate, report."""
    given = _cli.FLAGS
    workdirs = [*([given.workdir] if given.workdir else []), *given.workdirs]
    if not workdirs:
        raise InputError("--workdir: name the folder of a trained run, or --workdirs")
    config = config_flags.read("classify", ClassifyConfig)
    report, verdict = classify(workdirs, config, output=given.output)
    print(verdict)
    print(report)


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
