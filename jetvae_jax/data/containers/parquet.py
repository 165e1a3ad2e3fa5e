"""Parquet files, lists of particles as columns of lists, or lists of records.

A field of a record, or of a list of records as awkward writes them, is the column
``record.field``. Needs pyarrow.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.data.containers import tables
from jetvae_jax.data.containers.tables import Column, Field, Ragged, guarded

SUFFIXES, JETS = (".parquet", ".pq"), True
METADATA = True
META = b"jetvae_jax"


@contextlib.contextmanager
def opened(path: str | os.PathLike, tree: str = "") -> Iterator["ParquetTable"]:
    """Opens a file for reading.

    Args:
        path: of the file.
        tree: not used: the file is one table.

    Raises:
        InputError: pyarrow is not installed, or the file cannot be read.
    """
    del tree
    path = os.fspath(path)
    with tables.needing("pyarrow", path):
        import pyarrow.parquet
    with contextlib.ExitStack() as stack:
        with guarded(path, "the file"):
            # A plain file object: the memory is that of what is read.
            file = stack.enter_context(pyarrow.parquet.ParquetFile(path))
            table = ParquetTable(path, file)
        yield table


class ParquetTable:
    """The columns of a file; see ``tables.Table``."""

    def __init__(self, path: str, file):
        self.path, self._file = path, file
        schema = file.schema_arrow
        paths = [file.schema.column(i).path for i in range(len(file.schema))]
        found = [
            parts
            for name, kind in zip(schema.names, schema.types, strict=True)
            for parts in _leaves(kind, (name,))
        ]
        if len(found) != len(paths):  # a type that is not read
            found, paths = [(name,) for name in schema.names], schema.names
        # The column of a record without a name is awkward's: only its fields have one.
        names = [".".join(filter(None, parts)) for parts in found]
        self._parts = dict(zip(names, found, strict=True))
        self._paths = dict(zip(names, paths, strict=True))
        self.names = tuple(names)
        texts = (schema.metadata or {}) | (file.metadata.metadata or {})
        self.metadata: dict[str, Any] = tables.metadata(
            texts.get(META, b"").decode(errors="replace")
        )

    def num_rows(self, names: list[str]) -> int:
        """Rows of the file."""
        return self._file.metadata.num_rows

    def blocks(self, names, size, stop):
        """Rows ``0:stop`` of these columns, about ``size`` at a time."""
        done = 0
        paths = [self._paths[name] for name in names]
        batches = iter(self._file.iter_batches(size, columns=paths))
        while done < stop:
            with guarded(self.path, f"rows from {done}"):
                batch = next(batches, None)
                if batch is None:
                    raise ValueError("it ends early")
                batch = batch[: stop - done]
                block = {n: self._column(batch, n) for n in names}
            done += len(batch)
            yield block

    def _column(self, batch, name):
        import pyarrow as pa

        top, *fields = self._parts[name]
        values, counts = batch.column(top), []
        while True:
            kind = values.type
            if _is_list(kind):
                counts.append(np.asarray(values.value_lengths().fill_null(0), np.int64))
                values = values.flatten()
            elif pa.types.is_struct(kind) and fields:
                values = values.flatten()[kind.get_field_index(fields.pop(0))]
            else:
                break
        plain = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
        if len(counts) > 2 or not any(test(kind) for test in plain):
            raise InputError(
                f"{self.path}: {name}: type is {batch.column(top).type}, expected "
                "numbers or lists of numbers"
            )
        if pa.types.is_boolean(kind):
            values = values.cast(pa.int8())
        numbers = values.to_numpy(zero_copy_only=False)  # nulls become NaN
        return tables.column(numbers, *counts)


def _is_list(kind) -> bool:
    import pyarrow as pa

    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in lists)


def _leaves(kind, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The names on the way to each number of a type, in the order of the file."""
    import pyarrow as pa

    if _is_list(kind):
        yield from _leaves(kind.value_type, parts)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(field.type, (*parts, field.name))
    else:
        yield parts


class ParquetWriter:
    """Writes one row group a call, the units as metadata of the columns.

    Args:
        path: of the file.
        fields: the columns.
        name: not used: the file is one table.

    Raises:
        InputError: pyarrow is not installed.
    """

    def __init__(self, path: str | os.PathLike, fields: list[Field], name: str = ""):
        del name
        with tables.needing("pyarrow", path):
            import pyarrow as pa
            import pyarrow.parquet as pq

        def kind(field: Field):
            number = pa.from_numpy_dtype(np.dtype(field.dtype))
            return pa.list_(number) if field.lists else number

        self._schema = pa.schema(
            pa.field(
                field.name,
                kind(field),
                nullable=False,
                metadata={"unit": field.unit} if field.unit else None,
            )
            for field in fields
        )
        self._file = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=False,
            use_byte_stream_split=True,  # a quarter smaller than by default
        )

    def write(self, columns: dict[str, Column]) -> None:
        """Adds one row group."""
        import pyarrow as pa

        arrays = []
        for field in self._schema:
            column = columns[field.name]
            if isinstance(column, Ragged):
                ends = np.concatenate([[0], np.cumsum(column.counts)])
                offsets = pa.array(ends, pa.int32())
                array = pa.ListArray.from_arrays(
                    offsets, pa.array(column.values), type=field.type
                )
            else:
                array = pa.array(column, field.type)
            arrays.append(array)
        self._file.write_batch(pa.record_batch(arrays, schema=self._schema))

    def finish(self, metadata: dict[str, Any]) -> None:
        """Writes the metadata, as JSON text, and the end of the file."""
        text = json.dumps(metadata, sort_keys=True)
        self._file.add_key_value_metadata({META: text})
        self._file.close()

    def close(self) -> None:
        """Closes an incomplete file."""
        self._file.close()


create = ParquetWriter
