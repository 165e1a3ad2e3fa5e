"""npz archives, and EnergyFlow's jets in them."""

import io
import zipfile

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import load
from jetvae_jax.data.containers import npz
from jetvae_jax.data.formats import energyflow

MASSES = {11: 0.000511, 22: 0.0, 211: 0.13957, 321: 0.493677, 2212: 0.938272}


def jets(num_jets=12, width=7, seed=0):
    """X and y as EnergyFlow has them."""
    rng = np.random.default_rng(seed)
    x = np.zeros((num_jets, width, 4))
    count = rng.integers(2, width + 1, num_jets)
    x[..., 0] = -np.sort(-rng.exponential(100, (num_jets, width)) - 1, axis=1)
    x[..., 1] = rng.normal(0, 0.1, (num_jets, width)) + rng.normal(size=(num_jets, 1))
    x[..., 2] = rng.uniform(0, 2 * np.pi, (num_jets, 1)) + rng.normal(
        0, 0.1, (num_jets, width)
    )
    x[..., 3] = rng.choice([22, 211, -211, 321, 2212, -11], (num_jets, width))
    x *= (np.arange(width) < count[:, None])[..., None]
    return x, np.arange(num_jets) % 2


def save(path, x, y, compressed=False):
    (np.savez_compressed if compressed else np.savez)(path, X=x, y=y)
    return str(path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("jet_type", ["g", "q"])
def test_momenta_are_those_of_massive_particles(tmp_path, compressed, order, jet_type):
    x, y = jets()
    path = save(tmp_path / "QG.npz", np.asarray(x, order=order), y, compressed)
    loaded = load(path, num_particles=7, jet_type=jet_type)
    assert loaded.source["layout"] == "energyflow"
    wanted = x[y == (jet_type == "q")]
    assert loaded.jets.mask.sum() == (wanted[..., 0] > 0).sum()
    for i, j in np.argwhere(wanted[..., 0] > 0):
        pt, rapidity, phi, pid = wanted[i, j]
        px, py, pz = loaded.jets.particles[i, j].astype(float)
        np.testing.assert_allclose(px, pt * np.cos(phi), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(py, pt * np.sin(phi), rtol=1e-4, atol=1e-4)
        # The definition of rapidity, with the true mass.
        energy = np.sqrt(px**2 + py**2 + pz**2 + MASSES[abs(pid)] ** 2)
        y_found = 0.5 * np.log((energy + pz) / (energy - pz))
        np.testing.assert_allclose(y_found, rapidity, atol=2e-6)


def test_without_ids_particles_are_massless():
    x, _ = jets()
    p, pt, mask = energyflow.momenta(x[..., :3])
    np.testing.assert_allclose(
        p[..., 2], np.where(mask, pt * np.sinh(x[..., 1]), 0), rtol=1e-6
    )


def test_blocks_and_max_jets(tmp_path, monkeypatch):
    x, y = jets(50)
    path = save(tmp_path / "QG.npz", x, y)
    whole = load(path)
    monkeypatch.setattr("jetvae_jax.data.containers.tables.BLOCK_BYTES", 7 * 4 * 8 * 3)
    cut = load(path)
    np.testing.assert_array_equal(whole.jets.particles, cut.jets.particles)
    few = load(path, max_jets=6)
    np.testing.assert_array_equal(few.jets.particles, whole.jets.particles[:6])


def test_a_folder_of_files_of_different_widths(tmp_path):
    for i, width in enumerate((5, 9)):
        save(tmp_path / f"QG_jets_{i}.npz", *jets(10, width, seed=i))
    loaded = load(str(tmp_path))
    assert loaded.jets.particles.shape == (10, 30, 3)
    assert loaded.source["files"] == ["QG_jets_0.npz", "QG_jets_1.npz"]


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda x, y: (x[..., 0], y), r"X: shape is \(12, 7\)"),
        (lambda x, y: (x[:0], y[:0]), r"X: shape is \(0, 7, 4\)"),
        (lambda x, y: (x, y[:5]), r"y: shape is \(5,\), expected \(12,\)"),
        (lambda x, y: (x.astype(str), y), "X: dtype is <U"),
        (lambda x, y: (x, y + 5), "label is neither 0 nor 1"),
        (lambda x, y: (x - 1000, y), "negative pt"),
        (lambda x, y: (np.where(x == x[0, 0, 0], np.nan, x), y), "X: row 0: NaN"),
        (lambda x, y: (x * [1e3, 1, 1, 1], y), "looks like MeV"),
        (lambda x, y: (x.astype(object), y), "pickled objects"),
    ],
)
def test_wrong_arrays(tmp_path, spoil, error):
    path = save(tmp_path / "QG.npz", *spoil(*jets()))
    with pytest.raises(InputError, match=error):
        load(path)


def test_other_classes_are_not_there(tmp_path):
    path = save(tmp_path / "QG.npz", *jets())
    with pytest.raises(InputError, match="none of type 't'"):
        load(path, jet_type="t")


def test_an_archive_of_something_else(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.zeros(3))
    with pytest.raises(InputError, match=r"keys are images .3,.: expected"):
        load(str(tmp_path / "a.npz"))


def header(shape, descr="<f8"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        header((10**12, 10**3, 4)) + bytes(100),
        header((2**62, 2**62)),
        header((3, 4, 4))[:20],
        b"no array at all",
        b"",
        header((1000, 7, 4)) + bytes(100),
    ],
)
def test_claims_without_data(tmp_path, content):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("X.npy", content)
        file.writestr("y.npy", header((3,)) + bytes(24))
    with pytest.raises(InputError, match=r"a\.npz"):
        load(str(tmp_path / "a.npz"))


def test_damage_is_one_line_or_jets(tmp_path):
    path = tmp_path / "a.npz"
    save(path, *jets(40), compressed=True)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for kept in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match=r"a\.npz"):
            load(str(path))
    for _ in range(300):
        spoiled = bytearray(whole)
        for place in rng.integers(len(whole), size=2):
            spoiled[place] ^= 1 << rng.integers(8)
        path.write_bytes(spoiled)
        try:
            load(str(path))
        except InputError as error:
            assert "a.npz" in str(error)
            assert "\n" not in str(error)


def test_texts(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.array("word"), b=np.array(["x"]), c=np.zeros(2))
    with npz.opened(tmp_path / "a.npz") as archive:
        assert archive.text("a") == "word"
        assert [archive.text(name) for name in "bcd"] == [None] * 3
        with pytest.raises(InputError, match="d: missing array; the file has: a, b, c"):
            archive.member("d")
