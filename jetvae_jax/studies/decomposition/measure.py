"""What combinations of the objects of events are worth: gain, and what is wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jetvae_jax.studies.sample_limits import equivalent
from jetvae_jax.studies.sample_limits.report import in_words, restored, stored

Sample = Sequence[np.ndarray]
"""Arrays of J events each."""
Values = dict[str, np.ndarray]
"""Name of an observable to its values."""
NEIGHBOURS = 10
"""Objects above and below the energy or pt that is asked for, of which one is taken."""


class Config(Protocol):
    """The settings that are read here."""

    @property
    def num_events(self) -> int:
        """Events of a training sample."""
        ...

    @property
    def num_combined(self) -> int:
        """Events of the objects of a training sample, drawn at random."""
        ...

    @property
    def quantiles(self) -> int:
        """Quantiles of the true events, whose fractions are compared."""
        ...


class Objects(NamedTuple):
    """Events, and how their objects are combined.

    Attributes:
        observables: their names.
        ways: of combination.
        own: observables of the events of a sample as they are.
        combined: ``(sample, number, way, rng) -> observables`` of so many events of
            objects of different events of the sample.
    """

    observables: tuple[str, ...]
    ways: tuple[str, ...]
    own: Callable[[Any], Values]
    combined: Callable[[Any, int, str, np.random.Generator], Values]


def measure(
    objects: Objects,
    true: Sample,
    others: Sample,
    trainings: Sequence[Sample],
    rng: np.random.Generator,
    config: Config,
) -> dict[str, Any]:
    """Gain and bias by way and observable, as equivalent numbers of events.

    Args:
        objects: what the events are made of.
        true: the events of the truth.
        others: all other events.
        trainings: training samples, parts of the others.
        rng: of the combinations.
        config: how many.

    Returns:
        ``events`` and each of the ways to observables: ``gained``, by comparison with
        combinations of the true events, of which nothing is wrong; ``worth`` by
        comparison with the true events, both of a training sample; and ``bias``, the
        events whose own fluctuations are as large as what is wrong of any number.
    """
    num, truth = config.num_combined, objects.own(true)
    found: dict[str, Any] = {
        "events": _worth(truth, [objects.own(t) for t in trainings], 0.0, config)
    }
    for way in objects.ways:
        made = [objects.combined(t, num, way, rng) for t in trainings]
        worth = _worth(truth, made, 1 / num, config)
        mixed = objects.combined(true, 10 * num, way, rng)
        gained = _worth(mixed, made, 1 / num, config, like=len(true[0]))
        whole = objects.combined(others, 10 * num, way, rng)
        found[way] = {
            name: {
                "gained": gained[name],
                "worth": worth[name],
                "bias": _bias(
                    truth[name], whole[name], gained[name]["value"], len(others[0]),
                    config,
                ),
            }
            for name in objects.observables
        }  # fmt: skip
    return found


def _worth(
    truth: Mapping[str, np.ndarray],
    made: list[Values],
    drawn: float,
    config: Config,
    *,
    like: int = 0,
) -> dict[str, dict[str, float | None]]:
    """The equivalent number by each observable, of trainings of one size.

    Args:
        truth: observables of the truth.
        made: of each training.
        drawn: one over the events made of each.
        config: quantiles.
        like: the truth is made of so many events as the training samples are made of
            theirs, and fluctuates like these; 0 if it is of independent events.
    """
    found = {}
    for name in truth:
        ends = equivalent.edges(truth[name], config.quantiles)
        p = equivalent.fractions(truth[name], ends)
        x = np.stack([equivalent.fractions(each[name], ends) for each in made])
        inverse = equivalent.inverse_events(x, p, np.ones(len(p), bool)) - drawn
        mean, error = inverse.mean(), inverse.std(ddof=1) / len(inverse) ** 0.5
        if like:
            share = 1 + config.num_events / like
            mean, error = mean / share, error / share
        else:
            noise = 1 / len(truth[name])
            # The truth is the same for all trainings.
            mean, error = mean - noise, np.hypot(error, noise * (2 / len(p)) ** 0.5)
        found[name] = stored(equivalent.between(float(mean), float(error)))
    return found


def nearby(
    ordered: np.ndarray, asked: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Places of values near those that are asked for, at random among the nearest.

    Args:
        ordered: ``[J]`` ascending.
        asked: ``[...]``.
        rng: of the choice among :data:`NEIGHBOURS` below and above.

    Returns:
        ``[...]`` places in ``ordered``.
    """
    at = np.searchsorted(ordered, asked)
    at = at + rng.integers(-NEIGHBOURS, NEIGHBOURS, at.shape)
    return np.clip(at, 0, len(ordered) - 1)


def worth(
    truth: Values, made: Values, num_quantiles: int
) -> dict[str, dict[str, dict[str, float | None]]]:
    """What events are worth that no training sample here has made, by observable.

    Args:
        truth: observables of the true events, ``[R]`` each.
        made: of the others, ``[G]`` each, of which any number could be made.
        num_quantiles: of the truth, whose fractions are compared.
    """
    found = {}
    for name, values in truth.items():
        ends = equivalent.edges(values, num_quantiles)
        p, x = (equivalent.fractions(each, ends) for each in (values, made[name]))
        noise = 1 / len(values) + 1 / len(made[name])
        every = np.ones(len(p), bool)
        found[name] = {"worth": stored(equivalent.events(x, p, every, noise=noise))}
    return found


def _bias(
    truth: np.ndarray,
    made: np.ndarray,
    gained: float | None,
    number: int,
    config: Config,
) -> dict[str, float | None]:
    """The equivalent number of combinations of many events, less what these lack.

    Args:
        truth: ``[R]``.
        made: ``[G]`` of the combinations of all other events.
        gained: equivalent number of the combinations of a training sample.
        number: of the other events.
        config: size of a training sample.
    """
    ends = equivalent.edges(truth, config.quantiles)
    p, x = (equivalent.fractions(each, ends) for each in (truth, made))
    own = config.num_events / number / gained if gained else 0.0
    noise = 1 / len(truth) + 1 / len(made) + own
    return stored(equivalent.events(x, p, np.ones(len(p), bool), noise=noise))


def verdict(found: Mapping[str, Any], num_events: int) -> str:
    """The result and its errors."""
    said = []
    for name in found["events"]:
        parts = []
        for way in found:
            if way == "events":
                continue
            row = {k: in_words(restored(v)) for k, v in found[way][name].items()}
            gained = f"{row['gained']} are gained and " if "gained" in row else ""
            parts.append(f"{way}, {gained}{row['worth']} left")
        said.append(f"{name}: {'; '.join(parts)}")
    return (
        f"Combinations of the objects of {num_events:,} events, as numbers "
        f"of independent events, before and after what is wrong of them: "
        f"{'. '.join(said)}."
    )
