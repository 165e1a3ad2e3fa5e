"""The weights in results/ keep working with every later version."""

import pathlib

import jax
import numpy as np
import pytest

from jetvae_jax import data, runs
from jetvae_jax.metrics import jet_observables
from jetvae_jax.runs.generation import samples_of

RESULTS = pathlib.Path(__file__).parent.parent / "results"


@pytest.mark.parametrize(
    ("name", "flow"),
    [
        ("convae_gluon30", "realnvp"),
        pytest.param("autoregressive_gluon30", "spline", marks=pytest.mark.slow),
    ],
)
def test_published_weights_generate_gluon_jets(name, flow):
    trained = runs.load_model(RESULTS / name)
    assert trained.density("flow").run.flow == flow
    config = runs.GenerateConfig(latents="flow", num_jets=500)
    num_jets, chunks = samples_of(trained, config)
    jets = next(iter(chunks))
    assert num_jets == 500
    found, real = (
        jax.tree.map(np.asarray, jet_observables(j))
        for j in (jets, data.load("embedded").jets)
    )
    for name in ("pt", "mass"):  # five deviations of the mean of 500
        limit = 5 * real[name].std() / np.sqrt(500)
        assert abs(found[name].mean() - real[name].mean()) < limit, name
