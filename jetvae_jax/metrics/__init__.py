"""Metrics of generated jets: arrays in, values out, a key for everything that draws.

``metrics.evaluate`` measures all of them under named protocols; each is also a function
of its own. Modules are imported when one of their names is first used.
"""

from jetvae_jax.core.lazy import attach

_MODULES = {
    "classifier.two_sample": ("c2st", "c2st_sets", "c2st_table"),
    "distributions.binning": ("Binning", "compare"),
    "distributions.correlations": ("pearson", "spearman"),
    "distributions.distances": (
        "bin_height_w1",
        "histogram",
        "histogram_emd",
        "kolmogorov_smirnov",
        "wasserstein_1d",
    ),
    "energy_flow.multigraphs": ("multigraphs",),
    "energy_flow.polynomials": ("efp_table", "efps", "jet_features"),
    "frechet": ("frechet_distance", "mean_and_covariance"),
    "frechet.kernel": ("kpd",),
    "frechet.particlenet_distance": ("fpnd",),
    "frechet.physics": ("fpd",),
    "host": ("map_chunks",),
    "measurements": ("Measurement", "Metric", "known_metrics"),
    "measurements.w1efp": ("w1efp",),
    "measurements.w1m": ("w1m",),
    "measurements.w1p": ("w1p",),
    "observables": (
        "jet_observables",
        "particle_observables",
        "relative",
        "relative_mass",
        "relative_masses",
        "substructure",
    ),
    "suite.draws": ("Draws", "Extrapolation", "over_batches"),
    "suite.evaluation": ("evaluate",),
    "suite.export": ("csv", "latex"),
    "suite.protocols": ("JETNET_50K", "MPGAN_10K", "Protocol"),
    "suite.sample": ("Sample",),
    "suite.text": ("table",),
    "transport.coverage": ("cov_mmd",),
    "transport.energy_mover": ("emd",),
    # Of images; listed here since earlier versions had them here.
    ".images.metrics": ("digit_table", "image_frechet", "pixel_errors"),
}
"""Module, relative to this package, to its public names."""

__getattr__, __dir__, __all__ = attach(
    __name__, {name: module for module, names in _MODULES.items() for name in names}
)
