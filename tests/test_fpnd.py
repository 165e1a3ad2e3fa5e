"""FPND: the network, the safe reader of its weights, the distance, the messages.

The reference is jetnet's own code on the golden jets (tests/golden). Tests that need
the weights run where jetnet is installed (``pip install --no-deps jetnet==0.2.5``).
"""

import importlib.metadata
import io
import pathlib
import pickle
import struct
import zipfile

import jax
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import RelativeJets
from jetvae_jax.metrics.frechet import (
    frechet_distance,
    mean_and_covariance,
    particlenet,
)
from jetvae_jax.metrics.frechet.particlenet_distance import (
    FOLDER,
    JET_TYPES,
    fpnd,
    load,
    particlenet_features,
)
from jetvae_jax.metrics.frechet.torch_archive import MAGIC, read_state_dict

GOLDEN = pathlib.Path(__file__).parent / "golden" / "golden.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as data:
        return dict(data)


@pytest.fixture(scope="module")
def jets(golden):
    both = np.concatenate([golden["real"], golden["generated"]]).astype(np.float32)
    return RelativeJets(both[..., [2, 0, 1]], both[..., 2] > 0)


def installed():
    try:
        importlib.metadata.distribution("jetnet")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


needs_weights = pytest.mark.skipif(
    not installed(), reason="needs the weights: pip install --no-deps jetnet==0.2.5"
)


@pytest.fixture(scope="module")
def resources():
    return load()


def random_params(seed=0):
    """Parameters of the right shapes whose activations neither vanish nor explode."""
    x = np.zeros((30, 3), np.float32)
    return particlenet.ParticleNet().init(jax.random.key(seed), x)["params"]


# ---------------------------------------------------------------- against jetnet


@needs_weights
def test_features_are_those_of_jetnet(golden, jets, resources):
    few = jax.tree.map(lambda a: a[: len(golden["particlenet"])], jets)
    ours = particlenet_features(resources.params, few)
    scale = np.abs(golden["particlenet"]).max()
    np.testing.assert_allclose(ours, golden["particlenet"], atol=1e-5 * scale)


@needs_weights
def test_fpnd_is_that_of_jetnet(golden, jets, resources):
    ours = {"g": fpnd(jets, jet_type="g", resources=resources)}
    moments = mean_and_covariance(particlenet_features(resources.params, jets))
    for jet_type in JET_TYPES:
        found = frechet_distance(*resources.moments[jet_type], *moments)
        found = ours.get(jet_type, found)
        np.testing.assert_allclose(found, golden[f"fpnd_{jet_type}"], rtol=1e-4)


@needs_weights
def test_real_moments_score_zero_against_themselves(resources):
    moments = resources.moments["g"]
    assert abs(frechet_distance(*moments, *moments)) < 1e-6


@needs_weights
def test_every_source_gives_the_same(tmp_path, resources):
    folder = importlib.metadata.distribution("jetnet").locate_file(FOLDER)
    wheel = tmp_path / "jetnet-0.2.5-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in pathlib.Path(str(folder)).glob("[gqtp]*"):
            archive.write(path, f"{FOLDER}/{path.name}")
    folder = pathlib.Path(str(folder))
    package, packages = folder.parents[3:5]
    for where in (wheel, str(wheel), str(folder), folder, package, packages):
        found = load(where)
        for a, b in zip(
            jax.tree.leaves(found), jax.tree.leaves(resources), strict=True
        ):
            np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------- the network


def naive_network(params, x):
    """ParticleNet of one jet in float64, edge by edge, as the papers write it."""
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    x = np.asarray(x, np.float64)
    for block in range(3):
        p = params[f"block_{block}"]
        place = x[:, :2] if block == 0 else x
        new = []
        for i in range(len(x)):
            gap = ((place - place[i]) ** 2).sum(1)
            gap[i] = np.inf
            messages = []
            for j in np.argsort(gap, kind="stable")[:16]:
                y = np.concatenate([x[i], x[j] - x[i]])
                y = np.maximum(y @ p["kernel"] + p["bias"], 0)
                for name in ("dense_1", "dense_2"):
                    y = np.maximum(y @ p[name]["kernel"] + p[name]["bias"], 0)
                messages.append(y)
            new.append(np.mean(messages, axis=0))
        x = np.concatenate([np.array(new), x], axis=1)
    return x.mean(0) @ params["features"]["kernel"] + params["features"]["bias"]


