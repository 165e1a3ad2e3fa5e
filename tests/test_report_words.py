"""What a report says: one name for one thing, units at every axis, plain numbers."""

import functools
import re

import jax
import matplotlib as mpl
import numpy as np
import pytest
import samples

from jetvae_jax import metrics, report
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.words import counted, number
from jetvae_jax.events import evaluation as events
from jetvae_jax.events import report as events_report
from jetvae_jax.images import evaluation as images
from jetvae_jax.metrics import conditions
from jetvae_jax.metrics.distributions import binning
from jetvae_jax.metrics.labels import LABELS, label
from jetvae_jax.metrics.suite import text
from jetvae_jax.metrics.suite.export import latex
from jetvae_jax.metrics.suite.protocols import Draws, Protocol
from jetvae_jax.report import (
    about,
    correlations,
    distributions,
    jet_images,
    page,
    pulls,
    tables,
    training_plots,
)
from jetvae_jax.studies.find_jets import scores as find_scores
from jetvae_jax.studies.library import report as library
from jetvae_jax.studies.sample_limits.equivalent import Events
from jetvae_jax.studies.sample_limits.report import stored
from jetvae_jax.studies.toys import report as toys

SMALL = Protocol("small", w1=Draws(50, 2, replace=False))
jets = functools.partial(samples.jets, num_jets=60, num_particles=6)
OBSERVABLES = [b.name for b in (*binning.JETS, *binning.PARTICLES)]


@pytest.fixture(scope="module")
def evaluation():
    made = {"prior": jets(1), "flow": jets(2)}
    return metrics.evaluate(
        jax.random.key(0), jets(0), made, truth=jets(3), protocol=SMALL
    )


def first_cells(table):
    cells = [row.cells[0] for row in table.rows]
    return [cell if isinstance(cell, str) else cell.text for cell in cells]


def axis_names(figure):
    """The texts at the horizontal axes, without their units."""
    found = (axis.get_xlabel() for axis in figure.axes)
    return [re.sub(r" \[.*\]$", "", name) for name in found if name]


def test_tables_and_axes_have_the_same_names(evaluation):
    assert all(name in LABELS for name in OBSERVABLES)
    values = {n: np.linspace(0.1, 0.9, 50) for n in (b.name for b in binning.JETS)}
    sample = {"input": values, "flow": values}
    drawn = axis_names(distributions.jets(sample))
    drawn += axis_names(distributions.particles({"input": jets(0), "flow": jets(2)}))
    assert drawn == [label(name) for name in OBSERVABLES]
    assert set(drawn) <= set(first_cells(tables.full(evaluation)))
    assert set(drawn) <= {
        line[2:28].strip() for line in text.table(evaluation).splitlines()
    }
    found = {n: pulls.compare(v, v, distributions.DRAWN[n]) for n, v in values.items()}
    assert axis_names(pulls.figure(found, "flow")) == drawn[: len(values)]
    assert set(first_cells(pulls.worst(found, {}))) <= set(drawn)
    matrix = np.eye(3)
    figure = correlations.figure(
        {"input": matrix, "flow": matrix}, ["d2", "tau21", "own"],
        sizes={"input": 9, "flow": 9},
    )  # fmt: skip
    ticks = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert ticks == ["D₂", "τ₂₁", "own"]


def test_columns_of_events_are_named_as_in_tables():
    rng = np.random.default_rng(0)
    names = ["mlly", "MET_phi", "mine"]
    sample = {n: rng.normal(size=(80, 3)) for n in ("input", "flow")}
    found = [a.get_xlabel() for a in events_report.figure(sample, names).axes]
    found = [name for name in found if name]
    assert [name.partition(",")[0] for name in found] == names
    assert found[0].endswith("[GeV]") and found[1].endswith("[rad]")


