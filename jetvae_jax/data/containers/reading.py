"""What all readers do: one line for whatever a damaged file makes a parser raise."""

import contextlib
from collections.abc import Iterable, Iterator

from jetvae_jax.core.errors import InputError


class Damaged(InputError):
    """Bytes of a file cannot be read; what was read before them is right."""


@contextlib.contextmanager
def guarded(path: str, what: str) -> Iterator[None]:
    """Turns the failures of a parser inside the block into one line.

    Args:
        path: of the file.
        what: is being read, for the message.

    Raises:
        Damaged: anything was raised but an InputError.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # from bytes nobody vouches for: it can be anything
        reason = printable(" ".join(str(error).split())[:200]) or type(error).__name__
        raise Damaged(
            f"{path}: cannot read {what}: truncated or damaged file ({reason}); fetch "
            "or make it again"
        ) from error


def listing(names: Iterable[str]) -> str:
    """The first names of a file, printable whatever they hold."""
    shown = sorted(ascii(name)[:80].strip("'") for name in names)
    return ", ".join(shown[:10]) or "none"


def printable(text: str) -> str:
    """What a file says of itself, in one line that a terminal can show."""
    return "".join(c if c.isprintable() else " " for c in text)[:1000]
