"""VAE, +NF, +D, copula on jets in one pipeline; from disk; with symmetries."""

import dataclasses

import h5py
import jax
import numpy as np
import pytest

from jetvae_jax import runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.densities import copula, realnvp
from jetvae_jax.discriminators import deepsets
from jetvae_jax.jets import domain
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.models import conv_vae, mlp_vae

FIGURES = "none"

FLOW = realnvp.Config(num_couplings=2, hidden=(8,))
CRITIC = deepsets.Config(width=8, layers=1, hidden=(8,))
NETWORK = mlp_vae.Config(latent_dim=4, num_layers=1, nodes=16)
PARTS = {
    "nf": runs.Components(prior="realnvp", prior_config=FLOW),
    "d": runs.Components(discriminator="deepsets", discriminator_config=CRITIC),
    "copula": runs.Components(latent="uniform", prior="gaussian_copula", uniform=1.0),
}


def small(parts=None, **changes):
    run = runs.ModelRun(
        data=domain.Data(max_jets=300),
        scaling=domain.Scaling(coordinates="relative", method="standard"),
        model="mlp_vae",
        model_config=NETWORK,
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(space="scaled", gamma=0.0, beta=0.1, form="classic"),
        training=training.Config(num_epochs=2, batch_size=50, learning_rate=1e-3),
        components=parts or runs.Components(),
    )
    return dataclasses.replace(run, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["d", "nf", "copula"])
def test_every_composition_trains_and_generates(tmp_path, name):
    run = small(PARTS[name])
    assert runs.ModelRun.from_json(run.to_json()) == run
    result = runs.train(tmp_path, run)
    terms = {key.removeprefix("valid/") for key in result.history[-1]}
    assert {"loss", "kl", "reconstruction"} <= terms
    assert ("disc_loss" in terms) == (name == "d")
    trained = runs.load_model(tmp_path)
    # Whatever else there is, every part has moved from its start.
    start = trained.model.init(jax.random.key(run.seed))
    for part, tree in start.items():
        moved = jax.tree.map(lambda a, b: np.any(a != b), tree, trained.params[part])
        assert any(jax.tree.leaves(moved)), part
    latents = "prior"
    if name == "copula":
        latents = "copula"
        config = copula.Config(num_knots=17)
        fit = runs.CopulaRun(config, "realnvp", FLOW, run.training)
        assert runs.fit_copula(tmp_path, fit) is None
    made = runs.generate(tmp_path, runs.GenerateConfig(latents=latents, num_jets=40))
    with h5py.File(made) as file:
        assert file["particle_features"].shape == (40, 30, 4)
        assert np.isfinite(file["particle_features"][:]).all()


@pytest.mark.slow
def test_a_stream_trains_as_jets_in_memory_do(tmp_path):
    data = domain.Data(max_jets=300, stream=True, cache=str(tmp_path / "cache"))
    memory, disk = small(), small(data=data)
    runs.train(tmp_path / "memory", memory)
    runs.train(tmp_path / "disk", disk)
    ours, theirs = (runs.load_model(tmp_path / name) for name in ("memory", "disk"))
    # The same jets in the same parts, hence the same scaler; only shuffles differ.
    assert ours.meta["source"]["fingerprint"] == theirs.meta["source"]["fingerprint"]
    jax.tree.map(np.testing.assert_array_equal, ours.scaler, theirs.scaler)
    config = runs.GenerateConfig(latents="reconstruction", num_jets=20)
    assert runs.generate(tmp_path / "disk", config).stat().st_size > 0
    flow = runs.FlowRun("realnvp", FLOW, "samples", disk.training)
    assert runs.fit_flow(tmp_path / "disk", flow).best_epoch


@pytest.mark.slow
def test_symmetries_and_figures_of_generated_jets(tmp_path):
    data = domain.Data(max_jets=300, augment=("axis", "mirror"))
    fit = dataclasses.replace(small().training, monitor="emd")
    result = runs.train(tmp_path, small(data=data, training=fit))
    figures = [row["valid/emd"] for row in result.history]
    assert all(np.isfinite(figures)) and result.best_epoch == 1 + np.argmin(figures)
    other = runs.train(tmp_path / "plain", small())
    assert other.history[0]["train/loss"] != result.history[0]["train/loss"]


def test_what_cannot_be(tmp_path):
    ordered = conv_vae.Config(filters=(4,), hidden=(8,), latent_dim=3, output="linear")
    data = domain.Data(max_jets=300, augment=("permute",))
    with pytest.raises(InputError, match="permute: conv_vae takes particles in the"):
        runs.train(tmp_path, small(data=data, model="conv_vae", model_config=ordered))
    with pytest.raises(
        InputError, match=r"^augment: must be one of permute, .*, got 'shake'"
    ):
        domain.Data(augment=("shake",))
    with pytest.raises(InputError, match="latent = 'cdf': needs tables"):
        runs.train(tmp_path, small(runs.Components(latent="cdf")))
    run = small()
    runs.train(tmp_path / "a", run)
    with pytest.raises(InputError, match=r"copula\.npz: no such"):
        runs.generate(tmp_path / "a", runs.GenerateConfig(latents="copula"))
