"""How many true samples a generator is worth, and more than it was trained on?"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from jetvae_jax.core import seeds
from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.data.loading import load_judged
from jetvae_jax.data.streaming import count, head
from jetvae_jax.jets.evaluation import measured
from jetvae_jax.metrics import inputs
from jetvae_jax.metrics.classifier import network
from jetvae_jax.metrics.suite.sample import Sample as JetSample
from jetvae_jax.observables.named import fixed_by
from jetvae_jax.runs import dataset, domains
from jetvae_jax.runs.config import GenerateConfig
from jetvae_jax.runs.generation import generated_samples
from jetvae_jax.runs.trained import load_model
from jetvae_jax.studies.sample_limits import equivalent, report
from jetvae_jax.studies.sample_limits.equivalent import Events
from jetvae_jax.studies.sample_limits.settings import LimitsConfig
from jetvae_jax.studies.signal.scores import fitted_latents

OBSERVABLES = ("mass", "pt", "multiplicity", "tau21", "d2")
RELATIVE = ("relative_mass", "sum_ptrel", "multiplicity", "tau21", "d2")
MAX_JETS = 1_000_000  # of a stream, what memory surely holds
EPOCHS, PATIENCE = 15, 3  # of the classifier whose output is the summary


class Sample(NamedTuple):
    """Jets, events, showers or images, by what is measured on them.

    Attributes:
        name: for messages.
        values: observable to ``[J]``.
    """

    name: str
    values: Mapping[str, np.ndarray]

    @property
    def size(self) -> int:
        """J."""
        return len(next(iter(self.values.values())))


class Samples(NamedTuple):
    """What is compared.

    Attributes:
        train: samples that trained the generator.
        generated: by name.
        truth: other true ones.
        num_train: all that trained it; ``train`` may be the first of them.
        observables: names.
        no_check: those that the run's training loss held, or computed from such.
        unit: what the samples are: jets, events, showers, images.
    """

    train: Sample
    generated: dict[str, Sample]
    truth: Sample
    num_train: int
    observables: tuple[str, ...]
    no_check: frozenset[str] = frozenset()
    unit: str = "jets"


def gather(config: LimitsConfig) -> Samples | None:
    """The samples that the settings name; None if they name none.

    Raises:
        InputError: a wrong file or run, or an observable that is not known.
    """
    if not (config.run or config.generated):
        return None
    found = _of_run(config) if config.run else _of_files(config)
    samples = (found.train, found.truth, *found.generated.values())
    names = _observables(found, config)
    for sample in samples:
        if lacking := [name for name in names if name not in sample.values]:
            raise InputError(
                f"--limits: {', '.join(lacking)} of {sample.name} are not known, "
                "perhaps for want of the pt of its jets: give another file, or other "
                "--limits.observables"
            )
        if sample.size < 2 * config.quantiles:
            raise InputError(
                f"--limits.quantiles={config.quantiles}: {sample.name} has "
                f"{sample.size:,} {found.unit}, fewer than two in each: give fewer "
                "quantiles"
            )
    return found._replace(observables=names)


def _of_files(config: LimitsConfig) -> Samples:
    """Jets of files alone."""
    paths = inputs.named(config.generated)
    made = {name: _read(name, path, config) for name, path in paths.items()}
    truth = _read("truth", config.truth, config)
    train = _read("train", config.train, config)
    samples = [train, truth, *made.values()]
    if len({sample.has_pt for sample in samples}) > 1:
        without = ", ".join(s.name for s in samples if not s.has_pt)
        raise InputError(
            f"--limits: the pt of jets is not known of {without}, but of others: give "
            "files with it, or all without"
        )
    default = OBSERVABLES if truth.has_pt else RELATIVE
    return Samples(
        _measured(train), {name: _measured(each) for name, each in made.items()},
        _measured(truth), len(train), default,
    )  # fmt: skip


def _of_run(config: LimitsConfig) -> Samples:
    """Those of a run, in place of which jets may be read from files."""
    trained = load_model(config.run)
    run = trained.run
    if run.domain != "jets" and (config.truth or config.generated):
        raise InputError(
            f"--limits.run={config.run}: is a run of {run.pipeline.UNIT}, but files of "
            "jets are given: leave --limits.truth and --limits.generated out"
        )
    measure = domains.evaluation(run.domain).observables
    data = dataclasses.replace(run.data, path=config.data or run.data.path)
    try:
        parts = dataset.load_same(run.domain, data, trained.meta["source"])
    except InputError as error:
        raise InputError(
            f"{error}; --limits.data names the file that {config.run} was trained "
            "on, if it is elsewhere now"
        ) from error
    train = Sample("train", measure(run, head(parts.train, MAX_JETS)))
    if config.truth:
        truth = _measured(_read("truth", config.truth, config))
    else:
        truth = Sample("truth", measure(run, head(parts.test, MAX_JETS)))
    paths = inputs.named(config.generated)
    made = {name: _measured(_read(name, path, config)) for name, path in paths.items()}
    if not made:
        latents, unit = fitted_latents(trained), run.pipeline.UNIT
        logging.info(
            "generating %s %s from the %s", config.num_generated, unit, latents
        )
        request = GenerateConfig(latents, config.num_generated, config.seed)
        samples = generated_samples(trained, request)
        made[latents] = Sample(latents, measure(run, samples))
    is_vae = trained.model.components is not None
    held = domains.evaluation(run.domain).unchecked(run, deterministic=is_vae)
    held |= fixed_by(trained.calibrated)
    default = OBSERVABLES if run.domain == "jets" else tuple(truth.values)
    return Samples(
        train, made, truth, count(parts.train), default, held, run.pipeline.UNIT
    )


def _measured(jets: JetSample) -> Sample:
    return Sample(jets.name, measured(jets))


def _read(name: str, path: str, config: LimitsConfig) -> JetSample:
    loaded = load_judged(
        path, columns=config.columns, num_particles=config.num_particles,
        repair=True, unique=False,
    )  # fmt: skip
    for note in loaded.notes:
        logging.info("%s: %s", name, note)
    return JetSample(name, loaded.jets)


def _observables(samples: Samples, config: LimitsConfig) -> tuple[str, ...]:
    """Those that are asked for, or the default ones, if values differ enough.

    Where nearly all are the largest one, there is a single quantile.
    """
    truth, unit = samples.truth.values, samples.unit
    names = config.observables or samples.observables
    for name in names:
        if name not in truth:
            hint = did_you_mean(name, truth)
            raise InputError(
                f"--limits.observables: {name!r} is not known{hint}; choose of "
                f"{', '.join(truth)}"
            )
    constant = [
        name for name in names
        if not len(equivalent.edges(truth[name], config.quantiles))
    ]  # fmt: skip
    if constant:
        logging.info("left out, as nearly all true %s agree in: %s", unit, constant)
    found = tuple(name for name in dict.fromkeys(names) if name not in constant)
    if not found:
        raise InputError(
            f"--limits.observables={','.join(names)}: nearly all true {unit} have the "
            "same: give others"
        )
    return found


def compare(samples: Samples, config: LimitsConfig) -> dict[str, Any]:
    """The equivalent numbers of samples, by observable and region.

    Returns:
        For JSON: the sizes of the samples; of each generated one and of the training
        sample, by observable and region; their quantile errors; the differential number
        of each; and, of two or more generated samples, that by their spread.
    """
    of_truth = 1 / samples.truth.size
    found: dict[str, Any] = {name: {} for name in ("train", *samples.generated)}
    errors: dict[str, Any] = {name: {} for name in found}
    spread: dict[str, Any] = {}
    for observable in samples.observables:
        truth, every = samples.truth.values[observable], []
        ends = equivalent.edges(truth, config.quantiles)
        p = equivalent.fractions(truth, ends)
        places = equivalent.regions(p, config.tail)
        for name in found:
            # Of the training sample is asked what it is worth as it is.
            sample = samples.generated.get(name, samples.train)
            own = 0.0 if name == "train" else 1 / sample.size
            x = equivalent.fractions(sample.values[observable], ends)
            found[name][observable] = {
                region: equivalent.events(x, p, where, noise=of_truth + own)._asdict()
                for region, where in places.items()
            }
            errors[name][observable] = equivalent.quantile_mse(x, p)
            if own:
                every.append(x)
        if len(every) > 1:
            own = np.mean([1 / s.size for s in samples.generated.values()]).item()
            spread[observable] = {
                region: equivalent.averaging(
                    np.stack(every), p, where, noise=own
                )._asdict()
                for region, where in places.items()
            }
    return {
        "no_check": [o for o in samples.observables if o in samples.no_check],
        "unit": samples.unit,
        "num_train": samples.num_train,
        "num_read": samples.train.size,
        "num_truth": samples.truth.size,
        "num_generated": {name: s.size for name, s in samples.generated.items()},
        "train": found.pop("train"),
        "generated": found,
        "quantile_mse": errors,
        "by_spread": spread,
        "differential": {
            name: _differential(samples, sample, config)._asdict()
            for name, sample in samples.generated.items()
        },
    }  # fmt: skip


def _differential(samples: Samples, generated: Sample, config: LimitsConfig) -> Events:
    """By a summary of all observables: the log odds of a classifier.

    It learns from half of the true and half of the generated samples, a fifth of which
    ends its training, and is asked about the others.
    """
    pairs = []
    for sample in (samples.truth, generated):
        table = np.stack([sample.values[name] for name in samples.observables], axis=-1)
        rows = table[np.random.default_rng(config.seed).permutation(len(table))]
        rows, half = rows[:, None].astype(np.float32), len(table) // 2
        cuts = np.split(rows, [half * 4 // 5, half])
        pairs.append([(part, np.ones(part.shape[:2], bool)) for part in cuts])
    (learn, check, test), (learn_made, check_made, test_made) = pairs
    _, summary = network.train(
        seeds.key(config.seed), (learn, learn_made), (check, check_made),
        network=network.deep_set(), epochs=EPOCHS, patience=PATIENCE,
    )  # fmt: skip
    truth, made = summary(test), summary(test_made)
    ends = equivalent.edges(truth, config.quantiles)
    p, x = (equivalent.fractions(each, ends) for each in (truth, made))
    return equivalent.differential(x, p, noise=1 / len(truth) + 1 / len(made))


def verdict(found: Mapping[str, Any]) -> str:
    """The result and its errors."""
    total, unit, said = found["num_train"], found["unit"], []
    for name, result in found["generated"].items():
        values = {o: Events(**regions["whole"]) for o, regions in result.items()}
        worst = min(values, key=lambda o: values[o].value)
        best = max(values, key=lambda o: values[o].value)
        joint = Events(**found["differential"][name])
        said.append(
            f"Generated {unit} ({name}; {total:,} trained the generator): as many as "
            f"one likes are worth "
            f"{report.in_words(values[best])} true {unit} in {best}, "
            f"{report.in_words(values[worst])} in {worst}, and "
            f"{report.in_words(joint)} in all observables together"
        )
    if held := found["no_check"]:
        said.append(f"of {', '.join(held)} the training loss held the true values")
    return f"{'; '.join(said)}."
