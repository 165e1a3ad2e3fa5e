"""The files and commands that pages of the documentation show."""

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
FOLDER = "/my/plugins"
"""Of plug-ins, on the pages."""

_FILE = re.compile(rf"`{FOLDER}/([\w/]+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
_RUN = re.compile(
    r"(?:python experiments/(\w+)\.py|\bjetvae ([a-z][\w-]*))(?=\s|$)(.*)"
)
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
    """``(script, flags)`` of all commands of a page, by their path or by ``jetvae``."""
    found = []
    for block in _COMMANDS.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if match := _RUN.search(line):
                words = shlex.split(match[3], comments=True)
                found.append(((match[1] or match[2]).replace("-", "_"), words))
    return found
