"""Energy mover's distance between jets: exact, and entropic with a guaranteed interval.

The work to rearrange one jet into another (arXiv:1902.02346, eq. 1), as the jetnet
package asks energyflow for it: R = 1, beta = 1, not normalised, azimuths not periodic,

    EMD = min_f sum_ij f_ij theta_ij / R + |sum_i pt_i - sum_j pt'_j|,

``theta`` the Euclidean distance in (eta, phi), ``sum_j f_ij <= pt_i``,
``sum_i f_ij <= pt'_j`` and ``sum_ij f_ij`` the smaller of the two sums of pt. It is
solved as a balanced problem: one more particle at distance R from all others takes the
missing pt.
"""

import functools
import os
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.errors import InputError
from jetvae_jax.metrics.threads import over_cores
from jetvae_jax.numerics import safe_divide, safe_sqrt
from jetvae_jax.types import Array, RelativeJets

EPSILONS = (0.02, 0.005, 0.00125)
"""Blurs of the entropic solution from first to last, in units of R."""

_CHUNK = 512  # pairs whose distances are in memory at once, 4 MB for 30 particles
_ABSENT = -1e6  # potential of a particle without weight: far below every distance


def emd(x: RelativeJets, y: RelativeJets) -> np.ndarray:
    """Exact energy mover's distance of pairs of jets.

    Network simplex of the POT package (``pip install POT``), one pair at a time in
    float64 on the host: about 0.12 ms for two jets of 30 particles, nearly all of it
    the solver's own (its call costs 5 us).

    Args:
        x: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.
        y: the same with its own number of particles and the same leading axes.

    Returns:
        ``[...]`` float64 in the unit of pt (times R = 1); an empty jet is as far away
        as its partner's pt.

    Raises:
        ValueError: the shapes do not fit together.
        InputError: a particle with negative pt, NaN or infinity.
        RuntimeError: the solver did not converge.
        ImportError: POT is not installed.
    """
    p, q = checked(x), checked(y)
    lead = p.shape[:-2]
    if q.shape[:-2] != lead:
        raise ValueError(f"jets {p.shape} and {q.shape} cannot be paired")
    p, q = (v.reshape(-1, *v.shape[-2:]) for v in (p, q))
    # The solver lets other threads run; the distances of a chunk share one array.
    count = max(os.cpu_count() or 1, len(p) // _CHUNK)
    chunks = np.array_split(np.arange(len(p)), count)
    parts = over_cores(lambda rows: _solve(p[rows], q[rows]), chunks)
    return np.concatenate(parts).reshape(lead)


def checked(jets: RelativeJets) -> np.ndarray:
    """Particles ``[..., N, 3]`` in float64, zero where there is none.

    Raises:
        ValueError: particles that are not ``[..., N, 3]`` or a mask that does not fit.
        InputError: a particle with negative pt, NaN or infinity.
    """
    particles, mask = np.asarray(jets.particles), np.asarray(jets.mask, bool)
    if (
        particles.ndim < 2
        or particles.shape[-1] != 3
        or mask.shape != particles.shape[:-1]
    ):
        raise ValueError(
            f"jets need particles [..., N, 3] and mask [..., N], got {particles.shape} "
            f"and {mask.shape}"
        )
    particles = np.where(mask[..., None], particles, 0).astype(np.float64)
    if not (np.isfinite(particles).all() and (particles[..., 0] >= 0).all()):
        raise InputError(
            "energy mover's distance: particles with negative pt, NaN or infinity; "
            "repair or mask them"
        )
    return particles


def _solve(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Distances ``[P]`` of jets ``[P, N, 3]``, zero where there is no particle."""
    from ot.lp.emd_wrap import emd_c

    a, b, cost = _balanced(np, p[..., 0], p[..., 1:], q[..., 0], q[..., 1:])
    total = a.sum(axis=1, keepdims=True)
    # The solver wants equal sums to the last digit; two empty jets have none.
    b *= np.divide(
        total, b.sum(1, keepdims=True), out=np.ones_like(total), where=total > 0
    )
    result = np.zeros(len(p))
    for k in np.flatnonzero(total):
        _, result[k], _, _, status = emd_c(a[k], b[k], cost[k], 100_000, 1)
        if status != 1:  # 1 is the solver's "optimal"
            raise RuntimeError(f"no optimal transport found (POT status {status})")
    return result


def _balanced(xp: ModuleType, a, p, b, q):
    """Balanced problems of pairs of jets with the same sum of weights.

    Args:
        xp: NumPy or ``jax.numpy``.
        a: ``[P, N]`` pt, zero where there is no particle.
        p: ``[P, N, 2]`` angles.
        b: ``[P, M]`` pt.
        q: ``[P, M, 2]`` angles.

    Returns:
        Weights ``[P, N + 1]``, ``[P, M + 1]`` and distances ``[P, N + 1, M + 1]``. The
        last particle of each jet is at distance one from all others and has the pt
        that the jet lacks, if any.
    """
    missing = xp.sum(b, axis=1, keepdims=True) - xp.sum(a, axis=1, keepdims=True)
    d_eta, d_phi = (p[:, :, None, k] - q[:, None, :, k] for k in (0, 1))
    root = np.sqrt if xp is np else safe_sqrt
    cost = root(xp.square(d_eta) + xp.square(d_phi))
    cost = xp.pad(cost, [(0, 0), (0, 1), (0, 1)], constant_values=1.0)
    a = xp.concatenate([a, xp.maximum(missing, 0)], axis=1)
    b = xp.concatenate([b, xp.maximum(-missing, 0)], axis=1)
    return a, b, cost


@functools.partial(jax.jit, static_argnames=("epsilons", "iterations"))
def emd_sinkhorn(
    x: RelativeJets,
    y: RelativeJets,
    *,
    epsilons: tuple[float, ...] = EPSILONS,
    iterations: int = 10,
) -> Array:
    """Entropic approximation of :func:`emd`: batched, for accelerators, differentiable.

    The middle of :func:`emd_bracket`, hence off by at most half its width. Against the
    exact distance of random pairs of JetNet's gluon (top) jets, 30 particles: 0.3 %
    (0.4 %) on average, 1.0 % (1.2 %) at the 95th percentile, 4 % at most; the mean
    distance comes out 0.2 % (0.3 %) high. Tripling the iterations halves the errors.

    The gradient is that of the transport at fixed plan, with respect to the angles, and
    at fixed potentials, with respect to pt (Danskin's theorem).

    Args:
        x: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.
        y: the same with its own number of particles and the same leading axes.
        epsilons: blurs from first to last, in units of R.
        iterations: Sinkhorn iterations at each blur.

    Returns:
        ``[...]`` in the unit of pt.
    """
    a, b, cost = _balanced(jnp, *_flat(x), *_flat(y))
    fixed = jax.lax.stop_gradient((a, b, cost))
    plan, f, g = jax.lax.stop_gradient(_transport(*fixed, epsilons, iterations))
    lower, upper = _bounds(*fixed, plan, f, g)
    slope = [
        jnp.sum(jnp.where(w > 0, h * (v - w), 0.0).reshape(len(w), -1), axis=1)
        for h, v, w in zip((f, g, plan), (a, b, cost), fixed, strict=True)
    ]
    return ((lower + upper) / 2 + sum(slope)).reshape(x.particles.shape[:-2])


@functools.partial(jax.jit, static_argnames=("epsilons", "iterations"))
def emd_bracket(
    x: RelativeJets,
    y: RelativeJets,
    *,
    epsilons: tuple[float, ...] = EPSILONS,
    iterations: int = 10,
) -> tuple[Array, Array]:
    """Lower and upper bound of the energy mover's distance by Sinkhorn iterations.

    Entropic transport (arXiv:1306.0895) with falling blur. Whatever the iterations
    reached, two projections make bounds of it:

    - lower: potentials with ``f_i + g_j <= theta_ij`` for all pairs are a point of the
      dual problem, so ``sum_i a_i f_i + sum_j b_j g_j`` cannot exceed the minimum.
      Given f, ``g_j = min_i theta_ij - f_i`` are the largest allowed.
    - upper: a plan rounded to the right marginals (arXiv:1705.09634, algorithm 2) does
      move one jet into the other, so its cost is at least the minimum.

    Both hold up to the rounding of float32, less than ``1e-5`` of the larger sum of pt
    for angles up to R.

    Args:
        x: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.
        y: the same with its own number of particles and the same leading axes.
        epsilons: blurs from first to last, in units of R; the last one sets the width.
        iterations: Sinkhorn iterations at each blur.

    Returns:
        Two ``[...]`` arrays in the unit of pt.
    """
    problem = _balanced(jnp, *_flat(x), *_flat(y))
    bounds = _bounds(*problem, *_transport(*problem, epsilons, iterations))
    lower, upper = (bound.reshape(x.particles.shape[:-2]) for bound in bounds)
    return lower, upper


def _bounds(a, b, cost, plan, f, g):
    lower = jnp.sum(a * f, axis=1) + jnp.sum(b * g, axis=1)
    return lower, jnp.sum(plan * cost, axis=(1, 2))


def _flat(jets: RelativeJets):
    """Weights ``[P, N]`` and angles ``[P, N, 2]``, zero where there is no particle."""
    particles = jnp.asarray(jets.particles)
    particles = particles.reshape(-1, *particles.shape[-2:])
    exists = jnp.asarray(jets.mask).reshape(particles.shape[:-1])
    particles = jnp.where(exists[..., None], particles, 0.0)
    return particles[..., 0], particles[..., 1:]


def _transport(a, b, cost, epsilons, iterations):
    """Plan ``[P, N, M]`` and potentials ``f [P, N]``, ``g [P, M]``, all feasible.

    Scaling iterations on a kernel that holds the potentials of the larger blur. The
    projection before leaves a one in each row and column, so that none underflows.
    """

    def rows(g):
        return jnp.where(a > 0, jnp.min(cost - g[:, None, :], axis=2), _ABSENT)

    def columns(f):
        return jnp.where(b > 0, jnp.min(cost - f[:, :, None], axis=1), _ABSENT)

    def sharpen(state, epsilon):
        f, _ = state
        g = columns(f)
        f = rows(g)
        kernel = jnp.exp((f[:, :, None] + g[:, None, :] - cost) / epsilon)
        u, v = _scaled(kernel, a, b, iterations)
        f = f + epsilon * jnp.log(jnp.where(a > 0, u, 1.0))
        return (f, u[:, :, None] * kernel * v[:, None, :]), None

    start = jnp.where(a > 0, 0.0, _ABSENT), jnp.zeros_like(cost)
    blurs = jnp.asarray(epsilons, cost.dtype)
    (f, plan), _ = jax.lax.scan(sharpen, start, blurs)
    g = columns(f)
    return _rounded(plan, a, b), rows(g), g


def _scaled(kernel, a, b, iterations):
    """Factors u and v: ``u_i kernel_ij v_j`` has the marginal b and nearly a."""
    tiny = jnp.finfo(kernel.dtype).tiny
    # Matrix products, so that they are fast; never in the reduced precision that
    # accelerators choose for them.
    times = functools.partial(jnp.einsum, precision="highest")

    def columns(u):
        return b / jnp.maximum(times("pij,pi->pj", kernel, u), tiny)

    def step(_, u):
        return a / jnp.maximum(times("pij,pj->pi", kernel, columns(u)), tiny)

    u = jax.lax.fori_loop(0, iterations, step, jnp.ones_like(a))
    return u, columns(u)


def _rounded(plan, a, b):
    """A plan near ``plan`` whose marginals are exactly a and b."""
    rows = jnp.sum(plan, axis=2)
    plan = plan * jnp.minimum(safe_divide(a, rows), 1.0)[:, :, None]
    columns = jnp.sum(plan, axis=1)
    plan = plan * jnp.minimum(safe_divide(b, columns), 1.0)[:, None, :]
    a_left, b_left = a - jnp.sum(plan, axis=2), b - jnp.sum(plan, axis=1)
    share = safe_divide(b_left, jnp.sum(b_left, axis=1, keepdims=True))
    return plan + a_left[:, :, None] * share[:, None, :]
