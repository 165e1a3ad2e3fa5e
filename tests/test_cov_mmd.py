import jax
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.transport.coverage import cov_mmd, cov_mmd_of
from jetvae_jax.metrics.transport.dual_bound import lower_bounds
from jetvae_jax.metrics.transport.energy_mover import checked, emd


def make(num_jets, num_particles, seed, spread=0.08):
    """Jets with one to three hard prongs and varying total pt."""
    rng = np.random.default_rng(seed)
    shape = num_jets, num_particles
    prongs = rng.normal(scale=spread, size=(num_jets, 3, 2))
    angles = prongs[np.arange(num_jets)[:, None], rng.integers(0, 3, shape)]
    angles = angles + rng.normal(scale=spread / 3, size=(*shape, 2))
    pt = rng.exponential(size=shape) ** 2
    mask = (
        np.arange(num_particles) < rng.integers(1, num_particles + 1, num_jets)[:, None]
    )
    pt *= rng.uniform(0.6, 1, (num_jets, 1)) / np.sum(pt * mask, axis=-1, keepdims=True)
    particles = np.concatenate([pt[..., None], angles], axis=-1).astype(np.float32)
    return RelativeJets(np.where(mask[..., None], particles, np.nan), mask)


def brute_force(real, generated, i, j):
    """All pairs, in the orientation of jetnet's gen_metrics.py: dists[gen, real]."""
    dists = np.array(
        [
            [
                emd(
                    RelativeJets(generated.particles[b], generated.mask[b]),
                    RelativeJets(real.particles[a], real.mask[a]),
                )
                for a in i
            ]
            for b in j
        ]
    )
    cov = np.unique(np.argmin(dists, axis=1)).size / len(i)
    return cov, np.mean(np.min(dists, axis=0))


@pytest.mark.parametrize(
    "spread",
    [0.08, *(pytest.param(s, marks=pytest.mark.slow) for s in (0.02, 0.8))],
)
def test_as_all_pairs_solved(spread):
    real, generated = make(60, 6, 0, spread), make(50, 5, 1, spread)
    rng = np.random.default_rng(2)
    i, j = rng.integers(0, 60, (2, 14)), rng.integers(0, 50, (2, 14))
    cov, mmd = cov_mmd_of(real, generated, i, j)
    for s in range(2):
        expected = brute_force(real, generated, i[s], j[s])
        assert cov[s] == expected[0]
        assert mmd[s] == pytest.approx(expected[1], rel=1e-12)


@pytest.mark.slow
def test_as_all_pairs_solved_at_the_published_size():
    real, generated = make(500, 30, 3), make(500, 30, 4)
    i, j = np.random.default_rng(5).integers(0, 500, (2, 3, 100))
    cov, mmd = cov_mmd_of(real, generated, i, j)
    for s in range(3):
        expected = brute_force(real, generated, i[s], j[s])
        assert cov[s] == expected[0]
        assert mmd[s] == pytest.approx(expected[1], rel=1e-12)


def test_a_jet_drawn_twice_counts_once():
    real, generated = make(5, 6, 6), make(5, 5, 7)
    i = np.array([[0, 0, 1, 1, 0, 1]])
    cov, mmd = cov_mmd_of(real, generated, i, np.array([[0, 1, 2, 3, 4, 4]]))
    expected = brute_force(real, generated, i[0], [0, 1, 2, 3, 4, 4])
    assert cov[0] == expected[0] <= 2 / 6
    assert mmd[0] == pytest.approx(expected[1], rel=1e-12)


@pytest.mark.slow
def test_equal_jets_of_different_draws_count_once():
    """Their distances are equal, whatever the order of the solver's sums."""
    real, generated = make(5, 6, 6), make(40, 5, 7)
    copies = jax.tree.map(lambda v: np.concatenate([v] * 8), real)
    i, j = np.arange(40)[None], np.arange(40)[None]
    cov, mmd = cov_mmd_of(copies, generated, i, j)
    expected = brute_force(copies, generated, i[0], j[0])
    assert (cov[0], mmd[0]) == pytest.approx(expected, rel=1e-12)
    assert cov[0] <= 5 / 40


