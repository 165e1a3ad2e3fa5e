"""Scaling: round trips, exact values by float64 NumPy, padding and the mask rule."""

import functools
from statistics import NormalDist
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core import kinematics
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.jets import domain, scaling

HINTS = get_type_hints(scaling.Config)
METHODS, PADDINGS = get_args(HINTS["method"]), get_args(HINTS["padding"])
POINTWISE = [c for c in scaling.FEATURES if c != "frame"]

FLOORS = {"cylindrical": 0.1, "relative": 1e-4}
# The logarithm needs pt as a feature.
METHODS_OF = {
    c: [m for m in METHODS if m != "log" or c in ("cylindrical", "relative")]
    for c in scaling.FEATURES
}

ALL = [
    scaling.Config(coordinates=c, method=m, padding=g)
    for c in scaling.FEATURES
    for m in METHODS_OF[c]
    for g in PADDINGS
]
ALL += [
    scaling.Config(coordinates=c, method=m, padding=g, rotate="principal")
    for c in ("relative", "frame")
    for m, g in (("minmax", "away"), ("slots", "zero"), ("quantile", "zero"))
]


def name(config):
    turned = "-turned" if config.rotate == "principal" else ""
    return f"{config.coordinates}-{config.method}-{config.padding}{turned}"


TURNED_OFTEN = (("relative", "minmax"), ("frame", "slots"))


def often(config):
    """Every kind of coordinates, method and padding, not all of their products."""
    if config.rotate == "principal":
        return (config.coordinates, config.method) in TURNED_OFTEN
    if config.coordinates == "relative":
        return config.padding == "zero" or config.method == "minmax"
    some = {"cartesian": "minmax none", "cylindrical": "minmax log"}
    some["frame"] = "slots quantile"
    return config.padding == "zero" and config.method in some[config.coordinates]


def marked(configs):
    slow = pytest.mark.slow
    return [
        pytest.param(c, id=name(c), marks=() if often(c) else slow) for c in configs
    ]


each = pytest.mark.parametrize("config", marked(ALL))
# The method only sets the numbers in the scaler: one will do for their use.
one_method = pytest.mark.parametrize(
    "config", marked(c for c in ALL if c.method == "minmax")
)


@pytest.fixture(scope="module")
def jets(make_jets):
    jets = make_jets(64, 6)
    # Softer particles would rightly not survive the mask rule.
    assert np.hypot(jets.particles[..., 0], jets.particles[..., 1])[jets.mask].min() > 1
    return jets


@pytest.fixture(scope="module")
def fitted(jets):
    """``config -> scaler``, fitted once."""
    return functools.cache(lambda config: scaling.fit(config, jets))


@pytest.fixture(scope="module")
def scaled(jets, fitted):
    """``config -> batch`` of all jets, scaled once."""

    def scale(config):
        return jax.jit(functools.partial(scaling.scale, config, fitted(config)))(jets)

    return functools.cache(scale)


def physical(coordinates, jets):
    """The features in float64 NumPy, zeros on padding, written out by hand."""
    p = jets.particles.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        pt = np.hypot(p[..., 0], p[..., 1])
        eta = np.arctanh(p[..., 2] / np.linalg.norm(p, axis=-1))
        phi = np.arctan2(p[..., 1], p[..., 0])
    total = p.sum(axis=1)
    jet_pt = np.hypot(total[:, 0], total[:, 1])[:, None]
    jet_eta = np.arctanh(total[:, 2] / np.linalg.norm(total, axis=-1))[:, None]
    jet_phi = np.arctan2(total[:, 1], total[:, 0])[:, None]
    turn = np.angle(np.exp(1j * (phi - jet_phi)))
    turned = [pt * np.cos(turn), pt * np.sin(turn), pt * np.sinh(eta - jet_eta)]
    features = {
        "cartesian": p,
        "cylindrical": np.stack([pt, eta, phi], -1),
        "relative": np.stack([pt / jet_pt, eta - jet_eta, turn], -1),
        "frame": np.stack(turned, -1) / jet_pt[..., None],
    }[coordinates]
    return np.where(jets.mask[..., None], features, 0)


