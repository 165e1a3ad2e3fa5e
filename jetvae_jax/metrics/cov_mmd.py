"""Coverage and minimum matching distance with the energy mover's distance.

Definitions of the jetnet package (arXiv:2106.11535, section 4). The distances of all
pairs are not needed, only which real jet is nearest to each generated one (COV) and how
far the nearest generated jet is from each real one (MMD). Bounds of the distance, cheap
ones for all pairs and tight ones for the promising, leave one or two per cent of the
pairs to be solved; the figures are those of all pairs solved.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.errors import InputError
from jetvae_jax.metrics.emd import EPSILONS, checked, emd, emd_bracket
from jetvae_jax.metrics.threads import over_cores
from jetvae_jax.types import Key, RelativeJets

_STEPS = (0.02, 0.05, 0.1, 0.2)  # most pt is near the jet axis, and so are the anchors
_CLIPS = (0.05, 0.15)
_LINES = 8
# Sinkhorn iterations that rule most pairs out, and those for the ones that remain.
_COARSE = {"epsilons": (0.02, 0.005), "iterations": 4}
_FINE = {"epsilons": EPSILONS, "iterations": 10}
_CHUNK = 256  # pairs bracketed by one call of the compiled program
# Float32 in bounds: this share of the pt, and of the largest distance, is allowed for.
_SLACK = 1e-5


def cov_mmd(
    key: Key,
    real: RelativeJets,
    generated: RelativeJets,
    *,
    num_jets: int = 100,
    num_batches: int = 10,
) -> dict[str, float | int]:
    """Coverage and minimum matching distance, as the jetnet package defines them.

        MMD = mean over real jets of min over generated jets of EMD
        COV = (number of different real jets that are nearest to a generated one) / n

    in batches of n jets of each, drawn with replacement. Both depend on n: COV of
    real jets against real jets is about 0.55 for n = 100, not 1, and MMD falls with n.

    Args:
        key: drives the draws; the same key gives the same number.
        real: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        generated: the same with its own J and N.
        num_jets: n.
        num_batches: batches; the figures are means over them.

    Returns:
        ``cov`` and ``mmd`` (in the unit of pt), ``cov_std`` and ``mmd_std``, the
        deviations between batches, ``num_jets`` and ``num_batches``.

    Raises:
        ValueError: shapes other than the above, or a count below one.
        InputError: an empty sample; a particle with negative pt, NaN or infinity.
    """
    if num_jets < 1 or num_batches < 1:
        raise ValueError(f"num_jets {num_jets} and num_batches {num_batches}: below 1")
    keys = jax.random.split(key)
    shape = (num_batches, num_jets)
    draws = []
    for name, k, jets in zip(
        ("real", "generated"), keys, (real, generated), strict=True
    ):
        if np.ndim(jets.particles) != 3:
            raise ValueError(
                f"{name}: [J, N, 3] expected, got {np.shape(jets.particles)}"
            )
        if len(jets.particles) == 0:
            raise InputError(f"coverage and MMD: the {name} sample has no jets")
        draws.append(np.asarray(jax.random.randint(k, shape, 0, len(jets.particles))))
    cov, mmd = cov_mmd_of(real, generated, *draws)
    return {
        "cov": float(cov.mean()),
        "cov_std": float(cov.std()),
        "mmd": float(mmd.mean()),
        "mmd_std": float(mmd.std()),
        "num_jets": num_jets,
        "num_batches": num_batches,
    }


def cov_mmd_of(
    real: RelativeJets, generated: RelativeJets, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same of given draws.

    Args:
        real: particles ``[J, N, 3]``, mask ``[J, N]``.
        generated: the same with its own J and N.
        i: ``[S, R]`` indices of the real jets of S batches.
        j: ``[S, G]`` indices of the generated ones.

    Returns:
        COV ``[S]`` and MMD ``[S]`` of each batch. Of equally near real jets (a jet
        drawn twice) the first counts.
    """
    x, y = _drawn(real, i), _drawn(generated, j)
    distance = _nearest(x, y)
    nearest = np.argmin(distance, axis=1)
    cov = np.array([np.unique(row).size / i.shape[1] for row in nearest])
    return cov, distance.min(axis=2).mean(axis=1)


def _drawn(jets: RelativeJets, draws: np.ndarray) -> RelativeJets:
    """Jets ``[S, n, N, 3]`` in float64, zero where there is no pt."""
    jets = RelativeJets(np.asarray(jets.particles)[draws], np.asarray(jets.mask)[draws])
    particles = checked(jets)
    return RelativeJets(particles, particles[..., 0] > 0)


