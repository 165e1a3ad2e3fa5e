"""The main job in a row: train, fit the flow, generate, evaluate.

  python experiments/pipeline.py --flagfile=experiments/flagfiles/quickstart.txt \
      --workdir=runs/quickstart

Steps already done are not done again: give the same command after an interruption.
"""

import dataclasses

import _cli

from jetvae_jax import flags, runs


def main() -> None:
    """Run the four steps, each where the last left off."""
    workdir = _cli.FLAGS.workdir
    vae, flow = _cli.vae_run(), _cli.flow_run(_cli.FLAGS.seed)
    generation = flags.read("generate", runs.GenerateConfig)
    evaluation = flags.read("evaluate", runs.EvaluateConfig)
    _cli.save_flags()
    _cli.stop_if_interrupted(runs.train(workdir, vae).signal_number)
    _cli.stop_if_interrupted(runs.fit_flow(workdir, flow).signal_number)
    for latents in ("reconstruction", "prior", "flow"):
        runs.generate(workdir, dataclasses.replace(generation, latents=latents))
    print(runs.evaluate(workdir, evaluation))


if __name__ == "__main__":
    _cli.define_workdir()
    _cli.define_vae()
    _cli.define_flow()
    flags.define("generate", runs.GenerateConfig, skip=("latents", "output"))
    flags.define("evaluate", runs.EvaluateConfig)
    _cli.run(main)
