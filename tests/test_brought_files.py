"""Files as other tools and generators write them: nested, channel-first, padded."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from jetvae_jax import data
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.kinematics import to_pt_eta_phi
from jetvae_jax.core.types import Jets
from jetvae_jax.data import containers, formats, load, validation
from jetvae_jax.data.inspection import look
from jetvae_jax.data.loading import load_judged
from jetvae_jax.events import loading
from jetvae_jax.images import mnist
from jetvae_jax.showers import files as showers

XYZ = ("px=px", "py=py", "pz=pz")


@pytest.fixture
def jets(make_jets):
    return make_jets(12, 5)


def same(loaded, jets, rows=slice(None)):
    np.testing.assert_array_equal(loaded.jets.mask, jets.mask[rows])
    np.testing.assert_allclose(
        loaded.jets.particles, jets.particles[rows], rtol=1e-6, atol=1e-5
    )


def lists(jets):
    """A list of particles, each a dict, for every jet."""
    return [
        [dict(zip(("px", "py", "pz"), map(float, p), strict=True)) for p in x[m]]
        for x, m in zip(jets.particles, jets.mask, strict=True)
    ]


def events(jets):
    """Three jets in the first event, one in the second, none in the third, ..."""
    found, rest = [], lists(jets)
    for number in (3, 1, 0, 4, 4):
        found.append(rest[:number])
        rest = rest[number:]
    return found


FIRST = [0, 3, 4, 8]  # of each event


# Channel-first arrays.


@pytest.mark.parametrize("channels", [3, 4])
def test_channel_first_is_never_a_jet_of_three_particles(jets, tmp_path, channels):
    x = np.concatenate([jets.particles, jets.mask[..., None]], -1)[..., :channels]
    turned = np.swapaxes(x, 1, 2)
    np.save(tmp_path / "a.npy", turned)
    path = str(tmp_path / "a.npy")
    columns = ("px=array[0]", "py=array[1]", "pz=array[2]")
    with pytest.raises(InputError, match=r"array\[0,:\] if they are features of 5"):
        load(path, columns=columns)
    told = tuple(c.replace("]", ",:]") for c in columns)
    same(load(path, num_particles=5, columns=told), jets)
    names = ("px", "py", "pz", "mask")[:channels]
    same(load(path, num_particles=5, columns=names), jets)
    # Three particles of five features, if the user says so.
    other = tuple(c.replace("[", "[:,") for c in columns)
    assert load(path, num_particles=9, columns=other, repair=True).jets.mask.sum() > 0


def test_channel_first_in_known_formats(make_jetnet, make_hls4ml, tmp_path):
    def turn(key):
        def spoil(arrays):
            arrays[key] = np.swapaxes(arrays[key], 1, 2)

        return spoil

    for path in (
        make_jetnet(num_particles=30, spoil=turn("particle_features")),
        make_hls4ml(num_particles=30, spoil=turn("jetConstituentList")),
    ):
        with pytest.raises(InputError, match="swapaxes"):
            load(str(path))
    x = np.zeros((4, 4, 20))
    np.savez(tmp_path / "qg.npz", X=x, y=np.zeros(4))
    with pytest.raises(InputError, match="swapaxes"):
        load(str(tmp_path / "qg.npz"))


# Columns by their order, in npy.


def test_names_in_the_order_of_the_columns(jets, tmp_path):
    energy = np.linalg.norm(jets.particles, axis=-1, keepdims=True)
    np.save(tmp_path / "a.npy", np.concatenate([energy, jets.particles], -1))
    path = str(tmp_path / "a.npy")
    same(load(path, num_particles=5, columns=("E", "px", "py", "pz")), jets)
    for columns, words in (
        (("E", "px", "py"), "names of all columns"),
        (("px", "py", "pz"), "3 columns are named"),
        (("px", "py", "pz", "pz"), "listed twice"),
        (("px", "py", "pz=x"), "names of all columns"),
    ):
        with pytest.raises(InputError, match=words):
            load(path, columns=columns)
    with pytest.raises(InputError, match="relative features"):
        load(path)


def test_energies_show_a_wrong_order_of_the_columns(jets, tmp_path):
    p = jets.particles
    energy = np.linalg.norm(p, axis=-1, keepdims=True)
    pt, eta, phi = np.moveaxis(np.asarray(to_pt_eta_phi(p)), -1, 0)[..., None]
    for given, right, wrong in (
        ((energy, p), "E,px,py,pz", "px,py,pz,E"),
        ((p, energy), "px,py,pz,energy", "energy,px,py,pz"),
        ((pt, eta, phi, energy), "pt,eta,phi,e", "e,eta,phi,pt"),
    ):
        np.save(tmp_path / "a.npy", np.concatenate(given, -1))
        path = str(tmp_path / "a.npy")
        same(load(path, num_particles=5, columns=right.split(",")), jets)
        with pytest.raises(
            InputError, match=r"energies are below the momenta of (9\d|100)%"
        ):
            load(path, num_particles=5, columns=wrong.split(","))


def test_angles_in_degrees_are_refused(jets, tmp_path):
    pt, eta, phi = np.moveaxis(np.array(to_pt_eta_phi(jets.particles)), -1, 0)
    path, order = tmp_path / "a.npy", ("pt", "eta", "phi")

    def written(angles):
        np.save(path, np.stack([pt, eta, angles], -1) * jets.mask[..., None])
        return str(path)

    loaded = load(written(phi % (2 * np.pi)), num_particles=5, columns=order)
    np.testing.assert_allclose(loaded.jets.particles, jets.particles, atol=2e-3)
    with pytest.raises(InputError, match="is it in degrees"):
        load(written(np.degrees(phi) + 40), num_particles=5, columns=order)
    phi[3, 0] = 1e4  # of one jet, as bad networks write
    with pytest.raises(InputError, match=r"phi beyond 3 pi: no angle.*1 row"):
        load(written(phi), num_particles=5, columns=order)
    loaded = load(written(phi), num_particles=5, columns=order, repair=True)
    assert len(loaded.jets.mask) == 11


@pytest.mark.parametrize("shape", [(0, 5, 3), (12, 0, 3), (0, 0, 3)])
def test_an_array_without_jets_or_particles(shape, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    what = "jets" if not shape[0] else "particles"
    with pytest.raises(InputError, match=f"array: shape is .*: there are no {what} in"):
        load_judged(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_in_blocks(jets, tmp_path, monkeypatch, order):
    np.save(tmp_path / "a.npy", np.asarray(jets.particles, order=order))
    size = "jetvae_jax.data.containers.tables.BLOCK_BYTES"
    monkeypatch.setattr(size, 16 * 4 * 64 * 3)
    path = str(tmp_path / "a.npy")
    same(load(path, num_particles=5, columns=("px", "py", "pz")), jets)


def test_npy_that_cannot_be_read(jets, tmp_path):
    whole = tmp_path / "a.npy"
    np.save(whole, jets.particles)
    (tmp_path / "cut.npy").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "text.npy").write_text("1 2 3")
    (tmp_path / "empty.npy").write_bytes(b"")
    objects = np.array([[1], [2, 3]], dtype=object)
    np.save(tmp_path / "pickled.npy", objects, allow_pickle=True)
    for name, words in (
        ("cut", "does not hold"),
        ("text", "not an npy file"),
        ("empty", "the file is empty"),
        ("pickled", "pickled objects"),
    ):
        with pytest.raises(InputError, match=words) as error:
            load(str(tmp_path / f"{name}.npy"), columns=("px", "py", "pz"))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["npy", "npz", "parquet", "root", "h5"])
def test_an_empty_file(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    path.touch()
    with pytest.raises(InputError, match=rf"a\.{suffix}: the file is empty"):
        load(str(path))


def test_what_is_no_array_of_numbers(jets, tmp_path):
    for values in (jets.particles.astype(complex), np.array(["a", "b"])):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(InputError, match=r"no array .* of real numbers is in it"):
            load(str(tmp_path / "a.npy"), columns=("px", "py", "pz"))


def test_arrays_of_jetnet_in_a_group_and_arrays_that_are_null(make_jetnet, tmp_path):
    with h5py.File(make_jetnet()) as file, h5py.File(tmp_path / "a.h5", "w") as other:
        for name in file:
            file.copy(name, other.require_group("train/jets"))
    with pytest.raises(InputError, match="these are in the group train/jets: copy"):
        load(str(tmp_path / "a.h5"))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for name in ("particle_features", "jet_features"):
            file[name] = h5py.Empty("f4")
    with pytest.raises(InputError, match="particle_features: holds nothing"):
        load(str(tmp_path / "b.h5"))


def test_paths_that_are_no_files(tmp_path, jets):
    (tmp_path / "link.h5").symlink_to("nowhere.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "folder.h5").mkdir()
    for load_one in (load, look, loading.load, mnist.load, showers.read):
        for name, words in (
            ("link.h5", "is a link to nowhere.h5, which does not exist"),
            ("pipe.h5", "is a pipe or a device"),
            ("none.h5", "no such file or folder"),
        ):
            with pytest.raises(InputError, match=rf"{name}: {words}"):
                load_one(str(tmp_path / name))
    with pytest.raises(InputError, match=r"x\.h5: is an address"):
        load("https://zenodo.org/x.h5")
    with pytest.raises(InputError, match=r"folder\.h5: is a folder"):
        loading.load(str(tmp_path / "folder.h5"))


def test_a_look_at_momenta_does_not_call_them_relative(jets, tmp_path):
    np.save(tmp_path / "a.npy", jets.particles)
    (reason, *_) = look(tmp_path / "a.npy").reasons
    assert "do not look like etarel" in reason and "px,py,pz for momenta" in reason


def test_jets_of_padding_alone(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((20, 5, 3)))
    with pytest.raises(InputError, match="first 20 jets are padding"):
        load_judged(str(tmp_path / "a.npy"))


def test_an_npy_beside_other_files_is_not_their_data(make_jetnet, tmp_path):
    path = make_jetnet()
    np.save(tmp_path / "labels.npy", np.zeros(8))
    assert load(str(path.parent)).source["files"] == ["g.hdf5"]


# Records, lists, nested groups.


def test_records_of_numpy(jets, tmp_path):
    kind = [(name, np.float32) for name in ("px", "py", "pz")]
    x = np.ascontiguousarray(jets.particles, np.float32).view(kind)[..., 0]
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "a.npz", p=x)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["events/p"] = x
    for file, prefix in (("a.npy", "array"), ("a.npz", "p"), ("a.h5", "events/p")):
        columns = tuple(f"{name}={prefix}.{name}" for name in ("px", "py", "pz"))
        same(load(str(tmp_path / file), num_particles=5, columns=columns), jets)
        with pytest.raises(InputError, match=rf"did you mean '{prefix}\.px'"):
            load(str(tmp_path / file), columns=(f"px={prefix}.pxx", *columns[1:]))


def test_groups_and_lists_of_hdf5(jets, tmp_path):
    path = str(tmp_path / "a.h5")
    listed = h5py.vlen_dtype(np.float32)
    record = h5py.vlen_dtype(np.dtype([(n, "f4") for n in ("px", "py", "pz")]))
    with h5py.File(path, "w") as file:
        group = file.create_group("jets/constituents")
        whole = group.create_dataset("all", (12,), record)
        for i, name in enumerate(("px", "py", "pz")):
            group[f"padded_{name}"] = jets.particles[..., i]
            rows = group.create_dataset(name, (12,), listed)
            for j, m in enumerate(jets.mask):
                rows[j] = jets.particles[j, m, i]
        for j, m in enumerate(jets.mask):
            rows = np.ascontiguousarray(jets.particles[j, m])
            whole[j] = rows.view(record.metadata["vlen"])[:, 0]
    for prefix in ("constituents/padded_", "constituents/", "constituents/all."):
        columns = tuple(f"{n}=jets/{prefix}{n}" for n in ("px", "py", "pz"))
        same(load(path, num_particles=5, columns=columns), jets)
        few = load(path, num_particles=5, columns=columns, max_jets=3)
        same(few, jets, slice(0, 3))


def test_groups_that_contain_each_other_end(jets, tmp_path):
    path = str(tmp_path / "a.h5")
    with h5py.File(path, "w") as file:
        for i, name in enumerate(("px", "py", "pz")):
            file[f"jets/{name}"] = jets.particles[..., i]
        loop = file.create_group("loop")
        for i in range(200):
            loop[f"a{i}"] = file if i % 2 else loop
    columns = tuple(f"{n}=jets/{n}" for n in ("px", "py", "pz"))
    same(load(path, num_particles=5, columns=columns), jets)
    with pytest.raises(InputError, match="columns"):
        load(path)


@pytest.mark.parametrize("suffix", ["parquet", "root"])
def test_lists_of_records(jets, tmp_path, suffix):
    """As awkward writes them; the names of JetClass are recognised."""
    ak = pytest.importorskip("awkward")
    array = ak.Array(lists(jets))
    path = str(tmp_path / f"a.{suffix}")
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        ak.to_parquet(ak.zip({"part": array}, depth_limit=1), path)
    else:
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            met = np.arange(12.0)
            file.mkrntuple("jets", {"part": array, "gen": array, "met": met})
    same(load(path, num_particles=5), jets)
    columns = tuple(f"{n}=part.{n}" for n in ("px", "py", "pz"))
    same(load(path, num_particles=5, columns=columns), jets)


def test_records_without_a_name_in_parquet(jets, tmp_path):
    ak = pytest.importorskip("awkward")
    pytest.importorskip("pyarrow")
    ak.to_parquet(ak.Array(lists(jets)), tmp_path / "a.parquet")
    same(load(str(tmp_path / "a.parquet"), num_particles=5, columns=XYZ), jets)


# Trees of events.


def write_events(path, jets):
    ak = pytest.importorskip("awkward")
    array = ak.Array(events(jets))
    numbers = ak.num(array)
    per_jet = ak.unflatten(np.arange(12), numbers)
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
        record = ak.zip({"jet": array, "label": per_jet}, depth_limit=1)
        ak.to_parquet(record, path)
    else:
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            file.mkrntuple("events", {"jet": array, "label": per_jet})
    return str(path)


@pytest.mark.parametrize("suffix", ["parquet", "root"])
def test_trees_of_events(jets, tmp_path, suffix):
    path = write_events(tmp_path / f"a.{suffix}", jets)
    columns = tuple(f"{n}=jet.{n}" for n in ("px", "py", "pz"))
    with pytest.raises(InputError, match=r"add jets=each .* or jets=first"):
        load(path, columns=columns)
    each = (*columns, "jets=each")
    same(load(path, num_particles=5, columns=each), jets)
    same(load(path, num_particles=5, columns=each, max_jets=6), jets, slice(0, 6))
    same(load(path, num_particles=5, columns=(*columns, "jets=first")), jets, FIRST)
    chosen = load(path, num_particles=5, columns=(*each, "select=label:7"))
    same(chosen, jets, [7])


def test_padded_trees_of_events(jets, tmp_path):
    x = np.zeros((5, 4, 5, 3), np.float32)
    rest = list(jets.particles)
    for event, number in zip(x, (3, 1, 0, 4, 4), strict=True):
        for i in range(number):
            event[i] = rest.pop(0)
    np.savez(tmp_path / "a.npz", x=x)
    path = str(tmp_path / "a.npz")
    columns = ("px=x[:,0]", "py=x[:,1]", "pz=x[:,2]")
    same(load(path, num_particles=5, columns=(*columns, "jets=each")), jets)
    same(load(path, num_particles=5, columns=(*columns, "jets=first")), jets, FIRST)


def test_jets_of_what_is_no_event(jets, tmp_path):
    np.savez(tmp_path / "a.npz", px=jets.mask, py=jets.mask, pz=jets.mask)
    with pytest.raises(InputError, match="leave jets= out"):
        load(str(tmp_path / "a.npz"), columns=(*XYZ, "jets=each"))
    with pytest.raises(InputError, match="choose one of each, first"):
        load(str(tmp_path / "a.npz"), columns=(*XYZ, "jets=all"))


# Padding.


@pytest.mark.parametrize("value", [np.nan, -999.0, -99.0, -1.0])
def test_padding_that_is_no_zero(make_jets, tmp_path, value):
    jets = make_jets(12, 5)
    x = np.where(jets.mask[..., None], jets.particles, np.float32(value))
    np.savez(tmp_path / "a.npz", x=x)
    path = str(tmp_path / "a.npz")
    for columns in (
        ("px=x[0]", "py=x[1]", "pz=x[2]"),
        ("px=x[0]", "py=x[1]", "pz=x[2]", f"padding={value}"),
    ):
        loaded = load(path, num_particles=5, columns=columns)
        same(loaded, jets)
        padded = int((~jets.mask).any(1).sum())
        said = [note for note in loaded.notes if f" {padded} jets padded by" in note]
        assert bool(said) == (len(columns) == 3)
    if not np.isnan(value):
        np.savez(tmp_path / "a.npz", x=np.where(x == value, 7, x))
        padding = (*columns[:3], "padding=7")
        same(load(path, num_particles=5, columns=padding), jets)


def test_nan_that_is_no_padding(jets, tmp_path):
    """In the middle, in one component, or beside zeros it is a defect."""
    columns = ("px=x[0]", "py=x[1]", "pz=x[2]")
    full, short = np.flatnonzero(jets.mask.all(1))[0], np.argmin(jets.mask.all(1))
    for place in ((full, 0), (full, 4, 1), (short, 0)):
        x = np.array(jets.particles)
        x[place] = np.nan
        np.savez(tmp_path / "a.npz", x=x)
        with pytest.raises(InputError, match=f"row {place[0]}: NaN or infinite"):
            load(str(tmp_path / "a.npz"), columns=columns)


@pytest.mark.parametrize("value", [np.nan, -999.0, -1.0])
@pytest.mark.parametrize("columns", [3, 4])
def test_padding_in_jetnet_files(make_jetnet, value, columns):
    def spoil(arrays):
        p = arrays["particle_features"]
        hidden = p[..., 3] == 0
        p[hidden, :3] = value
        arrays["particle_features"] = p[..., :columns]

    good, bad = load(str(make_jetnet("g.hdf5"))), make_jetnet("bad.hdf5", spoil=spoil)
    loaded = load(str(bad))
    np.testing.assert_array_equal(loaded.jets.particles, good.jets.particles)
    assert any("jets padded by" in note for note in loaded.notes)


# Units.


@pytest.mark.parametrize("unit, factor", [("GeV", 1.0), ("MeV", 1e-3), ("TeV", 1e3)])
def test_a_stated_unit_is_not_doubted(jets, tmp_path, unit, factor):
    """Jets of 5 GeV exist, in heavy ions or at e+e- colliders."""
    scale = 0.004 / factor
    np.savez(
        tmp_path / "a.npz",
        px=scale * jets.particles[..., 0],
        py=scale * jets.particles[..., 1],
        pz=scale * jets.particles[..., 2],
    )
    path = str(tmp_path / "a.npz")
    loaded = load(path, num_particles=5, columns=(*XYZ, f"unit={unit}"))
    np.testing.assert_allclose(
        loaded.jets.particles, 0.004 * np.asarray(jets.particles), rtol=1e-5
    )
    seen = look(path, columns=(*XYZ, f"unit={unit}"))
    assert not any("look like" in reason for reason in seen.reasons)
    if unit == "GeV":
        with pytest.raises(InputError, match="state its unit in the columns: unit=GeV"):
            load(path, columns=XYZ)


def test_the_unit_of_a_known_format(make_jetnet, make_hls4ml, make_jets, tmp_path):
    def spoil(arrays):
        arrays["jet_features"][:, 0] *= 1000

    bad, good = make_jetnet("bad.hdf5", spoil=spoil), make_jetnet("good.hdf5")
    loaded, wanted = load(str(bad), columns=("unit=MeV",)), load(str(good))
    np.testing.assert_allclose(
        loaded.jets.particles, wanted.jets.particles, rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(loaded.axis, wanted.axis, rtol=1e-5)
    for columns in (("select=a:1",), ("jets=each",), ("mask=m",)):
        with pytest.raises(InputError, match="needs the names of the columns"):
            load(str(good), columns=columns)
    with data.writer(tmp_path / "own.npz", num_particles=6) as writer:
        writer.append(make_jets(8, 6))
    own = load(str(tmp_path / "own.npz"), num_particles=6)
    # What this package writes is in GeV; a user may say otherwise.
    scaled = load(str(tmp_path / "own.npz"), num_particles=6, columns=("unit=TeV",))
    np.testing.assert_allclose(
        scaled.jets.particles, 1000 * own.jets.particles, rtol=1e-6
    )


# Files that are being written, folders.


KINDS = ("hdf5", "parquet", "root", "npz", "npy")


@pytest.mark.parametrize("kind", KINDS)
def test_the_content_outranks_the_name(kind, jets, tmp_path):
    """Of a file that was renamed, or has no suffix."""
    if kind == "npy":
        np.save(tmp_path / "a.npy", jets.particles)
        columns = ("px", "py", "pz")
    else:
        with data.writer(tmp_path / f"a.{kind}", num_particles=5) as writer:
            writer.append(Jets(jets.particles, jets.mask))
        columns = ()
    whole = (tmp_path / f"a.{kind}").read_bytes()
    for name in ("b", "b.dat", "b.csv", "b.xyz", *(f"b.{k}" for k in KINDS)):
        (tmp_path / name).write_bytes(whole)
        same(load(str(tmp_path / name), num_particles=5, columns=columns), jets)


def zipped(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


UNREAD = {
    "gzip": (gzip.compress(b"x"), "is compressed .gzip.: decompress it"),
    "bzip2": (bz2.compress(b"x"), "is compressed .bzip2.: decompress it"),
    "xz": (lzma.compress(b"x"), "is compressed .xz.: decompress it"),
    "pickle": (pickle.dumps([1.0]), "is a pickle, which is never loaded"),
    "torch": (zipped("model/data.pkl"), "of torch is a pickle, which is never loaded"),
    "zip": (zipped("jets.hdf5"), "is a zip archive: unpack it"),
    "html": (b"\n<!DOCTYPE html><html>", "is a web page: fetch the data again"),
}


@pytest.mark.parametrize("kind", UNREAD)
@pytest.mark.parametrize("suffix", ["pkl", *KINDS])
def test_files_that_are_not_read_say_what_to_do(kind, suffix, tmp_path):
    content, words = UNREAD[kind]
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.{suffix}: {words}"):
        load(str(path))


def test_a_text_may_begin_like_another_kind(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("PAR1,root,BZh9\n1,2,3\n4,5,6\n")
    with containers.opened(path) as table:
        assert set(table.names) == {"PAR1", "root", "BZh9"}


def test_a_file_under_another_suffix_is_not_replaced(jets, tmp_path):
    """A table of numbers may be, and jets of a user may not."""
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n")
    containers.check_replaceable(path, "--x", "jetvae_jax")
    with h5py.File(path, "w") as file:
        file["px"] = jets.particles[..., 0]
    os.mkfifo(tmp_path / "pipe.csv")
    os.symlink("nothing", tmp_path / "link.csv")
    for name in ("a.csv", "pipe.csv", "link.csv"):
        with pytest.raises(InputError, match="--x: there is a file that this command"):
            containers.check_replaceable(tmp_path / name, "--x", "jetvae_jax")


@pytest.mark.parametrize("written", [True, False])
def test_a_file_that_another_process_writes(tmp_path, written):
    path = tmp_path / "a.hdf5"
    text = f"import h5py; f = h5py.File({str(path)!r}, 'w'); "
    text += "f['particle_features'] = [[[1.0]]]; " + ("f.flush(); " * written)
    text += "print('open', flush=True); input()"
    writer = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(InputError, match="another process that writes it"):
            load(str(path))
    finally:
        writer.communicate(b"\n")
    with pytest.raises(InputError, match="jet_features"):
        load(str(path))


def test_subfolders_are_searched_if_the_folder_holds_nothing(jets, tmp_path):
    for name in ("part=0", "part=1", "_temporary", ".hidden"):
        (tmp_path / name).mkdir()
        with data.writer(tmp_path / name / "x.npz", num_particles=5) as writer:
            writer.append(jets if name == "part=0" else jets._replace(
                particles=2 * jets.particles))  # fmt: skip
    loaded = load(str(tmp_path), num_particles=5)
    assert len(loaded.jets.mask) == 24
    with data.writer(tmp_path / "x.npz", num_particles=5) as writer:
        writer.append(jets)
    same(load(str(tmp_path), num_particles=5), jets)


def test_names_of_rntuples_are_unique(tmp_path):
    """A record's fields have the names of other columns."""
    ak = pytest.importorskip("awkward")
    uproot = pytest.importorskip("uproot")
    from jetvae_jax import events as tables

    part = ak.Array([[{"pt": 1.0}], [{"pt": 2.0}, {"pt": 3.0}]])
    with uproot.recreate(tmp_path / "a.root") as file:
        columns = {"pt": np.array([5.0, 6.0]), "mass": np.array([1.0, 2.0])}
        file.mkrntuple("t", columns | {"part": part, "gen": part})
    found = tables.load(str(tmp_path / "a.root"), columns=("pt", "mass"))
    np.testing.assert_array_equal(found.values, [[5, 1], [6, 2]])
    with pytest.raises(InputError, match=r"holds lists|expected numbers"):
        tables.load(str(tmp_path / "a.root"))


