"""The report of a hyperparameter search: Optuna's own plots, and what failed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from jetvae_jax.core.words import number
from jetvae_jax.report import about
from jetvae_jax.report.page import (
    Block,
    Heading,
    Items,
    Paragraph,
    Trusted,
    html,
    pairs,
)

MONITOR = "monitor"
"""Attribute of a study: the validation term whose lowest value a trial has."""
_FIELDS = 4  # in a row of panels
_WIDE = 100  # ratio of values from which an axis is logarithmic


def page(study: Any) -> str:
    """HTML that needs no network: plots, the best values, trials that failed.

    Unlike the other reports it holds a script, that of plotly.

    Args:
        study: an Optuna study with its trials.
    """
    blocks = [about.table(), *_trials(study), *_plots(study)]
    return html(f"Search {study.study_name}", blocks)


def minimised(study: Any) -> str:
    """What the value of a trial is: the name of a validation term."""
    name = study.user_attrs.get(MONITOR)
    return f"valid/{name}" if name else "value"


def _trials(study: Any) -> Iterator[Block]:
    trials = study.get_trials(False)
    counts = Counter(trial.state.name.lower() for trial in trials)
    counts["failed"] = counts.pop("fail", 0)
    yield Paragraph(
        ", ".join(f"{many} {name}" for name, many in counts.items() if many)
    )
    yield Paragraph(
        f"Minimised is {minimised(study)}, the lowest of the epochs of a trial. "
        "Trials are counted from 1, in Optuna's storage and in the names of folders "
        "from 0.",
        "note",
    )
    if counts["complete"]:
        best = study.best_trial
        yield Heading("Best values")
        shown = {
            name: number(value, 4) if isinstance(value, float) else value
            for name, value in best.params.items()
        }
        reached = {minimised(study): f"{best.value:.6g}", "trial": best.number + 1}
        yield pairs(reached | shown)
    failed = [
        f"{trial.number + 1}: {trial.user_attrs.get('reason', 'its process was lost')}"
        for trial in trials
        if trial.state.name == "FAIL"
    ]
    if failed:
        yield Heading("Trials that failed")
        yield Items(failed)


def _plots(study: Any) -> Iterator[Block]:
    script: bool = True  # plotly itself, once
    for heading, figure in _figures(_from_one(study), minimised(study)):
        # No width of its own: it takes that of the page.
        figure.update_layout(width=None, autosize=True, title=None, margin={"t": 40})
        # A million is no M of something.
        figure.update_xaxes(exponentformat="power")
        figure.update_yaxes(exponentformat="power")
        yield Heading(heading)
        html_ = figure.to_html(
            full_html=False, include_plotlyjs=script, config={"responsive": True}
        )
        yield Trusted(html_)
        script = False


def _from_one(study: Any) -> Any:
    """A copy of the study whose trials are counted from 1."""
    import optuna

    # A trial that waits is drawn nowhere, and takes the number 0.
    waiting = optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING)
    copy = optuna.create_study(direction=study.direction)
    copy.add_trials([waiting, *study.get_trials(False)])
    return copy


def _figures(study: Any, name: str) -> Iterator[tuple[str, Any]]:
    from optuna import importance
    from optuna import visualization as plots
    from optuna.trial import TrialState

    done = study.get_trials(False, states=(TrialState.COMPLETE,))
    if not done:
        return
    history = plots.plot_optimization_history(study, target_name=name)
    last, scale = len(study.get_trials(False)) - 1, _scale([t.value for t in done])
    trials = {**_counted(last), "range": [0.5, last + 0.5]}
    yield "History", history.update_xaxes(**trials).update_yaxes(**scale)
    epochs = max((max(t.intermediate_values, default=1) for t in done), default=1)
    values = plots.plot_intermediate_values(study)
    values.update_yaxes(title=name, **scale)
    values.update_xaxes(title="epoch", range=[0.5, epochs + 0.5], **_counted(epochs))
    yield "Values by epoch", values
    names = sorted({name for trial in done for name in trial.params})
    for start in range(0, len(names), _FIELDS):
        few = names[start : start + _FIELDS]
        drawn = plots.plot_slice(study, params=few, target_name=name)
        drawn.update_traces(marker_colorbar=_counted(last)).update_yaxes(**scale)
        yield f"Values of {', '.join(few)}", drawn
    drawn = plots.plot_parallel_coordinate(study, target_name=name)
    yield "All fields together", drawn
    if len(done) > 3:
        ped = importance.PedAnovaImportanceEvaluator()  # needs no scikit-learn
        yield (
            "Importance",
            plots.plot_param_importances(study, evaluator=ped, target_name=name),
        )
    timeline: Any = plots.plot_timeline(study)
    timeline.data = [bars for bars in timeline.data if bars.name != "WAITING"]
    yield "Time", timeline.update_yaxes(**trials)


def _scale(values: Sequence[float]) -> dict[str, Any]:
    """An axis of values: logarithmic if the largest would hide the others."""
    wide = min(values) > 0 and max(values) > _WIDE * min(values)
    return {"type": "log", "dtick": 1} if wide else {}


def _counted(last: int) -> dict[str, Any]:
    """An axis that counts from 1 in whole numbers."""
    return {"tick0": 1, "dtick": max(1, last // 10), "tickformat": "d"}