@pytest.mark.slow
def test_network_against_edges_one_by_one():
    params = random_params()
    x = np.random.default_rng(0).normal(size=(2, 30, 3)).astype(np.float32)
    expected = np.stack([naive_network(params, jet) for jet in x])
    tolerance = {"rtol": 1e-4, "atol": 1e-5 * np.abs(expected).max()}
    apply = particlenet.apply
    np.testing.assert_allclose(apply(params, x[0]), expected[0], **tolerance)
    for compiled in (jax.jit(apply), jax.jit(jax.vmap(apply, (None, 0)))):
        np.testing.assert_allclose(compiled(params, x), expected, **tolerance)


def test_neighbours_are_the_nearest_others():
    x = np.random.default_rng(1).normal(size=(5, 30, 2)).astype(np.float32)
    found = np.asarray(particlenet.nearest(x))
    gap = np.linalg.norm(x[:, :, None].astype(float) - x[:, None], axis=-1)
    for jet in range(5):
        for i in range(30):
            expected = np.argsort(gap[jet, i])[1:17]  # the first is i itself
            assert set(found[jet, i]) == set(expected)


def test_batch_norm_is_folded_as_it_acts():
    rng = np.random.default_rng(2)
    state, size = {}, 3
    for block, width in enumerate(particlenet.BLOCKS):
        for place, inputs in ((0, 2 * size), (3, width), (6, width)):
            prefix = f"edge_nets.{block}.model."
            kernel = rng.normal(size=(width, inputs))
            state[f"{prefix}{place}.weight"] = kernel
            state[f"{prefix}{place}.bias"] = rng.normal(size=width)
            for name in ("weight", "bias", "running_mean"):
                state[f"{prefix}{place + 1}.{name}"] = rng.normal(size=width)
            state[f"{prefix}{place + 1}.running_var"] = rng.uniform(0.1, 2, width)
        size += width
    state["fc1.0.weight"] = rng.normal(size=(256, size))
    state["fc1.0.bias"] = rng.normal(size=256)
    params = particlenet.params_from_torch(state)
    x = rng.normal(size=(7, 128))
    prefix = "edge_nets.1.model."
    dense = x @ state[f"{prefix}3.weight"].T + state[f"{prefix}3.bias"]
    mean, variance = (state[f"{prefix}4.running_{k}"] for k in ("mean", "var"))
    normal = (dense - mean) / np.sqrt(variance + 1e-5)
    expected = normal * state[f"{prefix}4.weight"] + state[f"{prefix}4.bias"]
    layer = params["block_1"]["dense_1"]
    np.testing.assert_allclose(
        x @ layer["kernel"] + layer["bias"], expected, rtol=1e-4, atol=1e-3
    )
    shapes = jax.tree.map(np.shape, params)
    assert shapes == jax.tree.map(np.shape, dict(random_params()))
    del state["fc1.0.bias"]
    with pytest.raises(ValueError, match=r"fc1\.0\.bias"):
        particlenet.params_from_torch(state)


def test_padding_is_zero_whatever_it_holds(jets):
    params = random_params()
    few = jax.tree.map(lambda a: a[:11], jets)
    hidden = np.where(few.mask[..., None], few.particles, np.nan)
    clean = particlenet_features(params, few)
    np.testing.assert_array_equal(
        particlenet_features(params, RelativeJets(hidden, few.mask)), clean
    )
    assert clean.shape == (11, 256) and np.isfinite(clean).all()


# ---------------------------------------------------------------- the safe reader


