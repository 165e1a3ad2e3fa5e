"""The VAE whose decoder is a density: its coordinates, likelihood and samples."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from jetvae_jax import data, models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Objective, Task
from jetvae_jax.densities import mixtures, realnvp
from jetvae_jax.densities.mixtures import Mixture, Near
from jetvae_jax.jets import domain, scaling
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.models import _ordered_particles as ordered
from jetvae_jax.models import autoregressive_vae as ar

N, G, L = 6, 1, 3
SMALL = ar.Config(
    num_particles=N, latent_dim=L, width=16, num_layers=2, heads=2, pt_components=3,
    angle_components=4, encoder_width=16, encoder_layers=1, num_conditions=G,
    near_in="angles", mirror="none",
)  # fmt: skip


@functools.cache
def jets(count=2000):
    """Embedded gluon jets, their leading particles, as the model takes them."""
    config = scaling.Config(
        coordinates="relative", method="none", axis="jet", conditions=("pt",)
    )
    loaded = data.load("embedded", max_jets=count, num_particles=N)
    scaler = scaling.fit(config, loaded.jets)
    scale = jax.jit(functools.partial(scaling.scale, config, scaler))
    batch = jax.device_get(scale(loaded.jets))
    # Some shorter jets: of six leading particles nearly all jets have six.
    count = np.random.default_rng(0).integers(1, N + 1, len(batch.mask))
    mask = batch.mask & (np.arange(N) < count[:, None])
    return Batch(np.where(mask[..., None], batch.x, 0), mask, batch.context)


@functools.cache
def built(config=SMALL, beta=1.0):
    """The model and its initial parameters, all functions compiled."""
    objective = Objective(lambda batch, x: (x, {}), beta)
    task = Task(N, 3, num_conditions=G, objective=objective, sample=lambda n: jets())
    model = ar.model(config, task)
    compiled = {
        name: jax.jit(getattr(model, name))
        for name in ("init", "loss", "sample", "encode", "decode", "log_prob")
        if getattr(model, name)
    }
    model = model._replace(**compiled)
    return model, model.init(jax.random.key(0))


def rows(batch, some):
    return jax.tree.map(lambda a: a[some], batch)


# Mixtures ---------------------------------------------------------------------------


KINDS = {"one": (1, False), "two": (2, False), "two and near": (2, True)}


def random_mixture(kind, components=3, points=4, widths=2):
    dim, has_near = KINDS[kind]
    rng = np.random.default_rng(dim)
    slope = rng.normal(size=components) if dim == 2 else None
    near = None
    if has_near:
        logits = rng.normal(size=(widths, points))
        logits[:, 1] = -1e9  # a particle that is not to be seen
        centers = rng.normal(size=(points, 2))
        centers[0] = 0.0  # has no direction
        log_std = rng.normal(size=(widths, points)) - 1
        near = Near(logits, centers, log_std, 0.7 * rng.normal(size=points))
    return Mixture(
        rng.normal(size=components), rng.normal(size=(dim, components)),
        0.3 * rng.normal(size=(dim, components)), slope, near,
    )  # fmt: skip


def gaussians(mixture):
    """Weights, means and covariances of all components, in a loop."""
    found = []
    for k, logit in enumerate(mixture.logits):
        scale = np.diag(np.exp(mixture.log_std[:, k]))
        if mixture.slope is not None:
            scale[1, 0] = mixture.slope[k] * scale[0, 0]
        found.append((np.exp(logit), mixture.mean[:, k], scale @ scale.T))
    if mixture.near is not None:
        near = mixture.near
        for m, center in enumerate(near.centers):
            # Along the x axis, then turned to the direction of the centre.
            c, s = center / np.hypot(*center) if center.any() else (1.0, 0.0)
            turn = np.array([[c, -s], [s, c]])
            scale = turn @ np.diag([np.exp(near.stretch[m]), 1.0]) @ turn.T
            for logits, log_std in zip(near.logits, near.log_std, strict=True):
                covariance = np.exp(2 * log_std[m]) * scale @ scale
                found.append((np.exp(logits[m]), center, covariance))
    total = sum(weight for weight, *_ in found)
    return [(weight / total, *rest) for weight, *rest in found]


def reference(mixture, x):
    """The density by scipy."""
    return sum(
        w * stats.multivariate_normal(*law).pdf(x) for w, *law in gaussians(mixture)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_has_the_density_of_its_gaussians(kind):
    mixture = random_mixture(kind)
    x = np.random.default_rng(0).normal(size=(20, KINDS[kind][0]))
    found = np.exp(jax.jit(mixtures.log_prob)(mixture, x))
    np.testing.assert_allclose(found, reference(mixture, x), rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_a_mixture_follow_it(kind):
    mixture, number = random_mixture(kind), 20_000
    many = jax.tree.map(lambda a: jnp.broadcast_to(a, (number, *a.shape)), mixture)
    x = np.asarray(jax.jit(mixtures.sample)(many, jax.random.key(0)))
    found = gaussians(mixture)
    np.testing.assert_allclose(x.mean(0), sum(w * m for w, m, _ in found), atol=0.05)
    # The distribution of the log-density, against draws by NumPy.
    rng = np.random.default_rng(1)
    counts = rng.multinomial(number, [w for w, *_ in found])
    other = np.concatenate(
        [
            rng.multivariate_normal(mean, cov, size=count)
            for count, (_, mean, cov) in zip(counts, found, strict=True)
        ]
    )
    logs = [np.log(reference(mixture, y)) for y in (x, other)]
    assert stats.ks_2samp(*logs).pvalue > 1e-3


def test_a_component_without_weight_is_never_drawn():
    """Wherever it is, and at the largest uniform number that there is."""
    logits = np.full(100, -1e9, np.float32)
    logits[[3, 50, 98]] = 0.3, 1.1, -12.0
    number = 300_000
    many = jnp.broadcast_to(jnp.asarray(logits), (number, 100))
    uniform = jax.random.uniform(jax.random.key(0), many.shape[:-1])
    drawn = jax.jit(mixtures._component)(many, uniform)
    found = np.bincount(np.asarray(drawn), minlength=100)
    share = np.exp(np.float64(logits))
    share /= share.sum()
    assert not found[share == 0].any()
    error = np.sqrt(number * share[share > 0])
    assert np.all(np.abs(found - number * share)[share > 0] < 5 * error)


@pytest.mark.parametrize("largest", [0.0, 1 - 2**-23])
def test_the_ends_of_the_uniform_numbers_draw_components_with_weight(largest):
    rng = np.random.default_rng(0)
    logits = np.where(
        rng.random((2000, 107)) < 0.5, -1e9, rng.normal(0, 3, (2000, 107))
    )
    uniform = jnp.full(2000, largest)
    drawn = np.asarray(mixtures._component(jnp.asarray(logits), uniform))
    assert np.all(np.take_along_axis(logits, drawn[:, None], axis=1) > -1e8)


# Coordinates ------------------------------------------------------------------------


forward = jax.jit(ordered.forward)


def constants():
    return ordered.fit(jets().x, jets().mask)


def test_coordinates_and_back():
    x, mask = jets().x, jets().mask
    y, _ = forward(constants(), x)
    before = np.concatenate([np.ones((len(x), 1)), x[:, :-1, 0]], axis=1)
    pt = ordered.following(y[..., 0], before)
    back = jax.jit(ordered.particle)(constants(), pt, y[..., 1:])
    error = np.where(mask[..., None], np.abs(back - x), 0)
    assert error.max() < 3e-6
    inside = np.asarray(y)[mask]
    np.testing.assert_allclose(inside[:, 1:].std(0), 1.0, atol=0.1)


def test_places_of_other_particles_are_about_their_coordinates():
    x, mask = jets().x, jets().mask
    y, _ = forward(constants(), x)
    # of particles with the ptrel of their own
    own = ordered.placed(constants(), x[..., 0], x[..., None, 1:]).points[..., 0, :]
    away = np.hypot(*np.moveaxis(np.asarray(own - y[..., 1:]), -1, 0))[mask]
    assert np.quantile(away, 0.5) < 0.02 and np.quantile(away, 0.95) < 0.1


def test_how_much_larger_coordinates_are_than_angles():
    """Across the direction from the axis and along it, where u = (10 r)^(2/3)."""
    rng = np.random.default_rng(0)
    pt = np.exp(rng.uniform(-6, 0, 300_000))
    r = 0.1 * rng.rayleigh(size=len(pt)) ** 1.5
    x = np.stack([pt, r, 0 * r], -1)[:, None]
    found = ordered.fit(x, np.ones(x.shape[:2], bool))
    r = np.array([0.02, 0.05, 0.1, 0.15, 0.2])
    points = np.stack([0.6 * r, -0.8 * r], -1)
    places = jax.jit(ordered.placed)(found, np.full(5, 0.05), points[None].repeat(5, 0))
    expected = (10 * r) ** (2 / 3) / r
    np.testing.assert_allclose(np.exp(places.scale[0]), expected, rtol=0.03)
    # du/dr is two thirds of u/r.
    assert np.abs(np.exp(places.stretch).mean() - 2 / 3) < 0.05
    sizes = np.hypot(*np.moveaxis(np.asarray(places.points[0]), -1, 0))
    np.testing.assert_allclose(sizes, expected * r, rtol=0.03)


def test_bins_are_fewer_for_fewer_particles():
    x, mask = jets().x, jets().mask
    for count in (1, 5, 100):
        found = ordered.fit(x[:count], mask[:count])
        shapes = {name: a.shape for name, a in found.items()}
        assert shapes == {name: a.shape for name, a in ordered.empty().items()}
        for name in ("log_pt", "radius"):
            assert np.all(np.diff(found[name]) > 0)
        y, volume = forward(found, x)
        assert np.isfinite(y).all() and np.isfinite(volume).all()


def test_the_volume_is_that_of_the_jacobian():
    x = jets().x[jets().mask.all(-1)][:40]

    def third(particle, two):
        y, _ = ordered.forward(constants(), jnp.concatenate([two, particle[None]]))
        return y[2]

    jacobian = jax.jit(jax.vmap(jax.jacfwd(third)))(x[:, 2], x[:, :2])
    _, volume = forward(constants(), x)
    expected = np.log(np.abs(np.linalg.det(np.float64(jacobian))))
    np.testing.assert_allclose(volume[:, 2], expected, atol=1e-4)


def test_particles_stay_inside_the_cone_of_those_with_their_pt():
    """However far a Gaussian draws, a particle is not much beyond the last real one."""
    known = constants()
    rng = np.random.default_rng(0)
    angles = rng.normal(size=(1000, 2)) * 5.5 / 2
    pt = np.full(1000, 0.1, np.float32)
    # v so that ptrel is 0.05, which follows a particle of 0.1
    pt = ordered.following(np.full(1000, np.log(np.log(2.0))), pt)
    x = ordered.particle(known, pt, angles)
    np.testing.assert_allclose(x[:, 0], 0.05, rtol=1e-5)
    real = jets().x[jets().mask]
    near = real[(real[:, 0] > 0.03) & (real[:, 0] < 0.08)]
    furthest = np.hypot(near[:, 1], near[:, 2]).max()
    reach = np.hypot(angles[:, 0], angles[:, 1])
    radius = np.hypot(x[:, 1], x[:, 2])
    assert np.all(radius <= furthest + 0.05 * np.maximum(reach - 5, 0) + 0.05)


EXTREME = {
    "equal pt": [[0.5, 0.1, 0.0], [0.5, -0.1, 0.0]],
    "on the axis": [[0.9, 0.0, 0.0], [0.1, 0.0, 0.0]],
    "ptrel above 1": [[1.01, 0.1, 0.0], [0.2, -0.3, 0.2]],
    "very soft": [[0.5, 0.1, 0.0], [1e-12, 0.3, 0.2]],
    "far out": [[0.5, 0.1, 0.0], [0.1, 2.0, 2.0]],
    "nothing": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
}


@functools.cache
def gradients():
    """The gradient of each jet's loss, compiled once for jets of one number."""
    model, _ = built()

    def one(params, batch):
        batch = jax.tree.map(lambda a: a[None], batch)
        return jnp.sum(model.loss(params, jax.random.key(0), batch)[0])

    return jax.jit(jax.vmap(jax.value_and_grad(one), (None, 0)))


