import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.types import RelativeJets
from jetvae_jax.observables.substructure import subjets, substructure


def make(shape, num_particles, seed):
    """Jets of a few prongs; NaN in the padding."""
    rng = np.random.default_rng(seed)
    prongs = rng.normal(scale=0.2, size=(*shape, 3, 2))
    member = rng.integers(0, 3, (*shape, num_particles))
    angles = np.take_along_axis(prongs, member[..., None], axis=-2)
    angles += rng.normal(scale=0.05, size=angles.shape)
    pt = rng.exponential(size=member.shape) ** 2 / num_particles
    count = rng.integers(4, num_particles + 1, shape)
    mask = np.arange(num_particles) < count[..., None]
    particles = np.concatenate([pt[..., None], angles], axis=-1).astype(np.float32)
    return RelativeJets(np.where(mask[..., None], particles, np.nan), mask)


def jet(*particles):
    """One jet of 12 places: few shapes, few compilations."""
    padded = np.full((12, 3), np.nan, np.float32)
    padded[: len(particles)] = particles
    return RelativeJets(padded, np.arange(12) < len(particles))


def four(p):
    pt, eta, phi = p
    mass_shell = pt * np.cosh(eta)
    return np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), mass_shell])


def direction(v):
    return 0.5 * np.log((v[3] + v[2]) / (v[3] - v[2])), np.arctan2(v[1], v[0])


def reference_axes(particles, number):
    """Exclusive kT in float64 by the book: lists, all pairs at each step."""
    left = [four(p) for p in particles]
    while len(left) > number:

        def distance(pair, left=left):
            a, b = (left[k] for k in pair)
            gap = np.subtract(direction(a), direction(b))
            return min(np.hypot(*a[:2]), np.hypot(*b[:2])) ** 2 * (gap @ gap)

        i, j = min(itertools.combinations(range(len(left)), 2), key=distance)
        left = [v for k, v in enumerate(left) if k not in (i, j)] + [left[i] + left[j]]
    return [direction(v) for v in left]


def reference(particles, beta, radius):
    pt, angles = particles[:, 0], particles[:, 1:]
    z = pt / pt.sum()
    found = {}
    for n in (1, 2, 3):
        axes = reference_axes(particles, n)
        near = [min(np.hypot(*(x - a)) for a in axes) for x in angles]
        found[f"tau{n}"] = sum(z * (np.array(near) / radius) ** beta)

    def far(*pairs):
        return np.prod([np.hypot(*(angles[i] - angles[j])) ** beta for i, j in pairs])

    some = range(len(z))
    found["e2"] = sum(
        z[i] * z[j] * far((i, j)) for i, j in itertools.combinations(some, 2)
    )
    found["e3"] = sum(
        z[i] * z[j] * z[k] * far((i, j), (i, k), (j, k))
        for i, j, k in itertools.combinations(some, 3)
    )
    return found | {
        "tau21": found["tau2"] / found["tau1"],
        "tau32": found["tau3"] / found["tau2"],
        "c2": found["e3"] / found["e2"] ** 2,
        "d2": found["e3"] / found["e2"] ** 3,
        "width": sum(z * np.hypot(*angles.T)),
        "ptd": np.sqrt(sum(pt**2)) / sum(pt),
        "multiplicity": len(pt),
    }


JETS = make((24,), 12, 0)
run = jax.jit(substructure, static_argnames=("beta", "radius"))


@pytest.mark.optimised
@pytest.mark.parametrize(
    ("beta", "radius"),
    [
        (1.0, 0.8),
        pytest.param(2.0, 0.4, marks=pytest.mark.slow),
        pytest.param(1.5, 1.0, marks=pytest.mark.slow),
    ],
)
def test_as_the_definitions_in_float64(beta, radius):
    found = run(JETS, beta=beta, radius=radius)
    for k in range(24):
        particles = JETS.particles[k][JETS.mask[k]].astype(float)
        for name, expected in reference(particles, beta, radius).items():
            got = found[name][k]
            assert got == pytest.approx(expected, rel=2e-4, abs=1e-6), (name, k)
    assert set(found) == set(reference(np.eye(4)[:, :3] + 0.1, 1, 1))


def test_two_particles_by_hand():
    # z = 1/4, 3/4, 0.4 apart; the axis is close to the weighted mean.
    found = run(jet([0.25, 0.3, 0], [0.75, -0.1, 0]), radius=1.0)
    assert found["e2"] == pytest.approx(0.4 * 3 / 16, rel=1e-5)
    assert found["width"] == pytest.approx(0.15, rel=1e-5)
    assert found["ptd"] == pytest.approx(np.sqrt(10) / 4, rel=1e-5)
    assert found["tau1"] == pytest.approx(0.15, rel=0.02)
    for name in ("tau2", "tau3", "tau21", "tau32", "e3", "c2", "d2"):
        assert found[name] == 0, name


