"""Jets of another kind: scores against closed forms, and the study through its script.

The scores of a density are those of an untrained autoregressive model, whose weights
do not matter for what is compared.
"""

import csv
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import jet_arrays, write
from scipy import stats

from jetvae_jax import data, discriminators, models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Model
from jetvae_jax.densities import realnvp
from jetvae_jax.jets import domain
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.losses.objective import gaussian_kl
from jetvae_jax.metrics.classifier.two_sample import auc_with_error
from jetvae_jax.models import autoregressive_vae, mlp_vae
from jetvae_jax.runs.trained import TrainedModel, build_model, task_of
from jetvae_jax.studies.find_jets import scores, study, verdict

FIGURES = "made"
KEY = jax.random.key(0)
N = 6
RELATIVE = {"coordinates": "relative", "method": "none", "axis": "jet"}
DENSITY = autoregressive_vae.Config(
    num_particles=N, latent_dim=3, width=16, num_layers=1, heads=2, pt_components=3,
    angle_components=3, near=1, encoder_width=16, encoder_layers=1, mirror="none",
)  # fmt: skip


def settings(model, config, objective, **scaling):
    return runs.ModelRun(
        data=domain.Data(num_particles=N),
        scaling=domain.Scaling(**scaling),
        model=model,
        model_config=config,
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=objective,
        training=training.Config(num_epochs=1, batch_size=50),
    )


def untrained(run, jets, folder):
    """A model with its first weights."""
    scaler = domain.fit(run.scaling, jets)
    batch = domain.scale(run.scaling, scaler, jets)
    task = task_of(run, scaler, sample=lambda count: batch)
    model = build_model(run, task)
    return TrainedModel(model, jax.jit(model.init)(KEY), scaler, run, {}, folder)


def of_model(trained, jets, draws):
    run = trained.run
    objective = run.pipeline.objective(run, trained.scaler, jets)
    return scores.of_model(trained, objective, KEY, jets, draws)


@pytest.fixture(scope="module")
def jets():
    """Leading particles, which do not add up to the jet."""
    return data.load("embedded", max_jets=1000, num_particles=N).jets


def few(jets):
    return jax.tree.map(lambda a: a[:40], jets)


@pytest.mark.slow
def test_likelihood_of_a_density(jets, tmp_path, monkeypatch):
    monkeypatch.setattr(scores, "TERM_DRAWS", 32)
    objective = domain.Objective(form="classic", beta=1.0)
    run = settings("autoregressive_vae", DENSITY, objective, **RELATIVE)
    trained, jets = untrained(run, jets, tmp_path), few(jets)
    found = of_model(trained, jets, 32)
    assert list(found)[:3] == ["likelihood", "elbo", "likelihood_per_particle"]
    assert {"kl", "latent", "pt", "angles", "count"} <= set(found)
    assert np.all(found["likelihood"] <= found["elbo"] + 1e-3)  # Jensen
    number = jets.mask.sum(1)
    per_particle = found["likelihood"] / number
    np.testing.assert_allclose(found["likelihood_per_particle"], per_particle)
    batch = trained.scale(jets)
    posterior = jax.jit(trained.model.encode)(trained.params, batch)
    mean, logvar = (np.asarray(v, float) for v in posterior)
    kl = 0.5 * (mean**2 + np.exp(logvar) - logvar - 1).sum(1)
    np.testing.assert_allclose(found["kl"], kl, rtol=1e-3, atol=1e-4)
    latent = -stats.norm.logpdf(mean).sum(1)
    np.testing.assert_allclose(found["latent"], latent, rtol=1e-4)
    # The change of variables from pt to log pt, by numbers.
    log_pt = np.log(np.where(batch.mask, batch.x[..., 0], 1)).sum(1)
    np.testing.assert_allclose(
        found["likelihood_log_pt"], found["likelihood"] - log_pt, rtol=1e-4, atol=1e-3
    )
    # The bound is the terms of the loss, of other draws.
    terms = sum(found[name] for name in ("pt", "angles", "count", "kl"))
    away = found["elbo"] - terms
    assert abs(away.mean()) < 3 * stats.sem(away) < 2


@pytest.mark.slow
def test_a_model_without_latents_has_an_exact_likelihood(jets, tmp_path):
    config = dataclasses.replace(DENSITY, latent_dim=0)
    objective = domain.Objective(form="classic", beta=1.0)
    run = settings("autoregressive_vae", config, objective, **RELATIVE)
    trained, jets = untrained(run, jets, tmp_path), few(jets)
    found = of_model(trained, jets, 1)
    assert "elbo" not in found and "kl" not in found and "latent" not in found
    exact = trained.model.log_prob(trained.params, KEY, trained.scale(jets))
    # A particle at an edge of a bin of the coordinates is on this side or on that.
    away = np.abs(found["likelihood"] + exact)
    assert np.median(away) < 1e-3 and np.max(away) < 1


