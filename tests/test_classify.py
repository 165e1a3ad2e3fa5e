"""Scores of runs: against NumPy and scipy, and the whole study on a tiny run."""

import csv
import dataclasses
import functools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jetvae_jax import densities, discriminators, events, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, GaussianPosterior
from jetvae_jax.densities import copula
from jetvae_jax.events.writer import write
from jetvae_jax.losses.distances import mse
from jetvae_jax.models import adversarial, mlp_vae
from jetvae_jax.models.vae import Built
from jetvae_jax.runs import domains
from jetvae_jax.runs.trained import build_model, task_of
from jetvae_jax.studies.signal import hypothesis, scores
from jetvae_jax.studies.signal.classify import (
    ClassifyConfig,
    classify,
    evaluate_scores,
    find_runs,
    label_models,
    score_run,
    verdict,
)

ROOT = Path(__file__).parent.parent
KEY = jax.random.key(0)
QUICK = training.Config(num_epochs=2, batch_size=100)


@pytest.fixture(scope="module")
def parts():
    """Untrained parts, their parameters, and a batch of 40 events of 5 features."""
    sizes = {"num_features": 5, "nodes": 8, "num_layers": 1}
    vae = mlp_vae.build(mlp_vae.Config(latent_dim=3, **sizes))
    module = discriminators.get("mlp")
    classifier = module.build(module.Config(**sizes))
    composed = Built(vae, None, classifier)
    x = jax.random.normal(KEY, (40, 1, 5))
    batch = Batch(x, jnp.ones((40, 1), bool), Context(jnp.zeros((40, 3))))
    own = {"discriminator": classifier.init(jax.random.key(2))}
    return composed, vae.init(jax.random.key(1)) | own, batch


def means(parts):
    composed, params, batch = parts
    return np.asarray(composed.vae.encode(params, batch.x, batch.mask).mean, float)


def test_reconstruction_is_the_mean_squared_error(parts):
    composed, params, batch = parts
    again = composed.vae.decode(params, means(parts).astype(np.float32))
    error = (np.asarray(again, float) - np.asarray(batch.x, float))[:, 0] ** 2
    found = scores.reconstruction(*parts)
    np.testing.assert_allclose(found, error.mean(1), rtol=1e-5)
    weights = np.array([1, 0, 1, 1, 0], np.float32)
    found = scores.reconstruction(*parts, weights=weights)
    np.testing.assert_allclose(found, error[:, [0, 2, 3]].mean(1), rtol=1e-5)


def test_latent_is_the_distance_from_the_normal(parts):
    expected = -stats.norm.logpdf(means(parts)).sum(1)
    np.testing.assert_allclose(scores.latent(*parts), expected, rtol=1e-5)


def test_discriminator_orders_as_one_minus_d(parts):
    composed, params, batch = parts
    logit = composed.discriminator.apply(params["discriminator"], batch.x, batch.mask)
    found = np.asarray(scores.discriminator(*parts))
    order = np.argsort(1 / (1 + np.exp(np.asarray(logit, float))))
    np.testing.assert_array_equal(np.argsort(found), order)
    with pytest.raises(ValueError, match="no discriminator"):
        scores.discriminator(composed._replace(discriminator=None), params, batch)


def test_surprise_is_the_density_of_the_means(parts):
    covariance = np.diag([0.5, 1.0, 2.0]) + 0.2
    reference = stats.multivariate_normal(np.zeros(3), covariance)
    log_prob = functools.partial(
        jax.scipy.stats.multivariate_normal.logpdf, mean=jnp.zeros(3), cov=covariance
    )
    found = scores.surprise(lambda z, condition: log_prob(z), *parts)
    np.testing.assert_allclose(found, -reference.logpdf(means(parts)), rtol=1e-4)


