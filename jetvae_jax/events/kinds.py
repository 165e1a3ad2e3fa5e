"""Kinds of columns: each has its own scaling (:mod:`~jetvae_jax.events.transform`).

========  ===================================================  ========================
kind      values                                               generated values are
========  ===================================================  ========================
integer   counts: whole numbers >= 0                           counts seen in training
angle     azimuths, in rad, modulo 2 pi                        in [-pi, pi)
positive  above 0, often with a long tail (GeV)                above 0
bounded   between two limits                                   between them
plain     any                                                  any
========  ===================================================  ========================
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError

KINDS = ("integer", "angle", "positive", "bounded", "plain")
# The largest float32 number below pi.
BELOW_PI = float(np.nextafter(np.float32(np.pi), np.float32(0)))
MAX_COUNTS = 1_000
# A column of more different values is not guessed to be counts.
_FEW = 64


class Kind(NamedTuple):
    """The kind of one column.

    Attributes:
        name: one of ``KINDS``.
        low: lower limit of a bounded column.
        high: its upper limit.
    """

    name: str
    low: float = 0.0
    high: float = 0.0


class Columns(NamedTuple):
    """The columns of a table; hashable, a static argument of compiled functions.

    Attributes:
        names: of the C columns.
        kinds: of the C columns.
    """

    names: tuple[str, ...]
    kinds: tuple[Kind, ...]

    def where(self, *kinds: str) -> np.ndarray:
        """Positions of the columns of these kinds."""
        return np.array([i for i, k in enumerate(self.kinds) if k.name in kinds], int)


_DELTA_PHI = Kind("bounded", 0.0, BELOW_PI)
# Columns of the tables of experiments/make_zgamma.py.
KNOWN = {
    **dict.fromkeys(("mlly", "pt_zy", "e_zy", "mll", "pt_ll"), Kind("positive")),
    **dict.fromkeys(("e_ll", "dR_ll", "MET", "llpt_mlly"), Kind("positive")),
    **dict.fromkeys(("phi_zy", "phi_ll", "MET_phi"), Kind("angle")),
    **dict.fromkeys(("eta_zy", "eta_ll"), Kind("plain")),
    **dict.fromkeys(("Nj", "Ncj"), Kind("integer")),
    **dict.fromkeys(("dPhi_ll", "dPhi_METZy"), _DELTA_PHI),
}


def find(
    names: Sequence[str], values: np.ndarray, given: Sequence[str] = ()
) -> Columns:
    """The kinds of a table's columns, by name and by training values.

    Args:
        names: of the C columns.
        values: ``[J, C]`` training events.
        given: kinds given by the user, such as ``MET:plain`` or ``score:bounded:0:1``.

    Returns:
        Columns. A column of a known name has its known kind if its values allow it;
        else few different whole numbers are integer, a name with "phi" is an angle
        (bounded by 0 and pi if no value is outside), values above 0 are positive, and
        all others are plain.

    Raises:
        InputError: a given kind names no column or kind, or values contradict it.
    """
    decided = _parse(given, names)
    kinds = []
    for name, column in zip(names, np.asarray(values).T, strict=True):
        kind = decided.get(name)
        if kind is None:
            kind = _guess(name, column)
        elif problem := _problem(kind, column):
            raise InputError(
                f"{name}: cannot be {kind.name}: {problem}: give another kind"
            )
        kinds.append(kind)
    return Columns(tuple(names), tuple(kinds))


def _guess(name: str, column: np.ndarray) -> Kind:
    tries = [KNOWN[name]] if name in KNOWN else []
    if len(np.unique(column)) <= _FEW:
        tries.append(Kind("integer"))
    if "phi" in name.lower():
        tries += [_DELTA_PHI, Kind("angle")]
    tries.append(Kind("positive"))
    return next((kind for kind in tries if not _problem(kind, column)), Kind("plain"))


def _problem(kind: Kind, column: np.ndarray) -> str:
    """Why values ``[J]`` cannot be of a kind; an empty text if they can."""
    if kind.name == "integer":
        bad = (column < 0) | (column != np.floor(column)) | (column > 2**24)
        if not bad.any() and len(np.unique(column)) > MAX_COUNTS:
            return f"it has more than {MAX_COUNTS} different values"
        rule = "are not whole numbers of 0 or more"
    elif kind.name == "angle":
        bad, rule = np.abs(column) > 2 * np.pi + 1e-3, "are beyond 2 pi"
    elif kind.name == "positive":
        bad, rule = ~(column > 0), "are not above 0"
    elif kind.name == "bounded":
        # Values in files are rounded, to float32 or to four digits.
        slack = 1e-3 * (kind.high - kind.low)
        bad = (column < kind.low - slack) | (column > kind.high + slack)
        rule = f"are not between {kind.low:g} and {kind.high:g}"
    else:
        return ""
    if not bad.any():
        return ""
    return f"{bad.sum()} of {len(column)} values {rule} (such as {column[bad][0]:g})"


def _parse(given: Sequence[str], names: Sequence[str]) -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for text in given:
        name, _, rest = text.partition(":")
        kind, *limits = rest.split(":")
        if name not in names:
            raise InputError(f"kinds: {text}: {name!r} is not a column of the table")
        if kind not in KINDS or len(limits) != (2 if kind == "bounded" else 0):
            raise InputError(
                f"kinds: {text}: give column:kind with one of {', '.join(KINDS)}; "
                "bounded as column:bounded:low:high"
            )
        try:
            low, high = (float(limit) for limit in limits or (0, 0))
        except ValueError:
            raise InputError(f"kinds: {text}: the limits are not numbers") from None
        if kind == "bounded" and not -np.inf < low < high < np.inf:
            raise InputError(f"kinds: {text}: the first limit must be the lower one")
        found[name] = Kind(kind, low, high)
    return found
