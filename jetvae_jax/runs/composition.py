"""What a VAE is trained together with: a learned prior, a uniform latent, a critic.

One road for all of VAE, +D, +NF, +NF+D and copula-VAE: :class:`Config` says which,
:func:`compose` builds the parts, :func:`training_step` trains them in the one loop.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

from jetvae_jax import densities, discriminators
from jetvae_jax.core import configs
from jetvae_jax.core.configs import NonNegativeFloat
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import VAE, Discriminator, Params, Prior
from jetvae_jax.densities import gaussian_copula, normal
from jetvae_jax.densities import marginals as densities_marginals
from jetvae_jax.losses import adversarial, variational
from jetvae_jax.losses.adversarial import Config as Adversarial
from jetvae_jax.models import copula_latents
from jetvae_jax.training import Config as Training
from jetvae_jax.training import Step, configured_step
from jetvae_jax.training.adversarial import adversarial_step, joint_init

NONE, COPULA = "none", "gaussian_copula"


@configs.config
class Config:
    """The parts beside encoder and decoder.

    Attributes:
        latent: 'gaussian'; 'uniform', where the decoder is given Phi(z), a point of
            the unit cube; 'cdf', the same with the features' own CDFs for an encoder.
        uniform: weight of the distance of the latents' marginals from uniform ones.
        prior: learned with the VAE: name of a file in ``flows/``, or
            'gaussian_copula'; 'none' for the standard normal.
        prior_config: its Config.
        discriminator: name of a file in ``discriminators/``, or 'none'.
        discriminator_config: its Config.
        adversarial: how VAE and discriminator are played against each other.
    """

    latent: Literal["gaussian", "uniform", "cdf"] = "gaussian"
    uniform: NonNegativeFloat = 0.0
    prior: str = NONE
    prior_config: Any = None
    discriminator: str = NONE
    discriminator_config: Any = None
    adversarial: Adversarial = dataclasses.field(default_factory=Adversarial)

    @classmethod
    def from_json(cls, values: dict) -> "Config":
        """What ``dataclasses.asdict`` made, back."""
        values = dict(values)
        for name, package in (("prior", densities), ("discriminator", discriminators)):
            if values[name] not in (NONE, COPULA):
                config = package.get(values[name]).Config
                key = f"{name}_config"
                values[key] = configs.from_json(config, values[key])
        given = configs.from_json(Adversarial, values["adversarial"])
        return cls(**values | {"adversarial": given})


class Composed(NamedTuple):
    """The parts, and how their parameters start.

    Attributes:
        vae: encoder and decoder; its parameters are branches of the whole tree.
        prior: of the latents, ``params["prior"]``, or None for the standard normal.
        discriminator: ``params["discriminator"]``, or None.
    """

    vae: VAE
    prior: Prior | None
    discriminator: Discriminator | None

    def init(self, key) -> Params:
        """Random parameters of all parts; the VAE starts as it would alone."""
        start = joint_init(self.vae, prior=self.prior, discriminator=self.discriminator)
        return start(key)


def compose(config: Config, vae: VAE, *, knots: Any = None, **sizes: int) -> Composed:
    """Builds the parts around a VAE.

    Args:
        config: which parts.
        vae: of a model.
        knots: of the CDFs of the scaled training features, for ``latent = cdf``; None
            if a checkpoint will bring them.
        sizes: num_particles, num_features, jet_rows, num_conditions of the data.

    Raises:
        InputError: a size of a part that cannot be.
    """
    prior = discriminator = None
    told = sizes.get("num_conditions", 0)
    if config.latent == "uniform":
        vae = copula_latents.squashed(vae)
    elif config.latent == "cdf":
        if (vae.latent_dim, sizes["num_particles"]) != (sizes["num_features"], 1):
            raise InputError(
                f"latent = 'cdf': needs tables, and latent_dim = "
                f"{sizes['num_features']} as there are columns, got {vae.latent_dim}"
            )
        marginals = densities_marginals.empirical(vae.latent_dim)
        vae = copula_latents.cdf_encoder(vae, marginals, knots)
    if config.prior == COPULA:
        prior = gaussian_copula.build(vae.latent_dim)
    elif config.prior != NONE:
        flow = densities.get(config.prior).build(
            config.prior_config, dim=vae.latent_dim, num_conditions=told
        )
        prior = normal.from_flow(flow)
    if config.discriminator != NONE:
        module = discriminators.get(config.discriminator)
        discriminator = module.build(fill(config.discriminator_config, sizes))
    return Composed(vae, prior, discriminator)


def fill(config: Any, sizes: dict[str, int]) -> Any:
    """A Config with those of its fields that follow from the data."""
    names = {field.name for field in dataclasses.fields(config)}
    return dataclasses.replace(config, **{k: v for k, v in sizes.items() if k in names})


def training_step(
    config: Config,
    parts: Composed,
    objective: variational.Objective,
    training: Training,
    *,
    num_jets: int,
    exists: Any = None,
) -> Step:
    """How all the parts learn, as a step of the one loop.

    Args:
        config: which parts.
        parts: from :func:`compose`.
        objective: what is compared, and how it is weighted.
        training: of all parts alike.
        num_jets: of the training data.
        exists: which made points a discriminator sees, see
            :func:`jetvae_jax.losses.adversarial.build`.
    """
    objective = objective._replace(uniform=config.uniform)
    if config.latent == "cdf" and training.weight_decay:
        raise InputError("weight_decay: would shrink the CDFs of latent = cdf; give 0")
    if parts.discriminator is None:
        loss_fn = variational.build(parts.vae, objective, prior=parts.prior)
        return configured_step(loss_fn, parts.init, training, num_jets=num_jets)
    errors = adversarial.build(
        config.adversarial, parts.vae, parts.discriminator, objective,
        prior=parts.prior, exists=exists,
    )  # fmt: skip
    return adversarial_step(
        errors, parts.init, training,
        alpha=config.adversarial.alpha, num_jets=num_jets,
        frozen=("encoder",) if config.latent == "cdf" else (),
    )  # fmt: skip
