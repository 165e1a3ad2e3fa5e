"""Streams: the same jets as in memory, in chunks, shuffled, resumable, never half."""

import contextlib
import dataclasses
import os
import resource
import signal
import threading

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load, split
from jetvae_jax.data import streaming as stream
from jetvae_jax.data.loading import Request
from jetvae_jax.data.streaming import JETS, MANIFEST, ahead, streams
from jetvae_jax.jets import scaling
from jetvae_jax.training import Config, fit, gradient_step

KEY = jax.random.key(5)
ROW = 12 * 6  # bytes of a jet of six particles


def small(part, chunk=100, block=7):
    """Chunks and blocks of so many rows."""
    return dataclasses.replace(part, chunk_bytes=chunk * ROW, block_bytes=block * ROW)


@pytest.fixture
def parts(make_jetnet, tmp_path):
    """Streams of 1000 jets in two files."""
    make_jetnet("a.hdf5", num_jets=600, seed=1)
    make_jetnet("b.hdf5", num_jets=400, seed=2)
    return streams(str(tmp_path), tmp_path / "cache", num_particles=6)


def epoch_rows(part, epoch=0, batch_size=32, key=KEY, start=0):
    """``[steps * batch_size]`` leading px, in the order of training."""
    rows, num_steps = [], len(part) // batch_size
    for first, data, order in part.shuffled(
        key, epoch, batch_size=batch_size, start=start
    ):
        used = min(num_steps - first, len(order) // batch_size) * batch_size
        rows.append(np.asarray(data.particles)[order[:used], 0, 0])
    return np.concatenate(rows)


def assert_same(given, folder, **request):
    """Streams hold what loading and splitting give."""
    found = streams(str(given), folder, fractions=(0.5, 0.3, 0.2), **request)
    loaded = load(str(given), **request)
    rows = split(
        request.get("seed", 0), len(loaded.jets.mask), fractions=(0.5, 0.3, 0.2)
    )
    for part, wanted in zip(found[:3], rows, strict=True):
        jets = part[:]
        assert part.shape == jets.particles.shape and len(part) == len(wanted)
        np.testing.assert_array_equal(jets.particles, loaded.jets.particles[wanted])
        np.testing.assert_array_equal(jets.mask, loaded.jets.mask[wanted])
    assert found.source == loaded.source
    assert sorted(found.notes) == sorted(loaded.notes)


def spoil(arrays):
    arrays["particle_features"][[3, 17], 0, 1] = np.nan
    arrays["particle_features"][5, :2] = arrays["particle_features"][5, 1::-1].copy()
    arrays.pop("jet_extra")


@pytest.mark.parametrize("tiny", [False, True])
def test_the_jets_are_those_in_memory(
    make_jetnet, make_hls4ml, tmp_path, monkeypatch, tiny
):
    shards, mixed = tmp_path / "shards", tmp_path / "mixed"
    shards.mkdir(), mixed.mkdir()
    for i in range(3):
        make_jetnet("x.hdf5", num_jets=50, seed=i, spoil=spoil).rename(
            shards / f"x{i}.hdf5"
        )
        make_hls4ml("x.h5", classes="gqt" * 20, seed=i).rename(mixed / f"x{i}.h5")
    if tiny:
        monkeypatch.setattr("jetvae_jax.data.containers.tables.BLOCK_BYTES", 1000)
        monkeypatch.setattr("jetvae_jax.data.streaming.BUCKET_BYTES", 500)
    cache = tmp_path / "cache"
    # Bad rows dropped, rows reordered, phi drawn, particles cut, files not used up.
    assert_same(shards, cache, repair=True, num_particles=4, seed=3, max_jets=120)
    assert_same(mixed, cache, jet_type="t", num_particles=8)
    assert_same(mixed / "x1.h5", cache, max_jets=10, seed=1)


def test_slices_chunks_and_counts_are_as_in_memory(parts):
    part, jets = parts.train, parts.train[:]
    assert part.shape == (700, 6, 3) and stream.count(part) == stream.count(jets) == 700
    np.testing.assert_array_equal(part[20:50].particles, jets.particles[20:50])
    assert len(part[10:10].mask) == 0 and len(part[650:900].mask) == 50
    with pytest.raises(ValueError, match="consecutive"):
        part[::2]
    np.testing.assert_array_equal(stream.head(part, 9).mask, jets.mask[:9])
    np.testing.assert_array_equal(stream.head(jets, 9).mask, jets.mask[:9])
    for a, b in zip(stream.chunks(part, 300), stream.chunks(jets, 300), strict=True):
        np.testing.assert_array_equal(a.particles, b.particles)
        np.testing.assert_array_equal(a.mask, b.mask)
    sizes = [len(c.mask) for c in small(part).chunks(multiple_of=32)]
    assert sizes == [96] * 7 + [28]


def test_map_is_applied_to_every_chunk(parts):
    pt = parts.valid.map(
        lambda jets: jnp.hypot(*jnp.moveaxis(jets.particles, -1, 0)[:2])
    )
    leading = pt.map(lambda pt: {"pt": pt[:, 0]})
    p = parts.valid[:].particles[:, 0]
    expected = np.hypot(p[:, 0], p[:, 1])
    np.testing.assert_allclose(leading[:]["pt"], expected, rtol=1e-6)
    chunks = [chunk["pt"] for chunk in leading.chunks(40)]
    np.testing.assert_allclose(np.concatenate(chunks), expected, rtol=1e-6)
    spec = leading.spec(11)["pt"]
    assert spec.shape == (11,) and spec.dtype == np.float32
    first, data, order = next(leading.shuffled(KEY, 0, batch_size=150))
    assert first == 0 and sorted(order) == list(range(150))
    np.testing.assert_allclose(np.sort(data["pt"]), np.sort(expected), rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 32, 100, 130, 700])
