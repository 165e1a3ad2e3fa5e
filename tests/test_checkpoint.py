"""Checkpoints restore exactly what was saved, or say why not."""

import os

import jax
import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.training import checkpoint, read_meta, restore, save

TREE = {
    "encoder": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "steps": [np.int32(7), np.array([True, False])],
}


def test_round_trip_with_key_and_meta(tmp_path):
    path = tmp_path / "a.npz"
    tree = TREE | {"key": jax.random.key(3)}
    save(path, tree, meta={"units": "GeV", "filters": [1, 2]})
    back = restore(path, jax.eval_shape(lambda: tree))
    assert back["steps"][0] == 7 and back["steps"][0].dtype == np.int32
    np.testing.assert_array_equal(back["encoder"]["kernel"], TREE["encoder"]["kernel"])
    np.testing.assert_array_equal(
        jax.random.normal(back["key"], (5,)), jax.random.normal(jax.random.key(3), (5,))
    )
    assert read_meta(path) == {"units": "GeV", "filters": [1, 2]}


def test_same_tree_same_bytes(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.npz", TREE, meta={"z": 1, "a": 2})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"encoder": {"kernel": np.zeros((5, 7), np.float32)}},
            r"encoder/kernel.*\(5, 7\)",
        ),
        ({"encoder": {"kernel": np.zeros((2, 3), np.int32)}}, "encoder/kernel.*int32"),
        ({"encoder": {}}, "superfluous encoder/kernel"),
        ({"more": np.zeros(1)}, "missing more"),
    ],
)
def test_another_tree_is_refused(tmp_path, change, message):
    save(tmp_path / "a.npz", TREE)
    with pytest.raises(InputError, match=message):
        restore(tmp_path / "a.npz", TREE | change)


def test_missing_truncated_and_foreign_files(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(InputError, match=r"a\.npz: no such checkpoint"):
        restore(path, TREE)
    save(path, TREE)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"a\.npz: not a whole checkpoint"):
            restore(path, TREE)
    damaged = bytearray(whole)
    damaged[whole.index(b"PK", 4) - 5] ^= 255
    path.write_bytes(bytes(damaged))
    with pytest.raises(InputError, match=r"a\.npz"):
        restore(path, TREE)
    np.savez(path, a=np.zeros(2))
    with pytest.raises(InputError, match=r"a\.npz"):
        read_meta(path)
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"a\.npz"):
        restore(path, TREE)


def test_a_kill_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save(path, TREE)
    whole = path.read_bytes()

    def half_written(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.np, "savez", half_written)
    with pytest.raises(KeyboardInterrupt):
        save(path, {"other": np.zeros(3)})
    assert path.read_bytes() == whole
    assert os.listdir(tmp_path) in (
        ["a.npz"],
        ["a.npz", "a.npz.part"],
        ["a.npz.part", "a.npz"],
    )
