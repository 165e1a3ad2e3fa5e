"""Metrics of generated digits, beside their values for real digits.

:func:`image_frechet` is the Fréchet distance as FID (arXiv:1706.08500), in the features
of :mod:`~jetvae_jax.images.digit_classifier` instead of Inception; the MPGAN study of
sparse MNIST (arXiv:2012.00173) used MoNet. Values by other classifiers are not
comparable, those of real against other real digits are the reference.

:func:`pixel_errors` compares reconstructions with their originals in pixels, so that
networks trained with different losses and scalings can be compared. All of them are
called on the host, not within jit.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.numerics import masked_mean, safe_sqrt
from jetvae_jax.core.types import Key, PixelSets
from jetvae_jax.images import digit_classifier
from jetvae_jax.images.digit_classifier import Classifier
from jetvae_jax.losses.distances.chamfer import nearest_neighbours
from jetvae_jax.metrics.frechet import frechet_distance, mean_and_covariance

METRICS = (
    ("frechet", "Fréchet distance of features ↓", ".1f", "frechet_std"),
    ("accuracy", "classifier sees the digit [%] ↑", ".1%", "accuracy_error"),
    ("distance", "distance to the nearest pixel [pixels] ↓", ".3f", None),
    ("squared", "Chamfer distance a pixel [pixels²] ↓", ".3f", None),
    ("intensity", "intensity gap to the nearest pixel ↓", ".3f", None),
)
"""Name, label, format and name of the error of each metric."""
DRAWS = 5
"""Draws of the Fréchet distance."""
_CHUNK = 1000  # sets at a time


def digit_table(
    key: Key,
    real: PixelSets,
    candidates: Mapping[str, PixelSets],
    *,
    classifier: Classifier | None,
    truth: PixelSets | None = None,
    paired: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Every metric of every candidate, and of real images against others.

    Args:
        key: drives the draws of the Fréchet distance.
        real: sets ``[J, K, 3]`` with labels.
        candidates: name to sets; labels are the digits on which they were
            conditioned, -1 for none.
        classifier: trained on other sets; None leaves out the metrics that need it.
        truth: other real sets with labels, for the floor of the pixel errors.
        paired: candidates that are reconstructions of ``real``, set by set from the
            first on.

    Returns:
        ``candidates``: name to its metrics; ``floor``: those of real images, the
        Fréchet distance between two halves, the classifier's accuracy, and the
        pixel errors between a real image and another of the same digit; ``notes``.
    """
    notes: list[str] = []
    floor = _frechet_floor(key, classifier, real, notes) | _accuracy(classifier, real)
    if truth is not None:
        floor |= _other_of_the_digit(real, truth)
    found = {}
    for name, sets in candidates.items():
        results = _accuracy(classifier, sets)
        if classifier is not None and "frechet" in floor:
            try:
                measured = image_frechet(key, classifier, real, sets)
                results |= {k: measured[k] for k in ("frechet", "frechet_std")}
                if measured["num_sets"] < len(real.labels) // 2:
                    notes.append(
                        f"{name}: Fréchet distance of {measured['num_sets']} sets, "
                        f"whose floor is {measured['floor']:.1f}"
                    )
            except InputError as error:
                notes.append(f"{name}: {error}")
        if name in paired:
            number = len(sets.mask)
            originals = jax.tree.map(lambda a, n=number: a[:n], real)
            results |= pixel_errors(originals, sets)
        blank = int(np.sum(~np.asarray(sets.mask).any(axis=-1)))
        if blank:
            notes.append(f"{name}: {blank:,} of {len(sets.labels):,} images are blank")
        found[name] = results | {"images": len(sets.labels)}
    return {"candidates": found, "floor": floor, "notes": notes}


