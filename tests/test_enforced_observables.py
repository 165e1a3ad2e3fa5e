"""Observables by name in the loss of GANs, and of VAEs of events and showers."""

import functools
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from showers import blobs
from showers import write as write_showers

from jetvae_jax import losses, models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Enforced, Objective, Points, Task
from jetvae_jax.discriminators import mlp
from jetvae_jax.events import domain as events
from jetvae_jax.events.kinds import find
from jetvae_jax.events.observables import complaint
from jetvae_jax.events.observables import observables as of_events
from jetvae_jax.jets import domain as jets
from jetvae_jax.jets.evaluation import trained_on, unchecked
from jetvae_jax.losses import distances
from jetvae_jax.losses.observables import (
    check_spreads,
    sample_distances,
    with_errors,
)
from jetvae_jax.models import epic_gan, vae
from jetvae_jax.observables.named import fixed_by
from jetvae_jax.runs.training import prepare
from jetvae_jax.showers import domain as showers
from jetvae_jax.showers import geometry, metrics, observables
from jetvae_jax.training import fit, model_step

FIGURES = "none"
QUICK = training.Config(num_epochs=1, batch_size=20)
DOMAINS = {"jets": jets, "events": events, "showers": showers}
SMALL = {
    "mlp_gan": {"num_layers": 1, "nodes": 8, "noise": 3},
    "mlp_vae": {"num_layers": 1, "nodes": 8, "latent_dim": 3},
    "epic_gan": {"width": 8, "generator_layers": 1, "critic_layers": 1},
    "cell_gan": {"filters": (2,), "hidden": (8,), "noise": 3},
}
NAMES = ("m_jj", "pt_jj", "eta_jj", "e_jj", "phi", "Nj")


def table(number=200, seed=0):
    """Events with a four-vector, an azimuth and a count."""
    rng = np.random.default_rng(seed)
    m, pt = rng.normal(90, 5, number), rng.exponential(40, number) + 5
    eta, phi = rng.normal(0, 1, number), rng.uniform(-np.pi, np.pi, number)
    energy = np.sqrt(m**2 + (pt * np.cosh(eta)) ** 2)
    columns = m, pt, eta, energy, phi, rng.poisson(2, number)
    return np.stack(columns, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    np.savetxt(
        folder / "t.csv", table(), delimiter=",", header=",".join(NAMES), comments=""
    )
    return {
        "jets": "embedded",
        "events": str(folder / "t.csv"),
        "showers": write_showers(folder / "s.hdf5", blobs(60)),
    }


def run_of(paths, name, model, *, objective=None, scaling=None, parts=None, data=None):
    domain, module = DOMAINS[name], models.get(model)
    few = {"max_jets": 60, "num_particles": 6} if name == "jets" else {}
    loss = "chamfer" if name == "jets" else "mse"
    return runs.ModelRun(
        domain=name,
        data=domain.Data(path=paths[name], **few | (data or {})),
        scaling=domain.Scaling(**scaling or {}),
        model=model,
        model_config=module.Config(**SMALL.get(model, {})),
        loss=loss,
        loss_config=distances.get(loss).Config(),
        objective=domain.Objective(**objective or {}),
        training=QUICK,
        components=parts or runs.Components(),
    )


# The distance of two distributions.


def by_loops(x, y):
    """The energy distance of numbers ``[J]`` without bias, term by term in float64."""
    between = [abs(a - b) for a, b in itertools.product(x, y)]
    own = [
        np.mean([abs(a - b) for a, b in itertools.permutations(z, 2)]) for z in (x, y)
    ]
    return 2 * np.mean(between) - sum(own)


def test_the_distance_of_one_number_is_the_energy_distance():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=9), rng.normal(1.0, 2.0, 9)
    found = jax.jit(losses.observable_distance)(x[:, None], y[:, None])
    assert found.shape == (9,)
    assert float(found.mean()) == pytest.approx(by_loops(x, y), rel=1e-5)
    # A vector of the same number twice has the distance of that number.
    twice = losses.observable_distance(*(np.stack([z, z], -1) for z in (x, y)))
    np.testing.assert_allclose(twice, found, rtol=1e-5)
    # It sees an angle that is opposite, of the same cosine.
    angles = np.full(50, 0.5) + 0.1 * rng.normal(size=50)
    there, opposite = (np.stack([np.cos(a), np.sin(a)], -1) for a in (angles, -angles))
    assert float(losses.observable_distance(there, opposite).mean()) > 0.5


