"""Pictures of showers, and what a file of them contains."""

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Showers
from jetvae_jax.showers import geometry, inspection
from jetvae_jax.showers.writer import Writer


def sample(calorimeter, number=9, **more):
    rng = np.random.default_rng(0)
    energies = rng.exponential(size=(number, calorimeter.num_cells))
    energies[0] = 0
    return Showers(energies, rng.uniform(1, 100, number), **more)


def known(number=9):
    direction = np.tile([0.6, 0.0, 0.8], (number, 1))
    kind = np.array([22, 11, 22, 22, 11, 22, 22, 22, 130])
    return {"kind": kind, "point": np.ones((number, 2)), "direction": direction}


@pytest.mark.parametrize("name", ["2x3x4x5", "calochallenge_1_photons"])
@pytest.mark.parametrize("cell", [0, 1, 5])
def test_a_tile_is_where_its_cell_is(name, cell):
    pytest.importorskip("matplotlib")
    from jetvae_jax.showers import pictures

    calorimeter = geometry.get(name)
    place = calorimeter.starts[1] + cell  # in the second layer
    energies = np.zeros((2, calorimeter.num_cells))
    energies[:, place] = 10.0
    figure = pictures.rows(calorimeter, {"a": Showers(energies, np.ones(2))}, columns=5)
    mesh = figure.axes[0].collections[0]
    lit = ~np.ma.getmaskarray(mesh.get_array())
    corners = mesh.get_coordinates()
    middle = sum(corners[i : len(corners) - 1 + i, j : corners.shape[1] - 1 + j]
                 for i in (0, 1) for j in (0, 1)) / 4  # fmt: skip
    values = np.ma.getdata(mesh.get_array())[lit]
    assert lit.sum() == 1 and np.allclose(values, 1.0)
    x, y = middle[lit][0]
    assert np.isclose(np.arctan2(y, x), np.arctan2(calorimeter.y, calorimeter.x)[place])
    # The middle of a chord is nearer than that of its arc.
    radius = np.hypot(x, y) / calorimeter.radius[place]
    assert np.isclose(radius, 1 if calorimeter.form == "grid" else np.cos(np.pi / 10))


@pytest.mark.parametrize("name", ["lhcb_ecal", "calochallenge_1_pions"])
def test_rows_of_pictures(name):
    pytest.importorskip("matplotlib")
    from jetvae_jax.report import style
    from jetvae_jax.showers import pictures

    calorimeter = geometry.get(name)
    samples = {
        "true": sample(calorimeter, **known()),
        "blank": Showers(np.zeros((3, calorimeter.num_cells)), np.ones(3)),
    }
    with style.look():
        figure = pictures.rows(calorimeter, samples)
        assert style.png(figure)[:4] == b"\x89PNG"
    assert len(figure.axes) == 2 * 3 + 1  # as many as the shorter sample, and the scale
    assert figure.axes[0].get_title() == f"{samples['true'].energy[0]:.3g} GeV"
    assert len(figure.axes[0].texts) == 1 and not figure.axes[3].texts


def test_what_a_file_contains(tmp_path):
    calorimeter = geometry.get("2x3x4x5")
    showers = sample(calorimeter, **known())
    with Writer(tmp_path / "a.hdf5", calorimeter, {"generator": "hand"}) as writer:
        writer.append(showers)
    text, loaded = inspection.look(tmp_path / "a.hdf5")
    for words in (
        "2x3x4x5: 2 layers, 24 cells of 5 mm", "9, 1 of them without energy",
        "2 electrons, 6 photons, 1 of PDG code 130", "energy, kind, point, direction",
        "made by                 hand",
    ):  # fmt: skip
        assert words in text
    total = np.asarray(showers.energies).sum(axis=1)
    line = next(x for x in text.splitlines() if x.startswith("energy "))
    least, mean, sigma, largest, unit = line.split()[1:]
    assert (float(least), unit) == (0, "GeV")
    found = [float(mean), float(sigma), float(largest)]
    np.testing.assert_allclose(found, [total.mean(), total.std(), total.max()], 1e-3)
    assert "depth_width" in text and len(loaded.showers.energies) == 6
    few, _ = inspection.look(tmp_path / "a.hdf5", max_showers=2)
    assert "2, 1 of them" in few
    with pytest.raises(InputError, match="no such file"):
        inspection.look(tmp_path / "b.hdf5")


def test_units_that_cannot_be_are_remarked(tmp_path, run_script):
    energies = np.full((5, 30, 30), 20.0)  # MeV
    momenta = np.tile([1.0, 0.0, 30.0], (5, 1))
    np.savez(tmp_path / "a.npz", EnergyDeposit=energies, ParticleMomentum=momenta)
    words = "more energy than the particles had: check the units"
    for units, wrong in (("1e-3,1,10", False), ("1,1,10", True)):
        done = run_script(
            "inspect_showers", f"--inspect.path={tmp_path}/a.npz",
            f"--inspect.units={units}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (words in done.stdout) == wrong
    done = run_script("inspect_showers", "--inspect.units=1,0,10")
    assert done.returncode == 2 and "--inspect.units: must be positive" in done.stderr


def test_the_script(tmp_path, run_script):
    pytest.importorskip("matplotlib")
    calorimeter = geometry.get("calochallenge_1_photons")
    with Writer(tmp_path / "a.hdf5", calorimeter) as writer:
        writer.append(sample(calorimeter))
    given = [f"--inspect.path={tmp_path}/a.hdf5"]
    done = run_script("inspect_showers", *given, f"--inspect.output={tmp_path}/a.png")
    assert done.returncode == 0, done.stderr
    assert "368 cells in rings" in done.stdout and (tmp_path / "a.png").stat().st_size
    for flag, words in (
        (f"--inspect.output={tmp_path}/a.pdf", "give a .png file"),
        ("--inspect.geometry=lhcb_ecal", "lhcb_ecal has 900"),
        ("--inspect.path=nowhere.hdf5", "nowhere.hdf5: no such file"),
    ):
        done = run_script("inspect_showers", *given, flag)
        assert done.returncode == 2 and words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
