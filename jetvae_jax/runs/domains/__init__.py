"""Kinds of data that take the same road, one file each: jets, pixel sets, events.

``get("jets")`` is a module with

- ``Data``, ``Scaling``, ``Objective``: frozen Configs, and ``GROUPS``, the prefix of
  the flags of each; ``BOUNDED``, the scaling method whose values lie in [0, 1];
- ``load(data) -> Dataset``: samples of the domain, split;
- ``sizes(data, scaling) -> dict``: fields of a model's Config that follow from them;
- ``Scaler``, ``fit(scaling, train) -> Scaler``, ``scale(scaling, scaler, sample) ->
  Batch``, ``unscale(scaling, scaler, x, axis) -> sample``;
- ``draw_axes(scaling, scaler, key, n) -> [n, A]``: what ``unscale`` needs beside
  generated x;
- ``loss(run, vae, scaler, train) -> LossFn``;
- ``facts(run) -> dict``: units and names of features, for the checkpoint;
- ``SUFFIX`` and ``writer(path, run, attrs)``: a file of generated samples.

How a domain is judged is in the module of the same name in ``runs/evaluation``.
"""

from types import ModuleType

from jetvae_jax import plugins


def names() -> tuple[str, ...]:
    """The domains in this folder."""
    return plugins.names(__path__)


def get(name: str) -> ModuleType:
    """The module of that name.

    Raises:
        InputError: there is none.
    """
    return plugins.get(__name__, __path__, "domain", name)
