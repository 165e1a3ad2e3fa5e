"""Boundary conditions: exact data fulfil each, and each is seen to fail."""

import h5py
import numpy as np
import pytest

from jetvae_jax import data
from jetvae_jax.core.types import Jets, PixelSets, RelativeJets
from jetvae_jax.data.loading import load_judged
from jetvae_jax.data.validation import Stated
from jetvae_jax.data.writing import JetNetWriter
from jetvae_jax.events import conditions as of_events
from jetvae_jax.events import kinds, load
from jetvae_jax.images import conditions as of_images
from jetvae_jax.jets import conditions as of_jets
from jetvae_jax.making.zgamma.columns import NAMES, table
from jetvae_jax.metrics import conditions as shared


def held(conditions):
    """Names of the conditions with an allowed value, and of those that fail."""
    exact = [c for c in conditions if c.allowed is not None and c.value is not None]
    return {c.name for c in exact}, {c.name for c in exact if c.value > c.allowed}


def value(conditions, name):
    return next(c.value for c in conditions if c.name == name)


# Shared


def test_mass_shell_of_known_four_vectors():
    energy, momentum, mass = np.array([5.0, 5, 0, 0, np.nan]), [3.0, 4, 0, 1, 1], 4.0
    found = shared.off_shell(energy, momentum, [4, 4, 0, 0, mass])
    # 25 - 9 - 16 = 0; |25 - 16 - 16| / 25; nothing; a momentum without energy.
    np.testing.assert_allclose(found, [0, 7 / 25, 0, np.inf, np.nan])


def test_shares_and_extremes_of_nothing():
    assert shared.share(np.array([])) == 0 and shared.share([1, 0, 0, 0]) == 25
    assert shared.largest([np.nan, 3, 2]) == 3 and shared.median([np.nan, 3, 2]) == 2.5
    assert shared.largest([np.nan]) is None and shared.median([]) is None
    assert np.isfinite(shared.largest([np.inf]))  # JSON has no infinity


def test_one_table_of_all_samples():
    rows = {
        "real": [
            shared.Condition("a", "first", 1e-7, "", 1e-5),
            shared.Condition("b", "second", 0.5, "%"),
            shared.Condition("c", "of no sample", None),
        ],
        "a generator with a long name": [
            shared.Condition("a", "first", 0.25, "", 1e-5),
            shared.Condition("c", "of no sample", None),
        ],
    }
    found = shared.gathered(rows)
    assert list(found) == ["a", "b"]
    assert found["a"]["values"] == {"real": 1e-7, "a generator with a long name": 0.25}
    head, body = shared.rows(found)
    assert head[:4] == ["condition", "unit", "allowed", "real"]
    assert body[0][2:] == ["1e-05", "1e-07", "0.25 !"]
    assert body[1][2:] == ["", "0.5", shared.MISSING]
    many = {"real": rows["real"]} | {f"sample {i}": rows["real"] for i in range(9)}
    lines = shared.text(shared.gathered(many)).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(any(f"sample {i}" in line for line in lines) for i in range(9))


# Jets


def stated_of(jets):
    """What a file states, by loops in double precision."""
    rows = []
    for particles, mask in zip(jets.particles, jets.mask, strict=True):
        p = np.asarray(particles, float)[mask]
        px, py, pz = p.sum(0)
        energy = sum(np.sqrt(x @ x) for x in p)
        pt = np.hypot(px, py)
        mass = np.sqrt(max(energy**2 - px**2 - py**2 - pz**2, 0))
        rows.append([pt, np.arcsinh(pz / pt), energy, mass, len(p)])
    return Stated(*np.array(rows).T)


@pytest.fixture(scope="module")
def jets():
    return data.load("embedded", max_jets=300).jets._replace(axis=None)


def judged(jets, real=None, **how):
    measured = of_jets.measured(jets)
    limits = of_jets.limits(measured if real is None else of_jets.measured(real))
    return of_jets.conditions(measured, limits, **how)


def test_exact_jets_fulfil_all(jets):
    found = judged(jets, stated=stated_of(jets), own_axis=True)
    names, failed = held(found)
    assert not failed
    assert names == {
        "mass_shell", "stated_pt", "stated_eta", "stated_mass", "stated_count", "order",
        "padding", "positive", "dropped",
    }  # fmt: skip
    for name in ("mass_range", "pt_range", "count_range", "empty"):
        assert value(found, name) == 0
    assert value(found, "edge") == pytest.approx(100 * (1 - of_jets.EDGE), abs=0.4)
    assert 0 < value(found, "centroid") < value(found, "centroid_tail") < 0.1
    assert 1 <= value(found, "ptrel_sum") <= value(found, "ptrel_largest") < 1.1


