"""Help that is read in one screen: the flags people use, and the others by topic.

A topic is what the names of flags begin with, such as ``train``; flags without one are
the topic ``run``, and ``examples`` is the whole text at the top of the script.
"""

import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from absl import flags

from jetvae_jax.core.errors import InputError, did_you_mean

RUN, EXAMPLES = "run", "examples"
SHORT, FULL = "", "full"
_COLUMN = 34  # where the text of a flag begins
_LINES = 12  # of the script's text in the short help
_FLAGFILE = (
    "Flags may be in a file, one a line, by --flagfile=FILE; a later value replaces an "
    "earlier one."
)
Groups = Mapping[str, Sequence[str]]
"""What topics have in common, such as models, to the topics."""


def asked(arguments: Sequence[str]) -> str | None:
    """The topic of which help is asked for; None if it is not.

    Args:
        arguments: of the command line; ``--help`` is :data:`SHORT`, ``--helpfull`` is
            :data:`FULL`, ``--help=train`` and ``--help train`` are ``train``.
    """
    for i, argument in enumerate(arguments):
        name, equals, topic = argument.lstrip("-").partition("=")
        if argument == "--" or not argument.startswith("-"):
            continue
        if name == "helpfull":
            return FULL
        if name in ("help", "helpshort", "h", "?"):
            following = arguments[i + 1 : i + 2]
            if not equals and following and not following[0].startswith("-"):
                return following[0]
            return topic
    return None


def text(
    topic: str,
    known: Iterable[flags.Flag],
    *,
    about: str,
    shown: Sequence[str],
    groups: Groups,
) -> str:
    """The help that was asked for, for the width of the terminal.

    Args:
        topic: as :func:`asked` returns it.
        known: all flags of the script.
        about: its docstring.
        shown: names of the flags that people use, in the order to show them; all
            flags if empty.
        groups: how to list the topics.

    Raises:
        InputError: there is no such topic.
    """
    width = min(max(shutil.get_terminal_size((80, 24)).columns, 60), 100) - 1
    topics = by_topic(known, shown)
    everything = {flag.name: flag for found in topics.values() for flag in found}
    about = _wrapped(about, width)
    if topic == FULL:
        parts = [_section(name, found, width) for name, found in topics.items()]
        return "\n\n".join([about, *parts])
    if topic == EXAMPLES:
        return about
    if topic != SHORT:
        wanted = topic.lower()
        name = _topic(wanted) if wanted in everything else wanted
        names = [name] if name in topics else groups.get(name, ())
        there = [name for name in names if name in topics]
        if not there:
            hint = did_you_mean(wanted, [*topics, *groups, *everything])
            listed = ", ".join([*topics, EXAMPLES])
            raise InputError(f"--help={topic}: is no topic{hint}; choose of {listed}")
        return "\n\n".join(_section(name, topics[name], width) for name in there)
    used = [everything[name] for name in shown] or list(everything.values())
    beginning = _beginning(about)
    parts = [beginning, _lines(used, width), textwrap.fill(_FLAGFILE, width)]
    if len(used) < len(everything) or beginning != about:
        cut = [EXAMPLES] if beginning != about else []
        parts.append(_contents([*topics, *cut], groups, width))
    return "\n\n".join(parts)


def by_topic(
    known: Iterable[flags.Flag], shown: Sequence[str]
) -> dict[str, list[flags.Flag]]:
    """Topic to its flags; those of the flags that people use come first."""
    topics: dict[str, list[flags.Flag]] = {_topic(name): [] for name in shown}
    for flag in known:
        topics.setdefault(_topic(flag.name), []).append(flag)
    return topics


def _topic(name: str) -> str:
    prefix, dot, _ = name.partition(".")
    return prefix if dot else RUN


def _wrapped(about: str, width: int) -> str:
    """A text for the width of the terminal; commands, which are indented, are kept."""
    paragraphs = about.strip("\n").split("\n\n")
    return "\n\n".join(
        part if "\n  " in f"\n{part}" else textwrap.fill(part, width)
        for part in paragraphs
    )


def _beginning(about: str) -> str:
    """The first paragraphs of a text."""
    kept, lines = [], 0
    for paragraph in about.split("\n\n"):
        lines += paragraph.count("\n") + 2
        if kept and lines > _LINES:
            break
        kept.append(paragraph)
    return "\n\n".join(kept)


def _section(topic: str, found: Sequence[flags.Flag], width: int) -> str:
    return f"{topic}:\n{_lines(found, width)}"


def _lines(found: Iterable[flags.Flag], width: int) -> str:
    """A flag with its default and its text, in as few lines as can be read."""
    lines = []
    for flag in found:
        head = f"  --{flag.name}={_default(flag)}"
        head = f"{head}  " if len(head) > _COLUMN - 2 else head.ljust(_COLUMN)
        lines += textwrap.wrap(
            head + _described(flag), width, subsequent_indent=" " * 6,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines)


def _default(flag: flags.Flag) -> str:
    if flag.default is None:
        return "..."
    if isinstance(flag.default, list):
        return ",".join(map(str, flag.default))
    return str(flag.default).lower() if flag.boolean else str(flag.default)


def _described(flag: flags.Flag) -> str:
    choices = getattr(flag.parser, "enum_values", None) or ()
    text = re.sub(r"^<[^>]*>: ", "", flag.help or "")
    text = text if text.endswith("...") else text.removesuffix(".")
    if all(re.search(rf"\b{re.escape(str(choice))}\b", text) for choice in choices):
        return text
    return f"{text}: {', '.join(map(str, choices))}"


def _contents(topics: Sequence[str], groups: Groups, width: int) -> str:
    """The list of topics, those of no group first."""
    grouped = {name for names in groups.values() for name in names}
    own = [name for name in topics if name not in grouped]
    lines = ["More flags by topic with --help=TOPIC, all of them with --helpfull:"]
    for title, names in {"this script": own, **groups}.items():
        if there := [name for name in names if name in topics]:
            lines += textwrap.wrap(
                f"  {title:<17} {', '.join(there)}", width, subsequent_indent=" " * 20,
                break_on_hyphens=False,
            )  # fmt: skip
    return "\n".join(lines)
