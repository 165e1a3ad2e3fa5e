"""Published results of JetNet generators, as data, to show beside measured ones.

Every entry names its protocol and where it was read. Protocols and data differ between
papers (number of jets drawn, train-test split, how many particles a jet keeps), so two
entries are only comparable if these agree; nothing here is ranked.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from jetvae_jax.metrics.measurements import known_metrics
from jetvae_jax.metrics.suite.measurement import Metric

Value = tuple[float, float | None]
"""A value and its error, None if none is given."""


class Entry(NamedTuple):
    """One row: a model's results on one class of jets.

    Attributes:
        model: its name.
        jet_class: ``g``, ``q`` or ``t``.
        num_particles: the leading particles a jet keeps, 30 or 150.
        values: metric to value, in multiples of the metric's ``scale``. W1P is the
            mean of the three particle features.
        protocol: how many jets were drawn how often, as far as it is known.
        source: where the values were read.
        kind: ``floor`` for real jets against real jets, else ``generator``.
        mark: ``read`` in the authors' own text or code, ``quoted`` by a third party
            from the named source, or ``measured`` here.
        seconds: that its training took; None where it is not known.
    """

    model: str
    jet_class: str
    num_particles: int
    values: Mapping[str, Value]
    protocol: str
    source: str
    kind: Literal["generator", "floor"] = "generator"
    mark: Literal["read", "quoted", "measured"] = "read"
    seconds: float | None = None


def measured(
    model: str,
    jet_class: str,
    values: Mapping[str, float | Value],
    *,
    num_particles: int = 30,
    protocol: str,
    kind: Literal["generator", "floor"] = "generator",
    seconds: float | None = None,
) -> Entry:
    """An entry of one's own, from values as the metrics return them.

    Args:
        model: name to show.
        jet_class: ``g``, ``q`` or ``t``; another has no published entries.
        values: name of a metric to a number, or a number and its error, unscaled: a
            W1M of 0.0007, not 0.7.
        num_particles: the leading particles a jet keeps.
        protocol: how the values were measured.
        kind: ``floor`` for real jets against real jets.
        seconds: that the training took.

    Raises:
        ValueError: an unknown metric.
    """
    metrics, scaled = known_metrics(), {}
    for name, found in values.items():
        if name not in metrics:
            raise ValueError(f"unknown metric {name!r}: choose from {list(metrics)}")
        value, error = found if isinstance(found, tuple) else (found, None)
        scale = metrics[name].scale
        scaled[name] = (value / scale, None if error is None else error / scale)
    return Entry(
        model, jet_class, num_particles, scaled, protocol, "this run", kind, "measured",
        seconds,
    )  # fmt: skip


def published_metrics() -> dict[str, Metric]:
    """The metrics that published entries have, in the order papers print them."""
    names = {name for entry in PUBLISHED for name in entry.values}
    return {name: m for name, m in known_metrics().items() if name in names}


def published(jet_class: str, num_particles: int = 30) -> list[Entry]:
    """The published entries for this kind of jets, floors first; may be none."""
    found = [
        entry
        for entry in PUBLISHED
        if (entry.jet_class, entry.num_particles) == (jet_class, num_particles)
    ]
    return sorted(found, key=lambda entry: entry.kind != "floor")


def _rows(
    text: str, metrics: str, protocol: str, source: str, **more
) -> Iterable[Entry]:
    """Entries from lines ``class model | value+-error ...``; ``-`` where none."""
    for line in text.strip().splitlines():
        name, _, columns = line.partition("|")
        jets, model = name.strip().split(" ", 1)
        pairs = zip(metrics.split(), columns.split(), strict=True)
        values = {metric: _value(text) for metric, text in pairs if text != "-"}
        particles = int(jets[1:])
        yield Entry(model, jets[0], particles, values, protocol, source, **more)


def _value(text: str) -> Value:
    value, _, error = text.partition("+-")
    number = float(value), float(error) if error else None
    assert all(math.isfinite(n) for n in number if n is not None)
    return number


_ALL = "w1m w1p w1efp fpnd cov mmd"
_MPGAN = "W1: 10,000 jets x 5; FPND: 50,000; COV, MMD: 100 x 10; 70/30 split"
_IGAPT = "FPD: 20,000-50,000 jets, extrapolated; KPD: 5,000 x 10; W1M: not stated"
_PACKAGE = "jetnet package; numbers of jets not stated"
_UNKNOWN = "not stated where quoted"
_THESIS_MPGAN = "arXiv:2106.11535, as in the author's thesis (rkansal47/dissertation)"
_THESIS_IGAPT = "arXiv:2211.10295, 2312.04757, as in the author's thesis"

PUBLISHED: tuple[Entry, ...] = (
    *_rows(
        """
        g30 real jets | 0.7+-0.2 0.44+-0.09 0.62+-0.07
        q30 real jets | 0.5+-0.1 0.5+-0.1 0.46+-0.04
        t30 real jets | 0.51+-0.07 0.55+-0.07 1.1+-0.1
        """,
        "w1m w1p w1efp",
        _MPGAN,
        _THESIS_MPGAN,
        kind="floor",
    ),
    *_rows(
        """
        g30 real jets | 0.46+-0.08 0.14+-0.04 1.8+-11.9
        q30 real jets | 0.5+-0.2 0.09+-0.03 -3+-3
        t30 real jets | 0.7+-0.2 0.07+-0.03 -16+-2
        g150 real jets | 0.7+-0.2 0.10+-0.03 0.5+-10.5
        """,
        "w1m fpd kpd",
        _IGAPT,
        _THESIS_IGAPT,
        kind="floor",
    ),
    *_rows(
        """
        g30 real jets | 0.44 0.41 0.01 0.55 0.0367
        t30 real jets | 0.32 0.40 0.01 0.59 0.0713
        """,
        "w1m w1p fpnd cov mmd",
        _UNKNOWN,
        "arXiv:2303.05376",
        kind="floor",
        mark="quoted",
    ),
    *_rows(
        """
        g30 MPGAN (MP-MP) | 0.7+-0.2 0.9+-0.3 0.7+-0.2 0.12 0.56 0.037
        g30 MP-LFC + MP | 0.69+-0.07 1.8+-0.2 0.9+-0.6 0.20 0.54 0.037
        g30 FC + PointNet | 1.3+-0.4 1.3+-0.2 1.5+-0.9 5.0 0.49 0.039
        q30 MPGAN (MP-MP) | 0.6+-0.2 4.9+-0.5 0.7+-0.4 0.35 0.50 0.026
        q30 MP-LFC + MP | 0.7+-0.2 2.6+-0.4 0.9+-0.9 0.08 0.52 0.024
        q30 FC + PointNet | 3.1+-0.2 4.5+-0.4 2.3+-0.6 17 0.37 0.028
        t30 MPGAN (MP-MP) | 0.6+-0.2 2.3+-0.3 2+-1 0.37 0.57 0.071
        t30 MP-LFC + MP | 0.9+-0.3 2.2+-0.7 2+-1 0.93 0.56 0.073
        t30 FC + PointNet | 2.7+-0.1 1.6+-0.4 7.7+-0.5 3.9 0.56 0.075
        """,
        _ALL,
        _MPGAN,
        _THESIS_MPGAN,
    ),
    *_rows(
        """
        g30 MPGAN | 0.7+-0.3 0.41+-0.09 0+-8
        g30 GAPT | 1.0+-0.2 0.46+-0.06 5+-3
        g30 GAST | 0.7+-0.2 0.40+-0.05 7.0+-10.3
        g30 iGAPT | 0.7+-0.1 0.29+-0.04 3+-5
        q30 MPGAN | 0.5+-0.1 1.9+-0.2 1.7+-15.1
        q30 GAPT | 2.54+-0.05 4.03+-0.06 96+-9
        q30 GAST | 1.8+-0.2 0.65+-0.07 27.0+-11.7
        q30 iGAPT | 1.2+-0.3 0.51+-0.07 12+-7
        t30 MPGAN | 0.5+-0.1 2.8+-0.2 14.7+-12.9
        t30 GAPT | 1.9+-0.2 0.43+-0.03 25.4+-28.8
        t30 GAST | 1.5+-0.2 0.30+-0.05 -2.4+-17.2
        t30 iGAPT | 0.9+-0.3 0.25+-0.03 -0.6+-14.1
        g150 GAPT | 1.1+-0.3 22.0+-0.1 62.5+-11.1
        g150 GAST | 3.7+-0.3 3.60+-0.06 47.7+-13.8
        g150 iGAPT | 4.4+-0.7 2.99+-0.06 158.1+-37.9
        """,
        "w1m fpd kpd",
        _IGAPT,
        _THESIS_IGAPT,
    ),
    *_rows(
        """
        g30 VNF | 5.5+-0.7 2.9+-0.7 4.4+-0.8 2.32 0.54 0.035
        g30 CNF(m) | 0.9+-0.1 0.6+-0.3 0.9+-0.5 0.68 0.54 0.036
        g30 CNF(m,n) | 0.9+-0.3 0.7+-0.2 0.9+-0.5 0.70 0.55 0.034
        g30 CCNF(m) | 0.9+-0.2 0.5+-0.2 1.1+-0.5 1.10 0.55 0.036
        g30 CCNF(m,n) | 0.6+-0.5 0.8+-0.1 0.9+-0.8 0.72 0.56 0.035
        q30 VNF | 3.5+-0.3 2.3+-0.4 3+-1 2.10 0.54 0.025
        q30 CNF(m) | 1.1+-0.2 1.3+-0.3 0.7+-0.3 0.78 0.55 0.024
        q30 CCNF(m) | 0.9+-0.3 0.6+-0.2 0.7+-0.3 0.71 0.54 0.024
        t30 VNF | 6.4+-0.2 2.2+-0.2 14+-1 7.91 0.56 0.071
        t30 CNF(m) | 1.7+-0.3 1.1+-0.3 5+-1 4.53 0.55 0.073
        t30 CNF(m,n) | 0.9+-0.5 1.5+-0.1 7+-2 3.46 0.56 0.071
        """,
        _ALL,
        _PACKAGE,
        "arXiv:2211.13630, authors' notebook (kaechb/JetNetNF)",
    ),
    *_rows(
        """
        g30 MPGAN, run again | 0.8+-0.2 1.0+-0.3 0.7+-0.4 0.11 0.54 0.037
        g30 transformer GAN | 0.7+-0.1 1.2+-0.2 0.8+-0.6 0.11 0.54 0.035
        q30 MPGAN, run again | 0.7+-0.2 5.0+-0.7 0.9+-0.6 0.33 0.51 0.026
        q30 transformer GAN | 0.8+-0.2 1.6+-0.4 0.7+-0.4 0.11 0.54 0.026
        t30 MPGAN, run again | 0.6+-0.1 2.1+-0.5 1.5+-0.7 0.33 0.59 0.071
        t30 transformer GAN | 0.66+-0.09 1.1+-0.5 1.4+-0.6 0.10 0.57 0.071
        """,
        _ALL,
        _PACKAGE,
        "authors' notebook (kaechb/LitJetNet)",
    ),
    *_rows(
        """
        g30 OmniLearn, pre-trained | 0.38 0.33 0.02 0.55 0.03
        g30 PET generator | 0.42 0.36 0.04 0.55 0.03
        q30 OmniLearn, pre-trained | 0.24 0.32 0.02 0.54 0.02
        q30 PET generator | 0.39 0.35 0.03 0.54 0.02
        t30 OmniLearn, pre-trained | 0.43 0.30 0.04 0.58 0.05
        t30 PET generator | 0.44 0.29 0.07 0.58 0.05
        """,
        "w1m w1p fpnd cov mmd",
        _UNKNOWN,
        "arXiv:2404.16091",
        mark="quoted",
    ),
    *_rows(
        """
        g30 FPCD, 512 steps | 0.36 0.34 0.07 0.55 0.03
        g30 FPCD, 1 step | 0.65 0.34 0.11 0.55 0.03
        q30 FPCD, 512 steps | 0.52 0.27 0.08 0.49 0.02
        q30 FPCD, 1 step | 0.59 0.36 0.09 0.48 0.02
        t30 FPCD, 512 steps | 0.51 0.41 0.17 0.58 0.05
        t30 FPCD, 1 step | 1.22 0.46 0.56 0.57 0.05
        """,
        "w1m w1p fpnd cov mmd",
        "W1: 50,000 jets x 10, the authors' own code; others: jetnet package",
        "arXiv:2304.01266",
        mark="quoted",
    ),
    *_rows(
        """
        g30 EPiC-GAN | 0.30 1.6 1.01
        q30 EPiC-GAN | 0.5 4.0 0.43
        t30 EPiC-GAN | 0.5 2.1 0.31
        """,
        "w1m w1p fpnd",
        "W1: 5,000 jets x 5 or the test set x 10; FPND: test set x 10",
        "arXiv:2301.08128",
        mark="quoted",
    ),
    *_rows(
        """
        g30 PC-JeDi, EM, 200 steps | 0.57 0.58 0.10 0.54 0.0362
        g30 PC-JeDi, DDIM, 200 steps | 0.90 0.66 0.12 0.54 0.0364
        t30 PC-JeDi, EM, 200 steps | 1.36 1.21 0.15 0.59 0.0711
        t30 PC-JeDi, DDIM, 200 steps | 1.48 1.01 0.28 0.59 0.0713
        """,
        "w1m w1p fpnd cov mmd",
        _UNKNOWN,
        "arXiv:2303.05376",
        mark="quoted",
    ),
)
