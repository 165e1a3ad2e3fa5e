"""The six models of Z gamma: their flagfiles, the comparison, the verdict."""

import csv
import json
import pathlib
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.events import metrics
from jetvae_jax.studies.zgamma import verdict

ROOT = pathlib.Path(__file__).parent.parent
FLAGFILES = sorted(
    p.name for p in (ROOT / "experiments/flagfiles").glob("zgamma_*vae*")
)
MODELS = ("VAE", "VAE+D", "VAE+NF", "VAE+NF+D", "CVAE", "CVAE+D")
TINY = (
    "--events.max_events=300", "--train.num_epochs=1", "--train.batch_size=50",
    "--mlp_vae.nodes=8", "--mlp_vae.num_layers=1", "--mlp.nodes=8",
    "--mlp.num_layers=1", "--spline.num_couplings=2", "--spline.hidden=8",
)  # fmt: skip

TRACE = """
import json, sys
sys.path.insert(0, "experiments")
import compare_zgamma as script
import jax
from jetvae_jax.runs.training import prepare

script.define()
script._cli.FLAGS(sys.argv)
found = {}
for name in script.MODELS:
    one = script._cli.candidate(name, script.FLAGFILES / script.MODELS[name])
    ready = prepare(one.vae)
    batch = jax.tree.map(lambda a: a[:50], ready.train)
    state = jax.eval_shape(ready.step.init, jax.random.key(0))
    _, terms = jax.eval_shape(ready.step.update, state, jax.random.key(0), batch)
    found[name] = one.latents, list(state.params), list(terms)
print(json.dumps(found))
"""


