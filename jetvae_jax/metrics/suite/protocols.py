"""Named protocols: a figure without its number of jets cannot be compared.

Even real jets against real jets do not score zero, and that floor falls with the
number of jets drawn. Papers differ, so every result carries its protocol's name.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Draws:
    """How jets are drawn for a figure with an uncertainty.

    Attributes:
        num_jets: jets drawn per batch, from each of the two samples.
        num_batches: batches; the figure is their mean (KPD: median), its error their
            deviation.
        replace: within a batch, draw with replacement.
    """

    num_jets: int
    num_batches: int
    replace: bool = True


@dataclasses.dataclass(frozen=True)
class Extrapolation:
    """Sample sizes between which a distance is extrapolated to infinitely many jets.

    Attributes:
        min_jets: smallest size.
        max_jets: largest size.
        num_batches: draws, with replacement, of each size.
        num_sizes: sizes, at equal steps of their inverse.
    """

    min_jets: int = 20_000
    max_jets: int = 50_000
    num_batches: int = 20
    num_sizes: int = 10


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What a convention of the field measures, and on how many jets.

    Attributes:
        name: short name, printed with every figure.
        source: where the convention comes from.
        w1: of W1M, W1P and W1EFP, or None if the convention has none; likewise below.
        cov_mmd: of coverage and MMD.
        fpd: of FPD; features are the 36 energy-flow polynomials of degree up to 4.
        kpd: of KPD, on the same features.
        fpnd: jets of FPND, the first ones.
        seed: of the draws, where the caller gives no key.
    """

    name: str
    source: str = ""
    w1: Draws | None = None
    cov_mmd: Draws | None = None
    fpd: Extrapolation | None = None
    kpd: Draws | None = None
    fpnd: int | None = None
    seed: int = 42


_COV_MMD = Draws(100, 10)

MPGAN_10K = Protocol(
    "mpgan_10k",
    "MPGAN, arXiv:2106.11535",
    w1=Draws(10_000, 5, replace=False),
    cov_mmd=_COV_MMD,
    fpnd=50_000,
)

JETNET_50K = Protocol(
    "jetnet_50k",
    "defaults of the jetnet package from 0.2 on: a bootstrap",
    w1=Draws(50_000, 5),
    cov_mmd=_COV_MMD,
    fpd=Extrapolation(),
    kpd=Draws(5_000, 10),
    fpnd=50_000,
)

GSGM_50K = Protocol(
    "gsgm_50k",
    "FPCD, arXiv:2304.01266",
    w1=Draws(50_000, 10),
    cov_mmd=_COV_MMD,
    fpnd=50_000,
)

EPIC_5K = Protocol("epic_5k", "EPiC-GAN, arXiv:2301.08128", w1=Draws(5_000, 5))

IGAPT = Protocol(
    "igapt",
    "arXiv:2211.10295 and iGAPT, arXiv:2312.04757",
    fpd=Extrapolation(),
    kpd=Draws(5_000, 10),
)

KNOWN = {p.name: p for p in (MPGAN_10K, JETNET_50K, GSGM_50K, EPIC_5K, IGAPT)}

PROTOCOLS = (MPGAN_10K, JETNET_50K)
"""Those an evaluation takes unless told otherwise."""
