"""One HTML file that needs nothing else: no network, no script, no second file."""

import base64
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jetvae_jax.report import (
    curves,
    distributions,
    images,
    single_jets,
    style,
    tables,
)
from jetvae_jax.report import latents as latent_panels
from jetvae_jax.report.css import CSS
from jetvae_jax.types import Jets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Summary = str | Sequence[str] | Mapping[str, Any]


class _Plot(NamedTuple):
    """A figure still to be drawn: file name, heading, caption, how to draw it."""

    name: str
    heading: str
    caption: str
    draw: Callable[[], "Figure"]


def write(
    path: str | os.PathLike,
    *,
    title: str,
    summary: Summary = "",
    evaluation: Mapping[str, Any] | None = None,
    samples: Mapping[str, Jets] | None = None,
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    latents: Mapping[str, np.ndarray | None] | None = None,
) -> pathlib.Path:
    """Writes the report, and each figure as PNG in ``figures/`` beside it.

    Every file appears whole or not at all. What is missing is left out.

    Args:
        path: the HTML file to write; its folder must exist.
        title: heading of the page.
        summary: a text, one line each of a list, or names and values.
        evaluation: what `metrics.evaluate` returns.
        samples: name to jets. ``"input"`` are the real jets that others are compared
            with; ``"reconstruction"``, ``"prior"`` and ``"flow"`` have fixed colours.
        history: ``"vae"`` and ``"flow"`` (or other names) to a dict per epoch with
            ``train/<term>`` and ``valid/<term>``.
        latents: ``"posterior"`` to ``[J, L]``, ``"flow"`` to ``[M, L]``.

    Returns:
        The path of the HTML file.

    Raises:
        ValueError: samples without ``"input"``.
    """
    path = pathlib.Path(path)
    parts = [f"<h1>{escape(title)}</h1>", _summary(summary)]
    if evaluation:
        parts += _tables(evaluation)
    folder = path.parent / "figures"
    heading = None
    for plot in _plots(samples or {}, history or {}, latents or {}):
        with style.look():
            image = style.png(plot.draw())
        folder.mkdir(exist_ok=True)
        _replace(folder / f"{plot.name}.png", image)
        if plot.heading != heading:
            parts.append(f"<h2>{escape(plot.heading)}</h2>")
        heading = plot.heading
        parts.append(_figure(image, plot.caption))
    _replace(path, _page(title, "\n".join(parts)).encode())
    return path


def _plots(samples, history, latents) -> Iterator[_Plot]:
    if samples:
        if "input" not in samples:
            raise ValueError(f"samples need 'input', got {sorted(samples)}")
        # The input comes first: the others are drawn over it.
        samples = {"input": samples["input"], **samples}
        sizes = ", ".join(f"{name} {len(s.mask):,}" for name, s in samples.items())
        ratio = (
            "Below, the ratio to the input with the input's statistical error in "
            "grey. Values outside the published range are not drawn; the table counts "
            f"them. Jets: {sizes}."
        )
        yield _Plot(
            "jets",
            "Jets",
            f"Features of the jets. {ratio}",
            lambda: distributions.jets(samples),
        )
        yield _Plot(
            "particles",
            "Particles",
            f"Features of the particles that exist. {ratio}",
            lambda: distributions.particles(samples),
        )
        yield _Plot(
            "images",
            "Average jet images",
            "Mean transverse momentum per jet and pixel around the jet's own axis, "
            "100 by 100 pixels, and the difference from the input.",
            lambda: images.figure(samples),
        )
        yield _Plot(
            "single_jets",
            "Single jets",
            "The first jets of each sample. The area of a particle is its share of the "
            "jet's transverse momentum; rings are the reconstruction of the same jet.",
            lambda: single_jets.figure(samples),
        )
    posterior, flow = latents.get("posterior"), latents.get("flow")
    if posterior is not None:
        beyond = posterior.shape[1] - latent_panels.MAX_PANELS
        yield _Plot(
            "latents",
            "Latent variables",
            "Encoded real jets, one panel per dimension, with their mean and standard "
            "deviation. What is sampled at generation should follow them."
            + (f" {beyond} dimensions nearest N(0, 1) left out." * (beyond > 0)),
            lambda: latent_panels.figure(posterior, flow),
        )
    for name, rows in history.items():
        if curves.terms(rows):
            yield _Plot(
                f"curves_{name}",
                "Training",
                f"Terms of the {name} loss, mean per jet.",
                lambda rows=rows: curves.figure(rows),
            )


def _summary(summary: Summary) -> str:
    if isinstance(summary, Mapping):
        return tables.pairs(summary)
    if isinstance(summary, str):
        return f"<p>{escape(summary)}</p>" if summary else ""
    items = "\n".join(f"<li>{escape(str(line))}</li>" for line in summary)
    return f"<ul>{items}</ul>" if items else ""


def _tables(evaluation: Mapping[str, Any]) -> list[str]:
    return [
        "<h2>Headline</h2>",
        tables.headline(evaluation),
        f'<p class="note">{evaluation["jets"]:,} jets per sample. Every figure is a '
        "distance to real jets: lower is better. The floor is what other real jets "
        "score. The published EMD compares the heights of histogram bins and is blind "
        "to their position; it stands here only beside the published figures.</p>",
        "<h2>All figures</h2>",
        f"<details><summary>By observable</summary>{tables.full(evaluation)}</details>",
    ]


def _figure(image: bytes, caption: str) -> str:
    data = base64.b64encode(image).decode("ascii")
    caption = escape(caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{CSS}</style>\n"
        f"</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _replace(path: pathlib.Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(data)
    os.replace(temporary, path)
