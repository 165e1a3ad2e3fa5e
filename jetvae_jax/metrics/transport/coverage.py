"""Coverage and minimum matching distance with the energy mover's distance.

Definitions of the jetnet package (arXiv:2106.11535, section 4). The distances of all
pairs are not needed, only which real jet is nearest to each generated one (COV) and how
far the nearest generated jet is from each real one (MMD). Bounds of the distance, cheap
ones for all pairs and tight ones for the promising, leave one or two per cent of the
pairs to be solved; the results are those of all pairs solved. Called on the host, not
within jit.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Key, RelativeJets
from jetvae_jax.metrics.host import over_cores
from jetvae_jax.metrics.suite.measurement import widened
from jetvae_jax.metrics.transport.dual_bound import lower_bounds
from jetvae_jax.metrics.transport.energy_mover import checked, exact
from jetvae_jax.metrics.transport.entropic import balanced, transport

# Sinkhorn iterations that rule most pairs out, and those for the ones that remain;
# blurs in units of R.
_COARSE = {"epsilons": (0.02, 0.005), "iterations": 4}
_FINE = {"epsilons": (0.02, 0.005, 0.00125), "iterations": 10}
_CHUNK = 128  # pairs bracketed at once: their arrays stay in a CPU's cache
_CHUNKS_PER_PART = 4  # by one call of the compiled program
# Float32 in bounds: this share of the pt, and of the largest distance, is allowed for.
_SLACK = 1e-5
_SAME = 1e-14  # share of the pt: distances that differ by less are equal


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
    real jets against real jets is about 0.55 for n = 100, not 1, and MMD falls with n
    (arXiv:2106.11535, section 4).

    Args:
        key: drives the draws; the same key gives the same value.
        real: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``.
        generated: the same with its own J and N.
        num_jets: n.
        num_batches: batches; the values are means over them.

    Returns:
        ``cov`` and ``mmd`` (in the unit of pt), ``cov_std`` and ``mmd_std``, the
        deviations between batches, ``num_jets`` and ``num_batches``. Where a sample has
        fewer jets than n, the deviations are those of batches of so many.

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
    available = min(len(real.particles), len(generated.particles))
    return {
        "cov": float(cov.mean()),
        "cov_std": widened(float(cov.std()), num_jets, available),
        "mmd": float(mmd.mean()),
        "mmd_std": widened(float(mmd.std()), num_jets, available),
        "num_jets": num_jets,
        "num_batches": num_batches,
    }


def cov_mmd_of(
    real: RelativeJets, generated: RelativeJets, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coverage and minimum matching distance of given draws.

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
    # The same jet drawn twice is as near, whatever the last digits.
    same = _SAME * np.sum(x.particles[..., 0], axis=-1).max(initial=0)
    nearest = np.argmax(distance <= distance.min(1, keepdims=True) + same, axis=1)
    cov = np.array([np.unique(row).size / i.shape[1] for row in nearest])
    return cov, distance.min(axis=2).mean(axis=1)


def _drawn(jets: RelativeJets, draws: np.ndarray) -> RelativeJets:
    """Jets ``[S, n, N, 3]`` in float64, zero where there is no pt."""
    jets = RelativeJets(*(values[draws] for values in record(np, jets)))
    particles = checked(jets)
    return RelativeJets(particles, particles[..., 0] > 0)


def _nearest(x: RelativeJets, y: RelativeJets) -> np.ndarray:
    """Distances ``[S, R, G]``, exact where COV or MMD depends on it, else too large.

    Too large, but never the smallest of its row or column by mistake: a pair is left
    out only when its lower bound exceeds an upper bound of a competitor.
    """
    slack = _slack(x, y)
    bounds = over_cores(lower_bounds, *x, *y)
    lower = np.maximum(np.stack(bounds) - slack, 0)
    upper = np.full(lower.shape, np.inf)
    flat = [
        jnp.asarray(jets.particles, np.float32).reshape(-1, *jets.particles.shape[2:])
        for jets in (x, y)
    ]
    number = np.zeros(lower.shape, np.int64)  # of a pair, among those with potentials
    known: list[list[np.ndarray]] = [[], []]

    def narrow(where, effort):
        if not where.any():
            return
        pairs = np.nonzero(where)
        rows, columns = (pairs[0] * lower.shape[k] + pairs[k] for k in (1, 2))
        low, high, *found = _bracket(flat[0], flat[1], rows, columns, effort)
        lower[pairs] = np.maximum(lower[pairs], low - slack[pairs])
        upper[pairs] = np.minimum(upper[pairs], high + slack[pairs])
        number[pairs] = sum(map(len, known[0])) + np.arange(len(rows))
        for values, new in zip(known, found, strict=True):
            values.append(new)

    first = _lowest(lower, 1) | _lowest(lower, 2)
    narrow(first, _FINE)
    for effort in (_COARSE, _FINE):
        reach = np.maximum(upper.min(1, keepdims=True), upper.min(2, keepdims=True))
        narrow((lower <= reach) & ~first, effort)
    potentials = [np.concatenate(values) for values in known]
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
        p, q = (jets.particles for jets in _paired(x, y, pairs))
        lower[pairs] = upper[pairs] = exact(
            p, q, *(v[number[pairs]] for v in potentials)
        )


def _lowest(values: np.ndarray, axis: int, count: int = 2) -> np.ndarray:
    """Where the ``count`` smallest finite values along the axis are."""
    count = min(count, values.shape[axis])
    largest = np.partition(values, count - 1, axis=axis).take([count - 1], axis=axis)
    return (values <= largest) & np.isfinite(values)


def _slack(x: RelativeJets, y: RelativeJets) -> np.ndarray:
    pt = [np.sum(jets.particles[..., 0], axis=-1) for jets in (x, y)]
    angle = max(np.abs(jets.particles[..., 1:]).max(initial=0) for jets in (x, y))
    return _SLACK * max(1, 3 * angle) * np.maximum(pt[0][:, :, None], pt[1][:, None])


def _paired(x: RelativeJets, y: RelativeJets, pairs):
    """The jets of pairs ``(s, r, g)``, each ``[P, N, 3]``."""
    s, r, g = pairs
    return jax.tree.map(lambda v: v[s, r], x), jax.tree.map(lambda v: v[s, g], y)


def _bracket(x: Array, y: Array, rows: np.ndarray, columns: np.ndarray, effort):
    """Bounds of pairs of jets and the potentials of their transport.

    Args:
        x: particles ``[A, N, 3]``, zero where there is none.
        y: ``[B, M, 3]``.
        rows: ``[P]`` indices of x.
        columns: ``[P]`` indices of y.
        effort: iterations.

    Returns:
        Bounds ``[P]`` and ``[P]``, potentials ``[P, N + 1]`` and ``[P, M + 1]``.
    """
    size = _CHUNK * _CHUNKS_PER_PART

    def bounds(start: int):  # in parts of one shape
        part = np.minimum(np.arange(start, start + size), len(rows) - 1)
        part = part.reshape(-1, _CHUNK)
        found = _solutions(x, y, rows[part], columns[part], **effort)
        return [np.moveaxis(np.asarray(v), -1, 1) for v in found]

    # XLA runs operations this small on one core: one thread for each.
    parts = over_cores(bounds, range(0, len(rows), size))
    return [
        np.concatenate([v.reshape(-1, *v.shape[2:]) for v in same])[: len(rows)]
        for same in zip(*parts, strict=True)
    ]


@functools.partial(jax.jit, static_argnames=("epsilons", "iterations"))
def _solutions(x, y, rows, columns, *, epsilons, iterations):
    """One chunk of pairs ``[K, chunk]`` after the other: arrays are reused."""

    def solve(pairs):
        problem = balanced(
            *(v[k].transpose(2, 1, 0) for v, k in zip((x, y), pairs, strict=True))
        )
        found = transport(problem, epsilons, iterations)
        return found.lower, found.upper, found.f, found.g

    return jax.lax.map(solve, (rows, columns))
