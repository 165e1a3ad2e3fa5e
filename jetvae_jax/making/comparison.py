"""Mean and deviation of every feature, of generated jets and of published JetNet."""

import importlib.resources
import json
import math
import pathlib
from typing import NamedTuple

import numpy as np

from jetvae_jax.making import files

JET = ("pt [GeV]", "eta", "mass [GeV]", "particles")
PARTICLE = ("etarel", "phirel", "log(1-ptrel)")


class Statistics(NamedTuple):
    """Mean and deviation of the features.

    Attributes:
        jet: ``[2, 4]`` of pt, eta, mass and number of particles.
        particle: ``[2, 3]`` of etarel, phirel and log(1 - ptrel).
        num_jets: number of jets; 0 if it is not known.
    """

    jet: np.ndarray
    particle: np.ndarray
    num_jets: int


def published(jet_type: str, num_particles: int) -> Statistics | None:
    """Of the published file of that class, or None if there is no such file."""
    source = importlib.resources.files("jetvae_jax.making") / "published_moments.json"
    classes = json.loads(source.read_text()).get(str(num_particles), {})
    if jet_type not in classes:
        return None
    found = classes[jet_type]
    return Statistics(np.array(found["jet"]), np.array(found["particle"]), 0)


def measure(path: pathlib.Path, num_jets: int) -> Statistics:
    """Of the first jets of a JetNet file, read block by block."""
    # Imports jax, which the workers, who import this package, do without.
    from jetvae_jax.jets.scaling import Moments

    jets, particles = Moments((1, len(JET))), Moments((1, len(PARTICLE)))
    for block in files.read(path, ("particle_features", "jet_features"), num_jets):
        p, jet = block["particle_features"], block["jet_features"]
        jets.add(jet[:, None, :4], np.ones((len(jet), 1), bool))
        # One particle that is its whole jet has an infinite logarithm.
        rest = np.maximum(1.0 - p[..., 2].astype(np.float64), 1e-6)
        values = np.stack([p[..., 0], p[..., 1], np.log(rest)], axis=-1)
        particles.add(values, p[..., 3] > 0)
    jet, particle = (np.concatenate(m.finish()[2:]) for m in (jets, particles))
    return Statistics(jet, particle, num_jets)


def table(title: str, made: Statistics, real: Statistics) -> str:
    """Both side by side.

    ``shift`` is the difference of the means over the published deviation: for jets,
    chance alone gives about ``1 / sqrt(jets)``, which the title quotes.

    Args:
        title: of the table.
        made: these jets.
        real: the published ones.

    Returns:
        Lines of at most 88 characters.
    """
    chance = 1 / math.sqrt(made.num_jets)
    lines = [
        f"{title}: {made.num_jets:,} jets (chance moves a jet's shift by {chance:.3f})",
        f"{'':14}{'JetNet mean':>14}{'made':>12}{'JetNet std':>14}{'made':>12}"
        f"{'shift':>10}",
    ]
    for names, ours, theirs in (
        (JET, made.jet, real.jet),
        (PARTICLE, made.particle, real.particle),
    ):
        for name, mean, std, real_mean, real_std in zip(
            names, *ours, *theirs, strict=True
        ):
            shift = (mean - real_mean) / real_std
            lines.append(
                f"{name:14}{real_mean:14.5g}{mean:12.5g}{real_std:14.5g}{std:12.5g}"
                f"{shift:+10.3f}"
            )
    return "\n".join(lines) + "\n"
