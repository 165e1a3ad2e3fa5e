"""Read the arrays of a PyTorch state dict without PyTorch and without running code.

A torch file is a pickle, and unpickling calls whatever functions the file names. The
files are untrusted input: here they may name the four harmless ones of
:data:`ALLOWED`, everything else is refused. The layout is the one
``torch.save`` wrote before version 1.6: three pickles about the file, one of the
state dict, one of the storages' names, then each storage as an int64 count and its
values.
"""

import collections
import io
import math
import pickle
from typing import NamedTuple

import numpy as np

from jetvae_jax.core.errors import InputError

MAGIC = 0x1950A86A20F9469CFC6C


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]


def _tensor(storage, offset, shape, stride, *_) -> _Tensor:
    """Replaces ``torch._utils._rebuild_tensor_v2``: records where the values are."""
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    if list(stride) != steps or not isinstance(storage, _Storage):
        raise ValueError("a tensor is not one contiguous block of a storage")
    return _Tensor(storage, offset, shape)


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in ALLOWED:
            raise ValueError(f"it names {module}.{name}, which no state dict needs")
        return ALLOWED[module, name]

    def persistent_load(self, pid):
        _, dtype, key, *_ = pid
        return _Storage(key, dtype)


def read_state_dict(data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Arrays of a state dict by name.

    Args:
        data: the file's content.
        source: what to call it in a message.

    Returns:
        float32 and int64 arrays in the file's order.

    Raises:
        InputError: not such a file, cut short, or one that names other code.
    """
    stream = io.BytesIO(data)
    try:
        if _Unpickler(stream).load() != MAGIC:
            raise ValueError("it begins with another number")
        _Unpickler(stream).load()  # the version of the protocol
        if not _Unpickler(stream).load()["little_endian"]:
            raise ValueError("it is big-endian")
        tensors = dict(_Unpickler(stream).load())
        dtypes = {t.storage.key: t.storage.dtype for t in tensors.values()}
        storages = {
            key: _values(stream, dtypes[key]) for key in _Unpickler(stream).load()
        }
        return {
            name: storages[t.storage.key][t.offset :][: math.prod(t.shape)].reshape(
                t.shape
            )
            for name, t in tensors.items()
        }
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{source}: not a state dict as torch.save wrote it before 1.6: {error}"
        ) from error


def _values(stream: io.BytesIO, dtype: np.dtype) -> np.ndarray:
    count = int.from_bytes(stream.read(8), "little")
    data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError("it is cut short")
    return np.frombuffer(data, dtype)
