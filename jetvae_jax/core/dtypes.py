"""Numbers of any type as floating-point numbers of one type, before anything else.

Small integers wrap around when they are subtracted or squared, sums in half precision
lose digits and overflow at 65,504, JAX cuts 64-bit integers to 32 bits without a
word and refuses the other byte order, and a mask of integers is taken for indices.
Public functions of arrays therefore begin with :func:`floats`, :func:`mask` or
:func:`record`; where the arrays are float32 already, they are not touched.

Without JAX, for those who need none: ``xp`` is ``numpy`` or ``jax.numpy``.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, TypeVar

import numpy as np

Record = TypeVar("Record", bound=tuple)

_KEPT = (np.dtype(np.float32), np.dtype(np.float64))
_NAMES_OF_CLASSES = ("labels", "kind")  # fields that are no quantities


def floats(xp: ModuleType, *numbers: Any) -> tuple[Any, ...]:
    """The arrays in the one floating type that holds all of them.

    Integers and booleans become the default float: float64 in NumPy, in JAX float32
    (float64 where 64 bits are enabled). Half precision becomes float32, in which
    results are returned, too. float32 and float64 remain what they are, as far as JAX
    has them, in the byte order of the machine.

    Args:
        xp: ``numpy`` or ``jax.numpy``, whose arrays are returned.
        *numbers: arrays, lists or numbers; None stays None.

    Raises:
        TypeError: something else than real numbers; a traced array where ``xp`` is
            NumPy.
    """
    found = [None if values is None else _float(xp, values) for values in numbers]
    arrays = [array for array in found if array is not None]
    if len({array.dtype for array in arrays}) < 2:
        return tuple(found)
    dtype = xp.result_type(*arrays)
    return tuple(
        array if array is None or array.dtype == dtype else array.astype(dtype)
        for array in found
    )


def mask(xp: ModuleType, values: Any) -> Any:
    """A mask as booleans, True where it is not zero; None stays None.

    Raises:
        TypeError: as :func:`floats`.
    """
    if values is None:
        return None
    array = _array(xp, values)
    _real_numbers(array.dtype)
    return xp.asarray(array if array.dtype == bool else array.astype(bool))


def record(xp: ModuleType, values: Record) -> Record:
    """The fields of a named tuple, such as jets or a batch, in one floating type.

    Fields named ``mask`` are masks, ``labels`` and ``kind`` stay as they are; so in
    tuples within.
    """
    return _filled(xp, values, iter(floats(xp, *_numbers(values))))


def for_jax(array: Any) -> Any:
    """An array of any kind as JAX takes it without changing a value.

    Raises:
        TypeError: integers beyond 32 bits, which JAX would cut.
    """
    import jax

    if not isinstance(array, np.ndarray):
        return array
    kept = jax.dtypes.canonicalize_dtype(array.dtype.newbyteorder("="))
    if kept.kind in "iu" and kept != array.dtype and array.size:
        limits = np.iinfo(kept)
        if not limits.min <= int(array.min()) <= int(array.max()) <= limits.max:
            raise TypeError(
                f"integers of {array.dtype} beyond {kept}: give them as floats, or "
                "enable 64 bits in JAX"
            )
    return array.astype(kept, copy=False)


def _numbers(values: Any) -> Iterator[Any]:
    """The fields that are numbers, depth first."""
    for name, value in zip(values._fields, values, strict=True):
        if hasattr(value, "_fields"):
            yield from _numbers(value)
        elif name not in ("mask", *_NAMES_OF_CLASSES):
            yield value


def _filled(xp: ModuleType, values: Any, numbers: Iterator[Any]) -> Any:
    """The tuple with other numbers, in the order of :func:`_numbers`."""

    def field(name: str, value: Any) -> Any:
        if hasattr(value, "_fields"):
            return _filled(xp, value, numbers)
        if name == "mask":
            return mask(xp, value)
        return value if name in _NAMES_OF_CLASSES else next(numbers)

    return type(values)(*map(field, values._fields, values))


def _float(xp: ModuleType, values: Any) -> Any:
    if isinstance(values, bool | int | float) and not hasattr(values, "dtype"):
        return xp.asarray(float(values))  # in JAX it leaves the type to the others
    array = _array(xp, values)
    if array.dtype not in _KEPT:
        _real_numbers(array.dtype)
        array = array.astype(_floating(xp, array.dtype))
    return array if hasattr(array, "aval") else xp.asarray(array)  # JAX's own, or not


def _floating(xp: ModuleType, dtype: np.dtype) -> np.dtype:
    """The type in which :func:`floats` returns numbers of this type."""
    if dtype.kind in "biu" or "int" in dtype.name:  # int4 of ml_dtypes has kind V
        return np.dtype(xp.result_type(float))
    wide = dtype.kind == "f" and dtype.itemsize > 4  # bfloat16 has another kind
    return _KEPT[wide]


def _array(xp: ModuleType, values: Any) -> Any:
    """NumPy's array, or JAX's if the values are one already and ``xp`` is JAX."""
    if xp is not np and isinstance(getattr(values, "dtype", None), np.dtype):
        return values
    try:
        return np.asarray(values)
    except TypeError as error:
        if xp is not np:
            return xp.asarray(values)  # a list of traced numbers
        raise TypeError(
            "this function computes on the host, in NumPy: call it outside of jit, "
            f"vmap and grad ({str(error).splitlines()[0]})"
        ) from error


def _real_numbers(dtype: np.dtype) -> None:
    if dtype.kind not in "biuf" and not dtype.name.startswith(
        ("bfloat", "float", "int", "uint")
    ):
        raise TypeError(f"real numbers expected, got an array of {dtype}")
