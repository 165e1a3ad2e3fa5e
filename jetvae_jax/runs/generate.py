"""Generate or reconstruct jets and stream them to disk in the JetNet layout."""

import os
import pathlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from jetvae_jax import sampling
from jetvae_jax.data import formats
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig, versions
from jetvae_jax.runs.fit_flow import load_flow
from jetvae_jax.runs.train import TrainedVAE, load_vae
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.training.progress import Progress
from jetvae_jax.types import Array, Jets, Key


def _draw_axes(trained: TrainedVAE, key: Key, num_jets: int) -> Array:
    """Jet axes for relative coordinates: training jets drawn anew (a library)."""
    axes = jnp.asarray(trained.scaler.axes)
    if not axes.shape[0]:
        return jnp.zeros((num_jets, 3))
    return axes[jax.random.randint(key, (num_jets,), 0, axes.shape[0])]


def jets_of(
    trained: TrainedVAE, workdir: str | os.PathLike, config: GenerateConfig
) -> tuple[int, Iterator[Jets]]:
    """How many jets there will be, and an iterator over chunks of them.

    Raises:
        InputError: no flow has been fitted, or the data changed.
    """
    key = jax.random.key(config.seed)
    if config.latents == "reconstruction":
        jets = dataset.load_same(trained.run.data, trained.meta["source"]).test
        jets = jax.tree.map(lambda a: a[: config.num_jets or None], jets)
        batch = jax.jit(trained.scale)(jets)

        @jax.jit
        def reconstruct(key, batch):
            z = sampling.posterior_latents(trained.params, key, batch, vae=trained.vae)
            x = sampling.decode(trained.params, z, vae=trained.vae)
            return trained.unscale(x, batch.axis)

        return len(jets.mask), sampling.stream_batches(reconstruct, key, batch)

    flow = load_flow(workdir, trained) if config.latents == "flow" else None
    num_jets = config.num_jets or len(
        dataset.load_same(trained.run.data, trained.meta["source"]).test.mask
    )

    @jax.jit
    def draw(key):
        latent_key, axis_key = jax.random.split(key)
        if flow:
            z = flow.sample(latent_key, sampling.CHUNK)
        else:
            z = sampling.prior_latents(latent_key, sampling.CHUNK, vae=trained.vae)
        x = sampling.decode(trained.params, z, vae=trained.vae)
        return trained.unscale(x, _draw_axes(trained, axis_key, sampling.CHUNK))

    return num_jets, sampling.stream(draw, key, num_jets)


def generate(workdir: str | os.PathLike, config: GenerateConfig) -> pathlib.Path:
    """Write ``generated_<latents>.hdf5`` into ``workdir`` and return its path.

    The same seed gives the same bytes; more jets only append to fewer.

    Raises:
        InputError: no trained VAE or flow, or the output cannot be written.
    """
    folder = Workdir(workdir)
    trained = load_vae(folder.path)
    output = pathlib.Path(config.output or folder / f"generated_{config.latents}.hdf5")
    num_jets, chunks = jets_of(trained, folder.path, config)
    attrs = {
        "generator": "jetvae_jax",
        "latents": config.latents,
        "seed": config.seed,
        "run": trained.run.to_json(),
        "best_epoch": trained.meta["best_epoch"],
        "versions": versions(),
    }
    num_particles = trained.run.data.num_particles
    with (
        formats.writer(output, num_particles=num_particles, attrs=attrs) as writer,
        Progress(f"generate {config.latents}", num_jets) as progress,
    ):
        for jets in chunks:
            writer.append(jets)
            progress.advance(len(jets.mask))
        progress.note(f"wrote {output}: {num_jets:,} jets, {progress.status()}")
    return output