def turned_to_principal(coordinates, v, jets, axis):
    """Features turned so that, by eigenvectors, the principal axis comes first."""
    out = np.zeros_like(v)
    for i, exists in enumerate(jets.mask):
        q = v[i, exists]
        weight, points = q[:, 0], q[:, 1:]
        if coordinates == "frame":
            weight = np.linalg.norm(q, axis=-1)
            points = points / weight[:, None]
        _, vectors = np.linalg.eigh(np.einsum("n,ni,nj", weight, points, points))
        first = vectors[:, -1]
        third = np.sum(weight * (points @ first) ** 3)
        found = np.array([np.cos(axis[i, 3]), np.sin(axis[i, 3])])
        # Of two equally heavy sides rounding picks one.
        size = np.sum(weight * np.abs(points @ first) ** 3)
        first *= np.sign(third if abs(third) > 1e-3 * size else first @ found)
        np.testing.assert_allclose(found, first, atol=1e-3)
        cos, sin = found
        turn = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
        out[i, exists] = q @ turn.T
    return out


def particle_rows(config, x):
    return np.asarray(x)[..., config.jet_rows :, :]


@each
def test_round_trip(config, jets, fitted, scaled):
    scaler, batch = fitted(config), scaled(config)

    @jax.jit
    def back_again(x, axis):
        smooth = scaling.momenta(config, scaler, x, axis)
        return scaling.unscale(config, scaler, x, axis), smooth

    back, smooth = back_again(batch.x, batch.context.axis)
    np.testing.assert_array_equal(back.mask, jets.mask)
    # One float32 rounding of the widest range, and of angles times the momentum.
    size = np.abs(jets.particles).max()
    np.testing.assert_allclose(back.particles, jets.particles, atol=3e-6 * size)
    assert not np.any(np.asarray(back.particles)[~jets.mask])
    np.testing.assert_allclose(smooth, jets.particles, atol=3e-6 * size)


