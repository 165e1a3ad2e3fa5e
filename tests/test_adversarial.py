"""Algorithm 2: its losses by hand, who moves what, and that training helps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from jetvae_jax import densities, discriminators, losses, models
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Objective
from jetvae_jax.densities import gaussian_copula
from jetvae_jax.densities.normal import normal
from jetvae_jax.models import adversarial
from jetvae_jax.models import vae as vaes
from jetvae_jax.training import Config, fit, model_step
from jetvae_jax.training.step import components_step

PARTS = ("encoder", "decoder", "discriminator", "prior")


def tables(num=64, seed=0):
    """Rows (a, b) on a noisy parabola."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=num)
    x = np.stack([a, a**2 - 1 + 0.1 * rng.normal(size=num)], axis=-1)
    x = x[:, None].astype(np.float32)
    return Batch(x, np.ones((num, 1), bool), Context(np.zeros((num, 3), np.float32)))


def distance_by(reconstruction):
    """A distance of scaled points, where true ones exist."""

    def distance(batch, x_hat):
        error = reconstruction(batch.x, x_hat, x_mask=batch.mask)
        return error, {"reconstruction": error}

    return distance


OBJECTIVE = Objective(distance_by(losses.squared_error), beta=0.5)


def game(config=None, *, flow="", squash=False, freeze_encoder=False):
    """Networks, discriminator and model for rows of two columns."""
    module = models.get("mlp_vae")
    vae = module.build(
        module.Config(num_features=2, latent_dim=2, num_layers=2, nodes=16)
    )
    if squash:
        vae = vaes.squashed(vae)
    module = discriminators.get("mlp")
    disc = module.build(module.Config(num_features=2, num_layers=2, nodes=16))
    prior = None
    if flow == "copula":
        prior = gaussian_copula.build(dim=2)
    elif flow:
        module = densities.get(flow)
        prior = module.build(module.Config(num_couplings=2, hidden=(8,)), dim=2)
    config = config or adversarial.Config()
    model = adversarial.against(
        alone(vae, prior), config, vae, disc, OBJECTIVE,
        prior=prior, freeze_encoder=freeze_encoder,
    )  # fmt: skip
    return vae, disc, model


def alone(vae, prior=None, objective=OBJECTIVE):
    """The model of a VAE without discriminator."""
    return vaes.build(
        vae.init,
        lambda params, batch: vae.encode(params, batch.x, batch.mask),
        vaes.deterministic(vae, objective),
        objective,
        latent_dim=vae.latent_dim,
        prior=prior,
    )


