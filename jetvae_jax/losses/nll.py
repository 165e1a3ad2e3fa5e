"""Negative log-likelihood: what fits a flow."""

from jetvae_jax.types import Array, Flow, Key, LossFn, Params, Terms


def build(flow: Flow) -> LossFn:
    """The loss ``-log p(z)`` of latents ``z [..., L]``, in nats.

    Returns:
        A LossFn with the term ``nll``; its key is not used.
    """

    def loss_fn(params: Params, key: Key, z: Array) -> tuple[Array, Terms]:
        del key
        loss = -flow.log_prob(params, z)
        return loss, {"nll": loss}

    return loss_fn
