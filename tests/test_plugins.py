"""One file each: plug-ins from a folder of the user go through the whole pipeline."""

import json

import h5py
import numpy as np
import pytest
from walkthroughs import save

from jetvae_jax import models
from jetvae_jax.core.errors import InputError

FIGURES = "none"

STOCHASTIC = '''
"""A VAE whose decoder is a density: independent Gaussians, and a multiplicity."""

import dataclasses

import jax
import jax.numpy as jnp

from jetvae_jax.core import layers
from jetvae_jax.core.types import Decoder, Points
from jetvae_jax.models import vae

USES_MASK = False


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the network.

    Attributes:
        num_particles: N.
        num_features: F.
        latent_dim: L.
        width: of the hidden layer.
    """

    num_particles: int = 30
    num_features: int = 3
    latent_dim: int = 4
    width: int = 16


def model(config, task):
    """The generative model."""
    n, f = config.num_particles + task.jet_rows, config.num_features
    encoder = layers.MLP((config.width,), 2 * config.latent_dim)
    decoder = layers.MLP((config.width,), 2 * n * f + n)

    def init(key):
        first, second = jax.random.split(key)
        return {
            "encoder": layers.init(encoder, first, jnp.zeros(n * f)),
            "decoder": layers.init(decoder, second, jnp.zeros(config.latent_dim)),
        }

    def encode(params, batch):
        x = jnp.where(batch.mask[..., None], batch.x, 0.0)
        x = x.reshape(*x.shape[:-2], -1)
        return vae.posterior(layers.apply(encoder, params["encoder"], x))

    def outputs(params, z):
        raw = layers.apply(decoder, params["decoder"], z)
        mean, log_std, exists = jnp.split(raw, [n * f, 2 * n * f], axis=-1)
        shape = (*z.shape[:-1], n, f)
        return mean.reshape(shape), jnp.tanh(log_std).reshape(shape), exists

    def log_prob(params, z, batch):
        mean, log_std, exists = outputs(params, z)
        each = jax.scipy.stats.norm.logpdf(batch.x, mean, jnp.exp(log_std)).sum(-1)
        particles = jnp.where(batch.mask, each, 0.0).sum(-1)
        sign = jnp.where(batch.mask, exists, -exists)
        mask = jax.nn.log_sigmoid(sign).sum(-1)
        return particles + mask, {"particles": -particles, "existence": -mask}

    def sample(params, key, z, context):
        mean, log_std, exists = outputs(params, z)
        first, second = jax.random.split(key)
        x = mean + jnp.exp(log_std) * jax.random.normal(first, mean.shape)
        mask = jax.random.bernoulli(second, jax.nn.sigmoid(exists))
        return Points(x, mask.at[..., : task.jet_rows + 1].set(True))

    return vae.build(
        init, encode, Decoder(log_prob, sample), task.objective or NO_OBJECTIVE,
        latent_dim=config.latent_dim,
    )


from jetvae_jax.core.types import Objective

NO_OBJECTIVE = Objective(lambda batch, x: (0.0, {}), 1.0)
'''


def plug_in(folder, kind, name, text):
    (folder / kind).mkdir(parents=True, exist_ok=True)
    (folder / kind / f"{name}.py").write_text(text.lstrip("\n"))


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """A folder of the user on the plug-in path."""
    folder = tmp_path / "plugins"
    plug_in(folder, "models", "gaussian_vae", STOCHASTIC)
    save("extend/model.md", folder)  # the model "gaussians", without an encoder
    monkeypatch.setenv("JETVAE_PLUGINS", str(folder))
    return folder


@pytest.mark.parametrize(
    "name", [pytest.param("gaussian_vae", marks=pytest.mark.slow), "gaussians"]
)
def test_a_new_model_is_one_file(plugins, tmp_path, run_script, name):
    workdir = tmp_path / "run"
    done = run_script(
        "pipeline", "--flagfile=experiments/flagfiles/smoke.txt",
        f"--workdir={workdir}", f"--model={name}", "--scaling.coordinates=frame",
        "--scaling.method=slots", "--train.learning_rate=1e-2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((workdir / "evaluation.json").read_text())
    latents = {"gaussian_vae": ["reconstruction", "prior", "flow"]}.get(name, ["prior"])
    assert list(result["candidates"]) == latents
    assert result["trained_on"] == []  # no mass term in these losses
    assert (workdir / "report.html").stat().st_size > 10_000
    with h5py.File(workdir / "generated_prior.hdf5") as file:
        particles = file["particle_features"][:]
    assert particles.shape == (100, 30, 4) and np.isfinite(particles).all()
    count = particles[..., 3].sum(-1)
    # The model itself says how many particles exist.
    assert (count == 30).all() if name == "gaussians" else len(np.unique(count)) > 2
    if name == "gaussians":
        for latents in ("flow", "reconstruction"):
            done = run_script(
                "generate", f"--workdir={workdir}", f"--generate.latents={latents}"
            )
            assert done.returncode == 2
            assert "--model=gaussians: has no encoder" in done.stderr


def test_a_broken_or_unknown_plug_in_gives_one_line(plugins):
    assert {"gaussians", "gaussian_vae", "conv_vae"} <= set(models.names())
    plug_in(plugins, "models", "broken", "import nothing_of_that_name")
    with pytest.raises(
        InputError, match=r"broken\.py: cannot be imported .*nothing_of"
    ):
        models.get("broken")
    with pytest.raises(InputError, match=r"'gausians' is unknown .*mean 'gaussians'"):
        models.get("gausians")
    plug_in(plugins, "models", "unfinished", "class Config: ...")
    with pytest.raises(
        InputError, match=r"unfinished\.py: a model needs model: define"
    ):
        models.get("unfinished")
    # The library's own files cannot be replaced by accident.
    plug_in(plugins, "models", "conv_vae", "raise RuntimeError")
    assert models.get("conv_vae").__name__ == "jetvae_jax.models.conv_vae"
