"""The domains, kinds of data with a common pipeline: jets, images, events, showers.

Each domain is a folder with two modules: ``domain``, with the functions of
:class:`Domain`, and ``evaluation``, which evaluates generated samples.
"""

import importlib
import os
import pathlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from jetvae_jax.core import types
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Batch, Context, Key, Points
from jetvae_jax.data.splits import Dataset
from jetvae_jax.densities.contexts import ContextRequest, ContextSampler

MODULES = {
    "jets": "jetvae_jax.jets",
    "pixels": "jetvae_jax.images",
    "events": "jetvae_jax.events",
    "showers": "jetvae_jax.showers",
}
"""Name of a domain, as in --domain, to its folder."""


class Domain(Protocol):
    """The interface of the module ``domain`` of a folder.

    ``Data``, ``Scaling`` and ``Objective`` are frozen Configs; ``GROUPS`` has the
    prefix of the flags of each, under ``"data"``, ``"scaling"``, ``"objective"``.
    ``Scaler`` is a NamedTuple of arrays.

    Attributes:
        UNIT: name of the samples: jets, images, events, showers.
        SUFFIX: of files of generated samples.
        BOUNDED: the scaling method whose values lie in [0, 1], or an empty string.
        MONITORS: names of the metrics of :meth:`monitor`.
    """

    UNIT: str
    SUFFIX: str
    BOUNDED: str
    MONITORS: tuple[str, ...]
    GROUPS: dict[str, str]
    Data: type
    Scaling: type
    Objective: type
    Scaler: type

    def load(self, config: Any) -> Dataset:
        """Samples, read and split."""
        ...

    def resolved(self, data: Any, scaling: Any) -> tuple[Any, Any]:
        """Both Configs, with what follows from the file filled in, for checkpoints."""
        ...

    def sizes(self, data: Any, scaling: Any) -> dict[str, Any]:
        """num_particles, num_features, jet_rows and num_conditions of a model.

        And ``grid``, (layers, rows, columns), where the points are those of a grid.
        """
        ...

    def fit(self, scaling: Any, train: Any) -> Any:
        """The Scaler, fitted to the training part."""
        ...

    def scale(self, scaling: Any, scaler: Any, sample: Any) -> Batch:
        """Samples to the input of the networks."""
        ...

    def unscale(
        self, scaling: Any, scaler: Any, points: Points, context: Context
    ) -> Any:
        """Generated points to samples."""
        ...

    def particle_mask(
        self, scaling: Any, scaler: Any
    ) -> Callable[[Array, Context], Array] | None:
        """Which points of a deterministic decoder exist; None: all."""
        ...

    def relative(self, scaling: Any, scaler: Any) -> Callable[[Array], Array] | None:
        """Scaled features to (ptrel, etarel, phirel), where they are these scaled."""
        ...

    def momenta(
        self, scaling: Any, scaler: Any
    ) -> Callable[[Array, Context], Array] | None:
        """Scaled features to momenta, where they are those of particles."""
        ...

    def refused(self, cluster_radius: float) -> Callable[[Any], Array] | None:
        """Which generated jets are drawn again, ``(samples) -> [J]`` bool.

        They are those that are no jet of this radius. None: these samples are no jets.
        """
        ...

    def num_points(
        self, scaling: Any, scaler: Any
    ) -> Callable[[Context], Array] | None:
        """How many points a set is to have by its condition; None: none says so."""
        ...

    def condition_names(self, scaling: Any) -> dict[str, tuple[str, ...]]:
        """Names of the conditions that a user may give; empty without conditions.

        Beside the name of a class its values, which are names too; of numbers nothing.
        """
        ...

    def condition_ends(
        self, scaling: Any, scaler: Any
    ) -> dict[str, tuple[float, float]]:
        """Smallest and largest of each condition that is a number, in training."""
        ...

    def contexts(
        self, scaling: Any, scaler: Any, request: ContextRequest
    ) -> ContextSampler:
        """Sampler of the contexts for which samples are generated."""
        ...

    def objective(self, run: Any, scaler: Any, train: Any) -> types.Objective:
        """The objective of a VAE."""
        ...

    def augment(self, run: Any) -> Callable[[Key, Any], Any] | None:
        """``(key, sample) -> sample``, random symmetries of training; or None."""
        ...

    def monitor(self, scaling: Any, real: Any, generated: Any) -> dict[str, float]:
        """Metrics of generated samples that a training may monitor."""
        ...

    def metadata(self, run: Any) -> dict:
        """Units and names of features, for the checkpoint."""
        ...

    def writer(self, path: str | os.PathLike, run: Any, attrs: dict) -> Any:
        """A file of generated samples: a context manager with ``append(sample)``."""
        ...


class Evaluation(Protocol):
    """The interface of the module ``evaluation`` of a folder."""

    def evaluate(
        self, folder: Workdir, trained: Any, config: Any, files: Any
    ) -> pathlib.Path:
        """Compare samples, write a report into the folder and return its path.

        Args:
            folder: of a run, or for the report.
            trained: the run's :class:`~jetvae_jax.runs.trained.TrainedModel`, or None.
            config: a :class:`~jetvae_jax.metrics.inputs.EvaluateConfig`.
            files: how to read files, the ``Data`` of the domain.
        """
        ...

    def observables(self, run: Any, samples: Any) -> dict[str, Any]:
        """Observables of samples by name, arrays ``[J]``.

        Args:
            run: that generates such samples.
            samples: J of them, as they are generated or read.
        """
        ...

    def unchecked(self, run: Any, *, deterministic: bool = True) -> frozenset[str]:
        """Observables that the training loss of a run held, or that follow from these.

        Their agreement does not check the model.

        Args:
            run: its settings.
            deterministic: the model is a VAE with a deterministic decoder.
        """
        ...

    def headlines(self, result: dict[str, Any]) -> list[tuple[str, str]]:
        """Three metrics of every sample, as name and text, for a summary.

        Args:
            result: the contents of ``evaluation.json``.
        """
        ...


def names() -> tuple[str, ...]:
    """The domains."""
    return tuple(MODULES)


def get(name: str) -> Domain:
    """The domain of that name.

    Raises:
        InputError: there is none.
    """
    return cast(Domain, _module(name, "domain"))


def kinds(domain: Domain) -> dict[str, type]:
    """The Configs of a domain, by what they describe."""
    return {
        "data": domain.Data,
        "scaling": domain.Scaling,
        "objective": domain.Objective,
    }


def evaluation(name: str) -> Evaluation:
    """How samples of the domain of that name are evaluated.

    Raises:
        InputError: there is none.
    """
    return cast(Evaluation, _module(name, "evaluation"))


def _module(name: str, module: str) -> Any:
    if name not in MODULES:
        hint = did_you_mean(name, MODULES)
        raise InputError(
            f"domain: {name!r} is unknown{hint}; choose one of {', '.join(MODULES)}"
        )
    return importlib.import_module(f"{MODULES[name]}.{module}")
