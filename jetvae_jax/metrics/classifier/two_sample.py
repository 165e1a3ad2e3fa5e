"""Classifier two-sample test: can a small network tell generated jets from real ones?

A classifier is trained on one part of both samples and scored by the area under its
ROC curve on another (Lopez-Paz and Oquab, arXiv:1610.06545): 0.5 if it finds no
difference, 1 if it separates them. It sees every particle and all correlations, so it
often finds what no single distribution shows; a classifier that finds nothing proves
nothing. Two networks are there: a deep set, which learns in half a minute
(:mod:`~jetvae_jax.metrics.classifier.network`), and a transformer, which sees pairs of
particles and finds more from many jets
(:mod:`~jetvae_jax.metrics.classifier.transformer`). It is called on the host, not
within jit.
"""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import dtypes, kinematics
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import safe_log
from jetvae_jax.core.types import Array, Jets, Key, RelativeJets
from jetvae_jax.metrics.classifier import network
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.observables.jets import relative

FOLDS = 3
Name = Literal["deep_set", "transformer"]


class Described(NamedTuple):
    """A classifier in results and tables.

    Attributes:
        result: name of its result.
        called: what it is called.
        num_jets: jets of each sample that an evaluation takes.
    """

    result: str
    called: str
    num_jets: int

    @property
    def label(self) -> str:
        """In tables."""
        return f"{self.called} AUC, best 0.5"


CLASSIFIERS: dict[Name, Described] = {
    "deep_set": Described("c2st", "classifier", 10_000),
    "transformer": Described("c2st_transformer", "transformer", 50_000),
}


def c2st(
    key: Key,
    real: Jets | RelativeJets,
    generated: Jets | RelativeJets,
    *,
    classifier: Name = "deep_set",
    epochs: int = 40,
    patience: int = 6,
) -> dict[str, Any]:
    """Area under the ROC curve of real against generated jets (arXiv:1610.06545).

    Of physical jets the classifier sees each particle relative to the jet's own axis
    with its pt, and that axis; of relative jets the relative features. 10,000 jets of
    30 particles in each sample take about half a minute on two cores, and the time
    grows with the number of jets.

    Args:
        key: drives the parts, the initial network and the order of training.
        real: jets ``[J, N, 3]``, mask ``[J, N]``.
        generated: of the same type, with its own J and N.
        classifier: the network; the transformer takes about twenty times as long.
        epochs: most passes over the training part.
        patience: epochs without a better validation loss before training stops.

    Returns:
        As :func:`c2st_sets`.

    Raises:
        InputError: too few jets, NaN or infinity, an unknown classifier.
        ValueError: samples of different types.
    """
    if type(real) is not type(generated):
        raise ValueError(
            f"both samples must be of one type, got {type(real).__name__} and "
            f"{type(generated).__name__}"
        )
    if not isinstance(real, Jets | RelativeJets):
        raise ValueError(f"samples are Jets or RelativeJets, got {type(real).__name__}")
    sizes = len(real.mask), len(generated.mask)
    if 0 in sizes:
        raise InputError(f"an empty sample: {sizes[0]} real, {sizes[1]} generated jets")
    samples = record(np, real), record(np, generated)
    x, y = ((_features(s), s.mask) for s in samples)
    return _tested(key, x, y, _network(classifier), epochs=epochs, patience=patience)


def c2st_table(
    key: Key, real: Array, generated: Array, *, epochs: int = 40, patience: int = 6
) -> dict[str, Any]:
    """The same test on rows of features: a table is a set of one point.

    Args:
        key: as :func:`c2st`.
        real: ``[J, F]``.
        generated: ``[M, F]``.
        epochs: as :func:`c2st`.
        patience: as :func:`c2st`.

    Returns:
        As :func:`c2st_sets`.

    Raises:
        InputError: too few rows, or NaN or infinity.
        ValueError: not tables, or of unequal numbers of features.
    """
    real, generated = floats(np, real, generated)
    if real.ndim != 2 or generated.ndim != 2:
        raise ValueError(
            f"tables are [J, F] and [M, F], got {real.shape} and {generated.shape}"
        )
    x, y = ((t[:, None], np.ones((len(t), 1), bool)) for t in (real, generated))
    return c2st_sets(key, *x, *y, epochs=epochs, patience=patience)


