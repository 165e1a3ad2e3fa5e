"""Trained models from their checkpoints, and the densities fitted to them."""

import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jetvae_jax import densities, models
from jetvae_jax.core import layers
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.files import expanded, read_lines
from jetvae_jax.core.types import (
    VAE,
    Array,
    Batch,
    Context,
    Density,
    GaussianPosterior,
    Key,
    Model,
    Objective,
    Params,
    Points,
    Task,
)
from jetvae_jax.data.splits import Dataset
from jetvae_jax.data.streaming import Stream
from jetvae_jax.densities import copula, normal
from jetvae_jax.losses.objective import reparameterize
from jetvae_jax.models.vae import Built
from jetvae_jax.runs import dataset
from jetvae_jax.runs.config import CopulaRun, FlowRun, ModelRun
from jetvae_jax.training import checkpoint

CHECKPOINT = "vae.npz"
METRICS = "vae.metrics.jsonl"
FITTED = {"flow": FlowRun, "copula": CopulaRun}
"""Densities of latents that are fitted after the model, and the settings of each."""
AT_ONCE = 1000
"""Samples in one compiled call of :meth:`TrainedModel.sampler`."""
OLD_NAMES = {"ghost": "padding", "told": "conditions"}
"""Fields of a scaler as older checkpoints name them."""


class TrainedDensity(NamedTuple):
    """A density of latents that was fitted after the model.

    Attributes:
        density: the pure functions of latents of the model.
        params: fitted parameters.
        run: the settings it was fitted with.
        reach: ``[L]`` of a flow, see :func:`~jetvae_jax.densities.normal.standardised`.
    """

    density: Density
    params: Params
    run: FlowRun | CopulaRun
    reach: Any = np.inf

    def sample(self, key: Key, num: int, condition: Array | None = None) -> Array:
        """Latents of the model, ``[num, L]``."""
        return self.density.sample(self.params, key, (num,), condition)

    def log_prob(self, z: Array, condition: Array | None = None) -> Array:
        """Log-density of latents, ``[..., L] -> [...]`` in nats."""
        return self.density.log_prob(self.params, z, condition)


