r"""Calibrate a trained density of jets: its observables become those of real jets.

  python experiments/calibrate.py --workdir=runs/ar --calibrate.output=runs/calibrated \
      --calibrate.cluster_radius=0.45

The biases of the decoder are changed by as little as possible, so that distributions of
tau21, tau32 and others of generated jets become those of the jets that it was trained
on, or of --calibrate.real. The calibrated model is written to another folder.
"""

import _cli
from absl import flags

from jetvae_jax import runs
from jetvae_jax.core import configs


def define() -> None:
    """The flags of this script alone."""
    configs.define_path("workdir", None, "folder of a trained model, or zoo:NAME")
    flags.mark_flag_as_required("workdir")
    configs.define("calibrate", runs.CalibrateConfig)


def main() -> None:
    """Write the calibrated model, and print what changed."""
    config = configs.read("calibrate", runs.CalibrateConfig)
    found = runs.calibrate(_cli.FLAGS.workdir, config)
    print("Kolmogorov-Smirnov distance from the real jets")
    for name, (before, after) in found.distances.items():
        print(f"  {name:<12}  before {before:.4f}  after {after:.4f}")
    print(f"changed by    {found.divergence:.4f} nats a jet (KL divergence)")
    print(f"model         {found.path}")
    print(f"next          python experiments/generate.py --workdir={found.path.parent}")


if __name__ == "__main__":
    _cli.run(main, define)
