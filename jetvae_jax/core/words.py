"""Numbers as they are written in logs, tables and at axes."""

import math
from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """``1 shard``, ``2,500 shards``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """``g``, ``g and q``, ``g, q and t``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def in_short(value: float) -> str:
    """Two digits and the exponent, as ``1.6e16``: of values that are very large."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def number(value: float, digits: int = 3) -> str:
    """A value with so many significant digits, with an exponent only if it is tiny."""
    text = f"{value:.{digits}g}"
    if "e" in text and 1e-6 <= abs(value) < 1e9:
        decimals = digits - 1 - math.floor(math.log10(abs(value)))
        return f"{value:.{max(decimals, 0)}f}"
    return text
