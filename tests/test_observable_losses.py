"""Observables of a jet in the loss: values, gradients, scales, and bad names."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax import losses
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context
from jetvae_jax.losses import objective as objectives
from jetvae_jax.losses import observable_error, observable_spread
from jetvae_jax.observables import named
from jetvae_jax.observables.named import observable

NUMBERS = {"efp1": 1, "efp2": 2, "efp3": 5, "efp4": 12, "efp5": 33}
QUICK = tuple(n for n in named.NAMES if "tau" not in n and n not in ("efp4", "efp5"))
# All of a group in one compiled program.
every_group = pytest.mark.parametrize(
    "names",
    [
        pytest.param(QUICK, id="quick"),
        *(
            pytest.param((name,), marks=pytest.mark.slow, id=name)
            for name in named.NAMES
            if name not in QUICK
        ),
    ],
)


def jet(count, seed=0):
    """``[count, 3]`` float64 momenta of a jet of 500 GeV that crosses phi = pi."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(500 / max(count, 1), count) + 3
    eta, phi = 0.7 + 0.2 * rng.normal(size=count), 3.1 + 0.2 * rng.normal(size=count)
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def relative(p):
    """Share of pt, and angles from the sum of the momenta, by loops."""
    pt = [np.hypot(x, y) for x, y, _ in p]
    total = np.sum(p, axis=0)
    axis = np.arcsinh(total[2] / np.hypot(*total[:2])), np.arctan2(*total[1::-1])
    angles = []
    for (x, y, z), t in zip(p, pt, strict=True):
        turned = np.angle(np.exp(1j * (np.arctan2(y, x) - axis[1])))
        angles.append((np.arcsinh(z / t) - axis[0], turned))
    return np.array(pt) / np.sum(pt), np.array(angles)


def by_loops(name, p):
    """The definitions term by term, in float64."""
    energy, total = np.linalg.norm(p, axis=1).sum(), p.sum(axis=0)
    if name in ("mass", "pt", "energy"):
        mass = np.sqrt(energy**2 - total @ total)
        return [{"mass": mass, "pt": np.hypot(*total[:2]), "energy": energy}[name]]
    z, angles = relative(p)
    count, r = len(p), np.linalg.norm(angles[:, None] - angles, axis=-1)
    if name.startswith("efp"):
        return [
            sum(
                np.prod([z[i] for i in chosen])
                * np.prod([r[chosen[a], chosen[b]] for a, b in graph])
                for chosen in itertools.product(range(count), repeat=vertices)
            )
            for graph in named.connected(int(name[-1]))
            for vertices in [1 + max(itertools.chain(*graph))]
        ]
    e2 = sum(z[i] * z[j] * r[i, j] for i, j in itertools.combinations(range(count), 2))
    e3 = sum(
        z[i] * z[j] * z[k] * r[i, j] * r[i, k] * r[j, k]
        for i, j, k in itertools.combinations(range(count), 3)
    )
    return [
        {
            "e2": e2,
            "e3": e3,
            "c2": e3 / e2**2,
            "d2": e3 / e2**3,
            "width": sum(z[i] * np.hypot(*angles[i]) for i in range(count)),
            "ptd": np.sqrt(sum(z**2)),
        }[name]
    ]


def test_values_are_those_of_the_definition():
    p = jet(4)
    everything = jax.jit(
        lambda p, mask: {n: observable(p, mask, name=n) for n in QUICK}
    )
    single = everything(p.astype(np.float32), np.ones(4, bool))
    with jax.enable_x64(True):
        found = everything(p, np.ones(4, bool))
        # Padding has no influence, whatever it holds.
        padded = np.concatenate([p, np.full((2, 3), np.nan)])
        masked = everything(padded, np.arange(6) < 4)
    for name in QUICK:
        expected = by_loops(name, p)
        assert found[name].shape == (len(expected),) == (NUMBERS.get(name, 1),)
        np.testing.assert_allclose(found[name], expected, rtol=1e-9)
        np.testing.assert_allclose(masked[name], expected, rtol=1e-9)
        assert single[name].dtype == np.float32
        np.testing.assert_allclose(single[name], expected, rtol=2e-4)


def test_the_number_of_connected_polynomials_of_each_degree():
    assert {n: len(named.connected(d)) for n, d in named.EFPS.items()} == NUMBERS


@pytest.mark.slow
@every_group
def test_gradients_agree_with_finite_differences(names):
    x = jet(6, seed=1)
    direction = np.random.default_rng(2).normal(size=x.shape)
    with jax.enable_x64(True):
        x_mask = np.arange(6) < 5

        def errors(step):
            y = jet(5, seed=3) + step * direction[:5]
            return jnp.stack([
                observable_error(x, y, name=n, spread=0.3, x_mask=x_mask) for n in names
            ])  # fmt: skip

        slopes, step = jax.jit(jax.jacrev(errors))(0.0), 1e-4
        found = jax.jit(jax.vmap(errors))(np.array([0, step, -step]))
        here, after, before = np.asarray(found)
    assert np.all(here > 0)
    np.testing.assert_allclose(slopes, (after - before) / (2 * step), rtol=1e-5)


