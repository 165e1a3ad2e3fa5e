"""absl flags made from frozen dataclasses, so that no setting is written twice.

``define("conv_vae", conv_vae.Config)`` gives one flag a field, named
``--conv_vae.latent_dim``; its help is the field's line in the docstring.
"""

import dataclasses
import importlib.metadata
import json
import platform
import re
import types
import typing
from types import ModuleType
from typing import Any

from absl import flags

from jetvae_jax.core.errors import InputError


def field_help(config_class: type) -> dict[str, str]:
    """The text of each field under ``Attributes:`` in the docstrings of its classes."""
    texts = {}
    for owner in reversed(config_class.__mro__):
        _, _, section = (owner.__doc__ or "").partition("Attributes:")
        found = re.findall(r"^\s*(\w+): ((?:.|\n(?!\s*\w+: ))*)", section, re.MULTILINE)
        texts |= {name: " ".join(text.split()) for name, text in found}
    return texts


def _is_optional(kind: Any) -> bool:
    union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return union and type(None) in typing.get_args(kind)


def define(
    prefix: str,
    config_class: type,
    *,
    defaults: dict[str, Any] | None = None,
    skip: tuple[str, ...] = (),
    flag_values: flags.FlagValues = flags.FLAGS,
) -> None:
    """Define ``--prefix.field`` for every field, with the field's default.

    Args:
        prefix: what the flags begin with.
        config_class: a frozen dataclass.
        defaults: replace the fields' own.
        skip: fields that follow from others; :func:`read` leaves them alone.
        flag_values: where to define.

    Tuples become comma-separated lists (a later value replaces an earlier one),
    ``Literal`` becomes an enum, booleans take ``--name`` and ``--noname``.
    """
    texts = field_help(config_class)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        if field.name in skip:
            continue
        name, kind = f"{prefix}.{field.name}", hints[field.name]
        text = texts.get(field.name, "")
        default = (defaults or {}).get(field.name, field.default)
        if _is_optional(kind):
            kind = next(k for k in typing.get_args(kind) if k is not type(None))
        options = {"flag_values": flag_values, "module_name": prefix}
        if typing.get_origin(kind) is typing.Literal:
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


def read(
    prefix: str, config_class: type, flag_values: flags.FlagValues = flags.FLAGS
) -> Any:
    """The config that the parsed flags of ``prefix`` describe.

    Raises:
        InputError: a list holds something that is not of its type.
    """
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
    """A config from the dict that ``dataclasses.asdict`` made, lists as tuples.

    Raises:
        InputError: unknown fields, as from another version of the package.
    """
    known = {field.name for field in dataclasses.fields(config_class)}
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
        values: as :func:`with_name` made them.
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
    """Versions of what decides a result, for checkpoints and reports."""
    packages = ("jetvae_jax", "jax", "jaxlib", "flax", "optax", "distrax", "numpy")
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages
    }
