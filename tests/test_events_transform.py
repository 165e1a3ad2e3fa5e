"""Columns to the network and back: exact, and valid whatever a decoder says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax.core.errors import InputError
from jetvae_jax.events import kinds, transform

NAMES = ("MET", "phi_zy", "Nj", "eta_zy", "dPhi_ll", "rare")


def table(num=4000, seed=0):
    rng = np.random.default_rng(seed)
    rare = np.where(rng.uniform(size=num) < 0.002, 7, rng.integers(0, 2, num) * 3)
    columns = [
        rng.lognormal(3, 1.5, num), rng.uniform(-np.pi, np.pi, num),
        rng.poisson(1.2, num), rng.standard_t(3, num),
        np.minimum(np.pi * rng.beta(3, 1, num), kinds.BELOW_PI), rare,
    ]  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(params=[pytest.param("standard", marks=pytest.mark.slow), "normal"])
def fitted(request):
    columns = kinds.find(NAMES, table())
    config = transform.Config(marginals=request.param)
    return columns, transform.fit(config, columns, table())


SCALE = jax.jit(transform.scale, static_argnums=0)
UNSCALE = jax.jit(transform.unscale, static_argnums=0)


def test_there_and_back(fitted):
    columns, scaler = fitted
    values = table()
    assert [k.name for k in columns.kinds] == [
        "positive", "angle", "integer", "plain", "bounded", "integer",
    ]  # fmt: skip
    for key in (None, jax.random.key(1)):
        batch = SCALE(columns, scaler, values, key)
        assert batch.x.shape == (4000, 1, 7) and batch.mask.shape == (4000, 1)
        assert batch.x.dtype == jnp.float32 and batch.context.axis.shape == (4000, 3)
        back = np.asarray(UNSCALE(columns, scaler, batch.x))
        np.testing.assert_array_equal(back[:, [2, 5]], values[:, [2, 5]])
        np.testing.assert_allclose(back[:, 0], values[:, 0], rtol=2e-6)
        np.testing.assert_allclose(back[:, [1, 4]], values[:, [1, 4]], atol=2e-6)
        np.testing.assert_allclose(back[:, 3], values[:, 3], rtol=1e-5, atol=2e-5)


def test_unseen_events_of_the_same_kind(fitted):
    columns, scaler = fitted
    values = table(num=500, seed=5)
    # Just beyond the training range on either side.
    values[0, 0], values[1, 0] = table()[:, 0].max() * 1.5, table()[:, 0].min() / 1.5
    values[:, 2] = np.minimum(values[:, 2], table()[:, 2].max())
    back = np.asarray(UNSCALE(columns, scaler, SCALE(columns, scaler, values).x))
    np.testing.assert_allclose(back, values, rtol=2e-5, atol=2e-5)
    # A count between those seen becomes the nearest of them.
    values[:, 5] = 6
    back = UNSCALE(columns, scaler, SCALE(columns, scaler, values).x)
    assert set(np.asarray(back)[:, 5].tolist()) == {7.0}


def test_plain_jit_and_vmap_agree(fitted):
    columns, scaler = fitted
    values, key = table()[:20], jax.random.key(0)
    plain = transform.scale(columns, scaler, values, key).x
    np.testing.assert_allclose(SCALE(columns, scaler, values, key).x, plain, atol=1e-5)
    one = jax.jit(jax.vmap(lambda v: transform.scale(columns, scaler, v).x))(values)
    np.testing.assert_allclose(one, SCALE(columns, scaler, values).x, atol=1e-5)
    both = transform.unscale(columns, scaler, plain.reshape(4, 5, 1, 7))
    np.testing.assert_allclose(
        both.reshape(20, 6), UNSCALE(columns, scaler, plain), rtol=1e-5, atol=1e-6
    )


def test_every_output_is_a_valid_event(fitted):
    columns, scaler = fitted
    normal = jax.random.normal(jax.random.key(2), (3000, 1, 7))
    odd = [jnp.full((1, 1, 7), v) for v in (jnp.nan, jnp.inf, -jnp.inf, 0.0, 3e38)]
    seam = jnp.asarray([[[0, -1.0, s, 0, 0, 0, 0]] for s in (0.0, -0.0, -1e-30)])
    x = jnp.concatenate([normal, 50 * normal, 1e30 * normal, *odd, seam])
    out = np.asarray(UNSCALE(columns, scaler, x)).astype(np.float64)
    assert np.isfinite(out).all()
    assert (out[:, 0] > 0).all()
    assert (out[:, 1] >= -np.pi).all() and (out[:, 1] < np.pi).all()
    assert (out[:, 4] >= 0).all() and (out[:, 4] <= np.pi).all()
    for place in (2, 5):
        assert set(out[:, place]) <= set(table()[:, place].tolist())


def test_names_of_the_features(fitted):
    columns, scaler = fitted
    names = transform.feature_names(columns)
    assert names == (
        "MET", "cos phi_zy", "sin phi_zy", "Nj", "eta_zy", "dPhi_ll", "rare",
    )  # fmt: skip
    x = np.asarray(SCALE(columns, scaler, table()).x)[:, 0]
    phi = table()[:, 1].astype(np.float64)
    np.testing.assert_allclose(x[:, 1], np.sqrt(2) * np.cos(phi), atol=1e-6)
    np.testing.assert_allclose(x[:, 2], np.sqrt(2) * np.sin(phi), atol=1e-6)


def test_standardised_and_normal_columns():
    columns = kinds.find(NAMES, table())
    for marginals in ("standard", "normal"):
        config = transform.Config(marginals=marginals)
        scaler = transform.fit(config, columns, table())
        x = np.asarray(SCALE(columns, scaler, table(), jax.random.key(0)).x)[:, 0]
        np.testing.assert_allclose(x.mean(0), 0, atol=0.05)
        np.testing.assert_allclose(x.std(0), 1, atol=0.05)
        # Counts are normal in both, with the noise inside the cells.
        places = [3, 6] if marginals == "standard" else [0, 3, 4, 5, 6]
        for place in places:
            assert stats.kstest(x[:, place], "norm").statistic < 0.03


def test_a_normal_gives_the_shares_of_counts():
    columns = kinds.find(NAMES, table())
    scaler = transform.fit(transform.Config(), columns, table())
    z = jax.random.normal(jax.random.key(0), (200_000, 1, 7))
    out = np.asarray(UNSCALE(columns, scaler, z))
    for place in (2, 5):
        for value in np.unique(table()[:, place]):
            share = np.mean(table()[:, place] == value)
            error = 5 * np.sqrt(share / 200_000) + 1e-5
            assert abs(np.mean(out[:, place] == value) - share) < error


def test_gradients_are_finite(fitted):
    columns, scaler = fitted

    def total(x):
        return jnp.sum(transform.unscale(columns, scaler, x)[..., :2] ** 2)

    x = jax.random.normal(jax.random.key(1), (50, 1, 7))
    assert np.isfinite(jax.jit(jax.grad(total))(x)).all()


# Kinds


def of(name, values, *given):
    values = np.asarray(values, np.float32)[:, None]
    return kinds.find((name,), values, given).kinds[0]


def test_kinds_by_name_and_value():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=100)
    assert of("Nj", [0, 1, 2, 0]).name == "integer"
    assert of("label", [0, 1, 1, 0]).name == "integer"
    assert of("big", np.arange(100)).name == "plain"  # 0 is not above 0
    assert of("big", np.arange(100), "big:integer").name == "integer"
    assert of("score", spread).name == "plain"
    assert of("mass", np.abs(spread) + 1e-3).name == "positive"
    assert of("MET", spread).name == "plain"  # the name does not help
    assert of("jet_phi", np.linspace(-3, 3)).name == "angle"
    assert of("jet_phi", np.linspace(0.5, 6)).name == "angle"
    assert of("DeltaPhi", np.linspace(0.1, 3))[:2] == ("bounded", 0.0)
    assert of("x", np.linspace(0, 1), "x:bounded:-1:2") == ("bounded", -1.0, 2.0)
    assert of("MET", np.abs(spread) + 1, "MET:plain").name == "plain"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("y:plain", "'y' is not a column"),
        ("x:log", "x:log: give column:kind"),
        ("x", "give column:kind"),
        ("x:bounded", "bounded as column:bounded:low:high"),
        ("x:bounded:1:0", "lower one"),
        ("x:bounded:a:b", "not numbers"),
        ("x:integer", r"cannot be integer: 2 of 4 values .* \(such as 0.5\)"),
        ("x:positive", r"cannot be positive: 1 of 4 .* \(such as -9\)"),
        ("x:angle", "beyond 2 pi"),
        ("x:bounded:0:1", "not between 0 and 1"),
    ],
)
def test_mistakes_in_kinds(given, message):
    with pytest.raises(InputError, match=message):
        of("x", [1.0, 0.5, -9.0, 2.0], given)


def test_mistakes_of_the_caller():
    with pytest.raises(
        InputError, match=r"^marginals: must be one of standard, normal, got 'log'"
    ):
        transform.Config(marginals="log")  # pyright: ignore
    columns = kinds.find(NAMES, table())
    with pytest.raises(ValueError, match="do not fit 6 columns"):
        transform.fit(transform.Config(), columns, table()[:, :5])


@pytest.mark.parametrize("name", ["phi", "Nj", "MET"])
def test_a_table_of_one_column(name):
    values = table()[:, [{"phi": 1, "Nj": 2, "MET": 0}[name]]]
    columns = kinds.find((name,), values)
    scaler = transform.fit(transform.Config(), columns, values)
    x = SCALE(columns, scaler, values).x
    back = UNSCALE(columns, scaler, x)
    assert x.shape == (4000, 1, 2 if name == "phi" else 1)
    np.testing.assert_allclose(back, values, rtol=2e-6, atol=2e-6)
