"""Kills, full disks and several processes at once: no work is lost, nothing is torn."""

import contextlib
import functools
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import faults
import jax
import numpy as np
import pytest
from conftest import EXPERIMENTS
from samples import save_events

from jetvae_jax.core import locks, workers
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, write_atomically
from jetvae_jax.core.types import Jets
from jetvae_jax.data import download, streaming, writing
from jetvae_jax.data.catalogue import DataSet, Remote
from jetvae_jax.data.containers import hdf5
from jetvae_jax.events import writer as events
from jetvae_jax.making import files as making
from jetvae_jax.making import pythia
from jetvae_jax.training import Config, checkpoint, fit, gradient_step

JETS = ("hdf5", "parquet", "root", "npz")
EVENTS = (*JETS, "csv")


def training(folder, epochs=2):
    """Epochs of a straight line, with everything that a training writes."""
    workdir = Workdir(folder)
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    data = {"x": x, "y": x @ np.array([1.5, -2.0, 0.5], np.float32)}

    def loss(params, key, batch):
        error = (batch["x"] @ params["w"] - batch["y"]) ** 2
        return error, {"error": error}

    import optax

    step = gradient_step(
        loss, lambda key: {"w": jax.random.normal(key, (3,))}, optax.adam(0.1)
    )

    def on_save(params, epoch):
        checkpoint.save(workdir / "best.npz", params, meta={"best_epoch": epoch})

    fit(
        step, jax.random.key(0), data, data,
        config=Config(num_epochs=epochs, batch_size=40, save_seconds=0.0),
        state_path=workdir / "state.npz", on_save=on_save,
        on_epoch=lambda rows: workdir.write_lines("metrics.jsonl", rows),
    )  # fmt: skip


def jets(suffix):
    rng = np.random.default_rng(0)
    p, mask = rng.normal(size=(1500, 3, 3)), rng.random((1500, 3)) < 0.7

    def write(folder):
        with writing.writer(folder / f"x.{suffix}", num_particles=3) as writer:
            writer.append(Jets(p, mask))

    return write


def table(suffix):
    values = np.random.default_rng(0).normal(size=(3000, 2))
    return lambda folder: events.write(
        folder / f"x.{suffix}", values, ["a", "b"], {"a": 1}
    )


def production(folder):
    rows = {"x": np.random.default_rng(0).normal(size=(1500, 2))}
    making.write_whole(
        folder / "sub" / "x.hdf5", {"x": ("p", "q")}, [rows], {}, [("names", ["p"])]
    )


def cache(folder):
    source = folder.parent / "source" / "x.hdf5"
    if not source.exists():
        source.parent.mkdir()
        jets("hdf5")(source.parent)
    streaming.streams(str(source), folder, num_particles=3, repair=True)


def downloading(folder):
    """Files of three blocks, one of which is an archive."""
    source = folder.parent / "source"
    if not source.exists():
        source.mkdir()
        rng = np.random.default_rng(0)
        (source / "a.h5").write_bytes(rng.bytes(3 * 2**20))
        with tarfile.open(source / "b.tar.gz", "w:gz") as tar:
            tar.add(source / "a.h5", "x.h5")
    files = tuple(
        Remote(path.name, path.as_uri(), path.stat().st_size, download.md5(path))
        for path in sorted(source.iterdir())
    )
    download.fetch(DataSet("name", "title", "page", "", files), folder)


WRITERS = {
    "training": training,
    "jets, hdf5": jets("hdf5"),
    "production": production,
    "text": lambda folder: Workdir(folder).write_text("x.txt", "text\n" * 100),
}
SAME_CODE = {
    **{f"jets, {s}": jets(s) for s in ("parquet", "root", "npz")},
    **{f"events, {s}": table(s) for s in EVENTS},
    "cache": cache,
    "download": downloading,
}
ALL = [
    *(pytest.param(function, id=name) for name, function in WRITERS.items()),
    *(pytest.param(function, id=name, marks=pytest.mark.slow)
      for name, function in SAME_CODE.items()),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "w").mkdir()
    return tmp_path / "w"


def whole(folder, command):
    """The results of a command that works, and leaves nothing else."""
    command(folder)
    assert not faults.parts(folder)
    return faults.results(folder)


GROW = ("state.npz", "best.npz", "metrics.jsonl", "MD5SUMS")


