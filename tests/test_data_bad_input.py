"""Readers: every bad file is one clear line, or counted and repaired."""

import os
import pathlib
import re

import h5py
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load

P, J, E = "particle_features", "jet_features", "jet_extra"
REPAIR = "--data.repair"


def put(key, index, value):
    def spoil(arrays):
        arrays[key][index] = value

    return spoil


def drop(key):
    return lambda arrays: arrays.pop(key)


def replace(key, change):
    def spoil(arrays):
        arrays[key] = change(arrays[key])

    return spoil


def both(*spoils):
    def spoil(arrays):
        for one in spoils:
            one(arrays)

    return spoil


def one_line(error):
    message = str(error.value)
    text = re.sub(r"/\S*/", "", message)  # without the folder
    assert "\n" not in text and len(text) < 340
    return message


# Whole-file problems: (spoil, words of the message beside the file's name).
FILES = {
    "no particles": (drop(P), [P, "missing key"]),
    "no jets": (drop(J), [J, "missing key", P]),
    "rank": (replace(P, lambda a: a[0]), [P, "shape is (6, 4)"]),
    "two columns": (replace(P, lambda a: a[..., :2]), [P, "(8, 6, 2)", "etarel"]),
    "jet columns": (replace(J, lambda a: a[:, :3]), [J, "(8, 3)", "num_particles"]),
    "lengths differ": (replace(J, lambda a: a[:5]), [J, "(5, 4)", "8"]),
    "extra length": (replace(E, lambda a: a[:5]), [E, "(5, 4)", "8"]),
    "no rows": (
        both(*(replace(k, lambda a: a[:0]) for k in (P, J, E))),
        [P, "no jets"],
    ),
    "no particles axis": (replace(P, lambda a: a[:, :0]), [P, "(8, 0, 4)"]),
    "text": (replace(P, lambda a: np.full(a.shape, b"x")), [P, "dtype", "numbers"]),
    "complex": (replace(P, lambda a: a.astype(complex)), [P, "dtype", "numbers"]),
    "TeV": (replace(J, lambda a: a / 1000), ["median jet pt", "TeV", "GeV"]),
    "MeV": (replace(J, lambda a: a * [1000, 1, 1, 1]), ["median jet pt", "MeV"]),
    "unknown layout": (
        lambda arrays: [arrays.pop(k) for k in (P, J)],
        ["keys are jet_extra", P, "jetConstituentList"],
    ),
}

# Bad rows: (spoil, key, first row, rows, words).
ROWS = {
    "NaN": (put(P, (3, 0, 1), np.nan), P, 3, 1, "NaN"),
    "infinite": (put(P, ([2, 5], 0, 0), np.inf), P, 2, 2, "infinite"),
    "jet NaN": (put(J, (4, 1), np.nan), J, 4, 1, "NaN"),
    "phi NaN": (put(E, (6, 0), np.nan), E, 6, 1, "phi is NaN"),
    "beyond float32": (
        both(replace(P, lambda a: a.astype(np.float64)), put(P, (1, 0, 0), 1e300)),
        P,
        1,
        1,
        "infinite",
    ),
    "far forward": (put(P, (1, 0, 0), 500.0), P, 1, 1, "infinite momentum"),
    "all padding": (put(P, slice(5, 8), 0), P, 5, 3, "padding"),
    "half mask": (put(P, (7, 0, 3), 0.5), P, 7, 1, "neither 0 nor 1"),
    "negative ptrel": (put(P, (2, 1, 2), -0.1), P, 2, 1, "negative ptrel"),
    "zero ptrel": (put(P, (2, 1, 2), 0), P, 2, 1, "zero pt"),
    "ptrel in GeV": (put(P, ([0, 1], 0, 2), 700), P, 0, 2, "sum of ptrel"),
    "negative pt": (put(J, (3, 0), -900), J, 3, 1, "pt is zero or negative"),
    "zero pt": (put(J, (3, 0), 0), J, 3, 1, "pt is zero or negative"),
}


@pytest.mark.parametrize("name", FILES)
def test_bad_file(make_jetnet, name):
    spoil, words = FILES[name]
    path = make_jetnet("bad.hdf5", spoil=spoil)
    for repair in (False, True):
        with pytest.raises(InputError) as error:
            load(str(path), repair=repair)
        message = one_line(error)
        for word in ("bad.hdf5", *words):
            assert word in message


