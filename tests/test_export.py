"""CSV and LaTeX of an evaluation."""

import csv
import io

import pytest

from jetvae_jax.metrics.suite import export
from jetvae_jax.metrics.suite.text import with_error


def results(w1m):
    return {
        "jet": {"mass": {"emd": 1.5, "ks": 0.1, "outside_fraction": 0.0}},
        "particle": {"ptrel": {"w1": 0.01}},
        "emd_normalised_sum": 0.02,
        "bin_height_w1_sum": 0.003,
        "protocols": {
            "small": {
                "w1m": {"value": w1m, "error": 1e-4},
                "cov": {"value": 0.5, "error": 0.02},
                "fpnd": {"value": 0.5, "num_jets": 10},
            },
            "other": {"w1m": {"value": 2e-3, "error": 0.0}},
        },
        "correlations": {"pearson": {"matrix": [[1.0]], "frobenius": 0, "largest": 0}},
    }


EVALUATION = {
    "candidates": {"a_b": results(1.23e-3), "50% & more": results(5e-3)},
    "floor": results(0.5e-3),
    "binnings": {
        "jet": {"mass": {"unit": "GeV"}},
        "particle": {"ptrel": {"unit": ""}},
    },
}


def test_csv_holds_every_number_once():
    rows = list(csv.DictReader(io.StringIO(export.csv(EVALUATION))))
    names = ("sample", "level", "name", "metric")
    keys = [tuple(row[name] for name in names) for row in rows]
    assert len(set(keys)) == len(keys) == 3 * 12
    found = dict(zip(keys, rows, strict=True))
    mass = found["a_b", "jet", "mass", "emd"]
    assert (mass["value"], mass["unit"], mass["error"]) == ("1.5", "GeV", "")
    assert {row["no_check"] for row in rows} == {"0"}
    held = csv.DictReader(
        io.StringIO(export.csv(EVALUATION | {"trained_on": ["mass"]}))
    )
    marked = {(r["name"], r["metric"]) for r in held if r["no_check"] == "1"}
    assert {"w1m", "emd_normalised_sum", "bin_height_w1_sum"} < {m for _, m in marked}
    assert {n for n, m in marked if m == "ks"} == {"mass"}
    w1m = found["floor", "protocol", "small", "w1m"]
    assert (float(w1m["value"]), float(w1m["error"])) == (0.5e-3, 1e-4)


def test_latex_rows_have_the_columns_of_the_head_and_escape_names():
    lines = export.latex(EVALUATION).splitlines()
    rows = [line for line in lines if line.endswith(r"\\")]
    assert len({line.count("&") - line.count(r"\&") for line in rows}) == 1
    assert len(rows) == 1 + 3 * 2
    row = next(line for line in rows if line.startswith(r"a\_b & small"))
    assert r"$1.23 \pm 0.10$" in row and r"$0.500 \pm 0.020$" in row
    assert any(line.startswith(r"50\% \& more & other") for line in rows)
    assert " -- " in next(line for line in rows if "other" in line)
    assert "KPD" not in lines[2] and "W1M ($10^{-3}$)" in lines[2]
    held = export.latex(EVALUATION | {"trained_on": ["mass"]}).splitlines()
    assert "W1M$^*$ ($10^{-3}$)" in held[2] and held[2].count("$^*$") == 1


@pytest.mark.parametrize(
    ("result", "scale", "text"),
    [
        ({"value": 0.71e-3, "error": 0.1e-3}, 1e-3, "0.71+-0.10"),
        ({"value": 12.345, "error": 3.2}, 1, "12.3+-3.2"),
        ({"value": 1234.5, "error": 40.0}, 1, "1234+-40"),
        ({"value": 0.123456}, 1, "0.123"),
        ({"value": 1.0, "error": 1.55e13}, 1e-3, "1.0e3+-1.6e16"),
        ({"value": float("inf"), "error": float("nan")}, 1e-3, "inf"),
        ({"value": 0.5, "error": 0.0}, 1, "0.5000+-0.0000"),
    ],
)
def test_a_value_shows_two_digits_of_its_error(result, scale, text):
    assert with_error(result, scale) == text
