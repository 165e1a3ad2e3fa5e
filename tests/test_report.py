import base64
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from jetvae_jax import metrics, report
from jetvae_jax.report import curves, images, latents, style
from jetvae_jax.types import Jets

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = metrics.Protocol("small", 50, 2, replace=False)
HISTORY = [
    {"epoch": i, "train/loss": 9.0 / i, "valid/loss": 9.5 / i, "train/kl": 1.0 * i}
    for i in range(1, 4)
]


def jets(seed, num_jets=80):
    rng = np.random.default_rng(seed)
    pt = rng.exponential(60, (num_jets, 8))
    eta, phi = rng.normal(0, 0.1, (2, num_jets, 8))
    p = np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], -1)
    return Jets(p.astype(np.float32), np.ones((num_jets, 8), bool))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    samples = {"reconstruction": jets(1), "prior": jets(2, 60), "flow": jets(3)}
    evaluation = metrics.evaluate(
        jax.random.key(0), jets(0), samples, truth=jets(4), protocols=(SMALL,)
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
    )
    assert returned == path
    return path


def test_page_stands_alone(written):
    page = written.read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert not re.search(r"https?:|//cdn|<script|<link|@import|url\(", page)
    sources = re.findall(r'src="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


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
        "curves_flow",
    }  # fmt: skip
    assert {path.read_bytes() for path in folder.iterdir()} == set(found)
    assert not list(written.parent.rglob("*.part"))


def test_headline_stands_beside_floor_and_published_figures(written):
    page = written.read_text()
    assert "a run of &lt;x&gt;" in page
    assert "first &amp; last" in page
    assert "floor" in page
    assert page.count("published (talk 2022), different data") == 4
    for value in ("0.0061", "0.0040", "0.0027", "0.0018", "0.0022", "0.0013"):
        assert f"<td>{value}</td>" in page


def test_missing_parts_are_left_out(tmp_path):
    path = tmp_path / "report.html"
    report.write(path, title="bare", summary="nothing yet", history={"flow": []})
    page = path.read_text()
    assert "nothing yet" in page
    assert "<h2>" not in page
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
    image = images.average_image(sample, half_width=3.0)
    assert image.shape == (100, 100)
    pt = np.hypot(sample.particles[..., 0], sample.particles[..., 1])
    assert image.sum() == pytest.approx(pt.sum() / 80, rel=1e-5)
    # One particle beside a hard one along eta: rows run along eta.
    two = np.array([[[100.0, 0, 0], [1, 0, np.sinh(0.5)]]], np.float32)
    rows, columns = np.nonzero(
        images.average_image(Jets(two, np.ones((1, 2), bool)), half_width=1.0)
    )
    assert np.ptp(rows) > 20
    assert np.ptp(columns) <= 1


def test_curves_draw_only_terms():
    rows = [{"train/loss": 1.0, "seconds": 3.0}, {"valid/kl": None, "valid/loss": 2.0}]
    assert curves.terms(rows) == ["loss", "kl"]
    assert curves.series(rows, "valid/loss") == ([2.0], [2.0])
    assert curves.series(rows, "valid/kl") == ([], [])


def test_many_latents_show_those_that_carry_information():
    z = np.random.default_rng(0).normal(size=(2000, 64))
    z[:, 10] *= 0.1
    z[:, 63] += 2
    figure = latents.figure(z)
    titles = [axis.get_title() for axis in figure.axes]
    assert len(titles) == latents.MAX_PANELS
    assert any(title.startswith("$z_{10}$") for title in titles)
    assert any(title.startswith("$z_{63}$") for title in titles)


def test_samples_look_the_same_everywhere():
    alone, together = style.lines(["flow"]), style.lines(["prior", "flow", "other"])
    assert alone["flow"] == together["flow"]
    assert len({line["color"] for line in together.values()}) == 3


def test_importing_the_report_loads_no_matplotlib():
    code = "import sys, jetvae_jax.report; print('matplotlib' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
