"""Toys of one kind: pseudo-experiments of a mass spectrum, and what they say."""

import dataclasses
from typing import Any, NamedTuple

import jax
import numpy as np

from jetvae_jax.core.errors import InputError, at_least
from jetvae_jax.metrics.distributions.distances import kolmogorov_smirnov
from jetvae_jax.studies.toys import excess, trials

LEVELS = tuple(np.round(np.arange(1.0, 5.01, 0.1), 1).tolist())


@dataclasses.dataclass(frozen=True)
class ToysConfig:
    """Which pseudo-experiments.

    Attributes:
        mass: column whose spectrum is searched.
        low: end of the mass range [GeV]; 0 for the 1st percentile of simulation.
        high: other end [GeV]; 0 for the 99th percentile.
        bin_width: of the spectrum [GeV].
        widths: of the windows [GeV], whole numbers of bins.
        sideband: on either side of a window [GeV], gives the height of the background;
            0 takes it as known.
        num_events: mean number of a toy, in the mass range.
        num_toys: of each kind.
        num_generated: events to draw toys from; 0 for 100 times num_events.
        level: significance whose crossings predict that of rarer excesses.
        seed: of events and toys.
    """

    mass: str = "mlly"
    low: float = 0.0
    high: float = 0.0
    bin_width: float = 2.0
    widths: tuple[float, ...] = (6.0, 10.0)
    sideband: float = 20.0
    num_events: float = 2000.0
    num_toys: int = 10_000
    num_generated: int = 0
    level: float = 1.0
    seed: int = 0

    def __post_init__(self):
        for name in ("bin_width", "num_events"):
            if not 0 < getattr(self, name) < np.inf:
                raise InputError(f"{name} = {getattr(self, name)}: must be positive")
        if self.num_events > 1e7:
            raise InputError(f"num_events = {self.num_events:g}: at most 1e7")
        if not self.widths:
            raise InputError("widths: name the width of a window or more")
        for name, values in (("widths", self.widths), ("sideband", [self.sideband])):
            for value in values:
                bins = value / self.bin_width
                if value < 0 or abs(bins - round(bins)) > 1e-6:
                    raise InputError(
                        f"{name}: {value:g} GeV is no whole number of bins of "
                        f"{self.bin_width:g} GeV"
                    )
        if min(self.widths) <= 0:
            raise InputError(f"widths: {min(self.widths):g}: must be positive")
        if not 0 <= self.low < (self.high or np.inf):
            raise InputError(f"low = {self.low}, high = {self.high}: not a range")
        at_least(self, num_toys=100, num_generated=0, seed=0)


class Study(NamedTuple):
    """One kind of toys.

    Attributes:
        toys: largest excess of each.
        mean: ``[B]`` counts that the toys have on average.
        expected: ``[B]`` background that they are compared with.
        sample: events that they are drawn from; 0 for a smooth template.
    """

    toys: trials.Toys
    mean: np.ndarray
    expected: np.ndarray
    sample: int


def study(
    key: jax.Array,
    sample: np.ndarray | None,
    expected: np.ndarray,
    edges: np.ndarray,
    config: ToysConfig,
) -> Study:
    """Toys of one kind.

    Args:
        key: of the toys.
        sample: ``[J]`` masses within the edges to draw from with replacement; None to
            draw around what is expected.
        expected: ``[B]`` background of a toy.
        edges: ``[B + 1]`` in GeV.
        config: how many, in which windows.

    Raises:
        InputError: the windows do not fit in the mass range.
    """
    widths = [round(width / config.bin_width) for width in config.widths]
    side = round(config.sideband / config.bin_width)
    try:
        windows = excess.sliding(len(expected), widths, sideband=side)
    except ValueError as error:
        raise InputError(
            f"--toys.widths: {error}: take narrower windows or a wider range"
        ) from error
    mean = np.asarray(expected, float)
    if sample is not None:
        # Events drawn with replacement, their number Poisson: every bin is Poisson by
        # itself, around its share of the sample.
        counts, _ = np.histogram(sample, edges)
        mean = counts * (config.num_events / len(sample))
    toys = trials.pseudo_experiments(
        key, trials.poisson(mean), excess.window_z(expected, windows),
        num_toys=config.num_toys, level=config.level,
    )  # fmt: skip
    return Study(toys, mean, expected, 0 if sample is None else len(sample))


def summary(done: Study, config: ToysConfig) -> dict[str, Any]:
    """Local against global significance, JSON-able; infinite numbers become None."""
    crossings = float(np.mean(done.toys.crossings))
    rows = []
    for z in LEVELS:
        found = trials.global_significance(z, done.toys.max_z)._asdict()
        estimate = float(
            trials.gross_vitells(np.asarray(z, np.float32), crossings, config.level)
        )
        found |= {"local_z": z, "estimate_p": estimate}
        rows.append({k: v if np.isfinite(v) else None for k, v in found.items()})
    half = len(done.toys.max_z) // 2
    return {
        "events": done.sample,
        "median_largest": float(np.median(done.toys.max_z)),
        "quantile_95": float(np.quantile(done.toys.max_z, 0.95)),
        "crossings": crossings,
        # p-values of one half among the other must be uniform.
        "calibration_ks": uniformity(done.toys.max_z[:half], done.toys.max_z[half:]),
        "significance": rows,
    }


def uniformity(toys_z: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """Distance from uniform of the p-values of toys among other toys, and its p."""
    from scipy import stats

    result: Any = stats.ks_2samp(toys_z, others)
    distance = float(kolmogorov_smirnov(toys_z, others))
    return {"distance": distance, "p": float(result.pvalue)}


def compared(studies: dict[str, Study]) -> dict[str, dict[str, float]]:
    """The largest excesses of each kind against those of the template's toys."""
    reference = studies["template"].toys.max_z
    return {
        name: uniformity(done.toys.max_z, reference)
        for name, done in studies.items()
        if name != "template"
    }
