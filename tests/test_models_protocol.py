"""What a model must do: the page to read before adding one.

Put one file into ``jetvae_jax/models/``. It defines

- ``Config``: a frozen dataclass. Every field has a default and a line under
  ``Attributes:`` in the docstring; both become a flag, ``--my_vae.width``.
  ``num_particles``, ``num_features`` and ``latent_dim`` are among them; the data set
  the first two. A value that cannot be raises ``InputError("field: why")``.
- ``USES_MASK``: True if neither padding nor the order of the particles matters.
- ``model(config, task) -> Model``: a generative model as pure functions.
- For a VAE with a deterministic decoder also ``build(config) -> VAE``, its networks:
  pure functions of a plain dict ``{"encoder", "decoder"}``. ``models.vae.as_vae`` makes
  them of two linen modules and checks the shapes; ``models.vae.model`` makes a
  generative model of them. Most tests here are of these.

No list has to be edited: ``models.names()`` reads the folder, and flags, training,
checkpoints and this test follow. The test runs every model at its defaults, with
jets of a few particles, and asserts what the rest of the package relies on: any
leading axes, ``jit`` and ``vmap`` that change nothing, finite gradients that reach
every parameter, and, with ``USES_MASK``, padding without any influence.
Models with a stochastic decoder (``test_autoregressive_vae.py``) and GANs
(``test_gans.py``) have tests of their own.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import losses, models
from jetvae_jax.core.configs import field_help
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    VAE,
    Batch,
    Context,
    GaussianPosterior,
    Objective,
    Task,
)

N, F, L = 14, 3, 6
NETWORKS = [name for name in models.names() if hasattr(models.get(name), "build")]
every_model = pytest.mark.parametrize("name", NETWORKS)
masked_model = pytest.mark.parametrize(
    "name", [name for name in NETWORKS if models.get(name).USES_MASK]
)


def plain(name):
    module = models.get(name)
    return module.build(module.Config(num_particles=N, num_features=F, latent_dim=L))


@functools.cache
def built(name):
    """The model, compiled, and parameters."""
    vae = plain(name)
    init, encode, decode = (jax.jit(f) for f in vae[:3])
    vae = vae._replace(init=init, encode=encode, decode=decode)
    return vae, vae.init(jax.random.key(0))


def jets(*lead, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=(*lead, N, F)).astype(np.float32)
    mask = np.arange(N) < rng.integers(1, N + 1, size=(*lead, 1))
    return x, mask


def assert_close(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), a, b)


@every_model
def test_config_is_frozen_and_every_field_is_explained(name):
    config = models.get(name).Config()
    fields = [field.name for field in dataclasses.fields(config)]
    assert {"num_particles", "num_features", "latent_dim"} <= set(fields)
    assert list(field_help(type(config))) == fields
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.latent_dim = 1
    for field in ("num_particles", "num_features", "latent_dim"):
        with pytest.raises(InputError, match=f"^{field}: must be positive"):
            dataclasses.replace(config, **{field: 0})
    with pytest.raises(
        InputError, match=r"^activation: must be one of relu, .*, got 'swish'"
    ):
        dataclasses.replace(config, activation="swish")


@every_model
def test_parameters_are_plain_finite_float32_and_depend_on_the_key(name):
    vae, params = built(name)
    assert isinstance(vae, VAE)
    assert vae.latent_dim == L
    assert type(params) is dict
    assert set(params) == {"encoder", "decoder"}
    for leaf in jax.tree.leaves(params):
        assert leaf.dtype == jnp.float32
        assert np.all(np.isfinite(leaf))
    same, other = (vae.init(jax.random.key(i)) for i in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, same, params)
    flat = [
        np.concatenate([np.ravel(a) for a in jax.tree.leaves(jax.device_get(p))])
        for p in (params, other)
    ]
    assert np.any(flat[0] != flat[1])


@every_model
@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_any_leading_axes(name, lead):
    vae, params = built(name)
    x, mask = jets(*lead)
    posterior = vae.encode(params, x, mask)
    assert isinstance(posterior, GaussianPosterior)
    assert posterior.mean.shape == posterior.logvar.shape == (*lead, L)
    decoded = vae.decode(params, posterior.mean)
    assert decoded.shape == (*lead, N, F)
    assert decoded.dtype == posterior.mean.dtype == jnp.float32
    first = (0,) * len(lead)
    alone = vae.encode(params, x[first], mask[first])
    assert_close(alone, jax.tree.map(lambda a: a[first], posterior))
    assert_close(vae.decode(params, alone.mean), decoded[first])


@every_model
def test_jit_and_vmap_change_nothing(name):
    vae, params = built(name)
    x, mask = jets(4)
    posterior = plain(name).encode(params, x, mask)
    decoded = plain(name).decode(params, posterior.mean)
    assert_close(vae.encode(params, x, mask), posterior)
    assert_close(vae.decode(params, posterior.mean), decoded)
    encode, decode = (
        jax.jit(jax.vmap(f, (None, 0)))
        for f in (lambda p, v: vae.encode(p, *v), vae.decode)
    )
    assert_close(encode(params, (x, mask)), posterior)
    assert_close(decode(params, posterior.mean), decoded)


@every_model
def test_an_ensemble_is_a_vmap_over_parameters(name):
    vae, params = built(name)
    x, mask = jets(2)
    params = jax.device_get(params)  # in NumPy nothing has to be compiled
    other = jax.tree.map(lambda a: np.float32(0.5) * a, params)
    both = jax.tree.map(lambda a, b: np.stack([a, b]), params, other)
    posterior = jax.jit(jax.vmap(vae.encode, (0, None, None)))(both, x, mask)
    assert_close(posterior.mean[1], vae.encode(other, x, mask).mean)


@every_model
def test_gradients_are_finite_and_reach_every_parameter(name):
    vae, params = built(name)
    x, mask = jets(16)
    mask[0] = False  # a jet without particles

    @jax.jit
    @jax.grad
    def gradient(params):
        posterior = vae.encode(params, x, mask)
        noise = jax.random.normal(jax.random.key(1), posterior.mean.shape)
        z = posterior.mean + jnp.exp(0.5 * posterior.logvar) * noise
        return jnp.sum(jnp.square(vae.decode(params, z) - x))

    found = jax.device_get(gradient(params))
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)
        assert np.any(leaf != 0), jax.tree_util.keystr(path)


@every_model
def test_wild_inputs_give_a_finite_posterior(name):
    vae, params = built(name)
    x, mask = jets(3)
    posterior = vae.encode(params, 1e4 * (x - 0.5), mask)
    assert np.all(np.isfinite(posterior.mean))
    assert np.all(posterior.logvar >= -20)
    assert np.all(posterior.logvar <= 10)


@every_model
def test_wrong_shapes_name_both(name):
    vae, params = built(name)
    x, mask = jets(2)
    with pytest.raises(ValueError, match=r"\(2, 14, 2\).*14, 3"):
        vae.encode(params, x[..., :2], mask)
    with pytest.raises(ValueError, match=r"mask has shape \(2, 13\)"):
        vae.encode(params, x, mask[:, 1:])
    with pytest.raises(ValueError, match=r"\(2, 5\).*6"):
        vae.decode(params, np.zeros((2, 5)))


@masked_model
def test_padding_is_never_seen(name):
    vae, params = built(name)
    x, mask = jets(6)
    posterior = vae.encode(params, x, mask)
    for fill in (np.nan, 1e6):
        filled = np.where(mask[..., None], x, np.float32(fill))
        assert_close(vae.encode(params, filled, mask), posterior)
    for j in range(3):
        kept = x[j, mask[j]]
        alone = vae.encode(params, kept, np.ones(len(kept), bool))
        assert_close(alone.mean, posterior.mean[j])
        assert_close(alone.logvar, posterior.logvar[j])


@masked_model
def test_the_gradient_on_padding_is_exactly_zero(name):
    vae, params = built(name)
    x, mask = jets(6)
    mask[0] = False

    def total(x):
        posterior = vae.encode(params, x, mask)
        return jnp.sum(posterior.mean) + jnp.sum(posterior.logvar)

    gradient = np.asarray(jax.jit(jax.grad(total))(x))
    assert np.all(gradient[~mask] == 0)
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient[mask] != 0)


def generative(name, **settings):
    """The model as a generator of jets of at most N particles."""
    module = models.get(name)
    config = module.Config(num_particles=N, num_features=F, latent_dim=L)

    def distance(batch, x_hat):
        error = losses.chamfer_distance(batch.x, x_hat, x_mask=batch.mask)
        return error, {"reconstruction": error}

    objective = Objective(distance, **{"beta": 1.0} | settings)
    task = Task(
        N, F, objective=objective, particle_mask=lambda x, context: x[..., 0] > 0.0
    )
    return module.model(config, task)


@every_model
def test_a_generative_model_has_a_loss_and_samples(name):
    model = generative(name, beta=0.25, reconstruction_weight=2.0)
    params, key = jax.jit(model.init)(jax.random.key(0)), jax.random.key(1)
    x, mask = jets(5)
    batch = Batch(x, mask, Context(np.zeros((5, 3), np.float32)))
    loss, terms = jax.jit(model.loss)(params, key, batch)
    assert loss.shape == (5,) and set(terms) == {"reconstruction", "kl"}
    expected = 2 * terms["reconstruction"] + 0.25 * terms["kl"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    # At unit weights the loss is minus the evidence lower bound.
    bound = jax.jit(model.log_prob)(params, key, batch)
    np.testing.assert_allclose(bound, -jax.jit(generative(name).loss)(
        params, key, batch
    )[0], rtol=1e-5)  # fmt: skip
    sample = jax.jit(model.sample)
    points = sample(params, key, batch.context)
    assert points.x.shape == (5, N, F) and points.mask.shape == (5, N)
    np.testing.assert_array_equal(points.mask, points.x[..., 0] > 0)
    again, other = (sample(params, jax.random.key(k), batch.context) for k in (1, 2))
    jax.tree.map(np.testing.assert_array_equal, points, again)
    assert np.any(points.x != other.x)
    # A sample is decoded from a draw of the prior.
    z = jax.random.normal(key, (5, L))
    decoded = jax.jit(model.decode)(params, jax.random.key(3), z, batch.context)
    assert_close(decoded.x, points.x)
    posterior = jax.jit(model.encode)(params, batch)
    assert_close(posterior, built(name)[0].encode(params, x, mask))


def test_unknown_names_get_a_suggestion():
    with pytest.raises(InputError, match=r"'convvae' is unknown .*mean 'conv_vae'"):
        models.get("convvae")
    with pytest.raises(InputError, match=r"one of .*conv_vae, .*deepsets_vae"):
        models.get("zzz")
