"""The sentences of a report that depend on what was measured."""

from collections.abc import Collection, Mapping
from html import escape
from typing import Any

from jetvae_jax.report import tables
from jetvae_jax.report.style import TRAINED

HEADLINE = (
    "Every figure is a distance to real jets: lower is better. The floor is what other "
    "real jets score. The published EMD compares the heights of histogram bins and is "
    "blind to their position; it stands here only beside the published figures, which "
    "are of other jets."
)
IMAGES = (
    "Mean transverse momentum per jet and pixel around the jet's own axis, 100 by 100 "
    "pixels, and the difference from the input."
)
SINGLE_JETS = (
    "The first jets of each sample. The area of a particle is its share of the jet's "
    "transverse momentum; rings are the reconstruction of the same jet."
)
LATENTS = (
    "Encoded real samples, one panel per dimension, with their mean and standard "
    "deviation. What is sampled at generation should follow them."
)


def enforced(trained_on: Collection[str]) -> str:
    """A paragraph on what the training loss held; empty if nothing is known."""
    if not trained_on:
        return ""
    names = escape(", ".join(sorted(trained_on)))
    return (
        f'<p class="note">{tables.badge(TRAINED, kind="trained")} marks statistics '
        f"whose agreement the training enforced: {names}. That they agree is no sign "
        "of quality; judge by the others.</p>"
    )


def ratio(sizes: Mapping[str, int]) -> str:
    """What the panels of distributions show."""
    shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return (
        "Below, the ratio to the input. The grey band is the statistical error of the "
        f"input's {sizes['input']:,} jets, the limit of what this comparison can see; "
        "coloured bands are the samples' own. Values outside the range are not drawn; "
        f"the table counts them. Jets: {shown}."
    )


def floor(evaluation: Mapping[str, Any] | None, level: str) -> str:
    """What other real jets score, if an evaluation knows."""
    if not evaluation or evaluation["floor"] is None:
        return ""
    binnings = evaluation["binnings"][level]
    values = ", ".join(
        f"{name} {figures['emd']:.2g} {binnings[name]['unit']}".rstrip()
        for name, figures in evaluation["floor"][level].items()
    )
    return f"EMD that other real jets score, the floor: {values}."


def pulls(name: str, sizes: Mapping[str, int], *, paired: bool) -> str:
    """What the panels of pulls show.

    Args:
        name: the sample.
        sizes: sample to number of jets.
        paired: it was made from the input's jets, one by one.
    """
    caption = (
        f"{name} against input: generated less real jets in each bin, divided by the "
        f"statistical error of both samples ({sizes['input']:,} real and "
        f"{sizes[name]:,} generated jets). The grey band is one standard deviation, "
        "the limit of the comparison: for jets of the same distribution two thirds of "
        "the bins stay inside and chi2/ndf is about 1. Outer bins hold what lies "
        "beyond the range."
    )
    if paired:
        caption += (
            " These jets were made from the input's own jets and share their "
            "fluctuations: pulls are smaller than for independent jets."
        )
    return caption


def correlations(kind: str, sizes: Mapping[str, int], trained_on) -> str:
    """What the matrices show."""
    limit = 1 / max(sizes["input"] - 1, 1) ** 0.5
    caption = (
        f"{kind} correlations of the input, of each sample, and their difference. "
        "Differences in bold or with a dot exceed three times the statistical error of "
        "both samples; "
        f"that of {sizes['input']:,} real jets alone is at most {limit:.2g}."
    )
    if trained_on:
        caption += f" * {TRAINED}."
    return caption
