"""Answers of conditional models: in bins, by class, and beyond the training sample."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.seeds import key
from jetvae_jax.core.types import Batch, Context, Jets
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.events import domain as events
from jetvae_jax.events import scaling as event_scaling
from jetvae_jax.jets import responses as jet_responses
from jetvae_jax.jets import scaling
from jetvae_jax.metrics import conditional
from jetvae_jax.metrics.conditional import Limits, Quantity, Task
from jetvae_jax.report import figures, responses

REACH = (10.0, 90.0)


def trained(response=0.9, smear=0.1, reach=None):
    """A generator of calorimeters: energy out is 0.9 of what is asked, smeared."""

    def contexts(scaling, scaler, request: ContextRequest):
        row = jnp.array([request.condition["energy"]])
        return lambda key, num: Context(jnp.zeros((num, 3)), jnp.tile(row, (num, 1)))

    def sampler(latents):
        assert latents == "prior"

        def draw(key, context):
            noise = jax.random.normal(key, (len(context.axis),))
            asked = context.condition[:, -1]
            return np.asarray(asked * (response + smear * noise))

        return draw

    pipeline = types.SimpleNamespace(
        condition_ends=lambda scaling, scaler: {"energy": REACH}, contexts=contexts
    )
    return types.SimpleNamespace(
        run=types.SimpleNamespace(pipeline=pipeline, scaling=None),
        scaler=None,
        model=types.SimpleNamespace(reach=reach),
        fitted=dict,
        scale=lambda real: Batch(
            real, real, Context(jnp.zeros((len(real), 3)), real[:, :1])
        ),
        sampler=sampler,
    )


def real_showers(num=4000):
    """Energy asked for, and that of the shower: response 1, width 0.05."""
    rng = np.random.default_rng(0)
    asked = rng.uniform(*REACH, num)
    return np.stack([asked, asked * rng.normal(1, 0.05, num)], axis=1)


def task(**more):
    def measure(showers, asked):
        energy = showers if showers.ndim == 1 else showers[:, 1]
        return {"response": energy / asked["energy"]}

    return Task(
        asked=lambda showers: {"energy": showers[:, 0]},
        measure=measure,
        quantities={"response": Quantity("E / asked")},
        limits={"energy": Limits(low=0.0)},
        units={"energy": "GeV"},
        **more,
    )


def test_response_and_resolution_of_a_known_generator():
    found = conditional.compare(key(0), trained(), real_showers(), task())
    assert found["latents"] == "prior" and found["number"] == 4000
    energy = found["conditions"]["energy"]
    assert energy["unit"] == "GeV" and energy["reach"] == [*REACH]
    entry = energy["groups"]["all"]
    assert entry["beyond"] == [True, *[False] * conditional.BINS, True]
    np.testing.assert_allclose(entry["edges"][1:-1:8], REACH)
    made, real = (
        entry["quantities"]["response"][kind] for kind in ("generated", "real")
    )
    assert made["count"][0] == made["count"][-1] == conditional.FURTHER
    assert real["count"][0] == real["count"][-1] == 0
    for one, mean, width in ((made, 0.9, 0.1), (real, 1.0, 0.05)):
        inside = slice(None) if one is made else slice(1, -1)
        for field, expected in (("mean", mean), ("width", width)):
            value, error = (
                np.array(one[name][inside], float) for name in (field, f"{field}_error")
            )
            assert np.all(np.abs(value - expected) < 5 * error), field
    page = responses.full(entry, energy)
    marked = [row.cells[1] for row in page.rows]
    assert [bool(getattr(cell, "badge", "")) for cell in marked] == entry["beyond"]
    assert responses.BEYOND in responses.text(found)
    assert "0.000 ± " not in responses.text(found)
    json.dumps(found, allow_nan=False)
    (axis, below) = responses.figure(entry, "energy", energy).axes
    shaded = [p for p in axis.patches if p.get_facecolor()[:3] != (1, 1, 1)]
    assert len(shaded) == 2 and below.get_xlabel() == "energy [GeV]"


def test_a_figure_of_one_condition():
    found = conditional.compare(key(0), trained(), real_showers(500), task())
    mean, _ = figures.responses(found, "energy").axes
    assert mean.get_title("left") == "E / asked"
    _, made = (bars.lines[0].get_ydata() for bars in mean.containers)
    np.testing.assert_allclose(made, 0.9, atol=0.05)
    with pytest.raises(InputError, match=r"none of this model.*; it has energy"):
        figures.responses(found, "pt")
    with pytest.raises(InputError, match=r"none of these jets; there are all"):
        figures.responses(found, "energy", "t")


def test_a_model_without_conditions_has_no_responses():
    run = types.SimpleNamespace(model="conv_vae", scaling=scaling.Config())
    with pytest.raises(InputError, match="conv_vae: was trained without conditions"):
        jet_responses.compare(key(0), types.SimpleNamespace(run=run), None)


def test_a_generator_without_a_bias_differs_by_its_errors():
    found = conditional.compare(key(1), trained(1.0, 0.05), real_showers(), task())
    entry = found["conditions"]["energy"]["groups"]["all"]
    (row,) = responses.summary(entry, "energy", found["conditions"]["energy"]).rows
    for cell in row.cells[1:3]:
        chi2, bins = str(cell).split(" / ")
        assert float(chi2) < 26 and bins == "8"  # of 8: the probability is 0.001
    found = conditional.compare(key(1), trained(), real_showers(), task())
    entry = found["conditions"]["energy"]["groups"]["all"]
    (row,) = responses.summary(entry, "energy", found["conditions"]["energy"]).rows
    assert float(str(row.cells[1]).split()[0]) > 1000


def test_classes_are_compared_one_by_one_and_a_library_is_not_asked_beyond():
    showers = real_showers(600)
    of_class = np.arange(600) % 3
    by_class = task(
        classes=("e", "pi", "mu", "p"), class_name="type", labels=lambda s: of_class
    )
    found = conditional.compare(key(0), trained(reach=1), showers, by_class)
    groups = found["conditions"]["energy"]["groups"]
    assert list(groups) == ["e", "pi", "mu"]
    for entry in groups.values():
        assert not any(entry["beyond"])
        for one in ("real", "generated"):
            assert sum(entry["quantities"]["response"][one]["count"]) == 200
    kinds = found["conditions"]["type"]
    counts = kinds["groups"]["all"]["quantities"]["response"]["real"]["count"]
    assert counts == [200, 200, 200, 0]
    assert responses.bins(kinds["groups"]["all"], kinds) == ["e", "pi", "mu", "p"]
    text = responses.text(found)
    assert "energy, class pi" in text and responses.BEYOND not in text


@pytest.mark.parametrize(
    ("reach", "limits", "expected"),
    [
        ((10, 20), Limits(), [(8.75, 7.5), (21.25, 22.5)]),
        ((1, 16), Limits(low=0), [(2**-0.5, 0.5), (16 * 2**0.5, 32)]),
        ((3, 30), Limits(0, 30, whole=True), [(2, 3 * 10**-0.25)]),
        ((0, 1), Limits(0, 1), []),
        ((0, 1), None, []),
    ],
)
def test_where_a_model_is_asked_beyond(reach, limits, expected):
    found = conditional._around(reach, limits)
    np.testing.assert_allclose(found, expected or np.zeros((0,)))


@pytest.mark.slow
def test_the_range_of_all_training_jets_is_in_the_checkpoint(monkeypatch, make_jets):
    monkeypatch.setattr(scaling, "MAX_AXES", 50)  # of jets that are kept
    jets = make_jets(num_jets=300, num_particles=6)
    jets = Jets(jets.particles, jets.mask, labels=np.arange(300) % 2)
    config = scaling.Config(
        conditions=("type", "mass", "multiplicity"), types=("g", "q")
    )
    scaler = scaling.fit(config, jets)
    mass = np.asarray(scaling.observed_conditions(config, jets))[:, 2]
    number = np.asarray(jets.mask).sum(axis=1)
    ends = scaling.condition_ends(config, scaler)
    assert ends["mass"] == (mass.min(), mass.max())
    assert ends["multiplicity"] == (number.min(), number.max())
    assert set(ends) == {"mass", "multiplicity"}
    # An older checkpoint knows the jets that it kept.
    older = scaler._replace(condition_ends=None)
    low, high = scaling.condition_ends(config, older)["mass"]
    np.testing.assert_allclose([low, high], [mass[:50].min(), mass[:50].max()], 1e-5)
    plain = scaling.Config()
    assert scaling.condition_ends(plain, scaling.fit(plain, jets)) == {}


def test_the_range_of_the_training_events():
    rng = np.random.default_rng(0)
    table = np.stack(
        [rng.lognormal(3, 1, 500), rng.poisson(2, 500), rng.uniform(-3, 3, 500)], axis=1
    ).astype(np.float32)
    config = event_scaling.resolved(
        events.Scaling(conditions=("pt", "phi", "Nj")), ("pt", "Nj", "phi"), table
    )
    with pytest.raises(Exception, match="no column is left"):
        event_scaling.fit(config, table)
    config = event_scaling.resolved(
        events.Scaling(conditions=("pt", "phi")), ("pt", "Nj", "phi"), table
    )
    ends = event_scaling.condition_ends(config, event_scaling.fit(config, table))
    assert set(ends) == {"pt"}  # an angle has no ends
    np.testing.assert_allclose(ends["pt"], [table[:, 0].min(), table[:, 0].max()], 1e-4)
