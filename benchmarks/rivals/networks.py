"""The published networks in PyTorch, eager or compiled.

Layers, sizes and initial values are PyTorch's and the publications': the ConVAE
(arXiv:2310.13138) as 2-D convolutions of an image, the generators of MPGAN
(arXiv:2106.11535) and EPiC-GAN (arXiv:2301.08128) for jets of full length.
"""

import itertools

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

PARTICLES = 30


class ConVAE(nn.Module):
    """Encoder and decoder; ``x [J, 1, 3, 30]``."""

    def __init__(self, filters=(50, 100, 200), hidden=1500, latent=30):
        super().__init__()
        sizes = [1, *filters]
        shapes = [(3, 5)] + [(1, 5)] * (len(filters) - 1)
        self.image = (filters[-1], 1, PARTICLES - 4 * len(filters))
        flat = filters[-1] * self.image[2]
        self.down = nn.Sequential(
            *(
                layer
                for i, shape in enumerate(shapes)
                for layer in (nn.Conv2d(sizes[i], sizes[i + 1], shape), nn.ReLU())
            )
        )
        self.dense = nn.Sequential(nn.Linear(flat, hidden), nn.ReLU())
        self.posterior = nn.Linear(hidden, 2 * latent)
        self.up_dense = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, flat), nn.ReLU()
        )
        up = []
        for i, shape in reversed(list(enumerate(shapes))):
            up += [nn.ConvTranspose2d(sizes[i + 1], sizes[i], shape), nn.ReLU()]
        self.up = nn.Sequential(*up[:-1], nn.Sigmoid())

    def decode(self, z):
        """``z [J, L] -> [J, 1, 3, 30]``."""
        return self.up(self.up_dense(z).view(-1, *self.image))

    def forward(self, x, noise):
        """Reconstruction, and mean and log-variance of the posterior."""
        mean, logvar = self.posterior(self.dense(self.down(x).flatten(1))).chunk(2, 1)
        return self.decode(mean + torch.exp(logvar / 2) * noise), mean, logvar


def chamfer(x, y):
    """The nearest-neighbour loss by ``torch.cdist``, of sets ``[J, N, 3]``."""
    squared = torch.cdist(x, y).square()
    return squared.min(1).values.sum() + squared.min(2).values.sum()


def dense(*sizes, last=None, slope=0.2):
    """Linear layers with leaky ReLU between them, and after the last by default."""
    layers = []
    for size, following in itertools.pairwise(sizes):
        layers += [nn.Linear(size, following), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers[: None if last is None else -1])


class MPGAN(nn.Module):
    """The generator: two layers of messages between all pairs of particles."""

    def __init__(self):
        super().__init__()
        self.pairs, self.points = nn.ModuleList(), nn.ModuleList()
        for size, out in ((32, 32), (32, 3)):
            self.pairs.append(dense(2 * size, 96, 160, 192))
            self.points.append(dense(192 + size, 256, 256, out, last="linear"))

    def forward(self, x):
        """``x [J, N, 32] -> [J, N, 3]``."""
        for pair, point in zip(self.pairs, self.points, strict=True):
            jets, n, size = x.shape
            receivers = x.unsqueeze(2).expand(jets, n, n, size)
            senders = x.unsqueeze(1).expand(jets, n, n, size)
            messages = pair(torch.cat([receivers, senders], -1)).sum(2)
            x = point(torch.cat([messages, x], -1))
        return torch.tanh(x)

    def sample(self, jets):
        """So many jets."""
        return self(0.2 * torch.randn(jets, PARTICLES, 32))


class Equivariant(nn.Module):
    """A layer of EPiC-GAN."""

    def __init__(self, width=128, whole=10):
        super().__init__()
        self.whole_0 = weight_norm(nn.Linear(2 * width + whole, width))
        self.whole_1 = weight_norm(nn.Linear(width, whole))
        self.point_0 = weight_norm(nn.Linear(width + whole, width))
        self.point_1 = weight_norm(nn.Linear(width, width))

    def forward(self, x, whole):
        """Points ``[J, N, C]`` and whole ``[J, W]``, updated."""
        act = nn.functional.leaky_relu
        pooled = torch.cat([x.mean(1), x.sum(1), whole], 1)
        whole = act(self.whole_1(act(self.whole_0(pooled))) + whole)
        spread = whole.unsqueeze(1).expand(-1, x.shape[1], -1)
        hidden = act(self.point_0(torch.cat([x, spread], -1)))
        return act(self.point_1(hidden) + x), whole


class EPiCGAN(nn.Module):
    """The generator of EPiC-GAN."""

    def __init__(self, width=128, whole=10, layers=6):
        super().__init__()
        self.point = weight_norm(nn.Linear(3, width))
        self.whole_0 = weight_norm(nn.Linear(whole, width))
        self.whole_1 = weight_norm(nn.Linear(width, whole))
        self.layers = nn.ModuleList(Equivariant(width, whole) for _ in range(layers))
        self.last = weight_norm(nn.Linear(width, 3))

    def forward(self, whole, x):
        """Noise ``[J, W]`` and ``[J, N, 3]`` to points ``[J, N, 3]``."""
        act = nn.functional.leaky_relu
        x = start = act(self.point(x))
        whole = first = act(self.whole_1(act(self.whole_0(whole))))
        for layer in self.layers:
            x, whole = layer(x, whole)
            x, whole = x + start, whole + first
        return self.last(x)

    def sample(self, jets):
        """So many jets."""
        return self(torch.randn(jets, 10), torch.randn(jets, PARTICLES, 3))
