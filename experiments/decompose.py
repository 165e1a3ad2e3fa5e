r"""Events of two objects that come from different events: what is gained, what is lost?

  python experiments/decompose.py --workdir=runs/decompose

takes the pair of leptons of one Z gamma event and the photon of another, 500 training
events, and counts how many independent events all combinations are worth. Writes
decomposition.html and decomposition.json. Any table of events with pt, eta, phi and
energy of a whole and of a part of it: --decompose.path, .whole and .part.
"""

import _cli
from absl import flags

from jetvae_jax.core import configs as config_flags
from jetvae_jax.studies.decomposition.study import DecompositionConfig, study

SHOWN = (
    "workdir",
    "decompose.path",
    "decompose.whole",
    "decompose.part",
    "decompose.num_events",
    "decompose.num_combined",
    "decompose.quantiles",
)


def define() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of the report")
    flags.mark_flag_as_required("workdir")
    config_flags.define("decompose", DecompositionConfig)


def main() -> None:
    """Combine, and report."""
    config = config_flags.read("decompose", DecompositionConfig)
    report, verdict = study(_cli.FLAGS.workdir, config)
    print(verdict)
    print(report)


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
