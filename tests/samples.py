"""Samples of jets, and files of arrays, that several test files use."""

import h5py
import numpy as np
import pytest

from jetvae_jax.core.types import Jets


def jets(seed, num_jets=80, num_particles=8, *, spread=0.1):
    """Jets of particles with exponential pt and Gaussian angles, all existing."""
    rng = np.random.default_rng(seed)
    shape = (num_jets, num_particles)
    pt = rng.exponential(60, shape)
    eta, phi = rng.normal(0, spread, (2, *shape))
    p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
    return Jets(p.astype(np.float32), np.ones(shape, bool))


def save(path, arrays):
    """A file of the kind that the suffix names, by the ecosystem's own tool."""
    native = {k: v.astype(v.dtype.newbyteorder("=")) for k, v in arrays.items()}
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = values
    elif path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pq = pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.table({k: list(v) for k, v in native.items()}), path)
    else:
        uproot = pytest.importorskip("uproot")
        with uproot.recreate(path) as file:
            types = {k: (v.dtype, v.shape[1:]) for k, v in native.items()}
            file.mktree("events", types)
            file["events"].extend(native)
    return str(path)


def save_events(path, num):
    """A JetNet file of both jets of events: back to back, of nearly the same pt."""
    rng, particles = np.random.default_rng(0), 6
    shape = (2 * num, particles)
    share = -np.sort(-rng.dirichlet(np.full(particles, 2.0), 2 * num), axis=1)
    angles = rng.normal(0, 0.1, (2, *shape))
    features = np.stack([*angles, share, np.ones(shape)], axis=-1)
    pt = np.repeat(1000 * np.exp(rng.exponential(0.2, num)), 2)
    pt = pt * np.tile([1.02, 0.98], num)
    phi = rng.uniform(-np.pi, np.pi, num)
    phi = np.stack([phi, phi + np.pi + rng.normal(0, 0.05, num)], 1)
    phi = np.angle(np.exp(1j * phi))
    eta = rng.normal(0, 0.7, 2 * num)
    count = np.full(2 * num, particles)
    jets = np.stack([pt, eta, 0.1 * pt, count], axis=-1)
    extra = np.zeros((2 * num, 4))
    extra[:, 0] = phi.reshape(-1)
    arrays = {"particle_features": features, "jet_features": jets, "jet_extra": extra}
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values.astype(np.float32)
        file.attrs["jets_per_event"] = 2
    return path
