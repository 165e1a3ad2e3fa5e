"""A VAE whose decoder is a density of jets, one particle after the other.

Particles come in descending pt. Given the latents, the conditions and all particles
before it, a particle exists with some probability; its pt is drawn from a mixture of
Gaussians, its two angles, given that pt, from another::

    log p(x|z) = sum_i log p(exists_i | before) + log p(pt_i | before)
                 + log p(angles_i | pt_i, before)

so ``log_prob`` is exact, and a sample has what a deterministic decoder averages away:
the scatter of particles that the latents do not determine. A causal transformer
(arXiv:1706.03762) reads the particles before; coordinates and running sums are those of
:mod:`~jetvae_jax.models._ordered_particles`. Without latents (``latent_dim`` 0) the
decoder alone is the model.

Densities instead of distances, mixtures for features of particles: arXiv:2303.07364,
2412.12074. Jets are (ptrel, etarel, phirel) relative to the axis of the whole jet,
unscaled.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from jetvae_jax.core import configs, layers
from jetvae_jax.core.configs import NonNegativeFloat, NonNegativeInt, PositiveInt
from jetvae_jax.core.dtypes import floats, record
from jetvae_jax.core.errors import InputError
from jetvae_jax.core.types import (
    Array,
    Batch,
    Context,
    Decoder,
    GaussianPosterior,
    Key,
    Model,
    Params,
    Points,
    Task,
    Terms,
)
from jetvae_jax.densities import mixtures
from jetvae_jax.densities.mixtures import Mixture, Near
from jetvae_jax.models import _ordered_particles as ordered
from jetvae_jax.models import vae
from jetvae_jax.models._trimmed import trimmed

USES_MASK = False
USES_DISTANCE = False
REQUIRES = {"scaling.coordinates": "relative", "scaling.method": "none"}
MEASURED = 200_000  # jets of which the constants of the coordinates are measured
FORBIDDEN = -1e9  # attention to particles that are not to be seen
LOG_STD = (-6.0, 4.0)
NEAR = {"angles": (-3.5, (-8.5, 0.0)), "coordinates": (-1.0, LOG_STD)}
"""The widest of the Gaussians around earlier particles in the beginning, and the limits
of their widths, as logarithms."""
KEY = 16  # numbers by which a particle recognises those that it is near to
ROOM = 10  # particles for which room is made at once in sampling, at least
# Particles that a CPU draws at once, so that it keeps them in its cache, and jets at
# least: dense layers of fewer are slower.
SLICE_PARTICLES, SLICE_JETS = 7500, 100
NEAR_LOGIT = 3.0  # of the many Gaussians around earlier particles, at the beginning


@configs.config
class Config:
    """Sizes of the networks.

    Attributes:
        num_particles: particles of a jet, at most.
        num_features: of a particle, three.
        latent_dim: dimensions of the latent space; 0 for the decoder alone.
        width: channels of a particle in the decoder.
        num_layers: of the decoder.
        heads: of the attention.
        pt_components: Gaussians of the density of pt.
        angle_components: Gaussians of the density of the angles.
        near: Gaussians of that density around each earlier particle.
        near_in: where these are round and as wide about one particle as about another:
            angles (etarel, phirel), or the coordinates of the density.
        encoder_width: channels of a particle in the encoder.
        encoder_layers: of the encoder.
        free_nats: nats of the KL divergence, averaged over a batch, that cost nothing,
            so that a decoder that could do without its latents still uses them.
        mirror: reflections under which training jets are drawn: both, etarel -> -etarel
            and phirel -> -phirel; phi alone, for models that depend on eta; none.
        num_conditions: numbers given to encoder and decoder beside the particles.
    """

    num_particles: PositiveInt = 30
    num_features: PositiveInt = 3
    latent_dim: NonNegativeInt = 8
    width: PositiveInt = 88
    num_layers: PositiveInt = 3
    heads: PositiveInt = 4
    pt_components: PositiveInt = 8
    angle_components: PositiveInt = 20
    near: NonNegativeInt = 3
    near_in: Literal["coordinates", "angles"] = "coordinates"
    encoder_width: PositiveInt = 64
    encoder_layers: PositiveInt = 2
    free_nats: NonNegativeFloat = 0.0
    mirror: Literal["both", "phi", "none"] = "both"
    num_conditions: NonNegativeInt = 0

    def __post_init__(self):
        for name in ("width", "encoder_width"):
            if getattr(self, name) % self.heads:
                raise InputError(
                    f"{name}: must be a multiple of heads = {self.heads}, got "
                    f"{getattr(self, name)}"
                )


class Block(nn.Module):
    """Attention among particles, then a layer for each: both updates are residual.

    Attributes:
        width: C, channels of a particle.
        heads: H.
    """

    width: int
    heads: int

    def setup(self):
        """Define the layers."""
        self.qkv = layers.Dense(3 * self.width)
        self.out = layers.Dense(self.width, scale=layers.QUIET)
        self.up = layers.Dense(2 * self.width)
        self.down = layers.Dense(self.width, scale=layers.QUIET)

    def __call__(self, x: Array, seen: Array) -> Array:
        """Update all particles.

        Args:
            x: ``[..., N, C]``.
            seen: ``[..., 1, N, N]`` bool, which particles (last axis) each may see.
        """
        qkv = self.qkv(layers.normalise(x))
        q, k, v = jnp.split(
            qkv.reshape(*x.shape[:-1], 3 * self.heads, -1), 3, axis=-2
        )  # [..., N, H, C / H] each
        weight = jnp.einsum("...nhc,...mhc->...hnm", q, k) / math.sqrt(q.shape[-1])
        weight = jax.nn.softmax(jnp.where(seen, weight, FORBIDDEN), axis=-1)
        y = jnp.einsum("...hnm,...mhc->...nhc", weight, v)
        return self._update(x, y.reshape(x.shape))

    def step(
        self, x: Array, cache: tuple[Array, Array], i: Array
    ) -> tuple[Array, tuple[Array, Array]]:
        """Update particle i, given the keys and values of those before it.

        Args:
            x: ``[..., C]``.
            cache: keys and values, each ``[..., H, M, C / H]`` of the first M > i
                particles.
            i: the particle.
        """
        lead = x.shape[:-1]
        q, k, v = jnp.split(self.qkv(layers.normalise(x)), 3, axis=-1)
        # Products of this layout are dot_generals, five times faster on CPUs than sums.
        keys, values = (
            _replaced(old, new.reshape(*lead, self.heads, -1), i)
            for old, new in zip(cache, (k, v), strict=True)
        )
        q = q.reshape(*lead, self.heads, -1)
        weight = jnp.einsum("...hc,...hmc->...hm", q, keys) / math.sqrt(q.shape[-1])
        before = jnp.arange(weight.shape[-1]) <= i
        weight = jax.nn.softmax(jnp.where(before, weight, FORBIDDEN), axis=-1)
        y = jnp.einsum("...hm,...hmc->...hc", weight, values)
        return self._update(x, y.reshape(x.shape)), (keys, values)

    def _update(self, x: Array, attended: Array) -> Array:
        x = x + self.out(attended)
        return x + self.down(jax.nn.silu(self.up(layers.normalise(x))))


class Encoder(nn.Module):
    """Attention among all particles, then their mean: the order has no influence."""

    config: Config

    @nn.compact
    def __call__(self, description: Array, mask: Array, given: Array):
        """The posterior.

        Args:
            description: ``[..., N, DESCRIPTION]``.
            mask: ``[..., N]``.
            given: ``[..., G]`` conditions.
        """
        config, width = self.config, self.config.encoder_width
        x = layers.Dense(width, name="embed")(description)
        if given.shape[-1]:
            x = x + layers.Dense(width, name="given")(given)[..., None, :]
        for i in range(config.encoder_layers):
            block = Block(width, config.heads, name=f"block_{i}")
            x = block(x, mask[..., None, None, :])
        x = layers.mean_and_sum(layers.normalise(x), mask, config.num_particles)
        x = layers.Dense(2 * width, name="hidden")(jnp.concatenate(x, axis=-1))
        outputs = layers.Dense(
            2 * config.latent_dim, scale=layers.QUIET, name="posterior"
        )
        return vae.posterior(outputs(jax.nn.gelu(x)))


class Network(nn.Module):
    """The decoder's network: from the particles before to the density of the next."""

    config: Config

    def setup(self):
        """Define the layers."""
        config, width = self.config, self.config.width
        self.embed = layers.Dense(width)
        self.given = layers.Dense(width)
        self.start = self.param("start", layers.within(1.0), (width,))
        place = (config.num_particles, width)
        self.place = self.param("place", layers.within(0.1), place)
        self.blocks = [Block(width, config.heads) for _ in range(config.num_layers)]
        self.pt = layers.Dense(3 * config.pt_components + 1)
        self.hidden = layers.Dense(width)
        self.hidden_pt = layers.Dense(width, use_bias=False)
        self.angles = layers.Dense(6 * config.angle_components)
        self.query = layers.Dense(config.near * (KEY + 1))
        self.key = layers.Dense(config.near * KEY)

    def __call__(
        self, description: Array, given: Array, v: Array, places: ordered.Places
    ):
        """All densities of jets that are known.

        Args:
            description: ``[..., N, DESCRIPTION]`` after each particle.
            given: ``[..., L + G]`` latents and conditions.
            v: ``[..., N]`` coordinates of pt.
            places: ``[..., N, N - 1]`` where the earlier particles (the last axis) lie
                in the coordinates of each.

        Returns:
            ``[..., N]`` logits that a particle exists, and the two mixtures.
        """
        x = self.embed(description[..., :-1, :])
        start = jnp.broadcast_to(self.start, (*x.shape[:-2], 1, self.config.width))
        x = jnp.concatenate([start, x], axis=-2)
        x = x + self.place[: x.shape[-2]]
        x = x + self._given(given)[..., None, :]
        seen = jnp.tril(jnp.ones((x.shape[-2],) * 2, bool))
        for block in self.blocks:
            x = block(x, seen)
        x = layers.normalise(x)
        # The state i has seen the particles before i: row i of the keys is about i - 1.
        keys = jnp.moveaxis(self.keys(x)[..., 1:, :, :], -2, -3)[..., None, :, :, :]
        seen = jnp.tril(jnp.ones((x.shape[-2],) * 2, bool), -1)[:, :-1]
        angles = self.angle_density(x, v, keys, places, seen)
        return *self.pt_density(x), angles

    def step(
        self, description: Array, given: Array, cache: Any, i: Array
    ) -> tuple[Array, Any]:
        """The state ``[..., C]`` before particle i, with cached keys and values.

        Args:
            description: ``[..., DESCRIPTION]`` after the particle before.
            given: ``[..., L + G]``.
            cache: of each block.
            i: the particle.
        """
        x = jnp.where(i == 0, self.start, self.embed(description))
        x = x + jnp.asarray(self.place)[i] + self._given(given)
        new = []
        for block, old in zip(self.blocks, cache, strict=True):
            x, kept = block.step(x, old, i)
            new.append(kept)
        return layers.normalise(x), new

    def pt_density(self, x: Array) -> tuple[Array, Mixture]:
        """From the state ``[..., C]``: logit of existence, and the density of v."""
        count = self.config.pt_components
        ends = [1, 1 + count, 1 + 2 * count]
        exists, logits, mean, log_std = jnp.split(self.pt(x), ends, axis=-1)
        log_std = vae.smooth_clip(log_std, *LOG_STD)
        shape = (*x.shape[:-1], 1, count)
        mixture = Mixture(logits, mean.reshape(shape), log_std.reshape(shape))
        return exists[..., 0], mixture

    def keys(self, x: Array) -> Array:
        """From states ``[..., C]``: what tells others whether they are near.

        Returns:
            ``[..., near, KEY]``.
        """
        return self.key(x).reshape(*x.shape[:-1], self.config.near, KEY)

    def angle_density(
        self, x: Array, v: Array, keys: Array, places: ordered.Places, seen: Array
    ) -> Mixture:
        """The density of the angles of a particle.

        Args:
            x: ``[..., C]`` the state before it.
            v: ``[...]`` its coordinate of pt.
            keys: ``[..., near, M, KEY]`` of M particles.
            places: ``[..., M]`` where these lie in its coordinates.
            seen: ``[..., M]`` which of them are there.
        """
        pt = jnp.stack([v, 0.25 * jnp.square(v)], axis=-1)
        hidden = jax.nn.gelu(self.hidden(x) + self.hidden_pt(pt))
        outputs = self.angles(hidden).reshape(*x.shape[:-1], 6, -1)
        logits, mean, log_std, slope = jnp.split(outputs, [1, 3, 5], axis=-2)
        log_std = vae.smooth_clip(log_std, *LOG_STD)
        anywhere = Mixture(logits[..., 0, :], mean, log_std, slope[..., 0, :])
        if not self.config.near or not seen.shape[-1]:
            return anywhere
        return anywhere._replace(near=self._around(hidden, keys, places, seen))

    def _around(
        self, hidden: Array, keys: Array, places: ordered.Places, seen: Array
    ) -> Near:
        """Gaussians around each of M particles, ``near`` of different widths."""
        near = self.config.near
        query, width = jnp.split(self.query(hidden), [near * KEY], axis=-1)
        query = query.reshape(*query.shape[:-1], near, KEY)
        logits = jnp.einsum("...nk,...nmk->...nm", query, keys) / math.sqrt(KEY)
        logits = jnp.where(seen[..., None, :], logits - NEAR_LOGIT, FORBIDDEN)
        if self.config.near_in == "coordinates":
            zero = jnp.zeros_like(places.scale)
            places = places._replace(scale=zero, stretch=zero)
        start, limits = NEAR[self.config.near_in]
        log_std = vae.smooth_clip(width + start - jnp.arange(near), *limits)
        log_std = log_std[..., None] + places.scale[..., None, :]
        return Near(logits, places.points, log_std, places.stretch)

    def _given(self, given: Array) -> Array:
        return self.given(given) if given.shape[-1] else jnp.zeros(self.config.width)


