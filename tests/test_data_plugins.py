"""A format and a container in a folder of the user are read and written like ours."""

import json
import sys

import numpy as np
import pytest

from jetvae_jax import data, events
from jetvae_jax.core.errors import InputError
from jetvae_jax.data import containers
from jetvae_jax.events.writer import write as write_events

FORMAT = '''
"""Momenta in GeV, "momenta [J, N, 3]", and a mask, "exists [J, N]"."""

import numpy as np

from jetvae_jax.data import formats
from jetvae_jax.data.validation import Block

EXPECTS = "momenta and exists (mine)"


def matches(table):
    return {"momenta", "exists"} <= set(table.names)


class Reader(formats.Reader):
    key = "momenta"

    def blocks(self, wanted, audit):
        names = [self.key, "exists"]
        total = self.table.num_rows(names)
        stop = total if wanted.max_jets is None else min(total, wanted.max_jets)
        start = 0
        for block in self.table.blocks(names, 7, stop):
            p, mask = block[self.key].astype(np.float32), block["exists"]
            rows = np.arange(start, start + len(p))
            start += len(p)
            pt = np.hypot(p[..., 0], p[..., 1])
            yield Block(rows, p, mask, pt, np.ones(len(p), bool))
'''

CONTAINER = '''
"""JSON lines: one object a row, lists as lists, metadata in the first line."""

import contextlib
import json

import numpy as np

from jetvae_jax.data.containers.tables import Ragged

SUFFIXES, JETS = (".jsonl",), True


@contextlib.contextmanager
def opened(path, tree=""):
    with open(path) as file:
        yield Lines(str(path), [json.loads(line) for line in file])


class Lines:
    def __init__(self, path, lines):
        self.path, self.metadata, self.rows = path, lines[0], lines[1:]
        self.names = tuple(self.rows[0]) if self.rows else ()

    def num_rows(self, names):
        return len(self.rows)

    def blocks(self, names, size, stop):
        for start in range(0, stop, size):
            rows = self.rows[start : min(start + size, stop)]
            yield {name: column([row[name] for row in rows]) for name in names}


def column(values):
    if not isinstance(values[0], list):
        return np.array(values)
    counts = np.array([len(v) for v in values])
    return Ragged(np.array([x for v in values for x in v], np.float32), counts)


def create(path, fields, name):
    return Writer(path)


class Writer:
    def __init__(self, path):
        self.path, self.lines = path, []

    def write(self, columns):
        lists = {}
        for name, values in columns.items():
            if isinstance(values, Ragged):
                parts = np.split(values.values, np.cumsum(values.counts)[:-1])
                lists[name] = [part.tolist() for part in parts]
            else:
                lists[name] = values.tolist()
        rows = zip(*lists.values(), strict=True)
        self.lines += [dict(zip(lists, row, strict=True)) for row in rows]

    def finish(self, metadata):
        with open(self.path, "w") as file:
            for line in [metadata, *self.lines]:
                file.write(json.dumps(line) + "\\n")

    def close(self):
        pass
'''


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    folder = tmp_path / "plugins"
    for kind, name, text in (
        ("formats", "mine", FORMAT),
        ("containers", "jsonl", CONTAINER),
    ):
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"{name}.py").write_text(text)
    monkeypatch.setenv("JETVAE_PLUGINS", str(folder))
    yield folder
    for module in [name for name in sys.modules if name.startswith("jetvae_plugins_")]:
        del sys.modules[module]


@pytest.fixture
def jets(make_jets):
    return make_jets(50, 6)


def test_a_format_is_read(plugins, jets, tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, momenta=jets.particles, exists=jets.mask)
    loaded = data.load(str(path), num_particles=6)
    np.testing.assert_array_equal(loaded.jets.particles, jets.particles)
    np.testing.assert_array_equal(loaded.jets.mask, jets.mask)
    assert loaded.source["layout"] == "mine" and loaded.axis is None
    few = data.load(str(path), num_particles=6, max_jets=9)
    np.testing.assert_array_equal(few.jets.particles, jets.particles[:9])
    seen = data.inspection.look(path)
    assert seen.summary["layout"] == "mine" and seen.jets["eta"].shape == (50,)
    # It goes before a format of the package that would fit, too.
    columns = dict.fromkeys(("part_px", "part_py", "part_pz"), np.ones((50, 6)))
    np.savez(path, momenta=jets.particles, exists=jets.mask, **columns)
    assert data.load(str(path)).source["layout"] == "mine"


def test_what_fits_no_format_names_all(plugins, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    with pytest.raises(InputError, match="momenta and exists \\(mine\\)") as error:
        data.load(str(tmp_path / "a.npz"))
    for name in ("JetNet", "hls4ml", "top tagging", "EnergyFlow", "JetClass"):
        assert name in str(error.value)


def test_a_container_is_written_and_read(plugins, jets, tmp_path):
    path = tmp_path / "jets.jsonl"
    with data.writer(path, num_particles=6, attrs={"generator": "made up"}) as writer:
        writer.append(jets)
    first, *rows = path.read_text().splitlines()
    assert json.loads(first)["units"]["jet_mass"] == "GeV" and len(rows) == 50
    loaded = data.load(str(path), num_particles=6)
    np.testing.assert_array_equal(loaded.jets.mask, jets.mask)
    np.testing.assert_array_equal(loaded.jets.particles, jets.particles)
    assert loaded.source["generator"] == "made up"
    assert loaded.source["layout"] == "columns"
    # Found in a folder, too.
    assert data.load(str(tmp_path), num_particles=6).source["files"] == ["jets.jsonl"]


def test_a_container_of_events(plugins, tmp_path):
    values = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    write_events(tmp_path / "x.jsonl", values, ("a", "b"), {"process": "toy"})
    found = events.load(str(tmp_path / "x.jsonl"))
    np.testing.assert_array_equal(found.values, values)
    assert found.names == ("a", "b")
    assert found.source["provenance"] == {"process": "toy"}


def test_without_plug_ins_the_suffix_is_unknown(tmp_path):
    assert ".jsonl" not in containers.suffixes()
    with pytest.raises(InputError, match="unknown suffix: give one of"):
        data.writer(tmp_path / "jets.jsonl", num_particles=3)
    with pytest.raises(InputError, match="unknown suffix"):
        write_events(tmp_path / "x.jsonl", np.zeros((3, 1)), ("a",), {})


def test_public_names_are_what_they_say():
    """No function is hidden by a module of the same name."""
    import jetvae_jax.data.loading
    import jetvae_jax.events.loading

    assert data.load is jetvae_jax.data.loading.load
    assert events.load is jetvae_jax.events.loading.load
    assert set(dir(data)) >= {"load", "split", "writer", "JetNetWriter", "streams"}
    for name in dir(data):
        assert getattr(data, name) is not None
