"""The objectives of the VAE, against formulas written out in NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import losses
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import VAE, Batch, Context, GaussianPosterior, Task
from jetvae_jax.losses import objective as objectives
from jetvae_jax.models import vae as vaes

SCALE = 50.0  # GeV of one scaled unit


def momenta(x, axis):
    del axis
    return SCALE * x


def linear_vae(num_particles=5, latent_dim=4):
    """A VAE small enough to be repeated by hand."""
    size = 3 * num_particles

    def init(key):
        keys = jax.random.split(key, 3)
        return {
            "mean": 0.1 * jax.random.normal(keys[0], (size, latent_dim)),
            "logvar": 0.1 * jax.random.normal(keys[1], (size, latent_dim)),
            "decode": jax.random.normal(keys[2], (latent_dim, size)),
        }

    def encode(params, x, mask, condition=None):
        flat = jnp.where(mask[..., None], x, 0).reshape(*x.shape[:-2], size)
        return GaussianPosterior(flat @ params["mean"], flat @ params["logvar"])

    def decode(params, z, condition=None):
        return (z @ params["decode"]).reshape(*z.shape[:-1], num_particles, 3)

    return VAE(init, encode, decode, latent_dim)


def loss_of(config, networks, reconstruction=losses.chamfer_distance):
    """The loss of a model with these networks and this objective."""
    objective = objectives.objective(config, reconstruction, momenta)
    return vaes.model(networks, Task(5, 3, objective=objective)).loss


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    mask = np.arange(5) < np.array([[5], [3], [1], [4]])
    x = np.where(mask[..., None], rng.normal(size=(4, 5, 3)), 0).astype(np.float32)
    return Batch(jnp.array(x), jnp.array(mask), Context(jnp.zeros((4, 3))))


def by_hand(p, p_hat, mean, logvar, exists, counted):
    """The four terms of one jet in float64."""
    p, p_hat, mean, logvar = (
        np.asarray(a, np.float64) for a in (p, p_hat, mean, logvar)
    )

    def pt_and_mass(q):
        total, energy = q.sum(0), np.linalg.norm(q, axis=1).sum()
        mass = np.sqrt(max(energy**2 - total @ total, 0))
        return np.hypot(*total[:2]), mass

    distance = np.square(p[counted][:, None] - p_hat).sum(-1)
    (pt, mass), (pt_hat, mass_hat) = pt_and_mass(p[exists]), pt_and_mass(p_hat)
    return {
        "reconstruction": distance.min(1).sum() + distance.min(0).sum(),
        "jet_pt": (pt - pt_hat) ** 2,
        "jet_mass": (mass - mass_hat) ** 2,
        "kl": 0.5 * np.sum(mean**2 + np.exp(logvar) - logvar - 1),
    }


def run(config, batch, reconstruction=losses.chamfer_distance):
    vae = linear_vae()
    params, key = vae.init(jax.random.key(1)), jax.random.key(2)
    loss_fn = loss_of(config, vae, reconstruction)
    posterior = vae.encode(params, batch.x, batch.mask)
    x_hat = vae.decode(params, losses.reparameterize(key, posterior))
    return *jax.jit(loss_fn)(params, key, batch), x_hat, posterior


@pytest.mark.parametrize("mask_padding", [True, False])
@pytest.mark.parametrize("space", ["momenta", "scaled"])
def test_terms_by_hand(batch, space, mask_padding):
    config = objectives.Config(space=space, mask_padding=mask_padding)
    loss, terms, x_hat, posterior = run(config, batch)
    assert loss.shape == (4,)
    unit = 1 if space == "momenta" else SCALE**2
    for b in range(4):
        exists = np.array(batch.mask[b])
        expected = by_hand(
            SCALE * batch.x[b],
            SCALE * x_hat[b],
            posterior.mean[b],
            posterior.logvar[b],
            exists,
            exists if mask_padding else slice(None),
        )
        expected["reconstruction"] /= unit
        assert set(terms) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(terms[name][b], value, rtol=1e-3, err_msg=name)


@pytest.mark.parametrize("form", ["published", "classic"])
def test_weights(batch, form):
    config = objectives.Config(
        form, alpha=0.5, beta=0.3, gamma=0.7, gamma_pt=2.0, gamma_mass=11.0
    )
    loss, t, _, _ = run(config, batch)
    t = {name: np.asarray(value, np.float64) for name, value in t.items()}
    rest = 0.5 * t["reconstruction"] + 0.7 * (2 * t["jet_pt"] + 11 * t["jet_mass"])
    expected = (0.7 if form == "published" else 1) * rest + 0.3 * t["kl"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_published_beta_is_a_kl_weight_of_4999(batch):
    # "equivalent to beta = 5000 in the old setup", says the published code.
    published, *_ = run(objectives.Config(beta=0.9998), batch)
    classic, *_ = run(objectives.Config("classic", beta=0.9998 / (1 - 0.9998)), batch)
    np.testing.assert_allclose(published / (1 - 0.9998), classic, rtol=1e-5)
    np.testing.assert_allclose(0.9998 / (1 - 0.9998), 4999, rtol=1e-9)


@pytest.mark.parametrize("form", ["published", "classic"])
@pytest.mark.parametrize("masked", [True, False])
def test_one_call_equals_the_built_loss(batch, form, masked):
    weights = {"alpha": 0.9, "beta": 0.4, "gamma": 1.2, "gamma_mass": 9.0}
    config = objectives.Config(form, mask_padding=masked, **weights)
    loss, terms, x_hat, posterior = run(config, batch)
    call = getattr(losses, f"{form}_objective")
    value, parts = jax.jit(
        lambda x, x_hat, posterior: call(
            x,
            x_hat,
            posterior,
            x_mask=batch.mask if masked else None,
            **weights,
        )
    )(momenta(batch.x, None), momenta(x_hat, None), posterior)
    np.testing.assert_allclose(value, loss, rtol=1e-4)
    for name in terms:
        np.testing.assert_allclose(parts[name], terms[name], rtol=1e-3)


def test_published_numbers_of_one_jet():
    # Two particles back to back along x: pT 0 and mass 20, decoded as pT 5, mass 0.
    x = jnp.array([[10.0, 0, 0], [-10.0, 0, 0]])
    x_hat = jnp.array([[5.0, 0, 0], [0.0, 0, 0]])
    posterior = GaussianPosterior(jnp.array([2.0]), jnp.zeros(1))
    loss, terms = losses.published_objective(x, x_hat, posterior, beta=0.25)
    # 10 -> 5: 25; -10 -> 0: 100; 5 -> 10: 25; 0 -> +-10: 100.
    np.testing.assert_allclose(terms["reconstruction"], 250, rtol=1e-6)
    np.testing.assert_allclose(terms["jet_pt"], 25, rtol=1e-6)
    np.testing.assert_allclose(terms["jet_mass"], 400, rtol=1e-5)
    np.testing.assert_allclose(terms["kl"], 2, rtol=1e-6)
    np.testing.assert_allclose(loss, 0.75 * (250 + 25 + 4000) + 0.5, rtol=1e-5)


def test_gradients_are_finite_also_for_jets_of_one_particle(batch):
    vae = linear_vae()
    params = vae.init(jax.random.key(3))
    loss_fn = loss_of(objectives.Config(), vae)
    grads = jax.jit(jax.grad(lambda p: loss_fn(p, jax.random.key(4), batch)[0].mean()))(
        params
    )
    for leaf in jax.tree.leaves(grads):
        assert np.all(np.isfinite(leaf))
        assert np.any(np.array(leaf) != 0)


def test_soft_term_sees_soft_particles(batch):
    config = objectives.Config(
        "classic", alpha=0.0, alpha_soft=3.0, gamma=0.0, beta=0.0
    )
    config = dataclasses.replace(config, mask_padding=True)
    loss, terms, x_hat, _ = run(config, batch)
    np.testing.assert_allclose(loss, 3 * terms["soft"], rtol=1e-6)
    for b in range(4):
        # The axis is (0, 0, 0): a frame turned by no angle and boosted by nothing.
        p = SCALE * np.asarray(batch.x[b], np.float64)[np.array(batch.mask[b])]
        q = SCALE * np.asarray(x_hat[b], np.float64)
        p, q = (v / np.sqrt(np.linalg.norm(v, axis=1)[:, None] + 1) for v in (p, q))
        distance = np.square(p[:, None] - q).sum(-1)
        expected = distance.min(0).sum() + distance.min(1).sum()
        np.testing.assert_allclose(terms["soft"][b], expected, rtol=1e-3)


def test_same_key_same_loss(batch):
    vae = linear_vae()
    params = vae.init(jax.random.key(3))
    loss_fn = loss_of(objectives.Config(), vae)
    one, again, other = (
        loss_fn(params, jax.random.key(k), batch)[0] for k in (5, 5, 6)
    )
    assert np.array_equal(one, again)
    assert not np.allclose(one, other)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("form", "modern"),
        ("space", "latent"),
        ("alpha", -1.0),
        ("beta", -0.1),
        ("beta", 5000.0),
        ("gamma", -1.0),
        ("gamma_pt", float("nan")),
    ],
)
def test_bad_settings_name_the_field(field, value):
    with pytest.raises(InputError, match=f"^{field}: .*, got {value!r}"):
        objectives.Config(**{field: value})
    if value == 5000.0:
        objectives.Config(form="classic", beta=value)


def test_mass_weight_must_be_filled_in(make_jets):
    config = objectives.Config(gamma_mass=-1.0)
    with pytest.raises(ValueError, match="mass_weight"):
        loss_of(config, linear_vae())
    jets = make_jets(50)
    p = jets.particles.astype(np.float64)
    total, energy = p.sum(1), np.linalg.norm(p, axis=-1).sum(1)
    mass = np.sqrt(energy**2 - np.square(total).sum(-1))
    expected = np.hypot(total[:, 0], total[:, 1]).mean() / mass.mean()
    weight = float(losses.mass_weight(jets.particles, jets.mask))
    np.testing.assert_allclose(weight, expected, rtol=1e-3)
    filled = dataclasses.replace(config, gamma_mass=weight)
    loss_of(filled, linear_vae())


def test_jet_errors_by_hand():
    x = np.array([[3.0, 4, 0], [0, 0, 7], [9, 9, 9]], np.float32)
    y = np.array([[0.0, 1, 0]], np.float32)
    mask = np.array([True, True, False])
    # pT 5 and 1; mass^2 = (5 + 7)^2 - 5^2 - 7^2 = 70 and 0.
    np.testing.assert_allclose(losses.jet_pt_error(x, y, x_mask=mask), 16, rtol=1e-6)
    np.testing.assert_allclose(losses.jet_mass_error(x, y, x_mask=mask), 70, rtol=1e-5)
    np.testing.assert_allclose(losses.jet_mass_error(y, x, y_mask=mask), 70, rtol=1e-5)
