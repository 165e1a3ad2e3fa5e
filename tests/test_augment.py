"""Augmentation: exact symmetries, random only from the key, inside the epoch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax import training
from jetvae_jax.core.types import Jets
from jetvae_jax.jets import augmentation
from jetvae_jax.training.step import augmented

turn_about_beam = jax.jit(augmentation.turn_about_beam)
turn_about_axis = jax.jit(augmentation.turn_about_axis)
mirror, permute = jax.jit(augmentation.mirror), jax.jit(augmentation.permute)
each = pytest.mark.parametrize(
    "augment",
    [turn_about_beam, turn_about_axis, mirror, permute],
    ids=["beam", "axis", "mirror", "permute"],
)


@pytest.fixture
def jets(make_jets):
    jets = make_jets(60, 6)
    spoiled = np.where(jets.mask[..., None], jets.particles, np.nan)
    return Jets(jnp.asarray(spoiled), jnp.asarray(jets.mask))


def existing(jets):
    p = np.asarray(jets.particles, np.float64)
    return np.where(np.asarray(jets.mask)[..., None], p, 0)


def four_momentum(jets):
    p = existing(jets)
    return np.linalg.norm(p, axis=-1).sum(1), p.sum(1)


@each
def test_mass_and_pt_stay(augment, jets):
    new = augment(jax.random.key(0), jets)
    assert np.all(np.isfinite(existing(new)))
    (e, p), (e_new, p_new) = four_momentum(jets), four_momentum(new)
    pt, pt_new = (np.hypot(*q.T[:2]) for q in (p, p_new))
    np.testing.assert_allclose(pt_new, pt, rtol=2e-6)
    mass, mass_new = (
        np.sqrt(e**2 - (p**2).sum(-1)) for e, p in ((e, p), (e_new, p_new))
    )
    np.testing.assert_allclose(mass_new, mass, rtol=1e-4)
    np.testing.assert_allclose(e_new, e, rtol=2e-6)
    np.testing.assert_allclose(p_new[:, 2], p[:, 2], atol=2e-3)


@each
def test_random_by_the_key_alone(augment, jets):
    one, two = (augment(jax.random.key(k), jets) for k in (1, 2))
    np.testing.assert_array_equal(
        existing(augment(jax.random.key(1), jets)), existing(one)
    )
    assert np.any(np.abs(existing(one) - existing(two)) > 1)
    # Each jet has a draw of its own.
    same = jax.tree.map(lambda a: np.stack([a[0]] * 40), jets)
    drawn = existing(augment(jax.random.key(1), same))
    assert len(np.unique(drawn[:, 0].round(3), axis=0)) > 1


def test_turn_about_the_beam_keeps_relative_azimuths(jets):
    new = existing(turn_about_beam(jax.random.key(3), jets))
    old = existing(jets)
    turned, before = (p[..., 0] + 1j * p[..., 1] for p in (new, old))
    total = turned.sum(1) / before.sum(1)
    np.testing.assert_allclose(turned, before * total[:, None], atol=1e-3)
    np.testing.assert_array_equal(new[..., 2], old[..., 2])
    angles = np.angle(total)
    assert np.histogram(angles, 4, (-np.pi, np.pi))[0].min() > 5


def test_turn_about_the_axis_keeps_axis_and_distances(jets):
    new, old = turn_about_axis(jax.random.key(4), jets), jets
    _, p = four_momentum(new)
    np.testing.assert_allclose(p, four_momentum(old)[1], atol=2e-3)
    # Invariant masses of all pairs, up to float32.
    pairs = []
    for p in (existing(new), existing(old)):
        energy = np.linalg.norm(p, axis=-1)
        products = energy[:, :, None] * energy[:, None] - p @ p.swapaxes(1, 2)
        pairs.append(products / np.square(energy.sum(1))[:, None, None])
    np.testing.assert_allclose(*pairs, atol=1e-6)
    assert np.abs(existing(new) - existing(old)).max() > 10


def test_mirror_takes_half_of_the_jets(make_jets):
    jets = make_jets(400, 5)
    new = existing(mirror(jax.random.key(5), jets))
    old = existing(jets)
    changed = np.abs(new - old).max((1, 2)) > 1e-2
    assert 140 < changed.sum() < 260
    axis = np.angle(old.sum(1) @ [1, 1j, 0])[:, None]
    for p in (new, old):
        assert p.shape == old.shape
    across = [np.imag((p[..., :2] @ [1, 1j]) * np.exp(-1j * axis)) for p in (new, old)]
    sign = np.where(changed, -1, 1)[:, None]
    np.testing.assert_allclose(across[0], sign * across[1], atol=1e-3)


def test_permutation_leaves_padding_behind(jets):
    shuffled = jax.tree.map(lambda a: a[:, ::-1], jets)  # padding first
    new = permute(jax.random.key(6), shuffled)
    np.testing.assert_array_equal(new.mask, jets.mask)
    old = existing(jets)
    for a, b in zip(existing(new), old, strict=True):
        np.testing.assert_array_equal(np.unique(a, axis=0), np.unique(b, axis=0))
    # Every place of a full jet gets every particle.
    p = np.broadcast_to(np.float32([[3 * i] * 3 for i in range(4)]), (3000, 4, 3))
    one = Jets(p, np.ones(p.shape[:2], bool))
    first = np.asarray(permute(jax.random.key(7), one).particles[..., 0])
    counts = [np.bincount((place / 3).astype(int), minlength=4) for place in first.T]
    assert np.all(np.abs(np.array(counts) - 750) < 120)


def test_chosen_symmetries(jets):
    assert augmentation.build(augmentation.Config()) is None
    both = augmentation.build(augmentation.Config(beam=True, permute=True))
    assert both is not None
    new = jax.jit(both)(jax.random.key(0), jets)
    np.testing.assert_allclose(
        np.sort(existing(new)[..., 2]), np.sort(existing(jets)[..., 2])
    )
    assert np.abs(existing(new)[..., 0] - existing(jets)[..., 0]).max() > 1


class Rows(NamedTuple):
    values: jax.Array


def make_step():
    """A step that learns the mean of what it sees."""

    def loss(params, key, x):
        loss = jnp.square(x - params)
        return loss, {"noise": loss * 0 + jax.random.uniform(key)}

    return training.gradient_step(loss, lambda key: jnp.zeros(()), optax.sgd(0.1))


def test_updates_see_augmented_rows_and_evaluation_does_not():
    step = augmented(make_step(), lambda key, rows: rows.values + 10)
    state = step.init(jax.random.key(0))
    state, terms = jax.jit(step.update)(state, jax.random.key(1), Rows(jnp.zeros(5)))
    np.testing.assert_allclose(state.params, 0.1 * 2 * 10)
    assert terms["loss"] == 100
    found = step.evaluate(jnp.float32(3.0), jax.random.key(2), jnp.zeros(5))
    np.testing.assert_allclose(found["loss"], 9)


def test_noise_of_step_and_augmentation_are_independent_and_reproducible():
    step = augmented(make_step(), lambda key, rows: rows * 0 + jax.random.uniform(key))
    state = step.init(jax.random.key(0))
    terms = [step.update(state, jax.random.key(k), jnp.zeros(3))[1] for k in (1, 1, 2)]
    assert terms[0] == terms[1] and terms[0]["loss"] != terms[2]["loss"]
    assert not np.isclose(np.sqrt(terms[0]["loss"]), terms[0]["noise"])


def test_fit_trains_on_rows_of_another_kind():
    # The training data are not what the step takes; the augmentation makes them so.
    step = augmented(make_step(), lambda key, rows: rows.values + 1)
    config = training.Config(num_epochs=3, batch_size=10, schedule="constant")
    result = training.fit(
        step, jax.random.key(0), Rows(jnp.ones(40)), jnp.full(20, 2.0), config=config
    )
    assert abs(float(result.params) - 2) < 0.3
