"""ParticleNet, the graph network behind FPND, for inference with given weights.

Three EdgeConv blocks (Qu and Gouskos, arXiv:1902.08570) on the 16 nearest neighbours,
each followed by a skip connection; a mean over particles; a dense layer whose 256
values, before its activation, are the features of a jet (arXiv:2106.11535, appendix).
The batch norms are those of evaluation, affine maps with fixed numbers, and so are
folded into the dense layers before them (:func:`params_from_torch`).
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.types import Array, Params

NEIGHBOURS = 16
BLOCKS = (64, 128, 256)
FEATURES = 256
BATCH_NORM_EPSILON = 1e-5
# By default accelerators round the factors of float32 products to 10 bits; later
# blocks choose neighbours by the result.
PRECISION = jax.lax.Precision.HIGHEST

_matmul = functools.partial(jnp.matmul, precision=PRECISION)
_rows = jnp.vectorize(lambda x, i: x[i], signature="(n,f),(n,k)->(n,k,f)")


def nearest(x: Array) -> Array:
    """Indices of every point's nearest other points.

    Distances come from differences: ``x^2 + y^2 - 2xy`` would lose the digits that
    decide between neighbours.

    Args:
        x: ``[..., N, F]``, N > 16.

    Returns:
        ``[..., N, 16]`` int32, in no particular order; never the point itself.
    """
    (x,) = floats(jnp, x)
    gap = jnp.sum(jnp.square(x[..., :, None, :] - x[..., None, :, :]), axis=-1)
    gap = jnp.where(jnp.eye(x.shape[-2], dtype=bool), jnp.inf, gap)
    return jax.lax.top_k(-gap, NEIGHBOURS)[1]


def _dense_layer(features: int, name: str) -> nn.Dense:
    return nn.Dense(features, precision=PRECISION, name=name)


class EdgeConv(nn.Module):
    """Mean over neighbours j of a three-layer network of ``(x_i, x_j - x_i)``.

    Attributes:
        features: width of all three layers.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, neighbours: Array) -> Array:
        """``[..., N, F], [..., N, 16] -> [..., N, features]``."""
        size = x.shape[-1]
        start = nn.initializers.lecun_normal()
        kernel = self.param("kernel", start, (2 * size, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        # The first layer is linear in x_i and x_j: once per point, not per edge.
        centre = _matmul(x, kernel[:size] - kernel[size:]) + bias
        other = _rows(_matmul(x, kernel[size:]), neighbours)
        y = nn.relu(centre[..., None, :] + other)
        shape = y.shape
        y = y.reshape(-1, self.features)  # one flat matmul each
        for name in ("dense_1", "dense_2"):
            y = nn.relu(_dense_layer(self.features, name)(y))
        return jnp.mean(y.reshape(shape), axis=-2)


class ParticleNet(nn.Module):
    """Features of a set of points, of which the first two coordinates are angles."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """``[..., N, 3] -> [..., 256]``; all N points count, padding or not."""
        for i, features in enumerate(BLOCKS):
            neighbours = nearest(x[..., :2] if i == 0 else x)
            new = EdgeConv(features, name=f"block_{i}")(x, neighbours)
            x = jnp.concatenate([new, x], axis=-1)
        return _dense_layer(FEATURES, "features")(jnp.mean(x, axis=-2))


def apply(params: Params, x: Array) -> Array:
    """:class:`ParticleNet` with these parameters."""
    features = ParticleNet().apply({"params": params}, *floats(jnp, x))
    return jnp.asarray(features)


def params_from_torch(state: Mapping[str, np.ndarray]) -> Params:
    """Parameters from the state dict of jetnet's ``_ParticleNet``.

    Args:
        state: arrays by PyTorch name, as in jetnet's ``pnet_state_dict.pt``.

    Returns:
        The float32 parameters of :class:`ParticleNet`.

    Raises:
        ValueError: an array is missing, of another shape, or not finite.
    """
    params = {}
    size = 3
    for i, features in enumerate(BLOCKS):
        prefix = f"edge_nets.{i}.model."
        layers = [
            _folded(state, prefix, place, inputs, features)
            for place, inputs in ((0, 2 * size), (3, features), (6, features))
        ]
        first, second, third = layers
        params[f"block_{i}"] = {**first, "dense_1": second, "dense_2": third}
        size += features
    params["features"] = _dense(state, "fc1.0.", size, FEATURES)
    return jax.tree.map(lambda x: np.asarray(x, np.float32), params)


def _folded(state, prefix, place, inputs, outputs):
    """The dense layer at ``place`` with the batch norm that follows it."""
    dense = _dense(state, f"{prefix}{place}.", inputs, outputs)
    scale, shift, mean, variance = (
        _array(state, f"{prefix}{place + 1}.{name}", (outputs,))
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    gain = scale / np.sqrt(variance + BATCH_NORM_EPSILON)
    bias = (dense["bias"] - mean) * gain + shift
    return {"kernel": dense["kernel"] * gain, "bias": bias}


def _dense(state, prefix, inputs, outputs):
    kernel = _array(state, f"{prefix}weight", (outputs, inputs)).T
    return {"kernel": kernel, "bias": _array(state, f"{prefix}bias", (outputs,))}


def _array(state, name, shape):
    if name not in state or state[name].shape != shape:
        found = state[name].shape if name in state else "nothing"
        raise ValueError(f"{name}: expected an array {shape}, found {found}")
    if not np.isfinite(state[name]).all():
        raise ValueError(f"{name}: NaN or infinite numbers")
    return np.asarray(state[name], np.float64)
