"""The sample of jets that comes with the package; see ``embedded/README.md``."""

import importlib.resources
import pathlib


def path() -> pathlib.Path:
    """File of 20,000 gluon jets of 30 particles: a Pythia 8 replica of JetNet."""
    folder = importlib.resources.files("jetvae_jax.data") / "embedded"
    return pathlib.Path(str(folder / "gluon30.hdf5"))
