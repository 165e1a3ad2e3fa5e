"""Variational autoencoders as generative models, from networks to the loss.

Three steps, of which a new model may use any:

1. :func:`as_vae` turns two linen modules, an encoder and a deterministic decoder,
   into pure functions.
2. :func:`deterministic` turns that decoder into a likelihood, with
   ``log p(x|z) = -D(x, decode(z))`` for a distance D such as Chamfer's. A model with a
   stochastic decoder defines its own :class:`~jetvae_jax.core.types.Decoder`.
3. :func:`build` combines an encoder, a decoder and a prior into a generative model with
   the loss of the beta-VAE (arXiv:1312.6114)::

       loss = -w log p(x|z) + beta KL(q(z|x) || p(z)) + u C(z),   z ~ q(z|x)

:func:`model` takes all three steps, with the latent space, prior and discriminator of
:class:`Components`: VAE, VAE+NF, VAE+D, VAE+NF+D and copula-VAE of Stevenson, Kruger
2022. With the standard normal prior the KL is analytic. With a learned prior it is
estimated from the draw that is decoded, ``log q(z|x) - log p(z)``. The estimate is
unbiased (arXiv:1312.6114, equation 2), may be negative for a single jet, and trains the
prior with the other components.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jetvae_jax import densities, discriminators
from jetvae_jax.core import configs, dtypes, layers
from jetvae_jax.core.configs import NonNegativeFloat
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    VAE,
    Array,
    Batch,
    Context,
    Decoder,
    Density,
    Discriminator,
    GaussianPosterior,
    Key,
    Model,
    Objective,
    Params,
    Points,
    Task,
    Terms,
)
from jetvae_jax.densities import marginals as marginals_of
from jetvae_jax.densities.marginals import Marginals
from jetvae_jax.densities.normal import normal
from jetvae_jax.losses.objective import forward, gaussian_log_prob, reparameterize
from jetvae_jax.models.adversarial import Config as Adversarial
from jetvae_jax.models.adversarial import against

NONE = "none"
LOGVAR_RANGE = (-20.0, 10.0)
"""Range of a posterior's log-variance, for standard deviations from 5e-5 to 150."""


# Networks ---------------------------------------------------------------------------


def smooth_clip(x: Array, low: float, high: float) -> Array:
    """``x`` clipped smoothly to ``(low, high)``: the identity to 5e-5 ten units inside.

    Beyond the bounds the gradient is small but not zero, unlike that of a hard clip,
    so that training can bring a value back.
    """
    return low + jax.nn.softplus(high - low - jax.nn.softplus(high - x))


def posterior(outputs: Array) -> GaussianPosterior:
    """The last layer of an encoder, ``[..., 2 L]``, as mean and log-variance.

    The log-variance is clipped smoothly to :data:`LOGVAR_RANGE` here, so that ``exp``
    cannot overflow in any loss.
    """
    mean, logvar = jnp.split(outputs, 2, axis=-1)
    return GaussianPosterior(mean, smooth_clip(logvar, *LOGVAR_RANGE))


def jet_features(x: Array, size: int) -> Array:
    """What a decoder adds to the jet's features: a linear map of ``x``, zero at first.

    Called inside a decoder's ``__call__``; it has no parameters if ``size`` is 0.
    """
    if not size:
        return jnp.zeros((*x.shape[:-1], 0), x.dtype)
    return layers.Dense(size, scale=0.0, name="jet")(x)


