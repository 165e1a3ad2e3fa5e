# %% [markdown]
# # The Chamfer distance in your own JAX code
#
# You have a model of sets of particles in Flax, an optimiser in Optax, and you want
# to compare sets that have no order. This notebook takes one function of the package,
# the Chamfer distance, and nothing else of it: no data format, no training loop, no
# flags. It runs in a minute on a CPU.

# %%
import os

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax
from flax import linen as nn

from jetvae_jax.losses import chamfer_distance, squared_error

SMALL = bool(os.environ.get("SMALL"))  # a short run, to see that everything works

# %% [markdown]
# ## What it is
#
# For two sets of points $x$ and $y$ the distance adds, for every point of one set,
# the squared distance to its nearest neighbour in the other:
#
# $$d(x, y) = \sum_i \min_j |x_i - y_j|^2 + \sum_j \min_i |x_i - y_j|^2 .$$
#
# Points are the second last axis, features the last one. What is in front of them is
# kept: one jet gives a number, a batch of jets gives one number for each.

# %%
x = jax.random.normal(jax.random.key(0), (100, 30, 3))  # jets, particles, features
y = jax.random.normal(jax.random.key(1), (100, 30, 3))
print("one jet:      ", chamfer_distance(x[0], y[0]))
print("a batch:      ", chamfer_distance(x, y).shape)
print("another order:", chamfer_distance(x[0], x[0][::-1]))

# %% [markdown]
# A mean squared error compares the first point with the first one, and so on. It sees
# a large difference between a set and the same set in another order; the Chamfer
# distance sees none.

# %%
print("squared error of the same points, reversed:", squared_error(x[0], x[0][::-1]))

# %% [markdown]
# ## jit, vmap, grad
#
# It is a pure function, so JAX transforms it like any other. The gradient tells each
# point of `y` in which direction it gets nearer.

# %%
compiled = jax.jit(chamfer_distance)
mapped = jax.vmap(chamfer_distance)
slope = jax.grad(lambda y: chamfer_distance(x, y).sum())

print("jit agrees: ", np.allclose(compiled(x, y), chamfer_distance(x, y)))
print("vmap agrees:", np.allclose(mapped(x, y), chamfer_distance(x, y)))
print("gradient:   ", slope(y).shape)

moved = y - 0.1 * slope(y)
before, after = chamfer_distance(x, y).mean(), chamfer_distance(x, moved).mean()
print(f"one step against the gradient: {before:.1f} -> {after:.1f}")

# %% [markdown]
# ## Masks
#
# Jets have different numbers of particles and are padded to one length. A mask, True
# where a particle exists, keeps the padding out: it does not change the value,
# whatever it contains, and its gradient is zero. Without a mask padded points count
# as particles.

# %%
mask = jnp.arange(30) < 12  # this jet has 12 particles
padded = jnp.where(mask[:, None], y[0], 1e3)  # and 18 rows of nonsense
masked = chamfer_distance(x[0], padded, y_mask=mask)
print("12 of 30 rows, masked:  ", masked)
print("the 12 rows alone:      ", chamfer_distance(x[0], y[0, :12]))
print("without the mask:       ", chamfer_distance(x[0], padded))
gradient = jax.grad(lambda p: chamfer_distance(x[0], p, y_mask=mask))(padded)
print("gradient of the padding:", np.abs(gradient[~mask]).max())

# %% [markdown]
# ## Train a model of your own with it
#
# A small autoencoder of ring-shaped sets of points: 20 to 30 points at random angles
# on an ellipse. There is no order among them. The encoder is a deep set, which
# ignores order and padding; the decoder is a plain MLP that gives 30 points. It all
# is ordinary Flax and Optax code.

# %%
NUM_POINTS, LATENT = 30, 6


def rings(key, number):
    """Points [number, 30, 2] on ellipses, and which of them exist."""
    angle_key, axes_key, count_key = jax.random.split(key, 3)
    angle = jax.random.uniform(angle_key, (number, NUM_POINTS), maxval=2 * jnp.pi)
    axes = jax.random.uniform(axes_key, (number, 1, 2), minval=0.3, maxval=1.5)
    count = jax.random.randint(count_key, (number, 1), 20, NUM_POINTS + 1)
    points = axes * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    mask = jnp.arange(NUM_POINTS) < count
    return jnp.where(mask[..., None], points, 0), mask


class Autoencoder(nn.Module):
    """Points and mask to 30 points."""

    @nn.compact
    def __call__(self, x, mask):
        h = nn.relu(nn.Dense(64)(x))
        h = nn.relu(nn.Dense(64)(h))
        h = jnp.where(mask[..., None], h, 0).sum(-2) / mask.sum(-1, keepdims=True)
        z = nn.Dense(LATENT)(h)
        h = nn.relu(nn.Dense(128)(z))
        h = nn.relu(nn.Dense(128)(h))
        return nn.Dense(NUM_POINTS * 2)(h).reshape(*h.shape[:-1], NUM_POINTS, 2)


# %% [markdown]
# The loss is one line. `x` has a mask. The 30 points of the decoder all exist, so `y`
# has none.

# %%
model, optimizer = Autoencoder(), optax.adam(2e-3)


def loss(params, x, mask):
    """Mean Chamfer distance of a batch."""
    decoded = model.apply(params, x, mask)
    return chamfer_distance(x, decoded, x_mask=mask).mean()


@jax.jit
def step(params, state, key):
    """One update with a fresh batch."""
    value, gradient = jax.value_and_grad(loss)(params, *rings(key, 128))
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(params, updates), state, value


params = model.init(jax.random.key(0), *rings(jax.random.key(1), 2))
state, losses = optimizer.init(params), []
for key in jax.random.split(jax.random.key(2), 30 if SMALL else 2000):
    params, state, value = step(params, state, key)
    losses.append(float(value))
print(f"Chamfer distance: {losses[0]:.2f} at first, {losses[-1]:.2f} at the end")

# %%
figure, axes = plt.subplots(1, 4, figsize=(12, 3), layout="constrained")
axes[0].semilogy(losses)
axes[0].set(xlabel="step", ylabel="Chamfer distance")
points, mask = rings(jax.random.key(3), 3)
decoded = model.apply(params, points, mask)
for axis, given, there, found in zip(axes[1:], points, mask, decoded, strict=True):
    axis.scatter(*given[there].T, label="input", color="black", s=14)
    axis.scatter(*found.T, label="decoded", color="tab:red", s=14, alpha=0.6)
    axis.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
_ = axes[1].legend(loc="upper left", frameon=False, fontsize="small")

# %% [markdown]
# The decoded points spread along the whole ellipse, for each of them must be near
# some input point and every input point must have one nearby.
#
# ## What else there is
#
# - `reduction="mean"` divides each sum by the number of points of its set, so that
#   sets of different size weigh the same; `squared=False` takes distances and not
#   their squares, with a gradient that is finite where two points coincide.
# - Nothing stops several points from sharing one neighbour. Where that hurts, as in
#   the soft particles of jets, `sinkhorn_divergence` matches points one to one, and
#   `repulsion` keeps generated points apart. They are called in the same way.
# - Integers and half precision are computed in float32.
#
# All losses, with formulas: the page *Losses* of the reference in
# `docs/api/losses.md`. The notebook *Judge your own generator* measures what a model
# trained in this way generates.
