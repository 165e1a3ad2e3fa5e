"""The parametrised detector, the columns and the selection, without Pythia."""

import math

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.making.zgamma import columns, detector, objects, settings
from jetvae_jax.making.zgamma.production import rounded


def four(pt, eta, phi, mass=0.0):
    """(px, py, pz, E) in float64."""
    p = [pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)]
    return np.array([*p, math.sqrt(sum(x * x for x in p) + mass**2)])


def test_jet_resolution_is_the_measured_one():
    # ATLAS, arXiv:2007.02645: (24 +- 1.5) % at 20 GeV, (6 +- 0.5) % at 300 GeV.
    low, high = detector.jet_resolution(np.array([20.0, 300.0]))
    assert abs(low - 0.24) < 0.005 and abs(high - 0.06) < 0.005


@pytest.mark.parametrize(
    ("kind", "eta", "inside"),
    [
        (11, 0.0, True), (11, -1.4, False), (11, 1.45, False), (11, -2.46, True),
        (11, 2.48, False), (13, 1.45, True), (13, -2.69, True), (13, 2.71, False),
        (22, 1.6, True), (22, 2.38, False), (22, -1.5, False), (0, 0.0, False),
    ],
)  # fmt: skip
def test_acceptance(kind, eta, inside):
    assert detector.accepted(np.array(kind), np.array(eta)) == inside


@pytest.mark.parametrize(
    ("kind", "pt", "eta", "expected"),
    [
        (11, 50.0, 1.0, 0.95 * 0.95), (11, 50.0, -2.0, 0.83 * 0.85),
        (11, 150.0, 0.0, 0.99 * 0.95), (11, 150.0, 2.0, 0.90 * 0.85),
        (13, 50.0, 1.0, 0.99 * 0.95), (13, 50.0, 2.0, 0.98 * 0.85),
        (13, 50.0, 2.6, 0.0), (22, 50.0, 0.0, 0.95), (22, 50.0, 2.0, 0.85),
        (22, 9.0, 0.0, 0.0),
    ],
)  # fmt: skip
def test_efficiency_of_the_card(kind, pt, eta, expected):
    found = detector.efficiency(np.array(kind), np.array(pt), np.array(eta))
    assert found == pytest.approx(expected)


def test_resolution_of_the_card():
    muon = detector.resolution(
        np.full(3, 13), np.full(3, 100.0), np.array([0.2, -1.0, 2.0]), np.full(3, 1.0)
    )
    expected = [(0.01, 0.01), (0.015, 0.015), (0.025, 0.035)]
    np.testing.assert_allclose(muon, [math.hypot(*x) for x in expected])
    electron = detector.resolution(
        np.array(11), np.array(1.0), np.array(0.0), np.array(100.0)
    )
    assert electron == pytest.approx(math.hypot(0.0017, 0.0101))
    assert detector.response(np.array(0.5), np.array(-100.0)) == 0.1


def test_charm_tag_rates():
    uniform = np.random.default_rng(0).uniform(size=(3, 40_000))
    flavour = np.array([[5], [4], [0]])
    tagged = detector.charm_tag(flavour, np.ones_like(uniform), uniform)
    error = 4 * np.sqrt(0.25 / 40_000)
    np.testing.assert_allclose(tagged.mean(1), [0.25, 0.41, 0.05], atol=error)
    assert not detector.charm_tag(flavour, np.full(uniform.shape, 2.6), uniform).any()


def test_flavour_by_pdg_id():
    ids = {
        411: 4, -421: 4, 431: 4, 4122: 4, 443: 4, 10411: 4, 511: 5, -531: 5, 5122: 5,
        553: 5, 4203: 0, 5101: 0, 211: 0, 2212: 0, 21: 0, 4: 0, 5: 0, 22: 0,
        3122: 0, 1000411: 0,
    }  # fmt: skip
    found = detector.hadron_flavour(np.array(list(ids)))
    np.testing.assert_array_equal(found, list(ids.values()))


def test_columns_by_hand():
    first, second = four(60, 0.5, 3.0), four(30, -0.7, -2.9)
    photon, missing = four(40, 1.1, 0.4), (-3.0, 4.0)
    (row,) = columns.table(
        np.stack([first, second])[None], photon[None], np.array([missing]),
        np.array([3]), np.array([1]),
    )  # fmt: skip
    found = dict(zip(columns.NAMES, row, strict=True))
    assert len(found) == 18

    def system(p):
        pt = math.hypot(p[0], p[1])
        return (
            math.sqrt(p[3] ** 2 - p[0] ** 2 - p[1] ** 2 - p[2] ** 2),
            math.atan2(p[1], p[0]), math.asinh(p[2] / pt), pt, p[3],
        )  # fmt: skip

    whole, pair = system(first + second + photon), system(first + second)
    dphi = 2 * math.pi - 5.9
    met_phi = math.atan2(4.0, -3.0)
    between = abs(met_phi - whole[1])
    expected = [*whole, *pair, math.hypot(1.2, dphi), 5.0, met_phi, 3, 1, dphi,
                min(between, 2 * math.pi - between), pair[3] / whole[0]]  # fmt: skip
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-12)


