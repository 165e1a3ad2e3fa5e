"""Events of two jets that come from different events, or from a generator of jets.

Both jets of a collision share what made them: its energy, the balance of their
transverse momenta, colour that flows between them. The study combines the hardest jet
of one event with the second of another; with its azimuth kept; or it takes the axes of
both jets from a further true event, as a generator of partons gives them, and puts on
each the particles of a jet of nearly its pt. The last is also done with jets that a
trained model generates for these axes: what a fast simulation does.

All jets are the leading particles of a file of ``make_jets.py``, two jets of each
event; their axes are those of the whole jets.
"""

import os
import pathlib
from typing import Annotated, NamedTuple

import jax
import numpy as np
from absl import logging

from jetvae_jax import metrics
from jetvae_jax.core import configs, seeds
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.momenta import mass, wrap_phi
from jetvae_jax.core.types import Jets
from jetvae_jax.core.words import counted
from jetvae_jax.data.containers.hdf5 import PER_EVENT
from jetvae_jax.data.loading import find, load, opened
from jetvae_jax.data.validation import MAX_PARTICLES
from jetvae_jax.observables.jets import relative
from jetvae_jax.observables.substructure import substructure
from jetvae_jax.report.page import announce_missing
from jetvae_jax.runs.trained import TrainedModel, load_model
from jetvae_jax.studies.decomposition import pairs, report
from jetvae_jax.studies.decomposition.measure import (
    Objects,
    Sample,
    Values,
    measure,
    nearby,
    worth,
)
from jetvae_jax.studies.signal.scores import fitted_latents

WAYS = (*pairs.WAYS, "given the axes")
GENERATED = "generated for the axes"
OBSERVABLES = (
    *pairs.OBSERVABLES,
    *("mass difference", "sum of masses", "tau21 product"),
)


@configs.config
class DijetsConfig:
    """The events and their two jets.

    Attributes:
        path: jets of make_jets.py with --make.jets_per_event=2, a file.
        run: folder of a trained model of such jets in relative coordinates, or
            zoo:NAME, which generates jets for the axes, too; empty for none.
        num_particles: hardest particles of each jet.
        num_events: of a training sample.
        num_combined: events of the jets of a training sample, drawn at random.
        quantiles: of the true events, whose fractions are compared.
        seed: of the order of the events, of the combinations and generated jets.
    """

    path: configs.Path = ""
    run: configs.Path = ""
    num_particles: Annotated[int, configs.between(1, MAX_PARTICLES)] = 30
    num_events: Annotated[int, configs.at_least(10)] = 500
    num_combined: Annotated[int, configs.at_least(100)] = 5000
    quantiles: Annotated[int, configs.between(5, 10_000)] = 20
    seed: configs.Seed = 0


class Dijets(NamedTuple):
    """The two jets of J events, the harder one first.

    Attributes:
        p4: ``[J, 2, 4]`` (px, py, pz, E) of the sum of the particles, in GeV.
        tau21: ``[J, 2]``.
        axis: ``[J, 2, 3]`` (pt in GeV, eta, phi) of the whole jets.
    """

    p4: np.ndarray
    tau21: np.ndarray
    axis: np.ndarray

    def at(self, rows: np.ndarray) -> "Dijets":
        """Some of the events."""
        return Dijets(*(values[rows] for values in self))


def study(workdir: str | os.PathLike, config: DijetsConfig) -> tuple[pathlib.Path, str]:
    """Measure gain and bias.

    A third of the events is the truth, another is cut into training samples, and the
    last gives nothing but axes. Writes ``decomposition.json``,
    ``decomposition.html`` and its plot.

    Args:
        workdir: folder to write to.
        config: the events.

    Returns:
        The path of the page, and the result in one paragraph.

    Raises:
        InputError: a wrong file or run, or too few events.
    """
    announce_missing()
    trained = _model(config)
    jets = read(config)
    total = len(jets.mask) // 2
    third = total // 3
    _check_number(config, third)
    events, rng = summarised(jets), np.random.default_rng(config.seed)
    true, others, given = np.split(rng.permutation(total)[: 3 * third], 3)
    number = third // config.num_events
    trainings = np.split(others[: number * config.num_events], number)
    truth, axes = events.at(true), events.axis[given]
    found = measure(
        objects(axes), truth, events.at(others), [events.at(t) for t in trainings],
        rng, config,
    )  # fmt: skip
    if trained:
        logging.info("generating %s", counted(2 * third, "jet"))
        made = summarised(generated(trained, jets, given, config.seed))
        found[GENERATED] = worth(own(truth), own(made), config.quantiles)
    return report.publish(
        workdir, config, found, num_true=len(true), num_trainings=number,
        num_axes=len(axes), correlations=correlations(truth),
    )  # fmt: skip


