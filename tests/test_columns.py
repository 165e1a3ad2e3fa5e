"""A user's own file by a mapping of columns, in every container."""

import struct

import numpy as np
import pytest
from samples import save

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load
from jetvae_jax.data.formats import columns

XYZ = ("px=px", "py=py", "pz=pz")


@pytest.fixture
def truth(make_jets):
    """Jets and their columns, in falling pt."""
    jets = make_jets(20, 5)
    px, py, pz = np.moveaxis(np.asarray(jets.particles, np.float64), -1, 0)
    pt = np.hypot(px, py)
    exists = pt > 0
    eta = np.where(exists, np.arcsinh(pz / np.where(exists, pt, 1)), 0)
    arrays = {"px": px, "py": py, "pz": pz, "pt": pt, "eta": eta}
    arrays["phi"] = np.where(exists, np.arctan2(py, px), 0)
    arrays["label"] = np.arange(20) % 3
    arrays["m"] = np.asarray(jets.mask)
    return jets, arrays


def ragged(arrays):
    """Lists of the particles that exist instead of padded arrays."""
    mask = arrays["m"]
    return {
        k: v if v.ndim == 1 else [row[m] for row, m in zip(v, mask, strict=True)]
        for k, v in arrays.items()
    }


def check(loaded, jets, rows=slice(None)):
    np.testing.assert_array_equal(loaded.jets.mask, jets.mask[rows])
    np.testing.assert_allclose(
        loaded.jets.particles, jets.particles[rows], rtol=2e-5, atol=1e-4
    )
    assert loaded.source["layout"] == "columns"


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.parquet", "a.root"])
@pytest.mark.parametrize(
    "mapping",
    [
        XYZ,
        (*XYZ, "mask=m"),
        ("pt=pt", "eta=eta", "phi=phi"),
        ("pt=pt", "eta=eta", "phi=phi", "mask=m", "unit=GeV"),
    ],
)
def test_padded(truth, tmp_path, name, mapping):
    jets, arrays = truth
    path = save(tmp_path / name, arrays)
    check(load(path, num_particles=5, columns=mapping), jets)


@pytest.mark.parametrize("mapping", [XYZ, ("pt=pt", "eta=eta", "phi=phi", "mask=m")])
def test_lists_in_parquet(truth, tmp_path, mapping):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    jets, arrays = truth
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(ragged(arrays)), path, row_group_size=7)
    check(load(str(path), num_particles=5, columns=mapping), jets)


def test_lists_in_root(truth, tmp_path):
    ak = pytest.importorskip("awkward")
    uproot = pytest.importorskip("uproot")
    jets, arrays = truth
    lists = ragged(arrays)
    with uproot.recreate(tmp_path / "a.root") as file:
        zipped = ak.zip({k: ak.Array(lists[k]) for k in ("px", "py", "pz")})
        for tree in ("one", "two"):
            file.mktree(tree, {"part": zipped.type.content})
            file[tree].extend({"part": zipped})
    path = str(tmp_path / "a.root")
    mapping = ("px=part_px", "py=part_py", "pz=part_pz")
    with pytest.raises(InputError, match="trees are one, two; name one by 'tree="):
        load(path, columns=mapping)
    check(load(path, num_particles=5, columns=(*mapping, "tree=two")), jets)


def test_a_root_tree_that_states_more_entries_than_its_branches(truth, tmp_path):
    """One damaged byte: it was read as empty blocks, for ever."""
    uproot = pytest.importorskip("uproot")
    ak = pytest.importorskip("awkward")
    lists = ragged(truth[1])
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        arrays = {k: ak.Array(lists[k]) for k in ("px", "py", "pz")}
        file.mktree("jets", {k: array.type.content for k, array in arrays.items()})
        file["jets"].extend(arrays)
    with uproot.open(path) as file:
        rows, size = file["jets"].num_entries, file["jets"].member("fTotBytes")
    content = path.read_bytes()
    stated = struct.pack(">qq", rows, size)
    assert content.count(stated) == 1
    path.write_bytes(content.replace(stated, struct.pack(">qq", rows + 2**52, size)))
    with pytest.raises(InputError, match=rf"{rows + 2**52} entries, px has {rows}"):
        load(str(path), columns=("px=px", "py=py", "pz=pz"))


def test_lists_in_an_rntuple(truth, tmp_path):
    """What uproot and ROOT 6.36 write unless asked for a TTree."""
    ak = pytest.importorskip("awkward")
    uproot = pytest.importorskip("uproot")
    jets, arrays = truth
    with uproot.recreate(tmp_path / "a.root") as file:
        lists = {k: ak.Array(v) for k, v in ragged(arrays).items() if v[0].ndim}
        file.mkrntuple("jets", lists)
    mapping = ("px=px", "py=py", "pz=pz")
    check(load(str(tmp_path / "a.root"), num_particles=5, columns=mapping), jets)


