"""Evaluation of generated jets: every metric, in one report."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax import metrics, models, report
from jetvae_jax.core import seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array, Jets, RelativeJets
from jetvae_jax.core.words import counted, listed
from jetvae_jax.data.loading import find, load_judged, opened
from jetvae_jax.data.streaming import count, head
from jetvae_jax.data.validation import Stated, num_repeated
from jetvae_jax.densities.contexts import parsed
from jetvae_jax.jets import conditions, responses
from jetvae_jax.jets.domain import SUFFIX, Data
from jetvae_jax.jets.scaling import TYPE
from jetvae_jax.metrics import inputs
from jetvae_jax.metrics.conditions import gathered, text
from jetvae_jax.metrics.frechet.particlenet_distance import (
    JET_TYPES,
    NUM_PARTICLES,
    fpnd,
)
from jetvae_jax.metrics.frechet.particlenet_distance import load as load_fpnd
from jetvae_jax.metrics.host import map_chunks
from jetvae_jax.metrics.inputs import EvaluateConfig, record
from jetvae_jax.metrics.suite import export
from jetvae_jax.metrics.suite.enforced import in_loss, no_check
from jetvae_jax.metrics.suite.protocols import KNOWN
from jetvae_jax.metrics.suite.text import with_error
from jetvae_jax.observables.named import fixed_by
from jetvae_jax.report import about
from jetvae_jax.report import responses as of_responses

MAX_TEST, MAX_TRUTH = 1_000_000, 2_000_000  # of a stream, what memory surely holds
FAR_IN_FPND = 10.0
"""Quark jets have 63 against JetNet's gluon jets, and 0.4 against its quark jets."""


class Classes(NamedTuple):
    """Which of the classes of a run are compared.

    Attributes:
        names: of the classes that the data hold.
        label: the place among them of the one that is compared; None for all.
    """

    names: tuple[str, ...]
    label: int | None

    @property
    def wanted(self) -> str | None:
        """The class to read from files that hold several; None for all jets."""
        if len(self.names) == 1:
            return self.names[0]
        return None if self.label is None else self.names[self.label]

    def in_words(self, source: dict[str, Any]) -> str:
        """The class compared, or those of a file of real jets."""
        if self.label is not None:
            return self.names[self.label]
        return source.get("jet_type") or ",".join(self.names)

    def of(self, jets: Any) -> Any:
        """The jets of the class, of a part of the data."""
        if self.label is None:
            return jets
        rows = np.asarray(jets.labels) == self.label
        return jax.tree.map(lambda a: a[rows], jets)

    def labelled(self, jets: Any) -> Any:
        """Jets of the class, read from a file, with its label."""
        if self.label is None or not isinstance(jets, Jets):
            return jets
        return jets._replace(labels=np.full(len(jets.mask), self.label, np.int32))


def classes(trained: Any, config: EvaluateConfig, files: Data) -> Classes:
    """The classes of a run, or of files, and the one that is asked for.

    Raises:
        InputError: it is none of them, or the run does not tell classes apart.
    """
    names = files.jet_type if trained is None else trained.run.data.jet_type
    if not config.condition:
        return Classes(names, None)
    what = f"--evaluate.condition={','.join(config.condition)}"
    name, _, value = config.condition[0].partition("=")
    if name != TYPE or len(config.condition) > 1:
        raise InputError(f"{what}: name one class of jets, such as type=t")
    if trained is None:
        raise InputError(
            f"{what}: is a class of a trained model: of files, name it by "
            f"--data.jet_type={value or 't'}"
        )
    if not trained.run.scaling.types:
        raise InputError(
            f"{what}: this model was trained without the type as a condition, so that "
            "its jets are of no class: leave it out"
        )
    asked = parsed(config.condition, {TYPE: names}, "evaluate.condition")
    return Classes(names, int(asked[TYPE]))


class Inputs(NamedTuple):
    """What is compared.

    Attributes:
        real: jets the others are compared with.
        candidates: name to jets to evaluate.
        truth: further real jets, whose metrics are the floor.
        axes: as `metrics.evaluate` takes them.
        notes: of the readers, and what was chosen.
        sources: name to the metadata of its file.
        title: for the report.
        jet_type: the class of the jets, or the classes, separated by commas.
        num_train: jets that trained the model; 0 if none did, or not known.
        conditions: boundary conditions of the real jets and of the candidates.
    """

    real: Jets | RelativeJets
    candidates: dict[str, Jets | RelativeJets]
    truth: Jets | RelativeJets
    axes: dict[str, Array] | None
    notes: list[str]
    sources: dict[str, Any]
    title: str
    jet_type: str
    num_train: int
    conditions: dict[str, Any]


