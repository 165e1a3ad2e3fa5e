"""Jets: momenta in GeV, scaled to the coordinates of the network."""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp

from jetvae_jax import data
from jetvae_jax.data import formats, scaling
from jetvae_jax.errors import InputError
from jetvae_jax.losses import elbo, mass_weight, reconstruction
from jetvae_jax.runs import dataset

GROUPS = {"data": "data", "scaling": "scaling", "objective": "objective"}
SUFFIX = ".hdf5"
BOUNDED = "minmax"


@dataclasses.dataclass(frozen=True)
class Data:
    """Which jets.

    Attributes:
        path: a file or a folder of files: JetNet, hls4ml, TopTagging (HDF5),
            EnergyFlow (npz), JetClass-like Parquet or ROOT, what this package writes,
            or any file by data.columns; 'embedded' for the gluon jets that come with
            the package.
        columns: where the jets are in a file of one's own: px=...,py=...,pz=...
        jet_type: class to take from files that hold several: g, q, t, w or z.
        num_particles: hardest particles kept of each jet.
        max_jets: jets taken from the start of the data; 0 takes all.
        repair: drop bad jets and count them, instead of stopping at the first.
        split_seed: seed of the split into training, validation and test parts.
        fractions: of the training, validation and test parts.
    """

    path: str = "embedded"
    columns: tuple[str, ...] = ()
    jet_type: Literal["g", "q", "t", "w", "z"] = "g"
    num_particles: int = 30
    max_jets: int = 0
    repair: bool = False
    split_seed: int = 0
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)

    def __post_init__(self):
        if len(self.fractions) != 3:
            raise InputError(
                f"fractions = {self.fractions}: give three, of training, validation, "
                "test"
            )


Scaling, Scaler = scaling.Config, scaling.Scaler
Objective = elbo.Config
fit, scale, unscale = scaling.fit, scaling.scale, scaling.unscale


def load(config: Data) -> dataset.Dataset:
    """Jets in GeV, read and split.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    loaded = data.load(
        config.path,
        num_particles=config.num_particles,
        max_jets=config.max_jets or None,
        jet_type=config.jet_type,
        repair=config.repair,
        seed=config.split_seed,
        columns=config.columns,
    )
    return dataset.split(
        loaded.jets,
        seed=config.split_seed,
        fractions=config.fractions,
        notes=loaded.notes,
        source=loaded.source,
    )


def sizes(config: Data, scaled: scaling.Config) -> dict:
    """Fields of a model's Config that follow from the data and the scaling."""
    return {
        "num_particles": config.num_particles,
        "num_features": 3,
        "jet_rows": scaled.jet_rows,
    }


def draw_axes(config, scaler, key, num_jets):
    """Axes for relative coordinates: training jets drawn anew (a library)."""
    axes = jnp.asarray(scaler.axes)
    if not axes.shape[0]:
        return jnp.zeros((num_jets, 3))
    return axes[jax.random.randint(key, (num_jets,), 0, axes.shape[0])]


def loss(run, vae, scaler, train):
    """The objective of ``run``, its mass weight filled in from the training jets."""
    objective = run.objective
    if objective.gamma_mass < 0:
        weight = float(mass_weight(*train[:2]))
        objective = dataclasses.replace(objective, gamma_mass=weight)
    return elbo.build(
        objective,
        vae,
        reconstruction.get(run.loss).build(run.loss_config),
        functools.partial(scaling.momenta, run.scaling, scaler),
    )


def facts(run) -> dict:
    """Units and features, for the checkpoint."""
    return {
        "units": {"momenta": "GeV", "angles": "rad"},
        "features": scaling.FEATURES[run.scaling.coordinates],
    }


def writer(path, run, attrs):
    """A file of jets in the layout that the suffix of ``path`` names."""
    return formats.writer(path, num_particles=run.data.num_particles, attrs=attrs)
