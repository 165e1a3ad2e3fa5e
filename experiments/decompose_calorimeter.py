r"""Events of many particles whose showers come from different events: what is gained?

  python experiments/decompose_calorimeter.py --workdir=runs/calorimeter

makes events of 50 photons in the calorimeter of 30 x 30 cells, then others from the
showers of 100 of them: any 50 showers, or one of each particle's energy for the
particles of a new event. Counts how many independent events these are worth, and
writes decomposition.html and decomposition.json.
"""

import _cli

from jetvae_jax.studies.decomposition.calorimeter import CalorimeterConfig, study

SHOWN = (
    "workdir",
    "decompose.num_particles",
    "decompose.energy",
    "decompose.num_true",
    "decompose.num_events",
    "decompose.num_combined",
    "decompose.quantiles",
)

if __name__ == "__main__":
    _cli.run_study(study, "decompose", CalorimeterConfig, shown=SHOWN)