def test_sizes_may_differ_and_the_share_is_of_the_real_jets():
    real, generated = make(6, 6, 8), make(3, 5, 9)
    i, j = np.arange(6)[None], np.arange(3)[None]
    cov, mmd = cov_mmd_of(real, generated, i, j)
    expected = brute_force(real, generated, i[0], j[0])
    assert (cov[0], mmd[0]) == pytest.approx(expected, rel=1e-12)
    assert cov[0] <= 0.5


def test_the_same_jets_cover_everything_at_no_distance():
    jets = make(30, 6, 10)
    index = np.arange(30)[None]
    cov, mmd = cov_mmd_of(jets, jets, index, index)
    assert cov[0] == 1
    assert mmd[0] == pytest.approx(0, abs=1e-15)


def test_empty_jets_have_a_distance():
    real, generated = make(4, 6, 11), make(4, 5, 12)
    real.mask[1], generated.mask[:2] = False, False
    index = np.arange(4)[None]
    cov, mmd = cov_mmd_of(real, generated, index, index)
    expected = brute_force(real, generated, index[0], index[0])
    assert (cov[0], mmd[0]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("spread", [0.02, 0.1, 1.0])
def test_dual_bound_is_below_the_exact_distance(spread):
    x, y = make(40, 10, 13, spread), make(30, 7, 14, spread)
    x = x._replace(particles=x.particles * np.linspace(0.3, 1, 40)[:, None, None])
    p, q = checked(x), checked(y)
    bound = lower_bounds(p, p[..., 0] > 0, q, q[..., 0] > 0)
    pairs = jax.tree.map(lambda v: np.repeat(v, 30, axis=0), x)
    others = jax.tree.map(lambda v: np.tile(v, (40,) + (1,) * (v.ndim - 1)), y)
    exact = emd(pairs, others).reshape(40, 30)
    assert (bound <= exact + 1e-5 * max(1, 10 * spread)).all()
    # Not an empty statement: the bound is a large part of the distance.
    assert np.median(bound / exact) > 0.5


def test_key_decides_the_draws():
    real, generated = make(40, 6, 15), make(50, 5, 16)

    def run(seed):
        return cov_mmd(
            jax.random.key(seed), real, generated, num_jets=14, num_batches=3
        )

    first = run(0)
    assert first == run(0)
    assert first["mmd"] != run(1)["mmd"]
    assert set(first) == {"cov", "cov_std", "mmd", "mmd_std", "num_jets", "num_batches"}
    assert 0 < first["cov"] <= 1
    assert first["mmd_std"] > 0


def test_worse_jets_score_worse():
    real, good = make(100, 6, 17), make(100, 5, 18)
    wide = good._replace(particles=good.particles * np.float32([1, 3, 3]))
    draw = {"num_jets": 14, "num_batches": 4}
    key = jax.random.key(0)
    assert (
        cov_mmd(key, real, wide, **draw)["mmd"]
        > cov_mmd(key, real, good, **draw)["mmd"]
    )


def test_bad_input():
    jets, key = make(4, 3, 19), jax.random.key(0)
    none = jax.tree.map(lambda v: v[:0], jets)
    with pytest.raises(InputError, match="generated sample has no jets"):
        cov_mmd(key, jets, none)
    with pytest.raises(InputError, match="NaN"):
        cov_mmd(key, jets._replace(mask=np.ones_like(jets.mask)), jets)
    with pytest.raises(ValueError, match="num_jets 0"):
        cov_mmd(key, jets, jets, num_jets=0)
    with pytest.raises(ValueError, match=r"real.*\(3, 3\)"):
        cov_mmd(key, jax.tree.map(lambda v: v[0], jets), jets)
