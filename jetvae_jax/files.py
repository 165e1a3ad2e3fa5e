"""Files that are whole or not there."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

from jetvae_jax.errors import InputError


@contextlib.contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A file beside ``path`` to write to, which then becomes ``path``.

        with write_atomically("report.html") as part:
            part.write_text(page)

    If the block fails, or the process is killed, an older ``path`` stays as it was.

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
        # The name may not reach the disk before the content.
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
