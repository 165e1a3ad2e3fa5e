"""The axis of the whole jet, where a file has it: read, scaled, turned, written."""

import dataclasses

import jax
import numpy as np
import pytest

from jetvae_jax import models, runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.data import JetNetWriter, load
from jetvae_jax.images import domain as images
from jetvae_jax.jets import augmentation, domain, scaling
from jetvae_jax.losses.distances import chamfer
from jetvae_jax.models import autoregressive_vae
from jetvae_jax.training import Config

CONFIG = scaling.Config(
    coordinates="relative", method="none", axis="jet", conditions=("pt", "eta")
)


@pytest.fixture(scope="module")
def jets():
    """The four leading particles of jets whose axes are those of all thirty."""
    return load("embedded", num_particles=4, max_jets=200).jets


def relative(jets):
    """(ptrel, etarel, phirel) in float64."""
    px, py, pz = np.moveaxis(np.asarray(jets.particles, np.float64), -1, 0)
    pt = np.hypot(px, py)
    eta = np.arcsinh(np.divide(pz, pt, out=np.zeros_like(pt), where=pt > 0))
    axis = np.asarray(jets.axis, np.float64)[:, None]
    phi = np.remainder(np.arctan2(py, px) - axis[..., 2] + np.pi, 2 * np.pi) - np.pi
    found = np.stack([pt / axis[..., 0], eta - axis[..., 1], phi], -1)
    return np.where(jets.mask[..., None], found, 0)


def test_the_axis_does_not_depend_on_how_many_particles_are_kept(jets):
    whole = load("embedded", num_particles=30, max_jets=200).jets
    np.testing.assert_array_equal(jets.axis, whole.axis)
    total = np.hypot(*jets.particles.sum(1)[:, :2].T)
    assert np.all(total < 1.02 * jets.axis[:, 0]) and np.any(
        total < 0.8 * jets.axis[:, 0]
    )


def test_features_refer_to_it_and_come_back(jets):
    scaler = domain.fit(CONFIG, jets)
    batch = jax.jit(lambda jets: scaling.scale(CONFIG, scaler, jets))(jets)
    np.testing.assert_allclose(batch.x, relative(jets), atol=2e-6)
    np.testing.assert_array_equal(batch.context.axis, jets.axis)
    units = scaler.condition_units
    given = np.asarray(batch.context.condition) * units[1] + units[0]
    np.testing.assert_allclose(given, jets.axis[:, :2], rtol=1e-4, atol=1e-4)
    back = scaling.unscale(CONFIG, scaler, batch.x, batch.context.axis, batch.mask)
    np.testing.assert_array_equal(back.axis, jets.axis)
    np.testing.assert_allclose(back.particles, jets.particles, rtol=1e-4, atol=1e-2)


def test_symmetries_move_it_with_the_particles(jets):
    before = relative(jets)
    turned = augmentation.turn_about_beam(jax.random.key(0), jets)
    np.testing.assert_allclose(relative(turned), before, atol=1e-5)
    mirrored = augmentation.mirror(jax.random.key(0), jets)
    after = relative(mirrored)
    # Mirrored in the plane of the beam and of the particles kept, or left alone.
    same = np.abs(after - before).max((1, 2)) < 1e-5
    np.testing.assert_allclose(after[..., :2], before[..., :2], atol=1e-5)
    np.testing.assert_allclose(after[~same, :, 2], -before[~same, :, 2], atol=1e-5)
    assert 0.3 < same.mean() < 0.7
    about = augmentation.turn_about_axis(jax.random.key(0), jets)
    moved = relative(about)
    np.testing.assert_allclose(
        moved[..., 0].sum(-1), before[..., 0].sum(-1), rtol=5e-2
    )  # ptrel stays but for terms of the opening angle


def test_a_written_file_keeps_it(jets, tmp_path):
    path = str(tmp_path / "jets.hdf5")
    with JetNetWriter(path, num_particles=4) as writer:
        writer.append(jets)
    read = load(path, num_particles=4).jets
    np.testing.assert_allclose(read.axis, jets.axis, rtol=1e-6)
    np.testing.assert_allclose(read.particles, jets.particles, rtol=1e-4, atol=2e-3)
    with JetNetWriter(path, num_particles=4) as writer:
        writer.append(jets._replace(axis=None))
    assert load(path, num_particles=4).jets.axis is None


def test_data_without_it_and_other_coordinates_give_one_line(jets):
    with pytest.raises(InputError, match=r"do not contain the axis of the whole jet"):
        domain.fit(CONFIG, Jets(jets.particles, jets.mask))
    with pytest.raises(InputError, match=r"^axis: frame coordinates do not refer"):
        scaling.Config(coordinates="frame", axis="jet")


def test_a_model_says_which_scaling_it_needs():
    run = runs.ModelRun(
        data=domain.Data(max_jets=100),
        scaling=CONFIG,
        model="autoregressive_vae",
        model_config=autoregressive_vae.Config(),
        loss="chamfer",
        loss_config=chamfer.Config(),
        objective=domain.Objective(form="classic", beta=1.0),
        training=Config(),
    )
    assert run.model_config.num_conditions == 2
    with pytest.raises(
        InputError, match=r"^--scaling\.method: --model=autoregressive_vae needs "
        r"--scaling\.method=none, got 'minmax'"
    ):  # fmt: skip
        dataclasses.replace(run, scaling=scaling.Config(coordinates="relative"))
    with pytest.raises(
        InputError, match=r"^--domain=pixels: .* which this domain does not have"
    ):  # fmt: skip
        dataclasses.replace(
            run, domain="pixels", data=images.Data(), scaling=images.Scaling()
        )
    with pytest.raises(
        InputError, match=r"^--objective\.observables=tau21: .* compares neither"
    ):  # fmt: skip
        dataclasses.replace(
            run, objective=dataclasses.replace(run.objective, observables=("tau21",))
        )
    assert set(models.get("autoregressive_vae").REQUIRES) == {
        "scaling.coordinates", "scaling.method",
    }  # fmt: skip
