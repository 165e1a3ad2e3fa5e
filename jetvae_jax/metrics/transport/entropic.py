"""Entropic transport of many small problems at once, all along the last axis.

P problems of N against M weights each: a few hundred numbers a problem, so that
batched matrix products reach little of what a CPU can do. With the problems along the
last axis each step is a sum over N or M arrays of P numbers.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import safe_divide
from jetvae_jax.core.types import Array

_ABSENT = -1e6  # potential of a particle without weight: far below every distance
_UNROLL = 2


class Problem(NamedTuple):
    """Weights ``[N, P]`` and ``[M, P]`` of equal sums, distances ``[N, M, P]``."""

    a: Array
    b: Array
    cost: Array


class Solution(NamedTuple):
    """Bounds of the least cost, and what they are made of.

    Attributes:
        lower: ``[P]``, the value of the potentials.
        upper: ``[P]``, the cost of the plan.
        f: ``[N, P]``, potentials with ``f_i + g_j <= cost_ij`` where there is weight.
        g: ``[M, P]``.
        plan: ``[N, M, P]`` with the marginals a and b.
    """

    lower: Array
    upper: Array
    f: Array
    g: Array
    plan: Array


def balanced(x: Array, y: Array) -> Problem:
    """Balanced problems of pairs of jets that may differ in their sum of pt.

    Args:
        x: ``[3, N, P]`` pt, eta and phi, zero where there is no particle.
        y: ``[3, M, P]``.

    Returns:
        Weights ``[N + 1, P]``, ``[M + 1, P]``, distances ``[N + 1, M + 1, P]``. The
        last particle of each jet is at distance one from all others and has the pt
        that the jet lacks, if any.
    """
    x, y = floats(jnp, x, y)
    missing = jnp.sum(y[0], axis=0) - jnp.sum(x[0], axis=0)
    d_eta, d_phi = (x[k][:, None] - y[k] for k in (1, 2))
    # No gradient where particles coincide.
    least = jnp.finfo(d_eta.dtype).tiny
    cost = jnp.sqrt(jnp.maximum(jnp.square(d_eta) + jnp.square(d_phi), least))
    cost = jnp.pad(cost, [(0, 1), (0, 1), (0, 0)], constant_values=1.0)
    a = jnp.concatenate([x[0], jnp.maximum(missing, 0)[None]])
    b = jnp.concatenate([y[0], jnp.maximum(-missing, 0)[None]])
    return Problem(a, b, cost)


def transport(
    problem: Problem,
    epsilons: tuple[float, ...],
    iterations: int,
) -> Solution:
    """Sinkhorn iterations with falling blur, and both projections of their result.

    Entropic transport (arXiv:1306.0895): scaling iterations on a kernel that holds the
    potentials of the larger blur. The projection before leaves a one in each row and
    column, so that none underflows. Whatever the iterations reached, two projections
    make bounds of it:

    - lower: potentials with ``f_i + g_j <= cost_ij`` for all pairs are a point of the
      dual problem, so ``sum_i a_i f_i + sum_j b_j g_j`` cannot exceed the minimum.
      Given f, ``g_j = min_i cost_ij - f_i`` are the largest allowed.
    - upper: a plan rounded to the right marginals (arXiv:1705.09634, algorithm 2) does
      move one jet into the other, so its cost is at least the minimum.

    Both hold up to the rounding of float32, less than ``1e-5`` of the larger sum of
    weights for angles up to one.

    Args:
        problem: P of them.
        epsilons: blurs from first to last, in units of the cost.
        iterations: at each blur.

    Returns:
        The bounds, the potentials and the plan.
    """
    a, b, cost = problem
    tiny = jnp.finfo(cost.dtype).tiny

    def rows(g):
        return jnp.where(a > 0, _least_in_columns(cost, g), _ABSENT)

    def columns(f):
        return jnp.where(b > 0, _least_in_rows(cost, f), _ABSENT)

    def kernel_of(f, g, epsilon):
        return jnp.exp((f[:, None] + g - cost) / epsilon)

    def sharpen(state, epsilon):
        g = columns(state[0])
        f = rows(g)
        kernel = kernel_of(f, g, epsilon)

        def scaled(u):
            return b / jnp.maximum(_times_rows(kernel, u), tiny)

        def step(_, u):
            return a / jnp.maximum(_times_columns(kernel, scaled(u)), tiny)

        u = jax.lax.fori_loop(0, iterations, step, jnp.ones_like(a))
        sharper = f + epsilon * jnp.log(jnp.where(a > 0, u, 1.0))
        return (sharper, f, g, u, scaled(u)), None

    start = jnp.where(a > 0, 0.0, _ABSENT).astype(cost.dtype)
    blurs = jnp.asarray(epsilons, cost.dtype)
    state = start, start, b, a, b
    (f, f_0, g_0, u, v), _ = jax.lax.scan(sharpen, state, blurs)
    g = columns(f)
    f = rows(g)
    kernel = kernel_of(f_0, g_0, blurs[-1])
    u, v, rest, share = _rounded(kernel, u, v, a, b)
    upper = jnp.sum(
        u * _times_columns(kernel * cost, v) + rest * _times_columns(cost, share),
        axis=0,
    )
    lower = jnp.sum(a * f, axis=0) + jnp.sum(b * g, axis=0)
    # XLA drops it from compiled programs that do not return it.
    plan = u[:, None] * kernel * v + rest[:, None] * share
    return Solution(lower, upper, f, g, plan)


def _rounded(kernel, u, v, a, b):
    """The plan near ``u_i kernel_ij v_j`` whose marginals are exactly a and b.

    Returns:
        u, v, rest and share: the plan is ``u_i kernel_ij v_j + rest_i share_j``.
    """
    u = u * jnp.minimum(safe_divide(a, u * _times_columns(kernel, v)), 1.0)
    v = v * jnp.minimum(safe_divide(b, v * _times_rows(kernel, u)), 1.0)
    rest = a - u * _times_columns(kernel, v)
    missing = b - v * _times_rows(kernel, u)
    share = safe_divide(missing, jnp.sum(missing, axis=0, keepdims=True))
    return u, v, rest, share


_Reduce = tuple[Callable[..., Array], Callable[..., Array]]
_SUM: _Reduce = jnp.add, jnp.sum
_LEAST: _Reduce = jnp.minimum, jnp.min


def _over(
    axis: int, reduce: _Reduce, join: Callable[..., Array], matrix: Array, vector: Array
) -> Array:
    """``join(matrix, vector)`` reduced over the first or second axis.

    On a CPU in a loop: XLA reduces all but the last axis slowly there, and, without a
    loop between them, computes the inputs of a sum again for each of its terms.

    Args:
        axis: the one to reduce, which the vector has.
        reduce: of two arrays, and of one array over an axis.
        join: of two numbers.
        matrix: ``[N, M, P]``.
        vector: ``[N, P]`` or ``[M, P]``.
    """
    of_two, of_all = reduce

    def loop(matrix, vector):
        def term(k):
            part = jax.lax.dynamic_index_in_dim(matrix, k, axis, keepdims=False)
            return join(part, jax.lax.dynamic_index_in_dim(vector, k))

        def step(k, found):
            return of_two(found, term(k))

        return jax.lax.fori_loop(1, len(vector), step, term(0), unroll=_UNROLL)

    def whole(matrix, vector):
        return of_all(join(matrix, jnp.expand_dims(vector, 1 - axis)), axis=axis)

    return jax.lax.platform_dependent(matrix, vector, cpu=loop, default=whole)


_times_rows, _times_columns = (
    functools.partial(_over, axis, _SUM, jnp.multiply) for axis in (0, 1)
)
_least_in_rows, _least_in_columns = (
    functools.partial(_over, axis, _LEAST, jnp.subtract) for axis in (0, 1)
)
