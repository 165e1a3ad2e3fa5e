"""Four-momenta against float64 and against what physics demands."""

import inspect
import types

import jax
import numpy as np
import pytest

from jetvae_jax.core import kinematics

# In one piece each; the last test calls them operation by operation, too.
compiled = types.SimpleNamespace(
    **{
        name: jax.jit(function)
        for name, function in vars(kinematics).items()
        if inspect.isfunction(function) and function.__module__ == kinematics.__name__
    }
)
SUMS = ("jet_mass", "jet_pt", "jet_energy", "jet_momentum", "jet_pt_eta_phi")


@jax.jit
def sums(p, mask=None):
    return {name: getattr(kinematics, name)(p, mask) for name in SUMS}


@jax.jit
def gradients_of_sums(p, mask):
    def total(name):
        return lambda p: getattr(kinematics, name)(p, mask).sum()

    return {name: jax.grad(total(name))(p) for name in SUMS}


def jets(num_jets=200, num_particles=30, pt=1000.0, eta=2.4, width=0.1, seed=0):
    """Collimated massless particles, ``[J, N, 3]`` float64 GeV."""
    rng = np.random.default_rng(seed)
    share = rng.exponential(size=(num_jets, num_particles))
    share /= share.sum(1, keepdims=True)
    pt = pt * share
    eta = eta + rng.normal(scale=width, size=pt.shape)
    phi = rng.uniform(-np.pi, np.pi, (num_jets, 1)) + rng.normal(
        scale=width, size=pt.shape
    )
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)


def exact_mass(p):
    """sqrt(E^2 - P^2) of massless particles in extended precision."""
    p = p.astype(np.longdouble)
    energy = np.sqrt(np.square(p).sum(-1)).sum(-1)
    squared = energy**2 - np.square(p.sum(-2)).sum(-1)
    return np.sqrt(np.maximum(squared, 0)).astype(np.float64)


def boost(p, direction, rapidity):
    """Massless momenta seen from a frame that moves along a unit vector."""
    energy = np.linalg.norm(p, axis=-1, keepdims=True)
    along = p @ direction
    moved = np.sinh(rapidity) * energy[..., 0] + (np.cosh(rapidity) - 1) * along
    return p + moved[..., None] * direction


@pytest.mark.optimised
@pytest.mark.parametrize("eta", [0.0, 2.4, -2.4])
def test_float32_mass_at_one_tev(eta):
    p = jets(eta=eta).astype(np.float32)
    mass = compiled.jet_mass(p)
    np.testing.assert_allclose(mass, exact_mass(p), rtol=1e-6)


@pytest.mark.optimised
def test_float32_mass_of_a_narrow_jet():
    # m/E of 1e-3: the squares differ in the sixth digit, float32 has seven.
    p = jets(width=1e-3).astype(np.float32)
    np.testing.assert_allclose(compiled.jet_mass(p), exact_mass(p), rtol=1e-3)


@pytest.mark.optimised
def test_mass_is_invariant_under_boosts_and_rotations():
    p = jets(20, eta=0.5)
    mass = exact_mass(p)
    rng = np.random.default_rng(1)
    for rapidity in (0.3, -1.0, 2.0):
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        moved = boost(p, direction, rapidity).astype(np.float32)
        np.testing.assert_allclose(compiled.jet_mass(moved), mass, rtol=1e-4)
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turned = (p @ turn).astype(np.float32)
        np.testing.assert_allclose(compiled.jet_mass(turned), mass, rtol=1e-5)


@pytest.mark.optimised
@pytest.mark.parametrize("energy", [1e-2, 1.0, 1e3])
def test_back_to_back_particles_weigh_twice_the_energy(energy):
    rng = np.random.default_rng(2)
    p = rng.normal(size=(10, 3))
    p *= energy / np.linalg.norm(p, axis=1, keepdims=True)
    pair = np.stack([p, -p], 1).astype(np.float32)
    np.testing.assert_allclose(compiled.jet_mass(pair), 2 * energy, rtol=1e-6)