def test_an_index_and_a_family(truth, tmp_path):
    jets, arrays = truth
    stacked = np.stack([arrays["phi"], arrays["pt"], arrays["eta"]], axis=-1)
    path = save(tmp_path / "a.npz", {"x": stacked})
    mapping = ("pt=x[1]", "eta=x[2]", "phi=x[0]")
    check(load(path, num_particles=5, columns=mapping), jets)
    wide = {
        f"{name}_{i}": arrays[name][:, i]
        for name in ("px", "py", "pz")
        for i in range(5)
    }
    path = save(tmp_path / "a.parquet", dict(reversed(wide.items())))
    check(load(path, num_particles=5, columns=("px=px_*", "py=py_*", "pz=pz_*")), jets)


@pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.parquet", "a.root"])
def test_select_unit_and_max_jets(truth, tmp_path, name):
    jets, arrays = truth
    arrays |= {k: 1000 * arrays[k] for k in ("px", "py", "pz")}
    path = save(tmp_path / name, arrays)
    mapping = (*XYZ, "unit=MeV", "select=label:1")
    check(load(path, num_particles=5, columns=mapping), jets, slice(1, None, 3))
    loaded = load(path, num_particles=5, columns=mapping, max_jets=2)
    check(loaded, jets, slice(1, 7, 3))
    with pytest.raises(InputError, match="looks like MeV"):
        load(path, num_particles=5, columns=XYZ)


def test_many_blocks_are_one_file(truth, tmp_path, monkeypatch):
    jets, arrays = truth
    monkeypatch.setattr(
        "jetvae_jax.data.containers.tables.BLOCK_BYTES", 16 * 4 * 64 * 3
    )
    for name in ("a.npz", "a.h5", "a.parquet", "a.root"):
        path = save(tmp_path / name, arrays)
        check(load(path, num_particles=5, columns=XYZ), jets)


def test_order_and_cut_are_those_of_every_reader(truth, tmp_path):
    jets, arrays = truth
    flipped = {k: v[:, ::-1] for k, v in arrays.items() if v.ndim == 2}
    path = save(tmp_path / "a.npz", flipped)
    with pytest.raises(InputError, match="padding before particles"):
        load(path, columns=XYZ)
    loaded = load(path, num_particles=3, columns=XYZ, repair=True)
    np.testing.assert_allclose(loaded.jets.particles, jets.particles[:, :3], rtol=1e-6)


def test_a_bad_row_is_named(truth, tmp_path):
    _, arrays = truth
    arrays["px"][4, 0] = np.nan
    path = save(tmp_path / "a.npz", arrays)
    with pytest.raises(InputError, match="px: row 4: NaN or infinite"):
        load(path, columns=XYZ)
    assert len(load(path, columns=XYZ, repair=True).jets.mask) == 19
    arrays["pt"][6, 0] = -1
    path = save(tmp_path / "a.npz", arrays)
    with pytest.raises(InputError, match="pt: row 6: negative pt"):
        load(path, columns=("pt=pt", "eta=eta", "phi=phi"))


@pytest.mark.parametrize(
    ("mapping", "error"),
    [
        (("px=a", "py=b"), "missing: pz"),
        (("px=a", "py=b", "pz=c", "pt=d"), "give px, py and pz, or pt"),
        (("px=a", "px=b"), "each name once"),
        (("p=a",), "write name=column"),
        (("etaa=a",), "did you mean 'eta'"),
        (("px",), "write name=column"),
        (("px=a", "py=b", "pz=c", "unit=keV"), "choose one of GeV, MeV, TeV"),
        (("px=a", "py=b", "pz=c", "select=x"), "write a column and a value"),
        (("px=a", "py=b", "pz=c", "select=x:y"), "write a column and a value"),
    ],
)
def test_a_mapping_that_says_nothing(mapping, error):
    with pytest.raises(InputError, match=error):
        columns.parse(mapping)


@pytest.mark.parametrize(
    ("mapping", "error"),
    [
        (("px=pxx", "py=py", "pz=pz"), "did you mean 'px'"),
        (("px=q_*", "py=py", "pz=pz"), "missing column"),
        (("px=px[9]", "py=py", "pz=pz"), "no such index"),
        (("px=label", "py=label", "pz=label"), "expected lists of the same lengths"),
        (("px=px", "py=py", "pz=short"), "columns of different lengths"),
        (("px=px", "py=py", "pz=narrow"), "expected lists of the same lengths"),
        ((*XYZ, "select=px:1"), "expected one number a jet"),
        (("px=text", "py=py", "pz=pz"), "expected numbers"),
    ],
)
def test_a_mapping_that_does_not_fit(truth, tmp_path, mapping, error):
    _, arrays = truth
    arrays |= {"short": arrays["pz"][:3], "narrow": arrays["pz"][:, :2]}
    arrays["text"] = np.array(["a"] * 20)
    path = save(tmp_path / "a.npz", arrays)
    with pytest.raises(InputError, match=error):
        load(path, columns=mapping)


def test_objects_in_root_are_refused(tmp_path):
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(tmp_path / "a.root") as file:
        file["h"] = np.histogram([1, 2, 3])
    with pytest.raises(InputError, match="trees are none"):
        load(str(tmp_path / "a.root"))


def test_lists_of_other_lengths_than_the_first(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    lists = {"part_px": [[1.0, 2.0]], "part_py": [[1.0] * 40], "part_pz": [[1.0, 2.0]]}
    pq.write_table(pa.table(lists), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="expected lists of the same lengths"):
        load(str(tmp_path / "a.parquet"), num_particles=3)