@pytest.mark.parametrize("suffix", ["h5", "npy", "npz"])
def test_events_in_groups_and_records(tmp_path, suffix):
    from jetvae_jax import events as tables

    values = np.random.default_rng(0).normal(size=(9, 2)).astype(np.float32)
    records = values.view([("pt", "f4"), ("mass", "f4")])[:, 0]
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        names = ("array.pt", "array.mass")
        np.save(path, records)
    elif suffix == "npz":
        names = ("x.pt", "x.mass")
        np.savez(path, x=records)
    else:
        names = ("events/pt", "events/mass")
        with h5py.File(path, "w") as file:
            file["events/pt"], file["events/mass"] = values.T
    found = tables.load(str(path), columns=names)
    np.testing.assert_array_equal(found.values, values)
    assert set(tables.load(str(path)).names) == set(names)
    with pytest.raises(InputError, match="did you mean"):
        tables.load(str(path), columns=(names[0], names[1] + "s"))


def lists_file(path, jets, **how):
    """Lists of HDF5, and where their first reference and their collection are."""
    kind = h5py.vlen_dtype(np.float32)
    with h5py.File(path, "w") as file:
        for i, name in enumerate(("px", "py", "pz")):
            rows = file.create_dataset(name, (12,), kind, **how)
            for j, m in enumerate(jets.mask):
                rows[j] = jets.particles[j, m, i]
        place = None if how else file["px"].id.get_offset()
    return place, path.read_bytes()


