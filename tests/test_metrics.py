import json
import zlib

import jax
import numpy as np
import pytest

from jetvae_jax import metrics
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.observables import relative_mass
from jetvae_jax.metrics.suite.measurement import over_batches
from jetvae_jax.metrics.suite.protocols import Draws, Extrapolation, Protocol
from jetvae_jax.metrics.suite.text import with_error
from jetvae_jax.observables.jets import relative

KEY = jax.random.key(0)
FEW = Draws(200, 3, replace=False)
BOOTSTRAP = Draws(300, 3)
SMALL = Protocol(
    "small",
    w1=FEW,
    cov_mmd=Draws(20, 2),
    fpd=Extrapolation(50, 200, num_batches=3, num_sizes=4),
    kpd=Draws(100, 3),
)
DRAWN_AGAIN = Protocol("drawn_again", w1=BOOTSTRAP, kpd=SMALL.kpd)


def toy_jets(seed, num_jets=300, *, particles=12, spread=0.1):
    """Falling pt, Gaussian around an axis, a few missing particles at the end."""
    rng = np.random.default_rng(seed)
    shape = (num_jets, particles)
    pt = -np.sort(-rng.exponential(80, shape))
    eta = rng.normal(0, 0.7, (num_jets, 1)) + rng.normal(0, spread, shape)
    phi = rng.uniform(-np.pi, np.pi, (num_jets, 1)) + rng.normal(0, spread, shape)
    p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
    mask = np.arange(particles) < rng.integers(5, particles + 1, (num_jets, 1))
    return Jets((p * mask[..., None]).astype(np.float32), mask)


REAL, OTHER, WIDE = toy_jets(0), toy_jets(1), toy_jets(2, spread=0.3)
R_REAL, R_OTHER, R_WIDE = map(relative, (REAL, OTHER, WIDE))


@pytest.fixture(scope="module")
def evaluation():
    candidates = {"same": REAL, "wide": WIDE}
    return metrics.evaluate(
        KEY, REAL, candidates, truth=OTHER, protocol=(SMALL, DRAWN_AGAIN)
    )


def test_jet_observables_are_those_of_the_summed_four_vector():
    got = metrics.jet_observables(REAL)
    for i in range(20):
        p = REAL.particles[i][REAL.mask[i]].astype(float)
        energy = np.sqrt((p**2).sum(axis=-1)).sum()
        px, py, pz = p.sum(axis=0)
        pt = np.hypot(px, py)
        expected = {
            "mass": np.sqrt(energy**2 - px**2 - py**2 - pz**2),
            "pt": pt,
            "energy": energy,
            "eta": np.arctanh(pz / np.sqrt(pt**2 + pz**2)),
            "phi": np.arctan2(py, px),
            "multiplicity": REAL.mask[i].sum(),
        }
        assert set(got) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(got[name][i], value, rtol=1e-4, err_msg=name)


def test_particle_observables_hold_existing_particles_only():
    got = metrics.particle_observables(REAL)
    assert {len(v) for v in got.values()} == {REAL.mask.sum()}
    np.testing.assert_array_equal(got["pz"], REAL.particles[REAL.mask][:, 2])
    assert got["ptrel"].min() > 0
    assert np.abs(got["phirel"]).max() <= np.pi  # jets at the seam are wrapped
    # pt-weighted along the axis, ptrel sums to one by definition of the axis.
    ptrel, _, phirel = np.moveaxis(np.asarray(R_REAL.particles), -1, 0)
    along = (ptrel * np.cos(phirel) * REAL.mask).sum(axis=1)
    np.testing.assert_allclose(along, 1, rtol=1e-5)


def test_relative_mass_is_the_mass_in_units_of_pt():
    rng = np.random.default_rng(0)
    etarel, phirel = rng.normal(0, 0.05, (2, 40, 8))
    pt = rng.uniform(10, 100, (40, 8))
    p = np.stack([pt * np.cos(phirel), pt * np.sin(phirel), pt * np.sinh(etarel)], -1)
    jets = Jets(p.astype(np.float32), np.ones((40, 8), bool))
    observed = metrics.jet_observables(jets)
    np.testing.assert_allclose(
        relative_mass(relative(jets)), observed["mass"] / observed["pt"], rtol=2e-3
    )