@each
def test_values(config, jets, scaled):
    batch = scaled(config)
    v = physical(config.coordinates, jets)
    if config.rotate == "principal":
        v = turned_to_principal(config.coordinates, v, jets, batch.context.axis)
    if config.log_pt:
        v[..., 0] = np.log1p(v[..., 0] / FLOORS[config.coordinates])
    real = v[jets.mask]
    rows = particle_rows(config, batch.x)
    x = rows[jets.mask]
    if config.method == "minmax":
        seen = rows.reshape(-1, 3)
        np.testing.assert_allclose(seen.min(0), 0, atol=1e-5)
        np.testing.assert_allclose(seen.max(0), 1, atol=1e-5)
        if config.padding == "zero":
            low, high = v.min((0, 1)), v.max((0, 1))
            np.testing.assert_allclose(x, (real - low) / (high - low), atol=1e-5)
    elif config.method in ("standard", "log"):
        expected = (real - real.mean(0)) / real.std(0)
        np.testing.assert_allclose(x, expected, atol=1e-4)
    elif config.method == "slots":
        for slot in range(rows.shape[1]):
            real = v[:, slot][jets.mask[:, slot]]
            expected = (real - real.mean(0)) / real.std(0)
            x = rows[:, slot][jets.mask[:, slot]]
            np.testing.assert_allclose(x, expected, atol=1e-3)
    elif config.method == "quantile":
        for column, values in zip(x.T, real.T, strict=True):
            # In the order of the values, and by their ranks a normal distribution.
            scores = column[np.argsort(values, kind="stable")]
            assert np.all(np.diff(scores) > -1e-4)
            shares = (np.arange(len(scores)) + 0.5) / len(scores)
            expected = [NormalDist().inv_cdf(share) for share in shares]
            inner = np.abs(expected) < 2
            np.testing.assert_allclose(
                scores[inner], np.array(expected)[inner], atol=0.15
            )
    elif config.method == "factors":
        times = {
            "frame": [1, 1, 1],
            "cartesian": [1 / 2000] * 3,
            "cylindrical": [1 / 2000, 1, 1],
            "relative": [1, 100, 100],
        }[config.coordinates]
        np.testing.assert_allclose(x, real * times, rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_allclose(x, real, rtol=1e-5, atol=1e-3)


@one_method
def test_padding_is_at_its_place_and_has_no_gradient(config, jets, fitted):
    scaler = fitted(config)
    spoiled = Jets(np.where(jets.mask[..., None], jets.particles, np.nan), jets.mask)
    batch = jax.jit(functools.partial(scaling.scale, config, scaler))(spoiled)
    padding = np.broadcast_to(
        particle_rows(config, scaler.padding), jets.particles.shape
    )
    rows = particle_rows(config, batch.x)
    np.testing.assert_array_equal(rows[~jets.mask], padding[~jets.mask])

    def total(particles):
        x = scaling.scale(config, scaler, Jets(particles, jets.mask)).x
        return jnp.sum(jnp.sin(x))

    gradient = np.asarray(jax.jit(jax.grad(total))(jets.particles))
    assert np.all(gradient[~jets.mask] == 0)
    assert np.all(np.isfinite(gradient)) and np.all(gradient[jets.mask].any(-1))


@one_method
def test_plain_jit_and_vmap_agree(config, jets, fitted):
    scaler = fitted(config)

    def there_and_back(particles, mask):
        batch = scaling.scale(config, scaler, Jets(particles, mask))
        jets = scaling.unscale(config, scaler, batch.x, batch.context.axis)
        return batch, jets.particles, jets.mask

    plain = there_and_back(*jets[:2])
    size = np.abs(jets.particles).max()
    for function in (there_and_back, jax.vmap(there_and_back)):
        other = jax.jit(function)(*jets[:2])
        np.testing.assert_allclose(other[0].x, plain[0].x, atol=1e-4)
        np.testing.assert_allclose(other[1], plain[1], atol=3e-6 * size)
        np.testing.assert_array_equal(other[2], plain[2])


@one_method
def test_momenta_are_finite_with_finite_gradients_anywhere(config, fitted):
    scaler = fitted(config)
    odd = [[0, 0, 0], [1e3, -1e3, 1e3], scaler.padding[-1], [-50, 900, -900]]
    x = jnp.asarray([odd[i % 4] for i in range(6 + config.jet_rows)], jnp.float32)
    axis = jnp.asarray([1000.0, 1.0, 3.0, 0.4])

    def total(x):
        return jnp.sum(scaling.momenta(config, scaler, x, axis))

    value, gradient = jax.jit(jax.value_and_grad(total))(x)
    assert np.isfinite(value) and np.all(np.isfinite(gradient))
    assert np.any(np.asarray(gradient) != 0)


def test_frame_rows_are_the_jet_and_the_direction_needs_no_length(jets):
    config = scaling.Config(coordinates="frame", method="slots")
    scaler = scaling.fit(config, jets)
    batch = scaling.scale(config, scaler, jets)
    rows = np.asarray(batch.x[:, :2] * scaler.factor[:2] + scaler.offset[:2])
    total = jets.particles.astype(np.float64).sum(1)
    pt = np.hypot(total[:, 0], total[:, 1])
    expected = np.zeros((len(pt), 2, 3))
    expected[:, 0, :2] = np.stack([np.log(pt), np.arcsinh(total[:, 2] / pt)], -1)
    expected[:, 1, :2] = total[:, :2] / pt[:, None]
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    assert np.asarray(batch.mask).sum() == jets.mask.sum() + 2 * len(jets.mask)
    longer = (3 * rows[:, 1] - scaler.offset[1]) / scaler.factor[1]
    p = scaling.momenta(
        config, scaler, batch.x.at[:, 1].set(longer), batch.context.axis
    )
    np.testing.assert_allclose(p, jets.particles, atol=1e-2)


@pytest.mark.parametrize(
    "config",
    [c for c in ALL if c.method == "minmax" and c.rotate == "none" and not c.jet_rows],
    ids=name,
)
def test_gradient_of_momenta(config, jets, fitted):
    # Central differences in float64 need NumPy: the formulas once more.
    scaler = fitted(config)
    x = np.asarray(scaling.scale(config, scaler, jets).x)[0, 0].astype(np.float64)
    axis = np.array([1100.0, 0.4, 3.0])

    def reference(x):
        v = scaler.offset[0] + scaler.factor[0] * x
        if config.coordinates == "cartesian":
            return v
        if config.coordinates == "relative":
            v = np.array([v[0] * axis[0], v[1] + axis[1], v[2] + axis[2]])
        return v[0] * np.array([np.cos(v[2]), np.sin(v[2]), np.sinh(v[1])])

    jacobian = jax.jit(
        jax.jacobian(lambda x: scaling.momenta(config, scaler, x[None], axis)[0])
    )(jnp.asarray(x, jnp.float32))
    step = 1e-5
    expected = np.stack(
        [
            (reference(x + step * e) - reference(x - step * e)) / (2 * step)
            for e in np.eye(3)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(jacobian, expected, rtol=1e-3, atol=1e-2)


def test_a_particle_far_from_its_jet_does_not_exist():
    # One hard particle along x; soft ones 0.5 and 2 away in phi, one 2 away in eta.
    angles = [(0.0, 0.0), (0.0, 0.5), (0.0, 2.0), (2.0, 0.0)]
    pts = [900.0, 3.0, 3.0, 3.0]
    p = np.array(
        [
            (pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta))
            for pt, (eta, phi) in zip(pts, angles, strict=True)
        ],
        np.float32,
    )
    x, axis = p[None], np.zeros((1, 3), np.float32)
    scaler = scaling.Scaler(*np.zeros((3, 1, 3), np.float32), np.zeros((0, 3)))
    scaler = scaler._replace(factor=np.ones((1, 3), np.float32))
    for limit, kept in ((0.0, [1, 1, 1, 1]), (1.0, [1, 1, 0, 0]), (0.4, [1, 0, 0, 0])):
        config = scaling.Config(method="none", max_angle=limit)
        jets = scaling.unscale(config, scaler, x, axis)
        np.testing.assert_array_equal(jets.mask[0], np.array(kept, bool))
        assert not np.asarray(jets.particles)[~np.asarray(jets.mask)].any()


def test_mask_rule_is_per_particle_and_strict():
    config = scaling.Config(method="none", min_pt=0.25)
    scaler = scaling.Scaler(
        *np.array([[[0, 0, 0]], [[1, 1, 1]], [[0, 0, 0.0]]]), np.empty(0)
    )
    x = np.array(
        [
            [0.25, 0, 900],
            [0.2501, 0, 0],
            [0.2, 0.2, 1e-9],
            [np.nan, 9, 9],
            [9, np.inf, 9],
        ]
    )
    jets = scaling.unscale(config, scaler, x, np.zeros(3))
    np.testing.assert_array_equal(jets.mask, [False, True, True, False, False])
    np.testing.assert_allclose(jets.particles[1:3], x[1:3], rtol=1e-6)
    assert not np.any(np.asarray(jets.particles)[[0, 3, 4]])


@pytest.mark.parametrize("coordinates", ["cylindrical", "relative"])
def test_negative_pt_does_not_exist(jets, coordinates):
    config = scaling.Config(coordinates=coordinates, method="none")
    scaler = scaling.fit(config, jets)
    axis = np.array([1000.0, 0, 0])
    x = np.array([[-0.5, 0.1, 0.1], [0.5, 0.1, 0.1]])
    mask = scaling.unscale(config, scaler, x, axis).mask
    np.testing.assert_array_equal(mask, [False, True])


@pytest.mark.parametrize("coordinates", POINTWISE)
@pytest.mark.parametrize("method", ["minmax", "standard", "factors", "none"])
def test_padding_away_is_outside_and_recognised_halfway(jets, coordinates, method):
    config = scaling.Config(coordinates=coordinates, method=method, padding="away")
    scaler = scaling.fit(config, jets)
    v = physical(coordinates, jets)[jets.mask]
    padding = (scaler.offset + scaler.factor * scaler.padding)[0]
    first = 0 if coordinates == "cartesian" else 1
    np.testing.assert_allclose(
        padding[first:], 2 * np.abs(v).max(0)[first:], rtol=1e-4, atol=1e-4
    )
    if first:
        assert abs(padding[0]) < 1e-3

    # From the far corner of the particles to padding, at full pt.
    axis = np.array([1000.0, 0.0, 0.0])
    corner = padding / 2
    corner[:first] = 0.5 if coordinates == "relative" else 500
    path = np.linspace(0, 1, 21)[:, None]
    target = padding.copy()
    target[:first] = corner[:first]
    points = (1 - path) * corner + path * target
    x = (points - scaler.offset) / scaler.factor
    mask = np.asarray(scaling.unscale(config, scaler, x, axis).mask)
    np.testing.assert_array_equal(mask[:10], True)
    np.testing.assert_array_equal(mask[11:], False)
    p = np.asarray(scaling.momenta(config, scaler, x, axis))
    assert not p[11:].any() and p[:10].any(-1).all()


def test_axes_are_those_of_the_first_training_jets(make_jets, monkeypatch):
    jets = make_jets(30)
    config = scaling.Config(coordinates="relative")
    axes = scaling.fit(config, jets).axes
    total = jets.particles.astype(np.float64).sum(1)
    pt = np.hypot(total[:, 0], total[:, 1])
    expected = np.stack(
        [pt, np.arcsinh(total[:, 2] / pt), np.arctan2(total[:, 1], total[:, 0])], -1
    )
    np.testing.assert_allclose(axes, expected, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(scaling, "MAX_AXES", 7)
    np.testing.assert_array_equal(scaling.fit(config, jets).axes, axes[:7])
    for coordinates in ("cartesian", "cylindrical"):
        config = scaling.Config(coordinates=coordinates)
        assert scaling.fit(config, jets).axes.shape == (0, 3)


def test_relative_angles_cross_the_seam():
    phi = np.array([3.1, -3.1])
    p = np.stack([500 * np.cos(phi), 500 * np.sin(phi), 0 * phi], -1)[None]
    jets = Jets(p.astype(np.float32), np.ones((1, 2), bool))
    config = scaling.Config(coordinates="relative", method="none")
    scaler = scaling.fit(config, jets)
    batch = scaling.scale(config, scaler, jets)
    np.testing.assert_allclose(batch.x[0, :, 2], [3.1 - np.pi, np.pi - 3.1], atol=1e-5)
    back = scaling.unscale(config, scaler, batch.x, batch.context.axis)
    np.testing.assert_allclose(back.particles, p, atol=1e-3)


@each
def test_constant_features(config):
    p = np.tile(np.array([300.0, 0, 0], np.float32), (4, 3, 1))
    jets = Jets(p, np.ones((4, 3), bool))
    scaler = scaling.fit(config, jets)
    assert np.all(np.asarray(scaler.factor) > 0)

    @jax.jit
    def there_and_back(jets):
        batch = scaling.scale(config, scaler, jets)
        return batch, scaling.unscale(config, scaler, batch.x, batch.context.axis)

    batch, back = there_and_back(jets)
    assert np.all(np.isfinite(batch.x))
    np.testing.assert_array_equal(back.mask, jets.mask)
    np.testing.assert_allclose(back.particles, p, atol=1e-3)


def test_statistics_do_not_depend_on_the_block(jets, monkeypatch):
    config = scaling.Config(method="standard")
    whole = scaling.fit(config, jets)
    monkeypatch.setattr(scaling, "ROWS", 7)
    blocks = scaling.fit(config, jets)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), whole, blocks
    )


class Chunks:
    """Jets as a stream hands them out."""

    def __init__(self, jets):
        self.jets = jets

    def chunks(self, rows):
        for start in range(0, len(self.jets.mask), min(rows, 10)):
            yield jax.tree.map(lambda a, s=start: a[s : s + 10], self.jets)


@pytest.mark.parametrize(
    ("coordinates", "method"), [("relative", "quantile"), ("frame", "slots")]
)
def test_a_stream_gives_the_scaler_of_the_whole(jets, coordinates, method):
    config = scaling.Config(coordinates=coordinates, method=method, rotate="principal")
    streamed = scaling.fit(config, Chunks(jets))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)
    jax.tree.map(close, scaling.fit(config, jets), streamed)


