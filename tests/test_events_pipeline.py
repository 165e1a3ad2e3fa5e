"""Tables of events through the whole pipeline: train, fit, generate, evaluate."""

import json
import pathlib

import h5py
import numpy as np
import pytest

from jetvae_jax import densities, models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Points
from jetvae_jax.events import domain
from jetvae_jax.losses import distances
from jetvae_jax.runs import dataset
from jetvae_jax.training import checkpoint

FIGURES = "made"
NAMES = ("mass", "phi", "Nj", "score")
QUICK = training.Config(num_epochs=1, batch_size=20)


def table(num=120, seed=0):
    """A mass, an azimuth, a count that goes with the mass, and a score in [0, 1]."""
    rng = np.random.default_rng(seed)
    mass = rng.lognormal(4, 0.5, num)
    count = rng.poisson(mass / 60)
    phi, score = rng.uniform(-np.pi, np.pi, num), rng.beta(2, 3, num)
    return np.stack([mass, phi, count, score], axis=1).astype(np.float32)


def write(path, values, names=NAMES):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("events", data=values)
        data.attrs["names"] = np.array(names, "S")
    return str(path)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("events") / "table.hdf5", table())


def run_of(path, *, parts=None, scaling=None, model=None, seed=0, **data):
    return runs.ModelRun(
        domain="events",
        data=domain.Data(path=path, **data),
        scaling=scaling or domain.Scaling(kinds=("score:bounded:0:1",)),
        model="mlp_vae",
        model_config=models.get("mlp_vae").Config(
            **{"latent_dim": 3, "num_layers": 1, "nodes": 8} | (model or {})
        ),
        loss="mse",
        loss_config=distances.get("mse").Config(),
        objective=domain.Objective(),
        training=QUICK,
        seed=seed,
        components=parts or runs.Components(),
    )


def made_in(workdir, latents):
    with h5py.File(pathlib.Path(workdir) / f"generated_{latents}.hdf5") as file:
        names = [name.decode() for name in file["events"].attrs["names"]]
        return names, file["events"][:]


def check_events(names, made):
    """Every generated event is one that a detector could have given."""
    assert tuple(names) == NAMES
    mass, phi, count, score = made.T
    assert np.isfinite(made).all() and (mass > 0).all()
    assert (phi >= -np.pi).all() and (phi < np.pi).all()
    assert set(count) <= set(table()[:, 2])
    assert (score >= 0).all() and (score <= 1).all()


def test_the_whole_pipeline(path, tmp_path):
    flow = densities.get("realnvp")
    fit = runs.FlowRun("realnvp", flow.Config(2, (8,)), "samples", QUICK)
    run = run_of(path)
    assert run.data.columns == NAMES  # filled in, so that no file is needed later
    runs.train(tmp_path, run)
    runs.fit_flow(tmp_path, fit)
    for latents in ("reconstruction", "prior", "flow"):
        runs.generate(tmp_path, runs.GenerateConfig(latents=latents, num_jets=50))
        names, made = made_in(tmp_path, latents)
        check_events(names, made)
    report = runs.evaluate(tmp_path, runs.EvaluateConfig())
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(result["candidates"]) == ["reconstruction", "prior", "flow"]
    assert set(result["floor"]["ks"]) == set(NAMES)
    conditions = result["conditions"]
    assert set(conditions) == {"whole", "positive", "angle", "bounded", "range"}
    for name in ("whole", "positive", "angle", "bounded"):
        assert set(conditions[name]["values"].values()) == {0}, name
    for path_ in (report, tmp_path / "evaluation.txt"):
        assert "Boundary conditions" in path_.read_text()
    assert "Spearman" in report.read_text() and "ratio to the input" in (
        report.read_text()
    )
    # Any two files, here the real table against itself: the distances are zero.
    files = runs.EvaluateConfig(real=path, generated=(path,), truth=path)
    runs.evaluate(tmp_path / "files", files, domain="events")
    text = (tmp_path / "files/evaluation.json").read_text()
    same = json.loads(text)["candidates"]["table"]
    assert same["ks_mean"]["value"] == same["spearman"]["value"] == 0


@pytest.mark.slow
def test_same_seed_same_bytes(path, tmp_path):
    for name in "ab":
        runs.train(tmp_path / name, run_of(path, seed=1))
    found = []
    for name, seed in (("a", 0), ("b", 0), ("b", 1)):
        config = runs.GenerateConfig(latents="prior", num_jets=30, seed=seed)
        found.append(runs.generate(tmp_path / name, config).read_bytes())
    assert found[0] == found[1] != found[2]


