r"""The main job in a row: train, fit the flow, generate, evaluate.

  python experiments/pipeline.py --workdir=runs/quickstart \
      --flagfile=experiments/flagfiles/quickstart.txt

Steps already done are not done again: give the same command after an interruption.
"""

import _cli

from jetvae_jax import runs


def main() -> None:
    """Run the four steps, each where the last left off."""
    workdir = _cli.FLAGS.workdir
    vae, flow = _cli.vae_run(), _cli.flow_run()
    _cli.save_flags()
    _cli.stop_if_interrupted(runs.train(workdir, vae).signal_number)
    _cli.stop_if_interrupted(runs.fit_flow(workdir, flow).signal_number)
    for latents in ("reconstruction", "prior", "flow"):
        runs.generate(workdir, _cli.generate_config(latents=latents, output=""))
    print(runs.evaluate(workdir, _cli.evaluate_config()))


if __name__ == "__main__":
    _cli.run(main)
