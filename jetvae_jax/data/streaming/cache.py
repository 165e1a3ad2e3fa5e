"""Rows of a file brought into a given order by sequential passes over the disk.
Jets of any number, checked, split and shuffled once, as a folder to stream from.

The rows of a cache are those of the split in its order, training first: a part of it
is, row for row, what the same part of the jets in memory would be. That order is
random, so any run of rows is a random sample of its part.

A first pass reads the files as :func:`~jetvae_jax.data.load.load` does and writes the
good jets one after the other; when their number is known, and with it the split, they
are sorted in two more sequential passes. On the disk that takes twice the size of the
jets (12 bytes a particle) for a while; in memory, a few hundred MB and 50 bytes a jet.
"""

import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import splits
from jetvae_jax.data.load import fingerprint
from jetvae_jax.data.request import Request
from jetvae_jax.data.streaming.stream import Stream, exists

BUCKET_BYTES = 2**26


def blocks(path: pathlib.Path, width: int) -> Iterator[np.ndarray]:
    """``[n, width]`` consecutive rows of a file of little-endian float32."""
    rows = bucket_rows(width)
    with open(path, "rb") as file:
        while len(block := np.fromfile(file, "<f4", rows * width)):
            yield block.reshape(-1, width)


def bucket_rows(width: int) -> int:
    """Rows that are in memory at once, a few times over."""
    return max(1, BUCKET_BYTES // (4 * width))


def reorder(
    source: pathlib.Path, target: pathlib.Path, order: np.ndarray, width: int
) -> None:
    """Writes row ``order[k]`` of one file as row ``k`` of another, and syncs it.

    The rows go to buckets, regions of the target, in the order they come; then each
    bucket is sorted where it is. No row is read or written alone.

    Args:
        source: ``[J, width]`` little-endian float32.
        target: the same, new.
        order: ``[J]`` permutation.
        width: numbers a row.

    Raises:
        OSError: the disk is full.
    """
    size, row_bytes = bucket_rows(width), 4 * width
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    free = np.arange(0, len(order), size)  # next row to write to, of each bucket
    start = 0
    with open(target, "w+b") as file:
        for rows in blocks(source, width):
            bucket = place[start : start + len(rows)] // size
            start += len(rows)
            by_bucket = np.argsort(bucket, kind="stable")
            ends = np.cumsum(np.bincount(bucket, minlength=len(free)))
            for i, part in enumerate(np.split(rows[by_bucket], ends[:-1])):
                file.seek(int(free[i]) * row_bytes)
                file.write(part.data)
                free[i] += len(part)
        file.flush()
        for start in range(0, len(order), size):
            wanted = order[start : start + size]
            # A bucket holds its rows in the order of the source.
            found = np.empty(len(wanted), int)
            found[np.argsort(wanted)] = np.arange(len(wanted))
            file.seek(start * row_bytes)
            rows = np.fromfile(file, "<f4", len(wanted) * width).reshape(-1, width)
            file.seek(start * row_bytes)
            file.write(rows[found].data)
        file.flush()
        os.fsync(file.fileno())


VERSION = 1
JETS, MANIFEST = "jets.f32", "manifest.json"


class Streams(NamedTuple):
    """Jets on disk, in three disjoint parts, as those of the jets in memory.

    Attributes:
        train: fits the networks and the scaler.
        valid: selects the epoch.
        test: is only ever evaluated.
        notes: as of :class:`~jetvae_jax.data.load.Loaded`.
        source: the same, with the same fingerprint.
    """

    train: Stream
    valid: Stream
    test: Stream
    notes: tuple[str, ...]
    source: dict[str, Any]


def streams(
    spec: str,
    folder: str | os.PathLike[str],
    *,
    num_particles: int = 30,
    max_jets: int | None = None,
    jet_type: str = "g",
    repair: bool = False,
    seed: int = 0,
    columns: Sequence[str] = (),
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    on_rows: Callable[[int], object] | None = None,
) -> Streams:
    """The jets of files as streams, by way of a cache that later calls use again.

    Args:
        spec: as of :func:`~jetvae_jax.data.load.load`, like all that is not listed.
        folder: where caches are kept, each in a folder of its own; made if need be.
            One whose files changed is replaced, others stay until they are deleted.
        num_particles: see load.
        max_jets: see load.
        jet_type: see load.
        repair: see load.
        seed: of the split too.
        columns: see load.
        fractions: of the split.
        on_rows: called in the first pass with the number of good jets so far.

    Raises:
        InputError: whatever is wrong with the files, before anything is kept; or the
            folder cannot be written.
    """
    asked = {
        "num_particles": num_particles,
        "max_jets": max_jets,
        "jet_type": jet_type,
        "repair": repair,
        "seed": seed,
        "columns": tuple(columns),
    }
    request = Request(spec, **asked)
    what = {"spec": spec, "fractions": list(fractions), "version": VERSION, **asked}
    what = json.loads(json.dumps(what))
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    target = pathlib.Path(folder) / name
    with _reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = open(target.with_suffix(".lock"), "wb")  # noqa: SIM115 - closed below
    with lock:
        _wait_for(lock)
        facts = _kept(target, what, request)
        if facts is None:
            facts = _make(target, what, request, on_rows)
    ends = np.cumsum([0, *facts["rows"]]).tolist()
    train, valid, test = (
        Stream(target / JETS, num_particles, start, stop)
        for start, stop in itertools.pairwise(ends)
    )
    return Streams(train, valid, test, tuple(facts["notes"]), facts["source"])


def _wait_for(lock) -> None:
    """Two runs of the same jets: the second waits for the first one's cache."""
    # Not everywhere are there locks; two runs at once may then spoil each other's pass.
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)