def test_checkpoints_with_the_old_names_of_a_scaler_load(path, tmp_path):
    scaling = domain.Scaling(kinds=("score:bounded:0:1",), conditions=("Nj",))
    runs.train(tmp_path, run_of(path, scaling=scaling))
    file = tmp_path / "vae.npz"
    arrays, meta = dict(np.load(file)), checkpoint.read_meta(file)
    meta["scaler_shapes"]["told"] = meta["scaler_shapes"].pop("conditions")
    arrays["scaler/told"] = arrays.pop("scaler/conditions")
    arrays["meta.json"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(file, **arrays)
    scaler = runs.load_model(tmp_path).scaler
    np.testing.assert_array_equal(scaler.conditions, arrays["scaler/told"])


@pytest.mark.slow
def test_a_condition_beyond_the_training_is_said_in_one_line(path, tmp_path, caplog):
    scaling = domain.Scaling(kinds=("score:bounded:0:1",), conditions=("mass", "Nj"))
    runs.train(tmp_path, run_of(path, scaling=scaling))
    mass = runs.load_model(tmp_path).data().train[:, NAMES.index("mass")]
    said = []
    for given in (mass.min(), mass.max(), 2 * mass.max()):
        asked = (f"mass={given:.7g}", "Nj=1")
        config = runs.GenerateConfig(latents="prior", num_jets=5, condition=asked)
        caplog.clear()
        runs.generate(tmp_path, config)
        said.append([m for m in caplog.messages if "extrapolates" in m])
    assert not said[0] and not said[1] and len(said[2]) == 1
    (line,) = said[2]
    assert f"mass={2 * mass.max():g} is beyond" in line and "Nj" not in line
    assert f"{mass.min():.4g} to {mass.max():.4g}, the range of the training" in line


@pytest.mark.slow
def test_condition_columns_come_back_as_they_were(path, tmp_path):
    scaling = domain.Scaling(
        kinds=("score:bounded:0:1",), conditions=("Nj", "phi"), marginals="normal"
    )
    run = run_of(path, scaling=scaling)
    assert run.sizes["num_features"] == 2 and run.sizes["num_conditions"] == 3
    trained_on = dataset.load("events", run.data).train
    scaler = domain.fit(run.scaling, trained_on)
    batch = domain.scale(run.scaling, scaler, trained_on)
    points = Points(batch.x, batch.mask)
    again = domain.unscale(run.scaling, scaler, points, batch.context)
    np.testing.assert_allclose(again, trained_on, rtol=2e-4, atol=2e-4)
    runs.train(tmp_path, run)
    runs.generate(tmp_path, runs.GenerateConfig(latents="prior", num_jets=40))
    names, made = made_in(tmp_path, "prior")
    check_events(names, made)
    known = {(row[2], round(float(row[1]), 3)) for row in trained_on}
    assert {(row[2], round(float(row[1]), 3)) for row in made} <= known
    # Given by the user: one condition, and the other as it goes with it; or both.
    for asked in (("Nj=2",), ("Nj=2", "phi=-1.5")):
        config = runs.GenerateConfig(latents="prior", num_jets=30, condition=asked)
        runs.generate(tmp_path, config)
        _, made = made_in(tmp_path, "prior")
        assert set(made[:, 2]) == {2}
        phi = {round(float(value), 3) for value in made[:, 1]}
        assert phi == {-1.5} if len(asked) == 2 else phi <= {p for _, p in known}
    drawn = runs.GenerateConfig(latents="prior", num_jets=300, context="density")
    runs.generate(tmp_path, drawn)
    _, made = made_in(tmp_path, "prior")
    check_events(names, made)
    assert abs(made[:, 2].mean() - trained_on[:, 2].mean()) < 0.5
    wrong = {
        ("Nj",): "write name=value",
        ("mass=90",): "'mass' is not a condition of this model; it has Nj, phi",
        ("Nj=1", "Nj=2"): "Nj is given twice",
        ("Nj=many",): "'many' is not a finite number",
    }
    for asked, message in wrong.items():
        with pytest.raises(InputError, match=message):
            config = runs.GenerateConfig(latents="prior", condition=asked)
            runs.generate(tmp_path, config)


@pytest.mark.slow
def test_a_count_is_the_same_number_wherever_it_stands(path):
    run = run_of(path)
    values = dataset.load("events", run.data).train
    scaler = domain.fit(run.scaling, values)
    whole = domain.scale(run.scaling, scaler, values).x
    part = domain.scale(run.scaling, scaler, values[7:9]).x
    np.testing.assert_array_equal(whole[7:9], part)
    counts = values[:, 2] == np.median(values[:, 2])
    assert len(np.unique(whole[counts, 0, 3])) == counts.sum()  # not all alike


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: np.where(np.arange(4) == 1, np.nan, v), "phi"),
        (lambda v: np.where(np.arange(4) == 2, 3, v), "Nj: constant"),
        (lambda v: v[:0], "events"),
        (lambda v: v[:, :3], "score: missing"),
    ],
    ids=["nan", "constant", "empty", "missing"],
)
def test_bad_tables_give_one_line(tmp_path, spoil, message):
    values = spoil(table())
    bad = write(tmp_path / "bad.hdf5", values, NAMES[: values.shape[1]])
    with pytest.raises(InputError, match=message) as caught:
        run_of(bad, columns=NAMES)
    assert "\n" not in str(caught.value) and "bad.hdf5" in str(caught.value)


def test_bad_settings_give_one_line(path):
    with pytest.raises(InputError, match="conditions: 'Njet' is not a column"):
        run_of(path, scaling=domain.Scaling(conditions=("Njet",)))
    with pytest.raises(InputError, match="no column is left"):
        run_of(path, columns=("Nj", "phi"), scaling=domain.Scaling(
            conditions=("Nj", "phi")
        ))  # fmt: skip
    with pytest.raises(InputError, match="output=linear"):
        run_of(path, model={"output": "sigmoid"})


def test_a_changed_table_is_noticed(tmp_path):
    changing = write(tmp_path / "table.hdf5", table())
    data = run_of(changing).data
    source = dataset.load("events", data).source
    dataset.load_same("events", data, source)
    dataset._load.cache_clear()
    write(tmp_path / "table.hdf5", table(seed=1))
    with pytest.raises(InputError, match="not the file"):
        dataset.load_same("events", data, source)
