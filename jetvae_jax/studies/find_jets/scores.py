"""Scores of jets by a model that was trained on others: higher is less like these.

None has seen signal. A model gives those for which it has what is needed;
``MEANINGS`` says what each is, and any other is a term of the loss: ``reconstruction``
(Chamfer's distance, say), ``jet_mass``, ``pt``, ``angles``, ...

A density has units. In other units of pt ``log p(x)`` changes by a constant for each
particle, with log pt in its place by ``sum log pt``: which jets are unlikely is partly
a choice, above all between jets of different multiplicity.

The bound takes the prior that jets are generated from: a fitted density, else the
model's own. A deterministic decoder with distance D that was trained by ``w D + beta
KL`` has the likelihood ``log p(x|z) = -w D / beta``, up to a constant: its bound is the
loss it was trained by, divided by ``-beta``.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core import layers
from jetvae_jax.core.types import Array, Batch, Jets, Key, Model, Objective, Terms
from jetvae_jax.densities.normal import normal
from jetvae_jax.metrics import jet_observables
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.models.bounds import importance_weighted, log_weights, of_draws
from jetvae_jax.models.vae import NONE, Built
from jetvae_jax.runs.trained import TrainedModel, build_model, task_of
from jetvae_jax.studies.signal import scores as of_events

LIKELIHOODS = ("likelihood", "elbo", "likelihood_per_particle", "likelihood_log_pt")
LATENTS = ("kl", "latent", "flow", "copula")
OBSERVABLES = ("mass", "multiplicity")
CUTS = (*OBSERVABLES, *(f"rare_{name}" for name in OBSERVABLES))
TERM = "term of the loss that the model was trained by"
MEANINGS = {
    "likelihood": "-log p(x) in nats: exact without latents, else the "
    "importance-weighted bound of several draws of the posterior",
    "elbo": "minus the evidence lower bound in nats, mean of the same draws",
    "likelihood_per_particle": "the likelihood divided by the number of particles",
    "likelihood_log_pt": "-log p of the same jets with log pt in place of pt",
    "kl": "KL divergence of the posterior from the prior of the model, in nats",
    **{n: of_events.MEANINGS[n] for n in ("latent", "flow", "copula")},
    "discriminator": of_events.MEANINGS["discriminator"],
    **{name: f"{name} of the jet, without any model" for name in OBSERVABLES},
    **{
        f"rare_{name}": f"distance of the {name} from the median of background, on "
        "either side"
        for name in OBSERVABLES
    },
}
"""What each score is, in words for a report; any other is a ``TERM``."""
TERM_DRAWS = 4
"""Draws of the posterior over which terms of the loss are averaged, at most."""


def of_model(
    trained: TrainedModel, objective: Objective, key: Key, jets: Jets, num_draws: int
) -> dict[str, np.ndarray]:
    """All scores that a model gives to jets, name to ``[J]``.

    Args:
        trained: the run.
        objective: with which it was trained.
        key: of the draws.
        jets: in GeV.
        num_draws: of the posterior of each jet, for the bounds.

    Raises:
        InputError: a score is NaN.
    """
    model, likelihood = _models(trained, objective)
    fitted = trained.fitted().get(of_events.fitted_latents(trained))
    prior = None if fitted is None else fitted.log_prob

    def of_chunk(jets: Jets, place: Array) -> dict[str, Array]:
        batch = trained.scale(jets)
        own = jax.random.fold_in(key, place[0])
        term_key, bound_key = jax.random.split(own)
        few = min(num_draws, TERM_DRAWS)
        found = _terms(model, trained.params, term_key, batch, few)
        found |= _of_latents(trained, batch)
        if likelihood is not None:
            found |= _bounds(
                likelihood, trained.params, bound_key, batch, num_draws, prior
            )
            found |= _otherwise_counted(trained, jets, batch, found["likelihood"])
        return found

    places = np.arange(len(jets.mask))
    found = map_chunks(of_chunk, jets, places, size=layers.SLICE)
    values = {name: np.asarray(v, float) for name, v in found.items()}
    of_events.check_finite(values, "jets", "give jets like these")
    first = [name for name in (*LIKELIHOODS, *LATENTS) if name in values]
    return {name: values[name] for name in dict.fromkeys([*first, *values])}


def observables(jets: Jets) -> dict[str, np.ndarray]:
    """Mass [GeV] and multiplicity of jets, ``[J]`` each."""
    found = map_chunks(jet_observables, jets)
    return {name: np.asarray(found[name], float) for name in OBSERVABLES}


def of_observables(
    reference: dict[str, np.ndarray], values: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The observables as scores, and how rare they are among background.

    Args:
        reference: observable to ``[J]`` of background.
        values: observable to ``[M]``.
    """
    rare = {f"rare_{n}": of_events.rarity(reference[n], v) for n, v in values.items()}
    return values | rare


