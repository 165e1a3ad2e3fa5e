"""Work on a thread, one item ahead of who uses it.
Jets on disk, used as those in memory: in chunks, shuffled, read ahead.
"""

import concurrent.futures
import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Jets, Key

_END = object()


def ahead(items: Generator[Any, None, None]) -> Generator[Any, None, None]:
    """The same items, the next one made on a thread while the last one is in use.

    What goes wrong there is raised here; the thread ends with the iterator, after the
    item it is at.
    """
    with (
        contextlib.closing(items),
        concurrent.futures.ThreadPoolExecutor(1, "read ahead") as thread,
    ):
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item


CHUNK_BYTES = 2**26  # on the device at once; a second one is on its way
BLOCK_BYTES = 2**21  # read at once
_REMEDY = "delete its folder and run again"


class Shuffled(NamedTuple):
    """Some steps of an epoch.

    Attributes:
        first: number in the epoch of the first step.
        data: pytree of arrays on the device, rows enough for all its steps.
        order: ``[S * batch_size]`` int32; step ``first + i`` takes the rows
            ``order[i * batch_size : (i + 1) * batch_size]`` of ``data``. The last
            chunk of an epoch goes beyond the last step, with rows of no meaning.
    """

    first: int
    data: Any
    order: Array


@dataclasses.dataclass(frozen=True)
class Stream:
    """Rows of a file of momenta, which itself is in random order.

    Only a few chunks are ever in memory. Everything that reads does so on a thread of
    its own, one chunk ahead; its exceptions reach the caller, and it ends with the
    iterator.

    Attributes:
        path: of the file: ``[rows of all streams, N, 3]`` (px, py, pz) in GeV,
            little-endian float32, zeros where there is no particle.
        num_particles: N.
        start: first row of this stream.
        stop: the row after its last.
        function: what :meth:`map` was given.
        chunk_bytes: size of the chunks that are shuffled, at most.
        block_bytes: size of what stays together when blocks are shuffled.
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
        """The same rows, each chunk going through ``function``, on the device.

        Args:
            function: of Jets, or of what the map before it gave; to a pytree of
                arrays with the same leading axis. Jets must not affect one another.
        """
        inner = self.function

        def both(jets):
            return function(jets if inner is None else inner(jets))

        return dataclasses.replace(self, function=both)

    def spec(self, rows: int) -> Any:
        """Shapes and dtypes of what ``rows`` rows become."""
        shape = (rows, self.num_particles)
        function = self.function or (lambda jets: jets)
        return jax.eval_shape(
            lambda particles, mask: function(Jets(particles, mask)),
            jax.ShapeDtypeStruct((*shape, 3), np.float32),
            jax.ShapeDtypeStruct(shape, np.bool_),
        )

    def __getitem__(self, rows: slice) -> Any:
        """Some consecutive rows, in memory: Jets, or what they are mapped to."""
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
            Jets of NumPy arrays, or what they are mapped to.

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
        and the rows are drawn from the whole chunk. What is left over at the end, less
        than a batch, is not used.

        Args:
            key: of the order.
            epoch: its number; each has its own order.
            batch_size: rows of a step.
            start: first step that is wanted; the chunk that holds it comes whole.

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
                    yield chunk(file, first)  # and hold nothing of it

        return ahead(read())

    def _rows_of(self, size: int) -> int:
        return max(1, size // (12 * self.num_particles))

    def _shuffled_blocks(self, rng: np.random.Generator) -> np.ndarray:
        """``[blocks, 2]`` first row and row after the last of each, in random order."""
        size = self._rows_of(self.block_bytes)
        firsts = rng.permutation(np.arange(0, len(self), size))
        return np.stack([firsts, np.minimum(firsts + size, len(self))], axis=1)

    def _read(self, file, spans: Iterable[tuple[int, int]], rows: int) -> Jets:
        """The rows of the spans, one after the other; then jets of nothing."""
        # New memory for each chunk: a device on the CPU may use it as it is.
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
        return Jets(p, exists(p))

    def _mapped(self, jets: Jets) -> Any:
        return self.function(jets) if self.function else jets


def exists(particles: np.ndarray) -> np.ndarray:
    """Mask ``[..., N]`` of momenta ``[..., N, 3]``: no particle has zero pt."""
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
    """The pieces of the blocks, laid end to end, between two places."""
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
