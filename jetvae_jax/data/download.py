"""Fetches public data sets: resumed, checked, and whole or not at all.

A file is written to ``<name>.part``, with which a later call goes on, and becomes
``<name>`` only when its size and MD5 are those that the publisher gives. The client of
the standard library is used; it honours the proxies of the environment. (pooch
does not resume: a lost connection at the end of a file of 2.7 GB costs all of it.)
"""

import contextlib
import functools
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import tarfile
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

from jetvae_jax.core import locks
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import LOCK, Part, replace, write_atomically
from jetvae_jax.data.catalogue import DataSet, Remote
from jetvae_jax.data.containers import hdf5

TIMEOUT = 60.0  # seconds without a byte
ATTEMPTS = 6  # in a row without a byte
MAX_RECORD = 10_000_000
SUMS = "MD5SUMS"
_BLOCK = 2**20
# Worth another try: overload and faults of the network.
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
_FAULTS = (OSError, http.client.HTTPException)
Report = Callable[[str, int, int | None], None]


class Unreachable(InputError):
    """The publisher cannot be reached: fetch the files by hand."""


def fetch(
    dataset: DataSet,
    folder: str | os.PathLike,
    *,
    jet_types: tuple[str, ...] = (),
    report: Report | None = None,
) -> list[pathlib.Path]:
    """Fetches the files of a data set that are missing in a folder.

    The checksums that were verified are kept in ``MD5SUMS`` in the folder, in the form
    that ``md5sum -c`` reads: existing files are then checked without the network.

    Args:
        dataset: from the catalogue.
        folder: made if missing.
        jet_types: classes wanted, where the files hold one each; empty for all.
        report: called with name, bytes so far and bytes in all (None if unknown).

    Returns:
        What a reader can be given: the files, and for archives their folders.

    Raises:
        Unreachable: there is no network, or the publisher does not answer.
        InputError: a wrong checksum, no space, or no permission.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    with _alone(folder):
        return _fetch(dataset, folder, jet_types, report)


def _alone(folder: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """A second process that fetches into the same folder waits for the first."""
    return locks.locked(folder / LOCK, f"downloads into {folder}", wait=True)


def _fetch(
    dataset: DataSet,
    folder: pathlib.Path,
    jet_types: tuple[str, ...],
    report: Report | None,
) -> list[pathlib.Path]:
    sums = _read_sums(folder)
    files = [
        f if f.md5 else f._replace(md5=sums.get(f.name))
        for f in dataset.of_type(jet_types)
    ]
    paths = []
    for file in published(dataset, tuple(files)):
        path = fetch_file(file, folder, report=report)
        sums[file.name] = str(file.md5)
        _write_sums(folder, sums)
        paths.append(unpack(path) if path.name.endswith(".tar.gz") else path)
    return paths


def by_hand(dataset: DataSet, folder: str, jet_types: tuple[str, ...] = ()) -> str:
    """What to fetch with a browser, and where to put it: a text of many lines."""
    files = dataset.of_type(jet_types)
    lines = [f"{dataset.title}: {dataset.page}", f"put into {folder}:", ""]
    for file in files:
        size = f"{file.size:,} bytes" if file.size else "size as the page says"
        digest = f"md5 {file.md5}" if file.md5 else "md5 as the page says"
        lines += [f"  {file.name}  ({size}, {digest})", f"    {file.url}"]
        lines += [f"    or {mirror}" for mirror in file.mirrors]
    known = [f"{file.md5}  {file.name}" for file in files if file.md5]
    lines.append("")
    if known:
        lines += [f"check them with 'md5sum -c {SUMS}', {SUMS} being:", "", *known, ""]
    if any(file.name.endswith(".tar.gz") for file in files):
        lines.append("then unpack with 'tar -xzf <file>', and read the folder train/")
    return "\n".join(lines)


def published(dataset: DataSet, files: tuple[Remote, ...]) -> tuple[Remote, ...]:
    """Completes sizes and checksums by the publisher's record.

    Args:
        dataset: whose ``record`` is asked, if a checksum is missing.
        files: some of its files.

    Returns:
        The files, each with its MD5.

    Raises:
        Unreachable: the record cannot be read.
        InputError: it does not list a file with an MD5.
    """
    if all(file.md5 for file in files):
        return files
    try:
        with _open(dataset.record) as answer:
            listed = json.loads(answer.read(MAX_RECORD))["files"]
        found = {item["key"]: item for item in listed}
    except (*_FAULTS, ValueError, KeyError, TypeError) as error:
        raise Unreachable(
            f"{dataset.record}: the list of files and checksums cannot be read "
            f"({_reason(error)})"
        ) from error
    return tuple(f if f.md5 else _completed(dataset, f, found) for f in files)


def _completed(dataset: DataSet, file: Remote, found: dict) -> Remote:
    if file.name not in found:
        raise InputError(
            f"{dataset.record}: does not list {file.name}; it has "
            f"{', '.join(sorted(found)[:12]) or 'nothing'}"
        )
    item = found[file.name]
    kind, _, digest = str(item.get("checksum")).partition(":")
    size = item.get("size", item.get("filesize"))
    if (
        kind != "md5"
        or not re.fullmatch("[0-9a-f]{32}", digest)
        or not isinstance(size, int)
    ):
        raise InputError(f"{dataset.record}: gives no size and MD5 of {file.name}")
    return file._replace(size=size, md5=digest)


def fetch_file(
    file: Remote,
    folder: str | os.PathLike,
    *,
    report: Report | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> pathlib.Path:
    """Fetches one file, unless it exists with the right checksum.

    Args:
        file: with its MD5.
        folder: that will hold it; must exist.
        report: called with name, bytes so far and bytes in all (None if unknown).
        wait: pauses before another try.

    Returns:
        Path of the checked file.

    Raises:
        ValueError: the file has no MD5.
        Unreachable: the server and its mirrors refuse, or the connection keeps
            breaking. What was received stays in ``<name>.part``, for the next call.
        InputError: a wrong checksum or size, or no space.
    """
    if not file.md5:
        raise ValueError(f"{file.name}: has no MD5; complete it by published()")
    with _alone(pathlib.Path(folder)):
        return _fetch_file(file, pathlib.Path(folder) / file.name, report, wait)


def _fetch_file(
    file: Remote, target: pathlib.Path, report: Report | None, wait
) -> pathlib.Path:
    # Its name is always the same: a later call goes on with it.
    part = target.with_name(target.name + ".part")
    if target.exists():
        if md5(target) != file.md5:
            raise InputError(
                f"{target}: exists, but its MD5 is not {file.md5}; remove it and "
                "fetch it again"
            )
        return target
    resumed = part.exists() and part.stat().st_size > 0
    _complete(file, part, report or (lambda *_: None), wait)
    if resumed and md5(part) != file.md5:
        # The part may have been of another version of the file.
        part.unlink()
        _complete(file, part, report or (lambda *_: None), wait)
    if (digest := md5(part)) != file.md5:
        part.unlink()
        raise InputError(
            f"{file.url}: what was received has MD5 {digest}, not {file.md5}; it was "
            "removed: try again, or fetch it by hand"
        )
    with on_disk(part):
        replace(part, target)
    return target


def _complete(file: Remote, part: pathlib.Path, report: Report, wait) -> None:
    """Completes ``part``, from a mirror where one address fails."""
    *others, last = file.url, *file.mirrors
    for url in others:
        with contextlib.suppress(Unreachable):
            return _transfer(file._replace(url=url), part, report, wait)
    return _transfer(file._replace(url=last), part, report, wait)


def _transfer(file: Remote, part: pathlib.Path, report: Report, wait) -> None:
    """Completes ``part`` from one address, over as many connections as it takes."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if file.size is not None and before == file.size:
            return
        try:
            if _once(file, part, before, report):
                return
            reason = "the connection ended early"
            delay = 0.0
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in _TEMPORARY:
                raise Unreachable(f"{file.url}: refused ({_reason(error)})") from error
            reason, delay = _reason(error), _retry_after(error)
        except _FAULTS as error:
            reason, delay = _reason(error), 0.0
            if not before and isinstance(getattr(error, "reason", 0), socket.gaierror):
                failures = ATTEMPTS - 1  # no network: do not wait for one
        after = part.stat().st_size if part.exists() else 0
        failures = 0 if after > before else failures + 1
        if failures == ATTEMPTS:
            raise Unreachable(
                f"{file.url}: {reason}; {after:,} bytes are kept in {part}: give the "
                "same command again to go on"
            )
        wait(max(delay, min(2.0**failures - 1, 30.0)))


