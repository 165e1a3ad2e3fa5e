"""Random keys from the seeds that users give."""

import jax

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Key


def key(seed: int, name: str = "seed") -> Key:
    """The random key of a seed; every bit of the seed counts.

    ``jax.random.key`` drops all but the last 32 bits: 2**32 would be the seed 0.

    Args:
        seed: from 0 to ``configs.MAX_SEED``.
        name: of the seed, for the message.

    Raises:
        InputError: it is not.
    """
    if mistake := configs.seed(seed):
        raise InputError(f"{name}: {mistake}, got {seed!r}")
    return jax.random.key(seed)