class TrainedModel(NamedTuple):
    """A trained model, rebuilt from its checkpoint.

    Attributes:
        model: the pure functions.
        params: trained parameters, of all components.
        scaler: fitted to the training samples.
        run: the settings it was trained with.
        meta: versions, source of the data, best epoch.
        folder: of the checkpoint and of fitted densities.
    """

    model: Model
    params: Params
    scaler: Any
    run: ModelRun
    meta: dict
    folder: pathlib.Path

    @property
    def vae(self) -> VAE:
        """The networks of a VAE with a deterministic decoder.

        Raises:
            InputError: it is another kind of model.
        """
        if not isinstance(self.model.components, Built):
            raise InputError(
                f"--model={self.run.model}: is not a VAE with a deterministic decoder"
            )
        return self.model.components.vae

    @property
    def identity(self) -> dict:
        """What the checkpoint of a fitted density stores of its model."""
        return {"vae": self.run.to_json(), "vae_epoch": self.meta["best_epoch"]}

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Observables that a calibration made agree with those of real samples."""
        return tuple(self.meta.get("calibrated", {}).get("observables", ()))

    def scale(self, sample: Any) -> Batch:
        """Samples, such as jets in GeV, to the input of the networks."""
        sample = _floating(sample)
        return self.run.pipeline.scale(self.run.scaling, self.scaler, sample)

    def unscale(self, points: Points, context: Context) -> Any:
        """Generated points to samples, such as jets in GeV."""
        return self.run.pipeline.unscale(self.run.scaling, self.scaler, points, context)

    def sample(
        self, key: Key, context: Context, latents: str | TrainedDensity = "prior"
    ) -> Any:
        """Generated samples, one for each row of the context.

        Args:
            key: of all draws.
            context: of J samples.
            latents: 'prior' samples the model as it was trained; 'flow' or 'copula', or
                :meth:`density` of it, draws latents from that and decodes them.

        Raises:
            InputError: that density was not fitted.
        """
        return self.unscale(self.sampled_points(key, context, latents), context)

    def sampled_points(
        self, key: Key, context: Context, latents: str | TrainedDensity = "prior"
    ) -> Points:
        """As :meth:`sample`, before :meth:`unscale`, which drops what is not finite."""
        if latents == "prior":
            return self.model.sample(self.params, key, context)
        density = self.density(latents) if isinstance(latents, str) else latents
        num = context.axis.shape[0]
        z = density.sample(key, num, context.condition)
        return self.decoded_points(jax.random.fold_in(key, 1), z, context)

    def sampler(
        self, latents: str | TrainedDensity = "prior"
    ) -> Callable[[Key, Context], Any]:
        """As :meth:`sample`, of any number of rows, compiled once for few at a time.

        Returns:
            ``(key, context) -> samples`` in NumPy, which do not depend on the rows that
            follow them.
        """
        density = latents
        if isinstance(latents, str) and latents != "prior":
            density = self.density(latents)
        draw = jax.jit(lambda key, context: self.sample(key, context, density))

        def sampled(key: Key, context: Context) -> Any:
            number, parts = len(context.axis), []
            for start in range(0, number, AT_ONCE):
                # One compiled shape: the last part repeats its last row, then is cut.
                rows = np.minimum(np.arange(start, start + AT_ONCE), number - 1)
                part = jax.tree.map(lambda a, rows=rows: a[rows], context)
                made = draw(jax.random.fold_in(key, start // AT_ONCE), part)
                cut = number - start
                parts.append(jax.tree.map(lambda a, cut=cut: np.asarray(a[:cut]), made))
            return jax.tree.map(lambda *a: np.concatenate(a), *parts)

        return sampled

    def decode(self, key: Key, z: Array, context: Context) -> Any:
        """Samples from latents ``[J, L]``."""
        return self.unscale(self.decoded_points(key, z, context), context)

    def decoded_points(self, key: Key, z: Array, context: Context) -> Points:
        """As :meth:`decode`, before :meth:`unscale`."""
        assert self.model.decode is not None, "a model without latents"
        return self.model.decode(self.params, key, z, context)

    def reconstruct(self, key: Key, batch: Batch) -> Any:
        """Samples decoded from a draw of the posterior of each of J sets.

        Raises:
            InputError: the model has no encoder.
        """
        return self.unscale(self.reconstructed_points(key, batch), batch.context)

    def reconstructed_points(self, key: Key, batch: Batch) -> Points:
        """As :meth:`reconstruct`, before :meth:`unscale`."""
        self.check_encoder()
        assert self.model.encode is not None
        z = reparameterize(key, self.model.encode(self.params, batch))
        return self.decoded_points(jax.random.fold_in(key, 1), z, batch.context)

    def encode(self, sample: Any) -> tuple[GaussianPosterior, Array | None]:
        """Posterior ``[J, L]`` and condition ``[J, G]`` of every jet (image, event).

        A stream is encoded chunk by chunk: L numbers per jet fit in memory where N
        particles do not.

        Raises:
            InputError: the model has no encoder.
        """
        self.check_encoder()
        assert self.model.encode is not None
        one = functools.partial(self.model.encode, self.params)

        @jax.jit
        def encode(sample):
            batch = self.scale(sample)
            return layers.in_slices(one, batch), batch.context.condition

        if not isinstance(sample, Stream):
            return encode(_floating(sample))
        chunks = [jax.device_get(encode(chunk)) for chunk in sample.chunks()]
        return jax.tree.map(lambda *rows: np.concatenate(rows), *chunks)

    def latents(
        self, sample: Any, posterior_key: Key, flow_key: Key
    ) -> dict[str, np.ndarray]:
        """Latents ``[J, L]`` of samples, and of a fitted flow, to be compared.

        Args:
            sample: J of them, whose conditions the draws of the flow have.
            posterior_key: of the draws of the posterior.
            flow_key: of the draws of the flow.

        Returns:
            ``posterior`` and, if one was fitted, ``flow``; nothing without an encoder.
        """
        if self.model.encode is None:
            return {}
        posterior, condition = self.encode(sample)
        found = {"posterior": reparameterize(posterior_key, posterior)}
        if flow := self.fitted().get("flow"):
            found["flow"] = flow.sample(flow_key, len(posterior.mean), condition)
        return {name: np.asarray(z) for name, z in found.items()}

    def data(self) -> Dataset:
        """The training, validation and test data of the model.

        Raises:
            InputError: the file has changed since.
        """
        source = self.meta["source"]
        return dataset.load_same(self.run.domain, self.run.data, source)

    def check_encoder(self) -> None:
        """Check that the model has an encoder and a decoder of latents.

        Raises:
            InputError: it has not.
        """
        if self.model.encode is None or self.model.decode is None:
            raise InputError(
                f"--model={self.run.model}: has no encoder, so there are no latents to "
                "fit or to reconstruct from: generate by --generate.latents=prior"
            )

    def density(self, name: str) -> TrainedDensity:
        """The flow or the copula that was fitted to the latents of this model.

        Raises:
            InputError: there is none, it is damaged, or belongs to another model.
        """
        return load_density(self, name)

    def fitted(self) -> dict[str, TrainedDensity]:
        """All densities that were fitted to this model, by name."""
        found = [name for name in FITTED if (self.folder / f"{name}.npz").exists()]
        return {name: self.density(name) for name in found}

    def history(self) -> dict[str, list[dict]]:
        """Loss terms of each epoch: of the model, and of a flow if one was fitted."""
        files = {"vae": METRICS, "flow": "flow.metrics.jsonl"}
        return {name: read_lines(self.folder / file) for name, file in files.items()}


def _floating(sample: Any) -> Any:
    """Samples of numbers of any type, as named tuples or as a table."""
    return record(jnp, sample) if hasattr(sample, "_fields") else floats(jnp, sample)[0]


def task_of(
    run: ModelRun,
    scaler: Any,
    *,
    objective: Objective | None = None,
    sample: Callable[[int], Batch] | None = None,
) -> Task:
    """The task of the model of a run.

    Args:
        run: its settings.
        scaler: fitted to its training samples.
        objective: None if the model is not to be trained.
        sample: of scaled training sets, if no checkpoint contains the constants that
            the model measures on them.
    """
    return Task(
        **run.sizes,
        objective=objective,
        particle_mask=run.pipeline.particle_mask(run.scaling, scaler),
        num_points=run.pipeline.num_points(run.scaling, scaler),
        components=run.components,
        sample=sample,
        relative=run.pipeline.relative(run.scaling, scaler),
    )


def build_model(run: ModelRun, task: Task) -> Model:
    """The model of a run."""
    return models.get(run.model).model(run.model_config, task)


def load_model(workdir: str | os.PathLike) -> TrainedModel:
    """The trained model of a workdir, rebuilt from its checkpoint alone.

    Args:
        workdir: the run's folder, or the path of a checkpoint file, or ``zoo:NAME``.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = pathlib.Path(expanded(workdir))
    if path.suffix != ".npz":
        path = path / CHECKPOINT
    meta = checkpoint.read_meta(path)
    with checkpoint.understood(path):
        run = ModelRun.from_json(meta["run"])
        shapes = meta["scaler_shapes"].items()
        stored = {name: np.zeros(shape, np.float32) for name, shape in shapes}
        empty = _scaler(run, stored)
        for name in ("best_epoch", "source", "notes"):
            meta[name]
        meta["source"]["fingerprint"]
    init = build_model(run, task_of(run, empty)).init
    template = {
        "params": jax.eval_shape(init, jax.random.key(0)),
        "scaler": stored,
    }
    tree = checkpoint.restore(path, template, unbounded=unbounded(empty))
    scaler = _scaler(run, tree["scaler"])
    model = build_model(run, task_of(run, scaler))
    return TrainedModel(model, tree["params"], scaler, run, meta, path.parent)


