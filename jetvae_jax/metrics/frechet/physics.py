"""Fréchet physics distance (Kansal et al., arXiv:2211.10295).

The Fréchet distance of Gaussians fitted to N jets is too large by about b / N. It is
therefore measured at several N and extrapolated to 1 / N = 0: to the FPD.

Sizes, draws, scaling and distances are those of jetnet 0.2.5. Its fit is not: it hands
the straight line to an iterative solver whose gradient along the slope, the residuals
times 1 / N, is so small that it stops after a step or two. What comes out for distances
below about 1e-2 is nearly their mean over the sizes, without extrapolation: for two
samples of real gluon jets 1.0e-4 where the line gives 0.3e-4. Values measured
with jetnet contain this. So there are two here: ``value`` is the extrapolation,
``jetnet_value`` what jetnet would give, the one to compare with published values. All
of it is computed in NumPy, on the host.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Key
from jetvae_jax.metrics.frechet import frechet_distance, mean_and_covariance
from jetvae_jax.metrics.host import over_cores

Draws = list[np.ndarray]
"""For each sample size n, indices ``[batches, n]``."""

MAX_SAMPLES = 50_000
"""Jets of the largest draw of an FPD; of fewer, the fit sees these alone."""


class Line(NamedTuple):
    """A straight line through points.

    Attributes:
        intercept: not negative.
        slope: not negative.
        error: standard error of the intercept.
    """

    intercept: float
    slope: float
    error: float


def fpd(
    key: Key,
    real_features: Array,
    generated_features: Array,
    *,
    min_samples: int = 20_000,
    max_samples: int = MAX_SAMPLES,
    num_batches: int = 20,
    num_points: int = 10,
    normalise: bool = True,
) -> dict[str, float]:
    """Fréchet physics distance, extrapolated to infinitely many jets.

    Defined in arXiv:2211.10295; sizes and draws are those of jetnet 0.2.5.

    Args:
        key: drives the draws; the same key gives the same value.
        real_features: ``[J, F]``, those of `jet_features`.
        generated_features: ``[M, F]``.
        min_samples: smallest sample size.
        max_samples: largest sample size.
        num_batches: draws, with replacement, of each size.
        num_points: sizes, at equal steps of 1 / N; 3 or more.
        normalise: divide features by the largest magnitude of the real ones.

    Returns:
        ``value``, not negative, and ``error``, its standard error from the fit;
        ``jetnet_value`` and ``jetnet_error``, the same of jetnet's fit. Papers quote
        the latter, in units of 1e-3. Where a sample has fewer jets than the largest
        size, the fit extrapolates to these jets alone: both errors then contain what
        two samples of so few jets differ by, see :func:`resolution`.

    Raises:
        ValueError: features that are not ``[J, F]`` with the same F, or sizes from
            which no error follows.
        InputError: fewer than two jets, NaN or infinity.
    """
    if num_points < 3 or not 2 <= min_samples < max_samples or num_batches < 1:
        raise ValueError(
            "FPD needs min_samples < max_samples, num_points of 3 or more and a batch; "
            f"got {min_samples}, {max_samples}, {num_points}, {num_batches}"
        )
    x, y = prepared(real_features, generated_features, normalise)
    sizes = sample_sizes(min_samples, max_samples, num_points)
    # NumPy draws ten million indices many times faster than JAX does on a CPU; its
    # generator is seeded with the key and nothing else.
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    draws = [_draw(rng, len(sample), sizes, num_batches) for sample in (x, y)]
    found = summary(sizes, distances(x, y, *draws))
    if min(len(x), len(y)) < max_samples:
        spread = resolution(rng, x, y, _distance_of_samples)
        for name in ("error", "jetnet_error"):
            found[name] = float(np.hypot(found[name], spread))
    return found


def resolution(
    rng: np.random.Generator,
    x: np.ndarray,
    y: np.ndarray,
    distance: Callable[[np.ndarray, np.ndarray], float],
    repeats: int = 20,
) -> float:
    """Root mean square of a distance between samples of one distribution.

    Both samples are pooled and parted at random into two of the same sizes.

    Args:
        rng: drives the partings.
        x: ``[J, F]``.
        y: ``[M, F]``.
        distance: whose true value between samples of one distribution is zero.
        repeats: of the parting.
    """
    pool = np.concatenate([x, y])
    orders = (rng.permutation(len(pool)) for _ in range(repeats))
    values = [distance(pool[o[: len(x)]], pool[o[len(x) :]]) for o in orders]
    return float(np.sqrt(np.mean(np.square(values))))


def _distance_of_samples(x: np.ndarray, y: np.ndarray) -> float:
    moments = (*mean_and_covariance(x), *mean_and_covariance(y))
    return float(frechet_distance(*moments))


def summary(sizes: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Both extrapolations of mean distances ``[S]`` at sample sizes ``[S]``."""
    line, theirs = (fit(1 / sizes, values) for fit in (fit_line, fit_line_as_jetnet))
    return {
        "value": line.intercept,
        "error": line.error,
        "jetnet_value": theirs.intercept,
        "jetnet_error": theirs.error,
    }


