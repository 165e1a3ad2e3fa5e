"""Figures of generated digits beside their floor: one dict, and as text."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jetvae_jax.errors import InputError
from jetvae_jax.metrics import digit_classifier
from jetvae_jax.metrics.digit_classifier import Classifier
from jetvae_jax.metrics.image_frechet import image_frechet
from jetvae_jax.metrics.pixel_errors import pixel_errors
from jetvae_jax.types import Key, PixelSets

FIGURES = (
    ("frechet", "Fréchet distance of features", ".1f", "frechet_std"),
    ("accuracy", "classifier sees the digit [%]", ".1%", "accuracy_error"),
    ("distance", "distance to the nearest pixel [pixels]", ".3f", None),
    ("squared", "Chamfer distance a pixel [pixels²]", ".3f", None),
    ("intensity", "intensity gap to the nearest pixel", ".3f", None),
)
"""Name, label, format, name of its error."""


def digit_table(
    key: Key,
    real: PixelSets,
    candidates: Mapping[str, PixelSets],
    *,
    classifier: Classifier | None,
    truth: PixelSets | None = None,
    paired: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Every figure of every candidate, and of real images against others.

    Args:
        key: drives the draws of the Fréchet distance.
        real: sets ``[J, K, 3]`` with labels.
        candidates: name to sets; labels are the digits that they should show, -1 if
            none was asked for.
        classifier: trained on other sets; None leaves out what needs it.
        truth: other real sets with labels, for the floor of the pixel errors.
        paired: candidates that are reconstructions of ``real``, set by set.

    Returns:
        ``candidates``: name to its figures; ``floor``: those of real images, the
        Fréchet distance between two halves, the classifier's accuracy, and the
        pixel errors between a real image and another of the same digit; ``notes``.
    """
    notes: list[str] = []
    floor = _frechet_floor(key, classifier, real, notes) | _accuracy(classifier, real)
    if truth is not None:
        floor |= _other_of_the_digit(real, truth)
    found = {}
    for name, sets in candidates.items():
        figures = _accuracy(classifier, sets)
        if classifier is not None and "frechet" in floor:
            try:
                measured = image_frechet(key, classifier, real, sets)
                figures |= {k: measured[k] for k in ("frechet", "frechet_std")}
                if measured["num_sets"] < len(real.labels) // 2:
                    notes.append(
                        f"{name}: Fréchet distance of {measured['num_sets']} sets, "
                        f"whose floor is {measured['floor']:.1f}"
                    )
            except InputError as error:
                notes.append(f"{name}: {error}")
        if name in paired:
            figures |= pixel_errors(real, sets)
        blank = int(np.sum(~np.asarray(sets.mask).any(axis=-1)))
        if blank:
            notes.append(f"{name}: {blank:,} of {len(sets.labels):,} images are blank")
        found[name] = figures | {"images": len(sets.labels)}
    return {"candidates": found, "floor": floor, "notes": notes}


def text(result: Mapping[str, Any]) -> str:
    """What :func:`digit_table` returns, as lines of at most 100 characters or so."""
    names = list(result["candidates"])
    lines = [f"{'':40}" + "".join(f"{n[-14:]:>16}" for n in [*names, "real"])]
    for label, cells in rows(result):
        lines.append(f"{label:40}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines) + "\n"


def rows(result: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Label and cells, one a candidate and the floor last, of every figure there is."""
    samples = [*result["candidates"].values(), result["floor"]]
    return [
        (label, [_cell(figures, *how) for figures in samples])
        for name, label, *form in FIGURES
        if any(name in figures for figures in samples)
        for how in [(name, *form)]
    ]


def _cell(figures, name, form, error) -> str:
    if name not in figures:
        return "\N{EN DASH}"
    values = [figures[name]] + ([figures[error]] if error in figures else [])
    texts = [format(value, form).removesuffix("%") for value in values]
    return " ± ".join(texts)


def _frechet_floor(key, classifier, real, notes) -> dict[str, float]:
    if classifier is None:
        return {}
    try:
        measured = image_frechet(key, classifier, real, real)
    except InputError as error:
        notes.append(f"Fréchet distance left out: {error}")
        return {}
    return {"frechet": measured["floor"], "frechet_std": measured["floor_std"]}


def _accuracy(classifier, sets: PixelSets) -> dict[str, float]:
    if classifier is None or np.any(np.asarray(sets.labels) < 0):
        return {}
    found = digit_classifier.accuracy(classifier, sets)
    return {"accuracy": found["accuracy"], "accuracy_error": found["error"]}


def _other_of_the_digit(real: PixelSets, truth: PixelSets) -> dict[str, float]:
    """Pixel errors of images to others of their digits, cyclically in their order."""
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
