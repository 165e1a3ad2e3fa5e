"""Files are whole or not there, and the older one stays."""

import os

import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import write_atomically


def test_the_file_appears_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with write_atomically(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_failure_leaves_the_older_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), write_atomically(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("place", ["no/a.txt", "folder"])
def test_what_the_disk_refuses_is_one_line(tmp_path, place):
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    path = tmp_path / place
    with (
        pytest.raises(InputError, match=r"^\S+: cannot be written \(.+\); check"),
        write_atomically(path) as part,
    ):
        part.write_text("new")