def test_padding_does_not_matter():
    padded = Jets(
        np.pad(REAL.particles, [(0, 0), (0, 5), (0, 0)], constant_values=np.nan),
        np.pad(REAL.mask, [(0, 0), (0, 5)]),
    )
    for function in (metrics.jet_observables, metrics.particle_observables):
        for name, values in function(REAL).items():
            np.testing.assert_allclose(function(padded)[name], values, rtol=1e-5)


def test_relative_to_a_given_axis():
    axis = np.float32([[500, 0.3, -3.0]] * len(REAL.mask))
    got = relative(REAL, axis)
    i, n = 3, REAL.mask[3].sum()
    px, py, pz = REAL.particles[i, :n].astype(float).T
    pt = np.hypot(px, py)
    turn = np.arctan2(py, px) + 3.0
    expected = [pt / 500, np.arcsinh(pz / pt) - 0.3, np.angle(np.exp(1j * turn))]
    np.testing.assert_allclose(got.particles[i, :n].T, expected, rtol=1e-4, atol=1e-6)
    assert not got.particles[i, n:].any()


@pytest.mark.parametrize("size", [7, 50, 1000])
def test_chunks_change_nothing(size):
    def function(jets, scale):
        return {"sum": jets.particles.sum((1, 2)) * scale, "n": jets.mask.sum(1)}

    scale = np.arange(50, dtype=np.float32)
    jets = jax.tree.map(lambda a: a[:50], REAL)
    found = map_chunks(function, jets, scale, size=size)
    for name, values in function(jets, scale).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5)
        assert isinstance(found[name], np.ndarray)


def test_draws_are_fair_and_as_many_as_asked():
    seen = []

    def distance(i, j):
        seen.append((i, j))
        return 0.0

    over_batches(KEY, distance, 40, 50, Draws(30, 200, replace=False))
    over_batches(KEY, distance, 40, 50, Draws(30, 200))
    for i, j in seen[:200]:
        assert len(i) == len(j) == 30 == len(set(i.tolist())) == len(set(j.tolist()))
    for rows in (seen[:200], seen[200:]):
        counts = np.bincount(np.concatenate([i for i, _ in rows]), minlength=40)
        # Each of 40 jets is drawn 150 times on average: 5 deviations of 12.2.
        assert len(counts) == 40 and np.abs(counts - 150).max() < 61
    assert any(len(set(i.tolist())) < 30 for i, _ in seen[200:])


@pytest.mark.parametrize("metric", [metrics.w1m, metrics.w1p, metrics.w1efp])
def test_same_key_same_number(metric):
    first = metric(KEY, R_REAL, R_WIDE, draws=FEW)
    assert first == metric(KEY, R_REAL, R_WIDE, draws=FEW)
    other = metric(jax.random.key(1), R_REAL, R_WIDE, draws=FEW)
    assert other["value"] != first["value"]
    assert first["error"] > 0


@pytest.mark.parametrize("metric", [metrics.w1m, metrics.w1p, metrics.w1efp])
def test_two_halves_score_far_below_a_wrong_shape(metric):
    floor = metric(KEY, R_REAL, R_OTHER, draws=FEW)["value"]
    wrong = metric(KEY, R_REAL, R_WIDE, draws=FEW)["value"]
    assert 0 < floor < 0.2 * wrong


@pytest.mark.parametrize("metric", [metrics.w1m, metrics.w1p])
def test_floor_falls_with_the_number_of_jets(metric):
    # As one over the root of the number: a factor of 6 here, noise aside.
    a, b = (relative(toy_jets(seed, 4000, particles=30)) for seed in (3, 4))
    few, many = (
        metric(KEY, a, b, draws=Draws(n, 5, replace=False))["value"]
        for n in (100, 4000)
    )
    assert 0 < many < 0.4 * few


def test_without_replacement_the_whole_sample_is_one_draw():
    result = metrics.w1m(KEY, R_REAL, R_REAL, draws=Draws(300, 2, replace=False))
    assert result["value"] == result["error"] == 0
    assert result["replaced"] is False


def test_too_few_jets_are_drawn_with_replacement_and_said_so():
    result = metrics.w1m(KEY, R_REAL, R_OTHER, draws=metrics.MPGAN_10K.w1)
    assert result["replaced"] is True
    assert (result["num_jets"], result["num_batches"]) == (10_000, 5)
    assert metrics.w1m(KEY, R_REAL, R_OTHER, draws=BOOTSTRAP)["replaced"] is True


