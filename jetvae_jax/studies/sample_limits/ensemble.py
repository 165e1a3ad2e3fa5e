"""An ensemble of trainings of a run: what its spread says of the generator.

Half of the members are trained on the whole sample with other seeds, half on bootstraps
of it. The spread of the former is the noise of the training, that of the latter has the
fluctuation of the sample, too. Neither needs a truth, and neither sees what all members
have wrong; where there is a truth, it tells. Amplification by averages over regions and
by the largest difference is that of arXiv:2509.08048.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Params
from jetvae_jax.data.streaming import Stream
from jetvae_jax.densities.contexts import ContextRequest
from jetvae_jax.runs import domains
from jetvae_jax.runs.trained import TrainedModel
from jetvae_jax.runs.training import Prepared, prepare
from jetvae_jax.studies.sample_limits import equivalent
from jetvae_jax.studies.sample_limits.equivalent import Events
from jetvae_jax.studies.sample_limits.generator import Sample
from jetvae_jax.studies.sample_limits.settings import LimitsConfig
from jetvae_jax.training import checkpoint
from jetvae_jax.training.ensemble import fit_ensemble

FILE = "ensemble.npz"
KINDS = ("seeds", "bootstraps")
"""What the members of each half differ by; those of the latter by both."""
AT_ONCE = 1000  # samples in a compiled call
BINS, EDGE = 24, 0.005  # of the spectrum, between these quantiles of the truth

Members = dict[str, list[Sample]]
"""Kind to what each member generated."""


def train(folder: Workdir, trained: TrainedModel, config: LimitsConfig) -> Members:
    """Train the members, or read them, and generate with each.

    Args:
        folder: of the study, which keeps the members' parameters.
        trained: the run, whose settings all members have.
        config: how many.

    Raises:
        InputError: nothing is trained in this run, it is streamed, or a member's loss
            became NaN.
    """
    run = trained.run
    if config.data:
        data = dataclasses.replace(run.data, path=config.data)
        run = dataclasses.replace(run, data=data)
    what = f"--limits.members={config.members}"
    ready = prepare(run)
    if isinstance(ready.train, Stream) or not isinstance(ready.train, tuple):
        raise InputError(f"{what}: trains on a sample in memory, not on a stream")
    shapes = jax.eval_shape(ready.model.init, jax.random.key(0))
    if set(ready.model.constants) >= set(shapes):
        raise InputError(f"{what}: {run.model} has nothing to train: leave it out")
    epochs = config.epochs or trained.meta["best_epoch"]
    number = len(jax.tree.leaves(ready.train)[0])
    total = len(KINDS) * config.members
    meta = {
        "run": run.to_json(), "epochs": epochs, "members": config.members,
        "seed": config.seed, "fingerprint": ready.parts.source["fingerprint"],
    }  # fmt: skip
    template = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct((total, *a.shape), a.dtype), shapes
    )
    path = folder / FILE
    if path.exists() and checkpoint.read_meta(path) == meta:
        logging.info("ensemble: read from %s", path)
        params = checkpoint.restore(path, template)
    else:
        rng = np.random.default_rng(config.seed)
        whole = np.tile(np.arange(number), (config.members, 1))
        boots = rng.integers(0, number, (config.members, number))
        keys = jax.random.split(seeds.key(config.seed), config.members)
        logging.info("ensemble: %d trainings of %d epochs", total, epochs)
        params = fit_ensemble(
            ready.step, jnp.concatenate([keys, keys]), ready.train,
            np.concatenate([whole, boots]), config=run.training, num_epochs=epochs,
        )  # fmt: skip
        checkpoint.save(path, params, meta=meta)
    return _generated(ready, run, params, config)


def _generated(
    ready: Prepared, run: Any, params: Params, config: LimitsConfig
) -> Members:
    """Samples of each member from its prior, the same number of each."""
    contexts = run.pipeline.contexts(run.scaling, ready.scaler, ContextRequest())

    @jax.jit
    def draw(params, key):
        latent_key, context_key = jax.random.split(key)
        context = contexts(context_key, AT_ONCE)
        points = ready.model.sample(params, latent_key, context)
        return run.pipeline.unscale(run.scaling, ready.scaler, points, context)

    measure = domains.evaluation(run.domain).observables
    total = len(KINDS) * config.members
    number = max(config.num_generated // total, AT_ONCE)
    found: Members = {kind: [] for kind in KINDS}
    for i in range(total):
        own = jax.tree.map(lambda a, i=i: a[i], params)
        key = jax.random.fold_in(seeds.key(config.seed), i)
        chunks = [
            jax.device_get(draw(own, jax.random.fold_in(key, j)))
            for j in range(-(-number // AT_ONCE))
        ]
        samples = jax.tree.map(lambda *rows: np.concatenate(rows), *chunks)
        kind = KINDS[i // config.members]
        name = f"{kind} {i % config.members}"
        found[kind].append(Sample(name, measure(run, samples)))
    return found


def compare(
    members: Members, truth: Sample, observables, num_train: int, config: LimitsConfig
) -> dict[str, Any]:
    """Equivalent numbers by the ensemble, and the systematic of an observable.

    Args:
        members: from :func:`train`.
        truth: true samples that trained none of them.
        observables: names.
        num_train: samples that trained each.
        config: quantiles, and the tails.

    Returns:
        For JSON, by kind of ensemble: ``regions``, observable to region to the number
        by the ``spread`` of the members (averaging amplification, no truth), of one
        ``member`` and of all ``together`` (by their distance from the truth), and by
        the largest difference, ``differential`` (median and central 68 % over the
        members); ``spectra``, of each observable, as :func:`carried` returns it.
    """
    found: dict[str, Any] = {kind: {"regions": {}, "spectra": {}} for kind in members}
    of_truth = 1 / truth.size
    for kind, observable in ((k, o) for k in members for o in observables):
        values = [sample.values[observable] for sample in members[kind]]
        ends = equivalent.edges(truth.values[observable], config.quantiles)
        p = equivalent.fractions(truth.values[observable], ends)
        x = np.stack([equivalent.fractions(each, ends) for each in values])
        own = 1 / len(values[0])
        numbers = functools.partial(_numbers, x, p, of_truth, own)
        found[kind]["regions"][observable] = {
            region: numbers(where)
            for region, where in equivalent.regions(p, config.tail).items()
        }
        found[kind]["spectra"][observable] = carried(
            values, truth.values[observable], num_train
        )
    return {
        "members": len(next(iter(members.values()))),
        "num_generated": next(iter(members.values()))[0].size,
        "kinds": found,
    }


def _numbers(
    x: np.ndarray, p: np.ndarray, of_truth: float, own: float, where: np.ndarray
) -> dict[str, Any]:
    """Of one region: by the spread, of one member, of all together, and the largest."""
    inverse = equivalent.inverse_events(x, p, where) - own - of_truth
    error = float(inverse.std(ddof=1)) / len(x) ** 0.5
    together = equivalent.events(
        x.mean(axis=0), p, where, noise=of_truth + own / len(x)
    )
    noise = of_truth + own
    largest = [equivalent.differential(each, p, where, noise=noise).value for each in x]
    # One over them, of which infinity is zero.
    low, middle, high = np.quantile(1 / np.array(largest), equivalent.SIGMA)
    differential = Events(
        *(equivalent.between(float(v), 0.0).value for v in (high, middle, low))
    )
    return {
        "spread": equivalent.averaging(x, p, where, noise=own)._asdict(),
        "member": equivalent.between(float(inverse.mean()), error)._asdict(),
        "together": together._asdict(),
        "differential": differential._asdict(),
    }


def carried(values: list[np.ndarray], truth: np.ndarray, num_train: int) -> dict:
    """The spread of the members, carried to an observable.

    Args:
        values: of the generated samples ``[n]`` of each of M members.
        truth: ``[R]`` of true ones.
        num_train: samples that trained a member, whose statistical error is given
            beside.

    Returns:
        ``edges`` of a spectrum and, of its bins, the fractions of ``truth`` and of the
        members' mean, ``systematic`` (deviation of one member, without the fluctuation
        of what it generated) and ``statistical`` errors; of the ``mean`` the
        same, as numbers, and the ``systematic_error`` of a deviation of M members.
    """
    low, high = np.quantile(truth, [EDGE, 1 - EDGE])
    edges = np.unique(np.linspace(low, high, BINS + 1))
    number = len(values[0])

    def fractions(x: np.ndarray) -> np.ndarray:
        return np.histogram(x, edges)[0] / len(x)

    x = np.stack([fractions(each) for each in values])
    p, mean = fractions(truth), x.mean(axis=0)
    means = np.array([np.mean(each) for each in values], float)
    own = float(np.mean([np.var(each) for each in values])) / number

    def without(variance, noise):
        return np.sqrt(np.maximum(variance - noise, 0.0))

    model = without(x.var(axis=0, ddof=1), mean * (1 - mean) / number)

    return {
        "edges": edges.tolist(),
        "truth": p.tolist(),
        "truth_error": np.sqrt(p * (1 - p) / len(truth)).tolist(),
        "generated": mean.tolist(),
        "systematic": model.tolist(),
        "statistical": np.sqrt(p * (1 - p) / num_train).tolist(),
        "mean": {
            "truth": float(np.mean(truth)),
            "truth_error": float(np.std(truth)) / len(truth) ** 0.5,
            "generated": float(means.mean()),
            "systematic": float(without(means.var(ddof=1), own)),
            "systematic_error": float(means.std(ddof=1)) / (2 * len(means) - 2) ** 0.5,
            "statistical": float(np.std(truth)) / num_train**0.5,
        },
    }


def verdict(found: Mapping[str, Any], num_train: int, unit: str = "jets") -> str:
    """The result and its errors."""
    from jetvae_jax.report.tables import with_error
    from jetvae_jax.studies.sample_limits.report import in_words

    boots, only = found["kinds"]["bootstraps"], found["kinds"]["seeds"]
    observable = next(iter(boots["regions"]))
    regions = boots["regions"][observable]
    tail = "upper tail" if "upper tail" in regions else "whole"
    by = ", ".join(
        f"{in_words(Events(**regions[r]['spread']))} in the {r}"
        for r in dict.fromkeys(("whole", "bulk", tail))
        if r in regions
    )
    mean, alone = (kind["spectra"][observable]["mean"] for kind in (boots, only))
    whole = regions["whole"]
    return (
        f"{found['members']} trainings on bootstraps of {num_train:,} {unit} agree on "
        f"the {observable} as samples of so many true {unit} would: {by}; beside the "
        f"truth one of them is worth {in_words(Events(**whole['member']))}, their mean "
        f"{in_words(Events(**whole['together']))}. The mean {observable} is "
        f"{mean['generated']:.4g}, with a systematic error of the model of "
        f"{with_error(mean['systematic'], mean['systematic_error'])} (by the seeds "
        f"alone {with_error(alone['systematic'], alone['systematic_error'])}), where "
        f"{num_train:,} "
        f"true {unit} have a statistical error of {mean['statistical']:.2g}; true is "
        f"{mean['truth']:.4g} ± {mean['truth_error']:.2g}."
    )
