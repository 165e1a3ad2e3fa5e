"""Figures of merit: arrays in, numbers out, a key for everything that draws."""

from jetvae_jax.metrics.evaluation import evaluate
from jetvae_jax.metrics.histogram_emd import bin_height_w1, histogram, histogram_emd
from jetvae_jax.metrics.jetnet_w1 import w1m, w1p
from jetvae_jax.metrics.observables import jet_observables, particle_observables
from jetvae_jax.metrics.protocols import JETNET_50K, MPGAN_10K, Protocol
from jetvae_jax.metrics.table import table
from jetvae_jax.metrics.wasserstein import wasserstein_1d

__all__ = [
    "JETNET_50K",
    "MPGAN_10K",
    "Protocol",
    "bin_height_w1",
    "evaluate",
    "histogram",
    "histogram_emd",
    "jet_observables",
    "particle_observables",
    "table",
    "w1m",
    "w1p",
    "wasserstein_1d",
]