def test_w1p_is_the_mean_of_the_features():
    x, y = metrics.particle_observables(REAL), metrics.particle_observables(WIDE)
    names = ("ptrel", "etarel", "phirel")
    expected = np.mean([metrics.wasserstein_1d(x[n], y[n]) for n in names])
    got = metrics.w1p(KEY, R_REAL, R_WIDE, draws=Draws(300, 1, replace=False))
    assert got["value"] == pytest.approx(expected, rel=1e-5)


def test_evaluation_goes_through_json(evaluation):
    text = json.dumps(evaluation, allow_nan=False)
    assert json.loads(text) == evaluation
    assert evaluation["jets"] == 300
    small = evaluation["protocols"]["small"]
    assert small["w1"] == {"num_jets": 200, "num_batches": 3, "replace": False}
    assert small["fpnd"] is None and small["fpd"]["max_jets"] == 200
    assert evaluation["binnings"]["jet"]["mass"]["high"] == 400
    assert evaluation["key"] == [0, 0]


def test_identical_jets_score_zero(evaluation):
    same = evaluation["candidates"]["same"]
    for level in ("jet", "particle"):
        for results in same[level].values():
            for name in ("emd", "emd_normalised", "bin_height_w1", "w1", "ks"):
                assert results[name] == 0
            assert results["outside_fraction"] == results["outside_fraction_real"]
    assert same["emd_normalised_sum"] == same["bin_height_w1_sum"] == 0
    assert same["correlations"]["spearman"]["frobenius"] == 0


def test_the_floor_lies_below_a_wrong_candidate(evaluation):
    floor, wide = evaluation["floor"], evaluation["candidates"]["wide"]
    assert 0 < floor["emd_normalised_sum"] < wide["emd_normalised_sum"]
    assert floor["jet"]["mass"]["w1"] < 0.2 * wide["jet"]["mass"]["w1"]
    assert set(wide["protocols"]["drawn_again"]) == {"w1m", "w1p", "w1efp", "kpd"}
    for protocol, results in wide["protocols"].items():
        for name in set(results) - {"cov"}:
            best = floor["protocols"][protocol][name]
            assert best["value"] < results[name]["value"], (protocol, name)
    assert floor["protocols"]["small"]["cov"]["value"] > 0.3
    assert floor["correlations"]["pearson"]["largest"] < 0.3


def test_protocols_that_draw_alike_share_the_value(evaluation):
    shared = [p["kpd"] for p in evaluation["candidates"]["wide"]["protocols"].values()]
    assert shared[0] == shared[1]


def test_axes_of_the_files_are_used_if_given():
    axes = {name: np.float32([[1000, 0, 0]] * 300) for name in ("real", "jets")}
    result = metrics.evaluate(KEY, REAL, WIDE, protocol=SMALL, axes=axes)
    assert result["axis"] == "given" and list(result["candidates"]) == ["jets"]
    expected = metrics.w1m(
        jax.random.fold_in(KEY, zlib.crc32(b"w1m")),
        relative(REAL, axes["real"]),
        relative(WIDE, axes["jets"]),
        draws=FEW,
    )
    found = result["candidates"]["jets"]["protocols"]["small"]["w1m"]
    assert found == pytest.approx(expected, rel=1e-5)


def test_without_a_key_the_seed_of_the_protocol_draws():
    expected = metrics.evaluate(jax.random.key(42), REAL, WIDE, protocol=SMALL)
    assert metrics.evaluate(None, REAL, WIDE, protocol=SMALL) == expected


@pytest.mark.slow
def test_fpnd_and_the_classifier_are_asked_for():
    result = metrics.evaluate(
        KEY,
        REAL,
        WIDE,
        protocol=Protocol("p", fpnd=120),
        fpnd=lambda jets: float(len(jets.mask)),
        classify=True,
    )["candidates"]["jets"]
    assert result["protocols"]["p"]["fpnd"] == {"value": 120.0, "num_jets": 120}
    assert result["c2st"]["auc"] > 0.8


def test_sums_are_over_the_five_published_observables(evaluation):
    wide = evaluation["candidates"]["wide"]
    published = ("mass", "pt", "energy", "eta", "phi")
    for name in ("emd_normalised", "bin_height_w1"):
        expected = sum(wide["jet"][observable][name] for observable in published)
        assert wide[f"{name}_sum"] == pytest.approx(expected)
    mass = wide["jet"]["mass"]
    assert mass["emd_normalised"] == pytest.approx(mass["emd"] / 400)


