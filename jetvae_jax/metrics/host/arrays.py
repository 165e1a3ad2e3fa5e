"""Where a metric computes: on the host or on the accelerator."""

from types import ModuleType

import jax
import jax.core
import jax.numpy as jnp
import numpy as np


def namespace(*arrays: object) -> ModuleType:
    """NumPy for values in the host's memory, ``jax.numpy`` for all others.

    XLA sorts many times slower on a CPU than NumPy does, so arrays on the CPU go to
    NumPy; traced arrays and arrays on an accelerator stay in JAX.
    """
    return jnp if any(map(_stays_in_jax, arrays)) else np


def _stays_in_jax(array: object) -> bool:
    if isinstance(array, jax.core.Tracer):
        return True
    return isinstance(array, jax.Array) and any(
        device.platform != "cpu" for device in array.devices()
    )
