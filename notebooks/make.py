r"""Makes the notebooks from their text form: python notebooks/make.py.

Each file of this folder in Jupytext's percent form is a notebook: ``# %%`` begins a
cell of code, ``# %% [markdown]`` one of text. Here the cells that all of them begin
with are put in front. The same text gives the same bytes, without outputs.
"""

import json
import pathlib
import re
from typing import Any

REPOSITORY = "OWNER/jetvae_jax"
"""On GitHub. The only place of it: pages and notebooks take their links from here."""
FILES = f"https://github.com/{REPOSITORY}/blob/main"
COLAB = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/notebooks"
HERE = pathlib.Path(__file__).parent

_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
_INSTALL = f"""\
# Nothing happens here where the package is installed. Where it is not, as in Colab, it
# is installed with a newer JAX, for the GPU or TPU if there is one, and Python is
# restarted: run the notebook again from the top when that is done.
import importlib.util
import os

if importlib.util.find_spec("jetvae_jax") is None:
    device = ""
    if os.path.exists("/dev/nvidia0"):
        device = "[cuda12]"
    elif importlib.util.find_spec("libtpu"):
        device = "[tpu]"
    package = "jetvae_jax[plot] @ git+https://github.com/{REPOSITORY}"
    %pip install --quiet --upgrade "jax{{device}}" "{{package}}"
    get_ipython().kernel.do_shutdown(restart=True)"""
_CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)


def sources() -> list[pathlib.Path]:
    """The notebooks as text, by name."""
    return sorted(path for path in HERE.glob("*.py") if path != pathlib.Path(__file__))


def cells(text: str) -> list[tuple[str, str]]:
    """Kind ("markdown" or "code") and text of each cell of a percent script."""
    _, *parts = _CELL.split(text)
    found = []
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        if kind.strip() == "[markdown]":
            lines = (
                line.removeprefix("#").removeprefix(" ") for line in body.split("\n")
            )
            body = "\n".join(lines).strip("\n")
            # Colab has no other file of the repository.
            found.append(("markdown", body.replace("](../", f"]({FILES}/")))
        else:
            found.append(("code", body.strip("\n")))
    return found


def notebook(name: str, text: str) -> str:
    """A notebook as it is stored.

    Args:
        name: of its file, without the suffix.
        text: in percent form.
    """
    badge = f"[![Open in Colab]({_BADGE})]({COLAB}/{name}.ipynb)"
    title, *rest = cells(text)
    all_cells = [("markdown", badge), title, ("code", _INSTALL), *rest]
    content = {
        "cells": [_cell(i, kind, body) for i, (kind, body) in enumerate(all_cells)],
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, body: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": body.splitlines(keepends=True),
    }
    if kind == "code":
        found |= {"execution_count": None, "outputs": []}
    return found


def main() -> None:
    """Write every notebook beside its text."""
    for path in sources():
        target = path.with_suffix(".ipynb")
        target.write_text(notebook(path.stem, path.read_text()), encoding="utf-8")
        print(target)


if __name__ == "__main__":
    main()
