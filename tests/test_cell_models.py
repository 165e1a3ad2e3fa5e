"""Models of cells: the density of the VAE, its samples, the GAN, grids."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jetvae_jax.core import layers
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Objective, Task
from jetvae_jax.densities import positive
from jetvae_jax.models import _cells, cell_gan, cell_vae

GRID, C, G, L = (2, 5, 6), 60, 2, 3
SIZES = {"num_particles": C, "jet_rows": 1, "num_conditions": G, "grid": GRID,
         "filters": (3, 4), "hidden": (8,)}  # fmt: skip
DENSE = SIZES | {"grid": (), "filters": ()}
PROFILE = SIZES | {"filters": (), "profile": 4, "means": True}


def showers(rows=6, seed=0):
    """A number of the whole, and cells of which about a third are hit."""
    rng = np.random.default_rng(seed)
    hit = rng.random((rows, C)) < 0.3
    x = np.where(hit, rng.gamma(2.0, size=(rows, C)), 0)
    x = np.concatenate([rng.normal(size=(rows, 1)), x], axis=1).astype(np.float32)
    mask = np.concatenate([np.ones((rows, 1), bool), hit], axis=1)
    context = Context(np.zeros((rows, 3)), rng.normal(size=(rows, G)))
    return jax.tree.map(jnp.asarray, Batch(x[..., None], mask, context))


@functools.cache
def built(name="convolved"):
    sizes = {"convolved": SIZES, "dense": DENSE, "profile": PROFILE}[name]
    config = cell_vae.Config(**sizes, latent_dim=L)
    objective = Objective(lambda batch, x: (x, {}), 1.0)
    task = Task(C, 1, 1, G, objective=objective, grid=config.grid)
    model = cell_vae.model(config, task)
    params = jax.jit(model.init)(jax.random.key(0))
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    # Away from the start, so that densities of cells differ.
    moved = [
        p + 0.1 * jax.random.normal(k, p.shape)
        for p, k in zip(leaves, keys, strict=True)
    ]
    return config, model, tree.unflatten(moved)


@pytest.mark.parametrize("ratio", [-4.0, -0.5, 0.0, 2.0, 20.0])
def test_positive_densities_integrate_to_one_and_samples_follow(ratio):
    logits, ratios, stds = np.log([0.3, 0.7]), np.array([ratio, 1.0]), [0.5, 0.8]
    laws = [
        stats.truncnorm(-r, np.inf, r * s, s) for r, s in zip(ratios, stds, strict=True)
    ]

    def density(x):
        return np.exp(positive.log_prob(x, logits, ratios, np.log(stds)))

    def mixed(name, x):
        return 0.3 * getattr(laws[0], name)(x) + 0.7 * getattr(laws[1], name)(x)

    x = np.linspace(0, max(law.ppf(1 - 1e-9) for law in laws), 4001)
    np.testing.assert_allclose(density(x), mixed("pdf", x), rtol=3e-3, atol=1e-6)
    assert integrate.trapezoid(density(x), x) == pytest.approx(1, rel=1e-3)
    many = (np.broadcast_to(a, (20_000, 2)) for a in (logits, ratios, np.log(stds)))
    drawn = np.asarray(positive.sample(jax.random.key(0), *many))
    assert np.all(drawn >= 0)
    assert stats.kstest(drawn, lambda x: mixed("cdf", x)).pvalue > 1e-3


def test_a_convolution_is_that_of_xla():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 6, 3)).astype(np.float32)
    module = layers.Conv2D(4)
    params = layers.init(module, jax.random.key(0), x)
    found = module.apply({"params": params}, x)
    kernel = np.asarray(params["kernel"]).reshape(3, 3, 3, 4)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(found, expected + params["bias"], atol=1e-5)


def test_blocks_of_pixels_come_back():
    x = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    blocks = layers.space_to_depth(x)
    np.testing.assert_array_equal(blocks[1, 2].reshape(2, 2, 3), x[2:4, 4:6])
    np.testing.assert_array_equal(layers.depth_to_space(blocks), x)


def test_images_have_layers_as_channels():
    config = _cells.Config(**SIZES)
    cells = np.arange(C, dtype=np.float32)[:, None]
    image = np.asarray(_cells._image(config, cells))
    assert image.shape == (8, 8, 2)  # filled up to be halved twice
    whole = cells.reshape(GRID)
    np.testing.assert_array_equal(image[:5, :6, 1], whole[1])
    assert not image[5:].any() and not image[:, 6:].any()


def mixed(name, x, components, j, c):
    """The density, or the distribution function, of a cell."""
    logits, ratios, log_stds = (a[j, c, 0] for a in components)
    values = [
        getattr(stats.truncnorm(-r, np.inf, r * s, s), name)(float(x))
        for r, s in zip(ratios, np.exp(log_stds), strict=True)
    ]
    return np.exp(logits) @ values / np.exp(logits).sum()


def loops(config, params, z, batch):
    """The log-density of the decoder, one cell after the other, in float64."""
    given = jnp.concatenate([z, batch.context.condition], axis=-1)
    network = cell_vae.Network(config)
    whole = batch.x[:, 0]
    own = {"params": params["decoder"]}
    density, cells = jax.jit(network.apply)(own, given, whole)
    density, cells = jax.tree.map(lambda a: np.asarray(a, np.float64), (density, cells))
    logit, *components = cells
    total = []
    for j in range(len(z)):
        weight = np.exp(density.logits[j, 0]) / np.exp(density.logits[j, 0]).sum()
        law = stats.norm(density.mean[j, 0, 0], np.exp(density.log_std[j, 0, 0]))
        value = np.log(weight @ law.pdf(float(whole[j, 0])))
        for c in range(C):
            p = 1 / (1 + np.exp(-logit[j, c]))
            if not batch.mask[j, 1 + c]:
                value += np.log(1 - p)
                continue
            value += np.log(p * mixed("pdf", batch.x[j, 1 + c, 0], components, j, c))
        total.append(value)
    return np.array(total)


@pytest.mark.parametrize(
    "name",
    [
        "profile",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("convolved", "dense")),
    ],
)
def test_the_density_is_that_of_its_parts(name):
    config, _, params = built(name)
    batch = showers()
    z = np.random.default_rng(3).normal(size=(6, L)).astype(np.float32)
    found, terms = jax.jit(cell_vae.decoder(config).log_prob)(params, z, batch)
    np.testing.assert_allclose(found, loops(config, params, z, batch), rtol=2e-4)
    np.testing.assert_allclose(sum(terms.values()), -found, rtol=1e-5)


def test_samples_follow_the_density():
    """Shares of hits, means of energies and the response, of one z."""
    config, model, params = built()
    rows = 4000
    z, condition = np.full((rows, L), 0.4), np.full((rows, G), -0.3)
    context = Context(np.zeros((rows, 3)), condition)
    drawn = jax.jit(model.decode)(params, jax.random.key(5), z, context)
    x, mask = np.asarray(drawn.x)[..., 0], np.asarray(drawn.mask)
    assert mask[:, 0].all() and np.all(x[~mask] == 0) and np.all(x[:, 1:] >= 0)
    network = cell_vae.Network(config)
    own = {"params": params["decoder"]}
    given = jnp.concatenate([z, condition], axis=-1)
    density, cells = jax.jit(network.apply)(own, given, x[:, :1])
    logit, *components = (np.asarray(a, np.float64) for a in cells)
    chance = 1 / (1 + np.exp(-logit))  # depends on the response
    spread = np.sqrt(np.sum(chance * (1 - chance), axis=0))
    pulls = (mask[:, 1:].sum(0) - chance.sum(0)) / spread
    assert stats.chi2(C).sf(np.sum(np.square(pulls))) > 1e-3
    hits = np.argwhere(mask[:, 1:])[::400]
    quantiles = [mixed("cdf", x[j, 1 + c], components, j, c) for j, c in hits]
    assert stats.kstest(quantiles, "uniform").pvalue > 1e-3
    weight = jax.nn.softmax(density.logits[0, 0])

    def whole(value):
        law = stats.norm(density.mean[0, 0, 0], np.exp(density.log_std[0, 0, 0]))
        return law.cdf(np.asarray(value)[:, None]) @ weight

    assert stats.kstest(x[:, 0], whole).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convolved", "profile"])
def test_gradients_are_finite_and_reach_every_parameter(name):
    _, model, params = built(name)
    batch = showers()

    def mean(params):
        return jnp.mean(model.loss(params, jax.random.key(1), batch)[0])

    gradients = jax.jit(jax.grad(mean))(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.all(np.isfinite(leaf)) and np.any(leaf != 0), path


@pytest.mark.parametrize(
    "objective", ["cramer", pytest.param("wgan_gp", marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_a_gan_of_cells(objective):
    config = cell_gan.Config(**SIZES, objective=objective, noise=3)
    model = cell_gan.model(config, Task(C, 1, 1, G, grid=GRID))
    params = jax.jit(model.init)(jax.random.key(0))
    batch = showers()
    made = jax.jit(model.sample)(params, jax.random.key(2), batch.context)
    cells = np.asarray(made.x)[:, 1:, 0]
    assert cells.min() == 0 and 0.02 < np.mean(cells > 0) < 0.2

    def means(params):
        losses, _ = model.loss(params, jax.random.key(1), batch)
        return [losses[name].mean() for name in ("generator", "critic")]

    gradients = jax.jit(jax.jacrev(means))(params)
    for of, name in zip(gradients, ("generator", "critic"), strict=True):
        for path, leaf in jax.tree_util.tree_leaves_with_path(of[name]):
            assert np.all(np.isfinite(leaf)), path
        total = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(of[name]))
        assert total > 0


def test_a_profile_moves_with_the_middle_of_the_shower():
    """By two rows and a column, for all cells that are still there."""
    config = _cells.Config(num_particles=C, grid=GRID, profile=4)
    module = _cells.Profile(config, 3)
    x = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    params = layers.init(module, jax.random.key(0), x)
    images = []
    for move in (0.0, 1.0):
        # Of each layer rows, then columns.
        bias = jnp.tile(move * jnp.array([2.0, 1.0]), GRID[0])
        moved = params | {"middle": params["middle"] | {"bias": bias}}
        images.append(np.asarray(module.apply({"params": moved}, x)))
    before, after = (image.reshape(4, *GRID, 3) for image in images)
    assert np.abs(after - before).max() > 0.05
    np.testing.assert_allclose(
        after[:, :, 2:, 1:], before[:, :, :-2, :-1], rtol=2e-4, atol=2e-5
    )


def test_means_of_cells_do_not_depend_on_their_deviations():
    """The mean over the deviation, times the deviation, is what the network gives."""
    found = []
    for width in (-1.0, -3.0):
        config = cell_vae.Config(**DENSE, latent_dim=L, means=True, cell_components=1)
        network = cell_vae.Network(config)
        given, whole = jnp.ones(L + G), jnp.ones(1)
        params = layers.init(network, jax.random.key(0), given, whole)
        bias = params["cells"]["bias"].at[:, 2].set(10.0 / _cells.FASTER)
        bias = bias.at[:, 3].set(width / _cells.FASTER)
        params = params | {"cells": params["cells"] | {"bias": bias}}
        _, (_, _, ratio, log_std) = network.apply({"params": params}, given, whole)
        found.append((ratio * jnp.exp(log_std), log_std))
    (mean, wide), (same, narrow) = found
    assert (wide - narrow > 1).all()
    np.testing.assert_allclose(mean, same, rtol=0.01)


def test_wrong_settings_give_one_line():
    with pytest.raises(InputError, match=r"grid: .* does not have 61 cells"):
        cell_vae.Config(num_particles=61, grid=GRID)
    with pytest.raises(InputError, match=r"grid: .* does not have 61 cells"):
        cell_gan.Config(num_particles=61, grid=GRID)
    with pytest.raises(InputError, match="must be positive"):
        cell_vae.Config(latent_dim=0)
    with pytest.raises(InputError, match="profile: must be 0 or at least 2"):
        cell_vae.Config(profile=1)
