"""A metric is one file: measured, labelled and drawn with no other change."""

import csv
import io
import json
import pkgutil
import re
import zlib

import jax
import numpy as np
import pytest
from samples import jets

from jetvae_jax import metrics, report
from jetvae_jax.core.errors import InputError
from jetvae_jax.metrics.suite.protocols import Draws, Protocol

PLUGIN = '''
"""Difference of the median mass, and the share of jets above 100 GeV."""

import numpy as np

from jetvae_jax.metrics import Draws, Measurement, Metric, over_batches

FIGURES = "none"


def measure(key, real, other, draws):
    x, y = real.jet["mass"], other.jet["mass"]
    gap = over_batches(
        key, lambda i, j: abs(np.median(x[i]) - np.median(y[j])), len(x), len(y), draws
    )
    return {"median_mass": gap, "heavy": {"value": float(np.mean(y > 100))}}


MEASUREMENT = Measurement(
    measure,
    {
        "median_mass": Metric(
            "median mass", scale=1e-2, unit="GeV", observables=("mass",)
        ),
        "heavy": Metric("heavy jets", higher_is_better=True),
    },
    draws=Draws(60, 4, replace=False),
)
'''
SMALL = Protocol("small", w1=Draws(50, 2), kpd=Draws(40, 2))


def evaluated():
    key = jax.random.key(3)
    return metrics.evaluate(
        key, jets(0), {"wide": jets(1, spread=0.4)}, truth=jets(2), protocol=SMALL
    )


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "median_mass.py").write_text(PLUGIN)
    monkeypatch.setenv("JETVAE_PLUGINS", str(tmp_path))
    return folder


@pytest.mark.slow
def test_a_metric_is_one_file(tmp_path, monkeypatch, plugin):
    result = evaluated()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    settings = {"num_jets": 60, "num_batches": 4, "replace": False}
    assert result["protocols"]["small"]["median_mass"] == settings
    assert list(metrics.known_metrics())[-2:] == ["heavy", "median_mass"]

    # Its own draws, of its own key.
    found = result["candidates"]["wide"]["protocols"]["small"]
    key = jax.random.fold_in(jax.random.key(3), zlib.crc32(b"median_mass"))
    x, y = (metrics.jet_observables(j)["mass"] for j in (jets(0), jets(1, spread=0.4)))
    expected = metrics.over_batches(
        key,
        lambda i, j: abs(np.median(x[i]) - np.median(y[j])),
        *(80, 80),
        Draws(60, 4, replace=False),
    )
    assert found["median_mass"]["num_jets"] == 60
    assert found["median_mass"]["replaced"] is False
    for name in ("value", "error"):
        assert found["median_mass"][name] == pytest.approx(expected[name], rel=1e-4)
    value = found["median_mass"]["value"]
    assert value > 5 * result["floor"]["protocols"]["small"]["median_mass"]["value"]

    line = next(x for x in metrics.table(result).splitlines() if "median mass ↓" in x)
    assert "1e-2 GeV" in line and f"{value / 1e-2:.0f}+-" in line
    assert "heavy jets ↑" in metrics.table(result)
    assert "median mass, heavy jets 60 x 4 jets" in metrics.table(result)

    rows = csv.DictReader(io.StringIO(metrics.csv(result)))
    row = next(r for r in rows if (r["sample"], r["metric"]) == ("wide", "median_mass"))
    assert (row["level"], row["name"], row["unit"]) == ("protocol", "small", "GeV")
    assert float(row["value"]) == value
    assert float(row["error"]) == found["median_mass"]["error"]

    head = metrics.latex(result).splitlines()[2]
    assert r"median mass ($10^{-2}$ GeV) $\downarrow$" in head
    assert r"heavy jets $\uparrow$" in head

    page = report.write(
        tmp_path / "r.html", title="", evaluation=result, trained_on={"mass"}
    ).read_text()
    row = re.search(r"<tr><th[^>]*>median mass ↓ .*?</tr>", page, re.DOTALL)
    assert row and "badge trained" in row[0] and "<td>10⁻² GeV</td>" in row[0]
    row = re.search(r"<tr><th[^>]*>heavy jets ↑.*?</tr>", page, re.DOTALL)
    assert row and "badge trained" not in row[0]

    # Without the file nothing of it is left, and no other number differs.
    monkeypatch.delenv("JETVAE_PLUGINS")
    without = evaluated()
    for results in (*result["candidates"].values(), result["floor"]):
        for name in ("median_mass", "heavy"):
            del results["protocols"]["small"][name]
    del result["protocols"]["small"]["median_mass"]
    assert without == result


def test_a_metric_that_no_protocol_knows_is_measured_once(plugin):
    text = (plugin / "median_mass.py").read_text()
    count = "from jetvae_jax.metrics import Draws\nCALLS = []\n"
    text = text.replace(
        "    x, y = real.jet", "    CALLS.append(1)\n    x, y = real.jet"
    )
    (plugin / "counted.py").write_text(count + text)
    (plugin / "median_mass.py").unlink()
    protocols = (SMALL, Protocol("other", w1=Draws(30, 1)))
    result = metrics.evaluate(None, jets(0), jets(1), protocol=protocols)
    found = [
        p["median_mass"] for p in result["candidates"]["jets"]["protocols"].values()
    ]
    assert found[0] == found[1]
    from jetvae_jax.metrics.measurements import _registry

    assert len(_registry.get("counted").CALLS) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("METRIC = 1", r"broken\.py.*MEASUREMENT"),
        ("import no_such_module", r"broken\.py.*no_such_module"),
        (PLUGIN.replace('"heavy"', '"w1m"'), r"'w1m' is defined in .*py, too"),
    ],
)
def test_a_broken_file_is_named(plugin, text, message):
    (plugin / "median_mass.py").unlink()
    (plugin / "broken.py").write_text(text)
    with pytest.raises(InputError, match=message):
        metrics.known_metrics()


def test_every_metric_has_a_label_and_one_owner():
    known = metrics.known_metrics()
    assert list(known) == [
        *("w1m", "w1p", "w1efp", "fpnd", "fpd", "kpd", "cov", "mmd", "fpd_exact")
    ]
    assert [name for name, m in known.items() if m.higher_is_better] == ["cov"]
    assert known["w1m"].scale == known["fpd"].scale == 1e-3
    assert (known["w1efp"].exponent, known["kpd"].exponent) == (-5, -6)


def test_public_names_are_complete_and_no_module_hides_one():
    assert set(dir(metrics)) == set(metrics.__all__)
    for name in metrics.__all__:
        value = getattr(metrics, name)
        assert not hasattr(value, "__path__"), name
        assert value.__doc__ or not callable(value), name
    modules = {module.name for module in pkgutil.iter_modules(metrics.__path__)}
    assert not modules & set(metrics.__all__)
    with pytest.warns(DeprecationWarning, match=r"images\.metrics\.digit_table"):
        assert metrics.digit_table.__name__ == "digit_table"
    with pytest.raises(AttributeError, match="no_such_metric"):
        getattr(metrics, "no_such_metric")  # noqa: B009
