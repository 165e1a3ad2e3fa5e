"""Compare the jets in a workdir with the test jets: table, JSON, HTML report.

python experiments/evaluate.py --workdir=runs/quickstart
"""

import _cli

from jetvae_jax import flags, runs


def main() -> None:
    """Evaluate every generated file of the workdir."""
    report = runs.evaluate(
        _cli.FLAGS.workdir, flags.read("evaluate", runs.EvaluateConfig)
    )
    print(report)


if __name__ == "__main__":
    _cli.define_workdir()
    flags.define("evaluate", runs.EvaluateConfig)
    _cli.run(main)
