import dataclasses
import hashlib
import io
import itertools
import json
import math
import pathlib
import threading
import time

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load
from jetvae_jax.making import Config, comparison, files, layouts, pythia, settings

# No underlying event: three times faster, and just as much a test of this code.
QUICK = Config(
    jet_types=("w",), settings=("PartonLevel:MPI = off",), num_jets=30, shard_jets=30
)


def needs_tools():
    for name in pythia.TOOLS:
        pytest.importorskip(name, reason="needs the extra make-jets")


@pytest.fixture(scope="module")
def shard():
    """A shard's settings, its file and what was made."""
    needs_tools()
    from jetvae_jax.making import shards

    (wanted,) = settings.plan(QUICK, "w")
    return wanted, shards.make(wanted)


# Settings


def test_no_two_shards_share_a_seed(tmp_path):
    card = tmp_path / "card"
    card.write_text("Top:all = on")
    names = (*settings.JET_TYPES, "other")
    seeds = [
        shard.seed
        for seed, name in itertools.product((0, 1, 1499), names)
        for shard in settings.plan(
            Config((name,), 3, 1, card=str(card), seed=seed), name
        )
    ]
    assert len(set(seeds)) == len(seeds) == 54
    assert min(seeds) >= 1 and max(seeds) <= 900_000_000
    last = Config(("other",), settings.MAX_SHARDS, 1, card=str(card), seed=1499)
    assert settings.plan(last, "other")[-1].seed <= 900_000_000


def test_more_jets_keep_the_first_shards():
    few, many = (
        settings.plan(Config(num_jets=n, shard_jets=100), "g") for n in (250, 400)
    )
    assert [s.num_jets for s in few] == [100, 100, 50]
    assert many[:2] == few[:2]
    assert many[2] == few[2]._replace(num_jets=100)


def test_window_of_each_class():
    def last(name, jet_type, **changes):
        config = Config(jet_types=(jet_type,), **changes)
        lines = settings.pythia_settings(config, jet_type)
        return [x.split("= ")[1] for x in lines if x.startswith(name)][-1]

    end = "PhaseSpace:pTHatMax"
    assert float(last(end, "g")) == -1
    assert float(last(end, "t")) == 1010
    assert float(last(end, "g", parton_pt_max=2000.0)) == 2000
    assert float(last(end, "g", settings=(f"{end} = 1500.",))) == 1500


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("num_jets", {"num_jets": 0}),
        ("radius", {"radius": 0.0}),
        ("seed", {"seed": 1500}),
        ("seed", {"seed": -1}),
        ("jet_types", {"jet_types": ()}),
        ("jet_types", {"jet_types": ("g", "g")}),
        ("jet_types", {"jet_types": ("x",)}),
        ("jet_types", {"jet_types": ("../x",), "card": "card"}),
        ("jet_types", {"jet_types": ("g", "q"), "card": "card"}),
        ("layouts", {"layouts": ("jetnet",)}),
        ("layouts", {"layouts": ("jetnet151",)}),
        ("layouts", {"layouts": ("jetnet0",)}),
        ("jet_pt_max", {"jet_pt_min": 500.0, "jet_pt_max": 400.0}),
        ("parton_pt_max", {"parton_pt_min": 500.0, "parton_pt_max": 400.0}),
        ("shard_jets", {"num_jets": 10**9, "shard_jets": 10}),
        ("num_jets", {"num_jets": 31, "jets_per_event": 2}),
        ("shard_jets", {"shard_jets": 15, "jets_per_event": 2}),
        ("jets_per_event", {"jets_per_event": 3}),
    ],
)
def test_mistakes_in_the_settings(field, changes):
    with pytest.raises(InputError, match=f"^{field}: .*, got "):
        Config(**changes)


def test_a_card_replaces_the_process(tmp_path):
    card = tmp_path / "z.cmnd"
    card.write_text("! comment\n\n  WeakZ0:gmZmode = 2  \n# more\n23:onMode = off\n")
    config = Config(card=str(card), jet_types=("own",))
    (first, *_) = settings.plan(config, "own")
    assert first.pythia[-2:] == ("WeakZ0:gmZmode = 2", "23:onMode = off")
    assert not any("HardQCD" in line for line in first.pythia)
    card.write_text("! nothing\n")
    with pytest.raises(InputError, match="holds no setting"):
        settings.plan(config, "own")
    with pytest.raises(InputError, match="cannot be read"):
        settings.read_card(str(tmp_path))


