"""Productions of showers: distributions, exact repetition, interruptions, mistakes."""

import dataclasses
import math
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.making.showers import Config, production, settings
from jetvae_jax.showers import files, observables

ROOT = pathlib.Path(__file__).parent.parent
QUICK = Config(num_showers=1_100, shard_showers=600, energy_max=2.0, num_workers=1)
FILE = production.FILE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("showers")
    production.run(path, QUICK)
    return path


def test_the_file(folder):
    geometry, showers, metadata = files.read(folder / FILE)
    assert geometry.name == "lhcb_ecal" and showers.energies.shape == (1_100, 900)
    assert metadata["settings"]["stochastic"] == 0.1
    assert metadata["generator"].endswith("made by jetvae_jax")
    assert ((showers.energy >= 1) & (showers.energy <= 2)).all()
    assert showers.kind is not None and (showers.kind == 22).all()
    filled = showers.energies[showers.energies > 0]
    assert filled.min() >= 1e-3
    response = np.asarray(observables.response(geometry, showers))
    assert abs(response.mean() - 0.96) < 0.05 and 0.05 < response.std() < 0.15
    # The centre follows the particle to the depth where the energy is.
    centre = np.asarray(observables.centre(geometry, showers))
    assert showers.point is not None and showers.direction is not None
    slope = showers.direction[:, :2] / showers.direction[:, 2:]
    for axis in (0, 1):
        parts = np.column_stack([showers.point[:, axis], slope[:, axis]])
        near, depth = np.linalg.lstsq(parts, centre[:, axis], rcond=None)[0]
        assert abs(near - 1) < 0.1 and 80 < depth < 160


def test_same_settings_same_bytes_on_any_number_of_processes(folder, tmp_path):
    several = dataclasses.replace(QUICK, num_workers=2)
    production.run(tmp_path, several)
    assert (tmp_path / FILE).read_bytes() == (folder / FILE).read_bytes()
    other = dataclasses.replace(QUICK, seed=1, num_showers=5)
    production.run(tmp_path / "other", other)
    first = files.read(tmp_path / "other" / FILE).showers.energies
    assert not np.array_equal(first, files.read(folder / FILE, max_showers=5)[1][0])


def test_fewer_showers_are_the_first_of_more(folder, tmp_path):
    whole = files.read(folder / FILE).showers
    few = dataclasses.replace(QUICK, num_showers=700)
    production.run(tmp_path, few)
    for a, b in zip(files.read(tmp_path / FILE).showers, whole, strict=True):
        assert a is not None and b is not None
        np.testing.assert_array_equal(a, b[:700])
    shards = sorted((tmp_path / "shards").iterdir())
    before = [shard.stat().st_mtime_ns for shard in shards]
    production.run(tmp_path, QUICK)
    after = [shard.stat().st_mtime_ns for shard in shards]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False]
    assert (tmp_path / FILE).read_bytes() == (folder / FILE).read_bytes()


