"""Figures of samples of jets for notebooks."""

import numpy as np
import pytest

import jetvae_jax as jv
from jetvae_jax.metrics import substructure
from jetvae_jax.report import figures

FIGURES = "made"


@pytest.fixture(scope="module")
def samples(make_jets):
    return {"mine": make_jets(40, 6, seed=1), "input": make_jets(60, 6, seed=2)}


def labels(figure):
    return {axis.get_xlabel() for axis in figure.axes} - {""}


@pytest.mark.slow
def test_observables_by_name(samples):
    figure = figures.distributions(samples, ("tau21", "mass"))
    assert labels(figure) == {"τ₂₁", "jet mass [GeV]"}
    first, *_ = [axis for axis in figure.axes if axis.axison]
    # The input is drawn first, whatever its place; the values are those of its jets.
    fractions = first.patches[0].get_data().values
    found = np.asarray(substructure(jv.metrics.relative(samples["input"]))["tau21"])
    inside = np.mean((found >= 0) & (found <= 1))
    assert fractions.sum() == pytest.approx(inside, abs=1e-6)
    assert len(labels(figures.distributions(samples))) > 8


def test_relative_jets_are_compared_with_jets_in_gev(samples):
    mine = jv.metrics.relative(samples["mine"])
    shown = labels(figures.distributions({**samples, "mine": mine}))
    assert "τ₂₁" in shown and not any("GeV" in label for label in shown)


def test_jets_images_particles_and_training(samples):
    size = len(samples["mine"].mask)
    shown = figures.jets(samples)
    assert len(shown.axes) == 8
    assert shown._repr_png_().startswith(b"\x89PNG")  # which notebooks ask for
    assert "mine - input" in [a.get_title() for a in figures.images(samples).axes]
    assert any("pT" in label for label in labels(figures.particles(samples)))
    history = [{"train/loss": 1.0 / n, "valid/loss": 2.0 / n} for n in range(1, size)]
    (panel,) = figures.training(history).axes
    assert [line.get_label() for line in panel.lines] == ["training", "validation"]


def test_mistakes_are_one_line(samples):
    for draw in (figures.jets, figures.images, figures.particles):
        with pytest.raises(jv.InputError, match="have no 'input'"):
            draw({"mine": samples["mine"]})
    with pytest.raises(jv.InputError, match=r"no observable.*did you mean 'tau21'"):
        figures.distributions(samples, ("tau_21",))