def test_quantiles_of_many_particles_come_from_some(make_jets, monkeypatch):
    jets = make_jets(2000, 4)
    config = scaling.Config(coordinates="relative", method="quantile")
    whole = scaling.fit(config, jets).knots
    monkeypatch.setattr(scaling, "SAMPLE", 1600)
    some = scaling.fit(config, Chunks(jets)).knots
    assert np.any(whole != some)
    middle = slice(64, 193)  # two deviations
    np.testing.assert_allclose(some[middle], whole[middle], atol=0.3)


def test_no_chunks():
    with pytest.raises(InputError, match="no training jets"):
        scaling.fit(
            scaling.Config(), Chunks(Jets(np.empty((0, 4, 3)), np.empty((0, 4))))
        )


@pytest.mark.parametrize("coordinates", ["relative", "frame"])
def test_a_drawn_angle_turns_the_jet_about_its_axis(jets, coordinates):
    config = scaling.Config(coordinates=coordinates, method="none", rotate="principal")
    scaler = scaling.fit(config, jets)
    batch = scaling.scale(config, scaler, jets)
    axis = np.asarray(batch.context.axis)
    by = np.linspace(-3, 3, len(axis)).astype(np.float32)
    axis = np.concatenate([axis[:, :3], axis[:, 3:] + by[:, None]], -1)
    turned = scaling.unscale(config, scaler, batch.x, axis)
    np.testing.assert_array_equal(turned.mask, jets.mask)
    features = kinematics.to_frame if coordinates == "frame" else kinematics.to_relative
    old, new = (
        np.asarray(features(j.particles, axis)[..., 1:], np.float64) @ [1, 1j]
        for j in (jets, turned)
    )
    size = np.abs(old).max()
    np.testing.assert_allclose(new, old * np.exp(1j * by)[:, None], atol=1e-5 * size)