def _once(file: Remote, part: pathlib.Path, start: int, report: Report) -> bool:
    """One connection; returns whether the file is complete."""
    if file.size is not None and start > file.size:
        part.unlink()
        start = 0
    try:
        answer = _open(file.url, {"Range": f"bytes={start}-"} if start else {})
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing follows: the part is complete, or of another file.
        error.close()
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return True
        part.unlink()
        return False
    with answer:
        start, total = _extent(answer, start)
        if file.size is not None and total not in (None, file.size):
            raise InputError(
                f"{file.url}: the server has {total:,} bytes, expected "
                f"{file.size:,}: not the file that was published"
            )
        total = file.size if total is None else total
        _check_space(part, total, start)
        size = start
        with _opened(part, start) as out:
            while block := answer.read(_BLOCK):
                size += len(block)
                if total is not None and size > total:
                    raise InputError(
                        f"{file.url}: sends more than the {total:,} bytes it has"
                    )
                with on_disk(part):
                    out.write(block)
                report(file.name, size, total)
    return total is None or size == total


def _open(url: str, headers: dict[str, str] | None = None):
    headers = {"User-Agent": "jetvae_jax", "Accept-Encoding": "identity"} | (
        headers or {}
    )
    return urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=TIMEOUT
    )


def _extent(answer, start: int) -> tuple[int, int | None]:
    """First byte of the answer, and bytes of the whole file if the server says."""
    if answer.status == 206:
        match = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", "")
        )
        if not match or int(match[1]) != start:
            raise http.client.HTTPException("not the part that was asked for")
        return start, None if match[2] == "*" else int(match[2])
    # A server that knows no ranges sends everything again.
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _check_space(part: pathlib.Path, total: int | None, start: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise InputError(
            f"{part.parent}: {total - start:,} bytes to come, {free:,} bytes free"
        )


@contextlib.contextmanager
def on_disk(part: pathlib.Path) -> Iterator[None]:
    """Failures of the disk as one line, apart from those of the network."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{part}: cannot be written ({error.strerror}); free space or choose "
            "another folder, then give the same command again"
        ) from error


@contextlib.contextmanager
def _opened(part: pathlib.Path, start: int) -> Iterator[BinaryIO]:
    """``part``, cut to its first ``start`` bytes, unbuffered."""
    with contextlib.ExitStack() as stack:
        with on_disk(part):
            mode = "rb+" if start else "wb"
            out = stack.enter_context(open(part, mode, buffering=0))
            out.seek(start)
            out.truncate()
        yield out


def md5(path: pathlib.Path) -> str:
    """The MD5 of a file, in hexadecimal: against damage, not against malice."""
    with on_disk(path), open(path, "rb") as file:
        new = functools.partial(hashlib.md5, usedforsecurity=False)
        return hashlib.file_digest(file, new).hexdigest()


def _retry_after(error: urllib.error.HTTPError) -> float:
    seconds = error.headers.get("Retry-After", "")
    return min(float(seconds), 120.0) if seconds.isdigit() else 0.0


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).split()) or type(reason).__name__


def unpack(archive: pathlib.Path) -> pathlib.Path:
    """The HDF5 files of a checked tar archive, in a folder of its name.

    Only plain files are taken, without their folders, so nothing is written elsewhere.
    The folder appears when it is complete; an existing one is left as it is.

    Raises:
        InputError: not an archive, damaged, or no space.
    """
    target = archive.with_name(archive.name.removesuffix(".tar.gz"))
    if target.is_dir():
        return target
    making = Part(target, folder=True)
    part = making.temporary
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = pathlib.PurePosixPath(member.name)
                plain = member.isreg() and not name.name.startswith(".")
                source = tar.extractfile(member) if plain else None
                if source is None or name.suffix.lower() not in hdf5.SUFFIXES:
                    continue
                with source, open(part / name.name, "xb") as out:
                    shutil.copyfileobj(source, out, 2**20)
        if not any(part.iterdir()):
            raise InputError(f"{archive}: holds no HDF5 file")
        making.complete()
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{archive}: cannot be unpacked ({error})") from error
    finally:
        making.discard()
    return target


def _read_sums(folder: pathlib.Path) -> dict[str, str]:
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs if len(digest) == 32}


def _write_sums(folder: pathlib.Path, sums: dict[str, str]) -> None:
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    with write_atomically(folder / SUMS) as part:
        part.write_text(text)
