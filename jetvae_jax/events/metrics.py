"""Metrics of generated events: distances of their table from a table of real events.

The metrics of "The assessment of different VAE derivatives" (Stevenson, Kruger 2022):
the Kolmogorov-Smirnov distance of each column and its mean, and the distance of the
Spearman correlation matrices. The study gives no values and no definition of the
latter; here it is the Frobenius norm and the largest entry of the difference. They
are computed in NumPy, on the host.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array
from jetvae_jax.metrics.distributions import correlations
from jetvae_jax.metrics.distributions.distances import kolmogorov_smirnov

BLOCKS = 10
"""Blocks of the jackknife."""
KOLMOGOROV = math.sqrt(math.pi / 2) * math.log(2)
"""Mean of Kolmogorov's distribution."""
SCALARS = ("ks_mean", "spearman", "spearman_largest")
"""The metrics beside ``ks``: mean KS, Frobenius norm, largest entry."""


def compare(
    real: Array, generated: Array, names: Sequence[str], *, blocks: int = BLOCKS
) -> dict[str, Any]:
    """Metrics with their statistical errors.

    Errors are by the jackknife: both samples are cut into blocks and the metrics
    computed without each of them. The distance of two real samples is not subtracted;
    see :func:`floor`.

    Args:
        real: ``[J, C]``, finite.
        generated: ``[M, C]``, finite.
        names: of the C columns.
        blocks: of the jackknife.

    Returns:
        ``ks``: column to ``{"value", "error"}``; and the same under each name of
        ``SCALARS``. All without units.

    Raises:
        InputError: fewer events than blocks, NaN or infinity.
        ValueError: shapes that do not fit.
    """
    real, generated = _checked(real, names), _checked(generated, names)
    blocks = min(blocks, len(real) // 2, len(generated) // 2)
    if blocks < 2:
        raise InputError(
            f"{len(real)} real and {len(generated)} generated events: give at least 4"
        )
    values = _metrics(real, generated)
    order = np.random.default_rng(0)
    cuts = [np.arange(len(x)) % blocks for x in (real, generated)]
    for cut in cuts:
        order.shuffle(cut)
    without = [
        _metrics(real[cuts[0] != i], generated[cuts[1] != i]) for i in range(blocks)
    ]
    errors = np.sqrt((blocks - 1) * np.var(without, axis=0))
    return _named(values, errors, names)


def means(real: Array, generated: Array) -> dict[str, float]:
    """Mean KS ``ks``, Spearman distance ``spearman`` and ``overall``, without errors.

    ``overall`` is the mean of both, each in units of the expected distance of two
    samples of these sizes with C independent columns of one distribution: ``sqrt(pi /
    2) ln 2`` for KS (the mean of Kolmogorov's distribution), 1 for each of the ``C (C
    - 1)`` correlations, both times ``sqrt(1 / J + 1 / M)``.

    Args:
        real: ``[J, C]``, finite.
        generated: ``[M, C]``, finite.
    """
    x, y = floats(np, real, generated)
    *_, ks, frobenius, _ = _metrics(x, y)
    pairs = max(x.shape[1] * (x.shape[1] - 1), 1)
    unit = np.sqrt(1 / len(x) + 1 / len(y))
    far = ks / (KOLMOGOROV * unit), frobenius / (np.sqrt(pairs) * unit)
    overall = float(np.mean(far))
    return {"ks": float(ks), "spearman": float(frobenius), "overall": overall}


def floor(
    real: Array,
    truth: Array,
    names: Sequence[str],
    *,
    size: int,
    draws: int = 10,
    seed: int = 0,
) -> dict[str, Any]:
    """Metrics of further real events: mean and standard deviation over draws.

    Args:
        real: ``[J, C]``, with which the others are compared.
        truth: ``[M, C]`` further real events.
        names: of the C columns.
        size: events of a draw, as many as a model generates; at most M. With M there
            is one draw: its errors are those of :func:`compare`.
        draws: number of them.
        seed: of NumPy's generator.

    Returns:
        As :func:`compare`, and ``events``, the size of the draws.
    """
    real, truth = _checked(real, names), _checked(truth, names)
    if size >= len(truth):
        return compare(real, truth, names) | {"events": len(truth)}
    random, size = np.random.default_rng(seed), min(size, len(truth))
    found = [
        _metrics(real, truth[random.permutation(len(truth))[:size]])
        for _ in range(draws)
    ]
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    return _named(mean, spread, names) | {"events": size}


def over_seeds(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread of the metrics over several trainings of one model.

    Args:
        found: the result of :func:`compare` for each, with or without ``c2st``.

    Returns:
        The same, ``error`` being the standard deviation over trainings (of one
        training, its own statistical error), and ``all`` the single values.
    """

    def both(metrics):
        values = [m["value"] if "value" in m else m["auc"] for m in metrics]
        error = metrics[0]["error"]
        if len(values) > 1:
            error = float(np.std(values, ddof=1))
        return {"value": float(np.mean(values)), "error": error, "all": values}

    scalars = [name for name in (*SCALARS, "c2st") if all(name in f for f in found)]
    ks = {name: both([f["ks"][name] for f in found]) for name in found[0]["ks"]}
    return {"ks": ks, **{name: both([f[name] for f in found]) for name in scalars}}


def _metrics(real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """KS of the C columns, then the ``SCALARS``."""
    columns = zip(real.T, generated.T, strict=True)
    ks = [float(kolmogorov_smirnov(*pair)) for pair in columns]
    matrices = map(correlations.spearman, (real, generated))
    apart = correlations.distance(*matrices)
    return np.array([*ks, np.mean(ks), apart["frobenius"], apart["largest"]])


def _named(values: np.ndarray, errors: np.ndarray, names: Sequence[str]) -> dict:
    pairs = [
        {"value": float(value), "error": float(error)}
        for value, error in zip(values, errors, strict=True)
    ]
    count = len(names)
    ks = dict(zip(names, pairs[:count], strict=True))
    return {"ks": ks, **dict(zip(SCALARS, pairs[count:], strict=True))}


def _checked(events: Array, names: Sequence[str]) -> np.ndarray:
    (values,) = floats(np, events)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"events {values.shape} do not have {len(names)} columns")
    return values
