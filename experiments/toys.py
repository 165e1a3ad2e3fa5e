r"""Local to global significance by background-only toys of a generator.

  python experiments/toys.py --workdir=runs/zgamma_vae_nf_d \
      --toys.num_events=2000 --toys.low=100 --toys.high=300 --toys.widths=6,10

draws 10,000 pseudo-experiments of the mass spectrum from events that the run generates,
from the simulated events it was trained on, and from a smooth fit to these; finds the
largest local excess of each; and writes the trials factor and the global significance
of a local one to toys.html and toys.json in the workdir, or in --output. The sample
should hold 100 times the events of a toy: its own fluctuations are in all of its toys.
"""

import _cli
from absl import flags

from jetvae_jax.core import configs as config_flags
from jetvae_jax.studies.toys.study import ToysConfig, toys

SHOWN = (
    "workdir",
    "output",
    "toys.mass",
    "toys.low",
    "toys.high",
    "toys.widths",
    "toys.num_events",
    "toys.num_toys",
)


def define() -> None:
    """The flags of this script."""
    config_flags.define_path("workdir", None, "folder of a trained run")
    flags.mark_flag_as_required("workdir")
    config_flags.define_path(
        "output", "", "folder of the report; empty for the workdir"
    )
    config_flags.define("toys", ToysConfig)


def main() -> None:
    """Draw toys, and report."""
    config = config_flags.read("toys", ToysConfig)
    output = _cli.FLAGS.output
    report, verdict = toys(_cli.FLAGS.workdir, config, output=output)
    print(verdict)
    print(report)


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
