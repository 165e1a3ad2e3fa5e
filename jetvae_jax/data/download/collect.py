"""A whole data set on disk: fetched, checked, unpacked, or how to do it by hand."""

import contextlib
import os
import pathlib
import shutil
import tarfile
import zlib

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import write_atomically
from jetvae_jax.data.containers import hdf5
from jetvae_jax.data.download import fetch as download
from jetvae_jax.data.download.catalogue import DataSet

SUMS = "MD5SUMS"


def fetch(
    dataset: DataSet,
    folder: str | os.PathLike,
    *,
    jet_types: tuple[str, ...] = (),
    report: download.Report | None = None,
) -> list[pathlib.Path]:
    """Fetches the files of a data set that are not there yet.

    The checksums that were verified are kept in ``MD5SUMS`` in the folder, in the form
    that ``md5sum -c`` reads: what is there is then found right without the network.

    Args:
        dataset: from the catalogue.
        folder: made if missing.
        jet_types: classes wanted, where the files hold one each; empty for all.
        report: called with name, bytes so far and bytes in all (None if unknown).

    Returns:
        What a reader can be given: the files, and for archives their folders.

    Raises:
        download.Unreachable: no network, or none that reaches the publisher.
        InputError: a wrong checksum, no space, or no permission.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror})") from None
    sums = _read_sums(folder)
    files = [
        f if f.md5 else f._replace(md5=sums.get(f.name))
        for f in dataset.of_type(jet_types)
    ]
    paths = []
    for file in download.published(dataset, tuple(files)):
        path = download.fetch(file, folder, report=report)
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


def unpack(archive: pathlib.Path) -> pathlib.Path:
    """The HDF5 files of a checked tar archive, in a folder of its name.

    Only plain files are taken, by their last name: nothing is written elsewhere. The
    folder appears when it is complete; one that is there is taken as it is.

    Raises:
        InputError: not an archive, damaged, or no space.
    """
    target = archive.with_name(archive.name.removesuffix(".tar.gz"))
    if target.is_dir():
        return target
    part = target.with_name(target.name + ".part")
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(part)
    try:
        part.mkdir()
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
        os.replace(part, target)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(f"{archive}: cannot be unpacked ({error})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
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
