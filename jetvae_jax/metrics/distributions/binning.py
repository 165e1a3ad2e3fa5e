"""Histogram ranges of the observables, and the distances of one observable in them."""

import bisect
import dataclasses

import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.metrics.distributions.distances import (
    bin_height_w1,
    histogram_emd,
    kolmogorov_smirnov,
    wasserstein_1d,
)


@dataclasses.dataclass(frozen=True)
class Binning:
    """Equal bins of one observable.

    Attributes:
        name: the observable, a key of `observables`.
        bins: number of bins B.
        low: lower end of the range.
        high: upper end of the range.
        unit: unit of the ends, empty if dimensionless.
    """

    name: str
    bins: int
    low: float
    high: float
    unit: str = ""

    @property
    def edges(self) -> np.ndarray:
        """The ``[B + 1]`` edges, float64."""
        return np.linspace(self.low, self.high, self.bins + 1)


PAPER_JETS = (
    Binning("mass", 100, 0.0, 400.0, "GeV"),
    Binning("pt", 100, 0.0, 3000.0, "GeV"),
    Binning("energy", 100, 200.0, 4000.0, "GeV"),
    Binning("eta", 100, -3.0, 3.0),
    Binning("phi", 100, -3.0, 3.0, "rad"),
)
"""The five features and ranges of the published ConVAE scripts (arXiv:2310.13138;
github.com/borzari/ConVAE_Jet). Not every jet is inside: phi beyond +-3 and the
energy of forward jets are not, so the outside fraction is always reported. Reports
draw phi to pi."""

MULTIPLICITY = Binning("multiplicity", 151, -0.5, 150.5, "particles")
"""One bin for each number of particles a JetNet jet can have."""

SUBSTRUCTURE = (
    Binning("tau21", 100, 0.0, 1.4),
    Binning("tau32", 100, 0.0, 1.4),
    Binning("c2", 100, 0.0, 0.25),
    Binning("d2", 100, 0.0, 20.0),
    Binning("width", 100, 0.0, 0.3),
    Binning("ptd", 100, 0.0, 1.0),
)
"""Ranges chosen here: they hold more than 99.8 % of gluon and of top jets of 1 TeV."""

JETS = (*PAPER_JETS, MULTIPLICITY, *SUBSTRUCTURE)

RELATIVE_JETS = (
    Binning("relative_mass", 100, 0.0, 0.4),
    Binning("sum_ptrel", 100, 0.0, 1.5),
    MULTIPLICITY,
    *SUBSTRUCTURE,
)
"""Of jets whose pt is not known; the mass is about m / pt. Ranges chosen here."""

PARTICLES = (
    Binning("px", 100, -500.0, 500.0, "GeV"),
    Binning("py", 100, -500.0, 500.0, "GeV"),
    Binning("pz", 100, -1000.0, 1000.0, "GeV"),
    Binning("ptrel", 100, 0.0, 0.5),
    Binning("etarel", 100, -0.5, 0.5),
    Binning("phirel", 100, -0.5, 0.5, "rad"),
)
"""Ranges chosen here: they hold more than 99 % of the particles of TeV jets with
radius 0.4."""

RELATIVE_PARTICLES = PARTICLES[3:]
"""Of jets whose pt is not known."""


def compare(x: np.ndarray, y: np.ndarray, bins: Binning) -> dict[str, float]:
    """Distances of one observable between two samples, in NumPy, on the host.

    Args:
        x: ``[J]`` real values, finite.
        y: ``[M]`` generated values, finite.
        bins: range and bins of the observable.

    Returns:
        ``emd`` and unbinned ``w1`` in the observable's unit, ``emd_normalised`` by the
        range, ``bin_height_w1``, the Kolmogorov-Smirnov distance ``ks``, and the
        fractions outside the range.
    """
    # Sorted once: bins are then found by bisection, and sorting again costs less.
    x, y = map(np.sort, floats(np, x, y))
    (p, outside_real), (q, outside) = (_clipped(v, bins.edges) for v in (x, y))
    inside = [_counts(v, bins.edges)[1] for v in (x, y)]
    emd = float(histogram_emd(p, q, bins.edges))
    return {
        "emd": emd,
        "emd_normalised": emd / (bins.high - bins.low),
        "bin_height_w1": float(bin_height_w1(*inside)),
        "w1": float(wasserstein_1d(x, y)),
        "ks": float(kolmogorov_smirnov(x, y)),
        "outside_fraction": outside,
        "outside_fraction_real": outside_real,
    }


def _clipped(x: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, float]:
    """Bin fractions, values outside in the first and last bin; the fraction outside."""
    below, counts, above = _counts(x, edges)
    counts[0] += below
    counts[-1] += above
    return counts / len(x), (below + above) / len(x)


def _counts(x: np.ndarray, edges: np.ndarray) -> tuple[int, np.ndarray, int]:
    """How many sorted values lie below, in each of the bins and above them.

    Each bin has its lower edge, the last one both, as in ``numpy.histogram``.
    """
    # Edge by edge: all at once, the values would be copied to the edges' float64.
    ends = [bisect.bisect_left(x, edge) for edge in edges[:-1]]
    ends.append(bisect.bisect_right(x, edges[-1]))
    return ends[0], np.diff(ends), len(x) - ends[-1]
