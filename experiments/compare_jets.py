r"""Compare models of jets: encoders of sets, and observables in the loss.

    python experiments/compare_jets.py --workdir=runs/jets

trains ConVAE, a deep-sets VAE with each of its encoders (deep sets, energy flow
network, interaction network), and one with energy-flow polynomials in its loss, three
seeds each, fits a flow, and writes comparison.html, .json and .txt: metrics of
reconstructed and generated jets with their spread, and what the polynomials improve
that is not in the loss. After an interruption the same command continues.

By default networks are small, for the 20,000 jets of the package: minutes. The
flagfiles at their full size, which take hours:

    python experiments/compare_jets.py --workdir=runs/all --compare.size=full \
        --data.path=g.hdf5

Further flags hold for all models, such as --train.num_epochs=10. Which models:
--compare.flagfiles=deepsets_gluon30,mine.txt
"""

import pathlib
from typing import Literal

import _cli

from jetvae_jax.core import commands, configs
from jetvae_jax.core.configs import PositiveInt
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import expanded
from jetvae_jax.core.words import counted
from jetvae_jax.studies.jet_models.comparison import compare

MODELS = (
    "convae_gluon30",
    "deepsets_gluon30",
    "efn_gluon30",
    "interaction_gluon30",
    "deepsets_efp_gluon30",
)
SMALL = commands.FOLDER / "flagfiles/compare_jets_small.txt"
SHOWN = (
    "workdir",
    "compare.flagfiles",
    "compare.seeds",
    "compare.size",
    "seed",
    "data.path",
    "train.num_epochs",
)


@configs.config
class CompareConfig:
    """What is compared.

    Attributes:
        flagfiles: one for each model: names of flagfiles of this package, or paths.
            Each model is called as its file. Empty for the five above.
        seeds: trainings of each model, whose spread is the error of its results.
        epochs: of the training of each model, in the order of the flagfiles, so that
            all take the same time; empty for the epochs that their flagfiles say.
        size: 'small' networks and few epochs, for minutes on the jets of the package;
            'full' as the flagfiles say.
    """

    flagfiles: tuple[str, ...] = ()
    epochs: tuple[PositiveInt, ...] = ()
    seeds: PositiveInt = 3
    size: Literal["small", "full"] = "small"


def define() -> None:
    """The flags of a training and those of the comparison."""
    _cli.define_flags()
    configs.define("compare", CompareConfig)


def paths(names: tuple[str, ...]) -> dict[str, pathlib.Path]:
    """Name of each model to its flagfile.

    Raises:
        InputError: there is no such file, or two have one name.
    """
    found = {}
    for name in names:
        path = pathlib.Path(expanded(name))
        if not path.is_file():
            path = commands.shipped(path.name, "flagfiles", ".txt")
        if path is None:
            hint = did_you_mean(name, commands.shipped_names("flagfiles"))
            raise InputError(f"--compare.flagfiles: {name}: no such file{hint}")
        if path.stem in found:
            raise InputError(
                f"--compare.flagfiles: two are called {path.stem}: rename one"
            )
        found[path.stem] = path
    return found


def main() -> None:
    """Compare, or continue a comparison."""
    config = configs.read("compare", CompareConfig)
    smaller = (SMALL,) if config.size == "small" else ()
    recipes = paths(config.flagfiles or MODELS)
    if config.epochs and len(config.epochs) != len(recipes):
        raise InputError(
            f"--compare.epochs: {counted(len(config.epochs), 'number')} for "
            f"{counted(len(recipes), 'model')}: give one for each of "
            f"{', '.join(recipes)}"
        )
    epochs = [f"--train.num_epochs={number}" for number in config.epochs]
    # The flow is drawn from in every case, whatever a flagfile generates by default.
    candidates = [
        _cli.candidate(name, path, *smaller, latents="flow", last=epochs[i : i + 1])
        for i, (name, path) in enumerate(recipes.items())
    ]
    seeds = range(_cli.FLAGS.seed, _cli.FLAGS.seed + config.seeds)
    with _cli.saved_flags():
        stopped = compare(_cli.FLAGS.workdir, candidates, seeds)
    _cli.stop_if_interrupted(stopped)
    folder = pathlib.Path(_cli.FLAGS.workdir)
    print("\n".join([
        f"{', '.join(one.name for one in candidates)}: "
        f"{counted(len(seeds), 'training')} of each",
        str(folder / "comparison.txt"),
        str(folder / "comparison.html"),
    ]))  # fmt: skip


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
