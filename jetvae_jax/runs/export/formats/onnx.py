"""ONNX, which ONNX Runtime runs in C++ and other languages, without JAX.

All inputs and outputs are float32, as frameworks of experiments expect: ``mask`` and
``inside`` are 1 or 0. Each file is compared with JAX before it gets its name, if ONNX
Runtime is there, and is not written if it gives other jets.

What "other" means depends on the model. Numbers of float32 are rounded, in another
order by another library, and a decoder that draws one particle after the other makes
that larger: a choice of a component may fall otherwise, and a jet is another one. How
much, JAX itself tells: from random numbers that differ in their last digit only. The
deviations of ONNX, at several quantiles of the jets, may be :data:`TOLERANCE`, or
:data:`FACTOR` times those of JAX.
"""

import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import Array
from jetvae_jax.runs.export.generator import Exported
from jetvae_jax.runs.export.onnx_graph import conversion

JETS = 500
QUANTILES = (0.5, 0.9, 0.99)
TOLERANCE = 1e-5
"""Of the largest momentum of a jet."""
FACTOR = 4.0
"""Every operation rounds, the last digit of the inputs is only the first one."""
NUMBERS = ("normal", "uniform")  # inputs that are random
INSTALL = "pip install 'jetvae_jax[onnx]'"


def require() -> None:
    """Raises an InputError without onnx."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise InputError(f"export: .onnx needs onnx: {INSTALL}") from error


def write(exported: Exported, config: Any, path: pathlib.Path) -> dict[str, Any]:
    """Write the function for any number of jets, if it gives the jets of JAX."""
    del config

    def floats(*inputs: Array) -> tuple[Array, ...]:
        particles, *others = exported.function(*inputs)
        return particles, *(x.astype(jnp.float32) for x in others)

    # Other devices may multiply with fewer digits.
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        model = conversion.model(floats, exported.shapes(), exported.outputs)
        content = model.SerializeToString()
        check = _checked(exported, content)
    path.write_bytes(content)
    return {
        "types": "float32; mask and inside are 1 or 0",
        "opset": model.opset_import[0].version,
        "ir_version": model.ir_version,
        "check": check,
    }


def _checked(exported: Exported, content: bytes) -> dict[str, Any] | str:
    """The deviations from JAX, or why there are none.

    Raises:
        InputError: the jets are others.
    """
    try:
        import onnxruntime
    except ImportError:
        return f"not compared with JAX: {INSTALL}"
    example = exported.example(jax.random.key(0), JETS)
    given = {name: np.asarray(x) for name, x in example.items()}
    moved = {k: _moved(v) if k in NUMBERS else v for k, v in given.items()}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        content, options, providers=["CPUExecutionProvider"]
    )
    function = jax.jit(exported.function)
    right, near = (list(map(np.asarray, function(*x.values()))) for x in (given, moved))
    outputs = [np.asarray(x) for x in session.run(list(exported.outputs), given)]
    found = deviations(outputs, right)
    own = deviations(near, right)
    allowed = np.maximum(TOLERANCE, FACTOR * np.array(own))
    if not np.all(np.array(found) <= allowed):
        raise InputError(
            f"--export.output: ONNX Runtime {onnxruntime.__version__} gives other jets "
            f"than JAX (by {found[0]:.1e} for half of them), so nothing is written: "
            "export to .stablehlo"
        )
    return {
        "jets": JETS,
        "quantiles": list(QUANTILES),
        "deviations": found,
        "deviations of JAX by the last digit of its numbers": own,
        "onnxruntime": onnxruntime.__version__,
    }


def _moved(numbers: np.ndarray) -> np.ndarray:
    """To the next number of float32, up or down at random."""
    up = np.random.default_rng(0).random(numbers.shape) < 0.5
    return np.nextafter(numbers, np.where(up, np.float32(9), np.float32(-9)))


def deviations(found: list[Any], right: list[Any]) -> list[float]:
    """Quantiles of the largest difference of a jet, relative to its largest momentum.

    Args:
        found: particles ``[J, N, 3]``, mask ``[J, N]``, inside ``[J]``.
        right: the same, as it should be.
    """
    (x, mask, inside), (y, true_mask, true_inside) = found, right
    largest = np.max(np.abs(y), axis=(1, 2))
    off = np.max(np.abs(x - y), axis=(1, 2)) / np.where(largest > 0, largest, 1)
    off = np.nan_to_num(off, nan=np.inf)
    same = np.all(mask == true_mask, axis=1) & (inside == true_inside)
    off = np.where((off <= TOLERANCE) & ~same, np.inf, off)
    return [float(q) for q in np.quantile(off, QUANTILES, method="higher")]
