r"""Say what a file of calorimeter showers contains, and draw some of them.

    python experiments/inspect_showers.py --inspect.path=data/showers/showers.hdf5 \
        --inspect.output=showers.png
    python experiments/inspect_showers.py --inspect.path=dataset_2_1.hdf5 \
        --inspect.max_showers=10000

Files of the CaloChallenge, npz archives of the LHCb calorimeter, and those made here.
"""

import pathlib
from typing import Annotated

import _cli

from jetvae_jax.core import configs
from jetvae_jax.core.files import write_atomically
from jetvae_jax.report import style
from jetvae_jax.showers import pictures
from jetvae_jax.showers.files import Units
from jetvae_jax.showers.inspection import look

_Unit = Annotated[float, configs.positive, configs.finite]


@configs.config
class Config:
    """What to inspect.

    Attributes:
        path: a file of showers.
        geometry: of its cells; empty for what the file says, or for the calorimeter
            that has so many.
        units: of an npz archive: of its energies in GeV, of momenta in GeV, of lengths
            in mm.
        max_showers: the first so many; 0 for all.
        output: PNG of the first showers; empty for none.
    """

    path: Annotated[configs.Path, configs.not_empty] = "showers.hdf5"
    geometry: str = ""
    units: tuple[_Unit, _Unit, _Unit] = (1e-3, 1.0, 10.0)
    max_showers: configs.NonNegativeInt = 0
    output: configs.Path = ""


def main() -> None:
    """Inspect the file."""
    config = configs.read("inspect", Config)
    output = _cli.picture("inspect.output", config.output)
    text, loaded = look(
        config.path,
        geometry=config.geometry,
        units=Units(*config.units),
        max_showers=config.max_showers,
    )
    print(text)
    if output:
        name = pathlib.Path(config.path).stem
        with style.look():
            image = style.png(pictures.rows(loaded.geometry, {name: loaded.showers}))
        with write_atomically(output) as part:
            part.write_bytes(image)
        print(f"\npicture: {output}")


if __name__ == "__main__":
    _cli.run(main, lambda: configs.define("inspect", Config))
