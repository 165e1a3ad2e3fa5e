"""A VAE whose decoder is a density of the cells of a detector.

Given latents and conditions, first the numbers of the shower as a whole are drawn (its
response), then each cell: whether it is hit and, if it is, its scaled energy::

    log p(x|z) = log p(response) + sum_c [ log p(hit_c | response)
                                           + hit_c log p(x_c | hit_c, response) ]

The response is a mixture of Gaussians, the energy x > 0 of a cell one of normal
distributions cut at zero, the threshold (:mod:`jetvae_jax.densities.positive`). The
latents hold what cells have in common; what they do not, a deterministic decoder would
average away, and blur. Cells on a grid are convolved, those on none are the input of
dense layers.

Points must come in a fixed order. Features of points are not negative, and zero where
the mask is False.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeFloat, PositiveInt
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Decoder,
    GaussianPosterior,
    Key,
    Model,
    Params,
    Points,
    Task,
    Terms,
)
from jetvae_jax.densities import mixtures, positive
from jetvae_jax.densities.mixtures import Mixture
from jetvae_jax.models import _cells, vae

USES_MASK = False
USES_DISTANCE = False
RATIO = (-4.0, 30.0)
FINE = (-4.0, 1000.0)
"""Limits of the ratio of mean and deviation; the second of networks that give means."""
LOG_STD = (-5.0, 3.0)
SOFT = (-1.5, 2.0, -1.0)
"""At the start ratios from the first to the second number, the logarithm of deviations
the third: cells that are hardly ever hit stay soft."""


@configs.config
class Config(_cells.Config):
    """Sizes of the networks.

    Attributes:
        latent_dim: dimensions of the latent space.
        components: Gaussians of the density of the response.
        cell_components: those of the density of a cell's energy.
        means: the network gives the mean of a cell's energy before the cut at zero;
            else, as in earlier versions, its ratio to the deviation, at most 30.
        free_nats: nats of the KL divergence, averaged over a batch, that cost nothing.
    """

    latent_dim: PositiveInt = 10
    components: PositiveInt = 4
    cell_components: PositiveInt = 2
    means: bool = False
    free_nats: NonNegativeFloat = 0.0


class Encoder(nn.Module):
    """Cells, the response and conditions to the posterior."""

    config: Config

    @nn.compact
    def __call__(self, x: Array, hit: Array, given: Array) -> GaussianPosterior:
        """``x [..., C, F]``, ``hit [..., C]``, ``given [..., G]``."""
        config = self.config
        cells = jnp.concatenate([x, hit[..., None].astype(x.dtype)], axis=-1)
        x = _cells.Summary(config, name="cells")(cells, given)
        last = layers.Dense(2 * config.latent_dim, scale=layers.QUIET, name="posterior")
        return vae.posterior(last(x))


class Network(nn.Module):
    """The decoder's networks."""

    config: Config

    def setup(self):
        """Define the layers."""
        config = self.config
        size = 3 * config.components * config.jet_rows * config.num_features
        self.whole = layers.MLP(
            config.hidden, size, config.activation, last_scale=layers.QUIET
        )
        size = 3 * config.cell_components * config.num_features
        self.cells = _cells.Cells(config, 1 + size)

    def __call__(self, given: Array, whole: Array) -> tuple[Mixture, tuple[Array, ...]]:
        """``given [..., L + G]`` and ``whole [..., R F]`` to all densities."""
        return self.whole_density(given), self.cell_density(given, whole)

    def whole_density(self, given: Array) -> Mixture:
        """Of each of the ``R F`` numbers of the shower as a whole."""
        outputs = self.whole(given)
        outputs = outputs.reshape(*given.shape[:-1], -1, 3, self.config.components)
        logits, mean, log_std = jnp.moveaxis(outputs, -2, 0)
        apart = jnp.linspace(-1, 1, self.config.components)  # not all alike
        log_std = vae.smooth_clip(log_std, *LOG_STD)
        return Mixture(logits, (mean + apart)[..., None, :], log_std[..., None, :])

    def cell_density(self, given: Array, whole: Array) -> tuple[Array, ...]:
        """The density of every cell.

        Returns:
            The logit of a hit, ``[..., C]``; of the components of the features logits,
            mean over deviation and logarithm of the deviation, ``[..., C, F, K]``.
        """
        outputs = self.cells(layers.with_condition(given, whole))
        features, count = self.config.num_features, self.config.cell_components
        each = outputs[..., 1:].reshape(*outputs.shape[:-1], features, 3, count)
        logits, ratio, log_std = jnp.moveaxis(each, -2, 0)
        ratio = ratio + jnp.linspace(*SOFT[:2], count)
        log_std = vae.smooth_clip(log_std + SOFT[2], *LOG_STD)
        limits = RATIO
        if self.config.means:
            ratio, limits = ratio * jnp.exp(SOFT[2] - log_std), FINE
        ratio = vae.smooth_clip(ratio, *limits)
        return outputs[..., 0], logits, ratio, log_std


