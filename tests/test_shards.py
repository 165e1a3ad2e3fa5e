"""Shards: the rows of one file, each made once, by any number of jobs."""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import sys
import threading
import time

import h5py
import jax
import numpy as np
import pytest

from jetvae_jax import data, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import ZOO
from jetvae_jax.core.shards import MANIFEST, listed, spans
from jetvae_jax.data import streaming
from jetvae_jax.densities import realnvp
from jetvae_jax.jets import domain
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.models import mlp_vae
from jetvae_jax.runs import generation

CHUNK, N = 40, 131  # the last of four chunks has 11
QUICK = training.Config(num_epochs=1, batch_size=50, learning_rate=1e-3)
ROWS = ("particle_features", "jet_features", "jet_extra")


@pytest.fixture(autouse=True, scope="module")
def small_chunks(monkeypatch_module):
    monkeypatch_module.setattr(generation, "CHUNK", CHUNK)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A trained model and its flow."""
    folder = tmp_path_factory.mktemp("trained") / "w"
    return shutil.copytree(ZOO / "convae_gluon30", folder)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    """A small conditional model, its flow and its data."""
    run = runs.ModelRun(
        data=domain.Data(max_jets=150),
        scaling=domain.Scaling("relative", "standard", conditions=("pt", "mass")),
        model="mlp_vae",
        model_config=mlp_vae.Config(latent_dim=3, num_layers=1, nodes=8),
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(space="scaled", gamma=0.0, beta=0.1, form="classic"),
        training=QUICK,
    )
    folder = tmp_path_factory.mktemp("trained")
    runs.train(folder, run)
    flow = realnvp.Config(num_couplings=2, hidden=(8,))
    runs.fit_flow(folder, runs.FlowRun("realnvp", flow, "samples", QUICK))
    return folder


def config(output, latents="prior", **changes):
    return runs.GenerateConfig(latents, num_jets=N, output=str(output), **changes)


def rows(paths):
    """The data sets of HDF5 files, one after the other."""
    found = []
    for path in paths:
        with h5py.File(path) as file:
            found.append([np.asarray(file[name]) for name in ROWS])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def parts(folder):
    return sorted(pathlib.Path(folder).glob("part_*"))


@pytest.mark.parametrize(
    ("number", "shards", "wanted"),
    [
        (7001, 3, [2000, 2000, 3001]),
        (7001, 1, [7001]),
        (1, 1, [1]),
        (8000, 4, [2000] * 4),
        (10**9, 1000, [10**6] * 1000),
    ],
)
def test_shards_are_whole_chunks(number, shards, wanted):
    found = spans(number, shards, 2000)
    assert [len(r) for r in found] == wanted
    assert [i for r in found[:3] for i in (r.start, r.stop)] == [
        sum(wanted[:i]) for k in range(min(3, shards)) for i in (k, k + 1)
    ]


def check_parts(workdir, tmp_path, **changes):
    """Shards are, to the bit, the parts of the one file."""
    one = rows([runs.generate(workdir, config(tmp_path / "one.hdf5", **changes))])
    folder = runs.generate(workdir, config(tmp_path / "many", **changes, shards=3))
    assert folder == tmp_path / "many"
    assert [p.name for p in parts(folder)] == [f"part_0000{i}.hdf5" for i in range(3)]
    for found, wanted in zip(rows(parts(folder)), one, strict=True):
        np.testing.assert_array_equal(found, wanted)
    # One alone, of another number of them, is that part of the same sample.
    alone = config(tmp_path / "alone", **changes, shards=4, shard=2)
    (third,) = parts(runs.generate(workdir, alone))
    assert not (tmp_path / "alone" / MANIFEST).exists()
    for found, wanted in zip(rows([third]), one, strict=True):
        np.testing.assert_array_equal(found, wanted[2 * CHUNK : 3 * CHUNK])


def test_shards_hold_what_one_file_holds(workdir, tmp_path):
    check_parts(workdir, tmp_path, latents="flow", seed=3)


@pytest.mark.slow
@pytest.mark.parametrize("latents", ["prior", "flow"])
def test_conditional_jets_in_shards(conditional, tmp_path, latents):
    check_parts(conditional, tmp_path, latents=latents, condition=("pt=1050",))


@pytest.mark.slow
def test_reconstructions_in_shards(conditional, tmp_path):
    few = dataclasses.replace(config(tmp_path / "x", "reconstruction"), num_jets=5)
    one = rows([runs.generate(conditional, dataclasses.replace(few, output=""))])
    made = parts(runs.generate(conditional, dataclasses.replace(few, shards=1)))
    for found, wanted in zip(rows(made), one, strict=True):
        np.testing.assert_array_equal(found, wanted)


def jet_pt(jets):
    """pt of jets in float64, in GeV."""
    total = np.asarray(jets.particles, np.float64).sum(axis=1)
    return np.hypot(total[:, 0], total[:, 1])


SUFFIXES = ("parquet", *(pytest.param(s, marks=pytest.mark.slow) for s in
                         ("hdf5", "root", "npz")))  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_folder_of_any_format_is_read_as_one_data_set(workdir, tmp_path, suffix):
    one = data.load(runs.generate(workdir, config(tmp_path / f"x.{suffix}"))).jets
    output = tmp_path / f"jets.{suffix}"
    folder = runs.generate(workdir, config(output, shards=3))
    assert [path.suffix for path in parts(folder)] == [f".{suffix}"] * 3
    for name in ("particles", "mask"):
        found = getattr(data.load(folder).jets, name)
        np.testing.assert_array_equal(found, getattr(one, name))
    streams = streaming.streams(str(folder), tmp_path / "cache", jet_type="g")
    chunks = [c for part in streams[:3] for c in part.chunks()]
    pt = np.concatenate([jet_pt(chunk) for chunk in chunks])
    np.testing.assert_allclose(np.sort(pt), np.sort(jet_pt(one)), rtol=1e-4)
    columns = ["jet_pt", "part_px"]
    if suffix == "parquet":
        pyarrow = pytest.importorskip("pyarrow.dataset")
        table = pyarrow.dataset(folder).to_table(columns=columns)
        found, px = (table[name].to_numpy() for name in columns)
    elif suffix == "root":
        uproot = pytest.importorskip("uproot")
        array = uproot.concatenate(
            [f"{path}:tree" for path in parts(folder)], columns, library="np"
        )
        found, px = (array[name] for name in columns)
    else:
        return
    np.testing.assert_allclose(found, jet_pt(one), rtol=1e-5)
    assert [len(row) for row in px] == one.mask.sum(axis=1).tolist()


def test_dask_reads_the_folder(workdir, tmp_path):
    dask = pytest.importorskip("dask.dataframe")
    folder = runs.generate(workdir, config(tmp_path / "jets.parquet", shards=3))
    found = dask.read_parquet(folder)
    assert found.npartitions == 3 and len(found) == N


@pytest.fixture
def sample(workdir, tmp_path):
    """Three shards, and the command that makes them."""
    wanted = config(tmp_path / "jets", shards=3)
    runs.generate(workdir, wanted)
    return tmp_path / "jets", wanted


def test_the_manifest_lists_all_shards(sample, workdir):
    folder, _ = sample
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["rows"] == N and manifest["unit"] == "jets"
    first = 0
    for shard, path in zip(manifest["shards"], parts(folder), strict=True):
        content = path.read_bytes()
        assert shard["file"] == path.name and shard["first"] == first
        assert shard["sha256"] == hashlib.sha256(content).hexdigest()
        assert shard["bytes"] == len(content)
        first += shard["rows"]
    assert first == N
    assert manifest["bytes"] == sum(shard["bytes"] for shard in manifest["shards"])
    weights = hashlib.sha256((workdir / "vae.npz").read_bytes()).hexdigest()
    settings = manifest["settings"]
    assert settings["model"] == {"vae.npz": weights} and settings["seed"] == 0
    assert settings["versions"]["jax"] == jax.__version__


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in parts(folder)}


def test_what_is_whole_stays_and_what_is_not_is_made_again(sample, workdir):
    folder, wanted = sample
    before = times(folder)
    content = [path.read_bytes() for path in parts(folder)]
    runs.generate(workdir, wanted)
    runs.generate(workdir, dataclasses.replace(wanted, shard=1))
    assert times(folder) == before
    # One is gone, of one a byte is another.
    first, second, _ = parts(folder)
    first.unlink()
    damaged = bytearray(content[1])
    damaged[len(damaged) // 2] ^= 1
    second.write_bytes(damaged)
    collect = dataclasses.replace(wanted, collect=True)
    with pytest.raises(
        InputError, match=r"2 of 3 shards are not whole \(missing: 0; damaged: 1\)"
    ):
        runs.generate(workdir, collect)
    assert not (folder / MANIFEST).exists()
    second.write_bytes(content[1][:50])  # no HDF5 file any more
    # One that is lost later is noticed by the job of another.
    (folder / MANIFEST).write_text("{}")
    runs.generate(workdir, dataclasses.replace(wanted, shard=1))
    assert not (folder / MANIFEST).exists()
    runs.generate(workdir, wanted)
    assert [path.read_bytes() for path in parts(folder)] == content
    assert times(folder)["part_00002.hdf5"] == before["part_00002.hdf5"]
    assert runs.generate(workdir, collect) == folder
    assert (folder / MANIFEST).exists()


def test_a_shard_without_its_record_is_made_again(sample, workdir):
    """As after a kill between the two."""
    folder, wanted = sample
    content = parts(folder)[1].read_bytes()
    record = folder / "_shards" / "00001.json"
    whole = record.read_text()
    for text in (None, "[1]", whole[:50]):
        record.unlink() if text is None else record.write_text(text)
        with pytest.raises(InputError, match="missing: 1"):
            runs.generate(workdir, dataclasses.replace(wanted, collect=True))
    runs.generate(workdir, wanted)
    assert record.read_text() == whole
    assert parts(folder)[1].read_bytes() == content


def test_of_two_jobs_on_one_shard_the_record_is_that_of_the_file(
    sample, workdir, monkeypatch
):
    """Another job's file, with other bytes, comes while the record is written."""
    from jetvae_jax.core import shards

    folder, wanted = sample
    (folder / "_shards" / "00001.json").unlink()
    other = parts(folder)[0].read_bytes()
    measure, late = shards.sha256, iter([True])

    def slow(path):
        found = measure(path)
        if path.name == "part_00001.hdf5" and next(late, False):
            copy = path.with_name("copy")
            copy.write_bytes(other)
            copy.replace(path)
        return found

    monkeypatch.setattr(shards, "sha256", slow)
    runs.generate(workdir, wanted)
    record = json.loads((folder / "_shards" / "00001.json").read_text())
    assert record["sha256"] == hashlib.sha256(other).hexdigest()
    assert parts(folder)[1].read_bytes() == other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "made with other seed: 0 there, 1 here; give another"),
        ({"shards": 2}, "made with other shards: 3 there, 2 here"),
        ({"num_jets": 130}, "made with other jets: 131 there, 130 here"),
        ({"latents": "flow"}, "made with other latents: prior there, flow here"),
        ({"shards": 5}, "131 jets fill at most 4 shards of 40: give .*=4 or fewer"),
    ],
)
def test_shards_of_other_settings_are_not_mixed(sample, workdir, changes, message):
    folder, wanted = sample
    before = times(folder)
    for more in ({}, {"shard": 1}, {"collect": True}):
        with pytest.raises(InputError, match=message):
            runs.generate(workdir, dataclasses.replace(wanted, **changes, **more))
    assert times(folder) == before


