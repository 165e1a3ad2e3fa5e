# %% [markdown]
# # Train on a GPU or TPU
#
# In Colab: *Runtime*, *Change runtime type*, choose a GPU or a TPU, and run the next
# cell, which installs the package with a JAX for it. Colab's own JAX is older than
# what the package needs, so Python is restarted once; Colab's Python, 3.13, is fine.
#
# This notebook trains the model that generates the best jets of the package, keeps
# the run on Google Drive, stops it and resumes it, and says what to know about memory
# and precision. Without an accelerator it runs a small version in two minutes.

# %%
import os
import pathlib
import signal
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

import jetvae_jax as jv

logging.set_verbosity(logging.INFO)  # trainings say how far they are
SMALL = bool(os.environ.get("SMALL")) or jax.default_backend() == "cpu"
print("jax", jax.__version__, "on", jax.devices())

# %% [markdown]
# If this prints `CpuDevice` although you chose an accelerator, JAX did not find it.
# `!nvidia-smi` shows whether there is a GPU; an old CUDA in `LD_LIBRARY_PATH` is the
# usual reason on machines of your own.
#
# ## Keep the run
#
# A Colab machine is gone after some hours, with its disk. On Google Drive the run
# outlives it. Elsewhere it is kept in the folder `runs`.

# %%
if "google.colab" in sys.modules:
    from google.colab import drive

    drive.mount("/content/drive")
    folder = pathlib.Path("/content/drive/MyDrive/jetvae_jax")
else:
    folder = pathlib.Path("runs")
workdir = folder / "accelerator"

# Compiled programs are kept, too: after a restart the training starts at once.
jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))

# %% [markdown]
# ## The data
#
# The 20,000 gluon jets of the package are enough to try. The gluon model of the
# package has seen 300,000. JetNet has 177,000 gluon jets; this fetches them from
# Zenodo, once:
#
# ```python
# from jetvae_jax.data import catalogue, download
#
# download.fetch(catalogue.get("jetnet30"), folder / "jetnet30", jet_types=("g",))
# data = str(folder / "jetnet30" / "g.hdf5")
# ```

# %%
data = "embedded"

# %% [markdown]
# ## The recipe
#
# It is that of `experiments/flagfiles/autoregressive_gluon30.txt`: a VAE whose decoder
# is a density of jets, one particle after the other. What matters for an accelerator:
#
# - All jets are kept on the device, and an epoch is one compiled loop: nothing is
#   done on the host between two steps.
# - A network this small does not fill a GPU. The larger the batch, the more jets a
#   second; take a larger learning rate with it. 512 is what the results were trained
#   with.
# - `train.save_seconds` is how often the state is saved, one minute by default. It is
#   what a crash can cost.

# %%
changes = {"data.path": data}
if SMALL:
    changes |= {
        "data.max_jets": 1000,
        "autoregressive_vae.width": 16,
        "autoregressive_vae.num_layers": 1,
        "autoregressive_vae.encoder_width": 16,
        "autoregressive_vae.encoder_layers": 1,
        "train.num_epochs": 4,
        "train.batch_size": 100,
        "train.warmup_steps": 5,
        "train.averaging": 0.9,
    }
run = jv.runs.model_run(changes, flagfile="autoregressive_gluon30")

# %% [markdown]
# ## Train, stop, resume
#
# The stop button of the notebook ends the step, saves everything and returns; nothing
# is lost. The same happens here after two epochs, by the signal that the button
# sends.


# %%
def stop_after_two_epochs(history):
    """Does what the stop button does."""
    if len(history) == 2:
        signal.raise_signal(signal.SIGINT)


result = jv.runs.train(workdir, run, on_epoch=stop_after_two_epochs)
print("epochs:", len(result.history), "stopped by signal", result.signal_number)

# %% [markdown]
# The same call resumes it, now or tomorrow on another machine that mounts the same
# Drive. On the same kind of device the result is that of a training without the stop,
# to the bit. Other settings in the same folder are refused, so that no run is
# overwritten by mistake.