def axes_of(config, jets, key, count):
    contexts = domain.contexts(config, scaling.fit(config, jets), ContextRequest())
    context = contexts(key, count)
    assert context.condition is None
    return np.asarray(context.axis)


def test_drawn_axes(jets):
    key, count = jax.random.key(0), 500
    relative = scaling.Config(coordinates="relative")
    turned = scaling.Config(coordinates="relative", rotate="principal")
    library = scaling.fit(relative, jets)
    axes = axes_of(relative, jets, key, count)
    rows = jax.random.randint(key, (count,), 0, len(library.axes))
    np.testing.assert_array_equal(axes, library.axes[np.asarray(rows)])
    axes = axes_of(turned, jets, key, count)
    assert set(axes[:, 0]) <= set(library.axes[:, 0])
    counts, _ = np.histogram(axes[:, 3], 4, (-np.pi, np.pi))
    assert axes.shape == (count, 4) and np.all(np.abs(counts - 125) < 50)
    frame = scaling.Config(coordinates="frame", rotate="principal")
    axes = axes_of(frame, jets, key, count)
    assert axes.shape == (count, 4) and not np.any(axes[:, :3])
    axes = axes_of(scaling.Config(), jets, key, 3)
    np.testing.assert_array_equal(axes, np.zeros((3, 3)))


