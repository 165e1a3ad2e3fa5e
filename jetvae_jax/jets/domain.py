"""Jets: momenta in GeV, scaled to the coordinates of the network."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax import data, models
from jetvae_jax.core import configs, files, kinematics
from jetvae_jax.core.configs import LargeSeed, NonNegativeInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Context, Jets, Key, Points
from jetvae_jax.core.types import Objective as VAEObjective
from jetvae_jax.data import streaming, writing
from jetvae_jax.data.splits import Dataset, Fractions, split_sample
from jetvae_jax.data.streaming import head
from jetvae_jax.data.validation import MAX_PARTICLES
from jetvae_jax.densities.contexts import (
    ContextRequest,
    ContextSampler,
    drawn_rows,
    rows_to_draw,
)
from jetvae_jax.jets import augmentation, scaling
from jetvae_jax.losses import distances, mass_weight, observable_spread
from jetvae_jax.losses import objective as objectives
from jetvae_jax.losses.observables import MEASURED, check_spreads
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.binning import compare
from jetvae_jax.observables import jets as observables
from jetvae_jax.observables.clustering import outside_share
from jetvae_jax.observables.jets import jet_observables

GROUPS = {"data": "data", "scaling": "scaling", "objective": "objective"}
UNIT = "jets"
AXIS = ("pt", "eta", "phi")
SUFFIX = ".hdf5"
BOUNDED = "minmax"
MONITORS = ("bin_height_w1", "emd")
SYMMETRIES = tuple(field.name for field in dataclasses.fields(augmentation.Config))
TOLERANCE = 0.005  # of the pT: outside of the one jet, or more than the jet has
MASS_JETS = 1_000_000  # enough for a mean


def type_name(value: str) -> str | None:
    """A name of a class: a word."""
    return None if re.fullmatch(r"\w[\w+-]*", value) else "must be a word"


JetType = Annotated[str, type_name]


@configs.config
class Data:
    """Which jets.

    Attributes:
        path: a file or a folder of files, or several separated by commas: JetNet,
            hls4ml, TopTagging (HDF5), EnergyFlow (npz), JetClass-like Parquet or ROOT,
            what this package writes, or any file by data.columns; 'embedded' for the
            gluon jets that come with the package.
        columns: where the jets are in a file of one's own: px=...,py=...,pz=...
        jet_type: class to take from files that hold several: g, q, t, w or z, or one
            by which files are named; several, as g,q,t, are trained on at once.
        num_particles: hardest particles kept of each jet.
        max_jets: jets taken of each class, from the start of the data; 0 takes all.
        repair: drop bad jets and count them, instead of stopping at the first.
        split_seed: seed of the split into training, validation and test parts.
        fractions: of the training, validation and test parts.
        stream: for more jets than memory holds: check them once into a cache on disk,
            12 bytes a particle, and read from there.
        cache: folder of that cache; empty for jetvae_jax in the user's cache folder.
        augment: symmetries by which training jets are changed at random at every step:
            permute (particles), beam (turn about it), axis (turn about the jet's),
            mirror.
    """

    path: Annotated[configs.Path, configs.not_empty] = "embedded"
    columns: tuple[str, ...] = ()
    jet_type: Annotated[tuple[JetType, ...], configs.not_empty, configs.distinct] = (
        "g",
    )
    num_particles: Annotated[int, configs.between(1, MAX_PARTICLES)] = 30
    max_jets: NonNegativeInt = 0
    repair: bool = False
    split_seed: LargeSeed = 0
    fractions: Fractions = (0.7, 0.15, 0.15)
    stream: bool = False
    cache: configs.Path = ""
    augment: tuple[Annotated[str, configs.one_of(SYMMETRIES)], ...] = ()

    def __post_init__(self):
        if self.stream and len(self.jet_type) > 1:
            raise InputError(
                "stream: holds one class, and jet_type names "
                f"{', '.join(self.jet_type)}: leave out stream, or give one jet_type"
            )


Scaling, Scaler = scaling.Config, scaling.Scaler
Objective = objectives.Config
fit, scale = scaling.fit, scaling.scale
condition_ends = scaling.condition_ends


def load(config: Data) -> Dataset:
    """Jets in GeV, read and split; on disk if they are to be streamed.

    Raises:
        InputError: whatever is wrong with the file, or an empty part.
    """
    request = {
        "num_particles": config.num_particles,
        "max_jets": config.max_jets or None,
        "jet_type": config.jet_type,
        "repair": config.repair,
        "seed": config.split_seed,
        "columns": config.columns,
    }
    if config.stream:
        folder = config.cache or files.user_cache("")
        logging.info("streaming: the files are read once into %s", folder)
        (request["jet_type"],) = config.jet_type
        streams = streaming.streams(
            config.path, folder, fractions=config.fractions, **request
        )
        return Dataset(*streams)
    loaded = data.load(config.path, **request)
    return split_sample(
        loaded.jets,
        seed=config.split_seed,
        fractions=config.fractions,
        notes=loaded.notes,
        source=loaded.source,
        labels=loaded.jets.labels,
    )


def resolved(data: Data, config: scaling.Config) -> tuple[Data, scaling.Config]:
    """The classes of the data filled in where they are a condition.

    Raises:
        InputError: there is only one.
    """
    if scaling.TYPE not in config.conditions:
        return data, config
    if len(data.jet_type) < 2:
        raise InputError(
            f"--scaling.conditions={scaling.TYPE}: all jets are of one class, "
            f"{', '.join(data.jet_type)}: name several, such as "
            f"--data.jet_type=g,q,t, or leave {scaling.TYPE} out"
        )
    return data, dataclasses.replace(config, types=data.jet_type)


def sizes(config: Data, scaled: scaling.Config) -> dict[str, int]:
    """Fields of a model's Config that follow from the data and the scaling."""
    return {
        "num_particles": config.num_particles,
        "num_features": 3,
        "jet_rows": scaled.jet_rows,
        "num_conditions": len(scaled.condition_columns),
    }


def unscale(
    config: scaling.Config, scaler: scaling.Scaler, points: Points, context: Context
) -> Jets:
    """Generated points to jets in GeV, with the classes that were given as labels."""
    mask = points.mask[..., config.jet_rows :]
    jets = scaling.unscale(config, scaler, points.x, context.axis, mask)
    return jets._replace(labels=scaling.class_of(config, context.condition))


def particle_mask(config: scaling.Config, scaler: scaling.Scaler):
    """Which particles of a deterministic decoder exist: see ``scaling.unscale``."""

    def mask(x: Array, context: Context) -> Array:
        jets = scaling.unscale(config, scaler, x, context.axis).mask
        rows = jnp.ones((*jets.shape[:-1], config.jet_rows), bool)
        return jnp.concatenate([rows, jets], axis=-1)

    return mask


def relative(config: scaling.Config, scaler: scaling.Scaler):
    """Scaled features to (ptrel, etarel, phirel): see ``scaling.relative``."""
    if config.coordinates != "relative":
        return None
    return functools.partial(scaling.relative, config, scaler)


def refused(cluster_radius: float) -> Callable[[Jets], Array]:
    """``(jets) -> [J]``, which of them are no jet of this radius.

    Anti-kT does not find one jet in them, or their particles together have more pT than
    the jet, where that is known: a part of a jet never has.
    """

    def impossible(jets):
        share = outside_share(observables.relative(jets), radius=cluster_radius)
        outside = share > TOLERANCE
        if jets.axis is None:
            return outside
        pt = kinematics.jet_pt(jets.particles, jets.mask)
        return outside | (pt > (1 + TOLERANCE) * jets.axis[..., 0])

    return impossible


def momenta(config: scaling.Config, scaler: scaling.Scaler):
    """``(x, context) -> [..., N, 3]``, in GeV: see ``scaling.momenta``."""
    return lambda x, context: scaling.momenta(config, scaler, x, context.axis)


def num_points(config: scaling.Config, scaler: scaling.Scaler):
    """``(context) -> [...]``: the number of particles, where it is a condition."""
    if "multiplicity" not in config.conditions:
        return None
    place = config.condition_columns.index("multiplicity")

    def number(context: Context) -> Array:
        assert context.condition is not None and scaler.condition_units is not None
        center, width = scaler.condition_units
        value = context.condition[..., place] * width[place] + center[place]
        return jnp.round(value).astype(jnp.int32)

    return number


def condition_names(config: scaling.Config) -> dict[str, tuple[str, ...]]:
    """Observables of the jet on which the model depends; the classes of its type."""
    values = {scaling.TYPE: config.types}
    return {name: values.get(name, ()) for name in config.conditions}


def contexts(
    config: scaling.Config, scaler: scaling.Scaler, request: ContextRequest
) -> ContextSampler:
    """Axes and conditions of jets: those of training jets, or what is asked for.

    Axis and condition are of the same jet. Only relative coordinates need an axis; a
    given pt or eta is that of the axis, too; for a given type they are those of jets of
    that class. Where jets were turned to their principal axis, the axis ends with a
    uniform angle.

    Raises:
        InputError: a multiplicity or pt that no jet can have.
    """
    _check_conditions(request.condition)
    rows = np.asarray(scaler.axes, np.float32)
    if config.conditions:
        assert scaler.condition_units is not None
        center, width = np.asarray(scaler.condition_units)
        asked = {}
        for name, value in request.condition.items():
            place = config.condition_columns.index(name)
            if name == scaling.TYPE:
                asked[3 + place + int(value)] = 1.0
                continue
            asked[3 + place] = (value - center[place]) / width[place]
            if name in AXIS:
                asked[AXIS.index(name)] = value
        rows = np.concatenate([rows, np.asarray(scaler.conditions)], axis=1)
        columns = enumerate(config.condition_columns, 3)
        classes = [i for i, name in columns if name == scaling.TYPE]
        rows = rows_to_draw(rows, request, asked, classes)
    elif len(rows):
        rows = rows_to_draw(rows, request, {})

    def draw(key: Key, num: int) -> Context:
        rows_key, angle_key = key, key
        if config.rotate == "principal":
            rows_key, angle_key = jax.random.split(key)
        drawn = drawn_rows(rows_key, rows, num) if len(rows) else jnp.zeros((num, 3))
        axis = drawn[:, :3]
        if config.rotate == "principal":
            angle = jax.random.uniform(
                angle_key, (num, 1), minval=-jnp.pi, maxval=jnp.pi
            )
            axis = jnp.concatenate([axis, angle], axis=-1)
        return Context(axis, drawn[:, 3:] if config.conditions else None)

    return draw


def _check_conditions(asked: Mapping[str, float]) -> None:
    for name, value in asked.items():
        if name == "multiplicity" and not (value >= 1 and value == int(value)):
            raise InputError(
                f"--generate.condition=multiplicity={value:g}: give a whole number of "
                "particles, 1 or more"
            )
        if name in ("pt", "mass") and not value > 0:
            raise InputError(
                f"--generate.condition={name}={value:g}: must be positive, in GeV"
            )


def objective(run, scaler, train) -> VAEObjective:
    """What a VAE minimises, with weights that are measured on the training jets.

    Raises:
        InputError: an observable is the same for all training jets.
    """
    config = run.objective
    if config.gamma_mass < 0:
        few = head(train, MASS_JETS)
        weight = float(mass_weight(few.particles, few.mask))
        config = dataclasses.replace(config, gamma_mass=weight)
    return objectives.objective(
        config,
        distances.get(run.loss).build(run.loss_config),
        functools.partial(scaling.momenta, run.scaling, scaler),
        _spreads(config.observables, train),
    )


def _spreads(observables: tuple[str, ...], train) -> dict[str, np.ndarray]:
    """Standard deviations of observables, and of pt, of training jets."""
    if not observables:
        return {}
    few, found = head(train, MEASURED), {}
    for name in {"pt": None, **dict.fromkeys(observables)}:
        spread = jax.jit(functools.partial(observable_spread, name=name))
        found[name] = np.asarray(spread(few.particles, few.mask))
    check_spreads(found, flag=GROUPS["objective"], unit=UNIT)
    return found


def augment(run):
    """``(key, jets) -> jets``: random symmetries of training jets, or None.

    Raises:
        InputError: particles are to be permuted for a model that takes their order.
    """
    wanted = set(run.data.augment)
    if "permute" in wanted and not getattr(models.get(run.model), "USES_MASK", False):
        raise InputError(
            f"data.augment: permute: {run.model} takes particles in the order of "
            "their pt; leave it out, or give another --model"
        )
    return augmentation.build(augmentation.Config(**dict.fromkeys(wanted, True)))


def monitor(config: scaling.Config, real: Jets, generated: Jets) -> dict[str, float]:
    """Metrics of generated jets that a training may monitor.

    Args:
        config: of the scaling.
        real: jets.
        generated: jets.

    Returns:
        ``bin_height_w1``, the "EMD" of the ConVAE's publication, and ``emd``, aware of
        where the bins are and over their range; sums over mass, pT, E, eta and phi.
    """
    del config
    values = [
        jax.device_get(jax.jit(jet_observables)(jets)) for jets in (real, generated)
    ]
    rows = [
        compare(values[0][b.name], values[1][b.name], b) for b in binning.PAPER_JETS
    ]
    return {
        "bin_height_w1": sum(row["bin_height_w1"] for row in rows),
        "emd": sum(row["emd_normalised"] for row in rows),
    }


def metadata(run) -> dict:
    """Units and features, for the checkpoint."""
    return {
        "units": {"momenta": "GeV", "angles": "rad"},
        "features": scaling.FEATURES[run.scaling.coordinates],
    }


def writer(path, run, attrs):
    """A file of jets in the layout that the suffix of ``path`` names."""
    return writing.writer(
        path,
        num_particles=run.data.num_particles,
        attrs=attrs,
        types=run.scaling.types,
    )