STATEMENTS = {
    "mass_shell": ("energy", lambda x: 1.001 * x),
    "stated_pt": ("pt", lambda x: 1.0001 * x),
    "stated_eta": ("eta", lambda x: x + 1e-4),
    "stated_mass": ("mass", lambda x: x + 1),
    "stated_count": ("multiplicity", lambda x: x + 1),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_one_wrong_statement_is_seen(jets, name):
    field, change = STATEMENTS[name]
    stated = stated_of(jets)
    wrong = getattr(stated, field).copy()
    wrong[7] = change(wrong[7])
    stated = stated._replace(**{field: wrong})
    _, failed = held(judged(jets, stated=stated, own_axis=True))
    assert name in failed
    # The leading particles of a jet need not agree with the whole jet.
    _, failed = held(judged(jets, stated=stated, own_axis=False))
    assert not failed & {"stated_pt", "stated_eta", "stated_mass"}
    if field == "multiplicity":
        half = stated._replace(multiplicity=stated_of(jets).multiplicity + 0.5)
        found = judged(jets, stated=half, own_axis=True)
        assert value(found, "stated_count") == 100


def test_statements_about_more_particles_than_are_read(jets):
    cut = Jets(jets.particles[:, :5], jets.mask[:, :5])
    stated = stated_of(jets)
    assert value(judged(cut, stated=stated, width=5), "stated_count") == 0
    assert value(judged(cut, stated=stated), "stated_count") > 50


def changed(jets, change):
    particles, mask = np.array(jets.particles), np.array(jets.mask)
    change(particles, mask)
    return Jets(particles, mask)


def swap(p, mask):
    p[3, [0, 1]] = p[3, [1, 0]]


def into_padding(p, mask):
    row = int(np.argmin(mask.sum(1)))
    assert not mask[row, -1]
    p[row, -1, 0] = 1e-3


def hole(p, mask):
    p[3, 0], mask[3, 0] = 0, False


def no_pt(p, mask):
    p[3, mask[3].sum() - 1] = [0, 0, 5]


def empty(p, mask):
    p[3], mask[3] = 0, False


def far(p, mask):
    x, y, z = p[3, 1]
    p[3, 1] = [-y, x, z]


def large(p, mask):
    p[3] *= 100


@pytest.mark.parametrize(
    "change, names",
    [
        (swap, ["order"]),
        (hole, ["order"]),
        (into_padding, ["padding"]),
        (no_pt, ["positive"]),
        (empty, ["empty"]),
        (far, ["edge"]),
        (large, ["pt_range", "mass_range"]),
    ],
)
def test_one_bad_jet_is_seen(jets, change, names):
    before = judged(jets)
    after = judged(changed(jets, change), real=jets)
    for name in names:
        assert value(before, name) < value(after, name), name
        assert value(after, name) - value(before, name) == pytest.approx(100 / 300)
    others = {c.name for c in before if c.unit == "%"} - set(names)
    assert {n for n in others if value(before, n) != value(after, n)} <= {"edge"}


def test_balance_about_a_stated_axis(jets):
    own = of_jets.measured(jets)
    stated = stated_of(jets)
    phi = np.arctan2(*np.sum(jets.particles, 1, dtype=float)[:, [1, 0]].T)
    axis = np.stack([2 * stated.pt, stated.eta + 0.3, phi], axis=-1)
    found = of_jets.measured(jets, axis)
    np.testing.assert_allclose(found.ptrel_sum, own.ptrel_sum / 2)
    assert np.all(np.abs(found.off_axis - 0.3) < own.off_axis + 1e-6)
    np.testing.assert_allclose(found.mass, stated.mass, rtol=1e-9)


def test_relative_jets():
    x = np.array([[[0.6, 0.1, 0], [0.4, -0.15, 0]], [[0.9, 0, 0], [-0.1, 0, 1]]])
    found = of_jets.measured(RelativeJets(x, np.ones((2, 2), bool)))
    np.testing.assert_allclose(found.off_axis, [0, 0.1 / 0.8])
    np.testing.assert_allclose(found.hard, [0.15, 0])
    np.testing.assert_array_equal(found.nonpositive, [False, True])
    conditions = of_jets.conditions(found, of_jets.limits(found))
    assert value(conditions, "pt_range") is None
    assert value(conditions, "positive") == 50
    # Two massless particles in one plane: m^2 = 2 pt1 pt2 (cosh(deta) - cos(dphi)).
    mass = np.sqrt(2 * 0.6 * 0.4 * (np.cosh(0.25) - 1))
    assert found.mass[0] == pytest.approx(mass, rel=1e-9)


def test_what_files_state(jets, tmp_path):
    path = tmp_path / "made.hdf5"
    with JetNetWriter(path, num_particles=30) as writer:
        writer.append(jets)
    loaded = load_judged(str(path), repair=True)
    found = judged(loaded.jets, stated=loaded.stated, own_axis=True)
    assert loaded.stated is not None and not held(found)[1]
    assert value(found, "mass_shell") > 0 and not loaded.faults
    with h5py.File(path, "r+") as file:
        file["jet_extra"][0, 1] *= 2  # energy
        file["jet_features"][1, 2] += 5  # mass
        file["jet_features"][2, 3] += 1  # number of particles
        features = file["particle_features"]
        features[3, :2] = features[3][1::-1]
        features[4, 0, 2] = -1
        last = int(np.argmin(jets.mask.sum(1)))
        features[last, -1, 0] = 0.2
    loaded = load_judged(str(path), repair=True)
    assert loaded.faults == {"dropped": 1, "unsorted": 1, "padding": 1}
    faults = loaded.faults
    how = {"stated": loaded.stated, "own_axis": True, "num_rows": len(jets.mask)}
    found = judged(loaded.jets, faults=faults, **how)
    assert held(found)[1] == {
        "mass_shell", "stated_mass", "stated_count", "order", "padding", "dropped"
    }  # fmt: skip
    assert value(found, "dropped") == pytest.approx(100 / 300)


def test_without_the_energy_of_jets(jets, tmp_path):
    path = tmp_path / "made.hdf5"
    with JetNetWriter(path, num_particles=30) as writer:
        writer.append(jets)
    for names in (["phi"], ["phi", "other"], h5py.Empty("S1"), None):
        with h5py.File(path, "r+") as file:
            del file["jet_extra"].attrs["names"]
            if names is not None:
                file["jet_extra"].attrs["names"] = names
            else:  # more names than columns
                phi = file["jet_extra"][:, :1]
                del file["jet_extra"]
                file["jet_extra"] = phi
                file["jet_extra"].attrs["names"] = ["phi", "energy"]
        loaded = load_judged(str(path), repair=True)
        found = judged(loaded.jets, stated=loaded.stated, own_axis=True)
        assert value(found, "mass_shell") is None
        assert value(found, "stated_mass") < 1e-4


# Images


def pixel_sets():
    x, y = np.meshgrid(np.arange(5.0), np.arange(4.0))
    intensity = np.linspace(0.05, 1, 20)
    one = np.stack([x.ravel(), y.ravel(), intensity], axis=-1)
    points = np.array([one, one[::-1], np.where(np.arange(20)[:, None] < 9, one, 0)])
    mask = np.array([[True] * 20, [True] * 20, [True] * 9 + [False] * 11])
    return PixelSets(points, mask, np.zeros(3, np.int32))


def test_exact_images_fulfil_all():
    real = pixel_sets()
    found = of_images.conditions(real, real)
    assert all(c.value == 0 for c in found)
    assert held(found)[0] == {"intensity", "position", "repeated", "padding"}


@pytest.mark.parametrize(
    "name, where, what, share",
    [
        ("intensity", (0, 3, 2), 1.01, 100 / 49),
        ("intensity", (0, 3, 2), -0.01, 100 / 49),
        ("position", (1, 3, 0), 27.6, 100 / 49),
        ("position", (1, 3, 1), -0.6, 100 / 49),
        ("repeated", (0, 0, 0), 1.2, 100 / 3),
        ("padding", (2, 19, 0), 1.0, 100 / 3),
    ],
)
def test_one_bad_pixel_is_seen(name, where, what, share):
    real = pixel_sets()
    points = real.points.copy()
    points[where] = what
    found = of_images.conditions(real._replace(points=points), real)
    assert held(found)[1] == {name}
    assert value(found, name) == pytest.approx(share)


def test_numbers_of_pixels():
    real = pixel_sets()
    few = PixelSets(real.points[2:], real.mask[2:], real.labels[2:])
    assert value(of_images.conditions(real, few), "count_range") == pytest.approx(
        200 / 3
    )
    none = real._replace(points=0 * real.points, mask=np.zeros_like(real.mask))
    assert value(of_images.conditions(none, real), "blank") == 100
    # Real superpixels may be nearest to one pixel: then nothing is required.
    twice = real._replace(points=np.zeros_like(real.points))
    assert held(of_images.conditions(real, twice))[0].isdisjoint({"repeated"})


# Events


def events(number=400):
    """Exact Z gamma events of massless leptons and photons."""
    random = np.random.default_rng(0)
    p = random.normal(size=(number, 3, 3)) * 40
    energy = np.linalg.norm(p, axis=-1, keepdims=True)
    objects = np.concatenate([p, energy], axis=-1)
    jets = random.poisson(2, number)
    charm = np.minimum(random.poisson(0.3, number), jets)
    missing = random.normal(size=(number, 2)) * 20
    return table(objects[:, :2], objects[:, 2], missing, jets, charm)


def of_table(values, real, names=NAMES):
    columns = kinds.find(names, real)
    return of_events.conditions(columns, of_events.limits(real), values)


def test_exact_events_fulfil_all():
    real = events()
    found = of_table(real, real)
    names, failed = held(found)
    assert not failed and value(found, "range") == 0
    assert names == {
        "shell_mlly_largest", "space_like_mlly", "shell_mll_largest", "space_like_mll",
        "shell_photon_largest", "llpt_mlly", "dPhi_METZy", "mll_mlly", "e_ll_e_zy",
        "dPhi_ll_dR_ll", "Ncj_Nj", "whole", "positive", "angle", "bounded",
    }  # fmt: skip


def test_files_of_four_digits_fulfil_all():
    exact = events(20_000)
    size = 10 ** np.floor(np.log10(np.where(exact == 0, 1, np.abs(exact))))
    rounded = np.round(exact / size, 3) * size
    bounded = kinds.find(NAMES, exact).where("angle", "bounded")
    rounded[:, bounded] = np.clip(rounded[:, bounded], -np.pi, np.pi)
    found = of_table(rounded, rounded)
    assert not held(found)[1] and value(found, "shell_mlly_largest") > 1e-4
    real = load("embedded").values
    assert not held(of_table(real, real))[1]


BAD_COLUMNS = {
    "shell_mlly_largest": ("mlly", lambda x: 1.5 * x),
    "space_like_mlly": ("e_zy", lambda x: 0.5),
    "shell_mll_largest": ("pt_ll", lambda x: 2 * x),
    "space_like_mll": ("eta_ll", lambda x: x + 9),
    "shell_photon_largest": ("phi_ll", lambda x: x / 2 + 0.5),
    "llpt_mlly": ("llpt_mlly", lambda x: 1.01 * x),
    "dPhi_METZy": ("MET_phi", lambda x: x / 2 + 0.5),
    "mll_mlly": ("mll", lambda x: 1e4),
    "e_ll_e_zy": ("e_ll", lambda x: 1e5),
    "dPhi_ll_dR_ll": ("dR_ll", lambda x: 1e-3),
    "Ncj_Nj": ("Ncj", lambda x: 99),
    "whole": ("Nj", lambda x: x + 0.5),
    "positive": ("MET", lambda x: 0),
    "angle": ("phi_ll", lambda x: 3.2),
    "bounded": ("dPhi_ll", lambda x: -0.1),
    "range": ("MET", lambda x: 1e6),
}


@pytest.mark.parametrize("name", BAD_COLUMNS)
def test_one_bad_event_is_seen(name):
    column, change = BAD_COLUMNS[name]
    real = events()
    values = real.copy()
    place = NAMES.index(column)
    values[5, place] = change(values[5, place])
    found = of_table(values, real)
    if name == "range":
        assert value(found, name) == pytest.approx(100 / len(real))
    else:
        assert name in held(found)[1]
    assert value(of_table(real, real), name) < value(found, name)


def test_columns_of_other_tables():
    assert of_events.four_vectors(["m_jj", "eta_jj", "e_jj", "pt_jj", "pt_x"]) == [
        ("m_jj", "pt_jj", "eta_jj", "e_jj")
    ]
    assert of_events.four_vectors(["pt_jj", "eta_jj", "e_jj"]) == []
    # Azimuths from 0 to 2 pi are a convention, too.
    phi = np.linspace(0, 6.28, 100)[:, None]
    assert not held(of_table(phi, phi, ("phi",)))[1]
    assert held(of_table(phi - 0.1 + 0.2, phi, ("phi",)))[1] == {"angle"}
