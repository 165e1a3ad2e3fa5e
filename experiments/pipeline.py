r"""The main job in one command: train, fit the flow, generate, evaluate.

  python experiments/pipeline.py --workdir=runs/quickstart \
      --flagfile=experiments/flagfiles/quickstart.txt

After an interruption the same command continues.
"""

import dataclasses

import _cli

from jetvae_jax import runs
from jetvae_jax.core.errors import InputError
from jetvae_jax.report.page import announce_missing

SHOWN = (
    "workdir",
    "seed",
    "data.path",
    "data.max_jets",
    "model",
    "train.num_epochs",
    "fit.num_epochs",
    "generate.num_jets",
    "evaluate.classify",
)


def main() -> None:
    """Run the four steps, or continue them."""
    _cli.check_chosen()
    workdir = _cli.FLAGS.workdir
    if _cli.generate_config().shards:
        raise InputError("--generate.shards: give it to generate.py")
    announce_missing()
    run, flow, evaluation = _cli.model_run(), _cli.flow_run(), _cli.evaluate_config()
    log = _cli.log_targets()
    with _cli.saved_flags():
        trained = runs.train(workdir, run, log=log)
    _cli.stop_if_interrupted(trained.signal_number)
    latents = ["prior"]
    if runs.load_model(workdir).model.encode is not None:
        if fitted := runs.fit_flow(workdir, flow, log=log):
            _cli.stop_if_interrupted(fitted.signal_number)
        latents = ["reconstruction", "prior", "flow"]
    for name in latents:
        config = _cli.generate_config(latents=name, output="")
        if name == "reconstruction":
            config = dataclasses.replace(config, condition=())
        runs.generate(workdir, config)
    report = runs.evaluate(workdir, evaluation)
    print("\n".join(runs.summary.of_evaluation(report, workdir)))


if __name__ == "__main__":
    _cli.run(main, shown=SHOWN)
