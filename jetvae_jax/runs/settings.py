"""Runs from settings that are named as the flags of the scripts."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jetvae_jax import densities, discriminators, models, training
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.losses import distances
from jetvae_jax.models import adversarial
from jetvae_jax.models.vae import NONE, Components
from jetvae_jax.runs import domains
from jetvae_jax.runs.config import DERIVED, FlowRun, ModelRun

DEFAULTS = {
    "seed": 0,
    "domain": "jets",
    "model": "conv_vae",
    "loss": "chamfer",
    "flow": "realnvp",
    "latents": "samples",
    "latent": "gaussian",
    "uniform": 0.0,
    "prior": NONE,
    "discriminator": NONE,
}
"""Flags that belong to no Config."""
PLUGINS = (models, distances, densities, discriminators)
FLOW_TRAINING = {"num_epochs": 100, "batch_size": 500, "patience": 15}
"""Defaults of --fit, where they are not those of a training."""

Value = Callable[[str], Any]
"""``(name) -> value`` of a flag in :data:`DEFAULTS`."""
Read = Callable[[str, Any], Any]
"""``(prefix, Config class) -> its instance``."""


def model_run(settings: Mapping[str, Any] | None = None) -> ModelRun:
    """The training that settings describe, for :func:`jetvae_jax.runs.train`.

    Args:
        settings: flag of ``experiments/train.py`` to its value, such as
            ``{"model": "deepsets_vae", "train.num_epochs": 10}``; what is left out has
            the default of the flag.

    Raises:
        InputError: a name that this run does not have, or a wrong value.
    """
    return _from(settings, model_run_of)


def flow_run(settings: Mapping[str, Any] | None = None) -> FlowRun:
    """The fit of a flow that settings describe, for :func:`jetvae_jax.runs.fit_flow`.

    Args:
        settings: flag of ``experiments/fit_flow.py`` to its value, such as
            ``{"flow": "spline", "fit.num_epochs": 10}``.

    Raises:
        InputError: a name that this fit does not have, or a wrong value.
    """
    return _from(settings, flow_run_of)


def model_run_of(value: Value, read: Read) -> ModelRun:
    """A training, from wherever its settings are read."""
    domain = domains.get(value("domain"))

    def named(package: Any, name: str) -> Any:
        return None if name == NONE else read(name, package.get(name).Config)

    return ModelRun(
        domain=value("domain"),
        **{
            kind: read(domain.GROUPS[kind], config)
            for kind, config in domains.kinds(domain).items()
        },
        model=value("model"),
        model_config=named(models, value("model")),
        loss=value("loss"),
        loss_config=named(distances, value("loss")),
        training=read("train", training.Config),
        seed=value("seed"),
        components=Components(
            latent=value("latent"),
            uniform=value("uniform"),
            prior=value("prior"),
            prior_config=named(densities, value("prior")),
            discriminator=value("discriminator"),
            discriminator_config=named(discriminators, value("discriminator")),
            adversarial=read("adversarial", adversarial.Config),
        ),
    )


def flow_run_of(value: Value, read: Read) -> FlowRun:
    """A fit of a flow, from wherever its settings are read."""
    return FlowRun(
        flow=value("flow"),
        flow_config=read(value("flow"), densities.get(value("flow")).Config),
        latents=value("latents"),
        training=read("fit", training.Config),
        seed=value("seed"),
    )


def _from(settings: Mapping[str, Any] | None, build: Callable[[Value, Read], Any]):
    given = dict(settings or {})
    known: set[str] = set()

    def value(name: str) -> Any:
        known.add(name)
        return given.get(name, DEFAULTS[name])

    def read(prefix: str, config: Any) -> Any:
        derived = getattr(config, "DERIVED", ())
        if any(prefix in package.names() for package in PLUGINS):
            derived = (*derived, *DERIVED)
        names = {field.name for field in dataclasses.fields(config)}.difference(derived)
        known.update(f"{prefix}.{name}" for name in names)
        values = FLOW_TRAINING if prefix == "fit" else {}
        found = {n: given[f"{prefix}.{n}"] for n in names if f"{prefix}.{n}" in given}
        tuples = {n: tuple(v) for n, v in found.items() if isinstance(v, list)}
        try:
            return config(**{**values, **found, **tuples})
        except InputError as error:
            raise InputError(f"{prefix}.{error}") from error

    run = build(value, read)
    for name in given:
        if name not in known:
            raise InputError(
                f"{name}: is not a setting of this run{did_you_mean(name, known)}"
            )
    return run
