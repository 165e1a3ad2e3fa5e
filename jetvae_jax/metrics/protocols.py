"""Named protocols: a figure without its number of jets cannot be compared.

Even real jets against real jets do not score zero, and that floor falls with the
number of jets drawn. Papers differ, so every result carries its protocol's name.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How jets are drawn for a figure with an uncertainty.

    Attributes:
        name: short name, printed with every figure.
        num_jets: jets drawn per batch, from each of the two samples.
        num_batches: batches; the figure is their mean, its error their deviation.
        replace: within a batch, draw with replacement.
    """

    name: str
    num_jets: int
    num_batches: int
    replace: bool


MPGAN_10K = Protocol("mpgan_10k", 10_000, 5, replace=False)
"""The size of the MPGAN paper's tables (arXiv:2106.11535)."""

JETNET_50K = Protocol("jetnet_50k", 50_000, 5, replace=True)
"""The default of the jetnet package from 0.2 on: a bootstrap."""

PROTOCOLS = (MPGAN_10K, JETNET_50K)
