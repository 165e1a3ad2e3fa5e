"""Tables of events to disk, in the containers that :func:`load` reads."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import h5py
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import parquet, root, tables
from jetvae_jax.data.writing import common

DATA = "events"


def write(
    path: str | os.PathLike[str],
    values: np.ndarray,
    names: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """Writes a table; the file appears complete or not at all.

    Args:
        path: .hdf5 or .h5 (a data set ``events`` [J, C] with attribute ``names``),
            .parquet, .root (tree ``events``), .npz or .csv; its folder is made.
        values: ``[J, C]``, float32 in the file.
        names: of the columns.
        facts: JSON-able provenance; a CSV file has no place for it.

    Raises:
        InputError: unknown suffix, missing package, or the disk does not allow it.
        ValueError: names and values do not match.
    """
    path = pathlib.Path(path)
    values = np.asarray(values, np.float32)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise ValueError(f"values {values.shape} do not have {len(names)} columns")
    known: dict[str, Callable] = {
        ".hdf5": _hdf5, ".h5": _hdf5, ".parquet": _parquet, ".root": _root,
        ".npz": _npz, ".csv": _csv,
    }  # fmt: skip
    if path.suffix not in known:
        raise InputError(f"{path}: unknown suffix: give one of {', '.join(known)}")
    part = path.with_name(path.name + ".part")
    text = json.dumps(facts, sort_keys=True)
    try:
        with common.reported(str(path), OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            known[path.suffix](part, values, tuple(names), text)
            os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _hdf5(part, values, names, text):
    # The oldest format stores no times anywhere: the same events, the same bytes.
    with h5py.File(part, "w", libver="earliest") as file:
        data = file.create_dataset(
            DATA,
            data=values,
            chunks=(min(len(values), 10_000), 1) if len(values) else None,
            compression="gzip" if len(values) else None,
            compression_opts=9 if len(values) else None,
            shuffle=len(values) > 0,
            track_times=False,
        )
        data.attrs["names"] = np.array(names, "S")
        file.attrs["provenance"] = text


def _parquet(part, values, names, text):
    with tables.needing("pyarrow", str(part)):
        import pyarrow as pa
        import pyarrow.parquet as pq
    fields = [pa.field(name, pa.float32(), nullable=False) for name in names]
    schema = pa.schema(fields, metadata={parquet.META: text})
    columns = [pa.array(np.ascontiguousarray(column)) for column in values.T]
    pq.write_table(
        pa.table(columns, schema=schema),
        part,
        compression="zstd",
        use_dictionary=False,
        use_byte_stream_split=True,
    )


def _root(part, values, names, text):
    with tables.needing("uproot and awkward", str(part)):
        import awkward  # noqa: F401
        import uproot
    with uproot.recreate(part) as file:
        tree = file.mktree(DATA, dict.fromkeys(names, "float32"))
        columns = map(np.ascontiguousarray, values.T)
        tree.extend(dict(zip(names, columns, strict=True)))
        file[root.PROVENANCE] = text


def _npz(part, values, names, text):
    with open(part, "wb") as file:
        np.savez_compressed(
            file, events=values, names=np.array(names), provenance=np.array(text)
        )


def _csv(part, values, names, text):
    header = ",".join(names)
    np.savetxt(part, values, delimiter=",", header=header, comments="", fmt="%.9g")
