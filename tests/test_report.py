import base64
import html.parser
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from samples import jets
from scipy import stats

from jetvae_jax import metrics, report
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Jets
from jetvae_jax.metrics.distributions.binning import Binning
from jetvae_jax.metrics.suite import published as leaderboard
from jetvae_jax.metrics.suite.protocols import Draws, Protocol
from jetvae_jax.report import (
    correlations,
    distributions,
    jet_images,
    page,
    pulls,
    style,
    tables,
    training_plots,
)
from jetvae_jax.report import leaderboard as board

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = Protocol("small", w1=Draws(50, 2, replace=False))
HISTORY = [
    {"epoch": i, "train/loss": 9.0 / i, "valid/loss": 9.5 / i, "train/kl": 1.0 * i}
    for i in range(1, 4)
]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    samples = {"reconstruction": jets(1), "prior": jets(2, 60), "flow": jets(3)}
    evaluation = metrics.evaluate(
        jax.random.key(0), jets(0), samples, truth=jets(4), protocol=SMALL
    )
    z = np.random.default_rng(0).normal(size=(100, 3))
    path = tmp_path_factory.mktemp("run") / "report.html"
    returned = report.write(
        path,
        title="a run of <x>",
        summary=["first & last", "seed 3"],
        evaluation=evaluation,
        samples={"input": jets(0), **samples},
        history={"vae": HISTORY, "flow": HISTORY[:1]},
        latents={"posterior": z, "flow": z[:50]},
        trained_on=frozenset({"mass", "pt"}),
        leaderboard=("g", 30),
    )
    assert returned == path
    return path


def test_page_stands_alone(written):
    text = written.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?:|//cdn|<script|<link|@import|url\(", text)
    sources = re.findall(r'src="([^"]*)"', text)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_images_decode_and_stand_beside_the_page(written):
    found = [
        base64.b64decode(data, validate=True)
        for data in re.findall(r"base64,([^\"]*)", written.read_text())
    ]
    assert all(image.startswith(PNG) for image in found)
    folder = written.parent / "figures"
    names = {path.stem for path in folder.iterdir()}
    assert names == {
        "jets", "particles", "images", "single_jets", "latents", "curves_vae",
        "curves_flow", "correlations_pearson", "correlations_spearman",
        "pulls_reconstruction", "pulls_prior", "pulls_flow",
    }  # fmt: skip
    assert {path.read_bytes() for path in folder.iterdir()} == set(found)
    assert not list(written.parent.rglob("*.part"))


def test_headline_stands_beside_floor_and_published_figures(written):
    text = written.read_text()
    assert "a run of &lt;x&gt;" in text
    assert "first &amp; last" in text
    assert "floor" in text
    assert text.count("published, Cobe et al. 2022") == 4
    for value in ("0.0061", "0.0040", "0.0027", "0.0018", "0.0022", "0.0013"):
        assert f"<td>{value}</td>" in text


def test_missing_parts_are_left_out(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, title="bare", summary="nothing yet", history={"flow": []})
    text = path.read_text()
    assert "nothing yet" in text
    assert "<h2>" not in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_input_alone_is_enough(tmp_path):
    path = report.write(tmp_path / "r.html", title="data", samples={"input": jets(0)})
    assert "Average jet images" in path.read_text()
    assert "Latent" not in path.read_text()


