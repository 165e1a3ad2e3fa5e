"""What a file is by its content, whatever its name says."""

import os
import re
import zipfile

from jetvae_jax.core.errors import InputError

_START = 512  # bytes that are looked at
PARQUET = b"PAR1"  # begins and ends a file; a text may begin so, too
# How files of a container begin.
_CONTAINERS = {
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"root\x00": "root",
    b"\x93NUMPY": "npy",
}
_PICKLE = "is a pickle, which is never loaded, as it can run code: save its arrays as"
# How files begin that none of the containers reads, what they are and what to do.
_OTHERS = {
    rb"\x1f\x8b": "is compressed (gzip): decompress it first, as gunzip does",
    rb"BZh[1-9]1AY&SY": "is compressed (bzip2): decompress it first, as bunzip2 does",
    rb"\xfd7zXZ\x00": "is compressed (xz): decompress it first, as unxz does",
    rb"\x28\xb5\x2f\xfd": "is compressed (zstd): decompress it first, as unzstd does",
    rb"\x80[\x02-\x05]": f"{_PICKLE} .npy or .npz",
    rb"\s*<(?i:!doctype\s+html|html)": "is a web page: fetch the data again, by hand "
    "if its server asks for a login",
}


def container(path: str | os.PathLike) -> str:
    """Name of the container that a file has by its first bytes; empty if unknown.

    Raises:
        InputError: it is a file that is not read, and what to do with it.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_START)
            file.seek(-min(len(start), 4), os.SEEK_END)
            end = file.read()
    except OSError:  # which the reader says
        return ""
    for known, name in _CONTAINERS.items():
        if start.startswith(known):
            return name
    if start.startswith(PARQUET) and end == PARQUET:
        return "parquet"
    if start.startswith(b"PK\x03\x04"):
        return _zipped(path)
    for pattern, what in _OTHERS.items():
        if re.match(pattern, start):
            raise InputError(f"{os.fspath(path)}: {what}")
    return ""


def _zipped(path: str | os.PathLike) -> str:
    """``npz``, if an archive holds such arrays or is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return "npz"
    if not names or any(name.endswith(".npy") for name in names):
        return "npz"
    if any(name.endswith("/data.pkl") for name in names):
        raise InputError(f"{os.fspath(path)}: of torch {_PICKLE} .npz")
    raise InputError(f"{os.fspath(path)}: is a zip archive: unpack it first")
