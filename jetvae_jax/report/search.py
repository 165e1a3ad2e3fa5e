"""The report of a hyperparameter search: Optuna's own plots, and what failed."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from jetvae_jax.report.page import (
    Block,
    Heading,
    Items,
    Paragraph,
    Trusted,
    html,
    pairs,
)


def page(study: Any) -> str:
    """HTML that needs no network: plots, the best values, trials that failed.

    Unlike the other reports it holds a script, that of plotly.

    Args:
        study: an Optuna study with its trials.
    """
    return html(f"Search {study.study_name}", [*_trials(study), *_plots(study)])


def _trials(study: Any) -> Iterator[Block]:
    trials = study.get_trials(False)
    counts = Counter(trial.state.name.lower() for trial in trials)
    counts["failed"] = counts.pop("fail", 0)
    yield Paragraph(
        ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    )
    if counts["complete"]:
        best = study.best_trial
        yield Heading("Best values")
        yield pairs({"value": f"{best.value:.6g}", "trial": best.number} | best.params)
    failed = [
        f"{trial.number}: {trial.user_attrs.get('reason', 'its process was lost')}"
        for trial in trials
        if trial.state.name == "FAIL"
    ]
    if failed:
        yield Heading("Trials that failed")
        yield Items(failed)


def _plots(study: Any) -> Iterator[Block]:
    script: bool = True  # plotly itself, once
    for heading, figure in _figures(study):
        yield Heading(heading)
        yield Trusted(figure.to_html(full_html=False, include_plotlyjs=script))
        script = False


def _figures(study: Any) -> Iterator[tuple[str, Any]]:
    from optuna import importance
    from optuna import visualization as plots
    from optuna.trial import TrialState

    done = study.get_trials(False, states=(TrialState.COMPLETE,))
    if not done:
        return
    yield "History", plots.plot_optimization_history(study)
    yield "Values by epoch", plots.plot_intermediate_values(study)
    yield "Every field", plots.plot_slice(study)
    yield "All fields together", plots.plot_parallel_coordinate(study)
    if len(done) > 3:
        ped = importance.PedAnovaImportanceEvaluator()  # needs no scikit-learn
        yield "Importance", plots.plot_param_importances(study, evaluator=ped)
    yield "Time", plots.plot_timeline(study)
