import jax
import numpy as np
import pytest
from scipy.optimize import linprog

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.transport.energy_mover import emd

pytestmark = pytest.mark.optimised  # as users compile it


def make(shape, num_particles, seed, spread=0.1):
    """Jets with steeply falling pt, some particles missing, NaN in the padding."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(size=(*shape, num_particles)) ** 2
    angles = rng.normal(scale=spread, size=(*shape, num_particles, 2))
    mask = rng.random((*shape, num_particles)) < 0.8
    mask[..., 0] = True
    pt *= rng.uniform(0.6, 1, (*shape, 1)) / np.sum(pt * mask, axis=-1, keepdims=True)
    particles = np.concatenate([pt[..., None], angles], axis=-1).astype(np.float32)
    return RelativeJets(np.where(mask[..., None], particles, np.nan), mask)


def program(p, q):
    """Equation 1 of arXiv:1902.02346 as printed: inequalities, no extra particle."""
    n, m = len(p), len(q)
    theta = np.array([[np.hypot(*(a[1:] - b[1:])) for b in q] for a in p])
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    solution = linprog(
        theta.ravel(),
        A_ub=np.concatenate([rows, columns]),
        b_ub=np.concatenate([p[:, 0], q[:, 0]]),
        A_eq=np.ones((1, n * m)),
        b_eq=[min(p[:, 0].sum(), q[:, 0].sum())],
        options={"primal_feasibility_tolerance": 1e-10},
    )
    return solution.fun + abs(p[:, 0].sum() - q[:, 0].sum())


def jet(*particles):
    return RelativeJets(np.array(particles, float), np.ones(len(particles), bool))


def test_exact_as_the_linear_program():
    x, y = make((12,), 9, 0), make((12,), 14, 1)
    got = emd(x, y)
    for k in range(12):
        p, q = (v.particles[k][v.mask[k]].astype(float) for v in (x, y))
        assert got[k] == pytest.approx(program(p, q), rel=1e-7)


def test_known_values():
    assert emd(jet([1, 0, 0]), jet([1, 0.3, 0.4])) == pytest.approx(0.5)
    # 0.6 moves by 0.1, the rest is created.
    assert emd(jet([0.6, 0, 0]), jet([1, 0, 0.1])) == pytest.approx(0.46)
    # The lighter jet takes the nearer of the two.
    got = emd(jet([1, 0, 0], [1, 0.5, 0]), jet([1, 0.1, 0]))
    assert got == pytest.approx(1.1)
    # Azimuths are not periodic, as in the jetnet package.
    assert emd(jet([1, 0, -3]), jet([1, 0, 3])) == pytest.approx(6)


def test_empty_jets():
    empty = RelativeJets(np.full((3, 3), np.nan), np.zeros(3, bool))
    assert emd(empty, jet([0.7, 1, 2], [0.1, 0, 0])) == pytest.approx(0.8)
    assert emd(jet([0.7, 1, 2]), empty) == pytest.approx(0.7)
    assert emd(empty, empty) == 0


def test_leading_axes_and_padding():
    x, y = make((2, 3), 6, 2), make((2, 3), 5, 3)
    got = emd(x, y)
    assert got.shape == (2, 3)
    assert got.dtype == np.float64
    cut = [
        RelativeJets(v.particles[1, 2][v.mask[1, 2]], np.ones(v.mask[1, 2].sum(), bool))
        for v in (x, y)
    ]
    assert emd(*cut) == pytest.approx(got[1, 2], rel=1e-12)
    assert emd(make((0,), 4, 0), make((0,), 4, 0)).shape == (0,)


def test_more_pairs_than_one_chunk_keep_their_order():
    x, y = make((1100,), 3, 4), make((1100,), 2, 5)
    got = emd(x, y)
    for k in (0, 511, 512, 1099):
        pair = [jax.tree.map(lambda v, k=k: v[k], jets) for jets in (x, y)]
        assert emd(*pair) == pytest.approx(got[k], rel=1e-12)


def test_it_is_a_metric():
    x, y, z = (make((40,), 8, seed) for seed in (6, 7, 8))
    np.testing.assert_allclose(emd(x, y), emd(y, x), rtol=1e-12)
    np.testing.assert_allclose(emd(x, x), 0, atol=1e-15)
    assert (emd(x, z) <= emd(x, y) + emd(y, z) + 1e-12).all()


def test_linear_in_pt_and_in_small_angles():
    x, y = make((10,), 8, 9), make((10,), 8, 10)
    scaled = [v._replace(particles=v.particles * np.float32([4, 1, 1])) for v in (x, y)]
    np.testing.assert_allclose(emd(*scaled), 4 * emd(x, y), rtol=1e-12)


def test_bad_input():
    x = make((3,), 4, 18)
    with pytest.raises(ValueError, match=r"\(3, 4, 3\).*\(2, 4, 3\)"):
        emd(x, make((2,), 4, 0))
    with pytest.raises(ValueError, match=r"\(3, 4, 2\)"):
        emd(x._replace(particles=x.particles[..., :2]), x)
    with pytest.raises(InputError, match="negative pt, NaN"):
        emd(jet([np.nan, 0, 0]), jet([1, 0, 0]))
    with pytest.raises(InputError, match="negative pt, NaN"):
        emd(jet([-1, 0, 0]), jet([1, 0, 0]))
