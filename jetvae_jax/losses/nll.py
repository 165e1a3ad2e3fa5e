"""Exact negative log-likelihood, which trains the flow."""

from collections.abc import Callable

from jetvae_jax.core.types import Array, Flow, Key, Params, Terms, optional


def build(flow: Flow) -> Callable[..., tuple[Array, Terms]]:
    """The loss ``(params, key, latents [J, L]) -> (-log p [J], {"nll": -log p})``.

    In nats. The key is not used: nothing is drawn. A conditional flow takes
    ``condition [J, G]`` as a last argument.
    """

    def loss_fn(
        params: Params, key: Key, latents: Array, condition: Array | None = None
    ) -> tuple[Array, Terms]:
        del key
        nll = -flow.log_prob(params, latents, *optional(condition))
        return nll, {"nll": nll}

    return loss_fn
