"""What a step of the main job reached, in five lines or fewer."""

import json
import os
import pathlib

import jax

from jetvae_jax.core.commands import worded
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import in_zoo, read_lines
from jetvae_jax.runs import domains
from jetvae_jax.runs.trained import TrainedModel, load_model
from jetvae_jax.training import checkpoint
from jetvae_jax.training.progress import clock

_WIDTH = 12  # of the word that begins a line


def line(name: str, text: object) -> str:
    """A line of a summary: what it is about, and a text."""
    return f"{name:<{_WIDTH}}  {text}"


def _next(script: str, *flags: str) -> str:
    """The line that says what to do next."""
    command = worded(f"python experiments/{script}.py")
    return line("next", " ".join([command, *flags]))


def of_training(workdir: str | os.PathLike) -> list[str]:
    """How far a training came, where the model is, and what to do next."""
    trained = load_model(workdir)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(trained.params))
    after = ["fit_flow", f"--workdir={workdir}"]
    if trained.model.encode is None:
        after = ["generate", f"--workdir={workdir}", "--generate.latents=prior"]
    return [
        _trained(trained),
        *_epochs(trained.folder, "vae", trained.meta["best_epoch"]),
        line("model", f"{trained.folder / 'vae.npz'}: {parameters:,} parameters"),
        _next(*after),
    ]


def of_fit(workdir: str | os.PathLike, name: str) -> list[str]:
    """The same of a density of latents.

    Args:
        workdir: of the run.
        name: 'flow' or 'copula'.
    """
    density = load_model(workdir).density(name)
    path = pathlib.Path(workdir) / f"{name}.npz"
    best = checkpoint.read_meta(path).get("best_epoch")
    parameters = sum(leaf.size for leaf in jax.tree.leaves(density.params))
    what = density.run.flow if name == "flow" else name
    return [
        line("fitted", f"{what} to the latents of {pathlib.Path(workdir) / 'vae.npz'}"),
        *(_epochs(pathlib.Path(workdir), name, best) if best else []),
        line(name, f"{path}: {parameters:,} parameters"),
        _next("generate", f"--workdir={workdir}", f"--generate.latents={name}"),
    ]


def of_generation(path: pathlib.Path, workdir: str | os.PathLike) -> list[str]:
    """Where the generated samples are, and the next step if it is in this workdir."""
    if path.is_dir():
        return [line("generated", f"shards in {path}")]
    made = line("generated", path)
    if in_zoo(workdir):
        return [made]
    return [made, _next("evaluate", f"--workdir={workdir}")]


def of_evaluation(report: pathlib.Path, workdir: str | os.PathLike) -> list[str]:
    """The training, three metrics of every sample beside the floor, and the report.

    Args:
        report: the path that ``runs.evaluate`` returned, which is the last line.
        workdir: of the run, if the samples are of one.
    """
    folder = report.parent
    result = json.loads((folder / "evaluation.json").read_text())
    run = result["run"]
    domain = run.get("domain", "jets") if run else _domain(result)
    first = line("compared", ", ".join(result["candidates"]))
    if run:
        first = _trained(load_model(workdir))
    metrics = domains.evaluation(domain).headlines(result)
    return [first, *(line(name, text) for name, text in metrics), str(report)]


def _domain(result: dict) -> str:
    """The domain of an evaluation without a run, by the number of its samples."""
    units = {domains.get(name).UNIT: name for name in domains.names()}
    return next(name for unit, name in units.items() if unit in result)


def _trained(trained: TrainedModel) -> str:
    rows = trained.history()["vae"]
    text = f"{trained.run.model}, best epoch {trained.meta['best_epoch']}"
    if rows:
        seconds = sum(row["seconds"] for row in rows)
        text += f" of {len(rows)}, in {clock(seconds)}"
    return line("trained", text)


def _epochs(folder: pathlib.Path, name: str, best: int) -> list[str]:
    """The loss of the best epoch, if the epochs are there."""
    try:
        rows = read_lines(folder / f"{name}.metrics.jsonl")
    except InputError:  # the model is there; its report will complain
        return []
    if len(rows) < best:
        return []
    row = rows[best - 1]
    found = (
        f"{row['train/loss']:.5g} in training, {row['valid/loss']:.5g} in validation"
    )
    return [line("loss", f"{found}, at the best epoch")]
