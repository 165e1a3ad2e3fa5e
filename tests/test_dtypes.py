"""Numbers of any type: every public function gives the value of float32, or an error.

The public functions that take arrays are found by their annotations, in the modules of
``PLACES``. Each needs an example in ``CALLS``: a function of ``n``, which converts
numbers to the type that is tested, and of ``m``, which converts masks. A function that
computes in NumPy, on the host, is listed in ``HOST`` and says so in its docstring; all
others are tested under jit, vmap and grad, too.
"""

import functools
import importlib
import inspect
import itertools
import pkgutil
import re

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from jetvae_jax import densities, discriminators, metrics, models
from jetvae_jax.core import dtypes
from jetvae_jax.core.types import (
    Batch,
    Context,
    GaussianPosterior,
    Jets,
    PixelSets,
    RelativeJets,
    Showers,
    Task,
)
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.events.conditions import limits
from jetvae_jax.events.kinds import find
from jetvae_jax.losses import chamfer_distance, distances, nearest_neighbours
from jetvae_jax.metrics import Draws, multigraphs
from jetvae_jax.showers import geometry
from jetvae_jax.showers.conditions import Limits

PLACES = (
    *("losses", "metrics", "densities", "observables", "core.kinematics"),
    *(
        "core.momenta",
        "core.numerics",
        "events.conditions",
        "events.metrics",
        "images.conditions",
        "images.metrics",
        "showers.conditions",
        "showers.metrics",
        "jets.conditions",
        "models.adversarial",
    ),
)
ARRAYS = re.compile(r"ndarray|Jets\b|PixelSets|Showers|Posterior|Mixture")  # not keys
# Of arrays that the package itself makes: checked ones, parameters, random indices.
INTERNAL = {
    *("densities.coupling.check", "densities.coupling.scan"),
    *("losses.objective.objective", "losses.observables.check_spreads"),
    *("densities.normal.standardised", "images.metrics.digit_table"),
    *("images.metrics.image_frechet", "metrics.classifier.network.train"),
    "metrics.classifier.network.standard",
    *("metrics.frechet.kernel.batch_values", "metrics.frechet.particlenet.apply"),
    "metrics.frechet.particlenet.params_from_torch",
    "metrics.frechet.particlenet_distance.fpnd",
    "metrics.frechet.particlenet_distance.particlenet_features",
    *("metrics.frechet.physics.distances", "metrics.frechet.physics.summary"),
    "metrics.frechet.physics.resolution",
    *("metrics.suite.evaluation.evaluate", "metrics.transport.energy_mover.exact"),
    "models.adversarial.component_losses",
    *("showers.metrics.binnings", "showers.metrics.classified"),
    *("showers.metrics.compare", "showers.metrics.floor"),
    "showers.metrics.physics_distances",
}


def public_functions():
    """Name below the package to function, of those that take arrays."""
    found = {}
    for place in PLACES:
        package = importlib.import_module(f"jetvae_jax.{place}")
        path = getattr(package, "__path__", [])
        below = pkgutil.walk_packages(path, f"{package.__name__}.")
        for module in (package, *(importlib.import_module(m.name) for m in below)):
            if module.__name__.rpartition(".")[2].startswith("_"):
                continue
            for name, value in vars(module).items():
                own = getattr(value, "__module__", None) == module.__name__
                if name.startswith("_") or not own or inspect.isclass(value):
                    continue
                if callable(value) and _takes_arrays(value):
                    found[f"{module.__name__}.{name}".partition(".")[2]] = value
    return found


def _takes_arrays(function):
    parameters = inspect.signature(function).parameters.values()
    texts = (str(p.annotation) for p in parameters)
    # A function that is an argument is not an array.
    return any(ARRAYS.search(re.sub(r"Callable\[.*", "", text)) for text in texts)


FUNCTIONS = public_functions()


def draw(*shape, seed=0, high=90):
    """Whole numbers that every type but bool represents."""
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.float64)


X, Y = draw(3, 5, 3, seed=1), draw(3, 4, 3, seed=2)
X_MASK = np.arange(5) < np.array([[5], [3], [1]])
Y_MASK = np.arange(4) < np.array([[4], [2], [4]])
SMALL = draw(7, 5, 3, seed=3, high=4)  # angles
MASK = np.arange(5) < np.array([[5], [4], [3], [2], [5], [1], [5]])
TABLE, OTHERS = draw(40, 3, seed=5), draw(30, 3, seed=6)
LINE, EDGES = draw(23, seed=7), np.array([0.0, 1, 5, 20, 90])
WEIGHTS = 1 + draw(23, seed=8, high=5)
COVARIANCE = np.array([[9.0, 1, 0], [1, 5, 2], [0, 2, 4]])
Z = draw(6, 4, seed=9, high=3)
KEY = jax.random.key(0)
DRAWS = Draws(5, 2)
GRAPHS = multigraphs(3)
NAMES = ("a", "b", "c")
RAW = draw(6, 4, 8, high=3)
CLOUD = np.arange(51.0).reshape(17, 3) ** 2 % 89
ROWS = np.array([[0, 1]])
BINNING = metrics.Binning("mass", 10, 0.0, 90.0)
COPULA = densities.get("gaussian_copula").build(dim=4)


def params_of(density):
    """Parameters that are not those of the identity."""
    params = density.init(jax.random.key(1))
    leaves, tree = jax.tree.flatten(params)
    return tree.unflatten([0.9 * leaf + 0.05 for leaf in leaves])


def of_pair(f, n, m):
    return f(n(X), n(Y), x_mask=m(X_MASK), y_mask=m(Y_MASK))


def of_momenta(f, n, m):
    return f(n(X), m(X_MASK))


def of_numbers(f, n, m):
    return f(n(TABLE))


def of_latents(f, n, m):
    return f(n(Z))


def of_two(f, n, m):
    return f(n(TABLE), n(OTHERS))


def of_columns(f, n, m):
    some = f(n(LINE), n(LINE[:9] + 3))
    weights = {"x_weights": n(WEIGHTS), "y_weights": n(WEIGHTS[::-1])}
    return some, f(n(LINE), n(LINE + 1), **weights)


def of_relative(**settings):
    return lambda f, n, m: f(RelativeJets(n(SMALL), m(MASK)), **settings)


def pair(n, m):
    return RelativeJets(n(SMALL), m(MASK)), RelativeJets(n(SMALL[::-1]), m(MASK))


def of_samples(**settings):
    return lambda f, n, m: f(KEY, *pair(n, m), **settings)


def posterior(n):
    return GaussianPosterior(n(Z), n(Z[::-1]))


def of_objective(f, n, m):
    q = GaussianPosterior(n(Z[:3]), n(Z[3:]))
    return f(n(X), n(Y), q, beta=0.5, x_mask=m(X_MASK))


def mixture(n):
    fields = Z[:2, :3], SMALL[:2, :2], SMALL[2:4, :2], Z[2:4, :3]
    near = SMALL[4:6, :2], SMALL[4:6, :3, :2], SMALL[2:4, :2], Z[2:4, :3]
    near = densities.mixtures.Near(*map(n, near))
    return densities.mixtures.Mixture(*map(n, fields), near)


def pixels(n, m):
    return PixelSets(n(Y), m(Y_MASK), Y_MASK[:, 0])


CELLS = geometry.get("1x2x3x10")
SHOWER_LIMITS = Limits(0.5, 5, 0.4)


def showers(n, seed):
    energies = draw(20, 6, seed=seed, high=9) * (draw(20, 6, seed=7) > 20)
    return Showers(n(energies), n(energies.sum(1) + 1 + draw(20, seed=8, high=4)))


def values_of(conditions):
    return [c.value for c in conditions]


# By module, for the packages and modules of PLACES.
EXAMPLES = {
    "losses.adversarial": {
        "bce": lambda f, n, m: f(n(Z), true=True),
        **dict.fromkeys(
            ("classic", "minimax", "least_squares", "wasserstein", "cramer"),
            lambda f, n, m: f(n(Z), n(Z[::-1])),
        ),
        "cramer_critic": lambda f, n, m: f(n(Z), n(Z + 1), n(Z[::-1])),
        "energy_distance": of_two,
        "energy_terms": lambda f, n, m: f(n(Z), n(Z[::-1])),
    },
    "losses.distances.chamfer": {
        "broadcast_argmin": lambda f, n, m: f(n(X), n(Y)),
        "chamfer_distance": of_pair,
        "nearest_indices": lambda f, n, m: f(n(X), n(Y)),
        "nearest_neighbours": of_pair,
        "pairwise_sq_distance": lambda f, n, m: f(n(X), n(Y)),
        "running_minimum": lambda f, n, m: f(n(X), n(Y)),
    },
    "losses.distances.mse": {
        "squared_error": lambda f, n, m: f(n(X), n(X[::-1]), x_mask=m(X_MASK)),
    },
    "losses.distances.pixel_matched": {"pixel_matched_distance": of_pair},
    "losses.distances.pixel_positions": {"pixel_position_distance": of_pair},
    "losses.distances.pixel_third_axis": {"pixel_third_axis_distance": of_pair},
    "losses.distances.sinkhorn": {"sinkhorn_divergence": of_pair},
    "losses.objective": {
        "classic_objective": of_objective,
        "compressed_momenta": lambda f, n, m: f(n(SMALL), n(SMALL[:, 0])),
        "cramer": of_latents,
        "gaussian_kl": lambda f, n, m: f(posterior(n)),
        "gaussian_log_prob": lambda f, n, m: f(posterior(n), n(Z + 1)),
        "jet_mass_error": of_pair,
        "jet_pt_error": of_pair,
        "mass_weight": of_momenta,
        "normal_marginals": of_latents,
        "published_objective": of_objective,
        "reparameterize": lambda f, n, m: f(KEY, posterior(n)),
    },
    "losses.observables": {
        "observable_distance": lambda f, n, m: f(n(TABLE[:30]), n(OTHERS)),
        "observable_error": lambda f, n, m: f(
            n(X), n(Y), name="efp2", spread=n(WEIGHTS[:2]), x_mask=m(X_MASK)
        ),
        "observable_spread": lambda f, n, m: f(n(X), m(X_MASK), name="width"),
    },
    "losses.separation": {
        "repulsion": lambda f, n, m: f(n(X), mask=m(X_MASK)),
    },
    "core.kinematics": {
        "from_frame": lambda f, n, m: f(
            n(SMALL), n(SMALL[:, 0, 0]), n(SMALL[:, 0, :2])
        ),
        "from_pt_eta_phi": lambda f, n, m: f(n(SMALL)),
        "jet_energy": of_momenta,
        "jet_mass": of_momenta,
        "jet_mass_squared": of_momenta,
        "jet_momentum": of_momenta,
        "jet_pt": of_momenta,
        "jet_pt_eta_phi": of_momenta,
        "multiplicity": lambda f, n, m: f(m(X_MASK)),
        "to_frame": lambda f, n, m: f(n(SMALL), n(SMALL[:, 0])),
        "to_pt_eta_phi": lambda f, n, m: f(n(X)),
        "to_relative": lambda f, n, m: f(n(X), n(X[:, 0])),
    },
    "core.momenta": {
        "cartesian": lambda f, n, m: f(n(LINE), n(LINE % 4), n(LINE % 3)),
        "mass": lambda f, n, m: f(n(X[..., 0]), n(X)),
        "pt_eta_phi": lambda f, n, m: f(n(X)),
        "wrap_phi": lambda f, n, m: f(n(LINE)),
    },
    "core.numerics": {
        "masked_mean": lambda f, n, m: f(n(X[..., 0]), m(X_MASK)),
        "masked_sum": lambda f, n, m: f(n(X[..., 0]), m(X_MASK)),
        "safe_divide": lambda f, n, m: f(n(Z), n(Z[::-1])),
        "safe_log": of_latents,
        "safe_norm": of_latents,
        "safe_sqrt": of_latents,
        "wrap_phi": lambda f, n, m: f(n(LINE)),
    },
    "densities.contexts": {
        "drawn_rows": lambda f, n, m: f(KEY, n(TABLE), 5),
        "rows_to_draw": lambda f, n, m: f(n(TABLE), ContextRequest(), {0: 3.0}),
    },
    "densities.copula": {
        "fit": lambda f, n, m: f(densities.copula.Config(num_knots=17), n(TABLE)),
        "log_density": lambda f, n, m: f(COPULA, params_of(COPULA), n((Z + 1) / 4)),
        "uniforms": of_latents,
    },
    "densities.gaussian_copula": {
        "fit": of_numbers,
        "nearest_correlation": lambda f, n, m: f(n(COVARIANCE)),
    },
    "densities.marginals": {
        "checked": of_numbers,
        "fit_empirical": lambda f, n, m: f(n(TABLE), num_knots=17),
        "start_spline": of_numbers,
    },
    "densities.mixtures": {
        "at": lambda f, n, m: f(
            mixture(n), densities.mixtures.Noise(n(Z[:2, 0] > 0), n(Z[:2, :2]))
        ),
        "log_prob": lambda f, n, m: f(mixture(n), n(Z[:2, :2])),
        "sample": lambda f, n, m: f(mixture(n), KEY),
    },
    "densities.positive": {
        "log_prob": lambda f, n, m: f(n(Z[:, 0]), n(Z), n(Z[::-1]), n(Z / 4)),
        "sample": lambda f, n, m: f(KEY, n(Z), n(Z[::-1]), n(Z / 4)),
    },
    "densities.splines": {
        "forward": lambda f, n, m: f(n(RAW), n(Z), bound=5.0),
        "inverse": lambda f, n, m: f(n(RAW), n(Z), bound=5.0),
    },
    "events.metrics": {
        "compare": lambda f, n, m: f(n(TABLE), n(OTHERS), NAMES),
        "floor": lambda f, n, m: f(n(TABLE), n(OTHERS), NAMES, size=20),
        "means": of_two,
    },
    "images.metrics": {
        "pixel_errors": lambda f, n, m: f(
            *(PixelSets(n(x), m(MASK), np.arange(7)) for x in (SMALL, SMALL[::-1]))
        ),
    },
    "metrics.classifier.two_sample": {
        "auc_with_error": lambda f, n, m: f(n(LINE), n(LINE[:9] + 1)),
        "c2st": of_samples(epochs=1),
        "c2st_sets": lambda f, n, m: f(
            KEY, n(SMALL), m(MASK), n(SMALL[::-1]), m(MASK), epochs=1
        ),
        "c2st_table": lambda f, n, m: f(KEY, n(TABLE), n(OTHERS), epochs=1),
    },
    "metrics.distributions.binning": {
        "compare": lambda f, n, m: f(n(LINE), n(LINE[:9] + 1), BINNING),
    },
    "metrics.distributions.correlations": {
        "distance": lambda f, n, m: f(n(COVARIANCE), n(2 * COVARIANCE)),
        "pearson": of_numbers,
        "spearman": of_numbers,
    },
    "metrics.distributions.distances": {
        "bin_height_w1": lambda f, n, m: f(n(LINE), n(LINE[::-1] + 2)),
        "separation_power": lambda f, n, m: f(n(LINE), n(LINE[::-1] + 2)),
        "histogram": lambda f, n, m: f(n(LINE), n(EDGES), n(WEIGHTS)),
        "histogram_emd": lambda f, n, m: f(n(WEIGHTS[:4]), n(WEIGHTS[4:8]), n(EDGES)),
        "kolmogorov_smirnov": of_columns,
        "wasserstein_1d": of_columns,
    },
    "observables.energy_flow.contraction": {
        "contract": lambda f, n, m: f(GRAPHS, n(WEIGHTS[:3]), n(COVARIANCE)),
    },
    "observables.energy_flow.polynomials": {"efps": of_relative(graphs=GRAPHS)},
    "observables.jets": {
        "jet_observables": lambda f, n, m: f(Jets(n(X), m(X_MASK), n(X[:, 0]))),
        "relative": lambda f, n, m: f(Jets(n(X), m(X_MASK)), n(X[:, 0])),
    },
    "observables.named": {
        "observable": lambda f, n, m: f(n(X), m(X_MASK), name="d2"),
    },
    "observables.clustering": {
        "outside_share": of_relative(radius=0.4),
        "subjets": lambda f, n, m: f(n(SMALL[0])),
    },
    "observables.substructure": {"substructure": of_relative()},
    "metrics.polynomials": {
        "efp_table": of_relative(graphs=GRAPHS, beta=2.0),
        "jet_features": of_relative(),
    },
    "events.conditions": {
        "conditions": lambda f, n, m: values_of(
            f(find(NAMES, TABLE), limits(n(TABLE)), n(OTHERS))
        ),
        "limits": of_numbers,
    },
    "images.conditions": {
        "conditions": lambda f, n, m: values_of(
            f(PixelSets(n(X), m(X_MASK), X_MASK[:, 0]), pixels(n, m))
        ),
        "repeated": lambda f, n, m: f(pixels(n, m)),
    },
    "showers.conditions": {
        "conditions": lambda f, n, m: values_of(f(CELLS, SHOWER_LIMITS, showers(n, 1))),
        "limits": lambda f, n, m: f(CELLS, showers(n, 0)),
    },
    "showers.metrics": {
        "means": lambda f, n, m: f(CELLS, showers(n, 0), showers(n, 1)),
        "measured": lambda f, n, m: f(CELLS, showers(n, 0)),
    },
    "jets.conditions": {
        "measured": lambda f, n, m: f(Jets(n(X), m(X_MASK)), n(SMALL[:3, 0] + 1)),
    },
    "metrics.binned": {
        "beyond": lambda f, n, m: f(n(EDGES), (1.0, 30.0)),
        "binned": lambda f, n, m: f(
            n(LINE), n(LINE[::-1]), n(EDGES), m(np.arange(23) > 3)
        ),
        "edges": lambda f, n, m: f(n(LINE), 4),
        "is_whole": lambda f, n, m: f(n(LINE)),
    },
    "metrics.conditions": {
        "largest": lambda f, n, m: f(n(LINE)),
        "median": lambda f, n, m: f(n(LINE)),
        "off_shell": lambda f, n, m: f(n(LINE), n(LINE[::-1]), n(LINE)),
        "share": lambda f, n, m: f(m(X_MASK)),
    },
    "metrics.frechet": {
        "frechet_distance": lambda f, n, m: f(
            n(TABLE[0]), n(COVARIANCE), n(TABLE[1]), n(2 * COVARIANCE)
        ),
        "mean_and_covariance": of_numbers,
    },
    "metrics.frechet.kernel": {
        "kpd": lambda f, n, m: f(
            KEY, n(TABLE), n(OTHERS), num_batches=3, batch_size=10
        ),
        "squared_mmd": of_two,
        "summary": lambda f, n, m: f(n(LINE)),
    },
    "metrics.frechet.particlenet": {"nearest": lambda f, n, m: f(n(CLOUD))},
    "metrics.frechet.physics": {
        "fit_line": lambda f, n, m: f(n(EDGES[1:]), n(EDGES[:0:-1])),
        "fit_line_as_jetnet": lambda f, n, m: f(n(EDGES[1:]), n(EDGES[:0:-1])),
        "fpd": lambda f, n, m: f(
            KEY, n(TABLE), n(OTHERS), min_samples=10, max_samples=20, num_points=3
        ),
        "prepared": lambda f, n, m: f(n(TABLE), n(OTHERS), True),
    },
    "metrics.measurements.w1efp": {"w1efp": of_samples(draws=DRAWS)},
    "metrics.measurements.w1m": {"w1m": of_samples(draws=DRAWS)},
    "metrics.measurements.w1p": {"w1p": of_samples(draws=DRAWS)},
    "metrics.observables": {
        "particle_observables": lambda f, n, m: dict(f(Jets(n(X), m(X_MASK)))),
        "relative_jet_observables": of_relative(),
        "relative_mass": of_relative(),
        "relative_masses": of_relative(),
    },
    "metrics.suite.measurement": {
        "w1_over_batches": lambda f, n, m: f(KEY, n(TABLE), n(OTHERS), DRAWS),
    },
    "metrics.transport.coverage": {
        "cov_mmd": of_samples(num_jets=4, num_batches=2),
        "cov_mmd_of": lambda f, n, m: f(*pair(n, m), ROWS, ROWS + 2),
    },
    "metrics.transport.dual_bound": {
        "lower_bounds": lambda f, n, m: f(n(SMALL), m(MASK), n(SMALL[:2]), m(MASK[:2])),
    },
    "metrics.transport.energy_mover": {
        "checked": of_relative(),
        "emd": lambda f, n, m: f(*pair(n, m)),
    },
    "metrics.transport.entropic": {
        "balanced": lambda f, n, m: f(n(SMALL[:3]), n(SMALL[3:6])),
    },
    "models.adversarial": {
        "discriminator_loss": lambda f, n, m: f(n(Z), n(Z + 1), n(Z[::-1])),
        "feature_distance": lambda f, n, m: f(n(Z), n(Z[::-1])),
        "output_distance": lambda f, n, m: f(n(Z), n(Z[::-1])),
    },
}
CALLS = {
    f"{module}.{name}": call
    for module, calls in EXAMPLES.items()
    for name, call in calls.items()
}
HOST = {
    f"{module}.{name}"
    for module, names in {
        "core.momenta": "cartesian mass pt_eta_phi wrap_phi",
        "densities.contexts": "rows_to_draw",
        "densities.copula": "fit",
        "densities.gaussian_copula": "fit nearest_correlation",
        "densities.marginals": "checked fit_empirical start_spline",
        "events.conditions": "conditions limits",
        "events.metrics": "compare floor means",
        "images.conditions": "conditions repeated",
        "images.metrics": "pixel_errors",
        "showers.conditions": "conditions limits",
        "showers.metrics": "means measured",
        "metrics.classifier.two_sample": "auc_with_error c2st c2st_sets c2st_table",
        "jets.conditions": "measured",
        "metrics.binned": "beyond binned edges is_whole",
        "metrics.conditions": "largest median off_shell share",
        "metrics.distributions.binning": "compare",
        "metrics.distributions.correlations": "distance pearson spearman",
        "metrics.frechet": "frechet_distance mean_and_covariance",
        "metrics.frechet.kernel": "kpd squared_mmd summary",
        "metrics.frechet.physics": "fit_line fit_line_as_jetnet fpd prepared",
        "metrics.measurements.w1efp": "w1efp",
        "metrics.measurements.w1m": "w1m",
        "metrics.measurements.w1p": "w1p",
        "metrics.observables": "particle_observables",
        "metrics.suite.measurement": "w1_over_batches",
        "metrics.transport.coverage": "cov_mmd cov_mmd_of",
        "metrics.transport.dual_bound": "lower_bounds",
        "metrics.transport.energy_mover": "checked emd",
    }.items()
    for name in names.split()
}
# Minutes of compilation in all.
SLOW = (
    *("c2st", "sinkhorn", "cov_mmd", "substructure", "subjets", "spline", "mixtures"),
    *("copula.log_density", "repulsion", "classic", "compressed", "efps", "to_frame"),
)

TYPES = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
        *("uint64", "float16", "float64", "longdouble", ">i2", ">u8", ">f2", ">f4"),
    )
} | {"bfloat16": np.dtype(ml_dtypes.bfloat16), ">f8": np.dtype(">f8")}


def outcome(call, number, mask):
    """Leaves of the result, or the type of the error for these numbers."""
    try:
        with np.errstate(all="ignore"):
            result = call(number, mask)
    except (ValueError, np.linalg.LinAlgError, RuntimeError) as error:
        return type(error)
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


def converted(kind):
    """Converters of numbers and of masks to a type, by turns to several if mixed."""
    kinds = [TYPES[k] for k in ("uint8", "float64", "bfloat16", "int16", ">f4")]
    turn = itertools.cycle(kinds if kind == "mixed" else [TYPES[kind]])

    def number(values):
        # Of the mixed types not all represent fractions.
        return (np.trunc(values) if kind == "mixed" else values).astype(next(turn))

    return number, lambda mask: mask.astype(TYPES.get(kind, np.uint8))


def exact(kind):
    """The same numbers in float32: ones and zeros where they were booleans."""
    cut = (lambda v: v != 0) if kind == "bool" else (lambda v: v)
    if kind in ("uint8", "uint16", "uint32", "uint64", ">u8", "int8", "int16", "int32",
                "int64", ">i2", "mixed"):  # fmt: skip
        cut = np.trunc
    return lambda values: cut(values).astype(np.float32)


def test_every_public_function_of_arrays_has_an_example():
    missing = sorted(set(FUNCTIONS) - set(CALLS) - INTERNAL)
    assert not missing, f"add to CALLS in {__file__}: {', '.join(missing)}"
    stale = sorted((set(CALLS) | INTERNAL | HOST) - set(FUNCTIONS))
    assert not stale, f"no longer there: {', '.join(stale)}"


def in_default_run(name, kind):
    """What compiles takes long: one of the kinds, unless the function is NumPy's."""
    if any(word in name for word in SLOW):
        return False
    return kind == "mixed" or (name in HOST and kind in ("uint8", "bfloat16"))


CASES = [
    pytest.param(
        *case,
        marks=() if in_default_run(*case) else pytest.mark.slow,
        id="-".join(case),
    )
    for case in itertools.product(CALLS, (*TYPES, "mixed"))
]


def with_slow(names):
    """The names, those that take long marked."""
    return [
        pytest.param(name, marks=pytest.mark.slow)
        if any(word in name for word in SLOW)
        else name
        for name in names
    ]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_value_is_that_of_float32(name, kind):
    call = functools.partial(CALLS[name], FUNCTIONS[name])
    number, mask = converted(kind)
    expected = outcome(call, exact(kind), lambda mask: mask)
    found = outcome(call, number, mask)
    if isinstance(expected, type):
        assert found is expected
        return
    assert len(found) == len(expected)
    for value, wanted in zip(found, expected, strict=True):
        if value.dtype.kind not in "biu":
            assert value.dtype in (np.float32, np.float64)
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=1e-5)


FEW_COMPILED = ("jet_features", "relative_masses", "histogram_emd")


@pytest.mark.parametrize(
    "name",
    [
        name
        if name.endswith(FEW_COMPILED)
        else pytest.param(name, marks=pytest.mark.slow)
        for name in CALLS
        if name not in HOST
    ],
)
def test_under_jit_vmap_and_grad(name):
    """One compiled program: the gradient of a sum, mapped over two copies."""
    given = []
    call = functools.partial(CALLS[name], FUNCTIONS[name])
    plain = call(lambda v: given.append(v) or v.astype(np.float32), lambda mask: mask)
    wanted = [np.asarray(leaf) for leaf in jax.tree.leaves(plain)]

    def total(arrays):
        turn = iter(arrays)
        found = jax.tree.leaves(call(lambda _: next(turn), lambda mask: mask))
        real = (jnp.sum(v) for v in found if jnp.issubdtype(v.dtype, jnp.floating))
        return sum(real, start=jnp.zeros(())), found

    twice = [np.stack([v, v]).astype(np.float32) for v in given]
    mapped = jax.jit(jax.vmap(jax.value_and_grad(total, has_aux=True)))
    if not twice:  # of a mask alone
        found = [np.stack([v, v]) for v in jax.jit(lambda: total([])[1])()]
        gradients = []
    else:
        (_, found), gradients = mapped(twice)
    for value, expected in zip(found, wanted, strict=True):
        for copy in value:
            np.testing.assert_allclose(copy, expected, rtol=2e-5, atol=1e-5)
    for gradient, array in zip(gradients, twice, strict=True):
        assert gradient.shape == array.shape
        if np.all([np.isfinite(v).all() for v in wanted]):
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(HOST))
def test_functions_of_the_host_say_so(name):
    module = importlib.import_module(FUNCTIONS[name].__module__)
    assert re.search(r"host|NumPy", f"{FUNCTIONS[name].__doc__} {module.__doc__}")


# What is built by name: distances, densities, models and discriminators.

FEW = ("uint8", ">f4")


def same_as_float32(call, kinds=FEW):
    """The test of above for a few types."""
    expected = jax.tree.leaves(call(exact("int16"), lambda mask: mask))
    for kind in kinds:
        inner, mask = converted(kind)
        found = call(lambda values, inner=inner: inner(np.trunc(values)), mask)
        for value, wanted in zip(jax.tree.leaves(found), expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", with_slow(distances.names()))
def test_distances_by_name(name):
    module = distances.get(name)
    distance = module.build(module.Config())
    same_as_float32(
        lambda n, m: distance(n(X), n(X[::-1]), x_mask=m(X_MASK), y_mask=m(X_MASK))
    )


@pytest.mark.parametrize("name", with_slow(densities.names()))
def test_densities_by_name(name):
    module = densities.get(name)
    density = module.build(module.Config(), dim=4)
    params = params_of(density)
    maps = density.log_prob, density.forward, density.inverse
    same_as_float32(lambda n, m: [f(params, n(Z)) for f in maps if f is not None])


@pytest.mark.parametrize("kind", with_slow(("empirical", "spline")))
def test_marginals(kind):
    marginals = getattr(densities.marginals, kind)(4)
    params = marginals.init(KEY)
    same_as_float32(
        lambda n, m: (marginals.scores(params, n(Z)), marginals.values(params, n(Z)))
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_models_by_name(name):
    module = models.get(name)
    sizes = {"num_particles": 14, "num_features": 3, "latent_dim": 3}
    x, mask = draw(2, 14, 3, high=3), np.arange(14) < np.array([[14], [9]])
    jets = Batch(x.astype(np.float32), mask, Context(X[:2, 0].astype(np.float32)))
    # The library method generates the events that it is given.
    task = Task(14, 3, sample=(lambda num: jets) if name == "library" else None)
    model = module.model(models.vae.fill(module.Config(), sizes), task)
    params = model.init(KEY)

    def call(n, m):
        context = Context(n(X[:2, 0]))
        batch = Batch(n(x), m(mask), context)
        if model.encode is None or model.decode is None:
            return model.loss(params, KEY, batch), model.sample(params, KEY, context)
        q = model.encode(params, batch)
        return q, model.decode(params, KEY, n(Z[:2, :3]), context)

    same_as_float32(call)


@pytest.mark.slow
@pytest.mark.parametrize("name", discriminators.names())
def test_discriminators_by_name(name):
    module = discriminators.get(name)
    network = module.build(module.Config(num_particles=5, num_features=3))
    params = network.init(KEY)
    same_as_float32(
        lambda n, m: (
            network.apply(params, n(SMALL), m(MASK)),
            network.features(params, n(SMALL), m(MASK)),
        )
    )


# Values that were wrong once, by hand.


def test_points_in_another_order_have_distance_zero():
    points, others = [[0, 0], [10, 10]], [[10, 10], [0, 0]]
    for kind in ("bool", "uint8", "int64", "float16", ">f4"):
        x, y = (np.array([p]).astype(TYPES[kind]) for p in (points, others))
        assert chamfer_distance(x, y) == 0


def test_squares_beyond_half_precision_do_not_overflow():
    x, y = np.zeros((1, 2), np.float16), np.array([[300, 400]], np.float16)
    assert chamfer_distance(x, y) == 500_000
    assert chamfer_distance(x.astype(ml_dtypes.bfloat16), y) == 500_000


@pytest.mark.parametrize("kind", ["uint8", "uint64", "int8", "float16", ">i2"])
def test_one_dimensional_distances_of_integers(kind):
    x, y = (np.array(v).astype(TYPES[kind]) for v in ([3, 5, 4], [30, 28, 29]))
    assert metrics.wasserstein_1d(x, y) == 25
    assert metrics.wasserstein_1d(x, y[:1]) == 26
    assert metrics.kolmogorov_smirnov(x, y) == 1
    assert metrics.histogram_emd(x, y[::-1], np.arange(4)) == 26 + 49


def test_large_integers_are_not_cut_to_32_bits():
    x = np.array([[2**40, 0]])
    assert chamfer_distance(x, x + 2**20) == pytest.approx(2 * 2.0**41, rel=1e-6)
    with pytest.raises(TypeError, match="beyond int32: give them as floats"):
        metrics.map_chunks(lambda v: v + 1, x)


def test_masks_of_other_types_are_no_indices():
    x = np.array([[1.0, 2, 3], [5, 5, 5], [7, 7, 7]], np.float32)[None]
    mask = np.array([[1, 0, 2]])
    for kind in ("uint8", "int64", "float32", ">i2"):
        found = metrics.w1p(
            KEY, RelativeJets(x, mask.astype(kind)), RelativeJets(x, mask > 0),
            draws=Draws(1, 1),
        )  # fmt: skip
        assert found["value"] == 0
        near = nearest_neighbours(x, x, x_mask=mask.astype(kind), y_mask=mask > 0)
        np.testing.assert_array_equal(near.xy_sq, 0)


def test_what_is_not_a_number_is_refused():
    for values in (np.array(["a", "b"]), np.array([1j, 2]), np.array([None, 1])):
        with pytest.raises(TypeError, match="real numbers expected"):
            metrics.wasserstein_1d(values, np.zeros(2))
        with pytest.raises(TypeError, match="real numbers expected"):
            chamfer_distance(values[:, None], np.zeros((2, 1)))


def test_a_function_of_the_host_says_so_under_jit():
    with pytest.raises(
        TypeError, match="on the host, in NumPy: call it outside of jit"
    ):
        jax.jit(metrics.pearson)(TABLE.astype(np.float32))


@pytest.mark.parametrize("name", with_slow(("chamfer", "mse", "sinkhorn")))
def test_single_and_double_precision_together(name):
    module = distances.get(name)
    distance = module.build(module.Config())
    single, double = X.astype(np.float32), X[::-1].astype(np.float64)
    with jax.enable_x64(True):
        expected = distance(single.astype(np.float64), double)
        for x, y in ((single, double), (jnp.asarray(single), jnp.asarray(double))):
            assert distance(x, y).dtype == np.float64
            np.testing.assert_allclose(distance(x, y), expected, rtol=1e-12)
            np.testing.assert_allclose(distance(y, x), distance(double, single))


@pytest.mark.parametrize("name", with_slow(densities.names()))
def test_flows_of_single_and_double_precision(name):
    module = densities.get(name)
    density = module.build(module.Config(), dim=4)
    params = params_of(density)  # float32
    wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    with jax.enable_x64(True):
        expected = density.log_prob(wide, Z)
        assert expected.dtype == np.float64
        for p, z in (
            (params, Z),
            (wide, Z.astype(np.float32)),
            (params, Z.astype(int)),
        ):
            np.testing.assert_allclose(density.log_prob(p, z), expected, rtol=1e-5)


def test_float32_is_not_touched():
    x = jnp.asarray(X, jnp.float32)
    assert dtypes.floats(jnp, x)[0] is x
    x = X.astype(np.float32)
    assert dtypes.floats(np, x)[0] is x
    jets = dtypes.record(np, Jets(x, X_MASK))
    assert jets.particles is x
    assert jets.mask is X_MASK
    assert jets.axis is None
