"""Copulas: uniform marginals, known correlations, densities against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax import densities, models, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Objective, Task
from jetvae_jax.densities import copula as copulas
from jetvae_jax.densities import gaussian_copula, marginals, normal
from jetvae_jax.losses import objective as objectives
from jetvae_jax.models import vae as vaes

RHO = np.array([[1.0, 0.8, -0.3], [0.8, 1.0, 0.1], [-0.3, 0.1, 1.0]])


def sample(num=20_000, seed=0):
    """A Gaussian copula with lognormal, uniform and two-peaked marginals."""
    rng = np.random.default_rng(seed)
    y = rng.multivariate_normal(np.zeros(3), RHO, num)
    u = stats.norm.cdf(y)
    peaks = np.where(u[:, 2] < 0.3, -4 + u[:, 2], 3 * u[:, 2])
    return np.stack([np.exp(y[:, 0]), 7 * u[:, 1], peaks], axis=-1), y


def ks(u):
    return stats.kstest(np.asarray(u, np.float64), "uniform").statistic


def test_empirical_scores_are_uniform_on_new_data_and_invert_exactly():
    z, _ = sample()
    maps = marginals.empirical(3)
    params = marginals.fit_empirical(z)
    new = sample(seed=1)[0].astype(np.float32)
    y, _ = jax.jit(maps.scores)(params, new)
    for column in range(3):
        assert ks(copulas.uniforms(y[:, column])) < 0.02  # 1.6 / sqrt(20,000) = 0.011
    back = jax.jit(maps.values)(params, y)
    np.testing.assert_allclose(back, new, rtol=1e-5, atol=1e-5)
    far = np.linspace(-8, 8, 101, dtype=np.float32)[:, None] * np.ones(3, np.float32)
    again, _ = maps.scores(params, maps.values(params, far))
    np.testing.assert_allclose(again, far, atol=2e-2)  # where z has digits for it
    inner = np.abs(far) < 3
    np.testing.assert_allclose(again[inner], far[inner], atol=1e-3)


@pytest.mark.parametrize(
    "kind", [pytest.param("empirical", marks=pytest.mark.slow), "spline"]
)
def test_slopes_are_those_of_the_map_and_densities_integrate_to_one(kind):
    z, _ = sample()
    if kind == "empirical":
        maps, params = marginals.empirical(3), marginals.fit_empirical(z)
    else:
        maps, params = marginals.spline(3), marginals.start_spline(z)
    at = sample(50, seed=3)[0].astype(np.float32)
    scores = jax.jit(maps.scores)
    _, log_slope = scores(params, at)
    slopes = jax.vmap(jax.jacfwd(lambda z: scores(params, z)[0]))(at)
    for j in range(3):
        np.testing.assert_allclose(
            np.diagonal(slopes[j]), np.exp(log_slope[j]), rtol=1e-4
        )
    grid = np.linspace(-30, 60, 400_001)
    density = scores(params, np.tile(grid[:, None], 3).astype(np.float32))
    density = stats.norm.pdf(np.float64(density[0])) * np.exp(np.float64(density[1]))
    integral = np.trapezoid(density, grid, axis=0)
    np.testing.assert_allclose(integral, 1, atol=2e-3)


@pytest.mark.slow
def test_the_neural_cdf_learns_to_be_uniform():
    import optax

    def draw(seed):
        rng = np.random.default_rng(seed)
        peaks = rng.normal(np.where(rng.uniform(size=8000) < 0.3, -2, 2), 0.7)
        columns = (rng.gamma(4, size=8000), peaks, 5 + rng.standard_t(6, 8000))
        return np.stack(columns, axis=-1).astype(np.float32)

    z, maps = draw(0), marginals.spline(3)
    prior = copulas.with_marginals(normal.normal(3), maps)
    params = {"marginals": marginals.start_spline(z), "copula": {}}
    tx = optax.adam(5e-3)

    @jax.jit
    def train(params):
        def step(_, carry):
            params, state = carry
            grads = jax.grad(lambda p: -jnp.mean(prior.log_prob(p, z[:4000])))(params)
            updates, state = tx.update(grads, state)
            return optax.apply_updates(params, updates), state

        return jax.lax.fori_loop(0, 150, step, (params, tx.init(params)))[0]

    before = params
    params = jax.tree.map(jnp.asarray, train(params))
    new = draw(1)
    y, _ = maps.scores(params["marginals"], new)
    start, _ = maps.scores(before["marginals"], new)
    worst = max(ks(copulas.uniforms(y[:, c])) for c in range(3))
    assert worst < 0.025
    assert worst < max(ks(copulas.uniforms(start[:, c])) for c in range(3))
    back = maps.values(params["marginals"], y)
    np.testing.assert_allclose(back, new, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["scores", "spearman"])
def test_known_correlations_come_back(method):
    z, _ = sample()
    params = gaussian_copula.fit(z, method=method)
    np.testing.assert_allclose(gaussian_copula.correlation(params), RHO, atol=0.02)
    # not moved by the marginals: exactly the same of any increasing functions
    same = gaussian_copula.fit(np.arctan(z), method=method)
    np.testing.assert_allclose(same["rows"], params["rows"], atol=1e-6)


def test_spearman_of_the_samples_is_that_of_the_data():
    z, _ = sample()
    config = copulas.Config()
    prior, params = copulas.build(config, dim=3), copulas.fit(config, z)
    made = prior.sample(params, jax.random.key(0), (20_000,))
    ours, theirs = (stats.spearmanr(a).statistic for a in (np.asarray(made), z))
    np.testing.assert_allclose(ours, theirs, atol=0.03)
    for column in range(3):
        assert (
            stats.ks_2samp(np.asarray(made)[:, column], z[:, column]).statistic < 0.02
        )


def test_the_gaussian_copula_against_scipy_and_its_samples_are_uniform():
    params = gaussian_copula.fit(sample()[1])
    copula = gaussian_copula.build(dim=3)
    u = np.random.default_rng(1).uniform(0.01, 0.99, (200, 3)).astype(np.float32)
    y = stats.norm.ppf(np.float64(u))
    matrix = np.float64(gaussian_copula.correlation(params))
    expected = stats.multivariate_normal(cov=matrix).logpdf(y)
    expected -= stats.norm.logpdf(y).sum(axis=-1)
    got = copulas.log_density(copula, params, u)
    np.testing.assert_allclose(got, expected, atol=1e-3)
    y = copula.sample(params, jax.random.key(2), (20_000,))
    np.testing.assert_allclose(np.corrcoef(y, rowvar=False), matrix, atol=0.02)
    for column in range(3):
        assert ks(copulas.uniforms(y[:, column])) < 0.012


@pytest.mark.parametrize(
    "kind", ["gaussian", pytest.param("flow", marks=pytest.mark.slow)]
)
def test_a_copula_density_integrates_to_one_and_so_do_its_marginals(kind):
    if kind == "gaussian":
        copula, params = (
            gaussian_copula.build(dim=2),
            {"rows": np.float32([[0, 0], [1.0, 0]])},
        )
    else:
        raw = flow_of(2)
        params = copulas.fit_own(raw, moved(raw, 0.05), jax.random.key(0))
        copula = copulas.own_marginals(raw, marginals.empirical(2))
    edges = np.linspace(-4.5, 4.5, 301)
    points = np.stack(np.meshgrid(edges, edges, indexing="ij"), axis=-1)
    log_p = jax.jit(copula.log_prob)(params, points.astype(np.float32))
    density, step = np.exp(np.float64(log_p)), edges[1] - edges[0]
    assert np.sum(density) * step**2 == pytest.approx(1, abs=5e-3)
    for axis in (0, 1):
        share = np.cumsum(density.sum(axis)) * step**2
        np.testing.assert_allclose(share, stats.norm.cdf(edges + step / 2), atol=0.01)


def flow_of(dim):
    module = densities.get("spline")
    return module.build(module.Config(num_couplings=2, hidden=(16,)), dim=dim)


def moved(prior, scale, seed=0):
    rng = np.random.default_rng(seed)
    params = prior.init(jax.random.key(0))
    return jax.tree.map(
        lambda a: a + rng.normal(0, scale, a.shape).astype(np.float32), params
    )


@pytest.mark.slow
def test_a_flow_copula_has_uniform_marginals_whatever_the_flow():
    raw = flow_of(2)
    params = moved(raw, 0.5)
    before = raw.sample(params, jax.random.key(1), (20_000,))
    copula = copulas.own_marginals(raw, marginals.empirical(2))
    params = copulas.fit_own(raw, params, jax.random.key(0))
    y = copula.sample(params, jax.random.key(1), (20_000,))
    for column in range(2):
        assert ks(copulas.uniforms(y[:, column])) < 0.015
    assert max(ks(copulas.uniforms(before[:, c])) for c in range(2)) > 0.03


def test_matrices_that_are_no_correlations_are_mended():
    bad = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    mended = gaussian_copula.nearest_correlation(bad)
    assert np.linalg.eigvalsh(mended)[0] > 0
    np.testing.assert_allclose(np.diagonal(mended), 1)
    np.testing.assert_array_equal(gaussian_copula.nearest_correlation(RHO), RHO)
    doubled = np.tile(np.random.default_rng(0).normal(size=(100, 1)), 2)
    assert np.all(np.isfinite(gaussian_copula.fit(doubled)["rows"]))


def test_integers_stay_invertible():
    z = np.random.default_rng(0).poisson(2, (5000, 1))
    maps, params = marginals.empirical(1), marginals.fit_empirical(z)
    assert np.all(np.diff(params["knots"]) > 0)
    y, log_slope = maps.scores(params, z.astype(np.float32))
    assert np.all(np.isfinite(log_slope))
    np.testing.assert_allclose(maps.values(params, y), z, atol=1e-3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda z: z[:5], "at least 20 rows"),
        (lambda z: np.where(z > 1, np.nan, z), "column 0 has NaN"),
        (lambda z: z * [1, 0, 1], "column 1 is constant, 0"),
    ],
)
def test_bad_samples_get_a_clear_line(spoil, message):
    with pytest.raises(InputError, match=f"^events: .*{message}"):
        copulas.fit(copulas.Config(), spoil(sample(100)[0]), what="events")


def test_bad_configs_get_a_clear_line():
    with pytest.raises(InputError, match=r"^num_knots: must be at least 17, got 3"):
        copulas.Config(num_knots=3)
    with pytest.raises(
        InputError, match=r"^dependence: must be one of gaussian, flow, got 'vine'"
    ):
        copulas.Config(dependence="vine")
    with pytest.raises(ValueError, match="with flow = None"):
        copulas.build(copulas.Config(dependence="flow"), dim=2)


def test_the_decoder_of_a_copula_vae_is_given_uniforms():
    module = models.get("mlp_vae")
    vae = module.build(module.Config(num_features=3, latent_dim=3, nodes=8))
    params = vae.init(jax.random.key(0))
    z = sample(50)[1].astype(np.float32)
    u = np.sqrt(12) * (stats.norm.cdf(np.float64(z)) - 0.5)
    np.testing.assert_allclose(
        vaes.squashed(vae).decode(params, z), vae.decode(params, u), atol=1e-5
    )


def test_a_cdf_encoder_knows_the_uniforms_beforehand_and_learns_nothing():
    z, y = sample()
    module = models.get("mlp_vae")
    vae = module.build(module.Config(num_features=3, latent_dim=3, nodes=8))
    maps, knots = marginals.empirical(3), marginals.fit_empirical(z)
    vae = vaes.cdf_encoder(vae, maps, knots)
    params = vae.init(jax.random.key(0))
    x, mask = z[:, None].astype(np.float32), np.ones((len(z), 1), bool)
    posterior = vae.encode(params, x, mask)
    np.testing.assert_allclose(posterior.mean[:, 0], y[:, 0], atol=0.2)
    gradient = jax.grad(lambda p: jnp.sum(vae.encode(p, x, mask).mean))(params)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(gradient))
    like = jax.eval_shape(vaes.cdf_encoder(vae, maps).init, jax.random.key(0))
    assert jax.tree.structure(like) == jax.tree.structure(params)
    with pytest.raises(ValueError, match="3 features needs as many latents, got 2"):
        vaes.cdf_encoder(module.build(module.Config(latent_dim=2)), maps)


def test_weight_decay_does_not_move_a_cdf_encoder():
    x = sample(200)[0].astype(np.float32)[:, None]
    batch = Batch(x, np.ones((200, 1), bool), Context(np.zeros((200, 3), np.float32)))
    parts = vaes.Components(latent="cdf")
    objective = Objective(lambda batch, x: (jnp.sum((x - batch.x) ** 2, (1, 2)), {}), 1)
    task = Task(1, 3, objective=objective, components=parts, sample=lambda n: batch)
    module = models.get("mlp_vae")
    config = module.Config(num_features=3, latent_dim=3, num_layers=1, nodes=4)
    model = module.model(config, task)
    settings = training.Config(weight_decay=0.5, learning_rate=0.1, clip_norm=1.0)
    step = training.model_step(model, settings, num_jets=200)
    first = jax.jit(step.init)(jax.random.key(0))
    then, _ = jax.jit(step.update)(first, jax.random.key(1), batch)
    for name, same in (("encoder", True), ("decoder", False)):
        pairs = jax.tree.map(np.array_equal, first.params[name], then.params[name])
        assert all(jax.tree.leaves(pairs)) == same, name
    # A training of an earlier version, whose encoder decayed, has the same state.
    before = jax.eval_shape(
        training.model_step(
            model._replace(constants=()), settings, num_jets=200
        ).init,
        jax.random.key(0),
    )  # fmt: skip
    names = [
        [jax.tree_util.keystr(path, simple=True) for path, _ in leaves]
        for leaves in map(jax.tree_util.tree_leaves_with_path, (before, first))
    ]
    assert names[0] == names[1]


def test_cramer_distance_against_the_integral():
    u = np.random.default_rng(0).uniform(size=(7, 2)) ** 2
    grid = (np.arange(200_000) + 0.5) / 200_000
    expected = 0.0
    for column in u.T:
        share = np.searchsorted(np.sort(column), grid, side="right") / 7
        expected += np.mean(np.square(share - grid))
    got = objectives.cramer(jnp.asarray(u, jnp.float32))
    assert got.shape == (7,)
    assert np.mean(got) == pytest.approx(expected, rel=1e-4)
    # half the energy distance to the uniform, whose expectations are known:
    # E|V-V'| = 1/3 and E|u-V| = u^2 - u + 1/2
    energy = sum(
        2 * np.mean(c**2 - c + 0.5) - np.mean(np.abs(c[:, None] - c[None])) - 1 / 3
        for c in u.T
    )
    assert np.mean(got) == pytest.approx(energy / 2, rel=1e-4)


@pytest.mark.slow
def test_the_penalty_makes_marginals_normal():
    start = np.random.default_rng(0).uniform(-0.5, 1.5, (500, 2)).astype(np.float32)

    @jax.jit
    def descend(z):
        gradient = jax.grad(lambda z: jnp.mean(objectives.normal_marginals(z)))
        return jax.lax.fori_loop(0, 2000, lambda _, z: z - 100 * gradient(z), z)

    z = descend(start)
    assert max(ks(copulas.uniforms(z[:, c])) for c in range(2)) < 0.03