def test_axis_and_condition_are_of_the_same_jet(make_jets):
    jets = make_jets(300)
    names = ("multiplicity", "pt", "mass")
    config = scaling.Config(coordinates="relative", conditions=names)
    scaler = scaling.fit(config, jets)
    batch = scaling.scale(config, scaler, jets)
    assert domain.sizes(domain.Data(), config)["num_conditions"] == 3
    center, width = scaler.condition_units
    physical = np.asarray(batch.context.condition) * width + center
    p = np.asarray(jets.particles, np.float64)
    total, energy = p.sum(1), np.linalg.norm(p, axis=-1).sum(1)
    expected = {
        "multiplicity": jets.mask.sum(-1),
        "pt": np.hypot(total[:, 0], total[:, 1]),
        "mass": np.sqrt(energy**2 - np.square(total).sum(-1)),
    }
    for i, name in enumerate(names):
        np.testing.assert_allclose(physical[:, i], expected[name], rtol=2e-3)
    key, known = jax.random.key(1), {}
    for pt, multiplicity in zip(expected["pt"], expected["multiplicity"], strict=True):
        known[round(float(pt), 1)] = multiplicity
    drawn = domain.contexts(config, scaler, ContextRequest())(key, 50)
    physical = np.asarray(drawn.condition) * width + center
    np.testing.assert_allclose(physical[:, 1], drawn.axis[:, 0], rtol=1e-4)
    for pt, row in zip(np.asarray(drawn.axis)[:, 0], physical, strict=True):
        assert known[round(float(pt), 1)] == round(row[0])
    # What the user asks for; the axis follows, and the rest goes with it.
    request = ContextRequest(condition={"pt": 1234.0})
    given = domain.contexts(config, scaler, request)(key, 50)
    physical = np.asarray(given.condition) * width + center
    np.testing.assert_allclose(physical[:, 1], 1234, rtol=1e-5)
    np.testing.assert_allclose(given.axis[:, 0], 1234, rtol=1e-6)
    near = expected["mass"][np.argsort(np.abs(expected["pt"] - 1234))[:20]]
    assert set(np.round(physical[:, 2])) <= set(np.round(near))
    # Drawn from a density: near the mean and correlations of the jets.
    request = ContextRequest("density")
    drawn = domain.contexts(config, scaler, request)(key, 5000)
    np.testing.assert_allclose(np.mean(drawn.condition, axis=0), 0, atol=0.15)
    for name, value in (("multiplicity", 2.5), ("pt", -1.0), ("mass", 0.0)):
        with pytest.raises(InputError, match=f"condition={name}="):
            domain.contexts(config, scaler, ContextRequest(condition={name: value}))


