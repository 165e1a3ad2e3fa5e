"""Several trainings at once are those of one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_training import TRUTH, line, make_step

from jetvae_jax.core.errors import InputError
from jetvae_jax.training import Config, fit
from jetvae_jax.training.ensemble import fit_ensemble

KEYS = jax.vmap(jax.random.key)(jnp.arange(3))
CONFIG = Config(num_epochs=4, batch_size=32)


def test_members_are_the_trainings_of_their_keys():
    data = line(200, 1)
    rows = np.tile(np.arange(200), (3, 1))
    found = fit_ensemble(make_step(), KEYS, data, rows, config=CONFIG, num_epochs=4)
    for i in range(3):
        alone = fit(make_step(), jax.random.key(i), data, line(70, 2), config=CONFIG)
        assert alone.best_epoch == 4
        np.testing.assert_allclose(found["w"][i], alone.params["w"], rtol=1e-5)


def test_each_member_sees_its_own_rows():
    """By least squares of a bootstrap in closed form: no noise in the loss."""

    def loss(params, key, batch):
        error = jnp.square(batch["x"] @ params["w"] - batch["y"])
        return error, {"error": error}

    rng = np.random.default_rng(0)
    data = line(96, 1)
    data["y"] = (data["y"] + rng.normal(size=96)).astype(np.float32)
    rows = rng.integers(0, 96, (3, 96))
    step = make_step(loss)
    found = fit_ensemble(step, KEYS, data, rows, config=CONFIG, num_epochs=400)
    spread = []
    for i, own in enumerate(rows):
        exact, *_ = np.linalg.lstsq(data["x"][own], data["y"][own], rcond=None)
        np.testing.assert_allclose(found["w"][i], exact, atol=0.02)
        spread.append(exact)
    assert np.std(spread, axis=0).min() > 0.03  # which tells the members apart
    assert np.abs(np.mean(spread, axis=0) - TRUTH).max() < 0.5


def test_what_cannot_be_trained_is_one_line():
    rows = np.zeros((3, 20), int)
    with pytest.raises(InputError, match="20 training jets are fewer than batch_size"):
        fit_ensemble(make_step(), KEYS, line(50, 1), rows, config=CONFIG, num_epochs=1)
    data = line(64, 1)
    data["y"][5] = np.inf
    rows = np.tile(np.arange(32), (3, 1))
    rows[1] += 32  # the row is not in this member's sample
    with pytest.raises(InputError, match="2 of 3 members became NaN or infinite"):
        fit_ensemble(make_step(), KEYS, data, rows, config=CONFIG, num_epochs=1)