def test_bound_of_a_distance_is_the_loss_it_was_trained_by(jets, tmp_path):
    objective = domain.Objective(beta=0.9, gamma=0.5, gamma_pt=2.0, gamma_mass=3.0)
    run = settings("mlp_vae", mlp_vae.Config(latent_dim=2, nodes=8), objective)
    trained, jets = untrained(run, jets, tmp_path), few(jets)
    found = of_model(trained, jets, 200)
    jet = 2.0 * found["jet_pt"] + 3.0 * found["jet_mass"]
    distance = found["reconstruction"] + 0.5 * jet
    loss = 0.1 * distance + 0.9 * found["kl"]
    assert np.mean(found["elbo"]) == pytest.approx(np.mean(loss) / 0.9, rel=0.05)
    posterior, _ = trained.encode(jets)
    np.testing.assert_allclose(found["kl"], gaussian_kl(posterior), rtol=1e-4)
    assert "likelihood_log_pt" not in found
    # Without a KL in the loss the distance has no scale: there is no likelihood.
    free = domain.Objective(beta=0.0)
    run = settings("mlp_vae", mlp_vae.Config(latent_dim=2, nodes=8), free)
    found = of_model(trained._replace(run=run), jets, 2)
    assert not set(found) & set(scores.LIKELIHOODS)
    assert {"reconstruction", "kl", "latent"} <= set(found)


class Gaussian:
    """A model with nothing but what is required."""

    USES_MASK = False

    @staticmethod
    def model(config, task):
        def loss(params, key, batch):
            log_p = jax.scipy.stats.norm.logpdf(batch.x, params)
            nll = -jnp.sum(jnp.where(batch.mask[..., None], log_p, 0), (-2, -1))
            return nll, {"nll": nll, "many": jnp.sum(nll)}

        return Model(lambda key: jnp.zeros(()), loss, lambda *args: None)


def test_a_model_with_a_loss_alone(jets, tmp_path, monkeypatch):
    run = settings("mlp_vae", mlp_vae.Config(), domain.Objective(), **RELATIVE)
    monkeypatch.setattr(models, "get", lambda name: Gaussian)
    trained, jets = untrained(run, jets, tmp_path), few(jets)
    found = of_model(trained, jets, 2)
    assert list(found) == ["nll"]
    batch = trained.scale(jets)
    expected = np.where(batch.mask[..., None], stats.norm.logpdf(batch.x), 0)
    np.testing.assert_allclose(found["nll"], -expected.sum((1, 2)), rtol=1e-4)


@pytest.mark.slow
def test_a_model_with_discriminator_and_prior(jets, tmp_path):
    """Its loss is no bound; its prior is that of the KL and of the latents."""
    flow = realnvp.Config(num_couplings=2, hidden=(8,))
    parts = runs.Components(
        prior="realnvp", prior_config=flow, discriminator="deepsets",
        discriminator_config=discriminators.get("deepsets").Config(),
    )  # fmt: skip
    run = settings("mlp_vae", mlp_vae.Config(latent_dim=2), domain.Objective())
    run = dataclasses.replace(run, components=parts)
    trained, jets = untrained(run, jets, tmp_path), few(jets)
    found = of_model(trained, jets, 4)
    assert set(found) == {"kl", "latent", "flow", "discriminator", "reconstruction",
                          "jet_pt", "jet_mass"}  # fmt: skip
    prior, params = trained.model.components.prior, trained.params["prior"]
    z = trained.encode(jets)[0].mean
    np.testing.assert_allclose(found["flow"], -prior.log_prob(params, z), rtol=1e-3)


def test_names_of_signals():
    found = study.named(("a/t.hdf5", "b/t.hdf5", "w=all.h5"))
    assert found == {"t": "a/t.hdf5", "b_t": "b/t.hdf5", "w": "w=all.h5"}
    with pytest.raises(InputError, match=r"t\.hdf5 is listed twice"):
        study.named(("a/t.hdf5", "a/t.hdf5", "a/t.hdf5"))


# The whole study