def c2st_sets(
    key: Key,
    x: Array,
    x_mask: Array,
    y: Array,
    y_mask: Array,
    *,
    epochs: int = 40,
    patience: int = 6,
) -> dict[str, Any]:
    """The test on sets of points with any features.

    Both samples are cut at random into three parts. In turn one trains, one decides
    when to stop, and one is scored, so every AUC is of jets that its classifier has
    not met. Inputs are standardised with the real training part.

    Args:
        key: drives the parts, the initial network and the order of training.
        x: real points ``[J, N, F]``.
        x_mask: ``[J, N]`` bool.
        y: generated points ``[M, N', F]``.
        y_mask: ``[M, N']`` bool.
        epochs: most passes over the training part.
        patience: epochs without a better validation loss before training stops.

    Returns:
        ``auc``: mean over the folds; below 0.5 is chance. ``error``: its standard
        error from the number of scored jets (DeLong, added over folds; the folds'
        trainings share jets, which it leaves out); zero if the samples are separated
        without exception. ``spread``: standard deviation of the folds. ``folds``: the
        AUC of each, ``epochs``: of the network that was kept. ``num_real``,
        ``num_generated``: jets scored.

    Raises:
        InputError: too few jets, or NaN or infinity where the mask is True.
        ValueError: shapes that do not fit.
    """
    return _tested(
        key, (x, x_mask), (y, y_mask), network.deep_set(),
        epochs=epochs, patience=patience,
    )  # fmt: skip


def _network(name: str) -> network.Network:
    if name == "deep_set":
        return network.deep_set()
    if name == "transformer":
        from jetvae_jax.metrics.classifier import transformer

        return transformer.transformer()
    raise InputError(f"classifier: must be {' or '.join(CLASSIFIERS)}, got {name!r}")


def _tested(
    key: Key,
    real: tuple[Array, Array],
    generated: tuple[Array, Array],
    classifier: network.Network,
    *,
    epochs: int,
    patience: int,
) -> dict[str, Any]:
    """The test of :func:`c2st_sets` by a classifier."""
    real, generated = _checked("real", *real), _checked("generated", *generated)
    if real[0].shape[-1] != generated[0].shape[-1]:
        raise ValueError(
            "samples differ in features: "
            f"{real[0].shape} real and {generated[0].shape} generated"
        )
    points = max(real[1].shape[1], generated[1].shape[1])
    first, second, *fold_keys = jax.random.split(key, 2 + FOLDS)
    parts = list(
        zip(
            _cut(first, *_padded(*real, points)),
            _cut(second, *_padded(*generated, points)),
            strict=True,
        )
    )
    results = []
    for i, fold_key in enumerate(fold_keys):
        training, validation, test = (parts[(i + s) % FOLDS] for s in range(3))
        kept, logits = network.train(
            fold_key, training, validation,
            network=classifier, epochs=epochs, patience=patience,
        )  # fmt: skip
        results.append((*auc_with_error(*map(logits, test)), kept))
    aucs, errors, kept = zip(*results, strict=True)
    return {
        "auc": float(np.mean(aucs)),
        "error": float(np.sqrt(np.sum(np.square(errors)))) / FOLDS,
        "spread": float(np.std(aucs, ddof=1)),
        "folds": list(aucs),
        "epochs": list(kept),
        "num_real": sum(len(mask) for (_, mask), _ in parts),
        "num_generated": sum(len(mask) for _, (_, mask) in parts),
    }


