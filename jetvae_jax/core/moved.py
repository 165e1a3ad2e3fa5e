"""Modules of earlier versions under their old names, with a warning.

``from jetvae_jax.flows import realnvp`` still works, and a warning gives the new name.
Python asks the finder of this file only for modules that it does not find itself.
"""

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings

PACKAGE = "jetvae_jax"

MOVED = {
    "copulas": "densities.copula",
    "copulas.gaussian": "densities.gaussian_copula",
    "copulas.joint": "densities.copula",
    "copulas.latent": "models.vae",
    "copulas.marginals": "densities.marginals",
    "data.cache": "data.streaming",
    "data.collect": "data.download",
    "data.columns": "data.formats.columns",
    "data.duplicates": "data.validation",
    "data.energyflow": "data.formats.energyflow",
    "data.events": "events",
    "data.external": "data.streaming",
    "data.features": "jets.features",
    "data.hdf5": "data.containers.hdf5",
    "data.hls4ml": "data.formats.hls4ml",
    "data.images": "images",
    "data.jetnet": "data.formats.jetnet",
    "data.look": "data.inspection",
    "data.npz": "data.containers.npz",
    "data.parquet": "data.containers.parquet",
    "data.images.render": "images.pictures",
    "data.preprocessing": "jets",
    "data.preprocessing.augmentation": "jets.augmentation",
    "data.preprocessing.quantiles": "jets.quantiles",
    "data.reading": "data.containers.tables",
    "data.root": "data.containers.root",
    "data.request": "data.loading",
    "data.scaling": "jets.scaling",
    "data.stream": "data.streaming",
    "data.tables": "data.containers.tables",
    "data.tally": "data.inspection",
    "data.toptagging": "data.formats.toptagging",
    "data.writer": "data.writing",
    "errors": "core.errors",
    "files": "core.files",
    "flags": "core.configs",
    "flows": "densities",
    "kernels": "losses.distances.chamfer",
    "kernels.nearest": "losses.distances.chamfer",
    "kernels.search": "losses.distances.chamfer",
    "kinematics": "core.kinematics",
    "losses.adversarial": "models.adversarial",
    "losses.elbo": "losses.objective",
    "losses.jet_terms": "losses.objective",
    "losses.kl": "losses.objective",
    "losses.nearest": "losses.distances.chamfer",
    "losses.reconstruction": "losses.distances",
    "losses.uniform": "losses.objective",
    "losses.variational": "models.vae",
    "metrics.arrays": "metrics.host",
    "metrics.binning": "metrics.distributions.binning",
    "metrics.chunks": "metrics.host",
    "metrics.comparison": "metrics.distributions.binning",
    "metrics.contraction": "observables.energy_flow.contraction",
    "metrics.correlations": "metrics.distributions.correlations",
    "metrics.digit_classifier": "images.digit_classifier",
    "metrics.digits": "images.metrics",
    "metrics.draws": "metrics.suite.measurement",
    "metrics.dual_bound": "metrics.transport.dual_bound",
    "metrics.efp": "metrics.polynomials",
    "metrics.energy_flow": "observables.energy_flow",
    "metrics.energy_flow.polynomials": "metrics.polynomials",
    "metrics.evaluation": "metrics.suite.evaluation",
    "metrics.event_figures": "events.metrics",
    "metrics.export": "metrics.suite.export",
    "metrics.jetnet_w1": "metrics",
    "metrics.leaderboard": "metrics.suite.published",
    "metrics.masses": "metrics.observables",
    "metrics.protocols": "metrics.suite.protocols",
    "metrics.roc": "studies.signal.roc",
    "metrics.sample": "metrics.suite.sample",
    "metrics.threads": "metrics.host",
    "metrics.torch_archive": "metrics.frechet.torch_archive",
    "metrics.wasserstein": "metrics.distributions.distances",
    "networks": "core.layers",
    "numerics": "core.numerics",
    "particlenet": "metrics.frechet.particlenet",
    "plugins": "core.registry",
    "priors": "densities.normal",
    "runs.composition": "models.vae",
    "sampling": "runs.generation",
    "splines": "densities.splines",
    "types": "core.types",
}
"""Old name to new name, without the package. A submodule follows its package."""

MOVED_NAMES = {
    "metrics.digit_table": "images.metrics.digit_table",
    "metrics.image_frechet": "images.metrics.image_frechet",
    "metrics.pixel_errors": "images.metrics.pixel_errors",
    "runs.DataConfig": "jets.domain.Data",
    "runs.PartsConfig": "models.vae.Components",
    "runs.VAERun": "runs.config.ModelRun",
    "runs.load_vae": "runs.trained.load_model",
}
"""Old name to new name of what packages that import lazily offered."""


def new_name(name: str) -> str | None:
    """The new name of a module that moved; None if it did not."""
    old, rest = name.removeprefix(f"{PACKAGE}."), ""
    while old:
        if old in MOVED:
            return f"{PACKAGE}.{MOVED[old]}{rest}"
        old, _, last = old.rpartition(".")
        rest = f".{last}{rest}"
    return None


def new_public_name(name: str) -> str | None:
    """The new name of a function that moved; None if it did not."""
    new = MOVED_NAMES.get(name.removeprefix(f"{PACKAGE}."))
    return f"{PACKAGE}.{new}" if new else None


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname, path=None, target=None):
        del path, target
        if not fullname.startswith(f"{PACKAGE}.") or new_name(fullname) is None:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        new = new_name(module.__name__)
        assert new is not None
        warnings.warn(
            f"{module.__name__} is now {new}; the old name goes away in version 1.0",
            DeprecationWarning,
            stacklevel=2,
        )
        target = importlib.import_module(new)
        # Not the target itself: an old package may have become a plain module, and its
        # old submodules must still be found.
        module.__dict__["__getattr__"] = functools.partial(getattr, target)
        module.__doc__ = target.__doc__


def install() -> None:
    """Append the finder to those of Python, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
