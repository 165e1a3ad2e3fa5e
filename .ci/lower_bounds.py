"""Prints the lowest versions of what the package needs, as a constraints file.

These are what it always needs, and the extras that the tests have, without their tools.
"""

import pathlib
import re

LISTS = (
    *("install_requires", "REPORT", "PLOT", "FORMATS", "HDF5", "INTERPLAY"),
    *("TUNE", "EXPORT", "ONNX", "TENSORBOARD"),
)

text = (pathlib.Path(__file__).parent.parent / "setup.py").read_text()
for listed in LISTS:
    needed = re.search(rf"\b{listed} ?= ?\[(.*?)\]", text, re.DOTALL)[1]
    for name, version in re.findall(r'"([\w-]+)>=([\d.]+)"', needed):
        print(f"{name}=={version}")  # noqa: T201