def gather(
    folder: Workdir,
    trained: Any,
    config: EvaluateConfig,
    files: Data,
) -> Inputs:
    """The jets that the config names, from the workdir where it names none.

    Args:
        folder: of the run.
        trained: the run's TrainedModel, or None.
        config: which jets.
        files: how to read files; a trained model's own number of particles comes first.

    Raises:
        InputError: nothing to compare, or whatever is wrong with a file.
    """
    if trained is not None:  # whose number of jets is that of the training
        files = dataclasses.replace(trained.run.data, max_jets=0)
    chosen = classes(trained, config, files)
    paths = inputs.generated(config, trained, SUFFIX, "jets")
    inputs.check_columns(["real", "truth", *paths], config.columns)
    # Columns of the data are those of real files; of others that are not recognised.
    of_data = () if trained is not None else ("real", "truth")
    reader = _Reader(files, config.columns, of_data, chosen)
    real, truth, num_train = _real(reader, trained, config)
    candidates = {
        name: reader.read(name, path, repair=True) for name, path in paths.items()
    }
    for name, loaded in candidates.items():
        reader.notes += _repeated(name, loaded.jets)
    # Full-jet axes serve where every sample brings them; else each its particles' own.
    given = {"real": real, "truth": truth} | candidates
    with_pt = {n: found for n, found in given.items() if isinstance(found.jets, Jets)}
    axes = {n: found.axis for n, found in with_pt.items() if found.axis is not None}
    if without := [name for name in given if name not in with_pt]:
        reader.notes.append(
            f"{', '.join(without)}: the pt of the jets is not known: all samples are "
            "compared in relative features; mass, pt, energy, eta and phi of the jets, "
            "px, py and pz of particles, and metrics of these are left out"
        )
    all_axes = axes if len(axes) == len(with_pt) else None
    return Inputs(
        real.jets,
        {name: loaded.jets for name, loaded in candidates.items()},
        truth.jets,
        all_axes,
        reader.notes,
        {name: loaded.source for name, loaded in given.items()},
        _title(trained, chosen, list(paths.values())),
        chosen.in_words(real.source),
        num_train,
        _conditions({"real": real} | candidates, all_axes),
    )


def _conditions(
    samples: dict[str, "_Sample"], axes: dict[str, Array] | None
) -> dict[str, Any]:
    """Boundary conditions of all jets of every sample: all relative, if some are."""
    relative = any(isinstance(s.jets, RelativeJets) for s in samples.values())
    found = {}
    for name, sample in samples.items():
        axis = None if axes is None else axes.get(name)
        jets = _in_relative(sample.jets, axis) if relative else sample.jets
        found[name] = conditions.measured(jets, axis)
    limits = conditions.limits(found["real"])
    return gathered(
        {
            name: conditions.conditions(
                found[name],
                limits,
                stated=sample.stated,
                own_axis=getattr(sample.jets, "axis", None) is None,
                faults=sample.faults,
                num_rows=sample.source.get("jets", 0) + sample.faults.get("dropped", 0),
                width=sample.jets.mask.shape[-1],
            )
            for name, sample in samples.items()
        }
    )


def _title(trained: Any, chosen: Classes, paths: list[str]) -> str:
    """Of the report: the model and its data, or the files compared; and the class."""
    own = trained.run.data.path.split(",") if trained is not None else paths
    title = listed([pathlib.Path(path).name for path in own])
    if trained is not None:
        title = f"{trained.run.model} on {title}"
    return title if chosen.label is None else f"{title}, class {chosen.wanted}"


class _Sample(NamedTuple):
    jets: Jets | RelativeJets
    axis: Array | None
    source: dict[str, Any]
    stated: Stated | None = None
    faults: Mapping[str, int] = {}