@pytest.mark.parametrize("command", ALL)
def test_after_a_kill_anywhere_the_same_command_gives_the_same_bytes(
    folder, tmp_path, command
):
    states = faults.kills(folder, lambda: command(folder), tmp_path / "states")
    wanted = whole(folder, command)
    assert len(states) >= (8 if command is training else 2)
    assert any(faults.parts(state) for state in states)
    for state in states:
        faults.renew(folder, state)
        for name, data in faults.results(folder).items():
            # Whole, or not there.
            assert name in GROW or name.endswith(".part") or data == wanted[name]
        assert whole(folder, command) == wanted, state


@pytest.mark.parametrize("command", ALL)
def test_a_disk_that_fails_anywhere_is_one_line_and_loses_nothing(
    folder, tmp_path, command, request
):
    begin = tmp_path / "begin"
    begin.mkdir()
    kinds = None
    if command is training and request.config.getoption("-m") != "slow":
        command, kinds = functools.partial(training, epochs=1), ("replace",)
    wanted = None
    for failing in faults.failures(folder, begin, lambda: command(folder), kinds):
        wanted = wanted or whole(folder, command)
        faults.renew(folder, begin)
        with contextlib.suppress(InputError), failing:
            command(folder)
        failed = {n for n in faults.results(folder) if not n.endswith(".part")}
        assert failed <= wanted.keys() and not faults.parts(folder)
        assert whole(folder, command) == wanted


