"""GANs: published sizes, sets, turns of the two networks, training by the one loop."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax import models
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Task
from jetvae_jax.models import gan, vae
from jetvae_jax.training import Config, fit, model_step
from jetvae_jax.training.step import alternating_step

N, J = 5, 8
SMALL = {
    "epic_gan": {"width": 8, "whole": 4, "generator_layers": 2, "critic_layers": 1},
    "mpgan": {"pair": (6, 7), "point": (8,), "width": 5, "noise": 4},
    "mlp_gan": {"nodes": 8, "num_layers": 2, "noise": 3},
}
SETS = ("epic_gan", "mpgan")


def sets(rows=J, size=N, features=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, size, features)).astype(np.float32)
    mask = np.arange(size) < rng.integers(1, size + 1, (rows, 1))
    return Batch(x, mask, Context(np.zeros((rows, 3), np.float32)))


def task(**changes):
    settings = {"num_particles": N, "num_features": 3, "sample": lambda n: sets()}
    return Task(**settings | changes)


@functools.cache
def built(name, **settings):
    """Config, module, model and parameters of a small GAN for sets of N points."""
    module = models.get(name)
    config = vae.fill(module.Config(**SMALL[name] | settings), task().sizes)
    model = module.model(config, task())
    return config, module, model, jax.jit(model.init)(jax.random.key(0))


def number(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("name", "generator", "critic"),
    [("mpgan", 361_123, 355_617), ("epic_gan", 424_850, 313_170)],
)
@pytest.mark.parametrize("size", [30, 150])
def test_published_numbers_of_parameters(name, generator, critic, size):
    module = models.get(name)
    model = module.model(module.Config(num_particles=size), Task(size, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert number(shapes["generator"]) == generator
    assert number(shapes["critic"]) == critic


@pytest.mark.parametrize("name", SETS)
def test_generators_are_equivariant_and_critics_invariant(name):
    config, module, _, params = built(name)
    x, mask, given = *sets(3)[:2], jnp.zeros((3, 0))
    generator, critic = module.Generator(config), module.Critic(config)
    order = np.array([3, 0, 4, 2, 1])
    rng = np.random.default_rng(1)
    size = config.noise
    points = rng.normal(size=(3, N, size)).astype(np.float32)
    whole = rng.normal(size=(3, 4)).astype(np.float32)

    @jax.jit
    def generate(points, mask):
        noise = (whole, points) if name == "epic_gan" else points
        return generator.apply({"params": params["generator"]}, noise, mask, given)

    @jax.jit
    def judge(x, mask):
        return critic.apply({"params": params["critic"]}, x, mask, given, None)

    made = np.where(mask[..., None], generate(points, mask), 0)
    again = generate(points[:, order], mask[:, order])
    again = np.where(mask[:, order, None], again, 0)
    np.testing.assert_allclose(again, made[:, order], atol=1e-5)
    # Points know of each other: one of them moves, and others do.
    moved = generate(np.where(np.arange(N)[:, None] == 0, points + 1, points), mask)
    several = mask.sum(-1) > 1
    assert np.all(np.any(np.abs(moved - made)[:, 1] > 1e-6, axis=-1)[several])
    scores = judge(x, mask)
    np.testing.assert_allclose(judge(x[:, order], mask[:, order]), scores, atol=1e-5)
    for fill in (np.nan, 1e6):  # padding is not seen
        filled = np.where(mask[..., None], x, np.float32(fill))
        np.testing.assert_allclose(judge(filled, mask), scores, atol=1e-5)
    assert np.any(np.abs(judge(x + 0.5, mask) - scores) > 1e-5)


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("epic_gan", "lsgan"),
        *(
            pytest.param(name, objective, marks=pytest.mark.slow)
            for name, objective in (("mpgan", "lsgan"), *((n, "cramer") for n in SETS))
        ),
    ],
)
def test_gradients_are_finite_and_reach_every_parameter(name, objective):
    _, _, model, params = built(name, objective=objective)
    batch = sets()
    for component in ("generator", "critic"):

        def mean(own, component=component):
            losses, _ = model.loss(params | {component: own}, jax.random.key(1), batch)
            return losses[component].mean()

        found = jax.device_get(jax.jit(jax.grad(mean))(params[component]))
        for path, leaf in jax.tree_util.tree_leaves_with_path(found):
            where = jax.tree_util.keystr(path)
            assert np.all(np.isfinite(leaf)), where
            # Cramer's h differs from h alone: its last bias has no influence.
            idle = objective == "cramer" and where == "['last']['bias']"
            assert np.any(leaf != 0) or idle, where


def test_sets_have_as_many_points_as_data_or_as_asked_for():
    _, module, model, params = built("epic_gan")
    context = Context(np.zeros((4000, 3), np.float32))
    points = jax.jit(model.sample)(params, jax.random.key(3), context)
    found = np.bincount(points.mask.sum(-1), minlength=N + 1) / 4000
    expected = np.bincount(sets().mask.sum(-1), minlength=N + 1) / J
    np.testing.assert_allclose(found, expected, atol=0.04)
    assert np.all(found[expected == 0] == 0)
    assert np.all(points.x[~points.mask] == 0)

    asked = np.array([1, 4, 5, 2], np.float32)
    config = vae.fill(module.Config(**SMALL["epic_gan"]), task().sizes)
    config = vae.fill(config, {"num_conditions": 1})
    given = task(num_conditions=1, num_points=lambda c: c.condition[..., 0].astype(int))
    model = module.model(config, given)
    params = jax.jit(model.init)(jax.random.key(0))
    context = Context(np.zeros((4, 3), np.float32), asked[:, None])
    points = jax.jit(model.sample)(params, jax.random.key(3), context)
    np.testing.assert_array_equal(points.mask.sum(-1), asked)
    with pytest.raises(InputError, match=r"add multiplicity to --scaling\.conditions"):
        module.model(config, task(num_conditions=1))
    with pytest.raises(InputError, match=r"without rows for the jet .*mlp_gan"):
        module.model(config, task(jet_rows=2))
    with pytest.raises(InputError, match="--discriminator"):
        module.model(config, task(components=vae.Components(discriminator="mlp")))


def test_mpgan_takes_the_points_of_smallest_noise_and_drops_numbers_in_training():
    config, module, model, params = built("mpgan")
    noise = module.noise(config, jax.random.key(0), np.ones((500, N), bool))
    assert np.all(np.diff(noise[..., 0], axis=-1) > 0)
    assert float(noise[..., 1].std()) == pytest.approx(config.deviation, rel=0.05)
    batch = sets()
    loss = jax.jit(model.loss)
    true = [loss(params, jax.random.key(k), batch)[1]["critic_true"] for k in (1, 2)]
    assert np.any(true[0] != true[1])  # dropout
    kept = built("mpgan", dropout=0.0)
    same = jax.jit(kept[2].loss)
    true = [same(params, jax.random.key(k), batch)[1]["critic_true"] for k in (1, 2)]
    np.testing.assert_array_equal(*true)
    whole = module.Critic(kept[0]).apply(
        {"params": params["critic"]}, batch.x, batch.mask, jnp.zeros((J, 0))
    )
    np.testing.assert_allclose(true[0], whole[:, 0], rtol=1e-4, atol=1e-5)


def test_slopes_of_a_known_function():
    rng = np.random.default_rng(0)
    true, made, w = rng.normal(size=(3, 6, 4, 2)).astype(np.float32)
    key = jax.random.key(0)
    linear = gan.slopes(lambda x: jnp.sum(w * x, (-1, -2)), key, true, made)
    np.testing.assert_allclose(linear, np.linalg.norm(w.reshape(6, -1), axis=1), 1e-5)
    # Of |x|^2 / 2 it is |x|, on the line between the two.
    share = np.asarray(jax.random.uniform(key, (6, 1, 1)))
    between = (share * true + (1 - share) * made).reshape(6, -1)
    square = gan.slopes(lambda x: 0.5 * jnp.sum(x**2, (-1, -2)), key, true, made)
    np.testing.assert_allclose(square, np.linalg.norm(between, axis=1), 1e-5)


@pytest.mark.parametrize("microbatch_size", [0, 2])
def test_components_take_turns_at_the_parameters_that_others_left(microbatch_size):
    # Critic c and generator g of losses -c g and c g + g: by plain Python.
    def loss(params, key, batch):
        c, g = params["critic"], params["generator"]
        draw = jax.random.normal(key) + 0 * batch
        losses = {"critic": -c * g + 0 * batch, "generator": c * g + g + c * draw}
        return losses, {"c": c + 0 * batch, "draw": draw}

    def init(key):
        return {"critic": jnp.float32(1.0), "generator": jnp.float32(2.0)}

    step = alternating_step(
        loss, init, dict.fromkeys(("critic", "generator"), optax.sgd(0.1)),
        {"critic": 1, "generator": 3},
        projections={"critic": lambda c: jnp.minimum(c, 1.7)},
        microbatch_size=microbatch_size,
    )  # fmt: skip
    update, state = jax.jit(step.update), step.init(jax.random.key(0))
    c, g, draws = 1.0, 2.0, []
    for i in range(7):
        before = c
        state, terms = update(state, jax.random.key(i), np.zeros(4, np.float32))
        assert float(terms["c"]) == pytest.approx(before)
        draws.append(float(terms["draw"]))
        c = min(c + 0.1 * g, 1.7)
        if i % 3 == 2:
            g -= 0.1 * (c + 1)
        assert float(state.params["critic"]) == pytest.approx(c)
        assert float(state.params["generator"]) == pytest.approx(g)
    assert len(set(draws)) == 7


def ring(rows, seed):
    """Events of two columns on a ring."""
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi, rows)
    x = np.stack([np.cos(angle), np.sin(angle)], -1) + 0.05 * rng.normal(size=(rows, 2))
    x = x[:, None].astype(np.float32)
    return Batch(x, np.ones((rows, 1), bool), Context(np.zeros((rows, 3), np.float32)))


def train(tmp_path=None, *, on_epoch=None, seed=0, training=None, **settings):
    """A GAN of dense layers trained on the ring by the one loop."""
    module = models.get("mlp_gan")
    settings = {"nodes": 16, "num_layers": 2, "noise": 2, "num_features": 2} | settings
    model = module.model(module.Config(**settings), Task(1, 2))
    chosen: dict[str, Any] = {"num_epochs": 3, "batch_size": 50, "beta1": 0.5}
    chosen |= {"learning_rate": 2e-3, "save_seconds": 0.0} | (training or {})
    config = Config(**chosen)
    step = model_step(model, config, num_jets=500)
    return fit(
        step, jax.random.key(seed), ring(500, 1), ring(200, 2), config=config,
        name="mlp_gan", on_epoch=on_epoch,
        state_path=tmp_path and tmp_path / "state.npz",
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("objective", gan.OBJECTIVES)
def test_training_brings_every_objective_nearer_to_the_data(objective):
    settings = {"objective": objective, "nodes": 32, "clip": 0.1, "critic_outputs": 8}
    if objective in ("wgan", "wgan_gp"):
        settings["critic_steps"] = 3
    training = {"num_epochs": 60, "learning_rate": 1e-3, "averaging": 0.98}
    result = train(training=training, **settings)
    energy = [row["valid/loss"] for row in result.history]
    assert min(energy) < 0.35 * energy[0]
    if objective == "wgan":
        leaves = jax.tree.leaves(result.params["critic"])
        assert max(np.abs(leaf).max() for leaf in leaves) <= 0.1


@pytest.mark.slow
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    settings = {"objective": "wgan", "critic_steps": 3, "clip": 0.1}
    training = {"num_epochs": 3, "averaging": 0.9}
    whole = train(training=training, **settings)

    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, on_epoch=stop, training=training, **settings)
    assert (tmp_path / "state.npz").exists()
    resumed = train(tmp_path, training=training, **settings)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)
    kept = [name for name in whole.history[0] if name != "seconds"]
    for one, other in zip(resumed.history, whole.history, strict=True):
        assert [one[name] for name in kept] == [other[name] for name in kept]


def test_a_critic_that_diverges_is_one_line():
    with pytest.raises(InputError, match=r"critic.* became NaN or infinite at step"):
        train(objective="wgan", clip=1e20, training={"learning_rate": 1e15})
    with pytest.raises(InputError, match=r"batch_size: .*2 or more"):
        train(training={"batch_size": 1})
