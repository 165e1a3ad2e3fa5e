"""Building blocks shared by the models and the flows: linen inside, few and plain.

Every contraction is one flat matmul (:func:`matmul`); convolutions over particles
gather their windows by slicing (:func:`windows`), transposed ones add theirs up
(:func:`overlap_add`). On a CPU this trains the published ConVAE about twice as
fast as XLA's convolutions, whose gradients are slow (``benchmarks/conv_vae.py``).
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jetvae_jax.errors import InputError
from jetvae_jax.types import VAE, Array, GaussianPosterior, Key, Params

QUIET = 0.3
"""Scale of layers that start small: those of residual branches and of outputs."""

LOGVAR_RANGE = (-20.0, 10.0)
"""Of a posterior: standard deviations from 5e-5 to 150."""

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x, 0.1),
    "selu": jax.nn.selu,
    "elu": jax.nn.elu,
}


def activation(name: str) -> Callable[[Array], Array]:
    """The elementwise function of that name; ``leaky_relu`` has slope 0.1.

    Raises:
        InputError: there is none.
    """
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise InputError(f"activation: {name!r} is unknown; choose one of {known}")
    return ACTIVATIONS[name]


def check_positive(config: object, *fields: str) -> None:
    """Every named field, or every entry of a tuple, is a positive number.

    Raises:
        InputError: one is not; the message begins with the field's name.
    """
    for field in fields:
        value = getattr(config, field)
        if any(v <= 0 for v in (value if isinstance(value, tuple) else (value,))):
            raise InputError(f"{field}: must be positive, got {value}")


def smooth_clip(x: Array, low: float, high: float) -> Array:
    """``x`` held inside ``(low, high)``, the identity to 5e-5 ten units inside.

    Its gradient fades beyond the bounds but does not vanish at once, as a hard
    clip's would: what went over the edge can come back.
    """
    return low + jax.nn.softplus(high - low - jax.nn.softplus(high - x))


def posterior(outputs: Array) -> GaussianPosterior:
    """The last layer of an encoder, ``[..., 2 L]``, as mean and log-variance.

    The log-variance is clipped smoothly to :data:`LOGVAR_RANGE`, here and nowhere
    else: ``exp`` cannot overflow and no loss needs a guard of its own.
    """
    mean, logvar = jnp.split(outputs, 2, axis=-1)
    return GaussianPosterior(mean, smooth_clip(logvar, *LOGVAR_RANGE))


def within(bound: float) -> Callable[..., Array]:
    """Initialiser of a linen parameter that starts uniform in ``(-bound, bound)``.

    It only writes the bound; :func:`init` draws, for all parameters at once.
    """
    return lambda key, shape: jnp.full(shape, bound, jnp.float32)


def fan_in(size: int, *, scale: float = 1.0) -> Callable[..., Array]:
    """Kernels start uniform with variance ``1/size``: signals keep their size.

    PyTorch's default, which the published network had, has a third of it; after
    eight layers the jet is all but lost in the biases. On gluon jets this start
    reaches the same Chamfer loss in about half the epochs at a rate of 1e-3, and
    in a third at 3e-4. Biases start from zero; ``scale`` makes an output start small.
    """
    return within(scale * math.sqrt(3 / size))


@functools.partial(jax.jit, static_argnums=0)
def init(module: nn.Module, key: Key, *args: Array) -> Params:
    """Random parameters for a module of this file's layers, called with ``args``.

    Compiled, and one draw for all: a draw for every parameter apart takes XLA
    several times as long to compile as the whole rest.
    """
    bounds, tree = jax.tree.flatten(module.init(key, *args)["params"])
    ends = np.cumsum([bound.size for bound in bounds])
    draw = jax.random.uniform(key, (ends[-1],), jnp.float32, -1.0, 1.0)
    parts = jnp.split(draw, ends[:-1])
    return tree.unflatten(
        [
            bound * part.reshape(bound.shape)
            for bound, part in zip(bounds, parts, strict=True)
        ]
    )


def apply(module: nn.Module, params: Params, *args: Array) -> Any:
    """What the module makes of ``args`` with these parameters."""
    return module.apply({"params": params}, *args)


def matmul(x: Array, kernel: Array) -> Array:
    """``x [..., I] @ kernel [I, O] -> [..., O]`` over one flat leading axis.

    The flat form makes the gradient of the kernel a single transposed matmul;
    contracting several leading axes there costs a copy.
    """
    flat = x.reshape(-1, x.shape[-1]) @ kernel
    return flat.reshape(*x.shape[:-1], kernel.shape[-1])


def windows(x: Array, kernel: int) -> Array:
    """All windows of ``kernel`` neighbours (im2col).

    Args:
        x: ``[..., W, C]``.
        kernel: width of a window.

    Returns:
        ``[..., W - kernel + 1, kernel * C]``, the neighbour major, the channel minor.
    """
    width = x.shape[-2] - kernel + 1
    return jnp.concatenate([x[..., i : i + width, :] for i in range(kernel)], axis=-1)


def overlap_add(x: Array, kernel: int) -> Array:
    """The transpose of :func:`windows`: every window adds to the places it covers.

    Args:
        x: ``[..., W, kernel * C]``.
        kernel: width of a window.

    Returns:
        ``[..., W + kernel - 1, C]``.
    """
    lead = [(0, 0)] * (x.ndim - 2)
    parts = jnp.split(x, kernel, axis=-1)
    padded = [
        jnp.pad(part, [*lead, (i, kernel - 1 - i), (0, 0)])
        for i, part in enumerate(parts)
    ]
    return sum(padded[1:], start=padded[0])


def max_over_points(x: Array) -> Array:
    """Maximum over the points of ``[..., N, C] -> [..., C]``, by halves.

    ``jnp.max`` differentiates by comparing with its result for equality, which
    goes wrong when XLA recomputes ``x`` with another rounding; pairwise maxima
    compare the two candidates themselves.
    """
    while (n := x.shape[-2]) > 1:
        half = (n + 1) // 2
        x = jnp.maximum(x[..., :half, :], x[..., n - half :, :])
    return x[..., 0, :]


def pool(x: Array, mask: Array | None, capacity: int) -> Array:
    """A summary of a set that its order and its padding do not change.

    Mean, sum over ``capacity`` (so that the number of points is seen) and maximum;
    all zero for an empty set.

    Args:
        x: ``[..., N, C]``.
        mask: ``[..., N]`` bool, or None when all exist.
        capacity: the largest number of points; keeps the sum of order one.

    Returns:
        ``[..., 3 C]``.
    """
    if mask is None:
        mean = jnp.mean(x, axis=-2)
        total = mean * (x.shape[-2] / capacity)
        return jnp.concatenate([mean, total, max_over_points(x)], axis=-1)
    real = mask[..., None]
    total = jnp.sum(jnp.where(real, x, 0.0), axis=-2)
    count = jnp.sum(real, axis=-2)
    lowest = jnp.finfo(x.dtype).min
    largest = max_over_points(jnp.where(real, x, lowest))
    largest = jnp.where(count > 0, largest, 0.0)
    mean = total / jnp.maximum(count, 1)
    return jnp.concatenate([mean, total / capacity, largest], axis=-1)


class Dense(nn.Module):
    """Affine map of the last axis, ``[..., I] -> [..., features]``.

    Attributes:
        features: size of the output.
        scale: of the initial kernel, see :func:`fan_in`.
        use_bias: add a bias.
    """

    features: int
    scale: float = 1.0
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Apply the map."""
        start = fan_in(x.shape[-1], scale=self.scale)
        y = matmul(x, self.param("kernel", start, (x.shape[-1], self.features)))
        return (
            y + self.param("bias", within(0.0), (self.features,))
            if self.use_bias
            else y
        )


