"""Faults of the interface before it was one: each stays mended."""

import ast
import dataclasses
import json
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest
from conftest import jet_arrays, write

from jetvae_jax import models, runs, training
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Batch, Context, Jets
from jetvae_jax.discriminators import deepsets
from jetvae_jax.events import domain as events
from jetvae_jax.images import domain as images
from jetvae_jax.images import files
from jetvae_jax.jets import domain as jets
from jetvae_jax.jets.evaluation import trained_on
from jetvae_jax.losses.distances import chamfer, mse
from jetvae_jax.models import adversarial
from jetvae_jax.runs import dataset

ROOT = pathlib.Path(__file__).parent.parent
QUICK = training.Config(num_epochs=1, batch_size=20)


def jets_run(**components):
    return runs.ModelRun(
        data=jets.Data(max_jets=300),
        scaling=jets.Scaling(),
        model="conv_vae",
        model_config=models.get("conv_vae").Config(),
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=jets.Objective(),
        training=QUICK,
        components=runs.Components(**components),
    )


def test_only_a_loss_that_holds_mass_and_pt_is_marked_as_trained_on_them():
    assert trained_on(jets_run()) == {"mass", "pt"}
    critic = {"discriminator": "deepsets", "discriminator_config": deepsets.Config()}
    for weight, expected in ((0.0, set()), (1.0, {"mass", "pt"})):
        settings = adversarial.Config(reconstruction=weight)
        assert trained_on(jets_run(**critic, adversarial=settings)) == expected
    # The loss of a decoder that is a density does not hold the objective's terms.
    assert trained_on(jets_run(), deterministic=False) == set()


def test_the_weight_of_the_distance_of_events_counts_beside_a_discriminator():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 1, 3)).astype(np.float32)
    batch = Batch(x, np.ones((4, 1), bool), Context(np.zeros((4, 3), np.float32)))
    run = runs.ModelRun(
        domain="events",
        data=events.Data(max_events=100),
        scaling=events.Scaling(),
        model="mlp_vae",
        model_config=models.get("mlp_vae").Config(),
        loss="mse",
        loss_config=mse.Config(),
        objective=events.Objective(alpha=3.0),
        training=QUICK,
    )
    objective = events.objective(run, None, None)
    distance, terms = objective.distance(batch, np.zeros_like(x))
    expected = np.square(np.float64(x)).sum((1, 2))
    np.testing.assert_allclose(terms["reconstruction"], expected, rtol=1e-5)
    # What a discriminator's model adds to its losses is this distance.
    np.testing.assert_allclose(distance, 3 * expected, rtol=1e-5)
    total = objective.total(distance, {"kl": np.zeros(4)})
    np.testing.assert_allclose(total, 3 * expected, rtol=1e-5)


@pytest.mark.slow
def test_digits_on_demand(tmp_path):
    run = runs.ModelRun(
        domain="pixels",
        data=images.Data(num_pixels=12, max_images=150),
        scaling=images.Scaling("standard", condition_on_digit=True),
        model="mlp_vae",
        model_config=models.get("mlp_vae").Config(num_layers=1, nodes=8, latent_dim=3),
        loss="pixel_third_axis",
        loss_config=runs_loss("pixel_third_axis"),
        objective=images.Objective(),
        training=QUICK,
    )
    runs.train(tmp_path, run)

    def generated(*condition):
        config = runs.GenerateConfig(
            latents="prior", num_jets=30, condition=condition, output=""
        )
        return files.read(runs.generate(tmp_path, config), columns="xy", blank=True)

    assert len(np.unique(generated().labels)) > 3
    assert set(generated("digit=3").labels) == {3}
    for condition, message in (
        ("digit=12", "the training part has only the digits 0, 1"),
        ("digit=2.5", "digit=2.5: the training part has only"),
        ("pt=3", "'pt' is not a condition of this model; it has digit"),
        ("3", "write name=value"),
    ):
        with pytest.raises(InputError, match=message):
            generated(condition)
    config = runs.GenerateConfig(latents="reconstruction", condition=("digit=3",))
    with pytest.raises(InputError, match="a reconstruction has the conditions of"):
        runs.generate(tmp_path, config)


