"""Generation: the right number of jets, the same for the same seed."""

import dataclasses
import functools
import logging
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jetvae_jax import runs
from jetvae_jax.core import layers
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    VAE,
    Batch,
    Context,
    GaussianPosterior,
    Jets,
    Objective,
    Task,
)
from jetvae_jax.densities import normal
from jetvae_jax.events import domain as events_domain
from jetvae_jax.jets import domain
from jetvae_jax.models import vae as vaes
from jetvae_jax.observables.clustering import outside_share
from jetvae_jax.observables.jets import relative
from jetvae_jax.runs import generation

L, N = 4, 5
NOTHING = Objective(lambda batch, x_hat: (0.0, {}), beta=1.0)


def linear_vae():
    weight = jnp.arange(L * N * 3, dtype=jnp.float32).reshape(L, N, 3) / 50

    def encode(params, x, mask, condition=None):
        mean = jnp.mean(x, axis=-2) @ jnp.ones((3, L))
        return GaussianPosterior(mean, jnp.full_like(mean, -jnp.inf))

    def decode(params, z, condition=None):
        return jnp.einsum("...l,lnf->...nf", z, weight)

    return VAE(lambda key: {}, encode, decode, L)


@pytest.mark.parametrize("lead", [(), (7,), (layers.SLICE + 1,), (3, 211), (0,)])
def test_rows_in_slices_keep_their_order_and_their_leading_axes(lead):
    keys = jax.random.split(jax.random.key(0), (*lead, 1))[..., 0]
    x = np.arange(np.prod(lead) * 2, dtype=np.float32).reshape(*lead, 2)

    def one(row):
        key, x = row
        return {"x": x[::-1] ** 2, "u": jax.random.uniform(key)}

    made = jax.jit(lambda *rows: layers.in_slices(one, rows, axes=len(lead)))(keys, x)
    np.testing.assert_array_equal(made["x"], x[..., ::-1] ** 2)
    each = [jax.random.uniform(key) for key in keys.reshape(-1)]
    np.testing.assert_array_equal(made["u"].reshape(-1), np.array(each))


@pytest.mark.parametrize("num_jets", [1, 249, 250, 251, 1234])
def test_decode_in_slices_equals_decode_at_once(num_jets):
    vae = linear_vae()
    z = np.random.default_rng(0).normal(size=(num_jets, L)).astype(np.float32)
    decoder = vaes.deterministic(vae, NOTHING)
    context = Context(np.zeros((num_jets, 3), np.float32))
    points = jax.jit(lambda z: decoder.sample({}, jax.random.key(0), z, context))(z)
    np.testing.assert_allclose(points.x, vae.decode({}, z), rtol=1e-6)
    assert points.mask.shape == (num_jets, N) and points.mask.all()


def test_the_domain_says_which_points_of_a_deterministic_decoder_exist():
    vae = linear_vae()
    z = np.random.default_rng(0).normal(size=(7, L)).astype(np.float32)
    context = Context(np.linspace(0, 1, 21, dtype=np.float32).reshape(7, 3))

    def mask(x, context):
        return x[..., 0] > context.axis[..., :1]

    points = vaes.deterministic(vae, NOTHING, mask).sample({}, None, z, context)
    x = np.asarray(vae.decode({}, z))
    np.testing.assert_array_equal(points.mask, x[..., 0] > context.axis[:, :1])


def standard(dim=L):
    return normal.normal(dim)


def test_standardised_density_has_the_moments_and_the_density_of_its_draws():
    mean, std = np.arange(L, dtype=np.float32), 0.5 + np.arange(L, dtype=np.float32)
    density = normal.standardised(standard())
    params = {"params": {}, "mean": mean, "std": std}
    z = density.sample(params, jax.random.key(0), (20_000,))
    np.testing.assert_allclose(np.mean(z, axis=0), mean, atol=0.12)
    np.testing.assert_allclose(np.std(z, axis=0), std, rtol=0.03)
    expected = scipy.stats.norm(mean, std).logpdf(np.float64(z[:9])).sum(-1)
    np.testing.assert_allclose(density.log_prob(params, z[:9]), expected, rtol=1e-5)
    like = jax.eval_shape(density.init, jax.random.key(0))
    assert jax.tree.structure(like) == jax.tree.structure(params)


