"""Work on several devices: a mesh of one axis, along which jets are divided.

Parameters are whole on every device. A batch is divided among them and its sums are
those of all, so that a result is that of one device but for the order of its sums.
"""

import contextvars
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jetvae_jax.core.errors import InputError

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("devices", default=0)
"""How many devices are used; 0 for all of this process. Scripts set it: --devices."""
AXIS = "jets"


def used() -> list[Any]:
    """The devices that are used.

    Raises:
        InputError: more are asked for than there are.
    """
    there, wanted = jax.local_devices(), NUMBER.get()
    if wanted > len(there):
        raise InputError(
            f"--devices={wanted}: there are {len(there)}: give no more, or 0 for all"
        )
    return there[: wanted or None]


def for_batches(name: str, batch_size: int) -> Mesh | None:
    """The devices among which batches are divided, or None for the only one.

    If the number was not asked for, it is the largest that divides the batch.

    Args:
        name: of the training, for the log.
        batch_size: rows of a batch.

    Raises:
        InputError: the number that was asked for does not divide it.
    """
    most = len(used())
    found = max(n for n in range(1, most + 1) if batch_size % n == 0)
    if found < most and NUMBER.get():
        raise InputError(
            f"--devices={most}: a batch of {batch_size} is not divided by {most}: give "
            f"--devices={found}, or a batch_size that is a multiple of {most}"
        )
    if most > 1:
        logging.info("%s: batches are divided among %d devices", name, found)
    return _mesh(found) if found > 1 else None


@functools.cache
def _mesh(number: int) -> Mesh:
    return Mesh(np.array(jax.local_devices()[:number]), (AXIS,))


def whole(mesh: Mesh) -> NamedSharding:
    """Arrays that are whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def placed(mesh: Mesh | None, tree: Any) -> Any:
    """Arrays put whole on every device; as they are where there is no mesh."""
    return tree if mesh is None else jax.device_put(tree, whole(mesh))


def divided(mesh: Mesh | None, batch: Any) -> Any:
    """Rows of a batch divided among the devices, inside a compiled function."""
    if mesh is None:
        return batch
    rows = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, rows), batch)


def compiled(function: Callable, mesh: Mesh | None, **options: Any) -> Callable:
    """``jax.jit`` of a function whose inputs and results are whole on every device."""
    if mesh is not None:
        options |= {"in_shardings": whole(mesh), "out_shardings": whole(mesh)}
    return jax.jit(function, **options)
