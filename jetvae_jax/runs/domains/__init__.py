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
