"""A VAE for sets: neither the order of the particles nor padding has any influence.

The encoder is one of :mod:`~jetvae_jax.models._set_encoders`: a Deep Set with EPiC
layers, an energy flow network or an interaction network. The decoder starts from one
learned embedding per slot, adds the latent vector to each and applies equivariant EPiC
layers (arXiv:2301.08128). It gives one particle per slot; the scaling decides which of
them exist. Train it with a permutation-invariant loss (Chamfer, Sinkhorn).
"""

from collections.abc import Callable
from typing import Literal

from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import VAE, Array, Model, Task
from jetvae_jax.models import vae
from jetvae_jax.models._set_encoders import ENCODERS

USES_MASK = True


@configs.config
class Config:
    """Sizes of the network.

    Attributes:
        num_particles: particles that the decoder generates.
        num_features: features of a particle.
        encoder: 'deepsets' has equivariant layers and pools; 'efn' is an energy flow
            network, pt-weighted sums of functions of the angles, for relative
            coordinates; 'interaction' is an interaction network of all pairs.
        latent_dim: dimensions of the latent space.
        width: channels of a particle.
        context: size of the vector that all particles share; of a pair in the encoder
            interaction.
        encoder_layers: equivariant layers of the encoder, 0 for a plain Deep Set;
            layers of the network of a particle (efn) or of a pair (interaction).
        decoder_layers: equivariant layers of the decoder.
        hidden: sizes of the dense layers before the posterior.
        activation: function between the layers.
        jet_rows: rows before the particles that describe the jet as a whole.
        num_conditions: numbers given to encoder and decoder beside the particles.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    encoder: Literal["deepsets", "efn", "interaction"] = "deepsets"
    latent_dim: PositiveInt = 30
    width: PositiveInt = 128
    context: PositiveInt = 32
    encoder_layers: NonNegativeInt = 2
    decoder_layers: PositiveInt = 4
    hidden: tuple[PositiveInt, ...] = (256,)
    activation: layers.Activation = "leaky_relu"
    jet_rows: NonNegativeInt = 0
    num_conditions: NonNegativeInt = 0


class Decoder(nn.Module):
    """A latent vector to one point per slot."""

    config: Config

    @nn.compact
    def __call__(self, z: Array) -> tuple[Array, Array]:
        """``z [..., L]`` to ``[..., N, F]`` and ``[..., G]``."""
        config, act = self.config, layers.activation(self.config.activation)
        slots = self.param(
            "slots",
            layers.within(3**0.5),  # variance 1
            (config.num_particles, config.width),
        )
        z = act(layers.MLP(config.hidden, config.width, config.activation, name="z")(z))
        context = act(layers.Dense(config.context, name="context")(z))
        x = act(slots + layers.Dense(config.width, name="embed")(z)[..., None, :])
        for i in range(config.decoder_layers):
            layer = layers.EpicLayer(
                config.width, config.context, config.num_particles, config.activation,
                name=f"layer_{i}",
            )  # fmt: skip
            x, context = layer(x, context)
        jet = vae.jet_features(context, config.jet_rows * config.num_features)
        return layers.Dense(config.num_features, scale=layers.QUIET, name="last")(
            x
        ), jet


def build(config: Config, relative: Callable[[Array], Array] | None = None) -> VAE:
    """The network of ``config``; its encoder takes jets of any number of particles.

    Args:
        config: encoder and sizes.
        relative: ``(x [..., N, F]) -> [..., N, 3]`` (ptrel, etarel, phirel) of scaled
            features, for the encoder efn; None: they are these.
    """
    encoder = ENCODERS[config.encoder](
        latent_dim=config.latent_dim,
        width=config.width,
        context=config.context,
        capacity=config.num_particles,
        depth=config.encoder_layers,
        hidden=config.hidden,
        activation=config.activation,
        relative=relative or (lambda x: x),
    )
    return vae.as_vae(
        encoder,
        Decoder(config),
        num_particles=config.num_particles,
        num_features=config.num_features,
        latent_dim=config.latent_dim,
        jet_rows=config.jet_rows,
        num_conditions=config.num_conditions,
        any_length=True,
    )


def model(config: Config, task: Task) -> Model:
    """The generative model: this VAE with the objective and components of the task.

    Raises:
        InputError: an energy flow network of features that are not relative to a jet.
    """
    if config.encoder == "efn" and task.relative is None:
        raise InputError(
            "--deepsets_vae.encoder=efn: needs pt and angles relative to the jet's "
            "axis: give --domain=jets --scaling.coordinates=relative, or another "
            "encoder"
        )
    return vae.model(build(config, task.relative), task)
