"""The command ``jetvae``: ``jetvae NAME --flags`` runs ``experiments/NAME.py``.

``python -m jetvae_jax`` is the same. Nothing is imported before the script itself, so
that the list of commands is there at once.
"""

import os
import re
import runpy
import shutil
import sys
import textwrap

import jetvae_jax
from jetvae_jax.core import commands
from jetvae_jax.core.errors import did_you_mean

FIRST = ("pipeline", "train", "fit_flow", "generate", "evaluate")
"""The main job, listed before all else."""


def main() -> int:
    """Run the script that the command line names, or list them.

    Returns:
        The exit code, if no script was run.
    """
    name, *flags = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help"):
        try:
            print(overview(), flush=True)
        except BrokenPipeError:  # as in '| head'
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if name == "--version":
        print(f"jetvae_jax {jetvae_jax.__version__}")
        return 0
    found = commands.scripts()
    script = found.get(name.replace("-", "_"))
    if script is None:
        hint = did_you_mean(name.replace("-", "_"), found)
        print(
            f"error: {name}: no such command{hint}; see jetvae --help", file=sys.stderr
        )
        return 2
    commands.BY_NAME.set(True)
    sys.path.insert(0, str(script.parent))  # as for python experiments/NAME.py
    sys.argv = [str(script), *flags]
    runpy.run_path(str(script), run_name="__main__")
    return 0


def overview() -> str:
    """All commands, one line each, for the width of the terminal."""
    width = min(max(shutil.get_terminal_size((80, 24)).columns, 60), 100) - 1
    found = commands.scripts()
    names = [*FIRST, *(name for name in found if name not in FIRST)]
    column = max(map(len, names)) + 4
    lines = [
        f"  {name:<{column - 2}}{_about(found[name].read_text(), width - column)}"
        for name in names
    ]
    return "\n".join([
        "usage: jetvae COMMAND --flag=value ...", "", *lines, "",
        textwrap.fill(
            "Help on a command: jetvae COMMAND --help. Flags may be in a file: "
            "--flagfile=FILE, or the name of one that comes with the package: "
            + ", ".join(commands.shipped_names("flagfiles")) + ".", width,
        ),
    ])  # fmt: skip


def _about(code: str, width: int) -> str:
    """What a script does, from the first line of its text, which is not executed."""
    found = re.match(r'r?"""(.+)', code)
    text = found[1] if found else ""
    if len(text) > width:
        text = text.partition(": ")[0]
    return textwrap.shorten(text, width, placeholder=" ...")


if __name__ == "__main__":
    sys.exit(main())
