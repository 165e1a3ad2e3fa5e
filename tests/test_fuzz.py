"""Whatever a file holds: jets, or one line that names it; no crash, hang or flood.

Structures by hypothesis, bytes by a seeded generator, and every file read by another
process with limits of memory and time.
"""

import numpy as np
import pytest
from fuzzing import LAYOUTS, MISTAKES, MiB, Reader, damage, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jetvae_jax.data import writing

# Beyond what one small right file takes; a block of rows is 16 MiB.
MEMORY = 300 * MiB
CLASSES = {"jetnet": "g", "hls4ml": "gqwzt", "toptagging": "tg"}
SETTINGS = {
    "derandomize": True, "deadline": None, "database": None,
    "suppress_health_check": list(HealthCheck),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def reader(folder):
    with Reader() as reader:
        write(folder / "right.h5", "jetnet", np.random.default_rng(0))
        answer = reader.read(folder / "right.h5", how="load")
        assert answer["outcome"] == "loaded", answer["text"]
        reader.first = reader.memory
        yield reader


def check(reader, path, rng, jet_types="g", **request):
    """Reads the file one way or another."""
    request |= {"jet_type": jet_types[rng.integers(len(jet_types))]}
    if rng.random() < 0.3:
        request |= {"how": "look", "repair": bool(rng.integers(2))}
    else:
        request |= {"how": "load", "repair": bool(rng.integers(2))}
    answer = reader.read(path, **request)
    became = f"{request}: {answer['outcome']}: {answer['text']}"
    assert answer.get("good"), became
    assert reader.memory - reader.first < MEMORY, f"{request}: {reader.memory:.3g} B"
    return answer["outcome"]


def structures(reader, folder, examples):
    outcomes = []

    @settings(max_examples=examples, **SETTINGS)
    @given(
        layout=st.sampled_from(LAYOUTS),
        mistakes=st.lists(st.sampled_from(list(MISTAKES)), min_size=1, max_size=3),
        seed=st.integers(0, 2**32 - 1),
    )
    def test(layout, mistakes, seed):
        rng = np.random.default_rng(seed)
        path = folder / "a.h5"
        write(path, layout, rng, mistakes)
        outcomes.append(check(reader, path, rng, CLASSES[layout]))

    test()
    return outcomes


def changed_bytes(reader, path, whole, number, **request):
    rng = np.random.default_rng(len(whole))
    outcomes = []
    for _ in range(number):
        path.write_bytes(damage(whole, rng))
        outcomes.append(check(reader, path, rng, **request))
    return outcomes


def hdf5_bytes(reader, folder, layout, number):
    write(folder / "b.h5", layout, np.random.default_rng(7))
    path = folder / "c.h5"
    whole = (folder / "b.h5").read_bytes()
    jet_types = CLASSES[layout]
    return changed_bytes(reader, path, whole, number, jet_types=jet_types)


def other_bytes(reader, folder, suffix, jets, number):
    path = folder / f"a.{suffix}"
    with writing.writer(path, num_particles=6) as writer:
        writer.append(jets)
    return changed_bytes(reader, path, path.read_bytes(), number)


def test_structures(reader, folder):
    outcomes = structures(reader, folder, 60)
    assert {"refused", "looked", "loaded"} == set(outcomes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes(reader, folder, layout):
    assert "refused" in hdf5_bytes(reader, folder, layout, 60)


@pytest.mark.parametrize("suffix", ["npz", "parquet", "root"])
def test_bytes_of_other_formats(reader, folder, make_jets, suffix):
    pytest.importorskip({"parquet": "pyarrow", "root": "uproot"}.get(suffix, "numpy"))
    outcomes = other_bytes(reader, folder, suffix, make_jets(50, 6), 20)
    assert "refused" in outcomes


@pytest.mark.slow
def test_ten_thousand_hdf5_files(reader, folder):
    structures(reader, folder, 5500)
    for layout in LAYOUTS:
        hdf5_bytes(reader, folder, layout, 1500)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["npz", "parquet", "root"])
def test_fifteen_hundred_files_of_other_formats(reader, folder, make_jets, suffix):
    pytest.importorskip({"parquet": "pyarrow", "root": "uproot"}.get(suffix, "numpy"))
    other_bytes(reader, folder, suffix, make_jets(50, 6), 1500)
