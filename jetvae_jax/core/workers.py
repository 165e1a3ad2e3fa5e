"""Independent tasks on several processes: of this machine, or of a Dask scheduler."""

import contextlib
import logging as python_logging
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Protocol

from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.words import counted


class Workers(Protocol):
    """Settings of the workers; see the fields of a ``Config`` that has them."""

    @property
    def dask_scheduler(self) -> str:
        """Address, or empty."""
        ...

    @property
    def num_workers(self) -> int:
        """Processes to start here; 0 for one per core."""
        ...


@contextlib.contextmanager
def client(config: Workers, num_tasks: int) -> Iterator[Any]:
    """A Dask client of the given scheduler, or of a cluster started here.

    Raises:
        InputError: nothing answers at the address, or Dask is not installed.
    """
    try:
        import distributed
        from dask.system import CPU_COUNT  # the cores that this job may use
    except ImportError:
        raise InputError(
            "workers need Dask, which is not installed: pip install 'jetvae_jax[dask]'"
        ) from None

    # It logs every connection.
    python_logging.getLogger("distributed").setLevel(python_logging.CRITICAL)
    if config.dask_scheduler:
        try:
            found = distributed.Client(config.dask_scheduler)
        except (OSError, ValueError) as error:
            raise InputError(
                f"dask_scheduler = {config.dask_scheduler}: no answer ({error})"
            ) from None
        with found:
            yield found
        return
    workers = config.num_workers or CPU_COUNT
    with (
        distributed.LocalCluster(
            n_workers=min(workers, num_tasks),
            # What they run uses a core or all: a second thread would only wait.
            threads_per_worker=1,
            # Dask's limit on a full machine may be less than a worker needs.
            memory_limit=None,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found


def results(
    function: Callable[..., Any], tasks: Mapping[str, tuple], config: Workers
) -> Generator[tuple[str, Any], None, None]:
    """What a function returns on the workers, each result when it is there.

    If a worker dies, Dask gives its task to another one, up to three times.

    Args:
        function: runs on a worker.
        tasks: its arguments, by the name of the task, which is a shard.
        config: the workers.

    Yields:
        Name and result.

    Raises:
        InputError: one from the function; or some tasks failed, after all others.
    """
    lost = []
    with client(config, len(tasks)) as there:
        import distributed

        waiting = {
            there.submit(function, *given, pure=False): name
            for name, given in tasks.items()
        }
        for future in distributed.as_completed(waiting):
            name = waiting.pop(future)
            try:
                result = future.result()
            except InputError:
                raise
            except Exception as error:  # whatever happens on a worker
                lost.append(name)
                logging.error("shard %s failed: %r", name, error)
                continue
            yield name, result
            future.release()
    if lost:
        raise InputError(
            f"{len(lost)} of {counted(len(tasks), 'shard')} could not be made "
            f"({', '.join(lost)});"
            " the others are saved: run again to make these"
        )
