"""Sources of batches: arrays on the device, or an object that yields chunks."""

import functools
from collections.abc import Generator
from typing import Any, Protocol, runtime_checkable

import jax
from jax.sharding import Mesh

from jetvae_jax.core import devices
from jetvae_jax.core.types import Array, Key


@runtime_checkable
class Feed(Protocol):
    """Rows of data in chunks, which are pytrees of arrays with a leading axis."""

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def spec(self, rows: int) -> Any:
        """Shapes and dtypes of ``rows`` rows, as a pytree."""
        ...

    def chunks(self, *, multiple_of: int) -> Generator[Any, None, None]:
        """All rows in order; all chunks but the last consist of whole batches."""
        ...

    def shuffled(
        self, key: Key, epoch: int, *, batch_size: int, start: int = 0
    ) -> Generator[tuple[int, Any, Array], None, None]:
        """The steps of an epoch, from the chunk that contains the step ``start``.

        Yields:
            ``(first, data, order)``: step ``first + i`` takes the rows
            ``order[i * batch_size : (i + 1) * batch_size]`` of ``data``. They depend
            on the key and the epoch alone; chunks before ``start`` are skipped.
        """
        ...


class Resident:
    """A :class:`Feed` of arrays on the device: one chunk.

    Args:
        data: pytree of arrays with one leading axis.
        mesh: several devices that each have them all.
    """

    def __init__(self, data: Any, mesh: Mesh | None = None):
        self.data = devices.placed(mesh, data) if mesh else jax.device_put(data)

    def __len__(self) -> int:
        return jax.tree.leaves(self.data)[0].shape[0]

    def spec(self, rows: int) -> Any:
        """See :class:`Feed`."""
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct((rows, *a.shape[1:]), a.dtype), self.data
        )

    def chunks(self, *, multiple_of: int) -> Generator[Any, None, None]:
        """See :class:`Feed`."""
        del multiple_of
        yield self.data

    def shuffled(
        self, key: Key, epoch: int, *, batch_size: int, start: int = 0
    ) -> Generator[tuple[int, Any, Array], None, None]:
        """See :class:`Feed`."""
        del batch_size, start
        yield 0, self.data, _permutation(key, epoch, len(self))


@functools.partial(jax.jit, static_argnums=2)
def _permutation(key: Key, epoch: int, count: int) -> Array:
    return jax.random.permutation(jax.random.fold_in(key, epoch), count)


def feed(data: Any, mesh: Mesh | None = None) -> Feed:
    """``data`` itself if it is a Feed, else its arrays on the device, or on several."""
    return data if isinstance(data, Feed) else Resident(data, mesh)
