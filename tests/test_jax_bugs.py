"""Faults of JAX itself that would make results wrong without an error."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytestmark = pytest.mark.optimised  # as users compile it

SIZES = [*range(32_769, 43_127, 270), 32_769 + 64, 40_000, 43_126]


def test_sum_of_squares_of_a_product_on_the_cpu():
    # jax issue 39103: wrong by about 100 % for some sizes, with some versions on
    # some machines. Sums over particles and jets have this form.
    rng = np.random.default_rng(0)
    r = rng.normal(size=(3, 3)).astype(np.float32)
    step = jax.jit(lambda m, r: jnp.sum(jnp.square(m @ r)))
    wrong = []
    for size in SIZES:
        m = rng.normal(size=(size, 3)).astype(np.float32)
        exact = np.sum((m.astype(np.float64) @ r) ** 2)
        if not abs(step(m, r) / exact - 1) < 1e-2:
            wrong.append(size)
    assert not wrong, (
        f"jax {jax.__version__} computes jitted sums wrongly on this machine, at sizes "
        f"{wrong} (jax issue 39103): install another version of jax and jaxlib"
    )
