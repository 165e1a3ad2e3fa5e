"""What is measured on jets: one array per observable, in GeV and radians.

A generated jet has no other axis than that of its particles, so relative features
refer to it unless another is given. JetNet's files refer to the axis of the full jet
before the cut to the leading particles, so their ``ptrel`` sums to less than one
where ours sums to about one.

Angles of the substructure are those of the relative coordinates, ``R_ij^2 = (eta_i -
eta_j)^2 + (phi_i - phi_j)^2``, with particles massless (rapidity is pseudorapidity) and
azimuths not wrapped: relative ones stay far from the seam.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import kinematics
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.numerics import safe_divide, safe_norm, safe_sqrt
from jetvae_jax.core.types import Array, Jets, RelativeJets
from jetvae_jax.metrics.host import CHUNK, map_chunks, namespace, traced

_IN_CACHE = 32_768  # particles: with all arrays of them 1 MB
_CHUNK = 256  # jets whose N x N arrays are in use at once; they stay in the cache
_AXES = 3


def jet_observables(jets: Jets) -> dict[str, Array]:
    """Observables of whole jets; particles are massless.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.

    Returns:
        ``mass``, ``pt``, ``energy`` in GeV, ``eta``, ``phi``, ``multiplicity``, each
        ``[...]``; all zero for a jet without particles.
    """
    jets = record(jnp, jets)
    particles, mask = jets.particles, jets.mask
    axis = kinematics.jet_pt_eta_phi(particles, mask)
    return {
        "mass": kinematics.jet_mass(particles, mask),
        "pt": axis[..., kinematics.PT],
        "energy": kinematics.jet_energy(particles, mask),
        "eta": axis[..., kinematics.ETA],
        "phi": axis[..., kinematics.PHI],
        "multiplicity": kinematics.multiplicity(mask),
    }


def relative_jet_observables(jets: RelativeJets) -> dict[str, Array]:
    """Observables of jets whose pt is not known.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.

    Returns:
        ``relative_mass``, ``sum_ptrel`` and ``multiplicity``, each ``[...]``.
    """
    jets = record(jnp, jets)
    ptrel = jnp.where(jets.mask, jets.particles[..., kinematics.PT], 0)
    return {
        "relative_mass": relative_mass(jets),
        "sum_ptrel": jnp.sum(ptrel, axis=-1),
        "multiplicity": kinematics.multiplicity(jets.mask),
    }


def relative(jets: Jets, axis: Array | None = None) -> RelativeJets:
    """Jets relative to their axes, in units of their pt.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``.
        axis: ``[..., 3]`` (pt in GeV, eta, phi) to refer to; None for that of the
            particles themselves.

    Returns:
        Particles ``[..., N, 3]`` (ptrel, etarel, phirel), zero where masked.
    """
    jets = record(jnp, jets)
    if axis is None:
        axis = kinematics.jet_pt_eta_phi(jets.particles, jets.mask)
    particles = kinematics.to_relative(jets.particles, axis)
    return RelativeJets(jnp.where(jets.mask[..., None], particles, 0.0), jets.mask)


class ParticleObservables(Mapping[str, np.ndarray]):
    """Observables of the particles that the mask holds, all jets in one array each.

    ``px``, ``py``, ``pz`` in GeV, ``ptrel``, ``etarel``, ``phirel``; each ``[P]`` with
    P the number of True entries of the mask, made when it is asked for: together they
    would need more memory than the jets. Without momenta, only the last three.

    Args:
        jets: particles ``[..., N, 3]`` in GeV, mask ``[..., N]``; None if their pt is
            not known.
        relative_jets: the same jets by :func:`relative`.
    """

    NAMES = ("px", "py", "pz", "ptrel", "etarel", "phirel")

    def __init__(self, jets: Jets | None, relative_jets: RelativeJets):
        relative_jets = record(np, relative_jets)
        momenta = None if jets is None else record(np, jets).particles
        self._arrays = (momenta, relative_jets.particles)
        self._mask = relative_jets.mask

    def __getitem__(self, name: str) -> np.ndarray:
        group, column = divmod(self.NAMES.index(name), 3)
        values = self._arrays[group]
        if values is None:
            raise KeyError(name)
        return np.asarray(values)[..., column][self._mask]

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES if self._arrays[0] is not None else self.NAMES[3:])

    def __len__(self) -> int:
        return len(list(iter(self)))


def particle_observables(jets: Jets | RelativeJets) -> ParticleObservables:
    """Observables of the particles of a sample, relative to their own jets' axes.

    In NumPy, on the host: how many particles there are is not known within jit.
    """
    if isinstance(jets, RelativeJets):
        return ParticleObservables(None, jets)
    jets = record(np, jets)
    return ParticleObservables(jets, map_chunks(relative, jets))


def relative_mass(jets: RelativeJets) -> Array:
    """Mass of the massless relative particles, dimensionless, about m / pt.

    Turning a jet, or boosting it along the beam, leaves its mass alone, so angles may
    be counted from their mean, weighted with pt. There

        m^2 = (E - Px) (E + Px) - Py^2 - Pz^2,
        E - Px = 2 sum_i pt_i (sinh^2(eta_i / 2) + sin^2(phi_i / 2)),

    and Py and Pz are of third order in the angles: nothing cancels, in float32 either.
    What is below the resolution of the energy counts as zero, as in
    :func:`jetvae_jax.core.kinematics.jet_mass`: a single particle has no mass.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.

    Returns:
        ``[...]``, the quantity behind W1M (arXiv:2106.11535, section 4).
    """
    xp = namespace(*jets)
    particles, mask = record(xp, jets)
    pt, eta, phi = (xp.where(mask, particles[..., i], 0) for i in range(3))
    sum_pt = pt.sum(-1)
    share = 1 / xp.where(sum_pt > 0, sum_pt, 1)

    def sums(angle, odd, even):
        half = (angle - ((pt * angle).sum(-1) * share)[..., None]) / 2
        value = odd(half)
        weighted = pt * value
        return (weighted * value).sum(-1), (weighted * even(half)).sum(-1)

    eta_sums = sums(eta, xp.sinh, xp.cosh)
    return _mass(xp, sum_pt, *eta_sums, *sums(phi, xp.sin, xp.cos))[0]


def relative_masses(jets: RelativeJets) -> np.ndarray:
    """:func:`relative_mass` of a sample of any size, many times faster on a CPU.

    Args:
        jets: particles ``[J, N, 3]`` (ptrel, etarel, phirel), mask ``[J, N]``, J > 0.

    Returns:
        ``[J]``, NumPy; JAX within jit, vmap and grad.
    """
    if traced(*jets):
        found: Any = relative_mass(jets)
        return found
    if namespace(*jets) is not np:
        return map_chunks(relative_mass, jets)
    jets = record(np, jets)
    mass, off_axis = map(np.asarray, _mass(np, *_sums_about_axis(jets)))
    again = np.flatnonzero(off_axis)
    for start in range(0, len(again), CHUNK):
        rows = again[start : start + CHUNK]
        mass[rows] = relative_mass(RelativeJets(*(a[rows] for a in jets)))
    return mass


def _mass(
    xp: ModuleType, sum_pt: Array, square: Array, pz: Array, around: Array, py: Array
) -> tuple[Array, Array]:
    """Mass, and where it lost more than a bit as the jet is off its axis, or is NaN."""
    gap = 2 * (square + around)
    energy = sum_pt + 2 * square
    across = 4 * (py * py + pz * pz)
    squared = gap * (2 * energy - gap) - across
    resolution = (8 * float(xp.finfo(sum_pt.dtype).eps) * energy) ** 2
    mass = xp.sqrt(xp.where(squared <= resolution, 0, squared))
    return mass, ~(across <= squared)


def _sums_about_axis(jets: RelativeJets) -> np.ndarray:
    """The sums that :func:`_mass` takes ``[5, J]``, of the angles as they come.

    Few passes over few arrays, in the cache of one core: threads would mostly wait for
    one another's interpreter. Angles in the padding stay what they are: where one is
    NaN, so is the sum, and the jet is computed again.
    """
    particles, mask = jets
    count, length = mask.shape
    size = max(16, _IN_CACHE // max(length, 1) // 16 * 16)  # jets
    arrays = _aligned((4, size, length), particles.dtype)
    sums = np.empty((5, count), particles.dtype)
    ones = np.ones(length, particles.dtype)
    angles = (1, np.sinh, np.cosh), (2, np.sin, np.cos)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, count, size):
            rows = slice(start, start + size)
            part = particles[rows]
            pt, half, value, weighted = arrays[:, : len(part)]
            np.copyto(pt, part[..., 0])
            np.copyto(pt, 0, where=~mask[rows])
            np.matmul(pt, ones, out=sums[0, rows])
            for i, odd, even in angles:
                np.copyto(half, part[..., i])
                half *= 0.5
                np.multiply(pt, odd(half, out=value), out=weighted)
                value *= weighted
                np.matmul(value, ones, out=sums[2 * i - 1, rows])
                even(half, out=half)
                half *= weighted
                np.matmul(half, ones, out=sums[2 * i, rows])
    return sums


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Empty array that begins with a cache line: NumPy's own are up to twice slower."""
    size, line = math.prod(shape), 64
    flat = np.empty(size + line, dtype)
    start = -flat.ctypes.data % line // flat.itemsize
    return flat[start : start + size].reshape(shape)