@contextlib.contextmanager
def full_after(num_bytes):
    """No file may be longer, which C code meets as it meets a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 20_000])
@pytest.mark.parametrize(
    "name", [*(f"jets, {s}" for s in JETS), *(f"events, {s}" for s in EVENTS)]
)
def test_a_full_disk_is_one_line_in_every_format(folder, name, size, capfd):
    command = (WRITERS | SAME_CODE)[name]
    command(folder)
    before = faults.visible(folder)
    with (
        pytest.raises(InputError, match=r"x\.\w+: cannot be written \(.*free space$"),
        full_after(size),
    ):
        command(folder)
    assert faults.visible(folder) == before and not faults.parts(folder)
    assert capfd.readouterr() == ("", "")  # nothing from a destructor


ROOT = os.geteuid() == 0


@contextlib.contextmanager
def small_disk(folder, *options):
    """A disk of 200 kB in memory."""
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(["size=200k", *options]), "tmpfs"]
    found = subprocess.run([*mount, folder], capture_output=True, check=False)
    if found.returncode:
        pytest.skip("disks cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="only root mounts disks")
@pytest.mark.parametrize("options", [(), ("ro",)], ids=["full", "read-only"])
def test_disks_that_are_full_or_read_only(folder, options):
    big = Jets(np.ones((40_000, 3, 3)), np.ones((40_000, 3), bool))
    big.particles[...] += np.random.default_rng(0).random(big.particles.shape)
    values = np.random.default_rng(0).normal(size=(40_000, 5))
    reason = "Read-only file system" if options else "No space left on device"
    with small_disk(folder, *options):
        for suffix in JETS:
            with pytest.raises(InputError, match=reason):
                writer = writing.writer(folder / f"x.{suffix}", num_particles=3)
                with writer as file:
                    file.append(big)
        for suffix in EVENTS:
            with pytest.raises(InputError, match=reason):
                events.write(folder / f"x.{suffix}", values, [*"abcde"], {})
        with pytest.raises(InputError, match=reason):
            making.save(folder / "x.hdf5", bytes(300_000))
        with pytest.raises(InputError, match=reason):
            making.save(folder / "sub" / "x.hdf5", bytes(300_000))
        if options:
            with pytest.raises(InputError, match="is not writable"):
                Workdir(folder)
        else:
            with pytest.raises(InputError, match=reason):
                Workdir(folder).write_text("x.html", "x" * 300_000)
        assert not [path for path in folder.rglob("*") if path.is_file()]


def test_hdf5_reads_back_what_a_failing_disk_did_not_take(tmp_path):
    path = tmp_path / "x"
    path.touch()
    disk = hdf5.Disk(path)
    disk.write(b"abcd")
    with full_after(6):
        disk.write(b"efgh")
    disk.seek(2)
    disk.write(b"CD")
    read = bytearray(8)
    disk.seek(0)
    disk.readinto(read)
    assert read == b"abCDefgh" and disk.seek(0, os.SEEK_END) == 8
    with pytest.raises(OSError, match="too large"):
        disk.check()
    disk.close()


def test_what_other_processes_write_stays_and_what_dead_ones_left_goes(tmp_path):
    own, dead = os.getpid(), faults.DEAD
    here, far = locks.host(), "elsewhere"
    kept = [f"a.{own}-{here}-0123abcd.part", f"a.{dead}-{far}-0123abcd.part", "a.part"]
    gone = [f"b.{dead}-{here}-0123abcd.part", f"b.{dead}-{far}-0123abcd.part"]
    for name in (*kept, gone[0]):
        (tmp_path / name).touch()
    (tmp_path / gone[1]).mkdir()
    week = time.time() - 8 * 86400
    os.utime(tmp_path / gone[1], (week, week))
    with write_atomically(tmp_path / "x") as part:
        part.write_text("x")
    assert sorted(os.listdir(tmp_path)) == sorted([*kept, "x"])


def test_many_writers_of_one_file_and_readers_that_see_it_whole(tmp_path):
    path = tmp_path / "x.txt"
    code = (
        "import sys; from jetvae_jax.core.files import write_atomically\n"
        "for i in range(60):\n"
        "    with write_atomically(sys.argv[1]) as part:\n"
        "        part.write_text(sys.argv[2] * 10_000)"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", code, str(path), letter])
        for letter in "abc"
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text()
            assert len(text) == 10_000 and len(set(text)) == 1
            seen.add(text[0])
        time.sleep(1e-3)
    assert [writer.returncode for writer in writers] == [0, 0, 0] and seen
    assert os.listdir(tmp_path) == ["x.txt"]


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / ("ü" * 120 + ".txt")
    with write_atomically(path) as part:
        part.write_text("x")
    assert path.read_text() == "x"


SMOKE = "--flagfile=experiments/flagfiles/smoke.txt"
EVENTS_RUN = [
    "--flagfile=experiments/flagfiles/zgamma_vae.txt", "--events.max_events=600",
    "--train.num_epochs=1", "--train.batch_size=50", "--mlp_vae.nodes=8",
    "--mlp_vae.num_layers=1", "--mlp_vae.latent_dim=2", "--train.warmup_steps=0",
]  # fmt: skip
# Every script at its smallest size; {folder} is the workdir, {dijets} a file of events.
SCRIPTS = {
    "train": [SMOKE, "--train.num_epochs=2", "--train.save_seconds=0"],
    "fit_flow": [SMOKE, "--fit.num_epochs=2", "--fit.save_seconds=0"],
    "fit_copula": [SMOKE, "--copula.dependence=gaussian"],
    "generate": ["--generate.num_jets=50", "--generate.latents=prior"],
    "generate_shards": ["--generate.num_jets=2001", "--generate.latents=prior",
                        "--generate.shards=2", "--generate.output={folder}/jets"],
    "evaluate": [SMOKE],
    "pipeline": [SMOKE, "--train.num_epochs=1", "--fit.num_epochs=1"],
    "compare_zgamma": ["--compare.models=CVAE", "--compare.seeds=1",
                       "--nocompare.classify", "--events.max_events=300",
                       "--train.num_epochs=1", "--train.batch_size=50",
                       "--mlp_vae.nodes=8", "--mlp_vae.num_layers=1"],
    "compare_digits": ["--flagfile=experiments/flagfiles/digits_sparse.txt",
                       "--pixels.path=embedded", "--pixels.max_images=200",
                       "--train.num_epochs=1", "--fit.num_epochs=1",
                       "--losses=pixel_positions", "--num_seeds=1"],
    "compare_jets": ["--compare.flagfiles=deepsets_gluon30", "--compare.seeds=1",
                     "--data.max_jets=200", "--train.num_epochs=1",
                     "--fit.num_epochs=1", "--fit.batch_size=50",
                     "--deepsets_vae.width=8", "--deepsets_vae.hidden=8",
                     "--deepsets_vae.latent_dim=3", "--deepsets_vae.decoder_layers=1",
                     "--realnvp.num_couplings=2", "--realnvp.hidden=8"],
    "compare_libraries": ["--flagfile=experiments/flagfiles/library_gluon30.txt",
                          "--data.max_jets=400", "--library_study.sizes=40",
                          "--library_study.k=1", "--library_study.num_generated=2000",
                          "--library_study.quantiles=10",
                          "--library_study.observables=mass",
                          "--library_study.protocol=epic_5k"],
    "decompose": ["--decompose.num_combined=1000", "--decompose.num_events=2500"],
    "decompose_calorimeter": ["--decompose.num_particles=3", "--decompose.energy=30",
                              "--decompose.num_true=100", "--decompose.num_events=50",
                              "--decompose.num_combined=1000",
                              "--decompose.quantiles=10"],
    "decompose_dijets": ["--decompose.path={dijets}", "--decompose.num_events=40",
                         "--decompose.num_combined=100", "--decompose.quantiles=10",
                         "--decompose.num_particles=6"],
    "sample_limits": ["--limits.num_events=40", "--limits.num_trainings=10",
                      "--limits.num_bootstraps=10", "--limits.quantiles=20"],
    "gan_toys": ["--gan_toys.objectives=wgan", "--gan_toys.num_steps=10",
                 "--gan_toys.num_seeds=2", "--gan_toys.nodes=4"],
    "find_jets": ["--find.signals={folder}/generated_prior.hdf5", "--find.replicas=2",
                  "--find.keep=0.5", "--find.draws=1"],
    "toys": ["--toys.num_events=50", "--toys.num_toys=100", "--toys.low=100",
             "--toys.num_generated=500"],
    "classify": ["--classify.replicas=2", "--classify.num_generated=100",
                 "--classify.keep=0.5", "--classify.fractions=0.1"],
    "inspect_jets": ["--inspect.output={folder}/x.png", "--inspect.max_jets=500"],
    "inspect_showers": ["--inspect.path={folder}/showers.hdf5",
                        "--inspect.output={folder}/x.png"],
    "export": ["--export.output={folder}/jets.stablehlo", "--export.platforms=cpu"],
    "enforce_study": ["--enforce.seeds=1", "--enforce.observables=mass",
                      "--data.max_jets=300", "--train.num_epochs=1",
                      "--fit.num_epochs=1", "--conv_vae.hidden=8",
                      "--conv_vae.filters=4", "--train.batch_size=50",
                      "--fit.batch_size=50", "--realnvp.num_couplings=2",
                      "--realnvp.hidden=8"],
    "make_showers": ["--make.num_showers=40", "--make.shard_showers=20",
                     "--make.energy_max=2", "--make.num_workers=1"],
    "make_jets": ["--make.jet_types=w", "--make.settings=PartonLevel:MPI = off",
                  "--make.num_jets=8", "--make.shard_jets=4", "--make.num_workers=1",
                  "--make.layouts=jetnet30,hls4ml30"],
    "make_zgamma": ["--make.num_background=4", "--make.num_signal=4",
                    "--make.masses=200", "--make.num_workers=1"],
}  # fmt: skip
# Entries of the table that are another way to run a script.
MODES = {"events": "train", "generate_shards": "generate"}
# Its process starts others, its files come from a server, or its model is another one:
# they have tests of their own, test_tune.py, "download" above and test_calibration.py.
OTHERWISE = ("tune", "download", "calibrate")
# The scripts that are run before, in the same folder.
BEFORE = {
    "fit_flow": ("train",),
    "fit_copula": ("train",),
    "generate": ("train",),
    "generate_shards": ("train",),
    "evaluate": ("train", "generate"),
    "find_jets": ("train", "generate"),
    "toys": ("events",),
    "classify": ("events",),
    "export": ("train", "fit_flow"),
    "inspect_showers": ("make_showers",),
}
TIMES = (".txt", ".csv", ".html", ".png")  # of comparisons: they tell how long it took


class Direct:
    """Workers that are this process, and make each shard once for all tests."""

    made = functools.cache(lambda make, shard: make(shard))

    def __init__(self, make=None, shard=None):
        self._task = make, shard

    def submit(self, make, shard, **_):
        return Direct(make, shard)

    def result(self):
        return Direct.made(*self._task)

    def release(self):
        pass


@pytest.fixture
def run(run_script, monkeypatch):
    """``(name, folder, *arguments) -> Finished``: a script of the table above."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")  # the date of reports
    with contextlib.suppress(ImportError):
        monkeypatch.setattr("distributed.as_completed", list)
        client = lambda *_: contextlib.nullcontext(Direct())  # noqa: E731
        monkeypatch.setattr(workers, "client", client)
    return functools.partial(_run, run_script)


