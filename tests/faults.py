"""Kills and full disks at every point where a file is touched, found by counting.

What a kill at some moment leaves is the folder as it is at that moment.
:func:`kills` therefore runs a command once and copies the folder at every call that
changes it: at each opening for writing, in the middle of what is written, at each
rename, removal and fsync. New writes are covered without a new test.
"""

import builtins
import contextlib
import errno
import io
import os
import pathlib
import re
import shutil

import numpy as np
import pytest
import uproot

from jetvae_jax.core import files
from jetvae_jax.training.checkpoint import META

CHANGES = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "fsync")
REMOVALS = ("unlink", "remove", "rmdir")
DEAD = 2**22 + 1  # more than any process number
PART = re.compile(r"\.(\d+)-\w+-[0-9a-f]{8}\.part$")


class Watched:
    """An open file that calls ``point`` before it is written, and in between."""

    def __init__(self, file, point):
        self.__dict__.update(_file=file, _point=point, _count=0, _next=1)

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __iter__(self):
        return iter(self._file)

    def write(self, data):
        self.__dict__["_count"] += 1
        if self._count < self._next:
            return self._file.write(data)
        self.__dict__["_next"] = 2 * self._next  # each would be very many
        text = isinstance(data, str)
        data = data if text else bytes(memoryview(data).cast("B"))
        half = self._file.write(data[: len(data) // 2])
        self._file.flush()
        self._point("write")
        return half + self._file.write(data[half:])


@contextlib.contextmanager
def watched(folder, point):
    """Calls ``point(name)`` before each call that changes a file in the folder."""
    inside = pathlib.Path(os.path.realpath(folder))

    def within(path):
        if not isinstance(path, str | os.PathLike):
            return False
        real = pathlib.Path(os.path.realpath(path))
        return real == inside or inside in real.parents

    def changing(name, call):
        def function(first, *rest, **options):
            place = options.get("dir_fd", first)  # of rmtree, of fsync
            if isinstance(place, int):
                place = os.readlink(f"/proc/self/fd/{place}")
            if within(place):
                point(name)
            return call(first, *rest, **options)

        return function

    def opening(path, mode="r", *rest, **options):
        if set(mode) & set("wax+") and within(path):
            point("open")
            return Watched(real(path, mode, *rest, **options), point)
        return real(path, mode, *rest, **options)

    real = io.open
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, changing(name, getattr(os, name)))
        patch.setattr(builtins, "open", opening)
        patch.setattr(io, "open", opening)
        yield


def kills(folder, command, store):
    """What kills of a command leave, each different state once: copies of the folder.

    Files in the making are named as if their process had ended.
    """
    states = {}

    def point(name):
        del name
        key = tuple(sorted(visible(folder).items()))
        copy = states.setdefault(key, pathlib.Path(store) / f"{len(states)}")
        shutil.rmtree(copy, ignore_errors=True)  # the last has most in the making
        shutil.copytree(folder, copy)
        for part in parts(copy):
            own = f".{os.getpid()}-"
            part.rename(part.with_name(part.name.replace(own, f".{DEAD}-")))

    with watched(folder, point):
        command()
    return list(states.values())


def failures(folder, begin, command, kinds=None, code=errno.ENOSPC):
    """Has each point of a command fail, and all after it: contexts to run it in.

    Only files can still be removed, as on a full disk.

    Args:
        folder: the command's; before each run it is replaced by a copy of ``begin``.
        begin: what is in it before.
        command: a function.
        kinds: of calls that fail; None for all.
        code: of the failure.
    """
    passed = []
    renew(folder, begin)
    with watched(folder, passed.append):
        command()
    kinds = kinds or {*CHANGES, "open", "write"} - {*REMOVALS}
    passed = [name for name in passed if name in kinds]
    for at in range(len(passed)):
        renew(folder, begin)
        left = iter(range(at))

        def point(name, left=left):
            if name in kinds and next(left, None) is None:
                raise OSError(code, os.strerror(code))

        yield watched(folder, point)


def renew(folder, begin):
    """Makes the folder what ``begin`` is, for a new process."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(begin, folder)
    files._swept.clear()  # it has looked at no folder


def parts(folder):
    """What is in the making."""
    return [p for p in pathlib.Path(folder).rglob("*") if PART.search(p.name)]


def visible(folder):
    """Relative path to content of everything that is not in the making."""
    folder = pathlib.Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not any(PART.search(p) for p in path.parts)
    }


def results(folder):
    """As ``visible``, without times and the place of the folder, and without locks."""
    found = visible(folder)
    return {
        name: _timeless(name, data).replace(os.fsencode(folder), b"FOLDER")
        for name, data in found.items()
        if not name.endswith(".lock")
    }


def _timeless(name, data):
    if name.endswith(".root"):  # it has its time and number inside
        with uproot.open({io.BytesIO(data): None}) as file:
            trees = [key for key, kind in file.classnames().items() if kind == "TTree"]
            arrays = [file[key].arrays().tolist() for key in trees]
            return repr([arrays, str(file["provenance"])]).encode()
    if name.endswith(".npz"):
        with np.load(io.BytesIO(data)) as arrays:
            rows = [(n, a.dtype, a.shape, _no_seconds(a.tobytes()))
                    for n, a in arrays.items()]  # fmt: skip
        return repr([row if row[0] != META else row[3] for row in rows]).encode()
    return _no_seconds(data) if name.endswith((".json", ".jsonl")) else data


def _no_seconds(data):
    return re.sub(rb'"seconds": ([\d.e+-]+|\{[^{}]*\})', b'"seconds": 0', data)
