"""Flagfiles: texts with one flag a line, which may name further flagfiles.

Lines that begin with ``#`` or ``//`` are comments. A flagfile that another one names is
looked for in the current folder, then in the folder of the other one and those above.
The flagfiles of this package are also found by their names alone: ``quickstart``.
"""

import pathlib
import re
from collections.abc import Iterable

from jetvae_jax.core import commands
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import expanded

_FLAG = re.compile(r"--?flagfile(?:=(.*))?", re.DOTALL)


def inserted(
    arguments: Iterable[str], within: tuple[pathlib.Path, ...] = ()
) -> list[str]:
    """Arguments with the flags of each flagfile in place of its name.

    Args:
        arguments: flags and values, as on a command line.
        within: the flagfiles that these arguments are in, the innermost last.

    Raises:
        InputError: a flagfile is missing, no text, or contains itself.
    """
    found: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return [*found, argument, *rest]
        match = _FLAG.fullmatch(argument)
        if match is None:
            found.append(argument)
            continue
        value = next(rest, None) if match[1] is None else match[1]
        if not value:
            raise InputError("--flagfile: is empty: name a file")
        path = _place(value, within)
        if path in within:
            raise InputError(f"--flagfile={value}: {path} contains itself")
        found += inserted(_lines(path), (*within, path))
    return found


def _place(value: str, within: tuple[pathlib.Path, ...]) -> pathlib.Path:
    try:
        name = pathlib.Path(expanded(value))
    except ValueError as error:
        raise InputError(f"--flagfile={value}: {error}") from None
    folders = [pathlib.Path(), *(within[-1].parents if within else ())]
    there = [folder / name for folder in folders if (folder / name).is_file()]
    if there:
        return there[0].resolve()
    if shipped := commands.shipped(value, "flagfiles", ".txt"):
        return shipped.resolve()
    named = f", named in {within[-1]}" if within else ""
    hint = did_you_mean(value, commands.shipped_names("flagfiles"))
    raise InputError(
        f"--flagfile={value}: no such file{named}{hint}; "
        f"{commands.FOLDER / 'flagfiles'} holds those of this package"
    )


def _lines(path: pathlib.Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors may add a mark
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text in UTF-8"
        raise InputError(f"--flagfile={path}: cannot be read ({reason})") from None
    if "\0" in text:
        raise InputError(f"--flagfile={path}: is not a text")
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("#", "//"))]
    for line in lines:
        if not line.startswith("-"):
            raise InputError(
                f"--flagfile={path}: {line[:60]!r}: write one --flag=value a line"
            )
    return lines
