"""Lower bounds of the energy mover's distances of all pairs of jets, from features.

Kantorovich's dual: any function of the angles that is nowhere steeper than the distance
bounds what it costs to move one jet into another. A fixed set of such functions needs
one number of each jet and function instead of one optimisation for each pair. Called on
the host.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.types import Array, RelativeJets

_STEPS = (0.02, 0.05, 0.1, 0.2)  # most pt is near the jet axis, and so are the anchors
_CLIPS = (0.05, 0.15)
_LINES = 8


def lower_bounds(p: Array, p_mask: Array, q: Array, q_mask: Array) -> np.ndarray:
    """Lower bounds ``[R, G]`` of the distances of all pairs, up to float32.

    Args:
        p: R jets, particles ``[R, N, 3]`` (ptrel, etarel, phirel), zero where masked.
        p_mask: ``[R, N]``.
        q: G jets, ``[G, M, 3]``.
        q_mask: ``[G, M]``.
    """
    pairs = (RelativeJets(p, p_mask), RelativeJets(q, q_mask))
    return np.asarray(_bound(*(_features(*record(jnp, jets)) for jets in pairs)))


@jax.jit
def _bound(x, y):
    """The bounds from features of each jet.

    Let phi be a function of the angles that changes by at most theta between points
    theta apart, and jet q heavier than p by D in pt. Any admissible flow f moves all of
    p and leaves weights ``l_j >= 0`` of q, ``sum_j l_j = D``. It costs

        D + sum_ij f_ij theta_ij >= D + sum_ij f_ij (phi(p_i) - phi(q_j))
                                  = D + sum_i a_i phi(p_i) - sum_j (b_j - l_j) phi(q_j)
                                 >= D + A - B + D min_j phi(q_j)

    with ``A = sum_i a_i phi(p_i)`` and B likewise. The same holds for -phi, and with
    the roles of the jets exchanged; the bound is the largest over all functions.

    Args:
        x: :func:`_features` of R jets.
        y: the same of G jets.
    """
    (x_pt, x_phi), (y_pt, y_phi) = x, y
    missing = y_pt[None] - x_pt[:, None]

    def largest(bound, phi):
        (p_sum, p_least, p_most), (q_sum, q_least, q_most) = phi
        gap = p_sum[:, None] - q_sum
        least = jnp.where(missing > 0, q_least, p_most[:, None])
        most = jnp.where(missing > 0, q_most, p_least[:, None])
        both = jnp.maximum(gap + missing * least, -gap - missing * most)
        return jnp.maximum(bound, both), None

    bound, _ = jax.lax.scan(largest, jnp.zeros_like(missing), (x_phi, y_phi))
    return bound + jnp.abs(missing)


@jax.jit
def _features(p, mask):
    """Total pt ``[R]``; of K functions the pt-weighted sum, least and most, ``[K, R]``.

    The functions are the distances from anchors, the same clipped, and the distances
    from lines through the axis, signed and not: all of them as steep as is allowed.
    One particle of all jets after the other: the R jets are what a CPU goes along.
    """
    line = jnp.array([-s for s in reversed(_STEPS)] + [0.0, *_STEPS])
    anchors = [v.reshape(-1, 1) for v in jnp.meshgrid(line, line)]
    angle = jnp.arange(_LINES)[:, None] * (jnp.pi / _LINES)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    far = 1e6  # of an empty jet: finite, since nothing of it is ever left over

    def step(found, particle):
        (pt, eta, phi), present = particle
        cone = jnp.sqrt(jnp.square(eta - anchors[0]) + jnp.square(phi - anchors[1]))
        side = eta * cos + phi * sin
        clipped = [jnp.minimum(cone, clip) for clip in _CLIPS]
        values = jnp.concatenate([cone, *clipped, side, jnp.abs(side)])
        total, least, most = found
        return (
            total + pt * values,
            jnp.minimum(least, jnp.where(present, values, far)),
            jnp.maximum(most, jnp.where(present, values, -far)),
        ), None

    size = (1 + len(_CLIPS)) * len(line) ** 2 + 2 * _LINES, len(p)
    start = (jnp.zeros(size), jnp.full(size, far), jnp.full(size, -far))
    particles = jnp.moveaxis(p, 0, -1), mask.T  # [N, 3, R], [N, R]
    found, _ = jax.lax.scan(step, start, particles)
    return jnp.sum(p[..., 0], axis=-1), found
