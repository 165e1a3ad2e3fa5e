"""The top tagging table, as pandas writes it, read without pandas."""

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load
from jetvae_jax.data.loading import opened

PANDAS = np.dtype(
    [
        ("index", "<i8"),
        ("values_block_0", "<f4", (804,)),
        ("values_block_1", "<i8", (2,)),
    ]
)


def table(num_jets=20, seed=0):
    """Rows, and their momenta ``[J, 200, 3]``."""
    rng = np.random.default_rng(seed)
    p = rng.normal(size=(num_jets, 200, 3)) * 3 + [10, 0, 0]
    count = rng.integers(5, 200, num_jets)
    p *= (np.arange(200) < count[:, None])[..., None]
    order = np.argsort(-np.hypot(p[..., 0], p[..., 1]), axis=1, kind="stable")
    p = np.take_along_axis(p, order[..., None], 1)
    rows = np.zeros(num_jets, PANDAS)
    rows["index"] = np.arange(num_jets)
    energy = np.linalg.norm(p, axis=-1, keepdims=True)
    rows["values_block_0"][:, :800] = np.concatenate([energy, p], -1).reshape(-1, 800)
    rows["values_block_0"][:, 800:] = 1e6  # the parton is no particle
    rows["values_block_1"][:, 1] = np.arange(num_jets) % 2
    return rows, p


def write(path, rows, **options):
    with h5py.File(path, "w") as file:
        file.create_dataset("table/table", data=rows, chunks=(8,), **options)
        file["table/_i_table/note"] = 0
    return str(path)


@pytest.mark.parametrize(("jet_type", "label"), [("t", 1), ("q", 0), ("g", 0)])
def test_both_classes(tmp_path, jet_type, label):
    rows, p = table()
    path = write(tmp_path / "train.h5", rows, compression="gzip")
    loaded = load(path, num_particles=200, jet_type=jet_type)
    wanted = p[np.arange(20) % 2 == label]
    np.testing.assert_allclose(loaded.jets.particles, wanted, rtol=1e-6)
    np.testing.assert_array_equal(loaded.jets.mask, (wanted != 0).any(-1))
    assert loaded.source["layout"] == "toptagging"
    assert any("light quarks and of gluons" in n for n in loaded.notes) == (not label)
    few = load(path, num_particles=200, jet_type=jet_type, max_jets=3)
    np.testing.assert_allclose(few.jets.particles, wanted[:3], rtol=1e-6)


def test_blocks(tmp_path, monkeypatch):
    path = write(tmp_path / "train.h5", table()[0])
    whole = load(path, jet_type="t")
    monkeypatch.setattr(
        "jetvae_jax.data.containers.tables.BLOCK_BYTES", PANDAS.itemsize * 8
    )
    cut = load(path, jet_type="t")
    np.testing.assert_array_equal(whole.jets.particles, cut.jets.particles)
    with opened(path) as file:
        assert file.classes() == {"t": 10, "QCD (g and q)": 10}


def test_no_such_class(tmp_path):
    path = write(tmp_path / "train.h5", table()[0])
    with pytest.raises(InputError, match="none of type 'w'"):
        load(path, jet_type="w")


def test_a_bad_label_is_named(tmp_path):
    rows, _ = table()
    rows["values_block_1"][5, 1] = 7
    path = write(tmp_path / "train.h5", rows)
    with pytest.raises(InputError, match="table: row 5: is_signal_new is neither"):
        load(path, jet_type="t")
    assert len(load(path, jet_type="t", repair=True).jets.mask) == 9


def other_fields(file):
    file["table/table"] = np.zeros(3, [("a", "<f4")])


def external(file):
    file.create_group("table")["table"] = h5py.ExternalLink("other.h5", "/x")


def loop(file):
    file.create_group("table")["table"] = h5py.SoftLink("/table")


def dataset(file):
    file["table"] = np.zeros(3)


def group(file):
    file.create_group("table/table")


def empty(file):
    file["table/table"] = np.zeros(0, PANDAS)


def absurd(file):
    file.create_dataset("table/table", (10**12,), PANDAS, chunks=(1,))


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (other_fields, "columns are a: expected values_block_0"),
        (external, "is a link"),
        (loop, "is a link"),
        (dataset, "is a dataset, expected a group"),
        (group, "is a group, expected a dataset"),
        (empty, "no jets in it"),
        (absurd, "impossible for a file of this size"),
    ],
)
def test_tables_that_are_none(tmp_path, build, error):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        build(file)
    with pytest.raises(InputError, match=error):
        load(str(tmp_path / "a.h5"), jet_type="t")


def test_an_unknown_compression_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", table()[0], compression="gzip")
    monkeypatch.setattr("jetvae_jax.data.containers.hdf5.FILTERS", ())
    with pytest.raises(
        InputError, match=r"deflate.* not read here; write it with gzip"
    ):
        load(path, jet_type="t")


def test_truncated(tmp_path):
    path = tmp_path / "a.h5"
    write(path, table()[0], compression="gzip")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"a\.h5"):
        load(str(path), jet_type="t")