def as_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    num_particles: int,
    num_features: int,
    latent_dim: int,
    jet_rows: int = 0,
    any_length: bool = False,
    num_conditions: int = 0,
) -> VAE:
    """A VAE of pure functions with checked shapes from two linen modules.

    Rows before those of the particles, if any, describe the jet. The encoder takes them
    as one vector of G features, and a skip connection passes them by the networks: the
    first G latents are those features plus an output of the encoder, and the decoded
    features are those latents plus an output of the decoder.

    Conditions are appended to those features for the encoder, and to the latents for
    the decoder.

    Args:
        encoder: ``(x [..., N, F], mask [..., N], jet [..., G]) -> GaussianPosterior``.
        decoder: ``(z [..., L]) -> (x [..., N, F], jet [..., G])``.
        num_particles: N.
        num_features: F.
        latent_dim: L.
        jet_rows: R; the VAE's x is ``[..., R + N, F]``, and ``G = R F``.
        any_length: the encoder takes any number of particles.
        num_conditions: length of the ``condition`` that encode and decode then take.

    Returns:
        The VAE; its parameters are ``{"encoder": ..., "decoder": ...}``.
    """
    rows, width = jet_rows + num_particles, jet_rows * num_features
    skip = min(width, latent_dim)

    def draw(key: Key) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        x, mask = (
            jnp.zeros((num_particles, num_features)),
            jnp.ones(num_particles, bool),
        )
        return {
            "encoder": layers.init(
                encoder, encoder_key, x, mask, jnp.zeros(width + num_conditions)
            ),
            "decoder": layers.init(
                decoder, decoder_key, jnp.zeros(latent_dim + num_conditions)
            ),
        }

    def encode(
        params: Params, x: Array, mask: Array, condition: Array | None = None
    ) -> GaussianPosterior:
        (x, condition), mask = floats(jnp, x, condition), dtypes.mask(jnp, mask)
        expected = (x.shape[-2] if any_length else rows, num_features)
        if x.shape[-2:] != expected:
            raise ValueError(f"x has shape {x.shape}, expected [..., *{expected}]")
        if mask.shape != x.shape[:-1]:
            raise ValueError(f"mask has shape {mask.shape}, x has {x.shape}")
        jet = x[..., :jet_rows, :].reshape(*x.shape[:-2], width)
        x, mask = x[..., jet_rows:, :], mask[..., jet_rows:]
        inputs = (x, mask, layers.with_condition(jet, condition, num_conditions))
        mean, logvar = layers.apply(encoder, params["encoder"], *inputs)
        return GaussianPosterior(mean.at[..., :skip].add(jet[..., :skip]), logvar)

    def decode(params: Params, z: Array, condition: Array | None = None) -> Array:
        z, condition = floats(jnp, z, condition)
        if z.shape[-1] != latent_dim:
            raise ValueError(f"z has shape {z.shape}, expected [..., {latent_dim}]")
        inputs = layers.with_condition(z, condition, num_conditions)
        x, jet = layers.apply(decoder, params["decoder"], inputs)
        jet = jnp.concatenate([jet[..., :skip] + z[..., :skip], jet[..., skip:]], -1)
        jet = jet.reshape(*z.shape[:-1], jet_rows, num_features)
        return jnp.concatenate([jet, x], axis=-2)

    return VAE(draw, encode, decode, latent_dim)


# Latents on the unit cube -----------------------------------------------------------


CDF_EVENTS = 1_000_000
"""Events of which a CDF encoder is made, enough for its knots."""
EXACT_LOGVAR = -20.0
"""Log-variance of an exact encoder's posterior, a standard deviation of 5e-5."""


def squashed(vae: VAE) -> VAE:
    """The VAE with uniform latents for its decoder; its parameters do not change.

    The decoder is given ``sqrt(12) (Phi(z) - 1/2)``: the uniform ``u = Phi(z)``,
    centred and of variance one. The KL is invariant under ``u = Phi(z)``: that of z to
    the standard normal is that of u to the uniform distribution, and that of z to the
    density of a Gaussian copula's normal scores is that of u to the copula.
    """

    def decode(params: Params, z: Array, condition: Array | None = None) -> Array:
        u = math.sqrt(12) * (jax.scipy.special.ndtr(*floats(jnp, z)) - 0.5)
        return vae.decode(params, u, condition)

    return vae._replace(decode=decode)


def cdf_encoder(vae: VAE, marginals: Marginals, knots: Params | None = None) -> VAE:
    """The VAE with its encoder replaced by the CDFs of the features.

    The latents of an event are the normal scores of its features, which are known
    before training. Only the decoder is trained, with the component ``"encoder"``
    frozen.

    Args:
        vae: of one point per set, with as many latents as features.
        marginals: of the scaled features.
        knots: fitted to the scaled training events ``[J, F]``, with which the
            parameters start; None if they are read from a checkpoint.

    Returns:
        A squashed VAE; ``params["encoder"]`` are the marginals' parameters.

    Raises:
        ValueError: the numbers of latents and features differ.
    """
    dim = marginals.dim
    if vae.latent_dim != dim:
        raise ValueError(
            f"a CDF encoder of {dim} features needs as many latents, got "
            f"{vae.latent_dim}"
        )

    def init(key: Key) -> Params:
        start = marginals.init(key) if knots is None else jax.tree.map(jnp.array, knots)
        return dict(vae.init(key)) | {"encoder": start}

    def encode(
        params: Params, x: Array, mask: Array, condition: Array | None = None
    ) -> GaussianPosterior:
        del mask, condition
        (x,) = floats(jnp, x)
        if x.shape[-2:] != (1, dim):
            raise ValueError(f"x has shape {x.shape}, expected [..., 1, {dim}]")
        known = jax.lax.stop_gradient(params["encoder"])
        y, _ = marginals.scores(known, x[..., 0, :])
        return GaussianPosterior(y, jnp.full_like(y, EXACT_LOGVAR))

    return squashed(vae)._replace(init=init, encode=encode)


# The generative model ---------------------------------------------------------------


