"""Splits are disjoint, complete and seeded."""

import numpy as np
import pytest

from jetvae_jax.core.errors import InputError
from jetvae_jax.data import split


@pytest.mark.parametrize("num_jets", [7, 100, 177_252])
def test_parts_are_disjoint_and_complete(num_jets):
    parts = split(3, num_jets)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(parts)), np.arange(num_jets), strict=True
    )


def test_sizes_are_the_fractions():
    assert [len(p) for p in split(0, 177_252)] == [124_076, 26_588, 26_588]
    assert [len(p) for p in split(0, 1000, fractions=(0.5, 0.3, 0.2))] == [
        500,
        300,
        200,
    ]


def test_seed_decides():
    first, again, other = split(1, 1000), split(1, 1000), split(2, 1000)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.train, other.train)
    # Random rows, not a run of neighbours: the mean of the test rows is 499.5 with
    # a deviation of 288.7 / sqrt(150) = 24.
    assert abs(first.test.mean() - 499.5) < 5 * 24


@pytest.mark.parametrize(
    "fractions",
    [
        (0.7, 0.2, 0.2),
        (0.8, 0.2),
        (1.0, 0.0, 0.0),
        (1.2, -0.1, -0.1),
        (np.nan, 0.5, 0.5),
    ],
)
def test_bad_fractions(fractions):
    with pytest.raises(InputError, match="fractions"):
        split(0, 100, fractions=fractions)


@pytest.mark.parametrize("num_jets", [0, 1, 2])
def test_empty_part(num_jets):
    with pytest.raises(
        InputError, match=f"^fractions: .* of a sample of {num_jets} leave"
    ):
        split(0, num_jets)


def test_bad_seed():
    with pytest.raises(InputError, match="seed is -1"):
        split(-1, 100)