def sample_sizes(smallest: int, largest: int, count: int) -> np.ndarray:
    """Sizes ``[count]`` at equal steps of their inverse, rounded down like jetnet's."""
    return (1 / np.linspace(1 / smallest, 1 / largest, count)).astype(np.int32)


def prepared(
    real: Array, generated: Array, normalise: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Features in float64, checked and brought to one scale.

    Args:
        real: ``[J, F]``.
        generated: ``[M, F]``.
        normalise: divide by the largest magnitude of each real feature, unless zero.

    Returns:
        The two, float64.

    Raises:
        ValueError: shapes other than ``[J, F]`` with one F.
        InputError: fewer than two jets, NaN or infinity.
    """
    x, y = (np.array(sample, np.float64) for sample in floats(np, real, generated))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or x.shape[1] == 0:
        raise ValueError(f"features are [J, F] with one F, got {x.shape}, {y.shape}")
    for name, features in (("real", x), ("generated", y)):
        if len(features) < 2:
            raise InputError(f"{name} sample: {len(features)} jets, at least 2 needed")
        if not np.isfinite(features).all():
            bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
            raise InputError(
                f"{name} sample: NaN or infinity in features of {bad.size} of "
                f"{len(features)} jets (first: jet {bad[0]})"
            )
    if normalise:
        scale = np.maximum(x.max(axis=0), -x.min(axis=0))  # no copy of their size
        scale[scale == 0] = 1.0
        x /= scale
        y /= scale
    return x, y


def distances(x: np.ndarray, y: np.ndarray, x_draws: Draws, y_draws: Draws):
    """Mean Fréchet distance of each sample size.

    Args:
        x: ``[J, F]`` float64.
        y: ``[M, F]`` float64.
        x_draws: for each of S sizes, indices ``[batches, n]`` into x.
        y_draws: the same into y.

    Returns:
        ``[S]``, the mean over batches.
    """
    first, second = over_cores(_moments, (x, y), (x_draws, y_draws))
    values = frechet_distance(*first, *second)
    ends = np.cumsum([len(batches) for batches in x_draws])[:-1]
    return np.array([part.mean() for part in np.split(values, ends)])


def fit_line(x: np.ndarray, y: np.ndarray) -> Line:
    """Least squares through ``y = intercept + slope x``, neither of them negative.

    Two parameters leave four candidates: the free minimum, if it is allowed, else the
    better of the two edges (each clipped to the corner). The error is the free fit's,
    ``sqrt(chi2 / (S - 2) (A^T A)^-1_00)`` with the residuals of the line returned: what
    ``scipy.optimize.curve_fit`` reports when it converges, at an edge too, where it
    overstates the uncertainty.

    Args:
        x: ``[S]``, S > 2, positive.
        y: ``[S]``.

    Returns:
        The line.
    """
    x, y = floats(np, x, y)
    dx = x - x.mean()
    slope = dx @ y / (dx @ dx)
    intercept = y.mean() - slope * x.mean()
    if slope < 0 or intercept < 0:
        flat = max(y.mean(), 0.0), 0.0
        through_zero = 0.0, max(x @ y / (x @ x), 0.0)
        intercept, slope = min(
            (flat, through_zero), key=lambda line: _chi2(x, y, *line)
        )
    variance = _chi2(x, y, intercept, slope) / (len(x) - 2)
    error = np.sqrt(variance * (x @ x) / (len(x) * (dx @ dx)))
    return Line(float(intercept), float(slope), float(error))


def fit_line_as_jetnet(x: np.ndarray, y: np.ndarray) -> Line:
    """The line at which the solver in jetnet 0.2.5 stops, seldom the best one.

    Arguments as in :func:`fit_line`; the docstring of this module says what differs.
    """
    from scipy import optimize

    def line(x, intercept, slope):
        return intercept + slope * x

    bounds = ([0, 0], [np.inf, np.inf])
    (intercept, slope), covariance = optimize.curve_fit(line, x, y, bounds=bounds)
    return Line(float(intercept), float(slope), float(np.sqrt(covariance[0, 0])))


def _chi2(x, y, intercept, slope):
    return np.square(y - intercept - slope * x).sum()


def _draw(rng, available: int, sizes, num_batches: int) -> Draws:
    return [rng.integers(available, size=(num_batches, n)) for n in sizes]


_ROWS = 512  # of jets whose products stay in a CPU's cache
_BLOCK = 256 * _ROWS  # jets whose draws are counted at once, a byte a batch


def _moments(x: np.ndarray, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Means ``[B, F]`` and covariances ``[B, F, F]`` of all batches of all sizes.

    How often each jet was drawn, times the jets' features and products of features: all
    moments come from one matrix product, and no batch is ever gathered. In units of the
    sample's own deviations along its principal axes float32 is enough: every direction
    keeps its digits, however small its spread is beside the others'.
    """
    batches = [indices for of_size in draws for indices in of_size]
    sizes = np.array([len(indices) for indices in batches])
    centre, covariance = mean_and_covariance(x)
    variances, axes = np.linalg.eigh(covariance)
    least = np.finfo(np.float64).eps ** 2 * variances[-1] or 1.0
    deviations = np.sqrt(np.maximum(variances, least))
    whiten, colour = axes / deviations, axes * deviations

    size = x.shape[1]
    upper = np.triu_indices(size)
    products = np.empty((size + len(upper[0]), _ROWS), np.float32)
    sums = np.zeros((len(batches), len(products)))
    for start in range(0, len(x), _ROWS):
        if start % _BLOCK == 0:
            counts = _counts(batches, start, min(start + _BLOCK, len(x)))
        part = (x[start : start + _ROWS] - centre) @ whiten
        products = products[:, : len(part)]
        products[:size] = part.T
        row = size
        for i in range(size):
            end = row + size - i
            np.multiply(products[i:size], products[i], out=products[row:end])
            row = end
        at = start % _BLOCK
        weights = counts[:, at : at + _ROWS].astype(np.float32)
        sums += weights @ products.T
    sums /= sizes[:, None]
    shift, squares = np.split(sums, [size], axis=1)
    second = np.empty((len(batches), size, size))
    second[:, upper[0], upper[1]] = second[:, upper[1], upper[0]] = squares
    covariance = second - shift[:, :, None] * shift[:, None, :]
    covariance *= (sizes / (sizes - 1))[:, None, None]
    return centre + shift @ colour.T, colour @ covariance @ colour.T


def _counts(batches: list[np.ndarray], start: int, stop: int) -> np.ndarray:
    """How often some jets are in each batch, ``[B, jets]``; nearly always uint8."""
    counts = np.zeros((len(batches), stop - start), np.uint8)
    for row, indices in enumerate(batches):
        inside = indices[(indices >= start) & (indices < stop)] - start
        found = np.bincount(inside, minlength=stop - start)
        kind = np.promote_types(counts.dtype, np.min_scalar_type(found.max()))
        counts = counts.astype(kind, copy=False)
        counts[row] = found
    return counts
