"""Observables of showers against loops in double precision, and in every form."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jetvae_jax.core.types import Showers
from jetvae_jax.showers import geometry, observables

GRID = geometry.grid(3, 4, 5, 20.0, threshold=0.1)
RINGS = geometry.rings(
    "rings", [(0, 1, 4), (0, 2, 3, 7)], [1, 6], threshold=0.1
)  # layers differ
CALORIMETERS = [GRID, RINGS]
THRESHOLDS = np.array([1e-3, 0.01, 0.1])


def sample(calorimeter, number=7, seed=0, dtype=np.float64):
    """Random showers, one of them empty, one perpendicular to the face."""
    rng = np.random.default_rng(seed)
    energies = rng.exponential(size=(number, calorimeter.num_cells))
    energies *= rng.uniform(size=energies.shape) < 0.5
    energies[2] = 0
    direction = rng.normal(size=(number, 3)) * [0.3, 0.3, 0] + [0, 0, 1]
    direction[3] = 0, 0, 1
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    given = energies, rng.uniform(1, 100, number), rng.uniform(-30, 30, (number, 2))
    energies, energy, point = (a.astype(dtype) for a in given)
    kind = np.full(number, 22, np.int32)
    return Showers(energies, energy, kind, point, direction.astype(dtype))


def loops(calorimeter, showers):
    """All observables of one number, cell by cell."""
    rows = []
    for i, energies in enumerate(np.asarray(showers.energies, float)):
        row = {}
        total = sum(energies)
        cells = list(zip(energies, calorimeter.x, calorimeter.y, strict=True))
        mean = [sum(c[0] * c[k] for c in cells) / total if total else 0 for k in (1, 2)]
        ux, uy, uz = np.asarray(showers.direction[i], float)
        start = [showers.point[i][k] + 250 * (ux, uy)[k] / uz for k in (0, 1)]
        flat = math.hypot(ux, uy)
        ux, uy = (ux / flat, uy / flat) if flat else (1.0, 0.0)
        sums = dict.fromkeys(("along", "across", "al", "ac"), 0.0)
        for e, x, y in cells:
            sums["along"] += e * ((x - mean[0]) * ux + (y - mean[1]) * uy) ** 2
            sums["across"] += e * ((y - mean[1]) * ux - (x - mean[0]) * uy) ** 2
            dx, dy = x - start[0], y - start[1]
            sums["al"] += e * math.copysign(1, dx * ux + dy * uy)
            sums["ac"] += e * math.copysign(1, dy * ux - dx * uy)
        row["energy"], row["x"], row["y"] = total, *mean
        row["response"] = total / showers.energy[i]
        row["cells"] = sum(e > calorimeter.threshold for e in energies)
        norm = total or 1
        for name, key in (("along", "al"), ("across", "ac")):
            row[f"width_{name}"] = math.sqrt(sums[name] / norm)
            row[f"asymmetry_{name}"] = sums[key] / norm
        deep = [
            sum(energies[calorimeter.layer == k])
            for k in range(max(calorimeter.layer) + 1)
        ]
        middle = sum((k + 0.5) * e for k, e in enumerate(deep)) / norm
        row["depth"] = middle
        square = sum(e * (k + 0.5 - middle) ** 2 for k, e in enumerate(deep))
        row["depth_width"] = math.sqrt(square / norm)
        rows.append(row)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@pytest.mark.parametrize("calorimeter", CALORIMETERS, ids=["grid", "rings"])
def test_scalars_are_those_of_loops(calorimeter):
    showers = sample(calorimeter)
    found = observables.scalars(calorimeter, showers)
    expected = loops(calorimeter, showers)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, 2e-5, 2e-5, err_msg=name)


@pytest.mark.parametrize("calorimeter", CALORIMETERS, ids=["grid", "rings"])
def test_layers_are_those_of_loops(calorimeter):
    showers = sample(calorimeter)
    total = observables.layer_energies(calorimeter, showers)
    centres = observables.layer_centres(calorimeter, showers)
    widths = observables.layer_widths(calorimeter, showers)
    for i, energies in enumerate(showers.energies):
        for k in range(calorimeter.num_layers):
            inside = calorimeter.layer == k
            weights = energies[inside]
            np.testing.assert_allclose(total[i, k], weights.sum(), 1e-6)
            for axis, places in enumerate((calorimeter.x, calorimeter.y)):
                place, norm = places[inside], weights.sum() or 1
                mean = sum(weights * place) / norm
                square = sum(weights * (place - mean) ** 2) / norm
                np.testing.assert_allclose(centres[i, k, axis], mean, 1e-5, 1e-5)
                np.testing.assert_allclose(widths[i, k, axis], square**0.5, 1e-5, 1e-5)


def test_cells():
    showers = sample(GRID)
    share = observables.sparsity(GRID, showers, THRESHOLDS)
    assert share.shape == (7, 3)
    logs = observables.log_energies(GRID, showers, floor=1e-4)
    for i, energies in enumerate(showers.energies):
        above = [(energies > t * energies.sum()).mean() for t in THRESHOLDS]
        np.testing.assert_allclose(share[i], above, 1e-6)
        np.testing.assert_allclose(
            logs[i], np.log10(np.maximum(energies, 1e-4)), 1e-5, 1e-5
        )
    np.testing.assert_allclose(
        observables.occupancy(GRID, showers), (showers.energies > 0.1).mean(axis=1)
    )


def test_one_cell_beyond_the_particle():
    calorimeter = geometry.grid(1, 30, 30, 20.0)
    energies = np.zeros(900, np.float32)
    energies[15 * 30 + 20] = 2.0  # x = 110, y = 10
    showers = Showers(
        energies, 4.0, None, np.array([5.0, 3.0]), np.array([0, 0.6, 0.8])
    )
    found = observables.scalars(calorimeter, showers)
    # It would reach (5, 3 + 250 * 3/4): the cell is before it, and to its right.
    assert found["asymmetry_along"] == -1 and found["asymmetry_across"] == -1
    assert (found["x"], found["y"]) == (110, 10)
    assert found["response"] == 0.5 and found["width_along"] == 0
    straight = showers._replace(direction=None, point=None)
    found = observables.scalars(calorimeter, straight)
    assert found["asymmetry_along"] == 1 and found["asymmetry_across"] == 1


@pytest.mark.parametrize(
    "calorimeter",
    [pytest.param(CALORIMETERS[0], marks=pytest.mark.slow), CALORIMETERS[1]],
    ids=["grid", "rings"],
)
def test_plain_jit_vmap_and_grad_agree_and_gradients_are_finite(calorimeter):
    showers = sample(calorimeter, dtype=np.float32)

    def measure(showers):
        return observables.scalars(calorimeter, showers) | {
            "layers": observables.layer_widths(calorimeter, showers),
            "logs": observables.log_energies(calorimeter, showers),
        }

    plain = measure(showers)
    for function in (measure, jax.vmap(measure)):
        other = jax.jit(function)(showers)
        for name, values in plain.items():
            np.testing.assert_allclose(other[name], values, 1e-5, 1e-5, err_msg=name)

    @jax.jit
    def whole(energies):
        found = measure(showers._replace(energies=energies))
        return sum(jnp.sum(values) for values in found.values())

    slope = jax.grad(whole)(jnp.asarray(showers.energies))
    assert np.isfinite(slope).all()
    step = np.zeros_like(showers.energies)
    cell = int(np.argmax(showers.energies[0]))
    step[0, cell] = 0.01
    change = whole(showers.energies + step) - whole(showers.energies - step)
    np.testing.assert_allclose(slope[0, cell], change / 0.02, 0.02, 0.02)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, ">f4", np.float64])
def test_numbers_of_any_type(dtype):
    showers = sample(GRID)
    whole = showers._replace(energies=np.round(showers.energies * 8))
    found = observables.scalars(
        GRID, whole._replace(energies=whole.energies.astype(dtype))
    )
    expected = observables.scalars(GRID, whole)
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, 1e-6, 1e-6, err_msg=name)


def test_other_cells_are_refused():
    showers = sample(GRID)
    with pytest.raises(ValueError, match="60 cells"):
        observables.total_energy(
            GRID, showers._replace(energies=showers.energies[:, 1:])
        )
