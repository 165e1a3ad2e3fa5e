r"""Inspect files of jets before training on them.

  python experiments/inspect_jets.py --inspect.path=g.hdf5
  python experiments/inspect_jets.py --inspect.path=mine.root \
      --inspect.columns=pt=jet_pt,eta=jet_eta,phi=jet_phi,unit=MeV \
      --inspect.output=a.png

Prints counts, ranges, padding, order, duplicates and what is wrong, and ends with 'fit
to train' or the reasons why not; damaged files are read up to the damage. The exit
code is 0 if all files are fit, else 1.
"""

import sys
from typing import Annotated

import _cli

from jetvae_jax.core import configs
from jetvae_jax.data.inspection import look
from jetvae_jax.data.loading import find
from jetvae_jax.report.inspection import write


@configs.config
class Config:
    """What to inspect.

    Attributes:
        path: a file or a folder.
        jet_type: class to inspect, in files of several: g, q, t, w or z, or one that
            the file names.
        columns: where the jets are in a user's own file: px=...,py=...,pz=...
        max_jets: jets to inspect, from the first of each file; 0 for all.
        repair: check what --data.repair would leave: good jets, each once, those before
            the damage.
        output: PNG of the quick plots; empty for none. Of several files each gets its
            name in it.
    """

    path: Annotated[configs.Path, configs.not_empty] = "embedded"
    jet_type: str = "g"
    columns: tuple[str, ...] = ()
    max_jets: configs.NonNegativeInt = 0
    repair: bool = False
    output: configs.Path = ""


def main() -> None:
    """Inspect each file in turn."""
    config = configs.read("inspect", Config)
    output = _cli.picture("inspect.output", config.output)
    paths = find(config.path)
    fit = True
    for path in paths:
        seen = look(
            path,
            jet_type=config.jet_type,
            columns=config.columns,
            max_jets=config.max_jets or None,
            repair=config.repair,
        )
        print(f"{seen}\n")
        fit &= not seen.reasons
        if output:
            target = output
            if len(paths) > 1:
                target = output.with_stem(f"{output.stem}_{path.stem}")
            write(target, seen)
            print(f"plots: {target}\n")
    sys.exit(0 if fit else 1)


if __name__ == "__main__":
    _cli.run(main, lambda: configs.define("inspect", Config))
