"""Checkpoints: npz files of named arrays and one JSON text.

The key of an array is its path in the tree (``params/encoder/mean/kernel``), so a
checkpoint can be read with ``numpy.load`` alone. Restoring compares every path,
shape and dtype: a checkpoint of another model is refused, never partly loaded.
"""

import contextlib
import json
import os
import pathlib
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import write_atomically

META = "meta.json"


def _is_key(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """The arrays of a tree by their paths, as they are stored."""
    # npz cannot store typed PRNG keys; their data are plain integers.
    return {
        name: np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
        for name, leaf in _by_path(tree).items()
    }


def save(
    path: str | os.PathLike,
    tree: Any,
    *,
    meta: dict | None = None,
    unbounded: Collection[str] = (),
) -> None:
    """Write a tree of finite arrays and its description atomically.

    The same tree and meta give the same bytes.

    Args:
        path: file to write, ending in ``.npz``.
        tree: any pytree of arrays or numbers; typed PRNG keys are allowed.
        meta: JSON-serialisable description.
        unbounded: paths of arrays that may be infinite, such as ``scaler/edges``.

    Raises:
        InputError: an array has NaN or infinite numbers, or the disk does not allow it.
    """
    text = json.dumps(meta or {}, sort_keys=True)
    arrays = {META: np.frombuffer(text.encode(), np.uint8)} | flatten(tree)
    _check_finite(
        f"{os.fspath(path)}: not written",
        arrays,
        "try a smaller learning_rate or clip_norm = 1",
        unbounded,
    )
    with write_atomically(path) as part, open(part, "wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def _load(path: pathlib.Path, names: list[str] | None = None) -> dict[str, np.ndarray]:
    if not path.exists():
        raise InputError(
            f"{path}: no such checkpoint: run experiments/train.py first, or correct "
            "the path"
        )
    if not zipfile.is_zipfile(path):  # np.load would propose to unpickle it
        raise InputError(
            f"{path}: not a whole checkpoint of this package: delete it and make it "
            "again"
        )
    try:
        # np.load does not close a file that it opened and that is not an archive.
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            return {name: file[name] for name in names or file.files}
    except (
        ValueError,
        OSError,
        KeyError,
        EOFError,
        AttributeError,  # np.load of a plain npy array: not an archive
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(
            f"{path}: not a whole checkpoint of this package ({error}): delete it and "
            "make it again"
        ) from error


def _check_finite(
    what: str, arrays: dict[str, np.ndarray], remedy: str, unbounded: Collection[str]
) -> None:
    """Raise InputError, with the first array that has NaN or infinite numbers."""
    for name, array in arrays.items():
        if jnp.issubdtype(array.dtype, jnp.inexact):
            good = ~np.isnan(array) if name in unbounded else np.isfinite(array)
            if bad := int(np.sum(~good)):
                raise InputError(
                    f"{what}: {name}: NaN or infinite in {bad:,} of {array.size:,} "
                    f"numbers: {remedy}"
                )


@contextlib.contextmanager
def understood(path: str | os.PathLike) -> Iterator[None]:
    """What the description of a checkpoint lacks, inside the block, is one line.

    Raises:
        InputError: a key is missing or a value is of another kind.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"{os.fspath(path)}: the description is not that of a checkpoint of this "
            f"package ({reason}): delete it and make it again"
        ) from error


def read_meta(path: str | os.PathLike) -> dict:
    """The description stored with a checkpoint.

    Args:
        path: of a file written by :func:`save`.

    Raises:
        InputError: the file is missing, truncated or not a checkpoint.
    """
    path = pathlib.Path(path)
    try:
        found = json.loads(_load(path, [META])[META].tobytes().decode())
        if not isinstance(found, dict):
            raise ValueError("not an object")
    except ValueError as error:  # of text or JSON, too
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: the description is damaged: delete it and make it again"
        ) from error
    return found


def is_of(path: str | os.PathLike, epoch: int) -> bool:
    """Whether there is a checkpoint of this best epoch.

    Raises:
        InputError: there is a file that is not a checkpoint.
    """
    return os.path.exists(path) and read_meta(path).get("best_epoch") == epoch


def named(keys: Any) -> str:
    """The path of an array in a tree by its keys, such as ``decoder/place``.

    Args:
        keys: as ``jax.tree_util`` gives them.
    """
    return jax.tree_util.keystr(keys, simple=True, separator="/")


def _by_path(tree: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {named(keys): leaf for keys, leaf in leaves}


def differences(stored: dict[str, np.ndarray], like: Any) -> list[str]:
    """How stored arrays differ from a tree in their paths, shapes and dtypes.

    Args:
        stored: arrays by path, as of :func:`flatten`.
        like: as for :func:`restore`.
    """
    wanted = _by_path(like)
    problems = [f"missing {name}" for name in wanted.keys() - stored.keys()]
    problems += [f"superfluous {name}" for name in stored.keys() - wanted.keys()]
    for name in wanted.keys() & stored.keys():
        leaf = wanted[name]
        if _is_key(leaf):
            # eval_shape also accepts templates without data.
            leaf = jax.eval_shape(jax.random.key_data, leaf)
        expected = (tuple(np.shape(leaf)), np.dtype(getattr(leaf, "dtype", type(leaf))))
        found = (stored[name].shape, stored[name].dtype)
        if expected[0][:1] == (0,):
            expected = ((*found[0][:1], *expected[0][1:]), expected[1])
        if expected != found:
            problems.append(f"{name}: expected {expected}, found {found}")
    return sorted(problems)


def restore(
    path: str | os.PathLike, like: Any, *, unbounded: Collection[str] = ()
) -> Any:
    """Read a tree of the same structure, shapes and dtypes as ``like``.

    Args:
        path: file written by :func:`save`.
        like: a tree of arrays or ``jax.ShapeDtypeStruct``; its values are not read. An
            array without rows stands for one of any number of rows.
        unbounded: as for :func:`save`.

    Returns:
        The tree with NumPy arrays (and typed keys where ``like`` has them).

    Raises:
        InputError: a path is missing or superfluous, or a shape or dtype differs;
            the message names each. An array has NaN or infinite numbers.
    """
    path = pathlib.Path(path)
    stored = _load(path)
    stored.pop(META, None)
    wanted = _by_path(like)
    if problems := differences(stored, like):
        raise InputError(f"{path}: does not fit this model: {'; '.join(problems[:5])}")
    remedy = "train again, or restore the file from a copy"
    _check_finite(str(path), stored, remedy, unbounded)
    values = []
    for name, leaf in wanted.items():
        value = stored[name]
        values.append(
            jax.random.wrap_key_data(jnp.asarray(value)) if _is_key(leaf) else value
        )
    return jax.tree_util.tree_unflatten(jax.tree.structure(like), values)