@functools.cache
def dijets():
    """A file of events of two jets."""
    return save_events(pathlib.Path(tempfile.mkdtemp()) / "g.hdf5", 400)


def _run(run_script, name, folder, *more):
    script, given = MODES.get(name, name), SCRIPTS.get(name)
    if name == "events":
        given = EVENTS_RUN
    if name in ("make_jets", "make_zgamma"):
        for tool in pythia.TOOLS:
            pytest.importorskip(tool, reason="needs the extra make-jets")
    assert given is not None
    places = {"folder": folder, "dijets": dijets()}
    arguments = [argument.format(**places) for argument in (*given, *more)]
    if not name.startswith("inspect"):
        arguments.append(f"--workdir={folder}")
    return run_script(script, *arguments)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, run_script):
    """The folder in which a script begins: with what others have left there."""

    @functools.cache
    def folder(before):
        made = tmp_path_factory.mktemp("prepared") / "w"
        if not before:
            made.mkdir()
            return made
        shutil.copytree(folder(before[:-1]), made)
        done = _run(run_script, before[-1], made)
        assert done.returncode == 0, done.stderr
        return made

    return lambda name: folder(BEFORE.get(name, ()))


def test_every_script_has_its_faults_tried():
    scripts = {path.stem for path in EXPERIMENTS.glob("[!_]*.py")}
    assert scripts == {*(MODES.get(name, name) for name in SCRIPTS), *OTHERWISE}


