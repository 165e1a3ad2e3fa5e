r"""Fetch public data sets of jets, with sizes and checksums checked.

  python experiments/download.py --download.dataset=jetnet30 --download.jet_types=g
  python experiments/download.py --download.dataset=hls4ml150 --download.folder=data

After an interruption the same command continues. Without a network,
--download.by_hand prints what to fetch with a browser and where to put it.
"""

import dataclasses
import os
import sys
import time

import _cli

from jetvae_jax.core import configs
from jetvae_jax.data import catalogue, download


@dataclasses.dataclass(frozen=True)
class Config:
    """What to fetch.

    Attributes:
        dataset: jetnet30, jetnet150, hls4ml30, hls4ml50, hls4ml100, hls4ml150,
            toptagging, quarkgluon, quarkgluon_bc or mnist.
        jet_types: classes wanted, of data sets with one file a class; empty for all.
        folder: that will hold a folder of the data set's name.
        by_hand: only print what to fetch by hand.
    """

    dataset: str = "jetnet30"
    jet_types: tuple[str, ...] = ()
    folder: configs.Path = "data"
    by_hand: bool = False


def progress():
    """Reports every 5 % of a file, or every 100 MB if its size is unknown."""
    last, first = {}, {}

    def report(name: str, size: int, total: int | None) -> None:
        start, before = first.setdefault(name, (time.monotonic(), size))
        step = (size * 20 // total) if total else size // 10**8
        if last.get(name) == step:
            return
        last[name] = step
        done = f"{size / total:4.0%} of {total:,}" if total else f"{size:,}"
        line = f"{name}: {done} bytes"
        if rate := (size - before) / max(time.monotonic() - start, 1e-3):
            line += f", {rate / 1e6:.1f} MB/s"
            line += f", {(total - size) / rate:.0f} s left" if total else ""
        print(line, flush=True)

    return report


def main() -> None:
    """Fetch, or say how to do it by hand."""
    config = configs.read("download", Config)
    dataset = catalogue.get(config.dataset)
    folder = os.path.join(config.folder, dataset.name)
    instructions = download.by_hand(dataset, folder, config.jet_types)
    if config.by_hand:
        print(instructions)
        return
    try:
        paths = download.fetch(
            dataset, folder, jet_types=config.jet_types, report=progress()
        )
    except download.Unreachable:
        print(f"To fetch it by hand: {instructions}\n", file=sys.stderr)
        raise
    for path in paths:
        print(f"checked: {path}")


if __name__ == "__main__":
    _cli.run(main, lambda: configs.define("download", Config))