def legacy_archive(arrays, *, tree=None):
    """A file as torch.save wrote it before 1.6, made without torch."""
    pickler_names = {"f": "FloatStorage", "i": "LongStorage"}
    body = b"\x80\x02ccollections\nOrderedDict\n)R("
    for key, value in arrays.items():
        body += b"X" + struct.pack("<I", len(key)) + key.encode()
        body += b"ctorch._utils\n_rebuild_tensor_v2\n(("
        body += b"X\x07\x00\x00\x00storage"
        body += b"ctorch\n" + pickler_names[value.dtype.kind].encode() + b"\n"
        body += b"X" + struct.pack("<I", len(key)) + key.encode()
        body += b"X\x03\x00\x00\x00cpuM" + struct.pack("<H", value.size) + b"NtQK\x00("
        body += b"".join(b"M" + struct.pack("<H", n) for n in value.shape) + b"t("
        strides = [s // value.itemsize for s in value.strides]
        body += b"".join(b"M" + struct.pack("<H", n) for n in strides) + b"t"
        body += b"\x89ccollections\nOrderedDict\n)RtR"
    body = body + b"u." if tree is None else tree
    head = [MAGIC, 1001, {"little_endian": True}]
    data = b"".join(pickle.dumps(value, 2) for value in head)
    data += body + pickle.dumps(list(arrays), 2)
    for value in arrays.values():
        data += struct.pack("<q", value.size) + value.tobytes()
    return data


ARRAYS = {
    "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a.bias": np.array([0.5, -1.5], np.float32),
    "count": np.array(7, np.int64),
}


def test_reader_returns_the_arrays():
    found = read_state_dict(legacy_archive(ARRAYS), source="file")
    assert list(found) == list(ARRAYS)
    for name, value in ARRAYS.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


class Shell:
    """Runs a command when an ordinary unpickler reads it."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        import os

        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_reader_runs_no_code(tmp_path, protocol):
    target = tmp_path / "ran"
    evil = pickle.dumps(Shell(target), protocol)
    for data in (evil, legacy_archive(ARRAYS, tree=evil)):
        with pytest.raises(InputError, match=r"names (posix|nt)\.system"):
            read_state_dict(data, source="evil.pt")
    assert not target.exists()


def test_reader_refuses_what_is_no_state_dict():
    good = legacy_archive(ARRAYS)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", good)
    transposed = legacy_archive({"a": ARRAYS["a.weight"].T})
    wrong = [b"", b"hello", good[:-1], good[:150], good[5:], zipped.getvalue()]
    for data in (*wrong, transposed, pickle.dumps(MAGIC + 1, 2)):
        with pytest.raises(InputError, match=r"file\.pt: not a state dict"):
            read_state_dict(data, source="file.pt")


# ---------------------------------------------------------------- messages


def test_absent_package_says_what_to_install(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(InputError, match=r"pip install --no-deps jetnet==0\.2\.5"):
        load()


def test_wrong_places(tmp_path):
    with pytest.raises(InputError, match=r"no pnet_state_dict\.pt in"):
        load(tmp_path)
    (tmp_path / "bad.whl").write_bytes(b"no zip")
    with pytest.raises(InputError, match="cannot be read as a wheel"):
        load(tmp_path / "bad.whl")
    with pytest.raises(InputError, match="cannot be read as a wheel"):
        load(tmp_path / "absent.whl")
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("other/__init__.py", "")
    with pytest.raises(InputError, match=r"no pnet_state_dict\.pt in"):
        load(tmp_path / "other.whl")
    (tmp_path / "pnet_state_dict.pt").write_bytes(legacy_archive(ARRAYS))
    with pytest.raises(InputError, match="not jetnet's ParticleNet"):
        load(tmp_path)


def test_jets_that_fpnd_cannot_measure(jets):
    params = random_params()

    def check(message, particles, mask):
        with pytest.raises(InputError, match=message):
            particlenet_features(params, RelativeJets(particles, mask))

    check("30 particles", jets.particles[:5, :20], jets.mask[:5, :20])
    check("at least 2 jets", jets.particles[:1], jets.mask[:1])
    particles = np.where(jets.mask[:5, :, None], np.nan, jets.particles[:5])
    check("NaN or infinity in 5 jets", particles, jets.mask[:5])
    with pytest.raises(InputError, match="no real jets of type 'w'"):
        fpnd(jets, jet_type="w")
