"""Histogram ranges: the published ones for jets, chosen ones for the rest."""

import dataclasses

import numpy as np


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
energy of forward jets are not, so the outside fraction is always reported."""

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
