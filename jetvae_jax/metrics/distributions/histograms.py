"""Earth mover's distance between histograms, and the figure published under its name.

The two are different quantities. The published scripts (github.com/borzari/ConVAE_Jet)
hand the *heights* of the bins to ``scipy.stats.wasserstein_distance`` as samples, which
forgets where the bins are: a mass peak shifted by 60 GeV scores as well as the right
one. :func:`histogram_emd` is the true distance; :func:`bin_height_w1` is the published
one, kept only to compare with published figures.
"""

from typing import Literal

from jetvae_jax.core.types import Array
from jetvae_jax.metrics.host.arrays import namespace


def histogram(
    values: Array,
    edges: Array,
    weights: Array | None = None,
    *,
    outside: Literal["clip", "drop"] = "clip",
) -> tuple[Array, Array]:
    """Normalised bin contents and the fraction of values outside the range.

    Args:
        values: ``[J]``, finite. A NaN counts as outside and falls in no bin.
        edges: ``[B + 1]``, increasing; the last bin includes its upper edge.
        weights: ``[J]``, not negative, or None for one each.
        outside: ``"clip"`` puts values outside the range in the first or last bin,
            so that a sample cannot hide its tails; ``"drop"`` leaves them out, as
            ``numpy.histogram`` does and the published figures did.

    Returns:
        Probabilities ``[B]`` that sum to one (all zero if every value was dropped),
        and the weighted fraction of values outside ``[edges[0], edges[-1]]``.
    """
    xp = namespace(values, edges, weights)
    values, edges = xp.asarray(values), xp.asarray(edges)
    if values.ndim != 1 or edges.ndim != 1 or values.shape[0] == 0:
        raise ValueError(
            "histogram needs values [J] with J > 0 and edges [B + 1], got shapes "
            f"{values.shape} and {edges.shape}"
        )
    low, high = edges[0], edges[-1]
    inside = (values >= low) & (values <= high)
    weight = xp.ones(values.shape[0]) if weights is None else xp.asarray(weights)
    if weight.shape != values.shape:
        raise ValueError(f"weights {weight.shape} do not match values {values.shape}")
    kept = xp.clip(values, low, high) if outside == "clip" else values
    counts, _ = xp.histogram(kept, bins=edges, weights=weight)
    fraction = xp.sum(xp.where(inside, 0.0, weight)) / xp.sum(weight)
    return _normalise(counts), fraction


def histogram_emd(p: Array, q: Array, edges: Array, *, normalised: bool = False):
    """Wasserstein-1 distance of two histograms, bin contents at the bin centres.

        EMD = sum_b |CDF_p(b) - CDF_q(b)| (c_{b+1} - c_b)

    Moving everything by k equal bins costs k widths.

    Args:
        p: ``[..., B]`` probabilities.
        q: ``[..., B]`` probabilities.
        edges: ``[B + 1]``.
        normalised: divide by the range ``edges[-1] - edges[0]``, which makes
            different observables comparable: 1 is the whole range.

    Returns:
        ``[...]`` in the unit of ``edges``, or without unit if normalised.
    """
    xp = namespace(p, q, edges)
    p, q, edges = xp.asarray(p), xp.asarray(q), xp.asarray(edges)
    if p.shape[-1:] != q.shape[-1:] or edges.shape != (p.shape[-1] + 1,):
        raise ValueError(
            f"histograms {p.shape} and {q.shape} do not fit edges {edges.shape}"
        )
    centres = (edges[1:] + edges[:-1]) / 2
    gap = xp.abs(xp.cumsum(p - q, axis=-1))[..., :-1]
    emd = xp.sum(gap * xp.diff(centres), axis=-1)
    return emd / (edges[-1] - edges[0]) if normalised else emd


def bin_height_w1(p: Array, q: Array):
    """The published "EMD": Wasserstein-1 between the two multisets of bin heights.

    Exactly ``scipy.stats.wasserstein_distance(p / p.sum() + 1e-12, q / q.sum() +
    1e-12)``, where p and q are contents of 100 bins, values out of range dropped
    (``histogram(..., outside="drop")``). For equally many bins it is the mean of
    ``|sort(p) - sort(q)|``. **Blind to the position of the bins**: any permutation of
    them scores the same.

    Args:
        p: ``[..., B]`` contents or probabilities; normalised here.
        q: ``[..., B]`` the same.

    Returns:
        ``[...]``, dimensionless. A histogram without entries counts as all zeros,
        where the published scripts give NaN.
    """
    xp = namespace(p, q)
    p, q = xp.asarray(p), xp.asarray(q)
    if p.shape[-1:] != q.shape[-1:]:
        raise ValueError(f"histograms differ in bins: {p.shape} and {q.shape}")
    p, q = _normalise(p) + 1e-12, _normalise(q) + 1e-12
    return xp.mean(xp.abs(xp.sort(p, axis=-1) - xp.sort(q, axis=-1)), axis=-1)


def _normalise(counts: Array) -> Array:
    xp = namespace(counts)
    total = xp.sum(counts, axis=-1, keepdims=True)
    return counts / xp.where(total > 0, total, 1)
