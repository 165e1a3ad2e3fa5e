"""The Frechet ParticleNet distance (FPND) with the network and moments of jetnet.

Kansal et al., arXiv:2106.11535. The trained network and the moments of its features on
50,000 real jets of JetNet come with the jetnet package and are read from it; neither
that package nor PyTorch is imported. Real jets are therefore not needed.
"""

import importlib.metadata
import pathlib
import zipfile
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Params, RelativeJets
from jetvae_jax.metrics.frechet import frechet_distance, mean_and_covariance
from jetvae_jax.metrics.frechet.torch_archive import read_state_dict
from jetvae_jax.metrics.host import map_chunks

JET_TYPES = ("g", "q", "t")
NUM_PARTICLES = 30
MAX_JETS = 50_000
FOLDER = "jetnet/evaluation/fpnd_resources/jetnet/30_particles"
NETWORK = "pnet_state_dict.pt"
# (etarel, phirel, ptrel), the largest of the training jets; ptrel is then shifted.
SCALE = (1.6211985349655151, 0.520724892616272, 0.8934717178344727)
SHIFT = (0.0, 0.0, -0.5)
CHUNK, BATCH = 1024, 8  # the edges of one batch, 4 MB, stay in a CPU's cache


class Resources(NamedTuple):
    """Network and moments as jetnet ships them.

    Attributes:
        params: of :class:`particlenet.ParticleNet`.
        moments: by type of jet, mean ``[256]`` and covariance ``[256, 256]`` of the
            features of real jets.
    """

    params: Params
    moments: Mapping[str, tuple[np.ndarray, np.ndarray]]


def fpnd(
    generated: RelativeJets,
    *,
    jet_type: str = "g",
    resources: Resources | str | pathlib.Path | None = None,
) -> float:
    """Frechet distance of ParticleNet features to those of real JetNet jets.

    As in jetnet, the first 50,000 jets count (fewer are biased upwards), and particles
    in the padding count, as zeros, among the neighbours of the others.

    Args:
        generated: particles ``[J, 30, 3]`` (ptrel, etarel, phirel) and mask.
        jet_type: ``"g"``, ``"q"`` or ``"t"``: the real jets to compare with.
        resources: from :func:`load`, or where it finds them.

    Returns:
        The distance, dimensionless; real jets score about 0.01 (arXiv:2303.05376).

    Raises:
        InputError: as :func:`load`; another type; jets not of 30 particles, fewer than
            two, NaN or infinity.
    """
    if jet_type not in JET_TYPES:
        raise InputError(
            f"fpnd: no real jets of type {jet_type!r}; choose one of "
            f"{', '.join(JET_TYPES)}"
        )
    if not isinstance(resources, Resources):
        resources = load(resources)
    features = particlenet_features(resources.params, generated)
    moments = mean_and_covariance(features)
    return float(frechet_distance(*resources.moments[jet_type], *moments))


def particlenet_features(params: Params, jets: RelativeJets) -> np.ndarray:
    """ParticleNet's features of the first 50,000 jets.

    Args:
        params: from :func:`load`.
        jets: particles ``[J, 30, 3]`` (ptrel, etarel, phirel) and mask.

    Returns:
        ``[J, 256]`` float32.

    Raises:
        InputError: as :func:`fpnd`.
    """
    particles, mask = record(np, jets)
    if particles.ndim != 3 or particles.shape[1:] != (NUM_PARTICLES, 3):
        raise InputError(
            f"fpnd: needs jets of {NUM_PARTICLES} particles and 3 features, got an "
            f"array {particles.shape}; the network knows no other size"
        )
    if len(particles) < 2:
        raise InputError(f"fpnd: needs at least 2 jets, got {len(particles)}")
    particles, mask = particles[:MAX_JETS], mask[:MAX_JETS]
    bad = ~np.isfinite(particles).all(-1) & mask
    if bad.any():
        raise InputError(f"fpnd: NaN or infinity in {bad.any(1).sum()} jets")

    from jetvae_jax.metrics.frechet import particlenet  # which needs flax

    def chunk(part):
        def features(jet):
            return particlenet.apply(params, _scaled(*jet))

        return jax.lax.map(features, part, batch_size=BATCH)

    return map_chunks(chunk, (particles, mask), size=CHUNK)


def _scaled(particles: Array, mask: Array) -> Array:
    """``[30, 3]`` as the network was trained: (etarel, phirel, ptrel), zeros kept."""
    particles = jnp.where(mask[..., None], particles, 0.0)
    scale, shift = jnp.asarray(SCALE), jnp.asarray(SHIFT)
    return particles[..., jnp.asarray((1, 2, 0))] / scale + shift


def load(where: str | pathlib.Path | None = None) -> Resources:
    """Network and moments of jetnet.

    Args:
        where: a folder that holds ``pnet_state_dict.pt`` and the moments, that of the
            jetnet package, or a wheel of it; None for the installed package.

    Raises:
        InputError: files that are absent or not as expected.
    """
    from jetvae_jax.metrics.frechet import particlenet

    folder = _find(where)
    state = read_state_dict(_read(folder, NETWORK), source=NETWORK)
    try:
        params = particlenet.params_from_torch(state)
    except ValueError as error:
        raise InputError(f"{NETWORK}: not jetnet's ParticleNet: {error}") from error
    size = particlenet.FEATURES
    moments = {
        name: (
            _numbers(folder, f"{name}_mu.txt", (size,)),
            _numbers(folder, f"{name}_sigma.txt", (size, size)),
        )
        for name in JET_TYPES
    }
    return Resources(params, moments)


def _find(where: str | pathlib.Path | None) -> Traversable:
    """The folder of the files: on disk or inside a wheel."""
    if where is None:
        try:
            package = importlib.metadata.distribution("jetnet")
        except importlib.metadata.PackageNotFoundError:
            raise InputError(
                "fpnd: the jetnet package is not installed; its network and moments "
                "are all that is needed: pip install --no-deps jetnet==0.2.5"
            ) from None
        return pathlib.Path(str(package.locate_file(FOLDER)))
    path = pathlib.Path(where)
    if path.suffix != ".whl":
        # Itself, or that of the package, or where packages are.
        places = (path, path.parent / FOLDER, path / FOLDER)
        return next((p for p in places if (p / NETWORK).is_file()), path)
    try:
        return zipfile.Path(path, f"{FOLDER}/")
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as a wheel: {error}") from error


def _read(folder: Traversable, name: str) -> bytes:
    try:
        return folder.joinpath(name).read_bytes()
    except (OSError, KeyError):
        raise InputError(
            f"fpnd: no {name} in {folder}; give a folder that has it, that of the "
            "jetnet package, or a wheel of it (pip download --no-deps jetnet==0.2.5)"
        ) from None


def _numbers(folder: Traversable, name: str, shape: tuple[int, ...]) -> np.ndarray:
    text = _read(folder, name)
    try:
        numbers = np.array(text.split(), np.float64).reshape(shape)
    except ValueError as error:
        raise InputError(f"{name}: not numbers of shape {shape}: {error}") from error
    if not np.isfinite(numbers).all():
        raise InputError(f"{name}: NaN or infinite numbers: fetch the file again")
    return numbers