def _nearest(x: RelativeJets, y: RelativeJets) -> np.ndarray:
    """Distances ``[S, R, G]``, exact where a figure depends on it, else too large.

    Too large, but never the smallest of its row or column by mistake: a pair is left
    out only when its lower bound exceeds an upper bound of a competitor.
    """
    slack = _slack(x, y)
    bounds = jax.vmap(_dual_bound)(*(jax.vmap(_features)(*jets) for jets in (x, y)))
    lower = np.maximum(np.asarray(bounds) - slack, 0)
    upper = np.full(lower.shape, np.inf)

    def narrow(pairs, effort):
        low, high = _bracket(x, y, pairs, effort)
        lower[pairs] = np.maximum(lower[pairs], low - slack[pairs])
        upper[pairs] = np.minimum(upper[pairs], high + slack[pairs])

    first = _lowest(lower, 1) | _lowest(lower, 2)
    narrow(np.nonzero(first), _FINE)
    for effort in (_COARSE, _FINE):
        reach = np.maximum(upper.min(1, keepdims=True), upper.min(2, keepdims=True))
        narrow(np.nonzero((lower <= reach) & ~first), effort)
    while True:
        unsolved = lower < upper
        # MMD wants the value of each real jet's minimum, COV only who has it.
        of_real = unsolved & (lower <= upper.min(2, keepdims=True))
        rivals = lower <= upper.min(1, keepdims=True)
        of_generated = unsolved & rivals & (rivals.sum(1, keepdims=True) > 1)
        if not (of_real.any() or of_generated.any()):
            return upper
        pairs = np.nonzero(
            _lowest(np.where(of_real, lower, np.inf), 2, 1)
            | _lowest(np.where(of_generated, lower, np.inf), 1, 1)
        )
        lower[pairs] = upper[pairs] = emd(*_paired(x, y, pairs))


def _lowest(values: np.ndarray, axis: int, count: int = 2) -> np.ndarray:
    """Where the ``count`` smallest finite values along the axis are."""
    count = min(count, values.shape[axis])
    limit = np.partition(values, count - 1, axis=axis).take([count - 1], axis=axis)
    return (values <= limit) & np.isfinite(values)


def _slack(x: RelativeJets, y: RelativeJets) -> np.ndarray:
    pt = [np.sum(jets.particles[..., 0], axis=-1) for jets in (x, y)]
    angle = max(np.abs(jets.particles[..., 1:]).max(initial=0) for jets in (x, y))
    return _SLACK * max(1, 3 * angle) * np.maximum(pt[0][:, :, None], pt[1][:, None])


def _paired(x: RelativeJets, y: RelativeJets, pairs):
    """The jets of pairs ``(s, r, g)``, each ``[P, N, 3]``."""
    s, r, g = pairs
    return jax.tree.map(lambda v: v[s, r], x), jax.tree.map(lambda v: v[s, g], y)


def _bracket(x: RelativeJets, y: RelativeJets, pairs, effort):
    """Bounds ``[P]`` of the pairs by Sinkhorn iterations, in chunks of one shape."""
    count = len(pairs[0])

    def bounds(start: int):
        rows = np.minimum(np.arange(start, start + _CHUNK), count - 1)
        chunk = _paired(x, y, [index[rows] for index in pairs])
        return np.asarray(emd_bracket(*chunk, **effort))

    # XLA runs operations this small on one core: one thread for each.
    parts = over_cores(bounds, range(0, count, _CHUNK))
    return np.concatenate([np.zeros((2, 0)), *parts], axis=1)[:, :count]


@jax.jit
def _dual_bound(x, y):
    """Lower bound ``[R, G]`` of the distances of all pairs, from features of each jet.

    Let phi be a function of the angles that changes by at most theta between points
    theta apart, and jet q heavier than p by D in pt. Any admissible flow f moves all of
    p and leaves weights ``l_j >= 0`` of q, ``sum_j l_j = D``. It costs

        D + sum_ij f_ij theta_ij >= D + sum_ij f_ij (phi(p_i) - phi(q_j))
                                  = D + sum_i a_i phi(p_i) - sum_j (b_j - l_j) phi(q_j)
                                 >= D + A - B + D min_j phi(q_j)

    with ``A = sum_i a_i phi(p_i)`` and B likewise. The same holds for -phi, and with
    the roles of the jets exchanged; the bound is the largest over all functions.

    Args:
        x: what :func:`_features` says of R jets.
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
        (pt, eta, phi), exists = particle
        cone = jnp.sqrt(jnp.square(eta - anchors[0]) + jnp.square(phi - anchors[1]))
        side = eta * cos + phi * sin
        clipped = [jnp.minimum(cone, clip) for clip in _CLIPS]
        values = jnp.concatenate([cone, *clipped, side, jnp.abs(side)])
        total, least, most = found
        return (
            total + pt * values,
            jnp.minimum(least, jnp.where(exists, values, far)),
            jnp.maximum(most, jnp.where(exists, values, -far)),
        ), None

    size = (1 + len(_CLIPS)) * len(line) ** 2 + 2 * _LINES, len(p)
    start = (jnp.zeros(size), jnp.full(size, far), jnp.full(size, -far))
    particles = jnp.moveaxis(p, 0, -1), mask.T  # [N, 3, R], [N, R]
    found, _ = jax.lax.scan(step, start, particles)
    return jnp.sum(p[..., 0], axis=-1), found
