"""Settings of the study of sample limits."""

from typing import Annotated

from jetvae_jax.core import configs
from jetvae_jax.core.errors import InputError

_Correlation = Annotated[float, configs.between(-0.99, 0.99)]
_Tail = Annotated[float, configs.positive, configs.below(0.5)]


@configs.config
class LimitsConfig:
    """The toy, and the generator whose events are counted.

    Attributes:
        run: folder of a trained run, of jets, events, showers or images; empty for
            files of jets, or for the toy alone.
        data: file that the run was trained on, if it is elsewhere now.
        train: file of the jets that trained the generator, where there is no run.
        generated: files of its jets, one for each training if there are several; empty
            for jets that the run generates now.
        truth: file of many other true jets; empty for the test part of the run.
        columns: where the jets are in these files, as in data.columns.
        num_particles: most particles of a jet that are read of files.
        observables: by name; empty for mass, pt, multiplicity, tau21 and d2 of jets,
            for all of others.
        num_generated: samples that the run generates, and all members together.
        members: trainings of the run's model with other seeds, and as many on
            bootstraps of its training jets, all in one program; 0 for none.
        epochs: of each member; 0 for the best epoch of the run.
        quantiles: of the truth, whose fractions are compared.
        tail: fraction of the events in each tail.
        num_events: of a training sample of the toy.
        num_trainings: of the toy.
        num_bootstraps: of the training sample, in each of the first ten trainings.
        cut: both variables of the toy are below, where there is a limit.
        correlation: of the variables of the toy, where it is ignored.
        seed: of all draws.
    """

    run: configs.Path = ""
    data: configs.Path = ""
    train: configs.Path = ""
    generated: tuple[configs.Path, ...] = ()
    truth: configs.Path = ""
    columns: tuple[str, ...] = ()
    num_particles: Annotated[int, configs.between(1, 1000)] = 30
    observables: Annotated[tuple[str, ...], configs.distinct] = ()
    num_generated: Annotated[int, configs.at_least(1000)] = 100_000
    members: Annotated[int, configs.between(0, 1000)] = 0
    epochs: configs.NonNegativeInt = 0
    quantiles: Annotated[int, configs.between(10, 10_000)] = 100
    tail: _Tail = 0.05
    num_events: Annotated[int, configs.between(10, 10_000)] = 1000
    num_trainings: Annotated[int, configs.at_least(10)] = 200
    num_bootstraps: Annotated[int, configs.at_least(10)] = 20
    cut: configs.PositiveFloat = 12.0
    correlation: _Correlation = 0.1
    seed: configs.Seed = 0

    def __post_init__(self):
        few = self.tail * self.quantiles
        if round(few) < 1 or abs(few - round(few)) > 1e-6:
            raise InputError(
                f"tail: must be a whole number of quantiles, got {self.tail:g} of "
                f"{self.quantiles}: give {max(round(few), 1) / self.quantiles:g}"
            )
        if self.members and not self.run:
            raise InputError("members: are trainings of a run: give run")
        if self.members == 1:
            raise InputError("members: one has no spread: give two or more")
        files = {"train": self.train, "generated": self.generated, "truth": self.truth}
        if self.run:
            if self.train:
                raise InputError("train: is known of the run: leave one of them out")
        elif self.data:
            raise InputError("data: is of a run: give the run, or train")
        elif any(files.values()):
            for name, given in files.items():
                if not given:
                    raise InputError(
                        f"{name}: is missing: without a run all of train, generated "
                        "and truth are needed"
                    )
