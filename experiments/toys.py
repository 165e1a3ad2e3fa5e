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

if __name__ == "__main__":
    _cli.run_study(toys, "toys", ToysConfig, of_run=True, shown=SHOWN)