def test_missing_tools_name_the_extra(monkeypatch):
    monkeypatch.setattr(pythia.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'jetvae_jax\[make-jets\]'"):
        pythia.require_tools()


# Files


def test_bytes_depend_on_the_rows_alone():
    rows = np.random.default_rng(0).normal(size=(2500, 3)).astype(np.float32)

    def content(cuts):
        buffer = io.BytesIO()
        parts = [{"x": part} for part in np.split(rows, cuts)]
        attrs = {"b": 1, "a": {"z": 1, "y": [2]}}
        assert files.write(buffer, {"x": ("p", "q", "r")}, parts, attrs) == 2500
        return buffer.getvalue()

    assert content([]) == content([1, 999, 1000, 1001, 2400])
    with h5py.File(io.BytesIO(content([7]))) as file:
        np.testing.assert_array_equal(file["x"][:], rows)
        assert json.loads(file.attrs["a"]) == {"z": 1, "y": [2]}


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "sub" / "x.hdf5"

    def broken():
        yield {"x": np.ones((1000, 2))}
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        files.write_whole(path, {"x": ("p", "q")}, broken(), {})
    assert not list(path.parent.iterdir())
    files.save(path, b"old")
    with pytest.raises(RuntimeError, match="killed"):
        files.write_whole(path, {"x": ("p", "q")}, broken(), {})
    assert path.read_bytes() == b"old"
    assert [p.name for p in path.parent.iterdir()] == ["x.hdf5"]


def test_damaged_and_unwritable_files_are_named(tmp_path):
    path = tmp_path / "x.hdf5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"x\.hdf5: damaged"):
        files.metadata(path, "jet_features")
    with pytest.raises(InputError, match="cannot be written"):
        files.save(path / "y.hdf5", b"")


# Clustering


def antikt(p, radius):
    """Jets of one event by definition (arXiv:0802.1189), E-scheme, hardest first."""
    jets = [(np.array(v, float), [i]) for i, v in enumerate(p)]
    done = []

    def coordinates(v):
        rapidity = 0.5 * math.log((v[3] + v[2]) / (v[3] - v[2]))
        return math.hypot(v[0], v[1]), rapidity, math.atan2(v[1], v[0])

    while jets:
        at = [coordinates(v) for v, _ in jets]
        best = min((pt**-2, i, None) for i, (pt, _, _) in enumerate(at))
        for i, j in itertools.combinations(range(len(jets)), 2):
            phi = abs(at[i][2] - at[j][2])
            phi = min(phi, 2 * math.pi - phi)
            distance = ((at[i][1] - at[j][1]) ** 2 + phi**2) / radius**2
            scale = min(at[i][0] ** -2, at[j][0] ** -2)
            if scale * distance < best[0]:
                best = (scale * distance, i, j)
        _, i, j = best
        if j is None:
            done.append(jets.pop(i))
        else:
            (a, x), (b, y) = jets[i], jets[j]
            jets = [jet for k, jet in enumerate(jets) if k not in (i, j)]
            jets.append((a + b, x + y))
    return sorted(done, key=lambda jet: -math.hypot(jet[0][0], jet[0][1]))


def events_of(particles, ids, hard):
    """Awkward events with a made-up record around final particles."""
    import awkward as ak

    rows = []
    for p, kinds, partons in zip(particles, ids, hard, strict=True):
        head = [(0, -11, 0, 0, (0, 0, 1, 1))] * 3 + [(21, -21, 1, 2, (0, 0, 1, 1))] * 2
        head += [(kind, -23, 3, 4, v) for kind, v in partons]
        body = [(kind, 83, 5, 0, v) for kind, v in zip(kinds, p, strict=True)]
        rows.append(head + body)
    flat = [row for event in rows for row in event]
    kind, status, mother1, mother2, p = zip(*flat, strict=True)
    px, py, pz, e = np.array(p, float).T
    momenta = ak.zip({"px": px, "py": py, "pz": pz, "e": e}, with_name="Momentum4D")
    columns = {"id": kind, "status": status, "mother1": mother1, "mother2": mother2}
    columns = {name: np.array(values) for name, values in columns.items()}
    record = ak.zip({**columns, "p": momenta}, depth_limit=1)
    return ak.Array({"prt": ak.unflatten(record, [len(row) for row in rows])})


def test_leading_jet_is_that_of_the_definition():
    needs_tools()
    from jetvae_jax.making.cluster import leading_jets

    rng = np.random.default_rng(5)
    particles, expected = [], []
    for number in (14, 1, 22, 9):
        pt = rng.exponential(30, number) + 0.5
        eta, phi = rng.normal(0, 0.6, number), rng.uniform(2.7, 3.6, number)
        p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
        energy = np.sqrt(np.sum(p**2, -1) + 0.14**2)
        particles.append(np.column_stack([p, energy]))
        expected.append(antikt(particles[-1], 0.4)[0])
    # A neutrino and a particle outside the acceptance, harder than all jets.
    lost = np.array([[900.0, 0, 0, 900], [10.0, 0, 900, 900.06]])
    seen = [np.vstack([p, lost]) for p in particles]
    ids = [[211] * len(p) + [12, 211] for p in particles]
    hard = [[(21, jet), (5, -jet * [1, 1, 1, -1])] for jet, _ in expected]
    hard[3] = [(21, v) for v in np.array([[0, 500, 900.0, 1100], [0, -500, 9, 501]])]
    cuts = settings.Cuts(0.4, 0.1, 3.0, 0.0, 0.0, 1, 6)
    rows, dropped = leading_jets(events_of(seen, ids, hard), cuts, lambda i: i != 12)
    # Nothing hard is near the jet of the last event.
    assert dropped == {"jet_pt": 0, "unmatched": 1, "few_particles": 0}
    assert len(rows["jet"]) == 3
    assert rows["parton"].tolist() == [21, 21, 21]
    for k, (jet, members) in enumerate(expected[:3]):
        pt, energy = math.hypot(jet[0], jet[1]), jet[3]
        mass = math.sqrt(max(energy**2 - np.sum(jet[:3] ** 2), 0))
        wanted = [pt, math.asinh(jet[2] / pt), math.atan2(jet[1], jet[0]), mass, energy]
        np.testing.assert_allclose(rows["jet"][k], wanted, rtol=1e-6, atol=1e-5)
        assert rows["count"][k] == len(members)
        order = sorted(members, key=lambda i: -np.hypot(*particles[k][i, :2]))[:6]
        np.testing.assert_allclose(rows["p4"][k, : len(order)], particles[k][order])
        assert not rows["p4"][k, len(order) :].any()


def test_both_hardest_jets_are_those_of_the_definition():
    needs_tools()
    from jetvae_jax.making.cluster import leading_jets

    rng = np.random.default_rng(6)
    particles, expected = [], []
    for number in (12, 9, 16, 1):  # the last has one jet
        pt = rng.exponential(30, number) + 0.5
        eta = rng.normal(0, 0.3, number)
        phi = rng.choice([0.3, 3.0], number) + rng.normal(0, 0.2, number)
        p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
        energy = np.sqrt(np.sum(p**2, -1) + 0.14**2)
        particles.append(np.column_stack([p, energy]))
        expected.append(antikt(particles[-1], 0.4)[:2])
    hard = [[(21, event[0][0]), (-5, event[-1][0])] for event in expected]
    hard[2][1] = (-5, hard[2][1][1] * [-1, -1, -1, 1])  # far from the second jet
    ids = [[211] * len(p) for p in particles]
    cuts = settings.Cuts(0.4, 0.1, 3.0, 0.0, 0.0, 1, 5, jets_per_event=2)
    rows, dropped = leading_jets(events_of(particles, ids, hard), cuts, lambda i: i > 0)
    assert dropped == {"jet_pt": 1, "unmatched": 1, "few_particles": 0}
    assert rows["parton"].tolist() == [21, -5] * 2
    found = zip(rows["jet"], rows["count"], rows["p4"], strict=True)
    for k, (features, count, p4) in enumerate(found):
        jet, members = expected[k // 2][k % 2]
        pt = math.hypot(jet[0], jet[1])
        wanted = [pt, math.asinh(jet[2] / pt), math.atan2(jet[1], jet[0])]
        np.testing.assert_allclose(features[:3], wanted, rtol=1e-6, atol=1e-6)
        assert count == len(members)
        own = particles[k // 2]
        order = sorted(members, key=lambda i: -np.hypot(*own[i, :2]))[:5]
        np.testing.assert_allclose(p4[: len(order)], own[order])
        assert not p4[len(order) :].any()


def test_cuts_count_what_they_drop():
    needs_tools()
    from jetvae_jax.making.cluster import leading_jets

    p = [np.array([[pt, 1.0, 0.0, pt + 1]] * 3) for pt in (10.0, 100.0, 1000.0)]
    hard = [[(1, v[0]), (2, v[0] * [-1, -1, 1, 1])] for v in p]
    events = events_of(p, [[211] * 3] * 3, hard)

    def drop(**changes):
        cuts = settings.Cuts(0.4, 0.1, 5.0, 0.0, 0.0, 1, 6)._replace(**changes)
        rows, dropped = leading_jets(events, cuts, lambda ids: ids > 0)
        return len(rows["count"]), dropped

    assert drop() == (3, {"jet_pt": 0, "unmatched": 0, "few_particles": 0})
    assert drop(jet_pt_min=100.0)[1]["jet_pt"] == 1
    assert drop(jet_pt_min=100.0, jet_pt_max=500.0)[0] == 1
    assert drop(jet_pt_min=1e4) == (
        0, {"jet_pt": 3, "unmatched": 0, "few_particles": 0},
    )  # fmt: skip
    assert drop(min_particles=4)[1]["few_particles"] == 3
    assert drop(particle_pt_min=50.0)[0] == 2


# Shards and layouts


def test_a_shard_can_be_remade_alone(shard, tmp_path):
    from jetvae_jax.making import shards

    wanted, made = shard
    again = shards.make(wanted)
    assert (
        hashlib.sha256(again.content).digest() == hashlib.sha256(made.content).digest()
    )
    other = shards.make(wanted._replace(seed=wanted.seed + 1, num_jets=5))
    with (
        h5py.File(io.BytesIO(made.content)) as one,
        h5py.File(io.BytesIO(other.content)) as two,
    ):
        assert np.all(one["jet_features"][:5] != two["jet_features"][:], axis=1).any()
        assert one.attrs["cross_section_pb"] > 0
        dropped = json.loads(one.attrs["dropped"])
        assert one.attrs["events"] == made.kept + sum(dropped.values())


def test_content_of_a_shard(shard):
    _, made = shard
    with h5py.File(io.BytesIO(made.content)) as file:
        p4 = file["particle_p4"][:].astype(np.float64)
        pt, _, mass, count = file["jet_features"][:].astype(np.float64).T
        phi, energy, multiplicity, parton = file["jet_extra"][:].T
        relative = file["particle_features"][:]
    assert len(pt) == 30 and np.all(np.abs(parton) == 24)
    assert np.all(count == multiplicity) and count.min() >= 5
    np.testing.assert_array_equal(relative[..., 3].sum(1), count)
    # The jet is the sum of its particles, all of which are stored here.
    total = p4.sum(1)
    np.testing.assert_allclose(np.hypot(total[:, 0], total[:, 1]), pt, rtol=1e-5)
    np.testing.assert_allclose(np.arctan2(total[:, 1], total[:, 0]), phi, atol=1e-5)
    np.testing.assert_allclose(total[:, 3], energy, rtol=1e-5)
    squared = total[:, 3] ** 2 - np.sum(total[:, :3] ** 2, -1)
    np.testing.assert_allclose(np.sqrt(squared), mass, rtol=1e-3)
    assert abs(np.median(mass) - 80.4) < 5
    assert np.all(np.diff(relative[..., 2], axis=1) <= 1e-7)
    assert np.abs(relative[..., 1]).max() < 0.6


def test_both_jets_of_each_event(shard, tmp_path):
    from jetvae_jax.making import shards

    wanted, single = shard
    both = wanted._replace(cuts=wanted.cuts._replace(jets_per_event=2))
    made = shards.make(both)
    with (
        h5py.File(io.BytesIO(single.content)) as one,
        h5py.File(io.BytesIO(made.content)) as two,
    ):
        # Files of one jet an event say what they always said.
        assert "jets_per_event" not in one.attrs["shard"]
        assert json.loads(two.attrs["shard"])["cuts"]["jets_per_event"] == 2
        first, second = two["jet_features"][::2], two["jet_features"][1::2]
        extra = two["jet_extra"][:]
        # Those of the same seed whose second jet passes, too.
        leading = {row.tobytes() for row in one["jet_features"][:]}
        assert {row.tobytes() for row in first} <= leading
        kept = json.loads(two.attrs["dropped"])
        assert two.attrs["events"] == 15 + sum(kept.values())
    assert np.all(first[:, 0] >= second[:, 0])
    assert np.all(extra[::2, 3] == -extra[1::2, 3])  # W+ and W-
    apart = np.abs(np.angle(np.exp(1j * (extra[::2, 0] - extra[1::2, 0]))))
    assert np.median(apart) > 2.9
    with pytest.raises(InputError, match="jets_per_event"):
        files.save(tmp_path / "w.hdf5", single.content)
        shards.is_done(tmp_path / "w.hdf5", both)
    files.save(tmp_path / "w_00000.hdf5", made.content)
    target = layouts.path_of(tmp_path, "jetnet30", "w")
    layouts.merge(target, "jetnet30", [(tmp_path / "w_00000.hdf5", both)])
    with h5py.File(target) as file:
        assert file.attrs["jets_per_event"] == 2
        assert "each of two hardest anti-kT jet" in file.attrs["selection"]


@pytest.fixture
def saved(shard, tmp_path):
    path = tmp_path / "w_00000.hdf5"
    files.save(path, shard[1].content)
    return path, shard[0]


def test_layouts_are_read_back_alike(saved, tmp_path):
    momenta = {}
    for name in ("jetnet30", "jetnet150", "hls4ml100"):
        target = layouts.path_of(tmp_path, name, "w")
        attrs = layouts.merge(target, name, [saved, saved])
        assert attrs["jets"] == 60 and attrs["seeds"].tolist() == [saved[1].seed] * 2
        loaded = load(str(target), num_particles=30, jet_type="w")
        expected = ("cut to", "duplicate")  # the same shard twice
        assert not [n for n in loaded.notes if not any(e in n for e in expected)]
        momenta[name] = loaded.jets
        with h5py.File(target) as file:
            assert "pythia8mc" in file.attrs["generator"]
            assert file.attrs["cross_section_of"].startswith("leading order")
            assert "PartonLevel:MPI = off" in file.attrs["settings"]
            assert json.loads(file.attrs["cuts"])["radius"] == 0.4
    for name in ("jetnet150", "hls4ml100"):
        np.testing.assert_array_equal(momenta[name].mask, momenta["jetnet30"].mask)
        np.testing.assert_allclose(
            momenta[name].particles, momenta["jetnet30"].particles, atol=2e-3
        )
    assert len(momenta["hls4ml100"].mask) == 60


def test_columns_of_hls4ml(saved, tmp_path):
    target = layouts.path_of(tmp_path, "hls4ml150", "w")
    layouts.merge(target, "hls4ml150", [saved])
    with h5py.File(target) as file, h5py.File(saved[0]) as source:
        names = [name.decode() for name in file["particleFeatureNames"]]
        assert len(names) == 17 and file["jetConstituentList"].shape == (30, 150, 16)
        values = np.moveaxis(file["jetConstituentList"][:], -1, 0)
        column = dict(zip(names[:-1], values, strict=True))
        labels = file["jets"][:, -6:-1]
        relative, jet = source["particle_features"][:], source["jet_features"][:]
        extra = source["jet_extra"][:]
    # g, q, w, z, t
    np.testing.assert_array_equal(labels, np.tile([0, 0, 1, 0, 0], (30, 1)))
    for number, name in ((5, "j1_pt"), (8, "j1_etarel"), (11, "j1_phirel")):
        assert names[number] == name
    mask = relative[..., 3] > 0
    assert not any(values[~mask].any() for values in column.values())
    p = np.stack([column[f"j1_p{axis}"] for axis in "xyz"], -1).astype(np.float64)
    np.testing.assert_allclose(np.hypot(p[..., 0], p[..., 1]), column["j1_pt"],
                               rtol=1e-5)  # fmt: skip
    np.testing.assert_allclose(column["j1_etarel"], relative[..., 0], atol=1e-6)
    np.testing.assert_allclose(
        column["j1_e"], column["j1_erel"] * extra[:, 1:2], rtol=1e-5
    )
    axis = np.stack([np.cos(extra[:, 0]), np.sin(extra[:, 0]), np.sinh(jet[:, 1])], -1)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    cosine = np.sum(p * axis[:, None], -1)[mask] / np.linalg.norm(p[mask], axis=-1)
    np.testing.assert_allclose(column["j1_costhetarel"][mask], cosine, atol=1e-6)


def test_rotation_is_that_of_the_published_files(saved, tmp_path):
    target = layouts.path_of(tmp_path, "hls4ml150", "w")
    layouts.merge(target, "hls4ml150", [saved])
    with h5py.File(target) as file:
        names = [name.decode() for name in file["particleFeatureNames"]]
        jets = file["jetConstituentList"][:].astype(np.float64)
    at = {name.removeprefix("j1_"): i for i, name in enumerate(names)}
    turned = mirrored = 0
    for jet in jets:
        jet = jet[jet[:, at["pt"]] > 0]
        pt, eta, phi, etarot, phirot = (
            jet[:, at[name]] for name in ("pt", "eta", "phi", "etarot", "phirot")
        )
        hardest = np.argmax(pt)
        eta = eta - eta[hardest]
        phi = np.angle(np.exp(1j * (phi - phi[hardest])))
        p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=1)
        second, best = None, 0.0
        for i in range(len(pt)):
            if math.hypot(eta[i], phi[i]) > 0.1 and pt[i] > best:
                second, best = i, pt[i]
        # A rotation about x keeps px and the length.
        scale = p[:, 0] / np.cos(phirot)
        new = np.stack([p[:, 0], scale * np.sin(phirot), scale * np.sinh(etarot)], 1)
        np.testing.assert_allclose(
            np.linalg.norm(new, axis=1), np.linalg.norm(p, axis=1), rtol=1e-5
        )
        assert abs(etarot[hardest]) < 1e-6 and abs(phirot[hardest]) < 1e-6
        if second is not None:
            turned += 1
            assert abs(etarot[second]) < 1e-6 and phirot[second] < 0
        # Turned only, the (py, pz) of two particles keep the sign of their product.
        i = np.argmax(np.hypot(p[:, 1], p[:, 2]))
        before = p[i, 1] * p[:, 2] - p[i, 2] * p[:, 1]
        after = new[i, 1] * new[:, 2] - new[i, 2] * new[:, 1]
        left = pt[eta < 0].sum() > pt[eta > 0].sum()
        np.testing.assert_allclose(
            after, -before if left else before, rtol=1e-3, atol=1e-4 * np.ptp(before)
        )
        mirrored += left
    assert turned > 20 and 0 < mirrored < 30


def test_cross_section_of_two_z_is_that_without_the_tails():
    """On the mass shell against a Breit-Wigner drawn between 70 and 112 GeV."""
    needs_tools()
    lines = settings.pythia_settings(Config(jet_types=("z",)), "z")
    lines = (*lines, "PartonLevel:all = off")
    window = ("23:mMin = 70.", "23:mMax = 112.")
    found = []
    for more in ((), ("PhaseSpace:useBreitWigners = on", *window)):
        generator = pythia.Generator((*lines, *more), seed=3)
        for _ in range(4000):
            generator._pythia.next()
        found.append(generator.cross_section()[0])
    m, width = 91.1876, 2.504
    below, above = (math.atan((x * x - m * m) / (m * width)) for x in (70, 112))
    inside = (above - below) / math.pi
    assert abs(found[1] / (found[0] * inside**2) - 1) < 0.03


def test_shards_of_other_settings_are_not_mixed(saved):
    from jetvae_jax.making import shards

    path, wanted = saved
    assert shards.is_done(path, wanted)
    assert shards.is_done(path, wanted._replace(num_jets=20))
    assert not shards.is_done(path, wanted._replace(num_jets=31))
    assert not shards.is_done(path.with_name("no.hdf5"), wanted)
    other = wanted._replace(cuts=wanted.cuts._replace(radius=0.8))
    with pytest.raises(InputError, match="cuts"):
        shards.is_done(path, other)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged"):
        shards.is_done(path, wanted)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Foo:bar = 1", "does not know"),
        ("PhaseSpace:bias2Selection = on", "weighted"),
        ("Beams:frameType = 4", "from a file"),
    ],
)
def test_settings_that_cannot_work(line, message):
    needs_tools()
    config = dataclasses.replace(QUICK, settings=(*QUICK.settings, line))
    (wanted,) = settings.plan(config, "w")
    with pytest.raises(InputError, match=message):
        pythia.Generator(wanted.pythia, wanted.seed).batch(10)


