r"""Events of two objects that come from different events: what is gained, what is lost?

  python experiments/decompose.py --workdir=runs/decompose

takes the pair of leptons of one Z gamma event and the photon of another, 500 training
events, and counts how many independent events all combinations are worth. Writes
decomposition.html and decomposition.json. Any table of events with pt, eta, phi and
energy of a whole and of a part of it: --decompose.path, .whole and .part.
"""

import _cli

from jetvae_jax.studies.decomposition.pairs import DecompositionConfig, study

SHOWN = (
    "workdir",
    "decompose.path",
    "decompose.whole",
    "decompose.part",
    "decompose.num_events",
    "decompose.num_combined",
    "decompose.quantiles",
)

if __name__ == "__main__":
    _cli.run_study(study, "decompose", DecompositionConfig, shown=SHOWN)
