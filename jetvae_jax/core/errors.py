"""The one error class for a user's mistake, and the hint at the nearest name."""

import difflib
from collections.abc import Iterable

from jetvae_jax.core.commands import worded


class InputError(ValueError):
    """Bad input: one clear line that names the file, field or flag and what to do.

    Entry points print the message without a traceback and stop with exit code 2. The
    commands in it are those of the installation: see :mod:`jetvae_jax.core.commands`.
    """

    def __str__(self) -> str:
        return worded(super().__str__())


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'width'?)`` for messages, or nothing if no name is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near and near[0] != name else ""
