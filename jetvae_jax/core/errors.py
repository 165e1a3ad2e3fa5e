"""The one error class for a user's mistake, and a check that raises it."""

from typing import Any


class InputError(ValueError):
    """Bad input: one clear line that names the file, field or flag and what to do.

    Entry points print the message without a traceback and stop with exit code 2.
    """


def at_least(config: Any, **lowest: float) -> None:
    """Checks that fields of a configuration are no less than they may be.

    Raises:
        InputError: one is less, or NaN.
    """
    for name, low in lowest.items():
        if not getattr(config, name) >= low:
            raise InputError(f"{name} = {getattr(config, name)}: give {low} or more")
