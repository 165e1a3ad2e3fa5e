"""The scripts of ``experiments/``, and the words by which a user runs them.

In a checkout that folder is beside the package. A wheel has it inside the package, and
``jetvae NAME`` (``jetvae_jax.__main__``) runs the script of that name. Messages and
docstrings are written for a checkout; :func:`worded` says them for an installation.
"""

import contextvars
import pathlib
import re

_PACKAGE = pathlib.Path(__file__).parents[1]
INSTALLED = (_PACKAGE / "experiments").is_dir()
FOLDER = _PACKAGE / "experiments" if INSTALLED else _PACKAGE.parent / "experiments"
"""Where the scripts, the flagfiles and the search spaces are."""
BY_NAME: contextvars.ContextVar[bool] = contextvars.ContextVar("by name", default=False)
"""Whether ``jetvae NAME`` started this process, though it is in a checkout."""

_SCRIPT = r"(?<![\w./~-])(?:python )?experiments/(\w+)\.py\b"
_SHIPPED = r"(?<![\w./~-])experiments/(?:flagfiles|spaces)/((\w+)\.(?:txt|toml))\b"


def scripts() -> dict[str, pathlib.Path]:
    """Name to file of the scripts, sorted."""
    return {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py"))}


def worded(text: str) -> str:
    """A text with the commands that a user of this installation can type.

    ``python experiments/train.py`` becomes ``jetvae train`` and the path of a flagfile
    its name, unless the scripts are run from a checkout.
    """
    if "experiments/" not in text or not (INSTALLED or BY_NAME.get()):
        return text
    known = {path.stem for path in FOLDER.glob("*/*.t*")}
    names = scripts()
    text = re.sub(_SCRIPT, lambda m: f"jetvae {m[1]}" if m[1] in names else m[0], text)
    return re.sub(_SHIPPED, lambda m: m[2] if m[2] in known else m[0], text)


def shipped(name: str, folder: str, suffix: str) -> pathlib.Path | None:
    """A file of this package by its name, with or without suffix; None without one.

    Args:
        name: such as ``quickstart``, or ``experiments/flagfiles/quickstart.txt`` as in
            a checkout; any other path names no such file.
        folder: 'flagfiles' or 'spaces'.
        suffix: of the files there.
    """
    name = name.removeprefix(f"experiments/{folder}/")
    path = FOLDER / folder / f"{name.removesuffix(suffix)}{suffix}"
    return path if pathlib.Path(name).name == name and path.is_file() else None


def shipped_names(folder: str) -> list[str]:
    """Names of the files that :func:`shipped` finds in a folder, sorted."""
    return sorted(path.stem for path in (FOLDER / folder).glob("*.t*"))
