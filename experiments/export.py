r"""Export a trained generator of jets as one function for other software.

  python experiments/export.py --workdir=zoo:autoregressive_gluon30 \
      --export.output=jets.onnx

writes ONNX, which ONNX Runtime runs in C++ and other languages, and jets.onnx.json,
which describes inputs and outputs: random numbers, the axis of the jet and conditions
are inputs, the momenta of the particles in GeV are the output. Any number of jets may
be given. --export.output=jets.stablehlo writes StableHLO, which JAX runs without this
package.
"""

import _cli
from absl import flags

from jetvae_jax.core import configs
from jetvae_jax.runs import export


def define() -> None:
    """The flags of this script alone."""
    configs.define_path("workdir", None, "folder of a trained model, or zoo:NAME")
    flags.mark_flag_as_required("workdir")
    configs.define("export", export.ExportConfig)


def main() -> None:
    """Write the function and its description."""
    workdir = _cli.FLAGS.workdir
    path = export.export(workdir, configs.read("export", export.ExportConfig))
    print(f"exported      {path}: {path.stat().st_size:,} bytes")
    print(f"described in  {export.description(path)}")


if __name__ == "__main__":
    _cli.run(main, define)
