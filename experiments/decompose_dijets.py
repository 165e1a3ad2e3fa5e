r"""Events of two jets that come from different events: what is gained, what is lost?

  python experiments/make_jets.py --workdir=data/dijets --make.jets_per_event=2 \
      --make.num_jets=50000 --make.layouts=jetnet30 --make.seed=1401
  python experiments/decompose_dijets.py --workdir=runs/dijets \
      --decompose.path=data/dijets/jetnet30/g.hdf5 \
      --decompose.run=zoo:autoregressive_gluon30

combines the jets of 500 events: those of any two events, with their azimuth kept, or on
the axes of further true events the particles of jets of nearly the same pt; and puts on
these axes jets that a trained model generates. Counts how many independent events each
is worth. Writes decomposition.html and decomposition.json.
"""

import _cli

from jetvae_jax.studies.decomposition.dijets import DijetsConfig, study

SHOWN = (
    "workdir",
    "decompose.path",
    "decompose.run",
    "decompose.num_events",
    "decompose.num_combined",
    "decompose.quantiles",
)

if __name__ == "__main__":
    _cli.run_study(study, "decompose", DijetsConfig, shown=SHOWN)