def decoder(config: Config) -> Decoder:
    """The density p(x|z) of showers; its parameters are ``decoder``."""
    network, rows = Network(config), config.jet_rows

    def given_of(z: Array, context: Context) -> Array:
        return layers.with_condition(z, context.condition, config.num_conditions)

    def log_prob(params: Params, z: Array, batch: Batch) -> tuple[Array, Terms]:
        (z,), batch = floats(jnp, z), record(jnp, batch)
        given = given_of(z, batch.context)
        whole, x, hit = _parts(config, batch)
        density, (logit, *components) = layers.apply(
            network, params["decoder"], given, whole
        )
        response = jnp.sum(mixtures.log_prob(density, whole[..., None]), axis=-1)
        chance = jnp.sum(jax.nn.log_sigmoid(jnp.where(hit, logit, -logit)), axis=-1)
        each = jnp.sum(positive.log_prob(x, *components), axis=-1)
        energies = jnp.sum(jnp.where(hit, each, 0.0), axis=-1)
        terms: Terms = {"response": -response, "hits": -chance, "energies": -energies}
        return response + chance + energies, terms

    def sample(params: Params, key: Key, z: Array, context: Context) -> Points:
        (z,), context = floats(jnp, z), record(jnp, context)
        keys = jax.random.split(key, z.shape[:-1])
        own = {"params": params["decoder"]}

        def net(method: Callable[..., Any], *args: Any) -> Any:
            return network.apply(own, *args, method=method)

        def one(row: tuple[Array, Array]) -> tuple[Array, Array]:
            key, given = row
            whole_key, hit_key, cell_key = jax.random.split(key, 3)
            whole = mixtures.sample(net(Network.whole_density, given), whole_key)[
                ..., 0
            ]
            logit, *components = net(Network.cell_density, given, whole)
            hit = jax.random.bernoulli(hit_key, jax.nn.sigmoid(logit))
            x = jnp.where(hit[..., None], positive.sample(cell_key, *components), 0)
            whole = whole.reshape(rows, config.num_features)
            hit = jnp.concatenate([jnp.ones(rows, bool), hit])
            return jnp.concatenate([whole, x]), hit

        return Points(*layers.in_slices(one, (keys, given_of(z, context))))

    return Decoder(log_prob, sample)


def _parts(config: Config, batch: Batch) -> tuple[Array, Array, Array]:
    """Numbers of the whole ``[..., R F]``, cells ``[..., C, F]`` and their mask."""
    rows = config.jet_rows
    whole, x = batch.x[..., :rows, :], batch.x[..., rows:, :]
    hit = batch.mask[..., rows:]
    return whole.reshape(*whole.shape[:-2], -1), jnp.where(hit[..., None], x, 0.0), hit


def model(config: Config, task: Task) -> Model:
    """The generative model.

    Raises:
        InputError: other latents than Gaussian ones, or a discriminator.
    """
    components: vae.Components = task.components or vae.Components()
    if components.latent != "gaussian" or components.discriminator != vae.NONE:
        raise InputError(
            "cell_vae: has Gaussian latents and no discriminator: leave out --latent "
            "and --discriminator"
        )
    objective = (task.objective or vae.NO_OBJECTIVE)._replace(
        free_nats=config.free_nats, uniform=components.uniform
    )
    network, encoder = Network(config), Encoder(config)
    size = config.jet_rows * config.num_features

    def init(key: Key) -> Params:
        first, second = jax.random.split(key)
        conditions, whole = jnp.zeros(config.num_conditions), jnp.zeros(size)
        known = layers.with_condition(jnp.zeros(config.latent_dim), conditions)
        x = jnp.zeros((config.num_particles, config.num_features))
        given = layers.with_condition(whole, conditions)
        return {
            "decoder": layers.init(network, first, known, whole),
            "encoder": layers.init(encoder, second, x, x[..., 0] > 0, given),
        }

    def encode(params: Params, batch: Batch) -> GaussianPosterior:
        whole, x, hit = _parts(config, batch)
        given = layers.with_condition(
            whole, batch.context.condition, config.num_conditions
        )
        return layers.apply(encoder, params["encoder"], x, hit, given)

    return vae.build(
        init, encode, decoder(config), objective,
        latent_dim=config.latent_dim, prior=vae.prior_of(config.latent_dim, task),
    )  # fmt: skip