def test_samples_need_an_input(tmp_path):
    with pytest.raises(ValueError, match=r"'input'.*prior"):
        report.write(tmp_path / "r.html", title="", samples={"prior": jets(0)})
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_page(tmp_path, monkeypatch):
    path = report.write(tmp_path / "r.html", title="old")
    monkeypatch.setattr(style, "png", lambda figure: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write(path, title="new", history={"vae": HISTORY})
    assert "old" in path.read_text()


def test_average_image_holds_the_transverse_momentum():
    sample = jets(0)
    image = jet_images.average_image(sample, half_width=3.0)
    assert image.shape == (100, 100)
    pt = np.hypot(sample.particles[..., 0], sample.particles[..., 1])
    assert image.sum() == pytest.approx(pt.sum() / 80, rel=1e-5)
    # One particle beside a hard one along eta: rows run along eta.
    two = np.array([[[100.0, 0, 0], [1, 0, np.sinh(0.5)]]], np.float32)
    rows, columns = np.nonzero(
        jet_images.average_image(Jets(two, np.ones((1, 2), bool)), half_width=1.0)
    )
    assert np.ptp(rows) > 20
    assert np.ptp(columns) <= 1


def test_curves_draw_only_terms():
    rows = [{"train/loss": 1.0, "seconds": 3.0}, {"valid/kl": None, "valid/loss": 2.0}]
    assert training_plots.terms(rows) == ["loss", "kl"]
    assert training_plots.series(rows, "valid/loss") == ([2.0], [2.0])
    assert training_plots.series(rows, "valid/kl") == ([], [])


def test_a_loss_of_one_term_is_drawn_once():
    rows = [{f"{s}/{n}": 1.5 for s in ("train", "valid") for n in ("loss", "nll")}]
    assert training_plots.terms(rows) == ["nll"]
    assert training_plots.terms([*rows, {"train/loss": 2, "train/nll": 1}]) == [
        "loss", "nll"
    ]  # fmt: skip


def test_plots_of_one_panel_shrink_with_the_screen(tmp_path):
    one = [{"train/loss": 1.0, "train/nll": 1.0}]
    three = [{"train/loss": 1.0, "train/kl": 2.0, "train/mass": 3.0}]
    plots = training_plots.curve_plots({"flow": one, "vae": three}, "jet")
    text = page.write(tmp_path / "page.html", "", plots).read_text()
    first, second = re.findall(r"<img [^>]*alt=\"(?:flow|vae)", text)
    assert 'class="narrow"' in first and 'class="narrow"' not in second


def test_many_latents_show_those_that_carry_information():
    z = np.random.default_rng(0).normal(size=(2000, 64))
    z[:, 10] *= 0.1
    z[:, 63] += 2
    figure = training_plots.latents(z)
    titles = [axis.get_title() for axis in figure.axes]
    assert len(titles) == training_plots.MAX_PANELS
    assert any(title.startswith("$z_{10}$") for title in titles)
    assert any(title.startswith("$z_{63}$") for title in titles)


def test_samples_look_the_same_everywhere():
    alone, together = style.lines(["flow"]), style.lines(["prior", "flow", "other"])
    assert alone["flow"] == together["flow"]
    assert len({line["color"] for line in together.values()}) == 3


def test_importing_the_report_loads_neither_matplotlib_nor_jinja2():
    heavy = {"matplotlib", "jinja2"}
    code = f"import sys, jetvae_jax.report; print({heavy} & {{*sys.modules}})"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


BAD = """<script>alert(1)</script>" onerror='x' &"""


@pytest.mark.parametrize(
    "block",
    [
        page.Heading(BAD),
        page.Paragraph(BAD, badge=BAD),
        page.Items([BAD]),
        page.Details(BAD, [page.Paragraph(BAD)]),
        page.Image("", BAD),
        page.pairs({BAD: BAD}),
        page.Table([BAD], [page.Row([BAD], "section"), page.Row([BAD, BAD], "faint")]),
        page.table(["", ""], [[page.Cell(BAD, badge=BAD, note=BAD), BAD]]),
    ],
    ids=lambda block: type(block).__name__,
)
def test_no_text_becomes_a_tag(block):
    found = page.html(BAD, [block])
    assert "<script" not in found and "onerror=" in found
    assert found.count("&lt;script&gt;") == found.count("alert(1)") >= 3

    class Tags(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            assert tag != "script" and "onerror" not in dict(attrs)

    Tags().feed(found)


def test_a_missing_template_engine_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    page._template.cache_clear()
    with pytest.raises(InputError, match=r"jinja2.*jetvae_jax\[plot\]"):
        page.html("", [])


def test_html_of_a_library_is_kept_as_it_is():
    assert "<div id='plot'>" in page.html("", [page.Trusted("<div id='plot'>")])


def test_plots_of_one_section_share_its_heading(tmp_path, quick):
    def plot(name, heading):
        return page.Plot(name, heading, name, lambda: style.new_figure(1, 1))

    blocks = [
        page.Heading("A"), plot("a", "A"), page.Heading("between", 3), plot("b", "A"),
        plot("c", "B"),
    ]  # fmt: skip
    found = page.write(tmp_path / "r.html", "title", blocks).read_text()
    headings = re.findall(r"<h([123])>(.*?)</h[123]>", found)
    assert headings == [("1", "title"), ("2", "A"), ("3", "between"), ("2", "B")]
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["a.png", "b.png", "c.png"]


def test_what_the_loss_held_is_marked_and_nothing_else(written):
    text = written.read_text()
    rows = re.findall(
        r'<th scope="(?:row|col)">([^<]*) <span class="badge trained">', text
    )
    assert {
        "jet mass",
        "jet pT",
        "EMD mass [GeV]\N{NBSP}↓",
        "W1M [10⁻³]\N{NBSP}↓",
    } <= set(rows)
    assert not {"jet energy", "jet η", "jet φ", "particles per jet"} & set(rows)
    assert "part of the training loss: jet mass, jet pT." in text
    badges = [
        text.get_text()
        for axis in distributions.jets(
            {"input": VALUES, "prior": VALUES}, trained_on={"mass"}
        ).axes
        for text in axis.texts
    ]
    assert badges == [style.TRAINED]


@pytest.mark.usefixtures("quick")
def test_without_a_training_nothing_is_marked(tmp_path):
    samples = {"input": jets(0), "other": jets(1)}
    path = report.write(tmp_path / "r.html", title="two files", samples=samples)
    text = path.read_text()
    assert style.TRAINED not in text
    assert "other: worst-agreeing bins first" in text
    assert "Training" not in text


VALUES = {
    "mass": np.random.default_rng(0).normal(100, 20, 400),
    "energy": np.random.default_rng(1).normal(1000, 100, 400),
}


def test_pulls_are_standard_normal_for_equal_distributions():
    rng = np.random.default_rng(0)
    bins = Binning("mass", 20, -2.0, 2.0)
    found = [
        pulls.compare(rng.normal(size=3000), rng.normal(size=1000), bins)
        for _ in range(200)
    ]
    values = np.concatenate([few.values for few in found])
    assert values.mean() == pytest.approx(0, abs=0.1)
    chi2, ndf = (np.array([getattr(f, n) for f in found]) for n in ("chi2", "ndf"))
    assert ndf.min() > 5
    error = np.sqrt(2 / ndf.sum())
    assert chi2.sum() / ndf.sum() == pytest.approx(1, abs=4 * error)


def test_chi2_is_that_of_the_contingency_table():
    rng = np.random.default_rng(1)
    real, other = rng.normal(size=500), rng.normal(0.8, 1, 300)
    found = pulls.compare(real, other, Binning("x", 30, -2.0, 2.0))
    counts = np.stack([found.real, found.generated])
    expected = stats.chi2_contingency(counts, correction=False)
    assert found.chi2 == pytest.approx(expected.statistic)
    assert found.ndf == expected.dof
    # Positive where too many are generated: on the right.
    assert found.values[-1] > 0 > found.values[0]


def test_pulls_count_every_finite_value_and_join_thin_bins():
    real = np.array([0.5] * 30 + [7.0] * 3 + [-99.0, np.nan])
    other = np.array([1.5] * 25 + [1e9])
    found = pulls.compare(real, other, Binning("x", 10, 0.0, 10.0))
    assert (found.num_real, found.num_generated) == (34, 26)
    assert np.min(found.real + found.generated) >= 10
    assert found.edges[[0, -1]].tolist() == [0, 10]
    assert np.isfinite(found.values).all()


@pytest.mark.parametrize("size", [0, 1, 5])
def test_pulls_of_almost_nothing_are_zero(size):
    found = pulls.compare(np.ones(size), np.ones(1), Binning("x", 10, 0.0, 10.0))
    assert found.values.tolist() == [0]
    assert found.ndf == 0


def test_worst_bins_come_first_with_their_ranges():
    rng = np.random.default_rng(2)
    real = {"mass": rng.uniform(0, 10, 2000), "eta": rng.uniform(0, 10, 2000)}
    other = {"mass": rng.uniform(0, 10, 2000), "eta": np.full(2000, 5.5)}
    bins = {name: Binning(name, 10, 0.0, 10.0, "GeV") for name in real}
    found = {name: pulls.compare(real[name], other[name], bins[name]) for name in real}
    text = page.html("", [pulls.worst(found, {"eta": "GeV"}, trained_on={"mass"})])
    rows = re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", text)
    assert len(rows) == pulls.WORST
    sizes = [abs(float(re.findall(r"<td>([+-][\d.]+)</td>", row)[0])) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert rows[0].startswith("jet η</th><td>5 to 6 GeV</td>")
    assert "100.00 ± 0.00 %" in rows[0]
    assert "badge trained" in rows[-1] and "badge" not in rows[0]
    ends = " ".join(rows)
    assert "≥ 9 GeV" in ends and "&lt; 1 GeV" in ends


def test_correlations_stand_side_by_side_and_mark_real_differences():
    real = np.array([[1.0, 0.2], [0.2, 1.0]])
    near, far = real.copy(), real.copy()
    near[0, 1] = near[1, 0] = 0.22
    far[0, 1] = far[1, 0] = -0.5
    drawn = correlations.figure(
        {"input": real, "near": near, "far": far},
        ["mass", "pt"],
        sizes={"input": 1000, "near": 1000, "far": 1000},
        trained_on={"pt"},
    )
    titles = [axis.get_title() for axis in drawn.axes][:6]
    assert titles == [
        *("input", "near", "near - input"),
        *("input", "far", "far - input"),
    ]
    bold = [
        [t.get_text() for t in axis.texts if t.get_fontweight() == "bold"]
        for axis in drawn.axes[:6]
    ]
    assert bold == [[], [], [], [], [], ["-.70", "-.70"]]
    labels = [t.get_text() for t in drawn.axes[0].get_yticklabels()]
    assert labels == ["jet mass", "jet pT*"]


def test_error_of_a_correlation_is_that_of_repeated_samples():
    rng = np.random.default_rng(3)
    covariance = [[1, 0.6], [0.6, 1]]
    found = [
        np.corrcoef(rng.multivariate_normal([0, 0], covariance, 200).T)
        for _ in range(500)
    ]
    expected = correlations.error(np.array(covariance), 200)[0, 1]
    assert np.std(found, axis=0)[0, 1] == pytest.approx(expected, rel=0.15)


def test_undefined_correlations_and_a_single_sample_are_drawn():
    matrix = np.array([[1.0, np.nan], [np.nan, 1.0]])
    for others in ({}, {"other": matrix}):
        drawn = correlations.figure(
            {"input": matrix, **others}, ["a", "b"], sizes={"input": 1, "other": 1}
        )
        assert style.png(drawn).startswith(PNG)


def test_leaderboard_has_measured_rows_first_and_published_ones_with_source(written):
    text = written.read_text()
    start = text.index("<h2>Leaderboard</h2>")
    part = text[start : text.index("<h2>", start + 5)]
    assert part.index("Measured here") < part.index("arXiv:2106.11535")
    measured, published = part.count(">measured<"), part.count(">published<")
    assert measured == 4
    assert published == len(leaderboard.published("g", 30))
    row = re.search(r"<tr[^>]*><th scope=\"row\">MPGAN \(MP-MP\).*?</tr>", part)
    assert row is not None
    cells = re.findall(r"<td>(.*?)</td>", row[0])
    dash = tables.MISSING
    assert cells == [
        *("0.7 ± 0.2", "0.9 ± 0.3", "0.7 ± 0.2", "0.12", dash, dash, "0.56", "0.037")
    ]
    assert "W1: 10,000 jets x 5" in part
    assert "quoted by a third party" in part
    assert "Protocols and data sets differ" in part


def test_leaderboard_of_an_unknown_class_holds_what_was_measured():
    entry = leaderboard.measured("<ours>", "w", {"fpnd": 0.5}, protocol="all")
    text = page.html("", [board.table([entry], "w", 30)])
    assert "&lt;ours&gt;" in text
    assert "published" not in text
    assert "No published values" in board.note("w", 30)


def test_numbers_carry_the_digits_of_their_error():
    assert tables.with_error(0.71234, 0.0123) == "0.712 ± 0.012"
    assert tables.with_error(123.4, 11.0) == "123 ± 11"
    assert tables.with_error(0.5, 0.0) == "0.5 ± 0"
    assert tables.with_error(1028012.0, 361361.0) == "1,030,000 ± 360,000"
    assert tables.with_error(1000.0, 1.55e16) == "1.0e3 ± 1.6e16"
    assert tables.with_error(0.123456) == "0.123"
    assert tables.with_error(1.0, float("nan")) == "1"


LONG = "<b>a run</b> with $x_{1}$ and a name that is much longer than any column"


@pytest.fixture
def quick(monkeypatch):
    """Figures without layout and in few pixels: most of the time goes there."""

    def png(figure):
        figure.set_layout_engine("none")
        figure.set_dpi(20)
        figure.canvas.draw()
        return PNG

    monkeypatch.setattr(style, "png", png)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("num_jets", [1, 40])
def test_five_candidates_with_any_names_and_few_jets(tmp_path, num_jets):
    names = [LONG + " 1", LONG + " 2", "_hidden", "prior", "ghi/jkl"]
    samples = {name: jets(i, num_jets) for i, name in enumerate(names, start=1)}
    path = report.write(
        tmp_path / "r.html",
        title=LONG,
        summary={LONG: LONG},
        samples={"input": jets(0, num_jets), **samples},
        trained_on={"mass", "<i>"},
    )
    text = path.read_text()
    assert "<b>" not in text and "<i>" not in text
    assert text.count("worst-agreeing bins first") == 5
    found = list((tmp_path / "figures").glob("pulls_*.png"))
    assert len(found) == 5


@pytest.mark.usefixtures("quick")
def test_identical_jets_and_further_observables(tmp_path):
    one = jets(0, 1)
    same = Jets(np.repeat(one.particles, 30, axis=0), np.repeat(one.mask, 30, axis=0))
    extra = {"mass": np.full(30, 90.0), "tau21": np.zeros(30), "<odd>": np.arange(30.0)}
    path = report.write(
        tmp_path / "r.html",
        title="same",
        samples={"input": same, "other": same},
        observables={"input": extra, "other": extra},
    )
    text = path.read_text()
    assert "<odd>" not in text
    assert "&lt;odd&gt;" in text
    with pytest.raises(ValueError, match=r"\['input'\].*\['input', 'other'\]"):
        report.write(
            tmp_path / "r.html",
            title="",
            samples={"input": same, "other": same},
            observables={"input": extra},
        )


def test_names_in_figures_are_short_plain_and_shown():
    assert style.plain("flow") == "flow"
    assert len(style.plain("x" * 100)) < 30
    assert style.plain("x" * 50 + "1") != style.plain("x" * 50 + "2")
    assert style.plain("a$b$") == r"a\$b\$"
    assert not style.plain("_a").startswith("_")


def test_many_samples_differ_in_colour_or_dash():
    lines = style.lines([f"run {i}" for i in range(12)])
    looks = {(line["color"], line["linestyle"]) for line in lines.values()}
    assert len(looks) == 12
    assert len({line["color"] for line in list(lines.values())[:5]}) == 5


def test_ratio_panels_hold_the_error_of_the_real_sample():
    rng = np.random.default_rng(0)
    real = {"mass": rng.normal(200, 40, 3000)}
    drawn = distributions.jets({"input": real, "other": real})
    lower = drawn.axes[3]
    band = next(p for p in lower.patches if p.get_facecolor()[:3] == (0.8, 0.8, 0.8))
    values, edges, baseline = band.get_data()
    counts, _ = np.histogram(real["mass"], edges)
    well = counts >= 10
    assert np.allclose((values - 1)[well], 1 / np.sqrt(counts[well]))
    assert np.allclose((1 - baseline)[well], 1 / np.sqrt(counts[well]))
