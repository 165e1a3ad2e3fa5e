# %% [markdown]
# # Find a signal with a model that has never seen one
#
# A model is trained on background alone. Events that it finds unlikely, or
# reconstructs badly, may be signal. This notebook does that twice: for events of Z
# gamma, in which a Higgs boson is hidden, and for gluon jets, among which are top
# jets. It also shows where the idea fails. It takes about five minutes on two cores.

# %%
import json
import os

import matplotlib.pyplot as plt
from absl import logging

import jetvae_jax as jv
from jetvae_jax.studies.find_jets.study import FindConfig, find_jets
from jetvae_jax.studies.signal import classify, plots

SMALL = bool(os.environ.get("SMALL"))  # a short run, to see that everything works
logging.set_verbosity(logging.INFO)  # trainings say how far they are

# %% [markdown]
# ## Events: a Higgs boson in Z gamma
#
# The package has 20,000 background events (Z gamma with Z to ee or mumu, Pythia 8 and
# a parametrised detector) and 2,000 of a Higgs boson of 200 GeV that decays to Z
# gamma. An event is a row of 18 numbers: momenta, angles, invariant masses, numbers
# of jets.
#
# A VAE learns the background; the signal has no part in it. The recipe is
# `experiments/flagfiles/zgamma_vae.txt`, with fewer epochs.

# %%
changes = {"train.num_epochs": 30}
if SMALL:
    changes = {"train.num_epochs": 2, "train.averaging": 0.9, "mlp_vae.nodes": 16}
run = jv.runs.model_run(changes, flagfile="zgamma_vae")
_ = jv.runs.train("runs/background", run)

# %% [markdown]
# Every way to use the model gives a score, higher for what is less like the
# background: the reconstruction error, the density of the latents, their distance
# from the origin.

# %%
config = classify.ClassifyConfig(num_generated=200 if SMALL else 2000)
scored = classify.score_run("runs/background", config)
print(*scored.background, sep=", ")
(signal,) = scored.signal
plots.histograms({"background": scored.background, "signal": scored.signal})

# %% [markdown]
# The scores are shown as normal scores: among background each of them is a standard
# normal distribution. A score that finds signal moves it to the right.

# %%
plots.roc_curves({"background": scored.background, "signal": scored.signal}, 10)

# %% [markdown]
# Above: how many background events there are for one that is kept. Below: by how much
# a cut improves the significance, signal over the root of background; below one, the
# cut makes the search worse. Grey is a random score.
#
# ## Is it only the mass?
#
# The Higgs boson is a peak in the mass `mlly` of leptons and photon, which is a
# column of the table. One call evaluates all scores and writes a page and a file of
# numbers; beside each AUC it has that among events of the signal's masses, where the
# mass cannot help.

# %%
page, verdict = classify.classify(["runs/background"], config)
result = json.loads((page.parent / "classification.json").read_text())
(of_run,) = result["runs"].values()
print(f"{'score':22s}  AUC    at the signal's masses")
for name, of in of_run["scores"].items():
    auc, window = of[signal]["auc"]["value"], of[signal].get("window") or {}
    print(f"{name:22s}  {auc:.3f}  {window.get('value', float('nan')):.3f}")
print(f"{'distance of mlly alone':22s}  {of_run['mass_alone'][signal]['value']:.3f}")
print(verdict)
print("open", page)

# %% [markdown]
# This search fails. The scores are near 0.5, also among events of the signal's
# masses, and the mass by itself, without any model, is better than all of them: a
# Higgs boson of 200 GeV looks like Z gamma at that mass. The study [Do better
# generators find more signal?](../docs/studies/classify.md) does this with six models
# and five masses, and finds the same below 300 GeV; heavier ones are found because
# they are heavy.
#
# ## Jets: tops among gluons
#
# Now jets. A density of gluon jets is trained as in the quickstart; the top jets are
# those of a trained model of the package, as if they came from a file of yours.

# %%
changes = {"train.num_epochs": 8}
if SMALL:
    changes = {
        "data.max_jets": 600,
        "autoregressive_vae.width": 8,
        "autoregressive_vae.num_layers": 1,
        "train.num_epochs": 1,
        "train.warmup_steps": 2,
        "train.averaging": 0.9,
    }
jets = jv.runs.model_run(changes, flagfile="quickstart_autoregressive")
_ = jv.runs.train("runs/gluons", jets)
tops = jv.runs.GenerateConfig(
    latents="flow", num_jets=100 if SMALL else 3000, output="tops.hdf5"
)
_ = jv.runs.generate("zoo:autoregressive_top30", tops)

# %%
settings = FindConfig(
    signals=("tops.hdf5",), num_jets=3000, keep=(0.2,) if SMALL else (0.01, 0.1)
)
page, verdict = find_jets("runs/gluons", settings)
print(verdict)
print("open", page)

# %%
_, axis = plt.subplots(figsize=(8, 8), layout="constrained")
axis.imshow(plt.imread(page.parent / "figures" / "find_jets_roc.png"))
axis.set_axis_off()

# %% [markdown]
# Here the search works: the likelihood has an AUC of about 0.85. The black curves are
# cuts on mass and multiplicity, which need no model, and the page `find_jets.html`
# has all scores beside them.
#
# On larger samples ([Finding jets of another kind](../docs/studies/find_jets.md)) the
# same comes out: the likelihood finds tops, but a plain cut on a large mass finds
# more; and trained the other way round, on tops, a likelihood takes gluon jets for
# *more* likely than tops. An unlikely jet need not be of another kind, and one of
# another kind need not be unlikely.
