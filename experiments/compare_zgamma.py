r"""Compare the six models of Stevenson (Kruger 2022) on Z gamma events.

    python experiments/compare_zgamma.py --workdir=runs/zgamma

trains VAE, VAE+D, VAE+NF, VAE+NF+D, CVAE and CVAE+D as the flagfiles zgamma_*.txt
describe them, each with three seeds, and writes comparison.html, .json, .csv and .txt:
Kolmogorov-Smirnov and Spearman distances with their spread, classifier AUC, and whether
the published result holds. After an interruption the same command continues.

Further flags hold for all of them, such as --events.path=mine.parquet or
--train.num_epochs=10; --compare.models=VAE,VAE+D takes some only, or GANs beside them:
CramerGAN, WGAN-GP, WGAN, LSGAN, GAN.
"""

import json
import pathlib

import _cli

from jetvae_jax.core import commands
from jetvae_jax.core import configs as config_flags
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.words import counted
from jetvae_jax.studies.zgamma import verdict
from jetvae_jax.studies.zgamma.comparison import CompareConfig, compare

FLAGFILES = commands.FOLDER / "flagfiles"
MODELS = {
    "VAE": "zgamma_vae.txt",
    "VAE+D": "zgamma_vae_d.txt",
    "VAE+NF": "zgamma_vae_nf.txt",
    "VAE+NF+D": "zgamma_vae_nf_d.txt",
    "CVAE": "zgamma_cvae.txt",
    "CVAE+D": "zgamma_cvae_d.txt",
}
GANS = {
    "CramerGAN": (),
    "WGAN-GP": ("--mlp_gan.objective=wgan_gp", "--mlp_gan.penalty=10"),
    "WGAN": ("--mlp_gan.objective=wgan",),
    "LSGAN": ("--mlp_gan.objective=lsgan",),
    "GAN": ("--mlp_gan.objective=classic",),
}
SHOWN = (
    "workdir",
    "compare.models",
    "compare.seeds",
    "compare.classify",
    "events.path",
    "train.num_epochs",
)


def define() -> None:
    """The flags of a training and those of the comparison."""
    _cli.define_flags()
    config_flags.define("compare", CompareConfig)


def main() -> None:
    """Compare, or continue a comparison."""
    config = config_flags.read("compare", CompareConfig)
    for name in config.models:
        if name not in (*MODELS, *GANS):
            known = ", ".join((*MODELS, *GANS))
            raise InputError(
                f"--compare.models: {name!r} is unknown: choose of {known}"
            )
    candidates = [
        _cli.candidate(
            name,
            FLAGFILES / MODELS.get(name, "zgamma_gan.txt"),
            last=GANS.get(name, ()),
        )
        for name in config.models or MODELS
    ]
    with _cli.saved_flags():
        stopped = compare(_cli.FLAGS.workdir, candidates, config)
    _cli.stop_if_interrupted(stopped)
    folder = pathlib.Path(_cli.FLAGS.workdir)
    result = json.loads((folder / "comparison.json").read_text())
    models = ", ".join(result["models"])
    print("\n".join([
        f"{models}: {counted(config.seeds, 'training')} of each",
        *verdict.sentences(result["verdict"]),
        str(folder / "comparison.html"),
    ]))  # fmt: skip


if __name__ == "__main__":
    _cli.run(main, define, shown=SHOWN)
