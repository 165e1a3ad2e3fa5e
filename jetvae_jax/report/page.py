"""HTML pages made of blocks: headings, paragraphs, lists, tables and plots.

A page is one file that needs no other: no network, and its plots inside. The template
``templates/blocks.html`` turns them into HTML and escapes every text.
"""

import base64
import functools
import importlib.util
import os
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from absl import logging

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import make_folder, write_atomically
from jetvae_jax.core.words import listed
from jetvae_jax.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Summary = str | Sequence[str] | Mapping[str, Any]


class Heading(NamedTuple):
    """A heading; level 2 begins a section."""

    text: str
    level: int = 2


class Paragraph(NamedTuple):
    """A paragraph, perhaps after a badge.

    Attributes:
        text: the paragraph.
        style: class in the style sheet: ``note`` is smaller and grey, ``strong`` bold.
        badge: a short label in front of the text.
    """

    text: str
    style: str = ""
    badge: str = ""


class Items(NamedTuple):
    """A bulleted list."""

    lines: Sequence[str]


class Cell(NamedTuple):
    """A cell of a table that is more than a text.

    Attributes:
        text: the content.
        badge: a short label after it.
        badge_style: class of the badge: ``trained``, ``measured`` or none.
        note: a second line in small letters.
    """

    text: str
    badge: str = ""
    badge_style: str = ""
    note: str = ""


Cells = Sequence[str | Cell]


class Row(NamedTuple):
    """A row of a table, named by its first cell.

    Attributes:
        cells: as many as the table has columns; one for a section.
        style: ``faint`` is grey, ``section`` is one cell that heads the rows after it.
    """

    cells: Cells
    style: str = ""


class Table(NamedTuple):
    """A table, which scrolls by itself on a narrow screen.

    Attributes:
        head: the headings of the columns; none if empty.
        rows: the rows.
        style: ``compact`` has smaller letters, ``pairs`` wraps its values.
    """

    head: Cells
    rows: Sequence[Row]
    style: str = ""


NARROW = 700
"""Pixels of a plot of one panel, at most: it shrinks to the width of the screen."""


class Plot(NamedTuple):
    """A figure that is drawn when the page is written.

    Attributes:
        name: of its PNG file, without suffix.
        heading: of the section it belongs to; consecutive plots may share one.
        caption: the text below it.
        draw: makes the figure.
    """

    name: str
    heading: str
    caption: str
    draw: Callable[[], "Figure"]


class Image(NamedTuple):
    """A PNG image with its caption.

    Attributes:
        data: in base64.
        caption: the text below it.
        narrow: it can be read on a narrow screen without scrolling.
    """

    data: str
    caption: str
    narrow: bool = False


class Details(NamedTuple):
    """Blocks that are folded away until the reader opens them."""

    summary: str
    blocks: Sequence["Block"]


class Trusted(NamedTuple):
    """HTML of a plotting library, put into the page without escaping."""

    html: str


Block = (
    Heading | Paragraph | Items | Table | Plot | Image | Details | Trusted
)  # fmt: skip


def missing() -> list[str]:
    """Packages that pages need and that are not installed."""
    needed = ("matplotlib", "jinja2")
    return [name for name in needed if importlib.util.find_spec(name) is None]


def announce_missing() -> None:
    """Says in one line, before the work, what a page will lack."""
    if lacking := missing():
        what = "no page" if "jinja2" in lacking else "a page without figures"
        logging.warning(
            "%s not installed: %s is written, all else is: pip install "
            "'jetvae_jax[plot]'",
            listed(lacking) + (" are" if len(lacking) > 1 else " is"), what,
        )  # fmt: skip


def write(path: str | os.PathLike, title: str, blocks: Iterable[Block]) -> pathlib.Path:
    """Writes a page, and each of its plots as PNG in ``figures/`` beside it.

    Every file is written completely or not at all. Without matplotlib there are no
    plots, without jinja2 nothing is written.

    Args:
        path: the HTML file to write; its folder must exist.
        title: of the page.
        blocks: the content. Plots are drawn one after the other, and must not be
            inside :class:`Details`.

    Returns:
        The path; that of its folder if there is no page.

    Raises:
        InputError: a file cannot be written.
    """
    path = pathlib.Path(path)
    lacking = missing()
    if "jinja2" in lacking:
        return path.parent
    folder, shown, section = path.parent / "figures", [], ""
    for block in blocks:
        if isinstance(block, Plot) and lacking:
            text = f"Figure {block.name} left out: matplotlib is not installed."
            block = Paragraph(text, "note")
        elif isinstance(block, Plot):
            with style.look():
                image = style.png(block.draw())
            make_folder(folder)
            with write_atomically(folder / f"{block.name}.png") as part:
                part.write_bytes(image)
            if block.heading != section:
                section = block.heading
                shown.append(Heading(section))
            # The first chunk of a PNG begins with its width.
            narrow = int.from_bytes(image[16:20], "big") <= NARROW
            data = base64.b64encode(image).decode("ascii")
            block = Image(data, block.caption, narrow)
        elif isinstance(block, Heading) and block.level == 2:
            section = block.text
        shown.append(block)
    with write_atomically(path) as part:
        part.write_text(html(title, shown), encoding="utf-8")
    return path


def html(title: str, blocks: Sequence[Block]) -> str:
    """The page as HTML; its plots must be images already.

    Raises:
        InputError: jinja2 is not installed.
    """
    return _template().render(title=title, blocks=blocks)


@functools.cache
def _template():
    try:
        import jinja2
    except ImportError as error:
        raise InputError(
            "reports need jinja2, which is not installed: "
            "pip install 'jetvae_jax[plot]'"
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jetvae_jax.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    for block in (Heading, Paragraph, Items, Table, Image, Details, Trusted):
        environment.tests[block.__name__.lower()] = functools.partial(
            lambda kind, value: isinstance(value, kind), block
        )
    return environment.get_template("page.html")


def summary(given: Summary) -> list[Block]:
    """A text, the lines of a list, or a table of names and values."""
    if not given:
        return []
    if isinstance(given, Mapping):
        return [pairs(given)]
    if isinstance(given, str):
        return [Paragraph(given)]
    return [Items([str(line) for line in given])]


def pairs(values: Mapping[str, Any]) -> Table:
    """A table of two columns, name and value, without headings."""
    rows = [
        Row([str(k), ", ".join(map(str, v)) if isinstance(v, list | tuple) else str(v)])
        for k, v in values.items()
    ]
    return Table([], rows, "pairs")


def meanings(of: Mapping[str, str]) -> Details:
    """What the names in a table mean, folded away."""
    return Details("What the scores are", [pairs(of)])


def table(
    head: Cells, rows: Iterable[Cells], *, faint: Iterable[Cells] = (), style: str = ""
) -> Table:
    """A table of plain rows.

    Args:
        head: the headings of the columns.
        rows: the cells of each row.
        faint: further rows, in grey.
        style: of the table, as in :class:`Table`.
    """
    quiet = (Row(cells, "faint") for cells in faint)
    return Table(head, [*map(Row, rows), *quiet], style)


def slug(name: str) -> str:
    """A name as part of a file name: letters, digits and ``_``, at most 40."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name)[:40].strip("_")
