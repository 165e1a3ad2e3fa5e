"""The public face: what the API pages must show."""

import importlib
import inspect
import re
from pathlib import Path

PAGES = Path(__file__).parent / "api"


def listed() -> list[str]:
    """Full names of all objects and modules that the API pages list."""
    found = []
    for page in sorted(PAGES.glob("*.md")):
        module = ""
        for line in page.read_text().splitlines():
            if line.startswith(".. currentmodule::"):
                module = line.split()[-1]
            elif re.fullmatch(r"   [\w.]+", line):
                name = line.strip()
                found.append(f"{module}.{name}" if module else name)
    return found


def find(name: str):
    """The object of a full name; None if there is none."""
    first, *parts = name.split(".")
    value = importlib.import_module(first)
    for part in parts:
        fields = getattr(value, "__dataclass_fields__", {})
        if hasattr(value, part) or part in fields:
            value = getattr(value, part, fields.get(part))
        else:
            try:
                value = importlib.import_module(f"{value.__name__}.{part}")
            except (ImportError, AttributeError):
                return None
    return value


def key(name: str) -> str:
    """Where an object is defined; the name itself if it does not say so."""
    value = find(name)
    value = inspect.unwrap(value) if callable(value) else value
    module, own = getattr(value, "__module__", ""), getattr(value, "__qualname__", "")
    return f"{module}.{own}" if module and own else name


def names() -> dict[str, str]:
    """Where an object is defined to the name of its page."""
    found = {}
    for name in listed():
        value = find(name)
        if inspect.ismodule(value):
            for part, member in vars(value).items():
                own = getattr(member, "__module__", "") == value.__name__
                if own and not part.startswith("_"):
                    found.setdefault(f"{name}.{part}", f"{name}.{part}")
        else:
            found[key(name)] = name
    return found


def modules() -> set[str]:
    """Modules that have a page of their own."""
    return {name for name in listed() if inspect.ismodule(find(name))}
