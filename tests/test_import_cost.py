"""The losses can be imported into other code for little more than JAX."""

import subprocess
import sys

SCRIPT = """
import sys
import jax
with_jax = set(sys.modules)

def loaded(*names):
    return {name for name in names if name in set(sys.modules) - with_jax}

# The losses: nothing heavy, and of this package only what they stand on.
import jetvae_jax.losses
heavy = (
    "distrax", "tensorflow_probability", "ott", "jaxopt", "h5py", "matplotlib",
    "mplhep", "flax", "optax", "orbax", "absl", "scipy.stats", "torch",
)
assert not loaded(*heavy), loaded(*heavy)
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("jetvae_jax.")}
assert rooms == {"core", "losses"}, rooms

# The Sinkhorn loss, with OTT only when it is called.
import jetvae_jax.losses.distances.sinkhorn
assert not loaded("ott")

# Plug-ins, one by one when they are asked for.
from jetvae_jax import densities, discriminators, models
for package in (models, densities, discriminators):
    assert package.names()
    found = {name for name in sys.modules if name.startswith(package.__name__ + ".")}
    assert not found, found
for name in models.names():
    models.get(name)
for name in densities.names():
    densities.get(name)
assert not loaded("distrax", "tensorflow_probability", "ott", "h5py")
densities.bijectors.Bijector
assert loaded("distrax") == {"distrax"}
"""


def test_an_import_loads_what_it_needs_and_no_more():
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
