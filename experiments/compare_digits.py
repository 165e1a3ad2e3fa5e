r"""Train with each loss of sparse images and several seeds, and compare the losses.

  python experiments/compare_digits.py --workdir=runs/digits \
      --flagfile=experiments/flagfiles/digits_sparse.txt

writes compare.txt, compare.json and compare.html. After an interruption the same
command continues.
"""

import dataclasses
import json
import pathlib

import _cli
from absl import flags

from jetvae_jax.core import configs as config_flags
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.words import counted
from jetvae_jax.losses import distances
from jetvae_jax.studies.digit_losses import comparison, verdict

LOSSES = ("pixel_positions", "pixel_matched", "pixel_third_axis")
SHOWN = ("workdir", "losses", "num_seeds", "pixels.path", "train.num_epochs")


def define() -> None:
    """The flags of a run, the losses and the number of seeds."""
    _cli.define_flags()
    flags.DEFINE_multi_enum("losses", LOSSES, distances.names(), "losses to compare")
    flags.DEFINE_integer("num_seeds", 3, "trainings with each loss", lower_bound=1)


def main() -> None:
    """Train and evaluate."""
    if _cli.FLAGS.domain != "pixels":
        raise InputError(
            f"--domain={_cli.FLAGS.domain}: losses of sparse images are compared: give "
            "--domain=pixels, or --flagfile=experiments/flagfiles/digits_sparse.txt"
        )
    base, runs = _cli.model_run(), {}
    for name in _cli.FLAGS.losses:
        config = config_flags.read(name, distances.get(name).Config)
        scaling = dataclasses.replace(base.scaling, intensity=name != "pixel_positions")
        runs[name] = dataclasses.replace(
            base, loss=name, loss_config=config, scaling=scaling
        )
    seeds = range(base.seed, base.seed + _cli.FLAGS.num_seeds)
    flow, log, workdir = _cli.flow_run(), _cli.log_targets(), _cli.FLAGS.workdir
    with _cli.saved_flags():
        stopped = comparison.compare(workdir, runs, flow, seeds=seeds, log=log)
    _cli.stop_if_interrupted(stopped)
    folder = pathlib.Path(workdir)
    found = json.loads((folder / "compare.json").read_text())["metrics"]
    lines = verdict.verdict(found, "positions")[-3:]
    losses = f"{', '.join(runs)}: {counted(len(seeds), 'training')} with each"
    print("\n".join([losses, "by positions:", *lines, str(folder / "compare.html")]))


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
