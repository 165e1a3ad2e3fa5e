"""The selection on made-up events, and small productions where Pythia is installed."""

import io
import json
import math
import pathlib

import h5py
import numpy as np
import pytest

from jetvae_jax import events
from jetvae_jax.core.errors import InputError
from jetvae_jax.making import files, pythia
from jetvae_jax.making.zgamma import Config, columns, production, settings

EXPERIMENTS = pathlib.Path(__file__).parent.parent / "experiments"
# No underlying event: three times faster, and just as much a test of this code.
QUICK = Config(
    num_background=12,
    num_signal=6,
    shard_events=6,
    mantissa_bits=13,
    settings=("PartonLevel:MPI = off",),
)


def needs_tools():
    for name in pythia.TOOLS:
        pytest.importorskip(name, reason="needs the extra make-jets")


class Ideal:
    """A perfect detector: no smearing, everything found, every central jet tagged."""

    def normal(self, size):
        return np.zeros(size)

    def uniform(self, size):
        return np.zeros(size)


def four(pt, eta, phi):
    p = [pt * math.cos(phi), pt * math.sin(phi), pt * math.sinh(eta)]
    return (*p, math.sqrt(sum(x * x for x in p)))


def made_up(rows):
    """Awkward events of final particles ``(id, status, pt, eta, phi)``."""
    import awkward as ak

    flat = [row for event in rows for row in event]
    px, py, pz, e = np.array([four(*row[2:]) for row in flat]).T
    momenta = ak.zip({"px": px, "py": py, "pz": pz, "e": e}, with_name="Momentum4D")
    record = {"id": np.array([r[0] for r in flat]), "p": momenta}
    record["status"] = np.array([r[1] for r in flat])
    return ak.Array(
        {"prt": ak.unflatten(ak.zip(record, depth_limit=1), [len(r) for r in rows])}
    )


# A Z of 91.2 GeV at rest in the transverse plane, and what else an event has.
PAIR = [(11, 23, 45.6, 0.0, 1.0), (-11, 23, 45.6, 0.0, 1.0 - math.pi)]
PHOTON = [(22, 43, 60.0, 0.4, -2.0)]
JET = [(211, 83, 40.0, 1.0, 0.3), (-211, 84, 10.0, 1.1, 0.35)]


def chosen(rows, **changes):
    needs_tools()
    from jetvae_jax.making.zgamma.selection import Cuts, select

    cuts = Cuts(10.0, 25.0, 15.0, 15.0, 30.0, 4.4)._replace(**changes)
    seen = lambda ids: ~np.isin(np.abs(ids), (12, 14, 16))  # noqa: E731
    table, dropped = select(made_up(rows), cuts, seen, Ideal())
    return [dict(zip(columns.NAMES, row, strict=True)) for row in table], dropped


def test_a_perfect_detector_gives_the_truth():
    neutrino = [(12, 83, 25.0, 0.0, 2.0)]
    (row,), dropped = chosen([PAIR + PHOTON + JET + neutrino])
    assert not any(dropped.values())
    p = sum(np.array(four(*r[2:])) for r in PAIR)
    whole = p + four(*PHOTON[0][2:])
    assert row["mll"] == pytest.approx(91.2)
    mass = math.sqrt(whole[3] ** 2 - np.sum(whole[:3] ** 2))
    assert row["mlly"] == pytest.approx(mass) and row["e_zy"] == pytest.approx(whole[3])
    visible = whole + sum(np.array(four(*r[2:])) for r in JET)
    assert row["MET"] == pytest.approx(math.hypot(*visible[:2]))
    assert row["MET_phi"] == pytest.approx(math.atan2(-visible[1], -visible[0]))
    # The two pions are one jet of 50 GeV.
    assert (row["Nj"], row["Ncj"]) == (1, 1)
    (row,), _ = chosen([PAIR + PHOTON + JET + neutrino], jet_pt_min=51.0)
    assert row["Nj"] == 0


def test_each_event_is_dropped_for_its_first_reason():
    one = [(13, 1, 50.0, 2.0, 0.0)]
    same_sign = [PAIR[0], (11, *PAIR[1][1:])]
    other_flavour = [PAIR[0], (-13, *PAIR[1][1:])]
    soft = [(11, 23, 24.0, 0.0, 1.0), (-11, 23, 24.0, 0.0, -2.1)]
    heavy = [(kind, s, 2 * pt, eta, phi) for kind, s, pt, eta, phi in PAIR]
    decayed = [(kind, 91, *rest) for kind, _, *rest in PAIR]
    near = [(22, 43, 60.0, 0.2, 1.2)]
    from_hadron = [(22, 91, 60.0, 0.4, -2.0)]
    in_crack = [(22, 43, 60.0, 1.45, -2.0)]
    rows = [
        one,
        same_sign,
        other_flavour,
        soft,
        decayed,
        heavy,
        PAIR,
        near,
        from_hadron,
    ]
    rows = [r + PHOTON for r in rows[:6]] + [PAIR] + [PAIR + r for r in rows[7:]]
    rows += [PAIR + in_crack, [*PAIR, (22, 43, 14.0, 0.4, -2.0)], PAIR + PHOTON]
    found, dropped = chosen(rows)
    assert dropped == {"leptons": 5, "z_mass": 1, "photon": 5}
    assert len(found) == 1