class _Reader:
    """Reads files in one way and collects the notes."""

    def __init__(
        self,
        how: Data,
        columns: tuple[str, ...],
        of_data: tuple[str, ...],
        chosen: Classes,
    ):
        self.how, self.columns, self.of_data = how, columns, of_data
        self.chosen = chosen
        self.notes: list[str] = []

    def mapping(self, name: str, path: str) -> tuple[str, ...]:
        """Where the jets are in a file; empty if its format is known."""
        if own := inputs.columns_of(name, self.columns):
            return own
        if name in self.of_data or not self.how.columns:
            return self.how.columns
        first, *_ = find(path)
        try:
            with opened(first):
                return ()
        except InputError:
            return self.how.columns

    def read(self, name: str, path: str, *, repair: bool = False) -> _Sample:
        loaded = load_judged(
            path,
            columns=self.mapping(name, path),
            num_particles=self.how.num_particles,
            max_jets=self.how.max_jets or None,
            jet_type=self.chosen.wanted,
            # Generated jets are evaluated as they are: bad ones are dropped and
            # counted, duplicates stay.
            repair=repair or self.how.repair,
            unique=not repair,
        )
        logging.info("%s: %s in %s", name, counted(len(loaded.jets.mask), "jet"), path)
        self.notes += [f"{name}: {note}" for note in loaded.notes]
        if self.chosen.wanted is None:
            self.notes += _missing(name, path, self.chosen.names)
        jets = self.chosen.labelled(loaded.jets)
        axis, source = loaded.axis, loaded.source
        return _Sample(jets, axis, source, loaded.stated, loaded.faults)


def _real(
    reader: _Reader, trained, config: EvaluateConfig
) -> tuple[_Sample, _Sample, int]:
    """Real jets, further ones for the floor, and how many jets trained the model."""
    if config.real:
        real = reader.read("real", config.real)
        if config.truth:
            return real, reader.read("truth", config.truth), 0
        number = len(real.jets.mask)
        rows = inputs.halves(config.real, number, config.seed, reader.notes)
        first, second = (_rows(real, half) for half in rows)
        return first, second, 0
    jets = trained.data()
    of = reader.chosen.of
    reader.notes += trained.meta["notes"]
    if reader.chosen.wanted is None:
        names = reader.chosen.names
        reader.notes.append(
            f"the classes {', '.join(names)} are compared together; one alone by "
            f"--evaluate.condition=type={names[0]}"
        )
    source = trained.meta["source"]
    test = head(of(jets.test), MAX_TEST)
    train = head(of(jets.train), MAX_TRUTH)
    axes = (None, None)
    if trained.run.scaling.axis == "jet":
        axes = (test.axis, train.axis)
    truth = _Sample(train, axes[1], source)
    if config.truth:
        truth = reader.read("truth", config.truth)
    return _Sample(test, axes[0], source, _stated(test)), truth, count(jets.train)


def _stated(jets: Jets) -> Stated | None:
    """What is kept of the files of a training: pt and eta of the jets."""
    if jets.axis is None:
        return None
    pt, eta, _ = np.asarray(jets.axis, np.float64).T
    unknown = np.full(len(pt), np.nan)
    return Stated(pt, eta, unknown, unknown, unknown)


def _missing(name: str, path: str, names: tuple[str, ...]) -> list[str]:
    """Classes of the real jets that a file has none of, if it states their classes."""
    first, *more = find(path)
    counts = {}
    with contextlib.suppress(InputError), opened(first) as file:
        counts = {} if more else file.classes()
    without = [kind for kind in names if kind in counts and not counts[kind]]
    if not without:
        return []
    return [
        f"{name}: has no jets of class {', '.join(without)}, which the real ones have: "
        "compare one class by --evaluate.condition"
    ]


def _repeated(name: str, jets: Jets | RelativeJets) -> list[str]:
    """A fault of a generator, which no distribution of single jets shows."""
    again = num_repeated(np.asarray(jets.particles), np.asarray(jets.mask))
    count = len(jets.mask)
    if not again:
        return []
    return [f"{name}: {again:,} of {count:,} jets are the same as an earlier one"]


def _rows(sample: _Sample, rows: np.ndarray) -> _Sample:
    parts = sample.jets, sample.axis, sample.stated
    jets, axis, stated = jax.tree.map(lambda a: a[rows], parts)
    return sample._replace(jets=jets, axis=axis, stated=stated)


LATENT_JETS = 10_000  # enough for a histogram of each latent dimension


