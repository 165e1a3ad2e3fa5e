# %% [markdown]
# # Quickstart: jets from a trained model, and a model of your own
#
# First a model that comes with the package generates jets, and they are compared with
# real ones (of Pythia 8; they come with the package, too). Then a small model is
# trained on these jets and compared in the same way. Nothing is downloaded. On the
# two cores of a free Colab machine everything takes about six minutes, most of them
# for the training.

# %%
import os

from absl import logging

import jetvae_jax as jv

SMALL = bool(os.environ.get("SMALL"))  # a short run, to see that everything works
logging.set_verbosity(logging.INFO)  # trainings say how far they are

# %% [markdown]
# ## Generate
#
# Every trained model has a card: what it generates, what it was trained on, and how
# well it does.

# %%
print(jv.zoo.names())
print(jv.zoo.card("autoregressive_gluon30"))

# %%
num_jets = 400 if SMALL else 5000
gluons = jv.zoo.load("autoregressive_gluon30")
made = jv.runs.generated_samples(gluons, jv.runs.GenerateConfig(num_jets=num_jets))
print("particles", made.particles.shape, "mask", made.mask.shape)

# %% [markdown]
# `made.particles` are momenta (px, py, pz) in GeV, zero where `made.mask` is False.
# They are NumPy arrays, so whatever you use for jets can go on from here. The
# observables of this package are pure functions:

# %%
mass = jv.kinematics.jet_mass(made.particles, made.mask)
pt = jv.kinematics.jet_pt(made.particles, made.mask)
print(f"mass {mass.mean():.1f} ± {mass.std():.1f} GeV, pT {pt.mean():.0f} GeV")

# %% [markdown]
# ## Look at them
#
# `load("embedded")` are the 20,000 gluon jets of the package. Half of what is taken
# here is compared with, the other half is only used further down, to see how
# different two samples of real jets are.

# %%
real = jv.data.load("embedded", max_jets=2 * num_jets).jets
first, second = (jv.Jets(real.particles[i::2], real.mask[i::2]) for i in range(2))

jv.report.figures.jets({"input": first, "zoo": made})

# %% [markdown]
# The area of a point is the share of the jet's pT that the particle has. "Input" are
# the real jets.

# %%
shown = ("mass", "pt", "multiplicity", "tau21", "d2", "width")
jv.report.figures.distributions({"input": first, "zoo": made}, shown)

# %% [markdown]
# The lower panels show the ratio to the real jets. What is inside the grey band
# agrees within the statistical error of the real sample.
#
# ## Train a model
#
# A run is described by a recipe, a file of flags that comes with the package, and by
# settings that change it. They have the names of the flags of `experiments/train.py`
# (`python experiments/train.py --help` lists them). This is the recipe
# `experiments/flagfiles/quickstart_autoregressive.txt` with a third of its epochs: an
# autoregressive VAE, whose decoder draws one particle after the other, given the pT of
# the jet.

# %%
changes = {"train.num_epochs": 14}
if SMALL:
    changes = {
        "data.max_jets": 600,
        "autoregressive_vae.width": 8,
        "autoregressive_vae.num_layers": 1,
        "train.num_epochs": 2,
        "train.warmup_steps": 2,
        "train.averaging": 0.9,
    }
run = jv.runs.model_run(changes, flagfile="quickstart_autoregressive")
result = jv.runs.train("runs/quickstart", run)

# %% [markdown]
# Everything is in the folder `runs/quickstart` now. The same call continues a
# training that was interrupted, and does nothing once it is finished.

# %%
jv.report.figures.training(result.history)

# %% [markdown]
# The loss is the negative log-likelihood of a jet, the sum of the terms for the pT of
# its particles, their angles and their number.
#
# ## Compare
#
# A trained model is loaded from its folder as it is from the zoo.

# %%
trained = jv.runs.load_model("runs/quickstart")
config = jv.runs.GenerateConfig(latents="prior", num_jets=num_jets)
mine = jv.runs.generated_samples(trained, config)

samples = {"zoo": made, "mine": mine}
jv.report.figures.distributions({"input": first, **samples}, shown)

# %% [markdown]
# The same in numbers. A protocol says how many jets each metric is computed from,
# since its value depends on that. The second half of the real jets gives the *floor*:
# the value that jets of the true distribution have. All metrics are distances, so
# smaller is better, and nothing is expected to be below the floor but by chance.

# %%
protocol = jv.metrics.Protocol(
    "notebook",
    w1=jv.metrics.Draws(num_jets, 5),
    fpd=None if SMALL else jv.metrics.Extrapolation(min_jets=2500, max_jets=5000),
    cov_mmd=jv.metrics.Draws(100, 5),
)
evaluation = jv.metrics.evaluate(None, first, samples, truth=second, protocol=protocol)
print(jv.metrics.table(evaluation, short=True))

# %% [markdown]
# The model of the package is at the floor. The small one is close in most lines and
# far off in two, W1EFP and FPD, which a look at the plots would not tell: about one
# in a thousand of its jets has a hard particle far outside the cone. The energy-flow
# polynomials, from which both metrics are made, grow with a power of that distance,
# and so these few jets dominate them. With the 40 epochs of the flagfile there are
# fewer such jets; the model of the package was trained longer and on more jets.
# `cluster_radius=0.45` of `GenerateConfig` draws jets again that anti-kT does not find
# as one: try it above.
#
# ## What next
#
# - *Judge your own generator*: the same for jets that come from elsewhere, and what
#   the table says.
# - *Conditional generation*: jets of a given pT, mass or type.
# - *Train on a GPU or TPU*: the full recipe, on more jets.
# - `"data.path": "g.hdf5"` trains on a file of yours: JetNet, Parquet, ROOT and
#   others are read (`docs/guide/your_jets.md`).
