"""Flax linen layers that models, discriminators and flows share.

Every contraction is one flat matmul (:func:`matmul`); convolutions over particles
gather their windows by slicing (:func:`windows`), transposed ones add theirs up
(:func:`overlap_add`). On a CPU this trains the published ConVAE two to five times as
fast as XLA's convolutions, whose gradients are slow (``benchmarks/compare.py``).
Layers on sets of points: nothing depends on order or padding.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Key, Params

QUIET = 0.3
"""Scale of the initial kernels of residual branches and of outputs."""
AS_TORCH = 1 / math.sqrt(3)
"""Scale of initial kernels in PyTorch, see :func:`fan_in`."""

SLICE = 250
"""Rows that a CPU maps most networks over at once: the activations fit in its cache."""
ACCELERATOR_SLICE = 1000
"""The same for an accelerator, whose memory holds them."""

Activation = Literal["relu", "gelu", "leaky_relu", "selu", "elu"]
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


def within(bound: float) -> Callable[..., Array]:
    """Initialiser of a linen parameter that starts uniform in ``(-bound, bound)``.

    It only writes the bound; :func:`init` draws, for all parameters at once.
    """
    return lambda key, shape: jnp.full(shape, bound, jnp.float32)


def fan_in(size: int, *, scale: float = 1.0) -> Callable[..., Array]:
    """Kernels start uniform with variance ``1/size``: signals keep their size.

    PyTorch's default, which the published network had, has a third of it; after
    eight layers the signal is small against the biases. On gluon jets this start
    reached the same Chamfer loss in half the epochs or fewer (filters 8, 16, 32; rates
    1e-3 and 3e-4). Biases start from zero; ``scale`` makes an output start small.
    """
    return within(scale * math.sqrt(3 / size))


@functools.partial(jax.jit, static_argnums=0)
def init(module: nn.Module, key: Key, *args: Any) -> Params:
    """Random parameters for a module of this file's layers, called with ``args``.

    All parameters are slices of one random vector: separate draws for each of them
    take XLA several times as long to compile as everything else.
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


def apply(module: nn.Module, params: Params, *args: Any) -> Any:
    """Apply a module with these parameters to ``args``."""
    return module.apply({"params": params}, *args)


def matmul(x: Array, kernel: Array) -> Array:
    """``x [..., I] @ kernel [I, O] -> [..., O]`` over one flat leading axis.

    The flat form makes the gradient of the kernel a single transposed matmul;
    contracting several leading axes there costs a copy.
    """
    flat = x.reshape(-1, x.shape[-1]) @ kernel
    return flat.reshape(*x.shape[:-1], kernel.shape[-1])


