"""Observables of a jet by their names, each a differentiable function of its particles.

- ``mass``, ``pt``, ``energy``: of the whole jet, in GeV;
- ``tau1`` to ``tau3``, ``tau21``, ``tau32``, ``e2``, ``e3``, ``c2``, ``d2``, ``width``,
  ``ptd``: :func:`~jetvae_jax.observables.substructure.substructure`, the gradients of
  tau at fixed clustering;
- ``efp1`` to ``efp5``: all connected energy-flow polynomials of so many edges, 1, 2, 5,
  12 or 33 numbers (arXiv:1712.07124). Those of other graphs are products of them.

Angles and shares of pt refer to the jet's own particles, ``z_i = pt_i / sum pt``, so
that a jet without pt, or one whose momenta cancel, has no large values.
"""

import functools
from collections.abc import Collection, Sequence

import jax.numpy as jnp

from jetvae_jax.core import dtypes, kinematics
from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import did_you_mean
from jetvae_jax.core.numerics import safe_divide
from jetvae_jax.core.types import Array, Jets
from jetvae_jax.observables.energy_flow.multigraphs import (
    MAX_DEGREE,
    Graph,
    components,
    multigraphs,
)
from jetvae_jax.observables.energy_flow.polynomials import efps
from jetvae_jax.observables.jets import relative
from jetvae_jax.observables.substructure import NAMES as SUBSTRUCTURE
from jetvae_jax.observables.substructure import substructure

WHOLE = {
    "mass": kinematics.jet_mass,
    "pt": kinematics.jet_pt,
    "energy": kinematics.jet_energy,
}
COUNTS = ("multiplicity",)
EFPS = {f"efp{degree}": degree for degree in range(1, MAX_DEGREE + 1)}
NAMES = (*WHOLE, *(name for name in SUBSTRUCTURE if name not in COUNTS), *EFPS)
Relations = Sequence[tuple[str, Collection[str]]]
"""A statistic, and the observables from which it is computed."""
COMPUTED: Relations = (
    ("relative_mass", ("mass",)),
    ("mass", ("efp2",)),
    ("width", ("tau1",)),
    ("tau1", ("width",)),
    ("tau21", ("tau1", "tau2")),
    ("tau32", ("tau2", "tau3")),
    ("e2", ("efp1",)),
    ("efp1", ("e2",)),
    ("e3", ("efp3",)),
    ("c2", ("e2", "e3")),
    ("d2", ("e2", "e3")),
)
"""Those of jets. A statistic is the same number as the observable but for a factor, as
e2 and the polynomial of one edge, or a function of them, as the mass to first order in
the angles of the polynomial of a double edge."""


def fixed_by(names: Collection[str], computed: Relations = COMPUTED) -> frozenset[str]:
    """These observables, and those that are computed from them alone.

    If a training pulls the former to their true values, the latter do not check it.

    Args:
        names: of observables.
        computed: what is computed from what.
    """
    found, size = set(names), -1
    while size != len(found):
        size = len(found)
        found |= {name for name, parts in computed if found.issuperset(parts)}
    return frozenset(found)


def complaint(name: str) -> str | None:
    """What is wrong with the name of an observable; None if it is in `NAMES`."""
    if name in NAMES:
        return None
    if name in COUNTS:
        return "counts particles, which has no gradient: name another observable"
    return f"must be of {', '.join(NAMES)}{did_you_mean(name, NAMES)}"


def observable(p: Array, mask: Array | None = None, *, name: str) -> Array:
    """An observable of jets.

    Args:
        p: ``[..., N, 3]`` (px, py, pz) in GeV.
        mask: ``[..., N]`` bool, True where a particle exists; None: all do.
        name: one of `NAMES`.

    Returns:
        ``[..., K]``, K = 1 but for energy-flow polynomials; dimensionless but for mass,
        pt and energy in GeV. Zero where it has no definition, with finite gradients
        for jets of any number of particles.

    Raises:
        ValueError: the name is unknown.
    """
    if wrong := complaint(name):
        raise ValueError(f"observable {name!r}: {wrong}")
    (p,), mask = floats(jnp, p), dtypes.mask(jnp, mask)
    if name in WHOLE:
        return WHOLE[name](p, mask)[..., None]
    jets = relative(Jets(p, jnp.ones(p.shape[:-1], bool) if mask is None else mask))
    if name in EFPS:
        return efps(jets, graphs=connected(EFPS[name]), normed=True)
    if name in ("c2", "d2"):
        # One division after the other: the square of e2^3, which is in the gradient of
        # a quotient by it, underflows for narrow jets.
        found = substructure(jets, names=("e2", "e3"))
        value = found["e3"]
        for _ in range(2 if name == "c2" else 3):
            value = safe_divide(value, found["e2"])
        return value[..., None]
    return substructure(jets, names=(name,))[name][..., None]


@functools.cache
def connected(degree: int) -> tuple[Graph, ...]:
    """The connected multigraphs of so many edges."""
    return tuple(
        graph
        for graph in multigraphs(degree)
        if len(graph) == degree and len(components(graph)) == 1
    )
