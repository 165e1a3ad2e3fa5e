"""What a library is worth, by its size and by the events interpolated between."""

import dataclasses
import functools
import os
import pathlib
from typing import Annotated, Any

import jax
import numpy as np
from absl import logging

from jetvae_jax import metrics
from jetvae_jax.core import configs, seeds
from jetvae_jax.core.configs import NonNegativeInt, PositiveInt, versions
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Jets
from jetvae_jax.data.streaming import count, head
from jetvae_jax.metrics.suite.protocols import KNOWN
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs.config import ModelRun
from jetvae_jax.runs.generation import CHUNK, stream
from jetvae_jax.runs.training import Prepared, prepare
from jetvae_jax.studies.library import report
from jetvae_jax.studies.sample_limits import equivalent
from jetvae_jax.studies.sample_limits.report import in_words, restored, stored

MAX_JETS = 1_000_000  # of a stream, what memory surely holds


@configs.config
class LibraryStudyConfig:
    """Which libraries are compared.

    Attributes:
        k: numbers of neighbours.
        sizes: events of a library; 0 for all training jets.
        observables: of jets, by name.
        num_generated: jets of each.
        quantiles: of the test jets, whose fractions are compared.
        protocol: of the metrics, by name.
        classify: train a classifier to tell the jets of each from test jets; a minute
            each.
        seed: of the draws.
    """

    k: Annotated[tuple[PositiveInt, ...], configs.not_empty] = (1, 2, 4, 8)
    sizes: Annotated[tuple[NonNegativeInt, ...], configs.not_empty] = (100, 1000, 0)
    observables: Annotated[tuple[str, ...], configs.not_empty, configs.distinct] = (
        "mass",
        "tau21",
        "d2",
    )
    num_generated: Annotated[int, configs.at_least(1000)] = 20_000
    quantiles: Annotated[int, configs.between(10, 10_000)] = 50
    protocol: Annotated[str, configs.one_of(KNOWN)] = "jetnet_50k"
    classify: bool = False
    seed: configs.Seed = 0


def study(
    workdir: str | os.PathLike, run: ModelRun, config: LibraryStudyConfig
) -> tuple[pathlib.Path, str]:
    """Libraries of each size and number of neighbours, and what they are worth.

    Jets of each are compared with the test jets by all metrics, too. The floor is that
    of the validation jets, which are in no library.

    Writes ``library.json``, ``library.txt`` (every metric), ``library.html`` and its
    plots.

    Args:
        workdir: folder to write to.
        run: of the model ``library``, of jets; its k and size are replaced.
        config: which.

    Returns:
        The path of the page, and the result in one paragraph.

    Raises:
        InputError: bad data or settings, or another model.
    """
    if run.model != "library" or run.domain != "jets":
        raise InputError(
            f"--model={run.model}, --domain={run.domain}: libraries of jets are "
            "compared: give --flagfile=experiments/flagfiles/library_gluon30.txt"
        )
    announce_missing()
    ready = prepare(_changed(run, max(config.k), min(config.sizes, key=_order)))
    test = Sample("test", head(ready.parts.test, MAX_JETS))
    for name in config.observables:
        if name not in test.jet:
            hint = did_you_mean(name, test.jet)
            raise InputError(
                f"--library_study.observables: {name!r} is not known{hint}; choose of "
                f"{', '.join(test.jet)}"
            )
    if len(test) < 2 * config.quantiles:
        raise InputError(
            f"--library_study.quantiles={config.quantiles}: there are {len(test):,} "
            "test jets, fewer than two in each: give fewer quantiles"
        )
    folder = Workdir(workdir)
    num_train = count(ready.parts.train)
    rows: list[dict[str, Any]] = []
    samples: dict[str, Jets] = {}
    for size in sorted(set(config.sizes), key=_order):
        for k in config.k:
            changed = _changed(run, k, size)
            made = generated(prepare(changed), changed, config)
            events = min(size or num_train, num_train)
            name = f"{events:,}, k = {k}"
            samples[name] = made
            worth = _worth(Sample(name, made), test, config)
            rows.append({"sample": name, "k": k, "events": events, **worth})
            logging.info("%s", rows[-1])
    result: dict[str, Any] = {
        "settings": dataclasses.asdict(config),
        "run": run.to_json(),
        "versions": versions(),
        "num_test": len(test),
        "num_train": num_train,
        "rows": rows,
        "evaluation": metrics.evaluate(
            seeds.key(config.seed),
            test.jets,
            samples,
            truth=_bare(head(ready.parts.valid, MAX_JETS)),
            protocol=KNOWN[config.protocol],
            classify=config.classify,
            progress=functools.partial(logging.info, "comparing %s"),
        ),
    }
    result["verdict"] = verdict(rows, config)
    with folder.alone():
        folder.write_json("library.json", result)
        folder.write_text("library.txt", metrics.table(result["evaluation"]))
        page = report.write(folder / "library.html", result)
    return page, result["verdict"]


