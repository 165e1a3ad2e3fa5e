"""All metrics of generated jets, each with the floor that real jets set."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jetvae_jax.core import seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Jets, Key, RelativeJets
from jetvae_jax.metrics import measurements
from jetvae_jax.metrics.classifier import two_sample
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.distributions.correlations import distance
from jetvae_jax.metrics.suite.measurement import shortages
from jetvae_jax.metrics.suite.protocols import MEASURED, PROTOCOLS, Protocol
from jetvae_jax.metrics.suite.sample import FPND, Sample

Evaluation = dict[str, Any]


def evaluate(
    key: Key | None,
    real: Jets | RelativeJets,
    generated: Jets | RelativeJets | Mapping[str, Jets | RelativeJets],
    *,
    truth: Jets | RelativeJets | None = None,
    protocol: Protocol | Sequence[Protocol] = PROTOCOLS,
    axes: Mapping[str, Array] | None = None,
    fpnd: FPND | None = None,
    classify: bool | Sequence[two_sample.Name] = False,
    progress: Callable[[str], None] | None = None,
    measured: Callable[[str, dict[str, np.ndarray]], None] | None = None,
) -> Evaluation:
    """Compares samples of jets with real jets.

    All samples are cut to their common number of jets (the first ones), since every
    metric depends on it. All candidates and the floor see the same draws of the key,
    so that their differences are not those of the draws.

    Args:
        key: drives all draws; None for the seed of the (first) protocol.
        real: real jets, particles ``[J, N, 3]`` in GeV. If any sample is of relative
            jets, whose pt is not known, all are compared in relative features: what
            needs the pt is left out.
        generated: jets to compare with them, or name to jets; each may have its own J
            and N.
        truth: further real jets, disjoint from ``real``: their metrics are the floor
            that no candidate is expected to beat. None leaves the floor out.
        protocol: one or several.
        axes: ``"real"``, ``"truth"`` and the names of the candidates to the axes
            ``[J, 3]`` (pt in GeV, eta, phi) that relative features refer to, for all
            samples with pt or none; None for the axes of the particles themselves.
        fpnd: measures FPND, ``functools.partial(metrics.fpnd, jet_type="g")`` for
            example; None leaves it out.
        classify: run the classifier two-sample test too, by these classifiers: a deep
            set, on the first 10,000 jets of each, takes half a minute a sample on two
            cores; a transformer, on 50,000, takes an hour. True is the deep set.
        progress: called with the name of each sample before it is measured.
        measured: called with the observables ``[J]`` of ``"real"`` and of each
            candidate, so that the caller need not compute the substructure again.

    Returns:
        Plain dicts, lists, strings and numbers, ready for JSON::

            jets         number of jets compared, per sample
            jets_given   {sample: number of jets handed in}
            key          data of the key
            axis         "own" or "given": what relative features refer to
            relative     whether all is compared in relative features
            protocols    {name: fields of the protocol, draws of plug-in metrics}
            binnings     {"jet"|"particle": {observable: {bins, low, high, unit}}}
            observables  those of the correlation matrices
            correlations {"pearson"|"spearman": matrix of the real jets}
            candidates   {name: results};  floor: results, or None
            notes        where a protocol draws more jets than there are

        results::

            jet          {observable: {emd, emd_normalised, bin_height_w1, w1, ks,
                          outside_fraction, outside_fraction_real}}
            particle     the same
            emd_normalised_sum, bin_height_w1_sum   over the five published observables,
                          which need the pt
            protocols    {protocol: {metric: {value, error, ...}}}
            correlations {"pearson"|"spearman": {matrix, frobenius, largest}}
            c2st         {auc, error, ...} of the deep set, if asked for
            c2st_transformer  the same of the transformer

    Raises:
        InputError: a sample without jets or particles, of a single jet, or with NaN or
            infinity; a plug-in metric that cannot be used.
    """
    candidates = generated if isinstance(generated, Mapping) else {"jets": generated}
    protocols = (protocol,) if isinstance(protocol, Protocol) else tuple(protocol)
    if key is None:
        key = seeds.key(protocols[0].seed if protocols else 0)
    given = {"real": real} | ({} if truth is None else {"truth": truth})
    given |= candidates
    sizes = {name: len(jets.mask) for name, jets in given.items()}
    common = _common(sizes)
    relative = any(isinstance(jets, RelativeJets) for jets in given.values())

    def sample(name: str) -> Sample:
        jets = given[name]
        particles, mask = jets.particles[:common], jets.mask[:common]
        if isinstance(jets, RelativeJets):
            return Sample(name, RelativeJets(particles, mask), None, fpnd)
        axis = None if axes is None else axes[name][:common]
        found = Sample(name, Jets(particles, mask), axis, fpnd)
        return Sample(name, found.relative, None, fpnd) if relative else found

    reference = sample("real")
    if measured is not None:
        measured("real", reference.jet)

    def results(name: str) -> dict[str, Any]:
        if progress is not None:
            progress(name)
        other = sample(name)
        found = _compare(key, reference, other, protocols)
        for classifier in ("deep_set",) if classify is True else classify or ():
            result = two_sample.CLASSIFIERS[classifier].result
            found[result] = _classify(key, reference, other, classifier)
        if measured is not None and name != "truth":
            measured(name, other.jet)
        return found

    measured_all = {name: results(name) for name in candidates}
    floor = None if truth is None else results("truth")
    some = next(iter(measured_all.values()), floor or {"protocols": {}})
    return {
        "jets": common,
        "jets_given": sizes,
        "key": np.asarray(jax.random.key_data(key)).tolist(),
        "axis": "own" if axes is None else "given",
        "relative": relative,
        **_settings(protocols, reference),
        "observables": list(reference.jet),
        "correlations": {
            name: matrix.tolist() for name, matrix in reference.correlations.items()
        },
        "candidates": measured_all,
        "floor": floor,
        "notes": shortages(some["protocols"], measurements.known_metrics()),
    }


def _common(sizes: Mapping[str, int]) -> int:
    """The number of jets that all samples have."""
    smallest = min(sizes, key=sizes.__getitem__)
    if sizes[smallest] == 1:
        raise InputError(
            f"sample '{smallest}' holds a single jet: distributions need at least two"
        )
    return sizes[smallest]


def _settings(protocols: Sequence[Protocol], real: Sample) -> dict[str, Any]:
    """Protocols and binnings as JSON holds them."""
    plugins = {
        name: m.draws if isinstance(m.draws, int) else dataclasses.asdict(m.draws)
        for name, m in measurements.measurements().items()
        if (m.protocol_field or name) not in MEASURED
    }
    return {
        "protocols": {p.name: plugins | _fields(p) for p in protocols},
        "binnings": {
            level: {b.name: _fields(b) for b in found}
            for level, found in real.binnings.items()
        },
    }


def _fields(settings: Protocol | binning.Binning) -> dict[str, Any]:
    """The fields of a dataclass without its name."""
    fields = dataclasses.asdict(settings)
    fields.pop("name")
    return fields


def _compare(
    key: Key, real: Sample, other: Sample, protocols: Sequence[Protocol]
) -> dict[str, Any]:
    """All metrics of one sample but the classifier's."""
    jet = _compare_all(real.jet, other.jet, real.binnings["jet"])
    sums = {}
    if real.has_pt:
        published = [jet[b.name] for b in binning.PAPER_JETS]
        sums = {
            "emd_normalised_sum": sum(row["emd_normalised"] for row in published),
            "bin_height_w1_sum": sum(row["bin_height_w1"] for row in published),
        }
    particles = real.binnings["particle"]
    return {
        "jet": jet,
        "particle": _compare_all(real.particle, other.particle, particles),
        **sums,
        "protocols": measurements.measure(key, real, other, protocols),
        "correlations": {
            name: {"matrix": found.tolist()} | distance(real.correlations[name], found)
            for name, found in other.correlations.items()
        },
    }


def _compare_all(real, other, binnings) -> dict[str, dict[str, float]]:
    return {b.name: binning.compare(real[b.name], other[b.name], b) for b in binnings}


def _classify(
    key: Key, real: Sample, other: Sample, classifier: two_sample.Name
) -> dict[str, Any]:
    samples = [s.jets if real.has_pt else s.relative for s in (real, other)]
    number = two_sample.CLASSIFIERS[classifier].num_jets
    pair = (jax.tree.map(lambda a: a[:number], jets) for jets in samples)
    return two_sample.c2st(key, *pair, classifier=classifier)
