"""How many files of the package one has to open to follow one batch, or one jet.

    python benchmarks/hops.py

counts the files in which a function runs while

- one batch is trained: the scaled jets, the networks, the loss, one update;
- one generated jet is followed to its plot: generated from the weights in
  ``results/convae_gluon30``, written, read again, its observables measured, its
  histogram drawn with the ratio to real jets.

Reading the data, settings and flags is not part of either.
"""

import pathlib
import sys
import tempfile
from collections.abc import Callable

import jax
import numpy as np

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "jetvae_jax"
SETTINGS = ("core/configs.py", "core/registry.py", "core/lazy.py", "core/errors.py")
"""Files that turn names into modules and flags into settings."""


def files_run(function: Callable[[], object]) -> list[str]:
    """Files of the package in which a function runs while ``function`` does."""
    found = set()

    def look(frame, event, _):
        code = frame.f_code
        if event == "call" and not code.co_name.startswith("<module"):
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
    """Traces one update of the ConVAE of ``results/convae_gluon30``."""
    from jetvae_jax import data, runs
    from jetvae_jax.runs.trained import build_model, task_of
    from jetvae_jax.training import model_step

    trained = runs.load_model(ROOT / "results/convae_gluon30")
    run, jets = trained.run, data.load("embedded", max_jets=500).jets
    jax.clear_caches()

    def train():
        objective = run.pipeline.objective(run, trained.scaler, jets)
        model = build_model(run, task_of(run, trained.scaler, objective=objective))
        step = model_step(model, run.training, num_jets=500)
        batch = trained.scale(jets)
        state = step.init(jax.random.key(0))
        jax.block_until_ready(step.update(state, jax.random.key(1), batch))

    return train


def one_jet(folder: pathlib.Path) -> Callable[[], object]:
    """Generates a few jets, reads them again and draws their distributions."""
    from jetvae_jax import data, metrics, runs
    from jetvae_jax.report import distributions

    for name in ("vae.npz", "flow.npz"):
        (folder / name).write_bytes(
            (ROOT / "results/convae_gluon30" / name).read_bytes()
        )
    real = data.load("embedded", max_jets=500).jets
    jax.clear_caches()

    def follow():
        config = runs.GenerateConfig(latents="flow", num_jets=500)
        jets = data.load(runs.generate(folder, config)).jets
        values = {
            name: jax.tree.map(np.asarray, metrics.jet_observables(sample))
            for name, sample in (("input", real), ("flow", jets))
        }
        distributions.jets(values).savefig(folder / "jets.png")

    return follow


def main() -> None:
    """Print both counts and the files."""
    with tempfile.TemporaryDirectory() as folder:
        for title, function in (
            ("one batch", one_batch()),
            ("one jet to its plot", one_jet(pathlib.Path(folder))),
        ):
            found = files_run(function)
            print(f"{title}: {len(found)} files")
            print("".join(f"  {name}\n" for name in found))


if __name__ == "__main__":
    main()
