"""Generate or reconstruct samples and stream them to disk."""

import functools
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jetvae_jax import sampling
from jetvae_jax.core.files import Workdir
from jetvae_jax.core.types import Array
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import GenerateConfig, versions
from jetvae_jax.runs.fit_copula import load_copula
from jetvae_jax.runs.fit_flow import load_flow
from jetvae_jax.runs.train import TrainedVAE, load_vae
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
        few = dataset.head(test(), config.num_jets)
        batch = jax.jit(trained.scale)(few)

        @jax.jit
        def reconstruct(key, batch):
            z = sampling.posterior_latents(trained.params, key, batch, vae=trained.vae)
            x = sampling.decode(trained.params, z, batch.condition, vae=trained.vae)
            return trained.unscale(x, batch.axis, batch.condition)

        return len(batch.x), sampling.stream_batches(reconstruct, key, batch)

    latents = _latents(trained, workdir, config.latents)
    num_jets = config.num_jets or dataset.count(test())

    @jax.jit
    def draw(key):
        latent_key, context_key = jax.random.split(key)
        axis, condition = run.road.draw_context(
            run.scaling, trained.scaler, context_key, sampling.CHUNK
        )
        z = latents(latent_key, sampling.CHUNK, condition)
        x = sampling.decode(trained.params, z, condition, vae=trained.vae)
        return trained.unscale(x, axis, condition)

    return num_jets, sampling.stream(draw, key, num_jets)


def _latents(
    trained: TrainedVAE, workdir: str | os.PathLike, name: str
) -> Callable[..., Array]:
    """``(key, n, condition) -> z [n, L]`` from the prior, the flow or the copula."""
    if name == "flow":
        return load_flow(workdir, trained).sample
    if name == "copula":
        return load_copula(workdir, trained).sample
    return functools.partial(
        sampling.prior_latents, trained.params,
        vae=trained.vae, prior=trained.composed.prior,
    )  # fmt: skip


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
        Progress(
            f"generate {config.latents}", num_jets, things=run.road.THINGS
        ) as progress,
    ):
        for chunk in chunks:
            writer.append(chunk)
            progress.advance(len(jax.tree.leaves(chunk)[0]))
        progress.note(
            f"wrote {output}: {num_jets:,} {progress.things}, {progress.status()}"
        )
    return output
