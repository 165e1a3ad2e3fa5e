"""Calibrate a trained density of jets: its observables become those of real jets.

Maximum likelihood hardly sees that a distribution of the whole jet, such as that of
tau32, is shifted by d of its standard deviations: it costs d^2 / 2 nats. The biases of
the decoder are changed by as little as possible, in Kullback-Leibler divergence, so
that means and quantiles of observables of generated jets become those of real ones
(:mod:`jetvae_jax.training.linear_response`).
"""

import os
import pathlib
import shutil
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.flatten_util import ravel_pytree

from jetvae_jax.core import configs, seeds
from jetvae_jax.core.configs import PositiveFloat, PositiveInt, Seed
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir, expanded, in_zoo
from jetvae_jax.core.types import Array, Batch, Key, Params
from jetvae_jax.data.loading import load
from jetvae_jax.data.streaming import head
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.densities.normal import normal
from jetvae_jax.metrics import kolmogorov_smirnov
from jetvae_jax.models.vae import prior_of
from jetvae_jax.observables import named
from jetvae_jax.runs.trained import (
    CHECKPOINT,
    TrainedModel,
    load_model,
    task_of,
    unbounded,
)
from jetvae_jax.training import checkpoint
from jetvae_jax.training.linear_response import LONGEST, Sums, smallest_step
from jetvae_jax.training.progress import Progress

CHUNK = 1000  # jets drawn at once
AT_ONCE = 100  # jets whose scores are computed at once
LEVELS = np.linspace(0.05, 0.95, 10)
"""Quantiles of real jets at which distribution functions are compared."""
FEWEST = 1000  # real jets of which such quantiles are known to three per cent
MOST_REAL = 100_000
BIAS, DECODER = "bias", "decoder"
"""Which parameters are changed."""
KEPT = ("flow.npz", "flow.metrics.jsonl", "vae.metrics.jsonl", "config.json")
"""Files of the run that describe the calibrated model, too."""


@configs.config
class CalibrateConfig:
    """How to calibrate.

    Attributes:
        output: folder of the calibrated model, without one so far.
        real: file of real jets to compare with; empty for the jets that the model was
            trained on.
        observables: whose distributions are compared: mass, pt, energy, width, ptd, e2,
            e3, c2, d2, tau1 to tau3, tau21, tau32.
        num_jets: to generate, before and after, in thousands; of less than 20,000 it is
            chance by what they differ.
        weight: how much a change of the density counts beside a difference of the
            distributions; larger: less is changed.
        latents: density of the latents: 'flow', or 'prior' as of --generate.
        cluster_radius: as of --generate: jets that are rejected there are not counted.
        seed: of the generated jets.
    """

    output: configs.Path = ""
    real: configs.Path = ""
    observables: Annotated[
        tuple[Annotated[str, named.complaint], ...], configs.distinct
    ] = ("mass", "pt", "tau1", "tau2", "tau3", "tau21", "tau32", "c2", "d2")
    num_jets: PositiveInt = 60_000
    weight: PositiveFloat = 0.1
    latents: Literal["flow", "prior"] = "flow"
    cluster_radius: configs.NonNegativeFloat = 0.0
    seed: Seed = 0


class Calibrated(NamedTuple):
    """What a calibration found.

    Attributes:
        path: of the new checkpoint.
        divergence: of the new density from the old one, in nats a jet.
        distances: observable to its Kolmogorov-Smirnov distances from the real jets,
            before and after.
    """

    path: pathlib.Path
    divergence: float
    distances: dict[str, tuple[float, float]]


