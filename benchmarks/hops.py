"""How many files of the package one has to open to follow one batch, or one jet.

    python benchmarks/hops.py

counts the files in which a function runs while

- one batch is trained: jets are scaled, the loss is computed, the parameters updated;
- one generated jet is followed to its plot: its latents drawn from the flow, decoded,
  its observables measured, its histogram drawn with the ratio to real jets;
- the same through a file, which is written and read again.

The model is that of ``results/convae_gluon30``. Functions that turn names and flags
into settings, and formats that say that a file is not theirs, are not counted.
"""

import pathlib
import sys
import tempfile
from collections.abc import Callable

import jax
import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "jetvae_jax"
RESULTS = ROOT / "results/convae_gluon30"
SETTINGS = ("core/configs.py", "core/registry.py", "core/lazy.py", "core/moved.py")
"""Files that turn names into modules and flags into settings."""
UNCOUNTED = ("<module>", "__post_init__", "matches")
"""Functions that check settings or recognise files."""


def files_run(function: Callable[[], object]) -> list[str]:
    """Files of the package in which a function runs while ``function`` does."""
    found = set()

    def look(frame, event, _):
        code = frame.f_code
        if event == "call" and code.co_name not in UNCOUNTED:
            found.add(code.co_filename)

    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(None)
    names = (pathlib.Path(name) for name in found)
    inside = (n.relative_to(PACKAGE).as_posix() for n in names if PACKAGE in n.parents)
    return sorted(name for name in inside if name not in SETTINGS)


def one_batch() -> Callable[[], object]:
    """Scales a batch of jets and traces one update of the network."""
    from jetvae_jax import data, runs
    from jetvae_jax.runs.trained import build_model, task_of
    from jetvae_jax.training import model_step

    trained = runs.load_model(RESULTS)
    run, jets = trained.run, data.load("embedded", max_jets=500).jets
    domain, scaler = run.pipeline, trained.scaler
    objective = domain.objective(run, scaler, jets)
    model = build_model(run, task_of(run, scaler, objective=objective))
    step = model_step(model, run.training, num_jets=500)
    state = step.init(jax.random.key(0))
    jax.clear_caches()

    def train():
        batch = domain.scale(run.scaling, scaler, jets)
        step.update(state, jax.random.key(1), batch)

    return train


def one_jet(folder: pathlib.Path, *, file: bool) -> Callable[[], object]:
    """Generates jets and draws their distributions beside those of real jets.

    Args:
        folder: to write to.
        file: write the jets and read them again in between.
    """
    from jetvae_jax import data, metrics, runs
    from jetvae_jax.report import distributions
    from jetvae_jax.runs.generation import samples_of

    for name in ("vae.npz", "flow.npz"):
        (folder / name).write_bytes((RESULTS / name).read_bytes())
    real = data.load("embedded", max_jets=500).jets
    config = runs.GenerateConfig(latents="flow", num_jets=500)
    jax.clear_caches()

    def follow():
        if file:
            jets = data.load(runs.generate(folder, config)).jets
        else:
            jets = next(samples_of(runs.load_model(folder), config)[1])
        values = {
            name: jax.tree.map(np.asarray, metrics.jet_observables(sample))
            for name, sample in (("input", real), ("flow", jets))
        }
        distributions.jets(values).savefig(folder / "jets.png")

    return follow


def main() -> None:
    """Print both counts and the files."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for title, function in (
            ("one batch", one_batch()),
            ("one jet to its plot", one_jet(folder, file=False)),
            ("one jet to its plot, through a file", one_jet(folder, file=True)),
        ):
            found = files_run(function)
            print(f"{title}: {len(found)} files")
            print("".join(f"  {name}\n" for name in found))


if __name__ == "__main__":
    main()
