"""Work on several devices: a mesh of one axis, along which jets are divided.

Parameters are whole on every device. A batch is divided among them and its sums are
those of all, so that a result is that of one device but for the order of its sums.
The devices are those of this process, or of all processes that :func:`join` brings
together: each runs the same program on the same data, and the first one writes.
"""

import collections
import contextvars
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jetvae_jax.core.errors import InputError

NUMBER: contextvars.ContextVar[int] = contextvars.ContextVar("devices", default=0)
"""How many devices are used; 0 for all of this process. Scripts set it: --devices."""
AXIS = "jets"
LONGEST_WAIT = 30 * 24 * 3600
"""Seconds that processes which have ended their work wait for others that have not."""


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


def join(hosts: str) -> None:
    """Work with other processes, of other computers, from here on.

    Args:
        hosts: 'auto' where Slurm, Open MPI or the like has started the processes; else
            the address of the first, how many there are, and which this is, from 0:
            node1:8476,4,0.

    Raises:
        InputError: it is neither, they do not find one another, or their numbers of
            devices differ.
    """
    address, *counts = hosts.split(",")
    given: dict[str, Any] = {"shutdown_timeout_seconds": LONGEST_WAIT}
    if hosts != "auto":
        right = len(counts) == 2 and all(c.isdecimal() for c in counts)
        if not right or not re.fullmatch(r".+:\d+", address):
            raise InputError(
                f"--hosts={hosts}: write auto, or address:port,number,which: "
                "node1:8476,4,0"
            )
        number, which = map(int, counts)
        given |= {"num_processes": number, "process_id": which}
        given |= {"coordinator_address": address}
    try:
        jax.distributed.initialize(**given)
    except (RuntimeError, ValueError) as error:
        first, *_ = [*str(error).splitlines(), "there is no answer"]
        raise InputError(
            f"--hosts={hosts}: {first[:200]}: start the processes by srun or mpirun, "
            "or give address:port,number,which"
        ) from error
    there = collections.Counter(device.process_index for device in jax.devices())
    if len(set(there.values())) > 1:
        counted = ", ".join(str(count) for _, count in sorted(there.items()))
        raise InputError(
            f"--hosts={hosts}: the processes have {counted} devices: give each as many "
            "as the others"
        )


def agreed(*values: int) -> tuple[int, ...]:
    """What these numbers are in the first of all processes: decisions are common."""
    if jax.process_count() == 1:
        return values
    from jax.experimental import multihost_utils

    return tuple(multihost_utils.broadcast_one_to_all(np.array(values)).tolist())


def of_all(*values: int) -> list[tuple[int, ...]]:
    """These numbers of each process, known to all of them."""
    if jax.process_count() == 1:
        return [values]
    from jax.experimental import multihost_utils

    found = multihost_utils.process_allgather(np.array(values))
    return [tuple(row) for row in np.reshape(found, (-1, len(values))).tolist()]


def for_batches(name: str, batch_size: int) -> Mesh | None:
    """The devices among which batches are divided, or None for the only one.

    If the number was not asked for, it is the largest that divides the batch.

    Args:
        name: of the training, for the log.
        batch_size: rows of a batch.

    Raises:
        InputError: the number that was asked for does not divide it.
    """
    if jax.process_count() > 1:
        return _of_all_processes(batch_size)
    most = len(used())
    found = max(n for n in range(1, most + 1) if batch_size % n == 0)
    if found < most and NUMBER.get():
        raise InputError(
            f"--devices={most}: a batch of {batch_size} is not divided by {most}: give "
            f"--devices={found}, or a batch_size that is a multiple of {most}"
        )
    if most > 1:
        logging.info("%s: batches go to %d of %d devices", name, found, most)
    return Mesh(np.array(used()[:found]), (AXIS,)) if found > 1 else None


def _of_all_processes(batch_size: int) -> Mesh:
    there = jax.devices()
    if batch_size % len(there) or NUMBER.get():
        raise InputError(
            f"--hosts: a batch of {batch_size} is to be divided among all "
            f"{len(there)} devices: give a batch_size that is a multiple of that, and "
            "leave --devices out"
        )
    return Mesh(np.array(there), (AXIS,))


def whole(mesh: Mesh) -> NamedSharding:
    """Arrays that are whole on every device."""
    return NamedSharding(mesh, PartitionSpec())


def placed(mesh: Mesh | None, tree: Any) -> Any:
    """Arrays put whole on every device; as they are where there is no mesh."""
    if mesh is None:
        return tree
    if not mesh.is_multi_process:
        return jax.device_put(tree, whole(mesh))
    return jax.tree.map(lambda a: _everywhere(a, whole(mesh)), tree)


def _everywhere(array: Any, sharding: NamedSharding) -> Any:
    """An array that each process has, as one of all processes."""
    if not hasattr(array, "dtype") or getattr(array, "sharding", None) == sharding:
        return array
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = _everywhere(jax.random.key_data(array), sharding)
        return jax.jit(jax.random.wrap_key_data, out_shardings=sharding)(data)
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda at: host[at])


def divided(mesh: Mesh | None, batch: Any) -> Any:
    """Rows of a batch divided among the devices, inside a compiled function."""
    if mesh is None:
        return batch
    rows = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, rows), batch)


def compiled(function: Callable, mesh: Mesh | None, **options: Any) -> Callable:
    """``jax.jit`` of a function whose inputs and results are whole on every device."""
    if mesh is None:
        return jax.jit(function, **options)
    everywhere = whole(mesh)
    made = jax.jit(
        function, in_shardings=everywhere, out_shardings=everywhere, **options
    )
    if not mesh.is_multi_process:
        return made
    return lambda *given: made(*placed(mesh, given))