def toy(weights=(("sum", 2.0), ("first", 0.5))):
    """Observables of sets of one point: the sum of its features, and the first one."""

    def values(x, mask, context):
        del mask, context
        return {"sum": jnp.sum(x, -1) / 3.0, "first": x[..., 0, :1]}

    return Enforced(values, dict(weights))


def rows(number, seed, shift=0.0):
    x = np.random.default_rng(seed).normal(shift, 1, (number, 1, 2)).astype(np.float32)
    return Batch(x, np.ones((number, 1), bool), Context(np.zeros((number, 3))))


def test_terms_are_weighted_sums_of_distances_or_of_squared_errors():
    true, made = rows(8, 0), rows(8, 1, 0.5)
    found = jax.jit(functools.partial(sample_distances, toy()))
    total, terms = found(true, Points(made.x, made.mask))
    assert set(terms) == {"sum_distance", "first_distance"} and total.shape == (8,)
    sums, firsts = (
        [one.x.astype(np.float64)[:, 0].sum(-1) / 3 for one in (true, made)],
        [one.x.astype(np.float64)[:, 0, 0] for one in (true, made)],
    )
    expected = 2.0 * by_loops(*sums) + 0.5 * by_loops(*firsts)
    assert float(total.mean()) == pytest.approx(expected, rel=1e-5)
    assert float(terms["sum_distance"].mean()) == pytest.approx(
        by_loops(*sums), rel=1e-5
    )
    plain = lambda batch, x_hat: (jnp.ones(8), {"reconstruction": jnp.ones(8)})  # noqa: E731
    total, terms = jax.jit(with_errors(plain, toy(), scale=3.0))(true, made.x)
    errors = [(sums[0] - sums[1]) ** 2, (firsts[0] - firsts[1]) ** 2]
    np.testing.assert_allclose(terms["sum_error"], errors[0], rtol=1e-4)
    np.testing.assert_allclose(
        total, 1 + 3.0 * (2.0 * errors[0] + 0.5 * errors[1]), rtol=1e-4
    )
    assert with_errors(plain, None) is plain


# GANs.


def gan(enforced=None, **settings):
    module = models.get("mlp_gan")
    own = {"nodes": 16, "num_layers": 2, "noise": 2, "num_features": 2} | settings
    objective = Objective(lambda batch, x: (x, {}), 1.0, enforced=enforced)
    return module.model(module.Config(**own), Task(1, 2, objective=objective))


@pytest.mark.parametrize("objective", ["lsgan", "cramer"])
def test_only_the_generator_is_trained_on_the_distance(objective):
    batch, key = rows(10, 0, 2.0), jax.random.key(1)
    plain = gan(objective=objective, penalty=0.0)
    held = gan(toy(), objective=objective, penalty=0.0)
    params = jax.jit(plain.init)(jax.random.key(0))

    def slopes(model):
        def means(params):
            losses, terms = model.loss(params, key, batch)
            means = jax.tree.map(jnp.mean, (losses, terms))
            return means[0], means

        return jax.device_get(jax.jit(jax.jacrev(means, has_aux=True))(params))

    without, (before, _) = slopes(plain)
    with_them, (after, terms) = slopes(held)
    for of, over in itertools.product(("critic", "generator"), repeat=2):
        pairs = zip(
            jax.tree.leaves(without[of][over]), jax.tree.leaves(with_them[of][over]),
            strict=True,
        )  # fmt: skip
        change = max(np.abs(a - b).max() for a, b in pairs)
        assert change > 0.01 if (of, over) == ("generator",) * 2 else change < 1e-6
    expected = sum(w * terms[f"{n}_distance"] for n, w in toy().weights.items())
    assert expected > 0.5
    assert after["generator"] - before["generator"] == pytest.approx(expected, rel=1e-4)
    assert after["critic"] == pytest.approx(before["critic"], rel=1e-6)


