"""What all reports share: one HTML file that needs nothing else, figures inside it."""

import base64
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from jetvae_jax.files import write_atomically
from jetvae_jax.report import style, tables
from jetvae_jax.report.css import CSS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Summary = str | Sequence[str] | Mapping[str, Any]


class Plot(NamedTuple):
    """A figure still to be drawn: file name, heading, caption, how to draw it.

    ``below`` is HTML that follows it.
    """

    name: str
    heading: str
    caption: str
    draw: Callable[[], "Figure"]
    below: str = ""


def write(
    path: str | os.PathLike, title: str, parts: Sequence[str], plots: Iterable[Plot]
) -> pathlib.Path:
    """Writes the page, and each figure as PNG in ``figures/`` beside it.

    Every file appears whole or not at all. Consecutive figures of one heading stand
    under it together.

    Args:
        path: the HTML file to write; its folder must exist.
        title: of the page.
        parts: HTML that stands above the figures.
        plots: the figures.

    Raises:
        InputError: a file cannot be written.
    """
    path, parts, heading = pathlib.Path(path), list(parts), None
    folder = path.parent / "figures"
    for plot in plots:
        with style.look():
            image = style.png(plot.draw())
        folder.mkdir(exist_ok=True)
        with write_atomically(folder / f"{plot.name}.png") as part:
            part.write_bytes(image)
        if plot.heading != heading:
            parts.append(f"<h2>{escape(plot.heading)}</h2>")
        heading = plot.heading
        parts.append(_figure(image, plot.caption) + plot.below)
    with write_atomically(path) as part:
        part.write_text(html(title, "\n".join(parts)), encoding="utf-8")
    return path


def summary(given: Summary) -> str:
    """A text, one line each of a list, or names and values, as HTML."""
    if isinstance(given, Mapping):
        return tables.pairs(given)
    if isinstance(given, str):
        return f"<p>{escape(given)}</p>" if given else ""
    items = "\n".join(f"<li>{escape(str(line))}</li>" for line in given)
    return f"<ul>{items}</ul>" if items else ""


def _figure(image: bytes, caption: str) -> str:
    data = base64.b64encode(image).decode("ascii")
    caption = escape(caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def html(title: str, body: str) -> str:
    """The whole page around its body."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{CSS}</style>\n"
        f"</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