def test_extreme_jets_have_finite_likelihood_and_gradients():
    _, params = built()
    count = len(EXTREME)
    jet = np.zeros((count, N, 3), np.float32)
    jet[:, :2] = list(EXTREME.values())
    context = Context(np.zeros((count, 3)), np.zeros((count, G), np.float32))
    batch = Batch(jet, (np.arange(N) < 2) & (jet[..., 0] > 0), context)
    value, gradient = gradients()(params, batch)
    assert np.isfinite(value).all(), dict(zip(EXTREME, value, strict=True))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


def test_gradients_reach_every_parameter_and_no_constant():
    _, params = built()
    batch = rows(jets(), slice(len(EXTREME)))
    _, gradient = gradients()(params, batch)
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        assert np.any(leaf != 0) != ("coordinates" in name), name


def inside(params, config):
    """The parameters changed so that particles are about where real ones are."""
    own = dict(params["decoder"])
    for name in ("pt", "angles", "query"):
        own[name] = own[name] | {"kernel": 0.3 * own[name]["kernel"]}
    count = config.pt_components
    bias = own["pt"]["bias"].at[1 + count : 1 + 2 * count].set(-3.0)
    if config.near:  # as wide as the others
        width = own["query"]["bias"].at[-config.near :].add(0.7)
        own["query"] = own["query"] | {"bias": width}
    return params | {"decoder": own | {"pt": own["pt"] | {"bias": bias}}}