def runs_loss(name):
    from jetvae_jax.losses import distances

    return distances.get(name).Config()


def test_jets_hold_what_somebody_reads():
    # Scaling reads the axis and, where the type is a condition, the labels.
    assert Jets._fields == ("particles", "mask", "axis", "labels")


def test_every_library_that_is_imported_is_installed():
    """Each third-party import stands in setup.py, or in the extra that it needs."""
    text = (ROOT / "setup.py").read_text()
    wanted = set(re.findall(r'"([\w.-]+?)(?:\[\w+\])?[><=]', text))
    names = {
        "absl": "absl-py", "ot": "POT", "ott": "ott-jax", "fastjet": "fastjet",
        "distributed": "dask",
    }  # fmt: skip
    inside = {"jetvae_jax", "__future__"}
    missing = set()
    for path in (ROOT / "jetvae_jax").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module]
            for name in (name.partition(".")[0] for name in found):
                if name in inside or name in sys.stdlib_module_names:
                    continue
                if names.get(name, name) not in wanted:
                    missing.add(name)
    assert missing == set()


@pytest.mark.parametrize("file", ["README.md", "Makefile"])
def test_the_duration_of_the_tests_is_left_to_the_notes(file):
    """A duration that is stated twice is soon stated in two ways."""
    text = (ROOT / file).read_text()
    assert re.findall(r".*tests?\b.*\d+ minutes.*|.*minutes.*\btests?\b.*", text) == []


def test_a_state_of_an_earlier_version_is_continued(tmp_path):
    """Fields that a later version added have their defaults in both."""
    run = jets_run()
    small = models.get("conv_vae").Config(filters=(4,), hidden=(8,), latent_dim=3)
    quick = training.Config(num_epochs=1, batch_size=50)
    run = dataclasses.replace(run, model_config=small, training=quick)
    runs.train(tmp_path, run)
    state = tmp_path / "vae.state.npz"
    with np.load(state) as file:
        arrays = dict(file)
    meta = json.loads(arrays["meta.json"].tobytes().decode())
    del meta["settings"]["scaling"]["conditions"]
    del meta["settings"]["parts"]
    arrays["meta.json"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(state, **arrays)
    before = (tmp_path / "vae.npz").read_bytes()
    runs.train(tmp_path, run)
    assert (tmp_path / "vae.npz").read_bytes() == before
    other = dataclasses.replace(run, seed=1)
    with pytest.raises(InputError, match=r"other settings \(seed: 0 there, 1 here\)"):
        runs.train(tmp_path, other)
    # Other jets are named by what was asked for, not by their fingerprint.
    fewer = dataclasses.replace(run, data=dataclasses.replace(run.data, max_jets=200))
    with pytest.raises(InputError, match=r"\(data.max_jets: \w+ there, 200 here\)"):
        runs.train(tmp_path, fewer)


def test_a_file_that_changes_is_read_again(make_jetnet, tmp_path, monkeypatch):
    """In a notebook; unchanged it is read once, also with the same name elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    places = (tmp_path / "g.hdf5", "g.hdf5", "folder", "folder/g.hdf5, g.hdf5")
    for seed, place in enumerate(places):
        config = jets.Data(
            path=str(place), num_particles=6, fractions=(0.5, 0.25, 0.25)
        )
        found = []
        for change in range(2):
            path = make_jetnet(num_jets=20, seed=10 * seed + change)
            shutil.copy(path, tmp_path / "folder" / "g.hdf5")
            found.append(dataset.load("jets", config))
            assert dataset.load("jets", config) is found[-1]
        first, second = (one.source["fingerprint"] for one in found)
        assert first != second, place
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "g.hdf5", jet_arrays(20, 6, 99))
    config = jets.Data(path="g.hdf5", num_particles=6, fractions=(0.5, 0.25, 0.25))
    here = dataset.load("jets", config).source["fingerprint"]
    monkeypatch.chdir(tmp_path / "other")
    assert dataset.load("jets", config).source["fingerprint"] != here
