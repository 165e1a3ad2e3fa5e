r"""Search for the settings of a training with Optuna.

    pip install 'jetvae_jax[tune]'
    python experiments/tune.py --workdir=runs/search \
        --flagfile=experiments/flagfiles/quickstart.txt \
        --tune.space=experiments/spaces/convae_2022.toml --tune.trials=50

A trial is the training that the flags describe, with values of the search space in
place of theirs; its objective is the lowest value of --train.monitor on the validation
part. A trial that crashes or gives NaN is recorded and skipped; after an interruption
the same command continues.

To run on many machines give all of them one storage:

    --tune.storage=postgresql://user:password@host/optuna
    --tune.storage=/shared/search.journal

The search writes best.flags.txt in the workdir, a flagfile for train.py.
"""

import json
import pathlib

import _cli
from absl import logging

from jetvae_jax.core import commands
from jetvae_jax.core import configs as config_flags
from jetvae_jax.core.errors import InputError
from jetvae_jax.runs import ModelRun, TuneConfig, domains, read_space, tune
from jetvae_jax.runs.search import check

SHOWN = (
    "workdir",
    "tune.space",
    "tune.trials",
    "tune.storage",
    "tune.timeout_minutes",
    "train.monitor",
)


def define() -> None:
    """The flags of a training and those of the search."""
    _cli.define_flags()
    config_flags.define("tune", TuneConfig)


def build_run(values: dict) -> ModelRun:
    """The training that the flags describe, with these values in place of theirs."""
    for name, value in values.items():
        try:
            _cli.FLAGS[name].parse(str(value))
        except (ValueError, _cli.flags.Error) as error:
            raise InputError(f"--{name}={value}: {error}") from error
    return _cli.model_run()


def main() -> None:
    """Search, or continue a search."""
    config = config_flags.read("tune", TuneConfig)
    if not config.space:
        raise InputError(
            "--tune.space: name a TOML file, or one of this package: "
            + ", ".join(commands.shipped_names("spaces"))
        )
    space = read_space(config.space, lambda name: name in _cli.FLAGS)
    log = _cli.log_targets()
    run = _cli.model_run()
    check(run)  # settings that no trial could train fail at once
    monitor, terms = run.training.monitor, domains.get(run.domain).GROUPS["objective"]
    weights = [name for name in space if name.startswith(f"{terms}.")]
    if monitor == "loss" and weights:
        logging.warning(
            "searched for among others: %s, of the loss that is minimised: the values "
            "that make it small need not make good samples; --train.monitor names "
            "another term", ", ".join(weights),
        )  # fmt: skip
    with _cli.saved_flags(alone=False):  # many processes may share a search
        report = tune(
            _cli.FLAGS.workdir, config, space, build_run, monitor=monitor, log=log
        )
    print("\n".join([*best(report.parent), str(report)]))


def best(folder: pathlib.Path) -> list[str]:
    """What was found, in lines; nothing if no trial has finished."""
    if not (path := folder / "best.json").exists():
        return ["no trial has finished"]
    found = json.loads(path.read_text())
    flagfile = folder / "best.flags.txt"
    return [
        f"best trial   {found['trial'] + 1}",
        f"{found['minimised']:<12} {found['value']:.6g}",
        f"flagfile     {flagfile}",
    ]


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
