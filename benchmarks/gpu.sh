#!/usr/bin/env bash
# Everything that a GPU can show of this package, in 8 minutes, from a checkout alone.
#
#   benchmarks/gpu.sh --output=gpu.json
#   benchmarks/gpu.sh --data=g.hdf5 --output=gpu.json   # 177,000 gluon jets of JetNet
#
# Takes the environment that PYTHON names, if JAX and the other packages that this one
# needs are there; else makes one in .venv-gpu, with CUDA 12. Arguments are those of
# benchmarks/gpu.py.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
if ! "$PYTHON" -c 'import jax, flax, optax, distrax, absl, h5py' 2>/dev/null; then
  "$PYTHON" -m venv .venv-gpu
  PYTHON=.venv-gpu/bin/python
  "$PYTHON" -m pip install --quiet --editable '.[plot]' 'jax[cuda12]'
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export XLA_PYTHON_CLIENT_PREALLOCATE=${XLA_PYTHON_CLIENT_PREALLOCATE:-false}
exec "$PYTHON" benchmarks/gpu.py "$@"
