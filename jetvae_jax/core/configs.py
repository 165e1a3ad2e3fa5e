"""Frozen dataclasses that check their fields, and the absl flags made from them.

A Config states the limits of a field in its type, so that no setting and no check is
written twice::

    @configs.config
    class Config:
        latent_dim: PositiveInt = 30
        dropout: Annotated[float, between(0, 1)] = 0.0
        hidden: Annotated[tuple[PositiveInt, ...], not_empty] = (256,)
        output: Literal["sigmoid", "linear"] = "linear"

``define("conv_vae", conv_vae.Config)`` gives one flag a field, named
``--conv_vae.latent_dim``; its help is the field's line in the docstring.
"""

import dataclasses
import functools
import importlib.metadata
import json
import math
import numbers
import platform
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence, Sized
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import expanded

if TYPE_CHECKING:
    from absl import flags

MAX_SEED = 2**32 - 1
RENAMED_FLAGS: dict[str, str] = {}
"""Flags of earlier versions, and their names of today: of all that are defined."""
_TOO_LARGE = "is too large"
MAX_INT = 2**48  # beyond what anything can be counted, or held in memory

# Limits: functions from a value to what is wrong with it, or None. They are written
# such that NaN, for which every comparison is false, is refused.


def positive(value: float) -> str | None:
    """Above 0."""
    return None if value > 0 else "must be positive"


def not_negative(value: float) -> str | None:
    """0 or more."""
    return None if value >= 0 else "must not be negative"


def finite(value: float) -> str | None:
    """Neither infinite nor NaN."""
    return None if math.isfinite(value) else "must be finite"


def not_empty(value: Sized) -> str | None:
    """At least one entry."""
    return None if len(value) else "must not be empty"


def distinct(value: Sequence) -> str | None:
    """No entry twice."""
    again = [entry for i, entry in enumerate(value) if entry in value[:i]]
    return f"names {again[0]} twice" if again else None


def at_least(low: float) -> Callable[[float], str | None]:
    """``low`` or more."""
    return lambda value: None if value >= low else f"must be at least {low:g}"


def at_most(high: float) -> Callable[[float], str | None]:
    """``high`` or less."""
    return lambda value: None if value <= high else f"must be at most {high:g}"


def below(end: float) -> Callable[[float], str | None]:
    """Less than ``end``."""
    return lambda value: None if value < end else f"must be below {end:g}"


def between(low: float, high: float, unit: str = "") -> Callable[[float], str | None]:
    """From ``low`` to ``high``, both allowed; the unit is for the message."""
    text = f"must be between {low:g} and {high:g} {unit}".rstrip()
    return lambda value: None if low <= value <= high else text


def one_of(choices: Iterable[Any]) -> Callable[[Any], str | None]:
    """One of the choices; for those that are only known when the program runs."""
    known = tuple(choices)

    def check(value: Any) -> str | None:
        if value in known:
            return None
        names = [str(choice) for choice in known]
        hint = did_you_mean(str(value), names)
        return f"must be one of {', '.join(names)}{hint}"

    return check


def whole(value: int) -> str | None:
    """An integer, of Python or of NumPy; no bool."""
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return None if integer else "must be a whole number"


def seed(value: int) -> str | None:
    """A seed that ``jax.random.key`` takes without dropping bits."""
    fits = f"must be between 0 and {MAX_SEED}"
    return whole(value) or (None if 0 <= value <= MAX_SEED else fits)


def large_seed(value: int) -> str | None:
    """A seed of NumPy's generator and of hashes, which have 64 bits."""
    fits = f"must be between 0 and {2**64 - 1}"
    found = whole(value) or not_negative(value)
    return found or (None if value < 2**64 else fits)


def sum_to_one(values: Iterable[float]) -> str | None:
    """Parts of a whole."""
    return None if abs(sum(values) - 1) < 1e-6 else "must sum to 1"


def path(value: str) -> str | None:
    """A path: its flag replaces ``~`` and ``$HOME``, as a shell does."""
    return "holds a character of code 0" if "\0" in value else None


PositiveInt = Annotated[int, positive]
NonNegativeInt = Annotated[int, not_negative]
PositiveFloat = Annotated[float, positive]
Seed = Annotated[int, seed]
LargeSeed = Annotated[int, large_seed]
NonNegativeFloat = Annotated[float, not_negative]
Path = Annotated[str, path]


_T = typing.TypeVar("_T")


