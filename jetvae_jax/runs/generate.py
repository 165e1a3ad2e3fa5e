"""Generate or reconstruct samples and stream them to disk."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import jax

from jetvae_jax import sampling
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig, versions
from jetvae_jax.runs.fit_flow import load_flow
from jetvae_jax.runs.train import TrainedVAE, load_vae
from jetvae_jax.runs.workdir import Workdir
from jetvae_jax.training.progress import Progress


def samples_of(
    trained: TrainedVAE, workdir: str | os.PathLike, config: GenerateConfig
) -> tuple[int, Iterator[Any]]:
    """How many jets (images, events) there will be, and an iterator over chunks.

    Raises:
        InputError: no flow has been fitted, or the data changed.
    """
    key, run = jax.random.key(config.seed), trained.run

    def test():
        source = trained.meta["source"]
        return dataset.load_same(run.domain, run.data, source).test

    if config.latents == "reconstruction":
        few = jax.tree.map(lambda a: a[: config.num_jets or None], test())
        batch = jax.jit(trained.scale)(few)

        @jax.jit
        def reconstruct(key, batch):
            z = sampling.posterior_latents(trained.params, key, batch, vae=trained.vae)
            x = sampling.decode(trained.params, z, vae=trained.vae)
            return trained.unscale(x, batch.axis)

        return len(batch.x), sampling.stream_batches(reconstruct, key, batch)

    flow = load_flow(workdir, trained) if config.latents == "flow" else None
    num_jets = config.num_jets or len(jax.tree.leaves(test())[0])

    @jax.jit
    def draw(key):
        latent_key, axis_key = jax.random.split(key)
        if flow:
            z = flow.sample(latent_key, sampling.CHUNK)
        else:
            z = sampling.prior_latents(latent_key, sampling.CHUNK, vae=trained.vae)
        x = sampling.decode(trained.params, z, vae=trained.vae)
        axes = run.road.draw_axes(run.scaling, trained.scaler, axis_key, sampling.CHUNK)
        return trained.unscale(x, axes)

    return num_jets, sampling.stream(draw, key, num_jets)


def generate(workdir: str | os.PathLike, config: GenerateConfig) -> pathlib.Path:
    """Write ``generated_<latents>`` into ``workdir`` and return the file's path.

    The same seed gives the same bytes; more jets only append to fewer.

    Raises:
        InputError: no trained VAE or flow, or the output cannot be written.
    """
    folder = Workdir(workdir)
    trained = load_vae(folder.path)
    run = trained.run
    name = f"generated_{config.latents}{run.road.SUFFIX}"
    output = pathlib.Path(config.output or folder / name)
    num_jets, chunks = samples_of(trained, folder.path, config)
    attrs = {
        "generator": "jetvae_jax",
        "latents": config.latents,
        "seed": config.seed,
        "run": run.to_json(),
        "best_epoch": trained.meta["best_epoch"],
        "versions": versions(),
    }
    with (
        run.road.writer(output, run, attrs) as writer,
        Progress(f"generate {config.latents}", num_jets) as progress,
    ):
        for chunk in chunks:
            writer.append(chunk)
            progress.advance(len(jax.tree.leaves(chunk)[0]))
        progress.note(f"wrote {output}: {num_jets:,} {run.domain}, {progress.status()}")
    return output