QUICK = ("decompose",)
ALL_SCRIPTS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in SCRIPTS
]


@pytest.mark.parametrize("name", ALL_SCRIPTS)
def test_after_a_kill_anywhere_a_script_gives_the_same_bytes(
    name, prepared, folder, tmp_path, run
):
    def command():
        done = run(name, folder)
        assert done.returncode == 0, done.stderr

    faults.renew(folder, prepared(name))
    states = faults.kills(folder, command, tmp_path / "states")
    wanted = whole(folder, lambda _: command())
    assert len(states) > 1 and wanted
    for state in states:
        faults.renew(folder, state)
        found = whole(folder, lambda _: command())
        assert found.keys() == wanted.keys(), state
        wrong = [file for file, data in found.items() if data != wanted[file]]
        if name in ("compare_zgamma", "compare_digits", "compare_jets"):
            wrong = [file for file in wrong if not file.endswith(TIMES)]
        assert not wrong, state


# Each is many runs of a script: of some every point, of others some of them.
STEPS = {"train": 2, "fit_flow": 2, "fit_copula": 2, "generate": 2, "decompose": 2}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_on_a_disk_that_fails_anywhere_says_one_line(
    name, prepared, folder, run
):
    """Some of the points, of which many are the same."""
    begin = prepared(name)
    for at, failing in enumerate(
        faults.failures(
            folder, begin, lambda: run(name, folder), ("replace", "mkdir", "write")
        )
    ):
        if at % STEPS.get(name, 5):
            continue
        with failing:
            found = run(name, folder)
        assert found.returncode == 2, found.stderr
        errors = [r for r in found.stderr.splitlines() if r.startswith("error: ")]
        assert len(errors) == 1 and "No space left on device" in errors[0]
        assert not faults.parts(folder)
        before = faults.visible(begin)
        left = faults.visible(folder)
        assert {n: left[n] for n in before if n in SAFE} == {
            n: before[n] for n in before if n in SAFE
        }


SAFE = ("vae.npz", "vae.state.npz", "generated_prior.hdf5")  # of earlier commands


@pytest.mark.slow
@pytest.mark.skipif(not ROOT, reason="only root mounts disks")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_on_a_read_only_disk_says_one_line(name, prepared, folder, run):
    with small_disk(folder, "size=20m"):
        shutil.copytree(prepared(name), folder, dirs_exist_ok=True)
        before = faults.visible(folder)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        found = run(name, folder)
        assert found.returncode == 2, found.stderr
        errors = [r for r in found.stderr.splitlines() if r.startswith("error: ")]
        assert len(errors) == 1 and str(folder) in errors[0]
        assert "Traceback" not in found.stderr
        assert faults.visible(folder) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["decompose", "gan_toys", "sample_limits"])
def test_of_two_processes_in_one_folder_the_last_one_wins(name, tmp_path):
    """The results of one and the page of the other would be wrong silently."""
    seeds = ("3", "4")
    command = [sys.executable, f"experiments/{name}.py", *SCRIPTS[name]]
    seed = next(a for a in command if a.startswith("--")).partition(".")[0] + ".seed"
    for _ in range(3):
        both = [
            subprocess.Popen([*command, f"{seed}={s}", f"--workdir={tmp_path}"])
            for s in seeds
        ]
        assert [process.wait() for process in both] == [0, 0]
        (result,) = tmp_path.glob("*.json")
        found = json.loads(result.read_text())["settings"]["seed"]
        (page,) = tmp_path.glob("*.html")
        assert f'<th scope="row">seed</th><td>{found}</td>' in page.read_text()
        assert not faults.parts(tmp_path)