def unbounded(scaler: Any) -> list[str]:
    """Paths, in a checkpoint, of the arrays of a scaler that may be infinite."""
    return [f"scaler/{name}" for name in getattr(scaler, "UNBOUNDED", ())]


def _scaler(run: ModelRun, stored: Mapping[str, Any]) -> Any:
    """The scaler of a run from the arrays of a checkpoint, old names included."""
    arrays = {OLD_NAMES.get(name, name): array for name, array in stored.items()}
    return run.pipeline.Scaler(**arrays)


def density_of(
    run: FlowRun | CopulaRun, dim: int, num_conditions: int, reach: Any = np.inf
) -> Density:
    """The density of latents that the settings of a fit describe.

    Args:
        run: the settings.
        dim: L.
        num_conditions: G; a copula does not depend on conditions.
        reach: ``[L]`` of a flow, see :func:`~jetvae_jax.densities.normal.standardised`.
    """
    flow = flow_of(run, dim, num_conditions)
    if isinstance(run, FlowRun):
        assert flow is not None
        return normal.standardised(flow, reach)
    return _unconditional(copula.build(run.config, dim=dim, flow=flow))


def flow_of(
    run: FlowRun | CopulaRun, dim: int, num_conditions: int = 0
) -> Density | None:
    """The flow that a fit trains; None for a copula in closed form.

    Arguments as those of :func:`density_of`.
    """
    if isinstance(run, CopulaRun):
        num_conditions = 0
        if run.config.dependence != "flow":
            return None
    build = densities.get(run.flow).build
    return build(run.flow_config, dim=dim, num_conditions=num_conditions)


def _unconditional(density: Density) -> Density:
    """A density that ignores the condition."""
    return density._replace(
        log_prob=lambda params, z, condition=None: density.log_prob(params, z),
        sample=lambda params, key, shape=(), condition=None: density.sample(
            params, key, shape
        ),
    )


def load_density(trained: TrainedModel, name: str) -> TrainedDensity:
    """See :meth:`TrainedModel.density`."""
    path = trained.folder / f"{name}.npz"
    if not path.exists():
        raise InputError(f"{path}: no such file: run experiments/fit_{name}.py first")
    meta = checkpoint.read_meta(path)
    with checkpoint.understood(path):
        # Rebuilt, so that fields that a later version added have their defaults in
        # both.
        same = ModelRun.from_json(meta["vae"]) == trained.run
        same = same and meta["vae_epoch"] == trained.meta["best_epoch"]
    if not same:
        remedy = f"run fit_{name} again"
        if name == "flow":
            remedy = f"delete flow.npz and flow.state.npz there and {remedy}"
        raise InputError(
            f"{path}: was fitted to another model than the one beside it: {remedy}"
        )
    with checkpoint.understood(path):
        run = FITTED[name].from_json(meta["run"])
        dim = meta["latent_dim"]
        reach = np.asarray(meta.get("reach", np.full(dim, np.inf)), np.float32)
    if np.isnan(reach).any():
        raise InputError(f"{path}: reach: NaN: run fit_{name} again")
    density = density_of(run, dim, trained.run.sizes["num_conditions"], reach)
    template = jax.eval_shape(density.init, jax.random.key(0))
    return TrainedDensity(density, checkpoint.restore(path, template), run, reach)
