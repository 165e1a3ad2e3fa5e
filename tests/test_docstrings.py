"""Every public function says what it takes, returns and raises."""

import importlib
import inspect
import re

import pytest
from test_layers import MODULES


def public_functions():
    """Functions of all packages' ``__all__``, each once, by its dotted name."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"jetvae_jax.{name}".rstrip("."))
        if "._" in module.__name__:
            continue
        for public in getattr(module, "__all__", ()):
            value = getattr(module, public)
            if inspect.isfunction(inspect.unwrap(value)):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def lacking(function):
    """What the docstring does not say."""
    text = inspect.getdoc(function) or ""
    names = list(inspect.signature(function).parameters)
    lacks = [name for name in names if not re.search(rf"\b{name}\b", text)]
    source = inspect.getsource(inspect.unwrap(function))
    if re.search(r"^\s+raise \w+Error", source, re.MULTILINE) and "Raises:" not in text:
        lacks.append("Raises")
    return lacks


@pytest.mark.filterwarnings("ignore:.*is now:DeprecationWarning")
def test_public_functions_are_documented():
    functions = public_functions()
    assert len(functions) > 80
    found = {name: lacking(function) for name, function in functions.items()}
    assert {name: lacks for name, lacks in found.items() if lacks} == {}
