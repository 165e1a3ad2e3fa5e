"""How far numbers are from a uniform distribution, column by column.

The Cramér distance of a sample of J numbers from U(0, 1) is (von Mises)::

    int (F(u) - u)^2 du = 1/J sum_i (u_i - (2 r_i - 1) / 2J)^2 + 1 / 12 J^2

with the rank ``r_i`` of ``u_i``. It is half the energy distance
``2E|U-V| - E|U-U'| - E|V-V'|`` of arXiv:1705.10743, without a second sample. A truly
uniform sample of J has ``1 / 6J`` on average, which is the floor of a batch.
"""

import jax
import jax.numpy as jnp

from jetvae_jax.types import Array


def cramer(u: Array) -> Array:
    """Each sample's share of the Cramér distance to U(0, 1), summed over columns.

    The mean over J is the distance. The ranks carry no gradient: the rest is its
    exact gradient wherever no two numbers are equal.

    Args:
        u: ``[J, L]`` in [0, 1].

    Returns:
        ``[J]``.
    """
    count = u.shape[0]
    ranks = jnp.argsort(jnp.argsort(u, axis=0), axis=0)
    target = (ranks.astype(u.dtype) + 0.5) / count
    return jnp.sum(jnp.square(u - target) + 1 / (12 * count**2), axis=-1)


def normal_marginals(z: Array) -> Array:
    """:func:`cramer` of ``Phi(z)``: zero when each column of z is standard normal.

    What the columns have to do with each other is left free: that is a copula's
    affair.

    Args:
        z: ``[J, L]``.

    Returns:
        ``[J]``.
    """
    return cramer(jax.scipy.special.ndtr(z))
