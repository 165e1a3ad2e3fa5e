"""Numbers and names in sentences."""

import pytest

from jetvae_jax.core import words


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["g"], "g"), (["g", "q"], "g and q"), (["g", "q", "t"], "g, q and t")],
)
def test_names_are_listed_as_in_a_sentence(names, text):
    assert words.listed(names) == text


def test_one_is_singular():
    assert words.counted(1, "jet") == "1 jet" and words.counted(0, "jet") == "0 jets"
    assert words.counted(2500, "jet") == "2,500 jets"


@pytest.mark.parametrize(
    ("value", "text"), [(1.55e16, "1.6e16"), (-1000.0, "-1.0e3"), (2e-7, "2.0e-7")]
)
def test_large_values_are_two_digits_and_an_exponent(value, text):
    assert words.in_short(value) == text