def script(name, *arguments):
    folder = ROOT / "experiments"
    return subprocess.run(
        [sys.executable, str(folder / name), *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_flagfiles_describe_the_six_models():
    """Each is read, composed and traced; all train in the slow test."""
    done = subprocess.run(
        [sys.executable, "-c", TRACE, "--workdir=unused", *TINY],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert tuple(found) == MODELS and len(FLAGFILES) == 6
    for name, (latents, parts, terms) in found.items():
        discriminator, flow = name.endswith("+D"), "NF" in name
        assert latents == ("copula" if name.startswith("CVAE") else "prior")
        expected = {"encoder", "decoder"}
        expected |= {"discriminator"} if discriminator else set()
        assert set(parts) == expected | ({"prior"} if flow else set())
        assert {"loss", "kl", "reconstruction"} <= set(terms)
        assert ("disc_loss" in terms) == discriminator
        assert ("uniform" in terms) == name.startswith("CVAE")


@pytest.mark.slow
def test_compare_end_to_end(tmp_path):
    """All six flagfiles train, generate and are evaluated, in their smallest form."""
    command = (
        "compare_zgamma.py", f"--workdir={tmp_path}", "--compare.seeds=1",
        "--nocompare.classify", *TINY,
    )  # fmt: skip
    done = script(*command)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((tmp_path / "comparison.json").read_text())
    assert tuple(result["models"]) == MODELS
    for name, results in result["models"].items():
        path = tmp_path / name.replace("+", "_") / "seed0"
        assert 0 < results["ks_mean"]["value"] <= 1, name
        assert ("discriminator" in results["parameters"]) == name.endswith("+D")
        assert ("prior" in results["parameters"]) == ("NF" in name)
        assert (path / "copula.npz").exists() == name.startswith("CVAE")
        history = (path / "vae.metrics.jsonl").read_text()
        assert ("disc_loss" in history) == name.endswith("+D")
        assert ("uniform" in history) == name.startswith("CVAE")
    best = result["verdict"]["distributions"]["best"]
    means = {name: f["ks_mean"]["value"] for name, f in result["models"].items()}
    assert means[best] == min(means.values())
    rows = list(csv.DictReader((tmp_path / "comparison.csv").read_text().splitlines()))
    assert len(rows) == 7 * (3 + 18)
    page = (tmp_path / "comparison.html").read_text()
    assert "Best overall" in page and page.count("<img") >= 1 + 3 + 6
    # What is done is not done again, and other settings are refused.
    again = script(*command)
    assert again.returncode == 0 and "6 trainings, 0 to do" in again.stderr
    other = script(*command, "--event_objective.beta=0.2")
    assert other.returncode == 2 and "other settings" in other.stderr


def test_an_unknown_model_is_one_line(tmp_path, run_script):
    done = run_script(
        "compare_zgamma", f"--workdir={tmp_path}", "--compare.models=VAE+GAN"
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: --compare.models")


@pytest.mark.parametrize("name", FLAGFILES)
def test_every_flagfile_has_a_search_space(name):
    path = ROOT / "experiments/spaces" / name.replace(".txt", ".toml")
    space = tomllib.loads(path.read_text())
    published = {
        "batch_size", "learning_rate", "activation", "latent_dim", "num_layers",
        "nodes", "beta",
    }  # fmt: skip
    assert published <= {field.rpartition(".")[2] for field in space}
    assert ("adversarial.gamma" in space) == name.endswith("_d.txt")
    assert ("prior" in space) == ("nf" in name)


def shifted(value, num=4000, seed=0):
    """Two normal columns of correlation 0.5; the first one shifted."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num, 2))
    return np.stack([x[:, 0] + value, x[:, 0] / 2 + 0.75**0.5 * x[:, 1]], axis=1)


def test_metrics_of_a_known_shift():
    from scipy import stats

    real, made, names = shifted(0.0), shifted(0.5, seed=1), ("a", "b")
    found = metrics.compare(real, made, names)
    # D of two normals d apart is 2 Phi(d / 2) - 1.
    expected = 2 * stats.norm.cdf(0.25) - 1
    ks = found["ks"]["a"]
    assert abs(ks["value"] - expected) < 0.03 and 0.003 < ks["error"] < 0.03
    matrices = [stats.spearmanr(x)[0] for x in (real, made)]
    gap = abs(matrices[0] - matrices[1])
    assert found["spearman_largest"]["value"] == pytest.approx(gap)
    assert found["spearman"]["value"] == pytest.approx(gap * 2**0.5)
    mean = (found["ks"]["a"]["value"] + found["ks"]["b"]["value"]) / 2
    assert found["ks_mean"]["value"] == pytest.approx(mean)


def test_the_floor_is_that_of_real_events():
    names = ("a", "b")
    floor = metrics.floor(shifted(0.0), shifted(0.0, 9000, seed=1), names, size=4000)
    # The mean of the Kolmogorov distribution, sqrt(pi / 2) log 2, over sqrt(J / 2).
    expected = 0.8687 * (2 / 4000) ** 0.5
    assert 0.4 * expected < floor["ks_mean"]["value"] < 2 * expected
    assert floor["events"] == 4000
    made = metrics.compare(shifted(0.0), shifted(0.3, seed=1), names)
    assert made["ks_mean"]["value"] > 3 * floor["ks_mean"]["value"]


def test_bad_samples():
    with pytest.raises(ValueError, match="2 columns"):
        metrics.compare(np.zeros((9, 3)), np.zeros((9, 3)), ("a", "b"))
    with pytest.raises(InputError, match="at least 4"):
        metrics.compare(shifted(0.0), shifted(0.0, num=2), ("a", "b"))
    bad = shifted(0.0)
    bad[3, 1] = np.nan
    with pytest.raises(InputError, match="NaN"):
        metrics.compare(shifted(0.0), bad, ("a", "b"))


def results(ks, spearman):
    return {
        "ks_mean": {"value": float(np.mean(ks)), "error": 0.001, "all": list(ks)},
        "spearman": {
            "value": float(np.mean(spearman)), "error": 0.01, "all": list(spearman),
        },
    }  # fmt: skip


def test_verdict_follows_from_the_results():
    floor = results([0.01], [0.2])
    models = {
        "VAE": results([0.02, 0.022], [0.4, 0.42]),
        "VAE+D": results([0.03, 0.031], [0.8, 0.9]),
        "VAE+NF+D": results([0.021, 0.0212], [0.4, 0.44]),
    }
    found = verdict.of(models, floor)
    assert found["distributions"]["best"] == "VAE"
    assert found["distributions"]["holds"] is False  # VAE+D is far worse
    assert found["correlations"]["best"] == "VAE"
    assert found["correlations"]["holds"] is None  # 0.42 +- 0.02 against 0.41 +- 0.01
    overall = found["overall"]["scores"]["VAE"]
    assert overall["value"] == pytest.approx((2.1 + 2.05) / 2)
    swapped = models | {"VAE+D": models["VAE"], "VAE": models["VAE+D"]}
    assert verdict.of(swapped, floor)["distributions"]["holds"] is True
    alone = verdict.of({"VAE": models["VAE"]}, floor)
    assert alone["overall"]["holds"] is None and alone["overall"]["apart"] is None
    for answers in (found, alone):
        lines = verdict.sentences(answers)
        assert len(lines) == 3 and all("VAE" in line for line in lines)
    assert lines[2].endswith("); the published best, VAE+NF+D, was not trained.")


def test_overall_is_one_for_samples_of_one_distribution():
    rng = np.random.default_rng(0)
    found = [
        metrics.means(rng.normal(size=(800, 6)), rng.normal(size=(500, 6)))
        for _ in range(40)
    ]
    overall = np.array([row["overall"] for row in found])
    assert abs(overall.mean() - 1) < 4 * overall.std() / np.sqrt(len(overall)) + 0.03
    apart = metrics.means(rng.normal(size=(800, 6)), rng.normal(1, 1, (500, 6)))
    ks, unit = apart["ks"], np.sqrt(1 / 800 + 1 / 500)
    parts = ks / (0.8687 * unit), apart["spearman"] / (np.sqrt(30) * unit)
    assert apart["overall"] == pytest.approx(np.mean(parts), rel=1e-3)