def calibrate(workdir: str | os.PathLike, config: CalibrateConfig) -> Calibrated:
    """Write a calibrated copy of the model in ``workdir`` to ``config.output``.

    Args:
        workdir: of a trained model whose decoder is a density of jets, or zoo:NAME.
        config: what is compared.

    Returns:
        What was found; distances after the calibration are of new jets.

    Raises:
        InputError: another model, too few jets, or a model in the output folder.
    """
    trained = load_model(workdir)
    if trained.run.domain != "jets" or trained.model.log_likelihood is None:
        raise InputError(
            f"--workdir={workdir}: --model={trained.run.model} is no density of jets "
            "that could be calibrated: give one of --model=autoregressive_vae"
        )
    if not config.output:
        raise InputError("--calibrate.output: name a folder for the calibrated model")
    if (pathlib.Path(expanded(config.output)) / CHECKPOINT).exists():
        raise InputError(
            f"--calibrate.output={config.output}: there is a model already: give "
            "another folder"
        )
    if not config.observables:
        raise InputError("--calibrate.observables: name one observable or more")
    if in_zoo(trained.folder) and not config.real:
        raise InputError(
            "--calibrate.real: a model of the package comes without its jets: give a "
            "file of real ones"
        )
    sample, jets = _Sample(trained, config), _real(trained, config)
    folder = Workdir(config.output)  # stops now if nothing can be written there
    real = sample.of_real(jets)
    levels = {
        name: np.quantile(values, LEVELS, axis=0) for name, values in real.items()
    }
    scale = {name: (v.mean(axis=0), v.std(axis=0)) for name, v in real.items()}

    def features(values: dict[str, np.ndarray]) -> np.ndarray:
        columns = []
        for name, each in values.items():
            mean, std = scale[name]
            columns.append(np.clip((each - mean) / np.maximum(std, 1e-30), -5, 5))
            columns.extend(each <= level for level in levels[name])
        return np.concatenate(columns, axis=1, dtype=np.float64)

    wanted = features(real).mean(axis=0)
    biases, replaced = _biases(trained.params)
    sums = Sums(len(wanted), biases.size)
    key = seeds.key(config.seed)
    with Progress("calibrate", 2 * CHUNK * sample.num_chunks) as progress:

        def counted(values, scores):
            sums.add(features(values), scores)

        scores = sample.scores(biases, replaced)
        before = sample.drawn(key, trained.params, progress, scores, counted)
        step = smallest_step(sums, wanted, weight=config.weight)
        if step.divergence >= LONGEST:
            logging.warning(
                "the model is far from these jets: this calibration goes a part of the "
                "way: train the model longer, or calibrate the result again"
            )
        params = replaced(biases + jnp.asarray(step.change, biases.dtype))
        after = sample.drawn(jax.random.fold_in(key, 1), params, progress)

    def distance(name: str, made: dict[str, np.ndarray]) -> float:
        columns = zip(real[name].T, made[name].T, strict=True)
        return max(float(kolmogorov_smirnov(*pair)) for pair in columns)

    distances = {
        name: (distance(name, before), distance(name, after))
        for name in config.observables
    }
    path = _write(folder, trained, params, config, step.divergence)
    return Calibrated(path, step.divergence, distances)


def _real(trained: TrainedModel, config: CalibrateConfig) -> Any:
    if config.real:
        data = trained.run.data
        jets = load(
            config.real, num_particles=data.num_particles, jet_type=data.jet_type
        ).jets
    else:
        jets = trained.data().train
    jets = head(jets, MOST_REAL)
    if len(jets.mask) < FEWEST:
        raise InputError(
            f"{config.real or trained.run.data.path}: has {len(jets.mask):,} jets, "
            f"distributions are known of {FEWEST:,} or more"
        )
    return jets


