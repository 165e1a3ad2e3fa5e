"""Kinds of data that take the same road, one file each: jets, pixel sets, events.

``get("jets")`` is a module with

- ``THINGS``: what samples are called: jets, events;
- ``Data``, ``Scaling``, ``Objective``: frozen Configs, and ``GROUPS``, the prefix of
  the flags of each; ``BOUNDED``, the scaling method whose values lie in [0, 1];
- ``load(data) -> Dataset``: samples of the domain, split;
- ``resolved(data, scaling) -> (data, scaling)``, if there is one: the same with what
  only the file says filled in, so that a checkpoint needs no file;
- ``sizes(data, scaling) -> dict``: num_particles, num_features, jet_rows and
  num_conditions of the models;
- ``Scaler``, ``fit(scaling, train) -> Scaler``, ``scale(scaling, scaler, sample) ->
  Batch``, ``unscale(scaling, scaler, x, axis, condition=None) -> sample``;
- ``draw_context(scaling, scaler, key, n) -> (axis [n, A], condition [n, G] or
  None)``: what ``unscale`` and the models need beside generated latents;
- ``objective(run, scaler, train) -> losses.variational.Objective``;
- ``exists(run, scaler)``: ``(x_hat, axis) -> [..., N]``, which made points a
  discriminator sees, or None for all;
- ``augment(run)``: ``(key, sample) -> sample``, random symmetries of training, or
  None;
- ``JUDGES``: terms that ``judge(real, generated) -> {"name": float}`` gives, which a
  training may monitor;
- ``facts(run) -> dict``: units and names of features, for the checkpoint;
- ``SUFFIX`` and ``writer(path, run, attrs)``: a file of generated samples.

How a domain is judged is in the module of the same name in ``runs/evaluation``.
"""

import difflib
import importlib
from types import ModuleType

from jetvae_jax.core.errors import InputError

MODULES = {
    "events": "jetvae_jax.events",
    "jets": "jetvae_jax.jets",
    "pixels": "jetvae_jax.images",
}


def names() -> tuple[str, ...]:
    """The domains."""
    return tuple(MODULES)


def get(name: str, module: str = "domain") -> ModuleType:
    """The module of that name.

    Args:
        name: of the domain.
        module: ``domain``, or ``evaluation`` for how it is judged.

    Raises:
        InputError: there is none.
    """
    if name not in MODULES:
        near = difflib.get_close_matches(name, MODULES, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(
            f"domain: {name!r} is unknown{hint}; choose one of {', '.join(MODULES)}"
        )
    return importlib.import_module(f"{MODULES[name]}.{module}")
