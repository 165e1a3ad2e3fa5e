"""Help that was printed once is kept, for making it imports every model.

It is in the user's cache folder, under a name that changes with every file of the
package and of the plug-ins, the script, the topic and the width of the terminal.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import sys
from collections.abc import Iterable, Iterator

from jetvae_jax.core import commands
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import user_cache, write_atomically
from jetvae_jax.core.registry import VARIABLE


def show() -> None:
    """Print the help that the command line asks for and exit, if it was kept."""
    if any("help" in argument or argument == "-h" for argument in sys.argv[1:]):
        place = _place()
        if place.is_file():
            print(place.read_text())
            sys.exit(0)


def keep(text: str) -> None:
    """Keep the help that this command line asks for, if that is possible."""
    place = _place()
    with contextlib.suppress(OSError, InputError):
        place.parent.mkdir(parents=True, exist_ok=True)
        for old in place.parent.glob(f"{place.stem.partition('-')[0]}-*"):
            old.unlink(missing_ok=True)
        with write_atomically(place) as part:
            part.write_text(text)


def _place() -> pathlib.Path:
    arguments = [pathlib.Path(sys.argv[0]).stem, *sys.argv[1:]]
    width = shutil.get_terminal_size((80, 24)).columns
    asked = _hash([*arguments, str(width), str(commands.BY_NAME.get())])
    return user_cache("help") / f"{asked}-{_hash(_code())}.txt"


def _code() -> Iterator[str]:
    """Every file that help may depend on, with its size and time."""
    package = pathlib.Path(commands.__file__).parents[1]
    plugins = os.environ.get(VARIABLE, "").split(os.pathsep)
    for folder in (package, commands.FOLDER, *filter(None, plugins)):
        for path in sorted(pathlib.Path(folder).rglob("*.py")):
            stat = path.stat()
            yield f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


show()  # before anything else is imported