def test_tail_is_fishers_sum_of_independent_uniforms(parts):
    u = stats.norm.cdf(means(parts) * 2)
    expected = -2 * np.log(2 * np.minimum(u, 1 - u)).sum(1)
    found = scores.tail(lambda z: 2 * z, *parts)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    # Of uniforms it is chi squared with two degrees of freedom each.
    z = jax.random.normal(KEY, (4000, 3))
    vae = parts[0].vae._replace(
        encode=lambda params, x, mask, condition: GaussianPosterior(
            x[..., 0, :], x[..., 0, :]
        )
    )
    encoder = Built(vae, None, None)
    batch = Batch(z[:, None], jnp.ones((4000, 1), bool), Context(jnp.zeros((4000, 3))))
    found = scores.tail(lambda z: z, encoder, {}, batch)
    assert stats.kstest(np.asarray(found), stats.chi2(6).cdf).pvalue > 1e-3
    far = scores.tail(lambda z: z * 0 + 9.0, encoder, {}, batch)
    assert np.isfinite(far).all()  # u would round to 1


def test_components_are_those_of_the_covariance():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3000, 4)) * [5.0, 2.0, 1.0, 1e-9] + 3.0
    turn = stats.ortho_group.rvs(4, random_state=1)
    fitted = scores.components(z @ turn)
    np.testing.assert_allclose(fitted.std[:3], z.std(0, ddof=1)[:3], rtol=0.01)
    assert fitted.leading == 2  # 25 + 4 of 30
    assert fitted.std[3] >= 1e-3 * fitted.std[0]  # an unused latent
    projected = scores.project(fitted, jnp.asarray(z @ turn, jnp.float32))
    distance = np.sum((np.asarray(projected) / fitted.std)[:, :3] ** 2, axis=1)
    inverse = np.linalg.inv(np.cov(z[:, :3], rowvar=False))
    centred = z[:, :3] - z[:, :3].mean(0)
    mahalanobis = np.einsum("ji,ik,jk->j", centred, inverse, centred)
    np.testing.assert_allclose(distance, mahalanobis, rtol=2e-2, atol=2e-3)


def test_combination_is_fitted_to_background_alone():
    rng = np.random.default_rng(0)
    reference = {"a": rng.exponential(size=5000), "b": rng.normal(size=5000)}
    again = scores.normal_scores(reference["a"], reference["a"])
    assert abs(again.mean()) < 1e-3 and again.std() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(np.argsort(again), np.argsort(reference["a"]))
    # The median of background is 0 whatever the scale of a score.
    values = {"a": np.array([np.log(2), 3.0]), "b": np.array([0.0, 50.0])}
    found = scores.combine(reference, values)
    assert found[0] == pytest.approx(0, abs=0.03)
    top = stats.norm.isf(1 / 10_002)
    assert found[1] == pytest.approx(
        (stats.norm.ppf(1 - np.exp(-3)) + top) / 2, abs=0.2
    )


# The whole study


def tiny_run(**changes):
    domain = domains.get("events")
    names = tuple(name for name in events.load("embedded").names if name != "Ncj")
    table = domain.Data(max_events=700, fractions=(0.5, 0.2, 0.3), columns=names)
    data, scaling = domain.resolved(table, domain.Scaling())
    module = discriminators.get("mlp")
    part = runs.Components(
        prior="gaussian_copula",
        discriminator="mlp",
        discriminator_config=module.Config(num_layers=1, nodes=16),
        adversarial=adversarial.Config(reconstruction=1.0),
    )
    given = {
        "data": data, "scaling": scaling, "model": "mlp_vae",
        "model_config": mlp_vae.Config(latent_dim=4, num_layers=1, nodes=16),
        "loss": "mse", "loss_config": mse.Config(), "objective": domain.Objective(),
        "training": QUICK,
        "domain": "events", "components": part,
    }  # fmt: skip
    return runs.ModelRun(**given | changes)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "tiny"
    runs.train(folder, tiny_run())
    return folder


@pytest.fixture(scope="module")
def signal(tmp_path_factory):
    """Background with momenta and masses three times as large."""
    table = events.load("embedded", max_events=300)
    columns = list(table.names)
    values = table.values.copy()
    for name in ("mlly", "pt_zy", "e_zy", "pt_ll", "e_ll", "MET"):
        values[:, columns.index(name)] *= 3
    path = tmp_path_factory.mktemp("signal") / "heavy.hdf5"
    write(path, values, columns, {})
    return str(path)


