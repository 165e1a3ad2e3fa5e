"""What the generator and the critic of a GAN minimise, and the energy distance.

With the critic's outputs ``true = D(x)`` and ``made = D(g)``, of data and of generated
samples, each function returns the losses ``[J]`` of both networks:

==============  ==================================  ============================
objective       critic                              generator
==============  ==================================  ============================
classic         -log s(true) - log(1 - s(made))     -log s(made)
minimax         the same                            log(1 - s(made))
least_squares   (true - 1)^2 / 2 + made^2 / 2       (made - 1)^2 / 2
wasserstein     made - true                         -made
cramer          -E                                  E
==============  ==================================  ============================

with the sigmoid s: arXiv:1406.2661, 1611.04076, 1701.07875 and 1705.10743. E is the
energy distance ``2 E|X-Y| - E|X-X'| - E|Y-Y'|`` of independent samples. In one
dimension it is ``2 int (F - G)^2`` of the distribution functions. Its gradient from
finite samples has no bias; that of a Wasserstein distance has one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.numerics import safe_norm
from jetvae_jax.core.types import Array


class Losses(NamedTuple):
    """Losses ``[J]`` of the two networks of a GAN."""

    critic: Array
    generator: Array


def bce(logits: Array, *, true: bool) -> Array:
    """Cross entropy of ``sigmoid(logits)`` with 1 or 0, never NaN nor infinite.

    ``-log D`` is ``softplus(-logit)``: no probability is formed that could round to
    0 or 1. Same shape, in nats.
    """
    (logits,) = floats(jnp, logits)
    return jax.nn.softplus(-logits if true else logits)


def classic(true: Array, made: Array) -> Losses:
    """The GAN whose generator maximises ``log D(g)``, from logits ``[...]``."""
    critic = bce(true, true=True) + bce(made, true=False)
    return Losses(critic, bce(made, true=True))


def minimax(true: Array, made: Array) -> Losses:
    """The GAN whose generator minimises ``log(1 - D(g))``, from logits ``[...]``."""
    return Losses(classic(true, made).critic, -bce(made, true=False))


def least_squares(true: Array, made: Array) -> Losses:
    """LSGAN, of MPGAN and EPiC-GAN, from outputs ``[...]``: 1 is true."""
    true, made = floats(jnp, true, made)
    critic = 0.5 * (jnp.square(true - 1) + jnp.square(made))
    return Losses(critic, 0.5 * jnp.square(made - 1))


def wasserstein(true: Array, made: Array) -> Losses:
    """WGAN, from outputs ``[...]`` of a critic of bounded slope."""
    true, made = floats(jnp, true, made)
    return Losses(made - true, -made)


def cramer(true: Array, made: Array) -> Losses:
    """CramerGAN: the energy distance of the critic's vectors h.

    ``2|h(x) - h(g')| - |h(x) - h(x')| - |h(g) - h(g')|``, where the next row of the
    batch is the independent sample that is primed.

    Args:
        true: ``[J, D]``, h of data, J at least 2.
        made: ``[J, D]``, h of generated samples.
    """
    true, made = floats(jnp, true, made)
    others = jnp.roll(true, -1, axis=0), jnp.roll(made, -1, axis=0)
    energy = 2 * safe_norm(true - others[1])
    energy = energy - safe_norm(true - others[0]) - safe_norm(made - others[1])
    return Losses(-energy, energy)


def cramer_critic(h: Array, true: Array, made: Array) -> Array:
    """``f(x) = |h(x) - h(g')| - |h(x) - h(x')|``, whose slope CramerGAN bounds.

    ``E f(x) - E f(g)`` is the energy distance.

    Args:
        h: ``[..., D]`` at x.
        true: ``[..., D]``, h of independent data x'.
        made: ``[..., D]``, h of independent generated samples g'.

    Returns:
        ``[...]``.
    """
    h, true, made = floats(jnp, h, true, made)
    return safe_norm(h - made) - safe_norm(h - true)


def energy_terms(x: Array, y: Array) -> Array:
    """Contribution of each row to the energy distance of two samples of one size.

    The mean is the estimate without bias: no point is compared with itself.

    Args:
        x: ``[..., J, D]``, J at least 2.
        y: ``[..., J, D]``.

    Returns:
        ``[..., J]``.
    """
    x, y = floats(jnp, x, y)
    return 2 * _mean_distance(x, y) - _mean_distance(x) - _mean_distance(y)


def energy_distance(x: Array, y: Array, *, unbiased: bool = True) -> Array:
    """The energy distance of two samples; zero if and only if distributions agree.

    ``2 E|X-Y| - E|X-X'| - E|Y-Y'|`` (arXiv:1705.10743).

    Args:
        x: ``[..., J, D]``.
        y: ``[..., K, D]``.
        unbiased: the estimate for the distributions that the samples are of, which can
            be negative; else the distance of the samples themselves.

    Returns:
        ``[...]``, in the units of the columns.
    """
    x, y = floats(jnp, x, y)

    def own(z: Array) -> Array:
        found = _mean_distance(z) if unbiased else _mean_distance(z, z)
        return jnp.mean(found, axis=-1)

    return 2 * jnp.mean(_mean_distance(x, y), axis=-1) - own(x) - own(y)


def _mean_distance(x: Array, y: Array | None = None) -> Array:
    """Of each row of ``x [..., J, D]`` to those of y; None: to the others of x."""
    z = x if y is None else y
    distance = safe_norm(x[..., :, None, :] - z[..., None, :, :])
    number = z.shape[-2] - (y is None)
    return jnp.sum(distance, axis=-1) / number