def test_two_particles_at_an_angle():
    for angle in (1e-3, 0.1, 1.0, 3.0):
        p = np.array([[50, 0, 0], [20 * np.cos(angle), 20 * np.sin(angle), 0]])
        mass = compiled.jet_mass(p.astype(np.float32))
        exact = np.sqrt(2 * 50 * 20) * np.sqrt(2) * np.sin(angle / 2)
        np.testing.assert_allclose(mass, exact, rtol=1e-4)


def test_one_particle_has_no_mass_and_no_gradient():
    rng = np.random.default_rng(3)
    p = np.zeros((50, 4, 3), np.float32)
    p[:, 0] = rng.normal(scale=300, size=(50, 3))
    mask = np.tile([True, False, False, False], (50, 1))
    for given in (None, mask):
        step = jax.jit(
            jax.value_and_grad(lambda p, m=given: kinematics.jet_mass(p, m).sum())
        )
        value, grad = step(p)
        assert value == 0
        assert np.all(np.array(grad) == 0)


def test_empty_jet_is_zero_everywhere_with_finite_gradients():
    p = np.zeros((2, 3, 3), np.float32)
    for name in ("jet_mass", "jet_mass_squared", "jet_pt", "jet_energy"):
        function = getattr(kinematics, name)
        step = jax.jit(jax.value_and_grad(lambda p, f=function: f(p).sum()))
        value, grad = step(p)
        assert value == 0, name
        assert np.all(np.array(grad) == 0), name
    assert np.all(np.array(compiled.jet_pt_eta_phi(p)) == 0)
    grad = jax.jit(jax.grad(lambda p: kinematics.to_pt_eta_phi(p).sum()))(p)
    assert np.all(np.isfinite(grad))


def test_mass_gradient_against_finite_differences():
    p = jets(3, 6, pt=100.0, eta=0.3, width=0.3)
    grad = jax.jit(jax.grad(lambda p: compiled.jet_mass(p).sum()))(p.astype(np.float32))
    direction = np.random.default_rng(4).normal(size=p.shape)
    up, down = (exact_mass(p + h * direction).sum() for h in (1e-4, -1e-4))
    slope = np.sum(np.asarray(grad, np.float64) * direction)
    np.testing.assert_allclose(slope, (up - down) / 2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "junk", [pytest.param(0.0, marks=pytest.mark.slow), np.nan, 1e20]
)
def test_masked_particles_never_contribute(junk):
    p = jets(5, 8).astype(np.float32)
    mask = np.arange(8) < np.array([[8], [5], [3], [1], [0]])
    spoilt = np.where(mask[..., None], p, junk).astype(np.float32)
    alone = [sums(p[b, :n]) for b, n in enumerate(mask.sum(1))]
    values, gradients = sums(spoilt, mask), gradients_of_sums(spoilt, mask)
    scale = 1e-6 * np.abs(p).sum()
    for name in SUMS:
        for b in range(5):
            np.testing.assert_allclose(
                values[name][b], alone[b][name], rtol=2e-5, atol=scale
            )
        grad = np.asarray(gradients[name])
        assert np.all(np.isfinite(grad)), name
        assert np.all(grad[~mask] == 0), name
    assert np.array_equal(compiled.multiplicity(mask), [8, 5, 3, 1, 0])


def test_what_is_no_number_stays_in_its_jet():
    p = jets(3, 4).astype(np.float32)
    p[1, 2, 0] = np.nan
    for name in ("jet_mass", "jet_pt", "jet_energy"):
        found = np.isnan(getattr(compiled, name)(p))
        assert found.tolist() == [False, True, False], name


def test_jet_sums_against_float64():
    p = jets(20)
    total = p.sum(1)
    q = p.astype(np.float32)
    np.testing.assert_allclose(compiled.jet_momentum(q), total, rtol=1e-5)
    energy = np.linalg.norm(p, axis=-1).sum(-1)
    np.testing.assert_allclose(compiled.jet_energy(q), energy, rtol=1e-6)
    pt = np.hypot(total[:, 0], total[:, 1])
    np.testing.assert_allclose(compiled.jet_pt(q), pt, rtol=1e-6)
    axis = np.array(compiled.jet_pt_eta_phi(q))
    np.testing.assert_allclose(axis[:, 0], pt, rtol=1e-6)
    np.testing.assert_allclose(axis[:, 1], np.arcsinh(total[:, 2] / pt), rtol=1e-5)
    phi = np.arctan2(total[:, 1], total[:, 0])
    np.testing.assert_allclose(axis[:, 2], phi, rtol=1e-5, atol=1e-6)