# Comparison


def test_moments_are_those_of_the_file(saved):
    made = comparison.measure(saved[0], 30)
    with h5py.File(saved[0]) as file:
        jets = file["jet_features"][:].astype(np.float64)
        p = file["particle_features"][:].astype(np.float64)
    exist = p[p[..., 3] > 0]
    values = np.column_stack([exist[:, 0], exist[:, 1], np.log(1 - exist[:, 2])])
    np.testing.assert_allclose(made.jet, [jets.mean(0), jets.std(0)], rtol=1e-5)
    np.testing.assert_allclose(
        made.particle, [values.mean(0), values.std(0)], rtol=1e-4, atol=1e-7
    )


def test_published_moments():
    real = comparison.published("g", 30)
    assert real is not None
    assert real.jet[0, 0] == pytest.approx(1132.8, abs=0.1)
    assert comparison.published("t", 150).jet[0, 3] == pytest.approx(62.98, abs=0.01)
    assert comparison.published("own", 30) is None
    assert comparison.published("g", 40) is None
    jet = real.jet.copy()
    jet[0, 0] += 19.6853
    shifted = real._replace(jet=jet, num_jets=400)
    text = comparison.table("g", shifted, real)
    assert "+0.100" in text and "0.050" in text
    assert max(map(len, text.splitlines())) <= 88