def test_a_scaler_from_before_there_were_quantiles(jets):
    # What an older checkpoint holds is enough, and its tree has no other leaves.
    config = scaling.Config(coordinates="frame", method="slots")
    new = scaling.fit(config, jets)
    old = scaling.Scaler(*new[:4])
    assert len(jax.tree.leaves(old)) == 4
    batches = [scaling.scale(config, s, jets) for s in (new, old)]
    np.testing.assert_array_equal(batches[0].x, batches[1].x)


@pytest.mark.parametrize(
    "values",
    [
        {"rotate": "principal"},
        {"rotate": "principal", "coordinates": "cylindrical"},
        {"method": "log"},
        {"method": "log", "coordinates": "frame"},
    ],
)
def test_settings_that_do_not_go_together(values):
    with pytest.raises(InputError, match="give coordinates = "):
        scaling.Config(**values)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rotate", "random"),
        ("coordinates", "polar"),
        ("method", "max"),
        ("padding", "far"),
        ("min_pt", -1.0),
        ("max_angle", -0.1),
        ("min_pt", float("nan")),
    ],
)
def test_bad_config(field, value):
    with pytest.raises(InputError, match=f"{field}: "):
        scaling.Config(**{field: value})


def test_jets_without_particles_or_of_wrong_shape(jets):
    with pytest.raises(InputError, match="no particle"):
        scaling.fit(scaling.Config(), Jets(jets.particles, np.zeros_like(jets.mask)))
    with pytest.raises(ValueError, match=r"\(6, 3\)"):
        scaling.fit(scaling.Config(), Jets(jets.particles[0], jets.mask[0]))
