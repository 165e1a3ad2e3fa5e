r"""What is a library of jets worth, by its size and the number of neighbours?

  python experiments/compare_libraries.py --workdir=runs/libraries \
      --flagfile=experiments/flagfiles/library_gluon30.txt

takes the nearest of 100, 1,000 and all training jets, or interpolates between the 2, 4
and 8 nearest, counts the true jets that are as close to the test jets, and measures
all metrics. Writes library.html, .txt and .json.
"""

import _cli

from jetvae_jax.core import configs as config_flags
from jetvae_jax.studies.library.study import LibraryStudyConfig, study

SHOWN = (
    "workdir",
    "library_study.k",
    "library_study.sizes",
    "library_study.observables",
    "library_study.protocol",
    "data.path",
    "scaling.conditions",
    "library.concentration",
)


def define() -> None:
    """The flags of a run, and those of the study."""
    _cli.define_flags()
    config_flags.define("library_study", LibraryStudyConfig)


def main() -> None:
    """Compare, and report."""
    config = config_flags.read("library_study", LibraryStudyConfig)
    report, verdict = study(_cli.FLAGS.workdir, _cli.model_run(), config)
    print(verdict)
    print(report)


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