def _models(trained: TrainedModel, objective: Objective) -> tuple[Model, Model | None]:
    """The model with its loss, and that with its likelihood, if it has one.

    A discriminator is left out; without it the loss that was minimised is no bound.
    """
    run, scaler = trained.run, trained.scaler
    adversarial = run.components.discriminator != NONE
    parts = dataclasses.replace(
        run.components, discriminator=NONE, discriminator_config=None
    )
    run = dataclasses.replace(run, components=parts)

    def build(objective: Objective) -> Model:
        return build_model(run, task_of(run, scaler, objective=objective))

    model = build(objective)
    if model.log_prob is None or adversarial:
        return model, None
    if not isinstance(model.components, Built):
        return model, model
    if not objective.beta or not objective.reconstruction_weight:
        return model, None
    return model, build(_as_likelihood(objective))


def _as_likelihood(objective: Objective) -> Objective:
    """The distance in units of the KL, with weights of one."""
    scale = objective.reconstruction_weight / objective.beta

    def distance(batch: Batch, x_hat: Array) -> tuple[Array, Terms]:
        value, terms = objective.distance(batch, x_hat)
        return scale * value, terms

    return Objective(distance, 1.0)


def _terms(model: Model, params: Any, key: Key, batch: Batch, num_draws: int) -> Terms:
    """Terms of the loss, mean over draws.

    Left out is the distance of the latents from uniform ones, which is a property of
    many jets.
    """
    shape = batch.mask.shape[:-1]

    def once(key: Key) -> Terms:
        _, terms = model.loss(params, key, batch)
        return {k: v for k, v in terms.items() if k != "uniform" and v.shape == shape}

    if model.encode is None:  # nothing is drawn
        return once(key)
    drawn = jax.lax.map(once, jax.random.split(key, num_draws))
    return jax.tree.map(lambda each: jnp.mean(each, axis=0), drawn)


def _bounds(
    model: Model, params: Any, key: Key, batch: Batch, num_draws: int, prior: Any
) -> dict[str, Array]:
    """``likelihood`` and, of a model with latents, ``elbo`` of the same draws."""
    if model.log_weight is None:
        return {"likelihood": -importance_weighted(model, params, key, batch, 1)}
    logs = log_weights(model, params, key, batch, num_draws, prior=prior)
    return {"likelihood": -of_draws(logs), "elbo": -jnp.mean(logs, axis=0)}


def _otherwise_counted(
    trained: TrainedModel, jets: Jets, batch: Batch, likelihood: Array
) -> dict[str, Array]:
    """The likelihood of a particle and, of a density of ptrel, that of log ptrel."""
    number = jnp.maximum(jnp.sum(jets.mask, axis=-1), 1)
    found = {"likelihood_per_particle": likelihood / number}
    scaling = trained.run.scaling
    plain = (scaling.coordinates, scaling.method) == ("relative", "none")
    if plain and not isinstance(trained.model.components, Built):
        pt = jnp.where(batch.mask, batch.x[..., 0], 1.0)
        found["likelihood_log_pt"] = likelihood - jnp.sum(jnp.log(pt), axis=-1)
    return found


def _of_latents(trained: TrainedModel, batch: Batch) -> dict[str, Array]:
    """Scores of the posterior mean, and of a discriminator."""
    model, found = trained.model, {}
    if model.encode is not None:
        mean = model.encode(trained.params, batch).mean
        known = {"latent": functools.partial(normal(mean.shape[-1]).log_prob, {})}
        for name, log_prob in (known | of_events.densities(trained)).items():
            found[name] = -log_prob(mean, batch.context.condition)
    networks = model.components
    if isinstance(networks, Built) and networks.discriminator is not None:
        found["discriminator"] = of_events.discriminator(
            networks, trained.params, batch
        )
    return found