def deterministic(
    vae: VAE,
    objective: Objective,
    particle_mask: Callable[[Array, Context], Array] | None = None,
) -> Decoder:
    """A deterministic decoder as a likelihood: ``log p(x|z) = -D(x, decode(z))``.

    Args:
        vae: its ``decode`` is used.
        objective: its ``distance`` is D.
        particle_mask: ``(x [..., N, F], context) -> [..., N]``, which decoded points
            exist; None: all.
    """

    def log_prob(params: Params, z: Array, batch: Batch) -> tuple[Array, Terms]:
        x_hat = vae.decode(params, z, batch.context.condition)
        distance, terms = objective.distance(batch, x_hat)
        return -distance, terms

    def noise(key: Key, num: int) -> tuple[()]:
        del key, num
        return ()

    def at(params: Params, noise: tuple[()], z: Array, context: Context) -> Points:
        del noise
        rows = (z, context.condition)
        x = layers.in_slices(lambda row: vae.decode(params, *row), rows)
        if particle_mask is None:
            return Points(x, jnp.ones(x.shape[:-1], bool))
        return Points(x, particle_mask(x, context))

    def sample(params: Params, key: Key, z: Array, context: Context) -> Points:
        del key
        return at(params, (), z, context)

    return Decoder(log_prob, sample, noise, at)


def build(
    init: Callable[[Key], Params],
    encode: Callable[[Params, Batch], GaussianPosterior],
    decoder: Decoder,
    objective: Objective,
    *,
    latent_dim: int,
    prior: Density | None = None,
    components: Any = None,
) -> Model:
    """A generative model from an encoder, a likelihood and a prior.

    Args:
        init: ``(key) -> params`` of encoder and decoder.
        encode: ``(params, batch) -> GaussianPosterior`` over L latents.
        decoder: the likelihood p(x|z).
        objective: the weights of its terms; the distance is not read.
        latent_dim: L.
        prior: of the latents, learned with the model; None for N(0, 1).
        components: for studies, see :class:`~jetvae_jax.core.types.Model`.

    Returns:
        The model. Its loss has the unweighted terms of the decoder, ``kl`` in nats
        and, if it has a weight, ``uniform``. Its ``log_prob`` is the evidence lower
        bound from one draw of the posterior, up to the constant of the decoder.
    """
    draw = prior or normal(latent_dim)

    def loss(params: Params, key: Key, batch: Batch) -> tuple[Array, Terms]:
        batch = record(jnp, batch)
        z, terms = forward(
            params, key, batch,
            encode=encode, prior=prior, uniform=bool(objective.uniform),
        )  # fmt: skip
        log_p, reported = decoder.log_prob(params, z, batch)
        terms = {**reported, **terms}
        return objective.total(-log_p, terms), terms

    def log_prob(params: Params, key: Key, batch: Batch) -> Array:
        batch = record(jnp, batch)
        z, terms = forward(params, key, batch, encode=encode, prior=prior)
        return decoder.log_prob(params, z, batch)[0] - terms["kl"]

    def log_weight(
        params: Params,
        key: Key,
        batch: Batch,
        prior_log_prob: Callable[[Array, Array | None], Array] | None = None,
    ) -> Array:
        batch = record(jnp, batch)
        posterior, condition = encode(params, batch), batch.context.condition
        z = reparameterize(key, posterior)
        if prior_log_prob is None:
            own = params["prior"] if prior is not None else {}
            log_prior = draw.log_prob(own, z, condition)
        else:
            log_prior = prior_log_prob(z, condition)
        log_p, _ = decoder.log_prob(params, z, batch)
        return log_p + log_prior - gaussian_log_prob(posterior, z)

    def sample(params: Params, key: Key, context: Context) -> Points:
        context = record(jnp, context)
        own = params["prior"] if prior is not None else {}
        z = draw.sample(own, key, context.axis.shape[:-1], context.condition)
        return decoder.sample(params, jax.random.fold_in(key, 1), z, context)

    def posterior_of(params: Params, batch: Batch) -> GaussianPosterior:
        return encode(params, record(jnp, batch))

    def decode(params: Params, key: Key, z: Array, context: Context) -> Points:
        return decoder.sample(params, key, *floats(jnp, z), record(jnp, context))

    return Model(
        _with_prior(init, prior), loss, sample,
        encode=posterior_of, decode=decode, noise=decoder.noise, decode_at=decoder.at,
        log_prob=log_prob, log_weight=log_weight, latent_dim=latent_dim,
        components=components,
    )  # fmt: skip


def _with_prior(
    init: Callable[[Key], Params], prior: Density | None
) -> Callable[[Key], Params]:
    if prior is None:
        return init
    return lambda key: (
        dict(init(key)) | {"prior": prior.init(jax.random.fold_in(key, 1))}
    )


# A VAE with prior and discriminator -------------------------------------------------