def auc_with_error(low: Array, high: Array) -> tuple[float, float]:
    """Probability that a score of ``high`` exceeds one of ``low``; ties count half.

    This is the area under the ROC curve (Mann and Whitney), exact in float64. The
    error follows DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837: the
    spread of each sample's placements in the other one.

    Args:
        low: ``[J]`` scores of the real sample, J > 1.
        high: ``[M]`` scores of the other, M > 1.

    Returns:
        The area and its standard error.

    Raises:
        ValueError: fewer than two scores of a kind.
    """
    low, high = map(np.sort, floats(np, low, high))
    if low.ndim != 1 or high.ndim != 1 or min(low.size, high.size) < 2:
        raise ValueError(
            f"the AUC needs two scores of each kind, got {low.shape} and {high.shape}"
        )
    above = _placements(high, low)
    below = 1 - _placements(low, high)
    error = np.sqrt(above.var(ddof=1) / above.size + below.var(ddof=1) / below.size)
    return float(above.mean()), float(error)


def _placements(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Fraction of the sorted ``others`` below each value, ties half."""
    sides = [np.searchsorted(others, values, side) for side in ("left", "right")]
    return (sides[0] + sides[1]) / (2.0 * others.size)


def _features(jets: Jets | RelativeJets) -> np.ndarray:
    """What the classifier sees of each particle, ``[J, N, F]``."""
    seen = _of_relative if isinstance(jets, RelativeJets) else _of_physical
    return map_chunks(seen, type(jets)(jets.particles, jets.mask))


def _of_physical(jets: Jets) -> Array:
    """Particles relative to the jet's own axis, and the axis with each of them."""
    particles = _of_relative(relative(jets))
    axis = kinematics.jet_pt_eta_phi(jets.particles, jets.mask)
    pt, eta, phi = axis[..., 0], axis[..., 1], axis[..., 2]
    whole = jnp.stack([safe_log(pt), eta, jnp.cos(phi), jnp.sin(phi)], axis=-1)
    shape = (*particles.shape[:-1], whole.shape[-1])
    whole = jnp.broadcast_to(whole[..., None, :], shape)
    return jnp.concatenate([particles, whole], axis=-1)


def _of_relative(jets: RelativeJets) -> Array:
    """Soft particles differ in the logarithm of ptrel, hard ones in ptrel itself."""
    ptrel = jets.particles[..., kinematics.PT, None]
    return jnp.concatenate([jets.particles, safe_log(ptrel, floor=1e-6)], axis=-1)


def _checked(name: str, x: Array, mask: Array) -> tuple[np.ndarray, np.ndarray]:
    sets = floats(np, x)[0].astype(np.float32, copy=False)
    exist = dtypes.mask(np, mask)
    if sets.ndim != 3 or exist.shape != sets.shape[:2]:
        raise ValueError(
            f"{name}: points are [J, N, F] with a mask [J, N], got {sets.shape} and "
            f"{exist.shape}"
        )
    if len(sets) < 2 * FOLDS:
        raise InputError(
            f"sample '{name}': {len(sets)} jets, but the classifier test needs at "
            f"least {2 * FOLDS}, better thousands"
        )
    sets = np.where(exist[..., None], sets, 0)
    finite = np.isfinite(sets).all((1, 2))
    if not finite.all():
        raise InputError(
            f"sample '{name}': NaN or infinity in {np.sum(~finite)} of {len(sets)} "
            f"jets (first: jet {np.argmin(finite)}); repair or leave out such jets"
        )
    return sets, exist


def _padded(x: np.ndarray, mask: np.ndarray, points: int) -> tuple:
    more = points - mask.shape[1]
    return np.pad(x, ((0, 0), (0, more), (0, 0))), np.pad(mask, ((0, 0), (0, more)))


def _cut(key: Key, x: np.ndarray, mask: np.ndarray) -> list[tuple]:
    """Random parts of one size; the remainder, fewer than parts, is left out."""
    order = np.asarray(jax.random.permutation(key, len(x)))
    rows = order[: len(x) // FOLDS * FOLDS].reshape(FOLDS, -1)
    return [(x[few], mask[few]) for few in rows]