# The density ------------------------------------------------------------------------


NEAR_IN = pytest.mark.parametrize("near_in", ["angles", "coordinates"])


@NEAR_IN
def test_log_prob_integrates_to_one(near_in):
    """Over all jets of at most one particle more than a given one, by quadrature."""
    config = dataclasses.replace(SMALL, num_particles=2, near=1, near_in=near_in)
    density = ar.decoder(config)
    task = Task(2, 3, num_conditions=G, sample=lambda n: jets())
    params = inside(jax.jit(ar.model(config, task).init)(jax.random.key(3)), config)
    first = np.float32([0.5, 0.05, -0.1])
    z, condition = np.zeros(L, np.float32), np.zeros(G, np.float32)

    @jax.jit
    def log_p(second, exists):
        x = jnp.stack([jnp.asarray(first), jnp.where(exists, second, 0.0)])
        mask = jnp.stack([True, exists])
        batch = Batch(x, mask, Context(jnp.zeros(3), condition))
        return density.log_prob(params, z, batch)[0]

    alone = float(log_p(np.ones(3, np.float32), False))
    # In the coordinates (v, u, angle), where the density is smooth.
    v = np.linspace(-9, 2.4, 60)
    u = np.linspace(0, 10, 81)[1:]
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    v, u, angle = np.meshgrid(v, u, angle, indexing="ij")
    ab = np.stack([u * np.cos(angle), u * np.sin(angle)], -1).astype(np.float32)
    particles = jax.jit(ordered.particle)(
        params["coordinates"], ordered.following(v.astype(np.float32), 0.5), ab
    )

    @jax.jit
    def both(second):
        x = jnp.stack([jnp.asarray(first), second])
        volume = ordered.forward(params["coordinates"], x)[1][1]
        return log_p(second, True) - volume

    flat = particles.reshape(-1, 3)
    logs = np.asarray(jax.lax.map(both, flat, batch_size=len(flat) // 4))
    density_at = np.exp(logs - alone).reshape(v.shape) * u
    total = integrate.simpson(density_at.sum(-1) * 2 * np.pi / 16, x=u[0, :, 0])
    total = integrate.simpson(total, x=v[:, 0, 0])

    # p(second) / p(none) = p(exists) / p(does not exist)
    @jax.jit
    def logits(x):
        y, _ = ordered.forward(params["coordinates"], x)
        description = ordered.describe_all(x, y)
        given = np.concatenate([z, condition])
        return ar.Network(config).apply(
            {"params": params["decoder"]}, description, given, y[:, 0],
            ordered.Places(jnp.zeros((2, 1, 2)), *jnp.zeros((2, 2, 1))),
        )[0]  # fmt: skip

    expected = np.exp(logits(np.stack([first, 0 * first]))[1])
    np.testing.assert_allclose(total, expected, rtol=1e-2)


@NEAR_IN
def test_samples_follow_the_likelihood(near_in):
    """Importance weights of samples of one density under another average to one."""
    config = dataclasses.replace(SMALL, latent_dim=0, near_in=near_in)
    model, params = built(config)
    params = inside(params, config)
    other = jax.tree.map(lambda a: 1.02 * a, params["decoder"])
    target = params | {"decoder": other}
    context = Context(np.zeros((5000, 3)), np.zeros((5000, G), np.float32))
    points = model.sample(params, jax.random.key(0), context)
    batch = Batch(points.x, points.mask, context)
    logs = [model.log_prob(p, jax.random.key(0), batch) for p in (params, target)]
    weight = np.exp(np.float64(logs[1] - logs[0]))
    error = weight.std() / np.sqrt(len(weight))
    assert 1e-4 < error < 0.02  # the two densities differ, and not too much
    assert abs(weight.mean() - 1) < 4 * error


def test_the_cached_network_is_the_one_that_is_trained():
    _, params = built()
    net = functools.partial(ar.Network(SMALL).apply, {"params": params["decoder"]})

    @jax.jit
    def both(x, condition):
        """Logits and mixtures of all particles at once, and one by one."""
        y, _ = ordered.forward(params["coordinates"], x)
        description = ordered.describe_all(x, y)
        given = jnp.concatenate([jnp.ones((8, L)), condition], -1)
        places = ordered.placed(params["coordinates"], x[..., 0], x[:, None, :-1, 1:])
        shape = (8, SMALL.heads, N, SMALL.width // SMALL.heads)
        cache = [(jnp.zeros(shape), jnp.zeros(shape))] * SMALL.num_layers
        keys, steps = jnp.zeros((8, SMALL.near, N, ar.KEY)), []
        for i in range(N):
            last = description[:, max(i - 1, 0)]
            state, cache = net(last, given, cache, i, method="step")
            keys = keys.at[:, :, i].set(net(state, method="keys"))
            angles = net(
                state, y[:, i, 0], keys[:, :, 1:],
                jax.tree.map(lambda a, i=i: a[:, i], places),
                jnp.arange(N - 1) < i, method="angle_density",
            )  # fmt: skip
            steps.append((*net(state, method="pt_density"), angles))
        return net(description, given, y[..., 0], places), steps

    batch = rows(jets(), slice(8))
    whole, steps = both(batch.x, batch.context.condition)
    for i, step in enumerate(steps):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a, b[:, i], atol=1e-4),
            step, whole,
        )  # fmt: skip


@pytest.mark.slow
def test_samples_do_not_depend_on_how_often_room_is_made(monkeypatch):
    monkeypatch.setattr(ar, "NEAR_LOGIT", -3.0)  # most are near earlier particles
    _, params = built()
    context = rows(jets().context, slice(200))
    z = jax.random.normal(jax.random.key(4), (200, L))

    def sample():  # of a new decoder, which nothing has compiled
        decoder = ar.decoder(SMALL)
        return jax.jit(decoder.sample)(params, jax.random.key(5), z, context)

    assert ar._stops(N) == [N]
    once = sample()
    monkeypatch.setattr(ar, "ROOM", 2)
    assert ar._stops(N) == [2, 4, 6] and ar._stops(7) == [2, 4, 6, 7]
    often = sample()
    np.testing.assert_array_equal(once.mask, often.mask)
    np.testing.assert_allclose(once.x, often.x, atol=1e-4)


def test_the_model_says_which_particles_exist():
    model, params = built()
    context = rows(jets(), slice(500)).context
    points = model.sample(params, jax.random.key(1), context)
    assert points.x.shape == (500, N, 3) and points.mask.shape == (500, N)
    assert points.mask[:, 0].all()
    assert not np.any(points.mask[:, 1:] & ~points.mask[:, :-1])
    assert len(np.unique(points.mask.sum(-1))) > 1
    assert np.all(points.x[~points.mask] == 0)
    pt = np.where(points.mask, points.x[..., 0], 0)
    assert np.all(pt[:, 1:] <= pt[:, :-1]) and np.all(pt[points.mask] > 0)
    again = model.sample(params, jax.random.key(1), context)
    jax.tree.map(np.testing.assert_array_equal, points, again)


# The VAE ----------------------------------------------------------------------------


def test_the_bound_is_the_loss_and_latents_matter():
    model, params = built()
    batch = rows(jets(), slice(50))
    key = jax.random.key(2)
    loss, terms = model.loss(params, key, batch)
    assert loss.shape == (50,) and set(terms) == {"pt", "angles", "count", "kl"}
    np.testing.assert_allclose(loss, sum(terms.values()), rtol=1e-5)
    bound = model.log_prob(params, jax.random.split(key)[0], batch)
    np.testing.assert_allclose(bound, -loss, rtol=1e-5)
    z = np.zeros((50, L), np.float32)
    one, other = (
        model.decode(params, key, latents, batch.context) for latents in (z, z + 2)
    )
    assert np.any(one.x != other.x)


def test_free_nats_cost_nothing_until_they_are_used():
    model, params = built(dataclasses.replace(SMALL, free_nats=1e3))
    plain, _ = built()
    batch, key = rows(jets(), slice(50)), jax.random.key(2)
    loss, terms = model.loss(params, key, batch)
    expected = plain.loss(params, key, batch)[0] - terms["kl"] + 1e3
    np.testing.assert_allclose(loss.mean(), expected.mean(), rtol=1e-5)


def test_padding_has_no_influence():
    model, params = built()
    batch = rows(jets(), slice(50))
    filled = batch._replace(x=np.where(batch.mask[..., None], batch.x, np.nan))
    posterior = model.encode(params, batch)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-6),
        model.encode(params, filled), posterior,
    )  # fmt: skip
    value = model.log_prob(params, jax.random.key(0), filled)
    np.testing.assert_allclose(
        value, model.log_prob(params, jax.random.key(0), batch), rtol=1e-6
    )


