"""Metrics of generated showers: marginals, high-level features, cells. On the host.

The observables are those of Ratnikov's talk (IML workshop, CERN 2019): response, widths
and asymmetries along and across, numbers of hit cells, the energies of cells. Each is
compared by the earth mover's distance of histograms, the unbinned Wasserstein distance,
the Kolmogorov-Smirnov distance and, as in the CaloChallenge (arXiv:2410.21611), the
separation power. Its other measures are the areas under the ROC curves of classifiers
that see cells or high-level features, and Fréchet and kernel physics distances of
high-level features. The features are the challenge's
(:mod:`~jetvae_jax.showers.high_level`), the classifiers are those of this package.
"""

import functools
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Key, Showers
from jetvae_jax.metrics.classifier.two_sample import c2st_table
from jetvae_jax.metrics.distributions import binning, distances
from jetvae_jax.metrics.distributions.binning import Binning
from jetvae_jax.metrics.frechet.kernel import kpd
from jetvae_jax.metrics.frechet.physics import fpd
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.showers import high_level, incident, observables
from jetvae_jax.showers.geometry import Geometry

CELL = "log10_cell"
"""Name of the logarithms of the energies of hit cells."""
UNITS = {
    "energy": "GeV",
    **dict.fromkeys(("x", "y", "width_along", "width_across"), "mm"),
    **dict.fromkeys(("depth", "depth_width"), "layers"),
}
ORDER = (
    *("response", "energy", "width_along", "width_across"),
    *("asymmetry_along", "asymmetry_across", "cells", "x", "y"),
    *("depth", "depth_width"),
)
MEASURES = ("emd", "w1", "ks", "separation")
SCALARS = ("ks_mean", "separation_mean")
BINS, BLOCKS = 50, 10
_FEW_INTEGERS = 60
Values = Mapping[str, np.ndarray]
"""Observable to its values ``[J]``; ``log10_cell`` to ``[J, C]``, NaN where empty."""


def measured(geometry: Geometry, showers: Showers) -> dict[str, np.ndarray]:
    """All observables of showers ``[J, C]`` whose soft cells are empty."""
    showers = record(np, showers)
    one = functools.partial(observables.scalars, geometry)
    columns = map_chunks(one, showers)
    found = {name: np.asarray(columns[name]) for name in ORDER if name in columns}
    energies = np.asarray(showers.energies)
    with np.errstate(divide="ignore"):
        logs = np.log10(energies)
    return found | {CELL: np.where(energies > 0, logs, np.float32(np.nan))}


def binnings(real: Values) -> dict[str, Binning]:
    """Range and bins of each observable, by its real values."""
    return {name: _binning(name, _known(values)) for name, values in real.items()}


