"""What a sample is worth: closed forms, the toy, and the script from files to page."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import jet_arrays, write
from scipy import integrate, stats

from jetvae_jax.core.errors import InputError
from jetvae_jax.studies.sample_limits import ensemble, equivalent, lognormal
from jetvae_jax.studies.sample_limits.equivalent import Events
from jetvae_jax.studies.sample_limits.generator import Sample
from jetvae_jax.studies.sample_limits.report import in_words
from jetvae_jax.studies.sample_limits.settings import LimitsConfig
from jetvae_jax.studies.sample_limits.study import plain

pytestmark = pytest.mark.slow  # a study: its wrong flags are tested with the others

FIGURES = "made"


@pytest.mark.parametrize("kind", ["continuous", "whole numbers"])
def test_independent_events_are_worth_their_number(kind):
    number, truths = 700, 5000
    hits: dict[str, list[bool]] = {}
    rng = np.random.default_rng(1)
    for _ in range(400):
        truth, sample = (
            rng.normal(size=n) if kind == "continuous" else rng.poisson(3, n)
            for n in (truths, number)
        )
        ends = equivalent.edges(truth, 20)
        p, x = (equivalent.fractions(each, ends) for each in (truth, sample))
        found = {
            region: equivalent.events(x, p, where, noise=1 / truths)
            for region, where in equivalent.regions(p, 0.1).items()
        }
        if len(hits.get("largest, whole", ())) < 100:
            found |= {
                f"largest, {region}": equivalent.differential(
                    x, p, where, noise=1 / truths
                )
                for region, where in equivalent.regions(p, 0.1).items()
            }
            assert found["largest, whole"] == equivalent.differential(
                x, p, noise=1 / truths
            )
        for name, interval in found.items():
            assert interval.low <= interval.value <= interval.high
            hits.setdefault(name, []).append(interval.low <= number <= interval.high)
    assert len(hits) == 8
    for name, inside in hits.items():
        error = (0.68 * 0.32 / len(inside)) ** 0.5
        assert np.mean(inside) == pytest.approx(0.6826, abs=4 * error), name


def test_any_number_of_repeated_events_is_worth_the_different_ones():
    number, drawn = 500, 100_000
    ends = stats.norm.ppf(np.arange(1, 20) / 20)
    p = np.full(20, 0.05)
    rng = np.random.default_rng(2)
    x = []
    for _ in range(200):
        sample = rng.normal(size=number)
        x.append(equivalent.fractions(rng.choice(sample, drawn), ends))
    found = equivalent.events_of_ensemble(np.array(x), p, np.ones(20, bool))
    error = max(found.high - found.value, found.value - found.low)
    # The draws add their own fluctuation.
    assert 1 / (1 / number + 1 / drawn) == pytest.approx(found.value, abs=4 * error)
    # The quantile error of so many events, p (1 - p) / N.
    expected = 0.05 * 0.95 / found.value
    assert equivalent.quantile_mse(np.array(x), p) == pytest.approx(expected)
    spread = equivalent.averaging(np.array(x), p, np.ones(20, bool), noise=1 / drawn)
    assert spread.value == pytest.approx(number, abs=4 * error)


def test_the_interval_of_the_spread_holds_the_truth_as_often_as_it_says():
    """Members that are independent samples are worth their number."""
    number = 300
    p, whole = np.full(20, 0.05), np.ones(20, bool)
    rng = np.random.default_rng(4)
    inside = []
    for _ in range(400):
        x = rng.multinomial(number, p, size=8) / number
        found = equivalent.averaging(x, p, whole)
        inside.append(found.low <= number <= found.high)
    # The jackknife of eight members is a little too short at worst.
    assert 0.55 < np.mean(inside) < 0.78
    two = equivalent.averaging(rng.multinomial(number, p, size=2) / number, p, whole)
    assert two.low == pytest.approx(two.value / 2) and two.high == np.inf


def test_a_gaussian_fit_is_worth_what_theory_says():
    """The covariance of the fit carried to the quantiles, to first order in 1/n."""
    n, ends = 400, stats.norm.ppf(np.arange(1, 20) / 20)
    p, whole = np.full(20, 0.05), np.ones(20, bool)
    density = np.concatenate([[0], stats.norm.pdf(ends), [0]])
    z = np.concatenate([[0], ends, [0]])
    by_mean, by_std = -np.diff(density), -np.diff(density * z)
    expected = 19 / np.sum((by_mean**2 + by_std**2 / 2) / p) * n
    samples = np.random.default_rng(3).normal(size=(600, n))
    scaled = (ends - samples.mean(1)[:, None]) / samples.std(1)[:, None]
    x = np.diff(stats.norm.cdf(scaled), axis=1, prepend=0, append=1)
    found = equivalent.events_of_ensemble(x, p, whole)
    assert found.value == pytest.approx(expected, abs=4 * (found.high - found.value))
    assert expected > 8 * n  # it amplifies
    spread = equivalent.averaging(x, p, whole).value
    assert spread == pytest.approx(expected, rel=0.2)
    # A bias is not in the spread, but in the distance from the truth.
    biased = x + 0.01 * (p.cumsum() - 0.525)
    assert equivalent.averaging(biased, p, whole).value == pytest.approx(spread)
    assert equivalent.events_of_ensemble(biased, p, whole).value < 0.9 * found.value


def test_words():
    assert in_words(Events(900.0, 1000.4, 1112.0)) == "1,000 (900 to 1,110)"
    assert in_words(Events(0.481, 0.9, 1.84)) == "0.9 (0.48 to 1.8)"
    assert in_words(Events(12345.0, np.inf, np.inf)) == "more than 12,300"
    assert in_words(Events(1.0, 2.0, np.inf)) == "2 (1 to infinity)"
    assert in_words(Events(np.inf, np.inf, np.inf)) == "infinitely many"
    assert plain({"a": [1.0, np.inf], "b": "x"}) == {"a": [1.0, None], "b": "x"}


# The toy


@pytest.mark.parametrize("rho", [0.0, 0.4])
def test_distribution_of_a_sum(rho):
    mean, std = np.array([0.2, -0.1]), np.array([0.8, 1.1])

    def below(z, s):
        rest = s - np.exp(mean[0] + std[0] * z)
        other = (np.log(rest) - mean[1]) / std[1] if rest > 0 else -np.inf
        other = (other - rho * z) / (1 - rho**2) ** 0.5
        return stats.norm.pdf(z) * stats.norm.cdf(other)

    s = np.array([0.3, 1.0, 4.0, 30.0])
    ends = (np.log(s) - mean[0]) / std[0]
    exact = [
        integrate.quad(below, -9, e, (x,))[0] for x, e in zip(s, ends, strict=True)
    ]
    found = lognormal.cdf(s, mean, std, correlation=rho)
    np.testing.assert_allclose(found, exact, rtol=2e-5, atol=1e-6)
    places = lognormal.quantiles(np.array([0.1, 0.5, 0.99]), correlation=rho)
    again = lognormal.cdf(places, np.zeros(2), np.ones(2), correlation=rho)
    np.testing.assert_allclose(again, [0.1, 0.5, 0.99], atol=2e-5)


def test_training_samples():
    key = jax.random.key(0)
    x = np.asarray(lognormal.draw(key, 20_000, cut=12.0))
    assert x.max() < 12
    # Probabilities below 1 and 5, of those below 12.
    exact = stats.norm.cdf(np.log([1, 5])) / stats.norm.cdf(np.log(12))
    np.testing.assert_allclose([np.mean(x < 1), np.mean(x < 5)], exact, atol=0.015)
    logs = np.log(lognormal.draw(key, 20_000, correlation=0.3))
    assert np.corrcoef(logs.T)[0, 1] == pytest.approx(0.3, abs=0.03)
    np.testing.assert_allclose(logs.std(0), 1, atol=0.03)


def test_generators_of_the_sum():
    x = np.exp(np.random.default_rng(4).normal(size=(30, 2))).astype(np.float32)
    s = np.array([0.5, 1.5, 3.0, 9.0])
    pairs = (x[:, None, 0] + x[None, :, 1]).ravel()
    found = lognormal.of_permutations(jnp.asarray(x), jnp.asarray(s))
    np.testing.assert_allclose(found, [np.mean(pairs <= v) for v in s], rtol=1e-6)
    found = lognormal.of_events(jnp.asarray(x), jnp.asarray(s))
    np.testing.assert_allclose(found, [np.mean(x.sum(1) <= v) for v in s], rtol=1e-6)
    logs = np.log(x)
    fit = lognormal.cdf(s, logs.mean(0), logs.std(0))
    np.testing.assert_allclose(lognormal.of_fit(x, s), fit, rtol=1e-5)


def test_permutations_are_worth_what_the_theory_of_u_statistics_says():
    """The variance of a two-sample U-statistic, to first order in 1/n."""
    n, p = 300, np.full(10, 0.1)
    ends = lognormal.quantiles(np.arange(1, 10) / 10)
    first = np.exp(stats.norm.ppf((np.arange(4000) + 0.5) / 4000))
    rest = np.maximum(ends - first[:, None], 1e-300)
    given = np.diff(stats.norm.cdf(np.log(rest)), axis=1, prepend=0, append=1)
    expected = 9 * n / np.sum(2 * given.var(axis=0) / p)
    keys = jax.random.split(jax.random.key(5), 400)
    below = jax.lax.map(
        lambda k: lognormal.of_permutations(lognormal.draw(k, n), jnp.asarray(ends)),
        keys, batch_size=100,
    )  # fmt: skip
    x = np.diff(np.asarray(below, np.float64), axis=1, prepend=0, append=1)
    found = equivalent.events_of_ensemble(x, p, np.ones(10, bool))
    # The next order in 1/n is smaller by sqrt(1/n) or so.
    error = 4 * (found.high - found.value) + 0.05 * expected
    assert found.value == pytest.approx(expected, abs=error)
    assert expected > 3 * n


# The script

SMALL = ("--limits.num_events=40", "--limits.num_trainings=10",
         "--limits.num_bootstraps=10", "--limits.quantiles=20")  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    sizes = {"train": 300, "truth": 1200, "seed0": 900, "seed1": 900}
    return {
        name: str(write(folder / f"{name}.hdf5", jet_arrays(size, 6, seed)))
        for seed, (name, size) in enumerate(sizes.items())
    }


def test_files_of_a_generator(files, tmp_path, run_script):
    result = run_script(
        "sample_limits", f"--workdir={tmp_path}", *SMALL,
        f"--limits.train={files['train']}", f"--limits.truth={files['truth']}",
        f"--limits.generated={files['seed0']},{files['seed1']}",
        "--limits.observables=mass,pt,multiplicity",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    said, page = result.stdout.splitlines()
    found = json.loads((tmp_path / "sample_limits.json").read_text())
    assert said == found["verdict"] and page.endswith("sample_limits.html")
    jets = found["generator"]
    assert jets["num_train"] == 300 and jets["num_truth"] == 1200
    assert set(jets["generated"]) == {"seed0", "seed1"} == set(jets["differential"])
    # All files are of one distribution: what trained is worth about itself, and the
    # generated ones, without their own noise, more.
    whole = jets["train"]["mass"]["whole"]
    assert 80 < whole["low"] < whole["value"] < 1500
    assert jets["generated"]["seed0"]["mass"]["whole"]["value"] is None or (
        jets["generated"]["seed0"]["mass"]["whole"]["value"] > 900
    )
    # Of 300 and 1,200 independent jets in 20 quantiles.
    mse = jets["quantile_mse"]["train"]["mass"]
    assert mse == pytest.approx(0.05 * 0.95 * (1 / 300 + 1 / 1200), rel=1.0)
    assert set(jets["by_spread"]) == {"mass", "pt", "multiplicity"}
    events = found["toy"]["the events themselves"]["regions"]["whole"]["events"]
    assert 20 < events["value"] < 80
    for name in ("toy", "generator"):
        figure = tmp_path / "figures" / f"sample_limits_{name}.png"
        assert figure.stat().st_size > 1000
    text = (tmp_path / "sample_limits.html").read_text()
    assert "combinations of x &lt; 12" in text and "seed1: mass" in text


def test_a_run(tmp_path, run_script):
    smoke = "--flagfile=experiments/flagfiles/smoke.txt"
    assert run_script("train", smoke, f"--workdir={tmp_path}/r").returncode == 0
    said = []
    for folder in ("a", "b"):
        result = run_script(
            "sample_limits", f"--workdir={tmp_path}/{folder}", *SMALL,
            f"--limits.run={tmp_path}/r", "--limits.num_generated=1000",
            "--limits.observables=mass", "--limits.quantiles=10", "--limits.tail=0.1",
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        said.append(result.stdout.splitlines()[0])
    assert said[0] == said[1]
    files = [(tmp_path / f / "sample_limits.json").read_bytes() for f in ("a", "b")]
    assert files[0] == files[1]
    found = json.loads(files[0])["generator"]
    assert found["num_generated"] == {"prior": 1000} and found["by_spread"] == {}


@pytest.mark.parametrize("domain", ["events", "pixels"])
def test_a_run_of_other_samples(domain, tmp_path, run_script):
    """Whatever the generator makes: here events, with an ensemble, and images."""
    of_events = ("--domain=events", "--model=mlp_vae", "--loss=mse",
                 "--mlp_vae.nodes=16", "--events.max_events=2000")  # fmt: skip
    of_images = ("--flagfile=experiments/flagfiles/digits_deepsets.txt",
                 "--pixels.max_images=600", "--pixels.path=embedded")  # fmt: skip
    given, more, name = {
        "events": (of_events, ("--limits.members=2", "--limits.epochs=1"), "mlly"),
        "pixels": (of_images, (), "intensity"),
    }[domain]
    run = (f"--workdir={tmp_path}/r", "--train.num_epochs=1", "--train.batch_size=100")
    done = run_script("train", *given, *run)
    assert done.returncode == 0, done.stderr
    limits = (f"--limits.run={tmp_path}/r", "--limits.num_generated=4000",
              "--limits.quantiles=10", "--limits.tail=0.1")  # fmt: skip
    done = run_script(
        "sample_limits", f"--workdir={tmp_path}/l", *SMALL, *limits, *more
    )
    assert done.returncode == 0, done.stderr
    assert f"true {'events' if domain == 'events' else 'images'} in" in done.stdout
    found = json.loads((tmp_path / "l" / "sample_limits.json").read_text())
    worth = found["generator"]["generated"]["prior"][name]["whole"]["value"]
    few = 0.3 * found["generator"]["num_train"]
    assert worth < few  # after an epoch
    if domain == "events":
        one = found["ensemble"]["kinds"]["seeds"]["regions"][name]["whole"]
        assert one["member"]["value"] < few
    files = f"--limits.truth={tmp_path}/none.hdf5"
    done = run_script("sample_limits", f"--workdir={tmp_path}/l", *limits, files)
    assert done.returncode == 2 and "leave --limits.truth and" in done.stderr


def test_a_file_without_pt_beside_a_run(tmp_path, run_script):
    smoke = "--flagfile=experiments/flagfiles/smoke.txt"
    assert run_script("train", smoke, f"--workdir={tmp_path}/r").returncode == 0
    relative = np.random.default_rng(0).uniform(0, 0.1, (200, 5, 3)).astype("f4")
    np.save(tmp_path / "made.npy", relative)
    done = run_script(
        "sample_limits", f"--workdir={tmp_path}/l", f"--limits.run={tmp_path}/r",
        f"--limits.generated={tmp_path}/made.npy", "--limits.quantiles=10",
        "--limits.columns=etarel,phirel,ptrel", "--limits.tail=0.1",
    )  # fmt: skip
    assert done.returncode == 2 and not (tmp_path / "l").exists()
    assert "error: --limits: mass, pt of made are not known" in done.stderr


def test_mistakes(files, tmp_path, run_script):
    train, truth = (f"--limits.{n}={files[n]}" for n in ("train", "truth"))
    made = f"--limits.generated={files['seed0']}"
    wrong = [
        ([train, truth], "--limits.generated: is missing"),
        ([made, truth], "--limits.train: is missing"),
        (["--limits.run=/no/such"], "/no/such"),
        (
            ["--limits.run=results/convae_gluon30", "--limits.data=embedded"],
            "--limits.data names the file that results/convae_gluon30 was trained on",
        ),
        (["--limits.data=x"], "--limits.data: is of a run"),
        ([train, "--limits.run=x"], "--limits.train: is known of the run"),
        ([train, truth, "--limits.generated=/no.hdf5"], "/no.hdf5"),
        (
            [train, truth, made, "--limits.observables=mas"],
            "'mas' is not known (did you mean 'mass'?)",
        ),
        ([train, truth, made, "--limits.quantiles=200"], "train has 300 jets"),
        (["--limits.tail=0.01", "--limits.quantiles=50"], "--limits.tail: must be"),
        (["--limits.correlation=1"], "correlation"),
        (["--limits.cut=nan"], "cut"),
    ]
    for flags, says in wrong:
        result = run_script("sample_limits", f"--workdir={tmp_path}/w", *flags)
        assert result.returncode == 2 and says in result.stderr, (flags, result.stderr)
        assert result.stderr.count("error:") == 1 and not result.stdout
    assert not (tmp_path / "w").exists()


def test_tail_is_said_in_quantiles():
    with pytest.raises(InputError, match=r"^tail: .* of 20: give 0.05"):
        LimitsConfig(quantiles=20, tail=0.03)


# The ensemble


def gaussian_members(shift=0.0, number=4000, truth=50_000, members=40, sample=500):
    """Fits of a Gaussian to samples of 500: closed forms of all that is asked."""
    rng = np.random.default_rng(6)
    made = []
    for _ in range(members):
        own = rng.normal(size=sample)
        made.append(rng.normal(own.mean() + shift, own.std(), number))
    return made, rng.normal(size=truth)


def as_samples(values, truth):
    made = [Sample("member", {"mass": v}) for v in values]
    members: ensemble.Members = dict.fromkeys(ensemble.KINDS, made)
    return members, Sample("truth", {"mass": truth})


@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_the_spread_of_an_ensemble_and_its_distance_from_the_truth(shift):
    values, truth = gaussian_members(shift)
    config = LimitsConfig(quantiles=20, tail=0.1)
    found = ensemble.compare(*as_samples(values, truth), ("mass",), 500, config)
    one = found["kinds"]["bootstraps"]["regions"]["mass"]["whole"]
    # To first order a fit of two parameters is worth n times 19 over what each moves.
    ends = stats.norm.ppf(np.arange(1, 20) / 20)
    density = np.concatenate([[0], stats.norm.pdf(ends), [0]])
    z = np.concatenate([[0], ends, [0]])
    moved = np.square(np.diff(density)) + np.square(np.diff(density * z)) / 2
    expected = 500 * 19 / np.sum(moved / 0.05)
    spread = one["spread"]["value"]
    assert spread == pytest.approx(expected, rel=0.3)
    assert one["spread"]["low"] < spread < one["spread"]["high"]
    if shift:  # which the spread does not see, and the truth does
        for asked in ("member", "together", "differential"):
            assert one[asked]["value"] < 0.1 * spread
    else:
        inside = one["member"]["low"] - 3 * abs(
            one["member"]["value"] - one["member"]["low"]
        )
        assert inside < expected
        assert one["together"]["value"] > 3 * expected  # the mean of 40


def test_the_systematic_is_carried_to_the_mean_and_the_spectrum():
    values, truth = gaussian_members(members=200, number=40_000)
    found = ensemble.carried(values, truth, 500)
    mean = found["mean"]
    # Of a fit to 500 numbers, whatever number was generated.
    error = 4 / 400**0.5 / 500**0.5  # of a deviation of 200 members
    assert mean["systematic"] == pytest.approx(500**-0.5, abs=error)
    assert mean["systematic_error"] == pytest.approx(
        error / 4 * (400 / 398) ** 0.5, rel=0.2
    )
    assert mean["statistical"] == pytest.approx(500**-0.5, rel=0.02)
    few = ensemble.carried([v[:500] for v in values], truth, 500)
    assert few["mean"]["systematic"] == pytest.approx(500**-0.5, abs=2 * error)
    edges = np.array(found["edges"])
    p = np.diff(stats.norm.cdf(edges))
    np.testing.assert_allclose(found["truth"], p, atol=4 * np.sqrt(p.max() / 50_000))
    # A bin moves by the mean and by the width, to first order.
    moved = np.square(np.diff(stats.norm.pdf(edges)))
    moved += np.square(np.diff(edges * stats.norm.pdf(edges))) / 2
    some = moved > np.median(moved)
    np.testing.assert_allclose(
        np.array(found["systematic"])[some], np.sqrt(moved / 500)[some], rtol=0.3
    )


def test_an_ensemble_of_a_run(tmp_path, run_script):
    smoke = "--flagfile=experiments/flagfiles/smoke.txt"
    assert run_script("train", smoke, f"--workdir={tmp_path}/r").returncode == 0
    command = (
        "sample_limits", f"--workdir={tmp_path}/s", *SMALL, "--limits.tail=0.1",
        f"--limits.run={tmp_path}/r", "--limits.num_generated=4000",
        "--limits.observables=mass,pt", "--limits.quantiles=10", "--limits.members=2",
    )  # fmt: skip
    done = run_script(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "s/sample_limits.json").read_text())
    assert found["generator"]["no_check"] == ["mass", "pt"]
    made = found["ensemble"]
    assert made["members"] == 2 and made["num_generated"] == 1000
    assert set(made["kinds"]) == {"seeds", "bootstraps"}
    for kind in made["kinds"].values():
        assert set(kind["regions"]) == set(kind["spectra"]) == {"mass", "pt"}
        assert kind["spectra"]["mass"]["mean"]["systematic"] > 0
    for name in ("ensemble", "systematic"):
        figure = tmp_path / f"s/figures/sample_limits_{name}.png"
        assert figure.stat().st_size > 1000
    page = (tmp_path / "s/sample_limits.html").read_text()
    assert "in the training loss" in page and "one member and the truth" in page
    # The trainings are kept, and of other settings made again.
    again = run_script(*command)
    assert again.returncode == 0 and "ensemble: read from" in again.stderr
    assert again.stdout == done.stdout
    other = run_script(*command, "--limits.epochs=1")
    assert "4 trainings of 1 epochs" in other.stderr
