"""The fit loop on small problems whose answers are known."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.training import Config, fit, gradient_step
from jetvae_jax.training.progress import StartUp
from jetvae_jax.training.step import optimizer

TRUTH = np.array([1.5, -2.0, 0.5], np.float32)


def line(num_rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_rows, 3)).astype(np.float32)
    return {"x": x, "y": x @ TRUTH}


def squared_error(params, key, batch):
    noise = 1e-3 * jax.random.normal(key, batch["y"].shape)
    error = jnp.square(batch["x"] @ params["w"] - batch["y"] + noise)
    return error, {"error": error, "twice": 2 * error}


def make_step(loss_fn=squared_error, tx=None):
    def init(key):
        return {"w": jax.random.normal(key, (3,))}

    return gradient_step(loss_fn, init, tx or optax.adam(1e-2))


def run(tmp_path=None, step=None, seed=0, settings=None, on_epoch=None, **changes):
    changes = {"num_epochs": 5, "batch_size": 32, "save_seconds": 0.0} | changes
    return fit(
        step or make_step(),
        jax.random.key(seed),
        line(200, 1),
        line(70, 2),
        config=Config(**changes),
        state_path=tmp_path and tmp_path / "state.npz",
        settings=settings,
        on_epoch=on_epoch,
    )


def test_finds_the_known_answer():
    result = run(num_epochs=200, patience=200)
    np.testing.assert_allclose(result.params["w"], TRUTH, atol=2e-3)
    assert result.history[-1]["train/loss"] < 1e-4 < result.history[0]["train/loss"]


def test_same_seed_same_bits_and_other_seed_other_bits():
    first, second, other = run(), run(), run(seed=1)
    np.testing.assert_array_equal(first.params["w"], second.params["w"])
    assert np.any(first.params["w"] != other.params["w"])


def test_every_jet_is_used_once_an_epoch():
    seen = []

    def loss_fn(params, key, batch):
        jax.debug.callback(lambda rows: seen.extend(np.asarray(rows)), batch["row"])
        return jnp.square(params["w"][0]) + 0.0 * batch["row"], {}

    data = {"row": np.arange(64, dtype=np.float32)}
    config = Config(num_epochs=1, batch_size=16)
    fit(make_step(loss_fn), jax.random.key(0), data, data, config=config)
    jax.effects_barrier()
    # Once in training, once in validation, whose padding repeats the last row.
    counts = np.bincount(np.array(seen, int))
    assert set(counts[:63]) == {2}


def test_batches_and_noise_are_those_of_the_key():
    # The promise behind exact resume, and behind old states: a plain loop.
    result = run(num_epochs=3)
    init_key, order_key, noise_key, _ = jax.random.split(jax.random.key(0), 4)
    step, data = make_step(), line(200, 1)
    state, update = step.init(init_key), jax.jit(step.update)
    for epoch in range(3):
        order = jax.random.permutation(jax.random.fold_in(order_key, epoch), 200)
        noise = jax.random.fold_in(noise_key, epoch)
        for i in range(200 // 32):
            rows = np.asarray(order[32 * i : 32 * (i + 1)])
            batch = {name: jnp.asarray(values[rows]) for name, values in data.items()}
            state, _ = update(state, jax.random.fold_in(noise, i), batch)
    assert result.best_epoch == 3
    np.testing.assert_allclose(result.params["w"], state.params["w"], rtol=1e-6)


def test_validation_is_the_mean_over_all_rows():
    data = {"y": np.arange(70, dtype=np.float32)}

    def loss_fn(params, key, batch):
        return batch["y"] + 0.0 * params["w"][0], {}

    config = Config(num_epochs=1, batch_size=32)
    result = fit(make_step(loss_fn), jax.random.key(0), data, data, config=config)
    assert result.history[0]["valid/loss"] == pytest.approx(34.5)


def test_resumed_equals_uninterrupted(tmp_path):
    class Killed(BaseException):
        pass

    whole = run(num_epochs=6)
    for stop_after in (1, 2, 4):

        def kill(history, stop_after=stop_after):
            if len(history) == stop_after:
                raise Killed

        with pytest.raises(Killed):
            run(tmp_path, num_epochs=6, on_epoch=kill)
    resumed = run(tmp_path, num_epochs=6)
    np.testing.assert_array_equal(resumed.params["w"], whole.params["w"])
    losses = [row["valid/loss"] for row in resumed.history]
    assert losses == [row["valid/loss"] for row in whole.history]
    again = run(tmp_path, num_epochs=6)
    np.testing.assert_array_equal(again.params["w"], whole.params["w"])


def test_other_settings_are_refused_by_name(tmp_path):
    run(tmp_path, settings={"model": {"latent_dim": 3}})
    with pytest.raises(InputError, match=r"model\.latent_dim: 3 there, 4 here"):
        run(tmp_path, settings={"model": {"latent_dim": 4}})


@pytest.mark.parametrize("size", [1, 8, 32])
def test_microbatches_have_the_gradient_of_the_batch_and_draws_of_their_own(size):
    batch, key, w = line(32, 3), jax.random.key(4), np.ones(3, np.float32)

    def loss_fn(params, key, batch):
        error = jnp.square(batch["x"] @ params["w"] - batch["y"])
        draw = jnp.full(error.shape, jax.random.normal(key))
        return error, {"error": error, "draw": draw}

    step = gradient_step(
        loss_fn, lambda key: {"w": w}, optax.sgd(0.1), microbatch_size=size
    )
    state, terms = jax.jit(step.update)(step.init(key), key, batch)
    x, error = batch["x"].astype(float), batch["x"].astype(float) @ (w - TRUTH)
    expected = w - 0.1 * 2 * x.T @ error / 32
    np.testing.assert_allclose(state.params["w"], expected, rtol=1e-5)
    np.testing.assert_allclose(terms["error"], np.mean(error**2), rtol=1e-5)
    keys = (
        [key] if size == 32 else [jax.random.fold_in(key, i) for i in range(32 // size)]
    )
    draws = [float(jax.random.normal(key)) for key in keys]
    assert float(terms["draw"]) == pytest.approx(np.mean(draws), abs=1e-6)


def test_early_stopping_keeps_the_best():
    def loss_fn(params, key, batch):
        # Descent on -w^2 walks away from zero: the first epoch is the best.
        size = jnp.square(params["w"][0]) + 0.0 * batch["y"]
        return -size, {"size": size}

    step = make_step(loss_fn)
    result = run(step=step, num_epochs=50, patience=3, monitor="size")
    assert result.best_epoch == 1 and len(result.history) == 4


def test_nan_names_step_and_term():
    def loss_fn(params, key, batch):
        bad = jnp.where(batch["row"] == 77, jnp.nan, 1.0)
        return jnp.sum(params["w"]) * bad, {"fine": jnp.ones_like(bad), "sick": bad}

    data = {"row": np.arange(128, dtype=np.float32)}
    config = Config(num_epochs=1, batch_size=32)
    with pytest.raises(InputError, match=r"loss, sick became NaN .* of 4 in epoch 1"):
        fit(make_step(loss_fn), jax.random.key(0), data, data, config=config)


def test_steps_are_traced_once():
    traces = []

    def loss_fn(params, key, batch):
        traces.append(batch["y"].shape)
        return squared_error(params, key, batch)

    run(step=make_step(loss_fn), num_epochs=4)
    # Two shapes: training and validation. jax traces the loop of one up to twice.
    assert set(traces) == {(32,), (500,)}
    assert traces.count((32,)) == 1 and len(traces) <= 3


@pytest.mark.parametrize("rate", [1e-2, 1e-1])
def test_finite_at_ten_times_the_rate_with_clipping(rate):
    tx = optimizer(Config(learning_rate=rate, clip_norm=1.0), num_steps=100)
    result = run(step=make_step(tx=tx), num_epochs=17)
    assert all(np.isfinite(list(row.values())).all() for row in result.history)


def test_a_microbatch_divides_the_batch():
    with pytest.raises(InputError, match=r"^microbatch_size: must divide batch_size"):
        Config(batch_size=100, microbatch_size=30)


def test_wrong_settings_give_one_line():
    with pytest.raises(InputError, match="fewer than batch_size = 500"):
        run(batch_size=500)
    with pytest.raises(InputError, match=r"monitor = 'los'.*choose one of error, loss"):
        run(monitor="los")
    with pytest.raises(InputError, match=r"^batch_size: must be positive, got 0"):
        Config(batch_size=0)


def test_cosine_schedule_ends_at_one_percent():
    config = Config(learning_rate=1e-2, schedule="cosine", warmup_steps=10)
    tx = optimizer(config, num_steps=100)
    params = {"w": jnp.ones(3)}
    state, update = tx.init(params), jax.jit(tx.update)
    sizes = []
    for _ in range(100):
        updates, state = update({"w": jnp.ones(3)}, state, params)
        sizes.append(-float(updates["w"][0]))
    # Adam's update under a constant gradient equals the learning rate.
    assert sizes[0] < 1e-6
    assert max(sizes) == pytest.approx(1e-2, rel=1e-3)
    assert sizes[-1] == pytest.approx(1e-4, rel=0.1)


def test_average_is_the_running_mean_of_the_parameters():
    step = gradient_step(
        squared_error, lambda key: {"w": jnp.zeros(3)}, optax.sgd(0.1), averaging=0.5
    )
    state = step.init(jax.random.key(0))
    mean = np.zeros(3)
    batch = jax.tree.map(jnp.asarray, line(32, 1))
    for t in range(6):
        state, _ = jax.jit(step.update)(state, jax.random.key(t), batch)
        decay = min(0.5, (1 + t) / (10 + t))
        mean = decay * mean + (1 - decay) * np.asarray(state.params["w"], np.float64)
    np.testing.assert_allclose(state.eval_params["w"], mean, rtol=1e-5)
    assert np.any(np.abs(state.params["w"] - mean) > 1e-3)


def test_saved_state_is_never_of_a_diverged_step(tmp_path):
    def loss_fn(params, key, batch):
        return jnp.square(params["w"][0] * 1e10) * batch["y"], {}

    step = make_step(loss_fn, optax.sgd(1e6))
    with pytest.raises(InputError, match="last good state"):
        run(tmp_path, step=step, num_epochs=50)
    if (tmp_path / "state.npz").exists():
        for name, value in np.load(tmp_path / "state.npz").items():
            assert value.dtype != np.float32 or np.isfinite(value).all(), name


def test_rmsprop_and_adam_with_other_decays():
    # Their first two steps by hand: RMSProp starts its mean square at zero, as PyTorch.
    rate, gradient = 0.1, np.array([3.0, -0.5])

    def moves(**changes):
        tx = optimizer(Config(learning_rate=rate, **changes), num_steps=10)
        params = jnp.zeros(2)
        state, found = tx.init(params), []
        for g in (gradient, 2 * gradient):
            updates, state = tx.update(jnp.asarray(g), state, params)
            found.append(np.asarray(updates))
        return found

    first, second = moves(optimizer="rmsprop", beta2=0.9)
    np.testing.assert_allclose(first, -rate * np.sign(gradient) / 0.1**0.5, rtol=1e-5)
    square = (0.9 * 0.1 + 0.1 * 4) * gradient**2
    np.testing.assert_allclose(second, -rate * 2 * gradient / square**0.5, rtol=1e-5)
    _, second = moves(beta1=0.0, beta2=0.5)  # no memory of the first gradient
    square = (0.5 * 0.5 + 0.5 * 4) / (1 - 0.5**2) * gradient**2
    np.testing.assert_allclose(second, -rate * 2 * gradient / square**0.5, rtol=1e-5)


def test_only_the_first_start_of_a_process_says_what_was_before(monkeypatch, caplog):
    monkeypatch.setattr(StartUp, "_first", True)
    found = []
    for name in ("first", "second"):
        caplog.clear()
        start = StartUp(name)
        start.ended("trace")
        with caplog.at_level("INFO"):
            start.first_step()
            start.first_step()
        (line,) = caplog.messages
        found.append(json.loads(line.partition("[s] ")[2]))
    assert set(found[1]) == {"trace", "compile and first step"}
    assert set(found[0]) - set(found[1]) <= {"before"}
    if sys.platform == "linux":
        assert found[0]["before"] > 0