def in_slices(
    function: Callable[[Any], Any], rows: Any, *, axes: int = 1, most: int = SLICE
) -> Any:
    """Map a function of one row over many rows, some of them at a time.

    Args:
        function: of a pytree of arrays without leading axes.
        rows: the same with leading axes ``[...]``.
        axes: how many these are.
        most: rows at a time on a CPU.

    Returns:
        What the function returns, with the same leading axes.
    """
    lead = jax.tree.leaves(rows)[0].shape[:axes]
    number = math.prod(lead)
    if jax.default_backend() != "cpu":
        most = ACCELERATOR_SLICE
    if number <= most:
        for _ in lead:
            function = jax.vmap(function)
        return function(rows)
    count = -(-number // most)
    # All slices are as long, so that one program serves them: copies of the last row
    # fill the last one.
    size = -(-number // count)
    index = np.minimum(np.arange(count * size), number - 1).reshape(count, size)

    def sliced(a: Array) -> Array:
        return a.reshape(number, *a.shape[axes:])[index]

    def whole(a: Array) -> Array:
        a = a.reshape(-1, *a.shape[2:])[:number]
        return a.reshape(*lead, *a.shape[1:])

    made = jax.lax.map(jax.vmap(function), jax.tree.map(sliced, rows))
    return jax.tree.map(whole, made)


def normalise(x: Array) -> Array:
    """The last axis with mean 0 and variance 1 (arXiv:1607.06450).

    There are no gain and offset: the affine map that follows has them.
    """
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + 1e-6)


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


def with_condition(
    vector: Array, condition: Array | None, num_conditions: int | None = None
) -> Array:
    """A vector ``[..., I]`` with the conditions appended, ``[..., I + G]``.

    Args:
        vector: ``[..., I]``.
        condition: ``[..., G]``, broadcast to the leading axes of the vector; or None.
        num_conditions: G, to be checked; None where the shapes were checked before.

    Raises:
        ValueError: the condition is not ``[..., num_conditions]``.
    """
    size = 0 if condition is None else condition.shape[-1]
    if num_conditions is not None and size != num_conditions:
        shape = None if condition is None else condition.shape
        raise ValueError(f"condition has shape {shape}, expected {num_conditions}")
    if condition is None:
        return vector
    condition = jnp.broadcast_to(condition, (*vector.shape[:-1], condition.shape[-1]))
    return jnp.concatenate([vector, condition], axis=-1)


def mean_and_sum(x: Array, mask: Array, capacity: int) -> tuple[Array, Array]:
    """Mean of the existing points ``[..., N, C]``, and their sum over ``capacity``."""
    real = mask[..., None]
    total = jnp.sum(jnp.where(real, x, 0.0), axis=-2)
    return total / jnp.maximum(jnp.sum(real, axis=-2), 1), total / capacity


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


class NormalisedDense(nn.Module):
    """:class:`Dense` of which the norm of each column of the kernel is a parameter.

    Weight normalisation (arXiv:1602.07868): ``y = s (1 + gain) x.v / |v| + bias``.

    Attributes:
        features: size of the output.
        scale: s, the initial norm.
    """

    features: int
    scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Apply the map."""
        start = fan_in(x.shape[-1])
        kernel = self.param("kernel", start, (x.shape[-1], self.features))
        gain = self.param("gain", within(0.0), (self.features,))
        norm = jnp.sqrt(jnp.sum(jnp.square(kernel), axis=0) + 1e-12)
        bias = self.param("bias", within(0.0), (self.features,))
        return matmul(x, kernel * (self.scale * (1 + gain) / norm)) + bias


def dropout(key: Key | None, x: Array, rate: float) -> Array:
    """Entries set to zero with that probability, the others enlarged; None: none."""
    if key is None or not rate:
        return x
    kept = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(kept, x / (1 - rate), 0.0)


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


class Conv2D(nn.Module):
    """Convolution over the rows and columns of an image, stride 1, zeros around it.

    Attributes:
        features: channels out.
        kernel: width and height of a window, an odd number.
        scale: of the initial kernel, see :func:`fan_in`.
    """

    features: int
    kernel: int = 3
    scale: float = 1.0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[..., H, W, C] -> [..., H, W, features]``."""
        height, width, channels = x.shape[-3:]
        side = self.kernel // 2
        lead = [(0, 0)] * (x.ndim - 3)
        x = jnp.pad(x, [*lead, (side, side), (side, side), (0, 0)])
        steps = range(self.kernel)
        parts = [x[..., i : i + height, j : j + width, :] for i in steps for j in steps]
        inputs = self.kernel**2 * channels
        start = fan_in(inputs, scale=self.scale)
        kernel = self.param("kernel", start, (inputs, self.features))
        bias = self.param("bias", within(0.0), (self.features,))
        return matmul(jnp.concatenate(parts, axis=-1), kernel) + bias


def space_to_depth(x: Array, size: int = 2) -> Array:
    """Blocks of ``size`` x ``size`` pixels as channels of one pixel.

    Args:
        x: ``[..., H, W, C]``, H and W multiples of ``size``.
        size: of a block.

    Returns:
        ``[..., H / size, W / size, size^2 C]``; :func:`depth_to_space` is the inverse.
    """
    *lead, height, width, channels = x.shape
    x = x.reshape(*lead, height // size, size, width // size, size, channels)
    x = jnp.moveaxis(x, -4, -3)
    return x.reshape(*x.shape[:-3], size * size * channels)


def depth_to_space(x: Array, size: int = 2) -> Array:
    """The inverse of :func:`space_to_depth`, ``[..., H, W, C]``."""
    *lead, height, width, channels = x.shape
    x = x.reshape(*lead, height, width, size, size, channels // size**2)
    x = jnp.moveaxis(x, -4, -3)
    return x.reshape(*lead, height * size, width * size, channels // size**2)


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
    """A permutation-invariant summary of a set; padding has no influence.

    Mean, sum over ``capacity`` (which depends on the number of points) and maximum;
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
    lowest = jnp.finfo(x.dtype).min
    largest = max_over_points(jnp.where(mask[..., None], x, lowest))
    largest = jnp.where(jnp.any(mask, axis=-1, keepdims=True), largest, 0.0)
    return jnp.concatenate([*mean_and_sum(x, mask, capacity), largest], axis=-1)


class EpicLayer(nn.Module):
    """Equivariant layer of EPiC-GAN (arXiv:2301.08128).

    First a pooled summary of the points updates the context, then the context updates
    every point; both updates are residual. Cost and memory are linear in the number
    of points.

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
        """``x [..., N, C]`` and ``context [..., G]``, both updated."""
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