@pytest.mark.parametrize("name", ROWS)
def test_bad_rows_stop_or_are_dropped(make_jetnet, name):
    spoil, key, row, count, words = ROWS[name]
    path = make_jetnet("bad.hdf5", spoil=spoil)
    with pytest.raises(InputError) as error:
        load(str(path))
    message = one_line(error)
    rows = "1 row" if count == 1 else f"{count} rows"
    for word in ("bad.hdf5", f"{key}: row {row}:", words, rows, REPAIR):
        assert word in message

    repaired = load(str(path), repair=True)
    assert len(repaired.jets.mask) == 8 - count
    assert any(f"{rows} dropped" in note for note in repaired.notes)
    good = load(str(make_jetnet("good.hdf5"))).jets.particles
    kept = np.setdiff1d(np.arange(8), _bad_rows(name))
    np.testing.assert_array_equal(repaired.jets.particles, good[kept])


def _bad_rows(name):
    special = {"infinite": [2, 5], "all padding": [5, 6, 7], "ptrel in GeV": [0, 1]}
    return special.get(name, [ROWS[name][2]])


def test_padding_before_particles_is_reordered(make_jetnet, make_jets):
    def spoil(arrays):
        arrays[P][2] = np.roll(arrays[P][2], 1, axis=0)
        # The jet needs padding for a hole.
        arrays[P][2, 0] = 0

    path = make_jetnet("bad.hdf5", spoil=spoil)
    with pytest.raises(InputError, match=r"bad\.hdf5: .*row 2: padding before .*1 row"):
        load(str(path))
    repaired = load(str(path), repair=True, num_particles=6)
    assert any("1 row reordered" in note for note in repaired.notes)
    jets = repaired.jets
    assert len(jets.mask) == 8
    assert not np.any(jets.mask[:, 1:] & ~jets.mask[:, :-1])
    count = jets.mask[2].sum()
    np.testing.assert_array_equal(
        jets.particles[2, :count], make_jets().particles[2, :count]
    )


def test_a_row_is_counted_once_and_the_first_problem_is_told(make_jetnet):
    path = make_jetnet(spoil=both(put(P, (4, 0, 2), np.nan), put(J, (4, 0), -1)))
    notes = load(str(path), repair=True).notes
    assert sum("dropped" in note for note in notes) == 1


def test_rows_beyond_max_jets_do_not_matter(make_jetnet):
    path = make_jetnet(spoil=put(P, (6, 0, 0), np.nan))
    assert len(load(str(path), max_jets=6).jets.mask) == 6


def test_repair_that_leaves_nothing(make_jetnet):
    path = make_jetnet("bad.hdf5", spoil=put(P, np.s_[...], np.nan))
    with pytest.raises(InputError, match=r"bad\.hdf5.*no good jet"):
        load(str(path), repair=True)


C, N = "jetConstituentList", "particleFeatureNames"
HLS4ML = {
    "no jets": (drop("jets"), ["jets: missing key"]),
    "no constituents": (drop(C), [C, "missing key"]),
    "no names": (drop(N), [N, "missing key"]),
    "names are numbers": (replace(N, lambda a: np.arange(17)), [N, "column names"]),
    "no px": (put(N, 0, b"px"), [N, "j1_px"]),
    "only 15 columns": (
        both(
            replace(C, lambda a: a[..., :2]),
        ),
        [N, "j1_pz", "2 columns"],
    ),
    "no gluon column": (put("jetFeatureNames", -6, b"g"), ["jetFeatureNames", "j_g"]),
    "not one-hot": (put("jets", (4, slice(-6, None)), 1), ["jets: row 4", "one-hot"]),
    "NaN": (put(C, (5, 0, 2), np.nan), [f"{C}: row 5", "NaN", "1 row", REPAIR]),
    "padding": (put(C, 5, 0), [f"{C}: row 5", "padding", REPAIR]),
    "TeV": (replace(C, lambda a: a / 1000), [C, "TeV"]),
    "lengths differ": (replace("jets", lambda a: a[:5]), ["jets", "(5, 11)", "10"]),
}


@pytest.mark.parametrize("name", HLS4ML)
def test_bad_hls4ml_file(make_hls4ml, name):
    spoil, words = HLS4ML[name]
    path = make_hls4ml("bad.h5", spoil=spoil)
    with pytest.raises(InputError) as error:
        load(str(path))
    message = one_line(error)
    for word in ("bad.h5", *words):
        assert word in message