def test_every_jet_comes_once_an_epoch(parts, batch_size):
    part = small(parts.train)
    everything = part[:].particles[:, 0, 0]
    assert len(np.unique(everything)) == 700
    rows = epoch_rows(part, batch_size=batch_size)
    assert len(rows) == 700 // batch_size * batch_size
    assert len(np.unique(rows)) == len(rows) and np.isin(rows, everything).all()


def test_order_depends_on_key_and_epoch_alone(parts):
    part = small(parts.train)
    first = epoch_rows(part)
    np.testing.assert_array_equal(first, epoch_rows(part))
    for other in (epoch_rows(part, 1), epoch_rows(part, key=jax.random.key(6))):
        # Two random orders of 700 agree in one place, on average.
        assert (first == other).sum() < 10
    for start in (1, 2, 3, 11, 20):
        rest = epoch_rows(part, start=start)
        np.testing.assert_array_equal(rest, first[len(first) - len(rest) :])
        # Three steps a chunk; the chunk of the step comes whole.
        assert len(rest) == (21 - start // 3 * 3) * 32
    assert not list(part.shuffled(KEY, 0, batch_size=701))


def test_shuffling_crosses_files_and_chunks(parts):
    part = small(parts.train, chunk=70)
    everything = part[:].particles[:, 0, 0]
    files = load(str(parts.train.path.parents[2]), num_particles=6).jets.particles
    place = {px: i for i, px in enumerate(files[:, 0, 0])}
    in_file = np.array([place[px] for px in epoch_rows(part, batch_size=35)])
    # Ranks of 700: their correlation is 0 +- 1/sqrt(700), so far to 4 deviations.
    assert abs(np.corrcoef(in_file, np.arange(700))[0, 1]) < 4 / np.sqrt(700)
    # Of the ten chunks of 70, each has its share of the second file: 28 +- 4.1 less
    # the correction for draws without return.
    second = (in_file.reshape(10, 70) >= 600).sum(1)
    expected = 70 * second.sum() / 700
    assert np.square(second - expected).sum() / (expected * (1 - expected / 70)) < 27.9
    # Jets of one chunk in one epoch are in all chunks of the next: mean square of the
    # counts of a 10 x 10 table, 99.9 % point of 81 degrees of freedom if rows moved
    # alone; blocks of 7 move together, which makes the fluctuations 7 times larger.
    number = {px: i for i, px in enumerate(everything)}
    orders = [
        np.argsort([number[px] for px in epoch_rows(part, epoch, batch_size=35)]) // 70
        for epoch in (0, 1)
    ]
    table = np.zeros((10, 10))
    np.add.at(table, tuple(orders), 1)
    assert np.square(table - 7).sum() / 7 < 7 * 126
    assert (table > 0).sum() > 50
    # Inside a chunk single rows move: neighbours in the file are apart.
    steps = np.abs(np.diff([number[px] for px in epoch_rows(part, batch_size=35)]))
    assert (steps == 1).mean() < 0.1


def test_stale_rows_are_never_used(parts):
    part = small(parts.train, chunk=300)
    *_, (first, data, order) = part.shuffled(KEY, 0, batch_size=50)
    assert first == 12 and len(order) == 300 == len(data.mask)
    assert np.asarray(data.mask)[:100].any(1).all()
    assert sorted(order[:100]) == list(range(100))


@pytest.mark.parametrize("coordinates", ["frame", "relative"])
def test_a_scaler_of_a_stream_is_that_in_memory(parts, coordinates):
    config = scaling.Config(coordinates=coordinates, method="slots")
    for a, b in zip(
        scaling.fit(config, parts.train),
        scaling.fit(config, parts.train[:]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


# Training.


def make_step():
    def loss_fn(params, key, batch):
        noise = 1e-2 * jax.random.normal(key, batch["y"].shape)
        error = jnp.square(batch["x"] @ params["w"] - batch["y"] + noise)
        return error, {}

    return gradient_step(loss_fn, lambda key: {"w": jnp.zeros(3)}, optax.adam(1e-2))


@jax.jit
def problem(jets):
    x = jets.particles[:, 0] / 1000
    return {"x": x, "y": x @ jnp.array([1.5, -2.0, 0.5])}


def train(parts, tmp_path=None, *, num_epochs=4, batch_size=32, **options):
    return fit(
        make_step(),
        jax.random.key(0),
        small(parts.train).map(problem),
        small(parts.valid).map(problem),
        config=Config(num_epochs=num_epochs, batch_size=batch_size, save_seconds=0.0),
        state_path=tmp_path and tmp_path / "state.npz",
        **options,
    )


def test_fit_learns_from_a_stream(parts):
    result = train(parts, num_epochs=60)
    np.testing.assert_allclose(result.params["w"], [1.5, -2.0, 0.5], atol=2e-2)


def test_validation_on_a_stream_is_that_in_memory(parts):
    config = Config(num_epochs=1, batch_size=32)
    # Chunks of 500 rows, the batches of an evaluation; 600 jets in all.
    valid = small(dataclasses.replace(parts.train, stop=600), chunk=510).map(problem)
    assert [len(c["y"]) for c in valid.chunks(multiple_of=500)] == [500, 100]
    rows = [
        fit(make_step(), KEY, problem(parts.test[:]), data, config=config).history[0]
        for data in (valid, problem(parts.train[:600]))
    ]
    assert rows[0]["valid/loss"] == pytest.approx(rows[1]["valid/loss"], rel=1e-6)
    assert rows[0]["train/loss"] == rows[1]["train/loss"]


def test_resumed_in_the_middle_of_an_epoch_equals_uninterrupted(
    parts, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    whole = train(parts)
    # One step a compiled call, and a save after each.
    monkeypatch.setattr("jetvae_jax.training.loop.CHUNK_SECONDS", 0.0)
    for calls in (5, 15, 12):
        saves = iter(range(calls))

        def kill(params, epoch, saves=saves):
            if next(saves, None) is None:
                raise Killed

        with pytest.raises(Killed):
            train(parts, tmp_path, on_save=kill)
        # The caller hears of a save before the state is written: it is the one before.
        assert 0 < int(np.load(tmp_path / "state.npz")["0/count"]) % 21 < 20
    resumed = train(parts, tmp_path)
    np.testing.assert_array_equal(resumed.params["w"], whole.params["w"])
    for a, b in zip(resumed.history, whole.history, strict=True):
        assert a["valid/loss"] == b["valid/loss"]
        assert a["train/loss"] == b["train/loss"]
    assert not reading()


def reading():
    return [t for t in threading.enumerate() if t.name.startswith("read ahead")]


def test_a_signal_stops_training_and_reading(parts):
    def stop(history):
        signal.raise_signal(signal.SIGINT)

    result = train(parts, num_epochs=50, on_epoch=stop)
    assert result.signal_number == signal.SIGINT and len(result.history) == 1
    assert not reading()


def test_reading_ahead():
    log = []

    def items():
        for i in range(3):
            log.append(i)
            yield i, threading.current_thread() is threading.main_thread()

    found = ahead(items())
    assert next(found) == (0, False)
    assert next(found) == (1, False)  # when 2 is on its way, or read
    assert len(reading()) == 1
    assert list(found) == [(2, False)] and log == [0, 1, 2] and not reading()


def test_what_goes_wrong_on_the_thread_reaches_the_caller(parts):
    def items():
        yield 1
        raise ArithmeticError("on the thread")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ArithmeticError, match="on the thread"):
        next(found)
    assert not reading()

    parts.train.path.unlink()
    with pytest.raises(InputError, match=r"jets\.f32: cannot be read .*delete"):
        train(parts)
    assert not reading()


def test_a_stream_left_early_ends_its_thread(parts):
    with contextlib.closing(small(parts.train).chunks(10)) as chunks:
        next(chunks)
        assert reading()
    assert not reading()


# The cache.


def kept(folder):
    return sorted(p.name for p in folder.glob("*") if p.suffix != ".lock")


def no_pass(self):
    raise AssertionError("read again")


def test_cache_is_used_again(parts, tmp_path, monkeypatch):
    (name,) = kept(tmp_path / "cache")
    assert sorted(os.listdir(tmp_path / "cache" / name)) == [JETS, MANIFEST]
    monkeypatch.setattr(Request, "rows", no_pass)
    again = streams(str(tmp_path), tmp_path / "cache", num_particles=6)
    assert again == parts
    with pytest.raises(AssertionError, match="read again"):
        streams(str(tmp_path), tmp_path / "cache", num_particles=5)


@pytest.mark.parametrize(
    "change", ["content", "file", "cut", "manifest", "keys", "lost"]
)
def test_cache_is_made_again(parts, make_jetnet, tmp_path, change):
    path = parts.train.path
    if change == "content":
        with h5py.File(tmp_path / "b.hdf5", "a") as file:
            file["jet_features"][:, 0] *= 1.5
    elif change == "file":
        make_jetnet("c.hdf5", num_jets=100, seed=3)
    elif change == "cut":
        os.truncate(path, path.stat().st_size - 1)
    elif change == "manifest":
        (path.parent / MANIFEST).write_text("{")
    elif change == "keys":
        (path.parent / MANIFEST).write_text("{}")
    else:
        path.unlink()
    again = streams(str(tmp_path), tmp_path / "cache", num_particles=6)
    loaded = load(str(tmp_path), num_particles=6)
    assert again.source == loaded.source
    rows = split(0, len(loaded.jets.mask)).test
    np.testing.assert_array_equal(again.test[:].particles, loaded.jets.particles[rows])
    assert kept(tmp_path / "cache") == [path.parent.name]


def test_a_cut_cache_in_use_is_one_line(parts):
    os.truncate(parts.train.path, 700 * ROW - 100)
    with pytest.raises(InputError, match=r"jets\.f32: ends early; delete its folder"):
        epoch_rows(small(parts.train))


def test_bad_files_stop_before_anything_is_kept(make_jetnet, tmp_path):
    make_jetnet("a.hdf5", num_jets=100)
    bad = make_jetnet("b.hdf5", num_jets=100, seed=2, spoil=spoil)
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match=r"b\.hdf5: particle_features: row 3: NaN"):
        streams(str(tmp_path), cache)
    assert kept(cache) == []
    os.truncate(bad, bad.stat().st_size // 2)
    with pytest.raises(InputError, match=r"b\.hdf5: "):
        streams(str(tmp_path), cache)
    assert kept(cache) == []
    bad.unlink()
    with pytest.raises(InputError, match="split fractions"):
        streams(str(tmp_path), cache, fractions=(0.9, 0.2, 0.1))
    assert kept(cache) == []


def test_a_killed_pass_leaves_nothing_half(parts, make_jetnet, tmp_path):
    (name,) = kept(tmp_path / "cache")
    make_jetnet("a.hdf5", num_jets=600, seed=9)
    heard = []

    def stop(rows):
        heard.append(rows)
        if rows > 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        streams(str(tmp_path), tmp_path / "cache", num_particles=6, on_rows=stop)
    assert heard == [600, 1000] and kept(tmp_path / "cache") == []
    # After a kill that lets nobody clean up, the next run does.
    left = tmp_path / "cache" / f"{name}.part"
    left.mkdir()
    (left / "unsorted").write_bytes(b"half")
    again = streams(str(tmp_path), tmp_path / "cache", num_particles=6)
    assert again.source == load(str(tmp_path), num_particles=6).source
    assert kept(tmp_path / "cache") == [name]


def test_a_folder_that_cannot_be_written_is_one_line(make_jetnet, tmp_path):
    path = make_jetnet(num_jets=500)
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"file.cache.*cannot be written") as error:
        streams(str(path), tmp_path / "file" / "cache")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("limit", [10_000, 179_999])
def test_a_full_disk_is_one_line(make_jetnet, tmp_path, limit):
    path = make_jetnet(num_jets=500)  # 180,000 bytes in the cache
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(.*free space$"):
            streams(str(path), tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept(tmp_path / "cache") == []
    assert len(streams(str(path), tmp_path / "cache").train) == 350
