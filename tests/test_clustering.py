"""Anti-kT clustering, against a loop in float64 and FastJet."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.types import RelativeJets
from jetvae_jax.observables.clustering import outside_share

RADIUS = 0.45


def wide_jets(number=60, size=9, seed=0):
    """Jets whose particles lie within and beyond the radius; some are padding."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(size=(number, size)) ** 2
    angles = rng.normal(scale=0.25, size=(number, size, 2))
    mask = rng.random((number, size)) < 0.8
    particles = np.concatenate([pt[..., None], angles], -1).astype(np.float32)
    return RelativeJets(particles, mask)


def loop(particles, mask, radius):
    """The definition, particle by particle."""
    left = []
    for pt, eta, phi in particles[mask].astype(float):
        left.append(np.array([pt * math.cos(phi), pt * math.sin(phi),
                              pt * math.sinh(eta), pt * math.cosh(eta)]))  # fmt: skip
    if not left:
        return 0.0
    whole, found = math.hypot(*sum(left)[:2]), []
    while left:
        kt = [math.hypot(p[0], p[1]) for p in left]
        y = [0.5 * math.log((p[3] + p[2]) / (p[3] - p[2])) for p in left]
        phi = [math.atan2(p[1], p[0]) for p in left]
        options = [(kt[i] ** -2, i, None) for i in range(len(left))]
        for i in range(len(left)):
            for j in range(i):
                turn = abs(phi[i] - phi[j])
                turn = min(turn, 2 * math.pi - turn)
                far = ((y[i] - y[j]) ** 2 + turn**2) / radius**2
                options.append((min(kt[i] ** -2, kt[j] ** -2) * far, i, j))
        _, i, j = min(options, key=lambda option: option[0])
        if j is None:
            found.append(kt[i])
            left.pop(i)
        else:
            left[j] = left[j] + left[i]
            left.pop(i)
    return 1 - max(found) / whole


def test_as_the_definition():
    jets = wide_jets()
    found = jax.jit(functools.partial(outside_share, radius=RADIUS))(jets)
    expected = [loop(p, m, RADIUS) for p, m in zip(*jets, strict=True)]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert 0.1 < np.mean(np.array(expected) > 0.005) < 0.9  # both kinds


def test_as_fastjet():
    fastjet = pytest.importorskip("fastjet")
    jets = wide_jets(40, 30, seed=1)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS)
    expected = []
    for particles, mask in zip(*jets, strict=True):
        pt, eta, phi = particles[mask].astype(float).T
        four = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta),
                         pt * np.cosh(eta)], -1)  # fmt: skip
        sequence = fastjet.ClusterSequence(
            [fastjet.PseudoJet(*p) for p in four.tolist()], definition
        )
        hardest = max(jet.pt() for jet in sequence.inclusive_jets())
        expected.append(1 - hardest / np.hypot(*four.sum(0)[:2]))
    found = jax.jit(functools.partial(outside_share, radius=RADIUS))(jets)
    np.testing.assert_allclose(found, expected, atol=5e-6)


def test_two_particles_are_one_jet_below_the_radius():
    for apart, expected in ((0.44, 0.0), (0.46, 1 / 3)):
        particles = jnp.array([[2.0, 0.0, 0.0], [1.0, apart, 0.0]])
        jet = RelativeJets(particles, jnp.ones(2, bool))
        share = outside_share(jet, radius=RADIUS)
        assert float(share) == pytest.approx(expected, abs=1e-6)


def test_padding_boosts_and_turns_change_nothing():
    jets = wide_jets(20)
    find = jax.jit(functools.partial(outside_share, radius=RADIUS))
    share = find(jets)
    junk = np.where(jets.mask[..., None], jets.particles, np.nan)
    np.testing.assert_array_equal(find(jets._replace(particles=junk)), share)
    moved = jets.particles + np.float32([0, 0.4, -0.3])
    np.testing.assert_allclose(find(jets._replace(particles=moved)), share, atol=3e-6)
    none = jets._replace(mask=np.zeros_like(jets.mask))
    assert np.all(np.asarray(find(none)) == 0)


def test_shapes_that_do_not_fit_are_refused():
    jets = wide_jets(2)
    with pytest.raises(ValueError, match=r"jets need particles"):
        outside_share(jets._replace(mask=jets.mask[:, :-1]), radius=RADIUS)
