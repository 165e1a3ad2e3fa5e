r"""Generate samples with a trained model and write them to a file.

  python experiments/generate.py --workdir=runs/quickstart \
      --generate.latents=flow --generate.num_jets=50000

Jets are written in the JetNet layout, or as Parquet, ROOT or npz by the suffix of
--generate.output. A conditional model takes values of its conditions:

  python experiments/generate.py --workdir=runs/digits --generate.condition=digit=3

Very many are written as shards, files of one folder, made by one process or many
jobs: --generate.output=jets --generate.shards=1000 --generate.shard=17
"""

import _cli

from jetvae_jax import runs

SHOWN = (
    "workdir",
    "generate.latents",
    "generate.num_jets",
    "generate.condition",
    "generate.cluster_radius",
    "generate.output",
    "generate.seed",
    "generate.shards",
)


def main() -> None:
    """Write one file of samples, or shards of them."""
    workdir = _cli.FLAGS.workdir
    path = runs.generate(workdir, _cli.generate_config())
    print("\n".join(runs.summary.of_generation(path, workdir)))


if __name__ == "__main__":
    _cli.run(main, shown=SHOWN)