def test_the_floor_is_called_so_in_every_table(evaluation):
    head = tables.full(evaluation).head
    assert "floor" in head
    assert first_cells(tables.headline(evaluation))[0] == "floor"
    measured = report.leaderboard.entries(evaluation, "g", 30)
    board = first_cells(report.leaderboard.table(measured, "g", 30))
    assert "floor" in board and not any("real" in name for name in board)
    floor = {"floor": {"ks_mean": {"value": 0.1, "error": 0.01}}}
    assert events_report.headline(floor)[1][0][0] == "floor"


def test_the_leaderboard_has_the_time_of_training(evaluation):
    history = {"vae": [{"seconds": 80.0}] * 3, "flow": [{"seconds": 9960.0}]}
    board = report.leaderboard
    table = board.table(board.entries(evaluation, "g", 30, history), "g", 30)
    assert table.head[-1] == "training time"
    times = {row.cells[0].text: row.cells[-1] for row in table.rows if row.cells[1:]}
    assert times["prior"] == "4 min" and times["flow"] == "2.83 h"
    assert times["floor"] == times["iGAPT"] == tables.MISSING
    without = board.table(board.entries(evaluation, "g", 30), "g", 30)
    assert without.head == table.head[:-1]


def test_phi_is_drawn_to_pi_and_measured_as_published():
    phi = np.random.default_rng(0).uniform(-np.pi, np.pi, 4000)
    (bins,) = distributions.binnings({"phi": phi})
    assert (bins.low, bins.high) == (-np.pi, np.pi)
    drawn = distributions.counts({"input": {"phi": phi}}, [bins])["input"]["phi"]
    assert drawn.counts.sum() == len(phi)
    published = next(b for b in binning.PAPER_JETS if b.name == "phi")
    assert (published.low, published.high) == (-3, 3)
    figure = distributions.jets({"input": {"phi": phi}})
    low, high = figure.axes[0].get_xlim()
    assert low == pytest.approx(-np.pi) and high == pytest.approx(np.pi)


def test_what_lies_outside_is_said_with_the_range(evaluation):
    sections = dict(text.sections(evaluation))
    rows = sections["Jets: outside the histogram (published ranges)"]
    labels = [row.label for row in rows]
    assert "jet φ -3 to 3" in labels and "particles per jet 0 to 150" in labels
    rows = sections["Particles: outside the histogram"]
    assert "relative η -0.5 to 0.5" in [row.label for row in rows]


def test_curves_of_a_loss_have_units():
    names = (*training_plots.UNITS, "soft")
    rows = [
        {f"{split}/{name}": 5.0 + i + j for i, name in enumerate(names)}
        for j in range(3)
        for split in ("train", "valid")
    ]
    figure = training_plots.curves(rows, {"reconstruction": "GeV²", "soft": "GeV"})
    found = [axis.get_ylabel() for axis in figure.axes if axis.get_xlabel()]
    assert len(found) == len(names)
    # A longer text would reach into the panel below.
    assert all(name.endswith("]") and len(name) <= 32 for name in found)
    assert "reconstruction [GeV²]" in found and "KL divergence [nats]" in found
    legend = [t.get_text() for t in figure.legends[0].get_texts()]
    assert legend == ["training", "validation"]


def test_a_loss_that_differs_in_its_last_digits_is_drawn_once():
    rows = [{"train/loss": 25.54200, "train/nll": 25.54201, "valid/loss": 25.6,
             "valid/nll": 25.6}]  # fmt: skip
    assert training_plots.terms(rows) == ["nll"]


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (124.3, 2, "124"),
        (7.064e-05, 4, "0.00007064"),
        (0.0241, 3, "0.0241"),
        (-1234567.0, 3, "-1234567"),
        (0.0, 3, "0"),
        (3e-12, 2, "3e-12"),
    ],
)
def test_numbers_have_no_needless_exponent(value, digits, shown):
    assert number(value, digits) == shown


def test_one_is_not_many():
    assert counted(1, "shard") == "1 shard"
    assert [counted(n, "jet") for n in (0, 2000)] == ["0 jets", "2,000 jets"]


