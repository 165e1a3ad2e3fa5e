"""All figures of generated jets, each with the floor that real jets set."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.errors import InputError
from jetvae_jax.metrics import binning
from jetvae_jax.metrics.histogram_emd import bin_height_w1, histogram, histogram_emd
from jetvae_jax.metrics.jetnet_w1 import w1m, w1p
from jetvae_jax.metrics.observables import jet_observables, particle_observables
from jetvae_jax.metrics.protocols import PROTOCOLS, Protocol
from jetvae_jax.metrics.wasserstein import wasserstein_1d
from jetvae_jax.types import Jets, Key

Evaluation = dict[str, Any]


class _Measured(NamedTuple):
    """A sample cut to the common size, with its observables."""

    jets: Jets
    jet: dict[str, np.ndarray]
    particle: dict[str, np.ndarray]


def evaluate(
    key: Key,
    real: Jets,
    candidates: Mapping[str, Jets],
    *,
    truth: Jets | None = None,
    protocols: Sequence[Protocol] = PROTOCOLS,
) -> Evaluation:
    """Compares samples of jets with real jets.

    All samples are cut to their common number of jets (the first ones), since every
    figure depends on it. All candidates and the floor see the same draws of the key,
    so that their differences are not those of the draws.

    Args:
        key: drives the draws of W1M and W1P.
        real: real jets, particles ``[J, N, 3]`` in GeV.
        candidates: name to jets; each may have its own J and N.
        truth: further real jets, disjoint from ``real``: their figures are the floor
            no candidate is expected to beat. None leaves the floor out.
        protocols: of W1M and W1P.

    Returns:
        Plain dicts, lists, strings and numbers, ready for JSON::

            jets         number of jets compared, per sample
            jets_given   {sample: number of jets handed in}
            key          data of the key
            protocols    {name: {num_jets, num_batches, replace}}
            binnings     {"jet"|"particle": {observable: {bins, low, high, unit}}}
            candidates   {name: figures};  floor: figures, or None

        figures::

            jet          {observable: {emd, emd_normalised, bin_height_w1, w1,
                          outside_fraction, outside_fraction_real}}
            particle     the same
            emd_normalised_sum, bin_height_w1_sum   over the five published observables
            w1m, w1p     {protocol: {mean, std, num_jets, num_batches, replaced}}

    Raises:
        InputError: a sample without jets or particles, or with NaN or infinity.
    """
    floor = {} if truth is None else {"truth": truth}
    given = [("real", real), *floor.items(), *candidates.items()]
    sizes = [len(jets.mask) for _, jets in given]
    common = min(sizes)
    reference = _measure("real", real, common)
    draws = jax.random.split(key, (len(protocols), 2))

    def figures(name: str, jets: Jets) -> dict[str, Any]:
        return _figures(draws, reference, _measure(name, jets, common), protocols)

    return {
        "jets": common,
        "jets_given": {name: n for (name, _), n in zip(given, sizes, strict=True)},
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "protocols": {p.name: _described(p) for p in protocols},
        "binnings": {
            "jet": {b.name: _described(b) for b in binning.JETS},
            "particle": {b.name: _described(b) for b in binning.PARTICLES},
        },
        "candidates": {name: figures(name, jets) for name, jets in candidates.items()},
        "floor": None if truth is None else figures("truth", truth),
    }


def compare(x: np.ndarray, y: np.ndarray, bins: binning.Binning) -> dict[str, float]:
    """Figures of one observable.

    Args:
        x: ``[J]`` real values, finite.
        y: ``[M]`` values to judge, finite.
        bins: range and bins of the observable.

    Returns:
        ``emd`` and unbinned ``w1`` in the observable's unit, ``emd_normalised`` by the
        range, ``bin_height_w1``, and the fractions outside the range.
    """
    p, outside_real = histogram(x, bins.edges)
    q, outside = histogram(y, bins.edges)
    inside = [histogram(v, bins.edges, outside="drop")[0] for v in (x, y)]
    emd = float(histogram_emd(p, q, bins.edges))
    return {
        "emd": emd,
        "emd_normalised": emd / (bins.high - bins.low),
        "bin_height_w1": float(bin_height_w1(*inside)),
        "w1": float(wasserstein_1d(x, y)),
        "outside_fraction": float(outside),
        "outside_fraction_real": float(outside_real),
    }


def _figures(draws, real: _Measured, other: _Measured, protocols) -> dict[str, Any]:
    jet = _compare_all(real.jet, other.jet, binning.JETS)
    published = [jet[b.name] for b in binning.PAPER_JETS]
    result: dict[str, Any] = {
        "jet": jet,
        "particle": _compare_all(real.particle, other.particle, binning.PARTICLES),
        "emd_normalised_sum": sum(row["emd_normalised"] for row in published),
        "bin_height_w1_sum": sum(row["bin_height_w1"] for row in published),
        "w1m": {},
        "w1p": {},
    }
    for (mass_key, particle_key), protocol in zip(draws, protocols, strict=True):
        pair = (real.jets, other.jets)
        result["w1m"][protocol.name] = w1m(mass_key, *pair, protocol=protocol)
        result["w1p"][protocol.name] = w1p(particle_key, *pair, protocol=protocol)
    return result


def _compare_all(real, other, binnings) -> dict[str, dict[str, float]]:
    return {b.name: compare(real[b.name], other[b.name], b) for b in binnings}


def _measure(name: str, jets: Jets, num_jets: int) -> _Measured:
    """Cuts and measures a sample; one clear line if it cannot be judged."""
    jets = Jets(np.asarray(jets.particles)[:num_jets], np.asarray(jets.mask)[:num_jets])
    if not jets.mask.any():
        raise InputError(
            f"sample '{name}': no particles in {num_jets} jets; check that it was "
            "generated or read completely"
        )
    jet = {k: np.asarray(v) for k, v in jax.jit(jet_observables)(jets).items()}
    # An observable overflows before the momenta do; masked entries do not matter.
    finite = np.all([np.isfinite(values) for values in jet.values()], axis=0)
    finite &= np.isfinite(np.where(jets.mask[..., None], jets.particles, 0)).all((1, 2))
    if not finite.all():
        raise InputError(
            f"sample '{name}': NaN or infinity in {np.sum(~finite)} of {num_jets} jets "
            f"(first: jet {np.argmin(finite)}); such jets cannot be evaluated, repair "
            "or regenerate them"
        )
    return _Measured(jets, jet, particle_observables(jets))


def _described(thing: Protocol | binning.Binning) -> dict[str, Any]:
    """The fields of a dataclass without its name."""
    return {k: v for k, v in vars(thing).items() if k != "name"}