def test_compressed_lists_of_hdf5(jets, tmp_path):
    for how in (
        {"chunks": (5,)},
        {"chunks": (5,), "compression": "gzip", "shuffle": True},
    ):
        lists_file(tmp_path / "a.h5", jets, **how)
        same(load(str(tmp_path / "a.h5"), num_particles=5, columns=XYZ), jets)
    lists_file(tmp_path / "a.h5", jets, chunks=(5,), compression="lzf")
    with pytest.raises(InputError, match="use gzip"):
        load(str(tmp_path / "a.h5"), columns=XYZ)


def test_damaged_lists_of_hdf5_end(jets, tmp_path):
    """HDF5 itself would allocate gigabytes, or never return."""
    path = tmp_path / "a.h5"
    place, whole = lists_file(path, jets)
    heap = whole.index(b"GCOL")
    for at, content in (
        (place, b"\xff\xff\xff\x7f"),  # length
        (place + 4, b"\x10\x01"),  # address
        (place + 12, b"\xff\x0f"),  # index
        (heap + 16, bytes(16)),  # an object of size zero
        (heap + 8, b"\xff" * 8),  # size of the collection
        (heap, b"XXXX"),
    ):
        path.write_bytes(whole[:at] + content + whole[at + len(content) :])
        with pytest.raises(InputError, match="truncated or damaged"):
            load(str(path), columns=XYZ)