def _check_number(config: DijetsConfig, third: int) -> None:
    if third < max(2 * config.num_events, 2 * config.quantiles):
        raise InputError(
            f"--decompose.num_events={config.num_events}: {config.path} has "
            f"{3 * third:,} events; a third of them is the truth, and two training "
            "samples at least are needed of another: give fewer"
        )
    if config.num_combined > third:
        raise InputError(
            f"--decompose.num_combined={config.num_combined}: {config.path} has "
            f"{third:,} events for axes, a third of all: give no more"
        )


def read(config: DijetsConfig) -> Jets:
    """The jets of a file, rows 2i and 2i + 1 those of event i.

    Raises:
        InputError: the file cannot be read, or is not of two jets an event.
    """
    if not config.path:
        raise InputError(
            "--decompose.path: is missing: give jets of make_jets.py with "
            "--make.jets_per_event=2"
        )
    path, *others = find(config.path)
    with opened(path) as file:
        number = file.table.metadata.get(PER_EVENT, 1)
    if number != 2 or others:
        raise InputError(
            f"--decompose.path={config.path}: is not one file with both jets of each "
            "event: make it by make_jets.py --make.jets_per_event=2"
        )
    jets = load(path, num_particles=config.num_particles, unique=False).jets
    if len(jets.mask) % 2 or jets.axis is None:
        raise InputError(
            f"--decompose.path={config.path}: lacks the second jet of an event, or the "
            "axes of whole jets: make it again"
        )
    return jets


def summarised(jets: Jets) -> Dijets:
    """What is measured of jets ``[2 J, N, 3]``, the two of an event in a row."""
    particles = np.where(jets.mask[..., None], jets.particles, 0.0).astype(np.float64)
    energy = np.linalg.norm(particles, axis=-1)
    p4 = np.concatenate([particles, energy[..., None]], axis=-1).sum(axis=-2)
    tau21 = metrics.map_chunks(
        lambda part: substructure(relative(part), names=("tau21",))["tau21"],
        Jets(jets.particles, jets.mask),
    )
    axis = np.asarray(jets.axis, np.float64)
    return Dijets(
        p4.reshape(-1, 2, 4), tau21.astype(np.float64).reshape(-1, 2),
        axis.reshape(-1, 2, 3),
    )  # fmt: skip


def own(events: Dijets) -> Values:
    """The observables of events as they are, ``[J]`` each; masses and pt in GeV."""
    first, second = np.moveaxis(events.p4, 1, 0)
    m1, m2 = (mass(p[:, 3], p[:, :3]) for p in (first, second))
    return {
        **pairs.observables(first, second),
        "mass difference": m1 - m2,
        "sum of masses": m1 + m2,
        "tau21 product": events.tau21.prod(axis=1),
    }