def image_frechet(
    key: Key, classifier: Classifier, real: PixelSets, generated: PixelSets
) -> dict[str, Any]:
    """Fréchet distance of generated to real sets, and of real to other real sets.

    In each of five draws the real sets are cut at random into two parts of n, the
    first is compared with n generated sets and with the second: both distances have
    the bias of the same n, which is half of the real sets, or all generated ones.

    Args:
        key: drives the draws.
        classifier: gives the features that are compared.
        real: sets ``[J, K, 3]`` that the classifier was not trained on.
        generated: sets ``[M, K', 3]``.

    Returns:
        ``frechet`` and ``floor``, means over the draws; ``frechet_std`` and
        ``floor_std``, standard deviations over them; ``num_sets``, n.

    Raises:
        InputError: n does not exceed the number of features, or NaN in a point.
    """
    size = min(len(real.labels) // 2, len(generated.labels))
    if size <= digit_classifier.FEATURES:
        raise InputError(
            f"image_frechet: {len(real.labels)} real and {len(generated.labels)} "
            f"generated sets: give at least {2 * digit_classifier.FEATURES + 2} and "
            f"{digit_classifier.FEATURES + 1}"
        )
    seen, made = (digit_classifier.features(classifier, s) for s in (real, generated))
    pairs = []
    for draw in range(DRAWS):
        real_key, made_key = jax.random.split(jax.random.fold_in(key, draw))
        order = np.asarray(jax.random.permutation(real_key, len(seen)))
        chosen = np.asarray(jax.random.permutation(made_key, len(made)))[:size]
        first, second = seen[order[:size]], seen[order[size : 2 * size]]
        reference = mean_and_covariance(first)
        pairs.append(
            [
                float(frechet_distance(*reference, *mean_and_covariance(other)))
                for other in (made[chosen], second)
            ]
        )
    (frechet, floor), (frechet_std, floor_std) = np.mean(pairs, 0), np.std(pairs, 0)
    return {
        "frechet": float(frechet),
        "frechet_std": float(frechet_std),
        "floor": float(floor),
        "floor_std": float(floor_std),
        "num_sets": size,
    }


def pixel_errors(real: PixelSets, reconstructed: PixelSets) -> dict[str, float]:
    """Distances to the nearest pixel of the other set, and intensity gaps there.

    Args:
        real: ``[J, K, 3]``.
        reconstructed: ``[J, K', 3]``, in the same order.

    Returns:
        ``distance``: mean distance in pixels, averaged over both directions;
        ``squared``: mean squared distance, both directions summed, in pixels^2, the
        Chamfer distance of Eq. 1 over its number of points; ``intensity``: root of
        the mean squared intensity gap to the nearest pixel, both directions.

    Raises:
        ValueError: different numbers of sets, or none.
    """
    if len(real.mask) != len(reconstructed.mask) or not len(real.mask):
        raise ValueError(
            f"give as many reconstructions as sets, not {len(reconstructed.mask)} for "
            f"{len(real.mask)}"
        )
    pairs = tuple(
        (s.points.astype(jnp.float32), s.mask)
        for s in (record(jnp, real), record(jnp, reconstructed))
    )
    rows = min(_CHUNK, len(real.mask))
    distance, squared, gap = map(np.asarray, _errors_of_sets(rows, pairs))
    return {
        "distance": float(distance.mean(dtype=np.float64)),
        "squared": float(squared.mean(dtype=np.float64)),
        "intensity": float(np.sqrt(gap.mean(dtype=np.float64))),
    }


def text(result: Mapping[str, Any]) -> str:
    """The result of :func:`digit_table` as lines of about 100 characters or fewer."""
    names = list(result["candidates"])
    lines = [f"{'':40}" + "".join(f"{n[-14:]:>16}" for n in [*names, "floor"])]
    for label, cells in rows(result):
        lines.append(f"{label:40}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines) + "\n"


def rows(result: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Label and cells of every metric, a cell for each candidate, the floor last."""
    samples = [*result["candidates"].values(), result["floor"]]
    return [
        (label, [_cell(results, *how) for results in samples])
        for name, label, *form in METRICS
        if any(name in results for results in samples)
        for how in [(name, *form)]
    ]


def _frechet_floor(key, classifier, real, notes) -> dict[str, float]:
    if classifier is None:
        return {}
    try:
        measured = image_frechet(key, classifier, real, real)
    except InputError as error:
        _, _, reason = str(error).partition(": ")
        notes.append(f"Fréchet distance left out: {reason}")
        return {}
    return {"frechet": measured["floor"], "frechet_std": measured["floor_std"]}


def _accuracy(classifier, sets: PixelSets) -> dict[str, float]:
    if classifier is None or np.any(np.asarray(sets.labels) < 0):
        return {}
    found = digit_classifier.accuracy(classifier, sets)
    return {"accuracy": found["accuracy"], "accuracy_error": found["error"]}


def _other_of_the_digit(real: PixelSets, truth: PixelSets) -> dict[str, float]:
    """Pixel errors between images and others of the same digit, taken in turn."""
    labels, others = np.asarray(real.labels), np.asarray(truth.labels)
    chosen = np.full(len(labels), -1)
    for digit in np.unique(labels):
        mine, theirs = (np.flatnonzero(a == digit) for a in (labels, others))
        if len(theirs):
            chosen[mine] = theirs[np.arange(len(mine)) % len(theirs)]
    kept = chosen >= 0
    if not kept.any():
        return {}
    first, second = (
        jax.tree.map(lambda a, rows=rows: np.asarray(a)[rows], sets)
        for sets, rows in ((real, kept), (truth, chosen[kept]))
    )
    return pixel_errors(first, second)


def _errors_of_set(pair):
    (x, x_mask), (y, y_mask) = pair
    near = nearest_neighbours(x[..., :2], y[..., :2], x_mask=x_mask, y_mask=y_mask)
    ways = (
        (near.xy_sq, near.xy_index, x, x_mask, y),
        (near.yx_sq, near.yx_index, y, y_mask, x),
    )
    terms = []
    for square, index, mine, mask, others in ways:
        gap = mine[..., 2] - jnp.take_along_axis(others[..., 2], index, axis=-1)
        parts = (safe_sqrt(square) / 2, square, jnp.square(gap) / 2)
        terms.append([masked_mean(part, mask) for part in parts])
    return tuple(a + b for a, b in zip(*terms, strict=True))


def _errors_of_sets(rows, pairs):
    return jax.jit(lambda p: jax.lax.map(_errors_of_set, p, batch_size=rows))(pairs)


def _cell(results, name, form, error) -> str:
    if name not in results:
        return "\N{EN DASH}"
    values = [results[name]] + ([results[error]] if error in results else [])
    texts = [format(value, form).removesuffix("%") for value in values]
    return " ± ".join(texts)