@pytest.fixture(scope="module")
def quick(signal):
    return {"signal": (signal,), "replicas": 5, "num_generated": 200, "keep": (0.1,)}


@pytest.fixture(scope="module")
def done(workdir, quick, tmp_path_factory):
    output = tmp_path_factory.mktemp("report")
    config = ClassifyConfig(**quick, fractions=(0.01, 0.1))
    page, line = classify([workdir], config, output=output)
    return page, line, json.loads((output / "classification.json").read_text())


@pytest.mark.slow
def test_report(done):
    page, line, result = done
    assert "\n" not in line and result["verdict"] == line
    assert "needs 5 models" in line
    assert list(result["runs"]) == ["tiny"]
    assert result["hypothesis"] == []  # one run is too few
    names = {"reconstruction", "reconstruction_rest", "latent", "pca", "pca_rest",
             "discriminator", "copula", "copula_tail", "combined"}  # fmt: skip
    run = result["runs"]["tiny"]
    assert set(run["scores"]) == names
    results = run["scores"]["reconstruction"]["heavy"]
    assert results["auc"]["value"] > 0.65  # three times as heavy is easily seen
    assert set(results["rejection"]) == {"0.3", "0.5", "0.8"}
    gain = results["improvement"]
    rejection = results["rejection"]["0.3"]["value"]
    assert gain["efficiency"] == 0.3
    assert gain["value"] == pytest.approx(0.3 * rejection**0.5)
    injected = results["injected"]["0.1"]
    assert injected["background"] == pytest.approx(0.1, abs=0.08)
    assert run["mass_alone"]["heavy"]["value"] > 0.7
    assert run["quality"]["latents"] == "prior" and 0 < run["quality"]["mean_ks"] < 1
    assert len(run["quality"]["ks"]) == 17
    text = page.read_text()
    assert "mass alone" in text and "://" not in text  # pictures may spell http
    pictures = {path.name for path in (page.parent / "figures").glob("*.png")}
    kinds = ("roc_0_tiny", "scores_0_tiny", "pca_0_tiny", "injected_0_tiny", "auc")
    assert {f"classify_{kind}.png" for kind in kinds} <= pictures
    with open(page.parent / "classification.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    aucs = [row for row in rows if row["metric"] == "auc" and row["run"] == "tiny"]
    assert {row["score"] for row in aucs} == names | {"mass alone"}


@pytest.mark.slow
def test_results_are_those_of_the_scores(workdir, quick, done):
    scored = score_run(workdir, ClassifyConfig(**quick))
    low, high = scored.background["latent"], scored.signal["heavy"]["latent"]
    area = np.mean(high[:, None] > low) + 0.5 * np.mean(high[:, None] == low)
    found = done[2]["runs"]["tiny"]["scores"]["latent"]["heavy"]
    assert found["auc"]["value"] == pytest.approx(area)
    keep = found["injected"]["0.1"]
    # The cut is that of the validation part, the shares are those of the test part.
    assert np.mean(scored.reference["latent"] >= keep["cut"]) == pytest.approx(
        0.1, abs=0.01
    )
    assert keep["signal"] == pytest.approx(np.mean(high >= keep["cut"]))
    assert found["window"] is None  # hardly any background is as heavy
    # Masses 50 to 100 of signal, whose central 90 % are 52.5 to 97.5.
    mass = {"background": np.arange(len(low)), "heavy": np.linspace(50, 100, len(high))}
    found = evaluate_scores(scored._replace(mass=mass), ClassifyConfig(**quick))
    window = found["latent"]["heavy"]["window"]
    inside = (mass["heavy"] > 52.5) & (mass["heavy"] < 97.5)
    area = np.mean(high[inside][:, None] > low[53:98])
    assert window["background_events"] == 45
    assert window["value"] == pytest.approx(area)


@pytest.mark.slow
def test_densities_of_a_run(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / "run")
    flow = densities.get("realnvp")
    settings = runs.CopulaRun(copula.Config(), "realnvp", flow.Config(), QUICK)
    runs.fit_copula(tmp_path / "run", settings)
    trained = runs.load_model(tmp_path / "run")
    fitted = scores.components(np.random.default_rng(0).normal(size=(50, 4)))
    found = scores.offered(trained, fitted)
    assert "reconstruction_rest" not in found and "flow" not in found
    sample = events.load("embedded", columns=trained.meta["columns"], max_events=50)
    sample = sample.values
    wanted = {name: found[name] for name in ("copula", "copula_tail")}
    values = scores.evaluate(trained, wanted, sample)
    z = trained.vae.encode(trained.params, *trained.scale(sample)[:2]).mean
    # The fitted copula comes before the one that was learned with the VAE.
    expected = -trained.density("copula").log_prob(z)
    np.testing.assert_allclose(values["copula"], expected, rtol=1e-3, atol=1e-3)
    assert np.isfinite(values["copula_tail"]).all()
    # A flow that was learned with the VAE.
    parts = runs.Components(
        prior="realnvp", prior_config=flow.Config(num_couplings=2, hidden=(8,))
    )
    run = dataclasses.replace(trained.run, components=parts)
    model = build_model(run, task_of(run, trained.scaler))
    params = model.init(KEY)
    other = trained._replace(run=run, model=model, params=params, folder=tmp_path)
    found = scores.offered(other, fitted)
    assert "copula" not in found and "discriminator" not in found
    z = other.vae.encode(params, *other.scale(sample)[:2]).mean
    np.testing.assert_allclose(
        found["flow"](other.scale(sample)),
        -model.components.prior.log_prob(params["prior"], z),
        rtol=1e-4,
    )


def of_model(model, ks, auc, gain=1.0):
    results = {
        "auc": {"value": auc, "error": 0.01},
        "improvement": {"value": gain},
    }
    return {"quality": {"mean_ks": ks}, "model": model,
            "scores": {"combined": {"s": results}}}  # fmt: skip


@pytest.mark.parametrize(
    ("aucs", "word"),
    [
        ((9, 8, 7, 6, 5), "borne out"),
        ((5, 6, 7, 8, 9), "contradicted"),
        ((5, 9, 6, 8, 7), "not shown"),
    ],
)
def test_hypothesis_and_its_words(aucs, word):
    given = {
        f"{m}/{seed}": of_model(m, 0.01 * (m + 1 + seed), auc / 10 + seed / 20, m % 3)
        for m, auc in enumerate(aucs)
        for seed in (-0.4, 0.4)
    }
    links = hypothesis.links(given, 0)
    found = {(row["metric"], row["over"]): row for row in links}
    assert len(found) == len(links) == 4
    # Over models the seeds average out.
    expected = stats.spearmanr(-np.arange(5), aucs).statistic
    assert found["auc", "models"]["value"] == pytest.approx(expected)
    assert found["auc", "models"]["num"] == 5
    points = [(r["quality"]["mean_ks"], hypothesis.found(r, "combined", "auc"))
              for r in given.values()]  # fmt: skip
    expected = stats.spearmanr(*-np.array(points).T).statistic * -1
    assert found["auc", "runs"]["value"] == pytest.approx(expected)
    line = hypothesis.answer(given, links)
    assert f"is {word} by these 5 models" in line and "over all 10 runs" in line
    few = {k: v for k, v in given.items() if v["model"] < 4}
    assert "needs 5 models" in hypothesis.answer(few, hypothesis.links(few, 0))
    assert "0 were given" in hypothesis.answer({}, [])
    line = verdict({"runs": given, "answer": "so it is", "signals": ["s"]})
    assert line.endswith("so it is") and "AUC 0.92" in line
    assert "best generator: 0/-0.4" in line
    mean, error = hypothesis.spread(given, 1, "combined", "auc")
    assert mean == pytest.approx(aucs[1] / 10) and error == pytest.approx(
        0.0283, abs=1e-4
    )


def test_runs_of_a_folder_and_their_models(tmp_path):
    one = tiny_run()
    other = dataclasses.replace(one, model_config=mlp_vae.Config(latent_dim=5))
    runs_of = {}
    for name, run in (
        ("A/seed0", one), ("A/seed1", dataclasses.replace(one, seed=1)), ("B/s", other),
    ):  # fmt: skip
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "vae.npz").touch()
        runs_of[name] = run
    found = find_runs([tmp_path])
    assert found == {name: str(tmp_path / name) for name in runs_of}
    assert find_runs([tmp_path / "B/s"]) == {"s": str(tmp_path / "B/s")}
    labels = label_models(found, runs_of)
    assert labels == {"A/seed0": "A", "A/seed1": "A", "B/s": "B/s"}
    # Two seeds that do not share a folder are named by the components of the model.
    apart = {"A/seed0": str(tmp_path / "A/seed0"), "A/seed1": str(tmp_path / "B/seed1")}
    labels = label_models(apart, {name: runs_of[name] for name in apart})
    assert set(labels.values()) == {"mlp_vae + gaussian_copula + mlp"}
    with pytest.raises(InputError, match="is listed twice"):
        find_runs([tmp_path, tmp_path / "A"])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"signal": ("none.hdf5",)}, "none.hdf5: no such file"),
        ({"scores": ("flow",)}, "cannot score by flow: the run lacks a flow"),
        ({"keep": (0.001,)}, "--classify.keep: 0.001 of 140 .* less than 10"),
        ({"exclude": ("mass",)}, "--classify.exclude: 'mass' is not a column"),
        ({"mass": "m"}, "--classify.mass: 'm' is not a column"),
    ],
)
def test_mistakes(workdir, quick, tmp_path, changes, says):
    with pytest.raises(InputError, match=says) as error:
        classify([workdir], ClassifyConfig(**quick | changes), output=tmp_path)
    assert "\n" not in str(error.value)


