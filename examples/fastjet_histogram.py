"""Generated jets through FastJet into a histogram that dask fills in parts.

  pip install -e '.[interplay,plot]'
  python examples/fastjet_histogram.py --output=masses.png

Gluon and top jets of the zoo are clustered again (Cambridge/Aachen) and groomed by soft
drop (arXiv:1402.2657); the picture shows their masses before and after.
"""

import argparse

import awkward as ak
import dask_awkward as dak
import fastjet
import hist.dask
import matplotlib
import vector
from matplotlib.figure import Figure

import jetvae_jax as jv

MODELS = {"gluon": "autoregressive_gluon30", "top": "autoregressive_top30"}
RADIUS = 0.8
Z_CUT, BETA = 0.1, 0.0


def generated(model: str, num_jets: int, seed: int) -> jv.Jets:
    """Jets of a model of the zoo, in GeV."""
    config = jv.runs.GenerateConfig(num_jets=num_jets, seed=seed)
    return jv.runs.generated_samples(jv.zoo.load(model), config)


def masses(particles):
    """Masses in GeV of jets, before and after soft drop; lazy, as the particles are.

    Args:
        particles: dask-awkward ``J * var * Momentum4D`` of jets that are not empty.
    """
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, RADIUS)
    clusters = fastjet.ClusterSequence(particles, definition)
    groomed = clusters.exclusive_jets_softdrop_grooming(
        njets=1, beta=BETA, symmetry_cut=Z_CUT, R0=RADIUS
    )
    whole = ak.sum(particles, axis=1)
    return whole.mass, groomed.msoftdrop


def filled(num_jets: int, seed: int, parts: int) -> hist.Hist:
    """The histogram ``[kind, jets, mass]``."""
    masses_of_jets = (
        hist.dask.Hist.new.StrCat(list(MODELS), name="kind")
        .StrCat(["all particles", "soft drop"], name="jets")
        .Reg(60, 0, 240, name="mass", label="jet mass [GeV]")
        .Double()
    )
    for kind, model in MODELS.items():
        particles = jv.interplay.to_vector(generated(model, num_jets, seed))
        particles = particles[ak.num(particles) > 0]
        lazy = dak.from_awkward(particles, npartitions=parts)
        for jets, mass in zip(
            ("all particles", "soft drop"), masses(lazy), strict=True
        ):
            masses_of_jets.fill(kind=kind, jets=jets, mass=mass)
    return masses_of_jets.compute()  # here FastJet runs, part by part


def picture(histogram: hist.Hist, output: str) -> None:
    """Draws the masses."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for kind, colour in zip(MODELS, ("#0072B2", "#D55E00"), strict=True):
        for jets, style in (("all particles", ":"), ("soft drop", "-")):
            one = histogram[kind, jets, :]
            axes.stairs(
                one.density(), one.axes[0].edges, color=colour, linestyle=style,
                label=f"{kind}, {jets}",
            )  # fmt: skip
    axes.set(xlabel="jet mass [GeV]", ylabel="jets, normalised [1/GeV]", xlim=(0, 240))
    axes.legend(frameon=False)
    figure.savefig(output, dpi=120)


def main() -> None:
    """Generates, clusters, fills and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", default="masses.png", help="picture to write")
    parser.add_argument("--num_jets", type=int, default=10_000, help="of each kind")
    parser.add_argument("--parts", type=int, default=4, help="that dask works on")
    parser.add_argument("--seed", type=int, default=0, help="of the generated jets")
    given = parser.parse_args()
    matplotlib.use("agg")
    vector.register_awkward()
    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    histogram = filled(given.num_jets, given.seed, given.parts)
    picture(histogram, given.output)
    for kind in MODELS:
        for jets in ("all particles", "soft drop"):
            one = histogram[kind, jets, :]
            peak = one.axes[0].centers[one.values().argmax()]
            print(f"{kind}, {jets}: most at {peak:.0f} GeV")
    print(f"wrote {given.output}")


if __name__ == "__main__":
    main()
