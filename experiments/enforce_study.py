r"""What an observable of the jets in the loss improves, and what it costs.

    python experiments/enforce_study.py --workdir=runs/enforce

trains a small ConVAE without any observable in its loss and with each of several by
itself, three seeds each, and compares the generated jets with validation jets: the
observable that was enforced, and all that were held out, with their errors over the
seeds. Writes enforce.html with the matrix of the changes, and enforce.json. After an
interruption the same command continues.

Larger: --enforce.size=full --data.path=g.hdf5 takes the network and training of
convae_gluon30, --flagfile=mine.txt before the other flags those of a flagfile. Further
flags hold for all trainings, such as --train.num_epochs=10.
"""

from typing import Annotated, Literal

import _cli

from jetvae_jax.core import commands, configs
from jetvae_jax.core.configs import PositiveFloat, PositiveInt
from jetvae_jax.observables import named
from jetvae_jax.studies.enforce.study import candidates, study

FLAGFILES = commands.FOLDER / "flagfiles"
SIZES = {"small": "enforce_small.txt", "full": "convae_gluon30.txt"}
SHOWN = (
    "workdir",
    "enforce.observables",
    "enforce.seeds",
    "enforce.size",
    "enforce.weight",
    "seed",
    "data.path",
    "train.num_epochs",
)


@configs.config
class EnforceConfig:
    """What is enforced.

    Attributes:
        observables: of the jet, each in the loss of a model of its own: as in
            objective.observables.
        weight: of the observable in the loss; 1 is as large as the term of pt.
        seeds: trainings of each model, whose spread gives the errors.
        size: 'small' network and few epochs, for minutes on the jets of the package;
            'full' those of convae_gluon30.
    """

    observables: Annotated[
        tuple[Annotated[str, named.complaint], ...],
        configs.not_empty,
        configs.distinct,
    ] = ("mass", "width", "ptd")
    weight: PositiveFloat = 10.0
    seeds: PositiveInt = 3
    size: Literal["small", "full"] = "small"


def define() -> None:
    """The flags of a training and those of the study."""
    _cli.define_flags()
    configs.define("enforce", EnforceConfig)


def main() -> None:
    """Train and compare, or continue."""
    config = configs.read("enforce", EnforceConfig)
    base = _cli.candidate("none", FLAGFILES / SIZES[config.size])
    models = candidates(base, config.observables, config.weight)
    seeds = range(_cli.FLAGS.seed, _cli.FLAGS.seed + config.seeds)
    with _cli.saved_flags():
        stopped, page, verdict = study(_cli.FLAGS.workdir, models, seeds)
    _cli.stop_if_interrupted(stopped)
    print(verdict)
    print(page)


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
