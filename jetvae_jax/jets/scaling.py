"""Scaling: between momenta in GeV and the numbers a network sees.

A particle has physical features ``v``, such as (ptrel, etarel, phirel), and scaled ones
``x`` with ``v = offset + factor * x`` per feature, or by quantiles. Padding sits at one
known point, ``Scaler.padding``. In the coordinates "frame" two rows before the
particles hold the jet. This is the only conversion of units.

:func:`fit` gathers what it needs of the training jets chunk by chunk, on the host.
:func:`scale`, :func:`unscale` and :func:`momenta` are pure jnp functions for plain use,
``jit``, ``vmap`` and ``grad``.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import configs, kinematics
from jetvae_jax.core.configs import NonNegativeFloat
from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_divide, safe_norm
from jetvae_jax.core.types import Array, Batch, Context, Jets
from jetvae_jax.jets import features, quantiles

__all__ = [
    "CONDITIONS",
    "FEATURES",
    "Config",
    "Measured",
    "Moments",
    "Scaler",
    "Source",
    "Thinned",
    "condition_ends",
    "fit",
    "measure",
    "momenta",
    "observed_conditions",
    "relative",
    "scale",
    "unscale",
]

FEATURES = {
    "cartesian": ("px", "py", "pz"),
    "cylindrical": ("pt", "eta", "phi"),
    "relative": ("ptrel", "etarel", "phirel"),
    "frame": ("px", "py", "pz"),
}
"""Features of a particle in each kind of coordinates."""
FIXED_FACTORS = {
    "cartesian": (2000.0, 2000.0, 2000.0),
    "cylindrical": (2000.0, 1.0, 1.0),
    "relative": (1.0, 0.01, 0.01),
    "frame": (1.0, 1.0, 1.0),
}
"""Divisors of the ConVAE study (arXiv:2109.15197): momenta by 2000 GeV, relative angles
times 100."""
LOG_FLOORS = {"cylindrical": 0.1, "relative": 1e-4}
"""Of the logarithm of pt, softer than any particle: 0.1 GeV, or that of a TeV jet."""
MAX_LOG = 13.8  # of a decoded pt, a million floors: 100 TeV
MAX_AXES = 100_000  # jets whose axes are kept, for generation: 16 bytes each
SAMPLE = 1_000_000  # particles, for the quantiles
ROWS = 16_384  # jets at a time
# Multiples of it modulo 1 fill [0, 1) evenly, whatever the period of the data.
_GOLDEN = 0.6180339887498949


TYPE = "type"
CONDITIONS = ("pt", "eta", "mass", "multiplicity", TYPE)
"""On what a model may depend: observables of a jet, in GeV and pure numbers, and its
class, as one number for each class."""


@configs.config
class Config:
    """How momenta are presented to the network.

    Attributes:
        coordinates: features of a particle: cartesian (px, py, pz), cylindrical
            (pt, eta, phi), relative (ptrel, etarel, phirel) to the jet's axis, or
            frame (px, py, pz) turned and boosted to the axis, over the jet's pt; pt
            and axis become rows of their own.
        method: minmax maps the training range, padding included, to [0, 1]; standard
            gives existing particles mean 0 and variance 1; slots does so for each
            place in the pt order; log is standard of the logarithm of pt; quantile
            makes features normally distributed; factors divides GeV by 2000 and
            multiplies relative angles by 100; none changes nothing.
        padding: where padding sits: zero is physical zero; away is zero pt and twice
            the largest |angle| (momenta: |component|), where no particle is.
        min_pt: a decoded particle exists if its pt is above this many GeV.
        max_angle: a decoded particle exists if it lies within this distance of its
            jet's axis in (eta, phi), as clustered particles do; 0 sets no limit.
        rotate: principal turns jets about their axis until their principal axis lies
            along the first transverse feature, and generated jets by a random angle;
            for relative and frame coordinates; none does not.
        axis: what relative features refer to: the sum of the particles that are kept,
            or jet, the axis of the whole jet, for files that contain it.
        conditions: of pt, eta, mass, multiplicity and type, the class of the jet: what
            encoder and decoder depend on. Generated jets have those of training jets,
            or --generate.condition.
        types: classes of the training jets, where the type is a condition; follows from
            the data.
    """

    RENAMED: ClassVar = {"ghosts": "padding"}
    DERIVED: ClassVar = ("types",)

    coordinates: Literal["cartesian", "cylindrical", "relative", "frame"] = "cartesian"
    method: Literal[
        "minmax", "standard", "slots", "log", "quantile", "factors", "none"
    ] = "minmax"
    padding: Literal["zero", "away"] = "zero"
    min_pt: Annotated[float, configs.not_negative, configs.finite] = 0.25
    max_angle: NonNegativeFloat = 0.0
    rotate: Literal["none", "principal"] = "none"
    axis: Literal["particles", "jet"] = "particles"
    conditions: Annotated[
        tuple[Annotated[str, configs.one_of(CONDITIONS)], ...], configs.distinct
    ] = ()
    types: tuple[str, ...] = ()

    def __post_init__(self):
        if self.method == "log" and self.momentum_features:
            raise InputError(
                f"method: 'log' needs pt as a feature, {self.coordinates} coordinates "
                "have none: give coordinates = relative or cylindrical"
            )
        if self.rotate != "none" and self.coordinates not in ("relative", "frame"):
            raise InputError(
                f"rotate: {self.coordinates} coordinates have no jet axis: "
                "give coordinates = frame or relative, or rotate = none"
            )
        if self.axis == "jet" and self.coordinates != "relative":
            raise InputError(
                f"axis: {self.coordinates} coordinates do not refer to the axis of the "
                "whole jet: give coordinates = relative, or axis = particles"
            )

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """Which condition each number of the scaled ones belongs to."""
        numbers = {TYPE: len(self.types)}
        return tuple(c for c in self.conditions for _ in range(numbers.get(c, 1)))

    @property
    def jet_rows(self) -> int:
        """How many rows of ``x`` describe the jet, before those of the particles."""
        return features.JET_ROWS if self.coordinates == "frame" else 0

    @property
    def momentum_features(self) -> bool:
        """Whether the features are the components of a momentum."""
        return self.coordinates in ("cartesian", "frame")

    @property
    def log_pt(self) -> bool:
        """Whether the first feature is the logarithm of pt."""
        return self.method in ("log", "quantile") and not self.momentum_features


class Scaler(NamedTuple):
    """The constants of the scaling, measured on the training jets by :func:`fit`.

    Attributes:
        offset: ``[R, F]`` physical value at ``x = 0``; R is the number of rows of
            ``x``, or 1 where all rows share it.
        factor: ``[R, F]`` physical units per unit of ``x``, positive.
        padding: ``[R, F]`` scaled position of padding.
        axes: ``[A, 3]`` (pt [GeV], eta, phi) of the first training jets, from which
            generation draws axes; ``[0, 3]`` unless the coordinates are relative or
            there are conditions.
        knots: ``[K, F]`` of the particles' features; ``[0, F]`` unless the method is
            quantile, None in a checkpoint older than that method.
        conditions: ``[A, G]`` scaled conditions of the jets of ``axes``; None without
            conditions.
        condition_units: ``[2, G]`` mean and standard deviation of the conditions in
            GeV or pure numbers, 0 and 1 for the numbers of a class; None without.
        condition_ends: ``[2, G]`` smallest and largest condition of all training jets,
            in the same units; None without, and in older checkpoints.
    """

    offset: Array
    factor: Array
    padding: Array
    axes: Array
    knots: Array | None = None
    conditions: Array | None = None
    condition_units: Array | None = None
    condition_ends: Array | None = None


class Source(Protocol):
    """Jets that come in chunks: more than fit into memory."""

    def chunks(self, rows: int) -> Iterator[Jets]:
        """All jets once, at most ``rows`` at a time, all of the same N."""
        ...


def fit(config: Config, jets: Jets | Source) -> Scaler:
    """Measures offset, factor and position of padding on the training jets.

    Args:
        config: the scaling.
        jets: training jets, ``[J, N, 3]``, or a source of chunks of them.

    Returns:
        Scaler of NumPy float32 arrays. The factor of a constant feature is 1.

    Raises:
        InputError: no jet has a particle.
        ValueError: the arrays are not ``[J, N, 3]`` and ``[J, N]``.
    """
    found = measure(config, jets)
    low, high, mean, deviation = found.particles
    padding = np.zeros(3)
    if config.padding == "away":
        padding = 2 * np.maximum(np.abs(low), np.abs(high)).max(axis=0)
        padding[padding == 0] = 1.0
        if not config.momentum_features:
            padding[0] = 0.0

    offset, factor = np.zeros_like(mean), np.ones_like(mean)
    if config.method == "minmax":
        offset = np.minimum(low, padding)
        factor = np.maximum(high, padding) - offset
    elif config.method in ("standard", "slots", "log"):
        offset, factor = mean, deviation
    elif config.method == "factors":
        factor = np.array([FIXED_FACTORS[config.coordinates]])
    knots = np.zeros((0, 3))
    if config.method == "quantile":
        # Offset 0 and factor 1: the position of padding is divided by them below.
        knots = quantiles.fit(found.sample)
        padding = np.asarray(quantiles.forward(knots, padding))
    if config.jet_rows:
        # Particles need rows of their own now; the jet's are always standardised.
        particles, jet_rows = (found.num_particles, 3), found.jet_rows[2:]
        offset = np.concatenate([jet_rows[0], np.broadcast_to(offset, particles)])
        factor = np.concatenate([jet_rows[1], np.broadcast_to(factor, particles)])
    factor = np.where(factor > 0, factor, 1.0)
    arrays = [offset, factor, (padding - offset) / factor, found.axes, knots]
    if config.conditions:
        center, width = found.conditions.mean(axis=0), found.conditions.std(axis=0)
        width = np.where(width > 1e-6 * np.abs(center), width, 1.0)
        is_type = np.array(config.condition_columns) == TYPE
        center, width = np.where(is_type, 0.0, center), np.where(is_type, 1.0, width)
        arrays += [(found.conditions - center) / width, np.stack([center, width])]
        arrays.append(found.condition_ends)
    return Scaler(*(np.asarray(a, np.float32) for a in arrays))


def scale(config: Config, scaler: Scaler, jets: Jets) -> Batch:
    """Jets in GeV to scaled features.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        jets: ``[..., N, 3]`` and ``[..., N]``.

    Returns:
        Batch of N rows, or N + 2 with those of the jet: x is exactly ``scaler.padding``
        on padding, with zero gradient; axis is the axis of each jet's particles.
    """
    jets = record(jnp, jets)
    v, axis = _from_jets(config, jets)
    mask = jets.mask
    if config.jet_rows:
        v = jnp.concatenate([features.jet_rows(axis), v], axis=-2)
        exists = jnp.ones((*mask.shape[:-1], features.JET_ROWS), bool)
        mask = jnp.concatenate([exists, mask], axis=-1)
    x = (v - scaler.offset) / scaler.factor
    x = _through_quantiles(config, scaler, quantiles.forward, x)
    context = Context(axis, _conditions(config, scaler, jets))
    return Batch(jnp.where(mask[..., None], x, scaler.padding), mask, context)


def observed_conditions(config: Config, jets: Jets) -> Array:
    """The conditions of jets, before they are scaled.

    Args:
        config: which conditions, and what the axis of a jet is.
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``[..., G]``: pt and mass in GeV, eta, multiplicity; the class as one number
        for each, 1 for that of the jet.

    Raises:
        InputError: the class is a condition, and not known.
    """
    jets = record(jnp, jets)
    mask = jets.mask
    pt_eta_phi = _axis_of(config, jets)
    found = {
        "pt": pt_eta_phi[..., 0],
        "eta": pt_eta_phi[..., 1],
        "mass": kinematics.jet_mass(jets.particles, mask),
        "multiplicity": jnp.sum(mask, axis=-1, dtype=jnp.float32),
    }
    columns = {name: [values] for name, values in found.items()}
    if TYPE in config.conditions:
        numbers = _one_hot(config, jets.labels)
        columns[TYPE] = [n.astype(pt_eta_phi.dtype) for n in numbers]
    return jnp.stack([v for name in config.conditions for v in columns[name]], axis=-1)


def _one_hot(config: Config, labels: Array | None) -> list[Array]:
    """``[...]`` for each class: 1 for jets of it, else 0."""
    if labels is None or not config.types:
        raise InputError(
            "scaling.conditions: type: the classes of these jets are not known: load "
            "them by a jet_type of several"
        )
    labels = jnp.asarray(labels)
    return [labels == i for i in range(len(config.types))]


def class_of(config: Config, condition: Array | None) -> Array | None:
    """The class ``[...]`` that scaled conditions ``[..., G]`` state; None if none."""
    if TYPE not in config.conditions or condition is None:
        return None
    first = config.condition_columns.index(TYPE)
    numbers = jnp.asarray(condition)[..., first : first + len(config.types)]
    return jnp.argmax(numbers, axis=-1).astype(jnp.int32)


def _conditions(config: Config, scaler: Scaler, jets: Jets) -> Array | None:
    """Scaled conditions ``[..., G]``, or None without conditions."""
    if scaler.condition_units is None:
        return None
    center, width = scaler.condition_units
    return (observed_conditions(config, jets) - center) / width


def condition_ends(config: Config, scaler: Scaler) -> dict[str, tuple[float, float]]:
    """Smallest and largest of each condition that is a number, among training jets.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`; of an older checkpoint, which does not know of all
            jets, the ends are those of the jets that it kept.
    """
    if scaler.condition_units is None:
        return {}
    ends = scaler.condition_ends
    if ends is None:
        center, width = np.asarray(scaler.condition_units, np.float64)
        kept = np.asarray(scaler.conditions) * width + center
        ends = np.stack([kept.min(axis=0), kept.max(axis=0)])
    columns = zip(config.condition_columns, *np.asarray(ends).tolist(), strict=True)
    return {name: (low, high) for name, low, high in columns if name != TYPE}


def momenta(config: Config, scaler: Scaler, x: Array, axis: Array) -> Array:
    """Scaled features back to momenta, smoothly: no threshold on pt.

    Points at padding's place "away" give zero momentum and zero gradient, else their
    huge coordinates would enter every jet sum. ``|eta|`` is bounded by
    ``features.MAX_ETA``.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features, or N + 2 rows.
        axis: ``[..., 3]`` (pt [GeV], eta, phi), read by relative coordinates only;
            ``[..., 4]`` with the angle of the principal axis where jets are turned.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV.
    """
    return _physical(config, scaler, x, axis)[0]


def relative(config: Config, scaler: Scaler, x: Array) -> Array:
    """Scaled features in relative coordinates as (ptrel, etarel, phirel).

    Where jets are turned to their principal axis, the angles are those of the turned
    jet.

    Args:
        config: as given to :func:`fit`, coordinates relative.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features.

    Returns:
        ``[..., N, 3]``, dimensionless; of padding what it stands for.
    """
    return _without_log(config, _unscaled(config, scaler, x))


def unscale(
    config: Config,
    scaler: Scaler,
    x: Array,
    axis: Array,
    particles: Array | None = None,
) -> Jets:
    """Scaled features to jets; the model or a rule decides which particles exist.

    By the rule, a particle exists if its pt is above ``config.min_pt`` and, with
    padding "away", it is nearer to the training particles than to padding. One
    decision per particle for all three components. A particle of negative pt, with
    NaN, or farther than ``config.max_angle`` from the axis of the decoded jet does not
    exist.

    Args:
        config: as given to :func:`fit`.
        scaler: from :func:`fit`.
        x: ``[..., N, F]`` scaled features.
        axis: ``[..., 3]`` or ``[..., 4]``, see :func:`momenta`.
        particles: ``[..., N]`` bool, which particles exist; None: the rule.

    Returns:
        Jets ``[..., N, 3]`` in GeV, exactly zero where they do not exist; with the
        given axis if that is the axis of the whole jet.
    """
    p, v = _physical(config, scaler, x, axis)
    whole = jnp.asarray(axis)[..., :3] if config.axis == "jet" else None
    if particles is not None:
        mask = jnp.asarray(particles) & jnp.all(jnp.isfinite(p), axis=-1)
        return Jets(jnp.where(mask[..., None], p, 0.0), mask, whole)
    if config.momentum_features:
        pt = kinematics.to_pt_eta_phi(p)[..., 0]
    else:
        # The decoded pt with its sign, which the momenta no longer show.
        pt = v[..., 0]
        if config.coordinates == "relative":
            pt = pt * jnp.asarray(axis)[..., None, 0]
    mask = (pt > config.min_pt) & jnp.all(jnp.isfinite(p), axis=-1)
    if config.padding == "away":
        mask &= jnp.any(p != 0, axis=-1)
    if config.max_angle:
        q = jnp.where(mask[..., None], p, 0.0)
        distance = kinematics.to_relative(q, kinematics.jet_pt_eta_phi(q, mask))
        mask &= safe_norm(distance[..., 1:]) < config.max_angle
    return Jets(jnp.where(mask[..., None], p, 0.0), mask, whole)


class Moments:
    """Minimum, maximum, mean and standard deviation of masked values, chunk by chunk.

    In float64, without holding all values.

    Args:
        shape: ``(N, F)`` for each of the N places of a set separately, ``(1, F)`` for
            all places together.
    """

    def __init__(self, shape: tuple[int, int]):
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.count, self.total, self.squares = np.zeros((3, *shape))

    def add(self, values: np.ndarray, mask: np.ndarray) -> None:
        """Adds the values ``[J, N, F]`` where ``mask [J, N]`` is True."""
        mask = mask[..., None]
        axes = (0,) if self.low.shape[0] == values.shape[1] else (0, 1)
        # Along one axis after the other: both at once take NumPy ten times as long.
        low = np.where(mask, values, np.inf).min(axis=0)
        high = np.where(mask, values, -np.inf).max(axis=0)
        if len(axes) > 1:
            low, high = low.min(axis=0, keepdims=True), high.max(axis=0, keepdims=True)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        values = np.where(mask, values.astype(np.float64), 0.0)
        self.count += np.sum(mask, axis=axes).reshape(-1, 1)
        self.total += np.sum(values, axis=axes).reshape(self.low.shape)
        self.squares += np.sum(np.square(values), axis=axes).reshape(self.low.shape)

    def finish(self) -> tuple[np.ndarray, ...]:
        """``(low, high, mean, deviation)``; places without a particle give zeros."""
        empty = self.count == 0
        count = np.maximum(self.count, 1)
        mean = self.total / count
        deviation = np.sqrt(np.maximum(self.squares / count - np.square(mean), 0.0))
        # A constant feature leaves only rounding: it is not a scale to divide by.
        deviation[deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)] = 0.0
        low, high = np.where(empty, 0, self.low), np.where(empty, 0, self.high)
        return low, high, mean, deviation


class Thinned:
    """A deterministic, even sample of at most ``capacity`` rows that come in chunks.

    Args:
        capacity: when more rows are kept, half of them are dropped.
    """

    def __init__(self, capacity: int):
        self._capacity, self._share, self._seen = capacity, 1.0, 0
        self._rows: list[np.ndarray] = []
        self._marks: list[np.ndarray] = []

    def add(self, rows: np.ndarray) -> None:
        """Adds ``rows [J, ...]``, or a part of them."""
        marks = np.arange(self._seen, self._seen + len(rows)) * _GOLDEN % 1.0
        self._seen += len(rows)
        self._rows.append(rows[marks < self._share])
        self._marks.append(marks[marks < self._share])
        while sum(map(len, self._rows)) > self._capacity:
            self._share /= 2
            kept = [m < self._share for m in self._marks]
            self._rows = [r[k] for r, k in zip(self._rows, kept, strict=True)]
            self._marks = [m[k] for m, k in zip(self._marks, kept, strict=True)]

    def rows(self) -> np.ndarray:
        """The sample, in the order in which the rows came."""
        return np.concatenate(self._rows)


class Measured(NamedTuple):
    """Statistics of the features of training jets before scaling.

    Attributes:
        particles: low, high, mean and deviation, each ``[R, 3]``: R is N for the
            method slots, else 1.
        jet_rows: the same of the rows that describe the jet, each ``[2, 3]``; zeros
            where it has none.
        sample: ``[S, 3]`` evenly from all particles, for quantiles; else empty.
        axes: ``[A, 3]`` of the first jets for relative coordinates or conditions;
            else empty.
        conditions: ``[A, G]`` of the same jets.
        condition_ends: ``[2, G]`` smallest and largest of all jets.
        num_particles: N.
    """

    particles: tuple[np.ndarray, ...]
    jet_rows: tuple[np.ndarray, ...]
    sample: np.ndarray
    axes: np.ndarray
    conditions: np.ndarray
    condition_ends: np.ndarray
    num_particles: int


def measure(config: Config, jets: Jets | Source) -> Measured:
    """Statistics of the features of all jets, in one loop over them.

    Args:
        config: which features.
        jets: ``[J, N, 3]`` and ``[J, N]``, or chunks of such.

    Raises:
        InputError: no jet has a particle.
        ValueError: the arrays are not ``[J, N, 3]`` and ``[J, N]``.
    """
    chunks = _chunks(jets)
    first_chunk = next(chunks, None)
    if first_chunk is None:
        raise InputError("scaling: there are no training jets; check the data")
    num_particles = first_chunk.mask.shape[-1]
    rows = num_particles if config.method == "slots" else 1
    particles, jet = Moments((rows, 3)), Moments((features.JET_ROWS, 3))
    sample, first, room = Thinned(SAMPLE // num_particles), [], MAX_AXES
    ends = []
    for chunk in itertools.chain([first_chunk], chunks):
        mask = np.asarray(chunk.mask)
        values, jet_rows = jax.device_get(_features(config, chunk))
        particles.add(values, mask)
        if jet_rows is not None:
            exists = mask.any(-1, keepdims=True)
            jet.add(jet_rows, np.repeat(exists, features.JET_ROWS, -1))
        if config.method == "quantile":
            sample.add(np.where(mask[..., None], values, np.nan))
        if config.conditions:
            observed = np.asarray(observed_conditions(config, chunk))
            ends += [observed.min(axis=0), observed.max(axis=0)]
        if (config.coordinates == "relative" or config.conditions) and room > 0:
            first.append(jax.tree.map(lambda a, room=room: a[:room], chunk))
            room -= len(mask)
    if not particles.count.any():
        raise InputError("scaling: the training jets hold no particle; check the data")
    values, axes, conditions = np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 0))
    if config.method == "quantile":
        values = sample.rows().reshape(-1, 3)
    if first:
        together = jax.tree.map(lambda *a: np.concatenate(a), *first)
        axes = np.asarray(_axis_of(config, together))
        if config.conditions:
            conditions = np.asarray(observed_conditions(config, together), np.float64)
    values = values[~np.isnan(values[:, 0])]
    extremes = np.zeros((2, 0))
    if ends:
        extremes = np.stack([np.min(ends, axis=0), np.max(ends, axis=0)])
    return Measured(
        particles.finish(), jet.finish(), values, axes, conditions, extremes,
        num_particles,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnums=0)
def _features(config: Config, jets: Jets) -> tuple[Array, Array | None]:
    """Features of the particles, and of the jet where it has rows."""
    v, axis = _from_jets(config, jets)
    return v, features.jet_rows(axis) if config.jet_rows else None


def _chunks(jets: Jets | Source) -> Iterator[Jets]:
    if isinstance(jets, Jets):
        shapes = np.shape(jets.particles), np.shape(jets.mask)
        if len(shapes[0]) != 3 or shapes[1] != shapes[0][:2]:
            raise ValueError(
                f"expected [J, N, 3] and [J, N], got {shapes[0]}, {shapes[1]}"
            )
        starts = range(0, len(jets.mask), ROWS)
        found = (jax.tree.map(lambda a, s=s: a[s : s + ROWS], jets) for s in starts)
    else:
        found = jets.chunks(ROWS)
    for chunk in found:
        yield record(np, chunk)


def _through_quantiles(config: Config, scaler: Scaler, way: Callable, x: Array):
    """The particles' rows of x mapped by ``quantiles.forward`` or ``inverse``."""
    if config.method != "quantile":
        return x
    jet, particles = jnp.split(x, [config.jet_rows], axis=-2)
    return jnp.concatenate([jet, way(scaler.knots, particles)], axis=-2)


def _unscaled(config: Config, scaler: Scaler, x: Array) -> Array:
    """Features ``[..., N, F]`` before scaling, with the rows of the jet if any."""
    x = _through_quantiles(config, scaler, quantiles.inverse, jnp.asarray(x))
    return scaler.offset + scaler.factor * x


def _is_padding(config: Config, scaler: Scaler, v: Array) -> Array:
    """``[..., N]`` True where a point is nearer to padding than to the particles.

    In units of the padding's position, training particles reach at most 1/2 in each
    coordinate that marks padding, and padding is at 1. The mean over these
    coordinates decides, halfway: 3/4.
    """
    first = 0 if config.momentum_features else 1
    padding = jnp.asarray(_unscaled(config, scaler, scaler.padding))[-1, first:]
    return jnp.mean(v[..., first:] / padding, axis=-1) > 0.75


def _physical(config: Config, scaler: Scaler, x: Array, axis: Array):
    """Momenta ``[..., N, 3]`` and the decoded pt with its sign, or that of momenta."""
    v = _unscaled(config, scaler, x)
    jet, v = v[..., : config.jet_rows, :], v[..., config.jet_rows :, :]
    u = _to_physical(config, v, jnp.asarray(axis))
    p = _to_momenta(config, u, jnp.asarray(axis), jet)
    if config.padding == "away":
        p = jnp.where(_is_padding(config, scaler, v)[..., None], 0.0, p)
    return p, u


def _from_jets(config: Config, jets: Jets) -> tuple[Array, Array]:
    """Momenta in GeV to unscaled features.

    Args:
        config: coordinates, method and rotation.
        jets: ``[..., N, 3]`` and ``[..., N]``.

    Returns:
        The features ``[..., N, F]`` and the axis ``[..., 3]``, or ``[..., 4]`` with
        the angle of the principal axis last if jets are turned to it.
    """
    axis, mask = _axis_of(config, jets), jnp.asarray(jets.mask)
    particles = jnp.where(mask[..., None], jets.particles, 0.0)
    if config.coordinates == "cartesian":
        v = particles
    elif config.coordinates == "frame":
        v = features.to_jet_frame(particles, axis)
    elif config.coordinates == "cylindrical":
        v = kinematics.to_pt_eta_phi(particles)
    else:
        v = kinematics.to_relative(particles, axis)
    if config.rotate == "principal":
        weight, points = v[..., 0], v[..., 1:]
        if config.coordinates == "frame":
            # |q| stays when the jet is turned, px does as well; pt would not.
            weight = safe_norm(v)
            points = safe_divide(points, weight[..., None])
        angle = features.principal_angle(points, weight, mask)
        v = _turn(v, -angle)
        axis = jnp.concatenate([axis, angle[..., None]], axis=-1)
    if config.log_pt:
        pt = features.to_log(v[..., 0], floor=LOG_FLOORS[config.coordinates])
        v = _with_pt(v, pt)
    return v, axis


def _axis_of(config: Config, jets: Jets) -> Array:
    """``[..., 3]`` axis (pt [GeV], eta, phi) of the existing particles, or given.

    Raises:
        InputError: the axis of the whole jet is asked for, and not known.
    """
    if config.axis == "jet":
        if jets.axis is None:
            raise InputError(
                "scaling.axis = 'jet': these data do not contain the axis of the whole "
                "jet, as JetNet files do (a stream has none): give "
                "--scaling.axis=particles"
            )
        return jnp.asarray(jets.axis)
    return kinematics.jet_pt_eta_phi(jnp.asarray(jets.particles), jets.mask)


def _without_log(config: Config, v: Array) -> Array:
    """Features ``[..., N, F]`` without the logarithm of pt."""
    if not config.log_pt:
        return v
    log = jnp.minimum(v[..., 0], MAX_LOG)
    pt = features.from_log(log, floor=LOG_FLOORS[config.coordinates])
    return _with_pt(v, pt)


def _to_physical(config: Config, v: Array, axis: Array) -> Array:
    """Features ``[..., N, F]`` without the logarithm of pt and the turn."""
    v = _without_log(config, v)
    if config.rotate == "principal":
        v = _turn(v, axis[..., 3])
    return v


def _to_momenta(config: Config, v: Array, axis: Array, jet: Array) -> Array:
    """Features from :func:`_to_physical`, ``[..., N, F]``, to momenta.

    Args:
        config: the coordinates.
        v: ``[..., N, F]``.
        axis: ``[..., 3]`` or ``[..., 4]``; only relative coordinates read its first
            three.
        jet: ``[..., 2, F]`` unscaled rows of the jet; only frame coordinates have
            them.

    Returns:
        ``[..., N, 3]`` (px, py, pz) in GeV; ``|eta|`` is bounded by
        ``features.MAX_ETA``.
    """
    if config.coordinates == "cartesian":
        return v
    if config.coordinates == "frame":
        return features.from_jet_frame(jet, v)
    pt, eta, phi = v[..., 0], v[..., 1], v[..., 2]
    if config.coordinates == "relative":
        axis = axis[..., None, :]
        pt, eta, phi = pt * axis[..., 0], eta + axis[..., 1], phi + axis[..., 2]
    eta = jnp.clip(eta, -features.MAX_ETA, features.MAX_ETA)
    return kinematics.from_pt_eta_phi(jnp.stack([pt, eta, phi], axis=-1))


def _with_pt(v, pt):
    return jnp.concatenate([pt[..., None], v[..., 1:]], axis=-1)


def _turn(v, angle):
    across = features.turn(v[..., 1:], angle)
    return jnp.concatenate([v[..., :1], across], axis=-1)