def test_colour_bars_have_round_numbers():
    bright = jets(0)
    bright = bright._replace(particles=bright.particles * 700)
    with mpl.rc_context():
        figure = jet_images.average({"input": bright, "flow": jets(1)})
        figure.draw_without_rendering()
    bars = [axis for axis in figure.axes if "difference [GeV]" in axis.get_ylabel()]
    ticks = [tick.get_text() for tick in bars[0].get_yticklabels() if tick.get_text()]
    assert len(ticks) == 5 and ticks[2] == "0"
    assert all(re.fullmatch(r"-?[125]0*|-?0\.0*[125]|0", tick) for tick in ticks)


def test_the_header_of_tex_has_no_underscores(evaluation):
    assert "\\_" not in latex(evaluation).splitlines()[2]
    labels = [metric.label for metric in metrics.known_metrics().values()]
    assert not [name for name in labels if "_" in name]


def test_the_top_says_when_by_what_and_on_what(tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    token = about.COMMAND.set("python experiments/evaluate.py --workdir='my <run>'")
    try:
        top = about.table(seed="3 of the training", training="14,000 jets")
        written = [
            page.write(tmp_path / f"{i}.html", "x", [top]).read_text() for i in range(2)
        ]
    finally:
        about.COMMAND.reset(token)
    assert written[0] == written[1]
    names = first_cells(top)
    assert names == ["date", "version", "seed", "training", "command"]
    assert "2023-11-14 22:13 UTC" in written[0]
    assert "my &lt;run&gt;" in written[0]
    assert re.search(r"jetvae_jax \d+\.\d+", written[0])
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert re.fullmatch(r"20\d\d-\d\d-\d\d \d\d:\d\d UTC", about.date())
    assert first_cells(about.table()) == ["date", "version"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "tomorrow")
    with pytest.raises(InputError, match=r"^SOURCE_DATE_EPOCH=tomorrow: must be"):
        about.date()


def test_the_summary_of_events_and_images_has_three_metrics():
    def found(value, **more):
        known = ("ks_mean", "spearman", "spearman_largest")
        return {name: {"value": value, "error": 0.01} for name in known} | more

    result = {"candidates": {"flow": found(0.2)}, "floor": found(0.1)}
    lines = events.headlines(result)
    assert [name for name, _ in lines] == ["KS, mean", "Spearman", "largest"]
    assert lines[0][1] == "flow 0.200 ± 0.010, floor 0.100 ± 0.010"
    auc = {"c2st": {"auc": 0.7, "error": 0.02}}
    result = {"candidates": {"flow": found(0.2, **auc)}, "floor": found(0.1, **auc)}
    assert events.headlines(result)[2] == (
        "AUC",
        "flow 0.700 ± 0.020, floor 0.700 ± 0.020",
    )
    shown = {"frechet": 9.0, "frechet_std": 1.0}
    result = {"candidates": {"prior": shown, "flow": {}}, "floor": shown}
    assert images.headlines(result) == [
        ("Fréchet distance of features ↓", "prior 9.0 ± 1.0, floor 9.0 ± 1.0")
    ]


def test_settings_of_toys_have_units_and_probabilities_no_exponents():
    given = {"mass": "mlly", "bin_width": 2.0, "widths": (6.0, 10.0), "sideband": 0.0,
             "num_events": 2000.0, "num_toys": 10_000, "level": 1.0, "seed": 0,
             "workdir": "runs/x"}  # fmt: skip
    found = toys._settings(
        {"settings": given, "edges": [104.0, 486.0], "latents": "flow"}
    )
    assert found["range"] == "104 to 486 GeV"
    assert found["width of a window"] == "6, 10 GeV"
    assert found["events of a toy"] == "2,000 in the mean"
    assert not re.search(r"0\.0|\d_\d|\(", " ".join(found.values()))
    assert [toys._probability(p) for p in (9.9e-262, 0.0123)] == ["< 0.0001", "0.012"]


def test_errors_that_six_digits_do_not_show():
    assert tables.with_error(2.0, 3.2e-8) == "2 ± 3.2e-08"
    assert tables.with_error(2.0, 0.0) == "2 ± 0"
    assert tables.with_error(0.3667, 7.9e-17) == "0.3667 ± 0"
    assert tables.with_error(0.0, 0.0) == "0 ± 0"
    assert tables.with_error(10861396.0, 9451658.0) == "10,900,000 ± 9,500,000"
    assert tables.with_error(873.4, 343.2) == "873 ± 343"
    assert tables.with_error(7.99976, 9.4e-5) == "7.999760 ± 0.000094"


def test_lists_of_settings_are_words():
    (row,) = page.pairs({"objectives": ("classic", "wgan")}).rows
    assert row.cells == ["objectives", "classic, wgan"]


def test_a_single_epoch_is_a_whole_number():
    figure = training_plots.curves([{"epoch": 1, "train/loss": 3.0}])
    figure.canvas.draw()
    (axis,) = figure.axes
    low, high = axis.get_xlim()
    assert [t for t in axis.get_xticks() if low <= t <= high] == [1.0]


def test_every_score_is_explained():
    known = (*find_scores.LIKELIHOODS, *find_scores.LATENTS, *find_scores.CUTS)
    assert {*known, "discriminator"} == find_scores.MEANINGS.keys()
    (table,) = page.meanings(find_scores.MEANINGS).blocks
    assert len(table.rows) == len(find_scores.MEANINGS)


def test_a_note_is_of_what_is_in_the_table():
    def found(label):
        return {"x": {"label": label}}

    assert "jets" in conditions.note(found("stated mass and the particles'"))
    assert "jets" not in conditions.note(found("images with a pixel twice"))


def test_a_spectrum_shows_events_and_not_the_end_of_a_fit():
    edges, mean = np.arange(5.0), np.array([10.0, 5.0, 0.0, 1.0])
    panels = dict.fromkeys(
        ("template", "simulation", "generator"),
        (np.ones(3), mean, np.array([9.0, 4.0, 1e-9, 1.0])),
    )
    above, _ = toys.spectrum(edges, panels).axes
    assert above.get_ylim()[0] == pytest.approx(0.1)


def test_sizes_of_libraries_are_the_ticks():
    worth = {"mass": stored(Events(14.0, 30.0, 51.0))}
    rows = [{"k": 1, "events": n, "worth": worth} for n in (40, 1420)]
    (axis,) = library.curves(rows).axes
    assert [text.get_text() for text in axis.get_xticklabels()] == ["40", "1,420"]
    assert not axis.get_xticks(minor=True).size


def test_metrics_of_libraries_have_a_row_and_a_panel_each(evaluation):
    table = tables.of_protocol(evaluation, "small")
    assert first_cells(table) == ["floor", "prior", "flow"]
    found = evaluation["candidates"]["flow"]["protocols"]["small"]["w1m"]
    value, error = (1e3 * found[name] for name in ("value", "error"))
    names = [cell if isinstance(cell, str) else cell.text for cell in table.head]
    column = names.index("W1M [10⁻³]\N{NBSP}↓")
    assert table.rows[2].cells[column] == tables.with_error(value, error)
    rows = [
        {"sample": "prior", "k": 1, "events": 40},
        {"sample": "flow", "k": 1, "events": 1420},
    ]
    panels = library.of_metrics(rows, evaluation, "small").axes
    assert [axis.get_title() for axis in panels] == names[1:]
    # The curve is drawn at the value of the table.
    drawn = np.asarray(panels[column - 1].lines[0].get_ydata())
    assert drawn[1] == pytest.approx(value)


def test_powers_of_ten_in_brackets_are_written_out():
    assert tables.in_powers("FPD [1e-3] of run_1e-3") == "FPD [10⁻³] of run_1e-3"
    assert tables.in_powers("mass [1e-3 GeV]") == "mass [10⁻³ GeV]"
