"""What a run is: frozen configs, to and from JSON."""

import dataclasses
import importlib.metadata
import json
import platform
from types import ModuleType
from typing import Annotated, Any, Literal

from jetvae_jax import densities, models, training
from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.densities import copula
from jetvae_jax.losses import distances
from jetvae_jax.metrics.suite.protocols import KNOWN
from jetvae_jax.runs import composition, domains

DERIVED = (
    "num_particles",
    "num_features",
    "jet_rows",
    "num_conditions",
)  # follow from the data, never set by hand


def _with_name(name: str, config: Any) -> dict:
    return {"name": name} | dataclasses.asdict(config)


def _plain(values: dict) -> dict:
    """As it comes back from a JSON file: tuples are lists."""
    return json.loads(json.dumps(values))


def _from_name(package: ModuleType, values: dict) -> tuple[str, Any]:
    values = dict(values)
    name = values.pop("name")
    return name, configs.from_json(package.get(name).Config, values)


@dataclasses.dataclass(frozen=True)
class VAERun:
    """A training of a VAE, whole.

    Attributes:
        data: which samples, the ``Data`` of the domain.
        scaling: coordinates and scaling, its ``Scaling``.
        model: name of a file in ``models/``.
        model_config: its Config; sizes are taken from ``data`` and ``scaling``.
        loss: name of a file in ``losses/reconstruction/``.
        loss_config: its Config.
        objective: how the terms are weighted, the domain's ``Objective``.
        training: epochs, batches, optimiser.
        seed: of initialisation, shuffles and noise.
        domain: name of a file in ``runs/domains/``.
        parts: what the VAE is trained together with.
    """

    data: Any
    scaling: Any
    model: str
    model_config: Any
    loss: str
    loss_config: Any
    objective: Any
    training: training.Config
    seed: int = 0
    domain: str = "jets"
    parts: composition.Config = dataclasses.field(default_factory=composition.Config)

    def __post_init__(self):
        if hasattr(self.road, "resolved"):
            data, scaling = self.road.resolved(self.data, self.scaling)
            object.__setattr__(self, "data", data)
            object.__setattr__(self, "scaling", scaling)
        model_config = composition.fill(self.model_config, self.sizes)
        if self.sizes.get("num_conditions") and not hasattr(
            model_config, "num_conditions"
        ):
            raise InputError(f"--model={self.model}: takes no conditions")
        object.__setattr__(self, "model_config", model_config)
        sigmoid = getattr(model_config, "output", None) == "sigmoid"
        bounded, prefix = self.road.BOUNDED, self.road.GROUPS["scaling"]
        if sigmoid and not bounded:
            raise InputError(
                f"{self.model}.output = 'sigmoid' reaches only [0, 1], features of "
                f"{self.domain} go beyond: give --{self.model}.output=linear"
            )
        if sigmoid and self.scaling.method != bounded:
            raise InputError(
                f"{self.model}.output = 'sigmoid' reaches only [0, 1], "
                f"{prefix}.method = {self.scaling.method!r} goes beyond: give "
                f"--{self.model}.output=linear or --{prefix}.method={bounded}"
            )

    @property
    def road(self) -> ModuleType:
        """The module of the domain."""
        return domains.get(self.domain)

    @property
    def sizes(self) -> dict[str, int]:
        """What follows from data and scaling: num_particles, num_features, ..."""
        return self.road.sizes(self.data, self.scaling)

    def to_json(self) -> dict:
        """Nested dict of plain values; :meth:`from_json` is the inverse."""
        values = {
            "domain": self.domain,
            "data": dataclasses.asdict(self.data),
            "scaling": dataclasses.asdict(self.scaling),
            "model": _with_name(self.model, self.model_config),
            "loss": _with_name(self.loss, self.loss_config),
            "objective": dataclasses.asdict(self.objective),
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
            "parts": dataclasses.asdict(self.parts),
        }
        return _plain(values)

    @classmethod
    def from_json(cls, values: dict) -> "VAERun":
        """Rebuild the run that :meth:`to_json` described."""
        domain = values.get("domain", "jets")  # the only one there was at first
        road = domains.get(domain)
        model, model_config = _from_name(models, values["model"])
        loss, loss_config = _from_name(distances, values["loss"])
        return cls(
            configs.from_json(road.Data, values["data"]),
            configs.from_json(road.Scaling, values["scaling"]),
            model,
            model_config,
            loss,
            loss_config,
            configs.from_json(road.Objective, values["objective"]),
            configs.from_json(training.Config, values["training"]),
            values["seed"],
            domain,
            composition.Config.from_json(values["parts"])
            if "parts" in values
            else composition.Config(),
        )