# %%
result = jv.runs.train(workdir, run)
print("epochs:", len(result.history), "best:", result.best_epoch)
jv.report.figures.training(result.history)

# %% [markdown]
# ## Memory
#
# The training said what one step needs before it compiled. If that is more than there
# is, give a smaller `train.batch_size`. For more jets than the device holds,
# `"data.stream": True` reads them from disk, one chunk ahead of the training.
#
# JAX reserves three quarters of a GPU's memory when it starts. To share the GPU with
# another process, set `XLA_PYTHON_CLIENT_PREALLOCATE=false` in the environment before
# JAX is imported.

# %%
stats = jax.devices()[0].memory_stats() or {}  # a CPU has none
for name in ("bytes_in_use", "peak_bytes_in_use", "bytes_limit"):
    if name in stats:
        print(f"{name}: {stats[name] / 1e9:.2f} GB")

# %% [markdown]
# ## Precision
#
# Arrays are float32. By default, accelerators compute *matrix products* in lower
# precision: NVIDIA GPUs since Ampere in TensorFloat-32, which has 10 bits of
# mantissa, TPUs in bfloat16, which has 7. This cell measures the error on this
# device:

# %%
key = jax.random.key(0)
a, b = (jax.random.normal(k, (1000, 1000)) for k in jax.random.split(key))
exact = np.asarray(a, np.float64) @ np.asarray(b, np.float64)
for precision in ("default", "highest"):
    product = jnp.matmul(a, b, precision=precision)
    error = np.abs(product - exact).max() / np.abs(exact).max()
    print(f"{precision}: relative error {error:.1e}")

# %% [markdown]
# The package asks for all digits where they count: energy-flow polynomials,
# N-subjettiness and mixtures; masses and Chamfer distances use no such products. The
# layers of networks take the default, which is faster, and training does not notice.
# Two results may depend on it: log-likelihoods and inverses of flows. Compute these
# within `jax.default_matmul_precision("highest")`:

# %%
trained = jv.runs.load_model(workdir)
batch = trained.scale(jax.tree.map(lambda x: x[:200], trained.data().test))
bound = jax.jit(trained.model.log_prob)  # a lower bound, as the model has latents
default = np.asarray(bound(trained.params, key, batch))
with jax.default_matmul_precision("highest"):
    highest = np.asarray(bound(trained.params, key, batch))
print(f"log-likelihood {highest.mean():.2f} nats a jet")
print(f"largest difference by precision: {np.abs(default - highest).max():.1e} nats")

# %% [markdown]
# ## A flow, and many jets
#
# The latents of real jets are not exactly N(0, 1); a flow that is fitted to them
# generates better jets. It is resumed in the same way.

# %%
changes = {}
if SMALL:
    changes = {
        "spline.num_couplings": 2,
        "spline.hidden": [16],
        "fit.batch_size": 100,
        "fit.num_epochs": 1,
        "fit.averaging": 0.9,
    }
flow = jv.runs.flow_run(changes, flagfile="autoregressive_gluon30")
_ = jv.runs.fit_flow(workdir, flow)

# %% [markdown]
# The first chunk of jets waits for the compiler. Generate in large numbers: the model
# draws one particle after the other, and many jets at once keep the device busy.

# %%
for number in (2000,) if SMALL else (2000, 50_000):
    start = time.perf_counter()
    config = jv.runs.GenerateConfig(num_jets=number, output=str(folder / "jets.hdf5"))
    _ = jv.runs.generate(workdir, config)
    seconds = time.perf_counter() - start
    print(f"{number} jets in {seconds:.1f} s, compilation and file included")

# %% [markdown]
# *Judge your own generator* says what they are worth, and [GPUs and
# TPUs](../docs/practice/accelerators.md) has the rest: install lines for machines of
# your own, several devices, and what agrees between CPU and GPU.
