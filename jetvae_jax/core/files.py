"""Files that are complete or not there, and the folder of a run.

Everything that this package leaves on a disk goes through :class:`Part`: it is written
under a name of its own beside its place, forced to the disk, and only then given its
name. A reader, another writer, a kill or a full disk at any moment therefore meet the
old file or the new one, and nothing between.
"""

import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from jetvae_jax.core import locks
from jetvae_jax.core.errors import InputError, did_you_mean

# <end of the name>.<process>-<host>-<random>.part: no two writers have the same.
_PART = re.compile(r"\.(\d+)-(\w+)-[0-9a-f]{8}\.part$", re.ASCII)
LOCK = ".lock"
RESULTS_LOCK = ".results.lock"
ZOO = pathlib.Path(__file__).parents[1] / "zoo"
"""Folder of the trained models that come with the package."""
_ABANDONED = 7 * 86400  # seconds without a change, of a process of another machine
_swept: set[str] = set()


@contextlib.contextmanager
def reported(path: str | os.PathLike) -> Iterator[None]:
    """Turns failures of the disk inside the block into one line.

    Raises:
        InputError: the disk or the permissions do not allow to write ``path``.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise InputError(
            f"{os.fspath(path)}: cannot be written ({reason}); check the folder, its "
            "permissions and the free space"
        ) from error


def make_folder(path: str | os.PathLike) -> pathlib.Path:
    """Makes a folder and those above it, if need be.

    Raises:
        InputError: the disk or the permissions do not allow it.
    """
    with reported(path):
        os.makedirs(path, exist_ok=True)
    return pathlib.Path(path)


class Part:
    """A file, or a folder, that is being written.

    What a killed process of this machine left in the folder is removed first.

    Args:
        path: the name when it is complete, in a folder that exists.
        folder: whether it is to be a folder.

    Attributes:
        path: see above.
        temporary: what to write to, empty at first.

    Raises:
        InputError: it cannot be made.
    """

    def __init__(self, path: str | os.PathLike[str], *, folder: bool = False):
        self.path = pathlib.Path(path)
        _sweep(self.path.parent)
        # The end has the suffix; the whole name may be too long for the disk.
        own = f"{os.getpid()}-{locks.host()}-{secrets.token_hex(4)}"
        self.temporary = self.path.with_name(f"{self.path.name[-30:]}.{own}.part")
        with reported(path):
            if folder:
                self.temporary.mkdir()
            else:
                open(self.temporary, "xb").close()

    def complete(self) -> None:
        """Gives it its name; what had that name is gone.

        Raises:
            InputError: the disk does not allow it.
        """
        with reported(self.path):
            if self.temporary.is_dir():
                for inner in self.temporary.iterdir():
                    _sync(inner)
                shutil.rmtree(self.path, ignore_errors=True)
            replace(self.temporary, self.path)

    def discard(self) -> None:
        """Removes what is incomplete; does nothing after ``complete``."""
        _remove(self.temporary)


def replace(part: str | os.PathLike, path: str | os.PathLike) -> None:
    """Gives a complete file or folder its name, to stay even if the power fails.

    Raises:
        OSError: the disk does not allow it.
    """
    # The content must be on the disk before the new name is.
    _sync(part)
    os.replace(part, path)
    _sync(os.path.dirname(path) or ".")


def _sync(path: str | os.PathLike) -> None:
    if not os.path.isdir(path):
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        return
    with contextlib.suppress(OSError):  # not every system opens folders
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _remove(path: str | os.PathLike) -> None:
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def _sweep(folder: pathlib.Path) -> None:
    """Removes what processes that are no more have left, once for each folder."""
    key = os.path.realpath(folder)
    if key in _swept:
        return
    _swept.add(key)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (found := _PART.search(entry.name)) and _abandoned(found, entry):
                _remove(entry.path)


def _abandoned(found: re.Match, entry: os.DirEntry) -> bool:
    if found[2] == locks.host():
        return not locks.alive(int(found[1]))
    return time.time() - entry.stat().st_mtime > _ABANDONED


@contextlib.contextmanager
def write_atomically(
    path: str | os.PathLike[str], *, folder: bool = False
) -> Iterator[pathlib.Path]:
    """Write to a temporary file that replaces ``path`` when it is complete.

        with write_atomically("report.html") as part:
            part.write_text(page)

    If the block fails, or the process is killed, an existing ``path`` is unchanged.
    Any number of processes may do so at once: the last one to end wins.

    Args:
        path: of the file, in a folder that exists.
        folder: write files into a temporary folder instead.

    Yields:
        The path of the temporary file or folder.

    Raises:
        InputError: the disk or the permissions do not allow it.
    """
    part = Part(path, folder=folder)
    try:
        with reported(path):
            yield part.temporary
        part.complete()
    finally:
        part.discard()


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
        if in_zoo(self.path):
            raise InputError(
                f"--workdir={path}: is a model of the package, where nothing is "
                "written: give the file of generated samples by --generate.output, or "
                "copy the folder for other work"
            )
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

    def locked(self, name: str = LOCK) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes out of the same kind of work there meanwhile.

        Args:
            name: of the lock's file: the default is for training, fitting and making.

        Raises:
            InputError: one is there already; the message says which.
        """
        return locks.locked(self / name, f"--workdir={self.path}")

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes from writing their results there meanwhile.

        Results of several files are those of one process, the last one; the others
        wait.

        Raises:
            InputError: no file can be written there.
        """
        lock = self / RESULTS_LOCK
        return locks.locked(lock, f"--workdir={self.path}", wait=True)

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


def read_lines(path: str | os.PathLike) -> list[dict]:
    """Rows of a JSON-lines file; empty when there is none.

    Raises:
        InputError: the file is damaged.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return []
    with intact(path):
        return [_record(line) for line in path.read_text().splitlines()]