def _binning(name: str, values: np.ndarray) -> Binning:
    """50 bins around nearly all values, or bins of whole numbers."""
    unit = UNITS.get(name, "")
    if not values.size:
        return Binning(name, BINS, -1.0, 1.0, unit)
    low, high = (float(v) for v in np.quantile(values, [0.001, 0.999]))
    if name == "cells":
        width = max(1, -(-int(high - low + 1) // _FEW_INTEGERS))
        number = int(high - low) // width + 1
        return Binning(name, number, low - 0.5, low - 0.5 + number * width, unit)
    margin = 0.05 * (high - low) or 0.5 * max(abs(low), 1.0)
    low = values.min() if name == CELL else low - margin  # it ends at the threshold
    return Binning(name, BINS, float(low), high + margin, unit)


def _known(values: np.ndarray) -> np.ndarray:
    """All values that are there, ``[n]``."""
    values = np.ravel(values)
    return values[np.isfinite(values)]


def compare(real: Values, generated: Values, *, blocks: int = BLOCKS) -> dict[str, Any]:
    """Distances of all observables with their statistical errors, by the jackknife.

    Args:
        real: of :func:`measured`.
        generated: of other showers.
        blocks: of the jackknife.

    Returns:
        ``observables``: name to each of ``MEASURES``, EMD and W1 in the observable's
        unit; and the means over observables ``SCALARS``. Each is ``{"value",
        "error"}``.

    Raises:
        InputError: too few showers.
    """
    sizes = [len(values["cells"]) for values in (real, generated)]
    blocks = min(blocks, min(sizes) // 2)
    if blocks < 2:
        raise InputError(
            f"{sizes[0]} real and {sizes[1]} generated showers: give at least 4"
        )
    bins = binnings(real)
    values = _distances(real, generated, bins)
    order = np.random.default_rng(0)
    cuts = [order.permutation(np.arange(size) % blocks) for size in sizes]
    without = [
        _distances(_rows(real, cuts[0] != i), _rows(generated, cuts[1] != i), bins)
        for i in range(blocks)
    ]
    return _named(values, np.sqrt((blocks - 1) * np.var(without, axis=0)), bins)


def floor(
    real: Values, truth: Values, *, size: int, draws: int = 10, seed: int = 0
) -> dict[str, Any]:
    """As :func:`compare`, of further real showers: mean and deviation over draws.

    Args:
        real: with which the others are compared.
        truth: of further real showers.
        size: showers of a draw, as many as a model generates; with all of them there is
            one draw, whose errors are those of :func:`compare`.
        draws: number of them.
        seed: of NumPy's generator.
    """
    number = len(truth["cells"])
    if size >= number:
        return compare(real, truth)
    random, bins = np.random.default_rng(seed), binnings(real)
    found = [
        _distances(real, _rows(truth, random.permutation(number)[:size]), bins)
        for _ in range(draws)
    ]
    return _named(np.mean(found, axis=0), np.std(found, axis=0, ddof=1), bins)


def means(geometry: Geometry, real: Showers, generated: Showers) -> dict[str, float]:
    """Means over the observables of KS and of the separation power, without errors."""
    x, y = (measured(geometry, showers) for showers in (real, generated))
    found = _distances(x, y, binnings(x)).reshape(-1, len(MEASURES))
    averages = found.mean(0)
    return {m: float(averages[MEASURES.index(m)]) for m in ("ks", "separation")}


def no_check(geometry: Geometry, trained_on: Collection[str]) -> list[str]:
    """The observables and metrics that compare what a training loss held.

    Args:
        geometry: of the cells.
        trained_on: observables of the loss, and those computed from them.
    """
    features = {"energy", "response"}
    if geometry.num_layers == 1:  # whose centre and width are those of the shower
        features |= {"x", "y", "width_along", "width_across"}
    compared = {name: {name} for name in ORDER}
    compared |= {name: set(ORDER) for name in SCALARS}
    for name in ("fpd", "fpd_exact", "kpd"):
        compared[name] = features
    return [name for name, of in compared.items() if not of.isdisjoint(trained_on)]


def _rows(values: Values, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: array[rows] for name, array in values.items()}


def _distances(
    real: Values, generated: Values, bins: Mapping[str, Binning]
) -> np.ndarray:
    """All measures of all observables, ``[O M]``."""
    found = []
    for name, own in bins.items():
        x, y = _known(real[name]), _known(generated[name])
        if not (x.size and y.size):  # no cell is hit
            found += [np.nan, np.nan, 1.0, 1.0]
            continue
        row = binning.compare(x, y, own)
        p, q = (distances.histogram(v, own.edges)[0] for v in (x, y))
        row["separation"] = float(distances.separation_power(p, q))
        found += [row[measure] for measure in MEASURES]
    return np.array(found)


def _named(values: np.ndarray, errors: np.ndarray, bins: Mapping[str, Binning]):
    pairs = np.stack([values, errors], axis=-1).reshape(len(bins), len(MEASURES), 2)

    def number(pair):
        known = [float(v) if np.isfinite(v) else None for v in pair]
        return dict(zip(("value", "error"), known, strict=True))

    table = {
        name: dict(zip(MEASURES, map(number, row), strict=True))
        for name, row in zip(bins, pairs, strict=True)
    }
    averages = {
        f"{measure}_mean": number(_average(pairs[:, MEASURES.index(measure)]))
        for measure in ("ks", "separation")
    }
    return {"observables": table, **averages}


def _average(pairs: np.ndarray) -> np.ndarray:
    """Mean of values, and of errors as of independent ones; ``[O, 2]`` to ``[2]``."""
    error = np.sqrt(np.sum(np.square(pairs[:, 1]))) / len(pairs)
    return np.array([pairs[:, 0].mean(), error])


# The CaloChallenge's classifiers and physics distances --------------------------------


def classified(
    key: Key, geometry: Geometry, real: Showers, generated: Showers
) -> dict[str, Any]:
    """Two classifier tests of generated showers, ``auc_cells`` and ``auc_features``.

    One sees the cells, the other high-level features, both the incident particle. See
    ``metrics.c2st_table`` for the results.
    """
    known = incident.known(real)
    rows = [
        np.asarray(incident.with_log(incident.rows_of(known, showers)))
        for showers in (real, generated)
    ]
    seen = {
        "auc_cells": high_level.low_level,
        "auc_features": functools.partial(high_level.inputs, geometry),
    }
    found = {}
    for name, features in seen.items():
        x, y = (
            np.concatenate([map_chunks(features, showers), own], axis=-1)
            for showers, own in zip((real, generated), rows, strict=True)
        )
        found[name] = c2st_table(key, x, y)
    return found


def physics_distances(
    key: Key, geometry: Geometry, real: Showers, generated: Showers
) -> dict[str, Any]:
    """Fréchet and kernel physics distances of high-level features, with errors.

    ``fpd`` is jetnet's fit, by which published ones are computed, ``fpd_exact`` the
    extrapolation: see :mod:`jetvae_jax.metrics.frechet.physics`.
    """
    features = functools.partial(high_level.inputs, geometry)
    x, y = (map_chunks(features, showers) for showers in (real, generated))
    found = fpd(key, x, y)
    return {
        "fpd": {"value": found["jetnet_value"], "error": found["jetnet_error"]},
        "fpd_exact": {"value": found["value"], "error": found["error"]},
        # Batches of more would repeat showers.
        "kpd": kpd(key, x, y, batch_size=min(5000, len(x), len(y))),
    }
