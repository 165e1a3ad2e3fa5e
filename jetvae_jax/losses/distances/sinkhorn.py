"""Sinkhorn divergence: optimal transport between two sets, smoothed and debiased."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jetvae_jax.core import configs, dtypes
from jetvae_jax.core.configs import PositiveFloat, PositiveInt
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array
from jetvae_jax.losses.distances.chamfer import pairwise_sq_distance


def sinkhorn_divergence(
    x: Array,
    y: Array,
    *,
    x_mask: Array | None = None,
    y_mask: Array | None = None,
    epsilon: float = 0.05,
    threshold: float = 1e-3,
    max_iterations: int = 2000,
) -> Array:
    """``OT(x, y) - OT(x, x)/2 - OT(y, y)/2`` with entropic optimal transport.

    ``OT(x, y) = min_P sum_ij P_ij |x_i - y_j|^2 + eps KL(P | a b)`` over couplings P
    of the uniform weights a and b of the existing points (arXiv:1810.08278). Unlike
    the nearest-neighbour distance it matches the sets one to one, so it depends on the
    density of points; it costs about a hundred times as much.

    ``eps`` is ``epsilon`` times the mean squared distance between the two sets, so
    the result has the unit of x squared. Solved by ott-jax's Sinkhorn. The
    gradient is that of the minimum at a fixed coupling (Danskin's theorem) and a fixed
    ``eps``, as exact as the solution is; it takes no memory of the iterations.

    Args:
        x: ``[..., N, D]`` points.
        y: ``[..., M, D]`` points.
        x_mask: ``[..., N]`` bool, True where a point exists; None: all do.
        y_mask: ``[..., M]`` bool, or None.
        epsilon: blur; smaller is closer to plain transport, and slower.
        threshold: stop when the coupling's marginals are this near to the weights.
        max_iterations: stop at the latest.

    Returns:
        ``[...]``, the cost of the whole unit of mass (a mean over points, not a sum);
        zero when the sets are equal (to about the threshold else), and if a set is
        empty.

    Raises:
        ValueError: the shapes do not fit together.
    """
    x, y = floats(jnp, x, y)
    if x.shape[:-2] != y.shape[:-2] or x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"x and y must be [..., N, D] and [..., M, D]; they are {x.shape} and "
            f"{y.shape}"
        )
    masks = (dtypes.mask(jnp, mask) for mask in (x_mask, y_mask))
    settings = {"threshold": threshold, "max_iterations": max_iterations}
    return _divergence(x, y, *masks, epsilon=epsilon, **settings)


@functools.partial(jax.jit, static_argnames=("epsilon", "threshold", "max_iterations"))
def _divergence(x, y, x_mask, y_mask, *, epsilon, **settings):
    def one(x, y, x_exists, y_exists):
        x = jnp.where(x_exists[:, None], x, 0.0)
        y = jnp.where(y_exists[:, None], y, 0.0)
        a, b = _uniform(x_exists, x.dtype), _uniform(y_exists, y.dtype)
        between = pairwise_sq_distance(x, y)
        blur = epsilon * jax.lax.stop_gradient(a @ between @ b)
        # All points in one place: no distance sets a scale, and none is needed.
        blur = jnp.where(blur > 0, blur, 1.0)
        total = _transport(between, a, b, blur, **settings) - 0.5 * (
            _transport(pairwise_sq_distance(x, x), a, a, blur, **settings)
            + _transport(pairwise_sq_distance(y, y), b, b, blur, **settings)
        )
        return jnp.where(jnp.any(x_exists) & jnp.any(y_exists), total, 0.0)

    lead = x.shape[:-2]
    exists = [
        jnp.ones(points.shape[:-1], bool) if mask is None else mask
        for points, mask in ((x, x_mask), (y, y_mask))
    ]
    flat = [v.reshape(-1, *v.shape[len(lead) :]) for v in (x, y, *exists)]
    return jax.vmap(one)(*flat).reshape(lead)


def _uniform(exists, dtype):
    """Equal weights of the existing points; of all, if there is none."""
    exists = exists | ~jnp.any(exists)
    return exists.astype(dtype) / jnp.sum(exists)


def _transport(cost, a, b, blur, *, threshold, max_iterations):
    """Entropic cost of moving a to b, with gradient to ``cost`` only."""
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn

    # Our own cost matrix: ott's squared distance is the expanded, inexact form.
    fixed = jax.lax.stop_gradient(cost)
    problem = LinearProblem(Geometry(cost_matrix=fixed, epsilon=blur), a=a, b=b)
    solver = Sinkhorn(threshold=threshold, max_iterations=max_iterations)
    solution = solver(problem)
    # Differentiating through ott gives NaN at points of zero weight.
    coupling = jax.lax.stop_gradient(solution.matrix)
    value = jax.lax.stop_gradient(jnp.asarray(solution.reg_ot_cost))
    return value + jnp.sum(coupling * (cost - fixed))


@configs.config
class Config:
    """How the transport is smoothed and solved.

    Attributes:
        epsilon: blur, as a fraction of the mean squared distance between the sets.
        threshold: error of the coupling's marginals that ends the iterations.
        max_iterations: iterations at most.
    """

    epsilon: PositiveFloat = 0.05
    threshold: PositiveFloat = 1e-3
    max_iterations: PositiveInt = 2000


def build(config: Config) -> Callable[..., Array]:
    """The reconstruction loss ``(x, y, *, x_mask, y_mask) -> [...]``."""

    def loss(x, y, *, x_mask=None, y_mask=None):
        settings = dataclasses.asdict(config)
        return sinkhorn_divergence(x, y, x_mask=x_mask, y_mask=y_mask, **settings)

    return loss