def _files(request: Request) -> list[list]:
    """What tells that a file is the same."""
    stats = [(path, path.stat()) for path in request.paths]
    return [[str(p.resolve()), s.st_size, s.st_mtime_ns] for p, s in stats]


def _kept(target: pathlib.Path, what: dict, request: Request) -> dict | None:
    """The manifest of a cache that is whole and still true, else None."""
    try:
        facts = json.loads((target / MANIFEST).read_text())
        size = (target / JETS).stat().st_size
    except (OSError, ValueError):
        return None
    same = facts["what"] == what and facts["files"] == _files(request)
    return facts if same and size == facts["bytes"] else None


def _make(
    target: pathlib.Path,
    what: dict,
    request: Request,
    on_rows: Callable[[int], object] | None,
) -> dict:
    """A new cache, which appears when it is complete or not at all."""
    part = target.with_suffix(".part")
    files = _files(request)
    try:
        with _reported(target):
            for old in (target, part):
                shutil.rmtree(old, ignore_errors=True)
            part.mkdir()
        num_jets = _copy(part / "unsorted", target, request, on_rows)
        width = what["num_particles"] * 3
        parts = splits.split(what["seed"], num_jets, fractions=what["fractions"])

        def read():
            for block in blocks(part / "unsorted", width):
                yield block.reshape(len(block), -1, 3)

        digest = fingerprint(num_jets, read(), map(exists, read()))
        with _reported(target):
            order = np.concatenate(parts)
            reorder(part / "unsorted", part / JETS, order, width)
            (part / "unsorted").unlink()
            if files != _files(request):
                raise InputError(
                    f"{what['spec']}: changed while it was read; run again"
                )
            facts = {
                "what": what,
                "files": files,
                "bytes": (part / JETS).stat().st_size,
                "rows": [len(rows) for rows in parts],
                "notes": request.notes,
                "source": request.source(num_jets, digest),
            }
            (part / MANIFEST).write_text(json.dumps(facts, indent=2) + "\n")
            os.replace(part, target)
        return facts
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy(
    path: pathlib.Path,
    target: pathlib.Path,
    request: Request,
    on_rows: Callable[[int], object] | None,
) -> int:
    """Writes the momenta of all good jets, in the order of the files; their number."""
    num_jets = 0
    with open(path, "wb", buffering=0) as file:
        for rows in request.rows():
            particles = np.ascontiguousarray(rows.particles, "<f4")
            if not np.array_equal(exists(particles), rows.mask):
                raise ValueError("a particle without pt exists, or one that does not")
            with _reported(target):
                rest = particles.reshape(-1).view(np.uint8)
                while len(rest):
                    rest = rest[file.write(rest.data) :]
            num_jets += len(particles)
            if on_rows:
                on_rows(num_jets)
    return num_jets


@contextlib.contextmanager
def _reported(target: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror or error}); check the "
            "folder of the cache, its permissions and the free space"
        ) from error