KILLED = """
import sys
from jetvae_jax.making.showers import Config, production
if __name__ == "__main__":
    production.run(sys.argv[1], Config(
        num_showers=3_000, shard_showers=500, energy_max=2.0, num_workers=2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_production_goes_on_and_leaves_no_process(tmp_path, number):
    script = tmp_path / "make.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path / "killed")]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    shards = tmp_path / "killed" / "shards"
    until = time.monotonic() + 100
    while not list(shards.glob("*.hdf5")) and time.monotonic() < until:
        time.sleep(0.01)
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = children.read_text().split() if children.exists() else []
    process.send_signal(number)
    process.wait(timeout=20)
    assert list(shards.glob("*.hdf5")) and not (tmp_path / "killed" / FILE).exists()
    until = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{w}") for w in workers):
        assert time.monotonic() < until, "a worker outlived its production"
        time.sleep(0.05)
    subprocess.run(command, env=environment, check=True)
    whole = dataclasses.replace(QUICK, num_showers=3_000, shard_showers=500)
    production.run(tmp_path / "whole", whole)
    bytes_of = [(tmp_path / name / FILE).read_bytes() for name in ("killed", "whole")]
    assert bytes_of[0] == bytes_of[1]


@pytest.mark.slow
def test_a_worker_that_dies_is_one_line(tmp_path):
    script = str(ROOT / "experiments" / "make_showers.py")
    options = ["--make.num_showers=20000", "--make.num_workers=2"]
    process = subprocess.Popen(
        [sys.executable, script, f"--workdir={tmp_path}/w", *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("no list of processes here")

    def is_worker(pid):
        try:
            return "spawn_main" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        except OSError:
            return False

    until, workers = time.monotonic() + 100, []
    while len(workers) < 2 and time.monotonic() < until:
        time.sleep(0.05)
        workers = [int(w) for w in children.read_text().split() if is_worker(w)]
    os.kill(workers[0], signal.SIGKILL)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 2 and "Traceback" not in text
    assert "error: a process that made showers has died" in text.splitlines()[-1]
    assert not any(is_worker(w) for w in workers)


def test_a_mistake_in_a_worker_is_one_line(tmp_path):
    (tmp_path / "shards").write_text("no folder")  # where shards are to be written
    several = dataclasses.replace(QUICK, num_workers=2)
    with pytest.raises(InputError, match="cannot be") as error:
        production.run(tmp_path, several)
    assert "\n" not in str(error.value)


def test_workers_import_no_jax():
    code = (
        "import sys, jetvae_jax.making.showers.production as p\n"
        "p.make(p.plan(p.Config(num_showers=3, energy_max=2.0))[0])\n"
        "assert 'jax' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_shards_of_other_settings_or_damaged_ones_are_named(folder, tmp_path):
    with pytest.raises(
        InputError, match=r"00000.hdf5: made with other stochastic: 0.1"
    ):
        production.run(folder, dataclasses.replace(QUICK, stochastic=0.2))
    few = dataclasses.replace(QUICK, num_showers=3)
    production.run(tmp_path, few)
    shard = tmp_path / "shards" / "00000.hdf5"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(InputError, match="damaged") as error:
        production.run(tmp_path, few)
    assert "\n" not in str(error.value)


def test_a_file_of_another_origin_is_not_replaced(tmp_path):
    (tmp_path / FILE).write_bytes(b"precious")
    with pytest.raises(InputError, match="has not written"):
        production.run(tmp_path, dataclasses.replace(QUICK, num_showers=3))
    assert (tmp_path / FILE).read_bytes() == b"precious"


@pytest.mark.parametrize("power", [-1.0, 0.0, 1.0, -2.5])
def test_incident_particles(power):
    config = Config(energy_power=power, kinds=("electron", "photon"), slope=0.1)
    number = 40_000
    found = settings.particles(np.random.default_rng(0), config, number)

    def below(energy):
        n = power + 1
        if not n:
            return math.log(energy) / math.log(100)
        return (energy**n - 1) / (100**n - 1)

    for energy in (2, 10, 50):
        share = (found.energy < energy).mean()
        assert abs(share - below(energy)) < 4 * 0.5 / math.sqrt(number)
    assert found.energy.min() >= 1 and found.energy.max() <= 100
    kinds, counts = np.unique(found.kind, return_counts=True)
    assert kinds.tolist() == [11, 22] and abs(counts[0] / number - 0.5) < 0.01
    at_depth = found.point + 150 * found.slope
    assert (
        np.abs(at_depth).max() <= 10.1 and abs(at_depth.std() / 10.1 - 3**-0.5) < 0.01
    )
    assert abs(found.slope.std() / 0.1 - 1) < 0.02
    np.testing.assert_allclose(np.linalg.norm(found.direction, axis=1), 1)


def test_what_is_read_out():
    rng = np.random.default_rng(0)
    cells = np.full((20_000, 4), [0.0, 0.02, 1.0, 2.0])
    config = Config(constant=0.05, noise=0.01, threshold=0.015)
    found = production.measured(rng, config, cells)
    assert ((found == 0) | (found > 0.015)).all()
    # Noise alone is above the threshold of 1.5 sigma in 6.7 % of the cells.
    assert abs((found[:, 0] > 0).mean() - 0.0668) < 0.006
    np.testing.assert_allclose(found[:, 2:].mean(axis=0), [1, 2], rtol=2e-3)
    sigma = np.hypot(0.05 * np.array([1, 2]), 0.01)
    np.testing.assert_allclose(found[:, 2:].std(axis=0), sigma, rtol=0.02)
    quiet = dataclasses.replace(config, constant=0.0, noise=0.0, threshold=0.0)
    np.testing.assert_array_equal(production.measured(rng, quiet, cells), cells)


def test_constant_term_and_sampling_add_up(tmp_path):
    config = Config(
        num_showers=1_500, shard_showers=1_500, energy_min=15.99, energy_max=16.0,
        kinds=("electron",), geometry="1x1x1x100000", depth=1000.0, slope=0.0,
        constant=0.03, num_workers=1,
    )  # fmt: skip
    production.run(tmp_path, config)
    geometry, showers, _ = files.read(tmp_path / FILE)
    response = np.asarray(observables.response(geometry, showers), float)
    sigma = math.hypot(0.1 / 4, 0.03)
    assert abs(response.std() / sigma - 1) < 4 / math.sqrt(2 * 1_500)
    assert abs(response.mean() - 1) < 4 * sigma / math.sqrt(1_500)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"energy_max": 1.0}, "energy_max: must be above energy_min = 1"),
        ({"kinds": ("photon", "photon")}, "kinds: names photon twice"),
        ({"kinds": ("muon",)}, "must be one of photon, electron, positron, pion"),
        ({"geometry": "calochallenge_1_pions"}, "made in equal layers"),
        ({"geometry": "30x30"}, "layers, rows, columns and the side"),
        ({"active": "butter"}, "must be one of lead"),
        ({"energy_min": 0.1, "passive": "none"}, "five critical energies"),
        ({"depth": math.inf}, "depth: must be at most"),
        ({"stochastic": -0.1}, "stochastic: must be between 0 and 1"),
        ({"noise": math.inf}, "noise: must be finite"),
    ],
)
def test_settings_that_cannot_be(change, words):
    with pytest.raises(InputError) as error:
        Config(**change)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        (
            "--make.kinds=muon",
            "--make.kinds: must be one of photon, electron, positron, pion",
        ),
        ("--make.energy_max=0.5", "--make.energy_max: must be above energy_min = 1"),
        (
            "--make.geometry=calochallenge_1_photons",
            "--make.geometry: showers are made in equal layers",
        ),
        ("--make.num_showers=x", "num_showers"),
    ],
)
def test_wrong_flags_are_one_line(flag, line, tmp_path, run_script):
    done = run_script("make_showers", f"--workdir={tmp_path}/x", flag)
    assert done.returncode == 2 and line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "x").exists()


def test_voxels_of_the_challenge(tmp_path):
    config = Config(
        num_showers=60, geometry="calochallenge_2", kinds=("electron",), depth=153.0,
        passive="tungsten", active="silicon", passive_depth=1.4, active_depth=0.3,
        energy_max=2.0, threshold=1.515e-5, num_workers=1,
    )  # fmt: skip
    production.run(tmp_path, config)
    geometry, showers, _ = files.read(tmp_path / FILE)
    assert geometry.name == "calochallenge_2"
    assert showers.direction is None and showers.point is None
    deep = np.asarray(observables.depth(geometry, showers))
    assert 6 < deep[:, 0].mean() < 14  # layers of 0.8 X0
    place = np.asarray(observables.centre(geometry, showers)).mean(axis=0)
    assert np.abs(place).max() < 2.5


def test_the_script(tmp_path, run_script):
    done = run_script(
        "make_showers", f"--workdir={tmp_path}/x", "--make.num_showers=7",
        "--make.geometry=3x4x5x30", "--make.passive=none", "--make.num_workers=1",
        "--make.active=lead_tungstate", "--make.energy_max=2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "7 showers in 60 cells of 3x4x5x30, response 0.9" in done.stdout
    assert "left" in done.stderr
    assert files.read(tmp_path / "x" / FILE).geometry.shape == (3, 4, 5)
