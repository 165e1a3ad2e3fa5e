"""The CaloChallenge's high-level features against loops over voxels."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.types import Showers
from jetvae_jax.showers import geometry, high_level

EDGES = {
    "calochallenge_1_photons": {
        0: ([0, 5, 10, 30, 50, 100, 200, 400, 600], 1),
        3: ([0, 50, 100, 200, 400, 600], 1),
    },
    "calochallenge_2": {k: ([4.65 * i for i in range(10)], 16) for k in (0, 44)},
}


def sample(calorimeter, number=5):
    rng = np.random.default_rng(0)
    energies = rng.exponential(0.01, (number, calorimeter.num_cells))
    energies *= rng.uniform(size=energies.shape) < 0.4
    energies[1, : calorimeter.starts[1]] = 0  # a layer without energy
    return Showers(energies, rng.uniform(1, 100, number))


@pytest.mark.parametrize("name", EDGES)
def test_features_of_layers_are_those_of_loops(name):
    """From the edges of the voxels, one after the other in radius, then in angle."""
    calorimeter = geometry.get(name)
    showers = sample(calorimeter)
    found = high_level.features(calorimeter, showers)
    for layer, (edges, angles) in EDGES[name].items():
        begin, end = calorimeter.starts[layer : layer + 2]
        assert end - begin == angles * (len(edges) - 1)
        for i, energies in enumerate(showers.energies[:, begin:end]):
            sums, empty, cell = np.zeros(7), 0, 0
            for angle in range(angles):
                alpha = -math.pi + (angle + 0.5) * 2 * math.pi / angles
                for low, high in itertools.pairwise(edges):
                    e, r = energies[cell], (low + high) / 2
                    eta, phi = r * math.cos(alpha), r * math.sin(alpha)
                    sums += e * np.array([1, r, r * r, eta, eta**2, phi, phi**2])
                    empty, cell = empty + (e <= 0), cell + 1
            total, *moments = sums
            moments = np.array(moments) / (total or 1)
            expected = {"energy": total, "sparsity": empty / cell}
            for key, (mean, square) in zip(
                ("radius", "eta", "phi"), moments.reshape(3, 2), strict=True
            ):
                expected[key] = mean
                expected[f"{key}_width"] = math.sqrt(max(square - mean**2, 0))
            divided = calorimeter.divided
            for key, value in expected.items():
                place = layer
                if key[:3] in ("eta", "phi"):
                    if layer not in divided:
                        continue
                    place = divided.index(layer)
                np.testing.assert_allclose(
                    found[key][i, place], value, 1e-4, 1e-4, err_msg=key
                )


def test_the_vector_has_the_order_and_the_units_of_the_challenge():
    calorimeter = geometry.get("calochallenge_1_photons")
    showers = sample(calorimeter)
    found = high_level.features(calorimeter, showers)
    vector = high_level.inputs(calorimeter, showers)
    assert calorimeter.divided == (1, 2)
    assert vector.shape == (5, 2 + 4 * 5 + 4 * 2)
    expected = [
        np.log10(showers.energy * 1e3)[:, None],
        np.log10(np.asarray(found["energy"], float) * 1e3 + 1e-8),
        *(np.asarray(found[k]) / 100 for k in ("eta", "phi", "eta_width", "phi_width")),
        np.log10(showers.energies.sum(axis=1) * 1e3)[:, None],
        found["sparsity"],
        *(np.asarray(found[k]) / 100 for k in ("radius", "radius_width")),
    ]
    np.testing.assert_allclose(vector, np.concatenate(expected, axis=1), 1e-5, 1e-5)
    assert abs(vector[1, 1] + 8) < 1e-5  # the layer without energy


def test_voxels_of_the_low_level_classifier():
    calorimeter = geometry.get("calochallenge_2")
    showers = sample(calorimeter)
    found = high_level.low_level(showers)
    assert found.shape == (5, 6481)
    np.testing.assert_allclose(found[:, 0], np.log10(showers.energy) + 3, 1e-6)
    shares = showers.energies / showers.energy[:, None]
    np.testing.assert_allclose(found[:, 1:], shares, 1e-6)


def test_threshold():
    calorimeter = geometry.get("calochallenge_3")
    assert math.isclose(calorimeter.threshold, 15.15e-6, rel_tol=1e-3)
    cells = np.zeros(calorimeter.num_cells)
    cells[:3] = 15.0e-6, 15.2e-6, 1.0
    kept = high_level.above_threshold(calorimeter, Showers(cells, 1.0)).energies
    np.testing.assert_allclose(kept[:3], [0, 15.2e-6, 1.0], rtol=1e-6)


RINGS = geometry.rings("rings", [(0, 1, 4), (0, 2, 7)], [1, 6], threshold=0.0)


@pytest.mark.parametrize(
    "calorimeter",
    [pytest.param(RINGS, marks=pytest.mark.slow), geometry.get("2x3x4x5")],
)
@pytest.mark.slow
def test_all_forms_agree_and_gradients_are_finite(calorimeter):
    showers = Showers(
        *(a if a is None else a.astype("f4") for a in sample(calorimeter))
    )

    def vector(showers):
        return high_level.inputs(calorimeter, showers)

    plain = vector(showers)
    for other in (jax.jit(vector)(showers), jax.vmap(vector)(showers)):
        np.testing.assert_allclose(other, plain, 1e-5, 1e-5)
    slope = jax.grad(lambda e: jnp.sum(vector(showers._replace(energies=e))))
    assert np.isfinite(slope(jnp.asarray(showers.energies))).all()
