"""Lower bounds of the log-likelihood of a model with latents."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jetvae_jax.core.types import Array, Batch, Key, Model, Params


def importance_weighted(
    model: Model,
    params: Params,
    key: Key,
    batch: Batch,
    num_draws: int,
    *,
    prior: Callable[[Array, Array | None], Array] | None = None,
) -> Array:
    """The importance-weighted bound, Eq. 8 of Burda et al., arXiv:1509.00519.

    It is the logarithm of the mean of ``p(x|z) p(z) / q(z|x)`` over draws z of the
    posterior. With one draw its mean is the evidence lower bound; it rises with their
    number towards log p(x). A model without latents has the exact log p(x) instead.
    Draws are made one after the other: the memory is that of one.

    Args:
        model: with latents, or without.
        params: of the model.
        key: of the draws.
        batch: of J sets.
        num_draws: of the posterior of each set.
        prior: ``(z [J, L], condition) -> [J]``, the log-density of the latents to take
            instead of the model's own prior, such as that of a fitted flow.

    Returns:
        ``[J]`` in nats, up to the constant of the decoder.

    Raises:
        ValueError: the model has no likelihood, or num_draws is not positive.
    """
    if num_draws < 1:
        raise ValueError(f"num_draws must be positive, got {num_draws}")
    if model.log_weight is None:
        if model.log_prob is None or model.latent_dim:
            raise ValueError("this model has no likelihood")
        return model.log_prob(params, key, batch)
    return of_draws(log_weights(model, params, key, batch, num_draws, prior=prior))


def log_weights(
    model: Model,
    params: Params,
    key: Key,
    batch: Batch,
    num_draws: int,
    *,
    prior: Callable[[Array, Array | None], Array] | None = None,
) -> Array:
    """``log p(x|z) p(z) / q(z|x)`` of each draw, ``[num_draws, J]`` in nats.

    Their mean over draws is the evidence lower bound. Arguments as those of
    :func:`importance_weighted`, of a model with latents.
    """
    log_weight = model.log_weight
    assert log_weight is not None
    return jax.lax.map(
        lambda draw: log_weight(params, draw, batch, prior),
        jax.random.split(key, num_draws),
    )


def of_draws(logs: Array) -> Array:
    """The importance-weighted bound ``[J]`` of :func:`log_weights` ``[K, J]``."""
    return jax.nn.logsumexp(logs, axis=0) - jnp.log(logs.shape[0])
