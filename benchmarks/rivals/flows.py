"""A RealNVP of 30 dimensions, 8 couplings and layers of 128, 128 in nflows and zuko."""

import torch
from torch import nn

DIM, COUPLINGS, HIDDEN = 30, 8, 128


class Conditioner(nn.Module):
    """The network of a coupling, with the second argument of nflows' own."""

    def __init__(self, size, out):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(size, HIDDEN), nn.ReLU()),
            *(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, out)),
        )

    def forward(self, x, context=None):
        """``x [J, size] -> [J, out]``."""
        del context
        return self.layers(x)


def nflows():
    """Affine couplings with random permutations between them."""
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms import (
        AffineCouplingTransform,
        CompositeTransform,
        RandomPermutation,
    )

    mask = torch.arange(DIM) < DIM // 2
    layers = []
    for _ in range(COUPLINGS):
        layers += [RandomPermutation(DIM), AffineCouplingTransform(mask, Conditioner)]
    return Flow(CompositeTransform(layers), StandardNormal([DIM]))


def zuko():
    """The same by zuko, of which a flow is a function to a distribution."""
    import zuko as library

    return library.flows.RealNVP(DIM, transforms=COUPLINGS, hidden_features=(128, 128))