@pytest.mark.optimised
def test_pt_eta_phi_round_trips():
    rng = np.random.default_rng(5)
    q = np.stack(
        [
            10 ** rng.uniform(-2, 3.5, 500),
            rng.uniform(-6, 6, 500),
            rng.uniform(-3.14, 3.14, 500),
        ],
        -1,
    ).astype(np.float32)
    p = compiled.from_pt_eta_phi(q)
    exact = q[:, 0].astype(np.float64)[:, None] * np.stack(
        [np.cos(q[:, 2]), np.sin(q[:, 2]), np.sinh(q[:, 1])], -1
    )
    error = np.abs(p - exact).max(-1) / np.linalg.norm(exact, axis=-1)
    assert error.max() < 2e-6
    np.testing.assert_allclose(compiled.to_pt_eta_phi(p), q, rtol=1e-5, atol=2e-6)


@pytest.mark.optimised
def test_relative_round_trip_and_phi_seam():
    p = jets(50, eta=1.0).astype(np.float32)
    p[:, -3:] = 0  # padding
    axis = compiled.jet_pt_eta_phi(p)
    # Jets next to the seam: their particles lie on both sides of it.
    phi = np.linspace(3.0, 3.3, 50)
    turn = phi - np.array(axis[:, 2])
    turned = p.copy()
    turned[..., 0] = (
        p[..., 0] * np.cos(turn)[:, None] - p[..., 1] * np.sin(turn)[:, None]
    )
    turned[..., 1] = (
        p[..., 0] * np.sin(turn)[:, None] + p[..., 1] * np.cos(turn)[:, None]
    )
    here, there = (
        np.array(compiled.to_relative(q, compiled.jet_pt_eta_phi(q)))
        for q in (p, turned)
    )
    assert np.abs(there[..., 2]).max() < 1
    np.testing.assert_allclose(there, here, atol=1e-5)
    assert np.all(here[:, -3:] == 0)
    pt = np.hypot(p[..., 0], p[..., 1])
    jet = p.sum(1)
    expected = pt / np.hypot(jet[:, 0], jet[:, 1])[:, None]
    np.testing.assert_allclose(here[..., 0], expected, rtol=1e-5)


def test_frame_keeps_pt_and_moves_the_jet_to_x():
    p = jets(20, eta=-1.7)
    axis = np.array(compiled.jet_pt_eta_phi(p.astype(np.float32)))
    q = np.array(compiled.to_frame(p.astype(np.float32), axis))
    np.testing.assert_allclose(
        np.hypot(q[..., 0], q[..., 1]), np.hypot(p[..., 0], p[..., 1]), rtol=1e-4
    )
    eta = np.arcsinh(p[..., 2] / np.hypot(p[..., 0], p[..., 1])) - axis[:, None, 1]
    moved = np.arcsinh(q[..., 2] / np.hypot(q[..., 0], q[..., 1]))
    np.testing.assert_allclose(moved, eta, atol=1e-4)
    mass = exact_mass(p)
    np.testing.assert_allclose(compiled.jet_mass(q), mass, rtol=1e-4)
    jet = q.sum(1)
    assert np.all(np.abs(np.arctan2(jet[:, 1], jet[:, 0])) < 1e-5)


@pytest.mark.parametrize("name", ["jet_mass", "jet_pt", "to_pt_eta_phi"])
def test_plain_jit_and_vmap_agree(name):
    function = getattr(kinematics, name)
    p = jets(6, 5).astype(np.float32)
    plain = function(p)
    np.testing.assert_allclose(jax.jit(function)(p), plain, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(function))(p), plain, rtol=2e-5, atol=1e-6
    )
    lead = p.reshape(2, 3, 5, 3)
    np.testing.assert_allclose(
        np.reshape(jax.jit(function)(lead), plain.shape), plain, rtol=2e-5, atol=1e-6
    )