def test_shards_of_another_training_are_not_mixed(sample, workdir, tmp_path):
    wanted = sample[1]
    other = tmp_path / "other"
    shutil.copytree(workdir, other)
    with open(other / "vae.npz", "ab") as file:
        file.write(b"\0")
    with pytest.raises(InputError, match=r"made with other model: vae\.npz = "):
        runs.generate(other, wanted)


def test_what_others_wrote_is_not_replaced(workdir, tmp_path):
    folder = tmp_path / "jets"
    folder.mkdir()
    (folder / "part_00001.hdf5").write_text("mine")
    with pytest.raises(InputError, match="that this command has not written"):
        runs.generate(workdir, config(folder, shards=3))
    assert [path.name for path in folder.iterdir()] == ["part_00001.hdf5"]
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "no" / "such"):
        with pytest.raises(InputError, match="name one in a folder that exists"):
            runs.generate(workdir, config(path, shards=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": 0}, "shard: give one with shards"),
        ({"shards": 3, "shard": 3}, "shard: give one below shards = 3, got 3"),
        ({"collect": True}, "collect: give it with shards"),
        ({"collect": True, "shards": 3, "shard": 1}, "collect: give it with shards"),
        ({"num_workers": 2}, "num_workers: give it with shards, and without shard"),
        ({"shards": 3, "shard": 1, "dask_scheduler": "x"}, "dask_scheduler: give it"),
    ],
)
def test_settings_that_say_nothing(changes, message):
    with pytest.raises(InputError, match=message):
        runs.GenerateConfig(**changes)


