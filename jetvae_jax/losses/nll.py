"""Exact negative log-likelihood, which trains the flow."""

from jetvae_jax.types import Array, Flow, Key, LossFn, Params, Terms


def build(flow: Flow) -> LossFn:
    """The loss ``(params, key, latents [J, L]) -> (-log p [J], {"nll": -log p})``.

    In nats. The key is not used: nothing is drawn.
    """

    def loss_fn(params: Params, key: Key, latents: Array) -> tuple[Array, Terms]:
        del key
        nll = -flow.log_prob(params, latents)
        return nll, {"nll": nll}

    return loss_fn