def test_mirror_images_are_drawn_in_training():
    batch = rows(jets(), slice(400))
    for mirror, changed in (("none", []), ("phi", [2]), ("both", [1, 2])):
        config = dataclasses.replace(SMALL, mirror=mirror)
        x = np.asarray(ar.mirrored(config, jax.random.key(0), batch).x)
        np.testing.assert_array_equal(np.abs(x), np.abs(batch.x))
        for feature in range(3):
            share = np.mean(x[:, 0, feature] != batch.x[:, 0, feature])
            assert abs(share - (0.5 if feature in changed else 0)) < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 15}, r"^width: must be a multiple of heads = 2, got 15"),
        ({"latent_dim": -1}, r"^latent_dim: must not be negative"),
        ({"num_particles": 0}, r"^num_particles: must be positive"),
    ],
)
def test_sizes_that_cannot_be(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SMALL, **change)


def test_wrong_tasks_give_one_line():
    module = models.get("autoregressive_vae")
    with pytest.raises(InputError, match=r"of particles \(ptrel, etarel, phirel\)"):
        module.model(SMALL, Task(N, 4))
    published = Objective(lambda batch, x: (x, {}), 0.99, 0.01)
    with pytest.raises(InputError, match=r"--objective\.form=classic"):
        module.model(SMALL, Task(N, 3, objective=published))


