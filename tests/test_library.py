"""The library method: exact neighbours, interpolation, and the run of a library."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest

import jetvae_jax as jv
from jetvae_jax import runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Task
from jetvae_jax.metrics.measurements import folded
from jetvae_jax.metrics.suite.protocols import EPIC_5K
from jetvae_jax.models import library
from jetvae_jax.report import tables
from jetvae_jax.runs import generation
from jetvae_jax.runs.training import prepare
from jetvae_jax.studies.library.study import LibraryStudyConfig, generated, study
from jetvae_jax.training import Config, checkpoint
from jetvae_jax.training.step import model_step

FIGURES = "made"
KEY = jax.random.key(0)
N, F, G = 5, 3, 2


def events(number, conditions=G, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(number, N, F)).astype(np.float32)
    mask = np.arange(N) < rng.integers(1, N + 1, number)[:, None]
    given = rng.normal(size=(number, conditions)).astype(np.float32)
    axis = np.zeros((number, 3), np.float32)
    return Batch(x, mask, Context(axis, given if conditions else None))


def given(batch):
    """Its conditions."""
    condition = batch.context.condition
    assert condition is not None
    return condition


def built(batch, **settings):
    """A library of these events, and its parameters."""
    condition = batch.context.condition
    size = 0 if condition is None else condition.shape[-1]
    config = library.Config(num_particles=N, num_conditions=size, **settings)

    def sample(count):
        return jax.tree.map(lambda a: a[: count or None], batch)

    model = library.model(config, Task(N, F, num_conditions=size, sample=sample))
    return model, model.init(KEY)


@pytest.mark.parametrize("lead", [(), (7,), (2, 3)])
def test_the_nearest_are_those_of_a_search_through_all(lead):
    rng = np.random.default_rng(1)
    rows, given = rng.normal(size=(200, G)), rng.normal(size=(*lead, G))
    far = np.sum((given[..., None, :] - rows) ** 2, axis=-1)
    expected = np.argsort(far, axis=-1)[..., :4]
    place = np.zeros(lead)
    found = library.nearest(rows, given, place, 4)
    np.testing.assert_array_equal(found, expected)
    jitted = jax.jit(library.nearest, static_argnums=3)
    np.testing.assert_array_equal(jitted(rows, given, place, 4), expected)
    if lead:
        mapped = jax.vmap(lambda g, p: library.nearest(rows, g, p, 4))
        np.testing.assert_array_equal(mapped(given, place), expected)


def test_one_neighbour_is_the_event_itself():
    batch = events(60)
    model, params = built(batch)
    rows = np.random.default_rng(2).integers(0, 60, 30)
    context = jax.tree.map(lambda a: a[rows], batch.context)
    points = jax.jit(model.sample)(params, KEY, context)
    np.testing.assert_array_equal(points.mask, batch.mask[rows])
    inside = batch.mask[rows][..., None]
    np.testing.assert_array_equal(points.x, np.where(inside, batch.x[rows], 0))
    # A NaN among its conditions gives a set of NaN; the other sets stay the same.
    wrong = context._replace(condition=context.condition.copy())
    wrong.condition[0, 1] = np.nan
    x = model.sample(params, KEY, wrong).x
    assert np.isnan(x[0]).all()
    np.testing.assert_array_equal(x[1:], points.x[1:])


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("conditions", [0, G])
def test_a_library_is_no_part_of_the_program_that_draws_from_it(k, conditions):
    """Of a million events it would be compiled for long, and be in memory twice."""
    batch = events(70, conditions)
    model, params = built(batch, k=k)
    context = jax.tree.map(lambda a: a[:30], batch.context)

    @jax.jit
    def draw(key):
        return model.sample(params, key, context)

    assert "tensor<70x" not in draw.lower(KEY).as_text()
    # The same as where the library is an argument, and one key after the other.
    with_params = jax.jit(model.sample)
    assert "tensor<70x" in with_params.lower(params, KEY, context).as_text()
    keys = jax.random.split(KEY, 3)
    many = jax.vmap(draw)(keys)
    for i, key in enumerate(keys):
        expected = with_params(params, key, context)
        np.testing.assert_allclose(many.x[i], expected.x, rtol=1e-6)
        np.testing.assert_array_equal(many.mask[i], expected.mask)


def test_of_equal_conditions_any_is_taken():
    batch = events(40)
    given(batch)[:] = np.repeat([[0.0, 1.0], [1.0, 1.0]], 20, axis=0)
    model, params = built(batch)
    context = Context(np.zeros((2000, 3)), np.ones((2000, 2), np.float32))
    x = np.asarray(model.sample(params, KEY, context).x)
    first = np.where(batch.mask, batch.x[..., 0], 0)[:, 0]
    counts = np.array([np.sum(x[:, 0, 0] == value) for value in first])
    assert counts[:20].sum() == 0 and counts.sum() == 2000
    assert counts[20:].min() > 40  # of 100 in the mean


def test_interpolation():
    x = np.arange(12.0).reshape(1, 3, 2, 2)
    mask = np.array([[[True, True], [True, False], [True, False]]])
    weights = np.array([[0.5, 0.3, 0.2]])
    mean, exists = library.interpolated(x, mask, weights)
    np.testing.assert_allclose(mean[0, 0], [0.3 * 4 + 0.2 * 8, 0.5 + 1.5 + 1.8])
    np.testing.assert_allclose(mean[0, 1], x[0, 0, 1])  # the only one that has it
    np.testing.assert_array_equal(exists, [[True, True]])
    mean, exists = library.interpolated(x, mask, np.array([[0.2, 0.5, 0.3]]))
    np.testing.assert_array_equal(exists, [[True, False]])
    np.testing.assert_array_equal(mean[0, 1], [0, 0])


def test_weights_from_one_event_to_their_mean():
    batch = events(3, conditions=0)
    batch = batch._replace(mask=np.ones_like(batch.mask), context=Context(
        np.zeros((3, 3), np.float32)))  # fmt: skip
    context = Context(np.zeros((4000, 3), np.float32))
    spread: dict[float, np.ndarray] = {}
    for concentration in (1e-3, 1.0, 1e4):
        model, params = built(batch, k=3, concentration=concentration)
        # With conditions the three would always be the neighbours.
        rows = np.tile(np.arange(3), (4000, 1))
        weights = np.random.default_rng(4).dirichlet(np.full(3, concentration), 4000)
        x, _ = library.interpolated(batch.x[rows], batch.mask[rows], weights)
        spread[concentration] = np.asarray(x).std(axis=0)
        assert model.sample(params, KEY, context).x.shape == (4000, N, F)
    # Var of a Dirichlet mean of k values: theirs over k c + 1.
    own = batch.x.std(axis=0)
    np.testing.assert_allclose(spread[1e-3], own / 1.003**0.5, rtol=0.1)
    np.testing.assert_allclose(spread[1.0], own / 2, rtol=0.1)
    np.testing.assert_allclose(spread[1e4], own / 30001**0.5, rtol=0.1)


def test_without_conditions_events_are_drawn():
    batch = events(20, conditions=0)
    model, params = built(batch, num_events=10)
    points = model.sample(params, KEY, Context(np.zeros((500, 3))))
    first = np.where(batch.mask, batch.x[..., 0], 0)[:, 0]
    counts = [np.sum(points.x[:, 0, 0] == value) for value in first]
    assert min(counts[:10]) > 20 and sum(counts[10:]) == 0
    loss, _ = model.loss(params, KEY, batch)
    np.testing.assert_array_equal(loss, 0)


def test_the_loss_is_the_distance_and_nothing_moves():
    batch, other = events(50), events(8, seed=3)
    model, params = built(batch)
    loss, terms = jax.jit(model.loss)(params, KEY, other)
    apart = given(other)[:, None] - given(batch)
    expected = np.min(np.sum(apart.astype(float) ** 2, axis=-1), axis=1)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    np.testing.assert_array_equal(terms["distance"], loss)
    step = model_step(model, Config(averaging=0.9), num_jets=50)
    state = step.init(KEY)
    after, means = jax.jit(step.update)(state, KEY, other)
    assert int(after.count) == 1 and after.opt_state == ()
    jax.tree.map(np.testing.assert_array_equal, after.eval_params, params)
    assert float(means["loss"]) == pytest.approx(expected.mean(), rel=1e-4)
    assert model.reach is not None
    low, high = model.reach(params)
    np.testing.assert_array_equal(low, given(batch).min(axis=0))
    np.testing.assert_array_equal(high, given(batch).max(axis=0))


def test_mistakes():
    with pytest.raises(InputError, match=r"^--library.k=8: the library has 5 events"):
        built(events(5), k=8)
    model, params = built(events(5))
    with pytest.raises(ValueError, match="condition has shape None, expected 2"):
        model.sample(params, KEY, Context(np.zeros((3, 3))))
    with pytest.raises(InputError, match=r"^concentration: must be positive"):
        library.Config(concentration=0.0)
    with pytest.raises(InputError, match=r"one of mpgan.* \(did you mean 'jetnet_50k'"):
        LibraryStudyConfig(protocol="jetnet")


def test_any_number_of_rows_is_restored_where_the_template_has_none(tmp_path):
    path = tmp_path / "x.npz"
    checkpoint.save(path, {"rows": np.ones((7, 3), np.float32)})
    like = {"rows": np.zeros((0, 3), np.float32)}
    assert checkpoint.restore(path, like)["rows"].shape == (7, 3)
    for shape in ((0, 4), (6, 3), (0,)):
        with pytest.raises(InputError, match="rows: expected"):
            checkpoint.restore(path, {"rows": np.zeros(shape, np.float32)})


RUN = ("--model=library", "--data.path=embedded", "--data.max_jets=400",
       "--scaling.coordinates=relative", "--scaling.conditions=pt,mass",
       "--scaling.method=none", "--train.num_epochs=2",
       "--train.batch_size=50")  # fmt: skip


@pytest.mark.slow
def test_a_library_is_trained_and_generates_like_any_model(tmp_path, run_script):
    workdir = f"--workdir={tmp_path}"
    assert run_script("train", *RUN, workdir).returncode == 0
    trained = runs.load_model(tmp_path)
    parts = trained.data()
    batch = trained.scale(parts.train)
    own = trained.params["library"]
    assert own["x"].shape == (280, 30, 3)
    np.testing.assert_array_equal(own["mask"], batch.mask)
    # At the conditions of its own events it gives them.
    jets = trained.sample(KEY, batch.context)
    np.testing.assert_allclose(
        jets.particles, parts.train.particles, rtol=1e-4, atol=0.05
    )
    lines = (tmp_path / "vae.metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line) for line in lines]
    assert [epoch["train/loss"] for epoch in epochs] == [0, 0]
    assert epochs[0]["valid/loss"] == epochs[1]["valid/loss"] > 0
    latents = "--generate.latents=prior"
    result = run_script("generate", workdir, latents, "--generate.num_jets=60")
    assert result.returncode == 0 and (tmp_path / "generated_prior.hdf5").exists()
    wrong = [
        (("generate", latents, "--generate.condition=pt=9000"),
         "--generate.condition=pt=9000: is above that of every event in the library"),
        (("generate", latents, "--generate.condition=mass=0.01,pt=1100"),
         "--generate.condition=mass=0.01: is below"),
        (("fit_flow",), "--model=library: has no encoder"),
    ]  # fmt: skip
    for (name, *flags), says in wrong:
        result = run_script(name, workdir, *flags)
        assert result.returncode == 2 and says in result.stderr, result.stderr
    other = f"--workdir={tmp_path}/other"
    result = run_script("train", *RUN, other, "--library.k=300")
    assert result.returncode == 2
    assert "--library.k=300: the library has 280 events" in result.stderr
    assert not (tmp_path / "other" / "vae.npz").exists()


STUDY = (*RUN, "--library_study.num_generated=2000", "--library_study.quantiles=10",
         "--library_study.observables=mass,width",
         "--library_study.protocol=epic_5k")  # fmt: skip


def studied(run_script, folder, *flags):
    """The rows of a study by size and k."""
    result = run_script("compare_libraries", f"--workdir={folder}", *STUDY, *flags)
    assert result.returncode == 0, result.stderr
    found = json.loads((folder / "library.json").read_text())
    assert result.stdout.splitlines() == [
        found["verdict"],
        str(folder / "library.html"),
    ]
    for name in ("library", "library_metrics"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 1000
    assert set(found["evaluation"]["candidates"]) == {
        r["sample"] for r in found["rows"]
    }
    assert "W1M" in (folder / "library.txt").read_text()
    return {(row["events"], row["k"]): row for row in found["rows"]}


@pytest.mark.slow
def test_a_study_of_a_library(tmp_path, run_script):
    flags = ("--library_study.sizes=40", "--library_study.k=1")
    rows = studied(run_script, tmp_path, *flags)
    assert set(rows) == {(40, 1)} and rows[40, 1]["different"] <= 40 / 2000
    worth = rows[40, 1]["worth"]["width"]
    assert worth["low"] < 80 and worth["value"] > 10
    wrong = [
        ("--model=autoregressive_vae", "--model=autoregressive_vae, --domain=jets: "),
        (
            "--library_study.observables=mas",
            "'mas' is not known (did you mean 'mass'?)",
        ),
        ("--library_study.quantiles=50", "there are 60 test jets"),
        ("--library_study.k=1,500", "--library.k=500: the library has 40 events"),
        ("--library_study.k=0", "must be positive"),
        (
            "--library_study.protocol=jetnet",
            "--library_study.protocol: must be one of mpgan_10k, jetnet_50k, gsgm_50k, "
            "epic_5k, igapt (did you mean 'jetnet_50k'?), got 'jetnet'",
        ),
    ]
    other = f"--workdir={tmp_path}/other"
    for flag, says in wrong:
        result = run_script("compare_libraries", other, *STUDY, *flags, flag)
        assert result.returncode == 2 and says in result.stderr, result.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_metrics_of_a_library_are_those_of_its_jets(tmp_path):
    """Every sample with the same jets and draws as if one called the functions."""
    run = runs.model_run(
        {"data.max_jets": 400},
        flagfile="library_gluon30",
    )
    config = LibraryStudyConfig(
        k=(2,), sizes=(100,), observables=("mass",), num_generated=1000, quantiles=10,
        protocol="epic_5k", seed=5,
    )  # fmt: skip
    page, _ = study(tmp_path, run, config)
    evaluation = json.loads((tmp_path / "library.json").read_text())["evaluation"]
    settings = dataclasses.replace(run.model_config, k=2, num_events=100)
    changed = dataclasses.replace(run, model_config=settings)
    ready = prepare(changed)
    made = generated(ready, changed, config)
    assert made.particles.shape == (1000, 30, 3)
    real, made, other = (
        jv.metrics.relative(jv.Jets(j.particles[:60], j.mask[:60]))
        for j in (ready.parts.test, made, ready.parts.valid)
    )
    key = jax.random.key(5)
    for results, jets in (
        (evaluation["candidates"]["100, k = 2"], made),
        (evaluation["floor"], other),
    ):
        for name in ("w1m", "w1p", "w1efp"):
            measure = getattr(jv.metrics, name)
            expected = measure(folded(key, name), real, jets, draws=EPIC_5K.w1)
            found = results["protocols"]["epic_5k"][name]
            assert found["value"] == pytest.approx(expected["value"], rel=1e-4)
            assert found["error"] == pytest.approx(expected["error"], rel=1e-3)
    row = page.read_text().partition('<th scope="row">100, k = 2</th>')[2]
    w1m = evaluation["candidates"]["100, k = 2"]["protocols"]["epic_5k"]["w1m"]
    shown = tables.with_error(1e3 * w1m["value"], 1e3 * w1m["error"])
    assert row.startswith(f"<td>{shown}</td>")


@pytest.mark.slow
def test_libraries_of_several_sizes(tmp_path, run_script):
    flags = ("--library_study.sizes=40,0", "--library_study.k=1,3")
    rows = studied(run_script, tmp_path, *flags)
    assert set(rows) == {(40, 1), (40, 3), (280, 1), (280, 3)}
    # No more than the events of a library are different, whatever the number drawn.
    assert rows[40, 1]["different"] <= 40 / 2000 < rows[280, 1]["different"]
    assert rows[280, 1]["different"] <= 280 / 2000 < rows[40, 3]["different"]
    # The mean of three is too narrow.
    assert rows[280, 3]["worth"]["mass"]["value"] < rows[280, 1]["worth"]["mass"]["low"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags",
    [
        ("--domain=pixels", "--pixel_scaling.condition_on_digit"),
        ("--domain=events", "--event_scaling.conditions=mlly"),
        ("--library.k=4", "--scaling.coordinates=frame", "--scaling.conditions=pt",
         "--data.max_jets=600"),
    ],
)  # fmt: skip
def test_other_data_and_the_evaluation(flags, tmp_path, run_script):
    workdir, latents = f"--workdir={tmp_path}", "--generate.latents=prior"
    short = "--train.num_epochs=1"
    result = run_script("train", "--model=library", workdir, short, *flags)
    assert result.returncode == 0, result.stderr
    result = run_script("generate", workdir, latents)
    assert result.returncode == 0, result.stderr
    result = run_script("evaluate", workdir, "--evaluate.protocols=epic_5k")
    assert result.returncode == 0, result.stderr
    if "--domain=pixels" in flags:
        result = run_script(
            "generate", workdir, latents, "--generate.condition=digit=3"
        )
        assert result.returncode == 0, result.stderr
        found = jv.images.files.read(tmp_path / "generated_prior.npz")
        assert len(np.unique(np.asarray(found.points), axis=0)) > 50


def test_a_library_of_several_classes_says_what_is_beyond_it():
    """The class is several columns of the conditions."""
    trained = types.SimpleNamespace(
        model=types.SimpleNamespace(
            reach=lambda params: (np.array([0, 0, 0, -1.0]), np.array([1, 1, 1, 2.0]))
        ),
        params=None,
    )
    names = {"type": ("g", "q", "t"), "pt": ()}
    fine, above = (Context(np.zeros((1, 3)), np.array([[0, 0, 1, v]])) for v in (1, 3))
    generation._check_reach(trained, fine, names, {"pt": 1000.0})
    generation._check_reach(trained, above, names, {"type": 2.0})
    with pytest.raises(InputError, match="condition=pt=9000: is above that of every"):
        generation._check_reach(trained, above, names, {"pt": 9000.0})
