"""Figures for notebooks: samples of jets in, a Matplotlib figure out.

They are those of the reports. Each takes name to jets; the sample ``"input"`` are real
jets, with which all others are compared. A figure that is the last value of a cell is
shown, and ``figure.savefig("jets.png")`` writes it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jetvae_jax.core.errors import InputError, did_you_mean
from jetvae_jax.core.types import Jets, RelativeJets
from jetvae_jax.metrics.suite.sample import Sample
from jetvae_jax.report import distributions as histograms
from jetvae_jax.report import jet_images, style, training_plots
from jetvae_jax.report import responses as of_responses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Samples = Mapping[str, Jets | RelativeJets]
"""Name to jets, ``"input"`` among them."""
INPUT = "input"


def jets(samples: Samples) -> "Figure":
    """The first four jets of every sample, a row each, as points in eta and phi.

    The area of a particle is proportional to its pt. A sample named
    ``"reconstruction"`` is drawn as rings over its own input.

    Args:
        samples: name to jets, ``"input"`` among them.

    Raises:
        InputError: there is no ``"input"``.
    """
    return _drawn(jet_images.single, samples)


def images(samples: Samples) -> "Figure":
    """The average image of every sample, and its difference from the input's below.

    Arguments and errors as those of :func:`jets`.
    """
    return _drawn(jet_images.average, samples)


def distributions(samples: Samples, names: Sequence[str] = ()) -> "Figure":
    """Observables of the jets of every sample over the input's, and their ratio.

    Args:
        samples: name to jets, ``"input"`` among them; if any are relative, all are
            compared in relative features.
        names: of the observables, such as ``("mass", "tau21")``; empty for all.

    Raises:
        InputError: there is no ``"input"``, no such observable, or a sample without
            particles or with NaN.
    """
    measured = {name: Sample(name, of) for name, of in _ordered(samples).items()}
    if not all(sample.has_pt for sample in measured.values()):
        measured = {n: Sample(n, sample.relative) for n, sample in measured.items()}
    values = {n: dict(sample.jet) for n, sample in measured.items()}
    for name in names:
        if name not in (known := values[INPUT]):
            raise InputError(
                f"names: {name!r} is no observable of these jets"
                f"{did_you_mean(name, known)}; they have {', '.join(known)}"
            )
    if names:
        values = {n: {name: of[name] for name in names} for n, of in values.items()}
    return _styled(histograms.jets, values)


def particles(samples: Samples) -> "Figure":
    """Features of the particles of every sample over the input's, and their ratio.

    Arguments and errors as those of :func:`jets`.
    """
    return _drawn(histograms.particles, samples)


def training(history: Sequence[Mapping[str, Any]]) -> "Figure":
    """The loss and its terms over the epochs.

    Args:
        history: of a training, ``jv.runs.train(...).history``.
    """
    return _styled(training_plots.curves, history)


def responses(compared: Mapping[str, Any], condition: str, group: str = "") -> "Figure":
    """Answers of a conditional model in bins of what was asked, beside real jets.

    Means above, widths below. Where it is shaded the model was not trained.

    Args:
        compared: what ``jv.jets.responses.compare`` returns.
        condition: on the axis, such as ``"pt"``.
        group: a class of jets, where the model is conditioned on that.

    Raises:
        InputError: the model has no such condition or class.
    """
    known = compared["conditions"]
    if condition not in known:
        raise InputError(
            f"condition: {condition!r} is none of this model"
            f"{did_you_mean(condition, known)}; it has {', '.join(known)}"
        )
    groups = known[condition]["groups"]
    group = group or next(iter(groups))
    if group not in groups:
        raise InputError(
            f"group: {group!r} is none of these jets{did_you_mean(group, groups)}; "
            f"there are {', '.join(groups)}"
        )
    title = condition if group == "all" else f"{condition}, class {group}"
    with style.look():
        return of_responses.figure(groups[group], title, known[condition])


def _drawn(draw: Callable[..., "Figure"], samples: Samples) -> "Figure":
    return _styled(draw, _ordered(samples))


def _styled(draw: Callable[..., "Figure"], values: Any) -> "Figure":
    with style.look():
        return draw(values)


def _ordered(samples: Samples) -> dict[str, Jets | RelativeJets]:
    """The samples, the input first."""
    if INPUT not in samples:
        raise InputError(
            f"samples: have no {INPUT!r}, the real jets, among {', '.join(samples)}"
        )
    return {INPUT: samples[INPUT], **samples}