def wide(arrays):
    """Jets three times as wide."""
    arrays["particle_features"][..., :2] *= 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of small jets, and files of signal."""
    folder = tmp_path_factory.mktemp("find")
    write(folder / "g.hdf5", jet_arrays(600, N, 0))
    for name, change in (("wide", wide), ("same", lambda arrays: None)):
        arrays = jet_arrays(150, N, 1)
        change(arrays)
        write(folder / f"{name}.hdf5", arrays)
    run = settings(
        "mlp_vae", mlp_vae.Config(latent_dim=2, num_layers=1, nodes=16),
        domain.Objective(),
    )  # fmt: skip
    files = domain.Data(
        path=str(folder / "g.hdf5"), num_particles=N, fractions=(0.5, 0.2, 0.3)
    )
    runs.train(folder / "run", dataclasses.replace(run, data=files))
    return folder


@pytest.fixture(scope="module")
def find(folder, run_script):
    """``(*flags, signals) -> Finished``: the script on the run."""

    def run(*flags, signals=("wide.hdf5",), workdir="run"):
        given = [f"--find.signals={','.join(signals)}"] if signals else []
        return run_script(
            "find_jets", f"--workdir={workdir}", *given, "--find.replicas=5",
            "--find.keep=0.1,0.5", "--find.draws=2", *flags, cwd=folder,
        )  # fmt: skip

    return run


@pytest.mark.slow
def test_study(find, folder):
    done = find("--output=out", signals=("wide.hdf5", "same.hdf5"))
    assert done.returncode == 0, done.stderr
    said, page = done.stdout.strip().splitlines()
    result = json.loads((folder / "out/find_jets.json").read_text())
    assert said == " ".join(result["verdict"]) and page == "out/find_jets.html"
    assert result["jets"]["background"]["number"] == 180  # of the test part
    by_score = result["scores"]
    names = {"likelihood", "elbo", "likelihood_per_particle", "kl", "latent",
             "reconstruction", "jet_pt", "jet_mass", *scores.CUTS}  # fmt: skip
    assert set(by_score) == names
    mass = by_score["mass"]["signals"]
    assert mass["wide"]["auc"]["value"] > 0.95
    assert abs(mass["same"]["auc"]["value"] - 0.5) < 4 * mass["same"]["auc"]["error"]
    assert by_score["mass"]["correlation"]["mass"] == pytest.approx(1)
    kept = by_score["mass"]["signals"]["wide"]["kept"]["0.1"]
    improvement = kept["improvement"]["value"]
    assert improvement == pytest.approx(kept["signal"]["value"] / 0.1**0.5)
    text = (folder / "out/find_jets.html").read_text()
    assert "Cuts without a model" in text and "://" not in text
    figures = {path.name for path in (folder / "out/figures").glob("*.png")}
    assert figures == {f"find_jets_{n}.png" for n in ("roc", "auc", "scores")}
    with open(folder / "out/find_jets.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    aucs = [row for row in rows if row["metric"] == "auc"]
    assert len(aucs) == 2 * len(names)
    assert not (folder / "run/find_jets.json").exists()


def test_background_is_the_test_part(folder):
    trained = runs.load_model(folder / "run")
    config = study.FindConfig(signals=("x",))
    parts = study.background(trained, config)
    known = {row.tobytes() for row in np.asarray(parts.train.particles)}
    assert not any(row.tobytes() in known for row in np.asarray(parts.test.particles))


def test_results_are_those_of_the_scores(folder, make_jets):
    trained = runs.load_model(folder / "run")
    config = study.FindConfig(signals=("x",), draws=2, replicas=2, keep=(0.5,))
    parts = study.background(trained, config)
    # As many as in the study above: the same compiled program.
    test = parts.test._replace(axis=None)
    jets = {"background": test, "x": make_jets(300, N, seed=5)}
    scored = study.score(trained, parts, jets, config)
    found = study.evaluate(scored, config)["latent"]
    low, high = scored.background["latent"], scored.signal["x"]["latent"]
    auc = found["signals"]["x"]["auc"]
    assert (auc["value"], auc["error"]) == auc_with_error(low, high)
    expected = stats.spearmanr(low, scored.observables["background"]["mass"]).statistic
    assert found["correlation"]["mass"] == pytest.approx(expected)
    both = jax.tree.map(lambda *rows: np.concatenate(rows), *jets.values())
    z = np.asarray(trained.encode(both)[0].mean, float)
    values = np.concatenate([low, high])
    np.testing.assert_allclose(values, -stats.norm.logpdf(z).sum(1), rtol=1e-3)


MISTAKES = [
    (("--find.keep=0.01",), {}, "--find.keep: 0.01 of 180"),
    (("--find.background=no.hdf5",), {}, "--find.background: no.hdf5: no such file"),
    (("--find.background=wide.hdf5",), {}, "is not the file this run was trained on"),
    (("--find.draws=0",), {}, "--find.draws"),
    ((), {"signals": ("no.hdf5",)}, "no.hdf5: no such file"),
    ((), {"signals": ("g.hdf5",)}, "g: 180 of its jets are background jets"),
    ((), {"signals": ("wide.hdf5", "./wide.hdf5", "wide.hdf5")}, "is listed twice"),
    ((), {"workdir": "none"}, "none/vae.npz"),
]


@pytest.mark.parametrize(("flags", "given", "says"), MISTAKES)
def test_mistakes_end_in_one_line(flags, given, says, find, folder):
    before = sorted(folder.rglob("*"))
    done = find(*flags, **given)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert says in done.stderr
    assert sorted(folder.rglob("*")) == before


def test_signals_of_another_kind(folder, make_hls4ml):
    """A class of a file of several; jets without the axis that a run needs."""
    path = make_hls4ml(classes="gt" * 20)
    trained = runs.load_model(folder / "run")
    for spec, count in ((f"t={path}", 20), (str(path), 20)):
        loaded = study._load(trained, spec, study.FindConfig(signals=(spec,)))
        assert len(loaded.jets.mask) == count
        assert loaded.source["jet_type"] == ("t" if spec != str(path) else "g")
    scaling = domain.Scaling(**RELATIVE)
    run = dataclasses.replace(trained.run, scaling=scaling)
    without = trained._replace(run=run)
    with pytest.raises(InputError, match="does not contain the axis of the whole jet"):
        study._load(without, f"t={path}", study.FindConfig(signals=("x",)))


def test_any_class_by_its_name(folder, tmp_path, monkeypatch):
    """Of files that are named by it, in the home folder; a path may hold an =."""
    trained = runs.load_model(folder / "run")
    for name, number in (("zprime", 40), ("g", 30)):
        write(tmp_path / f"{name}.hdf5", jet_arrays(number, N, 3))
    monkeypatch.setenv("HOME", str(tmp_path))
    for spec, count in ((f"zprime={tmp_path}", 40), ("zprime=~", 40), ("g=~", 30)):
        loaded = study._load(trained, spec, study.FindConfig(signals=(spec,)))
        assert len(loaded.jets.mask) == count
        assert loaded.source["jet_type"] == spec.partition("=")[0]
    for spec, says in (
        ("zprim=~", "choose one of g, q, t, w, z, or a class"),
        ("g=$NOT_SET/x.h5", "--find.signals=g=.*NOT_SET is not set"),
    ):
        with pytest.raises(InputError, match=says):
            study._load(trained, spec, study.FindConfig(signals=(spec,)))
    odd = write(tmp_path / "pt=1000.hdf5", jet_arrays(20, N, 4))
    monkeypatch.chdir(tmp_path)
    loaded = study._load(trained, odd.name, study.FindConfig(signals=(odd.name,)))
    assert len(loaded.jets.mask) == 20
    assert study.named(("zprime=~", odd.name)) == {
        "zprime": "zprime=~", "pt=1000": odd.name,
    }  # fmt: skip


def auc(value, error=0.01):
    found = {"value": value, "error": error}
    kept = {"signal": found, "improvement": found}
    return {"auc": found, "equal_multiplicity": None, "kept": {"0.1": kept}}


@pytest.mark.parametrize(
    ("likelihood", "mass", "words"),
    [
        (
            0.9,
            0.7,
            (
                "finds them",
                "plain cut finds less: mass above",
                "better than a plain cut: s.",
            ),
        ),
        (0.7, 0.1, ("finds them", "plain cut finds more: mass below", "cut: none.")),
        (0.7, 0.69, ("finds them", "plain cut finds as much", "cut: none.")),
        (0.51, 0.6, ("does not find them", "finds nothing; not found: s.")),
        (0.2, 0.6, ("for better examples", "throws them away", "not found: s.")),
    ],
)
def test_verdict(likelihood, mass, words):
    values = {"likelihood": likelihood, "kl": 0.8, "latent": 0.3}
    values |= dict.fromkeys(scores.CUTS, 0.5) | {"mass": mass}
    by_score = {name: {"signals": {"s": auc(v)}} for name, v in values.items()}
    text = " ".join(verdict.verdict({"scores": by_score}))
    for word in words:
        assert word in text
    assert "kl has the most" in text and "latent is on the wrong side" in text
    by_score["kl"] = {"signals": {"s": auc(0.4)}}
    text = " ".join(verdict.verdict({"scores": by_score}))
    assert "None of the model's other scores finds them, the best is kl, 0.400" in text
    by_score["kl"] = {"signals": {"s": auc(0.8)}}
    # A model without a likelihood is judged by its first score.
    del by_score["likelihood"]
    assert "s: the kl finds them" in verdict.verdict({"scores": by_score})[1]