@pytest.mark.slow
def test_constants_do_not_change_in_training():
    model, _ = built()
    step = training.model_step(
        model, training.Config(weight_decay=0.5, averaging=0.9), num_jets=1000
    )
    state = jax.jit(step.init)(jax.random.key(0))
    first = jax.device_get(state)
    for i in range(3):
        state, _ = jax.jit(step.update)(
            state, jax.random.key(i), rows(jets(), slice(64))
        )
    for params in (state.params, state.average):
        jax.tree.map(
            np.testing.assert_array_equal,
            params["coordinates"], first.params["coordinates"],
        )  # fmt: skip
    assert np.any(state.params["decoder"]["start"] != first.params["decoder"]["start"])


@pytest.mark.slow
def test_it_goes_through_all_steps(tmp_path):
    """Trained, resumed, with a flow on its latents, generated and evaluated."""
    quick = training.Config(num_epochs=1, batch_size=50)
    run = runs.ModelRun(
        data=domain.Data(max_jets=600, num_particles=N),
        scaling=domain.Scaling(
            coordinates="relative", method="none", axis="jet", conditions=("pt",)
        ),
        model="autoregressive_vae",
        model_config=SMALL,
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(form="classic", beta=1.0),
        training=quick,
    )
    runs.train(tmp_path, run)
    flow = realnvp.Config(num_couplings=2, hidden=(8,))
    runs.fit_density(tmp_path, runs.FlowRun("realnvp", flow, "samples", quick))
    made = {}
    for latents, asked in (
        ("prior", {}),
        ("flow", {"condition": ("pt=1000",)}),
        ("reconstruction", {}),
    ):
        config = runs.GenerateConfig(latents=latents, num_jets=90, **asked)
        made[latents] = data.load(
            str(runs.generate(tmp_path, config)), num_particles=N, repair=True
        )
    np.testing.assert_allclose(made["flow"].axis[:, 0], 1000, rtol=1e-4)
    assert made["prior"].axis[:, 0].std() > 50
    result = json.loads((tmp_path / "config.json").read_text())
    assert result["model"]["name"] == "autoregressive_vae"
