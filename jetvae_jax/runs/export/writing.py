"""Writing a generator in the format that the suffix of the file names."""

import json
import os
import pathlib
from typing import Annotated, Literal

from jetvae_jax.core import configs
from jetvae_jax.core.configs import versions
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import write_atomically
from jetvae_jax.runs.export import formats
from jetvae_jax.runs.export.generator import exported
from jetvae_jax.runs.trained import load_model

Platform = Annotated[str, configs.one_of(("cpu", "cuda", "rocm", "tpu"))]


@configs.config
class ExportConfig:
    """What to export.

    Attributes:
        latents: the density of the latents: 'flow', or 'prior' for N(0, 1).
        output: file to write, which ends in .stablehlo or .onnx; the inputs and outputs
            are described in a file beside it, of this name with .json at its end.
        platforms: on which a .stablehlo function may run: cpu, cuda, rocm, tpu.
    """

    latents: Literal["flow", "prior"] = "flow"
    output: configs.Path = ""
    platforms: tuple[Platform, ...] = ("cpu", "cuda", "tpu")


def export(workdir: str | os.PathLike, config: ExportConfig) -> pathlib.Path:
    """Write the generator of a run as one function, for any number of jets.

    Args:
        workdir: of a trained model, or ``zoo:NAME``.
        config: what, and where to.

    Returns:
        The path of the file.

    Raises:
        InputError: as :func:`exported`, a library is missing, or the file cannot be
            written.
    """
    if not config.platforms:
        raise InputError("--export.platforms: is empty: name one, such as cpu")
    output = pathlib.Path(config.output)
    if output.suffix[1:] not in formats.names() or not output.parent.is_dir():
        given = f"={output}" if config.output else ""
        suffixes = " or ".join(f".{name}" for name in formats.names())
        raise InputError(
            f"--export.output{given}: give a file that ends in {suffixes}, in a folder "
            "that exists"
        )
    file_format = formats.get(output.suffix[1:])
    file_format.require()
    trained = load_model(workdir)
    found = exported(trained, config.latents)
    about = {
        "inputs": {name: ["J", size] for name, size in found.inputs.items()},
        "outputs": {
            "particles": ["J", found.num_particles, 3],
            "mask": ["J", found.num_particles],
            "inside": ["J"],
        },
        "units": "GeV; axis: pt [GeV], eta, phi",
        "conditions": list(found.conditions),
    }
    with write_atomically(output) as part:
        about |= file_format.write(found, config, part)
    about |= {
        "latents": config.latents,
        "run": trained.run.to_json(),
        "versions": versions(),
    }
    with write_atomically(description(output)) as part:
        part.write_text(json.dumps(about, indent=2) + "\n")
    return output


def description(output: pathlib.Path) -> pathlib.Path:
    """The path of the description of an exported file.

    The whole name is kept, so that neither the same model in another format nor
    another file of the folder, such as ``evaluation.json``, has the same.

    Args:
        output: the exported file.
    """
    return output.with_name(f"{output.name}.json")