def test_wrong_tables_of_signal(workdir, quick, tmp_path):
    table = events.load("embedded:signal", max_events=20)
    path = tmp_path / "s.hdf5"
    for values, names, says in (
        (table.values[:, 1:], table.names[1:], "mlly: missing column"),
        (table.values[:0], table.names, "s.hdf5"),
        (np.where(table.values == table.values[3, 4], np.nan, table.values),
         table.names, "e_zy: .*not finite"),
        (-table.values, table.names, "s.hdf5: mlly: .* 20 of 20 values are not above"),
    ):  # fmt: skip
        write(path, values, names, {})
        with pytest.raises(InputError, match=says) as error:
            classify([workdir], ClassifyConfig(**quick | {"signal": (str(path),)}))
        assert "\n" not in str(error.value)


def test_run_without_discriminator_or_flow(workdir, tmp_path):
    trained = runs.load_model(workdir)
    fitted = scores.components(np.random.default_rng(0).normal(size=(50, 4)))
    networks = trained.model.components._replace(prior=None, discriminator=None)
    model = trained.model._replace(components=networks)
    found = scores.offered(trained._replace(model=model, folder=tmp_path), fitted)
    for name in ("discriminator", "flow", "copula"):
        with pytest.raises(InputError, match=f"by {name}: the run lacks a"):
            scores.chosen(found, [name], "here")
    assert list(scores.chosen(found, ["latent", "combined"], "here")) == ["latent"]


def test_settings_that_cannot_be(tmp_path):
    for changes, says in (
        ({"signal": ()}, "^signal: must not be empty"),
        ({"scores": ("magic",)}, "^scores: must be one of .*, got 'magic'"),
        ({"efficiencies": (1.5,)}, r"^efficiencies: must be below 1, got 1\.5"),
        ({"efficiencies": ()}, "^efficiencies: must not be empty"),
        ({"replicas": 1}, "^replicas: must be at least 2, got 1"),
    ):
        with pytest.raises(InputError, match=says):
            ClassifyConfig(**changes)
    with pytest.raises(InputError, match="no such folder"):
        classify([tmp_path / "none"], ClassifyConfig())
    with pytest.raises(InputError, match="is listed twice"):
        classify([tmp_path, tmp_path], ClassifyConfig())


def test_script_ends_in_one_line(tmp_path, run_script):
    none = run_script("classify")
    assert none.returncode == 2 and "--workdir: name the folder" in none.stderr
    result = run_script("classify", f"--workdir={tmp_path}")
    assert result.returncode == 2 and "vae.npz" in result.stderr
