"""Events of two jets that are combined: what is kept and what is lost is known."""

import dataclasses
import json

import h5py
import numpy as np
import pytest
from samples import save_events

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.momenta import cartesian, mass, pt_eta_phi, wrap_phi
from jetvae_jax.runs import trained
from jetvae_jax.studies.decomposition import dijets, measure
from jetvae_jax.studies.decomposition.dijets import Dijets, DijetsConfig

FIGURES = "made"
PARTICLES = 6


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file of 1,200 events."""
    return save_events(tmp_path_factory.mktemp("dijets") / "g.hdf5", 1200)


@pytest.fixture(scope="module")
def events(path):
    config = DijetsConfig(path=str(path), num_particles=PARTICLES)
    return dijets.summarised(dijets.read(config))


def particles_of(path):
    """``(pt, eta, phi) [J, 2, N]`` in the file, and the axes ``[J, 2, 3]``."""
    with h5py.File(path) as file:
        p = file["particle_features"][:].astype(np.float64)
        axis = file["jet_features"][:, :2].astype(np.float64)
        phi = file["jet_extra"][:, 0].astype(np.float64)
    found = (
        p[..., 2] * axis[:, :1], p[..., 0] + axis[:, 1:2], p[..., 1] + phi[:, None]
    )  # fmt: skip
    axis = np.column_stack([axis, phi]).reshape(-1, 2, 3)
    return [values.reshape(-1, 2, PARTICLES) for values in found], axis


def summed(pt, eta, phi):
    """Momentum of massless particles."""
    p = cartesian(pt, eta, phi)
    return np.concatenate([p, np.linalg.norm(p, axis=-1, keepdims=True)], -1).sum(-2)


def test_jets_of_an_event_are_a_pair(path, events):
    features, axis = particles_of(path)
    np.testing.assert_allclose(events.axis, axis, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(events.p4, summed(*features), rtol=1e-4, atol=1e-2)
    assert events.tau21.min() > 0 and 0.3 < np.median(events.tau21) < 0.8
    p = events.p4[:5]
    found = dijets.own(Dijets(p, events.tau21[:5], events.axis[:5]))
    whole = p.sum(1)
    square = whole[:, 3] ** 2 - np.sum(whole[:, :3] ** 2, -1)
    np.testing.assert_allclose(found["mass"], square**0.5, rtol=1e-6)
    m = np.sqrt(p[..., 3] ** 2 - np.sum(p[..., :3] ** 2, -1))
    np.testing.assert_allclose(found["mass difference"], m[:, 0] - m[:, 1], rtol=1e-4)
    np.testing.assert_allclose(found["sum of masses"], m[:, 0] + m[:, 1], rtol=1e-4)
    product = events.tau21[:5, 0] * events.tau21[:5, 1]
    np.testing.assert_allclose(found["tau21 product"], product)


def test_a_moved_jet_is_that_of_its_moved_particles(path, events):
    (pt, eta, phi), axis = particles_of(path)
    to = np.random.default_rng(1).permutation(axis)
    shift = (to - axis)[..., None, :]
    scale = (to / axis)[..., None, 0]
    wanted = summed(pt * scale, eta + shift[..., 1], phi + shift[..., 2])
    found = dijets.moved(events.p4, axis, to)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=0.05)


def test_combinations(events):
    rng = np.random.default_rng(2)
    others = events.axis[600:]
    few = events.at(np.arange(600))
    place = {t: i for i, t in enumerate(few.tau21.reshape(-1))}
    for way in dijets.WAYS:
        made = dijets.combined(few, others, 500, way, rng)
        source = np.array([[place[t] for t in row] for row in made.tau21])
        event, which = source // 2, source % 2
        assert np.mean(event[:, 0] != event[:, 1]) > 0.95
        pt = pt_eta_phi(made.p4)[0]
        if way == "given the axes":
            assert len(np.unique(made.axis[:, 0, 0])) == 500  # each once
            assert {a.tobytes() for a in made.axis} <= {a.tobytes() for a in others}
            assert 0.4 < which.mean() < 0.6
            # Of 1,200 jets, one of the 20 of the nearest pt.
            old = few.axis.reshape(-1, 3)[source, 0]
            rank = np.searchsorted(np.sort(few.axis[..., 0].reshape(-1)),
                                   [old, made.axis[..., 0]])  # fmt: skip
            assert np.abs(rank[0] - rank[1]).max() <= measure.NEIGHBOURS + 1
        else:
            np.testing.assert_array_equal(which, np.tile([0, 1], (500, 1)))
            old = pt_eta_phi(few.p4[event, which])[0]
            np.testing.assert_allclose(pt, old, rtol=1e-9)
        apart = np.abs(wrap_phi(made.axis[:, 0, 2] - made.axis[:, 1, 2]))
        assert (np.median(apart) > 3) == (way != "independent"), way
        # The momenta are those of these axes.
        phi = pt_eta_phi(made.p4)[2]
        assert np.abs(wrap_phi(phi - made.axis[..., 2])).max() < 0.3
        relative = mass(made.p4[..., 3], made.p4[..., :3]) / pt
        before = few.p4[event, which]
        wanted = mass(before[..., 3], before[..., :3]) / pt_eta_phi(before)[0]
        np.testing.assert_allclose(relative, wanted, rtol=1e-6)


def test_what_the_jets_share_is_lost_unless_the_axes_are_given(events):
    config = DijetsConfig(path="x", num_events=60, num_combined=600, quantiles=10)
    rng = np.random.default_rng(3)
    true, others = events.at(np.arange(300)), events.at(np.arange(300, 600))
    trainings = [others.at(np.arange(i, i + 60)) for i in range(0, 300, 60)]
    objects = dijets.objects(events.axis[600:])
    found = measure.measure(objects, true, others, trainings, rng, config)
    assert found["independent"]["pt"]["worth"]["high"] < 10
    # Shapes of the jets are independent here.
    for way in dijets.WAYS:
        assert found[way]["tau21 product"]["worth"]["high"] is None or (
            found[way]["tau21 product"]["worth"]["high"] > 100
        )
    assert found["azimuth kept"]["pt"]["worth"]["high"] < 60
    given = found["given the axes"]["pt"]
    assert given["worth"]["high"] is None or given["worth"]["high"] > 100


def test_jets_that_a_model_did_not_change_are_worth_what_they_are(events):
    true, others = (dijets.own(events.at(np.arange(i, 1200, 2))) for i in range(2))
    found = measure.worth(true, others, 10)["mass"]["worth"]
    assert found["high"] is None  # nothing is wrong of them
    wrong = {name: values * 1.05 for name, values in others.items()}
    found = measure.worth(true, wrong, 10)["mass"]["worth"]
    # Two samples of 600, of which one is shifted: by Pearson's statistic.
    ends = np.quantile(true["mass"], np.arange(1, 10) / 10)
    number = [np.bincount(np.searchsorted(ends, v["mass"]), minlength=10)
              for v in (true, wrong)]  # fmt: skip
    x = np.square((number[1] - number[0]) / 600) / 0.1
    assert found["value"] == pytest.approx(1 / (x.sum() / 9 - 2 / 600), rel=0.05)


def test_correlations(events):
    found = dijets.correlations(events)
    assert found["pt"] > 0.8 and abs(found["tau21"]) < 0.1


def test_mistakes(path, tmp_path, make_jetnet):
    single = str(make_jetnet(num_jets=8))
    for config, says in (
        (DijetsConfig(), "--decompose.path: is missing"),
        (DijetsConfig(path="/no/such"), "/no/such: "),
        (DijetsConfig(path=single), "--make.jets_per_event=2"),
        (DijetsConfig(path=str(path), num_events=250), "has 1,200 events; a third"),
        (DijetsConfig(path=str(path), num_events=100, num_combined=401),
         "--decompose.num_combined=401: .* has 400 events for axes"),
        (DijetsConfig(path=str(path), run="zoo:no"), "zoo:no"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            dijets.study(tmp_path / "w", config)
    assert not (tmp_path / "w").exists()


def test_the_study(path, tmp_path, run_script):
    flags = (f"--decompose.path={path}", "--decompose.num_particles=6",
             "--decompose.num_events=100", "--decompose.num_combined=400",
             "--decompose.quantiles=10")  # fmt: skip
    done = run_script("decompose_dijets", f"--workdir={tmp_path}", *flags)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "decomposition.json").read_text())
    assert done.stdout.splitlines() == [
        found["verdict"], str(tmp_path / "decomposition.html"),
    ]  # fmt: skip
    assert set(found["found"]) == {"events", *dijets.WAYS}
    numbers = [found[f"num_{name}"] for name in ("true", "trainings", "axes")]
    assert numbers == [400, 4, 400]
    page = (tmp_path / "decomposition.html").read_text()
    assert "axes of 400" in page and "rank correlation" in page
    assert (tmp_path / "figures" / "decomposition.png").stat().st_size > 1000


@pytest.mark.slow
def test_generated_jets_are_on_the_axes_of_true_ones(path, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "AT_ONCE", 60)
    config = DijetsConfig(
        path=str(path), run="zoo:autoregressive_gluon30", num_events=100,
        num_combined=100, quantiles=10,
    )  # fmt: skip
    for changes, says in (
        ({"num_particles": 20}, "generates 30 particles: give them as"),
        ({"run": "zoo:convae_gluon30"}, "axes of its own"),
    ):
        with pytest.raises(InputError, match=says):
            dijets._model(dataclasses.replace(config, **changes))
    jets = dijets.read(config)
    model = dijets._model(config)
    assert model is not None
    rows = np.array([5, 3, 700])
    made = dijets.generated(model, jets, rows, seed=1)
    assert made.mask.shape == (6, 30) and made.mask.sum(1).min() > 10
    wanted = jets.axis.reshape(-1, 2, 3)[rows]
    found = dijets.summarised(made)
    pt, eta, phi = pt_eta_phi(found.p4)
    ratio = pt / wanted[..., 0]
    assert np.all((ratio > 0.6) & (ratio < 1.1)), ratio
    np.testing.assert_allclose(eta, wanted[..., 1], atol=0.1)
    assert np.abs(wrap_phi(phi - wanted[..., 2])).max() < 0.1
    dijets.study(tmp_path, dataclasses.replace(config, num_combined=120))
    found = json.loads((tmp_path / "decomposition.json").read_text())
    row = found["found"][dijets.GENERATED]["mass"]
    assert set(row) == {"worth"}
    assert f"{dijets.GENERATED}, " in found["verdict"]
