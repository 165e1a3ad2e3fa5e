"""The weights in results/ keep working with every later version."""

import pathlib

import jax
import numpy as np

from jetvae_jax import runs
from jetvae_jax.metrics import jet_observables
from jetvae_jax.runs.generate import jets_of

WORKDIR = pathlib.Path(__file__).parent.parent / "results" / "convae_gluon30"


def test_published_weights_generate_gluon_jets():
    trained = runs.load_vae(WORKDIR)
    assert runs.load_flow(WORKDIR, trained).run.flow == "realnvp"
    config = runs.GenerateConfig(latents="flow", num_jets=500)
    num_jets, chunks = jets_of(trained, WORKDIR, config)
    jets = next(iter(chunks))
    assert num_jets == 500
    found = jax.tree.map(np.asarray, jet_observables(jets))
    # The real jets have 1.13 TeV and 96 GeV; five deviations of the mean of 500.
    assert abs(found["pt"].mean() - 1133) < 5 * 197 / np.sqrt(500)
    assert abs(found["mass"].mean() - 97) < 5 * 48 / np.sqrt(500)
