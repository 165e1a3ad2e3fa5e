"""What reports of sparse images show: a few images, and what a VAE makes of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax import sampling
from jetvae_jax.data.images import load as images
from jetvae_jax.data.images import sets
from jetvae_jax.runs import dataset
from jetvae_jax.runs.domains.pixels import Data
from jetvae_jax.runs.fit_flow import posteriors
from jetvae_jax.runs.train import TrainedVAE
from jetvae_jax.types import PixelSets

SHOWN = 24
LINES, STEPS = 4, 9


def first(given: PixelSets) -> PixelSets:
    """The first sets of a part, not chosen."""
    return dataset.head(given, SHOWN)


def reconstructed(trained: TrainedVAE, few: PixelSets) -> PixelSets:
    """Decoded samples of the posteriors of a few sets."""
    batch = trained.scale(few)
    z = sampling.posterior_latents(
        trained.params, jax.random.key(0), batch, vae=trained.vae
    )
    x = sampling.decode(trained.params, z, batch.condition, vae=trained.vae)
    return jax.device_get(trained.unscale(x, batch.axis, batch.condition))


def whole_images(data: Data) -> dict[str, dict[str, PixelSets]]:
    """The first images of each part with all their pixels, as rows of a figure.

    Returns:
        ``"test"`` and ``"training"``, each to ``{"image": sets}``; nothing if the file
        holds sets.
    """
    if images.holds_sets(data.path):
        return {}
    whole = dataclasses.replace(
        data, form="sparse", num_pixels=sets.MAX_PIXELS, min_pixels=1, max_images=SHOWN
    )
    found = images.load(whole, seed=data.split_seed, fractions=data.fractions)
    return {"test": {"image": found.test}, "training": {"image": found.train}}


def ends(real: PixelSets) -> PixelSets:
    """The images ``[LINES, 2, K, 3]`` that the lines connect."""
    few = dataset.head(real, 2 * LINES)
    half = len(few.labels) // 2
    return jax.tree.map(lambda a: np.stack([a[:half], a[half : 2 * half]], axis=1), few)


def lines(trained: TrainedVAE, real: PixelSets) -> PixelSets:
    """Decoded along lines between posterior means; the digit told is the nearer's."""
    few = dataset.head(real, 2 * LINES)
    means = posteriors(trained, few).mean
    lines = len(means) // 2
    way = jnp.linspace(0, 1, STEPS)[:, None]
    first, second = means[:lines, None], means[lines : 2 * lines, None]
    z = ((1 - way) * first + way * second).reshape(lines * STEPS, -1)
    condition = trained.scale(few).condition
    if condition is not None:
        steps = np.arange(STEPS) * 2 >= STEPS
        nearer = np.arange(lines)[:, None] + lines * steps
        condition = condition[nearer.reshape(-1)]
    x = sampling.decode(trained.params, z, condition, vae=trained.vae)
    made = trained.unscale(x, jnp.zeros((len(z), 3)), condition)
    return jax.tree.map(
        lambda a: np.asarray(a).reshape(lines, STEPS, *a.shape[1:]), made
    )