def test_an_observable_in_the_loss_of_a_gan_comes_closer():
    """A small GAN, for few steps: the mean of the sum is that of the data."""
    config = training.Config(
        num_epochs=8, batch_size=50, learning_rate=2e-3, beta1=0.5, save_seconds=0.0
    )
    data, valid, far = rows(500, 1, 1.5), rows(500, 2, 1.5), []
    for weights in ((("sum", 0.0),), (("sum", 10.0),)):
        model = gan(toy(weights))
        step = model_step(model, config, num_jets=500)
        done = fit(step, jax.random.key(0), data, valid, config=config, name="gan")
        far.append(done.history[-1]["valid/sum_distance"])
    assert far[1] < 0.2 * far[0] and far[1] < 0.1


@pytest.mark.parametrize(
    ("name", "model", "held", "scaling"),
    [
        pytest.param(
            *("jets", "mlp_gan", ("mass", "ptd"), {"coordinates": "frame"}),
            marks=pytest.mark.slow,
        ),
        ("jets", "epic_gan", ("mass", "ptd"), {"coordinates": "relative"}),
        ("events", "mlp_gan", ("m_jj", "phi", "invariant_mass_jj"), {}),
        ("events", "mlp_gan", ("invariant_mass_jj",), {"conditions": ("eta_jj",)}),
        ("showers", "mlp_gan", ("response", "width_across", "depth"), {}),
        pytest.param(
            *("showers", "cell_gan", ("response", "asymmetry_along"), {}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_observables_of_a_gan_are_those_of_its_samples(
    paths, name, model, held, scaling
):
    run = run_of(paths, name, model, objective={"observables": held}, scaling=scaling)
    ready = prepare(run)
    task = run.pipeline.objective(run, ready.scaler, ready.parts.train)
    assert task.enforced is not None and set(task.enforced.weights) == set(held)
    few = jax.tree.map(lambda a: a[:30], ready.train)
    mask = few.mask
    if run.pipeline.particle_mask(run.scaling, ready.scaler) is not None:
        exist = run.pipeline.particle_mask(run.scaling, ready.scaler)
        mask = mask & exist(few.x, few.context)
    values = jax.jit(task.enforced.values)
    true = values(few.x, few.mask, few.context)
    again = values(few.x, mask, few.context)
    everything = jax.jit(task.enforced.values)(*ready.train)
    for observable in held:
        # A cell that has the least energy of all does not exist again.
        near = np.isclose(again[observable], true[observable], rtol=1e-3, atol=1e-3)
        assert np.sum(~near.all(-1)) <= 1
        # In units of the standard deviation in training.
        spread = np.std(np.asarray(everything[observable], np.float64), axis=0)
        np.testing.assert_allclose(spread, 1, rtol=2e-2)
    params = jax.jit(ready.model.init)(jax.random.key(0))
    _, terms = jax.jit(ready.model.loss)(params, jax.random.key(1), few)
    assert {f"{one}_distance" for one in held} <= set(terms)
    assert all(np.isfinite(term).all() for term in terms.values())

    def mean(own):
        both = params | {"generator": own}
        found, _ = ready.model.loss(both, jax.random.key(1), few)
        return found["generator"].mean()

    slope = jax.jit(jax.grad(mean))(params["generator"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


# VAEs of events and showers.


@pytest.mark.parametrize(
    ("name", "held"),
    [("events", ("pt_jj", "invariant_mass_jj")), ("showers", ("energy", "x"))],
)
def test_errors_of_reconstructions_are_in_the_loss_of_a_vae(paths, name, held):
    fields = {"observables": held, "gamma_observables": (2.0, 3.0)}
    plain, more = (
        prepare(run_of(paths, name, "mlp_vae", objective=fields if given else {}))
        for given in (False, True)
    )
    few = jax.tree.map(lambda a: a[:20], plain.train)
    params = jax.jit(plain.model.init)(jax.random.key(0))
    before, terms = jax.jit(plain.model.loss)(params, jax.random.key(1), few)
    after, others = jax.jit(more.model.loss)(params, jax.random.key(1), few)
    assert set(others) - set(terms) == {f"{one}_error" for one in held}
    added = sum(
        weight * others[f"{one}_error"]
        for one, weight in zip(held, (2.0, 3.0), strict=True)
    )
    assert np.all(added > 0)
    np.testing.assert_allclose(after, before + added, rtol=1e-4)


# Observables of events and showers.


def test_observables_of_events():
    values = table(50).astype(np.float64)
    columns = find(NAMES, values)
    names = ("pt_jj", "phi", "invariant_mass_jj")
    found = jax.jit(lambda rows: of_events(columns, rows, names))(values)
    np.testing.assert_allclose(found["pt_jj"][:, 0], values[:, 1], rtol=1e-6)
    angle = np.stack([np.cos(values[:, 4]), np.sin(values[:, 4])], -1)
    np.testing.assert_allclose(found["phi"], angle, atol=1e-6)
    np.testing.assert_allclose(
        found["invariant_mass_jj"][:, 0], values[:, 0], rtol=2e-3
    )
    # A space-like four-vector has a negative mass, with a gradient that mends it.
    row = np.array([0.0, 30.0, 1.0, 20.0, 0.0, 1.0])
    square = 20.0**2 - (30 * np.cosh(1.0)) ** 2

    def mass(row):
        return of_events(columns, row, names)["invariant_mass_jj"][0]

    value, slope = jax.value_and_grad(mass)(jnp.asarray(row))
    assert float(value) == pytest.approx(-np.sqrt(-square), rel=1e-5)
    assert float(slope[3]) == pytest.approx(20 / np.sqrt(-square), rel=1e-4)
    for name, words in (
        ("Nj", "is a count, which has no gradient"),
        ("pt_j", "did you mean 'pt_jj'"),
        ("eta_jj", "is a condition"),
    ):
        assert words in (complaint(name, columns, ("eta_jj",)) or "")
    assert complaint("invariant_mass_jj", columns, ("eta_jj",)) is None


def test_showers_know_their_observables():
    for name in ("2x5x6x10", "1x5x6x10"):
        cells = geometry.get(name)
        found = observables.scalars(cells, blobs(4, name=name))
        layered = set(observables.LAYERED) if cells.num_layers > 1 else set()
        several = set(observables.SCALARS) - set(observables.LAYERED) | layered
        assert set(found) == several
        marked = metrics.no_check(cells, {"x"})
        assert ("fpd" in marked) == (cells.num_layers == 1)
        assert {"x", "ks_mean", "separation_mean"} <= set(marked)
        assert metrics.no_check(cells, set()) == []
    held = fixed_by(["response"], observables.COMPUTED)
    assert held == {"response", "energy"}
    assert "fpd" in metrics.no_check(geometry.get("2x5x6x10"), held)


# Wrong settings, and observables that do not check the model.


def test_mistakes_are_one_line(paths):
    discriminator = runs.Components(
        discriminator="mlp", discriminator_config=mlp.Config()
    )
    wrong = [
        ("events", "mlp_gan", {"observables": ("Nj",)},
         "^--event_objective.observables=Nj: is a count, which has no gradient"),
        ("events", "mlp_vae", {"observables": ("pt_j",)},
         "^--event_objective.observables=pt_j: must be of m_jj, .*invariant_mass_jj"),
        ("events", "mlp_gan", {"observables": ("m_jj",) * 2}, "names m_jj twice"),
        ("events", "mlp_gan", {"observables": ("phi",), "gamma_observables": (1, 2)},
         "^gamma_observables: give one weight, or one for each of the 1 observables"),
        ("events", "library", {"observables": ("m_jj",)},
         "^--event_objective.observables=m_jj: .*--model=library compares neither "
         "reconstructed nor generated events"),
        ("showers", "mlp_gan", {"observables": ("cells",)}, "counts cells, which has"),
        ("showers", "mlp_gan", {"observables": ("width",)}, "did you mean 'width_a"),
        ("showers", "cell_vae", {"observables": ("response",)},
         "^--shower_objective.observables=response: .*such as --model=mlp_vae"),
        ("jets", "library", {"observables": ("mass",)}, "compares neither"),
        ("jets", "mlp_gan", {"observables": ("multiplicity",)}, "no gradient"),
    ]  # fmt: skip
    for name, model, objective, message in wrong:
        with pytest.raises(InputError, match=message) as caught:
            prepare(run_of(paths, name, model, objective=objective))
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"--adversarial\.reconstruction above 0"):
        run_of(
            paths, "events", "mlp_vae",
            objective={"observables": ("m_jj",)}, parts=discriminator,
        )  # fmt: skip


def test_an_observable_without_spread_or_layers_is_one_line(paths, tmp_path):
    one = write_showers(tmp_path / "one.hdf5", blobs(30, name="1x5x6x10"), "1x5x6x10")
    given = paths | {"showers": one}
    run = run_of(given, "showers", "mlp_gan", objective={"observables": ("depth",)})
    with pytest.raises(InputError, match=r"observables=depth: .* has one layer"):
        prepare(run)
    with pytest.raises(InputError, match=r"^--a\.observables: x is the same for all"):
        check_spreads({"x": np.zeros(1)}, flag="a", unit="events")


def test_what_the_loss_of_a_gan_holds_is_no_check(paths, monkeypatch):
    relative = {"coordinates": "relative"}

    def of(**objective):
        return run_of(paths, "jets", "epic_gan", objective=objective, scaling=relative)

    assert trained_on(of(), deterministic=False) == trained_on(of()) == set()
    held = of(observables=("width", "c2"), gamma_observables=(1.0, 0.0))
    assert trained_on(held, deterministic=False) == {"width"}
    assert unchecked(held, deterministic=False) == {"width", "tau1"}
    assert trained_on(of(observables=("width",), gamma=0.0)) == set()
    # A model of one's own that says nothing is asked for them, so it is marked.
    monkeypatch.delattr(epic_gan, "USES_DISTANCE")
    monkeypatch.delattr(epic_gan, "USES_OBSERVABLES")
    assert trained_on(held, deterministic=False) == {"width"}
    assert vae.NO_OBJECTIVE.enforced is None


@pytest.mark.parametrize(
    ("name", "model", "held", "no_check", "starred"),
    [
        ("events", "mlp_gan", ["invariant_mass_jj", "m_jj"], {"m_jj", "ks_mean"},
         ("m_jj *", "KS, mean")),
        pytest.param(
            "showers", "mlp_vae", ["response"],
            {"response", "energy", "ks_mean", "separation_mean", "fpd", "fpd_exact",
             "kpd"},
            ("response *", "deposited energy *", "resolution *"),
            marks=pytest.mark.slow,
        ),
    ],
)  # fmt: skip
def test_the_reports_mark_what_the_loss_held(
    paths, tmp_path, name, model, held, no_check, starred
):
    run = run_of(paths, name, model, objective={"observables": tuple(held)})
    assert runs.ModelRun.from_json(run.to_json()) == run
    runs.train(tmp_path, run)
    made = runs.generate(tmp_path, runs.GenerateConfig("prior", num_jets=30))
    report = runs.evaluate(tmp_path, runs.EvaluateConfig()).read_text()
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert result["trained_on"] == held and set(result["no_check"]) == no_check
    text = (tmp_path / "evaluation.txt").read_text()
    assert f"* in the training loss ({', '.join(held)})" in text
    assert all(word in text for word in starred)
    assert "pt_jj *" not in text and "width across *" not in text
    assert "marks statistics that were part of the training loss" in report
    evaluation = runs.domains.evaluation(name)
    assert evaluation.unchecked(run) & no_check == no_check - {
        *("ks_mean", "separation_mean", "fpd", "fpd_exact", "kpd")
    }
    # Of files, whose model is not known, nothing is marked.
    config = runs.EvaluateConfig(
        real=paths[name], generated=(str(made),), truth=paths[name]
    )
    runs.evaluate(tmp_path / "files", config, domain=name)
    result = json.loads((tmp_path / "files/evaluation.json").read_text())
    assert result["trained_on"] == result["no_check"] == []
    assert "training loss" not in (tmp_path / "files/evaluation.txt").read_text()


@pytest.mark.slow
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path):
    config = training.Config(num_epochs=3, batch_size=50, save_seconds=0.0)
    model = gan(toy(), critic_steps=3, nodes=8)
    run = functools.partial(
        fit, model_step(model, config, num_jets=200), jax.random.key(0),
        rows(200, 1), rows(100, 2), config=config, name="gan",
    )  # fmt: skip

    def stop(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    whole = run()
    with pytest.raises(KeyboardInterrupt):
        run(state_path=tmp_path / "state.npz", on_epoch=stop)
    resumed = run(state_path=tmp_path / "state.npz")
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)
    names = ("valid/sum_distance", "train/first_distance")
    for one, other in zip(resumed.history, whole.history, strict=True):
        assert [one[name] for name in names] == [other[name] for name in names]