def test_equilateral_triangle_by_hand():
    corners = 0.1 * np.array([[1, 0], [-0.5, np.sqrt(0.75)], [-0.5, -np.sqrt(0.75)]])
    found = run(jet(*[[0.2, *c] for c in corners]))
    side = 0.1 * np.sqrt(3)
    assert found["e2"] == pytest.approx(side / 3, rel=1e-5)
    assert found["e3"] == pytest.approx(side**3 / 27, rel=1e-5)
    assert found["c2"] == pytest.approx(side / 3, rel=1e-5)
    assert found["d2"] == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_tau_is_zero_for_as_many_particles_as_axes(number):
    found = run(
        make((24,), 12, 1)._replace(mask=np.arange(12) < np.full((24, 1), number))
    )
    for n in (1, 2, 3):
        assert ((np.asarray(found[f"tau{n}"]) > 0) == (number > n)).all()
    assert all(np.isfinite(v).all() for v in found.values())


def test_prongs_are_found():
    rng = np.random.default_rng(2)
    centres = np.array([[0.3, 0], [-0.2, 0.3], [-0.2, -0.3]])
    for number in (1, 2, 3):
        angles = np.repeat(centres[:number], 4, axis=0) + rng.normal(
            0, 0.01, (4 * number, 2)
        )
        particles = np.concatenate(
            [rng.uniform(0.5, 1, (4 * number, 1)), angles], axis=1
        )
        found_in = jet(*particles)
        found = run(found_in)
        if number > 1:
            assert found[f"tau{number}{number - 1}"] < 0.1
            owner = np.asarray(subjets(np.nan_to_num(found_in.particles))[number - 1])
            owner = owner[: 4 * number]
            assert (owner.reshape(number, 4) == owner[::4, None]).all()
            assert len(np.unique(owner)) == number
        if number < 3:
            assert found[f"tau{number + 1}{number}"] > 0.3


def test_empty_jet_is_zero():
    found = run(JETS._replace(mask=np.zeros_like(JETS.mask)))
    assert all((np.asarray(v) == 0).all() for v in found.values())


def test_padding_order_and_scale_do_not_matter():
    found = run(JETS)
    cut = [
        run(RelativeJets(p[m], m[m]))
        for p, m in zip(JETS.particles[:2], JETS.mask[:2], strict=True)
    ]
    order = np.random.default_rng(3).permutation(12)
    mixed = run(RelativeJets(JETS.particles[:, order], JETS.mask[:, order]))
    scaled = JETS._replace(particles=JETS.particles * np.float32([1000, 1, 1]))
    scaled = run(scaled)
    for name, values in found.items():
        np.testing.assert_allclose(mixed[name], values, rtol=1e-4)
        np.testing.assert_allclose(scaled[name], values, rtol=1e-4)
        for k in range(2):
            np.testing.assert_allclose(cut[k][name], values[k], rtol=1e-4)


def test_jit_vmap_and_leading_axes():
    plain = run(JETS)
    folded = jax.tree.map(lambda v: v.reshape(4, 6, *v.shape[1:]), JETS)
    for found in (
        jax.jit(substructure)(folded),
        jax.jit(jax.vmap(substructure))(folded),
    ):
        for name, values in plain.items():
            np.testing.assert_allclose(found[name].reshape(24), values, rtol=1e-4)


def test_gradients_are_finite_and_right():
    names = ["tau1", "tau2", "tau3", "e2", "e3", "c2", "d2", "width", "ptd"]

    def total(particles):
        found = run(JETS._replace(particles=particles))
        return sum(jnp.sum(found[name]) for name in names)

    gradient = np.asarray(jax.jit(jax.grad(total))(JETS.particles))
    assert np.isfinite(gradient).all()
    assert (gradient[~JETS.mask] == 0).all()
    rng = np.random.default_rng(4)
    step = np.where(JETS.mask[..., None], rng.normal(size=gradient.shape), 0)
    step[..., 0] *= np.nan_to_num(JETS.particles[..., 0])

    def exact(jets):
        pairs = zip(jets, JETS.mask, strict=True)
        found = [reference(p[m].astype(float), 1.0, 0.8) for p, m in pairs]
        return sum(each[name] for each in found for name in names)

    up, down = (exact(JETS.particles + s * step) for s in (1e-6, -1e-6))
    assert np.sum(gradient * step) == pytest.approx((up - down) / 2e-6, rel=1e-3)


@pytest.mark.optimised
@pytest.mark.slow
@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_gradients_of_degenerate_jets_are_finite(beta):
    def total(particles, mask):
        found = substructure(RelativeJets(particles, mask), beta=beta)
        return sum(jnp.sum(v) for n, v in found.items() if n != "multiplicity")

    gradient = jax.jit(jax.grad(total))
    coincident = np.full((12, 3), 0.1, np.float32)
    for mask in (np.ones(12, bool), np.arange(12) < 1, np.zeros(12, bool)):
        for particles in (coincident, np.zeros_like(coincident)):
            assert np.isfinite(gradient(particles, mask)).all()


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(24, 12, 2\)"):
        run(JETS._replace(particles=JETS.particles[..., :2]))
    with pytest.raises(ValueError, match=r"\(24, 11\)"):
        run(JETS._replace(mask=JETS.mask[:, 1:]))