# Production


def kill_one_worker(folder, victims):
    """Waits for the first shard, then kills a worker process of this test."""
    import psutil

    for _ in range(1200):
        if list(folder.glob("shards/*.hdf5")):
            break
        time.sleep(0.05)
    for child in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
            victims.append(child.pid)
            victims.append(len(list(folder.glob("shards/*.hdf5"))))
            return


@pytest.mark.slow
def test_a_dead_worker_costs_one_shard(tmp_path):
    needs_tools()
    from jetvae_jax.making import production, shards

    config = dataclasses.replace(
        QUICK, num_jets=390, shard_jets=40, num_workers=2, layouts=("jetnet30",)
    )
    victims = []
    thread = threading.Thread(target=kill_one_worker, args=(tmp_path, victims))
    thread.start()
    text = production.run(tmp_path, config)
    thread.join()
    assert victims and victims[1] < 10, "the worker was killed too late to matter"
    plan = settings.plan(config, "w")
    made = sorted(tmp_path.glob("shards/*"))
    assert [path.name for path in made] == [f"w_{k:05d}.hdf5" for k in range(10)]
    assert made[7].read_bytes() == shards.make(plan[7]).content
    loaded = load(str(tmp_path / "jetnet30" / "w.hdf5"), jet_type="w")
    assert len(loaded.jets.mask) == 390
    assert text.startswith("w, jetnet30: 390 jets")


