"""Compare the jets in a workdir with the test jets: table, JSON, HTML report.

python experiments/evaluate.py --workdir=runs/quickstart
"""

import _cli

from jetvae_jax import runs


def main() -> None:
    """Evaluate every generated file of the workdir."""
    print(runs.evaluate(_cli.FLAGS.workdir, _cli.evaluate_config()))


if __name__ == "__main__":
    _cli.run(main)
