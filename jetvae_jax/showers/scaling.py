"""Scaling: between showers in GeV and the numbers a network sees.

A shower is a set of ``1 + C`` points of one feature. The first is the logarithm of the
response, standardised; the others are the cells,

    x = log(E / E_0) / w,

with the threshold E_0 and the root mean square w of the logarithm over training cells:
an empty cell is exactly 0 and does not exist, all others are positive. Back, cells have
the energies ``E_0 exp(w x)`` times one number for the whole shower, with which their
sum is that of the response; what is below the threshold is empty.

:func:`scale` and :func:`unscale` are pure jnp functions; :func:`fit` is on the host.
"""

from typing import Annotated, ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs
from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_divide, safe_log
from jetvae_jax.core.types import Array, Batch, Context, Points, Showers
from jetvae_jax.showers import geometry, incident
from jetvae_jax.showers.incident import Known

MAX_LOG = 30.0  # of a cell's energy over the threshold: beyond any detector
MAX_PARTICLES = 20_000  # kept for generation


@configs.config
class Config:
    """How showers are presented to the network.

    Attributes:
        conditions: of energy, type, point and direction of the incident particle: what
            the models depend on. Generated showers have those of training showers, or
            --generate.condition.
        geometry: of the cells; follows from the data, as do the next three.
        kinds: PDG codes of the incident particles.
        with_point: their points are known.
        with_direction: their directions are known.
    """

    DERIVED: ClassVar = ("geometry", "kinds", "with_point", "with_direction")

    conditions: Annotated[
        tuple[Annotated[str, configs.one_of(tuple(incident.CONDITIONS))], ...],
        configs.distinct,
    ] = ("energy",)
    geometry: str = ""
    kinds: tuple[int, ...] = ()
    with_point: bool = False
    with_direction: bool = False

    @property
    def known(self) -> Known:
        """What is known of the incident particles."""
        return Known(self.kinds, self.with_point, self.with_direction)

    @property
    def places(self) -> np.ndarray:
        """Columns of an incident particle that are conditions."""
        return incident.places(self.known, self.conditions)


class Scaler(NamedTuple):
    """The constants of the scaling, measured on the training showers by :func:`fit`.

    Attributes:
        threshold: ``[]`` GeV, of a cell.
        width: ``[]`` of the logarithm of a cell's energy.
        response: ``[2]`` mean and deviation of the logarithm of the response.
        units: ``[2, D]`` of incident particles, see ``incident.measured``.
        limits: ``[2, D]`` smallest and largest of them.
        particles: ``[A, D]`` of the first training showers, for generation.
    """

    threshold: Array
    width: Array
    response: Array
    units: Array
    limits: Array
    particles: Array


def fit(config: Config, train: Showers) -> Scaler:
    """Measures the training showers ``[J, C]``.

    Raises:
        InputError: all of them are empty.
    """
    showers = record(np, train)
    energies = showers.energies
    threshold = geometry.get(config.geometry).threshold
    hit = energies > threshold
    if not hit.any():
        raise InputError("the training showers are empty: no cell is above threshold")
    threshold = threshold if threshold > 0 else float(energies[hit].min())
    logs = np.log(energies[hit] / threshold, dtype=np.float64)
    total = np.where(hit, energies, 0).sum(-1, dtype=np.float64)
    response = np.log(np.maximum(total, threshold) / showers.energy)
    rows = np.asarray(incident.rows_of(config.known, showers))
    arrays = (
        threshold,
        np.sqrt(np.mean(np.square(logs))) or 1.0,
        [response.mean(), response.std() or 1.0],
        incident.measured(config.known, rows),
        [rows.min(0), rows.max(0)],
        rows[:MAX_PARTICLES],
    )
    return Scaler(*(np.asarray(a, np.float32) for a in arrays))


def scale(config: Config, scaler: Scaler, showers: Showers) -> Batch:
    """Showers ``[..., C]`` to scaled points ``[..., 1 + C, 1]``."""
    showers = record(jnp, showers)
    energies = showers.energies
    hit = energies > _least(scaler)
    total = jnp.sum(jnp.where(hit, energies, 0.0), axis=-1)
    total = jnp.maximum(total, scaler.threshold)
    response = safe_log(total) - safe_log(showers.energy)
    response = (response - scaler.response[0]) / scaler.response[1]
    over = jnp.where(hit, energies / scaler.threshold, 1.0)
    x = jnp.maximum(jnp.log(over), 0.0) / scaler.width
    x = jnp.concatenate([response[..., None], x], axis=-1)[..., None]
    mask = jnp.concatenate([jnp.ones((*hit.shape[:-1], 1), bool), hit], axis=-1)
    rows = incident.rows_of(config.known, showers)
    return Batch(x, mask, Context(rows, conditions(config, scaler, rows)))


def _least(scaler: Scaler) -> Array:
    """Energies above it are above the threshold, to the rounding of float32."""
    return scaler.threshold * (1 - 1e-5)


def conditions(config: Config, scaler: Scaler, rows: Array) -> Array | None:
    """Conditions ``[..., G]`` of incident particles ``[..., D]``; None without."""
    places = config.places
    if not len(places):
        return None
    return incident.scaled(rows, scaler.units)[..., places]


def unscale(
    config: Config, scaler: Scaler, points: Points, context: Context
) -> Showers:
    """Scaled points ``[..., 1 + C, 1]`` to showers in GeV.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        points: what a model generates; its mask says which cells are hit.
        context: the incident particles ``[..., D]`` in its axis.
    """
    points, context = record(jnp, points), record(jnp, context)
    x, rows = points.x[..., 0], context.axis
    log = x[..., 0] * scaler.response[1] + scaler.response[0]
    total = jnp.exp(jnp.clip(log, -MAX_LOG, MAX_LOG)) * rows[..., 0]
    cells = x[..., 1:] * scaler.width
    hit = points.mask[..., 1:] & jnp.isfinite(cells) & jnp.isfinite(total)[..., None]
    safe = jnp.where(hit, jnp.clip(cells, 0.0, MAX_LOG), 0.0)
    energies = jnp.where(hit, scaler.threshold * jnp.exp(safe), 0.0)
    for _ in range(2):  # what remains above the threshold only rises
        factor = safe_divide(total, jnp.sum(energies, axis=-1))[..., None]
        energies = energies * jnp.where(hit, factor, 0.0)
        hit = energies > _least(scaler)
        energies = jnp.where(hit, energies, 0.0)
    return incident.with_particles(config.known, energies, rows)


def exists(x: Array, context: Context) -> Array:
    """Points ``[..., 1 + C]`` that exist where no density says so: those above 0."""
    del context
    hit = x[..., 1:, 0] > 0
    return jnp.concatenate([jnp.ones((*hit.shape[:-1], 1), bool), hit], axis=-1)
