"""Named protocols: a value without its number of jets cannot be compared.

Even real jets against real jets do not score zero, and that floor falls with the
number of jets drawn. Papers differ, so every result carries its protocol's name.
"""

import dataclasses
from typing import Any

from jetvae_jax.metrics.suite.measurement import Draws, Extrapolation


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which metrics a convention of the field measures, and on how many jets.

    Attributes:
        name: short name, printed with every value.
        source: where the convention comes from.
        w1: of W1M, W1P and W1EFP, or None if the convention has none; likewise below.
        cov_mmd: of coverage and MMD.
        fpd: of FPD; features are the 36 energy-flow polynomials of degree up to 4.
        kpd: of KPD, on the same features.
        fpnd: number of jets of FPND, the first ones.
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

    def draws(self, field: str, default: Any) -> Any:
        """The draws of a measurement.

        Args:
            field: the attribute that holds them; its name if it is a plug-in.
            default: the draws of a measurement that no protocol knows.

        Returns:
            The draws; None where this protocol leaves the measurement out.
        """
        return getattr(self, field) if field in MEASURED else default


MEASURED = ("w1", "cov_mmd", "fpd", "kpd", "fpnd")
"""The attributes of a protocol that say how jets are drawn."""

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
"""Those an evaluation takes by default."""
