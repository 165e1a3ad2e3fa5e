"""How generated samples are judged, one file for each of the domains.

``get("jets").evaluate(folder, trained, config, files)`` writes a report into the
folder, a ``Workdir``, and returns its path. ``trained`` is the run's VAE or None,
``config`` an ``EvaluateConfig``, ``files`` says how to read files, as ``Data``.
"""

from types import ModuleType

from jetvae_jax import plugins


def get(name: str) -> ModuleType:
    """The module of that domain.

    Raises:
        InputError: there is none.
    """
    return plugins.get(__name__, __path__, "domain", name)
