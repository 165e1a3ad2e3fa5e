"""The files and commands that pages of the documentation show."""

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
FOLDER = "/my/plugins"
"""Of plug-ins, on the pages."""

_FILE = re.compile(rf"`{FOLDER}/([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
_COMMANDS = re.compile(r"```bash\n(.*?)```", re.DOTALL)


def files(page):
    """Path below the folder of plug-ins to the text of a file."""
    return dict(_FILE.findall((DOCS / page).read_text()))


def save(page, folder):
    """Writes the files of a page, below ``folder`` in place of the one it names."""
    found = files(page)
    assert found, f"{page}: no file"
    for name, text in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commands(text):
    """``(script, flags)`` of all commands of a page."""
    found = []
    for block in _COMMANDS.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if "python experiments/" in line:
                line = line.partition("python experiments/")[2]
                script, *flags = shlex.split(line, comments=True)
                found.append((script.removesuffix(".py"), flags))
    return found
