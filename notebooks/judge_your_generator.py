# %% [markdown]
# # Judge your own generator
#
# You have jets from a generator of yours as an array, and real jets. This notebook
# measures how different they are with the metrics of the JetNet community, and shows
# how to read the table and the plots. It takes about two minutes on two cores.
#
# To have something to judge, a generator with a known fault stands in for yours. Put
# your own array in its place.

# %%
import os
import pathlib

import numpy as np

import jetvae_jax as jv
from jetvae_jax.report import figures

SMALL = bool(os.environ.get("SMALL"))  # a short run, to see that everything works
NUM_JETS = 500 if SMALL else 4000

# %% [markdown]
# ## Two samples of real jets
#
# One is compared with; the metrics of the other are the *floor*, the value of a
# perfect generator. Without a floor no value means anything: none of these distances
# is zero between two finite samples.
#
# Here both are gluon jets of the package. For jets of your own write
# `jv.data.load("g.hdf5")`, or any other file that [Your
# jets](../docs/guide/your_jets.md) describes.

# %%
loaded = jv.data.load("embedded", max_jets=2 * NUM_JETS).jets
real, truth = (jv.Jets(loaded.particles[i::2], loaded.mask[i::2]) for i in range(2))

# %% [markdown]
# ## Your jets
#
# Most generators of JetNet jets write an array `[jets, particles, 3]` of (ptrel,
# etarel, phirel), with zeros where there is no particle. If yours has momenta (px,
# py, pz) in GeV, use `jv.Jets(momenta, mask)` instead of `RelativeJets`; then
# observables with a scale, such as pT and energy, are compared, too.
#
# The generator that stands in for yours has right particles in wrong jets: the
# hardest particle of a jet, the second one and so on are each taken from another real
# jet. Every particle by itself is distributed as it should be, but the particles of
# one jet know nothing of each other.


# %%
def mixed(jets, seed=0):
    """Particles of the same rank exchanged at random between relative jets."""
    rng = np.random.default_rng(seed)
    rows = rng.permuted(np.tile(np.arange(len(jets.mask))[:, None], 30), axis=0)
    particles = np.take_along_axis(np.asarray(jets.particles), rows[..., None], axis=0)
    return particles * np.asarray(jets.mask)[..., None]


array = mixed(jv.metrics.relative(truth))  # yours: array = np.load("my_jets.npy")
mine = jv.types.RelativeJets(array, array[..., 0] > 0)
print("jets, particles, features:", array.shape)

# %% [markdown]
# ## Look before you measure

# %%
figures.jets({"input": real, "mine": mine})

# %% [markdown]
# Real jets differ: some have one narrow core, others two or three. Those of "mine" look
# alike, one centre with particles around it.

# %%
figures.particles({"input": real, "mine": mine})

# %% [markdown]
# All three features agree: what a single particle does is right. The grey band is the
# statistical error of the real jets; a ratio that stays inside agrees with one.

# %%
names = ("relative_mass", "multiplicity", "tau21", "tau32", "d2", "width")
figures.distributions({"input": real, "mine": mine}, names)

# %% [markdown]
# The observables of whole jets are far off. A comparison of particle features alone
# would have let this generator pass.
#
# ## The table
#
# A *protocol* fixes how many jets each metric takes. Values of different protocols
# cannot be compared, so name yours when you publish. `jv.metrics.MPGAN_10K` and
# `jv.metrics.JETNET_50K` are those of the literature; they want 10,000 and 50,000
# jets, here there are fewer.

# %%
protocol = jv.metrics.Protocol(
    "notebook",
    w1=jv.metrics.Draws(NUM_JETS, 5),
    fpd=None if SMALL else jv.metrics.Extrapolation(min_jets=2000, max_jets=4000),
    kpd=jv.metrics.Draws(NUM_JETS // 2, 5),
    cov_mmd=jv.metrics.Draws(100, 5),
)
samples = {"mine": mine}
result = jv.metrics.evaluate(
    None, real, samples, truth=truth, protocol=protocol, classify=not SMALL
)
print(jv.metrics.table(result, short=True))

# %% [markdown]
# How to read it, from the top:
#
# - **W1P** is the mean distance of the particle features ptrel, etarel and phirel. It
#   is at the floor: single particles are right.
# - **W1M** is the distance of the relative jet mass, **W1EFP** of five energy-flow
#   polynomials, products of particles. Both are far above the floor: the correlations
#   between particles are wrong.
# - **FPD** compares mean and covariance of 36 energy-flow polynomials as if they were
#   Gaussian; **KPD** compares the same polynomials without that assumption. FPD is
#   the most sensitive of these metrics. It extrapolates to infinitely many jets, by the
#   fit of the jetnet package, with which it can be compared; *FPD exact* is the same
#   extrapolation without the shortcuts of that fit.
# - **COV** is the share of real jets that are the nearest neighbour of a generated one,
#   **MMD** the distance to the nearest. They see a fault as large as this one, but
#   little of smaller ones: a good coverage proves nothing.
# - **classifier AUC**: a small network is trained to tell real from generated jets;
#   the area under its ROC curve is 0.5 if it cannot. It finds what no single metric
#   looks at, and takes most of the time of this cell.
# - The **errors** are those of repeated draws. A difference from the floor within its
#   error means nothing.
#
# `jv.metrics.table(result)` also lists every single observable by four distances, and
# `jv.metrics.latex(result)` and `jv.metrics.csv(result)` write the table for a paper.
#
# ## The whole report
#
# For files there is one call (and one command, `experiments/evaluate.py`). It writes
# an HTML page with everything above, pulls with the worst bins first, correlation
# matrices, published values beside yours, and what holds for every single jet, such
# as order and padding.

# %%
np.save("my_jets.npy", array)
config = jv.runs.EvaluateConfig(
    real="embedded", generated=("my_jets.npy",), protocols=("epic_5k",)
)
page = jv.runs.evaluate("runs/my_generator", config)
print("open", page)
print(*sorted(file.name for file in pathlib.Path(page).parent.iterdir()))

# %% [markdown]
# [How to read the report](../docs/guide/report.md) explains that page; the glossary
# beside it explains each name.
