"""Atomic writing of files, and the folder of a run."""

import contextlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from jetvae_jax.core.errors import InputError


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Write to a temporary file that replaces ``path`` when it is complete.

        with write_atomically("report.html") as part:
            part.write_text(page)

    If the block fails, or the process is killed, an existing ``path`` is unchanged.

    Args:
        path: of the file, in a folder that exists.

    Yields:
        ``<path>.part``.

    Raises:
        InputError: the disk or the permissions do not allow it.
    """
    path = pathlib.Path(path)
    part = path.with_name(path.name + ".part")
    try:
        yield part
        # The content must be on disk before the new name is.
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise InputError(
            f"{path}: cannot be written ({reason}); check the folder, its permissions "
            "and the free space"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


_VARIABLE = re.compile(r"\$(\w+|\{\w+\})")


class Workdir:
    """The folder of one run, created if it does not exist.

    Args:
        path: the folder.

    Raises:
        InputError: it has no name, or cannot be created or written to.
    """

    def __init__(self, path: str | os.PathLike):
        if not os.fspath(path):
            raise InputError("--workdir: is empty: name a folder")
        try:
            self.path = pathlib.Path(expanded(path))
        except ValueError as error:
            raise InputError(f"--workdir={path}: {error}") from None
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--workdir={path}: cannot be created ({error.strerror}): "
                "give a folder that you may write to"
            ) from error
        if not os.access(self.path, os.W_OK):
            raise InputError(f"--workdir={path}: is not writable: give another folder")

    def __truediv__(self, name: str) -> pathlib.Path:
        return self.path / name

    def write_text(self, name: str, text: str) -> pathlib.Path:
        """Write a text file atomically."""
        target = self / name
        with write_atomically(target) as part:
            part.write_text(text)
        return target

    def write_json(self, name: str, value: Any) -> pathlib.Path:
        """Write indented JSON atomically."""
        return self.write_text(name, json.dumps(value, indent=2) + "\n")

    def write_lines(self, name: str, rows: list[dict]) -> pathlib.Path:
        """Write one JSON object per line, atomically."""
        return self.write_text(name, "".join(json.dumps(row) + "\n" for row in rows))

    def read_lines(self, name: str) -> list[dict]:
        """Rows of a JSON-lines file: see :func:`read_lines`."""
        return read_lines(self / name)


def read_lines(path: str | os.PathLike) -> list[dict]:
    """Rows of a JSON-lines file; empty when there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("not one object a line")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: is damaged ({error}): delete it, or repeat the command that "
            "wrote it"
        ) from error
    return rows


def expanded(path: str | os.PathLike) -> str:
    """A path with ``~`` and ``$HOME`` replaced, as a shell does.

    Raises:
        ValueError: a variable that is not set, or no such home.
    """
    given = os.fspath(path)
    found = os.path.expandvars(os.path.expanduser(given))
    if (left := _VARIABLE.search(found)) and not os.path.exists(found):
        raise ValueError(f"{left[0]} is not set")
    if found.startswith("~") and not os.path.exists(found):
        raise ValueError(f"{found.split(os.sep)[0]}: no such home; ./~ means the name")
    return found