def substructure(
    jets: RelativeJets, *, beta: float = 1.0, radius: float = 0.8
) -> dict[str, Array]:
    """Substructure observables of each jet.

    With ``z_i = pt_i / sum pt``:

    - ``tau1``, ``tau2``, ``tau3``: N-subjettiness, ``sum_i z_i min_a (R_ia / R0)^beta``
      (arXiv:1011.2268, eq. 2.1). The axes a are the exclusive kT subjets, see
      :func:`subjets`, not minimised further. ``tau21``, ``tau32``: ratios.
    - ``e2 = sum_{i<j} z_i z_j R_ij^beta`` and ``e3 = sum_{i<j<k} z_i z_j z_k (R_ij R_ik
      R_jk)^beta``; ``c2 = e3 / e2^2`` (arXiv:1305.0007, eq. 2.3) and ``d2 = e3 / e2^3``
      (arXiv:1409.6298, eq. 1.1).
    - ``width``: girth ``sum_i z_i R_i``, R_i from the axis the angles refer to.
    - ``ptd``: pT dispersion ``sqrt(sum_i pt_i^2) / sum_i pt_i``.
    - ``multiplicity``: number of particles.

    Values without a definition are 0: all of a jet without pt; ``tauN`` of a jet of at
    most N particles is 0 since each is its own axis; ratios with denominator 0.

    Args:
        jets: particles ``[..., N, 3]`` (ptrel, etarel, phirel), mask ``[..., N]``.
        beta: angular exponent, positive.
        radius: R0 of N-subjettiness; it drops out of the ratios.

    Returns:
        The above, each ``[...]``, float32 but for ``multiplicity``. Gradients are
        finite, those of tau at fixed clustering.

    Raises:
        ValueError: the shapes do not fit together.
    """
    particles, mask = record(jnp, jets)
    if particles.shape[-1:] != (3,) or particles.shape[:-1] != mask.shape:
        raise ValueError(
            f"jets need particles [..., N, 3] and mask [..., N], got {particles.shape} "
            f"and {mask.shape}"
        )
    lead = mask.shape[:-1]
    count = math.prod(lead)
    size = max(min(_CHUNK, count), 1)
    chunks = -(-count // size)

    def split(v, tail):
        v = v.reshape(count, *tail)
        rest = chunks * size - count  # filled up, so that one program serves all
        return jnp.pad(v, [(0, rest)] + [(0, 0)] * len(tail)).reshape(
            chunks, size, *tail
        )

    one = functools.partial(_observables, beta=beta, radius=radius)
    flat = split(particles, particles.shape[-2:]), split(mask, mask.shape[-1:])
    found = jax.lax.map(lambda chunk: jax.vmap(one)(*chunk), flat)
    return {k: v.reshape(-1)[:count].reshape(lead) for k, v in found.items()}


def _observables(particles, mask, *, beta, radius) -> dict[str, Array]:
    """Of one jet, ``[N, 3]`` and ``[N]``."""
    particles = jnp.where(mask[:, None], particles, 0.0)
    pt, angles = particles[:, 0], particles[:, 1:]
    z = safe_divide(pt, jnp.sum(pt))
    near = _power(_distances_to_axes(particles) / radius, beta)
    tau = jnp.sum(z * near, axis=1)
    apart = _power(safe_norm(angles[:, None] - angles), beta)
    e2 = z @ apart @ z / 2
    # sum_ijk = sum_ij z_i z_j R_ij (R z R)_ij: a matrix product instead of three sums.
    through = jnp.matmul(apart * z, apart, precision="highest")
    e3 = z @ (apart * through) @ z / 6
    return {
        **{f"tau{n}": value for n, value in enumerate(tau, start=1)},
        "tau21": safe_divide(tau[1], tau[0]),
        "tau32": safe_divide(tau[2], tau[1]),
        "e2": e2,
        "e3": e3,
        "c2": safe_divide(e3, jnp.square(e2)),
        "d2": safe_divide(e3, e2**3),
        "width": jnp.sum(z * safe_norm(angles)),
        "ptd": safe_sqrt(jnp.sum(jnp.square(z))),
        "multiplicity": kinematics.multiplicity(mask),
    }


def _power(distance, beta):
    """``distance ** beta`` with gradient zero, not infinite or NaN, at zero."""
    if beta == 1:
        return distance
    positive = distance > 0
    return jnp.where(positive, jnp.where(positive, distance, 1.0) ** beta, 0.0)


def _distances_to_axes(particles):
    """Distances ``[3, N]`` of each particle to the nearest of one, two, three axes."""
    momenta = _four_momenta(particles)

    def distances(owner):
        heads = (owner == jnp.arange(len(owner))) & (particles[:, 0] > 0)

        def nearer(state, _):
            heads, nearest = state
            head = jnp.argmax(heads)
            members = owner == head
            total = jnp.sum(jnp.where(members[:, None], momenta, 0.0), axis=0)
            # Rounding must not move a lone particle from its own axis: ratios of zeros.
            alone = jnp.sum(members) == 1
            axis = jnp.where(alone, particles[head, 1:], _direction(total))
            away = safe_norm(particles[:, 1:] - axis)
            nearest = jnp.where(heads[head], jnp.minimum(nearest, away), nearest)
            return (heads.at[head].set(False), nearest), None

        far = jnp.full(len(owner), jnp.inf, particles.dtype)
        (_, nearest), _ = jax.lax.scan(nearer, (heads, far), length=_AXES)
        return jnp.where(jnp.isfinite(nearest), nearest, 0.0)

    return jax.vmap(distances)(subjets(particles))


def subjets(particles: Array) -> Array:
    """Exclusive kT clustering of one jet into at most one, two and three subjets.

    The two pseudojets with the smallest ``min(pt_i, pt_j)^2 R_ij^2`` become the sum of
    their four-momenta (E-scheme), until as many are left as asked for (hep-ph/9305266,
    with a radius beyond the jet's: no particle is lost to the beam).

    Args:
        particles: ``[N, 3]`` (ptrel, etarel, phirel), pt zero where there is none.

    Returns:
        ``[3, N]`` int32 for one, two and three subjets: equal for particles of the same
        subjet, the index of one of them.
    """
    particles = jax.lax.stop_gradient(*floats(jnp, particles))
    size = len(particles)
    slots = jnp.arange(size)
    present = particles[:, 0] > 0
    asked = jnp.arange(1, _AXES + 1)

    def merge(_, state):
        owners, momenta, pt, angles, apart, count = state
        i = jnp.argmin(jnp.min(apart, axis=1))
        j = jnp.argmin(apart[i])
        is_i, is_j = slots == i, slots == j
        total = momenta[i] + momenta[j]
        direction = _direction(total)
        total_pt = jnp.sqrt(jnp.square(total[0]) + jnp.square(total[1]))
        momenta = jnp.where(is_i[:, None], total, momenta)
        angles = jnp.where(is_i[:, None], direction, angles)
        pt = jnp.where(is_i, total_pt, jnp.where(is_j, 0.0, pt))
        new = _kt(pt, angles, total_pt, direction)
        new = jnp.where((pt > 0) & ~is_i, new, jnp.inf)
        apart = jnp.where(is_i[:, None], new, jnp.where(is_i, new[:, None], apart))
        apart = jnp.where(is_j[:, None] | is_j, jnp.inf, apart)
        # Whoever has few enough subjets keeps them; with one left, none changes.
        merged = jnp.where(owners == j, i, owners)
        owners = jnp.where((count > asked)[:, None], merged, owners)
        return owners, momenta, pt, angles, apart, count - 1

    pt, angles = particles[:, 0], particles[:, 1:]
    apart = _kt(pt[:, None], angles[:, None], pt, angles)
    both = present[:, None] & present & (slots[:, None] != slots)
    apart = jnp.where(both, apart, jnp.inf)
    owners = jnp.broadcast_to(slots, (_AXES, size))
    state = owners, _four_momenta(particles), pt, angles, apart, jnp.sum(present)
    return jax.lax.fori_loop(0, size - 1, merge, state)[0]


def _kt(pt, angles, other_pt, other_angles):
    """Squared kT distance, without the common square of the radius."""
    square = jnp.square(angles - other_angles)
    return jnp.square(jnp.minimum(pt, other_pt)) * (square[..., 0] + square[..., 1])


def _four_momenta(particles):
    """``[N, 3]`` (pt, eta, phi) of massless particles to ``[N, 4]`` (px, py, pz, E)."""
    momenta = kinematics.from_pt_eta_phi(particles)
    energy = particles[:, :1] * jnp.cosh(particles[:, 1:2])
    return jnp.concatenate([momenta, energy], axis=1)


def _direction(momentum):
    """Rapidity and azimuth of a four-momentum ``[4]``; zeros if it has no pt."""
    px, py, pz, energy = momentum
    moves = (jnp.abs(px) + jnp.abs(py) > 0) & (energy > jnp.abs(pz))
    rapidity = jnp.arctanh(jnp.where(moves, pz / jnp.where(moves, energy, 1.0), 0.0))
    phi = jnp.arctan2(jnp.where(moves, py, 0.0), jnp.where(moves, px, 1.0))
    return jnp.stack([rapidity, phi])