def test_workers_of_a_running_scheduler(tmp_path):
    needs_tools()
    import dask
    import distributed

    from jetvae_jax.making import production, shards

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:  # fmt: skip
        address = cluster.scheduler_address
        config = dataclasses.replace(QUICK, dask_scheduler=address)
        production.run(tmp_path, config)
    (wanted,) = settings.plan(QUICK, "w")
    path = tmp_path / "shards" / "w_00000.hdf5"
    assert path.read_bytes() == shards.make(wanted).content
    path.unlink()
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(InputError, match=f"dask_scheduler = {address}: no answer"),
    ):
        production.run(tmp_path, config)


@pytest.mark.slow
# dask-jobqueue leaves the pipes of its workers to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_workers_that_a_batch_system_starts(tmp_path):
    """As on Slurm or HTCondor, with dask-jobqueue's own stand-in for them."""
    needs_tools()
    pytest.importorskip("dask_jobqueue")
    from dask_jobqueue.local import LocalCluster

    from jetvae_jax.making import production, shards

    config = dataclasses.replace(QUICK, num_jets=60)
    free = {"dashboard_address": "127.0.0.1:0"}
    with LocalCluster(
        cores=1, memory="2GB", walltime="1:00:00", scheduler_options=free
    ) as cluster:
        cluster.scale(2)
        address = cluster.scheduler_address
        config = dataclasses.replace(config, dask_scheduler=address)
        production.run(tmp_path, config)
    for k, wanted in enumerate(settings.plan(config, "w")):
        path = tmp_path / "shards" / f"w_{k:05d}.hdf5"
        assert path.read_bytes() == shards.make(wanted).content


