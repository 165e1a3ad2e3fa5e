"""Kinematics in NumPy: by definition, and without JAX."""

import math
import subprocess
import sys

import numpy as np

from jetvae_jax.core import momenta


def test_pt_eta_phi_by_the_polar_angle():
    rng = np.random.default_rng(0)
    p = rng.normal(size=(200, 4, 3)) * [10, 10, 200]
    pt, eta, phi = momenta.pt_eta_phi(p)
    for i, j in np.ndindex(200, 4):
        x, y, z = map(float, p[i, j])
        theta = math.atan2(math.sqrt(x * x + y * y), z)
        assert math.isclose(pt[i, j], math.sqrt(x * x + y * y), rel_tol=1e-14)
        assert math.isclose(eta[i, j], -math.log(math.tan(theta / 2)), abs_tol=1e-9)
        assert math.isclose(phi[i, j], math.atan2(y, x), abs_tol=1e-14)


def test_along_the_beam_and_nothing():
    p = np.array([[0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [-0.0, 0.0, -1.0]])
    for values in momenta.pt_eta_phi(p):
        np.testing.assert_array_equal(values, 0)


def test_mass_of_known_particles():
    # At rest, of a Z that moves at 1 TeV, of a photon, and space-like.
    energy = np.array([91.1876, math.hypot(1000, 91.1876), 5.0, 3.0])
    p = np.array([[0, 0, 0], [600, 0, 800], [3, 0, 4], [3, 0, 4]], float)
    np.testing.assert_allclose(
        momenta.mass(energy, p), [91.1876, 91.1876, 0, 0], rtol=1e-12
    )


def test_wrapped_angles():
    phi = np.array([0.0, 3.0, 4.0, -4.0, 7.0, np.pi])
    wanted = [0, 3, 4 - 2 * np.pi, 2 * np.pi - 4, 7 - 2 * np.pi, -np.pi]
    np.testing.assert_allclose(momenta.wrap_phi(phi), wanted, atol=1e-15)


def test_workers_that_make_jets_import_no_jax():
    code = (
        "import sys, jetvae_jax.making.shards, jetvae_jax.making.zgamma.production\n"
        "print('jax' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
