"""Published entries: well formed, findable, and in the unit they were printed in."""

import math
import re

import pytest

from jetvae_jax.metrics.measurements import known_metrics
from jetvae_jax.metrics.suite import published

ENTRIES = published.PUBLISHED


def find(jet_class, model, metric, num_particles=30):
    return [
        entry.values[metric]
        for entry in published.published(jet_class, num_particles)
        if entry.model.startswith(model) and metric in entry.values
    ]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: f"{e.jet_class} {e.model}")
def test_entry_is_complete(entry):
    assert entry.jet_class in "gqt"
    assert entry.num_particles in (30, 150)
    assert entry.values
    assert set(entry.values) <= set(known_metrics())
    assert entry.mark in ("read", "quoted")
    assert entry.protocol
    assert re.search(r"arXiv:\d{4}\.\d{5}|notebook", entry.source)
    for metric, (value, error) in entry.values.items():
        assert math.isfinite(value)
        assert error is None or error > 0
        assert value >= 0 or metric == "kpd"
        if metric in ("cov", "mmd"):
            assert 0 < value < 1


def test_no_entry_is_listed_twice():
    names = [(e.jet_class, e.num_particles, e.model, e.source) for e in ENTRIES]
    assert len(set(names)) == len(names)


def test_known_values_are_found():
    assert find("g", "MPGAN", "fpnd") == [(0.12, None), (0.11, None)]
    assert find("t", "iGAPT", "fpd") == [(0.25, 0.03)]
    assert find("g", "EPiC-GAN", "w1m") == [(0.30, None)]
    assert find("q", "real jets", "kpd") == [(-3.0, 3.0)]
    assert find("g", "iGAPT", "kpd", 150) == [(158.1, 37.9)]


def test_floors_come_first_and_unknown_classes_have_none():
    kinds = [entry.kind for entry in published.published("g")]
    assert kinds == sorted(kinds)
    assert kinds[0] == "floor"
    assert published.published("w") == []
    assert published.published("g", 50) == []


def test_measured_values_take_the_printed_unit():
    entry = published.measured(
        "ours", "g", {"w1m": (7e-4, 2e-4), "fpd": 3e-4, "fpnd": 0.5}, protocol="10k x 5"
    )
    assert entry.values["w1m"] == pytest.approx((0.7, 0.2))
    assert entry.values["fpd"] == (pytest.approx(0.3), None)
    assert entry.values["fpnd"] == (0.5, None)
    assert (entry.mark, entry.kind) == ("measured", "generator")
    with pytest.raises(ValueError, match=r"'w1q'.*w1m"):
        published.measured("ours", "g", {"w1q": 1.0}, protocol="")
