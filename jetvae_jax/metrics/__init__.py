"""Figures of merit: arrays in, numbers out, a key for everything that draws."""

from jetvae_jax.metrics.c2st import c2st, c2st_table
from jetvae_jax.metrics.correlations import pearson, spearman
from jetvae_jax.metrics.cov_mmd import cov_mmd
from jetvae_jax.metrics.digits import digit_table
from jetvae_jax.metrics.efp import efps, jet_features
from jetvae_jax.metrics.emd import emd
from jetvae_jax.metrics.evaluation import evaluate
from jetvae_jax.metrics.fpd import fpd
from jetvae_jax.metrics.fpnd import fpnd
from jetvae_jax.metrics.histogram_emd import bin_height_w1, histogram, histogram_emd
from jetvae_jax.metrics.image_frechet import image_frechet
from jetvae_jax.metrics.jetnet_w1 import w1m, w1p
from jetvae_jax.metrics.kolmogorov_smirnov import kolmogorov_smirnov
from jetvae_jax.metrics.kpd import kpd
from jetvae_jax.metrics.observables import (
    jet_observables,
    particle_observables,
    relative,
)
from jetvae_jax.metrics.pixel_errors import pixel_errors
from jetvae_jax.metrics.protocols import JETNET_50K, MPGAN_10K, Draws, Protocol
from jetvae_jax.metrics.sample import Sample
from jetvae_jax.metrics.substructure import substructure
from jetvae_jax.metrics.table import table
from jetvae_jax.metrics.w1efp import w1efp
from jetvae_jax.metrics.wasserstein import wasserstein_1d

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