def test_latents_beyond_reach_are_drawn_again():
    reach = np.linspace(1.0, 2.0, L, dtype=np.float32)
    density = normal.standardised(standard(), reach)
    params = density.init(jax.random.key(0))
    z = density.sample(params, jax.random.key(0), (20_000,))
    assert (np.abs(z) <= reach).all()
    expected = scipy.stats.truncnorm(-reach, reach).std()
    np.testing.assert_allclose(np.std(z, axis=0), expected, rtol=0.03)


def jets_of(key):
    p = jax.random.normal(key, (generation.CHUNK, N, 3))
    return Jets(p, jnp.ones(p.shape[:-1], bool))


@pytest.mark.parametrize("num_jets", [1, generation.CHUNK, generation.CHUNK + 1])
def test_stream_gives_exactly_as_many(num_jets):
    chunks = list(generation.stream(jax.jit(jets_of), jax.random.key(1), num_jets))
    assert sum(len(jets.mask) for jets in chunks) == num_jets


def test_more_jets_only_append():
    draw, key = jax.jit(jets_of), jax.random.key(1)
    few = np.concatenate([j.particles for j in generation.stream(draw, key, 3000)])
    many = np.concatenate([j.particles for j in generation.stream(draw, key, 5000)])
    np.testing.assert_array_equal(few, many[:3000])
    assert len(np.unique(many[:, 0], axis=0)) == 5000


def test_the_device_has_the_next_chunk_while_one_is_written():
    asked = []

    def draw(key):
        asked.append(key)
        return jets_of(key)

    chunks = generation.stream(draw, jax.random.key(1), 3 * generation.CHUNK)
    assert asked == []
    for number, _ in enumerate(chunks, 1):
        assert len(asked) == min(number + 1, 3)


def test_a_stream_from_any_chunk_on_is_that_part_of_it():
    draw, key, size = jax.jit(jets_of), jax.random.key(1), generation.CHUNK
    whole = np.concatenate([j.particles for j in generation.stream(draw, key, 5000)])
    part = list(generation.stream(draw, key, 4500, 2 * size))
    assert len(part) == 1
    np.testing.assert_array_equal(part[0].particles, whole[2 * size : 4500])


def test_stream_batches_keeps_the_order_of_the_jets():
    rows = generation.CHUNK + 7
    x = np.arange(rows, dtype=np.float32)[:, None, None] * np.ones(
        (1, N, 3), np.float32
    )
    batch = Batch(x, np.ones((rows, N), bool), Context(np.zeros((rows, 3), np.float32)))

    @jax.jit
    def echo(key, batch):
        return Jets(batch.x, batch.mask)

    jets = list(generation.stream_batches(echo, jax.random.key(0), batch))
    np.testing.assert_array_equal(np.concatenate([j.particles for j in jets]), x)


def test_posterior_without_width_is_decoded_from_its_mean():
    networks = linear_vae()
    model = vaes.model(networks, Task(N, 3))
    x = np.random.default_rng(1).normal(size=(6, N, 3)).astype(np.float32)
    batch = Batch(x, np.ones((6, N), bool), Context(np.zeros((6, 3), np.float32)))
    mean = model.encode({}, batch).mean
    expected = x.mean(1).sum(-1)[:, None] * np.ones(L)
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
    points = model.decode({}, jax.random.key(0), mean, batch.context)
    np.testing.assert_allclose(points.x, networks.decode({}, mean), rtol=1e-5)


# Jets that are drawn again


def uniform(key, context):
    """Samples in [0, 1), with the axis of what they were asked for."""
    number = context.axis.shape[0]
    value = jax.random.uniform(key, (number,))
    zero = jnp.zeros(number, jnp.int32)
    return generation.Made((value, context.axis[:, 0]), zero > 0, zero, zero > 0)


