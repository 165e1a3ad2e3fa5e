"""What a discriminator must do: the page to read before adding one.

Put one file into ``jetvae_jax/discriminators/``. It defines ``Config``, a frozen
dataclass of documented fields with defaults, among them ``num_particles``,
``num_features``, ``jet_rows`` and ``num_conditions``, which follow from the data;
``USES_MASK``; and ``build(config) -> Discriminator``: pure functions over any leading
axes. Nothing else has to be edited.
"""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jetvae_jax import discriminators
from jetvae_jax.core.configs import field_help
from jetvae_jax.core.errors import InputError

N, F = 6, 3
every = pytest.mark.parametrize("name", discriminators.names())


@functools.cache
def built(name, **fields):
    module = discriminators.get(name)
    disc = module.build(module.Config(num_particles=N, num_features=F, **fields))
    disc = disc._replace(apply=jax.jit(disc.apply), features=jax.jit(disc.features))
    return disc, disc.init(jax.random.key(0))


def sets(*lead, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(*lead, N, F)).astype(np.float32)
    return x, np.arange(N) < rng.integers(1, N + 1, size=(*lead, 1))


@every
def test_config_is_frozen_and_every_field_is_explained(name):
    config = discriminators.get(name).Config()
    fields = [field.name for field in dataclasses.fields(config)]
    assert {"num_particles", "num_features", "jet_rows", "num_conditions"} <= set(
        fields
    )
    assert list(field_help(type(config))) == fields
    for field, value in (("num_features", 0), ("num_conditions", -1)):
        with pytest.raises(InputError, match=f"^{field}: "):
            dataclasses.replace(config, **{field: value})


@every
@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_any_leading_axes(name, lead):
    disc, params = built(name)
    x, mask = sets(*lead)
    logits, hidden = disc.apply(params, x, mask), disc.features(params, x, mask)
    assert logits.shape == lead
    assert hidden.shape[:-1] == lead
    first = (0,) * len(lead)
    alone = disc.apply(params, x[first], mask[first])
    np.testing.assert_allclose(alone, logits[first], atol=1e-5)
    if len(lead) == 2:
        each = jax.vmap(jax.vmap(functools.partial(disc.apply, params)))(x, mask)
        np.testing.assert_allclose(each, logits, atol=1e-5)


@every
def test_gradients_reach_every_parameter(name):
    disc, params = built(name, jet_rows=0)
    x, mask = sets(16)
    gradient = jax.jit(jax.grad(lambda p: disc.apply(p, x, mask).sum()))(params)
    for leaf in jax.tree.leaves(gradient):
        assert np.all(np.isfinite(leaf))
        assert np.any(leaf != 0)


@every
def test_conditions_and_the_rows_of_the_jet_count(name):
    disc, params = built(name, jet_rows=1, num_conditions=2)
    x, mask = np.zeros((4, N + 1, F), np.float32), np.ones((4, N + 1), bool)
    condition = np.ones((4, 2), np.float32)
    before = disc.apply(params, x, mask, condition)
    assert np.all(disc.apply(params, x, mask, 2 * condition) != before)
    x[:, 0] = 1
    assert np.all(disc.apply(params, x, mask, condition) != before)
    with pytest.raises(ValueError, match="condition has shape None, expected 2"):
        disc.apply(params, x, mask)
    with pytest.raises(ValueError, match=r"x has shape \(4, 7, 2\)"):
        disc.apply(params, x[..., :2], mask, condition)


def test_a_set_discriminator_sees_neither_order_nor_padding():
    disc, params = built("deepsets")
    x, mask = sets(5)
    logits = disc.apply(params, x, mask)
    order = np.random.default_rng(1).permutation(N)
    shuffled = disc.apply(params, x[:, order], mask[:, order])
    np.testing.assert_allclose(shuffled, logits, atol=1e-5)
    for fill in (np.nan, 1e6):
        filled = np.where(mask[..., None], x, np.float32(fill))
        np.testing.assert_array_equal(disc.apply(params, filled, mask), logits)
    kept = x[0, mask[0]]
    alone = disc.apply(params, kept, np.ones(len(kept), bool))
    np.testing.assert_allclose(alone, logits[0], atol=1e-5)
    gradient = jax.grad(lambda x: disc.apply(params, x, mask).sum())(x)
    assert np.all(gradient[~mask] == 0)
    assert np.any(gradient[mask] != 0)
    empty = disc.apply(params, x, np.zeros_like(mask))
    assert np.all(np.isfinite(empty))


def test_unknown_names_get_a_suggestion():
    with pytest.raises(InputError, match=r"discriminator: 'deepset' .*'deepsets'"):
        discriminators.get("deepset")
