"""Formats of exported generators, one file each: ``stablehlo`` writes .stablehlo.

A format is a module in this folder, or in a folder ``export_formats`` on the plug-in
path (see :mod:`~jetvae_jax.core.registry`), with

- ``require()``: raises an InputError where a library that it needs is missing;
- ``write(exported, config, path)``: writes an
  :class:`~jetvae_jax.runs.export.generator.Exported` and returns what is to be known
  of the file, as a dictionary for the .json beside it.
"""

from jetvae_jax.core.registry import Registry

_registry = Registry(
    "export format", __name__, folder="export_formats", needs=("require", "write")
)
names, get = _registry.names, _registry.get
