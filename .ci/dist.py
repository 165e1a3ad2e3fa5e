"""Checks the wheel and the sdist of a folder, the wheel as a user installs it.

    python .ci/dist.py dist

Nothing is missing in them and nothing stray, the wheel has at most 30 MB, and in a
fresh environment, away from the checkout, its command does the main job on the jets
that come with it. ``python -m build`` makes the wheel from the sdist, so that the sdist
is complete, too.
"""

import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile

ROOT = pathlib.Path(__file__).parent.parent
LARGEST = 30e6  # bytes of the wheel
COMMANDS = (
    "--help",
    "train --flagfile=smoke --workdir=run",
    "fit-flow --flagfile=smoke --workdir=run",
    "generate --flagfile=smoke --workdir=run",
    "evaluate --flagfile=smoke --workdir=run",
    "generate --workdir=zoo:autoregressive_gluon30 --generate.num_jets=10 "
    "--generate.output=jets.hdf5",
)


def tracked() -> set[str]:
    """Files of the repository; links are not, since an archive has what they mean."""
    found = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = found.stdout.splitlines()
    return {name for name in names if not (ROOT / name).is_symlink()}


def same(what: str, found: set[str], wanted: set[str]) -> None:
    """Stops with the names that only one of two sets has."""
    if found != wanted:
        missing, stray = sorted(wanted - found), sorted(found - wanted)
        sys.exit(f"{what}: missing {missing}, stray {stray}")


def contents(wheel: pathlib.Path, sdist: pathlib.Path) -> None:
    """What the archives hold."""
    files = tracked()
    package = {name for name in files if name.startswith("jetvae_jax/")}
    package |= {f"jetvae_jax/{n}" for n in files if n.startswith("experiments/")}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    same(wheel.name, names, package)
    if (size := wheel.stat().st_size) > LARGEST:
        sys.exit(f"{wheel.name}: has {size:,} bytes, more than {LARGEST:,.0f}")
    with tarfile.open(sdist) as archive:
        members = [m.name.partition("/")[2] for m in archive if m.isfile()]
    made = ("PKG-INFO", "setup.cfg", "jetvae_jax.egg-info/", "results/")
    plain = {name for name in members if not name.startswith(made)}
    wanted = {n for n in files if not n.startswith((".git", "results/"))}
    same(sdist.name, plain, wanted)


def installed(wheel: pathlib.Path, folder: pathlib.Path) -> None:
    """The wheel in an environment of its own; its commands run in an empty folder."""
    venv.create(folder / "venv", with_pip=True)
    binaries, away = folder / "venv/bin", folder / "away"
    away.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(program: str, *arguments: str) -> None:
        command = [str(binaries / program), *arguments]
        print("+", program, *arguments, flush=True)  # noqa: T201
        subprocess.run(command, cwd=away, env=environment, check=True)

    constraints = str(ROOT / "constraints.txt")
    run("pip", "install", "--quiet", f"{wheel}[plot]", "--constraint", constraints)
    for command in COMMANDS:
        run("jetvae", *command.split())
    for name in ("run/report.html", "jets.hdf5"):
        assert (away / name).stat().st_size, name


if __name__ == "__main__":
    dist = pathlib.Path(sys.argv[1]).resolve()
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    contents(wheel, sdist)
    with tempfile.TemporaryDirectory() as folder:
        installed(wheel, pathlib.Path(folder))
