"""Events of independent objects: what is gained and lost, where the answer is known."""

import json

import numpy as np
import pytest

from jetvae_jax.core.momenta import pt_eta_phi, wrap_phi
from jetvae_jax.events.writer import write
from jetvae_jax.studies.decomposition import calorimeter, measure, pairs
from jetvae_jax.studies.decomposition.calorimeter import CalorimeterConfig
from jetvae_jax.studies.decomposition.pairs import DecompositionConfig

pytestmark = pytest.mark.slow  # a study: its wrong flags are tested with the others

FIGURES = "made"


def massless(rng, pt):
    """Momenta of these transverse momenta, in random directions."""
    eta, phi = rng.normal(0, 1, len(pt)), rng.uniform(-np.pi, np.pi, len(pt))
    return np.stack(
        [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)], -1
    )


def measured(correlated, size, number=60):
    rng = np.random.default_rng(0)
    pt = rng.exponential(30, (2, 2 * size)) + 10
    if correlated:
        pt[1] = pt[0]
    first, second = (massless(rng, each) for each in pt)
    config = DecompositionConfig(num_events=number, num_combined=10_000, quantiles=10)
    true, others = ((first[i::2], second[i::2]) for i in range(2))
    parts = np.arange(size).reshape(-1, number)
    trainings = [(others[0][rows], others[1][rows]) for rows in parts]
    return measure.measure(pairs.PAIRS, true, others, trainings, rng, config)


def test_nothing_is_wrong_of_independent_objects():
    found = measured(correlated=False, size=9000)
    for name in pairs.OBSERVABLES:
        own = found["events"][name]
        assert abs(own["value"] - 60) < 4 * (own["high"] - own["value"])
        row = found["independent"][name]
        assert row["gained"]["low"] > 1.5 * 60  # of 3,600 combinations
        assert row["worth"]["value"] == pytest.approx(row["gained"]["value"], rel=0.3)
        assert row["bias"]["low"] > 1000


def test_what_is_wrong_of_correlated_objects_remains():
    found = measured(correlated=True, size=3000)
    mass = found["independent"]["mass"]
    assert mass["bias"]["high"] < 1000
    # Both deviations add up.
    total = 1 / mass["gained"]["value"] + 1 / mass["bias"]["value"]
    assert 1 / mass["worth"]["value"] == pytest.approx(total, rel=0.3)
    # Their directions are independent.
    assert found["independent"]["distance"]["bias"]["low"] > 1000


def test_combinations():
    rng = np.random.default_rng(1)
    first, second = (massless(rng, rng.uniform(1, 2, 40)) for _ in range(2))
    event = {tuple(np.round(b[2:], 9)): i for i, b in enumerate(second)}
    for way in pairs.WAYS:
        new, other = pairs.combined(first, second, 500, way, rng)
        source = np.array([event[tuple(np.round(b[2:], 9))] for b in other])
        assert len(set(source)) == 40
        pt, _, phi = pt_eta_phi(other)
        old_pt, _, old_phi = pt_eta_phi(second)
        np.testing.assert_allclose(pt, old_pt[source])
        if way == "independent":
            np.testing.assert_array_equal(other, second[source])
            continue
        apart = wrap_phi(phi - pt_eta_phi(new)[2])
        before = wrap_phi(old_phi - pt_eta_phi(first)[2])[source]
        np.testing.assert_allclose(wrap_phi(apart - before), 0, atol=1e-9)


def test_observables():
    first = np.array([[3.0, 0, 0, 3.0]])
    second = np.array([[0, 4.0, 0, 4.0]])
    found = pairs.observables(first, second)
    assert found["mass"] == pytest.approx(24**0.5)  # 7^2 - 5^2
    assert found["pt"] == pytest.approx(5)
    assert found["distance"] == pytest.approx(np.pi / 2)