def drawn_again(limit, number=2000, seed=0):
    key = jax.random.key(seed)
    context = Context(jnp.arange(3.0 * number).reshape(number, 3))
    first = uniform(key, context)
    redraw = jax.jit(generation._drawn_again, static_argnums=(0, 1))
    made = redraw(uniform, lambda s: s[0] > limit, key, context, first)
    return first, made, context


def test_refused_samples_are_drawn_from_the_rest_for_the_same_context():
    first, made, context = drawn_again(0.9)
    values, asked = made.samples
    kept = np.asarray(first.samples[0]) <= 0.9
    np.testing.assert_array_equal(values[kept], first.samples[0][kept])
    np.testing.assert_array_equal(asked, context.axis[:, 0])
    np.testing.assert_array_equal(np.asarray(made.redraws) > 0, ~kept)
    assert not made.refused.any()
    new = np.asarray(values)[~kept]
    assert scipy.stats.kstest(new / 0.9, "uniform").pvalue > 1e-3
    assert len(np.unique(values)) == len(values)
    # One in ten is refused: 1 / 0.9 draws are needed for each.
    assert int(made.redraws.sum()) == pytest.approx(2000 / 9, abs=50)


def test_what_is_always_refused_ends():
    made = drawn_again(-1.0, number=10)[1]
    assert made.refused.all()
    with pytest.raises(InputError, match=r"cluster_radius: 10 of .* 0 to 9 are no sin"):
        list(generation._reported(iter([jax.tree.map(np.asarray, made)])))


def test_generated_jets_are_single_jets(caplog):
    trained = runs.load_model("zoo:convae_gluon30")
    radius = 0.3  # within which many of these jets are not
    config = runs.GenerateConfig(latents="prior", num_jets=100, cluster_radius=radius)
    plain = dataclasses.replace(config, cluster_radius=0.0)
    with caplog.at_level(logging.INFO):
        made = runs.generated_samples(trained, config)
    assert "% of the drawn jets were no single jet" in caplog.text
    before = runs.generated_samples(trained, plain)

    def share(jets):
        outside = jax.jit(functools.partial(outside_share, radius=radius))
        return np.asarray(outside(relative(jets)))

    wide = share(before) > domain.TOLERANCE
    assert 0.1 < wide.mean() < 0.9
    assert np.all(share(made) <= domain.TOLERANCE)
    changed = np.any(made.particles != before.particles, axis=(1, 2))
    np.testing.assert_array_equal(changed, wide)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit, jax.vmap])
def test_no_part_of_a_jet_has_more_pt_than_the_jet(wrap):
    # Two particles 0.2 apart; the share of the pT of the jet that they have in sum.
    shares = np.array([0.3, 0.99, 1.004, 1.006, 1.5])
    axis = np.array([[500.0, 0.3, 3.1]] * 5)
    pt, eta, phi = np.array([300.0, 200.0]), np.array([0.4, 0.2]), 3.1
    px, py = pt * np.cos(phi), pt * np.sin(phi)
    momenta = np.stack([px, py, pt * np.sinh(eta)], axis=-1)[None].repeat(5, axis=0)
    sums = momenta.sum(axis=1)
    scale = shares * 500.0 / np.hypot(sums[:, 0], sums[:, 1])
    jets = Jets(momenta * scale[:, None, None], np.ones((5, 2), bool), axis)
    refused = wrap(domain.refused(0.45))(jets)
    np.testing.assert_array_equal(refused, shares > 1.005)
    without = jets._replace(axis=None)
    assert not wrap(domain.refused(0.45))(without).any()
    assert wrap(domain.refused(0.15))(without).all()


def test_only_jets_are_clustered():
    trained = runs.load_model("zoo:convae_gluon30")
    run = trained.run
    events = SimpleNamespace(
        domain="events", pipeline=events_domain, scaling=run.scaling
    )
    other = trained._replace(run=events)
    config = runs.GenerateConfig(latents="prior", num_jets=3, cluster_radius=0.4)
    with pytest.raises(InputError, match="this model is of events"):
        runs.generated_samples(other, config)
