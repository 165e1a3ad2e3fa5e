"""Tables of events in every container, and what is wrong with them."""

import json

import h5py
import numpy as np
import pytest

from jetvae_jax import events
from jetvae_jax.core.errors import InputError
from jetvae_jax.events import writer
from jetvae_jax.events.kinds import find as find_kinds
from jetvae_jax.events.loading import find

NAMES = ("mass", "MET", "Nj")


def sample(num=50):
    rng = np.random.default_rng(0)
    values = np.stack(
        [rng.normal(90, 3, num), rng.exponential(20, num), rng.poisson(1, num)], axis=1
    )
    return values.astype(np.float32)


@pytest.fixture(params=[".hdf5", ".h5", ".parquet", ".root", ".npz", ".csv"])
def written(request, tmp_path):
    for package in {".parquet": ["pyarrow"], ".root": ["uproot", "awkward"]}.get(
        request.param, []
    ):
        pytest.importorskip(package)
    path = tmp_path / "sub" / f"x{request.param}"
    writer.write(path, sample(), NAMES, {"process": "toy"})
    return path


def test_what_is_written_is_read(written):
    found = events.load(str(written))
    np.testing.assert_array_equal(found.values, sample())
    assert found.values.dtype == np.float32 and found.names == NAMES
    assert found.notes == () and found.source["events"] == 50
    facts = found.source["provenance"]
    assert facts == (None if written.suffix == ".csv" else {"process": "toy"})
    assert [p.name for p in written.parent.iterdir()] == [written.name]
    json.dumps(found.source)


def test_columns_by_name_in_the_order_asked_for(written):
    found = events.load(str(written), columns=("Nj", "mass"), max_events=7)
    np.testing.assert_array_equal(found.values, sample()[:7, [2, 0]])
    assert found.names == ("Nj", "mass")
    more = events.load(str(written), max_events=99)
    assert more.notes == (f"{written}: 99 events asked for, 50 found",)
    with pytest.raises(InputError, match=r"maas: missing column \(did you mean 'mass'"):
        events.load(str(written), columns=("maas",))