def test_electrons_are_measured_with_their_radiation():
    radiation = [(22, 51, 20.0, 0.02, 1.03)]
    weak = [(11, 23, 25.6, 0.0, 1.0), PAIR[1]]
    (row,), _ = chosen([weak + radiation + PHOTON])
    assert row["mll"] == pytest.approx(91.2, rel=1e-3)
    # Muons are not, and then the photon is no part of the pair.
    muons = [(13, *weak[0][1:]), (-13, *weak[1][1:])]
    (row,), _ = chosen([muons + radiation + PHOTON], z_window=30.0)
    assert row["mll"] == pytest.approx(2 * math.sqrt(25.6 * 45.6), rel=1e-3)


def test_the_pair_nearest_to_the_z():
    third = [(11, 23, 60.0, 0.5, 0.5)]
    (row,), _ = chosen([PAIR + third + PHOTON])
    assert row["mll"] == pytest.approx(91.2)


# With Pythia


@pytest.fixture(scope="module")
def shards():
    needs_tools()
    found = {}
    for name in QUICK.processes:
        (first, *_) = settings.plan(QUICK, name)
        found[name] = first, production.make(first)
    return found


def table_of(made):
    with h5py.File(io.BytesIO(made.content)) as file:
        return file["events"][:], dict(file.attrs)


def test_a_shard_can_be_remade_alone(shards):
    wanted, made = shards["signal200"]
    assert production.make(wanted).content == made.content
    few, _ = table_of(production.make(wanted._replace(num_jets=3)))
    np.testing.assert_array_equal(few, table_of(made)[0][:3])


def test_content_of_shards(shards):
    for name, (wanted, made) in shards.items():
        table, attrs = table_of(made)
        column = dict(zip(columns.NAMES, table.T, strict=True))
        assert table.shape == (wanted.num_jets, 18) and np.isfinite(table).all()
        assert np.all(np.abs(column["mll"] - 91.1876) < 15.01)
        assert np.all(column["mlly"] > column["mll"])
        np.testing.assert_allclose(
            column["llpt_mlly"], column["pt_ll"] / column["mlly"], rtol=1e-5
        )
        dropped = json.loads(attrs["dropped"])
        assert attrs["events"] == made.kept + sum(dropped.values())
        assert attrs["cross_section_pb"] > 0
        if name == "signal200":
            assert abs(np.median(column["mlly"]) - 200) < 10


def test_production_goes_on_and_is_read_back(shards, tmp_path, monkeypatch):
    made = []

    def serial(tasks, config, make, what):
        for path, shard in tasks:
            made.append(shard.index)
            files.save(path, make(shard).content)

    monkeypatch.setattr("jetvae_jax.making.production.make_all", serial)
    first, content = shards["background"]
    files.save(tmp_path / "shards" / "background_00000.hdf5", content.content)
    pytest.importorskip("pyarrow")
    text = production.run(tmp_path, QUICK)
    assert made == [1, 0] and text.count("cross-section") == 4
    production.run(tmp_path, QUICK)
    assert made == [1, 0]
    loaded = {
        suffix: events.load(str(tmp_path / f"background{suffix}"), columns=("mlly",))
        for suffix in (".hdf5", ".parquet")
    }
    np.testing.assert_array_equal(*(e.values for e in loaded.values()))
    table, _ = table_of(content)
    np.testing.assert_allclose(loaded[".hdf5"].values[:6, 0], table[:, 0], rtol=2**-13)
    for e in loaded.values():
        facts = e.source["provenance"]
        assert facts["process"] == "background" and facts["seeds"][0] == first.seed
        assert "PartonLevel:MPI = off" in facts["settings"]
        assert facts["mantissa_bits"] == 13
    with pytest.raises(InputError, match="cuts"):
        production.run(tmp_path, Config(12, 6, shard_events=6, z_window=10.0))


def test_wrong_settings_are_found_before_events(tmp_path):
    needs_tools()
    with pytest.raises(InputError, match="does not know the setting"):
        production.run(tmp_path, Config(settings=("Foo:bar = 1",)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--make.masses=50", "--make.masses: must be between 100 and 3000 GeV, got 50"),
        ("--make.masses=x", "expected numbers"),
        (
            "--make.formats=csv",
            "--make.formats: must be one of hdf5, parquet, got 'csv'",
        ),
    ],
)
def test_wrong_flags_are_one_line(flag, line, tmp_path, run_script):
    done = run_script("make_zgamma", f"--workdir={tmp_path}/x", flag)
    assert done.returncode == 2 and line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "x").exists()