@configs.config
class FlowRun:
    """A fit of a flow to the latents of a trained VAE.

    Attributes:
        flow: name of a file in ``flows/``.
        flow_config: its Config.
        latents: fit to fresh 'samples' of each posterior, or to the 'means'.
        training: epochs, batches, optimiser.
        seed: of initialisation, shuffles and noise.
    """

    flow: str
    flow_config: Any
    latents: Literal["samples", "means"]
    training: training.Config
    seed: int = 0

    def to_json(self) -> dict:
        """Nested dict of plain values; :meth:`from_json` is the inverse."""
        values = {
            "flow": _with_name(self.flow, self.flow_config),
            "latents": self.latents,
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
        }
        return _plain(values)

    @classmethod
    def from_json(cls, values: dict) -> "FlowRun":
        """Rebuild the run that :meth:`to_json` described."""
        flow, flow_config = _from_name(densities, values["flow"])
        train = configs.from_json(training.Config, values["training"])
        return cls(flow, flow_config, values["latents"], train, values["seed"])


@dataclasses.dataclass(frozen=True)
class CopulaRun:
    """A fit of a copula to the latents of a trained VAE.

    Attributes:
        config: of marginals and dependence.
        flow: name of a file in ``flows/``, for the dependence 'flow'.
        flow_config: its Config.
        training: epochs, batches, optimiser of that flow.
        seed: of the draws and of the fit.
    """

    config: copula.Config
    flow: str
    flow_config: Any
    training: training.Config
    seed: int = 0

    def to_json(self) -> dict:
        """Nested dict of plain values; :meth:`from_json` is the inverse."""
        values = {
            "config": dataclasses.asdict(self.config),
            "flow": _with_name(self.flow, self.flow_config),
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
        }
        return _plain(values)

    @classmethod
    def from_json(cls, values: dict) -> "CopulaRun":
        """Rebuild the run that :meth:`to_json` described."""
        flow, flow_config = _from_name(densities, values["flow"])
        config = configs.from_json(copula.Config, values["config"])
        train = configs.from_json(training.Config, values["training"])
        return cls(config, flow, flow_config, train, values["seed"])


@configs.config
class GenerateConfig:
    """Which jets to make.

    Attributes:
        latents: 'prior' draws N(0, 1), or the prior that was learned with the VAE;
            'flow' draws the fitted flow, 'copula' the fitted copula; 'reconstruction'
            encodes and decodes the test part.
        num_jets: jets to make; 0 makes as many as there are test jets.
        seed: of the latents.
        output: file to write; empty for generated_<latents>.hdf5 in the workdir.
    """

    latents: Literal["prior", "flow", "copula", "reconstruction"] = "flow"
    num_jets: NonNegativeInt = 0
    seed: int = 0
    output: str = ""


_Protocol = Annotated[str, configs.one_of(KNOWN)]


@configs.config
class EvaluateConfig:
    """Which jets are judged against which, and how.

    Attributes:
        real: file of real jets; empty for the test jets of the workdir's training.
        generated: files of jets to judge, any generator's; empty for those that
            generate.py left in the workdir.
        truth: file of further real jets, for the floor; empty for the training jets
            of the workdir, or for a part of the real ones.
        protocols: conventions of the field, by name.
        classify: train a classifier to tell the jets apart; a minute a sample.
        fpnd: where the network of FPND lies: a folder or a wheel of the jetnet
            package; 'installed' uses that package where it is installed, empty none.
        seed: of all draws.
    """

    real: str = ""
    generated: tuple[str, ...] = ()
    truth: str = ""
    protocols: tuple[_Protocol, ...] = ("mpgan_10k", "jetnet_50k")
    classify: bool = False
    fpnd: str = "installed"
    seed: NonNegativeInt = 42


def versions() -> dict[str, str]:
    """Versions of what decides a result, for checkpoints and reports."""
    packages = ("jetvae_jax", "jax", "jaxlib", "flax", "optax", "distrax", "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }
