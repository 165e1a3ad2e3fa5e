"""Scores that a trained run gives to events: higher is less like its training events.

Each is a pure function of a trained model and a batch ``[..., N, F]``, ``-> [...]``.
None has seen signal. ``MEANINGS`` says what each is.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import layers
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array, Batch, Params
from jetvae_jax.densities import copula as copulas
from jetvae_jax.densities import normal
from jetvae_jax.models.vae import NONE, Built, prior_of
from jetvae_jax.runs.config import CopulaRun
from jetvae_jax.runs.trained import TrainedModel, task_of
from jetvae_jax.studies.signal.hypothesis import COMBINED

MEANINGS = {
    "reconstruction": "mean squared error of the decoded mean of the posterior, scaled "
    "features",
    "reconstruction_rest": "the same without the columns of --classify.exclude, such "
    "as the mass",
    "latent": "-log N(µ; 0, 1) of the mean µ of the posterior",
    "pca": "Mahalanobis distance of µ, in principal components of the background's",
    "pca_rest": "squared length of µ outside of the leading principal components",
    "discriminator": "-logit D(x), in the order of 1 - D(x)",
    "flow": "-log p(µ) of the flow, learned with the model or fitted afterwards",
    "copula": "-log p(µ) of the copula, learned with the model or fitted afterwards",
    "copula_tail": "-2 Σ log(2 min(u, 1 - u)) of the copula's uniforms u (Fisher 1925)",
    COMBINED: "mean of the others' normal scores among background",
}
"""What each score is, in words for a report."""
NAMES = tuple(MEANINGS)
LEADING = 0.9
"""Share of the variance that the leading principal components hold."""
Score = Callable[[Batch], Array]
LogProb = Callable[..., Array]


class Components(NamedTuple):
    """Principal components of latents.

    Attributes:
        mean: ``[L]``.
        axes: ``[L, L]``, a component a column, the widest first.
        std: ``[L]`` of the sample along them.
        leading: number of components that hold nine tenths of the variance.
    """

    mean: np.ndarray
    axes: np.ndarray
    std: np.ndarray
    leading: int


def means(networks: Built, params: Params, batch: Batch) -> Array:
    """Posterior means ``[..., L]``."""
    condition = batch.context.condition
    return networks.vae.encode(params, batch.x, batch.mask, condition).mean


def reconstruction(
    networks: Built, params: Params, batch: Batch, *, weights: Array | float = 1.0
) -> Array:
    """Mean squared error of what the posterior mean is decoded to.

    Args:
        networks: of the model.
        params: of all its components.
        batch: of sets of points.
        weights: ``[F]`` of the features; 0 leaves one out.
    """
    z = means(networks, params, batch)
    again = networks.vae.decode(params, z, batch.context.condition)
    exists = jnp.broadcast_to(batch.mask[..., None] * weights, again.shape)
    error = jnp.where(exists > 0, exists * jnp.square(again - batch.x), 0.0)
    total = jnp.sum(exists, axis=(-2, -1))
    return jnp.sum(error, axis=(-2, -1)) / jnp.maximum(total, 1e-12)


def latent(networks: Built, params: Params, batch: Batch) -> Array:
    """Distance from the standard normal, ``-log N(mu; 0, 1)``."""
    z = means(networks, params, batch)
    return -normal.normal(z.shape[-1]).log_prob({}, z)


def discriminator(networks: Built, params: Params, batch: Batch) -> Array:
    """``-logit`` of the discriminator: large for events that it takes for generated."""
    if networks.discriminator is None:
        raise ValueError("there is no discriminator")
    condition = batch.context.condition
    own = params["discriminator"]
    return -networks.discriminator.apply(own, batch.x, batch.mask, condition)


def surprise(log_prob: LogProb, networks: Built, params: Params, batch: Batch) -> Array:
    """``-log p(mu)`` of a density ``(z [..., L], condition...) -> [...]``."""
    return -log_prob(means(networks, params, batch), batch.context.condition)


def tail(
    to_scores: Callable[[Array], Array],
    networks: Built,
    params: Params,
    batch: Batch,
) -> Array:
    """How far out the uniforms lie, ``-2 sum log(2 min(u, 1 - u))``.

    Args:
        to_scores: latents to normal scores y, ``u = Phi(y)``.
        networks: of the model.
        params: of all its components.
        batch: of sets of points.
    """
    y = to_scores(means(networks, params, batch))
    # log Phi(-|y|) keeps its digits where u rounds to 0 or 1.
    log_tail = jax.scipy.stats.norm.logcdf(-jnp.abs(y))
    return -2 * jnp.sum(jnp.log(2.0) + log_tail, axis=-1)


def components(z: Array) -> Components:
    """Principal components of a sample ``[J, L]``, J > 1."""
    z = np.asarray(z, float)
    centre = z.mean(0)
    covariance = np.atleast_2d(np.cov(z, rowvar=False))
    values, axes = np.linalg.eigh(covariance)
    values, axes = np.maximum(values[::-1], 0.0), axes[:, ::-1]
    share = np.cumsum(values) / max(values.sum(), 1e-30)
    leading = int(np.searchsorted(share, LEADING) + 1)
    # A latent that the encoder does not use has no width to measure distances by.
    smallest = 1e-3 * np.sqrt(values[0]) + 1e-12
    std = np.maximum(np.sqrt(values), smallest)
    return Components(centre, axes, std, min(leading, len(values)))


def project(fitted: Components, z: Array) -> Array:
    """Coordinates ``[..., L]`` of ``z [..., L]`` along the principal components."""
    return (z - fitted.mean.astype(np.float32)) @ fitted.axes.astype(np.float32)


def fitted_latents(trained: TrainedModel) -> Literal["prior", "flow", "copula"]:
    """What a run is generated from: a fitted copula, else a flow, else the prior."""
    fitted = trained.fitted()
    return "copula" if "copula" in fitted else "flow" if "flow" in fitted else "prior"


def offered(
    trained: TrainedModel,
    fitted: Components,
    excluded: Sequence[str] = (),
) -> dict[str, Score]:
    """The scores that a run can give, without ``combined``.

    Args:
        trained: the run.
        fitted: principal components of its background.
        excluded: columns that ``reconstruction_rest`` leaves out.

    Raises:
        InputError: an excluded column is unknown, or a checkpoint is damaged.
    """
    of = (trained.model.components, trained.params)
    found: dict[str, Score] = {"reconstruction": lambda b: reconstruction(*of, b)}
    if excluded:
        weights = _without(trained.meta, excluded)
        found["reconstruction_rest"] = lambda b: reconstruction(*of, b, weights=weights)

    def beyond(batch: Batch) -> Array:
        outside = project(fitted, means(*of, batch))[..., fitted.leading :]
        return jnp.sum(jnp.square(outside), axis=-1)

    def distance(batch: Batch) -> Array:
        scaled = project(fitted, means(*of, batch)) / fitted.std.astype(np.float32)
        return jnp.sqrt(jnp.sum(jnp.square(scaled), axis=-1))

    found |= {"latent": lambda b: latent(*of, b), "pca": distance}
    if fitted.leading < len(fitted.std):
        found["pca_rest"] = beyond
    if trained.model.components.discriminator is not None:
        found["discriminator"] = lambda b: discriminator(*of, b)
    for name, density in densities(trained).items():
        found[name] = lambda b, density=density: surprise(density, *of, b)
    to_scores = _to_scores(trained)
    if to_scores:
        found["copula_tail"] = lambda b: tail(to_scores, *of, b)
    return found


def chosen(
    found: dict[str, Score], names: Sequence[str], workdir: Any
) -> dict[str, Score]:
    """The requested scores; all if none is named.

    Raises:
        InputError: the run does not offer one.
    """
    needs = {"discriminator": "a discriminator (--discriminator)",
             "flow": "a flow (--prior or fit_flow.py)",
             "copula": "a copula (--prior=gaussian_copula or fit_copula.py)",
             "copula_tail": "a copula (--latent=uniform or fit_copula.py)",
             "reconstruction_rest": "columns to leave out (--classify.exclude)",
             "pca_rest": "latents beyond nine tenths of the variance"}  # fmt: skip
    for name in names:
        if name not in found and name != COMBINED:
            raise InputError(
                f"{workdir}: cannot score by {name}: the run lacks {needs[name]}; it "
                f"offers {', '.join(found)}"
            )
    wanted = [name for name in names if name != COMBINED]
    return {name: found[name] for name in wanted} if wanted else found


def evaluate(trained: TrainedModel, scores: dict[str, Score], sample: Any) -> dict:
    """All scores of events, name to ``[J]``.

    Raises:
        InputError: a score is NaN.
    """

    @jax.jit
    def run(sample):
        batch = trained.scale(sample)
        return layers.in_slices(
            lambda event: {name: score(event) for name, score in scores.items()}, batch
        )

    found = run(sample)  # its names are sorted
    values = {name: np.asarray(found[name], float) for name in scores}
    check_finite(values, "events", "leave the score out")
    return values


def check_finite(values: dict[str, np.ndarray], unit: str, remedy: str) -> None:
    """Check that no score is NaN.

    Args:
        values: score to ``[J]``.
        unit: what is scored: events, jets.
        remedy: what the user can do.

    Raises:
        InputError: one is.
    """
    for name, v in values.items():
        if np.isnan(v).any():
            raise InputError(
                f"score {name}: NaN for {np.isnan(v).sum()} of {len(v)} {unit}: the "
                f"{unit} lie too far from those of the training; {remedy}"
            )


def normal_scores(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Quantiles of values among those of background, as standard normal numbers.

    Args:
        reference: ``[J]`` of background.
        values: ``[M]``; equal to the largest of reference counts as the largest.
    """
    ordered = np.sort(reference)
    sides = [np.searchsorted(ordered, values, side) for side in ("left", "right")]
    share = (0.5 * (sides[0] + sides[1]) + 0.5) / (len(ordered) + 1)
    return np.asarray(jax.scipy.special.ndtri(share.astype(np.float32)), float)


def rarity(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How far values are from the median of background, on either side.

    Arguments as those of :func:`normal_scores`.
    """
    return np.abs(normal_scores(reference, values))


def combine(reference: dict, values: dict) -> np.ndarray:
    """The mean of all scores' normal scores, which background alone defines.

    Args:
        reference: score to ``[J]`` of background.
        values: score to ``[M]``, the same scores.

    Returns:
        ``[M]``.
    """
    each = [normal_scores(reference[name], values[name]) for name in values]
    return np.mean(each, axis=0)


def _without(meta: dict, excluded: Sequence[str]) -> np.ndarray:
    for name in excluded:
        if name not in meta["columns"]:
            raise InputError(
                f"--classify.exclude: {name!r} is not a column of the run; it has "
                f"{', '.join(meta['columns'])}"
            )
    columns = [f.removeprefix("cos ").removeprefix("sin ") for f in meta["features"]]
    return np.array([name not in excluded for name in columns], np.float32)


def densities(trained: TrainedModel) -> dict[str, LogProb]:
    """Log-densities of latents; a fitted one replaces one learned with the VAE."""
    found: dict[str, LogProb] = {}
    networks, name = trained.model.components, trained.run.components.prior
    if isinstance(networks, Built):
        prior = networks.prior
    else:
        task = task_of(trained.run, trained.scaler)
        prior = prior_of(trained.model.latent_dim, task)
    if prior is not None and name != NONE:
        kind = "copula" if name == "gaussian_copula" else "flow"
        own = trained.params["prior"]
        found[kind] = lambda z, condition=None: prior.log_prob(own, z, condition)
    return found | {n: density.log_prob for n, density in trained.fitted().items()}


def _to_scores(trained: TrainedModel) -> Callable[[Array], Array] | None:
    """Latents to the normal scores of their uniforms, if the run has a copula."""
    copula = trained.fitted().get("copula")
    if copula is not None:
        assert isinstance(copula.run, CopulaRun)
        marginals = copulas.columns(copula.run.config, copula.density.dim)
        own = copula.params["marginals"]
        return lambda z: marginals.scores(own, z)[0]
    components = trained.run.components
    if components.latent != "gaussian" or components.prior == "gaussian_copula":
        return lambda z: z
    return None
