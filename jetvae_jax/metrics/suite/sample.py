"""A sample of jets with all quantities that metrics compare, each computed once."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Jets, RelativeJets
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.binning import SUBSTRUCTURE
from jetvae_jax.metrics.distributions.correlations import pearson, spearman
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.observables import ParticleObservables, relative_jet_observables
from jetvae_jax.metrics.polynomials import jet_features
from jetvae_jax.observables.jets import jet_observables, relative
from jetvae_jax.observables.substructure import substructure

T = TypeVar("T")

FPND = Callable[[RelativeJets], float]
"""Relative jets to their FPND: `metrics.fpnd` with its reference filled in."""


class PtUnknown(KeyError):
    """An observable was asked for that needs the pt of the jets, which is not known."""


class _Observables(dict):
    """Observables by name; those that need momenta are not there."""

    def __missing__(self, name: str):
        raise PtUnknown(name) if name in WHOLE else KeyError(name)


POLYNOMIALS = tuple(f"efp{degree}" for degree in range(1, 5))
"""Observables whose products `Sample.features` are, by their names in a loss."""

WHOLE = tuple(b.name for b in binning.PAPER_JETS)
"""Observables of jets that need their momenta."""


class Sample:
    """Jets, their relative features and their observables.

    Args:
        name: for messages.
        jets: particles ``[J, N, 3]`` in GeV, mask ``[J, N]``; or relative jets, if
            their pt is not known: what needs it then raises :class:`PtUnknown`.
        axis: ``[J, 3]`` (pt in GeV, eta, phi) that relative features refer to; None
            for the axes of the particles themselves.
        fpnd: of real jets, measures FPND with respect to jets of their kind; None
            where there is no reference for them.

    Raises:
        InputError: no jets, no particles, NaN or infinity.
    """

    def __init__(
        self,
        name: str,
        jets: Jets | RelativeJets,
        axis: Array | None = None,
        fpnd: FPND | None = None,
    ):
        self.name, self.fpnd = name, fpnd
        self._known: dict[Callable[..., Any], Any] = {}
        given = record(np, type(jets)(jets.particles, jets.mask))
        particles, mask = np.asarray(given.particles), np.asarray(given.mask)
        self._size = len(mask)
        if not mask.any():
            raise InputError(
                f"sample '{name}': no particles in {len(self)} jets; check that it was "
                "generated or read completely"
            )
        self._stop_at(~np.isfinite(particles), mask[..., None])
        self._jets: Jets | None = None
        if isinstance(jets, RelativeJets):
            self.relative = RelativeJets(particles, mask)
            return
        self._jets = Jets(particles, mask)
        args = (self._jets,) if axis is None else (self._jets, *floats(np, axis))
        self.relative: RelativeJets = map_chunks(relative, *args)
        self._stop_at(~np.isfinite(self.relative.particles), mask[..., None])

    def __len__(self) -> int:
        return self._size

    @property
    def has_pt(self) -> bool:
        """Whether the momenta of the jets are known."""
        return self._jets is not None

    @property
    def jets(self) -> Jets:
        """The jets in GeV.

        Raises:
            PtUnknown: only relative features are known.
        """
        if self._jets is None:
            raise PtUnknown("jets")
        return self._jets

    @property
    def binnings(self) -> dict[str, tuple[binning.Binning, ...]]:
        """Those of the observables, by ``"jet"`` and ``"particle"``."""
        if self.has_pt:
            return {"jet": binning.JETS, "particle": binning.PARTICLES}
        return {
            "jet": binning.RELATIVE_JETS,
            "particle": binning.RELATIVE_PARTICLES,
        }

    @functools.cached_property
    def jet(self) -> dict[str, np.ndarray]:
        """Observables of the jets, each ``[J]``."""
        if self._jets is None:
            whole = map_chunks(relative_jet_observables, self.relative)
        else:
            whole = map_chunks(jet_observables, self._jets)
        inside = map_chunks(substructure, self.relative)
        found = whole | {b.name: inside[b.name] for b in SUBSTRUCTURE}
        if not self.has_pt:
            found = _Observables(found)
        for values in found.values():  # they overflow before momenta do
            self._stop_at(~np.isfinite(values)[:, None])
        return found

    @property
    def particle(self) -> Mapping[str, np.ndarray]:
        """Observables of the particles that the mask holds, each ``[P]``."""
        return ParticleObservables(self._jets, self.relative)

    @functools.cached_property
    def features(self) -> np.ndarray:
        """The energy-flow polynomials of FPD and KPD, ``[J, 36]``."""
        return jet_features(self.relative)

    @functools.cached_property
    def correlations(self) -> dict[str, np.ndarray]:
        """Matrices of the observables of the jets, ``[F, F]`` each."""
        columns = np.column_stack(list(self.jet.values()))
        return {"pearson": pearson(columns), "spearman": spearman(columns)}

    def once(self, function: Callable[["Sample"], T]) -> T:
        """The function of this sample, computed when it is first asked for.

        Args:
            function: defined at the top of a module, so that it is the same one at
                each call.
        """
        if function not in self._known:
            self._known[function] = function(self)
        return self._known[function]

    def first(self, count: int) -> RelativeJets:
        """The first jets, relative."""
        return jax.tree.map(lambda a: a[:count], self.relative)

    def _stop_at(self, bad: np.ndarray, where: np.ndarray | None = None) -> None:
        if where is not None:
            bad = bad & where
        rows = np.any(bad.reshape(len(bad), -1), axis=1)
        if rows.any():
            raise InputError(
                f"sample '{self.name}': NaN or infinity in {rows.sum()} of {rows.size} "
                f"jets (first: jet {np.argmax(rows)}); such jets cannot be evaluated, "
                "repair or regenerate them"
            )
