"""Substructure of jets: N-subjettiness, energy correlators, width, pT dispersion.

Angles are those of the relative coordinates, ``R_ij^2 = (eta_i - eta_j)^2 + (phi_i -
phi_j)^2``, with particles massless (rapidity is pseudorapidity) and azimuths not
wrapped: relative ones stay far from the seam.
"""

import functools
import math
from collections.abc import Collection

import jax
import jax.numpy as jnp

from jetvae_jax.core import kinematics
from jetvae_jax.core.numerics import safe_divide, safe_norm, safe_sqrt
from jetvae_jax.core.types import Array, RelativeJets
from jetvae_jax.observables.clustering import (
    AXES,
    checked,
    direction,
    four_momenta,
    subjets,
)

_CHUNK = 256  # jets whose N x N arrays are in use at once; they stay in the cache
NAMES = (
    *("tau1", "tau2", "tau3", "tau21", "tau32"),
    *("e2", "e3", "c2", "d2", "width", "ptd", "multiplicity"),
)
"""What :func:`substructure` measures."""


def substructure(
    jets: RelativeJets,
    *,
    beta: float = 1.0,
    radius: float = 0.8,
    names: Collection[str] = NAMES,
) -> dict[str, Array]:
    """Substructure observables of each jet.

    With ``z_i = pt_i / sum pt``:

    - ``tau1``, ``tau2``, ``tau3``: N-subjettiness, ``sum_i z_i min_a (R_ia / R0)^beta``
      (arXiv:1011.2268, eq. 2.1). The axes a are the exclusive kT subjets, see
      :func:`subjets`, not minimised further. ``tau21``, ``tau32``: ratios.
    - ``e2 = sum_{i<j} z_i z_j R_ij^beta`` and ``e3 = sum_{i<j<k} z_i z_j z_k (R_ij R_ik
      R_jk)^beta``; ``c2 = e3 / e2^2`` (arXiv:1305.0007, eq. 2.3) and ``d2 = e3 / e2^3``
      (arXiv:1409.6298, eq. 1.1).
    - ``width``: girth ``sum_i z_i R_i``, R_i from the axis the angles refer to.
    - ``ptd``: pT dispersion ``sqrt(sum_i pt_i^2) / sum_i pt_i``.
    - ``multiplicity``: number of particles.

    Values without a definition are 0: all of a jet without pt; ``tauN`` of a jet of at
    most N particles is 0 since each is its own axis; ratios with denominator 0.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.
        beta: angular exponent, positive.
        radius: R0 of N-subjettiness; it drops out of the ratios.
        names: which of the above; tau takes nearly all of the time.

    Returns:
        Those asked for, each ``[...]``, float32 but for ``multiplicity``. Gradients are
        finite, those of tau at fixed clustering.

    Raises:
        ValueError: the shapes do not fit together.
    """
    particles, mask = checked(jets)
    lead = mask.shape[:-1]
    count = math.prod(lead)
    size = max(min(_CHUNK, count), 1)
    chunks = -(-count // size)

    def split(v, tail):
        v = v.reshape(count, *tail)
        rest = chunks * size - count  # filled up, so that one program serves all
        return jnp.pad(v, [(0, rest)] + [(0, 0)] * len(tail)).reshape(
            chunks, size, *tail
        )

    one = functools.partial(_observables, beta=beta, radius=radius, names=names)
    flat = split(particles, particles.shape[-2:]), split(mask, mask.shape[-1:])
    found = jax.lax.map(lambda chunk: jax.vmap(one)(*chunk), flat)
    return {k: v.reshape(-1)[:count].reshape(lead) for k, v in found.items()}


def _observables(particles, mask, *, beta, radius, names) -> dict[str, Array]:
    """Of one jet, ``[N, 3]`` and ``[N]``."""
    particles = jnp.where(mask[:, None], particles, 0.0)
    pt, angles = particles[:, 0], particles[:, 1:]
    z = safe_divide(pt, jnp.sum(pt))
    found = {}
    if any(name.startswith("tau") for name in names):
        near = _power(_distances_to_axes(particles) / radius, beta)
        tau = jnp.sum(z * near, axis=1)
        found |= {f"tau{n}": value for n, value in enumerate(tau, start=1)}
        found["tau21"] = safe_divide(tau[1], tau[0])
        found["tau32"] = safe_divide(tau[2], tau[1])
    if not {"e2", "e3", "c2", "d2"}.isdisjoint(names):
        apart = _power(safe_norm(angles[:, None] - angles), beta)
        e2 = z @ apart @ z / 2
        # sum_ijk = sum_ij z_i z_j R_ij (R z R)_ij: a product instead of three sums.
        through = jnp.matmul(apart * z, apart, precision="highest")
        e3 = z @ (apart * through) @ z / 6
        found |= {"e2": e2, "e3": e3}
        found["c2"] = safe_divide(e3, jnp.square(e2))
        found["d2"] = safe_divide(e3, e2**3)
    found["width"] = jnp.sum(z * safe_norm(angles))
    found["ptd"] = safe_sqrt(jnp.sum(jnp.square(z)))
    found["multiplicity"] = kinematics.multiplicity(mask)
    return {name: found[name] for name in names}


def _power(distance, beta):
    """``distance ** beta`` with gradient zero, not infinite or NaN, at zero."""
    if beta == 1:
        return distance
    positive = distance > 0
    return jnp.where(positive, jnp.where(positive, distance, 1.0) ** beta, 0.0)


def _distances_to_axes(particles):
    """Distances ``[3, N]`` of each particle to the nearest of one, two, three axes."""
    momenta = four_momenta(particles)

    def distances(owner):
        heads = (owner == jnp.arange(len(owner))) & (particles[:, 0] > 0)

        def nearer(state, _):
            heads, nearest = state
            head = jnp.argmax(heads)
            members = owner == head
            total = jnp.sum(jnp.where(members[:, None], momenta, 0.0), axis=0)
            # Rounding must not move a lone particle from its own axis: ratios of zeros.
            alone = jnp.sum(members) == 1
            axis = jnp.where(alone, particles[head, 1:], direction(total))
            away = safe_norm(particles[:, 1:] - axis)
            nearest = jnp.where(heads[head], jnp.minimum(nearest, away), nearest)
            return (heads.at[head].set(False), nearest), None

        far = jnp.full(len(owner), jnp.inf, particles.dtype)
        (_, nearest), _ = jax.lax.scan(nearer, (heads, far), length=AXES)
        return jnp.where(jnp.isfinite(nearest), nearest, 0.0)

    return jax.vmap(distances)(subjets(particles))
