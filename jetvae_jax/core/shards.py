"""Files of one folder that are made one by one, anywhere and in any order: shards.

Beside a shard, in the folder ``_shards``, lies its record: settings, size and checksum.
The record is written after the file, and each belongs to one shard alone, so that any
number of processes on any machines can work in the folder without a lock. A shard is
whole if its record is there and its file agrees with it. When all are, the file
``_manifest.json`` lists them. These two names begin with a line because readers of
folders (Arrow, Dask, Spark) pass over such files.
"""

import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import make_folder, write_atomically

RECORDS, MANIFEST = "_shards", "_manifest.json"


def spans(number: int, shards: int, unit: int) -> list[range]:
    """Rows of each shard: whole units, as many in each as in the others or one more.

    Args:
        number: of rows; the last unit may be cut.
        shards: not more than there are units.
        unit: rows that are made together.
    """
    units = -(-number // unit)
    ends = [min(i * units // shards * unit, number) for i in range(shards + 1)]
    return [range(a, b) for a, b in itertools.pairwise(ends)]


class Shards:
    """The shards of one sample.

    Args:
        folder: where they are, which need not exist yet.
        suffix: of their files.
        rows: of each shard.
        settings: JSON-able, all that determines the rows.
        remedy: what to do where the folder holds shards of other settings.

    Attributes:
        folder: see above.
        rows: see above.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        suffix: str,
        rows: Sequence[range],
        settings: dict[str, Any],
        remedy: str,
    ):
        self.folder, self.rows = folder, rows
        self._suffix, self._remedy = suffix, remedy
        self._settings = json.loads(json.dumps(settings))
        self._digits = max(5, len(str(len(rows) - 1)))

    def __len__(self) -> int:
        return len(self.rows)

    def path(self, index: int) -> pathlib.Path:
        """The file of a shard; names sort as the shards do."""
        return self.folder / f"part_{index:0{self._digits}d}{self._suffix}"

    def _record_path(self, index: int) -> pathlib.Path:
        return self.folder / RECORDS / f"{index:0{self._digits}d}.json"

    def check_settings(self) -> None:
        """Check that no shards of other settings are there, by the first record.

        Raises:
            InputError: they are.
        """
        folder = self.folder / RECORDS
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        for name in (n for n in names if n.endswith(".json")):
            if self._read(folder / name) is not None:
                return

    def record(self, index: int) -> dict[str, Any] | None:
        """What is written of a shard; None if that is nothing, or cut short.

        Raises:
            InputError: it is of other settings.
        """
        return self._read(self._record_path(index))

    def _read(self, path: pathlib.Path) -> dict[str, Any] | None:
        try:
            found = json.loads(path.read_text())
            settings = found.pop("settings")
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # cut short
        check_same(path, settings, self._settings, self._remedy)
        return found

    def is_whole(self, index: int) -> bool:
        """Whether a shard is there and its checksum agrees.

        Raises:
            InputError: there is one of other settings.
        """
        record, path = self.record(index), self.path(index)
        if record is None or not path.is_file():
            return False
        return record == self._measured(index)

    def complete(self, index: int) -> dict[str, Any]:
        """Write the record of a shard whose file has just been written.

        Raises:
            InputError: the disk or the permissions do not allow it.
        """
        path = self.path(index)
        make_folder(self.folder / RECORDS)
        while True:
            before = path.stat()
            record = self._measured(index)
            _write(self._record_path(index), record | {"settings": self._settings})
            # If another process has made the same shard meanwhile, its file is there.
            after = path.stat()
            if (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns):
                return record

    def _measured(self, index: int) -> dict[str, Any]:
        path, rows = self.path(index), self.rows[index]
        return {
            "file": path.name,
            "first": rows.start,
            "rows": len(rows),
            "bytes": path.stat().st_size,
            "sha256": sha256(path),
        }

    def write_manifest(self, about: dict[str, Any]) -> pathlib.Path | None:
        """List all shards by their records, if each and its file are there.

        Else there is no new one, and an old one is removed if a file is missing.

        Args:
            about: JSON-able, written beside the settings.

        Returns:
            The path of the manifest, or None.

        Raises:
            InputError: the disk or the permissions do not allow it, or shards of other
                settings are there.
        """
        path, folder = self.folder / MANIFEST, self.folder / RECORDS
        there = set(os.listdir(folder)) if folder.is_dir() else set()
        named = all(self._record_path(i).name in there for i in range(len(self)))
        records = [self.record(i) for i in range(len(self))] if named else []
        found = [record for record in records if record is not None]
        if not all(map(self._is_there, found)):
            path.unlink(missing_ok=True)
            return None
        if len(found) < len(self):  # others may be at work on the last
            return None
        _write(
            path,
            {
                **about,
                "settings": self._settings,
                "rows": sum(record["rows"] for record in found),
                "bytes": sum(record["bytes"] for record in found),
                "shards": found,
            },
        )
        return path

    def _is_there(self, record: dict[str, Any]) -> bool:
        """Whether the file of a record is there in its size."""
        try:
            return (self.folder / record["file"]).stat().st_size == record["bytes"]
        except OSError:
            return False

    def check(self, advance: Callable[[int], object] = lambda rows: None) -> None:
        """Check that all shards are whole; else a manifest of before is removed.

        Args:
            advance: called with the number of rows of each.

        Raises:
            InputError: some are missing or damaged, and which.
        """
        missing, damaged = [], []
        for index, rows in enumerate(self.rows):
            if not self.is_whole(index):
                there = self.path(index).exists() and self.record(index)
                (damaged if there else missing).append(index)
            advance(len(rows))
        if missing or damaged:
            (self.folder / MANIFEST).unlink(missing_ok=True)
            states = {"missing": missing, "damaged": damaged}
            text = "; ".join(f"{s}: {listed(i)}" for s, i in states.items() if i)
            raise InputError(
                f"{self.folder}: {len(missing) + len(damaged)} of {len(self)} shards "
                f"are not whole ({text}): make them again"
            )


def check_same(path: pathlib.Path, found: Any, wanted: Any, remedy: str) -> None:
    """Check that a file was made by the settings that are wanted now.

    Args:
        path: of the file.
        found: its settings, a JSON object.
        wanted: the same.
        remedy: what to do otherwise.

    Raises:
        InputError: it was not; the message says what is different.
    """
    found = found if isinstance(found, dict) else {}
    for key, value in wanted.items():
        if found.get(key) != value:
            raise InputError(
                f"{path}: made with other {key}: {_difference(found.get(key), value)}"
                f"; {remedy}"
            )


def _difference(found: Any, wanted: Any) -> str:
    """The difference of two JSON values, for a message."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        found, wanted = ([f"{k} = {v}" for k, v in x.items()] for x in (found, wanted))
    if isinstance(found, list) and isinstance(wanted, list):
        only = [x for x in found if x not in wanted] or ["nothing more"]
        new = [x for x in wanted if x not in found] or ["nothing more"]
        return f"{', '.join(only)} there, {', '.join(new)} here"
    return f"{found} there, {wanted} here"


def listed(numbers: Iterable[int]) -> str:
    """Numbers in ascending order as text: ``3, 7-9``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def sha256(path: str | os.PathLike) -> str:
    """The checksum of a file, as ``sha256sum`` prints it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: pathlib.Path, value: Any) -> None:
    with write_atomically(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n")
