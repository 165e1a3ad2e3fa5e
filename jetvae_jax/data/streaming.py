"""Jets on disk: checked, split and shuffled once into a file, then read in chunks.

:func:`streams` makes the file, a cache that later calls use again. Its rows are those
of the split in its order, training first: a part of it is, row for row, what the same
part of the jets in memory would be. That order is random, so any run of rows is a
random sample of its part. :class:`Stream` reads them, one chunk ahead, on a thread.

A first pass reads the files as :func:`~jetvae_jax.data.loading.load` does and writes
the good jets one after the other; when their number is known, and with it the split,
they are sorted in two more sequential passes. On the disk that takes twice the size of
the jets (12 bytes a particle) for a while; in memory, a few hundred MB and 50 bytes a
jet.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core import configs, locks
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Part
from jetvae_jax.core.types import Array, Jets, Key
from jetvae_jax.data import splits
from jetvae_jax.data.loading import Request, fingerprint

CHUNK_BYTES = 2**26  # on the device at once; a second one is on its way
BLOCK_BYTES = 2**21  # read at once
BUCKET_BYTES = 2**26  # sorted at once
VERSION = 1
JETS, MANIFEST = "jets.f32", "manifest.json"
_REMEDY = "delete its folder and run again"
_END = object()


def ahead(items: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """The same items, the next one computed on a thread while the last one is in use.

    Exceptions of the thread are raised here. The thread ends with the iterator, after
    its current item.
    """
    with (
        contextlib.closing(items),
        concurrent.futures.ThreadPoolExecutor(1, "read ahead") as thread,
    ):
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item


class Shuffled(NamedTuple):
    """Some steps of an epoch.

    Attributes:
        first: number in the epoch of the first step.
        data: pytree of arrays on the device, rows enough for all its steps.
        order: ``[S * batch_size]`` int32; step ``first + i`` takes the rows
            ``order[i * batch_size : (i + 1) * batch_size]`` of ``data``. The last
            chunk of an epoch is filled up beyond the last step; ignore those rows.
    """

    first: int
    data: Any
    order: Array


@dataclasses.dataclass(frozen=True)
class Stream:
    """Rows of a file of momenta in random order.

    Only a few chunks are in memory at once. They are read on a thread, one chunk ahead;
    its exceptions reach the caller, and it ends with the iterator.

    Attributes:
        path: of the file: ``[rows of all streams, N, 3]`` (px, py, pz) in GeV,
            little-endian float32, zeros where there is no particle.
        num_particles: N.
        start: first row of this stream.
        stop: the row after its last.
        function: applied to each chunk, see :meth:`map`.
        chunk_bytes: size of the chunks that are shuffled, at most.
        block_bytes: size of the blocks of consecutive rows that are shuffled.
    """

    path: pathlib.Path
    num_particles: int
    start: int
    stop: int
    function: Callable[[Any], Any] | None = None
    chunk_bytes: int = CHUNK_BYTES
    block_bytes: int = BLOCK_BYTES

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(J, N, 3)``, as that of the momenta in memory."""
        return len(self), self.num_particles, 3

    def map(self, function: Callable[[Any], Any]) -> "Stream":
        """The same rows after ``function``, which runs on each chunk, on the device.

        Args:
            function: of Jets, or of the result of the map before it; returns a pytree
                of arrays with the same leading axis. Jets must not affect one another.
        """
        inner = self.function

        def both(jets):
            return function(jets if inner is None else inner(jets))

        return dataclasses.replace(self, function=both)

    def spec(self, rows: int) -> Any:
        """Shapes and dtypes of ``rows`` rows after the map."""
        shape = (rows, self.num_particles)
        function = self.function or (lambda jets: jets)
        return jax.eval_shape(
            lambda particles, mask: function(Jets(particles, mask)),
            jax.ShapeDtypeStruct((*shape, 3), np.float32),
            jax.ShapeDtypeStruct(shape, np.bool_),
        )

    def __getitem__(self, rows: slice) -> Any:
        """Some consecutive rows, in memory: Jets, or the result of the map."""
        first, last, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"step {step}: a stream gives consecutive rows only")
        with _opened(self.path) as file:
            return self._mapped(self._read(file, [(first, last)], last - first))

    def chunks(
        self, rows: int | None = None, *, multiple_of: int = 1
    ) -> Generator[Any, None, None]:
        """All rows in their order, ``rows`` at a time; the last chunk may be shorter.

        Args:
            rows: None for as many as ``chunk_bytes`` hold.
            multiple_of: what that number is a multiple of.

        Yields:
            Jets of NumPy arrays, or the result of the map.

        Raises:
            InputError: the file is gone or cut short.
        """
        size = rows or self._rows_of(self.chunk_bytes) // multiple_of * multiple_of
        size = max(size, multiple_of)

        def read():
            with _opened(self.path) as file:
                for first in range(0, len(self), size):
                    last = min(first + size, len(self))
                    yield jax.block_until_ready(
                        self._mapped(self._read(file, [(first, last)], last - first))
                    )

        return ahead(read())

    def shuffled(
        self, key: Key, epoch: int, *, batch_size: int, start: int = 0
    ) -> Generator[Shuffled, None, None]:
        """All rows once, in an order that depends on key, epoch and sizes alone.

        Blocks of rows come in random order; as many as fill a chunk are read together,
        and the rows are drawn from the whole chunk. The rest at the end, less than a
        batch, is not used.

        Args:
            key: of the order.
            epoch: its number; each has its own order.
            batch_size: rows of a step.
            start: first step wanted; the whole chunk that holds it is yielded.

        Yields:
            Shuffled, whose arrays all have one shape.

        Raises:
            InputError: the file is gone or cut short.
        """
        num_steps = len(self) // batch_size
        steps = max(1, min(num_steps, self._rows_of(self.chunk_bytes) // batch_size))
        seed = [*map(int, np.asarray(jax.random.key_data(key)).ravel()), epoch]
        blocks = self._shuffled_blocks(np.random.default_rng([*seed, 0]))

        def chunk(file, first):
            rows = min(steps, num_steps - first) * batch_size
            begin = first * batch_size
            spans = _cut(blocks, begin, begin + rows)
            rng = np.random.default_rng([*seed, 1 + first // steps])
            order = np.zeros(steps * batch_size, np.int32)
            order[:rows] = rng.permutation(rows)
            jets = jax.device_put(self._read(file, spans, len(order)))
            return Shuffled(first, jax.block_until_ready(self._mapped(jets)), order)

        def read():
            with _opened(self.path) as file:
                for first in range(start // steps * steps, num_steps, steps):
                    yield chunk(file, first)  # keep no reference to it

        return ahead(read())

    def _rows_of(self, size: int) -> int:
        return max(1, size // (12 * self.num_particles))

    def _shuffled_blocks(self, rng: np.random.Generator) -> np.ndarray:
        """``[blocks, 2]`` first row and row after the last of each, in random order."""
        size = self._rows_of(self.block_bytes)
        firsts = rng.permutation(np.arange(0, len(self), size))
        return np.stack([firsts, np.minimum(firsts + size, len(self))], axis=1)

    def _read(self, file, spans: Iterable[tuple[int, int]], rows: int) -> Jets:
        """The rows of the spans, one after the other, filled up with empty jets."""
        # New memory for each chunk: JAX on a CPU may use it without a copy.
        p = np.zeros((rows, self.num_particles, 3), "<f4")
        width, done = 12 * self.num_particles, 0
        flat = p.reshape(-1).view(np.uint8)
        for first, last in spans:
            file.seek((self.start + first) * width)
            stop = done + (last - first) * width
            while done < stop:
                read = file.readinto(flat[done:stop])
                if not read:
                    raise InputError(f"{self.path}: ends early; {_REMEDY}")
                done += read
        p = p.astype(np.float32, copy=False)
        return Jets(p, particle_mask(p))

    def _mapped(self, jets: Jets) -> Any:
        return self.function(jets) if self.function else jets


def particle_mask(particles: np.ndarray) -> np.ndarray:
    """Mask ``[..., N]`` of momenta ``[..., N, 3]``: True where pt is not zero."""
    return (particles[..., 0] != 0) | (particles[..., 1] != 0)


def count(part: Any) -> int:
    """Rows of a pytree of arrays in memory, or of jets on disk."""
    return len(part if isinstance(part, Stream) else jax.tree.leaves(part)[0])


def chunks(jets: Jets | Stream, rows: int) -> Iterator[Any]:
    """``rows`` jets at a time, of jets in memory or on disk."""
    if isinstance(jets, Stream):
        yield from jets.chunks(rows)
    else:
        for first in range(0, len(jets.mask), rows):
            yield jax.tree.map(lambda a, i=first: a[i : i + rows], jets)


def head(part: Any, rows: int | None) -> Any:
    """The first rows, in memory; None or 0 for all."""
    few = slice(rows or None)
    if isinstance(part, Stream):
        return part[few]
    return jax.tree.map(lambda a: a[few], part)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
    try:
        with open(path, "rb", buffering=0) as file:
            yield file
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}") from (
            error
        )


def _cut(blocks: np.ndarray, start: int, stop: int) -> list[tuple[int, int]]:
    """The parts of concatenated blocks between two rows."""
    ends = np.cumsum(blocks[:, 1] - blocks[:, 0])
    pieces = []
    a, b = np.searchsorted(ends, [start, stop - 1], side="right")
    for i in range(a, b + 1):
        first, last = blocks[i]
        begin = ends[i] - (last - first)
        pieces.append(
            (int(first + max(start - begin, 0)), int(min(last, first + stop - begin)))
        )
    return pieces


class Streams(NamedTuple):
    """Jets on disk, in three disjoint parts, as those of the jets in memory.

    Attributes:
        train: fits the networks and the scaler.
        valid: selects the epoch.
        test: is only ever evaluated.
        notes: as of :class:`~jetvae_jax.data.loading.Loaded`.
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
    """Streams of the jets of files, from a cache that later calls use again.

    Args:
        spec: see :func:`~jetvae_jax.data.loading.load`.
        folder: of the caches, made if need be. A cache whose files changed is replaced,
            others stay until they are deleted.
        num_particles: see load.
        max_jets: see load.
        jet_type: see load.
        repair: see load.
        seed: of the split too.
        columns: see load.
        fractions: of the split.
        on_rows: called in the first pass with the number of good jets so far.

    Raises:
        InputError: the files are wrong, and nothing is kept; or the folder cannot be
            written.
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
    what = configs.plain(
        {"spec": spec, "fractions": list(fractions), "version": VERSION, **asked}
    )
    name = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    target = pathlib.Path(folder) / name
    with _reported(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    # A second run of the same jets waits for the cache of the first.
    with locks.locked(target.with_suffix(".lock"), f"the cache {target}", wait=True):
        manifest = _kept(target, what, request)
        if manifest is None:
            manifest = _make(target, what, request, on_rows)
    ends = np.cumsum([0, *manifest["rows"]]).tolist()
    train, valid, test = (
        Stream(target / JETS, num_particles, start, stop)
        for start, stop in itertools.pairwise(ends)
    )
    return Streams(train, valid, test, tuple(manifest["notes"]), manifest["source"])


def _files(request: Request) -> list[list]:
    """Path, size and time of each file, to recognise a changed one."""
    stats = [(path, path.stat()) for path in request.paths]
    return [[str(p.resolve()), s.st_size, s.st_mtime_ns] for p, s in stats]


def _kept(target: pathlib.Path, what: dict, request: Request) -> dict | None:
    """The manifest of a cache that is complete and up to date, else None."""
    try:
        manifest = json.loads((target / MANIFEST).read_text())
        same = manifest["what"] == what and manifest["files"] == _files(request)
        same &= manifest["bytes"] == (target / JETS).stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if same else None


def _make(
    target: pathlib.Path,
    what: dict,
    request: Request,
    on_rows: Callable[[int], object] | None,
) -> dict:
    """A new cache, which appears when it is complete or not at all."""
    files = _files(request)
    # Of changed files, and what a killed process of an earlier version left.
    for old in (target, target.with_suffix(".part")):
        shutil.rmtree(old, ignore_errors=True)
    making = Part(target, folder=True)
    part = making.temporary
    try:
        num_jets = _copy(part / "unsorted", target, request, on_rows)
        width = what["num_particles"] * 3
        parts = splits.split(what["seed"], num_jets, fractions=what["fractions"])

        def read():
            for block in _row_blocks(part / "unsorted", width):
                yield block.reshape(len(block), -1, 3)

        digest = fingerprint(num_jets, read(), map(particle_mask, read()))
        with _reported(target):
            order = np.concatenate(parts)
            _reorder(part / "unsorted", part / JETS, order, width)
            (part / "unsorted").unlink()
            if files != _files(request):
                raise InputError(
                    f"{what['spec']}: changed while it was read; run again"
                )
            manifest = {
                "what": what,
                "files": files,
                "bytes": (part / JETS).stat().st_size,
                "rows": [len(rows) for rows in parts],
                "notes": request.notes,
                "source": request.source(num_jets, digest),
            }
            (part / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        making.complete()
        return manifest
    finally:
        making.discard()


def _copy(
    path: pathlib.Path,
    target: pathlib.Path,
    request: Request,
    on_rows: Callable[[int], object] | None,
) -> int:
    """Writes the momenta of all good jets, in the order of the files.

    Returns:
        The number of jets.
    """
    num_jets = 0
    with contextlib.ExitStack() as stack:
        with _reported(target):
            file = stack.enter_context(open(path, "wb", buffering=0))
        for rows in request.rows():
            particles = np.ascontiguousarray(rows.particles, "<f4")
            if not np.array_equal(particle_mask(particles), rows.mask):
                raise ValueError("the mask is not that of the particles of nonzero pt")
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


def _row_blocks(path: pathlib.Path, width: int) -> Iterator[np.ndarray]:
    """``[n, width]`` consecutive rows of a file of little-endian float32."""
    rows = _bucket_rows(width)
    with open(path, "rb") as file:
        while len(block := np.fromfile(file, "<f4", rows * width)):
            yield block.reshape(-1, width)


def _bucket_rows(width: int) -> int:
    """Rows of a bucket, of which a few are in memory at once."""
    return max(1, BUCKET_BYTES // (4 * width))


def _reorder(
    source: pathlib.Path, target: pathlib.Path, order: np.ndarray, width: int
) -> None:
    """Writes row ``order[k]`` of one file as row ``k`` of another.

    Rows are appended to buckets, regions of the target; then each bucket is sorted in
    place. No row is read or written alone.

    Args:
        source: ``[J, width]`` little-endian float32.
        target: the same, new.
        order: ``[J]`` permutation.
        width: numbers a row.

    Raises:
        OSError: the disk is full.
    """
    size, row_bytes = _bucket_rows(width), 4 * width
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    free = np.arange(0, len(order), size)  # next row to write to, of each bucket
    start = 0
    with open(target, "w+b") as file:
        for rows in _row_blocks(source, width):
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
