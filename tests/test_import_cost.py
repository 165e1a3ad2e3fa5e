"""The losses can be imported into other code for little more than JAX."""

import subprocess
import sys

import pytest

HEAVY = (
    "distrax",
    "tensorflow_probability",
    "ott",
    "jaxopt",
    "h5py",
    "matplotlib",
    "mplhep",
    "flax",
    "optax",
    "orbax",
    "absl.flags",
    "scipy.stats",
    "torch",
)


def loaded(code):
    """Names in sys.modules of a fresh interpreter that has run ``code``."""
    script = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())


def test_losses_load_nothing_heavy_and_little_of_the_package():
    modules = loaded("import jetvae_jax.losses")
    with_jax = loaded("import jax")
    assert not [name for name in HEAVY if name in modules - with_jax]
    others = {m.split(".")[0] for m in modules - with_jax if not m.startswith("_")}
    assert "jetvae_jax" in others
    ours = {m for m in modules if m.startswith("jetvae_jax.")}
    for layer in ("data", "models", "flows", "metrics", "training", "runs", "report"):
        assert f"jetvae_jax.{layer}" not in ours


@pytest.mark.slow
def test_sinkhorn_is_imported_without_ott_and_loads_it_when_called():
    module = "jetvae_jax.losses.distances.sinkhorn"
    assert "ott" not in loaded(f"import {module}")
    # jaxopt, which ott imports, warns on import; that is its own affair here.
    call = f"import numpy as np, {module} as s\n"
    call += "s.sinkhorn_divergence(np.eye(3), np.ones((2, 3)))"
    assert "ott" in loaded(call)