def test_a_table(tmp_path, run_script):
    rng = np.random.default_rng(2)
    first, second = (massless(rng, rng.exponential(20, 1200) + 5) for _ in range(2))
    table = np.concatenate(
        [np.stack([*pt_eta_phi(p), p[:, 3]], axis=-1) for p in (first + second, first)],
        axis=1,
    )
    names = ("pt", "eta", "phi", "e", "pt1", "eta1", "phi1", "e1")
    write(tmp_path / "events.hdf5", table, names, {})
    flags = (f"--decompose.path={tmp_path}/events.hdf5",
             "--decompose.whole=pt,eta,phi,e", "--decompose.num_events=100",
             "--decompose.num_combined=2000")  # fmt: skip
    own = "--decompose.part=pt1,eta1,phi1,e1"
    result = run_script("decompose", f"--workdir={tmp_path}", *flags, own)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "decomposition.json").read_text())
    assert result.stdout.splitlines() == [
        found["verdict"], str(tmp_path / "decomposition.html"),
    ]  # fmt: skip
    assert found["num_true"] == 600 and found["num_trainings"] == 6
    events = found["found"]["events"]["mass"]
    assert 50 < events["low"] < events["value"] < 250
    assert (tmp_path / "figures" / "decomposition.png").stat().st_size > 1000
    wrong = [
        ([own, "--decompose.num_events=400"], "has 1,200 events; half of them"),
        (["--decompose.part=pt1,eta1,phi1,x"], "x: missing column"),
        (["--decompose.part=pt1"], "--decompose.part: must have 4 values"),
        ([own, "--decompose.path=/no.hdf5"], "/no.hdf5"),
    ]
    for changed, says in wrong:
        other = f"--workdir={tmp_path}/other"
        result = run_script("decompose", other, *flags, *changed)
        assert result.returncode == 2 and says in result.stderr, result.stderr
    assert not (tmp_path / "other").exists()


# Particles in a calorimeter


def test_showers_are_put_where_their_particles_are():
    rng = np.random.default_rng(0)
    windows = rng.exponential(size=(3, 4, calorimeter.WINDOW**2)).astype(np.float32)
    room = calorimeter.FACE - calorimeter.WINDOW
    place = rng.integers(0, room + 1, (3, 4, 2))
    face = calorimeter.on_face(windows, place)
    wanted = np.zeros((3, calorimeter.FACE, calorimeter.FACE))
    size = calorimeter.WINDOW
    for event, particle in np.ndindex(3, 4):
        y, x = place[event, particle]
        block = windows[event, particle].reshape(size, size)
        wanted[event, y : y + size, x : x + size] += block
    np.testing.assert_allclose(face, wanted.reshape(3, -1), rtol=1e-6)
    found = calorimeter.observables(face)
    np.testing.assert_allclose(found["energy"], windows.sum((1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found["hottest cell"], wanted.max((1, 2)), rtol=1e-6)
    first = wanted[0] / wanted[0].sum()
    y, x = np.mgrid[: calorimeter.FACE, : calorimeter.FACE] * calorimeter.SIDE
    spread = sum(np.sum(first * (v - np.sum(first * v)) ** 2) for v in (x, y))
    assert found["width"][0] == pytest.approx(spread**0.5)


def test_what_particles_have_in_common_is_lost_unless_they_come_together():
    config = CalorimeterConfig(
        num_particles=8, energy=100.0, num_true=600, num_events=60, num_combined=1000,
        quantiles=10,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    true, others = (calorimeter.events(rng, config, 600) for _ in range(2))
    trainings = [[part[i : i + 60] for part in others] for i in range(0, 600, 60)]
    objects = calorimeter.objects(config)
    found = measure.measure(objects, true, others, trainings, rng, config)
    # Energies of events have a sigma of 10 %, eight independent shares 35 %.
    energy = objects.own(true)["energy"]
    assert np.std(energy) / np.mean(energy) == pytest.approx(0.11, abs=0.02)
    wide = objects.combined(others, 5000, "independent", rng)["energy"]
    assert np.std(wide) / np.mean(wide) > 0.25
    assert found["independent"]["energy"]["worth"]["high"] < 30
    for name in ("energy", "width"):
        together = found["given the particles"][name]
        assert together["worth"]["value"] is None or together["worth"]["value"] > 200
    own = found["events"]["energy"]
    assert abs(own["value"] - 60) < 4 * (own["high"] - own["value"])


def test_the_study_of_a_calorimeter(tmp_path, run_script):
    flags = ("--decompose.num_particles=4", "--decompose.energy=40",
             "--decompose.num_true=200", "--decompose.num_events=50",
             "--decompose.num_combined=1000", "--decompose.quantiles=10")  # fmt: skip
    done = run_script("decompose_calorimeter", f"--workdir={tmp_path}", *flags)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "decomposition.json").read_text())
    assert done.stdout.splitlines()[0] == found["verdict"]
    assert set(found["found"]) == {"events", *calorimeter.WAYS}
    assert (tmp_path / "figures" / "decomposition.png").stat().st_size > 1000
    wrong = f"--workdir={tmp_path}/other"
    done = run_script(
        "decompose_calorimeter", wrong, *flags, "--decompose.num_events=150"
    )
    assert done.returncode == 2
    assert "error: --decompose.num_true: must be twice num_events = 150" in done.stderr