def _order(size: int) -> float:
    return size or np.inf


def _changed(run: ModelRun, k: int, size: int) -> ModelRun:
    own = dataclasses.replace(run.model_config, k=k, num_events=size)
    return dataclasses.replace(run, model_config=own)


def generated(ready: Prepared, run: ModelRun, config: LibraryStudyConfig) -> Jets:
    """Jets of one library, at the conditions of training jets.

    Args:
        ready: the library of the run.
        run: of the model ``library``.
        config: how many jets, and the seed of the draws.

    Returns:
        In GeV, on the host.
    """
    pipeline, scaling = run.pipeline, run.scaling
    params = ready.model.init(seeds.key(run.seed))
    # Of all training jets: a scaler keeps the contexts of some only.
    scaled = jax.jit(functools.partial(pipeline.scale, scaling, ready.scaler))
    contexts = scaled(head(ready.parts.train, MAX_JETS)).context

    @jax.jit
    def draw(key):
        first, second = jax.random.split(key)
        rows = jax.random.randint(second, (CHUNK,), 0, len(contexts.axis))
        context = jax.tree.map(lambda a: a[rows], contexts)
        points = ready.model.sample(params, first, context)
        return pipeline.unscale(scaling, ready.scaler, points, context)

    chunks = list(stream(draw, seeds.key(config.seed), config.num_generated))
    return _bare(jax.tree.map(lambda *parts: np.concatenate(parts), *chunks))


def _bare(jets: Any) -> Jets:
    """Without labels and axes, which samples to compare need not have."""
    return Jets(jets.particles, jets.mask)


def _worth(made: Sample, test: Sample, config: LibraryStudyConfig) -> dict[str, Any]:
    """What jets of a library are worth, for JSON; None stands for infinity."""
    noise = 1 / len(test) + 1 / len(made)
    worth = {}
    for name in config.observables:
        ends = equivalent.edges(test.jet[name], config.quantiles)
        p, x = (equivalent.fractions(s.jet[name], ends) for s in (test, made))
        found = equivalent.events(x, p, np.ones(len(p), bool), noise=noise)
        worth[name] = stored(found)
    # Relative features: the same jet of the library, whatever its new axis.
    shares = np.round(made.relative.particles[:, 0, 0], 5)
    return {"different": len(np.unique(shares)) / len(made), "worth": worth}


def verdict(rows: list[dict[str, Any]], config: LibraryStudyConfig) -> str:
    """The result and its errors, for the largest library."""
    most = max(row["events"] for row in rows)
    said = []
    for row in rows:
        if row["events"] == most:
            values = ", ".join(
                f"{in_words(restored(row['worth'][name]))} in {name}"
                for name in config.observables
            )
            said.append(f"with k = {row['k']}, {values}")
    return f"A library of {most:,} jets is worth true jets: {'; '.join(said)}."