@every_group
def test_gradients_are_finite_for_few_narrow_and_empty_jets(names):
    count, p = 6, np.zeros((8, 6, 3), np.float32)
    mask = np.ones((8, count), bool)
    mask[0] = False  # no particle, and zeros in its place
    mask[1, 1:] = False
    mask[2, 2:] = False
    p[1:] = jet(6)
    p[3] = p[3, :1]  # all in one direction
    p[4] = p[4, :1] * (1 + 1e-6 * np.arange(18).reshape(6, 3))  # nearly so
    p[5, 1:] = 0  # particles without momentum
    p[6, :, :2] = 0  # along the beam
    p[7, 3:] = -p[7, :3]  # their sum cancels

    def total(y, name):
        return jnp.sum(
            observable_error(p[::-1], y, name=name, x_mask=mask[::-1], y_mask=mask)
        )

    found = jax.jit(lambda y: {n: jax.value_and_grad(total)(y, n) for n in names})(p)
    for name, (value, gradient) in found.items():
        assert np.isfinite(value) and np.isfinite(gradient).all(), name
        assert np.all(gradient[~mask] == 0), name
        assert np.any(gradient != 0), name


def test_leading_axes_and_vmap():
    p = np.stack([jet(5, seed=s) for s in range(6)]).astype(np.float32)

    @jax.jit
    def found(p):
        def error(x, y):
            return observable_error(x, y, name="efp2")

        pairs = error(p[:3].reshape(3, 1, 5, 3), p[None, 3:])
        return error(p[:3], p[3:]), jax.vmap(error)(p[:3], p[3:]), pairs

    one, mapped, pairs = found(p)
    assert one.shape == (3,) and pairs.shape == (3, 3)
    np.testing.assert_allclose(np.diagonal(pairs), one, rtol=1e-5)
    np.testing.assert_allclose(mapped, one, rtol=1e-5)


def test_spread_is_the_standard_deviation_of_the_sample(make_jets):
    jets = make_jets(num_jets=30)
    spread = jax.jit(functools.partial(observable_spread, name="efp2"))
    found = spread(jets.particles, jets.mask)
    values = [
        by_loops("efp2", p[m].astype(np.float64))
        for p, m in zip(jets.particles, jets.mask, strict=True)
    ]
    np.testing.assert_allclose(found, np.std(values, axis=0), rtol=1e-3)


def batch(make_jets, num_jets=6):
    jets = make_jets(num_jets=num_jets)
    axis = np.zeros((num_jets, 3), np.float32)
    return Batch(jets.particles, jets.mask, Context(axis))


def test_objective_adds_weighted_errors_in_units_of_the_spread(make_jets):
    def of(spreads=None, **fields):
        config = objectives.Config(gamma=0.5, **fields)
        found = objectives.objective(
            config, losses.chamfer_distance, lambda x, axis: x, spreads
        )
        return jax.jit(found.distance)

    given = batch(make_jets)
    x_hat = given.x * np.float32(1.1) + np.float32(0.5)
    plain, terms = of()(given, x_hat)
    spreads = {"pt": [20.0], "width": [0.1], "efp2": [0.3, 0.2]}
    names, weights = ("width", "efp2"), (2.0, 3.0)
    total, more = of(spreads, observables=names, gamma_observables=weights)(
        given, x_hat
    )
    assert set(more) - set(terms) == {"width_error", "efp2_error"}
    expected = np.array(plain)
    for name, weight in zip(names, weights, strict=True):
        error = jax.jit(functools.partial(observable_error, name=name))(
            given.x, x_hat, x_mask=given.mask, spread=spreads[name]
        )
        np.testing.assert_allclose(more[f"{name}_error"], error, rtol=1e-4)
        expected = expected + 0.5 * weight * 20.0**2 * np.array(error)
    np.testing.assert_allclose(total, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="spreads: of pt, width is missing"):
        of(observables=("width",))


def test_bad_settings_are_one_line():
    def refused(match, **fields):
        with pytest.raises(InputError, match=match):
            objectives.Config(**fields)

    refused(
        r"^observables: must be of mass, .*efp5 \(did you mean 'width'\?\), got 'wi",
        observables=("widht",),
    )
    refused(
        r"^observables: counts particles, which has no gradient",
        observables=("multiplicity",),
    )
    refused("^observables: names width twice", observables=("width", "width"))
    refused(
        "^gamma_observables: give one weight, or one for each of the 1 observables",
        observables=("width",),
        gamma_observables=(1.0, 2.0),
    )
    one_for_all = objectives.Config(observables=("ptd", "c2"), gamma_observables=(2,))
    assert one_for_all.observable_weights == {"ptd": 2, "c2": 2}
    refused("^gamma_observables: must not be negative", gamma_observables=(-1.0,))
    with pytest.raises(ValueError, match="observable 'widht': must be of"):
        observable(jet(3), name="widht")
