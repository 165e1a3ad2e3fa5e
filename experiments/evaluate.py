r"""Compare jets with real jets: table, JSON, CSV, LaTeX, HTML report.

  python experiments/evaluate.py --workdir=runs/quickstart

compares the samples that generate.py wrote into the workdir with the test jets. To
compare files of any generator, in any format that can be read:

  python experiments/evaluate.py --workdir=runs/mpgan \
      --evaluate.real=g.hdf5 --evaluate.generated=mpgan.hdf5,epic_gan.hdf5
"""

import _cli

from jetvae_jax import runs

SHOWN = (
    "workdir",
    "evaluate.real",
    "evaluate.generated",
    "evaluate.condition",
    "evaluate.truth",
    "evaluate.protocols",
    "evaluate.classify",
    "data.num_particles",
)


def main() -> None:
    """Evaluate the named files, or every generated file of the workdir."""
    workdir, files = _cli.FLAGS.workdir, _cli.data_config()
    config, domain = _cli.evaluate_config(), _cli.FLAGS.domain
    report = runs.evaluate(workdir, config, files, domain=domain)
    print("\n".join(runs.summary.of_evaluation(report, workdir)))


if __name__ == "__main__":
    _cli.run(main, shown=SHOWN)