def test_the_terms_against_numbers_worked_out_by_hand():
    # D = 1/(1 + e^-logit): 0.8, 0.2 and 0.5
    true, again, made = np.log(4.0), -np.log(4.0), 0.0
    loss = adversarial.discriminator_loss(true, again, made)
    assert float(loss) == pytest.approx(-np.log(0.8) - np.log(0.8) - np.log(0.5))
    assert float(adversarial.output_distance(true, again)) == pytest.approx(0.36)
    hidden = np.array([[1.0, 2.0], [0.0, 0.0]])
    distance = adversarial.feature_distance(hidden, np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_allclose(distance, [2.5, 12.5])


def test_cross_entropy_is_finite_where_probabilities_round():
    logits = jnp.asarray([-1e4, -90.0, 0.0, 90.0, 1e4])
    expected = {True: [1e4, 90, np.log(2), 0, 0], False: [0, 0, np.log(2), 90, 1e4]}
    for true, values in expected.items():
        got = adversarial.bce(logits, true=true)
        np.testing.assert_allclose(got, values, rtol=1e-6, atol=1e-30)
        slope = jax.grad(lambda x, t=true: adversarial.bce(x, true=t).sum())(logits)
        assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("form", ["algorithm2", "feature"])
def test_errors_are_algorithm_2_in_float64(form):
    config = adversarial.Config(form, gamma=3.0, beta=0.7, reconstruction=0.2)
    vae, disc, model = game(config)
    params, batch, key = model.init(jax.random.key(0)), tables(8), jax.random.key(1)
    errors, terms = model.loss(params, key, batch)
    posterior = vae.encode(params, batch.x, batch.mask)
    z = losses.reparameterize(key, posterior)
    x_hat = vae.decode(params, z)
    normal = jax.random.normal(jax.random.fold_in(key, 1), z.shape)

    def judge(x):
        arguments = params["discriminator"], x, batch.mask
        logit = np.float64(disc.apply(*arguments))
        return 1 / (1 + np.exp(-logit)), np.float64(disc.features(*arguments))

    (d_x, h_x), (d_hat, h_hat) = judge(batch.x), judge(x_hat)
    d_gen, _ = judge(vae.decode(params, normal))
    loss_disc = -np.log(d_x) - np.log(1 - d_hat) - np.log(1 - d_gen)
    recon, gamma = (d_hat - d_x) ** 2, 3.0
    if form == "feature":
        recon, gamma = 0.5 * ((h_hat - h_x) ** 2).sum(-1), 1.0
    mean, logvar = (np.float64(a) for a in posterior)
    kl = -0.5 * (1 + logvar - mean**2 - np.exp(logvar)).sum(-1)
    plain = ((np.float64(x_hat) - batch.x) ** 2).sum((-1, -2))
    expected = {
        "discriminator": loss_disc,
        "decoder": 3.0 * recon + 0.2 * plain - loss_disc,
        "encoder": 0.7 * kl + gamma * recon + 0.2 * plain,
    }
    assert errors.keys() == expected.keys()
    for part, value in expected.items():
        np.testing.assert_allclose(errors[part], value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(terms["loss"], plain + 0.5 * kl, rtol=1e-4)
    np.testing.assert_allclose(terms["disc_generated"], d_gen, rtol=1e-5)
    assert all(np.shape(value) == (8,) for value in terms.values())


def test_each_optimiser_moves_its_own_parameters_and_no_others():
    _, _, model = game(flow="realnvp")
    sgd = optax.inject_hyperparams(optax.sgd)  # rates in the state: compiled once
    optimizers = {p: sgd(learning_rate=0.0) for p in PARTS}
    step = components_step(model.loss, model.init, optimizers)
    update = jax.jit(step.update)
    state, key, batch = step.init(jax.random.key(0)), jax.random.key(1), tables()
    assert set(state.opt_state) == set(PARTS)

    @jax.jit
    def by_error(params):
        """The gradient of every error in every part."""
        return jax.jacrev(
            lambda p: {n: jnp.mean(e) for n, e in model.loss(p, key, batch)[0].items()}
        )(params)

    gradients = by_error(state.params)
    for alone in PARTS:
        rates = {p: jnp.float32(1e-2 if p == alone else 0.0) for p in PARTS}
        states = {
            p: s._replace(hyperparams={"learning_rate": rates[p]})
            for p, s in state.opt_state.items()
        }
        after, terms = update(state._replace(opt_state=states), key, batch)
        assert all(np.ndim(value) == 0 for value in terms.values())
        for part in PARTS:
            before, now = state.params[part], after.params[part]
            same = jax.tree.leaves(jax.tree.map(np.array_equal, before, now))
            assert all(same) == (part != alone), part
        # and by exactly the gradient of its own error
        jax.tree.map(
            lambda a, g, b: np.testing.assert_allclose(a - 1e-2 * g, b, atol=1e-6),
            state.params[alone],
            gradients[alone][alone],
            after.params[alone],
        )


@pytest.mark.slow
def test_frozen_components_stay_to_the_bit_and_alpha_slows_the_discriminator():
    moved = {}
    for alpha in (1.0, 0.1):
        _, _, model = game(adversarial.Config(alpha=alpha), freeze_encoder=True)
        config = Config(num_epochs=1, batch_size=64, weight_decay=0.1, averaging=0.9)
        step = model_step(model, config, num_jets=64)
        state = jax.jit(step.init)(jax.random.key(0))
        after, _ = jax.jit(step.update)(state, jax.random.key(1), tables())
        for tree in (after.params, after.average):
            jax.tree.map(
                np.testing.assert_array_equal,
                tree["encoder"],
                state.params["encoder"],
            )
        moved[alpha] = optax.tree.norm(
            jax.tree.map(
                jnp.subtract,
                after.params["discriminator"],
                state.params["discriminator"],
            )
        )
    assert float(moved[1.0] / moved[0.1]) == pytest.approx(10, rel=1e-3)


def test_the_vae_starts_as_it_would_alone():
    vae, _, model = game(flow="realnvp")
    own, joint = vae.init(jax.random.key(3)), model.init(jax.random.key(3))
    for part in ("encoder", "decoder"):
        jax.tree.map(np.testing.assert_array_equal, own[part], joint[part])


def test_a_learned_prior_costs_log_q_minus_log_p():
    vae, _, _ = game()
    prior = gaussian_copula.build(dim=2)
    params = vae.init(jax.random.key(0)) | {
        "prior": {"rows": np.float32([[0, 0], [1, 0]])}
    }
    batch, key = tables(16), jax.random.key(1)
    loss, terms = alone(vae, prior).loss(params, key, batch)
    mean, logvar = (np.float64(a) for a in vae.encode(params, batch.x, batch.mask))
    z = np.float64(losses.reparameterize(key, vae.encode(params, batch.x, batch.mask)))
    log_q = stats.norm(mean, np.exp(logvar / 2)).logpdf(z).sum(-1)
    rho = 1 / np.sqrt(2)
    log_p = stats.multivariate_normal(cov=[[1, rho], [rho, 1]]).logpdf(z)
    np.testing.assert_allclose(terms["kl"], log_q - log_p, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        loss, terms["reconstruction"] + 0.5 * (log_q - log_p), rtol=1e-4, atol=1e-4
    )
    # of a standard normal prior its mean over many draws is the analytic KL
    plain = alone(vae, normal(2)).loss
    keys = jax.random.split(key, 4000)
    draws = jax.vmap(lambda k: plain(params | {"prior": {}}, k, batch)[1]["kl"])(keys)
    exact = losses.gaussian_kl(vae.encode(params, batch.x, batch.mask))
    error = np.std(draws, axis=0) / np.sqrt(4000)
    assert np.all(np.abs(np.mean(draws, axis=0) - exact) < 5 * error + 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("flow", ["", "copula", "spline"])
def test_training_stays_finite_and_brings_the_distributions_nearer(flow):
    config = adversarial.Config(gamma=1.0, alpha=1.0, beta=0.1, reconstruction=1.0)
    vae, _, model = game(config, flow=flow, squash=flow == "copula")
    settings = Config(num_epochs=12, batch_size=100, learning_rate=3e-3)
    train, valid = tables(3000), tables(1000, seed=1)
    step = model_step(model, settings, num_jets=3000)
    key = jax.random.key(0)
    result = fit(step, key, train, valid, config=settings)
    assert all(np.isfinite(v) for row in result.history for v in row.values())
    assert set(result.history[0]) >= {
        "valid/loss", "valid/reconstruction", "valid/kl", "valid/disc_true",
        "valid/disc_generated", "valid/disc_reconstructed", "valid/similarity",
    }  # fmt: skip

    def distance(params):
        z = jax.random.normal(key, (2000, 2))
        if flow == "copula":
            z = gaussian_copula.build(dim=2).sample(params["prior"], key, (2000,))
        elif flow:
            module = densities.get(flow)
            shape = module.Config(num_couplings=2, hidden=(8,))
            z = module.build(shape, dim=2).sample(params["prior"], key, (2000,))
        made = np.asarray(vae.decode(params, z))[:, 0]
        real = valid.x[:, 0]
        return max(stats.ks_2samp(made[:, i], real[:, i]).statistic for i in (0, 1))

    start = distance(model.init(jax.random.split(key, 4)[0]))
    assert distance(result.params) < 0.6 * start


@pytest.mark.slow
def test_it_runs_on_jets_with_padding():
    module = models.get("deepsets_vae")
    sizes = {"num_particles": 5, "num_features": 3, "width": 8}
    vae = module.build(
        module.Config(
            **sizes, latent_dim=4, context=4, hidden=(8,), encoder_layers=1,
            decoder_layers=1,
        )
    )  # fmt: skip
    module = discriminators.get("deepsets")
    disc = module.build(module.Config(**sizes, layers=1, hidden=(8,)))
    rng = np.random.default_rng(0)
    mask = np.arange(5) < rng.integers(0, 6, (32, 1))
    x = np.where(mask[..., None], rng.normal(size=(32, 5, 3)), np.nan)
    objective = Objective(distance_by(losses.chamfer_distance), beta=1.0)
    model = adversarial.against(
        alone(vae, objective=objective),
        adversarial.Config(form="feature", reconstruction=1.0),
        vae,
        disc,
        objective,
        particle_mask=lambda x, context: x[..., 0] > context.axis[..., None, 0],
    )
    optimizers = {part: optax.adam(1e-3) for part in PARTS[:3]}
    step = components_step(model.loss, model.init, optimizers)
    axis = Context(np.zeros((32, 3), np.float32))
    batch = Batch(x.astype(np.float32), mask, axis)
    state = step.init(jax.random.key(0))
    after, terms = jax.jit(step.update)(state, jax.random.key(1), batch)
    for leaf in jax.tree.leaves((after.params, terms)):
        assert np.all(np.isfinite(leaf))
    assert np.all(
        np.isfinite(model.loss(after.params, jax.random.key(2), batch)[0]["decoder"])
    )


def test_bad_settings_get_a_clear_line():
    with pytest.raises(InputError, match=r"^alpha: must be positive, got 0"):
        adversarial.Config(alpha=0)
    with pytest.raises(InputError, match=r"^gamma: must not be negative, got -1"):
        adversarial.Config(gamma=-1)
    with pytest.raises(
        InputError, match=r"^form: must be one of algorithm2, feature, got 'wgan'"
    ):
        adversarial.Config(form="wgan")


def test_the_weight_of_the_kl_is_that_of_the_objective_unless_given():
    batch, key = tables(8), jax.random.key(1)
    by_beta = {}
    for beta in (-1.0, 0.5, 2.0):
        _, _, model = game(adversarial.Config(beta=beta, gamma=0.0))
        params = model.init(jax.random.key(0))
        found, terms = model.loss(params, key, batch)
        by_beta[beta] = np.asarray(found["encoder"]), np.asarray(terms["kl"])
    weight, kl = OBJECTIVE.beta, by_beta[-1.0][1]
    np.testing.assert_allclose(by_beta[-1.0][0], weight * kl, rtol=1e-6)
    np.testing.assert_array_equal(by_beta[-1.0][0], by_beta[0.5][0])
    np.testing.assert_allclose(by_beta[2.0][0], 2 * kl, rtol=1e-6)