class Draws(NamedTuple):
    """The random numbers of jets.

    Attributes:
        exists: ``[..., N]`` uniform from 0 to 1.
        pt: of the coordinate of pt, ``[..., N]`` and ``[..., N, 1]``.
        angles: of the angles, ``[..., N]`` and ``[..., N, 2]``.
    """

    exists: Array
    pt: mixtures.Noise
    angles: mixtures.Noise


class Drawn(NamedTuple):
    """What the next particle of a jet depends on, while the jet is drawn.

    Attributes:
        description: ``[..., DESCRIPTION]`` after the last particle.
        exists: ``[...]`` whether that one exists.
        pt: ``[...]`` its ptrel, or 1.
        sums: over all particles.
        cache: of each block, keys and values ``[..., H, M, C / H]``.
        keys: ``[..., near, M, KEY]`` of the particles.
        places: ``[..., M, 2]`` their (etarel, phirel).
    """

    description: Array
    exists: Array
    pt: Array
    sums: ordered.Sums
    cache: list[tuple[Array, Array]]
    keys: Array
    places: Array


def _nothing_drawn(config: Config) -> Drawn:
    """The beginning of a jet, without room for any particle."""
    size = (config.heads, 0, config.width // config.heads)
    return Drawn(
        jnp.zeros(ordered.DESCRIPTION), jnp.array(True), jnp.ones(()),
        ordered.Sums(*[jnp.zeros(())] * len(ordered.Sums._fields)),
        [(jnp.zeros(size), jnp.zeros(size))] * config.num_layers,
        jnp.zeros((config.near, 0, KEY)), jnp.zeros((0, 2)),
    )  # fmt: skip


def _stops(num_particles: int) -> list[int]:
    """Numbers of particles at which there must be more room.

    Attention to particles that are not there yet costs as much as to others: in three
    steps it is a third less. Each is compiled by itself, so there are few.
    """
    step = max(ROOM, -(-num_particles // 4))
    return [*range(step, num_particles, step), num_particles]


def _with_room(jet: Drawn, size: int) -> Drawn:
    """With room for M = ``size`` particles."""

    def padded(old: Array) -> Array:
        more = [(0, 0)] * old.ndim
        more[-2] = (0, size - old.shape[-2])
        return jnp.pad(old, more)

    return jet._replace(
        cache=jax.tree.map(padded, jet.cache),
        keys=padded(jet.keys),
        places=padded(jet.places),
    )


def _replaced(rows: Array, row: Array, i: Array) -> Array:
    """``rows [..., M, K]`` with ``row [..., K]`` at ``i``, less than M."""
    return jax.lax.dynamic_update_index_in_dim(
        rows, row[..., None, :], i, axis=rows.ndim - 2
    )


def decoder(config: Config) -> Decoder:
    """The density p(x|z) of jets; its parameters are ``decoder`` and ``coordinates``.

    ``log_prob`` takes ``z [..., L]`` and jets ``[..., N, 3]`` with any leading axes;
    L may be 0.
    """
    network = Network(config)

    def given(z: Array, context: Context) -> Array:
        return layers.with_condition(z, context.condition, config.num_conditions)

    def log_prob(params: Params, z: Array, batch: Batch) -> tuple[Array, Terms]:
        (z,), batch = floats(jnp, z), record(jnp, batch)
        mask = batch.mask
        x = jnp.where(mask[..., None], batch.x, 0.0)
        constants = jax.lax.stop_gradient(params["coordinates"])
        y, volume = ordered.forward(constants, x)
        places = ordered.placed(constants, x[..., 0], x[..., None, :-1, 1:])
        exists, pt, angles = layers.apply(
            network, params["decoder"], ordered.describe_all(x, y),
            given(z, batch.context), y[..., 0], places,
        )  # fmt: skip
        # A jet has one particle at least; a particle can follow only an existing one.
        chance = jax.nn.log_sigmoid(jnp.where(mask, exists, -exists))
        count = jnp.sum(jnp.where(mask[..., :-1], chance[..., 1:], 0.0), axis=-1)
        log_pt = mixtures.log_prob(pt, y[..., :1]) + volume
        log_angles = mixtures.log_prob(angles, y[..., 1:])
        log_pt, log_angles = (
            jnp.sum(jnp.where(mask, each, 0.0), axis=-1)
            for each in (log_pt, log_angles)
        )
        terms: Terms = {"pt": -log_pt, "angles": -log_angles, "count": -count}
        return log_pt + log_angles + count, terms

    def noise(key: Key, num: int) -> Draws:
        def of_particle(i: Array) -> Draws:
            keys = jax.random.split(jax.random.fold_in(key, i), 3)
            return Draws(
                jax.random.uniform(keys[0], (num,)),
                mixtures.noise(keys[1], (num,), 1),
                mixtures.noise(keys[2], (num,), 2),
            )

        # The same numbers whatever N is, and jets as the leading axis.
        drawn = jax.vmap(of_particle)(jnp.arange(config.num_particles))
        return jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), drawn)

    def sample(params: Params, key: Key, z: Array, context: Context) -> Points:
        lead = z.shape[:-1]
        draws = noise(key, math.prod(lead))
        draws = jax.tree.map(lambda a: a.reshape(*lead, *a.shape[1:]), draws)
        return at(params, draws, z, context)

    def at(params: Params, noise: Draws, z: Array, context: Context) -> Points:
        (z,), context = floats(jnp, z), record(jnp, context)
        return layers.in_slices(
            lambda row: one(params, *row), (noise, z, context), axes=z.ndim - 1,
            most=max(SLICE_PARTICLES // config.num_particles, SLICE_JETS),
        )  # fmt: skip

    def one(params: Params, noise: Draws, z: Array, context: Context) -> Points:
        """One jet, from its draws."""
        constants, own = params["coordinates"], params["decoder"]
        known = given(z, context)

        def net(method: Callable[..., Any], *args: Any) -> Any:
            return network.apply({"params": own}, *args, method=method)

        def step(
            jet: Drawn, now: tuple[Array, Draws]
        ) -> tuple[Drawn, tuple[Array, Array]]:
            i, draws = now
            state, cache = net(Network.step, jet.description, known, jet.cache, i)
            # Keys of state i are about particle i - 1; those of state 0 are not seen.
            about = net(Network.keys, state)
            keys = _replaced(jet.keys, about, jnp.maximum(i - 1, 0))
            chance, mixture = net(Network.pt_density, state)
            more = (draws.exists < jax.nn.sigmoid(chance)) | (i == 0)
            exists = jet.exists & more
            v = mixtures.at(mixture, draws.pt)[..., 0]
            pt = ordered.following(v, jet.pt)
            places = ordered.placed(constants, pt, jet.places)
            seen = jnp.arange(jet.places.shape[-2]) < i
            angles = net(Network.angle_density, state, v, keys, places, seen)
            angles = mixtures.at(angles, draws.angles)
            x = ordered.particle(constants, pt, angles)
            x = jnp.where(exists[..., None], x, 0.0)
            sums = jax.tree.map(jnp.add, jet.sums, ordered.weighted(x))
            description = ordered.describe(x, angles, sums)
            places = _replaced(jet.places, x[..., 1:], i)
            jet = Drawn(description, exists, x[..., 0], sums, cache, keys, places)
            return jet, (x, exists)

        jet, first, drawn = _nothing_drawn(config), 0, []
        for last in _stops(config.num_particles):
            jet = _with_room(jet, last)
            part = jax.tree.map(lambda a, rows=slice(first, last): a[rows], noise)
            jet, new = jax.lax.scan(step, jet, (jnp.arange(first, last), part))
            drawn.append(new)
            first = last
        x, mask = jax.tree.map(lambda *parts: jnp.concatenate(parts), *drawn)
        return Points(x, mask)

    return Decoder(log_prob, sample, noise, at)


def model(config: Config, task: Task) -> Model:
    """The generative model.

    Raises:
        InputError: other features than (ptrel, etarel, phirel), or a weight of the
            likelihood that is not 1.
    """
    if task.num_features != 3 or task.jet_rows:
        raise InputError(
            "autoregressive_vae: generates jets of particles (ptrel, etarel, phirel)"
        )
    objective = task.objective or vae.NO_OBJECTIVE
    if objective.reconstruction_weight != 1:
        raise InputError(
            "autoregressive_vae: a likelihood is weighted by 1: give "
            "--objective.form=classic --objective.beta=1"
        )
    objective = objective._replace(free_nats=config.free_nats)
    components: vae.Components = task.components or vae.Components()
    if components.latent != "gaussian" or components.discriminator != vae.NONE:
        raise InputError(
            "autoregressive_vae: has Gaussian latents and no discriminator: leave out "
            "--latent and --discriminator"
        )
    constants, counts = ordered.empty(), None
    if task.sample is not None:
        sample = task.sample(MEASURED)
        mask = np.asarray(sample.mask)
        constants, counts = ordered.fit(np.asarray(sample.x), mask), mask.sum(axis=-1)
    network, encoder, density = Network(config), Encoder(config), decoder(config)
    density = density._replace(log_prob=trimmed(density.log_prob, counts))
    known = config.latent_dim + config.num_conditions

    def init(key: Key) -> Params:
        n, first, second = config.num_particles, *jax.random.split(key)
        description = jnp.zeros((n, ordered.DESCRIPTION))
        params = {
            "coordinates": jax.tree.map(jnp.asarray, constants),
            "decoder": layers.init(
                network,
                first,
                description,
                jnp.zeros(known),
                jnp.zeros(n),
                ordered.Places(jnp.zeros((n, n - 1, 2)), *jnp.zeros((2, n, n - 1))),
            ),
        }
        if config.latent_dim:
            params["encoder"] = layers.init(
                encoder, second, description, jnp.ones(n, bool),
                jnp.zeros(config.num_conditions),
            )  # fmt: skip
        return params

    def encode(params: Params, batch: Batch) -> GaussianPosterior:
        x = jnp.where(batch.mask[..., None], batch.x, 0.0)
        y, _ = ordered.forward(jax.lax.stop_gradient(params["coordinates"]), x)
        given = layers.with_condition(
            jnp.zeros((*x.shape[:-2], 0)),
            batch.context.condition,
            config.num_conditions,
        )
        inputs = (ordered.describe_all(x, y), batch.mask, given)
        return layers.apply(encoder, params["encoder"], *inputs)

    if config.latent_dim:
        whole = vae.build(
            init, trimmed(encode, counts), density, objective,
            latent_dim=config.latent_dim, prior=vae.prior_of(config.latent_dim, task),
        )  # fmt: skip
    else:
        whole = _without_latents(init, density)

    def loss(params: Params, key: Key, batch: Batch) -> tuple[Array, Terms]:
        batch = record(jnp, batch)
        draw_key, mirror_key = jax.random.split(key)
        return whole.loss(params, draw_key, mirrored(config, mirror_key, batch))

    return whole._replace(
        loss=loss, log_likelihood=lambda *known: density.log_prob(*known)[0],
        constants=("coordinates",), per_particle=("decoder/place",),
    )  # fmt: skip


def _without_latents(init: Callable[[Key], Params], density: Decoder) -> Model:
    def nothing(context: Context) -> Array:
        return jnp.zeros((*context.axis.shape[:-1], 0))

    def loss(params: Params, key: Key, batch: Batch) -> tuple[Array, Terms]:
        del key
        log_p, terms = density.log_prob(params, nothing(batch.context), batch)
        return -log_p, terms

    def log_prob(params: Params, key: Key, batch: Batch) -> Array:
        return -loss(params, key, batch)[0]

    def sample(params: Params, key: Key, context: Context) -> Points:
        return density.sample(params, key, nothing(context), context)

    return Model(init, loss, sample, log_prob=log_prob)


def mirrored(config: Config, key: Key, batch: Batch) -> Batch:
    """Jets reflected at random: their physics is the same."""
    if config.mirror == "none":
        return batch
    sign = jax.random.rademacher(key, (*batch.x.shape[:-2], 1, 2), batch.x.dtype)
    if config.mirror == "phi":
        sign = sign.at[..., 0].set(1)
    sign = jnp.concatenate([jnp.ones_like(sign[..., :1]), sign], axis=-1)
    return batch._replace(x=batch.x * sign)