@configs.config
class Components:
    """Settings of latent space, prior and discriminator of a VAE.

    Attributes:
        latent: 'gaussian'; 'uniform', where the decoder is given Phi(z), a point of
            the unit cube; 'cdf', the same with the CDFs of the features as encoder.
        uniform: weight of the distance of the latents' marginals from uniform ones.
        prior: learned with the VAE: name of a file in ``densities/``; 'none' for the
            standard normal.
        prior_config: its Config.
        discriminator: name of a file in ``discriminators/``, or 'none'.
        discriminator_config: its Config.
        adversarial: form and weights of the adversarial losses.
    """

    latent: Literal["gaussian", "uniform", "cdf"] = "gaussian"
    uniform: NonNegativeFloat = 0.0
    prior: str = NONE
    prior_config: Any = None
    discriminator: str = NONE
    discriminator_config: Any = None
    adversarial: Adversarial = dataclasses.field(default_factory=Adversarial)

    @classmethod
    def from_json(cls, values: dict) -> "Components":
        """The inverse of ``dataclasses.asdict``."""
        values = dict(values)
        for name, package in (("prior", densities), ("discriminator", discriminators)):
            key = f"{name}_config"
            if values[name] != NONE and values[key] is not None:
                values[key] = configs.from_json(
                    package.get(values[name]).Config, values[key]
                )
        own = configs.from_json(Adversarial, values["adversarial"])
        return cls(**values | {"adversarial": own})


class Built(NamedTuple):
    """The networks of a VAE, with its prior and its discriminator.

    Attributes:
        vae: encoder and decoder; its parameters are branches of the whole tree.
        prior: of the latents, ``params["prior"]``, or None for the standard normal.
        discriminator: ``params["discriminator"]``, or None.
    """

    vae: VAE
    prior: Density | None
    discriminator: Discriminator | None


def fill(config: Any, sizes: dict[str, int]) -> Any:
    """A Config with the sizes that follow from the data filled in."""
    names = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{k: v for k, v in sizes.items() if k in names})


def built(vae: VAE, task: Task) -> Built:
    """The networks that ``task.components`` asks for, around a VAE.

    Raises:
        InputError: sizes that do not fit together.
    """
    config: Components = task.components or Components()
    discriminator = None
    if config.latent == "uniform":
        vae = squashed(vae)
    elif config.latent == "cdf":
        if (vae.latent_dim, task.num_particles) != (task.num_features, 1):
            raise InputError(
                f"latent = 'cdf': needs tables, and latent_dim = "
                f"{task.num_features} as there are columns, got {vae.latent_dim}"
            )
        knots = None
        if task.sample is not None:
            columns = task.sample(CDF_EVENTS).x[:, 0]
            knots = marginals_of.fit_empirical(columns, what="features")
        vae = cdf_encoder(vae, marginals_of.empirical(vae.latent_dim), knots)
    if config.discriminator != NONE:
        module = discriminators.get(config.discriminator)
        discriminator = module.build(fill(config.discriminator_config, task.sizes))
    return Built(vae, prior_of(vae.latent_dim, task), discriminator)


def prior_of(latent_dim: int, task: Task) -> Density | None:
    """The prior that ``task.components`` asks for; None for the standard normal."""
    config: Components = task.components or Components()
    if config.prior == NONE:
        return None
    module = densities.get(config.prior)
    return module.build(
        config.prior_config or module.Config(),
        dim=latent_dim,
        num_conditions=task.num_conditions,
    )


def model(vae: VAE, task: Task) -> Model:
    """A VAE with a deterministic decoder, and its components, as a generative model.

    Args:
        vae: encoder and decoder.
        task: of the model; without an objective, as when a checkpoint is read, the
            model cannot be trained.
    """
    config: Components = task.components or Components()
    whole = built(vae, task)
    vae, prior, discriminator = whole
    objective = task.objective or NO_OBJECTIVE
    objective = objective._replace(uniform=config.uniform)

    def encode(params: Params, batch: Batch) -> GaussianPosterior:
        return vae.encode(params, batch.x, batch.mask, batch.context.condition)

    plain = build(
        vae.init, encode, deterministic(vae, objective, task.particle_mask), objective,
        latent_dim=vae.latent_dim, prior=prior, components=whole,
    )  # fmt: skip
    if discriminator is None:
        frozen = ("encoder",) if config.latent == "cdf" else ()
        return plain._replace(constants=frozen)
    return against(
        plain, config.adversarial, vae, discriminator, objective,
        prior=prior, particle_mask=task.particle_mask,
        freeze_encoder=config.latent == "cdf",
    )  # fmt: skip


def _no_distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
    raise ValueError("this model was built without an objective: it cannot be trained")


NO_OBJECTIVE = Objective(_no_distance, 1.0)
"""Of a model that is not to be trained, as when a checkpoint is read."""
