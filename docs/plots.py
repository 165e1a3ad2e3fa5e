"""Draws the figures of these pages from the weights and values in results/.

python docs/plots.py

takes a few minutes on two cores, most of them for 20,000 generated jets.
"""

import json
import pathlib

import jax
import matplotlib.pyplot as plt
import numpy as np

import jetvae_jax as jv
from jetvae_jax.observables.jets import jet_observables, relative
from jetvae_jax.observables.substructure import substructure
from jetvae_jax.report import distributions

HERE = pathlib.Path(__file__).parent
FIGURES, RESULTS = HERE / "figures", HERE.parent / "results"
MODELS = {
    "autoregressive": ("autoregressive_gluon30", 0.45),
    "ConVAE": ("convae_gluon30", 0.0),
}
"""Label to the folder of a model and its ``--generate.cluster_radius``."""
OBSERVABLES = ("mass", "pt", "tau21", "tau32", "d2", "width")
NUM_JETS, SHOWN, RADIUS = 20_000, 8, 0.4


def main() -> None:
    """Draw all figures."""
    FIGURES.mkdir(exist_ok=True)
    real = jv.data.load("embedded").jets
    samples = {"input": real} | {
        name: generated(*model, len(real.mask)) for name, model in MODELS.items()
    }
    few = jax.tree.map(lambda a: a[:SHOWN], (real, samples["autoregressive"]))
    save(single_jets(*few), "jets", dpi=110)
    values = {name: observables(jets) for name, jets in samples.items()}
    save(distributions.jets(values), "distributions", dpi=80)
    save(floors(), "floors", dpi=90)


def generated(folder: str, cluster_radius: float, number: int) -> jv.Jets:
    """Jets of a trained model from its flow."""
    config = jv.runs.GenerateConfig(
        latents="flow", num_jets=number, cluster_radius=cluster_radius
    )
    return jv.runs.generated_samples(jv.runs.load_model(RESULTS / folder), config)


def observables(jets: jv.Jets) -> dict[str, np.ndarray]:
    """The observables that are drawn, about the sum of a jet's own particles."""
    found = jv.metrics.map_chunks(jet_observables, jets)
    found |= jv.metrics.map_chunks(lambda few: substructure(relative(few)), jets)
    return {name: np.asarray(found[name]) for name in OBSERVABLES}


def single_jets(real: jv.Jets, made: jv.Jets):
    """Real jets above, generated ones below, in the plane of relative eta and phi."""
    size = {"figsize": (1.35 * SHOWN, 3.1), "layout": "constrained"}
    figure, axes = plt.subplots(2, SHOWN, sharex=True, sharey=True, **size)
    for row, jets, colour, name in zip(
        axes, (real, made), ("black", "tab:red"), ("Pythia 8", "generated"), strict=True
    ):
        particles = np.asarray(relative(jets, jets.axis).particles)
        for panel, jet in zip(row, particles, strict=True):
            ptrel, eta, phi = jet.T
            panel.scatter(eta, phi, 400 * ptrel, colour, alpha=0.6, linewidths=0)
            circle = plt.Circle((0, 0), RADIUS, fill=False, color="0.7", lw=0.8)
            panel.add_patch(circle)
            panel.set(xlim=(-0.45, 0.45), ylim=(-0.45, 0.45), aspect="equal")
            panel.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    return figure


def floors():
    """Metrics of protocol jetnet_50k in units of the floor's value."""
    names = {"w1m": "W1M", "w1p": "W1P", "w1efp": "W1EFP", "fpd": "FPD"}
    made = {
        "ConVAE, prior": ("convae_gluon30.json", "prior"),
        "ConVAE, flow": ("convae_gluon30.json", "flow"),
        "autoregressive": ("autoregressive_gluon30/evaluation.json", "flow"),
        "autoregressive, tops": ("autoregressive_top30/evaluation.json", "flow"),
    }
    figure, panel = plt.subplots(figsize=(6.5, 3), layout="constrained")
    for i, (label, (file, latents)) in enumerate(made.items()):
        found = json.loads((RESULTS / file).read_text())
        values, floor = (
            one["protocols"]["jetnet_50k"]
            for one in (found["candidates"][latents], found["floor"])
        )
        ratios = [values[name]["value"] / floor[name]["value"] for name in names]
        place = np.arange(len(names)) + 0.2 * i - 0.3
        panel.bar(place, ratios, 0.18, color=f"C{i}", edgecolor="white", label=label)
    panel.axhline(1, color="0.4", lw=1)
    panel.set(xticks=range(len(names)), xticklabels=names.values(), yscale="log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.set_ylabel("metric / its floor")
    panel.legend(fontsize="small", frameon=False)
    return figure


def save(figure, name: str, *, dpi: int) -> None:
    """As PNG, of at most 256 colours."""
    from PIL import Image

    path = FIGURES / f"{name}.png"
    figure.savefig(path, dpi=dpi)
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
