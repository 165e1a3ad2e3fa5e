"""Figures of merit: arrays in, numbers out, a key for everything that draws."""

from jetvae_jax.images.metrics import digit_table, image_frechet, pixel_errors
from jetvae_jax.metrics.classifier.two_sample import c2st, c2st_table
from jetvae_jax.metrics.distributions.correlations import pearson, spearman
from jetvae_jax.metrics.distributions.histograms import (
    bin_height_w1,
    histogram,
    histogram_emd,
)
from jetvae_jax.metrics.distributions.kolmogorov import kolmogorov_smirnov
from jetvae_jax.metrics.distributions.wasserstein import wasserstein_1d
from jetvae_jax.metrics.energy_flow.polynomials import efps, jet_features
from jetvae_jax.metrics.energy_flow.wasserstein import w1efp
from jetvae_jax.metrics.frechet.kernel import kpd
from jetvae_jax.metrics.frechet.particlenet_distance import fpnd
from jetvae_jax.metrics.frechet.physics import fpd
from jetvae_jax.metrics.observables.jets import (
    jet_observables,
    particle_observables,
    relative,
)
from jetvae_jax.metrics.observables.shapes import substructure
from jetvae_jax.metrics.suite.evaluation import evaluate
from jetvae_jax.metrics.suite.jetnet_w1 import w1m, w1p
from jetvae_jax.metrics.suite.protocols import JETNET_50K, MPGAN_10K, Draws, Protocol
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.metrics.suite.text import table
from jetvae_jax.metrics.transport.coverage import cov_mmd
from jetvae_jax.metrics.transport.energy_mover import emd

__all__ = [
    "JETNET_50K",
    "MPGAN_10K",
    "Draws",
    "Protocol",
    "Sample",
    "bin_height_w1",
    "c2st",
    "c2st_table",
    "cov_mmd",
    "digit_table",
    "efps",
    "emd",
    "evaluate",
    "fpd",
    "fpnd",
    "histogram",
    "histogram_emd",
    "image_frechet",
    "jet_features",
    "jet_observables",
    "kolmogorov_smirnov",
    "kpd",
    "particle_observables",
    "pearson",
    "pixel_errors",
    "relative",
    "spearman",
    "substructure",
    "table",
    "w1efp",
    "w1m",
    "w1p",
    "wasserstein_1d",
]