class MLP(nn.Module):
    """Dense layers with an activation between them: ``[..., I] -> [..., features]``.

    Attributes:
        hidden: sizes of the hidden layers.
        features: size of the output, which has no activation.
        activation: a name in :data:`ACTIVATIONS`.
        last_scale: of the last layer's initial kernel; 0 starts from zero.
    """

    hidden: tuple[int, ...]
    features: int
    activation: str = "relu"
    last_scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Apply the layers."""
        for i, size in enumerate(self.hidden):
            x = activation(self.activation)(Dense(size, name=f"dense_{i}")(x))
        return Dense(self.features, scale=self.last_scale, name="last")(x)


class Conv(nn.Module):
    """Convolution over particles, stride 1, no padding.

    The kernel ``[kernel, C, features]`` spans all C channels. On the particles
    themselves the channels are the features: this is the (3, 5) layer of the
    published network, whose image is features x particles.

    Attributes:
        features: channels out.
        kernel: neighbours in a window.
    """

    features: int
    kernel: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[..., W, C] -> [..., W - kernel + 1, features]``."""
        inputs = self.kernel * x.shape[-1]
        shape = (self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", fan_in(inputs), shape).reshape(inputs, -1)
        bias = self.param("bias", within(0.0), (self.features,))
        return matmul(windows(x, self.kernel), kernel) + bias


class ConvTranspose(nn.Module):
    """Transpose of :class:`Conv`: every particle adds ``kernel`` neighbours.

    The kernel is ``[C, kernel, features]``: input w reaches output w + k through
    ``kernel[:, k]``, as in PyTorch. ``bias_per_channel=False`` shares one bias, as
    the published last layer, whose single output channel is the whole image.

    Attributes:
        features: channels out.
        kernel: neighbours that one particle reaches.
        bias_per_channel: False for one bias shared by all channels.
        scale: of the initial kernel, see :func:`fan_in`.
    """

    features: int
    kernel: int
    bias_per_channel: bool = True
    scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[..., W, C] -> [..., W + kernel - 1, features]``."""
        channels = x.shape[-1]
        # of one output: all channels of the neighbours that reach it
        start = fan_in(self.kernel * channels, scale=self.scale)
        shape = (channels, self.kernel, self.features)
        kernel = self.param("kernel", start, shape).reshape(channels, -1)
        size = self.features if self.bias_per_channel else 1
        bias = self.param("bias", within(0.0), (size,))
        return overlap_add(matmul(x, kernel), self.kernel) + bias


class EpicLayer(nn.Module):
    """Equivariant layer of EPiC-GAN (arXiv:2301.08128): points talk by a summary.

    First the summary of the set renews the context, then the context renews every
    point; both are residual. Cost and memory are linear in the number of points.

    Attributes:
        width: C, channels of a point.
        context: G, size of the context.
        capacity: the largest number of points, for :func:`pool`.
        activation: a name in :data:`ACTIVATIONS`.
    """

    width: int
    context: int
    capacity: int
    activation: str = "leaky_relu"

    @nn.compact
    def __call__(
        self, x: Array, context: Array, mask: Array | None = None
    ) -> tuple[Array, Array]:
        """``x [..., N, C]`` and ``context [..., G]``, both renewed."""
        act = activation(self.activation)
        summary = jnp.concatenate([pool(x, mask, self.capacity), context], axis=-1)
        hidden = act(Dense(self.width, name="context_0")(summary))
        context = act(
            context + Dense(self.context, scale=QUIET, name="context_1")(hidden)
        )
        # Dense([x, context]) without copying the context to every point
        shared = Dense(self.width, use_bias=False, name="point_context")(context)
        hidden = act(Dense(self.width, name="point_0")(x) + shared[..., None, :])
        return act(x + Dense(self.width, scale=QUIET, name="point_1")(hidden)), context


def jet_features(x: Array, size: int) -> Array:
    """What a decoder adds to the jet's features: a linear map of ``x``, zero at first.

    Called inside a decoder's ``__call__``; without features, without parameters.
    """
    if not size:
        return jnp.zeros((*x.shape[:-1], 0), x.dtype)
    return Dense(size, scale=0.0, name="jet")(x)


def as_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    num_particles: int,
    num_features: int,
    latent_dim: int,
    jet_rows: int = 0,
    any_length: bool = False,
) -> VAE:
    """Two linen modules as a VAE of pure functions with checked shapes.

    Rows before those of the particles, if any, describe the jet. They reach the
    encoder as one vector of G features, and skip the networks: the first G latents
    are those features plus what the encoder adds, and the decoded features are those
    latents plus what the decoder adds.

    Args:
        encoder: ``(x [..., N, F], mask [..., N], jet [..., G]) -> GaussianPosterior``.
        decoder: ``(z [..., L]) -> (x [..., N, F], jet [..., G])``.
        num_particles: N.
        num_features: F.
        latent_dim: L.
        jet_rows: R; the VAE's x is ``[..., R + N, F]``, and ``G = R F``.
        any_length: the encoder takes any number of particles.

    Returns:
        The VAE; its parameters are ``{"encoder": ..., "decoder": ...}``.
    """
    rows, width = jet_rows + num_particles, jet_rows * num_features
    skip = min(width, latent_dim)

    def draw(key: Key) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        x, mask = (
            jnp.zeros((num_particles, num_features)),
            jnp.ones(num_particles, bool),
        )
        return {
            "encoder": init(encoder, encoder_key, x, mask, jnp.zeros(width)),
            "decoder": init(decoder, decoder_key, jnp.zeros(latent_dim)),
        }

    def encode(params: Params, x: Array, mask: Array) -> GaussianPosterior:
        expected = (x.shape[-2] if any_length else rows, num_features)
        if x.shape[-2:] != expected:
            raise ValueError(f"x has shape {x.shape}, expected [..., *{expected}]")
        if mask.shape != x.shape[:-1]:
            raise ValueError(f"mask has shape {mask.shape}, x has {x.shape}")
        jet = x[..., :jet_rows, :].reshape(*x.shape[:-2], width)
        x, mask = x[..., jet_rows:, :], mask[..., jet_rows:]
        mean, logvar = apply(encoder, params["encoder"], x, mask, jet)
        return GaussianPosterior(mean.at[..., :skip].add(jet[..., :skip]), logvar)

    def decode(params: Params, z: Array) -> Array:
        if z.shape[-1] != latent_dim:
            raise ValueError(f"z has shape {z.shape}, expected [..., {latent_dim}]")
        x, jet = apply(decoder, params["decoder"], z)
        jet = jet.at[..., :skip].add(z[..., :skip])
        jet = jet.reshape(*z.shape[:-1], jet_rows, num_features)
        return jnp.concatenate([jet, x], axis=-2)

    return VAE(draw, encode, decode, latent_dim)