def test_a_damaged_file_is_one_line(written):
    content = written.read_bytes()
    written.write_bytes(content[: len(content) // 2])
    if written.suffix == ".csv":
        written.write_bytes(content[:-40] + b"\x00\xff")
    with pytest.raises(InputError, match=f"^{written}") as error:
        events.load(str(written))
    assert "\n" not in str(error.value)


def test_the_same_events_are_the_same_bytes(tmp_path):
    for name in ("a.hdf5", "b.hdf5"):
        writer.write(tmp_path / name, sample(), NAMES, {"b": 1, "a": [2]})
    one, two = ((tmp_path / name).read_bytes() for name in ("a.hdf5", "b.hdf5"))
    assert one == two


def test_nothing_is_left_of_a_failed_file(tmp_path):
    with pytest.raises(InputError, match="unknown suffix"):
        writer.write(tmp_path / "x.xls", sample(), NAMES, {})
    with pytest.raises(ValueError, match="do not have 2 columns"):
        writer.write(tmp_path / "x.csv", sample(), NAMES[:2], {})
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        writer.write(tmp_path / "x.csv", sample(), NAMES, {})
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


# Layouts of other people


def one_data_set_a_column(file):
    for name, column in zip(NAMES, sample().T, strict=True):
        file[name] = column


def matrix_and_names_beside(file):
    file["data"] = sample()
    file["features"] = np.array(NAMES, "S")


def matrix_with_text_attribute(file):
    file["data"] = sample().astype(np.float64)
    file["data"].attrs["columns"] = list(NAMES)
    file["other"] = np.arange(3)


def records(file):
    table = np.rec.fromarrays(
        [sample()[:, 0], sample()[:, 1], sample()[:, 2].astype(int)], names=NAMES
    )
    file["events"] = table


def pandas_table(file):
    records(file)
    indexed = np.rec.fromarrays([np.arange(50), *sample().T], names=("index", *NAMES))
    file["df/table"] = indexed
    del file["events"]


def pandas_fixed(file):
    file["df/axis0"] = np.array(NAMES, "S")
    for number, places in enumerate(([0, 1], [2])):
        file[f"df/block{number}_items"] = np.array([NAMES[i] for i in places], "S")
        file[f"df/block{number}_values"] = sample()[:, places]


@pytest.mark.parametrize(
    "fill",
    [
        one_data_set_a_column, matrix_and_names_beside, matrix_with_text_attribute,
        records, pandas_table, pandas_fixed,
    ],
)  # fmt: skip
def test_layouts_of_hdf5(fill, tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    found = events.load(str(path), columns=NAMES)
    np.testing.assert_array_equal(found.values, sample())


def test_one_table_of_several(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("first", "second")):
            file[name] = sample() + number
            file[name].attrs["names"] = np.array(NAMES, "S")
        file["lone"] = np.arange(5)
    with pytest.raises(InputError, match=r"several tables.*first, second"):
        events.load(str(path))
    with pytest.raises(InputError, match="third: no such table"):
        events.load(str(path), key="third")
    with pytest.raises(InputError, match="lone: is not a table"):
        events.load(str(path), key="lone")
    found = events.load(str(path), key="second")
    np.testing.assert_array_equal(found.values, sample() + 1)


def test_pickled_names_of_pandas_are_not_read(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["df/table"] = np.array(
            [(0, [1.0, 2.0])], [("index", int), ("values_block_0", float, 2)]
        )
    with pytest.raises(InputError, match="data_columns=True"):
        events.load(str(path))


@pytest.mark.parametrize(
    ("head", "separator"),
    [("mass,MET,Nj", ","), ("mass;MET;Nj", ";"), ("# mass MET Nj", " ")],
)
def test_text_of_any_separator(head, separator, tmp_path):
    path = tmp_path / "x.txt"
    lines = [separator.join(map(repr, map(float, row))) for row in sample()]
    path.write_text("\n".join([head, *lines, ""]))
    np.testing.assert_array_equal(events.load(str(path)).values, sample())


def test_arrays_of_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, X=sample(), features=np.array(NAMES), process=np.array("toy"))
    np.testing.assert_array_equal(events.load(str(path)).values, sample())
    columns = dict(zip(NAMES, sample().T, strict=True))
    np.savez(path, **columns, text=np.array(["a"] * 50))
    found = events.load(str(path), columns=NAMES)
    np.testing.assert_array_equal(found.values, sample())
    with pytest.raises(InputError, match="text: dtype is <U1, expected numbers"):
        events.load(str(path), columns=("text", "mass"))


# Mistakes


def spoil(written, row, column, value):
    values = sample()
    values[row, column] = value
    writer.write(written, values, NAMES, {})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bad_numbers_stop_or_are_dropped(written, value):
    spoil(written, [4, 9], 1, value)
    with pytest.raises(InputError, match=r"MET: row 4: not finite \(2 rows in all\)"):
        events.load(str(written))
    found = events.load(str(written), repair=True)
    np.testing.assert_array_equal(found.values, np.delete(sample(), [4, 9], axis=0))
    assert len(found.notes) == 1 and "2 rows dropped" in found.notes[0]
    # What is not asked for cannot be wrong.
    assert len(events.load(str(written), columns=("mass",)).values) == 50


def test_a_constant_column_is_named(written):
    spoil(written, slice(None), 2, 3.0)
    with pytest.raises(InputError, match=r"Nj: constant \(3\) in all 50 events"):
        events.load(str(written))


def test_an_empty_table_is_named(written):
    writer.write(written, sample()[:0], NAMES, {})
    with pytest.raises(InputError, match=f"^{written}"):
        events.load(str(written))


def test_all_rows_bad(written):
    spoil(written, slice(None), 1, np.nan)
    with pytest.raises(InputError, match="0 good events"):
        events.load(str(written), repair=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("1,2,3\n4,5,6\n", "must name the columns"),
        ("a,a\n1,2\n", "twice"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells, but the first line names 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3: 3 cells"),
        ("a,b\n1,2\n3,x\n", "b: line 3: 'x' is not a number"),
        ("a,b\n1,2\n3,\n", r"b: row 1: not finite \(1 row in all\)"),
        ("a,b\n", "0 good events"),
        ("a,b\n1,2\n", "1 good events"),
        ("a,b\n1,2\n1e39,4\n", "a: row 1: not finite"),
    ],
)
def test_mistakes_in_text(text, message, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        events.load(str(path))
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)


def test_a_text_column_that_nobody_asks_for(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,x,\n3,y,4\n5,z,6\n")
    assert events.load(str(path), columns=("a",)).values.tolist() == [[1], [3], [5]]
    found = events.load(str(path), columns=("a", "c"), repair=True)
    assert found.values.tolist() == [[3, 4], [5, 6]]


def test_lists_and_unequal_columns(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.arange(5), np.arange(6)
        file["wide"] = np.ones((5, 2))
    with pytest.raises(InputError, match="different lengths: a 5, b 6"):
        events.load(str(path), columns=("a", "b"))
    with pytest.raises(InputError, match=r"wide: shape is .*one number an event"):
        events.load(str(path), columns=("a", "wide"))
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    path = tmp_path / "x.parquet"
    table = pa.table({"a": [1.0, 2.0], "list": [[1.0], [2.0, 3.0]], "t": ["x", "y"]})
    pyarrow.parquet.write_table(table, path)
    with pytest.raises(InputError, match="list: holds lists"):
        events.load(str(path), columns=("a", "list"))
    with pytest.raises(InputError, match="t: type is string"):
        events.load(str(path), columns=("a", "t"))


def test_requests_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match=r"^nowhere\.h5: no such file"):
        events.load("nowhere.h5")
    with pytest.raises(InputError, match="is a folder; give a table of events"):
        events.load(str(tmp_path))
    with pytest.raises(InputError, match="max_events is 1"):
        events.load(max_events=1)
    path = tmp_path / "x.csv"
    writer.write(path, sample(), NAMES, {})
    with pytest.raises(InputError, match="mass: column is listed twice"):
        events.load(str(path), columns=("mass", "mass"))


# The samples in the package


@pytest.mark.parametrize(
    ("spec", "rows", "process"),
    [
        ("embedded", 20_000, "background"),
        ("embedded:background", 20_000, "background"),
        ("embedded:signal", 2_000, "signal200"),
    ],
)
def test_embedded_samples(spec, rows, process):
    found = events.load(spec)
    assert found.values.shape == (rows, 18) and found.notes == ()
    facts = found.source["provenance"]
    assert facts["process"] == process and "pythia8mc" in facts["generator"]
    kinds = find_kinds(found.names, found.values).kinds
    counted = {
        n for n, k in zip(found.names, kinds, strict=True) if k.name == "integer"
    }
    assert counted == {"Nj", "Ncj"}
    column = dict(zip(found.names, found.values.T.astype(np.float64), strict=True))
    for name in ("phi_zy", "phi_ll", "MET_phi"):
        assert column[name].min() >= -np.pi and column[name].max() < np.pi
    np.testing.assert_allclose(
        column["llpt_mlly"], column["pt_ll"] / column["mlly"], rtol=1e-3
    )
    if process == "background":
        assert 90 < np.median(column["mll"]) < 92 and len(np.unique(column["Nj"])) > 4
    else:
        assert 198 < np.median(column["mlly"]) < 201


def test_embedded_samples_are_small():
    for spec in ("embedded", "embedded:signal"):
        assert find(spec).stat().st_size < 1_500_000
