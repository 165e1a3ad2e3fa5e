"""Contexts of generated samples: drawn from data or a density, or given by the user."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.dtypes import floats
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Context, Key
from jetvae_jax.densities import copula

DENSITY_ROWS, DENSITY_SEED = 100_000, 0
"""Size and seed of the sample drawn from a density that is fitted to contexts."""

ContextSampler = Callable[[Key, int], Context]
"""Pure ``(key, J) -> Context`` of J samples, for use under ``jit`` with a fixed J."""


@dataclasses.dataclass(frozen=True)
class ContextRequest:
    """The contexts that a user wants samples for.

    Attributes:
        source: 'data' takes the contexts of training samples, 'density' draws from a
            density fitted to them.
        condition: name to value of the conditions given, in physical units; of a class
            its place among the names of the classes.
    """

    source: Literal["data", "density"] = "data"
    condition: Mapping[str, float] = dataclasses.field(default_factory=dict)


def parsed(
    texts: Sequence[str], known: Mapping[str, Sequence[str]], flag: str
) -> dict[str, float]:
    """Name to value from ``name=value``; of a class, its place among their names.

    Args:
        texts: of the command line.
        known: the conditions of the model. A class, such as the type of a jet, has the
            names of its values; a number has none.
        flag: for messages.

    Raises:
        InputError: a text of another form, an unknown or repeated name, an unknown
            class, or a value that is not a finite number.
    """
    found: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--{flag}={text}: write name=value, such as pt=1000")
        if not known:
            raise InputError(
                f"--{flag}={text}: this model was trained without conditions: train "
                "a conditional one first"
            )
        if name not in known:
            raise InputError(
                f"--{flag}={text}: {name!r} is not a condition of this model; it has "
                f"{', '.join(known)}"
            )
        if name in found:
            raise InputError(f"--{flag}: {name} is given twice")
        if classes := known[name]:
            if value not in classes:
                raise InputError(
                    f"--{flag}={text}: this model was trained on the classes "
                    f"{', '.join(classes)}"
                )
            found[name] = classes.index(value)
            continue
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = math.nan
        if not math.isfinite(found[name]):
            raise InputError(f"--{flag}={text}: {value!r} is not a finite number")
    return found


def rows_to_draw(
    table: Array,
    request: ContextRequest,
    given: Mapping[int, float],
    classes: Sequence[int] = (),
) -> np.ndarray:
    """The rows from which contexts are drawn, computed on the host.

    Where only some conditions are given, the others must be compatible with them: only
    the 1 % of the rows whose values are nearest to the given ones is kept (distances in
    units of standard deviations), at least twenty rows, and the given values replace
    theirs. A given class is not replaced: the rows are those of the class.

    Args:
        table: ``[A, C]`` contexts of training samples.
        request: the source, data or density.
        given: column to value.
        classes: columns that state the class of a row, 1 for its own and else 0. Each
            class has a density of its own, and as large a share as in the table.

    Returns:
        ``[B, C]`` float32.

    Raises:
        InputError: there is no row of the class; the source is a density, and the table
            is too small or constant.
    """
    rows = floats(np, table)[0].astype(np.float32, copy=False)
    for column in classes:
        if column in given:
            rows = rows[rows[:, column] == given[column]]
    if not len(rows):
        raise InputError(
            "--generate.condition: there are too few training jets of this class to "
            "take axes and conditions from"
        )
    if request.source == "density":
        rows = _drawn_by_class(rows, classes)
    given = {c: value for c, value in given.items() if c not in classes}
    if given:
        columns, values = list(given), np.array(list(given.values()), np.float32)
        spread = np.maximum(rows[:, columns].std(axis=0), 1e-6)
        distance = np.sum(np.square((rows[:, columns] - values) / spread), axis=-1)
        kept = np.argsort(distance, kind="stable")[: max(len(rows) // 100, 20)]
        rows = rows[kept].copy()
        rows[:, columns] = values
    return rows


def _drawn_by_class(rows: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """:data:`DENSITY_ROWS` rows, from a density for each class of the given ones."""
    if not classes:
        return _drawn_from_density(rows)
    others = np.setdiff1d(np.arange(rows.shape[1]), classes)
    kinds, kind = np.unique(rows[:, classes], axis=0, return_inverse=True)
    parts = []
    for i, numbers in enumerate(kinds):
        own = rows[kind.ravel() == i]
        number = round(DENSITY_ROWS * len(own) / len(rows))
        part = np.zeros((number, rows.shape[1]), np.float32)
        part[:, classes] = numbers
        part[:, others] = _drawn_from_density(own[:, others])[:number]
        parts.append(part)
    return np.concatenate(parts)


def _drawn_from_density(rows: np.ndarray) -> np.ndarray:
    """:data:`DENSITY_ROWS` rows from a density fitted to the given ones."""
    config = copula.Config()
    params = copula.fit(config, rows, what="contexts")
    density = copula.build(config, dim=rows.shape[-1])
    draw = jax.jit(density.sample, static_argnums=2)
    return np.asarray(draw(params, jax.random.key(DENSITY_SEED), (DENSITY_ROWS,)))


def drawn_rows(key: Key, rows: Array, num: int) -> Array:
    """Rows of a table drawn with replacement, ``[A, C] -> [num, C]``."""
    places = jax.random.randint(key, (num,), 0, len(rows))
    return floats(jnp, rows)[0][places]
