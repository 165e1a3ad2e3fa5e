"""Data types of the package and the interface of its models.

All data types are small, immutable pytrees; models and densities are records of pure
functions.

Shapes use one letter each, here and in every docstring: ``J`` jets, ``N`` and
``M`` particles, ``F`` features of a particle, ``G`` features of a jet, ``L``
latent dimensions, ``K`` coupling layers, ``B`` bins. ``[..., N, F]`` means any
number of leading axes: none, one or many.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array | np.ndarray
Key = jax.Array
Params = Any


class Jets(NamedTuple):
    """Jets as sets of particle momenta in GeV.

    Attributes:
        particles: ``[..., N, 3]`` Cartesian momenta (px, py, pz) in GeV, exactly
            zero where ``mask`` is False.
        mask: ``[..., N]`` bool, True where a particle exists.
        axis: ``[..., 3]`` (pt [GeV], eta, phi) of the whole jet, of which the particles
            here may be the leading ones; None if only these are known.
        labels: ``[...]`` int32, the class of each jet by its place among the classes of
            the data; None where all jets are of one class, or it is not known.
    """

    particles: Array
    mask: Array
    axis: Array | None = None
    labels: Array | None = None


class RelativeJets(NamedTuple):
    """Jets relative to their axis, dimensionless: the input of W1M, FPD and the like.

    Attributes:
        particles: ``[..., N, 3]`` (ptrel, etarel, phirel), exactly zero where ``mask``
            is False.
        mask: ``[..., N]`` bool, True where a particle exists.
    """

    particles: Array
    mask: Array


class PixelSets(NamedTuple):
    """Images as sets of points; black pixels are left out.

    Attributes:
        points: ``[..., K, 3]`` (x, y, I): x to the right and y downward, in pixels of
            a 28 x 28 image from 0 to 27, centres of pixels at whole numbers
            (superpixels and generated points lie between); I from 0 to 1. Exactly
            zero where ``mask`` is False.
        mask: ``[..., K]`` bool, True where a point exists.
        labels: ``[...]`` int32, the digit; -1 if unknown.
    """

    points: Array
    mask: Array
    labels: Array


class Showers(NamedTuple):
    """Showers in a calorimeter of C cells, and the particles that made them.

    Where the cells are says a :class:`jetvae_jax.showers.geometry.Geometry`: its front
    face is the plane z = 0, and z points into it.

    Attributes:
        energies: ``[..., C]`` GeV deposited in each cell, 0 where there is nothing.
        energy: ``[...]`` GeV of the incident particle.
        kind: ``[...]`` int32, PDG code of the incident particle; None where all are of
            one kind, or it is not known.
        point: ``[..., 2]`` (x, y) in mm where it enters the front face; None: not
            known, or in the middle.
        direction: ``[..., 3]`` unit vector in which it flies; None: not known, or
            perpendicular to the face.
    """

    energies: Array
    energy: Array
    kind: Array | None = None
    point: Array | None = None
    direction: Array | None = None


class Context(NamedTuple):
    """What a sample is generated for: the axis of the jet, and given conditions.

    Both belong to the same jet. A context comes from data (:class:`Batch`), is drawn
    from the training sample or from a density fitted to it, or is given by the user.

    Attributes:
        axis: ``[..., 3]`` jet (pt [GeV], eta, phi) that relative features refer to;
            only relative coordinates read it. ``[..., 4]`` with the angle of the
            principal axis last where jets are turned to it. Of a shower ``[..., D]``
            the incident particle (:mod:`jetvae_jax.showers.incident`).
        condition: ``[..., G]`` scaled numbers on which a conditional model depends
            (jet pt, mass, multiplicity; columns of a table; the class of a jet or
            of a digit as one number for each class, 1 for its own and else 0), or
            None.
    """

    axis: Array
    condition: Array | None = None


class Batch(NamedTuple):
    """Sets of points as the input of networks: scaled, padded to one length.

    A jet is N points of three features; a table row is one point; a pixel set is
    points ``(x, y, I)``.

    Attributes:
        x: ``[..., N, F]`` scaled features, the padding value where ``mask`` is False.
        mask: ``[..., N]`` bool, True where a point exists.
        context: axis ``[..., A]`` and condition ``[..., G]`` of each set.
    """

    x: Array
    mask: Array
    context: Context


class Points(NamedTuple):
    """Generated sets of scaled points: the model itself says which points exist.

    Attributes:
        x: ``[..., N, F]`` scaled features.
        mask: ``[..., N]`` bool, True where a point exists.
    """

    x: Array
    mask: Array


class GaussianPosterior(NamedTuple):
    """A diagonal Gaussian q(z|x).

    Attributes:
        mean: ``[..., L]``.
        logvar: ``[..., L]`` log of the variance.
    """

    mean: Array
    logvar: Array


class VAE(NamedTuple):
    """The networks of a variational autoencoder with a deterministic decoder.

    A conditional VAE takes ``condition [..., G]`` as the last argument of ``encode``
    and ``decode``; a VAE without conditions needs no such argument.

    Attributes:
        init: ``(key) -> params``, ``{"encoder": ..., "decoder": ...}``.
        encode: ``(params, x [..., N, F], mask [..., N], condition=None) ->
            GaussianPosterior``.
        decode: ``(params, z [..., L], condition=None) -> x_hat [..., N, F]``.
        latent_dim: L.
    """

    init: Callable[..., Params]
    encode: Callable[..., GaussianPosterior]
    decode: Callable[..., Array]
    latent_dim: int


class Density(NamedTuple):
    """A probability density of vectors: a flow, a copula, a prior of latents.

    Attributes:
        init: ``(key) -> params``.
        log_prob: ``(params, z [..., L], condition=None) -> [...]`` in nats.
        sample: ``(params, key, shape, condition=None) -> z [*shape, L]``.
        dim: L.
        forward: ``(params, u [..., L], condition=None) -> (z [..., L], log|det dz/du|
            [...])`` from a standard normal ``u``, where the density is a flow; or None.
        inverse: ``(params, z, condition=None) -> (u, log|det du/dz|)``, or None.
    """

    init: Callable[..., Params]
    log_prob: Callable[..., Array]
    sample: Callable[..., Array]
    dim: int
    forward: Callable[..., tuple[Array, Array]] | None = None
    inverse: Callable[..., tuple[Array, Array]] | None = None


class Discriminator(NamedTuple):
    """Distinguishes true samples from generated ones.

    Attributes:
        init: ``(key) -> params``.
        apply: ``(params, x [..., N, F], mask [..., N], condition=None) -> [...]``, the
            logit of being true.
        features: the same arguments ``-> [..., D]``, the last hidden layer.
    """

    init: Callable[..., Params]
    apply: Callable[..., Array]
    features: Callable[..., Array]


Terms = dict[str, Array]
LossFn = Callable[[Params, Key, Any], tuple[Array, Terms]]
"""``(params, key, data) -> (loss [J], {"name": [J], ...})``, data over J jets."""
Distance = Callable[[Batch, Array], tuple[Array, Terms]]
"""``(batch, x_hat [J, N, F]) -> (weighted sum [J], {"name": [J], ...})``."""


class Enforced(NamedTuple):
    """Observables of samples that a loss pulls to those of the data.

    Attributes:
        values: ``(x [..., N, F], mask [..., N], context) -> {"name": [..., K], ...}``,
            in units of their standard deviation among the training samples; of the
            output of a deterministic decoder the mask is None.
        weights: of each of them in the loss.
    """

    values: Callable[[Array, Array | None, Context], dict[str, Array]]
    weights: Mapping[str, float]


class Objective(NamedTuple):
    """What a VAE minimises: ``w D(x, x_hat) + beta KL(q(z|x) || p(z)) + u C(z)``.

    Attributes:
        distance: D, of a batch and its reconstruction.
        beta: weight of the KL divergence.
        reconstruction_weight: w.
        uniform: u, weight of the Cramér distance of the latents' marginals from the
            standard normal, so that ``Phi(z)`` is uniform; for copulas.
        free_nats: nats of the KL divergence, averaged over the batch, that cost
            nothing, so that a decoder that needs no latents still uses them.
        enforced: observables whose distributions a GAN compares; D of a VAE contains
            their errors. None: no observables.
    """

    distance: Distance
    beta: float
    reconstruction_weight: float = 1.0
    uniform: float = 0.0
    free_nats: float = 0.0
    enforced: Enforced | None = None

    def total(self, distance: Array, terms: Terms) -> Array:
        """The loss ``[J]`` from D and the terms ``kl`` and ``uniform``."""
        kl = terms["kl"]
        if self.free_nats:
            kl = kl + jnp.maximum(self.free_nats - jnp.mean(kl), 0.0)
        loss = self.reconstruction_weight * distance + self.beta * kl
        return loss + self.uniform * terms["uniform"] if self.uniform else loss


class Decoder(NamedTuple):
    """A likelihood p(x|z).

    The deterministic decoder with a distance, such as Chamfer's, is a special case:
    ``log_prob`` is minus the distance and ``sample`` does not read its key
    (:func:`jetvae_jax.models.vae.deterministic`).

    Attributes:
        log_prob: ``(params, z [J, L], batch) -> (log p(x|z) [J], {"name": [J], ...})``
            up to a constant; the terms are reported during training.
        sample: ``(params, key, z [J, L], context) -> Points``.
        noise: ``(key, J) -> random numbers``, a tuple of arrays ``[J, ...]``, from
            which ``sample`` computes what it draws; empty where it draws nothing.
            None: it needs a key.
        at: ``(params, noise, z [J, L], context) -> Points``, what ``sample`` gives for
            these random numbers; for export to where there are no keys.
    """

    log_prob: Callable[..., tuple[Array, Terms]]
    sample: Callable[..., Points]
    noise: Callable[[Key, int], Any] | None = None
    at: Callable[..., Points] | None = None


class Model(NamedTuple):
    """A generative model: the functions that training, generation and evaluation call.

    Attributes:
        init: ``(key) -> params``.
        loss: ``(params, key, batch) -> (loss [J], {"name": [J], ...})``. Where
            ``learning_rates`` are given, the loss is a dict with one ``[J]`` for each
            component, minimised over the parameters of that component alone.
        sample: ``(params, key, context) -> Points``, one set for each of the J rows of
            the context.
        encode: ``(params, batch) -> GaussianPosterior``; None without an encoder.
        decode: ``(params, key, z [J, L], context) -> Points``; None without latents.
        noise: ``(key, J) -> random numbers`` of ``decode``, as of a :class:`Decoder`;
            None: it needs a key.
        decode_at: ``(params, noise, z [J, L], context) -> Points``, or None.
        log_prob: ``(params, key, batch) -> [J]``, the log-likelihood or a lower bound
            of it, in nats; None where there is none.
        log_weight: ``(params, key, batch, prior) -> [J]``, log p(x|z) p(z) / q(z|x) of
            one draw z of the posterior, in nats, for importance sampling
            (:func:`jetvae_jax.models.bounds.importance_weighted`). ``prior`` is the
            log-density ``(z, condition) -> [J]`` of a prior to take instead of the
            model's own, or None. None without latents.
        log_likelihood: ``(params, z [J, L], batch) -> [J]``, log p(x|z) in nats of what
            ``decode`` draws, or without latents ``sample``; None where these draw
            nothing.
        latent_dim: L; 0 without latents.
        learning_rates: component, a key of ``params``, to its learning rate in units
            of that of the training; 0 freezes it. None trains all parameters on one
            loss with one optimiser.
        turns: component to n: the components take turns, in this order, and each is
            updated in every n-th step, at the parameters that those before it have left
            and with draws of its own. None: all in every step, at the same parameters.
        projections: component to ``(its params) -> its params``, applied after each
            of its updates, such as the clipping of weights.
        constants: keys of ``params`` whose values are measured on the training sample
            when the model is initialised, and do not change in training. If these are
            all there are, nothing is trained.
        per_particle: paths of parameters, such as ``decoder/place``, that have a row
            for each of N particles. If a training starts from a model of fewer
            particles (``--pretrained``), its last row is taken for all further ones.
        reach: ``(params) -> (low [G], high [G])``, the scaled conditions between which
            the model generates at all, on the host; None: any.
        step: ``(training config, number of training samples) -> Step``, for a model
            with its own training algorithm; None for gradient descent on ``loss``.
        components: networks that the model is built from, for studies; or None.
    """

    init: Callable[[Key], Params]
    loss: Callable[[Params, Key, Batch], tuple[Any, Terms]]
    sample: Callable[[Params, Key, Context], Points]
    encode: Callable[[Params, Batch], GaussianPosterior] | None = None
    decode: Callable[[Params, Key, Array, Context], Points] | None = None
    noise: Callable[[Key, int], Any] | None = None
    decode_at: Callable[[Params, Any, Array, Context], Points] | None = None
    log_prob: Callable[[Params, Key, Batch], Array] | None = None
    log_weight: Callable[..., Array] | None = None
    log_likelihood: Callable[[Params, Array, Batch], Array] | None = None
    latent_dim: int = 0
    learning_rates: Mapping[str, float] | None = None
    turns: Mapping[str, int] | None = None
    projections: Mapping[str, Callable[[Params], Params]] | None = None
    constants: tuple[str, ...] = ()
    per_particle: tuple[str, ...] = ()
    reach: Callable[[Params], tuple[Array, Array]] | None = None
    step: Callable[..., Any] | None = None
    components: Any = None


class Task(NamedTuple):
    """What the builder of a model needs to know of the data and of the loss.

    Attributes:
        num_particles: N, points of a set.
        num_features: F, features of a point.
        jet_rows: rows before the points that describe the jet as a whole.
        num_conditions: G, numbers in a condition.
        objective: weights of the loss, and the distance for deterministic decoders.
        particle_mask: ``(x [..., N, F], context) -> [..., N]`` bool, which points of
            a deterministic decoder exist; None: all.
        num_points: ``(context) -> [...]`` int, how many points a set is to have by its
            condition; None: no condition says so.
        components: what a VAE is trained together with (latent space, prior,
            discriminator), a :class:`jetvae_jax.models.vae.Components`; or None.
        grid: layers, rows and columns of points that are on a grid, in this order,
            whose last index runs fastest; empty if they are on none.
        sample: ``(J) -> Batch``, the first J training sets or as many as there are, 0
            for all, of which a model measures its constants; None if a checkpoint
            contains them.
        relative: ``(x [..., N, F]) -> [..., N, 3]``, scaled features of particles as
            (ptrel, etarel, phirel); None where they are not relative to a jet's axis.
    """

    num_particles: int
    num_features: int
    jet_rows: int = 0
    num_conditions: int = 0
    objective: Objective | None = None
    particle_mask: Callable[[Array, Context], Array] | None = None
    num_points: Callable[[Context], Array] | None = None
    components: Any = None
    grid: tuple[int, ...] = ()
    sample: Callable[[int], Batch] | None = None
    relative: Callable[[Array], Array] | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """The first four attributes by name."""
        return dict(zip(self._fields[:4], self[:4], strict=True))