def moved(p4: np.ndarray, axis: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Momenta of jets whose particles are put on another axis.

    The particles keep their pt, eta and phi relative to it: they are turned about the
    beam, boosted along it, and scaled.

    Args:
        p4: ``[..., 4]`` (px, py, pz, E) in GeV.
        axis: ``[..., 3]`` (pt in GeV, eta, phi) of these jets.
        to: ``[..., 3]``, the same of the new ones.
    """
    px, py, pz, energy = np.moveaxis(p4, -1, 0)
    pt, eta, phi = np.moveaxis(axis, -1, 0)
    new_pt, new_eta, new_phi = np.moveaxis(to, -1, 0)
    cos, sin = np.cos(new_phi - phi), np.sin(new_phi - phi)
    along, across = np.cosh(new_eta - eta), np.sinh(new_eta - eta)
    turned = [
        px * cos - py * sin,
        px * sin + py * cos,
        pz * along + energy * across,
        energy * along + pz * across,
    ]
    return np.stack(turned, axis=-1) * (new_pt / pt)[..., None]


def combined(
    events: Dijets, axes: np.ndarray, num: int, way: str, rng: np.random.Generator
) -> Dijets:
    """Events of jets of different events.

    Args:
        events: J events.
        axes: ``[M, 2, 3]`` of the jets of other events.
        num: of combinations.
        way: as :func:`~jetvae_jax.studies.decomposition.pairs.combined`; or ``given the
            axes``: those of an event, each of them once if M are enough, and on each
            the particles of a jet of nearly its pt, of any of the J events.
        rng: of the pairs.
    """
    if way != "given the axes":
        i, j = rng.integers(0, len(events.p4), (2, num))
        first, second = events.p4[i, 0], events.p4[j, 1]
        tau21 = np.stack([events.tau21[i, 0], events.tau21[j, 1]], axis=1)
        axis = np.stack([events.axis[i, 0], events.axis[j, 1]], axis=1)
        if way == "azimuth kept":
            turn = events.axis[i, 0, 2] - events.axis[j, 0, 2]
            axis[:, 1, 2] = wrap_phi(axis[:, 1, 2] + turn)
            second = moved(second, events.axis[j, 1], axis[:, 1])
        return Dijets(np.stack([first, second], axis=1), tau21, axis)
    to = axes[rng.choice(len(axes), num, replace=num > len(axes))]
    p4, axis = events.p4.reshape(-1, 4), events.axis.reshape(-1, 3)
    order = np.argsort(axis[:, 0])
    which = order[nearby(axis[order, 0], to[..., 0], rng)]
    tau21 = events.tau21.reshape(-1)[which]
    return Dijets(moved(p4[which], axis[which], to), tau21, to)


def objects(axes: np.ndarray) -> Objects:
    """Events of samples :class:`Dijets`, with the axes ``[M, 2, 3]`` of others."""

    def of_sample(sample: Sample) -> Values:
        return own(Dijets(*sample))

    def of_combined(
        sample: Sample, num: int, way: str, rng: np.random.Generator
    ) -> Values:
        return own(combined(Dijets(*sample), axes, num, way, rng))

    return Objects(OBSERVABLES, WAYS, of_sample, of_combined)


def correlations(events: Dijets) -> dict[str, float]:
    """Spearman's correlation of both jets, by observable."""
    from scipy import stats

    p = events.p4
    values = {
        "pt": np.hypot(p[..., 0], p[..., 1]),
        "mass": mass(p[..., 3], p[..., :3]),
        "tau21": events.tau21,
    }
    ranks = {name: stats.rankdata(each, axis=0) for name, each in values.items()}
    return {name: float(np.corrcoef(r.T)[0, 1]) for name, r in ranks.items()}


def _model(config: DijetsConfig) -> TrainedModel | None:
    """The model that generates jets, if the settings name one."""
    if not config.run:
        return None
    trained = load_model(config.run)
    run = trained.run
    wrong = ""
    if run.domain != "jets":
        wrong = f"is of {run.pipeline.UNIT}, not of jets"
    elif run.scaling.coordinates != "relative":
        wrong = "generates jets with axes of its own: coordinates are not relative"
    elif run.data.num_particles != config.num_particles:
        wrong = (
            f"generates {run.data.num_particles} particles: give them as "
            "--decompose.num_particles"
        )
    if wrong:
        raise InputError(f"--decompose.run={config.run}: {wrong}")
    return trained


def generated(trained: TrainedModel, jets: Jets, rows: np.ndarray, seed: int) -> Jets:
    """Generated jets for the axes of true ones, whose particles are not read.

    Args:
        trained: the model.
        jets: true jets ``[2 J, N, 3]``.
        rows: ``[K]`` of their events.
        seed: of all draws.

    Returns:
        Jets ``[2 K, N, 3]`` in GeV, with these axes.

    Raises:
        InputError: the model needs a condition that is not known of the jets.
    """
    both = (2 * rows[:, None] + np.arange(2)).reshape(-1)
    true = jax.tree.map(lambda values: values[both], jets)
    run = trained.run
    ends = run.pipeline.condition_ends(run.scaling, trained.scaler)
    if "pt" in ends:
        low, high = ends["pt"]
        pt = true.axis[:, 0]
        if share := np.mean((pt < low) | (pt > high)):
            logging.warning(
                "%.2g %% of the axes have a pt beyond %.4g to %.4g GeV, the range of "
                "the training: there the model extrapolates", 100 * share, low, high,
            )  # fmt: skip
    sample = trained.sampler(fitted_latents(trained))
    made = sample(seeds.key(seed), trained.scale(true).context)
    return Jets(made.particles, made.mask, true.axis)