def evaluate(
    folder: Workdir,
    trained: Any,
    config: EvaluateConfig,
    files: Data,
) -> pathlib.Path:
    """Write ``evaluation.{json,txt,csv,tex}`` and ``report.html``.

    Args:
        folder: of a run, or where to write; the comparison of one class of a run is in
            a folder in it, unless the config says where.
        trained: the run's TrainedModel, or None.
        config: which jets are compared with which.
        files: how to read files where no run says it.

    Returns:
        The path of the report.
    """
    jets = gather(folder, trained, config, files)
    if config.condition and not config.output:
        folder = Workdir(folder / config.condition[0])
    logging.info(
        "comparing %s jets with %s real ones: %s",
        ", ".join(f"{len(j.mask):,}" for j in jets.candidates.values()),
        f"{len(jets.real.mask):,}", ", ".join(jets.candidates),
    )  # fmt: skip
    jet_type = jets.jet_type
    measure_fpnd, note = _fpnd(config.fpnd, jet_type, jets)
    observables: dict[str, dict[str, np.ndarray]] = {}
    asked = {"deep_set": config.classify, "transformer": config.transformer}
    result = metrics.evaluate(
        seeds.key(config.seed),
        jets.real,
        jets.candidates,
        truth=jets.truth,
        protocol=[KNOWN[name] for name in config.protocols],
        axes=jets.axes,
        fpnd=measure_fpnd,
        classify=[name for name, wanted in asked.items() if wanted],
        progress=lambda name: logging.info("evaluating %s", name),
        measured=observables.__setitem__,
    )
    observables["input"] = observables.pop("real")
    result["jet_type"] = jet_type
    generator = None if config.generated else trained  # of the jets
    result["trained_on"] = []
    if generator:
        is_vae = generator.model.components is not None
        held = trained_on(generator.run, deterministic=is_vae)
        result["trained_on"] = sorted({*held, *generator.calibrated})
    result["no_check"] = no_check(result, fixed_by(result["trained_on"]))
    result |= inputs.provenance(trained)
    note += _other_class(result["floor"], jet_type)
    result["notes"] = [*jets.notes, *note, *result["notes"]]
    result["sources"] = jets.sources
    result["conditions"] = jets.conditions
    result["responses"] = None
    if generator and not config.real and generator.run.scaling.conditions:
        logging.info("comparing in bins of the conditions")
        result["responses"] = responses.compare(
            seeds.key(config.seed), generator, jets.real
        )
    blocks = [metrics.table(result), text(jets.conditions)]
    blocks.append(of_responses.text(result["responses"]))
    record(folder, result, "\n".join(filter(None, blocks)))
    folder.write_text("evaluation.csv", export.csv(result))
    folder.write_text("evaluation.tex", export.latex(result))
    logging.info("drawing the report")
    samples = _shown(jets, relative=result["relative"])
    return report.write(
        folder / "report.html",
        title=jets.title,
        about=about.of_evaluation(generator, config, jets.num_train, "jets"),
        summary=result["notes"],
        evaluation=result,
        samples=samples,
        observables={name: observables[name] for name in samples},
        history=generator.history() if generator else {},
        latents=_latents(generator, jets.real),
        units=units(generator.run) if generator else {},
        trained_on=fixed_by(result["trained_on"]),
        leaderboard=(jet_type, jets.real.mask.shape[-1]),
    )


def _other_class(floor: dict[str, Any], jet_type: str) -> list[str]:
    """A note where real jets are far from those of the class in FPND."""
    found = [one["fpnd"] for one in floor["protocols"].values() if one.get("fpnd")]
    far = [f for f in found if f["num_jets"] >= 5_000 and f["value"] > FAR_IN_FPND]
    return [
        f"FPND of the real jets themselves is {one['value']:.3g}: they do not look "
        f"like JetNet's class {jet_type}: name their class by --data.jet_type"
        for one in far[:1]
    ]


def _latents(generator: Any, real: Any) -> dict[str, np.ndarray]:
    """Latents of real jets, and of the flow, of the model that made the jets.

    None of a model that depends on the class of jets, if that is not known.
    """
    if not generator or (generator.run.scaling.types and real.labels is None):
        return {}
    key = jax.random.key(0)
    return generator.latents(head(real, LATENT_JETS), key, key)


def _shown(jets: Inputs, *, relative: bool) -> dict[str, Jets | RelativeJets]:
    """The samples to draw: all relative, if some are."""
    given = {"real": jets.real} | jets.candidates
    samples: dict[str, Jets | RelativeJets] = {}
    for name, found in given.items():
        if relative:
            axis = None if jets.axes is None else jets.axes.get(name)
            found = _in_relative(found, axis)
        samples["input" if name == "real" else name] = found
    return samples