class _Sample:
    """Draws of the model, and observables of jets."""

    def __init__(self, trained: TrainedModel, config: CalibrateConfig):
        self.trained, self.config = trained, config
        self.num_chunks = -(-config.num_jets // CHUNK)
        run, model = trained.run, trained.model
        contexts = run.pipeline.contexts(run.scaling, trained.scaler, ContextRequest())
        prior = prior_of(model.latent_dim, task_of(run, trained.scaler))
        prior, flow = prior or normal(model.latent_dim), None
        if model.latent_dim and config.latents != "prior":
            flow = trained.density(config.latents)
        refused = None
        if config.cluster_radius:
            refused = run.pipeline.refused(config.cluster_radius)

        def draw(params: Params, key: Key):
            latent_key, context_key, jet_key = jax.random.split(key, 3)
            context = contexts(context_key, CHUNK)
            if flow is not None:
                z = flow.sample(latent_key, CHUNK, context.condition)
            else:
                own, given = params.get("prior", {}), context.condition
                z = prior.sample(own, latent_key, (CHUNK,), given)
            if model.decode is None:
                points = model.sample(params, jet_key, context)
            else:
                points = model.decode(params, jet_key, z, context)
            jets = trained.unscale(points, context)
            bad = jnp.zeros(CHUNK, bool) if refused is None else refused(jets)
            return z, Batch(*points, context), self._observables(jets), ~bad

        self._draw = jax.jit(draw)

    def _observables(self, jets: Any) -> dict[str, Array]:
        def one(jet):
            return {
                name: named.observable(*jet, name=name)
                for name in self.config.observables
            }

        return jax.lax.map(one, (jets.particles, jets.mask), batch_size=AT_ONCE)

    def of_real(self, jets: Any) -> dict[str, np.ndarray]:
        """Observables ``[J, 1]`` of real jets."""
        return jax.device_get(jax.jit(self._observables)(jets))

    def drawn(
        self,
        key: Key,
        params: Params,
        progress: Progress,
        scores: Callable[[Array, Batch], Array] | None = None,
        each: Callable[[dict[str, np.ndarray], np.ndarray], None] | None = None,
    ) -> dict[str, np.ndarray]:
        """Observables of generated jets.

        Args:
            key: of all jets.
            params: of the model.
            progress: counts the jets.
            scores: those that ``each`` is given.
            each: called with observables and scores of each chunk.
        """
        found = []
        for number in range(self.num_chunks):
            z, batch, values, good = self._draw(params, jax.random.fold_in(key, number))
            good = np.asarray(good)
            kept = {name: np.asarray(v)[good] for name, v in values.items()}
            if scores is not None and each is not None:
                each(kept, np.asarray(scores(z, batch))[good])
            found.append(kept)
            progress.advance(CHUNK)
        return {name: np.concatenate([f[name] for f in found]) for name in found[0]}

    def scores(
        self, biases: Array, replaced: Callable[[Array], Params]
    ) -> Callable[[Array, Batch], Array]:
        """``(z [J, L], batch) -> [J, P]``, the slopes of log p(x|z) in the biases."""
        log_likelihood = self.trained.model.log_likelihood
        assert log_likelihood is not None

        def one(row):
            row = jax.tree.map(lambda a: a[None], row)
            return jax.grad(lambda b: log_likelihood(replaced(b), *row)[0])(biases)

        return jax.jit(lambda *rows: jax.lax.map(one, rows, batch_size=AT_ONCE))


def _biases(params: Params) -> tuple[Array, Callable[[Array], Params]]:
    """The biases of the decoder ``[P]``, and all parameters with others of these."""
    found, tree = jax.tree_util.tree_flatten_with_path(params)
    moved = [(path[0].key, path[-1].key) == (DECODER, BIAS) for path, _ in found]
    rows = list(zip((leaf for _, leaf in found), moved, strict=True))
    biases, apart = ravel_pytree([leaf for leaf, own in rows if own])

    def replaced(biases: Array) -> Params:
        new = iter(apart(jnp.asarray(biases)))
        return tree.unflatten([next(new) if own else leaf for leaf, own in rows])

    return biases, replaced


def _write(
    folder: Workdir,
    trained: TrainedModel,
    params: Params,
    config: CalibrateConfig,
    divergence: float,
) -> pathlib.Path:
    calibrated: dict[str, Any] = {
        "observables": list(dict.fromkeys((*trained.calibrated, *config.observables))),
        "num_jets": config.num_jets,
        "weight": config.weight,
        "divergence": divergence,
    }
    if earlier := trained.meta.get("calibrated"):
        calibrated["earlier"] = earlier
    meta = trained.meta | {"calibrated": calibrated}
    with folder.locked():
        for name in KEPT:
            if (trained.folder / name).exists():
                shutil.copyfile(trained.folder / name, folder / name)
        tree = {"params": params, "scaler": trained.scaler}
        checkpoint.save(
            folder / CHECKPOINT, tree, meta=meta, unbounded=unbounded(trained.scaler)
        )
    return folder / CHECKPOINT
