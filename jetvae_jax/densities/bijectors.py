"""Flows as distrax bijectors, for distributions and chains of distrax."""

from typing import Any

import distrax

from jetvae_jax.core.types import Array, Density, Params


class Bijector(distrax.Bijector):
    """A flow with its parameters as one bijector of events ``[L]``, base to latents.

    For instance::

        flow = densities.get("realnvp").build(config, dim=L)
        distrax.Transformed(base, Bijector(flow, params)).log_prob(z)

    It may be the argument of a function under ``jax.jit``. Under ``jax.vmap`` return
    arrays, never a distribution made from it: distrax then gives wrong shapes without
    an error.

    Attributes:
        params: of the flow.
        condition: ``[..., G]`` on which it depends, or None.
    """

    def __init__(self, flow: Density, params: Params, condition: Array | None = None):
        if flow.forward is None or flow.inverse is None:
            raise TypeError("a bijector needs a flow: this density has no maps")
        super().__init__(event_ndims_in=1)
        self.params, self.condition = params, condition
        self._forward, self._inverse = flow.forward, flow.inverse

    def forward_and_log_det(self, x: Array) -> tuple[Any, Any]:
        """``u [..., L] -> (z [..., L], log|det dz/du| [...])``."""
        return self._forward(self.params, x, self.condition)

    def inverse_and_log_det(self, y: Array) -> tuple[Any, Any]:
        """``z [..., L] -> (u [..., L], log|det du/dz| [...])``."""
        return self._inverse(self.params, y, self.condition)