def _in_relative(jets: Jets | RelativeJets, axis: Array | None) -> RelativeJets:
    """Relative features, with respect to an axis ``[J, 3]`` or the jets' own."""
    if isinstance(jets, RelativeJets):
        return jets
    bare = Jets(np.asarray(jets.particles), np.asarray(jets.mask))
    return map_chunks(
        metrics.relative, bare, *(() if axis is None else (np.asarray(axis),))
    )


def observables(run: Any, samples: Any) -> dict[str, np.ndarray]:
    """Observables of jets by name, ``[J]`` each: mass in GeV, tau21 and so on."""
    del run
    return measured(metrics.Sample("jets", Jets(samples.particles, samples.mask)))


def measured(sample: metrics.Sample) -> dict[str, np.ndarray]:
    """What is known of the jets of a sample, by name: with or without their pt."""
    return {found.name: sample.jet[found.name] for found in sample.binnings["jet"]}


def headlines(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Three metrics of every sample, for a summary.

    Args:
        result: the contents of ``evaluation.json``.
    """
    samples = dict(result["candidates"])
    if result["floor"] is not None:
        samples["floor"] = result["floor"]
    lines = []
    for name in ("fpd", "w1efp", "cov", "w1m", "w1p"):
        for protocol in reversed(result["protocols"]):
            found = {n: r["protocols"][protocol].get(name) for n, r in samples.items()}
            if None in found.values():
                continue
            metric = metrics.known_metrics()[name]
            cells = (f"{n} {with_error(r, metric.scale)}" for n, r in found.items())
            scale = "" if metric.scale == 1 else f" [1e{metric.exponent}]"
            values = ", ".join(cells).replace("+-", " ± ")
            lines.append((f"{metric.label}{scale}", values))
            break
    return lines[:3]


def trained_on(run: Any, *, deterministic: bool = True) -> frozenset[str]:
    """Observables that the training loss of a run pulls to their true values.

    A metric of such an observable shows that training worked, not that the model
    found anything by itself.

    Args:
        run: its settings.
        deterministic: the model is a VAE with a deterministic decoder; of the jet
            terms of the objective the losses of others contain at most the
            observables that it names; see ``models.uses_observables``.
    """
    objective, components = run.objective, run.components
    module = models.get(run.model)
    if not deterministic or not getattr(module, "USES_DISTANCE", True):
        compares = models.uses_observables(module)
        return in_loss(objective) if compares and objective.gamma else frozenset()
    if components.discriminator != "none" and not components.adversarial.reconstruction:
        return frozenset()
    weights = {
        "pt": objective.gamma * objective.gamma_pt,
        "mass": objective.gamma * objective.gamma_mass,
    }
    for name, weight in objective.observable_weights.items():
        weights[name] = weights.get(name, 0.0) + objective.gamma * weight
    return frozenset(name for name, weight in weights.items() if weight)


def unchecked(run: Any, *, deterministic: bool = True) -> frozenset[str]:
    """Observables that the loss of a run held, and those computed from these alone."""
    return fixed_by(trained_on(run, deterministic=deterministic))


def units(run: Any) -> dict[str, str]:
    """Units of the terms of a training's loss that depend on its settings."""
    if run.objective.space == "scaled":
        return {}
    # Squared momenta; of compressed ones, whose length is a root, momenta.
    squared = getattr(run.loss_config, "squared", True)
    return (
        {"reconstruction": "GeV²", "soft": "GeV"}
        if squared
        else {"reconstruction": "GeV", "soft": "GeV^½"}
    )


def _fpnd(where: str, jet_type: str, jets: Inputs):
    """How to measure FPND, or None; and a note of why not."""
    if not where:
        return None, []
    num_particles, resources = jets.real.mask.shape[-1], None
    if num_particles != NUM_PARTICLES or jet_type not in JET_TYPES:
        reason = (
            f"it is defined for {NUM_PARTICLES} particles and jets of one type of "
            f"{', '.join(JET_TYPES)} only"
        )
    elif jets.axes is None:
        reason = (
            "its network knows particles relative to the axis of the whole jet only, "
            "as in JetNet's files, which not all of these files have"
        )
    else:
        try:
            resources = load_fpnd(None if where == "installed" else where)
        except InputError as error:
            if where != "installed":
                raise
            reason = str(error).removeprefix("fpnd: ")
    if resources is None:
        return None, [f"FPND is left out: {reason}"]
    return functools.partial(fpnd, jet_type=jet_type, resources=resources), []