# Workers


def test_workers_need_dask(workdir, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    wanted = config(tmp_path / "jets", shards=3, num_workers=2)
    with pytest.raises(InputError, match=r"pip install 'jetvae_jax\[dask\]'"):
        runs.generate(workdir, wanted)


def test_workers_of_a_running_scheduler(sample, workdir, tmp_path):
    distributed = pytest.importorskip("distributed")
    folder, wanted = sample
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:  # fmt: skip
        other = dataclasses.replace(
            wanted,
            output=str(tmp_path / "workers"),
            dask_scheduler=cluster.scheduler_address,
        )
        made = runs.generate(workdir, other)
    assert [p.read_bytes() for p in parts(made)] == [
        p.read_bytes() for p in parts(folder)
    ]
    assert (made / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def kill_one_worker(folder, victims):
    """Waits for the first shard, then kills a worker process of this test."""
    psutil = pytest.importorskip("psutil")
    for _ in range(2400):
        if parts(folder):
            break
        time.sleep(0.05)
    for child in psutil.Process().children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
            victims.append(len(parts(folder)))
            return


@pytest.mark.slow
def test_a_dead_worker_costs_one_shard(workdir, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(generation, "CHUNK", 2000)  # as in the workers
    wanted = dataclasses.replace(config(tmp_path / "jets", shards=8), num_jets=64_000)
    victims = []
    thread = threading.Thread(target=kill_one_worker, args=(tmp_path / "jets", victims))
    thread.start()
    folder = runs.generate(workdir, dataclasses.replace(wanted, num_workers=2))
    thread.join()
    assert victims and victims[0] < 8, "the worker was killed too late to matter"
    runs.generate(workdir, dataclasses.replace(wanted, collect=True))
    alone = dataclasses.replace(wanted, output=str(tmp_path / "alone"), shard=6)
    (wanted_bytes,) = (p.read_bytes() for p in parts(runs.generate(workdir, alone)))
    assert parts(folder)[6].read_bytes() == wanted_bytes


def test_numbers_are_listed_in_short():
    assert listed([]) == "" and listed([3, 7, 8, 9, 12, 13]) == "3, 7-9, 12-13"


def test_the_commands(workdir, tmp_path, run_script):
    given = ["--generate.latents=prior", f"--generate.num_jets={N}",
             f"--generate.output={tmp_path / 'jets'}", "--generate.shards=3",
             f"--workdir={workdir}"]  # fmt: skip
    for shard in (0, 2):
        done = run_script("generate", *given, f"--generate.shard={shard}")
        assert done.returncode == 0, done.stderr
        assert f"part_0000{shard}.hdf5: {(40, 0, 51)[shard]} jets" in done.stderr
    done = run_script("generate", *given, "--generate.collect")
    assert done.returncode == 2 and "1 of 3 shards are not whole" in done.stderr
    assert "(missing: 1): make them again" in done.stderr
    done = run_script("generate", *given)
    assert done.returncode == 0 and "there already: 2 shards" in done.stderr
    assert "all 3 shards are there" in done.stderr
    assert str(tmp_path / "jets") in done.stdout
    done = run_script("generate", *given, "--generate.collect")
    assert done.returncode == 0 and "all 3 shards are whole" in done.stderr
    done = run_script("generate", f"--workdir={workdir}", "--generate.shard=3")
    assert done.returncode == 2
    assert done.stderr.startswith("error: --generate.shard: give one with shards")