def read_json(path: str | os.PathLike) -> dict:
    """The object in a JSON file.

    Raises:
        InputError: the file is damaged, or there is none.
    """
    with intact(path):
        return _record(pathlib.Path(path).read_text())


def _record(text: str) -> dict:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object in JSON")
    return found


@contextlib.contextmanager
def intact(path: str | os.PathLike) -> Iterator[None]:
    """What a JSON file holds is as it was written, or it is named.

    Raises:
        InputError: reading it, or what the block does with its content, failed.
    """
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(
            f"{path}: is damaged ({what}): delete it, or repeat the command that "
            "wrote it"
        ) from error


def expanded(path: str | os.PathLike) -> str:
    """A path with ``~`` and ``$HOME`` replaced, as a shell does, and ``zoo:NAME``.

    Raises:
        ValueError: a variable that is not set, or no such home.
        InputError: there is no such model in the package.
    """
    given = os.fspath(path)
    if given.startswith("zoo:"):
        return str(zoo_folder(given.removeprefix("zoo:")))
    found = os.path.expandvars(os.path.expanduser(given))
    if (left := _VARIABLE.search(found)) and not os.path.exists(found):
        raise ValueError(f"{left[0]} is not set")
    if found.startswith("~") and not os.path.exists(found):
        raise ValueError(f"{found.split(os.sep)[0]}: no such home; ./~ means the name")
    return found


def absent(path: str | os.PathLike) -> str:
    """The reason why a path cannot be read, for the message of an error."""
    given = os.fspath(path)
    if re.match(r"\w+://", given):
        return "is an address, and files are read from disks only: download it first"
    given = os.path.expanduser(given)
    if os.path.islink(given) and not os.path.exists(given):
        return f"is a link to {os.readlink(given)}, which does not exist"
    if os.path.exists(given) and not (os.path.isfile(given) or os.path.isdir(given)):
        return "is a pipe or a device, and files are read more than once: make a file"
    return "is a folder" if os.path.isdir(given) else "no such file or folder"


def user_cache(name: str) -> pathlib.Path:
    """A folder for what can be made again, in that of the user; it may not exist."""
    home = os.path.expanduser("~")  # as it is for a user without one, in a container
    root = os.environ.get("XDG_CACHE_HOME") or (
        os.path.join(home, ".cache") if home != "~" else tempfile.gettempdir()
    )
    return pathlib.Path(root) / "jetvae_jax" / name


def in_zoo(folder: str | os.PathLike) -> bool:
    """Whether a folder is that of a model of the package, where nothing is written."""
    return ZOO in pathlib.Path(folder).absolute().parents


def zoo_names() -> list[str]:
    """Names of the trained models that come with the package."""
    return sorted(path.parent.name for path in ZOO.glob("*/vae.npz"))


def zoo_folder(name: str) -> pathlib.Path:
    """The folder of a trained model of the package.

    Raises:
        InputError: there is none of this name.
    """
    if name not in zoo_names():
        raise InputError(
            f"zoo:{name}: is unknown{did_you_mean(name, zoo_names())}; there are "
            f"{', '.join(zoo_names())}"
        )
    return ZOO / name
