"""What a command writes replaces what it wrote before, and nothing else."""

import os
import shutil

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import containers
from jetvae_jax.events import writer as events
from jetvae_jax.making import files as making

WRITTEN = ("npz", "parquet", "root")
SMOKE = "--flagfile=experiments/flagfiles/smoke.txt"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, run_script):
    folder = tmp_path_factory.mktemp("outputs")
    shutil.copy("jetvae_jax/data/embedded/gluon30.hdf5", folder / "data.hdf5")
    result = run_script(
        "train", SMOKE, "--train.num_epochs=1", f"--data.path={folder / 'data.hdf5'}",
        f"--workdir={folder / 'w'}",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    "output",
    ["w/vae.npz", "w/vae.state.npz", "data.hdf5", "link.hdf5", "other.hdf5", "bad.npz",
     "other.parquet"],
)  # fmt: skip
def test_generate_refuses_to_replace_anything_else(trained, run_script, output):
    if not (trained / "link.hdf5").exists():
        os.symlink(trained / "data.hdf5", trained / "link.hdf5")
        with h5py.File(trained / "other.hdf5", "w") as file:
            file["jets"] = np.zeros(3)
            file.attrs["generator"] = "pythia8mc + fastjet, made by jetvae_jax"
        (trained / "bad.npz").write_bytes(b"")
        (trained / "other.parquet").write_bytes(b"")
    before = contents(trained)
    found = run_script(
        "generate", f"--workdir={trained / 'w'}", "--generate.num_jets=10",
        f"--generate.output={trained / output}", "--generate.latents=prior",
    )  # fmt: skip
    assert found.returncode == 2
    last = found.stderr.splitlines()[-1]
    assert last.startswith(f"error: --generate.output={trained / output}: ")
    assert contents(trained) == before


@pytest.mark.parametrize(
    "suffix",
    ["hdf5", *(pytest.param(s, marks=pytest.mark.slow) for s in WRITTEN)],
)
def test_generate_replaces_what_it_generated(trained, tmp_path, run_script, suffix):
    output = tmp_path / f"x.{suffix}"
    sizes = []
    for number in (10, 40):
        found = run_script(
            "generate", f"--workdir={trained / 'w'}", f"--generate.output={output}",
            f"--generate.num_jets={number}", "--generate.latents=prior",
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
        sizes.append(output.stat().st_size)
    assert sizes[0] < sizes[1] and os.listdir(tmp_path) == [output.name]


def test_a_table_of_text_is_replaced_only_by_a_table_of_numbers(tmp_path):
    numbers, flags, texts = (tmp_path / n for n in ("a.csv", "flags.txt", "b.csv"))
    events.write(numbers, np.ones((2, 2)), ["a", "b"], {})
    flags.write_text("--seed=1\n--loss=chamfer\n--data.path=x y\n")
    texts.write_text("metric,value\nw1m,0.5\n")
    containers.check_replaceable(numbers, "a.csv", "jetvae_jax")
    containers.check_replaceable(tmp_path / "new.csv", "new.csv", "jetvae_jax")
    for path in (flags, texts):
        with pytest.raises(InputError, match="has not written"):
            containers.check_replaceable(path, path.name, "jetvae_jax")


def test_a_production_does_not_replace_a_download(tmp_path, make_jetnet):
    download = make_jetnet()
    with pytest.raises(InputError, match=r"g\.hdf5: there is a file that this command"):
        making.check_own(download)
    own = tmp_path / "own.hdf5"
    facts = {"generator": "pythia8mc 8.3 + fastjet 3.4, made by jetvae_jax: gluons"}
    rows = {"x": np.zeros((3, 1))}
    making.write_whole(own, {"x": ("a",)}, [rows], facts)
    making.check_own(own)
    making.check_own(tmp_path / "none.hdf5")


def test_training_does_not_replace_a_model_that_has_no_state(
    trained, tmp_path, run_script
):
    folder = tmp_path / "w"
    folder.mkdir()
    shutil.copy(trained / "w/vae.npz", folder)
    before = contents(folder)
    found = run_script("train", SMOKE, f"--workdir={folder}")
    assert found.returncode == 2
    assert "vae.npz: is a trained model of other settings" in found.stderr
    assert contents(folder) == before


def test_a_finished_training_replaces_an_older_result(trained, tmp_path, run_script):
    """As an earlier version left it, when it was killed between state and result."""
    from jetvae_jax.training import checkpoint

    folder = shutil.copytree(trained / "w", tmp_path / "w")
    path = folder / "vae.npz"
    wanted, meta = path.read_bytes(), checkpoint.read_meta(path)
    with np.load(path) as arrays:
        tree = {k: v for k, v in arrays.items() if k != checkpoint.META}
    checkpoint.save(path, tree, meta=meta | {"best_epoch": 0})
    assert path.read_bytes() != wanted
    found = run_script(
        "train", f"--flagfile={folder / 'flags.txt'}", f"--workdir={folder}"
    )
    assert found.returncode == 0 and "has finished before" in found.stderr
    assert path.read_bytes() == wanted