def test_angles_stay_below_pi_in_float32():
    pair = np.stack([four(40, 0, math.pi - 1e-9), four(40, 0, math.pi - 1e-9)])
    (row,) = columns.table(
        pair[None], four(1, 0, 0)[None], np.array([[-1.0, 1e-12]]), *np.ones((2, 1))
    )
    found = dict(zip(columns.NAMES, row.astype(np.float32), strict=True))
    for name in ("phi_zy", "phi_ll", "MET_phi", "dPhi_METZy"):
        assert -math.pi <= float(found[name]) < math.pi


def test_hardest_of_each_event():
    rng = np.random.default_rng(3)
    event = np.repeat([0, 2, 3], [4, 1, 6])
    p4 = rng.normal(size=(11, 4))
    chosen = rng.uniform(size=11) < 0.7
    record = objects.Record(event, event, event, p4, 4)
    found = objects.hardest(record, chosen, 3)
    for i in range(4):
        rows = [k for k in range(11) if event[k] == i and chosen[k]]
        rows.sort(key=lambda k: -math.hypot(*p4[k, :2]))
        expected = (rows[:3] + [-1] * 3)[:3]
        assert found.index[i].tolist() == expected
        for place, k in enumerate(expected):
            np.testing.assert_array_equal(
                found.p4[i, place], p4[k] if k >= 0 else np.zeros(4)
            )


def test_distance_crosses_the_seam():
    a = np.stack([four(1, 0.3, 3.1)])[None]
    b = np.stack([four(2, 0.0, -3.1), four(5, 0.3, 3.0)])[None]
    expected = [math.hypot(0.3, 2 * math.pi - 6.2), 0.1]
    np.testing.assert_allclose(objects.distance(a, b)[0, 0], expected)


def test_rounding_keeps_counts_and_never_grows():
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 100
    cut = rounded(values, 13)
    assert np.all(np.abs(cut) <= np.abs(values))
    np.testing.assert_allclose(cut, values, rtol=2**-13)
    np.testing.assert_array_equal(rounded(np.arange(99.0), 13), np.arange(99.0))
    np.testing.assert_array_equal(rounded(values, 23), values)
    assert len(np.unique(rounded(values, 4).view(np.uint32) & 0x7FFFF)) == 1


# Settings


@pytest.mark.parametrize(
    "changes",
    [
        {"num_background": -1}, {"num_background": 0, "masses": ()},
        {"masses": (50.0,)},
        {"masses": (1e9,)}, {"masses": (200.0, 200.2)}, {"width": 0.0}, {"width": 90.0},
        {"formats": ("csv",)}, {"formats": ()}, {"mantissa_bits": 2}, {"seed": -1},
        {"seed": 299}, {"shard_events": 0}, {"shard_events": 1}, {"jet_pt_min": -3.0},
        {"lead_pt_min": 5.0}, {"num_workers": -1}, {"z_window": float("nan")},
    ],
)  # fmt: skip
def test_mistakes_in_the_settings(changes):
    (name, *_) = changes
    with pytest.raises(InputError, match=f"^({name}|masses)"):
        settings.Config(**changes)


def test_no_two_shards_share_a_seed():
    seeds = []
    for seed in (0, 1, 298):
        config = settings.Config(300, 300, (100.0, 125.5, 3000.0), 1.0, 100, seed=seed)
        assert list(config.processes)[1:] == ["signal100", "signal125p5", "signal3000"]
        for name in config.processes:
            seeds += [shard.seed for shard in settings.plan(config, name)]
    assert len(set(seeds)) == len(seeds) == 36
    assert min(seeds) >= 1 and max(seeds) < 900_000_000
    last = settings.Config(0, 1000, (3000.0,), 1.0, 1, seed=298)
    assert settings.plan(last, "signal3000")[-1].seed <= 900_000_000


def test_last_word_of_the_settings():
    config = settings.Config(masses=(400.0,), width=20.0, settings=("A:b = 1",))
    (shard, *_) = settings.plan(config, "signal400")
    assert "25:m0 = 400.0" in shard.pythia and "25:mWidth = 20.0" in shard.pythia
    assert shard.pythia[-1] == "A:b = 1"
    background = settings.plan(config, "background")[0].pythia
    assert "SpaceShower:pTmaxMatch = 2" in background
    assert not any("25:" in line for line in background)
