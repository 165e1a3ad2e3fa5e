"""A search for settings as one HTML page: Optuna's own plots, and what failed."""

from collections.abc import Iterator
from html import escape
from typing import Any

from jetvae_jax.report.page import html, summary


def page(study: Any) -> str:
    """HTML that needs no network: plots, the best values, trials that failed.

    Args:
        study: an Optuna study with its trials.
    """
    parts = [f"<h1>Search {escape(study.study_name)}</h1>", *_tables(study)]
    script: bool | str = True  # plotly itself, once
    for heading, figure in _figures(study):
        plot = figure.to_html(full_html=False, include_plotlyjs=script)
        parts.append(f"<h2>{escape(heading)}</h2>{plot}")
        script = False
    return html("Search", "\n".join(parts))


def _tables(study: Any) -> Iterator[str]:
    counts: dict[str, int] = {}
    failed = []
    for trial in study.get_trials(False):
        counts[trial.state.name.lower()] = counts.get(trial.state.name.lower(), 0) + 1
        if trial.state.name == "FAIL":
            reason = trial.user_attrs.get("reason", "its process was lost")
            failed.append(f"{trial.number}: {reason}")
    yield "<p>" + ", ".join(f"{n} {name}" for name, n in counts.items()) + "</p>"
    if counts.get("complete"):
        best = study.best_trial
        rows = {"value": f"{best.value:.6g}", "trial": best.number} | best.params
        yield "<h2>Best values</h2>" + _table(rows.items())
    if failed:
        yield "<h2>Trials that failed</h2>" + summary(failed)


def _table(rows: Any) -> str:
    cells = "".join(
        f"<tr><td>{escape(str(a))}</td><td>{escape(str(b))}</td></tr>" for a, b in rows
    )
    return f"<table>{cells}</table>"


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
