"""Tables of events to disk, in the containers that :func:`load` reads."""

import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jetvae_jax.core.files import make_folder, write_atomically
from jetvae_jax.data import containers
from jetvae_jax.data.containers.tables import Field

DATA = "events"


def write(
    path: str | os.PathLike[str],
    values: np.ndarray,
    names: Sequence[str],
    metadata: dict[str, Any],
) -> None:
    """Writes a table; the file appears complete or not at all.

    Args:
        path: its suffix names the container: HDF5 (a data set ``events`` [J, C] with
            attribute ``names``), Parquet, ROOT (tree ``events``), npz, or text such as
            .csv; its folder is made.
        values: ``[J, C]``, float32 in the file.
        names: of the columns.
        metadata: JSON-able; text files have no place for it.

    Raises:
        InputError: unknown suffix, missing package, or the disk does not allow it.
        ValueError: names and values do not match.
    """
    path = pathlib.Path(path)
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"values {values.shape} do not have {len(names)} columns")
    create = containers.creator(path)
    make_folder(path.parent)
    with write_atomically(path) as part:
        file = create(part, [Field(name) for name in names], DATA)
        with contextlib.closing(file):
            columns = np.ascontiguousarray(values.T)
            file.write(dict(zip(names, columns, strict=True)))
            file.finish(metadata)