def test_a_production_goes_on_where_it_stopped(saved, tmp_path, monkeypatch):
    from jetvae_jax.making import production

    config = dataclasses.replace(QUICK, num_jets=75, layouts=("jetnet150",))
    made = []

    def serial(tasks, config, make, what):
        for path, shard in tasks:
            made.append(shard.index)
            files.save(path, make(shard).content)

    monkeypatch.setattr(production, "make_all", serial)
    files.save(tmp_path / "shards" / "w_00000.hdf5", saved[0].read_bytes())
    production.run(tmp_path, config)
    assert made == [1, 2]
    target = tmp_path / "jetnet150" / "w150.hdf5"
    first = target.read_bytes()
    production.run(tmp_path, config)
    assert made == [1, 2] and target.read_bytes() == first
    # The last shard had 15 jets; now it needs 30, of which these are the first.
    production.run(tmp_path, dataclasses.replace(config, num_jets=90))
    assert made == [1, 2, 2]
    with h5py.File(io.BytesIO(first)) as old, h5py.File(target) as new:
        assert len(new["jet_features"]) == 90
        np.testing.assert_array_equal(new["jet_features"][:75], old["jet_features"][:])
    with pytest.raises(InputError, match="shards"):
        production.run(tmp_path, dataclasses.replace(config, radius=0.8))


def test_lost_shards_are_named(tmp_path):
    needs_tools()
    import distributed

    from jetvae_jax.core import workers
    from jetvae_jax.making import production

    class Failed:
        def result(self):
            raise MemoryError("no memory")

    class Client:
        def submit(self, *args, **options):
            return Failed()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "client", lambda *a: _Context(Client()))
        patch.setattr(distributed, "as_completed", list)
        with pytest.raises(InputError, match=r"1 of 1 shard could.*\(w 0\).*run again"):
            production.run(tmp_path, QUICK)
    assert not list(pathlib.Path(tmp_path).rglob("*.hdf5"))


class _Context:
    def __init__(self, value):
        self.value = value

    def __enter__(self):
        return self.value

    def __exit__(self, *error):
        return False


def test_a_mistake_on_the_command_line_is_one_line(tmp_path, run_script):
    result = run_script("make_jets", f"--workdir={tmp_path}", "--make.jet_types=x")
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("error: --make.jet_types: choose from g, q")
    assert len(result.stderr.splitlines()) == 1
