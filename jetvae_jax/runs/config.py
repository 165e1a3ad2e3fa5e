"""Settings of runs: frozen configs, to and from JSON."""

import dataclasses
from typing import Any, Literal

from jetvae_jax import densities, models, training
from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat, NonNegativeInt, Seed
from jetvae_jax.core.errors import InputError
from jetvae_jax.densities import copula
from jetvae_jax.losses import distances
from jetvae_jax.models import vae
from jetvae_jax.models.vae import Components
from jetvae_jax.runs import domains

DERIVED = ("num_particles", "num_features", "jet_rows", "num_conditions", "grid")
"""Fields of a model's Config that follow from the data, never set by hand."""


@configs.config
class ModelRun:
    """All settings of the training of a generative model.

    Attributes:
        data: which samples, the ``Data`` of the domain.
        scaling: coordinates and scaling, its ``Scaling``.
        model: name of a file in ``models/``.
        model_config: its Config; sizes are taken from ``data`` and ``scaling``.
        loss: name of a file in ``losses/distances/``.
        loss_config: its Config.
        objective: how the terms are weighted, the domain's ``Objective``.
        training: epochs, batches, optimiser.
        seed: of initialisation, shuffles and noise.
        domain: 'jets', 'pixels', 'events' or 'showers'.
        components: latent space, prior and discriminator of a VAE.
        pretrained: workdir, or ``zoo:NAME``, of a trained model of the same settings
            whose parameters the training starts from; empty for random ones.
    """

    data: Any
    scaling: Any
    model: str
    model_config: Any
    loss: str
    loss_config: Any
    objective: Any
    training: training.Config
    seed: Seed = 0
    domain: str = "jets"
    components: Components = dataclasses.field(default_factory=Components)
    pretrained: str = ""  # not a Path: zoo:NAME is to remain a name

    def __post_init__(self):
        data, scaling = self.pipeline.resolved(self.data, self.scaling)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "scaling", scaling)
        model_config = vae.fill(self.model_config, self.sizes)
        fields = {field.name for field in dataclasses.fields(model_config)}
        if self.sizes["num_conditions"] and "num_conditions" not in fields:
            raise InputError(f"--model={self.model}: takes no conditions")
        object.__setattr__(self, "model_config", model_config)
        module = models.get(self.model)
        self._check_observables(module)
        required = getattr(module, "REQUIRES", {})
        for flag, value in required.items():
            group, name = flag.split(".")
            found = getattr(getattr(self, group), name, None)
            if found is None:
                raise InputError(
                    f"--domain={self.domain}: --model={self.model} needs "
                    f"--{flag}={value}, which this domain does not have"
                )
            if found != value:
                raise InputError(
                    f"--{flag}: --model={self.model} needs --{flag}={value}, got "
                    f"{found!r}"
                )
        sigmoid = getattr(model_config, "output", None) == "sigmoid"
        bounded, prefix = self.pipeline.BOUNDED, self.pipeline.GROUPS["scaling"]
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

    def _check_observables(self, module: Any) -> None:
        names = getattr(self.objective, "observables", ())
        if not names:
            return
        pipeline = self.pipeline
        flag = f"--{pipeline.GROUPS['objective']}.observables={','.join(names)}"
        if not models.uses_observables(module):
            raise InputError(
                f"{flag}: the loss of --model={self.model} compares neither "
                f"reconstructed nor generated {pipeline.UNIT} with those of the data: "
                "leave them out, or give another model, such as --model=mlp_vae or "
                "--model=mlp_gan"
            )
        parts = self.components
        if parts.discriminator != vae.NONE and not parts.adversarial.reconstruction:
            raise InputError(
                f"{flag}: the loss of a VAE with --discriminator={parts.discriminator} "
                "has them with --adversarial.reconstruction above 0 alone: give it, or "
                "leave them out"
            )

    @property
    def pipeline(self) -> domains.Domain:
        """The functions of the domain."""
        return domains.get(self.domain)

    @property
    def sizes(self) -> dict[str, Any]:
        """The fields of :data:`DERIVED`, which follow from data and scaling."""
        return self.pipeline.sizes(self.data, self.scaling)

    def to_json(self) -> dict:
        """Nested dict of plain values; :meth:`from_json` is the inverse."""
        values = {
            "domain": self.domain,
            "data": dataclasses.asdict(self.data),
            "scaling": dataclasses.asdict(self.scaling),
            "model": configs.with_name(self.model, self.model_config),
            "loss": configs.with_name(self.loss, self.loss_config),
            "objective": dataclasses.asdict(self.objective),
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
            "parts": dataclasses.asdict(self.components),
        }
        if self.pretrained:
            values["pretrained"] = self.pretrained
        return configs.plain(values)

    @classmethod
    def from_json(cls, values: dict) -> "ModelRun":
        """Rebuild the run that :meth:`to_json` described."""
        domain = values.get("domain", "jets")  # the first versions had no others
        pipeline = domains.get(domain)
        model, model_config = configs.named(models, values["model"])
        loss, loss_config = configs.named(distances, values["loss"])
        return cls(
            configs.from_json(pipeline.Data, values["data"]),
            configs.from_json(pipeline.Scaling, values["scaling"]),
            model,
            model_config,
            loss,
            loss_config,
            configs.from_json(pipeline.Objective, values["objective"]),
            configs.from_json(training.Config, values["training"]),
            _stored_seed(values),
            domain,
            Components.from_json(values["parts"])
            if "parts" in values
            else Components(),
            values.get("pretrained", ""),
        )


