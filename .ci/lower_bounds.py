"""Prints the lowest versions of what the package needs, as a constraints file."""

import pathlib
import re

text = (pathlib.Path(__file__).parent.parent / "setup.py").read_text()
needed = text.partition("install_requires=[")[2].partition("]")[0]
for name, version in re.findall(r'"([\w-]+)>=([\d.]+)"', needed):
    print(f"{name}=={version}")  # noqa: T201
