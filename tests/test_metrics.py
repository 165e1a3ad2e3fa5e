import json

import jax
import numpy as np
import pytest

from jetvae_jax import metrics
from jetvae_jax.errors import InputError
from jetvae_jax.metrics.observables import relative_mass, relative_particles
from jetvae_jax.types import Jets

KEY = jax.random.key(0)
SMALL = metrics.Protocol("small", 200, 3, replace=False)
BOOTSTRAP = metrics.Protocol("bootstrap", 300, 3, replace=True)


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


@pytest.fixture(scope="module")
def evaluation():
    candidates = {"same": REAL, "wide": WIDE}
    return metrics.evaluate(
        KEY, REAL, candidates, truth=OTHER, protocols=(SMALL, BOOTSTRAP)
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
    relative = np.asarray(relative_particles(REAL))
    along = (relative[..., 0] * np.cos(relative[..., 2]) * REAL.mask).sum(axis=1)
    np.testing.assert_allclose(along, 1, rtol=1e-5)


def test_relative_mass_is_the_mass_in_units_of_pt():
    rng = np.random.default_rng(0)
    etarel, phirel = rng.normal(0, 0.05, (2, 40, 8))
    pt = rng.uniform(10, 100, (40, 8))
    p = np.stack([pt * np.cos(phirel), pt * np.sin(phirel), pt * np.sinh(etarel)], -1)
    jets = Jets(p.astype(np.float32), np.ones((40, 8), bool))
    observed = metrics.jet_observables(jets)
    np.testing.assert_allclose(
        relative_mass(jets), observed["mass"] / observed["pt"], rtol=2e-3
    )


def test_padding_does_not_matter():
    padded = Jets(
        np.pad(REAL.particles, [(0, 0), (0, 5), (0, 0)], constant_values=np.nan),
        np.pad(REAL.mask, [(0, 0), (0, 5)]),
    )
    for function in (metrics.jet_observables, metrics.particle_observables):
        for name, values in function(REAL).items():
            np.testing.assert_allclose(function(padded)[name], values, rtol=1e-5)


@pytest.mark.parametrize("figure", [metrics.w1m, metrics.w1p])
def test_same_key_same_number(figure):
    first = figure(KEY, REAL, WIDE, protocol=SMALL)
    assert first == figure(KEY, REAL, WIDE, protocol=SMALL)
    other = figure(jax.random.key(1), REAL, WIDE, protocol=SMALL)
    assert other["mean"] != first["mean"]
    assert first["std"] > 0


@pytest.mark.parametrize("figure", [metrics.w1m, metrics.w1p])
def test_two_halves_score_far_below_a_wrong_shape(figure):
    floor = figure(KEY, REAL, OTHER, protocol=SMALL)["mean"]
    wrong = figure(KEY, REAL, WIDE, protocol=SMALL)["mean"]
    assert 0 < floor < 0.2 * wrong


@pytest.mark.parametrize("figure", [metrics.w1m, metrics.w1p])
def test_floor_falls_with_the_number_of_jets(figure):
    # As one over the root of the number: a factor of 6 here, noise aside.
    a, b = toy_jets(3, 4000, particles=30), toy_jets(4, 4000, particles=30)
    few, many = (
        figure(KEY, a, b, protocol=metrics.Protocol("", n, 5, replace=False))["mean"]
        for n in (100, 4000)
    )
    assert 0 < many < 0.4 * few


def test_without_replacement_the_whole_sample_is_one_draw():
    protocol = metrics.Protocol("all", 300, 2, replace=False)
    result = metrics.w1m(KEY, REAL, REAL, protocol=protocol)
    assert result["mean"] == result["std"] == 0
    assert result["replaced"] is False


def test_too_few_jets_are_drawn_with_replacement_and_said_so():
    result = metrics.w1m(KEY, REAL, OTHER, protocol=metrics.MPGAN_10K)
    assert result["replaced"] is True
    assert (result["num_jets"], result["num_batches"]) == (10_000, 5)
    assert metrics.w1m(KEY, REAL, OTHER, protocol=BOOTSTRAP)["replaced"] is True


def test_w1p_is_the_mean_of_the_features():
    protocol = metrics.Protocol("all", 300, 1, replace=False)
    x, y = metrics.particle_observables(REAL), metrics.particle_observables(WIDE)
    names = ("ptrel", "etarel", "phirel")
    expected = np.mean([metrics.wasserstein_1d(x[n], y[n]) for n in names])
    got = metrics.w1p(KEY, REAL, WIDE, protocol=protocol)
    assert got["mean"] == pytest.approx(expected, rel=1e-5)


def test_evaluation_goes_through_json(evaluation):
    text = json.dumps(evaluation, allow_nan=False)
    assert json.loads(text) == evaluation
    assert evaluation["jets"] == 300
    assert evaluation["protocols"]["small"] == {
        "num_jets": 200,
        "num_batches": 3,
        "replace": False,
    }
    assert evaluation["binnings"]["jet"]["mass"]["high"] == 400
    assert evaluation["key"] == [0, 0]


def test_identical_jets_score_zero(evaluation):
    same = evaluation["candidates"]["same"]
    for level in ("jet", "particle"):
        for figures in same[level].values():
            for name in ("emd", "emd_normalised", "bin_height_w1", "w1"):
                assert figures[name] == 0
            assert figures["outside_fraction"] == figures["outside_fraction_real"]
    assert same["emd_normalised_sum"] == same["bin_height_w1_sum"] == 0


def test_the_floor_lies_below_a_wrong_candidate(evaluation):
    floor, wide = evaluation["floor"], evaluation["candidates"]["wide"]
    assert 0 < floor["emd_normalised_sum"] < wide["emd_normalised_sum"]
    assert floor["jet"]["mass"]["w1"] < 0.2 * wide["jet"]["mass"]["w1"]
    for protocol in ("small", "bootstrap"):
        assert floor["w1m"][protocol]["mean"] < wide["w1m"][protocol]["mean"]


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
        KEY, REAL, {"few": toy_jets(5, 120)}, truth=OTHER, protocols=(SMALL,)
    )
    assert result["jets"] == 120
    assert result["jets_given"] == {"real": 300, "truth": 300, "few": 120}
    assert result["floor"]["w1m"]["small"]["replaced"] is True


def test_without_truth_there_is_no_floor():
    result = metrics.evaluate(KEY, REAL, {"wide": WIDE}, protocols=())
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


def test_table_shows_each_figure_beside_its_floor(evaluation):
    text = metrics.table(evaluation)
    assert max(map(len, text.splitlines())) <= 100
    header = next(line for line in text.splitlines() if "unit" in line)
    assert header.split() == ["unit", "floor", "same", "wide"]
    line = next(line for line in text.splitlines() if "EMD / range" in line)
    figures = [evaluation["floor"], *evaluation["candidates"].values()]
    assert line.split()[-3:] == [f"{f['emd_normalised_sum']:.4f}" for f in figures]
    assert "lower is better" in text
    assert "GeV" in text


def test_table_with_many_candidates_stays_narrow(evaluation):
    wide = evaluation["candidates"]["wide"]
    many = {**evaluation, "candidates": {f"a_long_name_{i}": wide for i in range(5)}}
    lines = metrics.table(many).splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("unit" in line and "floor" in line for line in lines) == 2