def _stored_seed(values: dict) -> int:
    """The seed of a checkpoint; of larger ones earlier versions used 32 bits."""
    return values["seed"] % (configs.MAX_SEED + 1)


@configs.config
class FlowRun:
    """A fit of a flow to the latents of a trained VAE.

    Attributes:
        flow: name of a file in ``densities/``.
        flow_config: its Config.
        latents: fit to fresh 'samples' of each posterior, or to the 'means'.
        training: epochs, batches, optimiser.
        seed: of initialisation, shuffles and noise.
    """

    flow: str
    flow_config: Any
    latents: Literal["samples", "means"]
    training: training.Config
    seed: Seed = 0

    def to_json(self) -> dict:
        """Nested dict of plain values; :meth:`from_json` is the inverse."""
        values = {
            "flow": configs.with_name(self.flow, self.flow_config),
            "latents": self.latents,
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
        }
        return configs.plain(values)

    @classmethod
    def from_json(cls, values: dict) -> "FlowRun":
        """Rebuild the run that :meth:`to_json` described."""
        flow, flow_config = configs.named(densities, values["flow"])
        train = configs.from_json(training.Config, values["training"])
        return cls(flow, flow_config, values["latents"], train, _stored_seed(values))


@configs.config
class CopulaRun:
    """A fit of a copula to the latents of a trained VAE.

    Attributes:
        config: marginals and dependence.
        flow: name of a file in ``densities/``, for the dependence 'flow'.
        flow_config: its Config.
        training: epochs, batches, optimiser of that flow.
        seed: of the draws and of the fit.
    """

    config: copula.Config
    flow: str
    flow_config: Any
    training: training.Config
    seed: Seed = 0

    def to_json(self) -> dict:
        """Nested dict of plain values; :meth:`from_json` is the inverse."""
        values = {
            "config": dataclasses.asdict(self.config),
            "flow": configs.with_name(self.flow, self.flow_config),
            "training": dataclasses.asdict(self.training),
            "seed": self.seed,
        }
        return configs.plain(values)

    @classmethod
    def from_json(cls, values: dict) -> "CopulaRun":
        """Rebuild the run that :meth:`to_json` described."""
        flow, flow_config = configs.named(densities, values["flow"])
        config = configs.from_json(copula.Config, values["config"])
        train = configs.from_json(training.Config, values["training"])
        return cls(config, flow, flow_config, train, _stored_seed(values))


@configs.config
class GenerateConfig:
    """Which samples to generate.

    Attributes:
        latents: 'prior' draws N(0, 1), or the prior that was learned with the VAE;
            'flow' draws the fitted flow, 'copula' the fitted copula; 'reconstruction'
            encodes and decodes the test part.
        num_jets: samples to generate; 0 for as many as there are test samples.
        seed: of the latents.
        output: file to write; empty for generated_<latents>.hdf5 in the workdir.
        context: source of axes and conditions: 'data' takes those of training samples,
            'density' draws them from a Gaussian copula fitted to those.
        cluster_radius: draw jets again that are not one anti-kT jet of this radius to
            0.5 % of the pT, or exceed their pT; 0: none.
        condition: conditions of the samples as name=value, such as digit=3 or
            pt=1000,mass=90; conditions that are not given are drawn.
        shards: number of files in the folder that output names then; 0 for one file.
        shard: the only one to make, from 0; otherwise all that are not whole yet.
        collect: make none: check all shards and list them in the folder's manifest.
        num_workers: processes that make shards; 0 for this one alone.
        dask_scheduler: address of a running Dask scheduler whose workers make them.
    """

    latents: Literal["prior", "flow", "copula", "reconstruction"] = "flow"
    num_jets: NonNegativeInt = 0
    seed: Seed = 0
    output: configs.Path = ""
    context: Literal["data", "density"] = "data"
    cluster_radius: NonNegativeFloat = 0.0
    condition: tuple[str, ...] = ()
    shards: NonNegativeInt = 0
    shard: NonNegativeInt | None = None
    collect: bool = False
    num_workers: NonNegativeInt = 0
    dask_scheduler: str = ""

    def __post_init__(self):
        if self.shard is not None and self.shard >= self.shards:
            wanted = f"below shards = {self.shards}" if self.shards else "with shards"
            raise InputError(f"shard: give one {wanted}, got {self.shard}")
        if self.collect and (self.shard is not None or not self.shards):
            raise InputError("collect: give it with shards, and without shard")
        for name in ("num_workers", "dask_scheduler"):
            if getattr(self, name) and (self.shard is not None or not self.shards):
                raise InputError(f"{name}: give it with shards, and without shard")