@typing.dataclass_transform(frozen_default=True)
def config(config_class: type[_T]) -> type[_T]:
    """Make a class a frozen dataclass whose fields are checked against their types.

    Checked are the limits in ``Annotated``, the choices of a ``Literal``, the entries
    of a tuple and its length if that is fixed; a float is never NaN. A text where
    several are allowed is one of them. Relations between fields are checked by the
    ``__post_init__`` of the class, which runs afterwards.

    Raises:
        InputError: on making an instance; the message begins with the field's name.
    """
    rules = getattr(config_class, "__post_init__", None)

    def __post_init__(self: Any) -> None:
        for name, kind in _hints(type(self)).items():
            if isinstance(value := getattr(self, name), str) and _is_tuple(kind):
                object.__setattr__(self, name, (value,))
            if found := _mistake(kind, getattr(self, name)):
                complaint, value = found
                raise InputError(f"{name}: {complaint}, got {value!r}")
        if rules is not None:
            rules(self)

    setattr(config_class, "__post_init__", __post_init__)  # noqa: B010
    return dataclasses.dataclass(frozen=True)(config_class)


@functools.cache
def _hints(config_class: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(config_class, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(config_class)}


def _is_tuple(kind: Any) -> bool:
    if typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_origin(kind) is tuple


def _mistake(kind: Any, value: Any) -> tuple[str, Any] | None:
    """What is wrong with a value, and with which entry of it; None if it is valid."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    huge = None
    if origin is Annotated:
        kind, *limits = arguments
        if found := _mistake(kind, value):
            if found[0] != _TOO_LARGE:
                return found
            huge = found  # unless a limit says more
    elif origin is typing.Literal:
        limits = [one_of(arguments)]
    elif _is_optional(kind):
        kinds = [] if value is None else [k for k in arguments if k is not type(None)]
        return _mistake(kinds[0], value) if len(kinds) == 1 else None
    elif origin is tuple:
        if arguments[-1] is Ellipsis:
            arguments = arguments[:1] * len(value)
        elif len(value) != len(arguments):
            return f"must have {len(arguments)} values", value
        found = map(_mistake, arguments, value)
        return next(filter(None, found), None)
    else:
        if isinstance(value, float) and math.isnan(value):
            return "must be a number", value
        huge = isinstance(value, int) and abs(value) > MAX_INT
        return (_TOO_LARGE, value) if huge else None
    for limit in limits:
        try:
            complaint = limit(value)
        except TypeError:  # text from a file where a number belongs
            complaint = "has the wrong type"
        if complaint:
            return complaint, value
    return huge


def field_help(config_class: type) -> dict[str, str]:
    """The text of each field under ``Attributes:`` in the docstrings of its classes."""
    texts = {}
    for owner in reversed(config_class.__mro__):
        _, _, section = (owner.__doc__ or "").partition("Attributes:")
        found = re.findall(r"^\s*(\w+): ((?:.|\n(?!\s*\w+: ))*)", section, re.MULTILINE)
        texts |= {name: " ".join(text.split()) for name, text in found}
    # In the order of the fields, wherever a class takes its text from.
    fields = [field.name for field in dataclasses.fields(config_class)]
    first = [name for name in fields if name in texts]
    return {name: texts[name] for name in dict.fromkeys([*first, *texts])}


def _is_optional(kind: Any) -> bool:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return union and type(None) in typing.get_args(kind)


def define(
    prefix: str,
    config_class: type,
    *,
    defaults: dict[str, Any] | None = None,
    skip: tuple[str, ...] = (),
    flag_values: "flags.FlagValues | None" = None,
) -> None:
    """Define ``--prefix.field`` for every field, with the field's default.

    Args:
        prefix: what the flags begin with.
        config_class: a frozen dataclass.
        defaults: replace the fields' own.
        skip: fields that follow from others; :func:`read` leaves them alone. So it does
            those in the class attribute ``DERIVED``.
        flag_values: where to define; absl's own if not given.

    Tuples become comma-separated lists (a later value replaces an earlier one),
    ``Literal`` becomes an enum, booleans take ``--name`` and ``--noname``.
    """
    from absl import flags

    for old, new in getattr(config_class, "RENAMED", {}).items():
        RENAMED_FLAGS[f"{prefix}.{old}"] = f"{prefix}.{new}"
    texts = field_help(config_class)
    hints = typing.get_type_hints(config_class)
    paths = {name for name, kind in _hints(config_class).items() if _is_path(kind)}
    for field in dataclasses.fields(config_class):
        if field.name in (*skip, *getattr(config_class, "DERIVED", ())):
            continue
        name, kind = f"{prefix}.{field.name}", hints[field.name]
        text = texts.get(field.name, "")
        default = (defaults or {}).get(field.name, field.default)
        if _is_optional(kind):
            kind = next(k for k in typing.get_args(kind) if k is not type(None))
        options: dict[str, Any] = {
            "flag_values": flags.FLAGS if flag_values is None else flag_values,
            "module_name": prefix,
        }
        if field.name in paths:
            define_path(name, default, text, **options)
        elif typing.get_origin(kind) is typing.Literal:
            flags.DEFINE_enum(name, default, typing.get_args(kind), text, **options)
        elif typing.get_origin(kind) is tuple:
            items = [str(item) for item in default]
            flags.DEFINE_list(name, items, text, **options)
        elif kind is bool:
            flags.DEFINE_bool(name, default, text, **options)
        elif kind is int:
            flags.DEFINE_integer(name, default, text, **options)
        elif kind is float:
            flags.DEFINE_float(name, default, text, **options)
        else:
            flags.DEFINE_string(name, default, text, **options)


def _is_path(kind: Any) -> bool:
    """Whether a type is a path, or a tuple of paths."""
    if typing.get_origin(kind) is tuple:
        return _is_path(typing.get_args(kind)[0])
    if typing.get_origin(kind) is not Annotated:
        return False
    inner, *limits = typing.get_args(kind)
    return path in limits or _is_path(inner)


def define_path(name: str, default: Any, text: str, **options: Any) -> None:
    """Define a flag of a path, in which ``~`` and ``$HOME`` are replaced.

    Args:
        name: of the flag.
        default: a path, or a tuple of paths for a list of them; a flag whose default is
            None must not be empty.
        text: its help.
        options: of ``absl.flags.DEFINE``.
    """
    from absl import flags

    one, several = _path_parsers()
    if isinstance(default, tuple | list):
        parser: Any = several()
        serializer: Any = flags.CsvListSerializer(",")
        default = [str(item) for item in default]
    else:
        parser, serializer = one(default is None), flags.ArgumentSerializer()
    flags.DEFINE(parser, name, default, text, serializer=serializer, **options)


@functools.cache
def _path_parsers() -> tuple[type, type]:
    """Parsers of a path, and of a list of paths; absl is imported when it is needed."""
    from absl import flags

    class OnePath(flags.ArgumentParser):
        syntactic_help = "a path"

        def __init__(self, needed: bool):
            super().__init__()
            self.needed = needed

        def parse(self, argument: str) -> str:
            if self.needed and not argument:
                raise ValueError("is empty: name a folder")
            return expanded(argument)

    class Paths(flags.ListParser):
        def parse(self, argument):
            return [expanded(item) for item in super().parse(argument)]

    return OnePath, Paths


def read(
    prefix: str, config_class: type, flag_values: "flags.FlagValues | None" = None
) -> Any:
    """The config that the parsed flags of ``prefix`` describe.

    Raises:
        InputError: a list holds something that is not of its type, or a value is
            beyond the limits of its field.
    """
    from absl import flags

    flag_values = flags.FLAGS if flag_values is None else flag_values
    hints = typing.get_type_hints(config_class)
    values = {}
    for field in dataclasses.fields(config_class):
        name, kind = f"{prefix}.{field.name}", hints[field.name]
        if name not in flag_values:
            continue
        value: Any = flag_values[name].value
        if typing.get_origin(kind) is tuple:
            item = typing.get_args(kind)[0]
            try:
                value = tuple(item(text) for text in value)
            except ValueError as error:
                raise InputError(
                    f"--{name}={','.join(value)}: expected numbers separated by commas"
                ) from error
        values[field.name] = value
    try:
        return config_class(**values)
    except InputError as error:
        raise InputError(f"--{prefix}.{error}") from error


def from_json(config_class: type, values: dict) -> Any:
    """A config from the dict of ``dataclasses.asdict``, lists as tuples.

    Fields have their names of today, or those of a class attribute ``RENAMED``, a dict
    of earlier names to those of today.

    Raises:
        InputError: unknown fields, as from another version of the package.
    """
    known = {field.name for field in dataclasses.fields(config_class)}
    earlier = getattr(config_class, "RENAMED", {})
    values = {earlier.get(name, name): value for name, value in values.items()}
    if unknown := values.keys() - known:
        raise InputError(
            f"{config_class.__module__}: does not know {', '.join(sorted(unknown))}; "
            "these settings come from another version of this package"
        )
    return config_class(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    )


def named(package: ModuleType, values: dict) -> tuple[str, Any]:
    """Name and Config of a plug-in from ``{"name": ..., field: ...}``.

    Args:
        package: a package with a registry, such as ``jetvae_jax.models``.
        values: as :func:`with_name` returns them.
    """
    values = dict(values)
    name = values.pop("name")
    return name, from_json(package.get(name).Config, values)


def with_name(name: str, config: Any) -> dict:
    """A plug-in's Config as a dict, with its name."""
    return {"name": name} | dataclasses.asdict(config)


def plain(values: dict) -> dict:
    """Values as they come back from a JSON file: tuples are lists."""
    return json.loads(json.dumps(values))


def versions() -> dict[str, str]:
    """Versions of the packages that results depend on, for checkpoints and reports."""
    packages = ("jetvae_jax", "jax", "jaxlib", "flax", "optax", "distrax", "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }
