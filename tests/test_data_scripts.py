"""The command lines of download and of the look at files."""

import pathlib
import subprocess
import sys

import pytest

EXPERIMENTS = pathlib.Path(__file__).parent.parent / "experiments"


def run(script, *flags, cwd):
    """A process as a user starts it; mistakes are tested without one."""
    return subprocess.run(
        [sys.executable, EXPERIMENTS / script, *flags],
        capture_output=True, text=True, cwd=cwd, check=False,
    )  # fmt: skip


def test_no_script_shadows_the_standard_library():
    """The folder of a script is the first place where Python looks for modules."""
    scripts = {path.stem for path in EXPERIMENTS.glob("*.py")}
    assert not scripts & set(sys.stdlib_module_names)


def test_inspect_ends_with_the_verdict(tmp_path):
    pytest.importorskip("matplotlib")
    done = run(
        "inspect_jets.py",
        "--inspect.max_jets=2000",
        "--inspect.output=look.png",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "\nfit to train\n" in done.stdout
    assert (tmp_path / "look.png").stat().st_size > 10_000


def test_inspect_of_files_that_are_not_fit(tmp_path, make_jetnet, run_script):
    make_jetnet("g.hdf5")
    (tmp_path / "q.hdf5").write_bytes(b"no HDF5")
    done = run_script("inspect_jets", "--inspect.path=.", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("not fit to train as it is:") == 2
    assert "8 good jets are too few" in done.stdout
    assert "not an HDF5 file" in done.stdout


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("output=look.pdf", "look.pdf: give a .png file in a folder that exists"),
        ("output=no/look.png", "no/look.png: give a .png file in a folder that"),
        ("max_jets=-1", "--inspect.max_jets: must not be negative, got -1"),
        ("path=", "--inspect.path: must not be empty"),
    ],
)
def test_inspect_names_a_wrong_flag(tmp_path, run_script, flag, message):
    done = run_script("inspect_jets", f"--inspect.{flag}", cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and not done.stdout


def test_inspect_of_nothing(tmp_path, run_script):
    done = run_script("inspect_jets", "--inspect.path=nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere: no such file")


def test_download_by_hand(tmp_path):
    done = run(
        "download.py",
        "--download.dataset=quarkgluon",
        "--download.by_hand",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "https://zenodo.org/records/3164691/files/QG_jets_7.npz" in done.stdout
    assert "4ae72aaabe121bd489532c99a6bdde95  QG_jets_7.npz" in done.stdout
    assert not list(tmp_path.iterdir())


def test_download_without_a_network_says_what_to_fetch(
    tmp_path, run_script, monkeypatch
):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    done = run_script(
        "download",
        "--download.dataset=jetnet30",
        "--download.jet_types=t",
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "zenodo.org/records/6975118/files/t.hdf5?download=1" in done.stderr
    assert "put into data/jetnet30" in done.stderr
    assert "\nerror: https://zenodo.org/api/records/6975118" in done.stderr


def test_download_of_an_unknown_set(tmp_path, run_script):
    done = run_script("download", "--download.dataset=jetnet31", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'jetnet30'" in done.stderr