def test_samples_are_cut_to_the_common_number():
    result = metrics.evaluate(
        KEY, REAL, {"few": toy_jets(5, 120)}, truth=OTHER, protocol=SMALL
    )
    assert result["jets"] == 120
    assert result["jets_given"] == {"real": 300, "truth": 300, "few": 120}
    assert result["floor"]["protocols"]["small"]["w1m"]["replaced"] is True


def test_without_truth_there_is_no_floor():
    result = metrics.evaluate(KEY, REAL, {"wide": WIDE}, protocol=())
    assert result["floor"] is None
    assert "No floor" in metrics.table(result)


def test_nan_jets_are_refused_with_their_number():
    particles = WIDE.particles.copy()
    particles[[7, 9], 0, 1] = np.nan
    with pytest.raises(InputError, match=r"'flow'.*2 of 300.*jet 7"):
        metrics.evaluate(KEY, REAL, {"flow": Jets(particles, WIDE.mask)})


def test_samples_without_particles_are_refused():
    empty = Jets(np.zeros_like(WIDE.particles), np.zeros_like(WIDE.mask))
    with pytest.raises(InputError, match="'prior': no particles"):
        metrics.evaluate(KEY, REAL, {"prior": empty})
    with pytest.raises(InputError, match="'real': no particles in 0 jets"):
        metrics.evaluate(KEY, toy_jets(0, 0), {"wide": WIDE})
    with pytest.raises(InputError, match="'one' holds a single jet"):
        metrics.evaluate(KEY, REAL, {"one": toy_jets(0, 1)})


def test_identical_jets_in_a_sample_are_no_error():
    same = jax.tree.map(lambda a: np.repeat(a[:1], 250, axis=0), REAL)
    result = metrics.evaluate(KEY, REAL, same, truth=same, protocol=SMALL)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["candidates"]["jets"]["protocols"]["small"]["cov"]["value"] < 0.1


def test_table_shows_each_metric_beside_its_floor(evaluation):
    text = metrics.table(evaluation)
    assert max(map(len, text.splitlines())) <= 100
    header = next(line for line in text.splitlines() if "unit" in line)
    assert header.split() == ["unit", "floor", "same", "wide"]
    line = next(line for line in text.splitlines() if "EMD / range" in line)
    results = [evaluation["floor"], *evaluation["candidates"].values()]
    assert line.split()[-3:] == [f"{f['emd_normalised_sum']:.4f}" for f in results]
    assert "lower is better" in text
    assert "GeV" in text
    short = metrics.table(evaluation, short=True)
    assert "Protocol small" in short and "Spearman" in short
    assert set(short.splitlines()) < set(text.splitlines())
    assert "particle px" in text and "particle px" not in short
    assert len(short.splitlines()) < 40


def test_table_with_many_candidates_stays_narrow(evaluation):
    wide = evaluation["candidates"]["wide"]
    many = {**evaluation, "candidates": {f"a_long_name_{i}": wide for i in range(5)}}
    lines = metrics.table(many).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("unit" in line and "floor" in line for line in lines) == 2


def test_no_value_of_a_table_is_cut(evaluation):
    """What is far off has values longer than their column."""
    far = json.loads(json.dumps(evaluation["candidates"]["wide"]))
    for protocol in far["protocols"].values():
        protocol["w1efp"] = {"value": 1.028012e10, "error": 3.61361e9}
    text = metrics.table({**evaluation, "candidates": {"far": far}})
    rows = [line.split() for line in text.splitlines() if "W1EFP \u2193" in line]
    assert rows and all(row[-1] == "1.0e15+-3.6e14" for row in rows)


@pytest.mark.parametrize(
    "value, error, text",
    [
        (0.7123, 0.0961, "0.712+-0.096"),
        (0.998091, 0.000452, "0.9981+-0.0005"),
        (10038.2, 5614.9, "10038+-5615"),
        (1028012.0, 361361.0, "1.0e6+-3.6e5"),
        (-9.73e58, 1.88e59, "-9.7e58+-1.9e59"),
    ],
)
def test_values_with_errors_fit_their_cells(value, error, text):
    assert with_error({"value": value, "error": error}, width=14) == text


def test_values_with_errors_keep_two_digits_elsewhere():
    metric = {"value": 0.998091, "error": 0.000452}
    assert with_error(metric) == "0.99809+-0.00045"
