"""The style sheet of a report: readable at any width, in light and in dark.
What all reports share: one HTML file that needs nothing else, figures inside it.
"""

import base64
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from jetvae_jax.core.files import write_atomically
from jetvae_jax.report import style, tables

CSS = """\
:root {
  color-scheme: light dark;
  --text: #1b1f24; --quiet: #57606a; --page: #ffffff; --line: #d0d7de;
  --stripe: #f6f8fa;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3; --quiet: #9da7b3; --page: #0d1117; --line: #30363d;
    --stripe: #161b22;
  }
}
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif;
}
main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
ul { padding-left: 1.2rem; overflow-wrap: anywhere; }
.note, figcaption { color: var(--quiet); font-size: 0.875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.875rem; }
th, td { padding: 0.3rem 0.6rem; text-align: right; white-space: nowrap; }
thead th {
  border-bottom: 2px solid var(--line); white-space: normal; vertical-align: bottom;
}
thead th:first-child { text-align: left; }
tbody tr { border-bottom: 1px solid var(--line); }
tbody tr:hover { background: var(--stripe); }
th[scope="row"] { text-align: left; font-weight: 500; }
td { font-variant-numeric: tabular-nums; }
tr.faint { color: var(--quiet); }
tr.faint th { font-weight: 400; min-width: 11rem; }
tr.section th { text-align: left; padding-top: 1.2rem; }
table.pairs td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
tr.section .note { display: block; font-weight: 400; white-space: normal; }
thead th { overflow-wrap: break-word; max-width: 11rem; }
thead .badge {
  min-width: 5.2rem; white-space: normal; line-height: 1.2; border-radius: 0.6em;
}
table.compact { font-size: 0.8125rem; }
table.compact :is(th, td) { padding: 0.25rem 0.45rem; }
table.compact tr.section th { padding-top: 1rem; }
th[scope="row"] {
  max-width: 26rem; min-width: 8rem; white-space: normal; overflow-wrap: anywhere;
}
.badge {
  display: inline-block; padding: 0 0.45em; border: 1px solid var(--line);
  border-radius: 1em; font-size: 0.72rem; font-weight: 400; white-space: nowrap;
  color: var(--quiet);
}
.badge.trained { background: #ffe9c2; border-color: #d9a441; color: #7a4a00; }
.badge.measured { background: #d7efe4; border-color: #5fae8f; color: #0b4f37; }
summary { cursor: pointer; }
figure { margin: 1.5rem 0; }
img {
  display: block; max-width: 100%; height: auto; background: #ffffff;
  border: 1px solid var(--line); border-radius: 6px;
}
figcaption { margin-top: 0.4rem; }
"""


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
