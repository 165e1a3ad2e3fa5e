r"""How many true events a generator is worth, and more than it was trained on?

  python experiments/sample_limits.py --workdir=runs/limits

trains a toy of which all is known, the sum of two log-normal variables of 1,000 events,
in every way: all combinations, with and without a limit of the variables, and a fit.
The same question to a trained generator of jets, or to files of any generator:

  python experiments/sample_limits.py --workdir=runs/limits --limits.run=runs/g
  python experiments/sample_limits.py --workdir=runs/limits --limits.train=train.hdf5 \
      --limits.truth=others.hdf5 --limits.generated=seed0.hdf5,seed1.hdf5

writes sample_limits.html and sample_limits.json. The true jets must not have trained
the generator; the more they are, the larger a number can be seen. An ensemble of small
models, all trained in one program, 8 with other seeds and 8 on bootstraps, generates
from the prior and shows the systematic error of the model:

  python experiments/sample_limits.py --workdir=runs/limits --limits.run=runs/g \
      --limits.members=8
"""

import _cli

from jetvae_jax.studies.sample_limits.settings import LimitsConfig
from jetvae_jax.studies.sample_limits.study import sample_limits

SHOWN = (
    "workdir",
    "limits.run",
    "limits.train",
    "limits.generated",
    "limits.truth",
    "limits.observables",
    "limits.num_generated",
    "limits.members",
    "limits.quantiles",
    "limits.tail",
    "limits.num_trainings",
)

if __name__ == "__main__":
    _cli.run_study(sample_limits, "limits", LimitsConfig, shown=SHOWN)
