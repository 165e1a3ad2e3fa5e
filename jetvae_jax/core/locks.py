"""Locks between processes: who works in a folder, and whether a process still lives.

A lock is one of the operating system on an open file. It ends with its process, however
that ends: a file that a killed process leaves locks nothing.
"""

import contextlib
import datetime
import functools
import os
import pathlib
import re
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from absl import logging

from jetvae_jax.core.errors import InputError

_mine = threading.local()  # paths that this thread has locked


@functools.cache
def host() -> str:
    """Name of this machine, and of the container where there is one, as one word."""
    space = ""
    with contextlib.suppress(OSError):  # numbers of processes count within it
        space = f"_{os.stat('/proc/self/ns/pid').st_ino:x}"
    return re.sub(r"\W", "_", socket.gethostname(), flags=re.ASCII)[:32] + space


def alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    if os.name == "nt":  # where this call would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


@contextlib.contextmanager
def locked(path: str | os.PathLike, what: str, *, wait: bool = False) -> Iterator[None]:
    """Keeps other processes out while the block runs.

        with locked("runs/g/.lock", "--workdir=runs/g"):
            ...

    The same thread may enter again. Where the file system has no locks, a line of the
    log says so and nothing is locked.

    Args:
        path: of the lock's file, in a folder that exists; gone afterwards.
        what: is locked, for the message.
        wait: until the other process has ended, instead of an error.

    Raises:
        InputError: another process is in such a block, and who it is; or the file
            cannot be made.
    """
    key = os.path.realpath(path)
    mine: set[str] = _mine.__dict__.setdefault("paths", set())
    if key in mine:
        yield
        return
    file = _acquired(pathlib.Path(path), what, wait)
    mine.add(key)
    try:
        yield
    finally:
        mine.discard(key)
        if file:
            with contextlib.suppress(OSError):
                os.unlink(path)  # before it is unlocked: whoever waits makes another
            file.close()


def _acquired(path: pathlib.Path, what: str, wait: bool) -> Any:
    """The open and locked file, or None where there are no locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    while True:
        try:
            file = open(path, "a+")  # noqa: SIM115 - its holder closes it
        except OSError as error:
            raise InputError(
                f"{what}: cannot be locked ({path}: {error.strerror}): give a folder "
                "that you may write to"
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            _give_way(file, what, wait)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            file.close()
            with contextlib.suppress(OSError):
                path.unlink()
            logging.info(
                "%s: this file system has no locks (%s): start no second process there",
                what, error.strerror,
            )  # fmt: skip
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                _sign(file)
                return file
        file.close()  # the one before has removed it


def _give_way(file: Any, what: str, wait: bool) -> None:
    """Says who is there; raises unless asked to wait."""
    file.seek(0)
    text = file.read(300)
    holder = "".join(c for c in text if c.isprintable()) or "another process"
    if not wait:
        file.close()
        raise InputError(
            f"{what}: is in use by {holder}: wait until that has ended, or give "
            "another folder"
        )
    logging.info("%s: waiting for %s", what, holder)


def _sign(file: Any) -> None:
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        file.truncate(0)
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        script = os.path.basename(sys.argv[0]) or "python"
        file.write(
            f"{script} (process {os.getpid()} on {socket.gethostname()}, since {now})"
        )
        file.flush()