@pytest.mark.parametrize("masked", [False, True])
def test_codes_of_padding_become_zeros(masked):
    """Particles keep their values, and so do numbers that are no code for padding."""
    rng = np.random.default_rng(4)
    codes = [[np.nan] * 3, [-999] * 3, [-1] * 3] + masked * [[-99, -150, -999]]
    x = rng.uniform(0.1, 1, (40, 6, 3 + masked)).astype(np.float32)
    numbers = rng.integers(1, 6, 40)
    expected = x.copy()
    for jet, number in enumerate(numbers):
        x[jet, number:, :3] = codes[jet % len(codes)]
        expected[jet, number:, :3] = 0
        if masked:
            x[jet, :, 3] = expected[jet, :, 3] = np.arange(6) < number
    if masked:
        numbers[0] = 3
        x[0] = expected[0] = rng.uniform(-0.5, 1, (6, 4))
        x[0, 3:, 3] = expected[0, 3:, 3] = 0  # numbers beside the mask, but no code
    audit = validation.Audit("jets.hdf5", repair=False)
    formats.clear_padding(audit, x)
    np.testing.assert_array_equal(x, expected)
    counts = [int(note.split(": ")[1].split()[0]) for note in audit.notes]
    assert sum(counts) == 40 - masked and all("padded by" in n for n in audit.notes)
