"""Encoders of sets by name: neither the order of the points nor padding matters.

Each maps ``x [..., N, F]``, ``mask [..., N]`` and ``jet [..., G]``, what is known of
the jet as a whole, to a posterior of its latents.
"""

from collections.abc import Callable

import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import layers
from jetvae_jax.core.types import Array, GaussianPosterior
from jetvae_jax.models import vae

ANGLES = 0.1  # about the size of a jet's angles, in whose units networks see them


class SetEncoder(nn.Module):
    """What the encoders have in common.

    Attributes:
        latent_dim: L, dimensions of the latent space.
        width: C, channels of a point.
        context: size of the vector that all points share, or that a pair has.
        capacity: the largest number of points.
        depth: layers on points or pairs.
        hidden: sizes of the dense layers before the posterior.
        activation: a name in :data:`~jetvae_jax.core.layers.ACTIVATIONS`.
        relative: ``(x [..., N, F]) -> [..., N, 3]`` (ptrel, etarel, phirel).
    """

    latent_dim: int
    width: int
    context: int
    capacity: int
    depth: int
    hidden: tuple[int, ...]
    activation: str
    relative: Callable[[Array], Array]

    def posterior(self, summary: Array) -> GaussianPosterior:
        """Dense layers from a summary of the set to the posterior."""
        outputs = layers.MLP(
            self.hidden,
            2 * self.latent_dim,
            self.activation,
            last_scale=layers.QUIET,
            name="posterior",
        )(summary)
        return vae.posterior(outputs)


class DeepSets(SetEncoder):
    """EPiC layers (arXiv:2301.08128) and pools: a Deep Set (arXiv:1703.06114).

    Points also depend on a summary of their jet; with depth 0 they do not.
    """

    @nn.compact
    def __call__(self, x: Array, mask: Array, jet: Array) -> GaussianPosterior:
        """The posterior."""
        act = layers.activation(self.activation)
        x = jnp.where(mask[..., None], x, 0.0)
        x = layers.MLP((self.width,), self.width, self.activation, name="embed")(x)
        x = act(x)
        summary = layers.pool(x, mask, self.capacity)
        summary = jnp.concatenate([summary, jet], axis=-1)
        context = act(layers.Dense(self.context, name="context")(summary))
        for i in range(self.depth):
            layer = layers.EpicLayer(
                self.width, self.context, self.capacity, self.activation,
                name=f"layer_{i}",
            )  # fmt: skip
            x, context = layer(x, context, mask)
        summary = layers.pool(x, mask, self.capacity)
        return self.posterior(jnp.concatenate([summary, context], axis=-1))


class EnergyFlow(SetEncoder):
    """An energy flow network (arXiv:1810.05165): ``F(sum_i ptrel_i Phi(angles_i))``.

    Infrared and collinear safe: a particle that splits into collinear ones, and a
    further particle without pt, change nothing. It does not see how many there are.
    """

    @nn.compact
    def __call__(self, x: Array, mask: Array, jet: Array) -> GaussianPosterior:
        """The posterior."""
        particles = jnp.where(mask[..., None], self.relative(x), 0.0)
        angles = particles[..., 1:] / ANGLES
        phi = layers.MLP(
            (self.width,) * self.depth, self.width, self.activation, name="phi"
        )
        flow = jnp.sum(particles[..., :1] * phi(angles), axis=-2)
        return self.posterior(jnp.concatenate([flow, jet], axis=-1))


class Interaction(SetEncoder):
    """An interaction network (JEDI-net, arXiv:1908.05318): effects of pairs of points.

    A network of each ordered pair gives an effect, the effects on a point are added
    up, and a network of the point and their sum is pooled. Cost and memory grow with
    the square of the number of points.
    """

    @nn.compact
    def __call__(self, x: Array, mask: Array, jet: Array) -> GaussianPosterior:
        """The posterior."""
        act = layers.activation(self.activation)
        x = jnp.where(mask[..., None], x, 0.0)
        # Dense([receiver, sender]) without a copy of both for every pair.
        receiver = layers.Dense(self.context, name="receiver")(x)
        sender = layers.Dense(self.context, use_bias=False, name="sender")(x)
        effects = act(receiver[..., :, None, :] + sender[..., None, :, :])
        for i in range(1, self.depth):
            effects = act(layers.Dense(self.context, name=f"pair_{i}")(effects))
        pairs = mask[..., None] & mask[..., None, :] & ~jnp.eye(x.shape[-2], dtype=bool)
        effects = jnp.where(pairs[..., None], effects, 0.0)
        effect = jnp.sum(effects, axis=-2) / self.capacity
        points = layers.MLP((self.width,), self.width, self.activation, name="points")
        points = act(points(jnp.concatenate([x, effect], axis=-1)))
        summary = layers.pool(points, mask, self.capacity)
        return self.posterior(jnp.concatenate([summary, jet], axis=-1))


ENCODERS: dict[str, type[SetEncoder]] = {
    "deepsets": DeepSets,
    "efn": EnergyFlow,
    "interaction": Interaction,
}