def test_hls4ml_without_jets_of_the_class(make_hls4ml):
    path = make_hls4ml("bad.h5", classes="qwz")
    with pytest.raises(InputError, match=r"bad\.h5: .*no jet of type 'g'"):
        load(str(path))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"num_particles": 0}, "num_particles is 0"),
        ({"num_particles": -3}, "num_particles is -3"),
        ({"num_particles": 10**9}, "num_particles is 1000000000"),
        ({"max_jets": 0}, "max_jets is 0"),
        ({"jet_type": "gluon"}, "jet_type is 'gluon': choose one of g, q, t, w, z"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_request(request_, words):
    with pytest.raises(InputError, match=words):
        load("embedded", **request_)


def test_paths_that_hold_no_data(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.hdf5: no such file"):
        load(str(tmp_path / "nowhere.hdf5"))
    with pytest.raises(InputError, match="no such file"):
        load("")
    with pytest.raises(InputError, match=r"folder holds no .*\.h5"):
        load(str(tmp_path))
    for name, content, words in (
        ("empty.hdf5", b"", "empty"),
        ("text.hdf5", b"etarel,phirel\n" * 99, "not an HDF5 file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}.*{words}"):
            load(str(tmp_path / name))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(make_jetnet):
    path = make_jetnet()
    path.chmod(0)
    with pytest.raises(InputError, match=r"g\.hdf5: cannot be read"):
        load(str(path))


def test_mixed_folders(make_jetnet, make_hls4ml, tmp_path):
    make_jetnet("g.hdf5")
    make_jetnet("g150.hdf5", num_particles=9)
    with pytest.raises(InputError, match=r"g\.hdf5 and g150\.hdf5 .*different numbers"):
        load(str(tmp_path))
    make_hls4ml("a.h5")
    with pytest.raises(InputError, match=r"a\.h5 and g\.hdf5 .*different formats"):
        load(str(tmp_path))


def test_truncated_file(make_jetnet):
    path = make_jetnet("cut.hdf5", num_jets=500)
    content = path.read_bytes()
    for part in (0.3, 0.6, 0.99):
        path.write_bytes(content[: int(part * len(content))])
        with pytest.raises(InputError, match=r"cut\.hdf5: cannot read"):
            load(str(path))


def test_damaged_chunk(tmp_path, make_jetnet):
    source = make_jetnet(num_jets=500)
    path = tmp_path / "damaged.hdf5"
    with h5py.File(source) as old, h5py.File(path, "w") as new:
        for key in old:
            new.create_dataset(
                key, data=old[key][:], compression="gzip", chunks=True, fletcher32=True
            )
        where = new[P].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    middle = where.byte_offset + where.size // 2
    content[middle : middle + 16] = bytes(16)
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"damaged\.hdf5: cannot read {P}, rows 0 to"):
        load(str(path))


def test_random_damage_is_never_a_traceback(make_jetnet):
    path = make_jetnet(num_jets=20)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    stopped = 0
    for _ in range(150):
        spoiled = bytearray(content)
        for place in rng.integers(0, 2500, 3):
            spoiled[place] = rng.integers(256)
        path.write_bytes(spoiled)
        try:
            load(str(path), repair=bool(rng.integers(2)))
        except InputError as error:
            assert "\n" not in str(error)
            stopped += 1
    assert stopped > 20


def links(path: pathlib.Path, kind: str, other: pathlib.Path):
    with h5py.File(path, "a") as file:
        shape = file[P].shape
        del file[P]
        if kind == "external link":
            file[P] = h5py.ExternalLink(str(other), P)
        elif kind == "soft link":
            file[P] = h5py.SoftLink("/other")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "f4")
            layout[:] = h5py.VirtualSource(str(other), P, shape)
            file.create_virtual_dataset(P, layout)
        elif kind == "external storage":
            size = 4 * int(np.prod(shape))
            file.create_dataset(P, shape, "f4", external=[(str(other), 0, size)])
        elif kind == "group":
            file.create_group(P)
        elif kind == "absurd shape":
            file.create_dataset(P, (2**40, 30, 4), "f4", chunks=(64, 30, 4))
        elif kind == "absurd chunk":
            file.create_dataset(
                P, shape, "f4", chunks=(2**20, 6, 4), maxshape=(None, 6, 4)
            )


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("external link", "is a link"),
        ("soft link", "is a link"),
        ("virtual", "in other files"),
        ("external storage", "in other files"),
        ("group", "is a group"),
        ("absurd shape", "impossible"),
        ("absurd chunk", "impossible"),
    ],
)
def test_data_elsewhere_or_impossible_is_refused(make_jetnet, kind, words):
    other, path = make_jetnet("other.hdf5"), make_jetnet("bad.hdf5")
    links(path, kind, other)
    with pytest.raises(InputError, match=rf"bad\.hdf5: {P}: .*{words}"):
        load(str(path))
